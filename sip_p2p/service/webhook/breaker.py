"""A hook that is dead is left alone for a while, and asked once before it is asked by everybody again.

The usual circuit breaker: closed while all is well; open after some failures in a row, for a time that doubles up to a
bound; then half open: one delivery goes, and its outcome decides. Pure: time is an argument.
"""

from __future__ import annotations

from typing import final

__all__ = ["FAILURES", "LONGEST", "SHORTEST", "Breaker"]

FAILURES = 5
"""So many failures in a row open it."""

SHORTEST = 1.0
"""For how many seconds it is open the first time."""

LONGEST = 60.0
"""For how many seconds it is open at most."""


@final
class Breaker:
    """The breaker of one hook.

    :ivar failures: how many there were in a row.
    :ivar trouble: what the last of them was, in words; empty while all is well.
    """

    __slots__ = ("_closes_at", "_is_probed", "_span", "failures", "trouble")

    def __init__(self) -> None:
        self.failures = 0
        self.trouble = ""
        self._span = 0.0
        self._closes_at = 0.0
        self._is_probed = False

    @property
    def is_open(self) -> bool:
        """Whether the hook is left alone, or asked by one delivery only."""
        return self._span > 0

    def remaining(self, now: float) -> float:
        """For how many seconds nobody may ask; 0 where somebody may."""
        if not self.is_open:
            return 0.0
        if self._is_probed:
            return SHORTEST
        return max(self._closes_at - now, 0.0)

    def begin(self, now: float) -> bool:
        """A delivery would go now: whether it may. Whoever may tells what came of it."""
        if not self.is_open:
            return True
        if self._is_probed or now < self._closes_at:
            return False
        self._is_probed = True
        return True

    def succeeded(self) -> bool:
        """The hook has answered; whether it was left alone before."""
        was_open = self.is_open
        self.failures = 0
        self.trouble = ""
        self._span = 0.0
        self._is_probed = False
        return was_open

    def failed(self, now: float, trouble: str = "") -> bool:
        """The hook has failed; whether that is why it is left alone from now on.

        :param trouble: how, in words.
        """
        self.failures += 1
        self.trouble = trouble
        if self.is_open:
            if self._is_probed:
                self._is_probed = False
                self._span = min(self._span * 2, LONGEST)
                self._closes_at = now + self._span
            return False
        if self.failures < FAILURES:
            return False
        self._span = SHORTEST
        self._closes_at = now + self._span
        return True

    def given_up(self) -> None:
        """Whoever was allowed to ask has not waited for the outcome."""
        self._is_probed = False
