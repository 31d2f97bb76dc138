"""A host of the network in memory is a reactor on which Twisted's own programs run unchanged."""

from __future__ import annotations

import errno
from typing import Any

from OpenSSL import crypto
from service_identity import VerificationError
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    clientFromString,
    serverFromString,
)
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorCore,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import ClientFactory, Factory
from twisted.internet.ssl import KeyPair, PrivateCertificate, optionsForClientTLS
from twisted.internet.task import deferLater
from twisted.protocols import wire
from twisted.protocols.basic import LineReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sip_p2p.pki import CertificateAuthority
from tests.testing.support import Accepting, Datagrams, HostTestCase, Recorder


@implementer(IHalfCloseableProtocol)
class HalfClosing(Recorder):
    """A recorder that goes on after one direction has ended."""

    ended = ""

    def readConnectionLost(self) -> None:
        self.ended += "read "

    def writeConnectionLost(self) -> None:
        self.ended += "write "


class InterfaceTests(HostTestCase):
    """What a host promises."""

    def test_interfaces(self) -> None:
        """A host provides the interfaces of a reactor for time, streams, datagrams and names. row:M16"""
        for interface in (
            IReactorCore,
            IReactorFDSet,
            IReactorPluggableNameResolver,
            IReactorSSL,
            IReactorTCP,
            IReactorTime,
            IReactorUDP,
        ):
            self.assertTrue(verifyObject(interface, self.alice))

    def test_transport(self) -> None:
        """A stream's transport is one of TCP, with TLS to be had, and knows both addresses."""
        client, server = self.pair()
        self.assertTrue(ITCPTransport.providedBy(client.transport))
        self.assertTrue(ITLSTransport.providedBy(client.transport))
        self.assertEqual(client.transport.getPeer(), IPv4Address("TCP", "10.0.0.2", 7))
        self.assertEqual(server.transport.getHost(), IPv4Address("TCP", "10.0.0.2", 7))
        self.assertEqual(server.transport.getPeer(), client.transport.getHost())
        client.transport.setTcpNoDelay(True)
        client.transport.setTcpKeepAlive(True)
        self.assertTrue(client.transport.getTcpNoDelay())
        self.assertTrue(client.transport.getTcpKeepAlive())

    def test_failing_call(self) -> None:
        """A delayed call that raises is logged and stops no other, as on a real reactor."""
        called: list[int] = []
        self.alice.callLater(1, lambda: 1 / 0)
        self.alice.callLater(1, called.append, 1)
        self.network.advance(1)
        self.assertEqual(called, [1])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_delayed_calls(self) -> None:
        """A host lists the calls that were asked for on it, and no others."""
        call = self.alice.callLater(5, list)
        self.assertEqual(self.alice.getDelayedCalls(), [call])
        self.assertEqual(self.bob.getDelayedCalls(), [])
        call.cancel()
        self.assertEqual(self.alice.getDelayedCalls(), [])
        self.assertRaises(ValueError, self.alice.callLater, -1, list)

    def test_other_ways_to_pass_time(self) -> None:
        """``iterate``, ``crash``, ``callFromThread`` and ``callWhenRunning`` do what their names say."""
        order: list[str] = []
        self.alice.callWhenRunning(order.append, "running")
        self.alice.callFromThread(order.append, "from a thread")
        self.assertEqual(order, ["running"])
        self.alice.iterate(1)
        self.assertEqual((order, self.network.seconds()), (["running", "from a thread"], 1.0))
        self.alice.callLater(1, self.alice.crash)
        self.alice.callLater(9, order.append, "after the crash")
        self.alice.run()
        self.assertEqual((len(order), self.network.seconds()), (2, 2.0))
        self.alice.run()
        self.assertEqual(order[-1], "after the crash")

    def test_remove_all(self) -> None:
        """``removeAll`` stops the service of every reader and writer, and gives them back."""
        client, _ = self.pair()
        client.transport.startWriting()
        self.assertEqual(self.alice.getWriters(), [client.transport])
        self.assertEqual(self.alice.removeAll(), [client.transport])
        self.assertEqual((self.alice.getReaders(), self.alice.getWriters()), ([], []))

    def test_run_and_stop(self) -> None:
        """``run`` lets time pass until ``stop``, which fires the shutdown triggers in their order."""
        order: list[str] = []
        done: Deferred[None] = Deferred()
        self.alice.addSystemEventTrigger("after", "shutdown", order.append, "after")
        self.alice.addSystemEventTrigger("during", "shutdown", order.append, "during")
        self.alice.addSystemEventTrigger("before", "shutdown", lambda: done)
        removed = self.alice.addSystemEventTrigger("during", "shutdown", order.append, "never")
        self.alice.removeSystemEventTrigger(removed)
        self.alice.callLater(3, self.alice.stop)
        self.alice.callLater(60, order.append, "too late")
        self.alice.run()
        self.assertEqual((order, self.network.seconds()), ([], 3.0))
        done.callback(None)
        self.assertEqual(order, ["during", "after"])


