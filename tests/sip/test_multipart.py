"""Tests of bodies of several parts."""

from __future__ import annotations

import contextlib
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import MediaType, parse_media_type
from sip_p2p.sip.multipart import MAX_DEPTH, MAX_PARTS, BodyPart, Multipart, parse_multipart
from sip_p2p.sip.parse import parse_message
from tests.support import SynchronousTestCase, torture_messages

MIXED = MediaType("multipart", "mixed", {"boundary": "b"})


def nested(levels: int) -> bytes:
    """A multipart in a multipart, and so on, each with the boundary ``b0``, ``b1``, ..."""
    head = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed;boundary=b%d\r\n\r\n" % (n, n + 1) for n in range(levels - 1)
    )
    tail = b"".join(b"\r\n--b%d--\r\n" % n for n in reversed(range(levels)))
    return head + b"--b%d\r\n\r\nx" % (levels - 1) + tail


class ParseTests(SynchronousTestCase):
    """RFC 2046 section 5.1."""

    def test_torture(self) -> None:
        """The binary multipart of RFC 4475 section 3.1.1.11 comes apart octet by octet (row:K12, row:K13)."""
        (data,) = [torture.data for torture in torture_messages("rfc4475") if torture.name == "mpart01.dat"]
        message = parse_message(data)
        assert message.content_type is not None
        text, binary = parse_multipart(message.body, message.content_type).parts
        self.assertEqual((text.content, text.text()), (b"Hello", "Hello"))
        self.assertEqual(str(text.content_type), "text/plain")
        self.assertEqual(str(binary.content_type), "application/octet-stream")
        self.assertEqual(binary.headers["Content-Transfer-Encoding"], "binary")
        self.assertTrue(binary.content.startswith(b"0\x82\x01R\x06\t*\x86H\x86\xf7\r\x01\x07"))
        self.assertIn(binary.content + b"\r\n--7a9cbec02ceef655--\r\n", message.body)
        self.assertEqual(binary.content.count(b"\0"), 2)

    def test_shapes(self) -> None:
        """Preamble, epilogue, blanks after a delimiter, folded and missing headers and empty parts are all legal."""
        body = (
            b"preamble --b\r\n--bx\r\n"
            b"--b \t\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-ID: <1@a>\r\n\r\none\r\n"
            b"--b\r\n\r\ntwo\r\nlines\r\n"
            b"--b\r\nContent-Type: a/b\r\n\r\n\r\n"
            b"--b\r\n\r\n\r\n"
            b"--b--  \r\nepilogue\r\n--b\r\n"
        )
        one, two, three, four = parse_multipart(body, MIXED).parts
        self.assertEqual(str(one.content_type), "text/plain;charset=utf-8")
        self.assertEqual([part.content for part in (one, two, three, four)], [b"one", b"two\r\nlines", b"", b""])
        self.assertIsNone(two.content_type)
        self.assertEqual(str(three.content_type), "a/b")
        self.assertEqual((one.content_id, two.content_id), ("1@a", None))

    def test_only_crlf_ends_a_line(self) -> None:
        """A delimiter after a bare CR or LF is content (fault:A11)."""
        for end in (b"\n", b"\r", b"\x85", b" "):
            body = b"--b\r\n\r\nx" + end + b"--b\r\ny\r\n--b--"
            self.assertEqual([part.content for part in parse_multipart(body, MIXED).parts], [b"x" + end + b"--b\r\ny"])

    def test_longer_boundaries(self) -> None:
        """A line that starts with the delimiter and goes on is content."""
        body = b"--b\r\n\r\nx\r\n--bb\r\n--b-\r\n--b --\r\n--b--x\r\n--b--"
        self.assertEqual(parse_multipart(body, MIXED).parts[0].content, b"x\r\n--bb\r\n--b-\r\n--b --\r\n--b--x")

    def test_no_headers_and_no_empty_line(self) -> None:
        """A part may be headers only; one without headers starts with an empty line."""
        part = parse_multipart(b"--b\r\nContent-Type: a/b\r\n--b--", MIXED).parts[0]
        self.assertEqual((str(part.content_type), part.content), ("a/b", b""))

    def test_nested(self) -> None:
        """A multipart in a multipart comes apart with it, and parts of any level are found (RFC 5621)."""
        inner = Multipart(
            [BodyPart(b"v=0", "application/sdp", [("Content-ID", "<sdp@a>")]), BodyPart(b"x", "text/plain")]
        )
        outer = Multipart(
            [BodyPart(b"<x/>", "text/xml"), BodyPart(inner.build("i"), "multipart/alternative;boundary=i")]
        )
        found = parse_multipart(outer.build("b"), MIXED)
        self.assertEqual([len(part.parts) for part in found.parts], [0, 2])
        for name in ("sdp@a", "<sdp@a>", "cid:sdp@a"):
            part = found.find(name)
            assert part is not None
            self.assertEqual(part.content, b"v=0")
        self.assertIsNone(found.find("other"))
        sdp = found.first("application/sdp")
        assert sdp is not None
        self.assertEqual(sdp.content_id, "sdp@a")
        self.assertIsNone(found.first("image/png"))

    def test_disposition(self) -> None:
        """A part says whether it must be understood (RFC 5621 section 8.2)."""
        plain, optional = BodyPart(b""), BodyPart(b"", None, [("Content-Disposition", "icon;handling=optional")])
        self.assertIsNone(plain.disposition)
        assert optional.disposition is not None
        self.assertFalse(optional.disposition.is_required)

    def test_depth(self) -> None:
        """Eight levels are taken; more are unsupported (415), ten thousand as cheaply as nine (fault:A16)."""
        outer = MediaType("multipart", "mixed", {"boundary": "b0"})
        part = parse_multipart(nested(MAX_DEPTH), outer).parts[0]
        for _ in range(MAX_DEPTH - 1):
            part = part.parts[0]
        self.assertEqual(part.content, b"x")
        for levels in (MAX_DEPTH + 1, 10_000):
            started = time.process_time()
            self.assertEqual(self.assertRaises(MalformedMessage, parse_multipart, nested(levels), outer).status, 415)
            self.assertLess(time.process_time() - started, 1.0)

    def test_number(self) -> None:
        """32 parts are taken, counted over all levels; more are unsupported (415) (fault:A16)."""
        part = b"--b\r\n\r\nx\r\n"
        self.assertEqual(len(parse_multipart(part * MAX_PARTS + b"--b--", MIXED).parts), MAX_PARTS)
        error = self.assertRaises(MalformedMessage, parse_multipart, part * (MAX_PARTS + 1) + b"--b--", MIXED)
        self.assertEqual(error.status, 415)
        inner = Multipart([BodyPart(b"x")] * (MAX_PARTS // 2)).build("i")
        spread = Multipart([BodyPart(inner, "multipart/mixed;boundary=i")] * 2).build("b")
        self.assertEqual(self.assertRaises(MalformedMessage, parse_multipart, spread, MIXED).status, 415)

    def test_boundaries(self) -> None:
        """Without a boundary of 1 to 70 legal characters a multipart is malformed (fault:A16)."""
        body = b"--b\r\n\r\nx\r\n--b--"
        for text in (
            "multipart/mixed",
            'multipart/mixed;boundary=""',
            f"multipart/mixed;boundary={'b' * 71}",
            "text/plain;boundary=b",
            'multipart/mixed;boundary="b "',
            'multipart/mixed;boundary="b\u00e4"',
            "multipart/mixed;boundary",
        ):
            error = self.assertRaises(MalformedMessage, parse_multipart, body, parse_media_type(text))
            self.assertEqual(error.status, 400)

    def test_malformed(self) -> None:
        """Bodies without a first or last delimiter, without parts or with broken headers are malformed (fault:A16)."""
        for body in (
            b"",
            b"x",
            b"--b",
            b"--b\r\n",
            b"--b\r\n\r\nx",
            b"--b\r\n\r\nx\r\n--b",
            b"--b\r\n\r\nx--b--",
            b"--b--",
            b"--b--\r\n--b\r\n",
            b"--b\r\nx\r\n\r\ny\r\n--b--",
            b"--b\r\n: x\r\n\r\ny\r\n--b--",
            b"--b\r\nA B: x\r\n\r\ny\r\n--b--",
            b"--b\r\nA: x\0\r\n\r\ny\r\n--b--",
            b"--b\r\nA: x\ny: z\r\n\r\ny\r\n--b--",
            b"--b\r\n x\r\n\r\ny\r\n--b--",
            b"--b\r\n" + b"A: b\r\n" * 33 + b"\r\nx\r\n--b--",
            b"--b\r\nContent-Type: x\r\n\r\nx\r\n--b--",
            b"--b\r\nContent-Type: multipart/mixed\r\n\r\nx\r\n--b--",
        ):
            with self.subTest(body):
                self.assertEqual(self.assertRaises(MalformedMessage, parse_multipart, body, MIXED).status, 400)

    @settings(deadline=None)
    @given(
        st.lists(
            st.sampled_from(
                [b"--b", b"--", b"\r\n", b"\r", b"\n", b" ", b"x", b"A: b", b":", b"--b--", b"\0", b"\xff"]
            ),
            max_size=24,
        )
    )
    def test_any_octets(self, pieces: list[bytes]) -> None:
        """Any octets are parts whose content stands in the body, or malformed; nothing else is raised (fault:A16)."""
        body = b"".join(pieces)
        try:
            parts = parse_multipart(body, MIXED).parts
        except MalformedMessage as error:
            self.assertIn(error.status, (400, 415))
            return
        self.assertTrue(parts)
        for part in parts:
            self.assertIn(part.content, body)
            self.assertFalse(part.content.startswith(b"--b\r\n"), body)

    def test_linear_time(self) -> None:
        """Long bodies of what looks like delimiters take time in proportion (fault:A8)."""

        def seconds(body: bytes) -> float:
            best = 1e9
            for _ in range(5):
                started = time.process_time()
                with contextlib.suppress(MalformedMessage):
                    parse_multipart(body, MIXED)
                best = min(best, time.process_time() - started)
            return max(best, 1e-4)

        for unit in (b"\r\n--b", b"\r\n--bb", b"\r\n--b ", b"\r\n", b"-", b" ", b"\r\n--b--x", b"x: y\r\n", b"\r\n y"):
            for start in (b"", b"--b\r\n", b"--b\r\nx: y"):
                self.assertLess(seconds(start + unit * 40_000), seconds(start + unit * 10_000) * 10, unit)


class BuildTests(SynchronousTestCase):
    """Parts to octets."""

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=5))
    def test_round_trip(self, contents: list[bytes]) -> None:
        """Any octets come back the same from a body of ours (row:K13)."""
        parts = [BodyPart(content, "application/octet-stream", [("X-N", str(n))]) for n, content in enumerate(contents)]
        body = Multipart(parts).build("=_boundary x")
        found = parse_multipart(body, MediaType("multipart", "mixed", {"boundary": "=_boundary x"}))
        self.assertEqual([part.content for part in found.parts], contents)
        self.assertEqual([part.headers for part in found.parts], [part.headers for part in parts])

    def test_octets(self) -> None:
        """A body is written as RFC 2046 has it."""
        body = Multipart([BodyPart(b"one", MediaType("text", "plain")), BodyPart(b"two")]).build("b")
        self.assertEqual(body, b"--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n")
        self.assertEqual(repr(BodyPart(b"one", "text/plain")), "<BodyPart 'text/plain' 3 octets>")

    def test_what_makes_no_body(self) -> None:
        """Illegal boundaries, contents that hold the boundary and headers with line ends are refused (fault:B1)."""
        part = BodyPart(b"x")
        for boundary in ("", "b" * 71, "b ", "b\r\n", "b\u00e4", 'b"', "b;c"):
            self.assertRaises(ValueError, Multipart([part]).build, boundary)
        self.assertRaises(ValueError, Multipart([]).build, "b")
        self.assertRaises(ValueError, Multipart([BodyPart(b"x\r\n--b\r\n")]).build, "b")
        self.assertRaises(ValueError, Multipart([BodyPart(b"--b")]).build, "b")
        self.assertRaises(ValueError, BodyPart, b"", "text/plain\r\nX: y")
        self.assertRaises(ValueError, BodyPart, b"", None, [("X Y", "z")])
