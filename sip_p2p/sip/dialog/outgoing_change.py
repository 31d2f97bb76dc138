"""A change of the session that we ask for: a re-INVITE or an UPDATE of ours, from the wish to its outcome (RFC 3261
section 14.1, RFC 3311 sections 5.1 and 5.3, RFC 4028 section 7.4, RFC 6141).

One exists only while something is under way. It says its request, takes what is answered, sends again by itself what
met a request of the peer's (491), came too early (500 with Retry-After) or asked for too short a session (422),
acknowledges the 2xx, and tells the application once how it went. A refresh is the same without the telling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage, OperationTimeout
from sip_p2p.sip.abnf import parse_number
from sip_p2p.sip.dialog.acknowledging import OwedAck
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import (
    AnswerReceived,
    Errand,
    ModificationEnded,
    OfferReceived,
    Purpose,
    RequestUnwanted,
    RequestWanted,
)
from sip_p2p.sip.dialog.mid_dialog import (
    capability_fields,
    describe_plan,
    timer_request_fields,
    timer_response_received,
)
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.outcomes import judge
from sip_p2p.sip.dialog.reliable import MOST_PRACKS, ReliableReceiver, rseq_of
from sip_p2p.sip.transaction.base import TransactionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.reliable import RAck
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["OutgoingChange"]

_LONGEST_RETRY_AFTER = 10
_LONGEST_SILENCE = 190.0
_MOST_RETRIES = 4
_PAUSE = 0.5


@final
class OutgoingChange:
    """One re-INVITE or UPDATE of ours.

    :ivar errand: the request as it was sent last.
    :ivar method: INVITE or UPDATE.
    :ivar is_refresh: whether only the session timer wants it: the application is told nothing of it.
    :ivar waits: whether it was refused, and its time to be sent again has not come.
    :ivar next_deadline: when it is to be sent again, or to be called off for the peer's silence, or, cancelled, to be
        given up; None while none of these.
    """

    __slots__ = (
        "_description", "_fields", "_is_cancel_sent", "_is_cancelled", "_is_timed", "_offered", "_repairs", "_retries",
        "errand", "is_refresh", "method", "next_deadline", "waits",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        description: ContentDescription | None,
        fields: Sequence[tuple[str, str]] = (),
        is_refresh: bool = False,
    ) -> None:
        self.method = method
        self.is_refresh = is_refresh
        self.errand: Errand | None = None
        self.next_deadline: float | None = None
        self._description = description
        self._fields = fields
        self._is_cancelled = False
        self._is_cancel_sent = False
        # Whether it says of the session timer what holds: then a 2xx that says nothing ends it (RFC 4028 section 7.2).
        self._is_timed = False
        # The reliable response whose offer waits for our answer.
        self._offered: RAck | None = None
        self.waits = False
        self._retries = 0
        # How often it was begun to offer what stands, because the peer may have another idea of that.
        self._repairs = 0

    @property
    def _place(self) -> Place:
        return Place.INVITE if self.method == "INVITE" else Place.UPDATE

    @property
    def _has_offer(self) -> bool:
        # An INVITE without an offer asks for one.
        return self.method == "INVITE" or self._description is not None

    def begin(self, usage: InviteUsage) -> None:
        """Send it for the first time.

        :raises InvalidOperation: retryable when another change has to end first; nothing has changed then.
        """
        if usage.outgoing is not None or usage.incoming is not None:
            raise InvalidOperation("another change of the session is under way", retryable=True)
        self._send(usage)
        usage.outgoing = self

    def _send(self, usage: InviteUsage) -> None:
        """Send it, for the first time or again.

        :raises InvalidOperation: when it may not go now; nothing has changed then.
        """
        if self.method == "INVITE" and (usage.awaited_ack is not None or usage.is_opening):
            # 14.1: not while another INVITE is in progress, in either direction.
            raise InvalidOperation("the last INVITE is not acknowledged yet", retryable=True)
        usage.modification.begin(self.method, has_offer=self._has_offer)
        try:
            usage.offer_answer.sending(self._place, self._description is not None)
            plan = usage.dialog.plan(self.method)
        except InvalidOperation:
            usage.modification.ended(self.method)
            raise
        self.waits = False
        self.next_deadline = None
        self._is_timed = usage.is_timed
        plan.fields += capability_fields(usage.profile, usage.has_timer)
        plan.fields += timer_request_fields(usage, self.method)
        plan.fields += self._fields
        describe_plan(plan, self._description)
        usage.reliable = None
        self._offered = None
        purpose = Purpose.REINVITE if self.method == "INVITE" else Purpose.UPDATE
        self.errand = Errand(usage, plan, purpose)
        usage.core.say(RequestWanted(self.errand))

    def hear(self, usage: InviteUsage, response: Response, flow: Flow, now: float) -> None:
        """A response came by *flow*."""
        if response.status >= 200:
            self._answered(usage, response, flow, now)
            usage.appoint()
            return
        if self._is_cancelled:
            # 9.1: now that there is a response the CANCEL may go.
            self._send_cancel(usage, now)
        elif self.method == "INVITE" and (response.status > 100 or self.next_deadline is None):
            self.next_deadline = now + _LONGEST_SILENCE
            usage.appoint()
        if response.status > 100 and self.method == "INVITE":
            self._hear_provisional(usage, response, flow, now)

    def _hear_provisional(self, usage: InviteUsage, response: Response, flow: Flow, now: float) -> None:
        """A 1xx to the re-INVITE; one that is reliable is acknowledged."""
        if not rseq_of(response):
            usage.take_answer(response, Place.UNRELIABLE)
            return
        receiver = usage.reliable
        if not isinstance(receiver, ReliableReceiver):
            receiver = usage.reliable = ReliableReceiver()
        # RFC 3262 section 3: nothing reliable follows an offer before our PRACK. It will come again.
        is_early = self._offered is not None or usage.offer_answer.pracks_under_way >= MOST_PRACKS
        rack = None if is_early else receiver.received(response)
        if rack is None:
            # RFC 3262 section 4: it came before, or one before it is missing.
            return
        # RFC 6141 section 4.7: the target is refreshed by a reliable provisional response as well.
        usage.dialog.refresh_target(response, flow)
        if usage.take_answer(response, Place.RELIABLE) is Role.OFFER:
            # RFC 3262 section 5: the PRACK carries the answer, and waits for it.
            self._offered = rack
            usage.core.say(OfferReceived(usage, description_of(response), None))
        else:
            usage.send_prack(rack, None, now)

    def answer_offer(
        self, usage: InviteUsage, description: ContentDescription, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Answer the offer in a reliable 1xx (RFC 3262 section 5).

        :raises InvalidOperation: when none waits.
        """
        if self._offered is None:
            raise InvalidOperation("no offer waits for an answer")
        usage.send_prack(self._offered, description, now, fields)
        self._offered = None

    def decline_offer(self, usage: InviteUsage, now: float) -> None:
        """Refuse the offer in a reliable 1xx: there is no way to (RFC 6337 section 2.3), so the INVITE is cancelled.

        :raises InvalidOperation: when none waits.
        """
        if self._offered is None:
            raise InvalidOperation("no offer waits for an answer")
        self.cancel(usage, now)

    def _answered(self, usage: InviteUsage, response: Response, flow: Flow, now: float) -> None:
        status = response.status
        if status < 300:
            self._accepted(usage, response, flow, now)
            return
        is_undone = usage.offer_answer.rollback(self._place)
        if status == 491 and not self._is_cancelled:
            # 14.1: both changed the session at once; who tries again first depends on who made the Call-ID.
            self.next_deadline = usage.modification.refused_491(
                self.method, now, owns_call_id=usage.dialog.is_caller, tokens=usage.core.tokens
            )
            if self.next_deadline is not None:
                self.waits = True
                return
        usage.modification.ended(self.method)
        if not self._is_cancelled and self._is_sent_again(usage, response, now):
            return
        self._finish(usage, response, None, now)
        judge(usage, self.method, response, None, now)
        if is_undone and not usage.is_over and not self.is_refresh:
            # RFC 6141 section 3.4: what a reliable provisional response had agreed on is undone. So that both know, the
            # session is offered as it was before: once, or a peer that refuses that likewise would be asked for ever.
            self._restore(usage)

    def _restore(self, usage: InviteUsage) -> None:
        try:
            OutgoingChange("INVITE", usage.local_description, (), True).begin(usage)
        except InvalidOperation:
            # The peer offers already, and that settles it as well.
            return

    def _is_sent_again(self, usage: InviteUsage, response: Response, now: float) -> bool:
        """Whether the request goes again, changed or later, because of what *response* says."""
        status = response.status
        timer = usage.session_timer
        if timer is not None and status == 422 and timer.too_small(response):
            # RFC 4028 section 7.4: with the larger interval.
            return self._try_again(usage, now)
        if timer is not None and self.is_refresh and timer.fallback(self.method, status):
            # RFC 4028 section 7.4: whoever takes no UPDATE takes an INVITE with the description as it stands.
            self.method = "INVITE"
            self._description = usage.local_description
            return self._try_again(usage, now)
        pause = _retry_after(response)
        if status == 500 and pause is not None and self._retries < _MOST_RETRIES:
            # 14.2, RFC 3311 section 5.2: the peer is still busy with an earlier one, and says when to come again.
            self._retries += 1
            self.waits = True
            self.next_deadline = now + max(float(pause), _PAUSE)
            return True
        return False

    def _try_again(self, usage: InviteUsage, now: float) -> bool:
        try:
            self._send(usage)
        except InvalidOperation as error:
            if not error.retryable:
                return False
            self.waits = True
            self.next_deadline = now + _PAUSE
        return True

    def handle_timer(self, usage: InviteUsage, now: float) -> None:
        """Send it again, or give up waiting: for a word of the peer's, or for the end of what was cancelled."""
        if self.next_deadline is None or now < self.next_deadline:
            return
        self.next_deadline = None
        if self.waits:
            if not self._try_again(usage, now):
                self._finish(usage, None, InvalidOperation("the session cannot be changed any more"), now)
        elif self._is_cancelled:
            # 9.1: without a final response 64*T1 after the CANCEL, the INVITE counts as cancelled.
            if self.errand is not None:
                _let_go(usage.core, self.errand, now)
            usage.offer_answer.rollback(self._place)
            usage.modification.ended(self.method)
            self._finish(usage, None, OperationTimeout("the cancelled INVITE was never answered"), now)
        else:
            # 16.8: a peer that works on it says so each minute; after so long a silence nobody is there any more.
            self.cancel(usage, now)

    def failed(self, usage: InviteUsage, reason: BaseException, now: float) -> None:
        """There will be no final response."""
        is_in_doubt = self._has_offer and (self._repairs > 0 or _was_sent(self.errand))
        usage.offer_answer.rollback(self._place)
        usage.modification.ended(self.method)
        self._finish(usage, None, reason, now)
        judge(usage, self.method, None, reason, now)
        if is_in_doubt and not usage.is_over and usage.local_description and self._repairs < _MOST_RETRIES:
            # 12.2.1.2: with the flow only the answer was lost, perhaps. So that both agree, and the peer has a way to
            # us again, the session is offered as it was before.
            repair = OutgoingChange("INVITE", usage.local_description, (), True)
            repair._repairs = self._repairs + 1
            repair.waits = True
            repair.next_deadline = now + _PAUSE * 2**self._repairs
            usage.outgoing = repair
            usage.appoint()

    def cancel(self, usage: InviteUsage, now: float) -> bool:
        """We want the change no longer; return whether that can be had.

        An INVITE is cancelled, and its outcome is told as ever, since a 2xx can cross the CANCEL. What only waits to be
        sent again is dropped. An UPDATE takes its course: CANCEL is for INVITE (section 9.1).
        """
        if self.waits:
            usage.modification.gave_up()
            self._finish(usage, None, InvalidOperation("the change was called off before it was sent again"), now)
            return True
        if self.method != "INVITE" or self.errand is None:
            return False
        if self._is_cancelled:
            return True
        self._is_cancelled = True
        transaction = self.errand.transaction
        if transaction is None:
            usage.core.say(RequestUnwanted(self.errand))
            usage.offer_answer.rollback(self._place)
            usage.modification.ended(self.method)
            self._finish(usage, None, InvalidOperation("the change was called off before it was sent"), now)
        elif transaction.state is TransactionState.PROCEEDING:
            self._send_cancel(usage, now)
        return True

    def _send_cancel(self, usage: InviteUsage, now: float) -> None:
        if self._is_cancel_sent or self.errand is None or self.errand.transaction is None:
            return
        self._is_cancel_sent = True
        usage.core.cancel(self.errand.transaction, (), now)
        self.next_deadline = now + usage.core.layer.timers.timeout
        usage.appoint()

    def drop(self, usage: InviteUsage, now: float) -> None:
        """The session is over: nothing of it is sent any more.

        A re-INVITE that is on its way may still be accepted, and has to be acknowledged then (RFC 5407 section 3.2.3),
        but nobody waits for that for ever.
        """
        if self.errand is None or self.waits:
            return
        transaction = self.errand.transaction
        if transaction is None:
            usage.core.say(RequestUnwanted(self.errand))
        elif self.method == "INVITE":
            # Timer B alone would not end one that begins to ring.
            usage.core.appointments.set(_Leftover(usage.core, self.errand), now + usage.core.layer.timers.timeout)

    def _accepted(self, usage: InviteUsage, response: Response, flow: Flow, now: float) -> None:
        dialog = usage.dialog
        # 12.2.1.2, RFC 3311 section 5.3: a 2xx to a target refresh request refreshes the target.
        dialog.refresh_target(response, flow)
        usage.capabilities.heard(response)
        if self._is_timed or "Session-Expires" in response.headers:
            timer_response_received(usage, response, now)
        if self.method != "INVITE":
            self._keep_local(usage, usage.take_answer(response, Place.UPDATE_2XX) is Role.ANSWER)
            usage.modification.ended(self.method)
            self._finish(usage, response, None, now)
            return
        usage.owed_ack = OwedAck(response.cseq.number, response, usage.owed_ack)
        offer_answer = usage.offer_answer
        try:
            description = description_of(response)
        except MalformedMessage:
            description = None
        # What a provisional response has answered needs no answer here.
        was_answered = offer_answer.is_previewed or not offer_answer.awaits_answer
        role = offer_answer.received(Place.INVITE_2XX, description is not None)
        if role is Role.OFFER:
            # 14.1: we asked for an offer; the ACK answers it.
            usage.core.say(OfferReceived(usage, description, None))
            return
        if role is Role.ANSWER and description is not None:
            usage.core.say(AnswerReceived(usage, description))
        self._keep_local(usage, was_answered or role is Role.ANSWER)
        usage.acknowledge(None, (), now)

    def acknowledged(self, usage: InviteUsage, response: Response | None, now: float) -> None:
        """The ACK of the re-INVITE's 2xx is on its way."""
        usage.modification.ended(self.method)
        self._finish(usage, response, None, now)

    def _keep_local(self, usage: InviteUsage, is_answered: bool) -> None:
        if self._description is not None and is_answered:
            usage.local_description = self._description

    def _finish(self, usage: InviteUsage, response: Response | None, reason: BaseException | None, now: float) -> None:
        """This is how it went."""
        if reason is None and self.errand is not None:
            reason = self.errand.refusal
        usage.outgoing = None
        self.next_deadline = None
        if usage.session_timer is not None and (response is None or response.status >= 300):
            usage.session_timer.refresh_failed(now)
        if not self.is_refresh:
            usage.core.say(ModificationEnded(usage, response, reason))
        usage.appoint()


@final
class _Leftover:
    """A re-INVITE that somebody works on, of a session that is over."""

    __slots__ = ("_core", "_errand")

    def __init__(self, core: UserAgentCore, errand: Errand) -> None:
        self._core = core
        self._errand = errand

    def handle_timer(self, now: float) -> None:
        """9.1: without a final response after 64*T1 there will be none."""
        _let_go(self._core, self._errand, now)


def _let_go(core: UserAgentCore, errand: Errand, now: float) -> None:
    """Nobody waits for the outcome of *errand* any more."""
    if errand.transaction is not None:
        core.layer.abandon(errand.transaction, now)
    core.say(RequestUnwanted(errand))


def _was_sent(errand: Errand | None) -> bool:
    return errand is not None and errand.transaction is not None


def _retry_after(response: Response) -> int | None:
    """The seconds of Retry-After; None where it has none, or one that is too long to wait for here."""
    value = response.headers.get("Retry-After")
    if value is None:
        return None
    try:
        return parse_number(value.partition(";")[0].partition("(")[0].strip(" \t"), _LONGEST_RETRY_AFTER)
    except ValueError:
        return None
