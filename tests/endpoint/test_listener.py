"""Listeners: any number of them, each with its own life."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher

from sip_p2p import (
    ConnectionFailure,
    EndpointTerminated,
    Listener,
    ListenFailed,
    NotListening,
    RealTimeServerTcpConnectionManager,
    SipPeerToPeerEndpoint,
    StateReason,
)
from sip_p2p.testing import Host, Network
from tests.support import SynchronousTestCase


class ListenerTestCase(SynchronousTestCase):
    """A party that does not listen yet, and one that dials."""

    def setUp(self) -> None:
        """Bob, who will listen, and Alice, who calls him."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", listen=())
        self.bob = self.network.party("sip:bob@b.example", listen=())
        self.bob.message_received.subscribe(lambda event: None)
        self.manager = self.bob.connection_manager
        self.addCleanup(self.network.finish)

    @property
    def host(self) -> Host:
        """Bob's host."""
        host = self.network.find("b.example")
        assert host is not None
        return host

    def start(self, *descriptions: str | tuple[str, int]) -> list[Listener]:
        """Let Bob listen."""
        return [self.network.run_until(self.manager.start_listening(each)) for each in descriptions]

    def call(self, port: int = 5061) -> int:
        """Alice sends to Bob's *port*; the status of the answer."""
        target = f"sip:bob@b.example:{port}"
        return self.network.run_until(self.alice.send_message(target, "x")).status


class AskingTests(ListenerTestCase):
    """What is listened on can be asked for."""

    def test_nothing(self) -> None:
        """While nothing listens there is no listener, and the port is 0 (row:C4)."""
        self.assertEqual((self.manager.listeners, self.manager.is_listening), ((), False))
        self.assertEqual(self.manager.listening_port, 0)

    def test_each(self) -> None:
        """Every listener tells its description, transport and true address; the manager lists them in the order of
        their start, and its port is that of the first (row:C4, row:C2)."""
        address = self.host.addresses[0]
        tls, tcp, udp = self.start("tls:port=5061", f"tcp:0:interface={address}", "udp:port=0")
        self.assertEqual(self.manager.listeners, (tls, tcp, udp))
        self.assertEqual((self.manager.is_listening, self.manager.listening_port), (True, 5061))
        self.assertEqual([each.transport for each in (tls, tcp, udp)], ["TLS", "TCP", "UDP"])
        self.assertEqual((tls.description, tls.address), ("tls:port=5061", ("0.0.0.0", 5061)))
        self.assertEqual(tcp.address, (address, tcp.port))
        self.assertTrue(all(each.port > 0 and each.is_listening for each in (tls, tcp, udp)))
        self.assertEqual(repr(tls), "<Listener TLS 0.0.0.0:5061>")
        self.network.run_until(tls.stop())
        self.assertEqual(repr(tls), "<Listener TLS 0.0.0.0:5061 (stopped)>")
        self.assertEqual((self.manager.listeners, self.manager.listening_port), ((tcp, udp), tcp.port))

    def test_snapshot(self) -> None:
        """The listeners that were asked for do not change afterwards (row:M7)."""
        before = self.manager.listeners
        self.start("tls:port=5061")
        self.assertEqual(before, ())

    def test_host_and_port(self) -> None:
        """A host and a port are enough: they mean the manager's own kind of transport (row:C1, row:C3)."""
        host = self.network.host("10.9.0.1", "2001:db8::9", names=["p.example"])
        manager = RealTimeServerTcpConnectionManager(host)
        for where, expected in (
            (("10.9.0.1", 5060), ("10.9.0.1", 5060)),
            (("2001:db8::9", 5060), ("2001:db8::9", 5060)),
            (("", 5062), ("0.0.0.0", 5062)),
        ):
            listener = self.network.run_until(manager.start_listening(where))
            self.assertEqual((listener.address, listener.transport), (expected, "TCP"))
        self.network.run_until(manager.terminate())


