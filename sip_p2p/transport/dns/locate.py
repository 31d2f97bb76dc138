"""Where a SIP target is: RFC 3263 section 4, with nothing but values.

:class:`Location` asks questions and is given answers; whoever runs it decides how they are come by. Out of it come the
targets in the order in which they are to be tried, and the reasons in words.

* 4.1: a URI that names its transport has chosen; an address or a port goes by the transport that we would use; else
  NAPTR chooses among the transports that we have.
* 4.2: an address is itself; with a port, the name's addresses; else the servers that SRV names, as RFC 2782 orders
  them; and where there are none the name's own addresses.
* The name to be proved is the one in the URI, whatever DNS says. TLS is never left: neither for a transport of less,
  nor further down the list.

Over WebSocket (RFC 7118) only NAPTR leads to SRV records. Expressions in NAPTR records have no use in SIP, and records
that carry one are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, cast, final

from sip_p2p.errors import ConnectionFailure
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.dns.records import Answer, Naptr, Outcome, Question, Srv, is_address, is_dns_name
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

__all__ = ["Location", "Randomness", "in_weighted_order", "services_of"]

_Asking: TypeAlias = "Generator[list[Question], list[Answer], list[Target]]"
_Server: TypeAlias = "tuple[Transport, str, int]"

_SRV_PREFIXES = {Transport.UDP: "_sip._udp", Transport.TCP: "_sip._tcp", Transport.TLS: "_sips._tcp"}
"""Where the servers of a transport are listed (RFC 3263 section 4.1); WebSocket has no such place of its own."""

_SERVICES = {
    "SIP+D2U": Transport.UDP,
    "SIP+D2T": Transport.TCP,
    "SIPS+D2T": Transport.TLS,
    "SIP+D2W": Transport.WS,
    "SIPS+D2W": Transport.WSS,
}


class Randomness(Protocol):
    """What the weights of SRV and the order of equal addresses need; :class:`random.Random` has it."""

    def randint(self, a: int, b: int) -> int:
        """A whole number from *a* to *b*, both included."""

    def shuffle(self, x: list[str]) -> None:
        """Put a list into any order."""


def in_weighted_order(records: Iterable[Srv], randomness: Randomness) -> list[Srv]:
    """Servers in the order of RFC 2782: by priority, and within one drawn by weight, one after the other."""
    ordered: list[Srv] = []
    by_priority: dict[int, list[Srv]] = {}
    for record in records:
        by_priority.setdefault(record.priority, []).append(record)
    for priority in sorted(by_priority):
        # Those of weight 0 stand first, so that they are drawn at all, but seldom.
        left = sorted(by_priority[priority], key=lambda record: record.weight > 0)
        while left:
            drawn = randomness.randint(0, sum(record.weight for record in left))
            if not drawn and not left[0].weight:
                # Among several of weight 0 the running sum would always find the first.
                idle = sum(1 for record in left if not record.weight)
                ordered.append(left.pop(randomness.randint(0, idle - 1)))
                continue
            for record in left:
                drawn -= record.weight
                if drawn <= 0 and record.weight:
                    break
            left.remove(record)
            ordered.append(record)
    return ordered


def services_of(
    records: Iterable[Naptr], allowed: Sequence[Transport], reasons: list[str]
) -> list[tuple[Transport, str]]:
    """What NAPTR offers of *allowed*, best first: transports, and the names of their SRV records (section 4.1)."""
    chosen: list[tuple[Transport, str]] = []
    for record in sorted(records, key=lambda each: (each.order, each.preference)):
        transport = _SERVICES.get(record.service.upper())
        if transport is None:
            reasons.append(f'passed over: "{record.service}" is no service of SIP that we know')
        elif record.flags.lower() != "s":
            reasons.append(f'passed over: {record.service} has the flag "{record.flags}", and SIP knows only "s"')
        elif record.regexp or not record.replacement:
            reasons.append(f"passed over: {record.service} has an expression where SIP wants a name")
        elif transport not in allowed:
            wanted = ", ".join(each.value for each in allowed)
            reasons.append(f"passed over: {record.service} is {transport.value}, and this request may use {wanted}")
        elif (transport, record.replacement) not in chosen:
            chosen.append((transport, record.replacement))
    return chosen


@final
class Location:
    """One target, being located.

    :ivar reasons: what was found and decided so far, for people; it has gaps where nobody wants to know.
    :ivar left_out: how many servers there were beyond the bound.
    """

    __slots__ = ("_allowed", "_explains", "_family", "_randomness", "_servers", "_target", "left_out", "reasons")

    def __init__(
        self,
        target: Target,
        transports: Iterable[Transport],
        family: AddressFamilyHint,
        randomness: Randomness,
        servers: int,
        *,
        explains: bool = False,
    ) -> None:
        """
        :param transports: what can be used here at all, best first.
        :param servers: the addresses of as many servers are asked for; those that come later are left out.
        :param explains: whether anybody wants the reasons.
        """
        self._explains = explains
        self._target = target
        self._family = family
        self._randomness = randomness
        self._servers = servers
        self.left_out = 0
        self.reasons: list[str] = []
        wanted = target.transport
        self._allowed = [wanted]
        if not target.has_transport:
            self._allowed += [
                each for each in transports if each is not wanted and (each.is_secure or not wanted.is_secure)
            ]

    def run(self) -> _Asking:
        """Yields questions that are independent of each other, and is sent their answers.

        :returns: at least one target; each has an IP address for a host.
        :raises ConnectionFailure: when there is none; it says what was looked for.
        """
        target, reasons = self._target, self.reasons
        host = target.host.rstrip(".")
        if is_address(host):
            reasons.append(f"{host} is an address: nothing is looked up, and it goes by {target.transport.value}")
            if not self._family.takes(host):
                raise ConnectionFailure(f"{host} is not an address of the family that is asked for")
            return [target]
        (own,) = yield [Question(host, "HOSTS")]
        if own.outcome is Outcome.FOUND:
            self._note(own, Question(host, "HOSTS"))
            reasons.append(f"this machine's own table knows {host}, so DNS is not asked")
            return self._at([(target.transport, host, target.port)], {host: [own]})
        if target.has_port:
            reasons.append(f"port {target.port} is given, so only addresses are looked up (RFC 3263 section 4.2)")
            return (yield from self._addresses([(target.transport, host, target.port)]))
        services = yield from self._services(host)
        servers = yield from self._servers_of(host, services)
        return (yield from self._addresses(servers))

    def _note(self, answer: Answer, question: Question) -> None:
        """Put an answer into words, if anybody wants them: they would be most of the work of a look-up."""
        if self._explains:
            self.reasons += answer.describe(question)

    def _services(self, host: str) -> Generator[list[Question], list[Answer], list[tuple[Transport, str]]]:
        """4.1: the transports to use, best first, and where each lists its servers."""
        target, reasons = self._target, self.reasons
        if target.has_transport:
            reasons.append(f"the transport is given: {target.transport.value}")
        else:
            question = Question(host, "NAPTR")
            (answer,) = yield [question]
            self._note(answer, question)
            chosen = services_of(cast("tuple[Naptr, ...]", answer.records), self._allowed, reasons)
            if chosen:
                reasons.append(f"NAPTR chooses {chosen[0][0].value}")
                return chosen
        return [(each, f"{_SRV_PREFIXES[each]}.{host}" if each in _SRV_PREFIXES else "") for each in self._allowed]

    def _servers_of(
        self, host: str, services: list[tuple[Transport, str]]
    ) -> Generator[list[Question], list[Answer], list[_Server]]:
        """4.2: the servers in the order in which they are to be tried, by name."""
        reasons = self.reasons
        listed = [(transport, Question(name, "SRV")) for transport, name in services if is_dns_name(name)]
        answers = (yield [question for _, question in listed]) if listed else []
        servers: list[_Server] = []
        closed: list[Transport] = []
        for (transport, question), answer in zip(listed, answers, strict=True):
            self._note(answer, question)
            records = cast("tuple[Srv, ...]", answer.records)
            if records and not any(record.host for record in records):
                reasons.append(f"{host} says that it has no {transport.value}")
                closed.append(transport)
            for record in in_weighted_order((record for record in records if record.host), self._randomness):
                server = (transport, record.host, record.port)
                if server not in servers:
                    servers.append(server)
        if servers:
            return self._never_less_than_tls(servers)
        transport = services[0][0]
        if transport in closed:
            raise ConnectionFailure(f"{host} says in DNS that it has no SIP over {transport.value} (SRV target '.')")
        port = Target(transport, host).port
        reasons.append(f"no SRV records: {host} itself, {transport.value}, port {port}")
        return [(transport, host, port)]

    def _never_less_than_tls(self, servers: list[_Server]) -> list[_Server]:
        """Where TLS comes first, what comes after it without TLS is left out: whoever breaks TLS would get it."""
        if not servers[0][0].is_secure:
            return servers
        secure = [server for server in servers if server[0].is_secure]
        if len(secure) < len(servers):
            self.reasons.append(f"{len(servers) - len(secure)} servers without TLS are left out: TLS came first")
        return secure

    def _addresses(self, servers: list[_Server]) -> _Asking:
        """4.2: the addresses of *servers*."""
        if len(servers) > self._servers:
            self.left_out = len(servers) - self._servers
            self.reasons.append(f"{self.left_out} servers that would come last are left out")
            servers = servers[: self._servers]
        names = list(dict.fromkeys(name for _, name, _ in servers if not is_address(name)))
        questions = [Question(name, kind) for name in names for kind in self._family.record_types]
        answers = (yield questions) if questions else []
        by_name: dict[str, list[Answer]] = {}
        for question, answer in zip(questions, answers, strict=True):
            self._note(answer, question)
            by_name.setdefault(question.name, []).append(answer)
        return self._at(servers, by_name)

    def _at(self, servers: list[_Server], answers: dict[str, list[Answer]]) -> list[Target]:
        """The targets: each server's addresses side by side."""
        asked = self._target
        found: list[Target] = []
        for transport, name, port in servers:
            # What is an address already has no look-up behind it.
            said = answers.get(name, [Answer(Outcome.FOUND, [name], source="itself")])
            for address in self._family.order(self._in_any_order(said)):
                target = Target(transport, address, port, asked.name)
                target.has_port, target.has_transport, target.origin = asked.has_port, asked.has_transport, name
                if target not in found:
                    found.append(target)
        if not found:
            raise ConnectionFailure(self._why_nothing(servers, answers))
        if self._explains:
            ways = ", ".join(f"{each.transport.value} {_where(each)}" for each in found)
            self.reasons.append(f"to be tried in this order: {ways}")
            self.reasons.append(f"whoever answers with TLS must prove {asked.name}")
        return found

    def _in_any_order(self, answers: list[Answer]) -> list[str]:
        """The addresses; those that DNS gave are shuffled, so that servers behind one name share the load."""
        addresses: list[str] = []
        for answer in answers:
            own = list(cast("tuple[str, ...]", answer.records))
            if answer.source in ("DNS", "remembered"):
                self._randomness.shuffle(own)
            addresses += own
        return addresses

    def _why_nothing(self, servers: list[_Server], answers: dict[str, list[Answer]]) -> str:
        """Why there is no address, in one sentence: the worst that happened."""
        host = self._target.host
        through = "" if [name for _, name, _ in servers] == [host] else f" (through {servers[0][1]})"
        said = [answer for each in answers.values() for answer in each]
        for outcome in (Outcome.TIMED_OUT, Outcome.FAILED, Outcome.ALIASES_ASTRAY, Outcome.NO_SUCH_NAME):
            for answer in said:
                if answer.outcome is outcome:
                    detail = f": {answer.detail}" if answer.detail else ""
                    return f"no address for {host}{through}: {outcome.value}{detail}"
        kinds = " or ".join(self._family.record_types)
        return f"no address for {host}{through}: it has no usable {kinds} record"


def _where(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    origin = f" ({target.origin})" if target.origin else ""
    return f"{host}:{target.port}{origin}"
