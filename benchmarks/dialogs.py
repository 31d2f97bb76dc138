"""What a dialog costs while it stands, on both sides, and that calls leave nothing behind.

One party of ours calls another, each in a process of its own, over one connection. Sizes are proportional set sizes
(PSS), as in :mod:`benchmarks.memory`. T1 is shorter than by default, so that what a transaction holds for 64*T1 is gone
when a dialog is measured, and within the run when calls follow each other.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from benchmarks.memory import Growth, growth_goals, growth_table, pss, settle
from benchmarks.processes import Server, start_python
from benchmarks.report import goals_table, machine
from benchmarks.setting import FULL, QUICK, Setting
from benchmarks.standing import TITLES, Standing, measure_standing, standing_goals, standing_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.report import Goal

__all__ = ["goals", "main", "measure_dialogs", "tables"]

_WINDOW = 8
_T1 = 0.1
_SAMPLES = 6
_MOST_KIB = 8.0
_MOST_OCTETS = 32.0
_MOST_BLOCKS = 0.05
_ENOUGH = 50_000


class _Parties:
    """The two processes."""

    def __init__(self, setting: Setting, transport: str) -> None:
        trust = ("--trust", str(setting.trust), "--t1", str(_T1))
        # A machine that has other things to do makes it late, and that is not what is measured.
        patient = ("--overload-lag", "0", *trust)
        self.called = start_python("called", "server", setting.folder, "--certificate", str(setting.server), *patient)
        try:
            port = str(self.called.ports[transport])
            own = ("--certificate", str(setting.client), *trust)
            self.calling = start_python("calling", "sender", setting.folder, transport, port, *own, "--calls")
        except BaseException:
            self.called.stop()
            raise

    @property
    def sides(self) -> tuple[tuple[str, Server], tuple[str, Server]]:
        return ("calling", self.calling), ("called", self.called)

    def call(self, count: int, hold: bool) -> None:
        """Make *count* calls.

        :raises RuntimeError: when one of them failed.
        """
        told = self.calling.ask({"window": _WINDOW, "seconds": 0.0, "count": count, "hold": float(hold)})
        if told["count"] != count:
            raise RuntimeError(f"of {count} calls {told['count']} were made")

    def rest(self, is_short: bool) -> None:
        """Wait until the transactions of the last calls are gone, and nothing is left to do."""
        if not is_short:
            time.sleep(64 * _T1 + 0.3)
            for _, side in self.sides:
                settle(side)

    def stop(self) -> None:
        self.calling.stop()
        self.called.stop()


def measure_dialogs(
    setting: Setting, transports: Sequence[str] = ("tls", "tcp"), count: int = 0, calls: int = 0
) -> tuple[list[Standing], list[Growth]]:
    """Dialogs that are held over each of *transports*, and growth over calls that end, over the first.

    :param count: how many dialogs, instead of what the setting's scale says; *calls* likewise.
    """
    held: list[Standing] = []
    for transport in transports:
        held += _held(setting, transport, count or setting.scale.dialogs)
    return held, _growth(setting, transports[0], calls or setting.scale.calls)


def _held(setting: Setting, transport: str, count: int) -> list[Standing]:
    is_short = not setting.scale.seconds
    parties = _Parties(setting, transport)
    try:
        return measure_standing(
            parties.sides,
            transport,
            count,
            lambda more: parties.call(more, hold=True),
            lambda: parties.rest(is_short),
        )
    finally:
        parties.stop()


def _growth(setting: Setting, transport: str, calls: int) -> list[Growth]:
    is_short = not setting.scale.seconds
    parties = _Parties(setting, transport)
    looks: dict[str, list[tuple[int, int]]] = {name: [] for name, _ in parties.sides}
    try:
        for _ in range(_SAMPLES):
            parties.call(max(1, calls // _SAMPLES), hold=False)
            parties.rest(is_short)
            # What has run out is forgotten at the latest when the next request comes.
            parties.call(1, hold=False)
            for name, side in parties.sides:
                looks[name].append((pss(side), side.blocks()))
    finally:
        parties.stop()
    first = 1
    return [
        Growth(
            f"{TITLES[transport]}, {name}",
            calls,
            calls / _SAMPLES,
            [size for size, _ in seen[first:]],
            (seen[first][1], seen[-1][1]),
        )
        for name, seen in looks.items()
    ]


def tables(held: Sequence[Standing], growth: Sequence[Growth]) -> str:
    """What a dialog costs, and the sizes over many calls."""
    first = standing_table("Established dialogs", "one dialog", held)
    return first + "\n" + growth_table("Growth over calls", "calls, set up and taken down", growth)


def goals(held: Sequence[Standing], growth: Sequence[Growth]) -> list[Goal]:
    """At most 8 KiB for a dialog, and no growth."""
    return standing_goals("a dialog", held, _MOST_KIB) + growth_goals(
        "calls", growth, _ENOUGH, _MOST_OCTETS, _MOST_BLOCKS
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialogs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer dialogs and calls")
    parser.add_argument("--count", type=int, default=0, help="dialogs that are held")
    parser.add_argument("--calls", type=int, default=0, help="calls over which neither side must grow")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        held, growth = measure_dialogs(setting, count=options.count, calls=options.calls)
    print(tables(held, growth))
    print(goals_table(goals(held, growth)))


if __name__ == "__main__":
    main()
