"""What the API says of responses, bodies and certificates, and what it takes for a body: nothing that is a credential
leaves by it."""

from __future__ import annotations

import base64
import binascii
import datetime
import math
from itertools import islice
from typing import TYPE_CHECKING, Any

from sip_p2p.errors import MalformedMessage
from sip_p2p.observe.redact import redact_head
from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.words import explain
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.dialog.description import SDP, ContentDescription
from sip_p2p.transport.trust.identity import PeerIdentities

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate
    from twisted.python.failure import Failure

    from sip_p2p.sip.message import Response

__all__ = [
    "body_of",
    "certificate",
    "content",
    "described_offer",
    "description",
    "failure",
    "fields_of",
    "response",
]

_BODY_SAID = 64 * 1024
# A thousand responses are kept, and peers write them.
_ANSWER_SAID, _FIELDS_SAID, _VALUE_SAID = 16 * 1024, 64, 1024


def content(body: bytes, content_type: str | None, most: int = _BODY_SAID) -> dict[str, object]:
    """A body: as text where it is UTF-8, or else in base 64; one of more than *most* octets is left out."""
    if not body:
        return {}
    said: dict[str, object] = {"content_type": content_type or ""}
    if len(body) > most:
        return said
    try:
        said["text"] = body.decode("utf-8")
    except UnicodeDecodeError:
        said["body_base64"] = base64.b64encode(body).decode("ascii")
    return said


def response(answer: Response) -> dict[str, object]:
    """A response of a peer."""
    return {
        "status": answer.status,
        "reason": printable(answer.reason, _VALUE_SAID),
        "headers": [_field(name, value) for name, value in islice(answer.headers, _FIELDS_SAID)],
        **content(answer.body, answer.headers.get("Content-Type"), _ANSWER_SAID),
    }


def _field(name: str, value: str) -> dict[str, str]:
    _, _, shown = redact_head(f"{name}: {value[:_VALUE_SAID]}").partition(": ")
    return {"name": name, "value": shown}


def description(said: ContentDescription | None) -> dict[str, object] | None:
    """A session description; None where there is none."""
    return None if said is None else content(said.body, said.content_type)


def failure(failed: Failure) -> dict[str, object]:
    """What went wrong, in words and with a word for programs: the class of the error, or the reason of a TLS
    failure."""
    error = failed.value
    assert error is not None
    words = explain(error)
    reason = getattr(error, "reason", None)
    name = getattr(reason, "name", None) or type(error).__name__
    return {"error": name, "words": words.what, "remedy": words.remedy}


def certificate(shown: Certificate) -> dict[str, object]:
    """A certificate: whom it names, who says so, and how long still."""
    from cryptography.hazmat.primitives import hashes

    identities = PeerIdentities.from_certificate(shown)
    left = shown.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return {
        "subject": shown.subject.rfc4514_string(),
        "names": list(identities.identities),
        "issuer": shown.issuer.rfc4514_string(),
        "serial": f"{shown.serial_number:x}",
        "not_before": shown.not_valid_before_utc.isoformat().replace("+00:00", "Z"),
        "not_after": shown.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
        # Rounded down: what says 365 is to hold for 365.
        "days_left": math.floor(left / datetime.timedelta(days=1) * 100) / 100,
        "sha256": shown.fingerprint(hashes.SHA256()).hex(),
    }


def fields_of(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The header fields that were given."""
    return [(each["name"], each["value"]) for each in given.get("headers", ())]


def body_of(given: Mapping[str, Any]) -> tuple[str | bytes, str | None]:
    """The body that was given and its type.

    :raises Problem: there are two, or octets without a type, or what is no base 64.
    """
    text, coded, content_type = given.get("text"), given.get("body_base64"), given.get("content_type")
    if content_type is not None:
        try:
            parse_media_type(content_type)
        except MalformedMessage as error:
            raise _wrong("/content_type", error.reason) from None
    if text is not None and coded is not None:
        raise _wrong("/body_base64", "give text or body_base64, and not both")
    if coded is None:
        return text or "", content_type
    try:
        octets = base64.b64decode(coded, validate=True)
    except (binascii.Error, ValueError):
        raise _wrong("/body_base64", "it is not base 64") from None
    if octets and content_type is None:
        raise _wrong("/content_type", "octets have to say what they are")
    return octets, content_type


def described_offer(given: Mapping[str, Any]) -> ContentDescription | None:
    """The session description that was given; None without one.

    :raises ValueError: it is none.
    """
    text = given.get("description")
    if text is None:
        return None
    return ContentDescription(text, given.get("content_type") or SDP)


def _wrong(pointer: str, words: str) -> Problem:
    return Problem("invalid-content", f"{pointer}: {words}.", errors=[{"pointer": pointer, "detail": words}])
