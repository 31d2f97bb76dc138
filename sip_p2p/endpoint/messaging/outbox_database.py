"""The one thread in which the file of an outbox is used (``twisted.enterprise.adbapi``).

There is one connection, so what is asked for is done in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final

from twisted.enterprise.adbapi import ConnectionPool

from sip_p2p.endpoint.messaging.outbox_store import make_private

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred

__all__ = ["Database", "OutboxDatabase"]

T = TypeVar("T")

_PATIENCE = 1.0
"""How long another process may have the file for a moment, in seconds."""


class Database(Protocol):
    """Where an outbox has its messages."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call *function* with the connection and *arguments*; functions are called one after the other, in order."""

    def close(self) -> Deferred[None]:
        """Close the file, after what was asked for."""


@final
class OutboxDatabase:
    """The file of an outbox on the disk."""

    __slots__ = ("_pool",)

    def __init__(self, reactor: Any, path: str) -> None:
        """
        :raises OutboxFailed: when the file cannot be had.
        """
        make_private(path)
        self._pool: Any = ConnectionPool(
            "sqlite3",
            path,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,
            cp_noisy=False,
            # It is closed by the reactor's thread, after the other one has ended.
            check_same_thread=False,
            isolation_level=None,
            timeout=_PATIENCE,
        )

    def run(self, function: Callable[..., T], *arguments: Any) -> Deferred[T]:
        """Call *function* in the thread."""
        done: Deferred[T] = self._pool.runWithConnection(function, *arguments)
        return done

    def close(self) -> Deferred[None]:
        """Let the thread end, and close the file."""
        last: Deferred[None] = self._pool.runWithConnection(_nothing)
        return last.addBoth(self._end)

    def _end(self, _: object) -> None:
        self._pool.close()


def _nothing(_: Any) -> None:
    """What is done last."""
