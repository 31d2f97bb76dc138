"""Tests of :mod:`sip_p2p.endpoint.messaging.outbox_store`: the file itself, and files that are none."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from sip_p2p.endpoint.messaging import outbox_store as store
from sip_p2p.endpoint.messaging.outbox_entry import OutboxState
from sip_p2p.errors import InvalidOperation, OutboxFailed
from tests.support import SynchronousTestCase


def values(identifier: str, lane: str = "bob@b.example", **changes: Any) -> dict[str, Any]:
    """The columns of a message."""
    return {
        "id": identifier,
        "target": f"sip:{lane}",
        "lane": lane,
        "digest": "d",
        "body": b"body",
        "content_type": "text/plain",
        "headers": "[]",
        "call_id": f"call-{identifier}",
        "state": "queued",
        "queued_at": 0.0,
        "expires_at": 100.0,
        "due_at": 0.0,
    } | changes


class StoreTestCase(SynchronousTestCase):
    """A file, and connections to it that are closed in the end."""

    def setUp(self) -> None:
        """There is no file yet."""
        super().setUp()
        self.path = self.mktemp()

    def connect(self) -> sqlite3.Connection:
        """A connection, not prepared yet."""
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=0.05)
        self.addCleanup(connection.close)
        return connection

    def prepared(self) -> sqlite3.Connection:
        """One that is ready."""
        connection = self.connect()
        store.prepare(connection, self.path, 0.0, 10.0)
        return connection


class PowerCutTests(StoreTestCase):
    """The machine goes out while something is written: of what was not yet on the disk any part may be there."""

    def outbox_of(self, database: bytes, log: bytes) -> list[str]:
        """The messages that whoever opens these files finds."""
        path = self.mktemp()
        Path(path).write_bytes(database)
        Path(f"{path}-wal").write_bytes(log)
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            store.prepare(connection, path, 0.0, 10.0)
            return [entry.id for entry in store.listed(connection, None, 0, 100)]
        finally:
            connection.close()

    def test_torn(self) -> None:
        """Wherever the end of the log is cut off, or torn, every message that had been accepted before is there, and
        the one that was being written is there or is not (fault:J10)."""
        connection = self.prepared()
        self.assertEqual(connection.execute("PRAGMA synchronous").fetchone(), (2,))
        log = Path(f"{self.path}-wal")
        for number in range(5):
            store.accept(connection, values(f"m{number}"), 100)
        before, database = log.read_bytes(), Path(self.path).read_bytes()
        store.accept(connection, values("last", body=b"x" * 6000), 100)
        after = log.read_bytes()
        self.assertGreater(len(after), len(before))
        self.assertEqual(after[: len(before)], before)
        sound = [f"m{number}" for number in range(5)]
        for end in (*range(len(before), len(after), 509), len(after) - 1):
            self.assertEqual(self.outbox_of(database, after[:end]), sound, end)
            torn = after[:end] + bytes(len(after) - end)
            self.assertEqual(self.outbox_of(database, torn), sound, end)
        self.assertEqual(self.outbox_of(database, after), [*sound, "last"])


class FileTests(StoreTestCase):
    """Which files are an outbox."""

    def refused(self, words: str) -> None:
        """The file is refused with *words*, and was not changed."""
        before = Path(self.path).read_bytes()
        with self.assertRaisesRegex(OutboxFailed, words):
            self.prepared()
        self.assertEqual(Path(self.path).read_bytes(), before)

    def test_private(self) -> None:
        """The file is its owner's alone; where it cannot be, that is one clear error (fault:J10)."""
        store.make_private(self.path)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        with self.assertRaisesRegex(OutboxFailed, "cannot be opened"):
            store.make_private(f"{self.path}/in/no/folder")

    def test_damaged(self) -> None:
        """A file that is no database, and one that was damaged, are refused in words (fault:J10)."""
        Path(self.path).write_bytes(b"this is a letter, and no database" * 100)
        self.refused("is damaged, or is none")
        os.unlink(self.path)
        connection = self.prepared()
        for number in range(200):
            store.accept(connection, values(str(number), body=b"x" * 500), 10)
        connection.close()
        octets = bytearray(Path(self.path).read_bytes())
        middle = len(octets) // 2
        octets[middle : middle + 20_000] = bytes(20_000)
        Path(self.path).write_bytes(octets)
        with self.assertRaisesRegex(OutboxFailed, "damaged"):
            self.prepared()

    def test_of_somebody_else(self) -> None:
        """Another program's database is refused, and so is the outbox of a later version."""
        connection = self.connect()
        connection.execute("CREATE TABLE letters (x)")
        connection.close()
        with self.assertRaisesRegex(OutboxFailed, "and no outbox"):
            self.prepared()
        os.unlink(self.path)
        connection = self.prepared()
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with self.assertRaisesRegex(OutboxFailed, "version 99"):
            self.prepared()

    def test_found_open(self) -> None:
        """A file that others could read is its owner's alone from then on; what is no file is refused (fault:J10)."""
        Path(self.path).touch(0o644)
        store.make_private(self.path)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        os.unlink(self.path)
        for make in (lambda: os.mkdir(self.path), lambda: os.symlink("nowhere", self.path)):
            make()
            with self.assertRaisesRegex(OutboxFailed, "cannot be opened"):
                store.make_private(self.path)
            (os.rmdir if os.path.isdir(self.path) else os.unlink)(self.path)

    def test_two_users_and_another_process(self) -> None:
        """Whoever is refused the file in the process that has it lets no other process have it (fault:J10)."""
        first = self.prepared()
        program = (
            "import sqlite3, sys\n"
            "from sip_p2p.endpoint.messaging import outbox_store as store\n"
            "connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
            "try:\n"
            "    store.prepare(connection, sys.argv[1], 0.0, 10.0)\n"
            "except store.OutboxFailed as error:\n"
            "    print(error)\n"
        )
        store.make_private(self.path)
        with self.assertRaisesRegex(OutboxFailed, "used by another process"):
            self.prepared()
        root = Path(store.__file__).parents[3]
        command = [sys.executable, "-c", program, os.path.abspath(self.path)]
        said = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True).stdout
        self.assertIn("used by another process", said)
        first.close()

    def test_two_users(self) -> None:
        """While one has the file nobody else gets it; afterwards it is there as it was."""
        first = self.prepared()
        store.accept(first, values("one"), 10)
        with self.assertRaisesRegex(OutboxFailed, "used by another process"):
            self.prepared()
        first.close()
        entry = store.find(self.prepared(), "one")
        assert entry is not None
        self.assertEqual(entry.body, b"body")

    def test_disk_full(self) -> None:
        """Where the disk is full nothing was accepted, and what was before is still there (fault:J10)."""
        connection = self.prepared()
        store.accept(connection, values("one"), 10)
        connection.execute("PRAGMA max_page_count = 12")
        with self.assertRaisesRegex(OutboxFailed, "full"):
            store.accept(connection, values("two", body=b"x" * 100_000), 10)
        self.assertIsNone(store.find(connection, "two"))
        self.assertIsNotNone(store.find(connection, "one"))
        connection.execute("PRAGMA max_page_count = 1000")
        self.assertTrue(store.accept(connection, values("two", body=b"x" * 100_000), 10)[1])


