"""Changes that the peer asks for, by re-INVITE and by UPDATE: what is answered here, and what the application answers
(RFC 3261 section 14.2, RFC 3311 section 5.2, RFC 6141)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import AlreadyResponded, ConnectionFailure, InvalidOperation
from sip_p2p.sip.dialog.description import ContentDescription
from sip_p2p.sip.dialog.effects import OfferReceived, OfferWithdrawn
from sip_p2p.sip.dialog.offer_answer import OfferAnswerState
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import RequestAbandoned
from sip_p2p.sip.parse import parse_datagram
from tests.sip.dialog.one_usage import NEW, OneUsage
from tests.sip.dialog.pair import ANSWER, OFFER
from tests.sip.dialog.test_usage import established


def last_response(one: OneUsage) -> Response:
    """What the party said last."""
    message = parse_datagram(one.pair.octets[-1])
    assert isinstance(message, Response)
    return message


class OfferTests(SynchronousTestCase):
    """What the application is asked, and what it may say: row:H20."""

    def test_answer(self) -> None:
        """An offer is told with its request; the answer goes into the 2xx: row:H20."""
        one = OneUsage("confirmed")
        one.receive("INVITE", OFFER, ("Subject", "hold"))
        (told,) = one.party.effects[-1:]
        assert isinstance(told, OfferReceived) and told.request is not None
        self.assertEqual((told.description, told.request.headers.get("Subject")), (OFFER, "hold"))
        one.usage.answer(NEW, one.pair.now, (("X-Note", "yes"),))
        one.party.work()
        response = last_response(one)
        self.assertEqual((response.status, response.body), (200, NEW.body))
        self.assertEqual(response.headers.get("X-Note"), "yes")
        self.assertIs(one.usage.local_description, NEW)

    def test_disposition(self) -> None:
        """A description that says what it is for keeps saying it (RFC 5621)."""
        one = OneUsage("they re-INVITE")
        one.usage.answer(ContentDescription(b"v=0\r\n", "application/sdp", "session;handling=required"), one.pair.now)
        one.party.work()
        self.assertEqual(last_response(one).headers.get("Content-Disposition"), "session;handling=required")

    def test_answer_is_missing(self) -> None:
        """An offer cannot be accepted without an answer; it still waits then."""
        one = OneUsage("they re-INVITE")
        with self.assertRaises(InvalidOperation):
            one.usage.answer(None, one.pair.now)
        one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        self.assertEqual(last_response(one).status, 200)

    def test_field_that_cannot_be_written(self) -> None:
        """A field with a line break is refused before anything has changed: the offer waits on."""
        one = OneUsage("they re-INVITE")
        with self.assertRaises(ValueError):
            one.usage.answer(ANSWER, one.pair.now, (("X-Evil", "a\r\nb"),))
        one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        self.assertEqual(last_response(one).status, 200)

    def test_decline(self) -> None:
        """488 with the application's words leaves all as it was, the target too (section 14.2): row:H20."""
        one = OneUsage("confirmed")
        target = one.usage.dialog.remote_target
        one.receive("INVITE", OFFER)
        self.assertNotEqual(str(one.usage.dialog.remote_target), str(target))
        one.usage.decline(488, one.pair.now, (("Warning", '304 here "no such codec"'),), "No Thanks")
        one.party.work()
        response = last_response(one)
        self.assertEqual((response.status, response.reason), (488, "No Thanks"))
        self.assertIn("Warning", response.headers)
        self.assertEqual(str(one.usage.dialog.remote_target), str(target))
        self.assertIs(one.usage.offer_answer.state, OfferAnswerState.AGREED)

    def test_declining_is_for_failures(self) -> None:
        """Only 300 to 699 decline."""
        one = OneUsage("they re-INVITE")
        for status in (100, 200, 299, 700):
            with self.assertRaises(ValueError):
                one.usage.decline(status, one.pair.now)

    def test_offer_wanted(self) -> None:
        """A re-INVITE without an offer asks for one; the answer comes with the ACK: row:H20 row:H22."""
        one = OneUsage("confirmed")
        one.receive("INVITE")
        one.usage.answer(NEW, one.pair.now)
        one.party.work()
        one.receive("ACK", ANSWER)
        self.assertEqual(one.party.heard, ["offer wanted", "answer"])

    def test_no_answer_in_the_ack(self) -> None:
        """An ACK without the answer that it owes leaves the session as it was before (RFC 6141 section 3.3)."""
        one = OneUsage("confirmed")
        one.receive("INVITE")
        one.usage.answer(NEW, one.pair.now)
        one.party.work()
        one.receive("ACK")
        self.assertEqual((one.party.heard, one.present), (["offer wanted"], "confirmed"))
        self.assertIs(one.usage.offer_answer.state, OfferAnswerState.AGREED)

    def test_moving(self) -> None:
        """What was accepted refreshes the target (section 12.2.2, RFC 3311 section 5.2)."""
        for method in ("INVITE", "UPDATE"):
            one = OneUsage("confirmed")
            one.receive(method, OFFER)
            one.usage.answer(ANSWER, one.pair.now)
            one.party.work()
            self.assertEqual(str(one.usage.dialog.remote_target), "sip:moved@192.0.2.77")

    def test_target_that_was_taken(self) -> None:
        """RFC 6141 sections 4.4 and 4.6: where a reliable response was sent, another request has moved the peer, or one
        of ours has gone to the new target, a refusal does not take the target back."""
        for what in ("reliable", "UPDATE", "request"):
            one = OneUsage("confirmed")
            one.receive("INVITE", OFFER, *((("Require", "100rel"),) if what == "reliable" else ()))
            if what == "reliable":
                one.usage.progress(183, one.pair.now)
            elif what == "UPDATE":
                one.receive("UPDATE")
            else:
                one.usage.request("MESSAGE", one.pair.now, b"hello", "text/plain")
            one.party.work()
            one.usage.decline(488, one.pair.now)
            one.party.work()
            self.assertEqual(str(one.usage.dialog.remote_target), "sip:moved@192.0.2.77", what)


