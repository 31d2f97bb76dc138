"""What an application gets to know of outcomes and ends, and of documents that say only what has changed (row J8)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import (
    ConnectionFailure,
    OperationTimeout,
    RequestFailed,
    Subscription,
    SubscriptionTerminated,
)
from sip_p2p.documents.dialog_info import DialogTable
from sip_p2p.endpoint.subscription.outcomes import error_of, settle
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.event.subscribing import NotifyReceived, SubscriptionEnding, SubscriptionOver
from sip_p2p.sip.event.subscription_state import SubscriptionStateValue
from sip_p2p.sip.message import Request, Response
from tests.endpoint.subscription.watching import Gauge, WatchTestCase
from tests.sip.event.asking import Bench


class OutcomeTests(WatchTestCase):
    """What fails, and with what."""

    def test_settled(self) -> None:
        """A SUBSCRIBE fires with its 2xx, and fails with what else became of it. row:J7"""
        for response, reason, error in (
            (Response(403), None, RequestFailed),
            (None, ConnectionFailure("x"), ConnectionFailure),
            (None, None, OperationTimeout),
        ):
            done: Deferred[Response] = Deferred()
            settle(done, response, reason)
            self.failureResultOf(done, error)
        done = Deferred()
        settle(done, Response(200), None)
        settle(done, Response(403), None)
        self.assertEqual(self.successResultOf(done).status, 200)

    def test_ends(self) -> None:
        """Each end has its error, and the notifier's reason is in it. row:J8"""
        owner = Bench().subscriber
        value = SubscriptionStateValue.of("terminated", reason="noresource")
        ended = error_of(SubscriptionOver(owner, SubscriptionEnding.TERMINATED, value=value))
        assert isinstance(ended, SubscriptionTerminated)
        self.assertEqual(
            (ended.reason, str(ended)), ("noresource", "the notifier has ended the subscription: noresource")
        )
        lost = ConnectionFailure("x")
        for over, error in (
            (SubscriptionOver(owner, SubscriptionEnding.TERMINATED), SubscriptionTerminated),
            (SubscriptionOver(owner, SubscriptionEnding.UNREACHABLE, reason=lost), ConnectionFailure),
            (SubscriptionOver(owner, SubscriptionEnding.REFUSED, response=Response(489)), RequestFailed),
            (SubscriptionOver(owner, SubscriptionEnding.NO_NOTIFY), OperationTimeout),
            (SubscriptionOver(owner, SubscriptionEnding.EXPIRED), SubscriptionTerminated),
        ):
            self.assertIsInstance(error_of(over), error)


def dialogs(version: int, state: str, *ids: str) -> bytes:
    """A document of RFC 4235."""
    rows = "".join(f'<dialog id="{each}"><state>confirmed</state></dialog>' for each in ids)
    return (
        f'<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="{version}"'
        f' state="{state}" entity="sip:bob@b.example">{rows}</dialog-info>'
    ).encode()


class Lines(Gauge):
    """Bob's dialogs, told as the test says.

    :ivar said: the document.
    """

    name = "dialog"
    content_types = ("application/dialog-info+xml",)

    def __init__(self) -> None:
        super().__init__()
        self.said = dialogs(0, "full", "a")

    def state(self, subscription: Any) -> tuple[str, bytes]:
        """The document."""
        return self.content_types[0], self.said


class AssembleTests(WatchTestCase):
    """Whole states from partial ones."""

    def test_assembled(self) -> None:
        """What changed is added to what is known; where a document is missing the whole is asked for, once in a while.
        row:J8"""
        lines = Lines()
        self.bob.packages.add(lines)
        subscription = self.run_until(self.alice.subscribe("sip:bob@b.example", "dialog"))
        assert isinstance(subscription, Subscription)
        table = subscription.assembler
        assert isinstance(table, DialogTable)
        lines.said = dialogs(1, "partial", "b")
        lines.changed()
        self.network.advance(2)
        self.assertEqual([each.id for each in table.dialogs], ["a", "b"])
        self.assertEqual(len(lines.asked), 1)
        lines.said = dialogs(5, "partial", "e")
        lines.changed()
        self.network.advance(0.015)
        lines.said = dialogs(6, "full", "a", "b", "c", "d", "e")
        self.network.advance(2)
        self.assertEqual(len(lines.asked), 2)
        self.assertEqual((table.is_complete, len(table.dialogs)), (True, 5))

    def test_no_state_of_ours(self) -> None:
        """RFC 5839 section 5.2: while a document is missing, the state that a NOTIFY names is not said to be ours:
        the notifier would send no whole one. row:J8"""
        lines = Lines()
        self.bob.packages.add(lines)
        subscription = self.run_until(self.alice.subscribe("sip:bob@b.example", "dialog"))
        assert isinstance(subscription, Subscription)
        [dialog] = self.alice.connection_manager.core.dialogs
        [machine] = (dialog.subscriptions or {}).values()
        assert isinstance(machine, Subscriber)
        fields = [("Content-Type", "application/dialog-info+xml")]
        for version, etag in ((1, "e17"), (5, "")):
            machine.etag = "e17"
            request = Request("NOTIFY", "sip:alice@a.example", fields, dialogs(version, "partial", "b"))
            subscription.take(NotifyReceived(machine, request, SubscriptionStateValue("active")))
            self.assertEqual(machine.etag, etag, version)
        self.network.advance(2)

    def test_nonsense(self) -> None:
        """A document that is none changes nothing, and is told to whoever wants it. row:J8"""
        lines = Lines()
        lines.said = b"<nonsense"
        self.bob.packages.add(lines)
        subscription = self.run_until(self.alice.subscribe("sip:bob@b.example", "dialog"))
        assert isinstance(subscription, Subscription)
        self.assertRaises(ValueError, getattr, self.next(subscription), "document")

    def test_assembler_fails(self) -> None:
        """An assembler that raises is logged, and the subscription goes on. row:J8"""

        class Broken:
            """Raises."""

            is_complete = True

            def add(self, document: object, /) -> None:
                """Raise."""
                raise KeyError("broken")

            def reset(self) -> None:
                """Nothing to forget."""

        subscription = self.watch(assembler=Broken(), decoders={"text/plain": int})
        self.assertFalse(subscription.is_over)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.run_until(subscription.terminate())
        self.flushLoggedErrors(KeyError)
