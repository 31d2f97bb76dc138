"""``control``: sessions ring until somebody else decides."""

from __future__ import annotations

from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.service.applications.control import ControlApplication
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase


class ControlTests(SynchronousTestCase):
    """Alice calls a party whose sessions somebody else decides about."""

    def test_a_session(self) -> None:
        """row:M14: it rings, is there to be decided about, and takes messages."""
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        RunningApplication(ControlApplication()).attach(bob)
        session = alice.create_session("sip:bob@b.example")
        establishing = session.establish("v=0")
        network.advance(5)
        self.assertIs(session.state, SignalingState.ALERTED)
        (theirs,) = bob.sessions
        self.assertEqual((theirs.state, theirs.number), (SignalingState.INCOMING, 1))
        theirs.accept("v=0")
        network.run_until(establishing)
        self.assertEqual(network.run_until(session.send_message("hello")).status, 200)
        self.assertEqual(network.run_until(alice.send_message("sip:bob@b.example", "hello")).status, 200)
        network.run_until(session.terminate())

    def test_a_session_of_ours(self) -> None:
        """Messages within a session that we have begun are accepted as well, until another application takes over."""
        network = Network(delay=0.01)
        self.addCleanup(network.finish)
        alice, bob = network.party("sip:alice@a.example"), network.party("sip:bob@b.example")
        application = ControlApplication()
        application.started(bob)
        alice.session_received.subscribe(lambda session: session.accept("v=0"))
        session = bob.create_session("sip:alice@a.example")
        network.run_until(session.establish("v=0"))
        (theirs,) = alice.sessions
        self.assertEqual(network.run_until(theirs.send_message("hello")).status, 200)
        application.stopped()
        later = bob.create_session("sip:alice@a.example")
        self.assertEqual(later.message_received.handlers, ())
        network.run_until(session.terminate())
