"""Alice calls, Mallet passes on, Bob answers: what the tests of ``forward`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.service.applications.forward import ForwardApplication
from sip_p2p.service.applications.running import RunningApplication
from sip_p2p.testing import Network
from tests.endpoint.session.calls import ANSWER, OFFER, Calls
from tests.service.applications.support import setting
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p import SipPeerToPeerEndpoint

__all__ = ["ANSWER", "MIDDLE", "OFFER", "OTHER", "ForwardCase"]

MIDDLE = "sip:desk@m.example"
OTHER = "v=0\r\no=other 2 2 IN IP4 c.example\r\n"


class ForwardCase(Calls, SynchronousTestCase):
    """Three parties on one clock; in the end nothing is left of what they said to one another.

    :ivar received: the sessions that were shown to Bob.
    :ivar forward: what runs at the middle.
    """

    called = MIDDLE
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

    @property
    def parties(self) -> tuple[SipPeerToPeerEndpoint, ...]:
        """With the one in the middle."""
        return self.alice, self.middle, self.bob

    def run_until(self, deferred: Deferred[Any]) -> Any:
        """Let time pass until *deferred* has fired."""
        return self.network.run_until(deferred)
