"""How far a referral is, and what its peer tells of it (rows I1, I2; RFC 3515 section 2.4.5)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.event.subscription_state import SubscriptionStateValue

__all__ = ["ReferProgress", "ReferStatus", "status_of"]


class ReferStatus(enum.Enum):
    """Where a referral of ours is: first what became of the REFER, then what the peer tells of the request that it
    makes for us, by the status of the response to it."""

    IDLE = "not sent yet"
    WAITING = "waits for the first NOTIFY of the referral before it"
    REFERRING = "the REFER is on its way"
    ACCEPTED = "the peer will try; nothing was told yet"
    TRYING = "the peer is trying: 100"
    PROGRESSING = "it rings, or something like that: 101 to 199"
    SUCCEEDED = "it was accepted: 2xx"
    REDIRECTED = "whoever was asked is elsewhere: 3xx"
    FAILED = "it failed: 4xx to 6xx; or the REFER did"
    TERMINATED = "nothing more is told, and the outcome is not known"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows it."""
        return self in _FINAL


_FINAL = frozenset((ReferStatus.SUCCEEDED, ReferStatus.REDIRECTED, ReferStatus.FAILED, ReferStatus.TERMINATED))


def status_of(status: int) -> ReferStatus:
    """What a response with *status* says of the referral whose request it answers."""
    if status <= 100:
        return ReferStatus.TRYING
    if status < 200:
        return ReferStatus.PROGRESSING
    if status < 300:
        return ReferStatus.SUCCEEDED
    return ReferStatus.REDIRECTED if status < 400 else ReferStatus.FAILED


@final
class ReferProgress:
    """One thing that the peer tells of a referral: the response that it had to the request that it made for us.

    :ivar status: the status of that response.
    :ivar reason: its phrase.
    :ivar is_final: whether it is the outcome.
    :ivar body: all that the peer wrote of it, the status line first (RFC 3420).
    :ivar state: what the NOTIFY said of the subscription; None where there was none.
    """

    __slots__ = ("body", "is_final", "reason", "state", "status")

    def __init__(
        self, status: int, reason: str, body: bytes = b"", state: SubscriptionStateValue | None = None
    ) -> None:
        self.status = status
        self.reason = reason
        self.is_final = status >= 200
        self.body = body
        self.state = state

    def __repr__(self) -> str:
        return f"<ReferProgress {self.status} {self.reason}>"
