"""What the server holds: idle connections, transactions that wait, finished ones, and nothing that grows.

Every figure is the growth of the server process's proportional set size (PSS) while something is added to what it
held already, so that fixed costs cancel out. What the kernel keeps for a socket is not in it.
"""

from __future__ import annotations

import argparse
import select
import socket
import time
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.channels import connect, tls_context
from benchmarks.cpu import cpu_seconds
from benchmarks.load import Conversation, KeptLoad
from benchmarks.plan import Plan, Target
from benchmarks.processes import Server, start_python
from benchmarks.report import Goal, goals_table, machine, table
from benchmarks.setting import FULL, QUICK, Setting
from benchmarks.wording import Wording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Growth", "Held", "goals", "main", "measure_memory", "pss", "settle", "tables"]

_QUIET = 0.3
_SHORT_T1 = 0.005
# The smallest object has 16 octets: this is one that is left behind by every fourth transaction, or by every hundredth.
_MOST_OCTETS = 4.0
_MOST_OBJECTS = 0.01
_ENOUGH = 500_000


@dataclass(slots=True)
class Held:
    """What one more of something costs, in octets."""

    name: str
    server: str
    count: int
    octets: float


@dataclass(slots=True)
class Growth:
    """The server over *count* transactions, looked at again and again from after the first fifth.

    :ivar sizes: octets, each *distance* transactions after the one before it.
    :ivar blocks: how many blocks of memory the interpreter had in use at the first and at the last look.
    """

    name: str
    count: int
    distance: float
    sizes: list[int]
    blocks: tuple[int, int]

    @property
    def octets(self) -> float:
        """Octets a transaction by which the smallest size of the second half is above that of the first.

        What is in use only for a moment comes and goes by some MiB; what leaks raises the smallest size, too.
        """
        half = len(self.sizes) // 2
        return (min(self.sizes[-half:]) - min(self.sizes[:half])) / (self.distance * (len(self.sizes) - half))

    @property
    def objects(self) -> float:
        """Blocks a transaction that were in use at the last look and not at the first."""
        return (self.blocks[1] - self.blocks[0]) / (self.distance * max(1, len(self.sizes) - 1))


def pss(server: Server) -> int:
    """The proportional set size of a server and its descendants, in octets."""
    total = 0
    for pid in server.pids():
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total * 1024


def settle(server: Server, rest: float = 0.002) -> None:
    """Wait until the server has nothing to do: no more than *rest* seconds of CPU in a third of a second."""
    before = -1.0
    until = time.monotonic() + 60
    while time.monotonic() < until:
        now = cpu_seconds(server.pids())
        if now - before < rest:
            return
        before = now
        time.sleep(_QUIET)
    raise TimeoutError(f"{server.name} does not come to rest")


def _started(setting: Setting, name: str, *arguments: str) -> Server:
    module = "floor" if name == "floor" else "server"
    keys = ("--certificate", str(setting.server), "--trust", str(setting.trust))
    return start_python(name, module, setting.folder, *keys, *arguments)


def _plan(setting: Setting, server: Server, transport: str, window: int = 1, count: int = 0) -> Plan:
    return Plan(
        transport,
        [Target(server.name, server.ports[transport], server.pids())],
        certificate=str(setting.client),
        trust=str(setting.trust),
        window=window,
        count=count,
    )


