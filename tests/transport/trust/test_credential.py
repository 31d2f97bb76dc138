"""Our own certificate and the trusted ones, from files and objects; every mistake names the file and the remedy."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from twisted.logger import LogLevel, globalLogPublisher

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority, other_authority, party_credential

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)

NOT_FOUND = TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND
EXPIRED = TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED


def encrypted(issued: IssuedCertificate, password: bytes) -> bytes:
    """The key of *issued*, encrypted."""
    return issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))


class FileTestCase(SynchronousTestCase):
    """Has a folder, a certificate, and an ear for warnings."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.issued = authority().intermediate("middle").issue("b.example")
        self.warnings: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: dict[str, Any]) -> None:
        """Keep the warnings of the module that is tested."""
        if event.get("log_level") is LogLevel.warn and event.get("log_namespace", "").startswith("sip_p2p"):
            self.warnings.append(event["log_format"].format(**event))

    def file(self, name: str, content: bytes, mode: int = 0o600) -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.write_bytes(content)
        path.chmod(mode)
        return path

    def assert_refused(self, reason: TlsFailureReason, words: list[str], call: Any, *args: Any, **options: Any) -> None:
        """The call fails for *reason*, and the message holds all of *words* and no secret."""
        failure = self.assertRaises(TlsFailure, call, *args, **options)
        self.assertEqual(failure.reason, reason)
        for word in words:
            self.assertIn(word, str(failure))
        self.assertNotIn("PRIVATE KEY", str(failure))
        self.assertNotIn("password1", str(failure))


class SourceTests(FileTestCase):
    """Where a credential can come from."""

    def assert_complete(self, credential: Credential) -> None:
        """It is the certificate of the case, with its key and its chain."""
        self.assertEqual(credential.certificate, self.issued.certificate)
        self.assertEqual(credential.key.public_key(), self.issued.certificate.public_key())
        self.assertEqual(credential.chain, self.issued.chain)
        self.assertEqual(credential.identities.identities, ("b.example",))
        self.assertEqual(credential.expires, self.issued.certificate.not_valid_after_utc)
        self.assertEqual(self.warnings, [])

    def test_one_file(self) -> None:
        """One PEM file with everything, in any order, is enough. row:D1"""
        for content in (self.issued.pem, self.issued.certificate_pem + self.issued.key_pem):
            path = self.file("b.pem", content)
            credential = Credential.from_files(path)
            self.assert_complete(credential)
            self.assertEqual(credential.source, str(path))
            self.assert_complete(Credential.from_files(str(path)))

    def test_separate_files(self) -> None:
        """Certificate, key and chain may be files of their own. row:D1"""
        certificate = self.file("b.crt", self.issued.certificate.public_bytes(Encoding.PEM), 0o644)
        key = self.file("b.key", self.issued.key_pem)
        chain = self.file("middle.pem", self.issued.chain[0].public_bytes(Encoding.PEM), 0o644)
        self.assert_complete(Credential.from_files(certificate, key, [chain]))

    def test_order_of_certificates(self) -> None:
        """The certificate of the key is ours wherever it stands, and roots are not sent along."""
        parts = [authority().pem, self.issued.chain[0].public_bytes(Encoding.PEM)]
        own = self.issued.certificate.public_bytes(Encoding.PEM)
        self.assert_complete(Credential.from_pem(b"".join([*parts, own, self.issued.key_pem])))
        self.assert_complete(Credential.from_pem(b"".join([own, *parts]), self.issued.key_pem))

    def test_encrypted_key(self) -> None:
        """A key may be encrypted, if its password is given, as text or octets. row:D1"""
        key = encrypted(self.issued, b"password1")
        for password in (b"password1", "password1"):
            self.assert_complete(Credential.from_pem(self.issued.certificate_pem + key, password=password))

    def test_pkcs12(self) -> None:
        """PKCS #12 files are recognised by what is in them. row:D1"""
        data = pkcs12.serialize_key_and_certificates(
            b"b", self.issued.key, self.issued.certificate, self.issued.chain, BestAvailableEncryption(b"password1")
        )
        path = self.file("b.p12", data)
        self.assert_complete(Credential.from_files(path, password="password1"))
        self.assert_complete(Credential.from_pkcs12(data, b"password1"))
        plain = pkcs12.serialize_key_and_certificates(
            None, self.issued.key, self.issued.certificate, self.issued.chain, NoEncryption()
        )
        self.assert_complete(Credential.from_pkcs12(plain))

    def test_objects(self) -> None:
        """Objects of cryptography will do. row:D1"""
        credential = Credential(self.issued.certificate, self.issued.key, self.issued.chain)
        self.assert_complete(credential)
        self.assertEqual(repr(credential), "<Credential b.example>")


