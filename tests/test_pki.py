"""The private authority: what it issues, how it stores it, and what it refuses."""

from __future__ import annotations

import datetime
import ipaddress
import os
import stat
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sip_p2p.pki import (
    SIP_DOMAIN_KEY_PURPOSE,
    CertificateAuthority,
    IssuedCertificate,
    PrivateKey,
    subject_alternative_names,
)
from tests.support import SynchronousTestCase

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The alternative names, written as openssl does."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    kinds = {x509.UniformResourceIdentifier: "URI", x509.DNSName: "DNS", x509.IPAddress: "IP"}
    return [f"{kinds[type(name)]}:{name.value}" for name in names]


class PkiTestCase(SynchronousTestCase):
    """Has an authority and a folder of its own."""

    def setUp(self) -> None:
        self.authority = CertificateAuthority.create("test authority")
        self.folder = Path(self.mktemp())
        self.folder.mkdir()


class NameTests(SynchronousTestCase):
    """The alternative names of a party."""

    def written(self, *names: str) -> list[str]:
        """The names as openssl writes them."""
        return [str(each.value) for each in subject_alternative_names(*names)]

    def test_domain(self) -> None:
        """A domain stands there as a sip URI and as a DNS name, in small letters (RFC 5922 section 7.1)."""
        self.assertEqual(self.written("B.Example"), ["sip:b.example", "b.example"])

    def test_several(self) -> None:
        """Several names keep their order, and none stands there twice."""
        self.assertEqual(
            self.written("b.example", "c.example", "b.example"),
            ["sip:b.example", "b.example", "sip:c.example", "c.example"],
        )

    def test_localhost(self) -> None:
        """localhost has the loopback addresses too."""
        self.assertEqual(self.written("localhost"), ["sip:localhost", "localhost", "127.0.0.1", "::1"])

    def test_addresses(self) -> None:
        """An IP address is an IP entry and nothing else, with or without brackets."""
        found = subject_alternative_names("192.0.2.1", "[2001:db8::1]")
        self.assertEqual(
            [each.value for each in found],
            [ipaddress.ip_address("192.0.2.1"), ipaddress.ip_address("2001:db8::1")],
        )

    def test_international(self) -> None:
        """A name beyond ASCII becomes its A-label."""
        self.assertEqual(self.written("Bücher.example"), ["sip:xn--bcher-kva.example", "xn--bcher-kva.example"])

    def test_no_names(self) -> None:
        """What is no name is refused, quoted and explained."""
        wrong = ("", "*.example", "sip:b.example", "b.example:5061", "a b", "-a.example", "1.2.3", "b..example",
                 "a@b.example", "x" * 64 + ".example", "b.example\0", "\u2028.example")  # fmt: skip
        for name in wrong:
            error = self.assertRaises(ValueError, subject_alternative_names, name)
            self.assertIn(repr(name), str(error))


