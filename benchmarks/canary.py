"""How long a good peer waits for its answers while others attack the server.

The canary is a mutual TLS connection that sends a MESSAGE every ten milliseconds, whether or not the one before it was
answered. It, the attackers and the server share the processors of this machine, so what is measured is not only the
server's: the attackers, and the scheduler between all of them, take their part.
"""

from __future__ import annotations

import argparse
import select
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.channels import connect, tls_context
from benchmarks.cpu import cpu_seconds
from benchmarks.load import Conversation
from benchmarks.plan import Plan, Target
from benchmarks.processes import begin_python, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting
from benchmarks.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.processes import Server

__all__ = ["Song", "goals", "main", "measure_canary", "tables"]

_EVERY = 0.01
_PATIENCE = 10.0
_MOST = 100.0


@dataclass(slots=True)
class Song:
    """What the canary heard under one attack.

    :ivar latencies: milliseconds, in order.
    :ivar unanswered: requests that had no answer after ten seconds.
    :ivar refused: how many were answered 503, because the server judged itself overloaded.
    :ivar cpu: which part of a core the server used.
    :ivar told: what the attackers did.
    """

    attack: str
    latencies: list[float]
    unanswered: int
    refused: int
    cpu: float
    told: dict[str, float] = field(default_factory=dict)

    def percentile(self, part: float) -> float:
        """The latency below which *part* of them are, 0 to 1."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))]


def measure_canary(setting: Setting) -> list[Song]:
    """Without an attack, and under each; a fresh server every time."""
    scale = setting.scale
    attacks = (("", 0), ("handshakes", scale.attempts), ("trickles", scale.trickles))
    return [_under(setting, attack, count) for attack, count in attacks]


def _under(setting: Setting, attack: str, count: int) -> Song:
    keys = ("--trust", str(setting.trust), "--certificate")
    server = start_python("ours", "server", setting.folder, *keys, str(setting.server))
    attackers: list[Server] = []
    try:
        plan = Plan(
            "tls",
            [Target("server", server.ports["tls"], server.pids())],
            seconds=setting.scale.attack_seconds,
            certificate=str(setting.client),
            trust=str(setting.trust),
        )
        canary = _Canary(plan)
        if attack:
            port = str(server.ports["tls"])
            begun = begin_python(attack, "attack", setting.folder, attack, port, str(count), *keys, str(setting.client))
            attackers.append(begun.wait(60.0))
        before = cpu_seconds(server.pids())
        unanswered = canary.sing()
        cpu = (cpu_seconds(server.pids()) - before) / plan.seconds
        told = attackers[0].ask({}) if attackers else {}
        canary.close()
        return Song(attack, sorted(each * 1e3 for each in canary.latencies), unanswered, canary.refused, cpu, told)
    finally:
        for each in attackers:
            each.stop()
        server.stop()


class _Canary:
    """The connection, and its answers."""

    def __init__(self, plan: Plan) -> None:
        self.latencies = array("d")
        self._seconds = plan.seconds
        self._socket, channel = connect(plan, plan.targets[0].port, tls_context(plan))
        self._wording = wording = Wording("tls")
        wording.refused = 0
        template = wording.template(self._socket.getsockname(), plan.server_name)
        self._conversation = Conversation(channel, template, wording, self.latencies)

    def sing(self) -> int:
        """Ask every ten milliseconds; how many were never answered."""
        conversation = self._conversation
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        began = due = time.perf_counter()
        while (now := time.perf_counter()) < began + self._seconds or (
            conversation.sent and now < began + self._seconds + _PATIENCE
        ):
            if now >= due and now < began + self._seconds:
                conversation.send(1)
                due += _EVERY
            if poll.poll(max(0.0, min(due, now + _EVERY) - now) * 1e3):
                conversation.receive()
        return len(conversation.sent)

    @property
    def refused(self) -> int:
        """How many answers were a 503."""
        return self._wording.refused or 0

    def close(self) -> None:
        self._conversation.close()


def tables(songs: Sequence[Song]) -> str:
    """One row for each attack."""
    columns = ("a MESSAGE every 10 ms; ms until its answer", "p50", "p99", "worst", "503", "unanswered", "server's CPU")
    rows = []
    for each in songs:
        times = [f"{each.percentile(part):.2f}" for part in (0.5, 0.99, 1.0)] if each.latencies else ["-"] * 3
        rows.append((_title(each), *times, str(each.refused), str(each.unanswered), f"{each.cpu:.2f}"))
    return table("The canary", columns, rows)


def _title(song: Song) -> str:
    told = song.told
    if song.attack == "handshakes":
        return f"{told['attempted']:,.0f} handshakes begun, {told['answered']:,.0f} answered"
    if song.attack == "trickles":
        return f"{told['connected']:,.0f} peers that trickle, {told['octets']:,.0f} octets"
    return "quiet"


def goals(songs: Sequence[Song]) -> list[Goal]:
    """At most 100 ms for 99 of 100 answers under either attack."""
    return [
        Goal(
            f"the canary's p99, {each.attack}",
            each.percentile(0.99) if each.latencies and not each.unanswered else None,
            _MOST,
            "ms",
            "the canary was not answered",
        )
        for each in songs
        if each.attack
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="for a shorter time")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        songs = measure_canary(setting)
    print(tables(songs))
    print(goals_table(goals(songs)))


if __name__ == "__main__":
    main()
