"""Our sending side as a process of its own: one party that sends MESSAGEs, or calls, and counts what it costs itself.

:mod:`benchmarks.turns` says what it is told and answers.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from twisted.internet import reactor

from benchmarks.call_wording import OFFER
from benchmarks.running import run
from benchmarks.turns import Command, TurnOfOperations, serve_turns
from sip_p2p import (
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    Timers,
)
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import SignalingSession
    from sip_p2p.sip.message import Response

__all__ = ["main"]

_TEXT = "The quick brown fox jumps over the lazy dog."
_CALLED = "sip:bob@bob.example"


class _Party:
    """Who sends.

    :ivar held: the sessions of calls that were not to be ended.
    """

    def __init__(self, endpoint: SipPeerToPeerEndpoint, target: Target) -> None:
        self.held: list[SignalingSession] = []
        self._endpoint = endpoint
        self._target = target

    def message(self) -> Deferred[Response]:
        """A MESSAGE, to its answer."""
        return self._endpoint.send_message(_CALLED, _TEXT, via=self._target)

    def call(self) -> Deferred[None]:
        """A call, to the answer to its BYE."""
        return self._endpoint.invite(_CALLED, OFFER, via=self._target).addCallback(_hang_up)

    def hold(self) -> Deferred[None]:
        """A call, until it stands."""
        return self._endpoint.invite(_CALLED, OFFER, via=self._target).addCallback(self.held.append)


def _hang_up(session: SignalingSession) -> Deferred[None]:
    return session.terminate()


def main() -> None:
    """Serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sender", description=__doc__)
    parser.add_argument("transport", choices=("tls", "tcp", "udp"))
    parser.add_argument("port", type=int)
    parser.add_argument("--calls", action="store_true", help="call; a turn with hold=1 leaves its calls standing")
    parser.add_argument("--t1", type=float, help="RFC 3261's T1 in seconds, with T2 eight times as much")
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    parser.add_argument("--profile", metavar="FILE", help="write cProfile's statistics to FILE at the end")
    options = parser.parse_args()
    timers = Timers(t1=options.t1, t2=8 * options.t1) if options.t1 else None
    manager = (
        RealTimeServerTlsConnectionManager(
            reactor, certificate=options.certificate, trust=options.trust, allow=["bob.example"], timers=timers
        )
        if options.transport == "tls"
        else RealTimeServerTcpConnectionManager(reactor, timers=timers)
    )
    endpoint = SipPeerToPeerEndpoint("sip:alice@alice.example", manager)
    party = _Party(endpoint, Target(Transport.named(options.transport), "127.0.0.1", options.port, "bob.example"))

    def turn_of(command: Command) -> TurnOfOperations:
        operation = party.hold if command.get("hold") else party.call if options.calls else party.message
        return TurnOfOperations(operation, command)

    serve_turns(turn_of)
    run(options.profile)


if __name__ == "__main__":
    main()