class StartingTests(ListenerTestCase):
    """What can go wrong, and what it leaves behind."""

    def test_any_number(self) -> None:
        """Each listener has a port of its own, and peers get through to all of them (row:C5)."""
        for port in [each.port for each in self.start("tls:port=0", "tls:port=5061", "tls:port=0")]:
            self.assertEqual(self.call(port), 200)
        self.assertEqual(len({each.port for each in self.manager.listeners}), 3)

    def test_same_address_twice(self) -> None:
        """The same address a second time is an error with its cause, and the first goes on (row:C5, row:C6)."""
        self.start("tls:port=5061")
        for again in ("tls:port=5061", "tls:5061", "tcp:port=5061"):
            with self.assertRaises(ListenFailed) as caught:
                self.start(again)
            self.assertIsInstance(caught.exception.cause, CannotListenError)
            self.assertIn(again, str(caught.exception))
            self.assertIn("in use", str(caught.exception))
        self.assertEqual((len(self.manager.listeners), self.call()), (1, 200))

    def test_failure(self) -> None:
        """A port that cannot be bound is ListenFailed with the system's error, and the state tells why (row:C6,
        row:B3)."""
        taken = self.host.listenTCP(5061, Factory())
        reasons: list[StateReason] = []
        self.bob.state_changed.subscribe(lambda event: reasons.append(event.reason))
        with self.assertRaises(ListenFailed) as caught:
            self.start("tls:port=5061")
        cause = caught.exception.cause
        assert isinstance(cause, CannotListenError)
        self.assertIsInstance(cause.socketError, OSError)
        self.assertIs(reasons[-1], StateReason.UNABLE_TO_LISTEN)
        self.assertFalse(self.manager.is_listening)
        self.network.run_until(taken.stopListening())
        self.start("tls:port=5061")
        self.assertEqual(self.call(), 200)

    def test_address_of_another_machine(self) -> None:
        """An address that this machine does not have is ListenFailed as well (row:C6)."""
        with self.assertRaises(ListenFailed) as caught:
            self.start("tls:port=5061:interface=203.0.113.1")
        self.assertIn("203.0.113.1", str(caught.exception))

    def test_wrong_descriptions(self) -> None:
        """A description that is wrong is a ValueError of the call itself, and changes nothing (row:M4, row:C12)."""
        changes: list[object] = []
        self.bob.state_changed.subscribe(changes.append)
        for wrong in ("", "tls", "tls:port=x", "tls:port=70000", "tls:port=1:nonsense=2", "pigeon:5061", "ssl:5061"):
            with self.assertRaises(ValueError, msg=wrong):
                self.manager.start_listening(wrong)
        self.assertEqual((changes, self.manager.listeners), ([], ()))

    def test_second_failure_is_no_end(self) -> None:
        """While one listener works, another that fails does not disconnect the endpoint."""
        self.start("tls:port=5061")
        changes: list[object] = []
        self.bob.state_changed.subscribe(changes.append)
        with self.assertRaises(ListenFailed):
            self.start("tls:port=5061")
        self.assertEqual(changes, [])

    def test_clear_text_is_said_aloud(self) -> None:
        """Listening without TLS is logged, but for the machine's own addresses (row:D3)."""
        logged: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if "listener" in event:
                logged.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.start("tls:port=0", "tcp:port=0:interface=127.0.0.1", "udp:port=0:interface=\\:\\:1")
        self.assertEqual(logged, [])
        self.start("tcp:port=0", "udp:port=0")
        self.assertEqual(len(logged), 2)
        self.assertTrue(all("clear text" in line for line in logged))


class AllOrNothingTests(ListenerTestCase):
    """listen_all."""

    def test_all(self) -> None:
        """listen_all starts all of them, in the order given (row:C7)."""
        started = self.network.run_until(self.manager.listen_all(["tls:port=5061", ("", 0), "udp:port=0"]))
        self.assertEqual(tuple(started), self.manager.listeners)
        self.assertEqual([each.transport for each in started], ["TLS", "TLS", "UDP"])
        self.assertEqual(self.call(), 200)

    def test_none(self) -> None:
        """When one cannot be bound, those that could are stopped, their ports are free, and the failure names the one
        (row:C7)."""
        taken = self.host.listenTCP(5062, Factory())
        for order in (["tls:port=5061", "tls:port=5062"], ["tls:port=5062", "tls:port=5061"]):
            with self.assertRaises(ListenFailed) as caught:
                self.network.run_until(self.manager.listen_all(order))
            self.assertIn("tls:port=5062", str(caught.exception))
            self.assertEqual((self.manager.listeners, self.bob.state.value), ((), "disconnected"))
        self.network.run_until(taken.stopListening())
        self.start("tls:port=5061")

    def test_wrong_description(self) -> None:
        """When one description is wrong nothing is started at all (row:C7, row:M4)."""
        changes: list[object] = []
        self.bob.state_changed.subscribe(changes.append)
        with self.assertRaises(ValueError):
            self.manager.listen_all(["tls:port=5061", "nonsense"])
        self.network.settle()
        self.assertEqual((self.manager.listeners, changes), ((), []))
        self.start("tls:port=5061")

    def test_those_that_were_there(self) -> None:
        """Listeners from before are not touched when the new ones fail (row:C7)."""
        (before,) = self.start("tls:port=5061")
        with self.assertRaises(ListenFailed):
            self.network.run_until(self.manager.listen_all(["tls:port=0", "tls:port=5061"]))
        self.assertEqual((self.manager.listeners, self.call()), ((before,), 200))

    def test_no_descriptions(self) -> None:
        """An empty list starts nothing, and succeeds."""
        self.assertEqual(self.network.run_until(self.manager.listen_all([])), [])


