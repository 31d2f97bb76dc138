"""Requests and responses: values that know their header fields and can be written to the wire (RFC 3261 section 7).

Any method and any status is allowed. The typed view of a field (:attr:`Message.via`, :attr:`Message.cseq`, ...) is
parsed when it is first asked for and raises :class:`~sip_p2p.errors.MalformedMessage` when the field is missing or not
what it claims to be. :meth:`Message.serialise` is the single way to the wire: whatever an application put into a
message passes it, and it refuses CR, LF and NUL anywhere in the head.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, has_octets
from sip_p2p.sip.body import MediaType, decode_text, parse_media_type
from sip_p2p.sip.fields import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via, split_values
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.status import reason_phrase
from sip_p2p.sip.uri import OpaqueUri, SipUri, TelUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Message", "Request", "Response", "has_unescaped_nul"]

_UNESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\0")
_WHITE_SPACE = re.compile(r"[\x00-\x20\x7f]")


def has_unescaped_nul(text: str) -> bool:
    """Whether a NUL stands in *text* that is not half of a quoted-pair, the one place where the grammar allows it."""
    return _UNESCAPED_NUL.search(text) is not None


class Message:
    """What requests and responses have in common.

    :ivar headers: the header fields. Content-Length is written by :meth:`serialise` from the body's true length,
        whatever stands here.
    :ivar body: the body's octets.
    """

    __slots__ = ("_cseq", "_echoed", "_from", "_to", "_via", "body", "headers")

    def __init__(self, headers: Headers, body: bytes) -> None:
        self.headers = headers
        self.body = body
        self._via: Via | None = None
        self._cseq: CSeq | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._echoed: list[str] | None = None

    def read_mandatory(self) -> list[str] | None:
        """Parse From, To, Call-ID, CSeq and the top Via together, for a message that has one field of each.

        What this does for the usual message in one pass, the properties below do one by one for any.

        :returns: the texts of Via, From, To, Call-ID and CSeq, as every response repeats them (section 8.2.6.2); None
            for a message that has several Via fields, or whose fields have to be looked at one by one.
        :raises MalformedMessage: when one of them is not what it should be.
        """
        if self._echoed is not None:
            return self._echoed
        names, values = self.headers.parallel_lists()
        if len(set(names)) != len(names):
            return None
        try:
            via = values[names.index("Via")]
            from_ = values[names.index("From")]
            to = values[names.index("To")]
            call_id = values[names.index("Call-ID")]
            cseq = values[names.index("CSeq")]
        except ValueError:
            return None
        if self._cseq is None:
            self._cseq = parse_cseq(cseq)
        if self._from is None:
            self._from = parse_name_addr(from_, "From")
        if self._to is None:
            self._to = parse_name_addr(to, "To")
        self._echoed = [via, from_, to, call_id, cseq]
        return self._echoed

    @property
    def start_line(self) -> str:
        """The Request-Line or Status-Line, without its CRLF."""
        raise TypeError("a message is a Request or a Response")

    def single(self, name: str) -> str:
        """The value of a field that must stand exactly once; *name* in its canonical spelling.

        :raises MalformedMessage: when it is missing or repeated (400).
        """
        names, values = self.headers.parallel_lists()
        present = names.count(name)
        if present == 1:
            return values[names.index(name)]
        raise MalformedMessage(f"{name} is missing" if not present else f"{name} stands {present} times")

    @property
    def via(self) -> Via:
        """The topmost Via value (RFC 3261 section 20.42)."""
        via = self._via
        if via is None:
            value = self.headers.get("Via")
            if value is None:
                raise MalformedMessage("Via is missing")
            if "," in value:
                value = split_values(value)[0]
            via = self._via = parse_via(value)
        return via

    def use_via(self, via: Via) -> None:
        """Take *via* for the parsed form of the topmost Via value, which the caller knows it to be."""
        self._via = via

    def vias(self) -> list[Via]:
        """Every Via value, topmost first."""
        return [parse_via(element) for value in self.headers.get_all("Via") for element in split_values(value)]

    @property
    def cseq(self) -> CSeq:
        """The CSeq (section 20.16)."""
        cseq = self._cseq
        if cseq is None:
            cseq = self._cseq = parse_cseq(self.single("CSeq"))
        return cseq

    @property
    def call_id(self) -> str:
        """The Call-ID (section 20.8)."""
        if self._echoed is not None:
            return self._echoed[3]
        return self.single("Call-ID")

    @property
    def from_(self) -> NameAddr:
        """The From (section 20.20)."""
        value = self._from
        if value is None:
            value = self._from = parse_name_addr(self.single("From"), "From")
        return value

    @property
    def to(self) -> NameAddr:
        """The To (section 20.39)."""
        value = self._to
        if value is None:
            value = self._to = parse_name_addr(self.single("To"), "To")
        return value

    @property
    def content_type(self) -> MediaType | None:
        """The body's type, or None where the message names none.

        :raises MalformedMessage: when the field is not a media type.
        """
        value = self.headers.get("Content-Type")
        return None if value is None else parse_media_type(value)

    def text(self) -> str:
        """The body decoded by the charset that Content-Type names, UTF-8 without one (section 7.4.1).

        :raises ValueError: when the charset is unknown or the octets are not in it.
        """
        return decode_text(self.body, self.content_type)

    def serialise(self) -> bytes:
        """The message as it goes on the wire.

        :raises ValueError: when the start line or any field holds CR, LF or a NUL that is not a quoted-pair.
        """
        names, values = self.headers.parallel_lists()
        lines = [self.start_line]
        if "Content-Length" in names:
            for index, name in enumerate(names):
                if name != "Content-Length":
                    lines.append(f"{name}: {values[index]}")
        else:
            lines += [f"{name}: {value}" for name, value in zip(names, values, strict=True)]
        body = self.body
        lines.append(f"Content-Length: {len(body)}\r\n\r\n")
        head = "\r\n".join(lines)
        ends = len(lines) + 1
        if head.count("\n") != ends or head.count("\r") != ends or ("\0" in head and has_unescaped_nul(head)):
            raise ValueError(_where_unsafe(lines))
        return head.encode("utf-8", "surrogateescape") + body

    def _equal(self, other: Message) -> bool:
        return self.start_line == other.start_line and self.headers == other.headers and self.body == other.body


def _where_unsafe(lines: list[str]) -> str:
    """Name the line of a refused message, for the error that its author sees."""
    lines[-1] = lines[-1].rstrip("\r\n")
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            return f"CR, LF or NUL in a message's head: {line[:80]!r}"
    return "CR, LF or NUL in a message's head"


@final
class Request(Message):
    """A request.

    :ivar method: the method, as written: methods are case-sensitive (section 25.1).
    :ivar uri_text: the Request-URI as it stands in the request line.
    """

    __slots__ = ("_uri", "method", "uri_text")

    def __init__(
        self,
        method: str,
        uri: str | SipUri | TelUri | OpaqueUri,
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """
        :raises ValueError: when *method* is not a token or *uri* holds white space or a control character.
        """
        if TOKEN.fullmatch(method) is None:
            raise ValueError(f"{method!r} is not a method: it must be a token of RFC 3261 section 25.1")
        uri_text = str(uri)
        if not uri_text or _WHITE_SPACE.search(uri_text) is not None:
            raise ValueError(f"{uri_text[:64]!r} cannot be a Request-URI: it is empty or holds white space")
        super().__init__(headers if isinstance(headers, Headers) else Headers(headers), body)
        self.method = method
        self.uri_text = uri_text
        self._uri: SipUri | TelUri | OpaqueUri | None = None if isinstance(uri, str) else uri

    @staticmethod
    def adopt(method: str, uri_text: str, headers: Headers, body: bytes) -> Request:
        """A request from parts that the parser has checked. For the parser and the core only."""
        request = Request.__new__(Request)
        Message.__init__(request, headers, body)
        request.method = method
        request.uri_text = uri_text
        request._uri = None
        return request

    @property
    def uri(self) -> SipUri | TelUri | OpaqueUri:
        """The Request-URI, parsed.

        :raises MalformedMessage: when it is none (400).
        """
        uri = self._uri
        if uri is None:
            uri = self._uri = parse_uri(self.uri_text)
        return uri

    @property
    def start_line(self) -> str:
        """The Request-Line."""
        return f"{self.method} {self.uri_text} SIP/2.0"

    def __eq__(self, other: object) -> bool:
        return self._equal(other) if isinstance(other, Request) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri_text!r} {len(self.body)} octets>"


@final
class Response(Message):
    """A response.

    :ivar status: the status code, 100 to 699.
    :ivar reason: the reason phrase; opaque text, possibly empty.
    """

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        """
        :param reason: None means the phrase that the RFCs give to *status*.
        :raises ValueError: when *status* is not between 100 and 699, or *reason* holds CR, LF or NUL or what has no
            UTF-8 form.
        """
        if not 100 <= status <= 699:
            raise ValueError(f"{status} is not a SIP status: 100 to 699")
        phrase = reason_phrase(status) if reason is None else reason
        if "\r" in phrase or "\n" in phrase or "\0" in phrase:
            raise ValueError(f"CR, LF or NUL in a reason phrase: {phrase[:64]!r}")
        if not (phrase.isascii() or has_octets(phrase)):
            raise ValueError(f"a reason phrase has no UTF-8 form: {phrase[:64]!r}")
        super().__init__(headers if isinstance(headers, Headers) else Headers(headers), body)
        self.status = status
        self.reason = phrase

    @staticmethod
    def adopt(status: int, reason: str, headers: Headers, body: bytes) -> Response:
        """A response from parts that the parser has checked. For the parser and the core only."""
        response = Response.__new__(Response)
        Message.__init__(response, headers, body)
        response.status = status
        response.reason = reason
        return response

    @property
    def is_final(self) -> bool:
        """Whether it ends its transaction: 200 and above."""
        return self.status >= 200

    @property
    def start_line(self) -> str:
        """The Status-Line."""
        return f"SIP/2.0 {self.status} {self.reason}"

    def __eq__(self, other: object) -> bool:
        return self._equal(other) if isinstance(other, Response) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason!r} {len(self.body)} octets>"
