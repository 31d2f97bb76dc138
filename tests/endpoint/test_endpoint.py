"""The party: who it is, and its states, on a network in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from sip_p2p import (
    ConnectionFailure,
    EndpointState,
    EndpointTerminated,
    InvalidOperation,
    RealTimeServerTcpConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
    StateReason,
    Target,
    Transport,
)
from sip_p2p.testing import Network
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase


class IdentityTests(PartyTestCase):
    """Group A."""

    def party(self, uri: str = "sip:carol@a.example", **options: object) -> SipPeerToPeerEndpoint:
        """One more endpoint on Alice's manager."""
        return SipPeerToPeerEndpoint(uri, self.alice.connection_manager, **options)  # type: ignore[arg-type]

    def test_construction(self) -> None:
        """An endpoint is its URI, its manager, a default transport and perhaps a proxy (row:A1)."""
        carol = self.party(default_transport="tcp", proxy="tls:p.example:5071", application_context="mine")
        self.assertEqual(carol.default_transport, Transport.TCP)
        self.assertEqual(carol.proxy.target, Target("tls", "p.example", 5071))
        self.assertEqual(carol.application_context, "mine")

    def test_no_port_in_the_owner_uri(self) -> None:
        """An owner URI with a port, or with header fields, is refused; the Contact has the port that is bound
        (row:A2)."""
        for uri in ("sip:carol@a.example:5060", "sip:carol@a.example?Subject=x", "nonsense", "http://a.example"):
            with self.assertRaises(ValueError):
                self.party(uri)
        self.assertEqual(self.alice.contact_uri.port, 5061)
        self.assertEqual(len(self.alice.connection_manager.endpoints), 1)

    def test_tls_unless_said_otherwise(self) -> None:
        """What is made without saying so is TLS; a manager for clear text has to be asked for by name (row:A3,
        row:D3)."""
        self.assertEqual(self.alice.default_transport, Transport.TLS)
        manager = RealTimeServerTcpConnectionManager(self.network.host())
        plain = SipPeerToPeerEndpoint("sip:p@p.example", manager)
        self.assertEqual(plain.default_transport, Transport.TCP)
        with self.assertRaises(InvalidOperation):
            self.run_until(plain.send_message("sips:bob@b.example", "x"))
        self.run_until(manager.terminate())

    def test_transports(self) -> None:
        """The URI's transport overrides the default; one that does not exist is refused at once (row:A4)."""
        with self.assertRaises(ValueError):
            self.party(default_transport="carrier-pigeon")
        with self.assertRaises(ValueError):
            self.alice.send_message("sip:bob@b.example;transport=pigeon", "x")
        with self.assertRaises(ConnectionFailure):
            self.run_until(self.alice.send_message("sip:bob@b.example;transport=tcp", "nobody listens there"))

    def test_application_context(self) -> None:
        """A slot for the application, which nobody else looks at (row:A15)."""
        self.alice.application_context = context = object()
        self.assertIs(self.alice.application_context, context)

    def test_extensions(self) -> None:
        """Require of an unknown extension is 420; the set can be added to while it runs (row:A19, row:G10)."""
        require = [("Require", "x-night")]
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x", headers=require)), 420)
        self.bob.supported_extensions.add("x-night")
        self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", "x", headers=require)), 200)

    def test_arguments_that_are_none(self) -> None:
        """An endpoint that could not be made leaves nothing behind: its address is free for the next."""
        wrong: list[dict[str, object]] = [
            {"handlers": {"NOT A METHOD": print}},
            {"handlers": {"INFO": "not a function"}},
            {"message_received": 5},
            {"supported": ["a\r\nX: y"]},
        ]
        for arguments in wrong:
            with self.assertRaises((ValueError, TypeError)):
                self.party(**arguments)
        self.assertEqual(self.alice.connection_manager.endpoints, (self.alice,))
        self.party().terminate()

    def test_one_endpoint_for_each_address(self) -> None:
        """A second endpoint for the same address of record on one manager is refused, and leaves nothing behind."""
        with self.assertRaises(ValueError):
            self.party("sip:alice@a.example")
        self.assertEqual(self.alice.connection_manager.endpoints, (self.alice,))


