"""Tests of :mod:`sip_p2p.endpoint.messaging.reports`: who is told what became of a text, and who is believed."""

from __future__ import annotations

from typing import Any, ClassVar

from sip_p2p import Messenger, OperationTimeout, RequestFailed
from sip_p2p.documents.cpim import CpimAddress, CpimField, CpimMessage
from sip_p2p.documents.imdn import CPIM_NAMESPACE, Disposition, Imdn, Wanted, request_fields
from sip_p2p.endpoint.messaging.envelope import enclose, enclose_report
from sip_p2p.sip.multipart import BodyPart, Multipart
from tests.endpoint.messaging.support import BOB, MessengerTestCase

ALICE = "sip:alice@a.example"


class WantedTests(MessengerTestCase):
    """Reports that others want of us."""

    def test_nobody_asked(self) -> None:
        """Where no report is wanted none goes out."""
        self.sent("x")
        self.texts[0].displayed()
        self.sent("y", want=("delivered",))
        self.texts[1].displayed()
        self.network.advance(1)
        self.assertEqual((self.his.reports.sent, self.his.reports.withheld), (1, 0))

    def test_refused(self) -> None:
        """A text that was refused, or whose handler has raised, is reported by nobody."""
        self.his.text_received.subscribe(lambda text: 488)
        message = self.sent("x", want=("delivered",))
        self.failureResultOf(message.sent, RequestFailed)
        self.failureResultOf(message.delivered, RequestFailed)
        self.assertEqual(self.his.reports.sent, 0)

    def test_in_somebody_elses_name(self) -> None:
        """A text whose envelope names another sender than the connection has proved has no report: it would go to
        somebody who has sent nothing (fault:D4)."""
        body = enclose(
            CpimAddress("sip:victim@v.example"), CpimAddress(BOB), b"x", "text/plain", "one", ("delivered",), date=1e9
        )
        self.run_until(self.alice.send_message(BOB, body, "message/cpim"))
        anonymous = CpimAddress("sip:anonymous@anonymous.invalid")
        body = enclose(anonymous, CpimAddress(BOB), b"x", "text/plain", "two", ("delivered",), date=1e9)
        self.run_until(self.alice.send_message(BOB, body, "message/cpim"))
        self.network.advance(1)
        self.assertEqual((self.his.reports.sent, self.his.reports.withheld), (1, 1))

    def test_unnamed(self) -> None:
        """Who does not want to be named has no address that a report could go to (RFC 5438 section 12.1.1)."""
        anonymous = CpimAddress("sip:anonymous@anonymous.invalid")
        body = enclose(anonymous, CpimAddress(BOB), b"x", "text/plain", "one", ("delivered",), date=1e9)
        self.run_until(self.alice.send_message(BOB, body, "message/cpim", privacy="id"))
        self.network.advance(1)
        self.assertEqual((len(self.texts), self.his.reports.sent, self.his.reports.withheld), (1, 0, 1))

    def test_what_it_says(self) -> None:
        """A report names whom the text was for, and goes by whom the text has come (RFC 5438 section 7.2.1)."""
        told: list[Any] = []
        self.alice.message_received.subscribe(lambda event: told.append(CpimMessage.parse(event.body)))
        fields = (
            *request_fields("one", (Wanted.DELIVERED,)),
            CpimField("Original-To", "<im:team@b.example>", CPIM_NAMESPACE),
            CpimField("IMDN-Record-Route", "<im:relay@b.example>", CPIM_NAMESPACE),
        )
        text = CpimMessage(b"x", "text/plain", to=(CpimAddress("im:bob@b.example"),), date=1e9, fields=fields)
        self.run_until(self.alice.send_message(BOB, text.to_bytes(), "message/cpim"))
        self.network.advance(1)
        [envelope] = told
        self.assertEqual(envelope.get("IMDN-Route", CPIM_NAMESPACE), "<im:relay@b.example>")
        report = Imdn.parse(envelope.content)
        self.assertEqual((report.recipient, report.original_recipient), ("im:bob@b.example", "im:team@b.example"))

    def test_what_no_report_can_say(self) -> None:
        """A text of a time that no report can name is told, and has none."""
        body = enclose(CpimAddress(ALICE), CpimAddress(BOB), b"x", "text/plain", "one", ("delivered",), date=1e9)
        body = body.replace(b"DateTime: 2001", b"DateTime: 1901")
        self.run_until(self.alice.send_message(BOB, body, "message/cpim"))
        self.network.advance(1)
        self.assertEqual((len(self.texts), self.his.reports.sent, self.his.reports.withheld), (1, 0, 1))

    def test_unproved(self) -> None:
        """On clear text nothing is proved, and no report goes out, unless that was said (fault:E7)."""
        plain = self.network.party("sip:p@p.example", listen="tcp:5060", default_transport="tcp")
        listener = self.network.party("sip:q@q.example", listen="tcp:5060", default_transport="tcp")
        hers, his = Messenger(plain), Messenger(listener)
        his.text_received.subscribe(self.texts.append)
        message = hers.send("x", "sip:q@q.example", want=("delivered",))
        self.network.advance(2)
        self.assertEqual((message.status.value, his.reports.withheld), ("sent", 1))
        his.close()
        his = Messenger(listener, reports_to_unproved_senders=True)
        his.text_received.subscribe(self.texts.append)
        message = hers.send("x", "sip:q@q.example", want=("delivered",))
        self.network.advance(2)
        self.assertEqual(message.status.value, "delivered")

    def test_too_many(self) -> None:
        """Who wants more reports than may be under way gets no more; the next one is sent when they are through."""
        manager = self.bob.connection_manager
        manager.limits = manager.limits.replace(reports=1)
        for _ in range(3):
            self.hers.send("x", BOB, want=("displayed",))
        self.network.advance(2)
        for text in self.texts:
            text.displayed()
        self.assertEqual((self.his.reports.sent, self.his.reports.withheld), (1, 2))
        self.assertEqual(manager.metrics()["limit_reports"], 2)
        self.network.advance(1)
        self.sent(want=("displayed",))
        self.texts[-1].displayed()
        self.assertEqual(self.his.reports.sent, 2)
        self.network.advance(1)


