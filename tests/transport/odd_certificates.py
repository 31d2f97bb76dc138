"""Makes certificates, good ones and such as no authority should sign."""

from __future__ import annotations

import datetime
import functools
import ipaddress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from tests.transport.tls_pairs import authority, other_authority

__all__ = [
    "DAY",
    "NAME",
    "NOW",
    "address",
    "below",
    "broken_signature",
    "constrained",
    "cross_signed",
    "curve_key",
    "deep_authority",
    "directory_name",
    "dns",
    "edwards_key",
    "foreign_middle",
    "issue",
    "key",
    "key_usage",
    "long_chain",
    "middle",
    "named",
    "odd_authority",
    "old_authority",
    "patched",
    "raw_extension",
    "raw_names",
    "self_signed",
    "signed_by_party",
    "srv_name",
    "too_deep",
    "twice_named",
    "uri",
]

NAME = "b.example"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@functools.cache
def key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """A P-256 key, the same for the same number."""
    return ec.generate_private_key(ec.SECP256R1())


def issue(*names: str, by: CertificateAuthority | None = None, **knobs: Any) -> IssuedCertificate:
    """A certificate of the trusted authority, or of another, for b.example or for *names*."""
    knobs.setdefault("key", key())
    return (by or authority()).issue(*(names or (NAME,)), **knobs)


def named(*entries: x509.GeneralName, **knobs: Any) -> IssuedCertificate:
    """One whose alternative names are exactly these."""
    return issue(alternative_names=entries, **knobs)


def uri(value: str) -> x509.GeneralName:
    """A URI entry."""
    return x509.UniformResourceIdentifier(value)


def dns(value: str) -> x509.GeneralName:
    """A DNS entry, which may hold what no authority should sign."""
    return x509.DNSName(value)


def address(value: str) -> x509.GeneralName:
    """An IP entry."""
    return x509.IPAddress(ipaddress.ip_address(value))


def raw_names(*entries: tuple[int, bytes]) -> list[tuple[x509.ExtensionType, bool]]:
    """Alternative names from their tags and octets: 0x82 for DNS, 0x86 for URI."""
    encoded = b"".join(bytes([tag, len(value)]) + value for tag, value in entries)
    return raw_extension("2.5.29.17", bytes([0x30, len(encoded)]) + encoded)


def raw_extension(oid: str, value: bytes, *, critical: bool = False) -> list[tuple[x509.ExtensionType, bool]]:
    """An extension of any content."""
    return [(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical)]


