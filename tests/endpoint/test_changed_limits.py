"""Limits that are set while the manager runs."""

from __future__ import annotations

from sip_p2p import Limits
from tests.endpoint.support import Raw, StrangerTestCase, octets


class ChangedLimitsTests(StrangerTestCase):
    """Bob's limits change."""

    def greet(self) -> Raw:
        """A connection on which the first message is sent."""
        raw = self.dial()
        raw.send(octets(number=len(self.raw)))
        self.network.advance(0.1)
        return raw

    def silent(self, port: int = 5060) -> Raw:
        """A connection on which nothing is said."""
        raw = self.dial(port)
        self.network.advance(0.1)
        return raw

    def flows(self) -> int:
        """How many Bob has."""
        return self.manager.inventory()["flows"]

    def test_idle(self) -> None:
        """Another idle time holds for connections that come afterwards (row:E10)."""
        self.greet()
        self.manager.limits = self.manager.limits.replace(idle_timeout=1000)
        self.greet()
        self.network.advance(140)
        self.assertEqual(self.flows(), 1)
        self.manager.limits = self.manager.limits.replace(idle_timeout=8)
        self.network.advance(500)
        self.assertEqual(self.flows(), 1)
        self.greet()
        self.network.advance(10)
        self.assertEqual(self.flows(), 1)
        self.network.advance(700)
        self.assertEqual(self.flows(), 0)

    def test_first_message(self) -> None:
        """So does another time for the first message; who says something that is no message has not said one (row:E9,
        row:E10)."""
        self.silent()
        self.manager.limits = self.manager.limits.replace(first_message_timeout=30)
        late = self.silent()
        late.send(b"\r\n\r\n")
        self.network.advance(11)
        self.assertEqual(self.flows(), 1)
        self.network.advance(18)
        late.send(octets())
        self.network.advance(20)
        self.assertEqual(self.flows(), 1)
        self.assertEqual(self.manager.metrics()["limit_first_message_timeout"], 1)

    def test_handshake(self) -> None:
        """Another time for the handshake holds for the next connection of a listener that is there already
        (row:E10, fault:H1)."""
        self.silent(5061)
        self.manager.limits = self.manager.limits.replace(handshake_timeout=30)
        self.silent(5061)
        self.assertEqual(self.manager.inventory()["handshakes"], 2)
        self.network.advance(6)
        self.assertEqual(self.manager.inventory()["handshakes"], 1)
        self.network.advance(25)
        self.assertEqual(self.manager.inventory()["handshakes"], 0)
        self.assertEqual(self.manager.metrics()["limit_handshake_timeout"], 2)

    def test_partial_message(self) -> None:
        """And another time for a message to be complete (row:E10)."""
        old = self.greet()
        self.manager.limits = self.manager.limits.replace(partial_message_timeout=1)
        new = self.greet()
        for raw in (old, new):
            raw.send(b"OPTIONS sip:bob@b.example SIP/2.0\r\n")
        self.network.advance(2)
        self.assertEqual(self.flows(), 1)
        self.network.advance(9)
        self.assertEqual(self.flows(), 0)
        self.assertEqual(self.manager.metrics()["limit_partial_message_timeout"], 2)

    def test_all_together(self) -> None:
        """What counts all connections together counts by the new bounds at once (row:E10)."""
        for _ in range(3):
            self.greet()
        self.manager.limits = self.manager.limits.replace(connections=3, transactions=5)
        self.greet()
        self.assertEqual(self.flows(), 3)
        self.manager.limits = self.manager.limits.replace(connections=100)
        self.greet()
        self.assertEqual(self.flows(), 4)

    def test_partial_octets(self) -> None:
        """What all peers have begun to say is bounded: who has said most without an end is cut off (fault:A6,
        fault:H2)."""
        self.manager.limits = Limits(partial_octets=100_000)
        for _ in range(10):
            raw = self.greet()
            raw.send(octets("MESSAGE", 500, body=b"x" * 40_000)[:-1])
            self.network.advance(0.1)
        self.assertEqual(self.flows(), 2)
        inventory = self.manager.inventory()
        self.assertLess(inventory["partial_octets"], 100_000)
        self.assertEqual(self.manager.metrics()["limit_partial_octets"], 8)
        for raw in self.raw:
            if raw.transport is not None:
                raw.send(b"x")
        self.network.advance(0.1)
        self.assertEqual(self.manager.inventory()["partial_octets"], 0)
