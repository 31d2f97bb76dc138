"""One listening endpoint of a connection manager (rows C1 to C8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.internet.defer import Deferred, maybeDeferred

from sip_p2p.transport.stream import host_and_port

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager

__all__ = ["Listener"]


@final
class Listener:
    """A port that peers can reach.

    :ivar description: the endpoint description that it was started with.
    :ivar transport: ``TLS``, ``TCP`` or ``UDP``.
    :ivar address: the host and port that are really bound; a port of 0 in the description is a real one here.
    """

    __slots__ = ("_manager", "_port", "_stopping", "address", "description", "transport")

    def __init__(
        self, manager: RealTimeConnectionManager, description: str, transport: str, port: IListeningPort
    ) -> None:
        self._manager = manager
        self._port = port
        self._stopping: Deferred[None] | None = None
        self.description = description
        self.transport = transport
        self.address = host_and_port(port.getHost())

    @property
    def port(self) -> int:
        """The port number."""
        return self.address[1]

    @property
    def is_listening(self) -> bool:
        """Whether it still accepts."""
        return self._stopping is None

    def stop(self) -> Deferred[None]:
        """Accept nothing any more; connections that are open live on. The second call waits for the same end (row
        C8)."""
        waiting: Deferred[None] = Deferred()
        if self._stopping is None:
            self._stopping = maybeDeferred(self._port.stopListening).addBoth(lambda _: None)
            self._manager.listener_stopped(self)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._stopping.addCallback(done)
        return waiting

    def __repr__(self) -> str:
        state = "" if self.is_listening else " (stopped)"
        return f"<Listener {self.transport} {self.address[0]}:{self.address[1]}{state}>"
