"""How many NOTIFYs a second 1000 subscribers are told with, what one costs either side, and what a subscription holds.

One party of ours watches another, each in a process of its own, over one connection or over fifty. A change of the
state is told to all; the next one comes when the last of them has answered. Sizes are proportional set sizes (PSS), as
in :mod:`benchmarks.memory`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.memory import settle
from benchmarks.processes import Server, start_python
from benchmarks.report import goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting
from benchmarks.standing import TITLES, Standing, measure_standing, standing_goals, standing_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Goal

__all__ = ["CASES", "Told", "goals", "main", "measure_notifications", "tables"]

CASES = (("tls", 1), ("tls", 50), ("tcp", 1))
"""The transport, and over how many connections the subscribers are spread."""

_WINDOW = 16
_MOST_KIB = 6.0
_FINISHED = 33.0
"""Seconds in which nothing of a transaction over a stream is left."""


@dataclass(slots=True)
class Told:
    """What the changes of one case came to.

    :ivar rate: NOTIFYs a second, in the median of the changes.
    :ivar notifier: CPU microseconds of the notifier for each, from the change to the answer read.
    :ivar subscriber: those of the subscriber, from the NOTIFY to its answer.
    """

    transport: str
    connections: int
    subscribers: int
    count: int
    rate: float
    notifier: float
    subscriber: float


class _Parties:
    """The two processes."""

    def __init__(self, setting: Setting, transport: str, connections: int) -> None:
        trust = ("--trust", str(setting.trust))
        self.notifier = start_python(
            "notifier", "notifier", setting.folder, "--certificate", str(setting.server), *trust
        )
        try:
            where = (transport, str(self.notifier.ports[transport]), "--connections", str(connections))
            own = ("--certificate", str(setting.client), *trust)
            self.subscriber = start_python("subscriber", "subscriber", setting.folder, *where, *own)
        except BaseException:
            self.notifier.stop()
            raise

    @property
    def sides(self) -> tuple[tuple[str, Server], tuple[str, Server]]:
        return ("notifier", self.notifier), ("subscriber", self.subscriber)

    def subscribe(self, count: int) -> None:
        """Make *count* more subscriptions.

        :raises RuntimeError: when one of them failed.
        """
        told = self.subscriber.ask({"window": _WINDOW, "seconds": 0.0, "count": count})
        if told["count"] != count:
            raise RuntimeError(f"of {count} subscriptions {told['count']} came to stand")

    def change(self) -> dict[str, float]:
        """Change the state once, and wait until everybody has answered."""
        return self.notifier.ask({"window": 1, "seconds": 0.0, "count": 1})

    def stop(self) -> None:
        self.subscriber.stop()
        self.notifier.stop()


def measure_notifications(setting: Setting, subscribers: int = 0, held: int = 0) -> tuple[list[Told], list[Standing]]:
    """Every case, and what a subscription costs over mutual TLS.

    :param subscribers: how many, instead of what the setting's scale says; *held* likewise.
    """
    scale = setting.scale
    told = [_told(setting, transport, connections, subscribers or scale.watchers) for transport, connections in CASES]
    return told, _held(setting, held or scale.watched)


def _told(setting: Setting, transport: str, connections: int, subscribers: int) -> Told:
    parties = _Parties(setting, transport, connections)
    try:
        parties.subscribe(subscribers)
        parties.change()
        rates, ours, theirs, count = [], [], [], 0
        for _ in range(setting.scale.rounds):
            began, used = time.perf_counter(), cpu_seconds(parties.subscriber.pids())
            told = parties.change()
            took = time.perf_counter() - began
            rates.append(told["count"] / took)
            ours.append(told["cpu"] / told["count"] * 1e6)
            theirs.append((cpu_seconds(parties.subscriber.pids()) - used) / told["count"] * 1e6)
            count += int(told["count"])
        return Told(transport, connections, subscribers, count, median(rates), median(ours), median(theirs))
    finally:
        parties.stop()


def _held(setting: Setting, count: int) -> list[Standing]:
    is_short = not setting.scale.seconds
    parties = _Parties(setting, "tls", 1)

    def rest() -> None:
        if not is_short:
            time.sleep(_FINISHED)
            for _, side in parties.sides:
                settle(side)

    try:
        return measure_standing(parties.sides, "tls", count, parties.subscribe, rest)
    finally:
        parties.stop()


def tables(told: Sequence[Told], held: Sequence[Standing]) -> str:
    """What telling costs, and what a subscription holds."""
    columns = ("one change to all", "subscribers", "a second", "CPU us, notifier", "CPU us, subscriber", "NOTIFYs")
    rows = [
        (
            f"{TITLES[each.transport]}, {each.connections} connection{'s' * (each.connections > 1)}",
            f"{each.subscribers:,}",
            f"{each.rate:,.0f}",
            f"{each.notifier:.0f}",
            f"{each.subscriber:.0f}",
            f"{each.count:,}",
        )
        for each in told
    ]
    first = table("NOTIFYs of a state of 350 octets", columns, rows)
    return first + "\n" + standing_table("Subscriptions", "one subscription", held)


def goals(held: Sequence[Standing]) -> list[Goal]:
    """At most 6 KiB for a subscription."""
    return standing_goals("a subscription", held, _MOST_KIB)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notifications", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer subscribers and changes")
    parser.add_argument("--subscribers", type=int, default=0, help="who is told of each change")
    parser.add_argument("--held", type=int, default=0, help="subscriptions that are held")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        told, held = measure_notifications(setting, options.subscribers, options.held)
    print(tables(told, held))
    print(goals_table(goals(held)))


if __name__ == "__main__":
    main()
