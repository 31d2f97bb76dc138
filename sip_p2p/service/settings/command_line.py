"""What every command line of ours does its own way: the order of arguments, repetition, version and help.

Every mistake is a :class:`twisted.python.usage.UsageError` with one line of text. Options may stand before or after
other arguments, ``--`` ends them, and one that can only have one value is refused when it is given two.
"""

from __future__ import annotations

import getopt
import math
import os
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from twisted.python import usage

import sip_p2p
from sip_p2p.observe.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.words import ExitCode

    Work = Callable[[IReactorTime], Coroutine[Deferred[Any], Any, ExitCode]]

__all__ = ["CommandOptions", "file_path", "seconds"]


def seconds(name: str, text: str, *, least: float = 0.0) -> float:
    """The number of seconds that *text* gives for the option *name*.

    :raises UsageError: when it is no number, not finite, or below *least*.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least or value > 86_400:
        raise usage.UsageError(f"--{name} {printable(text)} is not a number of seconds between {least:g} and 86400")
    return value


class CommandOptions(usage.Options):
    """What every command line of ours does its own way: the order of arguments, repetition, version and help."""

    repeatable: ClassVar[tuple[str, ...]] = ()
    """The options of this class itself that may be given several times; those of its bases are not named again."""

    for_command_line: ClassVar[tuple[str, ...]] = ()
    """Those of this class itself that have no meaning in a file, as they say what is to be done now."""

    @classmethod
    def may_repeat(cls, name: str) -> bool:
        """Whether the option *name* may be given several times, with other values."""
        return any(name in vars(each).get("repeatable", ()) for each in cls.__mro__)

    @classmethod
    def is_for_command_line(cls, name: str) -> bool:
        """Whether the option *name* has no meaning in a file."""
        return any(name in vars(each).get("for_command_line", ()) for each in cls.__mro__)

    def named(self, given: Sequence[str]) -> tuple[list[tuple[str, str, str]], list[str]]:
        """The options in *given*, each with its full name, as it was written, and its value; and the arguments.

        :raises UsageError: an option is unknown, or lacks its value.
        """
        try:
            found, arguments = getopt.gnu_getopt(list(given), self.shortOpt, self.longOpt)
        except getopt.GetoptError as error:
            raise usage.UsageError(printable(str(error))) from None
        named = []
        for option, value in found:
            name = self.synonyms.get(option.lstrip("-").replace("-", "_"), option.lstrip("-"))
            named.append((name.replace("_", "-"), option, value))
        return named, arguments

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read *options*, those of the process when None.

        :raises UsageError: one line that says what is wrong.
        """
        given = list(sys.argv[1:] if options is None else options)
        if "--_shell-completion" not in given[-2:-1] and not getattr(self, "subCommands", None):
            given = self._options_first(given)
        super().parseOptions(given)  # type: ignore[no-untyped-call]

    def _options_first(self, given: list[str]) -> list[str]:
        """*given* with its options before its arguments, each under its full name."""
        found, arguments = self.named(given)
        ordered: list[str] = []
        values: dict[str, str] = {}
        for name, option, value in found:
            if not self.may_repeat(name) and values.setdefault(name, value) != value:
                raise usage.UsageError(f"--{name} is given twice: {printable(values[name])} and {printable(value)}")
            takes_value = option.startswith("--") and f"{option[2:]}=" in self.longOpt
            if takes_value:
                ordered.append(f"{option}={value}")
            else:
                ordered += [option, value] if value else [option]
        return [*ordered, "--", *arguments]

    def parseArgs(self, *arguments: str) -> None:
        """Take no arguments; a subclass that takes some overrides this.

        :raises UsageError: when there are any.
        """
        if arguments:
            raise usage.UsageError(f"what is {printable(arguments[0])} for? Only options are expected here")

    def getSynopsis(self) -> str:
        """How it is called: ours names the whole command, so what stands before it is not put in front again."""
        return str(getattr(self, "synopsis", "") or super().getSynopsis())

    def getUsage(self, width: int | None = None) -> str:
        """The options, their texts without the line breaks that docstrings have."""
        self.docs = {name: " ".join((text or "").split()) for name, text in self.docs.items()}
        return str(super().getUsage(width))

    def opt_version(self) -> NoReturn:
        """print the version and leave"""
        print(f"sip-p2p {sip_p2p.__version__}")
        raise SystemExit(0)


def file_path(option: str, text: str) -> str:
    """*text* as an absolute path: ``twistd`` may change its folder before the file is opened."""
    if not text or "\0" in text:
        raise usage.UsageError(f"--{option} is not the name of a file: {printable(text)!r}")
    return os.path.abspath(text)
