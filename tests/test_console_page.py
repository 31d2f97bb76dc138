"""What docs/console.rst tells an operator to type works, as it stands there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import treq
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, HTTPConnectionPool

from tests.documents import ROOT, SCRIPTS, commands
from tests.interop.peers.program import Program, free_port
from tests.support import TestCase, reactor

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = ROOT / "docs/console.rst"


class PageTests(TestCase):
    """The commands of the page, in one folder."""

    timeout = 90

    def setUp(self) -> None:
        """An empty folder, and free ports."""
        super().setUp()
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir()
        self.ports = {port: str(free_port()) for port in ("5062", "8080")}

    def start(self, words: Sequence[str]) -> Program:
        """Start a command with this checkout's code."""
        text = "\0".join(words[1:])
        for written, free in self.ports.items():
            text = text.replace(written, free)
        program = Program(reactor, [sys.executable, "-u", *SCRIPTS[words[0]], *text.split("\0")])
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        program.start(str(self.folder), {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
        self.addCleanup(lambda: Deferred.fromCoroutine(program.stop()))
        return program

    async def title(self, address: str) -> str:
        """The page at *address*."""
        agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        answer: Any = await treq.get(address, agent=agent)
        return str(await answer.text())

    async def test_it_works(self) -> None:
        """The demo goes on and prints where its console is; a party of one's own has one at the port of --http."""
        demo, pki, service = commands(PAGE)
        kept = self.start(demo)
        found = await kept.find(r"The console is at (http://127[.]0[.]0[.]1:\d+/console/)", 60)
        self.assertIn("<title>sip-p2p</title>", await self.title(found[1]))
        await kept.stop()
        made = self.start(pki)
        self.assertEqual(await made.ended(), 0, made.report())
        party = self.start(service)
        await party.find("the HTTP API listens on", 30)
        self.assertIn("<title>sip-p2p</title>", await self.title(f"http://127.0.0.1:{self.ports['8080']}/console/"))
