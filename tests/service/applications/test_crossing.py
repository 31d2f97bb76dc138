"""What happens within one of two sessions that are one happens within the other."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import InvalidOperation, RequestFailed, SessionTerminated
from tests.service.applications.forwarding import ANSWER, OTHER, ForwardCase

THIRD = "v=0\r\no=third 3 3 IN IP4 d.example\r\n"


class ChangeTests(ForwardCase):
    """row:H19 row:H20: changes of what was agreed."""

    def test_offers_of_both_sides(self) -> None:
        """row:H19: a re-INVITE and an UPDATE of either side go across as what they are, and the answer comes back."""
        sides = self.call()
        for ours, theirs in (sides, sides[::-1]):
            asked: list[Any] = []

            def answer(offer: Any, asked: list[Any] = asked) -> str:
                asked.append((offer.request.method, offer.description.text, offer.request.headers.get("X-Why")))
                return THIRD

            theirs.offer_received.subscribe(answer)
            for method in ("INVITE", "UPDATE"):
                changed = self.run_until(ours.renegotiate(OTHER, method=method, headers=(("X-Why", "hold"),)))
                self.assertEqual(changed.text, THIRD)
                self.network.advance(0.5)
            theirs.offer_received.unsubscribe(answer)
            self.assertEqual(asked, [("INVITE", OTHER, "hold"), ("UPDATE", OTHER, "hold")])
        self.run_until(sides[0].terminate())

    def test_a_refusal(self) -> None:
        """A change that the other side refuses is refused with its status, and the session goes on as it was."""
        session, theirs = self.call()
        theirs.offer_received.subscribe(lambda offer: offer.decline(488, headers=(("Warning", '399 b "no video"'),)))
        failed = session.renegotiate(OTHER)
        self.network.advance(1)
        response = self.failureResultOf(failed, RequestFailed).value.response
        self.assertEqual((response.status, response.headers.get("Warning")), (488, '399 b "no video"'))
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_a_wish_for_an_offer(self) -> None:
        """row:H22: a re-INVITE without an offer gets the other side's, and the answer in its ACK goes across."""
        session, theirs = self.call()
        session.offer_received.subscribe(lambda offer: THIRD)
        theirs.offer_received.subscribe(lambda offer: OTHER)
        changed = self.run_until(session.renegotiate(None))
        self.network.advance(1)
        self.assertEqual((changed.text, theirs.remote_description.text), (OTHER, THIRD))
        self.run_until(session.terminate())

    def test_a_wish_for_an_offer_that_is_refused(self) -> None:
        """Where the other side makes none, nobody does, and the next change finds nothing of it."""
        session, theirs = self.call()
        theirs.offer_received.subscribe(lambda offer: offer.decline(488))
        failed = session.renegotiate(None)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(failed, RequestFailed).value.status, 488)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_both_at_once(self) -> None:
        """RFC 3261 section 14.1: changes of both sides that cross come to an outcome each, and both sides know the
        same in the end."""
        session, theirs = self.call()
        for each in (session, theirs):
            each.offer_received.subscribe(lambda offer: THIRD)
        both = [session.renegotiate(OTHER), theirs.renegotiate(OTHER)]
        self.network.advance(30)
        for each in both:
            each.addErrback(lambda failure: self.assertEqual(failure.trap(RequestFailed) and failure.value.status, 491))
            self.successResultOf(each)
        self.assertEqual(self.run_until(session.renegotiate(ANSWER)).text, THIRD)
        self.network.advance(1)
        assert theirs.remote_description is not None
        self.assertEqual(theirs.remote_description.text, ANSWER)
        self.run_until(session.terminate())

    def test_a_change_that_is_called_off(self) -> None:
        """row:H21: CANCEL of a re-INVITE goes across, and the session stands."""
        session, theirs = self.call()
        held: list[Any] = []
        withdrawn: list[Any] = []

        def hold(offer: Any) -> None:
            offer.defer()
            held.append(offer)

        theirs.offer_received.subscribe(hold)
        theirs.offer_withdrawn.subscribe(withdrawn.append)
        changing = session.renegotiate(OTHER)
        self.network.advance(0.5)
        self.assertEqual(len(held), 1)
        session.cancel_renegotiation()
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(changing, RequestFailed).value.status, 487)
        self.assertEqual(withdrawn, held)
        self.assertIs(session.state, SignalingState.CONNECTED)
        self.run_until(session.terminate())

    def test_a_change_when_the_other_hangs_up(self) -> None:
        """A change that waits when the other side ends the session comes to nothing, and both are over."""
        session, theirs = self.call()
        theirs.offer_received.subscribe(lambda offer: offer.defer())
        changing = session.renegotiate(OTHER)
        self.network.advance(0.5)
        theirs.terminate()
        self.network.advance(1)
        self.failureResultOf(changing, SessionTerminated, RequestFailed)
        self.assertIs(session.state, SignalingState.DISCONNECTED)

    def test_a_change_that_nobody_answers(self) -> None:
        """A change that the other side leaves open is refused after ``--max-ring``."""
        session, theirs = self.call()
        theirs.offer_received.subscribe(lambda offer: offer.defer())
        changing = session.renegotiate(OTHER)
        self.network.advance(700)
        self.failureResultOf(changing, RequestFailed)
        self.run_until(session.terminate())

    def test_before_the_call_is_accepted(self) -> None:
        """row:H11: an UPDATE in an early dialog goes across in the one that stands for it."""
        session, establishing = self.begin()
        (theirs,) = self.received
        theirs.ring(183, answer=ANSWER, reliable=True)
        self.network.advance(0.5)
        theirs.offer_received.subscribe(lambda offer: THIRD)
        session.offer_received.subscribe(lambda offer: THIRD)
        (early,) = session.early_dialogs
        self.assertEqual(self.run_until(early.renegotiate(OTHER)).text, THIRD)
        (early,) = theirs.early_dialogs
        self.assertEqual(self.run_until(early.renegotiate(OTHER)).text, THIRD)
        theirs.accept()
        self.run_until(establishing)
        self.run_until(session.terminate())


