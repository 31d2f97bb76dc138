"""A 2xx to INVITE again and again, until its ACK comes (RFC 3261 section 13.3.1.4, row H34).

Over every transport: the first hop may be reliable and the next not. The transaction below sends no 2xx again (RFC 6026
section 7.1); whoever answered does, and stops after 64*T1. What is sent is kept by whoever owns the machine.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.transaction.timers import Timers

__all__ = ["AckDue", "Acknowledgement"]


class AckDue(enum.Enum):
    """What it is time for while an ACK is missing."""

    REPEAT = "send the 2xx again"
    GIVE_UP = "nobody will acknowledge it: end the session"


@final
class Acknowledgement:
    """Waits for the ACK of one 2xx at a time.

    :ivar next_deadline: when :meth:`due` is to be called; None while no ACK is missing.
    """

    __slots__ = ("_end", "_interval", "_timers", "next_deadline")

    def __init__(self, timers: Timers) -> None:
        """
        :param timers: T1, T2 and 64*T1.
        """
        self._timers = timers
        self._interval = 0.0
        self._end = 0.0
        self.next_deadline: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a 2xx was sent that nobody has acknowledged."""
        return self.next_deadline is not None

    def start(self, now: float) -> None:
        """A 2xx was sent for the first time; one that waited before is forgotten."""
        # 13.3.1.4: the first interval is T1; it doubles until it has reached T2.
        timers = self._timers
        self._interval = timers.t1
        self._end = now + timers.timeout
        self.next_deadline = now + timers.t1

    def due(self, now: float) -> AckDue | None:
        """What is to be done by *now*; after :attr:`AckDue.GIVE_UP` nothing waits any more."""
        deadline = self.next_deadline
        if deadline is None or now < deadline:
            return None
        if now >= self._end:
            # 13.3.1.4: after 64*T1 the dialog is confirmed, but the session should end with a BYE.
            self.next_deadline = None
            return AckDue.GIVE_UP
        # A late call makes up for nothing: one repetition, and the next a whole interval later.
        self._interval = min(2 * self._interval, self._timers.t2)
        self.next_deadline = min(now + self._interval, self._end)
        return AckDue.REPEAT

    def acknowledged(self) -> bool:
        """The ACK came; return whether it was missing. Further ones change nothing."""
        was_waiting = self.next_deadline is not None
        self.next_deadline = None
        return was_waiting
