"""SIP on UDP (RFC 3261 sections 18.1 and 18.2, RFC 3581).

A flow is a pair of addresses. One is made when a peer is first heard of or written to and forgotten when others push it
out; there is nothing to lose by that, because on UDP a flow proves nothing about anybody.
"""

from __future__ import annotations

import contextlib
import socket
from collections import OrderedDict
from typing import TYPE_CHECKING, cast, final

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol

from sip_p2p.errors import ConnectionFailure, MalformedMessage
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import Unparsable, parse_datagram
from sip_p2p.transport.flow import LiveFlow
from sip_p2p.transport.stream import host_and_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet import udp
    from twisted.internet.interfaces import IUDPTransport

    from sip_p2p.transport.stream import FlowOwner

__all__ = ["LONGEST_DATAGRAM", "MAX_UNSAFE_REQUEST", "DatagramFlow", "DatagramPort"]

_ALL_ADDRESSES = ("0.0.0.0", "::")

LONGEST_DATAGRAM = 65535
"""The whole of what UDP can carry: Twisted's own default would cut a large message off."""

MAX_UNSAFE_REQUEST = 1300
"""RFC 3261 section 18.1.1: a larger request goes over a transport with congestion control, the path's MTU being
unknown."""


@final
class DatagramFlow(LiveFlow):
    """One peer's address as seen from one of our UDP ports."""

    __slots__ = ("_port",)

    def __init__(self, port: DatagramPort, sent_by: str, local: tuple[str, int], remote: tuple[str, int]) -> None:
        super().__init__("UDP", False, sent_by, local, remote, is_incoming=False)
        self._port = port

    def flush(self) -> None:
        """One datagram a message."""
        parts = self._parts
        self._parts = []
        for data in parts:
            self._port.send(data, self.remote_host, self.remote_port)

    def close(self) -> None:
        """Nothing: UDP has no connection, and the next datagram may come from a better peer."""

    def abort(self) -> None:
        """Nothing, as :meth:`close`."""


@final
class DatagramPort(DatagramProtocol):
    """One UDP port, whatever number of peers is behind it.

    :ivar ignored: how many datagrams were neither messages nor keep-alives worth an answer.
    """

    noisy = False

    def __init__(self, owner: FlowOwner, may_request: Callable[[LiveFlow], bool] | None = None) -> None:
        """
        :param may_request: of a port that is open because we send: who may ask something by it; None for a listener.
        """
        self._owner = owner
        self._may_request = may_request
        self._flows: OrderedDict[tuple[str, int], DatagramFlow] = OrderedDict()
        self.ignored = 0

    def flow_to(self, host: str, port: int) -> DatagramFlow:
        """The flow to a peer's address."""
        key = (host, port)
        flow = self._flows.get(key)
        if flow is not None:
            self._flows.move_to_end(key)
            return flow
        local = host_and_port(cast("IUDPTransport", self.transport).getHost())
        if local[0] in _ALL_ADDRESSES:
            local = (self._source_towards(key) or local[0], local[1])
        flow = self._flows[key] = DatagramFlow(self, self._owner.sent_by("UDP", local), local, key)
        if self._may_request is not None:
            flow.may_request = self._may_request(flow)
        if len(self._flows) > self._owner.limits.datagram_flows:
            self._flows.popitem(last=False)
        return flow

    def _source_towards(self, peer: tuple[str, int]) -> str:
        """The address from which the system writes to *peer*, which a port that is bound to all addresses cannot tell.

        The empty string if there is none. To connect a datagram socket sends nothing.
        """
        probe = cast("udp.Port", self.transport).createInternetSocket()
        try:
            probe.connect(peer)
            source: str = probe.getsockname()[0]
        except OSError:
            return ""
        finally:
            probe.close()
        return source.partition("%")[0]

    def startProtocol(self) -> None:
        """The port is bound: ask for room for what comes while we are busy, as much as the system gives."""
        handle = getattr(self.transport, "getHandle", None)
        sock = None if handle is None else handle()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._owner.limits.receive_buffer)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One datagram is at most one message (RFC 3261 section 18.3)."""
        host = addr[0].partition("%")[0]
        if not datagram.strip(b"\r\n\0"):
            # A keep-alive of some NAT traversal: harmless, and no answer is expected.
            self.ignored += 1
            return
        driver = self._owner.driver
        item = parse_datagram(datagram, self._owner.limits.message)
        flow = self.flow_to(host, self._response_port(item, addr[1]))
        if driver.is_tapped:
            driver.show("in", flow, datagram)
        driver.received(flow, (item,))

    @staticmethod
    def _response_port(item: object, source_port: int) -> int:
        """Where a response goes: to the source port if rport asks for it, else to that of sent-by (RFC 3581, 18.2.2).

        The address is always the one that the datagram came from: a Via cannot send our answers to somebody else.
        """
        if isinstance(item, Unparsable):
            return source_port
        if isinstance(item, Request):
            try:
                via = item.via
                if via.asks_rport:
                    return source_port
            except MalformedMessage:
                return source_port
            return via.port or 5060
        return source_port

    def send(self, data: bytes, host: str, port: int) -> None:
        """Write one datagram.

        What the system refuses, or no datagram can hold, is lost, as any datagram may be: the timers see to the rest.
        """
        if self.transport is None:
            return
        try:
            self.transport.write(data, (host, port))
        except (OSError, MessageLengthError):
            self.ignored += 1

    def stopProtocol(self) -> None:
        """The port is closed: everything on it ends."""
        flows = list(self._flows.values())
        self._flows.clear()
        for flow in flows:
            flow.is_open = False
            self._owner.driver.flow_failed(flow, ConnectionFailure("the UDP port was closed"))
