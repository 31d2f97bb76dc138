"""By what we know that a peer is who it says: authorities, pinned keys, keys seen before, and stacks of them.

A :class:`Trust` looks at what a peer has :class:`Shown` and answers with a :class:`Grant`, which says as whom the peer
is known, or with a :class:`Doubt`. A :class:`TrustStack` asks several: any of them may grant, in their order, but a
doubt that is final, such as a key that is not the pinned one, ends it whatever the others say. The verify callback of
the handshake and the completed handshake both consult it; only the second may make a trust remember something, because
only then the peer has proved that it holds the private key.

RFC 5922 (authorities and names). The trusts themselves: :class:`Authorities` here, :class:`.PinnedKeys` in
:mod:`.trust.pins`, :class:`.FirstUse` in :mod:`.trust.first_use`. A trust of one's own is a subclass of :class:`Trust`;
whatever it raises is a refusal.

Left out: who of those that are known may talk to us (:class:`.TrustPolicy`).
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, final

from cryptography.hazmat.primitives.serialization import Encoding

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import CertificateFacts, Refused, certificate_facts
from sip_p2p.transport.trust.credential import TrustAnchors

if TYPE_CHECKING:
    from cryptography import x509

    from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy

__all__ = ["Authorities", "Doubt", "Grant", "Shown", "Trust", "TrustGiven", "TrustStack", "TrustedBy"]


class TrustedBy(enum.Enum):
    """By what a peer is known."""

    AUTHORITY = "authority"
    PINNED_KEY = "pinned key"
    FIRST_USE = "first use"


@final
class Shown:
    """What a peer has shown up to now.

    :ivar facts: its certificate. What this says is a claim until somebody vouches for it.
    :ivar expected: the name that we dialled, in normal form; None if the peer dialled us.
    :ivar trouble: what is wrong with the chain that leads from the certificate to an authority; None if nothing is.
    :ivar chain: the chain as it was verified, as DER, the peer's own certificate first; empty in a handshake that
        resumes a session, where nothing is verified anew.
    :ivar policy: who may call us. It is held against the grants afterwards; a trust may look at it, and need not.
    """

    __slots__ = ("chain", "expected", "facts", "policy", "trouble")

    def __init__(
        self,
        facts: CertificateFacts,
        expected: str | None,
        trouble: Refused | None,
        chain: tuple[bytes, ...],
        policy: TrustPolicy,
    ) -> None:
        self.facts = facts
        self.expected = expected
        self.trouble = trouble
        self.chain = chain
        self.policy = policy

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is at stake: the one that we dialled, and those that the certificate claims."""
        claimed = self.facts.identities.identities
        return claimed if self.expected is None or self.expected in claimed else (self.expected, *claimed)


@final
class Grant:
    """A yes.

    :ivar identities: as whom the peer is known; nobody looks at the certificate's own names after this.
    :ivar trusted_by: by what.
    :ivar trust: who grants it, and remembers it if need be.
    """

    __slots__ = ("identities", "trust", "trusted_by")

    def __init__(self, identities: PeerIdentities, trusted_by: TrustedBy, trust: Trust) -> None:
        self.identities = identities
        self.trusted_by = trusted_by
        self.trust = trust


@final
class Doubt:
    """A no.

    :ivar reason: why.
    :ivar detail: a few words on it.
    :ivar is_final: whether it holds against what any other trust says.
    """

    __slots__ = ("detail", "is_final", "reason")

    def __init__(self, reason: TlsFailureReason, detail: str, *, is_final: bool = False) -> None:
        self.reason = reason
        self.detail = detail
        self.is_final = is_final


class Trust:
    """One way to know a peer.

    :ivar certificates: the authorities that it relies on, whose chains OpenSSL verifies.
    :ivar judges_keys: whether it can know a peer whose chain leads to no authority.
    :ivar warnings: what is to be logged at every start, a sentence each.
    :ivar files: what :meth:`reload` reads.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    judges_keys = False
    warnings: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    def consider(self, shown: Shown) -> Grant | Doubt:
        """Whether, and as whom, the peer is known.

        May be asked several times in a handshake, and by a peer that has not yet proved to hold the key: nothing may
        follow from it. Whatever it raises is a refusal.
        """
        raise TypeError(f"{type(self).__name__} cannot judge anybody")

    def remember(self, shown: Shown, grant: Grant) -> None:
        """The handshake is complete with a grant of this trust.

        :raises Refused: the peer is refused after all.
        """

    def reload(self) -> None:
        """Read :attr:`files` again.

        :raises ValueError: they cannot be used; what was known stays known.
        """


@final
class Authorities(Trust):
    """Trust in authorities: whose certificate leads to one of theirs is whom the certificate names (RFC 5922)."""

    def __init__(self, anchors: TrustAnchors) -> None:
        """
        :param anchors: their certificates.
        """
        self.anchors = anchors
        self.certificates = anchors.certificates
        shown = (certificate_facts(each.public_bytes(Encoding.DER)) for each in self.certificates)
        self.warnings = tuple(
            f"{', '.join(facts.identities.identities[:3])} is a party whose trusted certificate is marked as an "
            "authority's: it can vouch for itself under every name; pin its key instead"
            for facts in shown
            if facts.is_authority and facts.identities
        )

    def consider(self, shown: Shown) -> Grant | Doubt:
        """A chain without flaw, a party's certificate, and a name in it that is the right one."""
        if shown.trouble is not None:
            return Doubt(shown.trouble.reason, shown.trouble.detail)
        facts = shown.facts
        if facts.is_authority and facts.der not in self.anchors:
            words = "it is an authority's certificate, not a party's"
            return Doubt(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, words)
        identities = facts.identities
        wrong_name = TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE
        if shown.expected is None:
            if not identities:
                return Doubt(wrong_name, "it proves no SIP identity")
        elif identities.matches(shown.expected) is None:
            proved = ", ".join(identities.identities) or "no SIP identity"
            return Doubt(wrong_name, f"it proves {proved}, not {shown.expected}")
        return Grant(identities, TrustedBy.AUTHORITY, self)

    def __repr__(self) -> str:
        return f"<Authorities: {len(self.certificates)}>"


