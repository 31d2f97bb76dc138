"""docs/first_service.rst: whoever types it from the first line to the last sees what it says."""

from __future__ import annotations

import subprocess
import sys

import treq
from twisted.web.client import Agent, HTTPConnectionPool

from tests.manual import ROOT, blocks
from tests.pages import PageCase
from tests.support import reactor

PAGE = ROOT / "docs/first_service.rst"


class LessonTests(PageCase):
    """The lesson, in one folder."""

    page_ports = ("5062", "8080", "8000")

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
        await bob.find("webhook: .* unreachable")
        self.assertIn("MESSAGE", await self.done(look[0]))
        await self.done(look[1])

    async def assert_console(self) -> None:
        """The console is where the page says."""
        agent = Agent(reactor, pool=HTTPConnectionPool(reactor, persistent=False))
        answer = await treq.get(self.text("http://127.0.0.1:8080/console/"), agent=agent)
        self.assertIn("<title>sip-p2p</title>", await answer.text())
