"""The layer: who may speak to which transaction, what ends with a flow, what is left behind."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation, MalformedMessage
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import (
    Output,
    RequestAbandoned,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.base import ClientTransaction, ServerTransaction, Transaction
from sip_p2p.sip.transaction.layer import TransactionLayer
from sip_p2p.sip.transaction.timers import Timers
from tests.sip.transaction.support import (
    Bench,
    ack_for,
    counts,
    datagrams,
    make_request,
    make_response,
    stream,
    words,
)
from tests.support import MemoryTestCase, vectors


class ResponseMatchingTests(SynchronousTestCase):
    """17.1.3, and who may answer."""

    def test_another_peer_cannot_answer(self) -> None:
        """A response on a flow that leads to somebody else is counted and dropped, whatever it says. fault:C1"""
        stranger = stream("192.0.2.66", "mallory.example")
        for method in ("OPTIONS", "INVITE"):
            bench = Bench(reliable=True)
            transaction = bench.request(make_request(method))
            bench.said()
            state = bench.state(transaction)
            for status in (100, 180, 200, 302, 486, 603):
                for flow in (stranger, stream("192.0.2.2", ""), datagrams("192.0.2.2")):
                    self.assertFalse(bench.response(make_response(transaction.request, status), flow))
            self.assertEqual((bench.said(), bench.state(transaction)), ([], state))
            self.assertEqual(counts(bench.layer.counters), {"responses_forged": 18})
            self.assertTrue(bench.response(make_response(transaction.request, 200)))

    def test_another_address_cannot_answer_over_udp(self) -> None:
        """Over UDP a response must come from the host that was asked; the port may be another. fault:C1"""
        bench = Bench()
        transaction = bench.request(make_request())
        bench.said()
        self.assertFalse(bench.response(make_response(transaction.request, 200), datagrams("192.0.2.66")))
        self.assertEqual(bench.said(), [])
        self.assertTrue(bench.response(make_response(transaction.request, 200), datagrams("192.0.2.2", 40000)))
        self.assertEqual(bench.said(), ["user:200"])

    def test_same_identity_by_another_connection(self) -> None:
        """A second connection that proved the same identity may bring the response. fault:C1"""
        bench = Bench(reliable=True)
        transaction = bench.request(make_request())
        self.assertTrue(bench.response(make_response(transaction.request, 200), stream("192.0.2.99", "b.example")))

    def test_finished_ones_are_protected_too(self) -> None:
        """A record acknowledges for nobody but the peer that was asked, and for no other Via. fault:C1 fault:C2"""
        bench = Bench()
        transaction = bench.request(make_request("INVITE"))
        response = make_response(transaction.request, 486)
        bench.response(response)
        bench.said()
        misdirected = make_response(transaction.request, 486)
        misdirected.headers.set("Via", "SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKone")
        for answer, flow in (
            (response, datagrams("192.0.2.66")),
            (response, stream()),
            (response, stream("192.0.2.2", "")),
            (misdirected, bench.flow),
        ):
            self.assertFalse(bench.response(answer, flow))
        self.assertEqual(bench.said(), [])
        self.assertEqual(counts(bench.layer.counters), {"responses_unmatched": 4})
        self.assertTrue(bench.response(response))
        self.assertEqual(bench.said(), [">ACK"])

    def test_record_over_a_stream(self) -> None:
        """A record is of datagrams: even the same identity finds none over a connection."""
        bench = Bench()
        bench.flow = Flow("DTLS", False, "a.example", "192.0.2.2", 5061, "b.example")
        transaction = bench.request(make_request())
        response = make_response(transaction.request, 200)
        bench.response(response)
        self.assertFalse(bench.response(response, stream()))
        self.assertTrue(bench.response(response))

    def test_via_that_is_not_ours(self) -> None:
        """18.1.2: a response whose top Via names another host or port is counted and dropped. fault:C2"""
        bench = Bench()
        transaction = bench.request(make_request(sent_by="a.example"))
        bench.said()
        for via in ("b.example", "a.example:5070", "a.example.evil", "192.0.2.1"):
            response = make_response(transaction.request, 200)
            response.headers.set("Via", f"SIP/2.0/UDP {via};branch=z9hG4bKone")
            self.assertFalse(bench.response(response))
        self.assertEqual(bench.said(), [])
        self.assertEqual(counts(bench.layer.counters), {"responses_misdirected": 4})
        for via in ("A.EXAMPLE", "a.example:5060"):
            response = make_response(transaction.request, 100)
            response.headers.set("Via", f"SIP/2.0/UDP {via};branch=z9hG4bKone;received=192.0.2.1;rport=5060")
            self.assertTrue(bench.response(response))

    def test_cancel_and_invite_are_apart(self) -> None:
        """17.1.3: CANCEL has the INVITE's branch, and CSeq's method tells their responses apart. fault:C5"""
        bench = Bench()
        invite = bench.request(make_request("INVITE"))
        cancel = bench.request(make_request("CANCEL"))
        bench.said()
        bench.response(make_response(cancel.request, 200))
        [output] = bench.outputs
        self.assertIs(output.transaction, cancel)
        self.assertEqual(bench.state(invite), "calling")

    def test_unusable_responses(self) -> None:
        """Responses without Via, branch or CSeq, or to nothing, are counted and dropped; nothing raises. fault:A17"""
        bench = Bench()
        request = make_request()
        bench.request(request)
        bench.said()
        for name, value, counter in (
            ("Via", None, "responses_malformed"),
            ("Via", "nonsense", "responses_malformed"),
            ("CSeq", None, "responses_malformed"),
            ("CSeq", "x", "responses_malformed"),
            ("CSeq", "1 INVITE", "responses_unmatched"),
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060", "responses_unmatched"),
            ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKtwo", "responses_unmatched"),
        ):
            response = make_response(request, 200)
            response.headers.remove(name)
            if value is not None:
                response.headers.add(name, value)
            before = getattr(bench.layer.counters, counter)
            self.assertFalse(bench.response(response))
            self.assertEqual(getattr(bench.layer.counters, counter), before + 1)
        self.assertEqual(bench.said(), [])

    def test_random_responses(self) -> None:
        """No order of responses with any status, by any flow, in any state, makes the layer raise. fault:A17"""
        choice = random.Random(4).choice
        for reliable in (False, True):
            for _ in range(200):
                bench = Bench(reliable)
                transaction = bench.request(make_request(choice(("INVITE", "OPTIONS", "CANCEL"))))
                for _ in range(6):
                    flow = choice((bench.flow, stream("192.0.2.66", "m.example"), datagrams("192.0.2.66")))
                    status = choice((100, 101, 180, 199, 200, 299, 300, 399, 401, 487, 499, 500, 599, 600, 699))
                    bench.response(make_response(transaction.request, status), flow)
                    bench.wait_until(bench.now + choice((0, 0.5, 5, 33)))
                finals = [word for word in bench.said() if word in ("user:timeout", "user:failed")]
                self.assertLessEqual(len(finals), 1)


class RequestMatchingTests(SynchronousTestCase):
    """17.2.3, and who is answered."""

    def test_new_once(self) -> None:
        """A request is new once, for as long as its transaction is remembered; RFC 2543's too. row:G9 fault:C9"""
        for method in ("OPTIONS", "INVITE", "MESSAGE", "CANCEL"):
            for branch in ("z9hG4bKone", None, "1", "z9hG4bK"):
                bench = Bench()
                self.assertIsNotNone(bench.receive(make_request(method, branch)))
                for _ in range(3):
                    self.assertIsNone(bench.receive(make_request(method, branch)))

    def test_another_peer_gets_no_answer(self) -> None:
        """A second party with a first one's request gets a transaction of its own, never the response. fault:C1"""
        for flow in (datagrams("192.0.2.66"), stream("192.0.2.66", "mallory.example")):
            bench = Bench()
            transaction = bench.receive_new(make_request())
            bench.respond(transaction, 200)
            bench.said()
            other = bench.receive(make_request(), flow)
            self.assertIsNotNone(other)
            self.assertEqual(bench.said(), [])

    def test_answer_goes_where_the_copy_came_from(self) -> None:
        """A retransmission is answered on the flow that it came by: the port of a NAT may have changed."""
        for final in (False, True):
            bench = Bench()
            transaction = bench.receive_new(make_request("INVITE"))
            bench.respond(transaction, 486 if final else 180)
            bench.outputs.clear()
            moved = datagrams(port=40000)
            bench.receive(make_request("INVITE"), moved)
            [output] = bench.outputs
            self.assertIs(output.flow, moved)

    def test_same_branch_and_another_request(self) -> None:
        """17.2.3: the branch decides: another Call-ID or CSeq with it is a retransmission, whoever erred. row:G9"""
        bench = Bench()
        bench.receive_new(make_request())
        self.assertIsNone(bench.receive(make_request(call_id="other", cseq=2)))

    def test_changed_by_the_application(self) -> None:
        """Whatever the application does to a request that it was given, copies of it are still recognised. fault:K10"""
        for method, branch in (("OPTIONS", "z9hG4bKone"), ("OPTIONS", None), ("INVITE", None)):
            bench = Bench()
            transaction = bench.receive_new(make_request(method, branch))
            given = transaction.request
            for name in ("Via", "From", "To", "Call-ID", "CSeq"):
                given.headers.remove(name)
            given.headers.add("Via", "SIP/2.0/UDP mallory;branch=z9hG4bKother")
            given.method = "MESSAGE"
            given.uri_text = "sip:x@x.example"
            self.assertIsNone(bench.receive(make_request(method, branch)))
            response = make_response(make_request(method, branch), 404)
            bench.layer.respond(transaction, response, bench.now)
            self.assertEqual(bench.said(), [">404"])
            self.assertIsNone(bench.receive(make_request(method, branch)))
            self.assertEqual(bench.said(), [">404"])
            if method == "INVITE":
                bench.receive(ack_for(make_request(method, branch), response))
                self.assertEqual(bench.state(transaction), "confirmed")

    def test_unusable_requests(self) -> None:
        """Requests that lack what they are matched by are counted and dropped without an exception. fault:A17"""
        bench = Bench()
        lost = 0
        for method in ("OPTIONS", "INVITE", "ACK"):
            for branch in ("z9hG4bKone", None):
                for name in ("Via", "From", "To", "Call-ID", "CSeq"):
                    request = make_request(method, branch)
                    request.headers.remove(name)
                    needed = name == "Via" or branch is None or (name == "To" and method != "ACK")
                    if needed:
                        self.assertIsNone(bench.receive(request))
                        lost += 1
        self.assertEqual(bench.said(), [])
        self.assertEqual(counts(bench.layer.counters), {"requests_malformed": lost})
        self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_ack_for_nothing(self) -> None:
        """An ACK that belongs to no INVITE is the user's: it acknowledges a 2xx, or is forgotten there. fault:C6"""
        for branch in ("z9hG4bKone", None):
            bench = Bench()
            self.assertIsNone(bench.receive(make_request("ACK", branch)))
            self.assertEqual(bench.said(), ["user:ACK"])
            bench.receive_new(make_request("OPTIONS", branch))
            self.assertIsNone(bench.receive(make_request("ACK", branch)))
            self.assertEqual(bench.said(), ["user:ACK"])

    def test_ack_of_another_peer(self) -> None:
        """Another party's ACK does not acknowledge our response to the first. fault:C1 fault:C6"""
        bench = Bench()
        request = make_request("INVITE")
        transaction = bench.receive_new(request)
        bench.respond(transaction, 486)
        bench.said()
        bench.receive(ack_for(request, make_response(request, 486)), datagrams("192.0.2.66"))
        self.assertEqual(bench.state(transaction), "completed")
        self.assertEqual(bench.said(), ["user:ACK"])

    def test_find_invite(self) -> None:
        """9.2: a CANCEL finds its INVITE until that has had its ACK, by branch or by RFC 2543, and only its sender's.

        fault:C5 fault:C9
        """
        for branch in ("z9hG4bKone", None):
            bench = Bench(reliable=True)
            cancel = make_request("CANCEL", branch)
            find = bench.layer.find_invite
            self.assertIsNone(find(cancel, bench.flow))
            bench.receive_new(make_request("OPTIONS", branch))
            self.assertIsNone(find(cancel, bench.flow))
            request = make_request("INVITE", branch)
            invite = bench.receive_new(request)
            self.assertIs(find(cancel, bench.flow), invite)
            self.assertIsNone(find(cancel, stream("192.0.2.66", "mallory.example")))
            bench.respond(invite, 486)
            self.assertIs(find(cancel, bench.flow), invite)
            bench.receive(ack_for(request, make_response(request, 486)))
            self.assertIsNone(find(cancel, bench.flow))
        cancel = make_request("CANCEL")
        cancel.headers.remove("Via")
        self.assertRaises(MalformedMessage, find, cancel, bench.flow)


