"""What an outbox does after an attempt that came to nothing: once more, and when, or not (RFC 3261 sections 20.33, 21).

Values only. What may be otherwise later is tried again: nobody there, nobody answering, busy, overloaded. What will be
refused again is not: not understood, not allowed, not known there, declined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.endpoint.delivery import retry_after
from sip_p2p.errors import ConnectionFailure, EndpointTerminated, OperationTimeout, PeerOverloaded, RequestFailed

if TYPE_CHECKING:
    from sip_p2p.endpoint.messaging.outbox_entry import OutboxLimits

__all__ = ["Judgement", "judge", "pause_before"]

AGAIN = frozenset((408, 430, 480, 486, 491, 500, 502, 503, 504, 600))
"""The refusals that say nothing about the next time."""

AGAIN_WHEN_ASKED = frozenset((404, 413, 603))
"""Those that say so only with Retry-After (RFC 3261 section 20.33)."""

_LONGEST_REASON = 256


@final
class Judgement:
    """What an attempt came to.

    :ivar is_final: whether it is not tried again.
    :ivar after: the seconds that the peer asks for; None where it asks for none.
    :ivar counts: whether anything went out.
    :ivar status: the status of the answer; 0 where there was none.
    :ivar reason: what happened, in words.
    """

    __slots__ = ("after", "counts", "is_final", "reason", "status")

    def __init__(
        self, reason: str, *, is_final: bool = False, after: float | None = None, counts: bool = True, status: int = 0
    ) -> None:
        self.is_final = is_final
        self.after = after
        self.counts = counts
        self.status = status
        self.reason = reason[:_LONGEST_REASON]


def judge(error: BaseException) -> Judgement:
    """What *error*, with which a request of ours has failed, says about the next attempt."""
    if isinstance(error, RequestFailed):
        status, after = error.status, retry_after(error.response)
        again = status in AGAIN or (status in AGAIN_WHEN_ASKED and after is not None)
        return Judgement(str(error), is_final=not again, after=after, status=status)
    if isinstance(error, PeerOverloaded):
        # It was not sent.
        return Judgement(str(error), after=error.retry_after or None, counts=False, status=503)
    if isinstance(error, EndpointTerminated):
        return Judgement(str(error), counts=False)
    if isinstance(error, OperationTimeout | ConnectionFailure):
        return Judgement(f"{type(error).__name__}: {error}")
    return Judgement(f"{type(error).__name__}: {error}", is_final=True)


def pause_before(attempts: int, after: float | None, limits: OutboxLimits, drawn: float) -> float:
    """The seconds until the next attempt.

    :param attempts: how many there were.
    :param after: what the peer asks for; a little more is waited, so that not all come at once.
    :param drawn: by chance, from 0 to 1.
    """
    if after is not None:
        return min(after, limits.longest_pause) * (1 + drawn / 10)
    doubled = limits.first_pause * 2.0 ** min(max(attempts - 1, 0), 32)
    return min(doubled, limits.longest_pause) * (0.75 + drawn / 2)
