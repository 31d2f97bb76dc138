"""Draws the machines from the tables in their tests: docs/machines.rst and docs/figures/*.svg.

Each table is the literal ``TABLE`` of a module in ``tests/sip/transaction`` or ``tests/sip/dialog``: for every state
and input, what follows; for a transaction, over an unreliable transport and over a reliable one. It is read as source,
not imported, so that this needs only Python. What the tests prove and what the documents show is thereby the same.

::

    python tools/figures.py            writes the page and the figures
    python tools/figures.py --check    fails when they are not what the tables say
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from html import escape
from pathlib import Path

__all__ = ["MACHINES", "Drawing", "Machine", "figure", "main", "page", "read_machine", "table_of"]

ROOT = Path(__file__).resolve().parent.parent
TABLES = "tests/sip"

MACHINES = (
    ("transaction", "invite_client", "The INVITE client", "RFC 3261 section 17.1.1, Figure 5, with RFC 6026"),
    ("transaction", "non_invite_client", "The non-INVITE client", "RFC 3261 section 17.1.2, Figure 6"),
    ("transaction", "invite_server", "The INVITE server", "RFC 3261 section 17.2.1, Figure 7, with RFC 6026"),
    ("transaction", "non_invite_server", "The non-INVITE server", "RFC 3261 section 17.2.2, Figure 8, with RFC 4320"),
    ("dialog", "client_invitation", "An INVITE that we send", "RFC 3261 sections 9.1 and 13.2, with RFC 6228"),
    ("dialog", "server_invitation", "An INVITE that we receive", "RFC 3261 sections 9.2 and 13.3"),
    ("dialog", "usage", "What INVITE makes of a dialog", "RFC 3261 sections 12 to 15, RFC 5057, RFC 5407"),
    ("dialog", "reliable", "Reliable provisional responses, sent", "RFC 3262 section 3"),
    ("dialog", "offer_answer", "Offer and answer", "RFC 3264, RFC 6337 section 2"),
    ("dialog", "modification", "Who may change a session", "RFC 3261 section 14, RFC 3311 section 5, RFC 5407"),
    ("dialog", "acknowledgement", "A 2xx until its ACK", "RFC 3261 section 13.3.1.4"),
    ("dialog", "session_timer", "The session timer", "RFC 4028 sections 7, 9 and 10"),
    ("event", "subscriber", "A subscription of ours", "RFC 6665 section 4.1.2, with RFC 5839"),
    ("event", "notifier", "A subscription of a peer's", "RFC 6665 sections 4.2 and 4.4"),
    ("event", "publisher", "A publication of ours", "RFC 3903 sections 4 and 5"),
    ("event", "referring", "A REFER of ours", "RFC 3515 section 2.4, with RFC 4488 and RFC 7614"),
    ("registration", "binding", "A binding at a registrar", "RFC 3261 section 10.2, RFC 5626 section 4"),
    ("documents", "is_composing", "Somebody who writes", "RFC 3994 section 3.2, Figure 1"),
)

INTRODUCTION = """\
The machines
============

Drawn by ``tools/figures.py`` from the tables in ``tests/sip``, which the tests hold against the code, pair by pair.
``>200`` is sent, ``user:200`` is told to whoever uses the machine, ``counted`` is dropped but for a counter, ``!`` is
an exception for the caller. A single letter is a timer. A figure leaves out what changes nothing and says nothing.
"""

CHAPTERS = {
    "transaction": """\
Transactions
------------

A figure shows an unreliable transport; a table shows both kinds.
""",
    "dialog": """\
Dialogs and sessions
--------------------

Reliability is the business of the transactions below, so there is one column. What an application sees of all this is
in :doc:`sessions`.
""",
    "event": """\
Events
------

The usages that SUBSCRIBE, REFER and PUBLISH make. What an application sees of all this is in :doc:`subscriptions`.
""",
    "registration": """\
Registration
------------

