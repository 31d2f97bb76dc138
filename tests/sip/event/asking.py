"""One subscription of ours, whose notifier is played by hand.

:class:`Bench` has a core, a party and a verified flow. What the machine says is put in words: ``>SUBSCRIBE 3600`` is a
request with its Expires, ``>200`` a response, ``[notified active]`` what the application is told of a NOTIFY,
``[answered 200]`` what it is told of a SUBSCRIBE, and ``[over GONE]`` its end.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.effects import InDialogRequestReceived, RequestWanted
from sip_p2p.sip.event.subscriber import Subscriber
from sip_p2p.sip.event.subscribing import (
    Forked,
    NotifyReceived,
    SubscribeEnded,
    SubscriberOptions,
    SubscriberState,
    SubscriptionOver,
)
from sip_p2p.sip.fields import EventValue
from sip_p2p.sip.message import Request
from sip_p2p.sip.profile import Profile
from tests.sip.dialog.dialogs import ALICE, BOB, tls
from tests.sip.event.playing import MachineBench

if TYPE_CHECKING:
    from sip_p2p.sip.event.subscribing import SubscribeComposer
    from sip_p2p.sip.flow import Flow

__all__ = ["TIMER_N", "Bench", "notify", "options"]

TIMER_N = 32.0
"""64*T1 with the usual T1."""


def options(event: str = "presence", expires: int = 3600, **others: Any) -> SubscriberOptions:
    """What a test asks for."""
    return SubscriberOptions(EventValue(event), expires, **others)


def notify(
    state: str | None = "active",
    *,
    cseq: int = 1,
    tag: str = "bt",
    to_tag: str = "at",
    call_id: str = "call",
    event: str | None = "presence",
    contact: str | None = "<sip:bob@192.0.2.2>",
    body: bytes = b"",
    content_type: str = "text/plain",
    fields: tuple[tuple[str, str], ...] = (),
) -> Request:
    """A NOTIFY from Bob to Alice."""
    headers = [
        ("Via", f"SIP/2.0/TLS b.example;branch=z9hG4bK{tag}{cseq}"),
        ("From", f"<{BOB}>;tag={tag}"),
        ("To", f"<{ALICE}>;tag={to_tag}"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} NOTIFY"),
        *fields,
    ]
    if contact is not None:
        headers.append(("Contact", contact))
    if event is not None:
        headers.append(("Event", event))
    if state is not None:
        headers.append(("Subscription-State", state))
    if body:
        headers.append(("Content-Type", content_type))
    return Request("NOTIFY", "sip:alice@192.0.2.1", headers, body)


class Bench(MachineBench):
    """A core of Alice's, who subscribes to Bob's state.

    :ivar subscriber: her subscription.
    :ivar forks: those of further notifiers.
    :ivar told: the effects.
    """

    def __init__(
        self,
        chosen: SubscriberOptions | None = None,
        composer: SubscribeComposer | None = None,
        flow: Flow | None = None,
        alias: EventValue | None = None,
    ) -> None:
        super().__init__(tls("b.example") if flow is None else flow)
        self.profile = Profile()
        self.profile.contact = lambda flow, secure: "<sip:alice@192.0.2.1>"
        self.core.directory.fallback = self.profile
        self.subscriber = Subscriber(
            self.core, self.profile, options() if chosen is None else chosen, composer, alias=alias
        )
        self.forks: list[Subscriber] = []
        self.told: list[Any] = []
        self._cseq = 0

    # -- what happens --------------------------------------------------------------------------------------------------

    def start(self, uri: str = BOB) -> Bench:
        """Ask for it."""
        self.subscriber.start(RequestPlan("SUBSCRIBE", uri, f"<{ALICE}>", "at", "call"), self.now)
        self.look()
        return self

    def begin(self) -> Bench:
        """The same, and pass over what was said."""
        self.start()
        self._said.clear()
        return self

    def notify(self, state: str | None = "active", flow: Flow | None = None, **parts: Any) -> str:
        """A NOTIFY comes; return what was said."""
        if "cseq" not in parts:
            self._cseq += 1
            parts["cseq"] = self._cseq
        self.core.receive_message(notify(state, **parts), self.flow if flow is None else flow, self.now)
        return self.said()

    def answer(self, status: int, *fields: tuple[str, str], tag: str = "bt") -> str:
        """The SUBSCRIBE under way is answered, by whose *tag* it is; return what was said."""
        self.answered(status, (("To", f"<{BOB}>;tag={tag}"), *fields))
        return self.said()

    def fail(self, reason: BaseException | None = None) -> str:
        """There is no response to the SUBSCRIBE under way; return what was said."""
        self.failed(reason)
        return self.said()

    def stand(self, state: str = "active") -> Bench:
        """It was asked for, answered, and told of."""
        self.begin()
        self.answer(200, ("Expires", "3600"))
        self.notify(state)
        return self

    def wait(self, seconds: float) -> str:
        """Time passes, and what is due is done when it is due; return what was said."""
        self.pass_time(seconds)
        return self.said()

    # -- words ---------------------------------------------------------------------------------------------------------

    def _words_of(self, request: Request) -> str:
        return f"SUBSCRIBE {request.headers.get('Expires')}"

    def _take(self, output: object) -> None:
        if isinstance(output, RequestWanted):
            output.errand.transaction = SimpleNamespace(flow=self.flow)  # type: ignore[assignment]
        super()._take(output)

    def _hear(self, effect: Any) -> None:
        if isinstance(effect, InDialogRequestReceived):
            [usage] = {id(each): each for each in (effect.dialog.subscriptions or {}).values()}.values()
            usage.request_received(effect, self.now)
            return
        self.told.append(effect)
        if isinstance(effect, NotifyReceived):
            self._said.append(f"[notified {effect.value.state}]")
        elif isinstance(effect, SubscribeEnded):
            outcome = type(effect.reason).__name__ if effect.response is None else effect.response.status
            self._said.append(f"[answered {outcome}]")
        elif isinstance(effect, SubscriptionOver):
            self._said.append(f"[over {effect.ending.name}]")
        elif isinstance(effect, Forked):
            self.forks.append(effect.subscriber)
            self._said.append("[forked]")

    @property
    def state(self) -> str:
        """Where the machine is, in the words of its table."""
        subscriber = self.subscriber
        name = subscriber.state.name.lower().replace("_", " ")
        if subscriber.state in (SubscriberState.IDLE, SubscriberState.TERMINATED):
            return name
        if subscriber.is_asking:
            is_last = subscriber.state is not SubscriberState.ENDING or self.sent[-1].headers.get("Expires") == "0"
            return f"{name}, asking" if is_last else f"{name}, waiting"
        return f"{name}, owed" if subscriber.is_owed else name
