"""Offers and answers in whole calls: where the machine, the order of reliable responses and the invitation meet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from tests.sip.dialog.calling import ANSWER, OFFER, CallBench
from tests.sip.dialog.pair import Pair


class CallerTests(SynchronousTestCase):
    """We call."""

    def test_reliable_response_behind_an_offer(self) -> None:
        """RFC 3262 section 3: what follows an offer before our PRACK is not heard, and comes again. row:H10"""
        bench = CallBench(offer=None)
        self.assertEqual(bench.answer(bench.reliable(1, description=OFFER)), ["user:progress 183 new", "user:offer"])
        self.assertEqual(bench.answer(bench.reliable(2, 180)), [])
        (usage,) = bench.call.usages.values()
        self.assertEqual(bench.do(lambda: usage.answer(ANSWER, bench.now)), [">PRACK"])
        self.assertEqual(bench.answer(bench.reliable(2, 180)), ["user:progress 180", ">PRACK"])
        self.assertEqual([request.headers["RAck"] for request in bench.requests("PRACK")], ["1 1 INVITE", "2 1 INVITE"])
        self.assertEqual([request.body for request in bench.requests("PRACK")], [ANSWER.body, b""])

    def test_2xx_that_did_not_wait(self) -> None:
        """RFC 3262 section 3: a 2xx before our answer to a reliable offer is acknowledged, and the session ended."""
        bench = CallBench(offer=None)
        bench.answer(bench.reliable(1, description=OFFER))
        said = bench.answer(bench.response(200))
        self.assertEqual([words for words in said if words[0] == ">"], [">ACK", ">BYE"])
        self.assertEqual(bench.requests("ACK")[0].body, b"")

    def test_only_a_preview(self) -> None:
        """13.2.1: where nothing but an unreliable 180 carries the answer, the session stands on that. limit:L14"""
        bench = CallBench()
        self.assertEqual(
            bench.answer(bench.response(180, description=ANSWER)), ["user:progress 180 new", "user:preview"]
        )
        self.assertEqual(bench.answer(bench.response(200))[-1], ">ACK")
        (dialog,) = bench.alice.dialogs
        assert dialog.user is not None
        self.assertIs(dialog.user.offer_answer.state, OfferAnswerState.AGREED)
        self.assertEqual(bench.pass_by(40), [])


class LateAckTests(SynchronousTestCase):
    """An ACK that gets lost, or that something overtakes, while the session goes on."""

    def setUp(self) -> None:
        """Alice has called Bob over UDP, and her ACK was lost."""
        self.pair = Pair()
        self.pair.wires.losing("> ACK")
        self.pair.bob.on_invite = lambda invitation: invitation.accept(self.pair.now, ANSWER)
        self.pair.alice.call()
        self.pair.wait(0.1)
        self.alice = self.pair.alice.usage
        self.bob = self.pair.bob.usage

    def test_every_2xx_is_acknowledged_again(self) -> None:
        """13.2.2.4: a 2xx that comes again is acknowledged, though a re-INVITE has been answered since. row:H34"""
        self.pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, self.pair.now)
        self.alice.modify(OFFER, self.pair.now)
        self.pair.alice.work()
        self.pair.wait(60)
        self.assertEqual((self.alice.state.name, self.bob.state.name), ("CONFIRMED", "CONFIRMED"))
        self.assertEqual(self.pair.ladder().count("< 200"), 3)
        self.assertEqual(self.pair.ladder().count("> ACK"), 3)

    def test_an_old_ack_answers_nothing(self) -> None:
        """RFC 3264 section 4: the ACK of an INVITE before is no answer that is missing. row:H22"""
        self.pair.bob.on_offer = lambda offer: offer.owner.answer(OFFER, self.pair.now)
        self.alice.modify(None, self.pair.now)
        self.pair.alice.work()
        # Bob's first 200 comes again, and its ACK with it, while Alice thinks about the offer in his second one.
        self.pair.wait(1.0)
        self.assertEqual(self.pair.ladder().count("> ACK"), 2)
        self.assertTrue(self.bob.offer_answer.awaits_answer)
        self.alice.answer(ANSWER, self.pair.now)
        self.pair.alice.work()
        self.pair.wait(60)
        self.assertEqual(self.pair.bob.heard, ["call", "offer wanted", "established", "answer"])
        for usage in (self.alice, self.bob):
            self.assertIs(usage.offer_answer.state, OfferAnswerState.AGREED)
            self.assertEqual(usage.offer_answer.faults, 0)
