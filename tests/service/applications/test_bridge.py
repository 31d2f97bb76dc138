"""Two sessions that are one, until both stand: Alice calls the desk, and Bob is called for her."""

from __future__ import annotations

from typing import Any

from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.errors import OfferRejected, RequestFailed, SessionTerminated
from tests.service.applications.forwarding import ANSWER, MIDDLE, OFFER, OTHER, ForwardCase


class EstablishTests(ForwardCase):
    """Calls that come to stand."""

    def test_a_call(self) -> None:
        """row:M14: the offer goes across and the answer back, the callee is called by the desk, and either BYE ends
        both."""
        session, theirs = self.call(headers=(("Subject", "lunch"), ("X-Colour", "green")))
        self.assertEqual((theirs.remote_description.text, session.remote_description.text), (OFFER, ANSWER))
        assert theirs.participant is not None
        self.assertEqual(str(theirs.participant.uri), "sip:desk@m.example")
        self.network.run_until(session.terminate())
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)

    def test_what_the_callee_sees(self) -> None:
        """Header fields go across, one hop less is left, and Reply-To says who called."""
        fields = (("Subject", "lunch"), ("X-Colour", "green"), ("Authorization", "Digest a=b"))
        _, establishing = self.begin(headers=fields, max_forwards=9)
        (theirs,) = self.received
        assert theirs.invite is not None
        headers = theirs.invite.headers
        self.assertEqual(
            [headers.get(name) for name in ("Subject", "X-Colour", "Authorization", "Max-Forwards", "Reply-To")],
            ["lunch", "green", None, "8", "<sip:alice@a.example>"],
        )
        theirs.reject(486)
        self.network.advance(1)
        self.failureResultOf(establishing, RequestFailed)

    def test_the_callee_hangs_up(self) -> None:
        """The callee's BYE ends the caller's session, with the reason that it gave."""
        session, theirs = self.call()
        changes: list[Any] = []
        session.state_changed.subscribe(changes.append)
        self.run_until(theirs.terminate(reason="Q.850;cause=16"))
        self.network.advance(1)
        (change,) = changes
        self.assertIs(change.reason, SignalingTransitionReason.TERMINATED_REMOTELY)
        self.assertEqual(change.message.headers.get("Reason"), "Q.850;cause=16")

    def test_ringing(self) -> None:
        """Provisional responses go back with status, phrase and header fields; an early answer too."""
        session, establishing = self.begin()
        heard: list[tuple[int, str, str | None]] = []
        session.provisional_response_received.subscribe(
            lambda event: heard.append(
                (event.response.status, event.response.reason, event.response.headers.get("X-A"))
            )
        )
        answers: list[str] = []
        session.answer_received.subscribe(lambda event: answers.append(event.description.text))
        (theirs,) = self.received
        theirs.ring(180, "Calling", headers=(("X-A", "1"),), reliable=False)
        self.network.advance(0.5)
        theirs.ring(183, answer=ANSWER, reliable=False)
        self.network.advance(0.5)
        self.assertEqual((heard, answers), ([(180, "Calling", "1"), (183, "Session Progress", None)], [ANSWER]))
        theirs.accept(ANSWER)
        self.run_until(establishing)
        self.assertEqual(session.remote_description.text, ANSWER)
        session.terminate()

    def test_reliable_answers(self) -> None:
        """row:H10: a reliable early answer is reliable on the other side too, and the 2xx says no more of it."""
        session, establishing = self.begin()
        reliable: list[bool] = []
        session.provisional_response_received.subscribe(lambda event: reliable.append("RSeq" in event.response.headers))
        (theirs,) = self.received
        theirs.ring(183, answer=ANSWER, reliable=True)
        self.network.advance(0.5)
        self.assertEqual((reliable, session.remote_description.text), ([True], ANSWER))
        theirs.ring(180, reliable=True)
        self.network.advance(0.5)
        theirs.accept()
        self.run_until(establishing)
        self.assertEqual(reliable, [True, True])
        session.terminate()

    def test_who_cannot_acknowledge(self) -> None:
        """Where the caller knows no reliable responses, the callee is not told of any; where it requires them, the
        callee is required as well."""
        for policy, supported, required in (("off", False, False), ("required", True, True)):
            with self.subTest(policy):
                session, establishing = self.begin(reliable=policy)
                theirs = self.received[-1]
                assert theirs.invite is not None
                headers = theirs.invite.headers
                self.assertIs("100rel" in headers.get("Supported", ""), supported)
                self.assertIs("100rel" in headers.get("Require", ""), required)
                theirs.ring()
                self.network.advance(0.5)
                self.assertIs(session.state, SignalingState.ALERTED)
                theirs.accept(ANSWER)
                self.run_until(establishing)
                session.terminate()
                self.network.advance(1)

    def test_a_late_offer(self) -> None:
        """row:H22: a caller without an offer gets the callee's, and its answer reaches the callee in the ACK."""
        session = self.alice.create_session(MIDDLE)
        session.offer_received.subscribe(lambda offer: ANSWER)
        establishing = session.establish(None)
        self.network.advance(0.5)
        (theirs,) = self.received
        self.assertIsNone(theirs.offer)
        accepting = theirs.accept(OFFER)
        self.run_until(establishing)
        self.run_until(accepting)
        self.assertEqual((session.remote_description.text, theirs.remote_description.text), (OFFER, ANSWER))
        theirs.terminate()

    def test_a_late_offer_while_it_rings(self) -> None:
        """row:H22: the callee's offer in a reliable provisional response is answered in its PRACK."""
        session = self.alice.create_session(MIDDLE)
        session.offer_received.subscribe(lambda offer: ANSWER)
        establishing = session.establish(None)
        self.network.advance(0.5)
        (theirs,) = self.received
        theirs.ring(183, answer=OFFER, reliable=True)
        self.network.advance(0.5)
        self.assertEqual((session.remote_description.text, theirs.remote_description.text), (OFFER, ANSWER))
        theirs.accept()
        self.run_until(establishing)
        theirs.terminate()

    def test_a_late_offer_that_is_refused(self) -> None:
        """Where the caller cannot live with the callee's offer, both are over."""
        session = self.alice.create_session(MIDDLE)

        def refuse(offer: object) -> None:
            raise OfferRejected("none of this")

        session.offer_received.subscribe(refuse)
        establishing = session.establish(None)
        self.network.advance(0.5)
        (theirs,) = self.received
        theirs.accept(OFFER).addErrback(lambda _: None)
        self.network.advance(5)
        self.failureResultOf(establishing, OfferRejected)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)

    def test_two_phones(self) -> None:
        """row:H13: two early dialogs of the callee are two of the caller's, each with its own answer, and the one that
        accepts counts."""
        session, establishing = self.begin()
        (theirs,) = self.received
        first, second = theirs.create_early_dialog(), theirs.create_early_dialog()
        answers: list[tuple[str, bool]] = []
        session.answer_received.subscribe(lambda event: answers.append((event.description.text, event.is_preview)))
        theirs.ring(183, answer=ANSWER, reliable=True, dialog=first)
        self.network.advance(0.5)
        theirs.ring(183, answer=OTHER, reliable=True, dialog=second)
        self.network.advance(0.5)
        self.assertEqual(answers, [(ANSWER, False), (OTHER, False)])
        self.assertEqual(len(session.early_dialogs), 2)
        theirs.end_early_dialog(first)
        self.network.advance(0.5)
        self.assertEqual(len(session.early_dialogs), 1)
        theirs.accept(dialog=second)
        self.run_until(establishing)
        self.assertEqual(session.remote_description.text, OTHER)
        session.terminate()

    def test_a_phone_that_has_not_rung(self) -> None:
        """One that accepts without having rung is another dialog for the caller than the one that rang."""
        session, establishing = self.begin()
        (theirs,) = self.received
        first, second = theirs.create_early_dialog(), theirs.create_early_dialog()
        theirs.ring(183, answer=ANSWER, reliable=True, dialog=first)
        self.network.advance(0.5)
        theirs.accept(OTHER, dialog=second)
        self.run_until(establishing)
        self.assertEqual(session.remote_description.text, OTHER)
        session.terminate()


