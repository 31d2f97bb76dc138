"""Instants as documents write them: RFC 3339 section 5.6, which is a profile of ISO 8601.

An instant is a number of seconds since 1970-01-01 00:00:00 UTC without leap seconds, as ``time.time()`` counts them.
Left out: what is unknown of a local time (``-00:00``) is read as UTC, and a leap second as the second after it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from sip_p2p.errors import MalformedDocument

__all__ = ["format_timestamp", "parse_timestamp"]

_TIMESTAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,18})?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253402300799
"""The last second of the year 9999."""


def parse_timestamp(text: str) -> float:
    """The instant that *text* names.

    :raises MalformedDocument: when it is no date and time with a zone, or a day that no calendar has.
    """
    match = _TIMESTAMP.fullmatch(text.strip(" \t\r\n"))
    if match is None:
        raise MalformedDocument(f"not a date and time of RFC 3339: {text[:48]!r}")
    year, month, day, hour, minute, second = (int(match[number]) for number in range(1, 7))
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        raise MalformedDocument(f"no such day or time: {text[:48]!r}") from None
    instant = (moment - _EPOCH) // timedelta(seconds=1) + leap
    if match[8]:
        hours, minutes = int(match[9]), int(match[10])
        if hours > 23 or minutes > 59:
            raise MalformedDocument(f"no such zone: {text[:48]!r}")
        offset = hours * 3600 + minutes * 60
        instant += offset if match[8] == "-" else -offset
    return instant + float(f"0{match[7]}") if match[7] else float(instant)


def format_timestamp(instant: float, *, is_exact: bool = False) -> str:
    """*instant* in UTC, to the second.

    :param is_exact: whether a fraction of a second is written, to the microsecond.
    :raises ValueError: when it is before 1970 or after the year 9999.
    """
    if not 0 <= instant <= _LAST:
        raise ValueError(f"{instant} is not an instant between 1970 and 9999")
    moment = _EPOCH + timedelta(seconds=instant if is_exact else int(instant))
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
