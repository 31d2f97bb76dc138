"""SIPp: requests, answers and calls by written scenarios, over UDP and TCP; over TLS with socat in front of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed, free_port

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.interop.certificates import Leaf
    from tests.interop.peers.scenario import Scenario

__all__ = ["Sipp", "TlsBefore"]

_SCENARIOS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scenarios")
_MODES = {"udp": "u1", "tcp": "t1"}


class Sipp(Peer):
    """SIPp, started once for each exchange."""

    packages = "sip-tester"
    programs = ("sipp",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        self.port = free_port(interface)

    def uri(self, transport: str, user: str = "sipp") -> str:
        """A URI that reaches it over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@{self.interface}:{self.port}{suffix}"

    def _scenario(self, name: str, words: dict[str, str]) -> str:
        with open(os.path.join(_SCENARIOS, name), encoding="utf-8") as file:
            lines = file.read().splitlines()
        filled: list[str] = []
        for line in lines:
            for word, value in words.items():
                line = line.replace(f"@{word}@", value)
            # An empty line would end the head: what was not asked for leaves none.
            if line.strip() or not any(f"@{word}@" in lines[len(filled)] for word in words):
                filled.append(line)
        self.write_files({name: "\n".join(filled)})
        return os.path.join(self.directory, name)

    def _arguments(self, scenario: str, transport: str, calls: int = 1) -> list[str]:
        return [
            *("-sf", scenario, "-i", self.interface, "-p", str(self.port), "-t", _MODES[transport], "-m", str(calls)),
            # By UDP it would lose what fifty calls are told at once.
            *("-r", "1000", "-l", "50", "-buff_size", "1000000"),
            *("-timeout", "20", "-timeout_error", "-nostdin", "-trace_msg", "-message_file", self._messages),
        ]

    @property
    def _messages(self) -> str:
        return os.path.join(self.directory, "messages.log")

    @property
    def messages(self) -> str:
        """Every message that it sent and received, as it wrote them down."""
        with open(self._messages, encoding="utf-8", errors="replace") as file:
            return file.read()

    async def request(
        self,
        method: str,
        uri: str,
        target: tuple[str, int],
        transport: str,
        body: str = "",
        status: int = 200,
        calls: int = 1,
    ) -> None:
        """Send a request for *uri* to the address *target* and want *status*.

        :param calls: how many such requests to send, up to fifty of them at a time over one socket.

        :raises PeerFailed: when another answer comes, or none.
        """
        words = {
            "METHOD": method,
            "URI": uri,
            "STATUS": str(status),
            "BODY": body,
            "EXTRA": "Content-Type: text/plain;charset=UTF-8" if body else "Accept: text/plain",
        }
        scenario = self._scenario("send.xml", words)
        arguments = [f"{target[0]}:{target[1]}", *self._arguments(scenario, transport, calls)]
        program = await self.run("sipp", arguments, seconds=30.0)
        if program.exit_code != 0:
            raise PeerFailed(f"SIPp is not content\n{self.messages}\n{program.report()}")

    async def start_answering(self, method: str, transport: str) -> None:
        """Wait for one *method* request and answer it with 200."""
        scenario = self._scenario("answer.xml", {"METHOD": method})
        await self.launch("sipp", *self._arguments(scenario, transport)).bound((transport, self.port))

    async def play(
        self,
        scenario: Scenario,
        transport: str,
        target: tuple[str, int] | None = None,
        calls: int = 1,
        options: Iterable[str] = (),
    ) -> None:
        """Begin to play *scenario*; :meth:`answered` waits for its end.

        :param target: the address of whom it calls; None where it waits to be called.
        :param calls: how many times, up to fifty at a time.
        :param options: arguments to give it besides, such as ``-au`` and a user name.
        """
        self.write_files({"call.xml": str(scenario)})
        path = os.path.join(self.directory, "call.xml")
        arguments = [] if target is None else [f"{target[0]}:{target[1]}"]
        program = self.launch("sipp", *arguments, *self._arguments(path, transport, calls), *options)
        if target is None:
            await program.bound((transport, self.port))

    async def answered(self) -> str:
        """Wait until it has done its part; the messages that it saw.

        :raises PeerFailed: when it got something else than it waited for.
        """
        if await self.program.ended(30.0) != 0:
            raise PeerFailed(f"SIPp is not content\n{self.messages}\n{self.program.report()}")
        return self.messages


class TlsBefore(Peer):
    """socat between TLS outside and TCP inside, for a peer without TLS of its own."""

    packages = "socat"
    programs = ("socat",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        self.port = free_port(interface)

    async def _start(self, left: str, right: str) -> None:
        await self.launch("socat", "-d", "-d", left, right).bound(("tcp", self.port))

    async def accept(self, inside: int, certificate: Leaf, trust: str) -> None:
        """TLS at :attr:`port`, a certificate demanded; what comes goes to the TCP port *inside*."""
        outside = f"OPENSSL-LISTEN:{self.port},bind={self.interface},reuseaddr,fork,verify=1"
        outside += f",cert={certificate.certificate},key={certificate.key},cafile={trust}"
        await self._start(outside, f"TCP:{self.interface}:{inside}")

    async def dial(self, outside: int, certificate: Leaf, trust: str) -> None:
        """TCP at :attr:`port`; what comes goes over TLS to the port *outside*, with our certificate."""
        target = f"OPENSSL:{self.interface}:{outside},verify=1,commonname={self.interface}"
        target += f",cert={certificate.certificate},key={certificate.key},cafile={trust}"
        await self._start(f"TCP-LISTEN:{self.port},bind={self.interface},reuseaddr,fork", target)
