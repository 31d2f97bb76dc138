"""The listening endpoints of a connection manager (rows C1 to C10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from twisted.internet.defer import Deferred, DeferredList, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python.failure import Failure

from sip_p2p.endpoint.events import Event, StateReason
from sip_p2p.endpoint.listener_watch import AddressesChanged, ListenerLost, ListenerWatch, serves, trouble_with
from sip_p2p.errors import EndpointTerminated, ListenFailed, NotListening, TlsFailure
from sip_p2p.transport.listening.descriptions import listening_endpoint
from sip_p2p.transport.load.admission import LOOPBACK
from sip_p2p.transport.stream.protocol import StreamFactory, host_and_port
from sip_p2p.transport.stream.websocket import accepting
from sip_p2p.transport.udp.datagram import DatagramPort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from twisted.internet.interfaces import IDelayedCall, IListeningPort, IReactorTime

    from sip_p2p.transport.keeper import FlowKeeper
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.listening.endpoints import ListeningEndpoint
    from sip_p2p.transport.tls.settings import TlsSettings

__all__ = ["Listener", "Listeners"]


@final
class Listener:
    """A port that peers can reach.

    :ivar description: the endpoint description that it was started with.
    :ivar transport: ``TLS``, ``TCP``, ``UDP``, ``WSS`` or ``WS``.
    :ivar address: the host and port that are really bound; a port of 0 in the description is a real one here.
    :ivar lost: why it accepts nothing any more, though nobody has stopped it; the empty string while it does (row C9).
    """

    __slots__ = (
        "_endpoint",
        "_factory",
        "_owner",
        "_port",
        "_retry",
        "_stopping",
        "address",
        "description",
        "lost",
        "transport",
    )

    def __init__(self, owner: Listeners, endpoint: ListeningEndpoint, port: IListeningPort, factory: object) -> None:
        self._owner = owner
        self._endpoint = endpoint
        self._port = port
        self._factory = factory
        self._stopping: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None
        self.description = endpoint.description
        self.transport = endpoint.transport
        self.address = host_and_port(port.getHost())
        self.lost = ""

    @property
    def port(self) -> int:
        """The port number."""
        return self.address[1]

    @property
    def is_listening(self) -> bool:
        """Whether it still accepts."""
        return self._stopping is None and not self.lost

    def stop(self) -> Deferred[None]:
        """Accept nothing any more; connections that are open live on. The second call waits for the same end (row
        C8)."""
        waiting: Deferred[None] = Deferred()
        if self._stopping is None:
            retry, self._retry = self._retry, None
            if retry is not None and retry.active():
                retry.cancel()
            if self.lost:
                self._stopping = succeed(None)
            else:
                self._stopping = maybeDeferred(self._port.stopListening).addBoth(lambda _: None)
            self._owner.stopped(self)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._stopping.addCallback(done)
        return waiting

    def __repr__(self) -> str:
        state = "" if self.is_listening else " (lost)" if self.lost and self._stopping is None else " (stopped)"
        return f"<Listener {self.transport} {self.address[0]}:{self.address[1]}{state}>"


class ListenerOwner(Protocol):
    """What the listeners need of the connection manager."""

    default_prefix: str
    listener_lost: Event[ListenerLost]
    addresses_changed: Event[AddressesChanged]

    @property
    def limits(self) -> Limits:
        """The bounds."""

    def tls_settings(self) -> TlsSettings | None:
        """What TLS listeners are made with; None for a manager without TLS."""

    def listening_changed(self, reason: StateReason) -> None:
        """What listens has changed, or is about to."""


@final
class Listeners:
    """The listening endpoints of one connection manager: any number, each started and stopped by itself (rows C5, C7).

    :ivar starting: how many are being started.
    :ivar is_reachable: whether one of them has an address that the machine still has (row C10).
    """

    def __init__(
        self, reactor: IReactorTime, owner: ListenerOwner, keeper: FlowKeeper, watch: ListenerWatch | None = None
    ) -> None:
        self._reactor = reactor
        self._owner = owner
        self._keeper = keeper
        self._listeners: list[Listener] = []
        self._closed = False
        self._watch = watch
        self._look: IDelayedCall | None = None
        self._addresses: frozenset[str] | None = None
        self._lost: dict[Listener, None] = {}
        self.is_reachable = True
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
        owner = self._owner
        return listening_endpoint(
            self._reactor,
            text,
            owner.tls_settings(),
            # Asked for each connection: they may be others by then.
            handshake_timeout=lambda: owner.limits.handshake_timeout,
            handshakes=lambda: owner.limits.handshakes,
            log_bounds=self._keeper.driver.log_bounds,
        )

    def _factory(self, endpoint: ListeningEndpoint) -> StreamFactory | DatagramPort:
        """What makes the protocols of a listener."""
        if endpoint.transport == "UDP":
            return DatagramPort(self._keeper)
        factory = StreamFactory(self._keeper, endpoint.transport, is_incoming=True)
        factory.is_proxied = endpoint.description.lower().startswith("haproxy")
        if endpoint.websocket is not None:
            factory.websocket = accepting(endpoint.websocket)
        return factory

    def _begin(self, endpoint: ListeningEndpoint) -> Deferred[Listener]:
        self.starting += 1
        self._owner.listening_changed(StateReason.LISTENING)
        factory = self._factory(endpoint)
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
            present = [*self._listeners, *self._lost]
            return gatherResults([each.stop() for each in present]).addCallback(lambda _: None)
        if listener._owner is not self:
            return fail(NotListening(f"{listener!r} does not belong to this connection manager"))
        return listener.stop()

    def stop_streams(self) -> Deferred[None]:
        """Stop all of them but those for datagrams."""
        present = [each for each in (*self._listeners, *self._lost) if each.transport != "UDP"]
        return gatherResults([each.stop() for each in present]).addCallback(lambda _: None)

    def close(self) -> Deferred[None]:
        """Stop all of them, also those that are being started."""
        self._closed = True
        return self.stop()

    def _listening(self, port: IListeningPort, endpoint: ListeningEndpoint, factory: object) -> Listener:
        self.starting -= 1
        listener = Listener(self, endpoint, port, factory)
        if self._closed:
            listener.stop()
            raise EndpointTerminated("the connection manager was terminated while it started to listen")
        endpoint.stay_at(listener.port)
        self._accepts(listener, port, factory)
        return listener

    def _accepts(self, listener: Listener, port: IListeningPort, factory: object) -> None:
        """A listener has its port, for the first time or again."""
        self._listeners.append(listener)
        if isinstance(factory, (StreamFactory, DatagramPort)):
            factory.stopped = lambda: self._ended(listener)
        if isinstance(factory, DatagramPort):
            self._keeper.datagrams.listens_on(factory, listener.address[0])
        else:
            self._keeper.admission.listens_on(port)
        if listener.transport in ("TCP", "UDP", "WS") and not listener.address[0].startswith(LOOPBACK):
            self._log.warn("{listener} is clear text beyond loopback: nobody is verified on it", listener=listener)
        self._look_later()
        self._owner.listening_changed(StateReason.LISTENING)

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
        self._lost.pop(listener, None)
        if listener not in self._listeners:
            return
        self._forget(listener)
        self._owner.listening_changed(StateReason.STOPPED_LISTENING)

    def _forget(self, listener: Listener) -> None:
        """It has no port any more."""
        if isinstance(listener._factory, DatagramPort):
            self._keeper.datagrams.stops_on(listener._factory)
        else:
            self._keeper.admission.stops_on(listener._port)
        self._listeners.remove(listener)
        if not self._listeners and self._look is not None:
            self._look.cancel()
            self._look = None
            self._addresses = None
            self.is_reachable = True

    def _ended(self, listener: Listener) -> None:
        """Twisted has closed a port; unless it was asked to, the listener is lost."""
        if listener.is_listening:
            self._lose(listener, "the system has closed its socket", 0)

    def _lose(self, listener: Listener, reason: str, attempt: int) -> None:
        """Row C9: say so, and start it again after a while."""
        listener.lost = reason
        self._forget(listener)
        watch = self._watch
        retry = watch.delay(attempt) if watch is not None and watch.relisten and not self._closed else None
        self._log.error("{listener}: {reason}", listener=listener, reason=reason)
        self._retry_in(listener, retry, attempt)
        self._owner.listening_changed(StateReason.UNABLE_TO_LISTEN)
        self._owner.listener_lost.tell(ListenerLost(listener, reason, retry))

    def _retry_in(self, listener: Listener, delay: float | None, attempt: int) -> None:
        if delay is not None:
            self._lost[listener] = None
            listener._retry = self._reactor.callLater(delay, self._again, listener, attempt)

    def _again(self, listener: Listener, attempt: int) -> None:
        """Listen once more where a listener was lost."""
        listener._retry = None
        factory = self._factory(listener._endpoint)

        def back(port: IListeningPort) -> None:
            if listener._stopping is not None or self._closed:
                maybeDeferred(port.stopListening)
                return
            self._lost.pop(listener, None)
            listener._port, listener._factory, listener.lost = port, factory, ""
            self._log.info("{listener} is there again", listener=listener)
            self._accepts(listener, port, factory)

        def not_yet(failure: Failure) -> None:
            watch = self._watch
            if listener._stopping is None and not self._closed and watch is not None:
                self._log.error("{listener}: {why}", listener=listener, why=failure.getErrorMessage())
                self._retry_in(listener, watch.delay(attempt + 1), attempt + 1)

        maybeDeferred(listener._endpoint.listen, factory).addCallbacks(back, not_yet)

    def _look_later(self) -> None:
        if self._watch is not None and self._look is None:
            if self._addresses is None:
                self._addresses = self._current_addresses()
            self._look = self._reactor.callLater(self._watch.interval, self._look_now)

    def _current_addresses(self) -> frozenset[str] | None:
        # A reactor that has addresses lives in a network of its own, of which this machine knows nothing.
        own = getattr(self._reactor, "addresses", None)
        watch = self._watch
        addresses = own if own is not None or watch is None else watch.addresses()
        return None if addresses is None else frozenset(addresses)

    def _look_now(self) -> None:
        """See whether the sockets still listen, and what addresses there are (rows C9, C10)."""
        self._look = None
        for listener in tuple(self._listeners):
            trouble = trouble_with(listener._port)
            if trouble:
                port = listener._port
                self._lose(listener, trouble, 0)
                maybeDeferred(port.stopListening).addErrback(lambda _: None)
        if not self._listeners:
            return
        before, addresses = self._addresses, self._current_addresses()
        self._look_later()
        if before is None or addresses is None or before == addresses:
            return
        self._addresses = addresses
        self._keeper.datagrams.addresses_changed(addresses)
        was_reachable, self.is_reachable = self.is_reachable, self._reaches(addresses)
        self._owner.addresses_changed.tell(AddressesChanged(before, addresses, self.is_reachable))
        if was_reachable is not self.is_reachable:
            reason = StateReason.LISTENING if self.is_reachable else StateReason.NO_LISTENING_ADDRESSES
            self._owner.listening_changed(reason)

    def _reaches(self, addresses: frozenset[str]) -> bool:
        return any(serves(listener.address[0], addresses) for listener in self._listeners)
