"""From held against what the connection has proved: the rule by itself, then two parties."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import globalLogPublisher

from sip_p2p import FromPolicy, Peer, RequestFailed, SipPeerToPeerEndpoint
from sip_p2p.endpoint.from_policy import VerifiedSender
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.message import Request
from sip_p2p.sip.profile import Profile
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import PeerIdentities
from tests.endpoint.support import PartyTestCase, Raw, octets
from tests.support import SynchronousTestCase


def request(from_: str) -> Request:
    """A request that claims to come from *from_*."""
    fields = (("Via", "SIP/2.0/TLS x;branch=z9hG4bK1"), ("From", f"{from_};tag=1"), ("To", "<sip:us@here.example>"))
    return Request("MESSAGE", "sip:us@here.example", fields)


class RuleTests(SynchronousTestCase):
    """Values only."""

    def refused(self, from_: str, domains: tuple[str, ...] = (), addresses: tuple[str, ...] = ()) -> str:
        """Why a peer that has proved these names may not send as *from_*."""
        check = VerifiedSender(PeerIdentities(domains, addresses), "192.0.2.1", lambda words: None)
        return check.refusal(request(from_), Profile())

    def test_names(self) -> None:
        """The host in From has to be a proved name, whole and in any case; no suffix and no wildcard counts
        (fault:F14, RFC 5922 sections 7.2 and 7.4)."""
        proved = ("a.example", "pbx.a.example")
        for from_ in (
            "<sip:alice@a.example>", "sip:alice@A.EXAMPLE", '"Alice" <sips:alice@a.example>', "<sip:a.example>",
            "<sip:alice@a.example:5061;transport=tls>", "<sip:x@pbx.a.example>", "<sip:alice@a.example.>",
            '"a>b <sip:evil@c.example>" <sip:alice@a.example>', "<sip:+15551234@a.example;user=phone>",
        ):  # fmt: skip
            self.assertEqual(self.refused(from_, proved), "", from_)
        for from_ in (
            "<sip:alice@b.example>", "<sip:alice@example>", "<sip:alice@x.a.example>", "<sip:alice@aa.example>",
            "<sip:alice@a.example.evil.example>", "<sip:a.example@evil.example>", "<sips:alice@b.example>",
            '"alice@a.example" <sip:alice@b.example>', "<sip:alice@localhost>",
        ):  # fmt: skip
            self.assertIn("a.example", self.refused(from_, proved), from_)

    def test_addresses(self) -> None:
        """An IP address in From needs an IP entry, however it is spelled; a name never proves one (fault:F14)."""
        addresses = ("192.0.2.1", "2001:db8::1")
        for from_ in ("<sip:x@192.0.2.1>", "<sip:x@192.0.2.1:5060>", "<sip:x@[2001:DB8:0::1]>"):
            self.assertEqual(self.refused(from_, ("a.example",), addresses), "", from_)
            self.assertNotEqual(self.refused(from_, ("a.example",)), "", from_)
            self.assertNotEqual(self.refused(from_, ("192.0.2.1",)), "", from_)
        self.assertNotEqual(self.refused("<sip:x@192.0.2.2>", (), addresses), "")

    def test_uris_without_a_domain(self) -> None:
        """A telephone number, and any other URI without a domain, is proved by no certificate (fault:F14)."""
        for from_ in ("<tel:+15551234>", "<tel:5551234;phone-context=a.example>", "<urn:service:sos>"):
            self.assertIn("URI", self.refused(from_, ("a.example",)), from_)

    def test_nobody(self) -> None:
        """Who claims to be nobody claims nothing: anonymous.invalid may be sent, and no other name below invalid
        (fault:F14, RFC 3323 section 4.1.1.3)."""
        self.assertEqual(self.refused('"Anonymous" <sip:anonymous@anonymous.invalid>', ("a.example",)), "")
        self.assertEqual(self.refused("<sips:anonymous@Anonymous.Invalid>", ("a.example",)), "")
        self.assertNotEqual(self.refused("<sip:alice@invalid>", ("a.example",)), "")
        self.assertNotEqual(self.refused("<sip:anonymous@x.anonymous.invalid>", ("a.example",)), "")

    def test_unreadable(self) -> None:
        """A From whose URI cannot be read is the sender's mistake, 400, and no question of trust (fault:A13)."""
        with self.assertRaises(MalformedMessage):
            self.refused("<sip:a@b@c>", ("a.example",))

    def test_words_are_bounded(self) -> None:
        """What is said of a refusal stays short, whatever stands in From and in the certificate (fault:B4)."""
        words = self.refused(f"<sip:x@{'h' * 60}.{'o' * 60}.{'s' * 60}>", tuple(f"n{n}.example" for n in range(500)))
        self.assertLess(len(words), 256)

    def test_each_request_is_judged(self) -> None:
        """That one From was accepted says nothing of the next (fault:F14)."""
        told: list[str] = []
        check = VerifiedSender(PeerIdentities(("a.example",)), "192.0.2.1", told.append)
        for host, verdict in (("a", True), ("a", True), ("b", False), ("a", True), ("b", False)):
            self.assertEqual(not check.refusal(request(f"<sip:x@{host}.example>"), Profile()), verdict)
        self.assertEqual(len(told), 2)
        self.assertIn("MESSAGE from 192.0.2.1", told[0])

    def test_proxies(self) -> None:
        """A trusted proxy is named exactly; a suffix, a wildcard or no name at all is a mistake (row:A16)."""
        self.assertEqual(FromPolicy(["Proxy.Example."]).trusted_proxies, {"proxy.example"})
        for wrong in (".example", "*.example", "", "a b"):
            with self.assertRaises(ValueError):
                FromPolicy([wrong])
        with self.assertRaises(TypeError):
            FromPolicy("proxy.example")

    def test_in_words(self) -> None:
        """A policy says what it is."""
        self.assertIn("what the certificate proves", str(FromPolicy()))
        self.assertIn("proxy.example", repr(FromPolicy(["proxy.example"])))
        self.assertIn("any From", str(FromPolicy.any_from()))

    def test_where_nothing_is_proved(self) -> None:
        """On clear text nothing is judged: From stays a claim (fault:F14)."""
        flow = LiveFlow("TCP", True, "us:5060", ("192.0.2.1", 5060), ("192.0.2.2", 40000), is_incoming=True)
        self.assertIsNone(FromPolicy().check_for(flow, print))


