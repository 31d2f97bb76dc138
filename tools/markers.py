"""Which test shows which row: writes docs/acceptance.rst and docs/faults.rst from the tests' own docstrings.

A test method, or a class of tests, names what it shows with a marker in its docstring: ``row:A6`` for a row of
``tests/data/acceptance_rows.txt``, ``fault:A5`` for one of ``tests/data/fault_classes.txt``. The tests are read as
source, not imported, so this needs nothing but Python.

::

    python tools/markers.py                    writes the pages
    python tools/markers.py --check            fails when the pages are not what the tests say, or a marker names no row
    python tools/markers.py --check --part 1   fails also when a row of part 1, or of one before it, has no test
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from pathlib import Path

__all__ = ["Marked", "Row", "Table", "collect", "main", "page", "read_table"]

ROOT = Path(__file__).resolve().parent.parent
MARKER = re.compile(r"\b(row|fault):([A-M][1-9][0-9]?)\b", re.ASCII)
LATER = 99

ACCEPTANCE_INTRODUCTION = """\
What is shown, row by row
=========================

The system that sip_p2p answers is the signalling layer of Microsoft's UCMA, and in it ``SipPeerToPeerEndpoint``. Each
row is one thing which that layer does, or gets wrong, or leaves out. The tests in the last column show it here. Run one
with ``make test TESTS=`` and its name.

This page is written by ``tools/markers.py`` from the docstrings of the tests.
"""

FAULTS_INTRODUCTION = """\
What attackers and accidents do, class by class
===============================================

Each row is one way in which SIP endpoints are known to break, collected from advisories and from the fixes of widely
used stacks. The tests in the last column attack ours in that way. Run one with ``make test TESTS=`` and its name.

This page is written by ``tools/markers.py`` from the docstrings of the tests.
"""


class Row:
    """One line of a table: its identifier, the part of the work that shows it, what it is."""

    def __init__(self, identifier: str, part: int, text: str) -> None:
        self.identifier = identifier
        self.part = part
        self.text = text


class Table:
    """The rows of one data file, under the headings that it gives them (``# A: heading``)."""

    def __init__(self, kind: str, sections: list[tuple[str, list[Row]]]) -> None:
        self.kind = kind
        self.sections = sections

    @property
    def rows(self) -> dict[str, Row]:
        """Every row by its identifier."""
        return {row.identifier: row for _, rows in self.sections for row in rows}


class Marked:
    """A test and one marker that its docstring carries."""

    def __init__(self, kind: str, identifier: str, test: str) -> None:
        self.kind = kind
        self.identifier = identifier
        self.test = test


def read_table(path: Path, kind: str) -> Table:
    """Read a data file of lines ``id | part | text``.

    :param kind: the word in the markers of this table, ``row`` or ``fault``.
    :raises ValueError: for a line that is not understood, and for an identifier that stands twice.
    """
    sections: list[tuple[str, list[Row]]] = []
    seen: set[str] = set()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if heading := re.fullmatch(r"# ([A-M]): (.+)", line):
            sections.append((f"{heading[1]}: {heading[2]}", []))
        if not line or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 3 or not sections or cells[0] in seen or sections[-1][0][0] != cells[0][0]:
            raise ValueError(f"{path.name}, line {number}: not a row of this section, or one that stands twice: {line}")
        seen.add(cells[0])
        sections[-1][1].append(Row(cells[0], LATER if cells[1] == "later" else int(cells[1]), cells[2]))
    return Table(kind, sections)


def _documented(tree: ast.Module) -> list[tuple[str, str]]:
    """Every test of a module, and every class of tests, with its docstring."""
    found = []
    for class_ in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        tests = [
            node
            for node in class_.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        ]
        if tests:
            found.append((class_.name, ast.get_docstring(class_) or ""))
        found += [(f"{class_.name}.{test.name}", ast.get_docstring(test) or "") for test in tests]
    return found


def collect(root: Path) -> list[Marked]:
    """Every marker in the tests below *root*, in the order of their names."""
    marked = []
    for path in sorted((root / "tests").rglob("test_*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        for name, docstring in _documented(ast.parse(path.read_text("utf-8"), str(path))):
            for kind, identifier in dict.fromkeys(MARKER.findall(docstring)):
                marked.append(Marked(kind, identifier, f"{module}.{name}"))
    return marked


def page(introduction: str, table: Table, marked: list[Marked]) -> str:
    """The reStructuredText of one page."""
    shown: dict[str, list[str]] = {}
    for marker in marked:
        if marker.kind == table.kind:
            shown.setdefault(marker.identifier, []).append(marker.test)
    lines = [introduction]
    for heading, rows in table.sections:
        lines += [heading, "-" * len(heading), ""]
        lines += [".. list-table::", "   :header-rows: 1", "   :widths: 6 44 50", ""]
        lines += ["   * - row", "     - what it is", "     - shown by"]
        for row in rows:
            tests = shown.get(row.identifier, [])
            lines += [f"   * - {row.identifier}", f"     - {row.text}"]
            if not tests:
                lines.append("     - a later part" if row.part == LATER else "     - *nothing yet*")
            for position, test in enumerate(tests):
                lines.append(f"     {'-' if position == 0 else ' '} | ``{test}``")
        lines.append("")
    return "\n".join(lines)


def _complaints(tables: list[Table], marked: list[Marked], part: int) -> list[str]:
    """What is wrong with the markers themselves."""
    complaints = []
    for table in tables:
        rows = table.rows
        markers = [marker for marker in marked if marker.kind == table.kind]
        complaints += [
            f"{marker.test} names {table.kind}:{marker.identifier}, which does not exist"
            for marker in markers
            if marker.identifier not in rows
        ]
        shown = {marker.identifier for marker in markers}
        complaints += [
            f"no test shows {table.kind}:{row.identifier}: {row.text}"
            for row in rows.values()
            if row.part <= part and row.identifier not in shown
        ]
    return complaints


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the pages, or check them; the exit code is 1 when something is wrong."""
    parser = argparse.ArgumentParser(
        description="docs/acceptance.rst and docs/faults.rst from the docstrings of the tests"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is not current")
    parser.add_argument(
        "--part", type=int, default=0, help="fail when a row of this part, or of one before it, has no test"
    )
    options = parser.parse_args(arguments)
    acceptance = read_table(root / "tests/data/acceptance_rows.txt", "row")
    faults = read_table(root / "tests/data/fault_classes.txt", "fault")
    marked = collect(root)
    complaints = _complaints([acceptance, faults], marked, options.part)
    for name, introduction, table in (
        ("acceptance.rst", ACCEPTANCE_INTRODUCTION, acceptance),
        ("faults.rst", FAULTS_INTRODUCTION, faults),
    ):
        target = root / "docs" / name
        text = page(introduction, table, marked)
        if not options.check:
            target.write_text(text, "utf-8")
        elif not target.exists() or target.read_text("utf-8") != text:
            complaints.append(f"docs/{name} is not what the tests say: run make rows")
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
