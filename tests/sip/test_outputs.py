"""Tests of what the core can say: each output, from the input that gives rise to it."""

from __future__ import annotations

from typing import get_args

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip import outputs as module
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import InviteEffect
from sip_p2p.sip.event.usage import EventEffect
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    AckReceived,
    CloseFlow,
    Output,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.transaction.base import ClientTransaction
from tests.sip.harness import CoreBench, message
from tests.support import SynchronousTestCase


class OutputTests(SynchronousTestCase):
    """One test for each kind."""

    def setUp(self) -> None:
        """A core, and the flow that it is fed on."""
        self.bench = CoreBench()
        self.core = self.bench.core
        self.flow = self.bench.stream

    def ask(self, flow: Flow) -> ClientTransaction:
        """Send a request of our own."""
        plan = RequestPlan("OPTIONS", "sip:peer@peer.example", "<sip:us@here.example>", "tag", "call")
        return self.core.request(plan.build(), flow, 0.0)

    def test_all_of_them(self) -> None:
        """The union holds every kind, each final, with slots and nothing beyond them."""
        kinds = {getattr(module, name) for name in module.__all__ if name != "Output"} | set(get_args(InviteEffect))
        # The kinds of these derive from it.
        self.assertEqual(set(get_args(Output)), kinds | {EventEffect})
        for kind in kinds:
            self.assertTrue(kind.__final__, kind)
            self.assertFalse(hasattr(kind.__new__(kind), "__dict__"), kind)

    def test_send_message(self) -> None:
        """SendMessage is one whole message and the flow to write it to."""
        transaction = self.ask(self.flow)
        (output,) = self.core.take_outputs()
        assert isinstance(output, SendMessage)
        self.assertIs(output.flow, self.flow)
        request = parse_message(output.data)
        assert isinstance(request, Request)
        self.assertEqual((request.method, transaction.method), ("OPTIONS", "OPTIONS"))

    def test_close_flow(self) -> None:
        """CloseFlow names the flow whose octets can no longer be told apart, and why."""
        (*_, output) = self.bench.over_stream(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert isinstance(output, CloseFlow)
        self.assertIs(output.flow, self.flow)
        self.assertTrue(output.reason)

    def test_request_received(self) -> None:
        """RequestReceived carries the request, its flow, its transaction and whose it is."""
        (output,) = self.bench.over_stream(message(body=b"x"))
        assert isinstance(output, RequestReceived)
        self.assertEqual((output.request.body, output.flow, output.profile), (b"x", self.flow, self.bench.profile))
        self.assertIs(output.transaction.flow, self.flow)

    def test_ack_received(self) -> None:
        """AckReceived is an ACK that belongs to no INVITE transaction (RFC 3261 section 13.3.1.4)."""
        (output,) = self.bench.over_stream(message("ACK"))
        assert isinstance(output, AckReceived)
        self.assertEqual((output.request.method, output.flow), ("ACK", self.flow))

    def test_request_abandoned(self) -> None:
        """RequestAbandoned names the transaction that nobody waits for any more, and why."""
        (received,) = self.bench.over_stream(message(body=b"x"))
        assert isinstance(received, RequestReceived)
        self.core.flow_failed(self.flow, ConnectionFailure("reset"), 1.0)
        (output,) = self.core.take_outputs()
        assert isinstance(output, RequestAbandoned)
        self.assertIs(output.transaction, received.transaction)
        self.assertTrue(output.reason)

    def test_response_received(self) -> None:
        """ResponseReceived carries the response and the transaction that it answers."""
        transaction = self.ask(self.flow)
        (sent,) = self.core.take_outputs()
        assert isinstance(sent, SendMessage)
        request = parse_message(sent.data)
        echoed = [(name, request.headers[name]) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        self.core.receive_message(Response(200, None, echoed), self.flow, 1.0)
        (output,) = self.core.take_outputs()
        assert isinstance(output, ResponseReceived)
        self.assertEqual((output.response.status, output.transaction), (200, transaction))

    def test_transaction_failed(self) -> None:
        """TransactionFailed carries the reason for which the flow was lost (RFC 3261 section 17.1.4)."""
        transaction = self.ask(self.flow)
        self.core.take_outputs()
        reason = ConnectionFailure("reset")
        self.core.flow_failed(self.flow, reason, 1.0)
        (output,) = self.core.take_outputs()
        assert isinstance(output, TransactionFailed)
        self.assertEqual((output.transaction, output.reason), (transaction, reason))

    def test_transaction_timed_out(self) -> None:
        """TransactionTimedOut comes once, 64*T1 after the request (RFC 3261 section 17.1.2.2)."""
        transaction = self.ask(self.flow)
        self.core.take_outputs()
        self.core.handle_timer(32.0)
        (output,) = self.core.take_outputs()
        assert isinstance(output, TransactionTimedOut)
        self.assertIs(output.transaction, transaction)
        self.core.handle_timer(64.0)
        self.assertEqual(self.core.take_outputs(), [])
