"""Changes that we ask for: re-INVITE and UPDATE, what sends them again, and what calls them off (RFC 3261 section 14.1,
RFC 3311, RFC 6141)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import ModificationEnded
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from sip_p2p.sip.dialog.usage import UsageState
from sip_p2p.sip.message import Response
from sip_p2p.sip.parse import parse_message
from tests.sip.dialog.one_usage import NEW, OneUsage
from tests.sip.dialog.pair import ANSWER, OFFER, Pair
from tests.sip.dialog.test_usage import established, forget

RELIABLE = (("Require", "100rel"), ("RSeq", "1"))


def sent(one: OneUsage) -> list[str]:
    """What the party has sent since the last answer, but for retransmissions."""
    names: list[str] = []
    for _, party, name in one.pair.sent:
        if party is one.party and (not names or names[-1] != name):
            names.append(name)
    return names


class ReinviteTests(SynchronousTestCase):
    """Section 14.1."""

    def test_change(self) -> None:
        """An offer, an answer, an ACK; and both know the new description and the new targets: row:H19."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.usage.modify(NEW, pair.now, (("Subject", "hold"),))
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual([what for what in pair.ladder() if what != "< 100"], ["> INVITE", "< 200", "> ACK"])
        request = parse_message(pair.octets[0])
        self.assertEqual(request.body, NEW.body)
        self.assertEqual(request.headers.get("Subject"), "hold")
        self.assertIn("UPDATE", request.headers.get("Allow") or "")
        self.assertIn("Contact", request.headers)
        self.assertIs(pair.alice.usage.local_description, NEW)
        self.assertEqual(pair.alice.heard, ["answer", "modified 200"])

    def test_one_at_a_time(self) -> None:
        """A second change has to wait for the first, and may be tried again: row:H19."""
        one = OneUsage("we re-INVITE")
        with self.assertRaises(InvalidOperation) as caught:
            one.usage.modify(NEW, one.pair.now)
        self.assertTrue(caught.exception.retryable)

    def test_lost_answer(self) -> None:
        """Where the flow was lost after an offer had left, the peer may have answered it: what stood before is offered
        once more, on the next flow, and both know the same (RFC 6141 section 3.4): row:H19 row:H32."""
        for method in ("UPDATE", "INVITE"):
            pair = established()
            agreed: list[bytes] = []
            pair.bob.on_offer = lambda offer, pair=pair, agreed=agreed: (
                agreed.append(offer.description.body),
                offer.owner.answer(ANSWER, pair.now),
            )
            pair.wires.losing("< 100", "< 200")
            pair.alice.usage.modify(NEW, pair.now, (), method)
            pair.alice.work()
            pair.wait(0.1)
            pair.alice.lose_flow()
            self.assertEqual(pair.alice.heard, ["modified ConnectionFailure"])
            pair.wait(5.0)
            self.assertEqual(agreed[0], NEW.body)
            self.assertEqual(agreed[-1], OFFER.body)
            self.assertEqual(pair.alice.heard[-1], "answer")
            pair.wait(100.0)

    def test_nobody_to_tell(self) -> None:
        """Where no flow is to be had for that either, it is tried a few times: row:H32."""
        pair = established()
        pair.alice.usage.modify(NEW, pair.now, (), "UPDATE")
        pair.alice.work()
        pair.alice.is_dialling = True
        pair.alice.lose_flow()
        tries = 0
        for _ in range(60):
            pair.wait(1.0)
            tries += len(pair.alice.held)
            pair.alice.not_dialled()
            pair.alice.is_dialling = True
        self.assertEqual(tries, 4)
        self.assertEqual(pair.alice.heard, ["modified ConnectionFailure"])
        self.assertIsNone(pair.alice.usage.outgoing)

    def test_refused(self) -> None:
        """488 leaves the session as it was; the next change goes through (RFC 6141 section 3): row:H19."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.decline(488, pair.now)
        before = pair.alice.usage.local_description
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.alice.heard, ["modified 488"])
        self.assertIs(pair.alice.usage.local_description, before)
        self.assertIs(pair.alice.usage.offer_answer.state, OfferAnswerState.AGREED)
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.alice.heard[1:], ["answer", "modified 200"])

    def test_asking_for_an_offer(self) -> None:
        """A re-INVITE without an offer gets one in the 2xx, and answers it in the ACK: row:H22."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(NEW, pair.now)
        pair.alice.usage.modify(None, pair.now)
        pair.alice.work()
        pair.wait(0.2)
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["offer"], ["offer wanted"]))
        self.assertNotIn("> ACK", pair.ladder())
        pair.alice.usage.answer(ANSWER, pair.now)
        pair.alice.work()
        pair.wait(0.2)
        self.assertEqual(pair.alice.heard, ["offer", "modified 200"])
        self.assertEqual(pair.bob.heard, ["offer wanted", "answer"])

    def test_declining_what_was_asked_for(self) -> None:
        """The offer in the 2xx to a re-INVITE cannot be refused: ACK, then BYE (sections 13.2.2.4 and 14.1)."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(NEW, pair.now)
        pair.alice.on_offer = lambda offer: offer.owner.decline(488, pair.now)
        pair.alice.usage.modify(None, pair.now)
        pair.alice.work()
        pair.wait(1.0)
        self.assertIn("> ACK", pair.ladder())
        self.assertEqual(pair.alice.heard[-1], "usage ended NO_AGREEMENT")

    def test_the_peer_does_not_answer_the_offer(self) -> None:
        """A 2xx without the answer that it owes changes nothing, and is acknowledged (RFC 6141 section 3.3)."""
        one = OneUsage("we re-INVITE")
        before = one.usage.local_description
        one.respond(200, ContentDescription(b"?", "text/plain", "render"))
        self.assertEqual(sent(one), ["ACK"])
        self.assertIs(one.usage.offer_answer.state, OfferAnswerState.AGREED)
        self.assertIs(one.usage.state, UsageState.CONFIRMED)
        self.assertIs(one.usage.local_description, before)

    def test_early(self) -> None:
        """An early session is changed by UPDATE alone (RFC 3311 section 5.1): row:H11."""
        one = OneUsage("early, we called")
        with self.assertRaises(InvalidOperation):
            one.usage.modify(NEW, one.pair.now, method="INVITE")

    def test_target(self) -> None:
        """The Contact of the 2xx is where the next request goes (section 12.2.1.2)."""
        one = OneUsage("we re-INVITE")
        one.respond(200)
        one.give("request")
        self.assertTrue(one.pair.octets[-1].startswith(b"MESSAGE sip:moved@192.0.2.77 SIP/2.0"))


class AgainTests(SynchronousTestCase):
    """What is sent again by itself."""

    def test_491_times(self) -> None:
        """After 491 the owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s (section 14.1): row:H19 fault:D3."""
        for party, least, most in (("alice", 2.1, 4.0), ("bob", 0.0, 2.0)):
            pair = established()
            sender = pair.alice if party == "alice" else pair.bob
            usage = sender.usage
            pair.wires.lose = lambda what: True
            usage.modify(NEW, pair.now)
            sender.work()
            OneUsage.of(pair, sender).respond(491)
            assert usage.outgoing is not None and usage.outgoing.next_deadline is not None
            self.assertTrue(least <= usage.outgoing.next_deadline - pair.now <= most)

    def test_491_for_ever(self) -> None:
        """A peer that always says 491 is believed at last: the application hears of it: row:H19."""
        one = OneUsage("we re-INVITE")
        for _ in range(20):
            one.respond(491)
            if one.usage.outgoing is None:
                break
            one.pair.wait(4.1)
        self.assertIn("modified 491", one.party.heard)
        self.assertEqual(one.present, "confirmed")

    def test_theirs_first(self) -> None:
        """While ours waits to be sent again the peer's goes through; ours follows when that is done: fault:D3."""
        one = OneUsage("we wait after 491")
        one.receive("INVITE", OFFER)
        one.pair.wait(4.1)
        self.assertEqual(one.present, "confirmed: they re-INVITE, we wait;")
        one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        one.receive("ACK")
        one.pair.wait(0.6)
        self.assertEqual(one.present, "confirmed: we re-INVITE;")

    def test_500_with_retry_after(self) -> None:
        """500 with a short Retry-After sends it again then (section 14.2); a few times, not for ever."""
        one = OneUsage("we UPDATE")
        for _ in range(4):
            one.respond(500, None, ("Retry-After", "3"))
            self.assertEqual(one.present, "confirmed: we wait;")
            one.pair.wait(2.9)
            self.assertEqual(sent(one), [])
            one.pair.wait(0.2)
            self.assertEqual(sent(one), ["UPDATE"])
        one.respond(500, None, ("Retry-After", "3"))
        self.assertEqual(one.party.heard, ["modified 500"])

    def test_500_without(self) -> None:
        """500 without Retry-After, with a long one, or one that cannot be read, is the outcome."""
        for fields in ((), (("Retry-After", "60"),), (("Retry-After", "soon"),)):
            one = OneUsage("we re-INVITE")
            one.respond(500, None, *fields)
            self.assertEqual(one.party.heard, ["modified 500"])

    def test_call_off_what_waits(self) -> None:
        """What only waits to be sent again is dropped: row:H21."""
        for status, fields in ((491, ()), (500, (("Retry-After", "5"),))):
            one = OneUsage("we re-INVITE")
            one.respond(status, None, *fields)
            self.assertTrue(one.usage.cancel_modification(one.pair.now))
            one.party.work()
            one.pair.wait(10.0)
            self.assertEqual(one.party.heard, ["modified InvalidOperation"])
            self.assertNotIn("INVITE", sent(one))


