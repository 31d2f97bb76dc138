"""What the branches of a call say: forks, reliable responses, offers and answers in every place, and the ACK."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.description import SDP, ContentDescription
from sip_p2p.sip.dialog.effects import UsageEnded
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.sip.dialog.usage import UsageState
from sip_p2p.sip.flow import Flow
from tests.sip.dialog.calling import ANSWER, OFFER, CallBench

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.sip.dialog.usage import InviteUsage


def acks_of(bench: CallBench, tag: str) -> int:
    """How many ACKs the branch with *tag* was sent."""
    return sum(request.to.tag == tag for request in bench.requests("ACK"))


def byes_of(bench: CallBench, tag: str) -> int:
    """How many BYEs the branch with *tag* was sent."""
    return sum(request.to.tag == tag for request in bench.requests("BYE"))


class ForkTests(SynchronousTestCase):
    """Many places where it rings, and more than one that accepts."""

    def test_early_dialogs(self) -> None:
        """12.1: each branch that rings has an early dialog of its own, with its own Contact and route. row:H12"""
        bench = CallBench()
        for number in range(1, 4):
            route = [("Record-Route", f"<sip:p{number}.example;lr>")]
            said = bench.answer(bench.response(180, f"b{number}", fields=route, contact=f"<sip:b{number}@x.example>"))
            self.assertEqual(said, ["user:progress 180 new"])
        self.assertEqual(len(bench.alice.dialogs), 3)
        for number in range(1, 4):
            dialog = bench.call.usages[f"b{number}"].dialog
            self.assertEqual(str(dialog.remote_target), f"sip:b{number}@x.example")
            self.assertEqual(dialog.route_set, (f"<sip:p{number}.example;lr>",))
            self.assertTrue(dialog.is_early)

    def test_told_before_what_follows(self) -> None:
        """13.2.2: the core says when a response has to be told before the next message is looked at: a request in the
        dialog that it makes would find none. row:H12"""
        for status, is_due in ((100, False), (180, True), (199, True), (200, True), (302, False), (486, False)):
            bench = CallBench()
            core = bench.alice.core
            self.assertFalse(core.has_dialog_to_tell)
            bench.answer_together(
                bench.response(status), then=lambda c=core, d=is_due: self.assertIs(c.has_dialog_to_tell, d)
            )
            self.assertFalse(core.has_dialog_to_tell)

    def test_first_wins(self) -> None:
        """13.2.2.4: the first 2xx is the session; the early dialogs of the others end with it. row:H12 row:H3"""
        bench = CallBench()
        for tag in ("b1", "b2", "b3"):
            bench.answer(bench.response(180, tag))
        self.assertEqual(
            bench.answer(bench.response(200, "b2", ANSWER)),
            [
                *("user:Accepted", "user:answer", "user:established"),
                *("user:usage ended FORKED", "user:usage ended FORKED", ">ACK"),
            ],
        )
        (dialog,) = bench.alice.dialogs
        self.assertEqual((dialog.remote_tag, dialog.is_early), ("b2", False))
        self.assertIs(bench.call.usage, dialog.user)

    def test_2_to_50_forks(self) -> None:
        """13.2.2.4: of 2 to 50 that accept one is the session, each other gets its ACK and its BYE. row:H12 fault:D7"""
        for count in (*range(2, 12), 50):
            bench = CallBench()
            tags = [f"b{number}" for number in range(count)]
            for tag in tags:
                bench.answer(bench.response(180, tag))
            for tag in tags:
                bench.answer(bench.response(200, tag, ANSWER))
            self.assertEqual([acks_of(bench, tag) for tag in tags], [1] * count)
            self.assertEqual([byes_of(bench, tag) for tag in tags], [0] + [1] * (count - 1))
            self.assertEqual(bench.alice.heard.count("established"), 1)
            for bye in bench.requests("BYE"):
                bench.answer(bench.response(200, to=bye))
            self.assertEqual([dialog.remote_tag for dialog in bench.alice.dialogs], ["b0"])
            bench.pass_by(40.0)
            self.assertEqual(bench.state(), "ended")
            self.assertEqual(bench.alice.inventory()["clients"], 0)

    def test_each_2xx_again(self) -> None:
        """13.2.2.4: a 2xx that comes again is acknowledged again, octet by octet, whoever won. row:H12 fault:D7"""
        bench = CallBench()
        tags = ("b1", "b2", "b3")
        for tag in tags:
            bench.answer(bench.response(200, tag, ANSWER))
        for bye in bench.requests("BYE"):
            bench.answer(bench.response(481, to=bye))
        bench.hang_up()
        bench.answer(bench.response(200, to=bench.requests("BYE")[-1]))
        self.assertEqual(bench.alice.dialogs, [])
        for tag in tags:
            first = next(request for request in bench.requests("ACK") if request.to.tag == tag)
            for _ in range(3):
                self.assertEqual(bench.answer(bench.response(200, tag, ANSWER)), [">ACK"])
                self.assertEqual(bench.requests("ACK")[-1], first)
            self.assertEqual((acks_of(bench, tag), byes_of(bench, tag)), (4, 1))

    def test_late(self) -> None:
        """13.2.2.4: a branch that accepts 31 s after the first is acknowledged and ended; after 64*T1 nobody is heard.
        fault:D7"""
        bench = CallBench()
        bench.answer(bench.response(200, "b1", ANSWER))
        bench.pass_by(31.0)
        self.assertEqual(bench.answer(bench.response(200, "b2", ANSWER)), [">ACK", ">BYE"])
        bench.answer(bench.response(200, to=bench.requests("BYE")[-1]))
        bench.pass_by(1.1)
        self.assertEqual(bench.answer(bench.response(200, "b3", ANSWER)), [])
        self.assertEqual(len(bench.alice.dialogs), 1)

    def test_late_183(self) -> None:
        """RFC 6026 section 7.2: a provisional response after the 2xx makes no dialog. fault:D7"""
        bench = CallBench()
        bench.answer(bench.response(200, "b1", ANSWER))
        self.assertEqual(bench.answer(bench.response(183, "b2")), [])
        self.assertEqual(bench.answer(bench.reliable(1, 183, "b3")), [])
        self.assertEqual(len(bench.alice.dialogs), 1)

    def test_failure_after_success(self) -> None:
        """RFC 6026 section 7.2: two final responses, a 2xx first: the other one changes nothing. fault:D7"""
        bench = CallBench()
        bench.answer(bench.response(200, "b1", ANSWER))
        for status in (302, 486, 500, 603):
            self.assertEqual(bench.answer(bench.response(status, "b2")), [])
        self.assertEqual(bench.state(), "accepted")

    def test_success_after_failure(self) -> None:
        """17.1.1.2: two final responses, a failure first: the 2xx finds nobody, and makes no dialog. fault:D7"""
        for reliable in (False, True):
            bench = CallBench(reliable=reliable)
            bench.answer(bench.response(486, "b1"))
            self.assertEqual([said for said in bench.answer(bench.response(200, "b2")) if said != ">ACK"], [])
            self.assertEqual(bench.alice.dialogs, [])

    def test_too_many(self) -> None:
        """A flood of branches has as many early dialogs as is allowed, and any other may accept. fault:D7"""
        bench = CallBench(CallOptions(max_forks=3))
        for number in range(1000):
            bench.answer(bench.response(180, f"b{number}"))
        self.assertEqual(len(bench.alice.dialogs), 3)
        self.assertEqual(bench.alice.heard.count("progress 180 new"), 3)
        self.assertEqual(bench.alice.core.counters.refused_forks, 997)
        self.assertIn("user:established", bench.answer(bench.response(200, "b999", ANSWER)))
        self.assertEqual(len(bench.alice.dialogs), 1)

    def test_too_many_accept(self) -> None:
        """A flood of 2xx with made-up tags is answered for as many branches as a call may have. fault:D7"""
        bench = CallBench(CallOptions(max_forks=3))
        for number in range(1000):
            bench.answer(bench.response(200, f"b{number}", ANSWER))
        self.assertEqual((len(bench.requests("ACK")), len(bench.requests("BYE"))), (3, 2))
        self.assertEqual(len(bench.alice.dialogs), 3)

    def test_another_server(self) -> None:
        """RFC 3263 section 4.3: when another server gets the INVITE, what the first one began is over. row:H12"""
        bench = CallBench()
        bench.answer(bench.response(180, "b1"))
        errand = bench.call.errand
        assert errand is not None
        bench.do(lambda: bench.alice.send_errand(errand))
        self.assertEqual(bench.answer(bench.response(180, "c1")), ["user:usage ended EARLY", "user:progress 180 new"])
        self.assertEqual([dialog.remote_tag for dialog in bench.alice.dialogs], ["c1"])
        self.assertIn("user:established", bench.answer(bench.response(200, "c1", ANSWER)))

    def test_stranger(self) -> None:
        """A 2xx by the flow of another party is nobody's, whatever it knows. fault:D7"""
        bench = CallBench()
        stranger = Flow("TLS", True, "alice.example:5061", "198.51.100.7", 5061, "eve.example")
        bench.alice.flow, flow = stranger, bench.alice.flow
        self.assertEqual(bench.answer(bench.response(200, "evil", ANSWER)), [])
        bench.alice.flow = flow
        self.assertEqual(bench.state(), "calling")

    def test_without_a_tag(self) -> None:
        """12.1.2: a peer of RFC 2543 accepts without a tag, and there is a session all the same. row:H3"""
        bench = CallBench()
        self.assertEqual(bench.answer(bench.response(180, "")), ["user:progress 180"])
        self.assertIn("user:established", bench.answer(bench.response(200, "", ANSWER)))

    def test_without_a_contact(self) -> None:
        """13.2.2.4: a 2xx that names no Contact, or none that can be read, is acknowledged all the same. fault:D7"""
        for contact in (None, "<sip:@>", "*"):
            bench = CallBench()
            self.assertIn(">ACK", bench.answer(bench.response(200, "b1", ANSWER, contact=contact)))
            self.assertEqual(bench.requests("ACK")[0].uri_text, "sip:bob@b.example")

    def test_unreadable(self) -> None:
        """12.1: a response whose To cannot be read makes no dialog; if it is the 2xx, the call has failed. fault:D7"""
        bench = CallBench()
        response = bench.response(180)
        response.headers["To"] = "<sip:bob@b.example>;tag=b1;tag=b2"
        bench.answer(response)
        self.assertEqual(bench.alice.dialogs, [])
        response = bench.response(200)
        response.headers["To"] = "<sip:bob@b.example>;tag=b1;tag=b2"
        bench.answer(response)
        self.assertEqual((bench.alice.heard[-1], bench.state()), ("ended MalformedMessage", "ended"))

    def test_numbers_go_on(self) -> None:
        """12.2.1.1: a branch that lost, or said 199, and accepts all the same gets a BYE with a number that no request
        of ours has had in its early dialog. row:H12 fault:D7"""
        for status in (200, 199):
            bench = CallBench()
            bench.answer(bench.reliable(1, 183, "b1", ANSWER))
            self.assertEqual([str(prack.cseq) for prack in bench.requests("PRACK")], ["2 PRACK"])
            bench.answer(bench.response(200, to=bench.requests("PRACK")[0]))
            bench.answer(bench.response(status, "b2" if status == 200 else "b1", ANSWER if status == 200 else None))
            bench.answer(bench.response(200, "b1"))
            bench.hang_up()
            numbers = {bye.to.tag: bye.cseq.number for bye in bench.requests("BYE")}
            self.assertEqual(numbers["b1"], 3)

    def test_gone_after_an_agreement(self) -> None:
        """Where an early dialog went silent in which something had been agreed, its branch is acknowledged and ended if
        it accepts: the 2xx does not say again what was agreed. One without may win. row:H12 fault:D7"""
        for has_agreed in (True, False):
            bench = CallBench(offer=None)
            bench.answer(bench.reliable(1, 183, "b1", OFFER) if has_agreed else bench.response(180, "b1"))
            usage = bench.call.usages["b1"]
            if has_agreed:
                bench.do(lambda u=usage, now=bench.now: u.answer(ANSWER, now))
                bench.answer(bench.response(200, to=bench.requests("PRACK")[0]))
            bench.do(lambda u=usage, now=bench.now: u.request("MESSAGE", now))
            bench.answer(bench.response(481, to=bench.requests("MESSAGE")[0]))
            self.assertEqual(bench.alice.heard[-1], "usage ended DIALOG_GONE")
            bench.answer(bench.response(200, "b1", None if has_agreed else OFFER))
            self.assertEqual(bool(bench.requests("BYE")), has_agreed)
            self.assertEqual("Accepted" in bench.alice.heard, not has_agreed)

    def test_hung_up_early(self) -> None:
        """15: a branch whose early dialog the caller ended is acknowledged and ended if it accepts. row:H12 fault:D7"""
        for is_answered in (False, True):
            bench = CallBench()
            bench.answer(bench.response(180, "b1"))
            usage = bench.call.usages["b1"]
            self.assertEqual(bench.do(lambda u=usage, now=bench.now: u.bye(now)), [">BYE"])
            if is_answered:
                bench.answer(bench.response(200, to=bench.requests("BYE")[0]))
            said = bench.answer(bench.response(200, "b1", ANSWER))
            self.assertEqual([entry for entry in said if entry.startswith(">")], [">ACK", ">BYE"])
            self.assertEqual([bye.cseq.number for bye in bench.requests("BYE")], [2, 3])
            self.assertNotIn("established", bench.alice.heard)
            self.assertEqual(bench.state(), "late")
            for bye in bench.requests("BYE"):
                bench.answer(bench.response(200, to=bye))
            bench.pass_by(40.0)
            self.assertEqual(set(bench.alice.inventory().values()), {0})

    @settings(deadline=None, max_examples=60)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from((100, 180, 183, 199, 200, 200, 302, 486, 603)),
                st.sampled_from(("b1", "b2", "b3", "")),
                st.booleans(),
            ),
            max_size=12,
        ),
        st.integers(0, 12),
    )
    def test_any_responses(self, responses: list[tuple[int, str, bool]], wish: int) -> None:
        """Whatever branches say, and whenever the caller gives up, there is one outcome and nothing left. fault:D7"""
        bench = CallBench()
        for number, (status, tag, has_description) in enumerate(responses):
            if number == wish:
                bench.cancel()
            bench.answer(bench.response(status, tag, ANSWER if has_description else None))
        outcomes = [said for said in bench.alice.heard if said.startswith("ended") or said == "established"]
        self.assertLessEqual(len(outcomes), 1)
        bench.hang_up()
        bench.cancel()
        bench.pass_by(700.0)
        self.assertEqual(set(bench.alice.inventory().values()), {0})


