"""An intercom: two stations that ring each other. Whoever is called opens with Enter; then what either side types is
heard on the other, and ``bye`` hangs up.

Run a station at the door and one in the flat, and call from the door::

    sip-p2p pki keys localhost
    python examples/intercom.py keys 5064 flat
    python examples/intercom.py keys 5065 door sip:flat@localhost:5064
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

from sip_p2p import (
    ContentDescription,
    RealTimeServerTlsConnectionManager,
    SignalingSession,
    SignalingState,
    SignalingStateChanged,
    SipError,
    SipPeerToPeerEndpoint,
)

if TYPE_CHECKING:
    from sip_p2p import IncomingRequest

VOICE = ContentDescription("typed text", "text/plain")
"""What both sides offer and accept: no media, but lines of text."""


class Station(LineReceiver):
    """One intercom and its keyboard; it has one session at a time."""

    delimiter = b"\n"

    def __init__(self, endpoint: SipPeerToPeerEndpoint) -> None:
        self.endpoint = endpoint
        self.session: SignalingSession | None = None
        self.closed: Deferred[None] = Deferred()
        endpoint.session_received.subscribe(self.called)

    def say(self, text: str) -> None:
        """One line to whoever stands here."""
        print(text, flush=True)

    def called(self, session: SignalingSession) -> None:
        """Somebody is at the other station: ring, unless there is somebody else already."""
        if self.session is not None:
            session.reject(486)
            return
        self.take(session)
        session.ring()
        peer = session.peer
        self.say(f"ringing: {peer.identity if peer else 'nobody'} is there; Enter opens")

    async def call(self, target: str) -> None:
        """Ring the other station, and wait until somebody opens."""
        session = self.endpoint.create_session(target, max_ring=60)
        self.take(session)
        try:
            await session.establish(VOICE)
        except SipError as error:
            self.say(f"nobody opens: {error}")

    def take(self, session: SignalingSession) -> None:
        """This is the session from now on, until it ends."""
        self.session = session
        session.state_changed.subscribe(self.changed)
        session.message_received.subscribe(self.heard)

    def changed(self, event: SignalingStateChanged) -> None:
        """Tell what became of it."""
        if event.state is SignalingState.CONNECTED:
            self.say("the door is open")
        elif event.state is SignalingState.DISCONNECTED:
            self.session = None
            self.say(f"closed: {event.reason.value}")

    def heard(self, event: IncomingRequest) -> None:
        """The other side says something."""
        self.say(f"> {event.text}")

    def lineReceived(self, line: bytes) -> None:
        """Somebody typed something here."""
        session = self.session
        if session is None:
            self.say("nobody is there")
        elif line == b"bye":
            session.terminate()
        elif session.state is SignalingState.INCOMING:
            session.accept(VOICE).addErrback(lambda failure: self.say(f"gone: {failure.value}"))
        elif session.state is SignalingState.CONNECTED:
            said = session.send_message(line.decode("utf-8", "replace"))
            said.addErrback(lambda failure: self.say(f"not heard: {failure.value}"))
        else:
            self.say("not heard: the door is not open yet")

    def connectionLost(self, reason: object = None) -> None:
        """The keyboard is gone."""
        if not self.closed.called:
            self.closed.callback(None)


async def main(reactor: Any, folder: str = "keys", port: str = "5064", name: str = "flat", target: str = "") -> None:
    """Be a station until its keyboard is gone."""
    manager = RealTimeServerTlsConnectionManager(
        reactor, certificate=f"{folder}/localhost.pem", trust=f"{folder}/ca.pem", allow=["localhost"]
    )
    # Ctrl-C hangs up before the program ends.
    reactor.addSystemEventTrigger("before", "shutdown", manager.terminate)
    station = Station(SipPeerToPeerEndpoint(f"sip:{name}@localhost", manager))
    await manager.start_listening(f"tls:port={port}:interface=127.0.0.1")
    station.say(f"{name} is {station.endpoint.contact_uri}")
    StandardIO(station, reactor=reactor)
    if target:
        # The keyboard is listened to meanwhile.
        Deferred.fromCoroutine(station.call(target))
    await station.closed
    # Whatever session there is ends with a BYE, or whatever its state demands.
    await manager.terminate()


if __name__ == "__main__":
    react(main, sys.argv[1:])
