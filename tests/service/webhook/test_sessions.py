"""A session that the hook decides about: accepted, refused, redirected, left ringing, given up meanwhile."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import RequestFailed
from sip_p2p.service.silence import Silence, silent_offer
from tests.service.webhook.support import Rig, later, says, status
from tests.service.webhook.test_application import RigCase

ANSWER = silent_offer().text
OFFER = silent_offer().text


class SessionCase(RigCase):
    """A caller."""

    def call(self, rig: Rig, offer: Any = OFFER) -> tuple[SignalingSession, Deferred[Any]]:
        """Alice calls Bob; the session and what comes of it."""
        session = rig.alice.create_session("sip:bob@b.example")
        outcome: Deferred[Any] = session.establish(offer)
        return session, outcome.addErrback(lambda failure: failure.value)

    def standing(self, rig: Rig, offer: Any = OFFER) -> SignalingSession:
        """Alice's side of a session that stands."""
        session, outcome = self.call(rig, offer)
        self.assertIs(rig.outcome(outcome), session)
        return session


class DecisionTests(SessionCase):
    """What the hook can decide."""

    def test_accepted(self) -> None:
        """row:M14: the session is accepted with the hook's answer, and not before the hook has said so."""
        rig = self.rig(later)
        session, outcome = self.call(rig)
        rig.network.advance(3)
        self.assertEqual((session.state, outcome.called), (SignalingState.CONNECTING, False))
        rig.hook.answer(rig.hook.deliveries[0], says({"decision": "accept", "answer": ANSWER})(None))  # type: ignore[arg-type]
        rig.outcome(outcome)
        self.assertEqual(session.remote_description.text, ANSWER)  # type: ignore[union-attr]
        data = rig.hook.deliveries[0].data
        self.assertEqual((data["offer"], data["peer"], data["ringing"]), (OFFER, "a.example", False))
        self.assertEqual(data["call_id"], session.call_id)

    def test_accepted_in_silence(self) -> None:
        """Without an answer of the hook's a session is accepted on which nobody sends."""
        rig = self.rig(says({"decision": "accept"}))
        self.assertIn(b"inactive", self.standing(rig).remote_description.body)  # type: ignore[union-attr]

    def test_refused(self) -> None:
        """A refusal has the hook's status, phrase and fields."""
        rig = self.rig(says({"decision": "reject", "status": 603, "reason": "No", "headers": {"X-Why": "so"}}))
        error = rig.outcome(self.call(rig)[1])
        self.assertIsInstance(error, RequestFailed)
        self.assertEqual((error.status, error.response.reason, error.response.headers["X-Why"]), (603, "No", "so"))

    def test_redirected(self) -> None:
        """A redirection names where to go instead."""
        rig = self.rig(says({"decision": "redirect", "contacts": ["sip:carol@c.example"], "status": 302}))
        session = rig.alice.create_session("sip:bob@b.example", max_redirects=0)
        error = rig.outcome(session.establish(OFFER).addErrback(lambda failure: failure.value))
        self.assertEqual((error.status, error.response.headers["Contact"]), (302, "<sip:carol@c.example>"))

    def test_nobody_decided(self) -> None:
        """An empty answer decides nothing: the session is refused with 480."""
        rig = self.rig()
        self.assertEqual(rig.outcome(self.call(rig)[1]).status, 480)

    def test_it_rings_until_it_is_accepted(self) -> None:
        """A session that rings is asked about again, by another delivery that says that it rings."""
        ring = says({"decision": "ring", "ask_again": 2})
        rig = self.rig(ring, ring, says({"decision": "accept", "answer": ANSWER}))
        session, outcome = self.call(rig)
        rig.network.advance(1)
        self.assertIs(session.state, SignalingState.ALERTED)
        rig.outcome(outcome)
        self.assertEqual([each.data["ringing"] for each in rig.hook.deliveries], [False, True, True])
        self.assertEqual(len({each.id for each in rig.hook.deliveries}), 3)

    def test_it_rings_and_somebody_else_decides(self) -> None:
        """A session that only rings waits for whoever else decides, such as the HTTP API."""
        rig = self.rig(says({"decision": "ring"}))
        came: list[SignalingSession] = []
        rig.bob.session_received.subscribe(came.append)
        session, outcome = self.call(rig)
        rig.network.advance(30)
        self.assertEqual((len(rig.hook.deliveries), session.state), (1, SignalingState.ALERTED))
        came[0].accept(Silence())
        self.assertIs(rig.outcome(outcome), session)

    def test_what_cannot_be(self) -> None:
        """A decision that cannot be followed, such as a redirection to ourselves, is 500, and told."""
        rig = self.rig(says({"decision": "redirect", "contacts": ["sip:bob@b.example"]}))
        self.assertEqual(rig.outcome(self.call(rig)[1]).status, 500)
        self.assertEqual(len(rig.happened("session-failed")), 1)


