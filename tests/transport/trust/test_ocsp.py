"""OCSP responses: which of them say anything, and what."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.pki import CertificateAuthority
from sip_p2p.transport.trust.ocsp import CLOCK_SKEW, demands_staple, own_staple_expires, read_staple
from tests.support import SynchronousTestCase
from tests.transport.revoked import DAY, NOW, ocsp_response, responder
from tests.transport.tls_pairs import authority, other_authority, rsa_authority

LEAF = authority().issue("b.example").certificate
RESPONSE = ocsp_response(LEAF)
SECOND = datetime.timedelta(seconds=1)


def trouble(response: bytes, now: datetime.datetime = NOW) -> str:
    """What is wrong with a response on the certificate; empty if it says that all is well."""
    staple = read_staple(response, LEAF, authority().certificate, now)
    return staple.trouble or staple.revoked


class AnswerTests(SynchronousTestCase):
    """What a response that counts can say."""

    def test_good(self) -> None:
        """A response of the issuer's own says that a certificate is good, and until when (RFC 6960 section 4.2.1)."""
        for algorithm in (hashes.SHA1(), hashes.SHA256()):
            staple = read_staple(ocsp_response(LEAF, algorithm=algorithm), LEAF, authority().certificate, NOW)
            self.assertEqual((staple.trouble, staple.revoked, staple.responder), ("", "", None))
            self.assertEqual(staple.expires, NOW + DAY + CLOCK_SKEW)

    def test_revoked(self) -> None:
        """A revoked certificate is that, even by a response that is out of date. fault:F7"""
        response = ocsp_response(LEAF, status=ocsp.OCSPCertStatus.REVOKED)
        for now in (NOW, NOW + 9 * DAY):
            self.assertIn("revoked since", trouble(response, now))

    def test_unknown(self) -> None:
        """A responder that does not know the certificate says nothing in its favour."""
        self.assertIn("does not know", trouble(ocsp_response(LEAF, status=ocsp.OCSPCertStatus.UNKNOWN)))

    def test_time(self) -> None:
        """A response counts from thisUpdate to nextUpdate, with some minutes for clocks that differ."""
        response = ocsp_response(LEAF)
        for now, expected in (
            (NOW - DAY - CLOCK_SKEW, ""),
            (NOW - DAY - CLOCK_SKEW - SECOND, "of the future"),
            (NOW + DAY + CLOCK_SKEW, ""),
            (NOW + DAY + CLOCK_SKEW + SECOND, "out of date"),
        ):
            found = trouble(response, now)
            self.assertEqual(found, "") if not expected else self.assertIn(expected, found)
        self.assertIn("until when", trouble(ocsp_response(LEAF, due=None)))

    def test_another_certificate(self) -> None:
        """What is said of another certificate, or of the same number of another issuer, is not said of this one."""
        other = authority().issue("b.example").certificate
        self.assertIn("another certificate", trouble(ocsp_response(other)))
        foreign = ocsp_response(LEAF, other_authority(), signer=authority())
        self.assertIn("another certificate", trouble(foreign))

    def test_one_of_several(self) -> None:
        """The certificate may be one of several that the response is about."""
        other = authority().issue("c.example").certificate
        builder = ocsp.OCSPResponseBuilder().responder_id(ocsp.OCSPResponderEncoding.HASH, authority().certificate)
        builder = builder.add_response_by_hash(
            **_ids(other), cert_status=ocsp.OCSPCertStatus.GOOD, algorithm=hashes.SHA1(),
            this_update=NOW - DAY, next_update=NOW + DAY, revocation_time=None, revocation_reason=None,
        )  # fmt: skip
        response = builder.sign(authority().key, hashes.SHA256()).public_bytes(Encoding.DER)
        self.assertIn("another certificate", trouble(response))


