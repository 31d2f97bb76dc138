"""What several rows of the table of routes have in common."""

from __future__ import annotations

from sip_p2p.service.http.routes import Parameter, Reply
from sip_p2p.service.http.shape_parts import ref

__all__ = ["KEY", "LAST", "MOST", "SENDING", "SENT", "WAIT"]

MOST = 2**53 - 1
"""The largest number that every reader of JSON takes."""

WAIT = Parameter(
    "Prefer", {"type": "string"}, "wait=SECONDS (RFC 7240) waits for the outcome, up to 60 seconds", "header"
)
KEY = Parameter(
    "Idempotency-Key",
    {"type": "string", "pattern": '^"?[!#-\\[\\]-~]{1,255}"?$'},
    "the same key with the same content gets what the first request made",
    "header",
)
LAST = Parameter(
    "Last-Event-ID",
    {"type": "string", "pattern": "^[0-9]{1,18}$"},
    "the number of the last event that was seen",
    "header",
)
SENDING = (WAIT, KEY)
SENT = {
    200: Reply("It has ended within the time of Prefer: wait.", ref("Request")),
    202: Reply("It is on its way.", ref("Request"), headers={"Location": "where to ask what became of it"}),
}
