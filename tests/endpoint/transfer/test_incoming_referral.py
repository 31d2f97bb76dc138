"""A REFER of a peer's: who decides, and what the peer is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import AlreadyResponded, InvalidOperation, ReferStatus, RequestFailed, SipPeerToPeerEndpoint
from tests.endpoint.session.calls import BOB
from tests.endpoint.subscription.serving import Board
from tests.endpoint.support import StrangerTestCase, octets
from tests.endpoint.transfer.support import CAROL, TransferTestCase, statuses


class DecisionTests(TransferTestCase):
    """How a handler decides."""

    def decide(self, handler: Any) -> int:
        """The status that Alice gets where *handler* decides."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(handler)
        referring = self.alice.refer(BOB, CAROL)
        self.network.advance(26)
        self.bob.refer_received.unsubscribe(handler)
        self.bob.refer_received.subscribe(self.refer_received)
        if isinstance(referring.result, type(None)) or not hasattr(referring.result, "value"):
            referral = self.successResultOf(referring)
            referral.stop()
            self.network.advance(1)
            return referral.response.status
        return self.failureResultOf(referring, RequestFailed).value.status

    def test_undecided(self) -> None:
        """What no handler decides about is declined, now or when its coroutine ends (row:I5, fault:D5)."""

        async def looks(referral: Any) -> None:
            return None

        for handler in (lambda referral: None, lambda referral: referral.decline(), looks):
            self.assertEqual(self.decide(handler), 603)

    def test_decline(self) -> None:
        """A handler chooses how to say no, once (row:I5)."""

        def twice(referral: Any) -> None:
            self.assertRaises(ValueError, referral.decline, 200)
            referral.decline(404, "Nobody Here", headers=[("X-Why", "no")])
            self.assertTrue(referral.is_decided)
            self.assertIsNone(referral.peer)
            self.assertRaises(AlreadyResponded, referral.decline)
            self.assertRaises(AlreadyResponded, referral.accept)

        self.assertEqual(self.decide(twice), 404)

    def test_later(self) -> None:
        """It may decide later: after defer, or from a coroutine (row:I5)."""

        def defers(referral: Any) -> None:
            referral.defer()
            self.bob.connection_manager.reactor.callLater(2, referral.accept, False)

        async def thinks(referral: Any) -> None:
            waiting: Deferred[None] = Deferred()
            self.bob.connection_manager.reactor.callLater(2, waiting.callback, None)
            await waiting
            referral.accept(False)

        for handler in (defers, thinks):
            self.assertEqual(self.decide(handler), 200)

    def test_accept(self) -> None:
        """RFC 7647 section 5: whoever accepts it says 200, and never 202 (row:I5)."""
        for subscription in ("wanted", "unwanted", "none", "explicit"):
            referral: Any = self.run_until(self.alice.refer(BOB, CAROL, subscription=subscription))
            self.assertEqual((referral.response.status, self.referrals[-1].status), (200, 200))
            self.network.advance(1)
            self.at_carol[-1].reject()
            self.network.advance(70)

    def test_never(self) -> None:
        """One that never decides is answered for (fault:K2)."""
        self.assertEqual(self.decide(lambda referral: referral.defer()), 500)

    def test_fails(self) -> None:
        """A handler that fails declines it with 500 (fault:K1)."""

        def fails(referral: Any) -> None:
            raise ZeroDivisionError

        async def fails_later(referral: Any) -> None:
            raise ZeroDivisionError

        for handler in (fails, fails_later):
            self.assertEqual(self.decide(handler), 500)
        self.assertGreaterEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_malformed(self) -> None:
        """RFC 3515 section 2.4.2: without exactly one Refer-To that can be read it is 400 (row:I5, fault:D4)."""
        for headers in (
            [],
            [("Refer-To", "<sip:a@c.example>"), ("Refer-To", "<sip:b@c.example>")],
            [("Refer-To", "(whatever URI)")],
            [("Refer-To", CAROL), ("Referred-By", "<sip:a@a>"), ("Referred-By", "<sip:b@a>")],
            [("Refer-To", CAROL), ("Refer-Sub", "perhaps")],
        ):
            self.assertEqual(self.status_of(self.alice.request("REFER", BOB, headers=headers)), 400, headers)
        self.assertEqual(self.referrals, [])


