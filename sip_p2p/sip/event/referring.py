"""A REFER of ours, from the wish to the subscription that it gives rise to, or does not (RFC 3515 section 2.4, RFC
4488, RFC 7614).

::

    Idle --start--> Referring --2xx--> Accepted --the subscription is over, stop--> Over
      |                 |                 ^--subscribe-- Answered --stop-------------^
      |                 +--2xx where we subscribe ourselves--^                       |
      |                 +--2xx without a subscription, 3xx-6xx, no response, stop----^
      +--stop------------------------------------------------------------------------^

The subscription is a :class:`~sip_p2p.sip.event.subscriber.Subscriber` that has no SUBSCRIBE to begin with: its NOTIFYs
may come before the 2xx. Several REFERs of one dialog are told apart by the ``id`` in Event, which is the sequence
number of the REFER, and may be missing for the first (section 2.4.6): whoever sends the second waits until the first
has been notified of, or there would be two for which a NOTIFY without ``id`` could be.

With ``explicitsub`` (RFC 7614) there is none of this: the 2xx says where one may subscribe to what becomes of the
REFER, and that is a subscription like any other.

Left out: what the NOTIFYs say, and that waiting, which are the facade's.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.effects import Errand, Purpose, RequestUnwanted, RequestWanted
from sip_p2p.sip.dialog.outcomes import judge
from sip_p2p.sip.event.refer import REFER_PACKAGE, SIPFRAG, parse_refer_sub
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.event.subscribing import SubscriberOptions, SubscriberState
from sip_p2p.sip.event.usage import SUBSCRIBER, EventEffect, usage_name
from sip_p2p.sip.fields import EventValue

if TYPE_CHECKING:
    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["REFER_EXPIRES", "ReferAnswered", "Referrer", "ReferrerState", "unheard_referral"]

REFER_EXPIRES = 3600
"""For how many seconds we ask to be told of a referral where we refresh its subscription; how long it lasts at first is
the peer's to say."""

_PLAIN = EventValue(REFER_PACKAGE)
_PLAIN_NAME = usage_name(SUBSCRIBER, _PLAIN)
_EXPLICIT = SubscriberOptions(_PLAIN, REFER_EXPIRES, accept=SIPFRAG)


class ReferrerState(enum.Enum):
    """Where a REFER of ours is."""

    IDLE = "not sent"
    REFERRING = "on its way"
    ANSWERED = "accepted, and nobody has subscribed to what comes of it"
    ACCEPTED = "accepted, and NOTIFYs tell what comes of it"
    OVER = "over, or nothing more will be told"


_IDLE = ReferrerState.IDLE
_REFERRING = ReferrerState.REFERRING
_ANSWERED = ReferrerState.ANSWERED
_ACCEPTED = ReferrerState.ACCEPTED
_OVER = ReferrerState.OVER


@final
class ReferAnswered(EventEffect):
    """A REFER has its outcome.

    :ivar response: the final response; None where there was none.
    :ivar reason: what happened instead, or what more there is to be said of the response; None for nothing.
    :ivar is_subscribed: whether NOTIFYs are to come.
    :ivar dialog: the dialog that it was sent in, or a NOTIFY has made meanwhile; None for none.
    :ivar flow: what the response came by; None where there was none.
    """

    __slots__ = ("dialog", "flow", "is_subscribed", "reason", "response")

    def __init__(
        self,
        owner: Referrer,
        response: Response | None,
        reason: BaseException | None,
        is_subscribed: bool,
        dialog: Dialog | None,
        flow: Flow | None = None,
    ) -> None:
        super().__init__(owner)
        self.dialog = dialog
        self.flow = flow
        self.response = response
        self.reason = reason
        self.is_subscribed = is_subscribed


