"""Every option of a command line as a value: its names, its kind, its usual value and its text.

Read from the option classes themselves, as :mod:`twisted.python.usage` describes them. Files, the environment,
``--check``, the man pages and the sample file all go by this table; an option needs to stand nowhere else.
"""

from __future__ import annotations

import enum
import inspect
import re
from typing import TYPE_CHECKING, Any, final

from twisted.python import usage

from sip_p2p.service.settings.command_line import CommandOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CONTROL_VARIABLE", "PREFIX", "Option", "OptionKind", "option_table"]

PREFIX = "SIP_P2P_"
"""What the name of an option begins with in the environment."""

CONTROL_VARIABLE = f"{PREFIX}CONTROL"
"""The variable that says where the API of a running service is, to the commands that ask one."""

_PLACEHOLDER = re.compile(r"([A-Z]{2,}(?:[=:|][A-Z]{2,})*)(?![A-Za-z0-9_])(?! +file)")
_WORDS = (
    ("seconds", "SECONDS"),
    ("file", "FILE"),
    ("folder", "DIR"),
    ("hop", "HOST:PORT"),
    ("listen", "DESCRIPTION"),
    ("trusted proxy", "NAME"),
    ("trust", "FILE"),
    ("how many", "NUMBER"),
    ("host", "HOST"),
    ("name", "NAME"),
    ("uri", "URI"),
)


class OptionKind(enum.Enum):
    """What an option takes."""

    FLAG = "flag"
    VALUE = "value"
    LIST = "list"
    ACTION = "action"
    """Something that is done at once, such as ``--help``; only a command line can ask for it."""


@final
class Option:
    """One option.

    :ivar name: its long name, without the dashes.
    :ivar short: its letter, or an empty text.
    :ivar kind: what it takes.
    :ivar default: what it is where nobody gives it; None where that is nothing.
    :ivar text: what it is for, in one line.
    :ivar group: the class that it stands in.
    :ivar is_for_command_line: whether it has no meaning in a file.
    """

    __slots__ = ("default", "group", "is_for_command_line", "kind", "name", "short", "text")

    def __init__(
        self,
        name: str,
        short: str,
        kind: OptionKind,
        default: str | None,
        text: str,
        group: type[usage.Options],
        is_for_command_line: bool,
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.default = default
        self.text = text
        self.group = group
        self.is_for_command_line = is_for_command_line

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper().replace("-", "_")

    @property
    def takes_value(self) -> bool:
        """Whether something follows it."""
        return self.kind in (OptionKind.VALUE, OptionKind.LIST)

    @property
    def placeholder(self) -> str:
        """What stands for its value in a synopsis; empty for one that takes none."""
        if not self.takes_value:
            return ""
        begins = _PLACEHOLDER.match(self.text)
        if begins is not None:
            return begins[1]
        text = re.sub("^with --[a-z]+ [a-z]+: ", "", self.text)
        head = re.split(r"[:;,(]", f"{self.name.replace('-', ' ')} {text}".lower())[0]
        return next((word for mark, word in _WORDS if mark in head), "VALUE")

    def __repr__(self) -> str:
        return f"<Option --{self.name} {self.kind.value}>"


def option_table(kind: type[CommandOptions]) -> tuple[Option, ...]:
    """Every option of *kind*, those of its bases first, each where it stands first."""
    options = kind()
    letters = {options.synonyms[letter]: letter for letter in options.synonyms if len(letter) == 1}
    found: dict[str, Option] = {}
    for group in reversed(kind.__mro__):
        if not issubclass(group, usage.Options):
            continue
        for name in _own_names(group):
            name = options.synonyms.get(name, name)
            if len(name) == 1 or (f"{name}=" not in options.longOpt and name not in options.longOpt):
                continue
            found[name] = _option(options, name, letters.get(name, ""), found.get(name, group))
    return tuple(found.values())


def _own_names(group: type[usage.Options]) -> Iterator[str]:
    """The names that *group* itself gives to options, in its order."""
    own = vars(group)
    for entry in (*own.get("optParameters", ()), *own.get("optFlags", ())):
        yield entry[0]
    for name, value in own.items():
        if name.startswith("opt_") and inspect.isfunction(value):
            yield name[4:].replace("_", "-")


def _option(options: CommandOptions, name: str, short: str, group: Any) -> Option:
    takes_value = f"{name}=" in options.longOpt
    if takes_value:
        kind = OptionKind.LIST if options.may_repeat(name) else OptionKind.VALUE
    else:
        kind = OptionKind.FLAG if name in options.defaults else OptionKind.ACTION
    default = options.defaults.get(name) if takes_value else None
    return Option(
        name,
        short,
        kind,
        None if default is None else str(default),
        " ".join((options.docs.get(name) or "").split()),
        group.group if isinstance(group, Option) else group,
        kind is OptionKind.ACTION or options.is_for_command_line(name),
    )
