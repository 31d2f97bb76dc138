"""What an application is asked about a connection before it carries a message (rows D23, D24)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, final

from sip_p2p.endpoint.peer import Peer
from sip_p2p.transport.stream.authorization import Authorization

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.throttle import LogBounds

__all__ = ["Authorize", "ConnectionRequest", "asking"]

Authorize: TypeAlias = "Callable[[ConnectionRequest], object]"
"""Whether a connection is wanted: a ``bool``, or a ``Deferred`` or coroutine of one; only ``True`` is a yes."""


@final
class ConnectionRequest:
    """A connection that stands, TLS and WebSocket handshakes included, and carries nothing yet.

    It is what the ``authorize`` of a connection manager gets.

    :ivar peer: who is at the other end: what TLS has proved, and the address.
    :ivar is_incoming: whether the peer made the connection.
    :ivar transport: ``TLS``, ``TCP``, ``WSS`` or ``WS``.
    :ivar address: the peer's host and port; behind ``haproxy:`` those that the proxy tells.
    :ivar local_address: our own host and port on it.
    :ivar origin: of the web page that a browser speaks for, as it tells it; the empty string for all others.
    """

    __slots__ = ("address", "is_incoming", "local_address", "origin", "peer", "transport")

    def __init__(self, flow: StreamFlow) -> None:
        self.peer = Peer(flow)
        self.is_incoming = flow.is_incoming
        self.transport = flow.transport
        self.address = (flow.remote_host, flow.remote_port)
        self.local_address = (flow.local_host, flow.local_port)
        self.origin: str = getattr(flow, "origin", "")

    def __repr__(self) -> str:
        direction = "from" if self.is_incoming else "to"
        return f"<ConnectionRequest {self.transport} {direction} {self.peer!r}>"


def asking(
    reactor: IReactorTime, authorize: Authorize | None, log_bounds: LogBounds | None = None
) -> Authorization | None:
    """What asks *authorize*, where there is one.

    :param log_bounds: how much may be logged of what peers cause.
    :raises TypeError: when it cannot be called.
    """
    if authorize is None:
        return None
    if not callable(authorize):
        raise TypeError(f"authorize must be callable, not {type(authorize).__name__}")
    return Authorization(reactor, lambda flow: authorize(ConnectionRequest(flow)), log_bounds)