class RequestTests(SynchronousTestCase):
    """What a caller may not ask for."""

    def test_refused(self) -> None:
        """An ACK, a branch in use and a request that is not complete are refused, and leave nothing behind."""
        bench = Bench()
        self.assertRaises(InvalidOperation, bench.request, make_request("ACK"))
        self.assertRaises(ValueError, bench.request, make_request("OPTIONS", None))
        for method in ("INVITE", "OPTIONS"):
            for name in ("Via",) if method == "OPTIONS" else ("Via", "From", "To", "Call-ID", "CSeq"):
                request = make_request(method)
                request.headers.remove(name)
                self.assertRaises(ValueError, bench.request, request)
        unsafe = make_request()
        unsafe.uri_text = "sip:b\r\nX: y"
        self.assertRaises(ValueError, bench.request, unsafe)
        self.assertEqual(set(bench.layer.inventory().values()), {0})
        for method in ("INVITE", "OPTIONS"):
            transaction = bench.request(make_request(method))
            self.assertRaises(InvalidOperation, bench.request, make_request(method))
            bench.response(make_response(transaction.request, 200))
        self.assertRaises(InvalidOperation, bench.request, make_request("INVITE"))

    def test_user(self) -> None:
        """A transaction carries what its caller gave it, and the outputs lead back to that."""
        bench = Bench(reliable=True)
        transaction = bench.request(make_request())
        self.assertIsNone(transaction.user)
        transaction.user = user = object()
        bench.outputs.clear()
        bench.response(make_response(transaction.request, 200))
        [output] = bench.outputs
        self.assertIs(output.transaction.user, user)
        self.assertEqual((transaction.method, transaction.flow), ("OPTIONS", bench.flow))


