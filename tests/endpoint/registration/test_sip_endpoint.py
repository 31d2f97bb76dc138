"""Tests of :mod:`sip_p2p.endpoint.registration.sip_endpoint`."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p import (
    EndpointTerminated,
    FromPolicy,
    InvalidOperation,
    RestrictedHeader,
    SipEndpoint,
    SipPeerToPeerEndpoint,
)
from sip_p2p.endpoint.registration.registration import Registration
from sip_p2p.sip.registration.binding import Binding
from tests.endpoint.registration.registrar import RegistrarTestCase
from tests.support import nothing_left


class SipEndpointTests(RegistrarTestCase):
    """The party that can register."""

    def test_works_without(self) -> None:
        """Until it registers it is a party like any other."""
        alice = self.alice(listen=None)
        bob = self.network.party("sip:bob@b.example", manager={"from_policy": FromPolicy.any_from()})
        bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.network.run_until(alice.send_message("sip:bob@b.example", "hello")).status, 200)
        self.assertEqual((alice.registration, self.registrar.seen), (None, []))

    def test_supported(self) -> None:
        """It understands what belongs to registration (RFC 5626 section 4.2.1, RFC 5627 section 4.1, RFC 3327 section
        5.1); one without a server says nothing of it."""
        self.assertLess({"gruu", "outbound", "path"}, self.alice().supported_extensions)
        peer = self.network.party("sip:bob@b.example")
        self.assertIsInstance(peer, SipPeerToPeerEndpoint)
        self.assertTrue(peer.supported_extensions.isdisjoint({"gruu", "outbound", "path"}))

    def test_says_so(self) -> None:
        """It says so in whatever it asks beside REGISTER (RFC 5626 section 4.3, RFC 5627 section 4.4, RFC 3327 section
        5.1), once, and as the application has it where that says what is supported."""
        heard: list[tuple[str, list[str]]] = []

        def hear(incoming: Any) -> int:
            heard.append((incoming.request.method, incoming.request.headers.get_all("Supported")))
            return 200

        for method in ("OPTIONS", "MESSAGE", "SUBSCRIBE"):
            self.registrar.party.handle(method, hear)
        alice = self.alice()
        self.register(alice)
        for method in ("OPTIONS", "MESSAGE", "SUBSCRIBE"):
            self.network.run_until(alice.request(method, "sip:bob@example.com"))
        self.network.run_until(alice.request("OPTIONS", "sip:bob@example.com", headers=[("k", "eventlist")]))
        own = ["gruu, outbound, path"]
        self.assertEqual(heard[:3], [("OPTIONS", own), ("MESSAGE", own), ("SUBSCRIBE", own)])
        self.assertEqual(heard[3:], [("OPTIONS", ["eventlist"])])
        self.assertEqual(len(self.registrar.seen[0].request.headers.get_all("Supported")), 1)

    def test_refused_at_once(self) -> None:
        """What cannot be asked is refused before anything is sent."""
        alice = self.alice()
        for wrong, error in (
            ({"expires": 0}, ValueError),
            ({"registrar": "mailto:x@y"}, ValueError),
            ({"proxies": []}, ValueError),
            ({"gruu": "perhaps"}, ValueError),
            ({"headers": [("Contact", "*")]}, RestrictedHeader),
            ({"nonsense": 1}, TypeError),
            ({"family": "v5"}, ValueError),
        ):
            self.assertRaises(error, alice.register, **cast("Any", wrong))
        self.assertIsNone(alice.registration)
        self.assertEqual(alice.connection_manager.lives.counts()["registrations"], 0)

    def test_only_one(self) -> None:
        """A party has one registration at a time."""
        alice = self.alice()
        registration = self.register(alice)
        self.assertRaises(InvalidOperation, alice.register)
        self.network.run_until(registration.unregister())
        self.register(alice)

    def test_does_not_send(self) -> None:
        """A party that only receives cannot register, and one that is terminated cannot either."""
        self.assertRaises(InvalidOperation, self.alice(outbound=False).register)
        manager = self.network.party("sip:x@other.example", listen=()).connection_manager
        other = SipEndpoint("sip:other@example.com", manager)
        self.network.run_until(other.terminate())
        self.assertRaises(EndpointTerminated, other.register)

    def test_counted(self) -> None:
        """Registrations are counted while they last, and altogether (row:M10)."""
        alice = self.alice()
        manager = alice.connection_manager
        registration = self.register(alice)
        self.assertEqual((manager.inventory()["registrations"], manager.metrics()["registrations"]), (1, 1))
        self.network.run_until(registration.unregister())
        self.assertEqual((manager.inventory()["registrations"], manager.metrics()["registrations"]), (0, 1))

    def test_trusts_the_server(self) -> None:
        """Whom it registers with may pass on what others send, and only while that lasts (fault:F14)."""
        alice = self.alice(manager={"trust_dialed_peers": True})
        statuses: list[int] = []
        alice.message_received.subscribe(lambda event: None)
        registration = self.register(alice)
        self.assertEqual(alice.profile.trusted_proxies, {"example.com"})
        self.network.run_until(registration.unregister())
        self.assertEqual((alice.profile.trusted_proxies, statuses), (frozenset(), []))

    def test_own_gruu_stays(self) -> None:
        """A GRUU that was given to the party is not replaced by the registrar's."""
        self.registrar.gruu = True
        alice = self.alice(gruu="sip:alice@example.com;gr=mine")
        registration = self.register(alice)
        self.assertIn("gr=mine", alice.contact_value(registration.flows[0]))
        self.assertNotIn("gr=mine", self.registrar.contacts()[0])

    def test_nothing_left(self) -> None:
        """A party that has registered and gone leaves no object to the garbage collector."""
        with nothing_left(self, Binding, Registration):
            alice = self.alice()
            registration = self.register(alice)
            self.network.run_until(registration.unregister())
            self.network.advance(60)
            del registration
