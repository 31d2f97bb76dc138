"""A private certificate authority: what two SIP parties need to prove to each other who they are.

RFC 5280 (profile), RFC 5922 section 7 (where the SIP domain stands in a certificate), RFC 5924 (the SIP key usage).
Every leaf carries the domain twice, as ``URI:sip:domain`` and as ``DNS:domain``, and may be used by the side that dials
and by the side that answers: in SIP one party is both.

An authority issues certificates into a folder::

    authority = CertificateAuthority.open("pki")             # made on first use: pki/ca.pem, pki/ca-key.pem
    authority.issue("a.example").write("pki")                # pki/a.example.pem: key, certificate and chain

``a.example.pem`` alone is a complete ``certKey`` for a listener, ``ca.pem`` is what the peers trust. Files that hold a
key are created with mode 0600 and are never written through an existing file or link.

Left out: OCSP, certificate requests, passwords on keys, and any use as a public authority.
"""

from __future__ import annotations

import datetime
import errno
import ipaddress
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import final

import idna
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "SIP_DOMAIN_KEY_PURPOSE",
    "CertificateAuthority",
    "IssuedCertificate",
    "PrivateKey",
    "subject_alternative_names",
]

SIP_DOMAIN_KEY_PURPOSE = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.20")
"""``id-kp-sipDomain``, the extended key usage of RFC 5924."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
"""The private keys that a certificate can be issued for."""

DEFAULT_KEY_PURPOSES: tuple[x509.ObjectIdentifier, ...] = (
    ExtendedKeyUsageOID.SERVER_AUTH,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    SIP_DOMAIN_KEY_PURPOSE,
)

AUTHORITY_FILE = "ca.pem"
AUTHORITY_KEY_FILE = "ca-key.pem"

# A clock that is a little slow must not refuse a certificate that was made a minute ago.
_BACKDATED = datetime.timedelta(hours=1)
# RFC 5280, appendix A.1: ub-common-name.
_LONGEST_COMMON_NAME = 64
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NOT_FOR_A_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]")


def subject_alternative_names(*names: str) -> list[x509.GeneralName]:
    """The names that a SIP party's certificate should carry (RFC 5922 section 7.1).

    A host or domain name gives ``URI:sip:NAME`` and ``DNS:NAME``; an IP address an ``IP`` entry only; ``localhost``
    also has the two loopback addresses. Names beyond ASCII are turned into A-labels.

    :raises ValueError: a name is neither a host name nor an IP address; wildcards are refused, because no SIP peer may
        accept one.
    """
    found: list[x509.GeneralName] = []
    for name in names:
        address = _ip_address(name)
        entries: list[x509.GeneralName]
        if address is not None:
            entries = [x509.IPAddress(address)]
        else:
            host = _host_name(name)
            entries = [x509.UniformResourceIdentifier(f"sip:{host}"), x509.DNSName(host)]
            if host == "localhost":
                entries.append(x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")))
                entries.append(x509.IPAddress(ipaddress.IPv6Address("::1")))
        found.extend(entry for entry in entries if entry not in found)
    return found


@final
class IssuedCertificate:
    """One certificate with its private key and the intermediates that lead to the root.

    :ivar name: the first name that it was issued for.
    :ivar certificate: the certificate itself.
    :ivar key: its private key.
    :ivar chain: the intermediate authorities, the issuer first; empty when the root signed it.
    """

    __slots__ = ("certificate", "chain", "key", "name")

    def __init__(
        self, name: str, certificate: x509.Certificate, key: PrivateKey, chain: tuple[x509.Certificate, ...] = ()
    ) -> None:
        self.name = name
        self.certificate = certificate
        self.key = key
        self.chain = chain

    @property
    def certificate_pem(self) -> bytes:
        """The certificate and its chain, leaf first, as PEM."""
        return b"".join(each.public_bytes(Encoding.PEM) for each in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS #8 PEM."""
        return _key_pem(self.key)

    @property
    def pem(self) -> bytes:
        """Key, certificate and chain in one: all that a listener or a dialler needs of its own."""
        return self.key_pem + self.certificate_pem

    def write(self, directory: str | os.PathLike[str], *, replace: bool = False) -> Path:
        """Write :attr:`pem` as ``NAME.pem``, mode 0600, and return its path.

        :param directory: the folder; it is made if it is not there.
        :param replace: put the new file in the place of an existing one (renewal) instead of refusing.
        :raises FileExistsError: the file is there and *replace* is False.
        """
        path = _folder(directory) / f"{_NOT_FOR_A_FILE_NAME.sub('_', self.name)}.pem"
        _write_new(path, self.pem, 0o600, replace, "remove it, or ask for it to be replaced")
        return path


