"""Tests of the structure of challenges and credentials."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.auth import AuthValue, parse_auth_params, parse_auth_value
from tests.sip.grammar import NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase

CHALLENGE = (
    'Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth,auth-int", '
    'nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5'
)


class AuthTests(SynchronousTestCase):
    """Sections 20.7, 20.27, 20.28 and 20.44."""

    def test_challenge(self) -> None:
        """A challenge is a scheme and parameters, and is written with the quotes that it came with (row:K8)."""
        value = parse_auth_value(CHALLENGE, "WWW-Authenticate")
        self.assertEqual(value.scheme, "Digest")
        self.assertTrue(value.is_scheme("digest"))
        self.assertEqual(
            (value.params["realm"], value.params["qop"], value.params["opaque"]), ("atlanta.com", "auth,auth-int", "")
        )
        self.assertEqual((value.params["stale"], value.params["algorithm"], value.token), ("FALSE", "MD5", ""))
        self.assertEqual(str(value), CHALLENGE)

    def test_unknown_scheme(self) -> None:
        """A scheme that nobody knows is structure like any other (RFC 4475 section 3.3.7)."""
        value = parse_auth_value("NoOneKnowsThisScheme opaque-data=here", "Authorization")
        self.assertEqual((value.scheme, dict(value.params)), ("NoOneKnowsThisScheme", {"opaque-data": "here"}))

    def test_tokens(self) -> None:
        """Credentials may be one token instead (RFC 8898), and a scheme may stand alone."""
        value = parse_auth_value("Bearer abc.DEF-123_~+/==", "Authorization")
        self.assertEqual(
            (value.token, dict(value.params), str(value)), ("abc.DEF-123_~+/==", {}, "Bearer abc.DEF-123_~+/==")
        )
        self.assertEqual(str(parse_auth_value("Negotiate", "Authorization")), "Negotiate")

    def test_blanks_and_sloppiness(self) -> None:
        """Blanks stand anywhere; a URI without quotes, as some send it, is read."""
        value = parse_auth_value('  Digest   a = "b" ,c=d , uri=sip:a@b.example ', "Authorization")
        self.assertEqual(dict(value.params), {"a": "b", "c": "d", "uri": "sip:a@b.example"})
        self.assertEqual(str(value), 'Digest a="b", c=d, uri="sip:a@b.example"')

    def test_authentication_info(self) -> None:
        """Authentication-Info has parameters and no scheme."""
        self.assertEqual(
            parse_auth_params('nextnonce="47364c23",nc=00000001', "X"), {"nextnonce": "47364c23", "nc": "00000001"}
        )

    def test_malformed(self) -> None:
        """Broken credentials are malformed, and the error does not repeat what may be secret (fault:A13)."""
        for text in (
            "",
            "=",
            ", a=b",
            'Digest realm="secret',
            "Digest a=b,",
            "Digest ,a=b",
            "Digest a=b c=d",
            "Digest a=b,,c=d",
            "Digest a=secret,A=other",
            'Digest a="x"y',
            "Digest a=b\n",
            "D\u00efgest a=b",
            'Digest a="\0"',
            "Digest a=b;c=d",
            "Digest a=\u0661",
        ):
            error = self.assertRaises(MalformedMessage, parse_auth_value, text, "Authorization")
            self.assertEqual(error.status, 400)
            self.assertNotIn("secret", str(error))
        self.assertNotIn("hidden", repr(parse_auth_value('Digest response="hidden"', "Authorization")))

    def test_building(self) -> None:
        """Parts of ours are written with the quotes that they need or are asked for (fault:B1)."""
        value = AuthValue("Digest", {"Realm": "x", "nc": "00000001", "cnonce": 'a"b'}, ["realm"])
        self.assertEqual(str(value), 'Digest realm="x", nc=00000001, cnonce="a\\"b"')
        self.assertEqual(parse_auth_value(str(value), "X"), value)
        self.assertEqual(hash(parse_auth_value(str(value), "X")), hash(value))
        self.assertNotEqual(value, str(value))
        for scheme in ("", "Di gest", "Digest\n"):
            self.assertRaises(ValueError, AuthValue, scheme)
        for params in ({"a": None}, {"a": "\r"}, {"a b": "c"}, {"a": "\0"}):
            self.assertRaises(ValueError, AuthValue, "Digest", params)
        self.assertRaises(ValueError, AuthValue, "Bearer", {"a": "b"}, (), "x")
        for token in ("a b", "a\n", "=", "a=b"):
            self.assertRaises(ValueError, AuthValue, "Bearer", None, (), token)

    @settings(deadline=None)
    @given(TOKENS, st.dictionaries(st.one_of(TOKENS, NASTY_TEXT), st.one_of(NASTY_TEXT, TOKENS), max_size=4))
    def test_any_parts(self, scheme: str, params: dict[str, str]) -> None:
        """Any parameters come back the same, or are refused (fault:B1, fault:B3)."""
        try:
            value = AuthValue(scheme, params)
        except ValueError:
            return
        self.assertEqual(parse_auth_value(str(value), "X"), value)

    @settings(deadline=None)
    @given(garbled(CHALLENGE))
    def test_any_text(self, text: str) -> None:
        """Any text is a value that reads back the same when written, or malformed (fault:A13)."""
        try:
            value = parse_auth_value(text, "X")
        except MalformedMessage:
            return
        self.assertEqual(parse_auth_value(str(value), "X"), value)

    def test_linear_time(self) -> None:
        """Long values take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_auth_value(text, "X")
            except MalformedMessage:
                return

        for start in ("", "Digest ", 'Digest a="'):
            for unit in ("a", " ", "a=b,", ",", '"', '\\"', "=", "a = ", "/"):
                for end in ("", "\n"):
                    assert_linear(
                        self, attempt, lambda size, start=start, unit=unit, end=end: f"{start}{unit * size}{end}"
                    )
