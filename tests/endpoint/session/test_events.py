"""The events of a session: made when somebody asks for them, told in one order."""

from __future__ import annotations

from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.session.events import InvitationAccepted, ProvisionalResponseReceived, SessionEvent
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.sip.message import Response
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase


class EventTests(CallTestCase):
    """What an event is, and when."""

    def test_made_when_needed(self) -> None:
        """A session that nobody listens to has no events; one that was asked for stays the same one."""
        session = self.alice.create_session(BOB)
        self.assertFalse(session.hears("state_changed"))
        self.assertEqual(session.handlers("state_changed"), ())
        event = session.state_changed
        self.assertIsInstance(event, Event)
        self.assertIs(session.state_changed, event)
        self.assertFalse(session.hears("state_changed"))
        event.subscribe(lambda change: None)
        self.assertTrue(session.hears("state_changed"))
        self.assertIsInstance(SignalingSession.state_changed, SessionEvent)
        self.assertIn("state", SignalingSession.state_changed.__doc__ or "")
        self.run_until(session.terminate())
        self.assertFalse(session.hears("state_changed"))

    def test_order(self) -> None:
        """The attributes first, then state_changed, then the event that says more, then the Deferred (fault:K5)."""
        session = self.alice.create_session(BOB)
        order: list[str] = []
        for name in ("state_changed", "provisional_response_received", "answer_received", "invitation_accepted"):
            getattr(session, name).subscribe(lambda event, name=name: order.append(f"{name} in {session.state.name}"))
        session.establish(OFFER).addCallback(lambda _: order.append(f"fired in {session.state.name}"))
        self.network.advance(0.5)
        self.received[0].ring()
        self.received[0].accept(ANSWER)
        self.network.advance(1)
        self.assertEqual(
            order,
            [
                "state_changed in CONNECTING",
                "state_changed in ALERTED",
                "provisional_response_received in ALERTED",
                "invitation_accepted in ALERTED",
                "answer_received in ALERTED",
                "state_changed in CONNECTED",
                "fired in CONNECTED",
            ],
        )
        self.run_until(session.terminate())

    def test_in_words(self) -> None:
        """What is told can be read."""
        told = ProvisionalResponseReceived(Response(183), None)
        self.assertEqual(repr(told), "<ProvisionalResponseReceived 183 Session Progress>")
        session = self.alice.create_session(BOB)
        self.assertIs(InvitationAccepted(session, Response(200)).session, session)
        self.run_until(session.terminate())
