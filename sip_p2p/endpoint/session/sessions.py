"""All sessions of one connection manager: what the core says goes to the session that it is about, and all of them end
within a time (rows B8, B13 to B15).

The facade's side of :mod:`sip_p2p.sip.dialog.effects`. Sessions that are over for their applications stay here until
nothing more is to be said to their peers.
"""

from __future__ import annotations

from collections import Counter
from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.publication.publication import Publication
from sip_p2p.endpoint.session import exchange, in_dialog
from sip_p2p.endpoint.session.answering import Answering
from sip_p2p.endpoint.session.calling import Calling
from sip_p2p.endpoint.session.ending import Endings
from sip_p2p.endpoint.session.errands import Errands
from sip_p2p.endpoint.session.session import SignalingSession
from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.endpoint.session.watching import Watching
from sip_p2p.endpoint.subscription.subscription import Subscription
from sip_p2p.endpoint.transfer import referrals
from sip_p2p.endpoint.transfer.referral import Referral
from sip_p2p.endpoint.transfer.replacing import Refusal, replacement_of
from sip_p2p.errors import (
    AlreadyResponded,
    ConnectionFailure,
    EndpointTerminated,
    MalformedMessage,
    OfferRejected,
    OperationTimeout,
    SessionTerminated,
)
from sip_p2p.sip.dialog import effects as said
from sip_p2p.sip.dialog.server_invitation import ServerInvitation
from sip_p2p.sip.dialog.usage import InviteUsage, UsageState
from sip_p2p.sip.event.usage import NOTIFIER, SUBSCRIBER, usage_name
from sip_p2p.sip.fields import parse_event

if TYPE_CHECKING:
    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.identity.verdict import PassportVerdict
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.sip.dialog.effects import InviteEffect
    from sip_p2p.sip.outputs import AckReceived, RequestAbandoned, RequestReceived
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Sessions"]

_SIDE_OF = {"NOTIFY": SUBSCRIBER, "SUBSCRIBE": NOTIFIER}

_ENDS = (ConnectionFailure, EndpointTerminated, OfferRejected, OperationTimeout, SessionTerminated)
"""With what ``accept`` fails when the session came to nothing: no fault of the handler that waited for it."""


