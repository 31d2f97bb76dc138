"""docs/limits.rst and the classes that hold the limits."""

from __future__ import annotations

import re
import sys

from sip_p2p import Limits, MessageLimits
from sip_p2p.endpoint.accounts import COUNTED_LIMITS
from tests.manual import ROOT
from tests.support import SynchronousTestCase

sys.path.insert(0, str(ROOT / "tools"))

import limits_table  # type: ignore[import-not-found]


class LimitsTableTests(SynchronousTestCase):
    """The page and the classes say the same."""

    def test_as_written(self) -> None:
        """The page is what the classes yield; ``python tools/limits_table.py`` writes it (row:E21)."""
        self.assertEqual((ROOT / "docs/limits.rst").read_text("utf-8"), limits_table.page())
        self.assertEqual(limits_table.main(["--check"]), 0)

    def test_complete(self) -> None:
        """Every limit has a row, and every metric is one (row:E21, row:M10)."""
        page = limits_table.page()
        rows = re.findall(r"^   \* - ``(\w+)``$", page, re.MULTILINE)
        self.assertEqual(sorted(rows), sorted({*Limits.__slots__, *MessageLimits.__slots__}))
        self.assertEqual(set(re.findall(r"^     - ``limit_(\w+)``$", page, re.MULTILINE)), set(COUNTED_LIMITS))