class IssueTests(PkiTestCase):
    """What is issued."""

    def test_leaf(self) -> None:
        """A party's certificate has a P-256 key, both sides' purposes and SIP's, and was valid a while ago already."""
        issued = self.authority.issue("b.example")
        certificate = issued.certificate
        self.assertIsInstance(issued.key.curve, ec.SECP256R1)
        self.assertEqual(names_of(certificate), ["URI:sip:b.example", "DNS:b.example"])
        self.assertEqual(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value, "b.example")
        extensions = {each.value.__class__: each for each in certificate.extensions}
        self.assertEqual(
            set(extensions[x509.ExtendedKeyUsage].value),
            {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, SIP_DOMAIN_KEY_PURPOSE},
        )
        self.assertFalse(extensions[x509.BasicConstraints].value.ca)
        self.assertTrue(extensions[x509.BasicConstraints].critical)
        self.assertTrue(extensions[x509.KeyUsage].value.digital_signature)
        self.assertFalse(extensions[x509.KeyUsage].value.key_cert_sign)
        self.assertLess(certificate.not_valid_before_utc, NOW)
        self.assertGreater(certificate.not_valid_after_utc, NOW + 360 * DAY)
        identifier = self.authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        self.assertEqual(extensions[x509.AuthorityKeyIdentifier].value.key_identifier, identifier.digest)
        certificate.verify_directly_issued_by(self.authority.certificate)

    def test_authority(self) -> None:
        """The authority is marked as one, may sign certificates, and signs for parties and one level below it only."""
        extensions = self.authority.certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertEqual((constraints.value.ca, constraints.value.path_length, constraints.critical), (True, 1, True))
        self.assertTrue(extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign)

    def test_openssl_agrees(self) -> None:
        """OpenSSL's own program verifies what is issued, for both sides, also through an intermediate."""
        self.authority.write(self.folder)
        for name, issuer in (("a.example", self.authority), ("b.example", self.authority.intermediate("middle"))):
            path = issuer.issue(name).write(self.folder)
            for purpose in ("sslserver", "sslclient"):
                command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", self.folder / "ca.pem"]
                try:
                    done = subprocess.run(
                        [*command, "-untrusted", path, path], capture_output=True, text=True, check=False
                    )
                except FileNotFoundError:
                    self.skipTest("the program openssl is not installed")
                self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_validity(self) -> None:
        """No certificate outlives its authority, and none is made for no time at all."""
        young = CertificateAuthority.create(days=10)
        self.assertEqual(
            young.issue("b.example", days=100).certificate.not_valid_after_utc, young.certificate.not_valid_after_utc
        )
        self.assertRaises(ValueError, young.issue, "b.example", days=0)

    def test_odd_certificates(self) -> None:
        """Whatever a peer should refuse can be made: another subject, names, purposes, times, keys, signer."""
        odd = self.authority.issue(
            "b.example",
            common_name="",
            alternative_names=[x509.DNSName("*.example")],
            key_purposes=[ExtendedKeyUsageOID.CODE_SIGNING],
            not_before=datetime.datetime(2020, 1, 1),
            not_after=datetime.datetime(2020, 2, 1),
            is_authority=True,
            self_signed=True,
            extensions=[(x509.OCSPNoCheck(), False)],
        )
        certificate = odd.certificate
        self.assertEqual(certificate.subject, x509.Name([]))
        self.assertEqual(names_of(certificate), ["DNS:*.example"])
        self.assertTrue(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical)
        self.assertEqual(certificate.not_valid_after_utc.year, 2020)
        certificate.verify_directly_issued_by(certificate)
        bare = self.authority.issue("b.example", alternative_names=[], key_purposes=None).certificate
        present = {each.oid for each in bare.extensions}
        self.assertNotIn(x509.SubjectAlternativeName.oid, present)
        self.assertNotIn(x509.ExtendedKeyUsage.oid, present)

    def test_kinds_of_keys(self) -> None:
        """Every kind of key can be certified, and can certify."""
        keys: list[PrivateKey] = [
            ec.generate_private_key(ec.SECP384R1()),
            rsa.generate_private_key(65537, 2048),
            ed25519.Ed25519PrivateKey.generate(),
            ed448.Ed448PrivateKey.generate(),
        ]
        for key in keys:
            authority = CertificateAuthority.create(key=key)
            issued = authority.issue("b.example", key=key)
            issued.certificate.verify_directly_issued_by(authority.certificate)

    def test_names_are_needed(self) -> None:
        """A certificate without any name is not made by oversight, nor an authority without one."""
        self.assertRaises(ValueError, self.authority.issue)
        self.assertRaises(ValueError, CertificateAuthority.create, "")
        self.assertRaises(ValueError, self.authority.intermediate, "x" * 65)

    def test_long_name(self) -> None:
        """A name too long for a common name leaves the subject empty, and the alternative names critical."""
        name = ".".join(["a" * 30] * 3) + ".example"
        certificate = self.authority.issue(name).certificate
        self.assertEqual(certificate.subject, x509.Name([]))
        self.assertTrue(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical)


