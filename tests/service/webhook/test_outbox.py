"""The outbox: in order, tried again, bounded, and every loss counted and told."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sip_p2p.service.webhook.breaker import FAILURES, Breaker
from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.outbox import LONGEST_LIFE, MOST_EVENTS, MOST_OCTETS, MOST_TRIES, SENDERS, Letter, Outbox
from tests.support import SynchronousTestCase


class Rig:
    """An outbox, and a hook that answers by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.sent: list[tuple[str, Deferred[bytes]]] = []
        self.losses: list[tuple[str, str]] = []
        self.told: list[bool] = []
        self.breaker = Breaker()
        self.outbox = Outbox(
            self.clock,
            self.send,
            self.breaker,
            lambda letter, why: self.losses.append((letter.delivery, why)),
            timeout=5.0,
            told=self.told.append,
        )

    def send(self, delivery: str, body: bytes) -> Deferred[bytes]:
        """One more delivery."""
        sending: Deferred[bytes] = Deferred()
        self.sent.append((delivery, sending))
        return sending

    def put(self, delivery: str, key: str = "call", body: bytes = b"{}") -> None:
        """One more event."""
        self.outbox.put(Letter(delivery, "session-state", body, key, self.clock.seconds()))

    def answer(self, delivery: str) -> None:
        """The hook takes it."""
        self._last(delivery).callback(b"whatever")

    def refuse(self, delivery: str, kind: FailureKind = FailureKind.SERVER_ERROR) -> None:
        """The hook does not."""
        self._last(delivery).errback(HookFailure(kind))

    def _last(self, delivery: str) -> Deferred[bytes]:
        return [sending for name, sending in self.sent if name == delivery][-1]

    @property
    def names(self) -> list[str]:
        """What was sent."""
        return [name for name, _ in self.sent]


class OutboxTests(SynchronousTestCase):
    """:class:`Outbox`."""

    def test_order(self) -> None:
        """Those with one key go one after the other, in their order; those of others do not wait for them."""
        rig = Rig()
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
            rig.put(name, key)
        self.assertEqual(rig.names, ["a1", "b1"])
        rig.answer("b1")
        rig.answer("a1")
        rig.answer("a2")
        rig.answer("a3")
        self.assertEqual(rig.names, ["a1", "b1", "a2", "a3"])
        self.assertEqual((rig.outbox.delivered, len(rig.outbox), rig.clock.getDelayedCalls()), (4, 0, []))

    def test_order_through_failures(self) -> None:
        """One that is tried again still goes before those that came after it."""
        rig = Rig()
        rig.put("a1")
        rig.put("a2")
        rig.refuse("a1")
        rig.clock.advance(1.0)
        self.assertEqual(rig.names, ["a1", "a1"])
        rig.answer("a1")
        self.assertEqual(rig.names, ["a1", "a1", "a2"])
        rig.answer("a2")

    def test_senders(self) -> None:
        """So many are under way at once."""
        rig = Rig()
        for number in range(SENDERS + 3):
            rig.put(str(number), str(number))
        self.assertEqual(len(rig.sent), SENDERS)
        rig.answer("0")
        self.assertEqual(len(rig.sent), SENDERS + 1)
        rig.outbox.close()

    def test_it_gives_up(self) -> None:
        """After so many tries, or so long, an event is lost, and told; the next of its key goes."""
        rig = Rig()
        rig.put("a1")
        rig.put("a2")
        while "a2" not in rig.names:
            if not rig.sent[-1][1].called:
                rig.refuse("a1")
            rig.clock.advance(1.0)
        self.assertLessEqual(rig.names.count("a1"), MOST_TRIES)
        self.assertLessEqual(rig.clock.seconds(), LONGEST_LIFE + 1)
        self.assertEqual((rig.outbox.lost, rig.losses[0][0]), (1, "a1"))
        rig.answer("a2")

    def test_what_is_not_tried_again(self) -> None:
        """An event that the hook refuses is lost at once."""
        for kind in (FailureKind.REFUSED, FailureKind.REDIRECTED, FailureKind.TOO_LARGE):
            rig = Rig()
            rig.put("a1")
            rig.refuse("a1", kind)
            self.assertEqual((rig.losses, rig.clock.getDelayedCalls()), ([("a1", kind.words)], []))

    def test_no_answer(self) -> None:
        """A try without an answer is ended after its time, and made again."""
        rig = Rig()
        rig.put("a1")
        rig.clock.advance(5.0)
        rig.clock.advance(1.0)
        self.assertEqual(rig.names, ["a1", "a1"])
        rig.answer("a1")

    def test_too_many(self) -> None:
        """One more than may wait is lost, and those that wait are not."""
        rig = Rig()
        for number in range(MOST_EVENTS + 2):
            rig.put(str(number))
        self.assertEqual([name for name, _ in rig.losses], [str(MOST_EVENTS), str(MOST_EVENTS + 1)])
        self.assertEqual(len(rig.outbox), MOST_EVENTS)
        for number in range(MOST_EVENTS):
            rig.answer(str(number))
        self.assertEqual((rig.outbox.delivered, rig.outbox.lost), (MOST_EVENTS, 2))

    def test_large_events(self) -> None:
        """What waits is bounded in octets as well, and there is room again when some has been delivered."""
        rig = Rig()
        for name in "abcd":
            rig.put(name, body=bytes(MOST_OCTETS // 3))
        self.assertEqual([name for name, _ in rig.losses], ["d"])
        rig.answer("a")
        rig.put("e", body=bytes(MOST_OCTETS // 3))
        self.assertEqual((len(rig.outbox), rig.outbox.lost), (3, 1))

    def test_a_dead_hook(self) -> None:
        """A hook that is left alone gets its events when it is back."""
        rig = Rig()
        for _ in range(FAILURES):
            rig.breaker.failed(0)
        rig.put("a1")
        self.assertEqual(rig.names, [])
        rig.clock.advance(1.0)
        rig.answer("a1")
        self.assertEqual((rig.outbox.delivered, rig.told), (1, [False]))

    def test_a_drain(self) -> None:
        """row:M15: a drain tries at once what waits, and is over when nothing does."""
        rig = Rig()
        self.successResultOf(rig.outbox.drain())
        rig = Rig()
        rig.put("a1")
        rig.put("a2")
        for _ in range(3):
            rig.refuse("a1")
            rig.clock.pump([1.0] * 4)
        done = rig.outbox.drain()
        self.assertEqual(rig.names[-1], "a1")
        rig.refuse("a1")
        rig.clock.advance(0.5)
        rig.answer("a1")
        self.assertNoResult(done)
        rig.answer("a2")
        self.successResultOf(done)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_a_drain_that_is_given_up(self) -> None:
        """What a drain could not deliver is lost, and told; nothing is left."""
        rig = Rig()
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b")):
            rig.put(name, key)
        rig.refuse("b1")
        done = rig.outbox.drain()
        done.cancel()
        self.successResultOf(done)
        self.assertEqual(sorted(name for name, _ in rig.losses), ["a1", "a2", "b1"])
        self.assertEqual((len(rig.outbox), rig.clock.getDelayedCalls()), (0, []))
        rig.put("late")
        self.assertEqual(rig.outbox.lost, 4)
