"""The judgement on a peer's certificate: may this party, with this certificate, talk to us here?

RFC 5280 (what OpenSSL checks), RFC 5922 section 7 (SIP identities), RFC 5924 (key usage for SIP), RFC 9325 section 4.5
(strength). The judgement is passed twice, in OpenSSL's verify callback, so that a refusal reaches the peer as an
alert, and again when the handshake is complete, from what the connection itself then says of its peer. Both fail
closed: an exception anywhere is a refusal, and never leaves the callback.

Left out: revocation.
"""

from __future__ import annotations

import datetime
import functools
from contextlib import suppress
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL.crypto import FILETYPE_ASN1, X509, dump_certificate
from OpenSSL.SSL import X509VerificationCodes
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.identity import PeerIdentities, TrustPolicy
from sip_p2p.transport.tls_failure import verification_reason, verification_words

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection

    from sip_p2p.transport.credential import TrustAnchors

__all__ = ["PeerCheck", "VerifiedPeer"]

_log = Logger()

_SIP_DOMAIN = "1.3.6.1.5.5.7.3.20"
# In SIP one certificate serves the side that dials and the side that answers, and public authorities have stopped to
# put clientAuth into what they issue for servers: either will do, as will id-kp-sipDomain and anyExtendedKeyUsage (RFC
# 5924).
_PURPOSES = frozenset(
    [
        ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,
        ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string,
        _SIP_DOMAIN,
    ]
)
_WEAK_DIGESTS = frozenset(["md2", "md4", "md5", "sha1"])
_SMALLEST_RSA_KEY = 2048
_SMALLEST_EC_KEY = 224
# Larger certificates are examined each time, so that nobody can make us remember megabytes.
_LONGEST_REMEMBERED = 4096


@final
class VerifiedPeer:
    """What a completed and verified handshake has established.

    :ivar identities: what the peer's certificate proves; None for a peer without a certificate, which only a listener
        without mutual TLS accepts.
    :ivar matched: the identity by which the peer was accepted: the name that was dialled, or the one that the policy
        allows; the empty string without a certificate.
    :ivar tls_version: such as ``TLSv1.3``.
    :ivar cipher: the cipher suite, by OpenSSL's name.
    :ivar is_client: whether *we* are the client of this TLS connection.
    """

    __slots__ = ("_certificate", "cipher", "identities", "is_client", "matched", "tls_version")

    def __init__(
        self,
        identities: PeerIdentities | None,
        matched: str,
        certificate: bytes,
        tls_version: str,
        cipher: str,
        is_client: bool,
    ) -> None:
        self.identities = identities
        self.matched = matched
        # As DER: parsed, it would take several kilobytes for each connection.
        self._certificate = certificate
        self.tls_version = tls_version
        self.cipher = cipher
        self.is_client = is_client

    @property
    def certificate(self) -> x509.Certificate | None:
        """The peer's certificate, or None; read anew each time."""
        return x509.load_der_x509_certificate(self._certificate) if self._certificate else None

    @property
    def key(self) -> str:
        """The key of the peer's identity, see :attr:`.PeerIdentities.key`; the empty string without a certificate."""
        return self.identities.key if self.identities is not None else ""

    def __repr__(self) -> str:
        return f"<VerifiedPeer {self.matched or 'without certificate'} {self.tls_version} {self.cipher}>"


