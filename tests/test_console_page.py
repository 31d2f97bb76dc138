"""What docs/console.rst tells an operator to type works, as it stands there."""

from __future__ import annotations

from typing import Any

import treq
from twisted.web.client import Agent, HTTPConnectionPool

from tests.manual import ROOT, commands
from tests.pages import PageCase
from tests.support import reactor

PAGE = ROOT / "docs/console.rst"


class PageTests(PageCase):
    """The commands of the page, in one folder."""

    page_ports = ("5062", "8080")

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
        await self.done(pki)
        party = self.start(service)
        await party.find("the HTTP API listens on", 30)
        self.assertIn("<title>sip-p2p</title>", await self.title(f"http://127.0.0.1:{self.ports['8080']}/console/"))
