"""The stack of trusts: what it is made of, whom it asks, and what wins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import CertificateAuthority
from sip_p2p.transport.trust.certificate_facts import Refused, certificate_facts
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.identity import PeerIdentities
from sip_p2p.transport.trust.pins import PinnedKeys, pin_of
from sip_p2p.transport.trust.stack import Authorities, Doubt, Grant, Shown, Trust, TrustedBy, TrustStack
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import (
    ANY,
    Party,
    RawClient,
    TlsPair,
    anchors,
    authority,
    credential,
    other_authority,
    party_credential,
    settings,
)

Reason = TlsFailureReason
B = authority().issue("b.example")


def shown(issued: Any = B, expected: str | None = "b.example", trouble: Refused | None = None) -> Shown:
    """What a peer with this certificate has shown."""
    return Shown(certificate_facts(issued.certificate.public_bytes(Encoding.DER)), expected, trouble, (), ANY)


class _Says(Trust):
    """Answers always the same, and counts."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked = 0
        self.remembered: list[str] = []

    def consider(self, shown: Shown) -> Any:
        self.asked += 1
        return (
            Grant(PeerIdentities([self.answer]), TrustedBy.PINNED_KEY, self)
            if self.answer.__class__ is str
            else (self.answer)
        )

    def remember(self, shown: Shown, grant: Grant) -> None:
        self.remembered.append(grant.identities.identities[0])


NO, NEVER = Doubt(Reason.CERTIFICATE_EXPIRED, "no"), Doubt(Reason.REMOTE_KEY_CHANGED, "never", is_final=True)


class MakingTests(SynchronousTestCase):
    """TrustStack.of."""

    def test_what_is_given(self) -> None:
        """Paths, anchors, trusts, stacks and lists of them make a stack; all authorities become one, in first place."""
        folder = Path(self.mktemp())
        authority().write(folder)
        other = TrustAnchors([other_authority().certificate])
        says = _Says("b.example")
        for given in (
            [folder / "ca.pem", says, other],
            [str(folder / "ca.pem"), TrustStack.of([says, other])],
            [Authorities(anchors()), says, Authorities(other)],
        ):
            stack = TrustStack.of(given)
            self.assertEqual(len(stack.trusts), 2)
            self.assertIs(stack.trusts[1], says)
            self.assertEqual(set(stack.certificates), {authority().certificate, other_authority().certificate})
            self.assertIn(authority().certificate, stack)
            self.assertIs(TrustStack.of(stack), stack)
        self.assertNotIn(authority().certificate, TrustStack.of(says))
        self.assertEqual(TrustStack.of(folder / "ca.pem").certificates, (authority().certificate,))
        self.assertIn("Authorities: 1", repr(TrustStack.of(anchors())))

    def test_party_as_authority(self) -> None:
        """A party's own certificate that can vouch for others is warned of; authorities, and certificates that are a
        party's and nothing else, are not. fault:F1"""
        party = authority().issue("c.example", self_signed=True).certificate
        builder = CertificateAuthority.create("c.example").certificate
        self.assertEqual(TrustStack.of([anchors(), TrustAnchors([party, builder])]).warnings, ())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "c.example")])
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), 1)
            .not_valid_before(party.not_valid_before_utc)
            .not_valid_after(party.not_valid_after_utc)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("c.example")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        (words,) = TrustStack.of([anchors(), TrustAnchors([made])]).warnings
        self.assertTrue(words.startswith("c.example is a party"))

    def test_nothing(self) -> None:
        """Nothing to trust, a file without a certificate, and what is no trust are refused at once."""
        with self.assertRaisesRegex(ValueError, "nothing is trusted"):
            TrustStack.of([])
        with self.assertRaisesRegex(ValueError, "nowhere.pem"):
            TrustStack.of("nowhere.pem")
        with self.assertRaisesRegex(TypeError, "nothing to trust"):
            TrustStack.of([5])  # type: ignore[list-item]

    def test_resumption(self) -> None:
        """Sessions are resumed where all peers are known in one way, not where nobody could say in which."""
        pins = PinnedKeys({"b.example": pin_of(B.certificate)})
        restricting = PinnedKeys({"b.example": pin_of(B.certificate)}, is_sufficient=False)
        self.assertTrue(TrustStack.of(anchors()).may_resume)
        self.assertTrue(TrustStack.of(pins).may_resume)
        self.assertTrue(TrustStack.of([anchors(), restricting]).may_resume)
        self.assertFalse(TrustStack.of([anchors(), pins]).may_resume)


