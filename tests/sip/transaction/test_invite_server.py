"""The machine of Figure 7 with RFC 6026, pair by pair, and what it puts on the wire."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded
from sip_p2p.sip.transaction.base import ServerTransaction
from tests.sip.transaction.support import ABSENT, IDLE, Bench, Row, ack_for, counts, make_request, make_response
from tests.support import vectors

STATES = ("proceeding", "ringing", "completed", "confirmed", "accepted", "terminated")
INPUTS = (
    *("INVITE", "ACK", "user 1xx", "user 2xx", "user 3xx-6xx"),
    *("PROVISIONAL", "G", "H", "I", "L", "flow lost"),
)

TABLE: list[Row] = [
    # state, input, over an unreliable transport, over a reliable one; ringing is Proceeding after a provisional
    ("proceeding", "INVITE", "proceeding counted:requests_again", "proceeding counted:requests_again"),
    ("proceeding", "ACK", "proceeding counted:acks_unexpected", "proceeding counted:acks_unexpected"),
    ("proceeding", "user 1xx", "proceeding >180", "proceeding >180"),
    ("proceeding", "user 2xx", "accepted >200", "accepted >200"),
    ("proceeding", "user 3xx-6xx", "completed >486", "completed >486"),
    ("proceeding", "PROVISIONAL", "proceeding >100", "proceeding >100"),
    ("proceeding", "G", IDLE, IDLE),
    ("proceeding", "H", IDLE, IDLE),
    ("proceeding", "I", IDLE, IDLE),
    ("proceeding", "L", IDLE, IDLE),
    ("proceeding", "flow lost", "terminated user:abandoned", "terminated user:abandoned"),
    ("ringing", "INVITE", "proceeding >183", "proceeding >183"),
    ("ringing", "ACK", "proceeding counted:acks_unexpected", "proceeding counted:acks_unexpected"),
    ("ringing", "user 1xx", "proceeding >180", "proceeding >180"),
    ("ringing", "user 2xx", "accepted >200", "accepted >200"),
    ("ringing", "user 3xx-6xx", "completed >486", "completed >486"),
    ("ringing", "PROVISIONAL", IDLE, IDLE),
    ("ringing", "G", IDLE, IDLE),
    ("ringing", "H", IDLE, IDLE),
    ("ringing", "I", IDLE, IDLE),
    ("ringing", "L", IDLE, IDLE),
    ("ringing", "flow lost", "terminated user:abandoned", "terminated user:abandoned"),
    ("completed", "INVITE", "completed >486", "completed >486"),
    ("completed", "ACK", "confirmed", "terminated"),
    ("completed", "user 1xx", "completed !AlreadyResponded", "completed !AlreadyResponded"),
    ("completed", "user 2xx", "completed !AlreadyResponded", "completed !AlreadyResponded"),
    ("completed", "user 3xx-6xx", "completed !AlreadyResponded", "completed !AlreadyResponded"),
    ("completed", "PROVISIONAL", IDLE, IDLE),
    ("completed", "G", "completed >486", IDLE),
    ("completed", "H", "terminated counted:acks_missing", "terminated counted:acks_missing"),
    ("completed", "I", IDLE, IDLE),
    ("completed", "L", IDLE, IDLE),
    ("completed", "flow lost", "terminated counted:flow_failures", "terminated counted:flow_failures"),
    ("confirmed", "INVITE", "confirmed counted:requests_again", ABSENT),
    ("confirmed", "ACK", "confirmed counted:requests_again", ABSENT),
    ("confirmed", "user 1xx", "confirmed !AlreadyResponded", ABSENT),
    ("confirmed", "user 2xx", "confirmed !AlreadyResponded", ABSENT),
    ("confirmed", "user 3xx-6xx", "confirmed !AlreadyResponded", ABSENT),
    ("confirmed", "PROVISIONAL", IDLE, ABSENT),
    ("confirmed", "G", IDLE, ABSENT),
    ("confirmed", "H", IDLE, ABSENT),
    ("confirmed", "I", "terminated", ABSENT),
    ("confirmed", "L", IDLE, ABSENT),
    ("confirmed", "flow lost", "confirmed", ABSENT),
    ("accepted", "INVITE", "accepted counted:requests_again", "accepted counted:requests_again"),
    ("accepted", "ACK", "accepted user:ACK", "accepted user:ACK"),
    ("accepted", "user 1xx", "accepted !AlreadyResponded", "accepted !AlreadyResponded"),
    ("accepted", "user 2xx", "accepted >200", "accepted >200"),
    ("accepted", "user 3xx-6xx", "accepted !AlreadyResponded", "accepted !AlreadyResponded"),
    ("accepted", "PROVISIONAL", IDLE, IDLE),
    ("accepted", "G", IDLE, IDLE),
    ("accepted", "H", IDLE, IDLE),
    ("accepted", "I", IDLE, IDLE),
    ("accepted", "L", "terminated", "terminated"),
    ("accepted", "flow lost", "terminated counted:flow_failures", "terminated counted:flow_failures"),
    ("terminated", "INVITE", "proceeding new", "proceeding new"),
    ("terminated", "ACK", "terminated user:ACK", "terminated user:ACK"),
    ("terminated", "user 1xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 2xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "user 3xx-6xx", "terminated !AlreadyResponded", "terminated !AlreadyResponded"),
    ("terminated", "PROVISIONAL", IDLE, IDLE),
    ("terminated", "G", IDLE, IDLE),
    ("terminated", "H", IDLE, IDLE),
    ("terminated", "I", IDLE, IDLE),
    ("terminated", "L", IDLE, IDLE),
    ("terminated", "flow lost", "terminated", "terminated"),
]

STATUS = {"user 1xx": 180, "user 2xx": 200, "user 3xx-6xx": 486}


def bring(bench: Bench, state: str) -> ServerTransaction:
    """A transaction in *state*, or as near to it as this transport allows."""
    transaction = bench.receive_new(make_request("INVITE"))
    if state == "ringing":
        bench.respond(transaction, 183)
    elif state in ("completed", "confirmed"):
        bench.respond(transaction, 486)
        if state == "confirmed":
            acknowledge(bench)
    elif state in ("accepted", "terminated"):
        bench.respond(transaction, 200)
        if state == "terminated":
            bench.fire(transaction, "L")
    bench.said()
    return transaction


def acknowledge(bench: Bench) -> None:
    """Receive the ACK with the INVITE's branch."""
    request = make_request("INVITE")
    assert bench.receive(ack_for(request, make_response(request, 486))) is None


