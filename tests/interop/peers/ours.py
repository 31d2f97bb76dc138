"""Our own programs as others start them: ``twistd -n sip-p2p`` and the ``sip-p2p`` command."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from tests.interop.peers.program import Program

__all__ = ["Service", "run_command"]

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_COMMAND = "import sys; from sip_p2p.service.cli import main; sys.exit(main())"
_TWISTD = "from twisted.scripts.twistd import run; run()"


def _environment() -> dict[str, str]:
    paths = [_REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


class Service:
    """``twistd -n sip-p2p`` with the application ``log`` or ``echo``, whose events are JSON lines."""

    def __init__(self, reactor, directory: str) -> None:
        self.reactor = reactor
        self.directory = directory
        self.program: Program | None = None
        self._seen: dict[str, int] = {}

    async def start(self, *arguments: str) -> None:
        """Start it with *arguments* and wait until it says that it runs."""
        head = [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "--logfile=twistd.log", "sip-p2p"]
        self.program = Program(self.reactor, [*head, *arguments])
        self.program.start(self.directory, _environment())
        self.started = await self.event("started", 30.0)

    @property
    def port(self) -> int:
        """The port of its first listener."""
        return int(self.started["listening"][0]["address"].rpartition(":")[2])

    async def event(self, kind: str, seconds: float = 15.0) -> dict[str, Any]:
        """The next event of *kind* that this call has not returned yet."""
        found = await self.program.find(rf'^{{.*"event": "{kind}".*}}$', seconds, self._seen.get(kind, 0))
        self._seen[kind] = found.end()
        return json.loads(found.group(0))

    @property
    def log(self) -> str:
        """What ``twistd`` wrote into its log."""
        path = os.path.join(self.directory, "twistd.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()

    async def stop(self) -> None:
        """End it as a service manager would."""
        if self.program is not None:
            await self.program.stop()


async def run_command(reactor, directory: str, *arguments: str) -> Program:
    """Run ``sip-p2p`` with *arguments* to its end."""
    program = Program(reactor, [sys.executable, "-c", _COMMAND, *arguments])
    program.start(directory, _environment())
    try:
        await program.ended(45.0)
    finally:
        await program.stop()
    return program
