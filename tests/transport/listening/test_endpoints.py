"""Somewhere to listen, as descriptions give it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols import wire
from zope.interface.verify import verifyObject

from sip_p2p.testing import Network
from sip_p2p.transport.listening.endpoints import DatagramEndpoint, ListeningEndpoint, StreamEndpoint, TcpSource
from tests import support


class EndpointTests(support.SynchronousTestCase):
    """Each kind listens where it was told to."""

    def setUp(self) -> None:
        self.network = Network()
        self.bob = self.network.host("10.0.0.2")

    def test_kinds(self) -> None:
        """A stream endpoint takes a factory, one of datagrams a protocol; both tell their port. row:C1"""
        stream = StreamEndpoint(self.bob, "tcp:5060", "TCP", TcpSource(self.bob, 5060, "", 5))
        self.assertTrue(verifyObject(IStreamServerEndpoint, stream))
        port = self.network.run_until(stream.listen(Factory.forProtocol(wire.Echo)))
        self.assertEqual(port.getHost().port, 5060)
        datagrams = DatagramEndpoint(self.bob, "udp:5060", 5060, "")
        self.assertEqual(self.network.run_until(datagrams.listen(DatagramProtocol())).getHost().port, 5060)

    def test_layers(self) -> None:
        """Layers wrap the factory in their order, and a port that was free stays the same when it is taken again."""
        order: list[str] = []

        def layer(name: str) -> Any:
            return lambda factory: order.append(name) or factory

        source = TcpSource(self.bob, 0, "", 5)
        stream = StreamEndpoint(self.bob, "tls:0", "TLS", source, [layer("tls"), layer("proxy")])
        port = self.network.run_until(stream.listen(Factory.forProtocol(wire.Echo)))
        self.assertEqual(order, ["tls", "proxy"])
        number = port.getHost().port
        stream.stay_at(number)
        self.network.run_until(port.stopListening())
        self.assertEqual(self.network.run_until(stream.listen(Factory.forProtocol(wire.Echo))).getHost().port, number)

    def test_base(self) -> None:
        """What no description made does not listen."""
        self.assertRaises(TypeError, ListeningEndpoint(self.bob, "", "TCP").listen, None)
