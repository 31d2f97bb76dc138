"""Sessions over HTTP: begun, answered, changed and ended."""

from __future__ import annotations

from typing import Any

from sip_p2p.service.http.sessions import MOST_ENDED
from sip_p2p.service.silence import Echo
from tests.service.http.support import SDP, ApiCase

TO = "sip:user@b.example"


def _listed(session: dict[str, Any]) -> dict[str, Any]:
    """A session as a list has it: without what was agreed."""
    return {name: session[name] for name in session if not name.endswith("_description")}


class OutgoingTests(ApiCase):
    """Sessions that the API begins."""

    def setUp(self) -> None:
        """The peer keeps the sessions that it is asked for."""
        super().setUp()
        self.asked: list[Any] = []
        self.theirs.session_received.subscribe(self.asked.append)

    def begin(self) -> str:
        """Begin one, and let it ring there; returns its place."""
        got = self.ask("POST", "/v1/sessions", {"to": TO, "description": SDP})
        self.assertEqual((got.status, got.json["state"], got.json["direction"]), (201, "connecting", "out"))
        self.network.advance(2)
        place: str = got.headers["location"]
        return place

    def test_from_beginning_to_end(self) -> None:
        """row:M14: a session that was begun rings, stands, carries a message, and is ended."""
        place = self.begin()
        (asked,) = self.asked
        asked.ring()
        self.network.advance(1)
        self.assertEqual((self.get(place)["state"], self.get(place)["status"]), ("alerted", 180))
        asked.message_received.subscribe(lambda event: None)
        asked.accept(SDP)
        self.network.advance(1)
        found = self.get(place)
        self.assertEqual((found["state"], found["peer"], found["remote"]), ("connected", "b.example", TO))
        self.assertEqual(found["remote_description"]["text"], SDP)
        self.ask("POST", f"{place}/messages", {"text": "hello"}, {"Prefer": "wait=5"})
        self.network.advance(1)
        sent = self.client.got.json
        self.assertEqual((sent["session"], sent["response"]["status"]), (found["id"], 200))
        self.assertEqual([each["id"] for each in self.get("/v1/sessions")["sessions"]], [found["id"]])
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.network.advance(1)
        ended = self.get(place)
        self.assertEqual((ended["state"], ended["reason"]), ("disconnected", "terminated_locally"))
        self.assertEqual(self.get("/v1/sessions")["sessions"], [])
        self.assertEqual(self.get("/v1/sessions?state=disconnected")["sessions"], [_listed(ended)])
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.assert_problem(self.ask("POST", f"{place}/messages", {"text": "a"}), 409, "conflict")

    def test_without_a_description(self) -> None:
        """One that is begun without a description offers silence, and stands: nobody could answer the peer's offer."""
        place = self.ask("POST", "/v1/sessions", {"to": TO}).headers["location"]
        self.network.advance(2)
        self.asked[0].accept(Echo())
        self.network.advance(1)
        found = self.get(place)
        self.assertEqual(found["state"], "connected")
        self.assertIn("m=audio 9 ", found["local_description"]["text"])

    def test_pages(self) -> None:
        """A long list is read page by page, the newest sessions first."""
        numbers = [self.get(self.begin())["id"] for _ in range(3)]
        first = self.get("/v1/sessions?limit=2")
        self.assertEqual(([each["id"] for each in first["sessions"]], first["total"]), (numbers[:0:-1], 3))
        last = self.get(f"/v1/sessions?limit=2&after={first['next']}")
        self.assertEqual(([each["id"] for each in last["sessions"]], last["next"]), (numbers[:1], None))

    def test_passwords(self) -> None:
        """row:M11: what is said of who takes part, in the API and in events, has lost the passwords of URIs."""
        made = self.theirs.create_session("sip:user:hunter2@a.example")
        made.establish(SDP).addErrback(lambda failure: None)
        self.ask("POST", "/v1/sessions", {"to": "sip:user:hunter2@b.example", "description": SDP})
        self.ask("POST", "/v1/messages", {"to": "sip:user:hunter2@b.example", "text": "a"})
        self.network.advance(2)
        for path in ("/v1/sessions", "/v1/requests", "/v1/events"):
            got = self.ask("GET", path, None, {"Accept": "application/json"})
            self.assertNotIn(b"hunter2", got.content, path)
            self.assertIn(b"sip:user:***@", got.content, path)

    def test_refused(self) -> None:
        """A session that the peer refuses has ended, with its status and in words."""
        place = self.begin()
        self.asked[0].reject(486)
        self.network.advance(1)
        found = self.get(place)
        self.assertEqual((found["state"], found["reason"], found["status"]), ("disconnected", "busy", 486))
        self.assertEqual(found["failure"]["error"], "RequestFailed")

    def test_called_off(self) -> None:
        """A session that rings is called off by DELETE."""
        place = self.begin()
        self.ask("DELETE", place)
        self.network.advance(1)
        self.assertTrue(self.asked[0].is_over)

    def test_renegotiated(self) -> None:
        """A change is a request whose outcome is the peer's answer."""
        place = self.begin()
        self.asked[0].accept(Echo())
        self.network.advance(1)
        got = self.ask("POST", f"{place}/renegotiate", {"description": SDP.replace("9000", "9002")})
        self.assertEqual((got.status, got.json["method"]), (202, "INVITE"))
        self.network.advance(1)
        found = self.get(got.headers["location"])
        self.assertEqual((found["state"], found["description"]["content_type"]), ("answered", "application/sdp"))
        self.assertIn("9002", found["description"]["text"])

    def test_another_request(self) -> None:
        """A request of another method is sent in the session; what the peer does not take has failed."""
        place = self.begin()
        self.asked[0].accept(SDP)
        self.network.advance(1)
        got = self.ask("POST", f"{place}/requests", {"method": "SUBSCRIBE"})
        self.network.advance(1)
        self.assertEqual(self.get(got.headers["location"])["state"], "failed")
        self.assert_problem(self.ask("POST", f"{place}/requests", {"method": "BYE"}), 409, "conflict")

    def test_the_same_key(self) -> None:
        """A session that is begun again with its Idempotency-Key is the same one."""
        places = {
            self.ask("POST", "/v1/sessions", {"to": TO, "description": SDP}, {"Idempotency-Key": "k"}).headers[
                "location"
            ]
            for _ in range(2)
        }
        self.network.advance(2)
        self.assertEqual((len(places), len(self.asked)), (1, 1))

    def test_what_cannot_be_begun(self) -> None:
        """What is no URI or no description is refused, and no session begins."""
        for content in (
            {"to": "nobody"},
            {"to": TO, "description": ""},
            {"to": TO, "description": "x", "content_type": "nothing"},
            {"to": TO, "headers": [{"name": "To", "value": "x"}]},
        ):
            self.assert_problem(self.ask("POST", "/v1/sessions", content), 422, "invalid-content")
        self.assertEqual(self.get("/v1/sessions")["sessions"], [])
        self.assert_problem(self.ask("GET", "/v1/sessions/1"), 404, "not-found")

    def test_bound(self) -> None:
        """Only so many sessions are remembered after their end."""
        for _ in range(MOST_ENDED + 1):
            self.ask("DELETE", self.ask("POST", "/v1/sessions", {"to": TO, "description": SDP}).headers["location"])
        self.assertEqual(len(self.get("/v1/sessions?state=disconnected")["sessions"]), MOST_ENDED)
        self.assert_problem(self.ask("GET", "/v1/sessions/1"), 404, "not-found")


