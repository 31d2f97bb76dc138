"""What ``--check`` says of the outbox, of event packages and of subscriptions."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sip_p2p.endpoint.messaging import outbox_store as store
from sip_p2p.service.diagnosis.check import check
from tests.endpoint.messaging.test_outbox_store import values
from tests.service.diagnosis.test_check import identity
from tests.service.support import parsed
from tests.support import SynchronousTestCase


class LivesTests(SynchronousTestCase):
    """row:M14: each of them is explained, and what a start would stumble over is found before."""

    def found(self, *arguments: str) -> str:
        """What is found with *arguments*."""
        return check(parsed(*identity(), *arguments)).text

    def test_outbox(self) -> None:
        """row:M14: an outbox is looked at, and neither made nor changed; what is none is wrong (fault:J10)."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        path = folder / "outbox.sqlite"
        self.assertIn(f"ok    outbox: {path} will be made", self.found("--outbox", str(path)))
        self.assertFalse(path.exists())
        connection = sqlite3.connect(path, isolation_level=None)
        store.prepare(connection, str(path), 0.0, 10.0)
        store.accept(connection, values("one"), 10)
        self.assertIn("is used by another process", self.found("--outbox", str(path)))
        connection.close()
        before = path.read_bytes()
        self.assertIn(f"ok    outbox: {path} is one, and 1 messages in it wait", self.found("--outbox", str(path)))
        self.assertEqual(path.read_bytes(), before)
        text, other = folder / "text", folder / "other.sqlite"
        text.write_text("no database at all, and long enough to be looked at" * 20)
        connection = sqlite3.connect(other)
        connection.execute("CREATE TABLE mine (id)")
        connection.close()
        for wrong, words in (
            (folder / "none" / "x.sqlite", "there is no folder"),
            (folder, "cannot be read and written"),
            (text, "is damaged, or is none"),
            (other, "is a database, and no outbox"),
        ):
            said = self.found("--outbox", str(wrong))
            self.assertIn("WRONG outbox: ", said)
            self.assertIn(words, said)

    def test_watched(self) -> None:
        """row:M14: what can be watched, by whom, and what is watched is told."""
        said = self.found("--package", "presence", "--subscribe", "presence=sip:bob@b.example")
        self.assertIn("ok    package: presence can be watched by whoever has proved the address in From", said)
        self.assertIn("ok    subscribe: presence of sip:bob@b.example is watched", said)
        said = self.found("--package", "dialog", "--watchers", "b.example")
        self.assertIn("ok    package: dialog can be watched by b.example", said)
