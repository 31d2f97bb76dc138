"""Tests of Warning and Reason."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.diagnostics import (
    MISCELLANEOUS_WARNING,
    ReasonValue,
    WarningValue,
    parse_reasons,
    parse_warnings,
)
from tests.sip.grammar import ANY_TEXT, NASTY_TEXT, garbled
from tests.support import SynchronousTestCase

WARNING = '307 isi.edu:5060 "Session parameter \'foo, \\"bar\\"\' not understood"'
REASON = 'Q.850 ;cause=16 ;text="Terminated, \\"normally\\"";x=y'


class WarningTests(SynchronousTestCase):
    """Section 20.43."""

    def test_parts(self) -> None:
        """A Warning has a code, an agent and a text, and a field may hold several (row:K10)."""
        first, second = parse_warnings(f'{WARNING}, 399 [2001:db8::1]  "x"')
        self.assertEqual((first.code, first.agent), (307, "isi.edu:5060"))
        self.assertEqual(first.text, "Session parameter 'foo, \"bar\"' not understood")
        self.assertEqual((second.code, second.agent, second.text), (399, "[2001:db8::1]", "x"))
        self.assertEqual(str(first), WARNING)
        self.assertEqual(repr(second), "<WarningValue '399 [2001:db8::1] \"x\"'>")

    @settings(deadline=None)
    @given(st.one_of(ANY_TEXT, NASTY_TEXT))
    def test_any_words(self, text: str) -> None:
        """A Warning of ours carries any text whole, or refuses it (row:K10, fault:B1)."""
        try:
            warning = WarningValue(MISCELLANEOUS_WARNING, "sip_p2p", text)
        except ValueError:
            return
        self.assertEqual(parse_warnings(str(warning)), [warning])
        self.assertEqual(hash(parse_warnings(str(warning))[0]), hash(warning))
        self.assertNotIn("\n", str(warning))
        self.assertNotIn("\r", str(warning))

    def test_malformed(self) -> None:
        """What is no Warning is malformed (fault:A14)."""
        for text in (
            "",
            "307",
            "307 isi.edu",
            '307 "x"',
            '30 isi.edu "x"',
            '3070 isi.edu "x"',
            "307 isi.edu x",
            '307 isi.edu "x',
            '307 isi.edu "x" y',
            '307 i si.edu "x"',
            f"{WARNING},",
            '\u0661\u0661\u0661 isi.edu "x"',
            '307 isi.edu "\\\0"',
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_warnings, text).status, 400)
        for arguments in ((-1, "a", "x"), (1000, "a", "x"), (399, "", "x"), (399, "a b", "x"), (399, "a", "x\r\n")):
            self.assertRaises(ValueError, WarningValue, *arguments)
        self.assertNotEqual(WarningValue(399, "a", "x"), '399 a "x"')


class ReasonTests(SynchronousTestCase):
    """RFC 3326."""

    def test_parts(self) -> None:
        """A Reason has a protocol, a cause and a text, and a field may hold several (row:K10)."""
        first, second, third = parse_reasons(f"{REASON}, SIP ;cause=200, preemption")
        self.assertEqual((first.protocol, first.cause, first.text), ("Q.850", 16, 'Terminated, "normally"'))
        self.assertEqual(dict(first.params), {"x": "y"})
        self.assertEqual((second.protocol, second.cause, second.text), ("SIP", 200, None))
        self.assertEqual((third.protocol, third.cause, third.text), ("preemption", None, None))
        self.assertEqual(str(first), REASON.replace(" ;", ";"))
        self.assertEqual(repr(second), "<ReasonValue 'SIP;cause=200'>")

    @settings(deadline=None)
    @given(st.one_of(ANY_TEXT, NASTY_TEXT), st.none() | st.integers(-1, 2**31))
    def test_any_words(self, text: str, cause: int | None) -> None:
        """A Reason of ours carries any cause and text whole, or refuses them (row:K10, fault:B1)."""
        try:
            reason = ReasonValue("SIP", cause, text, {"x": text})
        except ValueError:
            return
        self.assertEqual(parse_reasons(str(reason)), [reason])
        self.assertEqual(hash(parse_reasons(str(reason))[0]), hash(reason))

    def test_malformed(self) -> None:
        """What is no Reason is malformed (fault:A14)."""
        for text in (
            "",
            ";cause=1",
            "SIP;cause=x",
            "SIP;cause=-1",
            "SIP;cause=99999999999",
            "SIP;",
            "SIP;cause=1;cause=2",
            'SIP;text="x',
            "SIP 200",
            "SIP,",
            'SIP;text="\\\0"',
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_reasons, text).status, 400, text)
        for arguments in (
            ("",),
            ("S IP",),
            ("SIP", -1),
            ("SIP", 1, "a\nb"),
            ("SIP", 1, "x", {"cause": "2"}),
            ("SIP\n",),
        ):
            self.assertRaises(ValueError, ReasonValue, *arguments)
        self.assertNotEqual(ReasonValue("SIP"), "SIP")

    @settings(deadline=None)
    @given(garbled(REASON), garbled(WARNING))
    def test_any_text(self, reason: str, warning: str) -> None:
        """Any text is values that read back the same when written, or malformed (fault:A13)."""
        try:
            reasons = parse_reasons(reason)
            self.assertEqual(parse_reasons(", ".join(map(str, reasons))), reasons)
            warnings = parse_warnings(warning)
            self.assertEqual(parse_warnings(", ".join(map(str, warnings))), warnings)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
