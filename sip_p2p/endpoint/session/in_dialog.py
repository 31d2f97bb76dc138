"""The requests within a session that do not change it: ours and the peer's (row H25; RFC 3261 section 12.2, RFC 3428,
RFC 6086).

A request of the peer's is an :class:`~sip_p2p.endpoint.incoming.IncomingRequest` as outside of a session, with the same
ways to answer it. A MESSAGE goes to ``session.message_received``, everything else and, where nobody listens there, a
MESSAGE as well, to ``session.request_received``. What nobody takes is answered 405, or 501 where the method is not
known.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.errors import OperationTimeout, RequestFailed
from sip_p2p.sip.counters import KNOWN_METHODS

if TYPE_CHECKING:
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.dialog.effects import Errand, InDialogRequestReceived, RequestEnded
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Response
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["receive", "request_ended", "send"]


def receive(session: SignalingSession, output: InDialogRequestReceived) -> None:
    """Give a request of the peer's to whoever takes it."""
    manager = session.endpoint.connection_manager
    incoming = IncomingRequest(manager, output)
    method = incoming.method
    name = "message_received" if method == "MESSAGE" and session.hears("message_received") else "request_received"
    handlers = session.handlers(name)
    if not handlers:
        allow = (("Allow", session.endpoint.profile.allow_value),)
        incoming.respond(405 if method in KNOWN_METHODS else 501, headers=allow)
        return
    flow = cast("LiveFlow", output.flow)
    if manager.dispatch.has_too_many(flow, session.unanswered):
        manager.keeper.limit_hit("pending_requests")
        # A 503 would speak for all of us, and have the peer ask for nothing at all for a while.
        incoming.respond(500, headers=(("Retry-After", str(random.randint(2, 8))),))
        return
    flow.presents(output.request.via)
    if manager.dispatch.heard:
        manager.dispatch.heard.tell((incoming, session))
    incoming.run(handlers)
    if not incoming.is_answered:
        manager.dispatch.wait_for(incoming, session.endpoint)
        unanswered = session.waiting.unanswered
        unanswered[:] = [*(each for each in unanswered if not each.is_answered), incoming]


def send(
    session: SignalingSession,
    usage: InviteUsage,
    method: str,
    body: bytes,
    content_type: str | None,
    fields: list[tuple[str, str]],
    timeout: float | None,
) -> Deferred[Response]:
    """Send a request of ours; see :meth:`.SignalingSession.request`."""
    manager = session.endpoint.connection_manager
    driver = manager.driver
    errand = usage.request(method, driver.now(), body, content_type, fields)
    done: Deferred[Response] = Deferred(lambda _: _cancelled(session, errand))
    session.waiting.requests[errand] = done
    driver.drain()
    if timeout is not None:
        words = f"{method}: no answer within {timeout:g} s"
        done.addTimeout(timeout, manager.reactor, onTimeoutCancel=lambda _, __: Failure(OperationTimeout(words)))
    return done


def _cancelled(session: SignalingSession, errand: Errand) -> None:
    """Nobody waits for the outcome of a request of ours any more; one that was not sent never is."""
    session.waiting.requests.pop(errand, None)
    session.endpoint.connection_manager.sessions.errands.withdraw(errand)


def request_ended(session: SignalingSession, effect: RequestEnded) -> None:
    """A request of ours has its outcome."""
    done = session.waiting.requests.pop(effect.errand, None)
    if done is not None:
        _settle(done, effect.errand, effect.response, effect.reason)


def _settle(done: Deferred[Response], errand: Errand, response: Response | None, reason: BaseException | None) -> None:
    if done.called:
        return
    if response is None:
        done.errback(Failure(reason or OperationTimeout(f"no final response to {errand.plan.method}")))
    elif response.status < 300:
        done.callback(response)
    else:
        done.errback(Failure(errand.refusal or RequestFailed(response)))
