"""HTTP/1.1 on twisted.web, with bounds on what a client can make us hold or wait for.

twisted.web reads the requests (RFC 9112). What is added: the whole request must come within :data:`REQUEST_TIMEOUT`
however it trickles, content is bounded while it comes, and there are only so many connections. HTTP/2 and web sockets
are left out: nothing here needs them.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.web.http import HTTPChannel, Request

from sip_p2p.observe.text import printable
from sip_p2p.service.http.problems import KINDS, Problem

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from sip_p2p.service.http.access import Access

__all__ = [
    "CLOSE_TIMEOUT",
    "MOST_CONNECTIONS",
    "MOST_CONTENT",
    "MOST_HEADER_FIELDS",
    "MOST_HEADER_OCTETS",
    "REQUEST_TIMEOUT",
    "ControlChannel",
    "ControlFactory",
    "ControlRequest",
    "Service",
]

MOST_CONTENT = 256 * 1024
"""Octets of content in one request; more is answered 413, and the connection closed."""

MOST_HEADER_OCTETS = 16 * 1024
"""Octets of a request before its content; more is answered 400, and the connection closed."""

MOST_HEADER_FIELDS = 64
"""Header fields of one request; likewise."""

MOST_CONNECTIONS = 128
"""Connections at a time, and with them requests that are answered at a time. For one more, the oldest gives way on
which nothing is being answered, so that nobody shuts others out by holding connections; where all are answered, the new
one is closed at once."""

REQUEST_TIMEOUT = 30.0
"""Seconds in which a request must have come from its first octet to its last, for which a connection may be idle
between two of them, and in which an answer must have been taken; then the connection is closed."""

CLOSE_TIMEOUT = 2.0
"""Seconds that connections have at the end of the service to take what was written to them; then they are dropped."""

_log = Logger()


class Service(Protocol):
    """Who answers."""

    def handle(self, request: ControlRequest) -> None:
        """Answer *request*, whose content is complete."""


class ControlRequest(Request):
    """One request; it goes to the factory's service."""

    channel: ControlChannel
    content: io.BytesIO

    def gotLength(self, length: int | None) -> None:
        """The header has ended: the content is kept in memory, as it is bounded."""
        self.content = io.BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """More of the content has come; a length that was not told is bounded here."""
        if self.content.tell() + len(data) > MOST_CONTENT:
            self.channel.refuse(Problem("too-large", f"The content has more than {MOST_CONTENT} octets."))
            return
        self.content.write(data)

    def process(self) -> None:
        """All of it is there."""
        if not self.channel.is_refused:
            self.channel.is_answering = True
            self.channel.factory.service.handle(self)


class ControlChannel(HTTPChannel):
    """One connection.

    :ivar is_refused: whether it was told to go away, and nothing more of it is read.
    :ivar is_answering: whether a request has come in full, and its answer has not left.
    """

    totalHeadersSize = MOST_HEADER_OCTETS
    maxHeaders = MOST_HEADER_FIELDS
    requestFactory = ControlRequest
    timeOut: Any = REQUEST_TIMEOUT
    factory: ControlFactory

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_refused = False
        self.is_answering = False
        self._has_begun = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        self.factory.gone(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """More has come."""
        if not self.is_refused:
            super().dataReceived(data)  # type: ignore[no-untyped-call]

    def resetTimeout(self) -> None:
        """The time for a request begins with its first octet, and no further octet prolongs it."""
        if not self._has_begun:
            self._has_begun = True
            super().resetTimeout()  # type: ignore[no-untyped-call]

    def requestDone(self, request: Request) -> None:
        """A request is answered; the next one has its own time."""
        self._has_begun = self.is_answering = False
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:
        """A line of the header has no end."""
        self.refuse(Problem("bad-request", "A line of the header is too long."))

    def allHeadersReceived(self) -> None:
        """The header has ended; what announces too much is refused before it is sent."""
        if self.length is not None and self.length > MOST_CONTENT:
            self.refuse(Problem("too-large", f"The content has more than {MOST_CONTENT} octets."))
            return
        super().allHeadersReceived()  # type: ignore[no-untyped-call]

    def refuse(self, problem: Problem) -> None:
        """Answer a request that has not come in full with *problem*, and close."""
        if self.is_refused:
            return
        self.is_refused = True
        content = json.dumps(problem.as_json()).encode("ascii")
        head = (
            f"HTTP/1.1 {problem.status} {KINDS[problem.kind].title}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        )
        connection: Any = self
        connection.write(head.encode("ascii") + content)
        connection.loseConnection()

    def end(self) -> None:
        """Close it once what was written has left."""
        connection: Any = self
        connection.loseConnection()

    def abort(self) -> None:
        """Drop it at once, with whatever waits to be written."""
        connection: Any = self.transport
        connection.abortConnection()


class ControlFactory(Factory):
    """The connections of one listener.

    :ivar connections: those that are open.
    :ivar service: who answers.
    :ivar access: who may ask.
    :ivar turned_away: how many connections there was no room for, those that gave way to others among them.
    """

    noisy = False

    def __init__(self, reactor: IReactorTime, service: Service, access: Access) -> None:
        self._reactor = reactor
        self.service = service
        self.access = access
        # A dict, as it keeps their order.
        self.connections: dict[ControlChannel, None] = {}
        self.turned_away = 0
        self._closed: Deferred[None] | None = None

    def logPrefix(self) -> str:
        """What the reactor's log calls it."""
        return "HTTP API"

    def buildProtocol(self, addr: Any) -> ControlChannel | None:  # type: ignore[override]
        """A connection has come; None where there are too many."""
        if len(self.connections) >= MOST_CONNECTIONS:
            self.turned_away += 1
            if not self._make_room():
                return None
        channel = ControlChannel()
        channel.factory = self
        # twisted.web counts its time by the reactor of the process otherwise.
        setattr(channel, "callLater", self._reactor.callLater)  # noqa: B010
        self.connections[channel] = None
        return channel

    def _make_room(self) -> bool:
        """Drop the oldest connection on which nothing is answered; whether there was one."""
        for channel in self.connections:
            if not channel.is_answering and channel.transport is not None:
                # It is told later that it is gone.
                self.gone(channel)
                channel.abort()
                return True
        return False

    def log(self, request: Request) -> None:
        """A request was answered: a line for what may have changed something. The query is left out, it may name
        people."""
        if request.method not in (b"GET", b"HEAD"):
            path = request.uri.partition(b"?")[0].decode("ascii", "replace")
            method = request.method.decode("ascii", "replace")
            _log.info(
                "{method} {path}: {status}", method=printable(method, 32), path=printable(path), status=request.code
            )

    def gone(self, channel: ControlChannel) -> None:
        """A connection has ended."""
        self.connections.pop(channel, None)
        if self._closed is not None and not self.connections:
            closed, self._closed = self._closed, None
            closed.callback(None)

    def close(self) -> Deferred[None]:
        """Close every connection; those that do not take what was written within :data:`CLOSE_TIMEOUT` are dropped.

        :returns: fires when all are gone.
        """
        if not self.connections:
            return succeed(None)
        closed = self._closed = Deferred()
        for channel in tuple(self.connections):
            channel.end()
        late = self._reactor.callLater(CLOSE_TIMEOUT, self._abort)

        def over(result: None) -> None:
            if late.active():
                late.cancel()
            return result

        return closed.addCallback(over)

    def _abort(self) -> None:
        for channel in tuple(self.connections):
            channel.abort()
