"""What a delivery says."""

from __future__ import annotations

import json

from sip_p2p.service.webhook.payload import envelope
from tests.service.webhook.support import Rig
from tests.support import SynchronousTestCase


class EnvelopeTests(SynchronousTestCase):
    """:func:`envelope`."""

    def test_its_parts(self) -> None:
        """Type, timestamp and data, in ASCII, on one line."""
        body = envelope("message", 1_700_000_000.5, {"text": "ü\n"})
        self.assertEqual(
            json.loads(body), {"type": "message", "timestamp": "2023-11-14T22:13:20.500Z", "data": {"text": "ü\n"}}
        )
        self.assertTrue(body.isascii())
        self.assertNotIn(b"\n", body)

    def test_octets_that_are_no_text(self) -> None:
        """A header field with octets that are no UTF-8 can be written, and is read back as it was."""
        self.assertEqual(json.loads(envelope("message", 0, {"x": "a\udcff"}))["data"]["x"], "a\udcff")


class RequestTests(SynchronousTestCase):
    """:func:`request_data`."""

    def test_a_body_that_is_no_text(self) -> None:
        """Octets that are no text come as base64, and credentials not at all."""
        rig = Rig(self)
        self.addCleanup(rig.finish)
        fields = [("Authorization", "Digest a=b"), ("Proxy-Authorization", "Digest a=b"), ("X-A", "b")]
        rig.outcome(rig.sent(b"\xff\0", content_type="application/octet-stream", headers=fields))  # type: ignore[arg-type]
        data = rig.hook.deliveries[0].data
        self.assertEqual(data["body_base64"], "/wA=")
        self.assertNotIn("text", data)
        self.assertEqual([name for name, _ in data["headers"] if "uthorization" in name or name == "X-A"], ["X-A"])