class LimitTests(SynchronousTestCase):
    """How much there may be."""

    def layer(self, **limits: int) -> tuple[TransactionLayer, list[Output]]:
        """A layer with room for little."""
        outputs: list[Output] = []
        return TransactionLayer(outputs, Timers(), **limits), outputs

    def test_servers(self) -> None:
        """Beyond the limit new requests are refused, while copies and ACKs still find their transactions. fault:C10"""
        layer, outputs = self.layer(limits_active=2)
        flow = stream()
        first, second = (layer.receive_request(make_request("OPTIONS", f"z9hG4bK{n}"), flow, 0) for n in "12")
        assert first is not None and second is not None
        self.assertTrue(layer.is_full)
        third = make_request("OPTIONS", "z9hG4bK3")
        self.assertFalse(layer.knows(third, flow, 0))
        self.assertTrue(layer.knows(make_request("OPTIONS", "z9hG4bK2"), flow, 0))
        self.assertTrue(layer.knows(make_request("ACK", "z9hG4bK3"), flow, 0))
        self.assertIsNone(layer.receive_request(third, flow, 0))
        self.assertEqual(counts(layer.counters), {"requests_refused": 1})
        self.assertFalse(layer.is_client_full)
        layer.respond(first, make_response(first.request, 200), 0)
        self.assertFalse(layer.is_full)
        self.assertIsNotNone(layer.receive_request(third, flow, 0))
        self.assertEqual(words(outputs), [">200"])

    def test_finished_ones_take_no_room(self) -> None:
        """What only waits out timer J takes no room from new requests, and copies of it are known. fault:C10"""
        layer, _ = self.layer(limits_active=1, limits_finished=2)
        flow = datagrams()
        for number in range(5):
            transaction = layer.receive_request(make_request("OPTIONS", f"z9hG4bK{number}"), flow, 0)
            assert transaction is not None
            self.assertTrue(layer.is_full)
            layer.respond(transaction, make_response(transaction.request, 200), 0)
        self.assertEqual(layer.inventory()["finished"], 2)
        self.assertTrue(layer.knows(make_request("OPTIONS", "z9hG4bK4"), flow, 0))
        self.assertFalse(layer.knows(make_request("OPTIONS", "z9hG4bK0"), flow, 0))
        self.assertFalse(layer.knows(make_request("OPTIONS", "z9hG4bK4"), flow, 32))

    def test_answered_invites(self) -> None:
        """INVITEs that wait for their ACK have a bound of their own."""
        layer, _ = self.layer(limits_active=9, limits_answered=1)
        transaction = layer.receive_request(make_request("INVITE"), stream(), 0)
        assert transaction is not None
        self.assertFalse(layer.is_full)
        self.assertFalse(layer.is_full_of_dialogs)
        layer.respond(transaction, make_response(transaction.request, 200), 0)
        self.assertEqual((layer.is_full, layer.is_full_of_dialogs), (True, True))
        self.assertTrue(layer.knows(make_request("INVITE"), stream(), 0))
        layer.handle_timer(32)
        self.assertFalse(layer.is_full)

    def test_clients(self) -> None:
        """Beyond the limit our own requests are refused with an error that says to try again. fault:C10"""
        layer, _ = self.layer(limits_active=1, limits_answered=1)
        flow = stream()
        transaction = layer.request(make_request("INVITE"), flow, 0)
        self.assertTrue(layer.is_client_full)
        self.assertFalse(layer.is_full)
        error = self.assertRaises(InvalidOperation, layer.request, make_request(), flow, 0)
        self.assertTrue(error.retryable)
        self.assertEqual(layer.counters.requests_unsent, 1)
        layer.receive_response(make_response(transaction.request, 200), flow, 0)
        self.assertTrue(layer.is_client_full, "an INVITE that more 2xx may follow")
        layer.handle_timer(32)
        layer.request(make_request(), flow, 32)

    def test_no_room_at_all(self) -> None:
        """A limit below one is refused."""
        for name in ("limits_active", "limits_finished", "limits_answered", "limits_octets"):
            self.assertRaises(ValueError, TransactionLayer, [], Timers(), **{name: 0})


