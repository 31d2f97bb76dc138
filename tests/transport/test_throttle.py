"""What peers can cause to be logged, and how much of it is."""

from __future__ import annotations

from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.transport.throttle import LogBounds, Throttle, ThrottledLog


class ThrottleTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.throttle.Throttle`."""

    def test_bucket(self) -> None:
        """So many at once, then so many a second, and the rest are counted (row:D22, fault:H6)."""
        throttle = Throttle(burst=3, rate=2)
        self.assertEqual([throttle.lets_through(100.0) for _ in range(5)], [True, True, True, False, False])
        self.assertEqual([throttle.lets_through(100.6) for _ in range(2)], [True, False])
        self.assertEqual(throttle.withheld, 3)
        self.assertEqual((throttle.take_withheld(), throttle.withheld), (3, 0))
        self.assertEqual([throttle.lets_through(999.0) for _ in range(4)], [True, True, True, False])

    def test_time_that_goes_back(self) -> None:
        """A scale that steps back gives nothing away and locks nothing up."""
        throttle = Throttle(burst=1, rate=1)
        self.assertTrue(throttle.lets_through(100.0))
        self.assertFalse(throttle.lets_through(50.0))
        self.assertTrue(throttle.lets_through(51.5))


class ThrottledLogTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.throttle.ThrottledLog`."""

    def test_lines(self) -> None:
        """All lines share one bound, and the next that is said tells how many were not (row:D22, fault:H6)."""
        said: list[tuple[object, str]] = []

        def observe(event: dict[str, object]) -> None:
            if event.get("log_namespace") == "test.throttled":
                said.append((event["log_level"], formatEvent(event)))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        time = [5.0]
        bounded = ThrottledLog("test.throttled", lambda: time[0])
        for number in range(10):
            bounded.info("closed {number}", number=number)
        bounded.warn("refused {what}", what="{odd}")
        self.assertEqual(said, [(LogLevel.info, f"closed {number}") for number in range(10)])
        time[0] = 7.0
        bounded.warn("refused {what}", what="{odd}")
        self.assertEqual(said[10:], [(LogLevel.warn, "refused {odd} (1 more were not logged)")])

    def test_failures(self) -> None:
        """Tracebacks are bounded like every other line (fault:H6)."""
        bounds = LogBounds(burst=3)
        bounded = ThrottledLog("test.failing", lambda: 5.0, bounds)
        for _ in range(10):
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                bounded.failure("failed on {what}", what="purpose")
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), bounds.withheld), (3, 7))
        other = ThrottledLog("test.failing", lambda: 5.0)
        other.failure("failed", Failure(KeyError()))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_own_bounds(self) -> None:
        """How much is said can be chosen (fault:H6)."""
        said: list[object] = []

        def observe(event: dict[str, object]) -> None:
            if event.get("log_namespace") == "test.bounded":
                said.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        time = [0.0]
        bounds = LogBounds(2, 5)
        bounded = ThrottledLog("test.bounded", lambda: time[0], bounds)
        for _ in range(10):
            bounded.info("x")
        time[0] = 0.3
        for _ in range(10):
            bounded.info("x")
        self.assertEqual((len(said), bounds.withheld), (3, 17))
        bounds.burst, bounds.rate = 4, 100
        time[0] = 9.0
        for _ in range(10):
            bounded.info("x")
        self.assertEqual((len(said), bounds.withheld), (7, 23), "others hold at once")
