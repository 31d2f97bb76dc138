"""One binding at a registrar, from the first REGISTER to the last (RFC 3261 sections 10.2 and 10.3, RFC 5626 section
4).

A binding is asked for, refreshed before it runs out, made anew when the flow that it is bound to is lost, and removed
in the end. Which flow a REGISTER takes is found outside: the machine says :class:`RegisterWanted` with the flow that it
has, if any, and hears what became of it. All REGISTERs of one binding have one Call-ID, and CSeq counts on (10.2).

Left out: ``*``, by which one party would remove the bindings of others (10.2.2), and asking for the bindings without
making one (10.2.3).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import ConnectionFailure, MalformedMessage, RequestFailed
from sip_p2p.sip.dialog.effects import Errand, Purpose
from sip_p2p.sip.event.usage import EventEffect
from sip_p2p.sip.fields import parse_retry_after, parse_seconds
from sip_p2p.sip.registration.granted import read_granted

if TYPE_CHECKING:
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.registration.granted import Granted
    from sip_p2p.sip.registration.order import RegisterOrder
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Binding", "BindingChanged", "BindingState", "RegisterWanted", "refresh_after"]

_PASSING = frozenset((408, 430, 480, 500, 502, 503, 504))
"""Answers that say nothing of what was asked, but of a server that cannot do it now."""

_LONGEST_WAIT = 86400.0
_SHORTEST_REFRESH = 5.0
_MARGIN = 600.0
_MOST_CHANGES = 2


class BindingState(enum.Enum):
    """How one binding stands."""

    IDLE = "nothing was sent"
    REGISTERING = "it was asked for"
    REGISTERED = "it stands"
    REFRESHING = "it stands, and was asked for again"
    WAITING = "it could not be had, and will be asked for again"
    ENDING = "it is not wanted any more, and its last REGISTER is not answered"
    REMOVING = "the registrar was asked to remove it"
    OVER = "nothing more is sent for it"


_IDLE = BindingState.IDLE
_REGISTERING = BindingState.REGISTERING
_REGISTERED = BindingState.REGISTERED
_REFRESHING = BindingState.REFRESHING
_WAITING = BindingState.WAITING
_ENDING = BindingState.ENDING
_REMOVING = BindingState.REMOVING
_OVER = BindingState.OVER


@final
class RegisterWanted(EventEffect):
    """Send the REGISTER of *errand*, and tell ``errand.owner`` what becomes of it.

    :ivar owner: the :class:`Binding`.
    :ivar errand: the request.
    :ivar flow: the flow that it has to take while that is open; None leaves that to where it leads.
    """

    __slots__ = ("errand", "flow")

    def __init__(self, owner: Binding, errand: Errand, flow: Flow | None) -> None:
        super().__init__(owner)
        self.errand = errand
        self.flow = flow


@final
class BindingChanged(EventEffect):
    """A binding stands in another way, or was granted anew.

    :ivar owner: the :class:`Binding`.
    :ivar previous: its state before.
    :ivar state: its state now.
    :ivar reason: what ended or interrupted it: a :class:`~sip_p2p.errors.SipError`; None where nothing did.
    """

    __slots__ = ("previous", "reason", "state")

    def __init__(
        self, owner: Binding, previous: BindingState, state: BindingState, reason: BaseException | None
    ) -> None:
        super().__init__(owner)
        self.previous = previous
        self.state = state
        self.reason = reason


def refresh_after(expires: float) -> float:
    """After how many seconds a binding that stands for *expires* is asked for again: ten minutes before its end, and
    not before half of it has passed, so that there is time for more than one attempt."""
    return max(_SHORTEST_REFRESH, expires / 2, expires - _MARGIN)


@final
class Binding:
    """One binding, over one flow.

    :ivar user: whatever the facade put there; it has a method ``take`` for the effects.
    :ivar reg_id: the number of its flow (RFC 5626 section 4.2.1), 1 for the first.
    :ivar siblings: all bindings of the registration, this one among them.
    :ivar state: how it stands.
    :ivar granted: what the registrar has said last; None before it has said anything, when its time is over, and in the
        end.
    :ivar expires_at: when the binding runs out.
    :ivar flow: the flow that it is bound to; None where there is none.
    :ivar reason: why it does not stand; None while it does, and while nothing is known.
    :ivar use_outbound: whether its REGISTERs name the number of the flow.
    """

    __slots__ = (
        "_asked",
        "_asked_again",
        "_call_id",
        "_core",
        "_cseq",
        "_errand",
        "_failures",
        "_order",
        "_retry_at",
        "_since",
        "_tag",
        "expires_at",
        "flow",
        "granted",
        "reason",
        "reg_id",
        "siblings",
        "state",
        "use_outbound",
        "user",
    )

    def __init__(self, core: UserAgentCore, order: RegisterOrder, reg_id: int, siblings: list[Binding]) -> None:
        self._core = core
        self._order = order
        self.reg_id = reg_id
        self.siblings = siblings
        self.user: object = None
        self.state = _IDLE
        self.granted: Granted | None = None
        self.expires_at = 0.0
        self.flow: Flow | None = None
        self.reason: BaseException | None = None
        self.use_outbound = order.use_outbound
        self._asked = order.expires
        # How often an answer has said what to change, since the last one that did not.
        self._asked_again = 0
        self._call_id = core.tokens.call_id()
        self._tag = core.tokens.tag()
        self._cseq = 0
        self._errand: Errand | None = None
        self._failures = 0
        # When it is asked for again, while it waits.
        self._retry_at = 0.0
        self._since = 0.0

    def stands(self, now: float) -> bool:
        """Whether peers can reach us by this binding, as far as we know."""
        return self.flow is not None and self.granted is not None and now < self.expires_at

    # -- what the application wants ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """Ask for it, for the first time."""
        if self.state is _IDLE:
            self._register(_REGISTERING, now)

    def refresh(self, now: float) -> None:
        """Ask for it now, and not only when it is due; nothing happens while it is being asked for."""
        state = self.state
        if state is _REGISTERED:
            self._register(_REFRESHING, now)
        elif state is _WAITING:
            self._register(_REGISTERING, now)

    def end(self, now: float) -> None:
        """Remove it (RFC 3261 section 10.2.2); nothing happens the second time."""
        state = self.state
        if state is _REGISTERED:
            self._remove(now)
        elif state is _REGISTERING or state is _REFRESHING:
            # What is under way may make it after all: it is removed once that is known.
            self._become(_ENDING, now, None)
        elif state is _WAITING and self.stands(now):
            self._remove(now)
        elif state is _IDLE or state is _WAITING:
            self._over(now, None)

    def abandon(self, reason: BaseException | None, now: float) -> None:
        """Let go of it at once, and say nothing more to the registrar, which forgets it in time."""
        if self.state is not _OVER:
            self._over(now, reason)

    # -- what comes of it ----------------------------------------------------------------------------------------------

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response came by *flow*."""
        if errand is not self._errand or response.status < 200:
            return
        self._errand = None
        # Whoever sent it may have had to send it more than once.
        self._cseq = errand.plan.cseq
        state = self.state
        if state is _REMOVING:
            self._over(now, None)
        elif response.status < 300:
            self._accepted(errand, response, flow, now)
        elif state is _ENDING:
            self._ended_meanwhile(now)
        elif not self._asks_again(response):
            refusal = RequestFailed(response) if errand.refusal is None else errand.refusal
            self._failed(refusal, now, _retry_after(response), response.status not in _PASSING)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """There will be no final response."""
        if errand is not self._errand:
            return
        self._errand = None
        self._cseq = errand.plan.cseq
        if self.state is _REMOVING:
            self._over(now, None)
        elif self.state is _ENDING:
            self._ended_meanwhile(now)
        elif isinstance(reason, ConnectionFailure):
            if self.state is _REFRESHING and not reason.retry_after:
                # RFC 5626 section 4.5: it is the flow that has failed, under the request.
                self.flow = None
                self._make_anew(reason, now)
            else:
                self._failed(reason, now, reason.retry_after, False)
        else:
            self._failed(reason, now, 0.0, False)

    def flow_lost(self, flow: Flow, reason: BaseException, now: float) -> None:
        """*flow* is gone: requests for us that the registrar sends by it are lost (RFC 5626 section 4.5)."""
        if flow is not self.flow:
            return
        self.flow = None
        if self.state is _REGISTERED:
            self._make_anew(reason, now)
        # Else what is under way has its own outcome, and what waits is made anew as it is.

    def handle_timer(self, now: float) -> None:
        """It is time to ask for it again, or to give up what was granted: its time is over before that."""
        if self.state is _WAITING and self._has_lapsed(now) and now < self._retry_at:
            self._await(now)
            self._become(_WAITING, now, None)
        else:
            self.refresh(now)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _register(self, state: BindingState, now: float, reason: BaseException | None = None) -> None:
        self._core.appointments.set(self, None)
        self._asked_again = 0
        self._become(state, now, reason)
        self._send(self._asked)

    def _make_anew(self, reason: BaseException, now: float) -> None:
        """4.5: at once where it had served for long enough, else after a while."""
        self._count_failure(now, is_first=0)
        wait = self._order.recovery.wait(self._failures, self._has_others(now), self._core.tokens)
        if wait > 0:
            self._wait(wait, reason, now)
        else:
            self._register(_REGISTERING, now, reason)

    def _remove(self, now: float) -> None:
        """10.2.2: our own binding is asked for with no time at all."""
        self._core.appointments.set(self, None)
        self._become(_REMOVING, now, None)
        self._send(0)

    def _send(self, expires: int) -> None:
        plan = self._order.plan(self._tag, self._call_id, self._cseq + 1, expires, is_outbound=self.use_outbound)
        self._errand = Errand(self, plan, Purpose.OTHER)
        self._core.say(RegisterWanted(self, self._errand, self.flow))

    def _accepted(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """10.2.4: a 2xx says which bindings there are."""
        try:
            granted = read_granted(response, errand.plan.contact or "", self._asked, self._order.owner)
        except MalformedMessage as error:
            if self.state is _ENDING:
                self.flow = flow
                self._remove(now)
            else:
                self._failed(error, now, 0.0, False)
            return
        self.flow = flow
        if self.state is _ENDING:
            self._remove(now)
            return
        if not granted.expires:
            self.flow = None
            words = "the registrar has answered, and keeps no binding of ours"
            self._failed(ConnectionFailure(words), now, 0.0, False)
            return
        if self.state is _REGISTERING:
            self._since = now
        self.granted = granted
        self.expires_at = now + granted.expires
        self.reason = None
        # 10.3 item 7: a registrar may shorten what was asked. Where it makes it longer we come as often as we said.
        self._core.appointments.set(self, now + refresh_after(min(granted.expires, self._asked)))
        self._become(_REGISTERED, now, None)

    def _asks_again(self, response: Response) -> bool:
        """Whether *response* says what to change, and it was asked for again so."""
        status = response.status
        if self._asked_again >= _MOST_CHANGES:
            return False
        if status == 423:
            # 10.2.8: the registrar takes only those who come more seldom.
            least = _min_expires(response)
            if least is None or least <= self._asked:
                return False
            self._asked = least
        elif status == 439 and self.use_outbound:
            # RFC 5626 section 4.2.1: the first proxy cannot keep flows apart; the binding does without.
            self.use_outbound = False
        else:
            return False
        self._asked_again += 1
        self._send(self._asked)
        return True

    def _ended_meanwhile(self, now: float) -> None:
        """What was under way when it was ended came to nothing; what was there before may stand."""
        if self.stands(now):
            self._remove(now)
        else:
            self._over(now, None)

    def _failed(self, reason: BaseException, now: float, retry_after: float, is_final: bool) -> None:
        if is_final and not self._order.keeps_trying:
            self._over(now, reason)
            return
        if is_final and self.granted is not None:
            # RFC 3608 section 6.1. All else stands as long as the binding does (RFC 5627 section 4.2).
            self.granted.service_route = ()
        self._count_failure(now, is_first=1)
        wait = self._order.recovery.wait(self._failures, self._has_others(now), self._core.tokens)
        self._wait(max(wait, min(retry_after, _LONGEST_WAIT)), reason, now)

    def _count_failure(self, now: float, *, is_first: int) -> None:
        """4.5: one more in a row, unless it had served for long enough; then it is the *is_first*."""
        has_served = self.granted is not None and self._since > 0 and now - self._since >= self._order.recovery.stable
        self._failures = is_first if has_served else self._failures + 1
        self._since = 0.0

    def _wait(self, wait: float, reason: BaseException, now: float) -> None:
        self._retry_at = now + wait
        self._await(now)
        self._become(_WAITING, now, reason)

    def _await(self, now: float) -> None:
        """Until the next attempt, or the end of what was granted: a GRUU of a binding that has run out is not to be
        used (RFC 5627 section 4.4)."""
        if self._has_lapsed(now):
            self.granted = None
        until = self._retry_at if self.granted is None else min(self._retry_at, self.expires_at)
        self._core.appointments.set(self, until)

    def _has_lapsed(self, now: float) -> bool:
        return self.granted is not None and now >= self.expires_at

    def _has_others(self, now: float) -> bool:
        return any(other is not self and other.stands(now) for other in self.siblings)

    def _over(self, now: float, reason: BaseException | None) -> None:
        self._core.appointments.set(self, None)
        self._errand = None
        self.flow = None
        self.granted = None
        self._become(_OVER, now, reason)

    def _become(self, state: BindingState, now: float, reason: BaseException | None) -> None:
        previous, self.state = self.state, state
        if reason is not None:
            self.reason = reason
        self._core.say(BindingChanged(self, previous, state, reason))

    def __repr__(self) -> str:
        return f"<Binding {self.reg_id} of {self._order.owner}, {self.state.name.lower()}>"


def _retry_after(response: Response) -> float:
    """The seconds of Retry-After; 0 where there are none that can be read."""
    value = response.headers.get("Retry-After")
    try:
        return 0.0 if value is None else float(parse_retry_after(value).seconds)
    except MalformedMessage:
        return 0.0


def _min_expires(response: Response) -> int | None:
    """The seconds of Min-Expires, where they can be read."""
    value = response.headers.get("Min-Expires")
    try:
        return None if value is None else parse_seconds(value, "Min-Expires")
    except MalformedMessage:
        return None
