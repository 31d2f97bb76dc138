"""Bob waits for messages and prints them, with the name that their sender has proved. Start him before Alice.

Run it with::

    sip-p2p pki keys localhost
    python examples/hello_bob.py keys
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sip_p2p import RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p import IncomingRequest


async def main(reactor: IReactorTime, folder: str = "keys", port: str = "5062") -> None:
    """Listen on the loopback interface until the process is interrupted."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )
    bob = SipPeerToPeerEndpoint("sip:bob@localhost", manager)

    @bob.message_received.subscribe
    def arrived(event: IncomingRequest) -> None:
        print(f"{event.from_.uri} ({event.peer.identity}): {event.text}", flush=True)

    await manager.start_listening(f"tls:port={port}:interface=127.0.0.1")
    print(f"bob is {bob.contact_uri}", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