class JudgementTests(SynchronousTestCase):
    """What a stack says."""

    def test_any_may_accept(self) -> None:
        """All are asked, any may grant, and the grants come in the order of the stack."""
        trusts = [_Says(NO), _Says("c.example"), _Says("b.example")]
        grants = TrustStack(trusts).consider(shown())
        self.assertEqual([grant.identities.identities for grant in grants], [("c.example",), ("b.example",)])
        self.assertEqual([each.asked for each in trusts], [1, 1, 1])

    def test_refusals_win(self) -> None:
        """A final doubt ends it, before or after any grant; where nobody grants, the first doubt is the reason."""
        for trusts in (
            [_Says("b.example"), _Says(NEVER)],
            [_Says(NEVER), _Says("b.example")],
            [_Says(NO), _Says(NEVER)],
        ):
            with self.assertRaises(Refused) as caught:
                TrustStack(trusts).consider(shown())
            self.assertIs(caught.exception.reason, Reason.REMOTE_KEY_CHANGED)
        with self.assertRaises(Refused) as caught:
            TrustStack([_Says(NO), _Says(Doubt(Reason.OTHER, "neither"))]).consider(shown())
        self.assertIs(caught.exception.reason, Reason.CERTIFICATE_EXPIRED)

    def test_authorities(self) -> None:
        """An authority vouches for nobody whose chain has a flaw, who is an authority, or who has another name."""
        trust = Authorities(anchors())
        self.assertIsInstance(trust.consider(shown()), Grant)
        broken = Refused(Reason.UNTRUSTED_REMOTE_CERTIFICATE, "broken", is_of_chain=True)
        for what, reason in (
            (shown(trouble=broken), Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (shown(authority().issue("b.example", is_authority=True)), Reason.REMOTE_CERTIFICATE_INVALID),
            (shown(expected="c.example"), Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE),
            (shown(authority().issue("x", alternative_names=[]), None), Reason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE),
        ):
            answer = trust.consider(what)
            assert isinstance(answer, Doubt)
            self.assertEqual((answer.reason, answer.is_final), (reason, False))

    def test_own_trust_must_answer(self) -> None:
        """The base class knows nobody, and remembers nothing."""
        with self.assertRaises(TypeError):
            Trust().consider(shown())
        trust = _Says("b.example")
        Trust.remember(trust, shown(), Grant(PeerIdentities(), TrustedBy.FIRST_USE, trust))


class HandshakeTests(SynchronousTestCase):
    """Stacks over TLS."""

    def test_own_trust(self) -> None:
        """A trust of one's own decides as whom a peer is known, and remembers it when the handshake is complete."""
        trust = _Says("b.example")
        trust.judges_keys = True
        stranger = credential(other_authority().issue("evil.example"))
        odd = settings("a.example", maximum_version=0)
        odd.replace(credential=stranger)
        pair = TlsPair(settings("a.example", anchors=trust), odd, client=Party(b"x"), server=Party(b"y")).run()
        verified = pair.client.transport.verified
        self.assertEqual((verified.matched, verified.trusted_by), ("b.example", TrustedBy.PINNED_KEY))
        self.assertEqual((trust.remembered, pair.server.heard), (["b.example"], b"x"))

    def test_answers_that_are_none(self) -> None:
        """Whatever else a trust answers, and whatever it raises when it should remember, is a refusal. fault:F1"""
        for answer in (None, True, "", Grant(PeerIdentities(), TrustedBy.AUTHORITY, _Says("x"))):
            pair = TlsPair(settings("a.example", anchors=[anchors(), _Says(answer)]), settings("b.example")).run()
            if isinstance(answer, Grant) or answer == "":
                self.assertEqual(pair.client.transport.verified.trusted_by, TrustedBy.AUTHORITY)
            else:
                self.assertIs(pair.client.failure.reason, Reason.OTHER)
        self.flushLoggedErrors(AttributeError)
        forgetful = _Says("b.example")
        forgetful.remembered = None  # type: ignore[assignment]
        pair = TlsPair(settings("a.example", anchors=forgetful), settings("b.example"), client=Party(b"x")).run()
        self.assertEqual((pair.client.events, pair.server.heard), (["made", "lost"], b""))
        self.flushLoggedErrors(AttributeError)

    def test_resumed_with_a_pin(self) -> None:
        """Where keys alone are trusted a session is resumed, and judged by its key anew. fault:F9"""
        for version in (0, 771):
            judge = settings(
                "a.example", anchors=PinnedKeys({"b.example": pin_of(party_credential("b.example").certificate)})
            )
            second = self.resumed(judge, version)
            self.assertEqual(second.server.transport.verified.trusted_by, TrustedBy.PINNED_KEY)
            self.assertEqual(judge.resumptions, 1)
            judge.replace(anchors=PinnedKeys({"b.example": pin_of(B.certificate)}))
            third = RawClient(judge, context=second.context, session=second.connection.get_session()).run()
            self.assertIs(third.server.failure.reason, Reason.REMOTE_KEY_NOT_PINNED)

    def test_never_resumed_where_it_is_not_known_how(self) -> None:
        """Beside an authority, nobody who was let in for a key comes back as one whom the authority knows. fault:F9"""
        for version in (0, 771):
            pins = PinnedKeys({"b.example": pin_of(party_credential("b.example").certificate)})
            judge = settings("a.example", anchors=[anchors(), pins])
            second = self.resumed(judge, version)
            self.assertEqual(second.server.events, ["made", "verified"])
            self.assertEqual((judge.resumptions, judge.handshakes), (0, 2))

    def resumed(self, judge: Any, version: int) -> RawClient:
        """A second connection with the session of a first one."""
        first = RawClient(judge, shows=party_credential("b.example"), version=version).run()
        first.party.transport.write(b"hello")
        first.server.transport.write(b"hello")
        first.run()
        self.assertEqual(first.server.heard, b"hello", first.server.reason)
        return RawClient(judge, context=first.context, session=first.connection.get_session()).run()
