"""The states of a session, every pair of a state and what can happen in it, and what every status and failure means."""

from __future__ import annotations

from twisted.internet.defer import CancelledError

from sip_p2p.endpoint.session.states import (
    SignalingInput,
    SignalingState,
    SignalingStateChanged,
    SignalingTransitionReason,
    following,
    reason_of_ending,
    reason_of_error,
    reason_of_status,
)
from sip_p2p.errors import (
    ConnectionFailure,
    EndpointTerminated,
    OfferRejected,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
)
from sip_p2p.sip.dialog.effects import Ending
from sip_p2p.sip.message import Response
from tests.support import SynchronousTestCase

IDLE, INCOMING, CONNECTING = SignalingState.IDLE, SignalingState.INCOMING, SignalingState.CONNECTING
ALERTED, REDIRECTING = SignalingState.ALERTED, SignalingState.REDIRECTING
CONNECTED, DISCONNECTED = SignalingState.CONNECTED, SignalingState.DISCONNECTED

ESTABLISH, PROVISIONAL, REDIRECTED = SignalingInput.ESTABLISH, SignalingInput.PROVISIONAL, SignalingInput.REDIRECTED
FOLLOWED, ESTABLISHED, ENDED = SignalingInput.FOLLOWED, SignalingInput.ESTABLISHED, SignalingInput.ENDED

TABLE = {
    (IDLE, ESTABLISH): CONNECTING,
    (IDLE, PROVISIONAL): IDLE,
    (IDLE, REDIRECTED): IDLE,
    (IDLE, FOLLOWED): IDLE,
    (IDLE, ESTABLISHED): IDLE,
    (IDLE, ENDED): DISCONNECTED,
    (INCOMING, ESTABLISH): CONNECTING,
    (INCOMING, PROVISIONAL): INCOMING,
    (INCOMING, REDIRECTED): INCOMING,
    (INCOMING, FOLLOWED): INCOMING,
    (INCOMING, ESTABLISHED): INCOMING,
    (INCOMING, ENDED): DISCONNECTED,
    (CONNECTING, ESTABLISH): CONNECTING,
    (CONNECTING, PROVISIONAL): ALERTED,
    (CONNECTING, REDIRECTED): REDIRECTING,
    (CONNECTING, FOLLOWED): CONNECTING,
    (CONNECTING, ESTABLISHED): CONNECTED,
    (CONNECTING, ENDED): DISCONNECTED,
    (ALERTED, ESTABLISH): ALERTED,
    (ALERTED, PROVISIONAL): ALERTED,
    (ALERTED, REDIRECTED): REDIRECTING,
    (ALERTED, FOLLOWED): ALERTED,
    (ALERTED, ESTABLISHED): CONNECTED,
    (ALERTED, ENDED): DISCONNECTED,
    (REDIRECTING, ESTABLISH): REDIRECTING,
    (REDIRECTING, PROVISIONAL): REDIRECTING,
    (REDIRECTING, REDIRECTED): REDIRECTING,
    (REDIRECTING, FOLLOWED): CONNECTING,
    (REDIRECTING, ESTABLISHED): REDIRECTING,
    (REDIRECTING, ENDED): DISCONNECTED,
    (CONNECTED, ESTABLISH): CONNECTED,
    (CONNECTED, PROVISIONAL): CONNECTED,
    (CONNECTED, REDIRECTED): CONNECTED,
    (CONNECTED, FOLLOWED): CONNECTED,
    (CONNECTED, ESTABLISHED): CONNECTED,
    (CONNECTED, ENDED): DISCONNECTED,
    (DISCONNECTED, ESTABLISH): DISCONNECTED,
    (DISCONNECTED, PROVISIONAL): DISCONNECTED,
    (DISCONNECTED, REDIRECTED): DISCONNECTED,
    (DISCONNECTED, FOLLOWED): DISCONNECTED,
    (DISCONNECTED, ESTABLISHED): DISCONNECTED,
    (DISCONNECTED, ENDED): DISCONNECTED,
}
"""The state after each, in each state."""

NONE = SignalingTransitionReason.NONE
DECLINED, CANCELED, BUSY = (
    SignalingTransitionReason.DECLINED,
    SignalingTransitionReason.CANCELED,
    SignalingTransitionReason.BUSY,
)
UNAVAILABLE, TIMEOUT = SignalingTransitionReason.TEMPORARILY_UNAVAILABLE, SignalingTransitionReason.TIMEOUT
UNREACHABLE, MEDIA = SignalingTransitionReason.UNREACHABLE, SignalingTransitionReason.NOT_ACCEPTABLE_MEDIA
NOT_THERE = SignalingTransitionReason.SESSION_DOES_NOT_EXIST

