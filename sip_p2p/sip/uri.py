"""URIs: ``sip:`` and ``sips:`` in full, ``tel:``, and any other as opaque text (RFC 3261 section 19.1, RFC 3966).

A :class:`SipUri` keeps its parts decoded: ``%`` escapes are undone exactly once when it is parsed and put back,
where the part needs them, when it is written. One that was parsed from correct text is written as it came. Two
compare equal as section 19.1.4 says, which is not transitive; a GRUU and its address of record do not, though RFC 5627
section 5.4 has it so. What peers send is read leniently (:func:`parse_uri`); :meth:`SipUri.parse` can be strict.

Left out: resolving (RFC 3263), and what a URI may hold where (section 19.1.1, table 1), save for
:meth:`SipUri.as_request_uri`.
"""

from __future__ import annotations

import enum
import functools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import ascii_lower, parse_number
from sip_p2p.sip.escaping import HEADER, PARAM, PARAM_CHARS, PASSWORD, USER, USER_CHARS, normalise_escapes
from sip_p2p.sip.host import IPV4, bracketed, normalise_any_host, normalise_host, parse_port
from sip_p2p.sip.tel import TelUri, parse_tel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OpaqueUri", "SipUri", "TelUri", "Uri", "parse_uri"]

_USUAL_SIP = re.compile(
    rf"(sips?):(?:([{USER_CHARS}]+)@)?"
    rf"({IPV4.pattern}|[A-Za-z][A-Za-z0-9]*(?:[.-][A-Za-z][A-Za-z0-9]*)*)(?::([1-9][0-9]{{0,4}}))?"
    rf"((?:;[{PARAM_CHARS}]+(?:=[{PARAM_CHARS}]+)?)*)"
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_OPAQUE_REST = re.compile(r"[^\x00-\x20\x7f<>\"\\^`{}|]+")
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]+))?")
_NEVER_ONE_SIDED = ("user", "ttl", "method", "maddr", "transport", "gr")

_NO_PARAMS: Final[Mapping[str, str | None]] = MappingProxyType({})
_LONGEST_REMEMBERED = 128


class _Keep(enum.Enum):
    """What :meth:`SipUri.replace` takes for "as it is", since None means "none"."""

    KEEP = "keep"


KEEP: Final = _Keep.KEEP


