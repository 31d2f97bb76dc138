"""From octets to a description (RFC 8866 sections 5 and 9): strictly, or with every fault noted and passed over.

Strict takes what the grammar allows and nothing else, in the order that it prescribes. Lenient takes what programs have
been seen to send: lines that end in LF or CR alone, blanks at the ends of lines, empty lines, lines of unknown letters
or in another order, missing ``s=`` and ``t=``, no ``o=``, values that are none. What it cannot use it leaves out, and
it says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, final

from sip_p2p.errors import MalformedDescription
from sip_p2p.sdp.attributes import Attribute
from sip_p2p.sdp.description import MediaDescription, SessionDescription
from sip_p2p.sdp.grammar import check_line, read_number
from sip_p2p.sdp.lines import Bandwidth, Connection, Origin, Timing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MOST_LINES", "Fault", "read"]

MOST_LINES = 4096
"""A description with more lines is refused, however it is read."""

T = TypeVar("T")

_SESSION_ORDER = "vosiuepcbtrzka"
_MEDIA_ORDER = "micbka"
_ONCE_IN_SESSION = frozenset("vosiuczk")
_ONCE_IN_MEDIA = frozenset("ik")
_LARGEST_PORT = 65535
_UNKNOWN_ORIGIN = Origin("0.0.0.0", 0, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a strict reader would have refused.

    :ivar line: where, counted from 1; 0 for what is missing.
    :ivar reason: what, in words.
    """

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


def read(octets: bytes | str, *, lenient: bool) -> SessionDescription:
    """Read a description; see :meth:`~sip_p2p.sdp.description.SessionDescription.parse`.

    :raises MalformedDescription: with the line and what is wrong there.
    """
    text = octets if isinstance(octets, str) else octets.decode("utf-8", "surrogateescape")
    reader = _Reader(lenient)
    reader.take(reader.split(text))
    return reader.finish()


