"""Subscribing and fetching: from the arguments of a call to a subscription, or to one notification (rows J1 and J4;
RFC 6665 sections 4.1.2 and 4.4.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, fail

from sip_p2p.endpoint.subscription.arguments import SubscribeTerms
from sip_p2p.endpoint.subscription.subscription import Subscription
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import EndpointTerminated

if TYPE_CHECKING:
    from sip_p2p.endpoint.address import RealTimeAddress
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.subscription.arguments import SubscribeArguments
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.uri import SipUri, TelUri

__all__ = ["create", "fetch", "subscribe_in"]


def create(
    endpoint: RealTimeEndpoint,
    target: str | SipUri | TelUri | RealTimeAddress,
    event: str,
    arguments: SubscribeArguments,
) -> Subscription:
    """See :meth:`.RealTimeEndpoint.create_subscription`."""
    check_thread()
    if arguments.get("expires") == 0:
        raise ValueError("a subscription of no seconds is a fetch: endpoint.fetch() makes one")
    return Subscription(SubscribeTerms(endpoint, target, event, arguments))


def fetch(
    endpoint: RealTimeEndpoint,
    target: str | SipUri | TelUri | RealTimeAddress,
    event: str,
    arguments: SubscribeArguments,
) -> Deferred[Notification]:
    """See :meth:`.RealTimeEndpoint.fetch`."""
    check_thread()
    wrong = arguments.keys() & {"expires", "retry", "forked", "queue"}
    if wrong:
        raise TypeError(f"a fetch has no argument {', '.join(sorted(wrong))}")
    try:
        terms = SubscribeTerms(endpoint, target, event, {**arguments, "expires": 0, "retry": "never"})
    except EndpointTerminated as error:
        return fail(error)
    return Subscription(terms).start().addCallback(_first)


def _first(subscription: Subscription) -> Any:
    return subscription.__anext__()


def subscribe_in(
    session: SignalingSession, dialog: Dialog, event: str, arguments: SubscribeArguments
) -> Deferred[Subscription]:
    """See :meth:`.SignalingSession.subscribe`."""
    check_thread()
    wrong = arguments.keys() & {"from_", "via", "family", "forked", "retry"}
    if wrong or arguments.get("expires") == 0:
        raise TypeError(f"a subscription in a session has no argument {', '.join(sorted(wrong)) or 'expires=0'}")
    subscription = Subscription(SubscribeTerms(session.endpoint, None, event, {**arguments, "retry": "never"}))
    return subscription.start_in(dialog)