class CancelTests(SynchronousTestCase):
    """Calling off a re-INVITE (section 9.1, RFC 6141 section 3.8): row:H21."""

    def test_while_it_rings(self) -> None:
        """CANCEL goes at once where the peer has said that it works on it; 487 is the outcome: row:H21."""
        pair = established()
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(0.3)
        self.assertIn("< 100", pair.ladder())
        self.assertTrue(pair.alice.usage.cancel_modification(pair.now))
        self.assertTrue(pair.alice.usage.cancel_modification(pair.now))
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.ladder(), ["> INVITE", "< 100", "> CANCEL", "< 200", "< 487", "> ACK"])
        self.assertEqual((pair.alice.heard, pair.bob.heard), (["modified 487"], ["offer", "offer withdrawn by CANCEL"]))

    def test_before_it_rings(self) -> None:
        """Without a response yet, CANCEL waits for the first one (section 9.1): row:H21."""
        one = OneUsage("we re-INVITE")
        self.assertTrue(one.usage.cancel_modification(one.pair.now))
        one.party.work()
        self.assertNotIn("CANCEL", sent(one))
        one.respond(180)
        self.assertEqual(sent(one), ["CANCEL"])

    def test_the_2xx_crosses(self) -> None:
        """A 2xx that crosses the CANCEL counts: the change has happened: row:H21."""
        pair = established()
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.wait(0.3)
        pair.bob.usage.answer(ANSWER, pair.now)
        pair.alice.usage.cancel_modification(pair.now)
        pair.alice.work()
        pair.bob.work()
        pair.wait(1.0)
        self.assertEqual(pair.alice.heard, ["answer", "modified 200"])
        self.assertIs(pair.bob.usage.awaited_ack, None)

    def test_never_answered(self) -> None:
        """Without a final response 64*T1 after CANCEL the change counts as cancelled (section 9.1): row:H21."""
        one = OneUsage("we re-INVITE")
        one.respond(180)
        one.usage.cancel_modification(one.pair.now)
        one.party.work()
        one.pair.wait(33.0)
        self.assertEqual(one.party.heard, ["modified OperationTimeout"])
        self.assertEqual(one.present, "confirmed")
        self.assertIs(one.usage.offer_answer.state, OfferAnswerState.AGREED)

    def test_hung_up_before_its_first_response(self) -> None:
        """A re-INVITE that begins to ring when the session is over, and is never answered, is let go: fault:D3."""
        one = OneUsage("we re-INVITE")
        one.usage.bye(one.pair.now)
        one.party.work()
        invite = parse_message([octets for octets in one.pair.octets if octets.startswith(b"INVITE")][-1])
        fields = [(name, invite.headers[name]) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        one.party.receive(Response(180, None, fields).serialise())
        one.pair.wait(200.0)
        self.assertEqual(set(one.party.inventory().values()), {0})

    def test_before_it_was_sent(self) -> None:
        """What still waits for a flow is never sent: row:H21."""
        pair = established()
        pair.alice.is_dialling = True
        pair.alice.usage.modify(NEW, pair.now)
        pair.alice.work()
        pair.alice.usage.cancel_modification(pair.now)
        pair.alice.work()
        pair.alice.dialled()
        pair.wait(1.0)
        self.assertEqual((pair.ladder(), pair.alice.heard), ([], ["modified InvalidOperation"]))

    def test_update(self) -> None:
        """An UPDATE cannot be cancelled, and nothing neither: row:H21."""
        one = OneUsage("we UPDATE")
        self.assertFalse(one.usage.cancel_modification(one.pair.now))
        self.assertFalse(OneUsage("confirmed").usage.cancel_modification(0.0))

    def test_a_peer_that_falls_silent(self) -> None:
        """A peer that works on it and then says nothing for minutes is waited for no longer (section 16.8)."""
        one = OneUsage("we re-INVITE")
        one.respond(180)
        one.pair.wait(150.0)
        one.respond(180)
        one.pair.wait(150.0)
        self.assertEqual(sent(one), [])
        one.pair.wait(50.0)
        self.assertEqual(sent(one), ["CANCEL"])
        one.pair.wait(40.0)
        self.assertEqual((one.party.heard, one.present), (["modified OperationTimeout"], "confirmed"))

    def test_no_second_try(self) -> None:
        """What was called off is not sent again because of a 491."""
        one = OneUsage("we re-INVITE")
        one.respond(180)
        one.usage.cancel_modification(one.pair.now)
        one.party.work()
        one.respond(491)
        self.assertEqual(one.party.heard, ["modified 491"])


class ReliableTests(SynchronousTestCase):
    """Provisional responses to a re-INVITE that have to arrive (RFC 3262, RFC 6141 sections 3 and 4)."""

    def test_acknowledged(self) -> None:
        """A reliable one is acknowledged once, and refreshes the target; an unreliable one does neither."""
        one = OneUsage("we re-INVITE")
        one.respond(183)
        self.assertEqual(sent(one), [])
        one.respond(183, None, *RELIABLE)
        self.assertEqual(sent(one), ["PRACK"])
        self.assertTrue(one.pair.octets[-1].startswith(b"PRACK sip:moved@192.0.2.77 "))
        self.assertIn(b"RAck: 1 2 INVITE", one.pair.octets[-1])

    def test_undone(self) -> None:
        """What a reliable response had agreed on and a failure undoes is offered anew (RFC 6141 section 3.4)."""
        one = OneUsage("we re-INVITE")
        before = one.usage.local_description
        one.respond(183, ANSWER, *RELIABLE)
        self.assertEqual(one.party.heard, ["answer"])
        reinvite = next(each for each in one.party.core.layer.table.clients.values() if each.method == "INVITE")
        one.party.core.layer.table.clients = {
            key: each for key, each in one.party.core.layer.table.clients.items() if each is reinvite
        }
        one.respond(488)
        self.assertEqual(one.party.heard, ["modified 488"])
        self.assertEqual(sent(one)[:2], ["ACK", "INVITE"])
        again = parse_message(one.pair.octets[-1])
        assert before is not None
        self.assertEqual(again.body, before.body)

    def test_undone_without_end(self) -> None:
        """A peer that agrees and refuses each time is offered it as it was once, and not for ever (RFC 6141 section
        3.4): fault:D3."""
        one = OneUsage("we re-INVITE")
        clients = one.party.core.layer.table.clients
        said = []
        for _ in range(2):
            one.respond(183, ANSWER, *RELIABLE)
            for prack in [each for each in clients.values() if each.method == "PRACK"]:
                one.party.core.layer.abandon(prack, one.pair.now)
                clients.pop(prack.key, None)
            one.respond(488)
            said += sent(one)
        self.assertEqual([what for what in said if what != "100"], ["ACK", "INVITE", "ACK"])


class UpdateTests(SynchronousTestCase):
    """UPDATE (RFC 3311)."""

    def test_established(self) -> None:
        """An offer and its answer without an ACK: row:H11."""
        pair = established()
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.alice.usage.modify(NEW, pair.now, method="UPDATE")
        pair.alice.work()
        pair.wait(1.0)
        self.assertEqual(pair.ladder(), ["> UPDATE", "< 200"])
        self.assertEqual(pair.alice.heard, ["answer", "modified 200"])

    def test_early_both_sides(self) -> None:
        """Before the call is accepted, each side can change what was agreed in a reliable response: row:H11."""
        self.change_early("alice")
        self.change_early("bob")

    def change_early(self, name: str) -> None:
        """One of the two changes the early session, then the call is accepted."""
        pair = Pair()
        pair.bob.on_invite = lambda invitation: invitation.ring(pair.now, 183, description=ANSWER, reliable=True)
        pair.alice.call()
        pair.wait(1.0)
        party = pair.alice if name == "alice" else pair.bob
        pair.other(party).on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        forget(pair)
        party.usage.modify(NEW, pair.now)
        party.work()
        pair.wait(1.0)
        self.assertEqual(sorted(what[2:] for what in pair.ladder()), ["200", "UPDATE"])
        self.assertEqual(party.heard, ["answer", "modified 200"])
        self.assertNotIn(b"Session-Expires", b"".join(pair.octets))
        pair.bob.calls[0].accept(pair.now)
        pair.bob.work()
        pair.wait(1.0)
        self.assertEqual(pair.alice.heard[-1], "established")

    def test_peer_without(self) -> None:
        """A peer whose Allow lacks UPDATE is sent none (RFC 3311 section 4)."""
        pair = Pair()
        pair.bob.profile.disallow("UPDATE")
        established(pair)
        with self.assertRaises(InvalidOperation):
            pair.alice.usage.modify(NEW, pair.now, method="UPDATE")

    def test_glare(self) -> None:
        """Two UPDATEs with offers cross: both 491, both go through later (RFC 3311 section 5.2): fault:D3 row:H11."""
        pair = established()
        for party in (pair.alice, pair.bob):
            party.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
            party.usage.modify(NEW, pair.now, method="UPDATE")
            party.work()
        pair.wait(8.0)
        self.assertEqual(pair.ladder()[:4], ["> UPDATE", "< UPDATE", "< 491", "> 491"])
        outcomes = [
            effect.response.status
            for party in (pair.alice, pair.bob)
            for effect in party.effects
            if isinstance(effect, ModificationEnded) and effect.response is not None
        ]
        self.assertEqual(outcomes, [200, 200])
