"""What brings messages to a Homer server: HEP packets over UDP, TCP or TLS.

A collector is no part of what we do: nothing waits for it. Over UDP a packet is sent and forgotten. Over a stream,
what the collector does not take at once is kept up to a bound, then the oldest is lost and counted; a connection that
is lost or cannot be had is tried again for ever, at growing intervals. A name is looked up again where it could not be
found, and at SIGHUP.

Over ``tls:`` the collector has to prove its name to the authorities that are named, or to those of this system, by the
rules of :mod:`sip_p2p.transport.trust.https`. ``udp:`` and
``tcp:`` show everything to whoever is on the way, the password too; the log says so, unless the collector is on this
machine.
"""

from __future__ import annotations

import collections
import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IHandshakeListener, IPushProducer, IResolutionReceiver
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.logger import Logger
from zope.interface import implementer

from sip_p2p.observe.text import printable
from sip_p2p.service.words import explain
from sip_p2p.transport.trust.https import HttpsPolicy

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorPluggableNameResolver, IReactorTime

    from sip_p2p.observe.hep import HepEncoder
    from sip_p2p.observe.trace import TraceEvent
    from sip_p2p.transport.trust.credential import TrustAnchors

__all__ = ["LARGEST_BACKLOG", "LAST_SECONDS", "LOOK_UP_AGAIN", "HepSender", "HepTarget", "collectors"]

LARGEST_BACKLOG = 1024 * 1024
"""How many octets wait for a collector that does not take them; beyond it the oldest packets are lost."""

LOOK_UP_AGAIN = 30.0
"""After how many seconds a name is looked up again that was not found."""

LAST_SECONDS = 2.0
"""How many seconds a collector has at the end to take what was written to it; then the connection is dropped."""

_PORTS = {"udp": 9060, "tcp": 9060, "tls": 9061}

_log = Logger()


class HepTarget(NamedTuple):
    """Where a collector is.

    :ivar transport: ``udp``, ``tcp`` or ``tls``.
    :ivar host: its name or address, without brackets.
    :ivar port: its port.
    """

    transport: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> HepTarget:
        """What ``udp:HOST:PORT`` says; without a port it is 9060, and 9061 for TLS.

        :raises ValueError: for anything else.
        """
        transport, colon, rest = text.partition(":")
        if transport not in _PORTS or not colon:
            raise ValueError("begin with udp:, tcp: or tls:, as in udp:homer.example:9060")
        host, bracket, port = rest[1:].partition("]") if rest.startswith("[") else rest.partition(":")
        if rest.startswith("["):
            if not bracket or port[:1] not in ("", ":") or not _is_address(host):
                raise ValueError("an IPv6 address stands alone in its brackets, as in udp:[2001:db8::1]:9060")
            port = port[1:]
        if not host or any(character.isspace() or character in "[]/@" for character in host):
            raise ValueError("the host is missing or none, as in udp:homer.example:9060")
        if not port and not rest.endswith(":"):
            return cls(transport, host, _PORTS[transport])
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
            raise ValueError("the port is not a number from 1 to 65535")
        return cls(transport, host, int(port))

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine by its own words."""
        return self.host == "localhost" or (_is_address(self.host) and ipaddress.ip_address(self.host).is_loopback)

    def __str__(self) -> str:
        return f"{self.transport}:[{self.host}]:{self.port}" if ":" in self.host else ":".join(map(str, self))


def collectors(trust: TrustAnchors | str) -> HttpsPolicy:
    """Which collectors are believed over TLS.

    :param trust: the authorities that may vouch for them, or the path of a PEM file with their certificates.
    :raises ValueError: the file cannot be used; the message names it.
    """
    return HttpsPolicy(trust, protocol=None)


@implementer(IResolutionReceiver)
class _Datagrams(DatagramProtocol):
    """A socket that sends to one place."""

    def __init__(self, reactor: IReactorTime, target: HepTarget) -> None:
        self._reactor = reactor
        self._target = target
        self._found: str | None = target.host if _is_address(target.host) else None
        self._again: IDelayedCall | None = None
        self._port: Any = None
        self._is_looking = False
        self._is_stopped = False

    def start(self) -> None:
        if self._found is None:
            self.look_up()
        else:
            self._bind()

    def _bind(self) -> None:
        interface = "::" if self._found is not None and ":" in self._found else ""
        self._port = cast("Any", self._reactor).listenUDP(0, self, interface=interface)

    def look_up(self) -> None:
        """Find out where the name leads, if it is one and nobody does so already."""
        if self._is_looking or self._is_stopped or _is_address(self._target.host):
            return
        self._is_looking = True
        resolver = cast("IReactorPluggableNameResolver", self._reactor).nameResolver
        resolver.resolveHostName(cast("IResolutionReceiver", self), self._target.host)

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        """A look-up has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """The name leads to *address*, the first of which is taken."""
        if not self._is_looking or self._is_stopped:
            return
        self._is_looking = False
        found = cast("Any", address).host
        is_other_family = self._found is not None and (":" in found) is not (":" in self._found)
        self._found = found
        if is_other_family and self._port is not None:
            self._port.stopListening()
            self._port = None
        if self._port is None:
            self._bind()

    def resolutionComplete(self) -> None:
        """That was all; where nothing was found it is asked again."""
        if self._is_looking and not self._is_stopped:
            self._is_looking = False
            _log.warn("{host} of --hep leads nowhere", host=printable(self._target.host))
            self._again = self._reactor.callLater(LOOK_UP_AGAIN, self._look_again)

    def _look_again(self) -> None:
        self._again = None
        self.look_up()

    def send(self, packet: bytes) -> int:
        """Send *packet*; gives how many were lost: none or this one."""
        if self._found is None or self._port is None:
            return 1
        try:
            cast("Any", self.transport).write(packet, (self._found, self._target.port))
        except Exception:
            # The network is unreachable, or the packet too large for it.
            return 1
        return 0

    def stop(self) -> Deferred[None]:
        self._is_stopped = True
        if self._again is not None:
            self._again.cancel()
            self._again = None
        port, self._port = self._port, None
        return succeed(None) if port is None else maybeDeferred(port.stopListening)


