"""The text of an endpoint description, taken apart by Twisted's rules of quoting.

A description is parts between colons: the prefix, values without a name, and ``key=value``. A colon, an equals sign or
a backslash within a value is written with a backslash before it. What the parts mean is said in
:mod:`.listening.descriptions`.
"""

from __future__ import annotations

from typing import final

from twisted.internet.abstract import isIPAddress, isIPv6Address

__all__ = ["BACKLOG", "PREFIXES", "Description", "number"]

PREFIXES = "tls, tcp, udp, ws, wss, systemd, haproxy, and Twisted's own: tcp6, unix"
"""What a description may begin with, as mistakes are told."""

BACKLOG = 1024
"""How many connections may wait in the system to be accepted, when nothing else is said; it takes less where its own
bound is lower (``net.core.somaxconn``)."""


@final
class Description:
    """A description taken apart.

    :ivar prefix: what stands before the first colon.
    :ivar positional: the values without a name.
    :ivar values: the values with one.
    """

    __slots__ = ("positional", "prefix", "values")

    def __init__(self, prefix: str, positional: list[str], values: dict[str, str]) -> None:
        self.prefix = prefix
        self.positional = positional
        self.values = values

    @classmethod
    def parse(cls, text: str) -> Description:
        """Take *text* apart by Twisted's rules of quoting.

        :raises ValueError: a key is repeated, or the text ends in a backslash.
        """
        prefix, *parts = _parts(text)
        if len(prefix) > 1 or not prefix[0]:
            raise ValueError(f"it has no prefix: begin with one of {PREFIXES}")
        positional: list[str] = []
        values: dict[str, str] = {}
        for part in parts:
            if len(part) == 1:
                positional.append(part[0])
            elif part[0] in values:
                raise ValueError(f"{part[0]} stands twice: remove one of them")
            else:
                values[part[0]] = part[1]
        return cls(prefix[0].lower(), positional, values)

    def check_keys(self, known: tuple[str, ...]) -> None:
        """See that all keys are among *known*.

        :raises ValueError: one is not.
        """
        for key in self.values:
            if key not in known:
                raise ValueError(f"{self.prefix}: has no key {key!r}: it has {', '.join(known)}")

    def where(self, known: tuple[str, ...]) -> tuple[int, str, int]:
        """Port, interface and backlog, all keys being among *known*.

        :raises ValueError: they are not, or a value is none.
        """
        self.check_keys(known)
        if len(self.positional) > 1:
            raise ValueError(
                f"what is {self.positional[1]!r} for? Only the port may stand without a key, and a colon inside a "
                "value has a backslash before it"
            )
        interface = self.values.get("interface", "")
        if interface and not isIPAddress(interface) and not isIPv6Address(interface):
            raise ValueError(
                f"interface={interface} is not an IP address: give one, with a backslash before each colon in it"
            )
        backlog = number("backlog", self.values.get("backlog", str(BACKLOG)), 1)
        return self.port(), interface, backlog

    def listed(self, key: str) -> list[str] | None:
        """What stands under *key*, with commas between; None where it is not there.

        :raises ValueError: one of them is empty.
        """
        value = self.values.get(key)
        if value is None:
            return None
        found = [each.strip() for each in value.split(",")]
        if not all(found):
            raise ValueError(f"{key}={value} has an empty place in it: give what you mean with commas between")
        return found

    def within(self, *own: str) -> Description:
        """The description that this one wraps: what is left without its prefix and its *own* keys.

        :raises ValueError: it wraps none.
        """
        if not self.positional:
            raise ValueError(f"{self.prefix}: needs another description behind it, such as {self.prefix}:tls:port=5061")
        values = {key: value for key, value in self.values.items() if key not in own}
        return Description(self.positional[0].lower(), self.positional[1:], values)

    def text(self) -> str:
        """The description in one line."""
        named = [f"{_quoted(key)}={_quoted(value)}" for key, value in self.values.items()]
        return ":".join([self.prefix, *map(_quoted, self.positional), *named])

    def port(self) -> int:
        """The port, by name or by place.

        :raises ValueError: it is missing, given twice, or no port.
        """
        named = self.values.get("port")
        if self.positional and named is not None:
            raise ValueError(f"port stands twice, as {self.positional[0]!r} and as port={named}: remove one of them")
        text = self.positional[0] if self.positional else named
        if text is None:
            raise ValueError(f"port is missing: write {self.prefix}:port=5061, or port=0 for any that is free")
        return number("port", text, 0)

    def path(self, key: str) -> str | None:
        """The file under *key*.

        :raises ValueError: the value is empty.
        """
        value = self.values.get(key)
        if value == "" or (value is not None and "\0" in value):
            raise ValueError(f"{key} is not the name of a file: give one, or leave {key} out")
        return value


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace(":", "\\:").replace("=", "\\=")


def _parts(text: str) -> list[list[str]]:
    """The parts between unquoted colons, each split at its first unquoted equals sign."""
    parts: list[list[str]] = [[""]]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            quoted = next(characters, None)
            if quoted is None:
                raise ValueError("it ends in a backslash: write two for one that is meant")
            parts[-1][-1] += quoted
        elif character == ":":
            parts.append([""])
        elif character == "=" and len(parts[-1]) == 1:
            parts[-1].append("")
        else:
            parts[-1][-1] += character
    return parts


def number(key: str, text: str, least: int) -> int:
    """The number under *key*, from *least* to 65535.

    :raises ValueError: it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= 65535):
        raise ValueError(f"{key}={text} is not a number from {least} to 65535")
    return int(text)
