"""Tests of :mod:`sip_p2p.endpoint.registration.bonds`."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p import SipEndpoint
from sip_p2p.endpoint.registration.bonds import FlowBonds
from tests.endpoint.registration.registrar import RegistrarTestCase, TestRegistrar
from tests.support import SynchronousTestCase


class Served:
    """A registration that notes what it is told."""

    def __init__(self) -> None:
        self.lost: list[str] = []

    def flow_lost(self, flow: Any, reason: BaseException) -> None:
        """One is gone."""
        self.lost.append(f"{flow}: {reason}")


class FlowBondsTests(SynchronousTestCase):
    """Who is told of the loss of a flow."""

    def test_told(self) -> None:
        """The registrations that a flow serves are told of its loss once, and no others."""
        bonds, one, two, three = FlowBonds(), Served(), Served(), Served()
        for flow, served in (("a", one), ("a", two), ("b", three), ("b", one)):
            bonds.tie(cast("Any", flow), cast("Any", served))
        bonds.untie(cast("Any", "a"), cast("Any", two))
        for flow in ("a", "a", "c"):
            bonds.flow_lost(cast("Any", flow), ValueError("lost"))
        self.assertEqual([each.lost for each in (one, two, three)], [["a: lost"], [], []])
        self.assertEqual(len(bonds), 1)
        for served in (one, three, three):
            bonds.untie(cast("Any", "b"), cast("Any", served))
        self.assertEqual(len(bonds), 0)


class ManyTests(RegistrarTestCase):
    """Many parties of one manager."""

    def make_registrar(self) -> TestRegistrar:
        """Two of them, each for half of the parties."""
        self.other = TestRegistrar(self.network, "two.example")
        return TestRegistrar(self.network, "one.example")

    def test_untouched(self) -> None:
        """The loss of one connection is the matter of those who are registered by it; whoever is registered by another
        one is not asked, and nothing is left when all have gone."""
        holder = self.alice()
        manager = holder.connection_manager
        parties = [holder]
        for number in range(20):
            parties.append(SipEndpoint(f"sip:user{number}@example.com", manager))
        for number, party in enumerate(parties):
            self.register(party, proxies=[("tls:one.example", "tls:two.example")[number % 2]])
        self.assertEqual(len(manager.bonds), 2)
        self.network.advance(200)
        before = len(self.other.seen)
        self.network.cut("phone.example", "one.example")
        self.network.advance(2)
        self.assertEqual((len(self.registrar.seen), len(self.other.seen)), (22, before))
        self.assertTrue(all(party.registration.is_registered for party in parties if party.registration))
        self.network.run_until(manager.terminate())
        self.assertEqual((len(manager.bonds), self.registrar.standing(), self.other.standing()), (0, [], []))
