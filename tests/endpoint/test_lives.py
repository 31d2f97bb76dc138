"""Tests of :mod:`sip_p2p.endpoint.lives`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.lives import KINDS
from tests.endpoint.support import PartyTestCase

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint


class Plain:
    """A life that notes what is asked of it."""

    kind = "publications"
    flow = None

    def __init__(self, endpoint: SipPeerToPeerEndpoint, *, is_stubborn: bool = False) -> None:
        self.endpoint = endpoint
        self.asked: list[str] = []
        self._is_stubborn = is_stubborn
        endpoint.connection_manager.lives.add(self)

    def end(self) -> None:
        """Politely."""
        self.asked.append("end")
        if not self._is_stubborn:
            self.endpoint.connection_manager.lives.gone(self)

    def abandon(self, error: Exception) -> None:
        """At once."""
        self.asked.append("abandon")
        self.endpoint.connection_manager.lives.gone(self)

    def take(self, effect: Any) -> None:
        """What its machine says."""
        self.asked.append(effect)


class Watched(Plain):
    """One that counts how often somebody asks whose it is."""

    looks = 0
    _owner: SipPeerToPeerEndpoint

    @property  # type: ignore[override]
    def endpoint(self) -> SipPeerToPeerEndpoint:
        """Whose it is."""
        self.looks += 1
        return self._owner

    @endpoint.setter
    def endpoint(self, owner: SipPeerToPeerEndpoint) -> None:
        self._owner = owner


class LivesTests(PartyTestCase):
    """What lives on beside sessions ends with its party, and is counted."""

    def test_counted(self) -> None:
        """Each kind is in the inventory and in the totals, by its name."""
        manager = self.alice.connection_manager
        lives = [Plain(self.alice), Plain(self.alice)]
        inventory = manager.inventory()
        self.assertEqual({kind: inventory[kind] for kind in KINDS if inventory[kind]}, {"publications": 2})
        self.assertEqual(manager.lives.of(self.alice, "publications"), tuple(lives))
        self.assertEqual(manager.lives.of(self.alice, "subscriptions"), ())
        for life in lives * 2:
            manager.lives.gone(life)
        self.assertFalse(manager.lives.has_any(self.alice))
        self.assertEqual((manager.metrics()["live_publications"], manager.metrics()["publications"]), (0, 2))

    def test_party_ends(self) -> None:
        """They end with their party, and those of another party live on."""
        theirs = Plain(self.alice)
        other = self.network.party("sip:other@a.example")
        others = Plain(other)
        self.network.run_until(self.alice.terminate())
        self.assertEqual((theirs.asked, others.asked), (["end"], []))

    def test_by_party(self) -> None:
        """Those of one party are found without looking at those of the others: thousands of parties may end one after
        the other."""
        lives = self.alice.connection_manager.lives
        mine, theirs = [Plain(self.alice), Plain(self.alice)], Watched(self.network.party("sip:other@a.example"))
        before = theirs.looks
        self.assertEqual(lives.of(self.alice), tuple(mine))
        self.assertTrue(lives.has_any(self.alice))
        lives.end(self.alice)
        self.assertEqual((lives.of(self.alice), lives.has_any(self.alice)), ((), False))
        self.assertEqual((theirs.looks, len(lives)), (before, 1))
        lives.abandon()
        self.assertEqual((theirs.asked, len(lives), lives.counts()["publications"]), (["abandon"], 0, 0))

    def test_no_time_left(self) -> None:
        """One that does not come to its end within the time that there is for it is let go of."""
        stubborn = Plain(self.alice, is_stubborn=True)
        self.network.run_until(self.alice.terminate())
        self.assertEqual(stubborn.asked, ["end", "abandon"])

    def test_drain(self) -> None:
        """To drain ends them: they would not end by themselves."""
        life = Plain(self.alice)
        self.network.run_until(self.alice.connection_manager.drain())
        self.assertEqual(life.asked, ["end"])
