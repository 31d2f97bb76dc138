"""Events: something happened, and whoever subscribed is told (rows B2, B6, B11).

Handlers run on the reactor's thread, in the order in which they subscribed, before the operation that caused the event
completes. One that raises is logged with its traceback and keeps nobody else from being told; a coroutine is run, and
nobody waits for it. Handlers may subscribe and unsubscribe while an event is told: that counts from the next event on.
"""

from __future__ import annotations

import enum
from inspect import iscoroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar, final

from twisted.internet.defer import Deferred

from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from sip_p2p.transport.throttle import LogBounds

__all__ = ["EndpointState", "Event", "StateChanged", "StateReason"]

T = TypeVar("T")
H = TypeVar("H", bound="Callable[[Any], Any]")


def _key(handler: Callable[[Any], object]) -> object:
    """What a handler is found by: itself, or its place in memory where it cannot be hashed."""
    try:
        hash(handler)
    except TypeError:
        return id(handler)
    return handler


class Event(Generic[T]):
    """Something that can happen, and the handlers that want to know.

    ``event.subscribe(handler)`` returns the handler, so it can be written as a decorator.
    """

    __slots__ = ("_bounds", "_changed", "_handlers", "_log", "_told")

    def __init__(self, changed: Callable[[], None] | None = None, *, log_bounds: LogBounds | None = None) -> None:
        """
        :param changed: called when the first handler comes and when the last one goes.
        :param log_bounds: how much is logged of handlers that raise.
        """
        self._bounds = log_bounds
        self._handlers: dict[object, Callable[[T], object]] = {}
        # The same in a row, for the events that come; None when it is to be made anew.
        self._told: tuple[Callable[[T], object], ...] | None = ()
        self._changed = changed
        self._log: ThrottledLog | None = None

    @property
    def handlers(self) -> tuple[Callable[[T], object], ...]:
        """Who is told, in order."""
        told = self._told
        if told is None:
            told = self._told = tuple(self._handlers.values())
        return told

    def subscribe(self, handler: H) -> H:
        """Tell *handler* from the next event on; the same one may subscribe once.

        :raises TypeError: when it cannot be called.
        :raises ValueError: when it has subscribed already.
        """
        if not callable(handler):
            raise TypeError(f"a handler must be callable, not {type(handler).__name__}")
        key = _key(handler)
        if key in self._handlers:
            raise ValueError("this handler has subscribed already")
        self._handlers[key] = handler
        self._told = None
        if len(self._handlers) == 1 and self._changed is not None:
            self._changed()
        return handler

    def unsubscribe(self, handler: Callable[[T], object]) -> None:
        """Do not tell *handler* any more; nothing happens when it never subscribed."""
        if self._handlers.pop(_key(handler), None) is not None:
            self._told = None
            if not self._handlers and self._changed is not None:
                self._changed()

    def tell(self, event: T) -> None:
        """Tell every handler; what they return does not matter, but for a coroutine, which is run."""
        for handler in self.handlers:
            try:
                result = handler(event)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._failed(None, type(event).__name__)
                continue
            if iscoroutine(result):
                Deferred.fromCoroutine(result).addErrback(self._failed, type(event).__name__)

    def _failed(self, failure: Failure | None, event: str) -> None:
        """A handler raised; as peers may cause the event, the log does not have each time."""
        log = self._log
        if log is None:
            log = self._log = ThrottledLog("sip_p2p.endpoint.events", monotonic, self._bounds)
        log.failure("a handler of {event} raised", failure, event=event)

    def __bool__(self) -> bool:
        return bool(self._handlers)


class EndpointState(enum.Enum):
    """Whether peers can connect to an endpoint. One that only sends stays ``DISCONNECTED`` and works (row B4)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTING = "disconnecting"
    DISCONNECTED = "disconnected"


class StateReason(enum.Enum):
    """Why an endpoint's state changed (row B3)."""

    LISTENING = "listening"
    STOPPED_LISTENING = "stopped_listening"
    NO_LISTENING_ADDRESSES = "no_listening_addresses"
    UNABLE_TO_LISTEN = "unable_to_listen"
    TERMINATED_LOCALLY = "terminated_locally"


@final
class StateChanged:
    """An endpoint went from one state to another."""

    __slots__ = ("previous_state", "reason", "state")

    def __init__(self, previous_state: EndpointState, state: EndpointState, reason: StateReason) -> None:
        self.previous_state = previous_state
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        return f"<StateChanged {self.previous_state.value} -> {self.state.value}: {self.reason.value}>"
