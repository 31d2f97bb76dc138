"""Servers that failed a short while ago."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.transport.dns.dead_targets import DeadTargets
from sip_p2p.transport.target import Target


class DeadTargetsTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.dns.dead_targets.DeadTargets`."""

    def setUp(self) -> None:
        """Three servers of one name."""
        self.time = 1000.0
        self.dead = DeadTargets(lambda: self.time, limit=3)
        self.one, self.two, self.three = (Target("tls", f"10.0.0.{n}", None, "b.example") for n in (1, 2, 3))

    def test_ten_minutes(self) -> None:
        """What failed comes last for ten minutes, and no longer (row:E24)."""
        self.assertEqual(self.dead.sort([self.one, self.two]), [self.one, self.two])
        self.dead.failed(self.one)
        self.assertEqual(self.dead.sort([self.one, self.two, self.three]), [self.two, self.three, self.one])
        self.time += 599.9
        self.assertAlmostEqual(self.dead.left(self.one), 0.1)
        self.time += 0.2
        self.assertEqual(self.dead.sort([self.one, self.two]), [self.one, self.two])
        self.assertEqual(len(self.dead), 0)

    def test_own_time(self) -> None:
        """Who said how long to leave it alone is left alone for so long (row:E24, RFC 3261 section 21.5.4)."""
        self.dead.failed(self.one, 30)
        self.time += 31
        self.assertEqual(self.dead.left(self.one), 0.0)

    def test_alive_again(self) -> None:
        """Who serves is not dead any more."""
        self.dead.failed(self.one)
        self.dead.succeeded(self.one)
        self.dead.succeeded(self.two)
        self.assertEqual(self.dead.sort([self.one, self.two]), [self.one, self.two])

    def test_all_dead(self) -> None:
        """Where all are dead all are tried, in their order (row:E24)."""
        for target in (self.two, self.one):
            self.dead.failed(target)
        self.assertEqual(self.dead.sort([self.one, self.two]), [self.one, self.two])

    def test_for_one_name_only(self) -> None:
        """A server that fails for one name may serve another (row:D14)."""
        self.dead.failed(self.one)
        self.assertEqual(self.dead.left(Target("tls", "10.0.0.1", None, "c.example")), 0.0)
        self.assertEqual(self.dead.left(Target("tcp", "10.0.0.1", 5061, "b.example")), 0.0)

    def test_bound(self) -> None:
        """Only so many are remembered; the one that failed first is forgotten first (fault:J3)."""
        for number in range(10):
            self.dead.failed(Target("tls", f"10.0.1.{number}"))
        self.assertEqual(len(self.dead), 3)
        self.assertEqual(self.dead.left(Target("tls", "10.0.1.6")), 0.0)
        self.assertEqual(self.dead.left(Target("tls", "10.0.1.7")), 600.0)
