"""Tests of the parameters of header fields."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.params import check_params, format_params, parse_params
from tests.sip.grammar import ANY_TEXT, NASTY_TEXT, TOKENS, assert_linear, garbled
from tests.support import SynchronousTestCase


class ParamsTests(SynchronousTestCase):
    """Sections 7.3.1 and 25.1."""

    def test_shapes(self) -> None:
        """Parameters come without a value, with a token, a host or a quoted string, and with blanks anywhere."""
        quoted: set[str] = set()
        text = ' ;\tA ; b = c;D="x;\\"y\\\\" ; e=[2001:db8::9:255];f=2001:db8::9:255 ;g="";h=a:b '
        params = parse_params(text, 0, "X", quoted)
        self.assertEqual(
            params,
            {"a": None, "b": "c", "d": 'x;"y\\', "e": "[2001:db8::9:255]", "f": "2001:db8::9:255", "g": "", "h": "a:b"},
        )
        self.assertEqual(quoted, {"d", "g"})
        self.assertEqual(parse_params("value", 5, "X"), {})

    def test_extraneous_separators(self) -> None:
        """Empty parameters, empty values and what is left over are malformed (RFC 4475 section 3.1.2.1)."""
        for text in (
            ";",
            ";;",
            ";a;;b",
            ";a;",
            ";=b",
            ";a=",
            ";a=;b",
            ";a b",
            ";a=b c",
            ";a=b=c",
            ";a,b",
            ",",
            "a",
            " ",
            ';a="b',
            ';a="b\\"',
            ';a="b"c',
            ';a=b"c"',
            ";a=<b>",
            ";a=\u00e4",
            ";\u00e4=a",
            ";a@b",
            ';a="\n"',
            ";a=b\n",
        ):
            with self.subTest(ascii(text)):
                self.assertEqual(self.assertRaises(MalformedMessage, parse_params, text, 0, "X").status, 400)

    def test_repeated(self) -> None:
        """A parameter may be repeated only with the same value: which of two tags would count? (row:K2)"""
        self.assertEqual(parse_params(";a=1;A=1;b;B", 0, "X"), {"a": "1", "b": None})
        for text in (";a=1;A=2", ";a;a=1", ';a=1;a="2"'):
            self.assertRaises(MalformedMessage, parse_params, text, 0, "X")

    @settings(deadline=None)
    @given(
        st.dictionaries(st.one_of(TOKENS, NASTY_TEXT), st.none() | TOKENS | ANY_TEXT | NASTY_TEXT, max_size=5),
        st.sets(st.sampled_from("abc019"), max_size=3),
    )
    def test_round_trip(self, params: dict[str, str | None], quoted: set[str]) -> None:
        """Any parameters can be written and read back the same, or are refused (fault:B1, fault:B3)."""
        try:
            checked = check_params(params)
        except ValueError:
            return
        written = format_params(checked, frozenset(quoted))
        self.assertEqual(parse_params(written, 0, "X"), checked)
        self.assertNotIn("\r", written)
        self.assertNotIn("\n", written)

    def test_what_cannot_be_written(self) -> None:
        """Names that are no tokens, values with CR, LF or NUL and names that differ in case are refused (fault:B1)."""
        for params in ({"": None}, {"a b": None}, {"a\n": None}, {"\u00e4": "x"}, {"a": "1", "A": "2"}):
            self.assertRaises(ValueError, check_params, params)
        for value in ("\r", "x\ny", "\0", "\ud800"):
            params = {"a": value}
            self.assertRaises(ValueError, check_params, params)
        self.assertEqual(check_params(None), {})
        self.assertEqual(check_params({"TAG": "X"}), {"tag": "X"})

    def test_quotes_stay(self) -> None:
        """A value that stood in quotes can be written in quotes again though it could do without."""
        params = {"a": "x", "b": "y", "c": None}
        self.assertEqual(format_params(params), ";a=x;b=y;c")
        self.assertEqual(format_params(params, frozenset({"a", "c"})), ';a="x";b=y;c')
        self.assertEqual(format_params({"a": "<urn:uuid:1>", "b": ""}), ';a="<urn:uuid:1>";b=""')

    @settings(deadline=None)
    @given(garbled(';a ; b=c;D="x;\\"y";e=[::1]'))
    def test_any_text(self, text: str) -> None:
        """Any text is parameters that read back the same when written, or malformed (fault:A13)."""
        try:
            params = parse_params(text, 0, "X")
        except MalformedMessage:
            return
        self.assertEqual(parse_params(format_params(params), 0, "X"), params)

    def test_linear_time(self) -> None:
        """Many parameters, long ones and broken ones take time in proportion (fault:A8)."""

        def attempt(text: str) -> None:
            try:
                parse_params(text, 0, "X")
            except MalformedMessage:
                return

        for unit in ("a", " ", ";a=b", ";a=1;a=2", "\\", '\\"', '"', ";", "=", ' ;\t a = "', ";a "):
            for start in ("", ";a=", ';a="', ";a"):
                for end in ("", '"', "!", "\0"):
                    assert_linear(
                        self,
                        attempt,
                        lambda size, start=start, unit=unit, end=end: f"{start}{unit * (size // len(unit))}{end}",
                    )

        assert_linear(self, attempt, lambda size: "".join(f";p{number}={number}" for number in range(size)))
