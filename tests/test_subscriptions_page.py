"""docs/subscriptions.rst is a program that runs, and says what is so of event packages."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import EventPackage
from tests.manual import ROOT, play

PAGE = ROOT / "docs/subscriptions.rst"


class PageTests(SynchronousTestCase):
    """The chapter on subscriptions."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it. (row:J9)"""
        for number, (said, shown) in enumerate(play(PAGE, {}), 1):
            self.assertEqual(said, shown, f"block {number}")

    def test_package_table(self) -> None:
        """The table names what one says and overrides of a package, with the defaults."""
        table = PAGE.read_text("utf-8").partition("of a package ")[2].partition("Who may know")[0]
        rows = dict(re.findall(r"^``(\w+)`` +(.*)$", table, re.MULTILINE))
        calls = {"changed", "subscribers", "subscribers_of", "terms", "acceptable", "add", "discard"}
        public = {name for name in vars(EventPackage) if not name.startswith("_")}
        self.assertEqual(set(rows), public - calls)
        for name in ("default_expires", "minimum_expires", "maximum_expires", "shortest_interval"):
            self.assertIn(f": {getattr(EventPackage, name):g}", rows[name])
