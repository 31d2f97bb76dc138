"""The ``sip`` package of npm, run by node: UDP, TCP and TLS; checks name and authority of certificates both ways."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, cast

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import FakeClock, PeerFailed, free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["NodeSip", "SeenRequest"]

_DRIVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "node_sip.js")
_REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def node_modules() -> str:
    """The folder that ``npm install`` filled."""
    return os.environ.get("SIP_P2P_NODE_MODULES") or os.path.join(_REPOSITORY, "build", "node_modules")


class SeenRequest:
    """A request as the package parsed it.

    :ivar headers: its header fields, structured as the package does.
    """

    def __init__(self, event: dict[str, Any]) -> None:
        self.method: str = event["method"]
        self.uri: str = event["uri"]
        self.transport: str = event["protocol"].lower()
        self.headers: dict[str, Any] = event["headers"]
        self.body: bytes = event["content"].encode()


class NodeSip(Peer):
    """One node process that answers every request with 200 and sends what it is told to."""

    packages = "nodejs npm; npm install --ignore-scripts sip"
    programs = ("node",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        port = free_port(interface)
        self.ports = {"udp": port, "tcp": port, "tls": free_port(interface)}
        self._commands = 0
        self._seen: dict[str, int] = {}

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed, or None."""
        folder = os.path.join(node_modules(), "sip")
        return super().missing() or (None if os.path.isdir(folder) else f"the npm package sip in {folder}")

    def uri(self, transport: str, user: str = "node", host: str | None = None) -> str:
        """A URI that reaches it over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@{host or self.interface}:{self.ports[transport]}{suffix}"

    async def start(
        self, certificate: Leaf | None = None, trust: str | None = None, *, mutual: bool = True, clock: str = ""
    ) -> None:
        """Start it; with *trust* it has TLS too.

        :param certificate: what it presents, both as server and as client; None (a client only) for nothing.
        :param trust: the path of the authorities that it trusts.
        :param mutual: whether it demands a certificate of those who connect.
        :param clock: how far its clock is off, such as ``+30d``.
        """
        configuration: dict[str, Any] = {
            "module": os.path.join(node_modules(), "sip"),
            "address": self.interface,
            "port": self.ports["udp"],
        }
        ports = [("udp", self.ports["udp"]), ("tcp", self.ports["tcp"])]
        if trust is not None:
            options: dict[str, Any] = {"ca": trust, "requestCert": mutual, "rejectUnauthorized": True}
            if certificate is not None:
                options |= {"cert": certificate.certificate, "key": certificate.key}
            configuration |= {"tls_port": self.ports["tls"], "tls": options}
            ports.append(("tls", self.ports["tls"]))
        program = self.launch("node", _DRIVER, json.dumps(configuration), environment=FakeClock.environment(clock))
        await program.bound(*ports)
        await self.event("ready")

    async def event(self, kind: str, seconds: float = 15.0, where: str = "") -> dict[str, Any]:
        """The next event of *kind* that this call has not returned yet.

        :param where: text that must stand somewhere in the event's line.
        """
        pattern = rf'^{{"event":"{kind}".*{re.escape(where)}.*$'
        found = await self.program.find(pattern, seconds, self._seen.get(kind, 0))
        self._seen[kind] = found.end()
        return cast("dict[str, Any]", json.loads(found.group(0)))

    async def saw(self, method: str, seconds: float = 15.0) -> SeenRequest:
        """The next request of *method* that reached it."""
        return SeenRequest(await self.event("request", seconds, f'"method":"{method}"'))

    @property
    def saw_any(self) -> bool:
        """Whether any request reached it."""
        return '{"event":"request"' in self.program.text

    async def send(
        self, method: str, uri: str, body: str = "", headers: dict[str, Any] | None = None, **more: str
    ) -> dict[str, Any]:
        """Send a request; the response as the package parsed it (503 and 408 are its own words for a failed flow and
        for silence).

        :param more: ``type`` of the body; ``dialog``, the Call-ID of a call, for a request within it.
        """
        self._commands += 1
        command = {"id": self._commands, "method": method, "uri": uri, "content": body, "headers": headers or {}}
        command |= more
        self.program.write(json.dumps(command) + "\n")
        while True:
            answer = await self.event("response", 40.0, f'"id":{self._commands},')
            if answer["status"] >= 200:
                return answer

    async def request(self, method: str, uri: str, body: str = "") -> int:
        """Send a request; its final status."""
        status = (await self.send(method, uri, body))["status"]
        if not isinstance(status, int):
            raise PeerFailed(f"{status!r} is no status\n{self.program.report()}")
        return status
