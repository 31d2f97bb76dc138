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


class Wire:
    """What is written to flows, and read from them."""

    def __init__(self) -> None:
        self.octets = b""
        self.written = b""

    def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
        """One message."""
        self.octets += data
        if direction == "out":
            self.written += data


class RuleTests(SynchronousTestCase):
    """Values only."""

    def left(self, domain: TrustDomain, *names: str) -> list[str]:
        """Which fields of a message are left on a flow that has proved *names*."""
        headers = Headers([ASSERTED, ("Subject", "x"), ("p-preferred-identity", PREFERRED[1])])
        flow = cast("Any", Flow(*names))
        fields = domain.clean_fields(list(headers), flow)
        domain.clean(headers, flow)
        self.assertEqual(fields, list(headers))
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
        self.assertEqual(repr(TrustDomain(["b", "a"])), "<TrustDomain: a, b>")


class PartyTests(PartyTestCase):
    """Alice, whom nobody trusts; a proxy, whom Dave trusts and who trusts him."""

    def setUp(self) -> None:
        """They are there."""
        super().setUp()
        self.proxy = self.network.party("sip:proxy@proxy.example", trusted_identities=["d.example"])
        self.dave = self.network.party("sip:dave@d.example", trusted_identities=["proxy.example"])
        self.heard: list[IncomingRequest] = []
        self.sessions: list[SignalingSession] = []
        self.answer: Any = None
        for party in (self.dave, self.bob):
            party.message_received.subscribe(self.hear)
            party.session_received.subscribe(self.ring)
        self.wire = Wire()
        self.alice.connection_manager.add_tap(self.wire)

    def hear(self, incoming: IncomingRequest) -> object:
        """It came."""
        self.heard.append(incoming)
        return incoming.response(200, headers=[ASSERTED])

    def ring(self, session: SignalingSession) -> None:
        """It rings."""
        session.request_received.subscribe(self.hear)
        self.sessions.append(session)
        self.seen = session.asserted_identities
        session.accept("v=0\r\n", headers=[ASSERTED])

    def test_a_stranger(self) -> None:
        """What a stranger asserts is not sent by us; and whatever it sends, with any Via or From, is out of sight and
        proves nothing (fault:E7, RFC 3325 section 5)."""
        stranger = self.network.party("sip:eve@e.example", trusted_identities=["d.example"])
        fields = [ASSERTED, PREFERRED, ("Privacy", "id; Critical")]
        response = self.run_until(stranger.send_message("sip:dave@d.example", "x", headers=fields))
        [incoming] = self.heard
        self.assertEqual(incoming.asserted_identities, ())
        self.assertNotIn("P-Asserted-Identity", incoming.request.headers)
        self.assertNotIn("P-Preferred-Identity", incoming.request.headers)
        self.assertEqual(incoming.privacy, {"id", "critical"})
        self.assertEqual(incoming.peer.identity, "e.example")
        self.assertNotIn("P-Asserted-Identity", cast("Any", response).headers)

    def test_nothing_leaks(self) -> None:
        """To who is not trusted nothing of an identity is written, neither in requests nor in answers (RFC 3325 section
        7)."""
        self.run_until(self.alice.send_message("sip:dave@d.example", "x", headers=[ASSERTED, PREFERRED]))
        session: Any = self.run_until(self.alice.invite("sip:dave@d.example", "v=0\r\n", headers=[ASSERTED]))
        self.run_until(session.request("INFO", headers=[ASSERTED]))
        self.run_until(session.terminate())
        self.assertNotIn(b"carol", self.wire.octets)
        self.assertEqual([each.asserted_identities for each in self.heard], [(), ()])
        self.assertEqual(self.seen, ())

    def test_among_friends(self) -> None:
        """Peers that trust each other tell each other who others are, in requests, in sessions and in answers (RFC 3325
        sections 5 and 8)."""
        response = self.run_until(self.proxy.send_message("sip:dave@d.example", "x", headers=[ASSERTED]))
        self.assertEqual([str(each.uri) for each in self.heard[0].asserted_identities], ["sip:carol@c.example"])
        self.assertEqual(cast("Any", response).headers.get("P-Asserted-Identity"), ASSERTED[1])
        # It speaks for somebody else, and nobody is somebody else for that.
        self.assertEqual(self.heard[0].peer.identity, "proxy.example")
        session: Any = self.run_until(self.proxy.invite("sip:dave@d.example", "v=0\r\n", headers=[ASSERTED]))
        self.assertEqual([str(each.uri) for each in self.seen], ["sip:carol@c.example"])
        self.run_until(session.request("INFO", headers=[ASSERTED]))
        self.assertEqual(len(self.heard[1].asserted_identities), 1)
        self.run_until(session.terminate())

    def test_malformed(self) -> None:
        """What a trusted peer asserts and nobody can read is answered 400 when it is read (fault:A13)."""
        self.dave.handle("OPTIONS", lambda incoming: incoming.asserted_identities and None)
        fields = [("P-Asserted-Identity", "<mailto:carol@c.example>")]
        self.assertEqual(self.status_of(self.proxy.request("OPTIONS", "sip:dave@d.example", headers=fields)), 400)