@final
class CertificateAuthority:
    """A private root (or intermediate) that signs the certificates of SIP parties.

    :ivar certificate: the authority's own certificate.
    :ivar key: its private key.
    :ivar chain: what leads from it to the root: itself first, the root left out; empty for a root.
    """

    __slots__ = ("certificate", "chain", "key")

    def __init__(
        self, certificate: x509.Certificate, key: PrivateKey, chain: tuple[x509.Certificate, ...] = ()
    ) -> None:
        self.certificate = certificate
        self.key = key
        self.chain = chain

    @classmethod
    def create(
        cls,
        common_name: str = "sip_p2p private authority",
        directory: str | os.PathLike[str] | None = None,
        *,
        days: float = 3650,
        key: PrivateKey | None = None,
    ) -> CertificateAuthority:
        """Make a new root with a P-256 key.

        :param directory: where to write it at once; see :meth:`write`.
        :param days: how long it is valid, from now.
        :param key: the private key to use instead of a new one.
        :raises FileExistsError: *directory* holds an authority already.
        """
        _check_common_name(common_name)
        signing_key = key if key is not None else ec.generate_private_key(ec.SECP256R1())
        subject = _distinguished_name(common_name)
        start, end = _validity(days, None, None)
        builder = _builder(subject, subject, signing_key, start, end)
        certificate = _add_authority_extensions(builder, signing_key, signing_key, 1).sign(
            signing_key, _digest(signing_key)
        )
        authority = cls(certificate, signing_key)
        if directory is not None:
            authority.write(directory)
        return authority

    @classmethod
    def load(cls, directory: str | os.PathLike[str]) -> CertificateAuthority:
        """Read the authority that :meth:`write` has left in *directory*.

        :raises FileNotFoundError: it is not there.
        :raises ValueError: a file does not hold what it should, or the two do not belong together.
        """
        folder = Path(directory)
        certificate_path, key_path = folder / AUTHORITY_FILE, folder / AUTHORITY_KEY_FILE
        certificate_pem = _read(certificate_path, "create the authority first")
        key_pem = _read(key_path, "an authority without its key signs nothing: restore it, or use another folder")
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except ValueError as error:
            raise ValueError(f"{certificate_path} is not a PEM certificate: restore it ({error})") from error
        try:
            key = load_pem_private_key(key_pem, None)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{key_path} is not an unencrypted PEM private key: restore it ({error})") from error
        if not isinstance(
            key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
        ):
            raise ValueError(f"{key_path} holds a key that cannot sign certificates: use a P-256 one")
        if _public_bytes(key) != _certified_bytes(certificate):
            raise ValueError(f"{key_path} is not the key of {certificate_path}: restore both from one place")
        return cls(certificate, key)

    @classmethod
    def open(
        cls, directory: str | os.PathLike[str], common_name: str = "sip_p2p private authority"
    ) -> CertificateAuthority:
        """The authority of *directory*: the one that is there, else a new one under *common_name*."""
        folder = Path(directory)
        if (folder / AUTHORITY_FILE).exists() or (folder / AUTHORITY_KEY_FILE).exists():
            return cls.load(folder)
        return cls.create(common_name, folder)

    @property
    def pem(self) -> bytes:
        """The authority's certificate as PEM: what peers put on their list of trusted roots."""
        return self.certificate.public_bytes(Encoding.PEM)

    def write(self, directory: str | os.PathLike[str]) -> Path:
        """Write ``ca.pem`` (mode 0644) and ``ca-key.pem`` (0600) and return the path of the former.

        :raises FileExistsError: one of them is there; an authority is never overwritten.
        """
        folder = _folder(directory)
        remedy = "open that authority instead of creating one, or choose another folder"
        # An existing certificate is refused before the key is written: a failed call leaves no half of an authority.
        if (folder / AUTHORITY_FILE).exists():
            raise FileExistsError(
                errno.EEXIST, f"an authority is already there: {remedy}", str(folder / AUTHORITY_FILE)
            )
        _write_new(folder / AUTHORITY_KEY_FILE, _key_pem(self.key), 0o600, False, remedy)
        _write_new(folder / AUTHORITY_FILE, self.pem, 0o644, False, remedy)
        return folder / AUTHORITY_FILE

    def intermediate(
        self, common_name: str, *, days: float = 1825, key: PrivateKey | None = None
    ) -> CertificateAuthority:
        """A new authority below this one; what it issues carries the chain."""
        _check_common_name(common_name)
        signing_key = key if key is not None else ec.generate_private_key(ec.SECP256R1())
        start, end = self._within_own_validity(days, None, None)
        builder = _builder(_distinguished_name(common_name), self.certificate.subject, signing_key, start, end)
        builder = _add_authority_extensions(builder, signing_key, self.key, 0)
        certificate = builder.sign(self.key, _digest(self.key))
        return CertificateAuthority(certificate, signing_key, (certificate, *self.chain))

    def issue(
        self,
        *names: str,
        days: float = 365,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
        key: PrivateKey | None = None,
        common_name: str | None = None,
        alternative_names: Sequence[x509.GeneralName] | None = None,
        key_purposes: Iterable[x509.ObjectIdentifier] | None = DEFAULT_KEY_PURPOSES,
        key_usage: x509.KeyUsage | None = None,
        is_authority: bool = False,
        self_signed: bool = False,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> IssuedCertificate:
        """Issue a certificate for *names*: host or domain names, or IP addresses.

        With names alone the result is what a SIP party should have: a P-256 key, the names of
        :func:`subject_alternative_names`, the key purposes for both sides of TLS and for SIP. Everything else is there
        to make certificates that a peer should refuse.

        :param days: how long it is valid, from now; never longer than the authority itself.
        :param not_before: start of validity (aware, or naive in UTC) instead of an hour ago.
        :param not_after: end of validity instead of *days*.
        :param key: the private key to certify instead of a new one.
        :param common_name: the subject's CN instead of the first name; the empty string for an empty subject.
        :param alternative_names: the whole subjectAltName instead of what *names* give; empty for no such extension.
        :param key_purposes: the extended key usage; None or empty for no such extension.
        :param key_usage: the key usage instead of the one that fits the key.
        :param is_authority: mark the certificate as a certificate authority's.
        :param self_signed: signed with its own key, not by this authority.
        :param extensions: further extensions, each with its critical flag.
        :raises ValueError: a name is not a name, or there is none.
        """
        general_names = list(subject_alternative_names(*names) if alternative_names is None else alternative_names)
        if not names and common_name is None:
            raise ValueError("a certificate needs a name: give the host or domain that it speaks for")
        own_name = common_name if common_name is not None else names[0]
        subject = _distinguished_name(own_name if len(own_name) <= _LONGEST_COMMON_NAME else "")
        leaf_key = key if key is not None else ec.generate_private_key(ec.SECP256R1())
        signing_key = leaf_key if self_signed else self.key
        issuer = subject if self_signed else self.certificate.subject
        if not_after is None:
            start, end = self._within_own_validity(days, not_before, not_after)
        else:
            start, end = _validity(days, not_before, not_after)
        builder = _builder(subject, issuer, leaf_key, start, end)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(
            key_usage if key_usage is not None else _leaf_key_usage(leaf_key, is_authority), critical=True
        )
        purposes = list(key_purposes) if key_purposes is not None else []
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if general_names:
            # RFC 5280 section 4.2.1.6: with an empty subject the alternative names are all there is, and critical.
            builder = builder.add_extension(x509.SubjectAlternativeName(general_names), critical=not subject)
        builder = _add_key_identifiers(builder, leaf_key, signing_key)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        certificate = builder.sign(signing_key, _digest(signing_key))
        return IssuedCertificate(
            names[0] if names else own_name, certificate, leaf_key, () if self_signed else self.chain
        )

    def revocation_list(
        self, revoked: Iterable[x509.Certificate] = (), *, days: float = 7
    ) -> x509.CertificateRevocationList:
        """A signed list of certificates of this authority that are not to be accepted any more (RFC 5280 section 5).

        It replaces the one before: name all of them each time. ``.public_bytes(Encoding.PEM)`` is what goes into a file
        for :meth:`.Revocation.from_files`.

        :param days: in how many days the next one is due; peers that are strict refuse everybody if it does not come.
        """
        start, end = _validity(days, None, None)
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self.certificate.subject, start, end)
        # RFC 5280 section 5.2.3: it only has to grow.
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(authority, critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.serial_number, now)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, _digest(self.key))

    def _within_own_validity(
        self, days: float, not_before: datetime.datetime | None, not_after: datetime.datetime | None
    ) -> tuple[datetime.datetime, datetime.datetime]:
        start, end = _validity(days, not_before, not_after)
        return start, min(end, self.certificate.not_valid_after_utc)


