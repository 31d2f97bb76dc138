"""The rows for what lives on beside sessions."""

from __future__ import annotations

from sip_p2p.service.http.life_table import LIFE_ROUTES
from sip_p2p.service.http.table import ROUTES
from tests.support import SynchronousTestCase


class LifeTableTests(SynchronousTestCase):
    """The rows as values."""

    def test_in_the_table(self) -> None:
        """All of them stand in the one table, and need a token where one is needed."""
        self.assertTrue(set(LIFE_ROUTES) <= set(ROUTES))
        self.assertFalse(any(route.is_open for route in LIFE_ROUTES))

    def test_what_sends_may_be_repeated(self) -> None:
        """Whatever begins something takes an Idempotency-Key, the outbox apart, whose messages have ids."""
        for route in LIFE_ROUTES:
            if route.method == "POST" and 201 in route.replies:
                self.assertIn("Idempotency-Key", [each.name for each in route.parameters], route.path)
