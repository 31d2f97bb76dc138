"""Tests of Accept and its kin."""

from __future__ import annotations

from hypothesis import given, settings

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.accept import is_acceptable, parse_accept, parse_codings
from sip_p2p.sip.body import parse_media_type
from tests.sip.grammar import garbled
from tests.support import SynchronousTestCase

ACCEPT = 'application/sdp;level=1, application/x-private, text/*;q=0.5, text/html;Charset="utf-8" , */*;q=0;x'


class AcceptTests(SynchronousTestCase):
    """Section 20.1."""

    def test_parts(self) -> None:
        """An Accept is ranges with parameters and a preference, over one field or several (row:K8)."""
        ranges = parse_accept(["application/SDP;Level=1", "", "text/*;q=0.5,*/*;q=0"])
        self.assertEqual(
            [(one.type, one.subtype, one.q, dict(one.params)) for one in ranges],
            [("application", "sdp", 1.0, {"level": "1"}), ("text", "*", 0.5, {}), ("*", "*", 0.0, {})],
        )
        self.assertEqual([str(one) for one in ranges], ["application/sdp;level=1", "text/*;q=0.5", "*/*;q=0"])
        self.assertEqual(repr(ranges[2]), "<MediaRange '*/*;q=0'>")
        self.assertEqual(parse_accept([""]), [])

    def test_decision(self) -> None:
        """The most precise range that matches decides, and q=0 refuses (section 20.1)."""
        ranges = parse_accept([ACCEPT])
        for media_type, acceptable in (
            ("application/sdp;level=1", True),
            ("application/sdp;Level=1;x=y", True),
            ("application/sdp", False),
            ("APPLICATION/X-Private", True),
            ("text/plain", True),
            ("text/html;charset=UTF-8", True),
            ("image/png", False),
        ):
            self.assertEqual(is_acceptable(ranges, parse_media_type(media_type)), acceptable, media_type)
        self.assertFalse(is_acceptable([], parse_media_type("text/plain")))
        refused = parse_accept(["text/plain;q=0, text/*"])
        self.assertFalse(is_acceptable(refused, parse_media_type("text/plain")))
        self.assertTrue(is_acceptable(refused, parse_media_type("text/html")))
        self.assertTrue(is_acceptable(parse_accept(["*/*"]), parse_media_type("text/html")))

    def test_malformed(self) -> None:
        """What is no range is malformed (fault:A13, fault:A14)."""
        for text in (
            "text",
            "text/",
            "/plain",
            "*/plain",
            "text/plain x",
            "text/plain;",
            "a/b;q=2",
            "a/b;q",
            "a/b;q=0.1234",
            "a/b;q=x",
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_accept, [text]).status, 400)

    @settings(deadline=None)
    @given(garbled(ACCEPT))
    def test_any_text(self, text: str) -> None:
        """Any text is ranges that read back the same when written, or malformed (fault:A13)."""
        try:
            written = [str(one) for one in parse_accept([text])]
        except MalformedMessage:
            return
        self.assertEqual([str(one) for one in parse_accept([", ".join(written)])], written)

    def test_codings(self) -> None:
        """Accept-Encoding and Accept-Language are tokens with a preference (sections 20.2 and 20.3)."""
        self.assertEqual(
            parse_codings("GZIP;q=0.5, identity,*;q=0,", "Accept-Encoding"),
            [("gzip", 0.5), ("identity", 1.0), ("*", 0.0)],
        )
        self.assertEqual(parse_codings("", "Accept-Encoding"), [])
        for text in ("a b", "\u00e4", "a;q=2", ";q=1"):
            self.assertRaises(MalformedMessage, parse_codings, text, "Accept-Language")
