"""What the commands share that last for a while: what happens is told line by line, for a person or as JSON, an
interrupt ends them politely, and nothing is left open afterwards."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.python import usage

from sip_p2p.errors import OperationTimeout, SipError, TlsFailure
from sip_p2p.observe.text import printable
from sip_p2p.service.commands.sending import AddressedOptions, LastHeard
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.party import make_party
from sip_p2p.service.settings.command_line import seconds
from sip_p2p.service.words import ExitCode, Words, exit_code, explain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import TextIO

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.commands.registering import RegisterOptions
    from sip_p2p.service.party import Party
    from sip_p2p.service.settings.command_line import Work
    from sip_p2p.service.settings.options import PartyOptions

    T = TypeVar("T")
    Chosen = TypeVar("Chosen", bound="AddressedOptions | RegisterOptions")

__all__ = [
    "EXPIRES",
    "SECONDS",
    "LastingOptions",
    "Told",
    "as_fields",
    "begun",
    "expiry",
    "first_hop",
    "in_party",
    "is_enough",
    "staying",
    "within",
]

EXPIRES = "expires"
SECONDS = "seconds"
_LONGEST_LINE = 1024
_LONGEST_EXPIRES = 2**31 - 1


@final
class Told:
    """What happens, for a person or as JSON."""

    def __init__(self, options: Mapping[str, Any], out: TextIO, err: TextIO) -> None:
        """
        :param options: with ``json`` among them: whether it is told as JSON.
        """
        self._lines = JsonLines(lambda line: print(line, end="", file=out, flush=True)) if options["json"] else None
        self._out = out
        self._err = err

    def tell(self, event: str, words: str, **fields: object) -> None:
        """*words* for a person; *event* with *fields* as JSON."""
        if self._lines is not None:
            self._lines.emit(event, **fields)
        else:
            print(printable(words, _LONGEST_LINE), file=self._out, flush=True)

    def show(self, text: str) -> None:
        """What a person may want to see besides, line by line."""
        if self._lines is None:
            for line in text.splitlines():
                print(f"  {printable(line, _LONGEST_LINE)}", file=self._out, flush=True)

    def ended(self, code: ExitCode, words: Words | None, failure: BaseException | None = None) -> ExitCode:
        """The end, and what went wrong if anything did; returns *code*."""
        if self._lines is not None:
            fields: dict[str, object] = {"exit": int(code), "outcome": code.name.lower()}
            if words is not None:
                fields |= {"words": words.what, "remedy": words.remedy}
            if isinstance(failure, TlsFailure):
                fields["tls_failure"] = failure.reason.name
            self._lines.emit("ended", **fields)
        elif words is not None:
            print(f"sip-p2p: {words.what}", file=self._err)
            if words.remedy:
                print(f"         {words.remedy}", file=self._err)
        return code


class LastingOptions(AddressedOptions):
    """What those of the commands share that say something to one peer.

    :ivar timeout: for how many seconds to wait.
    """

    optFlags: ClassVar = [["json", "j", "tell what happens as JSON, one object a line"]]
    repeatable: ClassVar[tuple[str, ...]] = ("header",)

    def __init__(self) -> None:
        super().__init__()
        self.timeout = 0.0

    def opt_header(self, field: str) -> None:
        """'NAME: VALUE': one more header field of each request; may be given several times"""
        self.take_header(field)

    opt_H = opt_header

    def postOptions(self) -> None:
        """Check the time and what :class:`~sip_p2p.service.settings.options.PartyOptions` checks."""
        super().postOptions()
        self.timeout = seconds("timeout", self["timeout"], least=0.001)


def first_hop(options: PartyOptions) -> str:
    """What a connection that could not be had was to."""
    return "peer" if options.proxy is None else "proxy"


def staying(options: Mapping[str, Any]) -> float | None:
    """How long ``--seconds`` says to stay; None for as long as it goes.

    :raises UsageError: when it is no time.
    """
    return None if options[SECONDS] == "none" else seconds(SECONDS, options[SECONDS])


def expiry(options: Mapping[str, Any]) -> int:
    """What ``--expires`` says.

    :raises UsageError: when it is no whole number of seconds.
    """
    text = options[EXPIRES]
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _LONGEST_EXPIRES):
        raise usage.UsageError(
            f"--expires {printable(text)} is not a whole number of seconds from 1 to {_LONGEST_EXPIRES}"
        )
    return int(text)


def as_fields(body: bytes, content_type: str) -> dict[str, object]:
    """A body as JSON: ``body``, or ``body_base64`` where it is no text; nothing where there is none."""
    if not body:
        return {}
    try:
        return {"content_type": content_type, "body": body.decode("utf-8")}
    except UnicodeDecodeError:
        return {"content_type": content_type, "body_base64": base64.b64encode(body).decode("ascii")}


async def within(reactor: IReactorTime, wait: float, waiting: Deferred[T]) -> T:
    """What comes of *waiting*; it is cancelled when *wait* seconds have passed.

    :raises OperationTimeout: then, whatever the cancelled one fails with.
    :raises SipError: what it fails with otherwise.
    """
    is_late: list[bool] = []

    def give_up() -> None:
        is_late.append(True)
        waiting.cancel()

    call = reactor.callLater(wait, give_up)
    try:
        return await waiting
    except (SipError, CancelledError):
        if is_late:
            raise OperationTimeout("no answer came in time") from None
        raise
    finally:
        if call.active():
            call.cancel()


async def is_enough(reactor: IReactorTime, wait: float | None, over: Deferred[None]) -> bool:
    """Whether *wait* seconds have passed before *over* has its result; None waits for that however long it takes."""
    if wait is not None:
        over.addTimeout(wait, reactor)
    try:
        await over
    except TimeoutError:
        return True
    return False


def begun(
    options: Chosen,
    out: TextIO,
    err: TextIO,
    perform: Callable[[IReactorTime, Chosen, Told, Party, LastHeard], Awaitable[ExitCode]],
    interrupted: str,
) -> Work:
    """What is to be done in a reactor: *perform*, as :func:`in_party` does it."""

    async def work(reactor: IReactorTime) -> ExitCode:
        told = Told(options, out, err)

        async def run(party: Party, heard: LastHeard) -> ExitCode:
            return await perform(reactor, options, told, party, heard)

        return await in_party(reactor, options, told, run, interrupted)

    return work


async def in_party(
    reactor: IReactorTime,
    options: AddressedOptions | RegisterOptions,
    told: Told,
    work: Callable[[Party, LastHeard], Awaitable[ExitCode]],
    interrupted: str,
) -> ExitCode:
    """Do *work* with the party of *options*, and end whatever is left of it.

    :param interrupted: what is told at an interrupt.
    :raises UsageError: when the party cannot be made, or *work* finds something wrong with the command line.
    :raises CancelledError: at an interrupt.
    """
    party = make_party(reactor, options, is_clear_text=options.is_clear_text, trust_dialed_peers=True)
    heard = LastHeard()
    party.manager.add_tap(heard)
    try:
        return await work(party, heard)
    except SipError as error:
        return told.ended(exit_code(error), explain(error, first_hop(options), "--timeout"), error)
    except CancelledError:
        told.tell("interrupted", f"interrupted: {interrupted}")
        raise
    finally:
        # What still stands is ended here, in the way that its state demands.
        await party.manager.terminate()
