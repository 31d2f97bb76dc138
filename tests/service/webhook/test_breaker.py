"""The breaker: values and a literal time."""

from __future__ import annotations

from sip_p2p.service.webhook.breaker import FAILURES, LONGEST, SHORTEST, Breaker
from tests.support import SynchronousTestCase


class BreakerTests(SynchronousTestCase):
    """:class:`Breaker`."""

    def opened(self, at: float = 0.0) -> Breaker:
        """One that has just opened."""
        breaker = Breaker()
        for number in range(FAILURES):
            self.assertTrue(breaker.begin(at))
            self.assertEqual(breaker.failed(at), number == FAILURES - 1)
        return breaker

    def test_it_opens(self) -> None:
        """After so many failures in a row, and not before, nobody may ask for a while."""
        breaker = self.opened()
        self.assertTrue(breaker.is_open)
        self.assertFalse(breaker.begin(SHORTEST / 2))
        self.assertEqual(breaker.remaining(SHORTEST / 4), SHORTEST * 3 / 4)

    def test_a_success_between(self) -> None:
        """A success begins the count anew."""
        breaker = Breaker()
        for _ in range(FAILURES * 3):
            breaker.begin(0)
            breaker.failed(0)
            self.assertFalse(breaker.succeeded())
        self.assertFalse(breaker.is_open)
        self.assertEqual(breaker.remaining(0), 0)

    def test_one_probe(self) -> None:
        """When the time is over one may ask; its success closes it, and everybody may."""
        breaker = self.opened()
        self.assertTrue(breaker.begin(SHORTEST))
        self.assertFalse(breaker.begin(SHORTEST))
        self.assertGreater(breaker.remaining(SHORTEST), 0)
        self.assertTrue(breaker.succeeded())
        self.assertTrue(breaker.begin(SHORTEST))

    def test_a_probe_that_fails(self) -> None:
        """Each probe that fails doubles the time, up to its bound, and is no news."""
        breaker = self.opened()
        now, spans = 0.0, []
        for _ in range(10):
            spans.append(breaker.remaining(now))
            now += spans[-1]
            self.assertTrue(breaker.begin(now))
            self.assertFalse(breaker.failed(now))
        self.assertEqual(spans[:4], [SHORTEST, SHORTEST * 2, SHORTEST * 4, SHORTEST * 8])
        self.assertEqual(spans[-1], LONGEST)

    def test_failures_from_before(self) -> None:
        """What was under way when it opened changes nothing by failing."""
        breaker = self.opened()
        breaker.failed(0.5)
        self.assertEqual(breaker.remaining(0), SHORTEST)

    def test_a_probe_that_is_given_up(self) -> None:
        """A probe that nobody waits for any more leaves its place to the next."""
        breaker = self.opened()
        self.assertTrue(breaker.begin(SHORTEST))
        breaker.given_up()
        self.assertTrue(breaker.begin(SHORTEST))
