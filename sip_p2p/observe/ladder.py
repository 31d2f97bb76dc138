"""The ladder that SIP people draw, as text: a column for each party, an arrow for each message, time running down.

::

              a.example                                    b.example
      0.000   |-- MESSAGE sip:bob@b.example ------------------->|
      0.004   |<------------------------- 200 OK (MESSAGE) -----|

:func:`ladder` is a pure function of events, and :class:`LadderDrawer` draws one event after another as they come; what
a peer put into them is made printable first. No line is drawn wider than it was told to be: texts are cut, and where
there are too many parties for the width it falls back to one line an arrow without columns. Each line says what it is,
so that it can be coloured.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, final

from sip_p2p.observe.text import clip, display_width, pad, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sip_p2p.observe.trace import TraceEvent

__all__ = ["MINIMUM_WIDTH", "LadderDrawer", "LadderLine", "ladder", "select"]

MINIMUM_WIDTH = 40
"""The fewest columns that a ladder can be drawn in."""

_MOST_SEEN = 4096
_TIME_COLUMNS = 10
_SMALLEST_GAP = 20
_LARGEST_GAP = 58


@final
class _Glyphs:
    """The characters that a ladder is made of."""

    __slots__ = ("dash", "ellipsis", "left", "lifeline", "right")

    def __init__(self, lifeline: str, dash: str, left: str, right: str, ellipsis: str) -> None:
        self.lifeline = lifeline
        self.dash = dash
        self.left = left
        self.right = right
        self.ellipsis = ellipsis


_ASCII = _Glyphs("|", "-", "<", ">", "..")
_UNICODE = _Glyphs("│", "─", "◀", "▶", "…")


def select(
    events: Iterable[TraceEvent], *, call_id: str | None = None, method: str | None = None, peer: str | None = None
) -> Iterator[TraceEvent]:
    """Those of *events* that pass every filter given.

    :param call_id: the Call-ID, exactly.
    :param method: the request's method; responses pass with the method of their CSeq.
    :param peer: the identity that the other side proved, or its address with or without the port; case is ignored.
    """
    for event in events:
        if call_id is not None and event.field("Call-ID") != call_id:
            continue
        if method is not None and (event.kind != "message" or event.method != method):
            continue
        if peer is not None and not _is_peer(event, peer.lower()):
            continue
        yield event


def _is_peer(event: TraceEvent, wanted: str) -> bool:
    host = event.remote.rpartition(":")[0].strip("[]")
    return wanted in (event.peer.lower(), event.remote.lower(), host.lower())


LineKind: TypeAlias = Literal["heading", "note", "request", "provisional", "success", "redirection", "failure"]
"""What a line shows; responses by their status."""


class LadderLine(NamedTuple):
    """One line of a ladder.

    :ivar text: all of it, without a line end.
    :ivar kind: what it shows.
    :ivar start: where in the text the arrow or the note begins.
    :ivar end: where it ends.
    :ivar event: what it was drawn from; None for a heading.
    """

    text: str
    kind: LineKind
    start: int = 0
    end: int = 0
    event: TraceEvent | None = None


@final
class LadderDrawer:
    """Draws one event after another; a heading comes again when a party is new.

    A message that comes a second time, octet for octet and in the same direction, is marked as a retransmission.

    :param width: no line is wider, in terminal columns.
    :param ascii_only: draw with ``|``, ``-`` and ``>``, and escape what is not ASCII in the messages.
    :param most_parties: at least two; with one more, the first that has no part in the message loses its column.
    :raises ValueError: when *width* is below :data:`MINIMUM_WIDTH`.
    """

    def __init__(self, width: int = 100, ascii_only: bool = False, most_parties: int = 64) -> None:
        if width < MINIMUM_WIDTH:
            raise ValueError(f"a ladder needs a width of at least {MINIMUM_WIDTH} columns")
        self._width = width
        self._ascii_only = ascii_only
        self._most_parties = most_parties
        self._glyphs = _ASCII if ascii_only else _UNICODE
        self._parties: list[str] = []
        self._seen: collections.OrderedDict[tuple[str, str, str, str], None] = collections.OrderedDict()
        self._start: float | None = None
        self._is_headed = False

    def meet(self, event: TraceEvent) -> None:
        """Make room for the parties of *event*, which is drawn later."""
        if self._start is None:
            self._start = event.at
        if event.kind != "message":
            return
        pair = (_local(event), _remote(event))
        for party in pair:
            if party not in self._parties:
                if len(self._parties) >= self._most_parties:
                    self._parties.remove(next(each for each in self._parties if each not in pair))
                self._parties.append(party)
                self._is_headed = False

    def draw(self, event: TraceEvent) -> list[LadderLine]:
        """The lines of *event*: its own, with a heading before it where there are new columns."""
        self.meet(event)
        label = self._label(event)
        at = f"{event.at - (self._start or 0.0):8.3f}  "
        kind = _kind(event)
        columns = self._columns()
        if not columns:
            return [self._line(_listed(at, label, event, self._ascii_only), kind, event, len(at))]
        lines = []
        if not self._is_headed:
            self._is_headed = True
            names = [_safe(party, self._ascii_only) for party in self._parties]
            heading = _heading(names, columns, self._width, self._glyphs)
            lines.append(LadderLine(self._clip(heading), "heading"))
        if event.kind == "note":
            lines.append(self._line(f"{at}* {label}", kind, event, len(at)))
        elif _local(event) == _remote(event):
            text = f"{at}* {_safe(_local(event), self._ascii_only)} to itself: {label}"
            lines.append(self._line(text, kind, event, len(at)))
        else:
            before, body, after = _arrow(label, self._parties, columns, event, self._glyphs)
            start = len(at) + len(before)
            lines.append(self._line(f"{at}{before}{body}{after}", kind, event, start, start + len(body)))
        return lines

    def _columns(self) -> list[int]:
        """Where the lifelines stand; none where they do not fit."""
        gaps = max(len(self._parties) - 1, 1)
        gap = min((self._width - _TIME_COLUMNS - 2) // gaps, _LARGEST_GAP)
        if len(self._parties) < 2 or gap < _SMALLEST_GAP:
            return []
        return [_TIME_COLUMNS + index * gap for index in range(len(self._parties))]

    def _label(self, event: TraceEvent) -> str:
        """What stands on its arrow."""
        if event.kind == "note":
            return _safe(event.note, self._ascii_only)
        if event.is_response:
            _, _, answer = event.start_line.partition(" ")
            label = f"{answer} ({event.method})" if event.method else answer
        else:
            label = event.start_line.removesuffix(" SIP/2.0")
        key = (event.direction, event.local, _remote(event), event.head)
        if key in self._seen:
            label += " [again]"
            self._seen.move_to_end(key)
        self._seen[key] = None
        if len(self._seen) > _MOST_SEEN:
            self._seen.popitem(last=False)
        return _safe(label, self._ascii_only)

    def _line(self, text: str, kind: LineKind, event: TraceEvent, start: int, end: int | None = None) -> LadderLine:
        clipped = self._clip(text)
        return LadderLine(clipped, kind, start, len(clipped) if end is None else min(end, len(clipped)), event)

    def _clip(self, text: str) -> str:
        return clip(text.rstrip(), self._width, self._glyphs.ellipsis)


def ladder(events: Iterable[TraceEvent], *, width: int = 100, ascii_only: bool = False) -> str:
    """Draw *events* in their order; the lines end in a line feed, an empty trace is an empty text.

    :param width: no line is wider, in terminal columns.
    :param ascii_only: draw with ``|``, ``-`` and ``>``, and escape what is not ASCII in the messages.
    :raises ValueError: when *width* is below :data:`MINIMUM_WIDTH`.
    """
    drawn = list(events)
    drawer = LadderDrawer(width, ascii_only, most_parties=max(2 * len(drawn), 2))
    for event in drawn:
        drawer.meet(event)
    return "".join(f"{line.text}\n" for event in drawn for line in drawer.draw(event))


def _kind(event: TraceEvent) -> LineKind:
    if event.kind == "note":
        return "note"
    if not event.is_response:
        return "request"
    first = event.start_line.partition(" ")[2][:1]
    kinds: dict[str, LineKind] = {"1": "provisional", "2": "success", "3": "redirection"}
    return kinds.get(first, "failure")


def _local(event: TraceEvent) -> str:
    return event.local


def _remote(event: TraceEvent) -> str:
    """What to call the other side: the identity that it proved, or its address where that identity is ours as well."""
    return event.peer if event.peer not in ("", event.local) else event.remote or event.peer


def _safe(text: str, ascii_only: bool) -> str:
    shown = printable(text)
    return shown.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else shown


def _heading(names: list[str], columns: list[int], width: int, glyphs: _Glyphs) -> str:
    """The parties' names, each above its lifeline; the last one leans to the left where there is no room."""
    line = ""
    last = len(names) - 1
    for index, (name, column) in enumerate(zip(names, columns, strict=True)):
        if index == last:
            shown = clip(name, width - display_width(line) - 1, glyphs.ellipsis)
            column = min(column, width - display_width(shown))
        else:
            shown = clip(name, columns[index + 1] - column - 2, glyphs.ellipsis)
        line = pad(line, column) + shown
    return line


