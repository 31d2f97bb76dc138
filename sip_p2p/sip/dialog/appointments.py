"""When each dialog and each INVITE wants to be called again: times of any length, one for each.

The timers of transactions are few durations and many; they have their own queue (:mod:`..transaction.timers`). What is
waited for here differs from one dialog to the next: session intervals, the doubling of a 2xx, how long it may ring.
"""

from __future__ import annotations

import heapq
from typing import Protocol, final

__all__ = ["Appointments", "Timed"]

_STALE_AT_LEAST = 64


class Timed(Protocol):
    """Whatever waits for a time."""

    def handle_timer(self, now: float) -> None:
        """Do what is due by *now*; whoever waits for more makes the next appointment."""


@final
class Appointments:
    """One time for each of many."""

    __slots__ = ("_due", "_heap", "_serial")

    def __init__(self) -> None:
        self._due: dict[Timed, float] = {}
        # What was cancelled or moved stays in the heap until it comes up, or until half of the heap is such.
        self._heap: list[tuple[float, int, Timed]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def set(self, who: Timed, due: float | None) -> None:
        """Let *who* be called at *due*, and not when it was to be called before; None: not at all."""
        if due is None:
            if self._due.pop(who, None) is not None:
                self._tidy()
            return
        if self._due.get(who) == due:
            return
        self._due[who] = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, who))
        self._tidy()

    def of(self, who: Timed) -> float | None:
        """When *who* will be called."""
        return self._due.get(who)

    def clear(self) -> None:
        """Call nobody any more."""
        self._due.clear()
        self._heap.clear()

    def next_deadline(self) -> float | None:
        """When the first is due."""
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def handle_timer(self, now: float) -> None:
        """Call whoever is due, the earliest first."""
        while (earliest := self.next_deadline()) is not None and earliest <= now:
            who = heapq.heappop(self._heap)[2]
            del self._due[who]
            who.handle_timer(now)

    def _tidy(self) -> None:
        """Let go of what is stale, once it is the larger half."""
        if len(self._heap) > 2 * len(self._due) + _STALE_AT_LEAST:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
