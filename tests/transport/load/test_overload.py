"""Overload: the decision by figures, and when the figures are looked at."""

from __future__ import annotations

from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.overload import OverloadJudge, OverloadMonitor, OverloadState, Signals, resident_memory
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import Bench, CountedFlow, request

NORMAL, NEW, ALL = OverloadState


class JudgeTests(SynchronousTestCase):
    """Figures in, a state out."""

    def setUp(self) -> None:
        """A judge with the usual marks and one for memory."""
        self.judge = OverloadJudge(Limits(resident_memory=1000))

    def test_marks(self) -> None:
        """Each signal has two marks, and says in words which it was (row:E20)."""
        for signals, state, words in (
            (Signals(), NORMAL, ""),
            (Signals(0.09, 0.79, 0.79, 999), NORMAL, ""),
            (Signals(lag=0.1), NEW, "the reactor is 0.10 s late"),
            (Signals(lag=0.31), ALL, "the reactor is 0.31 s late"),
            (Signals(transactions=0.8), NEW, "the transactions are at 80% of their limit"),
            (Signals(transactions=0.95), ALL, "the transactions are at 95% of their limit"),
            (Signals(writing=0.85), NEW, "what waits to be written is at 85% of its limit"),
            (Signals(writing=0.9), ALL, "what waits to be written is at 90% of its limit"),
            (Signals(memory=1000), NEW, "the process occupies 1,000 octets"),
            (Signals(memory=2000), ALL, "the process occupies 2,000 octets"),
            (Signals(lag=0.2, writing=0.95), ALL, "what waits to be written is at 95% of its limit"),
        ):
            judge = OverloadJudge(Limits(resident_memory=1000))
            self.assertIs(judge.judge(signals, 0.0), state)
            self.assertEqual(judge.reason, words)

    def test_switched_off(self) -> None:
        """A mark of nought is none (row:E20)."""
        judge = OverloadJudge(Limits(overload_lag=0))
        self.assertIs(judge.judge(Signals(lag=100, memory=10**12), 0.0), NORMAL)

    def test_worse_at_once_better_slowly(self) -> None:
        """It gets worse at once, and better one step at a time, after two seconds of clearly less (row:E20)."""
        judge = self.judge
        self.assertIs(judge.judge(Signals(lag=0.5), 0.0), ALL)
        self.assertIs(judge.judge(Signals(lag=0.01), 0.1), ALL)
        self.assertIs(judge.judge(Signals(lag=0.01), 2.0), ALL)
        self.assertIs(judge.judge(Signals(lag=0.01), 2.2), NEW)
        self.assertEqual(judge.reason, "it has been calm for a while")
        self.assertIs(judge.judge(Signals(lag=0.01), 4.1), NEW)
        self.assertIs(judge.judge(Signals(lag=0.01), 4.3), NORMAL)

    def test_no_flapping(self) -> None:
        """Just below the mark it stays as it is, and every relapse begins the wait anew (row:E20)."""
        judge = self.judge
        judge.judge(Signals(lag=0.15), 0.0)
        for tenth in range(1, 100):
            self.assertIs(judge.judge(Signals(lag=0.08), tenth / 10), NEW)
        for tenth in range(100, 200):
            self.assertIs(judge.judge(Signals(lag=0.01 if tenth % 15 else 0.09), tenth / 10), NEW)

    def test_loss(self) -> None:
        """The wish for less follows the pressure, within bounds (row:E20, RFC 7339 section 5.3)."""
        found = []
        for lag in (0.05, 0.1, 0.2, 0.25, 0.5):
            judge = OverloadJudge(Limits())
            judge.judge(Signals(lag=lag), 0.0)
            found.append(judge.loss)
        self.assertEqual(found, [0, 20, 50, 60, 95])


class MonitorTests(SynchronousTestCase):
    """When it looks."""

    def setUp(self) -> None:
        """A driver with a monitor."""
        self.bench = Bench()
        self.fill = 0.0
        self.before: list[OverloadState] = []
        self.looks = 0
        self.monitor = OverloadMonitor(OverloadJudge(Limits()), self.read, self.before.append, measures_lag=True)
        self.bench.driver.watch_load(self.monitor)
        self.number = 0

    def read(self, signals: Signals) -> None:
        """Tell how full it is."""
        self.looks += 1
        signals.transactions = self.fill

    def something_comes(self) -> None:
        """A message, answered with 404 or so at once."""
        self.number += 1
        self.bench.receive(CountedFlow(), request("ACK", self.number))

    def test_idle(self) -> None:
        """What is idle is not looked at, and leaves no delayed call behind (row:E20, fault:J2)."""
        self.bench.clock.pump([0.05] * 100)
        self.assertEqual((self.looks, self.bench.calls()), (0, []))
        self.something_comes()
        self.bench.clock.pump([0.05] * 100)
        self.assertEqual((self.looks, self.bench.calls()), (2, []))

    def test_ten_times_a_second(self) -> None:
        """Under traffic it looks ten times a second, however much there is (row:E20)."""
        for _ in range(1000):
            self.something_comes()
            self.bench.clock.advance(0.01)
        self.assertIn(self.looks, range(90, 101))

    def test_until_it_has_passed(self) -> None:
        """While the state is not normal it looks on without traffic, until it is (row:E20)."""
        self.fill = 0.99
        self.something_comes()
        self.bench.clock.pump([0.05] * 200)
        self.assertIs(self.monitor.judge.state, ALL)
        self.fill = 0.0
        self.bench.clock.pump([0.05] * 200)
        self.assertEqual((self.monitor.judge.state, self.before, self.bench.calls()), (NORMAL, [NORMAL, ALL, NEW], []))

    def test_lag(self) -> None:
        """A reactor that is late again and again is overloaded; one that was late once is not (row:E20, fault:K3)."""
        self.something_comes()
        self.bench.clock.advance(5)
        for _ in range(40):
            self.something_comes()
            self.bench.clock.advance(0.05)
        self.assertEqual(self.before, [])
        for _ in range(3):
            self.something_comes()
            self.bench.clock.advance(0.5)
        self.assertEqual(self.before, [NORMAL])
        self.assertIs(self.monitor.judge.state, ALL)

    def test_clock_of_a_test(self) -> None:
        """A clock that is advanced by hand is never late (row:E20)."""
        monitor = OverloadMonitor(OverloadJudge(Limits()), self.read, self.before.append, measures_lag=False)
        for second in range(0, 1000, 10):
            monitor.touched = True
            monitor.start(second)
            monitor.handle_timer(second + 9)
        self.assertEqual(self.before, [])

    def test_halt(self) -> None:
        """Afterwards it looks no more (fault:J2)."""
        self.something_comes()
        self.monitor.halt()
        self.bench.clock.pump([0.05] * 10)
        self.assertEqual((self.looks, self.monitor.next_deadline(), len(self.monitor)), (0, None, 0))


class MemoryTests(SynchronousTestCase):
    """What the process occupies."""

    def test_resident(self) -> None:
        """Linux tells how much memory the process occupies (row:E20)."""
        self.assertGreater(resident_memory(), 1024 * 1024)
