"""The part of JSON Schema (draft 2020-12) by which requests are checked and the OpenAPI document is written.

One schema does both, so the document cannot promise what the service refuses. Known here are ``type`` (one or a list),
``properties``, ``required``, ``additionalProperties``, ``items``, ``maxItems``, ``enum``, ``minimum``, ``maximum``,
``minLength``, ``maxLength``, ``pattern`` and ``$ref`` to a component; words that only describe are passed over.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["REFERENCE", "Schema", "from_text", "mismatches"]

Schema: TypeAlias = "Mapping[str, Any]"

REFERENCE = "#/components/schemas/"
"""What references to named schemas begin with."""

_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}
_ARTICLES = {"array": "an array", "integer": "an integer", "null": "null", "object": "an object"}


def mismatches(schema: Schema, value: Any, named: Mapping[str, Schema], pointer: str = "") -> Iterator[dict[str, str]]:
    """Where *value* does not fit *schema*: the place as a JSON pointer (RFC 6901), and what is wrong there.

    :param named: the schemas that may be referred to.
    """
    if "$ref" in schema:
        yield from mismatches(named[schema["$ref"].removeprefix(REFERENCE)], value, named, pointer)
        return
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else list(kinds)
    if kinds and not any(_is_a(kind, value) for kind in kinds):
        wanted = " or ".join(_ARTICLES.get(kind, f"a {kind}") for kind in kinds)
        yield {"pointer": pointer, "detail": f"it is not {wanted}"}
        return
    if "enum" in schema and value not in schema["enum"]:
        yield {"pointer": pointer, "detail": f"it is none of {', '.join(map(str, schema['enum']))}"}
        return
    if isinstance(value, str):
        yield from _text(schema, value, pointer)
    elif isinstance(value, list):
        yield from _array(schema, value, named, pointer)
    elif isinstance(value, dict):
        yield from _object(schema, value, named, pointer)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
        if not least <= value <= most:
            yield {"pointer": pointer, "detail": f"it is not between {least} and {most}"}


def _is_a(kind: str, value: object) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        # JSON Schema section 6.1.1: a number without a fraction is an integer however it is written.
        return value.is_integer()
    return isinstance(value, _TYPES[kind])


def _text(schema: Schema, value: str, pointer: str) -> Iterator[dict[str, str]]:
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf):
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        yield {"pointer": pointer, "detail": f"it does not have between {least} and {most} characters"}
    elif "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield {"pointer": pointer, "detail": f"it does not match {schema['pattern']}"}
    elif any("\ud800" <= character <= "\udfff" for character in value):
        yield {"pointer": pointer, "detail": "it holds half of a surrogate pair, which no text has"}


def _array(schema: Schema, value: list[Any], named: Mapping[str, Schema], pointer: str) -> Iterator[dict[str, str]]:
    if len(value) > schema.get("maxItems", math.inf):
        yield {"pointer": pointer, "detail": f"it has more than {schema['maxItems']} items"}
        return
    for number, item in enumerate(value):
        yield from mismatches(schema.get("items", {}), item, named, f"{pointer}/{number}")


def _object(
    schema: Schema, value: dict[str, Any], named: Mapping[str, Schema], pointer: str
) -> Iterator[dict[str, str]]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield {"pointer": f"{pointer}/{_escaped(name)}", "detail": "it is missing"}
    for name, item in value.items():
        if name in properties:
            yield from mismatches(properties[name], item, named, f"{pointer}/{_escaped(name)}")
        elif schema.get("additionalProperties") is False:
            yield {"pointer": f"{pointer}/{_escaped(name[:64])}", "detail": "there is no such member"}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def from_text(schema: Schema, text: str) -> Any:
    """What a parameter's *text* means where *schema* wants a number or a truth.

    :raises ValueError: it means nothing of that kind.
    """
    kind = schema.get("type")
    if kind == "integer":
        if re.fullmatch(r"-?[0-9]{1,15}", text) is None:
            raise ValueError("it is not an integer")
        return int(text)
    if kind == "number":
        if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text) is None:
            raise ValueError("it is not a number")
        return float(text)
    if kind == "boolean":
        if text not in ("true", "false"):
            raise ValueError("it is neither true nor false")
        return text == "true"
    return text
