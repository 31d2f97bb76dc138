"""Small readings of a message."""

from __future__ import annotations

from sip_p2p.sip.headers import Headers
from sip_p2p.sip.readings import could_accept, is_optional, only_via, seconds_of, short_key, warning_value
from tests.support import SynchronousTestCase


class ReadingTests(SynchronousTestCase):
    """:mod:`sip_p2p.sip.readings`."""

    def test_keys(self) -> None:
        """A long key is kept as a digest, a short one as it is (fault:H7)."""
        self.assertEqual(short_key("x" * 256), "x" * 256)
        long = short_key("x" * 257)
        self.assertEqual(len(long), 64)
        self.assertNotEqual(long, short_key("x" * 258))

    def test_only_via(self) -> None:
        """Two Vias are too many, in one field or in two (RFC 3261 section 8.1.3.3)."""
        one, two = "SIP/2.0/TLS a.example;branch=z9hG4bK1", "SIP/2.0/TLS b.example;branch=z9hG4bK2"
        self.assertEqual(only_via(Headers([("Via", one)])), one)
        quoted = one + ';x=","'
        self.assertEqual(only_via(Headers([("Via", quoted)])), quoted)
        for headers in (Headers(), Headers([("Via", one), ("Via", two)]), Headers([("Via", f"{one}, {two}")])):
            self.assertIsNone(only_via(headers))

    def test_warning(self) -> None:
        """What a peer wrote cannot leave the quotes of our Warning (fault:B4)."""
        self.assertEqual(warning_value('a"b\r\nc'), '399 sip_p2p "a\'b/r/nc"')

    def test_bodies(self) -> None:
        """Accept and Content-Disposition, where there is one (RFC 3261 sections 8.2.3 and 20.1)."""
        self.assertTrue(could_accept(Headers()))
        self.assertTrue(could_accept(Headers([("Accept", "application/sdp")])))
        self.assertFalse(could_accept(Headers([("Accept", "text/plain")])))
        for described, expected in (("application/own;v=1", True), ("application/other", False)):
            headers = Headers([("Accept", "application/own"), ("Content-Type", described)])
            self.assertIs(could_accept(headers), expected)
        self.assertFalse(is_optional(Headers()))
        self.assertTrue(is_optional(Headers([("Content-Disposition", "render;handling=optional")])))

    def test_seconds(self) -> None:
        """What cannot be read counts as not said (RFC 3261 sections 20.19 and 20.33, fault:B1)."""
        headers = Headers([("Expires", "60"), ("Retry-After", "5 (later);duration=3600"), ("Min-Expires", "soon")])
        self.assertEqual(seconds_of(headers, "Expires", 3600), 60)
        self.assertEqual(seconds_of(headers, "Retry-After"), 5)
        self.assertEqual((seconds_of(headers, "Min-Expires", 7), seconds_of(headers, "Min-SE", 8)), (7, 8))
