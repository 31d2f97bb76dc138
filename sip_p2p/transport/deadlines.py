"""Deadlines of flows: many of the same length, most of them never reached.

Entries of one duration expire in the order in which they were made, so each duration of a kind is one ordered table:
starting, stopping and looking for the earliest cost the same however many there are. The driver's single delayed call
serves all of them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Deadlines"]

K = TypeVar("K", bound="Hashable")


@final
class Deadlines(Generic[K]):
    """One kind of deadline.

    :ivar duration: how long it is, in seconds, where an entry does not say otherwise; 0 switches it off.
    """

    __slots__ = ("_expire", "_lanes", "duration")

    def __init__(self, duration: float, expire: Callable[[K], None]) -> None:
        """:param expire: called with the key whose deadline has passed; it may start and stop deadlines."""
        self.duration = duration
        self._expire = expire
        # One for each duration: after a change of it there are two until the last entry of the old one has gone.
        self._lanes: dict[float, OrderedDict[K, float]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def start(self, key: K, now: float, duration: float | None = None) -> None:
        """Begin, or begin again, the deadline of *key*.

        :param duration: how long this one is, if not as long as the others; of few different lengths, each of which
            costs a little as long as it is in use. 0 begins none.
        """
        length = self.duration if duration is None else duration
        if length <= 0:
            return
        self.stop(key)
        lane = self._lanes.get(length)
        if lane is None:
            lane = self._lanes[length] = OrderedDict()
        lane[key] = now + length

    def is_running(self, key: K) -> bool:
        """Whether *key* has a deadline."""
        return any(key in lane for lane in self._lanes.values())

    def stop(self, key: K) -> None:
        """Forget the deadline of *key*, if it has one."""
        for lane in self._lanes.values():
            if lane.pop(key, None) is not None:
                return

    def next_deadline(self) -> float | None:
        """When the earliest passes."""
        lane = self._earliest_lane()
        return None if lane is None else lane[next(iter(lane))]

    def handle_timer(self, now: float) -> None:
        """Expire what is due."""
        while (lane := self._earliest_lane()) is not None:
            key = next(iter(lane))
            if lane[key] > now:
                return
            del lane[key]
            self._expire(key)

    def _earliest_lane(self) -> OrderedDict[K, float] | None:
        """The lane with the earliest deadline; those that are empty are let go."""
        found = None
        earliest = 0.0
        for length, lane in list(self._lanes.items()):
            if not lane:
                del self._lanes[length]
                continue
            first = lane[next(iter(lane))]
            if found is None or first < earliest:
                found, earliest = lane, first
        return found
