"""Two user agents face each other over wires that lose, delay and reorder: :class:`UserAgentCore` on both sides, no
Twisted, and time by hand.

A :class:`Pair` has two of :class:`Party`. What a core says is carried out at once: a message goes onto the wire, a
request that is wanted is sent on the party's flow, an ACK too. What an application would be told is noted in
:attr:`Party.heard`, and handed to the hooks that a test has set. Nothing happens by itself but what :meth:`Pair.wait`
lets happen::

    pair = Pair()
    pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
    call = pair.alice.call()
    pair.wait(1.0)
    assert pair.alice.heard == ["progress 100", "answer", "established"]
    assert pair.ladder() == ["> INVITE", "< 100", "< 200", "> ACK"]
"""

from __future__ import annotations

import heapq
import random
from typing import TYPE_CHECKING

from sip_p2p.errors import ConnectionFailure, OperationTimeout
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import (
    AckWanted,
    AnswerReceived,
    Errand,
    Established,
    InDialogRequestReceived,
    InvitationEnded,
    ModificationEnded,
    OfferReceived,
    OfferWithdrawn,
    Progress,
    Redirected,
    RequestEnded,
    RequestUnwanted,
    RequestWanted,
    UsageEnded,
    UsageEnding,
)
from sip_p2p.sip.dialog.server_invitation import ServerInvitation
from sip_p2p.sip.dialog.usage import InviteUsage
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.outputs import (
    AckReceived,
    CloseFlow,
    RequestAbandoned,
    RequestReceived,
    ResponseReceived,
    SendMessage,
    TransactionFailed,
    TransactionTimedOut,
)
from sip_p2p.sip.parse import parse_datagram, parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.outputs import Output
    from sip_p2p.sip.transaction.layer import ServerTransaction

__all__ = ["ANSWER", "OFFER", "Pair", "Party", "Wires"]

OFFER = ContentDescription(b"v=0\r\ns=offer\r\n")
ANSWER = ContentDescription(b"v=0\r\ns=answer\r\n")

METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "MESSAGE", "OPTIONS")
_WITHOUT_CONTACT = frozenset(("ACK", "BYE", "CANCEL", "INFO", "MESSAGE", "PRACK"))


class Wires:
    """What happens to messages on their way, both ways alike.

    :ivar delay: how long one takes, in seconds.
    :ivar jitter: up to how much longer, at random; over datagrams a later one may then overtake.
    :ivar loss: which share of the datagrams is lost, 0 to 1.
    :ivar duplicates: which share of the datagrams comes twice.
    :ivar lose: asked for each message, ``> INVITE`` or ``< 180``; whether it is lost. A stream loses what is asked for
        too: as if a proxy on the way had.
    """

    def __init__(self, delay: float = 0.01, jitter: float = 0.0, loss: float = 0.0, duplicates: float = 0.0) -> None:
        self.delay = delay
        self.jitter = jitter
        self.loss = loss
        self.duplicates = duplicates
        self.lose: Callable[[str], bool] = lambda what: False

    def losing(self, *whats: str) -> None:
        """Lose the next message of each of *whats*; one that stands twice is lost twice."""
        waiting = list(whats)

        def lose(what: str) -> bool:
            if what not in waiting:
                return False
            waiting.remove(what)
            return True

        self.lose = lose


