"""What a certificate says by itself."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import CertificateFacts, Refused, certificate_facts
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority, rsa_key, sha1_signed

DAY = datetime.timedelta(days=1)


def der(issued: Any) -> bytes:
    """A certificate as it travels."""
    encoded: bytes = issued.certificate.public_bytes(Encoding.DER)
    return encoded


class FactTests(SynchronousTestCase):
    """The facts, and the checks on them."""

    def refusal(self, check: Any, **options: Any) -> TlsFailureReason | None:
        """Why a check refuses; None if it does not."""
        try:
            check(**options)
        except Refused as refused:
            return refused.reason
        return None

    def test_read(self) -> None:
        """Names, validity, purposes and the fingerprint of the key are read once."""
        issued = authority().issue("b.example", "192.0.2.1")
        facts = certificate_facts(der(issued))
        self.assertEqual(facts.identities.identities, ("b.example", "192.0.2.1"))
        self.assertEqual((facts.starts, facts.expires),
                         (issued.certificate.not_valid_before_utc, issued.certificate.not_valid_after_utc))  # fmt: skip
        self.assertFalse(facts.is_authority)
        self.assertTrue(facts.may_sign)
        self.assertEqual(len(facts.pin), 51)
        self.assertIs(certificate_facts(der(issued)), facts)

    def test_unreadable(self) -> None:
        """Octets that are no certificate pass no check at all. fault:F1"""
        for data in (b"", b"\x30\x00", der(authority().issue("b.example"))[:-1]):
            facts = CertificateFacts(data)
            now = datetime.datetime.now(datetime.UTC)
            for check, options in (
                (facts.check_readable, {}),
                (facts.check_validity, {"now": now}),
                (facts.check_strength, {"is_anchor": True}),
            ):
                self.assertIs(self.refusal(check, **options), TlsFailureReason.REMOTE_CERTIFICATE_INVALID)
            self.assertEqual((facts.pin, bool(facts.identities)), ("", False))

    def test_validity(self) -> None:
        """A certificate is valid from its first second to its last. fault:F6"""
        facts = certificate_facts(der(authority().issue("b.example")))
        second = datetime.timedelta(seconds=1)
        for moment, reason in (
            (facts.starts - second, TlsFailureReason.CERTIFICATE_NOT_YET_VALID),
            (facts.starts, None),
            (facts.expires, None),
            (facts.expires + second, TlsFailureReason.CERTIFICATE_EXPIRED),
        ):
            self.assertIs(self.refusal(facts.check_validity, now=moment), reason)

    def test_strength(self) -> None:
        """Short keys are weak for everybody, weak signatures only where an authority's word rests on them. fault:F6"""
        weak = TlsFailureReason.REMOTE_CERTIFICATE_WEAK
        short = certificate_facts(der(authority().issue("b.example", key=rsa_key(1024))))
        self.assertIs(self.refusal(short.check_strength, is_anchor=True), weak)
        signed = certificate_facts(der(sha1_signed("b.example")))
        self.assertIs(self.refusal(signed.check_strength, is_anchor=False), weak)
        self.assertIsNone(self.refusal(signed.check_strength, is_anchor=True))
        with self.assertRaises(Refused) as caught:
            signed.check_strength(is_anchor=False)
        self.assertTrue(caught.exception.is_of_chain)

    def test_large_ones_are_not_remembered(self) -> None:
        """What is larger than certificates are is examined each time, so that nobody can fill our memory with it."""
        names = [f"host-{number}.b.example" for number in range(200)]
        large = der(authority().issue(*names))
        self.assertGreater(len(large), 4096)
        self.assertIsNot(certificate_facts(large), certificate_facts(large))

    def test_impossible_version(self) -> None:
        """A version of X.509 that there is not makes a certificate unreadable, like anything else in it. fault:F3"""
        good = der(authority().issue("b.example"))
        facts = CertificateFacts(good.replace(bytes.fromhex("a003020102"), bytes.fromhex("a00302017f"), 1))
        self.assertIs(self.refusal(facts.check_readable), TlsFailureReason.REMOTE_CERTIFICATE_INVALID)

    def test_words_of_bounded_length(self) -> None:
        """Whoever claims thousands of names fills no log with them: what is said of a refusal is cut short. fault:H6"""
        refused = Refused(TlsFailureReason.OTHER, "no key is known for " + ", ".join(["h.example"] * 6000))
        self.assertLess(len(refused.detail), 1100)
        self.assertTrue(refused.detail.startswith("no key is known for h.example, h.example"))
        self.assertEqual(Refused(TlsFailureReason.OTHER, "short").detail, "short")
