"""What DNS says, as values: the few records that SIP needs, and what one question brought (RFC 1034, RFC 2308, RFC
2782, RFC 3403).

Here is decided which records of an answer count: those that belong to the name that was asked for, or to one that its
aliases lead to, and nothing else that a name server may have added.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast, final

from twisted.names import dns

from sip_p2p.sip.host import IPV4

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "LONGEST_KEPT",
    "MOST_ALIASES",
    "Answer",
    "Naptr",
    "Outcome",
    "Question",
    "Record",
    "Srv",
    "absent",
    "is_address",
    "is_dns_name",
    "read_answer",
    "special_answer",
]

MOST_ALIASES = 8
"""As many CNAMEs are followed from one name; then it leads nowhere."""

LONGEST_KEPT = 86400.0
"""For as long, in seconds, an answer is kept at most, whatever it says of itself."""

LONGEST_ABSENCE = 3600.0
"""The same for an answer that there is nothing (RFC 2308 section 5)."""

_LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_NAME = 253
_EVERYBODY = ipaddress.IPv4Address("255.255.255.255")


class Question(NamedTuple):
    """Something to look up.

    :ivar name: a domain name in small letters, without the last dot.
    :ivar kind: ``NAPTR``, ``SRV``, ``A`` or ``AAAA``; or ``HOSTS``, which asks this machine's own table.
    """

    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.name}"


class Naptr(NamedTuple):
    """A naming authority pointer (RFC 3403 section 4.1); its regular expression has no use in SIP."""

    order: int
    preference: int
    flags: str
    service: str
    regexp: str
    replacement: str

    def __str__(self) -> str:
        return f'{self.order} {self.preference} "{self.flags}" "{self.service}" {self.replacement or "."}'


class Srv(NamedTuple):
    """A server (RFC 2782); an empty *host* is a service that is not offered."""

    priority: int
    weight: int
    port: int
    host: str

    def __str__(self) -> str:
        return f"{self.priority} {self.weight} {self.port} {self.host or '.'}"


Record: TypeAlias = "Naptr | Srv | str"


class Outcome(enum.Enum):
    """How a look-up ended; the value says so in words."""

    FOUND = "found"
    NO_RECORDS = "there are no such records"
    NO_SUCH_NAME = "there is no such name (NXDOMAIN)"
    ALIASES_ASTRAY = "its aliases go round in circles, or on for ever"
    FAILED = "the name server could not tell"
    TIMED_OUT = "no name server answered in time"


@final
class Answer:
    """What one question brought.

    :ivar outcome: how it ended.
    :ivar records: the records, in the order in which they came; addresses are text.
    :ivar ttl: for how many seconds more it holds.
    :ivar left_out: how many records there were beyond the bound.
    :ivar alias: the name that the records belong to, or that is to be asked for next; empty where it is the one that
        was asked for.
    :ivar detail: more about a failure.
    :ivar source: who said it.
    """

    __slots__ = ("alias", "detail", "left_out", "outcome", "records", "source", "ttl")

    def __init__(
        self,
        outcome: Outcome,
        records: Sequence[Record] = (),
        ttl: float = 0.0,
        *,
        alias: str = "",
        left_out: int = 0,
        detail: str = "",
        source: str = "DNS",
    ) -> None:
        self.outcome = outcome
        self.records = tuple(records)
        self.ttl = ttl
        self.alias = alias
        self.left_out = left_out
        self.detail = detail
        self.source = source

    def aged(self, seconds: float) -> Answer:
        """The same answer, so many seconds later, out of a memory."""
        return Answer(
            self.outcome,
            self.records,
            self.ttl - seconds,
            alias=self.alias,
            left_out=self.left_out,
            detail=self.detail,
            source="remembered" if self.source == "DNS" else self.source,
        )

    def describe(self, question: Question) -> list[str]:
        """What it says, for people: a line for the answer and one for each record."""
        what = "addresses" if question.kind == "HOSTS" else question.kind
        lead = f"{what} of {question.name}"
        if self.alias:
            lead += f", which is {self.alias}"
        if self.outcome is not Outcome.FOUND:
            detail = f": {self.detail}" if self.detail else ""
            kept = f"; that holds for {self.ttl:.0f} s" if self.ttl >= 1 else ""
            return [f"{lead}: {self.outcome.value}{detail}{kept}"]
        count = f"{len(self.records)} record{'s' if len(self.records) != 1 else ''}"
        more = f", and {self.left_out} more that are not looked at" if self.left_out else ""
        # A table of our own says nothing of time.
        kept = f", good for {self.ttl:.0f} s" if self.source in ("DNS", "remembered") else ""
        return [f"{lead}: {count}{kept} ({self.source}){more}", *(f"  {record}" for record in self.records)]


def is_address(host: str) -> bool:
    """Whether *host*, IPv6 without brackets, is an IP address and needs no look-up."""
    if ":" not in host:
        return IPV4.fullmatch(host) is not None
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def is_dns_name(name: str) -> bool:
    """Whether *name* is one that SIP could look up: letters, digits, hyphens and underscores between dots."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def special_answer(question: Question) -> Answer | None:
    """What is known of a name without asking anybody (RFC 6761); None for what is an ordinary name.

    Nobody has a name under ``invalid`` (section 6.4), and one under ``localhost`` is this machine (section 6.3). The
    other names that are reserved there are looked up as any. So are those under ``local``: without multicast DNS, which
    is theirs (RFC 6762), they are what somebody's name server says that they are.
    """
    *_, last = question.name.split(".")
    if last == "invalid":
        return Answer(Outcome.NO_SUCH_NAME, source="RFC 6761")
    if last != "localhost":
        return None
    # A service of this machine, such as _sips._tcp.localhost, has no record.
    addresses = {"HOSTS": ("::1", "127.0.0.1"), "AAAA": ("::1",), "A": ("127.0.0.1",)}.get(question.kind, ())
    return Answer(Outcome.FOUND if addresses else Outcome.NO_RECORDS, addresses, source="RFC 6761")


