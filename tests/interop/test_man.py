"""The man pages, as ``man`` finds, reads and indexes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.interop.peers.farm import PACKAGING
from tests.interop.peers.peer import Peer
from tests.interop.support import InteropTestCase

PAGES = sorted((PACKAGING / "man").iterdir())


class Man(Peer):
    """man, with what belongs to it."""

    packages = "man-db"
    programs = ("man", "lexgrog")


class ManTests(InteropTestCase):
    """Each page."""

    needs = (Man,)

    def run_man(self, *words: str) -> subprocess.CompletedProcess[str]:
        """What it says, on a screen of 80 columns."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "PAGER": "cat"}
        return subprocess.run(words, capture_output=True, text=True, env=environment, timeout=60, check=False)

    def test_found_and_read(self) -> None:
        """row:M14: each page is found by its name where pages are installed, and groff has nothing to complain of."""
        folder = Path(self.folder())
        for page in PAGES:
            section = folder / f"man{page.suffix[1:]}"
            section.mkdir(exist_ok=True)
            shutil.copy(page, section)
        for page in PAGES:
            shown = self.run_man("man", "--warnings", "-M", str(folder), page.suffix[1:], page.stem)
            # A word that is longer than the line, such as a command's synopsis, stands out; that is no mistake.
            said = [line for line in shown.stderr.splitlines() if "can't break line" not in line]
            self.assertEqual((shown.returncode, said), (0, []), page.name)
            self.assertRegex(shown.stdout, rf"(?i)^{re.escape(page.stem)}\({page.suffix[1:]}\)")

    def test_indexed(self) -> None:
        """Each page has a name and a line about it that ``whatis`` and ``apropos`` find."""
        for page in PAGES:
            said = self.run_man("lexgrog", str(page))
            self.assertRegex(said.stdout, rf'"{re.escape(page.stem)} - \S.*"', page.name)
