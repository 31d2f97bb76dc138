"""Publications and our own presence over HTTP."""

from __future__ import annotations

from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.publication.compositor import EventStateCompositor
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from tests.service.http.support import ApiCase

WHO = "sip:user@b.example"
DOCUMENT = Presence.of("sip:user@a.example").to_bytes().decode()


class PublicationTests(ApiCase):
    """What a server keeps for us."""

    def setUp(self) -> None:
        """The peer keeps what is published there."""
        super().setUp()
        self.package = PresencePackage()
        self.kept = EventStateCompositor(self.theirs, [self.package], may_publish=lambda request, resource: True)

    def test_from_beginning_to_end(self) -> None:
        """row:M14: something is published, changed, refreshed and taken back."""
        got = self.ask("POST", "/v1/publications", {"event": "presence", "to": WHO, "text": DOCUMENT})
        self.assertEqual((got.status, got.json["state"]), (201, "asking"), got.content)
        place = got.headers["location"]
        self.network.advance(2)
        self.assertEqual((self.get(place)["state"], len(self.kept)), ("stands", 1))
        changed = Presence.of("sip:user@a.example", False).to_bytes().decode()
        self.assertEqual(self.ask("PUT", place, {"text": changed}).status, 200)
        self.network.advance(2)
        said = self.package.get(WHO)
        assert said is not None
        self.assertFalse(said.is_open)
        self.assertEqual(self.ask("POST", f"{place}/refresh").status, 200)
        self.network.advance(2)
        self.assertEqual(self.get("/v1/publications")["total"], 1)
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.network.advance(2)
        self.assertEqual((self.get(place)["state"], len(self.kept)), ("over", 0))
        self.assertEqual(self.get("/v1/publications?state=over")["total"], 1)
        self.assert_problem(self.ask("PUT", place, {"text": changed}), 409, "conflict")

    def test_refused(self) -> None:
        """A server that does not want it is told of where it was asked for."""
        self.kept.close()
        self.ask("POST", "/v1/publications", {"event": "presence", "to": WHO, "text": DOCUMENT}, {"Prefer": "wait=5"})
        self.network.advance(2)
        found = self.client.got.json
        self.assertEqual(found["state"], "over")
        self.assertIn("405", found["failure"]["words"])

    def test_wrong(self) -> None:
        """What has no body is not published."""
        self.assert_problem(self.ask("POST", "/v1/publications", {"event": "presence"}), 422, "invalid-content")


class PresenceTests(ApiCase):
    """Our own."""

    def test_without(self) -> None:
        """Where the package is not on, the problem says how it is put on."""
        members = self.assert_problem(self.ask("GET", "/v1/presence"), 404, "not-found")
        self.assertIn("--package presence", members["detail"])

    def test_told(self) -> None:
        """What is put there is told to who has subscribed."""
        self.ours.packages.add(PresencePackage())
        self.assertEqual(self.get("/v1/presence"), {"status": "unknown", "watchers": 0})
        subscribing = self.theirs.subscribe("sip:user@a.example", "presence")
        self.network.advance(2)
        theirs = self.successResultOf(subscribing)
        told: list[Presence] = []
        theirs.notification_received.subscribe(lambda each: told.append(each.document))
        got = self.ask("PUT", "/v1/presence", {"status": "closed", "note": "away", "activities": ["meeting"]})
        self.assertEqual((got.status, got.json["status"], got.json["watchers"]), (200, "closed", 1), got.content)
        self.assertEqual((got.json["activities"], got.json["notes"]), (["meeting"], ["away"]))
        self.network.advance(8)
        self.assertEqual([(each.is_open, each.activities) for each in told], [(False, ("meeting",))])
        got = self.ask("PUT", "/v1/presence", {"text": DOCUMENT})
        self.assertEqual((got.status, got.json["status"]), (200, "open"))
        self.assertEqual(self.ask("DELETE", "/v1/presence").status, 204)
        self.assertEqual(self.get("/v1/presence")["status"], "unknown")
        self.assert_problem(self.ask("PUT", "/v1/presence", {"text": "<a"}), 422, "invalid-content")
        self.assert_problem(self.ask("PUT", "/v1/presence", {"text": DOCUMENT, "note": "a"}), 422, "invalid-content")
