"""A service with many flows that is looked at: the HTTP API, a scrape of its metrics, and followers of its events.

A service with ``--http`` holds so many mutual TLS connections, each of which has carried one MESSAGE. What the console
asks for is then asked many times; and a load of MESSAGEs runs while nobody follows the events, and while more do.
"""

from __future__ import annotations

import argparse
import http.client
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.descriptors import raise_limit
from benchmarks.memory import pss, settle
from benchmarks.plan import Plan, Target
from benchmarks.processes import measure, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.service import start_service
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from benchmarks.processes import Server

__all__ = ["FOLLOWERS", "PATHS", "Asked", "Console", "Followed", "goals", "main", "measure_console", "tables"]

PATHS = (
    "/v1",
    "/v1/flows",
    "/v1/flows?limit=100",
    "/v1/sessions",
    "/v1/identities",
    "/v1/trace?limit=100",
    "/metrics",
    "/v1/metrics",
    "/console/",
)
"""What is asked for."""

FOLLOWERS = (0, 1, 10, 32)
"""How many follow the events; 32 is as many as a service lets in."""

_PATIENCE = 30.0
_REST = 0.01


@dataclass(slots=True)
class Asked:
    """One path of the API.

    :ivar octets: of the answer.
    :ivar took: milliseconds from request to answer, median and worst.
    :ivar cpu: the service's CPU milliseconds for each.
    """

    path: str
    octets: int
    took: tuple[float, float]
    cpu: float


@dataclass(slots=True)
class Followed:
    """A load of MESSAGEs while so many follow.

    :ivar standing: how many followed still at the end; who reads too slowly is let go.
    :ivar events: how many events each of them read for each MESSAGE.
    """

    followers: int
    standing: int
    events: float
    cpu: float
    rate: float


@dataclass(slots=True)
class Console:
    """All of it.

    :ivar flows: how many there are.
    :ivar each: octets by which the service's proportional set size grew for each, what is recorded of it included.
    :ivar size: the whole of that, in octets.
    """

    flows: int
    each: float
    size: int
    asked: list[Asked] = field(default_factory=list)
    followed: list[Followed] = field(default_factory=list)


def measure_console(setting: Setting) -> Console:
    """Hold as many connections as the setting says, ask for everything, and follow."""
    raise_limit()
    count = setting.scale.connections
    service = start_service("console", setting, "--application", "log", "--http", "{http}")
    keys = ("--certificate", str(setting.client), "--trust", str(setting.trust))
    port = str(service.ports["tls"])
    groups: list[Server] = []
    try:
        groups.append(start_python("peers", "peers", setting.folder, port, "--count", "2", *keys))
        settle(service, _REST)
        before = pss(service)
        groups.append(start_python("peers", "peers", setting.folder, port, "--count", str(count - 2), *keys))
        settle(service, _REST)
        size = pss(service)
        found = Console(count, (size - before) / (count - 2), size)
        found.asked = [_asked(service, path, max(3, setting.scale.rounds)) for path in PATHS]
        found.followed = [_followed(setting, service, followers) for followers in FOLLOWERS]
        return found
    finally:
        for group in groups:
            group.stop()
        service.stop()


def _asked(service: Server, path: str, times: int) -> Asked:
    connection = http.client.HTTPConnection("127.0.0.1", service.ports["http"], timeout=_PATIENCE)
    took = []
    octets = 0
    used = cpu_seconds(service.pids())
    try:
        for _ in range(times):
            began = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            octets = len(answer.read())
            took.append((time.perf_counter() - began) * 1e3)
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status} {answer.reason}")
    finally:
        connection.close()
    return Asked(path, octets, (median(took), max(took)), (cpu_seconds(service.pids()) - used) / times * 1e3)


def _followed(setting: Setting, service: Server, followers: int) -> Followed:
    scale = setting.scale
    readers = None
    if followers:
        port = str(service.ports["http"])
        readers = start_python("followers", "followers", setting.folder, port, "--count", str(followers))
        readers.ask({})
    try:
        plan = Plan(
            "tls", [Target("ours", service.ports["tls"], service.pids())], window=1, seconds=scale.seconds,
            count=scale.count, rounds=scale.rounds, certificate=str(setting.client), trust=str(setting.trust),
        )  # fmt: skip
        (result,) = measure(plan)
        told = {"standing": 0.0, "events": 0.0} if readers is None else readers.ask({})
    finally:
        if readers is not None:
            readers.stop()
    # The load has a first round that does not count in what it tells.
    sent = result.count * (1 + 1 / scale.rounds)
    read = told["events"] / sent / followers if followers else 0.0
    return Followed(followers, int(told["standing"]), read, median(result.cpu), result.rate)


def tables(found: Console) -> str:
    """What each path takes, and what followers cost."""
    rows = [
        (each.path, f"{each.octets:,}", f"{each.took[0]:.1f}", f"{each.took[1]:.1f}", f"{each.cpu:.1f}")
        for each in found.asked
    ]
    size = f"the service takes {found.size / 1024**2:.0f} MiB, {found.each / 1024:.1f} KiB for each flow"
    title = f"A service with {found.flows:,} flows: its HTTP API"
    texts = [table(title, ("path", "octets", "p50 ms", "worst ms", "CPU ms"), rows, size)]
    rows = [
        (
            f"{each.followers}",
            f"{each.standing}",
            f"{each.events:.2f}" if each.followers else "",
            f"{each.cpu:.0f}",
            f"{each.rate:,.0f}",
        )
        for each in found.followed
    ]
    columns = ("followers of /v1/events", "at the end", "events a MESSAGE, each", "CPU us a MESSAGE", "a second")
    texts.append(table("MESSAGE over mutual TLS, 1 in flight, while they follow", columns, rows))
    return "\n".join(texts)


def goals(found: Console) -> list[Goal]:
    """The console asks for the flows every few seconds; meanwhile no SIP message should wait longer than this."""
    asked = {each.path: each for each in found.asked}
    name = f"{found.flows:,} flows"
    return [
        Goal(f"/v1/flows with {name}", asked["/v1/flows"].took[0], 100.0, "ms"),
        Goal(f"/metrics with {name}", asked["/metrics"].took[0], 100.0, "ms"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer flows, and shorter turns")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        found = measure_console(setting)
    print(tables(found))
    print(goals_table(goals(found)))


if __name__ == "__main__":
    main()
