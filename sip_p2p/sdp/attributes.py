"""Attributes (RFC 8866 sections 5.13 and 6): a list in order, of which some are flags and the others have values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sip_p2p.sdp.grammar import check_line, check_token

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Attribute", "Direction", "direction_of", "value_of", "values_of", "with_direction"]


class Direction(enum.Enum):
    """Who sends (section 6.7), as seen by whoever wrote it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, sends: bool, receives: bool) -> Direction:
        """The direction of whoever does these."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE

    @property
    def reversed(self) -> Direction:
        """The same as the other side sees it."""
        return Direction.of(self.receives, self.sends)

    def within(self, other: Direction) -> Direction:
        """What is in both."""
        return Direction.of(self.sends and other.sends, self.receives and other.receives)


_DIRECTIONS = {direction.value: direction for direction in Direction}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One ``a=`` line.

    :ivar name: a token.
    :ivar value: what stands after the colon; None for a flag, which has none.
    """

    name: str
    value: str | None = None

    def __post_init__(self) -> None:
        check_token("the name of an attribute", self.name)
        if self.value is not None:
            check_line(f"the value of the attribute {self.name}", self.value)

    @classmethod
    def read(cls, text: str) -> Attribute:
        """The value of an ``a=`` line.

        :raises ValueError: when it is none.
        """
        name, colon, value = text.partition(":")
        return cls(name, value if colon else None)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


def value_of(attributes: Iterable[Attribute], name: str) -> str | None:
    """The value of the first attribute *name*; the empty string for a flag, None where there is none."""
    for attribute in attributes:
        if attribute.name == name:
            return attribute.value or ""
    return None


def values_of(attributes: Iterable[Attribute], name: str) -> list[str]:
    """The values of all attributes *name*."""
    return [attribute.value or "" for attribute in attributes if attribute.name == name]


def direction_of(attributes: Iterable[Attribute]) -> Direction | None:
    """The direction that stands among *attributes*; None where none does."""
    for attribute in attributes:
        found = _DIRECTIONS.get(attribute.name)
        if found is not None and attribute.value is None:
            return found
    return None


def with_direction(attributes: Iterable[Attribute], direction: Direction | None) -> list[Attribute]:
    """*attributes* with *direction* and no other; None takes it away."""
    kept = [each for each in attributes if each.name not in _DIRECTIONS or each.value is not None]
    return kept if direction is None else [*kept, Attribute(direction.value)]
