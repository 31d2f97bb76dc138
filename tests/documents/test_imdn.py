"""Tests of :mod:`sip_p2p.documents.imdn`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.documents.cpim import CpimField, CpimMessage
from sip_p2p.documents.imdn import (
    CPIM_NAMESPACE,
    MEDIA_TYPE,
    Disposition,
    Imdn,
    Wanted,
    message_id,
    request_fields,
    wanted_in,
)
from sip_p2p.documents.xml import parse_xml
from sip_p2p.errors import MalformedDocument
from tests.support import SynchronousTestCase

EXAMPLE = """<?xml version="1.0" encoding="UTF-8"?>
<imdn xmlns="urn:ietf:params:xml:ns:imdn">
   <message-id>34jk324j</message-id>
   <datetime>2008-04-04T12:16:49-05:00</datetime>
   <recipient-uri>im:bob@example.com</recipient-uri>
   <original-recipient-uri>im:bob@example.com</original-recipient-uri>
   <delivery-notification>
      <status>
         <delivered/>
      </status>
   </delivery-notification>
</imdn>
"""

_texts = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF), max_size=30)


class ImdnTests(SynchronousTestCase):
    """The document."""

    def test_example(self) -> None:
        """A report as RFC 5438 section 7.2.1.1 shows it."""
        report = Imdn.parse(EXAMPLE)
        self.assertEqual((report.message_id, report.date), ("34jk324j", 1207329409.0))
        self.assertEqual((report.recipient, report.original_recipient), ("im:bob@example.com",) * 2)
        self.assertIs(report.disposition, Disposition.DELIVERED)

    def test_every_disposition(self) -> None:
        """Each is written and read as what it is; the same status in two notifications is two dispositions."""
        for disposition in Disposition:
            report = Imdn("x", 1e9, disposition)
            self.assertEqual(Imdn.parse(report.to_bytes()), report)
        self.assertEqual(len(Disposition), 11)

    def test_order(self) -> None:
        """What is written is what the schema allows: its elements in this order, both URIs or none, and a subject only
        beside them (section 11.1.9)."""
        for options in ({"recipient": "im:b@b"}, {"original_recipient": "im:b@b"}):
            read = Imdn.parse(Imdn("x", 0, Disposition.DELIVERED, subject="s", **options).to_bytes())
            self.assertEqual((read.recipient, read.original_recipient, read.subject), ("im:b@b", "im:b@b", "s"))
        self.assertRaises(ValueError, Imdn("x", 0, Disposition.DELIVERED, subject="s").to_bytes)
        octets = Imdn("x", 0, Disposition.STORED, recipient="im:b@b", original_recipient="im:c@c").to_bytes()
        self.assertEqual(
            [each.local_name for each in parse_xml(octets).children],
            ["message-id", "datetime", "recipient-uri", "original-recipient-uri", "processing-notification"],
        )

    def test_extensions(self) -> None:
        """Elements of other namespaces may stand in a report and in its status, and say nothing to us (section
        11.1.9)."""
        more = '<x:more xmlns:x="urn:x">y</x:more>'
        document = EXAMPLE.replace("<delivered/>", f"<delivered/>{more}").replace("</imdn>", f"{more}</imdn>")
        self.assertEqual(Imdn.parse(document), Imdn.parse(EXAMPLE))

    def test_malformed(self) -> None:
        """What is no report is refused: another document, no id, no date, no disposition, a document type."""
        for old, new in (
            ("imdn xmlns", "imdx xmlns"),
            ("</imdn>", ""),
            ("34jk324j", ""),
            ("34jk324j", "x" * 257),
            ("2008-04-04T12:16:49-05:00", "yesterday"),
            ("<delivered/>", "<applauded/>"),
            ("<delivered/>", "<processed/>"),
            ("<delivered/>", "<delivered xmlns='urn:other'/>"),
            ("<imdn ", "<!DOCTYPE imdn><imdn "),
        ):
            self.assertRaises(MalformedDocument, Imdn.parse, EXAMPLE.replace(old, new))
        self.assertRaises(ValueError, Imdn, "", 0, Disposition.DELIVERED)
        self.assertRaises(ValueError, Imdn("\x01", 0, Disposition.DELIVERED).to_bytes)

    @given(_texts.filter(bool), _texts, st.integers(0, 2**32), st.sampled_from(Disposition))
    def test_round_trip(self, identifier: str, text: str, date: int, disposition: Disposition) -> None:
        """What is written is read as what it was."""
        report = Imdn(
            identifier.strip() or "x",
            date,
            disposition,
            recipient=text.strip(),
            original_recipient=text.strip(),
            subject=text.strip(),
        )
        try:
            octets = report.to_bytes()
        except ValueError:
            return
        self.assertEqual(Imdn.parse(octets), report)


class RequestTests(SynchronousTestCase):
    """The fields that ask for reports (sections 6.2 and 6.3)."""

    def test_example(self) -> None:
        """The message of RFC 5438 section 7.1.1.3, with the empty line before the fields of its content."""
        message = CpimMessage.parse(
            b"From: Alice <im:alice@example.com>\r\n"
            b"To: Bob <im:bob@example.com>\r\n"
            b"NS: imdn <urn:ietf:params:imdn>\r\n"
            b"imdn.Message-ID: 34jk324j\r\n"
            b"DateTime: 2006-04-04T12:16:49-05:00\r\n"
            b"imdn.Disposition-Notification: positive-delivery, negative-delivery\r\n"
            b"\r\n"
            b"Content-type: text/plain\r\n"
            b"Content-length: 12\r\n"
            b"\r\n"
            b"Hello World"
        )
        self.assertEqual((message_id(message), message.date, message.text()), ("34jk324j", 1144171009.0, "Hello World"))
        self.assertEqual(wanted_in(message), {Wanted.DELIVERED, Wanted.FAILED})

    def test_asked_for(self) -> None:
        """What is asked for is read again; without an id, or on a report, nothing is asked for."""
        fields = request_fields("one", (Wanted.DELIVERED, Wanted.DISPLAYED, Wanted.DELIVERED))
        message = CpimMessage.parse(CpimMessage(b"x", "text/plain", fields=fields).to_bytes())
        self.assertEqual(message_id(message), "one")
        self.assertEqual(wanted_in(message), {Wanted.DELIVERED, Wanted.DISPLAYED})
        self.assertEqual(wanted_in(CpimMessage(b"x", "text/plain", fields=fields[1:])), frozenset())
        self.assertEqual(wanted_in(CpimMessage(b"x", MEDIA_TYPE, fields=fields)), frozenset())
        self.assertEqual([each.name for each in request_fields("one", ())], ["Message-ID"])

    def test_leniently(self) -> None:
        """Blanks, parameters, unknown names and names in other letters do not matter (sections 7.2.1 and 10); an id
        that is endless, or that no report could carry, is none."""
        value = "positive-delivery;x=1 ,applause,  display, Processing"
        wish = CpimField("Disposition-Notification", value, CPIM_NAMESPACE)
        message = CpimMessage(b"x", "text/plain", fields=(*request_fields("one", ()), wish))
        self.assertEqual(wanted_in(message), {Wanted.DELIVERED, Wanted.DISPLAYED})
        for wrong in ("x" * 257, "a\tb", "a\uffffb", ""):
            field = CpimField("Message-ID", wrong, CPIM_NAMESPACE)
            self.assertEqual(message_id(CpimMessage(b"", fields=(field,))), "")

    def test_ids(self) -> None:
        """An id that cannot be written is refused: it is a token (section 10)."""
        self.assertEqual(request_fields("gate-1.\xe9", ())[0].value, "gate-1.\xe9")
        for wrong in ("", "a b", "a\nb", "a@b", "a/b", "a\\b", "x" * 257):
            self.assertRaises(ValueError, request_fields, wrong, ())
