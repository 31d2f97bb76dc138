"""The Identity field: written, read, and refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.identity import IdentityValue, parse_identities, parse_identity
from tests.sip.grammar import NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase

WHOLE = "eyJ0eXAi.eyJpYXQi.c2ln-_;info=<https://b.example/a.pem>;alg=ES256"


class IdentityTests(SynchronousTestCase):
    """RFC 8224 section 4."""

    def test_read(self) -> None:
        """Token, certificate, algorithm, kind and what else there is are read, wherever info stands (RFC 8224 section
        4)."""
        for text, compact, alg, ppt, params in (
            (WHOLE, False, "ES256", None, {}),
            ("..c2ln;info=<https://b.example/a.pem>", True, None, None, {}),
            ("a.b.c ; INFO = < https://b.example/a.pem > ; ppt=Shaken;x=y", False, None, "shaken", {"x": "y"}),
            ("a.b.c;alg=ES256;ppt=\"div\";info=<https://b.example/a.pem>;z", False, "ES256", "div", {"z": None}),
        ):  # fmt: skip
            value = parse_identity(text)
            self.assertEqual(value.info, "https://b.example/a.pem", text)
            self.assertEqual((value.is_compact, value.alg, value.ppt, dict(value.params)), (compact, alg, ppt, params))
            self.assertEqual(parse_identity(str(value)), value)
            self.assertEqual(hash(parse_identity(str(value))), hash(value))
        self.assertNotEqual(parse_identity(WHOLE), WHOLE)

    def test_refused(self) -> None:
        """What has no token or no certificate, or says one thing twice, is answered 438 (fault:A13, RFC 8224 section
        6.2.2)."""
        for text in (
            "", ";info=<https://b.example/>", "a.b.c", "a.b.c;info=https://b.example/", "a.b.c;info=<>",
            "a b;info=<x:y>", "a.b.c;info=<b.example>", "a.b.c;info=<x:y>;info=<x:y>", "a.b.c;alg=a;info=<x:y>;alg=a",
            "a.b.c;info=<x:y>,d", 'a.b.c;x=";info=<x:y>"', "a.b.c;info=<x:\u00e9>", "a.b.c;info=<x:y>\n",
            "\u0661;info=<x:y>", "a.b.c info=<x:y>",
        ):  # fmt: skip
            error = self.assertRaises(MalformedMessage, parse_identity, text)
            self.assertEqual(error.status, 438, text)

    def test_building(self) -> None:
        """What cannot be written is not made (fault:B1)."""
        for token in ("", "a b", "a\n", " a", "\u00e9"):
            self.assertRaises(ValueError, IdentityValue, token, "https://b.example/")
        for info in ("", "b.example", "https://b.example/>", "https://b.example/ x", "https://b.example/\r\nX: y"):
            self.assertRaises(ValueError, IdentityValue, "a.b.c", info)
        for name in ("info", "alg", "ppt", "INFO"):
            self.assertRaises(ValueError, IdentityValue, "a.b.c", "x:y", params={name: "z"})
        self.assertRaises(ValueError, IdentityValue, "a.b.c", "x:y", alg="\r\n")
        self.assertNotIn("secret", repr(IdentityValue("secret", "x:y")))

    def test_several(self) -> None:
        """A message may have several, one in each field, and no more are read than were asked for (RFC 8224 section
        4)."""
        headers = Headers([("Identity", f"a.b.{number};info=<x:y>") for number in range(9)])
        self.assertEqual([value.token for value in parse_identities(headers, 3)], ["a.b.0", "a.b.1", "a.b.2"])
        self.assertEqual(parse_identities(Headers(), 3), [])

    @settings(deadline=None)
    @given(st.dictionaries(st.one_of(TOKENS, NASTY_TEXT), st.one_of(st.none(), NASTY_TEXT, TOKENS), max_size=4))
    def test_any_parameters(self, params: dict[str, str | None]) -> None:
        """Any parameters come back the same, or are refused (fault:B1, fault:B3)."""
        try:
            value = IdentityValue("a.b.c", "https://b.example/x", alg="ES256", params=params)
        except ValueError:
            return
        self.assertEqual(parse_identity(str(value)), value)

    @settings(deadline=None)
    @given(garbled(WHOLE))
    def test_any_text(self, text: str) -> None:
        """Any text is a value that reads back the same when written, or malformed (fault:A13)."""
        try:
            value = parse_identity(text)
        except MalformedMessage:
            return
        self.assertEqual(parse_identity(str(value)), value)

    def test_linear_time(self) -> None:
        """Long values take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_identity(text)
            except MalformedMessage:
                return

        for start in ("", "a.b.c;", "a.b.c;info=<"):
            for unit in ("a", " ", ";", ";info", ";info=<x:y>", ";a=b", '"', "<", ".", "; info = <"):
                assert_linear(self, attempt, lambda size, start=start, unit=unit: f"{start}{unit * size}")
