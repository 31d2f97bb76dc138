"""What an application is asked about a connection before it carries a message (rows D23, D24)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.peer import Peer

if TYPE_CHECKING:
    from sip_p2p.transport.stream import StreamFlow

__all__ = ["ConnectionRequest"]


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
