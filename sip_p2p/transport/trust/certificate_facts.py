"""What a certificate says by itself, whoever shows it to whom: read once, and remembered for certificates often seen.

RFC 5280 (extensions), RFC 9325 section 4.5 (strength of keys and signatures), RFC 7469 section 2.4 (the fingerprint of
a key). Fails closed: what cannot be read to its end is malformed, and every check of it is a refusal.

Left out: whether anybody trusts it (:mod:`.trust.stack`), and what it may be used for (:mod:`.trust.key_usage`).
"""

from __future__ import annotations

import datetime
import functools
import hashlib
from base64 import b64encode
from typing import final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.identity import PeerIdentities

__all__ = ["UNREADABLE", "CertificateFacts", "Refused", "certificate_facts"]

_WEAK_DIGESTS = frozenset(["md2", "md4", "md5", "sha1"])
_SMALLEST_RSA_KEY = 2048
_SMALLEST_EC_KEY = 224
# Larger certificates are examined each time, so that nobody can make us remember megabytes.
_LONGEST_REMEMBERED = 4096
_LONGEST_DETAIL = 1000


UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What is raised where a certificate, or anything else that authorities sign, is malformed."""


class Refused(Exception):
    """A check says no. Never leaves the judgement, which makes a :class:`~sip_p2p.errors.TlsFailure` of it.

    :ivar reason: the reason.
    :ivar detail: a few words on it, cut short where they are more.
    :ivar is_of_chain: whether it is only the word of an authority that fails, and not the certificate itself: who knows
        the key by other means may trust it all the same.
    """

    def __init__(self, reason: TlsFailureReason, detail: str = "", *, is_of_chain: bool = False) -> None:
        # A certificate may claim thousands of names, and every log would hold them.
        self.detail = detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}..."
        super().__init__(self.detail)
        self.reason = reason
        self.is_of_chain = is_of_chain


@final
class CertificateFacts:
    """One certificate, examined.

    :ivar der: the certificate.
    :ivar starts: the beginning of its validity, aware.
    :ivar expires: the end of its validity, aware.
    :ivar identities: what it claims its owner to be, if it is a party's; proved once somebody vouches for it.
    :ivar is_authority: whether it is marked as an authority's.
    :ivar purposes: the extended key usages, as dotted numbers; None where it does not limit them.
    :ivar may_sign: whether its key usage allows signatures.
    :ivar pin: the fingerprint of its key: ``sha256/`` and the base64 of the SHA-256 of its SubjectPublicKeyInfo.
    """

    __slots__ = (
        "_digest", "_unreadable", "_weak_key",
        "der", "expires", "identities", "is_authority", "may_sign", "pin", "purposes", "starts",
    )  # fmt: skip

    def __init__(self, der: bytes) -> None:
        """Examine *der*; what cannot be read is found out by :meth:`check_readable`, nothing is raised here."""
        self.der = der
        self.starts = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        self.expires = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self.identities = PeerIdentities()
        self.is_authority = False
        self.purposes: frozenset[str] | None = None
        self.may_sign = True
        self.pin = ""
        self._unreadable = self._weak_key = self._digest = ""
        try:
            self._read(x509.load_der_x509_certificate(der))
        except UNREADABLE as error:
            # OpenSSL can use it, and still nobody may: what cannot be read to its end cannot be judged.
            self._unreadable = str(error) or "it cannot be read"

    def _read(self, certificate: x509.Certificate) -> None:
        self.starts, self.expires = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        key = certificate.public_key()
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.pin = f"sha256/{b64encode(hashlib.sha256(encoded).digest()).decode('ascii')}"
        smallest = _SMALLEST_EC_KEY if isinstance(key, ec.EllipticCurvePublicKey) else _SMALLEST_RSA_KEY
        if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey, ec.EllipticCurvePublicKey)) and key.key_size < smallest:
            self._weak_key = f"its key has only {key.key_size} bits"
        digest = certificate.signature_hash_algorithm
        self._digest = digest.name if digest is not None else ""
        for extension in certificate.extensions:
            value = extension.value
            if isinstance(value, x509.BasicConstraints):
                self.is_authority = value.ca
            elif isinstance(value, x509.ExtendedKeyUsage):
                self.purposes = frozenset(each.dotted_string for each in value)
            elif isinstance(value, x509.KeyUsage):
                self.may_sign = value.digital_signature
        self.identities = PeerIdentities.from_certificate(certificate)

    def check_readable(self) -> None:
        """Refuse a certificate that is malformed."""
        if self._unreadable:
            raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, self._unreadable)

    def check_validity(self, now: datetime.datetime) -> None:
        """Refuse a certificate that is not valid at *now*, aware."""
        self.check_readable()
        if now > self.expires:
            raise Refused(TlsFailureReason.CERTIFICATE_EXPIRED, f"on {self.expires:%Y-%m-%d %H:%M} UTC")
        if now < self.starts:
            raise Refused(TlsFailureReason.CERTIFICATE_NOT_YET_VALID, f"before {self.starts:%Y-%m-%d %H:%M} UTC")

    def check_strength(self, *, is_anchor: bool) -> None:
        """Refuse keys and signatures that RFC 9325 calls too weak; an anchor is not trusted for its signature."""
        self.check_readable()
        if self._weak_key:
            raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, self._weak_key)
        if self._digest in _WEAK_DIGESTS and not is_anchor:
            words = f"it is signed with {self._digest.upper()}"
            raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, words, is_of_chain=True)


def certificate_facts(der: bytes) -> CertificateFacts:
    """The facts of a certificate; those of peers and authorities that are often seen are remembered."""
    return _remembered(der) if len(der) <= _LONGEST_REMEMBERED else CertificateFacts(der)


_remembered = functools.lru_cache(maxsize=512)(CertificateFacts)
