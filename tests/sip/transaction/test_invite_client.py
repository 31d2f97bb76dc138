"""The machine of Figure 5 with RFC 6026, pair by pair, and what it puts on the wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.message import Request
from sip_p2p.sip.transaction.base import ClientTransaction
from tests.sip.transaction.support import ABSENT, IDLE, Bench, Row, counts, make_request, make_response
from tests.support import vectors

STATES = ("calling", "proceeding", "completed", "accepted", "terminated")
INPUTS = ("1xx", "2xx", "3xx-6xx", "A", "B", "D", "M", "flow lost")

TABLE: list[Row] = [
    # state, input, over an unreliable transport, over a reliable one
    ("calling", "1xx", "proceeding user:180", "proceeding user:180"),
    ("calling", "2xx", "accepted user:200", "accepted user:200"),
    ("calling", "3xx-6xx", "completed >ACK user:486", "terminated >ACK user:486"),
    ("calling", "A", "calling >INVITE", IDLE),
    ("calling", "B", "terminated user:timeout", "terminated user:timeout"),
    ("calling", "D", IDLE, IDLE),
    ("calling", "M", IDLE, IDLE),
    ("calling", "flow lost", "terminated user:failed", "terminated user:failed"),
    ("proceeding", "1xx", "proceeding user:180", "proceeding user:180"),
    ("proceeding", "2xx", "accepted user:200", "accepted user:200"),
    ("proceeding", "3xx-6xx", "completed >ACK user:486", "terminated >ACK user:486"),
    ("proceeding", "A", IDLE, IDLE),
    ("proceeding", "B", IDLE, IDLE),
    ("proceeding", "D", IDLE, IDLE),
    ("proceeding", "M", IDLE, IDLE),
    ("proceeding", "flow lost", "terminated user:failed", "terminated user:failed"),
    ("completed", "1xx", "completed counted:responses_unexpected", ABSENT),
    ("completed", "2xx", "completed counted:responses_again", ABSENT),
    ("completed", "3xx-6xx", "completed >ACK", ABSENT),
    ("completed", "A", IDLE, ABSENT),
    ("completed", "B", IDLE, ABSENT),
    ("completed", "D", "terminated", ABSENT),
    ("completed", "M", IDLE, ABSENT),
    ("completed", "flow lost", "completed", ABSENT),
    ("accepted", "1xx", "accepted counted:responses_unexpected", "accepted counted:responses_unexpected"),
    ("accepted", "2xx", "accepted user:200", "accepted user:200"),
    ("accepted", "3xx-6xx", "accepted counted:responses_unexpected", "accepted counted:responses_unexpected"),
    ("accepted", "A", IDLE, IDLE),
    ("accepted", "B", IDLE, IDLE),
    ("accepted", "D", IDLE, IDLE),
    ("accepted", "M", "terminated", "terminated"),
    ("accepted", "flow lost", "terminated counted:flow_failures", "terminated counted:flow_failures"),
    ("terminated", "1xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "2xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "3xx-6xx", "terminated counted:responses_unmatched", "terminated counted:responses_unmatched"),
    ("terminated", "A", IDLE, IDLE),
    ("terminated", "B", IDLE, IDLE),
    ("terminated", "D", IDLE, IDLE),
    ("terminated", "M", IDLE, IDLE),
    ("terminated", "flow lost", "terminated", "terminated"),
]

STATUS = {"1xx": 180, "2xx": 200, "3xx-6xx": 486}


def bring(bench: Bench, state: str) -> ClientTransaction:
    """A transaction in *state*, or as near to it as this transport allows."""
    transaction = bench.request(make_request("INVITE"))
    if state == "proceeding":
        bench.response(make_response(transaction.request, 100))
    elif state == "accepted":
        bench.response(make_response(transaction.request, 200))
    elif state in ("completed", "terminated"):
        bench.response(make_response(transaction.request, 486))
        if state == "terminated":
            bench.fire(transaction, "D")
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
        """17.1.1, RFC 6026: each input in each state leads where the table says. row:G9 fault:A17 fault:C8"""
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
        """Timers A and B: seven copies at the times of the vectors, then the user hears of the timeout. row:F3"""
        vector = vectors("timers")["invite_client_udp_no_response"]
        bench = Bench()
        bench.request(make_request("INVITE"))
        self.assertEqual(bench.said(), [">INVITE"])
        said = bench.wait_until(100)
        self.assertEqual([0.0] + [when for when, what in said if what == [">INVITE"]], vector["send_at"])
        self.assertEqual(said[-1], (vector["timer_B_fires"], ["user:timeout"]))
        self.assertEqual(len(said), vector["sends"])
        self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_no_response_over_a_stream(self) -> None:
        """Timer A never runs over a reliable transport: one copy, and the timeout at 64*T1. row:F3 fault:C8"""
        bench = Bench(reliable=True)
        bench.request(make_request("INVITE"))
        self.assertEqual(bench.said(), [">INVITE"])
        self.assertEqual(bench.wait_until(100), [(32.0, ["user:timeout"])])

    def test_ringing_has_no_end_here(self) -> None:
        """17.1.1.2: after a provisional response neither A nor B runs: how long it may ring is the user's decision."""
        bench = Bench()
        transaction = bring(bench, "proceeding")
        self.assertIsNone(bench.layer.next_deadline())
        self.assertEqual(bench.wait_until(10_000), [])
        self.assertEqual(bench.state(transaction), "proceeding")

    def test_accepted_lasts_over_every_transport(self) -> None:
        """RFC 6026 section 7.2: Accepted ends with timer M, after 32 s, and passes every 2xx up until then."""
        for reliable in (False, True):
            bench = Bench(reliable)
            transaction = bring(bench, "accepted")
            for fork in ("one", "two", "one"):
                bench.response(make_response(transaction.request, 200, fork))
            self.assertEqual(bench.said(), ["user:200"] * 3)
            bench.wait_until(vectors("timers")["rfc6026"]["M"] - 0.001)
            self.assertEqual(bench.state(transaction), "accepted")
            bench.wait_until(vectors("timers")["rfc6026"]["M"])
            self.assertEqual(bench.state(transaction), "terminated")

    def test_timer_d_lasts_32_seconds(self) -> None:
        """17.1.1.2: D is at least 32 s whatever T1 is, because the peer may have another."""
        from sip_p2p.sip.transaction.timers import Timers

        bench = Bench(timers=Timers(t1=0.01, t2=0.1, t4=0.1))
        transaction = bring(bench, "completed")
        bench.wait_until(31.9)
        self.assertEqual(bench.state(transaction), "completed")
        bench.wait_until(32.0)
        self.assertEqual(bench.state(transaction), "terminated")


