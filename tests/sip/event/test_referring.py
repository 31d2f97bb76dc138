"""Whoever refers: a REFER of ours and its subscription, pair by pair (RFC 3515 section 2.4)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.documents.sipfrag import SipFragment
from sip_p2p.errors import InvalidOperation, MalformedMessage, OperationTimeout
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Errand, InDialogRequestReceived, RequestUnwanted, RequestWanted
from sip_p2p.sip.event.refer import read_refer_to
from sip_p2p.sip.event.referring import ReferAnswered, Referrer, unheard_referral
from sip_p2p.sip.event.subscribing import NotifyReceived, SubscriptionOver
from sip_p2p.sip.event.subscription_state import parse_subscription_state
from sip_p2p.sip.event.usage import SUBSCRIBER, usage_name
from sip_p2p.sip.fields import parse_event
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import SendMessage
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore
from tests.sip.dialog.dialogs import ALICE, BOB, tls
from tests.sip.event.asking import notify
from tests.sip.event.table_checks import check_outcomes, check_pairs
from tests.support import SynchronousTestCase, call_flows

STATES = ("idle", "referring", "referring, told", "answered", "accepted", "accepted, told", "over")
INPUTS = (
    "start", "100", "202", "202 without", "603", "no response", "NOTIFY", "NOTIFY last", "subscribe", "N", "stop",
    "abandon",
)  # fmt: skip

TABLE = [
    # state, input, what follows; told is after the first NOTIFY, answered is where the REFER required explicitsub, N is
    # when no NOTIFY has come within 64*T1, and [unwanted] takes a request back
    ("idle", "start", "referring >REFER"),
    ("idle", "100", "impossible"),
    ("idle", "202", "impossible"),
    ("idle", "202 without", "impossible"),
    ("idle", "603", "impossible"),
    ("idle", "no response", "impossible"),
    ("idle", "NOTIFY", "idle >481"),
    ("idle", "NOTIFY last", "idle >481"),
    ("idle", "subscribe", "idle !InvalidOperation"),
    ("idle", "N", "idle"),
    ("idle", "stop", "over"),
    ("idle", "abandon", "over"),
    ("referring", "start", "referring !InvalidOperation"),
    ("referring", "100", "referring"),
    ("referring", "202", "accepted [answered 202, subscribed]"),
    ("referring", "202 without", "over [answered 202]"),
    ("referring", "603", "over [answered 603]"),
    ("referring", "no response", "over [answered OperationTimeout]"),
    ("referring", "NOTIFY", "referring, told >200 [notified active]"),
    ("referring", "NOTIFY last", "referring, told >200 [notified terminated] [over TERMINATED]"),
    ("referring", "subscribe", "referring !InvalidOperation"),
    ("referring", "N", "referring"),
    ("referring", "stop", "over [unwanted] [over LEFT]"),
    ("referring", "abandon", "over"),
    ("referring, told", "start", "referring, told !InvalidOperation"),
    ("referring, told", "100", "referring, told"),
    ("referring, told", "202", "accepted, told [answered 202, subscribed]"),
    ("referring, told", "202 without", "over [answered 202]"),
    ("referring, told", "603", "over [answered 603]"),
    ("referring, told", "no response", "over [answered OperationTimeout]"),
    ("referring, told", "NOTIFY", "referring, told >200 [notified active]"),
    ("referring, told", "NOTIFY last", "referring, told >200 [notified terminated] [over TERMINATED]"),
    ("referring, told", "subscribe", "referring, told !InvalidOperation"),
    ("referring, told", "N", "referring, told"),
    ("referring, told", "stop", "over [unwanted] >SUBSCRIBE"),
    ("referring, told", "abandon", "over"),
    ("answered", "start", "answered !InvalidOperation"),
    ("answered", "100", "impossible"),
    ("answered", "202", "impossible"),
    ("answered", "202 without", "impossible"),
    ("answered", "603", "impossible"),
    ("answered", "no response", "impossible"),
    ("answered", "NOTIFY", "answered >481"),
    ("answered", "NOTIFY last", "answered >481"),
    ("answered", "subscribe", "accepted >SUBSCRIBE"),
    ("answered", "N", "answered"),
    ("answered", "stop", "over"),
    ("answered", "abandon", "over"),
    ("accepted", "start", "accepted !InvalidOperation"),
    ("accepted", "100", "impossible"),
    ("accepted", "202", "impossible"),
    ("accepted", "202 without", "impossible"),
    ("accepted", "603", "impossible"),
    ("accepted", "no response", "impossible"),
    ("accepted", "NOTIFY", "accepted, told >200 [notified active]"),
    ("accepted", "NOTIFY last", "over >200 [notified terminated] [over TERMINATED]"),
    ("accepted", "subscribe", "accepted !InvalidOperation"),
    ("accepted", "N", "over [over NO_NOTIFY]"),
    ("accepted", "stop", "over [over LEFT]"),
    ("accepted", "abandon", "over"),
    ("accepted, told", "start", "accepted, told !InvalidOperation"),
    ("accepted, told", "100", "impossible"),
    ("accepted, told", "202", "impossible"),
    ("accepted, told", "202 without", "impossible"),
    ("accepted, told", "603", "impossible"),
    ("accepted, told", "no response", "impossible"),
    ("accepted, told", "NOTIFY", "accepted, told >200 [notified active]"),
    ("accepted, told", "NOTIFY last", "over >200 [notified terminated] [over TERMINATED]"),
    ("accepted, told", "subscribe", "accepted, told !InvalidOperation"),
    ("accepted, told", "N", "accepted, told"),
    ("accepted, told", "stop", "over >SUBSCRIBE"),
    ("accepted, told", "abandon", "over"),
    ("over", "start", "over !InvalidOperation"),
    ("over", "100", "impossible"),
    ("over", "202", "impossible"),
    ("over", "202 without", "impossible"),
    ("over", "603", "impossible"),
    ("over", "no response", "impossible"),
    ("over", "NOTIFY", "over >481"),
    ("over", "NOTIFY last", "over >481"),
    ("over", "subscribe", "over !InvalidOperation"),
    ("over", "N", "over"),
    ("over", "stop", "over"),
    ("over", "abandon", "over"),
]


class Bench:
    """Alice refers Bob, who is played by hand.

    :ivar told: the effects.
    """

    def __init__(
        self, dialog: Dialog | None = None, *, wants_notifications: bool = True, is_explicit: bool = False
    ) -> None:
        self.now = 100.0
        self.core = UserAgentCore(CountingTokens())
        self.profile = Profile()
        self.profile.contact = lambda flow, secure: "<sip:alice@192.0.2.1>"
        self.core.directory.fallback = self.profile
        self.flow = tls("b.example")
        self.referrer = Referrer(
            self.core, self.profile, self, wants_notifications=wants_notifications, is_explicit=is_explicit
        )
        self.dialog = dialog
        self.errands: list[Errand] = []
        self.told: list[Any] = []
        self.is_told = False
        self._said: list[str] = []
        self._cseq = 0

    def start(self) -> None:
        """Refer."""
        if self.dialog is None:
            self.referrer.start(RequestPlan("REFER", BOB, f"<{ALICE}>", "at", "call"))
        else:
            self.referrer.start_in(self.dialog, [("Refer-To", "<sip:carol@c.example>")])

    def subscribe(self) -> None:
        """Subscribe where the answer says."""
        self.referrer.subscribe(RequestPlan("SUBSCRIBE", BOB, f"<{ALICE}>", "et", "events"), self.now)

    def notify(self, state: str = "active", event: str = "refer;id=1", **parts: Any) -> str:
        """A NOTIFY comes."""
        self._cseq += 1
        body = b"SIP/2.0 100 Trying\r\n"
        given = {"body": body, "content_type": "message/sipfrag", "cseq": self._cseq} | parts
        self.core.receive_message(notify(state, event=event, **given), self.flow, self.now)
        return self.said()

    def answer(self, status: int, *fields: tuple[str, str]) -> str:
        """The oldest request under way is answered."""
        errand = self.errands[0]
        if status >= 200:
            self.errands.pop(0)
        errand.owner.errand_answered(errand, Response(status, None, list(fields)), self.flow, self.now)
        return self.said()

    def fail(self) -> str:
        """It is not."""
        errand = self.errands.pop(0)
        errand.owner.errand_failed(errand, OperationTimeout("no answer"), self.now)
        return self.said()

    def wait(self, seconds: float) -> str:
        """Time passes."""
        self.now += seconds
        self.core.handle_timer(self.now)
        return self.said()

    def said(self) -> str:
        """What was said since the last call, and what the facade does about it."""
        while outputs := self.core.take_outputs():
            for output in outputs:
                self._take(output)
        said, self._said = self._said, []
        return " ".join(said)

    def _take(self, output: Any) -> None:
        if isinstance(output, SendMessage):
            message = parse_message(output.data)
            assert isinstance(message, Response)
            self._said.append(f">{message.status}")
        elif isinstance(output, RequestWanted):
            self.errands.append(output.errand)
            output.errand.transaction = SimpleNamespace(flow=self.flow)  # type: ignore[assignment]
            self._said.append(f">{output.errand.plan.method}")
        elif isinstance(output, RequestUnwanted):
            self._said.append("[unwanted]")
        elif isinstance(output, InDialogRequestReceived):
            event = parse_event(output.request.headers["Event"])
            usage = (output.dialog.subscriptions or {}).get(usage_name(SUBSCRIBER, event))
            assert usage is not None
            usage.request_received(output, self.now)
        elif isinstance(output, ReferAnswered):
            self.told.append(output)
            outcome = type(output.reason).__name__ if output.response is None else output.response.status
            self._said.append(f"[answered {outcome}{', subscribed' if output.is_subscribed else ''}]")
        elif isinstance(output, NotifyReceived):
            self.is_told = True
            self._said.append(f"[notified {output.value.state}]")
        elif isinstance(output, SubscriptionOver):
            self._said.append(f"[over {output.ending.name}]")
            self.referrer.subscription_over()

    @property
    def state(self) -> str:
        """Where it is, in the words of the table."""
        name = self.referrer.state.name.lower()
        return f"{name}, told" if self.is_told and name in ("referring", "accepted") else name


def bring(state: str) -> Bench:
    """A referral in this state."""
    bench = Bench(is_explicit=state == "answered")
    if state != "idle":
        bench.start()
        bench.said()
    if state.endswith("told"):
        bench.notify()
    if state.startswith(("accepted", "answered")):
        bench.answer(202)
    elif state == "over":
        bench.referrer.stop(bench.now)
        bench.said()
        bench.errands.clear()
    return bench


def apply(bench: Bench, what: str) -> str:
    """Give it the input *what*; return what follows in words, or that it cannot be."""
    try:
        if what == "start":
            bench.start()
        elif what == "subscribe":
            bench.subscribe()
        elif what in ("stop", "abandon"):
            bench.referrer.stop(bench.now) if what == "stop" else bench.referrer.abandon()
        elif what.startswith("NOTIFY"):
            return bench.notify("terminated;reason=noresource" if "last" in what else "active")
        elif what == "N":
            return bench.wait(33.0)
        elif not bench.errands or bench.errands[0].plan.method != "REFER":
            return "impossible"
        elif what == "no response":
            return bench.fail()
        else:
            status, _, without = what.partition(" ")
            return bench.answer(int(status), *((("Refer-Sub", "false"),) if without else ()))
    except InvalidOperation as error:
        return f"!{type(error).__name__}"
    return bench.said()


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        check_pairs(self, TABLE, STATES, INPUTS)

    def test_every_pair(self) -> None:
        """Each input in each state leads where the table says (row:I1, row:I4, row:I8)."""
        check_outcomes(self, TABLE, bring, apply)


class LivesTests(SynchronousTestCase):
    """Any sequence of inputs."""

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.sampled_from(INPUTS), max_size=15), st.booleans())
    def test_random_lives(self, inputs: list[str], is_explicit: bool) -> None:
        """Whatever comes in whatever order: no exception, and nothing left of what is over (row:I1)."""
        bench = Bench(is_explicit=is_explicit)
        for what in inputs:
            apply(bench, what)
        bench.referrer.stop(bench.now)
        bench.said()
        while bench.errands:
            bench.answer(500)
        bench.wait(33.0)
        bench.wait(33.0)
        core = bench.core
        self.assertEqual((len(core.dialogs), len(core.awaiting), len(core.appointments)), (0, 0, 0))


class InDialogTests(SynchronousTestCase):
    """REFERs in one dialog (RFC 3515 section 2.4.6)."""

    def dialog(self) -> Dialog:
        """A dialog with Bob."""
        here, there, target = f"<{ALICE}>", f"<{BOB}>", SipUri.parse(BOB)
        return Dialog("call", "at", "bt", here, there, True, False, False, 0, None, (), target, "b.example")

    def test_ids(self) -> None:
        """The first may be told of without an id, and holds back others until it is; the second has one (row:I3)."""
        dialog = self.dialog()
        first = Bench(dialog)
        first.start()
        first.said()
        first.answer(202)
        self.assertIs(unheard_referral(dialog), first)
        first.notify(event="refer")
        self.assertIsNone(unheard_referral(dialog))
        second = Referrer(first.core, first.profile, first)
        second.start_in(dialog, [])
        first.said()
        first.answer(202)
        names = set(dialog.subscriptions or {})
        self.assertEqual(names, {"subscriber:refer", "subscriber:refer;id=1", "subscriber:refer;id=2"})
        second.abandon()
        first.referrer.abandon()
        self.assertEqual(len(first.core.dialogs), 0)

    def test_stopped_by_its_name(self) -> None:
        """The SUBSCRIBE that ends it names it as the NOTIFYs do (row:I4)."""
        for event in ("refer", "refer;id=1"):
            bench = Bench(self.dialog())
            bench.start()
            bench.said()
            bench.answer(202)
            bench.notify(event=event)
            bench.referrer.stop(bench.now)
            self.assertEqual(bench.said(), ">SUBSCRIBE")
            fields = dict(bench.errands[0].plan.fields)
            self.assertEqual((fields["Event"], fields["Expires"]), (event, "0"))

    def test_sent_again(self) -> None:
        """The id is that of the REFER that was accepted, also where it went out once more (row:I3, row:F10)."""
        dialog = self.dialog()
        bench = Bench(dialog)
        bench.start()
        bench.said()
        bench.errands[0].plan.cseq = dialog.plan("REFER").cseq
        bench.answer(202)
        self.assertIn("subscriber:refer;id=2", dialog.subscriptions or {})
        self.assertEqual(bench.notify(event="refer;id=2"), ">200 [notified active]")

    def test_what_can_be_subscribed_to(self) -> None:
        """RFC 6665 section 4.4.4: a REFER that makes a dialog says which event packages there are, where there are
        any."""
        for packages, said in (((), None), (("presence", "x-board"), "presence, x-board")):
            bench = Bench()
            bench.referrer.profile.event_packages = packages
            bench.start()
            bench.said()
            [errand] = bench.errands
            self.assertEqual(dict(errand.plan.fields).get("Allow-Events"), said)

    def test_without_subscription(self) -> None:
        """RFC 7614: where there is to be none, no NOTIFY finds one (row:I8)."""
        bench = Bench(self.dialog(), wants_notifications=False)
        bench.start()
        bench.said()
        self.assertEqual(bench.answer(202), "[answered 202]")
        self.assertEqual(bench.state, "over")
        self.assertEqual(bench.notify(), ">481")

    def test_explicit(self) -> None:
        """RFC 7614: what the answer names is subscribed to, in a dialog of its own (row:I8)."""
        dialog = self.dialog()
        bench = Bench(dialog, is_explicit=True)
        bench.start()
        bench.said()
        self.assertIsNone(unheard_referral(dialog))
        self.assertEqual(bench.answer(200), "[answered 200]")
        self.assertIs(bench.told[0].flow, bench.flow)
        bench.subscribe()
        self.assertEqual(bench.said(), ">SUBSCRIBE")
        fields = dict(bench.errands[0].plan.fields)
        self.assertEqual((fields["Event"], fields["Accept"]), ("refer", "message/sipfrag"))
        self.assertIsNone(bench.errands[0].plan.dialog)
        bench.referrer.stop(bench.now)
        self.assertEqual(bench.said(), "[unwanted] [over LEFT]")

    def test_explicit_with_id(self) -> None:
        """RFC 7614 section 4.4: the NOTIFYs may name the REFER, and our SUBSCRIBEs do so then; those of another one are
        nobody's (row:I8)."""
        for event, others in (("refer;id=2", "refer;id=7"), ("refer", "refer;id=7")):
            dialog = self.dialog()
            dialog.local_cseq = 1
            bench = Bench(dialog, is_explicit=True)
            bench.start()
            bench.said()
            bench.answer(200)
            bench.subscribe()
            bench.said()
            where = {"to_tag": "et", "call_id": "events"}
            self.assertEqual(bench.notify(event=others, **where), ">481")
            self.assertEqual(bench.notify(event=event, **where), ">200 [notified active]", event)
            bench.answer(200, ("Expires", "3600"), ("To", f"<{BOB}>;tag=bt"))
            bench.referrer.stop(bench.now)
            self.assertEqual(bench.said(), ">SUBSCRIBE")
            fields = dict(bench.errands[-1].plan.fields)
            self.assertEqual((fields["Event"], fields["Expires"]), (event, "0"))


class FlowTests(SynchronousTestCase):
    """The call flows of RFC 3515 section 4."""

    def messages(self, section: str) -> list[Any]:
        """Those of one section, in order."""
        return [parse_message(data) for name, data in call_flows() if name.startswith(f"rfc3515/{section}")]

    def test_told(self) -> None:
        """4.1 and 4.2: two NOTIFYs tell how each REFER went, the second REFER's by its number (row:I3, row:I6)."""
        for section, is_numbered in (("4.1", False), ("4.2", True)):
            refer, _, trying, _, final, _ = self.messages(section)
            for message, status in ((trying, 100), (final, 200)):
                event = parse_event(message.headers["Event"])
                self.assertEqual(event.id, str(refer.cseq.number) if is_numbered else None)
                self.assertEqual(SipFragment.parse(message.body).status, status)
            value = parse_subscription_state(final.headers["Subscription-State"])
            self.assertEqual((value.state, value.reason), ("terminated", "noresource"))

    def test_referred_to(self) -> None:
        """What the flows have for a Refer-To is none, and is said to be (row:I7)."""
        for section in ("4.1", "4.2"):
            self.assertRaises(MalformedMessage, read_refer_to, self.messages(section)[0])
