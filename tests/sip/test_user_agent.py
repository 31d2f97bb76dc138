"""The rules of RFC 3261 section 8, for the UAS and for the UAC, without a socket or a clock."""

from __future__ import annotations

import itertools

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.framing import PONG
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import (
    AckReceived,
    CloseFlow,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.base import ClientTransaction
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.harness import HERE, CoreBench, delivered, message, statuses_of
from tests.support import MemoryTestCase, SynchronousTestCase, call_flows

METHODS = "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards")


def answer_of(outputs: list) -> Response:
    """The one response among *outputs*."""
    (sent,) = [output for output in outputs if isinstance(output, SendMessage)]
    response = parse_message(sent.data)
    assert isinstance(response, Response)
    return response


class SyntaxTests(SynchronousTestCase):
    """Requests that are not what every request must be."""

    def test_every_subset_of_the_mandatory_fields(self) -> None:
        """For every subset of the mandatory fields and every method, the answer is 400 or none, and the next request is
        served (fault:A1)."""
        canary = itertools.count()
        for method in METHODS:
            for size in range(len(MANDATORY) + 1):
                for dropped in itertools.combinations(MANDATORY, size):
                    bench = CoreBench()
                    bench.profile.allow("INFO")
                    outputs = bench.over_stream(message(method, drop=dropped))
                    statuses = statuses_of(outputs)
                    context = f"{method} without {dropped}: {outputs}"
                    if method == "ACK" or "Via" in dropped:
                        self.assertEqual(statuses, [], context)
                    elif set(dropped) - {"Max-Forwards"}:
                        self.assertEqual(statuses, [400], context)
                    ping = message("OPTIONS", branch=f"z9hG4bKc{next(canary)}", replace={"Call-ID": "canary"})
                    self.assertEqual(bench.status(ping), 200, context)

    def test_duplicates_of_single_fields(self) -> None:
        """Two To, From, Call-ID, CSeq or Max-Forwards fields, the same or not, are 400 (fault:A2)."""
        originals = {
            "To": f"<{HERE}>",
            "From": "<sip:peer@peer.example>;tag=ft",
            "Call-ID": "call-1",
            "CSeq": "1 MESSAGE",
        }
        for name, same in {**originals, "Max-Forwards": "70"}.items():
            for value in (same, "<sip:evil@evil.example>;tag=x" if name in ("To", "From") else "2 MESSAGE"):
                outputs = CoreBench().over_stream(message("MESSAGE", extra=f"\r\n{name}: {value}", body=b"x"))
                self.assertEqual((statuses_of(outputs), delivered(outputs)), ([400], []), f"{name}: {value}")

    def test_numbers(self) -> None:
        """CSeq below 2**31 and in digits, Max-Forwards in digits; what is beyond is 400, or tolerated where the RFC
        tolerates it (fault:A14)."""
        for value, status in (
            ("0 MESSAGE", None), ("2147483647 MESSAGE", None), ("2147483648 MESSAGE", 400), ("4294967297 MESSAGE", 400),
            ("-1 MESSAGE", 400), ("+1 MESSAGE", 400), ("1_0 MESSAGE", 400), ("١ MESSAGE", 400), ("1MESSAGE", 400),
            ("1", 400), ("MESSAGE 1", 400), ("9" * 4000 + " MESSAGE", 400), ("1 message", 400), ("007 MESSAGE", None),
        ):  # fmt: skip
            self.assertEqual(
                CoreBench().status(message("MESSAGE", replace={"CSeq": value}, body=b"x")), status, value[:40]
            )
        for value, status in (("0", None), ("255", None), ("-1", 400), ("x", 400), ("", 400), ("٣", 400)):
            octets = message("MESSAGE", replace={"Max-Forwards": value}, body=b"x")
            self.assertEqual(CoreBench().status(octets), status, f"Max-Forwards {value!r}")

    def test_uris(self) -> None:
        """Request-URIs that are none are 400, other schemes 416, escaped header fields 400 (fault:A13, row:G5)."""
        cases = {
            "sip:": 400, "sip:@": 400, "sip:a@": 400, "sip:a@b@c": 400, "sip:a@b:99999": 400, "sip:a@[::1": 400,
            "sip:a@[fe80::1%eth0]": 400, "sip:2001:db8::10": 400, "sip:a@b:": 400, "sip:a@b:x": 400, "a@b": 400,
            "sip:a@b?Route=%3Csip:c%3E": 400, "nobody:x": 416, "http://example.com/": 416, "mailto:a@b.example": 416,
            "sip:%00@example.com": None, "sip:user@[2001:db8::1]": None,
        }  # fmt: skip
        for uri, status in cases.items():
            self.assertEqual(CoreBench().status(message("MESSAGE", uri, body=b"x")), status, uri)

    def test_method_mismatch(self) -> None:
        """A CSeq of another method is 400 (RFC 3261 8.1.1.5)."""
        self.assertEqual(CoreBench().status(message("MESSAGE", replace={"CSeq": "1 OPTIONS"})), 400)

    def test_reflected_text_is_harmless(self) -> None:
        """What the peer wrote comes back in a 400 only as printable ASCII, short, and inside its quotes (fault:B4)."""
        evil = '\x07\x1b[2J"\\\u202e ' + "A" * 3000
        response = answer_of(CoreBench().over_stream(message("MESSAGE", replace={"CSeq": evil})))
        warning = response.headers["Warning"]
        self.assertRegex(warning, r'399 sip_p2p "[ !#-\[\]-~]{1,512}"')
        self.assertLess(len(warning), 600)

    def test_same_refusal_each_time(self) -> None:
        """Without a transaction the same octets get the same answer, tag and all (RFC 3261 8.2.7)."""
        bench = CoreBench()
        octets = message("MESSAGE", drop=("Call-ID",))
        first, second = answer_of(bench.over_udp(octets)), answer_of(bench.over_udp(octets))
        self.assertEqual(first, second)
        self.assertIsNotNone(first.to.tag)


