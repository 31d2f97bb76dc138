"""Octets to messages (RFC 3261 sections 7 and 25, RFC 4475), and the one rule about how long a body is.

The head is decoded once, as UTF-8 with ``surrogateescape``, so that no octet is lost; only CRLF ends a line. Structure
is decided here: start line, field names, folding, bounds, Content-Length. What a field's value means is decided when it
is read.

:func:`declared_length` is the only place that reads Content-Length. The stream framer and the datagram parser both ask
it, so the two can never disagree about where a message ends.
"""

from __future__ import annotations

import re
from typing import final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import QUOTED_STRING, TOKEN, ascii_lower
from sip_p2p.sip.fields import split_values
from sip_p2p.sip.headers import KNOWN_NAMES, Headers, canonical_name
from sip_p2p.sip.limits import MessageLimits
from sip_p2p.sip.message import Message, Request, Response, has_unescaped_nul

__all__ = ["Unparsable", "declared_length", "parse_datagram", "parse_head", "parse_message", "salvage"]

_DEFAULT_LIMITS = MessageLimits()

_VERSION = re.compile(r"[Ss][Ii][Pp]/[0-9]{1,8}\.[0-9]{1,8}")
_URI_TEXT = re.compile(r"[^\x00-\x20\x7f<>\"]+")

_COMMON_METHODS = frozenset(
    "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
)

_WITH_PARAMS = frozenset(
    """
    Accept Accept-Encoding Accept-Language Alert-Info Call-Info Contact Content-Disposition Content-Type Error-Info
    Event From History-Info P-Asserted-Identity P-Preferred-Identity Path Reason Record-Route Refer-To Referred-By
    Replaces Reply-To Retry-After Route Security-Client Security-Server Security-Verify Service-Route Session-Expires
    Subscription-State To Via
    """.split()
)
"""Fields whose values have parameters: in any other a semicolon is a character like others."""


@final
class Unparsable:
    """Octets that are not a message, and what can be saved of them to answer with.

    :ivar error: what is wrong; its status is the one to answer with.
    :ivar headers: the header fields that could be read.
    :ivar method: the method, where the start line has one; None for a response and for what is no SIP at all.
    :ivar loses_framing: whether nothing that follows on the same stream can be trusted any more.
    """

    __slots__ = ("error", "headers", "loses_framing", "method")

    def __init__(self, error: MalformedMessage, headers: Headers, method: str | None, loses_framing: bool) -> None:
        self.error = error
        self.headers = headers
        self.method = method
        self.loses_framing = loses_framing


def declared_length(headers: Headers, limits: MessageLimits = _DEFAULT_LIMITS) -> int | None:
    """How many octets of body the header section announces; None where it says nothing.

    :raises MalformedMessage: 400 when Content-Length is not a plain decimal number or stands more than once (RFC 4475
        sections 3.1.2.3 and 3.3.9), 413 when it is beyond ``limits.body``.
    """
    names, values = headers.parallel_lists()
    if "Content-Length" not in names:
        return None
    if names.count("Content-Length") > 1:
        raise MalformedMessage("Content-Length stands more than once")
    text = values[names.index("Content-Length")]
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise MalformedMessage("Content-Length is not a decimal number of at most ten digits")
    length = int(text)
    if length > limits.body:
        raise MalformedMessage(f"a body of {length} octets is over the limit of {limits.body}", 413)
    return length


def parse_message(data: bytes, limits: MessageLimits = _DEFAULT_LIMITS) -> Request | Response:
    """Parse one message that came as a unit, such as a datagram (RFC 3261 section 18.3).

    Without Content-Length the body is all that follows the header section; octets beyond Content-Length are dropped.

    :raises MalformedMessage: with the status to answer; 400 also when the body is shorter than announced.
    """
    if len(data) > limits.message:
        raise MalformedMessage(f"a message of {len(data)} octets is over the limit of {limits.message}", 513)
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        raise MalformedMessage("the header section has no end")
    if end - start > limits.head:
        raise MalformedMessage(f"a header section of {end - start} octets is over the limit of {limits.head}", 513)
    message = parse_head(data[start:end].decode("utf-8", "surrogateescape"), limits)
    body = data[end + 4 :]
    length = declared_length(message.headers, limits)
    if length is None:
        if len(body) > limits.body:
            raise MalformedMessage(f"a body of {len(body)} octets is over the limit of {limits.body}", 413)
    elif length > len(body):
        raise MalformedMessage(f"Content-Length is {length} and only {len(body)} octets follow")
    elif length < len(body):
        body = body[:length]
    message.body = body
    return message


