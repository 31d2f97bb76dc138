"""A subscription of ours between parties: what it tells, how long it lasts, and its end (rows J1 to J8)."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p import (
    EndpointTerminated,
    InvalidOperation,
    Limits,
    Notification,
    RequestFailed,
    SubscribeKind,
    Subscription,
    SubscriptionState,
    SubscriptionTerminated,
)
from sip_p2p.endpoint.subscription.package import Verdict
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.event.subscriber import Subscriber
from tests.endpoint.subscription.watching import Gauge, WatchTestCase
from tests.support import nothing_left

BOB = "sip:bob@b.example"


class LifeTests(WatchTestCase):
    """From the first NOTIFY to the last."""

    def test_subscribe(self) -> None:
        """A party that needs no server subscribes to another one, and is told of each change. row:J1 limit:L2"""
        subscription = self.watch()
        self.assertEqual((subscription.state, subscription.is_pending), (SubscriptionState.SUBSCRIBED, False))
        assert subscription.peer is not None
        self.assertEqual((subscription.peer.identity, str(subscription.remote_uri)), ("b.example", BOB))
        self.gauge.show(7)
        self.assertEqual(self.next(subscription).text, "7")
        self.run_until(subscription.terminate())
        self.assert_nothing_left()

    def test_iteration(self) -> None:
        """It is iterated over until it ends. row:J8"""
        heard: list[bytes] = []

        async def follow() -> Subscription:
            subscription = await self.alice.subscribe(BOB, "x-gauge")
            async for notification in subscription:
                heard.append(notification.body)
            return subscription

        done = Deferred.fromCoroutine(follow())
        self.network.advance(1)
        for value in (1, 2):
            self.gauge.show(value)
            self.network.advance(2)
        [mine] = self.alice.connection_manager.lives.of(self.alice)
        assert isinstance(mine, Subscription)
        self.run_until(mine.terminate())
        self.assertIs(self.run_until(done), mine)
        self.assertEqual(heard[:3], [b"0", b"1", b"2"])

    def test_states(self) -> None:
        """Each state is told, in order, and Terminated is final. row:J2"""
        told: list[str] = []
        subscription = self.alice.create_subscription(BOB, "x-gauge")
        self.assertIs(subscription.state, SubscriptionState.IDLE)
        subscription.state_changed.subscribe(lambda event: told.append(event.state.name))
        self.run_until(subscription.start())
        self.assertRaises(InvalidOperation, subscription.start)
        self.run_until(subscription.terminate())
        self.assertEqual(told, ["SUBSCRIBING", "SUBSCRIBED", "TERMINATING", "TERMINATED"])
        self.run_until(subscription.terminate())
        self.assertRaises(InvalidOperation, subscription.start)
        self.assertRaises(InvalidOperation, subscription.refresh)
        self.assertEqual(len(told), 4)

    def test_pending(self) -> None:
        """A subscription that nobody has decided about stands, and says so. row:J2"""
        self.gauge.verdict = Verdict.pending()
        subscription = self.run_until(self.alice.subscribe(BOB, "x-gauge"))
        assert isinstance(subscription, Subscription)
        self.assertTrue(subscription.is_pending)
        self.assertEqual(self.next(subscription).state, "pending")
        self.theirs.approve()
        self.assertEqual((self.next(subscription).state, subscription.is_pending), ("active", False))

    def test_refreshed(self) -> None:
        """It is refreshed for as long as it is wanted, however short it is. row:J3"""
        subscription = self.watch(expires=60)
        self.network.advance(3600)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)
        self.assertTrue(115 <= len(self.gauge.asked) <= 125, len(self.gauge.asked))
        self.assertTrue(30 <= (subscription.expires or 0) <= 60)
        self.gauge.show(5)
        self.network.advance(2)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)

    def test_handlers(self) -> None:
        """Handlers are told of each notification, and nothing waits for an iteration that nobody began. row:J8"""
        told: list[bytes] = []
        subscription = self.alice.create_subscription(BOB, "x-gauge")
        subscription.notification_received.subscribe(lambda notification: told.append(notification.body))
        self.run_until(subscription.start())
        self.gauge.show(1)
        self.network.advance(2)
        self.assertEqual(told, [b"0", b"1"])
        waiting = subscription.__anext__()
        self.assertNoResult(waiting)
        self.gauge.show(2)
        notification = self.run_until(waiting)
        assert isinstance(notification, Notification)
        self.assertEqual((notification.body, told[-1]), (b"2", b"2"))

    def test_handler_fails(self) -> None:
        """A handler that raises is logged, and the subscription goes on. row:J8"""
        subscription = self.watch()

        def broken(notification: Notification) -> None:
            raise ValueError("broken")

        subscription.notification_received.subscribe(broken)
        self.gauge.show(1)
        self.network.advance(2)
        self.gauge.show(2)
        self.assertEqual([self.next(subscription).body for _ in range(2)], [b"1", b"2"])
        subscription.notification_received.unsubscribe(broken)
        self.assertGreaterEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_queue(self) -> None:
        """Of what nobody takes the oldest is given up, and counted. limit:notification_queue fault:K8"""
        subscription = self.watch(queue=3)
        for value in range(1, 6):
            self.gauge.show(value)
            self.network.advance(6)
        self.assertEqual([self.next(subscription).body for _ in range(3)], [b"3", b"4", b"5"])
        self.assertEqual(subscription.dropped, 2)
        self.assertEqual(self.alice.connection_manager.metrics()["limit_notification_queue"], 2)

    def test_cancelled(self) -> None:
        """To cancel the call ends what it began. row:J1"""
        waiting = self.alice.subscribe(BOB, "x-gauge")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.network.advance(40)
        self.assert_nothing_left()


class SayingTests(WatchTestCase):
    """What its SUBSCRIBEs say."""

    def test_bodies(self) -> None:
        """A callable says what each kind of SUBSCRIBE says, in its body and its fields. row:J6"""
        kinds: list[SubscribeKind] = []

        def body(kind: SubscribeKind) -> str | None:
            kinds.append(kind)
            return None if kind is SubscribeKind.UNSUBSCRIBE else kind.name

        subscription = self.watch(body=body, headers=lambda kind: [("X-Kind", kind.name)], expires=600)
        self.network.advance(310)
        self.assertEqual([request.body for request in self.gauge.asked], [b"SUBSCRIBE", b"REFRESH"])
        self.assertEqual([request.headers.get("X-Kind") for request in self.gauge.asked], ["SUBSCRIBE", "REFRESH"])
        self.assertEqual(self.gauge.asked[1].headers.get("Content-Type"), "text/plain; charset=UTF-8")
        self.run_until(subscription.terminate())
        self.assertEqual([kind.name for kind in kinds], ["SUBSCRIBE", "REFRESH", "UNSUBSCRIBE"])

    def test_callable_fails(self) -> None:
        """A callable that raises is logged, and the SUBSCRIBE goes without it. row:J6"""

        def body(kind: SubscribeKind) -> str | None:
            if kind is SubscribeKind.SUBSCRIBE:
                raise ValueError("broken")
            return None

        self.watch(body=body)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.gauge.asked[0].body, b"")

    def test_update(self) -> None:
        """Something else can be said of a subscription that stands; the first body is not said again. row:J7"""
        subscription = self.watch(body="filter one")
        self.run_until(subscription.refresh("filter two"))
        self.run_until(subscription.refresh())
        self.assertEqual([request.body for request in self.gauge.asked], [b"filter one", b"filter two", b""])
        self.assertRaises(ValueError, subscription.refresh, b"octets")

    def test_one_waits(self) -> None:
        """A refresh waits for the SUBSCRIBE that is under way, and one more is to be tried again; one that nobody waits
        for any more is not sent. row:J7"""
        subscription = self.watch()
        first, second = subscription.refresh("one"), subscription.refresh("two")
        with self.assertRaises(InvalidOperation) as caught:
            subscription.refresh("three")
        self.assertTrue(caught.exception.retryable)
        self.assertRaises(ValueError, subscription.refresh, b"octets")
        said: list[str] = []
        first.addCallback(lambda response: said.append(f"first {response.status}"))
        self.assertEqual(self.run_until(second).status, 200)  # type: ignore[attr-defined]
        self.assertEqual(said, ["first 200"])
        under_way, waiting = subscription.refresh("four"), subscription.refresh("five")
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        last = subscription.refresh("six")
        self.run_until(under_way)
        self.run_until(last)
        self.assertEqual([request.body for request in self.gauge.asked], [b"", b"one", b"two", b"four", b"six"])

    def test_waiting_in_vain(self) -> None:
        """A refresh that waits while the subscription ends has not been made; the last SUBSCRIBE goes when the one
        under way was answered. row:J2"""
        subscription = self.watch()
        under_way, waiting = subscription.refresh("one"), subscription.refresh("two")
        self.run_until(subscription.terminate())
        self.assertEqual(self.successResultOf(under_way).status, 200)
        self.failureResultOf(waiting, InvalidOperation)
        self.assertEqual([request.body for request in self.gauge.asked], [b"", b"one", b""])
        self.assertEqual(self.gauge.asked[-1].headers.get("Expires"), "0")
        self.assert_nothing_left()

    def test_what_it_asks(self) -> None:
        """Event has the rates of RFC 6446, and Accept what was said. row:J1"""
        self.watch(accept=["text/plain", "text/*"], max_rate=0.5, min_rate=0.001, adaptive_min_rate=2, from_=None)
        [request] = self.gauge.asked
        self.assertEqual(request.headers.get("Event"), "x-gauge;max-rate=0.5;min-rate=0.001;adaptive-min-rate=2")
        self.assertEqual(request.headers.get("Accept"), "text/plain, text/*")


class RetryTests(WatchTestCase):
    """What the notifier's end of it means."""

    def test_deactivated(self) -> None:
        """It is begun anew at once, with another Call-ID. row:J5"""
        subscription = self.watch()
        first = self.gauge.asked[0].call_id
        self.theirs.terminate("deactivated")
        self.assertEqual(self.next(subscription).reason, "deactivated")
        self.assertEqual(self.next(subscription).state, "active")
        self.assertNotEqual(self.gauge.asked[1].call_id, first)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)

    def test_again_and_again(self) -> None:
        """A notifier that ends every subscription gets no storm of them. row:J5"""
        self.watch()
        for _ in range(600):
            for theirs in self.gauge.subscribers:
                theirs.terminate("deactivated")
            self.network.advance(1)
        self.assertLess(len(self.gauge.asked), 15)

    def test_later(self) -> None:
        """It is begun anew when the notifier wants it. row:J5"""
        subscription = self.watch()
        self.theirs.terminate("probation", retry_after=120)
        self.next(subscription)
        self.assertIs(subscription.state, SubscriptionState.WAITING_FOR_RETRY)
        self.assertEqual((subscription.reason, subscription.peer), ("probation", None))
        self.assertIsInstance(subscription.error, SubscriptionTerminated)
        self.network.advance(119)
        self.assertEqual(len(self.gauge.asked), 1)
        self.assertEqual(self.next(subscription).state, "active")
        self.assertIsNone(subscription.error)

    def test_rejected(self) -> None:
        """It stays over, and whoever iterates is told why. row:J5 row:J8"""
        subscription = self.watch()
        self.theirs.terminate("rejected")
        self.assertTrue(self.next(subscription).is_terminated)
        with self.assertRaises(SubscriptionTerminated) as caught:
            self.next(subscription)
        self.assertEqual(caught.exception.reason, "rejected")
        self.assertTrue(subscription.is_over)
        self.network.advance(10)
        self.assert_nothing_left()

    def test_never(self) -> None:
        """Where no retry is wanted there is none. row:J5"""
        subscription = self.watch(retry="never")
        self.theirs.terminate("deactivated")
        self.next(subscription)
        self.assertRaises(SubscriptionTerminated, self.next, subscription)

    def test_left_while_waiting(self) -> None:
        """It can be ended while it waits. row:J5"""
        subscription = self.watch()
        self.theirs.terminate("giveup", retry_after=60)
        self.next(subscription)
        self.run_until(subscription.terminate())
        self.assertRaises(StopAsyncIteration, self.next, subscription)
        self.network.advance(100)
        self.assertEqual(len(self.gauge.asked), 1)
        self.assert_nothing_left()

    def test_first_attempt(self) -> None:
        """The first attempt that fails is the outcome, unless it was said otherwise. row:J5"""
        self.gauge.verdict = Verdict.reject(480, retry_after=30)
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(self.alice.subscribe(BOB, "x-gauge"))
        self.assertEqual(caught.exception.status, 480)
        waiting = self.alice.subscribe(BOB, "x-gauge", retry="always")
        self.network.advance(10)
        self.assertNoResult(waiting)
        self.gauge.verdict = True
        subscription = self.run_until(waiting)
        assert isinstance(subscription, Subscription)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)

    def test_refused(self) -> None:
        """An event that nobody knows is refused with 489, and so is what nobody may know. row:J10"""
        for event, retry, status in (("x-other", "always", 489), ("x-gauge", "always", 403)):
            self.gauge.verdict = Verdict.reject(403)
            with self.assertRaises(RequestFailed) as caught:
                self.run_until(self.alice.subscribe(BOB, event, retry=retry))
            self.assertEqual(caught.exception.status, status)
        self.network.advance(40)
        self.assert_nothing_left()

    def test_too_brief(self) -> None:
        """What is too brief for the notifier is asked for longer. row:J10"""
        slow = Gauge()
        slow.name, slow.minimum_expires = "x-slow", 300
        self.bob.packages.add(slow)
        subscription = self.run_until(self.alice.subscribe(BOB, "x-slow", expires=60))
        assert isinstance(subscription, Subscription)
        self.assertTrue(298 < (subscription.expires or 0) <= 300, subscription.expires)

    def test_forgotten(self) -> None:
        """A notifier that has lost it answers 481, and it is begun anew. row:J5 row:J10"""
        subscription = self.watch(expires=60)
        self.theirs.abandon(EndpointTerminated("gone"))
        self.network.advance(31)
        self.assertEqual(self.next(subscription).state, "active")
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)
        self.assertEqual(len({request.call_id for request in self.gauge.asked}), 2)

    def test_late_notify(self) -> None:
        """A NOTIFY after the end is answered 481, and the notifier lets go. limit:L16"""
        subscription = self.watch()
        subscription.abandon(EndpointTerminated("gone"))
        self.gauge.show(3)
        self.network.advance(2)
        self.assertEqual(self.gauge.subscribers, ())
        self.assertRaises(EndpointTerminated, self.next, subscription)
        self.network.advance(5)
        self.assert_nothing_left()


