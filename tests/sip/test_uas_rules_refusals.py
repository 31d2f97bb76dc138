"""What every request must have, and what section 8.2 refuses: :mod:`sip_p2p.sip.uas_rules`."""

from __future__ import annotations

import itertools

from sip_p2p.errors import AlreadyResponded
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import (
    AckReceived,
    RequestAbandoned,
    RequestReceived,
    SendMessage,
)
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Judgement
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.harness import HERE, CoreBench, answer_of, delivered, message, statuses_of
from tests.support import SynchronousTestCase

METHODS = "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
MANDATORY = ("Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards")


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

    def test_duplicates_of_what_events_need(self) -> None:
        """RFC 6665 section 8.2.1, RFC 5839 section 5.2: a message names one event and one state, by either name of a
        field (fault:A2)."""
        for fields in ("Event: a\r\nEvent: b", "Event: a\r\no: a", "Subscription-State: active\r\n" * 2 + "X: y",
                       "Suppress-If-Match: a\r\nSuppress-If-Match: b"):  # fmt: skip
            outputs = CoreBench().over_stream(message("MESSAGE", extra=f"\r\n{fields}", body=b"x"))
            self.assertEqual((statuses_of(outputs), delivered(outputs)), ([400], []), fields)

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

    def test_replaces_elsewhere(self) -> None:
        """Replaces or Join in anything but an INVITE is 400, and in an ACK nothing (RFC 3891 section 3, RFC 3911
        section 4, row:I9)."""
        for name, method in itertools.product(("Replaces", "Join"), METHODS):
            bench = CoreBench()
            outputs = bench.over_stream(message(method, extra=f"\r\n{name}: call;to-tag=a;from-tag=b"))
            if method in ("ACK", "INVITE"):
                self.assertNotIn(400, statuses_of(outputs), (name, method))
            else:
                self.assertEqual((statuses_of(outputs), delivered(outputs)), ([400], []), (name, method))

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
        """OPTIONS is answered by itself, with Allow, Accept and its kin, and Supported (row:F12)."""
        bench = CoreBench()
        bench.profile.supported.add("path")
        response = answer_of(bench.over_stream(message("OPTIONS")))
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers["Allow"], "INVITE, MESSAGE, OPTIONS")
        self.assertEqual(response.headers["Accept"], "*/*")
        self.assertEqual((response.headers["Accept-Encoding"], response.headers["Accept-Language"]), ("identity", "*"))
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
        optional = packed.replace(b"gzip\r\n", b"gzip\r\nContent-Disposition: render;handling=optional\r\n")
        self.assertEqual(delivered(CoreBench().over_stream(optional)), ["MESSAGE"])
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

    def test_cancel_of_another_method(self) -> None:
        """9.2, RFC 6665 section 4.6: a CANCEL of what is no INVITE is answered 200 while that is known, and changes
        nothing of it."""
        for method in ("SUBSCRIBE", "MESSAGE"):
            bench = CoreBench()
            bench.profile.allow(method)
            request = message(method, branch="z9hG4bKother", body=b"x", replace={"Event": "presence"})
            (received,) = bench.over_udp(request)
            assert isinstance(received, RequestReceived)
            cancel = message("CANCEL", branch="z9hG4bKother")
            [answer] = bench.over_udp(cancel)
            self.assertEqual(statuses_of([answer]), [200], method)
            self.assertFalse(received.transaction.is_final_sent)
            bench.core.respond(received.transaction, bench.core.response(received.transaction, 403), 0.0)
            self.assertEqual(statuses_of(bench.core.take_outputs()), [403])

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
            def judge(self, request: Request, flow: Flow, now: float) -> Judgement:
                return Judgement("", 401, (("WWW-Authenticate", 'Digest realm="here"'),))

        bench = CoreBench()
        bench.profile.authenticator = Always()
        response = answer_of(bench.over_stream(message("PUBLISH", extra="\r\nRequire: odd")))
        self.assertEqual((response.status, response.headers["WWW-Authenticate"]), (401, 'Digest realm="here"'))
