"""A subscription of ours, as an application sees it (rows J1 to J8; RFC 6665 section 4.1).

::

    subscription = await endpoint.subscribe("sip:bob@b.example", "presence")
    async for notification in subscription:
        ...

It lasts until somebody ends it: it is refreshed in time, finds another connection when one is lost, and where the
notifier ends it, or loses it, it is begun anew when the reason allows that. What the protocol has to say about all this
is :class:`~sip_p2p.sip.event.subscriber.Subscriber`'s and :mod:`~sip_p2p.sip.event.retrying`'s.

Long because it is one object of which an application sees all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.peer import Peer
from sip_p2p.endpoint.subscription.arguments import checked_body
from sip_p2p.endpoint.subscription.arrivals import Arrivals
from sip_p2p.endpoint.subscription.notification import Notification
from sip_p2p.endpoint.subscription.outcomes import assemble, error_of, left_early, settle
from sip_p2p.endpoint.subscription.states import SubscriptionState, SubscriptionStateChanged
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import (
    EndpointTerminated,
    InvalidOperation,
    SipError,
)
from sip_p2p.sip.event.retrying import BackOff, Retry, retry_of, wished_pause
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.event.subscribing import (
    Forked,
    NotifyReceived,
    SubscribeEnded,
    SubscribeKind,
    SubscriberState,
    SubscriptionEnding,
    SubscriptionOver,
)

if TYPE_CHECKING:
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.subscription.arguments import Assembler, Said, SubscribeTerms
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.uri import Uri
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.target import Target

__all__ = ["Subscription"]

_STEPS = 1000
_BETWEEN_REPAIRS = 30.0
_QUIET_ENDS = (SubscriptionEnding.LEFT, SubscriptionEnding.FETCHED)


@final
class Subscription:
    """One of the endpoint's subscriptions; :meth:`.RealTimeEndpoint.subscribe` makes it.

    It is an asynchronous iterator of its :class:`~.notification.Notification`\\ s: the iteration ends when the
    subscription does, and raises where that was a failure. What comes while nobody iterates waits, up to the bound that
    was given, unless :attr:`notification_received` has handlers.

    :ivar endpoint: whose it is.
    :ivar error: why it is over, or waits, where that is a failure; None otherwise.
    :ivar reason: the reason that the notifier gave last for an end; empty for none.
    :ivar state: where it stands.
    """

    __slots__ = (
        "_arrivals",
        "_back_off",
        "_changed",
        "_gone",
        "_is_fork",
        "_machine",
        "_notified",
        "_refreshes",
        "_repaired",
        "_started",
        "_terms",
        "_update",
        "endpoint",
        "error",
        "reason",
        "state",
    )

    kind = "subscriptions"

    def __init__(self, terms: SubscribeTerms, machine: Subscriber | None = None) -> None:
        """
        :param machine: that of a further notifier, whose NOTIFY has come; None for one that is to be started.
        """
        self.endpoint: RealTimeEndpoint = terms.endpoint
        self.state = SubscriptionState.IDLE if machine is None else SubscriptionState.SUBSCRIBING
        self.error: BaseException | None = None
        self.reason = ""
        self._terms = terms
        self._machine = machine
        self._is_fork = machine is not None
        self._arrivals: Arrivals | None = None
        self._back_off: BackOff | None = None
        self._changed: Event[SubscriptionStateChanged] | None = None
        self._notified: Event[Notification] | None = None
        self._started: Deferred[Subscription] | None = None
        self._gone: list[Deferred[None]] | None = None
        self._refreshes: dict[Errand, Deferred[Response]] | None = None
        # What is to be said next, and who waits for its outcome.
        self._update: tuple[Deferred[Response], Said | None] | None = None
        self._repaired = 0.0
        if machine is not None:
            machine.user = self
            self.endpoint.connection_manager.lives.add(self)

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def state_changed(self) -> Event[SubscriptionStateChanged]:
        """Told of each change of :attr:`state`, before anything else that comes of it."""
        if self._changed is None:
            self._changed = Event(log_bounds=self.endpoint.connection_manager.driver.log_bounds)
        return self._changed

    @property
    def notification_received(self) -> Event[Notification]:
        """Told of each notification (row J8)."""
        if self._notified is None:
            self._notified = Event(log_bounds=self.endpoint.connection_manager.driver.log_bounds)
        return self._notified

    @property
    def event(self) -> str:
        """The event, as our SUBSCRIBEs write it."""
        return str(self._terms.options.event)

    @property
    def target(self) -> Uri | None:
        """Whose state it is for; None in the dialog of a session."""
        return self._terms.target

    @property
    def is_pending(self) -> bool:
        """Whether the notifier has accepted it, and nobody has decided what it may know."""
        return self._machine is not None and self._machine.state is SubscriberState.PENDING

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state is SubscriptionState.TERMINATED

    @property
    def expires(self) -> float | None:
        """In how many seconds it ends unless it is refreshed; None while it does not stand."""
        machine = self._machine
        if machine is None or machine.expires_at is None:
            return None
        return max(0.0, machine.expires_at - self.endpoint.connection_manager.driver.now())

    @property
    def peer(self) -> Peer | None:
        """Who is at the end of the flow by which the notifier was heard last; None while there is none. Behind a proxy
        that is the proxy."""
        flow = self.flow
        return None if flow is None else Peer(cast("LiveFlow", flow))

    @property
    def flow(self) -> Flow | None:
        """By what the notifier was heard last; None while there is nothing."""
        return None if self._dialog is None else self._dialog.flow

    @property
    def remote_uri(self) -> Uri | None:
        """The address that the notifier gives itself: a claim, unless :attr:`peer` proves it; None before its first
        NOTIFY."""
        return None if self._dialog is None else self._dialog.remote_uri

    @property
    def assembler(self) -> Assembler | None:
        """The whole state, where notifications say only what has changed: a
        :class:`~sip_p2p.documents.dialog_info.DialogTable` for ``dialog``, or what was given."""
        return self._terms.assembler

    @property
    def waiting(self) -> int:
        """How many notifications wait to be taken."""
        return 0 if self._arrivals is None else len(self._arrivals)

    @property
    def dropped(self) -> int:
        """How many notifications were given up because nobody took them in time."""
        return 0 if self._arrivals is None else self._arrivals.dropped

    @property
    def via(self) -> Target | None:
        """Where its first SUBSCRIBE goes, if not where the target leads (row E22)."""
        return self._terms.via

    @property
    def family(self) -> AddressFamilyHint | None:
        """Which addresses its first SUBSCRIBE may use; None for those of the endpoint."""
        return self._terms.family

    @property
    def _dialog(self) -> Dialog | None:
        return None if self._machine is None else self._machine.dialog

    # -- what the application does -------------------------------------------------------------------------------------

    def start(self) -> Deferred[Subscription]:
        """Ask for it.

        :returns: fires with it at the first NOTIFY that lets it stand, :attr:`is_pending` or not. Fails with
            :class:`~sip_p2p.errors.RequestFailed`, :class:`~sip_p2p.errors.SubscriptionTerminated`,
            :class:`~sip_p2p.errors.OperationTimeout`, :class:`~sip_p2p.errors.ConnectionFailure` or
            :class:`~sip_p2p.errors.EndpointTerminated`. Cancelling it ends the subscription.
        :raises InvalidOperation: the second time.
        :raises EndpointTerminated: when the endpoint was terminated.
        """
        self._check_idle()
        plan = self._terms.plan()
        manager = self.endpoint.connection_manager
        manager.lives.add(self)
        started = self._started = Deferred(self._cancelled)
        self._begin(plan)
        manager.driver.drain()
        return started

    def start_in(self, dialog: Dialog) -> Deferred[Subscription]:
        """Ask for it in *dialog*, that of a session; see :meth:`start`. It ends with that dialog.

        :raises InvalidOperation: also when the dialog has the same subscription already.
        """
        self._check_idle()
        manager = self.endpoint.connection_manager
        machine = self._make_machine()
        machine.start_in(dialog, manager.driver.now())
        self._machine = machine
        manager.lives.add(self)
        started = self._started = Deferred(self._cancelled)
        self._become(SubscriptionState.SUBSCRIBING)
        manager.driver.drain()
        return started

    def _check_idle(self) -> None:
        check_thread()
        if self.state is not SubscriptionState.IDLE:
            raise InvalidOperation("a subscription is started once")

    def refresh(self, body: str | bytes | None = None, content_type: str | None = None) -> Deferred[Response]:
        """Send a SUBSCRIBE now: to have the whole state again, or to say something else, such as another filter (row
        J7). It waits for a SUBSCRIBE that is under way: also for the first one, whose answer the first NOTIFY may have
        overtaken.

        :param body: what it says; None for what a refresh says.
        :returns: fires with the 2xx. Fails with :class:`~sip_p2p.errors.RequestFailed` and the other errors of a
            request; the subscription goes on then, unless it is over. Cancelling it while it waits leaves it unsent.
        :raises InvalidOperation: while it does not stand; and, to be tried again, while another refresh waits already.
        :raises ValueError: for octets that do not say what they are.
        """
        check_thread()
        machine = self._machine
        if machine is None or self.state is not SubscriptionState.SUBSCRIBED:
            raise InvalidOperation("a subscription is refreshed while it stands")
        said = None if body is None else checked_body(body, content_type)
        if machine.is_asking:
            if self._update is not None:
                raise InvalidOperation("a refresh waits already for the SUBSCRIBE that is under way", retryable=True)
            waiting: Deferred[Response] = Deferred(self._forget_update)
            self._update = waiting, said
            return waiting
        done: Deferred[Response] = Deferred()
        self._send_update(machine, done, said)
        self.endpoint.connection_manager.driver.drain()
        return done

    def _send_update(self, machine: Subscriber, done: Deferred[Response], said: Said | None) -> None:
        self._terms.update = said
        errand = machine.refresh(self.endpoint.connection_manager.driver.now(), SubscribeKind.UPDATE)
        if errand is None:
            raise InvalidOperation("the dialog has no sequence number left (RFC 3261 section 8.1.1.5)")
        if self._refreshes is None:
            self._refreshes = {}
        self._refreshes[errand] = done

    def _forget_update(self, waiting: Deferred[Response]) -> None:
        """Nobody wants it any more: it is not sent."""
        if self._update is not None and self._update[0] is waiting:
            self._update = None

    def terminate(self) -> Deferred[None]:
        """End it (row J2): with a SUBSCRIBE that says so, where it stands, once the one under way was answered.

        :returns: fires when nothing more is to be said to the notifier, or to be expected of it; never fails. It may be
            called any number of times.
        """
        check_thread()
        if self.is_over:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        if self._gone is None:
            self._gone = []
        self._gone.append(gone)
        self.end()
        return gone

    def __aiter__(self) -> Subscription:
        return self

    def __anext__(self) -> Deferred[Notification]:
        """The next notification, as soon as it is there."""
        return self._queue().take()

    # -- what its party and its machine do -----------------------------------------------------------------------------

    def end(self) -> None:
        """End it politely; called by the party as well."""
        manager = self.endpoint.connection_manager
        machine = self._machine
        if machine is not None and self.state is not SubscriptionState.TERMINATING:
            self._become(SubscriptionState.TERMINATING)
            machine.leave(manager.driver.now())
            manager.driver.drain()
        elif machine is None and not self.is_over:
            manager.core.appointments.set(self, None)
            self._finish(None)

    def abandon(self, error: EndpointTerminated) -> None:
        """There is no time left; called by the party."""
        machine = self._machine
        if machine is not None:
            dialog = machine.dialog
            machine.abandon()
            self._release(dialog)
        self.endpoint.connection_manager.core.appointments.set(self, None)
        self._finish(error)

    def take(self, effect: Any) -> None:
        """Something that its machine says."""
        kind = type(effect)
        if kind is NotifyReceived:
            self._notify_received(effect)
        elif kind is SubscriptionOver:
            self._over(effect)
        elif kind is SubscribeEnded:
            self._subscribe_ended(effect)
        elif kind is Forked:
            self._forked(effect)

    def handle_timer(self, now: float) -> None:
        """It is time to begin anew."""
        if self.state is not SubscriptionState.WAITING_FOR_RETRY:
            return
        try:
            plan = self._terms.plan()
        except SipError as error:
            # may_impersonate has come to another opinion.
            self._finish(error)
            return
        self._begin(plan)

    def _cancelled(self, _: Deferred[Subscription]) -> None:
        """Nobody waits for its beginning any more."""
        self._started = None
        self.end()

    def _make_machine(self) -> Subscriber:
        manager, terms = self.endpoint.connection_manager, self._terms
        machine = Subscriber(manager.core, self.endpoint.profile, terms.options, terms)
        machine.user = self
        return machine

    def _begin(self, plan: RequestPlan) -> None:
        machine = self._machine = self._make_machine()
        if self._terms.assembler is not None:
            self._terms.assembler.reset()
        self._become(SubscriptionState.SUBSCRIBING)
        if machine.state is SubscriberState.IDLE:
            # Nobody has ended it meanwhile.
            machine.start(plan, self.endpoint.connection_manager.driver.now())

    def _queue(self) -> Arrivals:
        if self._arrivals is None:
            self._arrivals = Arrivals(self._terms.queue)
            if self.is_over:
                self._arrivals.end(self.error)
        return self._arrivals

    def _notify_received(self, effect: NotifyReceived) -> None:
        value = effect.value
        notification = Notification(effect.request, value, self._terms.decoders)
        if not value.is_terminated and self.state is SubscriptionState.SUBSCRIBING:
            if self._back_off is not None:
                self._back_off.stood(self.endpoint.connection_manager.driver.now())
            self.error = None
            self._become(SubscriptionState.SUBSCRIBED)
        now = self.endpoint.connection_manager.driver.now()
        is_missing = self._terms.assembler is not None and not assemble(self._terms, notification)
        if is_missing and self._machine is not None:
            # RFC 5839 section 5.2: the state that it names is not here.
            self._machine.etag = ""
            if now >= self._repaired:
                # RFC 4235 section 4.3: a document is missing, and the whole is asked for.
                self._repaired = now + _BETWEEN_REPAIRS
                self._machine.refresh(now, SubscribeKind.UPDATE)
        self._tell(notification)
        started, self._started = self._started, None
        if started is not None:
            if value.is_terminated:
                self._started = started
            else:
                started.callback(self)

    def _tell(self, notification: Notification) -> None:
        """Give it to whoever listens, and to whoever iterates."""
        lives = self.endpoint.connection_manager.lives
        if lives.notified:
            lives.notified.tell((self, notification))
        has_handlers = bool(self._notified)
        is_queued = not has_handlers or (self._arrivals is not None and self._arrivals.is_read)
        if is_queued and not self._queue().put(notification):
            self.endpoint.connection_manager.keeper.limit_hit("notification_queue")
        if self._notified is not None and has_handlers:
            self._notified.tell(notification)

    def _subscribe_ended(self, effect: SubscribeEnded) -> None:
        if effect.kind is SubscribeKind.UPDATE:
            self._terms.update = None
        done = None if self._refreshes is None else self._refreshes.pop(effect.errand, None)
        self._refreshes = self._refreshes or None
        self._maybe_update()
        if done is not None:
            settle(done, effect.response, effect.reason)

    def _maybe_update(self) -> None:
        """Send the refresh that waits, if nothing is under way any more."""
        update, machine = self._update, self._machine
        if update is None or machine is None or machine.is_asking or self.state is not SubscriptionState.SUBSCRIBED:
            return
        self._update = None
        try:
            self._send_update(machine, *update)
        except InvalidOperation:
            update[0].errback(Failure())

    def _forked(self, effect: Forked) -> None:
        fork = Subscription(self._terms, effect.subscriber)
        try:
            if self._terms.forked is not None:
                self._terms.forked(fork)
        except Exception:
            self.endpoint.connection_manager.dispatch.handler_failed("NOTIFY", Failure())

    # -- its end -------------------------------------------------------------------------------------------------------

    def _over(self, over: SubscriptionOver) -> None:
        """Its machine is over: it is begun anew, or ends."""
        has_stood = self.state is SubscriptionState.SUBSCRIBED
        is_left = self.state is SubscriptionState.TERMINATING
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.user = None
        self._release(over.dialog)
        if over.value is not None:
            self.reason = over.value.reason
        error = None if is_left or over.ending in _QUIET_ENDS else error_of(over)
        self._settle_refreshes(error)
        retry = Retry.NEVER if is_left else self._retry_of(over, has_stood)
        if retry is Retry.NEVER:
            self._finish(error)
            return
        manager = self.endpoint.connection_manager
        if self._back_off is None:
            self._back_off = BackOff()
            if has_stood:
                self._back_off.stood(float("-inf"))
        now = manager.driver.now()
        chance = manager.core.tokens.number(_STEPS) / _STEPS
        pause = self._back_off.pause(retry, wished_pause(over), now, chance)
        self.error = error
        manager.core.appointments.set(self, now + pause)
        self._become(SubscriptionState.WAITING_FOR_RETRY)

    def _retry_of(self, over: SubscriptionOver, has_stood: bool) -> Retry:
        wanted = self._terms.retry
        is_wanted = wanted == "always" or (wanted == "established" and self._started is None)
        if not is_wanted or self._is_fork or self.endpoint.is_terminated:
            # A fork that began anew would reach all the others as well.
            return Retry.NEVER
        return retry_of(over, has_stood=has_stood)

    def _release(self, dialog: Dialog | None) -> None:
        """Hold the flow of *dialog* no longer, if nothing else does."""
        if dialog is not None and dialog not in (manager := self.endpoint.connection_manager).core.dialogs:
            manager.sessions.errands.dialog_ended(dialog)

    def _settle_refreshes(self, error: BaseException | None) -> None:
        refreshes, self._refreshes = self._refreshes, None
        update, self._update = self._update, None
        for done in (*(refreshes or {}).values(), *(update or ())[:1]):
            if not done.called:
                done.errback(Failure(error or InvalidOperation("the subscription has ended")))

    def _finish(self, error: BaseException | None) -> None:
        if self.is_over:
            return
        if self._machine is not None:
            self._machine.user = None
            self._machine = None
        self.error = error
        self._settle_refreshes(error)
        self._become(SubscriptionState.TERMINATED)
        if self._arrivals is not None:
            self._arrivals.end(error)
        started, self._started = self._started, None
        gone, self._gone = self._gone, None
        self.endpoint.connection_manager.lives.gone(self)
        if started is not None and not started.called:
            if error is None and not self._terms.options.expires and self._arrivals:
                started.callback(self)
            else:
                started.errback(Failure(error or left_early(self.endpoint)))
        for waiting in gone or ():
            waiting.callback(None)

    def _become(self, state: SubscriptionState) -> None:
        previous, self.state = self.state, state
        lives = self.endpoint.connection_manager.lives
        if lives.changed:
            lives.changed.tell(self)
        if self._changed is not None and previous is not state:
            self._changed.tell(SubscriptionStateChanged(previous, state, self.reason, self.error))

    def __repr__(self) -> str:
        return f"<Subscription to {self.event} of {self.target} {self.state.name}>"
