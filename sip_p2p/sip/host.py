"""Hosts and ports, as URIs and Via share them (RFC 3261 section 25.1, RFC 5954, RFC 5118, RFC 1123).

A host is a name, an IPv4 address or an IPv6 address. Inside the package it is kept in one normal form: ASCII small letters,
IPv6 without brackets and spelled as RFC 5952 asks. Zone identifiers have no place in SIP and are refused.
"""

from __future__ import annotations

import ipaddress
import re

from sip_p2p.sip.abnf import parse_number

__all__ = ["HOST", "IPV4", "bracketed", "normalise_host", "normalise_ipv6", "parse_port"]

HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]+(?:(?:\.|-+)[A-Za-z0-9_]+)*\.?"
"""The shape of a host, for use inside a larger pattern: brackets with what may be IPv6, or labels. Each repetition is decided
by its first character, so matching takes linear time."""

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

IPV4 = re.compile(rf"(?:{_OCTET}\.){{3}}{_OCTET}")
"""An IPv4 address in dotted decimals; a leading zero, which some read as octal, is refused."""

_NAME = re.compile(r"[A-Za-z0-9_]+(?:(?:\.|-+)[A-Za-z0-9_]+)*\.?")
_IPV6_CHARS = re.compile(r"[0-9A-Fa-f:.]+")
_TRIPLE_COLON = re.compile(r"(.*[0-9A-Fa-f]):::([0-9]+\.[0-9.]+)")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_LONGEST_LABEL = 63
_LONGEST_NAME = 253


def normalise_ipv6(text: str) -> str:
    """The RFC 5952 spelling of an IPv6 address given without brackets.

    The three colons that RFC 3261's grammar produces before an embedded IPv4 address are read as two (RFC 5118 section 4.10).

    :raises ValueError: when it is none, or carries a zone identifier.
    """
    if _IPV6_CHARS.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} is not an IPv6 address")
    triple = _TRIPLE_COLON.fullmatch(text)
    try:
        address = ipaddress.IPv6Address(text if triple is None else f"{triple[1]}::{triple[2]}")
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not an IPv6 address") from None
    mapped = address.ipv4_mapped
    return address.compressed if mapped is None else f"::ffff:{mapped}"


def normalise_host(text: str) -> str:
    """The normal form of a host as the wire spells it (IPv6 in brackets).

    :raises ValueError: for the empty string, an IPv6 address without brackets, a label that is empty, longer than 63 or
        starts or ends with a hyphen, and for a name whose last label is a number without the whole being an IPv4 address.
    """
    if text.startswith("["):
        if not text.endswith("]"):
            raise ValueError(f"{text[:64]!r} lacks its closing bracket")
        return normalise_ipv6(text[1:-1])
    if _NAME.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} is not a host")
    if len(text) > _LONGEST_LABEL and (
        len(text) > _LONGEST_NAME + 1 or max(map(len, text.split("."))) > _LONGEST_LABEL
    ):
        raise ValueError(f"the host name {text[:64]!r}... or one of its labels is too long")
    if _ENDS_IN_NUMBER.fullmatch(text) is not None and IPV4.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} is neither an IPv4 address nor a name")
    return text.lower()


def bracketed(host: str) -> str:
    """A host in normal form as the wire spells it: IPv6 gets its brackets back."""
    return f"[{host}]" if ":" in host else host


def parse_port(text: str) -> int:
    """A port, 0 to 65535.

    :raises ValueError: for anything else.
    """
    return parse_number(text, 65535)
