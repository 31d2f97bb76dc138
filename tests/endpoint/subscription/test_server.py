"""Tests of :mod:`sip_p2p.endpoint.subscription.server`: one subscription, from SUBSCRIBE to its last NOTIFY."""

from __future__ import annotations

from typing import Any

from sip_p2p import InvalidOperation, NotifierState, Peer, Verdict
from sip_p2p.endpoint.subscription.server import ServerSubscription, check_content
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Errand
from sip_p2p.sip.event.notifier import Notifier
from sip_p2p.sip.message import Request
from tests.endpoint.subscription.serving import Board, SubscriberTestCase
from tests.endpoint.support import PartyTestCase
from tests.support import nothing_left


class ContentTests(PartyTestCase):
    """What a NOTIFY can carry."""

    def test_forms(self) -> None:
        """A state is a media type and octets or text, or nothing; whatever else is refused in words."""
        self.assertIsNone(check_content(None))
        self.assertEqual(check_content(("text/plain", "\N{SNOWMAN}")), ("text/plain", b"\xe2\x98\x83"))
        self.assertRaises(ValueError, check_content, ("text/plain\r\nX: y", b""))
        for wrong in ("text", ("text/plain",), (b"text/plain", b""), ("text/plain", 7)):
            self.assertRaises(TypeError, check_content, wrong)


