"""A peer's text on a terminal: one line, no control, no more columns than allowed."""

from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.observe.text import clip, display_width, host_and_port, in_words, pad, printable
from tests.support import SynchronousTestCase


class PrintableTests(SynchronousTestCase):
    """:func:`printable` leaves nothing that a terminal or a log obeys."""

    def test_ordinary_text_stays_as_it_is(self) -> None:
        """Text in any script without controls is not touched."""
        for text in ("200 OK", "Grüße", "汉字", "sip:bob@b.example;transport=tls"):
            with self.subTest(text):
                self.assertEqual(printable(text), text)

    def test_controls_become_escapes(self) -> None:
        """fault:B4: line ends, escape sequences and direction marks are written out, so a log entry stays one line."""
        cases = {
            "a\r\nINFO forged": "a\\r\\nINFO forged",
            "\x1b[2J": "\\x1b[2J",
            "\x00": "\\x00",
            "\x7f\x85": "\\x7f\\x85",
            "\u2028\u202e": "\\u2028\\u202e",
            "\xa0": "\\xa0",
            "\udc80": "\\udc80",
            "back\\slash": "back\\\\slash",
        }
        for text, expected in cases.items():
            with self.subTest(expected):
                self.assertEqual(printable(text), expected)

    def test_the_length_is_bounded(self) -> None:
        """fault:B4: no more than the limit is looked at, and what is left out is marked."""
        self.assertEqual(printable("x" * 300), "x" * 256 + "...")
        self.assertEqual(printable("\n" * 300, limit=2), "\\n\\n...")

    @given(st.text())
    def test_any_text_ends_as_one_printable_line(self, text: str) -> None:
        """fault:B4: whatever goes in, what comes out is printable and has no line end."""
        shown = printable(text)
        self.assertTrue(shown.isprintable())
        self.assertEqual(len(shown.splitlines()), 1 if shown else 0)


class WidthTests(SynchronousTestCase):
    """Columns, not characters."""

    def test_wide_and_combining_characters(self) -> None:
        """A wide character takes two columns, a combining one none."""
        self.assertEqual(display_width("abc"), 3)
        self.assertEqual(display_width("汉字"), 4)
        self.assertEqual(display_width("e\u0301"), 1)

    def test_clip_keeps_to_the_columns(self) -> None:
        """A text that is too long ends in the ellipsis and fits; one without room for that vanishes."""
        self.assertEqual(clip("hello", 5), "hello")
        self.assertEqual(clip("hello", 4), "hel…")
        self.assertEqual(clip("汉字汉字", 6), "汉字…")
        self.assertEqual(clip("hello", 4, ".."), "he..")
        self.assertEqual(clip("hello", 1, ".."), "")

    def test_pad_counts_columns(self) -> None:
        """Padding takes wide characters into account."""
        self.assertEqual(pad("汉", 4), "汉  ")

    @given(st.text(), st.integers(min_value=0, max_value=40))
    def test_clip_never_exceeds(self, text: str, columns: int) -> None:
        """Whatever the text, the result is no wider than asked for."""
        self.assertLessEqual(display_width(clip(text, columns)), columns)


class WrittenTests(SynchronousTestCase):
    """Times and addresses."""

    def test_times(self) -> None:
        """A time is in UTC, to the millisecond, as RFC 3339 writes it."""
        self.assertEqual([in_words(0.0), in_words(12.5)], ["1970-01-01T00:00:00.000Z", "1970-01-01T00:00:12.500Z"])

    def test_times_of_datetime(self) -> None:
        """A time has the words that datetime finds, also where its milliseconds turn, and before 1970."""
        for now in (2697813318.6859994, -693743707.5160005, -0.5, 1.9999999, 1.0005, 253402300799.0):
            moment = datetime.datetime.fromtimestamp(now, datetime.UTC)
            expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            self.assertEqual(in_words(now), expected)

    def test_addresses(self) -> None:
        """An IPv6 address has brackets where a port follows it."""
        self.assertEqual(host_and_port("192.0.2.7", 5061), "192.0.2.7:5061")
        self.assertEqual(host_and_port("2001:db8::1", 5061), "[2001:db8::1]:5061")
