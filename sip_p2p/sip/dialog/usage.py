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
(:mod:`.acknowledging`). What became of our requests is judged in :mod:`.outcomes`, and the time that a session lasts in
:mod:`.refreshing`.

Long because it is the face of a session: one method for each thing that can happen to it or be wished of it, and in
each only what decides.

Left out: the INVITE that opens the session, and its responses (:mod:`.client_invitation`, :mod:`.server_invitation`).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.acknowledging import AwaitedAck, OwedAck
from sip_p2p.sip.dialog.capabilities import Capabilities
from sip_p2p.sip.dialog.description import description_of, refusal_of
from sip_p2p.sip.dialog.effects import (
    AckWanted,
    AnswerReceived,
    Ending,
    Errand,
    Established,
    Purpose,
    RequestWanted,
    UsageEnded,
    UsageEnding,
)
from sip_p2p.sip.dialog.incoming_change import answer_prack, receive_change
from sip_p2p.sip.dialog.info import check_package, info_status
from sip_p2p.sip.dialog.mid_dialog import (
    describe_plan,
    farewell_fields,
    refuse,
    refuse_pending,
    timer_response_received,
)
from sip_p2p.sip.dialog.modification import Modification
from sip_p2p.sip.dialog.offer_answer import OfferAnswer, Place, Role
from sip_p2p.sip.dialog.outcomes import hear_failure, hear_response
from sip_p2p.sip.dialog.outgoing_change import OutgoingChange
from sip_p2p.sip.dialog.refreshing import handle_session_timer, refresh
from sip_p2p.sip.dialog.reliable import ReliableSender
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.incoming_change import IncomingChange
    from sip_p2p.sip.dialog.reliable import RAck, ReliableReceiver
    from sip_p2p.sip.dialog.session_timer import SessionTimer
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.outputs import RequestAbandoned
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Invitation", "InviteUsage", "UsageState"]

_OWN_METHODS = frozenset(("ACK", "BYE", "CANCEL", "INVITE", "PRACK", "UPDATE"))


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

_ASKED_FOR = (Ending.LOCAL_BYE, Ending.FORKED)
"""The endings that whoever hears of them has wished for, or knows of by the outcome of the INVITE."""


class Invitation(Protocol):
    """The INVITE that a usage came of, as the usage sees it until it is established."""

    @property
    def profile(self) -> Profile | None:
        """The party of ours; None where it is to be found by its address."""

    @property
    def has_timer(self) -> bool:
        """Whether session timers are not left out."""

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

    def usage_ended(self, usage: InviteUsage, message: Request | Response | None, now: float) -> None:
        """The usage is over, by itself, because of *message*, or because the invitation said so."""


@final
class _Farewell:
    """How a session ends: why, with what fields in a BYE that could not be sent yet, and because of which message."""

    __slots__ = ("ending", "fields", "message")

    def __init__(
        self, ending: Ending, fields: Sequence[tuple[str, str]] = (), message: Request | Response | None = None
    ) -> None:
        self.ending = ending
        self.fields = fields
        self.message = message


