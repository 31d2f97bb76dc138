"""``--workers``: messages a second of one process, and of several that share the port.

Two load generators keep many connections busy, so that none of them is what limits the rate while there is a processor
left for it. On a machine with two processors the load takes its part of them: with two workers everything competes.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.plan import Plan, Target
from benchmarks.processes import measure, processors
from benchmarks.report import machine, table
from benchmarks.service import start_service
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["WORKERS", "Shared", "main", "measure_workers", "tables"]

WORKERS = (1, 2)
_GENERATORS = 2
_CONNECTIONS = 16
_WINDOW = 8


@dataclass(slots=True)
class Shared:
    """What came of so many workers; 1 is a service without ``--workers``.

    :ivar rate: MESSAGEs a second, all generators together.
    :ivar cpu: CPU microseconds of the service for each, all its processes together.
    :ivar busiest: which part of that the busiest process used.
    :ivar generator: which part of a core a generator used.
    :ivar tail: the 99th percentile of the time to the answer, in milliseconds.
    """

    workers: int
    count: int
    rate: float
    cpu: float
    busiest: float
    generator: float
    median: float
    tail: float


def measure_workers(setting: Setting) -> list[Shared]:
    """Put the same load on services with so many workers."""
    return [_measured(setting, workers) for workers in WORKERS]


def _measured(setting: Setting, workers: int) -> Shared:
    scale = setting.scale
    # A parent, which only looks after the others, is one more.
    own, count = ((), 1) if workers == 1 else (("--workers", str(workers)), workers + 1)
    service = start_service(f"workers-{workers}", setting, "--application", "log", *own, processes=count)
    try:
        plan = Plan(
            "tls", [Target("ours", service.ports["tls"], service.pids())], connections=_CONNECTIONS, window=_WINDOW,
            # One long turn: the generators do not wait for each other.
            seconds=scale.seconds * scale.rounds, count=scale.count * _CONNECTIONS, rounds=1,
            certificate=str(setting.client), trust=str(setting.trust),
        )  # fmt: skip
        pids = service.pids()
        before = [cpu_seconds([pid]) for pid in pids]
        with ThreadPoolExecutor(_GENERATORS) as pool:
            results = [result for (result,) in pool.map(measure, [plan] * _GENERATORS)]
        used = [cpu_seconds([pid]) - was for pid, was in zip(pids, before, strict=True)]
        done = sum(result.count for result in results)
        # Each generator charges the service with what the other one's messages cost as well.
        cpu = median(result.cpu[0] * result.count / done for result in results)
        return Shared(
            workers,
            done,
            sum(result.rate for result in results),
            cpu,
            max(used) / (sum(used) or 1.0),
            max(result.generator for result in results),
            median(result.median for result in results),
            max(result.tail for result in results),
        )
    finally:
        service.stop()


def tables(found: Sequence[Shared]) -> str:
    """One row for each number of workers."""
    rows = [
        (
            f"{each.workers}",
            f"{each.rate:,.0f}",
            f"{each.rate / found[0].rate:.2f}",
            f"{each.cpu:.0f}",
            f"{each.busiest:.2f}",
            f"{each.generator:.2f}",
            f"{each.median:.1f}/{each.tail:.1f}",
        )
        for each in found
    ]
    columns = ("workers", "a second", "of one", "CPU us a MESSAGE", "busiest", "generator's core", "p50/p99 ms")
    title = f"MESSAGE over mutual TLS, {_GENERATORS * _CONNECTIONS} connections, {_WINDOW} in flight on each"
    return table(title, columns, rows, f"{_GENERATORS} load generators and the service on {processors()} processors")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter turns")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        print(tables(measure_workers(setting)))


if __name__ == "__main__":
    main()
