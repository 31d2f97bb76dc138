"""The core without a socket or a clock: what it asks of others, keeps and counts (RFC 3261 section 8)."""

from __future__ import annotations

import itertools

from sip_p2p.errors import ConnectionFailure, InvalidOperation
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.framing import PONG
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    CloseFlow,
    RequestAbandoned,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.base import ClientTransaction
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.harness import CoreBench, answer_of, delivered, message, statuses_of
from tests.support import MemoryTestCase, SynchronousTestCase, call_flows


class UacTests(SynchronousTestCase):
    """Section 8.1."""

    def setUp(self) -> None:
        """A core that sends, and the flow that it sends on."""
        self.core = UserAgentCore(CountingTokens("c"))
        self.flow = Flow("TLS", True, "us.example:5061", "192.0.2.1", 5061, "peer.example")
        self.udp = Flow("UDP", False, "us.example:5060", "192.0.2.1", 5060)

    def ask(self, flow: Flow | None = None) -> tuple[object, Request]:
        """Send a MESSAGE, and return its transaction and what went out."""
        plan = RequestPlan("MESSAGE", "sip:peer@peer.example", "<sip:us@us.example>", "tag1", "callid1")
        plan.body, plan.content_type = b"hi", "text/plain"
        transaction = self.core.request(plan.build(), flow or self.flow, 0.0)
        (sent,) = self.core.take_outputs()
        request = parse_message(sent.data)  # type: ignore[union-attr]
        assert isinstance(request, Request)
        return transaction, request

    def reply(self, request: Request, status: int = 200, *, flow: Flow | None = None, via: str | None = None) -> list:
        """Answer *request* as a peer would."""
        headers = [("Via", via or request.headers["Via"])]
        headers += [(name, request.headers[name]) for name in ("From", "To", "Call-ID", "CSeq")]
        self.core.receive_message(Response(status, None, headers), flow or self.flow, 1.0)
        return self.core.take_outputs()

    def test_what_a_request_carries(self) -> None:
        """Via with a branch of RFC 3261, Max-Forwards, From with a tag, To without, Call-ID, CSeq (RFC 3261 8.1.1,
        row:G8)."""
        _, request = self.ask()
        self.assertEqual(
            (request.via.transport, request.via.sent_by, request.via.asks_rport), ("TLS", "us.example:5061", True)
        )
        self.assertTrue((request.via.branch or "").startswith("z9hG4bK"))
        self.assertEqual(request.headers["Max-Forwards"], "70")
        self.assertEqual((request.from_.tag, request.to.tag), ("tag1", None))
        self.assertEqual((request.cseq.number, request.cseq.method), (1, "MESSAGE"))

    def test_outcomes(self) -> None:
        """A response, a time-out and a lost flow each come out once (row:F3, row:F4)."""
        transaction, request = self.ask()
        (output,) = self.reply(request)
        assert isinstance(output, ResponseReceived)
        self.assertIs(output.transaction, transaction)
        self.assertEqual(self.reply(request), [])
        transaction, _ = self.ask()
        self.core.flow_failed(self.flow, ConnectionFailure("gone"), 2.0)
        (lost,) = self.core.take_outputs()
        assert isinstance(lost, TransactionFailed)
        self.assertIs(lost.transaction, transaction)
        self.ask()
        self.core.handle_timer(31.9)
        self.assertEqual(self.core.take_outputs(), [])
        self.core.handle_timer(32.0)
        (late,) = self.core.take_outputs()
        self.assertIsInstance(late, TransactionTimedOut)
        self.assertEqual(self.core.layer.inventory()["clients"], 0)

    def test_responses_that_are_not_for_us(self) -> None:
        """A response from another party, with another sent-by, or to nothing at all is dropped and counted
        (fault:C1, fault:C2, fault:A17)."""
        _, request = self.ask()
        stranger = Flow("TLS", True, "us.example:5061", "192.0.2.66", 5061, "evil.example")
        self.assertEqual(self.reply(request, flow=stranger), [])
        other = str(request.headers["Via"]).replace("us.example", "other.example")
        self.assertEqual(self.reply(request, via=other), [])
        self.assertEqual(self.reply(request, via="SIP/2.0/TLS us.example:5061;branch=z9hG4bKnone"), [])
        self.assertEqual(self.reply(request, via="SIP/2.0/TLS us.example:5061"), [])
        self.assertEqual(self.core.counters.dropped_responses, 4)
        self.assertEqual(len(self.reply(request)), 1)

    def test_responses_with_a_second_via(self) -> None:
        """A response with more than one Via was meant for somebody else: dropped (RFC 3261 8.1.3.3, fault:A17)."""
        _, request = self.ask()
        top = request.headers["Via"]
        self.assertEqual(self.reply(request, via=f"{top}, SIP/2.0/TLS other.example;branch=z9hG4bKx"), [])
        headers = [("Via", top), ("Via", "SIP/2.0/TLS other.example;branch=z9hG4bKx")]
        headers += [(name, request.headers[name]) for name in ("From", "To", "Call-ID", "CSeq")]
        self.core.receive_message(Response(200, None, headers), self.flow, 1.0)
        self.assertEqual(self.core.take_outputs(), [])
        self.assertEqual(self.core.counters.dropped_responses, 2)
        self.assertEqual(len(self.reply(request)), 1)

    def test_same_peer_on_another_flow(self) -> None:
        """The same verified party may answer on another of its flows; on UDP the same address may (fault:C1)."""
        _, request = self.ask()
        again = Flow("TLS", True, "us.example:5061", "192.0.2.2", 5061, "peer.example")
        self.assertEqual(len(self.reply(request, flow=again)), 1)
        _, request = self.ask(self.udp)
        self.assertEqual(self.reply(request, flow=Flow("UDP", False, "us.example:5060", "192.0.2.66", 5060)), [])
        self.assertEqual(len(self.reply(request, flow=Flow("UDP", False, "us.example:5060", "192.0.2.1", 9999))), 1)

    def test_keep_alives_and_strangers(self) -> None:
        """A pong is taken in silence; what no framer makes is refused."""
        self.core.receive(PONG, self.flow, 0.0)
        self.assertEqual(self.core.take_outputs(), [])
        with self.assertRaises(TypeError):
            self.core.receive("text", self.flow, 0.0)

    def test_no_retransmissions_on_a_stream(self) -> None:
        """Over a reliable transport nothing is sent twice, however long the answer takes (fault:C8)."""
        self.ask()
        sent = 0
        for _ in range(200):
            deadline = self.core.next_deadline()
            if deadline is None:
                break
            self.core.handle_timer(deadline)
            sent += sum(1 for output in self.core.take_outputs() if isinstance(output, SendMessage))
        self.assertEqual(sent, 0)