TrustGiven: TypeAlias = "str | os.PathLike[str] | TrustAnchors | Trust | TrustStack"
"""What can be made a trust of: the path of a PEM file or folder, or one of our own objects."""


@final
class TrustStack:
    """Several trusts, asked in their order.

    All authorities in it count as one trust, in the place of the first, because OpenSSL verifies a chain against all of
    them at once.

    :ivar trusts: the trusts.
    :ivar certificates: the authorities of all of them.
    :ivar judges_keys: whether one of them can know a peer whose chain leads to no authority.
    :ivar may_resume: whether a resumed session tells enough. Its chain is not shown again; where some peers are known
        by their chain and others by their key, nobody could say which of the two it had been.
    """

    __slots__ = ("_anchors", "certificates", "judges_keys", "may_resume", "trusts")

    def __init__(self, trusts: Iterable[Trust]) -> None:
        """
        :raises ValueError: there is none.
        """
        self.trusts: tuple[Trust, ...] = tuple(trusts)
        if not self.trusts:
            raise ValueError(
                "nothing is trusted, so nobody could be verified: give trust= the PEM file of an authority"
            )
        self.certificates = tuple(dict.fromkeys(each for trust in self.trusts for each in trust.certificates))
        self._anchors = TrustAnchors(self.certificates) if self.certificates else None
        self.judges_keys = any(trust.judges_keys for trust in self.trusts)
        self.may_resume = not (self.judges_keys and self.certificates)

    @classmethod
    def of(cls, given: TrustGiven | Iterable[TrustGiven]) -> TrustStack:
        """The stack that *given* stands for.

        :param given: the path of a PEM file or of a folder with some, :class:`.TrustAnchors`, a :class:`Trust`, or a
            list of these.
        :raises ValueError: nothing is trusted, or a file cannot be used; the message names it.
        :raises TypeError: *given* holds something else.
        """
        if isinstance(given, TrustStack):
            return given
        if isinstance(given, (str, os.PathLike, TrustAnchors, Trust)):
            given = [given]
        trusts: list[Trust | None] = []
        anchors: list[TrustAnchors] = []
        for each in given:
            if isinstance(each, TrustStack):
                inner: Iterable[Trust] = each.trusts
            elif isinstance(each, Trust):
                inner = (each,)
            elif isinstance(each, TrustAnchors):
                inner = (Authorities(each),)
            elif isinstance(each, (str, os.PathLike)):
                inner = (Authorities(TrustAnchors.from_files(Path(each))),)
            else:
                raise TypeError(f"{each!r} is nothing to trust: expected a path, TrustAnchors or a Trust")
            for trust in inner:
                if not isinstance(trust, Authorities):
                    trusts.append(trust)
                    continue
                if None not in trusts:
                    trusts.append(None)
                anchors.append(trust.anchors)
        merged = Authorities(TrustAnchors.merged(anchors)) if anchors else None
        # By None alone: a trust of somebody's own may well be false, as an empty collection is.
        return cls(trust for trust in (merged if each is None else each for each in trusts) if trust is not None)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files and folders that the trusts were read from, and that :meth:`read_again` reads."""
        return tuple(
            path
            for trust in self.trusts
            for path in (trust.anchors.files if isinstance(trust, Authorities) else trust.files)
        )

    def read_again(self) -> TrustStack:
        """The same trusts, with what :attr:`files` hold by now.

        :raises ValueError: a file cannot be used; the message names it.
        """
        for trust in self.trusts:
            trust.reload()
        return TrustStack(
            Authorities(trust.anchors.read_again()) if isinstance(trust, Authorities) and trust.anchors.files else trust
            for trust in self.trusts
        )

    @property
    def content(self) -> object:
        """What is the same for two stacks that know the same peers."""
        return [trust.anchors.content if isinstance(trust, Authorities) else trust for trust in self.trusts]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be logged at every start."""
        return tuple(words for trust in self.trusts for words in trust.warnings)

    def consider(self, shown: Shown) -> list[Grant]:
        """The grants of all trusts, the first one first; at least one.

        :raises Refused: none grants anything, with the doubt of the first; or one has a final doubt.
        """
        grants: list[Grant] = []
        first: Doubt | None = None
        for trust in self.trusts:
            answer = trust.consider(shown)
            if isinstance(answer, Grant):
                grants.append(answer)
            elif answer.is_final:
                raise Refused(answer.reason, answer.detail)
            elif first is None:
                first = answer
        if grants:
            return grants
        if first is None:
            raise Refused(TlsFailureReason.OTHER, "nobody vouches for it")
        raise Refused(first.reason, first.detail)

    def __contains__(self, certificate: object) -> bool:
        """Whether a certificate, as an object or as DER, is that of one of the authorities."""
        return self._anchors is not None and certificate in self._anchors

    def __repr__(self) -> str:
        return f"<TrustStack: {', '.join(map(repr, self.trusts))}>"