@final
class _Reader:
    """One description while it is read."""

    __slots__ = (
        "_faults",
        "_is_lenient",
        "_line",
        "_media",
        "_place",
        "_seen",
        "_session",
    )

    def __init__(self, is_lenient: bool) -> None:
        self._is_lenient = is_lenient
        self._faults: list[Fault] = []
        self._line = 0
        self._place = 0
        self._seen: set[str] = set()
        self._session = _Section()
        self._media: list[_Section] = []

    def _fault(self, reason: str, line: int | None = None) -> None:
        """Refuse what was read, or note it and go on."""
        where = self._line if line is None else line
        if not self._is_lenient:
            raise MalformedDescription(reason, where)
        self._faults.append(Fault(where, reason))

    def split(self, text: str) -> list[str]:
        """The lines without their ends."""
        if text.count("\n") + text.count("\r") > 2 * MOST_LINES:
            raise MalformedDescription(f"there are more than {MOST_LINES} lines", MOST_LINES)
        if not self._is_lenient:
            self._check_line_ends(text)
            lines = text.split("\r\n")
            if lines.pop():
                raise MalformedDescription("the last line does not end in CRLF", len(lines) + 1)
            return lines
        if "\r\n" not in text or text.count("\n") != text.count("\r\n") or text.count("\r") != text.count("\r\n"):
            self._fault("lines end in something else than CRLF", 0)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        if lines[-1]:
            self._fault("the last line has no end", len(lines))
        else:
            lines.pop()
        return lines

    def _check_line_ends(self, text: str) -> None:
        """Section 9: lines end in CRLF. Section 5 lets a reader take LF alone, which the lenient one does."""
        if text.count("\n") == text.count("\r\n"):
            return
        alone = next(at for at, each in enumerate(text) if each == "\n" and text[at - 1 : at] != "\r")
        raise MalformedDescription("the line ends in LF alone, and CRLF is asked for", text.count("\n", 0, alone) + 1)

    def take(self, lines: list[str]) -> None:
        """Read every line."""
        for self._line, line in enumerate(lines, 1):
            used = line
            if self._is_lenient:
                used = line.strip(" \t")
                if used != line:
                    self._fault("blanks at the end of the line")
                if not used:
                    self._fault("an empty line")
                    continue
            if len(used) < 2 or used[1] != "=":
                self._fault("a line is a letter, an equals sign and a value")
                continue
            self._take_line(used[0], used[2:])

    def _take_line(self, letter: str, value: str) -> None:
        try:
            check_line(f"the value of {letter}=", value)
        except ValueError as error:
            self._fault(str(error))
            return
        if letter == "m":
            self._begin_media(value)
        elif self._media:
            self._check_place(letter, _MEDIA_ORDER, _ONCE_IN_MEDIA)
            self._take_in(self._media[-1], letter, value)
        else:
            self._check_place(letter, _SESSION_ORDER, _ONCE_IN_SESSION)
            self._take_in(self._session, letter, value)

    def _check_place(self, letter: str, order: str, once: frozenset[str]) -> None:
        """Section 5: the letters have an order, and most stand once."""
        place = order.find(letter)
        if place < 0:
            self._fault(f"{letter!r} is no letter of this part")
            return
        # Section 9: time-description is t= with its r= lines, any number of times.
        repeated = letter == "t" and order[self._place] in "tr"
        if place < self._place and not repeated:
            self._fault(f"{letter}= stands after {order[self._place]}=")
        if letter == "r" and order[self._place] not in "tr":
            self._fault("r= repeats a t=, and none stands before it")
        if letter in once and letter in self._seen:
            self._fault(f"{letter}= stands twice")
        self._seen.add(letter)
        self._place = place if repeated else max(place, self._place)

    def _begin_media(self, value: str) -> None:
        if not self._media:
            self._check_session()
        self._place = 0
        self._seen = set()
        section = _Section()
        section.line = self._line
        self._media.append(section)
        parts = value.split() if self._is_lenient else value.split(" ")
        if len(parts) < 4:
            self._fault(f"a media line has at least four parts, not {len(parts)}")
            return
        kind, port, protocol, *formats = parts
        number, slash, many = port.partition("/")
        try:
            section.media = MediaDescription(
                kind,
                read_number("a port", number, _LARGEST_PORT),
                protocol,
                tuple(formats),
                ports=read_number("a number of ports", many, _LARGEST_PORT) if slash else None,
            )
        except ValueError as error:
            self._fault(str(error))

    def _check_session(self) -> None:
        """Section 5: v=, o=, s= and t= must be there."""
        for letter in "vost":
            if letter not in self._seen:
                self._fault(f"{letter}= is missing", 0 if self._is_lenient else self._line)

    def _take_in(self, section: _Section, letter: str, value: str) -> None:
        if letter == "v":
            if value != "0":
                self._fault(f"the version is {value[:16]!r}, not 0")
        elif letter == "o":
            section.origin = self._read(Origin.read, value) or section.origin
        elif letter == "c":
            connection = self._read(Connection.read, value)
            if connection is not None:
                section.connections.append(connection)
        elif letter == "b":
            bandwidth = self._read(Bandwidth.read, value)
            if bandwidth is not None:
                section.bandwidths.append(bandwidth)
        elif letter == "t":
            timing = self._read(Timing.read, value)
            if timing is not None:
                section.timings.append(timing)
        elif letter == "r" and section.timings:
            last = section.timings[-1]
            section.timings[-1] = Timing(last.start, last.stop, (*last.repeats, value))
        elif letter == "a":
            attribute = self._read(Attribute.read, value)
            if attribute is not None:
                section.attributes.append(attribute)
        elif letter in "siuepzk":
            section.texts.setdefault(letter, []).append(value)

    def _read(self, function: Callable[[str], T], value: str) -> T | None:
        try:
            return function(value)
        except ValueError as error:
            self._fault(str(error))
            return None

    def finish(self) -> SessionDescription:
        """All of it."""
        if not self._media:
            self._check_session()
        session = self._session
        if session.origin is None and not any(section.media for section in self._media):
            raise MalformedDescription("there is no session description here", 0)
        connections = session.connections
        self._check_connections()
        return SessionDescription(
            session.origin or _UNKNOWN_ORIGIN,
            tuple(section.finish() for section in self._media if section.media is not None),
            session.text("s") or "-",
            connections[0] if connections else None,
            tuple(session.attributes),
            tuple(session.bandwidths),
            session.text("i"),
            session.text("u"),
            tuple(session.texts.get("e", ())),
            tuple(session.texts.get("p", ())),
            tuple(session.timings) or (Timing(),),
            session.text("z"),
            session.text("k"),
            tuple(self._faults),
        )

    def _check_connections(self) -> None:
        """Section 5.7: c= stands in the session, or in each of its media."""
        if self._session.connections:
            return
        for section in self._media:
            if section.media is not None and not section.connections and not section.media.is_rejected:
                self._fault("neither the session nor this media line has a c=", section.line)


@final
class _Section:
    """What was read of the session, or of one media line."""

    __slots__ = ("attributes", "bandwidths", "connections", "line", "media", "origin", "texts", "timings")

    def __init__(self) -> None:
        self.line = 0
        self.media: MediaDescription | None = None
        self.origin: Origin | None = None
        self.connections: list[Connection] = []
        self.bandwidths: list[Bandwidth] = []
        self.timings: list[Timing] = []
        self.attributes: list[Attribute] = []
        self.texts: dict[str, list[str]] = {}

    def text(self, letter: str) -> str | None:
        """The first value of a line that stands once."""
        found = self.texts.get(letter)
        return None if found is None else found[0]

    def finish(self) -> MediaDescription:
        """The media line with what belongs to it."""
        assert self.media is not None
        return self.media.replace(
            attributes=self.attributes,
            connection=self.connections[0] if self.connections else None,
            connections=self.connections[1:],
            information=self.text("i"),
            bandwidths=self.bandwidths,
            key=self.text("k"),
        )
