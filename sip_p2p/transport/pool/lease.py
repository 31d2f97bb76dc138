"""Leases: whoever needs a connection to stay holds one (rows E5, E7).

A connection that nobody holds is closed when it has not been used for a while. A session holds a lease for the life of
its dialog, an eager reconnection one for as long as it lasts; a request by itself needs none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from types import TracebackType

    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Lease"]


@final
class Lease:
    """The promise that a flow is not closed for idleness; it is as good as gone when the flow is lost.

    Also a context manager.

    :ivar flow: the flow.
    """

    __slots__ = ("_is_held", "flow")

    def __init__(self, flow: LiveFlow) -> None:
        self.flow = flow
        self._is_held = True
        flow.leases += 1

    @property
    def is_held(self) -> bool:
        """Whether :meth:`release` has not been called."""
        return self._is_held

    def release(self) -> None:
        """Let the flow go; nothing happens the second time."""
        if self._is_held:
            self._is_held = False
            self.flow.leases -= 1

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()
