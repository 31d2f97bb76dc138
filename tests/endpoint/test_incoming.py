"""What a party is sent: handlers, and what becomes of their answers."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sip_p2p import (
    ConnectionFailure,
    EndpointState,
    RequestFailed,
    SipPeerToPeerEndpoint,
)
from sip_p2p.errors import AlreadyResponded
from tests.endpoint.support import PartyTestCase, keep


class ReceivingTests(PartyTestCase):
    """Groups B and G: handlers and what becomes of their answers."""

    def send(self, text: str = "x") -> int:
        """Alice sends, and this is what she is answered."""
        return self.status_of(self.alice.send_message("sip:bob@b.example", text))

    def test_who_it_is(self) -> None:
        """The event tells who sent it, as TLS proved it, and by which connection (row:B7, row:D12, row:E12)."""
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append(event.peer))
        self.send()
        peer = seen[0]
        self.assertEqual((peer.identity, peer.identities, peer.is_verified), ("a.example", ("a.example",), True))
        self.assertEqual((peer.transport, peer.tls_version, peer.is_incoming), ("TLS", "TLSv1.3", True))
        self.assertIsNotNone(peer.certificate)
        self.assertEqual(peer.local_address[1], 5061)
        self.assertIn("a.example", repr(peer))

    def test_answers(self) -> None:
        """None is 200, an int a status, a Response itself; Deferreds and coroutines of these when they are done
        (row:B6)."""

        async def coroutine() -> int:
            await deferLater(self.network.clock, 2)
            return 204

        for answer, status in (
            (lambda event: None, 200),
            (lambda event: 202, 202),
            (lambda event: event.response(299, "Odd"), 299),
            (lambda event: deferLater(self.network.clock, 2), 200),
            (lambda event: coroutine(), 204),
            (lambda event: event.respond(203), 203),
        ):
            self.bob.message_received.subscribe(answer)
            self.assertEqual(self.send(), status)
            self.bob.message_received.unsubscribe(answer)

    def test_answer_by_hand_and_later(self) -> None:
        """A handler can say that it answers later, give provisional answers, and answer once (row:B6, fault:K4)."""
        events: list = []

        def later(event: object) -> None:
            event.defer()  # type: ignore[attr-defined]
            events.append(event)

        self.bob.message_received.subscribe(later)
        sending = self.alice.send_message("sip:bob@b.example", "x")
        self.network.advance(1)
        self.assertNoResult(sending)
        events[0].respond(100)
        events[0].respond(202)
        self.assertEqual(self.run_until(sending).status, 202)  # type: ignore[attr-defined]
        with self.assertRaises(AlreadyResponded):
            events[0].respond(486)
        self.assertTrue(events[0].is_answered)

    def test_message_bodies(self) -> None:
        """A 2xx to a MESSAGE has no body: that is the caller's error, while a refusal has one, and so has a 2xx to
        another method (RFC 3428 section 7, row:F13)."""
        held: list = []
        self.bob.message_received.subscribe(keep(held))
        self.bob.handle("NOTE", lambda event: event.response(200, body="noted"))
        sending = self.alice.send_message("sip:bob@b.example", "x")
        self.network.advance(1)
        for status in (200, 202):
            with self.assertRaisesRegex(ValueError, "RFC 3428 section 7"):
                held[0].respond(status, body="done")
        held[0].respond(488, body="not here")
        self.assertEqual(self.failureResultOf(self.settled(sending), RequestFailed).value.response.text(), "not here")
        noted = self.run_until(self.alice.request("NOTE", "sip:bob@b.example"))
        self.assertEqual(noted.text(), "noted")  # type: ignore[attr-defined]

    def settled(self, deferred: Deferred) -> Deferred:
        """*deferred*, after enough time for its outcome."""
        self.network.advance(1)
        return deferred

    def test_answer_after_the_peer_has_gone(self) -> None:
        """An answer that nobody waits for any more is AlreadyResponded, and writes nothing (fault:K4, row:E15,
        fault:C3)."""
        events: list = []
        pending: Deferred = Deferred()
        cancelled: list = []
        pending.addErrback(cancelled.append)

        def handler(event: object) -> Deferred:
            events.append(event)
            return pending

        self.bob.message_received.subscribe(handler)
        sending = self.alice.send_message("sip:bob@b.example", "x")
        self.network.advance(1)
        self.network.cut(*self.network.hosts[:2])
        self.network.advance(1)
        self.failureResultOf(sending, ConnectionFailure)
        self.assertEqual(len(cancelled), 1)
        with self.assertRaises(AlreadyResponded):
            events[0].respond(200)

    def test_nobody_subscribed(self) -> None:
        """Without a subscriber a MESSAGE is 405 with Allow, never silence (row:B9)."""
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual((caught.exception.status, caught.exception.response.headers["Allow"]), (405, "OPTIONS"))
        handler = self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.send(), 200)
        self.bob.message_received.unsubscribe(handler)
        self.assertEqual(self.send(), 405)

    def test_invite(self) -> None:
        """An INVITE is 405 until somebody handles it, and then what the handler says (row:B8)."""
        bench = self.bob.connection_manager.core
        self.assertFalse(self.bob.profile.allows("INVITE"))
        self.bob.handle("INVITE", lambda event: 486, accept=["application/sdp"])
        self.assertTrue(self.bob.profile.allows("INVITE"))
        self.bob.stop_handling("INVITE")
        self.assertFalse(self.bob.profile.allows("INVITE"))
        self.assertEqual(bench.layer.inventory()["servers"], 0)

    def test_raising(self) -> None:
        """Whatever a handler raises, at once or later, is logged once and answered 500; the next request is served
        (row:B10, fault:K1)."""

        async def fails_later() -> None:
            raise KeyError("later")

        def exits(event: object) -> None:
            raise GeneratorExit("odd")

        def fails(event: object) -> None:
            raise RuntimeError("now")

        for handler, kind in ((fails, RuntimeError), (exits, GeneratorExit), (lambda event: fails_later(), KeyError)):
            self.bob.message_received.subscribe(handler)
            self.assertEqual(self.send(), 500)
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
            self.bob.message_received.unsubscribe(handler)
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.send(), 200)

    def test_nonsense_answers(self) -> None:
        """An answer that is none is the handler's fault: logged, and 500 (fault:K1)."""
        for nonsense in ("200", 3.5, True, 99, 1000, b"x"):
            self.bob.message_received.subscribe(handler := lambda event, nonsense=nonsense: nonsense)
            self.assertEqual(self.send(), 500)
            self.assertTrue(self.flushLoggedErrors(TypeError, ValueError))
            self.bob.message_received.unsubscribe(handler)

    def test_malformed_fields_are_the_peers_fault(self) -> None:
        """A handler that reads a field which the peer wrote badly answers 400 by raising, and nothing is logged
        (row:B10)."""
        self.bob.message_received.subscribe(
            lambda event: event.from_.uri and event.request.headers and _read_date(event)
        )
        answer = self.alice.send_message("sip:bob@b.example", "x", headers=[("Refer-To", "<<>>")])
        self.assertEqual(self.status_of(answer), 400)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_silent_handler(self) -> None:
        """A Deferred that never fires is answered 500 in its place, cancelled, and nothing stays (fault:K2)."""
        never: Deferred = Deferred()
        ended: list = []
        never.addErrback(ended.append)
        self.bob.message_received.subscribe(lambda event: never)
        self.assertEqual(self.send(), 500)
        self.assertEqual(len(ended), 1)
        self.assertEqual(self.bob.connection_manager.inventory()["unanswered"], 0)

    def test_slow_handler(self) -> None:
        """After a handler that held everything up for seconds the timers catch up without a burst (fault:K3)."""
        udp = self.network.party("sip:u@u.example", listen="udp:5060", default_transport="udp")
        sent: list[int] = []
        udp.connection_manager.add_tap(_Counter(sent))
        udp.request("OPTIONS", "sip:nobody@10.200.200.200", timeout=30).addErrback(lambda _: None)
        self.network.clock.rightNow += 20
        self.network.advance(0)
        self.network.settle()
        self.assertLessEqual(len(sent), 3)
        self.network.advance(31)

    def test_several_subscribers(self) -> None:
        """All subscribers are told, in order; the first answer counts, and a later one's failure is only logged
        (row:B11)."""
        order: list[str] = []
        self.bob.message_received.subscribe(lambda event: order.append("first"))
        self.bob.message_received.subscribe(lambda event: order.append("second") or 202)

        @self.bob.message_received.subscribe
        def third(event: object) -> None:
            order.append("third")
            raise RuntimeError("too late")

        self.assertEqual(self.send(), 202)
        self.assertEqual(order, ["first", "second", "third"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_subscribing_while_told(self) -> None:
        """Subscribing and unsubscribing within a handler counts from the next event on (fault:K6)."""
        heard: list[str] = []

        def once(event: object) -> None:
            heard.append("once")
            self.bob.message_received.unsubscribe(once)
            self.bob.message_received.subscribe(lambda event: heard.append("always"))

        self.bob.message_received.subscribe(once)
        self.send()
        self.send()
        self.assertEqual(heard, ["once", "always"])

    def test_calls_from_within_handlers(self) -> None:
        """A handler may send, answer, stop listening and terminate: all of it takes effect, in order (fault:K5,
        row:B11)."""
        replies: list = []
        self.alice.message_received.subscribe(lambda event: replies.append(event.text))

        def everything(event: object) -> None:
            event.respond(200)  # type: ignore[attr-defined]
            self.bob.send_message("sip:alice@a.example", "from within")
            self.bob.connection_manager.stop_listening()

        self.bob.message_received.subscribe(everything)
        self.assertEqual(self.send(), 200)
        self.network.advance(1)
        self.assertEqual((replies, self.bob.connection_manager.is_listening), (["from within"], False))
        self.alice.message_received.subscribe(lambda event: self.alice.connection_manager.terminate() and None)
        self.run_until(self.bob.send_message("sip:alice@a.example", "the end").addErrback(lambda _: None))
        self.network.advance(10)
        self.assertTrue(self.alice.is_terminated)

    def test_terminate_from_a_state_handler(self) -> None:
        """terminate called from a state handler ends once (fault:K5)."""
        states: list[EndpointState] = []

        @self.bob.state_changed.subscribe
        def changed(event: object) -> None:
            states.append(event.state)  # type: ignore[attr-defined]
            self.bob.terminate()

        self.run_until(self.bob.connection_manager.stop_listening())
        self.assertEqual(states.count(EndpointState.DISCONNECTED), 1)

    def test_handlers_by_method(self) -> None:
        """Any method can be handled, as a call or a decorator; what is not is 405 or 501 (row:B12, row:F7)."""

        @self.bob.handle("PUBLISH")
        def publish(event: object) -> int:
            return 202

        self.assertEqual(self.status_of(self.alice.request("PUBLISH", "sip:bob@b.example")), 202)
        self.bob.stop_handling("PUBLISH")
        self.assertEqual(self.status_of(self.alice.request("PUBLISH", "sip:bob@b.example")), 405)
        self.assertEqual(self.status_of(self.alice.request("XYZZY", "sip:bob@b.example")), 501)
        for method in ("ACK", "CANCEL", "A B"):
            with self.assertRaises(ValueError):
                self.bob.handle(method, publish)
        with self.assertRaises(TypeError):
            self.bob.handle("INFO", "not a function")  # type: ignore[call-overload]

    def test_body_types(self) -> None:
        """A handler that names its types gets no others: 415 with Accept (row:G11)."""
        self.bob.handle("INFO", lambda event: None, accept=["application/dtmf-relay"])
        wrong = self.alice.request("INFO", "sip:bob@b.example", body="x")
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(wrong)
        self.assertEqual(
            (caught.exception.status, caught.exception.response.headers["Accept"]), (415, "application/dtmf-relay")
        )
        right = self.alice.request("INFO", "sip:bob@b.example", body="Signal=1", content_type="application/dtmf-relay")
        self.assertEqual(self.status_of(right), 200)

    def test_handlers_from_the_start(self) -> None:
        """Handlers can be given when the endpoint is made, before anything can come (row:M9)."""
        heard: list[str] = []
        self.network.party(
            "sip:erin@e.example",
            message_received=lambda event: heard.append(event.text),
            handlers={"PING": lambda event: heard.append("ping")},
        )
        self.run_until(self.alice.send_message("sip:erin@e.example", "hello"))
        self.run_until(self.alice.request("PING", "sip:erin@e.example"))
        self.assertEqual(heard, ["hello", "ping"])

    def test_dispatch(self) -> None:
        """The Request-URI decides, then To, then the fallback; else 404 (row:G1, row:G3, row:G4, row:G5)."""
        heard: list[str] = []
        manager = self.bob.connection_manager
        carol = SipPeerToPeerEndpoint("sip:carol@b.example", manager)
        self.bob.message_received.subscribe(lambda event: heard.append("bob"))
        carol.message_received.subscribe(lambda event: heard.append("carol"))
        self.run_until(self.alice.send_message("sip:carol@b.example", "x"))
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual(heard, ["carol", "bob"])
        self.assertIs(manager.fallback_endpoint, self.bob)
        self.run_until(self.alice.send_message("sip:stranger@b.example", "x"))
        manager.fallback_endpoint = carol
        self.run_until(self.alice.send_message("sip:stranger@b.example", "x"))
        manager.fallback_endpoint = None
        self.assertEqual(self.status_of(self.alice.send_message("sip:stranger@b.example", "x")), 404)
        self.assertEqual(heard, ["carol", "bob", "bob", "carol"])
        with self.assertRaises(ValueError):
            manager.fallback_endpoint = self.alice

    def test_dialled_peers_may_not_ask(self) -> None:
        """That we dialled a peer does not let it ask us anything: allow= or trust_dialed_peers does (row:D9)."""
        for trusted, status in ((False, 403), (True, 200)):
            name = f"t{int(trusted)}.example"
            dialler = self.network.party(
                f"sip:d@{name}", listen=(), manager={"allow": [], "trust_dialed_peers": trusted}
            )
            dialler.message_received.subscribe(lambda event: None)
            self.bob.handle("PING", lambda event: None)
            self.run_until(dialler.request("PING", "sip:bob@b.example"))
            self.assertEqual(self.status_of(self.bob.send_message(f"sip:d@{name}", "x")), status)

    def test_snapshots(self) -> None:
        """Collections that are handed out do not change under the reader's hands (row:M7)."""
        manager = self.bob.connection_manager
        endpoints, listeners, handlers = manager.endpoints, manager.listeners, self.bob.message_received.handlers
        SipPeerToPeerEndpoint("sip:new@b.example", manager)
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual((len(endpoints), len(listeners), len(handlers)), (1, 1, 0))

    def test_metrics(self) -> None:
        """What happened is counted, by name (row:M10)."""
        self.bob.message_received.subscribe(lambda event: None)
        self.send()
        metrics = self.bob.connection_manager.metrics()
        self.assertEqual((metrics["core_requests"], metrics["core_refused_requests"], metrics["live_flows"]), (1, 0, 1))
        self.assertTrue(all(isinstance(value, int) for value in metrics.values()))


class _Counter:
    """A tap that counts what goes out."""

    def __init__(self, sent: list[int]) -> None:
        self._sent = sent

    def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
        """One message."""
        if direction == "out":
            self._sent.append(len(data))


def _read_date(event: object) -> None:
    from sip_p2p.sip.fields import parse_name_addr

    parse_name_addr(event.request.headers["Refer-To"], "Refer-To")  # type: ignore[attr-defined]
