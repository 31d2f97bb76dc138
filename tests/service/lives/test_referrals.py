"""REFERs that wait."""

from __future__ import annotations

from sip_p2p.service.lives.referrals import PATIENCE, WaitingReferrals
from tests.service.lives.support import LedgerCase


class WaitingTests(LedgerCase):
    """A peer refers us, and somebody else decides."""

    def setUp(self) -> None:
        """They wait."""
        super().setUp()
        manager = self.ours.connection_manager
        self.waiting = WaitingReferrals(manager.reactor, manager.lives)
        self.ours.refer_received.subscribe(self.waiting.wait)
        self.referring = self.theirs.refer("sip:user@a.example", "sip:carol@c.example")
        self.network.advance(1)

    def test_time_is_up(self) -> None:
        """fault:D5: what nobody decides about is declined while its sender still waits."""
        self.assertEqual(len(self.waiting), 1)
        self.network.advance(PATIENCE)
        self.assertEqual(self.failureResultOf(self.referring).value.response.status, 603)
        self.assertEqual(len(self.waiting), 0)
        self.waiting.close()

    def test_closed(self) -> None:
        """Nothing waits, and no timer runs, once it is closed."""
        self.waiting.close()
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(self.referring).value.response.status, 603)