class Party:
    """One of the two: a core with one profile behind it, and an application that does what the test says.

    :ivar core: the core.
    :ivar flow: the flow to the other one; requests go out on it.
    :ivar heard: what the application was told, in short words.
    :ivar effects: the same as it was said.
    :ivar calls: the calls that came in.
    :ivar held: the errands that wait for a flow, while :attr:`is_dialling`.
    :ivar is_dialling: whether errands and ACKs are to wait until :meth:`dialled` or :meth:`not_dialled`.
    :ivar on_invite: what the application does with a call that comes in.
    :ivar on_offer: what it does with an offer. By default nothing.
    :ivar on_request: what it does with a request in a dialog that the usage leaves to it. By default it says 200.
    :ivar on_effect: is shown every effect, after it was noted.
    """

    def __init__(self, pair: Pair, name: str, flow: Flow) -> None:
        self.pair = pair
        self.name = name
        self.uri = f"sip:{name}@{name}.example"
        self.flow = flow
        self.core = UserAgentCore(CountingTokens(name[0]))
        self.profile = Profile(self)
        self.profile.supported |= {"100rel", "timer", "199"}
        self.profile.contact = self.contact_on
        for method in METHODS:
            self.profile.allow(method)
        self.core.directory.add(self.profile, SipUri.parse(self.uri), f"{name}-token")
        self.core.directory.fallback = self.profile
        self.options = AnswerOptions()
        self.heard: list[str] = []
        self.effects: list[Output] = []
        self.calls: list[ServerInvitation] = []
        self.usages: list[InviteUsage] = []
        self.held: list[Errand | AckWanted] = []
        self.is_dialling = False
        self.on_invite: Callable[[ServerInvitation], object] = lambda invitation: None
        self.on_offer: Callable[[OfferReceived], object] = lambda offer: None
        self.on_request: Callable[[InDialogRequestReceived], object] = self.say_yes
        self.on_effect: Callable[[Output], object] = lambda effect: None
        self._calls_by_transaction: dict[ServerTransaction, ServerInvitation] = {}

    # -- what the application does -------------------------------------------------------------------------------------

    def contact_on(self, flow: Flow, secure: bool) -> str:
        """The Contact of this party on *flow*."""
        if secure:
            return f"<sips:{self.name}@{flow.sent_by}>"
        return f"<sip:{self.name}@{flow.sent_by};transport={flow.transport.lower()}>"

    def plan(
        self, uri: str, offer: ContentDescription | None = OFFER, fields: Iterable[tuple[str, str]] = ()
    ) -> RequestPlan:
        """An INVITE of this party to *uri*."""
        tokens = self.core.tokens
        plan = RequestPlan("INVITE", uri, f"<{self.uri}>", tokens.tag(), tokens.call_id())
        plan.fields = [("Allow", self.profile.allow_value), *fields]
        if offer is not None:
            plan.body = offer.body
            plan.content_type = offer.content_type
        return plan

    def call(
        self,
        options: CallOptions | None = None,
        offer: ContentDescription | None = OFFER,
        fields: Iterable[tuple[str, str]] = (),
        uri: str = "",
    ) -> ClientInvitation:
        """Call the other one, or *uri*."""
        invitation = self.prepare_call(options, offer, fields, uri)
        invitation.start(self.pair.now)
        self.work()
        return invitation

    def prepare_call(
        self,
        options: CallOptions | None = None,
        offer: ContentDescription | None = OFFER,
        fields: Iterable[tuple[str, str]] = (),
        uri: str = "",
    ) -> ClientInvitation:
        """A call to the other one, or to *uri*, that is not made yet."""
        plan = self.plan(uri or self.pair.other(self).uri, offer, fields)
        return ClientInvitation(self.core, plan, CallOptions() if options is None else options, self)

    def say_answer(self, offer: OfferReceived) -> None:
        """Answer an offer at once."""
        offer.owner.answer(ANSWER, self.pair.now)

    def say_yes(self, output: InDialogRequestReceived) -> None:
        """Answer a request in a dialog 200."""
        self.core.respond(output.transaction, self.core.response(output.transaction, 200), self.pair.now)

    @property
    def dialogs(self) -> list[Dialog]:
        """Every dialog of this party."""
        return list(self.core.dialogs)

    @property
    def usage(self) -> InviteUsage:
        """The usage of the one dialog that there is."""
        (dialog,) = self.dialogs
        assert dialog.user is not None
        return dialog.user

    def forget(self) -> None:
        """Keep nothing of what was heard and who called."""
        self.heard.clear()
        self.effects.clear()
        self.calls.clear()
        self._calls_by_transaction.clear()

    def lose_flow(self, reason: BaseException | None = None) -> None:
        """The flow is gone; what is sent from now on goes over another one that leads to the same place."""
        lost = self.flow
        self.flow = Flow(lost.transport, lost.reliable, lost.sent_by, lost.remote_host, lost.remote_port + 1, lost.peer)
        self.core.flow_failed(lost, reason or ConnectionFailure("the flow was lost"), self.pair.now)
        self.work()

    def dialled(self) -> None:
        """The flow that was being dialled is there: whatever waited for it is sent."""
        self.is_dialling = False
        held, self.held = self.held, []
        for waiting in held:
            if isinstance(waiting, Errand):
                self.send_errand(waiting)
            else:
                self._acknowledge(waiting)
        self.work()

    def not_dialled(self, reason: BaseException | None = None) -> None:
        """No flow is to be had: whatever waited for it fails."""
        self.is_dialling = False
        held, self.held = self.held, []
        for waiting in held:
            if isinstance(waiting, Errand):
                waiting.owner.errand_failed(waiting, reason or ConnectionFailure("nobody is there"), self.pair.now)
        self.work()

    # -- what the driver and the facade do ----------------------------------------------------------------------------

    def receive(self, octets: bytes) -> None:
        """A message came off the wire."""
        message = parse_message(octets) if self.flow.reliable else parse_datagram(octets)
        self.core.receive(message, self.flow, self.pair.now)
        self.work()

    def work(self) -> None:
        """Carry out everything that the core has said, and what it says to that."""
        while outputs := self.core.take_outputs():
            for output in outputs:
                self._carry_out(output)

    def _carry_out(self, output: Output) -> None:
        now = self.pair.now
        if isinstance(output, SendMessage):
            self.pair.send(self, output.data)
        elif isinstance(output, RequestReceived):
            self._take_request(output)
        elif isinstance(output, InDialogRequestReceived):
            usage = output.dialog.user
            if usage is None or not usage.request_received(output, now):
                self._note(output, f"request {output.request.method}")
                self.on_request(output)
        elif isinstance(output, AckReceived):
            if output.dialog is not None and output.dialog.user is not None:
                output.dialog.user.ack_received(output.request, output.flow, now)
        elif isinstance(output, RequestAbandoned):
            call = self._calls_by_transaction.pop(output.transaction, None)
            usage = output.transaction.user
            if call is not None:
                call.abandoned(output, now)
            elif isinstance(usage, InviteUsage):
                usage.abandoned(output, now)
        elif isinstance(output, ResponseReceived):
            errand = output.transaction.user
            if isinstance(errand, Errand):
                errand.owner.errand_answered(errand, output.response, output.transaction.flow, now)
                if output.response.status >= 200 and errand.plan.method != "INVITE":
                    errand.transaction = None
        elif isinstance(output, TransactionTimedOut | TransactionFailed):
            errand = output.transaction.user
            if isinstance(errand, Errand):
                errand.owner.errand_failed(errand, _reason_of(output), now)
                errand.transaction = None
        elif isinstance(output, CloseFlow):
            self.heard.append(f"close: {output.reason}")
        else:
            self._carry_out_effect(output)

    def _carry_out_effect(self, effect: Output) -> None:
        if isinstance(effect, RequestWanted):
            if self.is_dialling:
                self.held.append(effect.errand)
            else:
                self.send_errand(effect.errand)
        elif isinstance(effect, RequestUnwanted):
            self.held = [waiting for waiting in self.held if waiting is not effect.errand]
        elif isinstance(effect, AckWanted):
            if self.is_dialling:
                self.held.append(effect)
            else:
                self._acknowledge(effect)
        else:
            self._note(effect, _in_words(effect))
            if isinstance(effect, OfferReceived):
                self.on_offer(effect)

    def _note(self, effect: Output, words: str) -> None:
        self.heard.append(words)
        self.effects.append(effect)
        self.on_effect(effect)

    def send_errand(self, errand: Errand) -> None:
        """Send what *errand* wants, on the flow; once more if it was sent before, as to another server."""
        plan = errand.plan
        if plan.method not in _WITHOUT_CONTACT:
            plan.contact = self.contact_on(self.flow, plan.uri.startswith("sips:"))
        transaction = self.core.request(plan.build(), self.flow, self.pair.now)
        transaction.user = errand
        errand.transaction = transaction

    def _acknowledge(self, effect: AckWanted) -> None:
        octets = self.core.acknowledge(effect.plan, self.flow)
        effect.owner.ack_sent(octets, self.flow)

    def _take_request(self, output: RequestReceived) -> None:
        if output.request.method != "INVITE":
            self.heard.append(f"stray {output.request.method}")
            self.core.respond(output.transaction, self.core.response(output.transaction, 200), self.pair.now)
            return
        invitation = ServerInvitation(
            self.core, output.transaction, output.request, output.flow, output.profile, self.options, self
        )
        self.calls.append(invitation)
        self._calls_by_transaction[output.transaction] = invitation
        if invitation.start(self.pair.now):
            self.heard.append("call")
            self.on_invite(invitation)

    def inventory(self) -> dict[str, int]:
        """How much this party holds of everything that has to go away again."""
        return {
            **self.core.layer.inventory(),
            "dialogs": len(self.core.dialogs),
            "appointments": len(self.core.appointments),
            "held": len(self.held),
        }


