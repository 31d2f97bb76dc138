"""What certificates must be meant for."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import SIP_DOMAIN_KEY_PURPOSE
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


class KeyUsageTests(SynchronousTestCase):
    """The policies and what they are made from; the matrix shows them over TLS."""

    def refusal(self, usage: KeyUsage, purposes: Any, *, peer_is_client: bool = False, depth: int = 0) -> str:
        """Why a certificate for *purposes* is refused; empty if it is not."""
        issued = authority().issue("b.example", key_purposes=purposes)
        facts = certificate_facts(issued.certificate.public_bytes(Encoding.DER))
        try:
            usage.check(facts, peer_is_client=peer_is_client, depth=depth)
        except Refused as refused:
            self.assertIs(refused.reason, TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE)
            self.assertFalse(refused.is_of_chain)
            return refused.detail
        return ""

    def test_serverauth_from_a_caller(self) -> None:
        """A certificate for serverAuth only is good for a caller by default, and not by the strict policy. fault:F4"""
        self.assertEqual(self.refusal(KeyUsage(), [SERVER], peer_is_client=True), "")
        strict = KeyUsage(KeyUsagePolicy.STRICT)
        self.assertEqual(self.refusal(strict, [SERVER]), "")
        self.assertEqual(
            self.refusal(strict, [SERVER], peer_is_client=True),
            "its extended key usage allows only serverAuth, and its owner is the client here",
        )

    def test_required(self) -> None:
        """A required purpose must be listed itself, and all of several. row:D13"""
        usage = KeyUsage(required="sipDomain, clientAuth")
        self.assertEqual(self.refusal(usage, [SIP_DOMAIN_KEY_PURPOSE, CLIENT]), "")
        self.assertIn("lacks clientAuth", self.refusal(usage, [SIP_DOMAIN_KEY_PURPOSE]))
        anything = [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, CLIENT]
        self.assertIn("lacks sipDomain", self.refusal(usage, anything))
        self.assertIn("lacks", self.refusal(usage, None))

    def test_authorities(self) -> None:
        """An authority that limits its purposes limits SIP as well; one that does not is fine by every policy."""
        for policy in KeyUsagePolicy:
            usage = KeyUsage(policy, "sipDomain")
            self.assertEqual(self.refusal(usage, None, depth=1), "")
            self.assertEqual(self.refusal(usage, [SIP_DOMAIN_KEY_PURPOSE], depth=1), "")
            self.assertIn("codeSigning", self.refusal(usage, [ExtendedKeyUsageOID.CODE_SIGNING], depth=1))

    def test_made_from_text(self) -> None:
        """Policies and purposes have names, numbers and objects; others are refused with what is possible. row:D13"""
        self.assertIs(KeyUsagePolicy.parse("SIP_DOMAIN_ONLY"), KeyUsagePolicy.SIP_DOMAIN_ONLY)
        for given in ("sipDomain", ["1.3.6.1.5.5.7.3.20"], [SIP_DOMAIN_KEY_PURPOSE]):
            usage = KeyUsage("strict", given)
            self.assertEqual(usage, KeyUsage(KeyUsagePolicy.STRICT, ["sipDomain"]))
            self.assertEqual(hash(usage), hash(KeyUsage("strict", "sipDomain")))
            self.assertEqual(str(usage), "strict with sipDomain")
        self.assertEqual(repr(KeyUsage()), "<KeyUsage: sip-either>")
        self.assertNotEqual(KeyUsage(), "sip-either")
        with self.assertRaisesRegex(ValueError, "sip-either, strict, sip-domain-only"):
            KeyUsage("lax")
        with self.assertRaisesRegex(ValueError, "dotted number"):
            KeyUsage(required="sipdomain")

    def test_unreadable(self) -> None:
        """What cannot be read is not meant for anything."""
        garbage = [(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\xff\xff"), False)]
        issued = authority().issue("b.example", key_purposes=None, extensions=garbage)
        facts = certificate_facts(issued.certificate.public_bytes(Encoding.DER))
        with self.assertRaises(Refused) as caught:
            KeyUsage().check(facts, peer_is_client=False)
        self.assertIs(caught.exception.reason, TlsFailureReason.REMOTE_CERTIFICATE_INVALID)
