"""One TCP connection to one server, over whichever of its addresses answers first (RFC 8305, "happy eyeballs").

The addresses are tried alternately by family, IPv6 first, a quarter of a second apart and at once where the one before
has failed. The first that is connected wins; what is under way besides is given up. TLS begins on the winner alone:
that it fails says that the *server* is wrong, not that another of its addresses is right; that is for the caller to
judge.

Names are looked up here only where a target still has one for its host; where names lead is the business of
:mod:`.dns.resolver`. A Twisted client endpoint of the application's own makes its connection as it likes, and nothing
is raced then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IProtocolFactory, IReactorPluggableNameResolver, IResolutionReceiver
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from sip_p2p.errors import ConnectionFailure, SipError
from sip_p2p.transport.trust.identity import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twisted.internet.interfaces import (
        IAddress,
        IConnector,
        IDelayedCall,
        IHostResolution,
        IProtocol,
        IReactorTCP,
        IReactorTime,
        IStreamClientEndpoint,
    )

    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.target import Target

__all__ = ["Dialler", "alternate"]


def alternate(targets: Iterable[Target]) -> list[Target]:
    """*targets* with their families in turn, IPv6 first, and in their own order within a family (RFC 8305 section
    4)."""
    sixes: list[Target] = []
    fours: list[Target] = []
    for target in targets:
        (sixes if ":" in target.host else fours).append(target)
    ordered: list[Target] = []
    for index in range(max(len(sixes), len(fours))):
        ordered += sixes[index : index + 1]
        ordered += fours[index : index + 1]
    return ordered


@final
class Dialler:
    """One connection being made.

    :ivar winner: the target whose address was connected; None until then.
    :ivar attempts: how many connections were asked for.
    """

    __slots__ = (
        "_connected",
        "_connectors",
        "_deadline",
        "_errors",
        "_factory",
        "_failed",
        "_hit",
        "_in_order",
        "_is_over",
        "_limits",
        "_look_ups",
        "_next",
        "_reactor",
        "_targets",
        "_waiting",
        "attempts",
        "winner",
    )

    def __init__(
        self,
        reactor: object,
        limits: Limits,
        targets: Sequence[Target],
        factory: IProtocolFactory,
        failed: Callable[[ConnectionFailure | SipError], None],
        *,
        in_order: bool = False,
        hit: Callable[[str], object] | None = None,
    ) -> None:
        """
        :param targets: the addresses of one server, best first; at least one.
        :param factory: makes the protocol of the one connection, when it stands.
        :param failed: told once when no connection comes about, unless :meth:`give_up` was called before.
        :param in_order: whether the targets stand in the order that is wanted, families and all.
        :param hit: told the name of a limit that was reached.
        """
        self._reactor = reactor
        self._limits = limits
        self._targets = list(targets)
        self._in_order = in_order
        self._factory = factory
        self._failed = failed
        self._hit = hit
        self._waiting: list[Target] = []
        self._connectors: dict[_Attempt, IConnector] = {}
        self._look_ups = 0
        self._connected: Deferred[IProtocol] | None = None
        self._next: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._errors: list[Failure] = []
        self._is_over = False
        self.attempts = 0
        self.winner: Target | None = None

    def start(self) -> None:
        """Look up what is still a name, then connect."""
        clock = cast("IReactorTime", self._reactor)
        self._deadline = clock.callLater(self._limits.connect_timeout, self._too_late)
        found: list[Target] = []
        names = [target for target in self._targets if not is_ip_address(target.host)]
        if not names:
            self._connect(self._targets)
            return
        self._look_ups = len(self._targets)
        resolver = cast("IReactorPluggableNameResolver", self._reactor).nameResolver

        def looked_up() -> None:
            self._look_ups -= 1
            if not self._look_ups and not self._is_over:
                self._connect(found)

        for target in self._targets:
            # An address is its own answer; asked alike, it keeps its place.
            resolver.resolveHostName(_Addresses(target, found, looked_up), target.host, target.port)

    def start_through(self, endpoint: IStreamClientEndpoint) -> None:
        """Let a client endpoint of the application's make the connection; it has its own idea of time."""
        self.attempts = 1
        self.winner = self._targets[0]
        try:
            connected = endpoint.connect(self._factory)
        except Exception:
            self._fail(Failure())
            return
        self._connected = connected
        connected.addErrback(self._fail)

    def give_up(self) -> None:
        """Make no connection; nobody is told. One that stands already is the caller's."""
        self._stop()
        connected, self._connected = self._connected, None
        if connected is not None:
            connected.cancel()

    def _connect(self, addresses: list[Target]) -> None:
        """Begin with the best address."""
        in_order = self._in_order and all(is_ip_address(each.host) for each in self._targets)
        most = self._limits.attempts
        self._waiting = (addresses if in_order else alternate(addresses))[:most]
        if len(addresses) > most and self._hit is not None:
            self._hit("attempts")
        if not self._waiting:
            self._fail(Failure(ConnectionFailure(f"{self._where}: there is no address for {self._targets[0].host}")))
            return
        self._try_next()

    def _try_next(self) -> None:
        """Try one address more, and the one after it a moment later."""
        self._next = None
        target = self._waiting.pop(0)
        attempt = _Attempt(self, target)
        self.attempts += 1
        clock = cast("IReactorTime", self._reactor)
        if self._waiting:
            self._next = clock.callLater(self._limits.attempt_delay, self._try_next)
        try:
            connector = cast("IReactorTCP", self._reactor).connectTCP(
                target.host, target.port, attempt, timeout=self._limits.connect_timeout
            )
        except Exception:
            self.attempt_failed(attempt, Failure())
            return
        if not attempt.has_failed and self.winner is None:
            self._connectors[attempt] = connector

    def attempt_connected(self, attempt: _Attempt, address: IAddress) -> IProtocol | None:
        """TCP is connected: this one it is, unless another was quicker."""
        if self._is_over:
            return None
        self._connectors.pop(attempt, None)
        self.winner = attempt.target
        self._stop()
        return self._factory.buildProtocol(address)

    def attempt_failed(self, attempt: _Attempt, reason: Failure) -> None:
        """This address does not answer: try the next one at once."""
        attempt.has_failed = True
        self._connectors.pop(attempt, None)
        if self._is_over:
            return
        self._errors.append(reason)
        if self._waiting:
            if self._next is not None:
                self._next.cancel()
            self._try_next()
        elif not self._connectors:
            self._fail(self._errors[0])

    def _too_late(self) -> None:
        self._deadline = None
        if self._hit is not None:
            self._hit("connect_timeout")
        self._fail(Failure(ConnectTimeout()))

    def _stop(self) -> None:
        """Give up everything that is under way."""
        self._is_over = True
        self._waiting = []
        self._errors = []
        for call in (self._next, self._deadline):
            if call is not None and call.active():
                call.cancel()
        self._next = self._deadline = None
        connectors, self._connectors = self._connectors, {}
        for connector in connectors.values():
            connector.stopConnecting()

    def _fail(self, reason: Failure) -> None:
        if self._is_over:
            return
        self._stop()
        self._connected = None
        self._failed(self._in_our_terms(reason))

    @property
    def _where(self) -> str:
        first = self._targets[0]
        return f"could not connect to {first.origin or first.host}:{first.port}"

    def _in_our_terms(self, reason: Failure) -> SipError:
        """Twisted's or the system's error as a :class:`~sip_p2p.errors.ConnectionFailure`."""
        error = reason.value
        if isinstance(error, SipError):
            return error
        if isinstance(error, ConnectTimeout):
            words = f"{self._where}: no connection in time"
        elif isinstance(error, ConnectError):
            words = f"{self._where}: {reason.getErrorMessage()}"
        else:
            words = f"{self._where}: {type(error).__name__}: {reason.getErrorMessage()}"
        if self.attempts > 1:
            words += f" (and {self.attempts - 1} more of its addresses)"
        failure = ConnectionFailure(words)
        failure.__cause__ = error
        return failure


