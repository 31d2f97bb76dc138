"""Which clock SIP's timers follow, and how to keep the wall clock out of them.

A Twisted reactor's own time is the wall clock: when somebody sets it, delayed calls fire early or not at all. SIP's
deadlines are kept on a monotonic scale, and a delayed call is only the alarm that wakes us to look at it. An alarm that
rings early is set again. One that a backward step keeps from ringing is noticed when the next message comes; for
certainty without traffic, a program that owns its process calls :func:`use_monotonic_time` once, as the service does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, cast

from twisted.internet.base import ReactorBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.base import DelayedCall
    from twisted.internet.interfaces import IReactorTime

__all__ = ["time_source", "use_monotonic_time"]


class _HasSeconds(Protocol):
    seconds: Callable[[], float]


def time_source(reactor: IReactorTime) -> Callable[[], float]:
    """The scale on which deadlines are kept: monotonic for a real reactor, its own time for one that a test
    advances."""
    return time.monotonic if isinstance(reactor, ReactorBase) else reactor.seconds


def use_monotonic_time(reactor: IReactorTime) -> None:
    """Make *reactor* itself follow the monotonic clock, so that a step of the wall clock moves none of its delayed
    calls.

    For programs that own their reactor: afterwards ``reactor.seconds()`` is not the time of day any more. Calls that
    are pending keep the time that they have left. Nothing happens for a reactor that is not a real one, or the second
    time.
    """
    if not isinstance(reactor, ReactorBase) or reactor.seconds is time.monotonic:
        return
    now = reactor.seconds()
    left = [(call, call.getTime() - now) for call in reactor.getDelayedCalls()]
    cast("_HasSeconds", reactor).seconds = time.monotonic
    for call, seconds in left:
        cast("DelayedCall", call).seconds = time.monotonic
        # Not by changing its time in place: the reactor keeps its calls in order, cancelled ones among them.
        call.reset(max(0.0, seconds))
