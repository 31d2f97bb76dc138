"""Deadlines of any length."""

from __future__ import annotations

import random

from sip_p2p.transport.alarms import Alarms
from tests.support import MemoryTestCase, SynchronousTestCase


class AlarmsTests(SynchronousTestCase):
    """Keys become due in the order of their times."""

    def setUp(self) -> None:
        self.rung: list[str] = []
        self.alarms: Alarms[str] = Alarms(self.rung.append)

    def test_order(self) -> None:
        """Whatever the order in which they were started, they ring in the order of their times, and once."""
        for due, key in ((3.0, "c"), (1.0, "a"), (2.0, "b")):
            self.alarms.start(key, due)
        self.assertEqual((len(self.alarms), self.alarms.next_deadline()), (3, 1.0))
        self.alarms.handle_timer(2.0)
        self.assertEqual((self.rung, self.alarms.next_deadline()), (["a", "b"], 3.0))
        self.alarms.handle_timer(9.0)
        self.assertEqual((self.rung, len(self.alarms), self.alarms.next_deadline()), (["a", "b", "c"], 0, None))

    def test_begun_again_and_stopped(self) -> None:
        """What is begun again is due at its new time only, and what was stopped not at all."""
        self.alarms.start("a", 1.0)
        self.alarms.start("a", 5.0)
        self.alarms.start("b", 2.0)
        self.alarms.stop("b")
        self.alarms.stop("never")
        self.assertEqual(self.alarms.next_deadline(), 5.0)
        self.alarms.handle_timer(4.0)
        self.assertEqual(self.rung, [])
        self.alarms.start("a", 5.0)
        self.alarms.handle_timer(5.0)
        self.assertEqual((self.rung, self.alarms.next_deadline()), (["a"], None))

    def test_from_within(self) -> None:
        """One that rings may begin itself again and stop others."""
        alarms: Alarms[str] = Alarms(lambda key: ring(key))

        def ring(key: str) -> None:
            self.rung.append(key)
            alarms.stop("b")
            if len(self.rung) < 3:
                alarms.start(key, float(len(self.rung)))

        alarms.start("a", 0.5)
        alarms.start("b", 0.6)
        alarms.handle_timer(10.0)
        self.assertEqual((self.rung, len(alarms)), (["a", "a", "a"], 0))


class MemoryTests(MemoryTestCase):
    """Nothing stays of what was stopped."""

    def test_no_growth(self) -> None:
        """Keys that come and go before they are due leave nothing behind (fault:C10)."""
        alarms: Alarms[int] = Alarms(lambda key: None)
        chance = random.Random(1)

        def one() -> None:
            for key in range(20):
                alarms.start(key, 1000.0 + chance.random())
            for key in range(20):
                alarms.stop(key)

        self.assert_no_growth(one, rounds=5000)
        self.assertIsNone(alarms.next_deadline())