class WayTests(WatchTestCase):
    """What becomes of it when the way is lost."""

    def test_connection_lost(self) -> None:
        """It is refreshed by another connection soon, and goes on. row:J3"""
        subscription = self.watch()
        self.network.cut("a.example", "b.example")
        self.network.advance(10)
        self.assertEqual(len(self.gauge.asked), 2)
        self.gauge.show(9)
        self.network.advance(3)
        heard = [self.next(subscription).body for _ in range(2)]
        self.assertEqual(heard, [b"0", b"9"])
        assert subscription.peer is not None
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)

    def test_without_a_listener(self) -> None:
        """Who cannot be dialled is told by the connection of its own, and by the next one. row:J1"""
        watcher = self.network.party("sip:carol@c.example", listen=())
        subscription = self.run_until(watcher.subscribe(BOB, "x-gauge"))
        assert isinstance(subscription, Subscription)
        self.next(subscription)
        self.network.cut("c.example", "b.example")
        self.network.advance(10)
        self.gauge.show(4)
        self.network.advance(3)
        self.assertEqual([self.next(subscription).body for _ in range(2)], [b"0", b"4"])

    def test_unreachable(self) -> None:
        """While the notifier is out of reach it waits, and comes back. row:J5"""
        subscription = self.watch(expires=120)
        self.network.partition("a.example", "b.example")
        self.network.advance(600)
        self.assertIn(subscription.state, (SubscriptionState.WAITING_FOR_RETRY, SubscriptionState.SUBSCRIBING))
        self.network.heal()
        self.network.advance(1900)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)
        self.gauge.show(8)
        self.network.advance(3)
        last = b""
        while subscription.waiting:
            last = self.next(subscription).body
        self.assertEqual(last, b"8")


