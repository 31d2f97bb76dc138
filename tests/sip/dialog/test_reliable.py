"""Provisional responses that arrive: every pair of a state and an input, the examples of RFC 3262, and lossy wires."""

from __future__ import annotations

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.reliable import (
    RAck,
    ReliableReceiver,
    ReliableSender,
    first_rseq,
    parse_rack,
    rseq_of,
)
from sip_p2p.sip.fields import CSeq
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.timers import Timers
from tests.support import vectors

INVITE = CSeq(314159, "INVITE")

STATES = ("idle", "out", "queued", "next", "final", "final-out", "given-up")
INPUTS = ("send", "PRACK", "another RAck", "no RAck", "its turn", "too early", "interval over", "64*T1 over", "stop")

TABLE = [
    # state, input, what follows; out waits for its PRACK, queued is one more behind it, next is one whose turn it is,
    # and final-out is a final response that overtook what was out
    ("idle", "send", "out >180"),
    ("idle", "PRACK", "idle 481"),
    ("idle", "another RAck", "idle 481"),
    ("idle", "no RAck", "idle 400"),
    ("idle", "its turn", "idle"),
    ("idle", "too early", "idle"),
    ("idle", "interval over", "idle"),
    ("idle", "64*T1 over", "idle"),
    ("idle", "stop", "final"),
    ("out", "send", "queued"),
    ("out", "PRACK", "idle 200"),
    ("out", "another RAck", "out 481"),
    ("out", "no RAck", "out 400"),
    ("out", "its turn", "out"),
    ("out", "too early", "out"),
    ("out", "interval over", "out >180"),
    ("out", "64*T1 over", "given-up"),
    ("out", "stop", "final-out"),
    ("queued", "send", "queued"),
    ("queued", "PRACK", "next 200"),
    ("queued", "another RAck", "queued 481"),
    ("queued", "no RAck", "queued 400"),
    ("queued", "its turn", "queued"),
    ("queued", "too early", "queued"),
    ("queued", "interval over", "queued >180"),
    ("queued", "64*T1 over", "given-up"),
    ("queued", "stop", "final-out"),
    ("next", "send", "next"),
    ("next", "PRACK", "next 481"),
    ("next", "another RAck", "next 481"),
    ("next", "no RAck", "next 400"),
    ("next", "its turn", "out >180"),
    ("next", "too early", "next"),
    ("next", "interval over", "next"),
    ("next", "64*T1 over", "next"),
    ("next", "stop", "final"),
    ("final", "send", "final !InvalidOperation"),
    ("final", "PRACK", "final 481"),
    ("final", "another RAck", "final 481"),
    ("final", "no RAck", "final 400"),
    ("final", "its turn", "final"),
    ("final", "too early", "final"),
    ("final", "interval over", "final"),
    ("final", "64*T1 over", "final"),
    ("final", "stop", "final"),
    ("final-out", "send", "final-out !InvalidOperation"),
    ("final-out", "PRACK", "final 200"),
    ("final-out", "another RAck", "final-out 481"),
    ("final-out", "no RAck", "final-out 400"),
    ("final-out", "its turn", "final-out"),
    ("final-out", "too early", "final-out"),
    ("final-out", "interval over", "final-out"),
    ("final-out", "64*T1 over", "final-out"),
    ("final-out", "stop", "final-out"),
    ("given-up", "send", "given-up !InvalidOperation"),
    ("given-up", "PRACK", "given-up 481"),
    ("given-up", "another RAck", "given-up 481"),
    ("given-up", "no RAck", "given-up 400"),
    ("given-up", "its turn", "given-up"),
    ("given-up", "too early", "given-up"),
    ("given-up", "interval over", "given-up"),
    ("given-up", "64*T1 over", "given-up"),
    ("given-up", "stop", "given-up"),
]

ORDERS = [
    # RSeq values as they come, and those that are acknowledged (RFC 3262 section 4)
    ([1], [1]),
    ([1, 2, 3], [1, 2, 3]),
    ([988789, 988789], [988789]),
    ([5, 7, 6], [5, 6]),
    ([5, 7, 6, 7], [5, 6, 7]),
    ([5, 4], [5]),
    ([5, 5, 6, 6, 5, 7], [5, 6, 7]),
    ([2**32 - 2, 2**32 - 1, 0, 1], [2**32 - 2, 2**32 - 1]),
    ([0], []),
]


def provisional(status: int = 180, rseq: int | None = None, cseq: CSeq = INVITE) -> Response:
    """A provisional response to the INVITE; with *rseq* as it comes off the wire."""
    fields = [("CSeq", str(cseq))]
    if rseq is not None:
        fields += [("Require", "100rel"), ("RSeq", str(rseq))]
    return Response(status, None, Headers(fields))