class StateTests(SynchronousTestCase):
    """Group B: states, reasons and the end."""

    def setUp(self) -> None:
        """A party that does not listen yet."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", listen=())
        self.seen: list[tuple[str, str, str]] = []
        self.alice.state_changed.subscribe(
            lambda event: self.seen.append((event.previous_state.value, event.state.value, event.reason.value))
        )
        self.addCleanup(self.network.finish)

    def test_listening_and_stopping(self) -> None:
        """Each change is an event with the state before, the one after and the reason (row:B1, row:B2, row:B3)."""
        self.assertIs(self.alice.state, EndpointState.DISCONNECTED)
        connected = self.alice.when_connected()
        manager = self.alice.connection_manager
        listener = self.network.run_until(manager.start_listening("tls:port=0"))
        self.successResultOf(connected)
        self.assertIs(self.alice.state, EndpointState.CONNECTED)
        self.network.run_until(listener.stop())
        self.assertEqual(
            self.seen,
            [
                ("disconnected", "connecting", "listening"),
                ("connecting", "connected", "listening"),
                ("connected", "disconnecting", "stopped_listening"),
                ("disconnecting", "disconnected", "no_listening_addresses"),
            ],
        )
        self.successResultOf(self.alice.connection_manager.stop_listening())

    def test_unable_to_listen(self) -> None:
        """A listener that cannot bind ends in disconnected, with the reason (row:B3)."""
        taken = self.network.run_until(self.alice.connection_manager.start_listening("tls:port=5061"))
        self.seen.clear()
        self.network.run_until(taken.stop())
        host = self.network.find("a.example")
        assert host is not None
        from twisted.internet.protocol import Factory

        port = host.listenTCP(5061, Factory())
        self.seen.clear()
        failed = self.alice.connection_manager.start_listening("tls:port=5061")
        self.network.settle()
        self.failureResultOf(failed)
        self.assertEqual(self.seen[-1], ("connecting", "disconnected", StateReason.UNABLE_TO_LISTEN.value))
        self.network.run_until(port.stopListening())

    def test_sending_without_a_listener(self) -> None:
        """An endpoint that only sends works while it is disconnected (row:B4, row:C11)."""
        bob = self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        response = self.network.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual((response.status, self.alice.state), (200, EndpointState.DISCONNECTED))

    def test_only_receiving(self) -> None:
        """An endpoint made to receive needs no proxy, receives, and cannot send (row:B5)."""
        bob = self.network.party("sip:bob@b.example", outbound=False)
        bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(self.alice.send_message("sip:bob@b.example", "x")).status, 200)
        with self.assertRaises(InvalidOperation):
            bob.send_message("sip:alice@a.example", "x")
        with self.assertRaises(ValueError):
            SipPeerToPeerEndpoint("sip:c@b.example", bob.connection_manager, outbound=False, proxy="p.example")

    def test_terminate(self) -> None:
        """terminate can be called again and again, ends what is under way, and nothing works afterwards
        (row:B13, row:B14)."""
        bob = self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: Deferred())
        waiting = self.alice.send_message("sip:bob@b.example", "x")
        connected = self.alice.when_connected()
        self.network.advance(1)
        self.successResultOf(self.alice.terminate())
        self.successResultOf(self.alice.terminate())
        for deferred in (
            waiting,
            connected,
            self.alice.send_message("sip:bob@b.example", "x"),
            self.alice.when_connected(),
        ):
            self.failureResultOf(deferred, EndpointTerminated)
        self.assertTrue(self.alice.is_terminated)
        self.assertNotIn(self.alice, self.alice.connection_manager.endpoints)

    def test_terminated_endpoint_is_nobody(self) -> None:
        """Requests for an endpoint that is gone are 404, and its manager serves the others (row:B13, row:G5)."""
        bob = self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: None)
        dave = SipPeerToPeerEndpoint("sip:dave@b.example", bob.connection_manager)
        bob.terminate()
        with self.assertRaises(RequestFailed) as caught:
            self.network.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.assertEqual(caught.exception.status, 404)
        dave.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(self.alice.send_message("sip:dave@b.example", "x")).status, 200)

    def test_terminated_while_connected(self) -> None:
        """terminate while connected ends in disconnected, for that reason (row:B3)."""
        self.network.run_until(self.alice.connection_manager.start_listening("tls:port=0"))
        self.seen.clear()
        self.alice.terminate()
        self.assertEqual([reason for _, _, reason in self.seen], ["terminated_locally", "terminated_locally"])

    def test_manager_ends_its_endpoints(self) -> None:
        """When the manager is terminated its endpoints are, and a new one cannot be made with it (row:M8, row:E27)."""
        manager = self.alice.connection_manager
        self.network.run_until(manager.terminate())
        self.assertTrue(self.alice.is_terminated)
        self.failureResultOf(self.alice.send_message("sip:b@b.example", "x"), EndpointTerminated)
        with self.assertRaises(EndpointTerminated):
            SipPeerToPeerEndpoint("sip:new@a.example", manager)
        with self.assertRaises(EndpointTerminated):
            manager.start_listening("tls:port=0")
        self.network.run_until(manager.terminate())

    def test_manager_waits_for_what_is_under_way(self) -> None:
        """terminate lets a request of ours get its answer, within the drain deadline, and takes no new one
        (row:B13)."""
        bob = self.network.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: deferLater(self.network.clock, 2, lambda: 202))
        sending = self.alice.send_message("sip:bob@b.example", "x")
        self.network.advance(1)
        ending = self.alice.connection_manager.terminate()
        self.failureResultOf(self.alice.send_message("sip:bob@b.example", "y"), EndpointTerminated)
        self.assertNoResult(ending)
        self.network.run_until(ending)
        self.assertEqual(self.successResultOf(sending).status, 202)
        never = self.network.party("sip:erin@e.example")
        never.message_received.subscribe(lambda event: Deferred())
        waiting = bob.send_message("sip:erin@e.example", "x")
        self.network.advance(1)
        started = self.network.clock.seconds()
        self.network.run_until(bob.connection_manager.terminate())
        self.failureResultOf(waiting, EndpointTerminated)
        self.assertLess(self.network.clock.seconds() - started, 7)
