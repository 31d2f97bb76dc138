"""Tests of :mod:`sip_p2p.sip.event.usage`."""

from __future__ import annotations

from sip_p2p.sip.event.usage import NOTIFIER, SUBSCRIBER, usage_name
from sip_p2p.sip.fields import parse_event
from tests.support import SynchronousTestCase


class NameTests(SynchronousTestCase):
    """What tells the subscriptions of one dialog apart."""

    def test_names(self) -> None:
        """RFC 6665 section 8.2.1: package and id count, other parameters do not; and each side has its own."""
        self.assertEqual(usage_name(SUBSCRIBER, parse_event("refer;id=2;x=y")), "subscriber:refer;id=2")
        self.assertEqual(usage_name(NOTIFIER, parse_event("presence")), "notifier:presence")
        self.assertEqual(usage_name(NOTIFIER, parse_event("presence.winfo")), "notifier:presence.winfo")

    def test_example(self) -> None:
        """RFC 6665 section 8.2.1: its own example of what is the same and what is not, order and case among it."""
        name = usage_name(SUBSCRIBER, parse_event("foo; id=1234"))
        self.assertEqual(usage_name(SUBSCRIBER, parse_event("foo; param=abcd; id=1234")), name)
        for other in ("foo", "Foo; id=1234", "foo; id=1235"):
            self.assertNotEqual(usage_name(SUBSCRIBER, parse_event(other)), name, other)
        order = [usage_name(SUBSCRIBER, parse_event(text)) for text in ("presence.winfo.list", "presence.list.winfo")]
        self.assertEqual(len(set(order)), 2)