class OfferingFlow(Flow):
    """A flow that offers keep-alives, answers an offer, and keeps what it hears."""

    __slots__ = ("heard",)

    def __init__(self) -> None:
        super().__init__("TLS", True, "here.example:5061", "192.0.2.9", 40000, "peer.example")
        self.via_params = ";keep"
        self.heard: list[str] = []

    def answer_via(self, text: str) -> str:
        return text.replace(";keep", ";keep=30")

    def heard_via(self, text: str) -> None:
        self.heard.append(text)


class HopTests(SynchronousTestCase):
    """What two neighbours agree on in a Via (RFC 6223, RFC 7339)."""

    def setUp(self) -> None:
        self.bench = CoreBench()
        self.flow = self.bench.stream = OfferingFlow()

    def via(self, spelling: str) -> str:
        """The Via of the answer to a request with this one."""
        outputs = self.bench.over_stream(message("OPTIONS", replace={"Via": spelling}))
        return answer_of(outputs).headers["Via"]

    def test_offer_of_the_peer(self) -> None:
        """An offer of the peer is answered by the flow, however it is spelt; a Via without one is not shown to the flow
        (row:E17, RFC 6223 section 4.4)."""
        for spelling in (
            "SIP/2.0/TLS peer.example;branch=z9hG4bKk1;keep",
            "SIP/2.0/TLS peer.example ; keep ;branch=z9hG4bKk2",
            "SIP/2.0/TLS peer.example;Keep;branch=z9hG4bKk3, SIP/2.0/UDP a;branch=z9hG4bKk",
        ):
            self.assertIn(";keep=30", self.via(spelling), spelling)
        self.assertNotIn("keep=30", self.via("SIP/2.0/TLS peer.example;branch=z9hG4bKk4, SIP/2.0/UDP a;branch=x"))

    def test_our_offer(self) -> None:
        """Our offer stands in our Via, and the flow hears what a response that belongs to a request of ours says of it,
        and nothing else (row:E17, RFC 6223 section 4.3)."""
        plan = RequestPlan("OPTIONS", "sip:peer@peer.example", "<sip:user@example.com>", "t", "own-1")
        self.bench.core.request(plan.build(), self.flow, 0.0)
        (sent,) = self.bench.core.take_outputs()
        via = parse_message(sent.data).headers["Via"]
        self.assertTrue(via.endswith(";keep"), via)
        for number, value in enumerate((via, f"{via}=30", f"{via}=30")):
            fields = {"Via": value, "From": plan.from_ + ";tag=t", "To": f"{plan.to};tag=p", "Call-ID": plan.call_id}
            fields |= {"CSeq": "1 OPTIONS", "Content-Length": "0"}
            status = 100 if number < 2 else 200
            octets = Response(status, None, list(fields.items())).serialise()
            self.bench.over_stream(octets)
            self.bench.over_stream(octets.replace(b"z9hG4bK", b"z9hG4bKforged"))
        self.assertEqual(self.flow.heard, [f"{via}=30"] * 2)


