"""A session that is refreshed, and one that is not (RFC 4028): the timers of both sides, and what the refresh says."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.effects import Ending
from sip_p2p.sip.dialog.session_timer import Refresher, SessionTimerSettings
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_datagram
from tests.sip.dialog.one_usage import NEW, OneUsage
from tests.sip.dialog.pair import ANSWER, OFFER, Pair
from tests.sip.dialog.test_usage import forget

OFF = SessionTimerSettings(is_enabled=False)


def settings(refresher: Refresher | None = None, interval: int = 90) -> SessionTimerSettings:
    """Timers of 90 s, so that a refresh comes after 45 s."""
    return SessionTimerSettings(interval, refresher=refresher)


def timed(
    alice: SessionTimerSettings | None, bob: SessionTimerSettings | None, *, without: tuple[str, ...] = ()
) -> Pair:
    """Alice and Bob in a session with these wishes; neither takes the methods in *without*."""
    pair = Pair()
    for party in (pair.alice, pair.bob):
        for method in without:
            party.profile.disallow(method)
    pair.bob.options = AnswerOptions(session_timer=bob or SessionTimerSettings(interval=None))
    pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
    pair.alice.on_offer = lambda offer: offer.owner.answer(OFFER, pair.now)
    pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
    pair.alice.call(CallOptions(session_timer=alice))
    pair.wait(1.0)
    forget(pair)
    return pair


class RefreshTests(SynchronousTestCase):
    """Section 7.4: row:H26."""

    def test_by_the_caller(self) -> None:
        """The caller refreshes by UPDATE at half of the interval, for as long as the session lasts: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.wait(500.0)
        self.assertEqual(pair.ladder()[:4], ["> UPDATE", "< 200", "> UPDATE", "< 200"])
        self.assertEqual(set(pair.ladder()), {"> UPDATE", "< 200"})
        times = [when for when, _, what in pair.sent if what == "UPDATE"]
        self.assertTrue(all(abs(later - earlier - 45.0) < 0.2 for earlier, later in itertools.pairwise(times)))
        self.assertEqual((pair.alice.heard, pair.bob.heard), ([], []))

    def test_by_the_callee(self) -> None:
        """The callee refreshes where the caller wishes so, and the Call-ID's owner only answers: row:H26."""
        pair = timed(settings(Refresher.REMOTE), None)
        pair.wait(200.0)
        self.assertEqual(set(pair.ladder()), {"< UPDATE", "> 200"})

    def test_the_peer_knows_no_timers(self) -> None:
        """Where the peer has never heard of timers the other side refreshes alone (section 7.2): row:H26."""
        for alice, bob, update in ((None, settings(), "< UPDATE"), (settings(), OFF, None)):
            pair = timed(alice, bob)
            pair.wait(400.0)
            self.assertEqual((pair.alice.heard, pair.bob.heard), ([], []))
            self.assertEqual({what for what in pair.ladder() if "UPDATE" in what}, {update} - {None})

    def test_without_update(self) -> None:
        """A peer whose Allow lacks UPDATE is refreshed by re-INVITE with the offer as it stands: limit:L17 row:H26."""
        pair = timed(settings(Refresher.LOCAL), None, without=("UPDATE",))
        pair.wait(50.0)
        self.assertEqual([what for what in pair.ladder() if what != "< 100"], ["> INVITE", "< 200", "> ACK"])
        request = next(octets for octets in pair.octets if octets.startswith(b"INVITE"))
        self.assertTrue(request.endswith(OFFER.body))
        # The application of the one who refreshes hears nothing but the answer.
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["answer"], ["offer"]))
        pair.wait(400.0)
        self.assertEqual(len(pair.alice.dialogs), 1)

    def test_update_that_is_refused(self) -> None:
        """An UPDATE that is refused 405 or 501 though Allow promises it becomes a re-INVITE: limit:L17 row:H26."""
        for status in (405, 501):
            pair = timed(settings(Refresher.LOCAL), None)
            pair.wires.losing("> UPDATE")
            pair.wait(44.3)
            OneUsage.of(pair, pair.alice).respond(status)
            pair.wait(1.0)
            self.assertEqual([what for what in pair.ladder() if what != "< 100"], ["> INVITE", "< 200", "> ACK"])
            # Once is enough: the next is a re-INVITE from the start.
            forget(pair)
            pair.wait(46.0)
            self.assertEqual([what for what in pair.ladder() if what != "< 100"], ["> INVITE", "< 200", "> ACK"])
            self.assertNotIn("modified", " ".join(pair.alice.heard))

    def test_a_change_is_a_refresh(self) -> None:
        """Whatever changes the session refreshes it as well, whoever asks for it (section 7.4): row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.wait(40.0)
        pair.bob.usage.modify(NEW, pair.now)
        pair.bob.work()
        pair.wait(40.0)
        self.assertNotIn("> UPDATE", pair.ladder())
        self.assertIn(b"Session-Expires: 90;refresher=uas", pair.octets[0])

    def test_during_a_change(self) -> None:
        """A refresh that is due while a change is under way waits, and comes if the change fails: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.bob.on_offer = lambda offer: None
        pair.wait(40.0)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(10.0)
        self.assertNotIn("> UPDATE", pair.ladder())
        pair.bob.usage.decline(488, pair.now)
        pair.bob.work()
        pair.wait(20.0)
        self.assertIn("> UPDATE", pair.ladder())
        self.assertEqual(len(pair.alice.dialogs), 1)

    def test_before_the_ack(self) -> None:
        """A re-INVITE that refreshes waits for the ACK of the last one (section 14.1), and comes later: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None, without=("UPDATE",))
        pair.wires.lose = lambda what: what == "< ACK"
        pair.bob.usage.modify(NEW, pair.now)
        pair.bob.work()
        pair.wait(1.0)
        pair.alice.usage.refresh(pair.now)
        pair.alice.work()
        self.assertNotIn("> INVITE", pair.ladder())
        pair.wires.lose = lambda what: False
        pair.wait(50.0)
        self.assertIn("> INVITE", pair.ladder())
        self.assertEqual(len(pair.alice.dialogs), 1)

    def test_refresh_by_hand(self) -> None:
        """The facade can refresh at any time, as when the flow has changed: row:H32."""
        pair = timed(OFF, OFF)
        pair.alice.usage.refresh(pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual((pair.ladder(), pair.alice.heard), (["> UPDATE", "< 200"], []))

    def test_the_peer_forgot(self) -> None:
        """A refresh that is answered 481 ends the session, without a BYE that nobody would know (RFC 5057): row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.bob.core.dialogs.discard(pair.bob.usage.dialog)
        pair.wait(50.0)
        self.assertEqual(pair.alice.heard, ["usage ended DIALOG_GONE"])
        self.assertEqual(pair.ladder(), ["> UPDATE", "< 481"])