def _idle_connections(setting: Setting, name: str) -> Held:
    """Mutual TLS connections of which each has carried one MESSAGE, and then nothing."""
    server = _started(setting, name)
    held: list[Conversation] = []
    try:
        plan = _plan(setting, server, "tls")
        count = setting.scale.connections
        held += _conversations(plan, max(2, count // 10))
        settle(server)
        before = pss(server)
        held += _conversations(plan, count)
        settle(server)
        return Held("an idle mutual TLS connection", name, count, (pss(server) - before) / count)
    finally:
        for conversation in held:
            conversation.close()
        server.stop()


def _conversations(plan: Plan, count: int) -> Iterator[Conversation]:
    context, wording, latencies = tls_context(plan), Wording("tls"), array("d")
    for _ in range(count):
        connected, channel = connect(plan, plan.targets[0].port, context)
        conversation = Conversation(
            channel, wording.template(connected.getsockname(), plan.server_name), wording, latencies
        )
        conversation.send(1)
        while conversation.sent:
            _readable(connected)
            conversation.receive()
        yield conversation


def _readable(connected: socket.socket) -> None:
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    if not poll.poll(10_000):
        raise TimeoutError("the server does not answer")


def _live_transactions(setting: Setting) -> Held:
    """MESSAGE requests of one connection whose subscriber has not answered yet: more than it may have by default."""
    count = setting.scale.live
    server = _started(setting, "ours", "--pending-requests", str(2 * count + 4))
    plan = _plan(setting, server, "tls")
    connected, channel = connect(plan, server.ports["tls"], tls_context(plan))
    try:
        wording = Wording("tls")
        template = wording.template(connected.getsockname(), plan.server_name, b"hold")
        conversation = Conversation(channel, template, wording, array("d"))
        _send_held(conversation, max(2, count // 10))
        settle(server)
        before, blocks = pss(server), server.blocks()
        _send_held(conversation, count)
        settle(server)
        if server.blocks() - blocks < count:
            raise RuntimeError(f"{server.name} does not hold the {count} requests that it was sent")
        return Held("a transaction that waits for its subscriber", "ours", count, (pss(server) - before) / count)
    finally:
        channel.close()
        server.stop()


def _send_held(conversation: Conversation, count: int) -> None:
    for at in range(0, count, 50):
        conversation.send(min(50, count - at))


def _finished_transactions(setting: Setting) -> Held:
    """Answered MESSAGE requests over UDP, kept for Timer J so that a repeated request gets the same answer again."""
    server = _started(setting, "ours")
    try:
        count = setting.scale.finished
        load = KeptLoad(_plan(setting, server, "udp", window=16, count=max(2, count // 10)), server.ports["udp"])
        load.turn()
        load.close()
        settle(server)
        before = pss(server)
        load = KeptLoad(_plan(setting, server, "udp", window=16, count=count), server.ports["udp"])
        load.turn()
        load.close()
        settle(server)
        return Held("a finished UDP transaction, for 32 s", "ours", count, (pss(server) - before) / count)
    finally:
        server.stop()


def _growth(setting: Setting, transport: str, count: int, samples: int, rest: float, *arguments: str) -> Growth:
    """The server's size while it goes through *count* transactions, looked at after a *rest* so many times."""
    server = _started(setting, "ours", *arguments)
    sizes: list[int] = []
    blocks: list[int] = []
    try:
        load = KeptLoad(
            _plan(setting, server, transport, window=64, count=max(1, count // samples)), server.ports[transport]
        )
        for _ in range(samples):
            load.turn()
            del load.latencies[:]
            time.sleep(rest)
            # What has run out is forgotten at the latest when the next request comes.
            load.turn(1)
            sizes.append(pss(server))
            blocks.append(server.blocks())
        load.close()
        name = {"tls": "mutual TLS", "udp": "UDP"}[transport]
        first = samples // 5
        return Growth(name, count, count / samples, sizes[first:], (blocks[first], blocks[-1]))
    finally:
        server.stop()


def measure_memory(setting: Setting, count: int = 0) -> tuple[list[Held], list[Growth]]:
    """Every figure of this module.

    :param count: the transactions over which the server must not grow, instead of what the setting's scale says.
    """
    held = [_idle_connections(setting, name) for name in ("floor", "ours")]
    held += [_live_transactions(setting), _finished_transactions(setting)]
    many = count or setting.scale.growth
    growth = [
        _growth(setting, "tls", many, 20, 0.3 if setting.scale.seconds else 0.0),
        # With a short T1 finished transactions of UDP leave again within two seconds, and it is seen whether
        # they do.
        _growth(setting, "udp", many // 2, 10, 2.5 if setting.scale.seconds else 0.0, "--t1", str(_SHORT_T1)),
    ]
    return held, growth


def tables(held: Sequence[Held], growth: Sequence[Growth]) -> str:
    """What things cost, and the sizes over many transactions."""
    rows = [
        (each.name, each.server, f"{each.count:,}", f"{each.octets / 1024:.2f} KiB", f"{each.octets:,.0f}")
        for each in held
    ]
    first = table("Memory", ("one of", "server", "counted", "KiB", "octets"), rows)
    return first + "\n" + growth_table("Growth", "transactions", growth, "MESSAGE over ")


def growth_table(title: str, what: str, growth: Sequence[Growth], prefix: str = "") -> str:
    """The sizes over many of *what*, a line for each of *growth*."""
    rows = [
        (
            prefix + each.name,
            f"{each.count:,}",
            f"{min(each.sizes) / 2**20:.2f} MiB",
            f"{max(each.sizes) / 2**20:.2f} MiB",
            f"{each.octets:.2f}",
            f"{each.objects:.4f}",
        )
        for each in growth
    ]
    return table(title, (what, "counted", "smallest", "largest", "octets each", "blocks each"), rows)


def goals(held: Sequence[Held], growth: Sequence[Growth]) -> list[Goal]:
    """The goals for idle connections and for growth."""
    found = [
        Goal("an idle mutual TLS connection", each.octets / 1024, 40.0, "KiB")
        for each in held
        if each.server == "ours" and "idle" in each.name
    ]
    return found + growth_goals("transactions", growth, _ENOUGH, _MOST_OCTETS, _MOST_OBJECTS)


def growth_goals(what: str, growth: Sequence[Growth], enough: int, octets: float, blocks: float) -> list[Goal]:
    """That no more than so many octets and blocks stay for each of *what*; fewer than *enough* of them tell nothing."""
    found = []
    for each in growth:
        is_enough = each.count >= enough
        name, why = f"growth over {each.count:,} {what}, {each.name}", f"too few {what}"
        found.append(Goal(name, each.octets if is_enough else None, octets, "octets each", why))
        found.append(Goal(name, each.objects if is_enough else None, blocks, "blocks each", why))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer connections and transactions")
    parser.add_argument("--count", type=int, default=0, help="transactions over which the server must not grow")
    options = parser.parse_args()
    print(machine())
    with Setting(QUICK if options.quick else FULL) as setting:
        held, growth = measure_memory(setting, options.count)
    print(tables(held, growth))
    print(goals_table(goals(held, growth)))


if __name__ == "__main__":
    main()
