"""A change of the session that the peer asks for: its re-INVITE or UPDATE, from the checks to our answer (RFC 3261
section 14.2, RFC 3311 section 5.2, RFC 4028 section 9, RFC 6141).

One exists only while the peer waits for us. What need not wait (an UPDATE that only refreshes) and what cannot be
(a second one, one that met ours) is answered here and now, and makes none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import OfferReceived, OfferWithdrawn
from sip_p2p.sip.dialog.incoming_invite import has_option, wants_secure_contact
from sip_p2p.sip.dialog.mid_dialog import (
    describe_response,
    in_dialog_response,
    judge_timer,
    refuse,
    timer_response_fields,
)
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.reliable import OPTION_TAG as RELIABLE
from sip_p2p.sip.dialog.reliable import ReliableSender, first_rseq
from sip_p2p.sip.readings import seconds_of, warning_value
from sip_p2p.sip.transaction.base import TransactionState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.uri import Uri

__all__ = ["IncomingChange", "answer_prack", "receive_change"]

_REFRESH = 60.0
_FOR_EVER = 2**32


def receive_change(usage: InviteUsage, output: InDialogRequestReceived, now: float) -> None:
    """A re-INVITE or an UPDATE came in the dialog."""
    request = output.request
    method = request.method
    place = Place.INVITE if method == "INVITE" else Place.UPDATE
    core = usage.core
    transaction = output.transaction
    if method == "INVITE" and (status := _refusal_of_invite(usage)):
        refuse(core, transaction, status, now)
        return
    try:
        description = description_of(request)
    except MalformedMessage as error:
        refuse(core, transaction, error.status, now, (("Warning", warning_value(error.reason)),))
        return
    status = usage.modification.incoming(method, has_offer=method == "INVITE" or description is not None)
    if status:
        refuse(core, transaction, status, now)
        return
    target = usage.dialog.remote_target
    status, fields = judge_timer(usage, request)
    if not status:
        try:
            # 12.2.2: refreshed for as long as the request is not refused.
            usage.dialog.refresh_target(request, output.flow)
        except MalformedMessage as error:
            status, fields = error.status, [("Warning", warning_value(error.reason))]
    if not status:
        role = usage.offer_answer.received(place, description is not None)
        status = role if isinstance(role, int) else 0
    if status:
        usage.dialog.remote_target = target
        usage.modification.answered(method)
        refuse(core, transaction, status, now, fields)
        return
    packages = usage.capabilities.recv_info
    usage.capabilities.heard(request)
    if method == "INVITE" and usage.awaited_ack is not None:
        usage.awaited_ack.overtaken()
    change = IncomingChange(usage, transaction, request, target, packages, now)
    if method == "UPDATE" and description is None:
        # RFC 3311 section 5.2, RFC 4028 section 9: it refreshes the target and the timer, and nobody has to be asked.
        change.accept(usage, None, (), now)
        if usage.incoming is not None:
            usage.incoming.overtaken(usage)
        return
    usage.incoming = change
    transaction.user = usage
    usage.appoint()
    core.say(OfferReceived(usage, description, request))


def _refusal_of_invite(usage: InviteUsage) -> int:
    """The status that a re-INVITE is refused with because the INVITE that opens the session is not done; 0 for none."""
    if usage.is_opening:
        # 14.2: it is under way still: ours, or the peer's.
        return 491 if usage.dialog.is_caller else 500
    waiting = usage.awaited_ack
    if waiting is not None and usage.offer_answer.awaits_answer:
        # RFC 5407 section 3.1.5: our 2xx made an offer, and the ACK that answers it is still to come.
        return 491
    # RFC 5407 section 3.1.4: a re-INVITE may overtake an ACK. One after the other from a peer that acknowledges none
    # would have us say ever more of them again and again.
    return 500 if waiting is not None and waiting.is_one_of_many else 0


@final
class IncomingChange:
    """A re-INVITE or UPDATE of the peer's that waits for our answer.

    :ivar transaction: its transaction.
    :ivar method: INVITE or UPDATE.
    """

    __slots__ = (
        "_again_at", "_cseq", "_expires_at", "_former_packages", "_former_target", "_has_packages", "_is_reliable",
        "_local_cseq", "_recorded", "_sender", "_status", "_wants_secure", "method", "transaction",
    )  # fmt: skip

    def __init__(
        self,
        usage: InviteUsage,
        transaction: ServerTransaction,
        request: Request,
        former_target: Uri,
        former_packages: str | None,
        now: float,
    ) -> None:
        """
        :param former_target: the remote target before it came.
        :param former_packages: the peer's Recv-Info before it came.
        """
        self.transaction = transaction
        self.method = request.method
        self._cseq = request.cseq
        self._former_target = former_target
        self._local_cseq = usage.dialog.local_cseq
        self._former_packages = former_packages
        self._has_packages = "Recv-Info" in request.headers
        self._recorded = tuple(request.headers.get_all("Record-Route"))
        # 12.1.1: the Contact that was sips in the first answer is so in the next ones.
        self._wants_secure = wants_secure_contact(request)
        # RFC 3262 section 3: whether every provisional response but 100 has to arrive.
        self._is_reliable = has_option(request, "Require", RELIABLE)
        self._sender: ReliableSender | None = None
        self._status = 183
        self._again_at = self._expires_at = math.inf
        if request.method == "INVITE":
            self._again_at = now + _REFRESH
            self._expires_at = now + seconds_of(request.headers, "Expires", _FOR_EVER)

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`handle_timer` is to be called; None for an UPDATE, which has to be answered at once."""
        due = None if self._sender is None else self._sender.next_deadline
        earliest = min(self._again_at, self._expires_at, math.inf if due is None else due)
        return None if earliest == math.inf else earliest

    def accept(
        self,
        usage: InviteUsage,
        description: ContentDescription | None,
        fields: Sequence[tuple[str, str]],
        now: float,
    ) -> None:
        """Answer with a 2xx and *description*: an answer or, where the re-INVITE asked for one, an offer.

        :raises InvalidOperation: when a description has to stand there and is missing, or must not.
        :raises ValueError: for a field that cannot be written.
        :raises AlreadyResponded: when the request is over; the change is withdrawn then.
        """
        core = usage.core
        method = self.method
        if self.transaction.is_final_sent or self.transaction.state is TransactionState.TERMINATED:
            self.withdraw(usage, None, now)
            raise AlreadyResponded(f"this {method} is over")
        # First what can be refused, so that nothing has changed then.
        response = self._response(usage, 200, fields)
        describe_response(response, description)
        usage.offer_answer.sending(
            Place.INVITE_2XX if method == "INVITE" else Place.UPDATE_2XX, description is not None
        )
        for name, value in timer_response_fields(usage, method, now):
            response.headers.add(name, value)
        self._close(usage)
        if description is not None:
            usage.local_description = description
        if method == "INVITE":
            usage.send_2xx(self.transaction, response, now)
        else:
            core.respond(self.transaction, response, now)
            usage.appoint()
            _settled(usage, now)

    def decline(
        self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float, reason: str | None = None
    ) -> None:
        """Refuse it: the session goes on as it was (section 14.2)."""
        self._undo(usage)
        refuse(usage.core, self.transaction, status, now, fields, reason, may_retry=False)
        usage.appoint()
        _settled(usage, now)

    def progress(
        self,
        usage: InviteUsage,
        status: int,
        fields: Sequence[tuple[str, str]],
        now: float,
        reason: str | None = None,
    ) -> None:
        """Say that the answer takes its time.

        :raises InvalidOperation: for an UPDATE, which has no provisional responses but 100 (RFC 4320).
        :raises ValueError: for a status that is none of 101 to 199.
        """
        if not 101 <= status <= 199:
            raise ValueError(f"{status} is no provisional response that says anything: 101 to 199")
        if self.method != "INVITE":
            raise InvalidOperation("only an INVITE has provisional responses")
        response = self._response(usage, status, fields, reason)
        self._status = status
        usage.offer_answer.sending(Place.RELIABLE if self._is_reliable else Place.UNRELIABLE, False)
        if not self._is_reliable:
            usage.core.respond(self.transaction, response, now)
            return
        core = usage.core
        if self._sender is None:
            self._sender = ReliableSender(self._cseq, first_rseq(core.tokens), core.layer.timers)
            # RFC 6141 section 4.4: with it the target is refreshed, whatever the final response says.
            self._former_target = usage.dialog.remote_target
        self._say(usage, self._sender.send(response, now), now)

    def prack_received(self, usage: InviteUsage, output: InDialogRequestReceived, now: float) -> bool:
        """A PRACK came; return whether it acknowledges a provisional response of this change, and was answered."""
        sender = self._sender
        if sender is None:
            return False
        if answer_prack(usage, sender, output, now):
            self._say(usage, sender.following(now), now)
        return True

    def handle_timer(self, usage: InviteUsage, now: float) -> None:
        """Say again what waits for its PRACK; refuse the re-INVITE when none comes, and when it has expired. Say each
        minute that it is still being thought about."""
        if now >= self._expires_at:
            # 13.3.1, step 1: it has expired before there was a final response.
            refuse(usage.core, self.transaction, 487, now)
            self.withdraw(usage, None, now)
            return
        if now >= self._again_at:
            # 13.3.1.1: so that nobody on the way, and no peer, takes the silence for an end.
            self._again_at = now + _REFRESH
            self._say_again(usage, now)
        sender = self._sender
        if sender is None:
            return
        self._say(usage, sender.due(now), now)
        if sender.has_given_up:
            # RFC 3262 section 3: after 64*T1 the INVITE is refused with a 5xx.
            self._undo(usage)
            refuse(usage.core, self.transaction, 504, now)
            usage.core.say(OfferWithdrawn(usage, None))

    def _say_again(self, usage: InviteUsage, now: float) -> None:
        if self._sender is not None and self._sender.is_waiting:
            # It is said all the time, until the PRACK comes.
            return
        try:
            self.progress(usage, self._status, (), now)
        except InvalidOperation:
            # What is said reliably would have to make the offer; or the flow is gone, and that is about to be told.
            return

    def _say(self, usage: InviteUsage, response: Response | None, now: float) -> None:
        if response is not None:
            usage.core.respond(self.transaction, response, now)
            usage.appoint()

    def _response(
        self,
        usage: InviteUsage,
        status: int,
        fields: Sequence[tuple[str, str]],
        reason: str | None = None,
    ) -> Response:
        response = in_dialog_response(usage, self.transaction, status, self._has_packages, self._wants_secure)
        if reason is not None:
            response.reason = reason
        headers = response.headers
        for value in self._recorded:
            # 12.1.1: the routes go back as they came, so that a peer that has lost its route set finds it here.
            headers.add("Record-Route", value)
        for name, value in fields:
            headers.add(name, value)
        return response

    def overtaken(self, usage: InviteUsage) -> None:
        """A later request was accepted meanwhile: what that has said stands, whatever becomes of this one."""
        self._former_target = usage.dialog.remote_target
        self._former_packages = usage.capabilities.recv_info

    def withdraw(self, usage: InviteUsage, request: Request | None, now: float) -> None:
        """It is over without an answer of ours: cancelled by *request*, expired, or its flow was lost."""
        self._undo(usage)
        usage.core.say(OfferWithdrawn(usage, request))
        _settled(usage, now)

    def _undo(self, usage: InviteUsage) -> None:
        """12.2.2: of a request that is refused nothing stays."""
        usage.offer_answer.rollback(Place.INVITE if self.method == "INVITE" else Place.UPDATE)
        dialog, capabilities = usage.dialog, usage.capabilities
        if dialog.local_cseq == self._local_cseq:
            # RFC 6141 section 4.6: unless a request of ours has gone to the new target.
            dialog.remote_target = self._former_target
        # RFC 6086 section 5.2.4: what it said of packages counts as never said.
        capabilities.recv_info = self._former_packages
        self._close(usage)

    def _close(self, usage: InviteUsage) -> None:
        """It has its final response. An UPDATE that only refreshes may have come while another one waits."""
        usage.modification.answered(self.method)
        if self._sender is not None:
            # RFC 3262 section 3: what is out can be acknowledged still.
            self._sender.stop()
            usage.reliable = self._sender if self._sender.is_out else None
        if usage.incoming is self:
            usage.incoming = None


def answer_prack(usage: InviteUsage, sender: ReliableSender, output: InDialogRequestReceived, now: float) -> bool:
    """Answer a PRACK for what *sender* has sent, none of which carried a description (RFC 3262 section 3).

    :returns: whether it acknowledged it.
    """
    status = sender.prack(output.request)
    is_acknowledged = status == 200
    if is_acknowledged and not usage.is_over:
        role = usage.offer_answer.received(Place.PRACK, bool(output.request.body))
        if role is Role.OFFER:
            # RFC 3262 section 5: nobody is there any more to answer it in the 2xx.
            usage.offer_answer.rollback(Place.PRACK)
            role = 488
        status = role if isinstance(role, int) else status
    if status == 200:
        usage.offer_answer.sending(Place.PRACK_2XX, False)
        usage.core.respond(output.transaction, usage.core.response(output.transaction, 200), now)
    else:
        refuse(usage.core, output.transaction, status, now)
    return is_acknowledged


def _settled(usage: InviteUsage, now: float) -> None:
    """An UPDATE in an early dialog has its answer: a 2xx to the INVITE may have waited for that."""
    if usage.invitation is not None:
        usage.invitation.settled(usage, now)
