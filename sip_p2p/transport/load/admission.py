"""Who may open a connection to us, how many, and how fast: the bounds on what is accepted (faults H1, H3, H4).

One too many of somebody's own is closed at once. Where all of us together have enough, or new ones come faster than
handshakes can be paid for, nothing is accepted for a while instead: what waits in the system's backlog costs nothing,
and those whom we serve already are served on. Some descriptors are always left for dialling.
"""

from __future__ import annotations

import ipaddress
import os
import resource
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol, cast, final

from sip_p2p.transport.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.throttle import ThrottledLog

__all__ = ["LOOPBACK", "Admission", "descriptors_left"]

LOOPBACK = ("127.", "::1", "unix")
"""What the addresses of this machine itself begin with."""

_RATED_ADDRESSES = 4096
# Beside a handshake, whoever is refused at once costs little; nothing, and a flood of them would not be slowed down.
_COST_OF_REFUSAL = 0.1
_WITHOUT_DESCRIPTORS = 1.0
_SHORTEST_PAUSE = 0.02
# The connections of so many seconds may come at once: handshakes that come together keep everybody else waiting.
_AT_ONCE = 0.025


def descriptors_left() -> int:
    """How many more descriptors the process may open.

    A new one gets the lowest number that is free, so that number says how many are in use below it.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        number = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    os.close(number)
    return 65536 if soft == resource.RLIM_INFINITY else soft - number


def counted_as(address: str) -> str:
    """As what an address counts: IPv4 as it stands, IPv6 with the rest of its /64, of which whoever has one address has
    all (RFC 4291 section 2.5.4)."""
    if ":" not in address or address in LOOPBACK:
        return address
    return f"{ipaddress.IPv6Address(ipaddress.IPv6Address(address).packed[:8] + bytes(8))}/64"


class _Accepting(Protocol):
    """What a listening port of Twisted's can do."""

    def stopReading(self) -> None:
        """Accept nothing."""

    def startReading(self) -> None:
        """Accept again."""


