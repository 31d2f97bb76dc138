"""Tests of :mod:`sip_p2p.endpoint.messaging.outbox_entry`."""

from __future__ import annotations

from sip_p2p.endpoint.messaging.outbox_entry import COLUMNS, OutboxEntry, OutboxLimits, OutboxState
from tests.support import SynchronousTestCase


class EntryTests(SynchronousTestCase):
    """Values."""

    def test_an_entry(self) -> None:
        """It has what was read, by name, and does not change."""
        row = tuple("queued" if name == "state" else number for number, name in enumerate(COLUMNS))
        entry = OutboxEntry(row)
        self.assertEqual((entry.seq, entry.state, entry.report), (0, OutboxState.QUEUED, len(COLUMNS) - 1))
        with self.assertRaises(AttributeError):
            entry.status = 1
        self.assertIn("queued", repr(entry))

    def test_states(self) -> None:
        """Two of the states are not the last."""
        self.assertEqual([state.value for state in OutboxState if not state.is_final], ["queued", "sending"])

    def test_limits(self) -> None:
        """Each is positive, and they do not change."""
        limits = OutboxLimits(messages=1)
        with self.assertRaises(AttributeError):
            limits.messages = 2
        for name in OutboxLimits.__slots__:
            with self.assertRaises(ValueError):
                OutboxLimits(**{name: float("nan")})
