"""Datagram sockets of the network in memory, and what they share with its streams.

As much of :class:`socket.socket` as Twisted's transports use, raising the ``OSError`` that Linux would raise. Nothing
here knows a protocol, a Deferred or the clock; the :class:`~sip_p2p.testing.network.Network` carries what is sent,
:class:`~sip_p2p.testing.host.Host` asks the sockets whether they are ready. UDP promises little (RFC 768), and
:class:`DatagramSocket` keeps just that. Streams are in :mod:`.streams`.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from sip_p2p.testing.conditions import Datagram

if TYPE_CHECKING:
    from sip_p2p.testing.host import Host

__all__ = ["DatagramSocket", "MemorySocket", "plain_address", "system_error"]

#: Octets of datagrams that wait for a reader before more are dropped.
DATAGRAM_BUFFER = 208 * 1024

#: Errors that wait to be asked for before more are dropped.
_MOST_ERRORS = 256

# Of Linux; Python has no name for it.
_RECVERR = (socket.IPPROTO_IP, 11)

_ANY: dict[int, str] = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
_LONGEST_DATAGRAM: dict[int, int] = {socket.AF_INET: 65507, socket.AF_INET6: 65527}


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
        wanted = plain_address("127.0.0.1" if address[0] == "localhost" else address[0]) or _ANY[self.family]
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


class DatagramSocket(MemorySocket):
    """A UDP socket."""

    protocol = "UDP"

    def __init__(self, host: Host, family: int) -> None:
        super().__init__(host, family)
        self._received: deque[Datagram] = deque()
        self._queued = 0
        self._error = 0
        self._errors: deque[tuple[Datagram, int]] = deque()

    def connect(self, address: tuple[Any, ...]) -> None:
        """Send to, and receive from, this address only."""
        target = plain_address(address[0])
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
        target = plain_address(address[0])
        if self._error and self._errors:
            # Of another datagram: it is told with this one, which is not sent.
            number, self._error = self._error, 0
            raise system_error(number)
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

    def recvmsg(self, size: int, ancillary: int, flags: int) -> tuple[bytes, list[Any], int, tuple[Any, ...]]:
        """The oldest error that was kept (``IP_RECVERR``): the datagram that met it, the error, and whither it went."""
        self._check_open()
        if not self._errors:
            raise system_error(errno.EWOULDBLOCK)
        datagram, number = self._errors.popleft()
        self._error = 0
        told = number.to_bytes(4, sys.byteorder) + bytes(28)
        return datagram.data[:size], [(*_RECVERR, told)], flags, self._address(datagram.destination)

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

    def refused(self, datagram: Datagram) -> None:
        """Nobody listened there (ICMP port unreachable): a connected socket gets to know, and one that keeps errors,
        which are told with the next call, too."""
        if self.closed:
            return
        keeps = bool(self.getsockopt(*_RECVERR))
        if keeps and len(self._errors) < _MOST_ERRORS:
            self._errors.append((datagram, errno.ECONNREFUSED))
        if keeps or self.remote is not None:
            self._error = errno.ECONNREFUSED
            self.host.poke()

    def readable(self) -> bool:
        """Whether a datagram or an error waits."""
        return bool(self._received or self._error or self._errors)

    def writable(self) -> bool:
        """Always: a datagram is sent or lost."""
        return True


def plain_address(address: str) -> str:
    """One spelling of an address; an IPv4 address that came mapped into IPv6 is IPv4."""
    if not address:
        return ""
    parsed = ipaddress.ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)
