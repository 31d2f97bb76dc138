"""Parameters of header fields: ``;name``, ``;name=token``, ``;name="quoted"`` (RFC 3261 sections 7.3.1 and 25.1).

Names are kept small, values decoded. Which values stood in quotes is remembered apart, because some parameters must
keep them (feature tags of RFC 3840, ``realm``) though their content would do without.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import QUOTED_STRING, TOKEN, TOKEN_CHARS, ascii_lower, check_quotable, quote, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NONE_QUOTED", "PLAIN_VALUE", "PLAIN_VALUE_CHARS", "check_params", "format_params", "parse_params"]

NONE_QUOTED: Final[frozenset[str]] = frozenset()
"""No parameter's value stood in quotes: what nearly all headers share."""

PLAIN_VALUE_CHARS = TOKEN_CHARS + r":\[\]"
"""The characters of a ``gen-value`` without quotes: a token, or a host; IPv6 may lack its brackets (RFC 5118)."""

PLAIN_VALUE = re.compile(f"[{PLAIN_VALUE_CHARS}]+")
"""A value that needs no quotes."""

_PARAM = re.compile(
    rf"[ \t]*;[ \t]*([{TOKEN_CHARS}]+)[ \t]*(?:=[ \t]*(?:([{PLAIN_VALUE_CHARS}]+)|{QUOTED_STRING.pattern}))?[ \t]*"
)


def parse_params(text: str, start: int, field_name: str, quoted: set[str] | None = None) -> dict[str, str | None]:
    """The parameters in *text* from *start*, which is at the blanks or the semicolon before the first, up to its end.

    :param quoted: gets the names of those whose value stood in quotes.
    :raises MalformedMessage: when a parameter is empty, is given twice with different values (section 7.3.1 forbids
        even the same), has an open quote, or when anything else is left over (400).
    """
    params: dict[str, str | None] = {}
    end = len(text)
    while start < end:
        match = _PARAM.match(text, start)
        if match is None:
            raise MalformedMessage(f"{field_name}: not a parameter: {text[start : start + 32]!r}")
        name = ascii_lower(match[1])
        inside = match[3]
        value = match[2] if inside is None else unquote(inside)
        if name not in params:
            params[name] = value
            if inside is not None and quoted is not None:
                quoted.add(name)
        elif params[name] != value:
            raise MalformedMessage(f"{field_name}: the parameter {name[:32]} stands twice, with different values")
        start = match.end()
    return params


def format_params(params: dict[str, str | None], quoted: frozenset[str] = NONE_QUOTED) -> str:
    """The parameters as the wire has them, each with its semicolon; what needs quotes, or is in *quoted*, gets them."""
    written = ""
    for name, value in params.items():
        if value is None:
            written += f";{name}"
        elif name not in quoted and PLAIN_VALUE.fullmatch(value) is not None:
            written += f";{name}={value}"
        else:
            written += f";{name}={quote(value)}"
    return written


def check_params(params: Mapping[str, str | None] | None) -> dict[str, str | None]:
    """A copy of *params* with small names.

    :raises ValueError: when a name is not a token or stands twice, or a value cannot be written.
    """
    checked: dict[str, str | None] = {}
    if params is not None:
        for name, value in params.items():
            if TOKEN.fullmatch(name) is None or name.lower() in checked:
                raise ValueError(
                    f"{name[:64]!r} is not a parameter name, a token of RFC 3261 section 25.1, or stands twice"
                )
            checked[name.lower()] = value
            if value is not None:
                check_quotable(value)
    return checked
