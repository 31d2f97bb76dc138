"""Fetches, and subscriptions within a session (rows J1 and J4)."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from sip_p2p import (
    EndpointTerminated,
    InvalidOperation,
    Notification,
    SipPeerToPeerEndpoint,
    Subscription,
    SubscriptionState,
    SubscriptionTerminated,
)
from sip_p2p.endpoint.subscription.package import Verdict
from tests.endpoint.session.calls import CallTestCase
from tests.endpoint.subscription.watching import Gauge, WatchTestCase

BOB = "sip:bob@b.example"


class FetchTests(WatchTestCase):
    """The state, once."""

    def test_fetch(self) -> None:
        """The state comes once, and nothing is left. row:J4"""
        self.gauge.value = 42
        notification = self.run_until(self.alice.fetch(BOB, "x-gauge", body="which?"))
        assert isinstance(notification, Notification)
        self.assertEqual((notification.text, notification.is_terminated), ("42", True))
        self.assert_nothing_left()

    def test_refused(self) -> None:
        """What is refused is never tried again. row:J4"""
        self.gauge.verdict = Verdict.reject(480, retry_after=1)
        self.assertEqual(self.status_of(self.alice.fetch(BOB, "x-gauge")), 480)
        self.assertEqual(self.status_of(self.alice.fetch(BOB, "x-other")), 489)
        self.network.advance(40)
        self.assert_nothing_left()

    def test_cancelled(self) -> None:
        """It can be cancelled. row:J4"""
        waiting = self.alice.fetch(BOB, "x-gauge")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.advance(40)
        self.assert_nothing_left()

    def test_wrong(self) -> None:
        """A fetch has no duration, no queue and no retry."""
        for argument in ({"expires": 5}, {"retry": "always"}, {"queue": 5}, {"forked": print}):
            self.assertRaises(TypeError, self.alice.fetch, BOB, "x-gauge", **argument)
        self.assertRaises(ValueError, self.alice.subscribe, BOB, "x-gauge", expires=0)
        self.run_until(self.alice.terminate())
        self.failureResultOf(self.alice.fetch(BOB, "x-gauge"), EndpointTerminated)


class SessionTests(CallTestCase):
    """Within the dialog of a session (RFC 6665 section 4.5.2)."""

    def setUp(self) -> None:
        """Bob's gauge."""
        super().setUp()
        self.gauge = Gauge()
        self.bob.packages.add(self.gauge)

    def test_within(self) -> None:
        """It uses the session's dialog, and outlives the session. row:J1"""
        session, _ = self.call()
        subscription = self.run_until(session.subscribe("x-gauge", expires=600))
        assert isinstance(subscription, Subscription)
        self.assertEqual(self.gauge.asked[0].call_id, session.call_id)
        self.assertEqual(len(self.alice.connection_manager.core.dialogs), 1)
        self.run_until(session.terminate())
        self.network.advance(2)
        self.gauge.show(3)
        self.network.advance(400)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)
        self.assertEqual(len(self.gauge.asked), 2)
        self.run_until(subscription.terminate())
        self.network.advance(5)
        self.assertEqual(len(self.alice.connection_manager.core.dialogs), 0)

    def test_session_goes_on(self) -> None:
        """Its end leaves the session alone, and is final. row:J1"""
        session, theirs = self.call()
        subscription = self.run_until(session.subscribe("x-gauge"))
        assert isinstance(subscription, Subscription)
        self.gauge.subscribers[0].terminate("deactivated")
        self.network.advance(3)
        self.assertIsInstance(subscription.error, SubscriptionTerminated)
        self.assertTrue(subscription.is_over)
        self.assertFalse(session.is_over)
        self.run_until(session.terminate())
        self.assertTrue(theirs.is_over)
        self.assertRaises(InvalidOperation, session.subscribe, "x-gauge")

    def test_by_its_gruu(self) -> None:
        """A peer whose Contact is a GRUU is subscribed to by that, outside of the session. row:J1"""
        manager = self.alice.connection_manager
        self.alice = SipPeerToPeerEndpoint("sip:carol@a.example", manager, gruu="sip:7hs-5Rk@a.example;gr")
        gauge = Gauge()
        self.alice.packages.add(gauge)
        _, session = self.call()
        assert session.participant is not None
        self.assertRaises(InvalidOperation, session.subscribe, "x-gauge")
        gruu = session.participant.gruu
        assert gruu is not None
        subscription = self.run_until(self.bob.subscribe(gruu, "x-gauge"))
        assert isinstance(subscription, Subscription)
        self.assertEqual([request.uri_text for request in gauge.asked], ["sip:7hs-5Rk@a.example;gr"])
        self.assertNotEqual(gauge.asked[0].call_id, session.call_id)
        for each in (subscription, session):
            self.run_until(each.terminate())

    def test_wrong(self) -> None:
        """What only makes sense outside of a session is refused, and so is the same event twice."""
        session, _ = self.call()
        for argument in ({"retry": "always"}, {"from_": "sip:x@y.example"}, {"expires": 0}):
            self.assertRaises(TypeError, session.subscribe, "x-gauge", **argument)
        subscription = self.run_until(session.subscribe("x-gauge"))
        assert isinstance(subscription, Subscription)
        self.assertRaises(InvalidOperation, session.subscribe, "x-gauge")
        second = self.run_until(session.subscribe("x-gauge;id=2"))
        assert isinstance(second, Subscription)
        for each in (second, subscription):
            self.run_until(each.terminate())
        self.run_until(session.terminate())
