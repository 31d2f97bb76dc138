"""What an offer or an answer is made of: octets and their type (RFC 3264, RFC 5621). SDP is one type among others."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import octets_of
from sip_p2p.sip.body import content_codings, parse_disposition, parse_media_type
from sip_p2p.sip.multipart import parse_multipart

if TYPE_CHECKING:
    from sip_p2p.sip.body import MediaType
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.multipart import BodyPart

__all__ = ["SDP", "ContentDescription", "description_of", "refusal_of"]

SDP = "application/sdp"
"""The type that nearly all session descriptions have (RFC 8866 section 8.1)."""

_DISPOSITIONS = ("session", "early-session")


@final
class ContentDescription:
    """A body, its type and what it is for. Immutable by convention, and equal to another one with the same parts.

    :ivar body: the octets.
    :ivar content_type: the Content-Type value.
    :ivar disposition: the Content-Disposition value; empty for none, which means ``session`` for an offer or an answer
        (RFC 3261 section 20.11).
    """

    __slots__ = ("body", "content_type", "disposition")

    def __init__(self, body: bytes | str, content_type: str = SDP, disposition: str = "") -> None:
        """
        :param body: text is taken as UTF-8.
        :raises ValueError: for a body without octets, for a type or a disposition that is none, and for a multipart
            type with a body that has no parts.
        """
        self.body = octets_of(body)
        if not self.body:
            raise ValueError("an offer or an answer without octets describes nothing")
        try:
            media_type = parse_media_type(content_type)
            if media_type.type == "multipart":
                parse_multipart(self.body, media_type)
            if disposition:
                parse_disposition(disposition)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        self.content_type = content_type
        self.disposition = disposition

    @property
    def text(self) -> str:
        """The body as UTF-8, with what is no UTF-8 replaced."""
        return self.body.decode("utf-8", "replace")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ContentDescription):
            return NotImplemented
        return (self.body, self.content_type, self.disposition) == (other.body, other.content_type, other.disposition)

    def __hash__(self) -> int:
        return hash((self.body, self.content_type))

    def __repr__(self) -> str:
        return f"<ContentDescription {self.content_type}, {len(self.body)} octets>"


def description_of(message: Request | Response) -> ContentDescription | None:
    """The session description that *message* carries, or None.

    A body that says of itself that it is for something else (Content-Disposition, RFC 3261 section 20.11) is none, and
    so is one with a coding that we do not undo, which may only come where it is optional (section 8.2.3). Of several
    parts (RFC 5621 section 3.1) the description is the one that says so, or is SDP and says nothing; the last
    of several alternatives. Parts that leave it open are a description together.

    :raises MalformedMessage: when its type, its disposition or its parts cannot be read.
    """
    if not message.body:
        return None
    headers = message.headers
    content_type = headers.get("Content-Type")
    if content_type is None:
        return None
    disposition = headers.get("Content-Disposition") or ""
    if disposition and parse_disposition(disposition).type not in _DISPOSITIONS:
        return None
    if content_codings(headers.get_all("Content-Encoding")):
        return None
    media_type = parse_media_type(content_type)
    if media_type.type == "multipart":
        parts = parse_multipart(message.body, media_type).parts
        part = _session_part(parts, media_type)
        if part is not None:
            return ContentDescription(
                part.content, part.headers["Content-Type"], part.headers.get("Content-Disposition") or ""
            )
        if all(part.disposition is not None for part in parts):
            return None
    return ContentDescription(message.body, content_type, disposition)


def refusal_of(offer: ContentDescription, former: ContentDescription | None = None) -> ContentDescription | None:
    """The answer to *offer* that takes none of its streams (RFC 3264 section 6): for an offer that cannot be refused,
    and is not wanted (RFC 3261 section 13.2.2.4).

    It is made line by line: signalling has to say this much even of a description that :mod:`sip_p2p.sdp`, which it
    does without, would not read.

    :param former: our last description; its origin is ours, and its version goes up (RFC 3264 section 8).
    :returns: None where *offer* is no SDP.
    """
    if parse_media_type(offer.content_type).essence != SDP:
        return None
    lines = offer.text.splitlines()
    origin = ["-", "0", "0", "IN", "IP4", "0.0.0.0"]
    for line in [] if former is None else former.text.splitlines():
        words = line[2:].split(" ")
        if line[:2] == "o=" and len(words) == 6 and words[2].isascii() and words[2].isdecimal() and len(words[2]) < 20:
            origin = [*words[:2], str(int(words[2]) + 1), *words[3:]]
    # Section 6: the times are those of the offer.
    times = [line for line in lines if line[:2] == "t="] or ["t=0 0"]
    answer = ["v=0", f"o={' '.join(origin)}", "s=-", "c=IN IP4 0.0.0.0", *times]
    for line in lines:
        if line[:2] == "m=":
            # Section 6: port 0, and at least one format, which nobody reads.
            kind, _, protocol, form = (line[2:].split(" ") + ["-"] * 4)[:4]
            answer.append(f"m={kind} 0 {protocol} {form}")
    return ContentDescription("".join(f"{line}\r\n" for line in answer))


def _session_part(parts: tuple[BodyPart, ...], media_type: MediaType) -> BodyPart | None:
    """The part that describes the session, on any level; of a ``multipart/alternative`` the last that does (RFC 2046
    section 5.1.4)."""
    for part in reversed(parts) if media_type.subtype == "alternative" else parts:
        kind, disposition = part.content_type, part.disposition
        if kind is None or not part.content:
            continue
        if kind.type == "multipart":
            found = _session_part(part.parts, kind)
            if found is not None:
                return found
        elif disposition.type in _DISPOSITIONS if disposition is not None else kind.essence == SDP:
            # RFC 5621 section 8.3: without a disposition SDP describes the session, and anything else is to be shown.
            return part
    return None