def prack(rack: object) -> Request:
    """A PRACK with that RAck; None for one without."""
    return Request("PRACK", "sip:b@b.example", [] if rack is None else [("RAck", str(rack))])


class SenderBench:
    """A sender in one of the states, and the time."""

    def __init__(self, state: str = "idle") -> None:
        self.sender = ReliableSender(INVITE, 4711, Timers())
        self.now = 100.0
        if state in ("out", "queued", "next", "final-out", "given-up"):
            self.sender.send(provisional(), self.now)
        if state in ("queued", "next"):
            self.sender.send(provisional(), self.now)
        if state == "next":
            assert self.sender.prack(prack(RAck(4711, INVITE))) == 200
        elif state.startswith("final"):
            self.sender.stop()
        elif state == "given-up":
            self.sender.due(self.now + 32)

    def apply(self, what: str) -> str:
        """Give it the input *what*; what it says to that."""
        sender = self.sender
        if what in ("PRACK", "another RAck", "no RAck"):
            racks = {"PRACK": "4711 314159 INVITE", "another RAck": "4711 314160 INVITE", "no RAck": None}
            return f" {sender.prack(prack(racks[what]))}"
        if what == "send":
            try:
                sent = sender.send(provisional(), self.now)
            except InvalidOperation:
                return " !InvalidOperation"
        elif what == "stop":
            sender.stop()
            sent = None
        elif what == "its turn":
            sent = sender.following(self.now)
        else:
            sent = sender.due(self.now + {"too early": 0.499, "interval over": 0.5, "64*T1 over": 32.0}[what])
        return "" if sent is None else f" >{sent.status}"

    def state(self) -> str:
        """The state by what can be seen, in the end also by what a PRACK would do."""
        sender = self.sender
        if sender.has_given_up:
            return "given-up"
        if sender.next_deadline is not None:
            return "queued" if self._is_one_behind() else "out"
        if sender.is_waiting:
            return "next"
        acknowledges = sender.prack(prack("4711 314159 INVITE")) == 200
        try:
            sender.send(provisional(), self.now)
        except InvalidOperation:
            return "final-out" if acknowledges else "final"
        return "idle"

    def _is_one_behind(self) -> bool:
        for rseq in (4711, 4712, 4713):
            self.sender.prack(prack(RAck(rseq, INVITE)))
        return self.sender.is_waiting


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        self.assertEqual([row[:2] for row in TABLE], list(itertools.product(STATES, INPUTS)))

    def test_every_pair(self) -> None:
        """RFC 3262 section 3: each input in each state leads where the table says. row:H9"""
        for state, what, expected in TABLE:
            self.assertEqual(SenderBench(state).state(), state)
            bench = SenderBench(state)
            said = bench.apply(what)
            self.assertEqual(bench.state() + said, expected, (state, what))


