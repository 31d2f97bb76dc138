"""What we show to a peer, and whose word we take for what a peer shows: certificates and keys from files or objects.

RFC 5280; RFC 9325 section 4.5 for what is strong enough. Everything is read and checked when the object is made, so
that a mistake is reported at the start, with the name of the file and the remedy, and not by a peer's alert.
Passwords, keys and their contents never enter a message.

Left out: the Windows and macOS stores, PKCS #11, and the question whether a peer is trusted (:mod:`.tls.settings`).
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)
from twisted.logger import Logger

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.trust.identity import PeerIdentities
from sip_p2p.transport.trust.ocsp import own_staple_expires

__all__ = ["Credential", "PrivateKey", "TrustAnchors"]

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)
"""The private keys that TLS can use."""

_Path = str | os.PathLike[str]

_log = Logger()

_CERTIFICATE_MARK = b"-----BEGIN CERTIFICATE-----"
_ANCHOR_SUFFIXES = frozenset([".pem", ".crt", ".cer", ".0", ".1"])


@final
class Credential:
    """Our certificate with its private key and the intermediate authorities that a peer may need.

    :ivar certificate: our own certificate.
    :ivar key: its private key.
    :ivar chain: the intermediates, the issuer first, without a self-signed root: peers have that, or do not trust it.
    :ivar source: where it was read from, for messages; the empty string for objects.
    :ivar files: the files that it was read from, and that :meth:`read_again` reads; empty for objects.
    :ivar staple: the authority's OCSP response on the certificate, for callers that ask for it; empty without one.
    :ivar identities: what the certificate proves to a peer that keeps to RFC 5922.
    """

    __slots__ = ("_again", "_staple_expires", "certificate", "chain", "files", "identities", "key", "source", "staple")

    def __init__(
        self,
        certificate: x509.Certificate,
        key: PrivateKey,
        chain: Iterable[x509.Certificate] = (),
        *,
        source: str = "",
        staple: bytes = b"",
        at: datetime.datetime | None = None,
    ) -> None:
        """
        :param staple: an OCSP response on the certificate, as DER.
        :param at: the moment for which the validity is checked, aware; now if it is not given.
        :raises TlsFailure: ``LOCAL_CERTIFICATE_NOT_FOUND`` if the key is not the certificate's or the certificate is
            unusable, ``LOCAL_CERTIFICATE_EXPIRED`` if it is not valid at that moment.
        """
        named = source or "the certificate"
        if _spki(certificate) != key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
            raise _not_found(
                f"the private key of {named} is not that of its certificate: give the two that belong together"
            )
        self.certificate = certificate
        self.key = key
        self.chain: tuple[x509.Certificate, ...] = tuple(each for each in chain if each.subject != each.issuer)
        self.source = source
        self.files: tuple[Path, ...] = ()
        self._again: Callable[[], Credential] | None = None
        self.staple = staple
        self._staple_expires: datetime.datetime | None = None
        if staple:
            try:
                self._staple_expires = own_staple_expires(staple, certificate, f"the OCSP response for {named}")
            except ValueError as error:
                raise _not_found(str(error)) from error
        self.check_validity(at)
        try:
            self.identities = PeerIdentities.from_certificate(certificate)
        except ValueError as error:
            raise _not_found(f"{named} is of no use, no peer can accept it: {error}") from error
        if not self.identities:
            _log.warn(
                "{source} proves no SIP identity: it has no URI:sip, DNS or IP alternative name, and peers that keep "
                "to RFC 5922 will refuse it",
                source=named,
            )

    @classmethod
    def from_files(
        cls,
        certificate: _Path,
        private_key: _Path | None = None,
        chain: Iterable[_Path] = (),
        *,
        password: bytes | str | None = None,
        staple: _Path | None = None,
    ) -> Credential:
        """Read PEM files, or one PKCS #12 file.

        :param certificate: a PEM file with the certificate, and perhaps its chain and its key; or a PKCS #12 file.
        :param private_key: the PEM file with the key, if that is another one.
        :param chain: PEM files with further intermediates.
        :param password: what an encrypted key or PKCS #12 file is encrypted with.
        :param staple: a file with the authority's OCSP response on the certificate, as DER, as
            ``openssl ocsp -respout`` writes it.
        :raises TlsFailure: a file is missing, unreadable, or not what it should be; or as for the constructor.
        """
        intermediates = tuple(chain)
        made = cls._from_files(certificate, private_key, intermediates, password, staple)
        named = (certificate, private_key, *intermediates, staple)
        made.files = tuple(Path(each) for each in named if each is not None)
        made._again = lambda: cls.from_files(certificate, private_key, intermediates, password=password, staple=staple)
        return made

    @classmethod
    def _from_files(
        cls,
        certificate: _Path,
        private_key: _Path | None,
        chain: Iterable[_Path],
        password: bytes | str | None,
        staple: _Path | None,
    ) -> Credential:
        source = os.fspath(certificate)
        response = b"" if staple is None else _read(staple, "the OCSP response")
        data = _read(certificate, "the certificate")
        if private_key is None and _CERTIFICATE_MARK not in data and data[:1] == b"\x30":
            _warn_if_readable(certificate)
            return cls.from_pkcs12(data, password, source=source, staple=response)
        key_source = source if private_key is None else os.fspath(private_key)
        key_data = data if private_key is None else _read(private_key, "the private key")
        certificates = _certificates(data, source)
        for each in chain:
            certificates.extend(_certificates(_read(each, "the certificate chain"), os.fspath(each)))
        key = _private_key(key_data, key_source, password)
        _warn_if_readable(key_source)
        return cls._assembled(certificates, key, source, response)

    @classmethod
    def from_pem(
        cls,
        certificate: bytes,
        private_key: bytes | None = None,
        *,
        password: bytes | str | None = None,
        source: str = "",
    ) -> Credential:
        """Take PEM that is in memory: the certificate with its chain, and the key there or apart.

        :raises TlsFailure: as for :meth:`from_files`.
        """
        named = source or "the given certificate"
        key_data = certificate if private_key is None else private_key
        return cls._assembled(_certificates(certificate, named), _private_key(key_data, named, password), source)

    @classmethod
    def from_pkcs12(
        cls, data: bytes, password: bytes | str | None = None, *, source: str = "", staple: bytes = b""
    ) -> Credential:
        """Take the contents of a PKCS #12 file.

        :raises TlsFailure: as for :meth:`from_files`.
        """
        named = source or "the given PKCS #12"
        try:
            bundle = pkcs12.load_pkcs12(data, _password(password))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise _not_found(
                f"{named} cannot be opened as PKCS #12: check the file and its password ({error})"
            ) from error
        if bundle.cert is None or bundle.key is None:
            raise _not_found(f"{named} lacks the certificate or its private key: export both into it")
        chain = [each.certificate for each in bundle.additional_certs]
        return cls(bundle.cert.certificate, _usable(bundle.key, named), chain, source=source, staple=staple)

    @classmethod
    def _assembled(
        cls, certificates: list[x509.Certificate], key: PrivateKey, source: str, staple: bytes = b""
    ) -> Credential:
        # The certificate of the key comes first in most files, but not in all of them.
        own = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        leaf = next((each for each in certificates if _spki(each) == own), certificates[0])
        return cls(leaf, key, [each for each in certificates if each is not leaf], source=source, staple=staple)

    def read_again(self) -> Credential:
        """What :attr:`files` hold by now.

        :raises TlsFailure: as for :meth:`from_files`.
        :raises ValueError: it was not made from files.
        """
        if self._again is None:
            raise ValueError(f"{self!r} was not read from files")
        return self._again()

    @property
    def content(self) -> object:
        """What two credentials have in common if a peer cannot tell them apart."""
        return self.certificate, self.chain, self.staple

    @property
    def expires(self) -> datetime.datetime:
        """The end of the certificate's validity, aware."""
        return self.certificate.not_valid_after_utc

    def days_left(self, at: datetime.datetime | None = None) -> float:
        """How many days the certificate is valid for after *at*, aware, or now; negative once it has expired.

        What a peer needs counts: an intermediate authority of the chain that expires before the certificate does.
        """
        end = min(each.not_valid_after_utc for each in (self.certificate, *self.chain))
        return _days_until(end, at)

    def current_staple(self, at: datetime.datetime) -> bytes:
        """The OCSP response to show at *at*, aware; empty if there is none, or if it is out of date."""
        return self.staple if self._staple_expires is not None and at < self._staple_expires else b""

    def check_validity(self, at: datetime.datetime | None = None) -> None:
        """Check that the certificate is valid at *at*, or now.

        :raises TlsFailure: ``LOCAL_CERTIFICATE_EXPIRED``.
        """
        moment = at if at is not None else datetime.datetime.now(datetime.UTC)
        start, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        if start <= moment <= end:
            return
        what = f"has expired on {end:%Y-%m-%d %H:%M} UTC: renew it" if moment > end else _not_yet(start)
        raise TlsFailure(
            TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED,
            certificate=self.certificate,
            detail=f"{self.source or 'the certificate'} {what}",
        )

    def __repr__(self) -> str:
        origin = f" of {self.source}" if self.source else ""
        return f"<Credential {' '.join(self.identities.identities) or 'without identity'}{origin}>"


