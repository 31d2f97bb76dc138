"""Tests of :mod:`sip_p2p.sip.registration.recovery`."""

from __future__ import annotations

import math

from sip_p2p.sip.registration.recovery import FlowRecovery
from sip_p2p.sip.tokens import CountingTokens
from tests.support import SynchronousTestCase


class FlowRecoveryTests(SynchronousTestCase):
    """How long to wait."""

    def test_table(self) -> None:
        """The bounds are those of RFC 5626 section 4.5 and appendix A, with and without another flow."""
        tokens = CountingTokens()
        recovery = FlowRecovery()
        for has_others, uppers in (
            (False, (0, 60, 120, 240, 480, 960, 1800, 1800)),
            (True, (0, 180, 360, 720, 1440, 1800, 1800)),
        ):
            for failures, upper in enumerate(uppers):
                for _ in range(50):
                    wait = recovery.wait(failures, has_others, tokens)
                    self.assertTrue(upper / 2 <= wait <= upper, (failures, wait))

    def test_chance(self) -> None:
        """Two that fail at once do not come back at once."""
        tokens = CountingTokens()
        self.assertEqual(len({FlowRecovery().wait(1, False, tokens) for _ in range(100)}), 100)

    def test_many_failures(self) -> None:
        """However often it has failed, it is a number."""
        self.assertLessEqual(FlowRecovery().wait(10**9, False, CountingTokens()), 1800)

    def test_bounds(self) -> None:
        """A time that is none is refused."""
        for wrong in (0, -1, 86401, math.nan, math.inf):
            for name in ("base", "base_with_others", "longest", "stable"):
                self.assertRaises(ValueError, FlowRecovery, **{name: wrong})
