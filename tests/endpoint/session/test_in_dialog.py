"""Requests within a session: ours, the peer's, and what nobody takes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import IncomingRequest, InvalidOperation, OperationTimeout, RequestFailed
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase


class InDialogTests(CallTestCase):
    """A session that stands, and what is said in it."""

    def setUp(self) -> None:
        """It stands."""
        super().setUp()
        self.bob.profile.info_packages = ("dtmf",)
        self.session, self.theirs = self.call()
        self.seen: list[str] = []
        self.addCleanup(lambda: self.run_until(self.session.terminate()))

    def take(self, incoming: IncomingRequest) -> Any:
        """Keep what came; a body that is a number is the answer."""
        self.seen.append(f"{incoming.method} {incoming.text if incoming.body else ''}".rstrip())
        return int(incoming.text) if incoming.body.isdigit() else None

    def refused(self, asking: Deferred[Any]) -> int:
        """The status."""
        self.network.advance(1)
        error = self.failureResultOf(asking, RequestFailed).value
        assert isinstance(error, RequestFailed)
        return error.status

    def test_any_method(self) -> None:
        """Any method reaches the handlers of the session, from either side, with its body and fields (row:H25)."""
        self.theirs.request_received.subscribe(self.take)
        self.session.request_received.subscribe(self.take)
        for session in (self.session, self.theirs):
            response = self.run_until(session.request("DANCE", body="tango", content_type="text/plain"))
            self.assertEqual(response.status, 200)  # type: ignore[attr-defined]
        self.assertEqual(self.seen, ["DANCE tango", "DANCE tango"])

    def test_methods_of_others(self) -> None:
        """Neither the methods that other extensions have nor OPTIONS are kept from a session, and OPTIONS is answered
        where nobody takes it (row:F7, limit:L4)."""
        self.assertEqual(self.run_until(self.session.request("OPTIONS")).status, 200)  # type: ignore[attr-defined]
        self.theirs.request_received.subscribe(self.take)
        for method in ("PUBLISH", "SERVICE", "BENOTIFY"):
            self.assertEqual(self.run_until(self.session.request(method)).status, 200)  # type: ignore[attr-defined]
        self.assertEqual(self.seen, ["PUBLISH", "SERVICE", "BENOTIFY"])

    def test_message(self) -> None:
        """A MESSAGE goes to its own event; where nobody listens there, to the other one (row:H25)."""
        self.theirs.request_received.subscribe(self.take)
        self.run_until(self.session.send_message("one"))
        self.theirs.message_received.subscribe(lambda incoming: self.seen.append(f"{incoming.text}!"))
        self.run_until(self.session.send_message("two"))
        self.assertEqual(self.seen, ["MESSAGE one", "two!"])

    def test_info(self) -> None:
        """An INFO names its package, and is not sent to a peer that has not said that it takes that one (row:H25)."""
        seen: list[IncomingRequest] = []
        self.theirs.request_received.subscribe(seen.append)
        self.run_until(self.session.send_info("dtmf", "5", "application/dtmf"))
        self.assertEqual(seen[0].request.headers["Info-Package"], "dtmf")
        self.assertEqual(seen[0].request.headers["Content-Disposition"], "info-package")
        self.assertRaises(InvalidOperation, self.session.send_info, "dance")
        self.assertEqual(len(seen), 1)
        # RFC 6086 section 5.2.2: who takes no package says so, or would not be told what the other one takes.
        self.assertEqual(self.theirs.participant.capabilities.info_packages, frozenset())

    def test_nobody_takes_it(self) -> None:
        """What nobody takes is 405 with Allow, 501 where the method is not known, and 603 where it asks to call
        somebody; the session goes on (row:H25, row:I5, fault:D4, fault:D5)."""
        for method, status in (("INFO", 405), ("NOTIFY", 481), ("REFER", 603), ("SUBSCRIBE", 405), ("DANCE", 501)):
            self.assertEqual(self.refused(self.session.request(method)), status)
        self.assertEqual(self.refused(self.session.send_message("x")), 405)
        self.assertIs(self.theirs.state, SignalingState.CONNECTED)

    def test_answers(self) -> None:
        """A handler answers as outside of a session: with a status, later, by raising (fault:K1)."""
        self.theirs.request_received.subscribe(self.take)
        self.assertEqual(self.refused(self.session.send_message("486")), 486)
        self.theirs.request_received.unsubscribe(self.take)

        def fails(incoming: IncomingRequest) -> None:
            raise ZeroDivisionError

        self.theirs.request_received.subscribe(fails)
        self.assertEqual(self.refused(self.session.request("INFO")), 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.theirs.request_received.unsubscribe(fails)
        later: Deferred[int] = Deferred()
        self.theirs.request_received.subscribe(lambda incoming: later)
        asking = self.session.request("INFO")
        self.network.advance(1)
        self.assertEqual(self.living(self.bob)["unanswered"], 1)
        later.callback(202)
        self.assertEqual(self.run_until(asking).status, 202)  # type: ignore[attr-defined]
        self.assertNotIn("unanswered", self.living(self.bob))

    def test_never_answered(self) -> None:
        """What a handler never answers is 500 in the end, or fails when the caller's own time is over (fault:K2)."""
        self.theirs.request_received.subscribe(lambda incoming: Deferred())
        asking, short = self.session.request("INFO"), self.session.request("INFO", timeout=3)
        self.network.advance(4)
        self.failureResultOf(short, OperationTimeout)
        self.network.advance(30)
        self.assertEqual(self.failureResultOf(asking, RequestFailed).value.status, 500)
        self.assertIs(self.session.state, SignalingState.CONNECTED)

    def test_early_dialog_that_ends(self) -> None:
        """A request that waits in an early dialog waits no longer when that ends, however it does (fault:D9)."""
        endings = {
            "refused": lambda: self.received[-1].reject(486),
            "cancelled": lambda: session.terminate(),
            "hung up": lambda: usage.bye(driver.now()),
        }
        driver = self.alice.connection_manager.driver
        later: list[Deferred[Any]] = []
        for how, end in endings.items():
            later.clear()
            session, establishing = self.begin()
            establishing.addErrback(lambda _: None)
            self.received[-1].request_received.subscribe(lambda incoming: Deferred(later.append))
            self.received[-1].ring()
            self.network.advance(1)
            [early] = session.early_dialogs
            usage = early.usage
            usage.request("DANCE", driver.now())
            driver.drain()
            self.network.advance(1)
            self.assertEqual(self.living(self.bob)["unanswered"], 1)
            end()
            driver.drain()
            self.network.advance(1)
            self.assertNotIn("unanswered", self.living(self.bob), how)
            self.assertEqual(len(later), 1, how)

    def test_refused_for_a_while(self) -> None:
        """A 503 of the peer itself is the answer: in a dialog there is nobody else to be asked, and the same request
        does not go out a second time (row:H25)."""
        self.theirs.request_received.subscribe(lambda incoming: (self.seen.append(incoming.method), 503)[1])
        self.assertEqual(self.refused(self.session.request("DANCE")), 503)
        self.network.advance(5)
        self.assertEqual(self.seen, ["DANCE"])

    def test_far_too_many(self) -> None:
        """While we have to read on for an answer of the peer's, it can have only so many requests waiting in a session;
        more are answered 500, and told when to come again (fault:H5)."""
        self.theirs.request_received.subscribe(lambda incoming: Deferred())
        self.session.request_received.subscribe(lambda incoming: Deferred())
        self.theirs.request("WAIT", timeout=20).addErrback(lambda _: None)
        self.network.advance(1)
        asking = [self.session.request("DANCE", timeout=20) for _ in range(140)]
        self.network.advance(1)
        refused = [each for each in asking if each.called]
        self.assertEqual((len(refused), {self.refused(each) for each in refused}), (12, {500}))
        self.assertEqual(self.living(self.bob)["unanswered"], 128)
        for each in asking:
            each.addErrback(lambda _: None)
        self.network.advance(40)
        self.assertNotIn("unanswered", self.living(self.bob))

    def test_cancelled(self) -> None:
        """What nobody waits for any more is absorbed when it comes (row:F9)."""
        self.theirs.request_received.subscribe(self.take)
        asking = self.session.request("INFO")
        asking.cancel()
        self.failureResultOf(asking)
        self.network.advance(1)
        self.assertEqual(self.seen, ["INFO"])

    def test_481(self) -> None:
        """A peer that does not know the session ends it (section 12.2.1.2, row:H36)."""
        self.theirs.request_received.subscribe(lambda incoming: 481)
        self.assertEqual(self.refused(self.session.request("INFO")), 481)
        self.assertIs(self.session.state, SignalingState.DISCONNECTED)
        self.run_until(self.theirs.terminate())

    def test_arguments(self) -> None:
        """What is the session's own, and what cannot be, is refused at once."""
        for method in ("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE"):
            self.assertRaises(InvalidOperation, self.session.request, method)
        self.assertRaises(ValueError, self.session.request, "INFO", body=b"x")
        self.assertRaises(ValueError, self.session.request, "a b")
        self.assertRaises(ValueError, self.session.request, "INFO", headers=[("Subject", "a\r\nb")])


class TogetherTests(CallTestCase):
    """What a peer says as soon as the session stands for it."""

    def test_with_the_ack(self) -> None:
        """A request that comes in one delivery with the ACK is told once the session stands, and before a BYE behind it
        (row:H25)."""
        told: list[str] = []

        def called(session: SignalingSession) -> Any:
            session.state_changed.subscribe(lambda event: told.append(event.state.name))
            session.message_received.subscribe(lambda event: told.append(f"{event.text} {session.state.name}"))
            return session.accept(ANSWER)

        self.bob.session_received.subscribe(called)

        def talk(session: SignalingSession) -> None:
            session.send_message("hello").addErrback(lambda _: None)
            session.terminate()

        self.run_until(self.alice.invite(BOB, OFFER).addCallback(talk))
        self.network.advance(1)
        self.assertEqual(told, ["CONNECTING", "CONNECTED", "hello CONNECTED", "DISCONNECTED"])
