"""What a certificate must be meant for, if its owner is to be a SIP peer of ours.

RFC 5924 (the purpose id-kp-sipDomain), RFC 5280 section 4.2.1.12 (extended key usage). RFC 5924 accepts
``id-kp-sipDomain``, leaves ``anyExtendedKeyUsage`` and certificates without the extension to the receiver, and accepts
nothing else. In practice SIP runs on certificates of the web: they carry ``serverAuth``, until a while ago also
``clientAuth``, and hardly ever ``id-kp-sipDomain``. And one SIP party is the client of one connection and the server of
the next, with one certificate. Which of this counts is a decision, so it has a name: :class:`KeyUsagePolicy`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.certificate_facts import CertificateFacts, Refused

__all__ = ["KeyUsage", "KeyUsagePolicy"]

_SERVER = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
_CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
_SIP_DOMAIN = "1.3.6.1.5.5.7.3.20"

_NAMES = {
    "serverAuth": _SERVER,
    "clientAuth": _CLIENT,
    "anyExtendedKeyUsage": _ANY,
    "sipDomain": _SIP_DOMAIN,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING.dotted_string,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION.dotted_string,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING.dotted_string,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string,
}
_WORDS = {oid: name for name, oid in _NAMES.items()}


class KeyUsagePolicy(enum.Enum):
    """Which extended key usages make a certificate good for SIP, in each direction."""

    SIP_EITHER = "sip-either"
    """``id-kp-sipDomain``, ``anyExtendedKeyUsage``, ``serverAuth`` or ``clientAuth``, whoever dialled; or no extended
    key usage at all. The default: a peer with a certificate of a public authority, which says ``serverAuth`` only, can
    dial us as well as be dialled."""

    STRICT = "strict"
    """As RFC 5280 has it for TLS: ``serverAuth`` for the peer that we dial, ``clientAuth`` for the one that dials us,
    or ``id-kp-sipDomain`` or ``anyExtendedKeyUsage`` for either; or no extended key usage at all."""

    SIP_DOMAIN_ONLY = "sip-domain-only"
    """``id-kp-sipDomain`` and nothing instead of it: RFC 5924 at its narrowest. A certificate without extended key
    usage is refused, and so is ``anyExtendedKeyUsage``."""

    @classmethod
    def parse(cls, text: str) -> KeyUsagePolicy:
        """The policy of this name, such as ``strict``.

        :raises ValueError: there is none; the message lists them.
        """
        try:
            return cls(text.strip().lower().replace("_", "-"))
        except ValueError:
            choices = ", ".join(each.value for each in cls)
            raise ValueError(f"{text[:64]!r} is no key usage policy: choose one of {choices}") from None


_SIP_PURPOSES = frozenset([_SIP_DOMAIN, _ANY])
# By policy, for the peer that is the server and the peer that is the client of the connection.
_ACCEPTED = {
    KeyUsagePolicy.SIP_EITHER: (_SIP_PURPOSES | {_SERVER, _CLIENT}, _SIP_PURPOSES | {_SERVER, _CLIENT}),
    KeyUsagePolicy.STRICT: (_SIP_PURPOSES | {_SERVER}, _SIP_PURPOSES | {_CLIENT}),
    KeyUsagePolicy.SIP_DOMAIN_ONLY: (frozenset([_SIP_DOMAIN]), frozenset([_SIP_DOMAIN])),
}


@final
class KeyUsage:
    """A :class:`KeyUsagePolicy` with the purposes that must be there besides (row D13).

    :ivar policy: the policy.
    :ivar required: the purposes that a peer's certificate must list, each of them, as dotted numbers. None of them is
        implied, by ``anyExtendedKeyUsage`` or by the extension's absence (RFC 5280 section 4.2.1.12 allows that).
    """

    __slots__ = ("policy", "required")

    def __init__(
        self,
        policy: KeyUsagePolicy | str = KeyUsagePolicy.SIP_EITHER,
        required: str | Iterable[str | x509.ObjectIdentifier] = (),
    ) -> None:
        """
        :param policy: the policy, or its name.
        :param required: dotted numbers, object identifiers, or names such as ``sipDomain`` and ``clientAuth``; in one
            string with commas, or in a list.
        :raises ValueError: a policy or purpose is unknown.
        """
        self.policy = policy if isinstance(policy, KeyUsagePolicy) else KeyUsagePolicy.parse(policy)
        listed = required.split(",") if isinstance(required, str) else required
        self.required: frozenset[str] = frozenset(_purpose(each) for each in listed if each)

    def check(self, facts: CertificateFacts, *, peer_is_client: bool, depth: int = 0) -> None:
        """Refuse a certificate that is not meant for this.

        :param peer_is_client: whether the peer dialled us.
        :param depth: the certificate's place in the chain. An authority that limits what it certifies for limits it for
            SIP as well; where it does not, all is well.
        """
        facts.check_readable()
        reason = TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE
        purposes = facts.purposes
        accepted = _ACCEPTED[self.policy][peer_is_client]
        if purposes is None:
            if depth == 0 and self.policy is KeyUsagePolicy.SIP_DOMAIN_ONLY:
                raise Refused(reason, "it has no extended key usage, and only sipDomain is accepted here")
        elif accepted.isdisjoint(purposes):
            role = "" if self.policy is not KeyUsagePolicy.STRICT else _role(peer_is_client)
            raise Refused(reason, f"its extended key usage allows only {_in_words(purposes)}{role}")
        if depth > 0:
            return
        missing = self.required - (purposes or frozenset())
        if missing:
            raise Refused(reason, f"its extended key usage lacks {_in_words(missing)}, which is required here")
        # Every key exchange that we offer has the peer sign with this key.
        if not facts.may_sign:
            raise Refused(reason, "its key usage does not allow signatures")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, KeyUsage):
            return NotImplemented
        return (self.policy, self.required) == (other.policy, other.required)

    def __hash__(self) -> int:
        return hash((self.policy, self.required))

    def __str__(self) -> str:
        return self.policy.value + (f" with {_in_words(self.required)}" if self.required else "")

    def __repr__(self) -> str:
        return f"<KeyUsage: {self}>"


def _role(peer_is_client: bool) -> str:
    return ", and its owner is the client here" if peer_is_client else ", and its owner is the server here"


def _in_words(purposes: Iterable[str]) -> str:
    return ", ".join(sorted(_WORDS.get(each, each) for each in purposes))


def _purpose(given: str | x509.ObjectIdentifier) -> str:
    if isinstance(given, x509.ObjectIdentifier):
        return given.dotted_string
    text = given.strip()
    try:
        return _NAMES.get(text) or x509.ObjectIdentifier(text).dotted_string
    except ValueError:
        known = ", ".join(_NAMES)
        raise ValueError(f"{text[:64]!r} is no purpose: write a dotted number, or one of {known}") from None
