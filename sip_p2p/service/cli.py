"""The ``sip-p2p`` command.

Its exit codes are :class:`~sip_p2p.service.words.ExitCode`; ``--help`` lists them. Whatever happens, a person gets a
line or two and never a traceback, and nothing that a peer has sent reaches the terminal unescaped.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TextIO, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from twisted.python import usage
from zope.interface import provider

from sip_p2p.observe.text import printable
from sip_p2p.service.commands.calling import CallingOptions, place_call
from sip_p2p.service.commands.demo import DemoOptions, demonstrate
from sip_p2p.service.commands.drawing import LadderOptions
from sip_p2p.service.commands.keys import KeysOptions
from sip_p2p.service.commands.sending import AskOptions, RequestingOptions, RequestOptions, SendOptions, perform
from sip_p2p.service.commands.showing import ControlCommandOptions, ShowOptions
from sip_p2p.service.commands.tracing import TraceOptions
from sip_p2p.service.diagnosis.doctor import DoctorOptions, diagnose, show
from sip_p2p.service.settings.options import CommandOptions
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from twisted.internet.interfaces import IReactorCore, IReactorTime
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

__all__ = ["SipOptions", "main", "run"]


class SipOptions(CommandOptions):
    """The options of ``sip-p2p`` itself: its commands."""

    synopsis = "Usage: sip-p2p COMMAND [options]"
    longdesc = "Exit codes: " + "; ".join(f"{int(code)} {code.meaning}" for code in ExitCode) + "."
    subCommands: ClassVar[list[list[Any]]] = [
        ["send", None, SendOptions, "send a text in a MESSAGE"],
        ["options", None, AskOptions, "ask a peer with OPTIONS what it can do"],
        ["request", None, RequestOptions, "send a request with any method"],
        ["call", None, CallingOptions, "call a peer, wait, and hang up"],
        ["doctor", None, DoctorOptions, "find out what is wrong on the way to a peer, or with a listener of your own"],
        ["pki", None, KeysOptions, "make a private authority and certificates"],
        ["ladder", None, LadderOptions, "draw the ladder of a trace or of a running service"],
        ["trace", None, TraceOptions, "show the messages of a trace or of a running service, or write a capture"],
        ["show", None, ShowOptions, "how a running service is: its flows, sessions, certificates, failures"],
        ["control", None, ControlCommandOptions, "any request to the HTTP API of a running service"],
        ["demo", None, DemoOptions, "two parties prove who they are and talk; a third is refused"],
    ]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read *options*, beginning with the name of the command.

        :raises UsageError: one line that says what is wrong.
        """
        given = list(sys.argv[1:] if options is None else options)
        command = next((each for each in given if not each.startswith("-")), None)
        if command is not None and command not in [known[0] for known in self.subCommands]:
            raise usage.UsageError(f"{printable(command)} is no command. {self._commands()}")
        super().parseOptions(given)

    def postOptions(self) -> None:
        """See that there is a command."""
        if self.subCommand is None:
            raise usage.UsageError(f"which command? {self._commands()}")

    def _commands(self) -> str:
        return f"There are {', '.join(known[0] for known in self.subCommands)}; sip-p2p --help says more"


def run(arguments: Sequence[str], out: TextIO, err: TextIO) -> ExitCode:
    """Run the command line *arguments*, and return the exit code.

    :raises SystemExit: for ``--help`` and ``--version``.
    """
    options = SipOptions()  # type: ignore[no-untyped-call]
    try:
        options.parseOptions(arguments)
        command = options.subOptions
        if isinstance(command, KeysOptions):
            return command.run(out)
        if isinstance(command, LadderOptions | TraceOptions):
            if command.needs_reactor:
                return _in_reactor(lambda reactor: command.show(reactor, out, err))
            return command.run(out, err)
        if isinstance(command, ShowOptions | ControlCommandOptions):
            return _in_reactor(lambda reactor: command.show(reactor, out, err))
        if isinstance(command, DemoOptions):
            keep = command.port if command["keep"] else None
            return _in_reactor(lambda reactor: demonstrate(reactor, out, keep))
        if isinstance(command, DoctorOptions):
            return _in_reactor(lambda reactor: _examine(reactor, command, out))
        if isinstance(command, CallingOptions):
            return _in_reactor(lambda reactor: place_call(reactor, command, out, err))
        return _in_reactor(lambda reactor: _send(reactor, cast("RequestingOptions", command), out, err))
    except usage.UsageError as error:
        print(f"sip-p2p: {error}", file=err)
        return ExitCode.USAGE


async def _examine(reactor: IReactorTime, options: DoctorOptions, out: TextIO) -> ExitCode:
    return show(options, await diagnose(reactor, options), out)


async def _send(reactor: IReactorTime, options: RequestingOptions, out: TextIO, err: TextIO) -> ExitCode:
    outcome = await perform(reactor, options)
    outcome.show(out, err)
    return outcome.code


def _in_reactor(work: Callable[[IReactorTime], Coroutine[Deferred[Any], Any, ExitCode]]) -> ExitCode:
    """Run *work* in the reactor to its end; an interrupt ends it earlier.

    :raises Exception: what *work* raises.
    """
    from twisted.internet import reactor as installed

    from sip_p2p.transport.clock import use_monotonic_time

    reactor = cast("IReactorCore", installed)
    clock = cast("IReactorTime", installed)
    use_monotonic_time(clock)
    outcome: list[ExitCode | Failure] = []
    working: list[Deferred[None]] = []
    interrupted: list[bool] = []

    def ended(result: ExitCode | Failure) -> None:
        outcome.append(result)
        if not interrupted:
            reactor.stop()

    def begin() -> None:
        working.append(Deferred.fromCoroutine(work(clock)).addBoth(ended))

    def stopping() -> Deferred[None] | None:
        if outcome or not working:
            return None
        interrupted.append(True)
        working[0].cancel()
        return working[0]

    reactor.addSystemEventTrigger("before", "shutdown", stopping)
    reactor.callWhenRunning(begin)
    reactor.run()
    if interrupted or not outcome:
        return ExitCode.INTERRUPTED
    result = outcome[0]
    if isinstance(result, ExitCode):
        return result
    raise cast("BaseException", result.value)


def main() -> NoReturn:
    """Run the command line of the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    globalLogBeginner.beginLoggingTo([_warnings_to_standard_error], redirectStandardIO=False, discardBuffer=True)
    code: object
    try:
        try:
            code = run(sys.argv[1:], sys.stdout, sys.stderr)
        except SystemExit as left:
            # --help and --version leave this way, and their text has to go out as well.
            code = left.code
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.USAGE
    except Exception as error:
        place = _place(error)
        print(f"sip-p2p: unexpected: {type(error).__name__}: {printable(str(error))} ({place})", file=sys.stderr)
        code = ExitCode.USAGE
    raise SystemExit(code)


def _place(error: BaseException) -> str:
    """Where *error* was raised, for a report."""
    trace = error.__traceback__
    if trace is None:
        return "nowhere"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}, line {trace.tb_lineno}"


@provider(ILogObserver)
def _warnings_to_standard_error(event: LogEvent) -> None:
    level = event.get("log_level")
    if str(event.get("log_namespace", "")).startswith("sip_p2p.endpoint"):
        # What happens to connections is the outcome of the command, which tells it itself.
        return
    if level in (LogLevel.warn, LogLevel.error, LogLevel.critical):
        print(f"sip-p2p: {printable(formatEvent(event))}", file=sys.stderr)
