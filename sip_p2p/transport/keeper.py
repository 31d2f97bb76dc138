"""The flows of one side, kept: who may open one, how long it may be silent, and what ends it.

The connection manager above decides who is trusted and what our own name is; it is asked through :class:`FlowPolicy`.
The pool below finds the flow for a request. Here are the bounds and deadlines between the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, final

from twisted.internet.defer import Deferred, gatherResults, succeed

from sip_p2p.errors import ConnectionFailure, TlsFailure
from sip_p2p.sip.overload import OFFER
from sip_p2p.transport.deadlines import Deadlines
from sip_p2p.transport.keep_alive import KeepAlive, KeepAlives
from sip_p2p.transport.load.admission import Admission
from sip_p2p.transport.load.shared_octets import SharedOctets
from sip_p2p.transport.pool.pool import Pool
from sip_p2p.transport.stream.alias import ALIAS
from sip_p2p.transport.throttle import ThrottledLog
from sip_p2p.transport.udp.datagram import DatagramFlow
from sip_p2p.transport.udp.datagram_ports import DatagramPorts

if TYPE_CHECKING:
    from twisted.internet.interfaces import IProtocolFactory, IReactorTime

    from sip_p2p.sip.flow import SenderCheck
    from sip_p2p.sip.transaction.base import Transaction
    from sip_p2p.transport.driver import Driver
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.load.restraint import Restraint
    from sip_p2p.transport.stream.authorization import Authorization
    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.stream.protocol import StreamProtocol
    from sip_p2p.transport.target import Target

__all__ = ["FlowKeeper", "FlowPolicy"]

_GOODBYE = 1.0
_IDLE_LOOKS = 8


class FlowPolicy(Protocol):
    """What the keeper asks the connection manager."""

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names on a flow with this local address."""

    def secure(self, target: Target, factory: IProtocolFactory) -> IProtocolFactory:
        """Wrap a factory so that its connections are TLS and prove the target's name."""

    def local_credential(self) -> object:
        """What identifies our own certificate at the moment."""

    def may_request(self, flow: LiveFlow) -> bool:
        """Whether the peer at the end of *flow* may ask anything of our applications."""

    def sender_check(self, flow: LiveFlow) -> SenderCheck | None:
        """What judges the From of requests on *flow*; None where it stays a claim."""

    def offers_alias(self, flow: LiveFlow) -> bool:
        """Whether requests to the place where we listen may come by *flow*, which we opened (RFC 5923)."""

    def tls_failure(self, failure: TlsFailure) -> None:
        """A TLS connection came to nothing, or to an early end."""

    def flow_throttled(self, flow: StreamFlow) -> None:
        """Nothing more is read from a peer, or again."""

    def is_busy(self, flow: StreamFlow) -> bool:
        """Whether a transaction lives on *flow*."""

    def tell_opened(self, flow: LiveFlow) -> None:
        """A flow may carry messages."""

    def tell_lost(self, flow: LiveFlow, reason: BaseException, transactions: tuple[Transaction, ...]) -> None:
        """A flow is gone, and with it the transactions that were on it."""