def apply(bench: Bench, transaction: ServerTransaction, what: str) -> object:
    """Give the machine the input *what*."""
    if what in STATUS:
        return bench.respond(transaction, STATUS[what])
    if what == "INVITE":
        return None if bench.receive(make_request("INVITE")) is None else "new"
    if what == "ACK":
        return acknowledge(bench)
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
        """17.2.1, RFC 6026: each input in each state leads where the table says. row:G9 fault:C4 fault:C8"""
        for state, what, *expected in TABLE:
            for reliable in (False, True):
                bench = Bench(reliable)
                transaction = bring(bench, state)
                if expected[reliable] == ABSENT:
                    self.assertEqual(bench.state(transaction), "terminated", (state, what))
                    continue
                self.assertEqual(bench.state(transaction), "proceeding" if state == "ringing" else state)
                outcome = bench.outcome(transaction, lambda b=bench, t=transaction, w=what: apply(b, t, w))
                if outcome.endswith(" new"):
                    outcome = "proceeding new"
                self.assertEqual(outcome, expected[reliable], (state, what, reliable))


class WireTests(SynchronousTestCase):
    """What is sent, and when."""

    def test_no_ack_over_udp(self) -> None:
        """Timers G and H: a final response that nobody acknowledges is sent at the times of the vectors. row:F3"""
        vector = vectors("timers")["invite_server_final_non2xx_udp_no_ack"]
        bench = Bench()
        transaction = bench.receive_new(make_request("INVITE"))
        bench.respond(transaction, 486)
        self.assertEqual(bench.said(), [">486"])
        said = bench.wait_until(vector["timer_H_fires"] - 0.001)
        self.assertEqual([0.0] + [when for when, what in said if what == [">486"]], vector["send_at"])
        self.assertEqual(bench.state(transaction), "completed")
        self.assertEqual(bench.wait_until(vector["timer_H_fires"]), [])
        self.assertEqual(bench.state(transaction), "terminated")
        self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_no_ack_over_a_stream(self) -> None:
        """Timer G never runs over a reliable transport, timer H does. row:F3 fault:C8"""
        bench = Bench(reliable=True)
        transaction = bring(bench, "completed")
        self.assertEqual(bench.wait_until(100), [])
        self.assertEqual(bench.state(transaction), "terminated")
        self.assertEqual(counts(bench.layer.counters), {"acks_missing": 1})

    def test_100_after_200_milliseconds(self) -> None:
        """17.2.1: a user that is silent for 200 ms is covered by a 100; after that it may take its time."""
        for reliable in (False, True):
            bench = Bench(reliable)
            transaction = bench.receive_new(make_request("INVITE"))
            self.assertEqual(bench.wait_until(10_000), [(0.2, [">100"])])
            self.assertEqual(bench.state(transaction), "proceeding")

    def test_no_100_after_any_response(self) -> None:
        """17.2.1: a user that is quick enough needs no 100."""
        for status in (100, 183, 200, 486):
            bench = Bench(reliable=True)
            transaction = bench.receive_new(make_request("INVITE"))
            bench.now = 0.199
            bench.respond(transaction, status)
            self.assertEqual(bench.said(), [f">{status}"])
            self.assertEqual(bench.wait_until(10), [])

    def test_last_provisional_is_repeated(self) -> None:
        """17.2.1: a retransmitted INVITE gets the most recent provisional response."""
        bench = Bench()
        transaction = bench.receive_new(make_request("INVITE"))
        for status in (100, 183, 180):
            bench.respond(transaction, status)
        bench.said()
        bench.receive(make_request("INVITE"))
        self.assertEqual(bench.said(), [">180"])

    def test_accepted_lasts_over_every_transport(self) -> None:
        """RFC 6026 section 7.1: Accepted ends with timer L, after 32 s; the user repeats its 2xx by itself."""
        for reliable in (False, True):
            bench = Bench(reliable)
            transaction = bring(bench, "accepted")
            self.assertEqual(bench.wait_until(vectors("timers")["rfc6026"]["L"] - 0.001), [])
            bench.respond(transaction, 200)
            self.assertEqual(bench.said(), [">200"])
            bench.wait_until(vectors("timers")["rfc6026"]["L"])
            self.assertEqual(bench.state(transaction), "terminated")
            self.assertRaises(AlreadyResponded, bench.respond, transaction, 200)

    def test_accepted_holds_little(self) -> None:
        """Of an accepted INVITE only what responses copy is kept, and a fork's 2xx is still answered from it."""
        bench = Bench(reliable=True)
        request = make_request("INVITE")
        request.headers.add("Subject", "long")
        request.body = b"v=0"
        transaction = bench.receive_new(request)
        self.assertIs(transaction.request, request)
        bench.respond(transaction, 200)
        kept = transaction.request
        self.assertEqual((sorted(kept.headers.names()), kept.body), (["CSeq", "Call-ID", "From", "To", "Via"], b""))
        bench.respond(transaction, 200)
        self.assertEqual(bench.said(), [">200", ">200"])

    def test_unwritable_response(self) -> None:
        """A response that cannot be written is refused in every state that could send it, and changes nothing."""
        for state, status in (("proceeding", 180), ("proceeding", 200), ("ringing", 486), ("accepted", 200)):
            bench = Bench()
            transaction = bring(bench, state)
            before = bench.state(transaction)
            response = make_response(transaction.request, status)
            response.reason = "no\r\nway"
            self.assertRaises(ValueError, bench.layer.respond, transaction, response, bench.now)
            self.assertEqual((bench.state(transaction), bench.said()), (before, []))


