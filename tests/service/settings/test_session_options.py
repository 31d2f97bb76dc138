"""Options of sessions: what they are read as, and what is wrong with them."""

from __future__ import annotations

from twisted.python import usage

from sip_p2p.service.settings.session_options import answer_options, reliability, session_timer
from tests.support import SynchronousTestCase

USUAL = {"max-ring": None, "reliable": "supported", "session-timer": "1800", "session-timer-least": "90"}


class SessionOptionsTests(SynchronousTestCase):
    """:mod:`sip_p2p.service.settings.session_options`."""

    def test_usual(self) -> None:
        """row:H26: without options sessions are refreshed, and rung for as long as the library does."""
        options = answer_options(USUAL)
        self.assertEqual((options.max_ring, options.reliable), (600.0, "supported"))
        timer = options.session_timer
        self.assertEqual((timer.interval, timer.minimum, timer.is_enabled), (1800, 90, True))

    def test_others(self) -> None:
        """Each can be another; without session timers none is asked for."""
        options = answer_options(USUAL | {"max-ring": "7.5", "reliable": "required", "session-timer": "off"})
        self.assertEqual((options.max_ring, options.reliable), (7.5, "required"))
        self.assertEqual((options.session_timer.interval, options.session_timer.is_enabled), (None, False))
        timer = session_timer(USUAL | {"session-timer": "400", "session-timer-least": "300"})
        self.assertEqual((timer.interval, timer.minimum), (400, 300))

    def test_mistakes(self) -> None:
        """Each has its one line."""
        for name, value, expected in (
            ("max-ring", "0", "--max-ring 0 is not a number of seconds between 0.001 and 86400"),
            ("max-ring", "x\x1b", "--max-ring x\\x1b is not a number of seconds"),
            ("reliable", "maybe", "--reliable maybe is neither off nor supported nor required"),
            ("session-timer", "89", "--session-timer 89 is not a whole number of seconds from 90 to 999999"),
            ("session-timer", "on", "--session-timer on is not a whole number of seconds from 90 to 999999, nor off"),
            ("session-timer-least", "1e9", "--session-timer-least 1e9 is not a whole number"),
            ("session-timer-least", "2000", "--session-timer 1800 is less than --session-timer-least 2000"),
        ):
            with self.subTest(value):
                error = self.assertRaises(usage.UsageError, answer_options, USUAL | {name: value})
                self.assertTrue(str(error).startswith(expected), str(error))
        self.assertEqual(reliability(USUAL), "supported")