@final
class FlowKeeper:
    """Every flow of one connection manager; the owner that the stream and datagram protocols report to.

    :ivar reactor: what the sockets and deadlines are made with.
    :ivar limits: the bounds.
    :ivar driver: what carries messages to the core.
    :ivar authorization: who is asked about each connection; None for nobody.
    :ivar pool: the stream flows.
    :ivar datagrams: the UDP ports.
    :ivar keep_alives: what pings the flows that we opened; None for nobody.
    :ivar connections: every TCP connection, with a flow or still without.
    :ivar admission: who may open a flow.
    :ivar write_queues: what waits to be written.
    :ivar partial: what has come of messages that are not complete.
    :ivar restraint: what peers have asked us to do less of; None for nothing.
    :ivar offers_control: whether those whom we dial over TLS may ask us for less (RFC 7339).
    :ivar hits: how often each bound was reached, by its name; those that never were are not here.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        limits: Limits,
        driver: Driver,
        policy: FlowPolicy,
        keep_alive: KeepAlive | None = None,
    ) -> None:
        self.reactor = reactor
        self.authorization: Authorization | None = None
        self.limits = limits
        self.driver = driver
        self._policy = policy
        self._first = Deadlines(limits.first_message_timeout, self._silent)
        self._first_verified = Deadlines(limits.authenticated_first_message_timeout, self._silent)
        self._partial = Deadlines(limits.partial_message_timeout, self._too_slow)
        self._idle = Deadlines(limits.idle_timeout / _IDLE_LOOKS, self._maybe_idle)
        self._closed = Deadlines(limits.close_timeout, self._still_there)
        self._stalled = Deadlines(limits.stall_timeout, self._takes_nothing)
        for deadlines in (self._first, self._first_verified, self._partial, self._idle, self._closed, self._stalled):
            driver.watch(deadlines)
        self.hits: dict[str, int] = {}
        self.write_queues = SharedOctets("write_buffer_total", limits, self.limit_hit)
        self.partial = SharedOctets("partial_octets", limits, self.limit_hit)
        self.keep_alives = (
            None if keep_alive is None else KeepAlives(keep_alive, driver, self.give_up, limits.idle_timeout)
        )
        # Why we gave a flow up that has not ended yet.
        self._given_up: dict[LiveFlow, ConnectionFailure] = {}
        self.datagrams = DatagramPorts(reactor, self, policy.may_request)
        self.pool = Pool(reactor, self, policy.secure, policy.local_credential, policy.is_busy)
        self.browsers = self.pool.browsers
        self.connections: dict[StreamProtocol, None] = {}
        self._peers_log = ThrottledLog("sip_p2p.transport.keeper", driver.now, driver.log_bounds)
        self.admission = Admission(reactor, limits, driver.now, self._peers_log, self.limit_hit)
        self._emptied: Deferred[None] | None = None
        self._closing = False
        self.restraint: Restraint | None = None
        self.offers_control = False

    @property
    def flows(self) -> tuple[LiveFlow, ...]:
        """Every flow that may carry messages: the connections that are ready, and the peers that are known by UDP."""
        streams = (each.flow for each in self.connections)
        return (*(flow for flow in streams if flow is not None and flow.is_open), *self.datagrams.flows)

    @property
    def handshakes(self) -> int:
        """How many accepted connections have no flow yet."""
        return self.admission.handshakes

    @property
    def refused(self) -> int:
        """How many accepted connections were one too many."""
        return self.admission.refused

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names on a flow with this local address."""
        return self._policy.sent_by(transport, local)

    def has_room(self) -> bool:
        """Whether one more connection may be accepted at all."""
        return self.admission.has_room()

    def refusal(self, flow: StreamFlow) -> str:
        """Why an accepted flow is one too many; the empty string when it is welcome."""
        if self._closing:
            return "the connection manager is going away"
        return self.admission.refusal(flow, self.pool.count_of_peer(flow.peer) if flow.peer else 0)

    def connection_denied(self, error: ConnectionFailure) -> None:
        """The application wants nothing of a connection that was accepted (row D24)."""
        if isinstance(error, TlsFailure):
            self._policy.tls_failure(error)
        else:
            self._peers_log.info("{error}", error=str(error))

    def connection_made(self, connection: StreamProtocol) -> bool:
        """A TCP connection stands; False when too many are still without a verified peer."""
        self.connections[connection] = None
        if not connection.is_incoming:
            return True
        return self.admission.begin_handshake(connection.address) and not self._closing

    def connection_ended(self, connection: StreamProtocol) -> None:
        """A TCP connection is gone."""
        self.connections.pop(connection, None)
        if connection.is_incoming and connection.flow is None:
            self.admission.end_handshake(connection.address)
        if not self.connections and self._emptied is not None:
            emptied, self._emptied = self._emptied, None
            # Not from within the connection's own end: what it carried has to be told first.
            self.reactor.callLater(0, emptied.callback, None)

    def flow_opened(self, flow: StreamFlow) -> None:
        """A flow may carry messages."""
        now = self.driver.now()
        flow.opened = flow.last_used = now
        flow.may_request = self._policy.may_request(flow)
        flow.sender_check = self._policy.sender_check(flow)
        if not flow.is_incoming and self._policy.offers_alias(flow):
            flow.via_params += ALIAS
        flow.restraint = self.restraint
        if self.offers_control and flow.is_secure and not flow.is_incoming:
            flow.via_params += OFFER
        self.pool.add(flow)
        if flow.is_incoming:
            self.admission.end_handshake(flow.first_address)
            self.admission.enter(flow)
            limits = flow.limits
            if flow.peer:
                self._first_verified.start(flow, now, limits.authenticated_first_message_timeout)
            else:
                self._first.start(flow, now, limits.first_message_timeout)
        self._idle.start(flow, now, self._unused_for(flow) / _IDLE_LOOKS)
        if self.keep_alives is not None:
            self.keep_alives.flow_opened(flow)
        self.driver.rearm()
        self._policy.tell_opened(flow)

    def flow_answers(self, flow: StreamFlow) -> None:
        """A pong came; it is no use of the flow."""
        if self.keep_alives is not None:
            self.keep_alives.pong(flow)

    def give_up(self, flow: LiveFlow, error: ConnectionFailure) -> None:
        """End a flow now and for this reason: its peer does not answer, or is not to be talked to any more."""
        if flow.reliable:
            self._given_up[flow] = error
            flow.abort()
        elif isinstance(flow, DatagramFlow):
            flow.fail(error)

    def datagram_flow_lost(self, flow: DatagramFlow, reason: ConnectionFailure) -> None:
        """What was on a UDP flow ends."""
        kept = self.keep_alives is not None and self.keep_alives.flow_lost(flow)
        transactions = self.driver.transactions_on(flow)
        self.driver.flow_failed(flow, reason)
        if kept or transactions or flow.leases:
            self._policy.tell_lost(flow, reason, transactions)

    def flow_active(self, flow: StreamFlow, partial: bool) -> None:
        """Something came; the deadlines move."""
        if partial:
            # From the message's first octet: what trickles in later does not move it.
            if not flow.is_partial:
                flow.is_partial = True
                self._partial.start(flow, self.driver.now(), flow.limits.partial_message_timeout)
                self.driver.rearm()
            return
        # Keep-alives are no messages: they keep a connection, and give nobody one.
        if flow.is_silent and flow.messages:
            flow.is_silent = False
            if flow.keep_alive is not None:
                flow.keep_alive.offered(flow)
            if flow.is_incoming:
                self._first.stop(flow)
                self._first_verified.stop(flow)
        flow.last_used = self.driver.now()
        if flow.is_partial:
            flow.is_partial = False
            self._partial.stop(flow)

    def flow_closing(self, flow: StreamFlow) -> None:
        """We have closed a flow: what is left to say, and the peer's goodbye, may not take for ever."""
        self._closed.start(flow, self.driver.now(), flow.limits.close_timeout)
        self.driver.rearm()

    def flow_stalled(self, flow: StreamFlow, waits: bool) -> None:
        """A transport has begun to have no room, or has had some: what is left has its time from now."""
        if waits:
            self._stalled.start(flow, self.driver.now(), flow.limits.stall_timeout)
            self.driver.rearm()
        else:
            self._stalled.stop(flow)

    def flow_throttled(self, flow: StreamFlow) -> None:
        """Nothing more is read from a peer, or again."""
        self._policy.flow_throttled(flow)

    def limits_changed(self, limits: Limits) -> None:
        """Other bounds hold for connections that come from now on, and for all of them together."""
        self.limits = limits
        self.admission.limits_changed(limits)
        self.write_queues.limits = self.partial.limits = limits

    def limit_hit(self, name: str) -> None:
        """A bound was reached: count it."""
        self.hits[name] = self.hits.get(name, 0) + 1

    def flow_lost(self, flow: StreamFlow, reason: BaseException) -> None:
        """A flow is gone; what it carried ends."""
        if self._given_up:
            reason = self._given_up.pop(flow, reason)
        if self.keep_alives is not None:
            self.keep_alives.flow_lost(flow)
        transactions = self.driver.transactions_on(flow)
        self.pool.remove(flow, reason)
        if flow.is_incoming:
            self.admission.leave(flow)
        if isinstance(reason, TlsFailure):
            self._policy.tls_failure(reason)
        self.driver.flow_failed(flow, reason)
        self._policy.tell_lost(flow, reason, transactions)

    def _silent(self, flow: Any) -> None:
        self.limit_hit("authenticated_first_message_timeout" if flow.peer else "first_message_timeout")
        self._peers_log.info("{flow} is closed: no message came", flow=flow)
        flow.abort()

    def _too_slow(self, flow: Any) -> None:
        self.limit_hit("partial_message_timeout")
        self._peers_log.info("{flow} is closed: a message was begun and not finished in time", flow=flow)
        flow.abort()

    def _takes_nothing(self, flow: Any) -> None:
        self.limit_hit("stall_timeout")
        self._peers_log.info("{flow} is cut off: it takes nothing of what is written to it", flow=flow)
        flow.abort()

    def _still_there(self, flow: Any) -> None:
        self.limit_hit("close_timeout")
        self._peers_log.info("{flow} is cut off: it was closed, and did not end", flow=flow)
        flow.abort()

    def _maybe_idle(self, flow: Any) -> None:
        """Idleness is looked for now and then, so that a message costs it no more than noting the time."""
        now = self.driver.now()
        held = self.keep_alives is not None and self.keep_alives.holds(flow)
        if flow.leases or held or self._policy.is_busy(flow):
            flow.last_used = now
        unused = self._unused_for(flow)
        if not unused or now - flow.last_used < unused:
            self._idle.start(flow, now, unused / _IDLE_LOOKS)
            return
        self.limit_hit("idle_timeout")
        self._peers_log.info("{flow} is closed: it was idle", flow=flow)
        flow.close()

    def _unused_for(self, flow: StreamFlow) -> float:
        """For how many seconds a flow that nobody holds is kept; 0 for any time."""
        return flow.limits.idle_timeout if flow.is_incoming else self.pool.lingers(flow.limits.idle_timeout)

    def close(self) -> Deferred[None]:
        """Accept and make no more flows, close those that are there, and fire when every socket of ours is gone."""
        self._closing = True
        self.admission.close()
        self.pool.close()
        return gatherResults([self._close_connections(), *self.datagrams.close()]).addCallback(lambda _: None)

    def _close_connections(self) -> Deferred[None]:
        """Close every flow, drop what is still in its handshake, and abort what has not ended a second later."""
        if not self.connections:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._emptied = closed
        for connection in tuple(self.connections):
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
        for connection in tuple(self.connections):
            connection.abort()
