"""One host of the network in memory: a reactor whose sockets lead nowhere but to the other hosts.

The transports are Twisted's own (:mod:`twisted.internet.tcp` and :mod:`twisted.internet.udp`), run over the sockets of
:mod:`.sockets` and :mod:`.streams`: buffering, producers, half-close, ``abortConnection``, TLS and the errors that a
protocol gets to see are therefore those of a real program.
"""

from __future__ import annotations

import errno
import sys
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet import error, tcp, udp
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IResolver,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from sip_p2p.testing.names import MemoryNameResolver
from sip_p2p.testing.sockets import DatagramSocket, MemorySocket, system_error
from sip_p2p.testing.streams import StreamSocket
from sip_p2p.transport.udp.port import UdpPort

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IHostnameResolver

    from sip_p2p.testing.network import Network

__all__ = ["Host"]

_FIRST_EPHEMERAL_PORT = 49152
_LAST_PORT = 65535


class _Client(tcp.Client):
    """Twisted's outgoing TCP transport on a socket in memory."""

    def __init__(self, connector: _Connector, host: Host) -> None:
        # The base class asks for its socket before it knows its reactor.
        self._host = host
        super().__init__(  # type: ignore[no-untyped-call]
            connector.host, connector.port, connector.bindAddress, connector, host
        )

    def createInternetSocket(self) -> Any:
        return StreamSocket(self._host, self.addressFamily)


class _Connector(tcp.Connector):
    """Twisted's connector, which makes such clients."""

    def _makeTransport(self) -> _Client:
        return _Client(self, cast("Host", self.reactor))


class _StreamPort(tcp.Port):
    """Twisted's listening TCP port on a socket in memory."""

    def createInternetSocket(self) -> Any:
        return StreamSocket(cast("Host", self.reactor), self.addressFamily)


class _DatagramPort(UdpPort):
    """Our UDP port, which is Twisted's and is told of errors, on a socket in memory."""

    def createInternetSocket(self) -> Any:
        return self.keeping_errors(DatagramSocket(cast("Host", self.reactor), self.addressFamily))


class _Call:
    """A delayed call as a reactor makes it: what it raises is logged, and stops nothing else."""

    __slots__ = ("arguments", "function", "keywords")

    def __init__(self, function: Callable[..., object], arguments: Any, keywords: Any) -> None:
        self.function = function
        self.arguments = arguments
        self.keywords = keywords

    def __call__(self) -> None:
        try:
            self.function(*self.arguments, **self.keywords)
        except Exception:
            _log.failure("a delayed call failed: {function}", function=self.function)

    def __repr__(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))


_log = Logger()


