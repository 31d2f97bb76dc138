"""What requests are made of: From, User-Agent, and the header fields that every one carries."""

from __future__ import annotations

from sip_p2p import InvalidOperation, RestrictedHeader, SipPeerToPeerEndpoint
from sip_p2p.sip.uri import SipUri
from tests.endpoint.support import PartyTestCase


class CompositionTests(PartyTestCase):
    """:class:`sip_p2p.endpoint.composition.Composition`, as an endpoint uses it."""

    def party(self, uri: str = "sip:carol@a.example", **options: object) -> SipPeerToPeerEndpoint:
        """One more endpoint on Alice's manager."""
        return SipPeerToPeerEndpoint(uri, self.alice.connection_manager, **options)  # type: ignore[arg-type]

    def test_default_headers(self) -> None:
        """Header fields for every request; those that the stack owns are refused when the endpoint is made (row:A8)."""
        heard = []
        self.bob.message_received.subscribe(lambda event: heard.append(event.request.headers.get("Organization")))
        carol = self.party(default_headers=[("Organization", "Night shift")])
        self.run_until(carol.send_message("sip:bob@b.example", "x"))
        self.run_until(carol.send_message("sip:bob@b.example", "x", headers=[("Organization", "Day shift")]))
        self.assertEqual(heard, ["Night shift", "Day shift"])
        with self.assertRaises(RestrictedHeader):
            self.party("sip:dave@a.example", default_headers=[("Via", "x")])

    def test_display_name(self) -> None:
        """The display name goes into From, quoted and in UTF-8; line ends are refused (row:A13, fault:B1)."""
        carol = self.party(display_name='Frau "Müller"')
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append(event.from_.display_name))
        self.run_until(carol.send_message("sip:bob@b.example", "x"))
        self.assertEqual(seen, ['Frau "Müller"'])
        with self.assertRaises(ValueError):
            self.party("sip:dave@a.example", display_name="a\r\nEvil: 1")

    def test_user_agent(self) -> None:
        """User-Agent is ours and the application's; it can be left out (row:A14)."""
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append(event.request.headers.get("User-Agent")))
        for number, agent in enumerate((None, "pager/2.1", "")):
            carol = self.party(f"sip:c{number}@a.example", user_agent=agent)
            self.run_until(carol.send_message("sip:bob@b.example", "x"))
        self.assertRegex(seen[0], r"sip_p2p/[0-9.]+")
        self.assertRegex(seen[1], r"sip_p2p/[0-9.]+ pager/2\.1")
        self.assertIsNone(seen[2])

    def test_impersonation(self) -> None:
        """Another From needs the consent of the policy hook; the owner's own needs none (row:A16)."""
        with self.assertRaises(InvalidOperation):
            self.alice.send_message("sip:bob@b.example", "x", from_="sip:boss@a.example")
        asked: list[SipUri] = []
        carol = self.party(may_impersonate=lambda uri: asked.append(uri) or True)
        seen = []
        self.bob.message_received.subscribe(lambda event: seen.append(str(event.from_.uri)))
        self.run_until(carol.send_message("sip:bob@b.example", "x", from_="sip:boss@a.example"))
        self.run_until(carol.send_message("sip:bob@b.example", "x", from_="sip:carol@a.example"))
        self.assertEqual((seen, len(asked)), (["sip:boss@a.example", "sip:carol@a.example"], 1))

    def test_request_uri(self) -> None:
        """What a URI says of the request that is made from it stands neither in the Request-URI nor in To, and all else
        does (RFC 3261 sections 19.1.1 and 19.1.5)."""
        seen = []
        self.bob.message_received.subscribe(
            lambda event: seen.append((event.request.uri_text, event.request.headers["To"]))
        )
        kept = "sip:bob@b.example;user=ip;new=1"
        self.run_until(self.alice.send_message(f"{kept};method=MESSAGE?Subject=lunch", "x"))
        self.assertEqual(seen, [(kept, f"<{kept}>")])
