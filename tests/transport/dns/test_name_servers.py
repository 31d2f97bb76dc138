"""What this machine knows about names by itself."""

from __future__ import annotations

import os

from sip_p2p.transport.dns.name_servers import HostsFile, ResolverConfiguration, has_route, parse_name_server
from tests.support import SynchronousTestCase


class FileTestCase(SynchronousTestCase):
    """A file of the test's own."""

    def setUp(self) -> None:
        """Where it is; it does not exist yet."""
        self.path = self.mktemp()
        self.written = 0

    def write(self, text: str) -> None:
        """Write the file anew, as if some time had passed since it was last written."""
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        self.written += 1
        os.utime(self.path, (self.written, self.written))


class HostsFileTests(FileTestCase):
    """:class:`sip_p2p.transport.dns.name_servers.HostsFile`."""

    def test_names(self) -> None:
        """A name has all of its addresses, in the file's order and in any case; comments and lines that make no sense
        are passed over (row:E25)."""
        self.write(
            "10.0.0.1 B.Example b # the bureau\nfd00::1\tb.example\n10.0.0.1 b.example\n"
            "# 10.0.0.9 b.example\nnonsense b.example\nfe80::1%eth0 b.example\n\n"
        )
        hosts = HostsFile(self.path)
        self.assertEqual(hosts.addresses("b.EXAMPLE"), ("10.0.0.1", "fd00::1"))
        self.assertEqual(hosts.addresses("b"), ("10.0.0.1",))
        self.assertEqual(hosts.addresses("c.example"), ())

    def test_changes(self) -> None:
        """The file is read again when it has changed, and is an empty one when it is gone."""
        hosts = HostsFile(self.path)
        self.assertEqual(hosts.addresses("b.example"), ())
        self.write("10.0.0.1 b.example\n")
        self.assertEqual(hosts.addresses("b.example"), ("10.0.0.1",))
        self.write("10.0.0.2 b.example\n")
        self.assertEqual(hosts.addresses("b.example"), ("10.0.0.2",))
        os.remove(self.path)
        self.assertEqual(hosts.addresses("b.example"), ())

    def test_this_machine(self) -> None:
        """localhost is this machine though no file says so (RFC 6761 section 6.3)."""
        hosts = HostsFile(self.path)
        for name in ("localhost", "LOCALHOST", "bob.localhost"):
            self.assertEqual(hosts.addresses(name), ("127.0.0.1", "::1"))
        self.write("127.0.0.1 localhost\n")
        self.assertEqual(hosts.addresses("localhost"), ("127.0.0.1",))


class ResolverConfigurationTests(FileTestCase):
    """:class:`sip_p2p.transport.dns.name_servers.ResolverConfiguration`."""

    def test_name_servers(self) -> None:
        """The first three name servers count, in their order; without any it is this machine (row:E25)."""
        configuration = ResolverConfiguration(self.path)
        self.assertEqual(configuration.name_servers(), [("127.0.0.1", 53)])
        self.write("search example\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver\nnameserver 2001:db8::1\n")
        self.assertEqual(configuration.name_servers(), [("192.0.2.1", 53), ("2001:db8::1", 53)])
        self.write("".join(f"nameserver 192.0.2.{number}\n" for number in range(1, 6)))
        self.assertEqual(len(configuration.name_servers()), 3)


class ParseNameServerTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.dns.name_servers.parse_name_server`."""

    def test_forms(self) -> None:
        """An address stands alone or with a port; IPv6 takes brackets for that."""
        self.assertEqual(parse_name_server("192.0.2.1"), ("192.0.2.1", 53))
        self.assertEqual(parse_name_server(" 192.0.2.1:5353 "), ("192.0.2.1", 5353))
        self.assertEqual(parse_name_server("2001:db8::1"), ("2001:db8::1", 53))
        self.assertEqual(parse_name_server("[2001:db8::1]:5353"), ("2001:db8::1", 5353))
        self.assertEqual(parse_name_server("[2001:db8::1]"), ("2001:db8::1", 53))

    def test_mistakes(self) -> None:
        """What is none is refused, with what to write instead (row:M4)."""
        for text in ("", "dns.example", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.1:x", "fe80::1%eth0"):
            self.assertIn("address:port", str(self.assertRaises(ValueError, parse_name_server, text)))


class RouteTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.dns.name_servers.has_route`."""

    def test_route(self) -> None:
        """There is a way to this machine itself, and none to what is no address (row:E23)."""
        self.assertTrue(has_route("127.0.0.1"))
        self.assertFalse(has_route("not an address"))
