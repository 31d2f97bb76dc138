"""An INVITE of a peer: every pair of a state and an input, and every order in which its end can come."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation, RestrictedHeader
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import InvitationEnded
from sip_p2p.sip.dialog.server_invitation import ServerInvitation, ServerInvitationState
from sip_p2p.sip.dialog.usage import InviteUsage
from tests.sip.dialog.answering import ANSWER, OFFER, AnswerBench
from tests.sip.dialog.pair import Pair, Wires

STATES = ("waiting", "ringing", "reliable", "held", "accepted", "ended")
INPUTS = (
    # What the application does, what comes from the caller, and what time brings.
    *("start", "ring", "ring reliably", "early dialog", "end early", "accept", "reject", "redirect"),
    *("INVITE", "CANCEL", "PRACK", "UPDATE", "BYE", "ACK", "flow lost"),
    *("repeat", "refresh", "Expires", "max_ring", "64*T1"),
)

TABLE = [
    # state, input, what follows; reliable is ringing while an answer that was sent reliably waits for its PRACK
    ("waiting", "start", "waiting !InvalidOperation"),
    ("waiting", "ring", "ringing >180"),
    ("waiting", "ring reliably", "ringing >183"),
    ("waiting", "early dialog", "waiting"),
    ("waiting", "end early", "waiting !InvalidOperation"),
    ("waiting", "accept", "accepted >200"),
    ("waiting", "reject", "ended >486 user:ended 486"),
    ("waiting", "redirect", "ended >302 user:ended 302"),
    ("waiting", "INVITE", "waiting"),
    ("waiting", "CANCEL", "ended >200 >487 user:ended 487"),
    ("waiting", "PRACK", "waiting >481"),
    ("waiting", "UPDATE", "waiting >481"),
    ("waiting", "BYE", "waiting >481"),
    ("waiting", "ACK", "waiting"),
    ("waiting", "flow lost", "ended user:ended ConnectionFailure"),
    ("waiting", "repeat", "idle"),
    ("waiting", "refresh", "ringing >183"),
    ("waiting", "Expires", "ended >487 user:ended 487"),
    ("waiting", "max_ring", "ended >480 user:ended 480"),
    ("waiting", "64*T1", "idle"),
    ("ringing", "start", "ringing !InvalidOperation"),
    ("ringing", "ring", "ringing >180"),
    ("ringing", "ring reliably", "ringing >183"),
    ("ringing", "early dialog", "ringing"),
    ("ringing", "end early", "waiting >199 user:usage ended EARLY"),
    ("ringing", "accept", "accepted >200"),
    ("ringing", "reject", "ended >486 user:usage ended EARLY user:ended 486"),
    ("ringing", "redirect", "ended >302 user:usage ended EARLY user:ended 302"),
    ("ringing", "INVITE", "ringing >180"),
    ("ringing", "CANCEL", "ended >200 >487 user:usage ended EARLY user:ended 487"),
    ("ringing", "PRACK", "ringing >481"),
    ("ringing", "UPDATE", "ringing >200"),
    ("ringing", "BYE", "ended >200 user:usage ended REMOTE_BYE >487 user:ended 487"),
    ("ringing", "ACK", "ringing"),
    ("ringing", "flow lost", "ended user:usage ended EARLY user:ended ConnectionFailure"),
    ("ringing", "repeat", "idle"),
    ("ringing", "refresh", "ringing >180"),
    ("ringing", "Expires", "ended >487 user:usage ended EARLY user:ended 487"),
    ("ringing", "max_ring", "ended >480 user:usage ended EARLY user:ended 480"),
    ("ringing", "64*T1", "idle"),
    ("reliable", "start", "reliable !InvalidOperation"),
    ("reliable", "ring", "reliable >180"),
    ("reliable", "ring reliably", "reliable"),
    ("reliable", "early dialog", "reliable"),
    ("reliable", "end early", "waiting >199 user:usage ended EARLY"),
    ("reliable", "accept", "held"),
    ("reliable", "reject", "ended >486 user:usage ended EARLY user:ended 486"),
    ("reliable", "redirect", "ended >302 user:usage ended EARLY user:ended 302"),
    ("reliable", "INVITE", "reliable >183"),
    ("reliable", "CANCEL", "ended >200 >487 user:usage ended EARLY user:ended 487"),
    ("reliable", "PRACK", "ringing >200"),
    ("reliable", "UPDATE", "reliable >200"),
    ("reliable", "BYE", "ended >200 user:usage ended REMOTE_BYE >487 user:ended 487"),
    ("reliable", "ACK", "reliable"),
    ("reliable", "flow lost", "ended user:usage ended EARLY user:ended ConnectionFailure"),
    ("reliable", "repeat", "reliable >183"),
    ("reliable", "refresh", "idle"),
    ("reliable", "Expires", "ended >487 user:usage ended EARLY user:ended 487"),
    ("reliable", "max_ring", "ended >480 user:usage ended EARLY user:ended 480"),
    ("reliable", "64*T1", "ended >504 user:usage ended EARLY user:ended 504"),
    ("held", "start", "held !InvalidOperation"),
    ("held", "ring", "held !InvalidOperation"),
    ("held", "ring reliably", "held !InvalidOperation"),
    ("held", "early dialog", "held !InvalidOperation"),
    ("held", "end early", "held !InvalidOperation"),
    ("held", "accept", "held !InvalidOperation"),
    ("held", "reject", "ended >486 user:usage ended EARLY user:ended 486"),
    ("held", "redirect", "ended >302 user:usage ended EARLY user:ended 302"),
    ("held", "INVITE", "held >183"),
    ("held", "CANCEL", "ended >200 >487 user:usage ended EARLY user:ended 487"),
    ("held", "PRACK", "accepted >200 >200"),
    ("held", "UPDATE", "held >200"),
    ("held", "BYE", "ended >200 user:usage ended REMOTE_BYE >487 user:ended 487"),
    ("held", "ACK", "held"),
    ("held", "flow lost", "ended user:usage ended EARLY user:ended ConnectionFailure"),
    ("held", "repeat", "held >183"),
    ("held", "refresh", "idle"),
    ("held", "Expires", "ended >487 user:usage ended EARLY user:ended 487"),
    ("held", "max_ring", "idle"),
    ("held", "64*T1", "ended >504 user:usage ended EARLY user:ended 504"),
    ("accepted", "start", "accepted !InvalidOperation"),
    ("accepted", "ring", "accepted !AlreadyResponded"),
    ("accepted", "ring reliably", "accepted !AlreadyResponded"),
    ("accepted", "early dialog", "accepted !AlreadyResponded"),
    ("accepted", "end early", "accepted !AlreadyResponded"),
    ("accepted", "accept", "accepted !AlreadyResponded"),
    ("accepted", "reject", "accepted !AlreadyResponded"),
    ("accepted", "redirect", "accepted !AlreadyResponded"),
    ("accepted", "INVITE", "accepted"),
    ("accepted", "CANCEL", "accepted >200"),
    ("accepted", "PRACK", "accepted >481"),
    ("accepted", "UPDATE", "accepted >200"),
    ("accepted", "BYE", "accepted >200 user:usage ended REMOTE_BYE"),
    ("accepted", "ACK", "accepted user:established"),
    ("accepted", "flow lost", "accepted"),
    ("accepted", "repeat", "accepted >200"),
    ("accepted", "refresh", "idle"),
    ("accepted", "Expires", "idle"),
    ("accepted", "max_ring", "idle"),
    ("accepted", "64*T1", "accepted user:usage ending NO_ACK >BYE"),
    ("ended", "start", "ended !InvalidOperation"),
    ("ended", "ring", "ended !AlreadyResponded"),
    ("ended", "ring reliably", "ended !AlreadyResponded"),
    ("ended", "early dialog", "ended !AlreadyResponded"),
    ("ended", "end early", "ended !AlreadyResponded"),
    ("ended", "accept", "ended !AlreadyResponded"),
    ("ended", "reject", "ended !AlreadyResponded"),
    ("ended", "redirect", "ended !AlreadyResponded"),
    ("ended", "INVITE", "ended >486"),
    ("ended", "CANCEL", "ended >200"),
    ("ended", "PRACK", "ended >481"),
    ("ended", "UPDATE", "ended >481"),
    ("ended", "BYE", "ended >481"),
    ("ended", "ACK", "ended"),
    ("ended", "flow lost", "ended"),
    ("ended", "repeat", "ended >486"),
    ("ended", "refresh", "idle"),
    ("ended", "Expires", "idle"),
    ("ended", "max_ring", "idle"),
    ("ended", "64*T1", "idle"),
]

ON_A_STREAM = {("ended", "repeat"): "idle"}
"""Where a reliable transport makes a difference: the transaction below repeats its refusal on an unreliable one."""

MOMENTS = {"repeat": 0.5, "refresh": 20.0, "Expires": 30.0, "max_ring": 30.0, "64*T1": 32.0}


def answer_if_due(bench: AnswerBench) -> None:
    """Accept, with an answer where one is due."""
    call = bench.call
    is_answered = any(not usage.offer_answer.owes_answer for usage in call.usages)
    call.accept(bench.now, None if is_answered else ANSWER)


def end_first(bench: AnswerBench) -> None:
    """Give up the early dialog that was the first, or somebody else's where there was none."""
    usages = bench.call.usages or AnswerBench(on_invite=lambda call: call.ring(0.0)).call.usages
    bench.call.end_early(usages[0], bench.now)


