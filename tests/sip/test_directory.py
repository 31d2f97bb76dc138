"""Tests of the question whose request it is."""

from __future__ import annotations

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.directory import Directory
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri
from tests.sip.harness import message
from tests.support import SynchronousTestCase


def request(uri: str, to: str = "<sip:nobody@nowhere.example>") -> Request:
    """A request for *uri*, with this To."""
    parsed = parse_message(message(uri=uri, replace={"To": to}))
    assert isinstance(parsed, Request)
    return parsed


class FindTests(SynchronousTestCase):
    """RFC 3261 section 8.2.2.1."""

    def setUp(self) -> None:
        """Two parties."""
        self.directory = Directory()
        self.alice, self.bob = Profile("alice"), Profile("bob")
        self.directory.add(self.alice, SipUri.parse("sip:alice@a.example"), "alice-1")
        self.directory.add(self.bob, SipUri.parse("sip:bob@a.example"), "bob-2")

    def find(self, uri: str, to: str = "<sip:nobody@nowhere.example>") -> object:
        """Whose it is."""
        profile = self.directory.find(request(uri, to))
        return None if profile is None else profile.user

    def test_contact(self) -> None:
        """The user part of a Contact leads to exactly its party, whatever host and To say (row:G2, row:G1)."""
        for uri in ("sip:bob-2@192.0.2.1:5061;transport=tls", "sips:bob-2@elsewhere.example"):
            self.assertEqual(self.find(uri, "<sip:alice@a.example>"), "bob")

    def test_address_of_record(self) -> None:
        """The address of record in the Request-URI decides, by user and host; scheme, port and parameters do not matter
        (row:G1)."""
        for uri in ("sip:bob@a.example", "sips:bob@A.Example:5061", "sip:bob@a.example;x=y", "sip:b%6Fb@a.example"):
            self.assertEqual(self.find(uri, "<sip:alice@a.example>"), "bob", uri)

    def test_users_are_case_sensitive(self) -> None:
        """Users that differ in their capitals are different users (RFC 3261 section 19.1.4)."""
        self.assertIsNone(self.find("sip:BOB@a.example"))

    def test_to_comes_after(self) -> None:
        """Where the Request-URI names nobody, To does (row:G1)."""
        self.assertEqual(self.find("sip:192.0.2.1", '"B" <sip:bob@a.example>'), "bob")
        self.assertEqual(self.find("tel:+15550100", "<sip:bob@a.example>"), "bob")

    def test_fallback(self) -> None:
        """Nobody named is the fallback's, or nobody's (row:G3, row:G4, row:G5)."""
        self.assertIsNone(self.find("sip:carol@a.example"))
        self.directory.fallback = self.alice
        self.assertEqual(self.find("sip:carol@a.example"), "alice")
        self.assertEqual(self.find("sip:carol@a.example", "<sip:bob@a.example>"), "bob")
        self.assertEqual(self.find("sip:x@y", "<tel:+15550100>"), "alice")

    def test_single_party(self) -> None:
        """A party that is alone and takes everything gets everything (row:G3)."""
        self.directory.remove(self.bob)
        self.directory.fallback = self.alice
        self.assertEqual(self.find("sip:x@y", "<sip:z@z>"), "alice")

    def test_a_domain_without_user(self) -> None:
        """A party may be a whole domain: a URI without a user is its own, and nobody else's."""
        gate = Profile("gate")
        self.directory.add(gate, SipUri.parse("sip:a.example"), "gate-3")
        self.assertEqual(self.find("sip:a.example"), "gate")
        self.assertEqual(self.find("sip:alice@a.example"), "alice")
        self.assertIsNone(self.find("sip:carol@a.example"))

    def test_unreadable(self) -> None:
        """A Request-URI or To that cannot be read is MalformedMessage, never somebody's."""
        for uri, to in (("sip:@x", "<sip:bob@a.example>"), ("sip:x@y", "nonsense <")):
            with self.assertRaises(MalformedMessage):
                self.find(uri, to)


class TableTests(SynchronousTestCase):
    """Parties come and go."""

    def test_taken(self) -> None:
        """An address, or the user part of a Contact, belongs to one party; a refused one leaves nothing behind."""
        directory, alice, other = Directory(), Profile("alice"), Profile("other")
        directory.add(alice, SipUri.parse("sip:alice@a.example"), "alice-1")
        for uri, user in (("sips:alice@A.example", "x"), ("sip:other@a.example", "alice-1")):
            with self.assertRaises(ValueError):
                directory.add(other, SipUri.parse(uri), user)
        self.assertEqual(len(directory), 1)
        self.assertIsNone(directory.find(request("sip:other@a.example")))
        directory.add(other, SipUri.parse("sip:other@a.example"), "x")
        self.assertEqual(len(directory), 2)

    def test_remove(self) -> None:
        """Who is taken out is found no more, under no name and not as the fallback; a second time does nothing."""
        directory, alice = Directory(), Profile("alice")
        directory.add(alice, SipUri.parse("sip:alice@a.example"), "alice-1")
        directory.fallback = alice
        for _ in range(2):
            directory.remove(alice)
            self.assertEqual(len(directory), 0)
            self.assertIsNone(directory.fallback)
            for uri in ("sip:alice@a.example", "sip:alice-1@192.0.2.1", "sip:x@y"):
                self.assertIsNone(directory.find(request(uri)))
        directory.add(alice, SipUri.parse("sip:alice@a.example"), "alice-1")

    def test_globally_routable(self) -> None:
        """A party is found under its GRUU too, whatever that looks like, and not when it has gone (row:A10,
        row:G1)."""
        directory, alice, bob = Directory(), Profile("alice"), Profile("bob")
        gruu = SipUri.parse("sip:tgruu.7hs-5Rk@a.example;gr")
        directory.add(alice, SipUri.parse("sip:alice@a.example"), "alice-1", gruu)
        directory.add(bob, SipUri.parse("sip:bob@a.example"), "bob-2", SipUri.parse("sip:bob@a.example;gr=urn:uuid:1"))
        directory.fallback = bob
        self.assertEqual(len(directory), 2)
        self.assertIs(directory.find(request("sip:tgruu.7hs-5Rk@a.example;gr")), alice)
        self.assertIs(directory.find(request("sip:bob@a.example;gr=urn:uuid:1")), bob)
        with self.assertRaises(ValueError):
            directory.add(Profile("carol"), SipUri.parse("sip:carol@a.example"), "carol-3", gruu)
        self.assertIsNot(directory.find(request("sip:carol@a.example")), alice)
        directory.remove(alice)
        self.assertIs(directory.find(request("sip:tgruu.7hs-5Rk@a.example;gr")), bob)


class SchemeTests(SynchronousTestCase):
    """RFC 3261 section 8.2.2.1: schemes that are not understood."""

    def test_schemes(self) -> None:
        """sip, sips and tel pass; anything else is 416, and header fields in a Request-URI are 400 (row:G5)."""
        directory = Directory()
        for uri in ("sip:a@b", "sips:a@b", "tel:+15550100"):
            directory.check_scheme(request(uri))
        for uri, status in (("http://a", 416), ("mailto:a@b", 416), ("x:" + "y" * 500, 416), ("sip:a@b?c=d", 400)):
            with self.assertRaises(MalformedMessage) as caught:
                directory.check_scheme(request(uri))
            self.assertEqual(caught.exception.status, status, uri)
            self.assertLess(len(caught.exception.reason), 120)
