"""Where browsers are (RFC 7118 appendix B.1, RFC 2606).

A browser cannot be dialled and knows no address of its own: it calls itself by a name that it has made up and that
ends in ``.invalid``, in the Via of its requests and in its Contact. Such a name leads back over the WebSocket on which
it was said, and nowhere else.

Nobody can prove such a name. While one WebSocket has it, another gets it only if both have proved the same identity, or
neither has proved any and both come from one address, as after the reload of a page: so nobody can take over what is
meant for somebody else, and a stranger's guess has to come first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.transport.stream.flow import StreamFlow
    from sip_p2p.transport.target import Target

__all__ = ["MADE_UP", "Browsers"]

MADE_UP = ".invalid"
"""How the names end that lead to nobody by themselves."""


@final
class Browsers:
    """Which WebSocket leads to which made-up name; one name a WebSocket."""

    __slots__ = ("_by_name", "_names")

    def __init__(self) -> None:
        self._by_name: dict[str, StreamFlow] = {}
        self._names: dict[StreamFlow, str] = {}

    def __len__(self) -> int:
        return len(self._by_name)

    def learn(self, flow: StreamFlow, name: str) -> bool:
        """The peer at the end of *flow*, an accepted WebSocket, calls itself *name*; whether that counts."""
        before = self._by_name.get(name)
        if before is flow:
            return True
        if before is not None and before.is_open:
            same = before.peer == flow.peer if before.peer or flow.peer else before.remote_host == flow.remote_host
            if not same or before.transport != flow.transport:
                return False
        if before is not None:
            del self._names[before]
        self.forget(flow)
        self._by_name[name] = flow
        self._names[flow] = name
        return True

    def find(self, target: Target) -> StreamFlow | None:
        """The WebSocket to the browser that *target* names, never one without TLS where TLS is asked for, and none
        where another name than the made-up one is to be proved."""
        flow = self._by_name.get(target.host)
        if flow is None or not flow.is_open or target.name != target.host:
            return None
        return flow if flow.is_secure or not target.transport.is_secure else None

    def forget(self, flow: StreamFlow) -> None:
        """A WebSocket is gone."""
        name = self._names.pop(flow, None)
        if name is not None:
            del self._by_name[name]
