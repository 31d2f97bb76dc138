"""``sip-p2p trace``: the messages of a trace or of a running service in full, or as a capture for Wireshark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from twisted.python import usage

from sip_p2p.observe.pcapng import PacketMaker
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.drawing import console_on
from sip_p2p.service.commands.trace_source import TraceSourceOptions
from sip_p2p.service.settings.command_line import file_path

if TYPE_CHECKING:
    from typing import TextIO

    from rich.console import Console
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.observe.trace import TraceEvent
    from sip_p2p.service.words import ExitCode

__all__ = ["TraceOptions"]

_ANY_WIDTH = 100_000
_STYLES = {"1": "yellow", "2": "green", "3": "magenta"}


class TraceOptions(TraceSourceOptions):
    """The options of ``sip-p2p trace``."""

    synopsis = "Usage: sip-p2p trace [options] [FILE]"
    longdesc = (
        "Show the messages of a trace that 'twistd sip-p2p --trace FILE' has written, or with --control those of a "
        "running service, in full; - reads standard input. With --pcapng they are written to a file for Wireshark."
    )
    optParameters: ClassVar[list[list[Any]]] = [
        ["pcapng", "w", None, "write them to this new file as packets, and show nothing"]
    ]
    optFlags: ClassVar[list[list[Any]]] = [["json", None, "one JSON object a line, as in the file of a trace"]]

    def postOptions(self) -> None:
        """Check that there is one form."""
        super().postOptions()
        if self["pcapng"] is not None:
            self["pcapng"] = file_path("pcapng", self["pcapng"])
            if self["json"]:
                raise usage.UsageError("--json and --pcapng are given: which form is wanted?")

    def run(self, out: TextIO, err: TextIO) -> ExitCode:
        """Read the file and show it.

        :raises UsageError: when a file cannot be read or written.
        """
        events = self.events(err)
        chosen = list(self.chosen(events))
        with self._writer(out, err) as writer:
            for event in chosen:
                writer.take(event)
        if not chosen:
            print("sip-p2p: nothing in the trace matches" if events else "sip-p2p: the trace is empty", file=err)
        return self.exit_code(len(events))

    async def show(self, reactor: IReactorTime, out: TextIO, err: TextIO) -> ExitCode:
        """Show what there is, and with ``--follow`` what comes.

        :raises UsageError: a file or the service cannot be had.
        """
        with self._writer(out, err) as writer:
            return await self.watch(reactor, writer.take, writer.flush, err)

    def _writer(self, out: TextIO, err: TextIO) -> _Writer:
        if self["pcapng"] is not None:
            return _Capture(self["pcapng"], err)
        return _Lines(out) if self["json"] else _Messages(out)


class _Writer:
    """Takes events; leaving it closes what it has opened."""

    def take(self, event: TraceEvent) -> None:
        """One more."""
        raise TypeError("_Writer is abstract")

    def flush(self) -> None:
        """Nothing more comes for now."""

    def close(self) -> None:
        """Nothing more comes."""

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Lines(_Writer):
    """JSON lines."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, event: TraceEvent) -> None:
        """One line."""
        self._out.write(event.to_json() + "\n")

    def flush(self) -> None:
        """Let the next program have it."""
        self._out.flush()


class _Capture(_Writer):
    """A capture file, which must not be there yet."""

    def __init__(self, path: str, err: TextIO) -> None:
        self._path = path
        self._err = err
        self._count = 0
        self._maker = PacketMaker()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = "it is there already" if isinstance(error, FileExistsError) else error.strerror
            raise usage.UsageError(f"--pcapng {printable(path)}: {reason}") from None
        self._file = os.fdopen(descriptor, "wb")
        self._put(self._maker.begin())

    def take(self, event: TraceEvent) -> None:
        """Its packets."""
        packets = self._maker.packets(event)
        self._count += bool(packets)
        self._put(packets)

    def _put(self, octets: bytes) -> None:
        try:
            self._file.write(octets)
        except OSError as error:
            raise usage.UsageError(f"--pcapng {printable(self._path)}: {error.strerror}") from None

    def flush(self) -> None:
        """Let a Wireshark that has it open see it."""
        self._file.flush()

    def close(self) -> None:
        """All is written."""
        self._file.close()
        words = "1 message" if self._count == 1 else f"{self._count} messages"
        print(f"sip-p2p: {words} in {printable(self._path)}", file=self._err)


class _Messages(_Writer):
    """Messages as people read them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._console: Console = console_on(out, _ANY_WIDTH)
        self._is_first = True

    def take(self, event: TraceEvent) -> None:
        """One message, with a line above it that says when and between whom it passed."""
        if not self._is_first:
            self._console.print()
        self._is_first = False
        if event.kind == "note":
            self._line(f"{printable(event.time)}  * {printable(event.note, 1024)}", "bold red")
            return
        arrow = "->" if event.direction == "out" else "<-"
        who = printable(event.peer) if event.peer else "nobody proved"
        flow = f", flow {event.flow}" if event.flow else ""
        here = printable(event.address or event.local)
        where = f"{here} {arrow} {printable(event.remote)}  {printable(event.transport)} ({who}){flow}"
        self._line(f"{printable(event.time)}  {where}", "bold")
        first, *fields = event.head.split("\r\n")
        style = _STYLES.get(first.partition(" ")[2][:1], "red") if event.is_response else "cyan"
        self._line(printable(first, 65536), style)
        for field in fields:
            self._line(printable(field, 65536), "")
        if event.body is not None and event.body:
            self._console.print()
            for line in event.body.decode("utf-8", "backslashreplace").splitlines():
                self._line(printable(line, 65536), "")
        elif event.length:
            self._line(f"({event.length} octets of body withheld)", "dim")
        if event.clipped:
            self._line("(cut: it is larger than what is kept)", "dim")

    def _line(self, text: str, style: str) -> None:
        self._console.print(Text(text, style, no_wrap=True))

    def flush(self) -> None:
        """Let it be seen."""
        self._out.flush()
