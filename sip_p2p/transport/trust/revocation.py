"""Whether a certificate that is in order otherwise has been taken back: certificate revocation lists from files.

RFC 5280 sections 5 and 6.3. A list counts for a certificate if the certificate's own issuer has signed it, if its scope
includes the certificate, and if it is of the present. Every certificate of a chain is looked up but the anchor, which
nobody can revoke but whoever configured it. A certificate on a list that is out of date is still revoked.

Indirect lists, delta lists and lists for some reasons only are refused when they are read: half of an answer is none.
Stapled OCSP responses are judged in :mod:`.trust.ocsp`. Left out: fetching lists or OCSP responses from anywhere. What
keeps the files fresh is a cron job of yours; that they are read again is :mod:`.tls.reload`'s concern.
"""

from __future__ import annotations

import datetime
import enum
import os
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.throttle import ThrottledLog
from sip_p2p.transport.trust.certificate_facts import UNREADABLE, Refused
from sip_p2p.transport.trust.ocsp import CLOCK_SKEW, demands_staple, read_staple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes

__all__ = ["Revocation", "RevocationList", "RevocationMode"]

_Path = str | os.PathLike[str]

_LIST_MARK = b"-----BEGIN X509 CRL-----"
_LIST_SUFFIXES = frozenset([".crl", ".pem", ".r0", ".r1"])
_LARGEST_FILE = 64 * 1024 * 1024
_WEAK_DIGESTS = frozenset(["md5", "sha1"])
# id-ce-certificateIssuer as DER has it: entries that speak of another authority's certificates.
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")
_MOST_KEYS_REMEMBERED = 16


class RevocationMode(enum.Enum):
    """What becomes of a peer of whose certificate it is not known whether it has been revoked.

    A peer whose certificate *is* revoked is refused in every mode but ``OFF``.
    """

    OFF = "off"
    SOFT = "soft"
    HARD = "hard"

    @classmethod
    def named(cls, name: str | RevocationMode) -> RevocationMode:
        """The mode called *name*, in any case.

        :raises ValueError: for a name that is none, with the names that are.
        """
        if isinstance(name, RevocationMode):
            return name
        try:
            return cls(name.lower())
        except ValueError:
            known = ", ".join(member.value for member in cls)
            raise ValueError(f"{name!r} is no way to handle revocation; there are {known}") from None


