"""Send texts to a party, whether it is there or not: what was accepted survives this program.

Run it with::

    python examples/outbox.py keys outbox.sqlite sip:bob@localhost:5062 "the gate is open" "the gate is closed"

Kill it whenever you like, and run it again without a text: it goes on where it was.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sip_p2p import Outbox, OutboxEntry, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint


async def main(reactor: Any, folder: str, path: str, target: str, *texts: str) -> None:
    """Accept the texts, and leave when nothing waits any more."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem"
    )
    outbox = Outbox(reactor, path, SipPeerToPeerEndpoint("sip:alice@localhost", manager))
    empty: Deferred[None] = Deferred()
    accepted = not texts

    @outbox.settled.subscribe
    def known(entry: OutboxEntry) -> None:
        print(f"{entry.id}: {entry.state.value} after {entry.attempts} attempts: {entry.reason}", flush=True)
        if accepted and not outbox.waiting and not empty.called:
            empty.callback(None)

    await outbox.open()
    for text in texts:
        entry = await outbox.send(text, target)
        print(f"{entry.id}: accepted", flush=True)
    accepted = True
    if outbox.waiting:
        await empty
    await outbox.close()
    await manager.terminate()


if __name__ == "__main__":
    react(main, sys.argv[1:])