class SignerTests(SynchronousTestCase):
    """Who may sign a response."""

    def test_delegated(self) -> None:
        """A responder that the issuer has certified for OCSP may speak for it (RFC 6960 section 4.2.2.2)."""
        delegate = responder()
        staple = read_staple(ocsp_response(LEAF, signer=delegate), LEAF, authority().certificate, NOW)
        self.assertEqual((staple.trouble, staple.responder, staple.is_exempt), ("", delegate.certificate, True))

    def test_named(self) -> None:
        """A response may name its responder instead of the responder's key."""
        builder = ocsp.OCSPResponseBuilder().add_response(
            LEAF, authority().certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, NOW - DAY, NOW + DAY, None, None
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, authority().certificate)
        self.assertEqual(trouble(builder.sign(authority().key, hashes.SHA256()).public_bytes(Encoding.DER)), "")

    def test_keys(self) -> None:
        """RSA and Edwards keys sign responses as well."""
        edwards = responder(key=ed25519.Ed25519PrivateKey.generate())
        builder = ocsp.OCSPResponseBuilder().add_response(
            LEAF, authority().certificate, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, NOW - DAY, NOW + DAY, None, None
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, edwards.certificate)
        builder = builder.certificates([edwards.certificate])
        self.assertEqual(trouble(builder.sign(edwards.key, None).public_bytes(Encoding.DER)), "")
        leaf = rsa_authority().issue("b.example").certificate
        response = ocsp_response(leaf, rsa_authority())
        self.assertEqual(read_staple(response, leaf, rsa_authority().certificate, NOW).trouble, "")

    def test_nobody(self) -> None:
        """Whoever else signs says nothing: strangers, peers of the same issuer, responders of another one. fault:F7"""
        peer = authority().issue("b.example")
        expired = responder(not_before=NOW - 9 * DAY, not_after=NOW - DAY)
        for signer, expected in (
            (other_authority(), "somebody else"),
            (responder(other_authority()), "somebody else"),
            (peer, "not one for OCSP"),
            (responder(key_purposes=[ExtendedKeyUsageOID.SERVER_AUTH]), "not one for OCSP"),
            (responder(key_purposes=None), "not one for OCSP"),
            (expired, "not valid now"),
        ):
            self.assertIn(expected, trouble(ocsp_response(LEAF, signer=signer)))

    def test_forged(self) -> None:
        """A response that names one signer and is signed by another is refused. fault:F7"""
        delegate = responder()
        self.assertIn("not signed by the issuer", trouble(_with_another_signature(ocsp_response(LEAF))))
        self.assertIn("signature", trouble(_with_another_signature(ocsp_response(LEAF, signer=delegate))))
        for enclosed in ([], [LEAF] * 4 + [delegate.certificate]):
            self.assertIn("signed by nobody", trouble(ocsp_response(LEAF, signer=delegate, enclosed=enclosed)))

    def test_weak(self) -> None:
        """SHA-1 under a response proves nothing any more."""
        leaf = rsa_authority().issue("b.example").certificate
        response = ocsp_response(leaf, rsa_authority())
        with_sha256, with_sha1 = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
        weak = read_staple(response.replace(with_sha256, with_sha1), leaf, rsa_authority().certificate, NOW)
        self.assertIn("SHA1", weak.trouble)


class DamageTests(SynchronousTestCase):
    """What is no response."""

    def test_none(self) -> None:
        """No response, a refusal of the responder, and what is too long, each have their words."""
        refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
        for response, expected in (
            (b"", "stapled no"),
            (refused.public_bytes(Encoding.DER), "TRY_LATER"),
            (b"\x30" * 70_000, "70000 octets"),
            (b"nonsense", "cannot be read"),
        ):
            self.assertIn(expected, trouble(response))

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 10_000), st.integers(0, 255))
    def test_any_octets(self, position: int, octet: int) -> None:
        """Whatever octets a server staples, they raise nothing, and only the whole response is good. fault:F7"""
        response = RESPONSE
        position %= len(response)
        changed = response[:position] + bytes([octet]) + response[position + 1 :]
        if changed != response:
            # Some octets are nobody's: those of the version or of an ASN.1 null, outside of what is signed.
            found = read_staple(changed, LEAF, authority().certificate, NOW)
            self.assertFalse(found.revoked)
        self.assertTrue(trouble(response[:position]))


class DemandTests(SynchronousTestCase):
    """Certificates that are not to be accepted without a staple."""

    def test_must_staple(self) -> None:
        """The TLS feature extension asks for a stapled response (RFC 7633)."""
        feature = x509.TLSFeature([x509.TLSFeatureType.status_request])
        self.assertTrue(demands_staple(authority().issue("b.example", extensions=[(feature, False)]).certificate))
        self.assertFalse(demands_staple(LEAF))


class OwnTests(SynchronousTestCase):
    """The response that we staple ourselves."""

    def test_usable(self) -> None:
        """It must be about our certificate, in its favour, and say until when."""
        self.assertEqual(own_staple_expires(ocsp_response(LEAF), LEAF), NOW + DAY)

    def test_useless(self) -> None:
        """Everything else is refused when it is read, with the reason."""
        other = CertificateAuthority.create().issue("b.example").certificate
        refused = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
        for response, expected in (
            (b"", "cannot be stapled"),
            (b"0" * 70_000, "octets"),
            (refused.public_bytes(Encoding.DER), "UNAUTHORIZED"),
            (ocsp_response(LEAF, status=ocsp.OCSPCertStatus.REVOKED), "revoked"),
            (ocsp_response(LEAF, due=None), "until when"),
            (ocsp_response(other), "for another certificate"),
        ):
            error = self.assertRaises(ValueError, own_staple_expires, response, LEAF, "staple.der")
            self.assertIn(expected, str(error))
            self.assertIn("staple.der", str(error))


def _with_another_signature(response: bytes) -> bytes:
    signature = ocsp.load_der_ocsp_response(response).signature
    return response.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1]))


def _ids(certificate: x509.Certificate) -> dict[str, object]:
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, authority().certificate, hashes.SHA1()).build()
    return {
        "issuer_name_hash": request.issuer_name_hash,
        "issuer_key_hash": request.issuer_key_hash,
        "serial_number": request.serial_number,
    }
