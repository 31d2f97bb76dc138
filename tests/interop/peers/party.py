"""A party of our own in a process of its own, to be killed: ``python -m tests.interop.peers.party DESCRIPTION...``.

It listens on every description in clear text, answers every MESSAGE, and writes ``ready``, then a line for each text.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sip_p2p import KeepAlive, RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint

reactor: Any = _reactor

ASKS_FOR = 5.0
"""How often this party wants to be pinged, in seconds."""


def say(line: str) -> None:
    """Tell whoever started us."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(reactor: Any, *descriptions: str) -> None:
    """Listen and answer until the process is ended."""
    manager = RealTimeServerTcpConnectionManager(reactor, keep_alive=KeepAlive(ASKS_FOR, datagram_interval=ASKS_FOR))
    party = SipPeerToPeerEndpoint("sip:peer@b.example", manager)

    @party.message_received.subscribe
    def arrived(event: Any) -> None:
        say(f"heard {event.text}")

    for description in descriptions:
        await manager.start_listening(description)
    say("ready")
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
