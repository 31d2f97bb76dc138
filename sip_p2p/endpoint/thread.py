"""The one thread that everything here belongs to: the reactor's (fault K7)."""

from __future__ import annotations

from twisted.python import threadable

from sip_p2p.errors import InvalidOperation

__all__ = ["check_thread"]


def check_thread() -> None:
    """Refuse a call from another thread than the reactor's.

    :raises InvalidOperation: with the remedy.
    """
    if getattr(threadable, "ioThread", None) is not None and not threadable.isInIOThread():
        raise InvalidOperation("called from another thread: use reactor.callFromThread or blockingCallFromThread")
