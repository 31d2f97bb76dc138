"""The durations, and the queue of those that wait."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.transaction.base import Transaction, TransactionState
from sip_p2p.sip.transaction.timers import TimerLine, TimerName, TimerQueue, Timers
from tests.sip.transaction.support import datagrams, make_request


def a_transaction(key: str = "key") -> Transaction:
    """Something that can wait."""
    return Transaction(key, make_request(), datagrams(), TransactionState.TRYING)


class DurationTests(SynchronousTestCase):
    """What follows from T1, T2 and T4."""

    def test_defaults(self) -> None:
        """Table 4: T1 is 500 ms, T2 4 s, T4 5 s, and the rest follows. row:F3"""
        timers = Timers()
        self.assertEqual((timers.t1, timers.t2, timers.t4), (0.5, 4.0, 5.0))
        self.assertEqual((timers.timeout, timers.timer_d), (32.0, 32.0))
        self.assertEqual((timers.provisional_delay, timers.trying_delay, timers.answer_deadline), (0.2, 3.5, 30.0))

    def test_intervals(self) -> None:
        """A doubling timer ends at its largest interval, wherever that lies."""
        timers = Timers()
        self.assertEqual(timers.intervals(4), [0.5, 1, 2, 4])
        self.assertEqual(timers.intervals(3), [0.5, 1, 2, 3])
        self.assertEqual(timers.intervals(0.5), [0.5])
        self.assertEqual(timers.intervals(32), [0.5, 1, 2, 4, 8, 16, 32])

    def test_trying_delay(self) -> None:
        """RFC 4320 section 4.1: a 100 goes out when a client's Timer E is reset to T2."""
        for t1, t2, expected in ((0.5, 3, 3.5), (0.5, 0.5, 0.5), (0.5, 1, 0.5), (1, 32, 31)):
            self.assertEqual(Timers(t1, t2).trying_delay, expected)

    def test_long_t1(self) -> None:
        """Timer D follows a T1 above the default."""
        self.assertEqual(Timers(t1=1).timer_d, 64.0)
        self.assertEqual(Timers(t1=0.1).timer_d, 32.0)

    def test_t2_follows_t1(self) -> None:
        """A caller that only chooses T1 gets a T2 that fits it."""
        self.assertEqual([Timers(t1).t2 for t1 in (0.01, 0.125, 1, 4, 5)], [0.32, 4.0, 4.0, 4.0, 5.0])

    def test_refused(self) -> None:
        """Durations that make no sense are refused at once."""
        for arguments in (
            {"t1": 0},
            {"t1": -1},
            {"t1": math.nan},
            {"t1": math.inf},
            {"t2": 0},
            {"t4": 0},
            {"t4": math.inf},
            {"t1": 5, "t2": 4},
            {"t2": 16.5},
            {"answer_deadline": 3.5},
            {"answer_deadline": 32},
            {"answer_deadline": -1},
            {"answer_deadline": math.nan},
        ):
            with self.assertRaises(ValueError, msg=str(arguments)):
                Timers(**arguments)


