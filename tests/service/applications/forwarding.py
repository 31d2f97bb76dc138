"""Alice calls, Mallet passes on, Bob answers: what the tests of ``forward`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.service.applications.forward import ForwardApplication
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.testing import Network
from tests.service.applications.support import setting
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import SipPeerToPeerEndpoint

__all__ = ["ANSWER", "MIDDLE", "OFFER", "OTHER", "ForwardCase"]

MIDDLE = "sip:desk@m.example"
OFFER = "v=0\r\no=alice 1 1 IN IP4 a.example\r\n"
ANSWER = "v=0\r\no=bob 1 1 IN IP4 b.example\r\n"
OTHER = "v=0\r\no=other 2 2 IN IP4 c.example\r\n"

_PASSING = (
    "sessions", "invitations", "errands", "dialogs", "appointments", "clients", "servers", "unanswered", "leases",
)  # fmt: skip


class ForwardCase(SynchronousTestCase):
    """Three parties on one clock; in the end nothing is left of what they said to one another.

    :ivar received: the sessions that were shown to Bob.
    :ivar forward: what runs at the middle.
    """

    arguments: tuple[str, ...] = ("--forward-to", "sip:bob@b.example")

    def setUp(self) -> None:
        """Bob does nothing by himself."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.middle = self.network.party("sip:desk@m.example")
        self.bob = self.network.party("sip:bob@b.example")
        self.received: list[SignalingSession] = []
        self.bob.session_received.subscribe(self.received.append)
        self.setting = setting("--application", "forward", *self.arguments)
        self.forward = ForwardApplication.make(self.setting)
        RunningApplication(self.forward).attach(self.middle)
        self.forward.started(self.middle)
        self.addCleanup(self.network.finish)
        self.addCleanup(self.assert_nothing_is_left)

    def assert_nothing_is_left(self) -> None:
        """Once every timer of SIP has run out, no session, dialog, transaction or time that is waited for is left."""
        self.network.advance(70)
        for party in (self.alice, self.middle, self.bob):
            self.assertEqual(self.living(party), {}, party)

    def living(self, party: SipPeerToPeerEndpoint) -> dict[str, int]:
        """What of sessions lives on the side of *party*."""
        inventory = party.connection_manager.inventory()
        return {name: inventory[name] for name in _PASSING if inventory[name]}

    def run_until(self, deferred: Deferred[Any]) -> Any:
        """Let time pass until *deferred* has fired."""
        return self.network.run_until(deferred)

    def begin(self, offer: Any = OFFER, **arguments: Any) -> tuple[SignalingSession, Deferred[SignalingSession]]:
        """Alice calls, and Bob has it."""
        session = self.alice.create_session(MIDDLE, **arguments)
        establishing = session.establish(offer)
        self.network.advance(0.5)
        return session, establishing

    def call(
        self, offer: Any = OFFER, answer: Any = ANSWER, **arguments: Any
    ) -> tuple[SignalingSession, SignalingSession]:
        """A session that stands: Alice's side and Bob's."""
        session, establishing = self.begin(offer, **arguments)
        theirs = self.received[-1]
        accepting = theirs.accept(answer)
        self.assertIs(self.run_until(establishing), session)
        self.assertIs(self.run_until(accepting), theirs)
        return session, theirs
