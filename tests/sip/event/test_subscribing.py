"""What a subscriber is asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.event.subscribing import SubscriberOptions
from sip_p2p.sip.fields import EventValue


class OptionsTests(SynchronousTestCase):
    """What cannot be asked for is said at once."""

    def test_bounds(self) -> None:
        """Seconds from 0 to 2**32 - 1, and room for one fork and one NOTIFY at least."""
        event = EventValue("presence")
        for expires in (-1, 2**32):
            self.assertRaises(ValueError, SubscriberOptions, event, expires)
        self.assertRaises(ValueError, SubscriberOptions, event, max_forks=0)
        self.assertRaises(ValueError, SubscriberOptions, event, notify_burst=0)
        self.assertEqual(SubscriberOptions(event, 0).expires, 0)

    def test_accept(self) -> None:
        """Accept is read once, and what is none is refused."""
        chosen = SubscriberOptions(EventValue("presence"), accept="application/pidf+xml, text/*")
        self.assertEqual([str(each.subtype) for each in chosen.ranges], ["pidf+xml", "*"])
        self.assertRaises(MalformedMessage, SubscriberOptions, EventValue("presence"), accept="pidf")
