"""Databases for the tests of outboxes: in the thread of the test, and with disks that misbehave."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

from sip_p2p.errors import OutboxFailed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NowDatabase"]


class NowDatabase:
    """A file that is used at once.

    :ivar refused: the names of the functions that fail, as on a full disk.
    :ivar done: the names of the functions that were called, in order.
    """

    def __init__(self, path: str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.refused: set[str] = set()
        self.done: list[str] = []

    def run(self, function: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Call it now."""
        if function.__name__ in self.refused:
            return fail(OutboxFailed("the outbox cannot be written: database or disk is full"))
        self.done.append(function.__name__)
        return maybeDeferred(function, self.connection, *arguments)

    def close(self) -> Deferred[None]:
        """Close it now."""
        self.connection.close()
        return succeed(None)