class EndpointTests(HostTestCase):
    """Twisted's endpoints."""

    def echo(self, server: Any, client: Any) -> None:
        listening = self.network.run_until(server.listen(Factory.forProtocol(wire.Echo)))
        protocol = self.network.run_until(client(listening.getHost().port).connect(Factory.forProtocol(Recorder)))
        protocol.transport.write(b"hello")
        self.network.settle()
        self.assertEqual(protocol.received, b"hello")
        protocol.transport.loseConnection()
        self.network.run_until(listening.stopListening())
        self.network.assert_quiet()

    def test_addresses(self) -> None:
        """Server and client endpoints by address."""
        self.echo(TCP4ServerEndpoint(self.bob, 0), lambda port: TCP4ClientEndpoint(self.alice, "10.0.0.2", port))

    def test_descriptions(self) -> None:
        """Endpoint descriptions on both sides, one of them naming the host."""
        self.echo(
            serverFromString(self.bob, "tcp:0"),
            lambda port: clientFromString(self.alice, f"tcp:host=b.example:port={port}"),
        )

    def test_name(self) -> None:
        """A host name that has an address of each family."""
        self.echo(serverFromString(self.bob, "tcp:0"), lambda port: HostnameEndpoint(self.alice, b"b.example", port))

    def test_ipv6(self) -> None:
        """A listener on all addresses of both families sees IPv6 peers, and IPv4 peers mapped."""
        accepting = Accepting(wire.Echo)
        listening = self.bob.listenTCP(0, accepting, interface="::")
        port = listening.getHost().port
        for target in ("fd00::2", "10.0.0.2"):
            self.network.run_until(
                HostnameEndpoint(self.alice, target, port).connect(Factory.forProtocol(Recorder))
            ).transport.loseConnection()
            self.network.settle()
        self.assertEqual([address.host for address in accepting.addresses], ["fd00::1", "::ffff:10.0.0.1"])
        self.assertIsInstance(accepting.addresses[0], IPv6Address)

    def test_unknown_name(self) -> None:
        """A name that nobody has fails as a look-up does."""
        endpoint = HostnameEndpoint(self.alice, "c.example", 7)
        self.assertRaises(error.DNSLookupError, self.network.run_until, endpoint.connect(Factory.forProtocol(Recorder)))

    def test_refused(self) -> None:
        """Nobody listens: connection refused."""
        endpoint = TCP4ClientEndpoint(self.alice, "10.0.0.2", 9)
        connecting = endpoint.connect(Factory.forProtocol(Recorder))
        self.assertRaises(error.ConnectionRefusedError, self.network.run_until, connecting)
        self.network.assert_quiet()

    def test_no_such_host(self) -> None:
        """No host has the address: no route."""
        endpoint = TCP4ClientEndpoint(self.alice, "10.9.9.9", 9)
        connecting = endpoint.connect(Factory.forProtocol(Recorder))
        failure = self.assertRaises(error.ConnectError, self.network.run_until, connecting)
        self.assertEqual(failure.osError, errno.EHOSTUNREACH)

    def test_time_out(self) -> None:
        """A peer that cannot be reached makes connecting time out, and leaves nothing open."""
        self.network.partition(self.alice, self.bob)
        self.bob.listenTCP(7, Accepting(Recorder))
        endpoint = TCP4ClientEndpoint(self.alice, "10.0.0.2", 7, timeout=10)
        connecting = endpoint.connect(Factory.forProtocol(Recorder))
        self.assertRaises(error.TimeoutError, self.network.run_until, connecting)
        self.assertEqual(self.network.seconds(), 10.0)
        self.assertEqual(self.alice.inventory(), [])

    def test_cancelled(self) -> None:
        """Cancelling while the connection is being made leaves nothing open at either side."""
        self.network.change(delay=0.1)
        listening = self.bob.listenTCP(7, Accepting(Recorder))
        for after in (0.05, 0.15, 0.199):
            connecting = TCP4ClientEndpoint(self.alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder))
            self.network.advance(after)
            connecting.cancel()
            self.failureResultOf(connecting, error.ConnectingCancelledError)
            self.network.advance(1)
        listening.stopListening()
        self.network.assert_quiet()

    def test_bind_address(self) -> None:
        """A client may choose its own address and port, but only one that its host has."""
        accepting = Accepting(Recorder)
        self.bob.listenTCP(7, accepting)
        factory = Factory.forProtocol(Recorder)
        self.network.run_until(
            TCP4ClientEndpoint(self.alice, "10.0.0.2", 7, bindAddress=("10.0.0.1", 5555)).connect(factory)
        )
        self.network.settle()
        self.assertEqual(accepting.addresses, [IPv4Address("TCP", "10.0.0.1", 5555)])
        foreign = TCP4ClientEndpoint(self.alice, "10.0.0.2", 7, bindAddress=("10.0.0.3", 0))
        self.assertRaises(error.ConnectBindError, self.network.run_until, foreign.connect(factory))

    def test_taken(self) -> None:
        """A port that is taken, or an address that is not the host's, cannot be listened on."""
        self.bob.listenTCP(7, Accepting(Recorder))
        for interface in ("", "10.0.0.2", "::"):
            self.assertRaises(error.CannotListenError, self.bob.listenTCP, 7, Accepting(Recorder), interface=interface)
        self.assertRaises(error.CannotListenError, self.bob.listenTCP, 8, Accepting(Recorder), interface="10.0.0.1")
        self.alice.listenTCP(7, Accepting(Recorder))

    def test_port_free_again(self) -> None:
        """A port can be listened on again as soon as it was given up, though its connections live on."""
        _, server = self.pair()
        self.bob.listenTCP(7, Accepting(Recorder))
        self.assertTrue(server.transport.connected)


