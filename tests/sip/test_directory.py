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


def asking(fields: str, method: str = "INVITE", uri: str = "sip:alice@a.example") -> Request:
    """A request to Alice with further *fields*."""
    parsed = parse_message(
        f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nFrom: <sip:b@b.example>;tag=1\r\n"
        f"To: <sip:alice@a.example>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{fields}\r\n".encode()
    )
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


class SharingTests(SynchronousTestCase):
    """Several parties with one address of record."""

    ADDRESS = SipUri.parse("sip:alice@a.example")

    def setUp(self) -> None:
        """Alice's desk phone and her answering machine; a text terminal that takes no INVITE."""
        self.directory = Directory()
        self.phone, self.machine = Profile("phone", ["INVITE"]), Profile("machine", ["INVITE"])
        self.terminal = Profile("terminal", ["MESSAGE"])
        self.phone.features.add("video")
        self.phone.features.add("language", "en", "de")
        self.machine.features.add("automata")
        self.machine.features.add("video", False)
        for number, profile in enumerate((self.phone, self.machine, self.terminal)):
            profile.instance_id = f"urn:uuid:{number}"
            gruu = SipUri.parse(f"sip:alice@a.example;gr=urn:uuid:{number}")
            self.directory.add(profile, self.ADDRESS, f"alice-{number}", gruu, shares=True)

    def find(self, fields: str = "", method: str = "INVITE", uri: str = "sip:alice@a.example") -> object:
        """Whose a request with *fields* is."""
        profile = self.directory.find(asking(fields, method, uri))
        return None if profile is None else profile.user

    def test_preferences_choose(self) -> None:
        """RFC 3841 section 7.2: what the caller accepts and rejects decides among those who share. row:A18"""
        for fields, who in (
            ("", "phone"),
            ("Accept-Contact: *;automata\r\n", "machine"),
            ("Accept-Contact: *;video\r\n", "phone"),
            ("Accept-Contact: *;automata;video\r\n", "phone"),
            ("Reject-Contact: *;video\r\n", "machine"),
            ('a: *;language="fr,de"\r\n', "phone"),
            ('a: *;+sip.instance="<urn:uuid:1>";require;explicit\r\n', "machine"),
            ("Accept-Contact: *;automata;explicit\r\nAccept-Contact: *;video\r\n", "phone"),
            ("Accept-Contact: *;isfocus;explicit;require\r\n", "phone"),
        ):
            self.assertEqual(self.find(fields), who, fields)

    def test_the_method_comes_first(self) -> None:
        """RFC 3841 section 7.2.2.1: who takes the method is asked before who is preferred, if anybody does. row:A18"""
        self.assertEqual(self.find(method="MESSAGE"), "terminal")
        self.assertEqual(self.find("Accept-Contact: *;automata\r\n", "MESSAGE"), "terminal")
        self.assertEqual(self.find(method="PUBLISH"), "phone")

    def test_one_device(self) -> None:
        """A Contact or a GRUU names one device, whatever anybody prefers. row:A10 row:A18 row:G1"""
        fields = "Accept-Contact: *;video;require;explicit\r\n"
        self.assertEqual(self.find(fields, uri="sip:alice-1@192.0.2.1"), "machine")
        self.assertEqual(self.find(fields, uri="sip:alice@a.example;gr=urn:uuid:1"), "machine")
        self.assertEqual(self.find(fields, uri="sip:alice@a.example;gr=urn:uuid:9"), "phone")

    def test_by_to(self) -> None:
        """Who is named by To alone is chosen in the same way. row:A18"""
        found = self.directory.find(asking("Accept-Contact: *;automata\r\n", uri="sip:192.0.2.1"))
        self.assertIs(found, self.machine)

    def test_those_who_do_not_share(self) -> None:
        """Who has an address alone keeps what is for it, whatever anybody prefers. row:A18"""
        bob = Profile("bob", ["INVITE"])
        self.directory.add(bob, SipUri.parse("sip:bob@a.example"), "bob-1")
        found = self.find("Accept-Contact: *;automata;require;explicit\r\n", uri="sip:bob@a.example")
        self.assertEqual(found, "bob")
        self.directory.remove(bob)
        self.assertEqual(self.find(), "phone")

    def test_coming_and_going(self) -> None:
        """Devices go one by one, the address with the last; who does not share keeps it, and keeps out of it."""
        other = Profile("other")
        self.assertRaises(ValueError, self.directory.add, other, self.ADDRESS, "alice-7")
        again = SipUri.parse("sip:alice@a.example;gr=urn:uuid:0")
        with self.assertRaises(ValueError):
            self.directory.add(other, self.ADDRESS, "alice-7", again, shares=True)
        self.directory.remove(self.phone)
        self.assertEqual(self.find("Accept-Contact: *;video\r\n"), "machine")
        self.directory.remove(self.machine)
        self.assertEqual(self.find(), "terminal")
        self.directory.remove(self.terminal)
        self.assertIsNone(self.find())
        self.directory.add(other, self.ADDRESS, "alice-7")
        with self.assertRaises(ValueError):
            self.directory.add(self.phone, self.ADDRESS, "alice-0", shares=True)


class ServesTests(SynchronousTestCase):
    """Whom a URI leads to, without any fallback."""

    def test_serves(self) -> None:
        """A Contact, an address of record and a GRUU lead to their party; anything else leads nowhere (row:H6)."""
        directory = Directory()
        profile = Profile("bob")
        gruu = SipUri.parse("sip:bob@b.example;gr=urn:uuid:1")
        directory.add(profile, SipUri.parse("sip:bob@b.example"), "bob-token", gruu)
        directory.fallback = profile
        for text, found in (
            ("sip:bob@b.example", profile),
            ("sips:bob@B.example:5061;transport=tcp", profile),
            ("sip:bob-token@192.0.2.1", profile),
            ("sip:bob@b.example;gr=urn:uuid:1", profile),
            ("sip:bob@c.example", None),
            ("sip:b.example", None),
            ("sip:alice@b.example", None),
        ):
            self.assertIs(directory.serves(SipUri.parse(text)), found, text)


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
