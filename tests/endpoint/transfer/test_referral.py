"""What becomes of our REFERs, as an application sees it."""

from __future__ import annotations

from sip_p2p import SignalingState
from sip_p2p.endpoint.transfer.states import ReferStatus
from tests.endpoint.transfer.support import ANSWER, CAROL, TransferTestCase, statuses


class ReferInSessionTests(TransferTestCase):
    """``session.refer``."""

    def test_followed(self) -> None:
        """The peer calls whom it was referred to, and tells how that goes (row:I1, row:I2, row:I6)."""
        session, _ = self.call()
        referral = self.network.run_until(session.refer(CAROL))
        told, reading = statuses(referral)
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.TRYING)
        self.at_carol[0].ring()
        self.network.advance(1)
        self.assertIs(referral.status, ReferStatus.PROGRESSING)
        self.at_carol[0].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(told, [100, 180, 200])
        self.successResultOf(reading)
        self.assertIs(referral.status, ReferStatus.SUCCEEDED)
        self.assertEqual(self.successResultOf(referral.when_final()).status, 200)
        self.assertIs(session.state, SignalingState.CONNECTED)
        for each in (session, self.at_carol[0]):
            self.run_until(each.terminate())
