"""The fields of authentication: a scheme and its parameters (RFC 3261 sections 20.7, 20.27, 20.28, 20.44).

WWW-Authenticate, Proxy-Authenticate, Authorization and Proxy-Authorization share it. What a scheme means by its
parameters, digest's nonces and hashes above all, is not here.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import QUOTED_STRING, TOKEN, TOKEN_CHARS, ascii_lower, quote, unquote
from sip_p2p.sip.params import NONE_QUOTED, check_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["AuthValue", "parse_auth_params", "parse_auth_value"]

_SCHEME = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)(?:[ \t]+|\Z)")
_BARE_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_PARAM = re.compile(
    rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*=[ \t]*(?:([{TOKEN_CHARS}/:@\[\]]+)|{QUOTED_STRING.pattern})[ \t]*(,|\Z)"
)


@final
class AuthValue:
    """One challenge, or one set of credentials.

    :ivar scheme: as written; compare it without regard to case.
    :ivar token: what stands after the scheme where it has no parameters, as ``Bearer`` credentials do; else empty.
    """

    __slots__ = ("_params", "_quoted", "scheme", "token")

    def __init__(
        self,
        scheme: str,
        params: Mapping[str, str | None] | None = None,
        quoted: Iterable[str] = (),
        token: str = "",
    ) -> None:
        """
        :param quoted: the names of the parameters whose value stands in quotes; one that is no token always does.
        :raises ValueError: when a part cannot be written, or there are both parameters and a token.
        """
        checked = check_params(params)
        if TOKEN.fullmatch(scheme) is None:
            raise ValueError(f"{scheme[:64]!r} is not a scheme: it must be a token")
        if None in checked.values():
            raise ValueError("every parameter of authentication has a value")
        if token and (checked or _BARE_TOKEN.fullmatch(token) is None):
            raise ValueError("a scheme has parameters, or one token of letters, digits and -._~+/")
        self.scheme = scheme
        self.token = token
        self._params = checked
        self._quoted: frozenset[str] = frozenset(name.lower() for name in quoted)

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small name to decoded value; none is None."""
        return MappingProxyType(self._params)

    def is_scheme(self, scheme: str) -> bool:
        """Whether this is of *scheme*, without regard to case."""
        return ascii_lower(self.scheme) == ascii_lower(scheme)

    def __str__(self) -> str:
        if self.token:
            return f"{self.scheme} {self.token}"
        written: list[str] = []
        for name, value in self._params.items():
            bare = name not in self._quoted and TOKEN.fullmatch(value or "") is not None
            written.append(f"{name}={value if bare else quote(value or '')}")
        return f"{self.scheme} {', '.join(written)}" if written else self.scheme

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AuthValue):
            return NotImplemented
        return self.is_scheme(other.scheme) and self.token == other.token and self._params == other._params

    def __hash__(self) -> int:
        return hash((ascii_lower(self.scheme), self.token))

    def __repr__(self) -> str:
        return f"<AuthValue {self.scheme} {sorted(self._params)}>"


def parse_auth_value(value: str, field_name: str) -> AuthValue:
    """Parse a challenge or credentials. Each field carries one; a comma only separates its parameters (section 7.3.1).

    :raises MalformedMessage: when it has no scheme, a parameter has no value or stands twice, or a quote is open (400).
    """
    match = _SCHEME.match(value)
    if match is None:
        raise MalformedMessage(f"{field_name}: no scheme: {value[:16]!r}")
    rest = value[match.end() :].strip(" \t")
    parsed = AuthValue(match[1])
    if _BARE_TOKEN.fullmatch(rest) is not None and "=" not in rest.rstrip("="):
        parsed.token = rest
    elif rest:
        quoted: set[str] = set()
        parsed._params = parse_auth_params(rest, field_name, quoted)
        parsed._quoted = frozenset(quoted) if quoted else NONE_QUOTED
    return parsed


def parse_auth_params(text: str, field_name: str, quoted: set[str] | None = None) -> dict[str, str | None]:
    """Parse comma-separated parameters: the whole of Authentication-Info, the rest of the others.

    :param quoted: gets the names of those whose value stood in quotes.
    :raises MalformedMessage: when one has no value or stands twice, or a quote is open (400). The text is not
        quoted in the error: it may hold secrets.
    """
    params: dict[str, str | None] = {}
    start = 0
    comma = ","
    while comma:
        match = _PARAM.match(text, start)
        if match is None:
            raise MalformedMessage(f"{field_name}: parameter {len(params) + 1} is not a name and a value")
        name = ascii_lower(match[1])
        if name in params:
            raise MalformedMessage(f"{field_name}: the parameter {name[:32]} stands twice")
        inside = match[3]
        params[name] = match[2] if inside is None else unquote(inside)
        if inside is not None and quoted is not None:
            quoted.add(name)
        comma = match[4]
        start = match.end()
    return params
