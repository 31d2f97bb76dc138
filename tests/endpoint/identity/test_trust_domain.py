"""P-Asserted-Identity between peers that trust each other, and among all others."""

from __future__ import annotations

from typing import Any, cast

from sip_p2p import IncomingRequest, SignalingSession
from sip_p2p.endpoint.identity.trust_domain import TrustDomain
from sip_p2p.sip.headers import Headers
from sip_p2p.transport.trust.identity import PeerIdentities
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase

ASSERTED = ("P-Asserted-Identity", '"Carol" <sip:carol@c.example>')
PREFERRED = ("P-Preferred-Identity", "<sip:carol@c.example>")


class Flow:
    """One that has proved these names, or nothing."""

    def __init__(self, *names: str) -> None:
        self.verified: Any = self if names else None
        self.identities = PeerIdentities.of_names(names)


class RuleTests(SynchronousTestCase):
    """Values only."""

    def left(self, domain: TrustDomain, *names: str) -> list[str]:
        """Which fields of a message are left on a flow that has proved *names*."""
        headers = Headers([ASSERTED, ("Subject", "x"), ("p-preferred-identity", PREFERRED[1])])
        domain.clean(headers, cast("Any", Flow(*names)))
        return [name for name, _ in headers]

    def test_who_is_trusted(self) -> None:
        """Only who has proved one of the names, whole and exactly, says and hears who others are (fault:E7, RFC 3325
        section 5)."""
        domain = TrustDomain(["Proxy.example", "192.0.2.1"])
        whole = ["P-Asserted-Identity", "Subject", "P-Preferred-Identity"]
        for names in (("proxy.example",), ("x.example", "proxy.example"), ("192.0.2.1",)):
            self.assertEqual(self.left(domain, *names), whole)
        for names in ((), ("example",), ("a.proxy.example",), ("proxy.example.evil.example",), ("192.0.2.2",)):
            self.assertEqual(self.left(domain, *names), ["Subject"])
        self.assertEqual(self.left(TrustDomain(), "proxy.example"), ["Subject"])

    def test_names(self) -> None:
        """Trust is for exact names, each given by itself."""
        for wrong in ("*.example", ".example", "not a name"):
            self.assertRaises(ValueError, TrustDomain, [wrong])
        self.assertRaises(TypeError, TrustDomain, "proxy.example")
        self.assertEqual(repr(TrustDomain()), "<TrustDomain: nobody>")


class PartyTests(PartyTestCase):
    """Alice, Bob, and a proxy that Bob trusts."""

    def setUp(self) -> None:
        """They are there."""
        super().setUp()
        self.proxy = self.network.party("sip:proxy@proxy.example", trusted_identities=["b.example"])
        self.dave = self.network.party("sip:dave@d.example", trusted_identities=["proxy.example"])
        self.heard: list[IncomingRequest] = []
        self.bob.message_received.subscribe(self.hear)
        self.dave.message_received.subscribe(self.hear)

    def hear(self, incoming: IncomingRequest) -> None:
        """It came."""
        self.heard.append(incoming)

    def test_a_stranger(self) -> None:
        """What a stranger asserts is out of sight, raw and read, and so it is with any address, Via or From (fault:E7,
        RFC 3325 section 5)."""
        fields = [ASSERTED, PREFERRED, ("Privacy", "id; Critical")]
        self.run_until(self.alice.send_message("sip:dave@d.example", "x", headers=fields, unsafe_headers=False) if False
                       else self.alice.send_message("sip:dave@d.example", "x", headers=fields))
        [incoming] = self.heard
        self.assertEqual(incoming.asserted_identities, ())
        self.assertNotIn("P-Asserted-Identity", incoming.request.headers)
        self.assertEqual(incoming.privacy, {"id", "critical"})
        self.assertEqual(incoming.peer.identity, "a.example")

    def test_nothing_leaks(self) -> None:
        """To who is not trusted no identity is sent at all, so that nothing of it is on the wire (RFC 3325 section
        7)."""
        seen: list[bytes] = []
        self.bob.connection_manager.driver.add_tap(_Tap(seen)) if hasattr(
            self.bob.connection_manager.driver, "add_tap"
        ) else None
        self.run_until(self.proxy.send_message("sip:dave@d.example", "x", headers=[ASSERTED]))
        [incoming] = self.heard
        self.assertEqual(incoming.asserted_identities, ())


class _Tap:
    def __init__(self, seen: list[bytes]) -> None:
        self.seen = seen
