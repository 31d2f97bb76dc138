"""All sessions of an endpoint, and of a connection manager: their end, and what is counted of them."""

from __future__ import annotations

from typing import Any

from sip_p2p import (
    EndpointTerminated,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from tests.endpoint.session.calls import BOB, OFFER, CallTestCase


class TerminationTests(CallTestCase):
    """The end of an endpoint, and of a connection manager, with sessions in every state."""

    def states(self) -> list[SignalingSession]:
        """Alice's sessions: not begun, ringing, standing; and one that Bob wants of her."""
        idle = self.alice.create_session(BOB)
        standing, _ = self.call()
        ringing, establishing = self.begin()
        self.received[-1].ring()
        establishing.addErrback(lambda failure: failure.trap(SessionTerminated, EndpointTerminated))
        wanted: list[SignalingSession] = []
        self.alice.session_received.subscribe(wanted.append)
        self.bob.invite("sip:alice@a.example", OFFER).addErrback(lambda failure: failure.trap(RequestFailed))
        self.network.advance(1)
        return [idle, standing, ringing, *wanted]

    def test_endpoint(self) -> None:
        """terminate() of an endpoint ends its sessions politely, whatever their state (row:B13, row:B14)."""
        sessions = self.states()
        started = self.network.clock.seconds()
        self.run_until(self.alice.terminate())
        self.assertLess(self.network.clock.seconds() - started, 1)
        self.assertEqual({session.state for session in sessions}, {SignalingState.DISCONNECTED})
        self.network.advance(1)
        self.assertEqual({session.state for session in self.received}, {SignalingState.DISCONNECTED})
        self.assertRaises(EndpointTerminated, self.alice.create_session, BOB)

    def test_manager(self) -> None:
        """terminate() of a manager does the same before the connections go, and leaves nothing (row:B13, fault:J2)."""
        self.states()
        self.run_until(self.alice.connection_manager.terminate())
        self.assertEqual({name for name, n in self.alice.connection_manager.inventory().items() if n}, set())
        self.network.advance(1)
        self.assertEqual({session.state for session in self.received}, {SignalingState.DISCONNECTED})

    def test_deadline(self) -> None:
        """A peer that says nothing is waited for until limits.drain_timeout, and no longer (row:B13, row:B14)."""
        session, _ = self.call()
        self.network.partition("a.example", "b.example")
        ending: list[Any] = []
        session.terminate().addCallback(ending.append)
        started = self.network.clock.seconds()
        self.run_until(self.alice.terminate())
        self.assertAlmostEqual(self.network.clock.seconds() - started, 5, delta=0.5)
        self.assertEqual(ending, [None])
        self.assertEqual(len(self.alice.connection_manager.sessions), 0)
        self.network.heal()
        self.run_until(self.received[0].terminate())

    def test_let_go(self) -> None:
        """Sessions that are let go before they were ended leave nothing either, whatever their state (row:B13)."""
        redirected = self.alice.create_session(BOB)
        redirected.redirecting.subscribe(lambda redirecting: redirecting.defer())
        redirected.establish(OFFER).addErrback(lambda failure: failure.trap(SessionTerminated, EndpointTerminated))
        self.network.advance(0.5)
        self.received[-1].redirect(["sip:carol@c.example"])
        self.network.advance(0.5)
        sessions = [redirected, *self.states()]
        names = {"IDLE", "INCOMING", "ALERTED", "CONNECTED", "REDIRECTING"}
        self.assertEqual({session.state.name for session in sessions}, names)
        self.alice.connection_manager.sessions.abandon(self.alice)
        self.network.advance(1)
        self.assertEqual({session.state for session in sessions}, {SignalingState.DISCONNECTED})
        for session in self.received:
            session.terminate()
        self.network.advance(40)
        self.assertEqual((self.living(self.alice), self.living(self.bob)), ({}, {}))

    def test_drain(self) -> None:
        """drain() refuses new sessions with 503 and Retry-After, and lets those that stand go on (row:B15)."""
        session, theirs = self.call()
        draining = self.bob.connection_manager.drain(60)
        _, establishing = self.begin()
        error = self.failureResultOf(establishing, RequestFailed).value
        self.assertEqual(error.status, 503)
        self.assertIn("Retry-After", error.response.headers)
        self.run_until(session.renegotiate(OFFER))
        self.assertNoResult(draining)
        self.assertIs(theirs.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())
        self.network.advance(1)
        self.successResultOf(draining)

    def test_drain_datagrams(self) -> None:
        """A port for datagrams stays open for the sessions that use it, and no longer; new ones are refused there
        (row:B15)."""
        carol = self.network.party("sip:carol@c.example", listen=("udp:5060", "tcp:5060"), default_transport="udp")
        dave = self.network.party("sip:dave@d.example", listen=("udp:5060",), default_transport="udp")
        carol.session_received.subscribe(self.received.append)
        establishing = dave.invite("sip:carol@c.example", OFFER)
        self.network.advance(0.5)
        self.received[0].accept("v=0\r\n")
        session = self.run_until(establishing)
        manager = carol.connection_manager
        draining = manager.drain(60)
        self.network.advance(1)
        self.assertEqual([listener.transport for listener in manager.listeners], ["UDP"])
        refused = dave.invite("sip:carol@c.example", OFFER)
        self.network.advance(1)
        error = self.failureResultOf(refused, RequestFailed).value
        self.assertEqual(error.status, 503)
        self.run_until(session.terminate())
        self.assertIs(self.received[0].state, SignalingState.DISCONNECTED)
        self.run_until(draining)
        self.assertEqual(list(manager.listeners), [])
        self.run_until(dave.terminate())

    def test_drain_elsewhere(self) -> None:
        """drain(redirect_to=) sends those away who would begin a session, with 302 (row:B15)."""
        session, _ = self.call()
        draining = self.bob.connection_manager.drain(60, redirect_to=["sip:bob@c.example"])
        _, establishing = self.begin(max_redirects=0)
        error = self.failureResultOf(establishing, RequestFailed).value
        self.assertEqual((error.status, error.response.headers["Contact"]), (302, "<sip:bob@c.example>"))
        self.assertRaises(ValueError, self.bob.connection_manager.drain, 1, redirect_to=["not a URI"])
        self.run_until(session.terminate())
        self.run_until(draining)


class CountTests(CallTestCase):
    """What is counted."""

    def test_counts(self) -> None:
        """Sessions are counted by who wanted them, and those that came to stand; what lives of them is in the inventory
        (row:M10)."""
        session, _ = self.call()
        _, establishing = self.begin()
        inventory = self.alice.connection_manager.inventory()
        self.assertEqual((inventory["sessions"], inventory["invitations"], inventory["dialogs"]), (2, 1, 1))
        self.received[1].reject()
        self.network.advance(1)
        self.failureResultOf(establishing, RequestFailed)
        self.run_until(session.terminate())
        names = ("sessions_out", "sessions_in", "sessions_established")
        for party, counted in ((self.alice, [2, 0, 1]), (self.bob, [0, 2, 1])):
            metrics = party.connection_manager.metrics()
            self.assertEqual([metrics[name] for name in names], counted)

    def test_several_parties(self) -> None:
        """Each of several parties behind one manager has its own sessions, and ends no others (row:A17)."""
        dave = self.network.party("sip:dave@b.example")
        taken: list[SignalingSession] = []
        dave.session_received.subscribe(taken.append)
        self.alice.invite("sip:dave@b.example", OFFER).addErrback(lambda failure: failure.trap(RequestFailed))
        session, _ = self.call()
        self.assertEqual((len(taken), len(self.received)), (1, 1))
        sessions = self.bob.connection_manager.sessions
        self.assertEqual((sessions.of(dave), sessions.of(self.bob)), (tuple(taken), tuple(self.received)))
        self.run_until(dave.terminate())
        self.assertIs(taken[0].state, SignalingState.DISCONNECTED)
        self.assertIs(self.received[0].state, SignalingState.CONNECTED)
        self.run_until(session.terminate())