class _Refused(Exception):
    """Ends a check; never leaves this module."""

    def __init__(self, reason: TlsFailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@final
class PeerCheck:
    """The judgement on the peer of one connection.

    :ivar peer: whom the failure names: the name that was dialled, or the caller's address.
    :ivar refusal: why the peer was refused, once it was.
    """

    __slots__ = ("_anchors", "_approved", "_expected", "_policy", "_require", "peer", "refusal")

    def __init__(
        self, anchors: TrustAnchors, policy: TrustPolicy, *, expected: str | None, require_certificate: bool
    ) -> None:
        """
        :param anchors: whom we trust to certify.
        :param policy: who may call us; of no consequence where *expected* says whom we call.
        :param expected: the name that was dialled, in normal form; None on the accepting side.
        :param require_certificate: whether a peer without one is refused.
        """
        self._anchors = anchors
        self._policy = policy
        self._expected = expected
        self._require = require_certificate
        # The certificate that was found good.
        self._approved = b""
        self.peer = expected or ""
        self.refusal: TlsFailure | None = None

    @property
    def is_client(self) -> bool:
        """Whether we dialled."""
        return self._expected is not None

    @property
    def has_approved(self) -> bool:
        """Whether the peer's certificate came and was found good."""
        return bool(self._approved) and self.refusal is None

    def judge(self, certificate: X509, code: int, depth: int) -> bool:
        """One step of OpenSSL's verification: whether it may go on.

        :param certificate: the one that the step is about.
        :param code: what OpenSSL has against it; 0 for nothing.
        :param depth: its place in the chain, from 0 for the peer's own.
        """
        if self.refusal is not None:
            return False
        der = b""
        try:
            der = dump_certificate(FILETYPE_ASN1, certificate)
            if code == X509VerificationCodes.ERR_INVALID_PURPOSE:
                # OpenSSL knows nothing of RFC 5924; the same rule follows below for what it lets pass.
                _examined(der).check_purposes(is_authority=depth > 0)
                return True
            if code != X509VerificationCodes.OK:
                raise _Refused(verification_reason(code), verification_words(code, depth))
            _examined(der).check_strength(is_anchor=der in self._anchors)
            if depth == 0:
                self._identify(_examined(der))
                self._approved = der
        except _Refused as refused:
            self._refuse(refused.reason, refused.detail, der)
        except Exception:
            self._failed("judging the peer's certificate failed", der)
        return self.refusal is None

    def conclude(self, connection: Connection) -> VerifiedPeer | None:
        """The handshake is complete: what it has established, or None after a refusal."""
        if self.refusal is not None:
            return None
        der = b""
        try:
            certificate = connection.get_peer_certificate()
            identities: PeerIdentities | None = None
            matched = ""
            if certificate is not None:
                der = dump_certificate(FILETYPE_ASN1, certificate)
                found = _examined(der)
                # The same octets as any other connection of this peer has.
                der = found.der
                self._check_approval(found)
                identities, matched = self._identify(found)
            elif self._require:
                raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_MISSING, "")
            version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
            return VerifiedPeer(identities, matched, der, version, cipher, self.is_client)
        except _Refused as refused:
            self._refuse(refused.reason, refused.detail, der)
        except Exception:
            self._failed("verifying the completed handshake failed", der)
        return None

    def _check_approval(self, found: _Examined) -> None:
        if self._approved:
            if self._approved != found.der:
                raise _Refused(TlsFailureReason.OTHER, "the certificate is not the one that was verified")
            self._approved = found.der
            return
        # Only a resumed session gets here without the callback. Its ticket was made by this very context, which trusts
        # the same authorities, after a full verification; what may have changed since is the time. We never resume.
        if self.is_client:
            raise _Refused(TlsFailureReason.OTHER, "the certificate was not verified")
        found.check_readable()
        if datetime.datetime.now(datetime.UTC) > found.expires:
            raise _Refused(TlsFailureReason.CERTIFICATE_EXPIRED, "it expired after the session was made")
        found.check_strength(is_anchor=found.der in self._anchors)

    def _identify(self, found: _Examined) -> tuple[PeerIdentities, str]:
        """What the peer's own certificate proves, and the identity by which it is welcome."""
        found.check_readable()
        if found.is_authority and found.der not in self._anchors:
            raise _Refused(
                TlsFailureReason.REMOTE_CERTIFICATE_INVALID, "it is an authority's certificate, not a party's"
            )
        found.check_purposes(is_authority=False)
        identities = found.identities
        proved = ", ".join(identities.identities)
        if self._expected is not None:
            matched = identities.matches(self._expected)
            if matched is None:
                raise _Refused(
                    TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE,
                    f"it proves {proved or 'no SIP identity'}, not {self._expected}",
                )
            return identities, matched
        if not identities:
            raise _Refused(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, "it proves no SIP identity")
        matched = self._policy.allows(identities)
        if matched is None:
            raise _Refused(
                TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED, f"it proves {proved}; allowed: {self._policy}"
            )
        return identities, matched

    def _refuse(self, reason: TlsFailureReason, detail: str, der: bytes) -> None:
        certificate: x509.Certificate | None = None
        with suppress(ValueError):
            certificate = x509.load_der_x509_certificate(der)
        self.refusal = TlsFailure(reason, self.peer, certificate, detail=detail)

    def _failed(self, what: str, der: bytes) -> None:
        # The refusal stands first: nothing that happens to the logging may undo it.
        self._refuse(TlsFailureReason.OTHER, f"{what}, so the peer is refused", der)
        _log.failure("{what}, so {peer} is refused", what=what, peer=self.peer)


