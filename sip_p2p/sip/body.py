"""Bodies: media types, character sets, multipart (RFC 3261 section 7.4, RFC 5621, RFC 2045, RFC 2046).

Octets are octets: nothing here decodes a body that nobody asked to have as text, and nothing decompresses one.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.abnf import TOKEN, TOKEN_CHARS, ascii_lower
from sip_p2p.sip.params import NONE_QUOTED, check_params, format_params, parse_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "CHARSETS",
    "Disposition",
    "MediaType",
    "content_codings",
    "decode_text",
    "parse_disposition",
    "parse_media_type",
]

_MEDIA_TYPE = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*/[ \t]*([{TOKEN_CHARS}]+)[ \t]*")
# How many values of Content-Type are remembered with what they mean, and how long each may be: no peer can add more.
_MOST_KNOWN = 256
_LONGEST_KNOWN = 128
_known_media_types: dict[str, MediaType] = {}
_TOKEN_AND_BLANKS = re.compile(rf"[ \t]*([{TOKEN_CHARS}]+)[ \t]*")

CHARSETS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "utf-8": "utf-8",
        "utf8": "utf-8",
        "us-ascii": "ascii",
        "ascii": "ascii",
        "utf-16": "utf-16",
        "utf-16be": "utf-16-be",
        "utf-16le": "utf-16-le",
        "iso-8859-1": "iso8859-1",
        "latin1": "iso8859-1",
        "iso-8859-2": "iso8859-2",
        "iso-8859-5": "iso8859-5",
        "iso-8859-7": "iso8859-7",
        "iso-8859-8": "iso8859-8",
        "iso-8859-9": "iso8859-9",
        "iso-8859-15": "iso8859-15",
        "windows-1250": "cp1250",
        "windows-1251": "cp1251",
        "windows-1252": "cp1252",
        "koi8-r": "koi8-r",
        "shift_jis": "shift_jis",
        "euc-jp": "euc-jp",
        "euc-kr": "euc-kr",
        "gb2312": "gb2312",
        "gbk": "gbk",
        "gb18030": "gb18030",
        "big5": "big5",
    }
)
"""The charsets that :func:`decode_text` knows: IANA's name to Python's codec. Python has codecs that are no charsets:
a name from the wire never reaches its registry unseen."""


@final
class MediaType:
    """A media type: ``type/subtype;name=value`` (RFC 3261 section 20.15). Immutable.

    :ivar type: in small letters.
    :ivar subtype: in small letters.
    """

    __slots__ = ("_params", "_quoted", "_subtype", "_type")

    def __init__(self, type: str, subtype: str, params: Mapping[str, str | None] | None = None) -> None:
        """
        :raises ValueError: when a part is not a token or a parameter's value cannot be written.
        """
        if TOKEN.fullmatch(type) is None or TOKEN.fullmatch(subtype) is None:
            raise ValueError(f"{type[:32]!r}/{subtype[:32]!r} is not a media type")
        checked = check_params(params)
        self._type = type.lower()
        self._subtype = subtype.lower()
        self._params: dict[str, str | None] = checked
        self._quoted = NONE_QUOTED

    @property
    def type(self) -> str:
        """The type in small letters."""
        return self._type

    @property
    def subtype(self) -> str:
        """The subtype in small letters."""
        return self._subtype

    @property
    def essence(self) -> str:
        """``type/subtype``, without parameters."""
        return f"{self._type}/{self._subtype}"

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small name to decoded value."""
        return MappingProxyType(self._params)

    @property
    def charset(self) -> str | None:
        """The ``charset`` parameter in small letters, or None."""
        value = self._params.get("charset")
        return None if value is None else ascii_lower(value)

    def __str__(self) -> str:
        return f"{self._type}/{self._subtype}{format_params(self._params, self._quoted)}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MediaType):
            return NotImplemented
        return self._type == other._type and self._subtype == other._subtype and self._params == other._params

    def __hash__(self) -> int:
        return hash((self._type, self._subtype))

    def __repr__(self) -> str:
        return f"<MediaType {str(self)!r}>"


