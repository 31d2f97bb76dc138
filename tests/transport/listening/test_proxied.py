"""Connections behind a proxy: what the header says, who may say it, and how long it may take."""

from __future__ import annotations

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from sip_p2p import ConnectionFailure, ProxyConnector, SipPeerToPeerEndpoint, Target
from sip_p2p.testing import Network
from sip_p2p.transport.listening.proxied import LONGEST_HEADER, ProxiedFactory, Proxies, read_header
from sip_p2p.transport.stream.protocol import host_and_port
from tests.support import SynchronousTestCase

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 5061\r\n"


def binary(command: int = 0x21, family: int = 0x11, payload: bytes = b"", size: int | None = None) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(payload) if size is None else size) + payload


V2_4 = binary(payload=bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 40000, 5061))
V2_6 = binary(
    family=0x21, payload=bytes.fromhex("20010db8" + "00" * 11 + "01" + "20010db8" + "00" * 11 + "02") + b"\x9c@\x13\xc5"
)


class HeaderTests(SynchronousTestCase):
    """Values in, values out."""

    def test_addresses(self) -> None:
        """Both versions tell both addresses, and how long the header is (row:C13)."""
        ours, theirs = IPv4Address("TCP", "198.51.100.2", 5061), IPv4Address("TCP", "192.0.2.1", 40000)
        for data in (V1, V2_4, binary(payload=V2_4[16:] + b"\x04\x00\x01x")):
            header = read_header(data + b"\x16\x03\x01")
            assert header is not None
            self.assertEqual((header.source, header.destination, header.length), (theirs, ours, len(data)))
        header = read_header(V2_6)
        assert header is not None
        self.assertEqual(header.source, IPv6Address("TCP", "2001:db8::1", 40000))
        self.assertEqual(header.destination, IPv6Address("TCP", "2001:db8::2", 5061))
        header = read_header(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
        assert header is not None
        self.assertEqual(header.source, IPv6Address("TCP", "2001:db8::1", 1))

    def test_mapped_addresses(self) -> None:
        """An IPv4 address that a proxy writes as one of IPv6 is the same address as everywhere: for limits, and for
        whoever compares it (row:C13)."""
        mapped = bytes.fromhex("00" * 10 + "ffff" + "c0000201")
        for data in (
            b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c000:0201 40000 5061\r\n",
            binary(family=0x21, payload=mapped + mapped + struct.pack("!HH", 40000, 5061)),
        ):
            header = read_header(data)
            assert header is not None and header.source is not None and header.destination is not None
            self.assertEqual(host_and_port(header.source), ("192.0.2.1", 40000))
            self.assertEqual(host_and_port(header.destination), ("192.0.2.1", 5061))

    def test_the_proxy_itself(self) -> None:
        """A proxy that speaks for itself, to see whether we are there, says no addresses."""
        for data in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN a b c d\r\n", binary(0x20), binary(family=0)):
            header = read_header(data)
            assert header is not None
            self.assertEqual((header.source, header.destination, header.length), (None, None, len(data)))

    def test_incomplete(self) -> None:
        """A header that has not all come is waited for."""
        for data in (V1, V2_4, V2_6):
            for size in range(len(data)):
                self.assertIsNone(read_header(data[:size]))

    def test_none(self) -> None:
        """What is no header, or one that is too long, is told at its first wrong octet."""
        for data in (
            b"OPTIONS sip:a SIP/2.0\r\n",
            b"\x16\x03\x01",
            b"\r\n\r\nOPT",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 40000\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 65536\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.2 40000 -1\r\n",
            b"PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n",
            b"PROXY TCP4 a.example b.example 1 2\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            b"PROXY " + b"x" * 107,
            binary(0x22),
            binary(0x11),
            binary(family=0x12, payload=V2_4[16:]),
            binary(family=0x31, payload=bytes(216)),
            binary(family=0x21, payload=bytes(12)),
            binary(payload=b"", size=LONGEST_HEADER),
        ):
            self.assertRaises(ValueError, read_header, data)

    @given(st.sampled_from([b"PROXY ", SIGNATURE, b"", V1, V2_6]), st.binary(max_size=120))
    def test_any_bytes(self, begin: bytes, data: bytes) -> None:
        """Whatever comes is a header, is waited for, or is refused in so many words (fault:A15)."""
        try:
            header = read_header(begin + data)
        except ValueError:
            return
        self.assertTrue(header is None or header.length <= len(begin + data))

    def test_proxies(self) -> None:
        """Addresses and networks are listed; by default those of this machine."""
        default = Proxies()
        self.assertEqual(
            [default.include(host) for host in ("127.0.0.9", "::1", "unix", "10.0.0.1", "fe80::1", "x")],
            [True, True, True, False, False, False],
        )
        own = Proxies(["10.0.0.0/8", "2001:db8::5"])
        self.assertEqual(
            [own.include(host) for host in ("10.255.0.1", "2001:db8::5", "127.0.0.1", "unix")],
            [True, True, False, False],
        )
        self.assertRaises(ValueError, Proxies, ["lb.example"])


class Remembering(Protocol):
    """Keeps what it is told, and echoes."""

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason


class Serving(Factory):
    """What listens behind the proxy."""

    def __init__(self, case: ConnectionTests) -> None:
        self.case = case

    def buildProtocol(self, addr: Any) -> Any:
        if not self.case.wanted:
            return None
        self.case.served.append(Remembering())
        return self.case.served[-1]


class ConnectionTests(SynchronousTestCase):
    """A host behind a proxy."""

    def setUp(self) -> None:
        self.network = Network()
        self.proxy = self.network.host("10.0.0.1")
        self.bob = self.network.host("10.0.0.2")
        self.served: list[Remembering] = []
        self.wanted = True
        self.factory = ProxiedFactory(self.bob, Serving(self), Proxies(["10.0.0.1"]), 5.0, 3)
        self.port = self.bob.listenTCP(5061, self.factory)
        self.addCleanup(self._finish)

    def _finish(self) -> None:
        self.network.run_until(self.port.stopListening())
        self.network.advance(10)

    def connect(self, *pieces: bytes, host: Any = None) -> Remembering:
        """Connect and send these pieces, one after the other."""
        client = Remembering()
        client.dataReceived = lambda data: None  # type: ignore[method-assign]
        factory = Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
        self.network.run_until(
            HostnameEndpoint(self.proxy if host is None else host, "10.0.0.2", 5061).connect(factory)
        )
        for piece in pieces:
            assert client.transport is not None
            client.transport.write(piece)
            self.network.settle()
        return client

    def test_handed_over(self) -> None:
        """Behind the header everything goes to the protocol within, which sees the far side as its peer (row:C13)."""
        for header in (V1, V2_4):
            client = self.connect(header[:9], header[9:] + b"hel", b"lo")
            server = self.served[-1]
            transport: Any = server.transport
            self.assertEqual((server.received, transport.getPeer().host), (b"hello", "192.0.2.1"))
            self.assertEqual((transport.getHost().host, transport.getHost().port), ("198.51.100.2", 5061))
            self.assertTrue(verifyObject(ITCPTransport, transport))
            assert client.transport is not None
            client.transport.loseConnection()
            self.network.settle()
            self.assertIsNotNone(server.reason)

    def test_the_proxy_itself(self) -> None:
        """A proxy that speaks for itself is what its socket says."""
        self.connect(b"PROXY UNKNOWN\r\n")
        transport: Any = self.served[-1].transport
        self.assertEqual(transport.getPeer().host, "10.0.0.1")

    def test_spoofed(self) -> None:
        """Whoever is no proxy gets nowhere, whatever its header says (row:C13)."""
        client = self.connect(V1 + b"hello", host=self.network.host("10.0.0.3"))
        self.assertEqual(self.served, [])
        self.assertIsNotNone(client.reason)

    def test_no_header(self) -> None:
        """A proxy that sends no header, a wrong one, or takes its time, is cut off."""
        self.assertIsNotNone(self.connect(b"OPTIONS sip:b.example SIP/2.0\r\n").reason)
        slow = self.connect(V1[:10])
        self.network.advance(4.9)
        self.assertIsNone(slow.reason)
        self.network.advance(0.2)
        self.assertIsNotNone(slow.reason)
        self.assertEqual((self.served, self.factory.waiting), ([], {}))

    def test_too_many(self) -> None:
        """So many may wait for their header; when they have gone others may."""
        waiting = [self.connect() for _ in range(3)]
        self.assertIsNotNone(self.connect().reason)
        self.assertTrue(all(each.reason is None for each in waiting))
        self.network.advance(5.1)
        self.connect(V1 + b"x")
        self.assertEqual(self.served[-1].received, b"x")

    def test_not_wanted(self) -> None:
        """What the factory within does not want is dropped, and so is who still waits when listening ends."""
        self.wanted = False
        self.assertIsNotNone(self.connect(V1).reason)
        waiting = self.connect(V1[:5])
        self.network.run_until(self.port.stopListening())
        self.network.settle()
        self.assertIsNotNone(waiting.reason)
        self.port = self.bob.listenTCP(5061, self.factory)


class _HeaderFirst(ProtocolWrapper):
    """As a proxy that has just connected: it says for whom."""

    def makeConnection(self, transport: Any) -> None:
        transport.write(V1)
        super().makeConnection(transport)


class Passing:
    """A way to a server that leads through a proxy."""

    def __init__(self, host: Any, port: int) -> None:
        self._endpoint = HostnameEndpoint(host, "b.example", port)

    def connect(self, factory: Any) -> Any:
        wrapping = WrappingFactory(factory)
        wrapping.protocol = _HeaderFirst
        return self._endpoint.connect(wrapping)


class PartyTests(SynchronousTestCase):
    """A party behind a proxy, in clear text, with TLS and with WebSocket on it."""

    def setUp(self) -> None:
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", listen=())
        host: Any = self.network.find("a.example")
        listen = [f"haproxy:{inner}:proxies={host.addresses[0]}" for inner in ("tls:5061", "tcp:5060", "wss:443")]
        self.asked: list[Any] = []
        asking = {"authorize": lambda request: self.asked.append(request) is None}
        self.bob = self.network.party("sip:bob@b.example", listen=listen, manager=asking)
        self.host = host
        self.events: list[Any] = []
        self.bob.message_received.subscribe(self.events.append)
        self.addCleanup(self.network.finish)

    def test_far_side(self) -> None:
        """TLS is between us and the far side, whose address counts for the application, for authorisation and in Via
        (row:C13)."""
        for port, transport, identity in ((5061, "TLS", "a.example"), (5060, "TCP", ""), (443, "WSS", "a.example")):
            target = Target(transport, "b.example", port)
            sender = SipPeerToPeerEndpoint(
                f"sip:{port}@a.example",
                self.alice.connection_manager,
                proxy=ProxyConnector(target, Passing(self.host, port)),  # type: ignore[arg-type]
            )
            answer = self.network.run_until(sender.send_message("sip:bob@b.example", "hello"))
            event = self.events[-1]
            self.assertEqual((answer.status, event.peer.transport, event.peer.identity), (200, transport, identity))
            self.assertEqual(event.peer.address, ("192.0.2.1", 40000))
            self.assertEqual(self.asked[-1].address, ("192.0.2.1", 40000))
            self.assertIn("received=192.0.2.1", answer.headers["Via"])

    def test_bounds_of_an_address(self) -> None:
        """A caller who opens connections through the proxy and shakes no hands has as many as any other address, and
        the rest are left for the others behind the proxy (row:C13, fault:H4)."""
        bob = self.bob.connection_manager
        bob.limits = bob.limits.replace(handshakes_per_address=3)
        passing = Passing(self.host, 5061)
        opened = [self.network.run_until(passing.connect(Factory.forProtocol(Protocol))) for _ in range(5)]
        self.network.advance(0.1)
        self.assertEqual((bob.inventory()["handshakes"], bob.metrics()["connections_refused"]), (3, 2))
        self.network.advance(bob.limits.handshake_timeout)
        self.assertEqual(bob.inventory()["handshakes"], 0)
        for each in opened:
            each.transport.abortConnection()

    def test_directly(self) -> None:
        """Nobody gets in without the proxy, not even who could prove who it is."""
        self.assertRaises(
            ConnectionFailure, self.network.run_until, self.alice.send_message("sip:bob@b.example:5061", "x")
        )
        self.assertEqual((self.events, self.asked), ([], []))