@final
class SipUri:
    """A ``sip:`` or ``sips:`` URI. Immutable, hashable, equal by RFC 3261 section 19.1.4."""

    __slots__ = ("_headers", "_host", "_key", "_params", "_password", "_port", "_scheme", "_text", "_user")

    def __init__(
        self,
        scheme: str,
        user: str | None,
        host: str,
        port: int | None = None,
        params: Mapping[str, str | None] | None = None,
        headers: Iterable[tuple[str, str]] = (),
        password: str | None = None,
    ) -> None:
        """
        :param user: decoded; what must be escaped will be. So are *password*, *params* and *headers*.
        :param host: as it would be written, though IPv6 may lack its brackets.
        :raises ValueError: when the parts make no URI.
        """
        if scheme not in ("sip", "sips"):
            raise ValueError(f"the scheme must be sip or sips, not {scheme[:32]!r}")
        if user == "" or (user is None and password is not None):
            raise ValueError("the user of a SIP URI cannot be empty: leave it out with None")
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port")
        checked: dict[str, str | None] = {}
        for name, value in ({} if params is None else params).items():
            small = ascii_lower(name)
            if not name or value == "" or small in checked:
                raise ValueError(f"the URI parameter {name[:64]!r} has an empty name or value, or stands twice")
            checked[small] = value
        self._scheme = scheme
        self._user = user
        self._password = password
        self._host = normalise_any_host(host)
        self._port = port
        self._params: Mapping[str, str | None] = MappingProxyType(checked) if checked else _NO_PARAMS
        self._headers = tuple(headers)
        if not all(name for name, _ in self._headers):
            raise ValueError("a header of a URI needs a name")
        self._key: tuple[tuple[object, ...], dict[str, str]] | None = None
        self._text: str = self._write()

    @staticmethod
    def parse(text: str, strict: bool = False) -> SipUri:
        """The SIP URI that an application, a user or a configuration wrote.

        :param strict: refuse what the grammar does not allow, a parameter given twice included.
        :raises ValueError: when *text* is no SIP URI. (:func:`parse_uri`, for what peers sent, raises
            MalformedMessage.)
        """
        try:
            uri = parse_uri(text, strict)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        if not isinstance(uri, SipUri):
            raise ValueError(f"{text[:64]!r} is no SIP URI: it must start with sip: or sips:")
        return uri

    @property
    def scheme(self) -> str:
        """``sip`` or ``sips``."""
        return self._scheme

    @property
    def user(self) -> str | None:
        """The user, decoded; None where there is none."""
        return self._user

    @property
    def password(self) -> str | None:
        """The password, decoded; None where there is none. It may be empty."""
        return self._password

    @property
    def host(self) -> str:
        """The host: small letters, IPv6 without brackets."""
        return self._host

    @property
    def port(self) -> int | None:
        """The port, or None where none is written. The default port written out makes a different URI."""
        return self._port

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small decoded name to decoded value, None where it has none."""
        return self._params

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header components as decoded (name, value) pairs, in order; a name may come more than once."""
        return self._headers

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is ``sips``."""
        return self._scheme == "sips"

    @property
    def domain(self) -> str:
        """The host and, where one is written, the port: what follows the ``@``."""
        host = bracketed(self._host)
        return host if self._port is None else f"{host}:{self._port}"

    @property
    def transport(self) -> str | None:
        """The ``transport`` parameter in small letters, or None."""
        value = self._params.get("transport")
        return None if value is None else ascii_lower(value)

    @property
    def lr(self) -> bool:
        """Whether ``lr`` stands there, with any value: the element routes loosely (section 16.12)."""
        return "lr" in self._params

    @property
    def maddr(self) -> str | None:
        """The ``maddr`` parameter: the address to use instead of the host."""
        return self._params.get("maddr")

    @property
    def method(self) -> str | None:
        """The ``method`` parameter: the method of a request built from this URI."""
        return self._params.get("method")

    @property
    def is_phone(self) -> bool:
        """Whether ``user=phone`` says that the user is a telephone number."""
        value = self._params.get("user")
        return value is not None and ascii_lower(value) == "phone"

    @property
    def gr(self) -> str | None:
        """The ``gr`` parameter of a GRUU (RFC 5627): empty where it has no value, None where it does not stand."""
        return self._params["gr"] or "" if "gr" in self._params else None

    @property
    def ob(self) -> bool:
        """Whether ``ob`` stands there: the Contact is reached over the flow that it came by (RFC 5626 section 4.3)."""
        return "ob" in self._params

    @property
    def ttl(self) -> int | None:
        """The ``ttl`` parameter, 0 to 255; None without it or when it is no such number."""
        value = self._params.get("ttl")
        try:
            return None if value is None else parse_number(value, 255)
        except ValueError:
            return None

    def header(self, name: str) -> str | None:
        """The first header component called *name*, without regard to case, or None."""
        values = self.header_values(name)
        return values[0] if values else None

    def header_values(self, name: str) -> list[str]:
        """The values of every header component called *name*, in order, without regard to case."""
        wanted = ascii_lower(name)
        return [value for present, value in self._headers if ascii_lower(present) == wanted]

    def replace(
        self,
        *,
        scheme: str | _Keep = KEEP,
        user: str | _Keep | None = KEEP,
        password: str | _Keep | None = KEEP,
        host: str | _Keep = KEEP,
        port: int | _Keep | None = KEEP,
        params: Mapping[str, str | None] | _Keep | None = KEEP,
        headers: Iterable[tuple[str, str]] | _Keep = KEEP,
    ) -> SipUri:
        """A copy in which the parts that are given take the place of those here; None removes one.

        :raises ValueError: as the constructor.
        """
        return SipUri(
            self._scheme if isinstance(scheme, _Keep) else scheme,
            self._user if isinstance(user, _Keep) else user,
            self._host if isinstance(host, _Keep) else host,
            self._port if isinstance(port, _Keep) else port,
            self._params if isinstance(params, _Keep) else params,
            self._headers if isinstance(headers, _Keep) else headers,
            self._password if isinstance(password, _Keep) else password,
        )

    def without(self, *names: str) -> SipUri:
        """A copy without the parameters *names*; this URI itself where it has none of them."""
        kept = {name: value for name, value in self._params.items() if name not in names}
        return self if len(kept) == len(self._params) else self.replace(params=kept)

    def without_headers(self) -> SipUri:
        """A copy without header components; this URI itself where it has none."""
        return self.replace(headers=()) if self._headers else self

    def as_request_uri(self) -> SipUri:
        """What may stand in a Request-URI: no ``method`` parameter and no headers (section 19.1.1, table 1)."""
        return self.without_headers().without("method")

    def same_user(self, other: SipUri) -> bool:
        """Whether both name the same user at the same host and port, the user's case aside.

        Scheme, password, parameters and headers do not count. This is for policy and look-up; ``==`` is the RFC's
        comparison.
        """
        if self._host != other._host or self._port != other._port:
            return False
        if self._user is None or other._user is None:
            return self._user is other._user
        return ascii_lower(self._user) == ascii_lower(other._user)

    def to_tel(self) -> TelUri:
        """The ``tel:`` URI whose subscriber is this URI's user (section 19.1.6).

        :raises ValueError: when the user is no telephone number.
        """
        subscriber = _split(self._text)[0]
        if subscriber is None:
            raise ValueError(f"{self} has no user")
        number, semicolon, params = subscriber.partition(";")
        return parse_tel(f"tel:{USER.decode(number, False)}{semicolon}{params}")

    def _write(self) -> str:
        text = self._scheme + ":"
        if self._user is not None:
            text += USER.encode(self._user)
            if self._password is not None:
                text += ":" + PASSWORD.encode(self._password)
            text += "@"
        text += self.domain
        for name, value in self._params.items():
            text += ";" + PARAM.encode(name)
            if value is not None:
                text += "=" + PARAM.encode(value)
        separator = "?"
        for name, value in self._headers:
            text += f"{separator}{HEADER.encode(name)}={HEADER.encode(value)}"
            separator = "&"
        return text

    def _comparison(self) -> tuple[tuple[object, ...], dict[str, str]]:
        """What must be equal in any case, and the parameters that need only not contradict each other."""
        key = self._key
        if key is not None:
            return key
        user, password, _, _, raw_params, raw_headers = _split(normalise_escapes(self._text))
        params: dict[str, str] = {}
        for raw in raw_params:
            name, equals, value = raw.partition("=")
            params.setdefault(ascii_lower(name), ascii_lower(value) if equals else "")
        needed: list[object] = [self._scheme, user, password, self._host, self._port]
        needed += [params.pop(name, None) for name in _NEVER_ONE_SIDED]
        headers = []
        for raw in raw_headers:
            name, _, value = raw.partition("=")
            headers.append((ascii_lower(name), value))
        needed.append(tuple(sorted(headers)))
        key = self._key = (tuple(needed), params)
        return key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SipUri):
            return NotImplemented
        if self._text == other._text:
            return True
        needed, params = self._comparison()
        other_needed, other_params = other._comparison()
        if needed != other_needed:
            return False
        return all(other_params.get(name, value) == value for name, value in params.items())

    def __hash__(self) -> int:
        return hash(self._comparison()[0])

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<SipUri {self._text!r}>"


@final
class OpaqueUri:
    """A URI of a scheme that this package does not know: kept as text, so that a UAS can answer 416. Immutable.

    :ivar scheme: in small letters.
    :ivar text: the whole URI as it was written.
    """

    __slots__ = ("_scheme", "_text")

    def __init__(self, scheme: str, text: str) -> None:
        """
        :raises ValueError: when *text* is no URI of *scheme*.
        """
        match = _SCHEME.match(text)
        if match is None or match[1].lower() != scheme.lower() or _OPAQUE_REST.fullmatch(text, match.end()) is None:
            raise ValueError(f"{text[:64]!r} is not a URI of the scheme {scheme[:32]!r}")
        self._scheme = scheme.lower()
        self._text = text

    @property
    def scheme(self) -> str:
        """The scheme in small letters."""
        return self._scheme

    @property
    def text(self) -> str:
        """The whole URI as it was written."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, OpaqueUri):
            return NotImplemented
        length = len(self._scheme)
        return self._scheme == other._scheme and self._text[length:] == other._text[length:]

    def __hash__(self) -> int:
        return hash((self._scheme, self._text[len(self._scheme) :]))

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<OpaqueUri {self._text!r}>"


