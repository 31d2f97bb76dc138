"""``--credentials`` and ``--authenticate-users``, from the option to the party."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.endpoint.authentication.authenticator import DigestAuthenticator
from sip_p2p.service.commands.calling import CallingOptions
from sip_p2p.service.commands.sending import SendOptions
from sip_p2p.service.party import Party, make_party
from sip_p2p.service.settings.authentication_options import credentials_file, users_file
from tests.service.support import parsed
from tests.service.test_passwords import CREDENTIALS, USERS
from tests.support import SynchronousTestCase


class AuthenticationOptionsTests(SynchronousTestCase):
    """What they make."""

    def file(self, text: str, mode: int = 0o600) -> str:
        """A file."""
        path = Path(self.mktemp()).resolve()
        path.write_text(text, "utf-8")
        path.chmod(mode)
        return str(path)

    def party(self, *arguments: str) -> Party:
        """A party in clear text."""
        options = parsed("--uri", "sip:alice@a.example", "--listen", "tcp:5060", *arguments)
        return make_party(Clock(), options, is_clear_text=True)

    def test_neither(self) -> None:
        """Without the options nobody is told a password, and nobody is asked for one."""
        party = self.party()
        self.assertEqual((len(party.endpoint.credentials), party.endpoint.profile.authenticator), (0, None))
        self.assertEqual(party.reload(), [])

    def test_both(self) -> None:
        """The files reach the party, and are read anew with it (row:F10, row:M1)."""
        credentials, users = self.file(CREDENTIALS), self.file(USERS)
        party = self.party("--credentials", credentials, "--authenticate-users", users)
        self.assertEqual(len(party.endpoint.credentials), 2)
        self.assertIsInstance(party.endpoint.profile.authenticator, DigestAuthenticator)
        Path(users).write_text(f"{USERS}\ndave = 'x'\n", "utf-8")
        self.assertEqual(party.reload(), [f"the names and passwords in {users}"])
        Path(credentials).write_text("", "utf-8")
        Path(users).unlink()
        self.assertEqual(party.reload(), [])
        self.assertEqual(len(party.endpoint.credentials), 2)

    def test_what_cannot_be_used(self) -> None:
        """A file that cannot be used is one line that names the option or the file (row:D1)."""
        for arguments, expected in (
            (("--credentials", "/nowhere/x"), "--credentials /nowhere/x: No such file or directory"),
            (("--authenticate-users", "/nowhere/x"), "--authenticate-users /nowhere/x: No such file or directory"),
            (("--credentials", self.file(CREDENTIALS, 0o644)), "chmod 600 it"),
            (("--authenticate-users", self.file("realm = 'b'")), "holds no [users]"),
            (("--credentials", ""), "--credentials"),
        ):
            with self.assertRaises(usage.UsageError) as caught:
                self.party(*arguments)
            self.assertIn(expected, str(caught.exception))

    def test_commands(self) -> None:
        """The commands that send have credentials, and ask nobody (row:F10)."""
        path = self.file(CREDENTIALS)
        for kind, words in ((SendOptions, ("sip:b@b.example", "x")), (CallingOptions, ("sip:b@b.example",))):
            options = kind()
            options.parseOptions(["--uri", "sip:a@a.example", "--credentials", path, *words])
            file = credentials_file(options)
            assert file is not None
            self.assertEqual(len(file.credentials), 2)
            self.assertIsNone(users_file(options))
