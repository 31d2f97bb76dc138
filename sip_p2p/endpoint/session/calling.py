"""A session that we establish, from the wish to its outcome (rows H3, H7, H12, H15, H16, H28; RFC 3261 sections
8.1.3.4, 9.1 and 13.2).

What SIP has to say about it is :class:`~sip_p2p.sip.dialog.client_invitation.ClientInvitation`'s; here the application
is asked for its offer and for where to go when the peer is elsewhere, and told how it goes. Nothing of this is kept
once the session stands.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, TypedDict, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.session.events import InvitationAccepted, ProvisionalResponseReceived
from sip_p2p.endpoint.session.offers import ask, source_of, tell_source
from sip_p2p.endpoint.session.participant import EarlyDialog
from sip_p2p.endpoint.session.recovery import Recovery
from sip_p2p.endpoint.session.set_up import SetUp
from sip_p2p.endpoint.session.states import SignalingInput, SignalingState, SignalingTransitionReason, reason_of_error
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import InvalidOperation, RequestFailed, SessionTerminated
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.call_options import CallOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import Accepted, InvitationEnded, Progress, Redirected
    from sip_p2p.sip.dialog.references import Join, Replaces
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import SipUri
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.target import Target

__all__ = ["CallArguments", "Calling", "Redirecting", "check_arguments"]


class CallArguments(TypedDict, total=False):
    """What may be said of a call beside whom it is for.

    :ivar headers: further header fields of the INVITE.
    :ivar from_: another From than the owner's, if ``may_impersonate`` allows it (row A16).
    :ivar call_id: the Call-ID; by default a random one that names no host (row H2).
    :ivar max_ring: after how many seconds without an answer the call is given up (row H28): 600 by default, None for
        never.
    :ivar reliable: what is said of reliable provisional responses (RFC 3262): ``supported``, which is the default,
        ``required`` or ``off``.
    :ivar session_timer: how long the session may last without a sign of life (RFC 4028): half an hour by default, None
        for no such timer.
    :ivar max_redirects: how many redirections may follow one another: 5 by default; 0 makes a 3xx the outcome.
    :ivar automatic_ack: whether the ACK goes out by itself (row H15), as it does by default.
    :ivar via: send the INVITE there instead of where the target leads (row E22).
    :ivar family: which addresses may be used, and which come first (row E23).
    :ivar max_forwards: how many hops the INVITE may take, 0 to 255: 70 by default; who passes a call on gives one less
        than it came with (RFC 7332).
    :ivar recovery: what is done when the way to the peer is lost (row H32): ``Recovery.LIMITED`` by default.
    :ivar privacy: what is not to be known of us (RFC 3323): ``user`` or ``id`` for a call without a name, and what else
        there is; see :meth:`~sip_p2p.endpoint.endpoint.RealTimeEndpoint.request`.
    :ivar replaces: the session that this one is to take the place of (RFC 3891, row I9): one of ours with the same
        party, or what somebody has named.
    :ivar join: the session that this one is to be added to (RFC 3911), likewise.
    """

    headers: Iterable[tuple[str, str]]
    from_: str | SipUri | None
    call_id: str | None
    max_ring: float | None
    reliable: str
    session_timer: SessionTimerSettings | None
    max_redirects: int
    automatic_ack: bool
    via: Target | None
    family: AddressFamilyHint | str | None
    max_forwards: int
    recovery: Recovery
    privacy: str | Iterable[str] | None
    replaces: SignalingSession | Replaces | None
    join: SignalingSession | Join | None


def check_arguments(arguments: CallArguments) -> None:
    """What only a type checker would see is told here as well, before there is a session.

    :raises TypeError: for an argument that there is not, and for one of the wrong type.
    :raises ValueError: for a number of hops that cannot be.
    """
    unknown = arguments.keys() - CallArguments.__annotations__.keys()
    if unknown:
        raise TypeError(f"a call has no argument {', '.join(sorted(unknown))}")
    recovery, timer = arguments.get("recovery", Recovery.LIMITED), arguments.get("session_timer")
    if not isinstance(recovery, Recovery):
        raise TypeError(f"recovery is one of Recovery's, not {type(recovery).__name__}")
    if timer is not None and not isinstance(timer, SessionTimerSettings):
        raise TypeError(f"session_timer is SessionTimerSettings or None, not {type(timer).__name__}")
    if not 0 <= arguments.get("max_forwards", 70) <= 255:
        raise ValueError(f"a request takes between 0 and 255 hops, not {arguments['max_forwards']}")


@final
class Redirecting:
    """The peer is to be found elsewhere, and somebody has to say whether to go there (row H7).

    A handler of ``session.redirecting`` decides with :meth:`follow` or :meth:`give_up`, at once or, after
    :meth:`defer`, later; or it returns the targets to try, or a ``Deferred`` or coroutine of them. Where nobody
    decides, all targets are tried in the order of their preference. No decision outlasts the call's ``max_ring``; what
    a handler still does when the call is over is cancelled.

    :ivar response: the 3xx.
    :ivar targets: the URIs that it names and that may be tried, the preferred ones first.
    """

    __slots__ = ("_calling", "_waiting", "is_decided", "is_deferred", "response", "targets")

    def __init__(self, calling: Calling, response: Response, targets: list[str]) -> None:
        self._calling = calling
        self.response = response
        self.targets = tuple(targets)
        self.is_decided = False
        self.is_deferred = False
        self._waiting: list[Deferred[Any]] = []

    def defer(self) -> None:
        """Tell that the decision comes later."""
        self.is_deferred = True

    def follow(self, targets: Iterable[str] | None = None, *, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Try *targets*, one after the other; by default all that the peer named.

        :param headers: further header fields for these attempts.
        :raises InvalidOperation: when it has been decided, or the call is over.
        :raises ValueError: for a target that cannot be called.
        """
        self._decide()
        chosen = list(self.targets if targets is None else targets)
        try:
            self._calling.follow(chosen, application_fields(headers))
        except ValueError:
            self.is_decided = False
            raise

    def give_up(self) -> None:
        """Try none: the 3xx is the outcome.

        :raises InvalidOperation: when it has been decided, or the call is over.
        """
        self._decide()
        self._calling.give_up()

    def waits_for(self, decision: Deferred[Any]) -> None:
        """A handler decides later. The library's own."""
        self.is_deferred = True
        self._waiting.append(decision)

    def withdraw(self) -> None:
        """Nobody asks any more. The library's own."""
        self.is_decided = True
        waiting, self._waiting = self._waiting, []
        for decision in waiting:
            decision.cancel()

    def _decide(self) -> None:
        check_thread()
        if self.is_decided:
            raise InvalidOperation("it has been decided already where to go")
        self.is_decided = True


