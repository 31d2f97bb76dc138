"""The authorities above those who have been verified, so that a resumed session can be judged as its chain was.

When a session is resumed, the peer does not show its chain again, and a server's ticket holds only the peer's own
certificate (RFC 5246 section 7.3, RFC 8446 section 2.2). What stood above it when it was verified is remembered here,
one entry an authority: so the chain can be looked up again, and its validity and revocation are judged as of now.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, final

from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

__all__ = ["KnownIssuers"]

_Key: TypeAlias = "tuple[bytes, bytes]"

MOST_ISSUERS = 256
"""Authorities that are remembered, for one state of the settings; the one seen first gives way to more of them, and
sessions below it are not resumed any more."""

_MOST_CHAINS = 512
# Larger certificates are looked up each time, so that nobody can make us remember megabytes.
_LONGEST_REMEMBERED = 4096
# Longer chains are not verified in the first place.
_LONGEST_CHAIN = 10


@final
class KnownIssuers:
    """The authorities of verified chains, by what a certificate says of its issuer."""

    __slots__ = ("_anchors", "_chains", "_issuers", "_learnt")

    def __init__(self, anchors: Container[object]) -> None:
        """
        :param anchors: where chains end; asked whether it contains a certificate as DER.
        """
        self._anchors = anchors
        self._issuers: dict[_Key, bytes] = {}
        # What was looked up already: most sessions are those of the same few peers.
        self._chains: dict[bytes, list[bytes]] = {}
        # What was learnt already, by the party's own certificate: the same few peers connect again and again.
        self._learnt: dict[bytes, tuple[bytes, ...]] = {}

    def learn(self, chain: Sequence[bytes]) -> None:
        """Remember the authorities of a chain that has just been verified.

        :param chain: certificates as DER, the party's own first.
        """
        party = chain[0] if chain else b""
        whole = tuple(chain)
        if self._learnt.get(party) == whole:
            return
        for certificate, issuer in pairwise(chain):
            key = _key_of_issuer(x509.load_der_x509_certificate(certificate))
            if self._issuers.get(key) == issuer:
                continue
            self._chains.clear()
            self._learnt.clear()
            self._issuers.pop(key, None)
            while len(self._issuers) >= MOST_ISSUERS:
                del self._issuers[next(iter(self._issuers))]
            self._issuers[key] = issuer
        if len(self._learnt) >= _MOST_CHAINS:
            self._learnt.clear()
        if sum(map(len, whole)) <= _LONGEST_REMEMBERED:
            self._learnt[party] = whole

    def chain_of(self, certificate: bytes) -> list[bytes] | None:
        """The chain of a certificate that was verified before, up to its anchor; None if it is not known any more."""
        found = self._chains.get(certificate)
        if found is not None:
            return found
        chain = [certificate]
        while chain[-1] not in self._anchors:
            issuer = self._issuers.get(_key_of_issuer(x509.load_der_x509_certificate(chain[-1])))
            if issuer is None or len(chain) >= _LONGEST_CHAIN:
                return None
            chain.append(issuer)
        if len(self._chains) >= _MOST_CHAINS:
            self._chains.clear()
        if len(certificate) <= _LONGEST_REMEMBERED:
            self._chains[certificate] = chain
        return chain

    def __len__(self) -> int:
        return len(self._issuers)


def _key_of_issuer(certificate: x509.Certificate) -> _Key:
    """The issuer's name, and the identifier of its key where the certificate has one."""
    try:
        identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        identifier = None
    return certificate.issuer.public_bytes(), identifier or b""
