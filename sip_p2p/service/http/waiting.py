"""Waiting for an outcome, up to a time (``Prefer: wait``, RFC 7240 section 4.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, succeed

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call

__all__ = ["LONGEST_WAIT", "Outcome", "preferred_wait"]

LONGEST_WAIT = 60.0
"""Seconds that ``Prefer: wait`` waits at most."""

_WAIT = re.compile(r'(?:\A|[, \t])wait[ \t]*=[ \t]*"?([0-9]{1,6})"?(?:\Z|[,; \t])', re.IGNORECASE)


def preferred_wait(call: Call) -> float | None:
    """The seconds of ``Prefer: wait``; None without them. What cannot be read is passed over (RFC 7240 section 2)."""
    found = _WAIT.search(call.header("prefer") or "")
    return None if found is None else min(float(found[1]), LONGEST_WAIT)


@final
class Outcome:
    """Something that comes to an end once, and who waits for that.

    :ivar is_there: whether it has.
    """

    __slots__ = ("_waiting", "is_there")

    def __init__(self) -> None:
        self.is_there = False
        self._waiting: list[Deferred[None]] = []

    def come(self) -> None:
        """It has come to its end; the second time nothing happens."""
        self.is_there = True
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def wait(self, seconds: float, reactor: Any) -> Deferred[None]:
        """Fires when it has, or when *seconds* have passed; never fails."""
        if self.is_there or not seconds:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        waiting.addTimeout(seconds, reactor)

        def give_up(_: object) -> None:
            if waiting in self._waiting:
                self._waiting.remove(waiting)

        return waiting.addErrback(give_up)
