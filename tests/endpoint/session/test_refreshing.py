"""Sessions that last for hours: who refreshes them, with what, and what happens when nobody does (RFC 4028)."""

from __future__ import annotations

from sip_p2p import Refresher, RequestFailed, SessionTimerSettings, SipPeerToPeerEndpoint
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase, Heard

HOUR = 3600


class RefreshingTests(CallTestCase):
    """Alice calls Bob, and both go home."""

    def connect(self, **arguments: object) -> SignalingSession:
        """A session that stands; Bob answers each offer in it."""
        session, theirs = self.call(**arguments)
        theirs.offer_received.subscribe(lambda event: ANSWER)
        return session

    def sent(self, party: SipPeerToPeerEndpoint, method: str) -> int:
        """How many requests *party* has sent."""
        return int(party.connection_manager.core.traffic.requests_out[method])

    def finish(self, session: SignalingSession) -> None:
        """Hang up."""
        self.run_until(session.terminate())

    def test_hours(self) -> None:
        """Section 7.4: ten hours are refreshed by the caller each half interval, and only by him. row:H26"""
        session = self.connect()
        self.network.advance(10 * HOUR)
        self.assertEqual([each.state for each in (session, *self.received)], [SignalingState.CONNECTED] * 2)
        self.assertEqual([self.sent(party, "UPDATE") for party in (self.alice, self.bob)], [39, 0])
        self.assertEqual([self.sent(party, "INVITE") for party in (self.alice, self.bob)], [1, 0])
        self.finish(session)

    def test_callee_refreshes(self) -> None:
        """Section 7.1: a caller that wants the other side to refresh says so, and it does. row:H26"""
        session = self.connect(session_timer=SessionTimerSettings(600, refresher=Refresher.REMOTE))
        self.network.advance(HOUR)
        self.assertEqual([self.sent(party, "UPDATE") for party in (self.alice, self.bob)], [0, 11])
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.finish(session)

    def test_peer_without_update(self) -> None:
        """Section 7.4: a peer whose Allow lacks UPDATE is refreshed by INVITE. limit:L17 row:H26"""
        self.bob.profile.allow_in_dialogs(self.bob.profile.in_dialogs - {"UPDATE"})
        session = self.connect(session_timer=SessionTimerSettings(600))
        self.network.advance(HOUR)
        self.assertEqual((self.sent(self.alice, "UPDATE"), self.sent(self.alice, "INVITE")), (0, 12))
        self.assertEqual([each.state for each in (session, *self.received)], [SignalingState.CONNECTED] * 2)
        self.finish(session)

    def test_update_that_is_refused(self) -> None:
        """A peer that refuses the UPDATE that its Allow promised is refreshed by INVITE from then on. limit:L17"""
        session = self.connect(session_timer=SessionTimerSettings(600))
        self.bob.profile.allow_in_dialogs(self.bob.profile.in_dialogs - {"UPDATE"})
        self.network.advance(HOUR)
        self.assertEqual(self.sent(self.alice, "UPDATE"), 1)
        self.assertEqual([each.state for each in (session, *self.received)], [SignalingState.CONNECTED] * 2)
        self.finish(session)

    def test_too_small(self) -> None:
        """Section 7.3: a callee that wants a longer interval gets it, with one INVITE more. row:H26"""
        self.bob.answer_options = AnswerOptions(session_timer=SessionTimerSettings(2 * HOUR, minimum=2 * HOUR))
        session = self.connect()
        self.assertEqual(self.sent(self.alice, "INVITE"), 2)
        self.assertEqual(len(self.received), 1)
        self.network.advance(5 * HOUR)
        self.assertEqual(self.sent(self.alice, "UPDATE"), 4)
        self.finish(session)

    def test_no_timers(self) -> None:
        """A call that leaves session timers out is not refreshed by its caller; Bob, who wants one, does it alone."""
        session = self.connect(session_timer=None)
        self.network.advance(HOUR)
        self.assertEqual([self.sent(party, "UPDATE") for party in (self.alice, self.bob)], [0, 3])
        self.finish(session)

    def test_required(self) -> None:
        """Section 7.1: who insists on session timers is refused by a peer that knows none. row:A19 row:H26"""
        self.bob.supported_extensions.discard("timer")
        outcome = self.alice.invite(BOB, OFFER, session_timer=SessionTimerSettings(is_required=True))
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(outcome)
        self.assertEqual(caught.exception.status, 420)

    def test_nobody_refreshes(self) -> None:
        """Section 10: when the peer is silent the session ends before its interval does, on both sides. row:H26"""
        session = self.connect(session_timer=SessionTimerSettings(600))
        self.network.advance(1)
        told = [Heard(each).told for each in (session, *self.received)]
        self.network.partition("a.example", "b.example")
        # 600 - 32, from the last refresh; what becomes of the BYE is not waited for.
        self.network.advance(571)
        ends = [["DISCONNECTED RECOVERY_FAILED"], ["DISCONNECTED SESSION_TIMER_EXPIRED"]]
        self.assertEqual(told, ends)
        self.assertEqual(self.living(self.bob)["sessions"], 1)
        self.network.advance(129)
        self.assertEqual(told, ends)
        self.assertEqual([each.state for each in (session, *self.received)], [SignalingState.DISCONNECTED] * 2)
