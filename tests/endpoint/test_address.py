"""Addresses: what an application may write for a party, and what becomes of it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import RealTimeAddress, SipUri, TelUri
from sip_p2p.endpoint.address import to_sip_uri


class ToSipUriTests(SynchronousTestCase):
    """The forms in which a target can be given."""

    def test_forms(self) -> None:
        """A URI as text, in angle brackets, without its scheme, parsed, or as an address means the same (row:K4)."""
        expected = SipUri.parse("sip:bob@b.example")
        for form in (
            "sip:bob@b.example",
            " SIP:bob@B.example\n",
            "<sip:bob@b.example>",
            "bob@b.example",
            expected,
            RealTimeAddress("bob@b.example"),
        ):
            self.assertEqual(to_sip_uri(form), expected, form)
        self.assertEqual(to_sip_uri("bob@b.example:5070").port, 5070)
        self.assertTrue(to_sip_uri("sips:b.example").is_secure)

    def test_numbers(self) -> None:
        """A tel URI is placed in a domain (RFC 3261 section 19.1.6), and is a ValueError without one (row:K4)."""
        for form in ("tel:+1-555-0100", TelUri.parse("tel:+1-555-0100")):
            uri = to_sip_uri(form, "b.example")
            self.assertEqual((uri.host, uri.params.get("user")), ("b.example", "phone"))
            with self.assertRaises(ValueError) as caught:
                to_sip_uri(form)
            self.assertIn("domain", str(caught.exception))

    def test_other_schemes(self) -> None:
        """An address of something else is refused, and never taken for a user with a password (row:M4)."""
        for other in ("mailto:bob@b.example", "xmpp:bob@b.example", "im:bob@b.example", "http://bob@b.example/"):
            with self.assertRaises(ValueError) as caught:
                to_sip_uri(other)
            self.assertIn(other, str(caught.exception))

    def test_what_is_no_address(self) -> None:
        """Text that is no address is a ValueError that quotes it, shortened; what is no text is a TypeError (row:M4,
        fault:B1)."""
        for wrong in (
            "",
            "bob",
            "@",
            "bob@",
            "@b.example",
            "sip:",
            "sip:bob@b.example\r\nEvil: 1",
            "<sip:a@b",
            "a b@c",
        ):
            with self.assertRaises(ValueError, msg=repr(wrong)):
                to_sip_uri(wrong)
        with self.assertRaises(ValueError) as caught:
            to_sip_uri("x" * 10_000)
        self.assertLess(len(str(caught.exception)), 300)
        for wrong_type in (5, None, b"sip:bob@b.example", ["sip:bob@b.example"]):
            with self.assertRaises(TypeError):
                to_sip_uri(wrong_type)  # type: ignore[arg-type]


class RealTimeAddressTests(SynchronousTestCase):
    """UCMA's address."""

    def test_parts(self) -> None:
        """An address has its URI and the domain that is to be proved."""
        address = RealTimeAddress("sips:Bob@B.Example:5061")
        self.assertEqual((address.uri, address.domain), (SipUri.parse("sips:Bob@b.example:5061"), "b.example"))
        self.assertEqual(str(address), "sips:Bob@B.Example:5061")
        self.assertEqual(repr(address), "RealTimeAddress('sips:Bob@B.Example:5061')")

    def test_equal_as_its_uri(self) -> None:
        """Addresses are equal, and are one key, as their URIs are (RFC 3261 section 19.1.4)."""
        one, same = RealTimeAddress("sip:bob@b.example"), RealTimeAddress("sip:b%6Fb@B.EXAMPLE")
        self.assertEqual(one, same)
        self.assertEqual(len({one, same, RealTimeAddress("sip:BOB@b.example")}), 2)
        self.assertNotEqual(one, "sip:bob@b.example")

    def test_it_cannot_be_changed(self) -> None:
        """An address stays what it is."""
        address = RealTimeAddress("sip:bob@b.example")
        for name in ("uri", "other"):
            with self.assertRaises(AttributeError):
                setattr(address, name, SipUri.parse("sip:evil@evil.example"))
        self.assertEqual(str(address), "sip:bob@b.example")

    def test_numbers(self) -> None:
        """A number needs a domain; a local one may be given its context, and keeps one that it has (row:K4)."""
        with self.assertRaises(ValueError):
            RealTimeAddress("tel:+15550100")
        self.assertEqual(RealTimeAddress("tel:+15550100", "b.example").domain, "b.example")
        for number in ("tel:100", TelUri.parse("tel:100;phone-context=x.example")):
            placed = RealTimeAddress(number, "b.example", "x.example")
            self.assertIn("phone-context=x.example", str(placed).lower())
        kept = RealTimeAddress("tel:100;phone-context=y.example", "b.example", "x.example")
        self.assertNotIn("x.example", str(kept))
        self.assertNotIn("phone-context", str(RealTimeAddress("tel:+15550100", "b.example", "x.example")))

    def test_wrong_domain(self) -> None:
        """A domain that is none is a ValueError."""
        for domain in ("", "b example", "b.example\r\nEvil: 1"):
            with self.assertRaises(ValueError, msg=repr(domain)):
                RealTimeAddress("tel:+15550100", domain)