class PartyTests(PartyTestCase):
    """Alice, who is a.example and says what she likes, and Bob, who listens to what she has proved."""

    def setUp(self) -> None:
        """A liar at a.example, and what Bob is told."""
        super().setUp()
        self.liar = self.network.party("sip:liar@a.example", may_impersonate=lambda uri: True, catch_all=False)
        self.seen: list[tuple[str, bool, Peer]] = []
        self.listen_to(self.bob)

    def listen_to(self, party: SipPeerToPeerEndpoint) -> None:
        """Remember what *party* is sent."""
        party.message_received.subscribe(
            lambda event: self.seen.append((str(event.from_.uri), event.is_verified_sender, event.peer))
        )

    def say(self, from_: str, to: str = "sip:bob@b.example", method: str = "MESSAGE", **options: Any) -> int:
        """The status that the liar gets under another name."""
        body = {"body": "x", "content_type": "text/plain"} if method == "MESSAGE" else {}
        return self.status_of(self.liar.request(method, to, from_=from_, **body, **options))

    def test_a_name_that_was_not_proved(self) -> None:
        """A request under a name that the certificate does not prove is 403 with the reason in Warning, whatever its
        method; the application never sees it, and the next honest one is served (fault:F14)."""
        for method in ("MESSAGE", "OPTIONS", "PUBLISH"):
            self.assertEqual(self.say("sip:ceo@b.example", method=method), 403)
        failing = self.liar.send_message("sip:bob@b.example", "x", from_="sip:ceo@b.example")
        with self.assertRaises(RequestFailed) as caught:
            self.run_until(failing)
        warning = caught.exception.response.headers["Warning"]
        self.assertEqual(
            warning,
            "399 sip_p2p \"From names the host b.example, and this connection's certificate proves a.example "
            '(RFC 5922)"',
        )
        self.assertEqual(self.seen, [])
        self.assertEqual(self.say("sip:anybody@a.example"), 200)
        [(from_, is_verified, peer)] = self.seen
        self.assertEqual((from_, is_verified, peer.identities), ("sip:anybody@a.example", True, ("a.example",)))
        metrics = self.bob.connection_manager.metrics()
        self.assertEqual(metrics["senders_refused"], 4)
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)

    def test_it_is_logged_within_bounds(self) -> None:
        """Refusals are in the log with who and why, and a flood of them does not fill it (fault:F14, fault:H6)."""
        lines: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if "refused" in str(event.get("why", "")):
                lines.append(str(event["why"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for _ in range(50):
            self.say("sip:ceo@b.example")
        self.assertTrue(0 < len(lines) < 20, lines)
        self.assertIn("proves a.example", lines[0])

    def test_what_is_no_proof(self) -> None:
        """P-Asserted-Identity, Via, Contact and Reply-To that name somebody change neither who the peer is nor what it
        may send as (fault:E7)."""
        claims = (
            ("P-Asserted-Identity", "<sip:ceo@b.example>"), ("P-Preferred-Identity", "<sip:ceo@b.example>"),
            ("Remote-Party-ID", "<sip:ceo@b.example>;screen=yes"), ("Reply-To", "<sip:ceo@b.example>"),
        )  # fmt: skip
        self.assertEqual(self.say("sip:ceo@b.example", headers=claims), 403)
        self.assertEqual(self.say("sip:alice@a.example", headers=claims), 200)
        [(_, is_verified, peer)] = self.seen
        self.assertEqual((is_verified, peer.identity, peer.identities), (True, "a.example", ("a.example",)))

    def test_via_of_somebody_else(self) -> None:
        """A Via that names another host does not make the sender that host (fault:E7)."""
        manager = self.bob.connection_manager
        self.run_until(manager.start_listening("tcp:port=5060"))
        [address] = self.network.addresses_of("b.example")
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        stranger = self.network.host(names=["peer.example"])
        raw = cast("Raw", self.run_until(TCP4ClientEndpoint(stranger, address, 5060).connect(factory)))
        raw.send(octets("MESSAGE", body=b"x").replace(b"TCP peer.example", b"TLS a.example:5061"))
        self.network.advance(1)
        [(from_, is_verified, peer)] = self.seen
        self.assertEqual((from_, is_verified, peer.identity), ("sip:x@peer.example", False, ""))
        cast("Any", raw.transport).abortConnection()
        self.network.advance(1)

    def test_anonymous(self) -> None:
        """Who hides the name in From is let through, is not a verified sender, and is still known by the certificate
        (fault:F14, RFC 3323)."""
        self.assertEqual(self.say("sip:anonymous@anonymous.invalid"), 200)
        [(_, is_verified, peer)] = self.seen
        self.assertEqual((is_verified, peer.identity), (False, "a.example"))

    def test_trusted_proxy(self) -> None:
        """A peer that is named a trusted proxy may pass on what others send, and nobody else may (row:A16,
        fault:F14)."""
        gateway = self.network.party("sip:us@g.example", manager={"trusted_proxies": ["a.example"]})
        self.listen_to(gateway)
        self.assertEqual(self.say("sip:carol@c.example", "sip:us@g.example"), 200)
        [(from_, is_verified, peer)] = self.seen
        self.assertEqual((from_, is_verified, peer.identity), ("sip:carol@c.example", False, "a.example"))
        other = self.network.party("sip:o@o.example", may_impersonate=lambda uri: True)
        self.assertEqual(self.status_of(other.request("OPTIONS", "sip:us@g.example", from_="sip:c@c.example")), 403)

    def test_own_outbound_proxy(self) -> None:
        """The proxy that an endpoint sends through may pass requests on to that endpoint, and to no other of the same
        connection manager (row:A6, fault:F14)."""
        behind = self.network.party("sip:us@g.example", proxy="tls:a.example:5061")
        beside = self.network.party("sip:them@g.example")
        self.listen_to(behind)
        self.assertEqual(self.say("sip:carol@c.example", "sip:us@g.example"), 200)
        self.assertEqual(self.say("sip:carol@c.example", "sip:them@g.example"), 403)
        self.assertEqual([str(from_) for from_, _, _ in self.seen], ["sip:carol@c.example"])
        self.assertIsNot(behind, beside)

    def test_whom_we_dialled(self) -> None:
        """The rule holds on connections that we opened as well (fault:F14)."""
        self.run_until(self.bob.request("OPTIONS", "sip:alice@a.example"))
        contacts: list[str] = []
        self.alice.handle("LOOK", lambda event: contacts.append(event.request.headers["Contact"]))
        self.run_until(self.bob.request("LOOK", "sip:alice@a.example"))
        target = contacts[0].partition(">")[0].strip("<")
        self.assertEqual(self.say("sip:ceo@b.example", target), 403)
        self.assertEqual(self.say("sip:alice@a.example", target), 200)

    def test_any_from(self) -> None:
        """A policy that lets every From through is said at the start, and the peer is still who it proved to be
        (row:A16, fault:F14)."""
        warned: list[str] = []

        def observe(event: dict[str, Any]) -> None:
            if "any From" in str(event.get("log_format", "")):
                warned.append(str(event["log_format"]))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        open_minded = self.network.party("sip:us@g.example", manager={"from_policy": FromPolicy.any_from()})
        self.listen_to(open_minded)
        self.assertEqual(len(warned), 1)
        self.assertEqual(self.say("sip:ceo@c.example", "sip:us@g.example"), 200)
        [(_, is_verified, peer)] = self.seen
        self.assertEqual((is_verified, peer.identity), (False, "a.example"))
        self.assertFalse(peer.proves(Request("A", "sip:ceo@c.example").uri))

    def test_without_a_certificate(self) -> None:
        """Where a peer need not show a certificate, and shows none, its From stays a claim (fault:F14)."""
        lenient = self.network.party("sip:us@g.example", manager={"need_mutual_tls": False})
        self.listen_to(lenient)
        nobody = self.network.party(
            "sip:n@n.example", listen=(), manager={"certificate": None, "need_mutual_tls": False}
        )
        self.run_until(nobody.send_message("sip:us@g.example", "x"))
        [(_, is_verified, peer)] = self.seen
        self.assertEqual((is_verified, peer.is_verified), (False, False))

    def test_two_ways_to_name_proxies(self) -> None:
        """Trusted proxies are given with the policy or alone, not both ways (fault:F14)."""
        issued = Credential.from_pem(self.network.authority.issue("q.example").pem)
        with self.assertRaises(ValueError):
            self.network.party(
                "sip:q@q.example",
                manager={"certificate": issued, "from_policy": FromPolicy(), "trusted_proxies": ["p.example"]},
            )


class HopTests(PartyTestCase):
    """Max-Forwards, and requests that come again."""

    def setUp(self) -> None:
        """What Bob is told of hops."""
        super().setUp()
        self.hops: list[int] = []
        self.bob.message_received.subscribe(lambda event: self.hops.append(event.max_forwards))

    def test_a_last_hop(self) -> None:
        """A party is an end and passes nothing on: what reaches it with no hop left is for it, and is answered as ever,
        also OPTIONS (row:G8, RFC 3261 sections 8.2 and 11)."""
        for number in (0, 1, 70, 255):
            sending = self.alice.request(
                "MESSAGE", "sip:bob@b.example", body="x", content_type="text/plain", max_forwards=number
            )
            self.assertEqual(self.status_of(sending), 200)
            asking = self.alice.request("OPTIONS", "sip:bob@b.example", max_forwards=number)
            self.assertEqual(self.status_of(asking), 200)
        self.assertEqual(self.hops, [0, 1, 70, 255])

    def test_who_passes_on(self) -> None:
        """An application that passes requests on sees how many hops are left, and its 483 gets back to the sender, so
        two that point at each other come to an end (row:G8, RFC 7332)."""
        passed: list[int] = []

        def pass_on(to: str) -> Any:
            async def handler(event: Any) -> Any:
                passed.append(event.max_forwards)
                if event.max_forwards == 0:
                    return 483
                party = self.alice if event.request.uri.host == "a.example" else self.bob
                try:
                    answer = await party.request("PASS", to, max_forwards=event.max_forwards - 1)
                except RequestFailed as failure:
                    return failure.status
                return answer.status

            return handler

        self.bob.handle("PASS", pass_on("sip:alice@a.example"))
        self.alice.handle("PASS", pass_on("sip:bob@b.example"))
        asking = self.alice.request("PASS", "sip:bob@b.example", max_forwards=12)
        self.assertEqual(self.status_of(asking), 483)
        self.assertEqual(passed, list(range(12, -1, -1)))

    def test_how_many_hops_there_can_be(self) -> None:
        """Below 0 and above 255 there are no hops (row:G8)."""
        for number in (-1, 256):
            with self.assertRaises(ValueError):
                self.alice.request("OPTIONS", "sip:bob@b.example", max_forwards=number)
