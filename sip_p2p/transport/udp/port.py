"""A UDP port that is told what became of its datagrams: Twisted's, with the errors that ICMP brings back (RFC 1122).

A port that sends to many peers is not told by itself that one of them is not there; Linux keeps that for whoever asks
(``IP_RECVERR``). What is told goes to ``protocol.unreachable(address, quote, error)``, with the beginning of the
datagram that could not be delivered. For a protocol without such a method, and on other systems, this is Twisted's
port. The zone of a link-local IPv6 address stays with it, so that an answer leaves by the right interface (RFC 4007).
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any

from twisted.internet import udp
from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.posixbase import PosixReactorBase
from zope.interface import implementer

from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.python.failure import Failure

__all__ = ["LONGEST_DATAGRAM", "UNREACHABLE", "UdpPort", "listen_udp", "overflowed"]

LONGEST_DATAGRAM = 65535
"""The whole of what UDP can carry: Twisted's own default would cut a large message off."""

UNREACHABLE = frozenset(
    (
        *(errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES),
        *(errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EPROTO),
    )
)
"""The errors that say that nothing sent there arrives, EPROTO for a parameter problem among them (RFC 3261 section
18.4); all others are passed over."""

# Python has no names for these of Linux.
_IP_RECVERR = 11
_IPV6_RECVERR = 25
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("=9I")
_ERRORS_AT_A_TIME = 64
_QUOTED = 1024
_BEGINNING = struct.Struct("=IBB")
# RFC 3261 section 18.4: that a time to live ran out is no reason to fail. Linux has no errno of its own for that: ICMP
# and ICMPv6, as it calls who told it, and the type that each of them has for it.
_TIME_EXCEEDED = ((2, 11), (3, 3))
_WOULD_BLOCK = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR)


@implementer(IHalfCloseableDescriptor)
class UdpPort(udp.Port):
    """Twisted's UDP port, which also reads what the system has to say about datagrams that were sent."""

    _failures: ThrottledLog | None = None

    def createInternetSocket(self) -> Any:
        """A datagram socket that keeps errors for us."""
        return self.keeping_errors(super().createInternetSocket())

    def keeping_errors(self, made: Any) -> Any:
        """*made*, told to keep the errors that come back for what it sends, where anybody wants them."""
        if hasattr(self.protocol, "unreachable") and hasattr(socket, "MSG_ERRQUEUE"):
            # An IPv6 socket may send to IPv4 addresses as well.
            for level, option in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                with contextlib.suppress(OSError):
                    made.setsockopt(level, option, 1)
        return made

    def doRead(self) -> None:
        """Read what has come; where nothing has, the port was woken for errors."""
        read = 0
        errors = 0
        sock = self.socket
        while read < self.maxThroughput:
            try:
                data, address = sock.recvfrom(self.maxPacketSize)
            except OSError as error:
                if error.errno in _WOULD_BLOCK:
                    if not read:
                        self._read_errors()
                    return
                if self._connectedAddr and error.errno == errno.ECONNREFUSED:
                    self.protocol.connectionRefused()
                    return
                if error.errno not in UNREACHABLE and error.errno != errno.EMSGSIZE:
                    raise
                errors += 1
                if errors > _ERRORS_AT_A_TIME:
                    return
                self._read_errors()
                continue
            read += len(data) or 1
            try:
                self.protocol.datagramReceived(data, _host_and_port(address))
            except Exception:
                log = self._failures
                if log is None:
                    bounds = getattr(self.protocol, "log_bounds", None)
                    log = self._failures = ThrottledLog("sip_p2p.transport.udp.port", monotonic, bounds)
                log.failure("a datagram from {address} could not be dealt with", address=address)

    def readConnectionLost(self, reason: Failure) -> None:
        """No connection is lost: a reactor that polls takes errors that wait for that. They are read, and all goes
        on."""
        if self.connected:
            self._read_errors()
            self.startReading()  # type: ignore[no-untyped-call]

    def writeConnectionLost(self, reason: Failure) -> None:
        """As :meth:`readConnectionLost`."""
        self.readConnectionLost(reason)

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> None:
        """Send one datagram.

        :raises MessageLengthError: when no datagram can hold it.
        :raises OSError: what the system says against this one. An error that an earlier one met, and that is told with
            this, is no reason not to send it.
        """
        if self._connectedAddr or addr is None:
            super().write(datagram, addr)
            return
        try:
            self.socket.sendto(datagram, addr)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                raise MessageLengthError("message too long") from None
            if error.errno not in UNREACHABLE:
                raise
            self._read_errors()
            self.socket.sendto(datagram, addr)

    def _read_errors(self) -> None:
        """Hand on the errors that wait, so many at a time."""
        unreachable = getattr(self.protocol, "unreachable", None)
        if unreachable is None or not hasattr(socket, "MSG_ERRQUEUE"):
            return
        for _ in range(_ERRORS_AT_A_TIME):
            try:
                quote, ancillary, _, address = self.socket.recvmsg(
                    _QUOTED, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
                )
            except OSError:
                return
            for level, kind, value in ancillary:
                if (level, kind) in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
                    number, teller, kind_told = _BEGINNING.unpack_from(value)
                    if number in UNREACHABLE and (teller, kind_told) not in _TIME_EXCEEDED:
                        unreachable(_host_and_port(address), quote, number)


def _host_and_port(address: Any) -> tuple[str, int]:
    """An address as the socket module has it; an IPv6 one with its zone, where it has one."""
    if len(address) == 4 and address[3]:
        return f"{address[0].partition('%')[0]}%{address[3]}", address[1]
    return address[0], address[1]


def overflowed(port: object) -> int:
    """How many datagrams the system has dropped because nobody read a port's fast enough; 0 where it does not say."""
    handle = getattr(port, "getHandle", None)
    sock = None if handle is None else handle()
    if not isinstance(sock, socket.socket) or sock.fileno() < 0:
        return 0
    try:
        # Of Linux: the last of nine numbers about the memory of a socket.
        return int(_MEMINFO.unpack(sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[-1])
    except (OSError, struct.error):
        return 0


def listen_udp(reactor: Any, port: int, protocol: Any, interface: str = "") -> IListeningPort:
    """Open a UDP port that tells *protocol* of errors, where the reactor can have one of our own.

    :raises twisted.internet.error.CannotListenError: as the reactor's own ``listenUDP``.
    """
    if not isinstance(reactor, PosixReactorBase):
        opened: IListeningPort = reactor.listenUDP(port, protocol, interface=interface, maxPacketSize=LONGEST_DATAGRAM)
        return opened
    own = UdpPort(port, protocol, interface, LONGEST_DATAGRAM, reactor)  # type: ignore[no-untyped-call]
    own.startListening()  # type: ignore[no-untyped-call]
    return own
