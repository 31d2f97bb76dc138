"""Date: an instant in RFC 1123's words, GMT and nothing else (RFC 3261 section 20.17).

An instant is a number of seconds since 1970-01-01 00:00:00 UTC without leap seconds, as ``time.time()`` counts them.
"""

from __future__ import annotations

import re

from sip_p2p.errors import MalformedMessage

__all__ = ["format_date", "parse_date"]

_DAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    rf"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) "
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]) GMT"
)
_DAYS_BEFORE_MONTH = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365)
_DAYS_BEFORE_1970 = 719162
_SECONDS_A_DAY = 86400
_LAST = 253402300799
"""The last second of the year 9999."""


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _days_before_year(year: int) -> int:
    """The days from the start of the year 1 to the start of *year*, in the Gregorian calendar."""
    past = year - 1
    return past * 365 + past // 4 - past // 100 + past // 400


def _days_before_month(year: int, month: int) -> int:
    """The days from the start of *year* to the start of *month*, which is 0 for January."""
    return _DAYS_BEFORE_MONTH[month] + (1 if month > 1 and _is_leap(year) else 0)


def parse_date(value: str) -> int:
    """The instant that a Date names. The name of the day is not compared with the date.

    :raises MalformedMessage: for another zone than GMT, another form, a year before 1970, or a day that no calendar has
        (400). A receiver to whom the date does not matter had better not ask (RFC 4475 section 3.1.2.12).
    """
    match = _DATE.fullmatch(value.strip(" \t"))
    if match is None:
        raise MalformedMessage(f"Date: not an RFC 1123 date in GMT: {value[:64]!r}")
    year, month, day = int(match[3]), _MONTHS.index(match[2]), int(match[1])
    length = _days_before_month(year, month + 1) - _days_before_month(year, month) if year >= 1970 else 0
    if not 1 <= day <= length:
        raise MalformedMessage(f"Date: no such day since 1970: {value[:64]!r}")
    days = _days_before_year(year) - _DAYS_BEFORE_1970 + _days_before_month(year, month) + day - 1
    return days * _SECONDS_A_DAY + int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])


def format_date(instant: float) -> str:
    """*instant* as a Date's value, to the second; English whatever the locale.

    :raises ValueError: when it is before 1970 or after the year 9999.
    """
    if not 0 <= instant <= _LAST:
        raise ValueError(f"{instant} is not an instant between 1970 and 9999")
    days, seconds = divmod(int(instant), _SECONDS_A_DAY)
    since_year_one = days + _DAYS_BEFORE_1970
    year = since_year_one // 366 + 1
    while _days_before_year(year + 1) <= since_year_one:
        year += 1
    day = since_year_one - _days_before_year(year)
    month = 0
    while _days_before_month(year, month + 1) <= day:
        month += 1
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    day_of_month = day - _days_before_month(year, month) + 1
    return f"{_DAYS[days % 7]}, {day_of_month:02d} {_MONTHS[month]} {year:04d} {clock} GMT"
