"""Connections that a load balancer passes on: the PROXY protocol, versions 1 and 2, before everything else (row C13).

The header tells whose connection it is, and anybody could write one: it is read from the addresses that are listed as
proxies, and a connection from anywhere else is dropped. A connection of a proxy without a header is dropped, too; what
is on the far side of it has to be somebody. The header has a bound and a deadline. What it says counts from then on for
everything: limits, logs, ``received``, the application.

Left out: the TLVs of version 2. What a proxy says of a certificate that it has seen proves nothing to us: let it pass
TLS through, as ``haproxy:tls:`` expects.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any, TypeAlias, final

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import directlyProvides, providedBy

from sip_p2p.transport.clock import time_source
from sip_p2p.transport.stream.protocol import host_and_port
from sip_p2p.transport.throttle import ThrottledLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory
    from twisted.python.failure import Failure

    from sip_p2p.transport.throttle import LogBounds

__all__ = ["LONGEST_HEADER", "ProxiedFactory", "Proxies", "ProxyHeader", "read_header"]

LONGEST_HEADER = 2048
"""Octets of one PROXY header, TLVs included; with a longer one the connection is dropped."""

_LONGEST_LINE = 107
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_ADDRESSES = {0x11: (4, IPv4Address), 0x21: (16, IPv6Address)}

Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


@final
class Proxies:
    """Whose PROXY headers are believed."""

    __slots__ = ("_networks", "_with_unix")

    def __init__(self, addresses: Iterable[str] = ("127.0.0.0/8", "::1", "unix")) -> None:
        """
        :param addresses: IP addresses, or networks such as ``10.0.0.0/8``; ``unix`` stands for Unix sockets.
        :raises ValueError: one of them is neither.
        """
        listed = list(addresses)
        self._with_unix = "unix" in listed
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(text, strict=False) for text in listed if text != "unix"
        )

    def include(self, host: str) -> bool:
        """Whether *host*, an address as the socket tells it, is one of them."""
        if host == "unix":
            return self._with_unix
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


@final
class ProxyHeader:
    """What a header says.

    :ivar length: how many octets it has.
    :ivar source: who made the connection; None where the proxy speaks for itself.
    :ivar destination: to whom; None likewise.
    """

    __slots__ = ("destination", "length", "source")

    def __init__(self, length: int, source: IAddress | None = None, destination: IAddress | None = None) -> None:
        self.length = length
        self.source = source
        self.destination = destination


def read_header(data: bytes) -> ProxyHeader | None:
    """The header with which *data* begins; None while it is incomplete.

    :raises ValueError: there is none.
    """
    if data[:1] == b"\r":
        return _read_binary(data)
    if not b"PROXY ".startswith(data[:6]):
        raise ValueError("it does not begin with a PROXY header")
    end = data.find(b"\r\n", 0, _LONGEST_LINE)
    if end < 0:
        if len(data) >= _LONGEST_LINE:
            raise ValueError(f"a PROXY header of version 1 has at most {_LONGEST_LINE} octets")
        return None
    words = data[:end].decode("ascii", "replace").split(" ")
    if words[1] == "UNKNOWN":
        return ProxyHeader(end + 2)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ValueError("the PROXY header of version 1 is malformed")
    version, kind = (4, IPv4Address) if words[1] == "TCP4" else (6, IPv6Address)
    hosts = [ipaddress.ip_address(word) for word in words[2:4]]
    if any(host.version != version for host in hosts) or not all(_is_port(word) for word in words[4:]):
        raise ValueError("an address in the PROXY header is none")
    source, destination = (kind("TCP", _spelled(host), int(port)) for host, port in zip(hosts, words[4:], strict=True))
    return ProxyHeader(end + 2, source, destination)


def _spelled(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An address as the system writes it; Python before 3.13 hides an IPv4 address that is mapped to IPv6."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(address) if mapped is None else f"::ffff:{mapped}"


def _is_port(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= 65535


def _read_binary(data: bytes) -> ProxyHeader | None:
    if not _SIGNATURE.startswith(data[:12]):
        raise ValueError("it does not begin with a PROXY header")
    if len(data) < 16:
        return None
    command, family, size = struct.unpack_from("!BBH", data, 12)
    if command not in (0x20, 0x21):
        raise ValueError(f"version and command {command:#04x} of the PROXY header are unknown")
    if 16 + size > LONGEST_HEADER:
        raise ValueError(f"the PROXY header has more than {LONGEST_HEADER} octets")
    if len(data) < 16 + size:
        return None
    if command == 0x20 or family == 0:
        return ProxyHeader(16 + size)
    known = _ADDRESSES.get(family)
    if known is None or size < 2 * known[0] + 4:
        raise ValueError(f"the PROXY header is about something else than TCP ({family:#04x}), or too short")
    width, kind = known
    packed = data[16 : 16 + 2 * width + 4]
    ports = struct.unpack_from("!HH", packed, 2 * width)
    source, destination = (
        kind("TCP", _spelled(ipaddress.ip_address(packed[start : start + width])), port)
        for start, port in zip((0, width), ports, strict=True)
    )
    return ProxyHeader(16 + size, source, destination)


@final
class _ProxiedTransport:
    """A connection as it is on the far side of the proxy; all but its two addresses is the connection itself.

    :ivar is_passed_on: that its addresses are those of the far side.
    """

    is_passed_on = True

    def __init__(self, transport: Any, header: ProxyHeader) -> None:
        self._transport = transport
        self._header = header
        directlyProvides(self, providedBy(transport))

    def getPeer(self) -> Any:
        """Who made the connection."""
        return self._header.source

    def getHost(self) -> Any:
        """To whom."""
        return self._header.destination

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class _ProxiedProtocol(Protocol):
    """Reads the header, then gets out of the way."""

    def __init__(self, factory: ProxiedFactory) -> None:
        self._factory = factory
        self._begun = b""
        self._alarm: IDelayedCall | None = None
        self._inner: Any = None

    def connectionMade(self) -> None:
        """A connection: is it a proxy's?"""
        transport: Any = self.transport
        host, _ = host_and_port(transport.getPeer())
        reason = self._factory.refusal(host)
        if reason:
            self._drop(reason)
            return
        self._factory.waiting[self] = None
        self._alarm = self._factory.reactor.callLater(self._factory.timeout, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        """Some of the header, or all of it and more."""
        if self._alarm is None:
            return
        self._begun += data
        try:
            header = read_header(self._begun)
        except ValueError as error:
            self._drop(str(error))
            return
        if header is not None:
            self._stop_waiting()
            rest, self._begun = self._begun[header.length :], b""
            self._hand_over(header, rest)

    def _hand_over(self, header: ProxyHeader, rest: bytes) -> None:
        transport: Any = self.transport
        if header.source is not None:
            transport = _ProxiedTransport(transport, header)
        inner = self._factory.wrapped.buildProtocol(transport.getPeer())
        if inner is None:
            transport.abortConnection()
            return
        self._inner = inner
        # From now on as if this protocol were not there.
        self.dataReceived = inner.dataReceived  # type: ignore[method-assign]
        inner.makeConnection(transport)
        if rest:
            inner.dataReceived(rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone, before the header or after it."""
        self._stop_waiting()
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.connectionLost(reason)

    def abort(self) -> None:
        """Drop the connection."""
        transport: Any = self.transport
        transport.abortConnection()

    def _too_slow(self) -> None:
        self._alarm = None
        self._drop("the PROXY header did not come in time")

    def _drop(self, reason: str) -> None:
        self._stop_waiting()
        transport: Any = self.transport
        self._factory.dropped(transport.getPeer(), reason)
        transport.abortConnection()

    def _stop_waiting(self) -> None:
        self._factory.waiting.pop(self, None)
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()


@final
class ProxiedFactory(Factory):
    """Wraps the factory of a listener that stands behind a proxy.

    :ivar wrapped: what makes the protocols for what follows the headers.
    :ivar waiting: the connections that have not sent theirs; they count among the handshakes.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        wrapped: IProtocolFactory,
        proxies: Proxies,
        timeout: float | Callable[[], float],
        most: int | Callable[[], int],
        log_bounds: LogBounds | None = None,
    ) -> None:
        """
        :param timeout: how long a header may take, in seconds; or what tells it for each connection.
        :param most: how many connections may wait for their header; more are dropped. Or what tells it.
        :param log_bounds: how much may be logged of what peers cause.
        """
        self.reactor = reactor
        self.wrapped = wrapped
        self._timeout = timeout
        self.waiting: dict[_ProxiedProtocol, None] = {}
        self._proxies = proxies
        self._most = most
        self._log = ThrottledLog("sip_p2p.transport.listening.proxied", time_source(reactor), log_bounds)

    @property
    def timeout(self) -> float:
        """How long the header of a connection that is made now may take, in seconds."""
        timeout = self._timeout
        return timeout() if callable(timeout) else timeout

    def doStart(self) -> None:
        """Listening has begun."""
        self.wrapped.doStart()

    def doStop(self) -> None:
        """Listening has ended: who has not said who it is never will."""
        for connection in tuple(self.waiting):
            connection.abort()
        self.wrapped.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """The protocol that waits for a header."""
        return _ProxiedProtocol(self)

    def refusal(self, host: str) -> str:
        """Why a connection from *host* is dropped; the empty string when it may send its header."""
        if not self._proxies.include(host):
            return "it is none of the proxies that proxies= lists, which alone may connect here"
        most = self._most() if callable(self._most) else self._most
        if len(self.waiting) >= most:
            return f"{most} connections wait for their PROXY header"
        return ""

    def dropped(self, address: IAddress, reason: str) -> None:
        """A connection came to nothing."""
        self._log.warn(
            "a connection from {address} is dropped: {reason}", address=host_and_port(address), reason=reason
        )