class EarlyDialogTerminatedTests(SynchronousTestCase):
    """199 (RFC 6228)."""

    def test_one_branch(self) -> None:
        """RFC 6228 section 4: a 199 ends the early dialog of its branch, and no other. row:H35"""
        bench = CallBench()
        bench.answer(bench.response(180, "b1"))
        bench.answer(bench.response(180, "b2"))
        self.assertEqual(bench.answer(bench.response(199, "b1")), ["user:progress 199", "user:usage ended EARLY"])
        self.assertEqual([dialog.remote_tag for dialog in bench.alice.dialogs], ["b2"])

    def test_without_end(self) -> None:
        """Branches that end make room for others, but not for ever: those after them ring without a dialog, and can
        accept. row:H35 fault:D9"""
        bench = CallBench(CallOptions(max_forks=3))
        for number in range(100):
            bench.answer(bench.reliable(1, 183, f"b{number}"))
            bench.answer(bench.response(199, f"b{number}"))
        self.assertEqual(len(bench.requests("PRACK")), 12)
        self.assertIn("user:established", bench.answer(bench.response(200, "b99", ANSWER)))

    def test_unknown_branch(self) -> None:
        """RFC 6228 section 4: a 199 makes no dialog. row:H35"""
        bench = CallBench()
        self.assertEqual(bench.answer(bench.response(199, "b1")), ["user:progress 199"])
        self.assertEqual(bench.alice.dialogs, [])

    def test_reliable(self) -> None:
        """RFC 6228 section 4: one that is sent reliably is acknowledged by PRACK. row:H35"""
        bench = CallBench()
        bench.answer(bench.reliable(7, 180))
        said = bench.answer(bench.reliable(8, 199))
        self.assertEqual(said, ["user:progress 199", "user:usage ended EARLY", ">PRACK"])

    def test_reliable_of_unknown_branch(self) -> None:
        """RFC 6228 section 4: also where it is the first that is heard of its branch; nothing is left of it. row:H35"""
        bench = CallBench()
        said = bench.answer(bench.reliable(8, 199, "b2"))
        self.assertEqual(said, ["user:progress 199 new", "user:usage ended EARLY", ">PRACK"])
        self.assertEqual(bench.alice.dialogs, [])

    def test_accepted_all_the_same(self) -> None:
        """A branch that accepts after its 199 counts: there was only a mistake. row:H35"""
        bench = CallBench()
        bench.answer(bench.response(180, "b1"))
        bench.answer(bench.response(199, "b1"))
        self.assertIn("user:established", bench.answer(bench.response(200, "b1", ANSWER)))

    def test_offered(self) -> None:
        """RFC 6228 section 4: an INVITE says that 199 is understood. row:H35"""
        bench = CallBench()
        self.assertIn("199", bench.requests("INVITE")[0].headers["Supported"])


