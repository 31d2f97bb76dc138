"""Registrations over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sip_p2p import SipEndpoint
from sip_p2p.service.applications.control import ControlApplication
from sip_p2p.service.http.schemas import mismatches
from sip_p2p.service.http.shape_parts import ref
from sip_p2p.service.http.shapes import SHAPES
from tests.endpoint.registration.registrar import TestRegistrar
from tests.service.http.support import ApiCase, Client

if TYPE_CHECKING:
    from sip_p2p import SipPeerToPeerEndpoint


class WithoutTests(ApiCase):
    """A service that registers nowhere."""

    def test_none(self) -> None:
        """There is none, and nothing to refresh."""
        self.assertEqual(self.get("/v1/registrations"), {"registrations": []})
        self.assert_problem(self.ask("GET", "/v1/registrations/1"), 404, "not-found")
        self.assert_problem(self.ask("POST", "/v1/registrations/1/refresh"), 404, "not-found")


class RegisteredTests(ApiCase):
    """A service that the registrar of its domain knows."""

    def setUp(self) -> None:
        """The registrar, and the API of the one that is registered there."""
        super().setUp()
        self.registrar = TestRegistrar(self.network)
        holder = self.network.party("sip:holder@phone.example", listen=())
        self.alice = SipEndpoint("sip:alice@example.com", holder.connection_manager)
        self.ours = cast("SipPeerToPeerEndpoint", self.alice)
        self.server = self.serve(ControlApplication())
        self.client = Client(self.factory_for())

    def test_from_the_beginning_to_the_end(self) -> None:
        """Before it registers there is none; then it is shown with what the registrar grants; at the end it is
        gone."""
        self.assertEqual(self.get("/v1/registrations"), {"registrations": []})
        self.assertTrue(self.get("/v1")["registers"])
        self.registrar.gruu = True
        self.registrar.fields = [("Service-Route", "<sip:edge.example.com;lr>")]
        registration = self.network.run_until(self.alice.register(expires=600))
        [said] = self.get("/v1/registrations")["registrations"]
        self.assertEqual(self.get("/v1/registrations/1"), said)
        self.assertEqual(list(mismatches(ref("Registration"), said, SHAPES)), [])
        self.assertTrue(590 <= said["expires"] <= 600)
        self.assertEqual(
            {name: said[name] for name in ("id", "registrar", "state", "is_outbound", "service_route", "public_gruu")},
            {
                "id": "1",
                "registrar": "sip:example.com",
                "state": "registered",
                "is_outbound": True,
                "service_route": ["<sip:edge.example.com;lr>"],
                "public_gruu": "sip:alice@example.com;gr=one",
            },
        )
        [flow] = said["flows"]
        self.assertEqual(self.get(f"/v1/flows/{flow}")["id"], flow)
        self.assert_problem(self.ask("GET", "/v1/registrations/2"), 404, "not-found")
        self.network.run_until(registration.unregister())
        self.assertEqual(self.get("/v1/registrations"), {"registrations": []})

    def test_refreshed(self) -> None:
        """Who asks for it has the registrar told again at once."""
        self.network.run_until(self.alice.register(expires=600))
        self.assertEqual(self.registrar.times(), ["600"])
        got = self.ask("POST", "/v1/registrations/1/refresh")
        self.assertEqual((got.status, got.json["id"]), (200, "1"))
        self.network.advance(1)
        self.assertEqual(self.registrar.times(), ["600", "600"])

    def test_refused(self) -> None:
        """Why it came to nothing is told, in words."""
        self.registrar.answers = [403] * 4
        self.alice.register(keep_trying=True).addErrback(lambda _: None)
        self.network.advance(1)
        [said] = self.get("/v1/registrations")["registrations"]
        self.assertEqual(said["state"], "waiting_for_retry")
        self.assertIn("403", said["failure"]["words"])
        self.assertEqual(list(mismatches(ref("Registration"), said, SHAPES)), [])