def _ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def _host_name(name: str) -> str:
    host = name
    if not name.isascii():
        try:
            host = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{name!r} is not a host name: {error}") from error
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise ValueError(f"{name!r} is no host name or IP address: write a.example, not a URI, wildcard or host:port")
    return host.lower()


def _check_common_name(common_name: str) -> None:
    if not common_name or len(common_name) > _LONGEST_COMMON_NAME:
        raise ValueError(f"an authority's name has 1 to {_LONGEST_COMMON_NAME} characters: {common_name!r}")


def _distinguished_name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _validity(
    days: float, not_before: datetime.datetime | None, not_after: datetime.datetime | None
) -> tuple[datetime.datetime, datetime.datetime]:
    if days <= 0:
        raise ValueError(f"a certificate must be valid for some time: days={days}")
    now = datetime.datetime.now(datetime.UTC)
    start = _aware(not_before) if not_before is not None else now - _BACKDATED
    end = _aware(not_after) if not_after is not None else now + datetime.timedelta(days=days)
    return (min(start, end - _BACKDATED), end) if not_before is None else (start, end)


def _aware(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)


def _digest(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number(), start, end)


def _add_authority_extensions(
    builder: x509.CertificateBuilder, key: PrivateKey, signing_key: PrivateKey, path_length: int
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    return _add_key_identifiers(builder, key, signing_key)


def _add_key_identifiers(
    builder: x509.CertificateBuilder, key: PrivateKey, signing_key: PrivateKey
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    return builder.add_extension(authority, critical=False)


def _leaf_key_usage(key: PrivateKey, is_authority: bool) -> x509.KeyUsage:
    encipherment = isinstance(key, rsa.RSAPrivateKey)
    return _key_usage(digital_signature=True, key_encipherment=encipherment, key_cert_sign=is_authority)


def _key_usage(
    digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _public_bytes(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _certified_bytes(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _folder(directory: str | os.PathLike[str]) -> Path:
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, f"no such file: {remedy}", str(path)) from None


def _write_new(path: Path, content: bytes, mode: int, replace: bool, remedy: str) -> None:
    """Write a file that nobody else can have opened or linked before."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}") if replace else path
    try:
        # O_EXCL: neither an existing file nor a symbolic link, even a dangling one, is written through.
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, f"the file is already there: {remedy}", str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(mode)
        if replace:
            fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