class AckTests(SynchronousTestCase):
    """17.1.1.3: the ACK for a final response of 300 and above."""

    def test_fields(self) -> None:
        """The ACK has the INVITE's Request-URI, top Via, Route, From, Call-ID and number, and the response's To."""
        request = make_request(
            "INVITE",
            cseq=7,
            fields=[
                ("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKbelow"),
                ("Route", "<sip:p1;lr>"),
                ("Route", "<sip:p2;lr>"),
            ],
        )
        bench = Bench()
        bench.request(request)
        bench.said()
        bench.response(make_response(request, 486, "its-tag"))
        [ack] = bench.sent()
        self.assertEqual(
            ack.decode(),
            "ACK sip:b@b.example SIP/2.0\r\n"
            "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone\r\n"
            "Max-Forwards: 70\r\n"
            "Route: <sip:p1;lr>\r\n"
            "Route: <sip:p2;lr>\r\n"
            "From: <sip:a@a.example>;tag=caller\r\n"
            "To: <sip:b@b.example>;tag=its-tag\r\n"
            "Call-ID: call\r\n"
            "CSeq: 7 ACK\r\n"
            "Content-Length: 0\r\n\r\n",
        )

    def test_example(self) -> None:
        """The example of RFC 3261 section 17.1.1.3."""
        request = Request("INVITE", "sip:bob@biloxi.com")
        for name, value in (
            ("Via", "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff"),
            ("To", "Bob <sip:bob@biloxi.com>"),
            ("From", "Alice <sip:alice@atlanta.com>;tag=88sja8x"),
            ("Max-Forwards", "70"),
            ("Call-ID", "987asjd97y7atg"),
            ("CSeq", "986759 INVITE"),
        ):
            request.headers.add(name, value)
        bench = Bench()
        bench.request(request)
        bench.said()
        bench.response(make_response(request, 486, "99sa0xk"))
        [ack] = bench.sent()
        self.assertEqual(
            sorted(ack.decode().split("\r\n")),
            sorted(
                """ACK sip:bob@biloxi.com SIP/2.0
Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff
To: Bob <sip:bob@biloxi.com>;tag=99sa0xk
From: Alice <sip:alice@atlanta.com>;tag=88sja8x
Max-Forwards: 70
Call-ID: 987asjd97y7atg
CSeq: 986759 ACK
Content-Length: 0

""".split("\n")
            ),
        )

    def test_only_the_top_via(self) -> None:
        """A Via field that lists two values gives the ACK the first."""
        request = make_request("INVITE")
        request.headers.set("Via", 'SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone;x="a,b", SIP/2.0/UDP 192.0.2.9')
        bench = Bench()
        bench.request(request)
        bench.said()
        bench.response(make_response(request, 486))
        [ack] = bench.sent()
        self.assertIn(b'\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone;x="a,b"\r\n', ack)

    def test_the_same_again(self) -> None:
        """A retransmitted final response gets the same ACK, and the user does not see it. fault:C8"""
        bench = Bench()
        transaction = bring(bench, "calling")
        for _ in range(3):
            bench.response(make_response(transaction.request, 503))
        [first, told, second, third] = bench.outputs
        self.assertEqual({first.data, second.data, third.data}, {first.data})
        self.assertEqual(told.response.status, 503)
        self.assertEqual(
            counts(bench.layer.counters), {"responses_again": 2, "requests_repeated": 2}, "two of the three came again"
        )

    def test_request_that_was_changed(self) -> None:
        """What the caller does to its request after sending it does not reach the ACK. fault:K10"""
        bench = Bench()
        transaction = bring(bench, "calling")
        response = make_response(transaction.request, 486)
        transaction.request.headers.set("From", "<sip:mallory@m.example>")
        transaction.request.headers.remove("Call-ID")
        transaction.request.uri_text = "sip:m@m.example"
        bench.response(response)
        [ack] = bench.sent()
        self.assertIn(b"ACK sip:b@b.example SIP/2.0", ack)
        self.assertIn(b"From: <sip:a@a.example>;tag=caller", ack)
        self.assertIn(b"Call-ID: call", ack)

    def test_response_with_a_quoted_nul(self) -> None:
        """The To of a refusal goes into the ACK as it came, a NUL in a quoted-pair included. fault:A12"""
        bench = Bench()
        transaction = bring(bench, "calling")
        response = make_response(transaction.request, 486)
        names, values = response.headers.parallel_lists()
        values[names.index("To")] = '"\\\0" <sip:b@b.example>;tag=x'
        bench.response(response)
        self.assertIn(b'\r\nTo: "\\\0" <sip:b@b.example>;tag=x\r\n', bench.sent()[0])

    def test_response_without_to(self) -> None:
        """A final response that lost its To is acknowledged with ours: the peer must stop retransmitting. fault:A17"""
        bench = Bench()
        transaction = bring(bench, "calling")
        response = make_response(transaction.request, 486)
        response.headers.remove("To")
        bench.response(response)
        self.assertIn(b"\r\nTo: <sip:b@b.example>\r\n", bench.sent()[0])


class AbandonTests(SynchronousTestCase):
    """An INVITE whose outcome nobody wants any more."""

    def test_in_every_state(self) -> None:
        """F9: an abandoned INVITE is not reported, acknowledges a failure, and ends after at most 64*T1."""
        for reliable in (False, True):
            for state in ("calling", "proceeding", "accepted"):
                for status in (None, 180, 200, 486):
                    bench = Bench(reliable)
                    transaction = bring(bench, state)
                    bench.layer.abandon(transaction, bench.now)
                    self.assertEqual(bench.wait_until(20), [], (state, status))
                    if status is not None:
                        self.assertTrue(bench.response(make_response(transaction.request, status)))
                    acknowledged = [">ACK"] if status == 486 and state != "accepted" else []
                    self.assertEqual(bench.said(), acknowledged, (state, status))
                    self.assertEqual(bench.wait_until(100), [])
                    self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_lost_flow(self) -> None:
        """The loss of the flow is not reported for an abandoned INVITE. fault:C4"""
        bench = Bench(reliable=True)
        transaction = bring(bench, "proceeding")
        bench.layer.abandon(transaction, bench.now)
        bench.fail()
        self.assertEqual(bench.said(), [])
        self.assertEqual(bench.state(transaction), "terminated")
