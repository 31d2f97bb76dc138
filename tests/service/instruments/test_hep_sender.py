"""What brings messages to a collector: over UDP, over streams that come and go, and what is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher

from sip_p2p.observe.hep import HepEncoder
from sip_p2p.observe.trace import TraceEvent
from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.instruments.hep_sender import LARGEST_BACKLOG, LOOK_UP_AGAIN, HepSender, HepTarget, collectors
from sip_p2p.transport.trust.credential import TrustAnchors
from tests.observe.test_hep import chunks
from tests.observe.test_pcapng import HEAD, message
from tests.service.support import keys
from tests.support import SynchronousTestCase, TestCase, reactor


class Datagrams(DatagramProtocol):
    """A collector by UDP."""

    def __init__(self) -> None:
        self.first: Deferred[bytes] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A packet."""
        if not self.first.called:
            self.first.callback(datagram)


class Stream(Protocol):
    """A collector by TCP or TLS."""

    def dataReceived(self, data: bytes) -> None:
        """More octets."""
        self.factory.received(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        """The sender has hung up."""
        self.factory.lost.callback(None)  # type: ignore[union-attr]


class Streams(Factory):
    """Waits for so many octets."""

    protocol = Stream

    def __init__(self, octets: int) -> None:
        self.data = b""
        self.octets = octets
        self.whole: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def received(self, data: bytes) -> None:
        """More octets."""
        self.data += data
        if len(self.data) >= self.octets and not self.whole.called:
            self.whole.callback(self.data)


class TargetTests(SynchronousTestCase):
    """What names a collector."""

    def test_it_is_taken_apart(self) -> None:
        """Transport, host and port, which has a default."""
        cases = {
            "udp:homer.example": ("udp", "homer.example", 9060),
            "tls:homer.example": ("tls", "homer.example", 9061),
            "tcp:192.0.2.1:1": ("tcp", "192.0.2.1", 1),
            "udp:[2001:db8::1]:9": ("udp", "2001:db8::1", 9),
            "udp:[2001:db8::1]": ("udp", "2001:db8::1", 9060),
        }
        for text, expected in cases.items():
            self.assertEqual(HepTarget.parse(text), expected)
        self.assertEqual(str(HepTarget.parse("udp:[2001:db8::1]:9")), "udp:[2001:db8::1]:9")

    def test_what_names_none(self) -> None:
        """Everything else is refused."""
        for text in ("", "homer", "sctp:a:1", "udp:a:0", "udp:a:65536", "udp:a:", "udp:[a]:1", "udp:[::1", "udp:a b:1"):
            self.assertRaises(ValueError, HepTarget.parse, text)

    def test_who_is_on_this_machine(self) -> None:
        """Loopback by name or address."""
        for text, expected in (("udp:localhost", True), ("udp:127.0.0.1", True), ("udp:[::1]", True), ("udp:a", False)):
            self.assertEqual(HepTarget.parse(text).is_local, expected)


class SenderTests(TestCase):
    """A sender and a collector on loopback."""

    timeout = 20

    def sender(self, transport: str, port: int, trust: Any = None) -> HepSender:
        """One that has been started."""
        sender = HepSender(reactor, HepTarget(transport, "localhost", port), HepEncoder(7), trust)
        sender.start()
        return sender

    async def test_udp(self) -> None:
        """A name that leads to two addresses is no trouble, and a packet comes as it was sent (row:M10)."""
        collector = Datagrams()
        port = reactor.listenUDP(0, collector, interface="127.0.0.1")
        sender = HepSender(reactor, HepTarget("udp", "127.0.0.1", port.getHost().port), HepEncoder(7))
        sender.start()
        sender.write(message())
        self.assertEqual(chunks(await collector.first)[15], HEAD.encode() + b"\r\n\r\nhello")
        self.assertEqual((sender.sent, sender.lost), (1, 0))
        sender.reload()
        await sender.stop()
        await port.stopListening()

    async def test_tcp(self) -> None:
        """What comes before the connection stands waits for it, and then goes out in order."""
        size = len(HepEncoder(7).packet(message()))
        collector = Streams(3 * size)
        port = reactor.listenTCP(0, collector, interface="127.0.0.1")
        sender = HepSender(reactor, HepTarget("tcp", "127.0.0.1", port.getHost().port), HepEncoder(7))
        sender.start()
        for number in range(3):
            sender.write(message(peer=str(number)))
        data = await collector.whole
        self.assertEqual([data[start : start + 4] for start in range(0, len(data), size)], [b"HEP3"] * 3)
        await sender.stop()
        await collector.lost
        await port.stopListening()

    def tls_collector(self, certificate: PrivateCertificate) -> tuple[Streams, HepTarget]:
        """A collector that shows *certificate*, and what names it."""
        collector = Streams(1)
        port = reactor.listenSSL(0, collector, certificate.options(), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return collector, HepTarget("tls", "a.example", port.getHost().port)

    async def test_tls(self) -> None:
        """The collector proves its name to the authorities that were named."""
        folder = keys()
        certificate = PrivateCertificate.loadPEM((folder / "a.example.pem").read_bytes())
        collector, target = self.tls_collector(certificate)
        sender = HepSender(_Resolving(reactor), target, HepEncoder(7), collectors(str(folder / "ca.pem")))
        sender.start()
        sender.write(message())
        self.assertTrue((await collector.whole).startswith(b"HEP3"))
        await sender.stop()
        await collector.lost

    async def test_tls_with_a_wildcard(self) -> None:
        """A collector is judged by our own rule: a wildcard proves nothing, nothing is sent, and the log says why."""
        authority = CertificateAuthority.create("authority")
        issued = authority.issue(common_name="a.example", alternative_names=[x509.DNSName("*.example")])
        trust = collectors(TrustAnchors([authority.certificate]))
        collector, target = self.tls_collector(PrivateCertificate.loadPEM(issued.pem))
        said: list[str] = []
        told: Deferred[None] = Deferred()

        def observe(event: Any) -> None:
            if event.get("log_namespace") == "sip_p2p.service.instruments.hep_sender":
                said.append(formatEvent(event))
                told.callback(None)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        sender = HepSender(_Resolving(reactor), target, HepEncoder(7), trust)
        sender.start()
        sender.write(message())
        await told
        await sender.stop()
        self.assertEqual(collector.data, b"")
        self.assertIn("it proves no host, not a.example", said[0])

    def test_trust(self) -> None:
        """A collector over TLS needs somebody who says whom to believe, and no other does."""
        self.assertRaises(ValueError, HepSender, reactor, HepTarget("tls", "a", 1), HepEncoder())
        trust = collectors(str(keys() / "ca.pem"))
        self.assertRaises(ValueError, HepSender, reactor, HepTarget("tcp", "a", 1), HepEncoder(), trust)

    async def test_a_collector_that_does_not_read(self) -> None:
        """At the end it has a moment, and then the connection is dropped."""
        waiting: Deferred[Any] = Deferred()

        class Deaf(Protocol):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()  # type: ignore[union-attr]
                waiting.callback(self)

        port = reactor.listenTCP(0, Factory.forProtocol(Deaf), interface="127.0.0.1")
        sender = HepSender(reactor, HepTarget("tcp", "127.0.0.1", port.getHost().port), HepEncoder())
        sender.start()
        deaf = await waiting
        event = message(body=b"x" * 50_000, length=50_000)
        while not sender.lost:
            sender.write(event)
            await deferLater(reactor, 0)
        await sender.stop()
        deaf.transport.abortConnection()
        await port.stopListening()


class _Resolving:
    """The reactor, on which every name leads to this machine."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.nameResolver = self

    def resolveHostName(self, receiver: Any, name: str, *arguments: Any, **options: Any) -> Any:
        """127.0.0.1."""
        return self._real.nameResolver.resolveHostName(receiver, "127.0.0.1", *arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class TroubleTests(SynchronousTestCase):
    """A collector that is not there, or does not take what it is sent."""

    def test_nothing_waits_without_bound(self) -> None:
        """While there is no connection the newest megabyte is kept, and what is lost is counted."""
        sender = HepSender(MemoryReactorClock(), HepTarget("tcp", "192.0.2.1", 9060), HepEncoder())
        event = message(body=b"x" * 50_000, length=50_000)
        size = len(HepEncoder().packet(event))
        for _ in range(30):
            sender.write(event)
        self.assertEqual(sender.lost, 30 - LARGEST_BACKLOG // size)

    def test_a_name_that_leads_nowhere(self) -> None:
        """Messages are lost and counted, and the name is looked up again after a while; a stop ends that."""
        clock = _Nowhere()
        sender = HepSender(clock, HepTarget("udp", "homer.example", 9060), HepEncoder())
        sender.start()
        sender.write(message())
        sender.write(TraceEvent("note", 1.0, note="not sent"))
        self.assertEqual((sender.sent, sender.lost, clock.asked), (1, 1, ["homer.example"]))
        clock.advance(LOOK_UP_AGAIN)
        self.assertEqual(clock.asked, ["homer.example"] * 2)
        self.successResultOf(sender.stop())
        self.assertEqual(clock.getDelayedCalls(), [])
        self.flushWarnings()

    def test_what_holds_no_authority(self) -> None:
        """An empty file, and one with half a certificate, are refused."""
        for pem in (b"", Path(keys() / "ca.pem").read_bytes().replace(b"A", b"!", 3)):
            path = Path(self.mktemp())
            path.write_bytes(pem)
            self.assertRaises(ValueError, collectors, str(path))


class _Nowhere(Clock):
    """A reactor on which no name leads anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.nameResolver = self

    def resolveHostName(self, receiver: Any, name: str) -> None:
        """Nothing."""
        self.asked.append(name)
        receiver.resolutionBegan(self)
        receiver.resolutionComplete()
