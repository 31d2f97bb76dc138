"""Where SIP targets are, by DNS: :mod:`sip_p2p.transport.dns.locate` with a world around it.

The machine's own table goes first; what is in it is not looked up any further. Questions go to anything that has the
``query`` of Twisted's ``IResolver``; by default that is :class:`~sip_p2p.transport.dns.client.DnsClient` with the name
servers of this machine. Answers are remembered for as long as they hold, absences as RFC 2308 says, and failures for a
few seconds. However many wait for one answer, it is asked for once; what nobody waits for any more is given up.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol, cast, final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IResolver
from twisted.names import dns
from twisted.names.error import (
    AuthoritativeDomainError,
    DNSFormatError,
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
    DomainError,
)
from twisted.python.failure import Failure

from sip_p2p.errors import ConnectionFailure
from sip_p2p.transport.clock import time_source
from sip_p2p.transport.dns.client import DnsClient
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.dns.locate import Location
from sip_p2p.transport.dns.name_servers import HostsFile
from sip_p2p.transport.dns.name_servers import has_route as has_route_to
from sip_p2p.transport.dns.records import (
    LONGEST_KEPT,
    MOST_ALIASES,
    Answer,
    Outcome,
    Question,
    absent,
    is_address,
    read_answer,
    special_answer,
)
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.target import Target, Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from sip_p2p.transport.dns.dead_targets import DeadTargets
    from sip_p2p.transport.dns.locate import Randomness

__all__ = ["Asks", "DnsResolver", "dns_beneath"]

_ALL = (Transport.TLS, Transport.TCP, Transport.UDP)

_FAILURE_HOLDS = 5.0
"""For so many seconds a failure is not tried again (RFC 2308 section 7 allows 300)."""

_ROUTES_HOLD = 5.0

_FAILURES: dict[type[BaseException], str] = {
    DNSServerError: "SERVFAIL",
    DNSQueryRefusedError: "it refused",
    DNSFormatError: "it did not understand the question",
    DNSNotImplementedError: "it does not do such questions",
}


def any_address(address: str) -> bool:
    """There is a way to every address."""
    return True


def dns_beneath(resolver: object) -> DnsResolver | None:
    """The resolver that asks DNS: *resolver* itself, or the one that its table falls back to; None for others."""
    while isinstance(resolver, StaticResolver):
        resolver = resolver.otherwise
    return resolver if isinstance(resolver, DnsResolver) else None


class Asks(Protocol):
    """The one method of Twisted's ``IResolver`` that is used."""

    def query(self, query: dns.Query, timeout: Any = None) -> Deferred[Any]:
        """Answers, authority and additional records; or an exception of ``twisted.names.error``."""


