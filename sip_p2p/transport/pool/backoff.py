"""How long to leave a place alone where nobody could be reached: longer each time, and never for everybody alike.

The algorithm is that of RFC 5626 section 4.5: after each failure in a row the upper bound doubles, up to a longest, and
the wait is drawn between half of it and all of it, so that those who lost the same peer at once do not come back at
once. Its default times, half a minute to half an hour, are made for a registrar and a million telephones; a peer of
ours is tried again much sooner.

Pure: time and chance are passed in.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar, final

from sip_p2p.errors import ConnectionFailure, TlsFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Backoff"]

K = TypeVar("K", bound="Hashable")


@final
class _Failed:
    """What is remembered of one place."""

    __slots__ = ("error", "in_a_row", "until")

    def __init__(self, in_a_row: int, until: float, error: ConnectionFailure) -> None:
        self.in_a_row = in_a_row
        self.until = until
        self.error = error


@final
class Backoff(Generic[K]):
    """Which places have failed lately, why, and when each is tried again.

    :ivar forgotten: how many had to make place.
    """

    __slots__ = ("_bounds", "_chance", "_failed", "forgotten")

    def __init__(self, bounds: Callable[[], tuple[float, float, int]], chance: Callable[[], float]) -> None:
        """
        :param bounds: asked at each failure, as they may change meanwhile: the upper bound of the wait after one
            failure, in seconds; that after any number of them; and how many places are remembered, beyond which the
            one that failed longest ago is tried again at once.
        :param chance: a number from 0 to 1, another one each time.
        """
        self._bounds = bounds
        self._chance = chance
        self.forgotten = 0
        self._failed: OrderedDict[K, _Failed] = OrderedDict()

    def __len__(self) -> int:
        return len(self._failed)

    def failed(self, place: K, error: ConnectionFailure, now: float) -> float:
        """Nobody could be reached at *place*; returns for how many seconds it is left alone."""
        first, longest, limit = self._bounds()
        before = self._failed.pop(place, None)
        # One that was left alone for long enough after its last failure begins anew.
        in_a_row = 1 if before is None or now - before.until > longest else before.in_a_row + 1
        # More doublings than these reach any bound.
        upper = min(longest, first * 2.0 ** min(in_a_row - 1, 64))
        wait = upper * (0.5 + 0.5 * self._chance())
        self._failed[place] = _Failed(in_a_row, now + wait, _without_frames(error))
        if len(self._failed) > limit:
            self._failed.popitem(last=False)
            self.forgotten += 1
        return wait

    def refusal(self, place: K, now: float) -> ConnectionFailure | None:
        """Why *place* is not to be tried now: its last failure again, with ``retry_after`` set; None when it may
        be."""
        failed = self._failed.get(place)
        if failed is None or failed.until <= now:
            return None
        return _again(failed.error, failed.until - now)

    def wait(self, place: K, now: float) -> float:
        """For how many seconds *place* is still left alone; 0 when it may be tried."""
        failed = self._failed.get(place)
        return 0.0 if failed is None else max(0.0, failed.until - now)

    def succeeded(self, place: K) -> None:
        """Somebody was reached at *place*: the next failure there is the first one."""
        self._failed.pop(place, None)

    def clear(self) -> None:
        """Forget every failure: what they were about has changed."""
        self._failed.clear()


def _without_frames(error: ConnectionFailure) -> ConnectionFailure:
    """The same failure without its traceback, which would keep alive what it came through."""
    if isinstance(error, TlsFailure):
        return TlsFailure(
            error.reason, error.peer, error.certificate, detail=error.detail, alert=error.alert, errors=error.errors
        )
    return ConnectionFailure(str(error))


def _again(error: ConnectionFailure, wait: float) -> ConnectionFailure:
    """The same failure for somebody who comes *wait* seconds too early."""
    note = f"failed a moment ago, and is tried again in {wait:.1f} s"
    again: ConnectionFailure
    if isinstance(error, TlsFailure):
        detail = f"{error.detail}; {note}" if error.detail else note
        again = TlsFailure(
            error.reason, error.peer, error.certificate, detail=detail, alert=error.alert, errors=error.errors
        )
    else:
        again = ConnectionFailure(f"{str(error).rstrip('.')}; {note}")
    again.retry_after = wait
    return again
