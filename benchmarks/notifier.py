"""Who notifies, as a process of its own: one party whose state many watch, over mutual TLS and TCP.

:mod:`benchmarks.turns` says what it is told and answers: one operation is one change of the state, from the change to
the last answer of a subscriber; what is counted are the NOTIFYs.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from twisted.internet import defer, reactor

from benchmarks.descriptors import raise_limit
from benchmarks.running import run
from benchmarks.turns import Command, serve_turns
from sip_p2p import (
    EventPackage,
    Limits,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    Verdict,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p import IncomingRequest, ServerSubscription

__all__ = ["PACKAGE", "main"]

PACKAGE = "alarm"
"""The event package; its state has as many octets as a small PIDF document."""

_BETWEEN_LOOKS = 0.002
_STATE = b'{"zone": 12, "state": "armed", "text": "' + b"x" * 310 + b'"}'


class _Alarm(EventPackage):
    """A state of 350 octets, for whoever has proved a name; on TCP, where nobody can, for everybody."""

    name = PACKAGE
    content_types = ("application/json",)
    maximum_expires = 86400

    def authorise(self, request: IncomingRequest) -> Verdict:
        """Everybody who has come this far."""
        return Verdict.accept()

    def state(self, subscription: ServerSubscription) -> tuple[str, bytes]:
        """What all are told."""
        return self.content_types[0], _STATE


class _Changes:
    """A turn: changes that follow each other, each once all have answered the one before.

    :ivar count: the NOTIFYs that were answered.
    """

    def __init__(self, endpoints: Sequence[SipPeerToPeerEndpoint], command: Command) -> None:
        self.count = 0
        self.done: defer.Deferred[None] = defer.Deferred()
        self._endpoints = endpoints
        self._left = int(command["count"])
        self._before = 0

    def begin(self, window: int) -> None:
        """Make the first change."""
        self._change()

    def _answered(self) -> int:
        return sum(each.connection_manager.core.traffic.responses_in[200] for each in self._endpoints)

    def _change(self) -> None:
        self._left -= 1
        self._before = self._answered()
        for endpoint in self._endpoints:
            for package in endpoint.packages:
                package.changed()
        self._look()

    def _look(self) -> None:
        watchers = sum(len(endpoint.packages.subscriptions) for endpoint in self._endpoints)
        told = self._answered() - self._before
        if told < watchers:
            reactor.callLater(_BETWEEN_LOOKS, self._look)
            return
        self.count += told
        if self._left:
            self._change()
        else:
            self.done.callback(None)


async def _serve(options: argparse.Namespace) -> None:
    limits = Limits(
        connections_per_identity=100_000, subscriptions=1_000_000, subscriptions_per_identity=1_000_000, overload_lag=0
    ).replace(dialogs=1_000_000)
    secure = RealTimeServerTlsConnectionManager(
        reactor, certificate=options.certificate, trust=options.trust, allow=["alice.example"], limits=limits
    )
    clear = RealTimeServerTcpConnectionManager(reactor, limits=limits)
    endpoints = [
        SipPeerToPeerEndpoint("sip:bob@bob.example", manager, packages=[_Alarm()]) for manager in (secure, clear)
    ]
    listeners = {
        "tls": await secure.start_listening("tls:port=0:interface=127.0.0.1"),
        "tcp": await clear.start_listening("tcp:port=0:interface=127.0.0.1"),
    }
    serve_turns(
        lambda command: _Changes(endpoints, command), {name: listener.port for name, listener in listeners.items()}
    )


def main() -> None:
    """Listen, print the ports as one line of JSON, and serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notifier", description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics to FILE at the end")
    options = parser.parse_args()
    raise_limit()

    def failed(failure: object) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    reactor.callWhenRunning(lambda: defer.ensureDeferred(_serve(options)).addErrback(failed))
    run(options.profile)


if __name__ == "__main__":
    main()
