"""Tests of :mod:`sip_p2p.endpoint.messaging.outbox_database`: the thread, on the real reactor."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

from twisted.internet import reactor

from sip_p2p.endpoint.messaging.outbox_database import OutboxDatabase
from sip_p2p.errors import OutboxFailed
from tests.support import TestCase


class DatabaseTests(TestCase):
    """One thread, one connection, one after the other."""

    async def test_in_order(self) -> None:
        """What is asked for is done in order, in another thread; what fails fails its own Deferred; and closing waits
        for the last."""
        database = OutboxDatabase(reactor, self.mktemp())
        done: list[Any] = []

        def note(connection: Any, what: str) -> int:
            done.append((what, threading.current_thread() is threading.main_thread()))
            return int(connection.execute("SELECT 7").fetchone()[0])

        def fail(connection: Any) -> None:
            raise OutboxFailed("no")

        first, broken, last = database.run(note, "a"), database.run(fail), database.run(note, "b")
        closing = database.close()
        self.assertEqual((await first, await last), (7, 7))
        await self.assertFailure(broken, OutboxFailed)
        await closing
        self.assertEqual(done, [("a", False), ("b", False)])

    async def test_no_file(self) -> None:
        """A file that cannot be had is refused before there is a thread."""
        with self.assertRaises(OutboxFailed):
            OutboxDatabase(reactor, f"{self.mktemp()}/x")
        self.assertTrue(sqlite3.threadsafety)
