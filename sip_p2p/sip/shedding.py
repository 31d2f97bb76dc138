"""What an overloaded or departing stack does without, judged before anything but the head's lines has been read.

The order is that of reSIProcate's congestion manager and RFC 7339 section 5.10: what is under way comes first, because
finishing it relieves us; then what belongs to a dialog; new work last. On UDP a refusal would cost as much as it saves
and be asked for again, so silence takes its place, as Asterisk does it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.message import Request

__all__ = ["DRAINING", "NEW_WORK", "NON_ESSENTIAL", "NOTHING", "Verdict", "has_to_tag", "verdict"]

NOTHING = 0
"""Nothing is shed."""

NEW_WORK = 1
"""New requests outside of dialogs are refused; datagrams of that kind are dropped."""

NON_ESSENTIAL = 2
"""All requests but ACK and BYE are dropped."""

DRAINING = 3
"""New requests outside of dialogs are refused, datagrams too: there is time to say so."""


class Verdict(enum.Enum):
    """What becomes of a request."""

    PASS = "pass"
    REFUSE = "refuse"
    DROP = "drop"


def verdict(level: int, request: Request, reliable: bool) -> Verdict:
    """What becomes of *request* at *level*, one of the four above.

    :param reliable: whether its transport is one (RFC 3261 section 17).
    """
    method = request.method
    if level == NOTHING or method in ("ACK", "BYE"):
        return Verdict.PASS
    if level == NON_ESSENTIAL:
        return Verdict.DROP
    if method == "CANCEL" or has_to_tag(request.headers):
        return Verdict.PASS
    return Verdict.REFUSE if reliable or level == DRAINING else Verdict.DROP


def has_to_tag(headers: Headers) -> bool:
    """Whether To has a tag, by its looks: whoever asks has no time to read it, or it may be past reading."""
    names, values = headers.parallel_lists()
    if "To" not in names:
        return False
    to = values[names.index("To")]
    return ";tag=" in to[to.rfind(">") + 1 :].lower().replace(" ", "")
