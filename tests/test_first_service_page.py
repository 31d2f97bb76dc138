"""docs/first_service.rst: whoever types it from the first line to the last sees what it says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import treq
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool

from tests.documents import ROOT, SCRIPTS, blocks
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase, reactor

PAGE = ROOT / "docs/first_service.rst"


class LessonTests(TestCase):
    """The lesson, in one folder."""

    timeout = 120

    def setUp(self) -> None:
        """An empty folder, and free ports for those of the page."""
        super().setUp()
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.ports = {port: str(free_port()) for port in ("5062", "8080", "8000")}

    def text(self, words: str) -> str:
        """With our ports."""
        for port, own in self.ports.items():
            words = words.replace(port, own)
        return words

    def start(self, line: str) -> Program:
        """Start one command of the page with this checkout's code."""
        words = shlex.split(self.text(line))
        program = Program(reactor, [sys.executable, "-u", *SCRIPTS[words[0]], *words[1:]])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(self.folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program

    async def done(self, line: str, code: int = 0) -> str:
        """What a command printed that ends by itself."""
        program = self.start(line)
        self.assertEqual(await program.ended(), code, program.report())
        return program.text

    async def test_from_the_first_line_to_the_last(self) -> None:
        """row:M14: a party that tells what happens, then one that asks a program, and that program gone."""
        pki, party, hello, mallory, secret, hook, asked, look = (block.splitlines() for block in blocks(PAGE, "sh"))
        first, more = blocks(PAGE, "toml")
        await self.done(*pki)
        (self.folder / "party.toml").write_text(self.text(first))
        self.assertIn("It would start.", await self.done(party[0]))
        bob = self.start(party[1])
        await bob.find(r'"event": "started"')
        self.assertIn("200 OK", await self.done(*hello))
        await bob.find(r'"event": "message".*hello, Bob')
        await self.assert_console()
        await self.done(mallory[0])
        self.assertIn("refused our certificate", await self.done(mallory[1], 5))
        await bob.find(r'"event": "tls-failure"')
        await bob.stop()

        for line in secret:
            python = f'"{sys.executable}" -c'
            subprocess.run(line.replace("python -c", python), shell=True, check=True, cwd=self.folder, timeout=30)
        (program,) = blocks(PAGE, "python")
        (self.folder / "hook.py").write_text(self.text(program))
        decides = self.start(*hook)
        with (self.folder / "party.toml").open("a") as file:
            file.write(self.text(more))
        bob = self.start(party[1])
        await bob.find("the HTTP API listens on")
        short, long, call = asked
        self.assertIn("200 OK", await self.done(short))
        self.assertIn("413 Be brief", await self.done(long, 2))
        self.assertIn("603", await self.done(call, 2))
        await decides.find(r"^message short$")
        await decides.stop()
        self.assertIn("503", await self.done(short, 2))
        await bob.find("webhook: message .* unreachable")
        self.assertIn("MESSAGE", await self.done(look[0]))
        await self.done(look[1])

    async def assert_console(self) -> None:
        """The console is where the page says."""
        agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        answer = await treq.get(self.text("http://127.0.0.1:8080/console/"), agent=agent)
        self.assertIn("<title>sip-p2p</title>", await answer.text())
