"""``sip-p2p ladder``: from a trace on disk to the terminal."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

from twisted.python import usage

from sip_p2p.observe.trace import TraceEvent
from sip_p2p.service.cli import run
from sip_p2p.service.commands.drawing import LadderOptions, draws_lines, terminal_width
from sip_p2p.service.words import ExitCode
from tests.support import SynchronousTestCase


def event(at: float, start_line: str, *fields: str, peer: str = "b.example") -> str:
    """One line of a trace."""
    head = "\r\n".join((start_line, *fields))
    return TraceEvent(
        "message", at, direction="out", local="a.example", remote="192.0.2.1:5061", peer=peer, head=head
    ).to_json()


TRACE = (
    event(1.0, "OPTIONS sip:bob@b.example SIP/2.0", "Call-ID: one"),
    event(2.0, "INFO sip:carol@c.example SIP/2.0", "i: two", peer="c.example"),
)


class _Terminal(io.StringIO):
    """A terminal of a given encoding."""

    encoding = "ascii"

    def isatty(self) -> bool:
        """It is one."""
        return True


class LadderTests(SynchronousTestCase):
    """The command."""

    def drawn(self, *arguments: str) -> tuple[ExitCode, str, str]:
        """What ``sip-p2p ladder`` does with *arguments*: exit code, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        return run(["ladder", *arguments], out, err), out.getvalue(), err.getvalue()

    def trace(self, *lines: str) -> str:
        """The name of a file with *lines*."""
        path = Path(self.mktemp())
        path.write_text("".join(f"{line}\n" for line in lines))
        return str(path)

    def test_a_trace_is_drawn(self) -> None:
        """The file's messages become arrows."""
        code, out, err = self.drawn("--ascii", "--width", "90", self.trace(*TRACE))
        self.assertEqual((code, err), (ExitCode.OK, ""))
        self.assertEqual(
            out,
            """\
          a.example                              b.example                       c.example
   0.000  |-- OPTIONS sip:bob@b.example -------->|                                      |
   1.000  |-- INFO sip:carol@c.example ------------------------------------------------>|
""",
        )

    def test_filters(self) -> None:
        """Call-ID, method and peer each leave their part, and a word when nothing is left."""
        path = self.trace(*TRACE)
        for arguments, expected in (
            (("--call-id", "two"), "INFO"),
            (("-m", "OPTIONS"), "OPTIONS"),
            (("--peer", "c.example"), "INFO"),
        ):
            with self.subTest(arguments):
                code, out, err = self.drawn(*arguments, path)
                self.assertEqual((code, err, len(out.splitlines())), (ExitCode.OK, "", 2))
                self.assertIn(expected, out)
        self.assertEqual(
            self.drawn("--method", "BYE", path), (ExitCode.OK, "", "sip-p2p: nothing in the trace matches\n")
        )

    def test_bad_lines_are_named_and_passed_over(self) -> None:
        """A damaged line is named with its number and does not hide the rest."""
        path = self.trace(TRACE[0], "{damaged\x1b", TRACE[1][:40])
        code, out, err = self.drawn("--ascii", path)
        self.assertEqual((code, len(out.splitlines())), (ExitCode.OK, 2))
        self.assertEqual(
            err,
            f"sip-p2p: {path}:2: not a line of a trace: not JSON (JSONDecodeError)\n"
            f"sip-p2p: {path}:3: not a line of a trace: not JSON (JSONDecodeError)\n",
        )

    def test_nothing_but_bad_lines(self) -> None:
        """A file that is no trace at all is wrong input; an empty one is merely empty."""
        code, out, err = self.drawn(self.trace("what", "is this"))
        self.assertEqual((code, out, err.count("\n")), (ExitCode.USAGE, "", 3))
        self.assertEqual(self.drawn(self.trace()), (ExitCode.OK, "", "sip-p2p: the trace is empty\n"))
        many = self.drawn(self.trace(*["what"] * 300))[2].splitlines()
        self.assertEqual((len(many), "290 more" in many[10]), (12, True))

    def test_standard_input(self) -> None:
        """A single - reads what is piped in."""
        with open(self.trace(*TRACE), encoding="utf-8") as lines:
            self.patch(sys, "stdin", lines)
            self.assertEqual(len(self.drawn("-")[1].splitlines()), 3)

    def test_mistakes(self) -> None:
        """Each has its line."""
        cases = (
            ((), "what is to be shown? Give a file that was written with --trace, or --control with"),
            (("a", "b"), "one file at a time; what is b for?"),
            (("a", "--control", "8080"), "a file and --control are given: which of them is to be shown?"),
            (("a", "--flow", "x"), "--flow x is not the number of a flow"),
            (("--width", "39", "a"), "--width 39 is not a number of columns from 40 upwards"),
            (("--width", "x", "a"), "--width x is not a number of columns from 40 upwards"),
        )
        for arguments, expected in cases:
            with self.subTest(arguments):
                error = self.assertRaises(usage.UsageError, LadderOptions().parseOptions, list(arguments))
                self.assertTrue(str(error).startswith(expected), str(error))
        code, _, err = self.drawn(os.path.join(self.mktemp(), "missing"))
        self.assertEqual(code, ExitCode.USAGE)
        self.assertTrue(err.endswith("missing: No such file or directory: give a file written with --trace\n"), err)


class TerminalTests(SynchronousTestCase):
    """What the ladder is drawn with."""

    def test_width(self) -> None:
        """A file gets a hundred columns, a terminal its own width, and never too few."""
        self.assertEqual(terminal_width(io.StringIO()), 100)
        self.patch(os, "environ", {**os.environ, "COLUMNS": "72"})
        self.assertEqual(terminal_width(_Terminal()), 72)
        os.environ["COLUMNS"] = "10"
        self.assertEqual(terminal_width(_Terminal()), 40)

    def test_characters(self) -> None:
        """Line drawing characters go only where they can be shown."""
        with open(self.mktemp(), "w", encoding="utf-8") as file:
            self.assertTrue(draws_lines(file))
        self.assertFalse(draws_lines(_Terminal()))
