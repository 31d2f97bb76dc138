"""Time, faults and inventory of the network in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols import wire

from sip_p2p.testing import Datagram, Network
from tests.support import SynchronousTestCase
from tests.testing.support import Accepting, Datagrams, HostTestCase, Recorder


class TimeTests(SynchronousTestCase):
    """Time passes when the network is told so."""

    def test_each_at_its_own_time(self) -> None:
        """What an event leads to happens at its own time, however far one advances at once."""
        network = Network()
        host = network.host()
        seen: list[float] = []

        def again() -> None:
            seen.append(round(network.seconds(), 6))
            if len(seen) < 4:
                host.callLater(0.1, again)

        host.callLater(0.1, again)
        network.advance(60)
        self.assertEqual((seen, network.seconds()), ([0.1, 0.2, 0.3, 0.4], 60.0))

    def test_settle(self) -> None:
        """Settling runs what is due and lets no time pass."""
        network = Network()
        host = network.host()
        seen: list[int] = []
        host.callLater(0, lambda: host.callLater(0, seen.append, 1))
        host.callLater(0.001, seen.append, 2)
        network.settle()
        self.assertEqual((seen, network.seconds()), ([1], 0.0))

    def test_run_until(self) -> None:
        """The result is returned or raised; where none can come the open things are listed."""
        network = Network()
        host = network.host()
        later: Deferred[str] = Deferred()
        host.callLater(7, later.callback, "done")
        self.assertEqual((network.run_until(later), network.seconds()), ("done", 7.0))
        failing: Deferred[None] = Deferred()
        host.callLater(1, failing.errback, ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, network.run_until, failing)
        host.listenTCP(5061, Factory.forProtocol(wire.Echo))
        message = str(self.assertRaises(AssertionError, network.run_until, Deferred()))
        self.assertIn("5061", message)
        host.callLater(1000, list)
        self.assertRaises(AssertionError, network.run_until, Deferred(), timeout=5)

    def test_feeding_each_other(self) -> None:
        """Two parties that answer each other for ever without time passing are noticed."""
        network = Network()
        network.turns_in_one_instant = 500
        one, other = network.host(), network.host()
        here, there = Datagrams(), Datagrams()
        one.listenUDP(7, here)
        other.listenUDP(7, there)
        here.datagramReceived = lambda data, addr: here.transport.write(data, addr)  # type: ignore[method-assign]
        there.datagramReceived = lambda data, addr: there.transport.write(data, addr)  # type: ignore[method-assign]
        here.transport.write(b"x", (other.addresses[0], 7))
        self.assertRaises(RuntimeError, network.settle)


class HostsTests(SynchronousTestCase):
    """Making hosts and naming them."""

    def test_addresses(self) -> None:
        """Hosts get free addresses; one that is taken or none is refused."""
        network = Network()
        first, second = network.host(), network.host()
        self.assertEqual((first.addresses, second.addresses), (("10.0.0.1",), ("10.0.0.2",)))
        self.assertRaises(ValueError, network.host, "10.0.0.1")
        self.assertRaises(ValueError, network.host, "ten")
        self.assertEqual(network.hosts, (first, second))

    def test_names(self) -> None:
        """A name can be given, moved and taken away; each host is found by it."""
        network = Network()
        network.host("10.0.0.1", names=["A.example"])
        self.assertEqual(network.addresses_of("a.EXAMPLE."), ("10.0.0.1",))
        network.name("a.example", "10.0.0.9", "fd00::9")
        self.assertEqual(network.addresses_of("a.example"), ("10.0.0.9", "fd00::9"))
        network.name("a.example")
        self.assertEqual(network.addresses_of("a.example"), ())
        self.assertRaises(ValueError, network.cut, "a.example")

    def test_loopback(self) -> None:
        """A host's loopback address leads to itself, untouched by the network's faults."""
        network = Network(delay=1, loss=1)
        host, other = network.host(), network.host()
        for each in (host, other):
            each.listenTCP(7, Factory.forProtocol(wire.Echo), interface="127.0.0.1")
        network.run_until(HostnameEndpoint(host, "localhost", 7).connect(Factory.forProtocol(Recorder)))
        self.assertEqual(network.seconds(), 0.0)


class StreamFaultTests(HostTestCase):
    """What can be done to streams."""

    def test_delay(self) -> None:
        """Connecting takes a round trip, data half of one."""
        self.network.change(delay=0.1)
        accepting = Accepting(Recorder)
        self.bob.listenTCP(7, accepting)
        client = self.network.run_until(
            HostnameEndpoint(self.alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder))
        )
        self.assertEqual(self.network.seconds(), 0.2)
        self.network.advance(0.1)
        (server,) = accepting.built
        client.transport.write(b"x")
        self.network.advance(0.09)
        self.assertEqual(server.received, b"")
        self.network.advance(0.02)
        self.assertEqual(server.received, b"x")

    def pair(self, client: Any = Recorder, server: Any = Recorder, port: int = 7) -> tuple[Any, Any]:
        accepting = Accepting(server)
        self.bob.listenTCP(port, accepting)
        dialled = self.network.run_until(
            HostnameEndpoint(self.alice, "10.0.0.2", port).connect(Factory.forProtocol(client))
        )
        while not accepting.built:
            self.network.step()
        return dialled, accepting.built[0]

    def test_order(self) -> None:
        """Jitter and loss delay a stream and never change its order."""
        self.network.change(delay=0.01, jitter=0.2, loss=0.3)
        client, server = self.pair()
        for number in range(100):
            client.transport.write(b"%03d" % number)
            self.network.advance(0.01)
        self.network.advance(60)
        self.assertEqual(server.received, b"".join(b"%03d" % number for number in range(100)))

    def test_chunks(self) -> None:
        """A stream is cut where it is asked to be: each octet alone, or random lengths within bounds."""
        client, server = self.pair()
        self.network.link(self.alice, self.bob, chunk=1)
        client.transport.write(b"abc")
        self.network.settle()
        self.assertEqual(server.pieces, [b"a", b"b", b"c"])
        self.network.link(self.alice, self.bob, chunk=(2, 5))
        del server.pieces[:]
        client.transport.write(b"x" * 1000)
        self.network.settle()
        self.assertEqual({len(piece) for piece in server.pieces[:-1]}, {2, 3, 4, 5})

    def test_cut(self) -> None:
        """Cutting resets the stream at both sides; others go on."""
        client, server = self.pair()
        carol = self.network.host(names=["c.example"])
        other = self.network.run_until(HostnameEndpoint(carol, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder)))
        client.transport.write(b"under way")
        self.assertEqual(self.network.cut("a.example", "b.example"), 1)
        self.network.settle()
        client.reason.trap(error.ConnectionLost)
        server.reason.trap(error.ConnectionLost)
        self.assertIsNone(other.reason)

    def test_half_open(self) -> None:
        """After the peer has vanished nothing arrives, nobody is told, and a new connection works."""
        client, server = self.pair()
        self.assertEqual(self.network.half_open(self.bob), 1)
        client.transport.write(b"into the void")
        server.transport.loseConnection()
        self.network.advance(3600)
        self.assertEqual((client.reason, server.received), (None, b""))
        again = self.network.run_until(
            HostnameEndpoint(self.alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder))
        )
        client.transport.abortConnection()
        self.network.settle()
        client.reason.trap(error.ConnectionAborted)
        self.assertIsNone(again.reason)

    def test_partition(self) -> None:
        """A partition holds streams up; healed, they go on where they were, and who was connecting gets through."""
        client, server = self.pair()
        self.network.partition(self.alice)
        client.transport.write(b"one ")
        self.network.advance(1)
        client.transport.write(b"two")
        connecting = HostnameEndpoint(self.alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder))
        self.network.advance(10)
        self.assertNoResult(connecting)
        self.assertEqual(server.received, b"")
        self.network.heal(self.alice, self.bob)
        self.network.advance(2)
        self.successResultOf(connecting)
        self.assertEqual(server.received, b"one two")

    def test_closed_in_a_partition(self) -> None:
        """Who closes during a partition is heard of when it ends."""
        client, server = self.pair()
        self.network.partition("b.example")
        client.transport.write(b"last words")
        client.transport.loseConnection()
        self.network.advance(10)
        self.assertIsNone(server.reason)
        self.network.heal()
        self.network.settle()
        self.assertEqual(server.received, b"last words")
        server.reason.trap(error.ConnectionDone)

    def test_partition_of_the_slow(self) -> None:
        """Healing hurries nothing: what is under way then takes as long as ever."""
        client, server = self.pair()
        self.network.change(delay=1)
        client.transport.write(b"slow")
        self.network.settle()
        self.network.partition(self.alice, self.bob)
        self.network.advance(0.5)
        self.network.heal()
        self.network.advance(0.4)
        self.assertEqual(server.received, b"")
        self.network.advance(0.2)
        self.assertEqual(server.received, b"slow")


class DatagramFaultTests(HostTestCase):
    """What can be done to datagrams."""

    def setUp(self) -> None:
        super().setUp()
        self.here, self.there = Datagrams(), Datagrams()
        self.alice.listenUDP(5060, self.here)
        self.bob.listenUDP(5060, self.there)

    def send(self, count: int, length: int = 8) -> list[int]:
        """Send numbered datagrams from alice to bob, a millisecond apart, and give back the numbers that arrived."""
        for number in range(count):
            self.here.transport.write(b"%08d" % number + b"x" * (length - 8), ("10.0.0.2", 5060))
            self.network.advance(0.001)
        self.network.advance(10)
        return [int(data[:8]) for data, _ in self.there.received]

    def test_loss(self) -> None:
        """The share that is asked for gets lost, in the direction that is asked for."""
        self.network.path(self.alice, self.bob, loss=0.25)
        self.assertLess(abs(len(self.send(4000)) / 4000 - 0.75), 0.03)
        self.there.transport.write(b"back", ("10.0.0.1", 5060))
        self.network.settle()
        self.assertEqual(len(self.here.received), 1)

    def test_duplicates(self) -> None:
        """The share that is asked for arrives twice."""
        self.network.change(duplicate=0.5)
        numbers = self.send(1000)
        self.assertLess(abs(len(numbers) / 1000 - 1.5), 0.08)
        self.assertEqual(set(numbers), set(range(1000)))

    def test_reordering(self) -> None:
        """Datagrams overtake each other by reordering and by jitter, and not otherwise."""
        self.assertEqual(self.send(100), list(range(100)))
        for conditions in ({"reorder": 0.2}, {"reorder": 0.0, "jitter": 0.05}):
            self.there.received.clear()
            self.network.change(**conditions)
            numbers = self.send(100)
            self.assertEqual(sorted(numbers), list(range(100)))
            self.assertNotEqual(numbers, list(range(100)))

    def test_fragments(self) -> None:
        """A datagram over the MTU is lost where fragments are not let through, and more easily lost elsewhere."""
        self.network.change(fragments=False)
        self.assertEqual((len(self.send(10, 1472)), len(self.send(10, 1473))), (10, 10))
        self.there.received.clear()
        self.network.change(fragments=True, loss=0.2)
        # Three fragments, each of which must arrive: 0.8 ** 3.
        self.assertLess(abs(len(self.send(1000, 4000)) / 1000 - 0.512), 0.05)

    def test_partition(self) -> None:
        """Datagrams into a partition are lost for good, also those that were under way."""
        self.network.change(delay=1)
        self.here.transport.write(b"under way", ("10.0.0.2", 5060))
        self.network.advance(0.5)
        self.network.partition("a.example", "b.example")
        self.send(3)
        self.network.heal()
        self.network.advance(10)
        self.assertEqual(self.there.received, [])

    def test_chosen(self) -> None:
        """A function can choose what to lose."""
        chosen: list[Datagram] = []

        def every_second(datagram: Datagram) -> bool:
            chosen.append(datagram)
            return int(datagram.data) % 2 == 1

        self.network.drop = every_second
        self.assertEqual(self.send(6), [0, 2, 4])
        self.assertEqual((chosen[0].source, chosen[0].destination), (("10.0.0.1", 5060), ("10.0.0.2", 5060)))


class DeterminismTests(SynchronousTestCase):
    """The same seed, the same run."""

    def run_once(self, seed: int) -> list[str]:
        network = Network(seed=seed, delay=0.01, jitter=0.05, loss=0.2, duplicate=0.1, reorder=0.1, chunk=(1, 20))
        alice, bob = network.host(), network.host()
        here, there = Datagrams(), Datagrams()
        alice.listenUDP(5060, here)
        bob.listenUDP(5060, there)
        bob.listenTCP(7, Factory.forProtocol(wire.Echo))
        protocol = network.run_until(HostnameEndpoint(alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder)))
        for number in range(50):
            here.transport.write(b"%d" % number, ("10.0.0.2", 5060))
            protocol.transport.write(b"x" * number)
            network.advance(0.01)
        network.advance(100)
        return list(network.log)

    def test_same_seed(self) -> None:
        """The same seed gives the same log, line by line; another seed another one. row:M16"""
        first = self.run_once(1)
        self.assertGreater(len(first), 150)
        self.assertEqual(first, self.run_once(1))
        self.assertNotEqual(first, self.run_once(2))


class InventoryTests(HostTestCase):
    """What is left open."""

    def test_quiet(self) -> None:
        """Open sockets and pending calls are listed by host; with all closed there is nothing to list."""
        self.network.assert_quiet()
        client, _ = self.pair()
        call = self.bob.callLater(30, self.fail)
        message = str(self.assertRaises(AssertionError, self.network.assert_quiet))
        self.assertIn("10.0.0.1: <TCP 10.0.0.1:49152 - 10.0.0.2:7>", message)
        self.assertIn("10.0.0.2: call of", message)
        self.assertIn("in 30 s", message)
        call.cancel()
        client.transport.loseConnection()
        self.network.assert_quiet()