@final
class Admission:
    """Counts what was accepted, and says what is one too many.

    :ivar limits: the bounds.
    :ivar handshakes: how many accepted connections have no flow yet.
    :ivar accepted: how many accepted connections carry a flow.
    :ivar refused: how many were one too many.
    :ivar pauses: how often accepting was paused.
    :ivar is_paused: whether nothing is accepted at the moment.
    """

    __slots__ = (
        "_alarm",
        "_allowed",
        "_allowed_at",
        "_by_address",
        "_handshaking",
        "_hit",
        "_left",
        "_now",
        "_peers_log",
        "_ports",
        "_rates",
        "_reactor",
        "accepted",
        "handshakes",
        "is_paused",
        "limits",
        "pauses",
        "refused",
    )

    def __init__(
        self,
        reactor: IReactorTime,
        limits: Limits,
        now: Callable[[], float],
        peers_log: ThrottledLog,
        hit: Callable[[str], object],
        left: Callable[[], int] = descriptors_left,
    ) -> None:
        """
        :param now: seconds on a monotonic scale.
        :param hit: told the name of a limit that was reached.
        :param left: how many descriptors are left.
        """
        self._reactor = reactor
        self.limits = limits
        self._now = now
        self._peers_log = peers_log
        self._hit = hit
        self._left = left
        self._by_address: dict[str, int] = {}
        self._handshaking: dict[str, int] = {}
        self._rates: OrderedDict[str, Throttle] = OrderedDict()
        self._allowed = float("inf")
        self._allowed_at = now()
        self._ports: dict[_Accepting, None] = {}
        self._alarm: IDelayedCall | None = None
        self.handshakes = 0
        self.accepted = 0
        self.refused = 0
        self.pauses = 0
        self.is_paused = False

    def __len__(self) -> int:
        """Of how many addresses something is remembered."""
        return len(self._by_address.keys() | self._handshaking.keys() | self._rates.keys())

    def listens_on(self, port: object) -> None:
        """A port accepts connections for us; one that cannot be paused is left alone."""
        if hasattr(port, "stopReading") and hasattr(port, "startReading"):
            accepting = cast("_Accepting", port)
            self._ports[accepting] = None
            self._take_few(accepting)
            if self.is_paused:
                accepting.stopReading()

    def stops_on(self, port: object) -> None:
        """It does not any more."""
        self._ports.pop(cast("_Accepting", port), None)

    def has_room(self) -> bool:
        """Whether one more may be accepted; if not, it is counted and logged. Asked before it costs anything."""
        limits = self.limits
        if self.handshakes + self.accepted >= limits.connections:
            self._refuse("a connection", f"{limits.connections} connections are open", "connections")
            return False
        if self._left() < limits.reserved_descriptors:
            reason = f"only {limits.reserved_descriptors} descriptors are left"
            self._pause(reason, "", _WITHOUT_DESCRIPTORS)
            self._refuse("a connection", reason, "reserved_descriptors")
            return False
        return True

    def begin_handshake(self, address: str) -> bool:
        """A connection was accepted; False when it is one too many. It counts until :meth:`end_handshake` in either
        case.

        :param address: where it comes from; the empty string where that says nothing, as behind a proxy.
        """
        limits = self.limits
        address = counted_as(address)
        self.handshakes += 1
        if address:
            self._handshaking[address] = self._handshaking.get(address, 0) + 1
        refusal = self._too_much(address)
        self._keep_pace(_COST_OF_REFUSAL if refusal else 1.0)
        if self.handshakes + self.accepted >= limits.connections:
            self._pause(f"{limits.connections} connections are open", "connections", 0.0)
        return not refusal

    def _too_much(self, address: str) -> bool:
        """Whether a connection that was just accepted is one too many; if so, it is counted and logged."""
        limits = self.limits
        if self.handshakes > limits.handshakes:
            return self._refuse("a connection", f"{limits.handshakes} are in their handshake", "handshakes")
        if self.handshakes + self.accepted > limits.connections:
            return self._refuse("a connection", f"{limits.connections} connections are open", "connections")
        if not address or address.startswith(LOOPBACK):
            return False
        who = f"a connection from {address}"
        if self._handshaking[address] > limits.handshakes_per_address:
            return self._refuse(
                who, f"{limits.handshakes_per_address} are in their handshake", "handshakes_per_address"
            )
        if limits.connection_rate_per_address and not self._is_slow_enough(address):
            words = f"there were more than {limits.connection_rate_per_address:g} a second"
            return self._refuse(who, words, "connection_rate_per_address")
        return False

    def _is_slow_enough(self, address: str) -> bool:
        rates = self._rates
        rate = rates.pop(address, None)
        if rate is None:
            most = self.limits.connection_rate_per_address
            rate = Throttle(max(1.0, 2.0 * most), most)
            if len(rates) >= _RATED_ADDRESSES:
                rates.popitem(last=False)
        rates[address] = rate
        return rate.lets_through(self._now())

    def _keep_pace(self, cost: float) -> None:
        """Take *cost* from the allowance of new connections, and pause when it is used up."""
        rate = self.limits.handshake_rate
        if not rate:
            return
        # What the system hands over beyond what may come at once is owed.
        now = self._now()
        allowed = self._allowed + max(0.0, now - self._allowed_at) * rate
        self._allowed = min(max(1.0, rate * _AT_ONCE), allowed) - cost
        self._allowed_at = now
        if self._allowed < 1.0:
            self._pause(f"there are more than {rate:g} a second", "handshake_rate", self._until_allowed())

    def _until_allowed(self) -> float:
        """In how many seconds another connection may be accepted, by the pace alone."""
        rate = self.limits.handshake_rate
        owed = 1.0 - self._allowed - max(0.0, self._now() - self._allowed_at) * rate if rate else 0.0
        return max(_SHORTEST_PAUSE, owed / rate) if owed > 0 else 0.0

    def end_handshake(self, address: str) -> None:
        """A connection has become a flow, or has ended before it did."""
        self.handshakes -= 1
        if address:
            _less(self._handshaking, counted_as(address))
        self._maybe_resume()

    def refusal(self, flow: StreamFlow, of_peer: int) -> str:
        """Why *flow* is one too many; the empty string when it is welcome.

        :param of_peer: how many flows there are to the party that it proved to be.
        """
        limits = self.limits
        address = counted_as(flow.remote_host)
        reason = name = ""
        if self.accepted >= limits.connections:
            name = "connections"
            reason = f"{limits.connections} connections are open"
        elif self._by_address.get(address, 0) >= limits.connections_per_address and not address.startswith(LOOPBACK):
            name = "connections_per_address"
            reason = f"{limits.connections_per_address} connections from {address} are open"
        elif flow.peer and of_peer >= limits.connections_per_identity:
            name = "connections_per_identity"
            reason = f"{limits.connections_per_identity} connections of {flow.peer} are open"
        if reason:
            self._refuse(repr(flow), reason, name)
        return reason

    def _refuse(self, what: str, reason: str, name: str) -> bool:
        """Count a connection that is one too many, and log it within bounds."""
        self.refused += 1
        self._hit(name)
        self._peers_log.warn("refused {what}: {reason}", what=what, reason=reason)
        return True

    def enter(self, flow: StreamFlow) -> None:
        """An accepted connection carries a flow from now on."""
        self.accepted += 1
        address = counted_as(flow.remote_host)
        self._by_address[address] = self._by_address.get(address, 0) + 1

    def leave(self, flow: StreamFlow) -> None:
        """It is gone."""
        self.accepted -= 1
        _less(self._by_address, counted_as(flow.remote_host))
        self._maybe_resume()

    def _pause(self, reason: str, name: str, seconds: float) -> None:
        """Accept nothing for so long, and while there are too many; what is in the backlog waits there.

        :param name: the limit that asks for it, unless it was counted already.
        """
        if seconds and (self._alarm is None or not self._alarm.active()):
            self._alarm = self._reactor.callLater(seconds, self._resume)
        if self.is_paused or not self._ports:
            return
        self.is_paused = True
        self.pauses += 1
        if name:
            self._hit(name)
        self._peers_log.info("nothing is accepted for a moment: {reason}", reason=reason)
        for port in self._ports:
            port.stopReading()

    def _maybe_resume(self) -> None:
        """One is gone: accept again, unless something else is against it or only a few have gone."""
        if self.is_paused and (self._alarm is None or not self._alarm.active()):
            self._resume()

    def _resume(self) -> None:
        most = self.limits.connections
        if not self.is_paused or self.handshakes + self.accepted > most - max(1, most // 20):
            return
        wait = self._until_allowed()
        if wait:
            self._alarm = self._reactor.callLater(wait, self._resume)
            return
        self.is_paused = False
        for port in self._ports:
            self._take_few(port)
            port.startReading()

    def _take_few(self, port: _Accepting) -> None:
        """Have Twisted's port accept no more at once than the pace allows; by itself it takes a hundred."""
        rate = self.limits.handshake_rate
        if rate and hasattr(port, "numberAccepts"):
            port.numberAccepts = max(1, int(rate * _AT_ONCE))

    def limits_changed(self, limits: Limits) -> None:
        """Count by other bounds from now on."""
        self.limits = limits
        self._maybe_resume()

    def close(self) -> None:
        """Nothing will be accepted any more."""
        self._ports.clear()
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()


def _less(counts: dict[str, int], key: str) -> None:
    left = counts.get(key, 1) - 1
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
