"""Tables, goals, and what the figures were measured on."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

from OpenSSL import SSL

from benchmarks.processes import processors

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Goal", "goals_table", "machine", "speed", "table"]


@dataclass(slots=True)
class Goal:
    """A figure with a bound.

    :ivar measured: what came out, or None where it could not be measured; then *why* says what was missing.
    :ivar at_most: the largest value that meets the goal.
    """

    name: str
    measured: float | None
    at_most: float
    unit: str
    why: str = ""

    @property
    def verdict(self) -> str:
        """``met``, ``missed`` or why there is no verdict."""
        if self.measured is None:
            return f"not measured: {self.why}"
        return "met" if self.measured <= self.at_most else "missed"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: str = "") -> str:
    """A plain table: the first column to the left, the others to the right."""
    widths = [max(len(column), *(len(row[at]) for row in rows)) for at, column in enumerate(columns)]
    lines = ["", title, "=" * len(title)]
    for cells in (columns, ["-" * width for width in widths], *rows):
        padded = [
            cells[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
        ]
        lines.append("  ".join(padded).rstrip())
    if notes:
        lines.append(notes)
    return "\n".join(lines)


def goals_table(goals: Sequence[Goal]) -> str:
    """What was to be reached beside what was measured."""
    rows = [
        (
            goal.name,
            f"{goal.at_most:g} {goal.unit}".strip(),
            "-" if goal.measured is None else f"{goal.measured:.3g} {goal.unit}".strip(),
            goal.verdict,
        )
        for goal in goals
    ]
    return table("Goals", ("figure", "at most", "measured", "verdict"), rows)


def machine() -> str:
    """The machine and the versions that the figures belong to."""
    model = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), model)
    except OSError:
        model = platform.processor() or model
    packages = ", ".join(f"{name} {version(name)}" for name in ("Twisted", "pyOpenSSL", "cryptography"))
    library = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode()
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{model}, {processors()} processors, {platform.system()} {platform.release()}\n"
        f"{interpreter}, {packages}, {library}"
    )


def speed() -> str:
    """How fast a fixed piece of Python runs just now, and how much that varies: on a shared machine it does."""
    times = sorted(_fixed_work() for _ in range(30))
    return f"a fixed loop takes {times[0]:.1f} to {times[-1]:.1f} ms, median {median(times):.1f}"


def _fixed_work() -> float:
    began = time.process_time()
    total = 0
    for number in range(200_000):
        total += number
    return (time.process_time() - began) * 1e3
