"""How often a subscriber wants to be told: RFC 6446.

Three parameters of Event, which Subscription-State repeats as far as the notifier goes along with them, each in
notifications a second: no more than ``max-rate`` (section 5), no fewer than ``min-rate`` though nothing has changed
(section 6), and ``adaptive-min-rate`` on the average (section 7); section 8 has what becomes of them together. Pure
values: what they make of the time between two
notifications is asked with literal numbers.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NO_RATES", "Pace", "Rates"]

_RATE = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,10})?")
_PERIODS = 10
"""Over how many notifications, at the rate that is asked for, the adaptive rate is an average."""
_COUNTED = 100


@final
class Rates:
    """What a subscriber asks for; None where it asks for nothing.

    :ivar max_rate: the most notifications a second.
    :ivar min_rate: the fewest notifications a second.
    :ivar adaptive_min_rate: the fewest on the average.
    """

    __slots__ = ("adaptive_min_rate", "max_rate", "min_rate")

    def __init__(
        self, max_rate: float | None = None, min_rate: float | None = None, adaptive_min_rate: float | None = None
    ) -> None:
        """
        :raises ValueError: for a rate that is not above 0 and below 100, which the grammar cannot say.
        """
        for rate in (max_rate, min_rate, adaptive_min_rate):
            if rate is not None and not 0 < rate < 100:
                raise ValueError(f"a rate of {rate} notifications a second cannot be said: above 0 and below 100")
        self.max_rate = max_rate
        self.min_rate = min_rate
        self.adaptive_min_rate = adaptive_min_rate

    @staticmethod
    def of(params: Mapping[str, str | None]) -> Rates:
        """Those that stand in *params*, of Event or of Subscription-State; one that cannot be read, or is 0, counts as
        missing."""
        if "max-rate" not in params and "min-rate" not in params and "adaptive-min-rate" not in params:
            return NO_RATES
        return Rates(_rate(params, "max-rate"), _rate(params, "min-rate"), _rate(params, "adaptive-min-rate"))

    @property
    def params(self) -> dict[str, str | None]:
        """The parameters that say this."""
        params: dict[str, str | None] = {}
        if self.max_rate is not None:
            params["max-rate"] = _written(self.max_rate)
        if self.min_rate is not None:
            params["min-rate"] = _written(self.min_rate)
        if self.adaptive_min_rate is not None:
            params["adaptive-min-rate"] = _written(self.adaptive_min_rate)
        return params

    def granted(self, fastest: float, seconds: float) -> Rates:
        """What a notifier makes of them (section 4.2): the same where they make sense together.

        :param fastest: no notification is forced more often than this times a second (sections 6.3 and 7.3).
        :param seconds: how long the subscription lasts; a rate that would let nothing be told in that time is raised
            (section 5.3), unless it is over within a second.
        """
        most, least, average = self.max_rate, self.min_rate, self.adaptive_min_rate
        if most is not None and seconds >= 1:
            most = max(most, 1.0 / seconds)
        if least is not None and average is not None and least >= average:
            # 8: a least that is not below the average does not count.
            least = None
        # 8: nor is anything above the most.
        fastest = fastest if most is None else min(fastest, most)
        least = None if least is None else min(least, fastest)
        average = None if average is None else min(average, fastest)
        if (most, least, average) == (self.max_rate, self.min_rate, self.adaptive_min_rate):
            return self
        return Rates(most, least, average)

    @property
    def shortest(self) -> float:
        """The seconds that two notifications are apart at least (section 5.2)."""
        return 0.0 if self.max_rate is None else 1.0 / self.max_rate

    @property
    def period(self) -> float:
        """Over how many seconds notifications are counted for :meth:`longest`; 0 where nobody needs them counted."""
        return 0.0 if self.adaptive_min_rate is None else _PERIODS / self.adaptive_min_rate

    def longest(self, count: int) -> float | None:
        """The seconds after which a notification is due though nothing has changed (sections 6.2 and 7.4); None where
        none ever is.

        :param count: how many there were within the last :attr:`period`.
        """
        longest = None if self.min_rate is None else 1.0 / self.min_rate
        rate = self.adaptive_min_rate
        if rate is not None:
            # 7.4: the more there were of late, the longer the next one may take; where there were none, as long as the
            # rate itself says.
            average = count / (rate * rate * self.period) if count else 1.0 / rate
            longest = average if longest is None else min(longest, average)
        return None if longest is None else max(longest, self.shortest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rates) and self.params == other.params

    def __hash__(self) -> int:
        return hash((self.max_rate, self.min_rate, self.adaptive_min_rate))

    def __repr__(self) -> str:
        return f"<Rates {', '.join(f'{name} {value}' for name, value in self.params.items()) or 'any'}>"


def _rate(params: Mapping[str, str | None], name: str) -> float | None:
    value = params.get(name)
    if value is None or _RATE.fullmatch(value) is None:
        return None
    return float(value) or None


def _written(rate: float) -> str:
    """*rate* as the grammar writes it (section 9.2): one or two digits, and up to ten after the point."""
    text = f"{rate:.10f}".rstrip("0").rstrip(".")
    return "99.9999999999" if text == "100" else text if float(text) else "0.0000000001"


NO_RATES = Rates()
"""A subscriber that asks for nothing."""


@final
class Pace:
    """When a subscriber was told, and when it may be told again.

    :ivar rates: how often it wants to be told.
    :ivar not_before: it has asked to be left alone until then (Retry-After), whatever there is to tell.
    """

    __slots__ = ("_average", "_interval", "_last", "_sent", "not_before", "rates")

    def __init__(self, rates: Rates = NO_RATES, interval: float = 0.0) -> None:
        """
        :param interval: seconds that are kept between two notifications, whatever the subscriber wants.
        """
        self.rates = rates
        self._interval = interval
        self.not_before = float("-inf")
        self._last = float("-inf")
        self._sent: list[float] | None = None
        # The adaptive rate for which they are counted.
        self._average: float | None = None

    def sent(self, now: float) -> None:
        """It is being told."""
        self._last = now
        rate = self.rates.adaptive_min_rate
        if rate != self._average:
            self._average = rate
            # 7.2: as if as many had gone before as are asked for.
            self._sent = None if rate is None else [now - number / rate for number in range(_PERIODS - 1, -1, -1)]
        elif rate is not None:
            # No more than can count: those of one period, of which there are a few times the rate that is asked for.
            begins = now - self.rates.period
            self._sent = [*(each for each in (self._sent or ())[-_COUNTED:] if each > begins), now]

    def earliest(self) -> float:
        """When it may be told of a change (RFC 6446 section 5.2)."""
        return max(self._last + max(self._interval, self.rates.shortest), self.not_before)

    def latest(self, now: float) -> float | None:
        """When it is to be told though nothing has changed; None for never."""
        rate, count = self.rates.adaptive_min_rate, _PERIODS
        if rate is not None and rate == self._average:
            begins = now - self.rates.period
            count = sum(each > begins for each in self._sent or ())
        longest = self.rates.longest(count)
        return None if longest is None else max(self._last + longest, self.earliest())
