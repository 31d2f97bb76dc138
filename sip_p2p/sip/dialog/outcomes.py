"""What became of our requests in a dialog that INVITE made, and what that means for the session (RFC 3261 sections
12.2.1.2 and 15.1.1, RFC 3262 section 4, RFC 5057 section 5).

A response goes to whoever asked for the request; what it means beyond that is in :mod:`.reach`. A re-INVITE is special:
its 2xx has to be acknowledged as often as it comes, whatever has become of the session meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import OperationTimeout
from sip_p2p.sip.dialog.acknowledging import OwedAck
from sip_p2p.sip.dialog.effects import AckWanted, Ending, Purpose, RequestEnded
from sip_p2p.sip.dialog.offer_answer import Place
from sip_p2p.sip.dialog.reach import Reach, reach_of

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["end_dialog", "hear_failure", "hear_response", "judge"]


def hear_response(usage: InviteUsage, errand: Errand, response: Response, flow: Flow, now: float) -> None:
    """*response* to the request of *errand* came by *flow*."""
    purpose = errand.purpose
    if purpose is Purpose.REINVITE and 200 <= response.status < 300 and not _is_first_2xx(usage, errand, response):
        return
    if purpose is Purpose.REINVITE or purpose is Purpose.UPDATE:
        change = usage.outgoing
        if change is not None and change.errand is errand:
            change.hear(usage, response, flow, now)
    elif response.status < 200:
        return
    elif purpose is Purpose.BYE:
        usage.bye_done(now)
    elif purpose is Purpose.PRACK:
        _prack_done(usage, response)
    elif purpose is Purpose.OTHER:
        _request_done(usage, errand, response, None, now)


def hear_failure(usage: InviteUsage, errand: Errand, reason: BaseException, now: float) -> None:
    """There will be no final response to the request of *errand*."""
    purpose = errand.purpose
    if purpose is Purpose.BYE:
        # 15.1.1: no response is as good as one.
        usage.bye_done(now)
    elif purpose is Purpose.PRACK:
        _prack_done(usage, None)
    elif purpose is Purpose.OTHER:
        _request_done(usage, errand, None, reason, now)
    elif usage.outgoing is not None and usage.outgoing.errand is errand:
        usage.outgoing.failed(usage, reason, now)


def judge(usage: InviteUsage, method: str, response: Response | None, reason: BaseException | None, now: float) -> None:
    """End the session if the outcome of a request shows that there is none any more, or nobody to talk to."""
    if usage.is_over:
        return
    if usage.state is not usage.state.CONFIRMED and not usage.dialog.is_caller:
        # 13.3.1.4: a request can overtake the response that makes the dialog known to the caller. The INVITE decides.
        return
    if response is not None:
        reach = reach_of(response.status, method)
    else:
        # 12.2.1.2: no response at all counts as 408; a flow that is lost or not to be had, as 503.
        reach = Reach.SILENCE if isinstance(reason, OperationTimeout) else Reach.REQUEST
    if reach is Reach.SILENCE and not usage.is_early:
        # 12.2.1.2: with a BYE, in case somebody hears it.
        usage.hang_up(Ending.NO_RESPONSE, (), response, now)
    elif reach is not Reach.REQUEST:
        usage.ended(Ending.NO_RESPONSE if reach is Reach.SILENCE else Ending.DIALOG_GONE, now, response)
        if reach is Reach.DIALOG:
            end_dialog(usage.core, usage.dialog, response, now)


def end_dialog(core: UserAgentCore, dialog: Dialog, response: Response | None, now: float) -> None:
    """RFC 5057 section 5.1: *dialog* is gone with everything that it was used for, and each usage is told.

    :param response: what said so; None where there was none.
    """
    session, subscriptions = dialog.user, tuple((dialog.subscriptions or {}).values())
    core.dialogs.end(dialog)
    if session is not None:
        session.ended(Ending.DIALOG_GONE, now, response)
    for subscription in subscriptions:
        subscription.dialog_gone(response, now)


def _is_first_2xx(usage: InviteUsage, errand: Errand, response: Response) -> bool:
    """Whether a 2xx to a re-INVITE is to be looked at; one that came again, or too late, is only acknowledged."""
    cseq = errand.plan.cseq
    owed = None if usage.owed_ack is None else usage.owed_ack.find(cseq)
    if owed is not None:
        owed.again(usage.core)
        return False
    if usage.outgoing is None or usage.outgoing.errand is not errand:
        # RFC 5407 section 3.2.3: we hung up meanwhile, or have given it up; the ACK is due all the same.
        usage.owed_ack = OwedAck(cseq, None, usage.owed_ack)
        usage.core.say(AckWanted(usage, usage.dialog.ack_plan(cseq)))
        return False
    return True


def _prack_done(usage: InviteUsage, response: Response | None) -> None:
    if response is not None and response.status < 300:
        usage.take_answer(response, Place.PRACK_2XX)
    else:
        # RFC 3262 section 4, RFC 6141 section 3: what it offered counts as never said. Whether the session comes to be
        # is for the INVITE to say.
        usage.offer_answer.rollback(Place.PRACK)


def _request_done(
    usage: InviteUsage, errand: Errand, response: Response | None, reason: BaseException | None, now: float
) -> None:
    if usage.state is usage.state.ENDED:
        return
    usage.core.say(RequestEnded(usage, errand, response, reason))
    judge(usage, errand.plan.method, response, reason, now)
