"""The REFERs that peers send: to whom they go, and how many may be followed (rows I5, I8, faults D4 and D5)."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.event.refer import EXPLICITSUB
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived

__all__ = ["received", "received_in"]


def received(incoming: IncomingRequest, endpoint: RealTimeEndpoint, session: SignalingSession | None = None) -> None:
    """A REFER came: it goes to those who want to hear of it."""
    manager = endpoint.connection_manager
    try:
        referral = IncomingReferral(endpoint, incoming, session)
    except MalformedMessage as error:
        incoming.respond(error.status, headers=(("Warning", warning_value(error.reason)),))
        return
    if referral.is_explicit and not endpoint.tells_subscribers:
        # RFC 7614 section 4.2: as if this were not known here.
        incoming.respond(420, headers=(("Unsupported", EXPLICITSUB),))
        return
    if referral.wants_notifications and manager.lives.crowd.refuses(incoming.flow):
        # A 503 would speak for all of us, and have the peer ask for nothing at all for a while.
        incoming.respond(500, headers=(("Retry-After", str(random.randint(30, 90))),))
        return
    if manager.lives.referred:
        manager.lives.referred.tell(referral)
    referral.ask(endpoint.refer_received.handlers)
    if not incoming.is_answered:
        manager.dispatch.wait_for(incoming, endpoint)


def received_in(session: SignalingSession, output: InDialogRequestReceived) -> bool:
    """A REFER came within *session*; return whether it was dealt with: where somebody wants to hear of REFERs, and also
    where nobody takes other requests in the session, who could be asked instead."""
    endpoint = session.endpoint
    manager = endpoint.connection_manager
    if endpoint.refer_received:
        incoming = IncomingRequest(manager, output)
        if manager.dispatch.has_too_many(incoming.flow, session.unanswered):
            manager.keeper.limit_hit("pending_requests")
            incoming.respond(500, headers=(("Retry-After", str(random.randint(2, 8))),))
            return True
        if manager.dispatch.heard:
            manager.dispatch.heard.tell((incoming, session))
        received(incoming, endpoint, session)
        if not incoming.is_answered:
            unanswered = session.waiting.unanswered
            unanswered[:] = [*(each for each in unanswered if not each.is_answered), incoming]
        return True
    if session.hears("request_received"):
        return False
    # RFC 3515 section 5: to do nothing is what is safe.
    manager.core.answer(output.transaction, 603, manager.driver.now())
    return True
