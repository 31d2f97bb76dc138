"""``tel:`` URIs: telephone numbers (RFC 3966), and their way into a SIP URI (RFC 3261 section 19.1.6)."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from sip_p2p.sip.abnf import ascii_lower
from sip_p2p.sip.escaping import PARAM, USER_CHARS, escape_octets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.uri import SipUri

__all__ = ["TelUri", "parse_tel"]

_SEPARATORS = re.compile(r"[\-.()]")
_GLOBAL_NUMBER = re.compile(r"\+[0-9\-.()]+")
_LOCAL_NUMBER = re.compile(r"[0-9A-Fa-f*#\-.()]+")
_DIGIT = re.compile(r"[0-9A-Fa-f*#]")
_PARAM_NAME = re.compile(r"[A-Za-z0-9\-]+")
_NOT_OF_A_USER = re.compile(f"[^{USER_CHARS}%]+")
_FIRST_IN_TEL = ("isub", "ext", "phone-context")
_FIRST_IN_SIP = ("isub", "postd")

_NO_PARAMS: Final[Mapping[str, str | None]] = MappingProxyType({})


@final
class TelUri:
    """A ``tel:`` URI (RFC 3966). Immutable, hashable; equality ignores case and visual separators (section 4)."""

    __slots__ = ("_key", "_number", "_params", "_text")

    def __init__(self, number: str, params: Mapping[str, str | None] | None = None) -> None:
        """
        :param number: ``+`` and digits for a global number, else digits, ``*`` and ``#``; with or without ``-.()``
            between.
        :raises ValueError: when the parts make no ``tel:`` URI; a local number must have a ``phone-context``.
        """
        checked: dict[str, str | None] = {}
        for name, value in ({} if params is None else params).items():
            small = ascii_lower(name)
            if _PARAM_NAME.fullmatch(small) is None or value == "" or small in checked:
                raise ValueError(f"{name[:64]!r} cannot be the name of a tel parameter, or has an empty value")
            checked[small] = value
        _check_number(number, checked, True)
        self._number = number
        self._params: Mapping[str, str | None] = MappingProxyType(checked) if checked else _NO_PARAMS
        self._key: tuple[object, ...] | None = None
        self._text = "tel:" + self._subscriber(number, _FIRST_IN_TEL)

    @staticmethod
    def parse(text: str, strict: bool = False) -> TelUri:
        """The ``tel:`` URI that an application, a user or a configuration wrote.

        :param strict: refuse what the grammar does not allow: a local number without a ``phone-context`` above all.
        :raises ValueError: when *text* is none.
        """
        return parse_tel(text, strict)

    @property
    def scheme(self) -> str:
        """Always ``tel``."""
        return "tel"

    @property
    def number(self) -> str:
        """The number as it is written, visual separators included."""
        return self._number

    @property
    def digits(self) -> str:
        """The number without its visual separators."""
        return _SEPARATORS.sub("", self._number)

    @property
    def is_global(self) -> bool:
        """Whether the number is global: it starts with ``+``."""
        return self._number.startswith("+")

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small name to decoded value, None where it has none."""
        return self._params

    @property
    def phone_context(self) -> str | None:
        """Where a local number is valid: a domain, or the leading digits of a global number (RFC 3966, 5.1.5)."""
        return self._params.get("phone-context")

    def to_sip(self, domain: str, scheme: str = "sip") -> SipUri:
        """The SIP URI for the same subscriber at *domain*, with ``user=phone`` (RFC 3261 section 19.1.6).

        Case is folded and the parameters are put in order, so that equal ``tel:`` URIs give equal SIP URIs as far
        as they can.

        :param domain: a host, or ``host:port``.
        :raises ValueError: when *domain* is neither.
        """
        from sip_p2p.sip.uri import SipUri  # it imports this module

        target = SipUri.parse(f"{scheme}:{domain}")
        if target.user is not None or target.params or target.headers:
            raise ValueError(f"{domain[:64]!r} is not a host with or without a port")
        subscriber = ascii_lower(self._subscriber(self._number, _FIRST_IN_SIP))
        user = _NOT_OF_A_USER.sub(_escape, subscriber)
        return SipUri.parse(f"{scheme}:{user}@{target.domain};user=phone")

    def _subscriber(self, number: str, first: tuple[str, ...]) -> str:
        params = self._params
        text = number
        ordered = [name for name in first if name in params] + sorted(name for name in params if name not in first)
        for name in ordered:
            value = params[name]
            text += f";{name}" if value is None else f";{name}={PARAM.encode(value)}"
        return text

    def _comparison(self) -> tuple[object, ...]:
        key = self._key
        if key is None:
            params = []
            for name, value in self._params.items():
                small = "" if value is None else ascii_lower(value)
                if name in ("phone-context", "ext") and (small.startswith("+") or name == "ext"):
                    small = _SEPARATORS.sub("", small)
                params.append((name, small))
            key = self._key = (ascii_lower(self.digits), tuple(sorted(params)))
        return key

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TelUri):
            return NotImplemented
        return self._comparison() == other._comparison()

    def __hash__(self) -> int:
        return hash(self._comparison())

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"<TelUri {self._text!r}>"


def _escape(match: re.Match[str]) -> str:
    return escape_octets(match[0])


def parse_tel(text: str, strict: bool = False) -> TelUri:
    """Parse a ``tel:`` URI; :func:`~sip_p2p.sip.uri.parse_uri` is the way in for text from the wire.

    :raises ValueError: when *text* is none.
    """
    if ascii_lower(text[:4]) != "tel:":
        raise ValueError(f"{text[:64]!r} is no tel: URI")
    number, *raw_params = text[4:].split(";")
    params: dict[str, str | None] = {}
    for raw in raw_params:
        raw_name, equals, raw_value = raw.partition("=")
        name = ascii_lower(raw_name)
        value = PARAM.decode(raw_value, strict) if equals else None
        if _PARAM_NAME.fullmatch(name) is None or (strict and (name in params or value == "")):
            raise ValueError(f"the parameter {raw[:64]!r} is empty, lacks its value or stands twice")
        params.setdefault(name, value or None)
    _check_number(number, params, strict)
    uri = TelUri.__new__(TelUri)
    uri._number = number
    uri._params = MappingProxyType(params) if params else _NO_PARAMS
    uri._key = None
    uri._text = text
    return uri


def _check_number(number: str, params: Mapping[str, str | None], strict: bool) -> None:
    """Refuse what is no telephone number, and, strictly, a local one that does not say where it is valid.

    :raises ValueError: as said.
    """
    pattern = _GLOBAL_NUMBER if number.startswith("+") else _LOCAL_NUMBER
    if pattern.fullmatch(number) is None or _DIGIT.search(number) is None:
        raise ValueError(f"{number[:64]!r} is not a telephone number")
    if strict and number[0] != "+" and not params.get("phone-context"):
        raise ValueError(f"the local number {number[:64]!r} has no phone-context")
