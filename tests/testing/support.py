"""What the tests of the network in memory share: protocols that remember, and two hosts."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, ServerFactory
from twisted.python.failure import Failure

from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

__all__ = ["Accepting", "Datagrams", "HostTestCase", "Recorder"]


class Recorder(Protocol):
    """Keeps what it receives and why it ended."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.reason: Failure | None = None

    @property
    def received(self) -> bytes:
        return b"".join(self.pieces)

    def dataReceived(self, data: bytes) -> None:
        self.pieces.append(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason


class Accepting(ServerFactory):
    """Builds one kind of protocol and keeps each that it has built."""

    noisy = False

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.built: list[Any] = []
        self.addresses: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self.built.append(protocol)
        self.addresses.append(addr)
        return protocol


class Datagrams(DatagramProtocol):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, Any]] = []
        self.refused = 0

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append((datagram, addr))

    def connectionRefused(self) -> None:
        self.refused += 1


class HostTestCase(SynchronousTestCase):
    """Two hosts, and the few steps that most tests begin with."""

    def setUp(self) -> None:
        self.network = Network()
        self.alice = self.network.host("10.0.0.1", "fd00::1", names=["a.example"])
        self.bob = self.network.host("10.0.0.2", "fd00::2", names=["b.example"])

    def pair(self, client: Any = Recorder, server: Any = Recorder, port: int = 7) -> tuple[Any, Any]:
        """A connection from alice to bob: the protocols at its two ends."""
        accepting = Accepting(server)
        listening = self.bob.listenTCP(port, accepting)
        endpoint = TCP4ClientEndpoint(self.alice, "10.0.0.2", port)
        dialled = self.network.run_until(endpoint.connect(Factory.forProtocol(client)))
        self.network.settle()
        self.network.run_until(listening.stopListening())
        return dialled, accepting.built[0]