Uri: TypeAlias = SipUri | TelUri | OpaqueUri
"""Any URI that :func:`parse_uri` gives."""


def parse_uri(text: str, strict: bool = False) -> Uri:
    """Parse a URI as it stands in a start line or a header field.

    Leniently, a parameter given twice counts once, the first time; ``#`` and characters beyond ASCII may stand
    unescaped; an empty parameter value counts as none. Nothing else is forgiven: no white space, no control
    character, no second ``@``, no IPv6 address without brackets.

    :param strict: forgive none of that.
    :raises MalformedMessage: when *text* is no URI (400).
    """
    # A party has few peers, and their messages name the same few places: what was read is not read again.
    uri = _usual(text) if len(text) <= _LONGEST_REMEMBERED else _parse_usual(text)
    return _parse_any(text, strict) if uri is None else uri


def _parse_usual(text: str) -> SipUri | None:
    """A SIP URI that has nothing escaped and no headers; None for whatever else *text* is."""
    if (match := _USUAL_SIP.fullmatch(text)) is None:
        return None
    uri = SipUri.__new__(SipUri)
    uri._scheme, uri._user, host, port_text, params_text = match.groups()
    uri._host = host.lower()
    uri._port = port = None if port_text is None else int(port_text)
    if len(host) >= 64 or (port is not None and port >= 65536):
        return None
    uri._password = uri._key = None
    uri._headers, uri._params, uri._text = (), _NO_PARAMS, text
    if params_text:
        params: dict[str, str | None] = {}
        for raw in params_text.split(";")[1:]:
            name, equals, value = raw.partition("=")
            params[name.lower()] = value if equals else None
        if len(params) != params_text.count(";"):
            return None
        uri._params = MappingProxyType(params)
    return uri


