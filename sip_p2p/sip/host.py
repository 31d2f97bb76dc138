"""Hosts and ports, as URIs and Via share them (RFC 3261 section 25.1, RFC 5954, RFC 5118, RFC 1123).

A host is a name, an IPv4 address or an IPv6 address. Inside the package it is kept in one normal form: ASCII small
letters, IPv6 without brackets and spelled as RFC 5952 asks. Zone identifiers have no place in SIP and are refused.
"""

from __future__ import annotations

import ipaddress
import re

from sip_p2p.sip.abnf import parse_number

__all__ = [
    "IPV4",
    "bracketed",
    "is_group",
    "is_loopback",
    "normalise_any_host",
    "normalise_host",
    "normalise_ipv6",
    "parse_port",
]

_OCTET = "(?:1[0-9]{0,2}|2(?:[0-4][0-9]?|5[0-5]?|[6-9])?|[3-9][0-9]?|0)"

IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
"""An IPv4 address in dotted decimals; a leading zero, which some read as octal, is refused."""

_NAME = re.compile(r"[A-Za-z0-9_]+(?:(?:\.|-+)[A-Za-z0-9_]+)*\.?")
_IPV6_CHARS = re.compile(r"[0-9A-Fa-f:.]+")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LONGEST_LABEL = 63
_LONGEST_NAME = 253


def normalise_ipv6(text: str) -> str:
    """The RFC 5952 spelling of an IPv6 address given without brackets.

    The three colons that RFC 3261's grammar produces before an embedded IPv4 address are read as two (RFC 5118
    section 4.10).

    :raises ValueError: when it is none, or carries a zone identifier.
    """
    if _IPV6_CHARS.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} is not an IPv6 address")
    before, three, after = text.partition(":::")
    try:
        address = ipaddress.IPv6Address(f"{before}::{after}" if three and before and "." in after else text)
    except ValueError:
        raise ValueError(f"{text[:64]!r} is not an IPv6 address") from None
    mapped = address.ipv4_mapped
    return address.compressed if mapped is None else f"::ffff:{mapped}"


def normalise_host(text: str) -> str:
    """The normal form of a host as the wire spells it (IPv6 in brackets).

    :raises ValueError: for the empty string, an IPv6 address without brackets, a label that is empty, longer than 63 or
        starts or ends with a hyphen, and for a name whose last label is a number without the whole being an IPv4
        address.
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
    if _NUMBER.fullmatch(text.rstrip(".").rpartition(".")[2]) is not None and IPV4.fullmatch(text) is None:
        raise ValueError(f"{text[:64]!r} is neither an IPv4 address nor a name")
    return text.lower()


def normalise_any_host(text: str) -> str:
    """:func:`normalise_host`, for a place where IPv6 may come without brackets: our own API, ``received`` (RFC 5118).

    :raises ValueError: as :func:`normalise_host`.
    """
    return normalise_ipv6(text) if ":" in text and text[0] != "[" else normalise_host(text)


def is_loopback(host: str) -> bool:
    """Whether *host*, in normal form, is the machine of whoever reads it (RFC 1122 section 3.2.1.3, RFC 6761 section
    6.3); that another name leads there is for a resolver to tell."""
    host = host.removeprefix("::ffff:").rstrip(".")
    if IPV4.fullmatch(host) is not None:
        # Systems take the address that stands for none for their own.
        return host.startswith(("127.", "0."))
    return host in ("::1", "::", "localhost") or host.endswith(".localhost")


def is_group(host: str) -> bool:
    """Whether *host*, in normal form, is a multicast address."""
    host = host.removeprefix("::ffff:")
    if IPV4.fullmatch(host) is not None:
        return 224 <= int(host[: host.index(".")]) <= 239
    return host.startswith("ff") and host[4:5] == ":"


def bracketed(host: str) -> str:
    """A host in normal form as the wire spells it: IPv6 gets its brackets back."""
    return f"[{host}]" if ":" in host else host


def parse_port(text: str) -> int:
    """A port, 0 to 65535.

    :raises ValueError: for anything else.
    """
    return parse_number(text, 65535)
