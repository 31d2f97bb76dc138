"""How we answer, as somebody may say it and as not."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.answer_options import RELIABILITY, AnswerOptions
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings


class AnswerOptionsTests(SynchronousTestCase):
    """What can be asked for."""

    def test_defaults(self) -> None:
        """13.3.1.1: each minute something is said; a call that nobody decides on ends after ten. row:H8"""
        options = AnswerOptions()
        self.assertEqual((options.reliable, options.refresh, options.max_ring), ("supported", 60.0, 600.0))
        self.assertEqual(options.session_timer.interval, 1800)
        self.assertIs(AnswerOptions().session_timer, options.session_timer)

    def test_what_can_be_said(self) -> None:
        """Each policy goes by its name, times are seconds, and a call may ring for ever. row:H9"""
        timer = SessionTimerSettings(interval=None)
        for reliable in RELIABILITY:
            options = AnswerOptions(reliable, 5, math.inf, timer)
            self.assertEqual((options.reliable, options.refresh, options.max_ring), (reliable, 5.0, math.inf))
            self.assertIs(options.session_timer, timer)

    def test_what_cannot(self) -> None:
        """Another policy, and a time that is none, are refused at once."""
        for wrong in (
            {"reliable": "always"},
            {"reliable": ""},
            {"refresh": 0.0},
            {"refresh": -1.0},
            {"refresh": math.inf},
            {"refresh": math.nan},
            {"max_ring": 0.0},
            {"max_ring": -1.0},
            {"max_ring": math.nan},
        ):
            self.assertRaises(ValueError, AnswerOptions, **wrong)
