"""Tests of CSeq, lists, numbers, Retry-After, Timestamp and Event."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import (
    CSeq,
    EventValue,
    RetryAfter,
    _parse_any_cseq,
    parse_contact,
    parse_cseq,
    parse_event,
    parse_max_forwards,
    parse_name_addrs,
    parse_retry_after,
    parse_seconds,
    parse_timestamp,
    parse_tokens,
    split_values,
)
from tests.sip.grammar import NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase

NO_NUMBERS = ("", " ", "x", "-1", "+1", "1.0", "0x1", "1_0", "1 2", "1,2", "1;x", "\u0661", "\u00b9", "1\n")


def is_linear(case: SynchronousTestCase, parse: object, starts: tuple[str, ...], units: tuple[str, ...]) -> None:
    """Fail if *parse* is not linear in texts that start with one of *starts* and go on with one of *units*."""

    def attempt(text: str) -> None:
        try:
            parse(text)  # type: ignore[operator]
        except MalformedMessage:
            return

    for start in starts:
        for unit in units:
            for end in ("", "\n"):
                assert_linear(
                    case,
                    attempt,
                    lambda size, start=start, unit=unit, end=end: f"{start}{unit * (size // len(unit))}{end}",
                )


class SplitTests(SynchronousTestCase):
    """Comma-separated values (section 7.3.1)."""

    def test_plain(self) -> None:
        """Values are cut at commas and lose the blanks around them; empty ones stay to be judged."""
        self.assertEqual(split_values("a"), ["a"])
        self.assertEqual(split_values("\ta ,b;c=d , e "), ["a", "b;c=d", "e"])
        self.assertEqual(split_values("a,,b,"), ["a", "", "b", ""])
        self.assertEqual(split_values(""), [""])

    def test_commas_that_separate_nothing(self) -> None:
        """A comma in quotes or angle brackets separates nothing."""
        text = '"Bell, A" <sip:a,b@c>;x="1,\\",2" ,<sip:d?e=f,g>, h'
        self.assertEqual(split_values(text), ['"Bell, A" <sip:a,b@c>;x="1,\\",2"', "<sip:d?e=f,g>", "h"])
        self.assertEqual(split_values('"<", ">"'), ['"<"', '">"'])
        self.assertEqual(split_values('<">, <">'), ['<">', '<">'])

    def test_what_is_left_open(self) -> None:
        """After a quote or bracket that is never closed all is one value: nothing is cut on a guess."""
        for text in ('a, "b, c', "a, <b, c", 'a, "b\\", c'):
            self.assertEqual(split_values(text), ["a", text[3:]])

    @settings(deadline=None)
    @given(st.lists(st.one_of(TOKENS, TOKENS.map('"{},"'.format), TOKENS.map('"\\" <{},>";x=","'.format)), min_size=1))
    def test_join_and_split(self, values: list[str]) -> None:
        """Well-formed values that are joined come apart again."""
        self.assertEqual(split_values(", ".join(values)), values)

    def test_linear_time(self) -> None:
        """Long lists, and many quotes and brackets that are left open, take time in proportion (fault:A8)."""
        is_linear(
            self, split_values, ("", '"', "<", ",<"), ("a", ",", '"', '",', "<", "<,", ">,", "\\", '\\",', '"a",<b>,')
        )


class CSeqTests(SynchronousTestCase):
    """Section 20.16."""

    def test_parts(self) -> None:
        """A CSeq has a number and a method, whose case counts (row:K8)."""
        cseq = parse_cseq("314159 INVITE")
        self.assertEqual((cseq.number, cseq.method, str(cseq)), (314159, "INVITE", "314159 INVITE"))
        self.assertEqual(cseq, CSeq(314159, "INVITE"))
        self.assertEqual(hash(cseq), hash(CSeq(314159, "INVITE")))
        self.assertNotEqual(cseq, CSeq(314159, "Invite"))
        self.assertNotEqual(cseq, CSeq(314158, "INVITE"))
        self.assertNotEqual(cseq, "314159 INVITE")
        self.assertEqual(repr(cseq), "<CSeq 314159 INVITE>")

    def test_tortuous(self) -> None:
        """Leading zeros and any blanks may stand, and any token is a method (RFC 4475 sections 3.1.1.1 and 3.1.1.2)."""
        self.assertEqual(parse_cseq("0009   \t INVITE "), CSeq(9, "INVITE"))
        self.assertEqual(parse_cseq("0" * 5000 + "9 INVITE"), CSeq(9, "INVITE"))
        method = "!interesting-Method0123456789_*+`.%indeed'~"
        self.assertEqual(parse_cseq(f"139122385 {method}").method, method)

    def test_boundaries(self) -> None:
        """A number is below 2**31; no larger one wraps into another (fault:A14, RFC 4475, 3.1.2.4)."""
        self.assertEqual(parse_cseq("0 ACK").number, 0)
        self.assertEqual(parse_cseq("2147483647 ACK").number, 2**31 - 1)
        self.assertEqual(parse_cseq("00000002147483647 ACK").number, 2**31 - 1)
        for number in (2**31, 2**32, 2**32 + 1, 9999999999, 2**64, 36893488147419103232, 10**5000):
            digits = "1" + "0" * 5000 if number == 10**5000 else str(number)
            self.assertEqual(self.assertRaises(MalformedMessage, parse_cseq, f"{digits} ACK").status, 400)

    def test_malformed(self) -> None:
        """What is no CSeq is malformed (fault:A14)."""
        for text in (
            "",
            "1",
            "INVITE",
            "1INVITE",
            "INVITE 1",
            "-1 INVITE",
            "+1 INVITE",
            "1 INVITE x",
            "1, INVITE",
            "1\nINVITE",
            "1 INVITE\n",
            "\u0661 INVITE",
            "1 \u0399NVITE",
            "1\u00a0INVITE",
            "1.0 INVITE",
            "1 IN,VITE",
            "1 ",
        ):
            self.assertRaises(MalformedMessage, parse_cseq, text)
        for number, method in ((-1, "A"), (2**31, "A"), (1, ""), (1, "A B"), (1, "A\r\n")):
            self.assertRaises(ValueError, CSeq, number, method)

    @settings(deadline=None)
    @given(st.one_of(garbled("314159 INVITE"), st.builds("{} {}".format, st.integers(0, 2**32), TOKENS)))
    def test_both_ways_agree(self, text: str) -> None:
        """The short way and the general one find the same, or the same fault."""
        try:
            general = _parse_any_cseq(text)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
            self.assertRaises(MalformedMessage, parse_cseq, text)
            return
        self.assertEqual(parse_cseq(text), general)
        self.assertEqual(parse_cseq(str(general)), general)

    def test_linear_time(self) -> None:
        """Long CSeqs take time in proportion (fault:A8)."""
        is_linear(self, parse_cseq, ("", "1", "1 "), ("0", "9", " ", "A", "0 "))


class ListTests(SynchronousTestCase):
    """Tokens and addresses."""

    def test_tokens(self) -> None:
        """Tokens keep their order and case; an empty field and empty elements are nothing (row:K8)."""
        self.assertEqual(parse_tokens("100rel , timer,Path", "Supported"), ["100rel", "timer", "Path"])
        self.assertEqual(parse_tokens("", "Supported"), [])
        self.assertEqual(parse_tokens("INVITE, ACK,, BYE, ", "Allow"), ["INVITE", "ACK", "BYE"])
        for value in ("a b", "a;b", '"a"', "a,\u00e4", "a\n", "<a>", "a/b"):
            error = self.assertRaises(MalformedMessage, parse_tokens, value, "Require")
            self.assertTrue(str(error).startswith("Require: "))

    def test_addresses(self) -> None:
        """A Route or Record-Route may hold several addresses, in order (row:K8)."""
        found = parse_name_addrs("<sip:p1.com;lr>, <sip:p2.com>;x=y,<sip:p3.com;lr>", "Route")
        self.assertEqual([route.uri_text for route in found], ["sip:p1.com;lr", "sip:p2.com", "sip:p3.com;lr"])
        for value in ("", "<sip:a>,", ",<sip:a>", "<sip:a>,,<sip:b>", "<sip:a> <sip:b>"):
            self.assertRaises(MalformedMessage, parse_name_addrs, value, "Route")

    def test_contact(self) -> None:
        """A Contact is a list of addresses, or the star that stands for all (row:K8)."""
        self.assertIsNone(parse_contact(" * "))
        found = parse_contact('"Mr. Watson" <sip:w@b.example> ;q=0.7; expires=3600,"W" <mailto:w@b.example> ;q=0.1')
        assert found is not None
        self.assertEqual(
            [(one.display_name, one.q, one.expires) for one in found], [("Mr. Watson", 0.7, 3600), ("W", 0.1, None)]
        )
        for value in ("", "*, *", "*;q=1", "<*>,", "* <sip:a>,*"):
            self.assertRaises(MalformedMessage, parse_contact, value)

    def test_linear_time(self) -> None:
        """Long lists take time in proportion (fault:A8)."""
        is_linear(self, lambda text: parse_tokens(text, "Allow"), ("", "a"), ("a", ",", "a,", " ", ";"))
        is_linear(
            self,
            lambda text: parse_name_addrs(text, "Route"),
            ("",),
            ("<sip:a>,", "<", '"', "sip:a,", ",", "<sip:a>;x=y,"),
        )


class NumberTests(SynchronousTestCase):
    """Max-Forwards, Expires and their kin."""

    def test_max_forwards(self) -> None:
        """Max-Forwards is 0 to 255; a larger number counts as none at all (fault:A14, RFC 4475 section 3.1.2.4)."""
        for value, number in (("70", 70), ("0", 0), ("255", 255), ("0068", 68), (" 7 ", 7)):
            self.assertEqual(parse_max_forwards(value), number)
        for value in ("256", "300", "4294967296", "9" * 5000):
            self.assertIsNone(parse_max_forwards(value))
        for value in NO_NUMBERS:
            self.assertEqual(self.assertRaises(MalformedMessage, parse_max_forwards, value).status, 400, ascii(value))

    def test_seconds(self) -> None:
        """Seconds go up to 2**32 - 1; a larger number stands for the default (fault:A14, section 20.19)."""
        for value, number in (("3600", 3600), ("0", 0), ("4294967295", 2**32 - 1), ("0007", 7)):
            self.assertEqual(parse_seconds(value, "Expires"), number)
        for value in ("4294967296", "1" + "0" * 100, "9" * 5000):
            self.assertIsNone(parse_seconds(value, "Expires"))
        for value in NO_NUMBERS:
            error = self.assertRaises(MalformedMessage, parse_seconds, value, "Min-Expires")
            self.assertTrue(str(error).startswith("Min-Expires: "))

    def test_timestamp(self) -> None:
        """A Timestamp is one decimal number or two (row:K8, section 20.38)."""
        for value, found in (
            ("54", (54.0, 0.0)),
            ("54.25 0.5", (54.25, 0.5)),
            ("1. .5", (1.0, 0.5)),
            ("1 ", (1.0, 0.0)),
        ):
            self.assertEqual(parse_timestamp(value), found)
        self.assertEqual(parse_timestamp("1 ."), (1.0, 0.0))
        for value in ("", "x", "-1", ".5", "1e5", "inf", "nan", "1 2 3", "1 x", "9" * 5000, "1\n", "\u0661"):
            self.assertRaises(MalformedMessage, parse_timestamp, value)

    def test_linear_time(self) -> None:
        """Long numbers take time in proportion (fault:A8)."""
        for parse in (parse_max_forwards, parse_timestamp):
            is_linear(self, parse, ("", "1", "1 "), ("0", "9", " ", "."))


class RetryAfterTests(SynchronousTestCase):
    """Section 20.33."""

    def test_parts(self) -> None:
        """A Retry-After has seconds, perhaps a comment, perhaps a duration (row:K8)."""
        for text, seconds, duration, comment in (
            ("5", 5, None, ""),
            ("18000;duration=3600", 18000, 3600, ""),
            ("120 (I'm in a meeting)", 120, None, "I'm in a meeting"),
            ("1(a (nested\\) one) \\\\) ; duration = 007;x", 1, 7, "a (nested) one) \\"),
        ):
            value = parse_retry_after(text)
            self.assertEqual((value.seconds, value.duration, value.comment), (seconds, duration, comment))
            self.assertEqual(parse_retry_after(str(value)), value)
        self.assertEqual(str(RetryAfter(7, 8, "a(b")), "7 (a\\(b);duration=8")
        self.assertEqual(hash(RetryAfter(7)), hash(parse_retry_after("7")))
        self.assertNotEqual(RetryAfter(7), 7)
        self.assertEqual(repr(RetryAfter(7)), "<RetryAfter '7'>")

    def test_malformed(self) -> None:
        """What is no Retry-After is malformed; too large a number is none (fault:A14, RFC 4475 section 3.1.2.5)."""
        for text in (
            "",
            "x",
            "-1",
            "5 x",
            "5 (a",
            "5 (a\\)",
            "5 (a) b",
            "5;",
            "5;duration=x",
            "5;duration=4294967296",
            "949302838503028349304023988",
            "5 (a\0b)",
            "5\n",
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_retry_after, text).status, 400)
        for arguments in ((-1,), (2**32,), (1, -1), (1, 2**32), (1, None, "a\nb"), (1, None, "\0")):
            self.assertRaises(ValueError, RetryAfter, *arguments)

    @settings(deadline=None)
    @given(NASTY_TEXT)
    def test_any_comment(self, comment: str) -> None:
        """Any comment comes back the same, or is refused (fault:B1)."""
        try:
            value = RetryAfter(1, 2, comment)
        except ValueError:
            return
        self.assertEqual(parse_retry_after(str(value)), value)

    def test_linear_time(self) -> None:
        """Comments of many parentheses take time in proportion (fault:A8)."""
        is_linear(self, parse_retry_after, ("", "1", "1 (", "1;x="), ("(", ")", "()", "\\", "9", " ", "a"))


class EventTests(SynchronousTestCase):
    """RFC 6665 section 8.2.1."""

    def test_parts(self) -> None:
        """An Event has a package and perhaps an id; both count for what it matches, nothing else does (row:K8)."""
        event = parse_event("presence.winfo ; id = 7;x=y")
        self.assertEqual((event.package, event.id, dict(event.params)), ("presence.winfo", "7", {"id": "7", "x": "y"}))
        self.assertEqual(str(event), "presence.winfo;id=7;x=y")
        self.assertTrue(event.matches(EventValue("presence.winfo", {"id": "7"})))
        for other in ("presence.winfo", "presence;id=7", "Presence.winfo;id=7", "presence.winfo;id=8"):
            self.assertFalse(event.matches(parse_event(other)))
        self.assertEqual(repr(EventValue("refer")), "<EventValue 'refer'>")

    def test_malformed(self) -> None:
        """What is no Event is malformed (fault:A13)."""
        for text in ("", ";id=1", "a b", "a;", "a,b", "a;id=1;id=2", 'a;x="\\\0"', "\u00e4", "a\n"):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_event, text).status, 400)
        for package in ("", "a b", "a\n"):
            self.assertRaises(ValueError, EventValue, package)
