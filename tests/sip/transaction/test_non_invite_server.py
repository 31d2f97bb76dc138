"""The machine of Figure 8 with RFC 4320, pair by pair, and what it puts on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded, InvalidOperation
from sip_p2p.sip.transaction.base import ServerTransaction
from tests.sip.transaction.support import ABSENT, IDLE, Bench, Row, counts, make_request, make_response
from tests.support import vectors

STATES = ("trying", "proceeding", "overdue", "completed", "terminated")
INPUTS = (
    *("request", "user 100", "user 1xx", "user 2xx", "user 408", "user 3xx-6xx"),
    *("TRYING", "ANSWER", "EXPIRY", "J", "flow lost"),
)

TABLE: list[Row] = [
    # state, input, over an unreliable transport, over a reliable one; overdue is Proceeding after the answer deadline
    ("trying", "request", "trying counted:requests_again", "trying counted:requests_again"),
    ("trying", "user 100", "trying", "proceeding >100"),
    ("trying", "user 1xx", "trying !InvalidOperation", "trying !InvalidOperation"),
    ("trying", "user 2xx", "completed >200", "terminated >200"),
    ("trying", "user 408", "trying !InvalidOperation", "trying !InvalidOperation"),
    ("trying", "user 3xx-6xx", "completed >404", "terminated >404"),
    ("trying", "TRYING", "proceeding >100", "proceeding >100"),
    ("trying", "ANSWER", IDLE, IDLE),
    ("trying", "EXPIRY", IDLE, IDLE),
    ("trying", "J", IDLE, IDLE),
    ("trying", "flow lost", "terminated user:abandoned", "terminated user:abandoned"),
    ("proceeding", "request", "proceeding >100", "proceeding >100"),
    ("proceeding", "user 100", "proceeding >100", "proceeding >100"),
    ("proceeding", "user 1xx", "proceeding !InvalidOperation", "proceeding !InvalidOperation"),
    ("proceeding", "user 2xx", "completed >200", "terminated >200"),
    ("proceeding", "user 408", "proceeding !InvalidOperation", "proceeding !InvalidOperation"),
    ("proceeding", "user 3xx-6xx", "completed >404", "terminated >404"),
    ("proceeding", "TRYING", IDLE, IDLE),
    ("proceeding", "ANSWER", "proceeding user:abandoned", "proceeding user:abandoned"),
    ("proceeding", "EXPIRY", IDLE, IDLE),
    ("proceeding", "J", IDLE, IDLE),
    ("proceeding", "flow lost", "terminated user:abandoned", "terminated user:abandoned"),
    ("overdue", "request", "proceeding >100", "proceeding >100"),
    ("overdue", "user 100", "proceeding >100", "proceeding >100"),
    ("overdue", "user 1xx", "proceeding !InvalidOperation", "proceeding !InvalidOperation"),
    ("overdue", "user 2xx", "completed >200", "terminated >200"),
    ("overdue", "user 408", "proceeding !InvalidOperation", "proceeding !InvalidOperation"),
    ("overdue", "user 3xx-6xx", "completed >404", "terminated >404"),
    ("overdue", "TRYING", IDLE, IDLE),
    ("overdue", "ANSWER", IDLE, IDLE),
    ("overdue", "EXPIRY", "terminated", "terminated"),
    ("overdue", "J", IDLE, IDLE),
    ("overdue", "flow lost", "terminated counted:flow_failures", "terminated counted:flow_failures"),
    ("completed", "request", "completed >200", ABSENT),
    ("completed", "user 100", "completed !AlreadyResponded", ABSENT),
    ("completed", "user 1xx", "completed !AlreadyResponded", ABSENT),
    ("completed", "user 2xx", "completed !AlreadyResponded", ABSENT),
    ("completed", "user 408", "completed !AlreadyResponded", ABSENT),
    ("completed", "user 3xx-6xx", "completed !AlreadyResponded", ABSENT),
    ("completed", "TRYING", IDLE, ABSENT),
    ("completed", "ANSWER", IDLE, ABSENT),
    ("completed", "EXPIRY", IDLE, ABSENT),
    ("completed", "J", "terminated", ABSENT),
    ("completed", "flow lost", "completed", ABSENT),
    ("terminated", "request", "trying new", "trying new"),
    ("terminated", "user 100", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 1xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 2xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 408", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 3xx-6xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "TRYING", IDLE, IDLE),
    ("terminated", "ANSWER", IDLE, IDLE),
    ("terminated", "EXPIRY", IDLE, IDLE),
    ("terminated", "J", IDLE, IDLE),
    ("terminated", "flow lost", "terminated", "terminated"),
]

STATUS = {"user 100": 100, "user 1xx": 183, "user 2xx": 200, "user 408": 408, "user 3xx-6xx": 404}


def bring(bench: Bench, state: str) -> ServerTransaction:
    """A transaction in *state*, or as near to it as this transport allows."""
    transaction = bench.receive_new(make_request())
    if state in ("proceeding", "overdue"):
        bench.fire(transaction, "TRYING")
        if state == "overdue":
            bench.fire(transaction, "ANSWER")
    elif state in ("completed", "terminated"):
        bench.respond(transaction, 200)
        if state == "terminated":
            bench.fire(transaction, "J")
    bench.said()
    return transaction


def apply(bench: Bench, transaction: ServerTransaction, what: str) -> object:
    """Give the machine the input *what*."""
    if what in STATUS:
        return bench.respond(transaction, STATUS[what])
    if what == "request":
        return None if bench.receive(make_request()) is None else "new"
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
        """17.2.2, RFC 4320: each input in each state leads where the table says. row:G9 fault:C4 fault:C8"""
        for state, what, *expected in TABLE:
            for reliable in (False, True):
                bench = Bench(reliable)
                transaction = bring(bench, state)
                if expected[reliable] == ABSENT:
                    self.assertEqual(bench.state(transaction), "terminated", (state, what))
                    continue
                self.assertEqual(bench.state(transaction), "proceeding" if state == "overdue" else state)
                outcome = bench.outcome(transaction, lambda b=bench, t=transaction, w=what: apply(b, t, w))
                if outcome.endswith(" new"):
                    outcome = "trying new"
                self.assertEqual(outcome, expected[reliable], (state, what, reliable))


class WireTests(SynchronousTestCase):
    """What is sent, and when."""

    def test_silent_user(self) -> None:
        """RFC 4320: 100 at 3.5 s, the report at 30 s, the end at 32 s without a word, over every transport."""
        for reliable in (False, True):
            bench = Bench(reliable)
            transaction = bench.receive_new(make_request())
            self.assertEqual(bench.wait_until(100), [(3.5, [">100"]), (30.0, ["user:abandoned"])])
            self.assertEqual(bench.state(transaction), "terminated")
            self.assertEqual(counts(bench.layer.counters), {"unanswered": 1})
            self.assertEqual(set(bench.layer.inventory().values()), {0})
            self.assertIsNone(bench.layer.next_deadline())

    def test_answer_after_the_report(self) -> None:
        """A request that was reported as abandoned can be answered once, and only before the client has given up."""
        bench = Bench(reliable=True)
        transaction = bench.receive_new(make_request())
        bench.wait_until(30.0)
        self.assertFalse(transaction.is_final_sent)
        bench.respond(transaction, 500)
        self.assertEqual(bench.said(), [">500"])
        self.assertTrue(transaction.is_final_sent)
        self.assertRaises(AlreadyResponded, bench.respond, transaction, 500)
        late = bench.receive_new(make_request())
        bench.wait_until(62.0)
        bench.said()
        self.assertRaises(AlreadyResponded, bench.respond, late, 500)

    def test_own_answer_deadline(self) -> None:
        """The answer deadline is the caller's to choose."""
        from sip_p2p.sip.transaction.timers import Timers

        bench = Bench(timers=Timers(answer_deadline=10))
        bench.receive_new(make_request())
        self.assertEqual(bench.wait_until(100), [(3.5, [">100"]), (10.0, ["user:abandoned"])])

    def test_100_waits_over_udp(self) -> None:
        """RFC 4320 section 4.1: a 100 that the user gives too early over UDP goes out when the time has come."""
        bench = Bench()
        transaction = bench.receive_new(make_request())
        bench.respond(transaction, 100)
        bench.receive(make_request())
        self.assertEqual(bench.said(), [])
        self.assertEqual(bench.wait_until(4), [(3.5, [">100"])])

    def test_early_100_over_a_stream(self) -> None:
        """RFC 4320 section 4.1: over a reliable transport a 100 may go at any time, and is not repeated by itself."""
        bench = Bench(reliable=True)
        transaction = bench.receive_new(make_request())
        bench.respond(transaction, 100)
        self.assertEqual(bench.said(), [">100"])
        self.assertEqual(bench.wait_until(100), [(30.0, ["user:abandoned"])])

    def test_forbidden_responses_leave_the_request_open(self) -> None:
        """RFC 4320: 408 and a provisional response but 100 are refused, and another response may follow. row:G9"""
        bench = Bench()
        transaction = bench.receive_new(make_request())
        for status in (101, 180, 199, 408):
            error = self.assertRaises(InvalidOperation, bench.respond, transaction, status)
            self.assertNotIsInstance(error, AlreadyResponded)
        bench.respond(transaction, 202)
        self.assertEqual(bench.said(), [">202"])

    def test_unwritable_response(self) -> None:
        """A response that cannot be written is refused, and the request can still be answered."""
        bench = Bench()
        transaction = bench.receive_new(make_request())
        response = make_response(transaction.request, 200)
        response.reason = "OK\r\nX: y"
        self.assertRaises(ValueError, bench.layer.respond, transaction, response, bench.now)
        self.assertEqual(bench.said(), [])
        bench.respond(transaction, 200)
        self.assertEqual(bench.said(), [">200"])

    def test_100_without_a_timestamp_that_is_none(self) -> None:
        """A Timestamp that is no number, a quoted NUL above all, neither stands in our 100 nor stops the timers.
        fault:A12"""
        for value in ("\\\0", "soon", '"5"', ""):
            bench = Bench()
            request = make_request()
            names, values = request.headers.parallel_lists()
            names.append("Timestamp")
            values.append(value)
            transaction = bench.receive_new(request)
            bench.now = 3.5
            bench.layer.handle_timer(bench.now)
            [trying] = bench.sent()
            self.assertNotIn(b"Timestamp", trying)
            bench.now = 40.0
            bench.layer.handle_timer(bench.now)
            bench.layer.handle_timer(bench.now + 10)
            self.assertFalse(bench.is_live(transaction))

    def test_100_is_made_from_the_request_as_it_came(self) -> None:
        """8.2.6: our 100 has the Via, From, To, Call-ID, CSeq and Timestamp of the request, untouched. fault:K10"""
        bench = Bench()
        request = make_request(fields=[("Timestamp", "54"), ("Subject", "secret"), ("Via", "SIP/2.0/UDP 192.0.2.9")])
        bench.receive_new(request)
        request.headers.remove("Via")
        request.headers.set("Call-ID", "another")
        request.headers.set("CSeq", "99 INFO")
        bench.now = 3.5
        bench.layer.handle_timer(bench.now)
        [trying] = bench.sent()
        head = trying.decode().split("\r\n")
        self.assertEqual(head[0], "SIP/2.0 100 Trying")
        self.assertEqual(
            sorted(head[1:-2]),
            [
                "CSeq: 1 OPTIONS",
                "Call-ID: call",
                "Content-Length: 0",
                "From: <sip:a@a.example>;tag=caller",
                "Timestamp: 54",
                "To: <sip:b@b.example>",
                "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone",
                "Via: SIP/2.0/UDP 192.0.2.9",
            ],
        )

    def test_retransmissions_get_the_same_octets(self) -> None:
        """17.2.2: while timer J runs, every copy of the request gets the response that the first one got. row:G9"""
        bench = Bench()
        transaction = bench.receive_new(make_request())
        bench.respond(transaction, 200)
        [first] = bench.sent()
        for now in (0.5, 1.5, 3.5, 31.9):
            bench.now = now
            self.assertIsNone(bench.receive(make_request()))
            self.assertEqual(bench.sent(), [first])
        bench.now = 32.0
        self.assertIsNotNone(bench.receive(make_request()))

    def test_zero_timers(self) -> None:
        """Over a reliable transport D, I, J and K are zero, as in the vectors: nothing waits after the end. fault:C8"""
        reliable = vectors("timers")["reliable_transport"]
        self.assertEqual({reliable[name] for name in "DIJK"}, {0})
        bench = Bench(reliable=True)
        bench.respond(bench.receive_new(make_request()), 200)
        self.assertEqual(set(bench.layer.inventory().values()), {0})
        self.assertIsNone(bench.layer.next_deadline())
