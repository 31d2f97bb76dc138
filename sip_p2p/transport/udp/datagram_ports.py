"""The UDP ports of one side: those that listen, and one of our own for each family where none does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError

from sip_p2p.errors import ConnectionFailure
from sip_p2p.transport.udp.datagram import DatagramPort
from sip_p2p.transport.udp.port import listen_udp

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from twisted.internet.interfaces import IListeningPort, IReactorTime

    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target
    from sip_p2p.transport.udp.datagram import DatagramFlow, DatagramOwner

__all__ = ["DatagramPorts"]


@final
class DatagramPorts:
    """Every UDP port of one connection manager."""

    def __init__(self, reactor: IReactorTime, owner: DatagramOwner, may_request: Callable[[LiveFlow], bool]) -> None:
        """
        :param may_request: who may ask something by a port that is open because we send.
        """
        self._reactor = reactor
        self._owner = owner
        self._may_request = may_request
        # By family; the port that is used is the last one.
        self._ports: dict[str, list[DatagramPort]] = {"4": [], "6": []}
        self._own: list[IListeningPort] = []
        self._ignored_before = 0
        self._forged_before = 0
        self._overflowed_before = 0

    @property
    def flows(self) -> tuple[DatagramFlow, ...]:
        """Every peer that is known."""
        return tuple(flow for ports in self._ports.values() for port in ports for flow in port.flows)

    @property
    def ignored(self) -> int:
        """How many datagrams were neither messages nor worth an answer."""
        return self._ignored_before + sum(port.ignored for ports in self._ports.values() for port in ports)

    @property
    def forged(self) -> int:
        """How many errors were told that prove nothing."""
        return self._forged_before + sum(port.forged for ports in self._ports.values() for port in ports)

    @property
    def overflowed(self) -> int:
        """How many datagrams the system had no room for."""
        return self._overflowed_before + sum(port.overflowed for ports in self._ports.values() for port in ports)

    def listens_on(self, port: DatagramPort, address: str) -> None:
        """A port is bound to *address*: what we send goes out of it from now on."""
        self._ports["6" if ":" in address else "4"].append(port)

    def stops_on(self, port: DatagramPort) -> None:
        """A port is being closed: what we send leaves from another one."""
        for ports in self._ports.values():
            if port in ports:
                ports.remove(port)
                self._ignored_before += port.ignored
                self._forged_before += port.forged
                self._overflowed_before += port.overflowed

    def addresses_changed(self, addresses: Container[str]) -> None:
        """The machine has these addresses now: what we say of ourselves follows them."""
        for ports in self._ports.values():
            for port in ports:
                port.addresses_changed(addresses)

    def flow_to(self, target: Target) -> DatagramFlow:
        """The flow to *target*, whose host is an address; a port of our own is opened when none listens.

        :raises ConnectionFailure: when none can be opened.
        """
        family = "6" if ":" in target.host else "4"
        ports = self._ports[family]
        if not ports:
            port = DatagramPort(self._owner, self._may_request)
            try:
                opened = listen_udp(self._reactor, 0, port, "::" if family == "6" else "")
            except CannotListenError as error:
                raise ConnectionFailure(f"no UDP port of our own can be opened: {error.socketError}") from error
            self._own.append(opened)
            ports.append(port)
        return ports[-1].flow_to(target.host, target.port)

    def close(self) -> list[Deferred[Any]]:
        """Close the ports of our own; fires for each when it is gone."""
        return [maybeDeferred(port.stopListening) for port in self._own]