class QuietTests(MessengerTestCase):
    """A party that tells nothing."""

    options: ClassVar[dict[str, Any]] = {"answers": ("delivered",), "report_timeout": 60.0}

    def test_not_displayed(self) -> None:
        """What is not to be told is not told, though it is wanted."""
        message = self.sent(want=("delivered", "displayed"))
        self.texts[0].displayed()
        self.network.advance(1)
        self.assertEqual(message.status.value, "delivered")


class AwaitedTests(MessengerTestCase):
    """Reports on our texts."""

    def forged(self, message: Any, by: Any) -> None:
        """A report on *message* that somebody else sends."""
        report = Imdn(message.id, 1e9, Disposition.DISPLAYED)
        body = enclose_report(CpimAddress(BOB), CpimAddress(ALICE), report, "forged", date=1e9)
        self.run_until(by.send_message(ALICE, body, "message/cpim"))

    def test_of_strangers(self) -> None:
        """A report counts when it comes from the domain that the text went to; one on nothing is counted (fault:D4)."""
        message = self.sent(want=("displayed",))
        carol = self.network.party("sip:carol@c.example")
        self.forged(message, carol)
        self.assertEqual((message.status.value, self.hers.reports.unknown), ("sent", 1))
        self.forged(message, self.bob)
        self.assertEqual(message.status.value, "displayed")
        self.forged(message, self.bob)
        self.assertEqual(self.hers.reports.unknown, 2)

    def test_together(self) -> None:
        """Several reports may come in one message, as a server of lists sends them; one that cannot be read refuses
        them all, and several parts that are no notification are a text (RFC 5438 sections 7.1.4, 8.3 and 9)."""
        message = self.sent(want=("displayed",))
        self.alice.message_received.subscribe(lambda event: None)
        reports = [Imdn(message.id, 1e9, each).to_bytes() for each in (Disposition.STORED, Disposition.DISPLAYED)]
        for documents, disposition, status, said in (
            ((*reports, b"<imdn/>"), "notification", 400, []),
            (reports, "render", 200, []),
            ((), "notification", 200, []),
            (reports, "Notification;handling=optional", 200, [Disposition.STORED, Disposition.DISPLAYED]),
        ):
            parts = [BodyPart(b"see below", "text/plain"), *(BodyPart(each, "message/imdn+xml") for each in documents)]
            mime = (("Content-Type", 'multipart/mixed; boundary="imdn-boundary"'), ("Content-Disposition", disposition))
            body = CpimMessage(Multipart(parts).build("imdn-boundary"), to=(CpimAddress(ALICE),), mime=mime).to_bytes()
            self.assertEqual(self.status_of(self.bob.send_message(ALICE, body, "message/cpim")), status)
            self.assertEqual([each.disposition for each in message.reports], said)
        self.assertEqual(message.status.value, "displayed")

    def test_malformed(self) -> None:
        """A report that cannot be read is answered 400 (fault:A5)."""
        report = Imdn("x", 1e9, Disposition.DISPLAYED)
        body = enclose_report(CpimAddress(BOB), CpimAddress(ALICE), report, "forged", date=1e9)
        for wrong in (body.replace(b"<imdn", b"<imdx"), body[:-30], b"no envelope"):
            self.assertEqual(self.status_of(self.bob.send_message(ALICE, wrong, "message/cpim")), 400)

    def test_none_comes(self) -> None:
        """A text waits for its reports for so long, and no longer."""
        hers = Messenger(self.alice, report_timeout=30)
        self.texts.clear()
        first = hers.send("x", BOB, want=("displayed",))
        self.network.advance(20)
        second = hers.send("x", BOB, want=("displayed",))
        waiting = first.displayed
        self.network.advance(9)
        self.assertNoResult(waiting)
        self.network.advance(2)
        self.failureResultOf(waiting, OperationTimeout)
        self.assertTrue(second.is_awaiting)
        self.network.advance(20)
        self.failureResultOf(second.displayed, OperationTimeout)
        self.assertEqual(first.status.value, "sent")