def _arrow(
    label: str, parties: list[str], columns: list[int], event: TraceEvent, glyphs: _Glyphs
) -> tuple[str, str, str]:
    """The arrow of a message between two lifelines, with what stands before and after it in the row."""
    here, there = parties.index(_local(event)), parties.index(_remote(event))
    source, target = (here, there) if event.direction == "out" else (there, here)
    first, last = min(source, target), max(source, target)
    span = columns[last] - columns[first] - 1
    text = clip(label, span - 6, glyphs.ellipsis)
    dashes = span - display_width(text) - 5
    if source < target:
        body = f"{glyphs.dash * 2} {text} {glyphs.dash * dashes}{glyphs.right}"
    else:
        body = f"{glyphs.left}{glyphs.dash * dashes} {text} {glyphs.dash * 2}"
    before = _crossing(columns[: first + 1], glyphs)
    after = _crossing([column - columns[last] for column in columns[last:]], glyphs, 0)
    return before, body, after


def _crossing(columns: list[int], glyphs: _Glyphs, start: int = _TIME_COLUMNS) -> str:
    """Lifelines at *columns*, the text beginning at the column *start*."""
    line = ""
    for column in columns:
        line = line.ljust(column - start) + glyphs.lifeline
    return line


def _listed(at: str, label: str, event: TraceEvent, ascii_only: bool) -> str:
    """One line for an event, for more parties than fit side by side, or a single one."""
    if event.kind == "note":
        return f"{at}* {label}"
    local, remote = _safe(_local(event), ascii_only), _safe(_remote(event), ascii_only)
    source, target = (local, remote) if event.direction == "out" else (remote, local)
    return f"{at}{source} -> {target}  {label}"
