"""The log as JSON, one object a line, for whoever collects logs.

Each line has ``time`` (UTC, RFC 3339), ``level``, ``logger`` and ``message``, and ``worker``, its number, where one of
several processes writes it; a line about a transaction has it under
``transaction`` as well, with its Call-ID, and one about what should not have happened its ``traceback``. Lines are
ASCII: nothing that a peer sends can end one, or drive a terminal.
"""

from __future__ import annotations

import datetime
import json
from typing import IO, TYPE_CHECKING, Any

from twisted.logger import FileLogObserver, formatEvent
from twisted.python.failure import Failure

from sip_p2p.service.process.worker import this_seat

if TYPE_CHECKING:
    from twisted.logger import ILogObserver, LogEvent

__all__ = ["json_line", "json_log_observer"]


def json_line(event: LogEvent) -> str | None:
    """One event of the log as a line, with its line end; None for one that says nothing."""
    message = formatEvent(event)
    failure = event.get("log_failure")
    if not message and failure is None:
        return None
    moment = datetime.datetime.fromtimestamp(event.get("log_time", 0.0), datetime.UTC)
    level = event.get("log_level")
    fields: dict[str, object] = {
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": "info" if level is None else level.name,
        "logger": str(event.get("log_namespace", "")),
        "message": message,
    }
    seat = this_seat()
    if seat is not None:
        fields["worker"] = seat.number
    if isinstance(event.get("transaction"), dict):
        fields["transaction"] = event["transaction"]
    if isinstance(failure, Failure):
        fields["traceback"] = failure.getTraceback()
    return json.dumps(fields, default=str) + "\n"


def json_log_observer(stream: IO[Any]) -> ILogObserver:
    """What writes the log to *stream* as JSON."""
    return FileLogObserver(stream, json_line)
