"""The machine of Figure 6, pair by pair, and what it puts on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.transaction.base import ClientTransaction
from tests.sip.transaction.support import ABSENT, IDLE, Bench, Row, counts, make_request, make_response
from tests.support import vectors

STATES = ("trying", "proceeding", "completed", "terminated")
INPUTS = ("1xx", "2xx", "3xx-6xx", "E", "F", "K", "flow lost")

TABLE: list[Row] = [
    # state, input, over an unreliable transport, over a reliable one
    ("trying", "1xx", "proceeding user:100", "proceeding user:100"),
    ("trying", "2xx", "completed user:200", "terminated user:200"),
    ("trying", "3xx-6xx", "completed user:404", "terminated user:404"),
    ("trying", "E", "trying >OPTIONS", IDLE),
    ("trying", "F", "terminated user:timeout", "terminated user:timeout"),
    ("trying", "K", IDLE, IDLE),
    ("trying", "flow lost", "terminated user:failed", "terminated user:failed"),
    ("proceeding", "1xx", "proceeding user:100", "proceeding user:100"),
    ("proceeding", "2xx", "completed user:200", "terminated user:200"),
    ("proceeding", "3xx-6xx", "completed user:404", "terminated user:404"),
    ("proceeding", "E", "proceeding >OPTIONS", IDLE),
    ("proceeding", "F", "terminated user:timeout", "terminated user:timeout"),
    ("proceeding", "K", IDLE, IDLE),
    ("proceeding", "flow lost", "terminated user:failed", "terminated user:failed"),
    ("completed", "1xx", "completed counted:responses_unexpected", ABSENT),
    ("completed", "2xx", "completed counted:responses_again", ABSENT),
    ("completed", "3xx-6xx", "completed counted:responses_again", ABSENT),
    ("completed", "E", IDLE, ABSENT),
    ("completed", "F", IDLE, ABSENT),
    ("completed", "K", "terminated", ABSENT),
    ("completed", "flow lost", "completed", ABSENT),
    ("terminated", "1xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "2xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "3xx-6xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "E", IDLE, IDLE),
    ("terminated", "F", IDLE, IDLE),
    ("terminated", "K", IDLE, IDLE),
    ("terminated", "flow lost", "terminated", "terminated"),
]

STATUS = {"1xx": 100, "2xx": 200, "3xx-6xx": 404}


def bring(bench: Bench, state: str) -> ClientTransaction:
    """A transaction in *state*, or as near to it as this transport allows."""
    transaction = bench.request(make_request())
    if state == "proceeding":
        bench.response(make_response(transaction.request, 100))
    elif state in ("completed", "terminated"):
        bench.response(make_response(transaction.request, 200))
        if state == "terminated":
            bench.fire(transaction, "K")
    bench.said()
    return transaction


def apply(bench: Bench, transaction: ClientTransaction, what: str) -> object:
    """Give the machine the input *what*."""
    if what in STATUS:
        return bench.response(make_response(transaction.request, STATUS[what]))
    if what == "flow lost":
        return bench.fail()
    return None if bench.fire(transaction, what) else IDLE


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        pairs = [(state, what) for state, what, _, _ in TABLE]
        self.assertEqual(pairs, [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """17.1.2: each input in each state leads where the table says, and nowhere else. row:G9 fault:A17 fault:C8"""
        for state, what, *expected in TABLE:
            for reliable in (False, True):
                bench = Bench(reliable)
                transaction = bring(bench, state)
                if expected[reliable] == ABSENT:
                    self.assertEqual(bench.state(transaction), "terminated", (state, what))
                    continue
                self.assertEqual(bench.state(transaction), state)
                outcome = bench.outcome(transaction, lambda b=bench, t=transaction, w=what: apply(b, t, w))
                self.assertEqual(outcome, expected[reliable], (state, what, reliable))


class WireTests(SynchronousTestCase):
    """What is sent, and when."""

    def test_no_response_over_udp(self) -> None:
        """Timers E and F: eleven copies at the times of the vectors, then the user hears of the timeout. row:F3"""
        vector = vectors("timers")["non_invite_client_udp_no_response"]
        bench = Bench()
        bench.request(make_request())
        self.assertEqual(bench.said(), [">OPTIONS"])
        said = bench.wait_until(100)
        self.assertEqual([0.0] + [when for when, what in said if what == [">OPTIONS"]], vector["send_at"])
        self.assertEqual(said[-1], (vector["timer_F_fires"], ["user:timeout"]))
        self.assertEqual(len(said), vector["sends"])
        self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_no_response_over_a_stream(self) -> None:
        """Timer F alone runs over a reliable transport: one copy, and the timeout at 64*T1. row:F3 fault:C8"""
        bench = Bench(reliable=True)
        bench.request(make_request())
        self.assertEqual(bench.said(), [">OPTIONS"])
        self.assertEqual(bench.wait_until(100), [(32.0, ["user:timeout"])])

    def test_t2_after_a_provisional_response(self) -> None:
        """17.1.2.2: in Proceeding the request is repeated every T2."""
        bench = Bench()
        transaction = bench.request(make_request())
        bench.wait_until(0.6)
        bench.response(make_response(transaction.request, 100))
        bench.said()
        said = bench.wait_until(100)
        self.assertEqual([when for when, _ in said], [1.5, 5.5, 9.5, 13.5, 17.5, 21.5, 25.5, 29.5, 32.0])

    def test_copies_are_equal(self) -> None:
        """Whatever becomes of the request object, each copy on the wire is the first one's. fault:K10"""
        bench = Bench()
        request = make_request()
        bench.request(request)
        [first] = bench.sent()
        request.headers.set("Call-ID", "another")
        request.headers.remove("Via")
        bench.now = 0.5
        bench.layer.handle_timer(bench.now)
        self.assertEqual(bench.sent(), [first])

    def test_own_durations(self) -> None:
        """T1, T2 and T4 are the caller's to choose."""
        from sip_p2p.sip.transaction.timers import Timers

        bench = Bench(timers=Timers(t1=0.1, t2=0.4, t4=1.0))
        bench.request(make_request())
        bench.said()
        said = bench.wait_until(10)
        self.assertEqual([round(when, 6) for when, _ in said[:4]], [0.1, 0.3, 0.7, 1.1])
        self.assertEqual((round(said[-1][0], 6), said[-1][1]), (6.4, ["user:timeout"]))


