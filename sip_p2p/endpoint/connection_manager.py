"""Connection managers: the listeners, the flows and the proofs of identity that one or many endpoints share.

A manager holds one core, one driver and one pool. :class:`RealTimeServerTlsConnectionManager` is the usual one:
everything it opens and accepts is mutual TLS unless a description says otherwise in clear words.
:class:`RealTimeServerTcpConnectionManager` is for networks that are trusted for other reasons, and says so at every
start.
"""

from __future__ import annotations

import sys
from time import time
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from sip_p2p.endpoint.accounts import Accounts
from sip_p2p.endpoint.connection_request import Authorize, asking
from sip_p2p.endpoint.dispatch import Dispatch
from sip_p2p.endpoint.drain import Drain
from sip_p2p.endpoint.events import Event, StateReason
from sip_p2p.endpoint.flow_events import FlowLost, FlowOpened
from sip_p2p.endpoint.listener import Listener, Listeners
from sip_p2p.endpoint.listener_watch import USUAL_WATCH, AddressesChanged, ListenerLost, ListenerWatch
from sip_p2p.endpoint.lives import Lives
from sip_p2p.endpoint.load import Load
from sip_p2p.endpoint.load_events import OverloadChanged, ThrottlingStateChanged
from sip_p2p.endpoint.own_address import OwnAddress
from sip_p2p.endpoint.registration.bonds import FlowBonds
from sip_p2p.endpoint.session.sessions import Sessions
from sip_p2p.endpoint.standing import StandingConnection, StandingConnections
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated, InvalidOperation, TlsFailure
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.user_agent import UserAgentCore
from sip_p2p.transport.clock import time_source
from sip_p2p.transport.dns.dead_targets import DeadTargets
from sip_p2p.transport.dns.dns_resolver import DnsResolver, dns_beneath
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.driver import Driver
from sip_p2p.transport.keep_alive import USUAL, KeepAlive
from sip_p2p.transport.keeper import FlowKeeper
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.restraint import Restraint
from sip_p2p.transport.pool.pool import Pool
from sip_p2p.transport.random_tokens import RandomTokens
from sip_p2p.transport.stream.flow import StreamFlow
from sip_p2p.transport.stream.websocket import WebSocketOptions
from sip_p2p.transport.target import Transport
from sip_p2p.transport.throttle import LogBounds, ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from twisted.internet.interfaces import IProtocolFactory, IReactorTime

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.sip.flow import SenderCheck
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.base import Transaction
    from sip_p2p.transport.dns.resolver import Resolver
    from sip_p2p.transport.driver import Tap
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.load.overload import OverloadState
    from sip_p2p.transport.proxy import ProxyConnector
    from sip_p2p.transport.target import Target
    from sip_p2p.transport.tls.settings import TlsSettings
    from sip_p2p.transport.udp.datagram import DatagramFlow

__all__ = ["RealTimeConnectionManager"]