@final
class Referrer:
    """Whoever sends a REFER.

    :ivar core: whose machine it is.
    :ivar profile: who refers.
    :ivar state: where it is.
    :ivar subscriber: the subscription; None where none is wanted, and when all is over.
    :ivar user: whatever the facade put there; the subscription has the same.
    """

    __slots__ = (
        "_accepted_cseq", "_errand", "_is_explicit", "_wants_notifications", "core", "profile", "state", "subscriber",
        "user",
    )  # fmt: skip

    def __init__(
        self,
        core: UserAgentCore,
        profile: Profile,
        user: object = None,
        *,
        wants_notifications: bool = True,
        is_explicit: bool = False,
    ) -> None:
        """
        :param wants_notifications: False for a REFER that says, with an extension that it requires, that there is to be
            no subscription (RFC 7614): a NOTIFY is then nobody's.
        :param is_explicit: whether it says, likewise, that we subscribe by ourselves: :meth:`subscribe` does when it
            was accepted.
        """
        self.core = core
        self.profile = profile
        self.user = user
        self.state = _IDLE
        self.subscriber: Subscriber | None = None
        self._errand: Errand | None = None
        self._accepted_cseq = 0
        self._is_explicit = is_explicit
        self._wants_notifications = wants_notifications and not is_explicit

    def start(self, plan: RequestPlan) -> None:
        """Refer with *plan*, a REFER in no dialog.

        :raises InvalidOperation: the second time, and after :meth:`stop`.
        """
        self._check_idle()
        if self.profile.event_packages:
            # RFC 6665 section 4.4.4: in whatever makes a dialog.
            plan.fields = [*plan.fields, ("Allow-Events", ", ".join(self.profile.event_packages))]
        errand = Errand(self, plan, Purpose.OTHER)
        if self._wants_notifications:
            subscriber = self._subscriber(plan.cseq, None)
            subscriber.expect(errand)
        self._send(errand)

    def start_in(self, dialog: Dialog, fields: list[tuple[str, str]]) -> None:
        """Refer in *dialog*.

        :param fields: the header fields, already checked.
        :raises InvalidOperation: the second time, after :meth:`stop`, when the session of the dialog is over, and when
            it has no sequence number left.
        """
        self._check_idle()
        usage = dialog.user
        if usage is not None and usage.is_over:
            raise InvalidOperation("the session is over")
        plan = dialog.plan("REFER")
        plan.fields = list(fields)
        if self._wants_notifications:
            self._expect_in(dialog, plan.cseq)
        self._send(Errand(self, plan, Purpose.OTHER))

    def subscribe(self, plan: RequestPlan, now: float) -> None:
        """Subscribe with *plan*, a SUBSCRIBE in no dialog to what the answer has named (RFC 7614 section 4.4).

        :raises InvalidOperation: when there is nothing of that kind to subscribe to, or that was done.
        """
        if self.state is not _ANSWERED:
            raise InvalidOperation("no answer has said where to subscribe to what becomes of this REFER")
        self.state = _ACCEPTED
        # Section 4.4: its NOTIFYs may name the REFER as if that had made the subscription.
        alias = EventValue(REFER_PACKAGE, {"id": str(self._accepted_cseq)})
        subscriber = self.subscriber = Subscriber(self.core, self.profile, _EXPLICIT, alias=alias)
        subscriber.user = self.user
        subscriber.start(plan, now)

    def stop(self, now: float) -> None:
        """Nothing more is wanted: a subscription that stands is ended by SUBSCRIBE with Expires 0 (RFC 6665 section
        4.1.2.3); what is still told then is answered as if there never had been one."""
        if self.state is _OVER:
            return
        errand, subscriber = self._errand, self.subscriber
        self._let_go()
        if errand is not None:
            self.core.say(RequestUnwanted(errand))
        if subscriber is not None:
            subscriber.leave(now)

    def abandon(self) -> None:
        """Let go of it at once: nothing more is sent, and nothing is told."""
        subscriber = self.subscriber
        self._let_go()
        if subscriber is not None:
            subscriber.abandon()

    def subscription_over(self) -> None:
        """The subscription has ended; to be called by whoever hears that."""
        if self.state is _ACCEPTED:
            self._let_go()
        elif self.state is _REFERRING:
            # The last NOTIFY has overtaken the response to the REFER.
            self.subscriber = None

    # -- what becomes of the REFER -------------------------------------------------------------------------------------

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response to the REFER."""
        if response.status < 200 or errand is not self._errand:
            return
        self._errand = None
        if response.status >= 300:
            self._failed(errand, response, errand.refusal, now)
            return
        dialog = errand.plan.dialog
        if dialog is not None:
            # RFC 4488 section 4, RFC 3261 section 12.2.1.2: REFER refreshes the target.
            dialog.refresh_target(response, flow)
        subscriber = self.subscriber
        if subscriber is not None and dialog is None:
            dialog = subscriber.dialog
        if subscriber is not None and _declines_subscription(response):
            # RFC 4488 section 4: the peer has agreed to tell nothing.
            subscriber.abandon()
            subscriber = self.subscriber = None
        if self._is_explicit:
            self.state = _ANSWERED
            self._accepted_cseq = errand.plan.cseq
        elif subscriber is None:
            self._let_go()
        else:
            self.state = _ACCEPTED
            subscriber = self._numbered(subscriber, errand)
            subscriber.accepted(flow, now)
        self.core.say(ReferAnswered(self, response, None, subscriber is not None, dialog, flow))

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """The REFER will have no response."""
        if errand is self._errand:
            self._errand = None
            self._failed(errand, None, reason, now)

    def _failed(self, errand: Errand, response: Response | None, reason: BaseException | None, now: float) -> None:
        subscriber, dialog = self.subscriber, errand.plan.dialog
        self._let_go()
        if subscriber is not None:
            dialog = subscriber.dialog if dialog is None else dialog
            subscriber.abandon()
        self.core.say(ReferAnswered(self, response, reason, False, dialog))
        usage: InviteUsage | None = None if dialog is None else dialog.user
        if usage is not None:
            # RFC 5057 section 5: what that means for the session beside it.
            judge(usage, "REFER", response, None if response is not None else reason, now)

    # -- the subscription ----------------------------------------------------------------------------------------------

    def _subscriber(self, cseq: int, dialog: Dialog | None) -> Subscriber:
        event, alias = EventValue(REFER_PACKAGE, {"id": str(cseq)}), None
        if dialog is None or _PLAIN_NAME not in (dialog.subscriptions or {}):
            # RFC 3515 section 2.4.6: the first may be told of without an id.
            alias = _PLAIN
        usage = None if dialog is None else dialog.user
        # Many take no SUBSCRIBE for it, and a refusal ends it (RFC 6665 section 4.1.2.2).
        is_refreshed = usage is not None and usage.capabilities.allows("SUBSCRIBE") is True
        options = SubscriberOptions(event, REFER_EXPIRES, accept=SIPFRAG, is_refreshed=is_refreshed)
        subscriber = self.subscriber = Subscriber(self.core, self.profile, options, alias=alias)
        subscriber.user = self.user
        return subscriber

    def _expect_in(self, dialog: Dialog, cseq: int) -> Subscriber:
        subscriber = self._subscriber(cseq, dialog)
        subscriber.expect_in(dialog)
        return subscriber

    def _numbered(self, subscriber: Subscriber, errand: Errand) -> Subscriber:
        """RFC 3515 section 2.4.6: the id is that of the REFER that was accepted, which may have gone out once more
        with another number, because the peer had asked for credentials."""
        dialog, cseq = errand.plan.dialog, errand.plan.cseq
        if (
            dialog is None
            or subscriber.event.id in (None, str(cseq))
            or subscriber.state is not SubscriberState.NOTIFY_WAIT
        ):
            return subscriber
        subscriber.abandon()
        return self._expect_in(dialog, cseq)

    def _send(self, errand: Errand) -> None:
        self._errand = errand
        self.state = _REFERRING
        self.core.say(RequestWanted(errand))

    def _check_idle(self) -> None:
        if self.state is not _IDLE:
            raise InvalidOperation("a REFER is sent once")

    def _let_go(self) -> None:
        self.state = _OVER
        self._errand = self.subscriber = None

    def __repr__(self) -> str:
        return f"<Referrer {self.state.name}>"


def unheard_referral(dialog: Dialog) -> object:
    """The ``user`` of the referral in *dialog* that nothing was told of yet, and to which a NOTIFY without ``id`` would
    belong; None where there is none (RFC 3515 section 2.4.6)."""
    holder = (dialog.subscriptions or {}).get(_PLAIN_NAME)
    is_unheard = isinstance(holder, Subscriber) and holder.state is SubscriberState.NOTIFY_WAIT
    return holder.user if holder is not None and is_unheard else None


def _declines_subscription(response: Response) -> bool:
    """Whether a 2xx to a REFER says that there is no subscription. What cannot be read says nothing."""
    value = response.headers.get("Refer-Sub")
    try:
        return value is not None and not parse_refer_sub(value)
    except MalformedMessage:
        return False
