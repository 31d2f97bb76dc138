"""What a path through the network in memory does to what travels on it."""

from __future__ import annotations

import dataclasses

__all__ = ["Conditions", "Datagram"]


@dataclasses.dataclass(frozen=True, slots=True)
class Conditions:
    """How one direction between two hosts behaves. The default is a perfect wire: nothing is lost, nothing takes time.

    :ivar delay: seconds that everything takes to arrive.
    :ivar jitter: up to so many further seconds, drawn for each datagram and each segment of a stream. Datagrams
        overtake each other by it, streams stay in order.
    :ivar loss: the share of packets that get lost, 0 to 1. Streams send them again: to them loss is delay.
    :ivar duplicate: the share of datagrams that arrive twice.
    :ivar reorder: the share of datagrams that are held back, so that later ones overtake them.
    :ivar reorder_delay: for how many seconds those are held back.
    :ivar mtu: octets of the largest IP packet. A longer datagram travels in fragments, all of which must arrive.
    :ivar fragments: False where a firewall drops fragments, and with them every datagram over the MTU.
    :ivar chunk: cut streams into segments of so many octets, each a ``dataReceived`` of its own; a pair draws the
        length of each segment between the two. None: what was sent together arrives together.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_delay: float = 0.05
    mtu: int = 1500
    fragments: bool = True
    chunk: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("delay", "jitter", "reorder_delay"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: seconds cannot be negative")
        for name in ("loss", "duplicate", "reorder"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: a share lies between 0 and 1")
        if self.mtu < 576:
            raise ValueError(f"mtu={self.mtu}: at least 576 octets (RFC 791)")
        smallest, largest = self.chunk_bounds or (1, 1)
        if not 1 <= smallest <= largest:
            raise ValueError(f"chunk={self.chunk}: at least one octet, and the smaller length first")

    @property
    def chunk_bounds(self) -> tuple[int, int] | None:
        """The least and the greatest length of a segment, or None for no cutting."""
        return (self.chunk, self.chunk) if isinstance(self.chunk, int) else self.chunk


class Datagram:
    """One datagram on its way, as :attr:`Network.drop <sip_p2p.testing.Network.drop>` gets to see it.

    :ivar source: (address, port) of the sender.
    :ivar destination: (address, port) of the receiver.
    :ivar data: its octets.
    """

    __slots__ = ("data", "destination", "source")

    def __init__(self, source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
        self.source = source
        self.destination = destination
        self.data = data
