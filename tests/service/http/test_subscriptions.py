"""Subscriptions over HTTP: ours with what was notified, and those of peers."""

from __future__ import annotations

from typing import Any

from sip_p2p.endpoint.subscription.package import EventPackage, Verdict
from tests.service.http.support import ApiCase

TO = "sip:user@b.example"


class Alarm(EventPackage):
    """A package whose state is a text."""

    name = "x-alarm"
    content_types = ("text/plain",)
    said = "quiet"
    verdict = Verdict.accept()

    def authorise(self, request: Any) -> Verdict:
        """As the test says."""
        return self.verdict

    def state(self, subscription: object) -> tuple[str, bytes]:
        """What is said."""
        return "text/plain", self.said.encode()


class OwnTests(ApiCase):
    """Subscriptions that the API begins."""

    def setUp(self) -> None:
        """The peer has a package."""
        super().setUp()
        self.alarm = Alarm()
        self.theirs.packages.add(self.alarm)

    def begin(self, **further: object) -> str:
        """Begin one, and let it stand; returns its place."""
        got = self.ask("POST", "/v1/subscriptions", {"to": TO, "event": "x-alarm", **further})
        self.assertEqual((got.status, got.json["state"]), (201, "subscribing"), got.content)
        self.network.advance(2)
        place: str = got.headers["location"]
        return place

    def test_from_beginning_to_end(self) -> None:
        """row:M14: a subscription that was begun stands, hears of changes, and is ended."""
        place = self.begin()
        found = self.get(place)
        self.assertEqual((found["state"], found["peer"], found["count"]), ("subscribed", "b.example", 1))
        self.alarm.said = "fire"
        self.alarm.changed()
        self.network.advance(2)
        found = self.get(place)
        self.assertEqual([each["text"] for each in found["notifications"]], ["fire", "quiet"])
        listed = self.get("/v1/subscriptions")
        self.assertEqual((listed["total"], listed["subscriptions"][0]["id"]), (1, found["id"]))
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.network.advance(2)
        self.assertEqual(self.get(place)["state"], "terminated")
        self.assertEqual(self.get("/v1/subscriptions")["subscriptions"], [])
        self.assertEqual(self.get("/v1/subscriptions?state=terminated")["total"], 1)
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.assert_problem(self.ask("POST", f"{place}/refresh"), 409, "conflict")

    def test_waited_for(self) -> None:
        """row:M14: whoever waits for a subscription gets what was notified first with it."""
        self.ask("POST", "/v1/subscriptions", {"to": TO, "event": "x-alarm"}, {"Prefer": "wait=5"})
        self.network.advance(2)
        got = self.client.got
        self.assertEqual((got.status, got.json["state"], got.json["count"]), (201, "subscribed", 1))
        self.assertEqual([each["text"] for each in got.json["notifications"]], ["quiet"])

    def test_refused(self) -> None:
        """Why a subscription came to nothing is said where it was asked for."""
        self.alarm.verdict = Verdict.reject()
        self.ask("POST", "/v1/subscriptions", {"to": TO, "event": "x-alarm"}, {"Prefer": "wait=5"})
        self.network.advance(2)
        got = self.client.got
        self.assertEqual((got.status, got.json["state"]), (201, "terminated"))
        self.assertIn("403", got.json["failure"]["words"])

    def test_refreshed(self) -> None:
        """A refresh is a request as any other, and may say something else."""
        place = self.begin()
        self.ask("POST", f"{place}/refresh", {"text": "all"}, {"Prefer": "wait=5"})
        self.network.advance(2)
        self.assertEqual(self.client.got.json["response"]["status"], 200)
        self.assertEqual(self.get(place)["count"], 2)

    def test_events(self) -> None:
        """What happens to it is told as events, the bodies of its notifications among them."""
        self.begin()
        told = self.ask("GET", "/v1/events", None, {"Accept": "application/json"}).json["events"]
        found = [each for each in told if each.get("subscription") == 1]
        self.assertEqual(
            [each["event"] for each in found],
            ["subscription", "subscription-state", "subscription-state", "notification"],
        )
        self.assertEqual(
            (found[-1]["text"], found[-1]["package"], found[-1]["peer"]), ("quiet", "x-alarm", "b.example")
        )

    def test_wrong(self) -> None:
        """What cannot be subscribed to is refused at once, and nothing is there afterwards."""
        self.assert_problem(self.ask("POST", "/v1/subscriptions", {"to": TO, "event": "a b"}), 422, "invalid-content")
        self.assert_problem(self.ask("GET", "/v1/subscriptions/1"), 404, "not-found")


class TheirTests(ApiCase):
    """Subscriptions of peers."""

    def setUp(self) -> None:
        """We have a package."""
        super().setUp()
        self.alarm = Alarm()
        self.ours.packages.add(self.alarm)

    def watch(self) -> Any:
        """The peer subscribes."""
        subscribing = self.theirs.subscribe("sip:user@a.example", "x-alarm")
        self.network.advance(2)
        return self.successResultOf(subscribing)

    def test_from_beginning_to_end(self) -> None:
        """Who watches us is listed, and can be sent away."""
        theirs = self.watch()
        (found,) = self.get("/v1/subscribers")["subscribers"]
        self.assertEqual(
            (found["event"], found["resource"], found["state"], found["is_verified"]),
            ("x-alarm", "sip:user@a.example", "active", True),
        )
        self.assertEqual(self.get("/v1/subscribers?event=presence")["total"], 0)
        place = f"/v1/subscribers/{found['id']}"
        self.assertEqual(self.get(place)["peer"], "b.example")
        self.assertEqual(self.ask("DELETE", f"{place}?reason=rejected").status, 204)
        self.network.advance(2)
        self.assertEqual((theirs.is_over, theirs.reason), (True, "rejected"))
        self.assert_problem(self.ask("GET", place), 404, "not-found")

    def test_approved(self) -> None:
        """One that waits knows nothing until it is approved."""
        self.alarm.verdict = Verdict.pending()
        theirs = self.watch()
        self.assertTrue(theirs.is_pending)
        (found,) = self.get("/v1/subscribers?state=pending")["subscribers"]
        got = self.ask("POST", f"/v1/subscribers/{found['id']}/approve")
        self.assertEqual((got.status, got.json["state"]), (200, "active"))
        self.network.advance(2)
        self.assertFalse(theirs.is_pending)
        told = self.ask("GET", "/v1/events", None, {"Accept": "application/json"}).json["events"]
        states = [(each["event"], each["state"]) for each in told if "subscriber" in each]
        self.assertEqual(states, [("subscriber", "pending"), ("subscriber-state", "active")])