class MessageTests(StoreTestCase):
    """What becomes of messages."""

    def setUp(self) -> None:
        """The file is ready."""
        super().setUp()
        self.connection = self.prepared()

    def add(self, identifier: str, **changes: Any) -> int:
        """A message; where it stands."""
        return store.accept(self.connection, values(identifier, **changes), 2)[0].seq

    def test_order(self) -> None:
        """The first of a lane is claimed, when it is due, and what was being sent is queued anew by who comes next."""
        first = self.add("one")
        self.add("two")
        entry, due = store.claim(self.connection, "bob@b.example", 1.0)
        assert entry is not None
        self.assertEqual((entry.seq, entry.attempts, entry.state, due), (first, 1, OutboxState.SENDING, None))
        found, changed = store.postpone(self.connection, first, 9.0, 480, "away", True)
        assert found is not None
        self.assertEqual((found.status, found.reason, changed), (480, "away", True))
        self.assertEqual(store.claim(self.connection, "bob@b.example", 5.0), (None, 9.0))
        self.assertEqual(store.claim(self.connection, "carol@c.example", 5.0), (None, None))
        store.claim(self.connection, "bob@b.example", 9.0)
        self.connection.close()
        found_again = store.prepare(self.connect(), self.path, 10.0, 10.0)
        self.assertEqual((found_again["messages"], found_again["octets"], found_again["expires"]), (2, 8, 100.0))
        self.assertEqual(found_again["lanes"], [("bob@b.example", 9.0)])

    def test_same_id(self) -> None:
        """The same is accepted once; another message under its id is refused."""
        seq = self.add("one")
        entry, is_new = store.accept(self.connection, values("one", body=b"the same, later"), 2)
        self.assertEqual((entry.seq, is_new), (seq, False))
        for change in ({"digest": "e"}, {"target": "sip:carol@c.example"}):
            with self.assertRaises(InvalidOperation):
                store.accept(self.connection, values("one", **change), 2)

    def test_settled(self) -> None:
        """What is delivered loses its body, what failed keeps it; both are told until that is written down."""
        for identifier, state in (("one", OutboxState.DELIVERED), ("two", OutboxState.FAILED)):
            seq = self.add(identifier)
            store.claim(self.connection, "bob@b.example", 1.0)
            entry, changed = store.settle(self.connection, seq, state, 200, "", 2.0)
            assert entry is not None
            self.assertEqual((entry.body == b"", entry.settled_at, changed), (identifier == "one", 2.0, True))
            self.assertFalse(store.settle(self.connection, seq, OutboxState.FAILED, 200, "", 2.0)[1])
        store.told(self.connection, 1, OutboxState.DELIVERED)
        self.connection.close()
        found = store.prepare(self.connect(), self.path, 3.0, 10.0)
        self.assertEqual([entry.id for entry in found["untold"]], ["two"])

    def test_forgotten(self) -> None:
        """Settled messages go after their time, or when there are too many, but none that was not told."""
        for number in range(5):
            seq = self.add(str(number))
            store.claim(self.connection, "bob@b.example", 1.0)
            store.settle(self.connection, seq, OutboxState.FAILED, 403, "", float(number))
            if number:
                store.told(self.connection, seq, OutboxState.FAILED)
        self.add("five")
        left = store.listed(self.connection, OutboxState.FAILED, 0, 100)
        self.assertEqual([entry.id for entry in left], ["0", "3", "4"])
        store.expire(self.connection, 50.0, 10.0, 100)
        left = store.listed(self.connection, None, 0, 100)
        self.assertEqual([entry.id for entry in left], ["0", "five"])
        self.assertIsNotNone(store.forget(self.connection, "five"))
        self.assertIsNone(store.forget(self.connection, "five"))

    def test_tried_again(self) -> None:
        """What has failed goes to the end, under its id and its Call-ID; what is being sent is left alone."""
        seq = self.add("one")
        store.claim(self.connection, "bob@b.example", 1.0)
        self.assertIsNone(store.forget(self.connection, "one"))
        self.assertIsNone(store.try_again(self.connection, "one", 2.0, 50.0))
        store.settle(self.connection, seq, OutboxState.FAILED, 403, "", 2.0)
        second = self.add("two")
        entry = store.try_again(self.connection, "one", 3.0, 50.0)
        assert entry is not None
        self.assertGreater(entry.seq, second)
        self.assertEqual((entry.call_id, entry.attempts, entry.expires_at), ("call-one", 1, 50.0))

    def test_text_is_gone(self) -> None:
        """What was delivered and then reported to have failed has no text that could be sent once more."""
        seq = self.add("one")
        store.claim(self.connection, "bob@b.example", 1.0)
        store.settle(self.connection, seq, OutboxState.DELIVERED, 202, "", 2.0)
        found = store.report(self.connection, "one", "b.example", "failed", OutboxState.FAILED, 3.0)
        assert found is not None
        self.assertEqual((found[1].state, found[1].body), (OutboxState.FAILED, b""))
        self.assertIsNone(store.try_again(self.connection, "one", 4.0, 50.0))

    def test_expired(self) -> None:
        """What waits for too long is settled, a few at a time, and when the next one is due is told."""
        for number in range(3):
            self.add(str(number), expires_at=float(number))
        self.add("later", expires_at=70.0)
        expired, following = store.expire(self.connection, 5.0, 10.0, 2)
        self.assertEqual(([entry.id for entry in expired], following), (["0", "1"], 2.0))
        expired, following = store.expire(self.connection, 5.0, 10.0, 2)
        self.assertEqual(([entry.state.value for entry in expired], following), (["expired"], 70.0))

    def test_reports(self) -> None:
        """A report from where the message went counts, once, and what was reported stays so (RFC 5438)."""
        self.add("one")

        def report(said: str, state: OutboxState | None, host: str = "B.example") -> str:
            found = store.report(self.connection, "one", host, said, state, 3.0)
            return "" if found is None else f"{found[0].state.value} {found[1].state.value} {found[1].report}"

        self.assertEqual(report("delivered", OutboxState.REPORTED, "c.example"), "")
        self.assertEqual(report("forbidden", None), "queued queued forbidden")
        self.assertEqual(report("delivered", OutboxState.REPORTED), "queued reported delivered")
        self.assertEqual(report("delivered", OutboxState.REPORTED), "")
        self.assertEqual(report("failed", OutboxState.FAILED), "")
        self.assertEqual(report("displayed", OutboxState.REPORTED), "reported reported displayed")
        self.assertEqual(report("delivered", OutboxState.REPORTED), "")
        self.assertIsNone(store.report(self.connection, "other", "b.example", "delivered", None, 3.0))
