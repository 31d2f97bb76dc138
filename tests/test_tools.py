"""The tools that write the generated documents and add up the results."""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import figures  # noqa: E402
import markers  # noqa: E402
import totals  # noqa: E402

ROWS = """\
# A: an endpoint
A1  | 1     | it is made
A2  | later | it is found
"""

FAULTS = """\
# B: injection
B1  | 1     | a line end
"""

TESTS = '''\
class SomeTests:
    """Several things (fault:B1)."""

    def test_made(self):
        """It is made (row:A1)."""
'''


class MarkersTests(SynchronousTestCase):
    """tools/markers.py."""

    def setUp(self) -> None:
        """A small repository of its own."""
        self.root = Path(self.mktemp())
        (self.root / "tests/data").mkdir(parents=True)
        (self.root / "docs").mkdir()
        (self.root / "tests/data/acceptance_rows.txt").write_text(ROWS)
        (self.root / "tests/data/fault_classes.txt").write_text(FAULTS)
        (self.root / "tests/test_some.py").write_text(TESTS)

    def run_tool(self, *arguments: str) -> tuple[int, list[str]]:
        """The exit code, and what the tool complains of."""
        complaints = io.StringIO()
        with contextlib.redirect_stderr(complaints):
            code = markers.main(list(arguments), self.root)
        return code, complaints.getvalue().splitlines()

    def test_pages(self) -> None:
        """Each row stands in the page with the tests that show it, and what is later says so."""
        self.assertEqual(self.run_tool(), (0, []))
        text = (self.root / "docs/acceptance.rst").read_text()
        self.assertIn("   * - A1\n     - it is made\n     - | ``tests.test_some.SomeTests.test_made``\n", text)
        self.assertIn("   * - A2\n     - it is found\n     - a later part\n", text)
        self.assertIn("| ``tests.test_some.SomeTests``\n", (self.root / "docs/faults.rst").read_text())

    def test_current(self) -> None:
        """The check passes after writing, and fails when a page was changed by hand."""
        self.run_tool()
        self.assertEqual(self.run_tool("--check", "--part", "1"), (0, []))
        page = self.root / "docs/faults.rst"
        page.write_text(page.read_text() + "\nmore\n")
        self.assertEqual(self.run_tool("--check"), (1, ["docs/faults.rst is not what the tests say: run make rows"]))

    def test_missing_test(self) -> None:
        """A row of the part that nothing shows fails the check, by name."""
        (self.root / "tests/test_some.py").write_text(TESTS.replace("row:A1", "row 1"))
        self.run_tool()
        self.assertEqual(self.run_tool("--check", "--part", "1"), (1, ["no test shows row:A1: it is made"]))

    def test_unknown_row(self) -> None:
        """A marker that names no row fails, with the test that carries it."""
        (self.root / "tests/test_some.py").write_text(TESTS.replace("row:A1", "row:A7"))
        wrong = "tests.test_some.SomeTests.test_made names row:A7, which does not exist"
        self.assertEqual(self.run_tool(), (1, [wrong]))

    def test_bad_table(self) -> None:
        """A line that is no row of its section is refused."""
        (self.root / "tests/data/fault_classes.txt").write_text(FAULTS + "A1 | 1 | elsewhere\n")
        self.assertRaises(ValueError, markers.main, [], self.root)

    def test_every_row_of_the_tables(self) -> None:
        """The tables hold the 221 rows and the 106 classes."""
        acceptance = markers.read_table(ROOT / "tests/data/acceptance_rows.txt", "row")
        faults = markers.read_table(ROOT / "tests/data/fault_classes.txt", "fault")
        self.assertEqual((len(acceptance.rows), len(faults.rows)), (221, 106))


