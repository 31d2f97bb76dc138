"""Deliveries to a hook over HTTP and HTTPS: how many a second, and what one costs; then with SIP waiting for them.

The hook is a process of its own: twisted.web, which answers each POST with 200 and nothing. ``client alone`` POSTs some
octets with the HTTP client; ``delivery`` is what a MESSAGE costs: made into JSON, signed, POSTed, its answer read.
``MESSAGE`` is a service with the application ``webhook``: a request over mutual TLS, answered 200 once the hook has
accepted it. All connections to the hook come from one pool, and stay.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.cpu import cpu_seconds
from benchmarks.deliveries import MOST, SECRET
from benchmarks.plan import Plan, Target
from benchmarks.processes import measure, start_python
from benchmarks.report import machine, table
from benchmarks.service import start_service
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.processes import Server

__all__ = ["SCHEMES", "WINDOWS", "Delivered", "main", "measure_webhooks", "tables"]

SCHEMES = ("http", "https")
WINDOWS = (1, 16, 64)
"""Deliveries in flight at a time."""

_KINDS = ("client alone", "delivery", "MESSAGE")


@dataclass(slots=True)
class Delivered:
    """What came of one kind of delivery.

    :ivar rate: how many a second.
    :ivar cpu: CPU microseconds of our side for each; :attr:`hook` is the same of the hook, where it was read.
    :ivar latency: milliseconds from a SIP request to its answer, median and 99th percentile; None for the other kinds.
    """

    kind: str
    scheme: str
    window: int
    count: int
    rate: float
    cpu: float
    hook: float
    latency: tuple[float, float] | None = None


def measure_webhooks(setting: Setting) -> list[Delivered]:
    """Every kind over either scheme, with each window."""
    secret = setting.folder / "webhook-secret"
    secret.write_text(SECRET)
    hook = start_python("hook", "hook", setting.folder, "--certificate", str(setting.hook))
    found = []
    try:
        for scheme in SCHEMES:
            for kind in _KINDS[:2]:
                found += _delivered(setting, hook, secret, scheme, kind)
            found += _asked(setting, hook, secret, scheme)
    finally:
        hook.stop()
    return found


def _delivered(setting: Setting, hook: Server, secret: Path, scheme: str, kind: str) -> list[Delivered]:
    """Deliveries without SIP."""
    own = ("--alone",) if kind == "client alone" else ()
    keys = ("--secret", str(secret), "--trust", str(setting.trust))
    sender = start_python("deliveries", "deliveries", setting.folder, scheme, str(hook.ports[scheme]), *keys, *own)
    found = []
    try:
        for window in WINDOWS:
            command = {"window": window, "seconds": setting.scale.seconds * 2, "count": setting.scale.count}
            # The first turn makes the connections.
            sender.ask(command)
            cpu, count, took, used = [], 0, 0.0, cpu_seconds(hook.pids())
            for _ in range(setting.scale.rounds):
                began = time.perf_counter()
                told = sender.ask(command)
                took += time.perf_counter() - began
                count += int(told["count"])
                cpu.append(told["cpu"] / told["count"] * 1e6)
            by_hook = (cpu_seconds(hook.pids()) - used) / count * 1e6
            found.append(Delivered(kind, scheme, window, count, count / took, median(cpu), by_hook))
    finally:
        sender.stop()
    return found


def _asked(setting: Setting, hook: Server, secret: Path, scheme: str) -> list[Delivered]:
    """SIP requests that wait for the hook."""
    scale = setting.scale
    url = f"{scheme}://localhost:{hook.ports[scheme]}/"
    own = ["--application", "webhook", "--webhook", url, "--webhook-secret-file", str(secret)]
    own += ["--webhook-events", "none", "--webhook-concurrency", str(MOST)]
    own += ["--webhook-trust", str(setting.trust)] if scheme == "https" else []
    service = start_service(f"webhook-{scheme}", setting, *own)
    found = []
    try:
        for window in WINDOWS:
            target = Target("ours", service.ports["tls"], service.pids())
            plan = Plan(
                "tls", [target], window=window, seconds=scale.seconds * 2, count=scale.count, rounds=scale.rounds,
                certificate=str(setting.client), trust=str(setting.trust),
            )  # fmt: skip
            used = cpu_seconds(hook.pids())
            (result,) = measure(plan)
            # The load has a first round that does not count in what it tells, but does at the hook.
            by_hook = (cpu_seconds(hook.pids()) - used) / (result.count * (1 + 1 / scale.rounds)) * 1e6
            latency = result.median, result.tail
            cpu = median(result.cpu)
            found.append(Delivered("MESSAGE", scheme, window, result.count, result.rate, cpu, by_hook, latency))
    finally:
        service.stop()
    return found


def tables(found: Sequence[Delivered]) -> str:
    """One row for each."""
    columns = ("", "in flight", "a second", "CPU us, ours", "CPU us, hook", "p50/p99 ms")
    rows = [
        (
            f"{each.kind}, {each.scheme}",
            str(each.window),
            f"{each.rate:,.0f}",
            f"{each.cpu:.0f}",
            f"{each.hook:.0f}",
            "" if each.latency is None else f"{each.latency[0]:.2f}/{each.latency[1]:.2f}",
        )
        for each in found
    ]
    return table("Deliveries to a hook on loopback", columns, rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.webhooks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        print(tables(measure_webhooks(setting)))


if __name__ == "__main__":
    main()
