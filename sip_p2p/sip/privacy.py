"""What a caller does not want to be known (RFC 3323), and who the network says that it is (RFC 3325).

Privacy, P-Asserted-Identity and P-Preferred-Identity as values. Whose word for an identity is taken, and to whom ours
is given, is not SIP's to know: it is a matter of who was proved to be at the other end.

Left out: the functions of a privacy service in the network (RFC 3323 section 5), which pass calls on under another
name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import ascii_lower, is_token
from sip_p2p.sip.fields import parse_name_addrs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.name_addr import NameAddr

__all__ = [
    "ANONYMOUS",
    "ANONYMOUS_HOST",
    "ASSERTED",
    "NETWORK_FIELDS",
    "PREFERRED",
    "TELLING_FIELDS",
    "asserted_identities",
    "hides_user",
    "is_anonymous",
    "parse_privacy",
    "privacy_fields",
]

ANONYMOUS_HOST = "anonymous.invalid"
"""The host of who wants to remain unnamed (RFC 3323 section 4.1.1.3)."""

ANONYMOUS = f'"Anonymous" <sip:anonymous@{ANONYMOUS_HOST}>'
"""The From of who wants to remain unnamed (RFC 3323 section 4.1.1.3)."""

ASSERTED = "P-Asserted-Identity"
PREFERRED = "P-Preferred-Identity"

NETWORK_FIELDS = (ASSERTED, PREFERRED)
"""What only those may see who trust each other (RFC 3325 sections 5, 6 and 7)."""

TELLING_FIELDS = frozenset("call-info in-reply-to organization reply-to subject user-agent".split())
"""The fields, in small letters, that tell of a user what nobody needs to know for the call (RFC 3323 section 5.3)."""

_HIDES_USER = frozenset(("user", "id"))
_MOST = 16


def parse_privacy(headers: Headers) -> frozenset[str]:
    """What Privacy asks for, in small letters; nothing where there is none (RFC 3323 section 4.2).

    A comma is taken for the semicolon that should stand there.

    :raises MalformedMessage: when a value is no token, or there are more than anybody knows (400).
    """
    values: set[str] = set()
    for line in headers.get_all("Privacy"):
        for value in line.replace(",", ";").split(";"):
            name = ascii_lower(value.strip(" \t"))
            if not is_token(name) or len(values) >= _MOST:
                raise MalformedMessage(f"Privacy: not a list of tokens: {line[:64]!r}")
            values.add(name)
    return frozenset(values)


def privacy_fields(privacy: str | Iterable[str] | None) -> list[tuple[str, str]]:
    """The fields that ask the network for *privacy*: Privacy, and Proxy-Require where it is critical (RFC 3323 sections
    4.2 and 4.3). For ``user`` nobody is asked: what it means a user agent does by itself.

    :param privacy: one value or several: ``user``, ``id``, ``header``, ``session``, ``history``, ``critical``, or
        ``none`` alone; None or nothing for no such fields.
    :raises ValueError: for what is no value, and for ``none`` or ``critical`` with nothing that fits them.
    """
    given = [privacy] if isinstance(privacy, str) else list(privacy or ())
    values = list(dict.fromkeys(ascii_lower(value) for value in given))
    if not values:
        return []
    for value in values:
        if not is_token(value):
            raise ValueError(f"{value[:64]!r} is no value of Privacy: it must be a token")
    if "none" in values and len(values) > 1:
        raise ValueError("privacy 'none' stands alone (RFC 3323 section 4.2)")
    if values == ["critical"]:
        raise ValueError("privacy 'critical' says how much something else matters (RFC 3323 section 4.2)")
    if len(values) > _MOST:
        raise ValueError(f"more than {_MOST} values of Privacy")
    asked = [value for value in values if value not in ("user", "critical")]
    if not asked:
        return []
    if "critical" not in values:
        return [("Privacy", ";".join(asked))]
    return [("Privacy", ";".join([*asked, "critical"])), ("Proxy-Require", "privacy")]


def hides_user(privacy: str | Iterable[str] | None) -> bool:
    """Whether who wants *privacy* does not want to be named: then From is :data:`ANONYMOUS` already when it leaves,
    since whatever else there is on the way may not heed the wish."""
    given = [privacy] if isinstance(privacy, str) else (privacy or ())
    return any(ascii_lower(value) in _HIDES_USER for value in given)


def is_anonymous(from_: str) -> bool:
    """Whether a From of ours, as text, names nobody."""
    return f"@{ANONYMOUS_HOST}" in from_


def asserted_identities(headers: Headers, name: str = ASSERTED) -> tuple[NameAddr, ...]:
    """Who the network says that it was (RFC 3325 section 9.1): nobody, one, or two, of which one is a ``tel:`` URI.

    :param name: P-Preferred-Identity has the same form (section 9.2).
    :raises MalformedMessage: for anything else (400).
    """
    found = [each for value in headers.get_all(name) for each in parse_name_addrs(value, name)]
    if not found:
        return ()
    kinds = ["tel" if each.uri.scheme == "tel" else "sip" for each in found]
    if len(found) > 2 or len(set(kinds)) != len(kinds):
        raise MalformedMessage(f"{name}: more than one address of a kind")
    if any(each.uri.scheme not in ("sip", "sips", "tel") for each in found):
        raise MalformedMessage(f"{name}: neither sip: nor tel:")
    return tuple(found)