class RefusedTests(ForwardCase):
    """Calls that come to nothing."""

    def refused(self, status: int, **arguments: Any) -> Any:
        """What the caller is answered where the callee says *status*."""
        _, establishing = self.begin()
        self.received[-1].reject(status, **arguments)
        self.network.advance(1)
        return self.failureResultOf(establishing, RequestFailed).value.response

    def test_refusals(self) -> None:
        """A refusal comes back with its status, phrase and header fields, but for 401, 407 and 503."""
        for status, expected in ((486, 486), (404, 404), (603, 603), (488, 488), (401, 403), (407, 403), (503, 500)):
            with self.subTest(status):
                self.assertEqual(self.refused(status).status, expected)
        response = self.refused(486, reason="At lunch", headers=(("Retry-After", "60"), ("Warning", '399 b "no"')))
        self.assertEqual(
            (response.reason, response.headers.get("Retry-After"), response.headers.get("Warning")),
            ("At lunch", "60", '399 b "no"'),
        )

    def test_redirections(self) -> None:
        """A redirection comes back with where it leads; one that leads to us is none."""
        _, establishing = self.begin(max_redirects=0)
        self.received[-1].redirect(["<sip:carol@c.example>;q=0.5"], 301)
        self.network.advance(1)
        response = self.failureResultOf(establishing, RequestFailed).value.response
        self.assertEqual((response.status, response.headers.get("Contact")), (301, "<sip:carol@c.example>;q=0.5"))
        _, establishing = self.begin(max_redirects=0)
        self.received[-1].redirect([MIDDLE])
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 480)

    def test_nobody_there(self) -> None:
        """A callee that cannot be reached is a 502."""
        self.run_until(self.bob.connection_manager.terminate())
        session = self.alice.create_session(MIDDLE)
        establishing = session.establish(OFFER)
        self.network.advance(60)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 502)

    def test_an_answer_is_missing(self) -> None:
        """Where nobody decides, the callee's refusal is the caller's."""
        _, establishing = self.begin(max_ring=None)
        self.network.advance(700)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 480)


