"""What a connection manager tells of its flows: one may be used from now on, one is gone and what was on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.peer import Peer

if TYPE_CHECKING:
    from sip_p2p.sip.transaction.base import Transaction
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["FlowLost", "FlowOpened"]


@final
class FlowOpened:
    """A flow may carry messages.

    :ivar flow: the flow: its transport, addresses, verified identity and who opened it.
    """

    __slots__ = ("flow",)

    def __init__(self, flow: LiveFlow) -> None:
        self.flow = flow

    @property
    def peer(self) -> Peer:
        """Who is at its other end, and by what that is known."""
        return Peer(self.flow)

    def __repr__(self) -> str:
        return f"<FlowOpened {self.flow!r}>"


@final
class FlowLost:
    """A flow is gone.

    When this is told, the transactions that were on the flow have ended already: requests of ours have failed with
    *reason*, or are on their way to another server; answers that were owed are abandoned.

    :ivar flow: the flow, with its transport, addresses, verified identity and who opened it.
    :ivar reason: why, as the requests that were on it have it; a
        :class:`~sip_p2p.errors.ConnectionFailure` or one of its kinds.
    :ivar age: for how many seconds it could be used.
    :ivar transactions: what was on it and had not ended, in the order of its beginning.
    """

    __slots__ = ("age", "flow", "reason", "transactions")

    def __init__(
        self, flow: LiveFlow, reason: BaseException, age: float, transactions: tuple[Transaction, ...]
    ) -> None:
        self.flow = flow
        self.reason = reason
        self.age = age
        self.transactions = transactions

    @property
    def peer(self) -> Peer:
        """Who was at its other end, and by what that was known."""
        return Peer(self.flow)

    @property
    def messages_in(self) -> int:
        """How many messages came on it; keep-alives are none."""
        return self.flow.messages

    @property
    def messages_out(self) -> int:
        """How many were written to it, answers to keep-alives among them."""
        return self.flow.sent

    def __repr__(self) -> str:
        return f"<FlowLost {self.flow!r} after {self.age:.1f} s: {self.reason}; {len(self.transactions)} on it>"
