"""A peer's text made safe for a log line or a terminal, and cut to the columns that it may take; times and addresses as
they are written everywhere.

What a peer sends may hold line ends that forge log entries, escape sequences that drive a terminal, and marks that turn
the reading direction round. :func:`printable` leaves none of them; the rest of the text, in any script, stays readable.
"""

from __future__ import annotations

import datetime
import functools
import math
import unicodedata

__all__ = ["clip", "display_width", "host_and_port", "in_words", "pad", "printable"]


def printable(text: str, limit: int = 256) -> str:
    """*text* on one line, with everything that is not printable written as a Python escape.

    Control and format characters, line and paragraph separators, surrogates (octets that were not UTF-8) and blanks
    other than the space are escaped; so is the backslash, which makes the result unambiguous.

    :param limit: how many characters of *text* are looked at; ``...`` marks what was left out.
    """
    shown = text if len(text) <= limit else text[:limit]
    if not shown.isprintable() or "\\" in shown:
        shown = "".join(
            character
            if character != "\\" and character.isprintable()
            else character.encode("unicode_escape").decode("ascii")
            for character in shown
        )
    return shown if len(text) <= limit else shown + "..."


def display_width(text: str) -> int:
    """How many terminal columns *text* takes: two for a wide character, none for a combining one."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def clip(text: str, columns: int, ellipsis: str = "…") -> str:
    """*text* if it fits into *columns*, else as much of it as does, with *ellipsis* at the end."""
    if display_width(text) <= columns:
        return text
    room = columns - len(ellipsis)
    if room < 0:
        return ""
    kept: list[str] = []
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + ellipsis


def pad(text: str, columns: int) -> str:
    """*text* followed by the blanks that fill it up to *columns*."""
    return text + " " * (columns - display_width(text))


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def in_words(now: float) -> str:
    """*now*, in seconds since 1970, as RFC 3339 writes it: UTC, to the millisecond."""
    second = math.floor(now)
    # To the microsecond first, as datetime does it.
    more, microseconds = divmod(round((now - second) * 1_000_000), 1_000_000)
    return f"{_second_in_words(second + more)}.{microseconds // 1000:03d}Z"


# Everything that happens within a second has the same words but for the milliseconds.
@functools.lru_cache(maxsize=8)
def _second_in_words(second: int) -> str:
    return datetime.datetime.fromtimestamp(second, datetime.UTC).isoformat(timespec="seconds")[:19]


def host_and_port(host: str, port: int) -> str:
    """``host:port``, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