class PackageTests(SynchronousTestCase):
    """What a change says of Info Packages (RFC 6086)."""

    def test_only_who_asks_is_told(self) -> None:
        """RFC 6086 section 5.2.3: Recv-Info answers Recv-Info, and stands in no other response: row:H25."""
        for method in ("INVITE", "UPDATE"):
            for fields in ((), (("Recv-Info", ""),)):
                one = OneUsage("confirmed")
                one.usage.profile.info_packages = ("dtmf",)
                one.receive(method, OFFER, *fields)
                one.usage.answer(ANSWER, one.pair.now)
                one.party.work()
                self.assertEqual(last_response(one).headers.get("Recv-Info"), "dtmf" if fields else None)

    def test_refused(self) -> None:
        """RFC 6086 section 5.2.4: what a change that is refused said of packages was never said: row:H25."""
        for is_said_again in (False, True):
            one = OneUsage("confirmed")
            one.receive("UPDATE", None, ("Recv-Info", "one"))
            one.receive("INVITE", OFFER, ("Recv-Info", "two"))
            self.assertEqual(one.usage.capabilities.info_packages, {"two"})
            if is_said_again:
                # What another request has said since then is not touched.
                one.receive("UPDATE", None, ("Recv-Info", "three"))
            one.usage.decline(488, one.pair.now)
            one.party.work()
            self.assertEqual(one.usage.capabilities.info_packages, {"three" if is_said_again else "one"})


