"""Tests of :mod:`sip_p2p.endpoint.messaging.envelope`."""

from __future__ import annotations

from sip_p2p.documents.cpim import CpimAddress, CpimField, CpimMessage
from sip_p2p.documents.imdn import CPIM_NAMESPACE, Disposition, Imdn, Wanted, message_id, wanted_in
from sip_p2p.endpoint.messaging.envelope import enclose, enclose_report, opened, recipients_of, wishes
from sip_p2p.errors import MalformedMessage
from tests.support import SynchronousTestCase

ALICE, BOB = CpimAddress("sip:alice@a.example", "Alice"), CpimAddress("sip:bob@b.example")


class EnvelopeTests(SynchronousTestCase):
    """The envelope around a text."""

    def test_text(self) -> None:
        """Who, whom, when, what about, which id, and which reports are wanted: a wish for delivery is one for both
        outcomes (RFC 5438 section 7.1.1.3)."""
        octets = enclose(ALICE, BOB, b"x", "text/plain", "one", ("delivered",), date=1e9, subject="s")
        message = opened(octets)
        self.assertEqual((message.from_, message.to, message.date, message.subject), (ALICE, [BOB], 1e9, "s"))
        self.assertEqual((message_id(message), message.content), ("one", b"x"))
        self.assertEqual(wanted_in(message), {Wanted.DELIVERED, Wanted.FAILED})

    def test_report(self) -> None:
        """A report says that it is one, and wants none itself (RFC 5438 section 7.2.1)."""
        report = Imdn("one", 1e9, Disposition.DISPLAYED)
        message = opened(enclose_report(BOB, ALICE, report, "two", date=1e9))
        self.assertEqual(message.mime["Content-Disposition"], "notification")
        self.assertEqual((Imdn.parse(message.content), wanted_in(message)), (report, frozenset()))

    def test_route_of_a_report(self) -> None:
        """Who wants to see the report on its way stands in it, in the same order, and is no more recorded (RFC 5438
        sections 6.6 and 7.2.1)."""
        fields = [
            CpimField("IMDN-Record-Route", f"<sip:{each}>", CPIM_NAMESPACE) for each in ("z.example", "y.example")
        ]
        text = CpimMessage(b"x", "text/plain", fields=fields)
        octets = enclose_report(BOB, ALICE, Imdn("one", 1e9, Disposition.DELIVERED), "two", date=1e9, on=text)
        message = opened(octets)
        routes = [each.value for each in message.get_all("IMDN-Route", CPIM_NAMESPACE)]
        self.assertEqual(routes, ["<sip:z.example>", "<sip:y.example>"])
        self.assertEqual(message.get_all("IMDN-Record-Route", CPIM_NAMESPACE), [])

    def test_whom_it_was_for(self) -> None:
        """A report names whom the text was for as To says it, and whom it was for first as Original-To says it (RFC
        5438 sections 11.1.3 and 11.1.4); where several are named, and for what cannot be read, it is we."""
        us, im = "sip:bob@b.example", CpimAddress("im:Bob@B.example")
        for to, original, told in (
            ((im,), "", (im.uri, im.uri)),
            ((im,), "Team <im:team@b.example>", (im.uri, "im:team@b.example")),
            ((im,), "the team", (im.uri, im.uri)),
            ((), "<im:team@b.example>", (us, "im:team@b.example")),
            ((CpimAddress("im:carol@c.example"),), "", ("im:carol@c.example",) * 2),
            ((CpimAddress("im:carol@c.example"), im), "", (im.uri, im.uri)),
            ((CpimAddress("im:carol@c.example"), CpimAddress("im:bob@d.example")), "", (us, us)),
        ):
            fields = [CpimField("Original-To", original, CPIM_NAMESPACE)] if original else []
            self.assertEqual(recipients_of(CpimMessage(b"x", to=to, fields=fields), us), told)
        self.assertEqual(recipients_of(None, us), (us, us))

    def test_wishes(self) -> None:
        """A wish that there is not, or one text instead of several, is the caller's error."""
        self.assertEqual(wishes(["displayed", "delivered", "displayed"]), ("displayed", "delivered"))
        self.assertRaises(ValueError, wishes, ("applause",))
        self.assertRaises(TypeError, wishes, "delivered")

    def test_not_opened(self) -> None:
        """What cannot be read is 400; what must be understood and is not is 488 (RFC 3862 section 3.5)."""
        vital = CpimMessage(b"x", fields=(CpimField("Require", "urn:x Vital"), CpimField("Vital", "1", "urn:x")))
        for octets, status in (
            (b"no envelope", 400),
            (b"From: nobody\r\n\r\n\r\nx", 400),
            (b"DateTime: today\r\n\r\n\r\nx", 400),
            (vital.to_bytes(), 488),
        ):
            with self.assertRaises(MalformedMessage) as caught:
                opened(octets)
            self.assertEqual(caught.exception.status, status)
        known = CpimMessage(b"x", fields=(CpimField("Require", "Subject"), CpimField("Subject", "s")))
        self.assertEqual(opened(known.to_bytes()).subject, "s")
