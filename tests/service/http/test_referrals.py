"""Referrals and transfers over HTTP."""

from __future__ import annotations

from typing import Any

from tests.service.http.support import SDP, ApiCase

WHO = "sip:user@b.example"
CAROL = "sip:carol@c.example"


class OwnTests(ApiCase):
    """REFERs that the API sends."""

    def setUp(self) -> None:
        """The peer keeps what it is asked."""
        super().setUp()
        self.asked: list[Any] = []
        self.theirs.refer_received.subscribe(self._take)

    def _take(self, referral: Any) -> None:
        referral.defer()
        self.asked.append(referral)

    def test_from_beginning_to_end(self) -> None:
        """row:M14: a REFER is sent, accepted, and its outcome is there."""
        got = self.ask("POST", "/v1/referrals", {"peer": WHO, "to": CAROL})
        self.assertEqual((got.status, got.json["direction"], got.json["state"]), (201, "out", "referring"))
        place = got.headers["location"]
        self.network.advance(1)
        (asked,) = self.asked
        asked.accept(False)
        asked.progress(180)
        self.network.advance(1)
        self.assertEqual(self.get(place)["state"], "progressing")
        self.assertEqual(self.get("/v1/referrals?direction=out")["total"], 1)
        asked.progress(486)
        self.network.advance(1)
        found = self.get(place)
        self.assertEqual((found["state"], found["status"], found["to"]), ("failed", 486, CAROL))
        self.assertEqual(self.get("/v1/referrals?is_over=true")["total"], 1)

    def test_declined(self) -> None:
        """A peer that does not want to is told of where it was asked."""
        self.client.ask("POST", "/v1/referrals", {"peer": WHO, "to": CAROL}, {"Prefer": "wait=5"})
        self.network.advance(1)
        self.asked[0].decline()
        self.network.advance(1)
        found = self.client.got.json
        self.assertEqual(found["state"], "failed")
        self.assertIn("603", found["failure"]["words"])

    def test_stopped(self) -> None:
        """One that nobody wants to hear of any more is stopped."""
        place = self.ask("POST", "/v1/referrals", {"peer": WHO, "to": CAROL}).headers["location"]
        self.network.advance(1)
        self.asked[0].accept(False)
        self.network.advance(1)
        self.assertEqual(self.ask("DELETE", place).status, 204)
        self.network.advance(1)
        self.assertEqual(self.get(place)["state"], "terminated")
        self.assert_problem(self.ask("POST", f"{place}/accept"), 409, "conflict")


class TheirTests(ApiCase):
    """REFERs of peers, which the application leaves to the API."""

    def refer(self) -> Any:
        """The peer asks us to call carol."""
        referring = self.theirs.refer("sip:user@a.example", CAROL)
        self.network.advance(1)
        return referring

    def test_declined(self) -> None:
        """row:I5: a peer's REFER waits for the API, which declines it."""
        referring = self.refer()
        (found,) = self.get("/v1/referrals?direction=in")["referrals"]
        self.assertEqual((found["state"], found["to"], found["peer"]), ("waiting", CAROL, "b.example"))
        got = self.ask("POST", f"/v1/referrals/{found['id']}/decline", {"status": 486})
        self.assertEqual((got.status, got.json["state"], got.json["status"]), (200, "declined", 486))
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 486)
        self.assert_problem(self.ask("POST", f"/v1/referrals/{found['id']}/accept"), 409, "conflict")

    def test_accepted(self) -> None:
        """row:I5: the API accepts it, and the call that comes of it is a session as others."""
        carol = self.network.party(CAROL)
        carol.session_received.subscribe(lambda session: session.reject(486))
        referring = self.refer()
        (found,) = self.get("/v1/referrals")["referrals"]
        got = self.ask("POST", f"/v1/referrals/{found['id']}/accept", {"description": SDP})
        self.assertEqual((got.status, got.json["state"]), (200, "accepted"))
        self.network.advance(2)
        referral = self.successResultOf(referring)
        self.assertEqual(referral.outcome.status, 486)
        made = self.get(f"/v1/sessions/{got.json['made']}")
        self.assertEqual((made["state"], made["status"]), ("disconnected", 486))
        self.assertEqual(self.get(f"/v1/referrals/{found['id']}")["state"], "over")

    def test_accepted_without_a_word(self) -> None:
        """row:I5: a call for which no description is given offers silence, and stands."""
        carol = self.network.party(CAROL)
        carol.session_received.subscribe(lambda session: session.accept(SDP))
        referring = self.refer()
        got = self.ask("POST", "/v1/referrals/1/accept")
        self.assertEqual((got.status, got.json["state"]), (200, "accepted"))
        self.network.advance(2)
        self.assertEqual(self.successResultOf(referring).outcome.status, 200)
        made = self.get(f"/v1/sessions/{got.json['made']}")
        self.assertEqual(made["state"], "connected")
        self.assertIn("m=audio", made["local_description"]["text"])

    def test_undecided(self) -> None:
        """fault:D5: what nobody decides about is declined while the peer still waits."""
        referring = self.refer()
        self.network.advance(25)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 603)

    def test_deleted(self) -> None:
        """One that waits is declined when it is deleted."""
        referring = self.refer()
        self.assertEqual(self.ask("DELETE", "/v1/referrals/1").status, 204)
        self.network.advance(1)
        self.assertEqual(self.failureResultOf(referring).value.response.status, 603)


