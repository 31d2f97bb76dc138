"""The chapter on texts runs as it stands."""

from __future__ import annotations

from typing import Any

from tests.endpoint.messaging.databases import NowDatabase
from tests.manual import ROOT, play
from tests.support import SynchronousTestCase

EPOCH = 1_800_000_000.0


class MessagingPageTests(SynchronousTestCase):
    """docs/messaging.rst."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it (row:F1, row:F13)."""
        names: dict[str, Any] = {}
        names["options"] = {
            "database": NowDatabase(),
            "wall_clock": lambda: EPOCH + names["network"].seconds(),
        }
        for number, (said, shown) in enumerate(play(ROOT / "docs/messaging.rst", names), 1):
            self.assertEqual(said, shown, f"block {number}")