class InterleavingTests(SynchronousTestCase):
    """CANCEL, its answer, the final response and the ACK in every order that a network can produce."""

    def test_every_order(self) -> None:
        """9.2: in every order of CANCEL, our answer, ACK and copies of the INVITE one final response goes. fault:C5"""
        steps = ("CANCEL", "answer", "ACK", "INVITE", "INVITE")
        for status in (200, 486):
            for order in sorted(set(itertools.permutations(steps))):
                self._play(order, status, reliable=False)
            # A reliable transport copies nothing.
            for order in itertools.permutations(steps[:3]):
                self._play(order, status, reliable=True)

    def _play(self, order: tuple[str, ...], status: int, reliable: bool) -> None:
        bench = Bench(reliable)
        invite = bench.receive_new(make_request("INVITE"))
        finals = []
        for step in order:
            bench.now += 0.01
            if step == "CANCEL":
                cancel = make_request("CANCEL")
                found = bench.layer.find_invite(cancel, bench.flow)
                new = bench.receive_new(cancel)
                bench.respond(new, 200 if found is not None else 481)
                bench.said()
                if found is not None and not found.is_final_sent:
                    bench.respond(found, 487)
                    finals += bench.said()
            elif step == "answer":
                if invite.is_final_sent:
                    self.assertRaises(AlreadyResponded, bench.respond, invite, 486)
                else:
                    bench.respond(invite, status)
                    finals += bench.said()
            elif step == "ACK":
                acknowledge(bench)
            else:
                self.assertIsNone(bench.receive(make_request("INVITE")))
            bench.said()
        self.assertEqual(len(finals), 1, (order, finals))
        bench.wait_until(200)
        self.assertEqual(set(bench.layer.inventory().values()), {0}, order)