def read_answer(
    question: Question, answers: Iterable[dns.RRHeader], authority: Iterable[dns.RRHeader], limit: int
) -> Answer:
    """What the sections of a response say to *question*.

    Records of other names are passed over, however they came there: a name server speaks for what it was asked.

    :param limit: as many records are looked at; the rest is only counted.
    """
    wanted = getattr(dns, question.kind)
    by_name: dict[tuple[str, int], list[dns.RRHeader]] = {}
    for header in answers:
        if header.cls == dns.IN and header.type in (wanted, dns.CNAME):
            by_name.setdefault((_text(header.name), header.type), []).append(header)
    name, ttl, seen = question.name, LONGEST_KEPT, {question.name}
    while (name, wanted) not in by_name and (name, dns.CNAME) in by_name:
        alias = by_name[name, dns.CNAME][0]
        name = _text(cast("Any", alias.payload).name)
        ttl = min(ttl, alias.ttl)
        if name in seen or len(seen) > MOST_ALIASES or not is_dns_name(name):
            return Answer(Outcome.ALIASES_ASTRAY, ttl=min(ttl, LONGEST_ABSENCE))
        seen.add(name)
    alias_of = "" if name == question.name else name
    headers = by_name.get((name, wanted), [])
    records = [record for header in headers[:limit] if (record := _record(header)) is not None]
    if not records:
        # An alias without more says how long it holds itself; what it leads to has to be asked for.
        absence = ttl if alias_of else min(ttl, _absence(question.name, authority))
        return Answer(Outcome.NO_RECORDS, ttl=absence, alias=alias_of)
    ttl = min([ttl, *(header.ttl for header in headers)])
    return Answer(Outcome.FOUND, records, ttl, alias=alias_of, left_out=max(0, len(headers) - limit))


def absent(question: Question, authority: Iterable[dns.RRHeader]) -> Answer:
    """The answer that there is no such name."""
    return Answer(Outcome.NO_SUCH_NAME, ttl=_absence(question.name, authority))


def _absence(name: str, authority: Iterable[dns.RRHeader]) -> float:
    """How long a name's absence may be remembered: what the zone's SOA says (RFC 2308 section 5), else not at all."""
    for header in authority:
        if header.type == dns.SOA and header.cls == dns.IN:
            zone = _text(header.name)
            if not zone or name == zone or name.endswith(f".{zone}"):
                minimum = cast("Any", header.payload).minimum
                return float(max(0, min(header.ttl, minimum, LONGEST_ABSENCE)))
    return 0.0


def _text(name: Any) -> str:
    """A name off the wire in our form; what is no text becomes something that no question asks for."""
    return cast("bytes", name.name).decode("ascii", "replace").rstrip(".").lower()


def _record(header: dns.RRHeader) -> Record | None:
    """The record, or None for one that cannot be used."""
    payload: object = header.payload
    if isinstance(payload, dns.Record_A):
        return _address(cast("bytes", payload.address))
    if isinstance(payload, dns.Record_AAAA):
        return _address(payload.address)
    if isinstance(payload, dns.Record_SRV):
        host = _text(payload.target)
        if host and (not payload.port or not (is_dns_name(host) or is_address(host))):
            return None
        return Srv(payload.priority, payload.weight, payload.port, host)
    if isinstance(payload, dns.Record_NAPTR):
        flags, service, regexp = (
            part.string.decode("ascii", "replace") for part in (payload.flags, payload.service, payload.regexp)
        )
        replacement = _text(payload.replacement)
        if not (flags.isprintable() and service.isprintable()) or (replacement and not is_dns_name(replacement)):
            return None
        return Naptr(payload.order, payload.preference, flags, service, regexp, replacement)
    return None


def _address(octets: bytes) -> str | None:
    """An address as text; one that cannot be one host's is none."""
    address = ipaddress.ip_address(octets)
    return None if address.is_unspecified or address.is_multicast or address == _EVERYBODY else str(address)
