"""Somewhere to listen: what an endpoint description becomes (rows C1 to C3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import implementer

from sip_p2p.transport.udp_port import listen_udp

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort

__all__ = ["DatagramEndpoint", "ListeningEndpoint", "StreamEndpoint"]


@implementer(IStreamServerEndpoint)
class ListeningEndpoint:
    """Somewhere to listen; a Twisted stream server endpoint, but for UDP.

    :ivar description: the description that it was made from.
    :ivar transport: as a Via writes it: ``TLS``, ``TCP`` or ``UDP``.
    """

    def __init__(self, reactor: Any, description: str, transport: str) -> None:
        self._reactor = reactor
        self.description = description
        self.transport = transport

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen.

        :param factory: a protocol factory; for UDP the :class:`~twisted.internet.protocol.DatagramProtocol` itself.
        :returns: the port, whose ``getHost()`` has the number that was taken for port 0. Fails with
            ``CannotListenError``.
        """
        raise TypeError("a listening endpoint is made by listening_endpoint()")

    def __repr__(self) -> str:
        return f"<ListeningEndpoint {self.description}>"


@final
class DatagramEndpoint(ListeningEndpoint):
    """A UDP port."""

    def __init__(self, reactor: Any, description: str, port: int, interface: str) -> None:
        super().__init__(reactor, description, "UDP")
        self._port = port
        self._interface = interface

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        return execute(listen_udp, self._reactor, self._port, factory, self._interface)


@final
class StreamEndpoint(ListeningEndpoint):
    """What Twisted makes of a description."""

    def __init__(self, reactor: Any, description: str, endpoint: IStreamServerEndpoint) -> None:
        super().__init__(reactor, description, "TCP")
        self._endpoint = endpoint

    def listen(self, factory: Any) -> Deferred[IListeningPort]:
        """Begin to listen."""
        return self._endpoint.listen(factory)
