"""The shapes of what lives on beside sessions."""

from __future__ import annotations

from sip_p2p.endpoint.messaging.outbox_entry import OutboxState
from sip_p2p.endpoint.registration.states import RegistrationState
from sip_p2p.endpoint.subscription.states import SubscriptionState
from sip_p2p.service.http.life_shapes import (
    LIFE_SHAPES,
    OUTBOX_STATE,
    PUBLICATION_STATE,
    SUBSCRIBER_STATE,
    SUBSCRIPTION_STATE,
)
from sip_p2p.sip.event.notifier import NotifierState
from sip_p2p.sip.event.publisher import PublicationState
from tests.support import SynchronousTestCase


class ShapeTests(SynchronousTestCase):
    """The states are those of the library."""

    def test_states(self) -> None:
        """No state is missing, and none is made up."""
        for shape, kind in (
            (SUBSCRIPTION_STATE, SubscriptionState),
            (SUBSCRIBER_STATE, NotifierState),
            (PUBLICATION_STATE, PublicationState),
            (LIFE_SHAPES["Registration"]["properties"]["state"], RegistrationState),
        ):
            self.assertEqual(shape["enum"], [each.name.lower() for each in kind])
        self.assertEqual(set(OUTBOX_STATE["enum"]), {each.value for each in OutboxState})
