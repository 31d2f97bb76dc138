"""The WebSocket protocol without its socket: the opening handshake and the frames (RFC 6455, RFC 7118 section 4).

Over wsproto, which does HTTP and the frames. Here is what SIP asks beyond that: the subprotocol ``sip`` on both sides,
who may connect from which web page and to which path, and a bound on everything that a peer can make us hold. Bytes in,
values out: no Twisted, no clock.

No extension is offered or accepted, so there is no compression; HTTP/2 (RFC 8441) is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final
from urllib.parse import urlsplit

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ClientHandshake", "Closed", "Frames", "PingSeen", "PongSeen", "ServerHandshake", "WebSocketRules"]

SUBPROTOCOL = "sip"
LONGEST_HEAD = 8192
"""Octets of the HTTP header section with which a connection begins; with more of them it is refused."""

_BODY_FIELDS = frozenset([b"content-length", b"transfer-encoding"])
_FEW_FRAMES = 64
_OCTETS_A_FRAME = 64
"""How many frames may come together, and for how many octets one more; SIP messages are longer than that."""

_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
}
# RFC 6455 section 7.4.1.
NORMAL, GOING_AWAY, PROTOCOL_ERROR, POLICY, TOO_BIG = 1000, 1001, 1002, 1008, 1009


@final
class WebSocketRules:
    """What a listener wants of an opening handshake.

    :ivar path: the only resource that there is; the empty string for any.
    :ivar origins: the web origins whose pages may connect; ``*`` among them for all. None means pages of the host that
        they connect to, and no others (RFC 6455 section 10.2).
    """

    __slots__ = ("origins", "path")

    def __init__(self, path: str = "", origins: Iterable[str] | None = None) -> None:
        """
        :raises ValueError: when *path* does not begin with a slash or *origins* holds what is no origin.
        """
        if path and (not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path):
            raise ValueError(f"path={path} is no path: it begins with a slash, and holds neither space nor control")
        self.path = path
        self.origins = None if origins is None else frozenset(_origin(text) for text in origins)

    def refusal(self, target: str, host: str, origin: str | None) -> tuple[int, str]:
        """The status and the words for a request that is not welcome; 0 for one that is.

        :param origin: what the browser says of the page; None where no browser is at work.
        """
        if self.path and target.partition("?")[0] != self.path:
            return 404, f"there is nothing at this path; SIP is at {self.path}"
        if origin is None:
            return 0, ""
        origins = self.origins
        if origins is None:
            welcome = urlsplit(origin).netloc.lower() == host.lower()
        else:
            welcome = "*" in origins or origin.lower() in origins
        return (0, "") if welcome else (403, "pages of this origin may not connect: list it in origins=")


def _origin(text: str) -> str:
    """One entry of a list of origins.

    :raises ValueError: it is none.
    """
    if text in ("*", "null"):
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or parts.query or parts.fragment:
        raise ValueError(f"origins: {text!r} is no origin: write https://host or https://host:port, null, or *")
    return text.lower()


@final
class _Head:
    """One HTTP header section as it comes, and what comes after it.

    :ivar text: the section with its empty line; None while it is incomplete.
    :ivar rest: what came after it in the same delivery.
    :ivar is_too_long: whether it is over the bound.
    """

    __slots__ = ("_buffer", "is_too_long", "rest", "text")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.text: bytes | None = None
        self.rest = b""
        self.is_too_long = False

    def feed(self, data: bytes) -> None:
        """Take what came; each octet is looked at once."""
        buffer = self._buffer
        begin = max(0, len(buffer) - 3)
        buffer += data
        end = buffer.find(b"\r\n\r\n", begin)
        if end >= 0 and end + 4 <= LONGEST_HEAD:
            self.text = bytes(buffer[: end + 4])
            self.rest = bytes(buffer[end + 4 :])
        elif end >= 0 or len(buffer) > LONGEST_HEAD:
            self.is_too_long = True

    def begins_like(self, expected: bytes) -> bool:
        """Whether what has come so far can still begin with *expected*."""
        return expected.startswith(bytes(self._buffer[: len(expected)]))


@final
class ServerHandshake:
    """The opening handshake of a connection that was accepted.

    :ivar is_done: whether it has ended, well or not.
    :ivar refused: why the request was not welcome; the empty string while it may be.
    :ivar origin: the web page's origin, as the browser tells it; the empty string without one.
    :ivar frames: what reads the connection from now on; None until the handshake has ended well.
    """

    __slots__ = ("_bounds", "_handshake", "_head", "_rules", "frames", "is_done", "origin", "refused")

    def __init__(self, rules: WebSocketRules, longest: int, fragments: int) -> None:
        """
        :param longest: octets of one message.
        :param fragments: how many frames one message may come in.
        """
        self._rules = rules
        self._bounds = longest, fragments
        self._handshake = H11Handshake(ConnectionType.SERVER)
        self._head = _Head()
        self.is_done = False
        self.refused = ""
        self.origin = ""
        self.frames: Frames | None = None

    def feed(self, data: bytes) -> bytes:
        """Take what came, and return what is to be answered."""
        head = self._head
        head.feed(data)
        # What is no HTTP is not waited for (SIP or TLS on the wrong port, for example).
        if not head.begins_like(b"GET "):
            return self._refuse(400, "this port speaks WebSocket (RFC 7118) to HTTP GET requests, and nothing else")
        if head.is_too_long:
            return self._refuse(431, f"the header section is over the limit of {LONGEST_HEAD} octets")
        if head.text is None:
            return b""
        if b"\n" in head.text.replace(b"\r\n", b"") or head.text.partition(b"\r\n")[0].endswith(b"HTTP/1.0"):
            # A proxy before us may be of another opinion about where such a request ends.
            return self._refuse(400, "the request is not HTTP/1.1, with CR LF after each line")
        try:
            self._handshake.receive_data(head.text)
            return self._judge(next(iter(self._handshake.events()), None))
        except RemoteProtocolError as error:
            return self._refuse_http(error)
        except (UnicodeError, ValueError, KeyError, IndexError):
            return self._refuse(400, "the request is malformed")

    def _judge(self, request: object) -> bytes:
        if not isinstance(request, Request):
            return self._refuse(400, "the request is malformed")
        origins = [value.decode("ascii") for name, value in request.extra_headers if name == b"origin"]
        if len(origins) > 1:
            return self._refuse(400, "the request has more than one Origin")
        if any(name in _BODY_FIELDS for name, _ in request.extra_headers):
            return self._refuse(400, "the request has a body")
        status, words = self._rules.refusal(request.target, request.host, origins[0] if origins else None)
        if status:
            return self._refuse(status, words)
        if SUBPROTOCOL not in request.subprotocols:
            # RFC 7118 section 4.1: without it the peer does not mean SIP.
            return self._refuse(400, "Sec-WebSocket-Protocol does not offer sip: this is a SIP server (RFC 7118)")
        answer = self._handshake.send(AcceptConnection(subprotocol=SUBPROTOCOL))
        self.origin = origins[0] if origins else ""
        self.is_done = True
        self.frames = Frames(ConnectionType.SERVER, *self._bounds)
        return answer

    @property
    def rest(self) -> bytes:
        """What came after the request in the same delivery."""
        return self._head.rest

    def _refuse_http(self, error: RemoteProtocolError) -> bytes:
        """wsproto found the request not to be one for a WebSocket."""
        hint = error.event_hint
        status = hint.status_code if isinstance(hint, RejectConnection) else 400
        words = str(error)
        if "'Connection: Upgrade'" in words or "'Upgrade:" in words:
            return self._refuse(426, "this is no web server: it speaks SIP over WebSocket (RFC 7118)")
        return self._refuse(status, f"this is no request for a WebSocket of version 13: {words}")

    def _refuse(self, status: int, words: str) -> bytes:
        self.is_done = True
        self.refused = words
        body = f"{words}\n".encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Connection: Upgrade, close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n"
            "\r\n"
        )
        return head.encode() + body


@final
class ClientHandshake:
    """The opening handshake of a connection that we dialled.

    :ivar request: what to send first.
    :ivar is_done: whether it has ended, well or not.
    :ivar refused: why it came to nothing; the empty string while it may come to something.
    :ivar frames: what reads the connection from now on; None until the handshake has ended well.
    """

    __slots__ = ("_bounds", "_handshake", "_head", "frames", "is_done", "refused", "request")

    def __init__(self, host: str, path: str, origin: str, longest: int, fragments: int) -> None:
        """
        :param host: the name and perhaps port that the server has for us.
        :param path: the resource.
        :param origin: what to call ourselves; the empty string for nothing.
        :param longest: octets of one message.
        :param fragments: how many frames one message may come in.
        """
        self._bounds = longest, fragments
        self._head = _Head()
        self._handshake = H11Handshake(ConnectionType.CLIENT)
        extra = [(b"Origin", origin.encode("ascii"))] if origin else []
        self.request = self._handshake.send(
            Request(host=host, target=path, subprotocols=[SUBPROTOCOL], extra_headers=extra)
        )
        self.is_done = False
        self.refused = ""
        self.frames: Frames | None = None

    def feed(self, data: bytes) -> bytes:
        """Take what came; there is never anything to answer."""
        head = self._head
        head.feed(data)
        if not head.begins_like(b"HTTP/1."):
            return self._failed("the server does not speak HTTP, with which a WebSocket begins")
        if head.is_too_long:
            return self._failed(f"the header section of the server's answer is over {LONGEST_HEAD} octets")
        if head.text is None:
            return b""
        try:
            self._handshake.receive_data(head.text)
            event = next(iter(self._handshake.events()), None)
        except RemoteProtocolError as error:
            return self._failed(f"the server does not speak WebSocket: {error}")
        except (UnicodeError, ValueError, KeyError, IndexError):
            return self._failed("the server's answer is malformed")
        if isinstance(event, RejectConnection):
            return self._failed(f"the server answered {event.status_code} instead of opening a WebSocket")
        if isinstance(event, AcceptConnection):
            if event.subprotocol != SUBPROTOCOL:
                # RFC 7118 section 4.1.
                return self._failed("the server did not agree to the subprotocol sip")
            self.is_done = True
            self.frames = Frames(ConnectionType.CLIENT, *self._bounds, self._handshake.connection)
        return b""

    @property
    def rest(self) -> bytes:
        """What came after the answer in the same delivery."""
        return self._head.rest

    def _failed(self, words: str) -> bytes:
        self.is_done = True
        self.refused = words
        return b""


@final
class PingSeen:
    """The peer asks whether we are there."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