@implementer(IProtocolFactory)
@final
class _Attempt(ClientFactory):
    """One address being connected to."""

    noisy = False

    def __init__(self, dialler: Dialler, target: Target) -> None:
        self._dialler = dialler
        self.target = target
        self.has_failed = False

    def buildProtocol(self, addr: IAddress | None) -> IProtocol | None:  # type: ignore[override]
        """TCP is connected; the protocol, or None for the one that came too late."""
        return self._dialler.attempt_connected(self, cast("IAddress", addr))

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """It did not come to a connection."""
        self._dialler.attempt_failed(self, reason)


@implementer(IResolutionReceiver)
@final
class _Addresses:
    """Collects the addresses of one host; one with a zone identifier has no place in SIP, and is passed over."""

    def __init__(self, target: Target, found: list[Target], done: Callable[[], None]) -> None:
        self._target = target
        self._found = found
        self._done = done

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing is kept of it: a look-up that nobody waits for any more may end by itself."""

    def addressResolved(self, address: IAddress) -> None:
        """One more address."""
        host = str(getattr(address, "host", ""))
        if "%" not in host:
            self._found.append(self._target.at(host, origin=self._target.origin or self._target.host))

    def resolutionComplete(self) -> None:
        """All addresses are there."""
        self._done()
