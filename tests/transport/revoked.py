"""Revocation lists and OCSP responses as authorities make them, and as they should not."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from tests.transport.tls_pairs import authority

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["DAY", "NOW", "crl", "ocsp_response", "pem", "responder"]

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


def crl(
    revoked: Iterable[x509.Certificate] = (),
    signer: CertificateAuthority | None = None,
    *,
    issued: datetime.datetime = NOW - DAY,
    due: datetime.datetime = NOW + DAY,
    extensions: Iterable[tuple[x509.ExtensionType, bool]] = (),
    issuer: x509.Name | None = None,
    digest: Any = None,
) -> x509.CertificateRevocationList:
    """A list; every part of it can be chosen."""
    by = authority() if signer is None else signer
    builder = x509.CertificateRevocationListBuilder(issuer or by.certificate.subject, issued, due)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    for each in revoked:
        builder = builder.add_revoked_certificate(x509.RevokedCertificateBuilder(each.serial_number, NOW - DAY).build())
    return builder.sign(by.key, hashes.SHA256() if digest is None else digest)


def pem(*lists: x509.CertificateRevocationList) -> bytes:
    """Lists as one PEM file."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in lists)


def responder(signer: CertificateAuthority | None = None, **options: Any) -> IssuedCertificate:
    """An OCSP responder that an authority has certified."""
    options.setdefault("key_purposes", [ExtendedKeyUsageOID.OCSP_SIGNING])
    by = authority() if signer is None else signer
    return by.issue("ocsp.example", extensions=[(x509.OCSPNoCheck(), False)], **options)


def ocsp_response(
    certificate: x509.Certificate,
    issuer: CertificateAuthority | None = None,
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    issued: datetime.datetime = NOW - DAY,
    due: datetime.datetime | None = NOW + DAY,
    signer: Any = None,
    named: x509.Certificate | None = None,
    enclosed: Iterable[x509.Certificate] | None = None,
    digest: Any = None,
    algorithm: Any = None,
) -> bytes:
    """A response on *certificate*, as DER.

    :param signer: what has ``certificate`` and ``key``; the issuer itself by default.
    :param named: whom the response names as its responder.
    :param enclosed: the certificates in it; by default the responder's, if that is not the issuer.
    """
    by = authority() if issuer is None else issuer
    signing = by if signer is None else signer
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate,
        issuer=by.certificate,
        algorithm=hashes.SHA1() if algorithm is None else algorithm,
        cert_status=status,
        this_update=issued,
        next_update=due,
        revocation_time=NOW - DAY if is_revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if is_revoked else None,
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, named or signing.certificate)
    certificates = list(enclosed) if enclosed is not None else [] if signer is None else [signing.certificate]
    if certificates:
        builder = builder.certificates(certificates)
    return builder.sign(signing.key, hashes.SHA256() if digest is None else digest).public_bytes(Encoding.DER)
