"""A TOML file with options: what stands there, and in which line.

Every option stands there by its long name: text or a number for one that takes a value, ``true`` or ``false`` for a
flag, a list for one that may be given several times, and the table ``[limits]`` for the bounds. Python's parser says in
which line a syntax is wrong and not where a value came from; that is found by parsing the file again statement by
statement.

The grammar is TOML 1.0. Files are UTF-8, and at most :data:`FILE_OCTETS` long.
"""

from __future__ import annotations

import re
import tomllib
from typing import Any, final

from twisted.python import usage

from sip_p2p.observe.text import printable

__all__ = ["FILE_OCTETS", "LIMITS", "Entry", "parse_file", "read_file"]

FILE_OCTETS = 262_144
"""How long a file with options may be, in octets; a longer one is refused before it is parsed."""

LIMITS = "limits"
"""The one table that a file may have."""

_PLACE = re.compile(r" \(at line ([0-9]+), column ([0-9]+)\)\Z")
_CLOSES = re.compile(r"[\]}]|\"\"\"|'''")
_NAME = r"(?:[A-Za-z0-9_-]+|\"(?:[^\"\\]|\\.)*\"|'[^']*')"
_BEGINS = re.compile(rf"[ \t]*(?:\[|{_NAME}[ \t]*(?:\.[ \t]*{_NAME}[ \t]*)*=)")


@final
class Entry:
    """One key of a file.

    :ivar path: the names of the tables that it stands in, and its own.
    :ivar value: what Python makes of its value.
    :ivar line: the line in which it begins, counted from 1.
    """

    __slots__ = ("_statement", "line", "path", "value")

    def __init__(self, path: tuple[str, ...], value: Any, line: int, statement: str) -> None:
        self.path = path
        self.value = value
        self.line = line
        self._statement = statement

    @property
    def name(self) -> str:
        """The key as a person writes it."""
        return ".".join(self.path)

    def line_of(self, index: int) -> int:
        """The line in which the element *index* of a list begins."""
        lines = self._statement.splitlines(keepends=True)
        for count in range(1, len(lines)):
            try:
                begun = tomllib.loads("".join(lines[:count]) + "\n]")
            except tomllib.TOMLDecodeError:
                continue
            (value,) = begun.values()
            if isinstance(value, list) and len(value) > index:
                return self.line + count - 1
        return self.line + len(lines) - 1

    def __repr__(self) -> str:
        return f"<Entry {self.name} line {self.line}>"


def read_file(path: str) -> list[Entry]:
    """What stands in the file *path*.

    :raises UsageError: one line, with the number of the line in the file where there is one.
    """
    try:
        with open(path, "rb") as file:
            octets = file.read(FILE_OCTETS + 1)
    except OSError as error:
        raise usage.UsageError(f"--config {printable(path)}: {error.strerror or type(error).__name__}") from None
    if len(octets) > FILE_OCTETS:
        raise usage.UsageError(f"--config {printable(path)} is longer than {FILE_OCTETS} octets")
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise usage.UsageError(f"{printable(path)}, line {line}: the file is not UTF-8") from None
    return parse_file(text, path)


def parse_file(text: str, path: str) -> list[Entry]:
    """What *text* says, key by key, in the order of the file; *path* is what mistakes call it.

    :raises UsageError: it is not TOML.
    """
    text = text.replace("\r\n", "\n")
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise usage.UsageError(_of_syntax(str(error), text, path)) from None
    except RecursionError:
        raise usage.UsageError(f"{printable(path)}: its values stand in one another too deeply") from None
    entries: list[Entry] = []
    table: tuple[str, ...] = ()
    for line, statement in _statements(text):
        if statement.lstrip().startswith("["):
            table, inside = _header(statement)
            # A table may be empty, and has to be known all the same.
            entries.append(Entry(table, inside, line, statement))
            continue
        for key, value in _leaves(tomllib.loads(statement), ()):
            entries.append(Entry((*table, *key), value, line, statement))
    return entries


def _of_syntax(words: str, text: str, path: str) -> str:
    place = _PLACE.search(words)
    if place is None:
        line, column, words = len(text.splitlines()) or 1, "", words.replace(" (at end of document)", "")
    else:
        line, column, words = int(place[1]), f", column {place[2]}", words[: place.start()]
    return f"{printable(path)}, line {line}{column}: this is not TOML: {printable(words)}"


def _statements(text: str) -> list[tuple[int, str]]:
    """Each table header and each key with its value, and the line in which it begins."""
    found: list[tuple[int, str]] = []
    begun: list[str] = []
    first = 0
    lines = text.split("\n")
    # Behind each line, whether what comes next can be a statement: in a long list it is not, and nothing is parsed.
    may_end = [True] * len(lines)
    for index in range(len(lines) - 2, -1, -1):
        following = lines[index + 1].strip(" \t")
        is_nothing = not following or following.startswith("#")
        may_end[index] = may_end[index + 1] if is_nothing else _BEGINS.match(following) is not None
    for number, line in enumerate(lines, 1):
        if not begun:
            first = number
        elif not (may_end[number - 1] and _CLOSES.search(line)):
            # Only a bracket or quotes can end what goes on over several lines.
            begun.append(line)
            continue
        begun.append(line)
        statement = "\n".join(begun)
        try:
            is_something = bool(tomllib.loads(statement))
        except tomllib.TOMLDecodeError:
            continue
        if is_something:
            found.append((first, statement))
        begun = []
    return found


def _header(statement: str) -> tuple[tuple[str, ...], Any]:
    """The names in a header, and what its table is: a table, or one of several in a list."""
    names: list[str] = []
    inner: Any = tomllib.loads(statement)
    while isinstance(inner, dict) and inner:
        ((name, inner),) = inner.items()
        names.append(name)
    return tuple(names), inner


def _leaves(table: dict[str, Any], above: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
    """Every value in *table* that is no table itself, with its path."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in table.items():
        if isinstance(value, dict) and value:
            found += _leaves(value, (*above, name))
        else:
            found.append(((*above, name), value))
    return found
