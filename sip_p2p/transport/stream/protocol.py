"""SIP on a connection: TCP, and TLS once the peer is verified (RFC 3261 section 18).

:class:`StreamProtocol` is an ordinary Twisted protocol. Over TLS it is the protocol that the TLS factories of
:mod:`sip_p2p.transport.tls.settings` wrap, and it has no flow until they report the peer as verified; over TCP it has
one at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.framing import PONG, KeepAlive, StreamFramer
from sip_p2p.transport.stream.flow import FlowOwner, Responses, StreamFlow
from sip_p2p.transport.stream.half_open import watch_for_the_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IAddress, IConsumer, ITCPTransport
    from twisted.python.failure import Failure

    from sip_p2p.transport.stream.authorization import Question
    from sip_p2p.transport.trust.judgement import VerifiedPeer

__all__ = ["StreamFactory", "StreamProtocol", "host_and_port", "plain_host"]

F = TypeVar("F", bound="StreamFlow")


def host_and_port(address: IAddress) -> tuple[str, int]:
    """The host and port of a socket address; a Unix socket, whose name is no host, is ``unix`` with port 0."""
    host = getattr(address, "host", None)
    if host is None:
        return "unix", 0
    return plain_host(str(host)), int(getattr(address, "port", 0))


def plain_host(host: str) -> str:
    """An address without its zone; an IPv4 one that came mapped into IPv6 is IPv4."""
    if ":" not in host:
        return host
    text = host.partition("%")[0]
    return text[7:] if text.startswith("::ffff:") and "." in text else text


@implementer(IHandshakeListener)
class StreamProtocol(Protocol):
    """One connection's octets to messages, and its life to the owner of the flows.

    :ivar flow: None until the connection may carry messages.
    :ivar address: where the connection comes from; the empty string where a proxy before us knows it and has not told.
    """

    def __init__(self, owner: FlowOwner, factory: StreamFactory) -> None:
        self._owner = owner
        self._settings = factory
        self._framer = StreamFramer(owner.limits.message)
        self.flow: StreamFlow | None = None
        self.address = ""
        self._question: Question | None = None
        self._denial: ConnectionFailure | None = None

    def connectionMade(self) -> None:
        """The TCP connection stands; over TLS the handshake comes first."""
        tcp = cast("ITCPTransport", self.transport)
        if hasattr(tcp, "setTcpNoDelay"):
            tcp.setTcpNoDelay(True)
            tcp.setTcpKeepAlive(True)
            watch_for_the_end(tcp, self._owner.limits.unacknowledged_timeout)
        if not self._settings.is_proxied or getattr(tcp, "is_passed_on", False):
            self.address = host_and_port(tcp.getPeer())[0]
        if not self._owner.connection_made(self):
            tcp.abortConnection()
        elif not self._settings.is_secure:
            self._ready(None)

    @property
    def is_incoming(self) -> bool:
        """Whether the peer made the connection."""
        return self._settings.is_incoming

    def abort(self) -> None:
        """Drop the connection at once."""
        cast("ITCPTransport", self.transport).abortConnection()

    def handshakeCompleted(self) -> None:
        """TLS has proved who the peer is, and that it may talk to us."""
        verified = getattr(self.transport, "verified", None)
        if verified is None:
            self.abort()
        else:
            self._ready(verified)

    def _ready(self, verified: VerifiedPeer | None) -> None:
        """Octets may go both ways: here they are SIP."""
        self._open(self._make_flow(StreamFlow, verified))

    def _make_flow(self, kind: type[F], verified: VerifiedPeer | None) -> F:
        transport = cast("ITCPTransport", self.transport)
        local = host_and_port(transport.getHost())
        remote = host_and_port(transport.getPeer())
        return kind(
            self._owner,
            transport,
            self._settings.transport,
            self._owner.sent_by(self._settings.transport, local),
            local,
            remote,
            is_incoming=self._settings.is_incoming,
            verified=verified,
        )

    def _open(self, flow: StreamFlow) -> None:
        """The connection is to carry messages, if there is room for it and the application agrees."""
        if flow.is_incoming and self._owner.refusal(flow):
            self.abort()
            return
        authorization = self._owner.authorization
        if authorization is None:
            self._begin(flow)
        else:
            self._question = authorization.ask(self, flow)
            self._question.put()

    def _begin(self, flow: StreamFlow) -> None:
        """The connection carries messages from now on."""
        self.flow = flow
        flow.framer = self._framer
        flow.first_address = self.address
        cast("IConsumer", self.transport).registerProducer(Responses(flow), True)
        self._owner.flow_opened(flow)
        self._settings.flow_ready(flow)

    def pause(self) -> None:
        """Read nothing more while the application thinks about the connection."""
        cast("IPushProducer", self.transport).pauseProducing()

    def resume(self) -> None:
        """Read again: the answer is there."""
        cast("IPushProducer", self.transport).resumeProducing()

    def authorized(self, flow: StreamFlow, held: list[bytes]) -> None:
        """The application wants the connection."""
        self._question = None
        # Others may have come while it thought.
        if flow.is_incoming and self._owner.refusal(flow):
            self.abort()
            return
        self._begin(flow)
        for data in held:
            self.dataReceived(data)

    def denied(self, error: ConnectionFailure) -> None:
        """The application does not want the connection: it ends, and nothing was said on it."""
        self._denial = error
        if self._settings.is_incoming:
            self._owner.connection_denied(error)
        self._leave(error)
        self._settings.connection_ended(error, None)

    def _leave(self, error: ConnectionFailure) -> None:
        """Close politely a connection that carried nothing."""
        cast("ITCPTransport", self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Cut what came into messages and hand them on together, so that their answers leave together."""
        flow = self.flow
        if flow is None or not flow.is_open:
            if self._question is not None and self._question.is_open:
                self._question.hold(data)
            return
        owner = self._owner
        driver = owner.driver
        framer = self._framer
        if driver.is_tapped and framer.raw is None:
            framer.raw = []
        found = framer.feed(data)
        if framer.raw:
            for octets in framer.raw:
                driver.show("in", flow, octets)
            framer.raw = [] if driver.is_tapped else None
        if found:
            for item in found:
                if type(item) is not KeepAlive:
                    flow.messages += 1
                elif item is PONG:
                    owner.flow_answers(flow)
            if found[0] is not PONG or len(found) > 1:
                owner.flow_active(flow, False)
        if framer.is_partial:
            # Of another message than the one that was incomplete before, if any was found.
            owner.flow_active(flow, True)
            flow.held = framer.buffered
            owner.partial.holds(flow, flow.held)
        elif flow.held:
            flow.held = 0
            owner.partial.holds(flow, 0)
        if found:
            driver.received(flow, found)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; what it carried fails with the reason, in our own terms."""
        flow = self.flow
        self._owner.connection_ended(self)
        if self._question is not None:
            self._question.end()
            self._question = None
        error = self._denial or _in_our_terms(reason.value, flow)
        self._settings.connection_ended(error, flow)
        if flow is not None:
            self.flow = None
            flow.is_lost = True
            flow.is_ended_in_order = isinstance(reason.value, ConnectionDone) and not flow.is_ended_by_us
            flow.abort()
            self._owner.flow_lost(flow, error)


def _in_our_terms(error: BaseException | None, flow: StreamFlow | None) -> ConnectionFailure:
    """A socket's or Twisted's error as a :class:`~sip_p2p.errors.ConnectionFailure`."""
    if isinstance(error, ConnectionFailure):
        return error
    where = "" if flow is None else f" to {flow.remote_host}:{flow.remote_port}"
    if isinstance(error, (ConnectionDone, ConnectionLost)):
        words = f"the connection{where} was closed"
        if flow is not None and flow.is_secure and not flow.is_incoming and not flow.messages:
            # In TLS 1.3 the peer judges our certificate when for us the handshake is over; some say nothing about it.
            words += " before the peer had said anything: it may have refused our certificate"
        failure = ConnectionFailure(words)
    else:
        failure = ConnectionFailure(f"the connection{where} was lost: {error}")
    failure.__cause__ = error
    return failure


class StreamFactory(Factory):
    """Makes the protocols of one listener or of one outgoing connection.

    :ivar transport: ``TCP``, ``TLS``, ``WS`` or ``WSS``.
    :ivar is_proxied: whether all connections come from one proxy: their address tells nothing of whose they are, unless
        the proxy has told where they began.
    :ivar stopped: called when the port is closed.
    :ivar websocket: what makes the protocols where it is one of the latter two; None for the others.
    """

    noisy = False

    def __init__(self, owner: FlowOwner, transport: str, *, is_incoming: bool) -> None:
        self._owner = owner
        self.transport = transport
        self.is_incoming = is_incoming
        self.is_secure = transport in ("TLS", "WSS")
        self.is_proxied = False
        self.websocket: Callable[[FlowOwner, StreamFactory], StreamProtocol] | None = None
        self.stopped: Callable[[], None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> StreamProtocol:
        """A protocol for one connection; None for one that is accepted and for which there is no room."""
        if self.is_incoming and not self._owner.has_room():
            # What has no protocol is closed at once. To abort it would hold its descriptor to the end of the turn, in
            # which the system may hand over many more.
            return cast("StreamProtocol", None)
        websocket = self.websocket
        return StreamProtocol(self._owner, self) if websocket is None else websocket(self._owner, self)

    def stopFactory(self) -> None:
        """The port is closed, by us or by others."""
        if self.stopped is not None:
            self.stopped()

    def flow_ready(self, flow: StreamFlow) -> None:
        """A connection of this factory may carry messages; the owner knows already."""

    def connection_ended(self, error: ConnectionFailure, flow: StreamFlow | None) -> None:
        """A connection of this factory is over; without a flow it never carried a message."""
