"""Everything that the core can say: read this first.

The core has no callbacks. Each input (a message, a timer, a lost flow, a wish of the application) may leave outputs, in
the order in which they are to take effect; the driver takes them with ``take_outputs()``, writes what is to be written
and tells the endpoint the rest. What dialogs say stands in :mod:`~sip_p2p.sip.dialog.effects`, and comes in the same
list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, final

from sip_p2p.sip.dialog.effects import InviteEffect
from sip_p2p.sip.event.usage import EventEffect

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ClientTransaction, ServerTransaction

__all__ = [
    "AckReceived",
    "CloseFlow",
    "Output",
    "RequestAbandoned",
    "RequestReceived",
    "ResponseReceived",
    "SendMessage",
    "TransactionFailed",
    "TransactionTimedOut",
]


@final
class SendMessage:
    """Write *data*, one whole message, to *flow*."""

    __slots__ = ("data", "flow")

    def __init__(self, flow: Flow, data: bytes) -> None:
        self.flow = flow
        self.data = data


@final
class CloseFlow:
    """Close *flow* once what was written to it has left: what the peer sends can no longer be told apart."""

    __slots__ = ("flow", "reason")

    def __init__(self, flow: Flow, reason: str) -> None:
        self.flow = flow
        self.reason = reason


@final
class RequestReceived:
    """A request passed every check of RFC 3261 section 8.2 and waits for the application's answer.

    :ivar profile: whose request it is: the :class:`~sip_p2p.sip.profile.Profile` that the Request-URI selected.
    """

    __slots__ = ("flow", "profile", "request", "transaction")

    def __init__(self, transaction: ServerTransaction, request: Request, flow: Flow, profile: Profile) -> None:
        self.transaction = transaction
        self.request = request
        self.flow = flow
        self.profile = profile


@final
class AckReceived:
    """An ACK that belongs to no INVITE transaction: it acknowledges a 2xx (section 13.3.1.4).

    :ivar dialog: the dialog that it names; None where there is none, or where whoever sent it has no part in it.
    """

    __slots__ = ("dialog", "flow", "request")

    def __init__(self, request: Request, flow: Flow, dialog: Dialog | None = None) -> None:
        self.request = request
        self.flow = flow
        self.dialog = dialog


@final
class RequestAbandoned:
    """A server transaction ended before the application had answered: its flow was lost, its time was up, or the peer
    cancelled it.

    :ivar request: the CANCEL; None where none came.
    """

    __slots__ = ("reason", "request", "transaction")

    def __init__(self, transaction: ServerTransaction, reason: str, request: Request | None = None) -> None:
        self.transaction = transaction
        self.reason = reason
        self.request = request


@final
class ResponseReceived:
    """A response to a request of ours; several provisional ones may precede the final one."""

    __slots__ = ("response", "transaction")

    def __init__(self, transaction: ClientTransaction, response: Response) -> None:
        self.transaction = transaction
        self.response = response


@final
class TransactionTimedOut:
    """Timer B or F fired: no final response came (section 17.1)."""

    __slots__ = ("transaction",)

    def __init__(self, transaction: ClientTransaction) -> None:
        self.transaction = transaction


@final
class TransactionFailed:
    """The flow that carried a client transaction was lost before its final response (section 17.1.4)."""

    __slots__ = ("reason", "transaction")

    def __init__(self, transaction: ClientTransaction, reason: BaseException) -> None:
        self.transaction = transaction
        self.reason = reason


Output: TypeAlias = (
    SendMessage
    | CloseFlow
    | RequestReceived
    | AckReceived
    | RequestAbandoned
    | ResponseReceived
    | TransactionTimedOut
    | TransactionFailed
    | InviteEffect
    | EventEffect
)
