"""Via: the way that a request came and its response goes back (RFC 3261 section 20.42, RFC 3581, RFC 5118).

The parser is on the path of every message, so it has two ways that a test holds equal: one pattern for the shape
that nearly all traffic has, and a general one for the whole grammar with its blanks and quotes. Text arrives
unfolded: white space is SP and HTAB.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, TOKEN_CHARS, parse_number
from sip_p2p.sip.host import IPV4, bracketed, normalise_any_host, normalise_host, parse_port
from sip_p2p.sip.params import NONE_QUOTED, PLAIN_VALUE, check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Via", "parse_via"]

_PROTOCOL = re.compile(f"[{TOKEN_CHARS}]+/[{TOKEN_CHARS}]+")
_PORT = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_USUAL_VIA = re.compile(
    rf"SIP/2\.0/([A-Z]++) ({IPV4.pattern}|(?:[A-Za-z0-9]++[.-])*[A-Za-z]++)(?::({_PORT}))?"
    rf"(;rport(?:={_PORT})?)?;branch=([{TOKEN_CHARS}]++)(;[^ ]*)?"
)
_USUAL_REST = re.compile(rf"(?:;alias)?(?:;rport(?:={_PORT})?)?(?:;alias)?(?:;received={IPV4.pattern})?")
_USUAL_REST_AFTER_RPORT = re.compile(rf"(?:;alias)?(?:;received={IPV4.pattern})?")
_ANY_VIA = re.compile(
    rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.\-]+)[ \t]*(?::[ \t]*([0-9]+)[ \t]*)?"
)


@final
class Via:
    """One Via value (section 20.42).

    :ivar protocol: ``SIP/2.0``, or whatever else the sender claims.
    :ivar transport: the transport in capitals; unknown ones are legal.
    :ivar host: the sent-by host: small letters, IPv6 without brackets.
    :ivar port: the sent-by port, or None where it names none.
    :ivar branch: the transaction's identifier, or None with an RFC 2543 sender.
    """

    __slots__ = ("_params", "_quoted", "_text", "branch", "host", "port", "protocol", "transport")

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
        if _PROTOCOL.fullmatch(protocol) is None:
            raise ValueError(f"{protocol[:64]!r} is not a protocol and its version")
        self.protocol = protocol
        self.transport = transport.upper()
        self.host = normalise_any_host(host)
        self.port = port
        checked = check_params(params)
        _normalise_params(checked)
        self._params: dict[str, str | None] | None = checked
        self._quoted = NONE_QUOTED
        self._text = ""
        self.branch = checked.get("branch")

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
            params = self._params = parse_params(self._text, self._text.index(";"), "Via")
        return params

    @property
    def params(self) -> Mapping[str, str | None]:
        """Every parameter: small name to decoded value, None where it has none."""
        return MappingProxyType(self._parsed_params())

    @property
    def received(self) -> str | None:
        """The address that the next hop saw, IPv6 without brackets however it was written (RFC 5118 section 4.5)."""
        return self._parsed_params().get("received")

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
        return self._parsed_params().get("maddr")

    @property
    def sent_by(self) -> str:
        """``host`` or ``host:port`` in one spelling, to compare and to look up by: small letters, IPv6 in brackets."""
        host = bracketed(self.host)
        return host if self.port is None else f"{host}:{self.port}"

    def with_source(self, host: str, port: int | None = None) -> Via:
        """A copy that says whence its request came: ``received`` and, with *port*, ``rport`` (RFC 3581 section 4)."""
        params = dict(self._parsed_params())
        params["received"] = normalise_any_host(host)
        if port is not None:
            params["rport"] = str(port)
        via = Via._adopt(self.protocol, self.transport, self.host, self.port, self.branch)
        via._params = params
        via._quoted = self._quoted
        via._text = ""
        return via

    def stands_alone_in(self, value: str) -> bool:
        """Whether *value* is the text of this Via alone, and in the usual shape: names in small letters, nothing in
        quotes."""
        return self._text == value

    def read_again(self, text: str) -> None:
        """Take the parameters from *text*: this Via in its usual shape, with the source of the request written into it.

        For :mod:`~sip_p2p.sip.source` only, on the path of every request; everybody else takes :meth:`with_source`.
        """
        self._text = text
        self._params = None

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


def _normalise_params(params: dict[str, str | None]) -> None:
    """Bring the values that mean something to us into their one spelling.

    :raises ValueError: naming the parameter whose value no Via may have.
    """
    if "branch" in params:
        branch = params["branch"]
        if branch is None or PLAIN_VALUE.fullmatch(branch) is None:
            raise ValueError(f"not a branch: {(branch or '')[:64]!r}")
    for name, largest in (("rport", 65535), ("ttl", 255)):
        number = params.get(name)
        if number is not None:
            params[name] = str(parse_number(number, largest))
    for name in ("received", "maddr"):
        host = params.get(name)
        if host is not None:
            params[name] = normalise_any_host(host)


def parse_via(text: str) -> Via:
    """Parse one Via value.

    :raises MalformedMessage: when it is none (400).
    """
    match = _USUAL_VIA.fullmatch(text)
    if match is None:
        return _parse_any_via(text)
    transport, host, port, rport, branch, rest = match.groups()
    if len(host) > 63 or (
        rest is not None and (_USUAL_REST if rport is None else _USUAL_REST_AFTER_RPORT).fullmatch(rest) is None
    ):
        return _parse_any_via(text)
    via = Via.__new__(Via)
    via.protocol = "SIP/2.0"
    via.transport = transport
    via.host = host.lower()
    via.port = None if port is None else int(port)
    via.branch = branch
    via._params = None
    via._quoted = NONE_QUOTED
    via._text = text
    return via


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
        _normalise_params(params)
    except ValueError as error:
        raise MalformedMessage(f"Via: {error}") from None
    via._params = params
    via._quoted = frozenset(quoted) if quoted else NONE_QUOTED
    via._text = ""
    return via
