"""What docs/observe.rst shows of the terminal works, as it stands there."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.documents import ROOT, SCRIPTS, blocks
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase


class TerminalTests(TestCase):
    """The commands of the section, one after the other in one shell."""

    timeout = 120

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

    async def test_a_running_service(self) -> None:
        """row:M10: its ladder, its messages as packets, its tables; the file of its trace says the same."""
        (script,) = [block for block in blocks(ROOT / "docs/observe.rst", "sh") if "sip-p2p show" in block]
        script = script.replace("5061", str(free_port())).replace("8080", str(free_port()))
        shell = Program(reactor, ["/bin/sh", "-e", "-c", script])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        shell.start(str(self.folder), {"PYTHONPATH": path, "PATH": self.path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(shell.stop)
        pid = self.folder / "party.pid"
        try:
            code = await shell.ended(75.0)
        finally:
            if pid.exists():
                os.kill(int(pid.read_text()), signal.SIGTERM)
                while pid.exists():
                    await deferLater(reactor, 0.05)
        self.assertEqual(code, 0, shell.report())
        self.assertEqual(shell.output.count("200 OK (MESSAGE)"), 2, shell.report())
        self.assertIn("our certificate", shell.output)
        self.assertIn('"status": "ready"', shell.output)
        for name in ("wire.pcapng", "messages.pcapng"):
            self.assertIn(b"proved to be localhost", (self.folder / name).read_bytes())
        self.assertNotIn("Traceback", (self.folder / "party.log").read_text())