@final
class PongSeen:
    """The peer is there."""

    __slots__ = ()


@final
class Closed:
    """There will be no more messages.

    :ivar code: the status code of RFC 6455 section 7.4, received or to be sent.
    :ivar reason: in words.
    :ivar by_peer: whether the peer said goodbye; if not, it broke a rule.
    """

    __slots__ = ("by_peer", "code", "reason")

    def __init__(self, code: int, reason: str, by_peer: bool) -> None:
        self.code = code
        self.reason = reason
        self.by_peer = by_peer


@final
class Frames:
    """Messages to and from one open WebSocket.

    :ivar is_partial: whether a message has begun and is not complete.
    :ivar exceeds: the name of the limit that the peer was over; the empty string for none.
    :ivar failed: True once the connection is lost or closed by the peer; what comes after is ignored.
    """

    __slots__ = (
        "_connection",
        "_fragments",
        "_longest",
        "_message",
        "_most_fragments",
        "exceeds",
        "failed",
        "is_partial",
    )

    def __init__(
        self, side: ConnectionType, longest: int, fragments: int, connection: Connection | None = None
    ) -> None:
        self._connection = Connection(side) if connection is None else connection
        self._longest = longest
        self._most_fragments = fragments
        self._message = bytearray()
        self._fragments = 0
        self.is_partial = False
        self.failed = False
        self.exceeds = ""

    @property
    def held(self) -> int:
        """Octets of a message that is not complete."""
        return len(self._message)

    def feed(self, data: bytes) -> list[bytes | PingSeen | PongSeen | Closed]:
        """Take what came and return what it completes, in order: messages as they are, and the rest as values.

        Of several pings only the last is returned (RFC 6455 section 5.5.3). More than a few frames with next to nothing
        in them are a flood and end it. Never raises; after a :class:`Closed` there is nothing more.
        """
        found: list[bytes | PingSeen | PongSeen | Closed] = []
        if self.failed:
            return found
        connection = self._connection
        ping: PingSeen | None = None
        connection.receive_data(data)
        # Each frame costs us as much as many octets do.
        left = _FEW_FRAMES + len(data) // _OCTETS_A_FRAME
        for event in connection.events():
            left -= 1
            if left < 0:
                self._fail(POLICY, "these are too many frames with too little in them", False, found)
                return found
            if isinstance(event, (TextMessage, BytesMessage)):
                self._part(event, found)
            elif isinstance(event, Ping):
                ping = PingSeen(bytes(event.payload))
            elif isinstance(event, Pong):
                if not found or type(found[-1]) is not PongSeen:
                    found.append(PongSeen())
            elif isinstance(event, CloseConnection):
                by_peer = connection.state in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED)
                self._fail(int(event.code), event.reason or "", by_peer, found)
            if found and type(found[-1]) is Closed:
                return found
        if ping is not None:
            found.append(ping)
        return found

    def _part(self, event: TextMessage | BytesMessage, found: list[bytes | PingSeen | PongSeen | Closed]) -> None:
        """A message, or some of one."""
        data = event.data.encode() if isinstance(event.data, str) else event.data
        message = self._message
        if len(message) + len(data) > self._longest:
            self._fail(TOO_BIG, f"a message is over the limit of {self._longest} octets", False, found)
        elif event.message_finished:
            found.append(bytes(message + data) if message else bytes(data))
            self._message = bytearray()
            self._fragments = 0
            self.is_partial = False
        else:
            message += data
            self.is_partial = True
            if event.frame_finished:
                self._fragments += 1
                if self._fragments >= self._most_fragments:
                    words = f"a message comes in more than {self._most_fragments} fragments"
                    self.exceeds = "websocket_fragments"
                    self._fail(POLICY, words, False, found)

    def _fail(self, code: int, reason: str, by_peer: bool, found: list[bytes | PingSeen | PongSeen | Closed]) -> None:
        self.failed = True
        self.is_partial = False
        self._message = bytearray()
        found.append(Closed(code, reason, by_peer))

    def message(self, data: bytes) -> bytes:
        """One SIP message as one WebSocket message: text where it is UTF-8, binary where it is not (RFC 7118 section
        4.2)."""
        try:
            event: TextMessage | BytesMessage = TextMessage(data.decode())
        except UnicodeDecodeError:
            event = BytesMessage(data)
        return self._send(event)

    def ping(self, payload: bytes = b"") -> bytes:
        """Ask whether the peer is there."""
        return self._send(Ping(payload))

    def pong(self, payload: bytes) -> bytes:
        """Tell the peer that we are here."""
        return self._send(Pong(payload))

    def close(self, code: int, reason: str = "") -> bytes:
        """Say goodbye; nothing may be said afterwards. The empty string the second time."""
        if self._connection.state not in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            return b""
        return bytes(self._connection.send(CloseConnection(code, reason or None)))

    def _send(self, event: TextMessage | BytesMessage | Ping | Pong) -> bytes:
        """The frame, or nothing once the goodbye was said."""
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        return bytes(self._connection.send(event))
