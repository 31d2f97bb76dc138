"""CANCEL and ACK for an INVITE of a peer, in every order: :mod:`sip_p2p.sip.dialog.server_invitation`."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded, InvalidOperation
from sip_p2p.sip.dialog.answer_options import AnswerOptions
from sip_p2p.sip.dialog.effects import InvitationEnded
from sip_p2p.sip.dialog.server_invitation import ServerInvitation, ServerInvitationState
from sip_p2p.sip.outputs import RequestAbandoned
from tests.sip.dialog.answering import ANSWER, OFFER, AnswerBench
from tests.sip.dialog.test_server_invitation import ACTIONS, bring
from tests.support import vectors


class CancelTests(SynchronousTestCase):
    """9.2, in every order that a network and an application can produce."""

    def test_every_order(self) -> None:
        """9.2: whatever crosses whatever, the INVITE has one final response, the application hears of one end, and
        nothing stays. fault:C5 fault:C6"""
        steps = ("CANCEL", "CANCEL", "ring", "accept", "ACK", "INVITE")
        for order in sorted(set(itertools.permutations(steps))):
            self._play(order, reliable=False)
        # A reliable transport copies nothing.
        for order in sorted(set(itertools.permutations(steps[:-1]))):
            self._play(order, reliable=True)

    def _play(self, order: tuple[str, ...], reliable: bool) -> None:
        bench = AnswerBench(reliable=reliable)
        for step in order:
            bench.wait(0.01)
            try:
                bench.do(lambda what=step: ACTIONS[what](bench))
            except AlreadyResponded:
                self.assertIn(bench.state, ("accepted", "ended"))
        finals = {response.status for response in bench.responses if response.headers["CSeq"] == "1 INVITE"} - {180}
        expected = 200 if order.index("accept") < order.index("CANCEL") else 487
        self.assertEqual(finals, {expected}, order)
        cancels = [response.status for response in bench.responses if response.headers["CSeq"] == "1 CANCEL"]
        # Where the refusal was acknowledged on a stream, a second one finds nothing any more.
        self.assertEqual((cancels[0], set(cancels) - {200, 481}), (200, set()), order)
        bench.wait(200.0)
        ends = [word for word in bench.bob.heard if word.startswith("ended") or word == "established"]
        is_acknowledged = order.index("ACK") > order.index("accept")
        self.assertEqual(ends, ["ended 487"] if expected == 487 else ["established"] * is_acknowledged, order)
        for dialog in bench.bob.dialogs:
            bench.request("BYE", dialog.local_tag)
        bench.wait(100.0)
        self.assertEqual(set(bench.bob.inventory().values()), {0}, order)

    def test_for_nothing(self) -> None:
        """9.2: a CANCEL that matches no INVITE gets 481, and has no effect on the one there is. fault:C5"""
        bench = AnswerBench()
        bench.cancel("z9hG4bKother")
        self.assertEqual((bench.said(), bench.state), ([">481"], "waiting"))

    def test_flood(self) -> None:
        """9.2: ten thousand CANCELs end one INVITE once, and leave one transaction. fault:C5"""
        for reliable in (False, True):
            bench = AnswerBench(reliable=reliable)
            bench.do(lambda b=bench: b.call.ring(b.now))
            for _ in range(10_000):
                bench.cancel()
            said = bench.said()
            self.assertEqual([word for word in said if word not in (">200",)],
                             [">487", "user:usage ended EARLY", "user:ended 487"])  # fmt: skip
            self.assertEqual(bench.bob.inventory()["servers"], 1)

    def test_tags(self) -> None:
        """9.2: the answers to CANCEL and INVITE have one tag, that of a dialog where there was one. fault:C5"""
        for is_ringing in (False, True):
            bench = AnswerBench()
            if is_ringing:
                bench.do(lambda b=bench: b.call.ring(b.now))
            bench.cancel()
            self.assertEqual(len({response.to.tag for response in bench.responses}), 1)

    def test_says_why(self) -> None:
        """RFC 3326: the application is shown the CANCEL, and with it the reason. row:H5 fault:C5"""
        bench = AnswerBench()
        bench.cancel()
        effect = bench.bob.effects[-1]
        assert isinstance(effect, InvitationEnded) and effect.request is not None and effect.response is not None
        self.assertEqual((effect.request.method, effect.response.status), ("CANCEL", 487))

    def test_before_anybody_heard_of_the_call(self) -> None:
        """9.2: a CANCEL that is read in one go with its INVITE leaves nothing to be judged. fault:C5"""
        bench = AnswerBench()
        bench.cancel()
        call = bench.call
        late = ServerInvitation(call.core, call.transaction, call.request, call.flow, call.profile, AnswerOptions())
        bench.said()
        self.assertFalse(late.start(bench.now))
        self.assertEqual((late.state, bench.do(lambda: None)), (ServerInvitationState.ENDED, []))
        self.assertRaises(InvalidOperation, late.start, bench.now)

    def test_before_the_application_was_told(self) -> None:
        """9.2: what the application decides after a CANCEL that it has not heard of comes too late. fault:C5"""
        bench = AnswerBench()
        core, call = bench.bob.core, bench.call
        bench.do(lambda: call.ring(bench.now))
        core.layer.find_invite(call.request, call.flow)
        core.respond(call.transaction, core.response(call.transaction, 487), bench.now)
        self.assertFalse(call.is_open)
        for wish in (
            lambda: call.ring(bench.now),
            lambda: call.accept(bench.now, ANSWER),
            lambda: call.reject(486, bench.now),
            lambda: call.redirect(["sip:c@c.example"], bench.now),
        ):
            self.assertRaises(AlreadyResponded, wish)

    def test_told_twice(self) -> None:
        """An end that is told once more, or to a call that was accepted, changes nothing. fault:C5"""
        for state in ("ended", "accepted"):
            bench = bring(state, "CANCEL", reliable=True)
            bench.call.abandoned(RequestAbandoned(bench.call.transaction, "again"), bench.now)
            self.assertEqual((bench.do(lambda: None), bench.state), ([], state))

    def test_a_prack_that_crosses_the_cancel(self) -> None:
        """9.2: a PRACK that spoils the call after its CANCEL refuses nothing any more. fault:C5"""
        bench = AnswerBench(offer=None)
        usage = bench.call.ring(bench.now, 183, description=OFFER)
        bench.bob.work()
        core, call = bench.bob.core, bench.call
        core.respond(call.transaction, core.response(call.transaction, 487), bench.now)
        bench.prack(tag=usage.dialog.local_tag)
        self.assertEqual(bench.said(), [">183", ">487", ">400"])


class AckTests(SynchronousTestCase):
    """13.3.1.4: the 2xx until its ACK."""

    def test_never_comes(self) -> None:
        """13.3.1.4: T1 doubling to T2 over any transport, and after 64*T1 a BYE. row:H34 fault:C6"""
        for reliable in (False, True):
            bench = AnswerBench(reliable=reliable)
            bench.do(lambda b=bench: b.call.accept(b.now, ANSWER))
            times = []
            while not bench.requests and bench.step(100.0):
                times += [bench.now for word in bench.said() if word == ">200"]
            vector = vectors("timers")["uas_2xx_no_ack"]
            self.assertEqual([0, *times], vector["send_at"])
            self.assertEqual((bench.now, bench.requests[-1].method), (vector["gives_up"], "BYE"))
            bench.wait(100.0)
            self.assertEqual(bench.bob.heard[-1], "usage ended NO_ACK")
            self.assertEqual(set(bench.bob.inventory().values()), {0})

    def test_flow_lost_meanwhile(self) -> None:
        """13.3.1.4: without its flow the 2xx is not sent again; an ACK by another one still counts. fault:C6"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        bench.bob.lose_flow()
        self.assertEqual(bench.moment(20.0), [])
        bench.ack()
        self.assertEqual(bench.said(), ["user:established"])

    def test_for_nothing(self) -> None:
        """17.1.1.3: no ACK is ever answered: of no dialog, of an early one, for what was never sent. fault:C6"""
        bench = AnswerBench()
        bench.ack("nobody")
        bench.do(lambda: bench.call.ring(bench.now))
        bench.ack()
        bench.ack(cseq=7)
        bench.ack(branch="z9hG4bKinvite")
        self.assertEqual((bench.said(), bench.state), ([], "ringing"))

    def test_wrong_number(self) -> None:
        """13.3.1.4: an ACK with another CSeq acknowledges nothing. fault:C6"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        for cseq in (0, 2, 2**31 - 1):
            bench.ack(cseq=cseq)
        bench.ack("another-tag")
        self.assertEqual((bench.said(), bench.moment(0.5)), ([], [">200"]))
        bench.ack()
        self.assertEqual(bench.said(), ["user:established"])

    def test_again(self) -> None:
        """13.3.1.4: an ACK that comes again changes nothing, whatever body it brings. fault:C6"""
        bench = AnswerBench()
        bench.do(lambda: bench.call.accept(bench.now, ANSWER))
        bench.ack()
        bench.said()
        for body in (b"", OFFER.body):
            bench.ack(body=body)
        bench.ack(branch="z9hG4bKinvite")
        self.assertEqual((bench.said(), bench.moment(30.0)), ([], []))

    def test_of_a_refusal(self) -> None:
        """17.2.1: the ACK of a refusal goes no further than its transaction. fault:C6"""
        bench = AnswerBench(reliable=False)
        bench.do(lambda: bench.call.reject(486, bench.now))
        for _ in range(3):
            bench.ack(branch="z9hG4bKinvite")
        self.assertEqual(bench.said(), [])
        self.assertEqual(bench.moment(0.5), [])
