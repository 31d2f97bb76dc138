"""Waiting for an outcome, up to a time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock

from sip_p2p.service.http.waiting import LONGEST_WAIT, Outcome, preferred_wait
from tests.support import SynchronousTestCase


class PreferTests(SynchronousTestCase):
    """What Prefer says."""

    def test_prefer(self) -> None:
        """RFC 7240: the seconds are found among other preferences, bounded, and what cannot be read is passed over."""
        for text, seconds in (
            (None, None),
            ("wait=5", 5.0),
            ("respond-async, wait=5; x=y", 5.0),
            ('Wait = "7"', 7.0),
            ("wait=999999", LONGEST_WAIT),
            ("wait=0", 0.0),
            ("wait=-1", None),
            ("wait=1.5", None),
            ("await=5", None),
            ("wait", None),
        ):
            call: Any = SimpleNamespace(header=lambda name, text=text: text)
            self.assertEqual(preferred_wait(call), seconds, text)


class OutcomeTests(SynchronousTestCase):
    """Who waits."""

    def test_in_time(self) -> None:
        """All who wait hear of it, and who comes later need not wait."""
        clock, outcome = Clock(), Outcome()
        waiting = [outcome.wait(5, clock), outcome.wait(9, clock)]
        outcome.come()
        outcome.come()
        for each in (*waiting, outcome.wait(5, clock)):
            self.successResultOf(each)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """Whose time is over goes on without it."""
        clock, outcome = Clock(), Outcome()
        waiting = outcome.wait(5, clock)
        self.successResultOf(outcome.wait(0, clock))
        self.assertNoResult(waiting)
        clock.advance(5)
        self.successResultOf(waiting)
        self.assertFalse(outcome.is_there)
        outcome.come()
