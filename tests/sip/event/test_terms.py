"""Tests of :mod:`sip_p2p.sip.event.terms` (RFC 6665 section 4.2.1)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.event.rates import Rates
from sip_p2p.sip.event.terms import SubscribeReading, Terms, read_event, read_subscribe
from sip_p2p.sip.fields import EventValue
from sip_p2p.sip.message import Request
from tests.sip.dialog.dialogs import tls
from tests.sip.event.notifying import subscribe
from tests.support import SynchronousTestCase

TERMS = Terms(default=600, minimum=60, maximum=7200)

GRANTED = [
    # what Expires says, and what is granted; None is 423
    (None, 600),
    (0, 0),
    (1, None),
    (59, None),
    (60, 60),
    (3599, 3599),
    (7200, 7200),
    (7201, 7200),
    (2**32 - 1, 7200),
]


class TermsTests(SynchronousTestCase):
    """For how long."""

    def test_granted(self) -> None:
        """4.2.1.1: what is wished for is granted, too little is refused, too much is shortened. fault:D6"""
        for asked, granted in GRANTED:
            self.assertEqual(TERMS.granted(asked), granted, asked)

    def test_an_hour_is_enough(self) -> None:
        """4.2.1.1: nobody who asks for an hour is told that it is too short."""
        self.assertEqual(Terms(3600, 3600, 7200).granted(3600), 3600)
        self.assertRaises(ValueError, Terms, 7200, 3601, 7200)

    def test_order(self) -> None:
        """Seconds that contradict each other are refused when they are given."""
        for seconds in ((10, 60, 7200), (600, 60, 500), (600, -1, 7200), (600, 60, 2**31)):
            self.assertRaises(ValueError, Terms, *seconds)
        for interval in (-1.0, float("nan"), float("inf")):
            self.assertRaises(ValueError, Terms, interval=interval)

    @given(st.integers(min_value=0, max_value=2**32 - 1))
    def test_any(self, asked: int) -> None:
        """What is granted is never more than was asked for, nor more than there is."""
        granted = TERMS.granted(asked)
        if granted is not None:
            self.assertLessEqual(granted, min(asked, TERMS.maximum))


class ReadingTests(SynchronousTestCase):
    """What a SUBSCRIBE says."""

    def read(self, request: Request, *, in_dialog: bool = False) -> SubscribeReading:
        """Read it."""
        event = read_event(request) or EventValue("presence")
        return read_subscribe(request, event, TERMS, None if in_dialog else tls("a.example"), "bt")

    def test_dialog(self) -> None:
        """4.2.1.1: it makes a dialog with its Contact and its tag; in a dialog it needs none."""
        reading = self.read(subscribe(event="presence;max-rate=2"))
        assert reading.dialog is not None
        dialog = reading.dialog
        self.assertEqual((dialog.local_tag, dialog.remote_tag, dialog.peer), ("bt", "at", "a.example"))
        self.assertEqual((reading.status, reading.expires, reading.rates), (0, 600, Rates(2)))
        self.assertIsNone(self.read(subscribe(), in_dialog=True).dialog)
        self.assertEqual(self.read(subscribe(contact=None), in_dialog=True).status, 0)

    def test_refused(self) -> None:
        """What cannot be read is 400, and what is too short 423 with what would do. row:J10"""
        self.assertEqual(self.read(subscribe(contact=None)).status, 400)
        self.assertEqual(self.read(subscribe(expires="soon")).status, 400)
        reading = self.read(subscribe(expires=5))
        self.assertEqual((reading.status, reading.fields), (423, (("Min-Expires", "60"),)))

    def test_media_types(self) -> None:
        """4.1.2.1: who takes none of the media types is refused with 406, which names them, in a dialog as outside of
        one; who does not say takes the usual one (section 3.1.3)."""
        terms = Terms(content_types=("text/plain", "application/x-board"))
        for accept, status, types in (
            (None, 0, ("text/plain",)),
            ("*/*", 0, ("text/plain", "application/x-board")),
            ("application/x-board", 0, ("application/x-board",)),
            ("application/pidf+xml", 406, ()),
            ("", 406, ()),
            ("text", 400, None),
        ):
            request = subscribe(fields=() if accept is None else (("Accept", accept),))
            for flow in (None, tls("a.example")):
                reading = read_subscribe(request, EventValue("presence"), terms, flow, "bt")
                self.assertEqual(reading.status, status, accept)
                if status == 406:
                    self.assertEqual(reading.fields, (("Accept", "text/plain, application/x-board"),))
            if types is not None:
                self.assertEqual(terms.acceptable(request), types)
        self.assertEqual(self.read(subscribe(fields=(("Accept", "text/plain"),))).status, 0)

    def test_event(self) -> None:
        """8.2.1: there is exactly one Event; one that cannot be read is 400."""
        event = read_event(subscribe(event="presence;id=7"))
        assert event is not None
        self.assertEqual((event.package, event.id), ("presence", "7"))
        self.assertIsNone(read_event(subscribe(event=None)))
        self.assertIsNone(read_event(subscribe(fields=(("Event", "dialog"),))))
        self.assertRaises(MalformedMessage, read_event, subscribe(event="no token"))