class SenderTests(SynchronousTestCase):
    """The callee's half."""

    def test_times(self) -> None:
        """RFC 3262 section 3: T1, then twice that each time without the cap of T2, and an end after 64*T1. row:H9"""
        vector = vectors("timers")["reliable_1xx_no_prack"]
        bench = SenderBench("out")
        said = [0.0]
        while (deadline := bench.sender.next_deadline) is not None:
            self.assertIsNone(bench.sender.due(deadline - 0.001))
            if bench.sender.due(deadline) is not None:
                said.append(deadline - 100.0)
            else:
                self.assertEqual(deadline - 100.0, vector["gives_up"])
        self.assertEqual(said, [vector["first_interval"] * (2**number - 1) for number in range(7)])
        self.assertTrue(bench.sender.has_given_up)

    def test_late_timers(self) -> None:
        """RFC 3262 section 3: after a pause of ours nothing is sent in a burst."""
        bench = SenderBench("out")
        self.assertIsNotNone(bench.sender.due(110.0))
        self.assertIsNone(bench.sender.due(110.0))
        self.assertEqual(bench.sender.next_deadline, 111.0)

    def test_fields(self) -> None:
        """RFC 3262 sections 3 and 7.1: Require and RSeq, counted from the first one up, each time the same octets."""
        sender = ReliableSender(INVITE, 988789, Timers())
        first, second = provisional(183), provisional(180)
        self.assertIs(sender.send(first, 0.0), first)
        self.assertEqual((first.headers["Require"], first.headers["RSeq"]), ("100rel", "988789"))
        self.assertIsNone(sender.send(second, 0.1))
        self.assertNotIn("RSeq", second.headers)
        octets = first.serialise()
        again = sender.due(0.5)
        self.assertIs(again, first)
        self.assertEqual(first.serialise(), octets)
        self.assertEqual(sender.prack(prack("988789 314159 INVITE")), 200)
        self.assertIs(sender.following(0.6), second)
        self.assertEqual(second.headers["RSeq"], "988790")
        self.assertEqual(sender.next_deadline, 1.1)

    def test_what_can_be_sent(self) -> None:
        """RFC 3262 section 3: 100 is never reliable, and a final response is none of these."""
        for status in (100, 200, 486):
            self.assertRaises(ValueError, SenderBench().sender.send, provisional(status), 0.0)

    def test_bounded(self) -> None:
        """RFC 3262 section 3: of what waits for its turn there is a bound, and room again after a PRACK."""
        bench = SenderBench()
        while not bench.sender.is_full:
            bench.sender.send(provisional(), 0.0)
        error = self.assertRaises(InvalidOperation, bench.sender.send, provisional(), 0.0)
        self.assertTrue(error.retryable)
        self.assertEqual(bench.sender.prack(prack(RAck(4711, INVITE))), 200)
        self.assertIsNone(bench.sender.send(provisional(), 0.0))

    def test_prack_again(self) -> None:
        """RFC 3262 section 3: a second PRACK for the same response matches nothing that waits."""
        bench = SenderBench("out")
        self.assertEqual([bench.apply("PRACK"), bench.apply("PRACK")], [" 200", " 481"])

    def test_prack_for_others(self) -> None:
        """RFC 3262 section 3: RSeq, CSeq number and method have to be those of what is out."""
        for rack in ("4712 314159 INVITE", "4711 314158 INVITE", "4711 314159 UPDATE", "1 314159 INVITE"):
            bench = SenderBench("out")
            self.assertEqual(bench.sender.prack(prack(rack)), 481, rack)
            self.assertTrue(bench.sender.is_waiting)

    def test_first_rseq(self) -> None:
        """RFC 3262 section 3: the first RSeq is 1 to 2**31 - 1, and another one for each dialog."""
        tokens = CountingTokens()
        numbers = {first_rseq(tokens) for _ in range(1000)}
        self.assertEqual(len(numbers), 1000)
        self.assertTrue(all(1 <= number < 2**31 for number in numbers))
        self.assertTrue(any(number < 2**30 for number in numbers) and any(number >= 2**30 for number in numbers))


class ReceiverTests(SynchronousTestCase):
    """The caller's half."""

    def test_orders(self) -> None:
        """RFC 3262 section 4: what comes again or out of order is neither acknowledged nor looked at. row:H10"""
        for came, taken in ORDERS:
            receiver = ReliableReceiver()
            racks = [receiver.received(provisional(183, rseq)) for rseq in came]
            self.assertEqual([rack.rseq for rack in racks if rack is not None], taken, came)
            self.assertEqual(receiver.dropped, len(came) - len(taken))

    def test_rack(self) -> None:
        """RFC 3262 section 7.2: RAck names RSeq, and CSeq with its method."""
        rack = ReliableReceiver().received(provisional(183, 776656, CSeq(1, "INVITE")))
        self.assertEqual(str(rack), "776656 1 INVITE")

    def test_what_is_reliable(self) -> None:
        """RFC 3262 section 4: 101 to 199 with 100rel in Require and an RSeq; 100 never is, whatever it says."""
        self.assertEqual(rseq_of(provisional(183, 5)), 5)
        for status in (100, 200, 486):
            self.assertEqual(rseq_of(provisional(status, 5)), 0)
        for fields, rseq in (
            ([("Require", "100rel")], 0),
            ([("RSeq", "5")], 0),
            ([("Require", "timer"), ("RSeq", "5")], 0),
            ([("Require", "timer, 100REL"), ("RSeq", " 5 ")], 5),
            ([("Require", "timer"), ("Require", "100rel"), ("RSeq", "5")], 5),
            ([("Require", "100rel"), ("RSeq", "five")], 0),
            ([("Require", "100rel"), ("RSeq", "4294967296")], 0),
            ([("Require", "100rel"), ("RSeq", "-1")], 0),
            ([("Require", "100rel;"), ("RSeq", "5")], 0),
        ):
            self.assertEqual(rseq_of(Response(183, None, Headers(fields))), rseq, fields)


