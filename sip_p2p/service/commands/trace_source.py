"""Where ``sip-p2p ladder`` and ``sip-p2p trace`` get their events: a file, standard input, or a running service; what
has been, and what comes.

A file that is followed is read on as it grows; one that is replaced or made empty, as a trace is when it has reached
its bound, is read from its beginning.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from twisted.internet.task import LoopingCall
from twisted.python import usage

from sip_p2p.observe.ladder import select
from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import TraceError, TraceEvent, read_trace
from sip_p2p.service.commands.control_client import ControlError
from sip_p2p.service.commands.control_options import ControlOptions
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.settings.command_line import Work

__all__ = ["BETWEEN_LOOKS", "GrowingFile", "TraceSourceOptions"]

BETWEEN_LOOKS = 0.2
"""After how many seconds a file that is followed is looked at again."""

_MOST_NAMED = 10
"""How many lines that cannot be read are named; a file that is no trace may have any number of them."""

_PIECE = 1 << 20
_LONGEST_LINE = 16 << 20
_MOST_ASKED = 1000


class GrowingFile:
    """The lines of a file that somebody appends to.

    :raises OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - it is closed by close()
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """The whole lines that have come since the last time.

        :raises OSError: it cannot be read.
        """
        while True:
            piece = self._file.read(_PIECE)
            if piece:
                *whole, self._rest = (self._rest + piece).split(b"\n")
                yield from whole
                if len(self._rest) > _LONGEST_LINE:
                    raise OSError(0, "it has a line that never ends", self._path)
            elif not self._begins_anew():
                return

    def _begins_anew(self) -> bool:
        """Whether there is another file of that name, or this one was made shorter; it is read from its beginning."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            # It has been moved away, and the next one is not there yet.
            return False
        now = os.fstat(self._file.fileno())
        if (found.st_dev, found.st_ino) != (now.st_dev, now.st_ino):
            self._file.close()
            self._file = open(self._path, "rb")  # noqa: SIM115 - it is closed by close()
        elif found.st_size < self._file.tell():
            self._file.seek(0)
        else:
            return False
        self._rest = b""
        return True

    def close(self) -> None:
        """Read no more."""
        self._file.close()


class TraceSourceOptions(ControlOptions):
    """From where the events come, and which of them are wanted.

    :ivar file: the file, ``-`` for standard input; empty where a service is asked.
    """

    optParameters: ClassVar = [
        ["call-id", None, None, "only the messages with this Call-ID"],
        ["method", "m", None, "only requests with this method, and their responses"],
        ["peer", None, None, "only what passed to and from this peer: the name that it proved, or its address"],
        ["flow", None, None, "only what passed on the flow with this number"],
    ]
    optFlags: ClassVar[list[list[Any]]] = [["follow", "f", "go on with what comes, until Ctrl-C"]]

    def __init__(self) -> None:
        super().__init__()
        self.file = ""
        self._refused = 0

    def parseArgs(self, *arguments: str) -> None:
        """Take the file."""
        if len(arguments) > 1:
            raise usage.UsageError(f"one file at a time; what is {printable(arguments[1])} for?")
        self.file = arguments[0] if arguments else ""

    def postOptions(self) -> None:
        """Check that there is one source, and the number of the flow.

        :raises UsageError: one line.
        """
        super().postOptions()
        if self.file and self["control"] is not None:
            raise usage.UsageError("a file and --control are given: which of them is to be shown?")
        if not self.file and self.place is None:
            raise usage.UsageError(
                "what is to be shown? Give a file that was written with --trace, or --control with the place of a "
                "running service's --http"
            )
        flow = self["flow"]
        if flow is not None and not (flow.isascii() and flow.isdigit() and len(flow) <= 15):
            raise usage.UsageError(f"--flow {printable(flow)} is not the number of a flow")

    @property
    def asks_environment(self) -> bool:
        """Whether the environment may say which service is meant: where no file is named."""
        return not self.file

    @property
    def needs_reactor(self) -> bool:
        """Whether it takes a connection or time."""
        return not self.file or bool(self["follow"])

    def begin(self, out: TextIO, err: TextIO) -> ExitCode | Work:
        """Read the file, or what is to be done in a reactor: ask a service, or follow.

        :raises UsageError: when the file cannot be read.
        """
        if self.needs_reactor:
            return lambda reactor: self.show(reactor, out, err)
        return self.run(out, err)

    def run(self, out: TextIO, err: TextIO) -> ExitCode:
        """Read the file, and show what is chosen of it.

        :raises UsageError: when a file cannot be read or written.
        """
        raise TypeError("TraceSourceOptions is abstract")

    async def show(self, reactor: IReactorTime, out: TextIO, err: TextIO) -> ExitCode:
        """Show what is chosen of what passes, as it passes."""
        raise TypeError("TraceSourceOptions is abstract")

    def chosen(self, events: Iterable[TraceEvent]) -> Iterator[TraceEvent]:
        """Those of *events* that pass the filters."""
        flow = None if self["flow"] is None else int(self["flow"])
        for event in select(events, call_id=self["call-id"], method=self["method"], peer=self["peer"]):
            if flow is None or event.flow == flow:
                yield event

    def events(self, err: TextIO) -> list[TraceEvent]:
        """Every event of the file; lines that are none are named on *err*.

        :raises UsageError: when the file cannot be read.
        """
        try:
            if self.file == "-":
                found = list(read_trace(sys.stdin.buffer, "standard input", lambda wrong: self.refuse(wrong, err)))
            else:
                with open(self.file, "rb") as lines:
                    found = list(read_trace(lines, self.file, lambda wrong: self.refuse(wrong, err)))
        except OSError as error:
            raise self._unreadable(error) from None
        if self._refused > _MOST_NAMED:
            print(f"sip-p2p: and {self._refused - _MOST_NAMED} more lines that are none of a trace", file=err)
        return found

    def refuse(self, wrong: TraceError, err: TextIO) -> None:
        """Name a line that is no event; after some of them only count it."""
        self._refused += 1
        if self._refused <= _MOST_NAMED:
            print(f"sip-p2p: {printable(str(wrong))}", file=err)

    def _unreadable(self, error: OSError) -> usage.UsageError:
        reason = error.strerror or type(error).__name__
        return usage.UsageError(f"{printable(self.file)}: {reason}: give a file written with --trace")

    def exit_code(self, found: int) -> ExitCode:
        """What became of a file in which *found* events were."""
        return ExitCode.USAGE if self._refused and not found else ExitCode.OK

    async def watch(
        self, reactor: IReactorTime, told: Callable[[TraceEvent], object], shown: Callable[[], object], err: TextIO
    ) -> ExitCode:
        """Call *told* with every event that there is and passes the filters, then *shown*; with ``--follow`` go on with
        what comes.

        :raises UsageError: the file or the service cannot be had.
        """
        try:
            if self.file:
                await self._watch_file(reactor, told, shown, err)
            else:
                await self._watch_service(reactor, told, shown)
        except OSError as error:
            raise self._unreadable(error) from None
        except ControlError as error:
            print(f"sip-p2p: {error}", file=err)
            return ExitCode.REFUSED if error.status else ExitCode.CONNECTION
        return ExitCode.OK

    async def _watch_file(
        self, reactor: IReactorTime, told: Callable[[TraceEvent], object], shown: Callable[[], object], err: TextIO
    ) -> None:
        if self.file == "-":
            raise usage.UsageError("--follow wants a file with a name, or --control")
        growing = GrowingFile(self.file)

        def look() -> None:
            for event in self.chosen(read_trace(growing.lines(), self.file, lambda wrong: self.refuse(wrong, err))):
                told(event)
            shown()

        looking = LoopingCall(look)
        looking.clock = reactor
        try:
            await looking.start(BETWEEN_LOOKS)
        finally:
            if looking.running:
                looking.stop()
            growing.close()

    async def _watch_service(
        self, reactor: IReactorTime, told: Callable[[TraceEvent], object], shown: Callable[[], object]
    ) -> None:
        client = self.client(reactor)
        query: dict[str, str | int] = {
            key: self[name]
            for key, name in (("call_id", "call-id"), ("method", "method"), ("peer", "peer"), ("flow", "flow"))
            if self[name] is not None
        }
        newest = 0
        while True:
            page = _events_of(await client.get("/v1/trace", {**query, "since": newest, "limit": _MOST_ASKED}))
            if not page:
                break
            for event in page:
                newest = max(newest, event.number)
                told(event)
        shown()
        if self["follow"]:

            def arrived(_: str, value: Any) -> None:
                for event in _events_of({"events": [value]}) if isinstance(value, dict) and "kind" in value else ():
                    told(event)
                    shown()

            await client.follow("/v1/trace/follow", {**query, "since": newest}, arrived)


def _events_of(page: Any) -> list[TraceEvent]:
    """The events of a page.

    :raises ControlError: it holds something else.
    """
    listed = page.get("events") if isinstance(page, dict) else None
    if not isinstance(listed, list):
        raise ControlError("the service answered with what is no trace")
    try:
        return [TraceEvent.from_json(json.dumps(each)) for each in listed]
    except ValueError as error:
        raise ControlError(f"the service answered with what is no trace: {printable(str(error))}") from None
