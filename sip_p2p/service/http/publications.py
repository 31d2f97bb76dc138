"""What we tell of ourselves: publications at a server, and our own presence for those who subscribe to it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sip_p2p.documents.pidf import Presence
from sip_p2p.endpoint.publication.publication import Publication
from sip_p2p.endpoint.subscription.packages.presence import PresencePackage
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.books import ended, page_of, stands
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.lives.entries import PublicationEntry

__all__ = [
    "create_publication",
    "modify_publication",
    "presence",
    "publication",
    "publications",
    "refresh_publication",
    "remove_presence",
    "remove_publication",
    "set_presence",
]

_MEDIA_TYPES = {
    "presence": "application/pidf+xml",
    "dialog": "application/dialog-info+xml",
    "message-summary": "application/simple-message-summary",
}


def publications(server: ControlServer, call: Call) -> Answer:
    """Those that there are, the newest first; those that are over only where they are asked for."""
    return page_of(server.service.ledger.publications, "publications", call, over="over")


def publication(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    return Answer(server.service.ledger.publications.find(call.parameters["id"]).as_json())


async def create_publication(server: ControlServer, call: Call) -> Answer:
    """Publish something, and perhaps wait until the server has it or has refused it."""
    server.check_running()
    given: dict[str, Any] = call.body
    book = server.service.ledger.publications

    def begin() -> PublicationEntry:
        body, content_type = _body(given, given["event"])
        publishing = server.service.endpoint.publish(
            given["event"],
            body,
            content_type,
            target=given.get("to"),
            expires=given.get("expires", 3600),
            headers=descriptions.fields_of(given),
        )
        entry = book.newest()
        publishing.addErrback(entry.fail)
        return entry

    entry = server.keys_of_lives.once(call, begin)
    applied = await stands(server, call, entry)
    return Answer(entry.as_json(), 201, headers=[("Location", f"/v1/publications/{entry.key}"), *applied])


def _body(given: dict[str, Any], event: str) -> tuple[str | bytes, str | None]:
    body, content_type = descriptions.body_of(given)
    return body, content_type or _MEDIA_TYPES.get(event)


def _living(server: ControlServer, call: Call) -> tuple[PublicationEntry, Publication]:
    server.check_running()
    entry = server.service.ledger.publications.living(call.parameters["id"])
    assert entry.life is not None
    return entry, entry.life


def modify_publication(server: ControlServer, call: Call) -> Answer:
    """Publish something else in its place."""
    entry, life = _living(server, call)
    _begun(entry, life.modify(*_body(call.body, life.event)))
    return Answer(entry.as_json())


def refresh_publication(server: ControlServer, call: Call) -> Answer:
    """Refresh it now."""
    entry, life = _living(server, call)
    _begun(entry, life.refresh())
    return Answer(entry.as_json())


def _begun(entry: PublicationEntry, running: Deferred[Publication]) -> None:
    entry.failure = None
    running.addErrback(entry.fail)


def remove_publication(server: ControlServer, call: Call) -> Answer:
    """Take it back."""
    return ended(server.service.ledger.publications, call)


# -- our own presence -------------------------------------------------------------------------------------------------


def _package(endpoint: RealTimeEndpoint) -> PresencePackage:
    package = endpoint.packages.get("presence")
    if not isinstance(package, PresencePackage):
        raise Problem("not-found", "Nobody can subscribe to our presence: start the service with --package presence.")
    return package


def presence(server: ControlServer, call: Call) -> Answer:
    """What those are told who subscribe to our presence."""
    endpoint = server.service.endpoint
    told = _package(endpoint).get(endpoint.owner_uri)
    return Answer(_described(server, told))


def _described(server: ControlServer, told: Presence | None) -> dict[str, object]:
    watchers = _package(server.service.endpoint).subscribers_of(server.service.endpoint.owner_uri)
    said: dict[str, object] = {"status": "unknown", "watchers": len(watchers)}
    if told is None:
        return said
    said |= {
        "status": "open" if told.is_open else "closed",
        "activities": list(told.activities),
        "notes": [note.text for note in _notes(told)],
        **descriptions.content(told.to_bytes(), told.media_type),
    }
    return said


def _notes(told: Presence) -> list[Any]:
    persons = [*(note for each in told.persons for note in (*each.activity_notes, *each.notes))]
    return [*told.notes, *persons, *(note for each in told.tuples for note in each.notes)]


def set_presence(server: ControlServer, call: Call) -> Answer:
    """Say how we are, and tell all who have subscribed."""
    server.check_running()
    given: dict[str, Any] = call.body
    endpoint = server.service.endpoint
    package = _package(endpoint)
    if "text" in given:
        if len(given) > 1:
            raise Problem("invalid-content", "Give text, or what a document is to be made of, and not both.")
        document = Presence.parse(given["text"].encode("utf-8", "surrogatepass"))
    else:
        document = Presence.of(
            str(endpoint.owner_uri),
            given.get("status", "open") == "open",
            contact=given.get("contact", ""),
            note=given.get("note", ""),
            activities=given.get("activities", ()),
        )
        cast("Any", document).to_bytes()
    package.set(endpoint.owner_uri, document)
    return Answer(_described(server, package.get(endpoint.owner_uri)))


def remove_presence(server: ControlServer, call: Call) -> Answer:
    """Say nothing more of ourselves."""
    server.check_running()
    endpoint = server.service.endpoint
    _package(endpoint).remove(endpoint.owner_uri)
    return Answer(None, 204)
