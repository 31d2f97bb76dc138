"""sipsak: a diagnostic client over UDP and TCP, with ``;alias`` in each Via.

It loses the fifth digit of a port in the Request-URI, and its own MESSAGE mode crashes: what it sends for
:meth:`Sipsak.send` is written here, but for the Via.
"""

from __future__ import annotations

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed

__all__ = ["Sipsak"]


class Sipsak(Peer):
    """``sipsak``, started once for each request."""

    packages = "sipsak"
    programs = ("sipsak",)

    async def _ask(self, transport: str, *arguments: str) -> str:
        common = ("-vvv", f"--transport={transport}", f"--local-ip={self.interface}")
        program = await self.run("sipsak", [*common, *arguments])
        if program.exit_code != 0:
            raise PeerFailed(f"sipsak is not content\n{program.report()}")
        return program.text

    async def options(self, uri: str, transport: str, login: tuple[str, str] | None = None) -> str:
        """Ask with OPTIONS; what it printed.

        :param login: the user name and the password that it gives when it is asked; None for none.
        :raises PeerFailed: when the answer is not 200.
        """
        given = [] if login is None else ["-u", login[0], "-a", login[1]]
        return await self._ask(transport, *given, "-s", uri)

    async def send(self, uri: str, transport: str, message: str) -> str:
        """Send a request as it is written, with a Via of its own put first; what it printed.

        :raises PeerFailed: when the answer is not 200.
        """
        self.write_files({"request": message})
        return await self._ask(transport, "--no-crlf", "-f", f"{self.directory}/request", "-s", uri)

    async def trash(self, uri: str, most: int) -> str:
        """Send OPTIONS again and again, with one more octet replaced at random each time; what it printed."""
        return await self._shoot("--random-mode", f"--trash-chars={most}", "-s", uri)

    async def flood(self, uri: str, count: int) -> str:
        """Send so many OPTIONS without waiting for answers; what it printed."""
        return await self._shoot("--flood-mode", f"--appendix-end={count}", "-s", uri)

    async def _shoot(self, *arguments: str) -> str:
        program = await self.run("sipsak", ["-v", f"--local-ip={self.interface}", *arguments])
        return program.text
