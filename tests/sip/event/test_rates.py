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
        """Section 9.1: the three parameters are read from Event and from Subscription-State alike."""
        expected = Rates(2, 0.5, 1.25)
        text = ";max-rate=2;min-rate=0.5;adaptive-min-rate=1.25"
        self.assertEqual(Rates.of(parse_event(f"presence{text}").params), expected)
        self.assertEqual(Rates.of(parse_subscription_state(f"active{text}").params), expected)
        self.assertIs(Rates.of(parse_event("presence;id=1").params), NO_RATES)

    def test_nonsense(self) -> None:
        """Section 9.2: a rate that cannot be read, or is 0, counts as missing."""
        for value in ("0", "0.0", "-1", "100", "1.", ".5", "1e3", "", "1.12345678901", "\N{ARABIC-INDIC DIGIT ONE}"):
            self.assertEqual(Rates.of({"max-rate": value}).params, {}, value)
        self.assertEqual(Rates.of({"max-rate": None}).params, {})

    def test_contradictions(self) -> None:
        """Section 8: what is above the most is taken for the most, and a least that is not below the average does not
        count."""
        for asked, granted in (
            (Rates(0.1, 5), Rates(0.1, 0.1)),
            (Rates(0.1, None, 5), Rates(0.1, None, 0.1)),
            (Rates(0.1, 5, 6), Rates(0.1, 0.1, 0.1)),
            (Rates(None, 0.5, 0.5), Rates(None, None, 0.5)),
            (Rates(None, 0.6, 0.5), Rates(None, None, 0.5)),
            (Rates(0.1, 6, 5), Rates(0.1, None, 0.1)),
            (Rates(None, 0.4, 0.5), Rates(None, 0.4, 0.5)),
        ):
            self.assertEqual(asked.granted(1.0, 600), granted, asked)

    def test_never(self) -> None:
        """Section 5.3: a most that would let nothing be told before the end is raised to once until then."""
        self.assertEqual(Rates(0.001).granted(1.0, 600), Rates(1 / 600))
        self.assertEqual(Rates(0.001, 0.0005).granted(1.0, 600), Rates(1 / 600, 0.0005))
        for seconds in (1000, 0, 0.001):
            self.assertEqual(Rates(0.001).granted(1.0, seconds), Rates(0.001))

    def test_impossible(self) -> None:
        """A rate that the grammar cannot say is refused."""
        for rate in (0.0, -1.0, 100.0, float("nan"), float("inf")):
            self.assertRaises(ValueError, Rates, rate)

    def test_bounded(self) -> None:
        """Sections 6.3 and 7.3: what forces notifications is bounded, what holds them back is not."""
        self.assertEqual(Rates(50, 20, 30).granted(1.0, 600), Rates(50, 1, 1))
        for mild in (NO_RATES, Rates(50, 0.5)):
            self.assertIs(mild.granted(1.0, 600), mild)

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
        given_rates = Rates(most, least, average)
        read = Rates.of(given_rates.params)
        self.assertEqual(read, given_rates)
        self.assertEqual(hash(read), hash(given_rates))

    @given(rates, rates, rates, st.floats(min_value=-1, max_value=2**31))
    def test_any(self, most: float | None, least: float | None, average: float | None, seconds: float) -> None:
        """Section 8: whatever is asked for, and however long it lasts, what is granted contradicts nothing."""
        granted = Rates(most, least, average).granted(1.0, seconds)
        fewest = [rate for rate in (granted.min_rate, granted.adaptive_min_rate) if rate is not None]
        self.assertTrue(all(rate <= min(1.0, granted.max_rate or 1.0) for rate in fewest), granted)
        self.assertEqual(granted.max_rate is None, most is None)
        self.assertLessEqual(most or 0.0, granted.max_rate or 0.0)

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
        # Twenty, and eight from before.
        self.assertEqual(pace.latest(101.9), 104.7)
        self.assertEqual(pace.latest(115.0), 102.9)

    def test_adaptive_beginning(self) -> None:
        """Section 7.2: it begins as if as many had gone before as are asked for, so that the first ones come no
        faster than the others; and so does another rate."""
        pace = Pace(Rates(None, None, 0.5))
        now = 100.0
        for _ in range(30):
            pace.sent(now)
            self.assertEqual(pace.latest(now), now + 2.0)
            now += 2.0
        pace.rates = Rates(None, None, 0.1)
        self.assertEqual(pace.latest(now), now + 8.0)
        pace.rates = Rates(None, None, 1)
        self.assertEqual(pace.latest(now + 50.0), now - 1.0)
        pace.rates = Rates(None, None, 0.1)
        pace.sent(now)
        self.assertEqual(pace.latest(now), now + 10.0)
        pace.rates = NO_RATES
        pace.sent(now)
        self.assertIsNone(pace.latest(now))

    def test_history_is_bounded(self) -> None:
        """However many there are, only a few are remembered."""
        pace = Pace(Rates(None, None, 0.01))
        for number in range(1000):
            pace.sent(number / 1000)
        latest = pace.latest(1.0)
        assert latest is not None
        self.assertLess(latest, 2000.0)
