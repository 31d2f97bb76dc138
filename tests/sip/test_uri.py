"""Tests of SIP URIs, and of telling one kind of URI from another."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.host import bracketed
from sip_p2p.sip.tel import TelUri
from sip_p2p.sip.uri import OpaqueUri, SipUri, _parse_any, parse_uri
from tests.sip.grammar import ANY_TEXT, HOSTS, NASTY_TEXT, assert_linear, garbled
from tests.support import SynchronousTestCase, vectors

EXAMPLE = (
    "sips:alice;x:s%3Acret@AtLanTa.CoM:5061;Transport=TCP;lr;a%20b=%C3%BC?Subject=project%20x&To=sip:b%40c.example"
)

ODDITIES = """
    : sip sip: sips: sip:@ sip:@b.example sip:a@ sip:a@@b.example sip:a@b@c.example alice alice@b.example
    <sip:a@b.example> sip:a@b.example: sip:a@b.example:65536 sip:a@b.example:99999 sip:a@b.example:-1
    sip:a@b.example:5060x sip:a@b.example:5060:5060 sip:a@b.example; sip:a@b.example;;lr sip:a@b.example;=x
    sip:a@b.example;x=y=z sip:a@b.example;x=y@z sip:a@b.example? sip:a@b.example?x sip:a@b.example?=y
    sip:a@b.example?x=y& sip:a@b.example?x=y@z sip:a%@b.example sip:a%4@b.example sip:a%zz@b.example
    sip:"a"@b.example sip:a<b>@b.example sip:a\\@b.example sip:a@b_\u00e4.example sip:a@\u212a.example
    sip:a@b.example:\u0665 sip:a:b:c@b.example 1sip:a \u017fip:a@b.example sip:a@b..example sip:a@-b.example
    sip:a@1.2.3 sip:a@300.1.1.1 sip:a@0x7f.1 sip:a@b.example;x=%4
