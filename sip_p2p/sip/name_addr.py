"""Addresses in header fields: a URI with a display name and parameters (RFC 3261 sections 20.10, 20.20, 20.31, 25.1).

From, To, Contact, Route, Record-Route, Refer-To, Reply-To, P-Asserted-Identity and more have this shape. Two ways
of parsing, one for the usual shape and one for the whole grammar, are held equal by a test. The URI inside is
parsed when it is asked for.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import Q_VALUE, QUOTED_STRING, TOKEN_CHARS, check_quotable, parse_number, quote, unquote
from sip_p2p.sip.params import NONE_QUOTED, PLAIN_VALUE, check_params, format_params, parse_params
from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["NameAddr", "parse_name_addr"]

_LOOSE_TOKEN_CHARS = TOKEN_CHARS + "()/&#\u0080-\U0010ffff"
_USUAL_NAME_ADDR = re.compile(
    rf'(?:"([^"\\\x00-\x08\x0a-\x1f\x7f]*)"[ \t]*)?<([^\x00-\x20\x7f<>"]+)>(?:;tag=([{TOKEN_CHARS}]+))?'
)
_ANGLE_URI = re.compile(r'[ \t]*<[ \t]*([^\x00-\x20\x7f<>"]+)[ \t]*>[ \t]*')
_BARE_URI = re.compile(r'[ \t]*([A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20\x7f<>",;?]+)[ \t]*')
_DISPLAY_TOKENS = re.compile(rf"[ \t]*([{_LOOSE_TOKEN_CHARS}][{_LOOSE_TOKEN_CHARS} \t]*)(?=<)")


@final
class NameAddr:
    """A ``name-addr`` or ``addr-spec`` with its parameters: From, To, Contact, Route, Refer-To, ... (section 20.10).

    :ivar display_name: the display name, unquoted and with its quoted-pairs undone; empty where there is none.
    :ivar uri_text: the URI as it was written; :attr:`uri` parses it.
    :ivar tag: the ``tag`` parameter, or None.
    """

    __slots__ = ("_params", "_quoted", "_uri", "display_name", "tag", "uri_text")

    def __init__(
        self,
        uri: SipUri | TelUri | OpaqueUri | str,
        display_name: str | None = None,
        params: Mapping[str, str | None] | None = None,
        quoted: Iterable[str] = (),
    ) -> None:
        """
        :param quoted: the names of parameters whose value is to stand in quotes even if it could do without.
        :raises ValueError: when *uri* is no URI, or a part holds what cannot be written, CR and LF above all.
        """
        if isinstance(uri, str):
            try:
                self._uri: SipUri | TelUri | OpaqueUri | None = parse_uri(uri)
            except MalformedMessage as error:
                raise ValueError(str(error)) from None
        else:
            self._uri = uri
        self.uri_text = str(uri)
        self.display_name = "" if display_name is None else display_name
        checked = check_params(params)
        self._params: dict[str, str | None] | None = checked
        self._quoted: frozenset[str] = frozenset(name.lower() for name in quoted)
        self.tag = checked.get("tag")
        _check_tag(checked)
        check_quotable(self.display_name)

    @property
    def uri(self) -> SipUri | TelUri | OpaqueUri:
        """The URI, parsed when first asked for.

        :raises MalformedMessage: when it is none (400).
        """
        uri = self._uri
        if uri is None:
            uri = self._uri = parse_uri(self.uri_text)
        return uri

    def _parsed_params(self) -> dict[str, str | None]:
        params = self._params
        if params is None:
            params = self._params = {} if self.tag is None else {"tag": self.tag}
        return params

    @property
    def params(self) -> Mapping[str, str | None]:
        """The header parameters: small name to decoded value, None where it has none."""
        return MappingProxyType(self._parsed_params())

    @property
    def q(self) -> float | None:
        """The preference that a Contact gives itself, 0 to 1; None without one, or where ``q`` is no such number."""
        value = self._parsed_params().get("q")
        return None if value is None or Q_VALUE.fullmatch(value) is None else float(value)

    @property
    def expires(self) -> int | None:
        """The seconds that a Contact is good for; None without them, or where they are no number below 2**32.

        Section 10.3 asks a registrar to take what it cannot read for its default, not for an error.
        """
        value = self._parsed_params().get("expires")
        try:
            return None if value is None else parse_number(value, 2**32 - 1)
        except ValueError:
            return None

    def with_params(self, params: Mapping[str, str | None]) -> NameAddr:
        """The same address with other header parameters.

        :raises ValueError: when a name is not a token or a value cannot be written.
        """
        checked = check_params(params)
        _check_tag(checked)
        value = NameAddr.__new__(NameAddr)
        value.display_name = self.display_name
        value.uri_text = self.uri_text
        value.tag = checked.get("tag")
        value._uri = self._uri
        value._params = checked
        value._quoted = self._quoted
        return value

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with *tag* for its tag.

        :raises ValueError: when *tag* is no token.
        """
        params = dict(self._parsed_params())
        params["tag"] = tag
        return self.with_params(params)

    def __str__(self) -> str:
        display = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{display}<{self.uri_text}>{format_params(self._parsed_params(), self._quoted)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NameAddr):
            return NotImplemented
        return (
            self.uri_text == other.uri_text
            and self.display_name == other.display_name
            and self._parsed_params() == other._parsed_params()
        )

    def __hash__(self) -> int:
        return hash((self.uri_text, self.display_name, self.tag))

    def __repr__(self) -> str:
        return f"<NameAddr {str(self)!r}>"


