"""Chains that can be looked up again."""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.pki import CertificateAuthority
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.issuers import MOST_ISSUERS, KnownIssuers
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import anchors, authority, other_authority


def chain_below(middle: CertificateAuthority, name: str = "b.example") -> list[bytes]:
    """A party's chain below an intermediate authority."""
    certificates = (middle.issue(name).certificate, middle.certificate, authority().certificate)
    return [each.public_bytes(Encoding.DER) for each in certificates]


class KnownIssuersTests(SynchronousTestCase):
    """What stood above a certificate when it was verified."""

    def test_other_leaf(self) -> None:
        """A chain is known by its authorities, whoever is at its end; one entry an authority. fault:F9"""
        known = KnownIssuers(anchors())
        middle = authority().intermediate("middle")
        first, second = chain_below(middle), chain_below(middle, "c.example")
        self.assertIsNone(known.chain_of(first[0]))
        known.learn(first)
        known.learn(second)
        self.assertEqual((known.chain_of(first[0]), known.chain_of(second[0]), len(known)), (first, second, 2))

    def test_anchor(self) -> None:
        """A certificate that is an anchor itself is its whole chain."""
        anchor = authority().certificate.public_bytes(Encoding.DER)
        self.assertEqual(KnownIssuers(anchors()).chain_of(anchor), [anchor])

    def test_another_key(self) -> None:
        """Authorities of the same name are told apart by their keys."""
        both = KnownIssuers(TrustAnchors([authority().certificate, other_authority().certificate]))
        for each in (authority(), other_authority()):
            leaf = each.issue("b.example").certificate.public_bytes(Encoding.DER)
            chain = [leaf, each.certificate.public_bytes(Encoding.DER)]
            both.learn(chain)
            self.assertEqual(both.chain_of(leaf), chain)
        self.assertEqual(len(both), 2)

    def test_bound(self) -> None:
        """The authority seen first gives way, and what is below it is not known any more."""
        known = KnownIssuers(anchors())
        chains = [chain_below(authority().intermediate(f"middle {number}")) for number in range(4)]
        for chain in chains:
            known.learn(chain)
        self.assertEqual(len(known), 5)
        for number in range(MOST_ISSUERS):
            known.learn([chains[0][0], *chain_below(authority().intermediate(f"x{number}"))[1:]])
            known.learn(chain_below(authority().intermediate(f"y{number}")))
        self.assertEqual(len(known), MOST_ISSUERS)
        self.assertIsNone(known.chain_of(chains[1][0]))

    def test_learnt_again(self) -> None:
        """What had to give way is known again when the same chain is verified again."""
        known = KnownIssuers(anchors())
        first = chain_below(authority().intermediate("first"))
        known.learn(first)
        for number in range(MOST_ISSUERS):
            known.learn(chain_below(authority().intermediate(f"z{number}")))
        self.assertIsNone(known.chain_of(first[0]))
        for _ in range(2):
            known.learn(first)
            self.assertEqual(known.chain_of(first[0]), first)

    def test_loop(self) -> None:
        """Authorities that certify each other lead nowhere."""
        known = KnownIssuers([])
        der = authority().certificate.public_bytes(Encoding.DER)
        known.learn([der, der])
        self.assertIsNone(known.chain_of(der))
