"""DNS for the network in memory, and for name servers of tests: records written as in a zone file."""

from __future__ import annotations

import shlex
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import AuthoritativeDomainError, DNSServerError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Zones"]

_TTL = 300
_FAILURES = ("NXDOMAIN", "SERVFAIL", "TIMEOUT", "SILENCE")
_NUMERIC = {"A": 0, "AAAA": 0, "CNAME": 0, "SRV": 3, "NAPTR": 2}
_FIELDS = {"A": 1, "AAAA": 1, "CNAME": 1, "SRV": 4, "NAPTR": 6}


class Zones(ResolverBase):
    """Records, and how questions about them go wrong. A Twisted ``IResolver``, so that a real name server of
    ``twisted.names.server`` can serve them as well.

    :ivar asked: what was asked, the latest 10 000 questions, such as ``SRV _sips._tcp.b.example``.
    """

    def __init__(
        self,
        *records: str,
        addresses_of: Callable[[str], tuple[str, ...]] | None = None,
        later: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """
        :param records: as for :meth:`add`.
        :param addresses_of: where addresses come from that no record names.
        :param later: is given each answer's telling, and calls it when it is time; by default at once.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.asked: deque[str] = deque(maxlen=10_000)
        self._records: dict[str, list[dns.RRHeader]] = {}
        self._failures: dict[str, str] = {}
        self._addresses_of = addresses_of
        self._later = later
        self.add(*records)

    def add(self, *records: str) -> None:
        """Add records: ``name [ttl] type data``, such as ``_sips._tcp.b.example 60 SRV 0 0 5061 one.b.example``,
        ``b.example NAPTR 50 50 "s" "SIPS+D2T" "" _sips._tcp.b.example`` or ``one.b.example A 10.0.0.2``.

        A, AAAA, CNAME, NAPTR and SRV are known; a TTL that is not given is 300 seconds.

        :raises ValueError: for a record that cannot be read.
        """
        for text in records:
            header = _parse(text)
            self._records.setdefault(_key(header.name), []).append(header)

    def remove(self, name: str, kind: str | None = None) -> None:
        """Remove the records of *name*, or those of one type."""
        key = name.lower().rstrip(".")
        kept = [] if kind is None else [each for each in self._records.get(key, ()) if each.type != _type_of(kind)]
        if kept:
            self._records[key] = kept
        else:
            self._records.pop(key, None)

    def fail(self, name: str, how: str | None) -> None:
        """Let questions about *name* fail.

        :param how: ``NXDOMAIN``, ``SERVFAIL``, ``TIMEOUT``, ``SILENCE`` (no answer ever), or None to answer again.
        """
        if how is None:
            self._failures.pop(name.lower(), None)
            return
        if how not in _FAILURES:
            raise ValueError(f"{how!r} is no failure; there are {', '.join(_FAILURES)}")
        self._failures[name.lower()] = how

    def query(self, query: dns.Query, timeout: Any = None) -> Deferred[Any]:
        """Answer a question."""
        name = _key(query.name)
        kind = dns.QUERY_TYPES.get(query.type, str(query.type))
        self.asked.append(f"{kind} {name}")
        how = self._failures.get(name)
        if how == "SILENCE":
            return Deferred()
        if self._later is None:
            return self._answer(name, query.type, how)
        answer: Deferred[Any] = Deferred()

        def tell() -> None:
            if not answer.called:
                self._answer(name, query.type, how).chainDeferred(answer)

        self._later(tell)
        return answer

    def _answer(self, name: str, kind: int, how: str | None) -> Deferred[Any]:
        if how == "SERVFAIL":
            return fail(DNSServerError(dns.Message(rCode=dns.ESERVER)))
        if how == "TIMEOUT":
            return fail(DeferredTimeout())
        records = self._records.get(name, [])
        answers = [each for each in records if each.type in (kind, dns.CNAME)]
        if not answers and self._addresses_of is not None and kind in (dns.A, dns.AAAA):
            own = (address for address in self._addresses_of(name) if (":" in address) == (kind == dns.AAAA))
            answers = [_parse(f"{name} {'AAAA' if kind == dns.AAAA else 'A'} {address}") for address in own]
        known = records or answers or (self._addresses_of is not None and self._addresses_of(name))
        if how == "NXDOMAIN" or (not known and not self._has_children(name)):
            return fail(AuthoritativeDomainError(name))
        for each in tuple(answers):
            if each.type == dns.CNAME != kind:
                target = _key(cast("Any", each.payload).name)
                answers += [more for more in self._records.get(target, ()) if more.type == kind]
        return succeed((answers, [], []))

    def _has_children(self, name: str) -> bool:
        """Whether there are names below *name*: then it exists, though it has no records (RFC 8020)."""
        return any(each.endswith(f".{name}") for each in self._records)


def _key(name: Any) -> str:
    return cast("bytes", name.name).decode("ascii", "replace").rstrip(".").lower()


def _type_of(kind: str) -> int:
    return cast("int", getattr(dns, kind))


def _parse(text: str) -> dns.RRHeader:
    words = shlex.split(text)
    name, rest = words[0] if words else "", words[1:]
    ttl = int(rest.pop(0)) if rest and rest[0].isdigit() else _TTL
    kind = rest.pop(0).upper() if rest else ""
    if kind not in _FIELDS or len(rest) != _FIELDS[kind]:
        raise ValueError(f"{text!r} is not a record: write name [ttl] type data, with one of {', '.join(_FIELDS)}")
    number = _NUMERIC[kind]
    if kind in ("A", "AAAA"):
        data: list[Any] = rest
    else:
        data = [int(each) for each in rest[:number]] + [each.encode("ascii").rstrip(b".") for each in rest[number:]]
    payload = getattr(dns, f"Record_{kind}")(*data, ttl=ttl)
    return dns.RRHeader(name.rstrip(".").encode("ascii"), _type_of(kind), dns.IN, ttl, payload, auth=True)
