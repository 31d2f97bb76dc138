"""One time for each of many keys, the earliest first, whatever their lengths.

Where few lengths are in use, as with the timers of transactions, a line for each of them is cheaper
(:mod:`.transaction.timers`).
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["Schedule"]

K = TypeVar("K", bound="Hashable")

_STALE_AT_LEAST = 64


class Schedule(Generic[K]):
    """When each key is due."""

    __slots__ = ("_due", "_heap", "_serial")

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        # What was discarded or moved stays in the heap until it comes up, or until half of the heap is such.
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: K, due: float) -> None:
        """Let *key* be due at *due*, and not when it was due before."""
        if self._due.get(key) == due:
            return
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, key))
        self._tidy()

    def discard(self, key: K) -> None:
        """Forget *key*, if it is here."""
        if self._due.pop(key, None) is not None:
            self._tidy()

    def clear(self) -> None:
        """Forget all of them."""
        self._due.clear()
        self._heap.clear()

    def due_of(self, key: K) -> float | None:
        """When *key* is due; None where it is not here."""
        return self._due.get(key)

    def next_deadline(self) -> float | None:
        """When the first is due."""
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def take(self, now: float) -> K | None:
        """Take out the earliest key that is due by *now*; None where none is."""
        earliest = self.next_deadline()
        if earliest is None or earliest > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._due[key]
        return key

    @property
    def entries(self) -> int:
        """How many entries take memory, stale ones among them."""
        return len(self._heap)

    def _tidy(self) -> None:
        """Let go of what is stale, once it is the larger half."""
        if len(self._heap) > 2 * len(self._due) + _STALE_AT_LEAST:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
