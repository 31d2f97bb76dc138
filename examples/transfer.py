"""A reception: who calls it is connected with somebody of the house, and the reception is out of it then.

It answers, asks the caller by REFER to call the extension that was named on the command line, and waits until that call
stands. Callers take part only if they follow a REFER, which no program should do for strangers: the visitor here does
it for the house that it has called, and for nobody else.

Run an extension, the reception and a visitor::

    sip-p2p pki keys localhost
    python examples/transfer.py keys extension
    python examples/transfer.py keys reception sip:extension@localhost:5072
    python examples/transfer.py keys visitor sip:reception@localhost:5071
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from sip_p2p import ContentDescription, RealTimeServerTlsConnectionManager, SipError, SipPeerToPeerEndpoint, SipUri

if TYPE_CHECKING:
    from sip_p2p import IncomingReferral, SignalingSession

TALK = ContentDescription("just to talk", "text/plain")
"""What everybody offers and accepts: no media."""

PORTS = {"reception": 5071, "extension": 5072, "visitor": 0}


def say(text: str) -> None:
    """One line to whoever looks."""
    print(text, flush=True)


def answer(endpoint: SipPeerToPeerEndpoint) -> None:
    """The extension: take every call."""

    @endpoint.session_received.subscribe
    async def called(session: SignalingSession) -> None:
        invite = session.invite
        sent = "" if invite is None else invite.headers.get("Referred-By", "nobody")
        await session.accept(TALK)
        say(f"talking; it says that it was sent by {sent}")


def receive(endpoint: SipPeerToPeerEndpoint, extension: str) -> None:
    """The reception: take every call, and send it on."""

    @endpoint.session_received.subscribe
    async def called(session: SignalingSession) -> None:
        await session.accept(TALK)
        try:
            outcome = await session.transfer(extension)
        except SipError as error:
            say(f"not connected: {error}")
            await session.terminate()
        else:
            say(f"connected: {outcome.status} {outcome.reason}")


async def visit(endpoint: SipPeerToPeerEndpoint, reception: str) -> None:
    """The visitor: call the reception, and go where it says."""
    house = SipUri.parse(reception).host

    @endpoint.refer_received.subscribe
    def referred(referral: IncomingReferral) -> None:
        target = referral.target
        # Only within the call that we have made, and only to somebody of the same house.
        if referral.session is None or not isinstance(target, SipUri) or target.host != house:
            say(f"declined to call {target}")
            referral.decline()
            return
        say(f"calling {target}")
        referral.accept(offer=TALK)

    await endpoint.invite(reception, TALK)
    say("the reception is there")


async def main(reactor: Any, folder: str, role: str, target: str = "", port: str = "") -> None:
    """Play one role until the program is ended."""
    manager = RealTimeServerTlsConnectionManager(reactor, f"{folder}/localhost.pem", trust=f"{folder}/ca.pem")
    endpoint = SipPeerToPeerEndpoint(f"sip:{role}@localhost", manager)
    listener = await manager.start_listening(f"tls:port={port or PORTS[role]}:interface=127.0.0.1")
    say(f"{role} is sip:{role}@localhost:{listener.port}")
    if role == "extension":
        answer(endpoint)
    elif role == "reception":
        receive(endpoint, target)
    else:
        await visit(endpoint, target)
    await Deferred()


if __name__ == "__main__":
    react(main, sys.argv[1:])
