"""What is said to a peer's INVITE before the final response: early dialogs and their provisional responses (RFC 3261
sections 12.1.1 and 13.3.1.1, RFC 3262 sections 3 and 5, RFC 6228 section 5).

:class:`EarlyAnswers` composes them and sends them, the reliable ones until their PRACK comes, answers the PRACKs, and
says the last of each dialog once more each minute. Who decides what is said, and when it is over, is
:mod:`~sip_p2p.sip.dialog.server_invitation`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.description import description_of
from sip_p2p.sip.dialog.effects import AnswerReceived, OfferReceived
from sip_p2p.sip.dialog.incoming_invite import has_option, wants_secure_contact
from sip_p2p.sip.dialog.mid_dialog import capability_fields, describe_response, refuse
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.reliable import OPTION_TAG, ReliableSender, first_rseq
from sip_p2p.sip.message import Response
from sip_p2p.sip.readings import warning_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.answer_options import AnswerOptions
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["EarlyAnswers"]


@final
class _Said:
    """What is under way in one early dialog.

    :ivar again: what is said once more each minute; None before anything was said.
    :ivar sender: its reliable responses; None before the first.
    :ivar prack: the PRACK whose offer waits for our answer.
    :ivar answer_by: when that answer comes too late; infinite while there is no such PRACK.
    """

    __slots__ = ("again", "answer_by", "prack", "sender")

    def __init__(self) -> None:
        self.again: Response | None = None
        self.sender: ReliableSender | None = None
        self.prack: ServerTransaction | None = None
        self.answer_by = math.inf


@final
class EarlyAnswers:
    """The early dialogs of one INVITE, and what is said in them.

    :ivar requires_reliable: whether the caller takes nothing else (RFC 3262 section 3).
    :ivar knows_reliable: whether the caller can acknowledge a reliable response.
    :ivar knows_199: whether the caller can be told that an early dialog is over.
    """

    __slots__ = (
        "_core", "_cseq", "_dialogs", "_has_packages", "_is_secure", "_options", "_profile", "_record_route",
        "_refresh_at", "_transaction", "knows_199", "knows_reliable", "requires_reliable",
    )  # fmt: skip

    def __init__(
        self,
        core: UserAgentCore,
        transaction: ServerTransaction,
        request: Request,
        profile: Profile,
        options: AnswerOptions,
    ) -> None:
        self._core = core
        self._transaction = transaction
        self._profile = profile
        self._options = options
        # The application may change the request later; what is needed of it is taken now.
        self._cseq = request.cseq
        self._record_route = request.headers.get_all("Record-Route")
        self._is_secure = wants_secure_contact(request)
        self._has_packages = "Recv-Info" in request.headers
        self.requires_reliable = has_option(request, "Require", OPTION_TAG)
        self.knows_reliable = self.requires_reliable or has_option(request, "Supported", OPTION_TAG)
        self.knows_199 = has_option(request, "Supported", "199")
        # In the order in which they were made.
        self._dialogs: dict[InviteUsage, _Said] = {}
        self._refresh_at = math.inf

    def __len__(self) -> int:
        return len(self._dialogs)

    def __contains__(self, usage: InviteUsage) -> bool:
        return usage in self._dialogs

    @property
    def usages(self) -> tuple[InviteUsage, ...]:
        """The usages of the early dialogs, the first one first."""
        return tuple(self._dialogs)

    def add(self, usage: InviteUsage) -> None:
        """There is one more; nothing has been said in it."""
        self._dialogs[usage] = _Said()

    def drop(self, usage: InviteUsage) -> bool:
        """It is over, or no longer ours to care for; return whether the caller has heard of it."""
        return self._dialogs.pop(usage).again is not None

    def stop(self, usage: InviteUsage) -> None:
        """RFC 3262 section 3: after the final response nothing is sent again; a PRACK may still come."""
        sender = self._dialogs[usage].sender
        if sender is None:
            del self._dialogs[usage]
        else:
            sender.stop()
            if sender.is_out:
                usage.reliable = sender

    # -- what is said --------------------------------------------------------------------------------------------------

    @property
    def _may_be_reliable(self) -> bool:
        """RFC 3262 section 3: whether both sides understand it, and it is not off."""
        return self.knows_reliable and self._options.reliable != "off" and OPTION_TAG in self._profile.supported

    def goes_reliably(self, usage: InviteUsage, has_description: bool) -> bool:
        """What the policy makes of a provisional response in the dialog of *usage*."""
        if self.requires_reliable:
            return True
        if not self._may_be_reliable:
            return False
        if self._options.reliable == "required":
            # 13.2.1: where the caller made no offer the first reliable response has to.
            return has_description or not usage.offer_answer.must_stand(Place.RELIABLE)
        return has_description and usage.offer_answer.may_stand(Place.RELIABLE)

    def listen(self, now: float) -> None:
        """13.3.1.1: from now on nobody is to wait for a word longer than a minute."""
        self._refresh_at = now + self._options.refresh

    def is_silent(self, now: float) -> bool:
        """Whether something is to be said by *now*, and nothing was that could be said once more."""
        return now >= self._refresh_at and all(said.again is None for said in self._dialogs.values())

    def say(
        self,
        usage: InviteUsage,
        status: int,
        reason: str | None,
        description: ContentDescription | None,
        fields: list[tuple[str, str]],
        is_reliable: bool,
        now: float,
    ) -> None:
        """Send a provisional response in the dialog of *usage*.

        :raises InvalidOperation: when it may not go that way, or *description* may not stand in it.
        """
        if is_reliable and not self._may_be_reliable:
            raise InvalidOperation("one side does not understand reliable responses (RFC 3262 section 3)")
        if not is_reliable and self.requires_reliable:
            raise InvalidOperation("the caller requires reliable responses (RFC 3262 section 3)")
        response = self.compose(usage, status, reason, description, fields)
        again = response
        if is_reliable:
            # Said once more it is as unreliable as any, and a description that was acknowledged is not said twice.
            again = self.compose(usage, status, reason, None, fields)
            self._say_reliably(usage, response, now)
        else:
            usage.offer_answer.sending(Place.UNRELIABLE, description is not None)
            self._core.respond(self._transaction, response, now)
        self._dialogs[usage].again = again
        self._refresh_at = now + self._options.refresh

    def say_lost(self, usage: InviteUsage, why: str, fields: list[tuple[str, str]], now: float) -> None:
        """RFC 6228 section 5: the dialog of *usage*, of which the caller has heard, is over before there is a final
        response.

        Not where every response has to be reliable: its PRACK would come to a dialog that is gone.

        :param why: the Reason that it has to have, where *fields* have none.
        """
        if not self.knows_199 or self.requires_reliable:
            return
        response = self.compose(usage, 199, None, None, fields)
        headers = response.headers
        if "Reason" not in headers:
            headers.add("Reason", why)
        # RFC 6228 section 5: the option tag of the 199 is not among what it supports.
        headers["Supported"] = ", ".join(tag for tag in headers["Supported"].split(", ") if tag != "199")
        self._core.respond(self._transaction, response, now)

    def say_next(self, usage: InviteUsage, now: float) -> None:
        """Send what waited for a PRACK, if it has come."""
        sender = self._dialogs[usage].sender
        following = None if sender is None else sender.following(now)
        if following is not None:
            self._core.respond(self._transaction, following, now)

    def compose(
        self,
        usage: InviteUsage,
        status: int,
        reason: str | None,
        description: ContentDescription | None,
        fields: list[tuple[str, str]],
    ) -> Response:
        """A response that names the dialog of *usage*: provisional, or the 2xx (section 12.1.1).

        :raises InvalidOperation: when the party that is called has no Contact.
        :raises ValueError: when *reason* cannot be written.
        """
        transaction = self._transaction
        if reason is not None:
            Response(status, reason)
        transaction.echo.to_tag = usage.dialog.local_tag
        response = self._core.response(transaction, status, reason)
        headers = response.headers
        # 12.1.1: the whole Record-Route goes back, in order.
        for value in self._record_route:
            headers.add("Record-Route", value)
        headers.add("Contact", self._profile.contact_value(transaction.flow, self._is_secure))
        has_timer = self._options.session_timer.is_enabled
        for name, value in capability_fields(self._profile, has_timer, self._has_packages):
            headers.add(name, value)
        for name, value in fields:
            headers.add(name, value)
        describe_response(response, description)
        return response

    def _say_reliably(self, usage: InviteUsage, response: Response, now: float) -> None:
        said = self._dialogs[usage]
        sender = said.sender
        if sender is None:
            core = self._core
            sender = said.sender = ReliableSender(self._cseq, first_rseq(core.tokens), core.layer.timers)
        if sender.is_full:
            raise InvalidOperation("too many provisional responses wait to be acknowledged", retryable=True)
        usage.offer_answer.sending(Place.RELIABLE, bool(response.body))
        ready = sender.send(response, now)
        if ready is not None:
            self._core.respond(self._transaction, ready, now)

    # -- time ----------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> int:
        """Say again what is due.

        :returns: 0; or the status to refuse the INVITE with, because something that was waited for did not come.
        """
        for said in self._dialogs.values():
            if now >= said.answer_by:
                return 500
            sender = said.sender
            if sender is None:
                continue
            again = sender.due(now)
            if again is not None:
                self._core.respond(self._transaction, again, now)
            elif sender.has_given_up:
                # RFC 3262 section 3: after 64*T1 without a PRACK the INVITE is rejected with a 5xx.
                return 504
        if now >= self._refresh_at:
            self._refresh(now)
        return 0

    def next_deadline(self) -> float:
        """When :meth:`handle_timer` is to be called next; infinite while nothing is waited for."""
        due = self._refresh_at
        for said in self._dialogs.values():
            due = min(due, said.answer_by)
            if said.sender is not None and said.sender.next_deadline is not None:
                due = min(due, said.sender.next_deadline)
        return due

    def _refresh(self, now: float) -> None:
        """13.3.1.1: say once more what was said last, in each dialog."""
        self._refresh_at = now + self._options.refresh
        for usage, said in self._dialogs.items():
            again, sender = said.again, said.sender
            if again is None or (sender is not None and sender.is_waiting):
                # Nothing was said; or it is said all the time, until the PRACK comes.
                continue
            if self.requires_reliable:
                copy = Response.adopt(again.status, again.reason, again.headers.copy(), b"")
                self._say_reliably(usage, copy, now)
            else:
                self._core.respond(self._transaction, again, now)

    # -- PRACK ---------------------------------------------------------------------------------------------------------

    def prack_received(self, usage: InviteUsage, output: InDialogRequestReceived, may_offer: bool, now: float) -> None:
        """A PRACK in the dialog of *usage*: it is answered here, but for one whose offer wants an answer first.

        :param may_offer: whether the INVITE has no final response yet.
        """
        core, transaction, request = self._core, output.transaction, output.request
        said = self._dialogs.get(usage)
        try:
            description = description_of(request)
        except MalformedMessage as error:
            refuse(core, transaction, error.status, now, (("Warning", warning_value(error.reason)),))
            return
        # RFC 3262 section 3: what acknowledges nothing that is out gets 481.
        status = 481 if said is None or said.sender is None else said.sender.prack(request)
        if said is None or status != 200:
            refuse(core, transaction, status, now)
            return
        if description is not None and not may_offer:
            # 14.2, RFC 6337 section 4: it crossed our 2xx, whose ACK is due; an offer has to wait for that.
            refuse(core, transaction, 491, now)
            return
        role = usage.offer_answer.received(Place.PRACK, description is not None)
        if isinstance(role, int):
            refuse(core, transaction, role, now)
        elif role is Role.OFFER and description is not None:
            # RFC 3262 section 5: the answer goes into the 2xx of the PRACK.
            said.prack = transaction
            said.answer_by = now + core.layer.timers.answer_deadline
            core.say(OfferReceived(usage, description, request))
        else:
            usage.offer_answer.sending(Place.PRACK_2XX, False)
            core.respond(transaction, core.response(transaction, 200), now)
            if role is Role.ANSWER and description is not None:
                core.say(AnswerReceived(usage, description))

    def answer_prack(
        self, usage: InviteUsage, description: ContentDescription, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """Answer the offer in the PRACK (RFC 3262 section 5).

        :raises InvalidOperation: when none waits.
        :raises AlreadyResponded: when its time is over.
        """
        core = self._core
        said, transaction = self._waiting_prack(usage)
        response = core.response(transaction, 200)
        for name, value in fields:
            response.headers.add(name, value)
        describe_response(response, description)
        core.respond(transaction, response, now)
        usage.offer_answer.sending(Place.PRACK_2XX, True)
        usage.local_description = description
        said.prack = None
        said.answer_by = math.inf

    def refuse_prack(self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float) -> None:
        """Refuse the PRACK for its offer.

        :raises InvalidOperation: when none waits.
        """
        said, transaction = self._waiting_prack(usage)
        said.prack = None
        said.answer_by = math.inf
        usage.offer_answer.rollback(Place.PRACK)
        refuse(self._core, transaction, status, now, fields)

    def refuse_pracks(self, now: float) -> None:
        """The INVITE is over: no PRACK waits for us any longer (section 15.1.2)."""
        for said in self._dialogs.values():
            if said.prack is not None:
                refuse(self._core, said.prack, 487, now)
                said.prack = None

    def _waiting_prack(self, usage: InviteUsage) -> tuple[_Said, ServerTransaction]:
        said = self._dialogs.get(usage)
        if said is None or said.prack is None:
            raise InvalidOperation("no offer waits for an answer")
        return said, said.prack
