"""The network in memory: hosts, the wires between them, their faults, and the time that all of it shares."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from sip_p2p.testing.conditions import Conditions, Datagram
from sip_p2p.testing.host import Host
from sip_p2p.testing.sockets import DatagramSocket, MemorySocket
from sip_p2p.testing.streams import Pipe, StreamSocket
from sip_p2p.testing.zones import Zones

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.pki import CertificateAuthority
    from sip_p2p.testing.party import Parties

__all__ = ["Network"]

_Result = TypeVar("_Result")

_PERFECT = Conditions()
_IP_HEADERS = {False: 20, True: 40}
_UDP_HEADER = 8
# What TCP waits before it sends again, doubling each time (RFC 6298, with Linux's minimum).
_FIRST_RETRANSMISSION = 0.2
_RETRANSMISSIONS = 8


class Network:
    """Several hosts on one clock, joined by wires that fail as they are told to.

    :ivar clock: the :class:`twisted.internet.task.Clock` that every host shares.
    :ivar conditions: how every wire behaves for which :meth:`link` or :meth:`path` says nothing else; :meth:`change`
        changes it.
    :ivar drop: None, or a function that is shown each :class:`~sip_p2p.testing.Datagram` and returns True to lose it.
    :ivar name_delay: how many seconds it takes to resolve a name, and DNS to answer a question.
    :ivar dns: the records that every host finds, beside the addresses of :meth:`name`:
        ``network.dns.add("_sips._tcp.b.example SRV 0 0 5061 one.b.example")``; see :class:`~sip_p2p.testing.Zones`.
    :ivar turns_in_one_instant: after so many turns without time passing, two parties are feeding each other for ever.
    :ivar log: what happened on the wires, the latest 100 000 lines: the same seed and program give the same lines.
    """

    def __init__(self, clock: Clock | None = None, seed: int | str = 0, **conditions: Any) -> None:
        """
        :param seed: decides what gets lost, delayed and cut where. (TLS has randomness of its own: the octets of a
            handshake, and by one or two their number, differ in every run.)
        :param conditions: any field of :class:`~sip_p2p.testing.Conditions`, for all wires.
        """
        self.clock = Clock() if clock is None else clock
        self.conditions = Conditions(**conditions)
        self.drop: Callable[[Datagram], bool] | None = None
        self.name_delay = 0.0
        self.turns_in_one_instant = 1_000_000
        self.log: deque[str] = deque(maxlen=100_000)
        self._random = random.Random(seed)
        self._hosts: list[Host] = []
        self._parties: Parties | None = None
        self._names: dict[str, tuple[str, ...]] = {}
        self.dns = Zones(addresses_of=self.addresses_of, later=lambda answer: self.later(self.name_delay, answer))
        self._paths: dict[tuple[Host, Host], Conditions] = {}
        self._parted: set[frozenset[Host]] = set()
        self._held: dict[Pipe, None] = {}
        self._descriptors = 1_000_000
        self._turns = 0
        self._turns_at = 0.0

    # Parties, hosts and names

    def party(
        self,
        uri: str,
        *,
        listen: str | Iterable[str] | None = None,
        manager: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> SipPeerToPeerEndpoint:
        """A party that is ready: on a host that its domain leads to, with a certificate for that domain, and listening.

        Parties of one domain share host, certificate and connection manager. All trust one authority, and by default
        all whom it vouches for may talk to them.

        :param uri: who it is, such as ``sip:alice@a.example``.
        :param listen: one endpoint description or several, none for a party that only dials; by default mutual TLS on
            port 5061, or port 5060 of ``default_transport`` where that is ``tcp`` or ``udp``.
        :param manager: arguments for :class:`~sip_p2p.RealTimeServerTlsConnectionManager`, such as ``allow``,
            ``limits`` or another ``certificate``.
        :param options: arguments for :class:`~sip_p2p.SipPeerToPeerEndpoint`.
        :raises ValueError: the domain has a party already, and *listen* or *manager* would change what they share.
        """
        return self._all_parties().add(uri, listen, dict(manager or {}), options)

    @property
    def authority(self) -> CertificateAuthority:
        """The private authority that has issued the certificates of all parties."""
        return self._all_parties().authority

    def finish(self) -> None:
        """Terminate every party, and fail unless they have left nothing open: what a test ends with.

        :raises AssertionError: lists what is left.
        """
        if self._parties is not None:
            self._parties.terminate()
        self.assert_quiet()

    def _all_parties(self) -> Parties:
        if self._parties is None:
            # Programs that only need the wires do without SIP and without a certificate authority.
            from sip_p2p.testing.party import Parties

            self._parties = Parties(self)
        return self._parties

    def host(self, *addresses: str, names: tuple[str, ...] | list[str] = ()) -> Host:
        """A new host: a reactor for one program.

        :param addresses: its IP addresses; without any, the next free one of ``10.0.0.0/8``.
        :param names: names that resolve to all of these addresses.
        :raises ValueError: an address is none, or taken.
        """
        own = tuple(str(ipaddress.ip_address(each)) for each in addresses) or (self._free_address(),)
        for address in own:
            if self._owner(address) is not None:
                raise ValueError(f"{address} belongs to another host of this network")
        host = Host(self, own)
        self._hosts.append(host)
        for name in names:
            self.name(name, *own)
        return host

    @property
    def hosts(self) -> tuple[Host, ...]:
        """All hosts, in the order of their making."""
        return tuple(self._hosts)

    def find(self, name: str) -> Host | None:
        """The host that a name or an address leads to, if there is one."""
        owners = (self._owner(address) for address in self.addresses_of(name))
        return next((host for host in owners if host is not None), None)

    def name(self, name: str, *addresses: str) -> None:
        """Let *name* resolve to *addresses*, in this order; without any it is unknown from now on."""
        self._names[name.lower()] = tuple(str(ipaddress.ip_address(each)) for each in addresses)

    def addresses_of(self, name: str) -> tuple[str, ...]:
        """What *name* resolves to."""
        if isIPAddress(name) or isIPv6Address(name):
            return (name,)
        if name.lower() == "localhost":
            return ("127.0.0.1",)
        return self._names.get(name.lower().removesuffix("."), ())

    def resolve_first(self, name: str) -> Deferred[str]:
        """The first IPv4 address of *name*, after :attr:`name_delay`; fails with ``DNSLookupError``."""
        result: Deferred[str] = Deferred()

        def answer() -> None:
            found = [address for address in self.addresses_of(name) if isIPAddress(address)]
            if found:
                result.callback(found[0])
            else:
                result.errback(DNSLookupError(f"no address for {name}"))

        self.later(self.name_delay, answer)
        return result

    # Time

    def seconds(self) -> float:
        """The time by the shared clock."""
        return self.clock.seconds()

    def advance(self, seconds: float) -> None:
        """Let time pass, event by event: what an event leads to happens at its own time, not at the end."""
        end = self.seconds() + seconds
        while self._step(end):
            continue
        self.clock.rightNow = max(self.clock.rightNow, end)

    def settle(self) -> None:
        """Let everything happen that is due now; no time passes. With a delay on the wires much is still under way."""
        self.advance(0)

    def step(self) -> bool:
        """Let time pass until the next event, and do what is due then. False when nothing will ever happen."""
        return self._step(float("inf"))

    def run_until(self, awaitable: Deferred[_Result] | Awaitable[_Result], timeout: float = 300.0) -> _Result:
        """Let time pass until *awaitable* has a result, and return it or raise its failure.

        :param awaitable: a Deferred or a coroutine.
        :raises AssertionError: it has none after *timeout* seconds of the network's time, or nothing is left that could
            give it one. The message lists what is open and pending.
        """
        results: list[Any] = []
        deferred = (
            awaitable
            if isinstance(awaitable, Deferred)
            else ensureDeferred(cast("Coroutine[Deferred[Any], Any, _Result]", awaitable))
        )
        deferred.addBoth(results.append)
        end = self.seconds() + timeout
        while not results and self._step(end):
            continue
        if not results:
            raise AssertionError(
                "\n  ".join([f"no result at {self.seconds():g} s; open and pending:", *self.inventory()])
            )
        if isinstance(results[0], Failure):
            results[0].raiseException()
        return cast("_Result", results[0])

    def _step(self, end: float) -> bool:
        due = min((call.getTime() for call in self.clock.getDelayedCalls()), default=None)
        if due is None or due > end:
            return False
        self.clock.rightNow = max(self.clock.rightNow, due)
        self.clock.advance(0)
        return True

    # Faults

    def change(self, **conditions: Any) -> None:
        """Change the conditions of all wires that have none of their own."""
        self.conditions = dataclasses.replace(self.conditions, **conditions)

    def link(self, one: Host | str, other: Host | str, **conditions: Any) -> None:
        """Change the conditions between two hosts, both ways."""
        self.path(one, other, **conditions)
        self.path(other, one, **conditions)

    def path(self, source: Host | str, target: Host | str, **conditions: Any) -> None:
        """Change the conditions of one direction between two hosts."""
        key = self._find(source), self._find(target)
        self._paths[key] = dataclasses.replace(self._conditions(*key), **conditions)

    def cut(self, one: Host | str, other: Host | str | None = None) -> int:
        """Reset every stream between two hosts, or of one host: both sides lose it. Returns how many there were."""
        streams = self._streams(one, other)
        for stream in streams:
            for end in (stream, stream.outgoing.target if stream.outgoing else None):
                if end is not None:
                    if end.outgoing is not None:
                        end.outgoing.kill()
                    end.fail(errno.ECONNRESET)
        return len(streams)

    def half_open(self, one: Host | str, other: Host | str | None = None) -> int:
        """Make the peer vanish: on every stream between two hosts, or of one host, nothing arrives any more.

        Neither side is told. New connections work. Returns how many streams there were.
        """
        streams = self._streams(one, other)
        for stream in streams:
            for pipe in (stream.outgoing, stream.incoming):
                if pipe is not None:
                    pipe.kill()
        return len(streams)

    def partition(self, one: Host | str, other: Host | str | None = None) -> None:
        """Let nothing through between two hosts, or between one host and all others, until :meth:`heal`.

        Datagrams are lost; streams and connecting wait, as TCP would by sending again and again.
        """
        self._parted.update(self._pairs(one, other))

    def heal(self, one: Host | str | None = None, other: Host | str | None = None) -> None:
        """End the partition between two hosts, or around one host, or every partition."""
        healed = set(self._parted) if one is None else self._pairs(one, other)
        self._parted -= healed
        # Not the sockets are asked: one may be closed, with its last words still waiting here.
        held, self._held = self._held, {}
        for pipe in held:
            pipe.resume()

    # Looking at it

    def inventory(self) -> list[str]:
        """Every open socket and every pending call on any host, one line each."""
        return [line for host in self._hosts for line in host.inventory()]

    def assert_quiet(self) -> None:
        """Fail unless every socket is closed and no call is pending: what a finished program leaves behind.

        :raises AssertionError: lists what is left.
        """
        self.settle()
        left = self.inventory()
        if left:
            raise AssertionError("\n  ".join(["still open or pending:", *left]))

    # For the hosts and sockets

    def later(self, delay: float, function: Callable[..., object], *arguments: object) -> None:
        """Schedule an event of the network itself: it is in nobody's list of delayed calls."""
        self.clock.callLater(delay, function, *arguments)

    def at(self, moment: float, function: Callable[..., object]) -> None:
        """Schedule an event of the network itself for a moment that is not past."""
        self.later(max(0.0, moment - self.seconds()), function)

    def take_descriptor(self) -> int:
        """A number for a new socket, far above any descriptor of the process."""
        self._descriptors += 1
        return self._descriptors

    def count_turn(self) -> None:
        """Notice two parties that feed each other for ever without time passing.

        :raises RuntimeError: they do.
        """
        now = self.seconds()
        if now != self._turns_at:
            self._turns, self._turns_at = 0, now
        self._turns += 1
        if self._turns > self.turns_in_one_instant:
            raise RuntimeError(f"{self._turns} turns without time passing: two parties feed each other for ever")

    def note(self, source: MemorySocket, target: MemorySocket | None, what: str) -> None:
        """Write a line into the log."""
        end = target.local if target is not None else source.remote
        self._write(source.protocol, source.local, end, what)

    def host_at(self, address: str, source: Host) -> Host | None:
        """The host to which *address* leads when used on *source*."""
        return source if source.owns(address) else self._owner(address)

    def is_parted(self, one: Host, other: Host) -> bool:
        """Whether a partition lies between two hosts."""
        return bool(self._parted) and frozenset((one, other)) in self._parted

    def hold(self, pipe: Pipe) -> None:
        """Keep a pipe whose segments wait for a partition to end."""
        self._held[pipe] = None

    def shortest_round_trip(self, one: Host, other: Host) -> float:
        """How long the way from one host to another and back takes at least."""
        return self._conditions(one, other).delay + self._conditions(other, one).delay

    def draw_delay(self, source: Host, target: Host, retransmits: bool = False) -> float:
        """How long the next thing takes on this path."""
        conditions = self._conditions(source, target)
        delay = conditions.delay
        if conditions.jitter:
            delay += self._random.uniform(0, conditions.jitter)
        if retransmits and conditions.loss:
            wait = _FIRST_RETRANSMISSION
            for _ in range(_RETRANSMISSIONS):
                if self._random.random() >= conditions.loss:
                    break
                delay += wait
                wait *= 2
        return delay

    def cut_up(self, source: Host, target: Host, data: bytes) -> list[bytes]:
        """The segments in which *data* travels on this path."""
        bounds = self._conditions(source, target).chunk_bounds
        if bounds is None:
            return [data]
        segments, start = [], 0
        while start < len(data):
            length = bounds[0] if bounds[0] == bounds[1] else self._random.randint(*bounds)
            segments.append(data[start : start + length])
            start += length
        return segments

    def carry(self, sender: DatagramSocket, datagram: Datagram) -> None:
        """Take a datagram to where it goes, or lose it."""
        target = self.host_at(datagram.destination[0], sender.host)
        lost = "to nobody" if target is None else self._fate(sender.host, target, datagram)
        if lost or target is None:
            self._write("UDP", datagram.source, datagram.destination, f"{len(datagram.data)} {lost}")
            return
        conditions = self._conditions(sender.host, target)
        copies = 2 if conditions.duplicate and self._random.random() < conditions.duplicate else 1
        for _ in range(copies):
            delay = self.draw_delay(sender.host, target)
            if conditions.reorder and self._random.random() < conditions.reorder:
                delay += conditions.reorder_delay
            self.later(delay, self._arrive, sender, target, datagram)

    def _fate(self, source: Host, target: Host, datagram: Datagram) -> str:
        """Why a datagram gets lost, or the empty string."""
        if self.is_parted(source, target):
            return "lost in a partition"
        if self.drop is not None and self.drop(datagram):
            return "dropped"
        conditions = self._conditions(source, target)
        room = conditions.mtu - _IP_HEADERS[":" in datagram.destination[0]]
        fragments = -(-(len(datagram.data) + _UDP_HEADER) // room)
        if fragments > 1 and not conditions.fragments:
            return "over the MTU"
        if conditions.loss and any(self._random.random() < conditions.loss for _ in range(fragments)):
            return "lost"
        return ""

    def _arrive(self, sender: DatagramSocket, target: Host, datagram: Datagram) -> None:
        receiver = target.datagram_socket(*datagram.destination)
        outcome = ""
        if self.is_parted(sender.host, target):
            outcome = " lost in a partition"
        elif receiver is None:
            outcome = " refused"
            self.later(self.draw_delay(target, sender.host), sender.refused, datagram)
        elif not receiver.arrive(datagram):
            outcome = " dropped by its receiver"
        self._write("UDP", datagram.source, datagram.destination, f"{len(datagram.data)}{outcome}")

    def _write(self, protocol: str, source: tuple[str, int] | None, target: tuple[str, int] | None, what: str) -> None:
        ends = " > ".join(f"{end[0]}:{end[1]}" if end is not None else "?" for end in (source, target))
        self.log.append(f"{self.seconds():.6f} {protocol} {ends} {what}")

    def _conditions(self, source: Host, target: Host) -> Conditions:
        own = self._paths.get((source, target))
        if own is not None:
            return own
        # What a host sends to itself meets none of the network's faults, unless it was asked for.
        return _PERFECT if source is target else self.conditions

    def _owner(self, address: str) -> Host | None:
        return next((host for host in self._hosts if address in host.addresses), None)

    def _free_address(self) -> str:
        return next(
            str(address) for address in ipaddress.IPv4Network("10.0.0.0/8").hosts() if self._owner(str(address)) is None
        )

    def _find(self, host: Host | str) -> Host:
        found = self.find(host) if isinstance(host, str) else host
        if found is None:
            raise ValueError(f"{host} is no host of this network")
        return found

    def _pairs(self, one: Host | str, other: Host | str | None) -> set[frozenset[Host]]:
        first = self._find(one)
        others = [each for each in self._hosts if each is not first] if other is None else [self._find(other)]
        return {frozenset((first, each)) for each in others}

    def _streams(self, one: Host | str, other: Host | str | None) -> list[StreamSocket]:
        """One end of each stream between two hosts, or of one host."""
        first = self._find(one)
        second = None if other is None else self._find(other)
        found: dict[StreamSocket, None] = {}
        for each in first.sockets():
            pipe = each.outgoing if isinstance(each, StreamSocket) else None
            if pipe is not None and (second is None or pipe.target.host is second) and pipe.target not in found:
                found[pipe.source] = None
        return list(found)