class StoppingTests(ListenerTestCase):
    """stop, for one and for all."""

    def test_one_of_several(self) -> None:
        """A listener is stopped by itself: its port is free at once, and the others go on (row:C8)."""
        first, second = self.start("tls:port=5061", "tls:port=5062")
        self.network.run_until(first.stop())
        self.assertEqual((first.is_listening, self.manager.listeners), (False, (second,)))
        with self.assertRaises(ConnectionFailure):
            self.call(5061)
        self.assertEqual(self.call(5062), 200)
        self.start("tls:port=5061")
        self.network.advance(1)
        self.assertEqual(self.call(5061), 200)

    def test_again_and_again(self) -> None:
        """Every stop waits for the same end, through the listener or through the manager (row:C8)."""
        (listener,) = self.start("tls:port=5061")
        stopping = [listener.stop(), listener.stop(), self.manager.stop_listening(listener), listener.stop()]
        for each in stopping:
            self.assertIsNone(self.network.run_until(each))
        self.assertIsNone(self.network.run_until(self.manager.stop_listening()))

    def test_all(self) -> None:
        """stop_listening without an argument stops all of them (row:C8)."""
        self.start("tls:port=5061", "tcp:port=5060", "udp:port=5060")
        self.network.run_until(self.manager.stop_listening())
        self.assertEqual((self.manager.listeners, self.manager.is_listening), ((), False))

    def test_connections_live_on(self) -> None:
        """Connections that are up carry messages in both directions after their listener has stopped (row:C8)."""
        (listener,) = self.start("tls:port=5061")
        contacts: list[str] = []
        self.bob.handle("PING", lambda event: contacts.append(event.request.headers["Contact"]))
        self.alice.message_received.subscribe(lambda event: None)
        self.network.run_until(self.alice.request("PING", "sip:bob@b.example:5061"))
        self.network.run_until(listener.stop())
        self.assertEqual(self.call(), 200)
        back = self.bob.send_message(contacts[0].partition(">")[0].strip("<"), "and back")
        self.assertEqual(self.network.run_until(back).status, 200)
        self.assertEqual(self.manager.inventory()["connections"], 1)

    def test_answer_after_the_stop(self) -> None:
        """A request that came before the stop is answered after it (row:C8)."""
        (listener,) = self.start("tls:port=5061")
        answer: Deferred[int] = Deferred()
        self.bob.handle("PING", lambda event: answer)
        pinging = self.alice.request("PING", "sip:bob@b.example")
        self.network.advance(1)
        self.network.run_until(listener.stop())
        answer.callback(202)
        self.assertEqual(self.network.run_until(pinging).status, 202)

    def test_somebody_elses(self) -> None:
        """A listener of another manager is NotListening here, and goes on there (row:C8)."""
        carol = self.network.party("sip:carol@c.example")
        (theirs,) = carol.connection_manager.listeners
        with self.assertRaises(NotListening):
            self.network.run_until(self.manager.stop_listening(theirs))
        self.assertTrue(theirs.is_listening)

    def test_stopped_while_it_is_told(self) -> None:
        """A state handler may stop the very listener whose start it is told of (fault:K5)."""
        stopped: list[Deferred[None]] = []

        def stop(event: object) -> None:
            if self.manager.is_listening and not stopped:
                stopped.append(self.manager.stop_listening())

        self.bob.state_changed.subscribe(stop)
        (listener,) = self.start("tls:port=5061")
        self.network.run_until(stopped[0])
        self.assertEqual((listener.is_listening, self.bob.state.value), (False, "disconnected"))

    def test_udp(self) -> None:
        """When a UDP listener has stopped, what we send by UDP leaves from another port (row:C8, row:C14)."""
        carol = self.network.party("sip:carol@c.example", default_transport="udp")
        seen: list[int] = []
        carol.handle("PING", lambda event: seen.append(event.peer.address[1]))
        target = "sip:carol@c.example;transport=udp"
        first, second = self.start("udp:port=5060", "udp:port=5070")
        for listener in (second, first):
            self.network.run_until(self.bob.request("PING", target))
            self.network.run_until(listener.stop())
        self.network.run_until(self.bob.request("PING", target))
        self.assertEqual((seen[:2], seen[2] in (5060, 5070)), ([5070, 5060], False))

    def test_after_the_end(self) -> None:
        """When the manager is terminated nothing listens, and nothing can be made to (row:E27)."""
        (listener,) = self.start("tls:port=5061")
        self.network.run_until(self.manager.terminate())
        self.assertFalse(listener.is_listening)
        self.network.run_until(listener.stop())
        for start in (self.manager.start_listening, lambda each: self.manager.listen_all([each])):
            with self.assertRaises(EndpointTerminated):
                start("tls:port=5061")


