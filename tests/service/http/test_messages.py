"""Requests that the API sends, and what becomes of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p.service.http.messages import MOST_KEPT, MOST_PENDING, Requests
from sip_p2p.service.http.problems import Problem
from tests.service.http.support import ApiCase, Client
from tests.support import SynchronousTestCase

TO = "sip:user@b.example"


class SendTests(ApiCase):
    """A message to a peer."""

    def setUp(self) -> None:
        """The peer keeps what it hears."""
        super().setUp()
        self.heard: list[Any] = []
        self.theirs.message_received.subscribe(self.heard.append)

    def test_a_message(self) -> None:
        """row:M14: a message is accepted with the place where its outcome is, and that is the peer's answer."""
        got = self.ask(
            "POST", "/v1/messages", {"to": TO, "text": "h\u00e9", "headers": [{"name": "Subject", "value": "x"}]}
        )
        self.assertEqual((got.status, got.json["state"]), (202, "pending"))
        self.network.advance(2)
        found = self.get(got.headers["location"])
        self.assertEqual((found["state"], found["response"]["status"]), ("answered", 200))
        (event,) = self.heard
        self.assertEqual((event.text, event.request.headers["Subject"]), ("h\u00e9", "x"))
        self.assertEqual([each["id"] for each in self.get("/v1/requests?state=answered")["requests"]], [found["id"]])
        self.assertEqual(self.get("/v1/requests?state=failed")["requests"], [])

    def test_octets(self) -> None:
        """A body may be octets in base 64, which have to say what they are."""
        body = {"to": TO, "body_base64": "AP8=", "content_type": "application/octet-stream"}
        self.ask("POST", "/v1/messages", body, {"Prefer": "wait=5"})
        self.network.advance(2)
        self.assertEqual(self.heard[0].body, b"\x00\xff")
        for wrong in ({"body_base64": "AP8="}, {"body_base64": "*"}, {"text": "a", "body_base64": "AP8="}):
            self.assert_problem(self.ask("POST", "/v1/messages", {"to": TO, **wrong}), 422, "invalid-content")

    def test_wait(self) -> None:
        """RFC 7240 section 4.3: with ``Prefer: wait`` the outcome itself is the answer, if it comes in time."""
        self.ask("POST", "/v1/messages", {"to": TO, "text": "a"}, {"Prefer": 'respond-async, wait="5"'})
        self.network.advance(2)
        got = self.client.got
        self.assertEqual(
            (got.status, got.json["state"], got.headers["preference-applied"]), (200, "answered", "wait=5")
        )
        self.assertIn("content-location", got.headers)

    def test_wait_in_vain(self) -> None:
        """When the time is over before the outcome, the answer is 202 as without it; asking again may wait, too."""
        never: Deferred[int] = Deferred()
        self.theirs.message_received.subscribe(lambda event: never)
        self.theirs.message_received.unsubscribe(self.heard.append)
        self.client.ask("POST", "/v1/messages", {"to": TO, "text": "a"}, {"Prefer": "wait=3"})
        self.network.advance(2)
        self.assertEqual(self.client.wire.value(), b"")
        self.network.advance(2)
        got = self.client.got
        self.assertEqual((got.status, got.json["state"]), (202, "pending"))
        self.client.clear()
        self.client.ask("GET", got.headers["location"], None, {"Prefer": "wait=9"})
        never.callback(202)
        self.network.advance(2)
        self.assertEqual(self.client.got.json["response"]["status"], 202)

    def test_who_waits_and_goes(self) -> None:
        """Who goes while it waits disturbs nothing, and the request lives on."""
        client = Client(self.factory)
        client.ask("POST", "/v1/messages", {"to": TO, "text": "a"}, {"Prefer": "wait=5"})
        client.wire.end()
        self.network.advance(2)
        self.assertEqual(self.get("/v1/requests/1")["state"], "answered")

    def test_a_refusal(self) -> None:
        """A peer that refuses is a failed request, in words and with its response."""
        got = self.ask(
            "POST", "/v1/requests", {"to": TO, "method": "PUBLISH", "headers": [{"name": "Event", "value": "x"}]}
        )
        self.network.advance(2)
        found = self.get(got.headers["location"])
        self.assertEqual((found["state"], found["response"]["status"]), ("failed", 405))
        self.assertEqual(found["failure"]["error"], "RequestFailed")
        self.assertTrue(found["failure"]["words"] and found["failure"]["remedy"])

    def test_no_way(self) -> None:
        """A peer that cannot be reached is a failed request, too."""
        got = self.ask("POST", "/v1/messages", {"to": "sip:user@nowhere.example", "text": "a"})
        self.network.advance(60)
        self.assertEqual(self.get(got.headers["location"])["failure"]["error"], "ConnectionFailure")

    def test_what_cannot_be_sent(self) -> None:
        """What can stand in no request is refused at once, and leaves nothing behind."""
        for path, content, status, kind in (
            ("messages", {"to": "nobody"}, 422, "invalid-content"),
            ("messages", {"to": TO, "headers": [{"name": "Subject", "value": "a\r\nX: y"}]}, 422, "invalid-content"),
            ("messages", {"to": TO, "headers": [{"name": "Via", "value": "a"}]}, 422, "invalid-content"),
            ("messages", {"to": TO, "text": "a", "content_type": "nothing"}, 422, "invalid-content"),
            ("requests", {"to": TO, "method": "A B"}, 422, "invalid-content"),
            ("requests", {"to": TO, "method": "INVITE"}, 409, "conflict"),
            ("messages", {"to": TO, "from": "sip:other@c.example"}, 409, "conflict"),
        ):
            got = self.ask("POST", f"/v1/{path}", content)
            self.assert_problem(got, status, kind)
        self.assertEqual(self.get("/v1/requests")["requests"], [])
        self.assertEqual(self.heard, [])

    def test_the_same_key(self) -> None:
        """A request that is sent again with its Idempotency-Key is not sent again to the peer."""
        places = set()
        for _ in range(3):
            got = self.ask("POST", "/v1/messages", {"to": TO, "text": "a"}, {"Idempotency-Key": "k1"})
            places.add(got.headers["location"])
            self.network.advance(2)
        self.assertEqual((len(places), len(self.heard)), (1, 1))
        got = self.ask("POST", "/v1/messages", {"to": TO, "text": "b"}, {"Idempotency-Key": "k1"})
        self.assert_problem(got, 422, "key-reused")

    def test_cancel(self) -> None:
        """A request that is waited for no longer has failed, and says so."""
        self.theirs.message_received.subscribe(lambda event: Deferred())
        self.theirs.message_received.unsubscribe(self.heard.append)
        got = self.ask("POST", "/v1/messages", {"to": TO, "text": "a"})
        self.network.advance(2)
        self.assertEqual(self.ask("DELETE", got.headers["location"]).status, 204)
        self.assertEqual(self.get(got.headers["location"])["failure"]["error"], "Cancelled")
        self.assert_problem(self.ask("DELETE", "/v1/requests/99"), 404, "not-found")


class RequestsTests(SynchronousTestCase):
    """What is remembered."""

    def test_bounds(self) -> None:
        """There are only so many under way, and only so many are remembered; the oldest that has ended gives way."""
        requests = Requests(None)
        waiting: list[Deferred[Any]] = [Deferred() for _ in range(MOST_PENDING)]
        for each in waiting:
            requests.begin("MESSAGE", TO, lambda each=each: each)  # type: ignore[misc]
        with self.assertRaises(Problem) as caught:
            requests.begin("MESSAGE", TO, Deferred)
        self.assertEqual(caught.exception.kind, "too-many")
        waiting[1].callback(None)
        for _ in range(MOST_KEPT):
            running: Deferred[Any] = Deferred()
            requests.begin("MESSAGE", TO, lambda running=running: running)  # type: ignore[misc]
            running.callback(None)
        self.assertEqual(len(requests.newest_first), MOST_KEPT)
        self.assertTrue(requests.find("1").is_pending)
        self.assertRaises(Problem, requests.find, "2")
        requests.cancel_all()
        self.assertEqual(requests.pending, 0)