class PrivacyTests(PartyTestCase):
    """Alice does not want to be known (RFC 3323)."""

    def setUp(self) -> None:
        """Bob listens, and everything is seen."""
        super().setUp()
        self.unnamed = self.network.party(
            "sip:alice.secret@s.example",
            display_name="Alice Secret",
            default_headers=[("Organization", "Secret"), ("Subject", "secret"), ("X-Kept", "kept")],
            user_agent="secret/1",
        )
        self.heard: list[IncomingRequest] = []
        self.sessions: list[SignalingSession] = []
        self.bob.message_received.subscribe(self.heard.append)
        self.bob.session_received.subscribe(self.ring)
        self.wire = Wire()
        self.unnamed.connection_manager.add_tap(self.wire)

    def ring(self, session: SignalingSession) -> None:
        """It rings."""
        self.sessions.append(session)
        session.accept("v=0\r\n")

    def clean(self) -> None:
        """Nothing on the wire says who or which device she is."""
        said = self.wire.written.lower()
        for word in (b"secret", b"sip.instance", b"user-agent", b"organization"):
            self.assertNotIn(word, said)

    def test_message(self) -> None:
        """Who wants to remain unnamed has no name in From, and nothing tells of her; what has nothing to do with her
        stays (RFC 3323 sections 4.1 and 4.1.1.3)."""
        for privacy in ("user", ("id", "critical")):
            self.run_until(self.unnamed.send_message("sip:bob@b.example", "x", privacy=privacy))
        self.run_until(self.unnamed.request("OPTIONS", "sip:bob@b.example", privacy="user"))
        self.clean()
        first, second = self.heard
        self.assertEqual(first.from_.display_name, "Anonymous")
        self.assertEqual(str(first.from_.uri), "sip:anonymous@anonymous.invalid")
        self.assertEqual((first.privacy, second.privacy), (frozenset(), {"id", "critical"}))
        self.assertNotIn("Privacy", first.request.headers)
        self.assertEqual(second.request.headers.get("Proxy-Require"), "privacy")
        self.assertEqual(first.request.headers.get("X-Kept"), "kept")

    def test_session(self) -> None:
        """A session without a name stays without one to its end, whoever changes it (RFC 3323 section 4.1.1.3)."""
        session: Any = self.run_until(
            self.unnamed.invite("sip:bob@b.example", "v=0\r\n", privacy=iter(("user", "header")))
        )
        self.run_until(session.renegotiate("v=0\r\n"))
        self.network.advance(1)
        session.offer_received.subscribe(lambda offer: "v=0\r\n")
        self.run_until(self.sessions[0].renegotiate("v=0\r\n"))
        self.network.advance(1)
        self.run_until(self.sessions[0].terminate())
        self.clean()
        self.assertEqual(self.wire.octets.count(b"Privacy: header\r\n"), 1)

    def test_other_wishes(self) -> None:
        """Who asks the network for something else keeps her name, and what she says of herself in one call is her
        affair (RFC 3323 section 4.2)."""
        self.run_until(self.unnamed.send_message("sip:bob@b.example", "x", privacy="header"))
        self.run_until(
            self.unnamed.send_message("sip:bob@b.example", "x", privacy="user", headers=[("Subject", "given")])
        )
        self.assertEqual(str(self.heard[0].from_.uri), "sip:alice.secret@s.example")
        self.assertEqual(self.heard[0].request.headers.get("Subject"), "secret")
        self.assertEqual(self.heard[1].request.headers.get("Subject"), "given")

    def test_refused(self) -> None:
        """What is no privacy, and a name for who has none, is told at once."""
        for options in ({"privacy": "no privacy"}, {"privacy": "id", "from_": "sip:alice.secret@s.example"}):
            self.assertRaises(ValueError, self.unnamed.send_message, "sip:bob@b.example", "x", **options)
            self.assertRaises(ValueError, self.unnamed.create_session, "sip:bob@b.example", **options)
