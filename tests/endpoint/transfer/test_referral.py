"""What becomes of our REFERs, as an application sees it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p import (
    EndpointTerminated,
    InvalidOperation,
    OperationTimeout,
    ReferStatus,
    RequestFailed,
    SessionTerminated,
    SignalingState,
)
from sip_p2p.endpoint.transfer.referral import MOST_KEPT, MOST_WAITING
from sip_p2p.sip.message import Request, Response
from tests.endpoint.session.calls import BOB
from tests.endpoint.session.support import Server, reply
from tests.endpoint.transfer.support import ANSWER, CAROL, TransferTestCase, statuses


class FollowedTests(TransferTestCase):
    """A referral that the peer follows."""

    def test_in_a_session(self) -> None:
        """The peer calls whom it was referred to, and tells how that goes (row:I1, row:I2, row:I6)."""
        session, _ = self.call()
        referring = session.refer(CAROL)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        seen: list[ReferStatus] = []
        referral.status_changed.subscribe(lambda changed: seen.append(changed.status))
        told, reading = statuses(referral)
        self.assertIs(referral.status, ReferStatus.TRYING)
        self.at_carol[0].ring()
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.PROGRESSING)
        self.assertFalse(referral.is_over)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(told, [100, 180, 200])
        self.successResultOf(reading)
        self.assertEqual(seen, [ReferStatus.PROGRESSING, ReferStatus.SUCCEEDED])
        self.assertEqual(self.successResultOf(referral.when_final()).status, 200)
        self.assertEqual((referral.response.status, referral.outcome.body), (200, b"SIP/2.0 200 OK\r\n"))
        self.assertIs(session.state, SignalingState.CONNECTED)
        for each in (session, self.at_carol[0]):
            self.run_until(each.terminate())

    def test_outside_of_a_session(self) -> None:
        """One may refer a peer without any session, and the NOTIFYs make the dialog (row:I8, limit:L26)."""
        referring = self.alice.refer(BOB, CAROL)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        told, reading = statuses(referral)
        self.at_carol[0].reject(603)
        self.network.advance(1)
        self.successResultOf(reading)
        self.assertEqual(told, [100, 603])
        self.assertIs(referral.status, ReferStatus.FAILED)
        self.assertEqual(self.failureResultOf(referral.when_final(), RequestFailed).value.status, 603)
        [seen] = self.referrals
        self.assertIsNone(seen.session)

    def test_redirected(self) -> None:
        """A 3xx that nobody follows is an outcome of its own (row:I2)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(lambda referral: (referral.accept(False), referral.progress(302)))
        referral = self.run_until(self.alice.refer(BOB, CAROL))
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.REDIRECTED)  # type: ignore[attr-defined]

    def test_another_method(self) -> None:
        """What is asked for may be something else than a call (row:I7)."""
        self.carol.message_received.subscribe(lambda event: None)
        referring = self.alice.refer(BOB, CAROL, method="MESSAGE")
        self.network.advance(1)
        referral = self.successResultOf(referring)
        self.assertEqual(self.successResultOf(referral.when_final()).status, 200)


