"""What stands between two parties of ours, each in a process of its own, and what one more of it costs either side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.memory import pss
from benchmarks.report import Goal, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.processes import Server

__all__ = ["TITLES", "Standing", "measure_standing", "standing_goals", "standing_table"]

TITLES = {"tls": "mutual TLS", "tcp": "TCP", "udp": "UDP"}
"""How the tables call the transports."""


@dataclass(slots=True)
class Standing:
    """What one more costs one side.

    :ivar octets: by which the process has grown for each: its proportional set size (PSS).
    :ivar blocks: how many more blocks of memory the interpreter has for each.
    """

    side: str
    transport: str
    count: int
    octets: float
    blocks: float


def measure_standing(
    sides: Sequence[tuple[str, Server]],
    transport: str,
    count: int,
    begin: Callable[[int], None],
    rest: Callable[[], None],
) -> list[Standing]:
    """Begin *count*, and look at both sides when a tenth of them stands, and when all do.

    :param begin: makes so many more.
    :param rest: waits until nothing is held but what stands.
    """

    def look() -> list[tuple[int, int]]:
        rest()
        return [(pss(side), side.blocks()) for _, side in sides]

    first = max(1, count // 10)
    more = count - first
    begin(first)
    before = look()
    begin(more)
    after = look()
    return [
        Standing(name, transport, count, (size - size_before) / more, (blocks - blocks_before) / more)
        for (name, _), (size, blocks), (size_before, blocks_before) in zip(sides, after, before, strict=True)
    ]


def standing_table(title: str, one: str, standing: Sequence[Standing]) -> str:
    """A row for each side and transport.

    :param one: what one of it is called.
    """
    rows = [
        (
            f"{each.side}, {TITLES[each.transport]}",
            f"{each.count:,}",
            f"{each.octets / 1024:.2f} KiB",
            f"{each.blocks:.1f}",
        )
        for each in standing
    ]
    return table(title, (one, "held", "each", "blocks each"), rows)


def standing_goals(one: str, standing: Sequence[Standing], most_kib: float) -> list[Goal]:
    """At most so many KiB for each."""
    return [
        Goal(f"{one}, {each.side}, {TITLES[each.transport]}", each.octets / 1024, most_kib, "KiB") for each in standing
    ]