class MistakeTests(FileTestCase):
    """What can be wrong, and what is said."""

    def test_missing(self) -> None:
        """A file that is not there is named. row:D1"""
        path = self.folder / "missing.pem"
        self.assert_refused(NOT_FOUND, [str(path), "No such file", "check the path"], Credential.from_files, path)
        good = self.file("b.crt", self.issued.certificate_pem)
        self.assert_refused(NOT_FOUND, [str(path), "private key"], Credential.from_files, good, path)
        whole = self.file("b.pem", self.issued.pem)
        self.assert_refused(NOT_FOUND, [str(path), "chain"], Credential.from_files, whole, None, [path])

    def test_unreadable(self) -> None:
        """A folder in the place of a file, or a file without permission, is named. row:D1"""
        self.assert_refused(NOT_FOUND, [str(self.folder), "permissions"], Credential.from_files, self.folder)
        if os.geteuid() != 0:
            path = self.file("b.pem", self.issued.pem, 0o000)
            self.assert_refused(NOT_FOUND, [str(path), "Permission denied"], Credential.from_files, path)

    def test_not_what_it_should_be(self) -> None:
        """A file without certificate or key, or with damaged ones, is named. row:D1"""
        damaged = self.issued.certificate_pem.replace(b"MII", b"AAA") + self.issued.key_pem
        broken_key = self.issued.certificate_pem + self.issued.key_pem.replace(b"MIG", b"AAA")
        unknown = x25519.X25519PrivateKey.generate()
        for content, words in (
            (b"", ["holds no PEM certificate"]),
            (b"rubbish", ["holds no PEM certificate"]),
            (self.issued.key_pem, ["holds no PEM certificate", "BEGIN CERTIFICATE"]),
            (self.issued.certificate_pem, ["holds no PEM private key", "name the file"]),
            (damaged, ["damaged certificate", "replace"]),
            (broken_key, ["private key", "does not open", "replace the file"]),
            (
                self.issued.certificate_pem + unknown.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
                ["of a kind that TLS does not use", "P-256"],
            ),
        ):
            path = self.file("b.pem", content)
            self.assert_refused(NOT_FOUND, [str(path), *words], Credential.from_files, path)

    def test_wrong_password(self) -> None:
        """A missing, wrong or needless password is told apart, and not repeated. row:D1"""
        path = self.file("b.pem", self.issued.certificate_pem + encrypted(self.issued, b"password1"))
        self.assert_refused(NOT_FOUND, [str(path), "give its password"], Credential.from_files, path)
        self.assert_refused(
            NOT_FOUND, [str(path), "check the password"], Credential.from_files, path, password="password12"
        )
        plain = self.file("plain.pem", self.issued.pem)
        self.assert_refused(NOT_FOUND, [str(plain), "give none"], Credential.from_files, plain, password="password1")

    def test_wrong_pkcs12(self) -> None:
        """A PKCS #12 file that does not open or lacks a part is named. row:D1"""
        for content, words in (
            (b"\x30\x03abc", ["cannot be opened", "password"]),
            (
                pkcs12.serialize_key_and_certificates(None, None, self.issued.certificate, None, NoEncryption()),
                ["lacks", "export both"],
            ),
        ):
            path = self.file("b.p12", content)
            self.assert_refused(NOT_FOUND, [str(path), *words], Credential.from_files, path)

    def test_mismatch(self) -> None:
        """A key that is not the certificate's is refused at once, not by the first peer. row:D1"""
        certificate = self.file("b.crt", self.issued.certificate_pem)
        key = self.file("other.key", authority().issue("c.example").key_pem)
        self.assert_refused(NOT_FOUND, [str(certificate), "not that of"], Credential.from_files, certificate, key)

    def test_expired(self) -> None:
        """A certificate that has expired, or is not valid yet, is refused with the date. row:D16"""
        for start, end, word in ((-9, -2, "renew"), (2, 9, "check the clock")):
            issued = authority().issue("b.example", not_before=NOW + start * DAY, not_after=NOW + end * DAY)
            path = self.file("b.pem", issued.pem)
            date = f"{NOW + (end if end < 0 else start) * DAY:%Y-%m-%d}"
            self.assert_refused(EXPIRED, [str(path), word, date], Credential.from_files, path)
            self.assertEqual(self.assertRaises(TlsFailure, Credential.from_files, path).certificate, issued.certificate)
            Credential(issued.certificate, issued.key, at=NOW + (start + 1) * DAY)

    def test_expires_later(self) -> None:
        """The validity can be looked at again while the program runs."""
        credential = party_credential("b.example")
        fresh = Credential(credential.certificate, credential.key)
        fresh.check_validity()
        late = self.assertRaises(TlsFailure, fresh.check_validity, fresh.expires + DAY)
        self.assertEqual(late.reason, EXPIRED)

    def test_forged_name(self) -> None:
        """A certificate that every peer must refuse is refused here first."""
        issued = authority().issue("b.example", alternative_names=[x509.DNSName("b.example\0")])
        self.assert_refused(NOT_FOUND, ["no peer can accept it"], Credential, issued.certificate, issued.key)

    def test_readable_key(self) -> None:
        """A key that others can read is used, with a warning that names the file and what to do. row:D1"""
        for mode, warned in ((0o600, False), (0o400, False), (0o640, True), (0o644, True)):
            path = self.file("b.pem", self.issued.pem, mode)
            Credential.from_files(path)
            self.assertEqual(len(self.warnings), int(warned), oct(mode))
            if warned:
                self.assertIn(f"{path} can be read by others (mode 0{mode:o})", self.warnings.pop())
        certificate = self.file("b.crt", self.issued.certificate_pem, 0o644)
        key = self.file("b.key", self.issued.key_pem, 0o600)
        Credential.from_files(certificate, key)
        self.assertEqual(self.warnings, [])

    def test_readable_file_without_a_key(self) -> None:
        """Nobody is warned of a key that is not in the file."""
        certificate = self.file("b.crt", self.issued.certificate_pem, 0o644)
        self.assert_refused(NOT_FOUND, ["holds no PEM private key"], Credential.from_files, certificate)
        self.assertEqual(self.warnings, [])

    def test_no_identity(self) -> None:
        """A certificate without a SIP identity is used, with a warning: some peers may not look."""
        issued = authority().issue("b.example", alternative_names=[x509.DNSName("*.example")])
        credential = Credential(issued.certificate, issued.key, source="b.pem")
        self.assertIn("b.pem proves no SIP identity", self.warnings.pop())
        self.assertEqual(repr(credential), "<Credential without identity of b.pem>")


