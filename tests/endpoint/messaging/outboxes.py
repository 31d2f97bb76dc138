"""An outbox on one clock and in memory, for the tests of outboxes."""

from __future__ import annotations

from typing import Any

from sip_p2p import Outbox, OutboxEntry
from tests.endpoint.messaging.databases import NowDatabase
from tests.endpoint.support import PartyTestCase

__all__ = ["BOB", "EPOCH", "OutboxTestCase"]

EPOCH = 1_800_000_000.0
BOB = "sip:bob@b.example"


class OutboxTestCase(PartyTestCase):
    """Alice has an outbox in memory."""

    def setUp(self) -> None:
        """It is open, and what it tells is noted."""
        super().setUp()
        self.path = self.mktemp()
        # By how much the clock on the wall was set.
        self.offset = 0.0
        self.settled: list[OutboxEntry] = []
        self.seen: list[Any] = []
        self.database = NowDatabase(self.path)
        self.outbox = self.opened(self.database)

    def opened(self, database: NowDatabase, **options: Any) -> Outbox:
        """An outbox of Alice's on *database*."""
        outbox = Outbox(
            self.alice.connection_manager.reactor,
            self.path,
            self.alice,
            wall_clock=lambda: EPOCH + self.offset + self.network.seconds(),
            database=database,
            **options,
        )
        outbox.settled.subscribe(self.settled.append)
        self.successResultOf(outbox.open())
        return outbox

    def reopened(self, **options: Any) -> Outbox:
        """The same file, as another process finds it that comes after the first one was killed."""
        self.database = NowDatabase(self.path)
        return self.opened(self.database, **options)

    def accepted(self, text: str | bytes = "x", to: str = BOB, **options: Any) -> OutboxEntry:
        """A message in the outbox."""
        return self.successResultOf(self.outbox.send(text, to, **options))

    def hear(self, *answers: Any) -> None:
        """Bob notes what comes, and gives these answers, one after the other, and then 200."""
        left = list(answers)

        def heard(event: Any) -> Any:
            self.seen.append((event.text, event.call_id, event.request.cseq.number, event.request))
            answer = left.pop(0) if left else None
            return answer(event) if callable(answer) else answer

        self.bob.message_received.subscribe(heard)

    def state_of(self, entry: OutboxEntry) -> str:
        """What has become of it."""
        found = self.successResultOf(self.outbox.find(entry.id))
        return "" if found is None else found.state.value

    @property
    def texts(self) -> list[str]:
        """What Bob has heard."""
        return [text for text, *_ in self.seen]
