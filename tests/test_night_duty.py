"""What docs/cli.rst tells an operator to type works, as it stands there."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.documents import ROOT, SCRIPTS, blocks
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase

PORT = "5061"


class NightDutyTests(TestCase):
    """The commands of the section, one after the other in one shell."""

    timeout = 90

    def setUp(self) -> None:
        """An empty folder, and the commands of this checkout on the path."""
        super().setUp()
        self.folder = Path(self.mktemp()).resolve()
        commands = self.folder / "bin"
        commands.mkdir(parents=True)
        for name in ("sip-p2p", "twistd"):
            script = commands / name
            script.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *SCRIPTS[name]])} "$@"\n')
            script.chmod(0o700)
        self.path = f"{commands}{os.pathsep}{os.environ['PATH']}"

    async def test_from_the_first_look_to_the_last(self) -> None:
        """row:M15: certificates, the doctor before and while the daemon runs, a reload and the stop."""
        text = next(block for block in blocks(ROOT / "docs/cli.rst", "sh") if "kill -HUP" in block)
        script = text.replace(PORT, str(free_port()))
        # A signal that comes while the one before it is still being looked at would only be a second one.
        script = script.replace("kill -TERM", "until grep -q reloaded party.log; do sleep 0.1; done\nkill -TERM")
        shell = Program(reactor, ["/bin/sh", "-e", "-c", script])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        shell.start(str(self.folder), {"PYTHONPATH": path, "PATH": self.path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(shell.stop)
        self.assertEqual(await shell.ended(), 0, shell.report())
        self.assertEqual(shell.output.count("Nothing is wrong."), 2, shell.report())
        while (self.folder / "party.pid").exists():
            await deferLater(reactor, 0.05)
        log = (self.folder / "party.log").read_text()
        self.assertIn('"event": "stopped"', log)
        self.assertNotIn("Traceback", log)