@final
class RevocationList:
    """One list, read and found to be of a kind that we understand; who signed it is checked where it is used.

    :ivar crl: the list itself.
    :ivar source: where it was read from, for messages.
    :ivar expires: when the next one is due.
    """

    __slots__ = ("_issued", "_only_authorities", "_only_parties", "_places", "_serials", "_signed", "crl", "expires",
                 "issuer", "source")  # fmt: skip

    def __init__(self, crl: x509.CertificateRevocationList, source: str = "") -> None:
        """
        :raises ValueError: the list is one that we cannot do justice to; the message says why.
        """
        self.source = source or "the given list"
        if crl.next_update_utc is None or crl.last_update_utc is None:
            raise ValueError(f"{self.source} does not say when the next one is due: have its issuer add nextUpdate")
        self.crl = crl
        self.issuer = crl.issuer.public_bytes()
        self.expires = crl.next_update_utc
        self._issued = crl.last_update_utc
        self._only_parties = self._only_authorities = False
        self._places: frozenset[str] | None = None
        self._read_extensions()
        if _CERTIFICATE_ISSUER in crl.tbs_certlist_bytes:
            raise ValueError(f"{self.source} lists certificates of other authorities: get each authority's own list")
        self._serials = frozenset(entry.serial_number for entry in crl)
        # By the digest of the key: the same list is verified once for each issuer that shows up with its name.
        self._signed: dict[bytes, str] = {}

    def _read_extensions(self) -> None:
        try:
            extensions = list(self.crl.extensions)
        except UNREADABLE as error:
            raise ValueError(f"{self.source} is damaged: fetch it again ({error})") from error
        for extension in extensions:
            value = extension.value
            if isinstance(value, x509.DeltaCRLIndicator):
                raise ValueError(f"{self.source} is a delta list, which says nothing by itself: get the complete list")
            if isinstance(value, x509.IssuingDistributionPoint):
                self._read_scope(value)
            elif extension.critical and not isinstance(value, (x509.CRLNumber, x509.AuthorityKeyIdentifier)):
                raise ValueError(
                    f"{self.source} has a critical extension {extension.oid.dotted_string} that is unknown here"
                )

    def _read_scope(self, scope: x509.IssuingDistributionPoint) -> None:
        if scope.indirect_crl:
            raise ValueError(
                f"{self.source} is an indirect list, for certificates of others: get each authority's own list"
            )
        if scope.only_some_reasons or scope.only_contains_attribute_certs:
            raise ValueError(f"{self.source} covers only a part of all reasons or none of TLS: get the complete list")
        self._only_parties, self._only_authorities = scope.only_contains_user_certs, scope.only_contains_ca_certs
        if scope.relative_name is not None:
            raise ValueError(f"{self.source} names its place relative to its issuer, which is not understood here")
        if scope.full_name is not None:
            self._places = frozenset(_words_of(name) for name in scope.full_name)

    def covers(self, certificate: x509.Certificate, is_authority: bool) -> bool:
        """Whether the certificate is one of those that the list is about (RFC 5280 section 6.3.3 (b))."""
        if (is_authority and self._only_parties) or (not is_authority and self._only_authorities):
            return False
        return self._places is None or not self._places.isdisjoint(_distribution_points(certificate))

    def lists(self, certificate: x509.Certificate) -> bool:
        """Whether the certificate's serial number is on the list."""
        return certificate.serial_number in self._serials

    def trouble(self, issuer: x509.Certificate, now: datetime.datetime) -> str:
        """Why the list cannot be relied upon at *now* as one of *issuer*, in words; empty if it can."""
        if now < self._issued - CLOCK_SKEW:
            return f"{self.source} is of the future, {self._issued:%Y-%m-%d %H:%M} UTC: check the clock"
        if now > self.expires:
            return f"{self.source} is out of date since {self.expires:%Y-%m-%d %H:%M} UTC: fetch the next one"
        return self.forged(issuer)

    def forged(self, issuer: x509.Certificate) -> str:
        """Why the list is none of *issuer*, in words; empty if it is."""
        key = issuer.public_key()
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found = self._signed.get(encoded)
        if found is None:
            if len(self._signed) >= _MOST_KEYS_REMEMBERED:
                self._signed.clear()
            found = self._signed[encoded] = self._check_signature(issuer, key)
        return found

    def _check_signature(self, issuer: x509.Certificate, key: object) -> str:
        try:
            usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
            if not usage.crl_sign:
                return f"{self.source} is signed by an authority that may not sign lists (key usage)"
        except x509.ExtensionNotFound:
            pass
        try:
            digest = self.crl.signature_hash_algorithm
        except UnsupportedAlgorithm:
            return f"{self.source} is signed in a way that is unknown here"
        if digest is not None and digest.name in _WEAK_DIGESTS:
            return f"{self.source} is signed with {digest.name.upper()}, which proves nothing any more"
        try:
            valid = self.crl.is_signature_valid(_verifying(key))
        except (TypeError, ValueError, UnsupportedAlgorithm):
            valid = False
        return "" if valid else f"{self.source} is not signed by {_named(issuer)}"

    def __repr__(self) -> str:
        return f"<RevocationList {self.source}: {len(self._serials)} until {self.expires:%Y-%m-%d %H:%M}>"


