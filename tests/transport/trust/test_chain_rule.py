"""All of a peer's chain, as it is verified and as it is remembered."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import CertificateAuthority
from sip_p2p.transport.tls.settings import TlsSettings
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.chain_rule import ChainRule
from sip_p2p.transport.trust.revocation import Revocation, RevocationList
from sip_p2p.transport.trust.stack import Shown, TrustStack
from tests.support import SynchronousTestCase
from tests.transport.revoked import crl
from tests.transport.tls.test_gate import connected
from tests.transport.tls_pairs import ANY, TlsPair, anchors, authority, credential, settings

Reason = TlsFailureReason


def chain_below(middle: CertificateAuthority) -> tuple[bytes, ...]:
    """A chain of three."""
    certificates = (middle.issue("b.example").certificate, middle.certificate, authority().certificate)
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)


def refusal(rule: ChainRule, chain: tuple[bytes, ...], trouble: Refused | None = None, *, resumed: bool) -> object:
    """Why a completed handshake is refused, or None."""
    shown = Shown(certificate_facts(chain[0]), None, trouble, () if resumed else chain, ANY)
    try:
        rule.check(shown, _completed())
    except Refused as refused:
        return refused.reason
    return None


class ChainRuleTests(SynchronousTestCase):
    """The rule by itself."""

    def test_remembered(self) -> None:
        """A resumed session is good if its chain was verified before, and is refused if nobody knows it. fault:F9"""
        rule, chain = ChainRule(TrustStack.of(anchors()), None), chain_below(authority().intermediate("middle"))
        self.assertIs(refusal(rule, chain, resumed=True), Reason.OTHER)
        self.assertIsNone(refusal(rule, chain, resumed=False))
        self.assertIsNone(refusal(rule, chain, resumed=True))

    def test_expired_meanwhile(self) -> None:
        """An authority that has expired since takes the sessions below it along. fault:F9"""
        now = datetime.datetime.now(datetime.UTC)
        hour = datetime.timedelta(hours=1)
        short = authority().issue("x", is_authority=True, not_before=now - 9 * hour, not_after=now - hour)
        chain = chain_below(CertificateAuthority(short.certificate, short.key))
        rule = ChainRule(TrustStack.of(anchors()), None)
        refusal(rule, chain, resumed=False)
        self.assertIs(refusal(rule, chain, resumed=True), Reason.CERTIFICATE_EXPIRED)

    def test_revoked(self) -> None:
        """Revocation is looked up when a chain is verified, and again when it is remembered. fault:F7 fault:F9"""
        middle = authority().intermediate("middle")
        chain = chain_below(middle)
        rule = ChainRule(TrustStack.of(anchors()), Revocation([RevocationList(crl([middle.certificate]))]))
        shown = Shown(certificate_facts(chain[0]), None, None, chain, ANY)
        error = self.assertRaises(Refused, rule.check, shown, None)
        self.assertIs(error.reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        self.assertIsNone(refusal(rule, chain, resumed=False))
        self.assertIs(refusal(rule, chain, resumed=True), Reason.REMOTE_CERTIFICATE_REVOKED)

    def test_known_by_its_key(self) -> None:
        """Who is known by its key, and not by its chain, is not asked for one."""
        rule, chain = ChainRule(TrustStack.of(anchors()), Revocation(mode="hard")), chain_below(authority())
        trouble = Refused(Reason.UNTRUSTED_REMOTE_CERTIFICATE, "", is_of_chain=True)
        self.assertIsNone(refusal(rule, chain, trouble, resumed=True))


class WithIntermediateTests(SynchronousTestCase):
    """The rule in handshakes, with parties below an intermediate authority."""

    def test_resumed(self) -> None:
        """The chain of a peer below an intermediate authority is known when its session is resumed. fault:F9"""
        middle = authority().intermediate("middle")
        revocation = Revocation([RevocationList(crl()), RevocationList(crl(signer=middle))], "hard")
        for maximum in (0x0303, 0):
            client, server = (
                TlsSettings(
                    credential(middle.issue(name)), anchors(), ANY, revocation=revocation, maximum_version=maximum
                )
                for name in ("a.example", "b.example")
            )
            for count in range(3):
                connected(TlsPair(client, server))
                self.assertEqual((client.resumptions, server.resumptions), (count, count))

    def test_revoked(self) -> None:
        """A revoked intermediate authority keeps everybody below it out, in both directions. fault:F7 row:D17"""
        middle = authority().intermediate("middle")
        below = TlsSettings(credential(middle.issue("b.example")), anchors(), ANY)
        judge = settings("a.example", revocation=Revocation([RevocationList(crl([middle.certificate]))]))
        self.assertIs(TlsPair(judge, below).run().client.failure.reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        refused = TlsPair(below, judge, "a.example").run()
        self.assertIs(refused.server.failure.reason, Reason.REMOTE_CERTIFICATE_REVOKED)
        self.assertIs(refused.client.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)


def _completed() -> Any:
    """Stands for the connection of a completed handshake; the rule only asks whether there is one."""
    return object()
