"""Options from three places: the command line wins over the file of ``--config``, and that over the environment.

What stands in a file or in the environment becomes arguments, put before those of the command line, so that every
value is checked by the one who knows it. A mistake is told with the place where it stands. An option that may be given
several times is taken from one place as a whole; only the bounds of ``--limit`` are each an option of their own.

In the environment an option is called ``SIP_P2P_`` and its name: ``SIP_P2P_FINISH_SESSIONS=30``. A flag is ``1``,
``true``, ``yes`` or ``on``, or their contrary; several values stand with blanks between them, quoted as for a shell. An
empty variable is none.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from typing import TYPE_CHECKING, Any, ClassVar, final

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions, file_path
from sip_p2p.service.settings.config_file import LIMITS, Entry, read_file
from sip_p2p.service.settings.option_table import CONTROL_VARIABLE, PREFIX, Option, OptionKind, option_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

__all__ = ["COMMAND_LINE", "OFF", "ConfigOptions", "Configuration", "Given"]

COMMAND_LINE = "the command line"
"""The place of what was given there."""

OFF = "off"
"""What a flag is that a file or the environment switches off."""

_LIMIT = "limit"
_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off"))
_MENTIONED = re.compile(r"--([a-z][a-z0-9-]*)")


@final
class Given:
    """One value that somebody has given to an option.

    :ivar text: the value; for a flag that is switched on it is empty, and :data:`OFF` for one that is switched off.
    :ivar place: where it stands, in words: ``the command line``, ``party.toml, line 3``, ``SIP_P2P_DRAIN``.
    """

    __slots__ = ("place", "text")

    def __init__(self, text: str, place: str) -> None:
        self.text = text
        self.place = place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and (self.text, self.place) == (other.text, other.place)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Given {self.text!r} {self.place}>"


@final
class Configuration:
    """What was given to each option, and where.

    :ivar options: every option that there is, by its name.
    :ivar given: the values of those that somebody has given.
    :ivar file: the file of ``--config``; None where there is none.
    :ivar strangers: variables of the environment that look like options and are none.
    """

    def __init__(self, options: Sequence[Option]) -> None:
        self.options = {option.name: option for option in options}
        self.given: dict[str, list[Given]] = {}
        self.file: str | None = None
        self.strangers: list[str] = []

    @classmethod
    def gather(cls, options: CommandOptions, arguments: Sequence[str], environment: Mapping[str, str]) -> Configuration:
        """What *arguments*, the file that they or *environment* name, and *environment* itself say.

        :param options: of the class that knows the options; nothing is changed there.
        :raises UsageError: one line that names the place.
        """
        found = cls(option_table(type(options)))
        named, _ = options.named(arguments)
        if any(found.options[name].kind is OptionKind.ACTION for name, _, _ in named if name in found.options):
            # --help and the like have to be had whatever stands elsewhere.
            return found
        command: dict[str, list[Given]] = {}
        for name, _, value in named:
            command.setdefault(name, []).append(Given(value, COMMAND_LINE))
        variables = found._from_environment(environment)
        config = command.get("config") or variables.get("config")
        if config:
            found.file = file_path("config", config[-1].text)
        found._merge(variables)
        if found.file is not None:
            found._merge(found._from_file(found.file))
        found._merge(command)
        return found

    def _merge(self, stronger: dict[str, list[Given]]) -> None:
        for name, values in stronger.items():
            if name == _LIMIT:
                new = {value.text.partition("=")[0] for value in values}
                values = [old for old in self.given.get(name, ()) if old.text.partition("=")[0] not in new] + values
            self.given[name] = values

    def _from_environment(self, environment: Mapping[str, str]) -> dict[str, list[Given]]:
        found: dict[str, list[Given]] = {}
        known = {option.variable: option for option in self.options.values() if option.kind is not OptionKind.ACTION}
        for variable, text in environment.items():
            option = known.get(variable)
            if option is None or (option.is_for_command_line and option.name != "config"):
                if variable.startswith(PREFIX) and variable != CONTROL_VARIABLE:
                    self.strangers.append(variable)
                continue
            if text:
                found[option.name] = _of_variable(option, text)
        return found

    def _from_file(self, path: str) -> dict[str, list[Given]]:
        found: dict[str, list[Given]] = {}
        for entry in read_file(path):
            place = f"{printable(path)}, line {entry.line}"
            if entry.path[0] == LIMITS:
                if entry.path[1:] and entry.value != {}:
                    found.setdefault(_LIMIT, []).append(_of_bound(entry, place))
                elif entry.value != {}:
                    raise usage.UsageError(f"{place}: {LIMITS} is a table: write [{LIMITS}], and a bound in each line")
                continue
            option = self._known(entry, place)
            values = _of_entry(option, entry, path)
            found[option.name] = [*found.get(option.name, ()), *values] if option.name == _LIMIT else values
        return found

    def _known(self, entry: Entry, place: str) -> Option:
        name = entry.path[0]
        option = self.options.get(name)
        if len(entry.path) > 1 or entry.value == {}:
            raise usage.UsageError(f"{place}: {printable(entry.name)} makes a table; there is none but [{LIMITS}]")
        if option is None:
            near = difflib.get_close_matches(name.replace("_", "-").lower(), [*self.options, LIMITS], 1)
            hint = f": is {near[0]} meant?" if near else "; --help lists them"
            raise usage.UsageError(f"{place}: {printable(name)} is no option{hint}")
        if option.is_for_command_line:
            raise usage.UsageError(f"{place}: {name} has no meaning in a file: it is for the command line")
        return option

    @property
    def arguments(self) -> list[str]:
        """What does not stand on the command line, as arguments for it."""
        return [
            f"--{name}={value.text}" if self.options[name].takes_value else f"--{name}"
            for name, values in self.given.items()
            for value in values
            if value.place != COMMAND_LINE and name != "config"
            if self.options[name].takes_value or value.text != OFF
        ]

    def texts(self) -> dict[str, list[str]]:
        """What every option is, where that is anything, whoever said it; what is usual included."""
        found = {name: [option.default] for name, option in self.options.items() if option.default is not None}
        for name, values in self.given.items():
            texts = [value.text for value in values]
            if self.options[name].takes_value or texts != [OFF]:
                found[name] = texts
        return found

    def place_of(self, name: str) -> str:
        """Where the value of an option stands; empty where nobody has given it one."""
        places = dict.fromkeys(value.place for value in self.given.get(name, ()))
        return "; ".join(places)

    def located(self, line: str) -> str:
        """*line*, which says what is wrong with some options, with the places of those that are elsewhere than on the
        command line."""
        places: dict[str, str] = {}
        for name in _MENTIONED.findall(line):
            values = self.given.get(name, [])
            meant = [each for each in values if each.text and printable(each.text) in line] or values
            elsewhere = [each.place for each in meant if each.place != COMMAND_LINE]
            if elsewhere:
                places.setdefault(name, elsewhere[0])
        if not places:
            return line
        (first, place), *others = places.items()
        told = "".join(f"; --{name} stands in {where}" for name, where in others if where != place)
        return f"{place} ({first}): {line}{told}"


class ConfigOptions(CommandOptions):
    """Where options come from besides the command line.

    :ivar configuration: what was given, and where.
    :ivar environment: the environment that is read; that of the process unless it is set before the parsing.
    :ivar arguments: the command line as it was given.
    :ivar folder: where it was given, for the names of files in it.
    """

    optParameters: ClassVar = [
        [
            "config",
            None,
            None,
            "TOML file with any of these options, each by its name; what stands on the command line wins over it, and "
            "it wins over the environment (SIP_P2P_URI and so on); SIGHUP reads it anew",
        ],
    ]

    for_command_line: ClassVar[tuple[str, ...]] = ("config",)

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.configuration = Configuration(())
        self.environment: Mapping[str, str] = os.environ
        self.arguments: list[str] = []
        self.folder = os.curdir

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read *options*, and what the file and the environment say besides.

        :raises UsageError: one line that says what is wrong, and where it stands.
        """
        given = self.arguments = list(sys.argv[1:] if options is None else options)
        self.folder = os.getcwd()
        if "--_shell-completion" not in given[-2:-1]:
            self.configuration = Configuration.gather(self, given, self.environment)
            given = [*self.configuration.arguments, *given]
        try:
            super().parseOptions(given)
        except usage.UsageError as error:
            raise usage.UsageError(self.configuration.located(str(error))) from None

    def again(self) -> Self:
        """The same command line and environment with what the file says now.

        :raises UsageError: for a mistake, as the first time.
        """
        options = type(self)()
        options.environment = self.environment
        options.parseOptions(self.arguments)
        return options

    def postOptions(self) -> None:
        """Say which file was read."""
        super().postOptions()  # type: ignore[no-untyped-call]
        if self.configuration.file is not None:
            self["config"] = self.configuration.file


