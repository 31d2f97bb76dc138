"""Offers and answers as octets with a type: :mod:`sip_p2p.sip.dialog.description`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.description import SDP, ContentDescription, description_of
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request


def carrying(body: bytes, **fields: str) -> Request:
    """An INVITE with a body and these fields; an underscore stands for a hyphen."""
    headers = Headers([(name.replace("_", "-"), value) for name, value in fields.items()])
    return Request("INVITE", "sip:b@b.example", headers, body)


class DescriptionTests(SynchronousTestCase):
    """Any type will do (row H24), as long as it is one."""

    def test_text_is_utf8(self) -> None:
        """A description made of text is its UTF-8, and SDP unless it says otherwise (row:H24)."""
        described = ContentDescription("s=café\r\n")
        self.assertEqual((described.body, described.content_type), (b"s=caf\xc3\xa9\r\n", SDP))
        self.assertEqual(described, ContentDescription(b"s=caf\xc3\xa9\r\n"))
        self.assertNotEqual(described, ContentDescription(b"s=caf\xc3\xa9\r\n", "text/plain"))

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
