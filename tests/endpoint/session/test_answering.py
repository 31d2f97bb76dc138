"""What the called side can do with a session, and what the other side makes of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import (
    InvalidOperation,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.sip.dialog.description import ContentDescription
from tests.endpoint.session.calls import ANSWER, BOB, OFFER, CallTestCase, Heard


class AnsweringTests(CallTestCase):
    """What the called side can do."""

    def test_reject(self) -> None:
        """Any status from 400 on refuses, with a phrase and fields of one's own; others raise at once (row:H5)."""
        _, establishing = self.begin()
        [theirs] = self.received
        for status in (399, 200, 700, 0):
            self.assertRaises(ValueError, theirs.reject, status)
        heard = Heard(theirs)
        theirs.reject(603, "Not Today", headers=[("Reason", "Q.850;cause=21")])
        failure = self.failed_with(establishing)
        self.assertEqual((failure.status, failure.response.reason), (603, "Not Today"))
        self.assertEqual(failure.response.headers["Reason"], "Q.850;cause=21")
        self.assertEqual(heard.told, ["DISCONNECTED TERMINATED_LOCALLY"])
        for again in (theirs.reject, theirs.ring, theirs.accept, theirs.create_early_dialog):
            self.assertRaises(InvalidOperation, again)

    def failed_with(self, establishing: Deferred[SignalingSession]) -> RequestFailed:
        """The refusal."""
        self.network.advance(0.5)
        error = self.failureResultOf(establishing, RequestFailed).value
        assert isinstance(error, RequestFailed)
        return error

    def test_redirect(self) -> None:
        """A redirection names where to go, and is never back to here (row:H6)."""
        _, establishing = self.begin(max_redirects=0)
        [theirs] = self.received
        self.assertRaises(ValueError, theirs.redirect, [BOB])
        self.assertRaises(ValueError, theirs.redirect, [])
        theirs.redirect(["<sip:carol@c.example>;q=0.5", "sip:dave@d.example"], 301)
        error = self.failed_with(establishing)
        self.assertEqual(
            (error.status, error.response.headers.get_all("Contact")),
            (301, ["<sip:carol@c.example>;q=0.5", "<sip:dave@d.example>"]),
        )

    def test_ring(self) -> None:
        """Any provisional response from 101 to 198, with a phrase of one's own; the last one again each minute
        (row:H8)."""
        session, establishing = self.begin()
        heard = Heard(session)
        [theirs] = self.received
        for status in (100, 199, 200):
            self.assertRaises(ValueError, theirs.ring, status)
        theirs.ring(182, "3rd in the queue")
        self.network.advance(0.5)
        self.assertEqual(heard.events[-1].response.reason, "3rd in the queue")
        self.network.advance(61)
        self.assertEqual(heard.told, ["ALERTED PROVISIONAL_RESPONSE_RECEIVED", "provisional 182", "provisional 182"])
        self.run_until(session.terminate())
        self.failureResultOf(establishing, SessionTerminated)

    def test_an_answer_in_the_ack_is_known_when_the_session_stands(self) -> None:
        """Whoever offered in the 200 has the answer by then: it is told after the state (row:H22)."""
        session, establishing = self.begin(None)
        [theirs] = self.received
        heard = Heard(theirs)
        session.offer_received.subscribe(lambda incoming: incoming.accept(ANSWER))
        known: list[ContentDescription | None] = []
        accepting = theirs.accept(OFFER).addCallback(lambda session: known.append(session.remote_description))
        self.run_until(establishing)
        self.run_until(accepting)
        self.assertEqual(known, [ContentDescription(ANSWER)])
        self.assertEqual(heard.told, ["CONNECTING NONE", "CONNECTED NONE", "answer"])
        self.run_until(session.terminate())

    def test_early_answer(self) -> None:
        """An answer in a 180 is heard at once, as a preview, and in the 200 again (row:H10, limit:L14)."""
        session, establishing = self.begin(reliable="off")
        heard = Heard(session)
        [theirs] = self.received
        theirs.ring(answer=ANSWER)
        self.network.advance(1)
        self.assertEqual(heard.told[-1], "preview")
        self.assertEqual(session.remote_description, ContentDescription(ANSWER))
        self.run_until(theirs.accept(ANSWER))
        self.run_until(establishing)
        self.assertEqual(heard.told[-2:], ["answer", "CONNECTED NONE"])
        self.run_until(session.terminate())

    def test_reliable_answer(self) -> None:
        """An answer in a reliable 183 is acknowledged by PRACK, and the 200 says nothing more of it (row:H9)."""
        session, establishing = self.begin()
        heard = Heard(session)
        self.watch(session)
        [theirs] = self.received
        theirs.ring(183, answer=ANSWER)
        self.network.advance(1)
        self.assertEqual(heard.told[-1], "answer")
        self.run_until(theirs.accept())
        self.run_until(establishing)
        self.assertEqual(self.lines, ["in 183 Session Progress", "out PRACK", "in 200 OK", "in 200 OK", "out ACK"])
        self.run_until(session.terminate())

    def test_answer_is_missing(self) -> None:
        """A session with an offer is not accepted without an answer, and can still be accepted with one (row:H24)."""
        session, establishing = self.begin()
        [theirs] = self.received
        self.assertRaises(InvalidOperation, theirs.accept)
        self.assertIs(theirs.state, SignalingState.INCOMING)
        self.run_until(theirs.accept(ANSWER))
        self.run_until(establishing)
        self.assertRaises(InvalidOperation, theirs.accept, ANSWER)
        self.run_until(session.terminate())

    def test_several_early_dialogs(self) -> None:
        """Who is called may ring in several early dialogs, and accepts one of them (row:H13, row:H12)."""
        session, establishing = self.begin()
        heard = Heard(session)
        [theirs] = self.received
        first = theirs.ring()
        second = theirs.create_early_dialog()
        theirs.ring(181, dialog=second)
        self.network.advance(1)
        self.assertEqual(heard.told.count("forked"), 1)
        self.assertEqual([each.participant.tag for each in session.early_dialogs], [first.local_tag, second.local_tag])
        self.run_until(theirs.accept(ANSWER, dialog=second))
        self.run_until(establishing)
        assert session.participant is not None
        self.assertEqual(session.participant.tag, second.local_tag)
        self.assertEqual(session.early_dialogs, ())
        self.run_until(session.terminate())

    def test_hanging_up_early(self) -> None:
        """A caller that ends the early dialog by BYE has hung up, and the BYE is told with that (row:H18)."""
        session, establishing = self.begin()
        [theirs] = self.received
        theirs.ring()
        self.network.advance(1)
        told: list[Any] = []
        theirs.state_changed.subscribe(told.append)
        driver = self.alice.connection_manager.driver
        session.early_dialogs[0].usage.bye(driver.now())
        driver.drain()
        self.network.advance(1)
        [change] = told
        self.assertIs(change.reason, SignalingTransitionReason.TERMINATED_REMOTELY)
        self.assertEqual(change.message.method, "BYE")
        self.assertEqual(self.failureResultOf(establishing, RequestFailed).value.status, 487)

    def test_no_ack(self) -> None:
        """A 2xx that is never acknowledged: it goes again and again, then BYE; accept() fails (row:H4, row:H34,
        fault:C6)."""
        session, establishing = self.begin(automatic_ack=False)
        [theirs] = self.received
        heard = Heard(theirs)
        accepting = theirs.accept(ANSWER)
        self.network.partition("a.example", "b.example")
        self.network.advance(33)
        # At once: the BYE has its outcome much later.
        self.failureResultOf(accepting, OperationTimeout)
        self.assertEqual(heard.told, ["CONNECTING NONE", "DISCONNECTED TIMEOUT"])
        self.assertEqual(theirs.set_up, None)
        self.network.heal()
        self.network.advance(7)
        self.assertEqual(heard.told, ["CONNECTING NONE", "DISCONNECTED TIMEOUT"])
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.failureResultOf(establishing, SessionTerminated)
