"""Whether somebody trusted vouches for a signer."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p import TrustAnchors
from sip_p2p.endpoint.identity.chain import Unsupported, check_chain, read_chain, signing_key
from sip_p2p.pki import CertificateAuthority
from tests.endpoint.identity.support import AUTHORITY, ISSUED, START
from tests.support import SynchronousTestCase

ANCHORS = TrustAnchors.from_pem(AUTHORITY.pem)
DAY = 86400.0


class ChainTests(SynchronousTestCase):
    """RFC 8224 section 7.2."""

    def refused(self, chain: tuple[x509.Certificate, ...], at: float = START, anchors: TrustAnchors = ANCHORS) -> str:
        """Why it is not believed."""
        try:
            check_chain(chain, anchors, at)
        except Unsupported as error:
            return str(error)
        return ""

    def test_read(self) -> None:
        """PEM holds a chain, DER one certificate, and nothing else any (RFC 7515 section 4.1.5, RFC 8224 section
        7.4)."""
        der = ISSUED.certificate.public_bytes(Encoding.DER)
        self.assertEqual(read_chain(ISSUED.certificate_pem), (ISSUED.certificate,))
        self.assertEqual(read_chain(der), (ISSUED.certificate,))
        self.assertEqual(
            read_chain(ISSUED.certificate_pem + AUTHORITY.pem), (ISSUED.certificate, AUTHORITY.certificate)
        )
        for octets in (b"", b"nonsense", der[:-1], ISSUED.certificate_pem * 9, b"-----BEGIN CERTIFICATE-----\nAAAA\n"):
            self.assertRaises(ValueError, read_chain, octets)

    def test_believed(self) -> None:
        """A certificate of the authority is believed, and one below an intermediate beside it (RFC 5280)."""
        self.assertEqual(self.refused((ISSUED.certificate,)), "")
        below = AUTHORITY.intermediate("below").issue("a.example")
        self.assertEqual(self.refused((below.certificate, *below.chain)), "")
        self.assertIn("no trusted authority", self.refused((below.certificate,)))

    def test_refused(self) -> None:
        """Strangers', expired and early ones, authorities' own, weak ones and those that may not sign are not
        (fault:F6)."""
        now = datetime.datetime.fromtimestamp(START, datetime.UTC)
        usage = x509.KeyUsage(False, False, False, False, True, False, False, False, False)
        day = datetime.timedelta(days=1)
        for issued, words in (
            (CertificateAuthority.create("other").issue("a.example"), "no trusted authority"),
            (AUTHORITY.issue("a.example", self_signed=True), "no trusted authority"),
            (AUTHORITY.issue("a.example", is_authority=True), "an authority's"),
            (AUTHORITY.issue("a.example", key_usage=usage), "not meant for signatures"),
            (AUTHORITY.issue("a.example", key=rsa.generate_private_key(65537, 1024)), "bits"),
            (AUTHORITY.issue("a.example", not_before=now - 2 * day, not_after=now - day), "expired"),
            (AUTHORITY.issue("a.example", not_before=now + day, not_after=now + 2 * day), "not yet valid"),
        ):
            self.assertIn(words, self.refused((issued.certificate,)), words)
        self.assertIn("expired", self.refused((ISSUED.certificate,), START + 400 * DAY))

    def test_limited(self) -> None:
        """A certificate whose authority limits what it may say is not believed, since the limits are not read (RFC 8226
        section 8, RFC 9118 section 3)."""
        for number in (27, 33):
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.3.6.1.5.5.7.1.{number}"), b"\x30\x00")
            issued = AUTHORITY.issue("a.example", extensions=[(extension, False)])
            self.assertIn("limits what it may say", self.refused((issued.certificate,)))

    def test_signed_before(self) -> None:
        """It has to be valid when it signed, and not only now (RFC 8224 section 6.2)."""
        start, end = ISSUED.certificate.not_valid_before_utc, ISSUED.certificate.not_valid_after_utc
        for at, believed in (
            (start.timestamp(), True),
            (end.timestamp(), True),
            (start.timestamp() - 1, False),
            (end.timestamp() + 1, False),
            (2.0**53, False),
        ):
            try:
                check_chain((ISSUED.certificate,), ANCHORS, START, at)
            except Unsupported as error:
                self.assertFalse(believed, error)
            else:
                self.assertTrue(believed, at)

    def test_key(self) -> None:
        """ES256 has one curve (RFC 8225 section 4.2)."""
        self.assertEqual(signing_key(ISSUED.certificate).curve.name, "secp256r1")
        for key in (ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)):
            self.assertRaises(Unsupported, signing_key, AUTHORITY.issue("a.example", key=key).certificate)