class WithdrawnTests(SynchronousTestCase):
    """An offer that nobody waits for any more."""

    def test_cancelled(self) -> None:
        """CANCEL ends the re-INVITE with 487, and the application hears of it, with the CANCEL: row:H20."""
        one = OneUsage("they re-INVITE")
        one.give("CANCEL")
        told = one.party.effects[-1]
        assert isinstance(told, OfferWithdrawn) and told.request is not None
        self.assertEqual(told.request.method, "CANCEL")
        self.assertIs(one.usage.offer_answer.state, OfferAnswerState.AGREED)
        with self.assertRaises(InvalidOperation):
            one.usage.answer(ANSWER, one.pair.now)

    def test_answer_that_comes_too_late(self) -> None:
        """An answer to what has been cancelled is refused, however early it comes: row:H20."""
        one = OneUsage("they re-INVITE")
        assert one.usage.incoming is not None
        transaction = one.usage.incoming.transaction
        one.party.core.respond(transaction, one.party.core.response(transaction, 487), one.pair.now)
        with self.assertRaises(AlreadyResponded):
            one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        self.assertEqual((one.party.heard, one.present), (["offer withdrawn"], "confirmed"))

    def test_answer_before_the_loss_is_told(self) -> None:
        """An answer for a flow that is gone already is refused, and the change withdrawn (section 17.2.4)."""
        one = OneUsage("they re-INVITE")
        one.party.core.flow_failed(one.party.flow, ConnectionFailure("gone"), one.pair.now)
        with self.assertRaises(AlreadyResponded):
            one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        self.assertEqual((one.party.heard, one.present), (["offer withdrawn"], "confirmed"))

    def test_flow_lost(self) -> None:
        """With the flow goes what came by it; the session goes on (section 17.2.4)."""
        one = OneUsage("they re-INVITE")
        one.party.lose_flow(ConnectionFailure("gone"))
        self.assertEqual((one.party.heard, one.present), (["offer withdrawn"], "confirmed"))

    def test_update_in_time(self) -> None:
        """An UPDATE that the application forgets is answered 500 before its sender gives up, and withdrawn."""
        one = OneUsage("they UPDATE")
        one.pair.wait(40.0)
        self.assertEqual((one.party.heard, one.present), (["offer withdrawn"], "confirmed"))
        self.assertEqual(last_response(one).status, 500)

    def test_of_somebody_else(self) -> None:
        """What becomes of another request is nothing to a change."""
        one = OneUsage("they re-INVITE")
        other = OneUsage("they re-INVITE")
        assert other.usage.incoming is not None
        one.usage.abandoned(RequestAbandoned(other.usage.incoming.transaction, "gone"), one.pair.now)
        self.assertEqual(one.present, "confirmed: they re-INVITE;")


class RefusedTests(SynchronousTestCase):
    """What is refused before anybody is asked."""

    def test_retry_after(self) -> None:
        """A 500 says when to come again, 0 to 10 s (section 14.2, RFC 3311 section 5.2)."""
        for method, state in (("INVITE", "they re-INVITE"), ("UPDATE", "they UPDATE"), ("INVITE", "they UPDATE")):
            one = OneUsage(state)
            one.receive(method, OFFER)
            response = last_response(one)
            self.assertEqual(response.status, 500)
            self.assertIn(int(response.headers["Retry-After"]), range(11))

    def test_body_that_cannot_be_read(self) -> None:
        """A body whose disposition is none is refused, and nothing has changed (section 21.4.1)."""
        one = OneUsage("confirmed")
        target = one.usage.dialog.remote_target
        one.receive("UPDATE", OFFER, ("Content-Disposition", ";"))
        self.assertEqual((last_response(one).status, one.present), (400, "confirmed"))
        self.assertIs(one.usage.dialog.remote_target, target)
        one.receive("UPDATE", OFFER)
        self.assertEqual(one.party.heard, ["offer"])

    def test_contact_that_cannot_be_taken(self) -> None:
        """A Contact of two addresses is refused, and the target stays (section 8.1.1.8)."""
        one = OneUsage("confirmed")
        target = one.usage.dialog.remote_target
        one.receive("UPDATE", OFFER, ("Contact", "<sip:second@192.0.2.78>"))
        self.assertEqual(last_response(one).status, 400)
        self.assertIs(one.usage.dialog.remote_target, target)
        one.receive("UPDATE", OFFER)
        self.assertEqual(one.party.heard, ["offer"])

    def test_contact_under_sips(self) -> None:
        """Who comes by ``sips``, or to our ``sips`` Contact, is given one again, whatever dialog it is (section
        12.1.1)."""
        one = OneUsage("confirmed")
        self.assertFalse(one.usage.dialog.is_secure)
        for route, scheme in (("<sip:p.example;lr>", "<sip:"), ("<sips:p.example;lr>", "<sips:")):
            one.receive("UPDATE", None, ("Record-Route", route))
            self.assertEqual(last_response(one).headers["Contact"].partition(one.party.name)[0], scheme)

    def test_without_acks(self) -> None:
        """Of a peer that acknowledges nothing a few re-INVITEs are accepted, and no more before it does: fault:C6."""
        one = OneUsage("confirmed")
        statuses = []
        for _ in range(1200):
            one.receive("INVITE", OFFER)
            if one.usage.incoming is not None:
                one.usage.answer(ANSWER, one.pair.now)
            one.party.work()
            statuses.append(last_response(one).status)
        self.assertEqual(statuses, [200] * 4 + [500] * 1196)
        self.assertIn("Retry-After", last_response(one).headers)
        one.receive("ACK")
        one.receive("INVITE", OFFER)
        self.assertIs(one.usage.incoming is None, False)

    def test_ack_that_is_overtaken(self) -> None:
        """RFC 6141 section 5.4: a peer that has lost its address, and with it our 2xx, is not hung up on when it has
        come with another re-INVITE; but it is when it acknowledges that one neither. fault:C6"""
        for acknowledges in (True, False):
            one = OneUsage("they owe an ACK")
            one.receive("INVITE", OFFER)
            one.usage.answer(ANSWER, one.pair.now)
            one.party.work()
            if acknowledges:
                one.receive("ACK")
            one.pair.wait(31.0)
            self.assertEqual(one.present, "confirmed: they owe an ACK;")
            one.pair.wait(3.0)
            sent = [name for _, party, name in one.pair.sent if party is one.party]
            self.assertEqual(sent.count("BYE") == 0, acknowledges)
            if acknowledges:
                # Nothing is left of it.
                self.assertEqual((one.present, one.usage.awaited_ack), ("confirmed", None))

    def test_while_a_re_invite_waits(self) -> None:
        """An UPDATE that only refreshes is answered at once, and the re-INVITE waits on (RFC 3311 section 5.2)."""
        one = OneUsage("they re-INVITE")
        one.receive("UPDATE")
        self.assertEqual((last_response(one).status, one.present), (200, "confirmed: they re-INVITE;"))
        one.usage.answer(ANSWER, one.pair.now)
        one.party.work()
        self.assertEqual(last_response(one).body, ANSWER.body)