class TellingTests(TransferTestCase):
    """What the peer is told."""

    def refer_received(self, referral: Any) -> None:
        """Bob tells by himself."""
        referral.accept(False)
        self.referrals.append(referral)

    def test_progress(self) -> None:
        """The application tells what it likes; nothing is told after the end (row:I6)."""
        referral: Any = self.run_until(self.alice.refer(BOB, CAROL))
        told, reading = statuses(referral)
        [ours] = self.referrals
        self.network.advance(0.5)
        self.assertRaises(ValueError, ours.progress, 99)
        for status in (180, 183, 486):
            ours.progress(status)
            self.network.advance(1)
        ours.progress(200)
        self.successResultOf(reading)
        self.assertEqual(told, [100, 180, 183, 486])
        self.assertFalse(ours.is_told)
        self.assertIs(referral.status, ReferStatus.FAILED)

    def test_pace(self) -> None:
        """RFC 3515 section 3.10: no more often than once a second, and then the newest; the outcome waits for nothing
        (row:I6)."""
        for subscription in ("wanted", "explicit"):
            referral: Any = self.run_until(self.alice.refer(BOB, CAROL, subscription=subscription))
            told, reading = statuses(referral)
            self.network.advance(0.4)
            for status in (180, 181, 183):
                self.referrals[-1].progress(status)
            self.network.advance(0.4)
            self.assertEqual(told, [100], subscription)
            self.network.advance(0.4)
            self.assertEqual(told, [100, 183], subscription)
            self.referrals[-1].progress(182)
            self.referrals[-1].progress(486)
            self.network.advance(0.2)
            self.assertEqual(told, [100, 183, 486], subscription)
            self.successResultOf(reading)
        self.network.advance(70)

    def test_fragment(self) -> None:
        """A NOTIFY carries a Status-Line as message/sipfrag, and says how long it goes on (row:I6)."""
        session, _ = self.call()
        referring = session.refer(CAROL)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        self.referrals[0].progress(603)
        self.network.advance(0.5)
        self.assertEqual(referral.outcome.body, b"SIP/2.0 603 Decline\r\n")
        self.assertEqual(referral.outcome.state.state, "terminated")
        self.assertEqual(referral.outcome.state.reason, "noresource")
        self.run_until(session.terminate())

    def test_end_of_the_party(self) -> None:
        """A party that ends tells its peers so (row:B13)."""
        referral: Any = self.run_until(self.alice.refer(BOB, CAROL))
        self.run_until(self.bob.terminate())
        self.network.advance(1)
        self.assertTrue(referral.is_over)
        self.assertFalse(self.referrals[0].is_told)

    def test_too_many(self) -> None:
        """As many as may be told of are followed; a further one is to come again (fault:D9)."""
        manager = self.bob.connection_manager
        manager.limits = manager.limits.replace(subscriptions=1)
        first: Any = self.run_until(self.alice.refer(BOB, CAROL))
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL)), 500)
        self.referrals[0].progress(200)
        self.network.advance(1)
        self.assertTrue(first.is_over)
        second: Any = self.run_until(self.alice.refer(BOB, CAROL))
        self.referrals[1].progress(200)
        self.network.advance(1)
        self.assertTrue(second.is_over)

    def test_what_cannot_be_followed(self) -> None:
        """A method that no request by itself can have is for the application (row:I7, fault:D5)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        raised: list[Exception] = []

        def follows(referral: Any) -> None:
            raised.append(self.assertRaises(InvalidOperation, referral.accept))

        self.bob.refer_received.subscribe(follows)
        for method in ("BYE", "REGISTER", "SUBSCRIBE", "REFER"):
            self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL, method=method)), 603)
        self.assertEqual(len(raised), 4)

    def test_where_nobody_is_led(self) -> None:
        """A peer over TLS leads nobody out of it, nor to the machine that follows (fault:D5, fault:D8)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        raised: list[Exception] = []

        def follows(referral: Any) -> None:
            raised.append(self.assertRaises(InvalidOperation, referral.accept))

        self.bob.refer_received.subscribe(follows)
        for target in (
            "sip:x@c.example;transport=udp",
            "sip:x@c.example;transport=tcp",
            "sip:x@127.0.0.1",
            "sip:x@[::1]",
        ):
            self.assertEqual(self.status_of(self.alice.refer(BOB, target)), 603)
        self.assertEqual(len(raised), 4)


