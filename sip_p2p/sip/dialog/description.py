"""What an offer or an answer is made of: octets and their type (RFC 3264, RFC 5621). SDP is one type among others."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import parse_disposition, parse_media_type

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request, Response

__all__ = ["SDP", "ContentDescription", "description_of"]

SDP = "application/sdp"
"""The type that nearly all session descriptions have (RFC 8866 section 8.1)."""


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
        :raises ValueError: for a body without octets, and for a type or a disposition that is none.
        """
        self.body = body.encode("utf-8") if isinstance(body, str) else bytes(body)
        if not self.body:
            raise ValueError("an offer or an answer without octets describes nothing")
        try:
            parse_media_type(content_type)
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

    A body that says of itself that it is for something else (Content-Disposition, RFC 3261 section 20.11) is none.

    :raises MalformedMessage: when its type or its disposition cannot be read.
    """
    if not message.body:
        return None
    headers = message.headers
    content_type = headers.get("Content-Type")
    if content_type is None:
        return None
    disposition = headers.get("Content-Disposition") or ""
    if disposition and parse_disposition(disposition).type not in ("session", "early-session"):
        return None
    parse_media_type(content_type)
    return ContentDescription(message.body, content_type, disposition)
