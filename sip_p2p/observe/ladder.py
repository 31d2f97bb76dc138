"""The ladder that SIP people draw, as text: a column for each party, an arrow for each message, time running down.

::

              a.example                                    b.example
      0.000   |-- MESSAGE sip:bob@b.example ------------------->|
      0.004   |<------------------------- 200 OK (MESSAGE) -----|

:func:`ladder` is a pure function of events; what a peer put into them is made printable first. It draws no line wider
than it is told to: texts are cut, and where there are too many parties for the width it falls back to one line an arrow
without columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.observe.text import clip, display_width, pad, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sip_p2p.observe.trace import TraceEvent

__all__ = ["MINIMUM_WIDTH", "ladder", "select"]

MINIMUM_WIDTH = 40
"""The fewest columns that a ladder can be drawn in."""

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


def ladder(events: Iterable[TraceEvent], *, width: int = 100, ascii_only: bool = False) -> str:
    """Draw *events* in their order; the lines end in a line feed, an empty trace is an empty text.

    A message that comes a second time, octet for octet and in the same direction, is marked as a retransmission.

    :param width: no line is wider, in terminal columns.
    :param ascii_only: draw with ``|``, ``-`` and ``>``, and escape what is not ASCII in the messages.
    :raises ValueError: when *width* is below :data:`MINIMUM_WIDTH`.
    """
    if width < MINIMUM_WIDTH:
        raise ValueError(f"a ladder needs a width of at least {MINIMUM_WIDTH} columns")
    drawn = list(events)
    if not drawn:
        return ""
    glyphs = _ASCII if ascii_only else _UNICODE
    parties: list[str] = []
    for event in drawn:
        for party in (_local(event), _remote(event)) if event.kind == "message" else ():
            if party not in parties:
                parties.append(party)
    rows = _labelled(drawn, ascii_only)
    gaps = max(len(parties) - 1, 1)
    gap = min((width - _TIME_COLUMNS - 2) // gaps, _LARGEST_GAP)
    if len(parties) < 2 or gap < _SMALLEST_GAP:
        lines = _list(rows, ascii_only)
    else:
        names = [_safe(party, ascii_only) for party in parties]
        columns = [_TIME_COLUMNS + index * gap for index in range(len(parties))]
        lines = [_heading(names, columns, width, glyphs)]
        for at, label, event in rows:
            if event.kind == "note":
                lines.append(f"{at}* {label}")
            elif _local(event) == _remote(event):
                lines.append(f"{at}* {_safe(_local(event), ascii_only)} to itself: {label}")
            else:
                lines.append(at + _arrow(label, parties, columns, event, glyphs))
    return "".join(f"{clip(line.rstrip(), width, glyphs.ellipsis)}\n" for line in lines)


def _local(event: TraceEvent) -> str:
    return event.local


def _remote(event: TraceEvent) -> str:
    """What to call the other side: the identity that it proved, or its address where that identity is ours as well."""
    return event.peer if event.peer not in ("", event.local) else event.remote or event.peer


def _safe(text: str, ascii_only: bool) -> str:
    shown = printable(text)
    return shown.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else shown


def _labelled(events: list[TraceEvent], ascii_only: bool) -> list[tuple[str, str, TraceEvent]]:
    """The time and the text of each event."""
    start = events[0].at
    seen: set[tuple[str, str, str, str]] = set()
    rows: list[tuple[str, str, TraceEvent]] = []
    for event in events:
        if event.kind == "note":
            label = event.note
        elif event.is_response:
            _, _, answer = event.start_line.partition(" ")
            label = f"{answer} ({event.method})" if event.method else answer
        else:
            label = event.start_line.removesuffix(" SIP/2.0")
        if event.kind == "message":
            key = (event.direction, event.local, _remote(event), event.head)
            if key in seen:
                label += " [again]"
            seen.add(key)
        rows.append((f"{event.at - start:8.3f}  ", _safe(label, ascii_only), event))
    return rows


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


def _arrow(label: str, parties: list[str], columns: list[int], event: TraceEvent, glyphs: _Glyphs) -> str:
    """The lifelines of one row with the arrow of its message between two of them."""
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
    return before + body + after


def _crossing(columns: list[int], glyphs: _Glyphs, start: int = _TIME_COLUMNS) -> str:
    """Lifelines at *columns*, the text beginning at the column *start*."""
    line = ""
    for column in columns:
        line = line.ljust(column - start) + glyphs.lifeline
    return line


def _list(rows: list[tuple[str, str, TraceEvent]], ascii_only: bool) -> list[str]:
    """One line an event, for more parties than fit side by side, or a single one."""
    lines: list[str] = []
    for at, label, event in rows:
        local, remote = _safe(_local(event), ascii_only), _safe(_remote(event), ascii_only)
        if event.kind == "note":
            lines.append(f"{at}* {label}")
        elif event.direction == "out":
            lines.append(f"{at}{local} -> {remote}  {label}")
        else:
            lines.append(f"{at}{remote} -> {local}  {label}")
    return lines
