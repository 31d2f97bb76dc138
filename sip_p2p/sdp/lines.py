"""The values of single lines: origin, connection, bandwidth, times (RFC 8866 section 5). All of them immutable."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sip_p2p.sdp.grammar import check_line, check_number, check_token, check_word, is_address, read_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Bandwidth", "Connection", "Origin", "Timing", "address_type_of"]

_LARGEST_ID = 2**64 - 1
_LARGEST_TIME = 10**20 - 1
_LARGEST_TTL = 255


def address_type_of(address: str) -> str:
    """``IP6`` for an IPv6 address, ``IP4`` for everything else."""
    try:
        return f"IP{ipaddress.ip_address(address).version}"
    except ValueError:
        return "IP4"


def _check_address(what: str, network_type: str, address_type: str, address: str) -> None:
    check_token(f"the network type of {what}", network_type)
    check_token(f"the address type of {what}", address_type)
    if not is_address(address_type, address):
        raise ValueError(f"the address of {what} must be one of {address_type}, not {address[:64]!r}")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who describes which session, and the how manieth description it is (section 5.2).

    :ivar address: where it was made: an address or a host name.
    :ivar session_id: with the other parts but the version, it names the session; 64 bits.
    :ivar version: larger by one each time the description changes (RFC 3264 section 8).
    :ivar username: ``-`` where there is no such concept.
    """

    address: str
    session_id: int
    version: int = 1
    username: str = "-"
    network_type: str = "IN"
    address_type: str = ""

    def __post_init__(self) -> None:
        if not self.address_type:
            object.__setattr__(self, "address_type", address_type_of(self.address))
        check_word("the user name of an origin", self.username)
        check_number("a session id", self.session_id, _LARGEST_TIME)
        check_number("a session version", self.version, _LARGEST_TIME)
        _check_address("an origin", self.network_type, self.address_type, self.address)

    @classmethod
    def read(cls, text: str) -> Origin:
        """The value of an ``o=`` line.

        :raises ValueError: when it is none.
        """
        parts = text.split(" ")
        if len(parts) != 6:
            raise ValueError(f"an origin has six parts, not {len(parts)}")
        username, session_id, version, network_type, address_type, address = parts
        return cls(
            address,
            read_number("a session id", session_id, _LARGEST_TIME),
            read_number("a session version", version, _LARGEST_TIME),
            username,
            network_type,
            address_type,
        )

    @property
    def session(self) -> tuple[str, int, str, str, str]:
        """What names the session: everything but the version."""
        return (self.username, self.session_id, self.network_type, self.address_type, self.address)

    def next(self) -> Origin:
        """The origin of the next description of the same session; after the largest version of 64 bits comes 0."""
        version = 0 if self.version >= _LARGEST_ID else self.version + 1
        return Origin(self.address, self.session_id, version, self.username, self.network_type, self.address_type)

    def __str__(self) -> str:
        where = f"{self.network_type} {self.address_type} {self.address}"
        return f"{self.username} {self.session_id} {self.version} {where}"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where media go (section 5.7).

    :ivar address: an address or a host name; ``0.0.0.0`` is how RFC 2543 held a call.
    :ivar ttl: how far IPv4 multicast reaches; None for unicast.
    :ivar count: how many multicast addresses follow each other; None for one.
    """

    address: str
    ttl: int | None = None
    count: int | None = None
    network_type: str = "IN"
    address_type: str = ""

    def __post_init__(self) -> None:
        if not self.address_type:
            object.__setattr__(self, "address_type", address_type_of(self.address))
        _check_address("a connection", self.network_type, self.address_type, self.address)
        if self.ttl is not None:
            check_number("the TTL of a connection", self.ttl, _LARGEST_TTL)
        if self.count is not None and self.count < 1:
            raise ValueError("a connection has at least one address")

    @classmethod
    def read(cls, text: str) -> Connection:
        """The value of a ``c=`` line.

        :raises ValueError: when it is none.
        """
        parts = text.split(" ")
        if len(parts) != 3:
            raise ValueError(f"a connection has three parts, not {len(parts)}")
        network_type, address_type, where = parts
        address, *rest = where.split("/")
        numbers = [read_number("a part of a connection", each, 2**31) for each in rest]
        if len(numbers) > (1 if address_type == "IP6" else 2):
            raise ValueError(f"too many slashes in the address {where[:64]!r}")
        if address_type == "IP6":
            # Section 5.7: IPv6 multicast has a scope of its own, and no TTL.
            return cls(address, None, numbers[0] if numbers else None, network_type, address_type)
        ttl = numbers[0] if numbers else None
        return cls(address, ttl, numbers[1] if len(numbers) == 2 else None, network_type, address_type)

    @property
    def is_hold(self) -> bool:
        """Whether it is the address that RFC 2543 held a call with; RFC 3264 section 8.4 still accepts that."""
        return self.address in ("0.0.0.0", "::")

    def __str__(self) -> str:
        where = self.address
        if self.ttl is not None:
            where += f"/{self.ttl}"
        if self.count is not None:
            where += f"/{self.count}"
        return f"{self.network_type} {self.address_type} {where}"


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """How much is used (section 5.8).

    :ivar kind: ``CT``, ``AS``, ``TIAS``, ``RS``, ``RR`` or ``X-`` and more.
    :ivar value: kilobits a second, unless *kind* says otherwise.
    """

    kind: str
    value: int

    def __post_init__(self) -> None:
        check_token("the kind of a bandwidth", self.kind)
        check_number("a bandwidth", self.value, _LARGEST_TIME)

    @classmethod
    def read(cls, text: str) -> Bandwidth:
        """The value of a ``b=`` line.

        :raises ValueError: when it is none.
        """
        kind, colon, value = text.partition(":")
        if not colon:
            raise ValueError("a bandwidth has a kind, a colon and a number")
        return cls(kind, read_number("a bandwidth", value, _LARGEST_TIME))

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"


@dataclass(frozen=True, slots=True)
class Timing:
    """From when to when, in seconds since 1900; 0 and 0 for a session that is when it is (section 5.9).

    :ivar repeats: the values of its ``r=`` lines (section 5.10), as they stand.
    """

    start: int = 0
    stop: int = 0
    repeats: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        check_number("a start", self.start, _LARGEST_TIME)
        check_number("a stop", self.stop, _LARGEST_TIME)
        for repeat in self.repeats:
            check_line("a repetition", repeat)

    @classmethod
    def read(cls, text: str, repeats: Sequence[str] = ()) -> Timing:
        """The value of a ``t=`` line.

        :raises ValueError: when it is none.
        """
        parts = text.split(" ")
        if len(parts) != 2:
            raise ValueError(f"a time has a start and a stop, not {len(parts)} parts")
        start, stop = (read_number("a time", part, _LARGEST_TIME) for part in parts)
        return cls(start, stop, tuple(repeats))

    def __str__(self) -> str:
        return f"{self.start} {self.stop}"
