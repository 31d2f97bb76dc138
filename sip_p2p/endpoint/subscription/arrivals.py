"""Notifications that wait for the application (row J8): a bounded queue that ends.

Where a notification says everything, a newer one says all that an older one did: over the bound the oldest is given up,
and counted.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, final

from twisted.internet.defer import Deferred

from sip_p2p.errors import InvalidOperation

if TYPE_CHECKING:
    from sip_p2p.endpoint.subscription.notification import Notification

__all__ = ["Arrivals"]


@final
class Arrivals:
    """What has come and was not taken.

    :ivar bound: how many wait at most.
    :ivar dropped: how many were given up.
    :ivar is_read: whether somebody has begun to take them.
    """

    __slots__ = ("_error", "_is_over", "_waiter", "_waiting", "bound", "dropped", "is_read")

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.dropped = 0
        self.is_read = False
        self._waiting: deque[Notification] | None = None
        self._waiter: Deferred[Notification] | None = None
        self._is_over = False
        self._error: BaseException | None = None

    def __len__(self) -> int:
        return 0 if self._waiting is None else len(self._waiting)

    def put(self, notification: Notification) -> bool:
        """One has come; return whether there was room for it without giving up another one."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(notification)
            return True
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(notification)
        if len(self._waiting) <= self.bound:
            return True
        self._waiting.popleft()
        self.dropped += 1
        return False

    def forget(self) -> None:
        """Somebody else has taken what waits."""
        self._waiting = None

    def end(self, error: BaseException | None) -> None:
        """No more will come.

        :param error: what whoever takes the next one after the last gets to know; None for a proper end.
        """
        self._is_over, self._error = True, error
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.errback(StopAsyncIteration() if error is None else error)

    def take(self) -> Deferred[Notification]:
        """The next one, as soon as it is there; fails with :class:`StopAsyncIteration` after the last.

        :raises InvalidOperation: while somebody else waits for it.
        """
        if self._waiter is not None:
            raise InvalidOperation("somebody waits for the next notification already")
        taken: Deferred[Notification] = Deferred(self._cancelled)
        self.is_read = True
        if self._waiting:
            taken.callback(self._waiting.popleft())
        elif self._is_over:
            taken.errback(StopAsyncIteration() if self._error is None else self._error)
        else:
            self._waiter = taken
        return taken

    def _cancelled(self, _: Deferred[Notification]) -> None:
        """Whoever waited does so no longer."""
        self._waiter = None
