"""The file with the keys of TLS."""

from __future__ import annotations

import os
from pathlib import Path

from sip_p2p.observe.keylog import KeyLog
from tests.support import SynchronousTestCase


class KeyLogTests(SynchronousTestCase):
    """What is written, and who may read it."""

    def log(self, path: str | None = None, most: int = 1000) -> KeyLog:
        """A log of this test."""
        log = KeyLog(path or self.mktemp(), max_file_octets=most)
        self.addCleanup(log.close)
        return log

    def test_lines(self) -> None:
        """Each line of OpenSSL's is a line of the file, which only its owner may read."""
        log = self.log()
        log(b"CLIENT_RANDOM 01 02")
        log(b"EXPORTER_SECRET 01 03")
        self.assertEqual(Path(log.path).read_bytes(), b"CLIENT_RANDOM 01 02\nEXPORTER_SECRET 01 03\n")
        self.assertEqual(os.stat(log.path).st_mode & 0o777, 0o600)

    def test_a_file_that_others_may_read(self) -> None:
        """No key goes there, nor through a symbolic link."""
        path = self.mktemp()
        Path(path).touch(0o644)
        os.chmod(path, 0o644)
        error = self.assertRaises(ValueError, KeyLog, path)
        self.assertIn("chmod 600", str(error))
        os.chmod(path, 0o600)
        os.symlink(path, f"{path}.link")
        self.assertRaises(OSError, KeyLog, f"{path}.link")

    def test_the_bound(self) -> None:
        """Beyond it lines are counted as lost, until a new file is opened in its place."""
        log = self.log(most=20)
        log(b"0123456789")
        log(b"0123456789")
        log(b"0123456789")
        self.assertEqual((Path(log.path).read_bytes(), log.lost), (b"0123456789\n", 2))
        os.replace(log.path, f"{log.path}.1")
        log.reopen()
        log(b"0123456789")
        self.assertEqual(Path(log.path).read_bytes(), b"0123456789\n")
