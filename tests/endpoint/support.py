"""What the tests of endpoints share: parties on a network in memory, and strangers who say what no party would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.python.failure import Failure

from sip_p2p import IncomingRequest, Limits, RequestFailed, SipPeerToPeerEndpoint
from sip_p2p.testing import Host, Network
from tests.support import SynchronousTestCase

__all__ = ["ManagerTestCase", "PartyTestCase", "Raw", "RawDatagrams", "Stranger", "StrangerTestCase", "keep", "octets"]


def keep(held: list[IncomingRequest]) -> Callable[[IncomingRequest], None]:
    """A handler that adds each request to *held*, to be answered later."""

    def handler(incoming: IncomingRequest) -> None:
        incoming.defer()
        held.append(incoming)

    return handler


class Raw(Protocol):
    """A connection on which a test says what it likes."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        """What the party said."""
        self.received += data

    def send(self, data: bytes) -> None:
        """Say it."""
        cast("Any", self.transport).write(data)


class RawDatagrams(DatagramProtocol):
    """The same for datagrams."""

    noisy = False

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.sources: list[tuple[bytes, Any]] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """What the party said."""
        self.received.append(datagram)
        self.sources.append((datagram, addr))


def octets(
    method: str = "OPTIONS", number: int = 1, *, over: str = "TCP", branch: str = "", body: bytes = b""
) -> bytes:
    """A request in clear text."""
    branch = branch or f"z9hG4bK{method}{number}"
    kind = "Content-Type: text/plain\r\n" if body else ""
    head = (
        f"{method} sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/{over} peer.example;rport;branch={branch}\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:x@peer.example>;tag=1\r\nTo: <sip:bob@b.example>\r\nCall-ID: c{number}\r\n"
        f"CSeq: 1 {method}\r\n{kind}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class PartyTestCase(SynchronousTestCase):
    """Two parties that trust each other, and nothing left of them afterwards."""

    def setUp(self) -> None:
        """Alice and Bob on one clock."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.addCleanup(self.network.finish)

    def run_until(self, deferred: Deferred) -> object:
        """Let time pass until *deferred* has fired."""
        return self.network.run_until(deferred)

    def status_of(self, deferred: Deferred) -> int:
        """The final status, refusals included."""
        try:
            return self.run_until(deferred).status  # type: ignore[attr-defined]
        except RequestFailed as failure:
            return failure.status


class StrangerTestCase(PartyTestCase):
    """Bob listens in clear text as well, and a stranger is there.

    :cvar listen: where else Bob listens.
    """

    listen: tuple[str, ...] = ("tcp:port=5060",)

    def setUp(self) -> None:
        """Bob's further listeners and the stranger, who hangs up in the end."""
        super().setUp()
        self.manager = self.bob.connection_manager
        self.run_until(self.manager.listen_all(list(self.listen)))
        self.stranger = self.network.host(names=["peer.example"])
        [self.address] = self.network.addresses_of("b.example")
        self.raw: list[Raw] = []
        self.addCleanup(self.hang_up)

    def hang_up(self) -> None:
        """End what the stranger has opened."""
        for raw in self.raw:
            cast("Any", raw.transport).abortConnection()
        self.network.advance(1)

    def dial(self, port: int = 5060, host: Any = None) -> Raw:
        """A connection to Bob; whether he accepts it is another thing."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        connecting = TCP4ClientEndpoint(host or self.stranger, self.address, port).connect(factory)
        raw = cast("Raw", self.run_until(connecting))
        self.raw.append(raw)
        return raw


class Stranger(Protocol):
    """A connection that says only what it is told to."""

    is_open = False

    def connectionMade(self) -> None:
        """It stands."""
        self.is_open = True

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It has ended."""
        self.is_open = False

    def say(self, data: bytes) -> None:
        """Say it."""
        cast("Any", self.transport).write(data)

    def hang_up(self) -> None:
        """End it."""
        cast("Any", self.transport).abortConnection()


class ManagerTestCase(SynchronousTestCase):
    """Bob, who listens on TLS and TCP, and whoever is needed against him."""

    limits: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        """A network with Bob on it."""
        self.network = Network(delay=0.01)
        self.bob = self.network.party(
            "sip:bob@b.example", listen=("tls:port=5061", "tcp:port=5060"), manager={"limits": Limits(**self.limits)}
        )
        self.bob.message_received.subscribe(lambda event: None)
        self.manager = self.bob.connection_manager
        self.strangers: list[Stranger] = []
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """The strangers go, then the parties."""
        for stranger in self.strangers:
            stranger.hang_up()
        self.network.advance(1)
        self.network.finish()

    def party(self, name: str, **options: Any) -> SipPeerToPeerEndpoint:
        """Somebody who only dials."""
        return self.network.party(f"sip:x@{name}", listen=(), **options)

    def send(self, sender: SipPeerToPeerEndpoint, target: str = "sip:bob@b.example") -> int:
        """The status that *sender* gets."""
        return self.network.run_until(sender.send_message(target, "x")).status

    def stranger(self, port: int = 5061, host: Host | None = None) -> Stranger:
        """A bare TCP connection to Bob."""
        factory = Factory.forProtocol(Stranger)
        factory.noisy = False
        [address] = self.network.addresses_of("b.example")
        endpoint = TCP4ClientEndpoint(host or self.network.host(), address, port)
        made = cast("Stranger", self.network.run_until(endpoint.connect(factory)))
        self.strangers.append(made)
        return made

    def inventory(self) -> dict[str, int]:
        """What lives on Bob's side, without what does not."""
        return {name: count for name, count in self.manager.inventory().items() if count}
