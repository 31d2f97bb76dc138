"""Which registrations each flow serves (RFC 5626 section 4.5): its loss is told to those, and to nobody else.

A manager may have thousands of registered parties; that one of their flows is gone is no question to all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.endpoint.registration.registration import Registration
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["FlowBonds"]


@final
class FlowBonds:
    """The flows that registrations of one connection manager are bound to."""

    __slots__ = ("_bound",)

    def __init__(self) -> None:
        self._bound: dict[LiveFlow, dict[Registration, None]] = {}

    def __len__(self) -> int:
        """How many flows serve somebody."""
        return len(self._bound)

    def tie(self, flow: LiveFlow, registration: Registration) -> None:
        """*registration* is served by *flow*, and hears of its loss."""
        self._bound.setdefault(flow, {})[registration] = None

    def untie(self, flow: LiveFlow, registration: Registration) -> None:
        """It is not any more; nothing happens where it was not."""
        served = self._bound.get(flow)
        if served is not None:
            served.pop(registration, None)
            if not served:
                del self._bound[flow]

    def flow_lost(self, flow: LiveFlow, reason: BaseException) -> None:
        """*flow* is gone: whoever was reached by it has to be reached in another way."""
        for registration in self._bound.pop(flow, ()):
            registration.flow_lost(flow, reason)