What an application sees of it is in :doc:`registration`.
""",
    "documents": """\
Texts
-----

What tells others that somebody is writing. What an application sees of it is in :doc:`messaging`.
""",
}

STYLE = (
    "text { font: 12px sans-serif; paint-order: stroke; stroke: #fff; stroke-width: 5px }"
    " rect { fill: #fff; stroke: #345; stroke-width: 1.5px }"
    " .arrow { fill: none; stroke: #345; marker-end: url(#head) }"
)
BOX_WIDTH, BOX_HEIGHT, GAP = 150, 40, 50
LINE = 15
LETTER = 6.8
LABEL, NARROW = 46, 26
CROWD, BUSY, WORDY = 4, 12, 6
SILENT = {"absent", "idle"}
OUTPUT = re.compile(r"[;>\[!<]|\b(?:counted|user):")


class Machine:
    """One machine: its states in the order of the table, and its rows.

    :ivar rows: state, input, and what follows: once, or over an unreliable and over a reliable transport.
    :ivar note: what the table says of its states and words.
    """

    def __init__(
        self,
        name: str,
        title: str,
        standard: str,
        rows: list[tuple[str, ...]],
        folder: str = "transaction",
        note: str = "",
    ) -> None:
        self.name = name
        self.title = title
        self.standard = standard
        self.rows = rows
        self.folder = folder
        self.note = note
        self.states = list(dict.fromkeys(row[0] for row in rows))

    @property
    def has_transports(self) -> bool:
        """Whether the table tells an unreliable transport from a reliable one."""
        return len(self.rows[0]) == 4

    def is_possible(self, row: tuple[str, ...]) -> bool:
        """Whether the input can come in the state at all."""
        if set(row[2:]) <= SILENT and not set(row[2:]) & set(self.states):
            return False
        return self.has_transports or "impossible" not in row[2].split()

    def edges(self) -> dict[tuple[str, str], list[str]]:
        """Over an unreliable transport: from each state to each next one, the words of the arrow.

        Inputs with the same outputs share their words.
        """
        found: dict[tuple[str, str], dict[str, list[str]]] = {}
        for row in self.rows:
            state, what, unreliable = row[:3]
            following, outputs = self._following(state, unreliable)
            if following not in self.states or state == "terminated" or not self.is_possible(row):
                continue
            # What is only counted, or is the caller's mistake, moves nothing.
            if any(output.startswith(("counted:", "!")) for output in outputs):
                continue
            if following == state and not outputs:
                continue
            found.setdefault((state, following), {}).setdefault(" ".join(outputs), []).append(what)
        return {
            edge: [
                f"{', '.join(inputs)}: {outputs}" if outputs else ", ".join(inputs) for outputs, inputs in words.items()
            ]
            for edge, words in found.items()
        }

    def _following(self, state: str, cell: str) -> tuple[str, list[str]]:
        """The state that *cell* leads to from *state*, and what is said on the way.

        A state of several words ends at a semicolon or where something is said. ``confirmed: we UPDATE`` is the state
        ``we UPDATE``, and one that is told apart by who called is the one of the same caller.
        """
        first, *outputs = cell.split()
        if first in self.states:
            return first, outputs
        said = OUTPUT.search(cell)
        head, rest = (cell, "") if said is None else (cell[: said.start()], cell[said.start() :])
        head = head.strip(" ;")
        start, _, under_way = head.rpartition(": ")
        _, mark, who = state.partition(", ")
        candidates = [head, f"{head}{mark}{who}", *([f"{start}{mark}{who}"] if mark else []), under_way]
        candidates += [each for each in self.states if each.startswith(f"{under_way} ")]
        return next((each for each in candidates if each in self.states), head), rest.lstrip("; ").split()


def read_machine(path: Path, name: str, title: str, standard: str, folder: str = "transaction") -> Machine:
    """The machine whose ``TABLE`` stands in the module at *path*.

    :raises ValueError: when there is no such table, or a cell of it is not a literal.
    """
    source = path.read_text("utf-8")
    tree = ast.parse(source, str(path))
    words: dict[str, str] = {"ABSENT": "absent", "IDLE": "idle"}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        elif isinstance(node, ast.AnnAssign):
            target = node.target
        else:
            continue
        if not isinstance(target, ast.Name):
            continue
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            words[target.id] = node.value.value
        if target.id == "TABLE" and isinstance(node.value, ast.List):
            rows = [_row(element, words) for element in node.value.elts]
            if len({len(row) for row in rows}) > 1:
                raise ValueError(f"{path}: some rows tell transports apart and some do not")
            segment = ast.get_source_segment(source, node) or ""
            return Machine(name, title, standard, rows, folder, _note(segment))
    raise ValueError(f"{path} has no literal TABLE")


def table_of(root: Path, folder: str, name: str) -> Path:
    """The module with the table of a machine: that of its tests or, where it fills one of its own, the one beside."""
    # The documents stand beside SIP.
    home = root / "tests" if folder == "documents" else root / TABLES
    path = home / folder / f"test_{name}.py"
    return path if "\nTABLE" in path.read_text("utf-8") else path.with_name(f"{name}_table.py")


def _row(element: ast.expr, words: dict[str, str]) -> tuple[str, ...]:
    if not isinstance(element, ast.Tuple) or len(element.elts) not in (3, 4):
        raise ValueError(
            f"line {element.lineno}: a row is a state, an input and what follows, once or over two kinds of transport"
        )
    cells = []
    for cell in element.elts:
        if isinstance(cell, ast.Constant) and isinstance(cell.value, str):
            cells.append(cell.value)
        elif isinstance(cell, ast.Name) and cell.id in words:
            cells.append(words[cell.id])
        else:
            raise ValueError(f"line {cell.lineno}: not a literal")
    return tuple(cells)


def _note(segment: str) -> str:
    """What the comment at the top of a table says behind its semicolon, as a sentence."""
    match = re.match(r"[^\n]*\n((?:\s*#[^\n]*\n)+)", segment)
    if match is None:
        return ""
    text = " ".join(line.strip().lstrip("# ") for line in match[1].splitlines())
    note = text.partition("; ")[2].strip().rstrip(".")
    return f"{note[:1].upper()}{note[1:]}." if note else ""


class Arrow:
    """An arrow between two boxes, with its words and the lines that they are drawn in."""

    def __init__(self, start: int, end: int, labels: list[str]) -> None:
        self.start = start
        self.end = end
        self.labels = labels
        self.lines = _wrapped(labels, LABEL)

    @property
    def inputs(self) -> str:
        """What makes one go along it, without what is said on the way."""
        return ", ".join(label.partition(": ")[0] for label in self.labels)

    @property
    def height(self) -> float:
        """How much room the words take from top to bottom."""
        return len(self.lines) * LINE

    @property
    def width(self) -> float:
        """And from left to right."""
        return max(map(len, self.lines)) * LETTER


class Drawing:
    """The boxes of one machine in a column; what a state does to itself on the left, ways past boxes on the right."""

    def __init__(self, machine: Machine) -> None:
        self.states = machine.states
        arrows = [
            Arrow(self.states.index(state), self.states.index(following), labels)
            for (state, following), labels in machine.edges().items()
        ]
        self.loops = [arrow for arrow in arrows if arrow.start == arrow.end]
        self.steps = [arrow for arrow in arrows if arrow.end == arrow.start + 1]
        self.detours = [arrow for arrow in arrows if arrow.end not in (arrow.start, arrow.start + 1)]
        # Short ways stand next to the boxes.
        self.detours.sort(key=lambda arrow: (abs(arrow.end - arrow.start), arrow.start, arrow.end))
        self.words = {arrow.start: arrow.lines[:] for arrow in self.loops}
        self._thin_out()
        widest = max([len(line) for lines in self.words.values() for line in lines], default=0)
        self.left = widest * LETTER + 50
        self.box = max(BOX_WIDTH, max(map(len, self.states)) * LETTER + 20)
        self.tops: list[float] = []
        self.heights: list[float] = []
        self._place()
        self.right = self.left + self.box + max([arrow.width - self.box / 2 for arrow in self.steps], default=0)

    def _thin_out(self) -> None:
        """Where many arrows lead to one box they become words beside the boxes that they leave; where many are left, or
        one has much to say, they carry the inputs alone."""
        arrivals = [arrow.end for arrow in self.detours]
        crowded = {end for end in arrivals if arrivals.count(end) > CROWD}
        for arrow in self.detours:
            if arrow.end in crowded:
                words = f"{arrow.inputs} \N{RIGHTWARDS ARROW} {self.states[arrow.end]}"
                self.words.setdefault(arrow.start, []).extend(_wrapped([words], LABEL))
        self.detours = [arrow for arrow in self.detours if arrow.end not in crowded]
        for arrow in self.detours:
            if len(self.detours) > BUSY or len(arrow.lines) > WORDY:
                arrow.lines = _wrapped([arrow.inputs], NARROW)

    def _place(self) -> None:
        """Give every box the height that its arrows need, and the room below it that the next arrow's words need."""
        top = 10.0
        for number in range(len(self.states)):
            ends = sum((arrow.start == number) + (arrow.end == number) for arrow in self.detours)
            height = max(BOX_HEIGHT, ends * LINE + 10, len(self.words.get(number, ())) * LINE)
            self.tops.append(top)
            self.heights.append(height)
            words = max([arrow.height for arrow in self.steps if arrow.start == number], default=0)
            top += height + GAP + words
        self.bottom = top

    def _step(self, arrow: Arrow) -> list[str]:
        """The arrow from one box to the box below it."""
        x = self.left + self.box / 2
        top, end = self.tops[arrow.start] + self.heights[arrow.start], self.tops[arrow.end]
        middle = (top + end - arrow.height) / 2 + 11
        return [f'<path d="M {x:g} {top:g} V {end:g}" class="arrow"/>', *_text(x + 8, middle, arrow.lines, "start")]

    def _loop(self, arrow: Arrow) -> list[str]:
        """What a state does without being left."""
        y = self.tops[arrow.start] + self.heights[arrow.start] / 2
        path = f"M {self.left:g} {y - 10:g} H {self.left - 24:g} V {y + 10:g} H {self.left:g}"
        return [f'<path d="{path}" class="arrow"/>']

    def _beside(self, number: int, lines: list[str]) -> list[str]:
        """The words on the left of a box."""
        y = self.tops[number] + (self.heights[number] - len(lines) * LINE) / 2
        return _text(self.left - 30, y + 11, lines, "end")

    def _detours(self) -> list[str]:
        """The arrows past other boxes, each in the first lane on the right in which it meets no other."""
        ports = [self.tops[number] + LINE for number in range(len(self.states))]
        lanes: list[list[tuple[float, float, Arrow, float, float]]] = []
        for arrow in self.detours:
            first, second = ports[arrow.start], ports[arrow.end]
            ports[arrow.start] += LINE
            ports[arrow.end] += LINE
            middle = (first + second) / 2
            top = min(first, second, middle - arrow.height / 2) - LINE
            end = max(first, second, middle + arrow.height / 2) + LINE
            for lane in lanes:
                if all(end < other[0] or top > other[1] for other in lane):
                    break
            else:
                lane = []
                lanes.append(lane)
            lane.append((top, end, arrow, first, second))
        drawn: list[str] = []
        edge = self.left + self.box
        x = self.right + 30
        for lane in lanes:
            for _, _, arrow, first, second in lane:
                path = f"M {edge:g} {first:g} H {x:g} V {second:g} H {edge:g}"
                middle = (first + second - arrow.height) / 2 + 11
                drawn += [f'<path d="{path}" class="arrow"/>', *_text(x + 6, middle, arrow.lines, "start")]
            x += max(arrow.width for _, _, arrow, _, _ in lane) + 24
        self.right = x
        return drawn

    def elements(self) -> list[str]:
        """Everything that is drawn."""
        body: list[str] = []
        for arrow in self.steps:
            body += self._step(arrow)
        for arrow in self.loops:
            body += self._loop(arrow)
        for number, lines in self.words.items():
            body += self._beside(number, lines)
        body += self._detours()
        for state, top, height in zip(self.states, self.tops, self.heights, strict=True):
            body.append(f'<rect x="{self.left:g}" y="{top:g}" width="{self.box:g}" height="{height:g}" rx="6"/>')
            middle = top + height / 2 + 5
            body += _text(self.left + self.box / 2, middle, [state[:1].upper() + state[1:]], "middle")
        return body