class ReliableTests(SynchronousTestCase):
    """Reliable provisional responses (RFC 3262 section 4)."""

    def test_prack(self) -> None:
        """RFC 3262 section 4: a reliable response is acknowledged in its early dialog, and names itself. row:H10"""
        bench = CallBench()
        self.assertEqual(bench.answer(bench.reliable(17, 183)), ["user:progress 183 new", ">PRACK"])
        (prack,) = bench.requests("PRACK")
        self.assertEqual(prack.headers["RAck"], "17 1 INVITE")
        self.assertEqual((prack.to.tag, str(prack.cseq)), ("b1", "2 PRACK"))
        self.assertEqual(prack.uri_text, "sip:bob@b.example:5061;transport=tls")

    def test_order(self) -> None:
        """RFC 3262 section 4: one that came before, or too early, is not looked at and not acknowledged. row:H10"""
        bench = CallBench()
        for rseq, expected in (
            (10, ["user:progress 183 new", ">PRACK"]),
            (10, []),
            (12, []),
            (11, ["user:progress 183", ">PRACK"]),
            (10, []),
            (12, ["user:progress 183", ">PRACK"]),
        ):
            self.assertEqual(bench.answer(bench.reliable(rseq)), expected, rseq)
        self.assertEqual([str(prack.cseq) for prack in bench.requests("PRACK")], ["2 PRACK", "3 PRACK", "4 PRACK"])

    def test_without_end(self) -> None:
        """Of a branch that answers no PRACK only so many responses are acknowledged at a time; those after them are
        when they come again. fault:D9"""
        bench = CallBench()
        for rseq in range(1, 1001):
            bench.answer(bench.reliable(rseq))
        pracks = bench.requests("PRACK")
        self.assertEqual([prack.headers["RAck"] for prack in pracks], [f"{rseq} 1 INVITE" for rseq in range(1, 17)])
        bench.answer(bench.response(200, to=pracks[0]))
        self.assertEqual(bench.answer(bench.reliable(17)), ["user:progress 183", ">PRACK"])
        self.assertEqual(bench.answer(bench.reliable(18)), [])

    def test_each_branch(self) -> None:
        """RFC 3262 section 4: the order of reliable responses is that of each early dialog. row:H10 row:H12"""
        bench = CallBench()
        for tag, rseq in (("b1", 10), ("b2", 500), ("b1", 11), ("b2", 501)):
            self.assertIn(">PRACK", bench.answer(bench.reliable(rseq, 183, tag)))

    def test_target(self) -> None:
        """RFC 6141 sections 4.7 and 4.9: a reliable response says where the callee is now, one that may be lost does
        not. row:H10"""
        bench = CallBench()
        bench.answer(bench.response(180, contact="<sip:one@b.example:5061;transport=tls>"))
        bench.answer(bench.response(183, contact="<sip:two@b.example:5061;transport=tls>"))
        (usage,) = bench.call.usages.values()
        self.assertEqual(str(usage.dialog.remote_target), "sip:one@b.example:5061;transport=tls")
        response = bench.reliable(1)
        response.headers["Contact"] = "<sip:three@b.example:5061;transport=tls>"
        bench.answer(response)
        self.assertEqual(bench.requests("PRACK")[0].uri_text, "sip:three@b.example:5061;transport=tls")
        # One that came before is not looked at.
        response.headers["Contact"] = "<sip:four@b.example:5061;transport=tls>"
        bench.answer(response)
        self.assertEqual(str(usage.dialog.remote_target), "sip:three@b.example:5061;transport=tls")

    def test_policies(self) -> None:
        """RFC 3262 section 4: the INVITE says whether reliable responses are known, or needed. row:H10"""
        for policy, supported, required in (
            ("off", "199", None),
            ("supported", "100rel, 199", None),
            ("required", "100rel, 199", "100rel"),
        ):
            invite = CallBench(CallOptions(reliable=policy)).requests("INVITE")[0]
            self.assertEqual((invite.headers["Supported"], invite.headers.get("Require")), (supported, required))

    def test_prack_refused(self) -> None:
        """RFC 3262 section 3: what becomes of a PRACK says nothing of the call. row:H10"""
        for status in (200, 481, 500):
            bench = CallBench()
            bench.answer(bench.reliable(1))
            bench.answer(bench.response(status, to=bench.requests("PRACK")[0]))
            self.assertIn("user:established", bench.answer(bench.response(200, "b1", ANSWER)))

    def test_prack_to_a_caller(self) -> None:
        """RFC 3262 section 3: a PRACK that acknowledges nothing is answered 481. row:H10"""
        bench = CallBench()
        bench.answer(bench.response(180))
        self.assertEqual(bench.ask("PRACK", fields=[("RAck", "1 1 INVITE")]), [">481"])
        self.assertEqual(bench.state(), "ringing")