class ForkTests(WatchTestCase):
    """Further notifiers (RFC 6665 section 4.4.1)."""

    def notify(self, tag: str) -> int:
        """A NOTIFY as a further device of Bob's would send it; return its status."""
        request, flow = self.gauge.asked[0], self.theirs.flow
        plan = RequestPlan("NOTIFY", str(self.alice.contact_uri), f"<{BOB}>", tag, request.call_id)
        plan.to = f"{request.headers['From']}"
        plan.contact = self.bob.contact
        plan.fields = [("Event", "x-gauge"), ("Subscription-State", "active;expires=60")]
        manager = self.bob.connection_manager
        before = dict(self.alice.connection_manager.core.traffic.responses_out)
        manager.driver.request(plan.build(), flow, None)  # type: ignore[arg-type]
        self.network.advance(1)
        after = self.alice.connection_manager.core.traffic.responses_out
        [status] = [status for status, count in after.items() if count != before.get(status, 0)]
        return status

    def test_forked(self) -> None:
        """Each further notifier is a subscription of its own where that is wanted, and is not begun anew. row:J1"""
        forks: list[Subscription] = []
        self.watch(forked=forks.append)
        self.assertEqual(self.notify("another"), 200)
        [fork] = forks
        self.assertIs(fork.state, SubscriptionState.SUBSCRIBED)
        self.assertEqual(self.next(fork).state, "active")
        self.network.advance(61)
        self.assertTrue(fork.is_over)

    def test_not_wanted(self) -> None:
        """Where it is not wanted it is answered 481. row:J1"""
        self.watch()
        self.assertEqual(self.notify("another"), 481)