class PortZeroTests(ListenerTestCase):
    """What we say about ourselves when the port was left to the system."""

    def test_everything_follows(self) -> None:
        """With port 0 the listening port, the Contact and the Via name the port that was taken, over every flow, and no
        wildcard (row:C2, row:A2, fault:J8)."""
        (listener,) = self.start("tls:port=0:interface=" + self.host.addresses[0])
        port = listener.port
        self.assertGreater(port, 0)
        self.assertEqual((self.manager.listening_port, self.bob.contact_uri.port), (port, port))
        seen: list[Any] = []
        self.alice.handle("PING", lambda event: seen.append(event.request))
        self.network.run_until(self.alice.connection_manager.start_listening("tls:port=5061"))
        self.network.run_until(self.bob.request("PING", "sip:alice@a.example"))
        self.assertEqual((seen[0].via.host, seen[0].via.port), ("b.example", port))
        self.assertIn(f"@b.example:{port};transport=tls>", seen[0].headers["Contact"])
        self.assertEqual(self.network.run_until(self.alice.send_message(self.bob.contact_uri, "x")).status, 200)

    def test_each_transport_has_its_own(self) -> None:
        """Contact and Via name the port of the transport that they are about (fault:J8)."""
        address = self.host.addresses[0]
        tcp, udp = self.start("tcp:port=0", "udp:port=0")
        plain = SipPeerToPeerEndpoint("sip:plain@b.example", self.manager, default_transport="udp")
        carol = self.network.party("sip:carol@c.example", listen=("udp:port=5060", "tcp:port=5060"))
        seen: list[Any] = []
        carol.handle("PING", lambda event: seen.append(event.request))
        for transport, port in (("udp", udp.port), ("tcp", tcp.port)):
            self.network.run_until(plain.request("PING", f"sip:carol@c.example;transport={transport}"))
            self.assertEqual((seen[-1].via.host, seen[-1].via.port), (address, port))
            self.assertIn(f"@{address}:{port};transport={transport}>", seen[-1].headers["Contact"])
        self.assertEqual(plain.contact_uri.port, udp.port)

    def test_contact_names_what_listens(self) -> None:
        """Where nothing listens on the manager's own transport, the Contact names one on which something does
        (row:A11)."""
        (udp,) = self.start("udp:port=0")
        contact = self.bob.contact_uri
        self.assertEqual((contact.params["transport"], contact.port), ("udp", udp.port))
        (tls,) = self.start("tls:port=0")
        contact = self.bob.contact_uri
        self.assertEqual((contact.params["transport"], contact.port), ("tls", tls.port))

    def test_follows_a_change(self) -> None:
        """When the listener is another one, so are port and Contact (fault:J8)."""
        (first,) = self.start("tls:port=0")
        (second,) = self.start("tls:port=0")
        self.assertEqual(self.bob.contact_uri.port, first.port)
        self.network.run_until(first.stop())
        self.assertEqual(self.bob.contact_uri.port, second.port)
        self.network.run_until(second.stop())
        self.assertIsNone(self.bob.contact_uri.port)