class LostTests(TransferTestCase):
    """Where the way to the peer is lost."""

    def lose(self) -> Any:
        """A session whose way is lost and looked for."""
        session, _ = self.call()
        self.network.partition("a.example", "b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(0.1)
        return session

    def test_session_ends(self) -> None:
        """A REFER that waits for the way fails when its session ends, and so does one that waits for it (row:I1,
        row:H32, fault:C5)."""
        session = self.lose()
        referring = [session.refer(CAROL), session.refer(CAROL)]
        self.network.advance(1)
        session.terminate()
        self.network.advance(70)
        for each in referring:
            self.failureResultOf(each)
        self.network.heal()

    def test_subscription_ends(self) -> None:
        """A NOTIFY that waits for the way goes out, or fails, when the session beside it ends: nobody is to be told for
        ever (row:I6, row:H32, fault:C5)."""
        session, theirs = self.call()
        referring = session.refer(CAROL)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        self.network.partition("a.example", "b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(0.1)
        self.at_carol[0].ring()
        self.network.advance(0.1)
        theirs.terminate()
        self.network.advance(100)
        self.assertFalse(self.referrals[0].is_told)
        self.network.heal()
        for each in (session, self.at_carol[0]):
            each.terminate()
        referral.stop()
        self.network.advance(10)


class UnheardTests(TransferTestCase):
    """Where nothing is told."""

    def refer(self, **arguments: Any) -> Any:
        """A REFER out of any session that Bob follows."""
        referring = self.alice.refer(BOB, CAROL, **arguments)
        self.network.advance(0.5)
        return self.successResultOf(referring)

    def setUp(self) -> None:
        """Carol does not answer."""
        super().setUp()
        self.addCleanup(self.end_calls)

    def end_calls(self) -> None:
        """Carol has enough."""
        for session in self.at_carol:
            session.terminate()
        self.network.advance(1)

    def test_unwanted(self) -> None:
        """RFC 4488: who wants no NOTIFYs says so, and gets none where the peer agrees (row:I8)."""
        referral = self.refer(subscription="unwanted")
        self.assertIs(referral.status, ReferStatus.TERMINATED)
        self.failureResultOf(referral.when_final(), OperationTimeout)
        self.assertFalse(self.referrals[0].wants_notifications)
        self.assertEqual(referral.response.headers["Refer-Sub"], "false")

    def test_none(self) -> None:
        """RFC 7614: who insists on it is told nothing (row:I8)."""
        referral = self.refer(subscription="none")
        self.assertIs(referral.status, ReferStatus.TERMINATED)
        self.assertEqual(self.referrals[0].request.headers["Require"], "nosub")
        self.assertNotIn("Refer-Sub", referral.response.headers)

    def test_peer_without(self) -> None:
        """RFC 7614: a peer that does not know the extension refuses the REFER (row:I8)."""
        self.bob.supported_extensions.discard("nosub")
        referring = self.alice.refer(BOB, CAROL, subscription="none")
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(referring, RequestFailed).value.status, 420)

    def test_stopped(self) -> None:
        """SUBSCRIBE with Expires 0 ends what is told, and the call goes on (row:I4, limit:L16)."""
        referral = self.refer()
        told, reading = statuses(referral)
        waiting = referral.when_final()
        referral.stop()
        self.successResultOf(reading)
        self.failureResultOf(waiting, SessionTerminated)
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.TERMINATED)
        self.assertFalse(self.referrals[0].is_told)
        self.at_carol[0].ring()
        self.network.advance(1)
        self.assertEqual(told, [100])
        referral.stop()

    def test_late_notify(self) -> None:
        """A NOTIFY that is under way while the subscription is ended is answered, and breaks nothing (limit:L16,
        row:I4)."""
        session, theirs = self.call()
        referring = session.refer(CAROL)
        self.network.advance(0.5)
        referral = self.successResultOf(referring)
        # Both leave in the same moment.
        self.at_carol[0].ring()
        self.network.advance(0.015)
        referral.stop()
        self.network.advance(2)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.assertEqual(self.alice.connection_manager.inventory()["referrals"], 0)
        self.run_until(session.terminate())

    def test_stopped_early(self) -> None:
        """Who calls it off before the answer hears just that, and a NOTIFY then finds nobody (row:I4, limit:L16)."""
        referring = self.alice.refer(BOB, CAROL)
        referring.cancel()
        self.failureResultOf(referring, CancelledError)
        self.network.advance(1)
        self.assertEqual(self.alice.connection_manager.inventory()["referrals"], 0)

    def test_terminated(self) -> None:
        """The end of a party ends its referrals, and whoever waits is told (row:B13)."""
        referral = self.refer()
        waiting = referral.when_final()
        self.run_until(self.alice.terminate())
        self.failureResultOf(waiting, SessionTerminated, EndpointTerminated)
        self.assertTrue(referral.is_over)


