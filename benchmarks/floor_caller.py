"""The floor of the calling side: the least that a Twisted program can do and still call, to measure ours against.

A bare ``Protocol`` that writes canned INVITEs, and finds in the answers, by searching, what it has to repeat in ACK and
BYE: the octets are those of the load generator, what carries them is Twisted. :mod:`benchmarks.turns` says what it is
told and answers.
"""

from __future__ import annotations

import argparse
import sys
import time
from array import array
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import DatagramProtocol, Protocol

from benchmarks.call_wording import Calls
from benchmarks.turns import Command, serve_turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import ITCPTransport

__all__ = ["FloorCaller", "FloorTurn", "main"]

_SERVER_NAME = "bob.example"


class FloorTurn:
    """A turn of the one connection."""

    def __init__(self, caller: FloorCaller, command: Command) -> None:
        self.count = 0
        self.done: Deferred[None] = Deferred()
        self._caller = caller
        self._left = int(command["count"]) or sys.maxsize
        self._until = float("inf") if command["count"] else time.perf_counter() + command["seconds"]
        self._in_flight = 0
        caller.turn = self

    def begin(self, window: int) -> None:
        """Begin the first calls."""
        self._caller.begin(self._more(window))

    def ended(self, count: int) -> int:
        """So many calls are over; how many more are to begin."""
        self.count += count
        self._in_flight -= count
        return self._more(count) if time.perf_counter() < self._until else 0

    def maybe_over(self) -> None:
        """All is written; without a call in flight that was all."""
        if not self._in_flight and not self.done.called:
            self.done.callback(None)

    def _more(self, wanted: int) -> int:
        more = min(wanted, self._left)
        self._left -= more
        self._in_flight += more
        return more


class FloorCaller:
    """What is said on the one connection.

    :ivar turn: which began last.
    """

    def __init__(self, calls: Calls, write: Callable[[list[bytes]], None]) -> None:
        self.turn: FloorTurn | None = None
        self._calls = calls
        self._write = write
        self._latencies = array("d")

    def begin(self, count: int) -> None:
        """Begin so many calls."""
        self._write(self._calls.begin(count))

    def received(self, data: bytes) -> None:
        """Say what there is to say to *data*, and begin as many calls as are over."""
        messages, over = self._calls.receive(data, self._latencies)
        turn = self.turn
        if over and turn is not None:
            del self._latencies[:]
            messages += self._calls.begin(turn.ended(over))
        if messages:
            self._write(messages)
        if over and turn is not None:
            turn.maybe_over()


class _Stream(Protocol):
    def __init__(self, transport: str) -> None:
        self._name = transport

    def connectionMade(self) -> None:
        transport = cast("ITCPTransport", self.transport)
        transport.setTcpNoDelay(True)
        host: Any = transport.getHost()
        write = transport.write
        self.caller = FloorCaller(
            Calls(self._name, (host.host, host.port), _SERVER_NAME), lambda messages: write(b"".join(messages))
        )

    def dataReceived(self, data: bytes) -> None:
        self.caller.received(data)


class _Datagrams(DatagramProtocol):
    def __init__(self, port: int) -> None:
        self._port = port

    def startProtocol(self) -> None:
        transport: Any = self.transport
        transport.connect("127.0.0.1", self._port)
        host: Any = transport.getHost()
        self._write = transport.write
        self.caller = FloorCaller(Calls("udp", (host.host, host.port), _SERVER_NAME), self._each)

    def _each(self, messages: list[bytes]) -> None:
        for message in messages:
            self._write(message)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        self.caller.received(datagram)


def _connect(transport: str, port: int, certificate: str, trust: str) -> Deferred[Any]:
    """Fires with a protocol that has a ``caller``."""
    loop: Any = reactor
    if transport == "udp":
        protocol = _Datagrams(port)
        loop.listenUDP(0, protocol, interface="127.0.0.1")
        return succeed(protocol)
    if transport == "tcp":
        return _connected(TCP4ClientEndpoint(loop, "127.0.0.1", port), transport)
    with open(certificate, "rb") as file:
        own = ssl.PrivateCertificate.loadPEM(file.read())
    with open(trust, "rb") as file:
        authority = ssl.Certificate.loadPEM(file.read())
    return _connected(SSL4ClientEndpoint(loop, "127.0.0.1", port, own.options(authority)), transport)


def _connected(endpoint: TCP4ClientEndpoint | SSL4ClientEndpoint, transport: str) -> Deferred[Any]:
    connecting: Deferred[Any] = connectProtocol(endpoint, _Stream(transport))
    return connecting


def main() -> None:
    """Connect, and serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floor_caller", description=__doc__)
    parser.add_argument("transport", choices=("tls", "tcp", "udp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()

    def begin() -> None:
        connecting = _connect(options.transport, options.port, options.certificate, options.trust)
        connecting.addCallback(lambda protocol: serve_turns(lambda command: FloorTurn(protocol.caller, command)))
        connecting.addErrback(failed)

    def failed(failure: object) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()


if __name__ == "__main__":
    main()