class StreamTests(HostTestCase):
    """What streams do at their end, and when one side is slow."""

    def test_close(self) -> None:
        """Closing sends everything first; both sides see a clean end."""
        client, server = self.pair()
        client.transport.write(b"x" * 500_000)
        client.transport.loseConnection()
        self.network.settle()
        self.assertEqual(len(server.received), 500_000)
        client.reason.trap(error.ConnectionDone)
        server.reason.trap(error.ConnectionDone)
        self.network.assert_quiet()

    def test_abort(self) -> None:
        """Aborting is ``ConnectionAborted`` here and a reset, ``ConnectionLost``, there."""
        client, server = self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"x" * 500_000)
        client.transport.abortConnection()
        self.network.settle()
        server.transport.resumeProducing()
        self.network.settle()
        client.reason.trap(error.ConnectionAborted)
        server.reason.trap(error.ConnectionLost)
        self.network.assert_quiet()

    def test_unread(self) -> None:
        """Closing with data unread resets the stream, as Linux does."""
        client, server = self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"never read")
        self.network.settle()
        server.transport.loseConnection()
        client.transport.write(b"more")
        self.network.settle()
        self.assertEqual(server.received, b"")
        self.network.assert_quiet()

    def test_half_close(self) -> None:
        """One direction can end while the other goes on."""
        client, server = self.pair(HalfClosing, HalfClosing)
        client.transport.write(b"last words")
        client.transport.loseWriteConnection()
        self.network.settle()
        self.assertEqual((client.ended, server.ended, server.received), ("write ", "read ", b"last words"))
        server.transport.write(b"answer")
        server.transport.loseConnection()
        self.network.settle()
        self.assertEqual(client.received, b"answer")
        client.transport.loseConnection()
        self.network.settle()
        self.network.assert_quiet()

    def test_back_pressure(self) -> None:
        """A reader that pauses fills the window; the writer's producer is paused, and resumed when it reads again."""

        class Producer:
            state = "running"

            def pauseProducing(self) -> None:
                self.state = "paused"

            def resumeProducing(self) -> None:
                self.state = "resumed"

            def stopProducing(self) -> None:
                self.state = "stopped"

        client, server = self.pair()
        server.transport.pauseProducing()
        producer = Producer()
        client.transport.registerProducer(producer, True)
        for _ in range(20):
            client.transport.write(b"x" * 10_000)
            self.network.settle()
        self.assertEqual((producer.state, server.received), ("paused", b""))
        server.transport.resumeProducing()
        self.network.settle()
        self.assertEqual((producer.state, len(server.received)), ("resumed", 200_000))
        client.transport.abortConnection()
        self.network.settle()
        self.assertEqual(producer.state, "stopped")

    def test_raising_protocol(self) -> None:
        """A protocol that raises loses its connection and is logged, as on a real reactor."""

        class Raising(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        client, server = self.pair(server=Raising)
        client.transport.write(b"x")
        self.network.settle()
        server.reason.trap(ZeroDivisionError)
        client.reason.trap(error.ConnectionDone, error.ConnectionLost)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_backlog(self) -> None:
        """With its backlog full a port takes no more; who waits is served when there is room again."""
        accepting = Accepting(Recorder)
        listening = self.bob.listenTCP(7, accepting, backlog=1)
        listening.pauseProducing()
        connecting = [
            TCP4ClientEndpoint(self.alice, "10.0.0.2", 7).connect(Factory.forProtocol(Recorder)) for _ in range(3)
        ]
        self.network.advance(5)
        self.assertEqual([attempt.called for attempt in connecting], [True, False, False])
        listening.resumeProducing()
        self.network.advance(5)
        self.assertEqual([attempt.called for attempt in connecting], [True, True, True])
        self.assertEqual(len(accepting.built), 3)

    def test_timeout_mixin(self) -> None:
        """Twisted's own time-out policy runs by the network's clock."""

        class Impatient(TimeoutMixin, LineReceiver):
            def connectionMade(self) -> None:
                self.setTimeout(30)

        class Fitted(Impatient):
            def callLater(self, period: float, func: Any) -> Any:
                return self.transport.reactor.callLater(period, func)

        client, _ = self.pair(server=Fitted)
        self.network.advance(29.9)
        self.assertIsNone(client.reason)
        self.network.advance(0.1)
        client.reason.trap(error.ConnectionDone)


class TlsTests(HostTestCase):
    """Twisted's TLS over the streams."""

    def contexts(self, expected: str = "b.example") -> tuple[Any, Any]:
        authority = CertificateAuthority.create()
        issued = authority.issue("b.example")
        key = KeyPair(crypto.PKey.from_cryptography_key(issued.key))  # type: ignore[arg-type]
        certificate = PrivateCertificate.fromCertificateAndKeyPair(
            PrivateCertificate(crypto.X509.from_cryptography(issued.certificate)), key
        )
        client = optionsForClientTLS(expected, PrivateCertificate(crypto.X509.from_cryptography(authority.certificate)))
        return client, certificate.options()

    def exchange(self) -> Any:
        client_context, server_context = self.contexts()
        listening = self.bob.listenSSL(0, Factory.forProtocol(wire.Echo), server_context)
        dialling = TLSMemoryBIOFactory(client_context, True, Factory.forProtocol(Recorder), self.alice)
        wrapped = self.network.run_until(
            HostnameEndpoint(self.alice, "b.example", listening.getHost().port).connect(dialling)
        )
        wrapped.wrappedProtocol.transport.write(b"secret" * 100)
        self.network.advance(5)
        listening.stopListening()
        return wrapped

    def test_echo(self) -> None:
        """A TLS handshake and an echo over it. row:M16"""
        wrapped = self.exchange()
        self.assertEqual(wrapped.wrappedProtocol.received, b"secret" * 100)
        protocol = wrapped.wrappedProtocol
        protocol.transport.loseConnection()
        self.network.settle()
        protocol.reason.trap(error.ConnectionDone)
        self.network.assert_quiet()

    def test_connect_ssl(self) -> None:
        """The same by the reactor's own methods for TLS."""
        client_context, server_context = self.contexts()
        accepting = Accepting(Recorder)
        self.bob.listenSSL(7, accepting, server_context)
        protocol = Recorder()
        factory = ClientFactory.forProtocol(lambda: protocol)  # type: ignore[arg-type]
        self.alice.connectSSL("10.0.0.2", 7, factory, client_context)
        self.network.settle()
        assert protocol.transport is not None
        protocol.transport.write(b"secret")
        self.network.settle()
        self.assertEqual(accepting.built[0].received, b"secret")
        protocol.transport.loseConnection()
        self.network.settle()
        accepting.built[0].reason.trap(error.ConnectionDone)

    def test_octet_by_octet(self) -> None:
        """The same with every stream cut at every octet."""
        self.network.change(chunk=1)
        self.assertEqual(self.exchange().wrappedProtocol.received, b"secret" * 100)

    def test_wrong_name(self) -> None:
        """A refused certificate reaches the protocol as an SSL error."""
        client_context, server_context = self.contexts("c.example")
        self.bob.listenSSL(7, Factory.forProtocol(wire.Echo), server_context)
        accepting = Accepting(Recorder)
        accepting.clientConnectionLost = lambda connector, reason: None  # type: ignore[attr-defined]
        dialled = HostnameEndpoint(self.alice, "b.example", 7).connect(
            TLSMemoryBIOFactory(client_context, True, accepting, self.alice)
        )
        self.network.run_until(dialled)
        self.network.settle()
        accepting.built[0].reason.trap(VerificationError)


class DatagramTests(HostTestCase):
    """UDP."""

    def test_echo(self) -> None:
        """A datagram arrives whole, with the sender's address, and can be answered."""
        here, there = Datagrams(), Datagrams()
        self.alice.listenUDP(5060, here)
        self.bob.listenUDP(5060, there)
        here.transport.write(b"ping", ("10.0.0.2", 5060))
        self.network.settle()
        self.assertEqual(there.received, [(b"ping", ("10.0.0.1", 5060))])
        there.transport.write(b"pong", there.received[0][1])
        self.network.settle()
        self.assertEqual(here.received, [(b"pong", ("10.0.0.2", 5060))])

    def test_length(self) -> None:
        """A datagram beyond UDP's limit cannot be sent; one beyond the receiver's buffer is cut."""
        here, there = Datagrams(), Datagrams()
        self.alice.listenUDP(0, here)
        self.bob.listenUDP(7, there, maxPacketSize=100)
        self.assertRaises(error.MessageLengthError, here.transport.write, b"x" * 65508, ("10.0.0.2", 7))
        here.transport.write(b"x" * 65507, ("10.0.0.2", 7))
        self.network.settle()
        self.assertEqual([len(data) for data, _ in there.received], [100])

    def test_connected(self) -> None:
        """A connected port hears that nobody listens, and nothing from strangers."""
        here, stranger = Datagrams(), Datagrams()
        self.alice.listenUDP(7, here)
        self.bob.listenUDP(8, stranger)
        here.transport.connect("10.0.0.2", 9)
        here.transport.write(b"x")
        self.network.settle()
        stranger.transport.write(b"x", ("10.0.0.1", 7))
        self.network.settle()
        self.assertEqual((here.refused, here.received), (1, []))

    def test_ipv6(self) -> None:
        """Datagrams over IPv6."""
        here, there = Datagrams(), Datagrams()
        self.alice.listenUDP(0, here, interface="::")
        self.bob.listenUDP(7, there, interface="fd00::2")
        here.transport.write(b"six", ("fd00::2", 7))
        self.network.settle()
        self.assertEqual(there.received[0][1][0], "fd00::1")

    def test_stop(self) -> None:
        """A port that was stopped is free again."""
        port = self.bob.listenUDP(7, Datagrams())
        self.assertRaises(error.CannotListenError, self.bob.listenUDP, 7, Datagrams())
        self.network.run_until(port.stopListening())
        self.bob.listenUDP(7, Datagrams())

    def test_full_buffer(self) -> None:
        """A receiver that does not read loses what its buffer cannot hold."""
        here, there = Datagrams(), Datagrams()
        self.alice.listenUDP(0, here)
        port = self.bob.listenUDP(7, there)
        port.stopReading()
        for _ in range(300):
            here.transport.write(b"x" * 1000, ("10.0.0.2", 7))
        self.network.settle()
        port.startReading()
        self.network.settle()
        self.assertEqual(len(there.received), 212)


class CoroutineTests(HostTestCase):
    """Programs written as coroutines."""

    def test_program(self) -> None:
        """A coroutine can wait for the network's time and for connections, and its result is handed back."""
        self.bob.listenTCP(7, Factory.forProtocol(wire.Echo))

        async def program() -> bytes:
            protocol = await HostnameEndpoint(self.alice, "b.example", 7).connect(Factory.forProtocol(Recorder))
            protocol.transport.write(b"waited")
            await deferLater(self.alice, 2.5)
            return bytes(protocol.received)

        self.assertEqual(self.network.run_until(program()), b"waited")
        self.assertEqual(self.network.seconds(), 2.5)