class FlowFailureTests(SynchronousTestCase):
    """17.1.4 and 17.2.4: what ends with a flow."""

    def test_everything_on_the_flow(self) -> None:
        """Every transaction on a lost flow ends and is reported once, in the order of their beginning. fault:C4"""
        for reliable in (False, True):
            bench = Bench(reliable)
            tokens = CountingTokens()
            clients = [bench.request(make_request(method, tokens.branch())) for method in ("INVITE", "OPTIONS") * 5]
            servers = [bench.receive_new(make_request(method, tokens.branch())) for method in ("INVITE", "INFO") * 5]
            other = bench.layer.request(make_request("OPTIONS", tokens.branch()), stream("192.0.2.9", "c.example"), 0)
            bench.outputs.clear()
            reason = ConnectionFailure("reset")
            bench.layer.flow_failed(bench.flow, reason, 1)
            self.assertEqual([output.transaction for output in bench.outputs], clients + servers)
            for output in bench.outputs:
                if isinstance(output, TransactionFailed):
                    self.assertIs(output.reason, reason)
                else:
                    self.assertIsInstance(output, RequestAbandoned)
                    self.assertIn("reset", output.reason)
            bench.outputs.clear()
            bench.layer.flow_failed(bench.flow, reason, 1)
            self.assertEqual(bench.outputs, [])
            self.assertTrue(bench.is_live(other))
            bench.layer.flow_failed(other.flow, reason, 1)
            self.assertEqual(set(bench.layer.inventory().values()), {0})
            self.assertIsNone(bench.layer.next_deadline())
            self.assertEqual(bench.layer.counters.flow_failures, 21)

    def test_afterwards(self) -> None:
        """What ended with its flow is found by nothing and can have no answer. fault:C4"""
        bench = Bench(reliable=True)
        client = bench.request(make_request())
        server = bench.receive_new(make_request("INVITE"))
        bench.fail()
        bench.said()
        self.assertFalse(bench.response(make_response(client.request, 200)))
        self.assertRaises(AlreadyResponded, bench.respond, server, 200)
        self.assertIsNone(bench.layer.find_invite(make_request("CANCEL"), bench.flow))
        bench.layer.abandon(client, bench.now)
        self.assertEqual(bench.said(), [])

    def test_only_our_requests(self) -> None:
        """Where a datagram did not arrive our requests end; a peer's stays as it was, and so its retransmission is no
        new request (RFC 6026 section 8.8). fault:C4"""
        tokens = CountingTokens()
        for status in (None, 180, 200, 486):
            bench = Bench()
            self.assertFalse(bench.layer.answers(bench.flow))
            ours = [bench.request(make_request(method, tokens.branch())) for method in ("INVITE", "OPTIONS")]
            self.assertFalse(bench.layer.answers(bench.flow))
            invite, info = (bench.receive_new(make_request(method)) for method in ("INVITE", "INFO"))
            self.assertTrue(bench.layer.answers(bench.flow))
            if status is not None:
                bench.respond(invite, status)
            before = bench.state(invite)
            bench.outputs.clear()
            reason = ConnectionFailure("nobody is there")
            bench.layer.requests_failed(bench.flow, reason)
            self.assertEqual([output.transaction for output in bench.outputs], ours)
            self.assertEqual({type(output) for output in bench.outputs}, {TransactionFailed})
            self.assertEqual((bench.state(invite), bench.state(info)), (before, "trying"))
            bench.outputs.clear()
            self.assertIsNone(bench.receive(make_request("INVITE")))
            self.assertIsNone(bench.receive(make_request("INFO")))
            self.assertEqual(bench.said(), [f">{status}"] if status in (180, 486) else [])
            bench.respond(info, 200)
            bench.layer.requests_failed(bench.flow, reason)
            self.assertEqual((bench.said(), bench.layer.counters.flow_failures), ([">200"], 2))
            bench.fail()
            bench.layer.handle_timer(100)
            self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_while_sending(self) -> None:
        """A flow that fails at the very write of a message ends the transactions on it, re-entrantly. fault:C4"""
        for reliable in (False, True):
            for method in ("INVITE", "OPTIONS"):
                bench = Bench(reliable)
                told: list[str] = []
                bench.request(make_request(method))
                bench.respond(bench.receive_new(make_request(method, "z9hG4bKtwo")), 486)
                bench.receive_new(make_request(method, "z9hG4bKthree"))
                while bench.outputs:
                    output = bench.outputs.pop(0)
                    if isinstance(output, SendMessage):
                        bench.layer.flow_failed(output.flow, ConnectionFailure("broken pipe"), bench.now)
                    else:
                        told += words([output])
                self.assertEqual(told, ["user:failed", "user:abandoned"], (method, reliable))
                bench.layer.handle_timer(100)
                self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_busy_flows(self) -> None:
        """A flow is busy exactly as long as a transaction lives on it."""
        bench = Bench(reliable=True)
        self.assertFalse(bench.layer.is_busy(bench.flow))
        client = bench.request(make_request())
        server = bench.receive_new(make_request())
        self.assertTrue(bench.layer.is_busy(bench.flow))
        self.assertFalse(bench.layer.is_busy(stream()))
        bench.response(make_response(client.request, 200))
        self.assertTrue(bench.layer.is_busy(bench.flow))
        bench.respond(server, 200)
        self.assertFalse(bench.layer.is_busy(bench.flow))

    def test_thousands(self) -> None:
        """A flow that carried thousands of transactions takes them all along. fault:C4 fault:C10"""
        bench = Bench(reliable=True)
        tokens = CountingTokens()
        for _ in range(1000):
            bench.request(make_request("INVITE", tokens.branch()))
            bench.receive_new(make_request("MESSAGE", tokens.branch()))
        bench.fail()
        self.assertEqual(bench.said()[-2000:].count("user:failed"), 1000)
        self.assertEqual(set(bench.layer.inventory().values()), {0})


