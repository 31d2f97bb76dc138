"""Our own programs as others start them: ``twistd -n sip-p2p`` and the ``sip-p2p`` command."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, cast

from tests.interop.peers.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.interop.peers.program import Program

__all__ = ["Command", "Service"]

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
_COMMAND = "import sys; from sip_p2p.service.cli import main; sys.exit(main())"
_TWISTD = "from twisted.scripts.twistd import run; run()"


def _environment() -> dict[str, str]:
    paths = [_REPOSITORY, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


class Service(Peer):
    """``twistd -n sip-p2p`` with the application ``log`` or ``echo``, whose events are JSON lines."""

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.started: dict[str, Any] = {}
        self._seen: dict[str, int] = {}

    async def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it with *arguments* and wait until it says that it runs.

        :param environment: what is added to its environment.
        """
        self.launch_twistd(*arguments, environment=environment)
        self.started = await self.event("started", 30.0)

    def launch_twistd(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        """Start it with *arguments*, and wait for nothing."""
        head = ("-c", _TWISTD, "--nodaemon", "--pidfile=", "--logfile=twistd.log", "sip-p2p")
        self.launch(sys.executable, *head, *arguments, environment={**_environment(), **(environment or {})})

    @property
    def port(self) -> int:
        """The port of its first listener."""
        return int(self.started["listening"][0]["address"].rpartition(":")[2])

    async def event(self, kind: str, seconds: float = 15.0) -> dict[str, Any]:
        """The next event of *kind* that this call has not returned yet."""
        found = await self.program.find(rf'^{{.*"event": "{kind}".*}}$', seconds, self._seen.get(kind, 0))
        self._seen[kind] = found.end()
        return cast("dict[str, Any]", json.loads(found.group(0)))

    @property
    def log(self) -> str:
        """What ``twistd`` wrote into its log."""
        path = os.path.join(self.directory, "twistd.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8") as file:
            return file.read()


class Command(Peer):
    """The ``sip-p2p`` command."""

    async def ends(self, *arguments: str) -> Program:
        """Run it with *arguments* to its end."""
        return await self.run(sys.executable, ["-c", _COMMAND, *arguments], _environment())
