"""A tap for whatever takes events as they happen: a capture file, a Homer server, a file of JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, final

from sip_p2p.observe.redact import NO_BODIES, BodyPolicy
from sip_p2p.observe.trace import FlowFacts, TraceEvent, event_of

if TYPE_CHECKING:
    from sip_p2p.observe.trace import Direction
    from sip_p2p.sip.flow import Flow

__all__ = ["EventSink", "ExportTap"]


class EventSink(Protocol):
    """Takes events one after another; it must neither wait nor raise."""

    def write(self, event: TraceEvent) -> None:
        """One more event."""


@final
class ExportTap:
    """Shows every message, without its secrets, to all of its sinks: ``manager.add_tap(tap)``.

    :param local: what to call this side; each flow's sent-by when empty.
    :param max_octets: how much of one message is shown, head and body together.
    :param bodies: whose bodies are shown, their keys withheld.
    """

    def __init__(
        self, *sinks: EventSink, local: str = "", max_octets: int = 65536, bodies: BodyPolicy = NO_BODIES
    ) -> None:
        self._sinks = sinks
        self._local = local
        self._max_octets = max_octets
        self._bodies = bodies

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        """One message passed *flow* at *now*, seconds since 1970; *data* is all of it."""
        facts = FlowFacts(flow, self._local)
        way: Direction = "out" if direction == "out" else "in"
        event = event_of(way, facts, data, now, max_octets=self._max_octets, bodies=self._bodies)
        for sink in self._sinks:
            sink.write(event)
