"""Parts of SIP messages: read, refused, written (RFC 3420)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.documents.sipfrag import SipFragment
from sip_p2p.errors import MalformedDocument
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from tests.support import DATA

_words = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_categories=("Cc", "Zs")), max_size=12)
_starts = (
    st.none()
    | st.builds(Response, st.integers(100, 699), _words)
    | st.builds(Request, st.sampled_from(["INVITE", "BYE", "X-Y"]), st.sampled_from(["sip:bob@b.example", "tel:+1"]))
)
_headers = st.lists(st.tuples(st.sampled_from(["From", "Subject", "X-A"]), _words), max_size=3).map(Headers)
FRAGMENTS = st.builds(SipFragment, _starts, _headers, st.binary(max_size=20))


class FragmentTests(SynchronousTestCase):
    """What a fragment has."""

    def test_status_line(self) -> None:
        """What a NOTIFY of a REFER carries is a Status-Line, with its CRLF or without (RFC 3515 section 2.4.5)
        (row:I6)."""
        for octets in (b"SIP/2.0 603 Declined\r\n", b"SIP/2.0 603 Declined", b"SIP/2.0 603 Declined\r\n\r\n"):
            fragment = SipFragment.parse(octets)
            self.assertEqual((fragment.status, fragment.reason), (603, "Declined"))
            self.assertEqual((len(fragment.headers), fragment.body), (0, b""))
        self.assertEqual(SipFragment.of_status(180).to_bytes(), b"SIP/2.0 180 Ringing\r\n")
        self.assertEqual(SipFragment.of_status(200, "").to_bytes(), b"SIP/2.0 200 \r\n")
        self.assertRaises(ValueError, SipFragment.of_status, 99)
        self.assertRaises(ValueError, SipFragment.of_status, 200, "a\r\nb")

    def test_version_in_any_case(self) -> None:
        """The case of the version does not matter, and we write capitals (RFC 3261 section 7.1)."""
        for line in (b"sip/2.0 180 Ringing", b"Sip/2.0 180 Ringing\r\n"):
            self.assertEqual(SipFragment.parse(line).to_bytes(), b"SIP/2.0 180 Ringing\r\n")

    def test_parts(self) -> None:
        """Start line, fields and body can each be missing (section 2)."""
        for octets, start, names, body in (
            (b"", None, (), b""),
            (b"From: a\r\n", None, ("From",), b""),
            (b"f: a\r\nSubject: SIP/2.0", None, ("From", "Subject"), b""),
            (b"INVITE sip:a@b SIP/2.0\r\nt: b\r\n\r\nxy", "INVITE sip:a@b SIP/2.0", ("To",), b"xy"),
            (b"SIP/2.0 200 OK\r\n\r\nxy", "SIP/2.0 200 OK", (), b"xy"),
            (b"\r\nxy", None, (), b"xy"),
            (b"Subject : SIP/2.0", None, ("Subject",), b""),
        ):
            fragment = SipFragment.parse(octets)
            self.assertEqual(None if fragment.start is None else fragment.start.start_line, start, octets)
            self.assertEqual((fragment.headers.names(), fragment.body), (names, body))
            self.assertEqual(SipFragment.parse(fragment.to_bytes()), fragment)
        request = SipFragment.parse(b"BYE sip:a@b SIP/2.0")
        self.assertEqual((request.status, request.reason), (None, ""))

    def test_examples(self) -> None:
        """What RFC 3420 section 3.1 shows is read; of section 3.2, what has no start line and no field is refused."""
        for text, start, names, body in (
            ("INVITE sip:alice@atlanta.com SIP/2.0", "INVITE sip:alice@atlanta.com SIP/2.0", (), b""),
            (
                "REGISTER sip:atlanta.com SIP/2.0\r\nTo: sip:alice@atlanta.com\r\n"
                "Contact: <sip:alicepc@atlanta.com>;q=0.9,\r\n         <sip:alicemobile@atlanta.com>;q=0.1",
                "REGISTER sip:atlanta.com SIP/2.0",
                ("To", "Contact"),
                b"",
            ),
            (
                "SIP/2.0 400 Bad Request\r\nWarning: 399 atlanta.com Your Event header field was malformed",
                "SIP/2.0 400 Bad Request",
                ("Warning",),
                b"",
            ),
            (
                "From: Alice <sip:alice@atlanta.com>\r\nTo: Bob <sip:bob@biloxi.com>\r\n"
                "Contact: <sip:alice@pc33.atlanta.com>\r\nDate: Thu, 21 Feb 2002 13:02:03 GMT\r\n"
                "Call-ID: a84b4c76e66710\r\nCseq: 314159 INVITE",
                None,
                ("From", "To", "Contact", "Date", "Call-ID", "CSeq"),
                b"",
            ),
            (
                "Content-Type: text/plain\r\nContent-Length: 11\r\n\r\nHi There!\r\n",
                None,
                ("Content-Type", "Content-Length"),
                b"Hi There!\r\n",
            ),
        ):
            fragment = SipFragment.parse(text.encode())
            self.assertEqual(None if fragment.start is None else fragment.start.start_line, start)
            self.assertEqual((fragment.headers.names(), fragment.body), (names, body))
        for text in (
            "INVITE",
            "INVITE sip:alice@atlanta.com SIP/1.09",
            "SIP/2.0",
            "404 Not Found",
            "MESSAGE sip:alice@atlanta.com SIP/2.0\r\nHi There!",
        ):
            self.assertRaises(MalformedDocument, SipFragment.parse, text.encode())

    def test_refused(self) -> None:
        """What is no part of a SIP message, or is more than a message may be, is refused."""
        for octets in (
            b"hello",
            b"SIP/2.0 99 Low\r\n",
            b"SIP/3.0 200 OK\r\n",
            b"INVITE sip:a@b SIP/7.0\r\n",
            b" folded: a",
            b"From: a\0b",
            b"X: " + b"a" * 20000,
            b"X: a\r\n\r\n" + b"a" * 70000,
            b"X: a\r\n" * 200,
        ):
            self.assertRaises(MalformedDocument, SipFragment.parse, octets)

    def test_line_feeds(self) -> None:
        """Lines that end with LF alone are read as those of baresip have to be."""
        fragment = SipFragment.parse(b"SIP/2.0 200 OK\n")
        self.assertEqual((fragment.status, fragment.reason, fragment.body), (200, "OK", b""))
        fragment = SipFragment.parse(b"SIP/2.0 200 OK\nSubject: a\nTo: b\n\nbody\n\n")
        self.assertEqual((list(fragment.headers), fragment.body), ([("Subject", "a"), ("To", "b")], b"body\n\n"))

    def test_call_flow(self) -> None:
        """The bodies of the NOTIFYs in RFC 3515 section 4.1 are read."""
        found = []
        for path in sorted((DATA / "callflows" / "rfc3515").rglob("*.sip")):
            octets = path.read_bytes()
            if octets.startswith(b"NOTIFY "):
                found.append(SipFragment.parse(octets.partition(b"\r\n\r\n")[2]).status)
        self.assertTrue(found)
        self.assertLessEqual(set(found), {100, 200, 503})

    @given(FRAGMENTS)
    def test_round_trip(self, fragment: SipFragment) -> None:
        """What is written is read as the same."""
        again = SipFragment.parse(fragment.to_bytes())
        self.assertEqual(again, fragment)
        self.assertEqual(hash(again), hash(fragment))
        self.assertNotEqual(again, "another")
        self.assertIn("octets", repr(again))

    @given(st.binary(max_size=60) | st.text("SIP/2.0 :a\r\n", max_size=40).map(str.encode))
    def test_anything(self, octets: bytes) -> None:
        """Whatever comes is read and can be written again, or is refused with the one class of error."""
        try:
            fragment = SipFragment.parse(octets)
        except MalformedDocument:
            return
        self.assertEqual(SipFragment.parse(fragment.to_bytes()), fragment)
