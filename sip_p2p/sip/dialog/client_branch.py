"""What one branch of our INVITE says, told to its usage (RFC 3261 sections 12.1.2, 13.2.1 and 13.2.2.4; RFC 3262
section 4; RFC 6228).

Which responses are to be heard at all, and which branch wins, is :mod:`.client_invitation`'s. Here a response of a
known branch becomes what the parts of the usage make of it: its place in the order of reliable ones and a PRACK, an
offer or an answer, and at the end an ACK, and a BYE for a branch that nobody wants any more.

A description counts in whichever provisional response it stands: 180 as well as 183.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Accepted, AnswerReceived, Ending, OfferReceived, Progress
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.reliable import ReliableReceiver, rseq_of
from sip_p2p.sip.dialog.usage import InviteUsage

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.client_invitation import ClientInvitation
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.dialog.reliable import RAck
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["begin_usage", "hear_acceptance", "hear_provisional", "refuse_acceptance"]


def begin_usage(
    core: UserAgentCore, invitation: ClientInvitation, errand: Errand, response: Response, flow: Flow
) -> InviteUsage:
    """The usage that *response*, the first of its branch, makes (section 12.1.2); early until it is accepted.

    :raises MalformedMessage: when it names no dialog.
    """
    transaction = errand.transaction
    request = errand.plan.prepare() if transaction is None else transaction.request
    usage = InviteUsage(core, Dialog.of_caller(request, response, flow), invitation, invitation.user)
    # RFC 3264: every branch has been told of our offer, or of our wish for one.
    usage.local_description = description_of(request)
    usage.offer_answer.sending(Place.INVITE, usage.local_description is not None)
    return usage


def hear_provisional(
    core: UserAgentCore, invitation: ClientInvitation, usage: InviteUsage, response: Response, is_new: bool, now: float
) -> None:
    """A provisional response of an early dialog."""
    rack: RAck | None = None
    if rseq_of(response):
        receiver = usage.reliable
        if not isinstance(receiver, ReliableReceiver):
            receiver = usage.reliable = ReliableReceiver()
        rack = receiver.received(response)
        if rack is None:
            # RFC 3262 section 4: it came before, or one before it is missing.
            return
    usage.capabilities.heard(response)
    core.say(Progress(invitation, response, usage, is_new))
    role, description = _description(usage, Place.UNRELIABLE if rack is None else Place.RELIABLE, response)
    if rack is not None and role is Role.OFFER:
        # RFC 3262 section 5: the PRACK carries the answer, and waits for it.
        invitation.hold_prack(usage, rack)
        core.say(OfferReceived(usage, description, None))
        return
    if rack is not None:
        usage.send_prack(rack, None, now)
    if description is not None and role is not Role.NOTHING:
        core.say(AnswerReceived(usage, description, role is Role.PREVIEW))


def hear_acceptance(
    core: UserAgentCore, usage: InviteUsage, response: Response, flow: Flow, cseq: int, ack_now: bool, now: float
) -> None:
    """The 2xx of the branch that won (section 13.2.2.4).

    :param cseq: the sequence number of the INVITE, which the ACK shares.
    :param ack_now: whether the ACK waits for nothing but, where there is an offer, for our answer.
    """
    usage.accepted(response, cseq, now, flow)
    core.say(Accepted(usage, response))
    role, description = _description(usage, Place.INVITE_2XX, response)
    if usage.offer_answer.has_failed:
        # 13.2.2.4: what cannot be accepted is acknowledged, and ended.
        usage.bye(now, ending=Ending.NO_AGREEMENT)
        return
    if role is Role.OFFER:
        # 13.2.2.4: the ACK carries the answer, and waits for it.
        core.say(OfferReceived(usage, description, None))
        return
    if description is not None and role is Role.ANSWER:
        core.say(AnswerReceived(usage, description))
    if ack_now:
        usage.acknowledge(None, (), now)


def refuse_acceptance(usage: InviteUsage, response: Response, flow: Flow, cseq: int, now: float) -> None:
    """The 2xx of a branch that nobody wants: it is acknowledged, then ended (section 13.2.2.4).

    An offer in it goes unanswered: what would be an answer is for the application to say, and the session that it would
    be for never begins.
    """
    usage.accepted(response, cseq, now, flow)
    usage.bye(now, ending=Ending.FORKED)


def _description(usage: InviteUsage, place: Place, response: Response) -> tuple[Role, ContentDescription | None]:
    """What *response* describes, and what that is; a body that cannot be understood describes nothing."""
    try:
        description = description_of(response)
    except MalformedMessage:
        description = None
    role = usage.offer_answer.received(place, description is not None)
    return (role, description) if isinstance(role, Role) else (Role.NOTHING, None)
