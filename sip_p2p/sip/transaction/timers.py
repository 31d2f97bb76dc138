"""How long a transaction waits, and the queue of those that wait (RFC 3261 section 17 and Table 4, RFC 6026, RFC 4320).

Timers of one fixed duration run out in the order in which they were started. So there is a :class:`TimerLine` for
each duration, an ordered dictionary: starting appends, cancelling removes the entry itself, and both take constant
time whatever waits. A timer that doubles moves from one line to the next.

Time is an argument; the queue never asks for it.
"""

from __future__ import annotations

import enum
import math
from collections import OrderedDict
from operator import itemgetter
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.transaction.base import Transaction

__all__ = ["TimerLine", "TimerName", "TimerQueue", "Timers"]

_PROVISIONAL_DELAY = 0.2
_LEAST_TIMER_D = 32.0
_USUAL_T2 = 4.0
_LARGEST_T2 = 32


@final
class Timers:
    """The durations, in seconds, all derived from T1, T2 and T4.

    :ivar t1: the estimate of the round trip.
    :ivar t2: the longest interval between retransmissions of anything but an INVITE.
    :ivar t4: how long a message can stay in the network.
    :ivar timeout: 64*T1: timers B, F, H, J, L and M.
    :ivar timer_d: how long an INVITE client waits for retransmitted responses: 64*T1, and at least 32 s (17.1.1.2).
    :ivar provisional_delay: how long the user may be silent about an INVITE until 100 goes out (17.2.1).
    :ivar trying_delay: the same for any other request: the time in which a client's Timer E reaches T2 (RFC 4320
        section 4.1).
    :ivar answer_deadline: how long the user may take to answer anything but an INVITE. The client gives up at 64*T1,
        counted from its first attempt; what is left then is for the response to travel.
    """

    __slots__ = ("answer_deadline", "provisional_delay", "t1", "t2", "t4", "timeout", "timer_d", "trying_delay")

    def __init__(
        self, t1: float = 0.5, t2: float | None = None, t4: float = 5.0, answer_deadline: float | None = None
    ) -> None:
        """
        :param t2: by default 4 s, or as near to that as its bounds allow.
        :param answer_deadline: by default 60*T1.
        :raises ValueError: when a duration is not a positive number, T2 is not between T1 and 32*T1, or
            *answer_deadline* does not lie between the delay of a 100 and 64*T1.
        """
        if t2 is None:
            t2 = max(t1, min(_USUAL_T2, _LARGEST_T2 * t1))
        for name, value in (("T1", t1), ("T2", t2), ("T4", t4)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be a positive number of seconds, not {value!r}")
        if not t1 <= t2 <= _LARGEST_T2 * t1:
            raise ValueError(f"T2 must lie between T1 and 32*T1: {t1!r}, {t2!r}")
        self.t1 = float(t1)
        self.t2 = float(t2)
        self.t4 = float(t4)
        self.timeout = 64 * self.t1
        self.timer_d = max(_LEAST_TIMER_D, self.timeout)
        self.provisional_delay = _PROVISIONAL_DELAY
        self.trying_delay = sum(self.intervals(self.t2)[:-1], 0.0) or self.t1
        self.answer_deadline = 60 * self.t1 if answer_deadline is None else float(answer_deadline)
        if not self.trying_delay < self.answer_deadline < self.timeout:
            raise ValueError(
                f"the deadline of an answer must lie between {self.trying_delay:g} s, when a 100 goes out, and "
                f"{self.timeout:g} s, when the client has given up: {answer_deadline!r}"
            )

    def intervals(self, largest: float) -> list[float]:
        """The intervals of a timer that starts at T1 and doubles until it has reached *largest*."""
        interval = self.t1
        intervals = [interval]
        while interval < largest:
            interval = min(2 * interval, largest)
            intervals.append(interval)
        return intervals


class TimerName(enum.Enum):
    """The timers of a live transaction: of Table 4 all but D, I, J and K, which keep a finished one, and four more."""

    A = "retransmit the INVITE"
    B = "no response to the INVITE"
    E = "retransmit the request"
    F = "no final response to the request"
    G = "retransmit the response to the INVITE"
    H = "no ACK"
    L = "no more ACK for a 2xx is to be expected"
    M = "no more 2xx is to be expected"
    PROVISIONAL = "the user is silent about an INVITE"
    TRYING = "the user is silent about another request"
    ANSWER = "the user should have answered"
    EXPIRY = "the client has given up"


@final
class TimerLine:
    """Every running timer of one name and one duration.

    :ivar entries: who waits, and until when; in the order of the deadlines.
    :ivar is_used: whether anyone has ever waited here.
    """

    __slots__ = ("duration", "entries", "is_used", "name")

    def __init__(self, name: TimerName, duration: float) -> None:
        self.name = name
        self.duration = duration
        self.entries: OrderedDict[Transaction, float] = OrderedDict()
        self.is_used = False


_deadline_of = itemgetter(0)


@final
class TimerQueue:
    """All lines. Timers that double (A, E and G) have a list of them, shortest first.

    Only the lines that were ever used are looked through: a party without UDP, or without calls, has three.
    """

    __slots__ = (
        "_earliest",
        "_is_stale",
        "_latest",
        "_lines",
        "a",
        "answer",
        "b",
        "e",
        "expiry",
        "f",
        "g",
        "h",
        "l",
        "m",
        "provisional",
        "trying",
    )

    def __init__(self, timers: Timers) -> None:
        name = TimerName
        to_timeout = timers.intervals(timers.timeout)
        to_t2 = timers.intervals(timers.t2)
        self.a = [TimerLine(name.A, interval) for interval in to_timeout]
        self.b = TimerLine(name.B, timers.timeout)
        self.e = [TimerLine(name.E, interval) for interval in to_t2]
        self.f = TimerLine(name.F, timers.timeout)
        self.g = [TimerLine(name.G, interval) for interval in to_t2]
        self.h = TimerLine(name.H, timers.timeout)
        self.l = TimerLine(name.L, timers.timeout)
        self.m = TimerLine(name.M, timers.timeout)
        self.provisional = TimerLine(name.PROVISIONAL, timers.provisional_delay)
        self.trying = TimerLine(name.TRYING, timers.trying_delay)
        self.answer = TimerLine(name.ANSWER, timers.answer_deadline - timers.trying_delay)
        self.expiry = TimerLine(name.EXPIRY, timers.timeout - timers.answer_deadline)
        self._lines: list[TimerLine] = []
        self._earliest = math.inf
        self._is_stale = False
        self._latest = -math.inf

    def __len__(self) -> int:
        return sum(len(line.entries) for line in self._lines)

    def start(self, line: TimerLine, transaction: Transaction, now: float) -> None:
        """Let *transaction* wait in *line*, in which it must not stand already."""
        # A line is only in order while time does not go backwards; where the caller's does, it stands still here.
        if now > self._latest:
            self._latest = now
        else:
            now = self._latest
        if not line.is_used:
            line.is_used = True
            self._lines.append(line)
        deadline = now + line.duration
        line.entries[transaction] = deadline
        if deadline < self._earliest:
            self._earliest = deadline

    def cancel(self, line: TimerLine, transaction: Transaction) -> None:
        """Take *transaction* out of *line*; nothing happens when it does not stand there."""
        deadline = line.entries.pop(transaction, None)
        if deadline is not None and deadline <= self._earliest:
            self._is_stale = True

    def next_deadline(self) -> float:
        """The earliest deadline, infinite while nothing waits."""
        if self._is_stale:
            self._is_stale = False
            earliest = math.inf
            for line in self._lines:
                entries = line.entries
                if entries:
                    deadline = next(iter(entries.values()))
                    if deadline < earliest:
                        earliest = deadline
            self._earliest = earliest
        return self._earliest

    def due(self, now: float) -> list[tuple[float, TimerLine, Transaction]]:
        """What has run out by *now*, earliest first. It keeps standing until it is taken or cancelled."""
        due: list[tuple[float, TimerLine, Transaction]] = []
        if self._earliest > now:
            return due
        for line in self._lines:
            for transaction, deadline in line.entries.items():
                if deadline > now:
                    break
                due.append((deadline, line, transaction))
        due.sort(key=_deadline_of)
        return due

    def take(self, line: TimerLine, transaction: Transaction, deadline: float) -> bool:
        """Remove what :meth:`due` has named, unless an earlier one of the list has cancelled or restarted it."""
        entries = line.entries
        if entries.get(transaction) != deadline:
            return False
        del entries[transaction]
        self._is_stale = True
        return True
