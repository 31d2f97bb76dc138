"""The grammar's terminals: what a token, a word, a quoted string, a number and white space are (RFC 3261 section 25).

Head text reaches this package decoded once as UTF-8 with surrogateescape, so any character may occur in it; only
ASCII ever decides anything. Every pattern here spells out its characters and is meant for ``fullmatch`` (or
``match`` at a position): Unicode's ideas of a digit, a blank or a small letter never take part. Hosts are in
:mod:`~sip_p2p.sip.host`, URIs in
:mod:`~sip_p2p.sip.uri`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import SupportsBytes

__all__ = [
    "CALL_ID",
    "QUOTED_STRING",
    "Q_VALUE",
    "TOKEN",
    "TOKEN_CHARS",
    "WORD",
    "ascii_lower",
    "check_quotable",
    "has_octets",
    "is_token",
    "octets_of",
    "parse_number",
    "quote",
    "unquote",
]

TOKEN_CHARS = r"A-Za-z0-9\-.!%*_+`'~"
"""The characters of a ``token``, as the inside of a character class."""

TOKEN = re.compile(f"[{TOKEN_CHARS}]+")
"""``token``: methods, header names, option tags, parameter names."""

WORD = re.compile(f'[{TOKEN_CHARS}()<>:\\\\"/\\[\\]?{{}}]+')
"""``word``: what a Call-ID is made of."""

CALL_ID = re.compile(f"{WORD.pattern}(?:@{WORD.pattern})?")
"""``callid``: a word, or two of them around an ``@`` (section 20.8)."""

QUOTED_STRING = re.compile(r'"([^"\\\x00-\x08\x0a-\x1f\x7f]*(?:\\[^\r\n][^"\\\x00-\x08\x0a-\x1f\x7f]*)*)"')
"""``quoted-string``: group 1 is what stands between the quotes, its quoted-pairs not yet undone."""

Q_VALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
"""``qvalue``: 0 to 1 with at most three decimals."""

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_QUOTED_PAIR = re.compile(r'[\x00-\x1f\x7f"\\]')
_NUMBER = re.compile(r"0*+([0-9]*)")
_LONGEST_NUMBER = 20

_UPPER_TO_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def ascii_lower(text: str) -> str:
    """*text* with A to Z made small and every other character left alone: U+212A, the Kelvin sign, is no ``k``."""
    return text.lower() if text.isascii() else text.translate(_UPPER_TO_LOWER)


def is_token(text: str) -> bool:
    """Whether *text* is a token (section 25.1)."""
    return TOKEN.fullmatch(text) is not None


def parse_number(text: str, maximum: int) -> int:
    """The value of ``1*DIGIT``; leading zeros count for nothing.

    :raises ValueError: when *text* is empty, holds anything but 0 to 9, or stands for more than *maximum*. The
        digits are counted before they are converted, so a number of a million digits costs no more than reading it.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or not text:
        raise ValueError(f"{text[:32]!r} is not a number")
    digits = match[1]
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"{text[:32]!r}... is larger than {maximum}")
    value = int(digits) if digits else 0
    if value > maximum:
        raise ValueError(f"{text[:32]!r} is larger than {maximum}")
    return value


def octets_of(body: str | SupportsBytes) -> bytes:
    """*body* as octets; text becomes UTF-8.

    :raises TypeError: for what has no octets.
    :raises ValueError: for text that has no UTF-8 form.
    """
    if isinstance(body, int):
        # bytes() would make as many zeros of it.
        raise TypeError("a body is text or octets, not a number")
    return body.encode("utf-8") if isinstance(body, str) else bytes(body)


def has_octets(text: str) -> bool:
    """Whether *text* can be written as UTF-8 with surrogateescape and read back as itself: a stray surrogate cannot."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
    except UnicodeEncodeError:
        return False


def check_quotable(text: str) -> str:
    """Return *text* if an application may put it into a quoted string.

    A quoted-pair could carry NUL, and one that a peer sent is kept; none of ours ever does.

    :raises ValueError: when it holds CR, LF or NUL, or what has no UTF-8 form.
    """
    if "\0" in text:
        raise ValueError(f"NUL cannot stand in a quoted string: {text[:64]!r}")
    quote(text)
    return text


def quote(text: str) -> str:
    """*text* as a quoted-string: in quotes, with a backslash before each quote, backslash and control character.

    :raises ValueError: when it holds CR or LF, which no quoted-string may, or what has no UTF-8 form.
    """
    if "\r" in text or "\n" in text:
        raise ValueError(f"CR or LF cannot stand in a quoted string: {text[:64]!r}")
    if not (text.isascii() or has_octets(text)):
        raise ValueError(f"{text[:64]!r} has no UTF-8 form")
    return f'"{_NEEDS_QUOTED_PAIR.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    return "\\" + match[0]


def unquote(inside: str) -> str:
    """Undo the quoted-pairs of what stood between two quotes."""
    return _QUOTED_PAIR.sub(r"\1", inside) if "\\" in inside else inside
