"""Deadlines of any length, one for each key; where few lengths are in use, :mod:`.deadlines` is cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from sip_p2p.sip.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Alarms"]

K = TypeVar("K", bound="Hashable")


@final
class Alarms(Schedule[K]):
    """When each of many keys is due; the driver's delayed call serves all of them."""

    __slots__ = ("_expire",)

    def __init__(self, expire: Callable[[K], None]) -> None:
        """:param expire: called with the key that is due; it may start and stop alarms."""
        super().__init__()
        self._expire = expire

    def start(self, key: K, due: float) -> None:
        """Let *key* be due at *due*, and not when it was due before."""
        self.put(key, due)

    def stop(self, key: K) -> None:
        """Forget *key*, if it is here."""
        self.discard(key)

    def handle_timer(self, now: float) -> None:
        """Expire what is due."""
        while (key := self.take(now)) is not None:
            self._expire(key)
