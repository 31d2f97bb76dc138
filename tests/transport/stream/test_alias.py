"""Which place a peer may call its own (RFC 5923 sections 8 and 9)."""

from __future__ import annotations

from typing import Any

from sip_p2p.sip.via import parse_via
from sip_p2p.transport.stream.alias import learn_alias
from sip_p2p.transport.trust.identity import PeerIdentities
from tests.support import SynchronousTestCase


class Known:
    """What is verified of a peer."""

    def __init__(self, identities: PeerIdentities | None) -> None:
        self.identities = identities


class Flow:
    """A flow, as far as it matters here."""

    remote_port = 49152
    transport = "TLS"

    def __init__(self, *names: str, verified: bool = True) -> None:
        self.aliases: frozenset[tuple[str, int]] = frozenset()
        self.last_alias: tuple[str, int] | None = None
        self.verified = Known(PeerIdentities(names)) if verified else None


class AliasTests(SynchronousTestCase):
    """One flow, and what comes on it."""

    def learn(self, flow: Any, *vias: str) -> set[tuple[str, int]]:
        """What the flow is called after requests with these Via values."""
        for via in vias:
            learn_alias(flow, parse_via(f"SIP/2.0/TLS {via};branch=z9hG4bKx"))
        return flow.aliases

    def test_proved(self) -> None:
        """A place whose host the certificate proves is believed, without a port the usual one (row:E16, fault:G2)."""
        self.assertEqual(self.learn(Flow("a.example"), "a.example;alias"), {("a.example", 5061)})
        self.assertEqual(self.learn(Flow("a.example"), "A.Example:5071;alias"), {("a.example", 5071)})

    def test_usual_port(self) -> None:
        """Without a port the usual one of the transport is meant, over WebSocket too (RFC 5923 section 8.2, RFC 7118
        section 5.5)."""
        flow = Flow("a.example")
        flow.transport = "WSS"
        self.assertEqual(self.learn(flow, "a.example;alias"), {("a.example", 443)})

    def test_of_another(self) -> None:
        """A place whose host it does not prove is nobody's, however it is written (fault:G2)."""
        for host in ("victim.example", "sub.a.example", "example", "192.0.2.7", "[2001:db8::1]"):
            self.assertEqual(self.learn(Flow("a.example"), f"{host}:5061;alias"), set(), host)

    def test_not_asked_for(self) -> None:
        """Without ``alias`` the peer wants to be dialled, unless the place is the connection itself (RFC 5923
        section 8, row:E16)."""
        self.assertEqual(self.learn(Flow("a.example"), "a.example:5061"), set())
        self.assertEqual(self.learn(Flow("a.example"), "a.example:49152"), {("a.example", 49152)})
        self.assertEqual(self.learn(Flow("a.example"), "victim.example:49152"), set())

    def test_nobody(self) -> None:
        """Who has proved nothing has no place, on clear text above all (fault:G2)."""
        self.assertEqual(self.learn(Flow(verified=False), "a.example:5061;alias"), set())
        flow = Flow()
        flow.verified = Known(None)
        self.assertEqual(self.learn(flow, "a.example:5061;alias"), set())

    def test_bounded(self) -> None:
        """A peer has a few places at most (fault:G2)."""
        vias = [f"a.example:{port};alias" for port in range(5061, 5161)]
        self.assertEqual(len(self.learn(Flow("a.example"), *vias)), 8)
