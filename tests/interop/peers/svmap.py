"""svmap of SIPVicious: looks for SIP by UDP, as those do who look for somebody to misuse."""

from __future__ import annotations

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import Program

__all__ = ["Svmap"]


class Svmap(Peer):
    """``svmap``, started once for each scan."""

    packages = "sipvicious"
    programs = ("svmap",)

    async def scan(self, ports: str, method: str = "OPTIONS") -> Program:
        """Ask every port of *ports*, such as ``5060-5070``, with *method*; the program that did so."""
        arguments = ["-p", ports, "-m", method, "-x", self.interface, self.interface]
        return await self.run("svmap", arguments, {"HOME": self.directory})