def parse_media_type(text: str) -> MediaType:
    """Parse the value of a Content-Type. The few that a party meets are parsed once.

    :raises MalformedMessage: when it is none (400).
    """
    known = _known_media_types.get(text)
    if known is None:
        known = _parse_media_type(text)
        if len(text) <= _LONGEST_KNOWN:
            if len(_known_media_types) >= _MOST_KNOWN:
                _known_media_types.clear()
            _known_media_types[text] = known
    return known


def _parse_media_type(text: str) -> MediaType:
    """:func:`parse_media_type` for one that was not met before."""
    match = _MEDIA_TYPE.match(text)
    if match is None:
        raise MalformedMessage(f"Content-Type: not a media type: {text[:64]!r}")
    quoted: set[str] = set()
    media_type = MediaType.__new__(MediaType)
    media_type._type = match[1].lower()
    media_type._subtype = match[2].lower()
    media_type._params = parse_params(text, match.end(), "Content-Type", quoted)
    media_type._quoted = frozenset(quoted)
    return media_type


@final
class Disposition:
    """A Content-Disposition: what a body is for, and whether it must be understood (RFC 3261 section 20.11, RFC 5621).

    :ivar type: in small letters: ``session``, ``render``, ``icon``, ...
    """

    __slots__ = ("_params", "_quoted", "type")

    def __init__(self, type: str, params: Mapping[str, str | None] | None = None) -> None:
        """
        :raises ValueError: when *type* is not a token or a parameter cannot be written.
        """
        if TOKEN.fullmatch(type) is None:
            raise ValueError(f"{type[:64]!r} is not a disposition: it must be a token")
        self.type = type.lower()
        self._params = check_params(params)
        self._quoted = NONE_QUOTED

    @property
    def params(self) -> Mapping[str, str | None]:
        """The parameters: small name to decoded value."""
        return MappingProxyType(self._params)

    @property
    def is_required(self) -> bool:
        """Whether a receiver must refuse what it does not understand: so unless ``handling=optional`` stands there."""
        handling = self._params.get("handling")
        return handling is None or ascii_lower(handling) != "optional"

    def __str__(self) -> str:
        return self.type + format_params(self._params, self._quoted)

    def __repr__(self) -> str:
        return f"<Disposition {str(self)!r}>"


def parse_disposition(text: str) -> Disposition:
    """Parse the value of a Content-Disposition.

    :raises MalformedMessage: when it is none (400).
    """
    match = _TOKEN_AND_BLANKS.match(text)
    if match is None:
        raise MalformedMessage(f"Content-Disposition: not a token: {text[:64]!r}")
    quoted: set[str] = set()
    disposition = Disposition(match[1])
    disposition._params = parse_params(text, match.end(), "Content-Disposition", quoted)
    disposition._quoted = frozenset(quoted)
    return disposition


def content_codings(values: Iterable[str]) -> list[str]:
    """The codings that all Content-Encoding fields of a message name, in order and small, but for ``identity``.

    We undo none: a body with one is answered 415, with ``Accept-Encoding: identity``, unless it is optional (RFC 3261
    section 8.2.3).

    :raises MalformedMessage: when one is not a token (400).
    """
    codings: list[str] = []
    for value in values:
        for element in value.split(","):
            coding = element.strip(" \t")
            if coding and TOKEN.fullmatch(coding) is None:
                raise MalformedMessage(f"Content-Encoding: not a token: {coding[:64]!r}")
            if coding and coding.lower() != "identity":
                codings.append(coding.lower())
    return codings


def decode_text(body: bytes, media_type: MediaType | None) -> str:
    """The text in *body*, by the charset that *media_type* names; UTF-8 where it names none (RFC 3261 section 7.4.1).

    :raises ValueError: when the charset is not one of :data:`CHARSETS`, or the octets are not text in it.
    """
    charset = None if media_type is None else media_type.charset
    codec = CHARSETS.get("utf-8" if charset is None else charset)
    if codec is None:
        raise ValueError(f"the charset {(charset or '')[:64]!r} is not known")
    return body.decode(codec)
