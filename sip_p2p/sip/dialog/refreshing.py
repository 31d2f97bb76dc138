"""What a session does when its time has come: it is refreshed, or it ends (RFC 4028 sections 7.4 and 10).

When that is, is :mod:`.session_timer`'s to know; the request that refreshes is an :mod:`.outgoing_change` that nobody
is told of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.effects import Ending
from sip_p2p.sip.dialog.outgoing_change import OutgoingChange
from sip_p2p.sip.dialog.session_timer import TimerDue

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.usage import InviteUsage

__all__ = ["handle_session_timer", "refresh"]


def handle_session_timer(usage: InviteUsage, now: float) -> None:
    """Refresh the session, or end it because nobody did, if it is time to."""
    timer = usage.session_timer
    due = None if timer is None else timer.due(now)
    if due is TimerDue.EXPIRED:
        # RFC 4028 section 10: whoever was to be refreshed sends BYE; so does whoever could not refresh.
        usage.bye(now, ending=Ending.EXPIRED)
    elif due is TimerDue.REFRESH:
        refresh(usage, now)


def refresh(usage: InviteUsage, now: float) -> None:
    """Say to the peer that the session stands, by UPDATE or, where it takes none, by re-INVITE (RFC 4028 section 7.4).

    While a change is under way nothing is sent: that is as good, or makes a later attempt worth while.
    """
    timer = usage.session_timer
    if usage.outgoing is None and usage.incoming is None:
        may_update = usage.capabilities.allows("UPDATE")
        method = ("UPDATE" if may_update else "INVITE") if timer is None else timer.refresh_method(may_update)
        # An UPDATE refreshes without an offer. An INVITE would ask for one: it repeats what stands.
        change = OutgoingChange(method, None if method == "UPDATE" else usage.local_description, (), True)
        try:
            change.begin(usage)
        except InvalidOperation:
            # A re-INVITE of the peer's waits for its ACK, or an offer for its answer.
            usage.outgoing = None
        else:
            return
    if timer is not None:
        timer.refresh_failed(now)
