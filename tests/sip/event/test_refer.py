"""Tests of :mod:`sip_p2p.sip.event.refer`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.event.refer import (
    Join,
    ReferredBy,
    ReferTo,
    Replaces,
    parse_refer_events_at,
    parse_refer_sub,
    read_refer_to,
    read_referred_by,
)
from sip_p2p.sip.fields import parse_name_addr
from sip_p2p.sip.message import Request
from tests.support import SynchronousTestCase


def refer(*fields: tuple[str, str]) -> Request:
    """A REFER with these fields."""
    return Request("REFER", "sip:b@b.example", list(fields))


def referred(text: str) -> ReferTo:
    """What a Refer-To says."""
    return read_refer_to(refer(("Refer-To", text)))


class ReferToTests(SynchronousTestCase):
    """What a Refer-To asks for."""

    def test_plain(self) -> None:
        """RFC 3515 section 2.1: a URI alone asks for an INVITE (row:I7)."""
        value = referred("<sip:carol@c.example>")
        self.assertEqual((str(value.uri), value.method, value.fields), ("sip:carol@c.example", "INVITE", ()))
        self.assertIsNone(value.replaces)
        self.assertEqual(referred("sip:carol@c.example").uri, value.uri)

    def test_method(self) -> None:
        """The method stands in the URI, and is none of whom to ask (row:I7)."""
        value = referred("<sip:carol@c.example;method=SUBSCRIBE;transport=tls>")
        self.assertEqual((str(value.uri), value.method), ("sip:carol@c.example;transport=tls", "SUBSCRIBE"))

    def test_headers(self) -> None:
        """Header fields in the URI are unescaped once, and only harmless ones are taken (row:I7, fault:D5)."""
        value = referred(
            "<sip:carol@c.example?Subject=lunch%20at%20one&Route=%3Csip:evil.example%3E&From=x&Authorization=y"
            "&Accept-Contact=*%3Baudio&body=v%3D0&Priority=urgent%0D%0AX:y>"
        )
        self.assertEqual(value.fields, (("Subject", "lunch at one"), ("Accept-Contact", "*;audio")))
        self.assertEqual(str(value.uri), "sip:carol@c.example")

    def test_replaces(self) -> None:
        """The session that is to be replaced is among them (row:I7, row:I9)."""
        value = referred("<sips:carol@c.example?Replaces=12%40a%3Bto-tag%3D1%3Bfrom-tag%3D2>")
        self.assertEqual(value.replaces, Replaces("12@a", "1", "2"))
        joining = referred("<sips:carol@c.example?join=12%40a%3Bto-tag%3D1%3Bfrom-tag%3D2>")
        self.assertEqual(joining.join, Join("12@a", "1", "2"))

    def test_examples(self) -> None:
        """Refer-To as it stands in RFC 3515 section 2.1, RFC 4488 section 6, RFC 5589 sections 7.2 and 7.5 (row:I7)."""
        for text, uri, method, replaces in (
            ("sip:alice@atlanta.example.com", "sip:alice@atlanta.example.com", "INVITE", None),
            (
                "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>",
                "sip:dave@denver.example.org",
                "INVITE",
                Replaces("12345@192.168.118.3", "12345", "5FFE-3994"),
            ),
            (
                "<sip:carol@cleveland.example.org;method=SUBSCRIBE>",
                "sip:carol@cleveland.example.org",
                "SUBSCRIBE",
                None,
            ),
            ("http://www.ietf.org", "http://www.ietf.org", "INVITE", None),
            ("<sip:c@example.com;method=INVITE>", "sip:c@example.com", "INVITE", None),
            (
                "<sips:3ld812adkjw@biloxi.example.com;gr=3413kj2ha?Replaces=090459243588173445%3Bto-tag%3D7553452%3B"
                "from-tag%3D31431>",
                "sips:3ld812adkjw@biloxi.example.com;gr=3413kj2ha",
                "INVITE",
                Replaces("090459243588173445", "7553452", "31431"),
            ),
            (
                "<sips:transfertarget@chicago.example.com?Replaces=090459243588173445%3Bto-tag%3D9m2n3wq%3Bfrom-tag"
                "%3D763231&Require=replaces>",
                "sips:transfertarget@chicago.example.com",
                "INVITE",
                Replaces("090459243588173445", "9m2n3wq", "763231"),
            ),
        ):
            value = referred(text)
            self.assertEqual((str(value.uri), value.method, value.replaces, value.fields), (uri, method, replaces, ()))

    def test_other_schemes(self) -> None:
        """A URI of another scheme is whom to ask, and nothing is read out of it (row:I7)."""
        for text in ("tel:+4930123", "http://c.example/"):
            value = referred(f"<{text}>")
            self.assertEqual((str(value.uri), value.method), (text, "INVITE"))

    def test_refused(self) -> None:
        """RFC 3515 section 2.4.2: exactly one, that can be read (row:I7)."""
        one = ("Refer-To", "<sip:c@c.example>")
        for message in (
            refer(),
            refer(one, one),
            refer(("Refer-To", "<sip:c@c.example>, <sip:d@d.example>")),
            refer(("Refer-To", "(whatever URI)")),
            refer(("Refer-To", "<sip:c@c.example?Replaces=1>")),
            refer(("Refer-To", "<sip:c@c.example;method=A%20B>")),
            refer(("Refer-To", "<sip:c@c.example?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=x>")),
            refer(("Refer-To", "<sip:c@c?Replaces=1%3Bto-tag%3Da%3Bfrom-tag%3Db&Join=1%3Bto-tag%3Da%3Bfrom-tag%3Db>")),
        ):
            self.assertRaises(MalformedMessage, read_refer_to, message)

    def test_written(self) -> None:
        """What goes into the URI is escaped (row:I7)."""
        value = ReferTo.of("sip:carol@c.example", replaces=Replaces("12@a", "1", "2"), fields=[("Subject", "a&b")])
        self.assertEqual(str(value), "<sip:carol@c.example?Replaces=12%40a%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=a%26b>")
        self.assertEqual(referred(str(value)), value)
        self.assertEqual(hash(referred(str(value))), hash(value))
        other = ReferTo.of("sip:carol@c.example", method="MESSAGE", display_name="Carol")
        self.assertEqual(str(other), '"Carol" <sip:carol@c.example;method=MESSAGE>')
        self.assertEqual(str(ReferTo.of("tel:+4930123")), "<tel:+4930123>")
        self.assertIn("carol", repr(other))

    def test_not_written(self) -> None:
        """What cannot stand there is refused where it is made (row:I7)."""
        replaces = Replaces("a", "b", "c")
        self.assertRaises(ValueError, ReferTo.of, "carol")
        self.assertRaises(ValueError, ReferTo.of, "tel:+1", replaces=replaces)
        self.assertRaises(ValueError, ReferTo.of, "tel:+1", method="MESSAGE")
        self.assertRaises(ValueError, ReferTo.of, "sip:c@c.example", method="A B")
        self.assertRaises(ValueError, ReferTo.of, "sip:c@c.example", replaces=replaces, join=Join("a", "b", "c"))

    @given(st.text('ab1-.@:/?[]{}<>"\\%', min_size=1, max_size=12), st.text(max_size=30))
    def test_round_trip(self, call_id: str, subject: str) -> None:
        """Whatever can be made is read back as it was (row:I7)."""
        try:
            value = ReferTo.of("sip:c@c.example", replaces=Replaces(call_id, "1", "2"), fields=[("Subject", subject)])
        except ValueError:
            return
        again = ReferTo(parse_name_addr(str(value), "Refer-To"))
        self.assertEqual((again.replaces, again.fields), (value.replaces, value.fields))

    @given(st.text(max_size=60))
    def test_any_text(self, text: str) -> None:
        """Any text is read or malformed, and nothing else (row:I7)."""
        try:
            ReferTo(parse_name_addr(f"<sip:c@c.example{text}>", "Refer-To"))
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)


class OtherFieldTests(SynchronousTestCase):
    """The other fields."""

    def test_referred_by(self) -> None:
        """Who is said to have asked is shown, and called a claim (row:I10)."""
        value = read_referred_by(refer(("b", '<sip:alice@a.example>;cid="2@a.example"')))
        assert value is not None
        self.assertEqual((str(value.uri), value.cid), ("sip:alice@a.example", "2@a.example"))
        self.assertIn("nobody has proved", repr(value))
        self.assertEqual(value, ReferredBy(parse_name_addr(str(value), "Referred-By")))
        self.assertEqual(hash(value), hash(ReferredBy(value.address)))
        self.assertIsNone(read_referred_by(refer()))

    def test_referred_by_without_brackets(self) -> None:
        """RFC 3892 section 3: without angle brackets everything after the semicolon is about the field (row:I10)."""
        value = read_referred_by(refer(("Referred-By", 'sip:r@ref.example;cid="2UWQFN309shb3@ref.example"')))
        assert value is not None
        self.assertEqual((str(value.uri), value.cid), ("sip:r@ref.example", "2UWQFN309shb3@ref.example"))

    def test_referred_by_refused(self) -> None:
        """Two of them, or none that can be read, are malformed (row:I10)."""
        one = ("Referred-By", "<sip:alice@a.example>")
        self.assertRaises(MalformedMessage, read_referred_by, refer(one, one))
        self.assertRaises(MalformedMessage, read_referred_by, refer(("Referred-By", "nobody")))

    def test_refer_sub(self) -> None:
        """RFC 4488 section 4: true or false, in any case (row:I8)."""
        for text, wanted in (("true", True), (" False ", False), ("FALSE;x=y", False)):
            self.assertEqual(parse_refer_sub(text), wanted)
        for text in ("", "no", "false;", "true, false"):
            self.assertRaises(MalformedMessage, parse_refer_sub, text)

    def test_refer_events_at(self) -> None:
        """RFC 7614 section 4.8: a SIP URI to subscribe at, in angle brackets, without which its parameters would be the
        field's (row:I8)."""
        self.assertEqual(str(parse_refer_events_at("<sips:b@b.example;gr=1> ;x=y")), "sips:b@b.example;gr=1")
        example = "sips:vPT3izGmo8NTxaPADRZvEAY22BKx@example.com;gr"
        self.assertEqual(str(parse_refer_events_at(f"<{example}>")), example)
        for text in ("", "<http://b.example>", "sip:wsXa9mkHtPcGu8@example.com", "sip:b@b.example;gr=1"):
            self.assertRaises(MalformedMessage, parse_refer_events_at, text)
