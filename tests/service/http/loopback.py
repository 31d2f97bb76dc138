"""A service with the API on a real port of loopback, for clients that are not ours."""

from __future__ import annotations

from sip_p2p.service.assembly import make
from tests.service.support import parsed
from tests.support import TestCase, reactor

__all__ = ["LoopbackCase"]


class LoopbackCase(TestCase):
    """A party in clear text on loopback, and its API.

    :ivar url: where the API is.
    """

    arguments: tuple[str, ...] = ("--http", "tcp:0:interface=127.0.0.1")

    async def setUp(self) -> None:
        """Start it."""
        from sip_p2p.service.http.server import ControlServer

        options = parsed(
            "--uri",
            "sip:user@127.0.0.1",
            "--listen",
            "tcp:0:interface=127.0.0.1",
            "--drain",
            "0",
            "--application",
            "control",
            *self.arguments,
        )
        self.service = make(reactor, options)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        (self.server,) = (each for each in self.service.parts if isinstance(each, ControlServer))
        self.url = self.server.addresses[0]
