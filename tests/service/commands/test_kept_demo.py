"""``sip-p2p demo --keep``: what goes on, and that it ends."""

from __future__ import annotations

import io
import re
from typing import Any

import treq
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool

from sip_p2p.service.commands.demo import demonstrate
from tests.support import TestCase, reactor


class KeptTests(TestCase):
    """The demo that goes on, in the reactor of the tests."""

    timeout = 120

    async def test_it_goes_on(self) -> None:
        """It tells where the console is, calls and texts pass there, an impostor is refused, and ending it leaves
        nothing."""
        out = io.StringIO()
        playing = Deferred.fromCoroutine(demonstrate(reactor, out, 0))
        try:
            await self.until(lambda: "The console is at" in out.getvalue())
            self.address = re.search("The console is at (http://127[.]0[.]0[.]1:[0-9]+)/console/", out.getvalue())[1]
            self.assertIn("<title>sip-p2p</title>", await self.get("/console/"))
            (trace, failures) = ("", "")
            while not ("SDP" in trace.upper() and "untrusted" in failures.lower()):
                await deferLater(reactor, 0.2)
                trace, failures = await self.get("/v1/trace"), await self.get("/v1/failures")
            self.assertIn('"text": "Thank you' if '"text"' in trace else "Thank you, Bob.", trace)
        finally:
            playing.cancel()
            await playing.addErrback(lambda failure: failure.trap(CancelledError))

    async def get(self, path: str) -> str:
        """What is there."""
        answer: Any = await treq.get(
            f"{self.address}{path}", agent=Agent(reactor, pool=HTTPConnectionPool(reactor, False))
        )
        return str(await answer.text())

    async def until(self, condition: Any) -> None:
        """Wait until *condition* holds; the test's own deadline ends it otherwise."""
        while not condition():
            await deferLater(reactor, 0.02)
