"""Sockets of the network in memory: as much of :class:`socket.socket` as Twisted's transports use.

:class:`StreamSocket` keeps TCP's promises to its user (RFC 9293): order, a window that fills when the reader does not
read, half-close, FIN and RST, a backlog. :class:`DatagramSocket` keeps those of UDP, which are few. Both raise the
``OSError`` that Linux would raise. Nothing here knows a protocol, a Deferred or the clock; the
:class:`~sip_p2p.testing.network.Network` carries what they send, :class:`~sip_p2p.testing.host.Host` asks them whether
they are ready.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from sip_p2p.testing.conditions import Datagram

if TYPE_CHECKING:
    from sip_p2p.testing.host import Host

__all__ = ["DatagramSocket", "MemorySocket", "Pipe", "StreamSocket"]

#: Octets that a stream carries before its reader must take some (the kernel's buffers on both sides together).
WINDOW = 64 * 1024

#: Octets of datagrams that wait for a reader before more are dropped.
DATAGRAM_BUFFER = 208 * 1024

_LINGER = (socket.SOL_SOCKET, socket.SO_LINGER)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ANY: dict[int, str] = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
_LONGEST_DATAGRAM: dict[int, int] = {socket.AF_INET: 65507, socket.AF_INET6: 65527}

# What travels in a pipe beside data.
_DATA, _ESTABLISHED, _FIN, _RESET = "data", "established", "fin", "reset"


def system_error(number: int) -> OSError:
    """The ``OSError`` (of the right subclass) for an errno."""
    return OSError(number, os.strerror(number))


class MemorySocket:
    """What streams and datagrams share: an address, a number, options."""

    protocol = ""

    def __init__(self, host: Host, family: int) -> None:
        self.host = host
        self.family = family
        self.local: tuple[str, int] | None = None
        self.remote: tuple[str, int] | None = None
        self.closed = False
        self.number = host.network.take_descriptor()
        self._options: dict[tuple[int, int], Any] = {}
        host.adopt(self)

    def fileno(self) -> int:
        """A number that stands for this socket, and for no descriptor of the process; -1 once closed."""
        return -1 if self.closed else self.number

    def setblocking(self, flag: bool) -> None:
        """Sockets in memory never block."""

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """Remember an option; ``SO_LINGER`` with a time of nought makes :meth:`close` reset a stream."""
        self._options[level, name] = value

    def getsockopt(self, level: int, name: int) -> Any:
        """An option as it was set, or 0."""
        return self._options.get((level, name), 0)

    def bind(self, address: tuple[Any, ...]) -> None:
        """Take a local address and port; port 0 takes a free one, an empty address all of the family."""
        self._check_open()
        wanted = _plain("127.0.0.1" if address[0] == "localhost" else address[0]) or _ANY[self.family]
        if (":" in wanted) != (self.family == socket.AF_INET6):
            raise system_error(errno.EAFNOSUPPORT)
        self.local = self.host.reserve(self, wanted, address[1])

    def getsockname(self) -> tuple[Any, ...]:
        """The local address, as the family writes it."""
        self._check_open()
        return self._address(self.local or (_ANY[self.family], 0))

    def getpeername(self) -> tuple[Any, ...]:
        """The remote address, as the family writes it."""
        if self.remote is None:
            raise system_error(errno.ENOTCONN)
        return self._address(self.remote)

    def covers(self, address: str, port: int) -> bool:
        """Whether what is sent to *address* and *port* of this host belongs to this socket."""
        if self.local is None or self.local[1] != port:
            return False
        bound = self.local[0]
        return bound in (address, "::") or (bound == "0.0.0.0" and ":" not in address)

    def readable(self) -> bool:
        """Whether a read would not block."""
        return False

    def writable(self) -> bool:
        """Whether a write would not block."""
        return False

    def close(self) -> None:
        """Let go of the address; what is queued for this socket is lost."""
        if not self.closed:
            self.closed = True
            self.host.release(self)

    def _address(self, address: tuple[str, int]) -> tuple[Any, ...]:
        if self.family == socket.AF_INET6:
            # A socket bound to "::" serves IPv4 as well and sees it mapped (RFC 3493 section 3.7).
            text = address[0] if ":" in address[0] else f"::ffff:{address[0]}"
            return (text, address[1], 0, 0)
        return address

    def _check_open(self) -> None:
        if self.closed:
            raise system_error(errno.EBADF)

    def _bind_for(self, target: str) -> None:
        """Give an unbound socket a port, and the address from which *target* is reached."""
        if self.local is None:
            self.local = self.host.reserve(self, self.host.source_for(target), 0)

    def __repr__(self) -> str:
        ends = [f"{address[0]}:{address[1]}" for address in (self.local, self.remote) if address is not None]
        return f"<{self.protocol} {' - '.join(ends) or 'unbound'}>"


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
        if not self._queue or network.is_parted(self.source.host, self.target.host):
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
        target = _plain(address[0])
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

    def recv(self, size: int) -> bytes:
        """The next segment, at most *size* octets of it; empty at the end of the stream."""
        self._check_open()
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

    def getsockopt(self, level: int, name: int) -> Any:
        """An option; ``SO_ERROR`` says why connecting failed."""
        if (level, name) == (socket.SOL_SOCKET, socket.SO_ERROR):
            return self._error
        return super().getsockopt(level, name)

    def readable(self) -> bool:
        """Whether there is data, an end, an error or a connection to accept."""
        return bool(self._received or self._end_received or self._error or self._accepted)

    def writable(self) -> bool:
        """Whether the window is open, or a write would fail at once."""
        if self._error:
            return True
        return self._state == "connected" and self.outgoing is not None and self.outgoing.unread < WINDOW


class DatagramSocket(MemorySocket):
    """A UDP socket."""

    protocol = "UDP"

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self._received: deque[Datagram] = deque()
        self._queued = 0
        self._error = 0

    def connect(self, address: tuple[Any, ...]) -> None:
        """Send to, and receive from, this address only."""
        target = _plain(address[0])
        self._bind_for(target)
        self.remote = (target, address[1])

    def send(self, data: bytes) -> int:
        """Send to the connected address."""
        if self.remote is None:
            raise system_error(errno.EDESTADDRREQ)
        if self._error:
            number, self._error = self._error, 0
            raise system_error(number)
        return self.sendto(data, self.remote)

    def sendto(self, data: bytes, address: tuple[Any, ...]) -> int:
        """Send one datagram.

        :raises OSError: EMSGSIZE when it is longer than UDP allows, ENETUNREACH when nothing leads to *address*.
        """
        self._check_open()
        target = _plain(address[0])
        if len(data) > _LONGEST_DATAGRAM[self.family]:
            raise system_error(errno.EMSGSIZE)
        self._bind_for(target)
        if self.local is None:
            raise system_error(errno.EINVAL)
        source = self.local[0] if self.local[0] not in _ANY.values() else self.host.source_for(target)
        self.host.network.carry(self, Datagram((source, self.local[1]), (target, address[1]), bytes(data)))
        return len(data)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[Any, ...]]:
        """The oldest datagram, cut to *size*, and where it came from."""
        self._check_open()
        if self._error:
            number, self._error = self._error, 0
            raise system_error(number)
        if not self._received:
            raise system_error(errno.EWOULDBLOCK)
        datagram = self._received.popleft()
        self._queued -= len(datagram.data)
        return datagram.data[:size], self._address(datagram.source)

    def arrive(self, datagram: Datagram) -> bool:
        """Queue a datagram. False when it is not for this socket's peer or the buffer is full."""
        if self.remote is not None and self.remote != datagram.source:
            return False
        if self._queued + len(datagram.data) > DATAGRAM_BUFFER:
            return False
        self._received.append(datagram)
        self._queued += len(datagram.data)
        self.host.poke()
        return True

    def refused(self) -> None:
        """Nobody listened there (ICMP port unreachable): a connected socket gets to know."""
        if self.remote is not None and not self.closed:
            self._error = errno.ECONNREFUSED
            self.host.poke()

    def readable(self) -> bool:
        """Whether a datagram or an error waits."""
        return bool(self._received or self._error)

    def writable(self) -> bool:
        """Always: a datagram is sent or lost."""
        return True


def _plain(address: str) -> str:
    """One spelling of an address; an IPv4 address that came mapped into IPv6 is IPv4."""
    if not address:
        return ""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
