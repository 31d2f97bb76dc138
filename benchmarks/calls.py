"""A call, set up and taken down: INVITE with an offer, 180, 200 with an answer, ACK, BYE, 200.

What it costs the called side, against a load generator, and the calling side, against the floor; each beside a floor
that says the same without SIP: it finds messages, copies what has to be repeated, and neither checks, keeps nor times
anything. All take turns, as in :mod:`benchmarks.exchange`; a ratio is the median over the rounds of the ratio within a
round.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.plan import Plan, Target
from benchmarks.processes import Server, measure, start_python
from benchmarks.report import machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["SIDES", "TRANSPORTS", "WINDOWS", "CallFigures", "main", "measure_calls", "tables"]

TRANSPORTS = ("tls", "tcp", "udp")
SIDES = ("called", "calling")
WINDOWS = (1, 16)
"""Calls that are under way at a time, on one connection."""
_TITLES = {"tls": "mutual TLS", "tcp": "TCP", "udp": "UDP"}
# A call has four times the messages of a MESSAGE: turns are longer, so that several fit in.
_LONGER = 2


@dataclass(slots=True)
class CallFigures:
    """The turns of one side over one transport.

    :ivar cpu: CPU microseconds of that side for each call, turn by turn, by ``floor`` and ``ours``.
    :ivar counts: how many calls these were.
    """

    side: str
    transport: str
    window: int
    cpu: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios of ours to the floor."""
        pairs = [(ours, floor) for ours, floor in zip(self.cpu["ours"], self.cpu["floor"], strict=False) if floor]
        return median(ours / floor for ours, floor in pairs) if pairs else None


def measure_calls(
    setting: Setting, transports: Sequence[str] = TRANSPORTS, sides: Sequence[str] = SIDES
) -> list[CallFigures]:
    """Every side over every transport with every window."""
    found: list[CallFigures] = []
    for transport in transports:
        if "called" in sides:
            found += _called(setting, transport)
        if "calling" in sides:
            found += _calling(setting, transport)
    return found


def _keys(certificate: Path, setting: Setting) -> tuple[str, ...]:
    return "--certificate", str(certificate), "--trust", str(setting.trust)


def _called(setting: Setting, transport: str) -> list[CallFigures]:
    """The floor and ours are called by the load generator."""
    scale = setting.scale
    keys = _keys(setting.server, setting)
    running: list[Server] = []
    found = []
    try:
        running.append(start_python("floor", "floor", setting.folder, *keys, "--calls"))
        # A machine that has other things to do makes it late, and that is not what is measured.
        running.append(start_python("ours", "server", setting.folder, *keys, "--overload-lag", "0"))
        for window in WINDOWS:
            results = measure(
                Plan(
                    transport=transport,
                    targets=[Target(server.name, server.ports[transport], server.pids()) for server in running],
                    window=window,
                    seconds=scale.seconds * _LONGER,
                    count=scale.count,
                    rounds=scale.rounds,
                    calls=True,
                    certificate=str(setting.client),
                    trust=str(setting.trust),
                )
            )
            figures = CallFigures("called", transport, window)
            for result in results:
                figures.cpu[result.name] = result.cpu
                figures.counts[result.name] = result.count
            found.append(figures)
    finally:
        for server in running:
            server.stop()
    return found


def _calling(setting: Setting, transport: str) -> list[CallFigures]:
    """The floor and ours call the floor."""
    scale = setting.scale
    running: list[Server] = []
    found = [CallFigures("calling", transport, window) for window in WINDOWS]
    try:
        running.append(
            start_python("callee", "floor", setting.folder, *_keys(setting.server, setting), "--calls", "--whole")
        )
        port = str(running[0].ports[transport])
        keys = _keys(setting.client, setting)
        running.append(start_python("floor", "floor_caller", setting.folder, transport, port, *keys))
        running.append(start_python("ours", "sender", setting.folder, transport, port, *keys, "--calls"))
        for number in range(scale.rounds + 1):
            for figures in found:
                for caller in running[1:]:
                    told = caller.ask(
                        {"window": figures.window, "seconds": scale.seconds * _LONGER, "count": scale.count}
                    )
                    # The first turn makes the connection.
                    if number and told["count"]:
                        cpu = figures.cpu.setdefault(caller.name, [])
                        cpu.append(told["cpu"] / told["count"] * 1e6)
                        figures.counts[caller.name] = figures.counts.get(caller.name, 0) + int(told["count"])
    finally:
        for server in reversed(running):
            server.stop()
    return found


def tables(figures: Sequence[CallFigures]) -> str:
    """One row for each side, transport and window."""
    columns = ("CPU microseconds a call", "floor", "ours", "half of the turns", "ours/floor", "calls")
    rows = []
    for each in figures:
        ours = sorted(each.cpu["ours"])
        ratio = each.ratio
        rows.append((
            f"{each.side}, {_TITLES[each.transport]}, {each.window} under way",
            f"{median(each.cpu['floor']):.0f}",
            f"{median(ours):.0f}",
            f"{ours[len(ours) // 4]:.0f} to {ours[len(ours) * 3 // 4]:.0f}",
            "-" if ratio is None else f"{ratio:.1f}",
            f"{each.counts['ours']:,}",
        ))  # fmt: skip
    return table("Calls, set up and taken down", columns, rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="only this one; may be repeated")
    parser.add_argument("--side", action="append", choices=SIDES, help="likewise")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        figures = measure_calls(setting, options.transport or TRANSPORTS, options.side or SIDES)
    print(tables(figures))


if __name__ == "__main__":
    main()
