"""Targets: what a URI leads to, what must be proved there, and what makes two targets one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.uri import SipUri
from sip_p2p.transport.target import Target, Transport, race_groups, target_of


def where(uri: str, default: Transport = Transport.TLS) -> tuple[Transport, str, int, str]:
    """Transport, host, port and name of the target that *uri* names."""
    target = target_of(SipUri.parse(uri), default)
    return target.transport, target.host, target.port, target.name


class TransportTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.target.Transport`."""

    def test_names(self) -> None:
        """A transport is found by its name in any case; a name that is none is told which there are (row:A4)."""
        self.assertIs(Transport.named("tls"), Transport.TLS)
        self.assertIs(Transport.named("Udp"), Transport.UDP)
        self.assertIs(Transport.named(Transport.TCP), Transport.TCP)
        message = str(self.assertRaises(ValueError, Transport.named, "sctp"))
        self.assertIn("'sctp' is not a transport; there are udp, tcp, tls, ws, wss", message)

    def test_ports_and_security(self) -> None:
        """Each transport has its own port, and two carry TLS (RFC 3261 section 19.1.1, RFC 7118 section 5.5)."""
        self.assertEqual([each.default_port for each in Transport], [5060, 5060, 5061, 80, 443])
        self.assertEqual([each for each in Transport if each.is_secure], [Transport.TLS, Transport.WSS])
        over_tls = [Transport.TLS, Transport.TLS, Transport.TLS, Transport.WSS, Transport.WSS]
        self.assertEqual([each.over_tls for each in Transport], over_tls)


class TargetTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.target.Target`."""

    def test_parts(self) -> None:
        """A target is transport, host, port and the name to be proved, which is the host's unless it is given
        (row:E1)."""
        target = Target("tls", "b.example")
        self.assertEqual((target.transport, target.host, target.port), (Transport.TLS, "b.example", 5061))
        self.assertEqual((target.name, target.has_port), ("b.example", False))
        other = Target(Transport.TCP, "10.0.0.2", 7000, "B.Example")
        self.assertEqual((other.port, other.name, other.has_port), (7000, "b.example", True))
        self.assertEqual(repr(target), "<Target TLS b.example:5061>")
        self.assertEqual(repr(other), "<Target TCP 10.0.0.2:7000 proving b.example>")

    def test_what_makes_two_one(self) -> None:
        """Targets are one when transport, host, port and name are, however the port came about and in whatever case
        (row:E1, fault:G1)."""
        target = Target("tls", "b.example")
        for same in (Target(Transport.TLS, "b.example", 5061), Target("TLS", "B.Example", None, "b.EXAMPLE")):
            self.assertEqual(same, target)
            self.assertEqual(hash(same), hash(target))
        for different in (
            Target("tcp", "b.example", 5061),
            Target("tls", "c.example"),
            Target("tls", "b.example", 5062),
            Target("tls", "b.example", 5061, "c.example"),
        ):
            self.assertNotEqual(different, target)
        self.assertNotEqual(target, "b.example:5061")

    def test_addresses(self) -> None:
        """IPv6 is written without brackets, and comes with them as well (row:E1)."""
        self.assertEqual(Target("tls", "[2001:db8::1]", None, "[2001:DB8::1]"), Target("tls", "2001:db8::1"))

    def test_what_is_none(self) -> None:
        """A host that cannot be, a port outside 1 to 65535 and an unknown transport are refused at once
        (row:M4)."""
        for arguments in (
            ("tls", ""),
            ("tls", "[]"),
            ("tls", "a..b"),
            ("tls", "a b"),
            ("tls", "a" * 64 + ".example"),
            ("tls", "fe80::1%eth0"),
            ("tls", "b.example\r\n"),
            ("tls", "b.example", 0),
            ("tls", "b.example", -1),
            ("tls", "b.example", 65536),
            ("sctp", "b.example"),
        ):
            self.assertRaises(ValueError, Target, *arguments)

    def test_at_another_address(self) -> None:
        """Wherever a name leads, the name is what must be proved (row:D14, RFC 5922 section 4)."""
        target = Target("tls", "b.example")
        self.assertEqual(target.at("10.0.0.2"), Target("tls", "10.0.0.2", 5061, "b.example"))
        self.assertEqual(target.at("10.0.0.2", 7000), Target("tls", "10.0.0.2", 7000, "b.example"))
        self.assertFalse(target.at("10.0.0.2", 7000).has_port)
        self.assertTrue(Target("tls", "b.example", 5061).at("10.0.0.2").has_port)

    def test_over_another_transport(self) -> None:
        """A port that no URI named follows the transport; one that was named stays (row:A5)."""
        self.assertEqual(Target("udp", "b.example").over(Transport.TLS), Target("tls", "b.example", 5061))
        self.assertEqual(Target("udp", "b.example", 5070).over(Transport.TCP), Target("tcp", "b.example", 5070))
        self.assertEqual(Target("tcp", "10.0.0.2", None, "b.example").over(Transport.TLS).name, "b.example")

    def test_proving(self) -> None:
        """Another name to prove is all that differs from the target that it is made of."""
        for port in (None, 5071):
            target = Target("tls", "192.0.2.1", port)
            for name in ("b.example", "B.example", "[2001:db8::1]"):
                proving = target.proving(name)
                self.assertEqual(proving, Target("tls", "192.0.2.1", port, name))
                self.assertEqual(
                    (hash(proving), proving.has_port, proving.has_transport, proving.origin),
                    (hash(Target("tls", "192.0.2.1", port, name)), port is not None, True, ""),
                )


class TargetOfTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.target.target_of`."""

    def test_host_and_port(self) -> None:
        """Without more a URI leads to its host, by the default transport and its port (row:E26)."""
        self.assertEqual(where("sip:bob@b.example"), (Transport.TLS, "b.example", 5061, "b.example"))
        self.assertEqual(where("sip:b.example:7000"), (Transport.TLS, "b.example", 7000, "b.example"))
        self.assertEqual(where("sip:bob@[2001:db8::1]"), (Transport.TLS, "2001:db8::1", 5061, "2001:db8::1"))
        self.assertEqual(where("sip:bob@b.example", Transport.UDP), (Transport.UDP, "b.example", 5060, "b.example"))

    def test_transport(self) -> None:
        """The transport parameter overrides the default, in any case, and brings its port (row:E26, row:A4)."""
        self.assertEqual(where("sip:b.example;transport=TCP")[::2], (Transport.TCP, 5060))
        self.assertEqual(where("sip:b.example;transport=udp", Transport.TLS)[::2], (Transport.UDP, 5060))
        self.assertEqual(where("sip:b.example;transport=tls", Transport.UDP)[::2], (Transport.TLS, 5061))
        self.assertRaises(ValueError, where, "sip:b.example;transport=sctp")

    def test_maddr(self) -> None:
        """maddr takes the host's place as the address; the host is still what must be proved (row:E26, row:D14)."""
        self.assertEqual(where("sip:bob@b.example;maddr=10.0.0.9"), (Transport.TLS, "10.0.0.9", 5061, "b.example"))
        self.assertEqual(
            where("sip:bob@b.example:7000;maddr=[2001:db8::9]"), (Transport.TLS, "2001:db8::9", 7000, "b.example")
        )

    def test_maddr_that_is_none(self) -> None:
        """A maddr that no resolver could make sense of is refused at once (row:E26, row:M4)."""
        for maddr in ("a..b", "%00", "1.2.3", "a" * 64):
            self.assertRaises(ValueError, where, f"sip:bob@b.example;maddr={maddr}")

    def test_secure(self) -> None:
        """sips means TLS whatever the default or the parameter says; over UDP it cannot be had (row:A5,
        RFC 5630 sections 3.1.4 and 4)."""
        for default in Transport:
            expected = Transport.WSS if default in (Transport.WS, Transport.WSS) else Transport.TLS
            self.assertIs(where("sips:bob@b.example", default)[0], expected)
        self.assertIs(where("sips:b.example;transport=tcp", Transport.UDP)[0], Transport.TLS)
        self.assertIs(where("sips:b.example;transport=ws")[0], Transport.WSS)
        self.assertIn("RFC 5630", str(self.assertRaises(ValueError, where, "sips:b.example;transport=udp")))

    def test_group(self) -> None:
        """An address of many is no target: a request to one would need another Via, and more would answer than are
        listened to (RFC 3261 section 18.1.1)."""
        for host in ("239.255.255.1", "224.0.1.75", "[ff02::1]", "[::ffff:239.255.255.1]"):
            for uri in (f"sip:{host};transport=udp", f"sip:alice@atlanta.example;maddr={host};ttl=15"):
                self.assertIn("multicast", str(self.assertRaises(ValueError, where, uri)))

    def test_port_nought(self) -> None:
        """Nobody can be reached at port 0, and the caller is told so at once (row:M4)."""
        self.assertRaises(ValueError, where, "sip:bob@b.example:0")

    @given(
        st.sampled_from(["sip", "sips"]),
        st.sampled_from(["b.example", "B.EXAMPLE", "192.0.2.1", "[2001:db8::1]"]),
        st.none() | st.integers(1, 65535),
        st.none() | st.sampled_from(["udp", "tcp", "tls", "ws", "wss"]),
        st.none() | st.sampled_from(["10.0.0.9", "elsewhere.example"]),
        st.sampled_from(list(Transport)),
    )
    @settings(max_examples=300, deadline=None)
    def test_any_uri(
        self, scheme: str, host: str, port: int | None, named: str | None, maddr: str | None, default: Transport
    ) -> None:
        """Whatever a URI says, sips never leads to less than TLS, and the name is always the host's (row:A5,
        row:D14)."""
        text = f"{scheme}:bob@{host}{'' if port is None else f':{port}'}"
        text += "" if named is None else f";transport={named}"
        text += "" if maddr is None else f";maddr={maddr}"
        uri = SipUri.parse(text)
        try:
            target = target_of(uri, default)
        except ValueError:
            self.assertEqual((scheme, named), ("sips", "udp"))
            return
        self.assertTrue(target.transport.is_secure or scheme == "sip")
        self.assertEqual(target.name, uri.host)
        self.assertEqual(target.host, maddr or uri.host)
        self.assertEqual((target.port, target.has_port), (port or target.transport.default_port, port is not None))

    def test_whose_choice_the_transport_was(self) -> None:
        """A target knows whether its URI named the transport: only where it did not may NAPTR choose (RFC 3263 section
        4.1)."""
        self.assertTrue(target_of(SipUri.parse("sip:b.example;transport=tcp"), Transport.TLS).has_transport)
        free = target_of(SipUri.parse("sip:b.example"), Transport.TLS)
        self.assertFalse(free.has_transport)
        self.assertFalse(free.at("10.0.0.2").has_transport)
        self.assertFalse(free.over(Transport.TCP).has_transport)
        self.assertTrue(Target("tls", "b.example").has_transport)


class RaceGroupsTests(SynchronousTestCase):
    """:func:`sip_p2p.transport.target.race_groups`."""

    def test_servers(self) -> None:
        """Addresses of one server stand together; another port, transport, name or server begins a new group
        (row:E24)."""
        asked = Target("tls", "b.example")
        one = [asked.at(host, 5061, "one.b.example") for host in ("10.0.0.1", "fd00::1")]
        two = [asked.at("10.0.0.2", 5061, "two.b.example")]
        again = [asked.at("10.0.0.1", 5071, "one.b.example")]
        clear = [asked.over(Transport.TCP).at("10.0.0.1", 5061, "one.b.example")]
        self.assertEqual(race_groups([*one, *two, *again, *clear]), [one, two, again, clear])
        self.assertEqual(race_groups([]), [])

    def test_what_was_given_one_by_one(self) -> None:
        """Addresses that no DNS name holds together are servers of their own."""
        targets = [Target("tls", "10.0.0.1", None, "b.example"), Target("tls", "10.0.0.2", None, "b.example")]
        self.assertEqual(race_groups(targets), [[targets[0]], [targets[1]]])
