"""docs/transfer.rst: its program runs as it stands there, and says what stands below."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.manual import ROOT, play

OPAQUE = re.compile(r"carol-[0-9a-f]{12}@")


class TransferPageTests(SynchronousTestCase):
    """The page on transfer."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it. (row:I1, row:I9)"""
        for number, (said, shown) in enumerate(play(ROOT / "docs/transfer.rst", {}), 1):
            self.assertEqual(OPAQUE.sub("carol-x@", said), OPAQUE.sub("carol-x@", shown), f"block {number}")
