"""Adds up what trial said at the end of each suite: ``N passed, N failed, N skipped``.

::

    python tools/totals.py LOG...

A log without trial's closing lines counts as one failure: the suite did not get to its end. The exit code is 1 when
anything failed or nothing ran.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["main", "totals"]

CLOSING = re.compile(r"^Ran (\d+) tests in .*\n\n(?:PASSED|FAILED)(?: \((.*)\))?$", re.ASCII | re.MULTILINE)
PASSED = ("successes", "expectedFailures")
SKIPPED = ("skips",)


def totals(log: str) -> tuple[int, int, int]:
    """How many tests of one suite passed, failed and were skipped."""
    closings = list(CLOSING.finditer(log))
    if not closings:
        return 0, 1, 0
    counts = dict.fromkeys(("successes", "expectedFailures", "failures", "errors", "unexpectedSuccesses", "skips"), 0)
    for item in filter(None, (closings[-1][2] or "").split(", ")):
        name, _, number = item.partition("=")
        counts[name] += int(number)
    passed = sum(counts[name] for name in PASSED)
    skipped = sum(counts[name] for name in SKIPPED)
    return passed, sum(counts.values()) - passed - skipped, skipped


def main(paths: list[str]) -> int:
    """Print each suite's figures, then the sum of all alone on the last line."""
    sums = (0, 0, 0)
    for path in map(Path, paths):
        figures = totals(path.read_text("utf-8", "replace") if path.exists() else "")
        print(f"{path.stem:12} {figures[0]} of {sum(figures)} passed")
        sums = (sums[0] + figures[0], sums[1] + figures[1], sums[2] + figures[2])
    print(f"{sums[0]} passed, {sums[1]} failed, {sums[2]} skipped")
    return 1 if sums[1] or not sums[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
