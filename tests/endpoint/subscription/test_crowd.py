"""Tests of :mod:`sip_p2p.endpoint.subscription.crowd`: many subscribers, told in rounds."""

from __future__ import annotations

from typing import Any

from sip_p2p import Limits
from sip_p2p.sip.message import Request
from tests.endpoint.subscription.serving import OpenBoard, SubscriberTestCase


class RoundTests(SubscriberTestCase):
    """The stranger has many subscriptions on one connection."""

    limits = {"write_buffer": 64 * 1024, "write_buffer_hard": 256 * 1024}  # noqa: RUF012

    def many(self, count: int, event: str = "x-board", calls: str = "c") -> None:
        """So many of them, all told once."""
        where = f"sip:x@{self.stranger.addresses[0]};transport=tcp"
        for number in range(count):
            self.line.send(
                "SUBSCRIBE sip:bob@b.example SIP/2.0\r\n"
                f"Via: SIP/2.0/TCP peer.example;branch=z9hG4bK{calls}{number}\r\nMax-Forwards: 70\r\n"
                "From: <sip:x@peer.example>;tag=1\r\nTo: <sip:bob@b.example>\r\n"
                f"Call-ID: {calls}{number}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <{where}>\r\nEvent: {event}\r\n"
                "Content-Length: 0\r\n\r\n".encode()
            )
        self.network.advance(0.5)
        self.answer()

    def told(self) -> list[str]:
        """The Call-IDs of the NOTIFYs that came."""
        return [message.call_id for message in self.hear() if isinstance(message, Request)]

    def now(self) -> list[str]:
        """Those that are under way this moment, without letting time pass."""
        return [each.notifier.dialog.call_id for each in self.board.subscribers if each.notifier.is_busy]

    def test_rounds(self) -> None:
        """A change is told to the first hundred at once, and to the others in their turn, everybody once. fault:K8"""
        self.many(250)
        self.board.write("news")
        crowd = self.manager.lives.crowd
        self.assertEqual((len(self.now()), len(crowd)), (100, 150))
        self.assertEqual(self.now(), [f"c{number}" for number in range(100)])
        self.network.advance(0.05)
        self.assertEqual(len(crowd), 0)
        bodies = [notify.body for notify in self.answer()]
        self.assertEqual(bodies, [b"news"] * 250)

    def test_turns(self) -> None:
        """A package with few subscribers does not wait for one with many. fault:K8"""
        other = self.bob.packages.add(type("Other", (OpenBoard,), {"name": "x-other"})())
        self.many(300)
        self.many(5, "x-other", "o")
        self.board.write("news")
        other.write("too")
        self.assertEqual(len(self.now()), 100)
        self.network.advance(0.02)
        self.assertEqual(sum(each.notifier.is_busy for each in other.subscribers), 5)
        self.assertGreater(len(self.manager.lives.crowd), 0)
        self.answer()

    def test_changes_while_waiting(self) -> None:
        """Who waits for its round keeps its place, and is told what is true then, once."""
        self.many(150)
        self.board.write("old")
        self.board.write("new")
        told = self.answer()
        self.assertEqual(len(told), 250)
        self.assertEqual([notify.body for notify in told[100:]], [b"new"] * 150)

    def test_full_connection(self) -> None:
        """Nobody is told whose connection has enough to write already; they are when it has less. fault:K8"""
        self.many(600)
        self.network.partition("peer.example", "b.example")
        self.board.write("x" * 1000)
        self.network.advance(1)
        self.assertGreater(len(self.manager.lives.crowd), 100)
        self.assertEqual(self.manager.metrics()["limit_write_buffer_hard"], 0)
        self.network.heal()
        self.network.advance(10)
        self.assertEqual(len(self.answer()), 600)

    def test_enough_under_way(self) -> None:
        """There are never more NOTIFYs under way than leave room for other requests. fault:K8"""
        self.many(150)
        self.manager.limits = Limits(transactions=80)
        self.board.write("news")
        self.assertEqual(len(self.now()), 20)
        self.network.advance(1)
        self.assertEqual(len(self.now()), 20)
        self.assertEqual(len(self.answer()), 150)

    def test_end(self) -> None:
        """A party that goes tells all of them, in rounds, and is gone when they have answered. fault:K8"""
        self.many(250)
        ended = self.bob.terminate()
        self.assertEqual(len(self.now()), 100)
        last = self.answer()
        self.assertEqual(len(last), 250)
        self.assertEqual(
            {str(each.headers.get("Subscription-State")) for each in last}, {"terminated;reason=deactivated"}
        )
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual((self.manager.lives.crowd.count, len(self.manager.lives.crowd)), (0, 0))

    def test_package_removed(self) -> None:
        """So does a package that is removed. fault:K8"""
        self.many(250)
        self.bob.packages.remove(self.board)
        self.assertEqual(len(self.now()), 100)
        said = [str(each.headers.get("Subscription-State")) for each in self.answer()]
        self.assertEqual(said, ["terminated;reason=noresource"] * 250)

    def test_no_time_left(self) -> None:
        """Those whose turn does not come in time are let go of, and no timer is left. fault:K8"""
        self.many(250)
        self.manager.limits = Limits(drain_timeout=0.011)
        ended = self.bob.terminate()
        self.network.advance(1)
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual((self.board.subscribers, len(self.manager.core.dialogs)), ((), 0))
        self.hear()

    def test_gone_while_waiting(self) -> None:
        """Who is over before its turn is not told any more."""
        self.many(150)
        self.board.write("news")
        for subscription in self.board.subscribers[100:]:
            subscription.abandon(self.ended)
        self.assertEqual(len(self.manager.lives.crowd), 0)
        self.assertEqual(len(self.answer()), 100)

    @property
    def ended(self) -> Any:
        """Why somebody is abandoned."""
        from sip_p2p import EndpointTerminated

        return EndpointTerminated("no time left")
