"""The messages of one session, as they are read and written, for whoever wants to see them (row H29).

A tap on the driver sees everything that all flows carry; here each message is told to the session whose Call-ID it
has, requests that are sent again and ACKs among them. While nobody watches any session there is no tap, and nothing is
spent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast, final

from sip_p2p.endpoint.peer import Peer

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["TracedMessage", "Watching"]

_CALL_ID = re.compile(rb"\n(?:call-id|i)[ \t]*:([^\r\n]*)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


@final
class TracedMessage:
    """One message of a session.

    :ivar direction: ``in`` or ``out``.
    :ivar data: the octets of the message.
    :ivar peer: who is at the other end of the flow that carried it.
    :ivar time: when, by the wall clock, in seconds since 1970.
    """

    __slots__ = ("data", "direction", "peer", "time")

    def __init__(self, direction: str, peer: Peer, data: bytes, time: float) -> None:
        self.direction = direction
        self.peer = peer
        self.data = data
        self.time = time

    @property
    def start_line(self) -> str:
        """Its first line."""
        return self.data.partition(b"\r\n")[0].decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"<TracedMessage {self.direction} {self.start_line[:64]}>"


@final
class Watching:
    """The sessions of one connection manager that are being watched, by their Call-ID; the driver's tap for them."""

    __slots__ = ("_manager", "_watched")

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._watched: dict[bytes, dict[SignalingSession, None]] = {}

    def __len__(self) -> int:
        """How many Call-IDs are being watched."""
        return len(self._watched)

    def watch(self, session: SignalingSession) -> None:
        """Tell *session* of its messages from now on."""
        if not self._watched:
            self._manager.driver.add_tap(self)
        self._watched.setdefault(session.call_id.encode(), {})[session] = None

    def forget(self, session: SignalingSession) -> None:
        """Tell *session* nothing more; nothing happens when it was not watched."""
        key = session.call_id.encode()
        sessions = self._watched.get(key)
        if sessions is None or sessions.pop(session, self) is self:
            return
        if not sessions:
            del self._watched[key]
            if not self._watched:
                self._manager.driver.remove_tap(self)

    def message(self, direction: str, flow: Flow, data: bytes, now: float) -> None:
        """A message went by; called by the driver."""
        found = _CALL_ID.search(data.partition(_END_OF_HEAD)[0])
        sessions = None if found is None else self._watched.get(found[1].strip(b" \t"))
        if not sessions:
            return
        traced = TracedMessage(direction, Peer(cast("LiveFlow", flow)), data, now)
        for session in tuple(sessions):
            session.tell("traced", traced)
