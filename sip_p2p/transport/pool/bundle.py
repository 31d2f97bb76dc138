"""The flows of one key of the pool, and whose turn it is (row E2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.target import Target

__all__ = ["Bundle"]

_MOST_QUESTIONS = 16


@final
class Bundle:
    """The flows that lead to one place, proved to be one name, with one credential.

    :ivar key: the pool's key for them.
    :ivar target: where they lead.
    :ivar server: what the pool calls the server behind it.
    :ivar size: how many there may be; None for as many as are wanted, each for one user at a time.
    :ivar flows: those that are there; some may be closing.
    :ivar only: the flow that serves every request, where there is one and may be one only; else None.
    :ivar asked: what requests have asked for that led here.
    :ivar is_short: whether all flows were busy when one was chosen last, and there may be more.
    """

    __slots__ = ("_turn", "asked", "flows", "is_short", "key", "only", "server", "size", "target")

    def __init__(self, key: object, target: Target, server: object, size: int | None) -> None:
        self.key = key
        self.target = target
        self.server = server
        self.size = size
        self.flows: list[StreamFlow] = []
        self.only: StreamFlow | None = None
        self.asked: dict[object, None] = {}
        self.is_short = False
        self._turn = 0

    def __len__(self) -> int:
        return len(self.flows)

    @property
    def has_room_for_questions(self) -> bool:
        """Whether one more way of asking for it can be remembered: there are few, however long a peer tries."""
        return len(self.asked) < _MOST_QUESTIONS

    def add(self, flow: StreamFlow) -> None:
        """One more."""
        self.flows.append(flow)
        self._settle()

    def remove(self, flow: StreamFlow) -> None:
        """One is gone; nothing happens when it was not there."""
        if flow in self.flows:
            self.flows.remove(flow)
            self._settle()

    def resize(self, size: int | None) -> None:
        """There may be more or fewer from now on; those that are too many go when they have been idle."""
        self.size = size
        self._settle()

    def _settle(self) -> None:
        self.only = self.flows[0] if self.size == 1 and self.flows else None

    def choose(self, is_busy: Callable[[StreamFlow], bool]) -> StreamFlow | None:
        """The flow for the next request: in turn, and one that is not busy before one that is.

        A flow that is held counts as busy. Where nothing is shared, busy ones are not chosen at all.
        """
        self.is_short = False
        usable = [flow for flow in self.flows if flow.is_open]
        if self.size is not None:
            del usable[self.size :]
        if not usable:
            return None
        turn = self._turn
        for step in range(len(usable)):
            flow = usable[(turn + step) % len(usable)]
            if not flow.leases and not is_busy(flow):
                self._turn = (turn + step + 1) % len(usable)
                return flow
        if self.size is None:
            return None
        self.is_short = len(usable) < self.size
        self._turn = (turn + 1) % len(usable)
        return usable[turn % len(usable)]