@final
class DnsResolver:
    """Finds the servers of a target as RFC 3263 says.

    :ivar limits: the bounds; they may be replaced.
    :ivar dead_targets: the servers that failed a short while ago, for :meth:`explain`; None where nobody knows.
    :ivar hits: how often each of the bounds was reached, by its name; those that never were are not here.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        *,
        dns: Asks | None = None,
        name_servers: Iterable[tuple[str, int]] | None = None,
        hosts: HostsFile | None = None,
        transports: Iterable[Transport | str] | None = None,
        family: AddressFamilyHint | str | None = None,
        limits: Limits | None = None,
        randomness: Randomness | None = None,
        dead_targets: DeadTargets | None = None,
        has_route: Callable[[str], bool] | None = None,
    ) -> None:
        """
        :param dns: who is asked, any ``IResolver``; by default the reactor, if it brings its own DNS along (it adapts
            to ``IResolver``, as the hosts of :mod:`sip_p2p.testing` do), else name servers.
        :param name_servers: addresses and ports; by default those of ``/etc/resolv.conf``.
        :param hosts: this machine's own table; by default ``/etc/hosts``, and none where the reactor has its own DNS.
        :param transports: what NAPTR may choose from, best first; by default what the connection manager that uses
            this resolver has.
        :param family: which addresses are asked for, and which come first.
        :param limits: see the bounds that begin with ``dns_``.
        :param randomness: draws the servers by their weights.
        :param has_route: whether there is any way to an address; those without come last within their server.
        """
        limits = Limits() if limits is None else limits
        own = IResolver(reactor, None) if dns is None and name_servers is None else None
        self._hosts = HostsFile() if hosts is None and dns is None and own is None else hosts
        asks = cast("Asks", dns or own or DnsClient(reactor, name_servers))
        self._reactor = reactor
        self.limits = limits
        self.hits: dict[str, int] = {}
        self._transports = None if transports is None else tuple(Transport.named(each) for each in transports)
        self._family = AddressFamilyHint.named(family)
        self._randomness: Randomness = random.Random() if randomness is None else randomness
        # A reactor with its own DNS lives in a network of its own, of which this machine's routes say nothing.
        if has_route is None:
            has_route = any_address if own is not None else has_route_to
        self._has_route = has_route
        self._now = time_source(reactor)
        self._memory = _Memory(asks, self._now, self)
        self._routes: dict[str, bool] = {}
        self._routes_since = self._now()
        self.dead_targets = dead_targets

    def resolve(self, target: Target) -> Deferred[list[Target]]:
        """The targets to try, best first; each has an address for a host.

        Fails with :class:`~sip_p2p.errors.ConnectionFailure`, which says what was looked for and how that ended; within
        ``limits.dns_timeout`` in any case. It can be cancelled.
        """
        if is_address(target.host) and self._family.takes(target.host):
            return succeed([target])
        return _Run(self, self._location(target), target).start()

    def explain(self, target: Target) -> Deferred[list[str]]:
        """Why *target* leads where it does, a sentence a line; what DNS says never makes it fail."""
        location = self._location(target, explains=True)
        reasons = location.reasons

        def found(targets: list[Target]) -> list[str]:
            return reasons + self._about_dead(targets)

        def failed(failure: Failure) -> list[str]:
            failure.trap(ConnectionFailure)
            return [*reasons, failure.getErrorMessage()]

        return _Run(self, location, target).start().addCallbacks(found, failed)

    def _about_dead(self, targets: list[Target]) -> list[str]:
        dead = self.dead_targets
        if dead is None:
            return []
        left = [(each, dead.left(each)) for each in targets if dead.left(each)]
        said = [
            f"{each.transport.value} {each.host}:{each.port} failed lately and comes last for another {seconds:.0f} s"
            for each, seconds in left
        ]
        if left and len(left) == len(targets):
            said.append("all of them failed lately, so all are tried")
        return said

    def adopt(self, transports: tuple[Transport, ...], dead_targets: DeadTargets) -> None:
        """A connection manager uses this resolver: what was not given is as the manager has it."""
        if self._transports is None:
            self._transports = transports
        if self.dead_targets is None:
            self.dead_targets = dead_targets

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._memory)

    @property
    def looking_up(self) -> int:
        """How many questions are on their way."""
        return self._memory.pending

    def forget(self) -> None:
        """Forget every answer: the next look-ups ask anew."""
        self._memory.clear()

    def _location(self, target: Target, *, explains: bool = False) -> Location:
        return Location(
            target, self._transports or _ALL, self._family, self._randomness, self.limits.dns_servers, explains=explains
        )

    def reachable_first(self, targets: list[Target]) -> list[Target]:
        """*targets*; within each server those last to which this machine has no way."""
        if len(targets) < 2 or len({":" in target.host for target in targets}) < 2:
            return targets
        order = {(each.transport, each.origin, each.port): index for index, each in reversed(list(enumerate(targets)))}
        return sorted(
            targets,
            key=lambda each: (order[each.transport, each.origin, each.port], not self._reaches(each.host)),
        )

    def _reaches(self, address: str) -> bool:
        """Whether there is a way to *address*; looked at every few seconds, as the machine's routes seldom change."""
        now = self._now()
        if now - self._routes_since > _ROUTES_HOLD or len(self._routes) >= self.limits.dns_cache:
            self._routes.clear()
            self._routes_since = now
        reaches = self._routes.get(address)
        if reaches is None:
            reaches = self._routes[address] = self._has_route(address)
        return reaches

    def known(self, question: Question) -> Answer | None:
        """The answer to one question, as far as nobody has to be asked: the machine's own table goes first."""
        special = special_answer(question)
        if question.kind in ("HOSTS", "A", "AAAA"):
            own = () if self._hosts is None else self._hosts.addresses(question.name)
            if own or (question.kind == "HOSTS" and special is None):
                six = question.kind == "AAAA"
                of_kind = [each for each in own if question.kind == "HOSTS" or (":" in each) == six]
                outcome = Outcome.FOUND if of_kind else Outcome.NO_RECORDS
                return Answer(outcome, of_kind, source="hosts file")
        return self._memory.known(question) if special is None else special

    def ask(self, question: Question) -> Deferred[Answer]:
        """The answer to one question that nobody here knows."""
        return self._memory.ask(question)

    def deadline(self, function: Callable[[], object]) -> IDelayedCall:
        """Call *function* when a look-up has taken too long."""
        return self._reactor.callLater(self.limits.dns_timeout, function)

    def limit_hit(self, name: str) -> None:
        """A bound was reached: count it."""
        self.hits[name] = self.hits.get(name, 0) + 1

    @property
    def patience(self) -> float:
        """How long a look-up may take, in seconds."""
        return self.limits.dns_timeout