class AnchorTests(FileTestCase):
    """Whom we trust."""

    def test_bundle(self) -> None:
        """A PEM file may hold any number of authorities, and files may repeat each other."""
        first = self.file("ca.pem", authority().pem)
        both = self.file("both.pem", b"# comment\n" + authority().pem + other_authority().pem)
        anchors = TrustAnchors.from_files(first, both)
        self.assertEqual(anchors.certificates, (authority().certificate, other_authority().certificate))
        self.assertIn(authority().certificate, anchors)
        self.assertNotIn(self.issued.certificate, anchors)
        self.assertEqual(repr(anchors), "<TrustAnchors: 2>")
        self.assertEqual(TrustAnchors.from_pem(authority().pem).certificates, (authority().certificate,))

    def test_self_signed_party(self) -> None:
        """A file that is named may hold a party's own certificate: so two parties can do without an authority."""
        issued = authority().issue("c.example", self_signed=True)
        path = self.file("peer.pem", issued.certificate_pem)
        self.assertEqual(TrustAnchors.from_files(path).certificates, (issued.certificate,))

    def test_folder(self) -> None:
        """Of a folder, authorities are taken, and neither parties' certificates nor other files."""
        authority().write(self.folder)
        authority().issue("c.example").write(self.folder)
        authority().issue("d.example", self_signed=True).write(self.folder)
        self.file("notes.txt", other_authority().pem)
        (self.folder / "sub.pem").mkdir()
        self.assertEqual(TrustAnchors.from_files(self.folder).certificates, (authority().certificate,))

    def test_unmarked_root(self) -> None:
        """A root from before there were marks for authorities is taken if it is signed with its own key."""
        root = _without_extensions(authority())
        party = _without_extensions(authority(), "c.example")
        self.file("root.crt", root.public_bytes(Encoding.PEM))
        self.file("party.crt", party.public_bytes(Encoding.PEM))
        self.assertEqual(TrustAnchors.from_files(self.folder).certificates, (root,))

    def test_mistakes(self) -> None:
        """Nothing to trust, a missing path or a damaged file is an error that names it."""
        self.assertRaises(ValueError, TrustAnchors, [])
        self.assertRaises(ValueError, TrustAnchors.from_files)
        self.assertRaises(ValueError, TrustAnchors.from_pem, b"")
        for path in (
            self.folder,
            self.folder / "missing.pem",
            self.file("empty.pem", b""),
            self.file("key.pem", self.issued.key_pem),
            self.file("damaged.pem", authority().pem.replace(b"MII", b"AAA")),
        ):
            error = self.assertRaises(ValueError, TrustAnchors.from_files, path)
            self.assertIn(str(path), str(error))