class RAckTests(SynchronousTestCase):
    """RAck as a value."""

    def test_parse(self) -> None:
        """RFC 3262 section 10: two numbers and a method, with any white space between them."""
        for text, rseq, cseq in (
            ("776656 1 INVITE", 776656, CSeq(1, "INVITE")),
            (" 1\t 2147483647   x-y ", 1, CSeq(2147483647, "x-y")),
            ("4294967295 0 INVITE", 4294967295, CSeq(0, "INVITE")),
        ):
            rack = parse_rack(text)
            self.assertEqual((rack.rseq, rack.cseq), (rseq, cseq), text)
            self.assertEqual(parse_rack(str(rack)), rack)

    def test_malformed(self) -> None:
        """RFC 3262 section 7.2: what is no RAck is refused with 400."""
        for text in (
            "",
            "1",
            "1 2",
            "0 1 INVITE",
            "4294967296 1 INVITE",
            "1 2147483648 INVITE",
            "1 1 IN VITE",
            "a 1 X",
        ):
            error = self.assertRaises(MalformedMessage, parse_rack, text)
            self.assertEqual(error.status, 400, text)

    def test_equal(self) -> None:
        """RFC 3262 section 7.2: two are the same when their numbers and methods are."""
        rack = RAck(1, CSeq(2, "INVITE"))
        self.assertEqual(rack, RAck(1, CSeq(2, "INVITE")))
        self.assertEqual(hash(rack), hash(RAck(1, CSeq(2, "INVITE"))))
        for other in (RAck(2, CSeq(2, "INVITE")), RAck(1, CSeq(3, "INVITE")), "1 2 INVITE"):
            self.assertNotEqual(rack, other)
        self.assertEqual(repr(rack), "<RAck 1 2 INVITE>")
        self.assertRaises(ValueError, RAck, 0, CSeq(2, "INVITE"))


class Wire:
    """A sender and a receiver, and wires that lose, repeat and reorder what they carry."""

    def __init__(self, count: int, seed: int, loss: float) -> None:
        self.source = random.Random(seed)
        self.loss = loss
        self.now = 0.0
        self.sender = ReliableSender(INVITE, 1 + seed, Timers())
        self.receiver = ReliableReceiver()
        self.responses: list[Response] = []
        self.requests: list[RAck] = []
        self.unanswered: set[RAck] = set()
        self.heard: list[int] = []
        for status in range(101, 101 + count):
            self._carry(self.sender.send(provisional(status), self.now))

    def _carry(self, response: Response | None) -> None:
        if response is not None:
            copies = self.source.choice((1, 1, 2)) if self.source.random() >= self.loss else 0
            self.responses += [response] * copies

    def _acknowledge(self, rack: RAck) -> None:
        copies = self.source.choice((1, 1, 2)) if self.source.random() >= self.loss else 0
        self.requests += [rack] * copies

    def turn(self) -> None:
        """Half a second passes, in which everything that flies may arrive, in any order."""
        self.now += 0.5
        self._carry(self.sender.due(self.now))
        # The transaction of a PRACK repeats it until it is answered; a copy that is answered already it absorbs.
        for rack in self.unanswered:
            self._acknowledge(rack)
        flying, self.responses = self.responses, []
        self.source.shuffle(flying)
        for response in flying:
            if self.source.random() < 0.2:
                self.responses.append(response)
                continue
            rack = self.receiver.received(response)
            if rack is not None:
                self.heard.append(response.status)
                self.unanswered.add(rack)
                self._acknowledge(rack)
        requests, self.requests = self.requests, []
        for rack in requests:
            if rack in self.unanswered:
                assert self.sender.prack(prack(rack)) == (481 if self.sender.has_given_up else 200)
                self.unanswered.discard(rack)
                self._carry(self.sender.following(self.now))


class LossTests(SynchronousTestCase):
    """Both halves against each other."""

    @settings(max_examples=200, deadline=None)
    @given(st.integers(1, 10), st.integers(0, 10**6), st.floats(0.0, 0.5))
    def test_once_and_in_order(self, count: int, seed: int, loss: float) -> None:
        """RFC 3262 section 1: with loss, copies and disorder each response is heard once, in order. row:H9"""
        wire = Wire(count, seed, loss)
        while wire.sender.is_waiting and not wire.sender.has_given_up:
            wire.turn()
        if not wire.sender.has_given_up:
            self.assertEqual(wire.heard, list(range(101, 101 + count)))
        else:
            self.assertEqual(wire.heard, list(range(101, 101 + len(wire.heard))))

    def test_nothing_is_given_up_for_a_third_of_loss(self) -> None:
        """RFC 3262 section 3: where a third is lost, seven copies in 64*T1 are enough but for the rarest bad luck."""
        given_up = 0
        for seed in range(300):
            wire = Wire(3, seed, 1 / 3)
            while wire.sender.is_waiting and not wire.sender.has_given_up:
                wire.turn()
            given_up += wire.sender.has_given_up
        self.assertLess(given_up, 6)