@final
class Sessions:
    """The sessions of one connection manager.

    :ivar begun: told of each session as it begins, before its handlers are.
    :ivar errands: their requests on the way.
    :ivar rang: told of each session of a peer's when we have sent a provisional response to it.
    :ivar state_changed: told of each change of state of any of them, before the session's own handlers are.
    :ivar totals: how many there were: of either side, and how many of them came to stand.
    :ivar watching: those whose messages somebody wants to see.
    """

    __slots__ = (
        "_endings", "_live", "_manager", "_parties", "begun", "errands", "rang", "state_changed", "totals", "watching",
    )  # fmt: skip

    def __init__(self, manager: RealTimeConnectionManager) -> None:
        self._manager = manager
        self._live: dict[SignalingSession, None] = {}
        # How many of them each party has: asked whenever one of many parties ends.
        self._parties: Counter[RealTimeEndpoint] = Counter()
        self._endings = Endings(manager)
        self.errands = Errands(manager)
        self.watching = Watching(manager)
        self.begun: Event[SignalingSession] = Event()
        self.rang: Event[SignalingSession] = Event()
        self.state_changed: Event[tuple[SignalingSession, SignalingStateChanged]] = Event()
        self.totals = {"sessions_in": 0, "sessions_out": 0, "sessions_established": 0}

    def __len__(self) -> int:
        """How many are not gone yet."""
        return len(self._live)

    @property
    def invitations(self) -> int:
        """How many of them do not stand yet."""
        return sum(session.set_up is not None for session in self._live)

    @property
    def is_quiet(self) -> bool:
        """Whether none is left, and nothing more has to be sent for those that were."""
        return not self._live and not len(self.errands)

    @property
    def use_datagrams(self) -> bool:
        """Whether the peer of any of them is heard by UDP."""
        flows = (None if session.peer is None else session.peer.flow for session in self._live)
        return any(flow is not None and not flow.reliable for flow in flows)

    def has_any(self, endpoint: RealTimeEndpoint) -> bool:
        """Whether *endpoint* has one left, or something to be sent for one that was."""
        return endpoint in self._parties or self.errands.under_way(endpoint) > 0

    @property
    def live(self) -> tuple[SignalingSession, ...]:
        """Those that are not gone yet, the oldest first."""
        return tuple(self._live)

    def of(self, endpoint: RealTimeEndpoint) -> tuple[SignalingSession, ...]:
        """Those of one party."""
        return tuple(session for session in self._live if session.endpoint is endpoint)

    def add(self, session: SignalingSession) -> None:
        """A session has begun."""
        self._live[session] = None
        self._parties[session.endpoint] += 1
        self.totals["sessions_in" if session.is_incoming else "sessions_out"] += 1
        session.number = self.totals["sessions_in"] + self.totals["sessions_out"]
        if self.begun:
            self.begun.tell(session)

    def gone(self, session: SignalingSession) -> None:
        """Nothing more is to be done for it."""
        self._endings.forget(session)
        if self._live.pop(session, self) is not self:
            self._parties[session.endpoint] -= 1
            if not self._parties[session.endpoint]:
                del self._parties[session.endpoint]
            self._manager.drain_state.maybe_quiet(session.endpoint)

    # -- new ones ------------------------------------------------------------------------------------------------------

    def received(
        self, output: RequestReceived, endpoint: RealTimeEndpoint, passport: PassportVerdict | None = None
    ) -> None:
        """A peer's INVITE: judged by the core, then shown to those who want to know of it.

        :param passport: the judgement on its signature, where it was judged.
        """
        manager = self._manager
        driver = manager.driver
        invitation = ServerInvitation(
            manager.core,
            output.transaction,
            output.request,
            output.flow,
            endpoint.profile,
            endpoint.answer_options,
        )
        if not invitation.start(driver.now()):
            driver.drain()
            return
        replacement = replacement_of(output, endpoint)
        if isinstance(replacement, Refusal):
            invitation.reject(replacement.status, driver.now(), None, replacement.fields)
            driver.drain()
            return
        session = SignalingSession(endpoint, Answering(invitation, replacement), output.request.call_id)
        session.passport = passport
        self.add(session)
        for handler in endpoint.session_received.handlers:
            try:
                result: Any = handler(session)
            except KeyboardInterrupt:
                raise
            except BaseException:
                self._undecided(Failure(), session)
                continue
            if iscoroutine(result) or isinstance(result, Deferred):
                deferred = Deferred.fromCoroutine(result) if iscoroutine(result) else result
                deferred.addErrback(self._undecided, session)
        driver.drain()

    def _undecided(self, failure: Failure, session: SignalingSession) -> None:
        """A handler failed. What it has left undecided will not be decided by anybody else."""
        if session.is_over and failure.check(*_ENDS):
            return
        session.failed(failure)
        if session.state is SignalingState.INCOMING:
            try:
                session.reject(500)
            except AlreadyResponded:
                # The caller gave up in the same moment.
                return

    # -- what the core says --------------------------------------------------------------------------------------------

    def effect(self, effect: InviteEffect) -> None:
        """What a dialog or an INVITE wants, or has to tell."""
        kind = type(effect)
        if kind is said.RequestWanted:
            self._run(cast("said.RequestWanted", effect))
        elif kind is said.RequestUnwanted:
            self.errands.withdraw(cast("said.RequestUnwanted", effect).errand)
        elif kind is said.AckWanted:
            wanted = cast("said.AckWanted", effect)
            endpoint = _endpoint_of(wanted.owner)
            if endpoint is not None:
                self.errands.acknowledge(wanted, endpoint)
        elif kind is said.InDialogRequestReceived:
            self._request_received(cast("said.InDialogRequestReceived", effect))
        else:
            if kind is said.UsageEnded:
                self.errands.dialog_ended(cast("said.UsageEnded", effect).owner.dialog)
            session = _session_of(cast("said.UsageEnded", effect).owner)
            if session is not None:
                _TELL[kind](session, effect)

    def _run(self, wanted: said.RequestWanted) -> None:
        errand = wanted.errand
        endpoint = _endpoint_of(errand.owner)
        if endpoint is None:
            # Its party is no more, and nobody else may speak for it.
            errand.owner.errand_failed(
                errand, EndpointTerminated("the endpoint was terminated"), self._manager.driver.now()
            )
            return
        session = _session_of(errand.owner)
        set_up = None if session is None else session.set_up
        if isinstance(set_up, Calling) and errand.purpose is said.Purpose.INVITE:
            self.errands.run(errand, endpoint, via=set_up.via, family=set_up.family)
        elif errand.plan.dialog is None and (life := _life_of(errand.owner)) is not None:
            self.errands.run(errand, endpoint, via=life.via, family=life.family)
        else:
            self.errands.run(errand, endpoint)

    def _request_received(self, output: said.InDialogRequestReceived) -> None:
        manager = self._manager
        now = manager.driver.now()
        profile = output.dialog.profile
        if profile is not None:
            cast("RealTimeEndpoint", profile.user).trust_domain.clean(
                output.request.headers, cast("LiveFlow", output.flow)
            )
        side = _SIDE_OF.get(output.request.method)
        if side is not None and self._event_received(output, side):
            return
        usage = output.dialog.user
        if usage is None:
            manager.core.answer(output.transaction, 481, now)
            return
        session = _session_of(usage)
        if usage.state is UsageState.CONFIRMED and not output.is_put_off and session is not None and session.set_up:
            # It came in one delivery with the ACK or the 2xx: that the session stands is said, and is to be told first.
            output.is_put_off = True
            manager.core.say(output)
            return
        is_done = usage.request_received(output, now)
        self.errands.heard(output.dialog)
        if is_done:
            return
        if session is None or session.state is SignalingState.DISCONNECTED:
            manager.core.answer(output.transaction, 481, now)
        elif output.request.method == "REFER" and referrals.received_in(session, output):
            return
        else:
            in_dialog.receive(session, output)

    def _event_received(self, output: said.InDialogRequestReceived, side: str) -> bool:
        """RFC 6665: a SUBSCRIBE or NOTIFY in a dialog is for the subscription that its Event names; return whether it
        has been dealt with. Where there is none, an application that has a session in the dialog may know it."""
        manager = self._manager
        value = output.request.headers.get("Event")
        try:
            event = None if value is None else parse_event(value)
        except MalformedMessage as error:
            manager.core.answer(output.transaction, error.status, manager.driver.now(), warning=error.reason)
            return True
        if event is not None and manager.lives.request_received(output, usage_name(side, event)):
            return True
        usage = output.dialog.user
        session = None if usage is None else _session_of(usage)
        if session is not None and session.hears("request_received"):
            return False
        profile = output.dialog.profile
        if side == NOTIFIER and profile is not None:
            # 4.5.2: peers of RFC 3265 subscribe in the dialog of a session.
            return cast("RealTimeEndpoint", profile.user).packages.received_in_dialog(output)
        if side == SUBSCRIBER:
            # 4.1.3: there is no such subscription, or none any more.
            manager.core.answer(output.transaction, 481, manager.driver.now())
            return True
        return False

    def ack_received(self, output: AckReceived) -> bool:
        """An ACK for a 2xx; returns whether it belongs to anybody."""
        dialog = output.dialog
        usage = None if dialog is None else dialog.user
        if usage is None:
            return False
        usage.ack_received(output.request, output.flow, self._manager.driver.now())
        self.errands.heard(usage.dialog)
        return True

    def abandoned(self, output: RequestAbandoned) -> None:
        """A request of a peer's ended before it was answered."""
        user = output.transaction.user
        if isinstance(user, ServerInvitation | InviteUsage):
            user.abandoned(output, self._manager.driver.now())

    # -- their end -----------------------------------------------------------------------------------------------------

    def terminate(self, endpoint: RealTimeEndpoint | None = None) -> None:
        """End all of them, or those of one party, politely; many of them one after the other (:mod:`.ending`)."""
        self._endings.end(tuple(self._live) if endpoint is None else self.of(endpoint))

    def abandon(self, endpoint: RealTimeEndpoint | None = None) -> None:
        """There is no time left: let go of all of them, or of those of one party."""
        error = EndpointTerminated("the endpoint was terminated")
        sessions = tuple(self._live) if endpoint is None else self.of(endpoint)
        endpoints = dict.fromkeys(session.endpoint for session in sessions) if endpoint is None else (endpoint,)
        for session in sessions:
            session.abandon(error)
        for each in endpoints:
            self.errands.end(each)
        self._manager.driver.drain()


