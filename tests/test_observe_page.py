"""What docs/observe.rst shows of the terminal works, as it stands there."""

from __future__ import annotations

import os
import signal

from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.manual import ROOT, blocks
from tests.pages import PageCase


class TerminalTests(PageCase):
    """The commands of the section, one after the other in one shell."""

    page_ports = ("5061", "8080")

    async def test_a_running_service(self) -> None:
        """row:M10: its ladder, its messages as packets, its tables, the file of its trace, and a call that is over."""
        script = "".join(block for block in blocks(ROOT / "docs/observe.rst", "sh") if "sip-p2p show" in block)
        shell = self.shell(script)
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
        self.assertIn("terminated remotely", shell.output)
        self.assertEqual(shell.output.count("200 OK (BYE)"), 1, shell.report())
        self.assertIn('"status": "ready"', shell.output)
        for name in ("wire.pcapng", "messages.pcapng"):
            self.assertIn(b"proved to be localhost", (self.folder / name).read_bytes())
        self.assertNotIn("Traceback", (self.folder / "party.log").read_text())