@final
class _Examined:
    """What a certificate says by itself, whoever shows it to whom.

    :ivar der: the certificate.
    :ivar expires: the end of its validity.
    :ivar identities: what it proves, if it is a party's.
    :ivar is_authority: whether it is marked as an authority's.
    """

    __slots__ = (
        "_digest", "_purposes", "_unreadable", "_weak_key", "_without_signature",
        "der", "expires", "identities", "is_authority",
    )  # fmt: skip

    def __init__(self, der: bytes) -> None:
        self.der = der
        self.expires = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self.identities = PeerIdentities()
        self.is_authority = False
        self._unreadable = self._weak_key = self._digest = ""
        self._purposes: frozenset[str] | None = None
        self._without_signature = False
        try:
            self._read(x509.load_der_x509_certificate(der))
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            # OpenSSL can use it, and still nobody may: what cannot be read to its end cannot be judged.
            self._unreadable = str(error) or "it cannot be read"

    def _read(self, certificate: x509.Certificate) -> None:
        self.expires = certificate.not_valid_after_utc
        key = certificate.public_key()
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
                self._purposes = frozenset(each.dotted_string for each in value)
            elif isinstance(value, x509.KeyUsage):
                self._without_signature = not value.digital_signature
        self.identities = PeerIdentities.from_certificate(certificate)

    def check_readable(self) -> None:
        """Refuse a certificate that is malformed."""
        if self._unreadable:
            raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, self._unreadable)

    def check_purposes(self, *, is_authority: bool) -> None:
        """Refuse a certificate whose key usage or extended key usage rules SIP out; without either, all is well."""
        self.check_readable()
        usage = TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE
        if self._purposes is not None and _PURPOSES.isdisjoint(self._purposes):
            raise _Refused(usage, f"its extended key usage allows only {', '.join(sorted(self._purposes))}")
        # Every key exchange that we offer has the peer sign with this key.
        if self._without_signature and not is_authority:
            raise _Refused(usage, "its key usage does not allow signatures")

    def check_strength(self, *, is_anchor: bool) -> None:
        """Refuse keys and signatures that RFC 9325 calls too weak; an anchor is not trusted for its signature."""
        self.check_readable()
        if self._weak_key:
            raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, self._weak_key)
        if self._digest in _WEAK_DIGESTS and not is_anchor:
            raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, f"it is signed with {self._digest.upper()}")


def _examined(der: bytes) -> _Examined:
    """The examination of a certificate; those of peers and authorities that are often seen are remembered."""
    return _remembered(der) if len(der) <= _LONGEST_REMEMBERED else _Examined(der)


_remembered = functools.lru_cache(maxsize=512)(_Examined)