def patched(
    issued: IssuedCertificate, old: bytes, new: bytes, by: CertificateAuthority | None = None
) -> IssuedCertificate:
    """*issued* with some octets of its signed part replaced by as many others, and signed anew."""
    signer = (by or authority()).key
    body = issued.certificate.tbs_certificate_bytes
    if body.count(old) != 1 or len(old) != len(new):
        raise ValueError(f"{old.hex()} stands there {body.count(old)} times")
    changed = body.replace(old, new)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    signature = signer.sign(changed, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    whole = changed + algorithm + bytes([0x03, len(signature) + 1, 0]) + signature
    certificate = x509.load_der_x509_certificate(b"\x30\x82" + len(whole).to_bytes(2, "big") + whole)
    return IssuedCertificate(issued.name, certificate, issued.key, issued.chain)


def twice_named() -> IssuedCertificate:
    """Two extensions with alternative names, the good one first (RFC 5280 section 4.2 allows one)."""
    made = issue(extensions=raw_extension("2.5.29.81", bytes.fromhex("300b8209") + b"b.example"))
    return patched(made, bytes.fromhex("0603551d51"), bytes.fromhex("0603551d11"))


def broken_signature() -> IssuedCertificate:
    """A good certificate whose signature does not fit."""
    issued = issue()
    other = issue()
    body = issued.certificate.tbs_certificate_bytes
    foreign = other.certificate.signature
    whole = body + bytes.fromhex("300a06082a8648ce3d040302") + bytes([0x03, len(foreign) + 1, 0]) + foreign
    forged = x509.load_der_x509_certificate(b"\x30\x82" + len(whole).to_bytes(2, "big") + whole)
    return IssuedCertificate(NAME, forged, issued.key)


@functools.cache
def middle() -> CertificateAuthority:
    """An intermediate authority below the trusted one."""
    return authority().intermediate("intermediate authority", key=key(1))


def below(certificate: x509.Certificate, *above: x509.Certificate, **knobs: Any) -> IssuedCertificate:
    """A party's certificate from the intermediate's key, shown with *certificate* as that intermediate's."""
    signer = CertificateAuthority(certificate, key(1), (certificate, *above))
    return issue(by=signer, **knobs)


def odd_authority(**knobs: Any) -> x509.Certificate:
    """A certificate for the intermediate's key that may lack what an authority needs."""
    options: dict[str, Any] = {
        "alternative_names": [],
        "key": key(1),
        "is_authority": True,
        "key_purposes": None,
        "common_name": "intermediate authority",
    }
    return authority().issue("intermediate", **(options | knobs)).certificate


def constrained(permitted: str = "", excluded: str = "") -> IssuedCertificate:
    """A certificate below an authority with name constraints (RFC 5280 section 4.2.1.10) for DNS names."""
    limits = x509.NameConstraints(
        [x509.DNSName(permitted)] if permitted else None, [x509.DNSName(excluded)] if excluded else None
    )
    return below(odd_authority(extensions=[(limits, True)]), alternative_names=[dns(NAME)])


def too_deep() -> IssuedCertificate:
    """An authority below one that allows none below it (path length 0)."""
    lower = CertificateAuthority.create("lower authority", key=key(2))
    made = issue(
        "lower", by=middle(), alternative_names=[], key=key(2), is_authority=True, common_name="lower authority"
    )
    signer = CertificateAuthority(made.certificate, lower.key, (made.certificate, *middle().chain))
    return issue(by=signer)


def long_chain(length: int) -> IssuedCertificate:
    """A certificate with *length* intermediates above it, under an authority of its own that is trusted."""
    signer = deep_authority()
    for number in range(length):
        made = issue(
            f"level-{number}",
            by=signer,
            alternative_names=[],
            key=key(1),
            is_authority=True,
            key_purposes=None,
            common_name=f"level {number}",
        )
        signer = CertificateAuthority(made.certificate, key(1), (made.certificate, *signer.chain))
    return issue(by=signer)


@functools.cache
def deep_authority() -> CertificateAuthority:
    """A root that allows any depth."""
    made = authority().issue(
        "root",
        alternative_names=[],
        key=key(3),
        is_authority=True,
        self_signed=True,
        common_name="deep root",
        key_purposes=None,
        days=3000,
    )
    return CertificateAuthority(made.certificate, key(3))


@functools.cache
def old_authority() -> CertificateAuthority:
    """A root that has expired."""
    made = authority().issue(
        "root",
        alternative_names=[],
        key=key(4),
        is_authority=True,
        self_signed=True,
        common_name="old root",
        key_purposes=None,
        not_before=NOW - 99 * DAY,
        not_after=NOW - DAY,
    )
    return CertificateAuthority(made.certificate, key(4))


def self_signed(*names: str, **knobs: Any) -> IssuedCertificate:
    """One that nobody vouches for."""
    return issue(*names, self_signed=True, **knobs)


def directory_name() -> x509.GeneralName:
    """A directory entry that holds the name."""
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)]))


def srv_name() -> x509.GeneralName:
    """An SRV entry (RFC 4985) that holds the name."""
    value = b"_sips.b.example"
    return x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), bytes([0x16, len(value)]) + value)


def cross_signed() -> IssuedCertificate:
    """Below the trusted root, shown as an older root that is not trusted has signed it."""
    cross = deep_authority().issue(
        "root",
        alternative_names=[],
        key=authority().key,
        is_authority=True,
        key_purposes=None,
        common_name="trusted authority",
    )
    return below(middle().certificate, cross.certificate)


def foreign_middle() -> x509.Certificate:
    """The intermediate authority, as another authority has signed it."""
    made = other_authority().issue(
        "intermediate",
        alternative_names=[],
        key=key(1),
        is_authority=True,
        key_purposes=None,
        common_name="intermediate authority",
    )
    return made.certificate


def signed_by_party() -> IssuedCertificate:
    """One that a party has signed, which is no authority."""
    party = issue("c.example", key=key(1))
    return below(party.certificate)


def key_usage(**allowed: bool) -> x509.KeyUsage:
    """A key usage of what is *allowed*, and nothing else."""
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: allowed.get(name, False) for name in names})


@functools.cache
def curve_key() -> ec.EllipticCurvePrivateKey:
    """A P-384 key."""
    return ec.generate_private_key(ec.SECP384R1())


@functools.cache
def edwards_key() -> ed25519.Ed25519PrivateKey:
    """An Ed25519 key."""
    return ed25519.Ed25519PrivateKey.generate()
