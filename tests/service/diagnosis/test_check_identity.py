"""What ``--check`` says of names, passwords, registration and identities."""

from __future__ import annotations

from pathlib import Path

from sip_p2p.pki import CertificateAuthority
from sip_p2p.service.diagnosis.check import check
from sip_p2p.service.diagnosis.check_identity import check_identity
from sip_p2p.service.diagnosis.findings import Report
from sip_p2p.transport.trust.credential import Credential
from tests.service.diagnosis.test_check import identity
from tests.service.support import parsed
from tests.support import SynchronousTestCase

ENTRY = '[[credentials]]\nrealm = "d.example"\nusername = "alice"\npassword = "secret-word"\npeer = "d.example"\n'


class IdentityTests(SynchronousTestCase):
    """row:M14: each of them is explained, and what a start would stumble over is found before."""

    def file(self, text: str, mode: int = 0o600) -> str:
        """The name of a file with *text*."""
        path = Path(self.mktemp()).absolute()
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def found(self, *arguments: str, credential: Credential | None = None) -> str:
        """What is found with *arguments*."""
        report = Report()
        check_identity(parsed(*identity(), *arguments), credential, report)
        self.assertNotIn("secret-word", report.text)
        return report.text

    def test_silent(self) -> None:
        """Of what nobody asked for nothing is said."""
        self.assertEqual(self.found(), "It would start.")

    def test_credentials(self) -> None:
        """row:M14: who is answered with a password is told, and no password; a file that a start would refuse is wrong
        (fault:E2)."""
        self.assertIn("ok    credentials: these are answered", self.found("--credentials", self.file(ENTRY)))
        loose = self.file(ENTRY + "send-to-unverified-peers = true\n")
        self.assertIn("note  credentials: also where nothing proves", self.found("--credentials", loose))
        for path, words in (
            ("/nowhere/at/all.toml", "No such file"),
            (self.file("[["), "no TOML"),
            (self.file(""), "holds no [[credentials]]"),
            (self.file(ENTRY, 0o644), "chmod 600"),
            (self.file("credentials = 3"), "credentials"),
        ):
            self.assertIn("WRONG credentials: ", self.found("--credentials", path))
            self.assertIn(words, self.found("--credentials", path))

    def test_users(self) -> None:
        """row:M14: whom peers are asked for is looked at in the same way."""
        good = self.file('realm = "a.example"\n[users]\nbob = "secret-word"\n')
        self.assertIn("ok    authenticate-users: ", self.found("--authenticate-users", good))
        for path in ("/nowhere/at/all.toml", self.file(ENTRY), self.file('realm = "a.example"\n', 0o646)):
            self.assertIn("WRONG authenticate-users: ", self.found("--authenticate-users", path))

    def test_registration(self) -> None:
        """row:M14: where the party registers is told, with what the registrar knows it by, and what nobody protects."""
        said = self.found("--register", "d.example", "--register-expires", "600")
        self.assertIn("ok    register: sip:alice@a.example is registered at sip:d.example, for 600 s at a time", said)
        self.assertIn("note  register: no --credentials", said)
        self.assertNotIn("clear text", said)
        said = self.found("--register", "sip:d.example;transport=tcp", "--credentials", self.file(ENTRY))
        self.assertIn("note  register: in clear text", said)
        self.assertNotIn("no --credentials", said)
        said = self.found("--register", "d.example", "--proxy", "tls:edge.example")
        self.assertIn("edge.example", said)
        self.assertIn("note  register-expires: nothing registers", self.found("--register-expires", "60"))

    def test_signatures(self) -> None:
        """row:M14: the authorities of signers are read, and a key that cannot sign is found (RFC 8225 section 4.2)."""
        authority = CertificateAuthority.create("signers")
        anchors = self.file(authority.pem.decode() if isinstance(authority.pem, bytes) else authority.pem)
        said = self.found("--passports", "require", "--passport-trust", anchors)
        self.assertIn("ok    passports: whoever has no good signature is refused", said)
        self.assertIn("note  passports: without --passport-host", said)
        said = self.found("--passports", "check", "--passport-trust", anchors, "--passport-host", "c.example")
        self.assertNotIn("note", said)
        for path in ("/nowhere/at/all.pem", self.file("nothing")):
            said = self.found("--passports", "check", "--passport-trust", path)
            self.assertIn("WRONG passports: ", said)
        url = ("--passport-url", "https://c.example/a.pem")
        self.assertIn("WRONG passport-url: ", self.found(*url))
        issued = Credential.from_pem(authority.issue("a.example").pem)
        self.assertIn("ok    passport-url: callers of a.example", self.found(*url, credential=issued))
        self.assertIn("note  trusted-identity: these may say", self.found("--trusted-identity", "trunk.example"))

    def test_whole(self) -> None:
        """A start that would fail is not said to succeed."""
        report = check(parsed(*identity(), "--credentials", "/nowhere/at/all.toml"))
        self.assertIn("WRONG credentials: ", report.text)
