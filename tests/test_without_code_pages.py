"""The sections of the manual on doing without code what lives beside sessions: their commands do what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.manual import ROOT, commands
from tests.pages import PageCase

if TYPE_CHECKING:
    from tests.interop.peers.program import Program


class WithoutCodeTests(PageCase):
    """Each page in a folder of its own, from the first line to the last."""

    page_ports = ("5061", "5062", "8080")

    async def begin(self, page: str) -> tuple[list[Program], list[list[str]]]:
        """Make the keys and start the services of *page*; these, and the commands that follow."""
        lines = commands(ROOT / f"docs/{page}.rst")
        await self.done(lines.pop(0))
        services = []
        while lines[0][0] == "twistd":
            service = self.start(lines.pop(0))
            await service.find(r"listens on tls", 30.0)
            services.append(service)
        return services, lines

    async def test_presence(self) -> None:
        """Something is published at a service, and its own presence is watched (row:J11, row:J12)."""
        _, (publish, subscribe) = await self.begin("presence")
        await self.done(publish)
        self.assertIn("<basic>open</basic>", await self.done(subscribe))

    async def test_subscriptions(self) -> None:
        """A service watches another one, and tells what it was notified (row:J1)."""
        (_, bob), (fetch,) = await self.begin("subscriptions")
        told = await bob.find(r'.*"event": "notification".*', 30.0)
        self.assertIn('"package": "presence"', told[0])
        self.assertIn("<basic>open</basic>", await self.done(fetch))

    async def test_messaging(self) -> None:
        """A message is put into the outbox of a service, and delivered."""
        (bob, alice), (keep, show) = await self.begin("messaging")
        await self.done(keep)
        await alice.find(r'.*"event": "outbox".*"delivered"', 30.0)
        await bob.find("the gate is open")
        self.assertIn("delivered", await self.done(show))

    async def test_transfer(self) -> None:
        """A REFER to a service that takes none is refused, and none waits there (fault:D5)."""
        _, (refer, show) = await self.begin("transfer")
        await self.done(refer, 2)
        self.assertNotIn("carol", await self.done(show))
