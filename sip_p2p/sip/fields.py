"""Header fields, parsed: the way in to all of them, and those that are lists, numbers or a pair (RFC 3261 section 20).

Via is in :mod:`~sip_p2p.sip.via`, addresses in :mod:`~sip_p2p.sip.name_addr`; both are re-exported here. Further
fields with a grammar of their own: :mod:`~sip_p2p.sip.accept`, :mod:`~sip_p2p.sip.auth`, :mod:`~sip_p2p.sip.dates`,
:mod:`~sip_p2p.sip.diagnostics` (Warning, Reason) and :mod:`~sip_p2p.sip.body` (Content-Type, Content-Disposition).
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, TOKEN_CHARS, check_quotable, parse_number, unquote
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.params import check_params, format_params, parse_params
from sip_p2p.sip.via import Via, parse_via

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CSeq",
    "EventValue",
    "NameAddr",
    "RetryAfter",
    "Via",
    "parse_contact",
    "parse_cseq",
    "parse_event",
    "parse_max_forwards",
    "parse_name_addr",
    "parse_name_addrs",
    "parse_retry_after",
    "parse_seconds",
    "parse_timestamp",
    "parse_tokens",
    "parse_via",
    "split_values",
]

_USUAL_CSEQ = re.compile(rf"([0-9]{{1,10}}) ([{TOKEN_CHARS}]+)")
_ANY_CSEQ = re.compile(rf"[ \t]*([0-9]+)[ \t]+([{TOKEN_CHARS}]+)[ \t]*")
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|<[^>]*>|[,"<]', re.DOTALL)
_DIGITS = re.compile(r"[ \t]*([0-9]+)[ \t]*")
_COMMENT_MARK = re.compile(r"\\.|[()]", re.DOTALL)
_COMMENT_ESCAPED = re.compile(r"[()\\]")
_TIMESTAMP = re.compile(
    r"[ \t]*([0-9]{1,20}(?:\.[0-9]{0,20})?)(?:[ \t]+([0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{0,20}))?[ \t]*"
)
_PACKAGE = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*")
_LARGEST_CSEQ = 2**31 - 1
_LARGEST_SECONDS = 2**32 - 1


def split_values(value: str) -> list[str]:
    """The elements of a comma-separated field, each without the blanks around it (RFC 3261 section 7.3.1).

    Commas inside quotes or angle brackets separate nothing. An element may come out empty: whether that is allowed
    is for its parser to say. After a quote or bracket that is never closed the rest is one element.
    """
    if "," not in value:
        return [value.strip(" \t")]
    if '"' not in value and "<" not in value:
        return [element.strip(" \t") for element in value.split(",")]
    elements: list[str] = []
    start = position = 0
    while (found := _STRUCTURE.search(value, position)) is not None:
        position = found.end()
        what = found[0]
        if what == ",":
            elements.append(value[start : position - 1].strip(" \t"))
            start = position
        elif len(what) == 1:
            break
    elements.append(value[start:].strip(" \t"))
    return elements


def parse_tokens(value: str, field_name: str) -> list[str]:
    """The tokens of Require, Supported, Allow, Allow-Events and the like, in order; empty elements are passed over.

    :raises MalformedMessage: when an element is not a token (400).
    """
    tokens = [token for element in value.split(",") if (token := element.strip(" \t"))]
    for token in tokens:
        if TOKEN.fullmatch(token) is None:
            raise MalformedMessage(f"{field_name}: not a token: {token[:64]!r}")
    return tokens


def parse_name_addrs(value: str, field_name: str) -> list[NameAddr]:
    """The addresses of Route, Record-Route, Path and the like, in order.

    :raises MalformedMessage: when an element is none (400).
    """
    return [parse_name_addr(element, field_name) for element in split_values(value)]


def parse_contact(value: str) -> list[NameAddr] | None:
    """The addresses of a Contact, in order; None for ``*``, by which a REGISTER removes all bindings (section 20.10).

    :raises MalformedMessage: when an element is no address (400).
    """
    if value.strip(" \t") == "*":
        return None
    return parse_name_addrs(value, "Contact")


def parse_max_forwards(value: str) -> int | None:
    """How many more hops a request may take (section 20.22); None above 255, which counts as no Max-Forwards at all.

    :raises MalformedMessage: when it is not a number (400).
    """
    number = _number(value, "Max-Forwards", 255)
    return number if number >= 0 else None


def parse_seconds(value: str, field_name: str) -> int | None:
    """The seconds of Expires, Min-Expires, Min-SE and the like (sections 20.19 and 20.23).

    :returns: None above 2**32 - 1: RFC 3261 allows no more, and asks that such a value be taken for the default.
    :raises MalformedMessage: when it is not a number (400).
    """
    number = _number(value, field_name, _LARGEST_SECONDS)
    return number if number >= 0 else None


def _number(value: str, field_name: str, largest: int) -> int:
    """The number, or -1 when it is larger than *largest*."""
    text = value.strip(" \t")
    try:
        return parse_number(text, largest)
    except ValueError:
        if text and text.isascii() and text.isdigit():
            return -1
        raise MalformedMessage(f"{field_name}: not a number: {text[:32]!r}") from None


@final
class RetryAfter:
    """A Retry-After value (section 20.33).

    :ivar seconds: after how long to come back.
    :ivar duration: for how long the party will then be there, in seconds; None means for good.
    :ivar comment: the comment, without its parentheses.
    """

    __slots__ = ("comment", "duration", "seconds")

    def __init__(self, seconds: int, duration: int | None = None, comment: str = "") -> None:
        """
        :raises ValueError: when a number is negative or 2**32 or more, or *comment* holds CR, LF or what has no
            UTF-8 form.
        """
        for number in (seconds, duration or 0):
            if not 0 <= number <= _LARGEST_SECONDS:
                raise ValueError(f"{number} is not a number of seconds between 0 and 2**32 - 1")
        check_quotable(comment)
        self.seconds = seconds
        self.duration = duration
        self.comment = comment

    def __str__(self) -> str:
        comment = f" ({_COMMENT_ESCAPED.sub(_escape, self.comment)})" if self.comment else ""
        duration = "" if self.duration is None else f";duration={self.duration}"
        return f"{self.seconds}{comment}{duration}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RetryAfter):
            return NotImplemented
        return (self.seconds, self.duration, self.comment) == (other.seconds, other.duration, other.comment)

    def __hash__(self) -> int:
        return hash((self.seconds, self.duration, self.comment))

    def __repr__(self) -> str:
        return f"<RetryAfter {str(self)!r}>"


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def parse_retry_after(value: str) -> RetryAfter:
    """Parse a Retry-After.

    :raises MalformedMessage: when it does not start with a number below 2**32, or the rest is no comment and
        parameters (400).
    """
    match = _DIGITS.match(value)
    try:
        if match is None:
            raise ValueError(f"not a number: {value[:32]!r}")
        comment, end = _comment(value, match.end())
        params = parse_params(value, end, "Retry-After")
        given = params.get("duration")
        duration = None if given is None else parse_number(given, _LARGEST_SECONDS)
        return RetryAfter(parse_number(match[1], _LARGEST_SECONDS), duration, comment)
    except ValueError as error:
        raise MalformedMessage(f"Retry-After: {error}") from None


def _comment(text: str, start: int) -> tuple[str, int]:
    """The comment at *start*, its quoted-pairs undone and nested ones kept with their parentheses, and where it ends.

    :raises ValueError: when it does not end.
    """
    if text[start : start + 1] != "(":
        return "", start
    depth = 0
    for match in _COMMENT_MARK.finditer(text, start):
        mark = match[0]
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
            if depth == 0:
                return unquote(text[start + 1 : match.start()]), match.end()
    raise ValueError("the comment does not end")


def parse_timestamp(value: str) -> tuple[float, float]:
    """A Timestamp: the sender's clock, in seconds from whenever it likes, and the delay that a responder added (20.38).

    :raises MalformedMessage: when it is not one or two decimal numbers of at most 20 digits (400).
    """
    match = _TIMESTAMP.fullmatch(value)
    if match is None:
        raise MalformedMessage(f"Timestamp: not a number: {value[:64]!r}")
    delay = match[2]
    return float(match[1]), float(delay) if delay and delay != "." else 0.0


@final
class EventValue:
    """An Event (RFC 6665 section 8.2.1): the package, and what sets two subscriptions to it apart.

    :ivar package: the event package, as written: ``presence``, ``presence.winfo``.
    :ivar id: the ``id`` parameter, or None.
    """

    __slots__ = ("_params", "id", "package")

    def __init__(self, package: str, params: Mapping[str, str | None] | None = None) -> None:
        """
        :raises ValueError: when *package* is not a token or a parameter cannot be written.
        """
        if TOKEN.fullmatch(package) is None:
            raise ValueError(f"{package[:64]!r} is not an event package: it must be a token")
        self._params = check_params(params)
        self.package = package
        self.id = self._params.get("id")

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small name to decoded value, None where it has none."""
        return MappingProxyType(self._params)

    def matches(self, other: EventValue) -> bool:
        """Whether both name the same subscription: package and ``id`` are compared octet by octet, nothing else is."""
        return self.package == other.package and self.id == other.id

    def __str__(self) -> str:
        return self.package + format_params(self._params)

    def __repr__(self) -> str:
        return f"<EventValue {str(self)!r}>"


