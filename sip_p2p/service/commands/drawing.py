"""``sip-p2p ladder``: the ladder of a trace or of a running service, on the terminal.

Colours only where there is a terminal that has them, and where ``NO_COLOR`` does not forbid it; anywhere else the
output is plain text.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import Console
from rich.text import Text
from twisted.python import usage

from sip_p2p.observe.ladder import MINIMUM_WIDTH, LadderDrawer, LadderLine
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.trace_source import TraceSourceOptions
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.observe.trace import TraceEvent

__all__ = ["LadderOptions", "console_on", "draws_lines", "terminal_width"]

_DEFAULT_WIDTH = 100

_STYLES = {
    "heading": "bold",
    "note": "bold red",
    "request": "cyan",
    "provisional": "yellow",
    "success": "green",
    "redirection": "magenta",
    "failure": "red",
}


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


def console_on(out: TextIO, width: int) -> Console:
    """What writes on *out*, with colours where it is a terminal; nothing in a text is taken for a command."""
    return Console(file=out, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


class LadderOptions(TraceSourceOptions):
    """The options of ``sip-p2p ladder``."""

    synopsis = "Usage: sip-p2p ladder [options] [FILE]"
    longdesc = (
        "Draw the ladder of a trace that 'twistd sip-p2p --trace FILE' has written, or with --control that of a "
        "running service; - reads standard input. Lines that are no events are named on standard error and passed over."
    )
    optParameters: ClassVar[list[list[Any]]] = [["width", "w", None, "the width in columns instead of the terminal's"]]
    optFlags: ClassVar[list[list[Any]]] = [["ascii", None, "draw with ASCII characters only"]]

    def postOptions(self) -> None:
        """Check the width."""
        super().postOptions()
        width = self["width"]
        if width is None:
            return
        if not (width.isascii() and width.isdigit() and len(width) < 6) or int(width) < MINIMUM_WIDTH:
            raise usage.UsageError(
                f"--width {printable(width)} is not a number of columns from {MINIMUM_WIDTH} upwards"
            )

    def run(self, out: TextIO, err: TextIO) -> ExitCode:
        """Read the file and draw it.

        :raises UsageError: when it cannot be read.
        """
        events = self.events(err)
        chosen = list(self.chosen(events))
        if not chosen:
            print("sip-p2p: nothing in the trace matches" if events else "sip-p2p: the trace is empty", file=err)
        paper = _Paper(self, out, len(chosen))
        for event in chosen:
            paper.take(event)
        paper.draw()
        return self.exit_code(len(events))

    async def show(self, reactor: IReactorTime, out: TextIO, err: TextIO) -> ExitCode:
        """Draw what there is, and with ``--follow`` what comes.

        :raises UsageError: the file or the service cannot be had.
        """
        paper = _Paper(self, out)
        code = await self.watch(reactor, paper.take, paper.draw, err)
        if paper.is_empty and code is ExitCode.OK:
            print("sip-p2p: nothing that is recorded matches", file=err)
        return code


class _Paper:
    """What is drawn on: events are collected, so that all their parties have a column when the first is drawn."""

    def __init__(self, options: LadderOptions, out: TextIO, most: int = 32) -> None:
        width = terminal_width(out) if options["width"] is None else int(options["width"])
        self._drawer = LadderDrawer(
            width, bool(options["ascii"]) or not draws_lines(out), most_parties=max(2 * most, 2)
        )
        self._console = console_on(out, width)
        self._out = out
        self._waiting: list[TraceEvent] = []
        self.is_empty = True

    def take(self, event: TraceEvent) -> None:
        """One more."""
        self.is_empty = False
        self._drawer.meet(event)
        self._waiting.append(event)

    def draw(self) -> None:
        """Draw those that wait."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            for line in self._drawer.draw(event):
                self._console.print(_coloured(line))
        if waiting:
            self._out.flush()


def _coloured(line: LadderLine) -> Text:
    style = _STYLES[line.kind]
    if line.kind == "heading":
        return Text(line.text, style, no_wrap=True)
    text = Text(line.text, "dim", no_wrap=True)
    text.stylize(f"not dim {style}", line.start, line.end)
    return text
