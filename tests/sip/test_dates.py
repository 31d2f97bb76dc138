"""Tests of Date."""

from __future__ import annotations

import datetime
import email.utils

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dates import format_date, parse_date
from tests.sip.grammar import garbled
from tests.support import SynchronousTestCase


class DateTests(SynchronousTestCase):
    """Section 20.17."""

    def test_examples(self) -> None:
        """The dates of the RFCs are the instants that they name (row:K8)."""
        for text, instant in (
            ("Sat, 13 Nov 2010 23:29:00 GMT", 1289690940),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Tue, 29 Feb 2000 12:00:00 GMT", 951825600),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
        ):
            self.assertEqual(parse_date(text), instant)
            self.assertEqual(format_date(instant), text)
        self.assertEqual(parse_date(" Thu, 01 Jan 1970 00:00:01 GMT "), 1)
        self.assertEqual(format_date(1.9), "Thu, 01 Jan 1970 00:00:01 GMT")

    @settings(deadline=None)
    @given(st.integers(0, 253402300799))
    def test_calendar(self, instant: int) -> None:
        """Every instant is written as Python's own calendar writes it, and comes back the same."""
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=instant)
        text = format_date(instant)
        self.assertEqual(text, email.utils.format_datetime(moment, usegmt=True))
        self.assertEqual(parse_date(text), instant)

    def test_malformed(self) -> None:
        """Other zones than GMT, other forms and days that no calendar has are malformed (RFC 4475 section 3.1.2.12)."""
        for text in (
            "Fri, 01 Jan 2010 16:00:00 EST",
            "Fri, 01 Jan 2010 16:00:00",
            "Fri, 01 Jan 2010 16:00:00 +0000",
            "Fri, 1 Jan 2010 16:00:00 GMT",
            "Fri, 01 JAN 2010 16:00:00 GMT",
            "Friday, 01-Jan-10 16:00:00 GMT",
            "Fri Jan  1 16:00:00 2010",
            "Fri, 00 Jan 2010 16:00:00 GMT",
            "Fri, 32 Jan 2010 16:00:00 GMT",
            "Fri, 29 Feb 2010 16:00:00 GMT",
            "Fri, 29 Feb 2100 16:00:00 GMT",
            "Fri, 01 Jan 2010 24:00:00 GMT",
            "Fri, 01 Jan 2010 16:60:00 GMT",
            "Fri, 01 Jan 2010 16:00:60 GMT",
            "Fri, 01 Jan 1969 16:00:00 GMT",
            "Fri, 01 Jan 0000 16:00:00 GMT",
            "Fri, 01 Jan 2010 16:00:00 GMT\n",
            "Fri, \u0660\u0661 Jan 2010 16:00:00 GMT",
            "",
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_date, text).status, 400, ascii(text))
        for instant in (-1, 253402300800, float("nan"), float("inf")):
            self.assertRaises(ValueError, format_date, instant)

    @settings(deadline=None)
    @given(garbled("Sat, 13 Nov 2010 23:29:00 GMT"))
    def test_any_text(self, text: str) -> None:
        """Any text is a date or malformed (fault:A13)."""
        try:
            instant = parse_date(text)
        except MalformedMessage:
            return
        self.assertEqual(parse_date(format_date(instant)), instant)