def _wrapped(labels: list[str], width: int) -> list[str]:
    return [line for label in labels for line in textwrap.wrap(label, width, break_long_words=False)]


def _text(x: float, y: float, lines: list[str], anchor: str) -> list[str]:
    return [
        f'<text x="{x:g}" y="{y + number * LINE:g}" text-anchor="{anchor}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def figure(machine: Machine) -> str:
    """The figure of one machine as SVG."""
    drawing = Drawing(machine)
    body = drawing.elements()
    width, height = drawing.right + 20, drawing.bottom
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}">',
            f"<title>{escape(machine.title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="head" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
            '<path d="M 0 0 L 9 4 L 0 8 z" fill="#345"/></marker></defs>',
            # Words come last: their white edge keeps them readable where they cross an arrow.
            *sorted(body, key=lambda element: element.startswith("<text")),
            "</svg>",
            "",
        ]
    )


def _table(machine: Machine) -> list[str]:
    """The list-table of one machine, without the pairs that cannot be."""
    heads = ("unreliable", "reliable") if machine.has_transports else ("what follows",)
    widths = "16 16 34 34" if machine.has_transports else "20 24 56"
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in [("state", "input", *heads), *filter(machine.is_possible, machine.rows)]:
        cells = row if row[0] == "state" else (*row[:2], *(f"``{cell}``" for cell in row[2:]))
        lines += [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(cells)]
    return lines


