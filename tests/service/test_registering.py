"""A service that registers."""

from __future__ import annotations

from typing import Any

from sip_p2p import SipEndpoint
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.registering import Registering
from tests.endpoint.registration.registrar import RegistrarTestCase


class RegisteringTests(RegistrarTestCase):
    """:class:`~sip_p2p.service.registering.Registering`."""

    def begin(self, alice: SipEndpoint) -> tuple[Registering, list[dict[str, Any]]]:
        """The part, and what it tells."""
        happenings = Happenings(capacity=0)
        told: list[dict[str, Any]] = []
        happenings.follow(lambda happening: told.append(dict(happening.as_json())))
        part = Registering(happenings, alice, self.registrar_uri(alice), 600)
        part.started()
        self.network.advance(1)
        return part, told

    def registrar_uri(self, alice: SipEndpoint) -> Any:
        """The domain of its address of record."""
        return alice.owner_uri.replace(user=None)

    def test_registers(self) -> None:
        """It registers when it starts, and tells so."""
        part, told = self.begin(self.alice())
        self.assertEqual(self.registrar.times(), ["600"])
        self.assertEqual([event["state"] for event in told], ["registering", "registered"])
        self.assertEqual((told[1]["event"], told[1]["registrar"]), ("registration", "sip:example.com"))
        self.assertTrue(598 <= told[1]["expires"] <= 600)
        part.ended()

    def test_goes_on(self) -> None:
        """It goes on after a refusal, and tells why (RFC 5626 section 4.5)."""
        self.registrar.answers = [403]
        part, told = self.begin(self.alice())
        self.assertEqual(told[-1]["state"], "waiting for retry")
        self.assertIn("403", told[-1]["reason"])
        self.network.advance(61)
        self.assertEqual(told[-1]["state"], "registered")
        part.ended()

    def test_taken_out(self) -> None:
        """The drain of a stop takes the binding out again."""
        alice = self.alice()
        part, told = self.begin(alice)
        self.network.run_until(alice.connection_manager.drain(5))
        part.ended()
        self.assertEqual((self.registrar.times(), told[-1]["state"]), (["600", "0"], "terminated"))
