"""Payload types of RTP, and what they stand for (RFC 8866 sections 6.6 and 6.15, RFC 3551 section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from sip_p2p.sdp.attributes import Attribute
from sip_p2p.sdp.grammar import NUMBER, check_line, check_number, check_token, read_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["STATIC", "Codec", "attributes_of_codecs", "read_codecs"]

_LARGEST_PAYLOAD = 127
_LARGEST_RATE = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type.

    :ivar payload: its number, 0 to 127, in the description that it stands in.
    :ivar encoding: such as ``PCMU``; upper and lower case are the same.
    :ivar clock_rate: in hertz.
    :ivar channels: how many, for audio.
    :ivar parameters: the value of its ``fmtp``, without the number; empty for none.
    """

    payload: int
    encoding: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""

    def __post_init__(self) -> None:
        check_number("a payload type", self.payload, _LARGEST_PAYLOAD)
        check_token("an encoding", self.encoding)
        check_number("a clock rate", self.clock_rate, _LARGEST_RATE)
        if not 1 <= self.channels <= 255:
            raise ValueError(f"an encoding has between 1 and 255 channels, not {self.channels}")
        check_line("the parameters of an encoding", self.parameters, may_be_empty=True)

    def is_same(self, other: Codec) -> bool:
        """Whether both mean the same encoding, whatever their numbers and parameters (RFC 3264 section 6.1)."""
        return (
            self.encoding.lower() == other.encoding.lower()
            and self.clock_rate == other.clock_rate
            and self.channels == other.channels
        )

    @property
    def rtpmap(self) -> str:
        """The value of its ``rtpmap``."""
        channels = f"/{self.channels}" if self.channels != 1 else ""
        return f"{self.payload} {self.encoding}/{self.clock_rate}{channels}"

    def numbered(self, payload: int, parameters: str) -> Codec:
        """The same encoding under another number, with other parameters."""
        return Codec(payload, self.encoding, self.clock_rate, self.channels, parameters)


_STATIC = [
    *((0, "PCMU", 8000), (3, "GSM", 8000), (4, "G723", 8000), (5, "DVI4", 8000), (6, "DVI4", 16000), (7, "LPC", 8000)),
    *((8, "PCMA", 8000), (9, "G722", 8000), (11, "L16", 44100), (12, "QCELP", 8000), (13, "CN", 8000)),
    *((14, "MPA", 90000), (15, "G728", 8000), (16, "DVI4", 11025), (17, "DVI4", 22050), (18, "G729", 8000)),
    *((25, "CelB", 90000), (26, "JPEG", 90000), (28, "nv", 90000), (31, "H261", 90000), (32, "MPV", 90000)),
    *((33, "MP2T", 90000), (34, "H263", 90000)),
]

STATIC: Mapping[int, Codec] = MappingProxyType(
    {number: Codec(number, encoding, rate) for number, encoding, rate in _STATIC} | {10: Codec(10, "L16", 44100, 2)}
)
"""The numbers that mean something without a word (RFC 3551 Tables 4 and 5)."""


def read_codecs(formats: Iterable[str], attributes: Sequence[Attribute]) -> list[Codec]:
    """What the formats of a media line stand for, in their order.

    A number that is neither static nor mapped stands for nothing, and is left out; so is one whose map cannot be read.
    """
    maps: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for attribute in attributes:
        if attribute.value is None or attribute.name not in ("rtpmap", "fmtp"):
            continue
        number, _, rest = attribute.value.partition(" ")
        (maps if attribute.name == "rtpmap" else parameters).setdefault(number, rest.strip(" "))
    found = []
    for text in formats:
        codec = _read_codec(text, maps.get(text), parameters.get(text, ""))
        if codec is not None:
            found.append(codec)
    return found


def _read_codec(text: str, mapped: str | None, parameters: str) -> Codec | None:
    if NUMBER.fullmatch(text) is None or int(text) > _LARGEST_PAYLOAD:
        return None
    number = int(text)
    if mapped is None:
        static = STATIC.get(number)
        return static if static is None or not parameters else static.numbered(number, parameters)
    encoding, _, rest = mapped.partition("/")
    rate, _, channels = rest.partition("/")
    try:
        many = read_number("a number of channels", channels, 255) if channels else 1
        return Codec(number, encoding, read_number("a clock rate", rate, _LARGEST_RATE), many, parameters)
    except ValueError:
        return None


def attributes_of_codecs(codecs: Iterable[Codec]) -> list[Attribute]:
    """The ``rtpmap`` and ``fmtp`` lines of *codecs*; a static number gets its map as well (RFC 3264 section 5.1)."""
    attributes = []
    for codec in codecs:
        attributes.append(Attribute("rtpmap", codec.rtpmap))
        if codec.parameters:
            attributes.append(Attribute("fmtp", f"{codec.payload} {codec.parameters}"))
    return attributes
