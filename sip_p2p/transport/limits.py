"""Every bound on what a peer can make us hold or wait for, by name.

A :class:`Limits` belongs to one connection manager. All times are in seconds. What happens at each bound is said beside
it; nothing here is ever exceeded in silence.
"""

from __future__ import annotations

import resource
from typing import final

from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.transaction.finished import LIMIT_OCTETS

__all__ = ["Limits"]


def _default_connections() -> int:
    """80 % of the descriptors that the process may open: what is left is for dialling, files and listeners."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 65536 if soft == resource.RLIM_INFINITY else max(16, soft * 8 // 10)


@final
class Limits:
    """The bounds of one connection manager.

    :ivar message: sizes within one message; see :class:`~sip_p2p.sip.limits.MessageLimits`.
    :ivar handshake_timeout: from the TCP connection to a verified peer; then the connection is closed.
    :ivar connect_timeout: to establish one outgoing connection, handshake not included; then the request fails.
    :ivar attempt_delay: between the attempts at two addresses of one server (RFC 8305); the first that connects is used.
    :ivar attempts: addresses of one server that are tried for one connection; those after them are not.
    :ivar redial_delay: for how long a peer is left alone after one failure, at most; twice as long after each further
        one. A request that comes sooner fails at once, with the reason of the last failure.
    :ivar redial_delay_longest: the most that this grows to.
    :ivar failures_remembered: peers that are left alone at a time; the one that failed longest ago is dialled again.
    :ivar first_message_timeout: from an accepted connection to its first complete message; then it is closed.
    :ivar authenticated_first_message_timeout: the same for a peer that proved who it is.
    :ivar partial_message_timeout: from a message's first octet to its last, however it trickles; then 408 is not sent
        and the connection is closed.
    :ivar close_timeout: from our closing of a connection to its end, for what is left to say and the peer's goodbye;
        then it is aborted.
    :ivar idle_timeout: without a message and without a live transaction; 0 means never. Then the connection is closed,
        an eighth later at the latest.
    :ivar answer_timeout: how long an application may take to answer a request; then it is answered 500.
    :ivar drain_timeout: how long :meth:`terminate` waits for what is in flight.
    :ivar connections: accepted connections altogether; more are closed at once.
    :ivar connections_per_address: accepted connections from one address, loopback excepted; more are closed at once.
    :ivar connections_per_identity: accepted connections of one verified identity; more are closed after the handshake.
    :ivar handshakes: accepted connections that have not finished their handshake; more are closed at once.
    :ivar write_buffer: octets waiting to be written to one connection, beyond the 64 KiB that its transport takes; over
        it reading from that peer is paused.
    :ivar write_buffer_hard: the same; over this the connection is aborted.
    :ivar transactions: live transactions without a final response, each way; more are answered 503 with Retry-After.
    :ivar finished_transactions: finished transactions that wait out their timers on UDP; the oldest gives way.
    :ivar finished_octets: octets of theirs that are kept for it, altogether; the same.
    :ivar receive_buffer: octets of datagrams that may wait in the system, as far as it grants them; what comes when it
        is full is lost, and sent again by its sender.
    :ivar datagram_flows: UDP peers remembered at a time; the one not heard of for longest gives way.
    """

    __slots__ = (
        "answer_timeout",
        "attempt_delay",
        "attempts",
        "authenticated_first_message_timeout",
        "close_timeout",
        "connect_timeout",
        "connections",
        "connections_per_address",
        "connections_per_identity",
        "datagram_flows",
        "drain_timeout",
        "failures_remembered",
        "finished_octets",
        "finished_transactions",
        "first_message_timeout",
        "handshake_timeout",
        "handshakes",
        "idle_timeout",
        "message",
        "partial_message_timeout",
        "receive_buffer",
        "redial_delay",
        "redial_delay_longest",
        "transactions",
        "write_buffer",
        "write_buffer_hard",
    )

    def __init__(
        self,
        *,
        message: MessageLimits | None = None,
        handshake_timeout: float = 5.0,
        connect_timeout: float = 10.0,
        attempt_delay: float = 0.25,
        attempts: int = 8,
        redial_delay: float = 0.5,
        redial_delay_longest: float = 30.0,
        failures_remembered: int = 4096,
        first_message_timeout: float = 10.0,
        authenticated_first_message_timeout: float = 30.0,
        partial_message_timeout: float = 10.0,
        close_timeout: float = 5.0,
        idle_timeout: float = 120.0,
        answer_timeout: float = 24.0,
        drain_timeout: float = 5.0,
        connections: int | None = None,
        connections_per_address: int = 256,
        connections_per_identity: int = 64,
        handshakes: int = 256,
        write_buffer: int = 256 * 1024,
        write_buffer_hard: int = 1024 * 1024,
        transactions: int = 16384,
        finished_transactions: int = 1_000_000,
        finished_octets: int = LIMIT_OCTETS,
        datagram_flows: int = 4096,
        receive_buffer: int = 4 * 1024 * 1024,
    ) -> None:
        """
        :raises ValueError: when a bound is negative, or zero where zero has no meaning.
        """
        self.message = MessageLimits() if message is None else message
        self.handshake_timeout = handshake_timeout
        self.connect_timeout = connect_timeout
        self.attempt_delay = attempt_delay
        self.attempts = attempts
        self.redial_delay = redial_delay
        self.redial_delay_longest = redial_delay_longest
        self.failures_remembered = failures_remembered
        self.first_message_timeout = first_message_timeout
        self.authenticated_first_message_timeout = authenticated_first_message_timeout
        self.partial_message_timeout = partial_message_timeout
        self.close_timeout = close_timeout
        self.idle_timeout = idle_timeout
        self.answer_timeout = answer_timeout
        self.drain_timeout = drain_timeout
        self.connections = _default_connections() if connections is None else connections
        self.connections_per_address = connections_per_address
        self.connections_per_identity = connections_per_identity
        self.handshakes = handshakes
        self.write_buffer = write_buffer
        self.write_buffer_hard = write_buffer_hard
        self.transactions = transactions
        self.finished_transactions = finished_transactions
        self.finished_octets = finished_octets
        self.datagram_flows = datagram_flows
        self.receive_buffer = receive_buffer
        for name in self.__slots__:
            value = getattr(self, name)
            # Written so that a NaN, which is neither more nor less than anything, is refused as well.
            if name != "message" and not (value > 0 or (value == 0 and name in ("idle_timeout", "drain_timeout"))):
                raise ValueError(f"the limit {name!r} cannot be {value}")
