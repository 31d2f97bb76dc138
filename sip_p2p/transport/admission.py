"""Who may open a connection to us, and how many: the bounds on what is accepted (faults H1, H3, H4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.stream import StreamFlow
    from sip_p2p.transport.throttle import ThrottledLog

__all__ = ["LOOPBACK", "Admission"]

LOOPBACK = ("127.", "::1", "unix")
"""What the addresses of this machine itself begin with."""


@final
class Admission:
    """Counts what was accepted, and says what is one too many.

    :ivar limits: the bounds.
    :ivar handshakes: how many accepted connections have no flow yet.
    :ivar accepted: how many accepted connections carry a flow.
    :ivar refused: how many were one too many.
    """

    __slots__ = ("_by_address", "_peers_log", "accepted", "handshakes", "limits", "refused")

    def __init__(self, limits: Limits, peers_log: ThrottledLog) -> None:
        self.limits = limits
        self._peers_log = peers_log
        self._by_address: dict[str, int] = {}
        self.handshakes = 0
        self.accepted = 0
        self.refused = 0

    def begin_handshake(self) -> bool:
        """A connection was accepted; False when too many are still without a verified peer. It counts until
        :meth:`end_handshake` in either case."""
        self.handshakes += 1
        if self.handshakes > self.limits.handshakes:
            self._refuse("a connection", f"{self.limits.handshakes} are in their handshake")
            return False
        return True

    def end_handshake(self) -> None:
        """A connection has become a flow, or has ended before it did."""
        self.handshakes -= 1

    def refusal(self, flow: StreamFlow, of_peer: int) -> str:
        """Why *flow* is one too many; the empty string when it is welcome.

        :param of_peer: how many flows there are to the party that it proved to be.
        """
        limits = self.limits
        reason = ""
        if self.accepted >= limits.connections:
            reason = f"{limits.connections} connections are open"
        elif self._by_address.get(
            flow.remote_host, 0
        ) >= limits.connections_per_address and not flow.remote_host.startswith(LOOPBACK):
            reason = f"{limits.connections_per_address} connections from {flow.remote_host} are open"
        elif flow.peer and of_peer >= limits.connections_per_identity:
            reason = f"{limits.connections_per_identity} connections of {flow.peer} are open"
        if reason:
            self._refuse(repr(flow), reason)
        return reason

    def _refuse(self, what: str, reason: str) -> None:
        """Count a connection that is one too many, and log it within bounds."""
        self.refused += 1
        self._peers_log.warn("refused {what}: {reason}", what=what, reason=reason)

    def enter(self, flow: StreamFlow) -> None:
        """An accepted connection carries a flow from now on."""
        self.accepted += 1
        self._by_address[flow.remote_host] = self._by_address.get(flow.remote_host, 0) + 1

    def leave(self, flow: StreamFlow) -> None:
        """It is gone."""
        self.accepted -= 1
        left = self._by_address.get(flow.remote_host, 1) - 1
        if left:
            self._by_address[flow.remote_host] = left
        else:
            self._by_address.pop(flow.remote_host, None)
