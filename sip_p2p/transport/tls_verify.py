"""The judgement on a peer's certificate: may this party, with this certificate, talk to us here?

RFC 5280 (what OpenSSL checks), RFC 5922 section 7 (SIP identities), RFC 5924 (key usage for SIP), RFC 9325 section 4.5
(strength). The judgement is passed twice, in OpenSSL's verify callback, so that a refusal reaches the peer as an
alert, and again when the handshake is complete, from what the connection itself then says of its peer. Both fail
closed: an exception anywhere is a refusal, and never leaves the callback.

Left out: revocation.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL.SSL import X509VerificationCodes
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.identity import PeerIdentities, TrustPolicy
from sip_p2p.transport.tls_failure import verification_reason, verification_words

if TYPE_CHECKING:
    from OpenSSL.crypto import X509
    from OpenSSL.SSL import Connection

    from sip_p2p.transport.credential import TrustAnchors

__all__ = ["PeerCheck", "VerifiedPeer"]

_log = Logger()

_SIP_DOMAIN = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.20")
# In SIP one certificate serves the side that dials and the side that answers, and public authorities have stopped to
# put clientAuth into what they issue for servers: either will do, as will id-kp-sipDomain and anyExtendedKeyUsage (RFC
# 5924).
_PURPOSES = frozenset(
    [
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        _SIP_DOMAIN,
    ]
)
_WEAK_DIGESTS = frozenset(["md2", "md4", "md5", "sha1"])
_SMALLEST_RSA_KEY = 2048
_SMALLEST_EC_KEY = 224


@final
class VerifiedPeer:
    """What a completed and verified handshake has established.

    :ivar identities: what the peer's certificate proves; None for a peer without a certificate, which only a listener
        without mutual TLS accepts.
    :ivar matched: the identity by which the peer was accepted: the name that was dialled, or the one that the policy
        allows; the empty string without a certificate.
    :ivar certificate: the peer's certificate, or None.
    :ivar tls_version: such as ``TLSv1.3``.
    :ivar cipher: the cipher suite, by OpenSSL's name.
    :ivar is_client: whether *we* are the client of this TLS connection.
    """

    __slots__ = ("certificate", "cipher", "identities", "is_client", "matched", "tls_version")

    def __init__(
        self,
        identities: PeerIdentities | None,
        matched: str,
        certificate: x509.Certificate | None,
        tls_version: str,
        cipher: str,
        is_client: bool,
    ) -> None:
        self.identities = identities
        self.matched = matched
        self.certificate = certificate
        self.tls_version = tls_version
        self.cipher = cipher
        self.is_client = is_client

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
        self._approved: x509.Certificate | None = None
        self.peer = expected or ""
        self.refusal: TlsFailure | None = None

    @property
    def is_client(self) -> bool:
        """Whether we dialled."""
        return self._expected is not None

    @property
    def has_approved(self) -> bool:
        """Whether the peer's certificate came and was found good."""
        return self._approved is not None and self.refusal is None

    def judge(self, certificate: X509, code: int, depth: int) -> bool:
        """One step of OpenSSL's verification: whether it may go on.

        :param certificate: the one that the step is about.
        :param code: what OpenSSL has against it; 0 for nothing.
        :param depth: its place in the chain, from 0 for the peer's own.
        """
        if self.refusal is not None:
            return False
        judged: x509.Certificate | None = None
        try:
            judged = certificate.to_cryptography()
            _check_readable(judged)
            if code == X509VerificationCodes.ERR_INVALID_PURPOSE:
                # OpenSSL knows nothing of RFC 5924; the same rule follows below for what it lets pass.
                _check_purposes(judged, is_authority=depth > 0)
                return True
            if code != X509VerificationCodes.OK:
                raise _Refused(verification_reason(code), verification_words(code, depth))
            _check_strength(judged, is_anchor=judged in self._anchors)
            if depth == 0:
                self._identify(judged)
                self._approved = judged
        except _Refused as refused:
            self._refuse(refused.reason, refused.detail, judged)
        except Exception:
            self._failed("judging the peer's certificate failed", judged)
        return self.refusal is None

    def conclude(self, connection: Connection) -> VerifiedPeer | None:
        """The handshake is complete: what it has established, or None after a refusal."""
        if self.refusal is not None:
            return None
        certificate: x509.Certificate | None = None
        try:
            certificate = connection.get_peer_certificate(as_cryptography=True)
            identities: PeerIdentities | None = None
            matched = ""
            if certificate is not None:
                _check_readable(certificate)
                self._check_approval(certificate)
                identities, matched = self._identify(certificate)
            elif self._require:
                raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_MISSING, "")
            return VerifiedPeer(
                identities,
                matched,
                certificate,
                connection.get_protocol_version_name(),
                connection.get_cipher_name() or "",
                self.is_client,
            )
        except _Refused as refused:
            self._refuse(refused.reason, refused.detail, certificate)
        except Exception:
            self._failed("verifying the completed handshake failed", certificate)
        return None

    def _check_approval(self, certificate: x509.Certificate) -> None:
        if self._approved is not None:
            if self._approved != certificate:
                raise _Refused(TlsFailureReason.OTHER, "the certificate is not the one that was verified")
            return
        # Only a resumed session gets here without the callback. Its ticket was made by this very context, which trusts
        # the same authorities, after a full verification; what may have changed since is the time. We never resume.
        if self.is_client:
            raise _Refused(TlsFailureReason.OTHER, "the certificate was not verified")
        now = datetime.datetime.now(datetime.UTC)
        if now > certificate.not_valid_after_utc:
            raise _Refused(TlsFailureReason.CERTIFICATE_EXPIRED, "it expired after the session was made")
        _check_strength(certificate, is_anchor=certificate in self._anchors)

    def _identify(self, certificate: x509.Certificate) -> tuple[PeerIdentities, str]:
        """What the peer's own certificate proves, and the identity by which it is welcome."""
        if _is_authority(certificate) and certificate not in self._anchors:
            raise _Refused(
                TlsFailureReason.REMOTE_CERTIFICATE_INVALID, "it is an authority's certificate, not a party's"
            )
        _check_purposes(certificate, is_authority=False)
        try:
            identities = PeerIdentities.from_certificate(certificate)
        except ValueError as error:
            raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, str(error)) from None
        found = ", ".join(identities.identities)
        if self._expected is not None:
            matched = identities.matches(self._expected)
            if matched is None:
                raise _Refused(
                    TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE,
                    f"it proves {found or 'no SIP identity'}, not {self._expected}",
                )
            return identities, matched
        if not identities:
            raise _Refused(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, "it proves no SIP identity")
        matched = self._policy.allows(identities)
        if matched is None:
            raise _Refused(
                TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED, f"it proves {found}; allowed: {self._policy}"
            )
        return identities, matched

    def _refuse(self, reason: TlsFailureReason, detail: str, certificate: x509.Certificate | None) -> None:
        self.refusal = TlsFailure(reason, self.peer, certificate, detail=detail)

    def _failed(self, what: str, certificate: x509.Certificate | None) -> None:
        # The refusal stands first: nothing that happens to the logging may undo it.
        self._refuse(TlsFailureReason.OTHER, f"{what}, so the peer is refused", certificate)
        _log.failure("{what}, so {peer} is refused", what=what, peer=self.peer)


