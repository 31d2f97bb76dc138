"""Files that others have prepared."""

from __future__ import annotations

import os
from pathlib import Path

from sip_p2p.observe.keylog import KeyLog
from sip_p2p.observe.pcapng import PcapngWriter
from sip_p2p.observe.private_file import open_private
from sip_p2p.observe.trace import TraceWriter
from tests.support import SynchronousTestCase

SOMEBODY_ELSE = 54321


class OpenTests(SynchronousTestCase):
    """What is opened, and what is not."""

    def opened(self, path: str, *, follows_links: bool = True) -> int:
        """The descriptor, which is closed at the end."""
        descriptor = open_private(path, follows_links=follows_links)
        self.addCleanup(os.close, descriptor)
        return descriptor

    def test_a_file(self) -> None:
        """One that is not there is made for its owner alone, and one that is there is appended to, waiting as usual."""
        path = self.mktemp()
        os.write(self.opened(path), b"a")
        again = self.opened(path)
        os.write(again, b"b")
        self.assertEqual((Path(path).read_bytes(), os.stat(path).st_mode & 0o777), (b"ab", 0o600))
        self.assertTrue(os.get_blocking(again))

    def test_a_link_of_our_own(self) -> None:
        """It is followed where that is asked for."""
        path = self.mktemp()
        Path(path).touch()
        os.symlink(os.path.abspath(path), f"{path}.link")
        self.opened(f"{path}.link")
        self.assertRaises(OSError, open_private, f"{path}.link", follows_links=False)

    def test_a_link_that_leads_nowhere(self) -> None:
        """A file is made where a link of our own leads."""
        path = self.mktemp()
        os.symlink(os.path.abspath(path), f"{path}.link")
        self.opened(f"{path}.link")
        self.assertTrue(os.path.exists(path))

    def test_a_pipe_that_nobody_reads(self) -> None:
        """It is an error, and nothing waits for a reader."""
        path = self.mktemp()
        os.mkfifo(path)
        self.assertRaises(OSError, open_private, path)

    def test_what_belongs_to_somebody_else(self) -> None:
        """Neither another user's file nor another user's link is written to, whatever its mode is (row:M11)."""
        if os.geteuid():
            self.skipTest("only root gives files away")
        path = self.mktemp()
        Path(path).touch(0o600)
        os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE)
        ours = f"{path}.ours"
        os.symlink(os.path.abspath(ours), f"{path}.link")
        os.chown(f"{path}.link", SOMEBODY_ELSE, SOMEBODY_ELSE, follow_symlinks=False)
        for name in (path, f"{path}.link"):
            for opens in (TraceWriter, PcapngWriter, KeyLog):
                self.assertRaises(OSError, opens, name)
        self.assertEqual((os.stat(path).st_size, os.path.exists(ours)), (0, False))
