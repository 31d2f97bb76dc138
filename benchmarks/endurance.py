"""UDP for longer than transactions last: a steady rate of MESSAGEs, none lost, with every finished transaction held for
its 32 seconds."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.memory import pss
from benchmarks.processes import ROOT, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from benchmarks.setting import Scale

__all__ = ["Endured", "goals", "main", "measure_endurance", "tables"]

_TIMER_J = 32.0


@dataclass(slots=True)
class Endured:
    """What came of it.

    :ivar cpu: the server's CPU microseconds for each request.
    :ivar octets: by how much the server has grown for each transaction that it held at the end.
    :ivar told: what the load generator counted.
    """

    rate: float
    seconds: float
    cpu: float
    octets: float
    told: dict[str, float]


def measure_endurance(setting: Setting, rate: float | None = None) -> Endured:
    """Put the load of the setting's scale on a fresh server, or as much at another *rate*."""
    scale: Scale = setting.scale
    rate = scale.rate if rate is None else rate
    keys = ("--certificate", str(setting.server), "--trust", str(setting.trust))
    server = start_python("ours", "server", setting.folder, *keys)
    try:
        before, cpu = pss(server), cpu_seconds(server.pids())
        command = [sys.executable, "-m", "benchmarks.paced", str(server.ports["udp"])]
        command += ["--rate", str(rate), "--seconds", str(scale.paced_seconds)]
        limit = scale.paced_seconds + 60
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
        if done.returncode:
            raise RuntimeError(f"the load generator failed: {done.stderr[-3000:]}")
        told = json.loads(done.stdout)
        held = rate * min(scale.paced_seconds, _TIMER_J)
        cpu = (cpu_seconds(server.pids()) - cpu) / max(1, told["answered"]) * 1e6
        return Endured(rate, scale.paced_seconds, cpu, (pss(server) - before) / held, told)
    finally:
        server.stop()


def tables(endured: Endured) -> str:
    """The figures as one table."""
    told = endured.told
    rows = [
        ("MESSAGEs sent, answered", f"{told['sent']:,.0f}, {told['answered']:,.0f}"),
        ("sent again after half a second", f"{told['resent']:,.0f}"),
        ("p50/p99/worst, ms", f"{told['median']:.2f}/{told['tail']:.1f}/{told['worst']:.0f}"),
        ("CPU microseconds each", f"{endured.cpu:.1f}"),
        ("KiB for each transaction that is held", f"{endured.octets / 1024:.2f}"),
        ("answers of the last 30 s given again", f"{told['held']:.0f} of {told['looked_for']:.0f}"),
        ("CPU of the load generator, of one core", f"{told['generator']:.2f}"),
    ]
    title = f"UDP, {endured.rate:,.0f} a second for {endured.seconds:g} s"
    return table(title, ("", "measured"), rows)


def goals(endured: Endured) -> list[Goal]:
    """Nothing is lost, and what was answered is held."""
    told = endured.told
    name = f"UDP, {endured.rate:,.0f}/s for {endured.seconds:g} s"
    return [
        Goal(f"{name}: without an answer", told["sent"] - told["answered"], 0, ""),
        Goal(f"{name}: answers no longer held", told["looked_for"] - told["held"], 0, ""),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.endurance", description=__doc__)
    parser.add_argument("--rate", type=float, help="another rate, requests a second")
    parser.add_argument("--quick", action="store_true", help="for a shorter time")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        endured = measure_endurance(setting, options.rate)
    print(tables(endured))
    print(goals_table(goals(endured)))


if __name__ == "__main__":
    main()