class InviteTests(SynchronousTestCase):
    """What the machines of a dialog ask of the core: CANCEL and the ACK of a 2xx."""

    def setUp(self) -> None:
        """A core, and its flow."""
        self.core = UserAgentCore(CountingTokens("c"))
        self.flow = Flow("UDP", False, "us.example", "192.0.2.1", 5060)

    def invite(self, *, routes: tuple[str, ...] = (), fields: tuple[tuple[str, str], ...] = ()) -> ClientTransaction:
        """Send an INVITE."""
        plan = RequestPlan("INVITE", "sip:bob@b.example", "<sip:us@us.example>", "tag1", "callid1")
        plan.routes = list(routes)
        plan.fields = list(fields)
        plan.cseq = 4
        return self.core.request(plan.build(), self.flow, 0.0)

    def sent(self) -> Request:
        """The one request that went out."""
        (output,) = [output for output in self.core.take_outputs() if isinstance(output, SendMessage)]
        request = parse_message(output.data)
        assert isinstance(request, Request)
        return request

    def reply(self, request: Request, status: int) -> None:
        """Answer as a peer would."""
        headers = [(name, request.headers[name]) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        self.core.receive_message(Response(status, None, headers), self.flow, 1.0)

    def test_cancel(self) -> None:
        """A CANCEL has the Request-URI, Via, Route, From, To, Call-ID and number of its INVITE, and no Require, of
        it or by itself (row:H16, RFC 3261 section 9.1)."""
        transaction = self.invite(routes=("<sip:p1;lr>", "<sip:p2;lr>"), fields=(("Require", "100rel"), ("X-A", "b")))
        invite = self.sent()
        self.reply(invite, 180)
        reason = 'SIP;cause=200;text="Call completed elsewhere"'
        cancelling = self.core.cancel(transaction, [("Reason", reason), ("Require", "x"), ("Proxy-Require", "x")], 1.0)
        cancel = self.sent()
        self.assertEqual((cancelling.method, cancel.method, cancel.uri_text), ("CANCEL", "CANCEL", invite.uri_text))
        for name in ("Via", "From", "To", "Call-ID"):
            self.assertEqual(cancel.headers.get_all(name), invite.headers.get_all(name), name)
        self.assertEqual(cancel.headers.get_all("Route"), ["<sip:p1;lr>", "<sip:p2;lr>"])
        self.assertEqual((str(cancel.cseq), cancel.headers["Reason"]), ("4 CANCEL", reason))
        self.assertFalse({"Proxy-Require", "Require", "X-A", "Contact"} & set(cancel.headers.names()))
        self.assertEqual(self.core.traffic.requests_out["CANCEL"], 1)

    def test_cancel_of_rfc_3665(self) -> None:
        """The CANCEL of RFC 3665 section 3.8 is what its INVITE makes of it (row:H16)."""
        flows = {name.rpartition("/")[2]: data for name, data in call_flows() if name.startswith("rfc3665/3.08")}
        invite, ringing, expected = (
            parse_message(_without_body(flows[name])) for name in ("F01.sip", "F08.sip", "F09.sip")
        )
        assert isinstance(invite, Request) and isinstance(expected, Request) and isinstance(ringing, Response)
        via = invite.via
        flow = Flow(via.transport, True, via.sent_by, "192.0.2.1", 5060)
        transaction = self.core.layer.request(invite, flow, 0.0)
        ringing.headers.set("Via", invite.headers["Via"])
        self.core.receive_message(Response(180, None, list(ringing.headers)), flow, 1.0)
        self.core.take_outputs()
        self.core.cancel(transaction, (), 1.0)
        cancel = self.sent()
        self.assertEqual(cancel.start_line, expected.start_line)
        for name in ("Via", "Max-Forwards", "Route", "From", "To", "Call-ID", "CSeq"):
            self.assertEqual(cancel.headers.get_all(name), expected.headers.get_all(name), name)

    def test_when_nothing_can_be_cancelled(self) -> None:
        """Before the first response, after the final one, twice, and for what is no INVITE, there is no CANCEL
        (row:H16, RFC 3261 section 9.1)."""
        transaction = self.invite()
        invite = self.sent()
        self.assertRaises(InvalidOperation, self.core.cancel, transaction, (), 0.0)
        self.reply(invite, 100)
        self.core.cancel(transaction, (), 1.0)
        self.assertRaises(InvalidOperation, self.core.cancel, transaction, (), 1.0)
        self.core.take_outputs()
        self.reply(invite, 200)
        self.assertRaises(InvalidOperation, self.core.cancel, transaction, (), 1.0)
        plan = RequestPlan("MESSAGE", "sip:bob@b.example", "<sip:us@us.example>", "tag1", "callid2")
        other = self.core.request(plan.build(), self.flow, 0.0)
        self.assertRaises(InvalidOperation, self.core.cancel, other, (), 1.0)

    def test_cancel_where_no_room_is_left(self) -> None:
        """An INVITE can be cancelled though there is no room for another request: that is what makes room."""
        self.core = UserAgentCore(CountingTokens("c"), transactions=1)
        transaction = self.invite()
        self.reply(self.sent(), 180)
        self.assertRaises(InvalidOperation, self.invite)
        self.core.cancel(transaction, (), 1.0)
        self.assertEqual(self.sent().method, "CANCEL")

    def test_acknowledge(self) -> None:
        """The ACK of a 2xx goes out once, with a branch of its own, and comes back as octets to be sent again
        (RFC 3261 section 13.2.2.4)."""
        plan = RequestPlan("ACK", "sip:bob@192.0.2.2", "<sip:us@us.example>", "tag1", "callid1")
        plan.to = "<sip:bob@b.example>;tag=bt"
        plan.cseq = 4
        octets = self.core.acknowledge(plan, self.flow)
        (output,) = self.core.take_outputs()
        assert isinstance(output, SendMessage)
        self.assertEqual((output.data, output.flow), (octets, self.flow))
        ack = parse_message(octets)
        self.assertEqual((ack.via.branch, ack.via.sent_by, str(ack.cseq)), ("z9hG4bKc2", "us.example", "4 ACK"))
        self.assertEqual(self.core.layer.inventory()["clients"], 0)
        self.assertIsNone(self.core.next_deadline())
        self.assertEqual(self.core.traffic.requests_out["ACK"], 1)

    def test_acknowledge_offers_nothing(self) -> None:
        """An ACK, which nobody answers, offers no keep-alives (RFC 6223 section 4.3)."""
        self.flow.via_params = ";alias;keep;x"
        plan = RequestPlan("ACK", "sip:bob@192.0.2.2", "<sip:us@us.example>", "tag1", "callid1")
        via = parse_message(self.core.acknowledge(plan, self.flow)).headers["Via"]
        self.assertTrue(via.endswith("z9hG4bKc2;alias;x"), via)


def _without_body(data: bytes) -> bytes:
    """A printed message without its body, whose printed length is not always right."""
    head = data.partition(b"\r\n\r\n")[0]
    lines = [line for line in head.split(b"\r\n") if line and not line.lower().startswith(b"content-")]
    return b"\r\n".join([*lines, b"", b""])


class BoundTests(SynchronousTestCase):
    """What the core may hold."""

    def test_other_bounds(self) -> None:
        """Bounds that change hold from then on: for transactions, and for dialogs (fault:D9)."""
        bench = CoreBench()
        bench.core.bound(1, 2, 10, 10_000)
        self.assertEqual(bench.core.dialogs.limit, 2)
        self.assertEqual(len(delivered(bench.over_stream(message("MESSAGE", body=b"x")))), 1)
        self.assertEqual(bench.status(message("MESSAGE", branch="z9hG4bKb2", body=b"x")), 503)


class LeakTests(MemoryTestCase):
    """Nothing stays."""

    def test_flow_lost_with_requests_waiting(self) -> None:
        """Ten requests, then the flow dies, a thousand times: every table and timer is empty again (fault:C4)."""
        bench = CoreBench()
        bench.profile.allow("INVITE")
        for round_ in range(1000):
            bench.stream = Flow("TLS", True, "here.example:5061", "192.0.2.9", 40000, "peer.example")
            for number in range(10):
                octets = message(
                    "INVITE", branch=f"z9hG4bK{round_}-{number}", replace={"Call-ID": f"{round_}-{number}"}
                )
                bench.over_stream(octets)
            bench.core.flow_failed(bench.stream, ConnectionFailure("reset"), 0.0)
            outputs = bench.core.take_outputs()
            self.assertEqual(sum(1 for output in outputs if isinstance(output, RequestAbandoned)), 10)
        self.assertEqual(set(bench.core.layer.inventory().values()), {0})
        self.assertIsNone(bench.core.next_deadline())

    def test_no_growth_over_many_requests(self) -> None:
        """OPTIONS after OPTIONS leaves nothing behind (fault:C10)."""
        bench = CoreBench()
        count = itertools.count()

        def one() -> None:
            number = next(count)
            octets = message("OPTIONS", branch=f"z9hG4bKn{number}", replace={"Call-ID": f"n{number}"})
            self.assertEqual(statuses_of(bench.over_stream(octets)), [200])

        self.assert_no_growth(one)
        self.assertEqual(set(bench.core.layer.inventory().values()), {0})

    def test_unparsable_closes_only_its_flow(self) -> None:
        """A stream that is lost is closed by an output that names it; the core goes on with the others."""
        bench = CoreBench()
        (*_, last) = bench.over_stream(b"\x16\x03\x01garbage")
        assert isinstance(last, CloseFlow)
        self.assertIs(last.flow, bench.stream)
        self.assertEqual(bench.status(message("OPTIONS")), 200)


class ProfileTests(SynchronousTestCase):
    """What a party can do, as others see it."""

    def test_accept(self) -> None:
        """Types are accepted by name, by kind, or all; what is taken back is gone."""
        profile = Profile(methods=("INFO",))
        profile.allow("INFO", ("application/*", "TEXT/plain"))
        self.assertTrue(profile.accepts("INFO", "application/x"))
        self.assertTrue(profile.accepts("INFO", "text/plain"))
        self.assertFalse(profile.accepts("INFO", "text/html"))
        self.assertEqual(profile.accept_value, "application/*, text/plain")
        profile.disallow("INFO")
        self.assertFalse(profile.allows("INFO"))
        self.assertEqual(profile.allow_value, "OPTIONS")