class Pair:
    """Alice, Bob and the wires between them.

    :ivar now: the time, in seconds.
    :ivar wires: what happens to messages on their way.
    :ivar sent: every message: when, by whom, and which: ``INVITE`` or ``200``.
    """

    def __init__(self, *, reliable: bool = False, wires: Wires | None = None, seed: int = 0) -> None:
        """
        :param reliable: whether the two have a connection over TLS, on which each knows who the other is; UDP without.
        """
        self.now = 0.0
        self.wires = Wires() if wires is None else wires
        self.sent: list[tuple[float, Party, str]] = []
        self.octets: list[bytes] = []
        self._random = random.Random(seed)
        self._on_wire: list[tuple[float, int, Party, bytes]] = []
        self._serial = 0
        self.alice = Party(self, "alice", _flow("alice", "bob", reliable))
        self.bob = Party(self, "bob", _flow("bob", "alice", reliable))

    def other(self, party: Party) -> Party:
        """Whom *party* faces."""
        return self.bob if party is self.alice else self.alice

    def send(self, sender: Party, octets: bytes) -> None:
        """Put a message of *sender* on the wire."""
        what = _name_of(octets)
        self.sent.append((self.now, sender, what))
        self.octets.append(octets)
        wires = self.wires
        is_lossy = not sender.flow.reliable
        if wires.lose(f"{'>' if sender is self.alice else '<'} {what}"):
            return
        if is_lossy and self._random.random() < wires.loss:
            return
        copies = 2 if is_lossy and self._random.random() < wires.duplicates else 1
        for _ in range(copies):
            late = self._random.random() * wires.jitter if is_lossy else 0.0
            self._serial += 1
            heapq.heappush(self._on_wire, (self.now + wires.delay + late, self._serial, self.other(sender), octets))

    def wait(self, seconds: float) -> None:
        """Let *seconds* pass, and everything happen that is due by then."""
        end = self.now + seconds
        while self.step(end):
            continue
        self.now = end

    def step(self, end: float) -> bool:
        """Let the next thing happen, if there is one before *end*; return whether there was."""
        arrives = self._on_wire[0][0] if self._on_wire else None
        due = [(arrives, None)] if arrives is not None else []
        due += [
            (deadline, party)
            for party in (self.alice, self.bob)
            if (deadline := party.core.next_deadline()) is not None
        ]
        if not due:
            return False
        when, party = min(due, key=lambda entry: entry[0])
        if when > end:
            return False
        self.now = max(self.now, when)
        if party is None:
            _, _, receiver, octets = heapq.heappop(self._on_wire)
            receiver.receive(octets)
        else:
            party.core.handle_timer(self.now)
            party.work()
        return True

    def ladder(self) -> list[str]:
        """What was sent, lost or not: Alice's as ``> INVITE``, Bob's as ``< 180``."""
        return [f"{'>' if sender is self.alice else '<'} {what}" for _, sender, what in self.sent]

    def message(self, index: int) -> str:
        """A message that was sent, as text."""
        return self.octets[index].decode("utf-8", "replace")

    def last(self, what: str) -> str:
        """The last message that :meth:`ladder` calls *what*, as text."""
        found = [index for index, entry in enumerate(self.ladder()) if entry == what]
        return self.message(found[-1])