class DescriptionTests(SynchronousTestCase):
    """Offers and answers, wherever they may stand (RFC 3261 13.2.1, RFC 3262 section 5, RFC 6337)."""

    def test_answer_in_any_provisional_response(self) -> None:
        """13.2.1: a description in a provisional response is an answer, in 180 as well as in 183, sent reliably or not.
        row:H10 limit:L14"""
        for status in (180, 181, 182, 183, 189):
            bench = CallBench()
            said = bench.answer(bench.response(status, "b1", ANSWER))
            self.assertEqual(said, [f"user:progress {status} new", "user:preview"])
            self.assertIn("user:answer", bench.answer(bench.response(200, "b1", ANSWER)))
            bench = CallBench()
            said = bench.answer(bench.reliable(1, status, "b1", ANSWER))
            self.assertEqual(said, [f"user:progress {status} new", "user:answer", ">PRACK"])
            said = bench.answer(bench.response(200, "b1"))
            self.assertEqual(said, ["user:Accepted", "user:established", ">ACK"])

    def test_180_after_183(self) -> None:
        """13.2.1: only the first description of a branch counts, the others repeat it. row:H10 limit:L14"""
        bench = CallBench()
        bench.answer(bench.response(183, "b1", ANSWER))
        self.assertEqual(bench.answer(bench.response(180, "b1", ANSWER)), ["user:progress 180"])

    def test_answer_only_in_the_provisional_response(self) -> None:
        """RFC 6337 section 3.1.1: a callee that should have said it again in its 2xx, and has not, is understood.
        limit:L14"""
        bench = CallBench()
        bench.answer(bench.response(180, "b1", ANSWER))
        self.assertEqual(bench.answer(bench.response(200, "b1")), ["user:Accepted", "user:established", ">ACK"])

    def test_each_branch_answers(self) -> None:
        """RFC 3261 13.2.1: each branch answers the one offer in its own dialog. row:H10 row:H12"""
        bench = CallBench()
        for tag in ("b1", "b2"):
            self.assertIn("user:answer", bench.answer(bench.reliable(1, 183, tag, ANSWER)))

    def test_no_answer(self) -> None:
        """13.2.2.4: who accepts an offer without an answer is acknowledged, and the session ends. row:H3"""
        bench = CallBench()
        said = bench.answer(bench.response(200, "b1"))
        self.assertEqual(said, ["user:Accepted", "user:usage ending NO_AGREEMENT", ">ACK", ">BYE"])
        bench.answer(bench.response(200, to=bench.requests("BYE")[0]))
        self.assertEqual(bench.alice.heard[-1], "usage ended NO_AGREEMENT")

    def test_short_session(self) -> None:
        """RFC 6026 section 7.2: a session that is over within 64*T1 is let go, and its 2xx is acknowledged. row:H18"""
        bench = CallBench()
        bench.answer(bench.response(200, "b1", ANSWER))
        bench.hang_up()
        bench.answer(bench.response(200, to=bench.requests("BYE")[-1]))
        self.assertEqual((bench.call.usages, bench.call.usage), ({}, None))
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), [">ACK"])
        self.assertEqual(bench.requests("ACK")[-1], bench.requests("ACK")[0])
        self.assertEqual(bench.answer(bench.response(200, "b2", ANSWER)), [">ACK", ">BYE"])

    def test_late_offer(self) -> None:
        """13.2.2.4: an INVITE without an offer gets one in the 2xx, and the ACK answers it, also when it is long in
        coming. row:H22"""
        bench = CallBench(offer=None)
        self.assertEqual(bench.requests("INVITE")[0].body, b"")
        self.assertEqual(bench.answer(bench.response(200, "b1", OFFER)), ["user:Accepted", "user:offer"])
        self.assertEqual(bench.answer(bench.response(200, "b1", OFFER)), [])
        bench.pass_by(5.0)
        usage = bench.call.usage
        self.assertEqual(
            bench.do(lambda: usage.answer(ANSWER, bench.now, [("X-A", "1")])), ["user:established", ">ACK"]
        )
        (ack,) = bench.requests("ACK")
        self.assertEqual(
            (ack.body, ack.headers["Content-Type"], ack.headers["X-A"]), (ANSWER.body, "application/sdp", "1")
        )
        self.assertEqual(bench.answer(bench.response(200, "b1", OFFER)), [">ACK"])
        self.assertEqual(bench.requests("ACK")[-1], ack)

    def test_late_offer_declined(self) -> None:
        """13.2.2.4: an offer in a 2xx that cannot be accepted is acknowledged with an answer that takes nothing of it,
        and the session ends; so is that of a branch that nobody wants. row:H22"""
        offer = ContentDescription("v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\ns=-\r\nt=7 9\r\nm=audio 4000/2 RTP/AVP 0 8\r\n")
        answer = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=7 9\r\nm=audio 0 RTP/AVP 0\r\n"
        bench = CallBench(offer=None)
        bench.answer(bench.response(200, "b1", offer))
        usage = bench.call.usage
        said = bench.do(lambda: usage.decline(488, bench.now))
        self.assertEqual(said, ["user:usage ending NO_AGREEMENT", ">ACK", ">BYE"])
        self.assertEqual(bench.answer(bench.response(200, "b2", offer)), [">ACK", ">BYE"])
        self.assertEqual(
            [(ack.headers["Content-Type"], ack.body) for ack in bench.requests("ACK")], [(SDP, answer)] * 2
        )
        # Of another kind nobody here could say what would be an answer.
        self.assertEqual(
            bench.answer(bench.response(200, "b3", ContentDescription("x", "text/plain"))), [">ACK", ">BYE"]
        )
        self.assertEqual(bench.requests("ACK")[-1].body, b"")

    def test_no_offer_at_all(self) -> None:
        """13.2.1: a callee that owes an offer and makes none leaves nothing to agree on. row:H22"""
        bench = CallBench(offer=None)
        bench.answer(bench.response(200, "b1"))
        self.assertEqual(acks_of(bench, "b1"), 1)

    def test_offer_in_a_reliable_response(self) -> None:
        """RFC 3262 section 5: an offer in a reliable response is answered in its PRACK, which waits for that. row:H10
        row:H22"""
        bench = CallBench(offer=None)
        self.assertEqual(bench.answer(bench.reliable(4, 183, "b1", OFFER)), ["user:progress 183 new", "user:offer"])
        self.assertEqual(bench.answer(bench.reliable(4, 183, "b1", OFFER)), [])
        usage = bench.call.usages["b1"]
        self.assertEqual(bench.do(lambda: usage.answer(ANSWER, bench.now)), [">PRACK"])
        (prack,) = bench.requests("PRACK")
        self.assertEqual((prack.body, prack.headers["RAck"]), (ANSWER.body, "4 1 INVITE"))
        self.assertRaises(InvalidOperation, usage.answer, ANSWER, bench.now)
        bench.answer(bench.response(200, to=prack))
        self.assertEqual(bench.answer(bench.response(200, "b1")), ["user:Accepted", "user:established", ">ACK"])

    def test_offer_of_each_branch(self) -> None:
        """RFC 3262 section 5: each branch may make an offer of its own, and gets its own answer. row:H10 row:H12"""
        bench = CallBench(offer=None)
        for tag, rseq in (("b1", 4), ("b2", 9)):
            bench.answer(bench.reliable(rseq, 183, tag, OFFER))
        for tag, rack in (("b2", "9 1 INVITE"), ("b1", "4 1 INVITE")):
            usage = bench.call.usages[tag]
            bench.do(lambda u=usage, now=bench.now: u.answer(ANSWER, now))
            self.assertEqual(bench.requests("PRACK")[-1].headers["RAck"], rack)

    def test_offer_of_a_branch_declined(self) -> None:
        """RFC 6337 sections 2.3 and 5.2.4: an offer in a response cannot be refused, so its PRACK takes no stream of
        it, and its early dialog is ended. row:H10"""
        bench = CallBench(offer=None)
        offer = ContentDescription("v=0\r\no=b 1 1 IN IP4 192.0.2.2\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\n")
        bench.answer(bench.reliable(4, 183, "b1", offer))
        usage = bench.call.usages["b1"]
        said = bench.do(lambda: usage.decline(488, bench.now, [("Warning", '399 here "no video"'), ("X-Note", "1")]))
        self.assertEqual(said, ["user:usage ending NO_AGREEMENT", ">PRACK", ">BYE"])
        (prack,) = bench.requests("PRACK")
        self.assertEqual((prack.headers["RAck"], prack.body.splitlines()[-1]), ("4 1 INVITE", b"m=audio 0 RTP/AVP 0"))
        # RFC 3326 section 3.2: a request says why in Reason; Warning is for responses.
        (bye,) = bench.requests("BYE")
        self.assertEqual((bye.headers["Reason"], bye.headers["X-Note"]), ("SIP;cause=488", "1"))
        self.assertNotIn("Warning", bye.headers)
        self.assertRaises(InvalidOperation, bench.call.branches.decline_offer, usage, 488, (), bench.now)
        self.assertEqual(bench.answer(bench.response(200, to=prack)), [])
        self.assertEqual(bench.answer(bench.response(487)), [">ACK", "user:ended 487"])
        # Of another kind nobody here could say what would be an answer.
        bench = CallBench(offer=None)
        bench.answer(bench.reliable(4, 183, "b1", ContentDescription("x", "text/plain")))
        said = bench.do(lambda: bench.call.usages["b1"].decline(488, bench.now))
        self.assertEqual(said, ["user:usage ending NO_AGREEMENT", ">BYE"])

    def test_offer_in_an_unreliable_response(self) -> None:
        """13.2.1: an offer has to arrive; one that may be lost is none. row:H22"""
        bench = CallBench(offer=None)
        self.assertEqual(bench.answer(bench.response(183, "b1", OFFER)), ["user:progress 183 new"])
        self.assertIn("user:offer", bench.answer(bench.response(200, "b1", OFFER)))

    def test_other_bodies(self) -> None:
        """RFC 5621: a body that is for something else, or that cannot be understood, is no answer."""
        for fields in ([("Content-Disposition", "render")], [("Content-Disposition", ";")]):
            bench = CallBench()
            said = bench.answer(bench.response(180, "b1", ANSWER, fields))
            self.assertEqual(said, ["user:progress 180 new"])
        bench = CallBench()
        response = bench.response(183, "b1", ANSWER)
        response.headers["Content-Type"] = "nothing"
        self.assertEqual(bench.answer(response), ["user:progress 183 new"])


