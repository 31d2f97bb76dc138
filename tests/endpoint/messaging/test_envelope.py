"""Tests of :mod:`sip_p2p.endpoint.messaging.envelope`."""

from __future__ import annotations

from sip_p2p.documents.cpim import CpimAddress, CpimField, CpimMessage
from sip_p2p.documents.imdn import Disposition, Imdn, Wanted, message_id, wanted_in
from sip_p2p.endpoint.messaging.envelope import enclose, enclose_report, opened, wishes
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
