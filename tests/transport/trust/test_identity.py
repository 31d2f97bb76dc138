"""Identities and trust policies: values in, values out."""

from __future__ import annotations

from cryptography import x509
from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy, is_ip_address, normalise_name
from tests.support import SynchronousTestCase
from tests.transport.tls_pairs import authority


def identities(*names: x509.GeneralName, **knobs: object) -> PeerIdentities:
    """What a certificate with these alternative names proves."""
    issued = authority().issue("cn.example", alternative_names=names, **knobs)  # type: ignore[arg-type]
    return PeerIdentities.from_certificate(issued.certificate)


def uri(*values: str) -> list[x509.GeneralName]:
    """URI entries."""
    return [x509.UniformResourceIdentifier(value) for value in values]


def dns(*values: str) -> list[x509.GeneralName]:
    """DNS entries."""
    return [x509.DNSName(value) for value in values]


def address_entry(octets: bytes) -> x509.UnrecognizedExtension:
    """Alternative names with one IP entry of any octets."""
    entry = bytes([0x87, len(octets)]) + octets
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes([0x30, len(entry)]) + entry)


class NormalNameTests(SynchronousTestCase):
    """The one spelling of a name."""

    def test_spellings(self) -> None:
        """Case, a final dot, brackets, zeros of IPv6 and letters beyond ASCII make no difference."""
        for given_name, normal in (
            ("B.Example", "b.example"),
            ("b.example.", "b.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0:0::1]", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("b。example。", "b.example"),
            ("_sip.b.example", "_sip.b.example"),
        ):
            self.assertEqual(normalise_name(given_name), normal)

    def test_no_names(self) -> None:
        """What is neither a host name nor an address is refused and quoted."""
        for wrong in ("", ".", "*.example", "sip:b.example", "b.example:5061", "a@b.example", "b..example", "-b.x",
                      "1.2.3", "1.2.3.4.5", "256.1.1.1", "[::1", "::1%eth0", "b.example\0", "b.example\n", "ü" * 64,
                      "x" * 64, "a b", "sip.\u0660"):  # fmt: skip
            self.assertRaises(ValueError, normalise_name, wrong)

    def test_addresses(self) -> None:
        """Addresses are told from names."""
        for address in ("192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"):
            self.assertTrue(is_ip_address(address))
        for name in ("b.example", "4.b.example", "localhost", "a1"):
            self.assertFalse(is_ip_address(name))


class IdentityTests(SynchronousTestCase):
    """What a certificate proves (RFC 5922 section 7.1)."""

    def test_uri_before_dns(self) -> None:
        """Where a sip URI is an identity, DNS entries are none. row:D11 fault:F3"""
        found = identities(*dns("dns.example"), *uri("sip:uri.example", "sip:two.example"))
        self.assertEqual(found.domains, ("uri.example", "two.example"))
        self.assertEqual(identities(*dns("dns.example"), *uri("sip:alice@uri.example")).domains, ("dns.example",))

    def test_forms_of_uri(self) -> None:
        """Only sip with a bare domain counts: no user, port, parameter, header, other scheme or address. fault:F3"""
        for wrong in ("sip:alice@b.example", "sip:b.example:5061", "sip:b.example;lr", "sip:b.example?a=b", "sip:",
                      "sips:b.example", "tel:+1", "sip://b.example", "sip:*.example", "sip:192.0.2.1", "sip:[::1]",
                      "sip:b.example.", "sip: b.example", "b.example", "sip:b..example", "sip:@b.example"):  # fmt: skip
            self.assertEqual(identities(*uri(wrong)), PeerIdentities(), wrong)
        self.assertEqual(identities(*uri("SIP:B.EXAMPLE")).domains, ("b.example",))

    def test_forms_of_dns(self) -> None:
        """Wildcards and addresses written as names are no identities. fault:F1 fault:F2"""
        for wrong in ("*", "*.example", "*.com", "b.*", "f*.example", "192.0.2.1", "1.2.3", "", ".", "b.example."):
            self.assertEqual(identities(*dns(wrong)), PeerIdentities(), wrong)

    def test_common_name_is_never_read(self) -> None:
        """A certificate with nothing but a common name proves nothing. fault:F1 row:D11"""
        found = identities(common_name="b.example")
        self.assertFalse(found)
        self.assertEqual((found.identities, found.key, found.matches("b.example")), ((), "", None))

    def test_forbidden_characters(self) -> None:
        """NUL, control and non-ASCII characters make the whole certificate unusable. fault:F5"""
        for wrong in ("b.example\0.evil.example", "b.example\r\n", "\x1b[2J", "\x7f", "b\t.example"):
            self.assertRaises(ValueError, identities, *dns("b.example", wrong))
            self.assertRaises(ValueError, identities, *uri("sip:b.example", f"sip:{wrong}"))

    def test_duplicates(self) -> None:
        """An identity that stands there several times is one."""
        self.assertEqual(identities(*uri("sip:b.example", "sip:B.Example")).identities, ("b.example",))

    def test_addresses(self) -> None:
        """IP entries are identities of their own kind; a network, as name constraints have them, is none."""
        found = PeerIdentities.from_certificate(authority().issue("192.0.2.1", "2001:DB8::1").certificate)
        self.assertEqual((found.domains, found.addresses), ((), ("192.0.2.1", "2001:db8::1")))
        network = identities(extensions=[(address_entry(bytes([192, 0, 2, 0, 255, 255, 255, 255])), False)])
        self.assertFalse(network)
        self.assertRaises(ValueError, identities, extensions=[(address_entry(b"\x7f\0\0"), False)])

    def test_matching(self) -> None:
        """A match is a whole name, without regard to case and dot, or an address by an address. fault:F12 row:D14"""
        found = PeerIdentities(["b.example", "xn--bcher-kva.example"], ["192.0.2.1", "::1"])
        for expected, matched in (
            ("b.example", "b.example"),
            ("B.EXAMPLE.", "b.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[::1]", "::1"),
            ("0:0::1", "::1"),
        ):
            self.assertEqual(found.matches(expected), matched)
        for wrong in (
            "example",
            "a.b.example",
            "bb.example",
            "*.example",
            "",
            "sip:b.example",
            "192.0.2.2",
            "b.example\0",
        ):
            self.assertIsNone(found.matches(wrong), wrong)
        self.assertIsNone(PeerIdentities(["192.0.2.1"]).matches("192.0.2.1"))
        self.assertIsNone(PeerIdentities((), ["b.example"]).matches("b.example"))

    @given(st.text(max_size=30))
    @drawing(max_examples=200, deadline=None)
    def test_nothing_odd_matches(self, text: str) -> None:
        """No text but a spelling of the name itself matches it. fault:F1"""
        found = PeerIdentities(["b.example"], ["192.0.2.1"])
        if found.matches(text) is not None:
            self.assertIn(normalise_name(text), found.identities)

    def test_key(self) -> None:
        """The key is the same for the same domains in any order, whatever addresses stand beside them."""
        one = PeerIdentities(["b.example", "a.example"], ["192.0.2.1"])
        self.assertEqual(one.key, "a.example b.example")
        self.assertEqual(one.key, PeerIdentities(["a.example", "b.example"], ["192.0.2.2"]).key)
        self.assertNotEqual(one.key, PeerIdentities(["a.example"]).key)
        self.assertEqual(PeerIdentities((), ["::1"]).key, "::1")

    def test_values(self) -> None:
        """Equal identities are equal and hash alike, and show themselves."""
        one, two = PeerIdentities(["a.example"], ["::1"]), PeerIdentities(["a.example"], ["::1"])
        self.assertEqual((one, hash(one)), (two, hash(two)))
        self.assertNotEqual(one, PeerIdentities(["a.example"]))
        self.assertNotEqual(one, "a.example")
        self.assertEqual(repr(one), "PeerIdentities(['a.example'], ['::1'])")


class PolicyTests(SynchronousTestCase):
    """Who may talk to us."""

    def allowed(self, policy: TrustPolicy, *names: str) -> str | None:
        """Which of the domains lets its owner in."""
        return policy.allows(PeerIdentities(names))

    def test_hosts(self) -> None:
        """A host is allowed exactly as it stands, in any spelling. row:D6"""
        policy = TrustPolicy(["B.Example", "192.0.2.1", "bücher.example"])
        self.assertEqual(self.allowed(policy, "c.example", "b.example"), "b.example")
        self.assertEqual(self.allowed(policy, "xn--bcher-kva.example"), "xn--bcher-kva.example")
        self.assertEqual(policy.allows(PeerIdentities((), ["192.0.2.1"])), "192.0.2.1")
        for wrong in ("a.b.example", "example", "bb.example"):
            self.assertIsNone(self.allowed(policy, wrong))

    def test_domains(self) -> None:
        """A domain allows every name below it, label by label, and neither itself nor what only ends like it. row:D6"""
        policy = TrustPolicy(domains=[".Example.com"])
        for name in ("a.example.com", "b.a.example.com"):
            self.assertEqual(self.allowed(policy, name), name)
        for wrong in ("example.com", "badexample.com", "example.com.evil.net", "com", "a.example.net"):
            self.assertIsNone(self.allowed(policy, wrong), wrong)
        self.assertIsNone(policy.allows(PeerIdentities((), ["192.0.2.1"])))

    def test_empty_is_nobody(self) -> None:
        """An empty list allows nobody; to allow everybody takes another name, and still an identity. row:D7"""
        for nobody in (TrustPolicy([]), TrustPolicy((), ()), TrustPolicy.parse([]), TrustPolicy.parse(" , ")):
            for name in ("localhost", "b.example"):
                self.assertIsNone(self.allowed(nobody, name))
            self.assertEqual(str(nobody), "nobody")
        anybody = TrustPolicy.any_authenticated()
        self.assertEqual(self.allowed(anybody, "b.example"), "b.example")
        self.assertIsNone(anybody.allows(PeerIdentities()))
        self.assertTrue(anybody.allows_any)

    def test_default_is_localhost(self) -> None:
        """Whoever says nothing trusts localhost alone; whoever names a domain, that alone. row:D8"""
        self.assertEqual(TrustPolicy().hosts, {"localhost"})
        self.assertEqual(self.allowed(TrustPolicy(), "localhost"), "localhost")
        self.assertIsNone(self.allowed(TrustPolicy(), "b.example"))
        self.assertIsNone(self.allowed(TrustPolicy(domains=[".example"]), "localhost"))

    def test_written_form(self) -> None:
        """Policies are written as names and suffixes, in a list or with commas. row:D6"""
        policy = TrustPolicy(["b.example", "::1"], [".c.example"])
        self.assertEqual(TrustPolicy.parse(["b.example", ".c.example", "[::1]"]), policy)
        self.assertEqual(TrustPolicy.parse(" B.example , .c.example,::1,"), policy)
        self.assertEqual(str(policy), "::1, b.example, .c.example")
        self.assertEqual(repr(policy), "<TrustPolicy: ::1, b.example, .c.example>")

    def test_wrong_entries(self) -> None:
        """What is no name is quoted, with what is possible instead."""
        for wrong in ("*", "*.example", "sip:b.example", "b.example:5061", ".", "..b", ".192.0.2.1", "a b"):
            error = self.assertRaises(ValueError, TrustPolicy.parse, [wrong])
            self.assertIn(wrong.lstrip("."), str(error))
        self.assertIn("any_authenticated", str(self.assertRaises(ValueError, TrustPolicy.parse, "*")))
        self.assertRaises(ValueError, TrustPolicy, [".b.example"])
        self.assertIn("leading dot", str(self.assertRaises(ValueError, TrustPolicy, None, ["b.example"])))
        self.assertRaises(TypeError, TrustPolicy, "b.example")
        self.assertRaises(TypeError, TrustPolicy, None, ".b.example")

    def test_extended(self) -> None:
        """A policy with one more host is another policy; the first has not changed."""
        policy = TrustPolicy(["b.example"], [".c.example"])
        larger = policy.including("D.example")
        self.assertEqual(larger, TrustPolicy(["b.example", "d.example"], [".c.example"]))
        self.assertIsNone(self.allowed(policy, "d.example"))
        self.assertTrue(TrustPolicy.any_authenticated().including("b.example").allows_any)
        self.assertRaises(ValueError, policy.including, "*")

    def test_values(self) -> None:
        """Equal policies are equal and hash alike."""
        one, two = TrustPolicy(["b.example"]), TrustPolicy(["B.EXAMPLE"])
        self.assertEqual((one, hash(one)), (two, hash(two)))
        self.assertNotEqual(one, TrustPolicy.any_authenticated())
        self.assertNotEqual(TrustPolicy([]), TrustPolicy.any_authenticated())
        self.assertNotEqual(one, "b.example")


class ExclusionTests(SynchronousTestCase):
    """Names that are taken out of a policy."""

    def test_taken_out(self) -> None:
        """An excluded name is not allowed, nor is a peer that proves it for the sake of its other names. row:D10"""
        other = PeerIdentities(["c.example"])
        both = PeerIdentities(["c.example", "b.example"])
        for policy in (
            TrustPolicy(["b.example", "c.example"]),
            TrustPolicy(domains=[".example"]),
            TrustPolicy.any_authenticated(),
        ):
            without = policy.excluding("B.Example")
            self.assertEqual(policy.allows(both), "c.example")
            self.assertIsNone(without.allows(PeerIdentities(["b.example"])))
            self.assertIsNone(without.allows(both))
            self.assertEqual(without.excludes(both), "b.example")
            self.assertEqual(without.allows(other), "c.example")
            self.assertIsNone(policy.excludes(both))
            self.assertNotEqual(policy, without)
            self.assertIn("but not b.example", str(without))
            self.assertIsNone(without.including("b.example").allows(both))

    def test_suffixes_and_addresses(self) -> None:
        """A suffix takes out all that is below it, an address itself; what is neither is refused. row:D10"""
        policy = TrustPolicy.any_authenticated().excluding(".b.example").excluding("192.0.2.1")
        for names, allowed in (
            (["a.b.example"], False),
            (["b.example"], True),
            (["x.a.b.example"], False),
            (["bb.example"], True),
        ):
            self.assertIs(policy.allows(PeerIdentities(names)) is not None, allowed, names)
        self.assertIsNone(policy.allows(PeerIdentities(["c.example"], ["192.0.2.1"])))
        self.assertEqual(
            TrustPolicy(domains=[".b.example", ".c.example"]).excluding(".b.example").domains, {".c.example"}
        )
        for wrong in ("*.example", "sip:b.example", ""):
            with self.assertRaises(ValueError):
                policy.excluding(wrong)

    def test_known_by_names(self) -> None:
        """Names that somebody vouches for are told apart from addresses."""
        known = PeerIdentities.of_names(["192.0.2.1", "b.example", "2001:db8::1"])
        self.assertEqual((known.domains, known.addresses), (("b.example",), ("192.0.2.1", "2001:db8::1")))
