"""Tests of :mod:`sip_p2p.sip.event.rates` (RFC 6446)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.sip.event.rates import NO_RATES, Pace, Rates
from sip_p2p.sip.event.subscription_state import parse_subscription_state
from sip_p2p.sip.fields import parse_event
from tests.support import SynchronousTestCase

rates = st.one_of(
    st.none(),
    st.integers(min_value=1, max_value=10**12 - 1).map(lambda number: number / 10**10),
)


class RatesTests(SynchronousTestCase):
    """What a subscriber asks for."""

    def test_read(self) -> None:
        """Section 9: the three parameters are read from Event and from Subscription-State alike."""
        expected = Rates(2, 0.5, 1.25)
        text = ";max-rate=2;min-rate=0.5;adaptive-min-rate=1.25"
        self.assertEqual(Rates.of(parse_event(f"presence{text}").params), expected)
        self.assertEqual(Rates.of(parse_subscription_state(f"active{text}").params), expected)
        self.assertIs(Rates.of(parse_event("presence;id=1").params), NO_RATES)

    def test_nonsense(self) -> None:
        """A rate that cannot be read, or is 0, counts as missing."""
        for value in ("0", "0.0", "-1", "100", "1.", ".5", "1e3", "", "1.12345678901", "\N{ARABIC-INDIC DIGIT ONE}"):
            self.assertEqual(Rates.of({"max-rate": value}).params, {}, value)
        self.assertEqual(Rates.of({"max-rate": None}).params, {})

    def test_least_above_most(self) -> None:
        """Section 6.1: a least above the most is taken for the most."""
        self.assertEqual(Rates.of({"max-rate": "0.1", "min-rate": "5"}), Rates(0.1, 0.1))

    def test_impossible(self) -> None:
        """A rate that the grammar cannot say is refused."""
        for rate in (0.0, -1.0, 100.0, float("nan"), float("inf")):
            self.assertRaises(ValueError, Rates, rate)

    def test_bounded(self) -> None:
        """Sections 6.3 and 7.3: what forces notifications is bounded, what holds them back is not."""
        self.assertEqual(Rates(50, 20, 30).bounded(1.0), Rates(50, 1, 1))
        mild = Rates(50, 0.5)
        self.assertIs(mild.bounded(1.0), mild)

    def test_distances(self) -> None:
        """Sections 5.2, 6.2 and 7.4: the shortest and the longest distance of two notifications."""
        self.assertEqual((NO_RATES.shortest, NO_RATES.longest(5), NO_RATES.period), (0.0, None, 0.0))
        self.assertEqual((Rates(0.5).shortest, Rates(0.5).longest(5)), (2.0, None))
        self.assertEqual(Rates(None, 0.1).longest(5), 10.0)
        adaptive = Rates(None, None, 0.5)
        self.assertEqual((adaptive.period, adaptive.longest(0)), (20.0, 2.0))
        # As many as asked for: the usual distance; twice as many: twice the distance.
        self.assertEqual((adaptive.longest(10), adaptive.longest(20)), (2.0, 4.0))
        self.assertEqual(Rates(0.1, None, 0.5).longest(1), 10.0)
        self.assertEqual(Rates(None, 1, 0.5).longest(10), 1.0)

    @given(rates, rates, rates)
    def test_round_trip(self, most: float | None, least: float | None, average: float | None) -> None:
        """What is written is read as what it was, as far as ten places go."""
        if most is not None and least is not None:
            least, most = min(least, most), max(least, most)
        given_rates = Rates(most, least, average)
        read = Rates.of(given_rates.params)
        self.assertEqual(read, given_rates)
        self.assertEqual(hash(read), hash(given_rates))

    def test_words(self) -> None:
        """What one sees of them."""
        self.assertEqual(repr(Rates(0.5, 0.25)), "<Rates max-rate 0.5, min-rate 0.25>")
        self.assertEqual(repr(NO_RATES), "<Rates any>")
        self.assertNotEqual(NO_RATES, "any")


class PaceTests(SynchronousTestCase):
    """When the next one may go, and when it must."""

    def test_interval(self) -> None:
        """The larger distance counts: the package's own, or the subscriber's."""
        pace = Pace(Rates(0.5), 5.0)
        self.assertLess(pace.earliest(), 0.0)
        pace.sent(100.0)
        self.assertEqual((pace.earliest(), pace.latest(100.0)), (105.0, None))
        pace.rates = Rates(0.1)
        self.assertEqual(pace.earliest(), 110.0)

    def test_left_alone(self) -> None:
        """Who wants to be left alone is, whatever the rates say."""
        pace = Pace(Rates(None, 1.0))
        pace.sent(100.0)
        pace.not_before = 130.0
        self.assertEqual((pace.earliest(), pace.latest(100.0)), (130.0, 130.0))

    def test_adaptive(self) -> None:
        """Section 7.4: after a burst nothing is forced until the average has come down."""
        pace = Pace(Rates(None, None, 1.0))
        for number in range(20):
            pace.sent(100.0 + number / 10)
        self.assertEqual(pace.latest(101.9), 103.9)
        self.assertEqual(pace.latest(115.0), 102.9)

    def test_history_is_bounded(self) -> None:
        """However many there are, only a few are remembered."""
        pace = Pace(Rates(None, None, 0.01))
        for number in range(1000):
            pace.sent(number / 1000)
        latest = pace.latest(1.0)
        assert latest is not None
        self.assertLess(latest, 2000.0)
