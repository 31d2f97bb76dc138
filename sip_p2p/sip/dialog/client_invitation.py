"""An INVITE of ours and all that it gives rise to (RFC 3261 sections 9.1, 13.2 and 8.1.3.4; RFC 6228).

::

    Idle --start--> Calling --1xx--> Proceeding --2xx--> Accepted --64*T1--> Ended
                      |  ^               |  |
                      |  +--another try--+  +--cancel--> Cancelling --3xx-6xx, 64*T1--> Ended
                      |  |               |                    |
                      |  +--follow-- Redirected               +--2xx: ACK, BYE--> Late --64*T1--> Ended
                      |                                       |
                      +--cancel--> Unwanted --1xx: CANCEL-----+

One INVITE may ring at many places: each makes an early dialog with a usage of its own. The first 2xx wins. Every other
is acknowledged and ended at once (13.2.2.4), also when it comes later, and also when it crosses a CANCEL of ours. A
CANCEL is sent when there is a provisional response, never before it (9.1).

What is in the responses of one branch, its usage is told by :mod:`.client_branch`; where a redirected call may go is
:mod:`.redirection`'s. A challenge (section 22) that whoever sends the INVITE can answer is never heard of here: the
same attempt goes on in another transaction, with a higher CSeq.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage, OperationTimeout
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.diagnostics import ReasonValue
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.client_branch import Branches, hear_acceptance, hear_provisional, refuse_acceptance
from sip_p2p.sip.dialog.effects import (
    Ending,
    Errand,
    InvitationEnded,
    Progress,
    Purpose,
    Redirected,
    RequestUnwanted,
    RequestWanted,
)
from sip_p2p.sip.dialog.redirection import Redirection, another_attempt, fields_of_uri
from sip_p2p.sip.fields import parse_seconds
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.transaction.base import TransactionState
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.compose import RequestPlan
    from sip_p2p.sip.dialog.session_timer import SessionTimer
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.base import ClientTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["CallOptions", "ClientInvitation", "ClientInvitationState"]


class ClientInvitationState(enum.Enum):
    """Where an INVITE of ours is."""

    IDLE = "idle"
    CALLING = "calling"
    PROCEEDING = "proceeding"
    UNWANTED = "unwanted"
    CANCELLING = "cancelling"
    REDIRECTED = "redirected"
    ACCEPTED = "accepted"
    LATE = "late"
    ENDED = "ended"


_IDLE = ClientInvitationState.IDLE
_CALLING = ClientInvitationState.CALLING
_PROCEEDING = ClientInvitationState.PROCEEDING
_UNWANTED = ClientInvitationState.UNWANTED
_CANCELLING = ClientInvitationState.CANCELLING
_REDIRECTED = ClientInvitationState.REDIRECTED
_ACCEPTED = ClientInvitationState.ACCEPTED
_LATE = ClientInvitationState.LATE
_ENDED = ClientInvitationState.ENDED

_OPEN = frozenset((_CALLING, _PROCEEDING, _UNWANTED, _CANCELLING))
_GIVEN_UP = frozenset((_UNWANTED, _CANCELLING))
_RANG_TOO_LONG = (("Reason", str(ReasonValue("SIP", 408, "nobody accepted in time"))),)


@final
class ClientInvitation:
    """One call of ours, from the wish to its outcome: attempts, branches, and which of them won.

    :ivar user: whatever the facade put there.
    :ivar options: how it is made.
    :ivar plan: what its present attempt is made of.
    :ivar state: where it is.
    :ivar branches: where it rings, and who has accepted.
    :ivar session_timer: what the present attempt said about how long the session may last.
    """

    __slots__ = (
        "_core",
        "_errand",
        "_fields",
        "_reason",
        "_redirection",
        "_response",
        "_ring_for",
        "_ring_until",
        "_transaction",
        "_winner",
        "_wish",
        "branches",
        "options",
        "plan",
        "session_timer",
        "state",
        "user",
    )

    def __init__(
        self,
        core: UserAgentCore,
        plan: RequestPlan,
        options: CallOptions,
        user: object = None,
        profile: Profile | None = None,
    ) -> None:
        """
        :param plan: the INVITE; its CSeq is the first, its body the offer, and no body asks the peer for one.
        :param profile: the party that calls; None leaves it to the dialog to find it by From.
        :raises ValueError: when *plan* cannot be written, or its Request-URI is none.
        """
        self._core = core
        self.options = options
        self.user = user
        self.state = _IDLE
        # The tag of the branch that accepted first.
        self._winner: str | None = None
        timer: SessionTimer | None = options.begin_session_timer()
        self.session_timer = timer
        self.branches = Branches(core, options.max_forks, user, profile, timer is None or timer.settings.is_enabled)
        self.plan = plan
        self._fields = plan.fields
        try:
            self._redirection = Redirection(plan.uri, options.max_redirects, options.max_targets)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        self._ring_for = _ring_for(options.max_ring, plan)
        plan.fields = options.complete(self._fields, self.session_timer)
        plan.prepare()
        self._errand: Errand | None = None
        # Which server has the present attempt (RFC 3263 section 4.3), as its last response told.
        self._transaction: ClientTransaction | None = None
        self._ring_until: float | None = None
        # What a CANCEL is to say, and why it was wished for if the application did not.
        self._wish: tuple[tuple[str, str], ...] = ()
        self._reason: BaseException | None = None
        self._response: Response | None = None

    @property
    def errand(self) -> Errand | None:
        """The present attempt; None before the first, and after the outcome."""
        return self._errand

    @property
    def usage(self) -> InviteUsage | None:
        """The session that came of it, while that lives and other branches may accept still."""
        return None if self._winner is None else self.branches.usages.get(self._winner)

    @property
    def usages(self) -> dict[str, InviteUsage]:
        """By the remote tag, what each branch made: see :attr:`.Branches.usages`."""
        return self.branches.usages

    # -- what the application wants ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """13.2.1: call.

        :raises InvalidOperation: when it was started before.
        """
        if self.state is not _IDLE:
            raise InvalidOperation("a call is made once")
        if self._ring_for is not None:
            self._ring_until = now + self._ring_for
        self._attempt(self.plan, None)

    def _attempt(self, plan: RequestPlan, user: object) -> None:
        """Send an INVITE, the first or one more."""
        self._leave_errand()
        self.plan = plan
        self.state = _CALLING
        self.branches.begin_anew()
        self._errand = Errand(self, plan, Purpose.INVITE, user)
        self._core.appointments.set(self, self._ring_until)
        self._core.say(RequestWanted(self._errand))

    def cancel(self, now: float, fields: Iterable[tuple[str, str]] = ()) -> None:
        """Call no longer. Nothing once it was accepted: that takes a BYE of its usage.

        :param fields: what a CANCEL is to carry; a Reason above all (RFC 3326).
        :raises ValueError: for a field that cannot be written or is not the application's to set.
        """
        wish = tuple(application_fields(fields))
        state = self.state
        if state is _IDLE:
            self._end(None, None, now)
        elif state is _REDIRECTED:
            self._end(self._response, self._reason, now)
        elif state is _CALLING or state is _PROCEEDING:
            self._redirection.clear()
            self._wish = wish
            self._call_off(now)

    def _call_off(self, now: float) -> None:
        errand = self._errand
        if errand is None or errand.transaction is None:
            # Nobody is being asked: there is nothing to cancel.
            if errand is not None:
                self._core.say(RequestUnwanted(errand))
            self.branches.end_early(Ending.EARLY, None, now)
            self._end(None, self._reason, now)
            return
        # No other server gets it.
        self._core.say(RequestUnwanted(errand))
        # 9.1: CANCEL must wait for a provisional response; timer B ends the INVITE where none comes.
        self.state = _UNWANTED
        self._core.appointments.set(self, now + self._core.layer.timers.timeout)
        self._send_cancel(errand.transaction, now)

    def _send_cancel(self, transaction: ClientTransaction | None, now: float) -> None:
        """Send CANCEL if it is time for it: not before a provisional response, and not when the final one is there
        already and about to be told."""
        if transaction is None or transaction.state is not TransactionState.PROCEEDING:
            return
        self._core.cancel(transaction, self._wish, now)
        # 9.1: with no final response within 64*T1 the INVITE counts as cancelled.
        self.state = _CANCELLING
        self._core.appointments.set(self, now + self._core.layer.timers.timeout)

    def follow(self, targets: Iterable[str], now: float, fields: Iterable[tuple[str, str]] = ()) -> None:
        """8.1.3.4: after :class:`~sip_p2p.sip.dialog.effects.Redirected`, call *targets*, one after the other until one
        accepts; each may redirect in its turn.

        :param targets: URIs, its contacts or others.
        :param fields: header fields for these and all later attempts.
        :raises InvalidOperation: when no redirection waits for a decision.
        :raises ValueError: for a target that cannot be called, and for a field that cannot be written or is not the
            application's to set; nobody is called then.
        """
        if self.state is not _REDIRECTED:
            raise InvalidOperation("no redirection waits for a decision")
        complete = [*self._fields, *application_fields(fields)]
        self.options.complete(complete, None)
        self._redirection.follow(targets)
        self._fields = complete
        if not self._try_next():
            self._end(self._response, None, now)

    def give_up(self, now: float) -> None:
        """After :class:`~sip_p2p.sip.dialog.effects.Redirected`: call nobody else; the 3xx is the outcome.

        :raises InvalidOperation: when no redirection waits for a decision.
        """
        if self.state is not _REDIRECTED:
            raise InvalidOperation("no redirection waits for a decision")
        self._end(self._response, None, now)

    # -- what becomes of the INVITE ------------------------------------------------------------------------------------

    def errand_answered(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """A response to the present attempt; one to an earlier attempt, and one after the end, is passed over."""
        if errand is not self._errand:
            self._core.counters.dropped_responses += 1
            return
        if errand.transaction is not self._transaction:
            # RFC 3263 section 4.3: another server has the INVITE now, and whatever the one before it began is over.
            self._transaction = errand.transaction
            self.branches.end_early(Ending.EARLY, None, now)
        if response.status < 200:
            self._provisional(errand, response, flow, now)
        elif response.status < 300:
            self._accepted(errand, response, flow, now)
        elif self.state in _OPEN:
            self._failed(response, None if self.state in _GIVEN_UP else errand.refusal, now)
        else:
            self._core.counters.dropped_responses += 1

    def errand_failed(self, errand: Errand, reason: BaseException, now: float) -> None:
        """8.1.3.1: there is no response: nobody answered in time, or no flow was to be had or stayed."""
        if errand is self._errand and self.state in _OPEN:
            self._failed(None, reason, now)

    def _provisional(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        state = self.state
        if state not in _OPEN:
            self._core.counters.dropped_responses += 1
            return
        if state is _CALLING:
            self.state = _PROCEEDING
        elif state is _UNWANTED:
            # 9.1: now that there is a provisional response, CANCEL may go.
            self._send_cancel(errand.transaction, now)
        if response.status == 100 or state in _GIVEN_UP:
            self._core.say(Progress(self, response, None, False))
            return
        branches = self.branches
        try:
            usage = branches.usages.get(response.to.tag or "")
            is_new = usage is None and branches.may_begin(response)
            if is_new:
                usage = branches.begin(errand, response, flow)
        except MalformedMessage:
            # 12.1: what names no dialog makes none, and still says that somebody is at work.
            self._core.counters.dropped_responses += 1
            usage, is_new = None, False
        if usage is None or not usage.is_early:
            self._core.say(Progress(self, response, None, False))
            return
        hear_provisional(self._core, self, usage, response, flow, is_new, now)
        if response.status == 199:
            # RFC 6228 section 4: this branch is over. If it accepts all the same, that counts.
            branches.end(usage, Ending.EARLY, response, now)

    def _accepted(self, errand: Errand, response: Response, flow: Flow, now: float) -> None:
        """13.2.2.4: a 2xx, of whichever branch and however often."""
        state = self.state
        branches = self.branches
        try:
            tag = response.to.tag or ""
            if branches.acknowledge_again(response):
                return
            usage = branches.usages.get(tag)
            if usage is None and state not in _OPEN and branches.is_full:
                # No call has that many branches: whoever makes them up gets no BYE for each.
                self._core.counters.refused_forks += 1
                return
            is_refused = branches.is_refused(tag)
            if usage is None or is_refused:
                usage = branches.begin(errand, response, flow)
        except MalformedMessage as error:
            # It names no dialog that could be acknowledged.
            self._core.counters.dropped_responses += 1
            if state in _OPEN:
                self._failed(None, error, now)
            return
        if state in (_CALLING, _PROCEEDING) and not is_refused:
            self._won(usage, response, flow, now)
            return
        # 13.2.2.4, 9.1: another branch won, or we had cancelled the INVITE or ended this branch: ACK, then BYE.
        refuse_acceptance(usage, response, flow, self.plan.cseq, now)
        if state in _OPEN:
            self.branches.end_early(Ending.FORKED, response, now)
            self.state = _LATE
            self._core.appointments.set(self, now + self._core.layer.timers.timeout)
            self._core.say(InvitationEnded(self, response, self._reason))

    def _won(self, usage: InviteUsage, response: Response, flow: Flow, now: float) -> None:
        """The first 2xx: its dialog is the session; the early dialogs of the other branches end."""
        self.state = _ACCEPTED
        self._winner = usage.dialog.remote_tag
        self._redirection.clear()
        # 13.2.2.4: 64*T1 after the first 2xx no other is to be expected.
        self._core.appointments.set(self, now + self._core.layer.timers.timeout)
        usage.session_timer, self.session_timer = self.session_timer, None
        hear_acceptance(self._core, usage, response, flow, self.plan.cseq, self.options.automatic_ack, now)
        self.branches.end_early(Ending.FORKED, response, now)

    def _failed(self, response: Response | None, reason: BaseException | None, now: float) -> None:
        """The attempt came to nothing: *response* says why, 300 or above, or *reason* does."""
        self.branches.end_early(Ending.EARLY, response, now)
        if self.state in _GIVEN_UP:
            self._end(response, self._reason if reason is None else reason, now)
        elif response is not None and self._try_again(response):
            return
        elif response is not None and response.status < 400:
            self._redirected(response, now)
        elif (response is not None and response.status >= 600) or not self._try_next():
            # 21.6: a 6xx speaks for the callee wherever it is asked for.
            self._end(response, reason, now)

    def _try_again(self, response: Response) -> bool:
        """8.1.3.5: whether what *response* finds wrong with the INVITE can be mended, and the same target is called
        again."""
        timer = self.session_timer
        if response.status == 422 and timer is not None and timer.too_small(response):
            # RFC 4028 section 7.3: with the interval that was asked for.
            fields = self.options.complete(self._fields, timer)
            self._attempt_again(another_attempt(self.plan, None, fields))
            return True
        return False

    def _redirected(self, response: Response, now: float) -> None:
        """8.1.3.4: somebody else knows where the callee is; the owner says whether to go there."""
        # 21.3.4: a 305 names a proxy that the same request should pass, which is for whoever sets up proxies to say.
        is_followed = self._redirection.may_follow and response.status != 305
        contacts = self._contacts(response) if is_followed else []
        if not contacts:
            if not self._try_next():
                self._end(response, None, now)
            return
        self.state = _REDIRECTED
        self._response = response
        self._core.say(Redirected(self, response, contacts))

    def _contacts(self, response: Response) -> list[str]:
        """The targets that *response* names and that may be tried without asking anybody."""
        directory, caller, transaction = self._core.directory, self.branches.profile, self._transaction
        own = parse_name_addr(self.plan.from_, "From").uri
        if caller is None and isinstance(own, SipUri):
            caller = directory.serves(own)
        flow = None if transaction is None else transaction.flow
        return self._redirection.contacts(response, flow, caller, directory)

    def _try_next(self) -> bool:
        """Call the next target of the redirections, if there is one."""
        uri = self._redirection.next()
        if uri is None:
            return False
        self._response = None
        # 19.1.5: what the URI asks for stands beside what the application said, and never in its place.
        said = {name.lower() for name, _ in self._fields}
        asked = [(name, value) for name, value in fields_of_uri(uri) if name.lower() not in said]
        # RFC 4028 section 7.4: what a 422 has said holds for all that has this Call-ID.
        fields = self.options.complete([*self._fields, *asked], self.session_timer)
        self._attempt_again(another_attempt(self.plan, uri, fields))
        return True

    def _attempt_again(self, plan: RequestPlan) -> None:
        self._attempt(plan, None if self._errand is None else self._errand.user)

    # -- time ----------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """It rang for long enough, CANCEL brought nothing, or no other 2xx is to be expected."""
        state = self.state
        if state in (_CALLING, _PROCEEDING, _REDIRECTED):
            self._reason = OperationTimeout(f"nobody accepted within {self._ring_for:g} s")
            self.cancel(now, _RANG_TOO_LONG)
        elif state in _GIVEN_UP:
            # 9.1: the INVITE counts as cancelled, and its transaction is left alone.
            errand = self._errand
            if errand is not None and errand.transaction is not None:
                self._core.layer.abandon(errand.transaction, now)
                self._core.say(RequestUnwanted(errand))
            self.branches.end_early(Ending.EARLY, None, now)
            self._end(None, self._reason or OperationTimeout("no final response though it was cancelled"), now)
        elif state in (_ACCEPTED, _LATE):
            usage = self.usage
            if usage is not None and usage.owed_ack is not None and usage.owed_ack.is_owed:
                # 13.3.1.4: the peer has ceased to wait for the ACK, or for the answer in it.
                usage.bye(now, ending=Ending.NO_AGREEMENT)
            self._let_go()

    def _leave_errand(self) -> None:
        """The attempt is over. Its transaction may live on, and leads to the errand: that must not lead back."""
        if self._errand is not None:
            self._errand.transaction = None
        self._errand = None
        self._transaction = None

    def _end(self, response: Response | None, reason: BaseException | None, now: float) -> None:
        """The outcome, where no usage is."""
        self._let_go()
        self._core.say(InvitationEnded(self, response, reason))

    def _let_go(self) -> None:
        """Nothing more comes of it: whatever it held is free."""
        self.state = _ENDED
        self._core.appointments.set(self, None)
        self._leave_errand()
        self._response = None
        self.session_timer = None
        self._redirection.clear()
        self.branches.let_go()


def _ring_for(max_ring: float | None, plan: RequestPlan) -> float | None:
    """For how many seconds the call may last without an answer: *max_ring*, or less where Expires says so (13.2.1: then
    a CANCEL is due).

    :raises ValueError: when Expires is no number.
    """
    for name, value in plan.fields:
        if name.lower() == "expires":
            try:
                expires = parse_seconds(value, "Expires")
            except MalformedMessage as error:
                raise ValueError(str(error)) from None
            if expires is not None and (max_ring is None or expires < max_ring):
                return float(expires)
    return max_ring
