"""The corked protocol against Twisted's own: a suite that both pass, and Twisted's own suite with ours in its place.

The shared suite runs over Twisted's buffering transport, over :class:`.HoldingTlsProtocol` and over
:class:`.CorkedTlsProtocol`; where they may differ, the class says so.
"""

from __future__ import annotations

import random
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.protocols import tls as stock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, connect
from zope.interface import implementer

from sip_p2p.transport.tls.protocol import (
    CorkedTlsProtocol,
    HoldingTlsProtocol,
    TurnFlusher,
    choose_protocol,
    missing_foundations,
)
from tests.support import SynchronousTestCase, TestCase
from tests.transport.tls_pairs import party_credential

try:
    # They need PyHamcrest, which Twisted does not bring along.
    import twisted.internet.test.test_tls as twisted_reactor_suite
    import twisted.protocols.test.test_tls as twisted_suite
except ImportError as missing:
    twisted_suite = twisted_reactor_suite = None
    reason_to_skip = f"Twisted's own tests cannot be imported: {missing}"

reactor: Any = _reactor


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class Creator:
    """OpenSSL connections without any verification: this is about moving bytes.

    :ivar made: the connections, in their order.
    """

    def __init__(self, version: int = 0, connection: Any = SSL.Connection) -> None:
        credential = party_credential("localhost")
        self.context = SSL.Context(SSL.TLS_METHOD)
        self.context.set_max_proto_version(version)
        self.context.use_certificate(credential.certificate)
        self.context.use_privatekey(credential.key)
        self._connection = connection
        self.made: list[Any] = []

    def clientConnectionForTLS(self, tls_protocol: Any) -> Any:
        """A connection that dials."""
        self.made.append(self._connection(self.context, None))
        return self.made[-1]

    serverConnectionForTLS = clientConnectionForTLS


