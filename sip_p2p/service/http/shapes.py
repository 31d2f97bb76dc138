"""What the objects of the API look like, as JSON Schema: what is sent to it is checked by these, what it answers is
documented by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.service.http.schemas import REFERENCE

if TYPE_CHECKING:
    from sip_p2p.service.http.schemas import Schema

__all__ = ["SHAPES", "listed", "paged", "ref"]


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
        "required": [*page["required"], *_PAGE],
        "properties": {**page["properties"], **_PAGE},
    }


_PAGE: Schema = {
    "total": {"type": "integer", "minimum": 0, "description": "how many there are on all pages"},
    "next": {"type": ["string", "null"], "description": "what to give as after for the next page; null on the last"},
}


def _object(required: str, properties: dict[str, Any], words: str = "", *, is_closed: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = required.split()
    if words:
        made["description"] = words
    if is_closed:
        made["additionalProperties"] = False
    return made


def _text(words: str = "", *, most: int | None = None, least: int | None = None, may_be_null: bool = False) -> Any:
    made: dict[str, Any] = {"type": ["string", "null"] if may_be_null else "string"}
    if words:
        made["description"] = words
    if most is not None:
        made["maxLength"] = most
    if least is not None:
        made["minLength"] = least
    return made


_NUMBER = {"type": "integer", "minimum": 0}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_ANY_NUMBER = {"type": "number"}
_TRUTH = {"type": "boolean"}

_TO = _text("whom it is for: sip:user@host", most=2048, least=1)
_TIMEOUT = {
    "type": "number",
    "minimum": 0.001,
    "maximum": 3600,
    "description": "for how many seconds an answer is waited for",
}
_FIELDS = {"type": "array", "maxItems": 64, "items": ref("Field"), "description": "further header fields"}
_CONTENT = {
    "text": _text("the body as text; it goes out as UTF-8", most=262144),
    "body_base64": _text("the body as octets, in the place of text", most=349528),
    "content_type": _text("what the body is", most=256),
}
_OFFER = {
    "description": _text("a session description; it goes out as UTF-8", most=262144),
    "content_type": _text("of what type it is; application/sdp without it", most=256),
}

_PEER = {
    "peer": _text("the identity by which the peer was accepted, or for which it was dialled; empty without TLS"),
    "identities": {**_TEXTS, "description": "every identity that its certificate proves"},
    "transport": _text("TLS, TCP, UDP, WS or WSS"),
    "tls_version": _text(),
    "address": _text("its socket address"),
}

SHAPES: dict[str, dict[str, Any]] = {
    "Problem": _object(
        "type title status detail",
        {
            "type": _text("what kind of problem: a path of this service that explains it"),
            "title": _text(),
            "status": {"type": "integer", "minimum": 400, "maximum": 599},
            "detail": _text("one sentence about this very request"),
            "errors": {"type": "array", "items": _object("pointer detail", {"pointer": _text(), "detail": _text()})},
            "retryable": {**_TRUTH, "description": "whether the same request may succeed later"},
        },
        "An error, as RFC 9457 has it.",
    ),
    "ProblemKind": _object(
        "type title status words", {"type": _text(), "title": _text(), "status": _NUMBER, "words": _text()}
    ),
    "Field": _object(
        "name value",
        {"name": _text(most=128, least=1), "value": _text(most=8192)},
        "One header field of SIP.",
        is_closed=True,
    ),
    "Service": _object(
        "version instance uri contact state listening started is_ready is_draining",
        {
            "version": _text(),
            "instance": _text("another one after each start"),
            "uri": _text("who the party is"),
            "contact": _text("where it is found"),
            "state": _text(),
            "application": _text(),
            "listening": {"type": "array", "items": {"type": "object"}},
            "started": _text("when, as RFC 3339 writes it"),
            "is_ready": _TRUTH,
            "is_draining": _TRUTH,
            "flows": _NUMBER,
            "sessions": _NUMBER,
            "followers": _NUMBER,
            "newest_event": _NUMBER,
            "links": {"type": "object"},
        },
    ),
    "Flow": _object(
        "id transport direction local remote peer identities is_verified",
        {
            "id": _text("its number, which events and traces have as flow"),
            "transport": _text(),
            "direction": {"type": "string", "enum": ["in", "out"]},
            "local": _text(),
            "remote": _text(),
            **{name: _PEER[name] for name in ("peer", "identities", "tls_version")},
            "is_verified": {**_TRUTH, "description": "whether TLS proved who the peer is"},
            "trusted_by": _text("authority, pinned key or first use", may_be_null=True),
            "cipher": _text(),
            "certificate": {
                "description": "the peer's; null without one",
                "anyOf": [ref("Certificate"), {"type": "null"}],
            },
            "age": {**_ANY_NUMBER, "description": "for how many seconds it can be used"},
            "messages_in": _NUMBER,
            "messages_out": _NUMBER,
            "may_request": _TRUTH,
            "is_throttled": _TRUTH,
            "unanswered": _NUMBER,
            "leases": _NUMBER,
        },
        "A connection, or a peer by UDP.",
    ),
    "Certificate": _object(
        "subject names issuer serial not_before not_after days_left sha256",
        {
            "use": _text("what it is to us"),
            "subject": _text(),
            "names": {**_TEXTS, "description": "what it proves"},
            "issuer": _text(),
            "serial": _text("in hexadecimal"),
            "not_before": _text(),
            "not_after": _text(),
            "days_left": _ANY_NUMBER,
            "sha256": _text("its fingerprint"),
        },
    ),
    "Identity": _object(
        "identity flows",
        {"identity": _text(), "flows": {**_TEXTS, "description": "the flows that proved it"}},
    ),
    "Identities": _object(
        "own proved allowed peers total next",
        {
            "own": {**_TEXTS, "description": "the URIs of the parties here"},
            "proved": {**_TEXTS, "description": "what our own certificate proves"},
            "allowed": {**_TEXTS, "description": "who may talk to us"},
            "allows_any": {**_TRUTH, "description": "whether everybody may whom a trusted authority vouches for"},
            "peers": {"type": "array", "items": ref("Identity")},
            **_PAGE,
        },
    ),
    "TlsTrouble": _object(
        "id time reason words remedy",
        {
            "id": _text(),
            "time": _text(),
            "reason": _text("a word for programs"),
            "words": _text("what happened"),
            "remedy": _text("what to do about it"),
            "peer": _text(),
            "detail": _text(),
            "alert": _text("the TLS alert that the peer sent"),
            "certificate": {"description": "the one that was shown", "anyOf": [ref("Certificate"), {"type": "null"}]},
        },
        "A TLS connection that came to nothing.",
    ),
    "NewMessage": _object(
        "to",
        {"to": _TO, **_CONTENT, "headers": _FIELDS, "from": _text(most=2048), "timeout": _TIMEOUT},
        "A MESSAGE to send.",
        is_closed=True,
    ),
    "NewRequest": _object(
        "to method",
        {
            "method": _text("any but those of sessions", most=32, least=1),
            "to": _TO,
            **_CONTENT,
            "headers": _FIELDS,
            "from": _text(most=2048),
            "timeout": _TIMEOUT,
            "max_forwards": {"type": "integer", "minimum": 0, "maximum": 255},
        },
        "A request to send outside of a session.",
        is_closed=True,
    ),
    "NewSessionMessage": _object(
        "", {**_CONTENT, "headers": _FIELDS, "timeout": _TIMEOUT}, "A MESSAGE within a session.", is_closed=True
    ),
    "NewSessionRequest": _object(
        "method",
        {"method": _text(most=32, least=1), **_CONTENT, "headers": _FIELDS, "timeout": _TIMEOUT},
        "A request within a session.",
        is_closed=True,
    ),
    "SipResponse": _object(
        "status reason headers",
        {
            "status": {"type": "integer", "minimum": 100, "maximum": 699},
            "reason": _text(),
            "headers": {"type": "array", "items": _object("name value", {"name": _text(), "value": _text()})},
            "content_type": _text(),
            "text": _text(),
            "body_base64": _text(),
        },
        "A response of a peer; credentials in it are withheld.",
    ),
    "Failure": _object(
        "error words remedy", {"error": _text("a word for programs"), "words": _text(), "remedy": _text()}
    ),
    "Request": _object(
        "id method to state created",
        {
            "id": _text(),
            "method": _text(),
            "to": _text(),
            "session": _text("the session that it belongs to"),
            "state": {"type": "string", "enum": ["pending", "answered", "failed"]},
            "created": _text(),
            "ended": _text(),
            "response": ref("SipResponse"),
            "description": ref("Description"),
            "failure": ref("Failure"),
        },
        "A request that was sent by this API, and what became of it.",
    ),
    "Description": _object(
        "content_type", {"content_type": _text(), "text": _text(), "body_base64": _text()}, "A session description."
    ),
    "Session": _object(
        "id call_id direction state local",
        {
            "id": _text("its number, which events have as session"),
            "call_id": _text(),
            "direction": {"type": "string", "enum": ["in", "out"]},
            "state": {
                "type": "string",
                "enum": ["idle", "incoming", "connecting", "alerted", "redirecting", "connected", "disconnected"],
            },
            "reason": _text("why it went into this state"),
            "status": {"type": "integer", "description": "of the response that brought it there"},
            "local": _text("whose of ours it is"),
            "remote": _text("the peer's URI, as it says"),
            "began": _text(),
            "changed": _text(),
            **_PEER,
            "flow": _text(),
            "offer": ref("Description"),
            "local_description": ref("Description"),
            "remote_description": ref("Description"),
            "failure": ref("Failure"),
        },
    ),
    "NewSession": _object(
        "to",
        {
            "to": _TO,
            **_OFFER,
            "headers": _FIELDS,
            "from": _text(most=2048),
            "max_ring": {"type": "number", "minimum": 1, "maximum": 86400},
        },
        "A session to begin; without a description the peer is asked to offer.",
        is_closed=True,
    ),
    "Ring": _object(
        "",
        {
            "status": {"type": "integer", "minimum": 101, "maximum": 198},
            "reason": _text(most=128),
            **_OFFER,
            "headers": _FIELDS,
        },
        is_closed=True,
    ),
    "Accept": _object("", {**_OFFER, "headers": _FIELDS}, is_closed=True),
    "Reject": _object(
        "",
        {"status": {"type": "integer", "minimum": 400, "maximum": 699}, "reason": _text(most=128), "headers": _FIELDS},
        is_closed=True,
    ),
    "Redirect": _object(
        "contacts",
        {
            "contacts": {"type": "array", "maxItems": 16, "items": _text(most=2048, least=1)},
            "status": {"type": "integer", "minimum": 300, "maximum": 399},
            "headers": _FIELDS,
        },
        is_closed=True,
    ),
    "Renegotiate": _object(
        "",
        {**_OFFER, "headers": _FIELDS, "method": {"type": "string", "enum": ["INVITE", "UPDATE"]}},
        is_closed=True,
    ),
    "Event": _object(
        "id time event",
        {"id": _NUMBER, "time": _text(), "event": _text()},
        "Something that happened; further members say what, as they do in the lines of the service.",
    ),
    "TraceEvent": _object(
        "kind at",
        {
            "number": _NUMBER,
            "kind": _text("message, or note"),
            "at": _ANY_NUMBER,
            "time": _text(),
            "call_id": _text(),
            "flow": _NUMBER,
            "direction": {"type": "string", "enum": ["in", "out"]},
            "transport": _text("TLS, TCP, UDP, WS or WSS"),
            "local": _text("the host of our own URI"),
            "address": _text("our socket address"),
            "remote": _text("the peer's socket address"),
            "peer": _text("the identity that it has proved"),
            "head": _text("start line and header fields, as they passed but for credentials"),
            "length": {**_NUMBER, "description": "how many octets the body had"},
            "body": _text("the body, where --keep-bodies keeps it"),
            "body_base64": _text("the same where it is no text"),
            "note": _text("what a note says"),
        },
        "One message that passed, or one note, with the keys of a trace file.",
    ),
    "Patient": _object("patient", {"patient": _text("the URI of a peer", most=2048, least=1)}, is_closed=True),
    "Finding": _object(
        "step verdict cause what remedy",
        {"step": _text(), "verdict": _text(), "cause": _text(), "what": _text(), "remedy": _text()},
    ),
    "DoctorJob": _object(
        "id patient state created",
        {
            "id": _text(),
            "patient": _text(),
            "state": {"type": "string", "enum": ["running", "done", "failed"]},
            "created": _text(),
            "ended": _text(),
            "findings": {"type": "array", "items": ref("Finding")},
            "failure": ref("Failure"),
        },
        "What is found out about the way to a peer.",
    ),
    "Drain": _object(
        "",
        {
            "deadline": {"type": "number", "minimum": 0, "maximum": 86400},
            "redirect_to": {"type": "array", "maxItems": 16, "items": _text(most=2048, least=1)},
        },
        is_closed=True,
    ),
    "Metrics": _object("counters", {"counters": {"type": "object", "additionalProperties": {"type": "integer"}}}),
    "Health": _object("status", {"status": _text(), "reason": _text()}),
    "Reloaded": _object("changes", {"changes": _TEXTS}),
}
"""Every shape by its name."""