def _of_variable(option: Option, text: str) -> list[Given]:
    if option.kind is OptionKind.FLAG:
        word = text.strip().lower()
        if word not in _TRUE | _FALSE:
            raise usage.UsageError(f"{option.variable}: {printable(text)} is neither true nor false")
        return [Given("" if word in _TRUE else OFF, option.variable)]
    if option.kind is OptionKind.VALUE:
        return [Given(text, option.variable)]
    try:
        return [Given(each, option.variable) for each in shlex.split(text)]
    except ValueError:
        raise usage.UsageError(f"{option.variable}: there is a quote without its other: {printable(text)}") from None


def _of_bound(entry: Entry, place: str) -> Given:
    name = ".".join(entry.path[1:])
    if isinstance(entry.value, bool) or not isinstance(entry.value, int | float):
        raise usage.UsageError(f"{place} ({printable(entry.name)}): a bound is a number")
    return Given(f"{name}={entry.value}", place)


def _of_entry(option: Option, entry: Entry, path: str) -> list[Given]:
    """The values that a key gives to its option.

    :raises UsageError: it is not of the kind that the option takes.
    """
    value: Any = entry.value
    place = f"{printable(path)}, line {entry.line}"
    if option.kind is OptionKind.FLAG:
        if not isinstance(value, bool):
            raise usage.UsageError(f"{place} ({option.name}): it is true or false, and not {_kind(value)}")
        return [Given("" if value else OFF, place)]
    if option.kind is OptionKind.LIST and isinstance(value, list):
        found = []
        for index, each in enumerate(value):
            line = f"{printable(path)}, line {entry.line_of(index)}"
            found.append(Given(_text(option, each, line), line))
        return found
    return [Given(_text(option, value, place), place)]


def _text(option: Option, value: Any, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        wanted = "a list of texts" if option.kind is OptionKind.LIST else "text or a number"
        raise usage.UsageError(f"{place} ({option.name}): it is {wanted}, and not {_kind(value)}")
    if "\0" in str(value):
        raise usage.UsageError(f"{place} ({option.name}): there is a NUL in it")
    return str(value)


def _kind(value: Any) -> str:
    for kind, words in ((bool, "true or false"), (str, "text"), (int | float, "a number"), (list, "a list")):
        if isinstance(value, kind):
            return words
    return "a table" if isinstance(value, dict) else "a date or a time"
