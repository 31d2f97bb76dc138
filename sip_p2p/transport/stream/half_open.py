"""A peer that has vanished is noticed by the system: TCP keep-alive (RFC 1122 section 4.2.3.6) and RFC 5482.

When a peer's machine loses its power, or a NAT between forgets the connection, nothing comes that says so. The system
probes a connection that has been silent for a minute, and gives one up on which what was written, or a probe, stays
unacknowledged. Pings of SIP's own, where they are agreed on, notice it sooner; see :mod:`.keep_alive`.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from sip_p2p.transport.stream.liveness import socket_below

__all__ = ["watch_for_the_end"]

_SILENCE = 60
_PROBES = 3


def watch_for_the_end(transport: Any, seconds: float) -> None:
    """Have the system give the connection below *transport* up when its peer's system is silent for *seconds* though it
    should answer; what the system cannot do is left out."""
    connection = socket_below(transport)
    if connection is None:
        return
    between = max(1, round(seconds / _PROBES))
    options = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _SILENCE),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", between),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", max(1, round(seconds * 1000))),
    )
    for level, name, value in options:
        number = getattr(socket, name, None)
        if number is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(level, number, value)