@final
class InviteUsage:
    """A session in one dialog. Its attributes are its parts, each a machine of its own; most are None at most times.

    :ivar core: the core whose dialog it is.
    :ivar profile: the party of ours in it.
    :ivar dialog: the dialog.
    :ivar invitation: the INVITE that it came of, until it is established; None later.
    :ivar opener: the same for an INVITE of ours while it has an ACK to send again, which it is for longer than a short
        session; None otherwise.
    :ivar user: whatever the facade wants to find again.
    :ivar state: how far it is.
    :ivar offer_answer: where an offer or an answer may stand.
    :ivar modification: who may change the session, and when.
    :ivar capabilities: what the peer has said of itself.
    :ivar session_timer: how long the session lasts; None before anybody has said anything of it.
    :ivar reliable: the order of the reliable provisional responses to the INVITE of ours that is under way; after our
        final response to one of the peer's, what it may still acknowledge.
    :ivar local_description: our last description that counted, for a refresh that has to repeat it.
    :ivar outgoing: the change that we ask for.
    :ivar incoming: the change that the peer asks for.
    :ivar owed_ack: the ACK of the last 2xx that the peer sent, and behind it those of the ones before.
    :ivar awaited_ack: the last 2xx that we sent, until its ACK comes, and behind it the ones before.
    """

    __slots__ = (
        "_farewell", "_unanswered", "awaited_ack", "capabilities", "core", "dialog", "incoming", "invitation",
        "local_description", "modification", "offer_answer", "opener", "outgoing", "owed_ack", "profile", "reliable",
        "session_timer", "state", "user",
    )  # fmt: skip

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
        self.opener: Invitation | None = None
        if profile is None and invitation is not None:
            profile = invitation.profile
        self.profile = _party_of(core, dialog) if profile is None else profile
        self.user = user
        self.state = _EARLY
        self.offer_answer = OfferAnswer()
        self.modification = Modification()
        self.capabilities = Capabilities()
        self.session_timer: SessionTimer | None = None
        self.reliable: ReliableReceiver | ReliableSender | None = None
        self.local_description: ContentDescription | None = None
        self.outgoing: OutgoingChange | None = None
        self.incoming: IncomingChange | None = None
        self.owed_ack: OwedAck | None = None
        self.awaited_ack: AwaitedAck | None = None
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

    @property
    def is_early(self) -> bool:
        """Whether there is no 2xx yet."""
        return self.state is _EARLY

    @property
    def is_timed(self) -> bool:
        """Whether both sides know what session timer holds: a request of ours can overtake the 2xx that says it."""
        return self.state is _CONFIRMED

    @property
    def has_timer(self) -> bool:
        """Whether session timers are not left out of this session."""
        timer, invitation = self.session_timer, self.invitation
        if timer is not None:
            return timer.settings.is_enabled
        return invitation is None or invitation.has_timer

    @property
    def is_opening(self) -> bool:
        """Whether the INVITE that opens the session is under way: it has no 2xx yet or, where it is ours, no ACK."""
        return self.is_early or (self.state is _ACCEPTED and self.dialog.is_caller)

    @property
    def is_over(self) -> bool:
        """Whether the session has ended, or nothing is left of it but our BYE."""
        return self.state is _ENDING or self.state is _ENDED

    @property
    def ending(self) -> Ending | None:
        """How it ended, or will, once it is decided; None before."""
        return None if self._farewell is None else self._farewell.ending

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
        timer_response_received(self, response, now)
        self.appoint()

    def acknowledge(
        self, description: ContentDescription | None, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Acknowledge the 2xx to our INVITE or re-INVITE, with the answer to the offer that it carried, if it did.

        :raises InvalidOperation: when no ACK is owed, when the answer is missing, and when there is nothing to answer.
        """
        if self.owed_ack is None or not self.owed_ack.is_owed:
            raise InvalidOperation("no 2xx waits for an ACK")
        self.offer_answer.sending(Place.ACK, description is not None)
        response = self._send_ack(self.owed_ack, description, fields, now)
        if description is not None:
            self.local_description = description
        if self.state is _ACCEPTED:
            self._establish(response)
        elif self.outgoing is not None:
            self.outgoing.acknowledged(self, response, now)
        self.appoint()

    def _send_ack(
        self, owed: OwedAck, description: ContentDescription | None, fields: Sequence[tuple[str, str]], now: float
    ) -> Response | None:
        plan = self.dialog.ack_plan(owed.cseq)
        plan.fields += fields
        describe_plan(plan, description)
        self.core.say(AckWanted(self, plan))
        # RFC 6026 section 7.2: timer M is how long the 2xx may come again.
        return owed.leave(now + self.core.layer.timers.timeout)

    def _refused_offer(self, response: Response | None) -> ContentDescription | None:
        """The answer to an offer in *response*, a 2xx, that nobody wants; None where there is none, or it is no SDP."""
        offer = description_of(response) if response is not None and self.offer_answer.must_stand(Place.ACK) else None
        return None if offer is None else refusal_of(offer, self.local_description)

    def ack_sent(self, octets: bytes, flow: Flow) -> None:
        """The ACK left, as *octets* on *flow*."""
        if self.owed_ack is not None:
            self.owed_ack.sent(octets, flow)

    def send_2xx(self, transaction: ServerTransaction, response: Response, now: float) -> None:
        """Answer the peer's INVITE or re-INVITE with *response*, a 2xx, and say it again until its ACK comes.

        :raises AlreadyResponded: when the INVITE has its final response, or its flow is gone.
        """
        self.core.respond(transaction, response, now)
        self.awaited_ack = AwaitedAck(self.core, transaction, response, now, self.is_early, self.awaited_ack)
        if self.is_early:
            self.state = _ACCEPTED
            self.dialog.confirm()
        self.appoint()

    def ack_received(self, request: Request, flow: Flow, now: float) -> None:
        """An ACK came in this dialog. One that nobody waits for came again, and changes nothing."""
        waiting = self.awaited_ack
        acknowledged = None if waiting is None else waiting.find(request.cseq.number)
        if waiting is None or acknowledged is None:
            return
        self.awaited_ack = waiting.without(acknowledged)
        if acknowledged.is_first:
            self._establish(request)
        if waiting is acknowledged:
            # An older one says nothing of the exchange that began after it.
            self.take_answer(request, Place.ACK)
        if self._farewell is not None:
            # 15: we were called, and a BYE of ours had to wait for this.
            self.hang_up(self._farewell.ending, self._farewell.fields, None, now)
        elif self.offer_answer.has_failed:
            self.bye(now, ending=Ending.NO_AGREEMENT)
        else:
            self.appoint()

    def _establish(self, message: Request | Response | None) -> None:
        self.state = _CONFIRMED
        invitation, self.invitation = self.invitation, None
        if self.dialog.is_caller:
            self.opener = invitation
            self.reliable = None
        if message is not None:
            self.core.say(Established(self, message))

    def take_answer(self, message: Request | Response, place: Place) -> Role | int:
        """What *message* carries in *place* is the answer to our offer, or its preview, if one may stand there.

        :returns: what it is.
        """
        try:
            description = description_of(message)
        except MalformedMessage:
            # An answer that cannot be read is none.
            description = None
        role = self.offer_answer.received(place, description is not None)
        if description is not None and (role is Role.ANSWER or role is Role.PREVIEW):
            self.core.say(AnswerReceived(self, description, role is Role.PREVIEW))
        return role

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
        elif self.is_over:
            # RFC 5407 sections 3.2.2, 3.3.3: after our BYE there is no session to be talked about.
            refuse(self.core, transaction, 481, now)
        elif method == "INVITE" or method == "UPDATE":
            receive_change(self, output, now)
        elif method == "PRACK":
            self._prack_received(output, now)
        elif method == "INFO" and (status := info_status(output.request, self.profile.info_packages)):
            # RFC 6086 section 4.2.2: with 469 goes what would be taken.
            fields = (("Recv-Info", ", ".join(self.profile.info_packages)),) if status == 469 else ()
            refuse(self.core, transaction, status, now, fields)
        else:
            waiting = self.core.layer.table.servers
            self._unanswered = (*(key for key in self._unanswered if key in waiting), transaction.key)
            return False
        return True

    def _prack_received(self, output: InDialogRequestReceived, now: float) -> None:
        if self.incoming is not None and self.incoming.prack_received(self, output, now):
            return
        if self.invitation is not None:
            self.invitation.prack_received(self, output, now)
        elif isinstance(self.reliable, ReliableSender):
            # RFC 3262 section 3: of what was out when the final response went.
            if answer_prack(self, self.reliable, output, now):
                self.reliable = None
        else:
            # RFC 3262 section 3: no provisional response waits for it.
            refuse(self.core, output.transaction, 481, now)

    def _bye_received(self, output: InDialogRequestReceived, now: float) -> None:
        # 15.1.2: 200 whatever was; also to a BYE that crosses ours (RFC 5407 section 3.2.1).
        self.core.respond(output.transaction, self.core.response(output.transaction, 200), now)
        ending = self.ending if self.state is _ENDING else None
        self.ended(Ending.REMOTE_BYE if ending is None else ending, now, output.request)

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
        :raises InvalidOperation: retryable when another change has to end first; not where the session is over, where
            it is early and the method is INVITE, and where the peer takes no UPDATE.
        """
        if self.is_over:
            raise InvalidOperation("the session is over")
        if method is None:
            method = "INVITE" if self.state is _CONFIRMED else "UPDATE"
        if method == "INVITE" and self.is_early:
            raise InvalidOperation("before it is established a session is changed by UPDATE (RFC 3311 section 5.1)")
        if method == "UPDATE" and self.capabilities.allows("UPDATE") is False:
            raise InvalidOperation("the peer takes no UPDATE (RFC 3311 section 4)")
        OutgoingChange(method, description, fields).begin(self)

    def cancel_modification(self, now: float) -> bool:
        """Call off the change that :meth:`modify` began (RFC 6141 section 3.8); its outcome is told as ever.

        :returns: False where there is none, or it is an UPDATE, which cannot be cancelled.
        """
        return self.outgoing is not None and self.outgoing.cancel(self, now)

    def refresh(self, now: float) -> None:
        """Say to the peer that the session stands, and where we are now (RFC 4028 section 7.4, RFC 3261 section 12.2).

        The application is told nothing of it, but for the end of the session where the peer knows of none.
        """
        if self.state is _CONFIRMED:
            refresh(self, now)

    def answer(
        self, description: ContentDescription | None, now: float, fields: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Answer the offer that was told with OfferReceived or, where that asked for one, make an offer.

        :raises InvalidOperation: when no offer waits, or *description* is missing.
        :raises AlreadyResponded: when the offer was withdrawn.
        """
        if self.incoming is not None:
            self.incoming.accept(self, description, fields, now)
        elif self.owed_ack is not None and self.owed_ack.is_owed:
            self.acknowledge(description, fields, now)
        elif self.invitation is not None and description is not None:
            self.invitation.answer_offer(self, description, fields, now)
        elif self.outgoing is not None and description is not None:
            self.outgoing.answer_offer(self, description, fields, now)
        else:
            raise InvalidOperation("no offer waits for an answer")

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
            self.bye(now, farewell_fields(status, fields), Ending.NO_AGREEMENT)
        elif self.invitation is not None:
            self.invitation.decline_offer(self, status, fields, now)
        elif self.outgoing is not None:
            self.outgoing.decline_offer(self, now)
        else:
            raise InvalidOperation("no offer waits for an answer")

    def progress(
        self, status: int, now: float, fields: Sequence[tuple[str, str]] = (), reason: str | None = None
    ) -> None:
        """Send a provisional response to the peer's re-INVITE; reliably, where that demands it.

        :raises InvalidOperation: when none waits for its answer.
        :raises ValueError: for a status that is none of 101 to 199.
        """
        if self.incoming is None:
            raise InvalidOperation("no re-INVITE waits for an answer")
        self.incoming.progress(self, status, fields, now, reason)

    # -- our requests --------------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        now: float,
        body: bytes = b"",
        content_type: str | None = None,
        fields: Sequence[tuple[str, str]] = (),
    ) -> Errand:
        """Send a request of the application's in the dialog; its outcome is told with RequestEnded.

        :raises InvalidOperation: when the session is over, for methods that are a session's own, and for an INFO of a
            package that the peer does not take (RFC 6086 section 4.2.1).
        """
        if self.is_over:
            raise InvalidOperation("the session is over")
        if method in _OWN_METHODS:
            raise InvalidOperation(f"{method} is what the session itself sends")
        if method == "INFO":
            check_package(fields, self.capabilities.info_packages)
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
        if self.awaited_ack is not None and self.awaited_ack.due(self.core, now):
            # 13.3.1.4: nobody will acknowledge it; the session should end with a BYE.
            farewell = self._farewell
            if farewell is None:
                self.hang_up(Ending.NO_ACK, (), None, now)
            else:
                self.hang_up(farewell.ending, farewell.fields, None, now)
            return
        if self.awaited_ack is not None:
            self.awaited_ack = self.awaited_ack.kept()
        if self.owed_ack is not None:
            self.owed_ack = self.owed_ack.kept(now)
        if self.outgoing is not None:
            self.outgoing.handle_timer(self, now)
        if self.incoming is not None:
            self.incoming.handle_timer(self, now)
        if self.state is _CONFIRMED:
            handle_session_timer(self, now)
        self.appoint()

    def appoint(self) -> None:
        """Be called again when something is due."""
        if self.is_over:
            return
        earliest = None if self.owed_ack is None else self.owed_ack.next_deadline
        for part in (self.awaited_ack, self.outgoing, self.incoming):
            due = None if part is None else part.next_deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        if self.session_timer is not None and self.state is _CONFIRMED:
            due = self.session_timer.next_deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        self.core.appointments.set(self, earliest)

    # -- the session ends ----------------------------------------------------------------------------------------------

    def bye(self, now: float, fields: Sequence[tuple[str, str]] = (), ending: Ending = Ending.LOCAL_BYE) -> None:
        """Hang up. Nothing happens where that is under way already.

        :raises InvalidOperation: in an early dialog of a call that came to us: its INVITE is to be refused instead
            (section 15).
        """
        if self.is_over or self._farewell is not None:
            return
        if self.is_early and not self.dialog.is_caller:
            raise InvalidOperation("an early dialog is ended by the response to its INVITE (RFC 3261 section 15)")
        if self.owed_ack is not None and self.owed_ack.is_owed:
            # 13.2.2.4: a 2xx is acknowledged, whatever becomes of the session, and an offer in it is answered.
            self._send_ack(self.owed_ack, self._refused_offer(self.owed_ack.response), (), now)
        elif self.state is _ACCEPTED:
            # 15: whoever was called must not hang up before the ACK has come, or can come no more.
            self._farewell = _Farewell(ending, fields)
            return
        self.hang_up(ending, fields, None, now)

    def hang_up(
        self, ending: Ending, fields: Sequence[tuple[str, str]], message: Request | Response | None, now: float
    ) -> None:
        """Send BYE: it is over but for its outcome (15.1.1)."""
        is_unproved = self.state is _ACCEPTED and not self.dialog.is_caller
        self._stop(now)
        self.state = _ENDING
        self._farewell = _Farewell(ending, (), message)
        try:
            plan = self.dialog.plan("BYE")
        except InvalidOperation:
            # 12.2.1.1: no sequence number is left for it.
            self.bye_done(now)
            return
        plan.fields += fields
        # 26.1.4: who has never acknowledged anything may be an INVITE with a forged source, and its Contact a victim.
        plan.goes_back = is_unproved
        self.core.say(RequestWanted(Errand(self, plan, Purpose.BYE)))
        if ending not in _ASKED_FOR:
            self.core.say(UsageEnding(self, ending, message))

    def bye_done(self, now: float) -> None:
        """15.1.1: 2xx, 481, 408 or nothing: there is no session any more."""
        if self.state is _ENDING and self._farewell is not None:
            self.ended(self._farewell.ending, now, self._farewell.message)

    def ended(self, ending: Ending, now: float, message: Request | Response | None = None) -> None:
        """It is over. Everything that waits in it is answered or dropped, and its dialog is found no more."""
        if self.state is _ENDED:
            return
        if self.state is not _ENDING:
            self._stop(now)
        self.state = _ENDED
        self._farewell = _Farewell(ending)
        self.core.dialogs.discard(self.dialog)
        self.core.say(UsageEnded(self, ending, message))
        invitation = self.opener if self.invitation is None else self.invitation
        self.invitation = self.opener = None
        if invitation is not None:
            invitation.usage_ended(self, message, now)

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
        unanswered, self._unanswered = self._unanswered, ()
        refuse_pending(self.core, unanswered, now)
        outgoing, self.outgoing = self.outgoing, None
        if outgoing is not None:
            outgoing.drop(self, now)


def _party_of(core: UserAgentCore, dialog: Dialog) -> Profile:
    """The party whose address *dialog* has on our side."""
    uri = dialog.local_uri
    found = core.directory.serves(uri) if isinstance(uri, SipUri) else None
    return found or core.directory.fallback or Profile()
