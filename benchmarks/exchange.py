"""MESSAGE request to 200: what the server's CPU pays for it, how many a second, how long one takes.

Several servers, each in its own process, answer the same requests in turns: the floor, ours, ours over Twisted's own
TLS protocol, and Kamailio where it is installed. A ratio is the median over the rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks import kamailio
from benchmarks.plan import Plan, Result, Target
from benchmarks.processes import Server, measure, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CASES", "SERVERS", "TRANSPORTS", "Case", "Figures", "goals", "main", "measure_exchanges", "tables"]

TRANSPORTS = ("tls", "tcp", "udp")
SERVERS = ("floor", "ours", "stock", "seen", "Kamailio")
"""The servers; ``stock`` is ours over Twisted's own TLS protocol, ``seen`` ours with all that a service looks with
under ``--http``: the record, the watch and the figures."""
_TITLES = {"tls": "mutual TLS", "tcp": "TCP", "udp": "UDP"}
_RATIOS = (
    ("ours", "floor"),
    ("ours", "Kamailio"),
    ("ours", "stock"),
    ("ours", "before"),
    ("seen", "ours"),
    ("Kamailio", "floor"),
)
_SATURATED = 0.9


@dataclass(frozen=True, slots=True)
class Case:
    """How the load is put on: *connections* with *window* requests in flight on each."""

    name: str
    title: str
    connections: int
    window: int
    reconnect: bool = False


CASES = (
    Case("1x1", "1 connection, 1 in flight", 1, 1),
    Case("1x16", "1 connection, 16 in flight", 1, 16),
    Case("1x64", "1 connection, 64 in flight", 1, 64),
    Case("50x1", "50 connections, 1 in flight each", 50, 1),
    Case("new", "a new connection for each, 8 at a time", 8, 1, True),
)


@dataclass(slots=True)
class Figures:
    """The results of one case over one transport, by server."""

    transport: str
    case: Case
    results: dict[str, Result]

    def cpu(self, server: str) -> float | None:
        """The median CPU time of a transaction in microseconds, or None where *server* was not there."""
        result = self.results.get(server)
        return None if result is None else median(result.cpu)

    def ratio(self, over: str, under: str) -> float | None:
        """The median of the rounds' ratios of CPU time; None where one was not there, or was too short to time."""
        if over not in self.results or under not in self.results:
            return None
        pairs = zip(self.results[over].cpu, self.results[under].cpu, strict=True)
        ratios = [first / second for first, second in pairs if second > 0]
        return median(ratios) if ratios else None


def measure_exchanges(
    setting: Setting,
    transports: Sequence[str] = TRANSPORTS,
    cases: Sequence[Case] = CASES,
    servers: Sequence[str] = SERVERS,
    allocator: str = "",
    before: Path | None = None,
) -> list[Figures]:
    """Start the *servers* and put each case over each transport on them; those that are not installed are left out.

    ``stock`` differs over TLS alone, and is left out elsewhere.

    :param before: another checkout, whose server takes part as well.
    """
    figures = []
    for transport in transports:
        running: list[Server] = []
        try:
            for name in servers:
                if name == "stock" and transport != "tls":
                    continue
                running += _start(name, setting, allocator)
            if before is not None:
                running.append(start_python("before", "server", setting.folder, *_keys(setting), root=before))
            for case in cases:
                if case.reconnect and transport != "tls":
                    continue
                results = measure(_plan(setting, transport, case, running))
                figures.append(Figures(transport, case, {result.name: result for result in results}))
        finally:
            for server in running:
                server.stop()
    return figures


def _start(name: str, setting: Setting, allocator: str) -> list[Server]:
    """The server called *name*, or nothing where its program is not installed. A fresh one serves each transport."""
    if name == "Kamailio":
        program = kamailio.find()
        return [kamailio.start(program, setting.folder, setting.server, setting.trust, allocator)] if program else []
    module = "floor" if name == "floor" else "server"
    own = {"stock": ["--stock-tls"], "seen": ["--instruments"]}.get(name, [])
    return [start_python(name, module, setting.folder, *_keys(setting), *own)]


def _keys(setting: Setting) -> list[str]:
    return ["--certificate", str(setting.server), "--trust", str(setting.trust)]