@final
class Calling(SetUp):
    """What a session that we establish has beside the session itself, until it stands.

    :ivar plan: what the INVITE is made of.
    :ivar via: where it is sent instead of where its target leads.
    :ivar family: which addresses may be used.
    :ivar invitation: the core's part, once there is one.
    """

    __slots__ = ("_descriptions", "_last_words", "_options", "_redirecting", "family", "invitation", "plan", "via")

    def __init__(
        self, plan: RequestPlan, options: CallOptions, via: Target | None, family: AddressFamilyHint | None
    ) -> None:
        super().__init__()
        self.plan = plan
        self.via = via
        self.family = family
        self._options = options
        self._redirecting: Redirecting | None = None
        # What is said at the end, where it was given up before anybody had heard whether it was accepted.
        self._last_words: list[tuple[str, str]] = []
        # What each branch has answered: only that of the one that wins counts in the end.
        self._descriptions: dict[InviteUsage, ContentDescription] = {}
        self.invitation: ClientInvitation | None = None

    def establish(self, session: SignalingSession, offer: Any) -> Deferred[SignalingSession]:
        """Call; see :meth:`.SignalingSession.establish`."""
        source = session.source = source_of(offer)
        done = self._done = Deferred(lambda _: session.give_up())
        session.become(SignalingInput.ESTABLISH, SignalingTransitionReason.NONE)
        if session.state is not SignalingState.DISCONNECTED:
            manager = session.endpoint.connection_manager
            asked = self._asked = ask(manager.reactor, manager.limits.answer_timeout, source.get_offer, session)
            asked.addCallback(self._invite).addErrback(self._no_offer)
        return done

    def _invite(self, description: ContentDescription | None) -> None:
        self._asked = None
        session = self._session
        if session is None:
            return
        plan = self.plan
        if description is not None:
            plan.body, plan.content_type = description.body, description.content_type
            if description.disposition:
                plan.fields.append(("Content-Disposition", description.disposition))
        manager = session.endpoint.connection_manager
        invitation = self.invitation = ClientInvitation(manager.core, plan, self._options, session)
        invitation.start(manager.driver.now())
        manager.driver.drain()

    def _no_offer(self, failure: Failure) -> None:
        """The application has none, or what it has cannot be sent: nothing was asked of anybody."""
        is_withdrawn = self._asked is None and failure.check(CancelledError) is not None
        self._asked = None
        if is_withdrawn:
            # The session ends, and says so by itself.
            return
        error = failure.value
        if self._session is not None and error is not None:
            self._fail(error, reason_of_error(error), None)

    # -- what the application decides ----------------------------------------------------------------------------------

    def follow(self, targets: list[str], fields: list[tuple[str, str]]) -> None:
        """Go where the redirection leads."""
        session, invitation = self._session, self.invitation
        if session is None or invitation is None:
            raise InvalidOperation("the call is over")
        driver = session.endpoint.connection_manager.driver
        invitation.follow(targets, driver.now(), fields)
        self._redirecting = None
        session.become(SignalingInput.FOLLOWED, SignalingTransitionReason.NONE)
        driver.drain()

    def give_up(self) -> None:
        """Do not."""
        session, invitation = self._session, self.invitation
        if session is None or invitation is None:
            raise InvalidOperation("the call is over")
        driver = session.endpoint.connection_manager.driver
        self._redirecting = None
        invitation.give_up(driver.now())
        driver.drain()

    def terminate(self, fields: list[tuple[str, str]]) -> bool:
        """The session is given up: CANCEL, or whatever that takes (section 9.1).

        :returns: whether the peer is still to be heard of.
        """
        session, invitation = self._session, self.invitation
        self.stop_asking()
        if session is None or invitation is None:
            return False
        driver = session.endpoint.connection_manager.driver
        if session.usage is not None:
            # Accepted, and not acknowledged yet.
            session.usage.bye(driver.now(), fields)
            return False
        invitation.cancel(driver.now(), fields)
        self._last_words = fields
        return True

    def _nobody_decides(self) -> None:
        redirecting, self._redirecting = self._redirecting, None
        if redirecting is not None and not redirecting.is_decided:
            redirecting.withdraw()

    def close(self) -> None:
        """Nothing more comes of it."""
        self._nobody_decides()
        super().close()

    # -- what the core tells -------------------------------------------------------------------------------------------

    def progress(self, effect: Progress) -> None:
        """A provisional response."""
        session = self._session
        if session is None or effect.response.status == 100 or session.state is SignalingState.DISCONNECTED:
            return
        reason = SignalingTransitionReason.PROVISIONAL_RESPONSE_RECEIVED
        session.become(SignalingInput.PROVISIONAL, reason, effect.response)
        if session.hears("provisional_response_received"):
            dialog = None if effect.usage is None else EarlyDialog(session, effect.usage)
            session.tell("provisional_response_received", ProvisionalResponseReceived(effect.response, dialog))
        if effect.is_new and effect.usage is not None and session.hears("forked") and self._branches > 1:
            session.tell("forked", EarlyDialog(session, effect.usage))

    @property
    def _branches(self) -> int:
        return 0 if self.invitation is None else len(self.invitation.usages)

    @property
    def early_usages(self) -> tuple[InviteUsage, ...]:
        """The early dialogs that live."""
        return () if self.invitation is None else tuple(self.invitation.usages.values())

    def redirected(self, effect: Redirected) -> None:
        """A 3xx: whoever wants to decide is asked."""
        session = self._session
        if session is None or session.state is SignalingState.DISCONNECTED:
            return
        redirecting = self._redirecting = Redirecting(self, effect.response, effect.contacts)
        session.become(SignalingInput.REDIRECTED, SignalingTransitionReason.NONE, effect.response)
        for handler in session.handlers("redirecting"):
            try:
                result: Any = handler(redirecting)
            except KeyboardInterrupt:
                raise
            except BaseException:
                session.failed(Failure())
                continue
            if iscoroutine(result) or isinstance(result, Deferred):
                deferred = Deferred.fromCoroutine(result) if iscoroutine(result) else result
                redirecting.waits_for(deferred)
                deferred.addCallback(self._decided, redirecting).addErrback(self._undecided, redirecting)
            elif result is not None:
                self._decided(result, redirecting)
        if not redirecting.is_deferred:
            self._decided(None, redirecting)

    def _decided(self, targets: Any, redirecting: Redirecting) -> None:
        session = self._session
        if session is None or session.is_over or redirecting.is_decided or self._redirecting is not redirecting:
            return
        try:
            chosen = redirecting.targets if targets is None else [str(target) for target in targets]
            if chosen:
                redirecting.follow(chosen)
            else:
                redirecting.give_up()
        except Exception:
            self._undecided(Failure(), redirecting)

    def _undecided(self, failure: Failure, redirecting: Redirecting) -> None:
        """A handler failed: the call goes nowhere else."""
        session = self._session
        if session is not None and not (session.is_over and failure.check(CancelledError)):
            session.failed(failure)
            if not session.is_over and not redirecting.is_decided and self._redirecting is redirecting:
                redirecting.give_up()

    def heard(self, usage: InviteUsage, description: ContentDescription) -> bool:
        """A branch answered, or offered what we have accepted; returns whether it had said just that, and was the last
        one that did."""
        session = self._session
        was_last = session is not None and session.remote_description == description
        is_known = was_last and self._descriptions.get(usage) == description
        self._descriptions[usage] = description
        return is_known

    def accepted(self, effect: Accepted) -> None:
        """A 2xx; the ACK is out, or waits for the application."""
        session = self._session
        if session is not None:
            session.usage = effect.owner
            if session.is_over:
                # It was given up after the 2xx had come, and before this was told (section 15).
                effect.owner.bye(session.endpoint.connection_manager.driver.now(), self._last_words)
                return
            description = self._descriptions.get(effect.owner)
            if description is not None and description != session.remote_description:
                session.remote_description = description
                tell_source(session, description)
            if session.hears("invitation_accepted"):
                session.tell("invitation_accepted", InvitationAccepted(session, effect.response))

    def ended(self, effect: InvitationEnded) -> None:
        """It came to nothing."""
        response, reason = effect.response, effect.reason
        if reason is None and response is not None and response.status >= 300:
            reason = RequestFailed(response)
        if reason is None:
            reason = SessionTerminated("the call was cancelled", SignalingTransitionReason.TERMINATED_LOCALLY.name)
        self._fail(reason, reason_of_error(reason), response)

    def _fail(self, error: BaseException, reason: SignalingTransitionReason, response: Response | None) -> None:
        session = self._session
        if session is not None:
            session.become(SignalingInput.ENDED, reason, response)
            self.settle(error)
            session.set_up_over()