class FiguresTests(SynchronousTestCase):
    """tools/figures.py."""

    def machine(self, table: str) -> figures.Machine:
        """A machine read from a module with *table*."""
        path = Path(self.mktemp())
        path.write_text(dedent(table))
        return figures.read_machine(path, "some", "Some machine", "RFC 3261")

    def test_arrows(self) -> None:
        """A row is an arrow from its state to the next; what is only counted, or does not run, is none."""
        machine = self.machine(
            """\
            IDLE = "idle"
            TABLE: list[Row] = [
                ("trying", "2xx", "completed user:200", "terminated user:200"),
                ("trying", "E", "trying >OPTIONS", IDLE),
                ("completed", "2xx", "completed counted:again", "absent"),
                ("completed", "E", IDLE, IDLE),
            ]
            """
        )
        self.assertEqual(
            machine.edges(), {("trying", "completed"): ["2xx: user:200"], ("trying", "trying"): ["E: >OPTIONS"]}
        )
        drawn = figures.figure(machine)
        self.assertIn(">Completed</text>", drawn)
        self.assertIn(">E: &gt;OPTIONS</text>", drawn)
        self.assertNotIn("- E", figures.page([machine]).partition("completed\n")[2])

    def test_one_column(self) -> None:
        """A table that knows no transports has one column, its note becomes a sentence, and what cannot be is left
        out."""
        machine = self.machine(
            """\
            TABLE = [
                # state, input, what follows; late is after
                # the end
                ("idle", "call", "busy >INVITE"),
                ("idle", "486", "idle impossible"),
                ("busy", "200", "late user:200"),
                ("busy", "487", "late user:200"),
                ("busy", "call", "busy !InvalidOperation"),
                ("late", "200", "late"),
            ]
            """
        )
        self.assertEqual(
            machine.edges(), {("idle", "busy"): ["call: >INVITE"], ("busy", "late"): ["200, 487: user:200"]}
        )
        machine.folder = "dialog"
        written = figures.page([machine])
        self.assertIn("RFC 3261. Late is after the end.\n", written)
        self.assertIn("   * - state\n     - input\n     - what follows\n   * - idle\n     - call\n", written)
        self.assertNotIn("486", written)
        self.assertIn("Dialogs and sessions\n---", written)

    def test_states_of_several_words(self) -> None:
        """A state may have several words, and an outcome may name it by what is under way, or leave out who called."""
        machine = self.machine(
            """\
            TABLE = [
                ("early, we called", "200", "accepted >ACK"),
                ("early, we called", "BYE", "idle"),
                ("accepted, we called", "refresh", "confirmed: we UPDATE; >UPDATE"),
                ("accepted, we called", "BYE", "accepted: they BYE >200"),
                ("we UPDATE", "491", "confirmed: we wait"),
                ("we UPDATE", "200", "confirmed: we UPDATE, they BYE; >x"),
                ("we wait after 491", "time", "confirmed: we UPDATE >UPDATE [told]"),
            ]
            """
        )
        self.assertEqual(
            machine.edges(),
            {
                ("early, we called", "accepted, we called"): ["200: >ACK"],
                ("accepted, we called", "accepted, we called"): ["BYE: >200"],
                ("accepted, we called", "we UPDATE"): ["refresh: >UPDATE"],
                ("we UPDATE", "we wait after 491"): ["491"],
                ("we wait after 491", "we UPDATE"): ["time: >UPDATE [told]"],
            },
        )

    def test_crowds(self) -> None:
        """Arrows of which many lead to one box become words beside the boxes that they leave."""
        states = "abcdefg"
        rows = [(state, "on", f"{following} >x") for state, following in itertools.pairwise(states)]
        rows += [("g", "on", "g"), *((state, "off", "g user:end") for state in states[:5])]
        crowded = figures.figure(figures.Machine("some", "Some", "RFC 3261", rows))
        self.assertEqual(crowded.count(">off \N{RIGHTWARDS ARROW} g</text>"), 5)
        few = figures.figure(figures.Machine("some", "Some", "RFC 3261", rows[:-2]))
        self.assertEqual((few.count("RIGHTWARDS"), few.count(">off: user:end</text>")), (0, 3))

    def test_mixed_rows(self) -> None:
        """A table whose rows have different columns is refused."""
        self.assertRaises(ValueError, self.machine, 'TABLE = [("a", "b", "a"), ("a", "c", "a", "a")]\n')

    def test_every_machine(self) -> None:
        """Each machine of the page has its table, and every arrow of every figure lies within it."""
        for folder, name, title, standard in figures.MACHINES:
            machine = figures.read_machine(figures.table_of(ROOT, folder, name), name, title, standard, folder)
            self.assertTrue(machine.edges(), name)
            drawing = figures.Drawing(machine)
            drawing.elements()
            self.assertGreater(drawing.left, 0)
            for number, lines in drawing.words.items():
                self.assertLessEqual(len(lines) * figures.LINE, drawing.heights[number], (name, number))

    def test_no_table(self) -> None:
        """A module without a literal table is refused."""
        self.assertRaises(ValueError, self.machine, "TABLE = make()\n")

    def test_not_literal(self) -> None:
        """So is a cell that is worked out."""
        self.assertRaises(ValueError, self.machine, 'TABLE = [("a", "b", "c", word())]\n')


class TotalsTests(SynchronousTestCase):
    """tools/totals.py."""

    def test_passed(self) -> None:
        """A suite that passed, with tests that were skipped."""
        self.assertEqual(totals.totals("Ran 7 tests in 1.0s\n\nPASSED (skips=2, successes=5)\n"), (5, 0, 2))

    def test_failed(self) -> None:
        """Failures, errors and unexpected successes all count as failed."""
        log = "x\nRan 9 tests in 1.0s\n\nFAILED (failures=1, errors=2, unexpectedSuccesses=1, successes=5)\n"
        self.assertEqual(totals.totals(log), (5, 4, 0))

    def test_cut_short(self) -> None:
        """A suite that did not get to its end is one failure."""
        self.assertEqual(totals.totals("tests.test_x ... [OK]\n"), (0, 1, 0))

    def test_sum(self) -> None:
        """The last line is the sum; nothing run at all is no success."""
        logs = [Path(self.mktemp()) for _ in range(3)]
        logs[0].write_text("Ran 7 tests in 1.0s\n\nPASSED (skips=2, successes=5)\n")
        logs[1].write_text("Ran 2 tests in 1.0s\n\nPASSED (successes=2)\n")
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            codes = [totals.main([str(path) for path in some]) for some in (logs[:2], logs, [])]
        self.assertEqual(codes, [0, 1, 1])
        self.assertIn("7 passed, 0 failed, 2 skipped\n", written.getvalue())
        self.assertIn("7 passed, 1 failed, 2 skipped\n", written.getvalue())
