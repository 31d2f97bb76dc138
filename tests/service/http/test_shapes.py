"""The shapes of the API's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.service.http.schemas import REFERENCE
from sip_p2p.service.http.shape_parts import listed, paged, ref
from sip_p2p.service.http.shapes import SHAPES
from tests.support import SynchronousTestCase

if TYPE_CHECKING:
    from collections.abc import Iterator


def references(schema: Any) -> Iterator[str]:
    """What a schema refers to."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(REFERENCE)
        for each in schema.values():
            yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


class ShapeTests(SynchronousTestCase):
    """Shapes as values."""

    def test_references(self) -> None:
        """Every reference leads to a shape."""
        self.assertLessEqual(set(references(SHAPES)), set(SHAPES))
        self.assertEqual(list(references([ref("Flow"), listed("flows", "Flow"), paged("flows", "Flow")])), ["Flow"] * 3)

    def test_what_is_required_is_described(self) -> None:
        """Every member that must be there is one that the shape knows."""
        for name, shape in SHAPES.items():
            self.assertLessEqual(set(shape.get("required", ())), set(shape["properties"]), name)

    def test_what_is_sent_is_closed(self) -> None:
        """What a client sends may have no member that nobody knows: a slip of the pen is told, and not passed over."""
        for name in SHAPES:
            if name.startswith("New") or name in ("Accept", "Drain", "Patient", "Redirect", "Reject", "Ring"):
                self.assertIs(SHAPES[name]["additionalProperties"], False, name)