class FailureTests(SessionCase):
    """A hook that fails, and a caller who does not wait."""

    def test_every_failure_is_503(self) -> None:
        """Whatever the hook does wrong, the caller hears 503 with Retry-After."""
        for behaviour in (status(500), status(301), status(403), later, says({"decision": "acept"}), lambda _: b"{"):
            with self.subTest(behaviour):
                rig = self.rig(behaviour)
                error = rig.outcome(self.call(rig)[1])
                self.assertEqual((error.status, error.response.headers["Retry-After"]), (503, "5"))

    def test_a_cancel_while_the_hook_thinks(self) -> None:
        """A caller who gives up ends the delivery, and hears 487, whatever the hook says afterwards."""
        rig = self.rig(later)
        session, _ = self.call(rig)
        rig.network.advance(2)
        rig.network.run_until(session.terminate())
        rig.hook.agent.flush()
        self.assertTrue(rig.hook.deliveries[0].is_gone)
        rig.network.advance(60)
        self.assertEqual(len(rig.hook.deliveries), 1)
        self.assertEqual(len(rig.bob.connection_manager.sessions), 0)

    def test_a_cancel_while_it_rings(self) -> None:
        """A caller who gives up between two questions is not asked about again."""
        rig = self.rig(says({"decision": "ring", "ask_again": 5}))
        session, _ = self.call(rig)
        rig.network.advance(2)
        rig.network.run_until(session.terminate())
        rig.network.advance(30)
        self.assertEqual(len(rig.hook.deliveries), 1)


class WithinTests(SessionCase):
    """What happens in a session that stands."""

    def test_a_message(self) -> None:
        """row:M14: a MESSAGE in the session goes to the hook, with the session's number, and waits for its answer."""
        rig = self.rig(says({"decision": "accept", "answer": ANSWER}), later)
        session = self.standing(rig)
        sending = session.send_message("hello")
        rig.network.advance(1)
        delivery = rig.hook.deliveries[1]
        self.assertEqual((delivery.kind, delivery.data["text"]), ("message", "hello"))
        self.assertEqual(delivery.data["session"], rig.hook.deliveries[0].data["session"])
        self.assertFalse(sending.called)
        rig.hook.answer(delivery, b'{"status": 202}')
        self.assertEqual(rig.outcome(sending).status, 202)

    def test_other_requests(self) -> None:
        """A method that --webhook-methods names goes to the hook, another is 405."""
        rig = self.rig(says({"decision": "accept", "answer": ANSWER}), says({}), methods=("NOTIFY",))
        session = self.standing(rig)
        self.assertEqual(rig.outcome(session.request("NOTIFY")).status, 200)
        refused = rig.outcome(session.request("PUBLISH").addErrback(lambda failure: failure.value))
        self.assertIn(refused.status, (405, 501))
        self.assertEqual(rig.hook.kinds, ["session", "request"])

    def test_an_offer(self) -> None:
        """A new offer is answered with what the hook says to it."""
        other = ANSWER.replace("inactive", "recvonly")
        accepted, changed = says({"decision": "accept", "answer": ANSWER}), says({"answer": other})
        rig = self.rig(accepted, changed)
        session = self.standing(rig)
        answer = rig.outcome(session.renegotiate(OFFER.replace("inactive", "sendonly")))
        self.assertEqual(answer.text, other)
        self.assertEqual(
            (rig.hook.kinds, rig.hook.deliveries[1].data["call_id"]),
            (
                ["session", "session-offer"],
                session.call_id,
            ),
        )

    def test_an_offer_that_the_hook_refuses(self) -> None:
        """The hook's refusal of an offer, or its failure, leaves the session as it was."""
        for behaviour, awaited in ((says({"status": 488}), 488), (status(500), 503), (says({"x": 1}), 503)):
            with self.subTest(awaited):
                rig = self.rig(says({"decision": "accept", "answer": ANSWER}), behaviour)
                session = self.standing(rig)
                changing = session.renegotiate(OFFER.replace("inactive", "sendonly"))
                error = rig.outcome(changing.addErrback(lambda failure: failure.value))
                self.assertEqual((error.status, session.state), (awaited, SignalingState.CONNECTED))

    def test_a_late_offer(self) -> None:
        """Whoever calls without an offer gets the hook's, and the hook is told of the answer."""
        rig = self.rig(says({"decision": "accept", "answer": ANSWER}), says({}))
        self.standing(rig, Silence(is_late=True))
        rig.network.advance(1)
        self.assertEqual(rig.hook.kinds, ["session", "session-answer"])
        self.assertNotIn("offer", rig.hook.deliveries[0].data)
        self.assertIn("answer", rig.hook.deliveries[1].data)
