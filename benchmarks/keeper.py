"""A party with an outbox, as a process of its own: what it sends is in a file before it is anywhere else.

:mod:`benchmarks.turns` says what it is told and answers. One operation is one message, from the call until it is
delivered.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred

from benchmarks.running import run
from benchmarks.turns import TurnOfOperations, serve_turns
from sip_p2p import Outbox, OutboxLimits, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint, StaticResolver

if TYPE_CHECKING:
    from sip_p2p import OutboxEntry

__all__ = ["main"]

_TEXT = "The quick brown fox jumps over the lazy dog."


class _Party:
    """Who sends."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._waiting: dict[str, Deferred[OutboxEntry]] = {}
        self._count = 0
        outbox.settled.subscribe(self._settled)

    def message(self) -> Deferred[OutboxEntry]:
        """One message, until it is delivered."""
        self._count += 1
        name = f"benchmark-{self._count}"
        done = self._waiting[name] = Deferred()
        # Parties take turns by address; one at a time is under way to each.
        to = f"sip:bob{self._count % 64}@bob.example"
        self._outbox.send(_TEXT, to, id=name).addErrback(done.errback)
        return done

    def _settled(self, entry: OutboxEntry) -> None:
        waiting = self._waiting.pop(entry.id, None)
        if waiting is not None:
            waiting.callback(entry)


async def _serve(options: argparse.Namespace) -> None:
    manager = RealTimeServerTlsConnectionManager(
        reactor,
        certificate=options.certificate,
        trust=options.trust,
        allow=["bob.example"],
    )
    manager.resolver = StaticResolver({"bob.example": ("127.0.0.1", options.port)}, manager.resolver)
    endpoint = SipPeerToPeerEndpoint("sip:alice@alice.example", manager)
    outbox = Outbox(reactor, options.file, endpoint, limits=OutboxLimits(messages=1_000_000))
    party = _Party(outbox)
    await outbox.open()
    serve_turns(lambda command: TurnOfOperations(party.message, command))


def main() -> None:
    """Serve turns until standard input closes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keeper", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    parser.add_argument("--certificate", required=True, help="PEM file with certificate and key")
    parser.add_argument("--trust", required=True, help="PEM file with the authority's certificate")
    options = parser.parse_args()

    def failed(failure: object) -> None:
        print(failure, file=sys.stderr, flush=True)
        reactor.stop()

    reactor.callWhenRunning(lambda: ensureDeferred(_serve(options)).addErrback(failed))
    run()


if __name__ == "__main__":
    main()
