"""Offers and answers as octets with a type: :mod:`sip_p2p.sip.dialog.description`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.description import SDP, ContentDescription, description_of, refusal_of
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request


def carrying(body: bytes, **fields: str) -> Request:
    """An INVITE with a body and these fields; an underscore stands for a hyphen."""
    headers = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    return Request("INVITE", "sip:b@b.example", headers, body)


def multipart(*parts: tuple[bytes, bytes]) -> bytes:
    """A body of these parts, each its fields and its content, between boundaries called ``b``."""
    return b"".join(b"--b\r\n" + fields + b"\r\n\r\n" + content + b"\r\n" for fields, content in parts) + b"--b--\r\n"


class DescriptionTests(SynchronousTestCase):
    """Any type will do (row H24), as long as it is one."""

    def test_text_is_utf8(self) -> None:
        """A description made of text is its UTF-8, and SDP unless it says otherwise (row:H24)."""
        described = ContentDescription("s=café\r\n")
        self.assertEqual((described.body, described.content_type), (b"s=caf\xc3\xa9\r\n", SDP))
        self.assertEqual(described, ContentDescription(b"s=caf\xc3\xa9\r\n"))
        self.assertNotEqual(described, ContentDescription(b"s=caf\xc3\xa9\r\n", "text/plain"))

    def test_coded(self) -> None:
        """RFC 3261 section 8.2.3: a body with a coding that nobody undoes describes nothing."""
        plain = carrying(b"v=0", Content_Type=SDP, Content_Encoding="identity")
        self.assertEqual(description_of(plain), ContentDescription(b"v=0"))
        self.assertIsNone(description_of(carrying(b"\x1f", Content_Type=SDP, Content_Encoding="gzip")))
        self.assertRaises(MalformedMessage, description_of, carrying(b"x", Content_Type=SDP, Content_Encoding=";"))

    def test_refusal(self) -> None:
        """RFC 3264 section 6: an answer that takes nothing has each media line at port 0, and the offer's times; in a
        session that stands its version goes up (section 8)."""
        offer = ContentDescription("v=0\no=b 1 1 IN IP4 192.0.2.2\nm=audio 9 RTP/AVP 0 8\nm=video 7/2 x/y a b\nm=odd\n")
        head = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
        refusal = refusal_of(offer)
        assert refusal is not None
        self.assertEqual(refusal.text, head + "m=audio 0 RTP/AVP 0\r\nm=video 0 x/y a\r\nm=odd 0 - -\r\n")
        former = ContentDescription("v=0\r\no=a 7 41 IN IP6 ::1\r\ns=-\r\n")
        again = refusal_of(ContentDescription("v=0\r\nt=1 2\r\n"), former)
        assert again is not None
        self.assertEqual(again.text, "v=0\r\no=a 7 42 IN IP6 ::1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=1 2\r\n")
        odd = refusal_of(offer, ContentDescription("o=a 7 many IN IP6 ::1\r\no=\r\n"))
        assert odd is not None
        self.assertEqual(odd, refusal)
        self.assertIsNone(refusal_of(ContentDescription("x", "text/plain")))

    def test_one_of_several_parts(self) -> None:
        """RFC 5621 section 3: of several parts the description is what says so, or SDP that says nothing (row:H24)."""
        sdp = (b"Content-Type: application/sdp", b"v=0")
        isup = (b"Content-Type: application/isup;version=x\r\nContent-Disposition: signal;handling=optional", b"\x01")
        named = (b"Content-Type: text/plain\r\nContent-Disposition: session", b"audio")
        icon = (b"Content-Type: application/sdp\r\nContent-Disposition: icon", b"v=1")
        plain = (b"Content-Type: text/plain", b"hello")
        other = (b"Content-Type: application/sdp", b"v=2")
        whole = "the whole"
        for kind, parts, expected in (
            ("mixed", (isup, sdp), b"v=0"),
            ("mixed", (plain, named, sdp), b"audio"),
            ("mixed", (icon, sdp), b"v=0"),
            ("mixed", (isup, icon), None),
            ("mixed", (isup, plain), whole),
            ("alternative", (sdp, other), b"v=2"),
            ("mixed", (sdp, other), b"v=0"),
        ):
            body = multipart(*parts)
            content_type = f"multipart/{kind};boundary=b"
            found = description_of(carrying(body, Content_Type=content_type))
            if expected == whole:
                self.assertEqual(found, ContentDescription(body, content_type))
            else:
                self.assertEqual(None if found is None else found.body, expected, parts)

    def test_parts_within_parts(self) -> None:
        """RFC 5621 section 3: the description is found on any level, and is told with its own type (row:H24)."""
        inner = multipart((b"Content-Type: application/sdp", b"v=0"))
        nested = inner.replace(b"--b", b"--c")
        body = multipart(
            (b"Content-Type: multipart/alternative;boundary=c", nested), (b"Content-Type: text/plain", b"x")
        )
        found = description_of(carrying(body, Content_Type="multipart/mixed;boundary=b"))
        self.assertEqual(found, ContentDescription(b"v=0"))

    def test_parts_that_are_none(self) -> None:
        """RFC 2046 section 5.1: a multipart body without parts is a mistake, here and at the peer's."""
        with self.assertRaises(MalformedMessage):
            description_of(carrying(b"v=0", Content_Type="multipart/mixed;boundary=b"))
        with self.assertRaises(ValueError):
            ContentDescription(b"v=0", "multipart/mixed;boundary=b")
        ContentDescription(multipart((b"Content-Type: text/plain", b"x")), "multipart/mixed;boundary=b")

    def test_what_cannot_be_one(self) -> None:
        """Nothing at all, a type that is none, and a disposition that is none are refused at once."""
        for arguments in ((b"",), (b"x", "sdp"), (b"x", "text/plain\r\nX: y"), (b"x", SDP, "a b")):
            with self.subTest(arguments=arguments), self.assertRaises(ValueError):
                ContentDescription(*arguments)  # type: ignore[arg-type]

    def test_out_of_a_message(self) -> None:
        """A body is a description unless Content-Disposition says that it is for something else (RFC 3261 section
        20.11)."""
        self.assertEqual(description_of(carrying(b"v=0", Content_Type=SDP)), ContentDescription(b"v=0"))
        self.assertIsNone(description_of(carrying(b"", Content_Type=SDP)))
        self.assertIsNone(description_of(carrying(b"v=0", Content_Type=SDP, Content_Disposition="render")))
        with self.assertRaises(MalformedMessage):
            description_of(carrying(b"v=0", Content_Type="sdp"))
        early = description_of(carrying(b"v=0", Content_Type=SDP, Content_Disposition="early-session"))
        self.assertEqual(early, ContentDescription(b"v=0", SDP, "early-session"))
