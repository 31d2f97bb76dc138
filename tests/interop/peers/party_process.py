"""A party of our own in a process of its own, to be killed, stopped, or moved to another day; see :mod:`.party`.

The argument is a JSON object, commands come on standard input and events go to standard output, one JSON object a line.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

from sip_p2p import (
    KeepAlive,
    Limits,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SignalingSession,
    SipPeerToPeerEndpoint,
    Timers,
)

DESCRIPTION = "v=0\r\no=there 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 50000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"


def say(event: str, **words: Any) -> None:
    """Tell whoever started us."""
    sys.stdout.write(json.dumps({"event": event, **words}) + "\n")
    sys.stdout.flush()


def watch(session: SignalingSession) -> None:
    """Tell what becomes of a call."""
    call_id = session.call_id
    session.state_changed.subscribe(
        lambda event: say("call", call_id=call_id, state=event.state.name, reason=event.reason.name)
    )
    session.route_set_changed.subscribe(lambda event: say("way", call_id=call_id, status=event.status.name))


class Commands(LineReceiver):
    """What it is told."""

    delimiter = b"\n"

    def __init__(self, party: SipPeerToPeerEndpoint) -> None:
        self.party = party
        self.sessions: dict[str, SignalingSession] = {}
        party.session_received.subscribe(self.take)

    def take(self, session: SignalingSession) -> None:
        """Somebody calls: ring, and accept."""
        self.sessions[session.call_id] = session
        watch(session)
        session.ring()
        session.accept(DESCRIPTION).addErrback(lambda failure: None)

    def lineReceived(self, line: bytes) -> None:
        """One command."""
        command = json.loads(line)
        if command["do"] == "call":
            session = self.party.create_session(command["uri"])
            self.sessions[session.call_id] = session
            watch(session)
            session.establish(DESCRIPTION).addErrback(lambda failure: None)
        elif command["do"] == "hang up":
            self.sessions.pop(command["call_id"]).terminate()
        elif command["do"] == "send":
            self.send(**command)
        elif command["do"] == "inventory":
            say("inventory", **self.party.connection_manager.inventory())
        elif command["do"] == "metrics":
            say("metrics", **self.party.connection_manager.metrics())

    def send(self, do: str, number: int, uri: str, text: str, **options: Any) -> None:
        """Send a message, and say how that ended and how many seconds it took."""
        began = time.monotonic()
        sending = self.party.send_message(uri, text, **options)
        sending.addCallbacks(
            lambda response: say("answered", number=number, status=response.status, took=time.monotonic() - began),
            lambda failure: say(
                "failed",
                number=number,
                error=failure.type.__name__,
                why=str(failure.value),
                took=time.monotonic() - began,
            ),
        )


async def main(reactor: Any, text: str) -> None:
    """Listen, answer and do as told until the process is ended."""
    given = json.loads(text)
    options: dict[str, Any] = {"keep_alive": KeepAlive(**given["keep_alive"]), "limits": Limits(**given["limits"])}
    options |= {"timers": Timers(**given["timers"]), **given["manager"]}
    manager: Any
    if "certificate" in options:
        manager = RealTimeServerTlsConnectionManager(reactor, **options)
    else:
        manager = RealTimeServerTcpConnectionManager(reactor, **options)
    party = SipPeerToPeerEndpoint(given["uri"], manager, **given["party"])
    party.message_received.subscribe(
        lambda event: say("heard", text=event.text, peer=event.peer.identity, transport=event.peer.transport)
    )
    manager.flow_opened.subscribe(
        lambda opened: say("opened", transport=opened.flow.transport, incoming=opened.flow.is_incoming)
    )
    manager.flow_lost.subscribe(
        lambda lost: say("lost", transport=lost.flow.transport, why=str(lost.reason), on_it=len(lost.transactions))
    )
    manager.tls_failed.subscribe(lambda failure: say("refused", reason=failure.reason.name, why=str(failure)))
    for description in given["listen"]:
        await manager.start_listening(description)
    StandardIO(Commands(party))
    say("ready")
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
