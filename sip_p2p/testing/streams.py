"""Streams of the network in memory: TCP as its user sees it (RFC 9293).

:class:`StreamSocket` keeps order, a window that fills when the reader does not read, half-close, FIN and RST, and a
backlog; each of its directions is a :class:`Pipe`. Segments are never lost in here: what loss does to TCP is a delay.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from sip_p2p.testing.sockets import MemorySocket, plain_address, system_error

if TYPE_CHECKING:
    from sip_p2p.testing.host import Host

__all__ = ["WINDOW", "Pipe", "StreamSocket"]

#: Octets that a stream carries before its reader must take some (the kernel's buffers on both sides together).
WINDOW = 64 * 1024

_LINGER = (socket.SOL_SOCKET, socket.SO_LINGER)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TCP_INFO = (socket.IPPROTO_TCP, getattr(socket, "TCP_INFO", -1))
_MIN_RTT_AT = 148

# What travels in a pipe.
_DATA, _ESTABLISHED, _FIN, _RESET = "data", "established", "fin", "reset"


class Pipe:
    """One direction of a stream: what was sent and has not arrived, in order.

    :ivar unread: octets that were sent and that the reader has not taken: what fills the window.
    :ivar dead: the receiver has vanished: nothing arrives any more, and nobody is told.
    """

    __slots__ = ("_last_arrival", "_queue", "_scheduled", "dead", "source", "target", "unread")

    def __init__(self, source: StreamSocket, target: StreamSocket) -> None:
        self.source = source
        self.target = target
        self.unread = 0
        self.dead = False
        self._queue: deque[tuple[float, str, bytes]] = deque()
        self._scheduled = False
        self._last_arrival = 0.0

    def put(self, kind: str, data: bytes = b"") -> None:
        """Send one segment on its way."""
        if self.dead:
            return
        network = self.source.host.network
        arrival = network.seconds() + network.draw_delay(self.source.host, self.target.host, retransmits=True)
        # The next segment may not overtake this one.
        self._last_arrival = max(self._last_arrival, arrival)
        self._queue.append((self._last_arrival, kind, data))
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        self.source.host.network.at(self._queue[0][0], self._deliver)

    def _deliver(self) -> None:
        """Hand over what is due, unless the path is cut off: then it waits for :meth:`resume`."""
        network = self.source.host.network
        self._scheduled = False
        if not self._queue:
            return
        if network.is_parted(self.source.host, self.target.host):
            network.hold(self)
            return
        due = max(network.seconds(), self._queue[0][0])
        while self._queue and self._queue[0][0] <= due:
            _, kind, data = self._queue.popleft()
            network.note(self.source, self.target, f"{kind} {len(data)}" if data else kind)
            self.target.arrive(kind, data)
        if self._queue:
            self._schedule()

    def resume(self) -> None:
        """The path is whole again: what was waiting arrives."""
        if self._queue and not self._scheduled:
            self._schedule()

    def kill(self) -> None:
        """From now on nothing arrives."""
        self.dead = True
        self._queue.clear()


class StreamSocket(MemorySocket):
    """A TCP socket: connecting, connected or listening."""

    protocol = "TCP"

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self.outgoing: Pipe | None = None
        self.incoming: Pipe | None = None
        self.backlog: int | None = None
        self.listener: StreamSocket | None = None
        self._accepted: deque[StreamSocket] = deque()
        self._pending = 0
        self._state = "new"
        self._received: deque[bytes] = deque()
        self._end_received = False
        self._end_sent = False
        self._error = 0

    # Listening

    def listen(self, backlog: int) -> None:
        """Accept connections, up to *backlog* of them unasked for."""
        self._check_open()
        self.backlog = max(1, backlog)

    def accept(self) -> tuple[StreamSocket, tuple[Any, ...]]:
        """The oldest established connection and its remote address."""
        self._check_open()
        if not self._accepted:
            raise system_error(errno.EWOULDBLOCK)
        connection = self._accepted.popleft()
        return connection, connection.getpeername()

    # Connecting: SYN, SYN and ACK, ACK, each taking the delay of its path

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        """Begin to connect. The outcome is an errno, as :meth:`socket.socket.connect_ex` has it."""
        if self._state == "connecting":
            return errno.EALREADY
        if self._state == "connected":
            return errno.EISCONN
        target = plain_address(address[0])
        try:
            self._bind_for(target)
        except OSError as error:
            return error.errno or errno.EIO
        self.remote = (target, address[1])
        self._state = "connecting"
        network = self.host.network
        network.note(self, None, "connect")
        server = network.host_at(target, self.host)
        if server is None:
            network.later(network.conditions.delay, self._refused, errno.EHOSTUNREACH)
        else:
            network.later(network.draw_delay(self.host, server, retransmits=True), self._ask, server)
        return errno.EINPROGRESS

    def _ask(self, server: Host) -> None:
        """The SYN arrives at the server's host."""
        network = self.host.network
        if self.closed or self.remote is None or self.local is None:
            return
        listener = server.listener(*self.remote)
        parted = network.is_parted(self.host, server)
        if parted or (listener is not None and listener.is_full()):
            # Lost, or dropped by a full backlog: TCP tries again after a second (RFC 6298).
            network.later(1.0, self._ask, server)
        elif listener is None:
            network.later(network.draw_delay(server, self.host), self._refused, errno.ECONNREFUSED)
        else:
            twin = StreamSocket(server, listener.family)
            twin.local, twin.remote, twin.listener = self.remote, self.local, listener
            twin._state = "connected"
            listener._pending += 1
            self.outgoing = twin.incoming = Pipe(self, twin)
            self.incoming = twin.outgoing = Pipe(twin, self)
            self.incoming.put(_ESTABLISHED)

    def _refused(self, number: int) -> None:
        if not self.closed:
            self._error = number
            self.host.poke()

    def is_full(self) -> bool:
        """Whether a listening socket has all the connections that its backlog allows."""
        return self.backlog is not None and len(self._accepted) + self._pending >= self.backlog

    # Data

    def send(self, data: Any) -> int:
        """Send as much as the window takes."""
        self._check_open()
        if self._error:
            raise system_error(self._error)
        if self.outgoing is None or self._state != "connected":
            raise system_error(errno.ENOTCONN)
        if self._end_sent:
            raise system_error(errno.EPIPE)
        room = WINDOW - self.outgoing.unread
        if room <= 0:
            raise system_error(errno.EWOULDBLOCK)
        taken = bytes(data[:room])
        self.outgoing.unread += len(taken)
        for segment in self.host.network.cut_up(self.host, self.outgoing.target.host, taken):
            self.outgoing.put(_DATA, segment)
        return len(taken)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """The next segment, at most *size* octets of it; empty at the end of the stream. ``MSG_PEEK`` leaves it
        there."""
        self._check_open()
        if self._received and flags & socket.MSG_PEEK:
            return self._received[0][:size]
        if self._received:
            segment = self._received.popleft()
            if len(segment) > size:
                self._received.appendleft(segment[size:])
                segment = segment[:size]
            self._taken(len(segment))
            return segment
        if self._error:
            raise system_error(self._error)
        if self._end_received:
            return b""
        raise system_error(errno.EWOULDBLOCK)

    def _taken(self, octets: int) -> None:
        """Open the window again for the other side."""
        pipe = self.incoming
        if pipe is not None:
            pipe.unread -= octets
            if not pipe.dead and not pipe.source.closed:
                pipe.source.host.poke()

    def arrive(self, kind: str, data: bytes) -> None:
        """A segment from the other side."""
        if kind == _RESET:
            self.fail(errno.ECONNRESET)
        elif self.closed:
            # RFC 9293 section 3.10.7.1: data for a connection that is no more is answered with a reset.
            if kind == _DATA and self.outgoing is not None:
                self.outgoing.put(_RESET)
        elif kind == _ESTABLISHED:
            self._established()
        elif kind == _FIN:
            self._end_received = True
        else:
            self._received.append(data)
        self.host.poke()

    def _established(self) -> None:
        if self._state == "connecting":
            self._state = "connected"
            if self.outgoing is not None:
                self.outgoing.put(_ESTABLISHED)
        elif self.listener is not None:
            listener, self.listener = self.listener, None
            listener._pending -= 1
            if listener.closed:
                self.reset()
            else:
                listener._accepted.append(self)
                listener.host.poke()

    # The end

    def shutdown(self, how: int) -> None:
        """End our direction (``SHUT_WR``) or both."""
        if self._state != "connected" or self._error:
            raise system_error(errno.ENOTCONN)
        if how != socket.SHUT_RD and not self._end_sent and self.outgoing is not None:
            self._end_sent = True
            self.outgoing.put(_FIN)

    def close(self) -> None:
        """Close: with a FIN, or with a reset where data was left unread or ``SO_LINGER`` asks for it."""
        if self.closed:
            return
        for connection in self._accepted:
            connection.reset()
        abort = self._state == "connecting" or self._options.get(_LINGER) == _RESET_ON_CLOSE
        if self.outgoing is not None and not self._error:
            if not self._end_sent and not abort:
                self._end_sent = True
                self.outgoing.put(_FIN)
            if abort or self._received:
                self.outgoing.put(_RESET)
        super().close()

    def reset(self) -> None:
        """Close with a reset, whatever is queued."""
        self._options[_LINGER] = _RESET_ON_CLOSE
        self.close()

    def fail(self, number: int) -> None:
        """The connection is broken: reading, once what has arrived is read, and writing fail with this errno."""
        if not self.closed and not self._error:
            self._error = number
            if self.listener is not None:
                self.listener._pending -= 1
                self.listener = None
                self.close()
            self.host.poke()

    def getsockopt(self, level: int, name: int, size: int = 0) -> Any:
        """An option; ``SO_ERROR`` says why connecting failed, ``TCP_INFO`` how fast the way is, as Linux does."""
        if (level, name) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return self._error
        if (level, name) == _TCP_INFO:
            return self._tcp_info(size)
        return super().getsockopt(level, name)

    def _tcp_info(self, size: int) -> bytes:
        """The kernel's ``struct tcp_info`` up to ``tcpi_min_rtt``, its only field that is filled in."""
        delay = 0.0
        if self.outgoing is not None:
            delay = self.host.network.shortest_round_trip(self.host, self.outgoing.target.host)
        return (bytes(_MIN_RTT_AT) + struct.pack("=I", round(delay * 1e6)))[:size]

    def readable(self) -> bool:
        """Whether there is data, an end, an error or a connection to accept."""
        return bool(self._received or self._end_received or self._error or self._accepted)

    def writable(self) -> bool:
        """Whether the window is open, or a write would fail at once."""
        if self._error:
            return True
        return self._state == "connected" and self.outgoing is not None and self.outgoing.unread < WINDOW