def _flow(name: str, peer: str, reliable: bool) -> Flow:
    port = 5061 if reliable else 5060
    address = "192.0.2.1" if peer == "alice" else "192.0.2.2"
    verified = f"{peer}.example" if reliable else ""
    return Flow("TLS" if reliable else "UDP", reliable, f"{name}.example:{port}", address, port, verified)


def _name_of(octets: bytes) -> str:
    first = octets.split(b" ", 2)
    return (first[1] if first[0] == b"SIP/2.0" else first[0]).decode()


def _reason_of(output: TransactionTimedOut | TransactionFailed) -> BaseException:
    return OperationTimeout("no final response") if isinstance(output, TransactionTimedOut) else output.reason


def _in_words(effect: Output) -> str:
    """An effect, in words short enough for a list of them."""
    if isinstance(effect, Progress):
        return f"progress {effect.response.status}{' new' if effect.is_new else ''}"
    if isinstance(effect, Redirected):
        return f"redirected {' '.join(effect.contacts)}"
    if isinstance(effect, OfferReceived):
        return "offer" if effect.description is not None else "offer wanted"
    if isinstance(effect, AnswerReceived):
        return "preview" if effect.is_preview else "answer"
    if isinstance(effect, Established):
        return "established"
    if isinstance(effect, InvitationEnded | ModificationEnded):
        what = "ended" if isinstance(effect, InvitationEnded) else "modified"
        said = "" if effect.response is None else f" {effect.response.status}"
        why = "" if effect.reason is None else f" {type(effect.reason).__name__}"
        return f"{what}{said}{why}"
    if isinstance(effect, RequestEnded):
        said = "" if effect.response is None else f" {effect.response.status}"
        why = "" if effect.reason is None else f" {type(effect.reason).__name__}"
        return f"request ended{said}{why}"
    if isinstance(effect, OfferWithdrawn):
        return "offer withdrawn" + ("" if effect.request is None else " by CANCEL")
    if isinstance(effect, UsageEnding):
        return f"usage ending {effect.ending.name}"
    if isinstance(effect, UsageEnded):
        return f"usage ended {effect.ending.name}"
    return type(effect).__name__