@final
class Revocation:
    """What is known of certificates that have been taken back, and what becomes of peers where nothing is known.

    Objects do not change; when a file changes, :mod:`.tls.reload` puts a new one in the place of the old.

    :ivar lists: the lists.
    :ivar files: the files and folders that they were read from, and that :meth:`read_again` reads; empty for objects.
    :ivar mode: what happens where they give no answer: ``OFF`` does not look, ``SOFT`` logs it and accepts the peer,
        ``HARD`` refuses it with ``REVOCATION_UNKNOWN``.
    :ivar stapling: the same for the OCSP response that a server which we dial staples to its handshake; other than
        ``OFF`` asks for one.
    """

    __slots__ = ("_by_issuer", "_log", "files", "lists", "mode", "stapling")

    def __init__(
        self,
        lists: Iterable[RevocationList] = (),
        mode: RevocationMode | str = RevocationMode.SOFT,
        *,
        stapling: RevocationMode | str = RevocationMode.OFF,
    ) -> None:
        """
        :raises ValueError: a mode is none.
        """
        self.lists = tuple(lists)
        self.files: tuple[Path, ...] = ()
        self.mode = RevocationMode.named(mode)
        self.stapling = RevocationMode.named(stapling)
        self._by_issuer: dict[bytes, list[RevocationList]] = {}
        for each in self.lists:
            self._by_issuer.setdefault(each.issuer, []).append(each)
        self._log = ThrottledLog("sip_p2p.transport.trust.revocation", time.monotonic)

    @classmethod
    def from_files(
        cls,
        *paths: _Path,
        mode: RevocationMode | str = RevocationMode.SOFT,
        stapling: RevocationMode | str = RevocationMode.OFF,
    ) -> Revocation:
        """Read lists from files, PEM or DER, and from folders with such files (``.crl``, ``.pem``, ``.r0``).

        :raises ValueError: a file cannot be read, is larger than 64 MiB, holds no list or one that we cannot do justice
            to; the message names it.
        """
        lists: list[RevocationList] = []
        for each in paths:
            path = Path(each)
            try:
                lists.extend(_lists_of_folder(path) if path.is_dir() else _lists_of_file(path))
            except OSError as error:
                raise ValueError(
                    f"the revocation list {path} cannot be read: {error.strerror}; name a file or a folder"
                ) from error
        made = cls(lists, mode, stapling=stapling)
        made.files = tuple(Path(each) for each in paths)
        return made

    def read_again(self) -> Revocation:
        """What :attr:`files` hold by now, with the same modes; an authority whose list is gone keeps the last one.

        :raises ValueError: as for :meth:`from_files`.
        """
        read = Revocation.from_files(*self.files, mode=self.mode, stapling=self.stapling)
        # Nobody takes a revocation back by deleting a file: that happens when somebody replaces it, or by mistake.
        gone = [each for each in self.lists if each.issuer not in read._by_issuer]
        if not gone:
            return read
        kept = Revocation((*read.lists, *gone), self.mode, stapling=self.stapling)
        kept.files = read.files
        return kept

    @property
    def content(self) -> object:
        """What is the same for two objects that judge alike."""
        return tuple(each.crl for each in self.lists), self.mode, self.stapling

    def judge(self, chain: Sequence[x509.Certificate], now: datetime.datetime | None = None) -> None:
        """Look up every certificate of a verified chain but the last, its anchor.

        :param chain: the party's own certificate first.
        :param now: aware; the present if it is not given.
        :raises Refused: one is revoked; or, in ``HARD`` mode, it is not known of one whether it is.
        """
        if self.mode is RevocationMode.OFF:
            return
        moment = datetime.datetime.now(datetime.UTC) if now is None else now
        for depth, (certificate, issuer) in enumerate(pairwise(chain)):
            self._look_up(certificate, issuer, depth > 0, moment)

    def _look_up(
        self, certificate: x509.Certificate, issuer: x509.Certificate, is_authority: bool, now: datetime.datetime
    ) -> None:
        troubles: list[str] = []
        known = False
        for each in self._by_issuer.get(certificate.issuer.public_bytes(), ()):
            if not each.covers(certificate, is_authority):
                continue
            # Who is on a list that nobody has replaced in time is on the next one as well.
            if each.lists(certificate) and not each.forged(issuer):
                words = f"{_named(certificate)}, serial number {certificate.serial_number:x}, is on {each.source}"
                raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_REVOKED, words)
            trouble = each.trouble(issuer, now)
            if trouble:
                troubles.append(trouble)
            else:
                known = True
        if not known:
            why = "; ".join(troubles) or f"there is no revocation list of {_named(issuer)}: add its file"
            self._unknown(self.mode, f"{_named(certificate)}: {why}")

    def judge_staple(
        self,
        response: bytes,
        certificate: x509.Certificate,
        issuer: x509.Certificate,
        now: datetime.datetime | None = None,
    ) -> datetime.datetime | None:
        """Judge what a server has stapled to its handshake (RFC 6960, RFC 6066 section 8).

        :param response: the OCSP response; empty for none.
        :returns: until when the answer holds; None if the peer is accepted without one.
        :raises Refused: the certificate is revoked; or, in ``HARD`` mode, the response says nothing that counts.
        """
        if self.stapling is RevocationMode.OFF:
            return None
        moment = datetime.datetime.now(datetime.UTC) if now is None else now
        staple = read_staple(response, certificate, issuer, moment)
        if staple.responder is not None and not staple.is_exempt:
            # The responder's own certificate is one that its authority can take back as well.
            self.judge((staple.responder, issuer), moment)
        if staple.revoked:
            raise Refused(TlsFailureReason.REMOTE_CERTIFICATE_REVOKED, f"{_named(certificate)}: {staple.revoked}")
        if staple.trouble:
            mode = RevocationMode.HARD if not response and demands_staple(certificate) else self.stapling
            self._unknown(mode, f"{_named(certificate)}: {staple.trouble}")
        return staple.expires

    def _unknown(self, mode: RevocationMode, words: str) -> None:
        if mode is RevocationMode.HARD:
            # Who knows the peer by other means than its authority's word can do without this one as well.
            raise Refused(TlsFailureReason.REVOCATION_UNKNOWN, words, is_of_chain=True)
        self._log.warn("it is not known whether a peer's certificate is revoked, and it is accepted: {why}", why=words)

    def __repr__(self) -> str:
        return f"<Revocation: {len(self.lists)} lists, {self.mode.value}, stapling {self.stapling.value}>"