class OvertakingTests(TransferTestCase):
    """What comes in an unusual order."""

    def test_the_last_comes_first(self) -> None:
        """All NOTIFYs may come before the answer to the REFER (row:I1, row:J10)."""

        def answer(request: Request) -> list[Response]:
            for number, (state, line) in enumerate(
                (("active;expires=60", "100 Trying"), ("terminated;reason=noresource", "200 OK")), 1
            ):
                body = f"SIP/2.0 {line}\r\n"
                notify = (
                    f"NOTIFY {request.headers['Contact'].split('>')[0][1:]} SIP/2.0\r\n"
                    f"Via: SIP/2.0/TLS s.example;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n"
                    f"From: <sip:s.example>;tag=bt\r\nTo: {request.headers['From']}\r\n"
                    f"Call-ID: {request.call_id}\r\nCSeq: {number} NOTIFY\r\nEvent: refer\r\n"
                    f"Subscription-State: {state}\r\nContact: <sip:s.example:5061;transport=tls>\r\n"
                    f"Content-Type: message/sipfrag\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                )
                server.connections[-1].send(notify.encode())
            return [reply(request, 202, ("Contact", "<sip:s.example:5061;transport=tls>"))]

        server = Server(self.network, "s.example", "s.example", answer)
        self.addCleanup(server.stop)
        referral: Any = self.run_until(self.alice.refer("sip:s.example", CAROL))
        self.assertIs(referral.status, ReferStatus.SUCCEEDED)
        told, reading = statuses(referral)
        self.successResultOf(reading)
        self.assertEqual(told, [100, 200])
        self.assertEqual(self.successResultOf(referral.when_final()).status, 200)


class RefusedTests(TransferTestCase):
    """A REFER that comes to nothing."""

    def test_declined(self) -> None:
        """A peer that nobody has told what to do declines (row:I5, fault:D5)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(self.referrals.append)
        self.assertEqual(self.status_of(self.alice.refer(BOB, CAROL)), 603)
        self.assertEqual(self.at_carol, [])

    def test_not_taken(self) -> None:
        """A party that takes no REFER says so (fault:D4)."""
        self.assertEqual(self.status_of(self.alice.refer(CAROL, BOB)), 405)

    def test_session_goes_on(self) -> None:
        """A REFER that is refused leaves its session as it was (row:I1)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        session, _ = self.call()
        self.assertEqual(self.status_of(session.refer(CAROL)), 603)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_arguments(self) -> None:
        """What cannot be referred to is refused where it is asked for (row:I1, row:I8)."""
        session, _ = self.call()
        for refer in (session.refer, lambda *given, **more: self.alice.refer(BOB, *given, **more)):
            self.assertRaises(ValueError, refer, "nobody")
            self.assertRaises(TypeError, refer, 1)
            self.assertRaises(TypeError, refer, CAROL, colour="red")
            self.assertRaises(ValueError, refer, CAROL, subscription="often")
            self.assertRaises(ValueError, refer, CAROL, headers=[("X", "a\r\nb")])
        self.run_until(session.terminate())
        self.assertRaises(InvalidOperation, session.refer, CAROL)


class SeveralTests(TransferTestCase):
    """Several REFERs in one dialog."""

    def refer_received(self, referral: Any) -> None:
        """Bob thinks about it."""
        referral.defer()
        self.referrals.append(referral)

    def test_first_alone(self) -> None:
        """Until the first is told of, the others wait; then each is told of by its own id (row:I3)."""
        session, _ = self.call()
        self.watch(session)
        waiting = [session.refer(f"sip:c{number}@c.example") for number in range(3)]
        self.network.advance(0.5)
        self.assertEqual(len(self.referrals), 1)
        self.referrals[0].accept(False)
        self.network.advance(0.5)
        self.assertEqual(len(self.referrals), 3)
        for referral in self.referrals[1:]:
            referral.accept(False)
        self.network.advance(0.5)
        ours = [self.successResultOf(each) for each in waiting]
        for number, referral in enumerate(self.referrals):
            referral.progress(200 + number)
        self.network.advance(0.5)
        self.assertEqual([each.outcome.status for each in ours], [200, 201, 202])
        self.assertEqual([str(each.target) for each in self.referrals], [f"sip:c{n}@c.example" for n in range(3)])
        self.run_until(session.terminate())

    def test_first_declined(self) -> None:
        """One that is refused holds up nobody (row:I3)."""
        session, _ = self.call()
        first, second = session.refer(CAROL), session.refer("sip:c2@c.example")
        self.network.advance(0.5)
        self.referrals[0].decline()
        self.network.advance(0.5)
        self.failureResultOf(first, RequestFailed)
        self.referrals[1].decline()
        self.network.advance(0.5)
        self.failureResultOf(second, RequestFailed)
        self.run_until(session.terminate())

    def test_waiting_stopped(self) -> None:
        """One that waits can be called off, and is never sent (row:I3, row:I4)."""
        session, _ = self.call()
        first, second = session.refer(CAROL), session.refer("sip:c2@c.example")
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.network.advance(0.5)
        self.referrals[0].decline()
        self.network.advance(0.5)
        self.failureResultOf(first, RequestFailed)
        self.assertEqual(len(self.referrals), 1)
        self.run_until(session.terminate())

    def test_session_ends(self) -> None:
        """Those that wait fail when the session ends (row:I3)."""
        session, _ = self.call()
        waiting = [session.refer(CAROL), session.refer("sip:c2@c.example")]
        self.network.advance(0.5)
        session.terminate()
        self.network.advance(40)
        for each in waiting:
            self.failureResultOf(each)

    def test_too_many(self) -> None:
        """A bound on those that wait: one more is refused, and may be tried again (row:I3)."""
        session, _ = self.call()
        waiting: list[Deferred[Any]] = [session.refer(CAROL) for _ in range(MOST_WAITING + 1)]
        error = self.assertRaises(InvalidOperation, session.refer, CAROL)
        self.assertTrue(error.retryable)
        for each in waiting:
            each.addErrback(lambda _: None)
        self.run_until(self.alice.terminate())
        self.network.advance(1)


class ReportTests(TransferTestCase):
    """What is told, and who reads it."""

    def refer_received(self, referral: Any) -> None:
        """Bob tells what he likes."""
        referral.accept(False)
        self.referrals.append(referral)

    def test_unread(self) -> None:
        """Of reports that nobody reads the oldest are given up, and the outcome never is (row:I1)."""
        referral: Any = self.run_until(self.alice.refer(BOB, CAROL))
        for number in range(MOST_KEPT + 8):
            self.referrals[0].progress(180, f"ring {number}")
            self.network.advance(1)
        self.referrals[0].progress(200)
        self.network.advance(1)
        self.assertGreater(referral.lost, 0)
        told, reading = statuses(referral)
        self.successResultOf(reading)
        self.assertEqual((len(told), told[-1]), (MOST_KEPT, 200))

    def test_one_reader(self) -> None:
        """Two cannot wait for the same report (row:I1)."""
        referral: Any = self.run_until(self.alice.refer(BOB, CAROL))
        self.network.advance(0.5)
        self.run_until(Deferred.fromCoroutine(referral.__anext__()))
        first = Deferred.fromCoroutine(referral.__anext__())
        second = Deferred.fromCoroutine(referral.__anext__())
        self.failureResultOf(second, InvalidOperation)
        first.cancel()
        self.failureResultOf(first)
        self.referrals[0].progress(200)
        self.network.advance(0.5)

    def test_never_final(self) -> None:
        """A peer that ends it without an outcome leaves it unknown (row:I2)."""
        referral: Any = self.run_until(self.alice.refer(BOB, CAROL))
        told, reading = statuses(referral)
        waiting = referral.when_final()
        self.run_until(self.bob.terminate())
        self.network.advance(1)
        self.successResultOf(reading)
        self.failureResultOf(waiting, OperationTimeout)
        self.assertIs(referral.status, ReferStatus.TERMINATED)
        self.assertEqual(told[0], 100)