class RequestTests(ForwardCase):
    """row:H25: other requests in the session."""

    def test_of_one_side(self) -> None:
        """row:I5: REFER and what belongs to subscriptions are of one side only, and do not cross."""
        sides = self.call()
        asked: list[Any] = []
        for ours, theirs in (sides, sides[::-1]):
            theirs.request_received.subscribe(asked.append)
            for method, status in (("REFER", 603), ("SUBSCRIBE", 489)):
                refused = ours.request(method, headers=[("Refer-To", "<sip:x@c.example>"), ("Event", "refer")])
                self.network.advance(1)
                self.assertEqual(self.failureResultOf(refused, RequestFailed).value.status, status)
            theirs.request_received.unsubscribe(asked.append)
        self.assertEqual(asked, [])
        self.run_until(sides[0].terminate())

    def test_requests_of_both_sides(self) -> None:
        """row:H25: INFO and MESSAGE of either side are answered with the other side's answer, body and all where it may
        have one."""
        sides = self.call()
        for ours, theirs in (sides, sides[::-1]):
            asked: list[Any] = []

            def answer(event: Any, asked: list[Any] = asked) -> Any:
                asked.append((event.method, event.body, event.request.headers.get("Content-Type")))
                body = "" if event.method == "MESSAGE" else "thanks"
                return event.response(202, "Fine", headers=(("X-Answer", "1"),), body=body)

            theirs.message_received.subscribe(answer)
            theirs.request_received.subscribe(answer)
            told = self.run_until(ours.send_message("hello"))
            done = self.run_until(ours.request("INFO", body=b"Signal=5", content_type="application/dtmf-relay"))
            self.assertEqual(
                [(each.status, each.reason, each.headers.get("X-Answer"), each.body) for each in (told, done)],
                [(202, "Fine", "1", b""), (202, "Fine", "1", b"thanks")],
            )
            self.assertEqual(
                asked,
                [
                    ("MESSAGE", b"hello", "text/plain; charset=UTF-8"),
                    ("INFO", b"Signal=5", "application/dtmf-relay"),
                ],
            )
        self.run_until(sides[0].terminate())

    def test_refusals(self) -> None:
        """A refusal comes back with its status; what nobody takes is answered as the other side does."""
        session, theirs = self.call()
        theirs.message_received.subscribe(lambda event: 488)
        failed = session.send_message("hello")
        unknown = session.request("WONDER")
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(failed, RequestFailed).value.status, 488)
        self.assertEqual(self.failureResultOf(unknown, RequestFailed).value.status, 501)
        self.run_until(session.terminate())

    def test_no_answer(self) -> None:
        """Where the other side does not answer in time, 504 does."""
        session, theirs = self.call()
        theirs.message_received.subscribe(lambda event: Deferred())
        failed = session.send_message("hello")
        self.network.advance(23)
        self.assertEqual(self.failureResultOf(failed, RequestFailed).value.status, 504)
        self.run_until(session.terminate())

    def test_before_the_call_is_accepted(self) -> None:
        """A request in an early dialog has nowhere to go yet: 500."""
        _, establishing = self.begin()
        (theirs,) = self.received
        theirs.ring()
        self.network.advance(0.5)
        establishing.addErrback(lambda _: None)
        with self.assertRaises(InvalidOperation):
            theirs.request("INFO")
        theirs.reject(486)
        self.network.advance(1)

    def test_a_party_that_is_gone(self) -> None:
        """Where the callee has vanished without a word, the caller's request fails, and in the end so does the
        session."""
        session, _ = self.call()
        self.network.half_open(self.host("b.example"), self.host("m.example"))
        failed = session.send_message("are you there?")
        self.network.advance(120)
        self.failureResultOf(failed, RequestFailed)
        self.assertIs(session.state, SignalingState.DISCONNECTED)
        self.run_until(self.bob.connection_manager.terminate())

    def host(self, name: str) -> Any:
        """The host of that name."""
        return self.network.find(name)
