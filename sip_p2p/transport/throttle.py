"""A limit on how often something is said, so that a peer cannot fill our log (row D22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

__all__ = ["LogBounds", "Throttle", "ThrottledLog"]


@final
class Throttle:
    """A bucket of tokens: *burst* at once, then *rate* a second.

    :ivar burst: how many at once.
    :ivar rate: how many a second.
    :ivar tokens: how many more would be let through now.
    :ivar withheld: how many were not let through since the last that was.
    """

    __slots__ = ("_updated", "burst", "rate", "tokens", "withheld")

    def __init__(self, burst: float = 10.0, rate: float = 1.0) -> None:
        self.burst = burst
        self.rate = rate
        self.tokens = burst
        self._updated = 0.0
        self.withheld = 0

    def lets_through(self, now: float) -> bool:
        """Whether one more may be said at *now*, in seconds on any monotonic scale."""
        self.tokens = min(self.burst, self.tokens + max(0.0, now - self._updated) * self.rate)
        self._updated = now
        if self.tokens < 1.0:
            self.withheld += 1
            return False
        self.tokens -= 1.0
        return True

    def take_withheld(self) -> int:
        """How many were withheld, counting anew from here."""
        withheld, self.withheld = self.withheld, 0
        return withheld


@final
class LogBounds:
    """How much each kind of line may be said; what all logs of one connection manager share. It may be changed.

    :ivar burst: lines at once.
    :ivar rate: lines a second.
    :ivar withheld: how many lines were not logged, of all kinds.
    """

    __slots__ = ("burst", "rate", "withheld")

    def __init__(self, burst: float = 10.0, rate: float = 1.0) -> None:
        self.burst = burst
        self.rate = rate
        self.withheld = 0


@final
class ThrottledLog:
    """Says what peers can cause to be said. All of it shares one :class:`Throttle`; what was left out is counted."""

    __slots__ = ("_bounds", "_log", "_now", "_throttle")

    def __init__(self, namespace: str, now: Callable[[], float], bounds: LogBounds | None = None) -> None:
        """
        :param now: seconds on a monotonic scale.
        :param bounds: how much may be said, as it is at that moment; by default ten lines at once and one a second.
        """
        self._log = Logger(namespace)
        self._now = now
        self._bounds = bounds = LogBounds() if bounds is None else bounds
        self._throttle = Throttle(bounds.burst, bounds.rate)

    def info(self, words: str, **values: object) -> None:
        """What happens every day; *words* is a format as :class:`~twisted.logger.Logger` has it."""
        self._say(self._log.info, words, values)

    def warn(self, words: str, **values: object) -> None:
        """What somebody may want to look at."""
        self._say(self._log.warn, words, values)

    def failure(self, words: str, failure: Failure | None = None, **values: object) -> None:
        """What should not have happened, with its traceback: that of *failure*, or of what is being handled."""
        if failure is not None:
            values["failure"] = failure
        self._say(self._log.failure, words, values)

    def _say(self, say: Callable[..., None], words: str, values: dict[str, object]) -> None:
        throttle, bounds = self._throttle, self._bounds
        throttle.burst, throttle.rate = bounds.burst, bounds.rate
        if throttle.lets_through(self._now()):
            withheld = throttle.take_withheld()
            more = f" ({withheld} more were not logged)" if withheld else ""
            say(words + "{more}", more=more, **values)
        else:
            bounds.withheld += 1
