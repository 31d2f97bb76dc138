"""SIP on UDP (RFC 3261 sections 18.1 and 18.2, RFC 3581), with STUN beside it on the same port (RFC 5626 section 8).

A flow is a pair of addresses. One is made when a peer is first heard of or written to and forgotten when others push it
out; there is nothing to lose by that, because on UDP a flow proves nothing about anybody.

Answers go to where a request really came from, whatever its Via says, ``maddr`` included: nobody has us write to
somebody else. What is written to an address that we did not choose ourselves is bounded by what came from it, because
anybody may have sent that under its name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol, cast, final

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol

from sip_p2p.errors import ConnectionFailure, MalformedMessage
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_datagram
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.stream.protocol import host_and_port, plain_host
from sip_p2p.transport.udp.port import LONGEST_DATAGRAM, UNREACHABLE, overflowed
from sip_p2p.transport.udp.stun import BINDING_REQUEST, binding_error, binding_response, parse_binding

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from twisted.internet import udp
    from twisted.internet.interfaces import IUDPTransport

    from sip_p2p.transport.driver import Driver
    from sip_p2p.transport.keep_alive import KeepAlives
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.throttle import LogBounds

__all__ = ["LONGEST_DATAGRAM", "MAX_UNSAFE_REQUEST", "DatagramFlow", "DatagramOwner", "DatagramPort"]

_ALL_ADDRESSES = ("0.0.0.0", "::")
_EVICTION_TRIES = 8
# Octets that are read before anything else has its turn. The quarter of a MiB that Twisted takes by itself is hundreds
# of messages, which make timers late, and the load look worse than it is.
_AT_ONCE = 48 * 1024
_BRANCH = re.compile(rb";branch=([^;, \t\r\n]+)")

MAX_UNSAFE_REQUEST = 1300
"""RFC 3261 section 18.1.1: a larger request goes over a transport with congestion control, the path's MTU being
unknown."""


class DatagramOwner(Protocol):
    """Whoever keeps the flows, as far as a UDP port needs it."""

    limits: Limits
    driver: Driver
    keep_alives: KeepAlives | None

    def sent_by(self, transport: str, local: tuple[str, int]) -> str:
        """What our Via names on a flow with this local address."""

    def limit_hit(self, name: str) -> None:
        """A bound of :class:`~sip_p2p.transport.limits.Limits` was reached."""

    def datagram_flow_lost(self, flow: DatagramFlow, reason: ConnectionFailure) -> None:
        """What is on a flow ends now."""


@final
class DatagramFlow(LiveFlow):
    """One peer's address as seen from one of our UDP ports.

    :ivar address: the peer's host, with its zone if it has one, and port: what the system calls it.
    :ivar credit: how many octets may be written to it, which we have not chosen ourselves; None for as many as we want.
    :ivar doubt: how many messages had come when the system last said that nobody is there; -1 where it never did.
    """

    __slots__ = ("_port", "address", "credit", "doubt")

    def __init__(
        self,
        port: DatagramPort,
        sent_by: str,
        local: tuple[str, int],
        address: tuple[str, int],
        *,
        is_incoming: bool = False,
    ) -> None:
        remote = plain_host(address[0]), address[1]
        super().__init__("UDP", False, sent_by, local, remote, is_incoming=is_incoming)
        self._port = port
        self.address = address
        self.credit: float | None = 0.0 if is_incoming else None
        self.doubt = -1

    def flush(self) -> None:
        """One datagram a message; to an address that may be forged no more than it has paid for."""
        parts = self._parts
        self._parts = []
        self.sent += len(parts)
        for data in parts:
            credit = self.credit
            if credit is not None:
                if len(data) > credit:
                    self._port.withheld(self)
                    continue
                self.credit = credit - len(data)
            self._port.send(data, self)

    @property
    def port(self) -> DatagramPort:
        """Ours."""
        return self._port

    def ping(self, binding: bytes) -> None:
        """Send a STUN request."""
        self._port.send(binding, self)

    def fail(self, reason: ConnectionFailure) -> None:
        """End what is on it; what comes or goes afterwards has a new flow."""
        self._port.fail(self, reason)

    def close(self) -> None:
        """Nothing: UDP has no connection, and the next datagram may come from a better peer."""

    def abort(self) -> None:
        """Nothing, as :meth:`close`."""


@final
class DatagramPort(DatagramProtocol):
    """One UDP port, whatever number of peers is behind it.

    :ivar ignored: how many datagrams were neither messages nor keep-alives worth an answer.
    :ivar forged: how many errors were told of datagrams that we cannot have sent, or that prove nothing.
    :ivar stopped: called when the port is closed, by us or by others.
    """

    noisy = False

    def __init__(self, owner: DatagramOwner, may_request: Callable[[LiveFlow], bool] | None = None) -> None:
        """
        :param may_request: of a port that is open because we send: who may ask something by it; None for a listener.
        """
        self._owner = owner
        self._may_request = may_request
        # To whom we have written by our own choice, and who has only come by: the latter, whom anybody can invent by
        # the thousand, give way first.
        self._chosen: OrderedDict[tuple[str, int], DatagramFlow] = OrderedDict()
        self._strangers: OrderedDict[tuple[str, int], DatagramFlow] = OrderedDict()
        self._amplification = owner.limits.datagram_amplification
        self.ignored = 0
        self.forged = 0
        self.stopped: Callable[[], None] | None = None

    @property
    def flows(self) -> tuple[DatagramFlow, ...]:
        """The peers that are known."""
        return (*self._chosen.values(), *self._strangers.values())

    def flow_to(self, host: str, port: int) -> DatagramFlow:
        """The flow to an address that we want to write to."""
        key = (host, port)
        flow = self._flow(key, False)
        if flow.is_incoming:
            self._chosen[key] = self._strangers.pop(key)
            flow.is_incoming = False
            flow.credit = None
            self._judge(flow)
        return flow

    def _flow(self, key: tuple[str, int], is_incoming: bool) -> DatagramFlow:
        flows = self._strangers
        flow = flows.get(key)
        if flow is None:
            flows = self._chosen
            flow = flows.get(key)
        if flow is not None:
            flows.move_to_end(key)
            return flow
        local = host_and_port(cast("IUDPTransport", self.transport).getHost())
        if local[0] in _ALL_ADDRESSES:
            local = (self._source_towards(key) or local[0], local[1])
        owner = self._owner
        flow = DatagramFlow(self, owner.sent_by("UDP", local), local, key, is_incoming=is_incoming)
        flow.opened = owner.driver.now()
        self._judge(flow)
        (self._strangers if is_incoming else self._chosen)[key] = flow
        if len(self._strangers) + len(self._chosen) > owner.limits.datagram_flows:
            self._evict()
        return flow

    def _judge(self, flow: DatagramFlow) -> None:
        """Decide what the peer may do: on a port of our own only somebody to whom we have written may ask."""
        if self._may_request is not None:
            flow.may_request = not flow.is_incoming and self._may_request(flow)
        if self._owner.keep_alives is not None:
            self._owner.keep_alives.flow_opened(flow)

    def _evict(self) -> None:
        """Forget the flow that was not used for longest, a stranger's where there is one, and if need be one on which
        something lives: that goes on. One that is leased stays, whatever the bound."""
        # The one that has just come may be the only stranger.
        flows = self._strangers if len(self._strangers) > 1 else self._chosen or self._strangers
        busy = 0
        for _ in range(len(flows) + _EVICTION_TRIES):
            key, flow = next(iter(flows.items()))
            if not flow.leases:
                busy += 1
                if busy > _EVICTION_TRIES or not self._owner.driver.transactions_on(flow):
                    break
            flows.move_to_end(key)
        else:
            return
        del flows[key]
        self._owner.limit_hit("datagram_flows")
        if self._owner.keep_alives is not None:
            self._owner.keep_alives.flow_lost(flow)

    def _source_towards(self, peer: tuple[str, int]) -> str:
        """The address from which the system writes to *peer*, which a port that is bound to all addresses cannot tell.

        The empty string if there is none. To connect a datagram socket sends nothing.
        """
        try:
            with contextlib.closing(cast("udp.Port", self.transport).createInternetSocket()) as probe:
                probe.connect(peer)
                return plain_host(probe.getsockname()[0])
        except OSError:
            # There is no way, or no descriptor is left to find it with.
            return ""

    def addresses_changed(self, addresses: Container[str]) -> None:
        """The machine has these addresses now: whoever was reached from another is reached from one of them."""
        local = host_and_port(cast("IUDPTransport", self.transport).getHost())
        if local[0] not in _ALL_ADDRESSES:
            return
        for flow in (*self._chosen.values(), *self._strangers.values()):
            if flow.local_host not in addresses:
                source = self._source_towards(flow.address)
                if source:
                    flow.local_host = source
                    flow.sent_by = self._owner.sent_by("UDP", (source, local[1]))

    @property
    def log_bounds(self) -> LogBounds:
        """How much may be logged of what peers cause."""
        return self._owner.driver.log_bounds

    @property
    def overflowed(self) -> int:
        """How many datagrams the system had no room for."""
        return overflowed(self.transport)

    def _known(self, address: tuple[str, int]) -> DatagramFlow | None:
        """The flow of this peer, if it is remembered."""
        return self._strangers.get(address) or self._chosen.get(address)

    def startProtocol(self) -> None:
        """The port is bound: ask for room for what comes while we are busy, as much as the system gives, and take
        little of it at a time."""
        port: Any = self.transport
        if hasattr(port, "maxThroughput"):
            port.maxThroughput = _AT_ONCE
        handle = getattr(port, "getHandle", None)
        sock = None if handle is None else handle()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._owner.limits.receive_buffer)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One datagram is at most one message (RFC 3261 section 18.3)."""
        if not datagram.strip(b"\r\n\0"):
            # A keep-alive of some NAT traversal: harmless, and no answer is expected.
            self.ignored += 1
            return
        if datagram[0] < 2:
            # RFC 5626 section 8: no SIP message begins so, and every STUN message of use here does.
            self._stun(datagram, addr)
            return
        driver = self._owner.driver
        item = parse_datagram(datagram, self._owner.limits.message)
        port = self._response_port(item, addr[1])
        flow = self._flow(addr if port == addr[1] else (addr[0], port), True)
        flow.messages += 1
        if flow.credit is not None:
            flow.credit += len(datagram) * self._amplification
        elif flow.messages == 1 and flow.keep_alive is not None:
            flow.keep_alive.offered(flow)
        if driver.is_tapped:
            driver.show("in", flow, datagram)
        driver.received(flow, (item,))

    def _response_port(self, item: object, source_port: int) -> int:
        """Where a response goes: to the source port if rport asks for it, else to that of sent-by (RFC 3581, 18.2.2).

        The address is always the one that the datagram came from: a Via cannot send our answers to somebody else. On a
        port of our own, where only those may ask to whom we have written, it is the source port, too.
        """
        if self._may_request is None and isinstance(item, Request):
            try:
                via = item.via
                if not via.asks_rport:
                    return via.port or 5060
            except MalformedMessage:
                return source_port
        return source_port

    def _stun(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Answer a Binding request, and take an answer to one of ours; everything else is dropped and counted."""
        try:
            binding = parse_binding(datagram)
            if binding.kind == BINDING_REQUEST:
                # Never more than two and a half times as much as came: a forged source is not worth the while.
                answer = binding_error if binding.unknown else None
                octets = binding_response(binding, plain_host(addr[0]), addr[1]) if answer is None else answer(binding)
                self._write(octets, addr)
                return
        except (MalformedMessage, ValueError, OSError):
            self.ignored += 1
            return
        flow = self._known(addr)
        keep_alives = self._owner.keep_alives
        if flow is None or keep_alives is None or not keep_alives.bound(flow, binding):
            self.ignored += 1

    def unreachable(self, address: tuple[str, int], quote: bytes, number: int) -> None:
        """The system says of a datagram that was sent to *address* that it did not arrive, and how it began.

        Anybody can send such errors under any name (RFC 5927). One counts if it quotes what only we and those on the
        way can know: the branch of a transaction that lives, or the transaction of a STUN request that waits. From an
        address that has been heard of before it takes two, with nothing heard in between: a storm of them ends no flow
        on which answers come.
        """
        flow = self._known(address)
        if flow is None or not self._is_ours(flow, quote):
            self.forged += 1
            return
        if flow.messages and flow.doubt != flow.messages:
            flow.doubt = flow.messages
            return
        self._undelivered(flow, f"nobody is at {address[0]}:{address[1]} by UDP: {os.strerror(number)}")

    def _is_ours(self, flow: DatagramFlow, quote: bytes) -> bool:
        if quote[:1] < b"\x02":
            keep_alives = self._owner.keep_alives
            return keep_alives is not None and keep_alives.waits_for(flow, quote[8:20])
        found = _BRANCH.search(quote)
        if found is None:
            return False
        branch = found[1].decode("ascii", "replace")
        living = self._owner.driver.transactions_on(flow)
        return any(transaction.request.via.branch == branch for transaction in living)

    def _undelivered(self, flow: DatagramFlow, reason: str) -> None:
        """Our requests on *flow* end. So does all else, unless the peer has asked something: it may ask that again, and
        is not to be taken for somebody who asks something new (RFC 6026 section 7.1)."""
        error = ConnectionFailure(reason)
        if not self._owner.driver.requests_failed(flow, error):
            self.fail(flow, error)

    def fail(self, flow: DatagramFlow, reason: ConnectionFailure) -> None:
        """What is on *flow* ends; what comes or goes afterwards has a new flow."""
        if self._known(flow.address) is flow:
            del (self._strangers if flow.is_incoming else self._chosen)[flow.address]
        flow.is_open = False
        self._owner.datagram_flow_lost(flow, reason)

    def withheld(self, flow: DatagramFlow) -> None:
        """An answer was too large for what came: it is not sent."""
        self._owner.limit_hit("datagram_amplification")

    def send(self, data: bytes, flow: DatagramFlow) -> None:
        """Write one datagram.

        What no datagram can hold is lost, as any datagram may be. That nothing leads to the peer ends what is on the
        flow; every other refusal of the system is a loss, and the timers see to the rest.
        """
        try:
            self._write(data, flow.address)
        except MessageLengthError:
            self.ignored += 1
        except OSError as error:
            self.ignored += 1
            # A firewall of this machine says EACCES or EPERM of what it drops.
            if error.errno in UNREACHABLE and error.errno != errno.EACCES and flow.is_open:
                where = f"{flow.remote_host}:{flow.remote_port}"
                self._undelivered(flow, f"nothing leads to {where} by UDP: {error.strerror}")

    def _write(self, data: bytes, address: tuple[str, int]) -> None:
        transport: Any = self.transport
        if transport is not None:
            transport.write(data, address)

    def stopProtocol(self) -> None:
        """The port is closed: everything on it ends, also on flows that were pushed out."""
        reason = ConnectionFailure("the UDP port was closed")
        flows = [*self._chosen.values(), *self._strangers.values()]
        self._chosen.clear()
        self._strangers.clear()
        for busy in self._owner.driver.busy_flows():
            if isinstance(busy, DatagramFlow) and busy.port is self and busy.is_open and busy not in flows:
                flows.append(busy)
        for flow in flows:
            flow.is_open = False
            self._owner.datagram_flow_lost(flow, reason)
        if self.stopped is not None:
            self.stopped()
