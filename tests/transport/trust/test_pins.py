"""Pinned keys: how they are written, whom they let in, and what they refuse."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import IssuedCertificate
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.pins import PinnedKeys, normalise_pin, pin_of
from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, TrustedBy
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import ANY, authority

B, OTHER = authority().issue("b.example"), authority().issue("b.example")
PIN, WRONG = pin_of(B.certificate), pin_of(OTHER.certificate)
UNTRUSTED = Refused(TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, "self-signed", is_of_chain=True)


def shown(issued: IssuedCertificate = B, expected: str | None = "b.example") -> Shown:
    """What a peer with this certificate has shown, whose chain leads nowhere."""
    facts = certificate_facts(issued.certificate.public_bytes(Encoding.DER))
    return Shown(facts, expected, UNTRUSTED, (), ANY)


class PinTests(SynchronousTestCase):
    """The written form of a key."""

    def test_of_a_certificate(self) -> None:
        """A pin is the base64 of the SHA-256 of the key's SubjectPublicKeyInfo (RFC 7469 section 2.4)."""
        spki = B.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.assertEqual(PIN, "sha256/" + b64encode(sha256(spki).digest()).decode())
        self.assertEqual(certificate_facts(B.certificate.public_bytes(Encoding.DER)).pin, PIN)
        renewed = authority().issue("b.example", key=B.key)
        self.assertEqual(pin_of(renewed.certificate), PIN)

    def test_what_is_none(self) -> None:
        """Anything else is refused with how a pin looks."""
        self.assertEqual(normalise_pin(f" {PIN}\n"), PIN)
        for text in ("", "sha256/", PIN[:-2], PIN + "A", PIN.replace("sha256/", "sha1/"), PIN[7:], "sha256/" + "é" * 44,
                     "sha256/" + "ab" * 32):  # fmt: skip
            with self.assertRaisesRegex(ValueError, "44 characters"):
                normalise_pin(text)


class TableTests(SynchronousTestCase):
    """What the table is made from."""

    def test_parsed(self) -> None:
        """One string with commas, or a list, gives the table; a name may have several keys, and is normalised."""
        for given in (f"B.example={PIN}, 192.0.2.1={PIN},b.example={WRONG}",
                      [f"B.example={PIN}", f"192.0.2.1={PIN}", f"b.example={WRONG}"]):  # fmt: skip
            pins = PinnedKeys.parse(given).pins
            self.assertEqual(pins, {"b.example": {PIN, WRONG}, "192.0.2.1": {PIN}})

    def test_wrong(self) -> None:
        """A name or key that is none, a name without a key and an empty table are errors, and say what to write."""
        for given, words in (
            ("", "no key is pinned for anybody"),
            ("b.example", "NAME=sha256/"),
            (f"*.example={PIN}", "cannot be pinned"),
            ("b.example=sha256/x", "44 characters"),
        ):
            with self.assertRaisesRegex(ValueError, words):
                PinnedKeys.parse(given)
        with self.assertRaisesRegex(ValueError, "no key is pinned for b.example"):
            PinnedKeys({"b.example": []})

    def test_shown(self) -> None:
        """It shows whom it knows."""
        self.assertEqual(repr(PinnedKeys({"b.example": PIN})), "<PinnedKeys: b.example>")


class JudgementTests(SynchronousTestCase):
    """Whom a table knows."""

    def granted(self, pins: PinnedKeys, what: Shown) -> tuple[str, ...]:
        """As whom the peer is known."""
        answer = pins.consider(what)
        assert isinstance(answer, Grant), answer
        self.assertIs(answer.trusted_by, TrustedBy.PINNED_KEY)
        return answer.identities.identities

    def doubt(self, pins: PinnedKeys, what: Shown) -> Doubt:
        """Why it is not known."""
        answer = pins.consider(what)
        assert isinstance(answer, Doubt), answer
        return answer

    def test_known_by_its_key(self) -> None:
        """The pinned key is known by every name that lists it, whatever the certificate claims."""
        pins = PinnedKeys({"b.example": [PIN, WRONG], "sub.b.example": PIN, "192.0.2.1": PIN, "o.example": WRONG})
        for what in (shown(), shown(expected=None), shown(authority().issue("evil.example", key=B.key))):
            self.assertEqual(set(self.granted(pins, what)), {"b.example", "sub.b.example", "192.0.2.1"})

    def test_another_key(self) -> None:
        """Another key is a final refusal, wherever the pinned name stands: dialled, or claimed among others."""
        pins = PinnedKeys({"b.example": WRONG})
        several = authority().issue("a.example", "b.example", key=B.key)
        for what in (shown(), shown(expected=None), shown(several, "a.example"), shown(several, None)):
            doubt = self.doubt(pins, what)
            self.assertEqual((doubt.reason, doubt.is_final), (TlsFailureReason.REMOTE_KEY_NOT_PINNED, True))
            self.assertIn(f"b.example should have {WRONG}, and shows {PIN}", doubt.detail)

    def test_names_that_are_not_listed(self) -> None:
        """Of other names it says nothing that another trust could not overrule."""
        pins = PinnedKeys({"b.example": PIN})
        stranger = authority().issue("c.example")
        for what in (shown(stranger, "c.example"), shown(stranger, None), shown(B, "c.example")):
            doubt = self.doubt(pins, what)
            self.assertEqual((doubt.reason, doubt.is_final), (TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, False))

    def test_restriction(self) -> None:
        """A table that only restricts knows nobody, and refuses as before."""
        pins = PinnedKeys({"b.example": PIN}, is_sufficient=False)
        self.assertFalse(pins.judges_keys)
        self.assertFalse(self.doubt(pins, shown()).is_final)
        self.assertTrue(self.doubt(pins, shown(OTHER)).is_final)
