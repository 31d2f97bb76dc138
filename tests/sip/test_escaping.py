"""Tests of percent escapes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.sip.abnf import has_octets
from sip_p2p.sip.escaping import HEADER, PARAM, PASSWORD, USER, escape_octets, normalise_escapes
from tests.sip.grammar import ANY_TEXT, NASTY_TEXT, assert_linear
from tests.support import SynchronousTestCase

PARTS = (USER, PASSWORD, PARAM, HEADER)


class EscapingTests(SynchronousTestCase):
    """Each part of a URI has characters of its own."""

    @settings(deadline=None)
    @given(st.one_of(ANY_TEXT, NASTY_TEXT))
    def test_round_trip(self, text: str) -> None:
        """What is encoded decodes to the same, strictly, and is plain ASCII (row:K5, fault:B1)."""
        for part in PARTS:
            try:
                written = part.encode(text)
            except ValueError:
                self.assertFalse(has_octets(text))
                continue
            self.assertTrue(written.isascii())
            self.assertEqual(part.decode(written, True), text)

    def test_once(self) -> None:
        """Escapes are undone once: %25%34%31 is %41, not A (RFC 4475 section 3.1.1.3)."""
        self.assertEqual(PARAM.decode("v%61lue%25%34%31", True), "value%41")
        self.assertEqual(PARAM.encode("value%41"), "value%2541")

    def test_own_characters(self) -> None:
        """What delimits in one part may stand in another (RFC 3261 section 25.1)."""
        self.assertEqual(USER.encode("a;b?c/d,e=f&g+h$i"), "a;b?c/d,e=f&g+h$i")
        self.assertEqual(USER.encode("a:b@c[d]"), "a%3Ab%40c%5Bd%5D")
        self.assertEqual(PASSWORD.encode("a;b?c/d,e=f"), "a%3Bb%3Fc%2Fd,e=f")
        self.assertEqual(PARAM.encode("[2001:db8::1]/a&b+c$d"), "[2001:db8::1]/a&b+c$d")
        self.assertEqual(PARAM.encode("a=b;c?d@e,f"), "a%3Db%3Bc%3Fd%40e%2Cf")
        self.assertEqual(HEADER.encode("[?]:/+$"), "[?]:/+$")
        self.assertEqual(HEADER.encode("a=b&c;d@e"), "a%3Db%26c%3Bd%40e")

    def test_octets(self) -> None:
        """Behind escapes there are octets: UTF-8 where it is, anything else without loss (fault:A12)."""
        self.assertEqual(USER.decode("J%C3%BCrgen%00", True), "J\u00fcrgen\0")
        self.assertEqual(USER.decode("%FF%c3", True), "\udcff\udcc3")
        self.assertEqual(USER.encode("\udcff\udcc3"), "%FF%C3")
        self.assertEqual(escape_octets("\u00fc\0"), "%C3%BC%00")

    def test_half_escapes(self) -> None:
        """A percent sign that starts no escape is refused (fault:A13)."""
        for raw in ("%", "a%4", "%zz", "%4\u0661", "%%41", "100%"):
            for part in PARTS:
                self.assertRaises(ValueError, part.decode, raw, False)

    def test_tolerance(self) -> None:
        """A number sign and letters beyond ASCII pass unescaped unless one is strict; controls never do (fault:A13)."""
        for raw in ("*72#", "J\u00fcrgen", "\udcff"):
            self.assertEqual(USER.decode(raw, False), raw)
            self.assertRaises(ValueError, USER.decode, raw, True)
        for raw in ("a b", "a\0", "a\n", "a\x7f", "a\t", 'a"', "a<", "a>", "a\\", "a@b", "a:b"):
            self.assertRaises(ValueError, USER.decode, raw, False)
        for raw in ("\ud800", "a\udcc3\udca9"):
            self.assertRaises(ValueError, USER.decode, raw, False)

    def test_normal_escapes(self) -> None:
        """Only a character outside the reserved set equals its escape (RFC 3261 section 19.1.4)."""
        self.assertEqual(normalise_escapes("%61lice%2d%3b%40%C3%bc%25"), "alice-%3B%40%C3%BC%25")
        self.assertEqual(normalise_escapes("alice"), "alice")

    def test_linear_time(self) -> None:
        """Long parts, right ones and wrong ones, take time in proportion (fault:A8)."""

        def attempt(raw: str) -> None:
            try:
                USER.encode(USER.decode(raw, False))
            except ValueError:
                return

        for unit in ("a", "%41", "%4", "%", "#", "\u00e9", "a%41"):
            for end in ("", "%", "@"):
                assert_linear(self, attempt, lambda size, unit=unit, end=end: unit * size + end)
