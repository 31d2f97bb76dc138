"""Our sending side as a process of its own: one party that sends MESSAGEs to a server and counts what it costs itself.

A line of JSON on standard input is one turn: ``window`` requests in flight at a time, for so many ``seconds`` or until
``count`` are answered. The answer is a line with how many were, and the CPU time of this process. The end of the input
is the end.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from typing import TYPE_CHECKING

from twisted.internet import reactor, stdio
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher, textFileLogObserver
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from sip_p2p import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from sip_p2p.sip.message import Response

__all__ = ["Turn", "main"]

_TEXT = "The quick brown fox jumps over the lazy dog."


class Turn:
    """Requests that follow each other, each sent by the answer to the one before it."""

    def __init__(self, endpoint: SipPeerToPeerEndpoint, target: Target, count: int, seconds: float) -> None:
        self.answered = 0
        self.done: Deferred[None] = Deferred()
        self._endpoint = endpoint
        self._target = target
        self._left = count or sys.maxsize
        self._until = float("inf") if count else time.perf_counter() + seconds
        self._in_flight = 0

    def begin(self, window: int) -> None:
        """Send the first ones."""
        for _ in range(window):
            self._send()
        self._maybe_over()

    def _send(self) -> None:
        if self._left > 0 and time.perf_counter() < self._until:
            self._left -= 1
            self._in_flight += 1
            sending = self._endpoint.send_message("sip:bob@bob.example", _TEXT, via=self._target)
            sending.addCallbacks(self._answered, self._failed)

    def _answered(self, response: Response) -> None:
        self.answered += 1
        self._in_flight -= 1
        self._send()
        self._maybe_over()

    def _maybe_over(self) -> None:
        if not self._in_flight and not self.done.called:
            self.done.callback(None)

    def _failed(self, failure: Failure) -> None:
        if not self.done.called:
            self.done.errback(failure)


class _Commands(LineOnlyReceiver):
    """Standard input and output."""

    delimiter = b"\n"

    def __init__(self, endpoint: SipPeerToPeerEndpoint, target: Target) -> None:
        self._endpoint = endpoint
        self._target = target

    def lineReceived(self, line: bytes) -> None:
        command = json.loads(line)
        turn = Turn(self._endpoint, self._target, command["count"], command["seconds"])
        began = time.process_time()
        turn.done.addCallbacks(lambda _: self._tell(turn, began), self._fail)
        turn.begin(command["window"])

    def _tell(self, turn: Turn, began: float) -> None:
        print(json.dumps({"count": turn.answered, "cpu": time.process_time() - began}), flush=True)

    def _fail(self, failure: Failure) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    def connectionLost(self, reason: Failure | None = None) -> None:
        if reactor.running:
            reactor.stop()


def main() -> None:
    """Serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sender", description=__doc__)
    parser.add_argument("transport", choices=("tls", "tcp", "udp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()
    globalLogPublisher.addObserver(textFileLogObserver(open("/dev/stderr", "w", encoding="utf-8")))  # noqa: SIM115
    manager = (
        RealTimeServerTlsConnectionManager(
            reactor, certificate=options.certificate, trust=options.trust, allow=["bob.example"]
        )
        if options.transport == "tls"
        else RealTimeServerTcpConnectionManager(reactor)
    )
    endpoint = SipPeerToPeerEndpoint("sip:alice@alice.example", manager)
    target = Target(Transport.named(options.transport), "127.0.0.1", options.port, "bob.example")
    stdio.StandardIO(_Commands(endpoint, target))
    gc.collect()
    gc.freeze()
    print(json.dumps({}), flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
