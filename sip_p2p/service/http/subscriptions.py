"""Subscriptions: ours, with what was notified last, and those of peers to what we tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.service.http import descriptions
from sip_p2p.service.http.books import ended, page_of, stands
from sip_p2p.service.http.messages import sent
from sip_p2p.service.http.routes import Answer

if TYPE_CHECKING:
    from sip_p2p.endpoint.subscription.arguments import SubscribeArguments
    from sip_p2p.endpoint.subscription.server import ServerSubscription
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.lives.entries import SubscriptionEntry

__all__ = [
    "approve_subscriber",
    "create_subscription",
    "end_subscriber",
    "end_subscription",
    "refresh_subscription",
    "subscriber",
    "subscribers",
    "subscription",
    "subscriptions",
]

# -- ours -------------------------------------------------------------------------------------------------------------


def subscriptions(server: ControlServer, call: Call) -> Answer:
    """Those that there are, the newest first; those that are over only where they are asked for."""
    book = server.service.ledger.subscriptions
    return page_of(book, "subscriptions", call, "event", over="terminated")


def subscription(server: ControlServer, call: Call) -> Answer:
    """One of them, with its last notifications."""
    return Answer(server.service.ledger.subscriptions.find(call.parameters["id"]).in_full())


async def create_subscription(server: ControlServer, call: Call) -> Answer:
    """Subscribe, and perhaps wait until that stands or has failed."""
    server.check_running()
    given: dict[str, Any] = call.body

    def begin() -> SubscriptionEntry:
        made = server.service.endpoint.create_subscription(given["to"], given["event"], **_arguments(given))
        # The ledger has each notification: none is to wait here for somebody who iterates.
        made.notification_received.subscribe(_taken)
        starting = made.start()
        entry = server.service.ledger.subscriptions.add(made)
        starting.addErrback(entry.fail)
        return entry

    entry = server.keys_of_lives.once(call, begin)
    applied = await stands(server, call, entry)
    return Answer(entry.in_full(), 201, headers=[("Location", f"/v1/subscriptions/{entry.key}"), *applied])


def _taken(notification: object) -> None:
    """It is in the ledger."""


def _arguments(given: dict[str, Any]) -> SubscribeArguments:
    arguments: SubscribeArguments = {"headers": descriptions.fields_of(given)}
    body, content_type = descriptions.body_of(given)
    if body:
        arguments |= {"body": body, "content_type": content_type}
    if "accept" in given:
        arguments["accept"] = given["accept"]
    if "expires" in given:
        arguments["expires"] = given["expires"]
    if "retry" in given:
        arguments["retry"] = given["retry"]
    if "from" in given:
        arguments["from_"] = given["from"]
    return arguments


async def refresh_subscription(server: ControlServer, call: Call) -> Answer:
    """Send a SUBSCRIBE now, with another body where there is one."""
    server.check_running()
    given = call.body or {}
    entry = server.service.ledger.subscriptions.living(call.parameters["id"])
    body, content_type = descriptions.body_of(given)
    life = entry.life
    assert life is not None
    requests = server.requests
    to = str(entry.as_json()["to"])
    made = requests.keys.once(
        call, lambda: requests.begin("SUBSCRIBE", to, lambda: life.refresh(body or None, content_type))
    )
    return await sent(server, call, made)


def end_subscription(server: ControlServer, call: Call) -> Answer:
    """End it."""
    return ended(server.service.ledger.subscriptions, call)


# -- those of peers ---------------------------------------------------------------------------------------------------


def subscribers(server: ControlServer, call: Call) -> Answer:
    """Who watches us, the newest first."""
    return page_of(server.service.ledger.subscribers, "subscribers", call, "event")


def subscriber(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    return Answer(server.service.ledger.subscribers.find(call.parameters["id"]).as_json())


def _living(server: ControlServer, call: Call) -> ServerSubscription:
    server.check_running()
    life = server.service.ledger.subscribers.living(call.parameters["id"]).life
    assert life is not None
    return life


def approve_subscriber(server: ControlServer, call: Call) -> Answer:
    """Let it know the state, and tell it."""
    found = _living(server, call)
    found.approve()
    return Answer(server.service.ledger.subscribers.find(call.parameters["id"]).as_json())


def end_subscriber(server: ControlServer, call: Call) -> Answer:
    """End it, with a NOTIFY that says why."""
    found = _living(server, call)
    found.terminate(call.query.get("reason", "rejected"), retry_after=call.query.get("retry_after"))
    return Answer(None, 204)
