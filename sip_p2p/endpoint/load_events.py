"""What a connection manager tells about load: a peer that is not read from for a while, and its own state."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.peer import Peer

if TYPE_CHECKING:
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.load.overload import OverloadState

__all__ = ["OverloadChanged", "ThrottlingStateChanged"]


@final
class ThrottlingStateChanged:
    """Nothing more is read from a peer, because it takes nothing or waits for too many answers; or it is read again.

    :ivar flow: the connection.
    :ivar is_throttled: whether nothing is read from it now.
    """

    __slots__ = ("flow", "is_throttled")

    def __init__(self, flow: LiveFlow) -> None:
        self.flow = flow
        self.is_throttled = flow.is_throttled

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        return Peer(self.flow)

    def __repr__(self) -> str:
        return f"<ThrottlingStateChanged {self.flow!r} {'paused' if self.is_throttled else 'read again'}>"


@final
class OverloadChanged:
    """A connection manager does without more than before, or without less.

    :ivar previous_state: the state before.
    :ivar state: the state now.
    :ivar reason: what it is for, in words.
    """

    __slots__ = ("previous_state", "reason", "state")

    def __init__(self, previous_state: OverloadState, state: OverloadState, reason: str) -> None:
        self.previous_state = previous_state
        self.state = state
        self.reason = reason

    def __repr__(self) -> str:
        return f"<OverloadChanged {self.previous_state.value} -> {self.state.value}: {self.reason}>"