def _without_extensions(issuer: CertificateAuthority, name: str = "") -> x509.Certificate:
    """A certificate as version 1 had them: the issuer's own, or one for *name*."""
    certificate = issuer.certificate
    subject = certificate.subject if not name else authority().issue(name).certificate.subject
    key = issuer.key.public_key() if not name else authority().issue(name).key.public_key()
    builder = x509.CertificateBuilder(certificate.subject, subject, key, 1, NOW - DAY, NOW + DAY)
    return builder.sign(issuer.key, certificate.signature_hash_algorithm)


class TimeTests(SynchronousTestCase):
    """How long something is still valid."""

    def test_days_left(self) -> None:
        """Days are counted to the first certificate of the chain that runs out, and below zero after that. row:D2"""
        authority = CertificateAuthority.create()
        middle = authority.intermediate("middle", days=30)
        now = datetime.datetime.now(datetime.UTC)
        issued = middle.issue("b.example", days=10)
        made = Credential(issued.certificate, issued.key, issued.chain)
        self.assertAlmostEqual(made.days_left(now), 10, 2)
        self.assertAlmostEqual(made.days_left(), 10, 2)
        self.assertAlmostEqual(made.days_left(now + datetime.timedelta(days=11)), -1, 2)
        direct = authority.issue("b.example", days=300)
        self.assertAlmostEqual(Credential(direct.certificate, direct.key, issued.chain).days_left(now), 30, 2)
        self.assertAlmostEqual(TrustAnchors([authority.certificate, middle.certificate]).days_left(now), 30, 2)


class AgainTests(SynchronousTestCase):
    """What was read from files, and can be read again."""

    def test_credential(self) -> None:
        """The same files are read, in the same way; two readings of the same contents are alike. fault:F13"""
        folder = Path(self.mktemp())
        path = CertificateAuthority.open(folder).issue("b.example").write(folder)
        made = Credential.from_files(path)
        again = made.read_again()
        self.assertEqual((made.files, again.files, again.content), ((path,), (path,), made.content))
        CertificateAuthority.open(folder).issue("b.example").write(folder, replace=True)
        self.assertNotEqual(again.read_again().content, made.content)
        issued = CertificateAuthority.create().issue("b.example")
        loose = Credential(issued.certificate, issued.key)
        self.assertEqual(loose.files, ())
        self.assertRaises(ValueError, loose.read_again)

    def test_anchors(self) -> None:
        """Authorities from several places are read again where they came from files. fault:F13"""
        folder = Path(self.mktemp())
        first = CertificateAuthority.create("first", folder)
        second = CertificateAuthority.create("second")
        from_files = TrustAnchors.from_files(folder / "ca.pem")
        merged = TrustAnchors.merged([from_files, TrustAnchors([second.certificate])])
        self.assertIs(TrustAnchors.merged([from_files]), from_files)
        self.assertEqual(merged.files, (folder / "ca.pem",))
        self.assertEqual(merged.read_again().content, merged.content)
        third = CertificateAuthority.create("third")
        (folder / "ca.pem").write_bytes(third.pem)
        again = merged.read_again()
        self.assertEqual(
            [each in again for each in (first.certificate, second.certificate, third.certificate)], [False, True, True]
        )
        self.assertRaises(ValueError, TrustAnchors([second.certificate]).read_again)
