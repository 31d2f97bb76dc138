"""What ``--check`` says of the outbox, of event packages and of subscriptions."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from sip_p2p.endpoint.messaging import outbox_store as store
from sip_p2p.service.applications.base import Application
from sip_p2p.service.diagnosis.check import check
from tests.endpoint.messaging.test_outbox_store import values
from tests.service.diagnosis.test_check import identity
from tests.service.support import parsed
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from sip_p2p.endpoint.incoming import IncomingRequest


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
        """row:M14: what can be watched, by whom, and what is watched is told; of a URI not its password."""
        said = self.found("--package", "presence", "--subscribe", "presence=sip:bob:hunter2@b.example")
        self.assertIn("ok    package: presence can be watched by whoever has proved the address in From", said)
        self.assertIn("ok    subscribe: presence of sip:bob", said)
        self.assertNotIn("hunter2", said)
        said = self.found("--package", "dialog")
        self.assertIn("ok    package: dialog can be watched by you alone", said)
        said = self.found("--package", "dialog", "--watchers", "b.example", "--watchers", "verified")
        self.assertIn("ok    package: dialog can be watched by b.example, whoever has proved the address in From", said)
        self.assertNotIn(" package: ", self.found())

    def test_published(self) -> None:
        """row:M14: who may publish is told, and an application that would take PUBLISH away from us is wrong."""
        publishers = ("--package", "presence", "--publishers", "verified", "--publishers", "b.example")
        said = self.found(*publishers)
        self.assertIn("for others to watch: whoever has proved it, b.example", said)
        self.assertIn("It would start.", said)
        said = self.found(*publishers, "--application", "tests.service.diagnosis.test_check_lives:Deciding")
        self.assertIn("WRONG publishers: tests.service.diagnosis.test_check_lives:Deciding takes PUBLISH itself", said)

    def test_nobody_proves(self) -> None:
        """row:M14: that nobody can watch where nobody can prove anything is told."""
        clear = ("--package", "presence", "--listen", "tcp:0")
        words = "note  watchers: all that is listened on is clear text"
        self.assertIn(words, check(parsed("--uri", "sip:alice@a.example", *clear)).text)
        self.assertNotIn(words, self.found("--package", "presence", "--listen", "tls:port=0", "--listen", "tcp:0"))
        self.assertNotIn(words, self.found("--package", "presence"))

    def test_who_is_asked(self) -> None:
        """row:M14: whom --watchers ask asks is told, and that nobody can answer."""
        ask = ("--package", "presence", "--watchers", "ask")
        self.assertIn("note  watchers: ask: echo decides nothing", self.found(*ask, "--application", "echo"))
        self.assertIn(
            "ok    watchers: everybody else who wants to watch waits until that is approved over HTTP",
            self.found(*ask, "--application", "control", "--http", "unix:/run/sip-p2p/control.sock"),
        )
        said = self.found(*ask, "--application", "tests.service.diagnosis.test_check_lives:Deciding")
        self.assertIn("ok    watchers: tests.service.diagnosis.test_check_lives:Deciding decides", said)

    def test_transfers(self) -> None:
        """row:M14: who takes over sessions, and who decides about REFERs, is told."""
        said = self.found("--application", "echo")
        self.assertIn("ok    replaces: a session of yours is taken over by the party that it is with\n", said)
        self.assertIn("ok    referrals: echo does not decide about REFERs of peers: they are refused", said)
        said = self.found("--replaces", "same", "--replaces", ".b.example", "--application", "control")
        self.assertIn("by the party that it is with, and .b.example\n", said)
        self.assertIn("ok    referrals: control decides about REFERs of peers", said)
        said = self.found("--replaces", "verified", "--application", "control", "--referrals", "decline")
        self.assertIn("note  replaces: whoever has proved the address in From", said)
        self.assertIn("ok    referrals: REFERs of peers are refused, and the application is not asked", said)
        self.assertIn("ok    replaces: nobody", self.found("--replaces", "off"))

    def test_application_missing(self) -> None:
        """row:M14: where the application cannot be had, that is said, and nothing of what it would decide."""
        said = self.found("--application", "none.such:Application", "--package", "presence", "--watchers", "ask")
        self.assertIn("WRONG application", said)
        self.assertNotIn(" referrals: ", said)
        self.assertNotIn(" watchers: ", said)


class Deciding(Application):
    """An application that decides who may watch, and takes what is published."""

    methods = ("PUBLISH",)

    def subscriber(self, request: IncomingRequest) -> bool:
        """Nobody."""
        return False
