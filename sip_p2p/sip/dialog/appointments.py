"""When each dialog and each INVITE wants to be called again: times of any length, one for each.

The timers of transactions are few durations and many; they have their own queue (:mod:`..transaction.timers`). What is
waited for here differs from one dialog to the next: session intervals, the doubling of a 2xx, how long it may ring.
"""

from __future__ import annotations

from typing import Protocol, final

from sip_p2p.sip.schedule import Schedule

__all__ = ["Appointments", "Timed"]


class Timed(Protocol):
    """Whatever waits for a time; it is known by itself."""

    def __hash__(self) -> int: ...

    def handle_timer(self, now: float) -> None:
        """Do what is due by *now*; whoever waits for more makes the next appointment."""


@final
class Appointments(Schedule[Timed]):
    """One time for each of many."""

    __slots__ = ()

    def set(self, who: Timed, due: float | None) -> None:
        """Let *who* be called at *due*, and not when it was to be called before; None: not at all."""
        if due is None:
            self.discard(who)
        else:
            self.put(who, due)

    def handle_timer(self, now: float) -> None:
        """Call whoever is due, the earliest first."""
        while (who := self.take(now)) is not None:
            who.handle_timer(now)