class UasTests(SynchronousTestCase):
    """Section 8.2, in its order."""

    def test_to_the_application(self) -> None:
        """A request that passes every check reaches the application, and its answer has all that 8.2.6 copies."""
        bench = CoreBench()
        (output,) = bench.over_stream(
            message("MESSAGE", body=b"hi", extra="\r\nVia: SIP/2.0/UDP lower;branch=z9hG4bKl")
        )
        assert isinstance(output, RequestReceived)
        self.assertIs(output.profile, bench.profile)
        bench.core.respond(output.transaction, bench.core.response(output.transaction, 202), 0.0)
        response = answer_of(bench.core.take_outputs())
        self.assertEqual(response.status, 202)
        self.assertEqual([via.branch for via in response.vias()], ["z9hG4bKb1", "z9hG4bKl"])
        self.assertEqual(response.headers["From"], "<sip:peer@peer.example>;tag=ft")
        self.assertEqual((response.call_id, response.headers["CSeq"]), ("call-1", "1 MESSAGE"))
        self.assertIsNotNone(response.to.tag)

    def test_received_and_rport(self) -> None:
        """Where a request came from is written into its Via and goes back with the answer (row:E29, fault:I4)."""
        bench = CoreBench()
        response = answer_of(bench.over_stream(message("OPTIONS")))
        self.assertEqual((response.via.received, response.via.rport), ("192.0.2.9", 40000))
        spoofed = {"Via": "SIP/2.0/TLS peer.example;branch=z9hG4bKs;received=203.0.113.5;rport=9"}
        response = answer_of(bench.over_stream(message("OPTIONS", replace=spoofed)))
        self.assertEqual((response.via.received, response.via.rport), ("192.0.2.9", 40000))
        without = {"Via": "SIP/2.0/TLS peer.example;branch=z9hG4bKt"}
        response = answer_of(bench.over_stream(message("OPTIONS", replace=without)))
        self.assertEqual((response.via.received, response.via.asks_rport), ("192.0.2.9", False))

    def test_methods(self) -> None:
        """A known method that is not handled is 405, an unknown one 501, both with Allow (row:B9, row:G5)."""
        for method, status in (("PUBLISH", 405), ("REGISTER", 405), ("NEWMETHOD", 501), ("message", 501)):
            response = answer_of(CoreBench().over_stream(message(method)))
            self.assertEqual(response.status, status)
            self.assertEqual(response.headers["Allow"], "INVITE, MESSAGE, OPTIONS")

    def test_options(self) -> None:
        """OPTIONS is answered by itself, with Allow, Accept and Supported (row:F12)."""
        bench = CoreBench()
        bench.profile.supported.add("path")
        response = answer_of(bench.over_stream(message("OPTIONS")))
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["Allow"], "INVITE, MESSAGE, OPTIONS")
        self.assertEqual(response.headers["Accept"], "*/*")
        self.assertEqual(response.headers["Supported"], "path")
        bench.profile.allow("OPTIONS")
        octets = message("OPTIONS", branch="z9hG4bKo2", replace={"Call-ID": "other"})
        self.assertEqual(delivered(bench.over_stream(octets)), ["OPTIONS"])

    def test_dialogs_that_are_none(self) -> None:
        """A request with a To tag belongs to no dialog here: 481, whatever its method; an ACK is never answered
        (row:G6)."""
        for method in ("MESSAGE", "INVITE", "OPTIONS"):
            octets = message(method, replace={"To": f"<{HERE}>;tag=gone"})
            self.assertEqual(CoreBench().status(octets), 481, method)
        (output,) = CoreBench().over_stream(message("ACK", replace={"To": f"<{HERE}>;tag=gone"}))
        self.assertIsInstance(output, AckReceived)

    def test_nobody_here(self) -> None:
        """A request for nobody that is served here is 404 (row:G5)."""
        bench = CoreBench(catch_all=False)
        octets = message("MESSAGE", "sip:stranger@example.com", replace={"To": "<sip:stranger@example.com>"}, body=b"x")
        self.assertEqual(bench.status(octets), 404)

    def test_require(self) -> None:
        """An extension that is not understood is 420 with its name; one that was added is let pass (row:A19,
        row:G10)."""
        bench = CoreBench()
        octets = message("MESSAGE", extra="\r\nRequire: path, x-odd\r\nRequire: y", body=b"x")
        response = answer_of(bench.over_stream(octets))
        self.assertEqual((response.status, response.headers["Unsupported"]), (420, "path, x-odd, y"))
        bench.profile.supported.update(("path", "x-odd", "y"))
        again = octets.replace(b"z9hG4bKb1", b"z9hG4bKb2").replace(b"call-1", b"call-2")
        self.assertEqual(delivered(bench.over_stream(again)), ["MESSAGE"])

    def test_bodies(self) -> None:
        """A body of a type that is not accepted is 415 with Accept, an encoding 415 with Accept-Encoding, no type 400
        (row:G11, fault:A16)."""
        bench = CoreBench()
        odd = {"Content-Type": "application/x-odd"}
        response = answer_of(bench.over_stream(message("INVITE", body=b"x", replace=odd)))
        self.assertEqual(response.status, 415)
        self.assertIn("application/sdp", response.headers["Accept"])
        octets = message(
            "INVITE",
            body=b"x",
            replace=odd,
            extra="\r\nContent-Disposition: session;handling=optional",
            branch="z9hG4bKi",
        )
        self.assertEqual(delivered(bench.over_stream(octets.replace(b"call-1", b"call-2"))), ["INVITE"])
        packed = message("MESSAGE", body=b"\x1f\x8b", extra="\r\nContent-Encoding: gzip")
        response = answer_of(CoreBench().over_stream(packed))
        self.assertEqual((response.status, response.headers["Accept-Encoding"]), (415, "identity"))
        untyped = message("MESSAGE", body=b"x").replace(b"Content-Type: text/plain\r\n", b"")
        self.assertEqual(CoreBench().status(untyped), 400)

    def test_max_forwards(self) -> None:
        """A user agent takes a request whose Max-Forwards is 0: there is nowhere to forward it to (row:G8)."""
        self.assertEqual(
            delivered(CoreBench().over_stream(message("MESSAGE", replace={"Max-Forwards": "0"}, body=b"x"))),
            ["MESSAGE"],
        )
        self.assertEqual(CoreBench().status(message("OPTIONS", drop=("Max-Forwards",))), 200)

    def test_merged_requests(self) -> None:
        """The same request by another path is 482 while the first is being answered, over UDP also after it
        (row:G7, fault:C7)."""
        for udp in (False, True):
            bench = CoreBench()
            feed = bench.over_udp if udp else bench.over_stream
            (first,) = feed(message("MESSAGE", branch="z9hG4bKone", body=b"x"))
            assert isinstance(first, RequestReceived)
            self.assertEqual(statuses_of(feed(message("MESSAGE", branch="z9hG4bKtwo", body=b"x"))), [482])
            bench.core.respond(first.transaction, bench.core.response(first.transaction, 200), 0.0)
            bench.core.take_outputs()
            third = feed(message("MESSAGE", branch="z9hG4bKthree", body=b"x"))
            self.assertEqual((statuses_of(third), delivered(third)), ([482], []) if udp else ([], ["MESSAGE"]))

    def test_merged_requests_with_long_names(self) -> None:
        """Call-IDs and branches of thousands of characters are told apart, and none of them is kept (fault:H5,
        fault:C7)."""
        bench = CoreBench()
        long = "x" * 3000
        for call, branch, status in (("1", "1", None), ("1", "2", 482), ("2", "3", None)):
            octets = message("MESSAGE", branch=f"z9hG4bK{long}{branch}", replace={"Call-ID": long + call}, body=b"x")
            self.assertEqual(statuses_of(bench.over_udp(octets)), [] if status is None else [status])
        for key, (_, whose) in bench.core.rules.merging.items():
            self.assertLess(len(key) + len(whose), 200)

    def test_strangers_are_not_merged(self) -> None:
        """Two verified peers that happen to send the same Call-ID and tag are two requests (fault:C1)."""
        bench = CoreBench()
        bench.over_stream(message("MESSAGE", branch="z9hG4bKone", body=b"x"))
        bench.stream = Flow("TLS", True, "here.example:5061", "192.0.2.77", 40000, "other.example")
        self.assertEqual(delivered(bench.over_stream(message("MESSAGE", branch="z9hG4bKone", body=b"x"))), ["MESSAGE"])

    def test_retransmissions(self) -> None:
        """A retransmitted request gets the same answer again and does not reach the application twice (row:G9)."""
        bench = CoreBench()
        octets = message("MESSAGE", body=b"x")
        (first,) = bench.over_udp(octets)
        self.assertEqual(bench.over_udp(octets), [])
        assert isinstance(first, RequestReceived)
        bench.core.respond(first.transaction, bench.core.response(first.transaction, 200), 0.0)
        (sent,) = bench.core.take_outputs()
        (again,) = bench.over_udp(octets)
        self.assertEqual(sent.data, again.data)  # type: ignore[union-attr]

    def test_rfc2543_peers(self) -> None:
        """Without a branch of RFC 3261 the older rules find the transaction (row:G9, fault:C9)."""
        bench = CoreBench()
        for via in (
            "SIP/2.0/UDP peer.example",
            "SIP/2.0/UDP peer.example;branch=1",
            "SIP/2.0/UDP peer.example;branch=z9hG4bK",
        ):
            octets = message("MESSAGE", body=b"x", replace={"Via": via, "Call-ID": via.replace(" ", "")})
            self.assertEqual(delivered(bench.over_udp(octets)), ["MESSAGE"], via)
            self.assertEqual(bench.over_udp(octets), [], via)
        other = message(
            "MESSAGE", body=b"x", replace={"Via": "SIP/2.0/UDP peer.example;branch=1", "Call-ID": "another"}
        )
        self.assertEqual(delivered(bench.over_udp(other)), ["MESSAGE"])

    def test_cancel(self) -> None:
        """CANCEL is 481 without its INVITE; with it, 200 and the INVITE's 487; after a final response 200 alone
        (fault:C5)."""
        bench = CoreBench()
        self.assertEqual(bench.status(message("CANCEL")), 481)
        invite = message("INVITE", branch="z9hG4bKinv", body=b"v=0", replace={"Content-Type": "application/sdp"})
        cancel = message("CANCEL", branch="z9hG4bKinv")
        bench = CoreBench()
        self.assertEqual(delivered(bench.over_udp(invite)), ["INVITE"])
        outputs = bench.over_udp(cancel)
        self.assertEqual(statuses_of(outputs), [200, 487])
        self.assertIsInstance(outputs[-1], RequestAbandoned)
        tags = {parse_message(output.data).to.tag for output in outputs if isinstance(output, SendMessage)}
        self.assertEqual(len(tags), 1)
        bench = CoreBench()
        (received,) = bench.over_udp(invite)
        assert isinstance(received, RequestReceived)
        bench.core.respond(received.transaction, bench.core.response(received.transaction, 486), 0.0)
        bench.core.take_outputs()
        self.assertEqual(statuses_of(bench.over_udp(cancel)), [200])

    def test_ack(self) -> None:
        """An ACK is never answered: not a broken one, not one for nothing, not one for another method (fault:C6)."""
        for octets in (
            message("ACK"), message("ACK", drop=("Call-ID",)), message("ACK", replace={"CSeq": "x"}),
            message("ACK", "nobody:x"), message("ACK", extra="\r\nRequire: odd"),
            message("ACK", replace={"CSeq": "1 INVITE"}),
        ):  # fmt: skip
            bench = CoreBench()
            self.assertEqual(statuses_of(bench.over_udp(octets)), [])
            bench.over_udp(message("MESSAGE", branch="z9hG4bKb1", body=b"x"))
            self.assertEqual(statuses_of(bench.over_udp(octets)), [])

    def test_answered_once(self) -> None:
        """A second final response is AlreadyResponded and sends nothing (row:B6, fault:K4)."""
        bench = CoreBench()
        (received,) = bench.over_stream(message("MESSAGE", body=b"x"))
        assert isinstance(received, RequestReceived)
        transaction = received.transaction
        bench.core.respond(transaction, bench.core.response(transaction, 200), 0.0)
        bench.core.take_outputs()
        with self.assertRaises(AlreadyResponded):
            bench.core.respond(transaction, bench.core.response(transaction, 500), 0.0)
        self.assertEqual(bench.core.take_outputs(), [])

    def test_changing_the_request_changes_no_answer(self) -> None:
        """What an application does to the request that it was given touches neither matching nor the answer
        (fault:K10)."""
        bench = CoreBench()
        octets = message("MESSAGE", body=b"x")
        (received,) = bench.over_udp(octets)
        assert isinstance(received, RequestReceived)
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            received.request.headers.set(name, "changed")
        received.request.method = "OPTIONS"
        self.assertEqual(bench.over_udp(octets), [])
        bench.core.respond(received.transaction, bench.core.response(received.transaction, 200), 0.0)
        response = answer_of(bench.core.take_outputs())
        self.assertEqual((response.call_id, response.headers["CSeq"]), ("call-1", "1 MESSAGE"))
        self.assertEqual(statuses_of(bench.over_udp(octets)), [200])

    def test_an_application_that_never_answers(self) -> None:
        """Over UDP a silent application's request gets 100, then 500 in its place, and the transaction ends
        (fault:K2)."""
        bench = CoreBench()
        self.assertEqual(delivered(bench.over_udp(message("MESSAGE", body=b"x"))), ["MESSAGE"])
        seen: list[int] = []
        abandoned = 0
        while (deadline := bench.core.next_deadline()) is not None and deadline < 31.9:
            bench.core.handle_timer(deadline)
            outputs = bench.core.take_outputs()
            seen += statuses_of(outputs)
            abandoned += sum(1 for output in outputs if isinstance(output, RequestAbandoned))
        self.assertEqual((seen, abandoned), ([100, 500], 1))

    def test_too_many(self) -> None:
        """Over the bound of live transactions a request is 503 with Retry-After; those that are known are served
        (row:E20)."""
        bench = CoreBench()
        bench.core = UserAgentCore(CountingTokens(), transactions=1)
        bench.core.directory.add(bench.profile, SipUri.parse(HERE), "x")
        first = message("MESSAGE", branch="z9hG4bK1", body=b"x")
        self.assertEqual(delivered(bench.over_udp(first)), ["MESSAGE"])
        response = answer_of(bench.over_udp(message("MESSAGE", branch="z9hG4bK2", body=b"x", replace={"Call-ID": "2"})))
        self.assertEqual(response.status, 503)
        self.assertTrue(response.headers["Retry-After"].isdigit())
        self.assertEqual(bench.over_udp(first), [])

    def test_authenticator_comes_first(self) -> None:
        """Where there is an authenticator it is asked before anything else is looked at (the place of digest)."""

        class Always:
            def challenge(self, request: Request, flow: Flow) -> Headers | None:
                return Headers([("WWW-Authenticate", 'Digest realm="here"')])

        bench = CoreBench()
        bench.profile.authenticator = Always()
        response = answer_of(bench.over_stream(message("PUBLISH", extra="\r\nRequire: odd")))
        self.assertEqual((response.status, response.headers["WWW-Authenticate"]), (401, 'Digest realm="here"'))


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
        """A CANCEL has the Request-URI, Via, Route, From, To, Call-ID and number of its INVITE, and no Require of it
        (row:H16, RFC 3261 section 9.1)."""
        transaction = self.invite(routes=("<sip:p1;lr>", "<sip:p2;lr>"), fields=(("Require", "100rel"), ("X-A", "b")))
        invite = self.sent()
        self.reply(invite, 180)
        reason = 'SIP;cause=200;text="Call completed elsewhere"'
        cancelling = self.core.cancel(transaction, [("Reason", reason)], 1.0)
        cancel = self.sent()
        self.assertEqual((cancelling.method, cancel.method, cancel.uri_text), ("CANCEL", "CANCEL", invite.uri_text))
        for name in ("Via", "From", "To", "Call-ID"):
            self.assertEqual(cancel.headers.get_all(name), invite.headers.get_all(name), name)
        self.assertEqual(cancel.headers.get_all("Route"), ["<sip:p1;lr>", "<sip:p2;lr>"])
        self.assertEqual((str(cancel.cseq), cancel.headers["Reason"]), ("4 CANCEL", reason))
        self.assertFalse({"Require", "X-A", "Contact"} & set(cancel.headers.names()))
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