def parse_event(value: str) -> EventValue:
    """Parse an Event.

    :raises MalformedMessage: when it is not a package with parameters (400).
    """
    match = _PACKAGE.match(value)
    if match is None:
        raise MalformedMessage(f"Event: not a package: {value[:64]!r}")
    params = parse_params(value, match.end(), "Event")
    try:
        return EventValue(match[1], params)
    except ValueError as error:
        raise MalformedMessage(f"Event: {error}") from None


@final
class CSeq:
    """A CSeq (section 20.16).

    :ivar number: the sequence number, below 2**31 (section 8.1.1.5).
    :ivar method: the method, as written.
    """

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: str) -> None:
        """
        :raises ValueError: when *number* is negative or 2**31 or more, or *method* is not a token.
        """
        if not 0 <= number <= _LARGEST_CSEQ:
            raise ValueError(f"the sequence number {number} is not between 0 and 2**31 - 1")
        if TOKEN.fullmatch(method) is None:
            raise ValueError(f"{method[:64]!r} is not a method")
        self.number = number
        self.method = method

    def __str__(self) -> str:
        return f"{self.number} {self.method}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CSeq):
            return NotImplemented
        return self.number == other.number and self.method == other.method

    def __hash__(self) -> int:
        return hash((self.number, self.method))

    def __repr__(self) -> str:
        return f"<CSeq {self}>"


def parse_cseq(text: str) -> CSeq:
    """Parse a CSeq value.

    :raises MalformedMessage: when it is not a number below 2**31 and a method (400).
    """
    match = _USUAL_CSEQ.fullmatch(text)
    if match is None:
        return _parse_any_cseq(text)
    digits, method = match.groups()
    number = int(digits)
    if number > _LARGEST_CSEQ:
        return _parse_any_cseq(text)
    cseq = CSeq.__new__(CSeq)
    cseq.number = number
    cseq.method = method
    return cseq


def _parse_any_cseq(text: str) -> CSeq:
    """:func:`parse_cseq` for any blanks and any number of leading zeros."""
    match = _ANY_CSEQ.fullmatch(text)
    if match is None:
        raise MalformedMessage(f"CSeq: not a number and a method: {text[:64]!r}")
    try:
        return CSeq(parse_number(match[1], _LARGEST_CSEQ), match[2])
    except ValueError as error:
        raise MalformedMessage(f"CSeq: {error}") from None
