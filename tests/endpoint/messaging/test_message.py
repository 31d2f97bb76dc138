"""Tests of :mod:`sip_p2p.endpoint.messaging.message`."""

from __future__ import annotations

from sip_p2p.documents.imdn import Disposition, Imdn
from sip_p2p.endpoint.messaging.message import MessageStatus, Outcome, OutgoingText
from sip_p2p.errors import InvalidOperation, MessageNotDelivered, OperationTimeout
from sip_p2p.sip.message import Response
from sip_p2p.sip.uri import SipUri
from tests.support import SynchronousTestCase

WISHES = ("delivered", "displayed")


def report(disposition: Disposition) -> Imdn:
    """A report on the text of these tests."""
    return Imdn("one", 0, disposition)


class OutcomeTests(SynchronousTestCase):
    """What will be known once."""

    def test_waiting(self) -> None:
        """Everybody who waits is told, before or after, once; who has cancelled is not."""
        outcome: Outcome[int] = Outcome()
        early, cancelled = outcome.wait(), outcome.wait()
        cancelled.addErrback(lambda _: None)
        cancelled.cancel()
        outcome.be(7)
        outcome.be(8)
        outcome.fail(ValueError())
        self.assertEqual((self.successResultOf(early), self.successResultOf(outcome.wait())), (7, 7))

    def test_failing(self) -> None:
        """A failure is told to each of them, and nobody is blamed where nobody waits."""
        outcome: Outcome[int] = Outcome()
        early = outcome.wait()
        outcome.fail(OperationTimeout("late"))
        for waiting in (early, outcome.wait()):
            self.failureResultOf(waiting, OperationTimeout)
        Outcome[int]().fail(OperationTimeout("nobody waits"))


class MessageTests(SynchronousTestCase):
    """A text of ours."""

    def setUp(self) -> None:
        """One that wants everything."""
        super().setUp()
        self.message = OutgoingText("one", SipUri.parse("sip:bob@b.example"), WISHES)
        self.message.goes_out()

    def test_in_order(self) -> None:
        """It goes through its states, and each Deferred fires with what it waits for."""
        message = self.message
        message.accepted(Response(202))
        self.assertEqual((message.status, self.successResultOf(message.sent).status), (MessageStatus.SENT, 202))
        message.reported(report(Disposition.DELIVERED))
        self.assertTrue(message.is_awaiting)
        message.reported(report(Disposition.DISPLAYED))
        self.assertEqual((message.status, message.is_awaiting), (MessageStatus.DISPLAYED, False))
        self.assertIs(self.successResultOf(message.delivered).disposition, Disposition.DELIVERED)
        self.assertIs(self.successResultOf(message.displayed).disposition, Disposition.DISPLAYED)

    def test_out_of_order(self) -> None:
        """A report may come before the answer, and a later word before an earlier one: nothing is taken back."""
        message = self.message
        message.reported(report(Disposition.DISPLAYED))
        message.reported(report(Disposition.DELIVERED))
        message.accepted(Response(200))
        self.assertEqual((message.status, len(message.reports)), (MessageStatus.DISPLAYED, 2))

    def test_not_delivered(self) -> None:
        """A report that it was not delivered ends the wait for all others; one that nobody is told ends its own."""
        self.message.accepted(Response(202))
        self.message.reported(report(Disposition.FAILED))
        self.assertEqual((self.message.status, self.message.is_awaiting), (MessageStatus.FAILED, False))
        failure = self.failureResultOf(self.message.displayed, MessageNotDelivered)
        self.assertIs(failure.value.report.disposition, Disposition.FAILED)
        other = OutgoingText("one", SipUri.parse("sip:bob@b.example"), WISHES)
        other.reported(report(Disposition.DISPLAY_FORBIDDEN))
        self.failureResultOf(other.displayed, MessageNotDelivered)
        other.reported(report(Disposition.STORED))
        self.assertTrue(other.is_awaiting)
        other.reported(report(Disposition.DELIVERY_ERROR))
        self.failureResultOf(other.delivered, MessageNotDelivered)

    def test_nothing_wanted(self) -> None:
        """Who waits for a report that was not wanted is told so."""
        message = OutgoingText("one", SipUri.parse("sip:bob@b.example"), ())
        self.failureResultOf(message.delivered, InvalidOperation)
        self.failureResultOf(message.displayed, InvalidOperation)
        self.assertFalse(message.is_awaiting)

    def test_no_end_of_reports(self) -> None:
        """Who reports without end takes no room (fault:D4)."""
        for _ in range(100):
            self.message.reported(report(Disposition.STORED))
        self.assertEqual(len(self.message.reports), 16)
