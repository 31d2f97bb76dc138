"""Servers that failed a short while ago, so that not every request finds it out anew (RFC 3263 section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.transport.target import Target

__all__ = ["DeadTargets"]


@final
class DeadTargets:
    """Which targets are passed over, and for how long.

    A target counts with its address, port, transport and the name that it has to prove: what fails for one name may
    serve another. Nothing is lost by it: where all are dead, all are tried.

    :ivar duration: how long a failure counts, in seconds.
    :ivar limit: as many are remembered.
    :ivar forgotten: how many had to make place.
    """

    __slots__ = ("_now", "_until", "duration", "forgotten", "limit")

    def __init__(self, now: Callable[[], float], duration: float = 600.0, limit: int = 1024) -> None:
        """
        :param now: the time source; seconds, monotonic.
        :param duration: how long a failure counts, in seconds.
        :param limit: as many are remembered; the one that failed first is forgotten first.
        """
        self._now = now
        self.duration = duration
        self.limit = limit
        self.forgotten = 0
        self._until: dict[Target, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def failed(self, target: Target, retry_after: float | None = None) -> None:
        """*target* did not serve.

        :param retry_after: for how many seconds it asked to be left alone; by default the duration counts.
        """
        self._until.pop(target, None)
        while len(self._until) >= self.limit:
            del self._until[next(iter(self._until))]
            self.forgotten += 1
        self._until[target] = self._now() + (self.duration if retry_after is None else retry_after)

    def succeeded(self, target: Target) -> None:
        """*target* serves."""
        if self._until:
            self._until.pop(target, None)

    def left(self, target: Target) -> float:
        """For how many seconds more *target* is passed over; 0 for one that is not."""
        until = self._until.get(target)
        if until is None:
            return 0.0
        left = until - self._now()
        if left <= 0:
            del self._until[target]
            return 0.0
        return left

    def sort(self, targets: Iterable[Target]) -> list[Target]:
        """*targets*, those that are dead at the end; otherwise in their order."""
        given = list(targets)
        if not self._until:
            return given
        dead = [target for target in given if self.left(target)]
        return [target for target in given if target not in dead] + dead
