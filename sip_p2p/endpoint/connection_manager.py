"""Connection managers: the listeners, the flows and the proofs of identity that one or many endpoints share.

A manager holds one core, one driver and one pool. :class:`RealTimeServerTlsConnectionManager` is the usual one:
everything it opens and accepts is mutual TLS unless a description says otherwise in clear words.
:class:`RealTimeServerTcpConnectionManager` is for networks that are trusted for other reasons, and says so at every
    start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, DeferredList, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python import threadable
from twisted.python.failure import Failure

from sip_p2p.endpoint.events import Event, StateReason
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.listener import Listener
from sip_p2p.endpoint.outgoing import Outgoing
from sip_p2p.errors import (
    EndpointTerminated,
    InvalidOperation,
    ListenFailed,
    NotListening,
    TlsFailure,
)
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.user_agent import UserAgentCore
from sip_p2p.transport.datagram import DatagramPort
from sip_p2p.transport.deadlines import Deadlines
from sip_p2p.transport.descriptions import listening_endpoint
from sip_p2p.transport.driver import Driver
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.pool import Pool
from sip_p2p.transport.random_tokens import RandomTokens
from sip_p2p.transport.resolve import AddressResolver
from sip_p2p.transport.stream import StreamFactory, StreamFlow, StreamProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorTime

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.outputs import (
        AckReceived,
        RequestAbandoned,
        RequestReceived,
        ResponseReceived,
        TransactionFailed,
        TransactionTimedOut,
    )
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.base import ServerTransaction
    from sip_p2p.transport.datagram import DatagramFlow
    from sip_p2p.transport.driver import Tap
    from sip_p2p.transport.resolve import Resolver
    from sip_p2p.transport.target import Target
    from sip_p2p.transport.tls import TlsSettings

__all__ = ["RealTimeConnectionManager"]

_LOOPBACK = ("127.", "::1", "unix")
_MOST_ALIASES = 8
_GOODBYE = 1.0


class RealTimeConnectionManager:
    """What every connection manager does; make one of its two kinds.

    Its listeners can be started and stopped any number of times, in any number (rows C5, C7). All methods belong to the
    reactor's thread.

    :ivar reactor: the reactor.
    :ivar limits: the bounds; a change counts for what is opened later.
    :ivar resolver: where names lead.
    :ivar advertise: the host that our Via and Contact name; None lets the manager choose (row E28).
    :ivar tokens: where branches, tags and Call-IDs come from.
    :ivar core: the SIP core.
    :ivar driver: what runs it.
    :ivar pool: the stream flows.
    :ivar tls_failed: told of every TLS connection that came to nothing, incoming ones above all (row D22).
    """

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        limits: Limits | None = None,
        timers: Timers | None = None,
        resolver: Resolver | None = None,
        advertise: str | None = None,
        tokens: TokenSource | None = None,
    ) -> None:
        self.reactor = reactor
        self.limits = Limits() if limits is None else limits
        self.resolver: Resolver = AddressResolver(reactor) if resolver is None else resolver
        self.advertise = advertise
        if timers is None:
            timers = Timers(answer_deadline=self.limits.answer_timeout)
        self.tokens: TokenSource = RandomTokens() if tokens is None else tokens
        self.core = UserAgentCore(
            self.tokens,
            timers,
            transactions=self.limits.transactions,
            finished_transactions=self.limits.finished_transactions,
        )
        self.driver = Driver(reactor, self.core, self)
        self.tls_failed: Event[TlsFailure] = Event()
        self._first = Deadlines(self.limits.first_message_timeout, self._silent)
        self._first_verified = Deadlines(self.limits.authenticated_first_message_timeout, self._silent)
        self._partial = Deadlines(self.limits.partial_message_timeout, self._too_slow)
        self._idle = Deadlines(self.limits.idle_timeout, self._maybe_idle)
        for deadlines in (self._first, self._first_verified, self._partial, self._idle):
            self.driver.watch(deadlines)
        self.pool = Pool(reactor, self, self._secure, self._credential)
        self._listeners: list[Listener] = []
        self._starting = 0
        self._datagram_ports: dict[str, DatagramPort] = {}
        self._own_datagram_ports: list[IListeningPort] = []
        self._endpoints: list[RealTimeEndpoint] = []
        self._waiting_answers: dict[ServerTransaction, IncomingRequest] = {}
        self._quiet: list[Deferred[None]] = []
        self._by_address: dict[str, int] = {}
        self._connections: dict[StreamProtocol, None] = {}
        self._emptied: Deferred[None] | None = None
        self._terminated: Deferred[None] | None = None
        self._log = Logger("sip_p2p.endpoint.connection_manager")

    # -- listening
    # ------------------------------------------------------------------------------------------------------------

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What listens now, in the order in which it was started."""
        return tuple(self._listeners)

    @property
    def is_listening(self) -> bool:
        """Whether anybody can connect (row C4)."""
        return bool(self._listeners)

    @property
    def listening_port(self) -> int:
        """The port of the first listener; 0 while there is none (row C4)."""
        return self._listeners[0].port if self._listeners else 0

    def start_listening(self, description: str | tuple[str, int]) -> Deferred[Listener]:
        """Listen as *description* says (rows C1 to C3).

        :param description: an endpoint description, such as ``tls:port=5061``, ``tcp:5060:interface=127.0.0.1``,
            ``udp:5060`` or anything else that Twisted can listen on; or a host and port, for the manager's own kind of
            transport.
        :returns: the listener, when its port is bound. Fails with :class:`~sip_p2p.errors.ListenFailed`.
        :raises ValueError: when the description is wrong, with what is wrong about it.
        """
        self._check_usable()
        text = self._describe(description)
        endpoint = listening_endpoint(
            self.reactor, text, self._tls_settings(), handshake_timeout=self.limits.handshake_timeout
        )
        transport = endpoint.transport
        self._starting += 1
        self._states_changed(StateReason.LISTENING)
        factory = DatagramPort(self) if transport == "UDP" else StreamFactory(self, transport, is_incoming=True)
        listening = maybeDeferred(endpoint.listen, factory)
        return listening.addCallbacks(
            self._listening, self._not_listening, callbackArgs=(text, transport, factory), errbackArgs=(text,)
        )

    def listen_all(self, descriptions: Iterable[str | tuple[str, int]]) -> Deferred[list[Listener]]:
        """Listen on all of *descriptions* or on none: when one fails, those that succeeded are stopped (row C7)."""
        started = [self.start_listening(description) for description in descriptions]

        def settle(results: list[tuple[bool, Any]]) -> Any:
            listeners = [result for succeeded, result in results if succeeded]
            failures = [result for succeeded, result in results if not succeeded]
            if not failures:
                return listeners
            stopped = DeferredList([listener.stop() for listener in listeners])
            return stopped.addCallback(lambda _: failures[0])

        return DeferredList(started, consumeErrors=True).addCallback(settle)

    def stop_listening(self, listener: Listener | None = None) -> Deferred[None]:
        """Stop one listener, or all of them; open connections live on (row C8).

        Fails with :class:`~sip_p2p.errors.NotListening` when the listener is not one of ours.
        """
        if listener is None:
            stopped = [present.stop() for present in self.listeners]
            return cast("Deferred[None]", gatherResults(stopped).addCallback(lambda _: None))
        if listener not in self._listeners and listener.is_listening:
            failed: Deferred[None] = Deferred()
            failed.errback(Failure(NotListening(f"{listener!r} does not belong to this connection manager")))
            return failed
        return listener.stop()

    def _describe(self, description: str | tuple[str, int]) -> str:
        if isinstance(description, str):
            return description
        host, port = description
        interface = f":interface={host.replace(':', chr(92) + ':')}" if host else ""
        return f"{self.default_prefix}:port={port}{interface}"

    #: The prefix of a description that is given as host and port.
    default_prefix = "tcp"

    def _listening(self, port: IListeningPort, text: str, transport: str, factory: object) -> Listener:
        self._starting -= 1
        listener = Listener(self, text, transport, port)
        if self._terminated is not None:
            listener.stop()
            raise EndpointTerminated("the connection manager was terminated while it started to listen")
        self._listeners.append(listener)
        if isinstance(factory, DatagramPort):
            self._datagram_ports["6" if ":" in listener.address[0] else "4"] = factory
        if transport in ("TCP", "UDP", "WS") and not listener.address[0].startswith(_LOOPBACK):
            self._log.warn("{listener} is clear text beyond loopback: nobody is verified on it", listener=listener)
        self._states_changed(StateReason.LISTENING)
        return listener

    def _not_listening(self, failure: Failure, text: str) -> Failure:
        self._starting -= 1
        self._states_changed(StateReason.UNABLE_TO_LISTEN)
        if failure.check(ListenFailed, TlsFailure, EndpointTerminated):
            return failure
        error = failure.value
        cause = error.socketError if isinstance(error, CannotListenError) else error
        return Failure(ListenFailed(f"cannot listen on {text}: {cause}", error))

    def listener_stopped(self, listener: Listener) -> None:
        """One of our listeners accepts nothing any more."""
        if listener in self._listeners:
            self._listeners.remove(listener)
            self._states_changed(StateReason.STOPPED_LISTENING)

    def _states_changed(self, reason: StateReason) -> None:
        for endpoint in tuple(self._endpoints):
            endpoint.listening_changed(self.is_listening, self._starting > 0, reason)

    # -- TLS, for the kind of manager that has it
    # -----------------------------------------------------------------------------

    def _tls_settings(self) -> TlsSettings | None:
        """What TLS listeners and connections are made with; None for a manager without TLS."""
        return None

    def _secure(self, target: Target, factory: IProtocolFactory) -> IProtocolFactory:
        raise InvalidOperation(
            f"{target!r} needs TLS, and this connection manager has no certificate: use a TLS manager"
        )

    def _credential(self) -> object:
        return None

    # -- flows
    # ----------------------------------------------------------------------------------------------------------------

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names: the advertised host, or our own address on the flow; a listener's port if there is
        one."""
        host, port = self.contact_address(transport, local)
        return f"{host}:{port}" if port else host

    def contact_address(self, transport: str, local: tuple[str, int]) -> tuple[str, int]:
        """The host (IPv6 in brackets) and port under which we can be reached over *transport* (rows A2, E28, J8)."""
        port = local[1]
        for listener in self._listeners:
            if listener.transport == transport:
                port = listener.port
                break
        host = self.advertise or self._certified_host(transport) or local[0]
        if host in ("0.0.0.0", "::", ""):
            host = "localhost"
        return (f"[{host}]" if ":" in host and not host.startswith("[") else host), port

    def _may_request(self, flow: StreamFlow) -> bool:
        """Whether the peer at the end of *flow* may ask anything of our applications (row D9)."""
        return True

    def _certified_host(self, transport: str) -> str:
        """The name that our own certificate proves, for transports that show it."""
        return ""

    def datagram_flow(self, target: Target) -> DatagramFlow:
        """The UDP flow to *target*, whose host is an address; a port of our own is opened when none listens."""
        family = "6" if ":" in target.host else "4"
        port = self._datagram_ports.get(family)
        if port is None:
            port = DatagramPort(self)
            listen = cast("Any", self.reactor).listenUDP
            self._own_datagram_ports.append(listen(0, port, interface="::" if family == "6" else ""))
            self._datagram_ports[family] = port
        return port.flow_to(target.host, target.port)

    def admits(self, flow: StreamFlow) -> str:
        """Why an accepted flow is one too many; the empty string when it is welcome."""
        if self._terminated is not None:
            return "the connection manager is going away"
        limits = self.limits
        reason = ""
        if len(self.pool) >= limits.connections:
            reason = f"{limits.connections} connections are open"
        elif self._by_address.get(
            flow.remote_host, 0
        ) >= limits.connections_per_address and not flow.remote_host.startswith(_LOOPBACK):
            reason = f"{limits.connections_per_address} connections from {flow.remote_host} are open"
        elif flow.peer and self.pool.count_of_peer(flow.peer) >= limits.connections_per_identity:
            reason = f"{limits.connections_per_identity} connections of {flow.peer} are open"
        if reason:
            self._log.warn("refused {flow}: {reason}", flow=flow, reason=reason)
        return reason

    def connection_made(self, connection: StreamProtocol) -> bool:
        """A TCP connection stands; False when too many are still without a verified peer."""
        self._connections[connection] = None
        if not connection.is_incoming:
            return True
        waiting = len(self._connections) - len(self.pool)
        if waiting > self.limits.handshakes:
            self._log.warn("refused a connection: {waiting} are in their handshake", waiting=waiting)
            return False
        return self._terminated is None

    def connection_ended(self, connection: StreamProtocol) -> None:
        """A TCP connection is gone."""
        self._connections.pop(connection, None)
        if not self._connections and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            # Not from within the connection's own end: what it carried has to be told first.
            self.reactor.callLater(0, emptied.callback, None)

    def flow_opened(self, flow: StreamFlow) -> None:
        """A flow may carry messages."""
        now = self.driver.now()
        flow.last_message = now
        flow.may_request = self._may_request(flow)
        self.pool.add(flow)
        if flow.is_incoming:
            self._by_address[flow.remote_host] = self._by_address.get(flow.remote_host, 0) + 1
            (self._first_verified if flow.peer else self._first).start(flow, now)
        self._idle.start(flow, now)
        self.driver.rearm()

    def flow_active(self, flow: StreamFlow, partial: bool) -> None:
        """Something came; the deadlines move."""
        now = self.driver.now()
        if flow.messages and flow.last_message != now:
            flow.last_message = now
            if flow.is_incoming:
                self._first.stop(flow)
                self._first_verified.stop(flow)
        if partial:
            # From the message's first octet: what trickles in later does not move it.
            if not self._partial.is_running(flow):
                self._partial.start(flow, now)
                self.driver.rearm()
        else:
            self._partial.stop(flow)

    def flow_lost(self, flow: StreamFlow, reason: BaseException) -> None:
        """A flow is gone; what it carried ends."""
        self.pool.remove(flow)
        if flow.is_incoming:
            left = self._by_address.get(flow.remote_host, 1) - 1
            if left:
                self._by_address[flow.remote_host] = left
            else:
                self._by_address.pop(flow.remote_host, None)
        if isinstance(reason, TlsFailure):
            self.tls_failed.tell(reason)
        self.driver.flow_failed(flow, reason)

    def _silent(self, flow: Any) -> None:
        self._log.info("{flow} is closed: no message came", flow=flow)
        flow.abort()

    def _too_slow(self, flow: Any) -> None:
        self._log.info("{flow} is closed: a message was begun and not finished in time", flow=flow)
        flow.abort()

    def _maybe_idle(self, flow: Any) -> None:
        """The idle deadline is looked at lazily: a flow that was used meanwhile gets what is left of it."""
        now = self.driver.now()
        since = now - flow.last_message
        if since < self._idle.duration or self.core.layer.is_busy(flow):
            self._idle.start(flow, now)
            return
        self._log.debug("{flow} is closed: it was idle", flow=flow)
        flow.close()

    # -- the transaction user
    # -------------------------------------------------------------------------------------------------

    def request_received(self, output: RequestReceived) -> None:
        """Hand a request to the party that it is for."""
        incoming = IncomingRequest(self, output)
        flow = output.flow
        if isinstance(flow, StreamFlow) and flow.peer:
            if not flow.may_request:
                self._log.warn(
                    "{flow} may not send us a {method}: allow= does not list it", flow=flow, method=incoming.method
                )
                incoming.respond(403)
                return
            if flow.is_incoming:
                self._learn_alias(flow, output)
        endpoint = cast("RealTimeEndpoint", output.profile.user)
        endpoint.request_received(incoming)
        if not incoming.is_answered:
            self._waiting_answers[output.transaction] = incoming

    def _learn_alias(self, flow: StreamFlow, output: RequestReceived) -> None:
        """Remember where the peer says that it listens, when its certificate covers that host (RFC 5923 section 8)."""
        via = output.request.via
        alias = (via.host, via.port or 5061)
        if alias in flow.aliases or len(flow.aliases) >= _MOST_ALIASES:
            return
        verified = flow.verified
        if (
            verified is not None
            and verified.identities is not None
            and verified.identities.matches(via.host) is not None
        ):
            flow.aliases.add(alias)

    def request_answered(self, incoming: IncomingRequest) -> None:
        """A request that had to wait has its final answer."""
        self._waiting_answers.pop(incoming.transaction, None)
        self._maybe_quiet()

    def request_abandoned(self, output: RequestAbandoned) -> None:
        """Nobody waits for this answer any more."""
        incoming = self._waiting_answers.pop(output.transaction, None)
        if incoming is not None:
            self._log.info("{incoming} goes unanswered: {reason}", incoming=incoming, reason=output.reason)
            incoming.abandoned()
        self._maybe_quiet()

    def ack_received(self, output: AckReceived) -> None:
        """An ACK outside of any dialog: there is nothing that it could acknowledge."""
        self._log.debug("an ACK for nothing from {flow}", flow=output.flow)

    def response_received(self, output: ResponseReceived) -> None:
        """Hand a response to whoever asked."""
        user = output.transaction.user
        if isinstance(user, Outgoing):
            user.response_received(output)

    def transaction_ended(self, output: TransactionTimedOut | TransactionFailed) -> None:
        """Tell whoever asked that there will be no answer."""
        user = output.transaction.user
        if isinstance(user, Outgoing):
            user.transaction_ended(output)

    # -- taps
    # -----------------------------------------------------------------------------------------------------------------

    def add_tap(self, tap: Tap) -> None:
        """Show every message, in and out, to *tap*."""
        self.driver.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Stop showing messages to *tap*."""
        self.driver.remove_tap(tap)

    # -- endpoints and the end
    # ------------------------------------------------------------------------------------------------

    @property
    def endpoints(self) -> tuple[RealTimeEndpoint, ...]:
        """The parties that use this manager."""
        return tuple(self._endpoints)

    @property
    def is_terminated(self) -> bool:
        """Whether :meth:`terminate` was called."""
        return self._terminated is not None

    def register(self, endpoint: RealTimeEndpoint) -> None:
        """A new party; called by the endpoint itself."""
        self._check_usable()
        self._endpoints.append(endpoint)

    def unregister(self, endpoint: RealTimeEndpoint) -> None:
        """A party is gone."""
        if endpoint in self._endpoints:
            self._endpoints.remove(endpoint)

    def _check_usable(self) -> None:
        if self._terminated is not None:
            raise EndpointTerminated("the connection manager has been terminated")
        check_thread()

    def inventory(self) -> dict[str, int]:
        """How much of everything lives: listeners, flows, connections being made, transactions, timers."""
        counts = {
            "listeners": len(self._listeners),
            "connections": len(self._connections),
            "flows": len(self.pool),
            "dialling": self.pool.dialling,
            "unanswered": len(self._waiting_answers),
        }
        transactions = self.core.layer.inventory()
        transactions["busy_flows"] = transactions.pop("flows")
        return counts | transactions

    def _maybe_quiet(self) -> None:
        if not self._waiting_answers:
            quiet, self._quiet = self._quiet, []
            for waiting in quiet:
                waiting.callback(None)

    def _when_quiet(self) -> Deferred[None]:
        """Fires when no request waits for its application any more, or the drain deadline has passed."""
        if not self._waiting_answers or not self.limits.drain_timeout:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._quiet.append(waiting)
        waiting.addTimeout(self.limits.drain_timeout, self.reactor, onTimeoutCancel=lambda _, __: None)

        def forget(result: None) -> None:
            if waiting in self._quiet:
                self._quiet.remove(waiting)
            return result

        return waiting.addBoth(forget)

    def terminate(self) -> Deferred[None]:
        """Stop listening, let what is in flight finish within the drain deadline, end the endpoints, close every flow.

        Afterwards no port, connection or timer of this manager is left. Every call waits for the same end (rows B13,
        E27).
        """
        waiting: Deferred[None] = Deferred()
        if self._terminated is None:
            self._terminated = Deferred()
            self._end().chainDeferred(self._terminated)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._terminated.addCallback(done)
        return waiting

    def _end(self) -> Deferred[None]:
        stopped = [listener.stop() for listener in self.listeners]

        def end_flows(_: object) -> Deferred[Any]:
            for endpoint in self.endpoints:
                endpoint.connection_manager_terminated()
            self.pool.close()
            closed = self._close_connections()
            ports: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in self._own_datagram_ports]
            return gatherResults([closed, *ports])

        ended = gatherResults([*stopped, self._when_quiet()]).addCallback(end_flows)

        def finish(result: object) -> None:
            self.driver.stop()

        return cast("Deferred[None]", ended.addBoth(finish))

    def _close_connections(self) -> Deferred[None]:
        """Close every flow, drop what is still in its handshake, and abort what has not ended a second later."""
        if not self._connections:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._emptied = closed
        for connection in tuple(self._connections):
            if connection.flow is None:
                connection.abort()
            else:
                connection.flow.close()
        alarm = self.reactor.callLater(_GOODBYE, self._abort_connections)

        def ended(result: None) -> None:
            if alarm.active():
                alarm.cancel()

        return closed.addCallback(ended)

    def _abort_connections(self) -> None:
        for connection in tuple(self._connections):
            connection.abort()


def check_thread() -> None:
    """Refuse a call from another thread than the reactor's (fault K7).

    :raises InvalidOperation: with the remedy.
    """
    if getattr(threadable, "ioThread", None) is not None and not threadable.isInIOThread():
        raise InvalidOperation("called from another thread: use reactor.callFromThread or blockingCallFromThread")
