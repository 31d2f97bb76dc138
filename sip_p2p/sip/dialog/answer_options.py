"""How we answer INVITEs: what one party decides once for all that will call it (RFC 3261 section 13.3, RFC 3262 section
3, RFC 4028 section 9)."""

from __future__ import annotations

import math
from typing import final

from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

__all__ = ["RELIABILITY", "AnswerOptions"]

RELIABILITY = ("off", "supported", "required")
"""What can be said of reliable provisional responses (RFC 3262): never, where the other side can, and not without."""

_REFRESH = 60.0
_MAX_RING = 600.0
_USUAL_TIMER = SessionTimerSettings()


@final
class AnswerOptions:
    """What holds for every INVITE that one party answers; shared by all of them, and never changed.

    :ivar reliable: one of :data:`RELIABILITY`: "off" refuses an INVITE that requires 100rel (420), "required" one whose
        sender does not know it (421); with "supported" what carries a session description is sent reliably to whoever
        can acknowledge it, and the rest as ever.
    :ivar refresh: after how many seconds the last provisional response is sent again, or a 183 where there was none,
        so that no proxy takes the silence for an end (13.3.1.1: each minute).
    :ivar max_ring: after how many seconds without a decision the INVITE is answered 480.
    :ivar session_timer: what is wanted of session timers.
    """

    __slots__ = ("max_ring", "refresh", "reliable", "session_timer")

    def __init__(
        self,
        reliable: str = "supported",
        refresh: float = _REFRESH,
        max_ring: float = _MAX_RING,
        session_timer: SessionTimerSettings = _USUAL_TIMER,
    ) -> None:
        """
        :raises ValueError: for a policy of another name, and for a time that is no positive number; *max_ring* alone
            may be infinite.
        """
        if reliable not in RELIABILITY:
            raise ValueError(f"reliable is one of {', '.join(RELIABILITY)}, not {reliable!r}")
        if not 0 < refresh < math.inf:
            raise ValueError(f"refresh must be a positive number of seconds, not {refresh!r}")
        if not max_ring > 0:
            raise ValueError(f"max_ring must be a positive number of seconds, not {max_ring!r}")
        self.reliable = reliable
        self.refresh = float(refresh)
        self.max_ring = float(max_ring)
        self.session_timer = session_timer
