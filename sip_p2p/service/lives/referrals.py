"""The REFERs of peers that wait for a decision from outside the process.

The sender of a REFER waits 64*T1, 32 seconds, for its answer (RFC 3261 section 17.1.2.2): who has not decided by then
is not heard any more, so what waits is declined a while before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred

if TYPE_CHECKING:
    from sip_p2p.endpoint.lives import Lives
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral

__all__ = ["PATIENCE", "WaitingReferrals"]

PATIENCE = 24.0
"""Seconds that a REFER waits for a decision; then it is declined with 603."""


@final
class WaitingReferrals:
    """Those that wait.

    :param lives: where it is told that one is decided.
    """

    def __init__(self, reactor: Any, lives: Lives) -> None:
        self._reactor = reactor
        self._lives = lives
        self._waiting: dict[IncomingReferral, tuple[Deferred[None], Any]] = {}
        lives.referred.subscribe(self._referred)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def wait(self, referral: IncomingReferral) -> Deferred[None]:
        """Let *referral* wait until somebody decides about it.

        :returns: fires when it is decided, or time is up: what has no decision by then its endpoint declines.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting[referral] = waiting, self._reactor.callLater(PATIENCE, self._over, referral)
        return waiting

    def _referred(self, referral: IncomingReferral) -> None:
        if referral.is_decided:
            self._over(referral)

    def _over(self, referral: IncomingReferral) -> None:
        found = self._waiting.pop(referral, None)
        if found is not None:
            waiting, timer = found
            if timer.active():
                timer.cancel()
            waiting.callback(None)

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._lives.referred.unsubscribe(self._referred)
        for referral in tuple(self._waiting):
            self._over(referral)
