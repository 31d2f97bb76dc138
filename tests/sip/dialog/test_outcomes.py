"""What became of our requests in a dialog: PRACK, re-INVITE and what the application asked for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, OperationTimeout
from sip_p2p.sip.dialog.effects import Ending, Errand, Purpose, RequestEnded
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from sip_p2p.sip.dialog.outcomes import judge
from sip_p2p.sip.dialog.usage import UsageState
from sip_p2p.sip.message import Response
from tests.sip.dialog.one_usage import NEW, OneUsage
from tests.sip.dialog.pair import ANSWER, OFFER, Pair
from tests.sip.dialog.test_usage import established, forget


class RequestTests(SynchronousTestCase):
    """What the application asked for: row:H25."""

    def test_told_with_its_errand(self) -> None:
        """The outcome names what ``request`` returned, whatever else is under way: row:H25."""
        pair = established()
        usage = pair.alice.usage
        errands = [usage.request("MESSAGE", pair.now, b"hello", "text/plain") for _ in range(3)]
        pair.alice.work()
        pair.wait(1.0)
        told = [effect for effect in pair.alice.effects if isinstance(effect, RequestEnded)]
        self.assertEqual([effect.errand for effect in told], errands)
        self.assertEqual([effect.response.status for effect in told if effect.response is not None], [200] * 3)

    def test_provisional(self) -> None:
        """A provisional response is no outcome."""
        one = OneUsage("confirmed")
        one.give("request")
        one.respond(180)
        self.assertEqual(one.party.heard, [])

    def test_no_response(self) -> None:
        """A request that nobody answers ends the session, with a BYE in case somebody hears it (12.2.1.2): row:H36."""
        one = OneUsage("confirmed")
        one.give("request")
        one.pair.wait(33.0)
        self.assertEqual(one.party.heard, ["request ended OperationTimeout", "usage ending NO_RESPONSE"])
        self.assertIs(one.usage.state, UsageState.ENDING)
        one.respond(200)
        self.assertEqual(one.party.heard, ["usage ended NO_RESPONSE"])

    def test_no_flow(self) -> None:
        """A request for which no flow was to be had failed by itself; the session goes on (RFC 5057, as a 503)."""
        pair = established()
        pair.alice.is_dialling = True
        pair.alice.usage.request("MESSAGE", pair.now)
        pair.alice.work()
        pair.alice.not_dialled()
        self.assertEqual(pair.alice.heard, ["request ended ConnectionFailure"])
        self.assertIs(pair.alice.usage.state, UsageState.CONFIRMED)

    def test_after_the_end(self) -> None:
        """An outcome that comes when the session is over is told to nobody."""
        one = OneUsage("confirmed")
        one.give("request")
        one.usage.ended(Ending.REMOTE_BYE, one.pair.now)
        one.party.work()
        one.respond(200)
        self.assertEqual(one.party.heard, [])

    def test_in_an_early_dialog(self) -> None:
        """Where there is no session yet there is none to hang up: the early dialog ends, without a BYE."""
        one = OneUsage("early, we called")
        judge(one.usage, "MESSAGE", None, OperationTimeout("nobody"), one.pair.now)
        one.party.work()
        self.assertEqual(one.party.heard, ["usage ended NO_RESPONSE"])
        self.assertNotIn("BYE", [name for _, _, name in one.pair.sent])

    def test_what_is_over_is_not_judged(self) -> None:
        """A session that is hanging up is not ended for another reason."""
        one = OneUsage("ending")
        judge(one.usage, "MESSAGE", Response(481), None, one.pair.now)
        self.assertIs(one.usage.ending, Ending.LOCAL_BYE)
        self.assertIs(one.usage.state, UsageState.ENDING)


class PrackTests(SynchronousTestCase):
    """What became of a PRACK (RFC 3262 sections 4 and 5)."""

    def setUp(self) -> None:
        """Bob rings reliably with an answer; Alice's PRACK is on its way."""
        self.pair = pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.ring(pair.now, 183, description=ANSWER, reliable=True)
        pair.wires.losing("> PRACK")
        pair.alice.call()
        pair.wait(0.1)
        forget(pair)
        self.one = OneUsage.of(pair, pair.alice)

    def test_a_failure_ends_nothing(self) -> None:
        """Whether the session comes to be is for the INVITE to say, not for its PRACK."""
        for status in (481, 500):
            self.setUp()
            self.one.respond(status)
            self.assertEqual(self.pair.alice.heard, [])
            self.assertIs(self.one.usage.state, UsageState.EARLY)

    def test_no_flow(self) -> None:
        """Neither does a PRACK that could not be sent."""
        usage = self.one.usage
        errand = Errand(usage, usage.dialog.plan("PRACK"), Purpose.PRACK)
        usage.errand_failed(errand, ConnectionFailure("lost"), self.pair.now)
        self.assertIs(usage.state, UsageState.EARLY)

    def test_offer_that_is_refused(self) -> None:
        """What a refused PRACK had offered counts as never said (RFC 6141 section 3)."""
        usage = self.one.usage
        self.one.respond(200)
        self.assertIs(usage.offer_answer.state, OfferAnswerState.AGREED)


class ReinviteTests(SynchronousTestCase):
    """The 2xx to a re-INVITE, as often as it comes (section 13.2.2.4)."""

    def test_again(self) -> None:
        """Each time it comes its ACK goes, the same octets; the application hears of it once."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.wires.losing("> ACK", "> ACK")
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(10.0)
        acks = [octets for octets in pair.octets if octets.startswith(b"ACK")]
        self.assertEqual((len(acks), len(set(acks))), (3, 1))
        self.assertEqual(pair.alice.heard, ["answer", "modified 200"])

    def test_after_it_was_given_up(self) -> None:
        """A 2xx to what was given up is acknowledged; what it has changed at the peer is set right by another offer."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        usage = pair.alice.usage
        assert usage.outgoing is not None
        usage.outgoing.failed(usage, ConnectionFailure("lost"), pair.now)
        pair.wait(0.2)
        self.assertEqual(pair.alice.heard, ["modified ConnectionFailure"])
        self.assertIn("> ACK", pair.ladder())
        pair.wait(5.0)
        self.assertEqual(pair.alice.heard, ["modified ConnectionFailure", "answer"])
        self.assertIs(pair.bob.usage.awaited_ack, None)

    def test_stale(self) -> None:
        """What answers an earlier change is nothing to the present one."""
        one = OneUsage("we UPDATE")
        usage = one.usage
        stale = Errand(usage, usage.dialog.plan("UPDATE"), Purpose.UPDATE)
        usage.errand_answered(stale, Response(488), one.party.flow, one.pair.now)
        usage.errand_failed(stale, ConnectionFailure("lost"), one.pair.now)
        self.assertEqual((one.party.heard, one.present), ([], "confirmed: we UPDATE;"))

    def test_offer_in_both(self) -> None:
        """An offer that is in the 2xx as well as in the re-INVITE is its answer (RFC 3264)."""
        one = OneUsage("we re-INVITE")
        one.respond(200, OFFER)
        self.assertEqual(one.party.heard, ["answer", "modified 200"])