class ProgressTests(SynchronousTestCase):
    """Provisional responses to a re-INVITE: row:H20."""

    def test_unreliable(self) -> None:
        """Any of 101 to 199 says that it takes its time: row:H20."""
        one = OneUsage("they re-INVITE")
        one.usage.progress(182, one.pair.now, (("X-Place", "3"),), "Queued, third")
        one.party.work()
        response = last_response(one)
        self.assertEqual((response.status, response.reason), (182, "Queued, third"))
        self.assertIn("Contact", response.headers)
        for status in (100, 200):
            with self.assertRaises(ValueError):
                one.usage.progress(status, one.pair.now)

    def test_expires(self) -> None:
        """A re-INVITE that has expired is refused 487, and the session goes on as it was (section 13.3.1, step 1):
        row:H20."""
        for value, at in (("20", 20.0), ("0", 0.0), ("soon", None)):
            one = OneUsage("confirmed")
            began, target = one.pair.now, one.usage.dialog.remote_target
            one.receive("INVITE", OFFER, ("Expires", value))
            if at is not None:
                one.pair.wait(max(0.0, at - 0.1))
                self.assertIs(one.usage.incoming is None, at == 0.0)
                one.pair.wait(0.2)
                self.assertEqual((last_response(one).status, one.present), (487, "confirmed"))
                self.assertIs(one.usage.dialog.remote_target, target)
                self.assertEqual(one.party.heard[-1], "offer withdrawn")
            else:
                one.pair.wait(50.0)
                self.assertIsNotNone(one.usage.incoming)
            self.assertLess(one.pair.now - began, 51.0)

    def test_reliable(self) -> None:
        """A re-INVITE that requires 100rel gets them reliably, one at a time (RFC 3262 section 3): row:H20."""
        one = OneUsage("confirmed")
        one.receive("INVITE", OFFER, ("Require", "100rel"))
        one.usage.progress(183, one.pair.now)
        one.usage.progress(182, one.pair.now)
        one.party.work()
        first = last_response(one)
        self.assertEqual((first.status, first.headers.get("Require")), (183, "100rel"))
        one.pair.wait(0.6)
        self.assertEqual(last_response(one).headers.get("RSeq"), first.headers["RSeq"])
        one.receive("PRACK", None, ("RAck", f"{first.headers['RSeq']} {first.cseq}"))
        self.assertEqual(last_response(one).status, 182)
        one.receive("PRACK", None, ("RAck", f"{first.headers['RSeq']} {first.cseq}"))
        self.assertEqual(last_response(one).status, 481)

    def test_never_acknowledged(self) -> None:
        """Without a PRACK for 64*T1 the re-INVITE is refused 504, and the session goes on (RFC 3262 section 3)."""
        one = OneUsage("confirmed")
        one.receive("INVITE", OFFER, ("Require", "100rel"))
        one.usage.progress(183, one.pair.now)
        one.party.work()
        one.pair.wait(33.0)
        self.assertEqual((one.party.heard, one.present), (["offer", "offer withdrawn"], "confirmed"))
        self.assertIn("504", [name for _, party, name in one.pair.sent if party is one.party])

    def test_each_minute(self) -> None:
        """A re-INVITE that is thought about for long is kept alive each minute (13.3.1.1): row:H20."""
        for reliable in (False, True):
            one = OneUsage("confirmed")
            one.receive("INVITE", OFFER, *((("Require", "100rel"),) if reliable else ()))
            one.pair.wait(59.0)
            one.pair.sent.clear()
            one.pair.wait(2.0)
            self.assertEqual(last_response(one).status, 183)
            self.assertEqual("RSeq" in last_response(one).headers, reliable)

    def test_as_it_was(self) -> None:
        """Each minute what was said last is said again: row:H20."""
        one = OneUsage("they re-INVITE")
        one.usage.progress(182, one.pair.now)
        one.party.work()
        for _ in range(5):
            one.pair.sent.clear()
            one.pair.wait(60.0)
            self.assertEqual([name for _, party, name in one.pair.sent if party is one.party], ["182"])

    def test_nothing_to_say(self) -> None:
        """Where a reliable response would have to make the offer, nothing is said: the offer is the application's."""
        one = OneUsage("confirmed")
        one.receive("INVITE", None, ("Require", "100rel"))
        one.pair.sent.clear()
        one.pair.wait(200.0)
        self.assertNotIn("183", [name for _, party, name in one.pair.sent])

    def test_not_for_update(self) -> None:
        """An UPDATE has no provisional responses (RFC 4320)."""
        one = OneUsage("they UPDATE")
        with self.assertRaises(InvalidOperation):
            one.usage.progress(183, one.pair.now)