class TimeTests(SynchronousTestCase):
    """When things happen."""

    def test_late_call(self) -> None:
        """After a pause each message is retransmitted once, not once for every interval that was missed. fault:K3"""
        bench = Bench()
        bench.request(make_request("INVITE", "z9hG4bKa"))
        bench.request(make_request("OPTIONS", "z9hG4bKb"))
        bench.respond(bench.receive_new(make_request("INVITE", "z9hG4bKc")), 486)
        bench.said()
        bench.now = 10.0
        bench.layer.handle_timer(10.0)
        self.assertEqual(sorted(bench.said()), [">486", ">INVITE", ">OPTIONS"])
        bench.layer.handle_timer(10.0)
        self.assertEqual(bench.said(), [])
        self.assertEqual(bench.layer.next_deadline(), 11.0)

    def test_ended_before_its_turn(self) -> None:
        """A timer that an earlier one of the same call has cancelled does not run. row:M12"""
        bench = Bench()
        bench.request(make_request())
        bench.wait_until(31.9)
        bench.said()
        bench.layer.handle_timer(100.0)
        self.assertEqual(bench.said(), ["user:timeout"])

    def test_very_late_call(self) -> None:
        """After a pause longer than every timer, everything ends in one call, and nothing is left to do. row:M12"""
        bench = Bench()
        tokens = CountingTokens()
        for method in ("INVITE", "OPTIONS"):
            bench.request(make_request(method, tokens.branch()))
            bench.respond(bench.receive_new(make_request(method, tokens.branch())), 486)
        bench.said()
        bench.layer.handle_timer(1000.0)
        said = bench.said()
        self.assertEqual(said.count("user:timeout"), 2)
        self.assertEqual(len(said), 5, said)
        self.assertEqual(set(bench.layer.inventory().values()), {0})
        self.assertIsNone(bench.layer.next_deadline())

    def test_in_order(self) -> None:
        """One late call does what was due in the order of the deadlines. row:M12"""
        bench = Bench(reliable=True)
        slow = bench.receive_new(make_request("OPTIONS", "z9hG4bKa"))
        bench.now = 3.4
        bench.receive_new(make_request("INVITE", "z9hG4bKb"))
        bench.now = 3.0
        bench.layer.handle_timer(10.0)
        self.assertEqual([output.data.split(b"branch=")[1][:8] for output in bench.outputs], [b"z9hG4bKa", b"z9hG4bKb"])
        self.assertTrue(bench.is_live(slow))

    def test_too_early(self) -> None:
        """A call before the deadline does nothing. row:M12"""
        bench = Bench()
        bench.request(make_request())
        bench.said()
        for now in (0.0, 0.25, 0.499999):
            bench.layer.handle_timer(now)
            self.assertEqual(bench.said(), [])
        self.assertEqual(bench.layer.next_deadline(), 0.5)

    def test_backwards(self) -> None:
        """A time that goes backwards makes nothing happen, and breaks nothing."""
        bench = Bench()
        bench.now = 100.0
        bench.request(make_request())
        bench.said()
        bench.layer.handle_timer(50.0)
        self.assertEqual(bench.said(), [])
        bench.now = 50.0
        bench.request(make_request("OPTIONS", "z9hG4bKtwo"))
        bench.wait_until(200.0)
        self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_no_deadline_without_work(self) -> None:
        """Whatever ends, its timers end with it: without transactions there is no deadline. fault:J2 row:M12"""
        for reliable in (False, True):
            bench = Bench(reliable)
            for method in ("INVITE", "OPTIONS"):
                for status in (200, 486):
                    client = bench.request(make_request(method))
                    bench.response(make_response(client.request, status))
                    server = bench.receive_new(make_request(method))
                    bench.respond(server, status)
                    if method == "INVITE" and status == 486:
                        bench.receive(ack_for(server.request, make_response(server.request, status)))
                    bench.wait_until(bench.now + 40)
                    self.assertIsNone(bench.layer.next_deadline())
                    self.assertEqual(set(bench.layer.inventory().values()), {0})

    def test_reliable_ends_at_once(self) -> None:
        """Over a reliable transport the final response, or its ACK, ends a transaction in the same input. fault:C8"""
        self.assertEqual(vectors("timers")["reliable_transport"]["A"], "never")
        bench = Bench(reliable=True)
        for method in ("INVITE", "OPTIONS"):
            client = bench.request(make_request(method))
            bench.response(make_response(client.request, 486))
            server = bench.receive_new(make_request(method))
            bench.respond(server, 486)
            if method == "INVITE":
                bench.receive(ack_for(server.request, make_response(server.request, 486)))
            self.assertEqual(set(bench.layer.inventory().values()), {0})
            self.assertIsNone(bench.layer.next_deadline())


