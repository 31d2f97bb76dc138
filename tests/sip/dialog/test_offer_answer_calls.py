"""Offers and answers in whole calls: where the machine, the order of reliable responses and the invitation meet."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from tests.sip.dialog.calling import ANSWER, OFFER, CallBench


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