def _check_readable(certificate: x509.Certificate) -> None:
    """Refuse a certificate that OpenSSL can use and cryptography cannot read to its end."""
    try:
        _ = certificate.extensions, certificate.public_key(), certificate.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, str(error)) from None


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_purposes(certificate: x509.Certificate, *, is_authority: bool) -> None:
    """Refuse a certificate whose key usage or extended key usage rules SIP out; where they are absent, nothing is."""
    usage = TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE
    extensions = certificate.extensions
    try:
        purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        purposes = None
    if purposes is not None and _PURPOSES.isdisjoint(purposes):
        listed = ", ".join(each.dotted_string for each in purposes)
        raise _Refused(usage, f"its extended key usage allows only {listed}")
    if is_authority:
        return
    try:
        key_usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    # Every key exchange that we offer has the peer sign with this key.
    if not key_usage.digital_signature:
        raise _Refused(usage, "its key usage does not allow signatures")


def _check_strength(certificate: x509.Certificate, *, is_anchor: bool) -> None:
    """Refuse keys and signatures that RFC 9325 calls too weak; an anchor is trusted as it is, not for its signature."""
    key = certificate.public_key()
    smallest = _SMALLEST_EC_KEY if isinstance(key, ec.EllipticCurvePublicKey) else _SMALLEST_RSA_KEY
    if isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey, ec.EllipticCurvePublicKey)) and key.key_size < smallest:
        raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, f"its key has only {key.key_size} bits")
    digest = certificate.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_DIGESTS and not is_anchor:
        raise _Refused(TlsFailureReason.REMOTE_CERTIFICATE_WEAK, f"it is signed with {digest.name.upper()}")