@final
class TrustAnchors:
    """The authorities whose signature we accept under a peer's certificate.

    :ivar certificates: their certificates.
    :ivar files: the files and folders that they were read from, and that :meth:`read_again` reads; empty for objects.
    """

    __slots__ = ("_again", "_encoded", "certificates", "files")

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        """
        :raises ValueError: there is none.
        """
        self.certificates: tuple[x509.Certificate, ...] = tuple(certificates)
        if not self.certificates:
            raise ValueError("there is no certificate of an authority to trust: name a PEM file that holds one")
        self.files: tuple[Path, ...] = ()
        self._again: Callable[[], TrustAnchors] | None = None
        self._encoded = frozenset(each.public_bytes(Encoding.DER) for each in self.certificates)

    @classmethod
    def from_files(cls, *paths: _Path) -> TrustAnchors:
        """Read PEM files, and the PEM files in folders.

        Of a folder only what an authority can have is taken, so that the certificates of parties may lie in it as well.

        :raises ValueError: a path is missing, unreadable, or holds no certificate; the message names it.
        """
        found: list[x509.Certificate] = []
        for each in paths:
            path = Path(each)
            try:
                read = _anchors_of_folder(path) if path.is_dir() else _anchors_of_file(path, path.read_bytes())
            except OSError as error:
                raise ValueError(
                    f"the trusted certificates {path} cannot be read: {error.strerror}; name a PEM file or a folder"
                ) from error
            if not read:
                raise ValueError(
                    f"{path} holds no certificate of an authority: put its PEM there, or name another path"
                )
            found.extend(certificate for certificate in read if certificate not in found)
        made = cls(found)
        made.files = tuple(Path(each) for each in paths)
        made._again = lambda: cls.from_files(*paths)
        return made

    @classmethod
    def merged(cls, parts: Iterable[TrustAnchors]) -> TrustAnchors:
        """All of *parts* in one; read again, those that were read from files are.

        :raises ValueError: there is none.
        """
        listed = tuple(parts)
        if len(listed) == 1:
            return listed[0]
        made = cls(dict.fromkeys(certificate for part in listed for certificate in part.certificates))
        made.files = tuple(dict.fromkeys(path for part in listed for path in part.files))
        made._again = lambda: cls.merged(part.read_again() if part.files else part for part in listed)
        return made

    def read_again(self) -> TrustAnchors:
        """What :attr:`files` hold by now.

        :raises ValueError: as for :meth:`from_files`; or they were not made from files.
        """
        if self._again is None:
            raise ValueError(f"{self!r} were not read from files")
        return self._again()

    @property
    def content(self) -> object:
        """What is the same for two objects that trust the same authorities."""
        return self._encoded

    @classmethod
    def from_pem(cls, data: bytes) -> TrustAnchors:
        """Take PEM that is in memory.

        :raises ValueError: it holds no certificate.
        """
        return cls(_anchors_of_file(Path("the given PEM"), data))

    def days_left(self, at: datetime.datetime | None = None) -> float:
        """How many days are left, after *at* or now, until the first of them is not valid any more."""
        return _days_until(min(each.not_valid_after_utc for each in self.certificates), at)

    def __contains__(self, certificate: object) -> bool:
        """Whether a certificate, as an object or as DER, is one of them."""
        der = certificate.public_bytes(Encoding.DER) if isinstance(certificate, x509.Certificate) else certificate
        return der in self._encoded

    def __repr__(self) -> str:
        return f"<TrustAnchors: {len(self.certificates)}>"


