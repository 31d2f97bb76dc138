"""Tests of :mod:`sip_p2p.documents.timestamps`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.documents.timestamps import format_timestamp, parse_timestamp
from sip_p2p.errors import MalformedDocument
from tests.support import SynchronousTestCase


class TimestampTests(SynchronousTestCase):
    """Instants (RFC 3339 section 5.6)."""

    def test_examples(self) -> None:
        """The examples of RFC 3339 section 5.8 are read."""
        for text, instant in (
            ("1985-04-12T23:20:50.52Z", 482196050.52),
            ("1996-12-19T16:39:57-08:00", 851042397.0),
            ("1990-12-31T23:59:60Z", 662688000.0),
            ("1990-12-31T15:59:60-08:00", 662688000.0),
            ("1937-01-01T12:00:27.87+00:20", -1041337172.13),
        ):
            self.assertAlmostEqual(parse_timestamp(text), instant, places=3)

    def test_none(self) -> None:
        """What is no instant is refused, days that no calendar has and other digits among them."""
        for text in (
            "",
            "2001-02-29T00:00:00Z",
            "2001-02-03 00:00:00Z",
            "2001-02-03T00:00:00",
            "2001-02-03T24:00:00Z",
            "2001-02-03T00:00:61Z",
            "2001-02-03T00:00:00+24:00",
            "\u0662001-02-03T00:00:00Z",
            "2001-02-03T00:00:00Z\nx",
        ):
            self.assertRaises(MalformedDocument, parse_timestamp, text)
        for instant in (-1, 253402300800, float("nan")):
            self.assertRaises(ValueError, format_timestamp, instant)

    def test_exact(self) -> None:
        """A fraction of a second is written where it is wanted and there is one, without zeros at its end (section
        5.6)."""
        for instant, text in (
            (482196050.52, "1985-04-12T23:20:50.52Z"),
            (482196050.000001, "1985-04-12T23:20:50.000001Z"),
            (482196050.0, "1985-04-12T23:20:50Z"),
            (253402300799.0, "9999-12-31T23:59:59Z"),
        ):
            self.assertEqual(format_timestamp(instant, is_exact=True), text)
            self.assertEqual(format_timestamp(instant), text[:19] + "Z")
            self.assertAlmostEqual(parse_timestamp(text), instant, places=5)

    @given(st.integers(0, 253402300799))
    def test_round_trip(self, instant: int) -> None:
        """What is written is read as what it was."""
        self.assertEqual(parse_timestamp(format_timestamp(instant)), instant)

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """Any text is an instant or refused."""
        try:
            parse_timestamp(text)
        except MalformedDocument:
            return
