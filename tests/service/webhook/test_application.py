"""``webhook``: the hook's answers are the party's, and no 2xx leaves before the hook has accepted."""

from __future__ import annotations

import json
import random

from sip_p2p.errors import RequestFailed
from sip_p2p.service.lives.packages import add_packages
from sip_p2p.service.webhook.application import WebhookApplication
from sip_p2p.service.webhook.failure import FailureKind
from sip_p2p.sip.message import Response
from tests.service.webhook.support import EPOCH, Delivered, Rig, later, says, status, verified
from tests.support import SynchronousTestCase


class RigCase(SynchronousTestCase):
    """A rig that is ended with the test."""

    def rig(self, *behaviours: object, **options: object) -> Rig:
        """Alice, Bob and his hook."""
        rig = Rig(self, *behaviours, **options)  # type: ignore[arg-type]
        self.addCleanup(rig.finish)
        return rig


class PromiseTests(RigCase):
    """What is promised to whoever sends."""

    def test_no_200_before_the_hook_has_accepted(self) -> None:
        """row:M14: while the hook thinks nothing is answered, and its acceptance is what lets the 200 go."""
        rig = self.rig(later)
        sending = rig.sent()
        rig.network.advance(4.9)
        self.assertEqual((len(rig.hook.deliveries), sending.called), (1, False))
        rig.hook.answer(rig.hook.deliveries[0])
        self.assertEqual(rig.outcome(sending).status, 200)

    def test_every_failure_has_its_answer(self) -> None:
        """Whatever the hook does wrong the sender hears 503 with Retry-After, never 2xx, and never nothing."""
        cases = {
            FailureKind.SERVER_ERROR: status(500),
            FailureKind.BUSY: status(429),
            FailureKind.REDIRECTED: status(307, Location="http://127.0.0.1:8000/elsewhere"),
            FailureKind.REFUSED: status(404),
            FailureKind.UNREADABLE: lambda _: b"<html>well</html>",
            FailureKind.TOO_LARGE: lambda _: b'{"text": "' + b"x" * 300_000 + b'"}',
            FailureKind.TIMED_OUT: later,
        }
        for kind, behaviour in cases.items():
            with self.subTest(kind):
                rig = self.rig(behaviour)
                answer = rig.outcome(rig.sent())
                self.assertIsInstance(answer, Response)
                self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "5"))
                self.assertEqual([each["reason"] for each in rig.happened("webhook-failed")], [kind.words])

    def test_an_answer_that_is_not_understood_is_no_yes(self) -> None:
        """A slip of the pen in the hook's answer is 503: a 403 with another name is no 200."""
        for answer in ({"staus": 403}, {"status": "403"}, {"status": 100}, [], 5, {"headers": {"Via": "x"}}):
            with self.subTest(answer):
                rig = self.rig(says(answer))
                self.assertEqual(rig.outcome(rig.sent()).status, 503)

    def test_nothing_is_redirected(self) -> None:
        """A hook that redirects is not followed, and is asked once."""
        rig = self.rig(status(302, Location="http://127.0.0.1:8000/elsewhere"))
        rig.outcome(rig.sent())
        self.assertEqual([each.request.path for each in rig.hook.deliveries], [b"/hook"])

    def test_a_failure_that_passes_is_not_noticed(self) -> None:
        """A hook that fails twice is asked again with the same id, and its answer counts."""
        rig = self.rig(status(500), status(503), says({"status": 202}))
        self.assertEqual(rig.outcome(rig.sent()).status, 202)
        self.assertEqual([each.id for each in rig.hook.deliveries], ["msg_1"] * 3)
        self.assertEqual(rig.happened("webhook-failed"), [])

    def test_the_answer_comes_before_the_sender_gives_up(self) -> None:
        """With a hook that never answers, the 503 comes after --webhook-patience, and before the sender's 32 s."""
        rig = self.rig(later, patience=20.0)
        answer = rig.outcome(rig.sent())
        self.assertEqual(answer.status, 503)
        self.assertLessEqual(rig.network.seconds(), 21.0)
        self.assertGreater(len(rig.hook.deliveries), 1)
        rig.hook.agent.flush()
        self.assertTrue(all(each.is_gone for each in rig.hook.deliveries))

    def test_the_hooks_own_retry_after(self) -> None:
        """A hook that says when to come again is believed, and the sender told so."""
        rig = self.rig(status(503, Retry_After="120"))
        self.assertEqual(rig.outcome(rig.sent()).headers["Retry-After"], "120")
        self.assertEqual(len(rig.hook.deliveries), 1)

    def test_whoever_sends_it_again_by_udp_is_asked_about_once(self) -> None:
        """A request that comes again by UDP while the hook thinks is one delivery, and one answer."""
        rig = self.rig(later, default_transport="udp")
        sending = rig.sent()
        rig.network.advance(4)
        self.assertGreater(len(rig.network.log), 3)
        self.assertEqual(len(rig.hook.deliveries), 1)
        rig.hook.answer(rig.hook.deliveries[0])
        self.assertEqual(rig.outcome(sending).status, 200)

    def test_a_sender_who_is_gone(self) -> None:
        """When the sender's connection is lost the delivery that was under way is ended, and is not tried again."""
        rig = self.rig(later)
        sending = rig.sent()
        rig.network.advance(1)
        rig.network.cut("a.example", "b.example")
        rig.network.advance(1)
        rig.hook.agent.flush()
        self.assertTrue(rig.hook.deliveries[0].is_gone)
        rig.network.advance(40)
        self.assertEqual(len(rig.hook.deliveries), 1)
        self.assertNotIsInstance(rig.outcome(sending), Response)


