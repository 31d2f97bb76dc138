"""The header fields that every message carries, parsed: Via, From, To, Contact and their like, CSeq (RFC 3261 section 20).

These are on the path of every message, so each parser has two ways that a test holds equal: one pattern for the shape that
nearly all traffic has, and a general one for the whole grammar with its blanks, quotes and escapes. The other fields are in
:mod:`~sip_p2p.sip.field_values`; URIs inside a name-addr are parsed when they are asked for.

Text arrives unfolded, so white space is SP and HTAB.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import QUOTED_STRING, TOKEN, TOKEN_CHARS, parse_number, quote, unquote
from sip_p2p.sip.host import IPV4, normalise_host, normalise_ipv6, parse_port
from sip_p2p.sip.params import check_param_name, format_params, parse_params
from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["CSeq", "NameAddr", "Via", "parse_cseq", "parse_name_addr", "parse_via", "split_values"]

_WORD_LABELS = "[A-Za-z][A-Za-z0-9]*(?:[.-][A-Za-z][A-Za-z0-9]*)*"
_USUAL_VIA = re.compile(
    rf"SIP/2\.0/(UDP|TCP|TLS|WSS|WS) ({IPV4.pattern}|{_WORD_LABELS})(?::([1-9][0-9]{{0,4}}))?"
    rf"(?:;rport)?;branch=([{TOKEN_CHARS}]+)(?:;alias)?"
)
_ANY_VIA = re.compile(
    rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.\-]+)[ \t]*(?::[ \t]*([0-9]+)[ \t]*)?"
)
_USUAL_NAME_ADDR = re.compile(
    rf'(?:"([^"\\\x00-\x08\x0a-\x1f\x7f]*)"[ \t]*)?<([^\x00-\x20\x7f<>"]+)>(?:;tag=([{TOKEN_CHARS}]+))?'
)
_ANGLE_URI = re.compile(r'[ \t]*<[ \t]*([^\x00-\x20\x7f<>"]+)[ \t]*>[ \t]*')
_BARE_URI = re.compile(r'[ \t]*([^\x00-\x20\x7f<>",;?]+)[ \t]*')
_DISPLAY_TOKENS = re.compile(rf"[ \t]*([{TOKEN_CHARS}()/&#\u0080-\U0010ffff][{TOKEN_CHARS}()/&#\u0080-\U0010ffff \t]*)(?=<)")
_USUAL_CSEQ = re.compile(rf"([0-9]{{1,10}}) ([{TOKEN_CHARS}]+)")
_ANY_CSEQ = re.compile(rf"[ \t]*([0-9]+)[ \t]+([{TOKEN_CHARS}]+)[ \t]*")
_STRUCTURE = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|<[^>]*>|[,"<]', re.DOTALL)
_LARGEST_CSEQ = 2**31 - 1

_NO_PARAMS: Mapping[str, str | None] = MappingProxyType({})


def split_values(value: str) -> list[str]:
    """The elements of a comma-separated field, each without the blanks around it (RFC 3261 section 7.3.1).

    Commas inside quotes or angle brackets separate nothing. An element may come out empty: whether that is allowed is for its
    parser to say. After a quote or bracket that is never closed the rest is one element.
    """
    if "," not in value:
        return [value.strip(" \t")]
    if '"' not in value and "<" not in value:
        return [element.strip(" \t") for element in value.split(",")]
    elements: list[str] = []
    start = position = 0
    while (found := _STRUCTURE.search(value, position)) is not None:
        position = found.end()
        what = found[0]
        if what == ",":
            elements.append(value[start : position - 1].strip(" \t"))
            start = position
        elif len(what) == 1:
            break
    elements.append(value[start:].strip(" \t"))
    return elements


@final
class Via:
    """One Via value (section 20.42).

    :ivar protocol: ``SIP/2.0``, or whatever else the sender claims.
    :ivar transport: the transport in capitals; unknown ones are legal.
    :ivar host: the sent-by host: small letters, IPv6 without brackets.
    :ivar port: the sent-by port, or None where it names none.
    :ivar branch: the transaction's identifier, or None with an RFC 2543 sender.
    """

    __slots__ = ("_params", "_quoted", "_tail", "branch", "host", "port", "protocol", "transport")

    def __init__(
        self,
        transport: str,
        host: str,
        port: int | None = None,
        params: Mapping[str, str | None] | None = None,
        protocol: str = "SIP/2.0",
    ) -> None:
        """
        :param host: as a URI writes it, IPv6 in brackets; brackets may be left out.
        :raises ValueError: when a part is not what the grammar allows.
        """
        if TOKEN.fullmatch(transport) is None:
            raise ValueError(f"{transport[:64]!r} is not a transport")
        if port is not None and not 0 <= port <= 65535:
            raise ValueError(f"{port} is not a port")
        self.protocol = protocol
        self.transport = transport.upper()
        self.host = normalise_ipv6(host) if host.count(":") > 1 and host[0] != "[" else normalise_host(host)
        self.port = port
        checked = {} if params is None else {check_param_name(name): value for name, value in params.items()}
        self._params: dict[str, str | None] | None = checked
        self._quoted: frozenset[str] = frozenset()
        self._tail = ""
        self.branch = checked.get("branch")
        _check_via_params(checked)
        written = str(self)
        if parse_via(written) != self:
            raise ValueError(f"these parts make no Via: {written[:128]!r}")

    @staticmethod
    def _adopt(protocol: str, transport: str, host: str, port: int | None, branch: str | None) -> Via:
        via = Via.__new__(Via)
        via.protocol = protocol
        via.transport = transport
        via.host = host
        via.port = port
        via.branch = branch
        return via

    def _parsed_params(self) -> dict[str, str | None]:
        params = self._params
        if params is None:
            params = self._params = parse_params(self._tail, 0, "Via")
        return params

    @property
    def params(self) -> Mapping[str, str | None]:
        """Every parameter: small name to decoded value, None where it has none."""
        return MappingProxyType(self._parsed_params())

    @property
    def received(self) -> str | None:
        """The address that the next hop saw, IPv6 without brackets however it was written (RFC 5118 section 4.5)."""
        value = self._parsed_params().get("received")
        return value[1:-1] if value is not None and value[:1] == "[" else value

    @property
    def asks_rport(self) -> bool:
        """Whether ``rport`` stands there, with a value or without (RFC 3581)."""
        return "rport" in self._parsed_params()

    @property
    def rport(self) -> int | None:
        """The source port that the next hop saw; None without the parameter and while it has no value (RFC 3581)."""
        value = self._parsed_params().get("rport")
        return None if value is None else int(value)

    @property
    def ttl(self) -> int | None:
        """The time to live of a multicast request."""
        value = self._parsed_params().get("ttl")
        return None if value is None else int(value)

    @property
    def maddr(self) -> str | None:
        """Where responses to a multicast request go, IPv6 without brackets."""
        value = self._parsed_params().get("maddr")
        return value[1:-1] if value is not None and value[:1] == "[" else value

    @property
    def sent_by(self) -> str:
        """``host`` or ``host:port`` in one spelling, to compare and to look up by: small letters, IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def with_source(self, host: str, port: int | None = None) -> Via:
        """A copy that says where its request came from: ``received`` and, with *port*, ``rport`` (RFC 3581 section 4)."""
        params = dict(self._parsed_params())
        params["received"] = host.strip("[]")
        if port is not None:
            params["rport"] = str(port)
        via = Via._adopt(self.protocol, self.transport, self.host, self.port, self.branch)
        via._params = params
        via._quoted = self._quoted
        via._tail = ""
        return via

    def __str__(self) -> str:
        return f"{self.protocol}/{self.transport} {self.sent_by}{format_params(self._parsed_params(), self._quoted)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Via):
            return NotImplemented
        return (
            self.protocol == other.protocol
            and self.transport == other.transport
            and self.host == other.host
            and self.port == other.port
            and self._parsed_params() == other._parsed_params()
        )

    def __hash__(self) -> int:
        return hash((self.host, self.port, self.branch))

    def __repr__(self) -> str:
        return f"<Via {str(self)!r}>"


