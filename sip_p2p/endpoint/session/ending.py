"""Many sessions that end at once: as fast as their connections carry it, and no faster (rows B13, B14).

A party with ten thousand sessions on one connection has megabytes to say when it goes. Said in one turn, they would
keep the reactor from everything else for seconds, and the connection would be cut off as one whose peer does not read:
nobody would hear of the end. So they end in rounds, and no round begins on a connection that still has much to write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.transport.stream.flow import StreamFlow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twisted.internet.interfaces import IDelayedCall

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.session.session import SignalingSession

__all__ = ["Endings"]

_AT_ONCE = 100
_PAUSE = 0.01
"""Seconds between two rounds."""


@final
class Endings:
    """The sessions of one connection manager that are to be ended."""

    __slots__ = ("_manager", "_timer", "_waiting")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._waiting: dict[SignalingSession, None] = {}
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        """How many wait for their round."""
        return len(self._waiting)

    def end(self, sessions: Iterable[SignalingSession]) -> None:
        """End *sessions* politely: the first ones now, the others in their turn."""
        self._waiting.update(dict.fromkeys(sessions))
        if self._timer is None:
            self._go_on()

    def forget(self, session: SignalingSession) -> None:
        """*session* is gone, or there is no time left for it."""
        if self._waiting:
            self._waiting.pop(session, None)
            if not self._waiting and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _go_on(self) -> None:
        self._timer = None
        ended = 0
        for session in tuple(self._waiting):
            if ended == _AT_ONCE:
                break
            if session in self._waiting and not self._is_full(session):
                del self._waiting[session]
                ended += 1
                session.end([])
        if self._waiting and self._timer is None:
            self._timer = self._manager.reactor.callLater(_PAUSE, self._go_on)

    def _is_full(self, session: SignalingSession) -> bool:
        """Whether its connection has enough to write already."""
        flow = None if session.usage is None else session.usage.dialog.flow
        return isinstance(flow, StreamFlow) and flow.queued > self._manager.limits.write_buffer // 2
