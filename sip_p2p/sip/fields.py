"""Header fields, parsed: the way in to all of them, and those that are lists, numbers or a pair (RFC 3261 section 20).

Via is in :mod:`~sip_p2p.sip.via`, addresses in :mod:`~sip_p2p.sip.name_addr`; both are re-exported here. Further fields with a
grammar of their own: :mod:`~sip_p2p.sip.accept`, :mod:`~sip_p2p.sip.auth`, :mod:`~sip_p2p.sip.dates`,
:mod:`~sip_p2p.sip.diagnostics` (Warning, Reason) and :mod:`~sip_p2p.sip.body` (Content-Type, Content-Disposition).
"""

from __future__ import annotations

import re
from typing import final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, TOKEN_CHARS, parse_number
from sip_p2p.sip.name_addr import NameAddr, parse_name_addr
from sip_p2p.sip.via import Via, parse_via

__all__ = [
    "CSeq",
    "NameAddr",
    "Via",
    "parse_contact",
    "parse_cseq",
    "parse_max_forwards",
    "parse_name_addr",
    "parse_name_addrs",
    "parse_seconds",
    "parse_tokens",
    "parse_via",
    "split_values",
]

_USUAL_CSEQ = re.compile(rf"([0-9]{{1,10}}) ([{TOKEN_CHARS}]+)")
_ANY_CSEQ = re.compile(rf"[ \t]*([0-9]+)[ \t]+([{TOKEN_CHARS}]+)[ \t]*")
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|<[^>]*>|[,"<]', re.DOTALL)
_LARGEST_CSEQ = 2**31 - 1
_LARGEST_SECONDS = 2**32 - 1


def split_values(value: str) -> list[str]:
    """The elements of a comma-separated field, each without the blanks around it (RFC 3261 section 7.3.1).

    Commas inside quotes or angle brackets separate nothing. An element may come out empty: whether that is allowed is for its
    parser to say. After a quote or bracket that is never closed the rest is one element.
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
    """The tokens of Require, Supported, Allow, Unsupported, Allow-Events and the like, in order; empty elements are passed over.

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
    """The addresses of a Contact, in order; None for ``*``, with which a REGISTER removes every binding (section 20.10).

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
