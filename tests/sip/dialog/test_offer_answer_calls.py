"""Offers and answers in whole calls: where the machine, the order of reliable responses and the invitation meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.calling import ANSWER, OFFER, CallBench
from tests.sip.dialog.pair import Pair

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.description import ContentDescription
    from sip_p2p.sip.dialog.server_invitation import ServerInvitation


def is_invite(message: Request | Response) -> bool:
    """Whether it is an INVITE."""
    return isinstance(message, Request) and message.method == "INVITE"


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


class ReInviteTests(SynchronousTestCase):
    """Provisional responses to a re-INVITE of ours, from a peer that is played by hand."""

    def setUp(self) -> None:
        """The two talk; from now on a test says what Bob says."""
        self.pair = Pair(reliable=True)
        self.pair.bob.on_invite = lambda invitation: invitation.accept(self.pair.now, ANSWER)
        self.pair.alice.call()
        self.pair.wait(1.0)
        self.pair.wires.lose = lambda what: True
        self.usage = self.pair.alice.usage

    def modify(self, description: ContentDescription | None) -> None:
        """Let Alice change the session."""
        self.usage.modify(description, self.pair.now)
        self.said()

    def answer(self, status: int, description: ContentDescription | None = None, rseq: int = 0) -> list[str]:
        """Let Bob answer the re-INVITE; what Alice is told, and what she sends."""
        request = next(one for one in map(parse_message, reversed(self.pair.octets)) if is_invite(one))
        fields = [(name, request.headers[name]) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        fields.append(("Contact", "<sip:bob@b.example:5061;transport=tls>"))
        fields += [("Require", "100rel"), ("RSeq", str(rseq))] if rseq else []
        body = b""
        if description is not None:
            fields.append(("Content-Type", description.content_type))
            body = description.body
        self.pair.alice.receive(Response(status, None, fields, body).serialise())
        return self.said()

    def said(self) -> list[str]:
        """What Alice has been told and has sent since the last time."""
        self.pair.alice.work()
        told = self.pair.alice.heard[:]
        sent = [words for words in self.pair.ladder() if words in ("> PRACK", "> ACK", "> CANCEL", "> BYE")]
        self.pair.alice.heard.clear()
        self.pair.sent.clear()
        return told + sent

    def test_offer_in_a_reliable_response(self) -> None:
        """RFC 3262 section 5: asked by a re-INVITE, the peer may offer in a 1xx; the PRACK answers it. row:H19"""
        self.modify(None)
        self.assertEqual(self.answer(183, OFFER, rseq=7), ["offer"])
        self.assertEqual(self.answer(183, OFFER, rseq=7), [])
        self.assertEqual(self.answer(180, None, rseq=8), [])
        self.usage.answer(ANSWER, self.pair.now)
        self.assertEqual(self.said(), ["> PRACK"])
        self.assertIn(b"\r\nRAck: 7 ", self.pair.octets[-1])
        self.assertTrue(self.pair.octets[-1].endswith(ANSWER.body))
        self.assertEqual(self.answer(200), ["modified 200", "> ACK"])
        self.assertIs(self.usage.offer_answer.state, OfferAnswerState.AGREED)

    def test_offer_in_a_reliable_response_declined(self) -> None:
        """RFC 6337 section 2.3: it cannot be refused; what asked for it is called off, and the session is as before."""
        self.modify(None)
        self.answer(183, OFFER, rseq=7)
        self.usage.decline(488, self.pair.now)
        self.assertEqual(self.said(), ["> CANCEL"])
        self.assertEqual(self.answer(487), ["modified 487", "> ACK"])
        self.assertIs(self.usage.offer_answer.state, OfferAnswerState.AGREED)
        self.assertRaises(InvalidOperation, self.usage.answer, ANSWER, self.pair.now)

    def test_answer_in_a_reliable_response(self) -> None:
        """RFC 3262 section 5: a reliable 1xx may answer the re-INVITE; the 2xx then describes nothing. row:H19"""
        self.modify(OFFER)
        self.assertEqual(self.answer(183, ANSWER, rseq=7), ["answer", "> PRACK"])
        self.assertEqual(self.answer(200, ANSWER), ["modified 200", "> ACK"])

    def test_preview(self) -> None:
        """13.2.1: an unreliable 1xx shows the answer to a re-INVITE as it does to the first one. limit:L14"""
        self.modify(OFFER)
        self.assertEqual(self.answer(180, ANSWER), ["preview"])
        self.assertEqual(self.answer(200, ANSWER), ["answer", "modified 200", "> ACK"])


class CalleeTests(SynchronousTestCase):
    """We are called."""

    def test_prack_after_the_ack(self) -> None:
        """RFC 3262 section 3: a PRACK that was lost and comes after the ACK is answered 200, not 481. row:H9"""
        pair = Pair()
        pair.wires.losing("> PRACK")

        def answer(invitation: ServerInvitation) -> None:
            invitation.ring(pair.now, reliable=True)
            invitation.accept(pair.now, ANSWER)

        pair.bob.on_invite = answer
        pair.alice.call()
        pair.wait(60.0)
        self.assertEqual(pair.ladder(), ["> INVITE", "< 180", "< 200", "> PRACK", "> ACK", "> PRACK", "< 200"])
        self.assertIsNone(pair.bob.usage.reliable)

    def test_update_that_overtakes_the_2xx(self) -> None:
        """13.3.1.4: a caller that says 481 may not have heard of the dialog yet: the ACK decides. fault:D3"""
        pair = Pair()
        pair.wires.losing("< 200")

        def answer(invitation: ServerInvitation) -> None:
            usage = invitation.accept(pair.now, ANSWER)
            usage.modify(OFFER, pair.now, method="UPDATE")

        pair.bob.on_invite = answer
        pair.alice.call()
        pair.wait(60.0)
        self.assertEqual(pair.bob.heard, ["call", "modified 481", "established"])
        self.assertEqual([usage.state.name for usage in (pair.alice.usage, pair.bob.usage)], ["CONFIRMED"] * 2)


class PeersReInviteTests(SynchronousTestCase):
    """Reliable provisional responses of ours to a re-INVITE that requires them."""

    def setUp(self) -> None:
        """The two talk; Alice changes the session, and Bob takes his time."""
        self.pair = Pair(reliable=True)
        self.pair.bob.on_invite = lambda invitation: invitation.accept(self.pair.now, ANSWER)
        self.pair.alice.call()
        self.pair.wait(1.0)
        self.pair.alice.usage.modify(OFFER, self.pair.now, [("Require", "100rel")])
        self.pair.alice.work()
        self.pair.wait(0.1)
        self.pair.bob.usage.progress(183, self.pair.now)
        self.pair.sent.clear()

    def test_prack_after_the_final_response(self) -> None:
        """RFC 3262 section 3: what was out when the final response went can still be acknowledged. row:H20"""
        for finish in (lambda usage, now: usage.answer(ANSWER, now), lambda usage, now: usage.decline(488, now)):
            self.setUp()
            finish(self.pair.bob.usage, self.pair.now)
            self.pair.bob.work()
            self.pair.wait(60.0)
            self.assertEqual(self.pair.ladder().count("> PRACK"), 1)
            self.assertNotIn("< 481", self.pair.ladder())
            self.assertEqual(len(self.pair.alice.dialogs), 1)

    def test_an_offer_at_the_wrong_time(self) -> None:
        """RFC 3264 section 4: a PRACK cannot offer while the offer in the re-INVITE waits for its answer."""
        self.pair.wires.lose = lambda what: what == "> PRACK"
        self.pair.bob.work()
        self.pair.wait(0.1)
        prack = next(one for one in map(parse_message, reversed(self.pair.octets)) if one.cseq.method == "PRACK")
        prack.headers.add("Content-Type", OFFER.content_type)
        prack.body = OFFER.body
        self.pair.bob.receive(prack.serialise())
        self.assertEqual(self.pair.ladder()[-1], "< 500")
        self.pair.bob.usage.answer(ANSWER, self.pair.now)
        self.pair.bob.work()
        self.pair.wait(1.0)
        self.assertIs(self.pair.alice.usage.offer_answer.state, OfferAnswerState.AGREED)
        self.assertIs(self.pair.bob.usage.offer_answer.state, OfferAnswerState.AGREED)
