"""Signatures: what is signed is verified, and nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from sip_p2p.service.webhook.signature import TOLERANCE, parse_secrets, sign, signature_fields, verify
from tests.service.webhook.support import SECRET, SECRET_LINE
from tests.support import SynchronousTestCase

OTHER = b"another secret, for the rotation"
NOW = 1_700_000_000


class SecretTests(SynchronousTestCase):
    """The file with the secrets."""

    def test_a_file(self) -> None:
        """One secret a line, in their order; empty lines and comments do not count."""
        other = f"whsec_{base64.b64encode(OTHER).decode()}"
        self.assertEqual(parse_secrets(f"# new\n{other}\n\n# old\n  {SECRET_LINE}"), (OTHER, SECRET))

    def test_what_is_wrong(self) -> None:
        """Each mistake names its line, and never what stands in it."""
        for text, words in (
            ("", "no secret"),
            ("# only this\n", "no secret"),
            ("\nsecret\n", "line 2 is no secret"),
            ("whsec_!!!!\n", "line 1 has no base64"),
            ("whsec_c2VjcmV0\n", "too short"),
            (SECRET_LINE * 9, "more than 8"),
        ):
            error = str(self.assertRaises(ValueError, parse_secrets, text))
            self.assertIn(words, error)
            self.assertNotIn("c2Vj", error)


class SignTests(SynchronousTestCase):
    """Signing and verifying."""

    def test_what_is_signed(self) -> None:
        """The signature is the HMAC-SHA256 of id.timestamp.body, as base64 after v1."""
        digest = hmac.new(SECRET, b"msg_1.5.{}", hashlib.sha256).digest()
        self.assertEqual(sign([SECRET], "msg_1", 5, b"{}"), f"v1,{base64.b64encode(digest).decode()}")

    def test_the_vector_of_the_convention(self) -> None:
        """A published vector of the Standard Webhooks convention comes out as it should."""
        (secret,) = parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        signed = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
        self.assertEqual(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")

    def test_rotation(self) -> None:
        """While a secret is replaced, whoever knows either of them can verify."""
        fields = signature_fields([OTHER, SECRET], "msg_1", NOW, b"{}")
        for known in ([OTHER], [SECRET], [b"x" * 24, SECRET]):
            self.assertEqual(verify(known, fields, b"{}", NOW), "msg_1")
        self.assertRaises(ValueError, verify, [b"x" * 24], fields, b"{}", NOW)

    def test_time(self) -> None:
        """A delivery that is older than the tolerance, or of the future, is a replay."""
        fields = signature_fields([SECRET], "msg_1", NOW, b"{}")
        for late in (TOLERANCE, -TOLERANCE):
            verify([SECRET], fields, b"{}", NOW + late)
            self.assertRaises(ValueError, verify, [SECRET], fields, b"{}", NOW + late * 1.01)

    def test_missing_and_garbled(self) -> None:
        """A field that is missing or is none is no signature."""
        fields = signature_fields([SECRET], "msg_1", NOW, b"{}")
        for change in (
            {"webhook-id": ""},
            {"webhook-timestamp": "yesterday"},
            {"webhook-timestamp": "9" * 13},
            {"webhook-signature": ""},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1a,\udc80"},
            {"webhook-signature": "v2," + fields["webhook-signature"][3:]},
        ):
            with self.assertRaises(ValueError):
                verify([SECRET], fields | change, b"{}", NOW)

    @drawing(max_examples=100)
    @given(st.binary(max_size=64), st.binary(max_size=64), st.integers(0, 2**36), st.text("abc_", min_size=1))
    def test_any_change_is_seen(self, body: bytes, other: bytes, timestamp: int, delivery: str) -> None:
        """What was signed verifies, and with another body, id or time it does not."""
        fields = signature_fields([SECRET], delivery, timestamp, body)
        self.assertEqual(verify([SECRET], fields, body, timestamp), delivery)
        if other != body:
            self.assertRaises(ValueError, verify, [SECRET], fields, other, timestamp)
        self.assertRaises(ValueError, verify, [SECRET], fields | {"webhook-id": delivery + "x"}, body, timestamp)
        moved = fields | {"webhook-timestamp": str(timestamp + 1)}
        self.assertRaises(ValueError, verify, [SECRET], moved, body, timestamp)
