"""Deadlines of any length, one for each key; where few lengths are in use, :mod:`.deadlines` is cheaper."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Alarms"]

K = TypeVar("K", bound="Hashable")

_STALE_AT_LEAST = 64


@final
class Alarms(Generic[K]):
    """When each of many keys is due; the driver's delayed call serves all of them."""

    __slots__ = ("_due", "_expire", "_heap", "_serial")

    def __init__(self, expire: Callable[[K], None]) -> None:
        """:param expire: called with the key that is due; it may start and stop alarms."""
        self._expire = expire
        self._due: dict[K, float] = {}
        # What was stopped or begun again stays in the heap until it comes up, or until half of the heap is such.
        self._heap: list[tuple[float, int, K]] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._due)

    def start(self, key: K, due: float) -> None:
        """Let *key* be due at *due*, and not when it was due before."""
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, key))
        self._tidy()

    def stop(self, key: K) -> None:
        """Forget *key*, if it is here."""
        if self._due.pop(key, None) is not None:
            self._tidy()

    def next_deadline(self) -> float | None:
        """When the first is due."""
        heap = self._heap
        while heap and self._due.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def handle_timer(self, now: float) -> None:
        """Expire what is due."""
        while (earliest := self.next_deadline()) is not None and earliest <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            self._expire(key)

    def _tidy(self) -> None:
        """Let go of what was stopped, once it is the larger half."""
        if len(self._heap) > 2 * len(self._due) + _STALE_AT_LEAST:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
