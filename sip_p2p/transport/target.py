"""From a URI to what is to be connected to, and to the name that must be proved there (RFC 3263 section 4, RFC 5630,
RFC 5922).

Pure: no look-up is made here. The name that a certificate must carry is always the one in the URI, whatever DNS or a
static table makes of it later.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.sip.host import is_group, normalise_any_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.uri import SipUri

__all__ = ["Target", "Transport", "race_groups", "target_of"]


_DEFAULT_PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5061, "WS": 80, "WSS": 443}


class Transport(enum.Enum):
    """A transport of SIP; the value is what a Via names."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"
    WS = "WS"
    WSS = "WSS"

    @property
    def is_secure(self) -> bool:
        """Whether TLS carries it."""
        return self is Transport.TLS or self is Transport.WSS

    @property
    def default_port(self) -> int:
        """The port where a URI names none (RFC 3261 section 19.1.1, table 1, RFC 7118 section 5.5)."""
        return _DEFAULT_PORTS[self._value_]

    @property
    def over_tls(self) -> Transport:
        """What carries the same with TLS; instead of UDP it is TLS over TCP."""
        return Transport.WSS if self in (Transport.WS, Transport.WSS) else Transport.TLS

    @classmethod
    def named(cls, name: str | Transport) -> Transport:
        """The transport called *name*, in any case.

        :raises ValueError: for a name that is none, with the names that are.
        """
        if isinstance(name, Transport):
            return name
        try:
            return cls(name.upper())
        except ValueError:
            known = ", ".join(member.value.lower() for member in cls)
            raise ValueError(f"{name!r} is not a transport; there are {known}") from None


@final
class Target:
    """Where a request goes: one row of what RFC 3263 calls the ordered list.

    :ivar transport: how.
    :ivar host: the host name or address to connect to, in small letters; IPv6 without brackets.
    :ivar port: the port.
    :ivar name: what the certificate at the other end must prove
        (:class:`~sip_p2p.transport.trust.identity.PeerIdentities`).
    :ivar has_port: whether a URI named the port, and with it one process rather than a domain.
    :ivar has_transport: whether a URI named the transport; where it did not, NAPTR may choose among those that we have.
    :ivar origin: the DNS name whose address :attr:`host` is; empty where the host stands as it was given. Targets of
        one origin are one server.
    """

    __slots__ = ("_hash", "_key", "has_port", "has_transport", "host", "name", "origin", "port", "transport")

    def __init__(self, transport: Transport | str, host: str, port: int | None = None, name: str | None = None) -> None:
        """
        :param port: None means the transport's own.
        :param name: None means *host*.
        :raises ValueError: for an unknown transport, what is no host, or a port outside 1 to 65535.
        """
        self.transport = Transport.named(transport)
        # A text that is no host would make some resolvers wait for ever.
        self.host = normalise_any_host(host)
        if port is not None and not 1 <= port <= 65535:
            raise ValueError(f"{port} is not a port: 1 to 65535")
        self.has_port = port is not None
        self.has_transport = True
        self.origin = ""
        self.port = self.transport.default_port if port is None else port
        self.name = self.host if name is None else name.strip("[]").lower()
        # A text compares and hashes faster than the member of an enumeration, and these stand in every key of the pool.
        self._key = (self.transport._value_, self.host, self.port, self.name)
        self._hash = hash(self._key)

    def at(self, host: str, port: int | None = None, origin: str = "") -> Target:
        """The same target at another address: the name to be proved stays.

        :param origin: the DNS name that led there.
        """
        target = Target(self.transport, host, self.port if port is None else port, self.name)
        target.has_port = self.has_port
        target.has_transport = self.has_transport
        target.origin = origin
        return target

    def proving(self, name: str) -> Target:
        """The same target, where the certificate has to prove *name*."""
        target = Target.__new__(Target)
        target.transport = self.transport
        target.host = self.host
        target.port = self.port
        target.has_port = self.has_port
        target.has_transport = True
        target.origin = ""
        target.name = name.strip("[]").lower()
        target._key = (self.transport._value_, self.host, self.port, target.name)
        target._hash = hash(target._key)
        return target

    def over(self, transport: Transport) -> Target:
        """The same target over another transport; a port that no URI named follows the transport."""
        target = Target(transport, self.host, self.port if self.has_port else None, self.name)
        target.has_transport = self.has_transport
        target.origin = self.origin
        return target

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Target) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        proves = "" if self.name == self.host else f" proving {self.name}"
        return f"<Target {self.transport.value} {self.host}:{self.port}{proves}>"


def target_of(uri: SipUri, default: Transport) -> Target:
    """The target that *uri* names by itself (RFC 3263 section 4.1 without NAPTR and SRV).

    ``sips:`` means TLS, whatever else is said (RFC 5630 section 4); else the ``transport`` parameter, else *default*.
    ``maddr`` takes the host's place as an address, never as a name.

    :raises ValueError: for an unknown transport, a ``maddr`` that is no host, a port of 0, ``sips:`` over UDP, or an
        address of many.
    """
    named = uri.transport
    transport = default if named is None else Transport.named(named)
    if uri.is_secure:
        if named is not None and transport is Transport.UDP:
            raise ValueError(f"{uri}: sips needs TLS, which UDP cannot carry (RFC 5630 section 3.1.4)")
        transport = transport.over_tls
    target = Target(transport, uri.maddr or uri.host, uri.port, uri.host)
    if is_group(target.host):
        # RFC 3261 section 18.1.1: its Via would have to name the group, and we would have to be in it.
        raise ValueError(f"{uri} leads to a multicast address, and there is no multicast here")
    target.has_transport = named is not None
    return target


def race_groups(targets: Iterable[Target]) -> list[list[Target]]:
    """*targets* cut into servers, in their order: what stands together and differs in its address alone.

    Within a group the addresses may be raced (RFC 8305); from one group to the next a request fails over (RFC 3263
    section 4.3).
    """
    groups: list[list[Target]] = []
    last: tuple[Transport, int, str, str] | None = None
    for target in targets:
        server = (target.transport, target.port, target.name, target.origin)
        # Two targets without an origin were named one by one, and are two servers.
        if server == last and target.origin:
            groups[-1].append(target)
        else:
            groups.append([target])
        last = server
    return groups
