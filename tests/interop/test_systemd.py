"""The units of ``packaging/systemd``, as systemd reads and judges them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.interop.peers.farm import PACKAGING
from tests.interop.peers.peer import Peer
from tests.interop.support import InteropTestCase

UNITS = ("sip-p2p.service", "sip-p2p.socket", "sip-p2p@.service")

WORST_EXPOSURE = 15
"""What ``systemd-analyze security`` may say at most, in tenths: below 20 it is content."""


class Analyzer(Peer):
    """systemd's own judge of units; systemd itself need not run."""

    packages = "systemd"
    programs = ("systemd-analyze",)


class UnitTests(InteropTestCase):
    """Each unit."""

    needs = (Analyzer,)

    def written(self) -> Path:
        """A folder with the units, whose program is one that is there."""
        folder = Path(self.folder())
        for name in UNITS:
            text = (PACKAGING / "systemd" / name).read_text("ascii")
            (folder / name).write_text(text.replace("/usr/lib/sip-p2p/bin/twistd", "/bin/true"), "ascii")
        return folder

    def analyzed(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """What it says."""
        return subprocess.run(
            ["systemd-analyze", *arguments], cwd=self.written(), capture_output=True, text=True, timeout=60, check=False
        )

    def test_nothing_is_wrong(self) -> None:
        """systemd knows every setting of the units, and has nothing to say about them."""
        done = self.analyzed("verify", "--man=no", "--recursive-errors=no", *(f"./{name}" for name in UNITS))
        said = [line for line in done.stderr.splitlines() if "sip-p2p" in line]
        self.assertEqual((done.returncode, said), (0, []))

    def test_what_it_may_do(self) -> None:
        """The service can do next to nothing beside SIP: systemd calls its exposure low."""
        for name in UNITS:
            if name.endswith(".service"):
                done = self.analyzed("security", "--offline=true", "--no-pager", f"./{name}")
                exposure = re.search(r"exposure level for \S+: (\d+)\.(\d)", done.stdout)
                assert exposure is not None, done
                self.assertLessEqual(int(exposure[1]) * 10 + int(exposure[2]), WORST_EXPOSURE)
