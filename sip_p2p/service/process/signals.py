"""Signals of a running service: SIGHUP reads its files anew, and a second SIGTERM or SIGINT ends a stop at once.

The first SIGTERM or SIGINT is the reactor's own: it leads to the service's stop. Handlers of signals run between two
instructions of whatever the program is doing; all that is done here is therefore left to the reactor's next turn.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SignalReactor", "Signals"]


class SignalReactor(Protocol):
    """What is needed of a reactor here."""

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call it in the next turn."""

    def callWhenRunning(self, callable: Callable[..., object], *args: object, **kwargs: object) -> object:
        """Call it once the reactor runs."""


@final
class Signals:
    """The signals of one process, as long as the service in it lives.

    :param reload: called for each SIGHUP while the service runs.
    :param hurry: called for each SIGTERM or SIGINT while it stops.
    """

    __slots__ = ("_before", "_hurry", "_is_asked", "_is_ended", "_is_stopping", "_reactor", "_reload")

    def __init__(self, reactor: SignalReactor, reload: Callable[[], object], hurry: Callable[[], object]) -> None:
        self._reactor = reactor
        self._reload = reload
        self._hurry = hurry
        self._is_asked = False
        self._is_stopping = False
        self._is_ended = False
        self._before: dict[int, Any] = {}

    def started(self) -> None:
        """The service runs."""
        self._take(signal.SIGHUP, self._hung_up)
        # The reactor has its own handlers only once it runs.
        self._reactor.callWhenRunning(self._watch)

    def stopping(self) -> None:
        """The service stops: files are not read any more, and who asks again wants an end at once."""
        self._is_stopping = True
        for number in (signal.SIGTERM, signal.SIGINT):
            self._take(number, self._asked)

    def ended(self) -> None:
        """The service has ended: every signal is handled as it was before."""
        self._is_ended = True
        before, self._before = self._before, {}
        for number, handler in before.items():
            signal.signal(number, handler)

    def _watch(self) -> None:
        """Stand before the reactor's own handlers: it cannot be stopped twice in one turn."""
        for number in (signal.SIGTERM, signal.SIGINT):
            if not self._is_ended and callable(signal.getsignal(number)):
                self._take(number, self._asked)

    def _take(self, number: int, handler: Callable[..., None]) -> None:
        # Only the main thread may, and a reactor that runs elsewhere has its signals handled by somebody else.
        if threading.current_thread() is threading.main_thread() and number not in self._before:
            self._before[number] = signal.signal(number, handler)

    def _hung_up(self, *_: object) -> None:
        if not self._is_stopping:
            self._reactor.callFromThread(self._reload)

    def _asked(self, number: int, frame: object) -> None:
        if self._is_stopping:
            self._reactor.callFromThread(self._hurry)
        elif not self._is_asked:
            self._is_asked = True
            self._before[number](number, frame)
