"""Tests of media types, charsets and dispositions."""

from __future__ import annotations

import codecs

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import (
    CHARSETS,
    Disposition,
    MediaType,
    content_codings,
    decode_text,
    parse_disposition,
    parse_media_type,
)
from tests.sip.grammar import NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase


class MediaTypeTests(SynchronousTestCase):
    """Section 20.15."""

    def test_parts(self) -> None:
        """A media type has a type, a subtype and parameters (row:B7, row:K13)."""
        found = parse_media_type('Text / HTML ; Charset=ISO-8859-4;boundary="a b"')
        self.assertEqual((found.type, found.subtype, found.essence), ("text", "html", "text/html"))
        self.assertEqual((found.charset, found.params["boundary"]), ("iso-8859-4", "a b"))
        self.assertEqual(str(found), 'text/html;charset=ISO-8859-4;boundary="a b"')
        self.assertEqual(repr(found), f"<MediaType {str(found)!r}>")
        self.assertIsNone(parse_media_type("application/sdp").charset)

    def test_equality(self) -> None:
        """Case and order do not count, but for the case of values."""
        one = parse_media_type("a/b;x=1;y=2")
        self.assertEqual(one, parse_media_type('A/B;Y="2";X=1'))
        self.assertEqual(hash(one), hash(parse_media_type("A/B;y=2;x=1")))
        self.assertEqual(one, MediaType("a", "b", {"X": "1", "y": "2"}))
        for other in ("a/b", "a/b;x=1;y=3", "a/c;x=1;y=2", "c/b;x=1;y=2"):
            self.assertNotEqual(one, parse_media_type(other))
        self.assertNotEqual(one, "a/b;x=1;y=2")

    def test_malformed(self) -> None:
        """What is no media type is malformed (fault:A13)."""
        for text in (
            "",
            "text",
            "text/",
            "/plain",
            "text/plain x",
            "text/plain;",
            "text/plain;=x",
            "text/plain, text/html",
            "te\u00dft/x",
            "text/plain\n",
            'text/plain;charset="x',
            "text//plain",
            "\u212a/x",
        ):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_media_type, text).status, 400)

    @settings(deadline=None)
    @given(
        st.one_of(TOKENS, NASTY_TEXT), st.one_of(TOKENS, NASTY_TEXT), st.dictionaries(TOKENS, NASTY_TEXT, max_size=2)
    )
    def test_any_parts(self, kind: str, subtype: str, params: dict[str, str | None]) -> None:
        """Any parts make a media type that reads back the same, or a ValueError (fault:B1)."""
        try:
            built = MediaType(kind, subtype, params)
        except ValueError:
            return
        self.assertEqual(parse_media_type(str(built)), built)

    @settings(deadline=None)
    @given(garbled('text/html;charset=utf-8;x="y;\\""'))
    def test_any_text(self, text: str) -> None:
        """Any text is a type that reads back the same when written, or malformed (fault:A13)."""
        try:
            found = parse_media_type(text)
        except MalformedMessage:
            return
        self.assertEqual(parse_media_type(str(found)), found)

    def test_linear_time(self) -> None:
        """Long types take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_media_type(text)
            except MalformedMessage:
                return

        for start in ("", "a", "a/b", "a/b;x=", 'a/b;x="'):
            for unit in ("a", " ", "/", ";", ";a=b", '\\"', '"', " ;"):
                for end in ("", "\n"):
                    assert_linear(
                        self, attempt, lambda size, start=start, unit=unit, end=end: f"{start}{unit * size}{end}"
                    )


class CharsetTests(SynchronousTestCase):
    """Octets to text (section 7.4.1)."""

    def test_default(self) -> None:
        """Without a charset text is UTF-8 (row:B7)."""
        body = "Gr\u00fc\u00dfe \u4f60\u597d".encode()
        self.assertEqual(decode_text(body, None), "Gr\u00fc\u00dfe \u4f60\u597d")
        self.assertEqual(decode_text(body, parse_media_type("text/plain")), "Gr\u00fc\u00dfe \u4f60\u597d")
        self.assertEqual(decode_text(b"", None), "")

    def test_named(self) -> None:
        """A charset in the type is used, in whatever case and quotes it stands (row:B7, row:K13)."""
        for charset, text in (
            ("UTF-8", "\u4f60\u597d"),
            ("iso-8859-1", "Gr\u00fc\u00dfe"),
            ('"ISO-8859-15"', "\u20ac"),
            ("us-ascii", "hello"),
            ("UTF-16", "\u4f60\u597d"),
            ("windows-1251", "\u043f\u0440\u0438\u0432\u0435\u0442"),
            ("Shift_JIS", "\u65e5\u672c"),
            ("gb18030", "\u4f60\u597d"),
        ):
            codec = CHARSETS[charset.strip('"').lower()]
            media_type = parse_media_type(f"text/plain;charset={charset}")
            self.assertEqual(decode_text(text.encode(codec), media_type), text)

    def test_wrong_octets(self) -> None:
        """Octets that are not in the charset are a ValueError, never a guess (row:B7, fault:A12)."""
        for body, charset in (
            (b"\xff", "utf-8"),
            (b"\x80", "us-ascii"),
            (b"\xed\xb2\x80", "utf-8"),
            (b"\x00", "utf-16be"),
        ):
            self.assertRaises(ValueError, decode_text, body, MediaType("text", "plain", {"charset": charset}))

    def test_unknown(self) -> None:
        """A charset that is not on the list is a ValueError: Python has codecs that are none (fault:A16)."""
        names = "zlib bz2 hex base64 rot13 punycode idna utf-7 unicode_escape undefined mbcs x-unknown"
        for charset in (*names.split(), "\u212aoi8-r", "utf\u20118", "", " utf-8", "utf-8 ", "utf-8\t"):
            media_type = MediaType("text", "plain", {"charset": charset})
            self.assertRaises(ValueError, decode_text, b"eJxLBAAAYgBi", media_type)

    def test_list(self) -> None:
        """Every charset on the list is a text encoding of Python's, in small letters."""
        for name, codec in CHARSETS.items():
            self.assertTrue(codecs.lookup(codec)._is_text_encoding)
            self.assertEqual(name, name.lower())


