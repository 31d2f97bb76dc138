"""Whole lives of calls that are passed on, as chance has them: whatever the three do and when, nothing is left, and no
side is in a session that the other has left."""

from __future__ import annotations

import random
from typing import Any

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import OfferRejected, SipError
from tests.service.applications.forwarding import ANSWER, MIDDLE, OFFER, OTHER, ForwardCase

_LIVES = 150
_RELIABLE = ("off", "supported", "required")


class LivesTests(ForwardCase):
    """One seed, one life."""

    def live(self, seed: int) -> None:
        """Let chance decide what happens and when."""
        self.chance = random.Random(seed)
        del self.received[:]
        session = self.alice.create_session(MIDDLE, reliable=self.chance.choice(_RELIABLE))
        self.follow(session)
        session.establish(self.chance.choice((OFFER, OFFER, None))).addErrback(self.failed)
        for _ in range(self.chance.randrange(2, 14)):
            self.network.advance(self.chance.choice((0, 0.005, 0.01, 0.02, 0.05, 0.2, 1, 3)))
            sides = [session, *self.received]
            side = self.chance.choice(sides)
            self.follow(side)
            self.step(side)
        session.terminate()
        self.network.advance(40)
        for side in (session, *self.received):
            self.assertIs(side.state, SignalingState.DISCONNECTED, f"seed {seed}")
        self.assertEqual(self.middle.sessions, (), f"seed {seed}")

    def follow(self, session: SignalingSession) -> None:
        """Decide by chance what is asked of *session*."""
        if session.application_context is not None:
            return
        session.application_context = self
        session.offer_received.subscribe(self.offered)
        session.message_received.subscribe(lambda event: self.chance.choice((200, 202, 486)))
        session.request_received.subscribe(lambda event: self.chance.choice((200, 415)))

    def offered(self, offer: Any) -> Any:
        """Answer, refuse, or leave it open."""
        choice = self.chance.randrange(6)
        if choice == 0:
            raise OfferRejected("not this one")
        if choice == 1:
            offer.defer()
            self.network.find("a.example").callLater(self.chance.random() * 3, self.late, offer)
            return None
        return OTHER

    def late(self, offer: Any) -> None:
        """Answer at last."""
        if not offer.is_decided:
            self.try_to(offer.accept, ANSWER)

    def step(self, side: SignalingSession) -> None:
        """Something that a party may do."""
        chance = self.chance
        if side.state is SignalingState.INCOMING:
            choice = chance.randrange(8)
            if choice < 3:
                answer = chance.choice((None, ANSWER))
                self.try_to(side.ring, chance.choice((180, 183)), answer=answer, reliable=chance.choice((None, True)))
            elif choice == 3:
                self.try_to(side.reject, chance.choice((486, 603, 480)))
            elif choice == 4:
                self.try_to(side.ring, dialog=self.try_to(side.create_early_dialog))
            elif choice == 5:
                self.try_to(side.accept)
            else:
                self.try_to(side.accept, ANSWER)
            return
        choice = chance.randrange(8)
        if choice == 0:
            side.terminate()
        elif choice < 3:
            self.try_to(side.renegotiate, chance.choice((OTHER, None)), method=chance.choice((None, "UPDATE")))
        elif choice == 3:
            self.try_to(side.cancel_renegotiation)
        elif choice == 4:
            for dialog in side.early_dialogs:
                self.try_to(dialog.renegotiate, OTHER)
        else:
            self.try_to(side.request, chance.choice(("INFO", "MESSAGE")))

    def try_to(self, do: Any, *arguments: Any, **more: Any) -> Any:
        """Do it, where it can be done."""
        try:
            result = do(*arguments, **more)
        except (SipError, ValueError):
            return None
        if hasattr(result, "addErrback"):
            result.addErrback(self.failed)
        return result

    def failed(self, failure: Any) -> None:
        """What fails does so as it may."""
        failure.trap(SipError)

    def test_lives(self) -> None:
        """row:M14 fault:K5: lives of every kind come to an end on all three sides."""
        for seed in range(_LIVES):
            self.live(seed)
