"""Whether and when a subscription is begun anew (RFC 6665 section 4.1.3; row J5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, EndpointTerminated, OperationTimeout
from sip_p2p.sip.event.retrying import BackOff, Retry, retry_of, wished_pause
from sip_p2p.sip.event.subscribing import SubscriptionEnding, SubscriptionOver
from sip_p2p.sip.event.subscription_state import SubscriptionStateValue, parse_subscription_state
from sip_p2p.sip.message import Response
from tests.sip.event.asking import Bench

N, A, L = Retry.NEVER, Retry.AT_ONCE, Retry.LATER


def over(
    ending: SubscriptionEnding,
    status: int = 0,
    reason: BaseException | None = None,
    value: SubscriptionStateValue | None = None,
    *fields: tuple[str, str],
) -> SubscriptionOver:
    """The end of a subscription."""
    response = Response(status, None, list(fields)) if status else None
    return SubscriptionOver(Bench().subscriber, ending, None, response, reason, value)


class RetryTests(SynchronousTestCase):
    """What each end means."""

    def test_reasons(self) -> None:
        """4.1.3: the reason of the notifier decides, and one that nobody knows is no no. row:J5"""
        expected = {
            "deactivated": A,
            "timeout": A,
            "probation": L,
            "giveup": L,
            "rejected": N,
            "noresource": N,
            "invariant": N,
            "made-up": L,
            "": L,
        }
        for reason, retry in expected.items():
            value = SubscriptionStateValue.of("terminated", reason=reason)
            ended = over(SubscriptionEnding.TERMINATED, value=value)
            self.assertIs(retry_of(ended, has_stood=True), retry, reason)

    def test_endings(self) -> None:
        """What else ends a subscription. row:J5"""
        for ending, status, reason, retry in (
            (SubscriptionEnding.LEFT, 0, None, N),
            (SubscriptionEnding.FETCHED, 0, None, N),
            (SubscriptionEnding.EXPIRED, 0, None, A),
            (SubscriptionEnding.NO_NOTIFY, 0, None, L),
            (SubscriptionEnding.GONE, 0, None, A),
            (SubscriptionEnding.GONE, 481, None, A),
            (SubscriptionEnding.GONE, 404, None, L),
            (SubscriptionEnding.UNREACHABLE, 0, ConnectionFailure("x"), L),
            (SubscriptionEnding.UNREACHABLE, 0, OperationTimeout("x"), L),
            (SubscriptionEnding.UNREACHABLE, 0, EndpointTerminated("x"), N),
        ):
            self.assertIs(retry_of(over(ending, status, reason), has_stood=True), retry, (ending, status, reason))

    def test_refusals(self) -> None:
        """Some refusals may pass; what refuses a request in a dialog may only mean its way. row:J5"""
        for status, first, later in (
            (403, N, N),
            (489, N, N),
            (603, N, N),
            (404, N, L),
            (410, N, L),
            (480, L, L),
            (500, L, L),
            (503, L, L),
        ):
            refused = over(SubscriptionEnding.REFUSED, status)
            self.assertIs(retry_of(refused, has_stood=False), first, status)
            self.assertIs(retry_of(refused, has_stood=True), later, status)

    def test_wishes(self) -> None:
        """The time that the notifier wants is that of its NOTIFY or of its response, and a day at most. row:J5"""
        for text, seconds in (
            ("terminated;retry-after=30", 30),
            ("terminated", 0),
            ("terminated;retry-after=1000000", 86400),
        ):
            value = parse_subscription_state(text)
            self.assertEqual(wished_pause(over(SubscriptionEnding.TERMINATED, value=value)), seconds)
        for text, seconds in (("60", 60), ("60 (busy);duration=5", 60), ("rubbish", 0)):
            refused = over(SubscriptionEnding.REFUSED, 503, None, None, ("Retry-After", text))
            self.assertEqual(wished_pause(refused), seconds)
        self.assertEqual(wished_pause(over(SubscriptionEnding.EXPIRED)), 0)

    def test_wishes_without_meaning(self) -> None:
        """4.1.3: beside these reasons a retry-after says nothing: who may come again at once is not kept waiting by it,
        and who may not is not let in after it. row:J5"""
        for reason, retry, seconds in (
            ("deactivated", A, 0),
            ("timeout", A, 0),
            ("rejected", N, 0),
            ("noresource", N, 0),
            ("invariant", N, 0),
            ("probation", L, 3600),
            ("giveup", L, 3600),
            ("made-up", L, 3600),
            ("", L, 3600),
        ):
            value = SubscriptionStateValue.of("terminated", reason=reason, retry_after=3600)
            ended = over(SubscriptionEnding.TERMINATED, value=value)
            self.assertEqual((retry_of(ended, has_stood=True), wished_pause(ended)), (retry, seconds), reason)


class BackOffTests(SynchronousTestCase):
    """The pauses."""

    def test_grow(self) -> None:
        """The first time at once means at once; each further one in a row is longer, up to half an hour. row:J5"""
        back_off = BackOff()
        pauses = [back_off.pause(Retry.AT_ONCE, 0, 0.0, 1.0) for _ in range(14)]
        self.assertEqual(pauses[:4], [0, 2.0, 4.0, 8.0])
        self.assertEqual(pauses[-1], 1800.0)
        self.assertEqual(BackOff().pause(Retry.LATER, 0, 0.0, 0.0), 1.0)
        self.assertEqual(BackOff().pause(Retry.LATER, 60, 0.0, 1.0), 62.0)

    def test_standing(self) -> None:
        """One that has stood for a minute begins anew; one that stood for less does not. row:J5"""
        back_off = BackOff()
        for _ in range(5):
            back_off.pause(Retry.AT_ONCE, 0, 0.0, 1.0)
        back_off.stood(100.0)
        self.assertEqual(back_off.pause(Retry.AT_ONCE, 0, 159.0, 1.0), 32.0)
        back_off.stood(200.0)
        back_off.stood(250.0)
        self.assertEqual(back_off.pause(Retry.AT_ONCE, 0, 260.0, 1.0), 0)

    @given(
        st.lists(st.tuples(st.sampled_from([A, L]), st.integers(0, 86400), st.floats(0, 1), st.booleans()), max_size=40)
    )
    def test_bounds(self, attempts: list[tuple[Retry, int, float, bool]]) -> None:
        """Never sooner than was wished, and never more than half an hour later. row:J5"""
        back_off, now = BackOff(), 0.0
        for retry, wish, chance, stands in attempts:
            pause = back_off.pause(retry, wish, now, chance)
            self.assertTrue(wish <= pause <= wish + 1800)
            now += pause
            if stands:
                back_off.stood(now)
                now += 30
