"""A session in one dialog: every pair of a state and an input, the races of RFC 5407, and how it ends."""

from __future__ import annotations

import gc
import sys

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import AnswerReceived, Ending, Established, UsageEnded
from sip_p2p.sip.dialog.usage import InviteUsage, UsageState
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.one_usage import INPUTS, STATES, OneUsage
from tests.sip.dialog.pair import ANSWER, OFFER, Pair
from tests.sip.dialog.usage_table import TABLE

NEW = ContentDescription(b"v=0\r\ns=new\r\n")


def established(pair: Pair | None = None, options: CallOptions | None = None) -> Pair:
    """Alice and Bob in a session; what led to it is forgotten."""
    pair = Pair() if pair is None else pair
    pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
    pair.alice.call(options)
    pair.wait(1.0)
    forget(pair)
    return pair


def forget(pair: Pair) -> None:
    """Begin to note anew."""
    pair.sent.clear()
    pair.octets.clear()
    pair.alice.heard.clear()
    pair.bob.heard.clear()


class TableTests(SynchronousTestCase):
    """The machine, pair by pair."""

    def test_every_pair(self) -> None:
        """Each state does with each input what the table says (RFC 3261 sections 12 to 15): row:H17 row:H18 row:H19."""
        for state, what, follows in TABLE:
            self.assertEqual(OneUsage(state).give(what), follows, (state, what))

    def test_no_pair_is_missing(self) -> None:
        """The table has one row for each pair."""
        pairs = [(state, what) for state, what, _ in TABLE]
        self.assertEqual(pairs, [(state, what) for state in STATES for what in INPUTS])

    def test_nothing_stays(self) -> None:
        """Whatever came in whichever state, a session that ends after it leaves nothing behind (fault:D3)."""
        for state, what, _ in TABLE:
            one = OneUsage(state)
            one.give(what)
            one.usage.ended(Ending.EARLY, one.pair.now)
            one.party.work()
            one.pair.wait(700.0)
            self.assertEqual(set(one.party.inventory().values()), {0}, (state, what, one.party.inventory()))


class ByeTests(SynchronousTestCase):
    """Sections 15.1.1 and 15.1.2."""

    def test_hanging_up(self) -> None:
        """BYE ends the session for both, and says what its fields say: row:H17 row:H18."""
        pair = established()
        pair.alice.usage.bye(pair.now, (("Reason", 'SIP;cause=200;text="done"'),))
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.ladder(), ["> BYE", "< 200"])
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["usage ended LOCAL_BYE"], ["usage ended REMOTE_BYE"]))
        ended = pair.bob.effects[-1]
        assert isinstance(ended, UsageEnded) and ended.message is not None
        self.assertEqual(ended.message.headers.get("Reason"), 'SIP;cause=200;text="done"')

    def test_nobody_answers(self) -> None:
        """A BYE that nobody answers ends the session all the same (15.1.1)."""
        pair = established()
        usage = pair.alice.usage
        pair.wires.lose = lambda what: True
        usage.bye(pair.now)
        pair.alice.work()
        self.assertIs(usage.state, UsageState.ENDING)
        pair.wait(33.0)
        self.assertEqual(pair.alice.heard, ["usage ended LOCAL_BYE"])
        self.assertEqual(len(pair.alice.dialogs), 0)

    def test_bye_waits_for_the_ack(self) -> None:
        """Whoever was called hangs up only after the ACK (section 15)."""
        pair = Pair()
        pair.wires.losing("> ACK")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(0.2)
        pair.bob.usage.bye(pair.now)
        pair.bob.work()
        pair.wait(5.0)
        self.assertEqual(pair.ladder(), ["> INVITE", "< 200", "> ACK", "< 200", "> ACK", "< BYE", "> 200"])

    def test_bye_when_no_ack_comes(self) -> None:
        """The BYE that waited for an ACK goes after 64*T1 without one, with its fields (sections 13.3.1.4 and 15)."""
        pair = Pair()
        pair.wires.lose = lambda what: what == "> ACK"
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(0.2)
        pair.bob.usage.bye(pair.now, (("Reason", "SIP;cause=486"),))
        pair.bob.work()
        pair.wait(33.0)
        self.assertIn("Reason: SIP;cause=486", pair.last("< BYE"))
        self.assertEqual(pair.bob.heard, ["call", "usage ended LOCAL_BYE"])

    def test_pending_requests(self) -> None:
        """What the application has not answered when BYE comes is answered 487 (15.1.2)."""
        pair = established()
        pair.bob.on_request = lambda output: None
        pair.alice.usage.request("MESSAGE", pair.now, b"hello", "text/plain")
        pair.alice.work()
        pair.wait(0.3)
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(0.5)
        self.assertEqual(pair.ladder(), ["> MESSAGE", "> BYE", "< 200", "< 487"])

    def test_answered_requests_are_let_go(self) -> None:
        """A request that was answered is not answered again at the end."""
        pair = established()
        for _ in range(3):
            pair.alice.usage.request("MESSAGE", pair.now, b"hello", "text/plain")
            pair.alice.work()
            pair.wait(0.5)
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(0.5)
        self.assertEqual(pair.ladder().count("< 487"), 0)

    def test_no_sequence_number_left(self) -> None:
        """A dialog that has used up its sequence numbers ends without BYE (12.2.1.1)."""
        pair = established()
        pair.alice.usage.dialog.local_cseq = 2**31 - 1
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        self.assertEqual(pair.alice.heard, ["usage ended LOCAL_BYE"])

    def test_twice(self) -> None:
        """Hanging up twice is hanging up once."""
        pair = established()
        usage = pair.alice.usage
        usage.bye(pair.now)
        usage.bye(pair.now)
        pair.alice.work()
        pair.wait(1.0)
        usage.bye(pair.now)
        usage.ended(Ending.EARLY, pair.now)
        pair.alice.work()
        self.assertEqual(pair.ladder(), ["> BYE", "< 200"])
        self.assertIs(usage.ending, Ending.LOCAL_BYE)


