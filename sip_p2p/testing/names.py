"""Names on the network in memory: what ``getaddrinfo`` is to a real reactor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from zope.interface import implementer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.interfaces import IAddress, IResolutionReceiver

    from sip_p2p.testing.network import Network

__all__ = ["MemoryNameResolver"]


@implementer(IHostResolution)
class _Resolution:
    """One question under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        """Answer nothing any more."""
        self.cancelled = True


@implementer(IHostnameResolver)
class MemoryNameResolver:
    """Resolves the names that the network knows, after :attr:`Network.name_delay` seconds."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Look *hostName* up; an address resolves to itself, an unknown name to nothing."""
        resolution = _Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        wanted = (IPv4Address, IPv6Address) if addressTypes is None else tuple(addressTypes)

        semantics: Literal["TCP", "UDP"] = "UDP" if transportSemantics == "UDP" else "TCP"

        def answer() -> None:
            if resolution.cancelled:
                return
            for address in self._network.addresses_of(hostName):
                kind = IPv6Address if isIPv6Address(address) else IPv4Address
                if issubclass(kind, wanted):
                    resolutionReceiver.addressResolved(kind(semantics, address, portNumber))
            resolutionReceiver.resolutionComplete()

        literal = isIPAddress(hostName) or isIPv6Address(hostName)
        self._network.later(0 if literal else self._network.name_delay, answer)
        return resolution
