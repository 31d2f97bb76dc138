"""A manager and an endpoint on their way out: what is finished, what is refused, and that nothing is left."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from sip_p2p import (
    ConnectionFailure,
    EndpointTerminated,
    IncomingRequest,
    Limits,
    RealTimeServerTcpConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
)
from tests.endpoint.support import ManagerTestCase, PartyTestCase, Raw, RawDatagrams, Stranger, octets


class DrainTestCase(PartyTestCase):
    """Bob takes his time with INFO."""

    def setUp(self) -> None:
        """Bob keeps INFO."""
        super().setUp()
        self.manager = self.bob.connection_manager
        self.held: list[IncomingRequest] = []
        self.bob.handle("INFO", self.hold)
        [self.address] = self.network.addresses_of("b.example")
        self.stranger = self.network.host(names=["peer.example"])

    def hold(self, incoming: IncomingRequest) -> None:
        """Answer later."""
        incoming.defer()
        self.held.append(incoming)

    def ask(self, method: str = "INFO") -> Deferred[Any]:
        """A request of Alice's to Bob."""
        return self.alice.request(method, "sip:bob@b.example", retry_after="never")

    def dial(self, port: int) -> Raw:
        """A connection to one of Bob's ports."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        return cast("Raw", self.run_until(TCP4ClientEndpoint(self.stranger, self.address, port).connect(factory)))


class DrainTests(DrainTestCase):
    """Bob drains while others talk to him."""

    def test_drain(self) -> None:
        """What was received is answered, new requests get 503 with Retry-After, and it is over when the last answer is
        given (fault:J6)."""
        waiting = self.ask()
        self.network.advance(0.1)
        draining = self.manager.drain(60)
        self.network.advance(0.1)
        refused = self.ask("OPTIONS")
        self.network.advance(0.1)
        self.assertNoResult(draining)
        response = self.failureResultOf(refused, RequestFailed).value.response
        self.assertEqual((response.status, response.headers.get("Retry-After") is None), (503, False))
        self.held[0].respond(200)
        self.network.advance(0.1)
        self.assertEqual(self.successResultOf(waiting).status, 200)
        self.successResultOf(draining)
        self.assertEqual(self.manager.inventory()["flows"], 1)

    def test_deadline(self) -> None:
        """It does not wait longer than it was told to, and what is unanswered is left to its own deadline
        (fault:J6)."""
        waiting = self.ask().addErrback(lambda _: None)
        self.network.advance(0.1)
        draining = self.manager.drain(3)
        self.network.advance(2.8)
        self.assertNoResult(draining)
        self.network.advance(0.3)
        self.successResultOf(draining)
        self.assertNoResult(waiting)
        self.held[0].respond(200)
        self.network.advance(1)

    def test_port_is_free_at_once(self) -> None:
        """While the last answers are waited for, somebody else may have the port (fault:J6)."""
        waiting = self.ask()
        self.network.advance(0.1)
        self.manager.drain(60)
        self.network.advance(0)
        host = cast("Any", self.manager.reactor)
        port = host.listenTCP(5061, Factory.forProtocol(Raw))
        self.addCleanup(port.stopListening)
        with self.assertRaises(ConnectionFailure):
            self.run_until(self.network.party("sip:c@c.example").request("OPTIONS", f"sip:bob@{self.address}:5062"))
        self.held[0].respond(200)
        self.assertEqual(self.status_of(waiting), 200)

    def test_datagrams_are_told(self) -> None:
        """On UDP, too, the answer is 503: there is time to say so (fault:J6)."""
        self.run_until(self.manager.start_listening("udp:port=5060"))
        port = RawDatagrams()
        bound = cast("Any", self.stranger).listenUDP(5060, port)
        self.addCleanup(bound.stopListening)
        self.bob.handle("PUBLISH", self.hold)
        cast("Any", port.transport).write(octets("PUBLISH", 1, over="UDP"), (self.address, 5060))
        self.network.advance(0.1)
        self.manager.load.drain()
        cast("Any", port.transport).write(octets("OPTIONS", 2, over="UDP"), (self.address, 5060))
        self.network.advance(0.1)
        self.assertEqual([datagram[8:11] for datagram in port.received], [b"503"])
        self.held[0].respond(200)

    def test_finished_on_datagrams(self) -> None:
        """What was kept for retransmissions on UDP, on either side, goes with the manager that kept it (fault:J2,
        fault:J6)."""
        self.run_until(self.manager.start_listening("udp:port=5060"))
        carol = self.network.party("sip:carol@c.example", listen=("udp:port=5060",))
        self.assertEqual(self.status_of(carol.request("OPTIONS", f"sip:bob@{self.address};transport=udp")), 200)
        for manager in (carol.connection_manager, self.manager):
            self.assertEqual(manager.inventory()["finished"], 1)
            self.run_until(manager.terminate())
            self.assertEqual({name: count for name, count in manager.inventory().items() if count}, {})

    def test_terminate_twice(self) -> None:
        """A second call waits for the same end; afterwards nothing lives, not even a timer (fault:J6, row:B13)."""
        waiting = self.ask()
        self.network.advance(0.1)
        first, second = self.manager.terminate(), self.manager.terminate()
        self.network.advance(1)
        self.assertNoResult(first)
        self.held[0].respond(200)
        self.run_until(first)
        self.successResultOf(second)
        self.assertEqual(self.status_of(waiting), 200)
        self.successResultOf(self.manager.terminate())
        self.assertEqual({name for name, count in self.manager.inventory().items() if count}, set())

    def test_terminate_while_draining(self) -> None:
        """A drain that is still waiting ends with the manager (fault:J6)."""
        waiting = self.ask().addErrback(lambda _: None)
        self.network.advance(0.1)
        draining = self.manager.drain(1000)
        self.run_until(self.manager.terminate())
        self.successResultOf(draining)
        self.network.advance(1)
        self.successResultOf(waiting)
        self.assertEqual({name for name, count in self.manager.inventory().items() if count}, set())

    def test_goodbye(self) -> None:
        """Peers are told in order that the connection ends, and those in their handshake are dropped (fault:J6)."""
        self.run_until(self.manager.start_listening("tcp:port=5060"))
        plain, silent = self.dial(5060), self.dial(5061)
        reasons: dict[Raw, str] = {}
        for raw in (plain, silent):
            cast("Any", raw).connectionLost = lambda reason, raw=raw: reasons.update({raw: reason.type.__name__})
        self.assertEqual(self.status_of(self.ask("OPTIONS")), 200)
        lost: list[str] = []
        self.alice.connection_manager.flow_lost.subscribe(lambda event: lost.append(str(event.reason)))
        self.run_until(self.manager.terminate())
        self.network.advance(1)
        self.assertEqual(sorted(reasons.values()), ["ConnectionDone", "ConnectionLost"])
        self.assertEqual(len(lost), 1)
        self.assertIn("was closed", lost[0])

    def test_terminate_while_dialling(self) -> None:
        """A request that waits for its connection fails, and no connection comes of it (fault:J6)."""
        self.network.change(delay=0.5)
        sending = self.bob.request("OPTIONS", "sip:alice@a.example", retry_after="never")
        self.network.advance(0.7)
        ending = self.manager.terminate()
        self.network.advance(30)
        self.successResultOf(ending)
        self.assertTrue(sending.called)
        sending.addErrback(lambda failure: failure.trap(EndpointTerminated, ConnectionFailure, RequestFailed))
        self.assertEqual({name for name, count in self.manager.inventory().items() if count}, set())

    def test_terminate_while_authorizing(self) -> None:
        """A connection about which the application is still asked ends with the manager (fault:J6, row:D23)."""
        asked: list[Deferred[bool]] = []

        def authorize(request: object) -> Deferred[bool]:
            asked.append(Deferred(lambda _: None))
            return asked[-1]

        carol = self.network.party("sip:carol@c.example", manager={"authorize": authorize})
        sending = self.alice.request("OPTIONS", "sip:carol@c.example", retry_after="never").addErrback(lambda _: None)
        self.network.advance(1)
        self.assertEqual(len(asked), 1)
        self.run_until(carol.connection_manager.terminate())
        self.network.advance(10)
        self.assertTrue(sending.called)
        counts = carol.connection_manager.inventory()
        self.assertEqual({name for name, count in counts.items() if count}, set())


class EndpointEndTests(DrainTestCase):
    """One endpoint of several ends."""

    def test_after_its_answers(self) -> None:
        """It has ended when the requests that it had been given are answered; new ones find nobody (row:B13)."""
        waiting = self.ask()
        self.network.advance(0.1)
        ending, again = self.bob.terminate(), self.bob.terminate()
        self.network.advance(1)
        self.assertNoResult(ending)
        self.assertEqual(self.status_of(self.ask("OPTIONS")), 404)
        self.held[0].respond(202)
        self.assertEqual(self.status_of(waiting), 202)
        self.successResultOf(ending)
        self.successResultOf(again)
        self.successResultOf(self.bob.terminate())

    def test_answers_of_others(self) -> None:
        """What another endpoint of the same manager owes does not hold it up (row:B13, row:A17)."""
        waiting = self.ask()
        self.network.advance(0.1)
        other = self.network.party("sip:other@b.example")
        self.successResultOf(other.terminate())
        self.held[0].respond(200)
        self.assertEqual(self.status_of(waiting), 200)

    def test_at_the_latest(self) -> None:
        """It waits no longer than the drain deadline (row:B13)."""
        waiting = self.ask().addErrback(lambda _: None)
        self.network.advance(0.1)
        ending = self.bob.terminate()
        self.network.advance(5.1)
        self.successResultOf(ending)
        self.held[0].respond(200)
        self.network.advance(1)
        self.successResultOf(waiting)


class TerminateTests(ManagerTestCase):
    """The end."""

    limits: ClassVar[dict[str, Any]] = {"drain_timeout": 4}

    def setUp(self) -> None:
        """Bob answers a PING when he is told to."""
        super().setUp()
        self.answers: list[Deferred[int]] = []
        self.bob.handle("PING", lambda event: self.answers.append(Deferred()) or self.answers[-1])
        self.alice = self.party("a.example")

    def test_waits_for_answers(self) -> None:
        """terminate accepts nothing new, lets the application finish what it was asked, then ends (row:B13, row:C8)."""
        pinging = self.alice.request("PING", "sip:bob@b.example")
        self.network.advance(1)
        ending = self.manager.terminate()
        self.network.advance(1)
        self.assertNoResult(ending)
        self.assertFalse(self.manager.is_listening)
        with self.assertRaises(ConnectionFailure):
            self.send(self.party("c.example"))
        self.answers[0].callback(202)
        self.assertEqual(self.network.run_until(pinging).status, 202)
        self.network.advance(0.2)
        self.successResultOf(ending)
        self.assertEqual(self.inventory(), {})

    def test_not_for_ever(self) -> None:
        """After the drain deadline it ends all the same: the peer sees its connection close, the application's work is
        cancelled (row:B13)."""
        cancelled: list[Deferred[int]] = []
        self.bob.handle("PONG", lambda event: Deferred(cancelled.append))
        waiting = [self.alice.request(method, "sip:bob@b.example") for method in ("PING", "PONG")]
        self.network.advance(1)
        ending = self.manager.terminate()
        self.network.advance(3.9)
        self.assertNoResult(ending)
        self.network.advance(0.3)
        self.successResultOf(ending)
        for each in waiting:
            self.failureResultOf(each, ConnectionFailure)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.inventory(), {})

    def test_not_at_all(self) -> None:
        """A drain time of 0 waits for nothing (row:B13)."""
        manager = RealTimeServerTcpConnectionManager(
            self.network.host(names=["d.example"]), limits=Limits(drain_timeout=0)
        )
        dave = SipPeerToPeerEndpoint("sip:dave@d.example", manager)
        dave.handle("PING", lambda event: Deferred())
        self.network.run_until(manager.start_listening("tcp:port=5060"))
        pinging = self.alice.request("PING", "sip:dave@d.example;transport=tcp")
        self.network.advance(1)
        ending = manager.terminate()
        self.network.advance(0.1)
        self.successResultOf(ending)
        self.failureResultOf(pinging, ConnectionFailure)

    def test_again_and_again(self) -> None:
        """Every call waits for the one end, also a call that comes after it, or from a handler of its own states
        (row:B13, row:E27, fault:K5)."""
        inner: list[Deferred[None]] = []
        self.bob.state_changed.subscribe(lambda event: inner.append(self.manager.terminate()))
        self.alice.request("PING", "sip:bob@b.example").addErrback(lambda failure: None)
        self.network.advance(1)
        ending = [self.manager.terminate(), self.manager.terminate()]
        self.network.advance(1)
        self.answers[0].callback(200)
        self.network.advance(1)
        for each in (*ending, *inner, self.manager.terminate()):
            self.assertIsNone(self.successResultOf(each))
        self.assertTrue(self.manager.is_terminated)

    def test_port_is_free(self) -> None:
        """When it has ended its ports can be bound again at once (row:B13, fault:J6)."""
        self.send(self.alice)
        self.network.run_until(self.manager.terminate())
        host = self.network.find("b.example")
        assert host is not None
        manager = RealTimeServerTcpConnectionManager(host)
        for description in ("tcp:port=5061", "tcp:port=5060", "udp:port=5060"):
            self.network.run_until(manager.start_listening(description))
        self.network.run_until(manager.terminate())

    def test_during_incoming_handshakes(self) -> None:
        """Connections that are not through their handshake are dropped: nothing is left of them (row:B13,
        fault:J2)."""
        silent, halfway = self.stranger(), self.stranger()
        halfway.say(b"\x16\x03\x01\x02\x00\x01\x00")
        self.network.advance(0.1)
        self.assertEqual((self.inventory()["handshakes"], self.inventory()["connections"]), (2, 2))
        self.network.run_until(self.manager.terminate())
        self.network.advance(0.1)
        self.assertEqual((silent.is_open, halfway.is_open, self.inventory()), (False, False, {}))

    def test_during_outgoing_handshakes(self) -> None:
        """Connections that are being made are given up at every stage, with EndpointTerminated for who waits
        (row:B13, row:B14, fault:J2)."""
        erin = self.network.party("sip:erin@e.example", listen=(), manager={"limits": Limits(drain_timeout=0)})
        mute = self.network.host(names=["mute.example"])
        factory = Factory.forProtocol(Stranger)
        factory.noisy = False
        port = mute.listenTCP(5061, factory)
        self.network.host(names=["far.example"])
        self.network.partition("e.example", "far.example")
        self.network.name_delay = 1
        sendings = [erin.send_message(f"sip:x@{name}", "x") for name in ("mute.example", "far.example")]
        self.network.advance(4)
        self.assertEqual(erin.connection_manager.inventory()["dialling"], 2)
        sendings.append(erin.send_message("sip:x@unresolved.example", "x"))
        self.network.advance(0.1)
        ending = erin.connection_manager.terminate()
        self.network.advance(0.1)
        self.successResultOf(ending)
        for sending in sendings:
            self.failureResultOf(sending, EndpointTerminated)
        self.assertEqual(set(erin.connection_manager.inventory().values()), {0})
        self.network.run_until(port.stopListening())

    def test_peer_that_does_not_read(self) -> None:
        """A peer that vanished delays the end by a moment, not longer (row:B13)."""
        self.send(self.alice)
        self.network.half_open("a.example", "b.example")
        ending = self.manager.terminate()
        self.network.advance(1.5)
        self.successResultOf(ending)
        self.assertEqual(self.inventory(), {})

    def test_nothing_works_afterwards(self) -> None:
        """A manager that has ended makes nothing any more, and says so (row:E27, row:B14)."""
        self.network.run_until(self.manager.terminate())
        with self.assertRaises(EndpointTerminated):
            SipPeerToPeerEndpoint("sip:new@b.example", self.manager)
        with self.assertRaises(EndpointTerminated):
            self.manager.start_listening("tls:port=5061")
        self.failureResultOf(self.bob.send_message("sip:x@a.example", "x"), EndpointTerminated)
        self.network.run_until(self.manager.stop_listening())

    def test_one_of_many_endpoints(self) -> None:
        """All endpoints of a manager end with it, each told once (row:M8)."""
        told: list[str] = []
        for number in range(3):
            each = SipPeerToPeerEndpoint(f"sip:e{number}@b.example", self.manager)
            each.state_changed.subscribe(lambda event, number=number: told.append(f"{number} {event.state.value}"))
        self.network.run_until(self.manager.terminate())
        self.assertEqual(self.manager.endpoints, ())
        self.assertEqual(sorted(told), sorted(f"{n} {s}" for n in range(3) for s in ("disconnecting", "disconnected")))
