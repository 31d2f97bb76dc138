"""Date: an instant in RFC 1123's words, GMT and nothing else (RFC 3261 section 20.17)."""

from __future__ import annotations

import datetime
import re

from sip_p2p.errors import MalformedMessage

__all__ = ["format_date", "parse_date"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    rf"(?:{'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)


def parse_date(value: str) -> datetime.datetime:
    """The instant that a Date names, in UTC. The name of the day is not compared with the date.

    :raises MalformedMessage: for another zone than GMT, another form, or a day that no calendar has (400). A
        receiver to whom the date does not matter had better not ask (RFC 4475 section 3.1.2.12).
    """
    match = _DATE.fullmatch(value.strip(" \t"))
    if match is None:
        raise MalformedMessage(f"Date: not an RFC 1123 date in GMT: {value[:64]!r}")
    day, month, year, hour, minute, second = match.groups()
    try:
        return datetime.datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=datetime.UTC
        )
    except ValueError as error:
        raise MalformedMessage(f"Date: {error}") from None


def format_date(instant: datetime.datetime) -> str:
    """*instant* as a Date's value, to the second; English whatever the locale.

    :raises ValueError: when *instant* does not know its time zone.
    """
    if instant.tzinfo is None:
        raise ValueError("a Date needs an instant that knows its time zone")
    utc = instant.astimezone(datetime.UTC)
    return f"{_DAYS[utc.weekday()]}, {utc.day:02d} {_MONTHS[utc.month - 1]} {utc.year:04d} {utc:%H:%M:%S} GMT"
