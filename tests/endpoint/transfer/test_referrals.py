"""To whom the REFERs go that come within sessions."""

from __future__ import annotations

from typing import Any

from tests.endpoint.transfer.support import CAROL, TransferTestCase


class InSessionTests(TransferTestCase):
    """A REFER within a session."""

    def refer_received(self, referral: Any) -> None:
        """Bob declines in his own way."""
        self.referrals.append(referral)
        referral.decline(488)

    def test_who_listens(self) -> None:
        """Those who want to hear of REFERs are asked, with the session that it came in (row:I5)."""
        session, theirs = self.call()
        heard: list[Any] = []
        self.bob.connection_manager.dispatch.heard.subscribe(heard.append)
        theirs.request_received.subscribe(heard.append)
        self.assertEqual(self.status_of(session.refer(CAROL)), 488)
        self.assertIs(self.referrals[0].session, theirs)
        self.assertIs(self.referrals[0].target_session, theirs)
        [(incoming, where)] = heard
        self.assertEqual((incoming.method, where), ("REFER", theirs))
        self.run_until(session.terminate())

    def test_others(self) -> None:
        """Where nobody does, whoever takes the session's other requests has it (row:H25)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        session, theirs = self.call()
        theirs.request_received.subscribe(lambda event: 501)
        self.assertEqual(self.status_of(session.refer(CAROL)), 501)
        self.run_until(session.terminate())

    def test_nobody(self) -> None:
        """Where nobody takes anything it is declined (row:I5, fault:D5)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        session, _ = self.call()
        self.assertEqual(self.status_of(session.refer(CAROL)), 603)
        self.run_until(session.terminate())

    def test_a_flood(self) -> None:
        """A peer that has far too many waiting is asked to come again (fault:D9)."""
        self.bob.refer_received.unsubscribe(self.refer_received)
        self.bob.refer_received.subscribe(lambda referral: referral.defer())
        session, _ = self.call()
        most = 4 * self.bob.connection_manager.limits.pending_requests
        waiting = [session.request("REFER", headers=[("Refer-To", CAROL)]) for _ in range(most + 1)]
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(waiting[-1]).value.status, 500)  # type: ignore[attr-defined]
        for each in waiting[:-1]:
            each.addErrback(lambda _: None)
        self.run_until(session.terminate())
        self.network.advance(1)
