"""Where offers and answers come from: at once, later, never, or not at all."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer, verify

from sip_p2p.endpoint.session.offers import Fixed, IOfferAnswer, ask, described, refusal_of, source_of
from sip_p2p.errors import MalformedMessage, OfferRejected, OperationTimeout
from sip_p2p.sdp import Origin, SessionDescription
from sip_p2p.sip.dialog.description import ContentDescription
from tests.support import SynchronousTestCase

SDP = ContentDescription("v=0")


class SourceTests(SynchronousTestCase):
    """What may be given."""

    def test_given(self) -> None:
        """Text, octets and what has some are SDP, a description is what it says, None is none (row:H22, row:H24)."""
        other = ContentDescription(b"<x/>", "application/xml")
        session = SessionDescription(Origin("192.0.2.1", 1))
        read = ContentDescription(bytes(session))
        for given, expected in (("v=0", SDP), (b"v=0", SDP), (session, read), (other, other), (None, None)):
            self.assertEqual(described(given), expected)
            source = source_of(given)
            self.assertEqual((source.get_offer(None), source.get_answer(None, other)), (expected, expected))
            self.assertIsNone(source.set_answer(None, other))

    def test_not_given(self) -> None:
        """Everything else is refused at once."""
        self.assertRaises(TypeError, source_of, 5)
        self.assertRaises(TypeError, source_of, [SDP])
        self.assertRaises(ValueError, source_of, b"")

    def test_object(self) -> None:
        """An object that provides the interface is asked itself (row:H23)."""

        @implementer(IOfferAnswer)
        class Media:
            def get_offer(self, session: Any) -> str:
                return "v=0"

            def get_answer(self, session: Any, offer: Any) -> str:
                return "v=0"

            def set_answer(self, session: Any, answer: Any) -> None:
                return None

        media = Media()
        self.assertIs(source_of(media), media)
        verify.verifyObject(IOfferAnswer, media)
        verify.verifyObject(IOfferAnswer, Fixed(None))


class AskTests(SynchronousTestCase):
    """How an application is asked."""

    def setUp(self) -> None:
        """A clock."""
        self.clock = Clock()

    def ask(self, question: Any) -> Deferred[ContentDescription | None]:
        """Ask it, for 5 s at most."""
        return ask(self.clock, 5, question)

    def test_at_once(self) -> None:
        """What is returned at once is told at once, and no time is waited for (row:H23)."""
        self.assertEqual(self.successResultOf(self.ask(lambda: "v=0")), SDP)
        self.assertIsNone(self.successResultOf(self.ask(lambda: None)))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_later(self) -> None:
        """A Deferred and a coroutine are waited for, and no time is left over (row:H23)."""
        waiting: Deferred[str] = Deferred()

        async def wait() -> str:
            return await waiting

        asked, other = self.ask(lambda: waiting), self.ask(wait)
        self.assertNoResult(asked)
        waiting.callback("v=0")
        self.assertEqual(self.successResultOf(asked), SDP)
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.successResultOf(other))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_raises(self) -> None:
        """What is raised, at once or later, is the failure (row:H23)."""

        async def later() -> str:
            raise OfferRejected("no video")

        def at_once() -> str:
            raise ZeroDivisionError

        self.failureResultOf(self.ask(later), OfferRejected)
        self.failureResultOf(self.ask(at_once), ZeroDivisionError)
        self.failureResultOf(self.ask(lambda: 5), TypeError)

    def test_never(self) -> None:
        """What takes too long is cancelled, and fails with a timeout (fault:K2)."""
        cancelled: list[object] = []
        asked = self.ask(lambda: Deferred(cancelled.append))
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.2)
        self.failureResultOf(asked, OperationTimeout)
        self.assertEqual(len(cancelled), 1)

    def test_cancelled(self) -> None:
        """Whoever asked may cancel; what comes later goes nowhere (fault:K4)."""
        waiting: Deferred[str] = Deferred()
        asked = self.ask(lambda: waiting)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        waiting.callback("v=0")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refusals(self) -> None:
        """Each failure has its status: 488 or the application's own, 400, 504, 500 (row:H23)."""
        for error, status in (
            (OfferRejected(), 488),
            (OfferRejected("busy", 486), 486),
            (MalformedMessage("x"), 400),
            (OperationTimeout("never"), 504),
            (CancelledError(), 500),
            (ZeroDivisionError(), 500),
        ):
            self.assertEqual(refusal_of(Failure(error)), status, error)
        for wrong in (200, 399, 700):
            self.assertRaises(ValueError, OfferRejected, "x", wrong)