def _check_tag(params: dict[str, str | None]) -> None:
    """Refuse a tag that is no bare value.

    :raises ValueError: as said.
    """
    if "tag" in params:
        tag = params["tag"]
        if tag is None or PLAIN_VALUE.fullmatch(tag) is None:
            raise ValueError(f"not a tag: {(tag or '')[:64]!r}")


def parse_name_addr(text: str, field_name: str) -> NameAddr:
    """Parse one value of From, To, Contact, Route and the like; *field_name* goes into the error.

    Without angle brackets everything after the first semicolon is a parameter of the field, and a ``?`` or a comma is
    refused (section 20.10). Blanks inside the brackets are tolerated at both ends.

    :raises MalformedMessage: when it is none (400). The URI itself is not looked at until :attr:`NameAddr.uri` is.
    """
    match = _USUAL_NAME_ADDR.fullmatch(text)
    if match is None:
        return _parse_any_name_addr(text, field_name)
    display_name, uri_text, tag = match.groups("")
    value = NameAddr.__new__(NameAddr)
    value.display_name = display_name
    value.uri_text = uri_text
    value.tag = tag or None
    value._uri = None
    value._params = None
    value._quoted = NONE_QUOTED
    return value


def _parse_any_name_addr(text: str, field_name: str) -> NameAddr:
    """:func:`parse_name_addr` for every shape that the grammar knows."""
    start = 0
    display_name = ""
    stripped = text.lstrip(" \t")
    in_brackets = stripped.startswith("<")
    if stripped.startswith('"'):
        start = len(text) - len(stripped)
        match = QUOTED_STRING.match(text, start)
        if match is None:
            raise MalformedMessage(f"{field_name}: the quoted display name does not end: {text[:64]!r}")
        display_name = unquote(match[1])
        start = match.end()
        in_brackets = True
    elif not in_brackets and (match := _DISPLAY_TOKENS.match(text)) is not None:
        display_name = match[1].rstrip(" \t")
        start = match.end()
        in_brackets = True
    match = (_ANGLE_URI if in_brackets else _BARE_URI).match(text, start)
    if match is None:
        raise MalformedMessage(f"{field_name}: not an address: {text[:64]!r}")
    quoted: set[str] = set()
    params = parse_params(text, match.end(), field_name, quoted)
    try:
        _check_tag(params)
    except ValueError as error:
        raise MalformedMessage(f"{field_name}: {error}") from None
    value = NameAddr.__new__(NameAddr)
    value.display_name = display_name
    value.uri_text = match[1]
    value.tag = params.get("tag")
    value._uri = None
    value._params = params
    value._quoted = frozenset(quoted) if quoted else NONE_QUOTED
    return value
