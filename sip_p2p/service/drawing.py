"""``sip-p2p ladder FILE``: the ladder of a trace, on the terminal."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.observe.ladder import MINIMUM_WIDTH, ladder, select
from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import TraceError, TraceEvent, read_trace
from sip_p2p.service.options import CommandOptions
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["LadderOptions", "draws_lines", "terminal_width"]

_DEFAULT_WIDTH = 100

_MOST_NAMED = 10
"""How many lines that cannot be read are named; a file that is no trace may have any number of them."""


def terminal_width(out: TextIO) -> int:
    """How wide a ladder on *out* may be: the terminal's width, a hundred columns where there is none."""
    if not out.isatty():
        return _DEFAULT_WIDTH
    return max(MINIMUM_WIDTH, shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns)


def draws_lines(out: TextIO) -> bool:
    """Whether *out* can show line drawing characters."""
    try:
        "│─◀▶…".encode(out.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


class LadderOptions(CommandOptions):
    """The options of ``sip-p2p ladder``."""

    synopsis = "Usage: sip-p2p ladder [options] FILE"
    longdesc = (
        "Draw the ladder of a trace that 'twistd sip-p2p --trace FILE' has written; - reads standard input. Lines that "
        "are no events are named on standard error and passed over."
    )
    optParameters: ClassVar = [
        ["call-id", None, None, "only the messages with this Call-ID"],
        ["method", "m", None, "only requests with this method, and their responses"],
        ["peer", None, None, "only what passed to and from this peer: the name that it proved, or its address"],
        ["width", "w", None, "the width in columns instead of the terminal's"],
    ]
    optFlags: ClassVar = [["ascii", None, "draw with ASCII characters only"]]

    def parseArgs(self, *arguments: str) -> None:
        """Take the file."""
        if len(arguments) != 1:
            raise usage.UsageError("ladder needs one file: sip-p2p ladder trace.jsonl")
        self.file = arguments[0]

    def postOptions(self) -> None:
        """Check the width."""
        width = self["width"]
        if width is None:
            return
        if not (width.isascii() and width.isdigit() and len(width) < 6) or int(width) < MINIMUM_WIDTH:
            raise usage.UsageError(
                f"--width {printable(width)} is not a number of columns from {MINIMUM_WIDTH} upwards"
            )

    def run(self, out: TextIO, err: TextIO) -> ExitCode:
        """Read the trace and draw it.

        :raises UsageError: when the file cannot be read.
        """
        refused: list[TraceError] = []
        try:
            events = self._events(refused)
        except OSError as error:
            raise usage.UsageError(
                f"{printable(self.file)}: {error.strerror or type(error).__name__}: give a file written with --trace"
            ) from None
        for wrong in refused[:_MOST_NAMED]:
            print(f"sip-p2p: {printable(str(wrong))}", file=err)
        if len(refused) > _MOST_NAMED:
            print(f"sip-p2p: and {len(refused) - _MOST_NAMED} more lines that are none of a trace", file=err)
        chosen = list(select(events, call_id=self["call-id"], method=self["method"], peer=self["peer"]))
        if not chosen:
            print("sip-p2p: nothing in the trace matches" if events else "sip-p2p: the trace is empty", file=err)
        width = terminal_width(out) if self["width"] is None else int(self["width"])
        out.write(ladder(chosen, width=width, ascii_only=bool(self["ascii"]) or not draws_lines(out)))
        return ExitCode.USAGE if refused and not events else ExitCode.OK

    def _events(self, refused: list[TraceError]) -> list[TraceEvent]:
        if self.file == "-":
            return list(read_trace(sys.stdin.buffer, "standard input", refused.append))
        with open(self.file, "rb") as lines:
            return list(read_trace(lines, self.file, refused.append))
