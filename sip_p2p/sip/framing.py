"""Messages out of a byte stream (RFC 3261 section 18.3), and the keep-alives between them (RFC 5626 section 4.4.1).

The framer reads each octet once: it remembers how far it has looked, keeps only what is incomplete, and never allocates
for octets that have not come. Where a message ends is decided by :func:`sip_p2p.sip.parse.declared_length` alone; a
stream on which that cannot be decided is finished, because everything after it could be somebody else's words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.parse import Unparsable, declared_length, parse_head, salvage

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request, Response

__all__ = ["PING", "PONG", "Framed", "KeepAlive", "StreamFramer"]


@final
class KeepAlive:
    """A keep-alive between messages: :data:`PING` (two CRLF, to be answered with one) or :data:`PONG` (one CRLF)."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


PING = KeepAlive("PING")
PONG = KeepAlive("PONG")

if TYPE_CHECKING:
    Framed: TypeAlias = Request | Response | Unparsable | KeepAlive
else:
    Framed = object

_TOKEN_OCTETS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")


@final
class StreamFramer:
    """Cuts one direction of one connection into messages.

    :ivar pings_sent: how many pings of ours wait for their pong; the owner counts up when it sends one. Only then is a
        single CRLF between messages a pong at once: without that it could be the first half of a ping.
    :ivar raw: None, or a list that gets the exact octets of every message found, for whoever traces them; it may be
        set at any time, and counts for messages that begin after that.
    :ivar failed: True once the stream is lost; what comes after is ignored.
    """

    __slots__ = (
        "_buffer",
        "_head",
        "_limits",
        "_needed",
        "_raw_head",
        "_scanned",
        "_start_checked",
        "failed",
        "pings_sent",
        "raw",
    )

    def __init__(self, limits: MessageLimits | None = None) -> None:
        self._limits = MessageLimits() if limits is None else limits
        self._buffer = bytearray()
        self._scanned = 0
        self._start_checked = False
        self._head: Request | Response | None = None
        self._needed = 0
        self.failed = False
        self.pings_sent = 0
        self.raw: list[bytes] | None = None
        self._raw_head = b""

    @property
    def is_partial(self) -> bool:
        """Whether a message has begun and is not complete: what the partial-message deadline watches."""
        return self._head is not None or (
            len(self._buffer) > 0 and bytes(self._buffer[:3]) not in (b"\r", b"\r\n", b"\r\n\r")
        )

    @property
    def buffered(self) -> int:
        """How many octets are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Framed]:
        """Take what the connection delivered and return what it completes, in order.

        Never raises: octets that are no message come as an :class:`~sip_p2p.sip.parse.Unparsable`, and when that
        ``loses_framing`` nothing comes after it.
        """
        found: list[Framed] = []
        if self.failed:
            return found
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        position = 0
        size = len(buffer)
        while position < size:
            if self._head is not None:
                if size - position < self._needed:
                    break
                message = self._head
                message.body = bytes(buffer[position : position + self._needed])
                position += self._needed
                self._head = None
                found.append(message)
                if self.raw is not None and self._raw_head:
                    self.raw.append(self._raw_head + message.body)
                continue
            if buffer[position] == 13:
                consumed = self._keep_alive(buffer, position, size, found)
                if consumed == 0:
                    break
                position += consumed
                continue
            end = buffer.find(b"\r\n\r\n", position + self._scanned)
            if end < 0 or end - position > self._limits.head:
                self._watch_incomplete(buffer, position, size if end < 0 else end, found)
                break
            self._scanned = 0
            self._start_checked = False
            length = self._begin(buffer, position, end, found)
            if length < 0:
                break
            if self.raw is None:
                self._raw_head = b""
            else:
                self._raw_head = bytes(buffer[position : end + 4])
                if length == 0:
                    self.raw.append(self._raw_head)
            position = end + 4
            if length == 0:
                found.append(self._take_head())
            else:
                self._needed = length
        self._keep(buffer, position, size)
        return found

    def _take_head(self) -> Request | Response:
        """The message whose head is complete and whose body is empty."""
        head = self._head
        assert head is not None
        self._head = None
        return head

    def _keep(self, buffer: bytes | bytearray, position: int, size: int) -> None:
        """Hold back what is incomplete."""
        if self.failed or position == size:
            if self._buffer:
                self._buffer = bytearray()
        elif buffer is self._buffer:
            if position:
                del self._buffer[:position]
        else:
            self._buffer += buffer[position:]

    def _keep_alive(self, buffer: bytes | bytearray, position: int, size: int, found: list[Framed]) -> int:
        """Read CRLFs between messages (RFC 5626 section 4.4.1; RFC 3261 section 7.5); return how many octets were used.

        0 means that more must come before it can be told what they are, or that the stream is lost.
        """
        head = bytes(buffer[position : position + 4])
        if head[:2] == b"\r\n":
            # A pong and half a ping look the same as a ping and, when the rest has come, a pong: so it comes out right.
            if head == b"\r\n\r\n" and self.pings_sent < 2:
                found.append(PING)
                return 4
            if self.pings_sent > 0:
                self.pings_sent -= 1
                found.append(PONG)
                return 2
            if size - position >= 3 and head[2:3] != b"\r":
                found.append(PONG)
                return 2
            if size - position >= 4:
                self._lose(buffer, position, MalformedMessage("a bare CR between messages"), found)
            return 0
        if size - position >= 2:
            self._lose(buffer, position, MalformedMessage("a bare CR between messages"), found)
        return 0

    def _watch_incomplete(self, buffer: bytes | bytearray, position: int, end: int, found: list[Framed]) -> None:
        """Judge a head that has not ended: too long, or plainly not SIP, is lost at once instead of at a deadline."""
        limits = self._limits
        if end - position > limits.head:
            error = MalformedMessage(f"a header section is over the limit of {limits.head} octets", 513)
            self._lose(buffer, position, error, found)
            return
        if buffer[position] not in _TOKEN_OCTETS:
            self._lose(buffer, position, MalformedMessage("what came is not SIP", 400, 0), found)
            return
        if not self._start_checked:
            line_end = buffer.find(b"\r\n", position)
            if line_end >= 0:
                self._start_checked = True
                if (
                    b" SIP/" not in bytes(buffer[position:line_end]).upper()
                    and bytes(buffer[position : position + 4]).upper() != b"SIP/"
                ):
                    self._lose(buffer, position, MalformedMessage("the start line is not SIP", 400, 0), found)
                    return
        self._scanned = max(0, end - position - 3)

    def _begin(self, buffer: bytes | bytearray, position: int, end: int, found: list[Framed]) -> int:
        """Parse a complete head and decide its body's length; -1 when the stream is lost."""
        head = bytes(buffer[position:end])
        try:
            message = parse_head(head.decode("utf-8", "surrogateescape"), self._limits)
            length = declared_length(message.headers, self._limits)
            if length is None:
                # 18.3: on a stream the field MUST be there; to guess 0 would hand the body to the next message's
                # reader.
                raise MalformedMessage("Content-Length is missing on a stream")
            size = end - position + 4 + length
            if size > self._limits.message:
                raise MalformedMessage(f"a message of {size} octets is over the limit of {self._limits.message}", 513)
        except MalformedMessage as error:
            self._lose(buffer, position, error, found)
            return -1
        self._head = message
        return length

    def _lose(self, buffer: bytes | bytearray, position: int, error: MalformedMessage, found: list[Framed]) -> None:
        """Give the stream up and report the octets that ended it."""
        self.failed = True
        self._head = None
        found.append(salvage(bytes(buffer[position : position + self._limits.head]), error, loses_framing=True))
