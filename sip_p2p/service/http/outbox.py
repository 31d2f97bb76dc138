"""The outbox (``--outbox``): messages that are kept until they are delivered, have failed or are too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.messaging.outbox_entry import OutboxState
from sip_p2p.errors import OutboxFailed
from sip_p2p.observe.text import printable
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.lives.outbox import described_entry

if TYPE_CHECKING:
    from sip_p2p.endpoint.messaging.outbox import Outbox
    from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = ["MOST_ENTRIES", "enqueue", "forget_entry", "outbox", "outbox_entry", "retry_entry"]

MOST_ENTRIES = 1000
"""Messages in one answer."""


def _outbox(server: ControlServer) -> Outbox:
    found = server.service.outbox
    if found is None:
        raise Problem("not-found", "There is no outbox: start the service with --outbox.")
    if not found.is_open:
        raise Problem("unavailable", "The outbox is not open.")
    return found


async def outbox(server: ControlServer, call: Call) -> Answer:
    """The messages, in the order in which they were accepted."""
    kept = _outbox(server)
    limit = call.query.get("limit", 100)
    entries = await _asked(kept.entries(call.query.get("state"), after=call.query.get("after", 0), most=limit + 1))
    page = entries[:limit]
    return Answer(
        {
            "messages": [described_entry(entry, is_short=True) for entry in page],
            "waiting": kept.waiting,
            "octets": kept.octets,
            "next": str(page[-1].seq) if len(entries) > limit else None,
        }
    )


async def _asked(asking: Any) -> Any:
    """What the file says.

    :raises Problem: it cannot be read or written.
    """
    try:
        return await asking
    except OutboxFailed as error:
        raise Problem("unavailable", f"The outbox cannot be used: {error}.") from None


def _there(entry: OutboxEntry | None, call: Call) -> OutboxEntry:
    if entry is None:
        raise Problem("not-found", f"The outbox has no message {printable(call.parameters['id'])}.")
    return entry


async def outbox_entry(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    found = await _asked(_outbox(server).find(call.parameters["id"]))
    return Answer(described_entry(_there(found, call)))


async def enqueue(server: ControlServer, call: Call) -> Answer:
    """Accept a message: when this is answered it is on the disk."""
    server.check_running()
    given: dict[str, Any] = call.body
    kept = _outbox(server)
    body, content_type = descriptions.body_of(given)
    running = kept.send(
        body,
        given["to"],
        content_type=content_type,
        subject=given.get("subject", ""),
        expires=given.get("expires"),
        headers=descriptions.fields_of(given),
        id=given.get("id"),
    )
    entry = await _asked(running)
    return Answer(described_entry(entry), 202, headers=[("Location", f"/v1/outbox/{entry.id}")])


async def forget_entry(server: ControlServer, call: Call) -> Answer:
    """Remove it, whatever became of it; not one that is being sent right now."""
    kept, key = _outbox(server), call.parameters["id"]
    removed = await _asked(kept.forget(key))
    if removed is None:
        found = _there(await _asked(kept.find(key)), call)
        if found.state is OutboxState.SENDING:
            raise Problem("conflict", "It is being sent.", retryable=True)
    return Answer(None, 204)


async def retry_entry(server: ControlServer, call: Call) -> Answer:
    """Queue anew what has failed or expired."""
    server.check_running()
    kept, key = _outbox(server), call.parameters["id"]
    queued = await _asked(kept.try_again(key))
    if queued is None:
        found = _there(await _asked(kept.find(key)), call)
        raise Problem("conflict", f"It is {found.state.value}: only what has failed or expired is tried again.")
    return Answer(described_entry(queued))
