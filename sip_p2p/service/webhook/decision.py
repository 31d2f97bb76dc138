"""What the hook's answer means: the SIP answer to a request, or what becomes of a session.

For a request::

    {"status": 403, "reason": "Not you", "headers": {"X-Why": "because"}, "text": "...", "content_type": "text/plain"}

Everything may be left out, and nothing at all is 200. For a session one of::

    {"decision": "accept", "answer": "v=0...", "content_type": "application/sdp", "headers": {...}}
    {"decision": "ring", "status": 180, "ask_again": 5}
    {"decision": "reject", "status": 486, "reason": "...", "headers": {...}}
    {"decision": "redirect", "contacts": ["sip:..."], "status": 302}

What is not understood to its end is no answer: a name with a slip of the pen in it must not become a 200. Pure: values
in, values out; the header fields are checked here, as the stack would refuse them later.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
from typing import TYPE_CHECKING, Any, final

from sip_p2p.endpoint.address import to_sip_uri
from sip_p2p.errors import MalformedMessage
from sip_p2p.observe.text import printable
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.description import SDP, ContentDescription
from sip_p2p.sip.message import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "LONGEST_ASK_AGAIN",
    "Decision",
    "RequestAnswer",
    "SessionAnswer",
    "check_names",
    "integer_of",
    "object_of",
    "octets_of_text",
    "parse_description",
    "parse_request_answer",
    "parse_session_answer",
    "reason_of",
    "text_of",
]

LONGEST_ASK_AGAIN = 600.0
"""How many seconds there may be at most before the hook is asked again about a session that rings."""

_TEXT = "text/plain; charset=UTF-8"
_MOST_CONTACTS = 16
_REQUEST_NAMES = frozenset(["status", "reason", "headers", "text", "body_base64", "content_type"])


class Decision(enum.Enum):
    """What becomes of a session."""

    ACCEPT = "accept"
    REJECT = "reject"
    RING = "ring"
    REDIRECT = "redirect"


_SESSION_NAMES = {
    Decision.ACCEPT: frozenset(["answer", "answer_base64", "content_type", "headers"]),
    Decision.REJECT: frozenset(["status", "reason", "headers"]),
    Decision.RING: frozenset(["status", "reason", "headers", "ask_again"]),
    Decision.REDIRECT: frozenset(["contacts", "status", "headers"]),
}
_STATUSES = {Decision.REJECT: (480, 400, 699), Decision.RING: (180, 101, 198), Decision.REDIRECT: (302, 300, 399)}


@final
class RequestAnswer:
    """The hook's answer to a request.

    :ivar status: from 200 to 699.
    :ivar reason: the phrase; None for the usual one.
    :ivar headers: further header fields, checked.
    :ivar body: the octets, with their type in :attr:`content_type`; empty for none.
    """

    __slots__ = ("body", "content_type", "headers", "reason", "status")

    def __init__(
        self,
        status: int = 200,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)
        self.body = body
        self.content_type = content_type


@final
class SessionAnswer:
    """The hook's decision about a session.

    :ivar decision: which it is.
    :ivar status: the status that goes with it; 200 for a session that is accepted.
    :ivar reason: the phrase; None for the usual one.
    :ivar headers: further header fields, checked.
    :ivar description: what a session is accepted with; None for silence.
    :ivar contacts: where to go instead.
    :ivar ask_again: after how many seconds the hook is asked again, while it rings; None for not at all.
    """

    __slots__ = ("ask_again", "contacts", "decision", "description", "headers", "reason", "status")

    def __init__(
        self,
        decision: Decision,
        status: int = 200,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        description: ContentDescription | None = None,
        contacts: Iterable[str] = (),
        ask_again: float | None = None,
    ) -> None:
        self.decision = decision
        self.status = status
        self.reason = reason
        self.headers = tuple(headers)
        self.description = description
        self.contacts = tuple(contacts)
        self.ask_again = ask_again


def parse_request_answer(body: bytes) -> RequestAnswer:
    """What the body of a hook's 2xx says about a request.

    :raises ValueError: it cannot be understood to its end; the text says why.
    """
    said = object_of(body)
    check_names(said, _REQUEST_NAMES)
    status = integer_of(said, "status", 200, 200, 699)
    octets = _octets(said, "text", "body_base64")
    content_type = _media_type(said)
    if octets is None:
        if content_type is not None:
            raise ValueError("there is a content_type and nothing of that type")
    elif content_type is None:
        if "text" not in said:
            raise ValueError("a body_base64 needs a content_type")
        content_type = _TEXT
    return RequestAnswer(status, reason_of(said, status), _fields(said), octets or b"", content_type)


def parse_session_answer(body: bytes) -> SessionAnswer:
    """What the body of a hook's 2xx says about a session; nothing at all refuses it with 480, for nobody decided.

    :raises ValueError: it cannot be understood to its end; the text says why.
    """
    said = object_of(body)
    if not said:
        return SessionAnswer(Decision.REJECT, 480)
    word = said.pop("decision", None)
    try:
        decision = Decision(word)
    except ValueError:
        known = ", ".join(each.value for each in Decision)
        raise ValueError(f"the decision {_shown(word)} is none of {known}") from None
    check_names(said, _SESSION_NAMES[decision])
    status = integer_of(said, "status", *_STATUSES[decision]) if decision in _STATUSES else 200
    return SessionAnswer(
        decision,
        status,
        reason_of(said, status),
        _fields(said),
        description=_description(said),
        contacts=_contacts(said) if decision is Decision.REDIRECT else (),
        ask_again=_seconds(said, "ask_again"),
    )


def parse_description(body: bytes) -> ContentDescription | RequestAnswer:
    """What the body of a hook's 2xx says about an offer within a session: an answer, or a refusal with its status.

    :raises ValueError: it is neither.
    """
    said = object_of(body)
    if "status" in said:
        check_names(said, frozenset(["status"]))
        return RequestAnswer(integer_of(said, "status", 488, 400, 699))
    check_names(said, frozenset(["answer", "answer_base64", "content_type"]))
    description = _description(said)
    if description is None:
        raise ValueError("there is neither an answer nor a status to refuse with")
    return description


def object_of(body: bytes) -> dict[str, Any]:
    """The JSON object in *body*; an empty one for nothing."""
    if not body.strip():
        return {}
    try:
        said = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(said, dict):
        raise ValueError("it is no JSON object")
    return said


def _no_constant(word: str) -> object:
    raise ValueError(f"{word} is no JSON")


def check_names(said: dict[str, Any], known: frozenset[str]) -> None:
    """
    :raises ValueError: *said* has a name that is not *known*.
    """
    for name in said:
        if name not in known:
            raise ValueError(f"{_shown(name)} is not known here; these are: {', '.join(sorted(known))}")


def integer_of(said: dict[str, Any], name: str, usual: int, least: int, most: int) -> int:
    """The integer *name*, *usual* where it is not there.

    :raises ValueError: it is none between the two bounds.
    """
    value = said.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"the {name} {_shown(value)} is no number from {least} to {most}")
    return value


def _seconds(said: dict[str, Any], name: str) -> float | None:
    value = said.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.1 <= value <= LONGEST_ASK_AGAIN:
        raise ValueError(f"{name} is no number of seconds between 0.1 and {LONGEST_ASK_AGAIN:g}")
    return float(value)


def text_of(said: dict[str, Any], name: str) -> str | None:
    """The text *name*; None where it is not there.

    :raises ValueError: it is no text.
    """
    value = said.get(name)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name} is no text")


def reason_of(said: dict[str, Any], status: int) -> str | None:
    """The phrase that goes with *status*; None for the usual one.

    :raises ValueError: it cannot stand in a response.
    """
    reason = text_of(said, "reason")
    # Made only to be checked.
    Response(status, reason)
    return reason


def _fields(said: dict[str, Any]) -> list[tuple[str, str]]:
    """The header fields, checked as the stack does."""
    given = said.get("headers")
    if given is None:
        return []
    if not isinstance(given, dict):
        raise ValueError('headers is no object such as {"Subject": "hello"}')
    pairs: list[tuple[str, str]] = []
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, str):
                raise ValueError(f"the header field {_shown(name)} is neither text nor a list of texts")
            pairs.append((name, each))
    if any(name.lower() in ("content-type", "c") for name, _ in pairs):
        raise ValueError("the type of the body stands in content_type, not in headers")
    return application_fields(pairs)


def octets_of_text(said: dict[str, Any], name: str) -> bytes | None:
    """The text *name* as UTF-8; None where it is not there.

    :raises ValueError: it is no text.
    """
    return _octets(said, name, "")


def _octets(said: dict[str, Any], text_name: str, base64_name: str) -> bytes | None:
    """The octets that are given as text or as base64; None for neither."""
    text, encoded = text_of(said, text_name), text_of(said, base64_name)
    if text is not None and encoded is not None:
        raise ValueError(f"there is {text_name} as well as {base64_name}: give one of them")
    if text is not None:
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"{text_name} holds half a surrogate pair") from None
    if encoded is None:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{base64_name} is no base64") from None


def _media_type(said: dict[str, Any]) -> str | None:
    value = text_of(said, "content_type")
    if value is not None:
        try:
            parse_media_type(value)
            application_fields([("Content-Disposition", value)])
        except (MalformedMessage, ValueError) as error:
            raise ValueError(f"content_type is none: {printable(str(error), 128)}") from None
    return value


def _description(said: dict[str, Any]) -> ContentDescription | None:
    octets = _octets(said, "answer", "answer_base64")
    content_type = _media_type(said)
    if octets is None:
        if content_type is not None:
            raise ValueError("there is a content_type and nothing of that type")
        return None
    return ContentDescription(octets, content_type or SDP)


def _contacts(said: dict[str, Any]) -> list[str]:
    given = said.get("contacts")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_CONTACTS:
        raise ValueError(f"contacts is no list of 1 to {_MOST_CONTACTS} URIs")
    found = []
    for each in given:
        if not isinstance(each, str):
            raise ValueError("contacts holds something that is no text")
        found.append(str(to_sip_uri(each)))
    return found


def _shown(value: object) -> str:
    return printable(repr(value), 64)
