"""Doing what a REFER asks for, and telling whoever has sent it how that goes (rows I5, I6; RFC 3515 section 2.4.3)."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState, SignalingTransitionReason
from sip_p2p.errors import ConnectionFailure, InvalidOperation, OperationTimeout, RequestFailed
from sip_p2p.sip.dialog.redirection import may_name
from sip_p2p.sip.message import Response
from sip_p2p.sip.uri import OpaqueUri, SipUri

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.endpoint.session.events import ProvisionalResponseReceived
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
    from sip_p2p.sip.uri import TelUri

__all__ = ["Following", "follow"]

_NOT_FOLLOWED = frozenset(
    ("ACK", "BYE", "CANCEL", "NOTIFY", "PRACK", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE", "UPDATE")
)
"""What has a meaning in a dialog only, or leaves something behind that somebody has to look after."""

_STATUS_OF = {
    SignalingTransitionReason.TIMEOUT: 408,
    SignalingTransitionReason.UNREACHABLE: 503,
}


def follow(referral: IncomingReferral, offer: Any, arguments: dict[str, Any]) -> Following:
    """What *referral* asks for, ready to begin.

    :raises InvalidOperation: for a method that no request by itself can have, and for a target that is not a peer's to
        name.
    :raises ValueError: for what cannot be called.
    """
    target, method = referral.target, referral.method
    if isinstance(target, OpaqueUri) or method in _NOT_FOLLOWED:
        raise InvalidOperation(f"a REFER to {method[:32]} {str(target)[:128]} is for the application to follow")
    flow = referral.flow
    if flow is not None and isinstance(target, SipUri) and not may_name(flow, target):
        # RFC 3515 section 5.2: a peer does not choose that we leave TLS, nor what is called on this machine.
        raise InvalidOperation(f"a REFER to {str(target)[:128]} leaves TLS, or leads to this machine")
    if referral.request.uri_text[:5].lower() == "sips:" and isinstance(target, SipUri) and not target.is_secure:
        # RFC 5630 section 5.1.1.3: what comes of a sips dialog or request is sips, unless whoever is asked allows less.
        raise InvalidOperation(f"a REFER that came to a sips URI leads to {str(target)[:128]}")
    following = Following(referral)
    if method == "INVITE":
        headers = [*referral.referral_fields(), *arguments.pop("headers", ())]
        refer_to = referral.refer_to
        following.session = referral.endpoint.create_session(
            target, headers=headers, replaces=refer_to.replaces, join=refer_to.join, **arguments
        )
        following.offer = offer
    elif arguments:
        raise InvalidOperation(f"a {method[:32]} makes no session that these arguments could be for")
    else:
        following.request = (method, target)
    return following


@final
class Following:
    """The request that a referral has given rise to.

    :ivar session: the session, where it is an INVITE.
    :ivar offer: what that offers.
    :ivar request: the method and the target of any other.
    """

    __slots__ = ("_referral", "offer", "request", "session")

    def __init__(self, referral: IncomingReferral) -> None:
        self._referral: IncomingReferral | None = referral
        self.session: SignalingSession | None = None
        self.offer: Any = None
        self.request: tuple[str, SipUri | TelUri] | None = None

    def start(self) -> None:
        """Make it."""
        referral = self._referral
        if self.session is not None:
            self._watch(self.session)
            # What becomes of it is told by its state.
            self.session.establish(self.offer).addErrback(lambda _: None)
        elif self.request is not None and referral is not None:
            method, target = self.request
            outcome = referral.endpoint.request(method, target, headers=referral.referral_fields())
            outcome.addCallbacks(self._answered, self._failed)

    def run(self, make: Callable[[IncomingReferral], Any]) -> None:
        """Have the application make it."""
        try:
            result: Any = make(self._referral)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            raise
        except BaseException:
            self._not_made(Failure())
            return
        if iscoroutine(result) or isinstance(result, Deferred):
            deferred = Deferred.fromCoroutine(result) if iscoroutine(result) else result
            deferred.addCallback(self._made).addErrback(self._not_made)
        else:
            self._made(result)

    def _made(self, result: Any) -> None:
        """The application has made it; what is no session it reports by itself."""
        if isinstance(result, SignalingSession):
            self.session = result
            self._watch(result)

    def _not_made(self, failure: Failure) -> None:
        """The application could not."""
        referral = self._referral
        if referral is None:
            return
        if failure.check(RequestFailed, ConnectionFailure, OperationTimeout) is None:
            referral.endpoint.connection_manager.dispatch.handler_failed("REFER", failure)
        self._failed(failure)

    # -- how it goes ---------------------------------------------------------------------------------------------------

    def _watch(self, session: SignalingSession) -> None:
        if session.state is SignalingState.CONNECTED:
            self._tell(200, None)
        elif session.is_over:
            self._tell(487, None)
        else:
            session.provisional_response_received.subscribe(self._rings)
            session.state_changed.subscribe(self._changed)

    def _rings(self, event: ProvisionalResponseReceived) -> None:
        self._tell(event.response.status, event.response.reason)

    def _changed(self, change: SignalingStateChanged) -> None:
        message = change.message
        if change.state is SignalingState.CONNECTED:
            is_response = isinstance(message, Response)
            self._tell(message.status if is_response else 200, message.reason if is_response else None)  # type: ignore[union-attr]
        elif change.state is SignalingState.DISCONNECTED:
            status = _STATUS_OF.get(change.reason)
            if isinstance(message, Response) and message.status >= 300 and status is None:
                self._tell(message.status, message.reason)
            else:
                self._tell(status or 487, None)

    def _answered(self, response: Response) -> None:
        self._tell(response.status, response.reason)

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, RequestFailed):
            self._tell(error.status, error.response.reason)
        else:
            # RFC 3261 section 8.1.3.1.
            self._tell(408 if isinstance(error, OperationTimeout) else 503, None)

    def _tell(self, status: int, reason: str | None) -> None:
        referral = self._referral
        if referral is None:
            return
        if status >= 200:
            self._referral = None
            session = self.session
            if session is not None and not session.is_over:
                session.provisional_response_received.unsubscribe(self._rings)
                session.state_changed.unsubscribe(self._changed)
        referral.progress(status, reason)