class AckTests(SynchronousTestCase):
    """The ACK of the 2xx, by itself or when the application says so."""

    def test_at_once(self) -> None:
        """13.2.2.4: a 2xx is acknowledged with the number of its INVITE, by another branch, where its Contact says.
        row:H3 row:H15"""
        bench = CallBench()
        bench.answer(bench.reliable(1, 183))
        route = [("Record-Route", "<sip:p1.example;lr>"), ("Record-Route", "<sip:p2.example;lr>")]
        bench.answer(bench.response(200, "b1", ANSWER, route, contact="<sip:b@x.example>"))
        (ack,) = bench.requests("ACK")
        self.assertEqual((ack.uri_text, str(ack.cseq)), ("sip:b@x.example", "1 ACK"))
        self.assertEqual(ack.headers.get_all("Route"), ["<sip:p2.example;lr>", "<sip:p1.example;lr>"])
        self.assertNotEqual(ack.via.branch, bench.requests("INVITE")[0].via.branch)
        self.assertEqual(ack.body, b"")

    def test_delayed(self) -> None:
        """13.2.2.4: an application that wants to says when, and with which fields; no ACK goes before. row:H15"""
        bench = CallBench(CallOptions(automatic_ack=False))
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), ["user:Accepted", "user:answer"])
        usage = bench.call.usage
        self.assertIs(usage.state, UsageState.ACCEPTED)
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), [])
        bench.pass_by(3.0)
        self.assertEqual(
            bench.do(lambda: usage.acknowledge(None, [("X-A", "1")], bench.now)), ["user:established", ">ACK"]
        )
        self.assertEqual(bench.requests("ACK")[0].headers["X-A"], "1")
        self.assertIs(usage.state, UsageState.CONFIRMED)
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), [">ACK"])
        self.assertRaises(InvalidOperation, usage.acknowledge, None, (), bench.now)

    def test_never(self) -> None:
        """13.3.1.4: an ACK, or an answer, that the application has not given within 64*T1 ends the session. row:H15
        row:H22"""
        for options, offer, description in ((CallOptions(automatic_ack=False), OFFER, ANSWER), (None, None, OFFER)):
            bench = CallBench(options, offer)
            bench.answer(bench.response(200, "b1", description))
            self.assertEqual(bench.pass_by(31.9), [])
            self.assertEqual(bench.pass_by(0.2), ["user:usage ending NO_AGREEMENT", ">ACK", ">BYE"])
            bench.answer(bench.response(200, to=bench.requests("BYE")[0]))
            self.assertEqual(bench.alice.heard[-1], "usage ended NO_AGREEMENT")
            bench.pass_by(40.0)
            self.assertEqual(set(bench.alice.inventory().values()), {0})

    def test_hung_up_instead(self) -> None:
        """13.2.2.4: who hangs up before the ACK acknowledges all the same, and no session was established. row:H15"""
        bench = CallBench(CallOptions(automatic_ack=False))
        bench.answer(bench.response(200, "b1", ANSWER))
        self.assertEqual(bench.hang_up(), [">ACK", ">BYE"])
        self.assertNotIn("established", bench.alice.heard)

    def test_other_branches_do_not_wait(self) -> None:
        """13.2.2.4: a branch that nobody wants is acknowledged at once, even so. row:H15 fault:D7"""
        bench = CallBench(CallOptions(automatic_ack=False))
        bench.answer(bench.response(200, "b1", ANSWER))
        self.assertEqual(bench.answer(bench.response(200, "b2", ANSWER)), [">ACK", ">BYE"])

    def test_flow_is_dialled(self) -> None:
        """13.2.2.4: a 2xx that comes again while the flow for its ACK is being found needs no second one. row:H15"""
        bench = CallBench()
        bench.alice.is_dialling = True
        self.assertNotIn(">ACK", bench.answer(bench.response(200, "b1", ANSWER)))
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), [])
        bench.alice.dialled()
        self.assertEqual(bench.said(), [">ACK"])
        self.assertEqual(bench.answer(bench.response(200, "b1", ANSWER)), [">ACK"])