def _check_via_params(params: dict[str, str | None]) -> None:
    """Refuse values that no Via may carry.

    :raises ValueError: naming the parameter.
    """
    if "branch" in params and not params["branch"]:
        raise ValueError("the branch is empty")
    for name, largest in (("rport", 65535), ("ttl", 255)):
        number = params.get(name)
        if number is not None:
            params[name] = str(parse_number(number, largest))
    for name in ("received", "maddr"):
        host = params.get(name)
        if host is not None:
            params[name] = normalise_ipv6(host) if host.count(":") > 1 and host[0] != "[" else normalise_host(host)


def parse_via(text: str) -> Via:
    """Parse one Via value.

    :raises MalformedMessage: when it is none (400).
    """
    match = _USUAL_VIA.fullmatch(text)
    if match is not None:
        transport, host, port_text, branch = match.groups()
        port = None if port_text is None else int(port_text)
        if len(host) < 64 and (port is None or port < 65536):
            via = Via.__new__(Via)
            via.protocol = "SIP/2.0"
            via.transport = transport
            via.host = host.lower()
            via.port = port
            via.branch = branch
            via._params = None
            via._quoted = _NONE_QUOTED
            via._tail = text[text.index(";") :]
            return via
    return _parse_any_via(text)


_NONE_QUOTED: frozenset[str] = frozenset()


