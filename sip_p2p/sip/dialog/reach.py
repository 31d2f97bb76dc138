"""What a failed request takes with it: itself, its usage, or the whole dialog (RFC 5057 section 5, RFC 3261 section
12.2.1.2).

One table for every status that can answer a request in a dialog. A status that stands in none of its lines is a
complaint about the request alone, as 400, 500 and 600 are: the session goes on.
"""

from __future__ import annotations

import enum

__all__ = ["Reach", "reach_of"]


class Reach(enum.Enum):
    """How far a response reaches."""

    REQUEST = "the request alone"
    SILENCE = "the usage, whose other end may be silent: it is ended with a BYE"
    USAGE = "the usage"
    DIALOG = "the dialog and all its usages"


_OF_STATUS: dict[int, Reach] = {
    # The Request-URI is the Contact that the peer gave us, or a route that the way here gave us: nobody is there any
    # more, and no other request in the dialog would fare better.
    404: Reach.DIALOG,
    410: Reach.DIALOG,
    416: Reach.DIALOG,
    482: Reach.DIALOG,
    484: Reach.DIALOG,
    485: Reach.DIALOG,
    502: Reach.DIALOG,
    604: Reach.DIALOG,
    # The same as no response at all.
    408: Reach.SILENCE,
    # A loop, or a way that has become too long: recovery is possible in theory, a graceful end in practice.
    483: Reach.SILENCE,
    # The peer has no such usage, or wants to have it no longer.
    480: Reach.USAGE,
    481: Reach.USAGE,
}


def reach_of(status: int, method: str) -> Reach:
    """How far a final response with *status* to our request *method* reaches in a dialog that INVITE made."""
    reach = _OF_STATUS.get(status, Reach.REQUEST)
    if method == "REFER" and status in (404, 484):
        # Common servers say so of the URI in Refer-To.
        return Reach.REQUEST
    if method == "PRACK" and reach is Reach.USAGE:
        # RFC 3262 section 3: 481 also says that the provisional response was not waiting for it, as after a final one.
        return Reach.REQUEST
    if method in ("NOTIFY", "SUBSCRIBE") and (reach is Reach.USAGE or reach is Reach.SILENCE):
        # RFC 5057 section 5.1: the usage that it ends is the subscription that the request was for.
        return Reach.REQUEST
    if method == "INVITE" and status == 405:
        # A usage of INVITE whose peer takes no INVITE.
        return Reach.USAGE
    return reach
