"""Accept and its kin: what a message's sender is ready to take (RFC 3261 sections 20.1 to 20.3)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import Q_VALUE, TOKEN_CHARS, ascii_lower
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.params import NONE_QUOTED, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sip_p2p.sip.body import MediaType

__all__ = ["MediaRange", "is_acceptable", "parse_accept", "parse_codings"]

_RANGE = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]*")
_CODING = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*")


@final
class MediaRange:
    """One element of an Accept: ``application/sdp``, ``text/*`` or ``*/*``, with parameters and a preference.

    :ivar type: in small letters, or ``*``.
    :ivar subtype: in small letters, or ``*``.
    :ivar q: the preference, 0 to 1; 0 means not acceptable.
    """

    __slots__ = ("_params", "_quoted", "q", "subtype", "type")

    def __init__(self, type: str, subtype: str, q: float, params: dict[str, str | None]) -> None:
        self.type = type
        self.subtype = subtype
        self.q = q
        self._params = params
        self._quoted = NONE_QUOTED

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters but for ``q``: small name to decoded value."""
        return MappingProxyType(self._params)

    def matches(self, media_type: MediaType) -> bool:
        """Whether *media_type* is in this range. Every parameter of the range must be one of the type's."""
        if self.type not in ("*", media_type.type) or self.subtype not in ("*", media_type.subtype):
            return False
        present = media_type.params
        for name, value in self._params.items():
            given = present.get(name)
            if given is None or value is None or ascii_lower(given) != ascii_lower(value):
                return False
        return True

    @property
    def precision(self) -> int:
        """How much the range says: a more precise one overrides a wider one."""
        return len(self._params) + 1 if self.subtype != "*" else 0 if self.type != "*" else -1

    def __str__(self) -> str:
        preference = "" if self.q == 1 else f";q={self.q:g}"
        return f"{self.type}/{self.subtype}{format_params(self._params, self._quoted)}{preference}"

    def __repr__(self) -> str:
        return f"<MediaRange {str(self)!r}>"


def parse_accept(values: Iterable[str]) -> list[MediaRange]:
    """The ranges of all Accept fields of a message, in order. A field without any range is legal: it accepts nothing.

    :raises MalformedMessage: when an element is no range, or its ``q`` no preference (400).
    """
    ranges: list[MediaRange] = []
    for value in values:
        for element in split_values(value):
            if element:
                ranges.append(_parse_range(element))
    return ranges


def _parse_range(element: str) -> MediaRange:
    match = _RANGE.match(element)
    if match is None or (match[1] == "*" and match[2] != "*"):
        raise MalformedMessage(f"Accept: not a media range: {element[:64]!r}")
    quoted: set[str] = set()
    params = parse_params(element, match.end(), "Accept", quoted)
    media_range = MediaRange(match[1].lower(), match[2].lower(), _preference(params, "Accept"), params)
    media_range._quoted = frozenset(quoted)
    return media_range


def _preference(params: dict[str, str | None], field_name: str) -> float:
    """Take ``q`` out of *params*.

    :raises MalformedMessage: when it is no preference (400).
    """
    if "q" not in params:
        return 1.0
    value = params.pop("q")
    if value is None or Q_VALUE.fullmatch(value) is None:
        raise MalformedMessage(f"{field_name}: not a preference between 0 and 1: {value!r}")
    return float(value)


def is_acceptable(ranges: list[MediaRange], media_type: MediaType) -> bool:
    """Whether *ranges* let *media_type* pass: the most precise one that matches decides."""
    best: MediaRange | None = None
    for candidate in ranges:
        if candidate.matches(media_type) and (best is None or candidate.precision > best.precision):
            best = candidate
    return best is not None and best.q > 0


def parse_codings(value: str, field_name: str) -> list[tuple[str, float]]:
    """The elements of Accept-Encoding or Accept-Language, small, with their preference.

    :raises MalformedMessage: when an element is not a token with parameters (400).
    """
    codings: list[tuple[str, float]] = []
    for element in split_values(value):
        if not element:
            continue
        match = _CODING.match(element)
        if match is None:
            raise MalformedMessage(f"{field_name}: not a token: {element[:64]!r}")
        params = parse_params(element, match.end(), field_name)
        codings.append((match[1].lower(), _preference(params, field_name)))
    return codings
