"""Overload: how it is noticed, and how much is done without until it has passed (RFC 5390, RFC 6357, row E20).

Three states, as reSIProcate's congestion manager has them. :class:`OverloadJudge` decides by figures and knows no
clock; :class:`OverloadMonitor` brings it the figures, ten times a second and only while something comes in or the state
is not normal: what is idle is not looked at. The driver's one delayed call serves it, and how late that call is tells
how late the reactor is.
"""

from __future__ import annotations

import enum
import os
from collections import deque
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.transport.limits import Limits

__all__ = ["OverloadJudge", "OverloadMonitor", "OverloadState", "Signals", "resident_memory"]

_PERIOD = 0.1
_WINDOW = 20
_CALM = 2.0
_EASING = 0.7
_WORSE_LAG = 3.0
_WORSE_MEMORY = 1.1
_LEAST_LOSS, _MOST_LOSS, _WORST_LOSS = 20, 80, 95


class OverloadState(enum.Enum):
    """How much is done without."""

    NORMAL = "normal"
    """Nothing."""

    REJECT_NEW_WORK = "reject_new_work"
    """New requests outside of dialogs get 503 with Retry-After, or on UDP no answer."""

    REJECT_NON_ESSENTIAL = "reject_non_essential"
    """Only responses, ACK and BYE are dealt with; other requests get no answer."""


_LEVELS = (OverloadState.NORMAL, OverloadState.REJECT_NEW_WORK, OverloadState.REJECT_NON_ESSENTIAL)


@final
class Signals:
    """What overload is judged by.

    :ivar lag: how late the reactor is, in seconds: the 95th percentile of the last two.
    :ivar transactions: how full the table of unanswered requests is; 1 is full.
    :ivar writing: how full the queues of what waits to be written are; 1 is full.
    :ivar memory: octets that the process occupies; 0 where nobody asks.
    """

    __slots__ = ("lag", "memory", "transactions", "writing")

    def __init__(self, lag: float = 0.0, transactions: float = 0.0, writing: float = 0.0, memory: int = 0) -> None:
        self.lag = lag
        self.transactions = transactions
        self.writing = writing
        self.memory = memory


@final
class OverloadJudge:
    """Decides on the state. It gets worse at once, and better by one step after two seconds of clearly less load.

    :ivar limits: where the marks are.
    :ivar state: the state.
    :ivar reason: what the last change was for, in words.
    :ivar loss: the percentage of new requests that we would rather not have been sent (RFC 7339 section 6).
    """

    __slots__ = ("_calm_since", "limits", "loss", "reason", "state")

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state = OverloadState.NORMAL
        self.reason = ""
        self.loss = 0
        self._calm_since: float | None = None

    def judge(self, signals: Signals, now: float) -> OverloadState:
        """The state by *signals*; *now* is on any monotonic scale."""
        level = _LEVELS.index(self.state)
        wanted, reason, pressure = self._level(signals, 1.0)
        if wanted > level:
            level = wanted
            self.reason = reason
            self._calm_since = None
        elif level:
            easier, _, _ = self._level(signals, _EASING)
            if easier >= level:
                self._calm_since = None
            elif self._calm_since is None:
                self._calm_since = now
            elif now - self._calm_since >= _CALM:
                level -= 1
                self.reason = "it has been calm for a while"
                self._calm_since = now
        self.state = _LEVELS[level]
        self.loss = (0, _moderate_loss(pressure), _WORST_LOSS)[level]
        return self.state

    def _level(self, signals: Signals, scale: float) -> tuple[int, str, float]:
        """The level by itself, the words for what asks for it, and how far over the first mark that is."""
        limits = self.limits
        full = limits.overload_fill
        nearly = (1.0 + full) / 2
        worst, words, most = 0, "", 0.0
        for value, first, second, text in (
            (signals.lag, limits.overload_lag, limits.overload_lag * _WORSE_LAG, "the reactor is {:.2f} s late"),
            (signals.transactions, full, nearly, "the transactions are at {:.0%} of their limit"),
            (signals.writing, full, nearly, "what waits to be written is at {:.0%} of its limit"),
            (
                signals.memory,
                limits.resident_memory,
                limits.resident_memory * _WORSE_MEMORY,
                "the process occupies {:,} octets",
            ),
        ):
            if first <= 0:
                continue
            level = 2 if value >= second * scale else 1 if value >= first * scale else 0
            pressure = value / first
            if pressure > most:
                most = pressure
            if level > worst:
                worst, words = level, text.format(value)
        return worst, words, most


def _moderate_loss(pressure: float) -> int:
    """What would bring the pressure down to the mark if it were in proportion to the requests, within bounds."""
    excess = 0.0 if pressure <= 1.0 else 100.0 * (1.0 - 1.0 / pressure)
    return max(_LEAST_LOSS, min(_MOST_LOSS, round(excess)))


@final
class OverloadMonitor:
    """Looks at the load while there is some. The driver treats it as one more kind of deadline.

    :ivar judge: who decides.
    :ivar touched: set by the driver when something has come.
    :ivar is_running: whether it looks at the moment.
    """

    __slots__ = ("_changed", "_due", "_lags", "_measures_lag", "_read", "is_running", "judge", "touched")

    def __init__(
        self,
        judge: OverloadJudge,
        read: Callable[[Signals], None],
        changed: Callable[[OverloadState], None],
        *,
        measures_lag: bool,
    ) -> None:
        """
        :param read: fills in all signals but the lag.
        :param changed: told when the state is another, with the one before.
        :param measures_lag: False on a clock that a test advances, which is as late as the test likes.
        """
        self.judge = judge
        self._read = read
        self._changed = changed
        self._measures_lag = measures_lag
        self._lags: deque[float] = deque(maxlen=_WINDOW)
        self._due = 0.0
        self.is_running = False
        self.touched = False

    def __len__(self) -> int:
        """How many deadlines of connections it holds: none."""
        return 0

    def start(self, now: float) -> None:
        """Something has come: look from now on."""
        self.is_running = True
        self._lags.clear()
        self._due = now + _PERIOD

    def stop(self, key: object) -> None:
        """A flow is gone, which is nothing to us."""

    def halt(self) -> None:
        """Look no more."""
        self.is_running = False

    def next_deadline(self) -> float | None:
        """When the next look is due."""
        return self._due if self.is_running else None

    def handle_timer(self, now: float) -> None:
        """Look, if it is time to, and go on as long as there is a reason."""
        if not self.is_running or now < self._due:
            return
        signals = Signals()
        if self._measures_lag:
            self._lags.append(now - self._due)
            signals.lag = self._percentile()
        self._read(signals)
        before = self.judge.state
        after = self.judge.judge(signals, now)
        self._due = now + _PERIOD
        self.is_running = self.touched or after is not OverloadState.NORMAL
        self.touched = False
        if after is not before:
            self._changed(before)

    def _percentile(self) -> float:
        """The 95th of the window. With as few as there are it is the last but one: a single hiccup is no overload."""
        return sorted(self._lags)[-2] if len(self._lags) > 1 else 0.0


def resident_memory() -> int:
    """Octets of memory that the process occupies; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
