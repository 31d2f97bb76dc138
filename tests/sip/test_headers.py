"""Header fields as a collection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sip_p2p.sip.headers import COMPACT_FORMS, Headers, canonical_name, check_value
from tests.support import SynchronousTestCase


class HeadersTests(SynchronousTestCase):
    """Order, names, repetition."""

    def test_names_in_any_spelling(self) -> None:
        """A field is found by any case and by its compact form (row:K7)."""
        headers = Headers([("v", "one"), ("call-id", "x"), ("VIA", "two"), ("X-Own", "y")])
        self.assertEqual(headers["Via"], "one")
        self.assertEqual(headers.get_all("vIa"), ["one", "two"])
        self.assertEqual(headers["i"], "x")
        self.assertEqual(headers["x-OWN"], "y")
        self.assertIn("V", headers)
        self.assertEqual(headers.names(), ("Via", "Call-ID", "Via", "X-Own"))
        self.assertEqual(headers.count("v"), 2)
        self.assertEqual(headers.count("x-own"), 1)

    def test_every_compact_form(self) -> None:
        """Each letter stands for its field, in both cases (RFC 3261 7.3.3)."""
        for letter, name in COMPACT_FORMS.items():
            self.assertEqual(canonical_name(letter), name)
            self.assertEqual(canonical_name(letter.upper()), name)

    def test_changing(self) -> None:
        """set replaces all of a name in the first one's place; remove, insert and copy do what they say (row:K7)."""
        headers = Headers([("X-A", "1"), ("X-B", "2"), ("x-a", "3"), ("X-C", "4")])
        headers.set("x-a", "9")
        self.assertEqual(list(headers), [("X-A", "9"), ("X-B", "2"), ("X-C", "4")])
        headers.insert(0, "Via", "top")
        headers["Subject"] = "s"
        copy = headers.copy()
        headers.remove("x-b")
        del headers["x-c"]
        self.assertEqual(headers.names(), ("Via", "X-A", "Subject"))
        self.assertEqual(len(copy), 5)
        self.assertNotEqual(headers, copy)
        with self.assertRaises(KeyError):
            del headers["nothing"]
        with self.assertRaises(KeyError):
            headers["nothing"]
        self.assertIsNone(headers.get("nothing"))
        self.assertEqual(headers.get_all("Nothing-Here"), [])
        self.assertEqual(headers.get_all("Route"), [])
        self.assertNotIn(5, headers)

    def test_equality(self) -> None:
        """Two collections are equal when fields, order and values are; spelling of a name does not count."""
        self.assertEqual(Headers([("X-a", "1")]), Headers([("x-A", "1")]))
        self.assertNotEqual(Headers([("X-a", "1")]), Headers([("X-a", "2")]))
        self.assertFalse(Headers() == "text")
        self.assertIn("X-a", repr(Headers([("X-a", "1")])))

    def test_values_that_would_break_out(self) -> None:
        """CR, LF and NUL are refused in a value, by every way in (fault:B1)."""
        headers = Headers([("X-1", "1")])
        for bad in ("a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "no octets: \ud800"):
            for way in (
                lambda bad=bad: Headers([("X-1", bad)]),
                lambda bad=bad: headers.add("X-1", bad),
                lambda bad=bad: headers.set("X-1", bad),
                lambda bad=bad: headers.insert(0, "X-1", bad),
                lambda bad=bad: headers.__setitem__("X-1", bad),
            ):
                with self.assertRaises(ValueError):
                    way()
        self.assertEqual(list(headers), [("X-1", "1")])
        with self.assertRaises(TypeError):
            check_value("X", b"octets")  # type: ignore[arg-type]

    @given(st.text(max_size=20))
    def test_names_are_tokens(self, name: str) -> None:
        """A name is a token or refused; what is accepted keeps the collection readable (fault:B1)."""
        headers = Headers()
        try:
            headers.add(name, "v")
        except ValueError:
            return
        self.assertEqual(headers[name], "v")
        self.assertFalse(set(name) & set(" :\r\n\t\0"))
