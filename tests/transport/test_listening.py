"""Somewhere to listen, as descriptions give it."""

from __future__ import annotations

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.protocols import wire
from zope.interface.verify import verifyObject

from sip_p2p.testing import Network
from sip_p2p.transport.listening import DatagramEndpoint, ListeningEndpoint, StreamEndpoint
from tests import support


class EndpointTests(support.SynchronousTestCase):
    """Each kind listens where it was told to."""

    def setUp(self) -> None:
        self.network = Network()
        self.bob = self.network.host("10.0.0.2")

    def test_kinds(self) -> None:
        """A stream endpoint takes a factory, one of datagrams a protocol; both tell their port. row:C1"""
        tcp = TCP4ServerEndpoint(self.bob, 5060, 5, "")
        stream = StreamEndpoint(self.bob, "tcp:5060", tcp)
        self.assertTrue(verifyObject(IStreamServerEndpoint, stream))
        port = self.network.run_until(stream.listen(Factory.forProtocol(wire.Echo)))
        self.assertEqual(port.getHost().port, 5060)
        datagrams = DatagramEndpoint(self.bob, "udp:5060", 5060, "")
        self.assertEqual(self.network.run_until(datagrams.listen(DatagramProtocol())).getHost().port, 5060)

    def test_base(self) -> None:
        """What no description made does not listen."""
        self.assertRaises(TypeError, ListeningEndpoint(self.bob, "", "TCP").listen, None)