def parse_datagram(data: bytes, limits: MessageLimits = _DEFAULT_LIMITS) -> Request | Response | Unparsable:
    """:func:`parse_message` for a receiver that wants to answer what it cannot parse: the error comes as a value."""
    try:
        return parse_message(data, limits)
    except MalformedMessage as error:
        return salvage(data[: limits.head], error, loses_framing=False)


def parse_head(head: str, limits: MessageLimits = _DEFAULT_LIMITS) -> Request | Response:
    """Parse a start line and header section, without the empty line that ends it, into a message with no body yet.

    :raises MalformedMessage: with the status to answer and, where it is known, the offset of the fault.
    """
    lines = head.split("\r\n")
    ends = len(lines) - 1
    if head.count("\n") != ends or head.count("\r") != ends:
        raise _bare_line_end(head)
    if "\0" in head and has_unescaped_nul(head):
        raise MalformedMessage("NUL in the header section", 400, head.index("\0"))
    if ends > limits.fields:
        raise MalformedMessage(f"{ends} header fields are over the limit of {limits.fields}")
    if "\r\n " in head or "\r\n\t" in head:
        lines = _unfold(lines)
    if len(head) > limits.line:
        _check_lines(lines, limits)
    message = _start(lines[0])
    names, values = message.headers.parallel_lists()
    known = KNOWN_NAMES
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        canonical = known.get(name)
        if canonical is None or not colon:
            canonical = _field_name(name, colon, line, head)
        names.append(canonical)
        values.append(value.strip(" \t"))
    if head.count(";") > limits.params:
        _check_params(lines[0], names, values, limits.params)
    if ends > limits.vias and names.count("Via") > limits.vias:
        raise MalformedMessage(f"{names.count('Via')} Via fields are over the limit of {limits.vias}")
    if ends > limits.routes and names.count("Route") > limits.routes:
        raise MalformedMessage(f"{names.count('Route')} Route fields are over the limit of {limits.routes}")
    return message


def _start(line: str) -> Request | Response:
    """The message that a start line opens, with nothing in it yet (section 7.1, 7.2)."""
    if line.startswith("SIP/") or ascii_lower(line[:4]) == "sip/":
        version, _, rest = line.partition(" ")
        status, space, reason = rest.partition(" ")
        # 7.1: the case of the version does not matter.
        if version[4:] == "2.0" and len(status) == 3 and status.isascii() and status.isdigit() and space:
            code = int(status)
            if 100 <= code <= 699:
                return Response.adopt(code, reason, Headers.adopt([], []), b"")
        raise MalformedMessage(f"not a Status-Line of SIP/2.0: {line[:64]!r}", 400, 0)
    method, space, rest = line.partition(" ")
    uri, second, version = rest.partition(" ")
    if not second:
        raise MalformedMessage(f"the Request-Line is not method, Request-URI and SIP-Version: {line[:64]!r}", 400, 0)
    if method not in _COMMON_METHODS and TOKEN.fullmatch(method) is None:
        raise MalformedMessage(f"the method is not a token: {method[:64]!r}", 400, 0)
    if version != "SIP/2.0":
        _check_version(version, line)
    if _URI_TEXT.fullmatch(uri) is None:
        raise MalformedMessage(f"not a Request-URI: {uri[:64]!r}", 400, len(method) + 1)
    return Request.adopt(method, uri, Headers.adopt([], []), b"")


def _check_version(version: str, line: str) -> None:
    """Accept ``SIP/2.0`` in any case; tell another version of SIP from what is no version at all (section 7.1)."""
    if version.upper() == "SIP/2.0" and version.isascii():
        return
    if _VERSION.fullmatch(version) is not None:
        raise MalformedMessage(f"this is SIP/2.0, not {version}", 505, 0)
    raise MalformedMessage(f"the Request-Line does not end in one space and SIP/2.0: {line[-64:]!r}", 400, 0)


