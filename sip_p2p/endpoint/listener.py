"""The listening endpoints of a connection manager (rows C1 to C8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from twisted.internet.defer import Deferred, DeferredList, fail, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from sip_p2p.endpoint.events import StateReason
from sip_p2p.errors import EndpointTerminated, ListenFailed, NotListening, TlsFailure
from sip_p2p.transport.admission import LOOPBACK
from sip_p2p.transport.datagram import DatagramPort
from sip_p2p.transport.descriptions import listening_endpoint
from sip_p2p.transport.stream import StreamFactory, host_and_port

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twisted.internet.interfaces import IListeningPort, IReactorTime

    from sip_p2p.transport.descriptions import ListeningEndpoint
    from sip_p2p.transport.keeper import FlowKeeper
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.tls import TlsSettings

__all__ = ["Listener", "Listeners"]


@final
class Listener:
    """A port that peers can reach.

    :ivar description: the endpoint description that it was started with.
    :ivar transport: ``TLS``, ``TCP`` or ``UDP``.
    :ivar address: the host and port that are really bound; a port of 0 in the description is a real one here.
    """

    __slots__ = ("_factory", "_owner", "_port", "_stopping", "address", "description", "transport")

    def __init__(
        self, owner: Listeners, description: str, transport: str, port: IListeningPort, factory: object
    ) -> None:
        self._owner = owner
        self._port = port
        self._factory = factory
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
            self._owner.stopped(self)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._stopping.addCallback(done)
        return waiting

    def __repr__(self) -> str:
        state = "" if self.is_listening else " (stopped)"
        return f"<Listener {self.transport} {self.address[0]}:{self.address[1]}{state}>"


class ListenerOwner(Protocol):
    """What the listeners need of the connection manager."""

    default_prefix: str
    limits: Limits

    def tls_settings(self) -> TlsSettings | None:
        """What TLS listeners are made with; None for a manager without TLS."""

    def listening_changed(self, reason: StateReason) -> None:
        """What listens has changed, or is about to."""


@final
class Listeners:
    """The listening endpoints of one connection manager: any number, each started and stopped by itself (rows C5, C7).

    :ivar starting: how many are being started.
    """

    def __init__(self, reactor: IReactorTime, owner: ListenerOwner, keeper: FlowKeeper) -> None:
        self._reactor = reactor
        self._owner = owner
        self._keeper = keeper
        self._listeners: list[Listener] = []
        self._closed = False
        self.starting = 0
        self._log = Logger("sip_p2p.endpoint.listener")

    def __iter__(self) -> Iterator[Listener]:
        return iter(tuple(self._listeners))

    def __len__(self) -> int:
        return len(self._listeners)

    def port_of(self, transport: str) -> int | None:
        """The port of the first listener on *transport*."""
        for listener in self._listeners:
            if listener.transport == transport:
                return listener.port
        return None

    def start(self, description: str | tuple[str, int]) -> Deferred[Listener]:
        """Listen as *description* says (rows C1 to C3).

        :param description: an endpoint description, such as ``tls:port=5061``, ``tcp:5060:interface=127.0.0.1``,
            ``udp:5060`` or anything else that Twisted can listen on; or a host and port, for the manager's own kind of
            transport.
        :returns: the listener, when its port is bound. Fails with :class:`~sip_p2p.errors.ListenFailed`.
        :raises ValueError: when the description is wrong, with what is wrong about it.
        """
        return self._begin(self._described(description))

    def _described(self, description: str | tuple[str, int]) -> ListeningEndpoint:
        """What *description* describes; a ValueError where it is wrong."""
        if isinstance(description, str):
            text = description
        else:
            host, port = description
            interface = f":interface={host.replace(':', chr(92) + ':')}" if host else ""
            text = f"{self._owner.default_prefix}:port={port}{interface}"
        return listening_endpoint(
            self._reactor, text, self._owner.tls_settings(), handshake_timeout=self._owner.limits.handshake_timeout
        )

    def _begin(self, endpoint: ListeningEndpoint) -> Deferred[Listener]:
        transport = endpoint.transport
        self.starting += 1
        self._owner.listening_changed(StateReason.LISTENING)
        factory = (
            DatagramPort(self._keeper)
            if transport == "UDP"
            else StreamFactory(self._keeper, transport, is_incoming=True)
        )
        if isinstance(factory, StreamFactory):
            factory.is_proxied = endpoint.description.lower().startswith("haproxy")
        listening = maybeDeferred(endpoint.listen, factory)
        return listening.addCallbacks(
            self._listening, self._not_listening, callbackArgs=(endpoint, factory), errbackArgs=(endpoint,)
        )

    def start_all(self, descriptions: Iterable[str | tuple[str, int]]) -> Deferred[list[Listener]]:
        """Listen on all of *descriptions* or on none: when one fails, those that succeeded are stopped (row C7).

        :raises ValueError: when one of them is wrong; nothing is started then.
        """
        # All of them are read before the first is started.
        endpoints = [self._described(description) for description in descriptions]
        started = [self._begin(endpoint) for endpoint in endpoints]

        def settle(results: list[tuple[bool, Any]]) -> Any:
            listeners = [result for succeeded, result in results if succeeded]
            failures = [result for succeeded, result in results if not succeeded]
            if not failures:
                return listeners
            stopped = DeferredList([listener.stop() for listener in listeners])
            return stopped.addCallback(lambda _: failures[0])

        return DeferredList(started, consumeErrors=True).addCallback(settle)

    def stop(self, listener: Listener | None = None) -> Deferred[None]:
        """Stop one listener, or all of them; open connections live on (row C8).

        Fails with :class:`~sip_p2p.errors.NotListening` when the listener is not one of ours.
        """
        if listener is None:
            return gatherResults([present.stop() for present in self]).addCallback(lambda _: None)
        if listener not in self._listeners and listener.is_listening:
            return fail(NotListening(f"{listener!r} does not belong to this connection manager"))
        return listener.stop()

    def close(self) -> Deferred[None]:
        """Stop all of them, also those that are being started."""
        self._closed = True
        return self.stop()

    def _listening(self, port: IListeningPort, endpoint: ListeningEndpoint, factory: object) -> Listener:
        self.starting -= 1
        listener = Listener(self, endpoint.description, endpoint.transport, port, factory)
        if self._closed:
            listener.stop()
            raise EndpointTerminated("the connection manager was terminated while it started to listen")
        self._listeners.append(listener)
        if isinstance(factory, DatagramPort):
            self._keeper.datagrams.listens_on(factory, listener.address[0])
        else:
            self._keeper.admission.listens_on(port)
        if listener.transport in ("TCP", "UDP", "WS") and not listener.address[0].startswith(LOOPBACK):
            self._log.warn("{listener} is clear text beyond loopback: nobody is verified on it", listener=listener)
        self._owner.listening_changed(StateReason.LISTENING)
        return listener

    def _not_listening(self, failure: Failure, endpoint: ListeningEndpoint) -> Failure:
        self.starting -= 1
        self._owner.listening_changed(StateReason.UNABLE_TO_LISTEN)
        if failure.check(ListenFailed, TlsFailure, EndpointTerminated):
            return failure
        error = failure.value
        cause = error.socketError if isinstance(error, CannotListenError) else error
        return Failure(ListenFailed(f"cannot listen on {endpoint.description}: {cause}", error))

    def stopped(self, listener: Listener) -> None:
        """One of them accepts nothing any more; called by the listener."""
        if isinstance(listener._factory, DatagramPort):
            self._keeper.datagrams.stops_on(listener._factory)
        else:
            self._keeper.admission.stops_on(listener._port)
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._owner.listening_changed(StateReason.STOPPED_LISTENING)