class RecordRouteTests(SynchronousTestCase):
    """Routes in a change."""

    def test_they_go_back(self) -> None:
        """The 2xx repeats them, and the route set stays what it was (sections 12.1.1 and 12.2): limit:L15."""
        for method in ("INVITE", "UPDATE"):
            one = OneUsage("confirmed")
            routes = ("<sip:p1.example;lr>", "<sip:p2.example;lr>")
            one.receive(method, OFFER, *(("Record-Route", route) for route in routes))
            one.usage.answer(ANSWER, one.pair.now)
            one.party.work()
            self.assertEqual(last_response(one).headers.get_all("Record-Route"), list(routes))
            self.assertEqual(one.usage.dialog.route_set, ())


class BothTests(SynchronousTestCase):
    """Changes one after the other, from both sides."""

    def test_taking_turns(self) -> None:
        """Twenty changes, by turns and by both methods, leave nothing behind: row:H19 row:H20."""
        pair = established()
        pair.alice.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        pair.bob.on_offer = lambda offer: offer.owner.answer(ANSWER, pair.now)
        for turn in range(20):
            party = pair.alice if turn % 2 else pair.bob
            party.usage.modify(NEW, pair.now, method="UPDATE" if turn % 4 > 1 else "INVITE")
            party.work()
            pair.wait(1.0)
            self.assertEqual(party.heard[-1], "modified 200")
        pair.wait(40.0)
        for party in (pair.alice, pair.bob):
            held = {name: count for name, count in party.inventory().items() if name not in ("dialogs", "appointments")}
            self.assertEqual(set(held.values()), {0})
