"""sipsak: a diagnostic client over UDP and TCP, with ``;alias`` in each Via.

It loses the fifth digit of a port in the Request-URI, and its own MESSAGE mode crashes: what it sends for
:meth:`Sipsak.send` is written here, but for the Via.
"""

from __future__ import annotations

import os

from tests.interop.peers.program import PeerFailed, Program, find_program

__all__ = ["Sipsak"]


class Sipsak:
    """``sipsak``, started once for each request."""

    packages = "sipsak"

    def __init__(self, reactor, directory: str) -> None:
        self.reactor = reactor
        self.directory = directory

    @staticmethod
    def missing() -> str | None:
        """What is not installed, or None."""
        return None if find_program("sipsak") is not None else "sipsak"

    async def _run(self, transport: str, *arguments: str) -> str:
        command = [find_program("sipsak") or "sipsak", "-vvv", f"--transport={transport}", "--local-ip=127.0.0.1"]
        program = Program(self.reactor, [*command, *arguments])
        program.start(self.directory)
        try:
            code = await program.ended(45.0)
        finally:
            await program.stop()
        if code != 0:
            raise PeerFailed(f"sipsak is not content\n{program.report()}")
        return program.text

    async def options(self, uri: str, transport: str) -> str:
        """Ask with OPTIONS; what it printed.

        :raises PeerFailed: when the answer is not 200.
        """
        return await self._run(transport, "-s", uri)

    async def send(self, uri: str, transport: str, message: str) -> str:
        """Send a request as it is written, with a Via of its own put first; what it printed.

        :raises PeerFailed: when the answer is not 200.
        """
        path = os.path.join(self.directory, "request")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(message)
        return await self._run(transport, "--no-crlf", "-f", path, "-s", uri)

    async def stop(self) -> None:
        """Nothing outlives its method."""
