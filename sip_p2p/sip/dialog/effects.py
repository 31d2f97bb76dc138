"""Everything that dialogs and INVITEs can say: read this after :mod:`sip_p2p.sip.outputs`, beside which it stands.

What a machine can do by itself it does: it answers, retransmits and acknowledges again through the core. What it says
is what needs the world or the application: a request for which a flow has to be found, an offer that wants an answer,
something that the application is to be told. Each says whose it is with ``owner``: the
:class:`~sip_p2p.sip.dialog.client_invitation.ClientInvitation`, the
:class:`~sip_p2p.sip.dialog.server_invitation.ServerInvitation` or the
:class:`~sip_p2p.sip.dialog.usage.InviteUsage`, whose ``user`` is whatever the facade put there.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, TypeAlias, final

if TYPE_CHECKING:
    from sip_p2p.errors import RequestFailed
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.client_invitation import ClientInvitation
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.server_invitation import ServerInvitation
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.transaction.layer import ClientTransaction, ServerTransaction

__all__ = [
    "Accepted",
    "AckWanted",
    "AnswerReceived",
    "Ending",
    "Errand",
    "ErrandOwner",
    "Established",
    "InDialogRequestReceived",
    "InvitationEnded",
    "InviteEffect",
    "ModificationEnded",
    "OfferReceived",
    "OfferWithdrawn",
    "Progress",
    "Purpose",
    "Redirected",
    "RequestEnded",
    "RequestUnwanted",
    "RequestWanted",
    "UsageEnded",
    "UsageEnding",
]


class Purpose(enum.Enum):
    """What a request of a dialog, or one that may make a dialog, is for."""

    INVITE = "open a session"
    REINVITE = "change or refresh a session by INVITE"
    UPDATE = "change or refresh a session by UPDATE"
    PRACK = "acknowledge a provisional response"
    BYE = "end a session"
    OTHER = "what the application wants"


class ErrandOwner(Protocol):
    """Who wants a request to be sent, and hears what became of it."""

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response came by *flow*: provisional ones first, and to an INVITE any number of 2xx."""

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """There will be no final response: an :class:`~sip_p2p.errors.OperationTimeout`, or a
        :class:`~sip_p2p.errors.ConnectionFailure` and what derives from it."""


@final
class Errand:
    """A request that has to be sent, from the wish to its final response.

    :ivar owner: who hears what becomes of it.
    :ivar plan: what it is made of; where it goes is ``plan.next_hop``, and whose dialog it is in ``plan.dialog``.
    :ivar purpose: what it is for.
    :ivar transaction: its client transaction, once it was sent; None before.
    :ivar refusal: what its final response means beyond its status, where whoever sent it knows; else None.
    :ivar user: whatever the facade wants to find again.
    """

    __slots__ = ("owner", "plan", "purpose", "refusal", "transaction", "user")

    def __init__(self, owner: ErrandOwner, plan: RequestPlan, purpose: Purpose, user: object = None) -> None:
        self.owner = owner
        self.plan = plan
        self.purpose = purpose
        self.transaction: ClientTransaction | None = None
        self.refusal: RequestFailed | None = None
        self.user = user


@final
class RequestWanted:
    """Find a flow for the request of *errand*, send it, and tell ``errand.owner`` what becomes of it."""

    __slots__ = ("errand",)

    def __init__(self, errand: Errand) -> None:
        self.errand = errand


@final
class RequestUnwanted:
    """Begin nothing more for the request of *errand*: where no transaction carries it, it is never sent and nobody
    hears of it again; the one that does, if any, goes on, and its outcome is told as ever."""

    __slots__ = ("errand",)

    def __init__(self, errand: Errand) -> None:
        self.errand = errand


@final
class AckWanted:
    """Find a flow for the ACK of a 2xx, send it, and tell the usage with ``ack_sent(octets, flow)``: each time the 2xx
    comes again it then acknowledges it by itself (section 13.2.2.4)."""

    __slots__ = ("owner", "plan")

    def __init__(self, owner: InviteUsage, plan: RequestPlan) -> None:
        self.owner = owner
        self.plan = plan