class AnyCourseTests(SynchronousTestCase):
    """Calls in which everybody does whatever comes to mind."""

    STATUSES = (100, 180, 183, 199, 200, 200, 302, 422, 486, 503, 603)
    FIELDS = (
        (),
        (("Contact", "<sip:x1@x.example>"),),
        (("Min-SE", "3600"),),
        (("Session-Expires", "200;refresher=uac"),),
    )
    METHODS = ("ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "PRACK", "UPDATE")

    def respond(self, bench: CallBench, chance: random.Random, tag: str) -> None:
        """A branch answers the INVITE."""
        description = chance.choice((None, ANSWER))
        if chance.random() < 0.3:
            bench.answer(bench.reliable(chance.randrange(1, 4), chance.choice((180, 183, 199)), tag, description))
        else:
            bench.answer(bench.response(chance.choice(self.STATUSES), tag, description, chance.choice(self.FIELDS)))

    def reply(self, bench: CallBench, chance: random.Random, tag: str) -> None:
        """A branch answers another request of the caller's."""
        asked = [
            request
            for method in (*self.METHODS[1:], "INVITE")
            for request in bench.requests(method)
            if request.to.tag == tag or method == "CANCEL"
        ]
        if asked:
            status = chance.choice((100, 200, 200, 408, 481, 491, 500))
            bench.answer(bench.response(status, tag, chance.choice((None, ANSWER)), to=chance.choice(asked)))

    def act(self, bench: CallBench, chance: random.Random, usages: list[InviteUsage]) -> None:
        """The caller's application does something with one of the dialogs that there are or were, or with the call."""
        call, now = bench.call, bench.now
        usage = chance.choice(usages) if usages else None
        deeds: list[Callable[[], object]] = [
            lambda: call.cancel(now),
            lambda: call.give_up(now),
            lambda: call.follow(["sip:x1@x.example", "sip:x2@x.example"], now),
        ]
        if usage is not None:
            deeds += [
                lambda: usage.bye(now),
                lambda: usage.answer(ANSWER, now),
                lambda: usage.decline(488, now),
                lambda: usage.modify(OFFER, now),
                lambda: usage.acknowledge(chance.choice((None, ANSWER)), (), now),
                lambda: usage.request("MESSAGE", now),
            ]
        bench.do(chance.choice(deeds))

    def step(self, bench: CallBench, chance: random.Random, usages: list[InviteUsage], cseq: int) -> None:
        """One thing happens."""
        tag = chance.choice(("b1", "b2", "b3", ""))
        what = chance.randrange(8)
        if what < 3:
            self.respond(bench, chance, tag)
        elif what == 3:
            self.reply(bench, chance, tag)
        elif what == 4:
            bench.ask(
                chance.choice(self.METHODS), tag, cseq, [("Contact", "<sip:b@b.example>"), ("RAck", "1 1 INVITE")]
            )
        elif what == 5:
            bench.pass_by(chance.choice((0.1, 1.0, 5.0, 33.0)))
        elif what == 6 and chance.random() < 0.1:
            bench.lose_flow()
        else:
            self.act(bench, chance, usages)

    def test_any_course(self) -> None:
        """Whatever branches and application do, in whatever order: one outcome at most, each dialog ends once, and
        nothing stays. row:H12 fault:C5 fault:D7"""
        for seed in range(200):
            chance = random.Random(seed)
            options = CallOptions(
                max_ring=60.0,
                session_timer=chance.choice((None, SessionTimerSettings(1800))),
                automatic_ack=chance.random() < 0.6,
                max_forks=chance.choice((2, 64)),
            )
            bench = CallBench(options, chance.choice((OFFER, None)), reliable=chance.random() < 0.5)
            usages: dict[int, InviteUsage] = {}
            for cseq in range(1, chance.randrange(2, 26)):
                usages |= {id(usage): usage for usage in bench.call.usages.values()}
                # What the application may not do now changes nothing.
                with contextlib.suppress(InvalidOperation):
                    self.step(bench, chance, list(usages.values()), cseq)
            for _ in range(2):
                bench.hang_up()
                bench.cancel()
                bench.pass_by(300.0)
            outcomes = [said for said in bench.alice.heard if said.startswith("ended") or said == "established"]
            self.assertLessEqual(len(outcomes), 1, seed)
            ended = [id(effect.owner) for effect in bench.alice.effects if isinstance(effect, UsageEnded)]
            self.assertEqual(len(ended), len(set(ended)), seed)
            self.assertEqual((bench.state(), set(bench.alice.inventory().values())), ("ended", {0}), seed)
