"""Notifications that wait (row J8)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import InvalidOperation, Notification
from sip_p2p.endpoint.subscription.arrivals import Arrivals
from sip_p2p.sip.event.subscription_state import SubscriptionStateValue
from sip_p2p.sip.message import Request


def notification(text: str = "") -> Notification:
    """One with this body."""
    fields = [("Content-Type", "text/plain")] if text else []
    request = Request("NOTIFY", "sip:a@a.example", fields, text.encode())
    return Notification(request, SubscriptionStateValue.of("active"))


class ArrivalsTests(SynchronousTestCase):
    """A queue that ends."""

    def test_order(self) -> None:
        """What came first is taken first; who is early waits. row:J8"""
        arrivals = Arrivals(3)
        first, second = notification("1"), notification("2")
        self.assertTrue(arrivals.put(first))
        self.assertEqual(len(arrivals), 1)
        self.assertIs(self.successResultOf(arrivals.take()), first)
        waiting = arrivals.take()
        self.assertRaises(InvalidOperation, arrivals.take)
        arrivals.put(second)
        self.assertIs(self.successResultOf(waiting), second)

    def test_bound(self) -> None:
        """Over the bound the oldest is given up. row:J8"""
        arrivals = Arrivals(2)
        self.assertEqual([arrivals.put(notification(str(number))) for number in range(3)], [True, True, False])
        self.assertEqual((arrivals.dropped, self.successResultOf(arrivals.take()).body), (1, b"1"))

    def test_end(self) -> None:
        """The end comes after what waits; it is an error where there was one. row:J8"""
        arrivals = Arrivals(2)
        arrivals.put(notification("1"))
        arrivals.end(None)
        self.successResultOf(arrivals.take())
        self.failureResultOf(arrivals.take(), StopAsyncIteration)
        arrivals = Arrivals(2)
        waiting = arrivals.take()
        arrivals.end(ValueError("gone"))
        self.failureResultOf(waiting, ValueError)
        self.failureResultOf(arrivals.take(), ValueError)

    def test_cancelled(self) -> None:
        """Who waits no longer takes nothing from the next one."""
        arrivals = Arrivals(2)
        waiting = arrivals.take()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        arrivals.put(notification("1"))
        self.assertEqual(self.successResultOf(arrivals.take()).body, b"1")

    @given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
    def test_nothing_lost(self, steps: list[bool], bound: int) -> None:
        """All that came was taken, waits, or is counted as given up. row:J8"""
        arrivals, taken, put = Arrivals(bound), 0, 0
        for is_put in steps:
            if is_put:
                arrivals.put(notification(str(put)))
                put += 1
            elif len(arrivals):
                self.successResultOf(arrivals.take())
                taken += 1
        self.assertEqual(put, taken + len(arrivals) + arrivals.dropped)
        self.assertLessEqual(len(arrivals), bound)