class EndTests(ForwardCase):
    """What ends one ends the other, whenever it comes."""

    def test_cancel_while_it_rings(self) -> None:
        """row:H16: the caller's CANCEL is the callee's, with its reason."""
        session, establishing = self.begin()
        (theirs,) = self.received
        theirs.ring()
        self.network.advance(0.5)
        changes: list[Any] = []
        theirs.state_changed.subscribe(changes.append)
        session.terminate(reason="SIP;cause=200")
        self.network.advance(1)
        self.failureResultOf(establishing, SessionTerminated)
        (change,) = changes
        self.assertIs(change.reason, SignalingTransitionReason.CANCELED)
        self.assertEqual(change.message.headers.get("Reason"), "SIP;cause=200")

    def test_cancel_at_any_moment(self) -> None:
        """row:H16: whenever CANCEL and acceptance cross, neither side is left with a session that the other has not."""
        for step in range(40):
            with self.subTest(step):
                session = self.alice.create_session(MIDDLE)
                session.establish(OFFER).addErrback(lambda _: None)
                del self.received[:]
                self.network.advance(0.2)
                (theirs,) = self.received
                theirs.ring()
                theirs.accept(ANSWER).addErrback(lambda _: None)
                self.network.advance(step * 0.0025)
                session.terminate()
                self.network.advance(3)
                self.assertIs(theirs.state, SignalingState.DISCONNECTED)
                self.assertEqual(len(self.middle.sessions), 0)

    def test_cancel_and_acceptance_in_one_turn(self) -> None:
        """row:H16: where CANCEL and the callee's 2xx come in one turn, the callee hears a BYE."""
        for offer, answer in ((OFFER, ANSWER), (None, OFFER)):
            for is_accepted_first in (True, False):
                with self.subTest(offer=offer, is_accepted_first=is_accepted_first):
                    session, establishing = self.begin(offer)
                    establishing.addErrback(lambda _: None)
                    theirs = self.received[-1]
                    theirs.ring()
                    self.network.advance(0.5)
                    if not is_accepted_first:
                        session.terminate()
                    theirs.accept(answer).addErrback(lambda _: None)
                    session.terminate()
                    self.network.advance(3)
                    self.assertIs(theirs.state, SignalingState.DISCONNECTED)
                    self.assertEqual(self.middle.sessions, ())

    def test_cancel_before_the_callee_has_heard(self) -> None:
        """row:H16: a CANCEL that comes while the callee is still being looked for leaves nothing behind."""
        for step in range(30):
            with self.subTest(step):
                session = self.alice.create_session(MIDDLE)
                session.establish(OFFER).addErrback(lambda _: None)
                self.network.advance(step * 0.004)
                session.terminate()
                self.network.advance(3)
                self.assertLessEqual({each.state for each in self.received}, {SignalingState.DISCONNECTED})
                self.assertEqual(len(self.middle.sessions), 0)

    def test_no_acknowledgement(self) -> None:
        """A caller that never acknowledges ends the callee's session."""
        _, establishing = self.begin(automatic_ack=False)
        establishing.addErrback(lambda _: None)
        (theirs,) = self.received
        theirs.accept(ANSWER)
        self.network.advance(1)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.network.half_open(self.network.find("a.example"), self.network.find("m.example"))
        self.network.advance(70)
        self.assertIs(theirs.state, SignalingState.DISCONNECTED)

    def test_the_desk_stops(self) -> None:
        """A stop of the desk ends both sides."""
        session, theirs = self.call()
        self.run_until(self.middle.connection_manager.terminate())
        self.network.advance(1)
        self.assertEqual({session.state, theirs.state}, {SignalingState.DISCONNECTED})


class LoopTests(ForwardCase):
    """Nothing goes round."""

    arguments = ("--forward-to", MIDDLE)

    def test_a_loop(self) -> None:
        """row:G8: what comes back to who has passed it on is answered 482."""
        session = self.alice.create_session(MIDDLE)
        establishing = session.establish(OFFER)
        self.network.advance(2)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 482)

    def test_no_hop_is_left(self) -> None:
        """row:G8: an INVITE that may take no further hop is answered 483."""
        session = self.alice.create_session(MIDDLE, max_forwards=0)
        establishing = session.establish(OFFER)
        self.network.advance(2)
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 483)