@implementer(IHandshakeListener, IPushProducer)
class _Stream(Protocol):
    """A connection to a collector, which says nothing itself."""

    def __init__(self, sender: _Streams) -> None:
        self._sender = sender

    def connectionMade(self) -> None:
        """Send what has waited, where there is no handshake to come."""
        if not self._sender.is_tls:
            self._begin()

    def handshakeCompleted(self) -> None:
        """The collector has proved its name: send what has waited; one that has not is being left."""
        if not cast("Any", self.transport).disconnecting:
            self._begin()

    def _begin(self) -> None:
        cast("Any", self.transport).registerProducer(self, True)
        self._sender.connected(self)

    def connectionLost(self, reason: Any = None) -> None:
        """Keep what comes until there is another connection."""
        self._sender.disconnected(self)

    def dataReceived(self, data: bytes) -> None:
        """Collectors may say what they like."""

    def pauseProducing(self) -> None:
        """The collector takes no more for now."""
        self._sender.paused()

    def resumeProducing(self) -> None:
        """It takes more."""
        self._sender.connected(self)

    def stopProducing(self) -> None:
        """The connection ends."""
        self._sender.paused()


class _Streams:
    """Packets that go over one connection after another."""

    def __init__(self, reactor: IReactorTime, target: HepTarget, trust: HttpsPolicy | None) -> None:
        name = target.host.encode("idna")
        endpoint: Any = HostnameEndpoint(reactor, name.decode("ascii"), target.port)
        if trust is not None:
            endpoint = wrapClientTLS(trust.creatorForNetloc(name, target.port), endpoint)
        factory = Factory.forProtocol(lambda: _Stream(self))
        factory.noisy = False
        self._service = ClientService(endpoint, factory, retryPolicy=backoffPolicy(maxDelay=60.0), clock=reactor)
        self._target = target
        self._trust = trust
        self._name = name.decode("ascii")
        self._reactor = reactor
        self._stream: _Stream | None = None
        self._open: _Stream | None = None
        self._waiting: collections.deque[bytes] = collections.deque()
        self._octets = 0
        self._is_told = False
        self._is_stopped = False

    def start(self) -> None:
        self._service.startService()
        self._service.whenConnected(failAfterFailures=1).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            self._tell(printable(failure.getErrorMessage()))

    def _tell(self, words: str) -> None:
        """Say once why the collector cannot be had."""
        if not self._is_told:
            self._is_told = True
            _log.warn("{target} cannot be had, and is tried again: {words}", target=str(self._target), words=words)

    def look_up(self) -> None:
        """A name is looked up for each connection anyway."""

    @property
    def is_tls(self) -> bool:
        """Whether there is a handshake first."""
        return self._trust is not None

    def connected(self, stream: _Stream) -> None:
        """*stream* takes what there is."""
        self._is_told = False
        self._stream = self._open = stream
        while self._waiting and self._open is stream:
            packet = self._waiting.popleft()
            self._octets -= len(packet)
            cast("Any", stream.transport).write(packet)

    def paused(self) -> None:
        """What comes has to wait."""
        self._open = None

    def disconnected(self, stream: _Stream) -> None:
        """*stream* is gone."""
        if self._stream is stream:
            self._stream = self._open = None
        elif self._trust is not None and not self._is_stopped:
            refusal = self._trust.refusal_of(self._name, self._target.port)
            self._tell(
                "the connection was lost in the handshake" if refusal is None else explain(refusal, "collector").what
            )

    def send(self, packet: bytes) -> int:
        """Send or keep *packet*; gives how many were lost for it."""
        if self._open is not None:
            cast("Any", self._open.transport).write(packet)
            return 0
        self._waiting.append(packet)
        self._octets += len(packet)
        lost = 0
        while self._octets > LARGEST_BACKLOG:
            self._octets -= len(self._waiting.popleft())
            lost += 1
        return lost

    def stop(self) -> Deferred[None]:
        self._is_stopped = True
        if self._stream is None:
            return maybeDeferred(self._service.stopService)
        transport = cast("Any", self._stream.transport)
        # A connection with a producer is not closed before that has ended.
        transport.unregisterProducer()
        dropping = self._reactor.callLater(LAST_SECONDS, transport.abortConnection)

        def stopped(result: object) -> object:
            if dropping.active():
                dropping.cancel()
            return result

        return maybeDeferred(self._service.stopService).addBoth(stopped)


