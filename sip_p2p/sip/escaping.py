"""Percent escapes: which characters each part of a URI may hold as they are (RFC 3261 sections 19.1.2 and 25.1).

A part is decoded once, from what the wire has, and encoded when it is written. The octets behind the escapes are
UTF-8 with surrogateescape, as all head text is, so that no octet is lost.
"""

from __future__ import annotations

import re
from typing import Final, final

from sip_p2p.sip.abnf import has_octets

__all__ = [
    "HEADER",
    "PARAM",
    "PARAM_CHARS",
    "PASSWORD",
    "USER",
    "USER_CHARS",
    "UriPart",
    "escape_octets",
    "normalise_escapes",
]

_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"

USER_CHARS = _UNRESERVED + "&=+$,;?/"
"""What the user part may hold unescaped, as the inside of a character class."""

PARAM_CHARS = _UNRESERVED + r"\[\]/:&+$"
"""What a parameter's name or value may hold unescaped, as the inside of a character class."""

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPED_OCTET = re.compile(rb"%([0-9A-Fa-f]{2})")
_RESERVED_CODES = frozenset(b";/?:@&=+$,%")


@final
class UriPart:
    """How one part of a URI is escaped: the characters that it may hold as they are, and those that we put up with.

    Put up with are ``#`` (dialled often, escaped seldom) and everything beyond ASCII: neither delimits anything.
    """

    __slots__ = ("_correct", "_name", "_to_escape", "_tolerated")

    def __init__(self, name: str, chars: str) -> None:
        self._name = name
        self._correct = re.compile(f"[{chars}]*(?:%[0-9A-Fa-f]{{2}}[{chars}]*)*")
        # Said by what it leaves out: a class with all that is beyond ASCII takes milliseconds to compile.
        known = re.compile(f"[{chars}#]")
        left_out = "".join(re.escape(each) for each in map(chr, range(128)) if known.match(each) is None)
        self._tolerated = re.compile(f"[^{left_out}]*(?:%[0-9A-Fa-f]{{2}}[^{left_out}]*)*")
        self._to_escape = re.compile(f"[^{chars}]+")

    def decode(self, raw: str, strict: bool) -> str:
        """Undo the escapes of *raw*, once.

        :raises ValueError: when *raw* holds what this part must escape, or a ``%`` that starts no escape.
        """
        if (self._correct if strict else self._tolerated).fullmatch(raw) is None:
            raise ValueError(f"the {self._name} {raw[:64]!r} holds a character that must be escaped")
        if not (raw.isascii() or has_octets(raw)):
            raise ValueError(f"the {self._name} {raw[:64]!r} has no UTF-8 form")
        if "%" not in raw:
            return raw
        octets = raw.encode("utf-8", "surrogateescape")
        return _ESCAPED_OCTET.sub(_unescape, octets).decode("utf-8", "surrogateescape")

    def encode(self, text: str) -> str:
        """*text* with what this part may not hold escaped.

        :raises ValueError: when *text* has no UTF-8 form.
        """
        if self._to_escape.search(text) is None:
            return text
        if not has_octets(text):
            raise ValueError(f"the {self._name} {text[:64]!r} has no UTF-8 form")
        return self._to_escape.sub(_escape, text)


def escape_octets(text: str) -> str:
    """*text* with every character escaped."""
    return "".join([f"%{octet:02X}" for octet in text.encode("utf-8", "surrogateescape")])


def _escape(match: re.Match[str]) -> str:
    return escape_octets(match[0])


def _unescape(match: re.Match[bytes]) -> bytes:
    return bytes((int(match[1], 16),))


def normalise_escapes(text: str) -> str:
    """*text* with each escape in the one form for comparison: undone, unless the character is reserved or beyond ASCII.

    Section 19.1.4: only a character outside the reserved set of RFC 2396 equals its escape.
    """
    return _ESCAPE.sub(_normalise, text) if "%" in text else text


def _normalise(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return match[0].upper() if code in _RESERVED_CODES or code > 0x7E else chr(code)


USER: Final = UriPart("user", USER_CHARS)
PASSWORD: Final = UriPart("password", _UNRESERVED + "&=+$,")
PARAM: Final = UriPart("parameter", PARAM_CHARS)
HEADER: Final = UriPart("header", _UNRESERVED + r"\[\]/?:+$")
