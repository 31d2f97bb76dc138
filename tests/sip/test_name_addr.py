"""Tests of addresses in header fields."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.name_addr import NameAddr, _parse_any_name_addr, parse_name_addr
from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri, parse_uri
from tests.sip.grammar import ANY_TEXT, NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase

USUAL = (
    '"Alice" <sip:alice@atlanta.com>;tag=1928301774',
    "<sip:bob@192.0.2.4:5060;transport=tcp>",
    '"" <sip:bob@biloxi.com>',
    '"\u00d6de, \u00df <x>; a@b" <sip:a@b.example;lr>;tag=a6c85cf',
)

PARAMS = st.dictionaries(st.one_of(TOKENS, NASTY_TEXT), st.none() | NASTY_TEXT)


def parts(value: NameAddr) -> tuple[object, ...]:
    """Everything that an address is made of."""
    return value.display_name, value.uri_text, value.tag, dict(value.params), value._quoted


class ParseTests(SynchronousTestCase):
    """Text to parts."""

    def test_parts(self) -> None:
        """An address has a URI, a display name, a tag and parameters (row:K8)."""
        value = parse_name_addr('"A. G. Bell" <sip:agb@bell-telephone.com;x=1> ;Tag=a48s ; y="q, r"', "From")
        self.assertEqual((value.display_name, value.tag), ("A. G. Bell", "a48s"))
        self.assertEqual(value.uri_text, "sip:agb@bell-telephone.com;x=1")
        self.assertEqual(value.uri, SipUri("sip", "agb", "bell-telephone.com", None, {"x": "1"}))
        self.assertIs(value.uri, value.uri)
        self.assertEqual(dict(value.params), {"tag": "a48s", "y": "q, r"})
        self.assertEqual(str(value), '"A. G. Bell" <sip:agb@bell-telephone.com;x=1>;tag=a48s;y="q, r"')
        self.assertEqual(repr(value), f"<NameAddr {str(value)!r}>")

    def test_epid(self) -> None:
        """Any other parameter, such as the epid of Microsoft's clients, is found by its name (row:K8)."""
        value = parse_name_addr("<sip:a@b.example>;tag=x;epid=0123ABCD", "From")
        self.assertEqual(value.params["epid"], "0123ABCD")

    def test_usual_ones(self) -> None:
        """The shapes of everyday traffic are read the short way, to the same parts."""
        for text in USUAL:
            self.assertEqual(parts(parse_name_addr(text, "To")), parts(_parse_any_name_addr(text, "To")))

    def test_addr_spec(self) -> None:
        """Without brackets every parameter is the field's, not the URI's (section 20.10, RFC 4475 section 3.3.12)."""
        value = parse_name_addr("sip:+12125551212@server.phone2net.com;tag=887s", "From")
        self.assertEqual((value.display_name, value.tag), ("", "887s"))
        self.assertEqual(value.uri_text, "sip:+12125551212@server.phone2net.com")
        bare = parse_name_addr("sip:+19725552222@gw1.example.net;unknownparam", "Contact")
        self.assertEqual(
            (dict(bare.params), str(bare)), ({"unknownparam": None}, "<sip:+19725552222@gw1.example.net>;unknownparam")
        )
        inside = parse_name_addr("<sip:+19725552222@gw1.example.net;unknownparam>", "Contact")
        self.assertEqual(dict(inside.params), {})
        self.assertIn("unknownparam", SipUri.parse(inside.uri_text).params)

    def test_torture(self) -> None:
        """The legal oddities of RFC 4475 are read as it says (row:K8, row:K12)."""
        vivekg, rosenberg, resource = (
            "sip:vivekg@chair-dnrc.example.com",
            "sip:jdrosen@example.com",
            "sip:r@example.com",
        )
        for text, display_name, uri, tag in (
            (f" {vivekg} ;   tag    = 1918181833n", "", vivekg, "1918181833n"),
            (f'"J Rosenberg \\\\\\""       <{rosenberg}>  ;  tag = 98asjd8', 'J Rosenberg \\"', rosenberg, "98asjd8"),
            ("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", "323"),
            (f'"%Z%45" <{resource}>;tag=f232jadfj23', "%Z%45", resource, "f232jadfj23"),
            (f'"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f" <{resource}>', "BEL:\x07 NUL:\0 DEL:\x7f", resource, None),
            ("isbn:2983792873", "", "isbn:2983792873", None),
            ("<http://www.example.com>;tag=3234233", "", "http://www.example.com", "3234233"),
        ):
            value = parse_name_addr(text, "To")
            self.assertEqual((value.display_name, value.uri_text, value.tag), (display_name, uri, tag))
        value = parse_name_addr(
            "token1~` token2'+_ token3*%!.- <sip:mundane@example.com>"
            ";fromParam''~+*_!.-%=\"\u0440\u0430\u0431\u043e\u0442\u0430\";tag=_token~1'+`*%!-.",
            "From",
        )
        self.assertEqual(value.display_name, "token1~` token2'+_ token3*%!.-")
        self.assertEqual(value.params["fromparam''~+*_!.-%"], "\u0440\u0430\u0431\u043e\u0442\u0430")
        value = parse_name_addr(
            '"Quoted string \\"\\"" <sip:a@example.com> ; newparam =  newvalue ;  secondparam ; q = 0.33', "Contact"
        )
        self.assertEqual((value.display_name, value.q), ('Quoted string ""', 0.33))

    def test_blanks_in_brackets(self) -> None:
        """Blanks at the ends of what the brackets hold are passed over (RFC 4475 section 3.1.2.14)."""
        value = parse_name_addr('"Watson, Thomas" < sip:t.watson@example.org >', "To")
        self.assertEqual((value.display_name, value.uri_text), ("Watson, Thomas", "sip:t.watson@example.org"))

    def test_sloppy_display_names(self) -> None:
        """Display names that should have been quoted are read where nothing is unclear, and quoted when written."""
        for text, display_name in (
            ("J\u00fcrgen M\u00fcller <sip:a@b.example>", "J\u00fcrgen M\u00fcller"),
            ("Bell (home) <sip:a@b.example>", "Bell (home)"),
            ("\udcff <sip:a@b.example>", "\udcff"),
        ):
            value = parse_name_addr(text, "From")
            self.assertEqual(value.display_name, display_name)
            self.assertEqual(str(value), f'"{display_name}" <sip:a@b.example>')

    def test_malformed(self) -> None:
        """What is no address is malformed, with 400, and the error says in which field (fault:A13)."""
        good = "<sip:a@b.example>"
        for text in (
            "",
            " ",
            "<>",
            "< >",
            "<sip:a@b.example",
            "sip:a@b.example>",
            "<<sip:a@b.example>>",
            '"Mr. J. User <sip:j@example.org>',
            'Mr. "J" User <sip:j@example.org>',
            '"a" "b" <sip:j@example.org>',
            '"a"b <sip:j@example.org>',
            '"a" sip:j@example.org',
            "Bell, Alexander <sip:a@b.example>",
            "Watson; T <sip:a@b.example>",
            "a@b <sip:a@b.example>",
            "sip:a@b.example, sip:c@d.example",
            "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
            "sip:a,b@c.example",
            "sip:alice;day=tuesday@atlanta.com",
            "sip:a b",
            f"{good} x",
            f"{good};",
            f"{good};;",
            '"Joe" <sip:joe@example.org>;;;;',
            f"{good};tag",
            f"{good};tag=",
            f'{good};tag="a b"',
            f'{good};tag=""',
            f"{good};tag=a;tag=b",
            f"{good}, {good}",
            f"{good}\n",
            f"{good}\0",
            "<sip:a b@c.example>",
            "<sip:a\tb>",
            "<sip:a\0@c.example>",
            '<sip:"a"@c.example>',
            '"\0" <sip:a@b.example>',
            '"\x07" <sip:a@b.example>',
            '"\r\n" <sip:a@b.example>',
            "\u2028<sip:a@b.example>;\u2028",
            "a\x0bb <sip:a@b.example>",
        ):
            with self.subTest(ascii(text)):
                error = self.assertRaises(MalformedMessage, parse_name_addr, text, "P-Test")
                self.assertEqual(error.status, 400)
                self.assertIn("P-Test", str(error))

    def test_late_uri(self) -> None:
        """A URI is looked at when it is asked for, and is malformed then (row:K8)."""
        value = parse_name_addr("<sip:a@b@c>;tag=x", "From")
        self.assertEqual(value.tag, "x")
        self.assertRaises(MalformedMessage, lambda: value.uri)

    def test_contact_parameters(self) -> None:
        """q and expires of a Contact are numbers, or none where they are no such numbers (fault:A14)."""
        for text, q, expires in (
            ("", None, None),
            (";q=0.7;expires=3600", 0.7, 3600),
            (";q=1.000;expires=0", 1.0, 0),
            (";q=0.;expires=007", 0.0, 7),
            (";q=1.1;expires=-1", None, None),
            (";q;expires", None, None),
            (";q=.5;expires=280297596632815", None, None),
            (";q=0.1234;expires=4294967295", None, 4294967295),
            (';q="0.5";expires=4294967296', 0.5, None),
        ):
            value = parse_name_addr(f"<sip:a@b.example>{text}", "Contact")
            self.assertEqual((value.q, value.expires), (q, expires), text)

    @settings(deadline=None)
    @given(
        st.one_of(
            *map(garbled, USUAL),
            garbled('J \u00fc. R <sip:a@b.example> ; a="\\";" ; tag=x'),
            st.builds(
                "{}{}<sip:a@b>{}".format,
                NASTY_TEXT,
                st.sampled_from(["", " ", "\t"]),
                st.sampled_from(["", ";tag=x", ";x"]),
            ),
        )
    )
    def test_both_ways_agree(self, text: str) -> None:
        """The short way for the usual shapes and the general one find the same parts, or the same fault."""
        try:
            general = _parse_any_name_addr(text, "To")
        except MalformedMessage as error:
            self.assertEqual(error.status, 400)
            self.assertRaises(MalformedMessage, parse_name_addr, text, "To")
            return
        usual = parse_name_addr(text, "To")
        self.assertEqual(parts(usual), parts(general))
        if "\ud800" not in text and "\udcc3\udca9" not in text:
            again = parse_name_addr(str(usual), "To")
            self.assertEqual(parts(again), parts(usual))
            self.assertEqual(again, usual)
            self.assertEqual(hash(again), hash(usual))

    def test_linear_time(self) -> None:
        """Long addresses, right ones and wrong ones, take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_name_addr(text, "To")
            except MalformedMessage:
                return

        for start in ("", '"', "<", "<sip:a@b>", "sip:a@b", '"a" ', "a <", "a ", '<sip:a@b>;x="'):
            for unit in ("a", " ", "a ", '"', "\\", '\\"', "<", ">", ";", ";a", ";a=b", "\u00e9", ","):
                for end in ("", "<sip:a@b>", '"', "\n"):
                    assert_linear(
                        self,
                        attempt,
                        lambda size, start=start, unit=unit, end=end: f"{start}{unit * (size // len(unit))}{end}",
                    )


class BuildTests(SynchronousTestCase):
    """Parts to text."""

    @settings(deadline=None)
    @given(st.one_of(ANY_TEXT, NASTY_TEXT))
    def test_display_name(self, display_name: str) -> None:
        """No display name gets out of its quotes: it comes back the same or is refused at once (fault:B3, fault:B1)."""
        try:
            value = NameAddr("sip:a@b.example", display_name, {"tag": "x"})
        except ValueError:
            self.assertTrue(any(bad in display_name for bad in "\r\n\0") or not display_name.isascii())
            return
        again = parse_name_addr(str(value), "From")
        self.assertEqual(again.display_name, display_name)
        self.assertEqual((again.uri_text, again.tag, len(again.params)), ("sip:a@b.example", "x", 1))

    def test_breaking_out(self) -> None:
        """Quotes, backslashes and brackets in a display name start nothing (fault:B3)."""
        for display_name in (
            '" <sip:evil@x>;tag=y, "',
            "\\",
            '\\"',
            "a\\",
            ">",
            "<sip:x@y>",
            ";tag=z",
            "a,b",
            " a ",
            "\t",
        ):
            value = NameAddr("sip:a@b.example", display_name)
            again = parse_name_addr(str(value), "From")
            self.assertEqual((again.display_name, again.uri_text, again.tag), (display_name, "sip:a@b.example", None))

    @settings(deadline=None)
    @given(
        st.one_of(NASTY_TEXT, garbled("sip:a@b.example")),
        st.dictionaries(st.one_of(TOKENS, NASTY_TEXT), st.none() | NASTY_TEXT),
    )
    def test_any_parts(self, uri: str, params: dict[str, str | None]) -> None:
        """Any URI and parameters make an address that reads back the same, or a ValueError (fault:B1)."""
        try:
            value = NameAddr(uri, None, params)
        except ValueError:
            return
        again = parse_name_addr(str(value), "To")
        self.assertEqual(parse_uri(again.uri_text), value.uri)
        self.assertEqual((again.display_name, dict(again.params)), ("", dict(value.params)))

    def test_kinds_of_uri(self) -> None:
        """A URI is given as text or as what it is."""
        for uri in (SipUri("sip", "a b", "[::1]"), TelUri("+1"), OpaqueUri("urn", "urn:x")):
            value = NameAddr(uri)
            self.assertIs(value.uri, uri)
            self.assertEqual(str(value), f"<{uri}>")
            self.assertEqual(NameAddr(str(uri)), value)

    def test_what_makes_no_address(self) -> None:
        """Parts that make no address are refused, at once and again when it is written (fault:B1)."""
        for arguments in (
            *(("",), ("a@b",), ("sip:a@b\r\n",), ("sip:a@b>",), ("<sip:a@b>",), ("sip:a@b;x=\0",)),
            *(("sip:a@b", display_name) for display_name in ("x\ry", "x\ny", "x\0y", "\ud800")),
            *(("sip:a@b", None, {"tag": tag}) for tag in ("", None, "a b", "a\n", '"')),
            *(("sip:a@b", None, params) for params in ({"x y": None}, {"x": "\n"})),
        ):
            with self.subTest(ascii(arguments)):
                self.assertRaises(ValueError, NameAddr, *arguments)
        value = NameAddr("sip:a@b")
        value.display_name = "x\r\nVia: y"
        self.assertRaises(ValueError, str, value)

    def test_quotes_stay(self) -> None:
        """Parameters that came in quotes leave in quotes; a feature tag must (RFC 3840 section 9)."""
        text = '<sip:a@b.example>;mobility="fixed";+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCC>";reg-id=1'
        value = parse_name_addr(text, "Contact")
        self.assertEqual(value.params["+sip.instance"], "<urn:uuid:00000000-0000-1000-8000-AABBCC>")
        self.assertEqual(str(value), text)
        self.assertEqual(
            str(NameAddr("sip:a@b", None, {"mobility": "fixed"}, ["Mobility"])), '<sip:a@b>;mobility="fixed"'
        )
        other = value.with_params({"mobility": "fixed", "x": "y"})
        self.assertEqual(str(other), '<sip:a@b.example>;mobility="fixed";x=y')

    def test_with_tag(self) -> None:
        """A copy may have another tag, and keeps everything else; what it was taken from does not change."""
        value = parse_name_addr("Bob <sip:%62ob@b.example>;x=1", "To")
        tagged = value.with_tag("abc")
        self.assertEqual(str(tagged), '"Bob" <sip:%62ob@b.example>;x=1;tag=abc')
        self.assertEqual((tagged.tag, value.tag), ("abc", None))
        self.assertEqual(tagged.with_tag("d:e").tag, "d:e")
        for tag in ("", "a b", "a;b", "a\n", '"'):
            self.assertRaises(ValueError, value.with_tag, tag)
        self.assertRaises(ValueError, value.with_params, {"tag": None})

    def test_equality(self) -> None:
        """Two addresses are equal when every part is; URIs compare as text here, and by their own rule through uri."""
        one = parse_name_addr('"A" <sip:a@b.example>;tag=x', "To")
        self.assertEqual(one, parse_name_addr("A <sip:a@b.example> ; tag = x", "From"))
        for text in (
            '"B" <sip:a@b.example>;tag=x',
            '"A" <sip:a@B.example>;tag=x',
            '"A" <sip:a@b.example>;tag=y',
            "sip:a@b.example",
        ):
            self.assertNotEqual(one, parse_name_addr(text, "To"))
        self.assertEqual(one.uri, parse_name_addr("<sip:a@B.example>", "To").uri)
        self.assertNotEqual(one, str(one))
