"""One subscription of a peer's, from its SUBSCRIBE to our last NOTIFY (RFC 6665 sections 4.2 and 4.4, RFC 6446).

::

    Waiting --accept--> Pending --approve--> Active --terminate, Expires 0, time is up--> Ending --answer--> Terminated
        |  +--accept--------------------------^                                              ^
        +--refuse--> Terminated          (Pending ends likewise) ----------------------------+

One NOTIFY is under way at a time: what changes meanwhile is told when it has its answer, and of several changes the
newest state only. The state is asked for in the moment in which it can be sent (:class:`StateWanted`), so nothing is
kept that would be old by then. A NOTIFY that a SUBSCRIBE asks for goes at once; those that a change asks for keep the
distance that :class:`~sip_p2p.sip.event.rates.Pace` knows of.

A NOTIFY that nobody answers, or whose answer says that nobody is told any more, ends the subscription (section 4.2.2).
Any other failure is of that NOTIFY alone: where its response names a Retry-After, or there was too much to do just
then, it is sent again.

REFER, and whoever else makes a subscription without a SUBSCRIBE, calls :meth:`Notifier.begin` where a SUBSCRIBE is
answered with :meth:`Notifier.accept`.

Long because everything that can happen to a subscription, or be wished of it, has its method here.

Left out: who may subscribe, and what the state is, which the facade asks the event package; conditional notification
(RFC 5839).
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, TypeAlias, final

from sip_p2p.errors import InvalidOperation, MalformedMessage, PeerOverloaded
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.dialog.effects import Errand, Purpose, RequestUnwanted, RequestWanted
from sip_p2p.sip.dialog.outcomes import end_dialog
from sip_p2p.sip.dialog.reach import Reach, reach_of
from sip_p2p.sip.event.rates import Pace, Rates
from sip_p2p.sip.event.subscription_state import ACTIVE, PENDING, TERMINATED, SubscriptionStateValue
from sip_p2p.sip.event.terms import read_event, read_subscribe
from sip_p2p.sip.event.usage import NOTIFIER, EventEffect, usage_name
from sip_p2p.sip.fields import EventValue, parse_event, parse_retry_after
from sip_p2p.sip.transaction.base import TransactionState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.event.terms import SubscribeReading, Terms
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Content", "Notifier", "NotifierEnded", "NotifierState", "StateWanted", "SubscriptionRefreshed"]

Content: TypeAlias = "tuple[str, bytes]"
"""What a NOTIFY carries: the media type, and the body."""

_TIMEOUT = "timeout"
_FASTEST_FORCED = 1.0
"""Notifications a second that a subscriber can have though nothing changes (RFC 6446 sections 6.3 and 7.3)."""
_SHORTEST_RETRY = 1.0
_LONGEST_RETRY = 3600.0
_BUSY = 2.0
"""Seconds until a NOTIFY is tried again for which there was no room."""

_A_YEAR = 31536000
_ENDS = frozenset((405, 408, 480, 481, 483, 489, 501))
"""Answers to a NOTIFY that are of its subscription (section 4.2.2), 408 being no answer at all (RFC 5057 section 5.1).
"""

_NOTHING, _CHANGED, _AT_ONCE, _ASKED = range(4)


class NotifierState(enum.Enum):
    """Where a subscription of a peer's is (section 4.2)."""

    WAITING = "nobody has decided about its SUBSCRIBE"
    PENDING = "it stands, and may not know anything yet"
    ACTIVE = "it stands, and is told of changes"
    ENDING = "its last NOTIFY is on its way, or waits for the one before it"
    TERMINATED = "it is over"


_WAITING = NotifierState.WAITING
_PENDING = NotifierState.PENDING
_ACTIVE = NotifierState.ACTIVE
_ENDING = NotifierState.ENDING
_TERMINATED = NotifierState.TERMINATED
_STANDING = (_PENDING, _ACTIVE)


@final
class StateWanted(EventEffect):
    """A NOTIFY can be sent now: the owner waits for :meth:`Notifier.give` with the state as it is."""

    __slots__ = ()


@final
class SubscriptionRefreshed(EventEffect):
    """The subscriber has refreshed its subscription, and is told its state.

    :ivar request: the SUBSCRIBE: its body may say anew what is wanted.
    """

    __slots__ = ("request",)

    def __init__(self, owner: Notifier, request: Request) -> None:
        super().__init__(owner)
        self.request = request