@final
class InDialogRequestReceived:
    """A request in a dialog of ours passed every check and waits for the application's answer.

    :ivar dialog: the dialog; its ``user`` is the usage.
    :ivar is_put_off: it was said once more, after what had to be told first.
    """

    __slots__ = ("dialog", "flow", "is_put_off", "request", "transaction")

    def __init__(self, transaction: ServerTransaction, request: Request, flow: Flow, dialog: Dialog) -> None:
        self.transaction = transaction
        self.request = request
        self.flow = flow
        self.dialog = dialog
        self.is_put_off = False


@final
class OfferReceived:
    """The peer made an offer, and ``owner`` waits for ``answer(description, now)`` or ``decline(status, now)``.

    :ivar owner: the dialog's usage.
    :ivar description: the offer; None where the peer asks us to make one (a re-INVITE without a body), and the answer
        that is given is our offer.
    :ivar request: the request that carried it; None where a response did.
    """

    __slots__ = ("description", "owner", "request")

    def __init__(self, owner: InviteUsage, description: ContentDescription | None, request: Request | None) -> None:
        self.owner = owner
        self.description = description
        self.request = request


@final
class OfferWithdrawn:
    """The offer that was told with :class:`OfferReceived` wants no answer any more: the peer cancelled its re-INVITE,
    or the flow that carried it was lost. The session is as it was before.

    :ivar request: the CANCEL; None where there was none.
    """

    __slots__ = ("owner", "request")

    def __init__(self, owner: InviteUsage, request: Request | None) -> None:
        self.owner = owner
        self.request = request


@final
class AnswerReceived:
    """The peer answered our offer; with it the session is as both agreed.

    :ivar is_preview: it came in a provisional response that may be lost, and will come again in the 2xx (RFC 6337).
    """

    __slots__ = ("description", "is_preview", "owner")

    def __init__(self, owner: InviteUsage, description: ContentDescription, is_preview: bool = False) -> None:
        self.owner = owner
        self.description = description
        self.is_preview = is_preview


@final
class Progress:
    """A provisional response to our INVITE, 100 among them.

    :ivar usage: the early dialog that it belongs to; None where it made none.
    :ivar is_new: whether it is the first of this early dialog: the INVITE reached one more branch.
    """

    __slots__ = ("is_new", "owner", "response", "usage")

    def __init__(self, owner: ClientInvitation, response: Response, usage: InviteUsage | None, is_new: bool) -> None:
        self.owner = owner
        self.response = response
        self.usage = usage
        self.is_new = is_new


@final
class Redirected:
    """A 3xx to our INVITE. Nothing is tried until the owner is told ``follow(targets, now)`` or ``give_up(now)``.

    :ivar contacts: the URIs to try as the response orders them: by q, the highest first, none that was tried.
    """

    __slots__ = ("contacts", "owner", "response")

    def __init__(self, owner: ClientInvitation, response: Response, contacts: list[str]) -> None:
        self.owner = owner
        self.response = response
        self.contacts = contacts


@final
class Accepted:
    """The first 2xx to our INVITE came: its usage is the session from now on. Its ACK is sent at once, or waits for our
    answer or for ``acknowledge`` (section 13.2.2.4).

    :ivar owner: the usage of the branch that won; the session is established when it is acknowledged.
    """

    __slots__ = ("owner", "response")

    def __init__(self, owner: InviteUsage, response: Response) -> None:
        self.owner = owner
        self.response = response


@final
class Established:
    """A session stands: our INVITE was accepted and acknowledged, or our 2xx was acknowledged.

    :ivar owner: its usage.
    :ivar message: the 2xx, or the ACK.
    """

    __slots__ = ("message", "owner")

    def __init__(self, owner: InviteUsage, message: Request | Response) -> None:
        self.owner = owner
        self.message = message