class AbandonTests(SynchronousTestCase):
    """A request whose outcome nobody wants any more."""

    def test_silence(self) -> None:
        """F9: an abandoned request is not repeated, its late responses are absorbed, and its user is let go."""
        for reliable in (False, True):
            for status in (100, 200, 404):
                bench = Bench(reliable)
                transaction = bench.request(make_request())
                transaction.user = object()
                bench.said()
                bench.layer.abandon(transaction, 0.1)
                self.assertIsNone(transaction.user)
                self.assertEqual(bench.wait_until(20), [])
                self.assertTrue(bench.response(make_response(transaction.request, status)))
                self.assertEqual(bench.said(), [])
                self.assertEqual(counts(bench.layer.counters), {"responses_unwanted": 1})
                self.assertEqual(bench.wait_until(100), [])
                self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_other_ends(self) -> None:
        """Neither the timeout nor the loss of the flow is reported for an abandoned request."""
        bench = Bench()
        for end in (lambda: bench.wait_until(100), bench.fail):
            transaction = bench.request(make_request())
            bench.said()
            bench.layer.abandon(transaction, bench.now)
            bench.layer.abandon(transaction, bench.now)
            end()
            self.assertEqual(bench.said(), [])
            self.assertEqual(bench.state(transaction), "terminated")

    def test_too_late(self) -> None:
        """To abandon what has ended changes nothing."""
        bench = Bench()
        transaction = bring(bench, "completed")
        bench.layer.abandon(transaction, bench.now)
        self.assertFalse(transaction.is_abandoned)
