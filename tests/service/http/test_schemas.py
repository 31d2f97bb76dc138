"""What fits a schema, and where it does not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from sip_p2p.service.http.schemas import Schema, from_text, mismatches
from sip_p2p.service.http.shape_parts import ref
from sip_p2p.service.http.shapes import SHAPES
from tests.support import SynchronousTestCase

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=12,
)


def places(schema: Schema, value: Any) -> list[str]:
    """Where *value* does not fit."""
    return [each["pointer"] for each in mismatches(schema, value, SHAPES)]


class SchemaTests(SynchronousTestCase):
    """The check."""

    def test_what_fits(self) -> None:
        """A value of every kind fits its schema."""
        for schema, value in (
            ({"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^a"}, "abc"),
            ({"type": "integer", "minimum": 1, "maximum": 3}, 3.0),
            ({"type": "number"}, 1.5),
            ({"type": ["string", "null"]}, None),
            ({"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, [True, False]),
            ({}, {"whatever": []}),
            (ref("NewMessage"), {"to": "sip:b@b.example", "text": "hi", "headers": [{"name": "X", "value": "y"}]}),
        ):
            self.assertEqual(places(schema, value), [], schema)

    def test_what_does_not(self) -> None:
        """Each mistake is told with its place as a JSON pointer (RFC 6901)."""
        for schema, value, pointer in (
            ({"type": "string"}, 1, ""),
            ({"type": "integer"}, True, ""),
            ({"type": "integer"}, 1.5, ""),
            ({"type": "integer"}, float("inf"), ""),
            ({"type": "number", "maximum": 2}, 3, ""),
            ({"type": "number", "minimum": 2}, float("nan"), ""),
            ({"type": "string", "maxLength": 2}, "abc", ""),
            ({"type": "string", "pattern": "^a"}, "b", ""),
            ({"type": "string"}, "\ud800", ""),
            ({"type": "string", "enum": ["a"]}, "b", ""),
            ({"type": "array", "maxItems": 1}, [1, 2], ""),
            ({"type": "array", "items": {"type": "string"}}, ["a", 2], "/1"),
            (ref("NewMessage"), {}, "/to"),
            (ref("NewMessage"), {"to": "sip:b@b.example", "a/b~": 1}, "/a~1b~0"),
            (ref("NewMessage"), {"to": "sip:b@b.example", "headers": [{"name": "X"}]}, "/headers/0/value"),
            (ref("NewMessage"), [], ""),
        ):
            self.assertEqual(places(schema, value), [pointer], (schema, value))

    @given(JSON, some.sampled_from(sorted(SHAPES)))
    def test_any_value(self, value: Any, name: str) -> None:
        """Whatever JSON holds, the check ends with an answer."""
        for each in mismatches(ref(name), value, SHAPES):
            self.assertEqual(set(each), {"pointer", "detail"})

    def test_text_of_a_query(self) -> None:
        """Text means a number or a truth where that is wanted, and nothing that only looks like one."""
        self.assertEqual(from_text({"type": "integer"}, "-12"), -12)
        self.assertEqual(from_text({"type": "number"}, "1.5"), 1.5)
        self.assertIs(from_text({"type": "boolean"}, "true"), True)
        self.assertEqual(from_text({"type": "string"}, "12"), "12")
        for kind, text in (
            ("integer", "1.5"),
            ("integer", "٣"),
            ("integer", "1" * 40),
            ("number", "nan"),
            ("boolean", "1"),
        ):
            self.assertRaises(ValueError, from_text, {"type": kind}, text)
