"""What both sides of a session have until it stands: :mod:`sip_p2p.endpoint.session.set_up`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from sip_p2p import IOfferAnswer, SessionTerminated, SignalingSession
from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.set_up import SetUp
from tests.endpoint.session.calls import BOB, OFFER, CallTestCase


class SetUpTests(CallTestCase):
    """Whoever waits is told once, and nobody is asked in vain."""

    def test_both_sides_have_one(self) -> None:
        """Until a session stands, each side has what is needed for it, and lets go of it then (row:H1)."""
        kinds: list[type[SetUp]] = []

        def called(session: SignalingSession) -> None:
            kinds.append(type(session.set_up))
            session.accept(OFFER)

        self.bob.session_received.subscribe(called)
        session = self.alice.create_session(BOB)
        kinds.append(type(session.set_up))
        self.run_until(session.establish(OFFER))
        self.assertEqual((kinds, session.set_up), ([Calling, Answering], None))
        self.run_until(session.terminate())

    def test_nobody_is_asked_in_vain(self) -> None:
        """What the application was asked is cancelled when the session ends before it has answered (row:H23)."""
        asked: list[Deferred[Any]] = []
        outcome: list[Any] = []

        @implementer(IOfferAnswer)
        class Slow:
            """Thinks about it."""

            def get_offer(self, session: SignalingSession) -> Deferred[Any]:
                """Later."""
                asked.append(Deferred())
                return asked[-1]

        session = self.alice.create_session(BOB)
        session.establish(Slow()).addErrback(outcome.append)
        self.run_until(session.terminate())
        self.assertTrue(asked[0].called)
        self.assertEqual([failure.type for failure in outcome], [SessionTerminated])
