"""What an application gets to know of the outcome of a SUBSCRIBE, of the end of a subscription, and of a document that
says only what has changed (RFC 6665 section 4.1.3, RFC 4235 section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from sip_p2p.errors import (
    EndpointTerminated,
    InvalidOperation,
    MalformedDocument,
    OperationTimeout,
    RequestFailed,
    SipError,
    SubscriptionTerminated,
)
from sip_p2p.sip.event.subscribing import SubscriptionEnding

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.arguments import SubscribeTerms
    from sip_p2p.endpoint.subscription.notification import Notification
    from sip_p2p.sip.event.subscribing import SubscriptionOver
    from sip_p2p.sip.message import Response

__all__ = ["assemble", "error_of", "left_early", "settle"]


def assemble(terms: SubscribeTerms, notification: Notification) -> bool:
    """Add a document to what is known, where somebody does that; return whether nothing is missing."""
    assembler = terms.assembler
    try:
        document = notification.document
        if assembler is None or document is None:
            return True
        assembler.add(document)
    except MalformedDocument:
        # Whoever wants the document is told; what is known stays.
        return True
    except Exception:
        terms.endpoint.connection_manager.dispatch.handler_failed("NOTIFY", Failure())
        return True
    return assembler.is_complete


def settle(done: Deferred[Response], response: Response | None, reason: BaseException | None) -> None:
    """Tell whoever waits for the outcome of a SUBSCRIBE."""
    if done.called:
        return
    if response is None:
        done.errback(Failure(reason or OperationTimeout("no final response to SUBSCRIBE")))
    elif response.status < 300:
        done.callback(response)
    else:
        done.errback(Failure(RequestFailed(response)))


def error_of(over: SubscriptionOver) -> BaseException:
    """What whoever waited for more gets to know."""
    if over.ending is SubscriptionEnding.TERMINATED:
        reason = "" if over.value is None else over.value.reason
        said = f": {reason}" if reason else ""
        return SubscriptionTerminated(f"the notifier has ended the subscription{said}", reason)
    if over.reason is not None:
        return over.reason
    if over.response is not None:
        return RequestFailed(over.response)
    if over.ending is SubscriptionEnding.NO_NOTIFY:
        return OperationTimeout("the subscription was accepted, and no NOTIFY came in time (RFC 6665 section 4.1.2.4)")
    return SubscriptionTerminated(f"the subscription ended: {over.ending.value}")


def left_early(endpoint: RealTimeEndpoint) -> SipError:
    """What whoever waits for the beginning gets to know when the subscription was ended before it."""
    if endpoint.is_terminated:
        return EndpointTerminated("the endpoint was terminated")
    return InvalidOperation("the subscription was ended before it stood")
