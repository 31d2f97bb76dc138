"""What the tests of subscriptions, publications and transfers with real peers share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import InvalidOperation
from tests.interop.calls import CallTestCase
from tests.interop.peers.program import until
from tests.interop.support import reactor

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import Notification, RealTimeEndpoint, Response, Subscription
    from tests.interop.support import Party

__all__ = ["EventTestCase", "Watch"]


class Watch:
    """One subscription of ours, and all that it was told.

    :ivar subscription: the subscription.
    :ivar heard: its notifications, in order.
    :ivar states: the names of its states, in order.
    """

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.heard: list[Notification] = []
        self.states: list[str] = []
        self._taken = 0
        subscription.notification_received.subscribe(self.heard.append)
        subscription.state_changed.subscribe(lambda change: self.states.append(change.state.name))

    async def next(self, seconds: float = 15.0) -> Notification:
        """The next notification that this call has not returned yet."""
        what = f"notification {self._taken}; there were {self.heard} {self.states}"
        await until(reactor, lambda: len(self.heard) > self._taken, seconds, what)
        self._taken += 1
        return self.heard[self._taken - 1]

    async def reaches(self, state: str, seconds: float = 15.0) -> None:
        """Wait until it is in *state*."""
        subscription = self.subscription
        await until(reactor, lambda: subscription.state.name == state, seconds, f"{state}; there was {self.states}")

    async def refresh(self) -> Response:
        """Refresh it, as soon as its last SUBSCRIBE is answered, which a NOTIFY may overtake; the response."""
        refreshes: list[Deferred[Response]] = []

        def begun() -> bool:
            try:
                refreshes.append(self.subscription.refresh())
            except InvalidOperation as error:
                if not error.retryable:
                    raise
                return False
            return True

        await until(reactor, begun, 15.0, "the answer to the last SUBSCRIBE")
        return await refreshes[0]

    async def says(self, words: str, seconds: float = 15.0) -> Notification:
        """The next notification that this call has not returned yet and whose body has *words* in it."""
        while True:
            notification = await self.next(seconds)
            if words in (notification.text or ""):
                return notification


class EventTestCase(CallTestCase):
    """A test of what lives on beside sessions. When it is over, no party of ours has any of it left either."""

    def left(self, party: Party) -> dict[str, int]:
        """What *party* still has of calls, subscriptions and the like."""
        inventory = party.manager.inventory()
        names = ("subscriptions", "notifiers", "publications", "referrals")
        return super().left(party) | {name: inventory[name] for name in names if inventory[name]}

    async def watch(self, endpoint: RealTimeEndpoint, target: str, event: str, **options: Any) -> Watch:
        """A subscription that stands."""
        watch = Watch(endpoint.create_subscription(target, event, **options))
        await watch.subscription.start()
        return watch
