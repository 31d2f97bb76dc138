"""What a MESSAGE costs whoever sends it: CPU of our side, from the call to the answer in the application's hands.

The sender has a process of its own, and asks the floor, which answers as cheaply as Twisted can. One connection, or one
socket, carries everything, as the pool of connections has it by default.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.processes import start_python
from benchmarks.report import machine, table
from benchmarks.setting import FULL, QUICK, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.processes import Server

__all__ = ["WINDOWS", "Sent", "main", "measure_sending", "tables"]

WINDOWS = (1, 16, 64)
"""Requests in flight at a time."""

_TITLES = {"tls": "mutual TLS", "tcp": "TCP", "udp": "UDP"}


@dataclass(slots=True)
class Sent:
    """The turns of one transport and window.

    :ivar cpu: for each turn the sender's CPU microseconds for each request.
    """

    transport: str
    window: int
    count: int = 0
    cpu: list[float] = field(default_factory=list)


def measure_sending(setting: Setting, transports: Sequence[str] = ("tls", "tcp", "udp")) -> list[Sent]:
    """Every transport with every window, in turns."""
    found: list[Sent] = []
    server = start_python("floor", "floor", setting.folder, *_keys(setting.server, setting), "--whole")
    try:
        for transport in transports:
            port = str(server.ports[transport])
            sender = start_python("sender", "sender", setting.folder, transport, port, *_keys(setting.client, setting))
            try:
                found += _turns(setting, transport, sender)
            finally:
                sender.stop()
    finally:
        server.stop()
    return found


def _keys(certificate: object, setting: Setting) -> tuple[str, ...]:
    return "--certificate", str(certificate), "--trust", str(setting.trust)


def _turns(setting: Setting, transport: str, sender: Server) -> list[Sent]:
    scale = setting.scale
    found = [Sent(transport, window) for window in WINDOWS]
    for number in range(scale.rounds + 1):
        for each in found:
            told = sender.ask({"window": each.window, "seconds": scale.seconds, "count": scale.count})
            # The first turn makes the connection.
            if number and told["count"]:
                each.count += int(told["count"])
                each.cpu.append(told["cpu"] / told["count"] * 1e6)
    return found


def tables(sent: Sequence[Sent]) -> str:
    """One row for each transport."""
    columns = ["CPU microseconds a request", *(f"{window} in flight" for window in WINDOWS)]
    rows = []
    for transport in dict.fromkeys(each.transport for each in sent):
        by_window = {each.window: each for each in sent if each.transport == transport}
        rows.append([_TITLES[transport], *(f"{median(by_window[window].cpu):.1f}" for window in WINDOWS)])
    return table("MESSAGE sent, answered by the floor", columns, rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sending", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        sent = measure_sending(setting)
    print(tables(sent))


if __name__ == "__main__":
    main()
