"""What the tests of subscriptions share: a party with something to watch, and one who watches it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p import Subscription
from sip_p2p.endpoint.subscription.package import EventPackage
from tests.endpoint.support import PartyTestCase

if TYPE_CHECKING:
    from sip_p2p import IncomingRequest, Notification, Request
    from sip_p2p.endpoint.subscription.server import ServerSubscription

__all__ = ["Gauge", "WatchTestCase"]


class Gauge(EventPackage):
    """A number that changes.

    :ivar verdict: what is said to who wants to know it.
    :ivar asked: the SUBSCRIBEs that came.
    """

    name = "x-gauge"
    content_types = ("text/plain",)
    minimum_expires = 1

    def __init__(self) -> None:
        self.value = 0
        self.verdict: Any = True
        self.asked: list[Request] = []

    def authorise(self, request: IncomingRequest) -> Any:
        """As the test says."""
        return self.verdict

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes]:
        """The number."""
        return "text/plain", str(self.value).encode()

    def subscribed(self, subscription: ServerSubscription, request: IncomingRequest) -> None:
        """Note it."""
        self.asked.append(request.request)

    def refreshed(self, subscription: ServerSubscription, request: Request) -> None:
        """Note it."""
        self.asked.append(request)

    def show(self, value: int) -> None:
        """Another number."""
        self.value = value
        self.changed()


class WatchTestCase(PartyTestCase):
    """Bob has a gauge, and Alice watches it."""

    def setUp(self) -> None:
        """The gauge."""
        super().setUp()
        self.gauge = Gauge()
        self.bob.packages.add(self.gauge)

    def watch(self, **arguments: Any) -> Subscription:
        """A subscription of Alice's that stands, its first notification taken."""
        subscription = self.run_until(self.alice.subscribe("sip:bob@b.example", "x-gauge", **arguments))
        assert isinstance(subscription, Subscription)
        self.assertEqual(self.next(subscription).body, str(self.gauge.value).encode())
        return subscription

    def next(self, subscription: Subscription) -> Notification:
        """The next notification."""
        return self.run_until(subscription.__anext__())  # type: ignore[return-value]

    @property
    def theirs(self) -> ServerSubscription:
        """The subscription as Bob has it."""
        [subscription] = self.gauge.subscribers
        return subscription

    def assert_nothing_left(self) -> None:
        """Neither side has anything of a subscription any more."""
        self.network.advance(1)
        for party in (self.alice, self.bob):
            inventory = party.connection_manager.inventory()
            names = ("subscriptions", "notifiers", "dialogs", "errands", "leases", "appointments")
            self.assertEqual([inventory[name] for name in names], [0] * 6, party)
