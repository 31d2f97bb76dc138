"""docs/presence.rst is a program that runs, and says what is so."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.manual import ROOT, play

PAGE = ROOT / "docs/presence.rst"


class PageTests(SynchronousTestCase):
    """The chapter on presence, mailboxes, calls and PUBLISH."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it. (row:J11, row:J12)"""
        for number, (said, shown) in enumerate(play(PAGE, {}), 1):
            self.assertEqual(said, shown, f"block {number}")
