"""The pieces that the shapes of the API are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.service.http.schemas import REFERENCE

if TYPE_CHECKING:
    from sip_p2p.service.http.schemas import Schema

__all__ = [
    "ANY_NUMBER",
    "CONTENT",
    "FIELDS",
    "NUMBER",
    "OFFER",
    "PAGE",
    "PEER",
    "TEXTS",
    "TIMEOUT",
    "TO",
    "TRUTH",
    "listed",
    "number",
    "paged",
    "parameter_text",
    "ref",
    "shape",
    "text",
]


def ref(name: str) -> Schema:
    """A reference to the shape *name*."""
    return {"$ref": f"{REFERENCE}{name}"}


def listed(name: str, shape: str) -> Schema:
    """An object whose member *name* is a list of *shape*."""
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": ref(shape)}}}


def paged(name: str, shape: str) -> Schema:
    """The same where it is one page of a list that may be longer."""
    page = listed(name, shape)
    return {
        **page,
        "required": [*page["required"], *PAGE],
        "properties": {**page["properties"], **PAGE},
    }


PAGE: Schema = {
    "total": {"type": "integer", "minimum": 0, "description": "how many there are on all pages"},
    "next": {"type": ["string", "null"], "description": "what to give as after for the next page; null on the last"},
}


def shape(required: str, properties: dict[str, Any], words: str = "", *, is_closed: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = required.split()
    if words:
        made["description"] = words
    if is_closed:
        made["additionalProperties"] = False
    return made


def text(words: str = "", *, most: int | None = None, least: int | None = None, may_be_null: bool = False) -> Any:
    made: dict[str, Any] = {"type": ["string", "null"] if may_be_null else "string"}
    if words:
        made["description"] = words
    if most is not None:
        made["maxLength"] = most
    if least is not None:
        made["minLength"] = least
    return made


NUMBER = {"type": "integer", "minimum": 0}
TEXTS = {"type": "array", "items": {"type": "string"}}
ANY_NUMBER = {"type": "number"}
TRUTH = {"type": "boolean"}

TO = text("whom it is for: sip:user@host", most=2048, least=1)
TIMEOUT = {
    "type": "number",
    "minimum": 0.001,
    "maximum": 3600,
    "description": "for how many seconds an answer is waited for",
}
FIELDS = {"type": "array", "maxItems": 64, "items": ref("Field"), "description": "further header fields"}
CONTENT = {
    "text": text("the body as text; it goes out as UTF-8", most=262144),
    "body_base64": text("the body as octets, in the place of text", most=349528),
    "content_type": text("what the body is", most=256),
}
OFFER = {
    "description": text("a session description; it goes out as UTF-8", most=262144),
    "content_type": text("of what type it is; application/sdp without it", most=256),
}

PEER = {
    "peer": text("the identity by which the peer was accepted, or for which it was dialled; empty without TLS"),
    "identities": {**TEXTS, "description": "every identity that its certificate proves"},
    "transport": text("TLS, TCP, UDP, WS or WSS"),
    "tls_version": text(),
    "address": text("its socket address"),
}


def parameter_text(most: int = 256) -> dict[str, Any]:
    """A text that a parameter has, of *most* characters."""
    return {"type": "string", "minLength": 1, "maxLength": most}


def number(least: int, most: int) -> dict[str, Any]:
    """An integer between two bounds, both included."""
    return {"type": "integer", "minimum": least, "maximum": most}
