"""An INVITE of a peer, from its arrival to our final response (RFC 3261 sections 9.2, 13.3 and 15.1.2).

::

    new --start--> waiting --ring----> ringing --accept--> accepted
         \\              \\--accept------------------------>/   ^
          \\              \\                                    | PRACK, answer
           \\              \\    ringing --accept-------> held -+
            \\--refused      \\--reject, redirect, CANCEL, Expires, no decision, flow lost--> ended

The transaction below sends the 100 and answers copies of the INVITE; this machine makes the early dialogs, sends
provisional responses, reliable ones (RFC 3262) among them, sends the last ones again each minute (13.3.1.1), and holds
a 2xx back while a session description waits for its PRACK (RFC 3262 section 3). With the 2xx the usage that it
confirms takes over: it sends the 2xx again, hears the ACK, and hangs up when none comes.

An early dialog is made by the first response that names it. There may be several (section 12.1): a gateway that rings
several phones answers as the forking proxy would that it stands for. Those that lose are told so with a 199 (RFC 6228).

Left out: 401 and 407, which the profile's authenticator answers before; and a 199 before a final response that is no
2xx, which RFC 6228 section 5 allows where proxies are known to need it.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation, MalformedMessage
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.early_answers import EarlyAnswers
from sip_p2p.sip.dialog.effects import AnswerReceived, Ending, InvitationEnded
from sip_p2p.sip.dialog.incoming_invite import elsewhere, expires_of, may_ring_elsewhere
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.reliable import OPTION_TAG, ReliableSender
from sip_p2p.sip.dialog.session_timer import SessionTimer
from sip_p2p.sip.dialog.usage import InviteUsage
from sip_p2p.sip.message import Response
from sip_p2p.sip.readings import warning_value
from sip_p2p.sip.transaction.base import TransactionState
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.name_addr import NameAddr
    from sip_p2p.sip.outputs import RequestAbandoned
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["ServerInvitation", "ServerInvitationState"]


class ServerInvitationState(enum.Enum):
    """Where an INVITE of a peer is."""

    NEW = "not judged yet"
    WAITING = "nobody has said anything to it"
    RINGING = "an early dialog stands"
    HELD = "accepted, and its 2xx waits for what was sent reliably"
    ACCEPTED = "its 2xx is out"
    ENDED = "it came to nothing"


_NEW = ServerInvitationState.NEW
_WAITING = ServerInvitationState.WAITING
_RINGING = ServerInvitationState.RINGING
_HELD = ServerInvitationState.HELD
_ACCEPTED = ServerInvitationState.ACCEPTED
_ENDED = ServerInvitationState.ENDED
_OPEN = (_WAITING, _RINGING, _HELD)
_UNSETTLED = (Place.RELIABLE, Place.PRACK, Place.UPDATE)


@final
class ServerInvitation:
    """A peer's INVITE outside of any dialog, until it has its final response.

    :ivar core: the core that it came to.
    :ivar transaction: its server transaction.
    :ivar request: the request; no state is derived from it later than from :meth:`start`.
    :ivar flow: the flow that it came by.
    :ivar options: how it is to be answered.
    :ivar profile: the party that is called.
    :ivar user: whatever the facade wants to find again.
    :ivar state: where it is.
    :ivar offer: the caller's offer; None where we are to make one (section 13.2.1).
    :ivar expires: for how many seconds from :meth:`start` on it is good; None where it does not say.
    :ivar session_timer: what the caller wants of session timers; the usage that is confirmed takes it over.
    """

    __slots__ = (
        "_accepted", "_early", "_ends_at", "_expires_at", "core", "expires", "flow", "offer", "options", "profile",
        "request", "session_timer", "state", "transaction", "user",
    )  # fmt: skip

    def __init__(
        self,
        core: UserAgentCore,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        options: AnswerOptions,
        user: object = None,
        profile: Profile | None = None,
    ) -> None:
        """
        :param profile: whoever the request is for; found once more by its Request-URI where it is not given.
        :raises InvalidOperation: when there is nobody whom it is for.
        """
        found = core.directory.find(request) if profile is None else profile
        if found is None:
            raise InvalidOperation("the INVITE is for nobody here")
        self.core = core
        self.transaction = transaction
        self.request = request
        self.flow = flow
        self.profile = found
        self.options = options
        self.user = user
        self.state = _NEW
        self.offer: ContentDescription | None = None
        self.expires: int | None = None
        self.session_timer: SessionTimer | None = None
        self._early = EarlyAnswers(core, transaction, request, found, options)
        # The 2xx, and whose it is, while it is held back.
        self._accepted: tuple[InviteUsage, Response] | None = None
        self._expires_at = math.inf
        self._ends_at = math.inf

    @property
    def is_forked(self) -> bool:
        """Whether the caller's INVITE may have reached other devices too: a hint not to accept without a human (see
        :func:`~sip_p2p.sip.dialog.incoming_invite.may_ring_elsewhere`)."""
        return may_ring_elsewhere(self.request)

    @property
    def usages(self) -> tuple[InviteUsage, ...]:
        """The early dialogs, the first one first."""
        return self._early.usages

    @property
    def is_open(self) -> bool:
        """Whether a final response can still be given, as far as is known by now: a CANCEL may just have come."""
        return self.state in _OPEN and not self._is_over

    @property
    def _is_over(self) -> bool:
        transaction = self.transaction
        return transaction.is_final_sent or transaction.state is TransactionState.TERMINATED

    # -- the judgement -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> bool:
        """Judge the INVITE, before anybody hears of it.

        :returns: False where it was refused: then there is nothing more to be done for it, and nothing will be said.
        """
        if self.state is not _NEW:
            raise InvalidOperation("this INVITE has been judged already")
        if self._is_over:
            # 9.2: a CANCEL that came in the same turn.
            self.state = _ENDED
            return False
        try:
            refusal = self._refusal()
        except MalformedMessage as error:
            refusal = (error.status, [("Warning", warning_value(error.reason))])
        if refusal is not None:
            status, fields = refusal
            self.state = _ENDED
            self._respond_finally(status, None, fields, now)
            return False
        self.state = _WAITING
        if self.expires is not None:
            self._expires_at = now + self.expires
        self._ends_at = now + self.options.max_ring
        self._appoint()
        return True

    def _refusal(self) -> tuple[int, list[tuple[str, str]]] | None:
        """The status and the fields with which the INVITE is refused, or None.

        :raises MalformedMessage: with the status, when what is needed later cannot be read.
        """
        request, options = self.request, self.options
        # 8.1.1.8, 12.1.1: without one SIP Contact there is no dialog.
        dialog = Dialog.of_callee(request, "", self.flow)
        if not isinstance(dialog.remote_target, SipUri):
            raise MalformedMessage("the Contact of an INVITE has to be a SIP or SIPS URI (RFC 3261 section 8.1.1.8)")
        self.offer = description_of(request)
        self.expires = expires_of(request)
        # RFC 3262 section 3: whoever requires reliable responses and cannot have them is refused, and vice versa.
        if options.reliable == "off" and self._early.requires_reliable:
            return 420, [("Unsupported", OPTION_TAG)]
        if options.reliable == "required" and not self._early.knows_reliable:
            return 421, [("Require", OPTION_TAG)]
        timer = SessionTimer(options.session_timer)
        status = timer.request_received(request)
        if status == 422:
            # RFC 4028 section 6.
            return status, timer.refusal_fields()
        if status:
            raise MalformedMessage("Session-Expires or Min-SE cannot be read", status)
        self.session_timer = timer
        # 13.3.1, step 1: an invitation that was good for no time has expired.
        if self.expires == 0:
            return 487, []
        if self.core.dialogs.is_full:
            return 503, [("Retry-After", str(2 + self.core.tokens.number(7)))]
        return None

    # -- what the application decides ----------------------------------------------------------------------------------

    def ring(
        self,
        now: float,
        status: int = 180,
        reason: str | None = None,
        description: ContentDescription | None = None,
        fields: Iterable[tuple[str, str]] = (),
        reliable: bool | None = None,
        usage: InviteUsage | None = None,
    ) -> InviteUsage:
        """Send a provisional response (section 13.3.1.1); it is sent again each minute until there is a final one.

        A reliable one waits in a queue until those before it have been acknowledged (RFC 3262 section 3).

        :param status: 101 to 198.
        :param reason: its phrase; None for the usual one.
        :param description: an answer to the caller's offer; or, where there was none and it goes reliably, an offer.
        :param reliable: None leaves it to the policy of :attr:`options`.
        :param usage: the early dialog that it belongs to; None for the first, which is made where there is none.
        :returns: the early dialog.
        :raises ValueError: for another status, and for what cannot stand in a message.
        :raises RestrictedHeader: for a field that is ours to set.
        :raises AlreadyResponded: when the INVITE is over.
        :raises InvalidOperation: when no provisional response can be sent any more, when *description* may not stand
            there (RFC 3264, RFC 6337), when the caller cannot acknowledge a reliable one or wants no other, and when
            *usage* is over.
        """
        if not 101 <= status <= 198:
            raise ValueError(f"{status} is not the status of a provisional response that one can give: 101 to 198")
        checked = _checked(status, reason, fields)
        self._check_open(_HELD)
        usage = self._early_or_first(usage)
        is_reliable = self._early.goes_reliably(usage, description is not None) if reliable is None else reliable
        self._early.say(usage, status, reason, description, checked, is_reliable, now)
        self.state = _RINGING
        self._appoint()
        return usage

    def early_dialog(self) -> InviteUsage:
        """Begin one more early dialog (section 12.1); the caller learns of it by the first :meth:`ring` for it.

        :raises AlreadyResponded: when the INVITE is over.
        :raises InvalidOperation: when it has been accepted; and, to be tried again later, when there are too many
            dialogs.
        """
        self._check_open(_HELD)
        core = self.core
        if core.dialogs.is_full:
            raise InvalidOperation("there are too many dialogs", retryable=True)
        echo = self.transaction.echo
        # The first takes the tag of the responses that name no early dialog: the 200 of a CANCEL above all (9.2).
        tag = core.tokens.tag() if self._early or not echo.to_tag else echo.to_tag
        usage = InviteUsage(core, Dialog.of_callee(self.request, tag, self.flow), self, self.user)
        usage.offer_answer.received(Place.INVITE, self.offer is not None)
        self._early.add(usage)
        return usage

    def end_early(self, usage: InviteUsage, now: float, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Give up one early dialog and keep the others, or the INVITE without any (RFC 6228 section 5).

        A caller that knows the status 199 is told; *fields* may say why (Reason, RFC 3326).

        :raises InvalidOperation: when *usage* is none of this INVITE's early dialogs, and as :meth:`ring`.
        """
        checked = application_fields(fields)
        self._check_open(_HELD)
        self._early_or_first(usage)
        self._lose(usage, checked, now)
        self._appoint()

    def accept(
        self,
        now: float,
        description: ContentDescription | None = None,
        fields: Iterable[tuple[str, str]] = (),
        usage: InviteUsage | None = None,
    ) -> InviteUsage:
        """Answer 200 (section 13.3.1.4); the other early dialogs end.

        While a session description that was sent reliably has not been acknowledged, the 2xx is held back until it is
        (RFC 3262 section 3).

        :param description: the answer, or the offer where the INVITE had none; None where that has been settled.
        :param usage: the early dialog to confirm; None for the first, which is made where there is none.
        :returns: the usage that stands from now on.
        :raises AlreadyResponded: when the INVITE is over.
        :raises InvalidOperation: when it has been accepted already, when *description* may not stand there, or is
            missing (RFC 3264, RFC 6337), and when *usage* is over.
        """
        checked = _checked(200, None, fields)
        self._check_open(_HELD)
        usage = self._early_or_first(usage)
        if self._is_unsettled(usage):
            if description is not None:
                raise InvalidOperation("the session has been described in a reliable response: the 2xx says no more")
            self._accepted = (usage, self._early.compose(usage, 200, None, None, checked))
            self.state = _HELD
            self._ends_at = math.inf
            self._appoint()
            return usage
        usage.offer_answer.sending(Place.INVITE_2XX, description is not None)
        self._confirm(usage, self._early.compose(usage, 200, None, description, checked), now)
        return usage

    def reject(
        self, status: int, now: float, reason: str | None = None, fields: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Refuse (section 13.3.1.3), also what was accepted and is still held back.

        :param status: 400 to 699.
        :raises ValueError: for another status, and for what cannot stand in a message.
        :raises RestrictedHeader: for a field that is ours to set.
        :raises AlreadyResponded: when the INVITE is over.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"{status} is not the status of a refusal: 400 to 699")
        checked = _checked(status, reason, fields)
        self._check_open()
        self._finish(status, reason, checked, now)

    def redirect(
        self,
        contacts: Sequence[NameAddr | str],
        now: float,
        status: int = 302,
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Name where to go instead (section 13.3.1.2).

        :param contacts: URIs, or addresses with ``q``; at least one.
        :param status: 300 to 399.
        :raises ValueError: for another status, and for contacts that cannot be read or lead back here (see
            :func:`~sip_p2p.sip.dialog.incoming_invite.elsewhere`).
        :raises RestrictedHeader: for a field that is ours to set.
        :raises AlreadyResponded: when the INVITE is over.
        """
        if not 300 <= status <= 399:
            raise ValueError(f"{status} is not the status of a redirection: 300 to 399")
        checked = _checked(status, None, fields)
        self._check_open()
        values = elsewhere(contacts, status, self.request, self.profile, self.core.directory)
        self._finish(status, None, [*(("Contact", value) for value in values), *checked], now)

    # -- what the peer does --------------------------------------------------------------------------------------------

    def abandoned(self, output: RequestAbandoned, now: float) -> None:
        """The transaction ended without a final response of ours: by a CANCEL, which the core has answered with its 200
        and the INVITE's 487 (section 9.2), or with its flow."""
        if self.state not in _OPEN:
            return
        cancel = output.request
        if cancel is None:
            # 17.2.4: no response can leave any more.
            self._end(None, now, reason=ConnectionFailure(output.reason))
        else:
            self._end(self.core.response(self.transaction, 487), now, request=cancel)

    def prack_received(self, usage: InviteUsage, output: InDialogRequestReceived, now: float) -> None:
        """A PRACK in the early dialog of *usage*, or in the one that was just confirmed (RFC 3262 section 3)."""
        request = output.request
        sender = usage.reliable
        try:
            description = description_of(request)
        except MalformedMessage as error:
            self._answer_prack(output, error.status, now)
            return
        # RFC 3262 section 3: what acknowledges nothing gets 481.
        status = sender.prack(request) if isinstance(sender, ReliableSender) else 481
        if status != 200:
            self._answer_prack(output, status, now)
            return
        role = usage.offer_answer.received(Place.PRACK, description is not None)
        if role is Role.OFFER and description is not None:
            # RFC 3262 section 5: the answer goes into the 2xx of the PRACK.
            usage.offer_in_prack(output, description, now)
        elif isinstance(role, int):
            self._answer_prack(output, role, now)
        else:
            usage.offer_answer.sending(Place.PRACK_2XX, False)
            self._answer_prack(output, 200, now)
            if role is Role.ANSWER and description is not None:
                self.core.say(AnswerReceived(usage, description))
        if usage.offer_answer.has_failed:
            # RFC 3262 section 5: our offer had to be answered there.
            self._finish_if_open(488, [("Warning", warning_value("the PRACK has to answer our offer"))], now)
        else:
            self.settled(usage, now)

    def settled(self, usage: InviteUsage, now: float) -> None:
        """Something that was under way in the dialog of *usage* is over: a PRACK came, or its offer, or that of an
        UPDATE, was answered. What waited for it goes out: the next reliable response, or the 2xx."""
        if self.state not in _OPEN or self._is_over or usage not in self._early:
            return
        self._early.said_next(usage, now)
        held = self._accepted
        if held is not None and held[0] is usage and not self._is_unsettled(usage):
            # RFC 3262 section 3: the descriptions are acknowledged, and the 2xx may go.
            usage.offer_answer.sending(Place.INVITE_2XX, False)
            self._confirm(usage, held[1], now)
        else:
            self._appoint()

    def usage_ended(self, usage: InviteUsage, now: float) -> None:
        """The usage of an early dialog ended by itself: the caller hung it up with a BYE (section 15.1.2)."""
        if usage not in self._early or self.state not in _OPEN:
            return
        self._early.drop(usage)
        held = self._accepted
        if not self._early or (held is not None and held[0] is usage):
            # 15.1.2: the request that is still pending in the dialog is answered 487.
            self.transaction.echo.to_tag = usage.dialog.local_tag
            self._finish_if_open(487, [], now)
        else:
            self._appoint()

    # -- time ----------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.state not in _OPEN or self._is_over:
            return
        if now >= self._expires_at:
            # 13.3.1, step 1: the invitation has expired before there was a final response.
            self._finish(487, None, [], now)
            return
        if now >= self._ends_at:
            # 21.4.18: nobody was there to decide.
            self._finish(480, None, [], now)
            return
        if self._early.handle_timer(now):
            self._appoint()
        else:
            # RFC 3262 section 3: after 64*T1 without a PRACK the INVITE is rejected with a 5xx.
            self._finish(504, None, [], now)

    def _appoint(self) -> None:
        due = min(self._expires_at, self._ends_at, self._early.next_deadline())
        self.core.appointments.set(self, None if due == math.inf else due)

    # -- what all of it is made of -------------------------------------------------------------------------------------

    def _check_open(self, *not_in: ServerInvitationState) -> None:
        if self.state is _NEW:
            raise InvalidOperation("this INVITE has not been judged yet")
        if not self.is_open:
            raise AlreadyResponded("this INVITE has had its final response")
        if self.state in not_in:
            raise InvalidOperation("this INVITE has been accepted: the 2xx only waits for what was sent reliably")

    def _early_or_first(self, usage: InviteUsage | None) -> InviteUsage:
        if usage is None:
            return self._early.usages[0] if self._early else self.early_dialog()
        if usage not in self._early:
            raise InvalidOperation("this early dialog is over, or belongs to another INVITE")
        return usage

    def _is_unsettled(self, usage: InviteUsage) -> bool:
        """RFC 3262 section 3: whether a 2xx has to wait, for the PRACK of a description or for an answer."""
        return usage.offer_answer.holds_2xx or usage.offer_answer.offer_place in _UNSETTLED

    def _answer_prack(self, output: InDialogRequestReceived, status: int, now: float) -> None:
        self.core.respond(output.transaction, self.core.response(output.transaction, status), now)

    def _confirm(self, usage: InviteUsage, response: Response, now: float) -> None:
        """The 2xx goes out, and *usage* goes on."""
        for other in self.usages:
            if other is not usage:
                self._lose(other, [], now)
        self.state = _ACCEPTED
        self._accepted = None
        self.core.appointments.set(self, None)
        timer, self.session_timer = self.session_timer, None
        if timer is not None:
            # RFC 4028 section 9: the interval counts from here.
            for name, value in timer.response_fields(now):
                response.headers.add(name, value)
            usage.session_timer = timer
        if isinstance(usage.reliable, ReliableSender):
            # RFC 3262 section 3: nothing is retransmitted after the final response.
            usage.reliable.stop()
        usage.send_2xx(self.transaction, response, now)

    def _lose(self, usage: InviteUsage, fields: list[tuple[str, str]], now: float) -> None:
        """One early dialog will have no 2xx while another one, or the INVITE, goes on."""
        if self._early.drop(usage):
            self._early.say_lost(usage, fields, now)
        usage.ended(Ending.FORKED, now)

    def _respond_finally(self, status: int, reason: str | None, fields: list[tuple[str, str]], now: float) -> Response:
        response = self.core.response(self.transaction, status, reason)
        for name, value in fields:
            response.headers.add(name, value)
        self.core.respond(self.transaction, response, now)
        return response

    def _finish_if_open(self, status: int, fields: list[tuple[str, str]], now: float) -> None:
        """Refuse, unless a CANCEL or the loss of the flow was quicker and will be told at once."""
        if self.is_open:
            self._finish(status, None, fields, now)

    def _finish(self, status: int, reason: str | None, fields: list[tuple[str, str]], now: float) -> None:
        """A final response that is no 2xx, and the end."""
        self._end(self._respond_finally(status, reason, fields, now), now)

    def _end(
        self,
        response: Response | None,
        now: float,
        reason: BaseException | None = None,
        request: Request | None = None,
    ) -> None:
        """It came to nothing: no early dialog outlives it, and what is held is let go."""
        self.state = _ENDED
        self._accepted = None
        self.session_timer = None
        self.core.appointments.set(self, None)
        for usage in self._early.usages:
            # RFC 3262 section 3: a PRACK that still comes finds no dialog, and gets 481.
            self._early.drop(usage)
            usage.ended(Ending.EARLY, now)
        self.core.say(InvitationEnded(self, response, reason, request))


def _checked(status: int, reason: str | None, fields: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What an application wants to say, once it is known that it can be written: nothing has happened before.

    :raises ValueError: when it cannot.
    """
    if reason is not None:
        Response(status, reason)
    return application_fields(fields)