def page(machines: list[Machine]) -> str:
    """The reStructuredText of the page."""
    lines = [INTRODUCTION]
    for folder in dict.fromkeys(machine.folder for machine in machines):
        lines.append(CHAPTERS[folder])
        for machine in machines:
            if machine.folder != folder:
                continue
            lines += [machine.title, "~" * len(machine.title), "", f"{machine.standard}. {machine.note}".rstrip(), ""]
            lines += [f".. image:: figures/{machine.name}.svg", f"   :alt: {machine.title}", "", *_table(machine), ""]
    return "\n".join(lines)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the page and the figures, or check them; the exit code is 1 when one is not current."""
    parser = argparse.ArgumentParser(description="docs/machines.rst and its figures from the tables in the tests")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is not current")
    options = parser.parse_args(arguments)
    machines = [
        read_machine(table_of(root, folder, name), name, title, standard, folder)
        for folder, name, title, standard in MACHINES
    ]
    texts = {root / "docs/machines.rst": page(machines)}
    texts |= {root / f"docs/figures/{machine.name}.svg": figure(machine) for machine in machines}
    stale = [path for path, text in texts.items() if not path.exists() or path.read_text("utf-8") != text]
    if not options.check:
        (root / "docs/figures").mkdir(exist_ok=True)
        for path in stale:
            path.write_text(texts[path], "utf-8")
        return 0
    for path in stale:
        print(f"{path.relative_to(root)} is not what the tables say: run make rows", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
