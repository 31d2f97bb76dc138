"""What several rows of the table have in common."""

from __future__ import annotations

from sip_p2p.service.http.table_parts import KEY, LAST, SENDING, SENT, WAIT
from tests.support import SynchronousTestCase


class PartTests(SynchronousTestCase):
    """The parts as values."""

    def test_headers(self) -> None:
        """They are header fields, and whatever sends may be waited for and repeated."""
        self.assertEqual({each.place for each in (KEY, LAST, WAIT)}, {"header"})
        self.assertEqual([each.name for each in SENDING], ["Prefer", "Idempotency-Key"])
        self.assertEqual(set(SENT), {200, 202})
