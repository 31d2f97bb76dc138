"""The branches of an INVITE of ours, and what each says (RFC 3261 sections 12.1.2, 13.2.1 and 13.2.2.4; RFC 3262
section 4; RFC 6228).

Which responses are to be heard at all, and which branch wins, is :mod:`.client_invitation`'s. :class:`Branches` knows
which there are, and makes a dialog and a usage for each. The functions tell a response to the usage of its branch: its
place in the order of reliable ones and a PRACK, an offer or an answer, and at the end an ACK, and a BYE for a branch
that nobody wants any more.

A description counts in whichever provisional response it stands: 180 as well as 183.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.description import description_of, refusal_of
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Accepted, AnswerReceived, Ending, OfferReceived, Progress
from sip_p2p.sip.dialog.mid_dialog import farewell_fields, refuse
from sip_p2p.sip.dialog.offer_answer import Place, Role
from sip_p2p.sip.dialog.reliable import MOST_PRACKS, ReliableReceiver, rseq_of
from sip_p2p.sip.dialog.usage import InviteUsage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sip_p2p.sip.dialog.acknowledging import OwedAck
    from sip_p2p.sip.dialog.client_invitation import ClientInvitation
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.effects import Errand, InDialogRequestReceived
    from sip_p2p.sip.dialog.reliable import RAck
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request, Response
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["Branches", "hear_acceptance", "hear_provisional", "refuse_acceptance"]

_MOST_ENDED = 4

_FAREWELLS = frozenset((Ending.LOCAL_BYE, Ending.REMOTE_BYE, Ending.NO_AGREEMENT, Ending.FORKED))


@final
class Branches:
    """Where an INVITE of ours rings, and who has accepted it. To its usages it is the INVITE that they came of.

    :ivar profile: the party that calls; None where it is to be found by From.
    :ivar has_timer: whether session timers are not left out.
    :ivar usages: by the remote tag, those that live: early ones, the one that won, and others that accepted and wait
        for the end of their BYE.
    """

    __slots__ = (
        "_acks",
        "_begun",
        "_core",
        "_most",
        "_numbers",
        "_pracks",
        "_refused",
        "_user",
        "has_timer",
        "profile",
        "usages",
    )

    def __init__(
        self, core: UserAgentCore, most: int, user: object, profile: Profile | None, has_timer: bool = True
    ) -> None:
        """
        :param most: how many there may be at a time, but for the first that accepts.
        :param user: what each usage is given for its ``user``.
        """
        self._core = core
        self._most = most
        self._user = user
        self.profile = profile
        self.has_timer = has_timer
        self.usages: dict[str, InviteUsage] = {}
        self._begun = 0
        # Of those that accepted and are over, what acknowledges their 2xx again.
        self._acks: dict[str, OwedAck] = {}
        # The branches that are over for us: they are not to accept any more.
        self._refused: set[str] = set()
        # By the tag, the last sequence number of an early dialog that has ended.
        self._numbers: dict[str, int] = {}
        # By the tag, which reliable response of a branch waits for a PRACK with our answer, and what it offers.
        self._pracks: dict[str, tuple[RAck, ContentDescription]] = {}

    @property
    def is_full(self) -> bool:
        """Whether no further one is wanted."""
        return len(self.usages) + len(self._acks) >= self._most

    def acknowledge_again(self, response: Response) -> bool:
        """13.2.2.4: see to the ACK of a 2xx that came before; False where it has not."""
        tag = response.to.tag or ""
        usage = self.usages.get(tag)
        owed = self._acks.get(tag) if usage is None else usage.owed_ack
        found = None if owed is None else owed.find(response.cseq.number)
        if found is not None:
            found.again(self._core)
        return owed is not None

    def is_refused(self, tag: str) -> bool:
        """Whether the branch with *tag* is not to accept any more: its early dialog was ended, by us or by it."""
        usage = self.usages.get(tag)
        return tag in self._refused or (usage is not None and not usage.is_early)

    def may_begin(self, response: Response) -> bool:
        """12.1: whether *response*, a provisional one, may begin an early dialog. RFC 6228 section 4: a 199 only ever
        ends one; but a reliable one has to be acknowledged, and its PRACK needs a dialog."""
        tag = response.to.tag
        if tag is None or tag in self._refused or (response.status == 199 and not rseq_of(response)):
            return False
        # RFC 6228: a branch that ends makes room for another one, but nobody has branches without end.
        is_refused = self.is_full or self._begun >= _MOST_ENDED * self._most
        self._core.counters.refused_forks += is_refused
        return not is_refused

    def begin(self, errand: Errand, response: Response, flow: Flow) -> InviteUsage:
        """The usage that *response* makes of its branch (section 12.1.2); early until it is accepted.

        :raises MalformedMessage: when it names no dialog.
        """
        tag = response.to.tag or ""
        transaction = errand.transaction
        request = errand.plan.prepare() if transaction is None else transaction.request
        dialog = Dialog.of_caller(request, response, flow)
        # 12.2.1.1: where there was an early dialog, its sequence numbers go on.
        known = self.usages.get(tag)
        dialog.local_cseq = max(
            dialog.local_cseq, self._numbers.get(tag, 0), 0 if known is None else known.dialog.local_cseq
        )
        self._begun += 1
        usage = self.usages[tag] = InviteUsage(self._core, dialog, self, self._user)
        # RFC 3264: every branch has been told of our offer, or of our wish for one.
        usage.local_description = description_of(request)
        usage.offer_answer.sending(Place.INVITE, usage.local_description is not None)
        return usage

    def end_early(self, ending: Ending, response: Response | None, now: float) -> None:
        """Every early dialog is over: with a final response of 300 and above (12.3), or because another branch won."""
        for usage in list(self.usages.values()):
            if usage.is_early:
                self.end(usage, ending, response, now)

    def end(self, usage: InviteUsage, ending: Ending, response: Response | None, now: float) -> None:
        """The early dialog of *usage* is over, and its branch may begin another one."""
        tag = usage.dialog.remote_tag
        # It is taken out first: what ends here was not ended by one of the two.
        self.usages.pop(tag, None)
        self._pracks.pop(tag, None)
        usage.ended(ending, now, response)
        self._remember(usage)

    def _remember(self, usage: InviteUsage) -> None:
        """12.2.1.1: if the branch accepts all the same, ACK and BYE go on in the dialog that there was."""
        if len(self._numbers) < self._most:
            self._numbers[usage.dialog.remote_tag] = usage.dialog.local_cseq

    def begin_anew(self) -> None:
        """Another INVITE goes out: it has branches of its own."""
        self._refused.clear()
        self._numbers.clear()
        self._begun = 0

    def let_go(self) -> None:
        """Nothing more comes of any of them."""
        for usage in self.usages.values():
            usage.invitation = usage.opener = None
        self.usages.clear()
        self._acks.clear()
        self._refused.clear()
        self._numbers.clear()
        self._pracks.clear()

    def hold_prack(self, usage: InviteUsage, rack: RAck, offer: ContentDescription) -> None:
        """A reliable response made an offer: its PRACK waits for the answer."""
        self._pracks[usage.dialog.remote_tag] = (rack, offer)

    # -- what usages ask of the INVITE that they came of ---------------------------------------------------------------

    def answer_offer(
        self, usage: InviteUsage, description: ContentDescription, fields: Sequence[tuple[str, str]], now: float
    ) -> None:
        """RFC 3262 section 5: the answer to an offer in a reliable response goes into its PRACK.

        :raises InvalidOperation: when no such offer waits.
        """
        tag = usage.dialog.remote_tag
        held = self._pracks.get(tag)
        if held is None:
            raise InvalidOperation("no offer waits for an answer")
        usage.send_prack(held[0], description, now, fields)
        del self._pracks[tag]

    def decline_offer(self, usage: InviteUsage, status: int, fields: Sequence[tuple[str, str]], now: float) -> None:
        """RFC 6337 sections 2.3 and 5.2.4: an offer in a response cannot be refused, only answered so that none of its
        streams is taken, and its early dialog ended (section 15).

        :raises InvalidOperation: when no such offer waits.
        """
        held = self._pracks.pop(usage.dialog.remote_tag, None)
        if held is None:
            raise InvalidOperation("no offer waits for an answer")
        rack, offer = held
        refusal = refusal_of(offer, usage.local_description)
        if refusal is not None:
            usage.send_prack(rack, refusal, now)
        usage.bye(now, farewell_fields(status, fields), Ending.NO_AGREEMENT)

    def prack_received(self, usage: InviteUsage, output: InDialogRequestReceived, now: float) -> None:
        """RFC 3262 section 3: a PRACK to a caller acknowledges nothing."""
        refuse(self._core, output.transaction, 481, now)

    def settled(self, usage: InviteUsage, now: float) -> None:
        """An offer of the peer's in an early dialog has its answer: nothing of a caller's waits for that."""

    def usage_ended(self, usage: InviteUsage, message: Request | Response | None, now: float) -> None:
        """A branch is over, and not by a response to the INVITE. Where one of the two has ended its early dialog, and
        the branch accepts all the same, that is acknowledged and ended."""
        tag = usage.dialog.remote_tag
        if self.usages.get(tag) is not usage:
            return
        del self.usages[tag]
        self._pracks.pop(tag, None)
        if usage.owed_ack is not None:
            # For what is left of 64*T1 nothing but its ACK is held of a session that was as short as that.
            self._acks[tag] = usage.owed_ack
        else:
            self._remember(usage)
            # RFC 3264: nor can a session go on of which one side has forgotten what was agreed.
            is_refused = usage.ending in _FAREWELLS or usage.offer_answer.has_gone_on
            if is_refused and len(self._refused) < self._most:
                self._refused.add(tag)


def hear_provisional(
    core: UserAgentCore,
    invitation: ClientInvitation,
    usage: InviteUsage,
    response: Response,
    flow: Flow,
    is_new: bool,
    now: float,
) -> None:
    """A provisional response of an early dialog, which came by *flow*."""
    rack: RAck | None = None
    if rseq_of(response):
        receiver = usage.reliable
        if not isinstance(receiver, ReliableReceiver):
            receiver = usage.reliable = ReliableReceiver()
        if usage.offer_answer.must_stand(Place.PRACK) or usage.offer_answer.pracks_under_way >= MOST_PRACKS:
            # RFC 3262 section 3: nothing reliable follows an offer before our PRACK. It will come again.
            return
        rack = receiver.received(response)
        if rack is None:
            # RFC 3262 section 4: it came before, or one before it is missing.
            return
        # RFC 6141 section 4.9: the target is refreshed, as it is by no response that may be lost.
        usage.dialog.refresh_target(response, flow)
    usage.capabilities.heard(response)
    core.say(Progress(invitation, response, usage, is_new))
    role, description = _description(usage, Place.UNRELIABLE if rack is None else Place.RELIABLE, response)
    if rack is not None and description is not None and role is Role.OFFER:
        # RFC 3262 section 5: the PRACK carries the answer, and waits for it.
        invitation.branches.hold_prack(usage, rack, description)
        core.say(OfferReceived(usage, description, None))
        return
    if rack is not None:
        usage.send_prack(rack, None, now)
    if description is not None and role is not Role.NOTHING:
        core.say(AnswerReceived(usage, description, role is Role.PREVIEW))


def hear_acceptance(
    core: UserAgentCore, usage: InviteUsage, response: Response, flow: Flow, cseq: int, ack_now: bool, now: float
) -> None:
    """The 2xx of the branch that won (section 13.2.2.4).

    :param cseq: the sequence number of the INVITE, which the ACK shares.
    :param ack_now: whether the ACK waits for nothing but, where there is an offer, for our answer.
    """
    usage.accepted(response, cseq, now, flow)
    core.say(Accepted(usage, response))
    role, description = _description(usage, Place.INVITE_2XX, response)
    if usage.offer_answer.has_failed:
        # 13.2.2.4: what cannot be accepted is acknowledged, and ended.
        usage.bye(now, ending=Ending.NO_AGREEMENT)
        return
    if role is Role.OFFER:
        # 13.2.2.4: the ACK carries the answer, and waits for it.
        core.say(OfferReceived(usage, description, None))
        return
    if description is not None and role is Role.ANSWER:
        core.say(AnswerReceived(usage, description))
    if ack_now:
        usage.acknowledge(None, (), now)


def refuse_acceptance(usage: InviteUsage, response: Response, flow: Flow, cseq: int, now: float) -> None:
    """The 2xx of a branch that nobody wants: it is acknowledged, then ended (section 13.2.2.4).

    An offer in it is answered by none of its streams, if it is SDP: the session that it would be for never begins.
    """
    usage.accepted(response, cseq, now, flow)
    _description(usage, Place.INVITE_2XX, response)
    usage.bye(now, ending=Ending.FORKED)


def _description(usage: InviteUsage, place: Place, response: Response) -> tuple[Role, ContentDescription | None]:
    """What *response* describes, and what that is; a body that cannot be understood describes nothing."""
    try:
        description = description_of(response)
    except MalformedMessage:
        description = None
    role = usage.offer_answer.received(place, description is not None)
    return (role, description) if isinstance(role, Role) else (Role.NOTHING, None)