@final
class NotifierEnded(EventEffect):
    """A subscription is over, and nothing more is to be sent for it.

    :ivar reason: why, as its last NOTIFY says or would have said; empty where another one failed before.
    :ivar response: the response to the NOTIFY that ended it; None where there was none.
    """

    __slots__ = ("reason", "response")

    def __init__(self, owner: Notifier, reason: str, response: Response | None) -> None:
        super().__init__(owner)
        self.reason = reason
        self.response = response


@final
class Notifier:
    """A peer's subscription to an event of ours; a usage of its dialog.

    :ivar core: the core that it belongs to.
    :ivar profile: whose event it is.
    :ivar dialog: the dialog that it uses.
    :ivar package: the event package.
    :ivar id: the ``id`` of Event, or None.
    :ivar terms: for how long and how often one may be notified.
    :ivar user: whatever the facade put there.
    :ivar state: where it is.
    :ivar expires_at: when it is over unless it is refreshed.
    """

    __slots__ = (
        "_asked", "_content", "_errand", "_is_urgent", "_last", "_owed", "_pace", "_tells", "core", "dialog",
        "expires_at", "id", "package", "profile", "state", "terms", "user",
    )  # fmt: skip

    def __init__(
        self,
        core: UserAgentCore,
        profile: Profile,
        dialog: Dialog,
        event: EventValue,
        terms: Terms,
        user: object = None,
    ) -> None:
        self.core = core
        self.profile = profile
        self.dialog = dialog
        self.package = event.package
        self.id = event.id
        self.terms = terms
        self.user = user
        self.state = _WAITING
        self.expires_at = math.inf
        self._asked: tuple[ServerTransaction, SubscribeReading] | None = None
        self._errand: Errand | None = None
        # What is to be told; None where the facade is asked for it.
        self._content: Content | None = None
        self._owed = _NOTHING
        # Whether what was told last could not wait.
        self._is_urgent = False
        # Whether it is told the state, and not only where it stands itself.
        self._tells = False
        self._pace: Pace | None = Pace(interval=terms.interval) if terms.interval else None
        self._last: dict[str, str | None] | None = None

    @property
    def name(self) -> str:
        """The name of the usage in its dialog."""
        return usage_name(NOTIFIER, self.event)

    @property
    def event(self) -> EventValue:
        """Event as our NOTIFYs say it: the package, and the ``id`` if there is one (sections 3.2.1 and 4.5.2)."""
        return EventValue(self.package, None if self.id is None else {"id": self.id})

    @property
    def reason(self) -> str:
        """Why it ends, as its last NOTIFY says it; empty before."""
        return (self._last or {}).get("reason") or ""

    @property
    def is_over(self) -> bool:
        """Whether nothing can be told any more: its last NOTIFY is decided."""
        return self.state is _ENDING or self.state is _TERMINATED

    @property
    def is_busy(self) -> bool:
        """Whether a NOTIFY is under way."""
        return self._errand is not None

    @property
    def owes(self) -> bool:
        """Whether there is something to tell that has not gone yet."""
        return self._owed != _NOTHING

    # -- its beginning -------------------------------------------------------------------------------------------------

    def asked(self, transaction: ServerTransaction, reading: SubscribeReading) -> None:
        """A SUBSCRIBE has asked for it, and waits for :meth:`accept` or :meth:`refuse`.

        :param reading: what it says; it is not one to be refused.
        """
        self._asked = (transaction, reading)

    def accept(self, now: float, *, is_active: bool = True, fields: Iterable[tuple[str, str]] = ()) -> bool:
        """Answer the SUBSCRIBE 200, and tell the state at once (section 4.2.1.2).

        :param is_active: whether the subscriber may know the state; if not, :meth:`approve` says so later.
        :param fields: further fields of the response.
        :returns: False where the subscriber has gone meanwhile, and nothing has come of it.
        :raises InvalidOperation: when that has been decided.
        """
        transaction, reading = self._take_asked()
        if transaction.is_final_sent or transaction.state is TransactionState.TERMINATED:
            self.state = _TERMINATED
            return False
        if not transaction.echo.has_to_tag:
            transaction.echo.to_tag = self.dialog.local_tag
        self._take_rates(reading.rates, reading.expires)
        # 4.2.1.1: 200 in any case; 202 says nothing more (section 8.3.1).
        recorded = [("Record-Route", value) for value in reading.recorded]
        self._respond(transaction, reading.expires, now, (*recorded, *fields))
        self.begin(now, reading.expires, is_active=is_active)
        return True

    def refuse(self, status: int, now: float, fields: Iterable[tuple[str, str]] = (), reason: str = "") -> None:
        """Refuse the SUBSCRIBE; nothing comes of it.

        :param reason: for a Warning.
        :raises InvalidOperation: when that has been decided.
        """
        transaction, _ = self._take_asked()
        self.state = _TERMINATED
        if not (transaction.is_final_sent or transaction.state is TransactionState.TERMINATED):
            self.core.answer(transaction, status, now, extra=tuple(fields), warning=reason)

    def begin(self, now: float, expires: float, *, is_active: bool = True) -> None:
        """It stands from now on, for *expires* seconds, and its state is told at once; what has asked for it has been
        answered.

        :raises InvalidOperation: when it has begun.
        """
        if self.state is not _WAITING:
            raise InvalidOperation("this subscription has begun")
        self.dialog.confirm()
        self.core.dialogs.add_subscription(self.dialog, self.name, self)
        self.state = _ACTIVE if is_active else _PENDING
        self._tells = is_active
        self.expires_at = now + expires
        if expires > 0:
            self._owe(_AT_ONCE, now)
        else:
            # 4.4.3: a fetch is a subscription that ends as it begins; where nobody has approved it, it learns nothing.
            self._end(now, {"reason": _TIMEOUT}, None)

    # -- what the application wants ------------------------------------------------------------------------------------

    def approve(self, now: float) -> None:
        """The subscriber may know the state, and is told it; nothing happens where it may already, or it is over.

        :raises InvalidOperation: before :meth:`accept`.
        """
        self._check_begun()
        if self.state is _PENDING:
            self.state = _ACTIVE
            self._tells = True
            self._owe(_AT_ONCE, now)

    def changed(self, now: float, content: Content | None = None) -> None:
        """The state has changed: the subscriber is told as soon as may be; one that is pending, not before it is
        approved.

        :param content: what it is told; None to be asked for it when it can be sent.
        """
        if self.state is _ACTIVE:
            self._content = content
            self._owe(_CHANGED, now)

    def give(self, content: Content | None, now: float) -> None:
        """What :class:`StateWanted` asked for.

        :param content: None where there is nothing to be said: the NOTIFY goes without a body.
        """
        if self._owed == _ASKED:
            # What the application has said meanwhile is newer.
            self._send(content if self._content is None else self._content, now)

    def terminate(
        self, now: float, reason: str, retry_after: int | None = None, content: Content | None = None
    ) -> None:
        """End it with a NOTIFY that says why (section 4.2.2); nothing happens where it ends already.

        :param reason: one of section 4.1.3: ``deactivated``, ``rejected``, ``noresource``, ...
        :param retry_after: after how many seconds the subscriber may try again; by default none, and a year for
            ``invariant``, which subscribers of RFC 3265 do not know.
        :param content: what it is told besides.
        :raises InvalidOperation: before :meth:`accept`.
        :raises ValueError: when *reason* is no token.
        """
        self._check_begun()
        if TOKEN.fullmatch(reason) is None:
            raise ValueError(f"{reason[:64]!r} is no reason: it must be a token (RFC 6665 section 8.4)")
        params: dict[str, str | None] = {"reason": reason}
        if retry_after is None and reason == "invariant":
            retry_after = _A_YEAR
        if retry_after is not None:
            params["retry-after"] = str(retry_after)
        if self.state in _STANDING:
            self._end(now, params, content)

    def abandon(self) -> None:
        """Let go of it at once: nothing more is sent, and nothing is told of it."""
        self._leave()

    # -- what comes ----------------------------------------------------------------------------------------------------

    def request_received(self, output: InDialogRequestReceived, now: float) -> None:
        """A SUBSCRIBE in its dialog: it is refreshed, or ended (sections 4.2.1.4 and 4.1.2.3)."""
        transaction, request = output.transaction, output.request
        if self.state not in _STANDING:
            # 4.1.2: 481 says that there is no such subscription any more.
            self.core.answer(transaction, 481, now)
            return
        try:
            event = read_event(request)
            reading = read_subscribe(request, self.event if event is None else event, self.terms)
            if not reading.status:
                # 3.1: SUBSCRIBE is a target refresh request.
                self.dialog.refresh_target(request, output.flow)
        except MalformedMessage as error:
            self.core.answer(transaction, error.status, now, warning=error.reason)
            return
        if reading.status:
            # 4.1.2.2: a refresh that is refused leaves the subscription as it was.
            self.core.answer(transaction, reading.status, now, extra=reading.fields, warning=reading.reason)
            return
        self._take_rates(reading.rates, reading.expires)
        if self._pace is not None:
            # Whoever asks does not want to be left alone any more.
            self._pace.not_before = -math.inf
        self._respond(transaction, reading.expires, now)
        self.core.say(SubscriptionRefreshed(self, request))
        if reading.expires > 0:
            self.expires_at = now + reading.expires
            self._owe(_AT_ONCE, now)
        else:
            self._end(now, {"reason": _TIMEOUT}, None)

    def dialog_gone(self, response: Response | None, now: float) -> None:
        """The dialog is over, and nothing can be told in it."""
        if self.state is not _TERMINATED:
            self._over(response)

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response to a NOTIFY (section 4.2.2)."""
        if errand is not self._errand or response.status < 200:
            return
        self._errand = None
        if response.status < 300:
            # 3.2: NOTIFY is a target refresh request.
            self.dialog.refresh_target(response, flow)
            if "Event" in response.headers:
                self._hear_rates(response, now)
            self._answered(now)
        elif reach_of(response.status, "NOTIFY") is Reach.DIALOG:
            # RFC 5057 section 5.1: nobody is there any more, for whatever the dialog is used for.
            end_dialog(self.core, self.dialog, response, now)
        elif response.status < 400 or response.status in _ENDS or (self.state is _ENDING and not self.owes):
            self._over(response)
        else:
            # RFC 5057 section 5.1: a complaint about this NOTIFY alone.
            wait = _retry_after(response)
            if wait is None:
                self._answered(now)
            elif self.state is _ENDING:
                self._over(response)
            else:
                self._try_again(now, wait)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """A NOTIFY has no final response (section 4.2.2)."""
        if errand is not self._errand:
            return
        self._errand = None
        is_full = isinstance(reason, InvalidOperation) and reason.retryable
        if self.state is _ENDING or not (is_full or isinstance(reason, PeerOverloaded)):
            self._over(None)
        else:
            self._try_again(now, max(_BUSY, reason.retry_after if isinstance(reason, PeerOverloaded) else 0.0))

    def handle_timer(self, now: float) -> None:
        """Its time is up, or what was put off can be told."""
        if self.state not in _STANDING:
            return
        if now >= self.expires_at:
            # 4.2.1.4: it was not refreshed.
            self._end(now, {"reason": _TIMEOUT}, None)
            return
        latest = self._latest(now)
        if latest is not None and now >= latest:
            # RFC 6446 section 6.2: it wants to hear that nothing has changed.
            self._owed = max(self._owed, _CHANGED)
        self._go(now)
        self._appoint(now)

    # -- the NOTIFYs ---------------------------------------------------------------------------------------------------

    def _owe(self, how: int, now: float) -> None:
        """There is something to be told."""
        self._owed = max(self._owed, how)
        self._go(now)
        self._appoint(now)

    def _go(self, now: float) -> None:
        """Tell what is owed, if it can be told now."""
        if self._errand is not None or self._owed in (_NOTHING, _ASKED):
            return
        pace = self._pace
        if pace is not None and self.state is not _ENDING:
            # RFC 6446 section 5.2: what a SUBSCRIBE asks for, and the end, know no rate.
            earliest = pace.not_before if self._owed == _AT_ONCE else pace.earliest()
            if now < earliest:
                return
        self._is_urgent = self._owed == _AT_ONCE
        if self._content is None and self._tells:
            self._owed = _ASKED
            self.core.say(StateWanted(self))
        else:
            self._send(self._content, now)

    def _send(self, content: Content | None, now: float) -> None:
        self._owed = _NOTHING
        self._content = None
        try:
            plan = self.dialog.plan("NOTIFY")
        except InvalidOperation:
            # The dialog has used up its sequence numbers.
            self._over(None)
            return
        # Whoever has not proved where it is gets nothing but where it was heard: Contact may name anybody.
        plan.goes_back = not self.dialog.is_verified
        plan.fields = [("Event", str(self.event)), ("Subscription-State", self._standing(now))]
        if content is not None:
            plan.content_type, plan.body = content
        if self._pace is not None:
            self._pace.sent(now)
        errand = self._errand = Errand(self, plan, Purpose.OTHER)
        self.core.say(RequestWanted(errand))
        self._appoint(now)

    def _standing(self, now: float) -> str:
        """Subscription-State."""
        if self._last is not None:
            return str(SubscriptionStateValue(TERMINATED, self._last))
        params: dict[str, str | None] = {"expires": str(max(0, round(self.expires_at - now)))}
        if self._pace is not None:
            # RFC 6446 sections 5.2, 6.2 and 7.2: what is gone along with.
            params |= self._pace.rates.params
        return str(SubscriptionStateValue(ACTIVE if self.state is _ACTIVE else PENDING, params))

    def _answered(self, now: float) -> None:
        """A NOTIFY has its answer, and the subscription stands."""
        if self.state is _ENDING and self._owed == _NOTHING:
            self._over(None)
            return
        self._go(now)
        self._appoint(now)

    def _try_again(self, now: float, wait: float) -> None:
        """A NOTIFY did not arrive, and may do so in *wait* seconds: as the state is then."""
        pace = self._pace
        if pace is None:
            pace = self._pace = Pace()
        pace.not_before = now + max(_SHORTEST_RETRY, min(wait, _LONGEST_RETRY))
        self._owe(_AT_ONCE if self._is_urgent else _CHANGED, now)

    def _take_rates(self, rates: Rates, seconds: float) -> None:
        """How often the subscriber wants to be told from now on; *seconds* are left of the subscription."""
        granted = rates.granted(_FASTEST_FORCED, seconds)
        if self._pace is not None:
            self._pace.rates = granted
        elif granted.params:
            self._pace = Pace(granted)

    def _hear_rates(self, response: Response, now: float) -> None:
        """RFC 6446 section 9.3: the Event of a 2xx to a NOTIFY says anew how often; of another package it says
        nothing."""
        try:
            event = parse_event(response.headers.get("Event") or "")
        except MalformedMessage:
            return
        if event.package == self.package and self.state in _STANDING:
            self._take_rates(Rates.of(event.params), self.expires_at - now)

    def _latest(self, now: float) -> float | None:
        """When it is to be told though nothing has changed; None where nobody asks for that, or it is told anyway."""
        pace = self._pace
        if pace is None or self.state is not _ACTIVE or self._errand is not None or self._owed != _NOTHING:
            return None
        return pace.latest(now)

    def _appoint(self, now: float) -> None:
        """See that it is called when something is due."""
        if self.state not in _STANDING:
            self.core.appointments.set(self, None)
            return
        due = self.expires_at
        pace = self._pace
        if pace is not None and self._errand is None:
            if self._owed in (_CHANGED, _AT_ONCE):
                due = min(due, pace.not_before if self._owed == _AT_ONCE else pace.earliest())
            else:
                latest = self._latest(now)
                due = due if latest is None else min(due, latest)
        self.core.appointments.set(self, due)

    # -- its end -------------------------------------------------------------------------------------------------------

    def _end(self, now: float, params: dict[str, str | None], content: Content | None) -> None:
        """Its last NOTIFY is due: at once, or as soon as the one that is under way has its answer."""
        # The state is told to whom it was told before, where time alone has ended it; else it is over for a reason.
        self._tells = self._tells and params["reason"] == _TIMEOUT
        self.state = _ENDING
        self._last = params
        self._content = content
        self.core.appointments.set(self, None)
        self._owed = _AT_ONCE
        self._go(now)

    def _over(self, response: Response | None) -> None:
        self._leave()
        self.core.say(NotifierEnded(self, self.reason, response))

    def _leave(self) -> None:
        """It holds nothing any more, and nothing holds it."""
        errand, self._errand = self._errand, None
        if errand is not None:
            self.core.say(RequestUnwanted(errand))
        self.state = _TERMINATED
        self._owed = _NOTHING
        self._asked = self._content = self._pace = None
        self.core.appointments.set(self, None)
        self.core.dialogs.discard(self.dialog, self.name)

    # -- small matters -------------------------------------------------------------------------------------------------

    def _respond(
        self, transaction: ServerTransaction, expires: int, now: float, fields: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Answer a SUBSCRIBE 200."""
        response = self.core.response(transaction, 200)
        # 4.2.1.1: how long it is granted; 3261 12.1.1: where we are.
        response.headers.add("Expires", str(expires))
        response.headers.add("Contact", self.profile.contact_value(transaction.flow, self.dialog.is_secure))
        for name, value in fields:
            response.headers.add(name, value)
        self.core.respond(transaction, response, now)

    def _take_asked(self) -> tuple[ServerTransaction, SubscribeReading]:
        asked, self._asked = self._asked, None
        if asked is None or self.state is not _WAITING:
            raise InvalidOperation("nothing has asked for this subscription, or that has been decided")
        return asked

    def _check_begun(self) -> None:
        if self.state is _WAITING:
            raise InvalidOperation("nobody has decided about this subscription yet")

    def __repr__(self) -> str:
        return f"<Notifier {self.event} {self.state.name} for {self.dialog.remote}>"


def _retry_after(response: Response) -> float | None:
    """The seconds of Retry-After, as far as they can be read."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return float(parse_retry_after(value).seconds)
    except MalformedMessage:
        return None
