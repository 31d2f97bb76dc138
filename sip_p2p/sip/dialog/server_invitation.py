"""An INVITE of a peer, from its arrival to our final response (RFC 3261 sections 9.2, 13.3 and 15.1.2).

::

    New --start--> Waiting --ring--> Ringing --accept--> Held --PRACK, answer--> Accepted
     |                |                 |                  |                        ^
     |                +--accept---------+--------------------------------------------+
     +-- refused -----+-----------------+------------------+--> Ended

Waiting, Ringing and Held end by a refusal or redirection of ours, a CANCEL, a BYE in the last early dialog, Expires,
nobody's decision, a PRACK that never came, and with the flow. The transaction below sends the 100 and answers copies
of the INVITE; this machine makes the early dialogs, sends provisional responses, reliable ones (RFC 3262) among them,
sends the last ones again each minute, and a 183 where nothing was said (13.3.1.1), and holds a 2xx back while a session
description waits for its PRACK (RFC 3262 section 3). With the 2xx the usage that it confirms takes over: it sends the
2xx again, hears the ACK, and hangs up when none comes.

There may be several early dialogs (section 12.1): a gateway that rings several phones answers as the forking proxy
would that it stands for. Those that lose are told so with a 199 (RFC 6228).

Long because everything that can happen to an INVITE, or be wished of it, has its method here.

Left out: 401 and 407, which the profile's authenticator answers; a 199 before a refusal, which RFC 6228 section 5
advises against.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, final

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.early_answers import EarlyAnswers
from sip_p2p.sip.dialog.effects import Ending, InvitationEnded
from sip_p2p.sip.dialog.incoming_invite import elsewhere, may_ring_elsewhere, read_invite
from sip_p2p.sip.dialog.mid_dialog import refuse
from sip_p2p.sip.dialog.offer_answer import Place
from sip_p2p.sip.dialog.usage import InviteUsage
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.readings import warning_value
from sip_p2p.sip.transaction.base import TransactionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.session_timer import SessionTimer
    from sip_p2p.sip.flow import Flow
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
_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
_GIVEN_UP = "SIP;cause=487"
"""What a 199 says where nobody has told why: as a forking proxy (RFC 3326 section 3.1), and as one that cancelled."""


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
        "_accepted", "_early", "_ends_at", "_expires_at", "_first", "core", "expires", "flow", "offer", "options",
        "profile", "request", "session_timer", "state", "transaction", "user",
    )  # fmt: skip

    def __init__(
        self,
        core: UserAgentCore,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        profile: Profile,
        options: AnswerOptions,
        user: object = None,
    ) -> None:
        self.core = core
        self.transaction = transaction
        self.request = request
        self.flow = flow
        self.profile = profile
        self.options = options
        self.user = user
        self.state = _NEW
        self.offer: ContentDescription | None = None
        self.expires: int | None = None
        self.session_timer: SessionTimer | None = None
        self._early = EarlyAnswers(core, transaction, request, profile, options)
        # The 2xx and whose it is, while it is held back.
        self._accepted: tuple[InviteUsage, Response] | None = None
        self._first: Dialog | None = None
        self._expires_at = math.inf
        self._ends_at = math.inf

    @property
    def is_forked(self) -> bool:
        """Whether other devices may have the INVITE too: a hint not to accept without a human (see
        :func:`~sip_p2p.sip.dialog.incoming_invite.may_ring_elsewhere`)."""
        return may_ring_elsewhere(self.request)

    @property
    def usages(self) -> tuple[InviteUsage, ...]:
        """The early dialogs, the first one first."""
        return self._early.usages

    @property
    def has_timer(self) -> bool:
        """Whether session timers are not left out."""
        return self.options.session_timer.is_enabled

    @property
    def is_open(self) -> bool:
        """Whether a final response can still be given, as far as is known by now: a CANCEL may just have come."""
        return self.state in _OPEN and self._can_be_answered

    @property
    def _can_be_answered(self) -> bool:
        return not (self.transaction.is_final_sent or self.transaction.state is TransactionState.TERMINATED)

    # -- the judgement -------------------------------------------------------------------------------------------------

    def start(self, now: float) -> bool:
        """Judge the INVITE, before anybody hears of it.

        :returns: False where it was refused: then there is nothing more to be done for it, and nothing will be said.
        """
        if self.state is not _NEW:
            raise InvalidOperation("this INVITE has been judged already")
        if not self._can_be_answered:
            # 9.2: a CANCEL that came in the same turn.
            self.state = _ENDED
            return False
        # Every response bears a tag of ours, also one that names no early dialog: the 200 of a CANCEL (9.2).
        tag = self.transaction.echo.to_tag = self.core.tokens.tag()
        reading = read_invite(self.request, tag, self.flow, self.profile, self.options)
        if reading.status:
            self.state = _ENDED
            refuse(self.core, self.transaction, reading.status, now, reading.fields)
            return False
        self._first = reading.dialog
        self.offer = reading.offer
        self.expires = reading.expires
        self.session_timer = reading.session_timer
        self.state = _WAITING
        # Whoever hears of a CANCEL or a lost flow tells it to whom it finds there.
        self.transaction.user = self
        if self.expires is not None:
            self._expires_at = now + self.expires
        self._ends_at = now + self.options.max_ring
        self._early.listen(now)
        self._appoint()
        return True

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
        :raises InvalidOperation: after :meth:`accept`, when *description* may not stand there (RFC 6337), when the
            caller cannot acknowledge a reliable one or wants no other, and when *usage* is over.
        """
        if not 101 <= status <= 198:
            raise ValueError(f"{status} is not the status of a provisional response that one can give: 101 to 198")
        checked = application_fields(fields)
        self._check_open(_HELD)
        usage = self._early_or_first(usage)
        is_reliable = self._early.goes_reliably(usage, description is not None) if reliable is None else reliable
        self._early.say(usage, status, reason, description, checked, is_reliable, now)
        if description is not None:
            usage.local_description = description
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
        if self._early and core.dialogs.is_full:
            raise InvalidOperation("there are too many dialogs", retryable=True)
        dialog, self._first = self._first, None
        if dialog is None:
            dialog = Dialog.of_callee(self.request, core.tokens.tag(), self.flow)
        dialog.username = self.transaction.authenticated_as
        usage = InviteUsage(core, dialog, self, self.user)
        usage.capabilities.heard(self.request)
        usage.offer_answer.received(Place.INVITE, self.offer is not None)
        self._early.add(usage)
        return usage

    def end_early(self, usage: InviteUsage, now: float, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Give up one early dialog and keep the others, or the INVITE without any (RFC 6228 section 5); a caller that
        knows the status 199 is told so.

        :param fields: further header fields of the 199: a Reason above all, which it has in any case.
        :raises InvalidOperation: when *usage* is none of this INVITE's early dialogs, and as :meth:`ring`.
        """
        checked = application_fields(fields)
        self._check_open(_HELD)
        self._early_or_first(usage)
        self._lose(usage, Ending.EARLY, checked, now)
        if not self._early:
            self.state = _WAITING
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
        :raises AlreadyResponded: when the INVITE is over.
        :raises InvalidOperation: when it has been accepted already, when *description* may not stand there, or is
            missing (RFC 3264, RFC 6337), and when *usage* is over.
        """
        checked = application_fields(fields)
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
        response = self._early.compose(usage, 200, None, description, checked)
        usage.offer_answer.sending(Place.INVITE_2XX, description is not None)
        if description is not None:
            usage.local_description = description
        self._confirm(usage, response, now)
        return usage

    def reject(
        self, status: int, now: float, reason: str | None = None, fields: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Refuse (section 13.3.1.3), also what was accepted and is still held back.

        :raises ValueError: for a status that is none of 400 to 699, and for what cannot stand in a message.
        :raises RestrictedHeader: for a field that is ours to set.
        :raises AlreadyResponded: when the INVITE is over.
        """
        if not 400 <= status <= 699:
            raise ValueError(f"{status} is not the status of a refusal: 400 to 699")
        checked = application_fields(fields)
        if status == 488 and self.offer is not None and all(name != "Warning" for name, _ in checked):
            # 13.3.1.3: it should have one.
            checked.append(("Warning", warning_value("the offer is not acceptable")))
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
        :raises ValueError: for a status that is none of 300 to 399, and for contacts that cannot be read or lead back
            here (see :func:`~sip_p2p.sip.dialog.incoming_invite.elsewhere`).
        :raises RestrictedHeader: for a field that is ours to set.
        :raises AlreadyResponded: when the INVITE is over.
        """
        if not 300 <= status <= 399:
            raise ValueError(f"{status} is not the status of a redirection: 300 to 399")
        checked = application_fields(fields)
        self._check_open()
        values = elsewhere(contacts, status, self.request, self.profile, self.core.directory)
        self._finish(status, None, [*(("Contact", value) for value in values), *checked], now)

    # -- what the peer does --------------------------------------------------------------------------------------------

    def abandoned(self, output: RequestAbandoned, now: float) -> None:
        """The transaction ended without us: by a CANCEL, after which the core said 487 (9.2), or with its flow."""
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
        self._early.prack_received(usage, output, self.is_open, now)
        if usage.offer_answer.has_failed:
            # RFC 3262 section 5: our offer had to be answered there.
            self._finish(488, None, [("Warning", warning_value("the PRACK has to answer our offer"))], now)
        else:
            self.settled(usage, now)

    def answer_offer(
        self, usage: InviteUsage, description: ContentDescription, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Answer the offer that a PRACK made (RFC 3262 section 5).

        :raises InvalidOperation: when none waits.
        :raises AlreadyResponded: when the time for it is over.
        """
        self._early.answer_prack(usage, description, application_fields(fields), now)
        self.settled(usage, now)

    def decline_offer(self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float) -> None:
        """Refuse the offer that a PRACK made. There is no way to refuse it and to go on (RFC 6337 section 2.3), so the
        INVITE is refused as well.

        :raises InvalidOperation: when none waits.
        """
        checked = application_fields(fields)
        self._early.refuse_prack(usage, status, checked, now)
        self._finish(status, None, checked, now)

    def settled(self, usage: InviteUsage, now: float) -> None:
        """A PRACK came, or an offer was answered: what waited for that goes out, a reliable response or the 2xx."""
        if not self.is_open or usage not in self._early:
            return
        self._early.say_next(usage, now)
        held = self._accepted
        if held is not None and held[0] is usage and not self._is_unsettled(usage):
            # RFC 3262 section 3: the descriptions are acknowledged, and the 2xx may go.
            usage.offer_answer.sending(Place.INVITE_2XX, False)
            self._confirm(usage, held[1], now)
        else:
            self._appoint()

    def usage_ended(self, usage: InviteUsage, message: Request | Response | None, now: float) -> None:
        """The usage of an early dialog ended by itself: the caller hung it up with a BYE (section 15.1.2)."""
        if usage not in self._early or self.state not in _OPEN:
            return
        self._early.drop(usage)
        held = self._accepted
        if not self._early or (held is not None and held[0] is usage):
            # 15.1.2: the request that is still pending in the dialog is answered 487.
            self.transaction.echo.to_tag = usage.dialog.local_tag
            self._finish(487, None, [], now, message if isinstance(message, Request) else None)
        else:
            self._appoint()

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if not self.is_open:
            return
        if now >= self._expires_at:
            # 13.3.1, step 1: the invitation has expired before there was a final response.
            status = 487
        elif now >= self._ends_at:
            # 21.4.18: nobody was there to decide.
            status = 480
        else:
            if self._early.is_silent(now):
                self._break_silence(now)
            status = self._early.handle_timer(now)
        if status:
            self._finish(status, None, [], now)
        else:
            self._appoint()

    def _break_silence(self, now: float) -> None:
        """13.3.1.1: the application takes its time, and a proxy may take the silence for an end."""
        try:
            self.ring(now, 183)
        except InvalidOperation:
            # Said reliably it would have to make an offer (13.2.1); or there are too many dialogs.
            return

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
        machine = usage.offer_answer
        if machine.holds_2xx or machine.offer_place is Place.RELIABLE or machine.offer_place is Place.PRACK:
            return True
        return machine.owes_answer and machine.offer_place is Place.UPDATE

    def _confirm(self, usage: InviteUsage, response: Response, now: float) -> None:
        """The 2xx goes out, and *usage* goes on."""
        for other in self.usages:
            if other is not usage:
                self._lose(other, Ending.FORKED, [], now)
        self._leave(_ACCEPTED)
        timer, self.session_timer = self.session_timer, None
        if timer is not None:
            # RFC 4028 section 9: the interval counts from here.
            for name, value in timer.response_fields(now):
                response.headers.add(name, value)
            usage.session_timer = timer
        self._early.stop(usage)
        # 9.2: a CANCEL that comes too late is answered with the tag of the 2xx.
        self.transaction.echo.to_tag = usage.dialog.local_tag
        usage.send_2xx(self.transaction, response, now)

    def _leave(self, state: ServerInvitationState) -> None:
        """There is a final response, or there will be none: nothing leads here from the core any more."""
        self.state = state
        self._accepted = self._first = None
        self.transaction.user = None
        self.core.appointments.set(self, None)

    def _lose(self, usage: InviteUsage, ending: Ending, fields: list[tuple[str, str]], now: float) -> None:
        """One early dialog will have no 2xx while another one, or the INVITE, goes on."""
        if self._early.drop(usage):
            self._early.say_lost(usage, _ELSEWHERE if ending is Ending.FORKED else _GIVEN_UP, fields, now)
        usage.ended(ending, now)

    def _finish(
        self,
        status: int,
        reason: str | None,
        fields: list[tuple[str, str]],
        now: float,
        request: Request | None = None,
    ) -> None:
        """Refuse, unless a CANCEL or the loss of the flow was quicker and will be told at once."""
        if not self.is_open:
            return
        response = self.core.response(self.transaction, status, reason)
        for name, value in fields:
            response.headers.add(name, value)
        self.core.respond(self.transaction, response, now)
        self._end(response, now, request=request)

    def _end(
        self,
        response: Response | None,
        now: float,
        reason: BaseException | None = None,
        request: Request | None = None,
    ) -> None:
        """It came to nothing: no early dialog outlives it, and what is held is let go."""
        self._leave(_ENDED)
        self.session_timer = None
        self._early.refuse_pracks(now)
        for usage in self._early.usages:
            # RFC 3262 section 3: a PRACK that still comes finds no dialog, and gets 481.
            self._early.drop(usage)
            usage.ended(Ending.EARLY, now)
        self.core.say(InvitationEnded(self, response, reason, request))
