"""A REFER of ours, as an application sees it: what the peer tells of the request that it makes for us (rows I1 to I4,
I8, L16; RFC 3515, RFC 4488, RFC 7614)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sip_p2p.documents.sipfrag import SipFragment
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.endpoint.transfer.explicit import events_uri
from sip_p2p.endpoint.transfer.states import ReferProgress, ReferStatus, status_of
from sip_p2p.errors import (
    InvalidOperation,
    MalformedDocument,
    OperationTimeout,
    RequestFailed,
    SessionTerminated,
    SipError,
)
from sip_p2p.sip.event.referring import ReferAnswered, Referrer, ReferrerState, unheard_referral
from sip_p2p.sip.event.subscribing import NotifyReceived, SubscriptionOver
from sip_p2p.sip.message import Response
from sip_p2p.sip.privacy import ANONYMOUS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.errors import EndpointTerminated
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.event.refer import ReferTo
    from sip_p2p.sip.flow import Flow
    from sip_p2p.transport.target import Target

__all__ = ["MOST_KEPT", "MOST_WAITING", "Referral"]

MOST_KEPT = 32
"""How many reports of one referral wait to be looked at; of more, the oldest is given up."""

MOST_WAITING = 32
"""How many REFERs of one dialog wait for the first one to be told of; a further one is refused."""


@final
class Referral:
    """A REFER that asks a peer to make a request for us.

    It is an asynchronous iterator of :class:`~.states.ReferProgress`, and ends with the outcome, or when nothing more
    will be told.

    :ivar endpoint: who refers.
    :ivar refer_to: what the peer is to ask for, and of whom.
    :ivar status: how far it is.
    :ivar outcome: the last report, once it is final; None before, and where it was never told.
    :ivar lost: how many reports were given up because nobody looked at them.
    :ivar response: the peer's final response to the REFER; None before.
    :ivar via: where the REFER goes instead of where it leads; None for nowhere else.
    """

    __slots__ = (
        "_accepted", "_changed", "_final", "_followers", "_in_dialog", "_is_nobody", "_reader", "_referrer", "_reports",
        "endpoint", "lost", "outcome", "refer_to", "response", "status", "via",
    )  # fmt: skip

    kind = "referrals"
    family = None

    def __init__(
        self, endpoint: RealTimeEndpoint, refer_to: ReferTo, subscription: str = "wanted", is_nobody: bool = False
    ) -> None:
        """
        :param subscription: as for :class:`~.referring.ReferArguments`.
        :param is_nobody: whether it is for a session in which we have no name.
        """
        manager = endpoint.connection_manager
        self.endpoint = endpoint
        self.refer_to = refer_to
        self.status = ReferStatus.IDLE
        self.outcome: ReferProgress | None = None
        self.lost = 0
        self.response: Response | None = None
        self.via: Target | None = None
        self._referrer: Referrer | None = Referrer(
            manager.core,
            endpoint.profile,
            self,
            wants_notifications=subscription in ("wanted", "unwanted"),
            is_explicit=subscription == "explicit",
        )
        self._is_nobody = is_nobody
        self._accepted: Deferred[Referral] | None = None
        self._final: list[Deferred[ReferProgress]] = []
        self._reports: deque[ReferProgress] = deque()
        self._reader: Deferred[ReferProgress | None] | None = None
        self._changed: Event[Referral] | None = None
        # What waits until the first NOTIFY of this one: the dialog, and what the REFERs say.
        self._followers: list[Referral] = []
        self._in_dialog: tuple[Dialog, list[tuple[str, str]]] | None = None

    # -- how it goes out -----------------------------------------------------------------------------------------------

    def start(self, plan: RequestPlan, via: Target | None) -> Deferred[Referral]:
        """Refer with *plan*, outside of a dialog. The library's own.

        :param via: send it there instead of where its Request-URI leads.
        :returns: fires with this referral when the peer has accepted it.
        """
        referrer = self._unbegun()
        self.via = via
        done = self._begin()
        self._become(ReferStatus.REFERRING)
        referrer.start(plan)
        self.endpoint.connection_manager.driver.drain()
        return done

    def start_in(self, dialog: Dialog, fields: list[tuple[str, str]]) -> Deferred[Referral]:
        """Refer in *dialog*, as soon as no other referral there waits to be told of (row I3). The library's own.

        :raises InvalidOperation: when too many wait already, or the session of the dialog is over.
        """
        before = unheard_referral(dialog)
        if isinstance(before, Referral):
            if len(before._followers) >= MOST_WAITING:
                raise InvalidOperation("too many REFERs wait for the first one to be told of", retryable=True)
            done = self._begin()
            self._in_dialog = (dialog, fields)
            before._followers.append(self)
            self._become(ReferStatus.WAITING)
            return done
        driver = self.endpoint.connection_manager.driver
        self._unbegun().start_in(dialog, fields)
        done = self._begin()
        self._become(ReferStatus.REFERRING)
        driver.drain()
        return done

    def _unbegun(self) -> Referrer:
        referrer = self._referrer
        if referrer is None:
            raise InvalidOperation("a referral is made once")
        return referrer

    def _begin(self) -> Deferred[Referral]:
        self.endpoint.connection_manager.lives.add(self)
        done = self._accepted = Deferred(self._cancelled)
        return done

    def _cancelled(self, _: Deferred[Referral]) -> None:
        """Nobody waits for it to be accepted any more."""
        self._accepted = None
        self.stop()

    def _follow(self) -> None:
        """The one before it has been told of, or never will be."""
        waiting, self._in_dialog = self._in_dialog, None
        referrer = self._referrer
        if waiting is None or referrer is None:
            return
        dialog, fields = waiting
        before = unheard_referral(dialog)
        if isinstance(before, Referral):
            self._in_dialog = waiting
            before._followers.append(self)
            return
        if dialog not in self.endpoint.connection_manager.core.dialogs:
            self._failed(SessionTerminated("the dialog ended before the REFER could be sent", "TERMINATED"))
            return
        try:
            referrer.start_in(dialog, fields)
        except InvalidOperation as error:
            self._failed(error)
            return
        self._become(ReferStatus.REFERRING)

    # -- what an application sees --------------------------------------------------------------------------------------

    @property
    def status_changed(self) -> Event[Referral]:
        """Told of this referral whenever :attr:`status` is another one."""
        if self._changed is None:
            self._changed = Event(log_bounds=self.endpoint.connection_manager.driver.log_bounds)
        return self._changed

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be told."""
        return self.status.is_final

    def when_final(self) -> Deferred[ReferProgress]:
        """Fires with the outcome, a 2xx. Fails with :class:`~sip_p2p.errors.RequestFailed` where the request that the
        peer made was refused, and with :class:`~sip_p2p.errors.OperationTimeout` where nobody said what became of
        it."""
        waiting: Deferred[ReferProgress] = Deferred(self._forget)
        self._final.append(waiting)
        if self.is_over:
            self._settle(None)
        return waiting

    def stop(self) -> None:
        """Hear no more of it (row I4): the subscription is ended, what the peer was asked for is not. Nothing happens
        where it is over."""
        check_thread()
        referrer = self._referrer
        if referrer is None:
            return
        driver = self.endpoint.connection_manager.driver
        referrer.stop(driver.now())
        self._over(SessionTerminated("the referral was stopped", "TERMINATED_LOCALLY"))
        driver.drain()

    def __aiter__(self) -> AsyncIterator[ReferProgress]:
        return self

    async def __anext__(self) -> ReferProgress:
        if self._reports:
            return self._reports.popleft()
        if self.is_over or self._referrer is None:
            raise StopAsyncIteration
        if self._reader is not None:
            raise InvalidOperation("somebody waits for the next report of this referral already")
        self._reader = Deferred(self._unread)
        report = await self._reader
        if report is None:
            raise StopAsyncIteration
        return report

    def _unread(self, _: object) -> None:
        self._reader = None

    def _forget(self, waiting: Deferred[ReferProgress]) -> None:
        if waiting in self._final:
            self._final.remove(waiting)

    # -- its life ------------------------------------------------------------------------------------------------------

    @property
    def flow(self) -> Flow | None:
        """By what the peer was heard last; None where it does not tell what becomes of it."""
        subscriber = None if self._referrer is None else self._referrer.subscriber
        dialog = None if subscriber is None else subscriber.dialog
        return None if dialog is None else dialog.flow

    def end(self) -> None:
        """Its party ends."""
        self.stop()

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left."""
        referrer = self._referrer
        if referrer is not None:
            subscriber = referrer.subscriber
            dialog = None if subscriber is None else subscriber.dialog
            referrer.abandon()
            self._leave(dialog)
            self._over(error)

    def take(self, effect: Any) -> None:
        """What its machines say."""
        if isinstance(effect, SubscriptionOver):
            self._leave(effect.dialog)
        if self._referrer is None:
            return
        if isinstance(effect, ReferAnswered):
            self._answered(effect)
        elif isinstance(effect, NotifyReceived):
            self._notified(effect)
        elif isinstance(effect, SubscriptionOver):
            self._referrer.subscription_over()
            if self._accepted is None:
                # Otherwise the last NOTIFY has overtaken the answer to the REFER.
                self._over(_why(effect))
        self._release()

    def _answered(self, effect: ReferAnswered) -> None:
        response, self.response = effect.response, effect.response
        if response is None or response.status >= 300:
            error = effect.reason
            if error is None and response is not None:
                error = RequestFailed(response)
            self._leave(effect.dialog)
            self._failed(error or OperationTimeout("no final response to REFER"))
            return
        accepted, self._accepted = self._accepted, None
        if self.status is ReferStatus.REFERRING:
            self._become(ReferStatus.ACCEPTED)
        referrer = self._referrer
        if referrer is not None and referrer.state is ReferrerState.ANSWERED:
            self._subscribe(referrer, effect)
        elif not effect.is_subscribed or referrer is None or referrer.subscriber is None:
            # There is no subscription, or its last NOTIFY has overtaken this answer.
            self._leave(effect.dialog)
            self._over(OperationTimeout("the peer does not tell what becomes of the referral"))
        if accepted is not None and not accepted.called:
            accepted.callback(self)

    def _subscribe(self, referrer: Referrer, effect: ReferAnswered) -> None:
        """RFC 7614: what becomes of it is told to whoever subscribes where the answer says."""
        endpoint, now = self.endpoint, self.endpoint.connection_manager.driver.now()
        self._leave(effect.dialog)
        try:
            uri = events_uri(effect.response, effect.flow)
            from_ = ANONYMOUS if self._is_nobody else None
            # Where that leads nowhere is told before anything is done.
            endpoint.first_hop(endpoint.compose("SUBSCRIBE", uri, from_=from_), self.via)
            plan = endpoint.compose("SUBSCRIBE", uri, from_=from_)
        except (SipError, ValueError) as error:
            referrer.stop(now)
            self._over(error)
            return
        referrer.subscribe(plan, now)

    def _failed(self, error: BaseException) -> None:
        """The REFER came to nothing."""
        self._become(ReferStatus.FAILED)
        self._over(error)

    def _notified(self, effect: NotifyReceived) -> None:
        request = effect.request
        try:
            fragment = SipFragment.parse(request.body) if request.body else SipFragment()
        except MalformedDocument:
            # It says how the subscription stands, and nothing that could be read of the referral.
            return
        if fragment.status is None:
            return
        report = ReferProgress(fragment.status, fragment.reason, request.body, effect.value)
        if self.outcome is not None:
            # Nothing comes after the outcome.
            return
        if report.is_final:
            self.outcome = report
        reader, self._reader = self._reader, None
        if reader is not None and not reader.called:
            reader.callback(report)
        else:
            if len(self._reports) >= MOST_KEPT:
                self._reports.popleft()
                self.lost += 1
            self._reports.append(report)
        self._become(status_of(report.status))
        if report.is_final:
            self._settle(None)

    def _release(self) -> None:
        """Those that wait for this one to be told of, if they need not wait any longer."""
        if not self._followers or (self._in_dialog is None and self._is_unheard):
            return
        followers, self._followers = self._followers, []
        for follower in followers:
            follower._follow()

    @property
    def _is_unheard(self) -> bool:
        subscriber = None if self._referrer is None else self._referrer.subscriber
        return subscriber is not None and subscriber.dialog is not None and unheard_referral(subscriber.dialog) is self

    def _leave(self, dialog: Dialog | None) -> None:
        """Hold the flow of *dialog* no longer, if nothing else uses it."""
        manager = self.endpoint.connection_manager
        if dialog is not None and dialog not in manager.core.dialogs:
            manager.sessions.errands.dialog_ended(dialog)

    def _become(self, status: ReferStatus) -> None:
        if status is self.status:
            return
        self.status = status
        lives = self.endpoint.connection_manager.lives
        if lives.changed:
            lives.changed.tell(self)
        if self._changed is not None:
            self._changed.tell(self)

    def _settle(self, error: BaseException | None) -> None:
        """Whoever waits for the outcome has it."""
        outcome = self.outcome
        if outcome is not None and outcome.status >= 300:
            error = RequestFailed(Response(outcome.status, outcome.reason))
        elif outcome is None and error is None:
            error = OperationTimeout("nobody said what became of the referral")
        final, self._final = self._final, []
        for waiting in final:
            if outcome is not None and outcome.status < 300:
                waiting.callback(outcome)
            else:
                waiting.errback(Failure(error))

    def _over(self, error: BaseException) -> None:
        """Nothing more comes of it."""
        self._referrer = None
        self._in_dialog = None
        if not self.is_over:
            self._become(ReferStatus.TERMINATED)
        self.endpoint.connection_manager.lives.gone(self)
        self._release()
        accepted, self._accepted = self._accepted, None
        if accepted is not None and not accepted.called:
            accepted.errback(Failure(error))
        self._settle(error)
        reader, self._reader = self._reader, None
        if reader is not None and not reader.called:
            reader.callback(None)

    def __repr__(self) -> str:
        return f"<Referral {self.status.name} to {self.refer_to.uri}>"


def _why(over: SubscriptionOver) -> BaseException:
    """Why nothing more will be told."""
    if over.response is not None and over.response.status >= 300:
        return RequestFailed(over.response)
    return over.reason or OperationTimeout("nobody said what became of the referral")
