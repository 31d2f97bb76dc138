"""One subscription of a peer's, whose subscriber is played by hand.

:class:`Bench` has a core, a party and a verified flow. What the machine says is put in words: ``>200`` is a response,
``>NOTIFY active`` a NOTIFY with its state, and ``[ended timeout]`` what the application is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import PeerOverloaded
from sip_p2p.sip.dialog.effects import InDialogRequestReceived
from sip_p2p.sip.event.notifier import (
    Notifier,
    NotifierEnded,
    NotifierState,
    StateWanted,
    SubscriptionRefreshed,
)
from sip_p2p.sip.event.terms import Terms, read_event, read_subscribe
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request
from sip_p2p.sip.outputs import RequestReceived
from sip_p2p.sip.profile import Profile
from tests.sip.dialog.dialogs import ALICE, BOB, tls
from tests.sip.event.playing import MachineBench

if TYPE_CHECKING:
    from sip_p2p.sip.event.notifier import Content

__all__ = ["RETRY_AFTER", "TERMS", "Bench", "subscribe"]

TERMS = Terms(default=600, minimum=60, maximum=7200)
RETRY_AFTER = 120
"""Seconds for which the subscriber asks to be left alone, where it does."""


def subscribe(
    event: str | None = "presence",
    expires: int | str | None = 600,
    *,
    cseq: int = 1,
    to_tag: str = "",
    contact: str | None = "<sip:alice@192.0.2.1>",
    fields: tuple[tuple[str, str], ...] = (),
    transport: str = "TLS",
) -> Request:
    """A SUBSCRIBE from Alice to Bob."""
    headers = [
        ("Via", f"SIP/2.0/{transport} a.example;branch=z9hG4bKs{cseq}"),
        ("From", f"<{ALICE}>;tag=at"),
        ("To", f"<{BOB}>{to_tag and f';tag={to_tag}'}"),
        ("Call-ID", "call"),
        ("CSeq", f"{cseq} SUBSCRIBE"),
        *fields,
    ]
    if contact is not None:
        headers.append(("Contact", contact))
    if event is not None:
        headers.append(("Event", event))
    if expires is not None:
        headers.append(("Expires", str(expires)))
    return Request("SUBSCRIBE", BOB, headers)


class Bench(MachineBench):
    """A core of Bob's, to which Alice subscribes.

    :ivar notifier: her subscription; None before :meth:`ask`, and where it was refused.
    :ivar content: what the application answers when it is asked for the state.
    """

    def __init__(self, terms: Terms = TERMS, flow: Flow | None = None) -> None:
        super().__init__(tls("a.example") if flow is None else flow)
        self.terms = terms
        self.profile = Profile(methods=("SUBSCRIBE",))
        self.profile.contact = lambda flow, secure: "<sip:bob@192.0.2.2>"
        self.core.directory.fallback = self.profile
        self.notifier: Notifier | None = None
        self.content: Content | None = ("text/plain", b"open")
        self.asked = 0
        self._cseq = 1

    # -- the subscriber ------------------------------------------------------------------------------------------------

    def ask(self, request: Request | None = None) -> Notifier:
        """A SUBSCRIBE that makes its dialog comes, and is read."""
        request = subscribe() if request is None else request
        self.core.receive_message(request, self.flow, self.now)
        [output] = [each for each in self.core.take_outputs() if isinstance(each, RequestReceived)]
        event = read_event(output.request)
        assert event is not None
        reading = read_subscribe(output.request, event, self.terms, self.flow, "bt")
        assert reading.dialog is not None, reading.status
        notifier = self.notifier = Notifier(self.core, self.profile, reading.dialog, event, self.terms, self)
        notifier.asked(output.transaction, reading)
        return notifier

    def again(self, expires: int | str | None = 600, event: str = "presence", *, cseq: int = 0) -> None:
        """A SUBSCRIBE in the dialog comes."""
        self._cseq += 1
        request = subscribe(event, expires, cseq=cseq or self._cseq, to_tag="bt")
        self.core.receive_message(request, self.flow, self.now)
        self.look()

    def answer(self, status: int, fields: tuple[tuple[str, str], ...] = ()) -> None:
        """The NOTIFY that is under way is answered."""
        self.answered(status, fields)

    def fail(self, reason: BaseException | None = None) -> None:
        """There is no response to the NOTIFY that is under way."""
        self.failed(reason)

    def overload(self) -> None:
        """It was not sent: the subscriber wants to be left alone."""
        self.fail(PeerOverloaded("it asked for fewer requests", RETRY_AFTER))

    # -- time and words ------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is due."""
        self.pass_time(seconds)

    def _words_of(self, request: Request) -> str:
        state = (request.headers.get("Subscription-State") or "").partition(";")[0]
        return f"NOTIFY {state}"

    def _hear(self, output: object) -> None:
        notifier = self.notifier
        assert notifier is not None
        if isinstance(output, StateWanted):
            self.asked += 1
            notifier.give(self.content, self.now)
        elif isinstance(output, SubscriptionRefreshed):
            self._said.append("[refreshed]")
        elif isinstance(output, NotifierEnded):
            self._said.append(f"[ended {output.reason or 'without a word'}]")
        elif isinstance(output, InDialogRequestReceived):
            notifier.request_received(output, self.now)

    @property
    def state(self) -> str:
        """Where the machine is, in the words of its table."""
        notifier = self.notifier
        assert notifier is not None
        state = notifier.state
        if state in (NotifierState.WAITING, NotifierState.TERMINATED):
            return state.name.lower()
        if state is NotifierState.ENDING:
            return "ending, NOTIFY first" if notifier.owes else "ending"
        name = state.name.lower()
        if notifier.is_busy:
            return f"{name}, telling and owing" if notifier.owes else f"{name}, telling"
        if not notifier.owes:
            return name
        due = self.core.appointments.due_of(notifier)
        assert due is not None
        return f"{name}, resting" if due > self.now + RETRY_AFTER / 2 else f"{name}, held"
