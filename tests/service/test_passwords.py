"""The files of names and passwords."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sip_p2p.service.passwords import MOST_OCTETS, CredentialsFile, UsersFile
from tests.support import SynchronousTestCase

CREDENTIALS = """
[[credentials]]
realm = "trunk.example"
username = "alice"
password = "hunter2"
peer = "proxy.trunk.example"

[[credentials]]
realm = "old.example"
username = "alice"
peer = "old.example"
ha1 = { MD5 = "00112233445566778899aabbccddeeff" }
allow-md5 = true
send-to-unverified-peers = true
"""

USERS = """
realm = "b.example"
required-for = ["INVITE", "MESSAGE"]
nonce-lifetime = 60

[users]
alice = "hunter2"
carol = { SHA-256 = "0000000000000000000000000000000000000000000000000000000000000000" }
"""


class FileTestCase(SynchronousTestCase):
    """A file that only its owner can read."""

    def write(self, text: str | bytes, mode: int = 0o600) -> str:
        """The path of a file that holds *text*."""
        self.path = Path(getattr(self, "path", None) or self.mktemp())
        self.path.write_bytes(text.encode() if isinstance(text, str) else text)
        self.path.chmod(mode)
        return str(self.path)

    def assert_refused(self, kind: Any, text: str | bytes, expected: str, mode: int = 0o600) -> None:
        """The file is not used, and the line that says so names it and no secret."""
        with self.assertRaises(ValueError) as caught:
            kind(self.write(text, mode))
        said = str(caught.exception)
        self.assertIn(expected, said)
        self.assertIn(os.fspath(self.path), said)
        self.assertNotIn("hunter2", said)
        self.assertNotIn("\n", said)

    def assert_private(self, kind: Any, text: str) -> None:
        """What others could read is not used, nor what is no such file at all."""
        for mode in (0o604, 0o602, 0o644):
            self.assert_refused(kind, text, "chmod 600 it", mode)
        kind(self.write(text, 0o640))
        self.assert_refused(kind, b"\xff", "is not text in UTF-8")
        self.assert_refused(kind, 'password = "hunter2', "is no TOML (at ")
        self.assert_refused(kind, b"#" * (MOST_OCTETS + 1), "is larger than such a file may be")
        with self.assertRaises(OSError):
            kind(f"{self.path}-missing")


class CredentialsFileTests(FileTestCase):
    """``--credentials``."""

    def test_entries(self) -> None:
        """Each entry is what an application would add (row:F10, row:M1)."""
        file = CredentialsFile(self.write(CREDENTIALS))
        first, second = file.credentials
        self.assertEqual((first.realm, first.username, first.peer), ("trunk.example", "alice", "proxy.trunk.example"))
        self.assertEqual((first.algorithms, first.send_to_unverified_peers), (("SHA-512-256", "SHA-256"), False))
        self.assertEqual((second.algorithms, second.send_to_unverified_peers), (("MD5",), True))
        self.assertEqual(repr(file), f"<CredentialsFile {self.path}: 2 entries>")

    def test_private(self) -> None:
        """A file that anybody can read or change is not used (fault:E2)."""
        self.assert_private(CredentialsFile, CREDENTIALS)

    def test_wrong(self) -> None:
        """Each mistake is one line that names the entry, and never what is secret."""
        for change, expected in (
            (("[[credentials]]", "[[others]]"), "holds no [[credentials]], or something else beside them"),
            (('realm = "trunk.example"', ""), "entry 1 of [[credentials]] lacks realm"),
            (("password", "pasword"), "entry 1 of [[credentials]]: pasword is not known there"),
            (('"hunter2"', "7"), "entry 1 of [[credentials]]: password is of the wrong kind"),
            (("allow-md5 = true", "allow-md5 = 1"), "entry 2 of [[credentials]]: allow-md5 is of the wrong kind"),
            (("allow-md5 = true", ""), "entry 2 of [[credentials]]: there is a hash for MD5 only"),
            (("MD5 =", "SHA-1 ="), "'SHA-1' is no algorithm"),
            (('"00112233445566778899aabbccddeeff"', "7"), "ha1 is a table of hashes by algorithm"),
            (('peer = "proxy.trunk.example"', 'peer = "no name"'), "is neither a host name nor an IP address"),
        ):
            text = CREDENTIALS.replace(*change, 1)
            self.assert_refused(CredentialsFile, text, expected)
        self.assert_refused(CredentialsFile, "[credentials]", "holds no [[credentials]]")
        self.assert_refused(CredentialsFile, "", "holds no [[credentials]]")
        self.assert_refused(CredentialsFile, "credentials = [1]", "entry 1 of [[credentials]] is no table")

    def test_reload(self) -> None:
        """The file is read anew, into the same credentials; one that cannot be used changes nothing."""
        file = CredentialsFile(self.write(CREDENTIALS))
        self.assertFalse(file.reload())
        self.write(CREDENTIALS.replace("alice", "bob"))
        self.assertTrue(file.reload())
        self.assertEqual([entry.username for entry in file.credentials], ["bob", "bob"])
        for text in ("", CREDENTIALS.replace("trunk.example", "no name")):
            self.write(text)
            with self.assertRaises(ValueError):
                file.reload()
            self.assertEqual(len(file.credentials), 2)


class UsersFileTests(FileTestCase):
    """``--authenticate-users``."""

    def test_users(self) -> None:
        """The file makes an authenticator for its realm and users (row:F10, row:M1)."""
        file = UsersFile(self.write(USERS))
        self.assertEqual(repr(file.authenticator), "<DigestAuthenticator 'b.example' SHA-512-256, SHA-256>")
        self.assertEqual(repr(file), f"<UsersFile {self.path}: 2 users>")

    def test_private(self) -> None:
        """A file that anybody can read or change is not used."""
        self.assert_private(UsersFile, USERS)

    def test_wrong(self) -> None:
        """Each mistake is one line that never quotes what is secret."""
        for change, expected in (
            (('realm = "b.example"', ""), "a realm is text of printable characters"),
            (("[users]", "[people]"), "people is not known there"),
            (('"hunter2"', '""'), "the user alice has neither a password nor a table of hashes"),
            (('"hunter2"', "7"), "the user alice has neither a password nor a table of hashes"),
            (("nonce-lifetime = 60", "nonce-lifetime = 0"), "can never be used"),
            (("nonce-lifetime = 60", "nonce-lifetime = true"), "nonce-lifetime is of the wrong kind"),
            (("nonce-lifetime = 60", 'algorithms = ["MD5"]'), "MD5 is not allowed"),
            (("nonce-lifetime = 60", "algorithms = [1]"), "algorithms is a list of names"),
            (("nonce-lifetime = 60", 'qop = ["x"]'), "qop is 'auth', 'auth-int' or both"),
        ):
            self.assertIn(change[0], USERS)
            self.assert_refused(UsersFile, USERS.replace(*change), expected)
        self.assert_refused(UsersFile, 'realm = "b"', "holds no [users]")

    def test_reload(self) -> None:
        """Users come and go while the service runs; what else the file says waits for a restart."""
        file = UsersFile(self.write(USERS))
        self.assertFalse(file.reload())
        self.write(f"{USERS}\ndave = 'x'\n")
        self.assertTrue(file.reload())
        self.assertIn("3 users", repr(file))
        for text in (USERS.replace("b.example", "c.example"), "", USERS.replace("60", "90")):
            self.write(text)
            with self.assertRaises(ValueError):
                file.reload()
        self.assertIn("3 users", repr(file))