class RaceTests(SynchronousTestCase):
    """The flows of RFC 5407, section by section (fault:D3)."""

    def test_3_1_1(self) -> None:
        """The INVITE again, to a callee that has accepted: absorbed, and the 2xx goes by its own clock: fault:D3."""
        pair = Pair()
        pair.wires.losing("< 200", "< 200")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(4.0)
        ladder = pair.ladder()
        self.assertEqual(ladder.count("< 200"), 3)
        self.assertEqual(pair.bob.heard, ["call", "established"])
        self.assertGreater(ladder.count("> INVITE"), 1)

    def test_3_1_2(self) -> None:
        """CANCEL that crosses the 2xx: 200 for it, ACK and BYE for the 2xx: fault:D3."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.ring(pair.now)
        call = pair.alice.call()
        pair.wait(1.0)
        pair.bob.calls[0].accept(pair.now, ANSWER)
        pair.bob.work()
        call.cancel(pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.ladder().count("> BYE"), 1)
        self.assertEqual(pair.ladder().count("> ACK"), 1)
        self.assertEqual(len(pair.bob.dialogs) + len(pair.alice.dialogs), 0)

    def test_3_1_3(self) -> None:
        """BYE for an early dialog that crosses the 2xx: the 2xx is acknowledged, and both are rid of it: fault:D3."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.ring(pair.now)
        pair.alice.call()
        pair.wait(1.0)
        pair.bob.calls[0].accept(pair.now, ANSWER)
        pair.bob.work()
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(40.0)
        self.assertIn("> ACK", pair.ladder())
        self.assertEqual(pair.bob.heard[-1], "usage ended REMOTE_BYE")
        self.assertEqual(len(pair.bob.dialogs) + len(pair.alice.dialogs), 0)

    def test_3_1_4(self) -> None:
        """A re-INVITE overtakes the ACK, and no offer is open: it is answered, and each 2xx has its ACK: fault:D3."""
        pair = Pair()
        pair.wires.losing("> ACK")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.call()
        pair.wait(0.1)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(5.0)
        self.assertEqual(pair.alice.heard[-2:], ["answer", "modified 200"])
        self.assertEqual(pair.bob.heard, ["call", "offer", "established"])
        self.assertIs(pair.bob.usage.state, UsageState.CONFIRMED)
        self.assertIs(pair.bob.usage.awaited_ack, None)

    def test_3_1_5(self) -> None:
        """A re-INVITE overtakes the ACK that answers the offer in the 2xx: 491, and again later: fault:D3 row:H22."""
        pair = Pair()
        pair.wires.losing("> ACK")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, OFFER)
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.call(offer=None)
        pair.wait(0.1)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(8.0)
        ladder = pair.ladder()
        self.assertIn("< 491", ladder)
        self.assertEqual(pair.alice.heard[-2:], ["answer", "modified 200"])
        self.assertEqual(pair.bob.heard, ["call", "established", "answer", "offer"])

    def test_3_1_6(self) -> None:
        """BYE overtakes the ACK: the session is over, and the 2xx is said no more: fault:D3."""
        pair = Pair()
        pair.wires.losing("> ACK")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(0.1)
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(5.0)
        self.assertEqual(pair.ladder(), ["> INVITE", "< 200", "> ACK", "> BYE", "< 200"])
        self.assertEqual(pair.bob.heard, ["call", "usage ended REMOTE_BYE"])

    def test_3_2_1(self) -> None:
        """Two BYEs cross: both are answered 200: fault:D3."""
        pair = established()
        for party in (pair.alice, pair.bob):
            party.usage.bye(pair.now)
            party.work()
        pair.wait(1.0)
        self.assertEqual(sorted(pair.ladder()), ["< 200", "< BYE", "> 200", "> BYE"])
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["usage ended LOCAL_BYE"], ["usage ended LOCAL_BYE"]))

    def test_3_2_2(self) -> None:
        """A re-INVITE crosses BYE: 481 for it, and its sender hears that the session is over: fault:D3."""
        pair = established()
        pair.alice.usage.bye(pair.now)
        pair.bob.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.bob.work()
        pair.wait(1.0)
        self.assertEqual(sorted(pair.ladder()), ["< 200", "< ACK", "< INVITE", "> 481", "> BYE"])
        self.assertEqual(pair.bob.heard, ["usage ended REMOTE_BYE"])

    def test_3_2_3(self) -> None:
        """The 2xx to a re-INVITE crosses the BYE of whoever sent both: it is acknowledged, again too: fault:D3."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(0.015)
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.ladder().count("> ACK"), 1)
        self.assertEqual(pair.alice.heard, ["usage ended LOCAL_BYE"])
        self.assertEqual(len(pair.bob.dialogs) + len(pair.alice.dialogs), 0)

    def test_3_2_4(self) -> None:
        """An ACK that comes after our BYE changes nothing: fault:D3."""
        pair = Pair()
        pair.wires.lose = lambda what: what == "> ACK"
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(31.0)
        acknowledgement = next(octets for octets in pair.octets if octets.startswith(b"ACK"))
        pair.wires.lose = lambda what: what in ("> ACK", "< BYE")
        pair.wait(1.2)
        pair.bob.receive(acknowledgement)
        self.assertEqual(pair.bob.heard, ["call", "usage ending NO_ACK"])
        pair.wires.lose = lambda what: False
        pair.wait(5.0)
        self.assertEqual(pair.bob.heard, ["call", "usage ending NO_ACK", "usage ended NO_ACK"])

    def test_3_3_1(self) -> None:
        """Two re-INVITEs cross: both are refused 491, and the one without the Call-ID goes first: fault:D3 row:H19."""
        pair = established()
        for party in (pair.alice, pair.bob):
            party.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
            party.usage.modify(NEW, pair.now)
            party.work()
        pair.wait(8.0)
        ladder = [what for what in pair.ladder() if "ACK" not in what and "100" not in what]
        self.assertEqual(ladder[:4], ["> INVITE", "< INVITE", "< 491", "> 491"])
        self.assertEqual(ladder[4:], ["< INVITE", "> 200", "> INVITE", "< 200"])
        for party in (pair.alice, pair.bob):
            self.assertIn("modified 200", party.heard)

    def test_3_3_2(self) -> None:
        """An UPDATE with an offer and a re-INVITE cross: both are refused, and both go through later: fault:D3."""
        pair = established()
        for party, method in ((pair.alice, "UPDATE"), (pair.bob, "INVITE")):
            party.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
            party.usage.modify(NEW, pair.now, method=method)
            party.work()
        pair.wait(8.0)
        self.assertEqual([what for what in pair.ladder() if "491" in what], ["< 491", "> 491"])
        for party in (pair.alice, pair.bob):
            self.assertIn("modified 200", party.heard)

    def test_3_3_3(self) -> None:
        """A REFER that crosses BYE gets 481: fault:D3."""
        one = OneUsage("ending")
        one.party.profile.allow("REFER")
        one.receive("REFER", None, ("Refer-To", "<sip:carol@c.example>"))
        self.assertEqual([name for _, party, name in one.pair.sent if party is one.party], ["481"])


class AckTests(SynchronousTestCase):
    """Sections 13.2.2.4 and 13.3.1.4, for the first INVITE and for those that change the session."""

    def test_delayed(self) -> None:
        """The application says when to acknowledge, and with which fields: row:H15."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call(CallOptions(automatic_ack=False))
        pair.wait(2.0)
        self.assertNotIn("> ACK", pair.ladder())
        pair.alice.usage.acknowledge(None, (("X-Why", "later"),), pair.now)
        pair.alice.work()
        pair.wait(5.0)
        self.assertIn("X-Why: later", pair.last("> ACK"))
        self.assertEqual(pair.ladder().count("> ACK"), 1)
        self.assertIsInstance(pair.alice.effects[-1], Established)
        with self.assertRaises(InvalidOperation):
            pair.alice.usage.acknowledge(None, (), pair.now)

    def test_the_2xx_comes_again(self) -> None:
        """Each time the 2xx comes again its ACK goes again, the same octets."""
        pair = Pair()
        pair.wires.losing("> ACK", "> ACK")
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(5.0)
        acks = [octets for octets in pair.octets if octets.startswith(b"ACK")]
        self.assertEqual((len(acks), len(set(acks))), (3, 1))

    def test_again_before_it_left(self) -> None:
        """While the ACK waits for a flow, a 2xx that comes again asks for nothing more."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.alice.is_dialling = True
        pair.wait(2.0)
        self.assertNotIn("> ACK", pair.ladder())
        pair.alice.dialled()
        pair.wait(3.0)
        self.assertEqual(pair.bob.heard, ["call", "established"])

    def test_it_is_not_kept_for_ever(self) -> None:
        """The octets of the ACK go when the 2xx cannot come again (RFC 6026 section 7.2)."""
        pair = established()
        self.assertIsNot(pair.alice.usage.owed_ack, None)
        pair.wait(33.0)
        self.assertIs(pair.alice.usage.owed_ack, None)

    def test_no_ack(self) -> None:
        """Without an ACK for 64*T1 the session ends with a BYE: row:H34."""
        pair = Pair()
        pair.wires.lose = lambda what: what == "> ACK"
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(40.0)
        self.assertEqual(pair.bob.heard, ["call", "usage ending NO_ACK", "usage ended NO_ACK"])
        self.assertEqual(pair.alice.heard[-1], "usage ended REMOTE_BYE")

    def test_stray(self) -> None:
        """An ACK with the sequence number of no INVITE that waits is passed over."""
        one = OneUsage("accepted, we were called")
        awaited = one.usage.awaited_ack
        one.usage.awaited_ack = None
        one.receive("ACK")
        one.usage.awaited_ack = awaited
        self.assertIs(one.usage.state, UsageState.ACCEPTED)

    def test_answer_in_the_ack(self) -> None:
        """The answer to the offer in a 2xx comes with the ACK: row:H22."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, OFFER)
        pair.alice.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.call(offer=None)
        pair.wait(1.0)
        answers = [effect for effect in pair.bob.effects if isinstance(effect, AnswerReceived)]
        self.assertEqual([effect.description for effect in answers], [ANSWER])

    def test_no_answer_in_the_ack(self) -> None:
        """Whoever leaves the offer in a 2xx without an answer gets a BYE: nothing was agreed (RFC 6337): row:H22."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, OFFER)
        pair.alice.on_offer = lambda offer: None
        call = pair.alice.call(offer=None)
        pair.wait(0.1)
        plan = pair.alice.usage.dialog.ack_plan(call.plan.cseq)
        pair.bob.receive(pair.alice.core.acknowledge(plan, pair.alice.flow))
        pair.wait(1.0)
        self.assertEqual(
            pair.bob.heard, ["call", "established", "usage ending NO_AGREEMENT", "usage ended NO_AGREEMENT"]
        )

    def test_declining_the_offer_in_a_2xx(self) -> None:
        """What cannot be refused is acknowledged, and ended (13.2.2.4) with the reason (RFC 3326 section 3.2):
        row:H22."""
        for fields, reason in (((), "SIP;cause=488"), ((("Reason", "Q.850;cause=88"),), "Q.850;cause=88")):
            pair = Pair()
            pair.bob.on_invite = lambda invitation, pair=pair: invitation.accept(pair.now, OFFER)
            pair.alice.on_offer = lambda offer, pair=pair, fields=fields: offer.owner.decline(488, pair.now, fields)
            pair.alice.call(offer=None)
            pair.wait(1.0)
            self.assertEqual(pair.ladder()[:4], ["> INVITE", "< 200", "> ACK", "> BYE"])
            self.assertEqual(pair.alice.heard[-1], "usage ended NO_AGREEMENT")
            bye = next(one for one in map(parse_message, pair.octets) if one.cseq.method == "BYE")
            self.assertEqual(bye.headers.get_all("Reason"), [reason])


class LifeTests(SynchronousTestCase):
    """What a usage holds, and for how long."""

    def test_size(self) -> None:
        """An established usage with its dialog and its parts stays below 3 KiB."""
        pair = established()
        pair.wait(60.0)
        usage = pair.alice.usage
        shared = {id(each) for each in (usage.core, usage.profile, usage.user, usage.local_description)}
        self.assertLess(_deep_size(usage, shared), 3 * 1024)

    def test_no_cycles(self) -> None:
        """A session that is over is freed without the garbage collector."""
        gc.collect()
        before = [each for each in gc.get_objects() if isinstance(each, InviteUsage | ClientInvitation)]
        pair = established()
        pair.wait(60.0)
        gc.disable()
        self.addCleanup(gc.enable)
        pair.alice.usage.bye(pair.now)
        pair.alice.work()
        pair.wait(60.0)
        for party in (pair.alice, pair.bob):
            party.effects.clear()
            party.calls.clear()
        left = [each for each in gc.get_objects() if isinstance(each, InviteUsage | ClientInvitation)]
        self.assertEqual(len(left), len(before))

    def test_resumed(self) -> None:
        """A session that was saved is established from the start, and its dialog is found (row:H33)."""
        pair = established()
        usage = pair.alice.usage
        pair.alice.core.dialogs.discard(usage.dialog)
        again = InviteUsage.resumed(pair.alice.core, usage.dialog, pair.alice.profile, pair.alice)
        self.assertIs(pair.alice.usage, again)
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        again.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.alice.heard, ["answer", "modified 200"])

    def test_own_methods(self) -> None:
        """What a session sends by itself no application sends through it."""
        pair = established()
        for method in ("ACK", "BYE", "CANCEL", "INVITE", "PRACK", "UPDATE"):
            with self.assertRaises(InvalidOperation):
                pair.alice.usage.request(method, pair.now)

    def test_any_method(self) -> None:
        """Any method goes in the dialog, with its type and its fields: row:H25."""
        pair = established()
        pair.bob.profile.allow("PUBLISH")
        pair.alice.usage.request("PUBLISH", pair.now, b"<x/>", "text/xml", (("Event", "presence"),))
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["request ended 200"], ["request PUBLISH"]))
        request = parse_message(pair.octets[0])
        self.assertEqual(request.headers.get("Event"), "presence")
        self.assertEqual(request.body, b"<x/>")


def _deep_size(thing: object, shared: set[int]) -> int:
    """The octets of *thing* and of what it alone refers to: no classes, no enumeration members, no constants."""
    seen = set(shared)
    total = 0
    waiting = [thing]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | UsageState) or each is None:
            continue
        seen.add(id(each))
        if type(each).__module__ == "enum" or isinstance(type(each), type(UsageState)):
            continue
        if sys.getrefcount(each) > 2**30:
            continue
        total += sys.getsizeof(each)
        waiting += [
            referred
            for referred in gc.get_referents(each)
            if not isinstance(referred, type) and type(referred).__name__ not in ("module", "function")
        ]
    return total
