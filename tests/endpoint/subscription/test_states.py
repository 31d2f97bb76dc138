"""The states of a subscription."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import SubscriptionState, SubscriptionStateChanged


class StateTests(SynchronousTestCase):
    """What is told of a change."""

    def test_states(self) -> None:
        """There are UCMA's six. row:J2"""
        names = ["IDLE", "SUBSCRIBING", "SUBSCRIBED", "WAITING_FOR_RETRY", "TERMINATING", "TERMINATED"]
        self.assertEqual([state.name for state in SubscriptionState], names)

    def test_change(self) -> None:
        """A change says from where to where, and why."""
        error = ValueError("x")
        change = SubscriptionStateChanged(SubscriptionState.SUBSCRIBED, SubscriptionState.TERMINATED, "rejected", error)
        self.assertEqual((change.reason, change.error), ("rejected", error))
        self.assertEqual(repr(change), "<SubscriptionStateChanged SUBSCRIBED -> TERMINATED>")
