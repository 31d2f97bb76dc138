"""Alice's packages, and Bob who watches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.endpoint.support import PartyTestCase

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.subscription.notification import Notification

__all__ = ["WatchingTestCase"]


class WatchingTestCase(PartyTestCase):
    """Somebody subscribes, and what it is told is kept."""

    def watch(
        self,
        event: str,
        target: str = "sip:alice@a.example",
        who: SipPeerToPeerEndpoint | None = None,
        **arguments: Any,
    ) -> list[Notification]:
        """What *who*, by default Bob, is told from now on, the first notification among it."""
        seen: list[Notification] = []
        subscription = (who or self.bob).create_subscription(target, event, **arguments)
        subscription.notification_received.subscribe(seen.append)
        self.run_until(subscription.start())
        return seen

    def documents(self, seen: list[Notification]) -> list[Any]:
        """What the bodies say; None for those without one."""
        return [cast("Any", each.document) if each.body else None for each in seen]
