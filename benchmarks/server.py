"""Our server: one party with subscribers to its messages and sessions, over mutual TLS, TCP and UDP, on free ports of
127.0.0.1.

Everything is as an application would have it by default, with one exception: the load comes from many connections of
one identity, and how many of those one identity may hold is raised.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from typing import TYPE_CHECKING

from twisted.internet import defer, reactor, stdio

from benchmarks.call_wording import ANSWER
from benchmarks.descriptors import raise_limit
from benchmarks.lifeline import Lifeline
from benchmarks.running import run
from benchmarks.stock import StockTlsProtocol
from sip_p2p import (
    Limits,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    Timers,
)
from sip_p2p.observe.recorder import Recorder
from sip_p2p.observe.transactions import TransactionWatch
from sip_p2p.service.instruments.instruments import Instruments

if TYPE_CHECKING:
    from sip_p2p import IncomingRequest, SignalingSession

__all__ = ["HOLD", "main"]

HOLD = b"hold"
"""A message with this body is not answered; any other is, at once."""


def _answer(event: IncomingRequest) -> defer.Deferred[None] | None:
    """What a subscriber does at the least: look at the text and let the 200 go."""
    return defer.Deferred() if event.text == "hold" else None


def _take(session: SignalingSession) -> None:
    """What a subscriber does at the least with a call: ring and accept."""
    session.ring()
    session.accept(ANSWER)


async def _serve(
    certificate: str, trust: str, timers: Timers | None, stock_tls: bool, instruments: bool, **bounds: float
) -> dict[str, int]:
    limits = Limits(connections_per_identity=100_000).replace(**bounds)
    secure = RealTimeServerTlsConnectionManager(
        reactor, certificate=certificate, trust=trust, allow=["alice.example"], limits=limits, timers=timers
    )
    if stock_tls:
        secure.tls_settings().protocol = StockTlsProtocol
    clear = RealTimeServerTcpConnectionManager(reactor, limits=limits, timers=timers)
    for manager in (secure, clear):
        endpoint = SipPeerToPeerEndpoint("sip:bob@bob.example", manager)
        endpoint.message_received.subscribe(_answer)
        endpoint.session_received.subscribe(_take)
        if instruments:
            Instruments(reactor, manager, recorder=Recorder(), watch=TransactionWatch()).listen()
    listeners = {
        "tls": await secure.start_listening("tls:port=0:interface=127.0.0.1"),
        "tcp": await clear.start_listening("tcp:port=0:interface=127.0.0.1"),
        "udp": await clear.start_listening("udp:port=0:interface=127.0.0.1"),
    }
    return {name: listener.port for name, listener in listeners.items()}


def main() -> None:
    """Listen, print the ports as one line of JSON, and serve until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server", description=__doc__)
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    parser.add_argument("--t1", type=float, help="RFC 3261's T1 in seconds, with T2 eight times as much")
    parser.add_argument("--stock-tls", action="store_true", help="move the bytes with Twisted's own TLS protocol")
    parser.add_argument("--instruments", action="store_true", help="record, watch and count, as a service with --http")
    parser.add_argument(
        "--pending-requests",
        type=int,
        default=Limits().pending_requests,
        help="how many requests of one connection the subscriber may have and not have answered",
    )
    parser.add_argument(
        "--overload-lag", type=float, default=Limits().overload_lag, help="how late it may be before it refuses"
    )
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics to FILE at the end")
    options = parser.parse_args()
    raise_limit()

    def listening(ports: dict[str, int]) -> None:
        gc.collect()
        gc.freeze()
        print(json.dumps(ports), flush=True)

    def failed(failure: object) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    def begin() -> None:
        timers = Timers(t1=options.t1, t2=8 * options.t1) if options.t1 else None
        serving = _serve(
            options.certificate,
            options.trust,
            timers,
            options.stock_tls,
            options.instruments,
            pending_requests=options.pending_requests,
            overload_lag=options.overload_lag,
        )
        started = defer.ensureDeferred(serving)
        started.addCallbacks(listening, failed)

    stdio.StandardIO(Lifeline())
    reactor.callWhenRunning(begin)
    run(options.profile)


if __name__ == "__main__":
    main()
