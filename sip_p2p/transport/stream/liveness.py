"""What can be known of a peer that has closed a connection: whether it has, and whether it can have read a request.

A connection on which nothing is going on may have been closed by its peer without our having noticed. Before it is
written to, the socket is asked whether something waits in it; if so, the reactor may read that first. What remains is a
goodbye that is still under way when we write. Then time tells: the end of a connection that arrives *sooner after our
write than anything can travel to the peer and back* was sent before our octets were there. Such a request was never
read, and may be sent again without being delivered twice. How fast the way is, the system knows (Linux measures it for
each connection from its first packet on); where it does not tell, nothing is assumed.

A connection that was reset, or whose end comes later, proves nothing: the peer may have read the request and died of
it.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sip_p2p.transport.stream.flow import StreamFlow

__all__ = ["IDEMPOTENT", "fastest_round_trip", "has_unread", "socket_below", "was_never_read"]

IDEMPOTENT = frozenset(("OPTIONS",))
"""The methods that may be delivered twice: whatever became of the first, a second one changes nothing."""

# A plain number: combining the two takes as long as the system call.
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)

# Where the kernel's struct tcp_info holds tcpi_min_rtt, in microseconds; it is there since Linux 4.6.
_MIN_RTT_AT = 148
_TCP_INFO = getattr(socket, "TCP_INFO", None)
_LONGEST_ROUND_TRIP = 60.0

# The exchange that is judged may have been a little faster than all before it.
_SURELY = 0.75


def socket_below(transport: Any) -> Any:
    """The socket at the bottom of *transport*, however many layers stand on it; None where there is none."""
    while True:
        below = getattr(transport, "transport", None)
        if below is None:
            break
        transport = below
    get_handle = getattr(transport, "getHandle", None)
    handle = None if get_handle is None else get_handle()
    return handle if hasattr(handle, "getsockopt") and hasattr(handle, "recv") else None


def has_unread(connection: Any) -> bool:
    """Whether something waits in a socket to be read: octets, its end, or an error. It stays there."""
    if connection is None:
        return False
    try:
        connection.recv(1, _PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def fastest_round_trip(connection: Any) -> float:
    """The fastest way to the peer and back that the system has seen on a socket, in seconds; 0 when it does not
    tell."""
    if connection is None or _TCP_INFO is None:
        return 0.0
    try:
        facts = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _MIN_RTT_AT + 4)
    except OSError:
        return 0.0
    if len(facts) < _MIN_RTT_AT + 4:
        return 0.0
    seconds = float(struct.unpack_from("=I", facts, _MIN_RTT_AT)[0]) / 1e6
    return seconds if seconds < _LONGEST_ROUND_TRIP else 0.0


def was_never_read(flow: StreamFlow, written: float, now: float) -> bool:
    """Whether the peer had closed *flow* before a request could reach it.

    :param written: when the request was written.
    :param now: when the end of the flow was found.
    """
    return flow.is_ended_in_order and now - written < _SURELY * flow.round_trip
