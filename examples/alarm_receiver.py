"""Receives alarms and nothing else: it listens with mutual TLS, needs no proxy and cannot send.

An alarm counts only when its sender's certificate proves the domain that the From field claims.

Run it with::

    sip-p2p pki keys localhost
    python examples/alarm_receiver.py keys
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sip_p2p import RealTimeServerTlsConnectionManager, SipPeerToPeerEndpoint, SipUri

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p import IncomingRequest


def alarm(event: IncomingRequest) -> int:
    """Print an alarm, and answer whether it was taken."""
    sender = event.from_.uri
    if not isinstance(sender, SipUri) or sender.host not in event.peer.identities:
        return 403
    print(f"ALARM from {sender}: {event.text}", flush=True)
    return 200


async def main(reactor: IReactorTime, folder: str = "keys", port: str = "5063") -> None:
    """Take alarms until the process is interrupted."""
    manager = RealTimeServerTlsConnectionManager(
        reactor,
        certificate=f"{folder}/localhost.pem",
        trust=f"{folder}/ca.pem",
        allow=["localhost", ".sensors.example"],
    )
    receiver = SipPeerToPeerEndpoint("sip:alarms@localhost", manager, outbound=False)
    receiver.message_received.subscribe(alarm)
    await manager.start_listening(f"tls:port={port}:interface=127.0.0.1")
    print(f"alarms go to {receiver.contact_uri}", flush=True)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
