"""Messages as values, and the one way to the wire."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import NameAddr
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.uri import SipUri
from tests.sip.harness import message
from tests.support import SynchronousTestCase


class RequestTests(SynchronousTestCase):
    """Requests."""

    def test_any_method(self) -> None:
        """Any token is a method (row:F7); what is none is refused at once (fault:B1)."""
        self.assertEqual(Request("X-Own!", "sip:a@b").start_line, "X-Own! sip:a@b SIP/2.0")
        for method in ("", "A B", "A\r\nB", "Ä", "A:"):
            with self.assertRaises(ValueError):
                Request(method, "sip:a@b")

    def test_uris(self) -> None:
        """A Request-URI is text without blanks or a URI; parsing comes when it is asked for (row:K1)."""
        for bad in ("", "sip:a b", "sip:a\r\n@b", "sip:a\t@b", "sip:a\0@b"):
            with self.assertRaises(ValueError):
                Request("OPTIONS", bad)
        request = Request("OPTIONS", SipUri.parse("sip:a@b.example"))
        self.assertEqual(request.uri, SipUri.parse("sip:a@b.example"))
        broken = Request("OPTIONS", "sip:")
        with self.assertRaises(MalformedMessage):
            _ = broken.uri

    def test_single_fields(self) -> None:
        """A field that must stand once and does not is named in the error (fault:A2)."""
        request = Request("OPTIONS", "sip:a@b", [("To", "<sip:a@b>"), ("To", "<sip:c@d>")])
        with self.assertRaises(MalformedMessage) as caught:
            _ = request.to
        self.assertIn("To stands 2 times", str(caught.exception))
        with self.assertRaises(MalformedMessage) as caught:
            _ = request.call_id
        self.assertIn("Call-ID is missing", str(caught.exception))
        with self.assertRaises(MalformedMessage):
            _ = request.via

    def test_text(self) -> None:
        """The body is text in the charset that its type names, UTF-8 without one (row:B7, row:K13)."""
        self.assertEqual(Request("MESSAGE", "sip:a@b", (), "grüß".encode()).text(), "grüß")
        latin = Request("MESSAGE", "sip:a@b", [("Content-Type", "text/plain; charset=iso-8859-1")], b"gr\xfc\xdf")
        self.assertEqual(latin.text(), "grüß")
        with self.assertRaises(ValueError):
            Request("MESSAGE", "sip:a@b", (), b"\xff").text()

    def test_equality_and_repr(self) -> None:
        """Messages compare by what they say."""
        one = parse_message(message("MESSAGE", body=b"x"))
        self.assertEqual(one, parse_message(message("MESSAGE", body=b"x")))
        self.assertNotEqual(one, parse_message(message("MESSAGE", body=b"y")))
        self.assertFalse(one == Response(200))
        self.assertFalse(Response(200) == one)
        self.assertEqual(Response(200), Response(200))
        self.assertIn("MESSAGE", repr(one))
        self.assertIn("200", repr(Response(200)))


class ResponseTests(SynchronousTestCase):
    """Responses."""

    def test_statuses(self) -> None:
        """Any status from 100 to 699 can be made, with its own phrase or another (row:K9)."""
        self.assertEqual(Response(486).reason, "Busy Here")
        self.assertEqual(Response(299, "Ja").start_line, "SIP/2.0 299 Ja")
        self.assertTrue(Response(200).is_final)
        self.assertFalse(Response(183).is_final)
        for status in (99, 700, 0, -1):
            with self.assertRaises(ValueError):
                Response(status)
        for phrase in ("a\r\nX: y", "a\nb", "a\0", "\ud800"):
            with self.assertRaises(ValueError):
                Response(200, phrase)


class SerialisationTests(SynchronousTestCase):
    """The choke point."""

    def test_content_length_is_ours(self) -> None:
        """Content-Length is the body's true length, whatever stood there (fault:A5)."""
        request = Request("MESSAGE", "sip:a@b", [("Content-Length", "999"), ("X-1", "y")], b"hello")
        self.assertEqual(request.serialise(), b"MESSAGE sip:a@b SIP/2.0\r\nX-1: y\r\nContent-Length: 5\r\n\r\nhello")

    def test_what_slipped_in_is_refused(self) -> None:
        """Whatever got into a message past its constructors, CR, LF and NUL do not leave with it (fault:B1)."""
        for bad in ("a\r\nEvil: 1", "a\nb", "a\rb", "a\0b"):
            for request in (
                Request.adopt("OPTIONS", "sip:a@b", Headers.adopt(["X"], [bad]), b""),
                Request.adopt("OPTIONS", "sip:a@b", Headers.adopt([bad], ["x"]), b""),
                Request.adopt("OPTIONS", bad, Headers(), b""),
                Request.adopt(bad, "sip:a@b", Headers(), b""),
            ):
                with self.assertRaises(ValueError) as caught:
                    request.serialise()
                self.assertIn("CR, LF or NUL", str(caught.exception))
            with self.assertRaises(ValueError):
                Response.adopt(200, bad, Headers(), b"").serialise()

    @given(
        st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.binary(max_size=30)
    )
    @settings(max_examples=300, deadline=None)
    def test_any_text_into_any_setter(self, name: str, value: str, display: str, method: str, body: bytes) -> None:
        """Any text into any public setter is refused, or comes back as itself and adds no field (fault:B1,
        fault:B3)."""
        try:
            request = Request(
                method or "X", "sip:a@b.example", [("From", str(NameAddr("sip:a@b.example", display)))], body
            )
            request.headers.add(name, value)
            octets = request.serialise()
        except ValueError:
            return
        parsed = parse_message(octets)
        self.assertEqual(parsed.body, body)
        fields = [pair for pair in parsed.headers if pair[0] != "Content-Length"]
        self.assertEqual(len(fields), sum(1 for field in request.headers.names() if field != "Content-Length"))
        if request.headers.count("From") == 1:
            self.assertEqual(parsed.from_.display_name, display)