def _session_of(owner: Any) -> SignalingSession | None:
    """The session that something in the core belongs to."""
    user = owner.user
    return user if isinstance(user, SignalingSession) else None


def _life_of(owner: Any) -> Subscription | Referral | Publication | None:
    """The subscription, referral or publication of ours that something in the core belongs to."""
    user = owner.user
    return user if isinstance(user, Subscription | Referral | Publication) else None


def _endpoint_of(owner: Any) -> RealTimeEndpoint | None:
    """The party that something in the core belongs to: a session, or what else lives."""
    user = owner.user
    return None if user is None else cast("RealTimeEndpoint", user.endpoint)


def _progress(session: SignalingSession, effect: said.Progress) -> None:
    if isinstance(session.set_up, Calling):
        session.set_up.progress(effect)


def _redirected(session: SignalingSession, effect: said.Redirected) -> None:
    if isinstance(session.set_up, Calling):
        session.set_up.redirected(effect)


def _accepted(session: SignalingSession, effect: said.Accepted) -> None:
    if isinstance(session.set_up, Calling):
        session.set_up.accepted(effect)


def _invitation_ended(session: SignalingSession, effect: said.InvitationEnded) -> None:
    if session.set_up is not None:
        session.set_up.ended(effect)


_TELL: dict[type, Any] = {
    said.Accepted: _accepted,
    said.AnswerReceived: exchange.receive_answer,
    said.Established: SignalingSession.established,
    said.InvitationEnded: _invitation_ended,
    said.ModificationEnded: exchange.change_ended,
    said.OfferReceived: exchange.receive_offer,
    said.OfferWithdrawn: exchange.withdraw_offer,
    said.Progress: _progress,
    said.Redirected: _redirected,
    said.RequestEnded: in_dialog.request_ended,
    said.UsageEnded: SignalingSession.usage_ended,
    said.UsageEnding: SignalingSession.usage_ending,
}
"""Whom each of the things that a session has to hear of is told."""
