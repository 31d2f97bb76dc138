"""docs/authentication.rst is a program that runs, and its files are files that can be used."""

from __future__ import annotations

import tomllib
from pathlib import Path

from sip_p2p.service.cli import SipOptions
from sip_p2p.service.passwords import CredentialsFile, UsersFile
from sip_p2p.service.settings.options import Options
from sip_p2p.sip.digest import ha1_of
from tests.manual import ROOT, blocks, commands, play
from tests.support import SynchronousTestCase

PAGE = ROOT / "docs/authentication.rst"


class PageTests(SynchronousTestCase):
    """The chapter on names and passwords."""

    def test_the_program(self) -> None:
        """Every block runs, one after the other, and prints what stands below it. (row:F10, row:F11)"""
        for number, (said, shown) in enumerate(play(PAGE, {}), 1):
            self.assertEqual(said, shown, f"block {number}")

    def test_the_files(self) -> None:
        """Both files are read as they stand there. (row:M1)"""
        paths = []
        for text in blocks(PAGE, "toml"):
            path = Path(self.mktemp())
            path.write_text(text, "utf-8")
            path.chmod(0o600)
            paths.append(str(path))
        self.assertEqual(len(CredentialsFile(paths[0]).credentials), 2)
        self.assertIn("2 users", repr(UsersFile(paths[1])))
        hashes = tomllib.loads(blocks(PAGE, "toml")[1])["users"]["carol"]
        self.assertEqual(hashes, {"SHA-256": ha1_of("SHA-256", "carol", "b.example", "staple")})

    def test_the_commands(self) -> None:
        """Both commands are understood. (row:M1)"""
        send, serve = commands(PAGE)
        options = SipOptions()
        options.parseOptions(send[1:])
        self.assertEqual(options.subOptions["credentials"].rpartition("/")[2], "credentials.toml")  # type: ignore[attr-defined]
        service = Options()
        service.parseOptions(serve[3:])
        self.assertEqual(service["authenticate-users"].rpartition("/")[2], "users.toml")
