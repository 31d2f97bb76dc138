"""Whether a trusted authority vouches for a signer, and for whom the signer may speak (RFC 8224 sections 7.2 and 8.4).

The chain is checked by OpenSSL against the authorities that are given for this purpose (RFC 5280); for which SIP
domains a certificate speaks is RFC 5922's rule, as for peers. Telephone numbers are no names: who may say so of them is
a policy of the application (RFC 8226 puts it into an extension of certificates, which is not read here).

Left out: revocation lists and OCSP, the TNAuthList extension; what limits the claims of a signer (RFC 8226 section 8),
so that nobody who is limited is believed.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import X509, X509Store, X509StoreContext, X509StoreContextError, X509StoreFlags

from sip_p2p.transport.trust.certificate_facts import UNREADABLE, Refused, certificate_facts

if TYPE_CHECKING:
    from sip_p2p.transport.trust.credential import TrustAnchors

__all__ = ["LONGEST_CHAIN", "Unsupported", "check_chain", "read_chain", "signing_key"]

LONGEST_CHAIN = 8
"""The most certificates that one fetched file may hold."""

_BEGIN = b"-----BEGIN CERTIFICATE-----"
# RFC 8226 section 8 and RFC 9118 section 3: what its holder may say in a PASSporT.
_CONSTRAINTS = frozenset(("1.3.6.1.5.5.7.1.27", "1.3.6.1.5.5.7.1.33"))


class Unsupported(Exception):
    """A certificate that is not believed; the text says why, in a few words."""


def read_chain(octets: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in *octets*, the signer's first: PEM, or one as DER (RFC 7515 section 4.1.5, RFC
    8224 section 7.4).

    :raises ValueError: when there is none, or more than :data:`LONGEST_CHAIN`.
    """
    try:
        if _BEGIN not in octets:
            return (x509.load_der_x509_certificate(octets),)
        if octets.count(_BEGIN) > LONGEST_CHAIN:
            raise ValueError(f"more than {LONGEST_CHAIN} certificates")
        return tuple(x509.load_pem_x509_certificates(octets))
    except UNREADABLE as error:
        raise ValueError(f"no certificate: {error}") from error


def signing_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The key that checks ES256 signatures of *certificate*'s holder (RFC 8225 section 4.2: curve P-256).

    :raises Unsupported: when it is of another kind.
    """
    try:
        key = certificate.public_key()
    except UNREADABLE as error:
        raise Unsupported(f"its key cannot be read: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Unsupported("its key is none of curve P-256")
    return key


def check_chain(
    chain: tuple[x509.Certificate, ...], anchors: TrustAnchors, at: float, signed_at: float | None = None
) -> None:
    """Hold *chain*, the signer's certificate first, against *anchors*.

    :param at: the moment, in seconds since 1970.
    :param signed_at: when the signature was made, if that is another moment.
    :raises Unsupported: when nobody trusted vouches for it, or it is not meant to sign.
    """
    moment = datetime.datetime.fromtimestamp(at, datetime.UTC)
    facts = certificate_facts(chain[0].public_bytes(Encoding.DER))
    try:
        facts.check_readable()
        facts.check_strength(is_anchor=False)
    except Refused as refused:
        raise Unsupported(refused.detail or "it is too weak") from None
    if facts.is_authority:
        raise Unsupported("it is an authority's certificate, not a party's")
    if not facts.may_sign:
        raise Unsupported("it is not meant for signatures")
    if signed_at is not None and not facts.starts.timestamp() <= signed_at <= facts.expires.timestamp():
        raise Unsupported("it was not valid when it signed")
    if any(each.oid.dotted_string in _CONSTRAINTS for each in chain[0].extensions):
        raise Unsupported("its authority limits what it may say, and the limits are not read here")
    store = X509Store()
    store.set_flags(X509StoreFlags.X509_STRICT)
    store.set_time(moment)
    try:
        for anchor in anchors.certificates:
            store.add_cert(X509.from_cryptography(anchor))
        others = [X509.from_cryptography(each) for each in chain[1:]]
        X509StoreContext(store, X509.from_cryptography(chain[0]), others).verify_certificate()
    except X509StoreContextError as error:
        raise Unsupported(f"no trusted authority vouches for it: {str(error)[:200]}") from None
    except UNREADABLE as error:
        raise Unsupported(f"it cannot be read: {error}") from None