class ExpiryTests(SynchronousTestCase):
    """Section 10."""

    def test_nobody_refreshes(self) -> None:
        """Who waits in vain for a refresh hangs up before the interval is over: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.wires.lose = lambda what: what == "> UPDATE"
        pair.wait(100.0)
        byes = [(when, party) for when, party, what in pair.sent if what == "BYE"]
        # 90 s less a third of it, from the 2xx on, at either end: the two BYEs cross.
        self.assertIs(byes[0][1], pair.bob)
        self.assertTrue(60.0 <= byes[0][0] < 60.1)
        self.assertEqual(pair.bob.heard, ["usage ending EXPIRED", "usage ended EXPIRED"])
        self.assertEqual(pair.alice.heard, ["usage ending EXPIRED", "usage ended EXPIRED"])

    def test_refresh_that_fails_for_a_while(self) -> None:
        """A refresh that no flow could be found for is tried again while there is time: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.alice.is_dialling = True
        pair.wait(46.0)
        pair.alice.not_dialled()
        pair.wait(14.0)
        self.assertEqual(pair.ladder(), ["> UPDATE", "< 200"])
        self.assertEqual(len(pair.alice.dialogs), 1)

    def test_refresh_that_always_fails(self) -> None:
        """When no flow is to be had until the interval is over the session ends with a BYE: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        usage = pair.alice.usage
        for _ in range(100):
            pair.alice.is_dialling = True
            pair.wait(1.0)
            pair.alice.not_dialled()
        self.assertIs(usage.ending, Ending.EXPIRED)
        self.assertEqual(pair.alice.heard, ["usage ending EXPIRED", "usage ended EXPIRED"])


class IntervalTests(SynchronousTestCase):
    """422, from both sides (sections 6, 7.3 and 7.4)."""

    def test_refresh_with_a_larger_one(self) -> None:
        """A 422 to a refresh repeats it with the larger interval: row:H26."""
        pair = timed(settings(Refresher.LOCAL), None)
        assert pair.bob.usage.session_timer is not None
        pair.bob.usage.session_timer.settings = SessionTimerSettings(interval=None, minimum=300)
        pair.wait(47.0)
        self.assertEqual(pair.ladder(), ["> UPDATE", "< 422", "> UPDATE", "< 200"])
        self.assertIn(b"Min-SE: 300", pair.octets[1])
        self.assertIn(b"Session-Expires: 300;refresher=uac", pair.octets[2])
        assert pair.alice.usage.session_timer is not None
        self.assertEqual(pair.alice.usage.session_timer.interval, 300)
        self.assertEqual(pair.alice.heard, [])


class EarlyUpdateTests(SynchronousTestCase):
    """An UPDATE of an early dialog that crosses the 2xx, which says what timer holds."""

    def test_crossed(self) -> None:
        """The answer to an UPDATE that said nothing of the timer does not end it (section 7.2), whoever sent it and
        whichever of the two answers comes first: row:H26."""
        for who in ("alice", "bob"):
            for late in ("", "< 200"):
                pair = Pair()
                pair.bob.options = AnswerOptions(session_timer=settings(Refresher.LOCAL))
                pair.alice.call(CallOptions(session_timer=settings()))
                pair.wait(0.5)
                call = pair.bob.calls[0]
                call.ring(pair.now, 183, None, ANSWER, (), True)
                pair.bob.work()
                pair.wait(0.5)
                party = pair.alice if who == "alice" else pair.bob
                party.usage.modify(None, pair.now, (), "UPDATE")
                party.work()
                call.accept(pair.now)
                pair.wires.losing(*filter(None, [late]))
                pair.bob.work()
                pair.wait(5.0)
                self.assertIn("modified 200", party.heard)
                timers = [each.usage.session_timer for each in (pair.alice, pair.bob)]
                roles = [None if timer is None else timer.refresher for timer in timers]
                self.assertEqual(roles, [Refresher.REMOTE, Refresher.LOCAL], (who, late))
                pair.wait(500.0)
                self.assertEqual((len(pair.alice.dialogs), len(pair.bob.dialogs)), (1, 1))

    def test_left_out(self) -> None:
        """Whoever leaves timers out does not say in a change that it knows them, or it would be taken for one that
        refreshes (RFC 4028 section 9): row:H26."""
        for alice, bob in ((settings(), OFF), (OFF, settings()), (None, OFF)):
            pair = timed(alice, bob)
            for party, left_out in ((pair.alice, alice is OFF), (pair.bob, bob is OFF)):
                for method in ("INVITE", "UPDATE"):
                    pair.octets.clear()
                    party.usage.modify(NEW, pair.now, (), method)
                    party.work()
                    pair.wait(2.0)
                    request = parse_datagram(pair.octets[0])
                    self.assertEqual("timer" in request.headers["Supported"], not left_out)
            pair.wait(4000.0)
            self.assertEqual((len(pair.alice.dialogs), len(pair.bob.dialogs)), (1, 1))

    def test_left_out_early(self) -> None:
        """Nor in an early dialog, whose UPDATE may meet the 2xx: row:H26."""
        pair = Pair()
        pair.bob.options = AnswerOptions(session_timer=OFF)
        pair.alice.call(CallOptions(session_timer=settings()))
        pair.wait(0.5)
        call = pair.bob.calls[0]
        call.ring(pair.now, 183, None, ANSWER, (), True)
        pair.bob.work()
        pair.wait(0.5)
        pair.bob.usage.modify(None, pair.now, (), "UPDATE")
        call.accept(pair.now)
        pair.bob.work()
        pair.wait(500.0)
        self.assertEqual((len(pair.alice.dialogs), len(pair.bob.dialogs)), (1, 1))

    def test_overtaken(self) -> None:
        """What follows our 2xx may come before it: until the ACK our UPDATE says nothing of the timer (section 7.2):
        row:H26."""
        pair = Pair()
        pair.bob.options = AnswerOptions(session_timer=settings(Refresher.LOCAL))
        pair.alice.call(CallOptions(session_timer=settings()))
        pair.wait(0.5)
        call = pair.bob.calls[0]
        call.ring(pair.now, 183, None, ANSWER, (), True)
        pair.bob.work()
        pair.wait(0.5)
        pair.wires.losing("< 200")
        call.accept(pair.now)
        pair.bob.work()
        pair.bob.usage.modify(None, pair.now, (), "UPDATE")
        pair.bob.work()
        pair.wait(5.0)
        timers = [each.usage.session_timer for each in (pair.alice, pair.bob)]
        roles = [None if timer is None else timer.refresher for timer in timers]
        self.assertEqual(roles, [Refresher.REMOTE, Refresher.LOCAL])


class CorrectnessTests(SynchronousTestCase):
    """Section 9: what a response to a refresh must not lack: row:H27."""

    def test_golden(self) -> None:
        """The 200 to a refresh, field by field: limit:L15 row:H27."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.wait(47.0)
        update, answer = (octets.decode() for octets in pair.octets[:2])
        via = next(line for line in update.split("\r\n") if line.startswith("Via: "))
        head, _, body = answer.partition("\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        self.assertEqual(body, "")
        self.assertTrue(fields["Via"].startswith(via.removeprefix("Via: ").split(";")[0]))
        self.assertEqual(fields["Contact"], "<sip:bob@bob.example:5060;transport=udp>")
        self.assertEqual(fields["Session-Expires"], "90;refresher=uac")
        self.assertEqual(fields["Require"], "timer")
        self.assertIn("timer", fields["Supported"].split(", "))
        self.assertIn("UPDATE", fields["Allow"].split(", "))

    def test_every_2xx(self) -> None:
        """Each 2xx to a re-INVITE or an UPDATE, of either side, has Contact, Session-Expires, Allow and Supported:
        limit:L15 row:H27."""
        for without in ((), ("UPDATE",)):
            for refresher in (Refresher.LOCAL, Refresher.REMOTE):
                pair = timed(settings(refresher), settings(), without=without)
                pair.wait(100.0)
                seen = 0
                for octets in pair.octets:
                    message = parse_datagram(octets)
                    if isinstance(message, Response) and message.status == 200:
                        seen += 1
                        for name in ("Contact", "Session-Expires", "Allow", "Supported"):
                            self.assertEqual(len(message.headers.get_all(name)), 1, (name, octets))
                self.assertGreater(seen, 1)

    def test_every_refresh(self) -> None:
        """Each refresh names the interval, who refreshes, and that timers are known (section 7.4): row:H27."""
        pair = timed(settings(Refresher.LOCAL), None)
        pair.wait(200.0)
        for octets in pair.octets:
            message = parse_datagram(octets)
            if isinstance(message, Request):
                self.assertEqual(message.headers.get("Session-Expires"), "90;refresher=uac")
                self.assertIn("timer", message.headers.get("Supported") or "")
                self.assertIn("Contact", message.headers)