class LeakTests(MemoryTestCase):
    """What is left when transactions have ended."""

    def play(self, bench: Bench, tokens: CountingTokens, rounds: int) -> None:
        """Let *rounds* transactions of each kind and each end come and go."""
        for _ in range(rounds):
            for method in ("INVITE", "OPTIONS"):
                for status in (200, 486):
                    client = bench.request(make_request(method, tokens.branch()))
                    bench.response(make_response(client.request, 100))
                    bench.response(make_response(client.request, status))
                    request = make_request(method, tokens.branch())
                    server = bench.receive_new(request)
                    bench.receive(request)
                    bench.respond(server, 100)
                    bench.respond(server, status)
                    if method == "INVITE" and status == 486:
                        bench.receive(ack_for(request, make_response(request, 486)))
                    bench.outputs.clear()
        bench.wait_until(bench.now + 40)

    def test_nothing_is_alive(self) -> None:
        """A thousand transactions of each kind leave no object, not even for the cyclic collector. fault:C10"""
        for reliable in (False, True):
            bench = Bench(reliable)
            tokens = CountingTokens()
            self.assert_no_cycles(lambda b=bench, t=tokens: self.play(b, t, 250))
            self.assertEqual(set(bench.layer.inventory().values()), {0})
        self.assert_none_alive(Transaction)

    def test_lost_flows_leave_nothing(self) -> None:
        """Nor do transactions that ended with their flow. fault:C4 fault:C10"""
        bench = Bench(reliable=True)
        tokens = CountingTokens()

        def lose() -> None:
            for _ in range(100):
                bench.flow = stream()
                for method in ("INVITE", "OPTIONS"):
                    bench.request(make_request(method, tokens.branch()))
                    bench.receive_new(make_request(method, tokens.branch()))
                bench.fail()
                bench.outputs.clear()

        self.assert_no_cycles(lose)
        self.assertEqual(set(bench.layer.inventory().values()), {0})
        self.assert_none_alive(Transaction)

    def test_no_growth(self) -> None:
        """However many transactions there were, the memory in use stays the same. fault:C10 fault:J2"""
        for reliable in (False, True):
            bench = Bench(reliable)
            tokens = CountingTokens()
            self.assert_no_growth(
                lambda b=bench, t=tokens: self.play(b, t, 1), rounds=100, warm_up=30, blocks_per_round=0.5
            )

    def test_finished_ones_are_not_objects(self) -> None:
        """While timers J and K run, no transaction object is alive: the records hold octets only. fault:C10"""
        bench = Bench()
        tokens = CountingTokens()
        for _ in range(50):
            client = bench.request(make_request("OPTIONS", tokens.branch()))
            bench.response(make_response(client.request, 200))
            server = bench.receive_new(make_request("OPTIONS", tokens.branch()))
            bench.respond(server, 200)
            failed = bench.request(make_request("INVITE", tokens.branch()))
            bench.response(make_response(failed.request, 486))
            bench.outputs.clear()
        del client, server, failed
        self.assertEqual(bench.layer.inventory()["finished"], 150)
        self.assert_none_alive(Transaction, Request)


