"""The states of a session, and why it went from one into another (rows H1, H31): the two lists are UCMA's.

::

                   establish              1xx                2xx, acknowledged
    Idle ---------------> Connecting -------> Alerted ----------------+
                            ^  |  ^            |  ^  |                |
                            |  +--|------------|--|--|----------------+
                            |     follow      3xx |  |                v
                            |     +-- Redirecting +--+            Connected
                            |                                         ^
    Incoming --accept-------+-- (Connecting) --ACK--------------------+

    every one --------------------------------------------------> Disconnected

A session that a peer wants to establish is Incoming while it rings, and Connecting from its acceptance until the ACK.
Disconnected is the end for the application: what is still said to the peer after it, and waited for, happens behind
its back.

Left out on purpose: states for what happens within a session that stands (a renegotiation has its own outcome, and a
recovery its own event), and for the wait for the response to BYE.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from twisted.internet.defer import CancelledError

from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    OfferRejected,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.sip.dialog.effects import Ending

if TYPE_CHECKING:
    from sip_p2p.sip.message import Request, Response

__all__ = [
    "SignalingInput",
    "SignalingState",
    "SignalingStateChanged",
    "SignalingTransitionReason",
    "following",
    "reason_of_ending",
    "reason_of_error",
    "reason_of_status",
]


class SignalingState(enum.Enum):
    """Where a session stands."""

    IDLE = "nothing was asked for yet"
    INCOMING = "a peer wants to establish it, and we have not decided"
    CONNECTING = "it is being established"
    ALERTED = "the peer is told, and has not decided"
    REDIRECTING = "the peer is to be found elsewhere, and nothing is tried yet"
    CONNECTED = "it stands"
    DISCONNECTED = "it is over, or came to nothing"


class SignalingTransitionReason(enum.Enum):
    """Why a session changed its state."""

    NONE = "no reason, or none that is known"
    DECLINED = "the peer does not want it"
    CANCELED = "the caller gave up before there was an answer"
    TERMINATED_LOCALLY = "we ended it"
    TERMINATED_REMOTELY = "the peer ended it"
    BUSY = "the peer is busy"
    TEMPORARILY_UNAVAILABLE = "the peer cannot be reached at the moment, or does not want to be"
    NOT_ACCEPTABLE = "the peer's answer would be nothing that we accept"
    NOT_ACCEPTABLE_MEDIA = "no session description suits both sides"
    TIMEOUT = "it took too long"
    UNREACHABLE = "there is no way to the peer, or no such party"
    SESSION_TIMER_EXPIRED = "nobody refreshed it in time"
    PROVISIONAL_RESPONSE_RECEIVED = "the peer is at work"
    SESSION_DOES_NOT_EXIST = "the peer does not know it"
    RECOVERY_FAILED = "its connection was lost, and it could not be taken up again"


class SignalingInput(enum.Enum):
    """What can happen to a session, as far as its state is concerned."""

    ESTABLISH = "we begin to establish it, or accept it"
    PROVISIONAL = "a provisional response above 100"
    REDIRECTED = "a 3xx"
    FOLLOWED = "another target is tried"
    ESTABLISHED = "acknowledged"
    ENDED = "over"


_NEXT = {
    (SignalingState.IDLE, SignalingInput.ESTABLISH): SignalingState.CONNECTING,
    (SignalingState.INCOMING, SignalingInput.ESTABLISH): SignalingState.CONNECTING,
    (SignalingState.CONNECTING, SignalingInput.PROVISIONAL): SignalingState.ALERTED,
    (SignalingState.CONNECTING, SignalingInput.REDIRECTED): SignalingState.REDIRECTING,
    (SignalingState.CONNECTING, SignalingInput.ESTABLISHED): SignalingState.CONNECTED,
    (SignalingState.ALERTED, SignalingInput.REDIRECTED): SignalingState.REDIRECTING,
    (SignalingState.ALERTED, SignalingInput.ESTABLISHED): SignalingState.CONNECTED,
    (SignalingState.REDIRECTING, SignalingInput.FOLLOWED): SignalingState.CONNECTING,
}


def following(state: SignalingState, happened: SignalingInput) -> SignalingState:
    """The state after *state* when that *happened*; the same one where it makes no difference."""
    if happened is SignalingInput.ENDED:
        return SignalingState.DISCONNECTED
    return _NEXT.get((state, happened), state)


_REASONS = {
    401: SignalingTransitionReason.DECLINED,
    403: SignalingTransitionReason.DECLINED,
    404: SignalingTransitionReason.UNREACHABLE,
    406: SignalingTransitionReason.NOT_ACCEPTABLE,
    407: SignalingTransitionReason.DECLINED,
    408: SignalingTransitionReason.TIMEOUT,
    410: SignalingTransitionReason.UNREACHABLE,
    415: SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA,
    416: SignalingTransitionReason.UNREACHABLE,
    430: SignalingTransitionReason.UNREACHABLE,
    433: SignalingTransitionReason.DECLINED,
    480: SignalingTransitionReason.TEMPORARILY_UNAVAILABLE,
    481: SignalingTransitionReason.SESSION_DOES_NOT_EXIST,
    482: SignalingTransitionReason.UNREACHABLE,
    483: SignalingTransitionReason.UNREACHABLE,
    484: SignalingTransitionReason.UNREACHABLE,
    485: SignalingTransitionReason.UNREACHABLE,
    486: SignalingTransitionReason.BUSY,
    487: SignalingTransitionReason.CANCELED,
    488: SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA,
    500: SignalingTransitionReason.TEMPORARILY_UNAVAILABLE,
    503: SignalingTransitionReason.TEMPORARILY_UNAVAILABLE,
    504: SignalingTransitionReason.TIMEOUT,
    600: SignalingTransitionReason.BUSY,
    603: SignalingTransitionReason.DECLINED,
    604: SignalingTransitionReason.UNREACHABLE,
    606: SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA,
    607: SignalingTransitionReason.DECLINED,
    608: SignalingTransitionReason.DECLINED,
}

_CLASSES = {
    1: SignalingTransitionReason.PROVISIONAL_RESPONSE_RECEIVED,
    2: SignalingTransitionReason.NONE,
    3: SignalingTransitionReason.UNREACHABLE,
    4: SignalingTransitionReason.NONE,
    5: SignalingTransitionReason.UNREACHABLE,
    6: SignalingTransitionReason.DECLINED,
}


def reason_of_status(status: int) -> SignalingTransitionReason:
    """What a response with *status*, 100 to 699, means for a session (RFC 3261 section 21).

    A status that has no meaning of its own here counts as its class does: a redirection that nobody follows leads to
    nobody, a server that fails is in the way, and a global failure is a decision; another 4xx says nothing about the
    peer.
    """
    reason = _REASONS.get(status)
    return _CLASSES[status // 100] if reason is None else reason


_ENDINGS = {
    Ending.LOCAL_BYE: SignalingTransitionReason.TERMINATED_LOCALLY,
    Ending.REMOTE_BYE: SignalingTransitionReason.TERMINATED_REMOTELY,
    Ending.NO_ACK: SignalingTransitionReason.TIMEOUT,
    Ending.EXPIRED: SignalingTransitionReason.SESSION_TIMER_EXPIRED,
    Ending.DIALOG_GONE: SignalingTransitionReason.SESSION_DOES_NOT_EXIST,
    Ending.NO_RESPONSE: SignalingTransitionReason.TIMEOUT,
    Ending.FORKED: SignalingTransitionReason.CANCELED,
    Ending.NO_AGREEMENT: SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA,
    Ending.EARLY: SignalingTransitionReason.CANCELED,
    Ending.UNREACHABLE: SignalingTransitionReason.RECOVERY_FAILED,
}


def reason_of_ending(ending: Ending) -> SignalingTransitionReason:
    """What the end of the usage means for its session."""
    return _ENDINGS[ending]


def reason_of_error(error: BaseException) -> SignalingTransitionReason:
    """What an exception means that came in the place of a response."""
    if isinstance(error, SessionTerminated):
        return SignalingTransitionReason[error.reason]
    if isinstance(error, RequestFailed):
        return reason_of_status(error.status)
    for kind, reason in (
        (OfferRejected, SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA),
        (OperationTimeout, SignalingTransitionReason.TIMEOUT),
        (ConnectionFailure, SignalingTransitionReason.UNREACHABLE),
        (EndpointTerminated, SignalingTransitionReason.TERMINATED_LOCALLY),
        (CancelledError, SignalingTransitionReason.TERMINATED_LOCALLY),
    ):
        if isinstance(error, kind):
            return reason
    return SignalingTransitionReason.NONE


@final
class SignalingStateChanged:
    """A session went from one state into another.

    :ivar previous_state: the one before.
    :ivar state: the one now.
    :ivar reason: why.
    :ivar message: what brought it about: a response to our request, or the peer's ACK, BYE or CANCEL; None where no
        message did (row H18).
    """

    __slots__ = ("message", "previous_state", "reason", "state")

    def __init__(
        self,
        previous_state: SignalingState,
        state: SignalingState,
        reason: SignalingTransitionReason,
        message: Request | Response | None = None,
    ) -> None:
        self.previous_state = previous_state
        self.state = state
        self.reason = reason
        self.message = message

    def __repr__(self) -> str:
        return f"<SignalingStateChanged {self.previous_state.name} -> {self.state.name}: {self.reason.name}>"
