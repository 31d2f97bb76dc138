"""A subscription of ours, from the SUBSCRIBE to the last NOTIFY (RFC 6665 section 4.1; rows J1 to J4 and J10).

::

    IDLE --SUBSCRIBE--> NOTIFY_WAIT --NOTIFY--> PENDING --NOTIFY--> ACTIVE --Expires: 0--> ENDING
                             |                     |                  |                      |
                             +---------------------+------------------+--> TERMINATED <------+

One object is one usage of one dialog. A subscription that is begun anew is another one: when, and whether, is judged
by :mod:`.retrying`. The subscription that REFER gives rise to has no SUBSCRIBE to begin with (:meth:`Subscriber.expect`
and :meth:`Subscriber.expect_in`), and is the same from then on.

One deviation: Timer N (64*T1, section 4.1.2) runs from the 2xx rather than from the SUBSCRIBE, since the time that was
needed to find a way to the notifier is not the notifier's. Until the 2xx, the SUBSCRIBE's own transaction limits it.

Left out: what a notification says. Long because it is one machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage, OperationTimeout
from sip_p2p.sip.abnf import is_token
from sip_p2p.sip.accept import is_acceptable
from sip_p2p.sip.body import parse_media_type
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import Errand, Purpose, RequestUnwanted, RequestWanted
from sip_p2p.sip.dialog.outcomes import end_dialog
from sip_p2p.sip.dialog.reach import Reach, reach_of
from sip_p2p.sip.event.first_notify import Asked
from sip_p2p.sip.event.subscribing import (
    Forked,
    NotifyReceived,
    SubscribeEnded,
    SubscribeKind,
    SubscriberState,
    SubscriptionEnding,
    SubscriptionOver,
)
from sip_p2p.sip.event.subscription_state import PENDING, parse_subscription_state
from sip_p2p.sip.event.usage import SUBSCRIBER, usage_name
from sip_p2p.sip.fields import parse_event
from sip_p2p.sip.readings import seconds_of
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.event.subscribing import SubscribeComposer, SubscriberOptions
    from sip_p2p.sip.event.subscription_state import SubscriptionStateValue
    from sip_p2p.sip.fields import EventValue
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Subscriber"]

_LONGEST_MARGIN = 900.0
_LEAST_PAUSE = 1.0
_LONGEST_EXPIRES = 2**31
_LONGEST_TAG = 256
_STANDS = (SubscriberState.PENDING, SubscriberState.ACTIVE)

_NOTHING_TO_KNOW = frozenset(("deactivated", "giveup", "noresource", "probation", "rejected"))
"""4.1.3: the reasons that leave a fetch without a state. With ``invariant`` it is there, and a reason that nobody knows
is as none."""

_FATAL = frozenset((404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604))
"""4.1.2.2: the answers to a SUBSCRIBE in the dialog that end the subscription; others leave it until it expires."""


@final
class _Asking:
    """A SUBSCRIBE under way.

    :ivar errand: the request.
    :ivar kind: what it is for.
    :ivar expires: the seconds that it asks for.
    :ivar has_grown: whether a 423 has made these more.
    :ivar is_dated: whether one that has come says how long the subscription holds.
    :ivar is_notified: whether a NOTIFY has come since it went out.
    """

    __slots__ = ("errand", "expires", "has_grown", "is_dated", "is_notified", "kind")

    def __init__(self, errand: Errand, kind: SubscribeKind, expires: int, has_grown: bool) -> None:
        self.errand = errand
        self.kind = kind
        self.expires = expires
        self.has_grown = has_grown
        self.is_dated = False
        self.is_notified = False


@final
class Subscriber:
    """The subscriber's side of one subscription.

    :ivar core: whose machine it is.
    :ivar profile: whose subscription it is.
    :ivar options: what is the same for all its SUBSCRIBEs.
    :ivar event: what Event says in our SUBSCRIBEs; what the notifier has made of it where the two may differ.
    :ivar state: where it stands.
    :ivar dialog: its dialog; None before the first NOTIFY, and when it is over.
    :ivar expires_at: when it ends unless it is refreshed; None while that is not known.
    :ivar etag: the SIP-ETag of the last NOTIFY that had one (RFC 5839); empty for none.
    :ivar user: whatever the facade put there.
    """

    __slots__ = (
        "_asked",
        "_asking",
        "_burst",
        "_burst_ends",
        "_composer",
        "_forks",
        "_forks_until",
        "_most",
        "_names",
        "_notify_until",
        "_refresh_at",
        "core",
        "dialog",
        "etag",
        "event",
        "expires_at",
        "options",
        "profile",
        "state",
        "user",
    )

    def __init__(
        self,
        core: UserAgentCore,
        profile: Profile,
        options: SubscriberOptions,
        composer: SubscribeComposer | None = None,
        *,
        alias: EventValue | None = None,
    ) -> None:
        """
        :param composer: who says what else stands in the SUBSCRIBEs; None for nobody.
        :param alias: another Event by which its NOTIFYs may name it: the ``id`` of a first REFER may stand in them or
            not (RFC 3515 section 2.4.6).
        """
        self.core = core
        self.profile = profile
        self.options = options
        self._composer = composer
        self.event = options.event
        self.state = SubscriberState.IDLE
        self.dialog: Dialog | None = None
        self.expires_at: float | None = None
        self.etag = ""
        self.user: object = None
        names = (usage_name(SUBSCRIBER, options.event),)
        self._names = names if alias is None else (*names, usage_name(SUBSCRIBER, alias))
        self._asked: Asked | None = None
        self._asking: _Asking | None = None
        # What was asked for last, which no NOTIFY makes longer; where nothing was, the notifier says for how long.
        self._most = _LONGEST_EXPIRES
        self._refresh_at: float | None = None
        self._notify_until: float | None = None
        self._forks = 1
        self._forks_until: float | None = None
        self._burst = 0
        self._burst_ends = 0.0

    # -- its beginning -------------------------------------------------------------------------------------------------

    def start(self, plan: RequestPlan, now: float) -> None:
        """Subscribe with *plan*, a SUBSCRIBE in no dialog (section 4.1.2.1).

        :raises InvalidOperation: the second time.
        """
        self._begin(Asked(plan))
        self._ask(plan, self._first_kind, self.options.expires, now)

    def start_in(self, dialog: Dialog, now: float) -> None:
        """Subscribe in *dialog*, which has another use already (section 4.5.2).

        :raises InvalidOperation: the second time, and when the dialog has such a subscription, no sequence number left,
            or an end that is to be asked outside of it.
        """
        target = dialog.remote_target
        if isinstance(target, SipUri) and "gr" in target.params:
            raise InvalidOperation("the peer's Contact is a GRUU: subscribe to that instead (RFC 6665 section 4.5.2)")
        self._begin_in(dialog)
        self._ask(dialog.plan("SUBSCRIBE"), self._first_kind, self.options.expires, now)

    def expect(self, errand: Errand) -> None:
        """*errand*, a request in no dialog that is no SUBSCRIBE, will be answered by NOTIFYs; to be called before it
        goes out. :meth:`accepted` or :meth:`abandon` follows (RFC 3515 section 2.4.4).

        :raises InvalidOperation: the second time.
        """
        asked = Asked(errand.plan)
        asked.sent(errand)
        self._begin(asked)

    def expect_in(self, dialog: Dialog) -> None:
        """The same for a request in *dialog*.

        :raises InvalidOperation: the second time, and when the dialog has such a subscription.
        """
        self._begin_in(dialog)

    def accepted(self, flow: Flow, now: float) -> None:
        """The request of :meth:`expect` or :meth:`expect_in` was answered 2xx, by *flow*: a NOTIFY is to come."""
        if self._asked is not None:
            self._asked.answered(flow)
            self._forks_until = now + self.core.layer.timers.timeout
        if self.state is SubscriberState.NOTIFY_WAIT:
            self._notify_until = now + self.core.layer.timers.timeout
            self._appoint()

    @property
    def _first_kind(self) -> SubscribeKind:
        return SubscribeKind.SUBSCRIBE if self.options.expires else SubscribeKind.FETCH

    def _begin(self, asked: Asked) -> None:
        self._check_idle()
        self._asked = asked
        self.state = SubscriberState.NOTIFY_WAIT
        self.core.awaiting.add(asked.call_id, asked.local_tag, self)

    def _begin_in(self, dialog: Dialog) -> None:
        self._check_idle()
        present = dialog.subscriptions or {}
        if any(name in present for name in self._names):
            raise InvalidOperation(f"the dialog has a subscription to {self.event} already (RFC 6665 section 4.5.2)")
        self.state = SubscriberState.NOTIFY_WAIT
        self._adopt(dialog)

    def _check_idle(self) -> None:
        if self.state is not SubscriberState.IDLE:
            raise InvalidOperation("a subscription begins once")

    def _adopt(self, dialog: Dialog) -> None:
        self.dialog = dialog
        for name in self._names:
            self.core.dialogs.add_subscription(dialog, name, self)
        if self.options.max_forks == 1:
            # 4.4.1: NOTIFYs of others are answered 481 from now on.
            self._stop_awaiting()

    @property
    def is_asking(self) -> bool:
        """Whether a SUBSCRIBE of it is under way."""
        return self._asking is not None

    @property
    def is_owed(self) -> bool:
        """Whether a SUBSCRIBE of it was accepted, and the NOTIFY that follows has not come."""
        return self._notify_until is not None

    # -- what the application wants ------------------------------------------------------------------------------------

    def refresh(self, now: float, kind: SubscribeKind = SubscribeKind.REFRESH) -> Errand | None:
        """Send a SUBSCRIBE now (section 4.1.2.2); its outcome is told with :class:`.SubscribeEnded`.

        :param kind: ``UPDATE`` where the application has something else to say (row J7).
        :returns: the request; None where the subscription does not stand, or another one is under way.
        """
        dialog = self.dialog
        if dialog is None or self._asking is not None or self.state not in _STANDS:
            return None
        return self._ask_in(dialog, kind, self.options.expires, now)

    def leave(self, now: float) -> None:
        """End it (section 4.1.2.3). Before the first NOTIFY there is nothing to send an end in: then that NOTIFY will
        be answered 481, and ends it at the notifier (section 4.2.2). The answer to a SUBSCRIBE under way is waited for,
        as long as its transaction lasts."""
        if self.state is SubscriberState.ENDING or self.state is SubscriberState.TERMINATED:
            return
        dialog = self.dialog
        if dialog is None or self.state not in _STANDS:
            self._end(SubscriptionEnding.LEFT)
            return
        self.state = SubscriberState.ENDING
        self._refresh_at = self.expires_at = None
        self._stop_awaiting()
        if self._asking is None:
            self._unsubscribe(now)
            return
        # Its NOTIFY may have overtaken it; and if it comes after our last one, it begins the subscription anew.
        self._notify_until = None
        self._appoint()

    def _unsubscribe(self, now: float) -> None:
        dialog = self.dialog
        if dialog is None or self._ask_in(dialog, SubscribeKind.UNSUBSCRIBE, 0, now) is None:
            self._end(SubscriptionEnding.LEFT)

    def abandon(self) -> None:
        """Let go of it at once: nothing is sent, and nothing is told."""
        if self.state is not SubscriberState.TERMINATED:
            self._let_go()

    def way_lost(self, now: float, pause: float) -> None:
        """The connection to the notifier is gone, and with it the place where it sends to: refresh in *pause* seconds,
        by another one and with another Contact (section 4.1.2.2)."""
        if self.state in _STANDS and self._asking is None:
            due = now + pause
            if self._refresh_at is None or due < self._refresh_at:
                self._refresh_at = due
                self._appoint()

    # -- our SUBSCRIBEs ------------------------------------------------------------------------------------------------

    def _ask_in(self, dialog: Dialog, kind: SubscribeKind, expires: int, now: float) -> Errand | None:
        try:
            plan = dialog.plan("SUBSCRIBE")
        except InvalidOperation:
            # 8.1.1.5 of RFC 3261: no sequence number is left; it ends when it expires.
            return None
        return self._ask(plan, kind, expires, now)

    def _ask(
        self, plan: RequestPlan, kind: SubscribeKind, expires: int, now: float, *, has_grown: bool = False
    ) -> Errand:
        options = self.options
        fields = [("Event", str(self.event)), ("Expires", str(expires))]
        if options.accept:
            fields.append(("Accept", options.accept))
        if self.etag and kind is SubscribeKind.REFRESH:
            # RFC 5839 section 5.6: nothing is to be said if the state is what we have been told.
            fields.append(("Suppress-If-Match", self.etag))
        if plan.dialog is None and self.profile.event_packages:
            # 4.4.4: in whatever makes a dialog.
            fields.append(("Allow-Events", ", ".join(self.profile.event_packages)))
        plan.fields = fields
        if self._composer is not None:
            self._composer.compose(plan, kind)
        errand = Errand(self, plan, Purpose.OTHER)
        self._asking = _Asking(errand, kind, expires, has_grown)
        self._most = expires or self._most
        if plan.dialog is None and self._asked is not None:
            self._asked.sent(errand)
        self._refresh_at = None
        self._appoint()
        self.core.say(RequestWanted(errand))
        return errand

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response to a SUBSCRIBE of ours."""
        asking = self._asking
        if response.status < 200 or asking is None or asking.errand is not errand:
            return
        self._asking = None
        if self._asked is not None and errand.plan.dialog is None:
            self._asked.answered(flow)
            self._forks_until = now + self.core.layer.timers.timeout
        if response.status < 300:
            self._granted(asking, response, flow, now)
        elif response.status == 423 and self._ask_for_longer(asking, response, now):
            return
        else:
            self._refused(asking, response, now)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """A SUBSCRIBE of ours will have no response."""
        asking = self._asking
        if asking is None or asking.errand is not errand:
            return
        self._asking = None
        if self._asked is not None and errand.plan.dialog is None:
            self._forks_until = now + self.core.layer.timers.timeout
        is_left = self.state is SubscriberState.ENDING
        if asking.kind is SubscribeKind.UNSUBSCRIBE:
            self._end(SubscriptionEnding.LEFT)
        elif self.state is SubscriberState.NOTIFY_WAIT:
            self._end(SubscriptionEnding.UNREACHABLE, reason=reason)
        elif isinstance(reason, OperationTimeout) and not asking.is_notified:
            # 4.1.2: the attempt to refresh it timed out.
            self._end(SubscriptionEnding.LEFT if is_left else SubscriptionEnding.EXPIRED, reason=reason)
        else:
            self._not_refreshed(asking, None, reason, now)

    def _granted(self, asking: _Asking, response: Response, flow: Flow, now: float) -> None:
        """4.1.2.1: a 2xx says for how long; a NOTIFY follows, unless the state is what we have (RFC 5839)."""
        state, timeout, dialog = self.state, self.core.layer.timers.timeout, self.dialog
        # 5.4.9: where the NOTIFY of one notifier has made the dialog, the 2xx may be another's, and says nothing of it.
        is_ours = dialog is None or asking.errand.plan.dialog is not None or response.to.tag == dialog.remote_tag
        if dialog is not None and is_ours:
            dialog.refresh_target(response, flow)
        if state is SubscriberState.ENDING and asking.kind is not SubscribeKind.UNSUBSCRIBE:
            self.core.say(SubscribeEnded(self, asking.errand, asking.kind, response))
            self._unsubscribe(now)
            return
        if state is SubscriberState.ENDING and response.status == 204:
            # RFC 5839 section 5.7: there is no last NOTIFY.
            self._end(SubscriptionEnding.LEFT, response)
            return
        stands = state in _STANDS
        if not stands or not (asking.is_notified or response.status == 204):
            self._notify_until = now + timeout
        if state is SubscriberState.ENDING or asking.kind is SubscribeKind.FETCH:
            self._appoint()
            return
        if asking.is_dated and self.expires_at is not None:
            # 4.1.3: what the NOTIFY says of it counts, and it has come before.
            self._last_until(now, self.expires_at - now)
        else:
            said = seconds_of(response.headers, "Expires", asking.expires) if is_ours else asking.expires
            self._last_until(now, min(said, asking.expires))
        self._appoint()
        self.core.say(SubscribeEnded(self, asking.errand, asking.kind, response))

    def _ask_for_longer(self, asking: _Asking, response: Response, now: float) -> bool:
        """423 (RFC 3261 section 10.2.8): once again, for as long as the notifier wants it at least."""
        least = seconds_of(response.headers, "Min-Expires")
        if not asking.expires or asking.has_grown or not asking.expires < least <= _LONGEST_EXPIRES:
            return False
        if self.state is SubscriberState.ENDING:
            return False
        kind, plan, dialog = asking.kind, asking.errand.plan, self.dialog
        if plan.dialog is None:
            again = _repeated(plan)
        elif dialog is None:
            return False
        else:
            try:
                again = dialog.plan("SUBSCRIBE")
            except InvalidOperation:
                return False
        self._ask(again, kind, least, now, has_grown=True)
        return True

    def _refused(self, asking: _Asking, response: Response, now: float) -> None:
        status, dialog, is_left = response.status, self.dialog, self.state is SubscriberState.ENDING
        if asking.kind is SubscribeKind.UNSUBSCRIBE:
            self._end(SubscriptionEnding.LEFT, response)
        elif self.state is SubscriberState.NOTIFY_WAIT:
            # With a dialog: 4.1.2.1, a NOTIFY came that we had to refuse.
            self._end(SubscriptionEnding.REFUSED, response)
        elif asking.errand.plan.dialog is not None and status in _FATAL:
            ending = SubscriptionEnding.GONE if status == 481 else SubscriptionEnding.REFUSED
            self._end(SubscriptionEnding.LEFT if is_left else ending, response)
            if dialog is not None and reach_of(status, "SUBSCRIBE") is Reach.DIALOG:
                end_dialog(self.core, dialog, response, now)
        else:
            self._not_refreshed(asking, response, None, now)

    def _not_refreshed(
        self, asking: _Asking, response: Response | None, reason: BaseException | None, now: float
    ) -> None:
        """4.1.2.2: a SUBSCRIBE failed, and what was agreed before holds. The next is due in half the time that is
        left."""
        if self.state is SubscriberState.ENDING:
            self.core.say(SubscribeEnded(self, asking.errand, asking.kind, response, reason))
            self._unsubscribe(now)
            return
        if self.expires_at is None:
            # A NOTIFY came instead of the 2xx, and has not said how long it holds.
            self._last_until(now, asking.expires)
        elif self.options.is_refreshed:
            wish = 0 if response is None else seconds_of(response.headers, "Retry-After")
            self._refresh_at = now + max((self.expires_at - now) / 2, wish, _LEAST_PAUSE)
        self._appoint()
        self.core.say(SubscribeEnded(self, asking.errand, asking.kind, response, reason))

    # -- the peer's NOTIFYs --------------------------------------------------------------------------------------------

    def dialog_of(self, request: Request, flow: Flow) -> Dialog | None:
        """The dialog that *request*, a NOTIFY in none, makes (section 4.4.1); see :class:`.DialogMaker`. It is found by
        others once :meth:`request_received` has taken the NOTIFY."""
        asked, value = self._asked, request.headers.get("Event")
        if asked is None or value is None or not self._is_named(parse_event(value), asked):
            return None
        if self.dialog is not None and self._forks >= self.options.max_forks:
            return None
        if not asked.may_be_answered_by(flow):
            self.core.counters.foreign_requests += 1
            return None
        dialog = asked.dialog(request, flow)
        dialog.subscriptions = dict.fromkeys(self._names, self)
        return dialog

    def _is_named(self, event: EventValue, asked: Asked) -> bool:
        """Whether *event* names this subscription."""
        name = usage_name(SUBSCRIBER, event)
        if name in self._names:
            return True
        if len(self._names) == 1 or event.package != self.event.package or event.id != str(asked.last_cseq):
            return False
        # RFC 3515 section 2.4.6: by the REFER that was taken, which went out once more with another number.
        self._names = (name, *self._names[1:])
        return True

    def request_received(self, output: InDialogRequestReceived, now: float) -> None:
        """A NOTIFY in the dialog (section 4.1.3)."""
        core, request, transaction = self.core, output.request, output.transaction
        is_new = output.dialog is not self.dialog
        if is_new and self.dialog is not None:
            self._fork_received(output, now)
            return
        text = request.headers.get("Subscription-State")
        try:
            if text is None:
                raise MalformedMessage("a NOTIFY without Subscription-State (RFC 6665 section 8.2.3)")
            value = parse_subscription_state(text)
            if not is_new:
                output.dialog.refresh_target(request, output.flow)
        except MalformedMessage as error:
            core.answer(transaction, error.status, now, warning=error.reason)
            return
        if self.state is SubscriberState.TERMINATED:
            core.answer(transaction, 481, now)
            return
        if is_new:
            self._adopt(output.dialog)
        if len(self._names) > 1 and self.state is SubscriberState.NOTIFY_WAIT:
            # RFC 3515 section 2.4.6: our SUBSCRIBEs name it as the notifier does.
            self.event = parse_event(request.headers["Event"])
        if not value.is_terminated and self._is_flood(now):
            core.counters.refused_notifications += 1
            core.answer(transaction, 500, now, extra=(("Retry-After", "1"),))
            return
        if self._accepts(request):
            core.answer(transaction, 200, now)
            self._notified(request, value, now)
            return
        core.answer(transaction, 415, now, extra=(("Accept", self.options.accept),))
        if value.is_terminated:
            self._notified(None, value, now)

    def _fork_received(self, output: InDialogRequestReceived, now: float) -> None:
        """4.4.1: a NOTIFY that has made a dialog beside ours, or would have made ours, had it come first."""
        dialog, made = self.dialog, output.dialog
        if dialog is not None and made.id == dialog.id:
            status = dialog.check(output.request, output.flow)
            if not status:
                output.dialog = dialog
                self.request_received(output, now)
                return
            self.core.answer(output.transaction, status, now)
            return
        if self._asked is None or self._forks >= self.options.max_forks:
            self.core.answer(output.transaction, 481, now)
            return
        self._forks += 1
        fork = Subscriber(self.core, self.profile, self.options, self._composer)
        fork.state = SubscriberState.NOTIFY_WAIT
        fork._most = self._most
        # 4.2.2: no 2xx says for how long it holds, and not every NOTIFY does.
        fork._last_until(now, self._most)
        fork._notify_until = now + self.core.layer.timers.timeout
        fork._adopt(made)
        fork._appoint()
        self.core.say(Forked(self, fork))
        fork.request_received(output, now)

    def _accepts(self, request: Request) -> bool:
        """Whether the body is of a type that was asked for."""
        ranges = self.options.ranges
        if not request.body or not ranges:
            return True
        # That there is a Content-Type, and what it looks like, was judged before.
        return is_acceptable(ranges, parse_media_type(request.headers.get("Content-Type") or ""))

    def _is_flood(self, now: float) -> bool:
        """Whether this second has had all the NOTIFYs that it may have."""
        if now >= self._burst_ends:
            self._burst_ends, self._burst = now + 1.0, 0
        self._burst += 1
        return self._burst > self.options.notify_burst

    def _notified(self, request: Request | None, value: SubscriptionStateValue, now: float) -> None:
        """4.1.3: what a NOTIFY says of the subscription."""
        asking, before = self._asking, self.state
        if asking is not None:
            asking.is_notified = True
        if before is SubscriberState.ENDING and not value.is_terminated:
            # It was on its way when we left; the last one is waited for no longer because of it.
            return
        self._notify_until = None
        if request is not None:
            tag = request.headers.get("SIP-ETag") or ""
            # RFC 5839 section 6.1: an asterisk is none; said of ours it would keep every state from us.
            self.etag = tag if is_token(tag) and tag != "*" and len(tag) <= _LONGEST_TAG else ""
        if value.is_terminated:
            if request is not None:
                self.core.say(NotifyReceived(self, request, value))
            # What the application cannot be given was not fetched, either.
            self._end(self._ending(value) if request is not None else self._unread, value=value)
            return
        # 8.4: a state that nobody knows is one of a subscription that stands.
        self.state = SubscriberState.PENDING if value.state == PENDING else SubscriberState.ACTIVE
        if value.expires is not None:
            if asking is not None:
                asking.is_dated = True
            # 4.2.2: a notifier may shorten what was asked, and never makes it longer.
            self._last_until(now, min(value.expires, self._most))
        self._appoint()
        if request is not None:
            self.core.say(NotifyReceived(self, request, value))
        if not self.options.expires:
            # 4.4.3: some notifiers answer a fetch without saying that this was all.
            self._end(SubscriptionEnding.FETCHED, value=value)

    @property
    def _unread(self) -> SubscriptionEnding:
        """What a last NOTIFY means whose body was refused."""
        return SubscriptionEnding.LEFT if self.state is SubscriberState.ENDING else SubscriptionEnding.TERMINATED

    def _ending(self, value: SubscriptionStateValue) -> SubscriptionEnding:
        """What the last NOTIFY means."""
        if self.state is SubscriberState.ENDING:
            return SubscriptionEnding.LEFT
        # 4.4.3: this is what a fetch comes to, unless the reason says why there is nothing to know.
        is_fetched = not self.options.expires and value.reason not in _NOTHING_TO_KNOW
        return SubscriptionEnding.FETCHED if is_fetched else SubscriptionEnding.TERMINATED

    # -- time ----------------------------------------------------------------------------------------------------------

    def _last_until(self, now: float, expires: float) -> None:
        """It holds for *expires* seconds from now on, and is refreshed a quarter of an hour before, or half-way through
        what is shorter (row J3)."""
        self.expires_at = now + max(expires, _LEAST_PAUSE)
        is_refreshed = self.options.is_refreshed and self._asking is None
        self._refresh_at = now + max(expires - _LONGEST_MARGIN, expires / 2, _LEAST_PAUSE) if is_refreshed else None

    def _appoint(self) -> None:
        # Before the first NOTIFY there is no dialog that could be refreshed.
        due = None if self.dialog is None else self._refresh_at
        if self._notify_until is not None:
            due = self._notify_until if due is None else min(due, self._notify_until)
        elif self._asking is None and self.expires_at is not None:
            due = self.expires_at if due is None else min(due, self.expires_at)
        if self._forks_until is not None:
            due = self._forks_until if due is None else min(due, self._forks_until)
        self.core.appointments.set(self, due)

    def handle_timer(self, now: float) -> None:
        """Something is due: a refresh, the end of the wait for a NOTIFY, or that of the subscription."""
        if self.state is SubscriberState.TERMINATED:
            return
        if self._forks_until is not None and now >= self._forks_until:
            self._stop_awaiting()
        dialog = self.dialog
        if self._notify_until is not None and now >= self._notify_until:
            # 4.1.2.2, 4.1.2.4: Timer N fires.
            is_left = self.state is SubscriberState.ENDING
            self._end(SubscriptionEnding.LEFT if is_left else SubscriptionEnding.NO_NOTIFY)
        elif self._refresh_at is not None and now >= self._refresh_at and dialog is not None:
            self._refresh_at = None
            if self._ask_in(dialog, SubscribeKind.REFRESH, self.options.expires, now) is None:
                self._appoint()
        elif self._is_expired(now):
            self._end(SubscriptionEnding.EXPIRED)
        else:
            self._appoint()

    def _is_expired(self, now: float) -> bool:
        """Whether nothing was heard in time. What is under way is waited for."""
        is_waiting = self._asking is not None or self._notify_until is not None
        return not is_waiting and self.expires_at is not None and now >= self.expires_at

    # -- its end -------------------------------------------------------------------------------------------------------

    def dialog_gone(self, response: Response | None, now: float) -> None:
        """The dialog is over (RFC 5057 section 5.1)."""
        if self.state is SubscriberState.ENDING:
            self._end(SubscriptionEnding.LEFT, response)
        else:
            self._end(SubscriptionEnding.GONE, response)

    def _end(
        self,
        ending: SubscriptionEnding,
        response: Response | None = None,
        reason: BaseException | None = None,
        value: SubscriptionStateValue | None = None,
    ) -> None:
        if self.state is SubscriberState.TERMINATED:
            return
        dialog = self.dialog
        self._let_go()
        self.core.say(SubscriptionOver(self, ending, dialog, response, reason, value))

    def _let_go(self) -> None:
        self.state = SubscriberState.TERMINATED
        self._withdraw()
        self._stop_awaiting()
        dialog, self.dialog = self.dialog, None
        if dialog is not None:
            for name in self._names:
                self.core.dialogs.discard(dialog, name)
        self._notify_until = self._refresh_at = self.expires_at = None
        self.core.appointments.set(self, None)

    def _withdraw(self) -> None:
        asking, self._asking = self._asking, None
        if asking is not None:
            self.core.say(RequestUnwanted(asking.errand))

    def _stop_awaiting(self) -> None:
        asked, self._asked = self._asked, None
        self._forks_until = None
        if asked is not None:
            self.core.awaiting.discard(asked.call_id, asked.local_tag)

    def __repr__(self) -> str:
        return f"<Subscriber to {self.event} {self.state.name}>"


def _repeated(plan: RequestPlan) -> RequestPlan:
    """The same request in no dialog once more, with the next sequence number and without what it said."""
    again = RequestPlan(plan.method, plan.uri, plan.from_, plan.from_tag, plan.call_id)
    again.to, again.cseq, again.max_forwards = plan.to, plan.cseq + 1, plan.max_forwards
    again.routes = plan.routes
    return again
