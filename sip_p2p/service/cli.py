"""The ``sip-p2p`` command.

Its exit codes are :class:`~sip_p2p.service.words.ExitCode`; ``--help`` lists them. Whatever happens, a person gets a
line or two and never a traceback, and nothing that a peer has sent reaches the terminal unescaped.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol, TextIO, cast, final

from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from twisted.python import usage
from zope.interface import provider

from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions
from sip_p2p.service.words import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorCore, IReactorTime
    from twisted.logger import LogEvent
    from twisted.python.failure import Failure

    from sip_p2p.service.settings.command_line import Work

__all__ = ["Command", "LaterOptions", "SipOptions", "main", "run"]


class Command(Protocol):
    """The options of a command, which know what it does."""

    def begin(self, out: TextIO, err: TextIO) -> ExitCode | Work:
        """Do what needs no reactor, and say with which code that ended; or return what is to be done in one."""


@final
class LaterOptions:
    """The options of a command, imported when somebody asks for that command: the others cost it nothing."""

    __slots__ = ("_module", "_name")

    def __init__(self, module: str, name: str) -> None:
        """:param module: where they are, below ``sip_p2p.service``."""
        self._module = module
        self._name = name

    @property
    def kind(self) -> type[CommandOptions]:
        """The class."""
        module = importlib.import_module(f"sip_p2p.service.{self._module}")
        return cast("type[CommandOptions]", getattr(module, self._name))

    def __call__(self) -> CommandOptions:
        """Options of this kind."""
        return self.kind()


class SipOptions(CommandOptions):
    """The options of ``sip-p2p`` itself: its commands."""

    synopsis = "Usage: sip-p2p COMMAND [options]"
    longdesc = "Exit codes: " + "; ".join(f"{int(code)} {code.meaning}" for code in ExitCode) + "."
    subCommands: ClassVar[list[list[Any]]] = [
        ["send", None, LaterOptions("commands.sending", "SendOptions"), "send a text in a MESSAGE"],
        ["options", None, LaterOptions("commands.sending", "AskOptions"), "ask a peer with OPTIONS what it can do"],
        ["request", None, LaterOptions("commands.sending", "RequestOptions"), "send a request with any method"],
        ["call", None, LaterOptions("commands.calling", "CallingOptions"), "call a peer, wait, and hang up"],
        [
            "subscribe",
            None,
            LaterOptions("commands.watching", "SubscribeOptions"),
            "subscribe to somebody's state, and print each notification",
        ],
        [
            "publish",
            None,
            LaterOptions("commands.publishing", "PublishOptions"),
            "publish a state, refresh it, and take it back",
        ],
        ["refer", None, LaterOptions("commands.referring", "ReferOptions"), "ask a peer to call somebody"],
        [
            "register",
            None,
            LaterOptions("commands.registering", "RegisterOptions"),
            "register, show what the registrar grants, and take it back",
        ],
        [
            "doctor",
            None,
            LaterOptions("diagnosis.doctor", "DoctorOptions"),
            "find out what is wrong on the way to a peer, or with a listener of your own",
        ],
        ["pki", None, LaterOptions("commands.keys", "KeysOptions"), "make a private authority and certificates"],
        [
            "ladder",
            None,
            LaterOptions("commands.drawing", "LadderOptions"),
            "draw the ladder of a trace or of a running service",
        ],
        [
            "trace",
            None,
            LaterOptions("commands.tracing", "TraceOptions"),
            "show the messages of a trace or of a running service, or write a capture",
        ],
        [
            "show",
            None,
            LaterOptions("commands.showing", "ShowOptions"),
            "how a running service is: its flows, sessions, subscriptions, certificates, failures",
        ],
        [
            "control",
            None,
            LaterOptions("commands.showing", "ControlCommandOptions"),
            "any request to the HTTP API of a running service",
        ],
        [
            "demo",
            None,
            LaterOptions("commands.demo", "DemoOptions"),
            "two parties prove who they are and talk; a third is refused",
        ],
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
        begun = cast("Command", options.subOptions).begin(out, err)
        return begun if isinstance(begun, ExitCode) else _in_reactor(begun)
    except usage.UsageError as error:
        print(f"sip-p2p: {error}", file=err)
        return ExitCode.USAGE


def _in_reactor(work: Work) -> ExitCode:
    """Run *work* in the reactor to its end; an interrupt ends it earlier.

    :raises Exception: what *work* raises.
    """
    from twisted.internet import reactor as installed
    from twisted.internet.defer import Deferred

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