class IncomingTests(ApiCase):
    """Sessions of peers that wait for the API."""

    def come(self) -> tuple[str, Any]:
        """A peer calls; its session's place here, and its session there."""
        calling = self.theirs.create_session("sip:user@a.example", max_redirects=0)
        calling.establish(SDP).addErrback(lambda failure: None)
        self.network.advance(1)
        (found,) = self.get("/v1/sessions?state=incoming")["sessions"]
        return f"/v1/sessions/{found['id']}", calling

    def test_accepted(self) -> None:
        """row:M14: a session that waits shows its offer and the peer that was verified, and is accepted."""
        place, calling = self.come()
        found = self.get(place)
        self.assertEqual((found["direction"], found["peer"], found["offer"]["text"]), ("in", "b.example", SDP))
        self.assertEqual(calling.state.name, "ALERTED")
        self.assertEqual(self.ask("POST", f"{place}/ring", {"status": 183}).status, 200)
        got = self.ask("POST", f"{place}/answer", {"description": SDP})
        self.assertEqual((got.status, got.json["state"]), (200, "connecting"))
        self.network.advance(1)
        self.assertEqual((self.get(place)["state"], calling.state.name), ("connected", "CONNECTED"))
        self.assert_problem(self.ask("POST", f"{place}/answer", {"description": SDP}), 409, "conflict")

    def test_accepted_and_waited_for(self) -> None:
        """Who prefers to wait (RFC 7240) gets the session as it is once it stands."""
        place, _ = self.come()
        self.ask("POST", f"{place}/answer", {"description": SDP}, {"Prefer": "wait=5"})
        self.network.advance(1)
        got = self.client.got
        self.assertEqual((got.status, got.json["state"]), (200, "connected"))
        self.assertEqual(got.headers["preference-applied"], "wait=5")

    def test_rejected(self) -> None:
        """It is refused with the status that was asked for."""
        place, calling = self.come()
        self.assertEqual(
            self.ask("POST", f"{place}/reject", {"status": 603, "reason": "No"}).json["state"], "disconnected"
        )
        self.network.advance(1)
        self.assertTrue(calling.is_over)
        self.assert_problem(self.ask("POST", f"{place}/ring"), 409, "conflict")

    def test_redirected(self) -> None:
        """It is sent elsewhere."""
        place, calling = self.come()
        self.ask("POST", f"{place}/redirect", {"contacts": ["sip:user@c.example"]})
        self.network.advance(1)
        self.assertTrue(calling.is_over)

    def test_accepted_without_an_answer(self) -> None:
        """An offer needs an answer: without one it is refused, and still waits."""
        place, _ = self.come()
        self.assertEqual(self.ask("POST", f"{place}/answer").json["status"], 409)
        self.assertEqual(self.get(place)["state"], "incoming")

    def test_called_off(self) -> None:
        """When the caller gives up, the session has ended."""
        place, calling = self.come()
        calling.terminate()
        self.network.advance(1)
        self.assertEqual((self.get(place)["state"], self.get(place)["reason"]), ("disconnected", "canceled"))