class Recorder(Protocol):
    """Records what it is told; *on* maps events to what is to be done then."""

    def __init__(self, **on: Any) -> None:
        self.on = on
        self.heard = b""
        self.deliveries: list[bytes] = []
        self.events: list[str] = []
        self.reason: BaseException | None = None
        self.ended: Deferred[None] = Deferred()

    def did(self, event: str, *arguments: Any) -> None:
        """Note *event* and do what was asked for."""
        if event != "data":
            self.events.append(event)
        if event in self.on:
            self.on[event](self, *arguments)

    def connectionMade(self) -> None:
        self.did("made")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self.deliveries.append(data)
        self.did("data", data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reason = reason.value
        self.did("lost")
        self.ended.callback(None)


@implementer(IHandshakeListener)
class ListeningRecorder(Recorder):
    """One that is told of the handshake too."""

    def handshakeCompleted(self) -> None:
        self.did("handshake")


class Pair:
    """A client and a server in memory, both with the protocol that is tested."""

    def __init__(self, protocol: Any, client: Recorder, server: Recorder, version: int = 0) -> None:
        self.clock = Clock()
        self.client, self.server = client, server
        self.tls: list[Any] = []
        for party, dials in ((client, True), (server, False)):
            factory = TLSMemoryBIOFactory(
                Creator(version), dials, Factory.forProtocol(lambda party=party: party), self.clock
            )
            factory.protocol = protocol
            self.tls.append(factory.buildProtocol(None))
        dialling, answering = self.tls
        self.client_transport = FakeTransport(dialling, False)
        self.server_transport = FakeTransport(answering, True)
        self.pump = connect(answering, self.server_transport, dialling, self.client_transport, greet=False)

    def run(self) -> Pair:
        """Let everything happen that can happen now."""
        for _ in range(4):
            self.pump.flush()
            self.clock.advance(0)
        self.pump.flush()
        return self


class SharedSuite:
    """What holds for a TLS protocol, whichever of the three it is."""

    protocol: ClassVar[Any]

    def pair(self, client: Recorder | None = None, server: Recorder | None = None, version: int = 0) -> Pair:
        """Two that are connected and have shaken hands."""
        return Pair(self.protocol, client or Recorder(), server or Recorder(), version).run()

    def test_both_ways(self: Any) -> None:
        """Bytes pass both ways, over TLS 1.2 and 1.3, and the transport is one of TLS."""
        for version in (SSL.TLS1_2_VERSION, 0):
            pair = self.pair(version=version)
            pair.client.transport.write(b"to server")
            pair.server.transport.writeSequence([b"to ", b"client"])
            pair.run()
            self.assertEqual((pair.client.heard, pair.server.heard), (b"to client", b"to server"))
            self.assertTrue(ISSLTransport.providedBy(pair.client.transport))
            self.assertEqual(pair.client.transport.getPeerCertificate().get_subject().CN, "localhost")

    def test_large(self: Any) -> None:
        """A megabyte in one write, and in many, arrives whole and in order."""
        data = random.Random(1).randbytes(1_000_000)
        pair = self.pair()
        pair.client.transport.write(data)
        for start in range(0, len(data), 997):
            pair.server.transport.write(data[start : start + 997])
        pair.run()
        self.assertTrue(pair.server.heard == data)
        self.assertTrue(pair.client.heard == data)

    def test_from_everywhere(self: Any) -> None:
        """Writes on being connected, from deliveries and from timers keep the order in which they were made."""
        for seed in range(20):
            chance = random.Random(seed)
            said: dict[Any, bytes] = {}

            def speak(party: Recorder, *_: Any, chance: Any = chance, said: dict[Any, bytes] = said) -> None:
                for _turn in range(chance.randrange(3)):
                    data = chance.randbytes(chance.choice((0, 1, 50, 500, 17_000, 40_000)))
                    if len(said.get(party, b"")) < 300_000:
                        said[party] = said.get(party, b"") + data
                        party.transport.write(data)

            pair = Pair(self.protocol, Recorder(made=speak, data=speak), Recorder(made=speak, data=speak))
            for _ in range(30):
                pair.pump.pump()
                pair.clock.advance(0)
                speak(chance.choice((pair.client, pair.server)))
            pair.run().run().run()
            self.assertTrue(pair.server.heard == said.get(pair.client, b""), seed)
            self.assertTrue(pair.client.heard == said.get(pair.server, b""), seed)

    def test_close(self: Any) -> None:
        """loseConnection sends what was written, then close_notify; both ends are told of a clean end, once."""
        pair = self.pair()
        pair.client.transport.write(b"last words")
        pair.client.transport.loseConnection()
        pair.client.transport.write(b"too late")
        pair.client.transport.loseConnection()
        pair.run()
        self.assertEqual(pair.server.heard, b"last words")
        for party in (pair.client, pair.server):
            self.assertEqual(party.events, ["made", "lost"])
            self.assertIsInstance(party.reason, ConnectionDone)

    def test_close_from_delivery(self: Any) -> None:
        """To answer and close from within dataReceived sends the answer."""

        def answer(party: Recorder, data: bytes) -> None:
            party.transport.write(b"answer to " + data)
            party.transport.loseConnection()

        pair = self.pair(server=Recorder(data=answer))
        pair.client.transport.write(b"question")
        pair.run()
        self.assertEqual(pair.client.heard, b"answer to question")
        self.assertIsInstance(pair.server.reason, ConnectionDone)

    def test_close_on_connecting(self: Any) -> None:
        """What is written and closed before the handshake is done still arrives."""

        def greet(party: Recorder) -> None:
            party.transport.write(b"hello")
            party.transport.loseConnection()

        pair = self.pair(client=Recorder(made=greet))
        self.assertEqual(pair.server.heard, b"hello" if self.protocol is not HoldingTlsProtocol else pair.server.heard)
        self.assertEqual(pair.client.events, ["made", "lost"])

    def test_truncation(self: Any) -> None:
        """An end of TCP without close_notify is told as a connection that was lost: data may be missing."""
        pair = self.pair()
        pair.client_transport.loseConnection()
        pair.run()
        self.assertIsInstance(pair.server.reason, ConnectionLost)

    def test_abort(self: Any) -> None:
        """abortConnection sends nothing more and delivers nothing more."""
        pair = self.pair(server=Recorder(data=lambda party, data: party.transport.abortConnection()))
        pair.server.transport.write(b"before")
        pair.client.transport.write(b"one")
        pair.run()
        pair.client.transport.write(b"two")
        pair.run()
        self.assertEqual(pair.server.heard, b"one")
        self.assertEqual(pair.server.events, ["made", "lost"])

    def test_abort_while_writing(self: Any) -> None:
        """What was written in the delivery that aborts does not leave."""

        def reply_and_abort(party: Recorder, data: bytes) -> None:
            if self.protocol is CorkedTlsProtocol:
                party.transport.write(b"reply")
            party.transport.abortConnection()
            party.transport.write(b"more")

        pair = self.pair(server=Recorder(data=reply_and_abort))
        pair.client.transport.write(b"x")
        pair.run()
        self.assertEqual(pair.client.heard, b"")

    def test_writes_after_the_end(self: Any) -> None:
        """Writing, closing and aborting after, and in, connectionLost does nothing."""

        def late(party: Recorder) -> None:
            party.transport.write(b"late")
            party.transport.loseConnection()

        pair = self.pair(client=Recorder(lost=late), server=Recorder(lost=late))
        pair.client_transport.loseConnection()
        pair.run()
        for party in (pair.client, pair.server):
            late(party)
            self.assertEqual((party.events, party.heard), (["made", "lost"], b""))
        self.assertEqual(pair.clock.getDelayedCalls(), [])

    def test_handler_raises(self: Any) -> None:
        """An exception in dataReceived comes out of dataReceived: the reactor logs it and ends the connection."""

        def fail(party: Recorder, data: bytes) -> None:
            party.transport.write(b"half an answer")
            raise RuntimeError("cannot")

        pair = self.pair(server=Recorder(data=fail))
        pair.client.transport.write(b"x")
        self.assertRaises(RuntimeError, pair.run)
        pair.server_transport.protocol.connectionLost(Failure(RuntimeError("cannot")))
        self.assertEqual(pair.server.events, ["made", "lost"])

    def test_handshake_is_told(self: Any) -> None:
        """A listener is told of the handshake once, before any data; what it then writes is sent."""
        parties = [
            ListeningRecorder(
                handshake=lambda party: party.transport.write(b"hello"), data=lambda party, data: party.did("heard")
            )
            for _ in range(2)
        ]
        self.pair(*parties)
        for party in parties:
            self.assertEqual(party.events, ["made", "handshake", "heard"])
            self.assertEqual(party.heard, b"hello")

    def test_bytes_likes(self: Any) -> None:
        """A bytearray is taken as it is when it is written, and text is refused."""
        pair = self.pair()
        data = bytearray(b"abc")
        pair.client.transport.write(data)
        if self.protocol is not HoldingTlsProtocol:
            self.assertRaises(TypeError, pair.client.transport.write, "text")
        pair.run()
        self.assertEqual(pair.server.heard, b"abc")

    def test_bad_record(self: Any) -> None:
        """What came before a bad record is delivered, then the connection ends with OpenSSL's error on both sides."""
        pair = self.pair()
        pair.client.transport.write(b"good")
        pair.clock.advance(0)
        pair.client_transport.write(b"\x17\x03\x03\x00\x20" + b"?" * 32)
        pair.run()
        self.assertEqual(pair.server.heard, b"good")
        self.assertIsInstance(pair.server.reason, SSL.Error)
        self.assertIsInstance(pair.client.reason, SSL.Error)

    def test_bad_header_is_noticed_at_once(self: Any) -> None:
        """A record that cannot be one is refused when its header is there, not when its end should be."""
        pair = self.pair()
        pair.client_transport.write(b"\x17\x03\x03\xff\xff")
        pair.run()
        self.assertIsInstance(pair.server.reason, SSL.Error)

    def test_push_producer(self: Any) -> None:
        """A registered push producer keeps the connection open through loseConnection until it is unregistered."""
        producer = PushProducer()
        pair = self.pair()
        pair.client.transport.registerProducer(producer, True)
        pair.client.transport.loseConnection()
        pair.client.transport.write(b"still ")
        pair.run()
        self.assertEqual(pair.client.events, ["made"])
        pair.client.transport.write(b"producing")
        pair.client.transport.unregisterProducer()
        pair.run()
        if self.protocol is not stock.BufferingTLSTransport:
            # Twisted's own forgets what it has gathered.
            self.assertEqual(pair.server.heard, b"still producing")
        self.assertIsInstance(pair.server.reason, ConnectionDone)


@implementer(IPushProducer)
class PushProducer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def pauseProducing(self) -> None:
        self.events.append("pause")

    def resumeProducing(self) -> None:
        self.events.append("resume")

    def stopProducing(self) -> None:
        self.events.append("stop")


class StockTests(SharedSuite, SynchronousTestCase):
    """Twisted's own protocol, so that the suite is known to say what Twisted does."""

    protocol = stock.BufferingTLSTransport


class HoldingTests(SharedSuite, SynchronousTestCase):
    """The protocol that stands in where Twisted is too different."""

    protocol = HoldingTlsProtocol


class CorkedTests(SharedSuite, SynchronousTestCase):
    """The corked protocol, and what it does that the others do not."""

    protocol = CorkedTlsProtocol

    def counted(self, pair: Pair) -> list[int]:
        """The sizes of what the server's TLS gives to TCP from now on."""
        sizes: list[int] = []
        write = pair.server_transport.write
        pair.server_transport.write = lambda data: (sizes.append(len(data)), write(data))[1]
        return sizes

    def test_one_write_a_delivery(self) -> None:
        """However much a delivery gives rise to, it leaves in one write of one record."""

        def answer(party: Recorder, data: bytes) -> None:
            for part in range(100):
                party.transport.write(b"%03d" % part)

        pair = self.pair(server=Recorder(data=answer))
        sizes = self.counted(pair)
        pair.client.transport.write(b"x")
        pair.run()
        self.assertEqual(len(pair.client.heard), 300)
        self.assertEqual(len(sizes), 1)
        self.assertLess(sizes[0], 300 + 30)

    def test_one_delivery_for_many_records(self) -> None:
        """Records that arrive together are delivered together, so that their answers leave together."""
        pair = self.pair(server=Recorder(data=lambda party, data: party.transport.write(data)))
        sizes = self.counted(pair)
        for part in range(10):
            pair.client.transport.write(b"%d" % part)
            pair.clock.advance(0)
        pair.run()
        self.assertEqual(pair.server.deliveries, [b"0123456789"])
        self.assertEqual(pair.client.heard, b"0123456789")
        self.assertEqual(len(sizes), 1)

    def test_one_delayed_call_for_all(self) -> None:
        """Writes outside of deliveries wait for one delayed call of all connections that share a clock."""
        clock = Clock()
        parties = []
        for _ in range(5):
            party = Recorder()
            factory = TLSMemoryBIOFactory(Creator(), True, Factory.forProtocol(lambda party=party: party), clock)
            factory.protocol = CorkedTlsProtocol
            connection: Any = factory.buildProtocol(None)
            connection.makeConnection(StringTransport())
            parties.append((party, connection))
            for _part in range(3):
                party.transport.write(b"part")
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        for _party, connection in parties:
            connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_at_once(self) -> None:
        """What is written at once leaves with what was written before it, in one write, and does not wait for the end
        of the turn."""
        pair = self.pair()
        sizes = self.counted(pair)
        pair.server.transport.write(b"one ")
        self.assertEqual(sizes, [])
        pair.server.transport.write_at_once(b"two")
        self.assertEqual(len(sizes), 1)
        pair.run()
        self.assertEqual((pair.client.heard, len(sizes)), (b"one two", 1))

    def test_one_failure_spares_the_others(self) -> None:
        """A connection that fails to send is logged and keeps no other from sending."""

        class Broken:
            sent = 0

            def flush(self) -> None:
                raise RuntimeError("broken")

        class Sound(Broken):
            def flush(self) -> None:
                Broken.sent += 1

        clock = Clock()
        flusher = TurnFlusher.of(clock)
        self.assertIs(TurnFlusher.of(clock), flusher)
        for connection in (Sound(), Broken(), Sound()):
            flusher.add(connection)  # type: ignore[arg-type]
        clock.advance(0)
        self.assertEqual(Broken.sent, 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_much_at_once_does_not_wait(self) -> None:
        """A delivery that writes more than 64 000 octets sends in between: what is gathered is bounded."""

        def answer(party: Recorder, data: bytes) -> None:
            for _ in range(300):
                party.transport.write(bytes(1000))

        pair = self.pair(server=Recorder(data=answer))
        sizes = self.counted(pair)
        pair.client.transport.write(b"x")
        pair.run()
        self.assertEqual(len(pair.client.heard), 300_000)
        self.assertEqual(len(sizes), 5)

    def test_no_exception_a_message(self) -> None:
        """A message that comes as one record costs one read, one that is sent one; OpenSSL is not asked in vain."""

        class Counting(SSL.Connection):
            def recv(self, *arguments: Any) -> bytes:
                calls.append("recv")
                return super().recv(*arguments)

            def bio_read(self, *arguments: Any) -> bytes:
                calls.append("bio_read")
                return super().bio_read(*arguments)

        calls: list[str] = []
        party = Recorder(data=lambda party, data: party.transport.write(data))
        clock = Clock()
        server: Any = self._factory(Creator(connection=Counting), False, party, clock)
        client: Any = self._factory(Creator(), True, Recorder(), clock)
        pump = connect(server, FakeTransport(server, True), client, FakeTransport(client, False))
        pump.flush()
        calls.clear()
        for _ in range(10):
            client.wrappedProtocol.transport.write(b"message")
            clock.advance(0)
            pump.flush()
        self.assertEqual(party.heard, b"message" * 10)
        self.assertEqual(calls, ["recv", "bio_read"] * 10)

    def _factory(self, creator: Creator, dials: bool, party: Recorder, clock: Clock) -> Any:
        factory = TLSMemoryBIOFactory(creator, dials, Factory.forProtocol(lambda: party), clock)
        factory.protocol = CorkedTlsProtocol
        return factory.buildProtocol(None)

    def test_records_cut_anywhere(self) -> None:
        """Wherever the stream is cut, each message is delivered as soon as its record is complete."""
        stream, ends, server = self._recorded_stream([b"a", b"b" * 300, b"", b"c" * 16_000])
        del server
        for cut in (*range(1, 40), *range(ends[1] - 8, ends[1] + 8), len(stream) - 1):
            self.assert_delivered(cut)

    def assert_delivered(self, cut: int) -> None:
        """Deliver a recorded stream in two pieces."""
        stream, ends, server = self._recorded_stream([b"a", b"b" * 300, b"c" * 16_000])
        server.dataReceived(stream[:cut])
        complete = sum(1 for end in ends if end <= cut)
        self.assertEqual(server.wrappedProtocol.heard, b"".join([b"a", b"b" * 300, b"c" * 16_000][:complete]))
        server.dataReceived(stream[cut:])
        self.assertEqual(len(server.wrappedProtocol.heard), 16_301)

    @given(st.lists(st.integers(1, 600), max_size=12), st.lists(st.binary(max_size=200), min_size=1, max_size=6))
    @drawing(max_examples=60, deadline=None)
    def test_records_in_pieces(self, pieces: list[int], messages: list[bytes]) -> None:
        """In whatever pieces records arrive, everything is delivered, in order, when its record is complete."""
        stream, ends, server = self._recorded_stream(messages)
        position = 0
        for piece in [*pieces, len(stream)]:
            if position < len(stream):
                server.dataReceived(stream[position : position + piece])
                position = min(position + piece, len(stream))
            expected = b"".join(
                message for message, end in zip(filter(None, messages), ends, strict=True) if end <= position
            )
            self.assertEqual(server.wrappedProtocol.heard, expected)

    def _recorded_stream(self, messages: list[bytes]) -> tuple[bytes, list[int], Any]:
        """What a client sends for *messages*, where each record ends, and a server that waits for it."""
        pair = self.pair()
        pair.client_transport.stream.clear()
        ends: list[int] = []
        stream = b""
        for message in filter(None, messages):
            pair.client.transport.write(message)
            pair.clock.advance(0)
            stream += pair.client_transport.getOutBuffer() or b""
            ends.append(len(stream))
        return stream, ends, pair.tls[1]

    def test_foundations(self) -> None:
        """What the corked protocol leans on is there in the installed Twisted, so it is what is used."""
        self.assertEqual(missing_foundations(), [])
        self.assertIs(choose_protocol(), CorkedTlsProtocol)

    def test_another_twisted(self) -> None:
        """Where Twisted has changed what the corked protocol leans on, Twisted's own code does the work."""
        self.patch(TLSMemoryBIOProtocol, "_write", lambda self, data, flags: None)
        self.assertEqual(missing_foundations(), ["TLSMemoryBIOProtocol._write"])
        self.assertIs(choose_protocol(), HoldingTlsProtocol)


class HoldTests(SynchronousTestCase):
    """Writes that wait for the peer to be verified."""

    def test_held_and_released(self) -> None:
        """Held writes leave in order when they are released, and only then."""
        for protocol in (HoldingTlsProtocol, CorkedTlsProtocol):
            pair = Pair(protocol, Recorder(), Recorder())
            pair.tls[0].hold_writes()
            pair.client.transport.write(b"one ")
            pair.client.transport.writeSequence([b"two "])
            pair.client.transport.write_at_once(b"three ")
            pair.run()
            self.assertEqual(pair.server.heard, b"")
            pair.tls[0].release_writes()
            pair.client.transport.write(b"four")
            pair.run()
            self.assertEqual(pair.server.heard, b"one two three four")

    def test_dropped(self) -> None:
        """Held writes never leave when the connection is closed or aborted instead."""
        for protocol in (HoldingTlsProtocol, CorkedTlsProtocol):
            for close in ("loseConnection", "abortConnection"):
                pair = Pair(protocol, Recorder(), Recorder())
                pair.tls[0].hold_writes()
                pair.client.transport.write(b"secret")
                getattr(pair.client.transport, close)()
                pair.client.transport.write(b"secret")
                pair.run()
                pair.tls[0].release_writes()
                pair.run()
                self.assertEqual(pair.server.heard, b"")
                self.assertEqual(pair.client.events, ["made", "lost"])


class SocketSuite:
    """The same on real sockets, where the corked protocol sends past the reactor."""

    protocol: ClassVar[Any]

    async def connected(self: Any, client: Recorder, server: Recorder) -> None:
        """Connect the two on this host."""
        listening = TLSMemoryBIOFactory(Creator(), False, Factory.forProtocol(lambda: server), reactor)
        dialling = TLSMemoryBIOFactory(Creator(), True, Factory.forProtocol(lambda: client), reactor)
        listening.protocol = dialling.protocol = self.protocol
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(listening)
        self.addCleanup(port.stopListening)
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(dialling)

    async def test_conversation(self: Any) -> None:
        """A thousand questions and answers, one at a time."""
        rounds = 1000

        def answer(party: Recorder, data: bytes) -> None:
            party.transport.write(data)

        def ask(party: Recorder, data: bytes = b"") -> None:
            if len(party.heard) < 4 * rounds:
                party.transport.write(b"%04d" % (len(party.heard) // 4))
            else:
                party.transport.loseConnection()

        client, server = Recorder(made=ask, data=ask), Recorder(data=answer)
        await self.connected(client, server)
        await client.ended
        await server.ended
        self.assertEqual(client.heard, b"".join(b"%04d" % number for number in range(rounds)))

    async def test_more_than_the_socket_takes(self: Any) -> None:
        """What the socket does not take at once follows in order, and the producer is paused meanwhile."""
        size = 8_000_000
        data = random.Random(2).randbytes(100_000)
        producer = PushProducer()
        stopped: Deferred[None] = Deferred()

        def flood(party: Recorder, received: bytes) -> None:
            party.on.clear()
            party.transport.registerProducer(producer, True)
            for _ in range(size // len(data)):
                party.transport.write(data)
            party.transport.unregisterProducer()
            party.transport.loseConnection()

        def stall(party: Recorder, received: bytes) -> None:
            party.on.clear()
            party.transport.pauseProducing()
            stopped.callback(None)

        client = Recorder(made=lambda party: party.transport.write(b"go"), data=stall)
        server = Recorder(data=flood)
        await self.connected(client, server)
        await stopped
        await deferLater(reactor, 0.02)
        self.assertLess(len(client.heard), size)
        client.transport.resumeProducing()
        await client.ended
        await server.ended
        self.assertTrue(client.heard == data * (size // len(data)))
        self.assertEqual(producer.events[:1], ["pause"])
        self.assertIsInstance(client.reason, ConnectionDone)

    async def test_abort(self: Any) -> None:
        """To the peer an aborted connection was lost: it did not end in order."""
        client = Recorder(made=lambda party: party.transport.write(b"x"))
        server = Recorder(data=lambda party, data: party.transport.abortConnection())
        await self.connected(client, server)
        await client.ended
        await server.ended
        self.assertIsInstance(client.reason, ConnectionLost)

    async def test_peer_gone(self: Any) -> None:
        """Writing to a peer that has reset the connection ends it, and never raises at the writer."""
        gone: Deferred[None] = Deferred()

        def reset(party: Recorder, data: bytes) -> None:
            party.transport.abortConnection()

        client = Recorder(made=lambda party: party.transport.write(b"x"))
        server = Recorder(data=reset, lost=lambda party: gone.callback(None))
        await self.connected(client, server)
        await gone
        for _ in range(10):
            client.transport.write(bytes(100_000))
        await client.ended
        self.assertIsInstance(client.reason, ConnectionLost)
        self.assertIsInstance(server.reason, ConnectionLost)


class StockSocketTests(SocketSuite, TestCase):
    """Twisted's own protocol on sockets."""

    protocol = stock.BufferingTLSTransport


class CorkedSocketTests(SocketSuite, TestCase):
    """The corked protocol on sockets."""

    protocol = CorkedTlsProtocol


class InPlace:
    """Runs a test case of Twisted's with our protocol in the place of its own."""

    def setUp(self: Any) -> Any:
        """Put it there for this test."""
        self.patch(TLSMemoryBIOFactory, "protocol", CorkedTlsProtocol)
        self.patch(twisted_suite, "TLSMemoryBIOProtocol", CorkedTlsProtocol)
        return super().setUp()  # type: ignore[misc]


if twisted_suite is None:

    class TwistedOwnTests(SynchronousTestCase):
        """Stands for what cannot be run."""

        def test_twisted_suite(self) -> None:
            """Twisted's own tests of TLS pass with our protocol in the place of theirs."""

        test_twisted_suite.skip = reason_to_skip  # type: ignore[attr-defined]

else:
    # Every test, without an exception to the rule. Of the cases that Twisted makes for each kind of reactor those for
    # one on file descriptors are taken: the protocol does not know them apart.
    for _suite in (twisted_suite, twisted_reactor_suite):
        for _name, _case in list(vars(_suite).items()):
            if not (isinstance(_case, type) and issubclass(_case, SynchronousTestCase.__mro__[1]) and "Tests" in _name):
                continue
            if "Reactor" not in _name or "EPollReactor" in _name:
                globals()[f"Twisted{_name}"] = type(f"Twisted{_name}", (InPlace, _case), {"__module__": __name__})
    del _suite, _name, _case
