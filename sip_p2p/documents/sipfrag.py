"""A part of a SIP message: ``message/sipfrag`` (RFC 3420), with which a REFER is told what came of it (RFC 3515).

A start line, header fields and a body, each of which may be missing. What NOTIFYs of REFER carry is a Status-Line, at
times without the CRLF that ends it or with LF alone, and is read so as well. A fragment is data: it is never sent as a
message, and says nothing about who wrote it (section 6).
"""

from __future__ import annotations

from typing import ClassVar, final

from sip_p2p.errors import MalformedDocument, MalformedMessage
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_head
from sip_p2p.sip.status import reason_phrase

__all__ = ["MEDIA_TYPE", "SipFragment"]

MEDIA_TYPE = "message/sipfrag"
"""The media type of these documents."""

_LIMITS = MessageLimits()
_STAND_IN = "SIP/2.0 200 \r\n"
"""What the parser of messages is given where a fragment has no start line."""


@final
class SipFragment:
    """A part of a SIP message.

    :ivar start: its start line: a :class:`~sip_p2p.sip.message.Response` or :class:`~sip_p2p.sip.message.Request`
        without fields and body; None where it has none.
    :ivar headers: its header fields.
    :ivar body: its body.
    :cvar media_type: the media type of these documents.
    """

    __slots__ = ("body", "headers", "start")

    media_type: ClassVar[str] = MEDIA_TYPE

    def __init__(
        self, start: Request | Response | None = None, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        self.start = start
        self.headers = Headers() if headers is None else headers
        self.body = body

    @classmethod
    def of_status(cls, status: int, reason: str | None = None) -> SipFragment:
        """A Status-Line alone, as a NOTIFY of a REFER has it (RFC 3515 section 2.4.5).

        :param reason: by default the usual phrase.
        :raises ValueError: for what is no status or no reason phrase.
        """
        return cls(Response(status, reason_phrase(status) if reason is None else reason))

    @property
    def status(self) -> int | None:
        """The status code; None where it has no Status-Line."""
        return self.start.status if isinstance(self.start, Response) else None

    @property
    def reason(self) -> str:
        """The reason phrase; empty where it has no Status-Line."""
        return self.start.reason if isinstance(self.start, Response) else ""

    @classmethod
    def parse(cls, octets: bytes) -> SipFragment:
        """Read a fragment (section 2).

        :raises MalformedDocument: when a line of its head is neither a start line nor a header field, or it is more
            than a message may be.
        """
        if len(octets) > _LIMITS.message:
            raise MalformedDocument(f"a fragment of {len(octets)} octets is over the limit of {_LIMITS.message}")
        if octets.startswith(b"\r\n"):
            # The section has neither start line nor fields: the empty line is the first thing there is.
            return cls(body=octets[2:])
        if b"\r" in octets:
            head, _, body = octets.partition(b"\r\n\r\n")
        else:
            # Lines that end with LF alone, as baresip writes them.
            head, _, body = octets.partition(b"\n\n")
            head = head.replace(b"\n", b"\r\n")
        if len(head) > _LIMITS.head:
            raise MalformedDocument(f"a head of {len(head)} octets is over the limit of {_LIMITS.head}")
        text = head.removesuffix(b"\r\n").decode("utf-8", "surrogateescape")
        if not text:
            return cls()
        has_start = _is_start_line(text.partition("\r\n")[0])
        try:
            message = parse_head(text if has_start else _STAND_IN + text, _LIMITS)
        except MalformedMessage as error:
            raise MalformedDocument(f"not a part of a SIP message: {error.reason}") from None
        headers = message.headers
        message.headers = Headers()
        return cls(message if has_start else None, headers, body)

    def to_bytes(self) -> bytes:
        """The fragment."""
        lines = [] if self.start is None else [self.start.start_line]
        lines += [f"{name}: {value}" for name, value in self.headers]
        head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
        return head + b"\r\n" + self.body if self.body else head

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SipFragment) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        start = "" if self.start is None else self.start.start_line[:64]
        return f"<SipFragment {start!r}, {len(self.headers)} fields, {len(self.body)} octets>"


def _is_start_line(line: str) -> bool:
    """Whether the first line of a fragment is a start line rather than a header field."""
    words = line.split(" ")
    is_request = len(words) == 3 and words[2].upper().startswith("SIP/") and words[1][:1] != ":"
    return line[:4].upper() == "SIP/" or (is_request and ":" not in words[0])
