"""Brings two parties together who have not called each other (RFC 3725): calls the first, then the second, and lets
them negotiate with each other; when one hangs up, so does the bridge with the other.

The first is called with an offer that has no media, and the second without an offer; the second's offer goes to the
first in a re-INVITE, and its answer back to the second (flow IV of RFC 3725, which takes as long as people take to
answer). What either side changes afterwards goes to the other in the same way.

Run it with::

    python examples/click_to_dial.py keys sip:rig@localhost:5066 sip:bob@localhost:5067
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from zope.interface import implementer

from sip_p2p import (
    ContentDescription,
    IOfferAnswer,
    OfferRejected,
    RealTimeServerTlsConnectionManager,
    SignalingSession,
    SignalingState,
    SignalingStateChanged,
    SipError,
    SipPeerToPeerEndpoint,
)
from sip_p2p.sdp import Connection, MediaDescription, Origin, SessionDescription

NOTHING = SessionDescription(Origin("127.0.0.1", 1), connection=Connection("127.0.0.1"))
"""An offer without any media: they are negotiated when both parties are there."""


@implementer(IOfferAnswer)
class Leg:
    """One half of the bridge: what its party offers is put to the party of the other half."""

    def __init__(self, endpoint: SipPeerToPeerEndpoint, target: str, first_offer: SessionDescription | None) -> None:
        self.session = endpoint.create_session(target)
        self.other: Leg | None = None
        self.ended: Deferred[Any] = Deferred()
        self._said = NOTHING
        self._first_offer = first_offer
        self.session.state_changed.subscribe(self._changed)

    def get_offer(self, session: SignalingSession) -> SessionDescription | None:
        """What its party is offered at the beginning, and what it heard last when it asks once more."""
        return self._said if session.state is SignalingState.CONNECTED else self._first_offer

    async def get_answer(self, session: SignalingSession, offer: ContentDescription) -> SessionDescription:
        """Its party offers something: the other party has the answer."""
        other = self.other
        if other is None or other.session.state is not SignalingState.CONNECTED:
            raise OfferRejected("the other party is not there")
        answer = await other.session.renegotiate(other.repeat(offer))
        if answer is None:
            raise OfferRejected("the other party has no answer")
        return self.repeat(answer)

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """Its party has answered; whoever made the offer is told by :meth:`get_answer`."""

    def repeat(self, description: ContentDescription) -> SessionDescription:
        """What the other party said, as this one hears it: from us, who are one and the same to it all the time."""
        told = SessionDescription.parse(description.body, lenient=True)
        if told.replace(origin=self._said.origin) != self._said:
            self._said = told.replace(origin=self._said.origin.next())
        return self._said

    def hang_up(self, reason: str, whose: str) -> None:
        """The other party is gone."""
        print(f"{whose}: {reason}", flush=True)
        self.session.terminate()

    def _changed(self, event: SignalingStateChanged) -> None:
        if event.state is SignalingState.DISCONNECTED and not self.ended.called:
            self.ended.callback(event.reason.value)


def media_of(leg: Leg) -> list[MediaDescription]:
    """What was agreed with the party of *leg*."""
    description = leg.session.remote_description
    return [] if description is None else list(SessionDescription.parse(description.body, lenient=True).media)


async def bridge(endpoint: SipPeerToPeerEndpoint, targets: tuple[str, str]) -> None:
    """Call both, and stay until one of them hangs up."""
    legs = Leg(endpoint, targets[0], NOTHING), Leg(endpoint, targets[1], None)
    for leg, other, target in zip(legs, reversed(legs), targets, strict=True):
        leg.other = other
        await leg.session.establish(leg)
        print(f"{target} is there", flush=True)
    print(f"they talk: {', '.join(line.kind for line in media_of(legs[0])) or 'no media'}", flush=True)
    for leg, other, target in zip(legs, reversed(legs), targets, strict=True):
        leg.ended.addCallback(other.hang_up, target)
    for leg in legs:
        await leg.ended


async def main(reactor: Any, folder: str, first: str, second: str) -> None:
    """Bridge the two; the exit code is 1 when one of them cannot be had."""
    manager = RealTimeServerTlsConnectionManager(
        reactor,
        certificate=f"{folder}/localhost.pem",
        trust=f"{folder}/ca.pem",
        allow=["localhost"],
        trust_dialed_peers=True,
    )
    # Ctrl-C hangs up before the program ends.
    reactor.addSystemEventTrigger("before", "shutdown", manager.terminate)
    operator = SipPeerToPeerEndpoint("sip:operator@localhost", manager)
    try:
        await bridge(operator, (first, second))
    except SipError as error:
        raise SystemExit(f"not bridged: {error}") from error
    finally:
        # The call that stands already, if there is one, ends with a BYE.
        await manager.terminate()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit(f"usage: {sys.argv[0]} FOLDER FIRST SECOND")
    react(main, sys.argv[1:])
