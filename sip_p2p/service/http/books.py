"""What the handlers share whose objects stand in a book of the ledger: pages, their ends, and waiting for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.service.http.routes import Answer
from sip_p2p.service.http.waiting import preferred_wait

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.lives.book import Book, Entry

__all__ = ["MOST_LISTED", "ended", "page_of", "stands"]

MOST_LISTED = 1000
"""How many of one kind one answer lists."""


async def stands(server: ControlServer, call: Call, entry: Entry[Any]) -> list[tuple[str, str]]:
    """Wait as long as the request prefers until *entry* stands or is over; the header field that says so."""
    seconds = preferred_wait(call)
    if seconds is None:
        return []
    await entry.decided().wait(seconds, server.reactor)
    return [("Preference-Applied", f"wait={seconds:g}")]


def page_of(
    book: Book[Any], name: str, call: Call, *filters: str, over: str | None = None, is_over: bool = False
) -> Answer:
    """A page of *book*, the newest first, of those that have the ``state`` and the *filters* that the query says.

    :param name: how the list is called.
    :param over: the state that asks for those that are over, in the place of those that live.
    :param is_over: whether those are asked for anyhow.
    """
    query = call.query
    wanted = {each: query[each] for each in ("state", *filters) if each in query}
    if over is not None and wanted.get("state") == over:
        is_over = True
        del wanted["state"]
    limit, before = query.get("limit", MOST_LISTED), query.get("after")
    return Answer(book.listed(name, is_over=is_over, limit=limit, before=before, wanted=wanted))


def ended(book: Book[Any], call: Call) -> Answer:
    """End the one in *book* that the path names, if it lives."""
    life = book.find(call.parameters["id"]).life
    if life is not None:
        life.end()
    return Answer(None, 204)
