"""Messages through an outbox: each is in a file on disk, synchronised, before it is sent, and marked there when it was.

One party of ours sends to another over mutual TLS, each in a process of its own. How many a second depends above all on
what the disk needs to have something written for good, so a file of SQLite's is written to as often beside it, with
nothing else done.
"""

from __future__ import annotations

import argparse
import sqlite3
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.processes import Server, start_python
from benchmarks.report import machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["WINDOWS", "Kept", "main", "measure_keeping", "tables"]

WINDOWS = (1, 16, 64)
"""Messages under way at a time, to 64 addresses in turn."""

_LONGER = 10
_COMMITS = 200


@dataclass(slots=True)
class Kept:
    """What came of one window.

    :ivar rate: messages a second, from the call to the delivery.
    :ivar cpu: CPU microseconds of the sender for each.
    """

    window: int
    count: int
    rate: float
    cpu: float


def measure_keeping(setting: Setting) -> tuple[list[Kept], float]:
    """Every window; and how many commits a second the disk takes."""
    trust = ("--trust", str(setting.trust))
    server = start_python(
        "server", "server", setting.folder, "--certificate", str(setting.server), *trust, "--overload-lag", "0"
    )
    try:
        where = (str(server.ports["tls"]), str(setting.folder / "outbox.sqlite"))
        keeper = start_python("keeper", "keeper", setting.folder, *where, "--certificate", str(setting.client), *trust)
        try:
            found = [_turns(setting, keeper, window) for window in WINDOWS]
        finally:
            keeper.stop()
    finally:
        server.stop()
    return found, _commits(setting.folder / "commits.sqlite")


def _turns(setting: Setting, keeper: Server, window: int) -> Kept:
    scale = setting.scale
    rates, cpu, count = [], [], 0
    for number in range(max(2, scale.rounds // 4)):
        began = time.perf_counter()
        told = keeper.ask({"window": window, "seconds": scale.seconds * _LONGER, "count": scale.count})
        took = time.perf_counter() - began
        if number:
            rates.append(told["count"] / took)
            cpu.append(told["cpu"] / told["count"] * 1e6)
            count += int(told["count"])
    return Kept(window, count, median(rates), median(cpu))


def _commits(path: Path) -> float:
    """Commits a second of one row each, synchronised as those of the outbox are."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE kept (text TEXT)")
        began = time.perf_counter()
        for _ in range(_COMMITS):
            connection.execute("INSERT INTO kept VALUES (?)", ("x" * 400,))
        return _COMMITS / (time.perf_counter() - began)
    finally:
        connection.close()


def tables(kept: Sequence[Kept], commits: float) -> str:
    """One row for each window."""
    rows = [(f"{each.window} under way", f"{each.rate:,.0f}", f"{each.cpu:.0f}", f"{each.count:,}") for each in kept]
    found = table("Messages through an outbox", ("", "a second", "CPU us, sender", "messages"), rows)
    return f"{found}\nSQLite alone commits {commits:,.0f} times a second here."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keeping", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        kept, commits = measure_keeping(setting)
    print(tables(kept, commits))


if __name__ == "__main__":
    main()