@final
class _Run:
    """One location under way: it hands questions out and answers in."""

    def __init__(self, resolver: DnsResolver, location: Location, target: Target) -> None:
        self._resolver = resolver
        self._location = location
        self._steps = location.run()
        self._target = target
        self._questions: list[Question] = []
        self._asked: Deferred[list[Answer]] | None = None
        self._alarm: IDelayedCall | None = None
        self._done: Deferred[list[Target]] = Deferred(lambda _: self._clean_up())

    def start(self) -> Deferred[list[Target]]:
        """Begin; what needs no waiting is done when this returns."""
        self._advance(None)
        if not self._done.called:
            self._alarm = self._resolver.deadline(self._too_late)
        return self._done

    def _advance(self, answers: list[Answer] | None) -> None:
        resolver = self._resolver
        while True:
            try:
                # A generator begins with None, and so does this.
                questions = self._steps.send(answers)  # type: ignore[arg-type]
            except StopIteration as stop:
                self._clean_up()
                if self._location.left_out:
                    resolver.limit_hit("dns_servers")
                self._done.callback(resolver.reachable_first(stop.value))
                return
            except Exception:
                self._clean_up()
                self._done.errback(Failure())
                return
            known = [resolver.known(question) for question in questions]
            answers = [answer for answer in known if answer is not None]
            if len(answers) < len(questions):
                break
        self._questions = questions
        asked = gatherResults(
            [
                resolver.ask(question) if answer is None else succeed(answer)
                for question, answer in zip(questions, known, strict=True)
            ],
            consumeErrors=True,
        )
        self._asked = asked
        # It fails in one way only, by being given up; then nobody is left to be told.
        asked.addCallbacks(self._advance, lambda _: None)

    def _too_late(self) -> None:
        host, patience = self._target.host, self._resolver.patience
        waiting = ", ".join(str(question) for question in self._questions)
        self._clean_up()
        self._resolver.limit_hit("dns_timeout")
        self._done.errback(
            Failure(ConnectionFailure(f"no address for {host}: DNS did not answer within {patience:g} s: {waiting}"))
        )

    def _clean_up(self) -> None:
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()
        self._steps.close()
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()


