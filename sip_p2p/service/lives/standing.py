"""The subscriptions that ``--subscribe`` asks for: they begin with the service, and begin again after whatever ends
them, unless that says that it is of no use (RFC 6665 section 4.1.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.logger import Logger

from sip_p2p.errors import SipError
from sip_p2p.observe.text import printable
from sip_p2p.service.parts import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.endpoint.subscription.subscription import Subscription

__all__ = ["PAUSE", "StandingSubscriptions"]

PAUSE = 300.0
"""Seconds after which one is begun again that was refused: nobody sits beside a service to do so."""

_FOR_GOOD = frozenset(("rejected", "noresource", "invariant"))

_log = Logger("sip_p2p.service")


@final
class StandingSubscriptions(Part):
    """Subscribes *endpoint* while the service runs; the end of the party ends them.

    :param wanted: event and URI of each.
    :param begun: told of each that has begun.
    """

    def __init__(
        self,
        endpoint: RealTimeEndpoint,
        wanted: Iterable[tuple[str, str]],
        begun: Callable[[Subscription], object],
    ) -> None:
        self._endpoint = endpoint
        self._wanted = tuple(wanted)
        self._begun = begun
        self._standing: dict[object, tuple[str, str]] = {}
        self._timers: dict[tuple[str, str], Any] = {}
        self._is_running = False

    def started(self) -> None:
        """Subscribe to all of them."""
        self._is_running = True
        self._endpoint.connection_manager.lives.ended.subscribe(self._gone)
        for each in self._wanted:
            self._begin(each)

    def _begin(self, wanted: tuple[str, str]) -> None:
        self._timers.pop(wanted, None)
        event, uri = wanted
        try:
            subscription = self._endpoint.create_subscription(uri, event, retry="always")
            # What comes is told as an event: none is to wait here for somebody who iterates.
            subscription.notification_received.subscribe(_heard)
            self._standing[subscription] = wanted
            starting = subscription.start()
        except (SipError, ValueError) as error:
            words = printable(str(error), 256)
            _log.error("--subscribe {event}={uri}: {words}", event=event, uri=printable(uri), words=words)
            return
        # That it came to nothing was told.
        starting.addErrback(lambda _: None)
        self._begun(subscription)

    def _gone(self, life: Any) -> None:
        wanted = self._standing.pop(life, None)
        if wanted is not None and self._is_running and life.reason not in _FOR_GOOD:
            reactor: Any = self._endpoint.connection_manager.reactor
            self._timers[wanted] = reactor.callLater(PAUSE, self._begin, wanted)

    def stopping(self) -> None:
        """Begin none any more."""
        self._is_running = False
        timers, self._timers = self._timers, {}
        for timer in timers.values():
            timer.cancel()

    def ended(self) -> None:
        """The party is gone."""
        self.stopping()
        self._endpoint.connection_manager.lives.ended.unsubscribe(self._gone)


def _heard(notification: Notification) -> None:
    """It was told as an event."""