class LivesTests(RigCase):
    """Many senders, and a hook that does whatever comes into its head."""

    def live(self, seed: int) -> None:
        """One life: forty messages, each with one outcome, and no 2xx that the hook had not given before."""
        dice = random.Random(seed)
        accepted: set[str] = set()

        def moody(delivered: Delivered) -> bytes | None:
            behaviour = dice.choice(
                [later, status(500), status(302), status(404), says([]), says({"status": 403}), None]
            )
            if behaviour is not None:
                return behaviour(delivered)
            accepted.add(delivered.data["text"])
            return says({"status": 200})(delivered)

        rig = self.rig(moody, timeout=2.0, patience=6.0, concurrency=4)
        outcomes: dict[str, list[tuple[object, bool]]] = {}
        for number in range(40):
            text = f"message {number}"
            heard = outcomes.setdefault(text, [])

            def told(answer: object, text: str = text, heard: list[tuple[object, bool]] = heard) -> None:
                heard.append((getattr(answer, "status", answer), text in accepted))

            rig.sent(text).addBoth(told)
            rig.network.advance(dice.choice([0.0, 0.1, 1.0]))
            if dice.random() < 0.05:
                rig.network.cut("a.example", "b.example")
        rig.network.advance(40)
        for text, heard in outcomes.items():
            ((outcome, was_accepted),) = heard
            if isinstance(outcome, int):
                self.assertIn(outcome, (200, 403, 503), text)
                if outcome == 200:
                    self.assertTrue(was_accepted, f"seed {seed}: {text} was answered 200, and nobody had accepted it")
        self.assertEqual(rig.deliverer.counters["waiting"], 0)

    def test_lives(self) -> None:
        """row:M14: whatever the hook does, each sender has one outcome, and 200 only after an acceptance."""
        for seed in range(12):
            self.live(seed)