class QueueTests(SynchronousTestCase):
    """Starting, cancelling and running out."""

    def setUp(self) -> None:
        """A queue with the usual durations."""
        self.queue = TimerQueue(Timers())

    def names(self, now: float) -> list[TimerName]:
        """Which timers are due."""
        return [line.name for _, line, _ in self.queue.due(now)]

    def test_empty(self) -> None:
        """Nothing waits in a new queue."""
        self.assertEqual((len(self.queue), self.queue.next_deadline(), self.queue.due(1e9)), (0, math.inf, []))

    def test_order(self) -> None:
        """Whatever the order of starting, timers run out in the order of their deadlines. row:M12"""
        one, two = a_transaction(), a_transaction()
        self.queue.start(self.queue.f, one, 0)
        self.queue.start(self.queue.e[0], one, 0)
        self.queue.start(self.queue.provisional, two, 0.1)
        self.queue.start(self.queue.b, two, 0.1)
        self.assertEqual(self.queue.next_deadline(), 0.1 + 0.2)
        self.assertEqual(self.names(0.25), [])
        self.assertEqual(self.names(0.5), [TimerName.PROVISIONAL, TimerName.E])
        self.assertEqual(
            self.names(100), [TimerName.PROVISIONAL, TimerName.E, TimerName.F, TimerName.B], "still there until taken"
        )

    def test_cancel(self) -> None:
        """A cancelled timer is gone from memory, and the next deadline is another's. fault:J2"""
        one, two = a_transaction(), a_transaction()
        self.queue.start(self.queue.f, one, 0)
        self.queue.start(self.queue.f, two, 1)
        self.queue.cancel(self.queue.f, one)
        self.assertEqual((len(self.queue), self.queue.next_deadline()), (1, 33))
        self.queue.cancel(self.queue.f, one)
        self.queue.cancel(self.queue.b, two)
        self.assertEqual(len(self.queue), 1)
        self.queue.cancel(self.queue.f, two)
        self.assertEqual((len(self.queue), self.queue.next_deadline()), (0, math.inf))
        self.assertEqual(self.queue.due(1e9), [])

    def test_taken_once(self) -> None:
        """What is due is taken once, and not at all when it was cancelled or started again in between."""
        transaction = a_transaction()
        line = self.queue.e[0]
        self.queue.start(line, transaction, 0)
        [(deadline, due_line, due)] = self.queue.due(0.5)
        self.assertIs(due_line, line)
        self.assertIs(due, transaction)
        self.assertTrue(self.queue.take(line, transaction, deadline))
        self.assertFalse(self.queue.take(line, transaction, deadline))
        self.queue.start(line, transaction, 0.5)
        self.assertFalse(self.queue.take(line, transaction, deadline))
        self.assertEqual(self.queue.next_deadline(), 1.0)

    def test_nothing_piles_up(self) -> None:
        """10**5 timers that were started and cancelled leave nothing behind. fault:J2 fault:C10"""
        for number in range(100):
            waiting = [a_transaction() for _ in range(10)]
            for transaction in waiting:
                self.queue.start(self.queue.f, transaction, number)
            for _ in range(100):
                for transaction in waiting:
                    self.queue.start(self.queue.trying, transaction, number)
                    self.queue.cancel(self.queue.trying, transaction)
            for transaction in waiting:
                self.queue.cancel(self.queue.f, transaction)
            self.assertEqual((len(self.queue), self.queue.next_deadline()), (0, math.inf))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.floats(0, 3)), max_size=40))
    def test_against_a_sorted_list(self, steps: list[tuple[int, int, float]]) -> None:
        """Any sequence of starting, cancelling and waiting agrees with the plainest queue there could be. row:M12"""
        queue = TimerQueue(Timers())
        lines: list[TimerLine] = [queue.f, queue.trying, queue.e[0], queue.e[3], queue.provisional]
        transactions = [a_transaction(str(number)) for number in range(6)]
        model: dict[tuple[int, int], float] = {}
        now = 0.0
        for line, who, wait in steps:
            if (line, who) in model:
                queue.cancel(lines[line], transactions[who])
                del model[line, who]
            else:
                queue.start(lines[line], transactions[who], now)
                model[line, who] = now + lines[line].duration
            self.assertEqual(queue.next_deadline(), min(model.values(), default=math.inf))
            now += wait
            due = queue.due(now)
            self.assertEqual([deadline for deadline, _, _ in due], sorted(end for end in model.values() if end <= now))
            for deadline, due_line, transaction in due:
                self.assertTrue(queue.take(due_line, transaction, deadline))
                del model[lines.index(due_line), transactions.index(transaction)]
            self.assertEqual(len(queue), len(model))
            self.assertEqual(queue.next_deadline(), min(model.values(), default=math.inf))
