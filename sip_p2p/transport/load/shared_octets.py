"""Octets that many flows hold and that have one bound for all of them: what waits to be written, what came in part.

Each flow has a bound of its own; thousands of flows that each stay below theirs are what this is for (faults A6, G8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.limits import Limits

__all__ = ["SharedOctets"]


@final
class SharedOctets:
    """How much the flows of one side hold of one kind.

    :ivar name: the name of the bound.
    :ivar limits: where it stands.
    :ivar total: how much all of them hold.
    """

    __slots__ = ("_held", "_hit", "limits", "name", "total")

    def __init__(self, name: str, limits: Limits, hit: Callable[[str], object]) -> None:
        """:param hit: told the name when the bound was reached."""
        self.name = name
        self.limits = limits
        self._hit = hit
        self._held: dict[LiveFlow, int] = {}
        self.total = 0

    def __len__(self) -> int:
        """How many flows hold something."""
        return len(self._held)

    def breadth(self, most: int) -> int:
        """How much they hold if none of them counts for more than *most*: what a few hoard is no shortage of ours."""
        return sum(min(octets, most) for octets in self._held.values())

    def holds(self, flow: LiveFlow, octets: int) -> None:
        """*flow* holds so much from now on.

        Over the bound the flow that holds most is aborted, and the next, until what is left fits.
        """
        held = self._held
        self.total += octets - held.pop(flow, 0)
        if not octets:
            return
        held[flow] = octets
        most = int(getattr(self.limits, self.name))
        while self.total > most and held:
            worst = max(held, key=held.__getitem__)
            self._hit(self.name)
            # Taken out before it is asked to go: one that would not must not keep us here.
            self.total -= held.pop(worst)
            worst.abort()
