"""Draws the four transaction machines from the tables in their tests: docs/machines.rst and docs/figures/*.svg.

Each table is the literal ``TABLE`` of a module in ``tests/sip/transaction``: for every state and input, what follows
over an unreliable transport and what over a reliable one. It is read as source, not imported, so that this needs only
Python. What the tests prove and what the documents show is thereby the same thing.

::

    python tools/figures.py            writes the page and the figures
    python tools/figures.py --check    fails when they are not what the tables say
"""

from __future__ import annotations

import argparse
import ast
import sys
from html import escape
from pathlib import Path

__all__ = ["Machine", "figure", "main", "page", "read_machine"]

ROOT = Path(__file__).resolve().parent.parent
TABLES = "tests/sip/transaction"

MACHINES = (
    ("invite_client", "The INVITE client", "RFC 3261 section 17.1.1, Figure 5, with RFC 6026"),
    ("non_invite_client", "The non-INVITE client", "RFC 3261 section 17.1.2, Figure 6"),
    ("invite_server", "The INVITE server", "RFC 3261 section 17.2.1, Figure 7, with RFC 6026"),
    ("non_invite_server", "The non-INVITE server", "RFC 3261 section 17.2.2, Figure 8, with RFC 4320"),
)

INTRODUCTION = """\
The transaction machines
========================

Drawn by ``tools/figures.py`` from the tables in ``tests/sip/transaction``, which the tests hold against the code, pair
by pair. A figure shows an unreliable transport; a table shows both kinds. ``>200`` is sent, ``user:200`` is told to the
transaction user, ``counted`` is dropped but for a counter, ``!`` is an exception for the caller. A single letter is a
timer.
"""

STYLE = (
    "text { font: 12px sans-serif; paint-order: stroke; stroke: #fff; stroke-width: 5px }"
    " rect { fill: #fff; stroke: #345; stroke-width: 1.5px }"
    " .arrow { fill: none; stroke: #345; marker-end: url(#head) }"
)
BOX_WIDTH, BOX_HEIGHT, GAP, LEFT = 150, 40, 110, 330
LINE = 15


class Machine:
    """One machine: its states in the order of the table, and its rows."""

    def __init__(self, name: str, title: str, standard: str, rows: list[tuple[str, str, str, str]]) -> None:
        self.name = name
        self.title = title
        self.standard = standard
        self.rows = rows
        self.states = list(dict.fromkeys(row[0] for row in rows))

    def edges(self) -> dict[tuple[str, str], list[str]]:
        """Over an unreliable transport: from each state to each next one, the words of the arrow."""
        found: dict[tuple[str, str], list[str]] = {}
        for state, what, unreliable, _ in self.rows:
            following, *outputs = unreliable.split()
            if following not in self.states or state == "terminated":
                continue
            # What is only counted, or is the caller's mistake, moves nothing.
            if any(output.startswith(("counted:", "!")) for output in outputs):
                continue
            if following == state and not outputs:
                continue
            label = f"{what}: {' '.join(outputs)}" if outputs else what
            found.setdefault((state, following), []).append(label)
        return found


def read_machine(path: Path, name: str, title: str, standard: str) -> Machine:
    """The machine whose ``TABLE`` stands in the module at *path*.

    :raises ValueError: when there is no such table, or a cell of it is not a literal.
    """
    tree = ast.parse(path.read_text("utf-8"), str(path))
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
            return Machine(name, title, standard, [_row(element, words) for element in node.value.elts])
    raise ValueError(f"{path} has no literal TABLE")


def _row(element: ast.expr, words: dict[str, str]) -> tuple[str, str, str, str]:
    if not isinstance(element, ast.Tuple) or len(element.elts) != 4:
        raise ValueError(
            f"line {element.lineno}: a row is a state, an input and what follows over two kinds of transport"
        )
    cells = []
    for cell in element.elts:
        if isinstance(cell, ast.Constant) and isinstance(cell.value, str):
            cells.append(cell.value)
        elif isinstance(cell, ast.Name) and cell.id in words:
            cells.append(words[cell.id])
        else:
            raise ValueError(f"line {cell.lineno}: not a literal")
    return cells[0], cells[1], cells[2], cells[3]


