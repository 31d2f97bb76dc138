"""Tests of :mod:`sip_p2p.sip.event.subscription_state`."""

from __future__ import annotations

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.event.subscription_state import SubscriptionStateValue, parse_subscription_state
from tests.support import SynchronousTestCase


class SubscriptionStateTests(SynchronousTestCase):
    """What a notifier says of a subscription."""

    def test_active(self) -> None:
        """RFC 6665 section 4.1.3: the time that is left stands beside the state."""
        value = parse_subscription_state("active;expires=3600")
        self.assertEqual((value.state, value.expires, value.reason, value.retry_after), ("active", 3600, "", None))
        self.assertFalse(value.is_terminated)

    def test_terminated(self) -> None:
        """Why it ended and when to come again are read without regard to case."""
        value = parse_subscription_state(" Terminated ; Reason=Probation ; retry-after=60")
        self.assertTrue(value.is_terminated)
        self.assertEqual((value.reason, value.retry_after), ("probation", 60))

    def test_extension(self) -> None:
        """Section 8.4: a state that nobody knows is that of a subscription that stands."""
        value = parse_subscription_state("waiting;x=y")
        self.assertFalse(value.is_terminated)
        self.assertEqual(dict(value.params), {"x": "y"})

    def test_unreadable_numbers(self) -> None:
        """A number that is none counts as missing: the subscription is there all the same."""
        value = parse_subscription_state("active;expires=soon;retry-after=-1")
        self.assertEqual((value.expires, value.retry_after), (None, None))

    def test_unreadable_parameters(self) -> None:
        """Parameters that cannot be read take nothing from the state, as in linphone's ``reason=reason=noresource``."""
        for text, state in (("terminated;reason=reason=noresource", "terminated"), ("active;;", "active")):
            value = parse_subscription_state(text)
            self.assertEqual((value.state, value.reason, dict(value.params)), (state, "", {}))

    def test_refused(self) -> None:
        """What is no state at all is malformed."""
        for text in ("", ";expires=1", "active expires=1", "act ive"):
            self.assertRaises(MalformedMessage, parse_subscription_state, text)

    def test_written(self) -> None:
        """What is written is read back as the same value."""
        for value in (
            SubscriptionStateValue.of("active", expires=10),
            SubscriptionStateValue.of("pending"),
            SubscriptionStateValue.of("terminated", reason="giveup", retry_after=5),
        ):
            again = parse_subscription_state(str(value))
            self.assertEqual(again, value)
            self.assertEqual(hash(again), hash(value))
        self.assertEqual(str(value), "terminated;reason=giveup;retry-after=5")
        self.assertNotEqual(value, "terminated;reason=giveup;retry-after=5")

    def test_not_written(self) -> None:
        """What cannot stand on the wire is refused where it is made."""
        self.assertRaises(ValueError, SubscriptionStateValue, "act ive")
        self.assertRaises(ValueError, SubscriptionStateValue.of, "terminated", reason="a\r\nb")
