"""What the four machines have in common: their states, and what their user sees of them.

The machines derive from :class:`ClientTransaction` and :class:`ServerTransaction` and are final; nothing else derives
from these. Their inputs are methods that take the table as an argument. Each is called by the layer, never by the
user.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.compose import Echo
from sip_p2p.sip.fields import parse_timestamp

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Judgement
    from sip_p2p.sip.transaction.table import TransactionTable
    from sip_p2p.sip.transaction.timers import TimerName

__all__ = ["ClientTransaction", "ServerTransaction", "Transaction", "TransactionState"]


class TransactionState(enum.Enum):
    """The states of Figures 5 to 8, and Accepted of RFC 6026."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"


class Transaction:
    """A request and what becomes of it.

    :ivar key: what messages find it by.
    :ivar flow: the flow that it lives on; when that is lost, so is the transaction.
    :ivar request: the request. The application may have changed it: no state is derived from it later. Of a peer's
        INVITE that was accepted it is what responses copy, and nothing else.
    :ivar method: its method.
    :ivar state: where the machine is. Confirmed, and Completed where no timer but D, J or K runs, are states that
        only a record of the layer is in: the object stays in it and does no more.
    """

    __slots__ = ("flow", "key", "method", "request", "state")

    def __init__(self, key: str, request: Request, flow: Flow, state: TransactionState) -> None:
        self.key = key
        self.flow = flow
        self.request = request
        self.method = request.method
        self.state = state

    def timer_fired(self, name: TimerName, table: TransactionTable, now: float) -> None:
        """A timer of this transaction ran out."""
        raise TypeError("a transaction is one of the four machines")

    def flow_failed(self, reason: BaseException, table: TransactionTable) -> None:
        """The flow was lost (17.1.4, 17.2.4). The table has forgotten the flow already."""
        raise TypeError("a transaction is one of the four machines")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.state.value}>"


class ClientTransaction(Transaction):
    """A request of ours.

    :ivar user: whatever the caller wants to find again when the outcome arrives. The transaction never looks at it.
    :ivar is_abandoned: True once nobody wants the outcome any more: there are no outputs for the user then.
    :ivar sent_by: what the top Via names, which a response has to name as well (18.1.2).
    """

    __slots__ = ("is_abandoned", "sent_by", "user")

    def __init__(self, key: str, request: Request, flow: Flow, state: TransactionState, sent_by: str) -> None:
        self.key = key
        self.flow = flow
        self.request = request
        self.method = request.method
        self.state = state
        self.sent_by = sent_by
        self.is_abandoned = False
        self.user: object | None = None

    def start(self, octets: bytes, table: TransactionTable, now: float) -> None:
        """Send the request; *octets* is its serialised form."""
        raise TypeError("a client transaction is one of two machines")

    def receive(self, response: Response, table: TransactionTable, now: float) -> None:
        """A response that belongs to this transaction."""
        raise TypeError("a client transaction is one of two machines")

    def abandon(self, table: TransactionTable, now: float) -> None:
        """The user wants to hear no more of it."""
        raise TypeError("a client transaction is one of two machines")


class ServerTransaction(Transaction):
    """A peer's request.

    :ivar is_final_sent: whether the final response has been given.
    :ivar echo: what every response copies from the request, as it was when the request came.
    :ivar judgement: what the party's authenticator has said of its sender; None where nobody asked.
    :ivar merge_key: where the user agent entered the request to recognise it by another path (8.2.2.2).
    :ivar user: whoever is to be told, with :class:`~sip_p2p.sip.outputs.RequestAbandoned`, that it ended before it was
        answered: the usage of a dialog sets itself here. The transaction never looks at it.
    """

    __slots__ = ("echo", "is_final_sent", "judgement", "merge_key", "user")

    def __init__(self, key: str, request: Request, flow: Flow, state: TransactionState) -> None:
        self.key = key
        self.flow = flow
        self.request = request
        self.method = request.method
        self.state = state
        self.is_final_sent = False
        self.judgement: Judgement | None = None
        self.echo = Echo(request.headers, request.to.tag is not None, request.read_mandatory())
        self.merge_key = ""
        self.user: object | None = None

    @property
    def authenticated_as(self) -> str:
        """The user name that its sender has shown to know the password of; empty where nobody asked."""
        return "" if self.judgement is None else self.judgement.username

    def start(self, table: TransactionTable, now: float) -> None:
        """Enter the table."""
        raise TypeError("a server transaction is one of two machines")

    def receive_again(self, flow: Flow, table: TransactionTable, now: float) -> None:
        """The same request, retransmitted; *flow* is where it came from, and leads to the same party."""
        raise TypeError("a server transaction is one of two machines")

    def respond(self, response: Response, table: TransactionTable, now: float) -> None:
        """The user's response."""
        raise TypeError("a server transaction is one of two machines")

    def trying(self) -> Response:
        """A 100 of our own, with the Timestamp that section 8.2.6.1 asks for, where the request has one that is one."""
        response = self.echo.response(100)
        timestamp = self.request.headers.get("Timestamp")
        if timestamp is None:
            return response
        try:
            parse_timestamp(timestamp)
        except MalformedMessage:
            # A timer makes this response, with nobody left to refuse the request: nothing here may raise.
            return response
        response.headers.add("Timestamp", timestamp)
        return response