class TwoParties(RuleBasedStateMachine):
    """Two layers and the network between them, which loses, copies and reorders datagrams as hypothesis likes."""

    def __init__(self) -> None:
        super().__init__()
        self.caller = Bench()
        self.callee = Bench()
        self.callee.flow = datagrams("192.0.2.1")
        self.tokens = CountingTokens()
        self.now = 0.0
        self.wire: list[tuple[Bench, bytes, float]] = []
        self.pending: list[ServerTransaction] = []
        self.seen: dict[str, float] = {}
        self.finals: dict[ClientTransaction, list[str]] = {}
        self.answered: dict[str, int] = {}

    def collect(self) -> None:
        """Put what was sent on the wire, and note what the caller was told."""
        for sender, receiver in ((self.caller, self.callee), (self.callee, self.caller)):
            outputs = sender.outputs[:]
            sender.outputs.clear()
            for output in outputs:
                if isinstance(output, SendMessage):
                    self.wire.append((receiver, output.data, self.now))
                elif isinstance(output, ResponseReceived):
                    if output.response.status >= 200:
                        self.finals.setdefault(output.transaction, []).append(str(output.response.status))
                elif isinstance(output, TransactionTimedOut | TransactionFailed):
                    self.finals.setdefault(output.transaction, []).append(type(output).__name__)

    @rule(method=st.sampled_from(("INVITE", "OPTIONS", "MESSAGE")), unique=st.booleans())
    def ask(self, method: str, unique: bool) -> None:
        """The caller sends a request; not all branches have the cookie."""
        branch = self.tokens.branch() if unique else self.tokens.token()
        request = make_request(method, branch, call_id=branch)
        self.caller.request(request)
        self.collect()

    @precondition(lambda self: self.wire)
    @rule(data=st.data(), copies=st.integers(0, 2))
    def deliver(self, data: st.DataObject, copies: int) -> None:
        """Any datagram arrives, in as many copies as there happen to be; the network keeps none longer than T4."""
        receiver, octets, sent = self.wire.pop(data.draw(st.integers(0, len(self.wire) - 1)))
        if self.now - sent > 5:
            return
        for _ in range(copies):
            message = parse_message(octets)
            if not isinstance(message, Request):
                receiver.layer.receive_response(message, receiver.flow, self.now)
                continue
            transaction = receiver.layer.receive_request(message, receiver.flow, self.now)
            if transaction is not None:
                first = self.seen.setdefault(transaction.key, self.now)
                assert first == self.now or self.now - first >= 32, "one request began two transactions"
                self.pending.append(transaction)
        self.collect()

    @precondition(lambda self: self.pending)
    @rule(data=st.data(), status=st.sampled_from((100, 180, 200, 404, 486)))
    def answer(self, data: st.DataObject, status: int) -> None:
        """The callee answers any request that it was given, perhaps after its end."""
        transaction = data.draw(st.sampled_from(self.pending))
        is_over = transaction.is_final_sent or not self.callee.is_live(transaction)
        try:
            self.callee.layer.respond(transaction, make_response(transaction.request, status), self.now)
        except AlreadyResponded:
            assert is_over, "a request that could be answered was refused its answer"
        except InvalidOperation:
            assert transaction.method != "INVITE" and status == 180
        self.collect()

    @rule(wait=st.sampled_from((0.1, 0.5, 3.0, 20.0)))
    def wait(self, wait: float) -> None:
        """Time passes for both."""
        end = self.now + wait
        while True:
            deadlines = [d for bench in (self.caller, self.callee) if (d := bench.layer.next_deadline()) is not None]
            if not deadlines or min(deadlines) > end:
                break
            self.now = max(self.now, min(deadlines))
            self.caller.layer.handle_timer(self.now)
            self.callee.layer.handle_timer(self.now)
            self.collect()
        self.now = end

    @rule(data=st.data())
    def lose_flow(self, data: st.DataObject) -> None:
        """One side learns that its flow has failed, and forgets what was on it: a copy still on its way is new."""
        bench = data.draw(st.sampled_from((self.caller, self.callee)))
        if bench is self.callee:
            self.seen.clear()
        bench.layer.flow_failed(bench.flow, ConnectionFailure("unreachable"), self.now)
        self.collect()

    @invariant()
    def one_outcome(self) -> None:
        """A request has one outcome; only an INVITE may have further 2xx."""
        for transaction, finals in self.finals.items():
            if len(finals) > 1:
                assert transaction.method == "INVITE", finals
                assert set(finals) == {"200"}, finals

    @invariant()
    def tables_agree(self) -> None:
        """A transaction stands under its flow exactly as long as it stands in a table, and has no timer afterwards."""
        for bench in (self.caller, self.callee):
            table = bench.layer.table
            tables: list[dict[str, ClientTransaction] | dict[str, ServerTransaction]] = [table.clients, table.accepted]
            living = [t for d in (*tables, table.servers, table.answered) for t in d.values()]
            assert {id(t) for t in living} == {id(t) for d in table.flows.values() for t in d}
            if not living:
                assert len(table.queue) == 0

    def teardown(self) -> None:
        """When everybody has gone home, nothing is left."""
        for bench in (self.caller, self.callee):
            bench.layer.flow_failed(bench.flow, ConnectionFailure("the end"), self.now)
            bench.layer.handle_timer(self.now + 100)
            assert set(bench.layer.inventory().values()) == {0}, bench.layer.inventory()
            assert bench.layer.next_deadline() is None


class NetworkTests(SynchronousTestCase):
    """Two layers over a bad network."""

    def test_loss_copies_and_disorder(self) -> None:
        """Through loss, copies and disorder: one transaction, one outcome, nothing left. row:G9 fault:C10"""
        run_state_machine_as_test(
            TwoParties,
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