class RealTimeConnectionManager:
    """What every connection manager does; make one of its two kinds.

    Of the arguments that both kinds have, *pool_size* says how many connections there may be to one server for one name
    (row E2), None sharing none (row E3); *pool_linger* how many seconds one that we opened is kept after its last use
    (row E6); and *reconnect* whether the outbound proxies of the endpoints are connected to only when there is
    something to send, ``lazy``, or all the time, ``eager`` (row E14).

    *authorize* is asked about every connection before it carries a message (rows D23, D24), *websocket* says how
    servers are asked for one, and *listener_watch* how listeners are looked after; None does not.

    Its listeners can be started and stopped any number of times, in any number (rows C5, C7). All methods belong to the
    reactor's thread.

    :ivar reactor: the reactor.
    :ivar resolver: where names lead; by default a :class:`~sip_p2p.transport.dns.dns_resolver.DnsResolver`.
    :ivar family: which addresses are used, unless an endpoint or a request says otherwise (row E23).
    :ivar transports: what NAPTR may choose from where neither a URI nor an endpoint asks for TLS (RFC 3263).
    :ivar dead_targets: the servers that failed a short while ago, and come last (row E24).
    :ivar tokens: where branches, tags and Call-IDs come from.
    :ivar core: the SIP core.
    :ivar driver: what runs it.
    :ivar dispatch: who is told what comes out of the core.
    :ivar sessions: the sessions of all endpoints.
    :ivar drain_state: what is still to finish.
    :ivar keeper: the flows, with their bounds and deadlines.
    :ivar pool: the stream flows.
    :ivar tls_failed: told of every TLS connection that came to nothing, incoming ones above all (row D22).
    :ivar flow_opened: told of every connection that may carry messages.
    :ivar flow_lost: told of every connection that is gone, and of every UDP flow that has failed, with what was on it.
    :ivar listener_lost: told when a listener accepts nothing any more, though nobody has stopped it (row C9).
    :ivar addresses_changed: told when the machine has other addresses than before, while something listens (row C10).
    :ivar load: how much there is to do, and what is done about it.
    :ivar restraint: what peers have asked us to do less of.
    :ivar overload_changed: told when more, or less, is refused because of overload (row E20).
    :ivar throttling_changed: told when nothing more is read from a peer, and when it is read again (row E19).
    """

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        limits: Limits | None = None,
        timers: Timers | None = None,
        resolver: Resolver | None = None,
        family: AddressFamilyHint | str | None = None,
        advertise: str | None = None,
        tokens: TokenSource | None = None,
        keep_alive: KeepAlive | None = USUAL,
        pool_size: int | None = 1,
        pool_linger: float | None = None,
        reconnect: str = "lazy",
        overload_control: bool = False,
        authorize: Authorize | None = None,
        websocket: WebSocketOptions | None = None,
        listener_watch: ListenerWatch | None = USUAL_WATCH,
    ) -> None:
        self.reactor = reactor
        self._limits = Limits() if limits is None else limits
        self.family = AddressFamilyHint.named(family)
        self.dead_targets = DeadTargets(time_source(reactor), self.limits.dead_target_timeout, self.limits.dead_targets)
        self.resolver: Resolver = resolver or DnsResolver(reactor, family=self.family, limits=self.limits)
        beneath = dns_beneath(self.resolver)
        if beneath is not None:
            beneath.adopt(self.transports, self.dead_targets)
        self.tokens: TokenSource = RandomTokens() if tokens is None else tokens
        self.core = _core(self.tokens, timers, self.limits)
        self.dispatch = Dispatch(self)
        self.sessions = Sessions(self)
        self.lives = Lives(self)
        self.bonds = FlowBonds()
        self.drain_state = Drain(self)
        self._accounts = Accounts(self)
        self._log_bounds = LogBounds(self.limits.log_burst, self.limits.log_rate)
        self.driver = Driver(reactor, self.core, self.dispatch, self._log_bounds)
        self.tls_failed: Event[TlsFailure] = Event(log_bounds=self._log_bounds)
        self.throttling_changed: Event[ThrottlingStateChanged] = Event(log_bounds=self._log_bounds)
        self.overload_changed: Event[OverloadChanged] = Event(log_bounds=self._log_bounds)
        self.load = Load(self, self.limits)
        self.driver.watch_load(self.load.monitor)
        self.flow_opened: Event[FlowOpened] = Event(log_bounds=self._log_bounds)
        self.flow_lost: Event[FlowLost] = Event(log_bounds=self._log_bounds)
        self.keeper = FlowKeeper(reactor, self.limits, self.driver, self, keep_alive)
        self.restraint = Restraint(self.driver.now, self.limits, lambda: self.load.loss, time() - self.driver.now())
        self.keeper.restraint = self.restraint
        self.keeper.offers_control = overload_control
        self.keeper.authorization = asking(reactor, authorize, self._log_bounds)
        self.pool.websocket = websocket or WebSocketOptions()
        self.pool.size, self.pool.linger = pool_size, pool_linger
        self._standing = StandingConnections(self, reconnect)
        self.listener_lost: Event[ListenerLost] = Event(log_bounds=self._log_bounds)
        self.addresses_changed: Event[AddressesChanged] = Event(log_bounds=self._log_bounds)
        self._listeners = Listeners(reactor, self, self.keeper, listener_watch)
        self._own_address = OwnAddress(advertise, self._listeners.port_of, self._certified_host)
        self._endpoints: dict[RealTimeEndpoint, None] = {}
        self._tls_log = ThrottledLog("sip_p2p.endpoint.connection_manager", self.driver.now, self._log_bounds)
        self._terminated: Deferred[None] | None = None
        self._log = Logger("sip_p2p.endpoint.connection_manager")

        if not sys.flags.hash_randomization:
            # Peers choose our tables' keys, and could make them collide (fault H8).
            self._log.warn("hashes are predictable, so peers can slow us down: do not set PYTHONHASHSEED=0")

    default_prefix = "tcp"
    transports: tuple[Transport, ...] = (Transport.TCP, Transport.UDP)
    senders_refused = 0

    @property
    def advertise(self) -> str | None:
        """The host that our Via and Contact name; None lets the manager choose (row E28). Setting it counts for what is
        sent from then on.

        :raises ValueError: for what is neither a host name nor an address.
        """
        return self._own_address.advertise

    @advertise.setter
    def advertise(self, host: str | None) -> None:
        self._own_address.advertise = host

    @property
    def limits(self) -> Limits:
        """The bounds. Others may be set at any time: ``manager.limits = manager.limits.replace(idle_timeout=900)``.

        Deadlines and sizes of a connection stay as they were when it was opened (row E10); what counts all of them
        together counts by the new bounds at once.
        """
        return self._limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        check_thread()
        self._limits = limits
        self.keeper.limits_changed(limits)
        self.load.limits_changed(limits)
        self.restraint.limits = limits
        self._log_bounds.burst, self._log_bounds.rate = limits.log_burst, limits.log_rate
        self.dead_targets.duration, self.dead_targets.limit = limits.dead_target_timeout, limits.dead_targets
        resolver = dns_beneath(self.resolver)
        if resolver is not None:
            resolver.limits = limits
        self.core.bound(limits.transactions, limits.dialogs, limits.finished_transactions, limits.finished_octets)

    @property
    def pool(self) -> Pool:
        """The stream flows."""
        return self.keeper.pool

    @property
    def standing(self) -> int:
        """How many connections are kept, by :meth:`keep_connected` and by ``reconnect="eager"``."""
        return len(self._standing)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """What listens now, in the order in which it was started."""
        return tuple(self._listeners)

    @property
    def is_listening(self) -> bool:
        """Whether anybody can connect (row C4)."""
        return len(self._listeners) > 0

    @property
    def listening_port(self) -> int:
        """The port of the first listener; 0 while there is none (row C4)."""
        return next((listener.port for listener in self._listeners), 0)

    def listens_on(self, transport: str) -> bool:
        """Whether anybody can connect over *transport*, such as ``TLS``."""
        return self._listeners.port_of(transport) is not None

    def start_listening(self, description: str | tuple[str, int]) -> Deferred[Listener]:
        """Listen as *description* says (rows C1 to C3).

        :param description: an endpoint description, such as ``tls:port=5061``, ``tcp:5060:interface=127.0.0.1``,
            ``udp:5060`` or anything else that Twisted can listen on; or a host and port, for the manager's own kind of
            transport.
        :returns: the listener, when its port is bound. Fails with :class:`~sip_p2p.errors.ListenFailed`.
        :raises ValueError: when the description is wrong, with what is wrong about it.
        """
        self._check_usable()
        return self._listeners.start(description)

    def listen_all(self, descriptions: Iterable[str | tuple[str, int]]) -> Deferred[list[Listener]]:
        """Listen on all of *descriptions* or on none: when one fails, those that succeeded are stopped (row C7)."""
        self._check_usable()
        return self._listeners.start_all(descriptions)

    def stop_listening(self, listener: Listener | None = None) -> Deferred[None]:
        """Stop one listener, or all of them; open connections live on (row C8).

        Fails with :class:`~sip_p2p.errors.NotListening` when the listener is not one of ours.
        """
        check_thread()
        return self._listeners.stop(listener)

    def listening_changed(self, reason: StateReason) -> None:
        """What listens has changed; called by the listeners."""
        for endpoint in tuple(self._endpoints):
            is_reachable = self.is_listening and self._listeners.is_reachable
            endpoint.listening_changed(is_reachable, self._listeners.starting > 0, reason)

    def tls_settings(self) -> TlsSettings | None:
        """What TLS listeners and connections are made with; None for a manager without TLS."""
        return None

    def secure(self, target: Target, factory: IProtocolFactory) -> IProtocolFactory:
        """Wrap *factory* so that its connections are TLS and prove the target's name."""
        raise InvalidOperation(
            f"{target!r} needs TLS, and this connection manager has no certificate: use a TLS manager"
        )

    def local_credential(self) -> object:
        """What identifies our own certificate at the moment; flows made with another one are not shared."""
        return None

    def is_busy(self, flow: StreamFlow) -> bool:
        """Whether a transaction lives on *flow*."""
        return self.core.layer.is_busy(flow)

    def datagram_flow(self, target: Target) -> DatagramFlow:
        """The UDP flow to *target*, whose host is an address; a port of our own is opened when none listens."""
        return self.keeper.datagrams.flow_to(target)

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names: the advertised host, or our own address on the flow; a listener's port if there is
        one."""
        return self._own_address.sent_by(transport, local)

    def contact_address(self, transport: str, local: tuple[str, int]) -> tuple[str, int]:
        """The host (IPv6 in brackets) and port under which we can be reached over *transport* (rows A2, E28, J8)."""
        return self._own_address.on(transport, local)

    def may_request(self, flow: LiveFlow) -> bool:
        """Whether the peer at the end of *flow* may ask anything of our applications (row D9)."""
        return True

    def sender_check(self, flow: LiveFlow) -> SenderCheck | None:
        """What judges the From of requests on *flow*; None where it stays a claim (fault F14)."""
        return None

    def offers_alias(self, flow: LiveFlow) -> bool:
        """Whether requests to the place where we listen may come by *flow*, which we opened (RFC 5923, row E16): only
        over TLS, and where our own certificate proves that place to be ours."""
        return False

    def _certified_host(self, transport: str) -> str:
        """The name that our own certificate proves, for transports that show it."""
        return ""

    def flow_throttled(self, flow: StreamFlow) -> None:
        """Nothing more is read from a peer, or again."""
        self._accounts.throttled += flow.is_throttled
        if self.throttling_changed:
            self.throttling_changed.tell(ThrottlingStateChanged(flow))

    def tell_opened(self, flow: LiveFlow) -> None:
        """A connection may carry messages; called by the keeper."""
        self._accounts.connections["in" if flow.is_incoming else "out"] += 1
        if self.flow_opened:
            self.flow_opened.tell(FlowOpened(flow))

    def tell_lost(self, flow: LiveFlow, reason: BaseException, transactions: tuple[Transaction, ...]) -> None:
        """A flow is gone, and with it what was on it; called by the keeper."""
        self._accounts.connection_lost(flow)
        self.sessions.errands.flow_lost(flow, reason)
        self.bonds.flow_lost(flow, reason)
        if self.flow_lost:
            self.flow_lost.tell(FlowLost(flow, reason, self.driver.now() - flow.opened, transactions))

    @property
    def overload(self) -> OverloadState:
        """How much is done without at the moment (row E20). Setting it lets that hold whatever the load is, for
        maintenance and for tests; None lets the load decide again."""
        return self.load.state

    @overload.setter
    def overload(self, state: OverloadState | None) -> None:
        check_thread()
        self.load.say(state)

    def overload_told(self, change: OverloadChanged) -> None:
        """The state of overload is another; called by the load."""
        self._log.warn("overload: {change}", change=change)
        self.overload_changed.tell(change)

    def tls_failure(self, failure: TlsFailure) -> None:
        """A TLS connection came to nothing, or to an early end: count it, tell of it, and log it within bounds."""
        self._accounts.tls_failure(failure)
        self._tls_log.warn("{failure}", failure=str(failure))
        self.tls_failed.tell(failure)

    def add_tap(self, tap: Tap) -> None:
        """Show every message, in and out, to *tap*."""
        self.driver.add_tap(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Stop showing messages to *tap*."""
        self.driver.remove_tap(tap)

    @property
    def endpoints(self) -> tuple[RealTimeEndpoint, ...]:
        """The parties that use this manager."""
        return tuple(self._endpoints)

    @property
    def fallback_endpoint(self) -> RealTimeEndpoint | None:
        """Who gets a request that names nobody here (rows G3, G4); None answers it with 404."""
        profile = self.core.directory.fallback
        return None if profile is None else cast("RealTimeEndpoint", profile.user)

    @fallback_endpoint.setter
    def fallback_endpoint(self, endpoint: RealTimeEndpoint | None) -> None:
        if endpoint is not None and endpoint not in self._endpoints:
            raise ValueError(f"{endpoint!r} does not use this connection manager")
        self.core.directory.fallback = None if endpoint is None else endpoint.profile

    @property
    def is_terminated(self) -> bool:
        """Whether :meth:`terminate` was called."""
        return self._terminated is not None

    def register(self, endpoint: RealTimeEndpoint) -> None:
        """A new party; called by the endpoint itself."""
        self._check_usable()
        self._endpoints[endpoint] = None
        self._standing.endpoint_added(endpoint)

    def unregister(self, endpoint: RealTimeEndpoint) -> None:
        """A party is gone."""
        self._endpoints.pop(endpoint, None)
        self._standing.endpoint_gone(endpoint)

    def keep_connected(self, to: Target | ProxyConnector | str) -> StandingConnection:
        """Have a connection to a peer now, and again at once whenever it is lost, until it is stopped (row E14).

        :param to: a target; or a proxy, written as an endpoint's outbound proxy is.
        :raises ValueError: for what is neither, and for UDP, which has no connections.
        """
        self._check_usable()
        return self._standing.add(to)

    def _check_usable(self) -> None:
        if self._terminated is not None:
            raise EndpointTerminated("the connection manager has been terminated")
        check_thread()

    def inventory(self) -> dict[str, int]:
        """How much of everything lives: listeners, flows, connections being made, transactions, timers."""
        return self._accounts.inventory()

    def metrics(self) -> dict[str, int]:
        """Everything that is counted, by name: running totals, and what lives now (row M10)."""
        return self._accounts.metrics()

    def drain(self, deadline: float | None = None, *, redirect_to: Sequence[str] = ()) -> Deferred[None]:
        """Take no new work any more, and let what is under way come to its end (fault J6).

        Every port is closed at once and free for somebody else, but for those of UDP while there are sessions whose
        peers have no other way to us. New requests on open connections are answered 503 with Retry-After; what belongs
        to a dialog or was received before goes on, and so do our own requests and all sessions (row B15). Nothing else
        ends: call :meth:`terminate` for that.

        :param deadline: how many seconds to wait at most; by default ``limits.drain_timeout``.
        :param redirect_to: URIs where whoever would begin a session is sent instead, with 302, in order of preference.
        :returns: fires when no request waits for its outcome any more and no session is left, or the deadline has
            passed; never fails. It may be called any number of times; the last *redirect_to* counts.
        :raises ValueError: for what is no SIP URI.
        """
        check_thread()
        latest = self.limits.drain_timeout if deadline is None else deadline
        return self.drain_state.drain(self._listeners, latest, redirect_to)

    def terminate(self) -> Deferred[None]:
        """Stop listening, let what is in flight finish within the drain deadline, end the endpoints, close every flow.

        Afterwards no port, connection or timer of this manager is left. Every call waits for the same end (rows B13,
        E27).
        """
        check_thread()
        waiting: Deferred[None] = Deferred()
        if self._terminated is None:
            self._terminated = Deferred()
            self._standing.stop()
            self._end().chainDeferred(self._terminated)

        def done(result: None) -> None:
            waiting.callback(None)
            return result

        self._terminated.addCallback(done)
        return waiting

    def _end(self) -> Deferred[None]:
        return self.drain_state.end(self._listeners)


def _core(tokens: TokenSource, timers: Timers | None, limits: Limits) -> UserAgentCore:
    return UserAgentCore(
        tokens,
        Timers(answer_deadline=limits.answer_timeout) if timers is None else timers,
        transactions=limits.transactions,
        finished_transactions=limits.finished_transactions,
        finished_octets=limits.finished_octets,
        dialogs=limits.dialogs,
    )
