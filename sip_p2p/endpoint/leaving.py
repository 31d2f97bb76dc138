"""Many subscriptions, publications and the like of ours that end at once: as fast as their connections carry it, and no
faster (rows B13 and B14, fault K8).

A party that goes has a last word to say for each of them. Said in one turn, ten thousand of them would keep the reactor
from everything else, fill the transactions that there may be, and have their connection cut off as one whose peer does
not read: nobody would hear of the end. So they end in rounds, as sessions do (:mod:`.session.ending`) and the
subscriptions of peers (:mod:`.subscription.crowd`).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, final

from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.lives import Life

__all__ = ["Leaving"]

_AT_ONCE = 100
_PAUSE = 0.01
"""Seconds between two rounds."""
_LOOKED_AT = 5 * _AT_ONCE
"""How many are looked at in a round, where connections have enough to write."""


@final
class Leaving:
    """What of one connection manager is to be ended."""

    __slots__ = ("_is_going", "_manager", "_timer", "_waiting")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._waiting: OrderedDict[Life, None] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._is_going = False

    def __len__(self) -> int:
        """How many wait for their round."""
        return len(self._waiting)

    def end(self, lives: Iterable[Life]) -> None:
        """End *lives* politely: the first ones now, the others in their turn."""
        self._waiting.update(dict.fromkeys(lives))
        if self._timer is None and not self._is_going:
            self._go_on()

    def forget(self, life: Life) -> None:
        """*life* is gone, or there is no time left for it."""
        if self._waiting:
            self._waiting.pop(life, None)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _due(self) -> None:
        self._timer = None
        self._go_on()
        self._manager.driver.drain()

    def _go_on(self) -> None:
        self._is_going = True
        try:
            self._take_turn()
        finally:
            self._is_going = False
            if self._waiting:
                self._timer = self._manager.reactor.callLater(_PAUSE, self._due)

    def _take_turn(self) -> None:
        waiting, room = self._waiting, min(_AT_ONCE, self._room)
        for _ in range(min(_LOOKED_AT, len(waiting))):
            if room <= 0 or not waiting:
                return
            life = next(iter(waiting))
            if self._is_full(life):
                waiting.move_to_end(life)
                continue
            del waiting[life]
            room -= 1
            life.end()

    @property
    def _room(self) -> int:
        """How many more requests may wait for their answers: a quarter of what there may be in all."""
        return max(1, self._manager.limits.transactions // 4) - len(self._manager.sessions.errands)

    def _is_full(self, life: Life) -> bool:
        """Whether its connection has enough to write already."""
        flow = life.flow
        return isinstance(flow, StreamFlow) and flow.queued > self._manager.limits.write_buffer // 2
