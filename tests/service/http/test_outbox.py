"""The outbox over HTTP."""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from sip_p2p.service.applications.base import Application
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.lives.outbox import OutboxPart
from tests.service.http.support import ApiCase

TO = "sip:user@b.example"


class MemoryDatabase:
    """A database in memory that answers at once."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)

    def run(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """Do *function* with it."""
        return maybeDeferred(function, self._connection, *arguments)

    def close(self) -> Deferred[None]:
        """It is not needed any more."""
        return maybeDeferred(self._connection.close)


class OutboxTests(ApiCase):
    """Messages that are kept."""

    def serve(self, application: Application) -> ControlServer:
        """The service has an outbox."""
        server = super().serve(application)
        service = server.service
        part = OutboxPart(
            self.ours.connection_manager.reactor, service.happenings, self.ours, ":memory:", database=MemoryDatabase()
        )
        self.successResultOf(part.listen())
        service.outbox = part.outbox
        return server

    def test_from_beginning_to_end(self) -> None:
        """row:M14: a message is accepted, delivered, and told of."""
        got: list[str] = []
        self.theirs.message_received.subscribe(lambda event: got.append(event.text))
        made = self.ask("POST", "/v1/outbox", {"to": TO, "text": "hello", "id": "alarm-1"})
        self.assertEqual(
            (made.status, made.json["id"], made.headers["location"]), (202, "alarm-1", "/v1/outbox/alarm-1")
        )
        self.network.advance(2)
        self.assertEqual(got, ["hello"])
        found = self.get("/v1/outbox/alarm-1")
        self.assertEqual((found["state"], found["attempts"], found["status"]), ("delivered", 1, 200))
        again = self.ask("POST", "/v1/outbox", {"to": TO, "text": "hello", "id": "alarm-1"})
        self.network.advance(2)
        self.assertEqual((again.status, again.json["state"], got), (202, "delivered", ["hello"]))
        told = self.ask("GET", "/v1/events", None, {"Accept": "application/json"}).json["events"]
        self.assertEqual([each["state"] for each in told if each["event"] == "outbox"], ["delivered"])
        self.assertEqual(self.ask("DELETE", "/v1/outbox/alarm-1").status, 204)
        self.assert_problem(self.ask("DELETE", "/v1/outbox/alarm-1"), 404, "not-found")

    def test_pages(self) -> None:
        """A long list is read page by page, the oldest first, without the bodies."""
        self.theirs.message_received.subscribe(lambda event: 486)
        for number in range(3):
            self.ask("POST", "/v1/outbox", {"to": TO, "text": "a", "id": str(number)})
        first = self.get("/v1/outbox?limit=2")
        self.assertEqual([each["id"] for each in first["messages"]], ["0", "1"])
        self.assertNotIn("text", first["messages"][0])
        last = self.get(f"/v1/outbox?limit=2&after={first['next']}")
        self.assertEqual(([each["id"] for each in last["messages"]], last["next"], last["waiting"]), (["2"], None, 3))

    def test_tried_again(self) -> None:
        """What has failed is queued anew when that is asked for, and nothing else is."""
        self.theirs.message_received.subscribe(lambda event: 404)
        self.ask("POST", "/v1/outbox", {"to": TO, "text": "a", "id": "a"})
        self.network.advance(2)
        self.assertEqual(self.get("/v1/outbox/a")["state"], "failed")
        got = self.ask("POST", "/v1/outbox/a/retry")
        self.assertEqual((got.status, got.json["state"]), (200, "queued"))
        self.network.advance(2)
        self.assertEqual(self.get("/v1/outbox/a")["attempts"], 2)
        self.theirs.message_received.subscribe(lambda event: None)
        self.ask("POST", "/v1/outbox", {"to": "sip:user@nobody.example", "text": "a", "id": "c"})
        self.assert_problem(self.ask("POST", "/v1/outbox/c/retry"), 409, "conflict")
        self.assert_problem(self.ask("POST", "/v1/outbox/b/retry"), 404, "not-found")

    def test_passwords(self) -> None:
        """row:M11: the password of a URI is in nothing that is said of a message."""
        self.ask("POST", "/v1/outbox", {"to": "sip:user:hunter2@b.example", "text": "a", "id": "a"})
        self.network.advance(2)
        for path in ("/v1/outbox", "/v1/outbox/a", "/v1/events"):
            self.assertNotIn(b"hunter2", self.ask("GET", path, None, {"Accept": "application/json"}).content)


class WithoutTests(ApiCase):
    """A service without an outbox."""

    def test_without(self) -> None:
        """The problem says how there would be one."""
        members = self.assert_problem(self.ask("GET", "/v1/outbox"), 404, "not-found")
        self.assertIn("--outbox", members["detail"])
