"""The package of messages that wait (RFC 3842)."""

from __future__ import annotations

from sip_p2p import MessageSummaryPackage
from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from tests.endpoint.subscription.packages.watching import WatchingTestCase

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

    def test_published_last(self) -> None:
        """Of what was published the last counts, and what we say ourselves before all of it."""
        package = MessageSummaryPackage()
        texts = (b"Messages-Waiting: yes\r\n", b"Messages-Waiting: no\r\n")
        summaries = tuple(package.parse(package.content_types[0], text) for text in texts)
        package.publications_changed(ALICE, summaries)
        self.assertEqual(package.get(ALICE), summaries[1])
        package.set(ALICE, summaries[0])
        self.assertEqual(package.get(ALICE), summaries[0])
