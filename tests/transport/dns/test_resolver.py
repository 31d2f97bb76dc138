"""Where names lead: addresses for datagrams, the name itself for streams, and tables of one's own."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IHostnameResolver
from zope.interface import implementer

from sip_p2p.errors import ConnectionFailure
from sip_p2p.testing import Network
from sip_p2p.transport.dns.dns_resolver import DnsResolver
from sip_p2p.transport.dns.resolver import AddressResolver, StaticResolver
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase


@implementer(IHostnameResolver)
class Answering:
    """A name resolver that gives the same addresses to every question."""

    def __init__(self, *addresses: Any) -> None:
        self.addresses = addresses

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *args: Any, **kwargs: Any) -> Any:
        receiver.resolutionBegan(None)
        for address in self.addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class AddressResolverTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.dns.resolver.AddressResolver`."""

    def setUp(self) -> None:
        self.network = Network()
        self.host = self.network.host("10.0.0.1", "fd00::1")
        self.network.name("b.example", "10.0.0.2", "fd00::2")
        self.resolver = AddressResolver(self.host)

    def test_datagrams(self) -> None:
        """Over UDP a name is all of its addresses, in the resolver's order, and stays the name to be proved (row:E26,
        RFC 3263 section 4.2)."""
        found = self.network.run_until(self.resolver.resolve(Target("udp", "b.example", 5070)))
        self.assertEqual(
            found,
            [Target("udp", "10.0.0.2", 5070, "b.example"), Target("udp", "fd00::2", 5070, "b.example")],
        )
        self.assertTrue(all(target.has_port for target in found))

    def test_addresses(self) -> None:
        """An address is itself."""
        for address in ("10.0.0.9", "fd00::9"):
            target = Target("udp", address)
            self.assertEqual(self.network.run_until(self.resolver.resolve(target)), [target])

    def test_streams(self) -> None:
        """A stream's name is left to who makes the connection, which tries all of its addresses."""
        for transport in ("tcp", "tls"):
            target = Target(transport, "nobody.example")
            self.assertEqual(self.successResultOf(self.resolver.resolve(target)), [target])

    def test_unknown(self) -> None:
        """A name without addresses is a connection failure that says which name."""
        resolving = self.resolver.resolve(Target("udp", "nobody.example"))
        self.network.settle()
        self.assertIn("nobody.example", str(self.failureResultOf(resolving, ConnectionFailure).value))

    def test_given_up(self) -> None:
        """A look-up that nobody waits for any more may end, and disturbs nobody."""
        self.network.name_delay = 3
        resolving = self.resolver.resolve(Target("udp", "b.example"))
        resolving.cancel()
        self.failureResultOf(resolving, CancelledError)
        self.network.advance(10)

    def test_addresses_that_cannot_be_used(self) -> None:
        """An address with a zone has no place in SIP; it is passed over, and alone it is no address."""
        zoned = IPv6Address("UDP", "fe80::1%eth0", 5060)
        self.host.installNameResolver(Answering(zoned, IPv4Address("UDP", "10.0.0.2", 5060)))
        found = self.successResultOf(self.resolver.resolve(Target("udp", "b.example")))
        self.assertEqual(found, [Target("udp", "10.0.0.2", None, "b.example")])
        self.host.installNameResolver(Answering(zoned))
        self.failureResultOf(self.resolver.resolve(Target("udp", "b.example")), ConnectionFailure)


class StaticResolverTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.dns.resolver.StaticResolver`."""

    def setUp(self) -> None:
        self.network = Network()
        self.network.name("d.example", "10.0.0.4")
        table = {"b.example": ("10.0.0.2", 7000), "C.example": ("fd00::3", None), "e.example": ("d.example", None)}
        self.resolver = StaticResolver(table, AddressResolver(self.network.host("10.0.0.1")))

    def resolve(self, target: Target) -> list[Target]:
        """What becomes of *target*."""
        return self.network.run_until(self.resolver.resolve(target))

    def test_table(self) -> None:
        """A name of the table leads to its address and port; what must be proved stays the name (row:D14)."""
        (target,) = self.resolve(Target("tls", "B.example"))
        self.assertEqual((target, target.has_port), (Target("tls", "10.0.0.2", 7000, "b.example"), False))
        self.assertEqual(self.resolve(Target("tls", "c.example", 5070)), [Target("tls", "fd00::3", 5070, "c.example")])

    def test_others(self) -> None:
        """What is not in the table, and what the table gives another name, is looked up further."""
        self.assertEqual(self.resolve(Target("udp", "d.example")), [Target("udp", "10.0.0.4", None, "d.example")])
        self.assertEqual(self.resolve(Target("udp", "e.example")), [Target("udp", "10.0.0.4", None, "e.example")])

    def test_on_top_of_dns(self) -> None:
        """A name that the table gives another name is located as that one; with a port it is only addresses that are
        asked for (row:E25)."""
        self.network.dns.add("_sips._tcp.d.example SRV 0 0 5099 node.example", "node.example A 10.0.0.9")
        table = {"b.example": ("d.example", None), "c.example": ("d.example", 7000)}
        self.resolver = StaticResolver(table, DnsResolver(self.network.host("10.0.0.7")))
        self.assertEqual(self.resolve(Target("tls", "b.example")), [Target("tls", "10.0.0.9", 5099, "b.example")])
        (there,) = self.resolve(Target("tls", "c.example"))
        self.assertEqual((there, there.has_port), (Target("tls", "10.0.0.4", 7000, "c.example"), False))
        said = self.network.run_until(self.resolver.explain(Target("tls", "c.example")))
        self.assertIn("c.example is at d.example, port 7000", said[0])
        self.assertIn("TLS 10.0.0.4:7000 (d.example)", "\n".join(said))

    def test_mistakes(self) -> None:
        """A wrong entry is refused when the table is given, not when a request first meets it (row:M4)."""
        other = AddressResolver(self.network.host())
        for entry in (("not a host", None), ("", None), ("10.0.0.2", 0), ("10.0.0.2", 70000)):
            message = str(self.assertRaises(ValueError, StaticResolver, {"b.example": entry}, other))
            self.assertIn("b.example", message)
