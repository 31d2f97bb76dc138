"""The service, its flows, identities, certificates and failures over HTTP."""

from __future__ import annotations

from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.service.http.party import MOST_FAILURES, Failures
from sip_p2p.service.http.problems import KINDS
from tests.service.http.support import ApiCase
from tests.support import SynchronousTestCase


class PartyTests(ApiCase):
    """What there is to see."""

    def test_service(self) -> None:
        """The service tells who it is, where it listens and how it is."""
        found = self.get("/v1")
        self.assertEqual((found["uri"], found["state"], found["is_ready"]), ("sip:user@a.example", "connected", True))
        self.assertEqual(found["listening"][0]["transport"], "TLS")
        self.assertEqual(found["application"], "ControlApplication")

    def test_what_it_has(self) -> None:
        """The service tells what it has of what options bring, so that nobody has to try."""
        found = self.get("/v1")
        self.assertEqual(
            {name: found[name] for name in ("packages", "has_outbox", "registers", "takes_referrals")},
            {"packages": [], "has_outbox": False, "registers": False, "takes_referrals": True},
        )
        self.ours.packages.add(PresencePackage())
        self.assertEqual(self.get("/v1")["packages"], ["presence"])

    def test_flows(self) -> None:
        """row:M14: each connection is there with the identity that its peer has proved, and can be closed."""
        self.network.run_until(self.theirs.send_message("sip:user@a.example", "hello"))
        (flow,) = self.get("/v1/flows")["flows"]
        self.assertEqual((flow["direction"], flow["peer"], flow["is_verified"]), ("in", "b.example", True))
        self.assertEqual((flow["trusted_by"], flow["messages_in"]), ("authority", 1))
        one = self.get(f"/v1/flows/{flow['id']}")
        self.assertEqual(one["certificate"]["names"], ["b.example"])
        self.assertGreater(one["certificate"]["days_left"], 0)
        self.assertEqual(self.get("/v1/flows?peer=c.example"), {"flows": [], "total": 0, "next": None})
        self.assertEqual(self.get("/v1/flows?peer=b.example&limit=1")["total"], 1)
        self.assertEqual(self.ask("DELETE", f"/v1/flows/{flow['id']}").status, 204)
        self.network.advance(1)
        self.assert_problem(self.ask("GET", f"/v1/flows/{flow['id']}"), 404, "not-found")
        self.assert_problem(self.ask("DELETE", f"/v1/flows/{flow['id']}"), 404, "not-found")

    def test_pages(self) -> None:
        """A list that is longer than one answer is read page by page, and each page tells what the next is asked by."""
        for name in ("b", "c", "d"):
            party = self.theirs if name == "b" else self.network.party(f"sip:user@{name}.example")
            self.network.run_until(party.send_message("sip:user@a.example", "hello"))
        for path, member, key in (("/v1/flows", "flows", "id"), ("/v1/identities", "peers", "identity")):
            everything = [each[key] for each in self.get(path)[member]]
            first = self.get(f"{path}?limit=2")
            self.assertEqual((first["total"], first["next"]), (3, everything[1]))
            last = self.get(f"{path}?limit=2&after={first['next']}")
            self.assertEqual([each[key] for each in (*first[member], *last[member])], everything)
            self.assertEqual((last["total"], last["next"]), (3, None))

    def test_identities(self) -> None:
        """Who we are, and who has proved to be whom, is there at one look."""
        self.network.run_until(self.theirs.send_message("sip:user@a.example", "hello"))
        found = self.get("/v1/identities")
        self.assertEqual((found["own"], found["proved"]), (["sip:user@a.example"], ["a.example"]))
        self.assertTrue(found["allows_any"])
        self.assertEqual([each["identity"] for each in found["peers"]], ["b.example"])

    def test_certificates(self) -> None:
        """Our certificate and the authorities are there with the days that they are still valid, and no key is."""
        found = self.get("/v1/certificates")["certificates"]
        self.assertEqual([each["use"][:15] for each in found], ["our certificate", "the trusted aut"])
        self.assertTrue(all(each["days_left"] > 0 for each in found))
        self.assertNotIn(b"PRIVATE", self.client.got.content)

    def test_failures(self) -> None:
        """row:D22: a handshake that failed is there with its reason in words and the remedy, the newest first."""
        manager = self.ours.connection_manager
        manager.tls_failed.tell(TlsFailure(TlsFailureReason.CERTIFICATE_EXPIRED, "192.0.2.7:9"))
        manager.tls_failed.tell(TlsFailure(TlsFailureReason.HANDSHAKE_TIMEOUT, "192.0.2.8:9"))
        newest, oldest = self.get("/v1/failures")["failures"]
        self.assertEqual((newest["reason"], oldest["reason"]), ("HANDSHAKE_TIMEOUT", "CERTIFICATE_EXPIRED"))
        self.assertTrue(oldest["words"] and oldest["remedy"])
        self.assertEqual(len(self.get("/v1/failures?limit=1")["failures"]), 1)

    def test_problems(self) -> None:
        """RFC 9457 section 3.1.1: the type of a problem is a place that explains it."""
        self.assertEqual(len(self.get("/v1/problems")["problems"]), len(KINDS))
        refused = self.assert_problem(self.ask("GET", "/nowhere"), 404, "not-found")
        self.assertEqual(self.get(refused["type"])["title"], refused["title"])
        self.assert_problem(self.ask("GET", "/v1/problems/whatever"), 404, "not-found")


class FailureTests(SynchronousTestCase):
    """What is remembered."""

    def test_bound(self) -> None:
        """The oldest gives way, and what a peer wrote is made printable."""
        failures = Failures()
        for number in range(MOST_FAILURES + 1):
            failures.note(TlsFailure(TlsFailureReason.OTHER, f"{number}\x1b[0m", detail="a\nb"))
        kept = failures.newest_first
        self.assertEqual((len(kept), kept[-1]["id"]), (MOST_FAILURES, "2"))
        self.assertTrue(str(kept[0]["peer"]).isprintable() and str(kept[0]["detail"]).isprintable())