@implementer(
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
)
class Host:
    """One host: its addresses, its sockets, and the reactor that a program on it is given.

    Made by :meth:`Network.host <sip_p2p.testing.Network.host>`. Time stands still until the network is told to let it
    pass.

    :ivar addresses: its IP addresses, the first of each family being the one it sends from.
    :ivar network: the network that it belongs to.
    :ivar running: always True: what a reactor does on starting is done at once.
    """

    running = True

    def __init__(self, network: Network, addresses: tuple[str, ...]) -> None:
        self.network = network
        self.addresses = addresses
        self.nameResolver: IHostnameResolver = MemoryNameResolver(network)
        self._sockets: dict[int, MemorySocket] = {}
        self._next_port = _FIRST_EPHEMERAL_PORT
        # Dictionaries, not sets: in their order the sockets are served, the same in every run.
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}
        self._turn_scheduled = False
        self._calls: list[IDelayedCall] = []
        self._calls_kept = 32
        self._triggers: dict[tuple[str, str], list[_Call]] = {}
        self._stopped = False

    def __repr__(self) -> str:
        return f"<Host {' '.join(self.addresses)}>"

    # IReactorTime

    def seconds(self) -> float:
        """The network's time."""
        return self.network.seconds()

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:
        """Call later by the network's clock. What it raises is logged, as a real reactor does."""
        if delay < 0:
            raise ValueError(f"a call cannot be {-delay} seconds ago")
        call = self.network.clock.callLater(delay, _Call(callable, args, kw))
        if len(self._calls) > self._calls_kept:
            self._calls = self.getDelayedCalls()
            self._calls_kept = 2 * len(self._calls) + 32
        self._calls.append(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """The pending calls that were asked for on this host; those that were made or cancelled are let go of."""
        self._calls = [call for call in self._calls if call.active()]
        return self._calls[:]

    def callFromThread(self, callable: Callable[..., object], *args: object, **kw: object) -> None:
        """Call at the next turn. There are no threads here; code that expects them is served all the same."""
        self.callLater(0, callable, *args, **kw)

    # IReactorCore

    def resolve(self, name: str, timeout: Any = ()) -> Deferred[str]:
        """The first IPv4 address of *name*."""
        return self.network.resolve_first(name)

    def run(self) -> None:
        """Let time pass until :meth:`stop` is called or nothing is left to happen."""
        self._stopped = False
        while not self._stopped and self.network.step():
            continue

    def stop(self) -> None:
        """End :meth:`run`, with the shutdown triggers."""
        if self._stopped:
            raise error.ReactorNotRunning("stop was called before")
        self.fireSystemEvent("shutdown")
        self._stopped = True

    def crash(self) -> None:
        """End :meth:`run` at once."""
        self._stopped = True

    def iterate(self, delay: float = 0) -> None:
        """Let *delay* seconds pass."""
        self.network.advance(delay)

    def callWhenRunning(self, callable: Callable[..., object], *args: object, **kw: object) -> None:
        """Call now: a host is always running."""
        callable(*args, **kw)

    def addSystemEventTrigger(
        self, phase: str, eventType: str, callable: Callable[..., object], *args: object, **kw: object
    ) -> object:
        """Call when the event is fired."""
        trigger = _Call(callable, args, kw)
        self._triggers.setdefault((phase, eventType), []).append(trigger)
        return phase, eventType, trigger

    def removeSystemEventTrigger(self, triggerID: Any) -> None:
        """Do not call it after all."""
        phase, event, trigger = triggerID
        self._triggers[phase, event].remove(trigger)

    def fireSystemEvent(self, eventType: str) -> None:
        """Call the triggers: those ``before`` and what they return first, then ``during``, then ``after``."""
        waiting = [
            maybeDeferred(trigger.function, *trigger.arguments, **trigger.keywords)
            for trigger in self._triggers.pop(("before", eventType), [])
        ]

        def rest(_: object) -> None:
            for phase in ("during", "after"):
                for trigger in self._triggers.pop((phase, eventType), []):
                    trigger()

        gatherResults(waiting, consumeErrors=True).addBoth(rest)

    # IReactorTCP, IReactorSSL, IReactorUDP

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> tcp.Port:
        """Listen for streams."""
        listening = _StreamPort(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> tcp.Connector:
        """Open a stream."""
        connector = _Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> tcp.Port:
        """Listen for streams with Twisted's own TLS on them."""
        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory, self), backlog, interface)

    def connectSSL(
        self, host: str, port: int, factory: Any, contextFactory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> tcp.Connector:
        """Open a stream with Twisted's own TLS on it."""
        wrapped = TLSMemoryBIOFactory(contextFactory, True, factory, self)
        return self.connectTCP(host, port, wrapped, timeout, bindAddress)

    def listenUDP(self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192) -> udp.Port:
        """Open a UDP port."""
        listening = _DatagramPort(port, protocol, interface, maxPacketSize, self)  # type: ignore[no-untyped-call]
        listening.startListening()  # type: ignore[no-untyped-call]
        return listening

    def __conform__(self, interface: object) -> object:
        """The host brings its own DNS along: it adapts to ``IResolver``."""
        return self.network.dns if interface is IResolver else None

    # IReactorPluggableNameResolver

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Use another resolver on this host."""
        previous, self.nameResolver = self.nameResolver, resolver
        return previous

    # IReactorFDSet

    def addReader(self, reader: Any) -> None:
        """Serve *reader* when its socket has something."""
        self._readers[reader] = None
        self.poke()

    def addWriter(self, writer: Any) -> None:
        """Serve *writer* when its socket takes something."""
        self._writers[writer] = None
        self.poke()

    def removeReader(self, reader: Any) -> None:
        """Serve it no more."""
        self._readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        """Serve it no more."""
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        """Serve nobody any more."""
        everybody = list({**self._readers, **self._writers})
        self._readers.clear()
        self._writers.clear()
        return everybody

    def getReaders(self) -> list[Any]:
        """Who wants to read."""
        return list(self._readers)

    def getWriters(self) -> list[Any]:
        """Who wants to write."""
        return list(self._writers)

    def poke(self) -> None:
        """Something may have become ready: look at the next turn, in this same instant."""
        if not self._turn_scheduled:
            self._turn_scheduled = True
            self.network.later(0, self._turn)

    def _turn(self) -> None:
        """Serve each ready reader and writer once, as one turn of a real reactor does."""
        self._turn_scheduled = False
        served = False
        for selectable in list({**self._readers, **self._writers}):
            served = self._serve(selectable) or served
        if served:
            self.network.count_turn()
            self.poke()

    def _serve(self, selectable: Any) -> bool:
        ready = self._sockets.get(selectable.fileno())
        if ready is None:
            return False
        served, why, reading = False, None, False
        try:
            if selectable in self._readers and ready.readable():
                served = reading = True
                why = selectable.doRead()
            if not why and selectable in self._writers and ready.writable():
                served, reading = True, False
                why = selectable.doWrite()
        except Exception:
            _log.failure("{selectable} failed", selectable=selectable)
            why = sys.exc_info()[1]
        if why:
            self._disconnect(selectable, why, reading)
        return served

    def _disconnect(self, selectable: Any, why: BaseException, reading: bool) -> None:
        """End a transport as Twisted's reactors do."""
        reason = Failure(why)
        self.removeReader(selectable)
        if reading and isinstance(why, error.ConnectionDone) and IHalfCloseableDescriptor.providedBy(selectable):
            selectable.readConnectionLost(reason)
        else:
            self.removeWriter(selectable)
            selectable.connectionLost(reason)

    # For the sockets

    def adopt(self, memory_socket: MemorySocket) -> None:
        """A socket has been made."""
        self._sockets[memory_socket.number] = memory_socket

    def release(self, memory_socket: MemorySocket) -> None:
        """A socket has been closed."""
        self._sockets.pop(memory_socket.number, None)

    def sockets(self) -> list[MemorySocket]:
        """Every open socket."""
        return list(self._sockets.values())

    def reserve(self, memory_socket: MemorySocket, address: str, port: int) -> tuple[str, int]:
        """A local address for a socket.

        :raises OSError: EADDRNOTAVAIL for an address that is not this host's, EADDRINUSE for one that is taken.
        """
        if address not in ("0.0.0.0", "::") and not self.owns(address):
            raise system_error(errno.EADDRNOTAVAIL)
        if not 0 <= port <= _LAST_PORT:
            raise OverflowError("bind(): port must be 0-65535.")
        same_protocol = [
            other for other in self._sockets.values() if other.protocol == memory_socket.protocol and other.local
        ]
        if port == 0:
            return address, self._free_port({other.local[1] for other in same_protocol if other.local})
        for other in same_protocol:
            listening = not isinstance(other, StreamSocket) or other.backlog is not None
            if listening and (other.covers(address, port) or _overlap(address, port, other.local)):
                raise system_error(errno.EADDRINUSE)
        return address, port

    def _free_port(self, taken: set[int]) -> int:
        for _ in range(_FIRST_EPHEMERAL_PORT, _LAST_PORT + 1):
            port = self._next_port
            self._next_port = port + 1 if port < _LAST_PORT else _FIRST_EPHEMERAL_PORT
            if port not in taken:
                return port
        raise system_error(errno.EADDRINUSE)

    def owns(self, address: str) -> bool:
        """Whether an address leads to this host when used on it."""
        return address in self.addresses or address == "::1" or address.startswith("127.")

    def source_for(self, target: str) -> str:
        """The address from which this host reaches *target*.

        :raises OSError: ENETUNREACH when it has none of that family.
        """
        if self.owns(target):
            return target
        is_family = isIPv6Address if ":" in target else isIPAddress
        for address in self.addresses:
            if is_family(address):
                return address
        raise system_error(errno.ENETUNREACH)

    def listener(self, address: str, port: int) -> StreamSocket | None:
        """The socket that accepts connections to *address* and *port*."""
        found = [
            each
            for each in self._sockets.values()
            if isinstance(each, StreamSocket) and each.backlog is not None and each.covers(address, port)
        ]
        return _most_specific(found, address)

    def datagram_socket(self, address: str, port: int) -> DatagramSocket | None:
        """The socket that receives what is sent to *address* and *port*."""
        found = [
            each for each in self._sockets.values() if isinstance(each, DatagramSocket) and each.covers(address, port)
        ]
        return _most_specific(found, address)

    def inventory(self) -> list[str]:
        """What is open or pending: one line for each socket and each delayed call."""
        lines = [f"{self.addresses[0]}: {each!r}" for each in self._sockets.values()]
        for call in self.getDelayedCalls():
            due = call.getTime() - self.seconds()
            lines.append(f"{self.addresses[0]}: call of {call.func!r} in {due:g} s")  # type: ignore[attr-defined]
        return lines


def _overlap(address: str, port: int, other: tuple[str, int] | None) -> bool:
    """Whether binding to *address*, possibly to all of a family, would take what *other* has."""
    if other is None or other[1] != port:
        return False
    return address == "::" or (address == "0.0.0.0" and ":" not in other[0])


_Socket = TypeVar("_Socket", bound=MemorySocket)


def _most_specific(found: list[_Socket], address: str) -> _Socket | None:
    """Of the sockets that cover an address the one that is bound to just that."""
    for each in found:
        if each.local is not None and each.local[0] == address:
            return each
    return found[0] if found else None
