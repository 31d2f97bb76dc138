"""Bodies of several parts (RFC 2046 section 5.1, RFC 5621).

Parts are cut out of octets; only CRLF ends a line. A multipart within a multipart is parsed with it, so that the
bounds, eight levels and 32 parts in all, hold for the whole body. Content-Transfer-Encoding is not undone: SIP
carries binary (RFC 3261 section 7.4.1), and a part that needs it says so in its headers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import Disposition, MediaType, decode_text, parse_disposition, parse_media_type
from sip_p2p.sip.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_DEPTH", "MAX_PARTS", "BodyPart", "Multipart", "parse_multipart"]

MAX_DEPTH: Final = 8
"""How deep multiparts may be nested."""

MAX_PARTS: Final = 32
"""How many parts a body may have on all levels together."""

_MAX_PART_FIELDS: Final = 32

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_AFTER_DELIMITER = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")
_UNSUPPORTED: Final = 415


@final
class BodyPart:
    """One part: its header fields and its content.

    :ivar headers: Content-Type and its kin, in order.
    :ivar content: the octets between the empty line and the delimiter.
    :ivar parts: the parts of this part, where it is a multipart itself; else empty.
    """

    __slots__ = ("content", "headers", "parts")

    def __init__(
        self, content: bytes, content_type: MediaType | str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """
        :raises ValueError: when a header field cannot be written.
        """
        self.content = content
        self.headers = Headers(headers)
        self.parts: tuple[BodyPart, ...] = ()
        if content_type is not None:
            self.headers.set("Content-Type", str(content_type))

    @property
    def content_type(self) -> MediaType | None:
        """The part's type; None where it names none, which RFC 2046 takes for plain text.

        :raises MalformedMessage: when the field is not a media type.
        """
        value = self.headers.get("Content-Type")
        return None if value is None else parse_media_type(value)

    @property
    def disposition(self) -> Disposition | None:
        """What the part is for, or None where it does not say.

        :raises MalformedMessage: when the field is no disposition.
        """
        value = self.headers.get("Content-Disposition")
        return None if value is None else parse_disposition(value)

    @property
    def content_id(self) -> str | None:
        """The Content-ID without its angle brackets (RFC 2045 section 7), or None."""
        value = self.headers.get("Content-ID")
        return None if value is None else value.strip("<>")

    def text(self) -> str:
        """The content as text, by the charset of its type.

        :raises ValueError: when the charset is unknown or the octets are not in it.
        """
        return decode_text(self.content, self.content_type)

    def _octets(self) -> bytes:
        lines = [f"{name}: {value}\r\n" for name, value in self.headers]
        return "".join(lines).encode("utf-8", "surrogateescape") + b"\r\n" + self.content

    def __repr__(self) -> str:
        return f"<BodyPart {self.headers.get('Content-Type')!r} {len(self.content)} octets>"


@final
class Multipart:
    """The parts of a body.

    :ivar parts: in order; in ``multipart/alternative`` the last one that is understood is the one to use.
    """

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[BodyPart]) -> None:
        self.parts = tuple(parts)

    def find(self, content_id: str) -> BodyPart | None:
        """The part, on any level, with this Content-ID; brackets and a leading ``cid:`` do not count (RFC 2392)."""
        return _find(self.parts, content_id.removeprefix("cid:").strip("<>"))

    def first(self, media_type: str) -> BodyPart | None:
        """The first part, on any level, of *media_type* (``type/subtype``, in small letters), or None."""
        return _first(self.parts, media_type)

    def build(self, boundary: str) -> bytes:
        """The body's octets, to go with ``boundary=`` in its Content-Type.

        :param boundary: up to 70 characters; take one from a :class:`~sip_p2p.sip.tokens.TokenSource`, so that no
            content can hold it by design.
        :raises ValueError: when there is no part, *boundary* is not allowed, or a part's content holds it.
        """
        if not self.parts:
            raise ValueError("a multipart body needs at least one part")
        if _BOUNDARY.fullmatch(boundary) is None:
            raise ValueError(f"{boundary[:80]!r} is not a boundary (RFC 2046 section 5.1.1)")
        delimiter = b"--" + boundary.encode("ascii")
        octets = bytearray()
        for part in self.parts:
            written = part._octets()
            if delimiter in written:
                raise ValueError("a part's content holds the boundary")
            octets += delimiter + b"\r\n" + written + b"\r\n"
        return bytes(octets + delimiter + b"--\r\n")


def _find(parts: tuple[BodyPart, ...], content_id: str) -> BodyPart | None:
    for part in parts:
        found = part if part.content_id == content_id else _find(part.parts, content_id)
        if found is not None:
            return found
    return None


def _first(parts: tuple[BodyPart, ...], media_type: str) -> BodyPart | None:
    for part in parts:
        kind = part.content_type
        found = part if kind is not None and kind.essence == media_type else _first(part.parts, media_type)
        if found is not None:
            return found
    return None


def parse_multipart(body: bytes, media_type: MediaType) -> Multipart:
    """Take a multipart body apart, nested ones included.

    :raises MalformedMessage: 400 when *media_type* has no usable boundary, a delimiter or a part's header section
        is broken, or the last delimiter is missing; 415 when there are more levels or parts than we take.
    """
    return Multipart(_parse_level(body, media_type, MAX_DEPTH, [MAX_PARTS]))


def _parse_level(body: bytes, media_type: MediaType, depth: int, left: list[int]) -> tuple[BodyPart, ...]:
    """The parts of one multipart; *left* holds the number of parts that may still come, over all levels."""
    if depth == 0:
        raise MalformedMessage(f"multipart bodies are nested more than {MAX_DEPTH} deep", _UNSUPPORTED)
    boundary = media_type.params.get("boundary")
    if media_type.type != "multipart" or boundary is None or _BOUNDARY.fullmatch(boundary) is None:
        raise MalformedMessage(f"{media_type.essence}: no boundary of 1 to 70 characters")
    parts: list[BodyPart] = []
    for chunk in _cut(body, b"--" + boundary.encode("ascii"), left):
        part = _parse_part(chunk)
        kind = part.content_type
        if kind is not None and kind.type == "multipart":
            part.parts = _parse_level(part.content, kind, depth - 1, left)
        parts.append(part)
    return tuple(parts)


def _cut(body: bytes, delimiter: bytes, left: list[int]) -> list[bytes]:
    """What stands between the delimiters. Preamble and epilogue are dropped."""
    chunks: list[bytes] = []
    start = -1
    found = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter)
    while found >= 0:
        after = found + len(delimiter) + (2 if body.startswith(b"\r\n", found) else 0)
        match = _AFTER_DELIMITER.match(body, after)
        if match is not None:
            if start >= 0:
                left[0] -= 1
                if left[0] < 0:
                    raise MalformedMessage(f"a body of more than {MAX_PARTS} parts", _UNSUPPORTED)
                chunks.append(body[start:found])
            if match[1] is not None:
                if not chunks:
                    raise MalformedMessage("a multipart body without parts")
                return chunks
            # The CRLF that ends a delimiter's line may also start the next delimiter, of an empty part.
            start = match.end()
            after = start - 2
        found = body.find(b"\r\n" + delimiter, after)
    raise MalformedMessage("a multipart body has no last delimiter")


def _parse_part(chunk: bytes) -> BodyPart:
    """One part: header fields, an empty line, the content."""
    if chunk.startswith(b"\r\n"):
        return BodyPart(chunk[2:])
    head, empty_line, content = chunk.partition(b"\r\n\r\n")
    if not empty_line:
        head, empty_line, content = chunk.removesuffix(b"\r\n"), b"\r\n", b""
    part = BodyPart(content)
    lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if len(lines) > _MAX_PART_FIELDS:
        raise MalformedMessage(f"a body part of more than {_MAX_PART_FIELDS} header lines")
    fields: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and fields:
            fields[-1] = f"{fields[-1]} {line.strip(' ' + chr(9))}"
        else:
            fields.append(line)
    for field in fields:
        name, colon, value = field.partition(":")
        try:
            if not colon:
                raise ValueError(f"no colon in {field[:64]!r}")
            part.headers.add(name.rstrip(" \t"), value)
        except ValueError as error:
            raise MalformedMessage(f"a body part's header section: {error}") from None
    return part
