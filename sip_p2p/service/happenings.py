"""What happens in a running service, told to whoever follows it: lines on standard output, the HTTP API, webhooks.

One :class:`Happening` is one event with a number, a time and fields that JSON can hold. The newest are kept, so that a
follower who was away for a moment can ask for what it missed. Who follows cannot harm who is told of: what a follower
raises is logged, and the others hear of the event all the same.
"""

from __future__ import annotations

import collections
import json
import marshal
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.thread import check_thread
from sip_p2p.observe.text import in_words
from sip_p2p.transport.throttle import LogBounds, ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MOST_OCTETS", "Happening", "Happenings"]

MOST_OCTETS = 16 * 1024 * 1024
"""How much memory the fields of the events that are kept may take."""


@final
class Happening:
    """One thing that happened.

    :ivar number: its place among all that happened in this process, counted from 1.
    :ivar at: when, in seconds since 1970.
    :ivar event: its kind, such as ``message`` or ``session-state``.
    :ivar fields: what there is to know about it; values that JSON can hold.
    """

    __slots__ = ("at", "event", "fields", "number")

    def __init__(self, number: int, at: float, event: str, fields: Mapping[str, object]) -> None:
        self.number = number
        self.at = at
        self.event = event
        self.fields = fields

    def as_json(self) -> dict[str, object]:
        """The event as one object: its number, time and kind, then its fields."""
        return {"id": self.number, "time": in_words(self.at), "event": self.event, **self.fields}

    def __repr__(self) -> str:
        return f"<Happening {self.number} {self.event}>"


@final
class Happenings:
    """Tells everything that happens to everybody who follows, in the order in which it happened.

    :param capacity: how many of the newest are kept; 0 keeps none.
    :param most_octets: how much memory their fields may take, as peers write most of these: the oldest give way,
        and of one that alone is larger nothing is kept but that it has happened.
    :param clock: seconds since 1970.
    :param common: fields that every event has behind its own, such as which of several processes tells it.
    """

    def __init__(
        self,
        capacity: int = 1024,
        clock: Callable[[], float] = time.time,
        common: Mapping[str, object] = MappingProxyType({}),
        most_octets: int = MOST_OCTETS,
    ) -> None:
        self._clock = clock
        self._common = dict(common)
        self._capacity = capacity
        self._most_octets = most_octets
        # Number, time, kind, fields. These are in one piece: a thousand events in thousands of objects would be walked
        # through by each collection of garbage, which costs more than all else that is done for an event.
        self._kept: collections.deque[tuple[int, float, str, bytes]] = collections.deque()
        self._octets = 0
        self._followers: tuple[Callable[[Happening], object], ...] = ()
        self._count = 0
        self._log = ThrottledLog("sip_p2p.service.happenings", time.monotonic, LogBounds())

    @property
    def newest(self) -> int:
        """The number of the newest; 0 before the first."""
        return self._count

    @property
    def is_unheard(self) -> bool:
        """Whether nobody follows, and nothing is kept for whoever comes later: what happens need not be described."""
        return not (self._followers or self._capacity)

    def emit(self, event: str, **fields: object) -> Happening:
        """Something of the kind *event* has happened; every follower hears of it before this returns."""
        check_thread()
        self._count += 1
        happening = Happening(self._count, self._clock(), event, {**fields, **self._common})
        if self._capacity:
            self._keep(happening)
        for follower in self._followers:
            try:
                follower(happening)
            except Exception:
                self._log.failure("who follows the events failed on {event}", event=event)
        return happening

    def _keep(self, happening: Happening) -> None:
        fields = _packed(happening.fields)
        if len(fields) > self._most_octets:
            fields = _packed({"left_out": len(fields)})
        kept = self._kept
        kept.append((happening.number, happening.at, happening.event, fields))
        self._octets += len(fields)
        while len(kept) > self._capacity or self._octets > self._most_octets:
            self._octets -= len(kept.popleft()[3])

    def since(self, number: int) -> tuple[Happening, ...]:
        """What is kept of all that happened after the event *number*, oldest first."""
        found: list[Happening] = []
        for kept, at, event, fields in reversed(self._kept):
            if kept <= number:
                break
            found.append(Happening(kept, at, event, marshal.loads(fields)))
        return tuple(reversed(found))

    def follow(self, follower: Callable[[Happening], object]) -> Callable[[], None]:
        """Call *follower* with everything that happens from now on; one that follows already is told once all the same.

        :returns: what ends that; it may be called more than once.
        """
        if follower not in self._followers:
            self._followers = (*self._followers, follower)

        def leave() -> None:
            self._followers = tuple(each for each in self._followers if each != follower)

        return leave


def _packed(fields: Any) -> bytes:
    """*fields* in one piece of memory."""
    try:
        return marshal.dumps(fields)
    except ValueError:
        # A type of its own, such as an enumeration: JSON says what it stands for.
        return marshal.dumps(json.loads(json.dumps(fields, default=str)))
