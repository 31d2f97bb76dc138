"""Many parties that share one connection manager."""

from __future__ import annotations

import gc
import sys

from twisted.internet.task import Clock

from sip_p2p import RealTimeServerTcpConnectionManager, SipPeerToPeerEndpoint
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase

MANY = 10_000


class ManyEndpointsTests(SynchronousTestCase):
    """Ten thousand endpoints."""

    def test_memory(self) -> None:
        """Ten thousand endpoints share a manager, each for a few kibibytes, and nothing of one that has ended is kept
        (row:A17)."""
        manager = RealTimeServerTcpConnectionManager(Clock())
        SipPeerToPeerEndpoint("sip:first@a.example", manager)
        gc.collect()
        before = sys.getallocatedblocks()
        parties = [SipPeerToPeerEndpoint(f"sip:u{number}@a.example", manager) for number in range(MANY)]
        gc.collect()
        self.assertLess((sys.getallocatedblocks() - before) / MANY, 100)
        self.assertEqual(len(manager.endpoints), MANY + 1)
        for party in parties:
            self.successResultOf(party.terminate())
        del parties, party
        gc.collect()
        self.assertLess((sys.getallocatedblocks() - before) / MANY, 1)
        self.assertEqual(len(manager.endpoints), 1)


class SharedTests(PartyTestCase):
    """Some of them on the network."""

    def test_each_gets_its_own(self) -> None:
        """Each of many endpoints gets what is for it, over one connection (row:A17)."""
        heard: list[str] = []
        for number in range(200):
            party = self.network.party(f"sip:u{number}@b.example")
            party.message_received.subscribe(lambda event, number=number: heard.append(f"{number} {event.text}"))
        for number in range(0, 200, 7):
            self.assertEqual(self.status_of(self.alice.send_message(f"sip:u{number}@b.example", f"{number}")), 200)
        self.assertEqual(heard, [f"{number} {number}" for number in range(0, 200, 7)])
        self.assertEqual(self.bob.connection_manager.inventory()["flows"], 1)