"""
BLANK_ODDITIES = (
    *("", "sip:a b@b.example", "sip:a@b.example; lr", "sip: a@b.example", " sip:a@b.example", "sip:a@b.example "),
    *("sip:a@b.example\n", "sip:a\r\nX: y@b.example", "sip:a\0@b.example", "sip:a@b\0.example", "sip:a\x7f@b.example"),
    *("sip:a@b.example;x=\t", "s ip:a", "sip:\u2028@b.example\u2028", "sip:a@b.example\x85"),
)

PARTS = st.one_of(ANY_TEXT, NASTY_TEXT)


def parts(uri: SipUri) -> tuple[object, ...]:
    """Everything that a SIP URI is made of."""
    return uri.scheme, uri.user, uri.password, uri.host, uri.port, dict(uri.params), uri.headers


class ParseTests(SynchronousTestCase):
    """Text to parts."""

    def test_all_parts(self) -> None:
        """Every part of a URI is found and decoded (row:K1)."""
        uri = SipUri.parse(EXAMPLE, strict=True)
        self.assertEqual((uri.scheme, uri.is_secure), ("sips", True))
        self.assertEqual((uri.user, uri.password), ("alice;x", "s:cret"))
        self.assertEqual((uri.host, uri.port, uri.domain), ("atlanta.com", 5061, "atlanta.com:5061"))
        self.assertEqual(dict(uri.params), {"transport": "TCP", "lr": None, "a b": "\u00fc"})
        self.assertEqual(uri.headers, (("Subject", "project x"), ("To", "sip:b@c.example")))
        self.assertEqual(str(uri), EXAMPLE)

    def test_accessors(self) -> None:
        """The parameters of section 19.1.1 have names of their own (row:K1)."""
        uri = SipUri.parse(
            "sip:a@b.example;transport=TLS;maddr=239.255.255.1;ttl=15;user=phone;method=REGISTER;lr=on;gr=x;ob"
        )
        self.assertEqual((uri.transport, uri.maddr, uri.ttl), ("tls", "239.255.255.1", 15))
        self.assertEqual((uri.method, uri.lr, uri.params["user"]), ("REGISTER", True, "phone"))
        self.assertEqual((uri.is_phone, uri.gr, uri.ob), (True, "x", True))
        self.assertEqual(SipUri.parse("sip:b.example;gr").gr, "")
        plain = SipUri.parse("sip:b.example")
        self.assertEqual((plain.transport, plain.maddr, plain.ttl, plain.method, plain.lr), (None,) * 4 + (False,))
        self.assertEqual((plain.is_phone, plain.gr, plain.ob), (False, None, False))
        self.assertEqual((plain.user, plain.password, plain.port, plain.headers), (None, None, None, ()))

    def test_bad_ttl(self) -> None:
        """A ttl that is no number up to 255 is none (fault:A14)."""
        for ttl in ("256", "-1", "x", "99999999999999999999999"):
            self.assertIsNone(SipUri.parse(f"sip:b.example;ttl={ttl}").ttl)
        self.assertIsNone(SipUri.parse("sip:b.example;ttl").ttl)

    def test_vectors(self) -> None:
        """The examples of section 19.1.3 and their like parse, strictly (row:K1)."""
        for case in vectors("uri_parse")["cases"]:
            with self.subTest(case["text"]):
                self.assertEqual(case["expect"], "parse-ok")
                uri = SipUri.parse(case["text"], strict=True)
                self.assertEqual(str(uri), case["text"])
        self.assertEqual(SipUri.parse("sip:alice;day=tuesday@atlanta.com").user, "alice;day=tuesday")

    def test_torture(self) -> None:
        """The odd URIs of RFC 4475 mean what the RFC says they mean (row:K1, row:K12)."""
        uri = SipUri.parse("sip:sips%3Auser%40example.com@example.net", strict=True)
        self.assertEqual((uri.scheme, uri.user, uri.host), ("sip", "sips:user@example.com", "example.net"))
        uri = SipUri.parse("sip:user;par=u%40example.net@example.com", strict=True)
        self.assertEqual((uri.user, dict(uri.params)), ("user;par=u@example.net", {}))
        uri = SipUri.parse("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31", strict=True)
        self.assertEqual((uri.user, uri.lr, uri.params["name"]), ("caller", True, "value%41"))
        null, two = SipUri.parse("sip:%00@host5.example.com", True), SipUri.parse("sip:%00%00@host5.example.com", True)
        self.assertEqual((null.user, two.user), ("\0", "\0\0"))
        self.assertNotEqual(null, two)
        self.assertEqual(str(null), "sip:%00@host5.example.com")
        uri = SipUri.parse(
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            True,
        )
        self.assertEqual(uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
        self.assertEqual(uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")

    def test_ipv6(self) -> None:
        """IPv6 stands in brackets, and a port only after them (RFC 5118 sections 4.1 to 4.3)."""
        good = SipUri.parse("sip:[2001:db8::10]", True)
        self.assertEqual((good.host, good.port), ("2001:db8::10", None))
        ambiguous = SipUri.parse("sip:[2001:db8::10:5070]", True)
        self.assertEqual((ambiguous.host, ambiguous.port), ("2001:db8::10:5070", None))
        clear = SipUri.parse("sip:[2001:db8::10]:5070", True)
        self.assertEqual((clear.host, clear.port, clear.domain), ("2001:db8::10", 5070, "[2001:db8::10]:5070"))
        for text in ("sip:2001:db8::10", "sip:user@2001:db8::10", "sip:[2001:db8::10", "sip:user@[fe80::1%25eth0]"):
            self.assertRaises(MalformedMessage, parse_uri, text)
        colons = SipUri.parse("sip:user@[2001:db8:::192.0.2.1]")
        self.assertEqual(colons, SipUri.parse("sip:user@[2001:db8::192.0.2.1]"))
        self.assertNotIn(":::", str(colons))

    def test_oddities(self) -> None:
        """What is no URI is malformed, with 400 (fault:A13)."""
        texts = [*ODDITIES.split(), *BLANK_ODDITIES]
        for text in texts:
            with self.subTest(ascii(text)):
                error = self.assertRaises(MalformedMessage, parse_uri, text)
                self.assertEqual(error.status, 400)
                self.assertLess(len(str(error)), 256)

    def test_long(self) -> None:
        """A URI of many thousand characters is a URI (fault:A13)."""
        uri = SipUri.parse(f"sip:{'u' * 50_000}@b.example;{'p' * 50_000}={'v' * 50_000}")
        self.assertEqual((len(uri.user or ""), len(uri.params["p" * 50_000] or "")), (50_000, 50_000))

    def test_lenient(self) -> None:
        """Harmless sloppiness of peers is read, and written correctly; a strict reader refuses it (row:K2)."""
        for text, correct in (
            ("sip:a@b.example;x=1;X=2", "sip:a@b.example;x=1"),
            ("sip:a@b.example;transport=tcp;transport=tcp", "sip:a@b.example;transport=tcp"),
            ("sip:a@b.example;x=", "sip:a@b.example;x"),
            ("sip:*72#@b.example", "sip:*72%23@b.example"),
            ("sip:J\u00fcrgen@b.example", "sip:J%C3%BCrgen@b.example"),
            ("sip:\udcff@b.example", "sip:%FF@b.example"),
        ):
            self.assertEqual(str(parse_uri(text)), correct)
            self.assertRaises(MalformedMessage, parse_uri, text, True)
            self.assertRaises(ValueError, SipUri.parse, text, True)
            self.assertEqual(str(parse_uri(correct, True)), correct)

    def test_scheme_case(self) -> None:
        """The scheme is read in any case, and only in ASCII's."""
        self.assertEqual(str(parse_uri("SIP:a@B.example")), "sip:a@b.example")
        self.assertEqual(parse_uri("SiPs:a@b.example").scheme, "sips")

    @settings(deadline=None)
    @given(garbled(EXAMPLE))
    def test_any_text(self, text: str) -> None:
        """Any text is a URI that reads back the same when written, or malformed (row:K1, fault:A13)."""
        try:
            uri = parse_uri(text)
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
            return
        written = str(uri)
        self.assertEqual(parse_uri(written), uri)
        self.assertEqual(hash(parse_uri(written)), hash(uri))
        if isinstance(uri, SipUri):
            again = SipUri.parse(written, strict=True)
            self.assertEqual(parts(again), parts(uri))
            self.assertTrue(written.isascii())

    @settings(deadline=None)
    @given(
        st.one_of(
            garbled("sip:alice@atlanta.com"),
            garbled("sips:bob.x@192.0.2.4:5061;transport=tcp;lr"),
            st.builds(
                "sip:{}@{}{}".format,
                st.text("ab.-_;?=", max_size=4),
                HOSTS,
                st.sampled_from(["", ":5060", ":0", ";lr"]),
            ),
        )
    )
    def test_both_ways_agree(self, text: str) -> None:
        """The short way for the usual shape and the general one find the same parts (row:K1)."""
        try:
            general = _parse_any(text, False)
        except MalformedMessage:
            self.assertRaises(MalformedMessage, parse_uri, text)
            return
        usual = parse_uri(text)
        self.assertIs(type(usual), type(general))
        self.assertEqual(str(usual), str(general))
        if isinstance(usual, SipUri) and isinstance(general, SipUri):
            self.assertEqual(parts(usual), parts(general))

    def test_linear_time(self) -> None:
        """Long URIs, right ones and wrong ones, take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                hash(parse_uri(text))
            except MalformedMessage:
                return

        for start in ("sip:", "sip:a@b.example", "sip:a@b.example;x", "sip:a@b.example?x=y", "x:"):
            for unit in ("a", ":", ";", ";a", ";a=b", "&a=b", "%41", "@", "?", "a.", "1.", "["):
                for end in ("", "@b.example", "\n"):
                    assert_linear(
                        self,
                        attempt,
                        lambda size, start=start, unit=unit, end=end: f"{start}{unit * (size // len(unit))}{end}",
                    )


class RememberedTests(SynchronousTestCase):
    """What was read is not read again."""

    def test_again(self) -> None:
        """A usual URI of moderate length is read once, an unusual one each time, and both are what they were."""
        for text, is_same in (
            ("sip:bob@b.example:5061;transport=tls", True),
            (f"sip:{'b' * 200}@b.example", False),
            ("sip:b%6fb@b.example", False),
        ):
            first = parse_uri(text)
            self.assertIs(parse_uri(text) is first, is_same, text)
            self.assertIs(parse_uri(text, strict=True) is first, is_same, text)
            self.assertEqual((parse_uri(text), str(parse_uri(text))), (first, text))

    def test_bounded(self) -> None:
        """However many there are, a few hundred are remembered, and the first is read anew."""
        first = parse_uri("sip:0@b.example")
        for number in range(1, 2000):
            self.assertEqual(parse_uri(f"sip:{number}@b.example"), SipUri("sip", str(number), "b.example"))
        self.assertIsNot(parse_uri("sip:0@b.example"), first)


class BuildTests(SynchronousTestCase):
    """Parts to text."""

    def test_escapes(self) -> None:
        """Each part is escaped as it needs (row:K1, row:K5)."""
        uri = SipUri(
            "sip",
            "a b:c@d",
            "B.example",
            5060,
            {"LR": None, "x;y": "=\u00fc"},
            [("Subject", "a&b"), ("Route", "<x>")],
            "p;w",
        )
        self.assertEqual(
            str(uri), "sip:a%20b%3Ac%40d:p%3Bw@b.example:5060;lr;x%3By=%3D%C3%BC?Subject=a%26b&Route=%3Cx%3E"
        )
        self.assertEqual(parts(SipUri.parse(str(uri), True)), parts(uri))

    def test_what_makes_no_uri(self) -> None:
        """Parts that make no URI are refused when they are put together (fault:B1)."""
        plain = ("sip", "a", "b.example")
        for arguments in (
            *(
                ("tel", "a", "b.example"),
                ("SIP", "a", "b.example"),
                ("", "a", "b.example"),
                ("sip\n", "a", "b.example"),
            ),
            *(("sip", user, "b.example") for user in ("", "\ud800", "\udcc3\udca9")),
            *(
                ("sip", "a", host)
                for host in ("", "b c", "b.example\r\n", "b.example;lr", "b@c.example", "b.example:1")
            ),
            *((*plain, port) for port in (65536, -1)),
            *((*plain, None, params) for params in ({"": None}, {"x": ""}, {"x": None, "X": None}, {"x": "\ud800"})),
            (*plain, None, {}, [("", "x")]),
            ("sip", None, "b.example", None, {}, (), "pw"),
        ):
            with self.subTest(ascii(arguments)):
                self.assertRaises(ValueError, SipUri, *arguments)

    @settings(deadline=None)
    @given(
        st.sampled_from(["sip", "sips"]),
        st.none() | PARTS,
        st.one_of(HOSTS, NASTY_TEXT),
        st.none() | st.integers(-1, 65536),
        st.dictionaries(PARTS, st.none() | PARTS, max_size=3),
        st.lists(st.tuples(PARTS, PARTS), max_size=3),
        st.none() | PARTS,
    )
    def test_any_parts(
        self,
        scheme: str,
        user: str | None,
        host: str,
        port: int | None,
        params: dict[str, str | None],
        headers: list[tuple[str, str]],
        password: str | None,
    ) -> None:
        """Any text in any part makes a URI that reads back the same, or a ValueError (row:K1, fault:B1)."""
        try:
            uri = SipUri(scheme, user, host, port, params, headers, password)
        except ValueError:
            return
        self.assertEqual((uri.user, uri.password, uri.port), (user, password, port))
        self.assertEqual(uri.headers, tuple(headers))
        self.assertEqual(list(uri.params.values()), list(params.values()))
        written = str(uri)
        self.assertTrue(written.isascii() and written.isprintable() and " " not in written)
        again = SipUri.parse(written, strict=True)
        self.assertEqual(parts(again), parts(uri))
        self.assertEqual(again, uri)
        self.assertEqual(hash(again), hash(uri))

    def test_replace(self) -> None:
        """A copy may have other parts; None takes one away."""
        uri = SipUri.parse("sip:alice:pw@a.example:5070;transport=tcp;lr?Subject=x")
        self.assertEqual(
            str(uri.replace(user="bob", password=None)), "sip:bob@a.example:5070;transport=tcp;lr?Subject=x"
        )
        self.assertEqual(str(uri.replace(port=None, params=None, headers=())), "sip:alice:pw@a.example")
        other = uri.replace(scheme="sips", host="[::1]", params={"x": "y"}, headers=[("A", "b")], port=1)
        self.assertEqual(str(other), "sips:alice:pw@[::1]:1;x=y?A=b")
        self.assertEqual(str(uri.replace()), str(uri))
        self.assertEqual(str(SipUri.parse("sip:a@[::1]:5061").replace(user="b")), "sip:b@[::1]:5061")
        self.assertRaises(ValueError, uri.replace, host="a b")

    def test_without(self) -> None:
        """Parameters and headers can be taken away; where there are none, it is the same URI."""
        uri = SipUri.parse("sip:a@b.example;lr;x=1?Subject=y")
        self.assertEqual(str(uri.without("lr", "z")), "sip:a@b.example;x=1?Subject=y")
        self.assertEqual(str(uri.without_headers()), "sip:a@b.example;lr;x=1")
        plain = SipUri.parse("sip:a@b.example;lr")
        self.assertIs(plain.without("x"), plain)
        self.assertIs(plain.without_headers(), plain)

    def test_request_uri(self) -> None:
        """A Request-URI has neither method nor headers, and keeps every other parameter (section 19.1.5)."""
        uri = SipUri.parse("sip:a@b.example:5070;method=BYE;transport=tcp;maddr=192.0.2.1;unknown=x?Route=%3Csip:c%3E")
        self.assertEqual(str(uri.as_request_uri()), "sip:a@b.example:5070;transport=tcp;maddr=192.0.2.1;unknown=x")
        plain = SipUri.parse("sip:a%2Db@b.example;transport=tcp")
        self.assertIs(plain.as_request_uri(), plain)

    def test_headers(self) -> None:
        """The headers of a URI are found without regard to case, the first of a name first (row:K5)."""
        uri = SipUri.parse("sip:a@b.example?Subject=a%20b&subject=c&To=&body=x%0D%0Ay")
        self.assertEqual(uri.header("SUBJECT"), "a b")
        self.assertEqual(uri.header("to"), "")
        self.assertEqual(uri.header("Body"), "x\r\ny")
        self.assertIsNone(uri.header("From"))
        self.assertEqual((uri.header_values("sUbject"), uri.header_values("x")), (["a b", "c"], []))

    def test_immutable(self) -> None:
        """No part of a URI can be set, nor its parameters changed (row:K1)."""
        uri = SipUri.parse("sip:a@b.example;lr")
        for name in ("scheme", "user", "password", "host", "port", "params", "headers"):
            self.assertRaises(AttributeError, setattr, uri, name, "x")
        self.assertRaises(TypeError, _set_item, uri.params)

    def test_repr(self) -> None:
        """A URI in a log is one line that names its kind."""
        self.assertEqual(repr(SipUri.parse("sip:a@b.example")), "<SipUri 'sip:a@b.example'>")
        self.assertEqual(repr(parse_uri("tel:+1")), "<TelUri 'tel:+1'>")
        self.assertEqual(repr(parse_uri("im:a@b")), "<OpaqueUri 'im:a@b'>")


def _set_item(mapping: object) -> None:
    mapping["lr"] = "x"  # type: ignore[index]


class EqualityTests(SynchronousTestCase):
    """Section 19.1.4."""

    def test_vectors(self) -> None:
        """The pairs of the vectors compare as the RFCs say, both ways; equal ones have one hash (row:K3, row:K6)."""
        cases = vectors("uri_compare")["cases"]
        self.assertGreater(len(cases), 25)
        for case in cases:
            with self.subTest(f"{case['a']} {case['b']}"):
                a, b = parse_uri(case["a"]), parse_uri(case["b"])
                if case["equal"] is not None:
                    self.assertEqual(a == b, case["equal"], case["note"])
                    self.assertEqual(b == a, case["equal"], case["note"])
                if a == b:
                    self.assertEqual(hash(a), hash(b))
                self.assertEqual(a, parse_uri(case["a"]))

    def test_not_transitive(self) -> None:
        """Two URIs that contradict each other both equal the one that says nothing (row:K3)."""
        silent, on, off = (parse_uri("sip:carol@chicago.com" + end) for end in ("", ";security=on", ";security=off"))
        self.assertEqual((silent == on, silent == off, on == off), (True, True, False))
        self.assertEqual(len({hash(silent), hash(on), hash(off)}), 1)

    def test_reserved_escapes(self) -> None:
        """A reserved character is not its escape; any other is, however it is spelled (row:K3)."""
        self.assertNotEqual(parse_uri("sip:a;b@c.example"), parse_uri("sip:a%3Bb@c.example"))
        self.assertNotEqual(parse_uri("sip:a@c.example;x=a&b"), parse_uri("sip:a@c.example;x=a%26b"))
        self.assertEqual(parse_uri("sip:a%3bb@c.example"), parse_uri("sip:a%3Bb@c.example"))
        self.assertEqual(parse_uri("sip:%61%2D@c.example;%78=%79"), parse_uri("sip:a-@c.example;x=y"))
        self.assertEqual(parse_uri("sip:J\u00fcrgen@c.example"), parse_uri("sip:J%c3%bcrgen@c.example"))
        self.assertNotEqual(parse_uri("sip:a%2541@c.example"), parse_uri("sip:a%41@c.example"))

    def test_case(self) -> None:
        """Only the user and the password have a case, and only ASCII has one to fold (row:K3)."""
        self.assertNotEqual(parse_uri("sip:a:P@c.example"), parse_uri("sip:a:p@c.example"))
        self.assertEqual(parse_uri("sip:a@c.example?To=x"), parse_uri("sip:a@C.example?tO=x"))
        self.assertNotEqual(parse_uri("sip:a@c.example;x=K"), parse_uri("sip:a@c.example;x=%E2%84%AA"))
        self.assertNotEqual(parse_uri("sip:a@c.example;x=k"), parse_uri("sip:a@c.example;x=\u212a"))

    def test_other_kinds(self) -> None:
        """A SIP URI equals neither its text nor a URI of another kind."""
        uri = parse_uri("sip:+1@c.example")
        for other in ("sip:+1@c.example", parse_uri("tel:+1"), parse_uri("im:+1@c.example"), None):
            self.assertNotEqual(uri, other)

    def test_as_a_key(self) -> None:
        """URIs are found again in a dictionary by any equal spelling (row:K6)."""
        bindings = {
            parse_uri("sip:%61lice@AtLanTa.CoM;Transport=TCP;x=1"): 1,
            parse_uri("tel:+1-2"): 2,
            parse_uri("im:x@y"): 3,
        }
        self.assertEqual(bindings[parse_uri("sip:alice@atlanta.com;transport=tcp")], 1)
        self.assertEqual(bindings[parse_uri("tel:+12")], 2)
        self.assertEqual(bindings[parse_uri("IM:x@y")], 3)

    def test_same_user(self) -> None:
        """The user can be compared without its case, and without what is no part of who it is (row:K3)."""
        alice = SipUri.parse("sip:Alice@a.example")
        for text in ("sip:alice@A.example", "sips:ALICE:pw@a.example;transport=tcp?x=y", "sip:%61lice@a.example"):
            self.assertTrue(alice.same_user(SipUri.parse(text)), text)
        for text in ("sip:a.example", "sip:bob@a.example", "sip:alice@b.example", "sip:alice@a.example:5060"):
            self.assertFalse(alice.same_user(SipUri.parse(text)), text)
            self.assertFalse(SipUri.parse(text).same_user(alice), text)
        self.assertTrue(SipUri.parse("sip:a.example").same_user(SipUri.parse("sips:A.example")))
        self.assertFalse(SipUri.parse("sip:k@a.example").same_user(SipUri.parse("sip:\u212a@a.example")))

    @settings(deadline=None)
    @given(garbled("sip:%61b;c@D.example;x=%41;y;transport=UDP?h=%3D&i=1"), garbled("sip:ab;c@d.example;X=a;z=1"))
    def test_symmetric_and_hashed(self, first: str, second: str) -> None:
        """Equality goes both ways, holds of itself, and equal URIs have one hash (row:K6)."""
        try:
            a, b = parse_uri(first), parse_uri(second)
        except MalformedMessage:
            return
        self.assertEqual(a, a)
        self.assertEqual(a == b, b == a)
        if a == b:
            self.assertEqual(hash(a), hash(b))


class OtherSchemeTests(SynchronousTestCase):
    """URIs that only pass through."""

    def test_kinds(self) -> None:
        """The scheme tells which kind a URI is (row:K1)."""
        self.assertIsInstance(parse_uri("sips:a@b.example"), SipUri)
        self.assertIsInstance(parse_uri("TEL:+1"), TelUri)
        for text, scheme in (
            ("nobodyKnowsThisScheme:totallyopaquecontent", "nobodyknowsthisscheme"),
            ("soap.beep://192.0.2.103:3002", "soap.beep"),
            ("http://www.example.com", "http"),
            ("isbn:2983792873", "isbn"),
            ("name:John_Smith", "name"),
            ("urn:service:sos.fire", "urn"),
        ):
            uri = parse_uri(text)
            assert isinstance(uri, OpaqueUri)
            self.assertEqual((uri.scheme, uri.text, str(uri)), (scheme, text, text))

    def test_equality(self) -> None:
        """Only the scheme's case does not count."""
        self.assertEqual(parse_uri("URN:x:Y"), parse_uri("urn:x:Y"))
        self.assertEqual(hash(parse_uri("URN:x:Y")), hash(parse_uri("urn:x:Y")))
        self.assertNotEqual(parse_uri("urn:x:Y"), parse_uri("urn:x:y"))
        self.assertNotEqual(parse_uri("urn:x:Y"), "urn:x:Y")

    def test_building(self) -> None:
        """An opaque URI is of the scheme that it claims, and holds nothing that ends a line or a bracket (fault:B1)."""
        self.assertEqual(str(OpaqueUri("IM", "im:a@b")), "im:a@b")
        for scheme, text in (
            ("im", "pres:a"),
            ("im", "im:"),
            ("im", "im:a b"),
            ("im", "im:a\r\n"),
            ("im", "im:a>"),
            ("im", "im:\0"),
        ):
            self.assertRaises(ValueError, OpaqueUri, scheme, text)

    def test_not_of_sip(self) -> None:
        """Who needs a SIP URI is told what it got instead."""
        with self.assertRaisesRegex(ValueError, "must start with sip: or sips:"):
            SipUri.parse("http://www.example.com")

    def test_bracketed(self) -> None:
        """The host of a parsed URI, in brackets where it needs them, is a host again."""
        for text in ("sip:[::1]", "sip:a.example", "sip:192.0.2.1"):
            uri = SipUri.parse(text)
            self.assertEqual(bracketed(uri.host), text[4:])
