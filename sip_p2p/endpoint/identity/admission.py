"""A request waits for the judgement on its signature, and goes on, or is refused (RFC 8224 section 6.2).

While it waits it counts as one that an application has been given: its peer is slowed down, its CANCEL and the end of
its connection are heard, and a party that ends waits for its answer. Where nothing has to be fetched it does not wait
at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred

from sip_p2p.endpoint.identity.certificates import Around
from sip_p2p.endpoint.peer import holder_of
from sip_p2p.errors import AlreadyResponded

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from sip_p2p.endpoint.dispatch import Dispatch
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.identity.verdict import PassportVerdict
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.sip.outputs import RequestReceived

__all__ = ["admit"]


def admit(dispatch: Dispatch, incoming: IncomingRequest, endpoint: RealTimeEndpoint, output: RequestReceived) -> bool:
    """Whether a request may go on at once; if not, it will when it may."""
    verifier = endpoint.passport_verifier
    if verifier is None or not verifier.looks_at(incoming.request):
        return True
    manager = endpoint.connection_manager
    around = Around(manager.reactor, manager.limits, manager.keeper.limit_hit, holder_of(incoming.flow))
    judging = Deferred.fromCoroutine(verifier.verify(incoming.request, endpoint.owner_uri, around))
    if judging.called:
        verdict: list[PassportVerdict] = []
        judging.addCallback(verdict.append)
        return _is_admitted(incoming, endpoint, verdict[0])
    incoming.wait_for(judging)
    dispatch.wait_for(incoming, endpoint)
    judging.addCallback(_go_on, dispatch, incoming, endpoint, output)
    judging.addErrback(_failed, dispatch, incoming)
    return False


def _go_on(
    verdict: PassportVerdict,
    dispatch: Dispatch,
    incoming: IncomingRequest,
    endpoint: RealTimeEndpoint,
    output: RequestReceived,
) -> None:
    if incoming.is_answered:
        return
    dispatch.waits_no_more(incoming)
    if endpoint.is_terminated:
        incoming.respond(480)
    elif _is_admitted(incoming, endpoint, verdict):
        dispatch.give(incoming, endpoint, output)


def _failed(failure: Failure, dispatch: Dispatch, incoming: IncomingRequest) -> None:
    """Nobody waits for it any more; anything else is a fault of ours, and no request may be lost in it."""
    if failure.check(CancelledError):
        return
    dispatch.handler_failed(incoming.method, failure)
    if not incoming.is_answered:
        try:
            incoming.respond(500)
        except AlreadyResponded:
            return


def _is_admitted(incoming: IncomingRequest, endpoint: RealTimeEndpoint, verdict: PassportVerdict) -> bool:
    """Whether the policy lets a request through with *verdict*; if not, it has been refused."""
    incoming.passport = verdict
    verifier = endpoint.passport_verifier
    if verdict.is_valid or verifier is None or verifier.policy != "require":
        return True
    incoming.respond(verdict.code, verdict.phrase)
    # 6.2.3: who signs on the way tries once more, and that is no second path of this one.
    endpoint.connection_manager.core.rules.forget(incoming.transaction)
    return False