def _days_until(end: datetime.datetime, at: datetime.datetime | None) -> float:
    moment = at if at is not None else datetime.datetime.now(datetime.UTC)
    return (end - moment) / datetime.timedelta(days=1)


def _not_found(detail: str) -> TlsFailure:
    return TlsFailure(TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND, detail=detail)


def _not_yet(start: datetime.datetime) -> str:
    return f"is not valid before {start:%Y-%m-%d %H:%M} UTC: check the clock, or wait"


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _password(password: bytes | str | None) -> bytes | None:
    return password.encode() if isinstance(password, str) else password


def _read(path: _Path, what: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        remedy = "check the path" if isinstance(error, FileNotFoundError) else "check its permissions and type"
        raise _not_found(f"{what} {os.fspath(path)} cannot be read: {error.strerror}; {remedy}") from error


def _warn_if_readable(path: _Path) -> None:
    mode = stat.S_IMODE(Path(path).stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _log.warn(
            "the private key in {path} can be read by others (mode {mode}): chmod 600 it, and replace it if "
            "others have had access to this machine",
            path=os.fspath(path),
            mode=f"{mode:04o}",
        )


def _certificates(data: bytes, source: str) -> list[x509.Certificate]:
    if _CERTIFICATE_MARK not in data:
        raise _not_found(f"{source} holds no PEM certificate: it should have a line -----BEGIN CERTIFICATE-----")
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise _not_found(f"{source} holds a damaged certificate: replace the file ({error})") from error


def _private_key(data: bytes, source: str, password: bytes | str | None) -> PrivateKey:
    if b"PRIVATE KEY-----" not in data:
        raise _not_found(f"{source} holds no PEM private key: name the file that does as the private key")
    try:
        key = load_pem_private_key(data, _password(password))
    except TypeError as error:
        remedy = (
            "give its password, or decrypt it with 'openssl pkey'"
            if password is None
            else "it has no password: give none"
        )
        raise _not_found(f"the private key in {source} does not open: {remedy}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        remedy = "replace the file" if password is None else "check the password"
        raise _not_found(f"the private key in {source} does not open: {remedy} ({error})") from error
    return _usable(key, source)


def _usable(key: object, source: str) -> PrivateKey:
    if not isinstance(key, PrivateKey):
        raise _not_found(f"the private key in {source} is of a kind that TLS does not use: make a P-256 one")
    return key


def _anchors_of_file(path: Path, data: bytes) -> list[x509.Certificate]:
    if _CERTIFICATE_MARK not in data:
        return []
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError(f"{path} holds a damaged certificate: replace it ({error})") from error


def _anchors_of_folder(folder: Path) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _ANCHOR_SUFFIXES and path.is_file():
            found.extend(each for each in _anchors_of_file(path, path.read_bytes()) if _can_be_anchor(each))
    return found


def _can_be_anchor(certificate: x509.Certificate) -> bool:
    """Whether it is marked as an authority's, or is self-signed as one from before there were such marks."""
    with suppress(x509.ExtensionNotFound):
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
