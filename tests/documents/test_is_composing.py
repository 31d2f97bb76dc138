"""Tests of :mod:`sip_p2p.documents.is_composing`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.documents.is_composing import LONGEST_REFRESH, Composer, ComposingState, ComposingWatch, IsComposing
from sip_p2p.errors import MalformedDocument
from tests.support import SynchronousTestCase

ACTIVE, IDLE, REFUSED = ComposingState.ACTIVE, ComposingState.IDLE, ComposingState.REFUSED

EXAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"
    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
    xsi:schemaLocation="urn:ietf:params:xml:ns:im-composing iscomposing.xsd">
  <state>active</state>
  <contenttype>text/plain</contenttype>
  <refresh>90</refresh>
</isComposing>
"""

TABLE = [
    # state, input, what follows
    ("idle", "typed", "active >active"),
    ("idle", "stopped", "idle"),
    ("idle", "sent", "idle"),
    ("idle", "refused", "refused"),
    ("idle", "idle timeout", "idle"),
    ("idle", "refresh", "idle"),
    ("active", "typed", "active"),
    ("active", "stopped", "idle >idle"),
    ("active", "sent", "idle"),
    ("active", "refused", "refused"),
    ("active", "idle timeout", "idle >idle"),
    ("active", "refresh", "active >active"),
    ("refused", "typed", "refused"),
    ("refused", "stopped", "refused"),
    ("refused", "sent", "refused"),
    ("refused", "refused", "refused"),
    ("refused", "idle timeout", "refused"),
    ("refused", "refresh", "refused"),
]

WATCH_TABLE = [
    # state, input, what follows
    ("idle", "active", "active"),
    ("idle", "idle", "idle"),
    ("idle", "message", "idle"),
    ("idle", "timeout", "idle"),
    ("active", "active", "active"),
    ("active", "idle", "idle"),
    ("active", "message", "idle"),
    ("active", "timeout", "idle"),
]


class DocumentTests(SynchronousTestCase):
    """The document."""

    def test_example(self) -> None:
        """A report as RFC 3994 section 6 shows it."""
        report = IsComposing.parse(EXAMPLE)
        self.assertEqual((report.state, report.content_type, report.refresh), (ACTIVE, "text/plain", 90))

    def test_last_active(self) -> None:
        """An idle one says when something was written last."""
        text = EXAMPLE.replace("active<", "idle<").replace("<refresh>90</refresh>", "")
        text = text.replace("</state>", "</state><lastactive>2003-01-27T10:43:00Z</lastactive>")
        report = IsComposing.parse(text)
        self.assertEqual((report.state, report.last_active, report.refresh), (IDLE, 1043664180.0, None))

    def test_other_words(self) -> None:
        """A state that nobody knows is idle."""
        self.assertIs(IsComposing.parse(EXAMPLE.replace("active<", "gone<")).state, IDLE)

    def test_malformed(self) -> None:
        """What is no report is refused, and so is one that we could not send."""
        for old, new in (
            ("isComposing", "isSleeping"),
            ("<state>active</state>", ""),
            ("90", "-1"),
            ("90", "0"),
            ("90", "\u0669"),
            ("90", "9" * 13),
            ("</isComposing>", ""),
        ):
            self.assertRaises(MalformedDocument, IsComposing.parse, EXAMPLE.replace(old, new))
        self.assertRaises(ValueError, IsComposing, REFUSED)
        self.assertRaises(ValueError, IsComposing, ACTIVE, "", 0)

    @given(
        st.sampled_from((ACTIVE, IDLE)),
        st.sampled_from(("", "text/plain", "audio")),
        st.none() | st.integers(1, 10**9),
        st.none() | st.integers(0, 2**32),
    )
    def test_round_trip(self, state: ComposingState, kind: str, refresh: int | None, last: int | None) -> None:
        """What is written is read as what it was."""
        report = IsComposing(state, kind, refresh, last)
        self.assertEqual(IsComposing.parse(report.to_bytes()), report)


class ComposerTests(SynchronousTestCase):
    """The side that writes (RFC 3994 section 3.2, Figure 1)."""

    def in_state(self, state: str) -> Composer:
        """One that has come to *state* by the moment 0."""
        composer = Composer(idle_timeout=100, refresh=60)
        if state == "active":
            composer.typed(0)
        elif state == "refused":
            composer.refused()
        self.assertEqual(composer.state.value, state)
        return composer

    def feed(self, composer: Composer, name: str) -> IsComposing | None:
        """One input of the table."""
        if name == "typed":
            return composer.typed(1)
        if name == "stopped":
            return composer.stopped()
        if name == "sent":
            composer.sent()
        elif name == "refused":
            composer.refused()
        else:
            return composer.handle_timer(100 if name == "idle timeout" else 60)
        return None

    def test_table(self) -> None:
        """Every state and input lead to what the table says."""
        self.assertEqual(len({row[:2] for row in TABLE}), 18)
        for state, name, follows in TABLE:
            composer = self.in_state(state)
            report = self.feed(composer, name)
            said = "" if report is None else f" >{report.state.value}"
            self.assertEqual(f"{composer.state.value}{said}", follows, (state, name))

    def test_times(self) -> None:
        """Each key puts off the idle timeout; the refresh comes all the same, and holds until after the next one."""
        composer = Composer(idle_timeout=15, refresh=60)
        first = composer.typed(0)
        assert first is not None and first.refresh is not None
        self.assertEqual(composer.next_deadline(), 15)
        for moment in range(10, 60, 10):
            self.assertIsNone(composer.typed(moment))
        self.assertEqual(composer.next_deadline(), 60)
        self.assertIsNotNone(composer.handle_timer(60))
        self.assertGreater(first.refresh, 60)
        self.assertEqual(composer.next_deadline(), 65)
        self.assertIsNone(composer.handle_timer(64.9))
        self.assertIsNotNone(composer.handle_timer(65))
        self.assertIsNone(composer.next_deadline())

    def test_wrong_times(self) -> None:
        """A refresh under 60 seconds, and a timeout that is none, are refused."""
        self.assertRaises(ValueError, Composer, refresh=59)
        self.assertRaises(ValueError, Composer, idle_timeout=0)
        self.assertRaises(ValueError, Composer, idle_timeout=float("nan"))


class WatchTests(SynchronousTestCase):
    """The side that is told (section 3.3, Figure 2)."""

    def test_table(self) -> None:
        """Every state and input lead to what the table says, and whether that is a change is told."""
        for state, name, follows in WATCH_TABLE:
            watch = ComposingWatch()
            if state == "active":
                watch.received(IsComposing(ACTIVE), 0)
            if name == "message":
                changed = watch.message_received()
            elif name == "timeout":
                changed = watch.handle_timer(120)
            else:
                changed = watch.received(IsComposing(ComposingState(name)), 1)
            self.assertEqual((watch.state.value, changed), (follows, state != follows), (state, name))

    def test_times(self) -> None:
        """What is told holds for as long as it says, 120 seconds where it does not, and an hour at most."""
        for refresh, until in ((None, 120), (30, 30), (10**9, LONGEST_REFRESH)):
            watch = ComposingWatch()
            watch.received(IsComposing(ACTIVE, refresh=refresh), 0)
            self.assertEqual(watch.next_deadline(), until)
            self.assertFalse(watch.handle_timer(until - 0.1))
            self.assertTrue(watch.handle_timer(until))
            self.assertIsNone(watch.next_deadline())
