"""Offers and answers within a session, from either side, at once, later and not at all."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from zope.interface import implementer

from sip_p2p import InvalidOperation, OfferRejected, OperationTimeout, RequestFailed, SessionTerminated
from sip_p2p.endpoint.session.exchange import IncomingOffer
from sip_p2p.endpoint.session.offers import IOfferAnswer
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.sip.dialog.description import ContentDescription
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase, Heard

HELD = "v=0\r\na=sendonly\r\n"
RECEIVING = "v=0\r\na=recvonly\r\n"


@implementer(IOfferAnswer)
class Media:
    """Offers, answers and hears as it is told to; what it is told to raise it raises, and a Deferred is a Deferred.

    :ivar asked: what it was asked, and in which state of the session.
    """

    def __init__(self, offer: Any = OFFER, answer: Any = ANSWER, heard: Any = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._offer = offer
        self._answer = answer
        self._heard = heard

    def get_offer(self, session: SignalingSession) -> Any:
        """The offer."""
        self.asked.append(("offer", session.state.name))
        return self._give(self._offer)

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> Any:
        """The answer."""
        self.asked.append(("answer", session.state.name))
        return self._give(self._answer)

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> Any:
        """The peer's."""
        self.asked.append(("heard", session.state.name))
        return self._give(self._heard)

    def _give(self, what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what


class SetUpTests(CallTestCase):
    """IOfferAnswer while a session is established."""

    def test_both_sides(self) -> None:
        """Each side is asked once, and the caller's hears the answer (row:H23)."""
        mine, theirs = Media(), Media()
        session, _ = self.call(mine, theirs)
        self.assertEqual(mine.asked, [("offer", "CONNECTING"), ("heard", "CONNECTING")])
        self.assertEqual(theirs.asked, [("answer", "CONNECTING")])
        self.run_until(session.terminate())

    def test_late_offer(self) -> None:
        """An INVITE without an offer has it in the 200, and the answer in the ACK (row:H22)."""
        mine, theirs = Media(offer=None), Media()
        session, other = self.call(mine, theirs)
        self.assertEqual(mine.asked, [("offer", "CONNECTING"), ("answer", "CONNECTING")])
        self.assertEqual(theirs.asked, [("offer", "CONNECTING"), ("heard", "CONNECTED")])
        self.assertEqual(session.remote_description, ContentDescription(OFFER))
        self.assertEqual(other.remote_description, ContentDescription(ANSWER))
        self.run_until(session.terminate())

    def test_late_offer_to_a_handler(self) -> None:
        """Who called without an offer answers the one in the 200 with a handler (row:H22)."""
        session, establishing = self.begin(None)
        session.offer_received.subscribe(lambda offer: ANSWER)
        self.received[0].accept(OFFER)
        self.run_until(establishing)
        self.run_until(session.terminate())

    def test_late_offer_to_nobody(self) -> None:
        """Without anybody to answer it the 200 is acknowledged and the session ended (row:H22)."""
        session, establishing = self.begin(None)
        heard = Heard(session)
        accepting = self.received[0].accept(OFFER)
        self.network.advance(2)
        self.failureResultOf(establishing)
        accepting.addErrback(lambda _: None)
        self.assertEqual(heard.told[-1], "DISCONNECTED NOT_ACCEPTABLE_MEDIA")
        self.assertIs(self.received[0].state, SignalingState.DISCONNECTED)

    def test_late_offer_too_late(self) -> None:
        """Who ends the session as soon as it is accepted is not asked for an answer to the offer in the 200 (row:H22,
        fault:K5)."""
        mine = Media(offer=None)
        session, establishing = self.begin(mine)
        session.invitation_accepted.subscribe(lambda accepted: session.terminate())
        accepting = self.received[0].accept(OFFER)
        self.network.advance(2)
        self.failureResultOf(establishing)
        accepting.addErrback(lambda _: None)
        self.assertEqual(mine.asked, [("offer", "CONNECTING")])
        other, establishing = self.begin(None)
        other.invitation_accepted.subscribe(lambda accepted: other.terminate())
        accepting = self.received[1].accept(OFFER)
        self.network.advance(2)
        self.failureResultOf(establishing)
        accepting.addErrback(lambda _: None)

    def test_later(self) -> None:
        """Offers and answers may take their time: Deferreds on both sides (row:H23)."""
        offer: Deferred[str] = Deferred()
        answer: Deferred[str] = Deferred()
        session, establishing = self.begin(Media(offer=offer))
        self.assertEqual((self.received, session.state), ([], SignalingState.CONNECTING))
        offer.callback(OFFER)
        self.network.advance(0.5)
        accepting = self.received[0].accept(Media(answer=answer))
        self.network.advance(3)
        self.assertNoResult(establishing)
        answer.callback(ANSWER)
        self.run_until(establishing)
        self.run_until(accepting)
        self.run_until(session.terminate())

    def test_no_offer(self) -> None:
        """Whose offer fails calls nobody; the failure is the outcome (row:H23)."""
        for error in (ZeroDivisionError(), OfferRejected("no microphone")):
            session, establishing = self.begin(Media(offer=error))
            self.failureResultOf(establishing, type(error))
            self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertEqual(self.received, [])

    def test_no_answer(self) -> None:
        """What the called side raises refuses the INVITE: 488 with its words, or 500 and a line in the log; 504 where
        it takes too long (row:H23, fault:K2)."""
        for answer, status, words in (
            (OfferRejected("no video here"), 488, "no video here"),
            (OfferRejected("later", 486), 486, "later"),
            (ZeroDivisionError(), 500, ""),
            (5, 500, ""),
            (Deferred(), 504, ""),
        ):
            _, establishing = self.begin()
            accepting = self.received[-1].accept(Media(answer=answer))
            self.network.advance(30)
            self.failureResultOf(accepting)
            error = self.failureResultOf(establishing, RequestFailed).value
            self.assertEqual(error.status, status)
            self.assertIn(words, error.response.headers.get("Warning") or "")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.flushLoggedErrors()

    def test_cancelled_while_asked(self) -> None:
        """Whom the caller leaves while the answer is worked out is told so: the question is cancelled (fault:K4)."""
        cancelled: list[object] = []
        session, establishing = self.begin()
        [theirs] = self.received
        accepting = theirs.accept(Media(answer=Deferred(cancelled.append)))
        self.network.advance(0.5)
        self.run_until(session.terminate())
        self.network.advance(0.5)
        self.assertEqual(len(cancelled), 1)
        for waiting in (establishing, accepting):
            self.failureResultOf(waiting)

    def test_gives_up_itself(self) -> None:
        """An application whose own work on the answer was cancelled has failed: 500, at once (fault:K4, row:H23)."""
        for answer in (CancelledError(), fail(CancelledError())):
            _, establishing = self.begin()
            accepting = self.received[-1].accept(Media(answer=answer))
            self.network.advance(1)
            self.failureResultOf(accepting, CancelledError)
            self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 2)

    def test_nothing_to_answer_with(self) -> None:
        """Who is asked for an answer, or for an offer, and has none refuses with 488: that is no fault (row:H23)."""
        for offer in (OFFER, None):
            _, establishing = self.begin(offer)
            accepting = self.received[-1].accept(Media(offer=None, answer=None))
            self.network.advance(1)
            self.failureResultOf(accepting, OfferRejected)
            self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 488)

    def test_late_answer_fails(self) -> None:
        """Who cannot answer the offer of a 2xx hears of that what was raised, and the peer a BYE (row:H22, row:H23)."""
        for answer, error in ((OfferRejected("no video"), OfferRejected), (ZeroDivisionError(), ZeroDivisionError)):
            source = Media(offer=None, answer=answer)
            session, establishing = self.begin(source)
            accepting = self.received[-1].accept(OFFER)
            self.network.advance(1)
            self.failureResultOf(establishing, error)
            self.successResultOf(accepting)
            self.assertEqual([each.state for each in (session, self.received[-1])], [SignalingState.DISCONNECTED] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_offer_takes_too_long(self) -> None:
        """An offer that never comes fails the call as everything that takes too long does (row:H23, fault:K2)."""
        session = self.alice.create_session(BOB)
        heard = Heard(session)
        establishing = session.establish(Media(offer=Deferred()))
        self.network.advance(30)
        self.failureResultOf(establishing, OperationTimeout)
        self.assertEqual(heard.told, ["CONNECTING NONE", "DISCONNECTED TIMEOUT"])

    def test_answer_that_cannot_be(self) -> None:
        """Whoever cannot live with an answer ends the session, with the reason (row:H23)."""
        session, establishing = self.begin(Media(heard=OfferRejected("not that codec")))
        [theirs] = self.received
        heard = Heard(theirs)
        accepting = theirs.accept(ANSWER)
        self.network.advance(2)
        self.failureResultOf(establishing)
        accepting.addErrback(lambda _: None)
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.assertEqual(heard.told[-1], "DISCONNECTED TERMINATED_REMOTELY")
        self.assertEqual(heard.events[-1].message.headers["Reason"], "SIP;cause=488")


class ChangeTests(CallTestCase):
    """Changes of a session that stands."""

    def setUp(self) -> None:
        """It stands."""
        super().setUp()
        self.session, self.theirs = self.call()
        self.watch(self.session)
        self.addCleanup(lambda: self.run_until(self.session.terminate()))

    def renegotiated(self, offer: Any = HELD, **arguments: Any) -> ContentDescription | None:
        """What the peer answers."""
        return self.run_until(self.session.renegotiate(offer, **arguments))  # type: ignore[return-value]

    def refused(self, offer: Any = HELD) -> int:
        """The status that refuses it."""
        changing = self.session.renegotiate(offer)
        self.network.advance(30)
        error = self.failureResultOf(changing, RequestFailed).value
        assert isinstance(error, RequestFailed)
        self.refusal = error.response
        return error.status

    def test_change(self) -> None:
        """A re-INVITE changes what both sides have agreed on (row:H19, row:H20)."""
        self.theirs.offer_received.subscribe(lambda offer: RECEIVING)
        self.assertEqual(self.renegotiated(), ContentDescription(RECEIVING))
        self.assertEqual(self.lines, ["out INVITE", "in 200 OK", "out ACK"])
        for session, ours, peers in ((self.session, HELD, RECEIVING), (self.theirs, RECEIVING, HELD)):
            self.assertEqual(session.local_description, ContentDescription(ours))
            self.assertEqual(session.remote_description, ContentDescription(peers))

    def test_by_update(self) -> None:
        """The same by UPDATE, where that is wished for (row:H19)."""
        self.theirs.offer_received.subscribe(lambda offer: offer.accept(RECEIVING))
        self.assertEqual(self.renegotiated(method="UPDATE"), ContentDescription(RECEIVING))
        self.assertEqual(self.lines, ["out UPDATE", "in 200 OK"])

    def test_other_way_round(self) -> None:
        """Who was called may change it as well (row:H19)."""
        self.session.offer_received.subscribe(lambda offer: RECEIVING)
        self.assertEqual(self.run_until(self.theirs.renegotiate(HELD)), ContentDescription(RECEIVING))

    def test_asks_for_an_offer(self) -> None:
        """A re-INVITE without an offer asks the peer for one, and answers it in the ACK (row:H22)."""
        self.session.offer_received.subscribe(lambda offer: RECEIVING)
        self.theirs.offer_received.subscribe(lambda offer: HELD if offer.description is None else None)
        self.renegotiated(None)
        self.network.advance(0.5)
        self.assertEqual(self.theirs.remote_description, ContentDescription(RECEIVING))
        self.assertEqual(self.session.remote_description, ContentDescription(HELD))

    def test_nobody_decides(self) -> None:
        """Without a handler what is as it was is answered as it was, and anything new refused with 488; the session
        stays as it is (row:H20, row:H26)."""
        self.assertEqual(self.renegotiated(OFFER), ContentDescription(ANSWER))
        self.assertEqual(self.refused(HELD), 488)
        # RFC 3261 section 14.2, RFC 3311 section 5.2: a 488 has a Warning.
        self.assertEqual(self.refusal.headers["Warning"], '399 sip_p2p "the offer is not acceptable"')
        self.assertEqual(self.session.local_description, ContentDescription(OFFER))
        self.assertEqual(self.theirs.remote_description, ContentDescription(OFFER))
        self.assertIs(self.session.state, SignalingState.CONNECTED)

    def test_refused(self) -> None:
        """A handler refuses with what it says, or raises, or has nothing in time (row:H20, fault:K1, fault:K2)."""
        answers: list[Any] = []

        def decide(offer: IncomingOffer) -> Any:
            answer = answers.pop()
            if isinstance(answer, int):
                return offer.decline(answer, "Not Now")
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.theirs.offer_received.subscribe(decide)
        for answer, status in ((606, 606), (OfferRejected(), 488), (ZeroDivisionError(), 500), (Deferred(), 504)):
            answers.append(answer)
            self.assertEqual(self.refused(), status)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.flushLoggedErrors()
        self.assertIs(self.session.state, SignalingState.CONNECTED)

    def test_later(self) -> None:
        """A decision may take its time, with provisional responses meanwhile (row:H20)."""
        kept: list[IncomingOffer] = []

        def keep(offer: IncomingOffer) -> None:
            offer.defer()
            offer.progress(183, "Asking")
            kept.append(offer)

        self.theirs.offer_received.subscribe(keep)
        changing = self.session.renegotiate(HELD)
        self.network.advance(2)
        self.assertEqual(self.lines, ["out INVITE", "in 183 Asking"])
        error = self.assertRaises(InvalidOperation, self.session.renegotiate, OFFER)
        self.assertTrue(error.retryable)
        kept[0].accept(RECEIVING)
        self.assertRaises(InvalidOperation, kept[0].decline)
        self.run_until(changing)

    def test_cancelled(self) -> None:
        """A re-INVITE can be called off; who was asked has nothing more to decide (row:H21, row:H20)."""
        cancelled: list[object] = []
        offers: list[IncomingOffer] = []

        def decide(offer: IncomingOffer) -> Deferred[None]:
            offers.append(offer)
            return Deferred(cancelled.append)

        self.theirs.offer_received.subscribe(decide)
        withdrawn: list[IncomingOffer] = []
        self.theirs.offer_withdrawn.subscribe(withdrawn.append)
        changing = self.session.renegotiate(HELD)
        self.network.advance(1)
        self.assertTrue(self.session.cancel_renegotiation())
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(changing, RequestFailed).value.status, 487)
        self.assertEqual((len(cancelled), withdrawn), (1, offers))
        self.assertRaises(InvalidOperation, offers[0].accept, RECEIVING)
        self.assertIs(self.theirs.state, SignalingState.CONNECTED)
        self.assertFalse(self.session.cancel_renegotiation())

    def test_cancelled_deferred(self) -> None:
        """Cancelling what renegotiate() returned does the same (row:H21)."""
        self.theirs.offer_received.subscribe(lambda offer: offer.defer())
        changing = self.session.renegotiate(HELD)
        self.network.advance(1)
        changing.cancel()
        self.failureResultOf(changing)
        self.network.advance(1)
        self.assertIn("out CANCEL", self.lines)
        self.assertIs(self.session.state, SignalingState.CONNECTED)

    def test_cancelled_before_it_began(self) -> None:
        """A change that is cancelled while its offer is worked out never begins, and makes room for another (row:H21,
        fault:K4)."""
        cancelled: list[object] = []
        changing = self.session.renegotiate(Media(offer=Deferred(cancelled.append)))
        changing.cancel()
        self.failureResultOf(changing, CancelledError)
        self.assertEqual((len(cancelled), self.lines), (1, []))
        self.theirs.offer_received.subscribe(lambda offer: RECEIVING)
        self.renegotiated(HELD)

    def test_asked_at_the_end(self) -> None:
        """Whoever is asked something when the session ends is asked no longer, and no time is left over (fault:K4,
        row:H23)."""
        cancelled: list[object] = []
        session, theirs = self.call(Media(heard=Deferred(cancelled.append)))
        changing = theirs.renegotiate(Media(offer=Deferred(cancelled.append)))
        self.run_until(session.terminate())
        self.network.advance(0.5)
        self.failureResultOf(changing, SessionTerminated)
        self.assertEqual(len(cancelled), 2)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_several_decide_later(self) -> None:
        """Of several handlers that decide later the first that does counts; when the session ends no question and no
        time is left over (row:H20, fault:K4)."""
        decisions: list[Deferred[str]] = [Deferred(), Deferred(), Deferred()]
        for decision in decisions:
            self.theirs.offer_received.subscribe(lambda offer, decision=decision: decision)
        changing = self.session.renegotiate(HELD)
        self.network.advance(0.5)
        decisions[1].callback(RECEIVING)
        self.network.advance(0.5)
        self.assertEqual(self.successResultOf(changing), ContentDescription(RECEIVING))
        self.run_until(self.session.terminate())
        self.network.advance(0.5)
        for decision in (decisions[0], decisions[2]):
            self.assertTrue(decision.called)

    def test_handler_fails(self) -> None:
        """A handler that raises is asked once: its 500 does not ask the peer to come again (row:H20, fault:K1)."""
        asked: list[IncomingOffer] = []

        def decide(offer: IncomingOffer) -> None:
            asked.append(offer)
            raise ZeroDivisionError

        self.theirs.offer_received.subscribe(decide)
        changing = self.session.renegotiate(HELD)
        self.network.advance(60)
        error = self.failureResultOf(changing, RequestFailed).value
        self.assertEqual((error.status, error.response.headers.get("Retry-After"), len(asked)), (500, None, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_at_the_same_time(self) -> None:
        """Changes from both sides at once are refused with 491 and tried again; both come to pass (row:H19)."""
        for session in (self.session, self.theirs):
            session.offer_received.subscribe(lambda offer: RECEIVING)
        mine, theirs = self.session.renegotiate(HELD), self.theirs.renegotiate(HELD)
        self.assertEqual(self.run_until(mine), ContentDescription(RECEIVING))
        self.assertEqual(self.run_until(theirs), ContentDescription(RECEIVING))
        self.assertIn("in 491 Request Pending", self.lines)

    def test_media(self) -> None:
        """A session whose side was given an object asks it for every later answer too (row:H23)."""
        media = Media(answer=RECEIVING)
        session, theirs = self.call(OFFER, media)
        self.assertEqual(self.run_until(session.renegotiate(HELD)), ContentDescription(RECEIVING))
        self.assertEqual(media.asked, [("answer", "CONNECTING"), ("answer", "CONNECTED")])
        other = Media(offer=HELD)
        session.offer_received.subscribe(lambda offer: RECEIVING)
        self.network.advance(0.5)
        self.run_until(theirs.renegotiate(other))
        self.assertEqual(other.asked, [("offer", "CONNECTED"), ("heard", "CONNECTED")])
        self.network.advance(0.5)
        self.run_until(theirs.renegotiate(other))
        self.assertEqual(len(other.asked), 4)
        self.run_until(session.terminate())

    def test_offer_fails(self) -> None:
        """Whose offer fails changes nothing, and may try again (row:H23)."""
        changing = self.session.renegotiate(Media(offer=ZeroDivisionError()))
        self.failureResultOf(changing, ZeroDivisionError)
        self.assertEqual(self.lines, [])
        self.theirs.offer_received.subscribe(lambda offer: RECEIVING)
        self.renegotiated(HELD)


class EarlyChangeTests(CallTestCase):
    """Changes before the session stands."""

    def test_update(self) -> None:
        """What was agreed in a reliable response is changed by UPDATE, from either side (row:H11)."""
        session, establishing = self.begin()
        [theirs] = self.received
        early = theirs.ring(183, answer=ANSWER)
        self.network.advance(1)
        theirs.offer_received.subscribe(lambda offer: RECEIVING)
        session.offer_received.subscribe(lambda offer: RECEIVING)
        self.watch(session)
        [mine] = session.early_dialogs
        self.assertEqual(self.run_until(mine.renegotiate(HELD)), ContentDescription(RECEIVING))
        self.assertEqual(self.run_until(early.renegotiate(HELD)), ContentDescription(RECEIVING))
        self.assertEqual(self.lines, ["out UPDATE", "in 200 OK", "in UPDATE", "out 200 OK"])
        self.run_until(theirs.accept())
        self.run_until(establishing)
        # What was agreed last counts, not what came in the 183.
        self.assertEqual(session.remote_description, ContentDescription(HELD))
        self.assertEqual(theirs.remote_description, ContentDescription(RECEIVING))
        self.run_until(session.terminate())
