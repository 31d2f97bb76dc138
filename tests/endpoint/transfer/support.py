"""Alice, Bob and Carol, who transfer each other."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import SipPeerToPeerEndpoint
from sip_p2p.endpoint.session.session import SignalingSession
from tests.endpoint.session.calls import ANSWER, OFFER, CallTestCase

__all__ = ["ANSWER", "CAROL", "OFFER", "TransferTestCase", "statuses"]

CAROL = "sip:carol@c.example"

_LIVES = ("referrals", "notifiers", "subscriptions")


class TransferTestCase(CallTestCase):
    """Bob takes REFERs and does what they ask for; Carol takes calls.

    :ivar referrals: the REFERs that were shown to Bob.
    :ivar at_carol: the sessions that were shown to Carol.
    """

    def setUp(self) -> None:
        """All three on one clock."""
        super().setUp()
        self.carol = self.network.party(CAROL)
        self.referrals: list[Any] = []
        self.at_carol: list[SignalingSession] = []
        self.carol.session_received.subscribe(self.at_carol.append)
        self.bob.refer_received.subscribe(self.refer_received)

    def refer_received(self, referral: Any) -> None:
        """What Bob does with a REFER."""
        self.referrals.append(referral)
        referral.accept(offer=OFFER)

    @property
    def parties(self) -> tuple[SipPeerToPeerEndpoint, ...]:
        """Everybody."""
        return self.alice, self.bob, self.carol

    def living(self, party: SipPeerToPeerEndpoint) -> dict[str, int]:
        """What is left of sessions and referrals on the side of *party*."""
        inventory = party.connection_manager.inventory()
        return super().living(party) | {name: inventory[name] for name in _LIVES if inventory[name]}

    def call_carol(self) -> tuple[SignalingSession, SignalingSession]:
        """A session of Alice's with Carol: both sides."""
        session = self.alice.create_session(CAROL)
        establishing = session.establish(OFFER)
        self.network.advance(0.5)
        theirs = self.at_carol[-1]
        accepting = theirs.accept(ANSWER)
        for waiting in (establishing, accepting):
            self.network.run_until(waiting)
        return session, theirs


def statuses(referral: Any) -> tuple[list[int], Deferred[None]]:
    """The statuses that *referral* tells, and what fires when it tells no more."""
    told: list[int] = []

    async def read() -> None:
        async for progress in referral:
            told.append(progress.status)

    return told, Deferred.fromCoroutine(read())