class DispositionTests(SynchronousTestCase):
    """Section 20.11."""

    def test_parts(self) -> None:
        """A disposition has a type, and must be understood unless it says otherwise (RFC 5621 section 8)."""
        found = parse_disposition('Session ; Handling = "Optional";x=y')
        self.assertEqual((found.type, found.is_required, found.params["x"]), ("session", False, "y"))
        self.assertEqual(str(found), 'session;handling="Optional";x=y')
        self.assertEqual(repr(Disposition("Render")), "<Disposition 'render'>")
        for text in ("session", "session;handling=required", "session;handling=other", "session;handling"):
            self.assertTrue(parse_disposition(text).is_required)

    def test_malformed(self) -> None:
        """What is no disposition is malformed (fault:A13)."""
        for text in ("", ";handling=optional", "a b", "a;", "a\n", "\u00e4"):
            self.assertEqual(self.assertRaises(MalformedMessage, parse_disposition, text).status, 400)
        for kind, params in (("", {}), ("a b", {}), ("a", {"x": "\r\n"})):
            self.assertRaises(ValueError, Disposition, kind, params)

    def test_codings(self) -> None:
        """Every content coding but identity is reported, so that it can be refused (fault:A16)."""
        self.assertEqual(content_codings([]), [])
        self.assertEqual(content_codings(["identity", " Identity ,"]), [])
        self.assertEqual(content_codings(["GZIP, identity", "deflate"]), ["gzip", "deflate"])
        for value in ("gzip;q=1", "a b", "\u00e4", "gzip\n"):
            self.assertRaises(MalformedMessage, content_codings, [value])
