"""Octets to messages: lines, names, folds, controls; and that what cannot be parsed is still answered where it can
be."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import parse_disposition
from sip_p2p.sip.fields import parse_contact, split_values
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import Unparsable, parse_datagram, parse_head, parse_message, salvage
from tests.sip.harness import CoreBench, message, statuses_of
from tests.support import SynchronousTestCase, call_flows

NOT_LINE_ENDS = [*"\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\u00a0\u3000\u212a\u017f"]


REAL_MESSAGES = [octets for _, octets in call_flows()]


class LineTests(SynchronousTestCase):
    """Only CRLF ends a line, and only SP and HTAB are blanks."""

    def test_other_line_ends(self) -> None:
        """Nothing that Python or Unicode calls a line end or a blank ends a field of ours (fault:A11)."""
        for character in NOT_LINE_ENDS:
            octets = message("MESSAGE", extra=f"\r\nX-First: a{character}Content-Length: 9", body=b"hi")
            if character in "\r\n":
                with self.assertRaises(MalformedMessage):
                    parse_message(octets)
                continue
            parsed = parse_message(octets)
            self.assertEqual(parsed.headers["X-First"], f"a{character}Content-Length: 9")
            self.assertEqual(parsed.body, b"hi")

    def test_each_octet_at_each_structural_place(self) -> None:
        """Any single octet in a name, before a colon, in a value or in the start line parses to itself or is 400
        (fault:A11)."""
        for value in range(256):
            octet = bytes([value])
            for octets in (
                b"OPTIONS sip:a@b SIP/2.0\r\nX" + octet + b"Y: z\r\n\r\n",
                b"OPTIONS sip:a@b SIP/2.0\r\nX" + octet + b": z\r\n\r\n",
                b"OPTIONS sip:a@b SIP/2.0\r\nX: a" + octet + b"b\r\n\r\n",
                b"OPTIONS sip:a" + octet + b"@b SIP/2.0\r\nX: z\r\n\r\n",
                b"OPTIONS" + octet + b"sip:a@b SIP/2.0\r\nX: z\r\n\r\n",
                b"OPT" + octet + b"IONS sip:a@b SIP/2.0\r\nX: z\r\n\r\n",
            ):
                try:
                    parsed = parse_message(octets)
                except MalformedMessage as error:
                    self.assertIn(error.status, (400, 505))
                    continue
                self.assertEqual(len(parsed.headers), 1, octets)
                name = "X" if "X" in parsed.headers else parsed.headers.names()[0]
                self.assertEqual(parse_message(parsed.serialise()).headers[name], next(iter(parsed.headers))[1])

    def test_names_that_only_look_alike(self) -> None:
        """A Kelvin sign is no k and a long s is no S: names outside ASCII are not names (fault:A11)."""
        for name in ("\u212a", "\u017fubject", "Call\u2010ID"):
            with self.assertRaises(MalformedMessage):
                parse_message(f"OPTIONS sip:a@b SIP/2.0\r\n{name}: z\r\n\r\n".encode())

    def test_octets_that_are_not_utf8(self) -> None:
        """Octets that are no UTF-8 survive parsing and writing unchanged, in head and body (fault:A12)."""
        octets = message("MESSAGE", extra="\r\nSubject: \udcff\udc80 x", body=bytes(range(256)))
        parsed = parse_message(octets)
        self.assertEqual(parsed.body, bytes(range(256)))
        self.assertIn(b"Subject: \xff\x80 x\r\n", parsed.serialise())

    def test_nul(self) -> None:
        """NUL is refused in the head unless it is half of a quoted-pair, and is an octet like any other in a body
        (fault:A12)."""
        with self.assertRaises(MalformedMessage) as caught:
            parse_message(message("MESSAGE", extra="\r\nSubject: a\0b"))
        self.assertEqual(caught.exception.status, 400)
        self.assertIsNotNone(caught.exception.offset)
        self.assertEqual(
            parse_message(message("MESSAGE", extra='\r\nSubject: "a\\\0b"')).headers["Subject"], '"a\\\0b"'
        )
        with self.assertRaises(MalformedMessage):
            parse_message(message("MESSAGE", extra='\r\nSubject: "a\\\\\0b"'))
        self.assertEqual(parse_message(message("MESSAGE", body=b"a\0b")).body, b"a\0b")

    def test_folds(self) -> None:
        """A folded value is one value with one space for each fold; a folded start line is 400 (RFC 3261 7.3.1)."""
        parsed = parse_message(
            message("MESSAGE", extra="\r\nSubject: I know you're there,\r\n \t pick up\r\n\tthe phone")
        )
        self.assertEqual(parsed.headers["Subject"], "I know you're there, pick up the phone")
        with self.assertRaises(MalformedMessage):
            parse_message(b"OPTIONS sip:a@b SIP/2.0\r\n more\r\nX: z\r\n\r\n")

    def test_blank_before_the_start_line(self) -> None:
        """A start line that begins with a blank is 400, whatever else is folded, on a stream as in a datagram
        (fault:A11, fault:A5)."""
        for blank in (b" ", b"\t", b" \t"):
            for rest in (message(), message(extra="\r\nSubject: a\r\n b")):
                octets = blank + rest
                with self.assertRaises(MalformedMessage) as caught:
                    parse_message(octets)
                self.assertEqual(caught.exception.status, 400)
                for pieces in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
                    framer = StreamFramer()
                    found = [item for piece in pieces for item in framer.feed(piece)]
                    self.assertEqual([type(item) for item in found], [Unparsable])
                    self.assertTrue(framer.failed)

    def test_offsets(self) -> None:
        """An error says where, so that a person finds it (M-rows: bad input names itself)."""
        with self.assertRaises(MalformedMessage) as caught:
            parse_head("OPTIONS sip:a@b SIP/2.0\r\nVia: x\r\nno colon here")
        self.assertEqual(caught.exception.offset, 33)
        self.assertIn("octet 33", str(caught.exception))


class StartLineTests(SynchronousTestCase):
    """Request-Line and Status-Line."""

    def test_statuses(self) -> None:
        """A status is three digits between 100 and 699; others are no responses (fault:A14, fault:A17)."""
        self.assertEqual(parse_message(b"SIP/2.0 699 Odd\r\nX: z\r\n\r\n").status, 699)  # type: ignore[union-attr]
        for text in ("4294967301", "99", "099", "700", "1000", "+20", "2 0", "٢٠٠", "20", "", "-200", "200.0"):
            with self.assertRaises(MalformedMessage, msg=text):
                parse_message(f"SIP/2.0 {text} OK\r\nX: z\r\n\r\n".encode())

    def test_versions(self) -> None:
        """SIP/2.0 in any case is ours, another SIP is 505, anything else 400 (RFC 3261 7.1)."""
        self.assertIsInstance(parse_message(b"OPTIONS sip:a@b sip/2.0\r\nX: z\r\n\r\n"), Request)
        for version, status in (
            ("SIP/3.0", 505),
            ("SIP/2.1", 505),
            ("SIP/2.0x", 400),
            ("HTTP/1.1", 400),
            ("SIP/2", 400),
        ):
            with self.assertRaises(MalformedMessage) as caught:
                parse_message(f"OPTIONS sip:a@b {version}\r\nX: z\r\n\r\n".encode())
            self.assertEqual(caught.exception.status, status)

    def test_versions_of_responses(self) -> None:
        """The case of SIP/2.0 does not matter in a Status-Line either, and we write capitals (RFC 3261 section 7.1)."""
        for version in ("sip/2.0", "Sip/2.0", "SIP/2.0"):
            octets = message("OPTIONS").replace(b"OPTIONS sip:user@example.com SIP/2.0", f"{version} 200 OK".encode())
            response = parse_message(octets)
            assert isinstance(response, Response)
            self.assertEqual((response.status, response.start_line), (200, "SIP/2.0 200 OK"))
            for pieces in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
                framer = StreamFramer()
                found = [item for piece in pieces for item in framer.feed(piece)]
                self.assertEqual(found, [response])
        for version in ("sip/3.0", "\u017fip/2.0", "sip/2.0x", "sips/2.0"):
            with self.assertRaises(MalformedMessage, msg=version):
                parse_message(f"{version} 200 OK\r\nX: z\r\n\r\n".encode())

    def test_any_method_and_reason(self) -> None:
        """Methods are tokens of any kind, case-sensitive; reason phrases are anything, also nothing."""
        self.assertEqual(parse_message(b"message sip:a@b SIP/2.0\r\nX: z\r\n\r\n").method, "message")  # type: ignore[union-attr]
        response = parse_message(b"SIP/2.0 200 \r\nX: z\r\n\r\n")
        assert isinstance(response, Response)
        self.assertEqual(response.reason, "")


class FieldTests(SynchronousTestCase):
    """Header fields as they may be written (RFC 3261 section 7.3.1, whose examples these are)."""

    def headers(self, *lines: str) -> Headers:
        """The fields of a message that has these lines."""
        return parse_message("\r\n".join(["OPTIONS sip:a@b SIP/2.0", *lines, "", ""]).encode()).headers

    def test_blanks_and_folds(self) -> None:
        """Blanks before the colon and after it mean nothing, and a fold is one space."""
        for line in ("Subject:            lunch", "Subject      :      lunch", "Subject            :lunch", "s:lunch"):
            self.assertEqual(list(self.headers(line)), [("Subject", "lunch")], line)
        whole = "I know you're there, pick up the phone and talk to me!"
        cut = ("Subject: I know you're there,", "         pick up the phone", "\t and talk to me!")
        self.assertEqual(list(self.headers(*cut)), [("Subject", whole)])

    def test_rows(self) -> None:
        """A list may stand in one row or in many, with other fields between; its order counts."""
        alice, bob, carol = "<sip:alice@atlanta.com>", "<sip:bob@biloxi.com>", "<sip:carol@chicago.com>"
        for lines in (
            (f"Route: {alice}", "Subject: Lunch", f"Route: {bob}", f"Route: {carol}"),
            (f"Route: {alice}, {bob}", f"Route: {carol}", "Subject: Lunch"),
            ("Subject: Lunch", f"Route: {alice}, {bob},", f" {carol}"),
        ):
            rows = self.headers(*lines).get_all("Route")
            self.assertEqual([value for row in rows for value in split_values(row)], [alice, bob, carol])

    def test_case(self) -> None:
        """Names of fields and parameters, tokens, and the values of parameters are the same in any case."""
        (contact,) = parse_contact(self.headers("CONTACT: <sip:alice@atlanta.com>;ExPiReS=3600")["Contact"]) or ()
        self.assertEqual((str(contact.uri), contact.expires), ("sip:alice@atlanta.com", 3600))
        for line in (
            "Content-Disposition: session;handling=optional",
            "content-disposition: Session;HANDLING=OPTIONAL",
        ):
            disposition = parse_disposition(self.headers(line)["Content-Disposition"])
            self.assertEqual((disposition.type, disposition.is_required), ("session", False), line)


class LengthTests(SynchronousTestCase):
    """Bodies of datagrams."""

    def test_datagram_bodies(self) -> None:
        """More octets than announced are dropped, fewer are 400, none announced means all of them (fault:I5)."""
        head = "MESSAGE sip:a@b SIP/2.0\r\nX: z\r\n"
        self.assertEqual(parse_message(f"{head}Content-Length: 2\r\n\r\nhello".encode()).body, b"he")
        self.assertEqual(parse_message(f"{head}\r\nhello".encode()).body, b"hello")
        with self.assertRaises(MalformedMessage) as caught:
            parse_message(f"{head}Content-Length: 9\r\n\r\nhello".encode())
        self.assertEqual(caught.exception.status, 400)

    def test_bounds(self) -> None:
        """A datagram over the limits is 513, 413 or 400, with the numbers in the words (row:E21, fault:A7)."""
        limits = MessageLimits(message=3000, head=1000, body=1500, line=500)
        cases = [
            (message("MESSAGE", extra="\r\nX: " + "y" * 3000), 513),
            (message("MESSAGE", extra="\r\nX: y" * 200), 513),
            (message("MESSAGE", body=b"y" * 1600), 413),
            (b"MESSAGE sip:a@b SIP/2.0\r\nX: z\r\n\r\n" + b"y" * 1600, 413),
            (message("MESSAGE", extra="\r\nX: " + "y" * 600), 400),
        ]
        for octets, status in cases:
            with self.assertRaises(MalformedMessage) as caught:
                parse_message(octets, limits)
            self.assertEqual(caught.exception.status, status)
            self.assertRegex(str(caught.exception), "[0-9]+ .*limit")

    def test_limits_must_make_sense(self) -> None:
        """Limits of zero, or a head that holds no line, are refused where they are made."""
        with self.assertRaises(ValueError):
            MessageLimits(body=0)
        with self.assertRaises(ValueError):
            MessageLimits(head=100, line=200)


class SalvageTests(SynchronousTestCase):
    """What can be saved of a message that is broken."""

    def test_good_fields_survive(self) -> None:
        """The fields that are whole come out, the broken lines do not, and the error stays."""
        octets = (
            b"OPTIONS sip:a@b SIP/2.0\r\nVia: v\r\nbroken line\r\nCall-ID: c\r\n folded\r\n"
            b"X\0: y\r\nZ: a\nb\r\n\r\nbody: no"
        )
        item = salvage(octets, MalformedMessage("x"), loses_framing=False)
        self.assertEqual(dict(item.headers), {"Via": "v", "Call-ID": "c folded"})
        self.assertEqual(item.method, "OPTIONS")

    def test_responses_and_strangers_are_not_answered(self) -> None:
        """Of a broken response, and of what is no SIP, nothing is saved (fault:A17)."""
        for octets in (b"SIP/2.0 9999 x\r\nVia: v\r\n\r\n", b"GET / HTTP/1.1\r\nVia: v\r\n\r\n"):
            item = salvage(octets, MalformedMessage("x"), loses_framing=False)
            self.assertEqual((item.method, len(item.headers)), (None, 0))

    @given(st.binary(max_size=400))
    @settings(max_examples=300, deadline=None)
    def test_never_raises(self, octets: bytes) -> None:
        """Whatever comes in a datagram, the parser ends with a message or an answerable error (fault:A9, row:M18)."""
        parse_datagram(octets)

    @given(st.integers(0, 253), st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4))
    @settings(max_examples=400, deadline=None)
    def test_mutations_of_real_messages(self, which: int, changes: list[tuple[int, int]]) -> None:
        """A real message with some octets changed is answered or dropped, and the core lives on (fault:A9,
        fault:A1)."""
        octets = REAL_MESSAGES[which % len(REAL_MESSAGES)]
        mutated = bytearray(octets)
        for place, value in changes:
            mutated[place % len(mutated)] = value
        bench = CoreBench()
        bench.over_udp(bytes(mutated))
        bench.over_stream(bytes(mutated))
        self.assertEqual(statuses_of(bench.over_udp(message("OPTIONS", branch="z9hG4bKcanary"))), [200])


class CallFlowTests(SynchronousTestCase):
    """The messages of RFC 3665, 3327, 3515, 4916 and 5626."""

    def test_fixpoint(self) -> None:
        """Each parses, and is the same message after it was written and parsed again (row:K7, row:K12)."""
        for name, octets in call_flows():
            first = parse_datagram(octets)
            if not isinstance(first, (Request, Response)):
                # The RFCs are typeset: some Content-Length values do not fit their bodies.
                self.assertIn("Content-Length", str(first.error), name)
                continue
            second = parse_message(first.serialise())
            self.assertEqual(first.start_line, second.start_line, name)
            kept = [(field, value) for field, value in first.headers if field != "Content-Length"]
            self.assertEqual(kept, [pair for pair in second.headers if pair[0] != "Content-Length"], name)
            self.assertEqual(first.body, second.body, name)

    def test_typed_fields_can_be_read(self) -> None:
        """Via, From, To, CSeq and the Request-URI of each can be read (row:K8)."""
        for name, octets in call_flows():
            parsed = parse_datagram(octets)
            if not isinstance(parsed, (Request, Response)) or "Via" not in parsed.headers:
                continue
            self.assertTrue(parsed.via.host, name)
            self.assertTrue(str(parsed.from_.uri), name)
            self.assertTrue(str(parsed.to.uri), name)
            self.assertTrue(parsed.cseq.method, name)
            if isinstance(parsed, Request):
                self.assertTrue(str(parsed.uri), name)
