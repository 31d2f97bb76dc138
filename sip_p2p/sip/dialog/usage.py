"""What INVITE makes of one dialog, from the first response to the last BYE (RFC 3261 sections 12 to 15, RFC 5057
section 4.1).

::

    Early ----2xx----> Accepted ----ACK----> Confirmed ----BYE of ours----> Ending
      |                    |                     |                            |
      +--- it came to nothing; a BYE of the peer's; nobody there any more ----+----> Ended

Accepted lasts until the ACK is on its way, where we called, and until it has come, where we were called. Ending lasts
until the outcome of our BYE is known. In both the dialog is still found.

:class:`InviteUsage` is where every input of one dialog arrives, and who decides what it means for the session as a
whole. What takes more than a moment has an object of its own while it lasts: a change that we ask for
(:mod:`.outgoing_change`), one that the peer asks for (:mod:`.incoming_change`), an ACK at either end
(:mod:`.acknowledging`).

Left out: the INVITE that opens the session, and its responses (:mod:`.client_invitation`, :mod:`.server_invitation`).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, final

from sip_p2p.errors import InvalidOperation, MalformedMessage, OperationTimeout
from sip_p2p.sip.dialog.acknowledging import AwaitedAck, OwedAck
from sip_p2p.sip.dialog.capabilities import Capabilities
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import (
    AckWanted,
    AnswerReceived,
    Ending,
    Errand,
    Established,
    Purpose,
    RequestEnded,
    RequestWanted,
    UsageEnded,
)
from sip_p2p.sip.dialog.incoming_change import IncomingChange, receive_change
from sip_p2p.sip.dialog.info import info_status
from sip_p2p.sip.dialog.mid_dialog import describe_plan, refuse
from sip_p2p.sip.dialog.modification import Modification
from sip_p2p.sip.dialog.offer_answer import OfferAnswer, Place, Role
from sip_p2p.sip.dialog.outgoing_change import OutgoingChange
from sip_p2p.sip.dialog.reach import Reach, reach_of
from sip_p2p.sip.dialog.reliable import ReliableReceiver
from sip_p2p.sip.dialog.session_timer import SessionTimer, SessionTimerSettings, TimerDue
from sip_p2p.sip.message import Response
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.reliable import RAck
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.outputs import RequestAbandoned
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Invitation", "InviteUsage", "UsageState"]

_USUAL_TIMER = SessionTimerSettings(interval=None)


class UsageState(enum.Enum):
    """How far a session is in one dialog."""

    EARLY = "no 2xx yet"
    ACCEPTED = "there is a 2xx, and no ACK yet"
    CONFIRMED = "established"
    ENDING = "our BYE is on its way"
    ENDED = "over"


_EARLY = UsageState.EARLY
_ACCEPTED = UsageState.ACCEPTED
_CONFIRMED = UsageState.CONFIRMED
_ENDING = UsageState.ENDING
_ENDED = UsageState.ENDED


class Invitation(Protocol):
    """The INVITE that a usage came of, as the usage sees it until it is established."""

    @property
    def profile(self) -> Profile | None:
        """The party of ours; None where it is to be found by its address."""

    def prack_received(self, usage: InviteUsage, output: InDialogRequestReceived, now: float) -> None:
        """A PRACK came in the early dialog: answer it."""

    def answer_offer(
        self, usage: InviteUsage, description: ContentDescription, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Answer the offer that came in a reliable provisional response, or in a PRACK."""

    def decline_offer(self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float) -> None:
        """Refuse such an offer."""

    def settled(self, usage: InviteUsage, now: float) -> None:
        """An UPDATE of the peer's in the early dialog has its answer: what waited for that may go on."""

    def usage_ended(self, usage: InviteUsage, now: float) -> None:
        """The usage is over, by itself or because the invitation said so."""


@final
class _Farewell:
    """How a session ends that is not over yet.

    :ivar fields: what our BYE carries, while it waits to be sent.
    """

    __slots__ = ("ending", "fields", "message")

    def __init__(
        self, ending: Ending, fields: Sequence[tuple[str, str]] = (), message: Request | Response | None = None
    ) -> None:
        self.ending = ending
        self.fields = fields
        self.message = message