@final
class HepSender:
    """Sends every event that it is given to one collector; never waits, never raises.

    :ivar sent: how many messages were handed to the network or wait for it.
    :ivar lost: how many were lost.
    :param trust: which collectors are believed, as :func:`collectors` gives it; there has to be one for ``tls:``.
    :raises ValueError: there is none, or one for a collector in clear text.
    """

    def __init__(
        self, reactor: IReactorTime, target: HepTarget, encoder: HepEncoder, trust: HttpsPolicy | None = None
    ) -> None:
        if (target.transport == "tls") is (trust is None):
            raise ValueError("who is believed is to be known for a collector over TLS, and for no other")
        self.target = target
        self.sent = 0
        self.lost = 0
        self._encoder = encoder
        self._way: _Datagrams | _Streams = (
            _Datagrams(reactor, target) if target.transport == "udp" else _Streams(reactor, target, trust)
        )

    def start(self) -> None:
        """Begin to connect, or to look the name up."""
        if self.target.transport != "tls" and not self.target.is_local:
            _log.warn("--hep {target}: what is sent there goes in clear text", target=str(self.target))
        self._way.start()

    def write(self, event: TraceEvent) -> None:
        """Send one message; a note is not sent."""
        packet = self._encoder.packet(event)
        if packet:
            lost = self._way.send(packet)
            self.lost += lost
            self.sent += 1
            if lost and self.lost == lost:
                _log.warn("{target} does not take what it is sent: some is lost", target=str(self.target))

    def reload(self) -> None:
        """Look the name up again."""
        self._way.look_up()

    def stop(self) -> Deferred[None]:
        """Send no more; fires when the socket is closed."""
        return self._way.stop()


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
