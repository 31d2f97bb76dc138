"""What the tests of the lives of a service share: a ledger, and what it tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.happenings import Happening, Happenings
from sip_p2p.service.lives.ledger import Ledger
from sip_p2p.testing.network import Network
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint

__all__ = ["LedgerCase"]


class LedgerCase(SynchronousTestCase):
    """Two parties on one clock; the first has a ledger."""

    def setUp(self) -> None:
        """The two, and the ledger of the first."""
        super().setUp()
        self.network = Network()
        self.addCleanup(self.network.finish)
        self.ours: SipPeerToPeerEndpoint = self.network.party("sip:user@a.example")
        self.theirs: SipPeerToPeerEndpoint = self.network.party("sip:user@b.example")
        self.told: list[Happening] = []
        happenings = Happenings()
        happenings.follow(self.told.append)
        self.listen(happenings)

    def listen(self, happenings: Happenings) -> None:
        """A ledger that tells *happenings*, in the place of the one that there was."""
        if hasattr(self, "ledger"):
            self.ledger.ended()
        self.happenings = happenings
        self.ledger = Ledger(happenings, self.ours)
        self.ledger.listen()
        self.addCleanup(self.ledger.ended)

    def heard(self, *names: str) -> list[tuple[str, object]]:
        """The events of these kinds, with the states that they tell."""
        return [(each.event, each.fields.get("state")) for each in self.told if each.event in names]
