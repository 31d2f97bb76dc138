"""Transactions that are only records."""

from __future__ import annotations

import gc
import math

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.transaction.finished import FinishedTransactions
from sip_p2p.sip.transaction.timers import Timers


class FinishedTests(SynchronousTestCase):
    """What is kept, for how long, and how much of it."""

    def setUp(self) -> None:
        """Room for four."""
        self.finished = FinishedTransactions(Timers(), 4)

    def test_found_until_the_deadline(self) -> None:
        """A record is found until its timer has run out, whether it has been swept or not."""
        finished = self.finished
        for line, find, duration in (
            (finished.d, finished.find_client, 32),
            (finished.k, finished.find_client, 5),
            (finished.i, finished.find_server, 5),
            (finished.j, finished.find_server, 32),
        ):
            finished.add(line, "key", b"octets", 0)
            self.assertEqual(find("key", duration - 0.001), b"octets")
            self.assertIsNone(find("key", duration))
            self.assertIsNone(find("another", 0))
            finished.sweep(duration)
            self.assertEqual(len(finished), 0)

    def test_sides_are_apart(self) -> None:
        """A server's record is not found as a client's, nor the other way round."""
        self.finished.add(self.finished.j, "server", b"", 0)
        self.finished.add(self.finished.k, "client", b"", 0)
        self.assertIsNone(self.finished.find_client("server", 0))
        self.assertIsNone(self.finished.find_server("client", 0))

    def test_sweeping(self) -> None:
        """Records are swept a second after the first has run out, all together, and a sweep in between does no harm."""
        self.assertEqual(self.finished.next_deadline(), math.inf)
        self.finished.add(self.finished.j, "one", b"", 0)
        self.finished.add(self.finished.j, "two", b"", 0.5)
        self.finished.add(self.finished.k, "three", b"", 0.5)
        self.assertEqual(self.finished.next_deadline(), 6.5)
        self.finished.sweep(6.5)
        self.assertEqual((len(self.finished), self.finished.next_deadline()), (2, 33))
        self.finished.sweep(31)
        self.assertEqual(len(self.finished), 2)
        self.finished.sweep(33)
        self.assertEqual((len(self.finished), self.finished.next_deadline()), (0, math.inf))

    def test_swept_by_additions(self) -> None:
        """Under load the records that have run out go as new ones come, without any timer. fault:C10"""
        for number in range(100):
            self.finished.add(self.finished.k, f"key{number}", b"", number * 2.5)
            self.assertLessEqual(len(self.finished), 3)
        self.assertEqual(self.finished.dropped, 0)

    def test_limit(self) -> None:
        """Beyond the limit the record nearest to its end goes, whichever line it is in, and is counted. fault:C10"""
        self.finished.add(self.finished.j, "one", b"", 0)
        self.finished.add(self.finished.k, "two", b"", 1)
        self.finished.add(self.finished.j, "three", b"", 2)
        self.finished.add(self.finished.j, "four", b"", 3)
        self.finished.add(self.finished.j, "five", b"", 4)
        self.assertIsNone(self.finished.find_client("two", 4))
        self.finished.add(self.finished.j, "six", b"", 4)
        self.assertIsNone(self.finished.find_server("one", 4))
        self.assertEqual((len(self.finished), self.finished.dropped), (4, 2))

    def test_limit_of_octets(self) -> None:
        """Large records make place by their size, keys included, and what is swept is room again. fault:H5"""
        finished = FinishedTransactions(Timers(), 100, 1000)
        for number in range(10):
            finished.add(finished.j, f"key{number}", b"x" * 296, number)
        self.assertEqual((len(finished), finished.octets, finished.dropped_octets, finished.dropped), (3, 900, 7, 0))
        self.assertIsNotNone(finished.find_server("key7", 10))
        self.assertIsNone(finished.find_server("key6", 10))
        finished.add(finished.j, "key9", b"", 10)
        self.assertEqual(finished.octets, 604)
        finished.add(finished.k, "large", b"x" * 5000, 11)
        self.assertEqual(len(finished), 1, "one record is always kept")
        finished.sweep(100)
        self.assertEqual((len(finished), finished.octets), (0, 0))

    def test_clear(self) -> None:
        """All of them can go at once."""
        for line in (self.finished.d, self.finished.i, self.finished.j, self.finished.k):
            self.finished.add(line, "key", b"octets", 0)
        self.finished.clear()
        self.assertEqual((len(self.finished), self.finished.octets), (0, 0))
        self.assertEqual(self.finished.next_deadline(), math.inf)

    def test_same_key_again(self) -> None:
        """A key that comes again has its new record, and its new deadline."""
        self.finished.add(self.finished.k, "one", b"old", 0)
        self.finished.add(self.finished.k, "two", b"", 1)
        self.finished.add(self.finished.k, "one", b"new", 2)
        self.finished.sweep(6)
        self.assertEqual(self.finished.find_client("one", 6), b"new")
        self.assertEqual(len(self.finished), 1)

    def test_the_collector_leaves_them_alone(self) -> None:
        """After one collection the cyclic garbage collector tracks no record. fault:C10"""
        self.finished.add(self.finished.j, "key", b"octets", 0)
        gc.collect()
        [record] = self.finished.j.records.values()
        self.assertFalse(gc.is_tracked(record))