def _lists_of_file(path: Path) -> list[RevocationList]:
    with path.open("rb") as file:
        data = file.read(_LARGEST_FILE + 1)
    if len(data) > _LARGEST_FILE:
        raise ValueError(f"the revocation list {path} is larger than 64 MiB, which is refused")
    try:
        if data[:1] == b"\x30":
            read = [x509.load_der_x509_crl(data)]
        else:
            blocks = data.split(_LIST_MARK)[1:]
            read = [x509.load_pem_x509_crl(_LIST_MARK + block) for block in blocks]
    except UNREADABLE as error:
        raise ValueError(f"{path} holds a damaged revocation list: fetch it again ({error})") from error
    if not read:
        raise ValueError(f"{path} holds no revocation list: it should be DER, or have a line {_LIST_MARK.decode()}")
    return [RevocationList(each, str(path)) for each in read]


def _lists_of_folder(folder: Path) -> list[RevocationList]:
    found: list[RevocationList] = []
    for path in sorted(folder.iterdir()):
        if path.suffix in _LIST_SUFFIXES and path.is_file() and (path.suffix != ".pem" or _holds_list(path)):
            found.extend(_lists_of_file(path))
    return found


def _holds_list(path: Path) -> bool:
    # Certificates may lie in the same folder.
    return _LIST_MARK in path.read_bytes()


def _verifying(key: object) -> CertificateIssuerPublicKeyTypes:
    return key  # type: ignore[return-value]


def _words_of(name: x509.GeneralName) -> str:
    return f"{type(name).__name__}:{name.value}"


def _distribution_points(certificate: x509.Certificate) -> set[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return {_words_of(name) for point in points for name in point.full_name or ()}


def _named(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()[:120] or f"certificate {certificate.serial_number:x}"
