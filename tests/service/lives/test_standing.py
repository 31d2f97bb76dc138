"""The subscriptions of ``--subscribe``."""

from __future__ import annotations

from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.endpoint.subscription.subscription import Subscription
from sip_p2p.service.lives.standing import PAUSE, StandingSubscriptions
from tests.service.lives.support import LedgerCase

WHO = "sip:user@b.example"


class StandingTests(LedgerCase):
    """They stand while the service runs."""

    def begin(self) -> list[Subscription]:
        """The part, started; the subscriptions that it begins."""
        begun: list[Subscription] = []
        self.part = StandingSubscriptions(self.ours, [("presence", WHO), ("presence", "sip:a b")], begun.append)
        self.part.started()
        self.network.advance(2)
        return begun

    def test_begun_again(self) -> None:
        """row:J5: one that the peer was not ready for begins again, and one that cannot be is told of in the log."""
        begun = self.begin()
        self.assertEqual([each.state.name for each in begun], ["TERMINATED"])
        self.theirs.packages.add(PresencePackage())
        self.network.advance(PAUSE)
        self.assertEqual([each.state.name for each in begun], ["TERMINATED", "SUBSCRIBED"])
        self.assertEqual(begun[1].waiting, 0)
        self.part.ended()

    def test_for_good(self) -> None:
        """One that the peer does not want at all is not begun again."""
        package = PresencePackage()
        self.theirs.packages.add(package)
        begun = self.begin()
        package.subscribers[0].terminate("rejected")
        self.network.advance(2 * PAUSE)
        self.assertEqual([each.state.name for each in begun], ["TERMINATED"])
        self.part.ended()

    def test_stopped(self) -> None:
        """None is begun once a stop has begun, and no timer is left."""
        begun = self.begin()
        self.part.stopping()
        self.network.advance(2 * PAUSE)
        self.assertEqual(len(begun), 1)
        self.part.ended()