def _parse_any_via(text: str) -> Via:
    """:func:`parse_via` for every shape that the grammar knows."""
    match = _ANY_VIA.match(text)
    if match is None:
        raise MalformedMessage(f"Via: not a protocol and a host: {text[:64]!r}")
    name, version, transport, host, port_text = match.groups()
    quoted: set[str] = set()
    params = parse_params(text, match.end(), "Via", quoted)
    try:
        port = None if port_text is None else parse_port(port_text)
        via = Via._adopt(f"{name}/{version}", transport.upper(), normalise_host(host), port, params.get("branch"))
        _check_via_params(params)
    except ValueError as error:
        raise MalformedMessage(f"Via: {error}") from None
    via._params = params
    via._quoted = frozenset(quoted) if quoted else _NONE_QUOTED
    via._tail = ""
    return via


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
        checked = {} if params is None else {check_param_name(name): value for name, value in params.items()}
        self._params: dict[str, str | None] | None = checked
        self._quoted: frozenset[str] = frozenset(name.lower() for name in quoted)
        self.tag = checked.get("tag")
        format_name_addr = str(self)
        if "\r" in format_name_addr or "\n" in format_name_addr:
            raise ValueError(f"CR or LF in an address: {format_name_addr[:128]!r}")

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

    def with_params(self, params: Mapping[str, str | None]) -> NameAddr:
        """The same address with other header parameters.

        :raises ValueError: when a name is not a token or a value cannot be written.
        """
        return NameAddr(self.uri if self._uri is not None else self.uri_text, self.display_name, params, self._quoted)

    def with_tag(self, tag: str) -> NameAddr:
        """The same address with *tag* for its tag."""
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
    value._quoted = _NONE_QUOTED
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
    if "tag" in params and not params["tag"]:
        raise MalformedMessage(f"{field_name}: the tag is empty")
    value = NameAddr.__new__(NameAddr)
    value.display_name = display_name
    value.uri_text = match[1]
    value.tag = params.get("tag")
    value._uri = None
    value._params = params
    value._quoted = frozenset(quoted) if quoted else _NONE_QUOTED
    return value


@final
class CSeq:
    """A CSeq (section 20.16).

    :ivar number: the sequence number, below 2**31 (section 8.1.1.5).
    :ivar method: the method, as written.
    """

    __slots__ = ("method", "number")

    def __init__(self, number: int, method: str) -> None:
        """
        :raises ValueError: when *number* is negative or 2**31 or more, or *method* is not a token.
        """
        if not 0 <= number <= _LARGEST_CSEQ:
            raise ValueError(f"the sequence number {number} is not between 0 and 2**31 - 1")
        if TOKEN.fullmatch(method) is None:
            raise ValueError(f"{method[:64]!r} is not a method")
        self.number = number
        self.method = method

    def __str__(self) -> str:
        return f"{self.number} {self.method}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CSeq):
            return NotImplemented
        return self.number == other.number and self.method == other.method

    def __hash__(self) -> int:
        return hash((self.number, self.method))

    def __repr__(self) -> str:
        return f"<CSeq {self}>"


def parse_cseq(text: str) -> CSeq:
    """Parse a CSeq value.

    :raises MalformedMessage: when it is not a number below 2**31 and a method (400).
    """
    match = _USUAL_CSEQ.fullmatch(text)
    if match is None:
        match = _ANY_CSEQ.fullmatch(text)
        if match is None:
            raise MalformedMessage(f"CSeq: not a number and a method: {text[:64]!r}")
    try:
        number = parse_number(match[1], _LARGEST_CSEQ)
    except ValueError as error:
        raise MalformedMessage(f"CSeq: {error}") from None
    cseq = CSeq.__new__(CSeq)
    cseq.number = number
    cseq.method = match[2]
    return cseq