REASONS = {
    100: SignalingTransitionReason.PROVISIONAL_RESPONSE_RECEIVED,
    183: SignalingTransitionReason.PROVISIONAL_RESPONSE_RECEIVED,
    200: NONE,
    300: UNREACHABLE,
    302: UNREACHABLE,
    380: UNREACHABLE,
    400: NONE,
    401: DECLINED,
    402: NONE,
    403: DECLINED,
    404: UNREACHABLE,
    405: NONE,
    406: SignalingTransitionReason.NOT_ACCEPTABLE,
    407: DECLINED,
    408: TIMEOUT,
    410: UNREACHABLE,
    413: NONE,
    415: MEDIA,
    416: UNREACHABLE,
    420: NONE,
    421: NONE,
    422: NONE,
    423: NONE,
    430: UNREACHABLE,
    433: DECLINED,
    469: NONE,
    480: UNAVAILABLE,
    481: NOT_THERE,
    482: UNREACHABLE,
    483: UNREACHABLE,
    484: UNREACHABLE,
    485: UNREACHABLE,
    486: BUSY,
    487: CANCELED,
    488: MEDIA,
    491: NONE,
    493: NONE,
    500: UNAVAILABLE,
    501: UNREACHABLE,
    502: UNREACHABLE,
    503: UNAVAILABLE,
    504: TIMEOUT,
    505: UNREACHABLE,
    513: UNREACHABLE,
    580: UNREACHABLE,
    600: BUSY,
    603: DECLINED,
    604: UNREACHABLE,
    606: MEDIA,
    607: DECLINED,
    608: DECLINED,
    699: DECLINED,
}
"""What each status means for a session."""

ENDINGS = {
    Ending.LOCAL_BYE: SignalingTransitionReason.TERMINATED_LOCALLY,
    Ending.REMOTE_BYE: SignalingTransitionReason.TERMINATED_REMOTELY,
    Ending.NO_ACK: TIMEOUT,
    Ending.EXPIRED: SignalingTransitionReason.SESSION_TIMER_EXPIRED,
    Ending.DIALOG_GONE: NOT_THERE,
    Ending.NO_RESPONSE: TIMEOUT,
    Ending.FORKED: CANCELED,
    Ending.NO_AGREEMENT: MEDIA,
    Ending.EARLY: CANCELED,
    Ending.UNREACHABLE: SignalingTransitionReason.RECOVERY_FAILED,
}
"""What each end of a usage means."""


class StateTests(SynchronousTestCase):
    """Which state follows which."""

    def test_every_pair(self) -> None:
        """Every input in every state leads where the table says, and the table is whole (row:H1)."""
        self.assertEqual(set(TABLE), {(state, happened) for state in SignalingState for happened in SignalingInput})
        for (state, happened), expected in TABLE.items():
            self.assertIs(following(state, happened), expected, (state, happened))

    def test_names(self) -> None:
        """The states and the reasons are UCMA's, seven and fifteen (row:H1, row:H31)."""
        self.assertEqual(
            {state.name for state in SignalingState},
            {"IDLE", "INCOMING", "CONNECTING", "ALERTED", "REDIRECTING", "CONNECTED", "DISCONNECTED"},
        )
        self.assertEqual(len(SignalingTransitionReason), 15)

    def test_in_words(self) -> None:
        """A change says from where, to where and why."""
        change = SignalingStateChanged(IDLE, CONNECTING, NONE)
        self.assertEqual(repr(change), "<SignalingStateChanged IDLE -> CONNECTING: NONE>")
        self.assertIsNone(change.message)


class ReasonTests(SynchronousTestCase):
    """What ended it."""

    def test_statuses(self) -> None:
        """Every status has a reason, by itself or by its class (row:H31)."""
        for status, reason in REASONS.items():
            self.assertIs(reason_of_status(status), reason, status)
        for status in range(100, 700):
            self.assertIsInstance(reason_of_status(status), SignalingTransitionReason)

    def test_endings(self) -> None:
        """Every end of a usage has a reason (row:H31)."""
        self.assertEqual(set(ENDINGS), set(Ending))
        for ending, reason in ENDINGS.items():
            self.assertIs(reason_of_ending(ending), reason, ending)

    def test_errors(self) -> None:
        """Whatever comes in the place of a response has a reason (row:H31)."""
        for error, reason in (
            (OperationTimeout("x"), TIMEOUT),
            (ConnectionFailure("x"), UNREACHABLE),
            (EndpointTerminated("x"), SignalingTransitionReason.TERMINATED_LOCALLY),
            (CancelledError(), SignalingTransitionReason.TERMINATED_LOCALLY),
            (OfferRejected(), MEDIA),
            (RequestFailed(Response(486)), BUSY),
            (SessionTerminated("x", "BUSY"), BUSY),
            (ValueError("x"), NONE),
        ):
            self.assertIs(reason_of_error(error), reason, error)
