"""How a party is to be reached again: instance id, GRUU and Contact."""

from __future__ import annotations

from sip_p2p import SipPeerToPeerEndpoint
from sip_p2p.testing import Network
from tests.endpoint.support import PartyTestCase
from tests.support import SynchronousTestCase


class ContactTests(PartyTestCase):
    """:class:`sip_p2p.endpoint.contact.ContactAddress`, as an endpoint has it."""

    def party(self, uri: str = "sip:carol@a.example", **options: object) -> SipPeerToPeerEndpoint:
        """One more endpoint on Alice's manager."""
        return SipPeerToPeerEndpoint(uri, self.alice.connection_manager, **options)  # type: ignore[arg-type]

    def test_instance_id(self) -> None:
        """The instance id is a URN of its own, or the one that was given (row:A9)."""
        given = "urn:uuid:6b6f8e0a-0000-4000-8000-000000000001"
        self.assertEqual(self.party(instance_id=given).instance_id, given)
        self.assertNotEqual(self.alice.instance_id, self.bob.instance_id)
        with self.assertRaises(ValueError):
            self.party("sip:dave@a.example", instance_id="not one")

    def test_gruu(self) -> None:
        """A GRUU that was given is the Contact; without one it is None (row:A10)."""
        self.assertIsNone(self.alice.gruu)
        carol = self.party(gruu="sip:carol@a.example;gr=urn:uuid:1")
        seen = []
        self.bob.handle("PING", lambda event: seen.append(event.request.headers["Contact"]))
        self.run_until(carol.request("PING", "sip:bob@b.example"))
        self.assertIn("<sip:carol@a.example;gr=urn:uuid:1>", seen[0])

    def test_gruu_of_a_sips_request(self) -> None:
        """A request to a sips URI has a sips GRUU for its Contact: who has one has both (RFC 5630 section 5.1.1.4,
        fault:D8)."""
        carol = self.party(gruu="sip:carol@a.example;gr=urn:uuid:1")
        seen = []
        self.bob.handle("PING", lambda event: seen.append(event.request.headers["Contact"]))
        self.run_until(carol.request("PING", "sips:bob@b.example"))
        self.assertIn("<sips:carol@a.example;gr=urn:uuid:1>", seen[0])

    def test_sips_gruu_of_a_sip_request(self) -> None:
        """A request to a sip URI has a sip Contact, whatever the GRUU came as (RFC 5630 sections 5.1.1.2 and
        5.1.1.4)."""
        carol = self.party(gruu="sips:carol@a.example;gr=urn:uuid:1")
        seen = []
        self.bob.handle("PING", lambda event: seen.append(event.request.headers["Contact"]))
        self.run_until(carol.request("PING", "sip:bob@b.example"))
        self.assertIn("<sip:carol@a.example;gr=urn:uuid:1>", seen[0])

    def test_gruu_leads_to_its_endpoint(self) -> None:
        """A request to a GRUU reaches the endpoint that has it, though its user part is nobody's name (row:A10,
        row:G1)."""
        dave = self.party("sip:dave@a.example", gruu="sip:7hs-5Rk@a.example;gr")
        heard: list[str] = []
        self.alice.message_received.subscribe(lambda event: heard.append("alice"))
        dave.message_received.subscribe(lambda event: heard.append("dave"))
        self.run_until(self.bob.send_message("sip:7hs-5Rk@a.example;gr", "x"))
        self.assertEqual(heard, ["dave"])

    def test_contact_and_address_of_record(self) -> None:
        """The address of record and the routable URI are two; the latter names the bound port (row:A11, row:A12)."""
        self.assertEqual(str(self.alice.aor), "sip:alice@a.example")
        self.assertEqual(self.alice.owner_uri, self.alice.aor)
        contact = self.alice.contact_uri
        self.assertEqual((contact.host, contact.port, contact.transport), ("a.example", 5061, "tls"))
        self.assertNotEqual(contact.user, "alice")
        self.assertIn(self.alice.instance_id, self.alice.contact)

    def test_contact_leads_to_exactly_this_endpoint(self) -> None:
        """A request to an endpoint's Contact reaches that endpoint and no other (row:A11, row:G2)."""
        carol = self.party()
        heard: list[str] = []
        self.alice.message_received.subscribe(lambda event: heard.append("alice"))
        carol.message_received.subscribe(lambda event: heard.append("carol"))
        self.run_until(self.bob.send_message(carol.contact_uri, "x"))
        self.run_until(self.bob.send_message(self.alice.contact_uri, "x"))
        self.assertEqual(heard, ["carol", "alice"])


class UnheardTests(SynchronousTestCase):
    """A party for which nothing listens."""

    def setUp(self) -> None:
        """A party that does not listen."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example", listen=())
        self.addCleanup(self.network.finish)

    def test_contact_without_a_listener(self) -> None:
        """Without a listener nobody can connect, and the Contact still leads back over the connection (row:C11)."""
        bob = self.network.party("sip:bob@b.example")
        contacts = []
        bob.handle("PING", lambda event: contacts.append(event.request.headers["Contact"]))
        heard = []
        self.alice.message_received.subscribe(lambda event: heard.append(event.text))
        self.network.run_until(self.alice.request("PING", "sip:bob@b.example"))
        target = contacts[0].partition(">")[0].strip("<")
        self.assertIn(";ob", target)
        self.network.run_until(bob.send_message(target, "back to you"))
        self.assertEqual(heard, ["back to you"])
