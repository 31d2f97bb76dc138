"""OCSP responses that travel with the handshake: judging a server's, and stapling our own.

RFC 6960 (responses), RFC 6066 section 8 and RFC 8446 section 4.4.2.1 (stapling), RFC 7633 (certificates that demand
it). A response counts if the certificate's issuer has signed it, or somebody whom that issuer has certified for nothing
but this; if it speaks of this very certificate; and if it is of the present.

Pure but for the reading of a file. Left out: asking a responder. A peer that makes us connect to where its certificate
says is not given that.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from sip_p2p.transport.trust.certificate_facts import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CLOCK_SKEW", "Staple", "demands_staple", "own_staple_expires", "read_staple"]

CLOCK_SKEW = datetime.timedelta(minutes=5)
"""By how much the clocks of those who sign and of those who verify may differ."""

_LONGEST_RESPONSE = 64 * 1024
_MOST_CERTIFICATES = 4
_MOST_ANSWERS = 64
_WEAK_DIGESTS = frozenset(["md5", "sha1"])


@final
class Staple:
    """What a response says of one certificate.

    :ivar trouble: why it says nothing that can be relied upon, in words; empty if it does.
    :ivar revoked: that the certificate is revoked, in words; empty if it is not.
    :ivar expires: until when that holds.
    :ivar responder: the certificate of the responder, if that is not the issuer itself.
    :ivar is_exempt: whether the responder's certificate asks not to be looked up (``id-pkix-ocsp-nocheck``).
    """

    __slots__ = ("expires", "is_exempt", "responder", "revoked", "trouble")

    def __init__(self, trouble: str = "") -> None:
        self.trouble = trouble
        self.revoked = ""
        self.expires: datetime.datetime | None = None
        self.responder: x509.Certificate | None = None
        self.is_exempt = False


def read_staple(
    response: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime
) -> Staple:
    """What *response* says of *certificate*, which *issuer* has signed, at *now*. Nothing in it can raise.

    :param response: as DER; empty if there was none.
    """
    if not response:
        return Staple("the server stapled no OCSP response")
    if len(response) > _LONGEST_RESPONSE:
        return Staple(f"the stapled OCSP response has {len(response)} octets, which is refused")
    try:
        read = ocsp.load_der_ocsp_response(response)
        if read.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return Staple(f"the stapled OCSP response is an error, {read.response_status.name}")
        staple = Staple()
        staple.trouble = _check_signer(staple, read, issuer, now)
        if not staple.trouble:
            _read_answer(staple, read, certificate, issuer, now)
        return staple
    except (TypeError, *UNREADABLE) as error:
        return Staple(f"the stapled OCSP response cannot be read: {error}")


def demands_staple(certificate: x509.Certificate) -> bool:
    """Whether the certificate is not to be accepted without a stapled response (RFC 7633)."""
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return x509.TLSFeatureType.status_request in features


def own_staple_expires(response: bytes, certificate: x509.Certificate, source: str = "") -> datetime.datetime:
    """Until when a response can be stapled to the handshakes of our own *certificate*.

    The signature is not verified: we would have to trust ourselves. A peer verifies it.

    :raises ValueError: it is no response, or not for this certificate, or does not say that it is good; the message
        names *source* and the remedy.
    """
    named = source or "the OCSP response"
    if len(response) > _LONGEST_RESPONSE:
        raise ValueError(f"{named} has more than {_LONGEST_RESPONSE} octets: it is not an OCSP response for stapling")
    try:
        read = ocsp.load_der_ocsp_response(response)
        if read.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise ValueError(f"it is an error, {read.response_status.name}")
        for answer in _answers(read):
            if answer.serial_number != certificate.serial_number:
                continue
            if answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
                raise ValueError(f"it says that the certificate is {answer.certificate_status.name.lower()}")
            if answer.next_update_utc is None:
                raise ValueError("it does not say until when it holds")
            return answer.next_update_utc
    except (TypeError, *UNREADABLE) as error:
        raise ValueError(f"{named} cannot be stapled: {error}; fetch a new one from the authority") from error
    raise ValueError(f"{named} is for another certificate: fetch the one for {certificate.serial_number:x}")


def _answers(read: ocsp.OCSPResponse) -> Iterator[ocsp.OCSPSingleResponse]:
    for count, answer in enumerate(read.responses):
        if count >= _MOST_ANSWERS:
            return
        yield answer


def _check_signer(staple: Staple, read: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime.datetime) -> str:
    """Why nobody who may speak for *issuer* has signed the response; empty if somebody has."""
    digest = read.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_DIGESTS:
        return f"the stapled OCSP response is signed with {digest.name.upper()}, which proves nothing any more"
    if _is_responder(read, issuer):
        return "" if _signed_by(read, issuer) else "the stapled OCSP response is not signed by the issuer it names"
    for each in read.certificates[:_MOST_CERTIFICATES]:
        if not _is_responder(read, each):
            continue
        trouble = _check_delegate(each, issuer, now)
        if trouble:
            return trouble
        if not _signed_by(read, each):
            return "the signature of the stapled OCSP response is wrong"
        staple.responder = each
        staple.is_exempt = _has(each, x509.OCSPNoCheck)
        return ""
    return "the stapled OCSP response is signed by nobody whom the certificate's issuer has named"


def _check_delegate(responder: x509.Certificate, issuer: x509.Certificate, now: datetime.datetime) -> str:
    """RFC 6960 section 4.2.2.2: the issuer itself must have certified the responder, for this purpose."""
    try:
        responder.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return "the responder of the stapled OCSP response has its certificate from somebody else than the issuer"
    digest = responder.signature_hash_algorithm
    if digest is not None and digest.name in _WEAK_DIGESTS:
        return "the certificate of the OCSP responder has a signature that is too weak"
    if not responder.not_valid_before_utc <= now <= responder.not_valid_after_utc:
        return "the certificate of the OCSP responder is not valid now"
    try:
        purposes = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return "the certificate of the OCSP responder is not one for OCSP"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        return "the certificate of the OCSP responder is not one for OCSP"
    return ""


def _read_answer(
    staple: Staple,
    read: ocsp.OCSPResponse,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    now: datetime.datetime,
) -> None:
    answer = next((each for each in _answers(read) if _is_about(each, certificate, issuer)), None)
    if answer is None:
        staple.trouble = "the stapled OCSP response is about another certificate"
        return
    if answer.this_update_utc > now + CLOCK_SKEW:
        staple.trouble = f"the stapled OCSP response is of the future, {answer.this_update_utc:%Y-%m-%d %H:%M} UTC"
        return
    if answer.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        staple.revoked = f"the OCSP responder says that it is revoked since {answer.revocation_time_utc:%Y-%m-%d}"
        return
    if answer.next_update_utc is None:
        staple.trouble = "the stapled OCSP response does not say until when it holds"
    elif now > answer.next_update_utc + CLOCK_SKEW:
        staple.trouble = f"the stapled OCSP response is out of date since {answer.next_update_utc:%Y-%m-%d %H:%M} UTC"
    elif answer.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        staple.trouble = "the OCSP responder does not know the certificate"
    else:
        staple.expires = answer.next_update_utc + CLOCK_SKEW


def _is_about(answer: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the answer's CertID is the certificate's (RFC 6960 section 4.1.1)."""
    if answer.serial_number != certificate.serial_number:
        return False
    algorithm = answer.hash_algorithm
    if not isinstance(algorithm, (hashes.SHA1, hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512)):
        return False
    wanted = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
    return (answer.issuer_name_hash, answer.issuer_key_hash) == (wanted.issuer_name_hash, wanted.issuer_key_hash)


def _is_responder(read: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if read.responder_name is not None:
        return read.responder_name == certificate.subject
    return read.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _signed_by(read: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key = signer.public_key()
    signature, data, digest = read.signature, read.tbs_response_bytes, read.signature_hash_algorithm
    try:
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, data)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest is not None:
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey) and digest is not None:
            key.verify(signature, data, padding.PKCS1v15(), digest)
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _has(certificate: x509.Certificate, extension: type[x509.ExtensionType]) -> bool:
    try:
        certificate.extensions.get_extension_for_class(extension)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return True
