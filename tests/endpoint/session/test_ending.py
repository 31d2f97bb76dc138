"""Many sessions that end at once, on one connection."""

from __future__ import annotations

from typing import Any

from sip_p2p import Limits, SipPeerToPeerEndpoint
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.testing import Network
from tests.endpoint.session.calls import ANSWER, BOB, OFFER
from tests.support import SynchronousTestCase

MANY = 450


class ManyTests(SynchronousTestCase):
    """More to say than a connection may owe."""

    def setUp(self) -> None:
        """Each side has many sessions with the other, on one connection that may owe little."""
        self.network = Network(delay=0.01)
        limits = Limits(write_buffer=16 * 1024, write_buffer_hard=32 * 1024)
        self.alice = self.network.party("sip:alice@a.example", manager={"limits": limits})
        self.bob = self.network.party(BOB)
        self.theirs: list[SignalingSession] = []
        self.bob.session_received.subscribe(self.accept)
        self.sessions = [self.alice.create_session(BOB) for _ in range(MANY)]
        for session in self.sessions:
            self.network.run_until(session.establish(OFFER))
        self.network.advance(1)
        self.addCleanup(self.network.finish)

    def accept(self, session: SignalingSession) -> None:
        """Bob's handler."""
        self.theirs.append(session)
        session.accept(ANSWER)

    def living(self, party: SipPeerToPeerEndpoint) -> dict[str, int]:
        """What of sessions lives on the side of *party*."""
        inventory = party.connection_manager.inventory()
        return {name: inventory[name] for name in ("sessions", "errands", "dialogs", "recovering") if inventory[name]}

    def test_everybody_hears_of_it(self) -> None:
        """The end of a party with many sessions is told to every peer of theirs, within the time for it, and cuts no
        connection off (row:B13, row:B14)."""
        reasons: list[str] = []
        for session in self.theirs:
            session.state_changed.subscribe(lambda event: reasons.append(event.reason.name))
        started = self.network.clock.seconds()
        self.network.run_until(self.alice.terminate())
        self.assertLess(self.network.clock.seconds() - started, 2)
        self.network.advance(0.5)
        self.assertEqual({session.state for session in self.sessions}, {SignalingState.DISCONNECTED})
        self.assertEqual(reasons, ["TERMINATED_REMOTELY"] * MANY)
        self.assertEqual(self.alice.connection_manager.metrics()["limit_write_buffer_hard"], 0)
        self.assertEqual((self.living(self.alice), self.living(self.bob)), ({}, {}))

    def test_a_peer_that_does_not_read(self) -> None:
        """Sessions whose turn does not come, since their peer reads nothing, are let go when the time is over, and no
        time is waited for any more (row:B13, row:B14)."""
        self.network.partition("a.example", "b.example")
        started = self.network.clock.seconds()
        self.network.run_until(self.alice.connection_manager.terminate())
        self.assertLess(self.network.clock.seconds() - started, 7)
        self.assertEqual({session.state for session in self.sessions}, {SignalingState.DISCONNECTED})
        self.assertEqual({name for name, n in self.alice.connection_manager.inventory().items() if n}, set())

    def test_within_an_event(self) -> None:
        """Whoever ends everything from within the end of one session ends each of them once (fault:K5)."""
        ended: list[Any] = []
        told: list[SignalingSession] = []

        def again(session: SignalingSession) -> None:
            told.append(session)
            self.alice.terminate().addCallback(ended.append)

        for session in self.sessions:
            session.state_changed.subscribe(lambda event, session=session: again(session))
        self.network.run_until(self.alice.terminate())
        self.network.advance(1)
        self.assertEqual((told, len(ended)), (self.sessions, MANY))
