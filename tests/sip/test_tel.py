"""Tests of ``tel:`` URIs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.tel import TelUri
from sip_p2p.sip.uri import SipUri, parse_uri
from tests.sip.grammar import NASTY_TEXT, assert_linear, garbled
from tests.support import SynchronousTestCase

EXAMPLE = "tel:7042;phone-context=example.com;isub=1411"


class TelUriTests(SynchronousTestCase):
    """RFC 3966, and its way into a SIP URI."""

    def test_parts(self) -> None:
        """A tel URI has a number, digits, parameters and perhaps a context (row:K4)."""
        uri = TelUri.parse("tel:+1-201-555-0123;ext=12;Foo")
        self.assertEqual((uri.scheme, uri.number, uri.digits), ("tel", "+1-201-555-0123", "+12015550123"))
        self.assertEqual(dict(uri.params), {"ext": "12", "foo": None})
        self.assertTrue(uri.is_global)
        self.assertIsNone(uri.phone_context)
        local = TelUri.parse("TEL:(863)-1234;phone-context=+1-914-555", strict=True)
        self.assertFalse(local.is_global)
        self.assertEqual(local.phone_context, "+1-914-555")
        self.assertEqual(str(local), "TEL:(863)-1234;phone-context=+1-914-555")

    def test_building(self) -> None:
        """A built one has its parameters in the order of RFC 3966 section 3 (row:K4)."""
        uri = TelUri("7042", {"zz": None, "phone-context": "example.com", "AA": "x y", "isub": "1"})
        self.assertEqual(str(uri), "tel:7042;isub=1;phone-context=example.com;aa=x%20y;zz")
        self.assertEqual(parse_uri(str(uri), strict=True), uri)

    def test_local_numbers(self) -> None:
        """A local number needs a context; what peers send is taken without (RFC 3966 section 5.1.5)."""
        self.assertEqual(TelUri.parse("tel:112").number, "112")
        self.assertRaises(ValueError, TelUri.parse, "tel:112", True)
        self.assertRaises(ValueError, TelUri, "112")
        self.assertRaises(ValueError, TelUri, "112", {"phone-context": None})

    def test_malformed(self) -> None:
        """Numbers without digits, letters and empty parameters are refused (fault:A13)."""
        for rest in ("", "+", "--", "+12a", "+1 2", "+1;", "+1;=x", "+1;a b=c", "+1;a=%4", "+\u0661", "+1\n"):
            text = f"tel:{rest}"
            self.assertRaises(MalformedMessage, parse_uri, text)
            self.assertRaises(ValueError, TelUri.parse, text)
        self.assertRaises(ValueError, TelUri.parse, "sip:+1@a.example")
        for params in ({"a b": "c"}, {"": None}, {"a": ""}, {"A": "1", "a": "2"}, {"a": "\ud800"}):
            self.assertRaises(ValueError, TelUri, "+1", params)

    def test_repeated_parameters(self) -> None:
        """A parameter given twice counts the first time, or is refused where one is strict (row:K2)."""
        self.assertEqual(TelUri.parse("tel:+1;a=1;A=2").params["a"], "1")
        self.assertRaises(ValueError, TelUri.parse, "tel:+1;a=1;A=2", True)
        self.assertRaises(ValueError, TelUri.parse, "tel:+1;a=", True)

    def test_equality(self) -> None:
        """Case, separators and order do not count; a parameter on one side only does (row:K3, RFC 3966 section 4)."""
        equal = TelUri.parse("tel:+1-201-555-0123;a=X;b")
        self.assertEqual(equal, TelUri.parse("tel:+12015550123;B;A=x"))
        self.assertEqual(hash(equal), hash(TelUri.parse("tel:+12015550123;B;A=x")))
        self.assertEqual(TelUri.parse("tel:7042;phone-context=+1-914"), TelUri.parse("tel:70-42;phone-context=+1914"))
        for end in ("12015550123;a=X", "12015550123;a=X;b=1", "12015550124;a=X;b"):
            self.assertNotEqual(equal, TelUri.parse(f"tel:+{end}"))
        for other in ("tel:12015550123;a=X;b",):
            self.assertNotEqual(equal, TelUri.parse(other))
        self.assertNotEqual(TelUri.parse("tel:1;phone-context=a-b"), TelUri.parse("tel:1;phone-context=ab"))
        self.assertNotEqual(equal, "tel:+1-201-555-0123;a=X;b")

    def test_to_sip(self) -> None:
        """The whole subscriber goes into the user part, small and in order (row:K4, RFC 3261 section 19.1.6)."""
        for text in ("tel:+358-555-1234567;postd=pp22;isub=1411", "tel:+358-555-1234567;isub=1411;POSTD=PP22"):
            sip = TelUri.parse(text).to_sip("foo.com")
            self.assertEqual(str(sip), "sip:+358-555-1234567;isub=1411;postd=pp22@foo.com;user=phone")
            self.assertEqual(sip.user, "+358-555-1234567;isub=1411;postd=pp22")
        for text in ("tel:+358-555-1234567;tsp=a.b;phone-context=5", "tel:+358-555-1234567;phone-context=5;tsp=a.b"):
            sip = TelUri.parse(text).to_sip("foo.com")
            self.assertEqual(str(sip), "sip:+358-555-1234567;phone-context=5;tsp=a.b@foo.com;user=phone")
        sips = TelUri.parse("tel:*72#;phone-context=a.example").to_sip("b.example:5071", scheme="sips")
        self.assertEqual(str(sips), "sips:*72%23;phone-context=a.example@b.example:5071;user=phone")
        self.assertEqual(TelUri.parse("tel:+1").to_sip("[::1]:5060").domain, "[::1]:5060")

    def test_to_sip_refuses_what_is_no_domain(self) -> None:
        """A domain is a host with or without a port, and nothing that could add to the URI (fault:B1)."""
        for domain in ("", "a b", "a.example;lr", "bob@a.example", "a.example?to=x", "a.example\r\n", "::1"):
            self.assertRaises(ValueError, TelUri.parse("tel:+1").to_sip, domain)

    def test_from_sip(self) -> None:
        """A SIP URI whose user is a number gives it back (row:K4)."""
        for text in ("tel:+358-555-1234567;isub=1411;postd=pp22", EXAMPLE, "tel:+1;a=b%3bc", "tel:*72#"):
            uri = TelUri.parse(text)
            self.assertEqual(uri.to_sip("foo.com").to_tel(), uri)
        for text in ("sip:foo.com", "sip:alice@foo.com", "sip:+1:pw;x@foo.com", "sip:+1?x@foo.com"):
            try:
                uri = SipUri.parse(text)
            except ValueError:
                continue
            self.assertRaises(ValueError, uri.to_tel)

    @settings(deadline=None)
    @given(st.one_of(garbled(EXAMPLE), NASTY_TEXT.map("tel:".__add__)))
    def test_any_text(self, text: str) -> None:
        """Whatever comes after tel: is a tel URI that survives being written, or malformed (row:K1, fault:A13)."""
        try:
            uri = parse_uri(text)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
            return
        self.assertEqual(parse_uri(str(uri)), uri)
        if isinstance(uri, TelUri):
            self.assertEqual(uri.to_sip("a.example").to_tel(), uri)

    @settings(deadline=None)
    @given(st.text("+0123456789*#-.()ab", max_size=12), st.dictionaries(st.text("abC-1 ", max_size=4), NASTY_TEXT))
    def test_any_parts(self, number: str, params: dict[str, str]) -> None:
        """Any parts make a tel URI that reads back the same, or a ValueError (fault:B1)."""
        try:
            uri = TelUri(number, params)
        except ValueError:
            return
        again = TelUri.parse(str(uri), strict=True)
        self.assertEqual((again.number, dict(again.params)), (uri.number, dict(uri.params)))

    def test_linear_time(self) -> None:
        """Long tel URIs take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_uri(text)
            except MalformedMessage:
                return

        for unit in ("1", "-", "(", ";a", ";a=b", ";", "=", "%41"):
            for end in ("", "!", "\n"):
                assert_linear(self, attempt, lambda size, unit=unit, end=end: f"tel:+1{unit * size}{end}")