class TransferTests(ApiCase):
    """Sessions that are transferred."""

    def call(self) -> str:
        """A session with the peer; returns its place."""
        self.theirs.session_received.subscribe(lambda session: session.accept(SDP))
        place: str = self.ask("POST", "/v1/sessions", {"to": WHO, "description": SDP}).headers["location"]
        self.network.advance(2)
        self.assertEqual(self.get(place)["state"], "connected")
        return place

    def test_blind(self) -> None:
        """row:I1: the peer calls somebody else in our place, and the session is over then."""
        place = self.call()
        carol = self.network.party(CAROL)
        carol.session_received.subscribe(lambda session: session.accept(SDP))
        self.theirs.refer_received.subscribe(lambda referral: referral.accept(offer=SDP) and None)
        self.ask("POST", f"{place}/transfer", {"to": CAROL}, {"Prefer": "wait=10"})
        self.network.advance(5)
        found = self.client.got.json
        self.assertEqual((found["method"], found["state"], found["response"]["status"]), ("REFER", "answered", 200))
        self.assertEqual(self.get(place)["state"], "disconnected")

    def test_refused(self) -> None:
        """A peer that declines is told of, and the session goes on."""
        place = self.call()
        self.ask("POST", f"{place}/transfer", {"to": CAROL}, {"Prefer": "wait=10"})
        self.network.advance(5)
        found = self.client.got.json
        self.assertEqual((found["state"], found["response"]["status"]), ("failed", 603))
        self.assertEqual(self.get(place)["state"], "connected")

    def test_attended(self) -> None:
        """row:I9: the peers of two sessions are brought together."""
        first = self.call()
        carol = self.network.party(CAROL, replaces_policy=lambda replacement: True)
        carol.session_received.subscribe(lambda session: session.accept(SDP))
        second = self.ask("POST", "/v1/sessions", {"to": CAROL, "description": SDP}).headers["location"]
        self.network.advance(2)
        self.theirs.refer_received.subscribe(lambda referral: referral.accept(offer=SDP) and None)
        number = second.rpartition("/")[2]
        self.ask("POST", f"{first}/transfer", {"session": number}, {"Prefer": "wait=10"})
        self.network.advance(5)
        self.assertEqual(self.client.got.json["state"], "answered", self.client.got.json)
        self.assertEqual([self.get(each)["state"] for each in (first, second)], ["disconnected", "disconnected"])

    def test_wrong(self) -> None:
        """One of the two is said, and not both."""
        place = self.call()
        for given in ({}, {"to": CAROL, "session": "1"}):
            self.assert_problem(self.ask("POST", f"{place}/transfer", given), 422, "invalid-content")