@final
class InvitationEnded:
    """An INVITE came to nothing; no usage of it lives any more.

    :ivar response: the final response: the peer's to ours, or ours to the peer's; None where there was none. A 2xx here
        came after we had cancelled: it was acknowledged, and is ended by BYE, whose outcome :class:`UsageEnded` tells.
    :ivar reason: what happened instead of a response, or what made us cancel it: an
        :class:`~sip_p2p.errors.OperationTimeout` where it rang for too long. None where a response says all, and where
        nothing but the wish to cancel ended what was never sent.
    :ivar request: the CANCEL that ended it, where a peer's did, or the BYE that ended the last early dialog of it.
    """

    __slots__ = ("owner", "reason", "request", "response")

    def __init__(
        self,
        owner: ClientInvitation | ServerInvitation,
        response: Response | None,
        reason: BaseException | None = None,
        request: Request | None = None,
    ) -> None:
        self.owner = owner
        self.response = response
        self.reason = reason
        self.request = request


class Ending(enum.Enum):
    """How the usage of an INVITE ended."""

    LOCAL_BYE = "we hung up"
    REMOTE_BYE = "the peer hung up"
    NO_ACK = "the peer never acknowledged our 2xx"
    EXPIRED = "nobody refreshed the session in time"
    DIALOG_GONE = "the peer does not know the dialog any more"
    NO_RESPONSE = "the peer did not answer a request in the dialog"
    FORKED = "another branch won, or the INVITE had been cancelled"
    NO_AGREEMENT = "offer and answer came to no agreement"
    UNREACHABLE = "its connection was lost, and the peer was not found again"
    EARLY = "it ended before it was established"


@final
class UsageEnding:
    """It is decided that the session ends, and our BYE is on its way, though the application has not asked for that.
    For it the session is over now; :class:`UsageEnded` follows with the outcome of the BYE, which can take as long as a
    transaction.

    :ivar ending: how.
    :ivar message: what decided it: the response that did; None where nothing came.
    """

    __slots__ = ("ending", "message", "owner")

    def __init__(self, owner: InviteUsage, ending: Ending, message: Request | Response | None) -> None:
        self.owner = owner
        self.ending = ending
        self.message = message


@final
class UsageEnded:
    """The usage of an INVITE is over; what is left to be sent for it has been sent or is wanted.

    :ivar ending: how.
    :ivar message: what ended it: the peer's BYE, or the response that did; None where nothing came.
    """

    __slots__ = ("ending", "message", "owner")

    def __init__(self, owner: InviteUsage, ending: Ending, message: Request | Response | None = None) -> None:
        self.owner = owner
        self.ending = ending
        self.message = message


@final
class ModificationEnded:
    """A change that we asked for, by ``modify``, has its outcome; the answer, if any, was told before.

    :ivar response: the final response; None where there was none.
    :ivar reason: what happened instead, or what the response means beyond its status; else None.
    """

    __slots__ = ("owner", "reason", "response")

    def __init__(self, owner: InviteUsage, response: Response | None, reason: BaseException | None = None) -> None:
        self.owner = owner
        self.response = response
        self.reason = reason


@final
class RequestEnded:
    """A request that the application asked for, by ``request``, has its outcome.

    :ivar errand: what ``request`` returned.
    :ivar response: the final response; None where there was none.
    :ivar reason: what happened instead; None where there was a response.
    """

    __slots__ = ("errand", "owner", "reason", "response")

    def __init__(
        self, owner: InviteUsage, errand: Errand, response: Response | None, reason: BaseException | None = None
    ) -> None:
        self.owner = owner
        self.errand = errand
        self.response = response
        self.reason = reason


InviteEffect: TypeAlias = (
    RequestWanted
    | RequestUnwanted
    | AckWanted
    | InDialogRequestReceived
    | OfferReceived
    | OfferWithdrawn
    | AnswerReceived
    | Progress
    | Redirected
    | Accepted
    | Established
    | InvitationEnded
    | UsageEnding
    | UsageEnded
    | ModificationEnded
    | RequestEnded
)
