"""Responses, bodies and certificates as JSON, without credentials."""

from __future__ import annotations

import json
from typing import Any

from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.problems import Problem
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Response
from tests.support import SynchronousTestCase


class DescriptionTests(SynchronousTestCase):
    """Values in, values out."""

    def test_response(self) -> None:
        """A response is told with its fields, and its credentials are withheld (row M11)."""
        fields = [("Authentication-Info", 'nextnonce="s3cret"'), ("Server", "x"), ("Content-Type", "text/plain")]
        said: Any = descriptions.response(Response(200, "OK", Headers(fields), b"hi"))
        self.assertEqual((said["status"], said["text"], said["content_type"]), (200, "hi", "text/plain"))
        secret, *others = said["headers"]
        self.assertEqual(others, [{"name": name, "value": value} for name, value in fields[1:]])
        self.assertEqual(secret["name"], "Authentication-Info")
        self.assertNotIn("s3cret", secret["value"])

    def test_a_large_response(self) -> None:
        """Of a response only so much is kept: a thousand of them are, and peers write them."""
        fields = [("X", "y" * 5000)] * 500
        said: Any = descriptions.response(Response(200, "OK" * 5000, Headers(fields), b"x" * 50_000))
        self.assertLess(len(json.dumps(said)), 80_000)
        self.assertNotIn("text", said)

    def test_content(self) -> None:
        """A body is text where it is text; a long one is left out."""
        self.assertEqual(descriptions.content(b"", "a/b"), {})
        self.assertEqual(descriptions.content(b"\xff", "a/b"), {"content_type": "a/b", "body_base64": "/w=="})
        self.assertEqual(descriptions.content(b"x" * 100_000, None), {"content_type": ""})

    def test_failure(self) -> None:
        """A failure has a word for programs, and words with a remedy for people."""
        for error, name in (
            (ConnectionFailure("refused"), "ConnectionFailure"),
            (TlsFailure(TlsFailureReason.CERTIFICATE_EXPIRED, "b.example"), "CERTIFICATE_EXPIRED"),
        ):
            said = descriptions.failure(Failure(error))
            self.assertEqual(said["error"], name)
            self.assertTrue(said["words"] and said["remedy"])

    def test_body(self) -> None:
        """A body is text or octets, and has one type that is one."""
        self.assertEqual(descriptions.body_of({}), ("", None))
        self.assertEqual(descriptions.body_of({"text": "a", "content_type": "a/b"}), ("a", "a/b"))
        self.assertEqual(descriptions.body_of({"body_base64": "AA==", "content_type": "a/b"}), (b"\x00", "a/b"))
        for given in (
            {"body_base64": "A"},
            {"body_base64": "AA=="},
            {"text": "", "body_base64": ""},
            {"content_type": "a"},
        ):
            self.assertRaises(Problem, descriptions.body_of, given)

    def test_offer(self) -> None:
        """A session description is SDP unless it says otherwise."""
        self.assertIsNone(descriptions.described_offer({}))
        offer = descriptions.described_offer({"description": "v=0"})
        assert offer is not None
        self.assertEqual((offer.body, offer.content_type), (b"v=0", "application/sdp"))
        self.assertRaises(ValueError, descriptions.described_offer, {"description": ""})
