"""Where a target's name leads (RFC 3263 section 4.2).

Addresses only, A and AAAA: a stream target keeps its name and lets Twisted's ``HostnameEndpoint`` try its addresses, a
datagram target becomes one target an address. Whatever looks further, SRV and NAPTR, stands behind the same interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast, final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorPluggableNameResolver, IResolutionReceiver
from zope.interface import implementer

from sip_p2p.errors import ConnectionFailure
from sip_p2p.transport.target import Target, Transport
from sip_p2p.transport.trust.identity import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IAddress, IHostResolution

__all__ = ["AddressResolver", "Resolver", "StaticResolver"]


class Resolver(Protocol):
    """Turns a target into the targets to try, best first."""

    def resolve(self, target: Target) -> Deferred[list[Target]]:
        """At least one target, or a :class:`~sip_p2p.errors.ConnectionFailure` that says what was looked for."""


@implementer(IResolutionReceiver)
@final
class _Collected:
    """Collects the addresses of one name."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._found: list[Target] = []
        self.done: Deferred[list[Target]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing is kept of it: a look-up that nobody waits for any more may end by itself."""

    def addressResolved(self, address: IAddress) -> None:
        """One more address; one with a zone identifier has no place in SIP, and is passed over."""
        host = str(getattr(address, "host", ""))
        if "%" not in host:
            self._found.append(self._target.at(host))

    def resolutionComplete(self) -> None:
        """All addresses are there."""
        if self._found:
            self.done.callback(self._found)
        else:
            self.done.errback(ConnectionFailure(f"no address for {self._target.host}"))


@final
class AddressResolver:
    """Looks addresses up through the reactor's own name resolver."""

    def __init__(self, reactor: object) -> None:
        self._reactor = reactor

    def resolve(self, target: Target) -> Deferred[list[Target]]:
        """The target itself for a stream, its addresses for UDP."""
        if target.transport is not Transport.UDP:
            return succeed([target])
        collected = _Collected(target)
        resolver = cast("IReactorPluggableNameResolver", self._reactor).nameResolver
        resolver.resolveHostName(collected, target.host, target.port)
        return collected.done


@final
class StaticResolver:
    """Names that are looked up in a table first, as in ``/etc/hosts``, ports included: for laboratories, demos and
    tests.

    The name to be proved stays the one that was asked for, so a wrong entry reaches nobody who could not prove that
    name.

    :ivar otherwise: who resolves the names that are not in the table.
    """

    def __init__(self, table: Mapping[str, tuple[str, int | None]], otherwise: Resolver) -> None:
        """
        :param table: host name to address and port; a port of None leaves the target's.
        :param otherwise: who resolves names that are not in the table.
        :raises ValueError: for an entry that leads nowhere, with its name.
        """
        for name, (host, port) in table.items():
            try:
                Target(Transport.TLS, host, port)
            except ValueError as error:
                raise ValueError(f"the entry of {name!r} leads nowhere: {error}") from None
        self._table = {name.lower(): entry for name, entry in table.items()}
        self.otherwise = otherwise

    def resolve(self, target: Target) -> Deferred[list[Target]]:
        """The table's answer, or the other resolver's."""
        entry = self._table.get(target.host.lower())
        if entry is None:
            return self.otherwise.resolve(target)
        host, port = entry
        there = target.at(host, port)
        there.has_port = target.has_port or port is not None

        def back(found: list[Target]) -> list[Target]:
            for each in found:
                # Whether a URI named the port is another question than whether this table did.
                each.has_port = target.has_port
            return found

        return self.otherwise.resolve(there).addCallback(back)

    def explain(self, target: Target) -> Deferred[list[str]]:
        """Why *target* leads where it does, a sentence a line, as far as the other resolver can tell."""
        entry = self._table.get(target.host.lower())
        explain = getattr(self.otherwise, "explain", None)
        said: list[str] = []
        if entry is not None:
            host, port = entry
            said.append(f"the table of names says that {target.host} is at {host}, port {port or target.port}")
            target = target.at(host, port)
            target.has_port = target.has_port or port is not None
        if explain is None or is_ip_address(target.host):
            return succeed(said)
        return cast("Deferred[list[str]]", explain(target)).addCallback(lambda more: said + more)
