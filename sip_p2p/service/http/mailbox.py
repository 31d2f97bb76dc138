"""What waits in our mailbox, for those who subscribe to that (``--package message-summary``; RFC 3842)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.documents.message_summary import MessageCount, MessageSummary
from sip_p2p.endpoint.subscription.packages.message_summary import MessageSummaryPackage
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer

if TYPE_CHECKING:
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer

__all__ = ["mailbox", "set_mailbox"]


def _package(server: ControlServer) -> MessageSummaryPackage:
    package = server.service.endpoint.packages.get("message-summary")
    if not isinstance(package, MessageSummaryPackage):
        raise Problem(
            "not-found", "Nobody can subscribe to our mailbox: start the service with --package message-summary."
        )
    return package


def mailbox(server: ControlServer, call: Call) -> Answer:
    """What those are told who subscribe to our mailbox."""
    package, owner = _package(server), server.service.endpoint.owner_uri
    said: dict[str, object] = {"watchers": len(package.subscribers_of(owner))}
    told = package.get(owner)
    if told is not None:
        counts = [{"kind": each.context, "new": each.new, "old": each.old} for each in told.counts]
        said |= {"waiting": told.waiting, "account": told.account, "counts": counts}
        said |= descriptions.content(told.to_bytes(), told.media_type)
    return Answer(said)


def set_mailbox(server: ControlServer, call: Call) -> Answer:
    """Say what waits, and tell all who have subscribed."""
    server.check_running()
    given: dict[str, Any] = call.body
    package, owner = _package(server), server.service.endpoint.owner_uri
    counts = tuple(MessageCount(each["kind"], each["new"], each.get("old", 0)) for each in given.get("counts", ()))
    package.set(owner, MessageSummary(given["waiting"], given.get("account", ""), counts))
    return mailbox(server, call)
