"""What the tests of event packages share: a package, and a subscriber who says what no party would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.subscription.package import EventPackage
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.message import Request, Response
from tests.endpoint.support import StrangerTestCase

if TYPE_CHECKING:
    from sip_p2p import IncomingRequest
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from tests.endpoint.support import Raw

__all__ = ["Board", "OpenBoard", "SubscriberTestCase"]


class Board(EventPackage):
    """A board with one line on it.

    :ivar line: the line.
    :ivar log: what the package was told.
    """

    name = "x-board"
    content_types = ("text/plain", "application/x-board")
    minimum_expires = 10

    def __init__(self, line: str = "empty") -> None:
        self.line = line
        self.log: list[str] = []

    def state(self, subscription: ServerSubscription) -> Any:
        """The line, as the subscriber wants it."""
        return subscription.content_types[0], self.line.encode()

    def subscribed(self, subscription: ServerSubscription, request: IncomingRequest) -> None:
        """Note it."""
        self.log.append(f"subscribed {subscription.subscriber}")

    def refreshed(self, subscription: ServerSubscription, request: Request) -> None:
        """Note it."""
        self.log.append("refreshed")

    def ended(self, subscription: ServerSubscription, reason: str) -> None:
        """Note it."""
        self.log.append(f"ended {reason}".strip())

    def write(self, line: str) -> None:
        """Another line."""
        self.line = line
        self.changed()


class OpenBoard(Board):
    """A board that everybody may read."""

    def authorise(self, request: IncomingRequest) -> Any:
        """Anybody."""
        return True


class SubscriberTestCase(StrangerTestCase):
    """Bob has a board, and a stranger on TCP subscribes to it by hand."""

    limits: Any = None

    def setUp(self) -> None:
        """Bob's board, and the stranger's connection."""
        super().setUp()
        if self.limits:
            self.manager.limits = self.manager.limits.replace(**self.limits)
        self.board = OpenBoard()
        self.bob.packages.add(self.board)
        self.line = self.dial()
        self._framer = StreamFramer()
        self.messages: list[Request | Response] = []

    def subscribe(
        self,
        event: str = "x-board",
        expires: int | None = 600,
        *,
        cseq: int = 1,
        call: str = "c1",
        to_tag: str = "",
        fields: str = "",
        method: str = "SUBSCRIBE",
        line: Raw | None = None,
    ) -> None:
        """Say a SUBSCRIBE, and let what follows happen."""
        self.network.advance(0.05)
        where = f"sip:x@{self.stranger.addresses[0]};transport=tcp"
        said = (
            f"{method} sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/TCP peer.example;rport;branch=z9hG4bK{call}{cseq}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:x@peer.example>;tag=1\r\nTo: <sip:bob@b.example>"
            f"{to_tag and f';tag={to_tag}'}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\nContact: <{where}>\r\n"
        )
        said += f"Event: {event}\r\n" if event else ""
        said += f"Expires: {expires}\r\n" if expires is not None else ""
        (self.line if line is None else line).send(f"{said}{fields}Content-Length: 0\r\n\r\n".encode())
        self.network.advance(0.2)

    def hear(self) -> list[Request | Response]:
        """What came since the last call."""
        self.network.advance(0.2)
        data, self.line.received = self.line.received, b""
        heard: list[Any] = list(self._framer.feed(data))
        self.messages += heard
        return heard

    def statuses(self) -> list[int]:
        """The statuses of the responses that came."""
        return [message.status for message in self.hear() if isinstance(message, Response)]

    def answer(self, status: int = 200, extra: str = "") -> list[Request]:
        """Answer every NOTIFY that has come, and what comes because of that; return them."""
        answered: list[Request] = []
        while notifies := [message for message in self.hear() if isinstance(message, Request)]:
            for notify in notifies:
                answered.append(notify)
                copied = "".join(
                    f"{name}: {notify.headers.get(name)}\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq")
                )
                said = f"SIP/2.0 {status} Said\r\n{copied}{extra}Content-Length: 0\r\n\r\n"
                self.line.send(said.encode())
        return answered
