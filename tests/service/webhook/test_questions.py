"""Questions: tried again while there is time, bounded in number, ended when nobody waits or the party stops."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock

from sip_p2p.service.webhook.breaker import FAILURES, Breaker
from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.questions import MOST_OCTETS, MOST_WAITING, Questions
from tests.support import SynchronousTestCase


class Rig:
    """Questions, and a hook that answers by hand."""

    def __init__(self, *, patience: float = 20.0, concurrency: int = 2) -> None:
        self.clock = Clock()
        self.sent: list[tuple[str, Deferred[bytes]]] = []
        self.cancelled: list[str] = []
        self.told: list[bool] = []
        self.breaker = Breaker()
        self.questions = Questions(
            self.clock,
            self.send,
            self.breaker,
            timeout=5.0,
            patience=patience,
            concurrency=concurrency,
            told=self.told.append,
        )
        self.asked = 0

    def send(self, delivery: str, body: bytes) -> Deferred[bytes]:
        """One more delivery."""
        sending: Deferred[bytes] = Deferred(lambda _: self.cancelled.append(delivery))
        self.sent.append((delivery, sending))
        return sending

    def ask(self, body: bytes = b"{}") -> Deferred[Any]:
        """One more question; what comes of it."""
        self.asked += 1
        return self.questions.ask(f"msg_{self.asked}", body, bytes.decode).addErrback(lambda failure: failure.value)

    def fails(self, kind: FailureKind = FailureKind.SERVER_ERROR, retry_after: float | None = None) -> None:
        """The last delivery fails."""
        self.sent[-1][1].errback(HookFailure(kind, "", retry_after))


class QuestionsTests(SynchronousTestCase):
    """:class:`Questions`."""

    def kind(self, asked: Deferred[Any]) -> FailureKind:
        """How it failed."""
        failure = self.successResultOf(asked)
        assert isinstance(failure, HookFailure), failure
        return failure.kind

    def test_an_answer(self) -> None:
        """The answer is what was read of it."""
        rig = Rig()
        asked = rig.ask()
        rig.sent[0][1].callback(b"yes")
        self.assertEqual(self.successResultOf(asked), "yes")
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_the_pauses(self) -> None:
        """Each pause before the next try is twice as long as the one before, and the id stays the same."""
        rig = Rig(patience=30.0)
        rig.ask()
        times = []
        for _ in range(4):
            times.append(rig.clock.seconds())
            rig.fails()
            count = len(rig.sent)
            while len(rig.sent) == count:
                rig.clock.advance(0.5)
        self.assertEqual(times, [0.0, 0.5, 1.5, 3.5])
        self.assertEqual({delivery for delivery, _ in rig.sent}, {"msg_1"})

    def test_what_is_not_tried_again(self) -> None:
        """A hook that has answered is not asked again, whatever it was."""
        for kind in FailureKind:
            if not kind.is_retried and kind is not FailureKind.LEFT_ALONE:
                rig = Rig()
                asked = rig.ask()
                rig.fails(kind)
                self.assertIs(self.kind(asked), kind)
                self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_out_of_time(self) -> None:
        """A pause that would outlast the patience is not begun: the failure is told at once."""
        rig = Rig(patience=3.0)
        asked = rig.ask()
        rig.fails(retry_after=5.0)
        self.assertEqual((self.kind(asked), rig.clock.seconds()), (FailureKind.SERVER_ERROR, 0.0))

    def test_no_answer(self) -> None:
        """A try without an answer is ended after its time, and the last one with the patience."""
        rig = Rig(patience=8.0)
        asked = rig.ask()
        rig.clock.pump([0.25] * 40)
        self.assertIs(self.kind(asked), FailureKind.TIMED_OUT)
        self.assertEqual(rig.cancelled, ["msg_1", "msg_1"])

    def test_places(self) -> None:
        """So many are under way at once; the next waits for a place, and gets it when one is left."""
        rig = Rig(concurrency=2)
        asked = [rig.ask() for _ in range(4)]
        self.assertEqual((len(rig.sent), rig.questions.waiting), (2, 2))
        rig.sent[0][1].callback(b"")
        self.assertEqual([delivery for delivery, _ in rig.sent], ["msg_1", "msg_2", "msg_3"])
        asked[3].cancel()
        self.assertEqual(rig.questions.waiting, 0)
        self.assertIsInstance(self.successResultOf(asked[3]), CancelledError)
        rig.sent[1][1].callback(b"")
        rig.sent[2][1].callback(b"")
        rig.ask()
        rig.ask()
        self.assertEqual(len(rig.sent), 5)

    def test_too_many(self) -> None:
        """One more than may wait fails at once; one that waits too long fails with its patience."""
        rig = Rig(concurrency=1)
        rig.ask()
        waiting = [rig.ask() for _ in range(MOST_WAITING)]
        self.assertIs(self.kind(rig.ask()), FailureKind.OVERLOADED)
        rig.clock.pump([1.0] * 21)
        self.assertIs(self.kind(waiting[-1]), FailureKind.OVERLOADED)
        self.assertEqual(rig.questions.waiting, 0)

    def test_too_much(self) -> None:
        """What waits is bounded in octets as well, and there is room again for what comes later."""
        rig = Rig(concurrency=1)
        large = bytes(MOST_OCTETS // 2)
        waiting = [rig.ask(large) for _ in range(3)]
        self.assertIs(self.kind(rig.ask(large)), FailureKind.OVERLOADED)
        waiting[1].cancel()
        self.assertIsInstance(self.successResultOf(waiting[1]), CancelledError)
        self.assertNoResult(rig.ask(large))
        rig.questions.close()

    def test_nobody_waits(self) -> None:
        """A question that is cancelled ends its delivery, and its pause, and leaves its place."""
        rig = Rig(concurrency=1)
        asked = rig.ask()
        asked.cancel()
        self.assertIsInstance(self.successResultOf(asked), CancelledError)
        self.assertEqual(rig.cancelled, ["msg_1"])
        paused = rig.ask()
        rig.fails()
        paused.cancel()
        self.assertIsInstance(self.successResultOf(paused), CancelledError)
        self.assertEqual(rig.clock.getDelayedCalls(), [])
        rig.ask()
        self.assertEqual(len(rig.sent), 3)

    def test_a_dead_hook(self) -> None:
        """After some failures in a row nobody is kept waiting; a hook that is back answers who comes then."""
        rig = Rig(patience=0.55, concurrency=100)
        dead = [rig.ask() for _ in range(FAILURES)]
        for _, sending in list(rig.sent):
            sending.errback(HookFailure(FailureKind.UNREACHABLE))
        self.assertEqual({self.kind(each) for each in dead}, {FailureKind.UNREACHABLE})
        self.assertEqual(rig.told, [True])
        self.assertIs(self.kind(rig.ask()), FailureKind.LEFT_ALONE)
        rig.clock.advance(1.0)
        back = rig.ask()
        rig.sent[-1][1].callback(b"here")
        self.assertEqual((self.successResultOf(back), rig.told), ("here", [True, False]))

    def test_a_hook_that_restarts(self) -> None:
        """Whoever has patience waits for a hook that is left alone only for a moment."""
        rig = Rig()
        for _ in range(FAILURES):
            rig.breaker.failed(0)
        asked = rig.ask()
        self.assertEqual(len(rig.sent), 0)
        rig.clock.advance(1.0)
        rig.sent[-1][1].callback(b"back")
        self.assertEqual(self.successResultOf(asked), "back")

    def test_the_party_stops(self) -> None:
        """When the party stops, everybody has an outcome within the time that is left, and nobody is asked anew."""
        rig = Rig(concurrency=1)
        asked = [rig.ask() for _ in range(3)]
        rig.questions.hurry(2.0)
        rig.questions.hurry(200.0)
        rig.clock.advance(2.0)
        self.assertEqual({self.kind(each) for each in asked}, {FailureKind.OUT_OF_TIME})
        self.assertEqual(rig.cancelled, ["msg_1"])
        self.assertIs(self.kind(rig.ask()), FailureKind.OUT_OF_TIME)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_the_end(self) -> None:
        """At the end nothing is left."""
        rig = Rig(concurrency=1)
        asked = rig.ask()
        rig.questions.hurry(2.0)
        rig.questions.close()
        self.assertIs(self.kind(asked), FailureKind.OUT_OF_TIME)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_an_answer_that_cannot_be_read(self) -> None:
        """It is unreadable, and no failure of a hook that is dead."""
        rig = Rig()
        asked = rig.ask()
        rig.sent[0][1].callback(b"\xff")
        self.assertIs(self.kind(asked), FailureKind.UNREADABLE)
        self.assertEqual(rig.breaker.failures, 0)

    def test_at_once(self) -> None:
        """A delivery that fails before it has begun is a failure like others."""
        rig = Rig()
        questions = Questions(
            rig.clock,
            lambda delivery, body: fail(HookFailure(FailureKind.TLS)),
            rig.breaker,
            timeout=5.0,
            patience=5.0,
            concurrency=1,
        )
        asked: Deferred[Any] = questions.ask("msg_1", b"", bytes).addErrback(lambda failure: failure.value)
        self.assertIs(self.kind(asked), FailureKind.TLS)
