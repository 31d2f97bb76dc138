"""How long a place is left alone after a failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.transport.pool.backoff import Backoff
from tests.support import SynchronousTestCase


def backoff(chance: float = 1.0, limit: int = 100) -> Backoff[str]:
    """Half a second to thirty, and always the same chance."""
    return Backoff(lambda: (0.5, 30.0, limit), lambda: chance)


class WaitTests(SynchronousTestCase):
    """For how long."""

    def test_doubles(self) -> None:
        """The upper bound doubles with each failure in a row, up to the longest (RFC 5626 section 4.5, fault:G6)."""
        waits, now = [], 0.0
        failing = backoff()
        for _ in range(9):
            waits.append(failing.failed("b", ConnectionFailure("no"), now))
            now += waits[-1]
        self.assertEqual(waits, [0.5, 1, 2, 4, 8, 16, 30, 30, 30])

    def test_jitter(self) -> None:
        """The wait is drawn between half of the bound and all of it, so that not everybody comes back at once
        (fault:G6)."""
        for chance, wait in ((0.0, 0.25), (0.5, 0.375), (1.0, 0.5)):
            self.assertEqual(backoff(chance).failed("b", ConnectionFailure("no"), 7.0), wait)

    def test_success(self) -> None:
        """After a success the next failure is the first one again."""
        failing = backoff()
        failing.failed("b", ConnectionFailure("no"), 0)
        failing.failed("b", ConnectionFailure("no"), 1)
        failing.succeeded("b")
        self.assertEqual((failing.wait("b", 1), failing.failed("b", ConnectionFailure("no"), 1)), (0.0, 0.5))

    def test_long_ago(self) -> None:
        """What failed long ago has no part in how long to wait now."""
        failing = backoff()
        for _ in range(4):
            failing.failed("b", ConnectionFailure("no"), 0)
        self.assertEqual(failing.failed("b", ConnectionFailure("no"), 34.1), 0.5)

    @given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1)), max_size=40))
    def test_bounds(self, failures: list[tuple[float, float]]) -> None:
        """Whatever the times and chances, a wait is at least half of the shortest and at most the longest."""
        now, chances = 0.0, iter([chance for _, chance in failures])
        failing: Backoff[str] = Backoff(lambda: (0.5, 30.0, 5), lambda: next(chances))
        for passed, _ in failures:
            now += passed
            self.assertTrue(0.25 <= failing.failed("b", ConnectionFailure("no"), now) <= 30.0)


class RefusalTests(SynchronousTestCase):
    """What somebody hears who comes too early."""

    def test_until_its_time(self) -> None:
        """A place is refused until its time has come, with the last reason and when it is tried again (fault:G6)."""
        failing = backoff()
        self.assertIsNone(failing.refusal("b", 0))
        failing.failed("b", ConnectionFailure("the cable is out."), 10.0)
        refusal = failing.refusal("b", 10.1)
        assert refusal is not None
        self.assertAlmostEqual(refusal.retry_after, 0.4)
        self.assertEqual(str(refusal), "the cable is out; failed a moment ago, and is tried again in 0.4 s")
        self.assertIsNone(failing.refusal("b", 10.5))
        self.assertIsNone(failing.refusal("c", 10.1))

    def test_tls(self) -> None:
        """A failure of TLS stays one, with its reason, peer and certificate (row:D19)."""
        failing = backoff()
        reason = TlsFailureReason.CERTIFICATE_EXPIRED
        failing.failed("b", TlsFailure(reason, "b.example", detail="yesterday", alert="expired"), 0)
        refusal = failing.refusal("b", 0)
        assert isinstance(refusal, TlsFailure)
        self.assertEqual((refusal.reason, refusal.peer, refusal.alert), (reason, "b.example", "expired"))
        self.assertIn("yesterday; failed a moment ago", str(refusal))

    def test_own_for_everybody(self) -> None:
        """Everybody gets a failure of his own, and none keeps alive what the first one came through (fault:K9)."""
        failing = backoff()
        try:
            raise ConnectionFailure("no")
        except ConnectionFailure as error:
            failing.failed("b", error, 0)
            first, second = failing.refusal("b", 0), failing.refusal("b", 0)
            assert first is not None
            self.assertIsNot(first, second)
            self.assertIsNone(first.__traceback__)

    def test_clear(self) -> None:
        """When the reason for failing may have gone, all are tried again."""
        failing = backoff()
        failing.failed("b", ConnectionFailure("no"), 0)
        failing.clear()
        self.assertEqual((failing.refusal("b", 0), len(failing)), (None, 0))

    def test_bounded(self) -> None:
        """However many places fail, so many are remembered; the one that failed longest ago gives way."""
        failing = backoff(limit=3)
        for place in "abacd":
            failing.failed(place, ConnectionFailure("no"), 0)
        self.assertEqual([failing.refusal(place, 0) is None for place in "abcd"], [False, True, False, False])
