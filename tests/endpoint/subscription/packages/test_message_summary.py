"""The package of messages that wait (RFC 3842)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p import MessageSummaryPackage
from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from tests.endpoint.subscription.packages.watching import WatchingTestCase

if TYPE_CHECKING:
    from sip_p2p.endpoint.subscription.notification import Notification

ALICE = "sip:alice@a.example"


class MessageSummaryTests(WatchingTestCase):
    """Alice's mailbox."""

    def test_told(self) -> None:
        """Whoever may watch a mailbox is told what waits there (row:J12)."""
        package = MessageSummaryPackage()
        self.alice.packages.add(package)
        seen = self.watch("message-summary")
        full = MessageSummary(True, counts=(MessageCount("voice-message", 1),))
        package.set(ALICE, full)
        self.network.advance(2)
        package.remove(ALICE)
        self.network.advance(2)
        self.assertEqual(self.documents(seen), [None, full, None])

    def test_fields_of_new_messages(self) -> None:
        """The header fields of a message are told once to each who was subscribed when it came: not in the first
        notification, nor in that of a refresh (RFC 3842 sections 3.5 and 3.8)."""
        package = MessageSummaryPackage()
        self.alice.packages.add(package)
        old, new = ((("Subject", "lunch?"),),), ((("Subject", "carpool tomorrow?"), ("Priority", "normal")),)
        package.set(ALICE, MessageSummary(True, messages=old))
        seen: list[Notification] = []
        subscription = self.bob.create_subscription(ALICE, "message-summary")
        subscription.notification_received.subscribe(seen.append)
        self.run_until(subscription.start())
        package.set(ALICE, MessageSummary(True, counts=(MessageCount("voice-message", 2),), messages=(*old, *new)))
        self.network.advance(2)
        self.run_until(subscription.refresh())
        self.network.advance(2)
        self.assertEqual([each.messages for each in self.documents(seen)], [(), new, ()])
        later = self.run_until(self.bob.fetch(ALICE, "message-summary")).document
        self.assertEqual((later.messages, later.counts), ((), (MessageCount("voice-message", 2),)))
        package.set(ALICE, MessageSummary(True, messages=new))
        self.network.advance(2)
        self.assertEqual(self.documents(seen)[-1], MessageSummary(True))

    def test_first_message(self) -> None:
        """Whoever subscribed when nothing was known of a mailbox is told of the first message in it."""
        package = MessageSummaryPackage()
        self.alice.packages.add(package)
        seen = self.watch("message-summary")
        full = MessageSummary(True, messages=((("Subject", "lunch?"),),))
        package.set(ALICE, full)
        self.network.advance(2)
        self.assertEqual(self.documents(seen), [None, full])

    def test_published_last(self) -> None:
        """Of what was published the last counts, and what we say ourselves before all of it."""
        package = MessageSummaryPackage()
        texts = (b"Messages-Waiting: yes\r\n", b"Messages-Waiting: no\r\n")
        summaries = tuple(package.parse(package.content_types[0], text) for text in texts)
        package.publications_changed(ALICE, summaries)
        self.assertEqual(package.get(ALICE), summaries[1])
        package.set(ALICE, summaries[0])
        self.assertEqual(package.get(ALICE), summaries[0])