@final
class _Pending:
    """A question on its way, and everybody who waits for its answer."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[Answer]] = []
        self.asked: Deferred[Any] | None = None
        self.aliases: list[str] = []
        self.ttl = LONGEST_KEPT


@final
class _Memory:
    """The answers that still hold, and the questions that are on their way."""

    def __init__(self, asks: Asks, now: Callable[[], float], resolver: DnsResolver) -> None:
        self._asks = asks
        self._now = now
        self._resolver = resolver
        self._answers: dict[Question, tuple[float, Answer]] = {}
        self._pending: dict[Question, _Pending] = {}

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def pending(self) -> int:
        """How many questions are on their way."""
        return len(self._pending)

    def clear(self) -> None:
        """Forget every answer."""
        self._answers.clear()

    def known(self, question: Question) -> Answer | None:
        """The answer, if it is remembered and still holds."""
        remembered = self._answers.get(question)
        if remembered is None:
            return None
        since, answer = remembered
        age = self._now() - since
        if age < answer.ttl:
            return answer.aged(age)
        del self._answers[question]
        return None

    def ask(self, question: Question) -> Deferred[Answer]:
        """The answer; a failure to get one is an answer as well."""
        pending = self._pending.get(question)
        fresh = pending is None
        if pending is None:
            pending = self._pending[question] = _Pending()
        mine = pending
        waiting: Deferred[Answer] = Deferred(lambda gone: self._give_up(question, mine, gone))
        pending.waiting.append(waiting)
        if fresh:
            self._send(question, question.name, pending)
        return waiting

    def _send(self, question: Question, name: str, pending: _Pending) -> None:
        query = dns.Query(name.encode("ascii", "replace"), getattr(dns, question.kind), dns.IN)
        asked = maybeDeferred(self._asks.query, query)
        pending.asked = asked
        read = Question(name, question.kind)
        asked.addCallbacks(self._read, self._failed, callbackArgs=(read,), errbackArgs=(read,))
        asked.addCallback(self._answered, question, pending)
        asked.addErrback(self._broken, question, pending)

    def _read(self, sections: Any, question: Question) -> Answer:
        answers, authority, _ = sections
        answer = read_answer(question, answers, authority, self._resolver.limits.dns_records)
        if answer.left_out:
            self._resolver.limit_hit("dns_records")
        return answer

    def _failed(self, failure: Failure, question: Question) -> Answer:
        error = cast("BaseException", failure.value)
        message = error.args[0] if error.args else None
        if isinstance(error, (DNSNameError, AuthoritativeDomainError)) or type(error) is DomainError:
            return absent(question, message.authority if isinstance(message, dns.Message) else ())
        if isinstance(error, DeferredTimeout):
            return Answer(Outcome.TIMED_OUT, ttl=_FAILURE_HOLDS)
        words = next((text for kind, text in _FAILURES.items() if isinstance(error, kind)), "")
        return Answer(Outcome.FAILED, ttl=_FAILURE_HOLDS, detail=words or f"{type(error).__name__} {error}".strip())

    def _broken(self, failure: Failure, question: Question, pending: _Pending) -> None:
        """What a resolver answered could not even be read."""
        failed = Answer(Outcome.FAILED, ttl=_FAILURE_HOLDS, detail=f"{type(failure.value).__name__} in its answer")
        self._answered(failed, question, pending)

    def _answered(self, answer: Answer, question: Question, pending: _Pending) -> None:
        if self._pending.get(question) is not pending:
            # Nobody waits any more; what comes late changes nothing.
            return
        pending.ttl = min(pending.ttl, answer.ttl)
        if answer.alias and answer.outcome is Outcome.NO_RECORDS:
            if answer.alias not in pending.aliases and len(pending.aliases) < MOST_ALIASES:
                pending.aliases.append(answer.alias)
                self._send(question, answer.alias, pending)
                return
            answer = Answer(Outcome.ALIASES_ASTRAY, ttl=_FAILURE_HOLDS)
        if pending.aliases:
            answer.alias = answer.alias or pending.aliases[-1]
            answer.ttl = pending.ttl
        del self._pending[question]
        if answer.ttl > 0:
            self._remember(question, answer)
        waiting, pending.waiting = pending.waiting, []
        for each in waiting:
            # One of them may have given up another meanwhile.
            if not each.called:
                each.callback(answer)

    def _remember(self, question: Question, answer: Answer) -> None:
        while len(self._answers) >= self._resolver.limits.dns_cache:
            del self._answers[next(iter(self._answers))]
            self._resolver.limit_hit("dns_cache")
        self._answers[question] = (self._now(), answer)

    def _give_up(self, question: Question, pending: _Pending, gone: Deferred[Answer]) -> None:
        if gone in pending.waiting:
            pending.waiting.remove(gone)
        if not pending.waiting and self._pending.get(question) is pending:
            del self._pending[question]
            if pending.asked is not None:
                pending.asked.cancel()