class Rfc2543Tests(SynchronousTestCase):
    """17.2.3, second half: an INVITE without a unique branch, and its ACK."""

    def test_ack_by_to_tag(self) -> None:
        """The ACK of an RFC 2543 client finds its INVITE by the To tag of our response. fault:C9"""
        for branch in (None, "1", "z9hG4bK"):
            bench = Bench()
            request = make_request("INVITE", branch)
            transaction = bench.receive_new(request)
            self.assertIsNone(bench.receive(make_request("INVITE", branch)))
            bench.respond(transaction, 486)
            bench.said()
            response = make_response(request, 486)
            stranger = make_response(request, 486, "another")
            self.assertIsNone(bench.receive(ack_for(request, stranger)))
            self.assertEqual(bench.said(), ["user:ACK"])
            self.assertEqual(bench.state(transaction), "completed")
            self.assertIsNone(bench.receive(ack_for(request, response)))
            self.assertEqual(bench.state(transaction), "confirmed")
            self.assertIsNone(bench.receive(ack_for(request, response)))
            self.assertIsNone(bench.receive(make_request("INVITE", branch)))
            self.assertEqual(bench.said(), [])
            bench.wait_until(10)
            self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_response_without_to(self) -> None:
        """A final response of ours without a usable To is acknowledged by an ACK without a tag. fault:C9"""
        for to in (None, "<<>>"):
            bench = Bench(reliable=True)
            request = make_request("INVITE", None)
            transaction = bench.receive_new(request)
            response = make_response(request, 486)
            response.headers.remove("To")
            if to is not None:
                response.headers.add("To", to)
            bench.layer.respond(transaction, response, bench.now)
            bench.receive(ack_for(request, make_response(request, 100)))
            self.assertEqual(bench.state(transaction), "terminated")

    def test_every_end(self) -> None:
        """However such an INVITE ends, the way to it from its ACK goes with it. fault:C9 fault:C10"""
        for status in (200, 486):
            for end in ("time", "flow"):
                bench = Bench(reliable=True)
                transaction = bench.receive_new(make_request("INVITE", None))
                bench.respond(transaction, status)
                if end == "flow":
                    bench.fail()
                bench.wait_until(100)
                self.assertEqual(set(bench.layer.inventory().values()), {0})
