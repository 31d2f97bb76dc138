"""What the README tells a newcomer to type works, as it stands there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.documents import ROOT, SCRIPTS, blocks, commands
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase

if TYPE_CHECKING:
    from collections.abc import Sequence

README = ROOT / "README.rst"

# The README speaks of fixed ports; on a machine where tests run they may be taken.
ALICE, BOB = "5061", "5062"


class ReadmeTests(TestCase):
    """The commands and the program of the README, one after the other in one folder."""

    timeout = 90

    def setUp(self) -> None:
        """An empty folder, and a free port for each one that the README names."""
        super().setUp()
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.ports = {ALICE: str(free_port()), BOB: str(free_port())}

    def with_free_ports(self, text: str) -> str:
        """*text* with the ports that are free here."""
        for written, free in self.ports.items():
            text = text.replace(written, free)
        return text

    def start(self, words: Sequence[str]) -> Program:
        """Start a command of the README with this checkout's code, whether it is installed or not."""
        arguments = [self.with_free_ports(word) for word in words[1:]]
        program = Program(reactor, [sys.executable, "-u", *SCRIPTS[words[0]], *arguments])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(self.folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program

    async def test_from_the_first_line_to_the_last(self) -> None:
        """Certificates, the service, a text from the command, the fifteen lines, which hear their echo, and a call."""
        pki, service, send, call = commands(README)
        made = self.start(pki)
        self.assertEqual(await made.ended(), 0, made.report())
        # The echo goes to port 5061 of localhost, where this test cannot listen.
        bob = self.start([*service, "--resolve", f"localhost=127.0.0.1:{self.ports[ALICE]}"])
        await bob.find(r'"event": "started"')
        sent = self.start(send)
        self.assertEqual(await sent.ended(), 0, sent.report())
        (program,) = blocks(README, "python")
        (self.folder / "alice.py").write_text(self.with_free_ports(program), "utf-8")
        alice = self.start(["python", "alice.py"])
        self.assertEqual(await alice.ended(), 0, alice.report())
        self.assertEqual(alice.output, "localhost says hello\n")
        called = self.start(call)
        self.assertEqual(await called.ended(), 0, called.report())
        self.assertIn("answered", called.output)

    def test_fifteen_lines(self) -> None:
        """The program has no more lines than the README says."""
        (program,) = blocks(README, "python")
        self.assertEqual(len([line for line in program.splitlines() if line.strip()]), 15)
