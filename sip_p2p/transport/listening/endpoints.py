"""Somewhere to listen: what an endpoint description becomes (rows C1 to C3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, final

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import implementer

from sip_p2p.transport.udp.port import listen_udp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IListeningPort

    from sip_p2p.transport.stream.websocket_frames import WebSocketRules

__all__ = ["DatagramEndpoint", "Layer", "ListeningEndpoint", "Patience", "Source", "StreamEndpoint", "TcpSource"]

Layer: TypeAlias = "Callable[[Any], Any]"
"""Wraps a protocol factory."""

Patience: TypeAlias = "float | Callable[[], float]"
"""Seconds; or what tells them for one more connection."""


class Source(Protocol):
    """Where connections come from."""

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to accept them, for *factory*."""


@implementer(IStreamServerEndpoint)
class ListeningEndpoint:
    """Somewhere to listen; a Twisted stream server endpoint, but for UDP.

    :ivar description: the description that it was made from.
    :ivar transport: as a Via writes it: ``TLS``, ``TCP``, ``UDP``, ``WSS`` or ``WS``.
    :ivar websocket: what is asked of the opening handshake where it is one of the latter two.
    """

    def __init__(self, reactor: Any, description: str, transport: str) -> None:
        self._reactor = reactor
        self.description = description
        self.transport = transport
        self.websocket: WebSocketRules | None = None

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen.

        :param factory: a protocol factory; for UDP the :class:`~twisted.internet.protocol.DatagramProtocol` itself.
        :returns: the port, whose ``getHost()`` has the number that was taken for port 0. Fails with
            ``CannotListenError``.
        """
        raise TypeError("a listening endpoint is made by listening_endpoint()")

    def stay_at(self, port: int) -> None:
        """Take *port* from now on where any would have done: peers know it."""

    def __repr__(self) -> str:
        return f"<ListeningEndpoint {self.description}>"


@final
class DatagramEndpoint(ListeningEndpoint):
    """A UDP port."""

    def __init__(self, reactor: Any, description: str, port: int, interface: str) -> None:
        super().__init__(reactor, description, "UDP")
        self._port = port
        self._interface = interface

    def stay_at(self, port: int) -> None:
        """Take *port* from now on."""
        self._port = port

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        return execute(listen_udp, self._reactor, self._port, factory, self._interface)


@final
class TcpSource:
    """A TCP port of our own."""

    __slots__ = ("_backlog", "_interface", "_reactor", "port")

    def __init__(self, reactor: Any, port: int, interface: str, backlog: int) -> None:
        self._reactor = reactor
        self._interface = interface
        self._backlog = backlog
        self.port = port

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Bind it."""
        return execute(self._reactor.listenTCP, self.port, factory, backlog=self._backlog, interface=self._interface)


@final
class StreamEndpoint(ListeningEndpoint):
    """A source of connections, and what stands between them and SIP."""

    def __init__(
        self,
        reactor: Any,
        description: str,
        transport: str,
        source: Source,
        layers: Sequence[Layer] = (),
        websocket: WebSocketRules | None = None,
    ) -> None:
        """
        :param source: where the connections come from.
        :param layers: what wraps the factory, that of SIP first: TLS, and around it the reading of PROXY headers.
        """
        super().__init__(reactor, description, transport)
        self._source = source
        self._layers = layers
        self.websocket = websocket

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        for layer in self._layers:
            factory = layer(factory)
        return self._source.listen(factory)

    def stay_at(self, port: int) -> None:
        """Take *port* from now on where any would have done: peers know it."""
        if isinstance(self._source, TcpSource):
            self._source.port = port