class EndTests(WatchTestCase):
    """How it ends with its party."""

    def test_party_ends(self) -> None:
        """The party's end says so to the notifier, in each state. row:J2"""
        subscription = self.watch()
        waiting = self.alice.subscribe(BOB, "x-gauge")
        idle = self.alice.create_subscription(BOB, "x-gauge")
        self.run_until(self.alice.terminate())
        self.failureResultOf(waiting, EndpointTerminated)
        self.assertTrue(subscription.is_over)
        self.assertRaises(EndpointTerminated, idle.start)
        self.network.advance(5)
        self.assertEqual(self.gauge.subscribers, ())
        self.assert_nothing_left()

    def test_no_time(self) -> None:
        """Where the notifier does not answer, the party ends all the same."""
        subscription = self.watch()
        self.network.partition("a.example", "b.example")
        self.run_until(self.alice.terminate())
        self.assertTrue(subscription.is_over)

    def test_many(self) -> None:
        """Very many subscriptions of one party end together, within the time that there is. fault:K8"""
        for _ in range(300):
            self.watch()
        self.run_until(self.alice.terminate())
        self.network.advance(60)
        self.assertEqual(self.gauge.subscribers, ())
        self.assert_nothing_left()


class MemoryTests(WatchTestCase):
    """What it holds."""

    def test_size(self) -> None:
        """A subscription that stands holds at most 6 KiB on each side, dialog and all. row:J1"""
        self.quiet(20)
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            self.quiet(100)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess((after - before) / 200, 6144)

    def quiet(self, count: int) -> None:
        """So many that nobody iterates over."""
        for _ in range(count):
            subscription = self.alice.create_subscription(BOB, "x-gauge")
            subscription.notification_received.subscribe(nothing)
            self.run_until(subscription.start())
        self.network.advance(70)

    def test_nothing_holds_what_is_over(self) -> None:
        """One that is over is let go at once, without the garbage collector."""
        with nothing_left(self, Subscription, Subscriber, Dialog):
            subscription = self.watch()
            self.run_until(subscription.refresh("x"))
            self.run_until(subscription.terminate())
            self.network.advance(70)
            self.gauge.asked.clear()
            del subscription


def nothing(event: Any) -> None:
    """A handler that does nothing."""


class FloodTests(WatchTestCase):
    """A notifier without measure."""

    def test_flood(self) -> None:
        """What comes faster than ``limits.notifications`` is refused, and the subscription goes on.
        limit:notifications fault:K8"""
        manager = self.alice.connection_manager
        manager.limits = manager.limits.replace(notifications=2)
        self.assertIsInstance(manager.limits, Limits)
        self.gauge.maximum_rate = 1000.0
        subscription = self.watch()
        theirs = self.theirs
        for number in range(8):
            theirs.notify(str(number), "text/plain")
            self.network.advance(0.1)
        self.assertGreater(manager.metrics()["limit_notifications"], 0)
        self.network.advance(10)
        self.assertIs(subscription.state, SubscriptionState.SUBSCRIBED)
