"""Tests of hosts and ports."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.sip.host import (
    IPV4,
    bracketed,
    is_group,
    is_loopback,
    normalise_any_host,
    normalise_host,
    normalise_ipv6,
    parse_port,
)
from tests.sip.grammar import NASTY_TEXT, assert_linear
from tests.support import SynchronousTestCase


class HostTests(SynchronousTestCase):
    """Names, IPv4 and IPv6."""

    def test_names(self) -> None:
        """Names become small; hyphens, digits in front, underscores and a final dot may stand."""
        for text, normal in (
            ("AtLanTa.CoM", "atlanta.com"),
            ("localhost", "localhost"),
            ("3com.example", "3com.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a-b--c.example.", "a-b--c.example."),
            ("my_host", "my_host"),
            ("a" * 63 + ".example", "a" * 63 + ".example"),
        ):
            self.assertEqual(normalise_host(text), normal)

    def test_loopback(self) -> None:
        """What leads to whoever reads it, however it is spelled (fault:D8)."""
        for text in "127.0.0.1 127.9.9.9 0.0.0.0 LOCALHOST. a.localhost [::1] [::] [::ffff:127.0.0.1]".split():
            self.assertTrue(is_loopback(normalise_host(text)), text)
        for text in "128.0.0.1 10.127.0.1 localhost.example 127.example notlocalhost [::2] [::ffff:10.0.0.1]".split():
            self.assertFalse(is_loopback(normalise_host(text)), text)

    def test_group(self) -> None:
        """Whose many an address is, in every spelling of it."""
        for text in "224.0.0.0 224.0.1.75 239.255.255.255 [ff02::1] [FF0E::5:6] [::ffff:239.0.0.1]".split():
            self.assertTrue(is_group(normalise_host(text)), text)
        for text in (
            "223.255.255.255 240.0.0.1 10.224.0.1 239.example ff02.example [ff::1] [fe80::1] [::ffff:10.0.0.1]".split()
        ):
            self.assertFalse(is_group(normalise_host(text)), text)

    def test_bad_names(self) -> None:
        """Empty labels, hyphens at an end, blanks, controls and anything beyond ASCII make no host (fault:A13)."""
        long_name = ".".join(["a" * 60] * 5)
        for text in (
            *("", " ", "a b", "a\n", "a\0b", "a\t", "b\u00fccher.example", "\u212a.example", "a\u3002example"),
            *". .. a..b .a -a a- a-.b a.-b a%62 a@b a/b a;b a:b [a".split(),
            *("a" * 64, "a" * 64 + ".example", long_name),
        ):
            self.assertRaises(ValueError, normalise_host, text)

    def test_numbers_that_are_no_address(self) -> None:
        """What a resolver might read as an IPv4 address in disguise is refused (fault:A13)."""
        for text in "1 127.1 0x7f000001 0X7f.1 2130706433 1.2.3 1.2.3.4.5 256.1.1.1 1.2.3.04 a.1 1.2.3.4.".split():
            self.assertRaises(ValueError, normalise_host, text)

    def test_ipv4(self) -> None:
        """An IPv4 address is four numbers up to 255 without leading zeros."""
        for text in ("0.0.0.0", "192.0.2.1", "255.255.255.255", "10.200.249.19"):
            self.assertEqual(normalise_host(text), text)
        for number in range(300):
            self.assertEqual(IPV4.fullmatch(f"{number}.1.2.{number}") is not None, number < 256, number)

    def test_ipv6(self) -> None:
        """IPv6 stands in brackets, loses them and is brought into the spelling of RFC 5952."""
        for text, normal in (
            ("[2001:DB8:0:0::0010]", "2001:db8::10"),
            ("[::1]", "::1"),
            ("[::FFFF:192.0.2.2]", "::ffff:192.0.2.2"),
            ("[::ffff:c000:202]", "::ffff:192.0.2.2"),
            ("[2001:db8::192.0.2.1]", "2001:db8::c000:201"),
        ):
            self.assertEqual(normalise_host(text), normal)
            self.assertEqual(normalise_any_host(text), normal)
            self.assertEqual(normalise_any_host(text[1:-1]), normal)
            self.assertEqual(bracketed(normal), f"[{normal}]")
        self.assertEqual(bracketed("a.example"), "a.example")

    def test_three_colons(self) -> None:
        """The three colons of the old grammar before an IPv4 address are read as two (RFC 5118 section 4.10)."""
        self.assertEqual(normalise_ipv6("2001:db8:::192.0.2.1"), normalise_ipv6("2001:db8::192.0.2.1"))
        for text in (":::1", "2001:db8:::1", ":::192.0.2.1", "2001:::db8:::192.0.2.1", "1::2:::192.0.2.1"):
            self.assertRaises(ValueError, normalise_ipv6, text)

    def test_bad_ipv6(self) -> None:
        """Zone identifiers, missing brackets and what is no address are refused (fault:A13)."""
        wrong = "2001:db8::10 [::1 ::1] [] [fe80::1%eth0] [fe80::1%25eth0] [::1]x [1:2] [a.example] [192.0.2.1] [::g]"
        for text in (*wrong.split(), "[\u0661::1]", "[::1\n]", "[ ::1]"):
            self.assertRaises(ValueError, normalise_host, text)

    @settings(deadline=None)
    @given(st.one_of(NASTY_TEXT, st.text("0123456789.:abcdefx-[]", max_size=20)))
    def test_normal_form_is_final(self, text: str) -> None:
        """A host in normal form, written and read again, is itself; anything else is a ValueError (fault:A13)."""
        try:
            normal = normalise_host(text)
        except ValueError:
            return
        self.assertEqual(normalise_host(bracketed(normal)), normal)
        self.assertTrue(normal.isascii())
        self.assertEqual(normal, normal.lower())

    def test_ports(self) -> None:
        """A port is 0 to 65535; anything else is none (fault:A14)."""
        for text, port in (("0", 0), ("5060", 5060), ("65535", 65535), ("005061", 5061)):
            self.assertEqual(parse_port(text), port)
        for text in ("", "65536", "99999", "4294972356", "-1", "+5060", "5060 ", "\u0665\u0660\u0666\u0660"):
            self.assertRaises(ValueError, parse_port, text)

    def test_linear_time(self) -> None:
        """Long hosts, right ones and wrong ones, take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                normalise_host(text)
            except ValueError:
                return

        for unit in ("a", "a.", "a-", "-", "1.", "0x", "[", ":", "a1-"):
            assert_linear(self, attempt, lambda size, unit=unit: (unit * size)[:size] + "!")
        assert_linear(self, attempt, lambda size: f"[{':' * size}]")
        assert_linear(self, attempt, lambda size: f"[{'1:' * size}1]")