def _text(x: float, y: float, lines: list[str], anchor: str) -> list[str]:
    return [
        f'<text x="{x:g}" y="{y + number * LINE:g}" text-anchor="{anchor}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]


def _straight(top: float, labels: list[str]) -> list[str]:
    """The arrow from one box to the box below it."""
    x = LEFT + BOX_WIDTH / 2
    middle = top + GAP / 2 - (len(labels) - 1) * LINE / 2 + 4
    return [f'<path d="M {x:g} {top:g} V {top + GAP:g}" class="arrow"/>', *_text(x + 8, middle, labels, "start")]


def _around(start: float, end: float, depth: float, labels: list[str]) -> list[str]:
    """The arrow past the boxes that stand between two others."""
    edge = LEFT + BOX_WIDTH
    out = edge + depth
    first, second = start + BOX_HEIGHT / 2 + 8, end + BOX_HEIGHT / 2 - 8
    middle = (first + second) / 2 - (len(labels) - 1) * LINE / 2 + 4
    path = f"M {edge:g} {first:g} H {out:g} V {second:g} H {edge:g}"
    return [f'<path d="{path}" class="arrow"/>', *_text(out + 6, middle, labels, "start")]


def _loop(top: float, labels: list[str]) -> list[str]:
    """What a state does without being left."""
    y = top + BOX_HEIGHT / 2
    path = f"M {LEFT:g} {y - 10:g} H {LEFT - 24:g} V {y + 10:g} H {LEFT:g}"
    middle = y - (len(labels) - 1) * LINE / 2 + 4
    return [f'<path d="{path}" class="arrow"/>', *_text(LEFT - 30, middle, labels, "end")]


def figure(machine: Machine) -> str:
    """The figure of one machine as SVG."""
    tops = {state: 10 + number * (BOX_HEIGHT + GAP) for number, state in enumerate(machine.states)}
    height = 20 + len(machine.states) * (BOX_HEIGHT + GAP) - GAP
    body: list[str] = []
    depth = 100.0
    for (state, following), labels in machine.edges().items():
        distance = machine.states.index(following) - machine.states.index(state)
        if distance == 0:
            body += _loop(tops[state], labels)
        elif distance == 1:
            body += _straight(tops[state] + BOX_HEIGHT, labels)
        else:
            body += _around(tops[state], tops[following], depth, labels)
            depth += 150
    for state, top in tops.items():
        body.append(f'<rect x="{LEFT}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>')
        body += _text(LEFT + BOX_WIDTH / 2, top + BOX_HEIGHT / 2 + 5, [state.capitalize()], "middle")
    width = LEFT + BOX_WIDTH + depth + 60
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


def page(machines: list[Machine]) -> str:
    """The reStructuredText of the page."""
    lines = [INTRODUCTION]
    for machine in machines:
        lines += [machine.title, "-" * len(machine.title), "", f"{machine.standard}.", ""]
        lines += [f".. image:: figures/{machine.name}.svg", f"   :alt: {machine.title}", ""]
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 16 16 34 34", ""]
        for row in [("state", "input", "unreliable", "reliable"), *machine.rows]:
            if set(row[2:]) <= {"absent", "idle"}:
                continue
            cells = row if row[0] == "state" else (row[0], row[1], f"``{row[2]}``", f"``{row[3]}``")
            lines += [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(cells)]
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the page and the figures, or check them; the exit code is 1 when one is not current."""
    parser = argparse.ArgumentParser(description="docs/machines.rst and its figures from the tables in the tests")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something is not current")
    options = parser.parse_args(arguments)
    machines = [read_machine(root / TABLES / f"test_{name}.py", name, *words) for name, *words in MACHINES]
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
