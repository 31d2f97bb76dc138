"""A session and its media lines (RFC 8866 section 5). Both are immutable: ``replace`` makes another one.

What is made can be written: every part is checked when it is put in. Order is the order of section 5, whatever the
order of the arguments.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sip_p2p.sdp.attributes import Attribute, Direction, direction_of, value_of, values_of, with_direction
from sip_p2p.sdp.codecs import Codec, attributes_of_codecs, read_codecs
from sip_p2p.sdp.grammar import check_line, check_number, check_token, check_word
from sip_p2p.sdp.lines import Bandwidth, Connection, Origin, Timing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sdp.reading import Fault

__all__ = ["MediaDescription", "SessionDescription"]

_LARGEST_PORT = 65535
_ALWAYS = (Timing(),)


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One media line and what belongs to it.

    :ivar kind: ``audio``, ``video``, ``text``, ``application``, ``message``, or another token.
    :ivar port: where they go; 0 refuses a stream, or ends it (RFC 3264 sections 6 and 8.2).
    :ivar protocol: such as ``RTP/AVP``.
    :ivar formats: payload types as text for RTP, something else elsewhere; at least one.
    :ivar ports: how many ports follow each other; None for one.
    :ivar connection: its own; None where that of the session counts.
    """

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: tuple[Attribute, ...] = ()
    connection: Connection | None = None
    information: str | None = None
    bandwidths: tuple[Bandwidth, ...] = ()
    ports: int | None = None
    key: str | None = None
    connections: tuple[Connection, ...] = ()

    def __post_init__(self) -> None:
        for name in ("formats", "attributes", "bandwidths", "connections"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        check_token("a kind of media", self.kind)
        check_number("a port", self.port, _LARGEST_PORT)
        if self.ports is not None:
            check_number("a number of ports", self.ports, _LARGEST_PORT)
        for part in self.protocol.split("/"):
            check_token("a part of a protocol", part)
        if not self.formats:
            raise ValueError("a media line names at least one format")
        for text in self.formats:
            check_word("a format", text)
        for what, line in (("a title", self.information), ("a key", self.key)):
            if line is not None:
                check_line(what, line)

    @classmethod
    def of_codecs(
        cls,
        kind: str,
        port: int,
        codecs: Iterable[Codec],
        *,
        protocol: str = "RTP/AVP",
        direction: Direction | None = None,
        attributes: Iterable[Attribute] = (),
        **parts: Any,
    ) -> MediaDescription:
        """A media line for RTP: its formats, ``rtpmap`` and ``fmtp`` are those of *codecs*.

        :param direction: None writes none, which means that both sides send.
        :param parts: further fields of the class.
        :raises ValueError: for what cannot be.
        """
        listed = list(codecs)
        own = with_direction([*attributes_of_codecs(listed), *attributes], direction)
        return cls(kind, port, protocol, tuple(str(codec.payload) for codec in listed), tuple(own), **parts)

    @property
    def is_rejected(self) -> bool:
        """Whether the stream is refused or over; a line that only goes with others (``bundle-only``, RFC 9143) says 0
        as well."""
        return self.port == 0 and self.value("bundle-only") is None

    @property
    def is_rtp(self) -> bool:
        """Whether the formats are payload types."""
        return "RTP/" in self.protocol.upper()

    @property
    def codecs(self) -> list[Codec]:
        """What the formats stand for; empty where they are no payload types."""
        return read_codecs(self.formats, self.attributes) if self.is_rtp else []

    @property
    def direction(self) -> Direction | None:
        """The direction that stands here; see :meth:`SessionDescription.direction_of`."""
        return direction_of(self.attributes)

    def value(self, name: str) -> str | None:
        """The value of the first attribute *name*; the empty string for a flag, None where there is none."""
        return value_of(self.attributes, name)

    def values(self, name: str) -> list[str]:
        """The values of all attributes *name*."""
        return values_of(self.attributes, name)

    def replace(self, **parts: Any) -> MediaDescription:
        """The same with other *parts*."""
        return dataclasses.replace(self, **parts)

    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        ports = "" if self.ports is None else f"/{self.ports}"
        lines = [f"m={self.kind} {self.port}{ports} {self.protocol} {' '.join(self.formats)}"]
        if self.information is not None:
            lines.append(f"i={self.information}")
        if self.connection is not None:
            lines.append(f"c={self.connection}")
        lines += [f"c={connection}" for connection in self.connections]
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        if self.key is not None:
            lines.append(f"k={self.key}")
        lines += [f"a={attribute}" for attribute in self.attributes]
        return lines


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A whole description.

    :ivar origin: whose it is and which.
    :ivar media: the media lines, in order: a stream keeps its place as long as the session lasts (RFC 3264 section 8).
    :ivar name: a title; ``-`` where there is none (section 5.3).
    :ivar connection: where media go, unless a media line says otherwise.
    :ivar timings: when; by default always.
    :ivar zones: the value of ``z=``.
    :ivar faults: what was wrong with the octets that it was read from leniently; empty otherwise. It takes no part in
        comparing.
    """

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    name: str = "-"
    connection: Connection | None = None
    attributes: tuple[Attribute, ...] = ()
    bandwidths: tuple[Bandwidth, ...] = ()
    information: str | None = None
    uri: str | None = None
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    timings: tuple[Timing, ...] = _ALWAYS
    zones: str | None = None
    key: str | None = None
    faults: tuple[Fault, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("media", "attributes", "bandwidths", "emails", "phones", "timings", "faults"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.timings:
            raise ValueError("a description says at least once when (RFC 8866 section 5.9)")
        check_line("the name of a session", self.name)
        for what, lines in (
            ("an information", (self.information,)),
            ("a URI", (self.uri,)),
            ("an e-mail address", self.emails),
            ("a phone number", self.phones),
            ("time zones", (self.zones,)),
            ("a key", (self.key,)),
        ):
            for line in lines:
                if line is not None:
                    check_line(what, line)

    @classmethod
    def parse(cls, octets: bytes | str, *, lenient: bool = False) -> SessionDescription:
        """Read a description.

        :param lenient: take what can be understood, and note everything else in :attr:`faults`.
        :raises MalformedDescription: with the line and what is wrong there. Leniently only where nothing at all can be
            understood.
        """
        from sip_p2p.sdp.reading import read

        return read(octets, lenient=lenient)

    def connection_of(self, media: MediaDescription) -> Connection | None:
        """Where *media* go: by their own line, or by the session's (section 5.7)."""
        return self.connection if media.connection is None else media.connection

    def direction_of(self, media: MediaDescription) -> Direction:
        """Who sends on *media*: as they say themselves, as the session says, or both (section 6.7)."""
        return media.direction or direction_of(self.attributes) or Direction.SENDRECV

    def value(self, name: str) -> str | None:
        """The value of the first attribute *name* of the session; the empty string for a flag, None where there is
        none."""
        return value_of(self.attributes, name)

    def replace(self, **parts: Any) -> SessionDescription:
        """The same with other *parts*."""
        return dataclasses.replace(self, **parts)

    def with_media(self, index: int, media: MediaDescription) -> SessionDescription:
        """The same with another media line at *index*.

        :raises IndexError: where there is none.
        """
        lines = list(self.media)
        lines[index] = media
        return self.replace(media=lines)

    def lines(self) -> list[str]:
        """Its lines, without their ends, in the order of section 5."""
        lines = ["v=0", f"o={self.origin}", f"s={self.name}"]
        lines += _optional("i", self.information) + _optional("u", self.uri)
        lines += [f"e={email}" for email in self.emails] + [f"p={phone}" for phone in self.phones]
        lines += _optional("c", self.connection)
        lines += [f"b={bandwidth}" for bandwidth in self.bandwidths]
        for timing in self.timings:
            lines.append(f"t={timing}")
            lines += [f"r={repeat}" for repeat in timing.repeats]
        lines += _optional("z", self.zones) + _optional("k", self.key)
        lines += [f"a={attribute}" for attribute in self.attributes]
        for media in self.media:
            lines += media.lines()
        return lines

    def __str__(self) -> str:
        return "".join(f"{line}\r\n" for line in self.lines())

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")


def _optional(letter: str, value: object) -> list[str]:
    return [] if value is None else [f"{letter}={value}"]