class AnswerTests(RigCase):
    """What the hook says is what the sender hears."""

    def test_the_whole_answer(self) -> None:
        """Status, phrase, header fields and body are the hook's; a message that it takes is taken without the body,
        which no 2xx to it has (RFC 3428 section 7)."""
        says_all = {"reason": "Later", "headers": {"X-Ticket": ["1", "2"]}, "text": "grüße"}
        for code, text in ((202, ""), (480, "grüße")):
            rig = self.rig(says({"status": code, **says_all}))
            answer = rig.outcome(rig.sent())
            self.assertEqual((answer.status, answer.reason), (code, "Later"))
            self.assertEqual(answer.headers.get_all("X-Ticket"), ["1", "2"])
            self.assertEqual(answer.text(), text)

    def test_a_refusal(self) -> None:
        """A refusal of the hook's is no failure of the hook: it is passed on as it is."""
        rig = self.rig(says({"status": 403, "reason": "Not you"}))
        answer = rig.outcome(rig.sent())
        self.assertEqual((answer.status, answer.reason), (403, "Not you"))
        self.assertEqual((rig.deliverer.counters["answered"], rig.deliverer.counters["unanswered"]), (1, 0))

    def test_what_the_hook_is_told(self) -> None:
        """A delivery is signed, and has what was proved, what was said, and no credentials."""
        rig = self.rig()
        rig.outcome(rig.sent("hello", headers=[("Subject", "test"), ("Authorization", "Digest x=y")]))
        (delivery,) = rig.hook.deliveries
        self.assertEqual(verified(delivery), "msg_1")
        self.assertEqual(delivery.kind, "message")
        self.assertEqual(delivery.body["timestamp"][:10], "2023-11-14")
        data = delivery.data
        self.assertEqual((data["method"], data["peer"], data["text"]), ("MESSAGE", "a.example", "hello"))
        self.assertEqual(data["request_uri"], "sip:bob@b.example")
        self.assertIn(["Subject", "test"], data["headers"])
        self.assertNotIn("Digest", json.dumps(data))
        self.assertEqual(delivery.fields["content-type"], "application/json")
        self.assertEqual(delivery.fields["accept-encoding"], "identity")
        self.assertNotIn("cookie", delivery.fields)

    def test_other_methods(self) -> None:
        """Requests that --webhook-methods names go to the hook, others are answered 405."""
        rig = self.rig(says({"status": 202}), methods=("INFO", "NOTIFY"))
        done = rig.outcome(rig.alice.request("NOTIFY", "sip:bob@b.example"))
        self.assertEqual((done.status, rig.hook.kinds), (202, ["request"]))
        error = self.assertRaises(
            RequestFailed, rig.network.run_until, rig.alice.request("PUBLISH", "sip:bob@b.example")
        )
        self.assertIn(error.status, (405, 501))
        self.assertEqual(len(rig.hook.deliveries), 1)

    def test_the_hook_is_told_when_it_is_now(self) -> None:
        """Each try is signed with the time at which it is made, so that it is not taken for a replay."""
        rig = self.rig(status(500), says({}))
        rig.outcome(rig.sent())
        first, second = rig.hook.deliveries
        self.assertLess(int(first.fields["webhook-timestamp"]), EPOCH + 1)
        self.assertEqual(verified(second, EPOCH + 5), "msg_1")


class StopTests(RigCase):
    """The end of the service."""

    def test_a_stop_waits_for_the_hook(self) -> None:
        """row:M15: a request that the hook is asked about is answered with what the hook says, though a stop began."""
        rig = self.rig(later)
        sending = rig.sent()
        rig.network.advance(1)
        rig.deliverer.stopping()
        ending = rig.bob.connection_manager.terminate()
        rig.network.advance(0.5)
        rig.hook.answer(rig.hook.deliveries[0], b'{"status": 202}')
        self.assertEqual(rig.outcome(sending).status, 202)
        rig.network.run_until(ending)

    def test_a_hook_that_is_silent_while_we_stop(self) -> None:
        """row:M15: a stop answers 503 within its drain time what the hook has not answered, and loses nothing."""
        rig = self.rig(later, timeout=20.0, drain=3.0)
        sending = rig.sent()
        rig.network.advance(1)
        rig.deliverer.stopping()
        ending = rig.bob.connection_manager.terminate()
        self.assertEqual(rig.outcome(sending).status, 503)
        self.assertLess(rig.network.seconds(), 5.0)
        rig.network.run_until(ending)

    def test_events_are_delivered_before_the_end(self) -> None:
        """row:M15: the end waits for the events that the hook has not heard of yet."""
        rig = self.rig(later, events=frozenset(["state"]))
        rig.happenings.emit("state", state="disconnected")
        ending = rig.application.stopped()
        assert ending is not None
        self.assertNoResult(ending)  # type: ignore[arg-type]
        rig.hook.answer(rig.hook.deliveries[0])
        self.successResultOf(ending)  # type: ignore[arg-type]


