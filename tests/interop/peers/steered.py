"""A service with any application, steered by ``curl`` over a Unix socket."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tests.interop.peers.ours import Service
from tests.interop.peers.program import PeerFailed, Program, until

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SteeredService"]


class SteeredService(Service):
    """``twistd -n sip-p2p --http unix:...``: it need not tell anything on its standard output."""

    packages = "curl"
    programs = ("curl",)

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.socket = os.path.join(directory, "control.sock")
        self._stream: Program | None = None
        self._told = 0

    async def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it with *arguments* and wait until its API says what it is."""
        self.launch_twistd(*arguments, f"--http=unix:{self.socket}", environment=environment)
        await self.is_there(self.socket)
        self.started = await self.asks(200, "/v1")

    async def is_there(self, *sockets: str) -> None:
        """Wait until every one of *sockets* is.

        :raises PeerFailed: when the service ends before.
        """
        await until(
            self.reactor,
            lambda: all(map(os.path.exists, sockets)) or self.program.exit_code is not None,
            30.0,
            f"the sockets of the API\n{self.program.report()}",
        )
        if self.program.exit_code is not None:
            raise PeerFailed(f"ended before it listened\n{self.program.report()}\n{self.log}")

    async def asks(self, status: int, path: str, content: object = None, *options: str) -> Any:
        """What the API says to ``GET``, or with *content* to ``POST``.

        :param status: what it has to answer with.
        :param options: more for curl; ``-X DELETE`` for instance.
        """
        given = () if content is None else ("-H", "Content-Type: application/json", "-d", json.dumps(content))
        words = ["-sS", "--max-time", "30", "--unix-socket", self.socket, "-w", r"\n%{http_code}", *given, *options]
        asked = await self.run("curl", [*words, f"http://localhost{path}"])
        body, _, said = asked.output.rpartition("\n")
        if said != str(status):
            raise PeerFailed(f"{path} is not answered {status}\n{asked.report()}\n{self.log[-3000:]}")
        return json.loads(body) if body[:1] in ("{", "[") else body

    async def follow(self) -> None:
        """Listen to what happens from now on; see :meth:`told`."""
        words = ("-sS", "-N", "--unix-socket", self.socket, "http://localhost/v1/events")
        self._stream = self.launch("curl", *words, kept=False)
        await self._stream.find("^event: hello$")

    async def told(self, kind: str, seconds: float = 15.0) -> dict[str, Any]:
        """The next event of *kind* that comes after the one told last."""
        if self._stream is None:
            raise PeerFailed("nobody listens")
        found = await self._stream.find(rf"^event: {kind}\ndata: (.*)$", seconds, self._told)
        self._told = found.end()
        fields: dict[str, Any] = json.loads(found[1])
        return fields

    async def reaches(self, state: str) -> None:
        """Wait until a session is told to be in *state*."""
        while (await self.told("session-state"))["state"] != state:
            continue

    async def stop(self) -> None:
        """End both."""
        if self._stream is not None:
            await self._stream.stop()
        await super().stop()