ACTIONS: dict[str, Callable[[AnswerBench], object]] = {
    "start": lambda bench: bench.call.start(bench.now),
    "ring": lambda bench: bench.call.ring(bench.now),
    "ring reliably": lambda bench: bench.call.ring(bench.now, 183, reliable=True),
    "early dialog": lambda bench: bench.call.early_dialog(),
    "end early": end_first,
    "accept": answer_if_due,
    "reject": lambda bench: bench.call.reject(486, bench.now),
    "redirect": lambda bench: bench.call.redirect(["sip:carol@c.example"], bench.now),
    "INVITE": AnswerBench.invite,
    "CANCEL": AnswerBench.cancel,
    "PRACK": AnswerBench.prack,
    "UPDATE": lambda bench: bench.request("UPDATE"),
    "BYE": lambda bench: bench.request("BYE"),
    "ACK": lambda bench: bench.ack(branch="z9hG4bKinvite" if bench.state == "ended" else "z9hG4bKack"),
    "flow lost": lambda bench: bench.bob.lose_flow(),
}


def bring(state: str, what: str, reliable: bool) -> AnswerBench:
    """A call in *state*, such that *what* can happen to it."""
    refresh = 20.0 if what == "refresh" else 60.0
    options = AnswerOptions(refresh=refresh, max_ring=30.0 if what == "max_ring" else 600.0)
    bench = AnswerBench(options, reliable=reliable, fields={"Expires": "30"} if what == "Expires" else {})
    if state == "ringing":
        bench.do(lambda: bench.call.ring(bench.now))
    elif state in ("reliable", "held"):
        bench.do(lambda: bench.call.ring(bench.now, 183, description=ANSWER))
        if state == "held":
            bench.do(lambda: bench.call.accept(bench.now))
    elif state == "accepted":
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
    elif state == "ended":
        bench.do(lambda: bench.call.reject(486, bench.now))
    return bench


