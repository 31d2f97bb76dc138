"""The characters that the parts of a line may have (RFC 8866 section 9), for reading and for writing alike.

Everything is checked with ``fullmatch``, before it is written as after it was read, so that no value can begin a line
of its own.
"""

from __future__ import annotations

import ipaddress
import re

__all__ = [
    "NUMBER",
    "TOKEN",
    "check_line",
    "check_number",
    "check_token",
    "check_word",
    "is_address",
    "read_number",
]

TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")
"""Section 9, ``token``."""

NUMBER = re.compile(r"[0-9]{1,20}")
"""Digits alone: neither signs nor blanks nor the digits of other scripts."""

_WORD = re.compile(r"[^\x00-\x20\x7f]+")
_HOST = re.compile(r"[A-Za-z0-9.\-]+")


def check_line(what: str, text: str, *, may_be_empty: bool = False) -> str:
    """*text*, if it can stand after the equals sign of a line (``byte-string``).

    :raises ValueError: when it is empty, or holds CR, LF or NUL.
    """
    if not text and not may_be_empty:
        raise ValueError(f"{what} is empty")
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"{what} holds CR, LF or NUL")
    return text


def check_token(what: str, text: str) -> str:
    """*text*, if it is a token.

    :raises ValueError: when it is none.
    """
    if TOKEN.fullmatch(text) is None:
        raise ValueError(f"{what} must be a token, not {text[:64]!r}")
    return text


def check_word(what: str, text: str) -> str:
    """*text*, if it is one word without blanks (``non-ws-string``).

    :raises ValueError: when it is none.
    """
    if _WORD.fullmatch(text) is None:
        raise ValueError(f"{what} must be one word, not {text[:64]!r}")
    return text


def check_number(what: str, number: int, largest: int) -> int:
    """*number*, if it lies between 0 and *largest*.

    :raises ValueError: when it does not.
    """
    if isinstance(number, bool) or not 0 <= number <= largest:
        raise ValueError(f"{what} must lie between 0 and {largest}, not {number}")
    return number


def read_number(what: str, text: str, largest: int) -> int:
    """The number that *text* writes.

    :raises ValueError: when it is none, or is larger than *largest*.
    """
    if NUMBER.fullmatch(text) is None:
        raise ValueError(f"{what} must be a number, not {text[:64]!r}")
    return check_number(what, int(text), largest)


def is_address(address_type: str, address: str) -> bool:
    """Whether *address* is one of *address_type*: an IP address of that family, or a host name; anything of a type
    that is neither ``IP4`` nor ``IP6``."""
    if address_type not in ("IP4", "IP6"):
        return _WORD.fullmatch(address) is not None
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        # Four numbers that are no address are no host name either.
        looks_numeric = all(part.isdigit() for part in address.split("."))
        return _HOST.fullmatch(address) is not None and len(address) <= 255 and not looks_numeric
    return version == (4 if address_type == "IP4" else 6)