class SubscriptionTests(SubscriberTestCase):
    """As the application sees it."""

    def one(self, **arguments: Any) -> ServerSubscription:
        """A subscription of the stranger's that has been told once."""
        self.subscribe(**arguments)
        self.answer()
        [subscription] = self.board.subscribers
        return subscription

    def test_what_one_sees(self) -> None:
        """Who subscribed to what, in which form, and for how long. row:J9"""
        subscription = self.one(event="x-board;id=7", fields="Accept: application/x-board\r\n")
        self.assertEqual((subscription.resource, str(subscription.event)), ("sip:bob@b.example", "x-board;id=7"))
        self.assertEqual(subscription.content_types, ("application/x-board",))
        self.assertEqual(str(subscription.subscriber), "sip:x@peer.example")
        self.assertEqual((subscription.state, subscription.is_pending), (NotifierState.ACTIVE, False))
        self.assertTrue(598 < subscription.expires < 600)
        peer = subscription.peer
        assert isinstance(peer, Peer)
        self.assertEqual((peer.identity, peer.transport, subscription.is_verified), ("", "TCP", False))
        self.assertEqual(repr(subscription), "<ServerSubscription x-board;id=7 of sip:bob@b.example ACTIVE>")
        self.assertEqual(self.board.log, ["subscribed sip:x@peer.example"])
        self.assertEqual(self.manager.inventory()["notifiers"], 1)

    def test_life(self) -> None:
        """It is told the state, each change of it, on each refresh, and at its end; then nothing is left. row:J9"""
        self.subscribe()
        told = self.answer()
        self.board.write("first")
        told += self.answer()
        [subscription] = self.board.subscribers
        self.subscribe(cseq=2, to_tag=str(told[0].from_.tag), expires=100)
        told += self.answer()
        self.network.advance(101)
        told += self.answer()
        self.assertEqual([notify.body for notify in told], [b"empty", b"first", b"first", b"first"])
        states = [str(notify.headers.get("Subscription-State")).partition(";expires")[0] for notify in told]
        self.assertEqual(states, ["active"] * 3 + ["terminated;reason=timeout"])
        self.assertEqual(self.board.log[1:], ["refreshed", "ended timeout"])
        self.assertTrue(subscription.is_over)
        self.assertEqual(subscription.expires, 0.0)
        inventory = self.manager.inventory()
        self.assertEqual([inventory[name] for name in ("notifiers", "dialogs", "errands", "leases")], [0] * 4)

    def test_unsubscribe(self) -> None:
        """Expires 0 ends it with a last NOTIFY; whoever comes after that is answered 481. row:J10"""
        self.subscribe()
        [notify] = self.answer()
        tag = str(notify.from_.tag)
        self.subscribe(cseq=2, to_tag=tag, expires=0)
        [last] = self.answer()
        self.assertEqual(last.headers.get("Subscription-State"), "terminated;reason=timeout")
        self.subscribe(cseq=3, to_tag=tag)
        self.assertEqual(self.statuses(), [481])

    def test_fetch(self) -> None:
        """A fetch is told the state once. row:J4 row:J9"""
        self.subscribe(expires=0)
        [notify] = self.answer()
        self.assertEqual(
            (notify.body, notify.headers.get("Subscription-State")), (b"empty", "terminated;reason=timeout")
        )
        self.network.advance(1)
        self.assertEqual((self.board.subscribers, self.board.log[-1]), ((), "ended timeout"))

    def test_pending(self) -> None:
        """Who waits for the application's decision learns nothing until it is approved, and then all at once. row:J9"""
        self.board.authorise = lambda request: self.verdict  # type: ignore[method-assign]
        self.verdict = Verdict.pending()
        self.subscribe()
        [first] = self.answer()
        [subscription] = self.board.subscribers
        self.board.write("secret")
        subscription.notify("secret too")
        self.assertEqual(self.answer(), [])
        self.assertTrue(subscription.is_pending)
        subscription.approve()
        [second] = self.answer()
        self.assertEqual((first.body, second.body), (b"", b"secret"))
        self.assertIn("pending;", str(first.headers.get("Subscription-State")))

    def test_rejected_later(self) -> None:
        """A pending subscription that is refused ends with the reason, and learns nothing more."""
        self.board.authorise = lambda request: Verdict.pending()  # type: ignore[method-assign]
        subscription = self.one()
        subscription.terminate("rejected")
        [last] = self.answer()
        self.assertEqual((last.headers.get("Subscription-State"), last.body), ("terminated;reason=rejected", b""))

    def test_notify(self) -> None:
        """One subscriber may be told something of its own, in the type that is said or the usual one."""
        subscription = self.one()
        subscription.notify("for you")
        subscription.notify(b"\x00", "application/octet-stream")
        told = self.answer()
        self.assertEqual([notify.body for notify in told], [b"for you", b"\x00"])
        self.assertEqual(told[1].headers.get("Content-Type"), "application/octet-stream")
        self.assertRaises(ValueError, subscription.notify, "x", "text")

    def test_terminate(self) -> None:
        """It is ended with a reason, a time and a last word; the second time nothing happens, and nonsense is
        refused."""
        subscription = self.one()
        self.assertRaises(ValueError, subscription.terminate, "no token")
        self.assertRaises(ValueError, subscription.terminate, "probation", retry_after=-1)
        subscription.terminate("probation", retry_after=30, body="bye")
        subscription.terminate("noresource")
        [last] = self.answer()
        self.assertEqual(last.headers.get("Subscription-State"), "terminated;reason=probation;retry-after=30")
        self.assertEqual(last.body, b"bye")
        subscription.notify("too late")
        subscription.approve()
        self.board.changed()
        self.assertEqual(self.answer(), [])

    def test_failures(self) -> None:
        """A NOTIFY that is answered 481, or not at all, removes the subscription without another one. fault:D6"""
        self.subscribe()
        self.assertEqual(len(self.answer(481)), 1)
        self.network.advance(0.1)
        self.assertEqual((self.board.subscribers, self.board.log[-1]), ((), "ended"))
        self.subscribe(call="c2")
        self.network.advance(33)
        self.assertEqual(self.board.subscribers, ())
        self.assertEqual([message.method for message in self.hear() if isinstance(message, Request)], ["NOTIFY"])

    def test_retry_after(self) -> None:
        """A NOTIFY that is refused for some seconds is sent again after them, with the state of that time."""
        self.subscribe()
        self.answer(500, "Retry-After: 5\r\n")
        self.board.line = "later"
        self.network.advance(4)
        self.assertEqual(self.answer(), [])
        self.network.advance(2)
        self.assertEqual([notify.body for notify in self.answer()], [b"later"])

    def test_connection_lost(self) -> None:
        """A subscriber whose connection is lost, and who cannot be dialled, is removed at the next NOTIFY."""
        self.one()
        self.hang_up()
        self.assertIsNone(self.board.subscribers[0].peer)
        self.board.write("news")
        self.network.advance(60)
        self.assertEqual(self.board.subscribers, ())

    def test_other_accept(self) -> None:
        """A refresh may say anew what it takes; one that takes nothing that we have is answered 406, and changes
        nothing."""
        subscription = self.one()
        tag = subscription.notifier.dialog.local_tag
        self.subscribe(cseq=2, to_tag=tag, fields="Accept: application/x-board\r\n")
        [notify] = self.answer()
        self.assertEqual(notify.headers.get("Content-Type"), "application/x-board")
        self.subscribe(cseq=3, to_tag=tag, fields="Accept: application/pidf+xml\r\n")
        self.assertEqual((self.statuses(), self.board.log[-1]), ([406], "refreshed"))
        self.assertEqual((subscription.content_types, len(self.board.log)), (("application/x-board",), 2))

    def test_rates(self) -> None:
        """RFC 6446: a subscriber is told no more often than it wants. row:J9"""
        self.one(event="x-board;max-rate=0.1")
        for line in ("1", "2", "3"):
            self.board.write(line)
        self.assertEqual(self.answer(), [])
        self.network.advance(10)
        self.assertEqual([notify.body for notify in self.answer()], [b"3"])

    def test_nothing_left(self) -> None:
        """No reference cycle outlives a subscription."""
        with nothing_left(self, ServerSubscription, Notifier, Dialog, Errand):
            self.one()
            self.board.subscribers[0].terminate("noresource")
            self.answer()
            self.network.advance(1)


