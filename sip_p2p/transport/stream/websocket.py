"""SIP over WebSocket (RFC 7118): a browser's way to us, and ours to whoever offers nothing else.

A :class:`WebSocketProtocol` is a :class:`~sip_p2p.transport.stream.protocol.StreamProtocol` that opens a WebSocket
before it is a flow, and puts each SIP message into one of the WebSocket's own. What the peer may do wrong in either is
judged in
:mod:`sip_p2p.transport.stream.websocket_frames`; here are the deadlines, and how the connection ends: with a goodbye
and its code, and the end of TCP when the peer has answered it.

Keep-alives are the WebSocket's own pings, which every peer answers (RFC 6455 section 5.5.2, RFC 7118 section 6); two
CRLF in a message are answered as on any stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from twisted.internet.protocol import connectionDone

from sip_p2p.errors import ConnectionFailure, MalformedMessage
from sip_p2p.sip.framing import PING, PONG
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_datagram
from sip_p2p.transport.stream.browsers import MADE_UP
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.protocol import StreamProtocol, host_and_port
from sip_p2p.transport.stream.websocket_frames import (
    NORMAL,
    POLICY,
    ClientHandshake,
    Closed,
    Frames,
    PingSeen,
    PongSeen,
    ServerHandshake,
    WebSocketRules,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, ITCPTransport
    from twisted.python.failure import Failure

    from sip_p2p.transport.stream.flow import FlowOwner
    from sip_p2p.transport.stream.protocol import StreamFactory
    from sip_p2p.transport.target import Target
    from sip_p2p.transport.trust.judgement import VerifiedPeer

__all__ = ["WebSocketFlow", "WebSocketOptions", "WebSocketProtocol", "WebSocketRules", "accepting", "dialling"]


@final
class WebSocketOptions:
    """How a connection manager asks servers for a WebSocket.

    :ivar path: the resource, such as ``/sip``.
    :ivar origin: what to call ourselves, as a browser would; the empty string for nothing.
    """

    __slots__ = ("origin", "path")

    def __init__(self, path: str = "/", origin: str = "") -> None:
        """
        :raises ValueError: for a path without a slash at its beginning, or an origin that is none.
        """
        if not path.startswith("/"):
            raise ValueError(f"path={path} is no path: it begins with a slash")
        WebSocketRules(path, [origin] if origin else None)
        self.path = path
        self.origin = origin


@final
class WebSocketFlow(StreamFlow):
    """A flow over one WebSocket.

    :ivar goodbye: the status code with which it is closed (RFC 6455 section 7.4).
    :ivar name: what a browser at the other end calls itself; see :mod:`.stream.browsers`.
    :ivar origin: of the web page at the other end, as the browser tells it; the empty string for all others.
    """

    __slots__ = ("_frames", "goodbye", "name", "origin")

    if TYPE_CHECKING:
        _frames: Frames
        goodbye: int
        name: str
        origin: str

    def speak(self, frames: Frames, origin: str) -> None:
        """The handshake is over."""
        self._frames = frames
        self.origin = origin
        self.goodbye = NORMAL
        self.name = ""

    def cork(self, data: bytes) -> bool:
        """Hold *data*, as one message of the WebSocket, for the flush at the end of the turn; True when it is the
        first."""
        return super().cork(self._frames.message(data))

    def ping(self, binding: bytes) -> None:
        """Ask whether the peer is there."""
        self.cork_frame(self._frames.ping())
        self.flush()

    def cork_frame(self, frame: bytes) -> None:
        """Hold a control frame for the flush."""
        super().cork(frame)

    def _say_goodbye(self) -> None:
        """Close the WebSocket; the connection ends when the peer has answered, or its time is over."""
        self._write(self._frames.close(self.goodbye))


@final
class WebSocketProtocol(StreamProtocol):
    """One connection: its opening handshake, then messages, then the goodbye."""

    def __init__(self, owner: FlowOwner, factory: StreamFactory, handshake: ServerHandshake | ClientHandshake) -> None:
        super().__init__(owner, factory)
        self._handshake: ServerHandshake | ClientHandshake | None = handshake
        self._frames: Frames | None = None
        self._verified: VerifiedPeer | None = None
        self._alarm: IDelayedCall | None = None
        self._is_leaving = False

    def _ready(self, verified: VerifiedPeer | None) -> None:
        """Octets may go both ways: the opening handshake begins, and does not take for ever."""
        self._verified = verified
        self._alarm = self._owner.reactor.callLater(self._owner.limits.handshake_timeout, self._too_slow)
        if isinstance(self._handshake, ClientHandshake):
            self._transport.write(self._handshake.request)

    @property
    def _transport(self) -> ITCPTransport:
        return cast("ITCPTransport", self.transport)

    def _too_slow(self) -> None:
        self._alarm = None
        if self._denial is None and not self._is_leaving:
            self._denial = ConnectionFailure(f"{self._where()}: the WebSocket was not opened in time")
        self.abort()

    def _where(self) -> str:
        host, port = host_and_port(self._transport.getPeer())
        return f"{host}:{port}"

    def dataReceived(self, data: bytes) -> None:
        """The opening handshake, and afterwards frames."""
        frames = self._frames
        if frames is None:
            self._upgrade(data)
        elif self.flow is not None:
            self._read(cast("WebSocketFlow", self.flow), frames, data)
        elif self._question is not None and self._question.is_open:
            self._question.hold(data)
        elif self._is_leaving:
            self._await_goodbye(frames, data)

    def _upgrade(self, data: bytes) -> None:
        handshake = self._handshake
        if handshake is None:
            return
        answer = handshake.feed(data)
        if answer:
            self._transport.write(answer)
        if not handshake.is_done:
            return
        self._handshake = None
        frames = handshake.frames
        if frames is None:
            # The alarm goes on: whoever does not read why, and go, is cut off.
            self._is_leaving = True
            self._denial = ConnectionFailure(f"{self._where()}: {handshake.refused}")
            if self._settings.is_incoming:
                self._owner.connection_denied(self._denial)
            self._transport.loseConnection()
            self._settings.connection_ended(self._denial, None)
            return
        self._stop_alarm()
        self._frames = frames
        flow = self._make_flow(WebSocketFlow, self._verified)
        flow.speak(frames, handshake.origin if isinstance(handshake, ServerHandshake) else "")
        self._open(flow)
        if handshake.rest:
            self.dataReceived(handshake.rest)

    def _read(self, flow: WebSocketFlow, frames: Frames, data: bytes) -> None:
        """Cut what came into messages and hand them on together, so that their answers leave together."""
        driver = self._owner.driver
        limits = flow.limits.message
        found: list[object] = []
        for item in frames.feed(data):
            if isinstance(item, bytes):
                octets = item.strip(b"\r\n")
                if octets:
                    message = parse_datagram(item, limits)
                    found.append(message)
                    flow.messages += 1
                    if flow.is_incoming and type(message) is Request:
                        self._learn(flow, message)
                    if driver.is_tapped:
                        driver.show("in", flow, item)
                elif item:
                    found.append(PING if len(item) >= 4 else PONG)
            elif isinstance(item, PongSeen):
                found.append(PONG)
                self._owner.flow_answers(flow)
            elif isinstance(item, PingSeen):
                flow.cork_frame(frames.pong(item.payload))
                flow.flush()
            else:
                self._heard(flow, found)
                self._closed(flow, item)
                return
        self._heard(flow, found)
        if frames.is_partial and flow.is_open:
            self._owner.flow_active(flow, True)
        held = frames.held
        if held != flow.held and not flow.is_lost:
            flow.held = held
            self._owner.partial.holds(flow, held)

    def _learn(self, flow: WebSocketFlow, request: Request) -> None:
        """Remember what a browser calls itself, so that requests for it find their way."""
        try:
            name = request.via.host.lower()
        except MalformedMessage:
            return
        if name != flow.name and name.endswith(MADE_UP):
            flow.name = name
            self._owner.browsers.learn(flow, name)

    def _heard(self, flow: StreamFlow, found: list[object]) -> None:
        if not found or not flow.is_open:
            return
        if len(found) > 1 or found[0] is not PONG:
            self._owner.flow_active(flow, False)
        self._owner.driver.received(flow, found)

    def _closed(self, flow: WebSocketFlow, closed: Closed) -> None:
        """The peer has said goodbye, or broken a rule: say so, and end the connection."""
        if not flow.is_open:
            # It is the answer to our own goodbye.
            self._transport.loseConnection()
            return
        why = f": {closed.reason}" if closed.reason else ""
        who = "the peer closed the WebSocket" if closed.by_peer else "the WebSocket was closed for what the peer sent"
        if self._frames is not None and self._frames.exceeds:
            self._owner.limit_hit(self._frames.exceeds)
        self._denial = ConnectionFailure(f"{who} ({closed.code}{why}) [{self._where()}]")
        # RFC 6455 section 7.1.5: 1005 is a goodbye without a code, and stands in no frame.
        flow.goodbye = NORMAL if closed.code == 1005 else closed.code
        flow.close()
        flow.is_ended_by_us = not closed.by_peer
        self._transport.loseConnection()

    def _leave(self, error: ConnectionFailure) -> None:
        """The application does not want the connection: say so politely (RFC 6455 section 7.4.1)."""
        self._is_leaving = True
        if self._frames is not None:
            self._transport.write(self._frames.close(POLICY, "not authorised"))
        self._transport.loseConnection()

    def _await_goodbye(self, frames: Frames, data: bytes) -> None:
        if any(isinstance(item, Closed) for item in frames.feed(data)):
            self._transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if self._frames is None and self._alarm is not None and not isinstance(reason.value, ConnectionFailure):
            words = "the connection ended before it was a WebSocket: is there a server for one?"
            self._denial = self._denial or ConnectionFailure(f"{self._where()}: {words}")
        self._stop_alarm()
        super().connectionLost(reason)

    def _stop_alarm(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()


def accepting(rules: WebSocketRules) -> Callable[[FlowOwner, StreamFactory], WebSocketProtocol]:
    """What makes the protocols of a listener."""

    def make(owner: FlowOwner, factory: StreamFactory) -> WebSocketProtocol:
        limits = owner.limits
        handshake = ServerHandshake(rules, limits.message.message, limits.websocket_fragments)
        return WebSocketProtocol(owner, factory, handshake)

    return make


def dialling(target: Target, options: WebSocketOptions) -> Callable[[FlowOwner, StreamFactory], WebSocketProtocol]:
    """What makes the protocol of a connection to *target*."""
    name = f"[{target.name}]" if ":" in target.name else target.name
    host = name if target.port == target.transport.default_port else f"{name}:{target.port}"

    def make(owner: FlowOwner, factory: StreamFactory) -> WebSocketProtocol:
        limits = owner.limits
        handshake = ClientHandshake(
            host, options.path, options.origin, limits.message.message, limits.websocket_fragments
        )
        return WebSocketProtocol(owner, factory, handshake)

    return make
