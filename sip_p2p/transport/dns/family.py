"""Which family of addresses to use, and in which order (RFC 6157, RFC 7984, RFC 8305 section 4)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["AddressFamilyHint"]


class AddressFamilyHint(enum.Enum):
    """A wish about addresses; the value is how it is written in options.

    ``ALL`` and the two that prefer one take every address and differ in which comes first; ``V4`` and ``V6`` take no
    other, and a name without such an address cannot be reached then.
    """

    ALL = "all"
    V4 = "v4"
    V6 = "v6"
    PREFER_V4 = "prefer-v4"
    PREFER_V6 = "prefer-v6"

    @classmethod
    def named(cls, name: str | AddressFamilyHint | None) -> AddressFamilyHint:
        """The hint called *name*, in any case; None means ``ALL``.

        :raises ValueError: for a name that is none, with the names that are.
        :raises TypeError: for what is no name.
        """
        if isinstance(name, AddressFamilyHint):
            return name
        if name is None:
            return cls.ALL
        if not isinstance(name, str):
            raise TypeError(f"an address family is named by text, not {type(name).__name__}")
        try:
            return cls(name.lower())
        except ValueError:
            known = ", ".join(member.value for member in cls)
            raise ValueError(f"{name!r} is not an address family; there are {known}") from None

    @property
    def record_types(self) -> tuple[str, ...]:
        """The records that are worth asking for."""
        return {"v4": ("A",), "v6": ("AAAA",)}.get(self.value, ("AAAA", "A"))

    @property
    def is_strict(self) -> bool:
        """Whether it keeps addresses out."""
        return self is AddressFamilyHint.V4 or self is AddressFamilyHint.V6

    def takes(self, address: str) -> bool:
        """Whether *address*, an IP address without brackets, may be used."""
        return self is not (AddressFamilyHint.V4 if ":" in address else AddressFamilyHint.V6)

    def order(self, addresses: Iterable[str]) -> list[str]:
        """Those of *addresses* that may be used, the families taking turns.

        They begin with the family that is preferred; without a preference with IPv6 (RFC 8305 section 4). Within each
        family the order stays.
        """
        by_family: tuple[list[str], list[str]] = ([], [])
        for address in addresses:
            if self.takes(address):
                by_family[":" not in address].append(address)
        first, second = by_family[::-1] if self is AddressFamilyHint.PREFER_V4 else by_family
        ordered: list[str] = []
        for index in range(max(len(first), len(second))):
            ordered += first[index : index + 1] + second[index : index + 1]
        return ordered