def _plan(setting: Setting, transport: str, case: Case, servers: Sequence[Server]) -> Plan:
    scale = setting.scale
    return Plan(
        transport=transport,
        targets=[Target(server.name, server.ports[transport], server.pids()) for server in servers],
        connections=case.connections,
        window=case.window,
        # A connection costs a hundred times what a message costs: fewer and longer turns.
        seconds=scale.seconds * 3 if case.reconnect else scale.seconds,
        count=scale.count,
        rounds=max(1, scale.rounds // 3) if case.reconnect else scale.rounds,
        reconnect=case.reconnect,
        certificate=str(setting.client),
        trust=str(setting.trust),
    )


def tables(figures: Sequence[Figures]) -> str:
    """Two tables for each transport: CPU with its ratios, and rates with latencies."""
    texts = []
    for transport in TRANSPORTS:
        rows = [each for each in figures if each.transport == transport]
        if not rows:
            continue
        names = list(rows[0].results)
        tls = next(iter(rows[0].results.values())).tls
        title = f"MESSAGE over {_TITLES[transport]}{f' ({tls})' if tls else ''}"
        columns = ["CPU microseconds a transaction", *names]
        pairs = [pair for pair in _RATIOS if set(pair) <= set(names)]
        columns += [f"{over}/{under}" for over, under in pairs]
        cells = [
            [row.case.title]
            + [_number(row.cpu(name)) for name in names]
            + [_number(row.ratio(over, under), 2) for over, under in pairs]
            for row in rows
        ]
        texts.append(table(title, columns, cells))
        columns = [f"transactions a second; p50/p99 ms ({_TITLES[transport]})"]
        columns += [heading for name in names for heading in (name, "p50/p99")]
        cells = [[row.case.title] + [cell for name in names for cell in _pace(row.results[name])] for row in rows]
        texts.append(table("Pace", columns, cells, _remarks(rows)))
    return "\n".join(texts)


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _pace(result: Result) -> tuple[str, str]:
    mark = "*" if result.generator > _SATURATED else ""
    return f"{result.rate:,.0f}{mark}", f"{result.median:.2f}/{result.tail:.2f}"


def _remarks(rows: Sequence[Figures]) -> str:
    results = [result for row in rows for result in row.results.values()]
    remarks = []
    if any(result.generator > _SATURATED for result in results):
        remarks.append("* the load generator used more than 0.9 of a core: the server could do more than this rate")
    resent = sum(result.resent for result in results)
    if resent:
        remarks.append(f"{resent} requests had to be sent again")
    return "\n".join(remarks)


def goals(figures: Sequence[Figures]) -> list[Goal]:
    """The goals for kept mutual TLS connections, as far as *figures* has their cases."""
    found = []
    for each in figures:
        if each.transport == "tls" and each.case.name == "1x64":
            found.append(_goal("MESSAGE, mutual TLS, 1x64: ours/Kamailio", each.ratio("ours", "Kamailio"), 0.6))
        if each.transport == "tls" and each.case.name == "50x1":
            found.append(_goal("MESSAGE, mutual TLS, 50x1: ours/floor", each.ratio("ours", "floor"), 1.9))
            found.append(_goal("MESSAGE, mutual TLS, 50x1: ours/Kamailio", each.ratio("ours", "Kamailio"), 1.1))
        if each.transport == "tls" and each.case.name == "1x1" and "stock" in each.results:
            found.append(_goal("MESSAGE, mutual TLS, 1x1: ours/stock", each.ratio("ours", "stock"), 0.8))
    return found


def _goal(name: str, measured: float | None, at_most: float) -> Goal:
    return Goal(name, measured, at_most, "", "one of the two servers was not there")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exchange", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="only this one; may be repeated")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="likewise")
    parser.add_argument("--server", action="append", choices=SERVERS, help="likewise")
    parser.add_argument(
        "--kamailio-allocator", default="", metavar="fm|tlsf|qm", help="its -x and -X; else its default"
    )
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout of another version")
    options = parser.parse_args()
    cases = [case for case in CASES if not options.case or case.name in options.case]
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        figures = measure_exchanges(
            setting,
            options.transport or TRANSPORTS,
            cases,
            options.server or SERVERS,
            options.kamailio_allocator,
            options.before,
        )
    print(tables(figures))
    if found := goals(figures):
        print(goals_table(found))


if __name__ == "__main__":
    main()
