"""Many idle mutual TLS peers at a time, from several processes, keep-alives on: KiB each, and what a ping costs."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.descriptors import most_connections, raise_limit
from benchmarks.memory import pss, settle
from benchmarks.processes import begin_python, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from benchmarks.processes import Server

__all__ = ["Idle", "goals", "main", "measure_idle", "tables"]

_PROCESSES = 4


@dataclass(slots=True)
class Idle:
    """What the server holds and pays.

    :ivar wanted: how many peers there were to be; fewer where the process may not open so many descriptors.
    :ivar octets: by how much the server's proportional set size has grown for each of the last nine tenths.
    :ivar ping: CPU microseconds of the server for one ping and its pong.
    :ivar seconds: how long it took until all stood, handshakes of both sides on this machine.
    """

    wanted: int
    count: int
    octets: float
    ping: float
    pongs: int
    seconds: float


def measure_idle(setting: Setting) -> Idle:
    """Have the peers of the setting's scale connect to a fresh server, rest, and ping once."""
    raise_limit()
    wanted = setting.scale.idle
    count = min(wanted, most_connections())
    keys = ("--certificate", str(setting.server), "--trust", str(setting.trust))
    server = start_python("ours", "server", setting.folder, *keys)
    groups: list[Server] = []
    # Each connection is looked at now and then, whether it is idle.
    rest = 0.002 + count * 2e-6
    try:
        first = max(1, count // 10)
        began = time.monotonic()
        groups += _connect(setting, server, [first])
        settle(server, rest)
        before = pss(server)
        share, more = divmod(count - first, _PROCESSES)
        groups += _connect(setting, server, [share + (at < more) for at in range(_PROCESSES)])
        took = time.monotonic() - began
        settle(server, rest)
        octets = (pss(server) - before) / (count - first)
        cpu = cpu_seconds(server.pids())
        pongs = sum(int(group.ask({})["pongs"]) for group in groups)
        ping = (cpu_seconds(server.pids()) - cpu) / count * 1e6
        return Idle(wanted, count, octets, ping, pongs, took)
    finally:
        for group in groups:
            group.stop()
        server.stop()


def _connect(setting: Setting, server: Server, counts: list[int]) -> list[Server]:
    """Processes of peers that connect at the same time, once all of them have."""
    keys = ("--certificate", str(setting.client), "--trust", str(setting.trust))
    waiting = [
        begin_python("peers", "peers", setting.folder, str(server.ports["tls"]), "--count", str(count), *keys)
        for count in counts
        if count
    ]
    return [begun.wait(300.0) for begun in waiting]


def tables(idle: Idle) -> str:
    """The figures as one table."""
    rows = [
        ("peers that are connected", f"{idle.count:,}"),
        ("KiB each", f"{idle.octets / 1024:.2f}"),
        ("pings that were answered", f"{idle.pongs:,}"),
        ("CPU microseconds for a ping", f"{idle.ping:.0f}"),
        ("seconds until all stood", f"{idle.seconds:.0f}"),
    ]
    return table("Idle mutual TLS peers", ("", "measured"), rows)


def goals(idle: Idle) -> list[Goal]:
    """At most 40 KiB each, however many there are."""
    name = f"{idle.count:,} idle mutual TLS peers"
    enough = idle.count >= idle.wanted
    why = f"this process may not open the descriptors for {idle.wanted:,}"
    return [Goal(f"{name}, each", idle.octets / 1024 if enough else None, 40.0, "KiB", why)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer peers")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        idle = measure_idle(setting)
    print(tables(idle))
    print(goals_table(goals(idle)))


if __name__ == "__main__":
    main()