class FileTests(PkiTestCase):
    """What is written, and how."""

    def mode(self, path: Path) -> int:
        """The permissions of a file."""
        return stat.S_IMODE(path.stat().st_mode)

    def test_authority_files(self) -> None:
        """The certificate is for everybody, its key for the owner alone, whatever the umask says."""
        for umask in (0o000, 0o077):
            folder = self.folder / f"{umask}"
            self.addCleanup(os.umask, os.umask(umask))
            self.assertEqual(self.authority.write(folder), folder / "ca.pem")
            self.assertEqual((self.mode(folder / "ca.pem"), self.mode(folder / "ca-key.pem")), (0o644, 0o600))
            self.assertEqual((folder / "ca.pem").read_bytes(), self.authority.pem)

    def test_party_file(self) -> None:
        """One file holds all that a party needs: its key, its certificate and the chain; it is the owner's alone."""
        issued = self.authority.intermediate("middle").issue("b.example")
        path = issued.write(self.folder)
        self.assertEqual((path.name, self.mode(path)), ("b.example.pem", 0o600))
        content = path.read_bytes()
        self.assertEqual(content, issued.key_pem + issued.certificate_pem)
        self.assertEqual(x509.load_pem_x509_certificates(content), [issued.certificate, *issued.chain])
        self.assertEqual(load_pem_private_key(content, None).public_key(), issued.certificate.public_key())
        self.assertEqual(os.listdir(self.folder), ["b.example.pem"])

    def test_file_names(self) -> None:
        """A name with characters that do not belong into a file name stays in its folder."""
        issued = self.authority.issue("2001:db8::1")
        self.assertEqual(issued.write(self.folder).name, "2001_db8__1.pem")
        climbing = IssuedCertificate("../../x", issued.certificate, issued.key)
        self.assertEqual(climbing.write(self.folder).parent, self.folder)

    def test_nothing_is_overwritten(self) -> None:
        """Nothing is overwritten unless that is asked for; the error names the file and the way out."""
        first, second = (self.authority.issue("b.example") for _ in range(2))
        path = first.write(self.folder)
        error = self.assertRaises(FileExistsError, second.write, self.folder)
        self.assertIn("b.example.pem", str(error))
        self.assertIn("remove it", str(error))
        self.assertEqual(path.read_bytes(), first.pem)
        path.chmod(0o644)
        self.assertEqual(second.write(self.folder, replace=True), path)
        self.assertEqual((path.read_bytes(), self.mode(path)), (second.pem, 0o600))
        self.assertEqual(os.listdir(self.folder), ["b.example.pem"])

    def test_authority_is_never_overwritten(self) -> None:
        """An authority that is there is not replaced, and a failed attempt leaves no half of one."""
        self.authority.write(self.folder)
        for missing in (None, "ca.pem", "ca-key.pem"):
            if missing is not None:
                (self.folder / missing).rename(self.folder / "elsewhere")
            before = sorted(os.listdir(self.folder))
            error = self.assertRaises(FileExistsError, CertificateAuthority.create, "another", self.folder)
            self.assertIn(str(self.folder), str(error))
            self.assertEqual(sorted(os.listdir(self.folder)), before)
            if missing is not None:
                (self.folder / "elsewhere").rename(self.folder / missing)

    def test_no_link_is_followed(self) -> None:
        """A link that waits under the file's name is not written through, dangling or not, also when replacing."""
        issued = self.authority.issue("b.example")
        elsewhere = self.folder / "elsewhere"
        link = self.folder / "b.example.pem"
        link.symlink_to(elsewhere)
        self.assertRaises(FileExistsError, issued.write, self.folder)
        self.assertFalse(elsewhere.exists())
        elsewhere.write_text("precious")
        issued.write(self.folder, replace=True)
        self.assertEqual(elsewhere.read_text(), "precious")
        self.assertFalse(link.is_symlink())

    def test_failure_leaves_nothing(self) -> None:
        """When writing fails in the middle, no part of a key stays behind."""
        issued = self.authority.issue("b.example")
        (self.folder / "b.example.pem").mkdir()
        self.assertRaises(OSError, issued.write, self.folder, replace=True)
        self.assertEqual(os.listdir(self.folder), ["b.example.pem"])

    def test_reopened(self) -> None:
        """The authority of a folder is made once and then used again, and what it issues is trusted alike."""
        first = CertificateAuthority.open(self.folder)
        second = CertificateAuthority.open(self.folder)
        self.assertEqual(first.certificate, second.certificate)
        second.issue("b.example").certificate.verify_directly_issued_by(first.certificate)

    def test_damaged(self) -> None:
        """Files that are missing, damaged or do not belong together are named, with what to do."""
        error = self.assertRaises(FileNotFoundError, CertificateAuthority.load, self.folder)
        self.assertIn("ca.pem", str(error))
        self.authority.write(self.folder)
        (self.folder / "ca-key.pem").unlink()
        self.assertIn("ca-key.pem", str(self.assertRaises(FileNotFoundError, CertificateAuthority.open, self.folder)))
        other = CertificateAuthority.create()
        wrong = {
            "ca-key.pem": [b"", b"rubbish", other.issue("x.example").key_pem],
            "ca.pem": [b"", b"rubbish", other.pem, self.authority.pem[:100]],
        }
        for name, contents in wrong.items():
            for content in contents:
                (self.folder / "ca.pem").write_bytes(self.authority.pem)
                (self.folder / "ca-key.pem").write_bytes(_key_pem(self.authority))
                self.assertEqual(CertificateAuthority.load(self.folder).certificate, self.authority.certificate)
                (self.folder / name).write_bytes(content)
                error = self.assertRaises(ValueError, CertificateAuthority.load, self.folder)
                self.assertIn(name, str(error))
                self.assertIn("restore", str(error))

    def test_useless_key(self) -> None:
        """A key of a kind that cannot sign certificates is named as that."""
        from cryptography.hazmat.primitives.asymmetric import x25519
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        self.authority.write(self.folder)
        key = x25519.X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "ca-key.pem").write_bytes(key)
        error = self.assertRaises(ValueError, CertificateAuthority.load, self.folder)
        self.assertIn("cannot sign", str(error))


def _key_pem(authority: CertificateAuthority) -> bytes:
    return IssuedCertificate("ca", authority.certificate, authority.key).key_pem
