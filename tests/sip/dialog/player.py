"""A party that does whatever it is told, at any time, and keeps book of what it was told: nothing may be told twice,
after the end, or without having been asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import (
    Accepted,
    AnswerReceived,
    Established,
    InDialogRequestReceived,
    InvitationEnded,
    ModificationEnded,
    OfferReceived,
    OfferWithdrawn,
    Progress,
    Redirected,
    RequestEnded,
    UsageEnded,
)
from sip_p2p.sip.dialog.session_timer import Refresher, SessionTimerSettings
from sip_p2p.sip.tokens import CountingTokens
from tests.sip.dialog.pair import Party

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.effects import Errand
    from sip_p2p.sip.dialog.server_invitation import ServerInvitation
    from sip_p2p.sip.dialog.usage import InviteUsage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.outputs import Output
    from tests.sip.dialog.pair import Pair

__all__ = ["ANSWER_OPTIONS", "Manner", "Player"]

ANSWER_OPTIONS = (
    AnswerOptions(max_ring=50.0),
    AnswerOptions(max_ring=50.0, reliable="off", session_timer=SessionTimerSettings(None, is_enabled=False)),
    AnswerOptions(max_ring=50.0, refresh=5.0, session_timer=SessionTimerSettings(90, refresher=Refresher.REMOTE)),
    AnswerOptions(max_ring=50.0, session_timer=SessionTimerSettings(200, minimum=180, refresher=Refresher.LOCAL)),
    AnswerOptions(max_ring=50.0, reliable="required"),
)
"""How a player may answer: with and without reliable responses and session timers, and as one and the other refresher.
"""


class Manner:
    """What a player does at once, within the event itself; whatever is left waits for a deed.

    :ivar call: with a call that comes in: ``ring``, ``accept``, ``reject``, or nothing.
    :ivar offer: with an offer: ``answer``, ``decline``, or nothing.
    :ivar event: with any other event: ``bye`` hangs the session up, ``cancel`` calls the call off, ``modify`` changes
        the session, or nothing.
    """

    __slots__ = ("call", "event", "offer")

    def __init__(self) -> None:
        self.call = ""
        self.offer = ""
        self.event = ""


class Player(Party):
    """Somebody whose application keeps book.

    :ivar manner: what is done at once.
    :ivar is_alive: whether it has not crashed.
    :ivar outgoing_calls: its calls, until each has its outcome.
    :ivar incoming_calls: the calls of others that are not decided.
    :ivar known: every usage that lives, as far as it was told.
    :ivar offers: the offers that wait for an answer.
    :ivar agreed: by usage, the last offer and the last answer, as octets.
    :ivar ended: the usages that have ended, for the few steps that something of theirs may still be said.
    """

    def __init__(self, pair: Pair, name: str, flow: Flow, life: int = 0) -> None:
        super().__init__(pair, name, flow)
        # Whoever comes back after a crash must not say the same tags again.
        self.core.tokens = CountingTokens(f"{name[0]}{life}x")
        self.life = life
        self.manner = Manner()
        self.is_alive = True
        self.outgoing_calls: list[ClientInvitation] = []
        self.incoming_calls: list[ServerInvitation] = []
        self.redirected: list[ClientInvitation] = []
        self.known: dict[InviteUsage, bool] = {}
        self.offers: dict[InviteUsage, OfferReceived] = {}
        self.agreed: dict[InviteUsage, tuple[bytes, bytes]] = {}
        self.ended: set[InviteUsage] = set()
        self.changes: dict[InviteUsage, bytes] = {}
        self.errands: set[Errand] = set()
        self.unanswered: list[InDialogRequestReceived] = []
        self.said: dict[object, bytes] = {}
        self.asked: dict[InviteUsage, bytes] = {}
        self._previews: dict[InviteUsage, tuple[bytes, bytes]] = {}
        self.on_invite = self._called
        self.on_effect = self._book
        self.on_request = self._asked

    def description(self) -> ContentDescription:
        """One that nobody else has made."""
        return ContentDescription(f"v=0\r\ns={self.core.tokens.token()}\r\n".encode())

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _called(self, call: ServerInvitation) -> None:
        self.incoming_calls.append(call)
        if self.manner.call == "ring":
            self.attempt_ring(call, 180, False)
        elif self.manner.call == "accept":
            self.attempt_accept(call, 0)
        elif self.manner.call == "reject":
            call.reject(486, self.pair.now)

    def _asked(self, output: InDialogRequestReceived) -> None:
        if output.request.method == "INFO":
            self.unanswered.append(output)
        else:
            self.say_yes(output)

    def _book(self, effect: Output) -> None:
        """Whether *effect* may be told now, and what follows from it."""
        if isinstance(effect, InvitationEnded):
            self._invitation_ended(effect)
            return
        if isinstance(effect, Progress | Redirected):
            assert effect.owner in self.outgoing_calls, "said of a call that has its outcome"
            if isinstance(effect, Redirected):
                self.redirected.append(effect.owner)
            elif effect.usage is not None:
                self._know(effect.usage)
            if self.manner.event == "cancel":
                effect.owner.cancel(self.pair.now)
            return
        if isinstance(effect, InDialogRequestReceived):
            usage = effect.dialog.user
            assert usage not in self.ended, "asked of a session that has ended"
            return
        usage = effect.owner  # type: ignore[union-attr]
        assert usage not in self.ended, f"{type(effect).__name__} after the end"
        if isinstance(effect, UsageEnded):
            self._usage_ended(usage)
            return
        self._know(usage)
        if isinstance(effect, Accepted):
            self._accepted(usage)
        elif isinstance(effect, Established):
            assert not self.known[usage], "established twice"
            self.known[usage] = True
            self._take_preview(usage)
        elif isinstance(effect, OfferReceived):
            assert usage not in self.offers, "one more offer, and the last one has no answer"
            self.offers[usage] = effect
            self._decide(usage)
        elif isinstance(effect, OfferWithdrawn):
            assert usage in self.offers, "an offer is withdrawn that nobody knows of"
            del self.offers[usage]
        elif isinstance(effect, AnswerReceived):
            self._answered(effect, usage)
        elif isinstance(effect, ModificationEnded):
            assert usage in self.changes, "a change has ended that nobody asked for"
            del self.changes[usage]
        elif isinstance(effect, RequestEnded):
            assert effect.errand in self.errands, "a request has ended that nobody asked for, or for the second time"
            self.errands.discard(effect.errand)
        self._react(usage)

    def _react(self, usage: InviteUsage) -> None:
        if self.manner.event == "bye":
            self.attempt_bye(usage)
        elif self.manner.event == "modify" and self.known.get(usage):
            # Once: two that answer each other like that never end.
            self.manner.event = ""
            self.attempt_modify(usage, True, None)

    def _know(self, usage: InviteUsage) -> None:
        if usage not in self.known:
            self.known[usage] = False
            self.said.setdefault(usage, b"")

    def _accepted(self, usage: InviteUsage) -> None:
        (call,) = (call for call in self.outgoing_calls if call.usage is usage)
        self.outgoing_calls.remove(call)
        self._took(call, usage)

    def _took(self, call: object, usage: InviteUsage) -> None:
        """What was offered by *call* counts in the dialog that won."""
        self.said.setdefault(usage, b"")
        self.said[usage] = self.said.pop(call, b"") or self.said[usage]

    def _usage_ended(self, usage: InviteUsage) -> None:
        self.ended.add(usage)
        for book in (self.known, self.offers, self.agreed, self.changes, self.said, self.asked, self._previews):
            book.pop(usage, None)  # type: ignore[attr-defined]

    def _invitation_ended(self, effect: InvitationEnded) -> None:
        owner = effect.owner
        if isinstance(owner, ClientInvitation):
            assert owner in self.outgoing_calls, "a call has a second outcome"
            self.outgoing_calls.remove(owner)
            if owner in self.redirected:
                self.redirected.remove(owner)
        elif owner in self.incoming_calls:
            self.incoming_calls.remove(owner)
        self.said.pop(owner, None)

    # -- offers and answers --------------------------------------------------------------------------------------------

    def _answered(self, effect: AnswerReceived, usage: InviteUsage) -> None:
        offer = self.asked.pop(usage, b"") or self.changes.get(usage)
        if not offer and self.known[usage] and usage in self.agreed:
            # What stands was offered once more: to refresh the session, or to set it right.
            assert usage.local_description is not None
            offer = usage.local_description.body
        offer = offer or self.said.get(usage) or self._offered_by_call(usage)
        assert offer, "an answer, and nothing was offered"
        pair = (offer, effect.description.body)
        if effect.is_preview:
            self._previews[usage] = pair
        else:
            self.agreed[usage] = pair
            self._previews.pop(usage, None)

    def _offered_by_call(self, usage: InviteUsage) -> bytes:
        for call in self.outgoing_calls:
            if usage in call.usages.values():
                return self.said.get(call, b"")
        return b""

    def _take_preview(self, usage: InviteUsage) -> None:
        """RFC 3261 section 13.2.1: the first answer counts, where the 2xx says no other."""
        preview = self._previews.pop(usage, None)
        if preview is not None and usage not in self.agreed:
            self.agreed[usage] = preview

    def _decide(self, usage: InviteUsage) -> None:
        if self.manner.offer == "answer":
            self.attempt_answer(usage)
        elif self.manner.offer == "decline":
            self.attempt_decline(usage, 488)

    # -- what is done, if it may be ------------------------------------------------------------------------------------

    def attempt_call(self, uri: str, options: object, has_offer: bool) -> None:
        """Call somebody."""
        offer = self.description() if has_offer else None
        call = self.prepare_call(options, offer, (), uri)  # type: ignore[arg-type]
        self.outgoing_calls.append(call)
        self.said[call] = b"" if offer is None else offer.body
        call.start(self.pair.now)

    def attempt_ring(self, call: ServerInvitation, status: int, describes: bool, reliable: bool | None = None) -> bool:
        """Say something about a call, with an answer or, where there was no offer, with one."""
        usage = call.usages[-1] if call.usages else None
        described = self.said.get(usage) if usage is not None else None
        description = self.description() if describes and not described else None
        try:
            usage = call.ring(self.pair.now, status, None, description, (), reliable, usage)
        except InvalidOperation:
            return False
        self._know(usage)
        if description is not None:
            self.said[usage] = description.body
            if call.offer is None:
                self.asked[usage] = description.body
            elif usage.offer_answer.state is usage.offer_answer.state.AGREED:
                self.agreed[usage] = (call.offer.body, description.body)
        return True

    def attempt_accept(self, call: ServerInvitation, which: int) -> bool:
        """Accept a call, in one of its early dialogs."""
        usages = call.usages
        usage = usages[which % len(usages)] if usages else None
        if usage is None:
            usage = call.early_dialog()
            self._know(usage)
        said = self.said.get(usage, b"")
        # 13.2.1: what a response that may be lost said has to be said again.
        for description in (None, ContentDescription(said) if said else None, self.description()):
            try:
                call.accept(self.pair.now, description, (), usage)
            except InvalidOperation:
                continue
            break
        else:
            return False
        if description is not None:
            self.said[usage] = description.body
            if call.offer is None:
                self.asked[usage] = description.body
            else:
                self.agreed[usage] = (call.offer.body, description.body)
        # It may be held back for a PRACK. What becomes of it the usage will say, or that it ended.
        if call in self.incoming_calls:
            self.incoming_calls.remove(call)
        return True

    def attempt_answer(self, usage: InviteUsage) -> bool:
        """Answer the offer that waits, or make the one that was asked for."""
        offer = self.offers[usage]
        description = self.description()
        try:
            usage.answer(description, self.pair.now)
        except InvalidOperation:
            return False
        if self.offers.get(usage) is offer:
            del self.offers[usage]
        if usage in self.ended:
            return True
        if offer.description is None:
            self.asked[usage] = description.body
        else:
            self.agreed[usage] = (offer.description.body, description.body)
        return True

    def attempt_decline(self, usage: InviteUsage, status: int) -> bool:
        """Refuse it."""
        offer = self.offers[usage]
        try:
            usage.decline(status, self.pair.now)
        except InvalidOperation:
            return False
        if self.offers.get(usage) is offer:
            del self.offers[usage]
        return True

    def attempt_modify(
        self, usage: InviteUsage, has_offer: bool, method: str | None, requires_reliable: bool = False
    ) -> bool:
        """Change the session; by a re-INVITE whose provisional responses have to be reliable, or not."""
        if usage in self.changes:
            # The outcome of the last one is about to be told.
            return False
        description = self.description() if has_offer else None
        try:
            fields = (("Require", "100rel"),) if requires_reliable and method != "UPDATE" and self.known[usage] else ()
            usage.modify(description, self.pair.now, fields, method)
        except InvalidOperation:
            return False
        self.changes[usage] = b"" if description is None else description.body
        return True

    def attempt_bye(self, usage: InviteUsage) -> bool:
        """Hang up."""
        try:
            usage.bye(self.pair.now)
        except InvalidOperation:
            return False
        if usage.is_over:
            self.offers.pop(usage, None)
        return True

    def attempt_request(self, usage: InviteUsage, method: str) -> bool:
        """Ask something."""
        try:
            errand = usage.request(method, self.pair.now, b"hello", "text/plain")
        except InvalidOperation:
            return False
        self.errands.add(errand)
        return True
