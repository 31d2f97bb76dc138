"""What it costs a service to look at the wire: CPU for each MESSAGE with each way of looking, and with none.

Each is a service of its own, ``twistd sip-p2p`` with the application ``log``, and answers the same requests in turns.
``nothing`` runs twice: by how much the two differ is what the machine cannot tell apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.exchange import CASES, Figures
from benchmarks.plan import Plan, Target
from benchmarks.processes import measure
from benchmarks.report import machine, table
from benchmarks.service import start_service
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.processes import Server

__all__ = ["BEFORE", "KINDS", "main", "measure_looking", "tables"]

KINDS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "nothing again": (),
    "--record 64": ("--record", "64"),
    "--http": ("--http", "{http}"),
    "--transaction-log": ("--transaction-log",),
    "--trace": ("--trace", "{folder}/trace.jsonl"),
    "--pcapng": ("--pcapng", "{folder}/trace.pcapng"),
    "--trace --pcapng --http": (
        "--trace", "{folder}/trace.jsonl", "--pcapng", "{folder}/trace.pcapng", "--http", "{http}",
    ),
}  # fmt: skip
"""The options of each service."""

BEFORE = "another checkout"
"""What a service of another checkout, with none of these options, is called."""

_CASES = tuple(case for case in CASES if case.name in ("1x64", "50x1"))


def measure_looking(setting: Setting, kinds: Sequence[str] = tuple(KINDS), before: Path | None = None) -> list[Figures]:
    """Start a service of each kind, and put either load on all of them.

    :param before: another checkout, whose service takes part as well.
    """
    running: list[Server] = []
    scale = setting.scale
    figures = []
    try:
        for name in kinds:
            running.append(start_service(name, setting, "--application", "log", *KINDS[name]))
        if before is not None:
            running.append(start_service(BEFORE, setting, "--application", "log", root=before))
        for case in _CASES:
            plan = Plan(
                "tls",
                [Target(str(at), each.ports["tls"], each.pids()) for at, each in enumerate(running)],
                connections=case.connections,
                window=case.window,
                seconds=scale.seconds,
                count=scale.count,
                rounds=scale.rounds,
                certificate=str(setting.client),
                trust=str(setting.trust),
            )
            results = measure(plan)
            named = {each.name: result for each, result in zip(running, results, strict=True)}
            figures.append(Figures("tls", case, named))
    finally:
        for server in running:
            server.stop()
    return figures


def tables(figures: Sequence[Figures]) -> str:
    """One row for each kind: microseconds, and how many times what it costs to look at nothing."""
    names = list(figures[0].results)
    columns = ["CPU microseconds a MESSAGE", *(part for each in figures for part in (each.case.title, "ratio"))]
    rows = [[name, *(cell for each in figures for cell in _cells(each, name))] for name in names]
    return table("A service that looks, mutual TLS", columns, rows, "ratio: to the first row")


def _cells(figures: Figures, name: str) -> tuple[str, str]:
    cpu, ratio = figures.cpu(name), figures.ratio(name, next(iter(figures.results)))
    return "-" if cpu is None else f"{cpu:.1f}", "-" if ratio is None else f"{ratio:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.looking", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one; may be repeated")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of another version")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        print(tables(measure_looking(setting, options.kind or tuple(KINDS), options.before)))


if __name__ == "__main__":
    main()