class EndTests(PartyTestCase):
    """Parties that go."""

    def setUp(self) -> None:
        """Alice has subscribed to Bob's board."""
        super().setUp()
        self.board = self.bob.packages.add(Board("hello"))
        self.heard: list[Any] = []
        self.subscription: Any = self.run_until(self.alice.subscribe("sip:bob@b.example", "x-board", retry="never"))
        self.subscription.notification_received.subscribe(self.heard.append)

    def last(self) -> tuple[str, str]:
        """What Alice heard last."""
        self.network.advance(1)
        return self.heard[-1].state, self.heard[-1].reason

    def test_drain(self) -> None:
        """A drain tells subscribers to subscribe anew, where another one may serve them. fault:K8"""
        self.run_until(self.bob.connection_manager.drain())
        self.assertEqual(self.last(), ("terminated", "deactivated"))
        self.assertEqual(self.board.log[-1], "ended deactivated")

    def test_party(self) -> None:
        """A party that ends tells its subscribers, within the time that it has for that. fault:K8"""
        self.run_until(self.bob.terminate())
        self.assertEqual(self.last(), ("terminated", "deactivated"))
        self.assertEqual(self.bob.connection_manager.inventory()["notifiers"], 0)

    def test_manager(self) -> None:
        """So does a connection manager. fault:K8"""
        self.run_until(self.bob.connection_manager.terminate())
        self.assertEqual(self.last(), ("terminated", "deactivated"))

    def test_no_time_left(self) -> None:
        """Whoever cannot be told in that time is let go of."""
        self.network.partition("a.example", "b.example")
        self.run_until(self.bob.terminate())
        self.assertEqual((self.board.subscribers, self.board.log[-1]), ((), "ended"))
        self.assertEqual(len(self.bob.connection_manager.core.dialogs), 0)

    def test_package_removed(self) -> None:
        """A package that is removed tells that there is no such thing, once what is under way is answered."""
        self.bob.packages.remove(self.board)
        self.assertEqual(self.last(), ("terminated", "noresource"))

    def test_verified(self) -> None:
        """Alice is known by what her certificate proves."""
        [subscription] = self.board.subscribers
        peer = subscription.peer
        assert peer is not None
        self.assertEqual((peer.identity, subscription.is_verified), ("a.example", True))
        self.assertEqual(subscription.holder, "a.example")

    def test_undecided(self) -> None:
        """A subscription that has not begun can be neither approved nor ended."""
        notifier = self.board.subscribers[0].notifier
        fresh = type(notifier)(notifier.core, notifier.profile, notifier.dialog, notifier.event, notifier.terms)
        self.assertRaises(InvalidOperation, fresh.approve, 0.0)
        self.assertRaises(InvalidOperation, fresh.terminate, 0.0, "noresource")
        self.assertRaises(InvalidOperation, fresh.accept, 0.0)