class TargetTests(TransferTestCase):
    """REFER is a target refresh request."""

    def tell_at_once(self, referral: Any) -> None:
        """Bob accepts, and it is done."""
        referral.accept(False)
        referral.progress(200)

    def test_contact(self) -> None:
        """RFC 4488 section 4: where its sender is from now on is taken from its Contact, and a Contact that is none is
        400 (row:I5, fault:D4)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(self.tell_at_once)
        session, theirs = self.call()
        assert theirs.usage is not None
        dialog = theirs.usage.dialog
        before = str(dialog.remote_target)
        contact = f"<{before}>"
        usual = SipPeerToPeerEndpoint.contact_value
        self.patch(
            SipPeerToPeerEndpoint,
            "contact_value",
            lambda party, flow, **more: contact if party is self.alice else usual(party, flow, **more),
        )
        for subscription in ("wanted", "unwanted", "none"):
            contact = f"<{before};x={subscription}>"
            session.refer(CAROL, subscription=subscription).addErrback(lambda _: None)
            self.network.advance(2)
            self.assertEqual(f"<{dialog.remote_target}>", contact)
        contact = "<mailto:alice@a.example>"
        self.assertEqual(self.status_of(session.refer(CAROL)), 400)
        self.assertEqual(str(dialog.remote_target), f"{before};x=none")
        self.run_until(session.terminate())


class StrangerTests(StrangerTestCase):
    """A REFER as no party of ours would send it."""

    def test_answer(self) -> None:
        """RFC 3261 section 12.1.1 and RFC 6665 section 4.4.4: the answer that makes a dialog repeats each Record-Route
        and says which event packages there are."""
        self.bob.packages.add(Board())
        self.bob.refer_received.subscribe(lambda referral: referral.accept(False))
        raw = self.dial()
        head = octets("REFER").removesuffix(b"Content-Length: 0\r\n\r\n")
        recorded = b"Record-Route: <sip:p2.example;lr>\r\nRecord-Route: <sip:p1.example;lr>\r\n"
        contact = b"Contact: <sip:x@10.0.0.3>\r\n"
        raw.send(head + f"Refer-To: {CAROL}\r\n".encode() + contact + recorded + b"Content-Length: 0\r\n\r\n")
        self.network.advance(0.1)
        answer = raw.received.partition(b"\r\n\r\n")[0] + b"\r\n"
        self.assertTrue(answer.startswith(b"SIP/2.0 200 "), answer[:100])
        self.assertIn(recorded, answer)
        self.assertIn(b"Allow-Events: x-board\r\n", answer)

    def test_no_dialog(self) -> None:
        """RFC 3515 section 2: a REFER whose Contact can make no dialog is 400, and not a fault of whoever accepts it
        (row:I5, fault:D4)."""
        asked: list[Any] = []
        self.bob.refer_received.subscribe(lambda referral: asked.append(referral.accept(False)))
        contacts = ("", "Contact: <tel:+1234>\r\n", "Contact: <http://127.0.0.1/>\r\n", 2 * "Contact: <sip:x@a>\r\n")
        for number, contact in enumerate(contacts):
            raw = self.dial()
            head = octets("REFER", number).removesuffix(b"Content-Length: 0\r\n\r\n")
            raw.send(head + f"Refer-To: {CAROL}\r\n{contact}Content-Length: 0\r\n\r\n".encode())
            self.network.advance(0.1)
            self.assertTrue(raw.received.startswith(b"SIP/2.0 400 "), (contact, raw.received[:100]))
        self.assertEqual(asked, [])
