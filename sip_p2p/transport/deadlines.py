"""Deadlines of flows: many of the same length, most of them never reached.

Entries of one duration expire in the order in which they were made, so each kind is one ordered table: starting,
stopping and looking for the earliest cost the same however many there are. The driver's single delayed call serves all
of them.
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

    :ivar duration: how long it is, in seconds; 0 switches it off.
    """

    __slots__ = ("_expire", "_pending", "duration")

    def __init__(self, duration: float, expire: Callable[[K], None]) -> None:
        """:param expire: called with the key whose deadline has passed; it may start and stop deadlines."""
        self.duration = duration
        self._expire = expire
        self._pending: OrderedDict[K, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._pending)

    def start(self, key: K, now: float) -> None:
        """Begin, or begin again, the deadline of *key*."""
        if self.duration > 0:
            self._pending.pop(key, None)
            self._pending[key] = now + self.duration

    def is_running(self, key: K) -> bool:
        """Whether *key* has a deadline."""
        return key in self._pending

    def stop(self, key: K) -> None:
        """Forget the deadline of *key*, if it has one."""
        self._pending.pop(key, None)

    def next_deadline(self) -> float | None:
        """When the earliest passes."""
        if not self._pending:
            return None
        return self._pending[next(iter(self._pending))]

    def handle_timer(self, now: float) -> None:
        """Expire what is due."""
        while self._pending:
            key = next(iter(self._pending))
            if self._pending[key] > now:
                return
            del self._pending[key]
            self._expire(key)
