"""The application's word on each connection: yes, no, later, never, and when the connection does not wait for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from sip_p2p import ConnectionFailure, Limits, TlsFailure, TlsFailureReason
from sip_p2p.endpoint.connection_request import ConnectionRequest
from sip_p2p.testing import Network
from sip_p2p.transport.stream.authorization import Authorization
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import StreamBench, request, statuses

SECURE = "sip:bob@b.example"
CLEAR = "sip:bob@b.example:5060;transport=tcp"


class BenchTests(SynchronousTestCase):
    """One connection on a string transport."""

    def setUp(self) -> None:
        self.bench = StreamBench()
        self.bench.user.answers = self.bench.answer
        self.owner = self.bench.owner
        self.answer: Any = True
        self.asked: list[Any] = []
        self.owner.authorization = Authorization(self.owner.reactor, self._judge)

    def _judge(self, flow: Any) -> object:
        self.asked.append(flow)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def test_at_once(self) -> None:
        """An answer that is there at once costs nothing: yes is a flow, and only True is a yes (row:D23)."""
        protocol, wire = self.bench.connect()
        self.bench.deliver(protocol, request())
        self.assertEqual((statuses(wire.value()), wire.done), ([200], []))
        for answer in (False, None, 1, "yes", succeed(False), succeed(None), succeed(1)):
            self.answer = answer
            protocol, wire = self.bench.connect()
            self.assertIsNone(protocol.flow, answer)
            self.assertTrue(wire.disconnecting)
            self.assertIn("did not authorise", str(self.owner.reasons[-1]))

    def test_raises(self) -> None:
        """An exception is a no, with its traceback in the log, raised or in the Deferred (row:D23)."""
        for answer in (ValueError("broken"), fail(ValueError("broken"))):
            self.answer = answer
            protocol, wire = self.bench.connect()
            self.assertEqual((protocol.flow, wire.disconnecting), (None, True))
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_held(self) -> None:
        """While it is undecided what comes is held, and nothing is written; then it goes on in order (row:D23)."""
        self.answer = Deferred()
        protocol, wire = self.bench.connect()
        self.bench.deliver(protocol, request())
        self.assertEqual((wire.value(), protocol.flow), (b"", None))
        self.answer.callback(True)
        self.bench.deliver(protocol, b"")
        self.assertEqual((statuses(wire.value()), wire.done), ([200], []))
        self.assertEqual(self.owner.reactor.getDelayedCalls(), [])

    def test_flood(self) -> None:
        """When much is held nothing more is read, and what comes all the same has a bound (row:D23, fault:H1)."""
        self.answer = Deferred()
        protocol, wire = self.bench.connect()
        protocol.dataReceived(b"x" * 16383)
        self.assertEqual(wire.done, [])
        protocol.dataReceived(b"x")
        self.assertEqual(wire.done, ["pause"])
        self.answer.callback(False)
        self.assertEqual(wire.done[:2], ["pause", "resume"])
        protocol.connectionLost(Failure(ConnectionFailure("gone")))
        self.answer = Deferred()
        protocol, wire = self.bench.connect()
        for _ in range(4):
            protocol.dataReceived(b"x" * 65536)
        self.assertIn("abort", wire.done)
        protocol.connectionLost(Failure(ConnectionFailure("gone")))
        self.assertEqual(self.owner.reactor.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """No answer within the deadline is a no, and one that comes afterwards does nothing (row:D23)."""
        self.answer = Deferred()
        protocol, wire = self.bench.connect()
        self.owner.reactor.advance(4.9)
        self.assertFalse(wire.disconnecting)
        self.owner.reactor.advance(0.2)
        self.assertTrue(wire.disconnecting)
        self.assertIsNone(protocol.flow)
        self.assertIn("no answer within 5 s", str(self.owner.reasons[-1]))
        self.answer.callback(True)
        self.assertIsNone(protocol.flow)
        self.owner.reactor.advance(5)
        self.assertIn("abort", wire.done)

    def test_gone_meanwhile(self) -> None:
        """A connection that ends while it is undecided asks for no answer any more; a late one does nothing."""
        self.answer = Deferred(lambda _: None)
        protocol, _ = self.bench.connect()
        protocol.connectionLost(Failure(ConnectionFailure("gone")))
        self.assertEqual(self.owner.reactor.getDelayedCalls(), [])
        self.assertTrue(self.answer.called)
        self.assertEqual(self.owner.log, ["made", "ended"])

    def test_no_room_any_more(self) -> None:
        """A yes that comes when there is no room any more is dropped."""
        self.answer = Deferred()
        protocol, wire = self.bench.connect()
        self.owner.too_many = "256 are open"
        self.answer.callback(True)
        self.assertEqual((protocol.flow, wire.done), (None, ["abort"]))


class PartyTests(SynchronousTestCase):
    """Two parties, one of which asks its application."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.requests: list[ConnectionRequest] = []
        self.answer: Callable[[ConnectionRequest], object] = lambda request: True
        asking = {"authorize": self._authorize, "limits": Limits(handshakes=3, authorization_timeout=4.0)}
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example", listen=["tls:5061", "tcp:5060", "wss:443"], manager=asking)
        self.events: list[Any] = []
        self.bob.message_received.subscribe(self.events.append)
        self.addCleanup(self.network.finish)

    def _authorize(self, request: ConnectionRequest) -> object:
        self.requests.append(request)
        return self.answer(request)

    def failure(self, sending: Any) -> Any:
        """What a request fails with."""
        with self.assertRaises(ConnectionFailure) as caught:
            self.network.run_until(sending)
        return caught.exception

    def test_what_is_asked(self) -> None:
        """The application sees who it is, which way, and from where, over every transport (row:D23)."""
        for uri, transport, identity in (
            (SECURE, "TLS", "a.example"),
            (CLEAR, "TCP", ""),
            ("sips:bob@b.example;transport=ws", "WSS", "a.example"),
        ):
            self.assertEqual(self.network.run_until(self.alice.send_message(uri, "x")).status, 200)
            asked = self.requests[-1]
            self.assertEqual((asked.transport, asked.peer.identity, asked.is_incoming), (transport, identity, True))
            self.assertEqual((asked.address[0], asked.local_address[0]), ("10.0.0.1", "10.0.0.2"))
            self.assertIn(f"<ConnectionRequest {transport} from ", repr(asked))

    def test_denied(self) -> None:
        """A no ends an accepted connection before any message: it is told and counted here, and fails what was to be
        sent there (row:D24)."""
        self.answer = lambda request: False
        told: list[TlsFailure] = []
        self.bob.connection_manager.tls_failed.subscribe(told.append)
        self.failure(self.alice.send_message(SECURE, "x"))
        self.assertEqual([each.reason for each in told], [TlsFailureReason.AUTHORIZATION_DENIED])
        self.assertIsNotNone(told[0].certificate)
        self.assertEqual(self.bob.connection_manager.metrics()["tls_failures_authorization_denied"], 1)
        self.alice.connection_manager.pool.forget_failures()
        self.failure(self.alice.send_message(CLEAR, "x"))
        self.assertEqual((self.events, len(told)), ([], 1))
        self.network.advance(1)
        self.assertEqual(self.bob.connection_manager.inventory()["connections"], 0)

    def test_denied_out(self) -> None:
        """A no to a connection that we dial fails our requests with AUTHORIZATION_DENIED, and the peer hears of none
        of them (row:D24)."""
        got: list[Any] = []
        self.alice.message_received.subscribe(got.append)
        self.answer = lambda request: request.is_incoming
        failure = self.failure(self.bob.send_message("sip:alice@a.example", "x"))
        self.assertIsInstance(failure, TlsFailure)
        self.assertIs(failure.reason, TlsFailureReason.AUTHORIZATION_DENIED)
        self.assertEqual(got, [])
        (asked,) = self.requests
        self.assertEqual((asked.peer.identity, asked.is_incoming), ("a.example", False))

    def test_later(self) -> None:
        """The answer may come later, also from a coroutine; meanwhile nothing passes either way (row:D23)."""
        answers: list[Deferred[bool]] = []

        async def ask(request: ConnectionRequest) -> bool:
            answers.append(Deferred())
            return await answers[-1]

        self.answer = ask
        inward = self.alice.send_message(SECURE, "in")
        self.network.advance(1)
        self.assertEqual((self.events, inward.called), ([], False))
        answers[0].callback(True)
        self.assertEqual(self.network.run_until(inward).status, 200)
        got: list[Any] = []
        self.alice.message_received.subscribe(got.append)
        outward = self.bob.send_message("sip:alice@a.example:5061", "out")
        self.network.advance(1)
        for answer in answers[1:]:
            answer.callback(True)
        self.assertEqual((self.network.run_until(outward).status, len(got)), (200, 1))

    def test_wss_denied(self) -> None:
        """Over WebSocket the goodbye says that it is a matter of policy (RFC 6455 section 7.4.1; row:D24)."""
        self.answer = lambda request: False
        failure = self.failure(self.alice.send_message("sips:bob@b.example;transport=ws", "x"))
        self.assertIn("1008", str(failure))

    def test_undecided_are_bounded(self) -> None:
        """Undecided connections count as handshakes, and a good peer gets through when they have had their time
        (row:D28, fault:H1)."""
        self.answer = lambda request: Deferred() if request.transport == "TCP" else True
        host = self.network.host("10.0.7.7")
        for _ in range(5):
            connecting = HostnameEndpoint(host, "10.0.0.2", 5060).connect(Factory.forProtocol(Protocol))
            self.network.run_until(connecting)
        self.network.advance(0.5)
        self.assertLessEqual(self.bob.connection_manager.inventory()["handshakes"], 3)
        self.network.advance(10)
        self.assertEqual(self.bob.connection_manager.inventory()["handshakes"], 0)
        self.assertEqual(self.network.run_until(self.alice.send_message(SECURE, "canary")).status, 200)

    def test_gone_meanwhile(self) -> None:
        """A peer that goes while it is undecided is noticed at once, and nobody is asked about it any more, in clear
        text and over TLS (row:D28)."""
        cancelled: list[object] = []
        self.answer = lambda request: Deferred(cancelled.append)
        manager = self.bob.connection_manager
        connecting = HostnameEndpoint(self.network.host(), "10.0.0.2", 5060).connect(Factory.forProtocol(Protocol))
        protocol: Any = self.network.run_until(connecting)
        sending = self.alice.send_message(SECURE, "x")
        self.network.advance(0.5)
        self.assertEqual(manager.inventory()["undecided"], 2)
        protocol.transport.loseConnection()
        sending.addErrback(lambda failure: failure.trap(CancelledError) and None)
        sending.cancel()
        self.network.run_until(self.alice.connection_manager.terminate())
        self.network.advance(0.5)
        inventory = manager.inventory()
        self.assertEqual((inventory["undecided"], inventory["connections"], len(cancelled)), (0, 0, 2))

    def test_terminated_meanwhile(self) -> None:
        """A manager that ends while a connection is undecided waits for nobody, and leaves nothing."""
        self.answer = lambda request: Deferred()
        sending = self.alice.send_message(SECURE, "x")
        self.network.advance(1)
        self.network.run_until(self.bob.connection_manager.terminate())
        self.failure(sending)
        self.assertEqual(self.bob.connection_manager.inventory()["connections"], 0)

    def test_no_function(self) -> None:
        """What cannot be called is no authorize."""
        self.assertRaises(TypeError, self.network.party, "sip:carol@c.example", manager={"authorize": "yes"})
