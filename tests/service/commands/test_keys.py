"""``sip-p2p pki``: certificates to begin with."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from twisted.python import usage

from sip_p2p.service.cli import run
from sip_p2p.service.commands.keys import KeysOptions
from sip_p2p.service.words import ExitCode
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from tests.support import SynchronousTestCase


def made(*arguments: str) -> tuple[ExitCode, str, str]:
    """What ``sip-p2p pki`` does with *arguments*: exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    return run(["pki", *arguments], out, err), out.getvalue(), err.getvalue()


class KeysTests(SynchronousTestCase):
    """What is made, and what is refused."""

    def test_certificates_that_a_party_can_use(self) -> None:
        """Each name gets a usable certificate with its key, mode 0600, and the next steps are shown."""
        folder = Path(self.mktemp())
        code, out, err = made(str(folder), "a.example", "b.example,192.0.2.1")
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertEqual(sorted(os.listdir(folder)), ["a.example.pem", "b.example.pem", "ca-key.pem", "ca.pem"])
        self.assertEqual(Credential.from_files(folder / "a.example.pem").identities.identities, ("a.example",))
        both = Credential.from_files(folder / "b.example.pem").identities.identities
        self.assertEqual(both, ("b.example", "192.0.2.1"))
        self.assertEqual(len(TrustAnchors.from_files(folder / "ca.pem").certificates), 1)
        for name in ("a.example.pem", "ca-key.pem"):
            self.assertEqual(stat.S_IMODE((folder / name).stat().st_mode), 0o600)
        self.assertIn(f"--certificate {folder}/a.example.pem --trust {folder}/ca.pem --allow b.example", out)

    def test_the_next_steps_can_be_taken(self) -> None:
        """A name beyond ASCII is shown as a URI has it, and so is an IPv6 address."""
        code, out, _ = made(self.mktemp(), "grüße.example", "::1")
        self.assertEqual(code, ExitCode.OK)
        self.assertIn("--uri sip:me@xn--gre-6ka8l.example ", out)
        self.assertIn("--allow ::1 ", out)
        self.assertIn("--uri 'sip:me@[::1]' ", out)
        self.assertIn("--resolve xn--gre-6ka8l.example=127.0.0.1:5061 sip:me@xn--gre-6ka8l.example hello", out)
        for name in ("localhost", "127.0.0.1"):
            self.assertNotIn("--resolve", made(self.mktemp(), name)[1])

    def test_the_authority_is_used_again(self) -> None:
        """A second call adds a certificate of the same authority."""
        folder = Path(self.mktemp())
        made(str(folder), "a.example")
        before = (folder / "ca.pem").read_bytes()
        code, out, _ = made("--days", "7", str(folder), "c.example")
        self.assertEqual(code, ExitCode.OK)
        self.assertIn("as it was", out)
        self.assertEqual((folder / "ca.pem").read_bytes(), before)
        issued = Credential.from_files(folder / "c.example.pem").certificate
        authority = TrustAnchors.from_files(folder / "ca.pem").certificates[0]
        self.assertEqual(issued.issuer, authority.subject)
        self.assertLess((issued.not_valid_after_utc - issued.not_valid_before_utc).days, 8)

    def test_nothing_is_overwritten(self) -> None:
        """A file that is there stops everything before anything is written."""
        folder = Path(self.mktemp())
        made(str(folder), "a.example")
        before = (folder / "a.example.pem").read_bytes()
        code, out, err = made(str(folder), "d.example", "a.example")
        self.assertEqual((code, out), (ExitCode.USAGE, ""))
        self.assertEqual(
            err,
            f"sip-p2p: {folder}/a.example.pem is there already, and is left alone: --renew replaces it\n",
        )
        self.assertEqual((folder / "a.example.pem").read_bytes(), before)
        self.assertFalse((folder / "d.example.pem").exists())

    def test_renewal(self) -> None:
        """row:D17: --renew puts a new certificate in the place of one that is there, at one stroke, and makes one that
        is not."""
        folder = Path(self.mktemp())
        made(str(folder), "a.example")
        old = Credential.from_files(folder / "a.example.pem").certificate
        code, out, err = made("--renew", "--days", "7", str(folder), "a.example", "b.example")
        self.assertEqual((code, err), (ExitCode.OK, ""))
        new = Credential.from_files(folder / "a.example.pem").certificate
        self.assertNotEqual(new.serial_number, old.serial_number)
        self.assertEqual(new.issuer, old.issuer)
        self.assertEqual(stat.S_IMODE((folder / "a.example.pem").stat().st_mode), 0o600)
        self.assertIn(f"{folder}/a.example.pem: certificate and key of a.example", out)
        self.assertEqual(sorted(os.listdir(folder)), ["a.example.pem", "b.example.pem", "ca-key.pem", "ca.pem"])

    def test_mistakes(self) -> None:
        """Each mistake has its one line, and leaves no folder behind."""
        folder = self.mktemp()
        cases = (
            ((), "pki needs a folder and at least one name"),
            ((folder,), "pki needs a folder and at least one name"),
            ((folder, "*.example"), "'*.example'"),
            ((folder, "a b"), "'a b'"),
            ((folder, ","), "a name is empty"),
            ((folder, "a.example", "a.example"), "a.example is given twice"),
            (("--days", "many", folder, "a.example"), "--days many is not a number of days above 0 and up to 3650"),
            (("--days", "nan", folder, "a.example"), "--days nan is not a number of days above 0 and up to 3650"),
        )
        for arguments, expected in cases:
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, KeysOptions().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
        self.assertFalse(os.path.exists(folder))

    def test_a_folder_that_cannot_be(self) -> None:
        """What the operating system or a damaged authority refuses is told in one line."""
        path = Path(self.mktemp())
        path.write_bytes(b"")
        code, _, err = made(str(path), "a.example")
        self.assertEqual((code, err.count("\n")), (ExitCode.USAGE, 1))
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "ca.pem").write_bytes(b"nonsense")
        (folder / "ca-key.pem").write_bytes(b"nonsense")
        code, _, err = made(str(folder), "a.example")
        self.assertEqual((code, err.count("\n")), (ExitCode.USAGE, 1))
        self.assertIn("ca.pem is not a PEM certificate", err)
