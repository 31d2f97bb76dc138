"""Readings of a message that the rules for user agents need in one place each (RFC 3261 section 8)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.accept import is_acceptable, parse_accept
from sip_p2p.sip.body import MediaType, parse_disposition, parse_media_type
from sip_p2p.sip.fields import parse_retry_after, parse_seconds, split_values

if TYPE_CHECKING:
    from sip_p2p.sip.headers import Headers

__all__ = ["LONGEST_KEY", "could_accept", "is_optional", "only_via", "seconds_of", "short_key", "warning_value"]

LONGEST_KEY = 256
"""Characters; of what is longer a digest is kept in its place."""

_SESSION_DESCRIPTION = MediaType("application", "sdp")


def short_key(key: str) -> str:
    """*key*, or a digest of one that is longer than keys are: a million of them are kept for 32 seconds."""
    if len(key) <= LONGEST_KEY:
        return key
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def only_via(headers: Headers) -> str | None:
    """The one Via value of a response, or None where there are more or none."""
    names, values = headers.parallel_lists()
    if names.count("Via") != 1:
        return None
    via = values[names.index("Via")]
    return via if "," not in via or len(split_values(via)) == 1 else None


def warning_value(text: str) -> str:
    """A Warning of ours (section 20.43): printable ASCII, short, with nothing that could end the quotes."""
    safe = ascii(text[:200])[1:-1].replace("\\", "/").replace('"', "'")
    return f'399 sip_p2p "{safe}"'


def could_accept(headers: Headers) -> bool:
    """Whether Accept, if there is one, leaves room for a session description (section 20.1): SDP, or what the body of
    the same request is."""
    values = headers.get_all("Accept")
    if not values:
        return True
    ranges = parse_accept(values)
    content_type = headers.get("Content-Type")
    types = [_SESSION_DESCRIPTION] if content_type is None else [_SESSION_DESCRIPTION, parse_media_type(content_type)]
    return any(is_acceptable(ranges, each) for each in types)


def is_optional(headers: Headers) -> bool:
    """8.2.3: a body whose Content-Disposition says ``handling=optional`` may be passed over."""
    value = headers.get("Content-Disposition")
    return value is not None and not parse_disposition(value).is_required


def seconds_of(headers: Headers, name: str, default: int = 0) -> int:
    """The seconds that a field says; *default* where there is none, or none that can be read."""
    value = headers.get(name)
    if value is None:
        return default
    try:
        number = parse_retry_after(value).seconds if name == "Retry-After" else parse_seconds(value, name)
    except MalformedMessage:
        return default
    return default if number is None else number
