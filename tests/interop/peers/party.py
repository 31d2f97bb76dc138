"""Our own library as a peer: a process that can be killed, stopped, put on another host or into another day."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, cast

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed, Program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.interop.namespaces import Host

__all__ = ["OtherParty"]

_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


class OtherParty(Peer):
    """One party, which answers every MESSAGE, accepts every call, and sends and calls as it is told to."""

    def __init__(self, reactor: Any, directory: str, host: Host | None = None) -> None:
        """
        :param host: on which it runs; None for where the tests' own thread is.
        """
        super().__init__(reactor, directory)
        self._host = host
        self._sent = 0
        self._seen: dict[str, int] = {}

    async def start(
        self,
        *listen: str,
        uri: str = "sip:peer@b.example",
        manager: Mapping[str, Any] | None = None,
        keep_alive: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        timers: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        **party: Any,
    ) -> None:
        """Start it and wait until it listens on every description.

        :param manager: further arguments of its connection manager, which is one for TLS if there is a certificate.
        :param keep_alive: the arguments of its :class:`~sip_p2p.KeepAlive`.
        :param limits: the arguments of its :class:`~sip_p2p.Limits`.
        :param timers: the arguments of its :class:`~sip_p2p.Timers`.
        :param party: the arguments of its endpoint.
        """
        given = {
            "uri": uri,
            "listen": listen,
            "manager": dict(manager or {}),
            "keep_alive": dict(keep_alive or {}),
            "limits": dict(limits or {}),
            "timers": dict(timers or {}),
            "party": party,
        }
        arguments = [sys.executable, "-m", "tests.interop.peers.party_process", json.dumps(given)]
        if self._host is not None:
            arguments = self._host.inside(*arguments)
        self._seen.clear()
        self._program = Program(self.reactor, arguments)
        self._program.start(self.directory, {"PYTHONPATH": _REPOSITORY, **(environment or {})})
        await self.event("ready", 30.0)

    async def event(self, kind: str, seconds: float = 15.0, where: str = "") -> dict[str, Any]:
        """The next event of *kind* that this call has not returned yet.

        :param where: a pattern for what follows in the event's line.
        """
        pattern = rf'^{{"event": "{kind}".*{where}.*}}(?=\n)'
        found = await self.program.find(pattern, seconds, self._seen.get(kind, 0))
        self._seen[kind] = found.end()
        return cast("dict[str, Any]", json.loads(found.group(0)))

    def events(self, kind: str) -> list[dict[str, Any]]:
        """All events of *kind* until now."""
        lines = self.program.output.splitlines()
        return [json.loads(line) for line in lines if line.startswith(f'{{"event": "{kind}"') and line.endswith("}")]

    def send(self, uri: str, text: str, **options: Any) -> int:
        """Have it send a message; the number by which its events name that."""
        self._sent += 1
        command = {"do": "send", "number": self._sent, "uri": uri, "text": text, **options}
        self.program.write(json.dumps(command) + "\n")
        return self._sent

    async def sent(self, uri: str, text: str, seconds: float = 40.0, **options: Any) -> dict[str, Any]:
        """Have it send a message, and wait for the answer.

        :raises PeerFailed: when there is none.
        """
        number = self.send(uri, text, **options)
        pattern = rf'^{{"event": "(?:answered|failed)", "number": {number},.*}}(?=\n)'
        found = json.loads((await self.program.find(pattern, seconds)).group(0))
        if found["event"] == "failed":
            raise PeerFailed(f"{found}\n{self.program.report()}")
        return cast("dict[str, Any]", found)

    def call(self, uri: str) -> None:
        """Have it call; its events ``call`` tell what becomes of that."""
        self.program.write(json.dumps({"do": "call", "uri": uri}) + "\n")

    def hang_up(self, call_id: str) -> None:
        """Have it end a call."""
        self.program.write(json.dumps({"do": "hang up", "call_id": call_id}) + "\n")

    async def inventory(self) -> dict[str, Any]:
        """What lives in it."""
        self.program.write(json.dumps({"do": "inventory"}) + "\n")
        return await self.event("inventory")

    async def metric(self, name: str) -> int:
        """One of its figures."""
        self.program.write(json.dumps({"do": "metrics"}) + "\n")
        return int((await self.event("metrics"))[name])

    def kill(self) -> None:
        """End it without a word."""
        os.kill(self.program.pid, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it where it is."""
        os.kill(self.program.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.program.pid, signal.SIGCONT)
