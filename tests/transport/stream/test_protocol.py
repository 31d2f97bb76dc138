"""Connections: from octets to messages, what bounds them, and how they end."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.testing import Network
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.stream.protocol import StreamFactory, host_and_port
from sip_p2p.transport.target import Target
from tests.support import MemoryTestCase
from tests.transport.flow_bench import CountedTransport, StreamBench, outgoing, request, statuses
from tests.transport.sides import Side

PING = b"\r\n\r\n"
KINDS = ["KeepAlive", "Response", "Response"]


class Tapped:
    """A tap that keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, bytes]] = []

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        self.seen.append((direction, data))


class AddressTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.stream.protocol.host_and_port`."""

    def test_families(self) -> None:
        """IPv4 that came mapped into IPv6 is IPv4, a zone is dropped, and the name of a Unix socket is no host
        (row:E12)."""
        for address, expected in (
            (IPv4Address("TCP", "192.0.2.1", 5060), ("192.0.2.1", 5060)),
            (IPv6Address("TCP", "2001:db8::1", 5061), ("2001:db8::1", 5061)),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 5061), ("192.0.2.1", 5061)),
            (IPv6Address("TCP", "::ffff:0:1", 5061), ("::ffff:0:1", 5061)),
            (IPv6Address("TCP", "fe80::1%eth0", 5061), ("fe80::1", 5061)),
            (UNIXAddress("/run/sip"), ("unix", 0)),
            (UNIXAddress(None), ("unix", 0)),
        ):
            self.assertEqual(host_and_port(address), expected)


class LifeTests(SynchronousTestCase):
    """From the connection to its end, as the owner hears of it."""

    def setUp(self) -> None:
        self.bench = StreamBench()
        self.bench.user.answers = self.bench.answer
        self.owner = self.bench.owner

    def lose(self, protocol: Any, error: BaseException) -> None:
        """The connection is gone."""
        protocol.connectionLost(Failure(error))

    def test_clear_text(self) -> None:
        """A TCP connection is a flow at once; its end is told once, after what came on it (row:E12, row:E15)."""
        protocol, wire = self.bench.connect()
        self.assertEqual(wire.options, ["nodelay True", "keepalive True"])
        self.bench.deliver(protocol, request())
        self.assertEqual(statuses(wire.value()), [200])
        self.lose(protocol, ConnectionDone())
        self.assertEqual(self.owner.log, ["made", "opened", "active", "ended", "lost"])
        flow = self.owner.flows[0]
        self.assertEqual((flow.transport, flow.reliable, flow.is_secure, flow.is_incoming), ("TCP", True, False, True))
        self.assertEqual((flow.remote_host, flow.remote_port), ("192.0.2.9", 40000))
        self.assertEqual((flow.local_host, flow.local_port, flow.sent_by), ("192.0.2.1", 5061, "us.example:5061"))
        self.assertEqual((flow.verified, flow.peer, flow.is_open), (None, "", False))
        self.assertIsNone(protocol.flow)
        self.assertIn("TCP flow from 192.0.2.9:40000", repr(flow))

    def test_tls_waits_for_the_proof(self) -> None:
        """Over TLS nothing is read or written before the peer is verified; without a proof it is dropped
        (row:D11)."""
        protocol, wire = self.bench.connect(transport="TLS")
        self.bench.deliver(protocol, request())
        self.assertIsNone(protocol.flow)
        self.assertEqual((self.owner.log, wire.writes, wire.done), (["made"], [], []))
        protocol.handshakeCompleted()
        self.assertEqual((self.owner.flows, wire.done), ([], ["abort"]))
        self.assertTrue(verifyObject(IHandshakeListener, protocol))

    def test_one_too_many(self) -> None:
        """A connection for which there is no room is dropped before it is anything; an outgoing one is never one too
        many."""
        self.owner.takes_more = False
        _, wire = self.bench.connect()
        self.assertEqual((wire.done, self.owner.flows), (["abort"], []))
        self.owner.takes_more, self.owner.too_many = True, "256 are open"
        protocol, wire = self.bench.connect()
        self.assertEqual((wire.done, self.owner.flows, protocol.flow), (["abort"], [], None))
        self.bench.deliver(protocol, request())
        self.lose(protocol, ConnectionAborted())
        self.assertEqual(self.owner.log, ["made", "made", "ended"])
        self.bench.connect(is_incoming=False)
        self.assertEqual(len(self.owner.flows), 1)

    def test_reasons(self) -> None:
        """Why a connection ended is told in our terms, with the cause behind it (row:E13, row:F4)."""
        for error, words in (
            (ConnectionDone(), "the connection to 192.0.2.9:40000 was closed"),
            (ConnectionLost(), "the connection to 192.0.2.9:40000 was closed"),
            (OSError("no such wire"), "the connection to 192.0.2.9:40000 was lost: no such wire"),
        ):
            protocol, _ = self.bench.connect()
            self.lose(protocol, error)
            reason = self.owner.reasons[-1]
            self.assertIsInstance(reason, ConnectionFailure)
            self.assertTrue(str(reason).startswith(words), reason)
            self.assertIs(reason.__cause__, error)
        protocol, _ = self.bench.connect()
        failure = TlsFailure(TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, "b.example")
        self.lose(protocol, failure)
        self.assertIs(self.owner.reasons[-1], failure)

    def test_refused_certificate(self) -> None:
        """A peer that closes before it has said a word may have refused our certificate, and we say so
        (RFC 8446 section 4.4)."""
        factory = StreamFactory(self.owner, "TLS", is_incoming=False)
        protocol = factory.buildProtocol(None)
        wire: Any = CountedTransport()
        wire.verified = Proof()
        protocol.makeConnection(wire)
        protocol.handshakeCompleted()
        self.lose(protocol, ConnectionDone())
        self.assertIn("may have refused our certificate", str(self.owner.reasons[-1]))

    def test_close(self) -> None:
        """Closing writes what is held, once, and reads no more; a second time, or after the end, nothing happens
        (row:E11)."""
        protocol, wire = self.bench.connect()
        flow = protocol.flow
        flow.cork(b"last words")
        flow.close()
        flow.close()
        self.assertEqual((wire.writes, wire.done), ([b"last words"], ["unregister", "lose"]))
        self.assertEqual(self.owner.log[-1:], ["closing"])
        self.assertFalse(flow.is_open)
        self.bench.deliver(protocol, request())
        flow.cork(b"too late")
        flow.flush()
        self.assertEqual(len(wire.writes), 1)
        self.lose(protocol, ConnectionDone())
        flow.close()
        self.assertEqual(wire.done, ["unregister", "lose"])

    def test_abort(self) -> None:
        """Aborting drops what is held; again, after closing or after the end it does no harm (row:E11)."""
        protocol, wire = self.bench.connect()
        flow = protocol.flow
        flow.cork(b"never written")
        flow.abort()
        flow.flush()
        flow.close()
        flow.abort()
        self.assertEqual((wire.writes, wire.done[:1], flow.is_open), ([], ["abort"], False))
        self.assertNotIn("lose", wire.done)
        self.lose(protocol, ConnectionAborted())
        before = len(wire.done)
        flow.abort()
        self.assertEqual(len(wire.done), before)

    def test_end_of_the_transport(self) -> None:
        """When the transport stops the producer the flow is over, though connectionLost is still to come."""
        protocol, wire = self.bench.connect()
        self.assertTrue(verifyObject(IPushProducer, wire.producer))
        wire.producer.stopProducing()
        self.assertFalse(protocol.flow.is_open)

    def test_factory(self) -> None:
        """A factory makes one protocol for each connection, and is told of their ends."""
        factory = StreamFactory(self.owner, "TLS", is_incoming=True)
        first, second = factory.buildProtocol(None), factory.buildProtocol(None)
        self.assertIsNot(first, second)
        self.assertTrue(factory.is_secure)
        self.assertFalse(factory.noisy)
        self.assertFalse(StreamFactory(self.owner, "TCP", is_incoming=True).is_secure)
        self.assertTrue(first.is_incoming)


class Proof:
    """A peer that TLS has verified, as far as a flow looks at it."""

    identities = None
    certificate = None
    matched = "b.example"
    tls_version = "TLSv1.3"


class ReadingTests(SynchronousTestCase):
    """From octets to messages."""

    def setUp(self) -> None:
        self.bench = StreamBench()
        self.bench.user.answers = self.bench.answer
        self.owner = self.bench.owner
        self.protocol, self.wire = self.bench.connect()

    def test_any_cut(self) -> None:
        """However the octets are cut, each message is answered, in the turn in which it is complete (row:E15)."""
        octets = request(number=1) + PING + request(number=2)
        for size in (1, 7, 100, len(octets)):
            bench = StreamBench()
            bench.user.answers = bench.answer
            protocol, wire = bench.connect()
            for start in range(0, len(octets), size):
                bench.deliver(protocol, octets[start : start + size])
            self.assertEqual(statuses(wire.value()), [200, 200])
            framer = StreamFramer()
            framer.pings_sent = 1
            self.assertEqual(sorted(type(item).__name__ for item in framer.feed(wire.value())), KINDS)

    def test_activity(self) -> None:
        """The owner hears whether something is complete and whether something has begun (fault:H2)."""
        octets = request(number=1)
        self.owner.log.clear()
        self.bench.deliver(self.protocol, octets[:30])
        self.bench.deliver(self.protocol, octets[30:60])
        self.bench.deliver(self.protocol, octets[60:] + request(number=2) + octets[:10])
        self.assertEqual(self.owner.log, ["partial", "partial", "active", "partial"])

    def test_keep_alives_are_no_messages(self) -> None:
        """Keep-alives are answered, and are no messages (row:E9, RFC 5626 section 4.4.1)."""
        self.bench.deliver(self.protocol, PING)
        flow = self.owner.flows[0]
        self.assertEqual((flow.messages, self.wire.writes), (0, [b"\r\n"]))
        self.bench.deliver(self.protocol, request(number=1) + PING + request(number=2))
        self.assertEqual(flow.messages, 2)

    def test_what_is_no_sip(self) -> None:
        """What cannot be framed ends the connection, after what can be said about it (row:E21, fault:A15,
        fault:A4)."""
        self.bench.deliver(self.protocol, request(number=1) + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual(statuses(self.wire.value()), [200])
        self.assertEqual(self.wire.done, ["unregister", "lose"])
        protocol, wire = self.bench.connect()
        self.bench.deliver(protocol, request().replace(b"Content-Length: 1", b"Content-Length: -1"))
        self.assertEqual((statuses(wire.value()), wire.done), ([400], ["unregister", "lose"]))

    def test_own_limits(self) -> None:
        """The sizes of messages are bounded by what the owner says: 413 for a body, 513 for a header section, and the
        end (row:E21)."""
        limits = Limits(message=MessageLimits(line=1000, head=1000, body=100))
        for octets, expected in (
            (request(body=b"x" * 100), [200]),
            (request(body=b"x" * 101), [413]),
            (request().replace(b"Max-Forwards", b"X: " + b"y" * 1000 + b"\r\nMax-Forwards"), [513]),
        ):
            bench = StreamBench(limits)
            bench.user.answers = bench.answer
            protocol, wire = bench.connect()
            bench.deliver(protocol, octets)
            self.assertEqual(statuses(wire.value()), expected)
            self.assertEqual(bool(wire.done), expected != [200])

    def test_tap(self) -> None:
        """A tap sees each message that came, octet by octet, and the answers; only while it is there."""
        tap = Tapped()
        first, second = request(number=1), request(number=2, body=b"")
        self.bench.driver.add_tap(tap)
        self.bench.deliver(self.protocol, first[:-1])
        self.bench.deliver(self.protocol, first[-1:] + second)
        came = [data for direction, data in tap.seen if direction == "in"]
        self.assertEqual(came, [first, second])
        self.assertEqual(len(tap.seen), 4)
        self.bench.driver.remove_tap(tap)
        self.bench.deliver(self.protocol, request(number=3))
        self.bench.deliver(self.protocol, request(number=4))
        self.assertEqual(len(tap.seen), 4)

    def test_tap_in_the_middle_of_a_message(self) -> None:
        """A tap that comes when half of a message is there never sees that half alone or with something else's, and
        sees all that follow."""
        before, first, second = (request(number=number) for number in range(3))
        for earlier in (b"", before):
            tap = Tapped()
            protocol, _ = self.bench.connect()
            self.bench.driver.add_tap(tap)
            self.bench.deliver(protocol, earlier)
            self.bench.driver.remove_tap(tap)
            self.bench.deliver(protocol, PING + first[:-1])
            self.bench.driver.add_tap(tap)
            self.bench.deliver(protocol, first[-1:] + second)
            self.bench.driver.remove_tap(tap)
            came = [data for direction, data in tap.seen if direction == "in"]
            self.assertEqual(came[-1], second)
            self.assertLessEqual(set(came), {before, first, second})


class BackPressureTests(SynchronousTestCase):
    """A peer that does not read what it asked for."""

    LIMITS = Limits(write_buffer=10_000, write_buffer_hard=50_000)

    def setUp(self) -> None:
        self.bench = StreamBench(self.LIMITS)
        self.bench.user.answers = self.bench.answer
        self.protocol, self.wire = self.bench.connect()
        self.flow = self.protocol.flow

    def ask(self, count: int) -> None:
        """Deliver so many requests at once."""
        self.bench.deliver(self.protocol, b"".join(request("OPTIONS", number, body=b"") for number in range(count)))

    def owed(self) -> int:
        """How many octets the transport was given."""
        return sum(map(len, self.wire.writes))

    def test_pause(self) -> None:
        """While the transport's buffer is full the answers wait with us; over the high-water mark we stop reading from
        that peer, and read on when they have left (fault:G8, row:E18)."""
        self.ask(1)
        (answer,) = self.wire.writes
        self.wire.producer.pauseProducing()
        self.ask(10)
        self.assertEqual((len(self.wire.writes), self.wire.done), (1, []))
        self.ask(10_000 // len(answer))
        self.assertEqual((len(self.wire.writes), self.wire.done), (1, ["pause"]))
        self.ask(10)
        self.assertEqual(self.wire.done, ["pause"])
        self.wire.producer.resumeProducing()
        self.assertEqual(self.wire.done, ["pause", "resume"])
        self.assertEqual(statuses(self.wire.value()), [200] * (1 + 10 + 10_000 // len(answer) + 10))

    def test_in_order(self) -> None:
        """What had to wait leaves in the order in which it was said."""
        for number in range(20):
            if number == 5:
                self.wire.producer.pauseProducing()
            self.flow.cork(b"%d " % number)
            self.flow.flush()
        self.wire.producer.resumeProducing()
        self.assertEqual(self.wire.value(), b"".join(b"%d " % number for number in range(20)))

    def test_full_again(self) -> None:
        """When the transport is full again in the middle of what waits, the rest waits on (fault:G8)."""
        self.wire.producer.pauseProducing()
        for _ in range(12):
            self.flow.cork(b"x" * 1000)
            self.flow.flush()
        self.assertEqual(self.wire.done, ["pause"])
        self.wire.full_after = 3
        self.wire.producer.resumeProducing()
        self.assertEqual((self.owed(), self.wire.done), (3000, ["pause"]))
        self.wire.full_after = 100
        self.wire.producer.resumeProducing()
        self.assertEqual((self.owed(), self.wire.done), (12_000, ["pause", "resume"]))

    def test_hard_limit(self) -> None:
        """Over the hard limit the connection is aborted, and what it carried fails (fault:G8, fault:C4)."""
        self.wire.producer.pauseProducing()
        count = 0
        while not self.wire.disconnected:
            self.bench.driver.request(outgoing(number=count), self.flow, "caller")
            count += 1
            self.assertLess(count, 1000)
        self.assertGreater(count, 100)
        self.protocol.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.bench.user.names, ["TransactionFailed"] * count)
        self.assertEqual(sum(self.bench.core.layer.inventory().values()), 0)

    def test_slow_is_not_stalled(self) -> None:
        """A peer that reads slowly, but reads, is never cut off, however much it gets in all (fault:G8)."""
        for _ in range(200):
            self.wire.producer.pauseProducing()
            for _ in range(20):
                self.flow.cork(b"x" * 1000)
                self.flow.flush()
            self.wire.full_after = 30
            self.wire.producer.resumeProducing()
        self.assertEqual((self.owed(), self.wire.disconnected), (200 * 20 * 1000, False))

    def test_close(self) -> None:
        """Closing gives the transport all that waits, and reads again: the peer's goodbye must be heard (row:E11)."""
        self.wire.producer.pauseProducing()
        for _ in range(12):
            self.flow.cork(b"x" * 1000)
            self.flow.flush()
        self.flow.close()
        self.assertEqual((self.owed(), self.wire.done), (12_000, ["pause", "resume", "unregister", "lose"]))
        self.flow.peer_reads_again()
        self.assertEqual(self.owed(), 12_000)

    def test_abort_while_it_waits(self) -> None:
        """Aborting forgets what waits; a transport that resumes after that gets nothing."""
        producer = self.wire.producer
        producer.pauseProducing()
        self.flow.cork(b"x")
        self.flow.flush()
        self.flow.abort()
        producer.resumeProducing()
        self.assertEqual((self.owed(), self.wire.done), (0, ["abort"]))

    def test_hard_limit_reached_by_closing(self) -> None:
        """A flow that is over its hard limit when it is closed is aborted, and that is all."""
        self.wire.producer.pauseProducing()
        self.flow.cork(b"x" * 60_000)
        self.flow.close()
        self.assertEqual((self.wire.done, self.bench.owner.log[-1]), (["abort"], "opened"))


class Raw(Protocol):
    """A peer that keeps what it gets, and may stop reading."""

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason


class NetworkTests(SynchronousTestCase):
    """On a network in memory, with Twisted's own transports."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.limits = Limits(write_buffer=100_000, write_buffer_hard=300_000, idle_timeout=0)
        self.bob = Side(self.network, "b.example", limits=self.limits)
        self.bob.user.answers = self.bob.answer
        self.stranger = self.network.host()

    def raw(self, port: int = 5060) -> Any:
        """A stranger's connection to Bob."""
        endpoint = TCP4ClientEndpoint(self.stranger, self.bob.address, port)
        return self.network.run_until(endpoint.connect(Factory.forProtocol(Raw)))

    def finish(self) -> None:
        """End Bob, and find nothing left."""
        self.bob.close()
        self.network.advance(10)
        self.network.assert_quiet()

    def test_peer_that_never_reads(self) -> None:
        """A peer that asks and never reads makes us owe it no more than the marks allow, and when it reads after all it
        is owed nothing (fault:G8)."""
        self.bob.listen("TCP", 5060)
        peer = self.raw()
        peer.transport.pauseProducing()
        asked = 0
        for _ in range(60):
            batch = b"".join(request("OPTIONS", asked + number, body=b"") for number in range(50))
            peer.transport.write(batch)
            asked += 50
            self.network.advance(0.05)
        answered = self.bob.core.counters.requests
        self.assertLess(answered, asked)
        # What the window and the transport's own buffer take, the high-water mark, and one delivery beyond it.
        self.assertLess(answered * 300, 64 * 1024 + 3 * 64 * 1024 + self.limits.write_buffer)
        peer.transport.resumeProducing()
        self.network.advance(10)
        self.assertEqual(len(statuses(peer.received)), asked)
        peer.transport.loseConnection()
        self.finish()

    def test_peer_that_never_reads_over_tls(self) -> None:
        """Over TLS it is the same, and a connection that is over the hard limit is cut off (fault:G8)."""
        self.bob.listen("TLS", 5061)
        alice = Side(self.network, "a.example", limits=Limits(idle_timeout=0))
        flow = alice.connect(Target("tls", "b.example"))
        self.network.advance(0.1)
        (accepted,) = self.bob.pool
        alice_end: Any = flow
        alice_end._transport.pauseProducing()
        for number in range(3000):
            self.bob.driver.request(outgoing(number=number), accepted, "caller")
            if not accepted.is_open:
                break
            self.network.settle()
        self.assertFalse(accepted.is_open)
        self.network.advance(1)
        self.assertEqual(len(self.bob.pool), 0)
        self.assertEqual(set(self.bob.user.names), {"TransactionFailed"})
        alice.close()
        self.finish()

    def test_ends(self) -> None:
        """Closing and aborting, in any order and as often as one likes, over TLS and TCP, during and after the
        connection, end it once (row:E11)."""
        self.bob.listen("TLS", 5061)
        self.bob.listen("TCP", 5060)
        for transport in ("tls", "tcp"):
            for steps in ("cc", "aa", "ca", "ac", "c1c", "c1a", "a1a", "a1c", "c1aca"):
                alice = Side(self.network, f"{transport}{steps}.example")
                flow = alice.connect(Target(transport, "b.example"))
                for step in steps:
                    if step == "1":
                        self.network.advance(1)
                    elif step == "c":
                        flow.close()
                    else:
                        flow.abort()
                self.network.advance(1)
                self.assertEqual((len(alice.keeper.connections), len(self.bob.keeper.connections)), (0, 0), steps)
                alice.close()
        self.finish()


class MemoryTests(MemoryTestCase):
    """What is left of a connection."""

    def test_no_cycles(self) -> None:
        """A connection that has ended goes without the garbage collector (fault:K9, fault:C10)."""
        bench = StreamBench()
        bench.user.answers = bench.answer

        def turn() -> None:
            protocol, wire = bench.connect()
            bench.deliver(protocol, request(number=1) + request(number=2))
            protocol.connectionLost(Failure(ConnectionDone()))
            wire.producer = None
            bench.user.told.clear()
            bench.owner.flows.clear()
            bench.owner.reasons.clear()

        turn()
        self.assert_no_cycles(turn)