def outcome(bench: AnswerBench, what: str) -> str:
    """What comes of *what*, as the table says it."""
    before = bench.state
    try:
        said = bench.moment(MOMENTS[what]) if what in MOMENTS else bench.do(lambda: ACTIONS[what](bench))
    except InvalidOperation as error:
        said = [*bench.said(), f"!{type(error).__name__}"]
    if what in MOMENTS and not said and bench.state == before:
        return "idle"
    return " ".join([bench.state, *said])


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        pairs = [(state, what) for state, what, _ in TABLE]
        self.assertEqual(pairs, [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """13.3, 9.2, 15.1.2, RFC 3262 section 3: each input in each state leads where the table says, over either kind
        of transport. row:H4 row:H5 row:H6 row:H8 row:H9 fault:C5 fault:C6"""
        for state, what, expected in TABLE:
            for reliable in (False, True):
                bench = bring(state, what, reliable)
                self.assertEqual(bench.state, state, (state, what))
                wanted = ON_A_STREAM.get((state, what), expected) if reliable else expected
                self.assertEqual(outcome(bench, what), wanted, (state, what, reliable))

    def test_nothing_stays(self) -> None:
        """Whatever happened, after five minutes neither a dialog nor a transaction nor a timer is left. row:H34"""
        for state, what, _ in TABLE:
            for reliable in (False, True):
                bench = bring(state, what, reliable)
                outcome(bench, what)
                if bench.call.is_open:
                    bench.do(lambda b=bench: b.call.reject(480, b.now))
                bench.wait(300.0)
                for dialog in bench.bob.dialogs:
                    bench.request("BYE", dialog.local_tag)
                bench.wait(100.0)
                self.assertEqual(set(bench.bob.inventory().values()), {0}, (state, what, bench.bob.inventory()))

    def test_before_it_was_judged(self) -> None:
        """What nobody has judged yet can be answered in no way, and hears of nothing."""
        bench = AnswerBench()
        call = bench.call
        new = ServerInvitation(call.core, call.transaction, call.request, call.flow, call.profile, AnswerOptions())
        self.assertEqual((new.state, new.is_open, new.usages), (ServerInvitationState.NEW, False, ()))
        for wish in (
            lambda: new.ring(0.0),
            lambda: new.early_dialog(),
            lambda: new.accept(0.0, ANSWER),
            lambda: new.reject(486, 0.0),
            lambda: new.redirect(["sip:c@c.example"], 0.0),
        ):
            self.assertRaises(InvalidOperation, wish)
        new.handle_timer(1000.0)
        self.assertEqual((new.state, bench.said()), (ServerInvitationState.NEW, []))


class DecisionTests(SynchronousTestCase):
    """What the application may say, and how it is written."""

    def test_reject(self) -> None:
        """13.3.1.3: any status from 400 to 699, with any phrase and fields of the application's. row:H5"""
        fields = [("Retry-After", "30"), ("Reason", "Q.850;cause=17")]
        for status in (400, 486, 488, 503, 600, 603, 699):
            bench = AnswerBench()
            bench.do(lambda b=bench, s=status: b.call.reject(s, b.now, "No", fields))
            response = bench.responses[-1]
            self.assertEqual((response.status, response.reason), (status, "No"))
            self.assertEqual([(name, response.headers[name]) for name, _ in fields], fields)
            self.assertNotIn("Contact", response.headers)
            effect = bench.bob.effects[-1]
            assert isinstance(effect, InvitationEnded) and effect.response is not None
            self.assertEqual((effect.response.status, effect.reason, effect.request), (status, None, None))

    def test_why_an_offer_is_refused(self) -> None:
        """13.3.1.3: a 488 to an offer has a Warning; the application's, if it gives one."""
        ours, own = '399 sip_p2p "the offer is not acceptable"', '305 here "no such type"'
        for offer, status, said, expected in (
            (OFFER, 488, (), [ours]),
            (OFFER, 488, [("warning", own)], [own]),
            (OFFER, 486, (), []),
            (None, 488, (), []),
        ):
            bench = AnswerBench(offer=offer)
            bench.do(lambda b=bench, s=status, f=said: b.call.reject(s, b.now, None, f))
            self.assertEqual(bench.responses[-1].headers.get_all("Warning"), expected)

    def test_what_is_no_refusal(self) -> None:
        """13.3.1.3: another status, and what cannot be written, is the caller's mistake and changes nothing. row:H5"""
        bench = AnswerBench()
        for status in (0, 100, 180, 200, 299, 300, 399, 700, -1):
            self.assertRaises(ValueError, bench.call.reject, status, 0.0)
        self.assertRaises(ValueError, bench.call.reject, 486, 0.0, "no\r\nway")
        self.assertRaises(ValueError, bench.call.reject, 486, 0.0, None, [("Reason", "a\nb")])
        self.assertRaises(RestrictedHeader, bench.call.reject, 486, 0.0, None, [("To", "<sip:x@y>")])
        self.assertEqual((bench.said(), bench.state), ([], "waiting"))

    def test_redirect(self) -> None:
        """13.3.1.2: a 3xx with the Contacts in order, and what else is said. row:H6"""
        for status in (300, 301, 302, 380, 399):
            bench = AnswerBench()
            contacts = ["<sip:c@c.example>;q=0.7", "sip:d@d.example"]
            fields = [("Reason", "SIP;cause=302")]
            bench.do(lambda b=bench, s=status, c=contacts, f=fields: b.call.redirect(c, b.now, s, f))
            response = bench.responses[-1]
            self.assertEqual(response.status, status)
            self.assertEqual(response.headers.get_all("Contact"), ["<sip:c@c.example>;q=0.7", "<sip:d@d.example>"])
            self.assertEqual(response.headers["Reason"], "SIP;cause=302")

    def test_what_is_no_redirection(self) -> None:
        """8.3, 13.3.1.2: another status, nowhere, and back to ourselves change nothing. row:H6"""
        bench = AnswerBench()
        for status in (200, 299, 400, 486):
            self.assertRaises(ValueError, bench.call.redirect, ["sip:c@c.example"], 0.0, status)
        for contacts in ([], ["sip:bob@bob.example"], ["sip:bob-token@192.0.2.2"], ["nonsense"]):
            self.assertRaises(ValueError, bench.call.redirect, contacts, 0.0)
        self.assertEqual((bench.said(), bench.state), ([], "waiting"))

    def test_accept(self) -> None:
        """13.3.1.4: a 2xx with the answer and what else is said; accepted is not yet established. row:H4"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.accept(bench.now, ANSWER, [("Subject", "hello")]))
        response = bench.responses[-1]
        self.assertEqual((response.status, response.body, response.headers["Subject"]), (200, ANSWER.body, "hello"))
        self.assertEqual(response.headers["Content-Type"], "application/sdp")
        usage = bench.bob.usage
        self.assertEqual((usage.state.name, usage.local_description), ("ACCEPTED", ANSWER))
        bench.ack()
        self.assertEqual((bench.said(), usage.state.name), (["user:established"], "CONFIRMED"))

    def test_what_may_not_be_accepted(self) -> None:
        """13.2.1: an offer wants an answer, and none wants an offer; without it nothing has happened. row:H22"""
        for offer in (OFFER, None):
            bench = AnswerBench(offer=offer)
            self.assertRaises(InvalidOperation, bench.call.accept, bench.now)
            self.assertRaises(RestrictedHeader, bench.call.accept, bench.now, ANSWER, [("Contact", "<sip:x@y>")])
            self.assertEqual(bench.said(), [])
            self.assertEqual(bench.do(lambda b=bench: b.call.accept(b.now, ANSWER)), [">200"])

    def test_described_before(self) -> None:
        """13.2.1, RFC 6337 section 3.1.1: what was answered reliably is not answered again. row:H9 row:H22"""
        for is_acknowledged in (False, True):
            bench = AnswerBench()
            bench.do(lambda b=bench: b.call.ring(b.now, 183, description=ANSWER))
            if is_acknowledged:
                bench.prack()
            self.assertRaises(InvalidOperation, bench.call.accept, bench.now, ANSWER)
            self.assertEqual(bench.do(lambda b=bench: b.call.accept(b.now))[-1:], [">200"] * is_acknowledged)

    def test_previewed_before(self) -> None:
        """13.2.1: what stood in an unreliable response stands in the 2xx once more."""
        bench = AnswerBench(supported="")
        bench.do(lambda: bench.call.ring(bench.now, 180, description=ANSWER))
        self.assertRaises(InvalidOperation, bench.call.accept, bench.now)
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        self.assertEqual([response.body for response in bench.responses], [ANSWER.body] * 2)

    def test_late_offer(self) -> None:
        """13.2.1: where the INVITE had no offer the 2xx makes it, and the ACK has the answer. row:H22"""
        bench = AnswerBench(offer=None)
        self.assertIsNone(bench.call.offer)
        bench.do(lambda: bench.call.accept(bench.now, OFFER))
        bench.ack(body=ANSWER.body)
        self.assertEqual(bench.said(), ["user:established", "user:answer"])

    def test_late_offer_without_an_answer(self) -> None:
        """13.2.2.4: an ACK that had to answer and does not ends the session. row:H22 fault:C6"""
        bench = AnswerBench(offer=None)
        bench.do(lambda: bench.call.accept(bench.now, OFFER))
        bench.ack()
        self.assertEqual(bench.said(), ["user:established", "user:usage ending NO_AGREEMENT", ">BYE"])

    def test_session_timer(self) -> None:
        """RFC 4028 section 9: the 2xx says what the caller's wish has become, and the usage keeps to it. row:H26"""
        bench = AnswerBench(fields={"Session-Expires": "200;refresher=uas", "Supported": "timer"})
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        headers = bench.responses[-1].headers
        self.assertEqual((headers["Session-Expires"], headers["Require"]), ("200;refresher=uas", "timer"))
        timer = bench.bob.usage.session_timer
        assert timer is not None
        self.assertEqual(timer.interval, 200)

    def test_interval_too_small(self) -> None:
        """RFC 4028 section 6: 422 with what would do, and no session. row:H26"""
        bench = AnswerBench(fields={"Session-Expires": "60"})
        self.assertEqual((bench.said(), bench.bob.heard), ([">422"], []))
        self.assertEqual(bench.responses[-1].headers["Min-SE"], "90")

    def test_expires(self) -> None:
        """13.3.1: an invitation that expires is answered 487, not before its time, also while it is held. row:H8"""
        for description in (None, ANSWER):
            bench = AnswerBench(fields={"Expires": "20"})
            bench.do(lambda b=bench, d=description: b.call.ring(b.now, 183, description=d))
            if description is not None:
                bench.do(lambda b=bench: b.call.accept(b.now))
            self.assertEqual(bench.call.expires, 20)
            self.assertEqual(bench.moment(20.0), [">487", "user:usage ended EARLY", "user:ended 487"])

    def test_for_ever(self) -> None:
        """A call that may ring for ever is refreshed, and never refused."""
        bench = AnswerBench(AnswerOptions(max_ring=float("inf")))
        bench.wait(3600.5)
        self.assertEqual((bench.said(), bench.state), ([">100", *[">183"] * 60], "ringing"))


class HeldTests(SynchronousTestCase):
    """RFC 3262 section 3: no 2xx before the PRACK for a session description."""

    def test_offer_in_a_reliable_response(self) -> None:
        """RFC 3262 section 5: the PRACK brings the answer, and the 2xx follows without a description. row:H9 row:H22"""
        bench = AnswerBench(offer=None)
        bench.do(lambda: bench.call.ring(bench.now, 183, description=OFFER))
        self.assertEqual(bench.do(lambda: bench.call.accept(bench.now)), [])
        bench.prack(body=ANSWER.body)
        self.assertEqual((bench.said(), bench.state), ([">200", "user:answer", ">200"], "accepted"))
        self.assertEqual((bench.responses[-1].headers["CSeq"], bench.responses[-1].body), ("1 INVITE", b""))
        bench.ack()
        self.assertEqual(bench.said(), ["user:established"])

    def test_description_that_waits_for_its_turn(self) -> None:
        """Section 3: an answer that is still in the queue holds the 2xx as well. row:H9"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.ring(bench.now, 180, reliable=True))
        bench.do(lambda: bench.call.ring(bench.now, 183, description=ANSWER))
        self.assertEqual(bench.do(lambda: bench.call.accept(bench.now)), [])
        bench.prack()
        self.assertEqual((bench.said(), bench.state), ([">200", ">183"], "held"))
        bench.prack()
        self.assertEqual((bench.said(), bench.state), ([">200", ">200"], "accepted"))

    def test_without_a_description(self) -> None:
        """Section 3: what describes nothing holds nothing back, and may be acknowledged late. row:H9"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.ring(bench.now, 180, reliable=True))
        self.assertEqual(bench.do(lambda: bench.call.accept(bench.now, ANSWER)), [">200"])
        self.assertNotIn(">180", bench.moment(0.5))
        bench.prack()
        self.assertEqual(bench.said(), [">200"])
        bench.ack()
        self.assertEqual(bench.said(), ["user:established"])

    def test_an_offer_in_an_update(self) -> None:
        """RFC 3311 section 5.2: while an UPDATE waits for our answer the 2xx does too. row:H11"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.ring(bench.now, 183, description=ANSWER))
        bench.prack()
        bench.request("UPDATE", body=OFFER.body)
        bench.said()
        self.assertEqual((bench.do(lambda: bench.call.accept(bench.now)), bench.state), ([], "held"))
        said = bench.do(lambda: bench.bob.usage.answer(ANSWER, bench.now))
        self.assertEqual((said, bench.state), ([">200", ">200"], "accepted"))
        self.assertEqual(
            [response.headers["CSeq"].split()[1] for response in bench.responses[-2:]], ["UPDATE", "INVITE"]
        )

    def test_only_in_its_own_dialog(self) -> None:
        """Section 3: what waits in another early dialog holds nothing back in this one. row:H13"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.ring(bench.now, 183, description=ANSWER))
        second = bench.call.early_dialog()
        said = bench.do(lambda: bench.call.accept(bench.now, ANSWER, usage=second))
        self.assertEqual(said, [">199", "user:usage ended FORKED", ">200"])

    def test_the_timer_starts_with_the_2xx(self) -> None:
        """RFC 4028 section 10: the interval counts from when the 2xx is sent. row:H26"""
        bench = AnswerBench(fields={"Session-Expires": "200;refresher=uas"})
        bench.do(lambda: bench.call.ring(bench.now, 183, description=ANSWER))
        bench.do(lambda: bench.call.accept(bench.now))
        bench.wait(10.0)
        bench.prack()
        timer = bench.bob.usage.session_timer
        assert timer is not None
        self.assertEqual(timer.next_deadline, 110.0)


class FlowTests(SynchronousTestCase):
    """17.2.4: the flow of the INVITE is gone."""

    def test_reason(self) -> None:
        """17.2.4: the application hears that there was no response to be given, and why."""
        bench = AnswerBench()
        bench.bob.lose_flow(ConnectionFailure("the cable"))
        effect = bench.bob.effects[-1]
        assert isinstance(effect, InvitationEnded)
        self.assertIsInstance(effect.reason, ConnectionFailure)
        self.assertIn("the cable", str(effect.reason))
        self.assertEqual((effect.response, effect.request), (None, None))

    def test_before_the_application_was_told(self) -> None:
        """17.2.4: what it decides in that moment comes too late, and raises what it would a moment later."""
        bench = AnswerBench()
        bench.bob.core.flow_failed(bench.bob.flow, ConnectionFailure("gone"), bench.now)
        self.assertRaises(AlreadyResponded, bench.call.accept, bench.now, ANSWER)
        self.assertRaises(AlreadyResponded, bench.call.reject, 486, bench.now)
        bench.bob.work()
        self.assertEqual(bench.said(), ["user:ended ConnectionFailure"])


class PairTests(SynchronousTestCase):
    """Both ends of it, over wires that lose."""

    def test_every_loss(self) -> None:
        """RFC 3262 section 3, 13.3.1.4: an offer in a reliable response, its answer in the PRACK, and the 2xx that has
        waited arrive whichever messages are lost. row:H9 row:H22 row:H34 fault:C6"""
        messages = ("> INVITE", "< 183", "> PRACK", "< 200", "> ACK")
        for count in range(len(messages) + 1):
            for lost in itertools.combinations(messages, count):
                pair = Pair()
                pair.wires.losing(*lost)
                pair.bob.on_invite = lambda call, p=pair: (
                    call.ring(p.now, 183, description=OFFER),
                    call.accept(p.now),
                )
                pair.alice.on_offer = lambda offer, p=pair: offer.owner.answer(ANSWER, p.now)
                pair.alice.call(offer=None)
                pair.wait(15.0)
                self.assertEqual(pair.bob.heard, ["call", "answer", "established"], lost)
                self.assertEqual((pair.alice.heard[0], pair.alice.heard[1]), ("progress 183 new", "offer"), lost)
                self.assertEqual(pair.alice.heard[-1], "established", lost)
                ladder = pair.ladder()
                accepted = [index for index, what in enumerate(ladder) if what == "< 200"]
                self.assertLess(ladder.index("> PRACK"), accepted[0], lost)

    def test_hung_up_while_it_rings(self) -> None:
        """9, 9.2: a caller who gives up, at any moment of a call that is about to be accepted, and both agree. row:H16
        fault:C5"""
        for tenths in range(12):
            for reliable in (False, True):
                pair = Pair(reliable=reliable, wires=Wires(delay=0.1))
                pair.bob.on_invite = lambda call, p=pair: call.ring(p.now)
                call = pair.alice.call()
                pair.wait(tenths / 10 - 0.05 if tenths else 0.0)
                call.cancel(pair.now)
                pair.alice.work()
                pair.wait(0.5 - pair.now if pair.now < 0.5 else 0.0)
                if pair.bob.calls and pair.bob.calls[0].is_open:
                    pair.bob.calls[0].accept(pair.now, ANSWER)
                    pair.bob.work()
                pair.wait(200.0)
                case = (tenths, reliable, pair.ladder())
                self.assertEqual(set(pair.alice.inventory().values()) | set(pair.bob.inventory().values()), {0}, case)


def some_usage(bench: AnswerBench, which: int) -> InviteUsage | None:
    """One of the early dialogs, or None for the first."""
    usages = bench.call.usages
    return usages[which % len(usages)] if usages else None


ANYTHING: dict[str, Callable[[AnswerBench, int], object]] = {
    **{
        name: lambda bench, n, act=act: act(bench)
        for name, act in ACTIONS.items()
        if name not in ("start", "end early")
    },
    "ring described": lambda bench, n: bench.call.ring(bench.now, 183, description=ANSWER, usage=some_usage(bench, n)),
    "ring in some": lambda bench, n: bench.call.ring(bench.now, usage=some_usage(bench, n)),
    "give up some": lambda bench, n: bench.call.usages and bench.call.end_early(bench.call.usages[-1], bench.now),
    "accept some": lambda bench, n: bench.call.accept(bench.now, usage=some_usage(bench, n)),
    "accept described": lambda bench, n: bench.call.accept(bench.now, ANSWER, usage=some_usage(bench, n)),
    "PRACK described": lambda bench, n: bench.prack(body=OFFER.body),
    "old PRACK": lambda bench, n: bench.prack(1 + n),
    "UPDATE described": lambda bench, n: bench.request("UPDATE", body=OFFER.body),
    "answer": lambda bench, n: [dialog.user.answer(ANSWER, bench.now) for dialog in bench.bob.dialogs if dialog.user],
    "decline": lambda bench, n: [dialog.user.decline(488, bench.now) for dialog in bench.bob.dialogs if dialog.user],
    "ACK described": lambda bench, n: bench.ack(body=ANSWER.body),
    "wait": lambda bench, n: bench.wait((0.1, 0.5, 1.0, 20.0, 31.0, 61.0)[n % 6]),
}


class RandomTests(SynchronousTestCase):
    """Whatever happens, in whatever order."""

    @settings(max_examples=400, deadline=None)
    @given(
        st.lists(st.tuples(st.sampled_from(sorted(ANYTHING)), st.integers(0, 5)), max_size=25),
        st.booleans(),
        st.sampled_from((OFFER, None)),
        st.sampled_from(({}, {"Require": "100rel"}, {"Supported": ""}, {"Expires": "25"})),
    )
    def test_one_end(
        self, steps: list[tuple[str, int]], reliable: bool, offer: ContentDescription | None, fields: dict[str, str]
    ) -> None:
        """13.3, 9.2: whatever cannot be done is an InvalidOperation; the INVITE has at most one final response, the
        application hears of one end, and nothing stays. fault:C5 fault:C6 row:H34"""
        bench = AnswerBench(AnswerOptions(refresh=20.0, max_ring=90.0), offer, reliable=reliable, fields=fields)
        for name, which in steps:
            try:
                bench.do(lambda what=name, n=which: ANYTHING[what](bench, n))
            except InvalidOperation:
                continue
        bench.wait(200.0)
        for dialog in bench.bob.dialogs:
            bench.request("BYE", dialog.local_tag)
        bench.wait(200.0)
        for number, call in enumerate(bench.bob.calls):
            self.assertFalse(call.is_open, number)
        self.assertEqual(set(bench.bob.inventory().values()), {0}, bench.bob.inventory())
        finals = [r.status for r in bench.responses if r.headers["CSeq"] == "1 INVITE" and r.status >= 200]
        self.assertLessEqual(len(set(finals)), len(bench.bob.calls))
        ends = [word for word in bench.bob.heard if word.startswith("ended ") or word == "established"]
        self.assertLessEqual(len(ends), len(bench.bob.calls))


class MemoryTests(SynchronousTestCase):
    """What ended is let go."""

    def test_no_cycles(self) -> None:
        """However it ends, nothing of the core's leads to an INVITE any more, so that none waits for a collector.
        row:H34"""
        for state, what in (
            ("waiting", "CANCEL"),
            ("ringing", "CANCEL"),
            ("held", "flow lost"),
            ("reliable", "reject"),
            ("ringing", "BYE"),
            ("reliable", "64*T1"),
            ("accepted", "ACK"),
        ):
            bench = bring(state, what, reliable=True)
            invitation = bench.call
            outcome(bench, what)
            if bench.bob.dialogs:
                bench.request("BYE")
            bench.wait(100.0)
            self.assertIsNone(invitation.transaction.user)
            self.assertEqual((invitation.usages, len(bench.bob.core.appointments)), ((), 0), (state, what))
            bench.bob.effects.clear()
            referrers = [type(referrer) for referrer in gc.get_referrers(invitation)]
            self.assertEqual([kind for kind in referrers if kind.__module__.startswith("sip_p2p.")], [], (state, what))
