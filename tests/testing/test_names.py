"""Resolution of names on the network in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sip_p2p.testing import Network
from tests.support import SynchronousTestCase


@implementer(IResolutionReceiver)
class Receiver:
    """Keeps the addresses."""

    def __init__(self) -> None:
        self.addresses: list[Any] = []
        self.complete = False

    def resolutionBegan(self, resolutionInProgress: Any) -> None:
        self.resolution = resolutionInProgress

    def addressResolved(self, address: Any) -> None:
        self.addresses.append(address)

    def resolutionComplete(self) -> None:
        self.complete = True


class NamesTests(SynchronousTestCase):
    """The resolver of a host."""

    def setUp(self) -> None:
        self.network = Network()
        self.host = self.network.host("10.0.0.1", "fd00::1", names=["a.example"])
        self.receiver = Receiver()

    def resolve(self, name: str, **how: Any) -> list[Any]:
        self.host.nameResolver.resolveHostName(self.receiver, name, 5061, **how)
        self.network.settle()
        return self.receiver.addresses

    def test_both_families(self) -> None:
        """All addresses of a name are given, in their order and with the port."""
        self.assertTrue(verifyObject(IHostnameResolver, self.host.nameResolver))
        expected = [IPv4Address("TCP", "10.0.0.1", 5061), IPv6Address("TCP", "fd00::1", 5061)]
        self.assertEqual(self.resolve("a.example"), expected)
        self.assertTrue(self.receiver.complete)

    def test_one_family(self) -> None:
        """A question for one family, and for UDP, is answered so."""
        found = self.resolve("a.example", addressTypes=[IPv6Address], transportSemantics="UDP")
        self.assertEqual(found, [IPv6Address("UDP", "fd00::1", 5061)])

    def test_slow(self) -> None:
        """A slow name server takes its time, and a question that was cancelled is never answered."""
        self.network.name_delay = 2.0
        self.assertEqual(self.resolve("a.example"), [])
        self.receiver.resolution.cancel()
        self.network.advance(3)
        self.assertFalse(self.receiver.complete)
        self.assertEqual(self.network.run_until(self.host.resolve("a.example")), "10.0.0.1")
        self.assertEqual(self.network.seconds(), 5.0)

    def test_unknown(self) -> None:
        """An unknown name has no addresses."""
        self.assertEqual(self.resolve("nobody.example"), [])
        self.assertTrue(self.receiver.complete)
        self.assertRaises(error.DNSLookupError, self.network.run_until, self.host.resolve("nobody.example"))

    def test_other_resolver(self) -> None:
        """Another resolver can be installed on a host."""
        previous = self.host.nameResolver
        other: Any = object()
        self.assertIs(self.host.installNameResolver(other), previous)
        self.assertIs(self.host.nameResolver, other)