@final
class InviteUsage:
    """A session in one dialog. Its attributes are its parts, each a machine of its own; most stand empty at most times.

    :ivar core: the core whose dialog it is.
    :ivar profile: the party of ours in it.
    :ivar dialog: the dialog.
    :ivar invitation: the INVITE that it came of, while it is early; None later.
    :ivar user: whatever the facade wants to find again.
    :ivar state: how far it is.
    :ivar offer_answer: where an offer or an answer may stand.
    :ivar modification: who may change the session, and when.
    :ivar capabilities: what the peer has said of itself.
    :ivar session_timer: how long the session lasts; None before anybody has said anything of it.
    :ivar reliable: the order of the reliable provisional responses to the INVITE of ours that is under way.
    :ivar local_description: our last description that counted, for a refresh that has to repeat it.
    :ivar outgoing: the change that we ask for.
    :ivar incoming: the change that the peer asks for.
    :ivar owed_ack: the ACK of the last 2xx that the peer sent.
    :ivar awaited_ack: the last 2xx that we sent, until its ACK comes.
    :ivar ending: how it ended, or will once the outcome of our BYE is known; None before.
    """

    __slots__ = (
        "_farewell",
        "_unanswered",
        "awaited_ack",
        "capabilities",
        "core",
        "dialog",
        "ending",
        "incoming",
        "invitation",
        "local_description",
        "modification",
        "offer_answer",
        "outgoing",
        "owed_ack",
        "profile",
        "reliable",
        "session_timer",
        "state",
        "user",
    )

    def __init__(
        self,
        core: UserAgentCore,
        dialog: Dialog,
        invitation: Invitation | None,
        user: object = None,
        profile: Profile | None = None,
    ) -> None:
        """An early usage; its dialog is found from now on.

        :param profile: the party of ours in it; by default the invitation's or, where it names none, whoever has the
            dialog's local address.
        """
        self.core = core
        self.dialog = dialog
        self.invitation = invitation
        if profile is None and invitation is not None:
            profile = invitation.profile
        self.profile = _party_of(core, dialog) if profile is None else profile
        self.user = user
        self.state = _EARLY
        self.offer_answer = OfferAnswer()
        self.modification = Modification()
        self.capabilities = Capabilities()
        self.session_timer: SessionTimer | None = None
        self.reliable: ReliableReceiver | None = None
        self.local_description: ContentDescription | None = None
        self.outgoing: OutgoingChange | None = None
        self.incoming: IncomingChange | None = None
        self.owed_ack: OwedAck | None = None
        self.awaited_ack: AwaitedAck | None = None
        self.ending: Ending | None = None
        self._farewell: _Farewell | None = None
        # The keys of the transactions that the application has to answer: no object lives longer for it.
        self._unanswered: tuple[str, ...] = ()
        dialog.user = self
        core.dialogs.add(dialog)

    @classmethod
    def resumed(cls, core: UserAgentCore, dialog: Dialog, profile: Profile, user: object = None) -> InviteUsage:
        """An established session that was saved and is taken up again."""
        usage = cls(core, dialog, None, user, profile)
        usage.state = _CONFIRMED
        usage.offer_answer = OfferAnswer(is_agreed=True)
        return usage

    # -- the session opens ---------------------------------------------------------------------------------------------

    def accepted(self, response: Response, cseq: int, now: float, flow: Flow | None = None) -> None:
        """The first 2xx of this dialog to our INVITE came; :meth:`acknowledge` has to follow.

        :param cseq: the sequence number of the INVITE.
        :param flow: the flow that the 2xx came by.
        """
        # 13.2.2.4: the route set and the target are the 2xx's, whatever provisional responses said.
        self.dialog.confirm(response, flow)
        self.capabilities.heard(response)
        self.state = _ACCEPTED
        self.owed_ack = OwedAck(cseq, response)
        self.timer_response_received(response, now)
        self.appoint()

    def accepted_again(self, response: Response, now: float) -> None:
        """The 2xx came again: its ACK did not arrive, and goes again (13.2.2.4), also when the session is over."""
        if self.owed_ack is not None and self.owed_ack.cseq == response.cseq.number:
            self.owed_ack.again(self.core)

    def acknowledge(
        self, description: ContentDescription | None, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Acknowledge the 2xx to our INVITE or re-INVITE, with the answer to the offer that it carried, if it did.

        :raises InvalidOperation: when no ACK is owed, when the answer is missing, and when there is nothing to answer.
        """
        owed = self.owed_ack
        if owed is None or not owed.is_owed:
            raise InvalidOperation("no 2xx waits for an ACK")
        self.offer_answer.sending(Place.ACK, description is not None)
        self._send_ack(owed, description, fields, now)

    def _send_ack(
        self, owed: OwedAck, description: ContentDescription | None, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        response, owed.response = owed.response, None
        # RFC 6026 section 7.2: timer M is how long the 2xx may come again.
        owed.until = now + self.core.layer.timers.timeout
        plan = self.dialog.ack_plan(owed.cseq)
        plan.fields += fields
        describe_plan(plan, description)
        if description is not None:
            self.local_description = description
        self.core.say(AckWanted(self, plan))
        if response is None or self.state is _ENDING:
            return
        if self.state is _ACCEPTED:
            self._establish(response)
        elif self.outgoing is not None:
            self.outgoing.acknowledged(self, response, now)
        self.appoint()

    def ack_sent(self, octets: bytes, flow: Flow) -> None:
        """The ACK left, as *octets* on *flow*."""
        if self.owed_ack is not None:
            self.owed_ack.sent(octets, flow)

    def send_2xx(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer the peer's INVITE or re-INVITE with *response*, a 2xx, and say it again until its ACK comes.

        :raises AlreadyResponded: when the INVITE has its final response, or its flow is gone.
        """
        self.core.respond(transaction, response, now)
        is_first = self.state is _EARLY
        self.awaited_ack = AwaitedAck(self.core, transaction, response, now, is_first, self.awaited_ack)
        if is_first:
            self.state = _ACCEPTED
            self.dialog.confirm()
        self.appoint()

    def ack_received(self, request: Request, flow: Flow, now: float) -> None:
        """An ACK came in this dialog. One that nobody waits for came again, and changes nothing."""
        waiting = self.awaited_ack
        acknowledged = None if waiting is None else waiting.find(request.cseq.number)
        if waiting is None or acknowledged is None or self.state in (_ENDING, _ENDED):
            return
        self.awaited_ack = waiting.without(acknowledged)
        if acknowledged.is_first:
            self._establish(request)
        self.take_answer(request, Place.ACK)
        if self._farewell is not None:
            # 15: we were called, and had to wait for this.
            self._send_bye(self._farewell, now)
        elif self.offer_answer.has_failed:
            self.bye(now, ending=Ending.NO_AGREEMENT)
        else:
            self.appoint()

    def _establish(self, message: Request | Response) -> None:
        self.state = _CONFIRMED
        self.invitation = None
        self.core.say(Established(self, message))

    def take_answer(self, message: Request | Response, place: Place) -> None:
        """What *message* carries in *place* is the answer to our offer, if it is due there."""
        try:
            description = description_of(message)
        except MalformedMessage:
            # An answer that cannot be read is none.
            description = None
        role = self.offer_answer.received(place, description is not None)
        if role is Role.ANSWER and description is not None:
            self.core.say(AnswerReceived(self, description))

    # -- provisional responses that have to arrive ---------------------------------------------------------------------

    def send_prack(
        self,
        rack: RAck,
        description: ContentDescription | None,
        now: float,
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Acknowledge the reliable provisional response that *rack* names (RFC 3262 section 4).

        :param description: the answer to its offer, or an offer of ours.
        :raises InvalidOperation: when the description may not stand there.
        """
        self.offer_answer.sending(Place.PRACK, description is not None)
        plan = self.dialog.plan("PRACK")
        plan.fields.append(("RAck", str(rack)))
        plan.fields += fields
        describe_plan(plan, description)
        if description is not None:
            self.local_description = description
        self.core.say(RequestWanted(Errand(self, plan, Purpose.PRACK)))

    def reliable_response(self, response: Response, flow: Flow, now: float) -> None:
        """A provisional response to our re-INVITE came; one that is reliable and in order is acknowledged."""
        if self.reliable is None:
            self.reliable = ReliableReceiver()
        rack = self.reliable.received(response)
        if rack is None:
            # RFC 3262 section 4: not reliable, or it came before, or one before it is missing.
            return
        # RFC 6141 section 4.7: a reliable provisional response refreshes the target too.
        self.dialog.refresh_target(response, flow)
        self.capabilities.heard(response)
        self.take_answer(response, Place.RELIABLE)
        self.send_prack(rack, None, now)

    # -- the peer's requests -------------------------------------------------------------------------------------------

    def request_received(self, output: InDialogRequestReceived, now: float) -> bool:
        """A request came in the dialog and passed its checks.

        :returns: True where it was dealt with here; False where the application is to answer it, by
            :meth:`~sip_p2p.sip.user_agent.UserAgentCore.respond`. One that it has not answered when the session ends
            is answered here.
        """
        method = output.request.method
        transaction = output.transaction
        if method == "BYE":
            self._bye_received(output, now)
        elif self.state is _ENDING or self.state is _ENDED:
            # RFC 5407 section 3.2: after our BYE there is no session to be talked about.
            refuse(self.core, transaction, 481, now)
        elif method in ("INVITE", "UPDATE"):
            receive_change(self, output, now)
        elif method == "PRACK":
            if self.invitation is not None:
                self.invitation.prack_received(self, output, now)
            else:
                # RFC 3262 section 3: no provisional response waits for it.
                refuse(self.core, transaction, 481, now)
        elif method == "INFO" and (status := info_status(output.request, self.profile.info_packages)):
            # RFC 6086 section 4.2.2: with 469 goes what would be taken.
            fields = (("Recv-Info", ", ".join(self.profile.info_packages)),) if status == 469 else ()
            refuse(self.core, transaction, status, now, fields)
        else:
            waiting = self.core.layer.table.servers
            self._unanswered = (*(key for key in self._unanswered if key in waiting), transaction.key)
            return False
        return True

    def refusal_of_invite(self) -> int:
        """The status to refuse a re-INVITE with because of the INVITE that opens the session; 0 for none."""
        if self.state is _EARLY or (self.state is _ACCEPTED and self.dialog.is_caller):
            # 14.2: the first INVITE is still under way: ours, or the peer's.
            return 491 if self.dialog.is_caller else 500
        if self.awaited_ack is not None and self.offer_answer.awaits_answer:
            # RFC 5407 section 3.1.5: our 2xx made an offer, and the ACK that answers it is still to come.
            return 491
        return 0

    def _bye_received(self, output: InDialogRequestReceived, now: float) -> None:
        # 15.1.2: 200 whatever was; also to a BYE that crosses ours (RFC 5407 section 3.2.2).
        self.core.respond(output.transaction, self.core.response(output.transaction, 200), now)
        farewell = self._farewell if self.state is _ENDING else None
        self.ended(Ending.REMOTE_BYE if farewell is None else farewell.ending, now, output.request)

    def abandoned(self, output: RequestAbandoned, now: float) -> None:
        """A request of the peer's is over before we had answered it: cancelled (H20), or its flow was lost."""
        if self.incoming is not None and self.incoming.transaction is output.transaction:
            self.incoming.withdraw(self, output.request, now)

    # -- the session changes -------------------------------------------------------------------------------------------

    def modify(
        self,
        description: ContentDescription | None,
        now: float,
        fields: Sequence[tuple[str, str]] = (),
        method: str | None = None,
    ) -> None:
        """Change the session: offer *description* or, with None, ask the peer by re-INVITE for an offer.

        :param method: ``INVITE`` or ``UPDATE``; by default UPDATE before the session is established and INVITE after.
        :raises InvalidOperation: retryable when another change has to end first; not where the session is over, and
            where it is early and the method is INVITE.
        """
        if self.state is _ENDING or self.state is _ENDED:
            raise InvalidOperation("the session is over")
        if method is None:
            method = "INVITE" if self.state is _CONFIRMED else "UPDATE"
        if method == "INVITE" and self.state is _EARLY:
            raise InvalidOperation("before it is established a session is changed by UPDATE (RFC 3311 section 5.1)")
        if self.outgoing is not None or self.incoming is not None:
            raise InvalidOperation("another change of the session is under way", retryable=True)
        if method == "INVITE" and (self.state is not _CONFIRMED or self.awaited_ack is not None):
            # 14.1: not while another INVITE is in progress.
            raise InvalidOperation("the last INVITE is not acknowledged yet", retryable=True)
        change = OutgoingChange(method, description, fields)
        change.send(self)
        self.outgoing = change

    def cancel_modification(self, now: float) -> bool:
        """Call off the change that :meth:`modify` began (RFC 6141 section 3.5); its outcome is told as ever.

        :returns: False where there is none, or it is an UPDATE, which cannot be cancelled.
        """
        return self.outgoing is not None and self.outgoing.cancel(self, now)

    def answer(
        self, description: ContentDescription | None, now: float, fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer the offer that was told with OfferReceived or, where that asked for one, make an offer.

        :raises InvalidOperation: when no offer waits, or *description* is missing.
        """
        if self.incoming is not None:
            self.incoming.accept(self, description, fields, now)
        elif self.owed_ack is not None and self.owed_ack.is_owed:
            self.acknowledge(description, fields, now)
        elif self.invitation is not None and description is not None:
            self.invitation.answer_offer(self, description, fields, now)
        else:
            raise InvalidOperation("no offer waits for an answer")

    def settle(self, now: float) -> None:
        """An offer of the peer's has its answer, or needs none any more."""
        if self.invitation is not None:
            self.invitation.settled(self, now)

    def decline(
        self, status: int, now: float, fields: Sequence[tuple[str, str]] = (), reason: str | None = None
    ) -> None:
        """Refuse the offer that was told with OfferReceived: the session stays as it was (section 14.2).

        An offer that came in a 2xx cannot be refused; it is acknowledged, and the session ends (13.2.2.4).

        :raises InvalidOperation: when no offer waits.
        :raises ValueError: for a status below 300.
        """
        if not 300 <= status <= 699:
            raise ValueError(f"{status} declines nothing: 300 to 699")
        if self.incoming is not None:
            self.incoming.decline(self, status, fields, now, reason)
        elif self.owed_ack is not None and self.owed_ack.is_owed:
            self.bye(now, ending=Ending.NO_AGREEMENT)
        elif self.invitation is not None:
            self.invitation.decline_offer(self, status, fields, now)
        else:
            raise InvalidOperation("no offer waits for an answer")

    def progress(
        self, status: int, now: float, fields: Sequence[tuple[str, str]] = (), reason: str | None = None
    ) -> None:
        """Send a provisional response to the peer's re-INVITE.

        :raises InvalidOperation: when none waits for its answer.
        """
        if self.incoming is None:
            raise InvalidOperation("no re-INVITE waits for an answer")
        self.incoming.progress(self, status, fields, now, reason)

    # -- other requests ------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        now: float,
        body: bytes = b"",
        content_type: str | None = None,
        fields: Sequence[tuple[str, str]] = (),
    ) -> Errand:
        """Send a request of the application's in the dialog; its outcome is told with RequestEnded.

        :raises InvalidOperation: when the session is over, and for methods that are a session's own.
        """
        if self.state is _ENDING or self.state is _ENDED:
            raise InvalidOperation("the session is over")
        if method in ("ACK", "BYE", "CANCEL", "INVITE", "PRACK", "UPDATE"):
            raise InvalidOperation(f"{method} is what the session itself sends")
        plan = self.dialog.plan(method)
        plan.fields += fields
        plan.body = body
        plan.content_type = content_type
        errand = Errand(self, plan, Purpose.OTHER)
        self.core.say(RequestWanted(errand))
        return errand

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response to a request of ours in the dialog."""
        hear_response(self, errand, response, flow, now)

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """There will be no final response to a request of ours in the dialog."""
        hear_failure(self, errand, reason, now)

    # -- time ----------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due: a 2xx again, a request again, a refresh, or the end."""
        if self.state is _ENDING or self.state is _ENDED:
            return
        if self.awaited_ack is not None and self.awaited_ack.due(self.core, now):
            # 13.3.1.4: nobody acknowledges it; the session should end with a BYE.
            self.awaited_ack = None
            self._send_bye(_Farewell(Ending.NO_ACK), now)
            return
        owed = self.owed_ack
        if owed is not None and owed.until is not None and now >= owed.until:
            self.owed_ack = None
        if self.outgoing is not None:
            self.outgoing.handle_timer(self, now)
        timer = self.session_timer
        due = None if timer is None or self.state is not _CONFIRMED else timer.due(now)
        if due is TimerDue.EXPIRED:
            # RFC 4028 section 10.
            self.bye(now, ending=Ending.EXPIRED)
        elif due is TimerDue.REFRESH:
            self.refresh(now)
        self.appoint()

    def appoint(self) -> None:
        """Be called again when something is due."""
        if self.state is _ENDING or self.state is _ENDED:
            return
        earliest = None if self.owed_ack is None else self.owed_ack.until
        for part in (self.awaited_ack, self.session_timer):
            due = None if part is None else part.next_deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        due = None if self.outgoing is None else self.outgoing.deadline
        if due is not None and (earliest is None or due < earliest):
            earliest = due
        self.core.appointments.set(self, earliest)

    # -- the session ends ----------------------------------------------------------------------------------------------

    def bye(self, now: float, fields: Sequence[tuple[str, str]] = (), ending: Ending = Ending.LOCAL_BYE) -> None:
        """Hang up. Nothing happens where that is under way already.

        :raises InvalidOperation: in an early dialog of a call that came to us: its INVITE is to be refused instead
            (section 15).
        """
        if self.state is _ENDING or self.state is _ENDED:
            return
        farewell = _Farewell(ending, fields)
        if self.state is _EARLY and not self.dialog.is_caller:
            raise InvalidOperation("an early dialog is ended by the response to its INVITE (RFC 3261 section 15)")
        if self.owed_ack is not None and self.owed_ack.is_owed:
            # 13.2.2.4: a 2xx is acknowledged, whatever becomes of the session; one that ends now never was established.
            if self.state is _ACCEPTED:
                self.state = _ENDING
            self._send_ack(self.owed_ack, None, (), now)
        elif self.state is _ACCEPTED:
            # 15: whoever was called must not hang up before the ACK has come, or can come no more.
            self._farewell = farewell
            return
        self._send_bye(farewell, now)

    def _send_bye(self, farewell: _Farewell, now: float) -> None:
        self._stop(now)
        self.state = _ENDING
        self.ending = farewell.ending
        self._farewell = farewell
        try:
            plan = self.dialog.plan("BYE")
        except InvalidOperation:
            self._bye_done(now)
            return
        plan.fields += farewell.fields
        self.core.say(RequestWanted(Errand(self, plan, Purpose.BYE)))

    def _bye_done(self, now: float) -> None:
        # 15.1.1: 2xx, 481, 408 or nothing: there is no session any more.
        farewell = self._farewell
        if self.state is _ENDING and farewell is not None:
            self.ended(farewell.ending, now, farewell.message)

    def ended(self, ending: Ending, now: float, message: Request | Response | None = None) -> None:
        """It is over. Everything that waits in it is answered or dropped, and its dialog is found no more."""
        if self.state is _ENDED:
            return
        if self.state is not _ENDING:
            self._stop(now)
        self.state = _ENDED
        self.ending = ending
        self._farewell = None
        self.core.dialogs.discard(self.dialog)
        self.core.say(UsageEnded(self, ending, message))
        invitation, self.invitation = self.invitation, None
        if invitation is not None:
            # It may be over with its last usage, and says so after that.
            invitation.usage_ended(self, now)

    def _stop(self, now: float) -> None:
        """Nothing waits any more: no timer, no change, no request of the peer's."""
        self.core.appointments.set(self, None)
        self.awaited_ack = None
        self.session_timer = None
        self.reliable = None
        incoming, self.incoming = self.incoming, None
        if incoming is not None:
            # 15.1.2: what is pending is answered 487.
            refuse(self.core, incoming.transaction, 487, now)
        waiting = self.core.layer.table.servers
        for key in self._unanswered:
            transaction = waiting.get(key)
            if transaction is not None:
                refuse(self.core, transaction, 487, now)
        self._unanswered = ()
        outgoing, self.outgoing = self.outgoing, None
        if outgoing is not None:
            outgoing.drop(self)


def _party_of(core: UserAgentCore, dialog: Dialog) -> Profile:
    """The party whose address *dialog* has on our side."""
    uri = dialog.local_uri
    found = core.directory.serves(uri) if isinstance(uri, SipUri) else None
    return found or core.directory.fallback or Profile()
