"""A limit on how often something is said, so that a peer cannot fill our log (row D22)."""

from __future__ import annotations

from typing import final

__all__ = ["Throttle"]


@final
class Throttle:
    """A bucket of tokens: *burst* at once, then *rate* a second.

    :ivar withheld: how many were not let through since the last that was.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated", "withheld")

    def __init__(self, burst: float = 10.0, rate: float = 1.0) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = burst
        self._updated = 0.0
        self.withheld = 0

    def lets_through(self, now: float) -> bool:
        """Whether one more may be said at *now*, in seconds on any monotonic scale."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._updated) * self._rate)
        self._updated = now
        if self._tokens < 1.0:
            self.withheld += 1
            return False
        self._tokens -= 1.0
        return True

    def take_withheld(self) -> int:
        """How many were withheld, counting anew from here."""
        withheld, self.withheld = self.withheld, 0
        return withheld
