"""A change of the session that the peer asks for: its re-INVITE or UPDATE, from the checks to our answer (RFC 3261
section 14.2, RFC 3311 section 5.2, RFC 4028 section 9, RFC 6141).

One exists only while the peer waits for us. What need not wait (an UPDATE that only refreshes) and what cannot be
(a second one, one that met ours) is answered here and now, and makes none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import OfferReceived, OfferWithdrawn
from sip_p2p.sip.dialog.mid_dialog import describe_response, in_dialog_response, refuse
from sip_p2p.sip.dialog.offer_answer import Place
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.uri import Uri

__all__ = ["IncomingChange", "receive_change"]


def receive_change(usage: InviteUsage, output: InDialogRequestReceived, now: float) -> None:
    """A re-INVITE or an UPDATE came in the dialog."""
    request = output.request
    method = request.method
    place = Place.INVITE if method == "INVITE" else Place.UPDATE
    core = usage.core
    transaction = output.transaction
    if method == "INVITE" and (status := usage.refusal_of_invite()):
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
    status, fields = usage.judge_timer(request)
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
    usage.capabilities.heard(request)
    change = IncomingChange(transaction, request, target)
    if method == "UPDATE" and description is None:
        # RFC 3311 section 5.2, RFC 4028 section 9: it refreshes the target and the timer, and nobody has to be asked.
        change.accept(usage, None, (), now)
        return
    usage.incoming = change
    transaction.user = usage
    core.say(OfferReceived(usage, description, request))


@final
class IncomingChange:
    """A re-INVITE or UPDATE of the peer's that waits for our answer.

    :ivar transaction: its transaction.
    """

    __slots__ = ("_former_target", "_method", "transaction")

    def __init__(self, transaction: ServerTransaction, request: Request, former_target: Uri) -> None:
        """
        :param former_target: the remote target before it came.
        """
        self.transaction = transaction
        self._method = request.method
        self._former_target = former_target

    @property
    def method(self) -> str:
        """INVITE or UPDATE."""
        return self._method

    def accept(
        self,
        usage: InviteUsage,
        description: ContentDescription | None,
        fields: Sequence[tuple[str, str]],
        now: float,
    ) -> None:
        """Answer with a 2xx and *description*: an answer or, where the re-INVITE asked for one, an offer.

        :raises InvalidOperation: when a description has to stand there and is missing, or must not.
        :raises AlreadyResponded: when the request is over; the change is withdrawn then.
        """
        core = usage.core
        method = self._method
        if self.transaction.is_final_sent:
            self.withdraw(usage, None, now)
        usage.offer_answer.sending(
            Place.INVITE_2XX if method == "INVITE" else Place.UPDATE_2XX, description is not None
        )
        response = in_dialog_response(core, self.transaction, 200, usage.dialog, usage.profile)
        for name, value in usage.timer_response_fields(method, now):
            response.headers.add(name, value)
        for name, value in fields:
            response.headers.add(name, value)
        describe_response(response, description)
        usage.incoming = None
        usage.modification.answered(method)
        if description is not None:
            usage.local_description = description
        if method == "INVITE":
            usage.send_2xx(self.transaction, response, now)
        else:
            core.respond(self.transaction, response, now)
            usage.appoint()
            usage.settle(now)

    def decline(
        self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float, reason: str | None = None
    ) -> None:
        """Refuse it: the session goes on as it was (section 14.2)."""
        self._undo(usage)
        refuse(usage.core, self.transaction, status, now, fields, reason)
        usage.appoint()
        usage.settle(now)

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
        if self._method != "INVITE":
            raise InvalidOperation("only an INVITE has provisional responses")
        response = in_dialog_response(usage.core, self.transaction, status, usage.dialog, usage.profile)
        if reason is not None:
            response.reason = reason
        for name, value in fields:
            response.headers.add(name, value)
        usage.core.respond(self.transaction, response, now)

    def withdraw(self, usage: InviteUsage, request: Request | None, now: float) -> None:
        """It is over without an answer of ours: cancelled by *request*, or its flow was lost."""
        self._undo(usage)
        usage.core.say(OfferWithdrawn(usage, request))
        usage.settle(now)

    def _undo(self, usage: InviteUsage) -> None:
        """12.2.2: of a request that is refused nothing stays."""
        usage.offer_answer.rollback(Place.INVITE if self._method == "INVITE" else Place.UPDATE)
        usage.modification.answered(self._method)
        usage.dialog.remote_target = self._former_target
        usage.incoming = None
