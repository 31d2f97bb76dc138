"""Presence without a server: one says whether it is there, others watch.

Run it with::

    sip-p2p pki keys localhost
    python examples/presence.py keys

write ``away``, ``lunch`` or anything else, a line each; an empty line is being there. Watch it from elsewhere with what
it prints::

    python examples/presence.py keys sip:...
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

from sip_p2p import PresencePackage, RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint
from sip_p2p.documents.pidf import Presence

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

ME = "sip:alice@localhost"


class Door(LineReceiver):
    """What is written is what the others see."""

    delimiter = b"\n"

    def __init__(self, presence: PresencePackage) -> None:
        self.presence = presence
        self.lineReceived(b"")

    def lineReceived(self, line: bytes) -> None:
        """Say it."""
        words = line.decode("utf-8", "replace").strip()
        self.presence.set(ME, Presence.of(ME, is_open=not words, note=words))


async def watch(manager: RealTimeServerTlsConnectionManager, target: str) -> None:
    """Print what *target* is, until it is away."""
    bob = SipPeerToPeerEndpoint("sip:bob@localhost", manager)
    async for notification in await bob.subscribe(target, "presence"):
        presence: Presence = notification.document
        notes = [note.text for part in presence.tuples for note in part.notes]
        print("she is", "there" if presence.is_open else " ".join(notes), flush=True)
        if not presence.is_open:
            break


async def main(reactor: IReactorTime, folder: str = "keys", target: str = "") -> None:
    """Be present; or watch the one at *target*."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )
    if target:
        await watch(manager, target)
        await manager.terminate()
        return
    presence = PresencePackage()
    alice = SipPeerToPeerEndpoint(ME, manager, packages=[presence])
    await manager.start_listening("tls:port=0:interface=127.0.0.1")
    StandardIO(Door(presence))
    print(f"watch {alice.contact_uri}", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