def _field_name(name: str, colon: str, line: str, head: str) -> str:
    """The canonical name of a field in a spelling that the table lacks; blanks may stand before the colon (7.3.1)."""
    if not colon:
        raise MalformedMessage(f"a header line has no colon: {line[:64]!r}", 400, head.find(line))
    try:
        return canonical_name(name.rstrip(" \t"))
    except ValueError:
        raise MalformedMessage(f"not a header field name: {name[:64]!r}", 400, head.find(line)) from None


def _unfold(lines: list[str]) -> list[str]:
    """Join continuation lines to the field that they continue, each fold to one space (section 7.3.1)."""
    unfolded: list[str] = []
    parts: list[str] = []
    for line in lines:
        if line[:1] == " " or line[:1] == "\t":
            if not unfolded and len(parts) <= 1:
                # A blank at the very beginning included: the stream framer has no other opinion.
                raise MalformedMessage("the start line is folded", 400, len(parts[0]) if parts else 0)
            parts.append(line.strip(" \t"))
        else:
            if parts:
                unfolded.append(" ".join(parts))
            parts = [line]
    unfolded.append(" ".join(parts))
    return unfolded


def _check_lines(lines: list[str], limits: MessageLimits) -> None:
    """Refuse a field, or a start line, that is over the limit; only heads longer than that limit come here."""
    if len(lines[0]) > limits.line:
        raise MalformedMessage(f"a start line of {len(lines[0])} characters is over the limit of {limits.line}", 414, 0)
    for line in lines:
        if len(line) > limits.line:
            raise MalformedMessage(f"a header field of {len(line)} characters is over the limit of {limits.line}")


def _check_params(start_line: str, names: list[str], values: list[str], limit: int) -> None:
    """Refuse a value with more parameters than the limit; only heads with more semicolons than that come here."""
    if start_line.count(";") > limit:
        raise MalformedMessage(f"the Request-URI has more than {limit} parameters", 400, 0)
    for name, value in zip(names, values, strict=True):
        if name in _WITH_PARAMS and value.count(";") > limit:
            for element in split_values(value):
                count = QUOTED_STRING.sub("", element).count(";")
                if count > limit:
                    raise MalformedMessage(f"{name}: {count} parameters are over the limit of {limit}")


def _bare_line_end(head: str) -> MalformedMessage:
    """Say where a CR or LF stands alone."""
    for offset, character in enumerate(head):
        if character == "\n" and (offset == 0 or head[offset - 1] != "\r"):
            return MalformedMessage("a bare LF in the header section", 400, offset)
        if character == "\r" and head[offset + 1 : offset + 2] != "\n":
            return MalformedMessage("a bare CR in the header section", 400, offset)
    return MalformedMessage("a bare CR or LF in the header section")


def salvage(data: bytes, error: MalformedMessage, *, loses_framing: bool) -> Unparsable:
    """Read of a broken head what a response to it needs: the fields that are whole, and the method if there is one.

    A line that is no field is passed over, and so is every value that could not stand in a message of ours. Of what is
    not a request of any version of SIP nothing is saved: it is not to be answered.
    """
    end = data.find(b"\r\n\r\n")
    head = (data if end < 0 else data[:end]).decode("utf-8", "surrogateescape").lstrip("\r\n")
    lines = head.split("\r\n", 256)
    method: str | None = lines[0].partition(" ")[0]
    if method is None or TOKEN.fullmatch(method) is None or " SIP/" not in lines[0].upper():
        return Unparsable(error, Headers(), None, loses_framing)
    fields: list[str] = []
    for line in lines[1:256]:
        if line[:1] in (" ", "\t") and fields:
            fields[-1] = f"{fields[-1]} {line.strip(' ' + chr(9))}" if len(fields[-1]) < 8192 else fields[-1]
        else:
            fields.append(line)
    headers = Headers()
    for field in fields:
        name, colon, value = field.partition(":")
        if colon:
            try:
                headers.add(name.rstrip(" \t"), value)
            except ValueError:
                continue
    return Unparsable(error, headers, method, loses_framing)


def describe(message: Message) -> str:
    """A message in one short line, for logs: never more than its start line, with nothing unprintable in it."""
    return ascii(message.start_line[:128])[1:-1]