_usual = functools.lru_cache(maxsize=512)(_parse_usual)


def _parse_any(text: str, strict: bool) -> Uri:
    """:func:`parse_uri` for every shape that the grammar knows."""
    match = _SCHEME.match(text)
    if match is None:
        raise MalformedMessage(f"not a URI, it has no scheme: {text[:64]!r}")
    scheme = match[1].lower()
    try:
        if scheme in ("sip", "sips"):
            try:
                return _parse_sip(scheme, text, True)
            except ValueError:
                if strict:
                    raise
                return _parse_sip(scheme, text, False)
        return parse_tel(text, strict) if scheme == "tel" else OpaqueUri(scheme, text)
    except ValueError as error:
        raise MalformedMessage(f"malformed URI: {error}") from None


def _split(text: str) -> tuple[str | None, str | None, str, str | None, list[str], list[str]]:
    """Cut a SIP URI at its delimiters: user, password, host, port, parameters, headers, all still escaped.

    :raises ValueError: when it cannot be cut.
    """
    rest = text.partition(":")[2]
    user: str | None = None
    password: str | None = None
    if "@" in rest:
        userinfo, _, rest = rest.partition("@")
        user, colon, after_colon = userinfo.partition(":")
        if colon:
            password = after_colon
    rest, question, headers_text = rest.partition("?")
    params = rest.split(";")
    match = _HOST_PORT.fullmatch(params[0])
    if match is None:
        raise ValueError(f"{params[0][:64]!r} is not a host with or without a port")
    return user, password, match[1], match[2], params[1:], headers_text.split("&") if question else []


def _parse_sip(scheme: str, text: str, strict: bool) -> SipUri:
    """A SIP URI of any shape.

    :raises ValueError: when *text* is none.
    """
    raw_user, raw_password, raw_host, port_text, raw_params, raw_headers = _split(text)
    if raw_user == "":
        raise ValueError("the user before the @ is empty")
    uri = SipUri.__new__(SipUri)
    uri._scheme = scheme
    uri._user = None if raw_user is None else USER.decode(raw_user, strict)
    uri._password = None if raw_password is None else PASSWORD.decode(raw_password, strict)
    uri._host = normalise_host(raw_host)
    uri._port = None if port_text is None else parse_port(port_text)
    params: dict[str, str | None] = {}
    for raw in raw_params:
        raw_name, equals, raw_value = raw.partition("=")
        name = ascii_lower(PARAM.decode(raw_name, strict))
        value = PARAM.decode(raw_value, strict) if equals else None
        if not name or (strict and (name in params or value == "")):
            raise ValueError(f"the parameter {raw[:64]!r} is empty, lacks its value or stands twice")
        params.setdefault(name, value or None)
    headers: list[tuple[str, str]] = []
    for raw in raw_headers:
        raw_name, equals, raw_value = raw.partition("=")
        if not raw_name or not equals:
            raise ValueError(f"{raw[:64]!r} is not a header of a URI")
        headers.append((HEADER.decode(raw_name, strict), HEADER.decode(raw_value, strict)))
    uri._params = MappingProxyType(params) if params else _NO_PARAMS
    uri._headers = tuple(headers)
    uri._key = None
    uri._text = text if strict and text.startswith(scheme) and ":::" not in text else uri._write()
    return uri