class MakeTests(RigCase):
    """:meth:`WebhookApplication.make`."""

    def test_without_a_hook(self) -> None:
        """It cannot be made without --webhook."""
        from sip_p2p.service.applications.loader import ApplicationError, look_at
        from sip_p2p.service.settings.options import Options

        options = Options()
        options["application"] = "webhook"
        self.assertIn("--webhook", str(self.assertRaises(ApplicationError, look_at, options)))

    def test_it_is_built_in(self) -> None:
        """It is found by its name."""
        from sip_p2p.service.applications.loader import BUILT_IN

        self.assertIs(BUILT_IN["webhook"], WebhookApplication)


class PermissionTests(RigCase):
    """REFERs, and who wants to watch."""

    def test_a_referral_is_declined(self) -> None:
        """fault:D5: a REFER goes to the hook, with who has proved to have sent it; what it declines is declined."""
        rig = self.rig(says({"decision": "decline", "status": 486}))
        referring = rig.alice.refer(rig.target, "sip:carol@c.example")
        rig.network.advance(5)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 486)
        (delivered,) = rig.hook.deliveries
        data = delivered.data
        self.assertEqual((delivered.kind, data["refer_to"], data["refer_method"]), (
            "referral", "sip:carol@c.example", "INVITE",
        ))  # fmt: skip
        self.assertTrue(data["peer"])

    def test_a_referral_is_accepted(self) -> None:
        """row:I5: where the hook accepts it, the call is made, and its sender hears how it goes."""
        rig = self.rig(says({"decision": "accept", "offer": "v=0"}))
        carol = rig.network.party("sip:carol@c.example")
        carol.session_received.subscribe(lambda session: session.reject(486))
        referring = rig.alice.refer(rig.target, "sip:carol@c.example")
        rig.network.advance(5)
        outcome = self.successResultOf(referring).outcome
        assert outcome is not None
        self.assertEqual(outcome.status, 486)

    def test_a_referral_that_cannot_be(self) -> None:
        """A call that cannot be made is refused, and told of."""
        rig = self.rig(says({"decision": "accept"}))
        referring = rig.alice.refer(rig.target, "sip:carol@c.example", method="BYE")
        rig.network.advance(5)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 500)
        self.assertEqual(len(rig.happened("session-failed")), 1)

    def test_a_hook_that_fails(self) -> None:
        """Whatever goes wrong is no yes: 503, and nothing is done."""
        rig = self.rig(status(404))
        referring = rig.alice.refer(rig.target, "sip:carol@c.example")
        rig.network.advance(30)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 503)

    def test_a_subscriber(self) -> None:
        """Who wants to watch is asked about where the options say so."""
        for behaviour, expected in (
            (says({"decision": "accept"}), 200),
            (says({"decision": "reject", "status": 603}), 603),
            (status(404), 503),
        ):
            rig = self.rig(behaviour)
            add_packages(rig.bob, ["presence"], ["ask"], rig.application.subscriber)
            subscribing = rig.alice.subscribe(rig.target, "presence", retry="never")
            rig.network.advance(10)
            if expected == 200:
                self.assertFalse(self.successResultOf(subscribing).is_pending)
            else:
                self.assertEqual(self.failureResultOf(subscribing).value.response.status, expected)
            self.assertEqual(rig.hook.deliveries[0].kind, "subscriber")
