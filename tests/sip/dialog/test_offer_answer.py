"""Where offers and answers may stand: every state and message, and the tables and sentences of the standards."""

from __future__ import annotations

import copy

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.offer_answer import OfferAnswer, OfferAnswerState, Place, Role
from tests.sip.dialog.offer_answer_table import PLACES, ROADS
from tests.sip.dialog.offer_answer_table import TABLE as MESSAGES

STATES = ("nothing-yet", "local-offer", "remote-offer", "agreed", "failed")
INPUTS = (
    *("we offer", "we answer", "the peer offers", "the peer answers", "the answer is missing"),
    *("we decline", "the request failed"),
)

TABLE = [
    # state, input, what follows in a dialog whose offers stand in INVITE, from the first one to the next
    ("nothing-yet", "we offer", "local-offer >offer"),
    ("nothing-yet", "we answer", "nothing-yet !InvalidOperation"),
    ("nothing-yet", "the peer offers", "remote-offer <offer"),
    ("nothing-yet", "the peer answers", "nothing-yet counted:faults"),
    ("nothing-yet", "the answer is missing", "nothing-yet"),
    ("nothing-yet", "we decline", "nothing-yet"),
    ("nothing-yet", "the request failed", "nothing-yet"),
    ("local-offer", "we offer", "local-offer !InvalidOperation"),
    ("local-offer", "we answer", "local-offer !InvalidOperation"),
    ("local-offer", "the peer offers", "local-offer >491"),
    ("local-offer", "the peer answers", "agreed <answer"),
    ("local-offer", "the answer is missing", "failed counted:faults"),
    ("local-offer", "we decline", "local-offer"),
    ("local-offer", "the request failed", "nothing-yet"),
    ("remote-offer", "we offer", "remote-offer !InvalidOperation"),
    ("remote-offer", "we answer", "agreed >answer"),
    ("remote-offer", "the peer offers", "remote-offer >500"),
    ("remote-offer", "the peer answers", "remote-offer counted:faults"),
    ("remote-offer", "the answer is missing", "remote-offer"),
    ("remote-offer", "we decline", "nothing-yet >488"),
    ("remote-offer", "the request failed", "nothing-yet"),
    ("agreed", "we offer", "local-offer >offer"),
    ("agreed", "we answer", "agreed !InvalidOperation"),
    ("agreed", "the peer offers", "remote-offer <offer"),
    ("agreed", "the peer answers", "agreed counted:faults"),
    ("agreed", "the answer is missing", "agreed"),
    ("agreed", "we decline", "agreed"),
    ("agreed", "the request failed", "agreed"),
    ("failed", "we offer", "failed !InvalidOperation"),
    ("failed", "we answer", "failed !InvalidOperation"),
    ("failed", "the peer offers", "failed >500"),
    ("failed", "the peer answers", "failed counted:faults"),
    ("failed", "the answer is missing", "failed"),
    ("failed", "we decline", "failed"),
    ("failed", "the request failed", "failed"),
]

STEPS = {
    "we offer": "> INVITE+",
    "we answer": "> 2xx+",
    "the peer offers": "< INVITE+",
    "the peer answers": "< 2xx+",
    "the answer is missing": "< 2xx",
}
BEGINNINGS = {
    "nothing-yet": "",
    "local-offer": "> INVITE+",
    "remote-offer": "< INVITE+",
    "agreed": "> INVITE+, < 2xx+, > ACK",
    "failed": "> INVITE+, < 2xx",
}

AGAIN = "> INVITE+, < 2xx+, > ACK, "
OUR_EARLY = "> INVITE+, < 1xx+, > PRACK, < PRACK 2xx"
THEIR_EARLY = "< INVITE+, > 1xx+, < PRACK, > PRACK 2xx"

OCCASIONS = {
    # where we make the offer: what came before the first exchange, in an established dialog, and in an early one
    "INVITE": ("", AGAIN, OUR_EARLY),
    "2xx": ("< INVITE", AGAIN + "< INVITE", THEIR_EARLY),
    "1xx": ("< INVITE", AGAIN + "< INVITE", THEIR_EARLY),
    "PRACK": ("> INVITE, < 1xx", AGAIN + "> INVITE+, < 1xx+", OUR_EARLY),
    "UPDATE": ("", AGAIN, OUR_EARLY),
}

PATTERNS = [
    # RFC 6337 Table 1: offer, answer, and whether it can be the first exchange, one in an established dialog, and a
    # further one in an early dialog
    ("INVITE", "2xx", "Y", "Y", "N"),
    ("2xx", "ACK", "Y", "Y", "N"),
    ("INVITE", "1xx", "Y", "Y", "N"),
    ("1xx", "PRACK", "Y", "Y", "N"),
    ("PRACK", "PRACK 2xx", "N", "Y", "Y"),
    ("UPDATE", "UPDATE 2xx", "N", "Y", "Y"),
]

REJECTIONS = [
    # RFC 6337 Table 2: where the offer stood, how it is rejected; 0 is an answer all the same, or the end
    ("> INVITE+, < 2xx+, > ACK, < INVITE+", 488, "agreed"),
    ("< INVITE+", 488, "nothing-yet"),
    ("> INVITE, < 2xx+", 0, "remote-offer"),
    ("> INVITE, < 1xx+", 0, "remote-offer"),
    ("< INVITE+, > 1xx+, < PRACK+", 0, "remote-offer"),
    ("> INVITE+, < 2xx+, > ACK, < UPDATE+", 488, "agreed"),
]


FALLBACKS = [
    # what happened, what failed, the state that is left, and whether the two may now see the session differently
    ("> INVITE+", "INVITE", "nothing-yet", False),
    ("< INVITE+", "INVITE", "nothing-yet", False),
    ("< INVITE, > 1xx+", "INVITE", "nothing-yet", False),
    ("> INVITE+, < lost 1xx+", "INVITE", "nothing-yet", False),
    (AGAIN + "> INVITE+", "INVITE", "agreed", False),
    (AGAIN + "< INVITE+", "INVITE", "agreed", False),
    (AGAIN + "> INVITE", "INVITE", "agreed", False),
    (AGAIN + "> INVITE, < 1xx+", "INVITE", "agreed", False),
    (AGAIN + "> INVITE, < 1xx+, > PRACK+", "INVITE", "agreed", True),
    (AGAIN + "> INVITE+, < 1xx+", "INVITE", "agreed", True),
    (AGAIN + "< INVITE+, > 1xx+", "INVITE", "agreed", True),
    (AGAIN + "> INVITE+, < 1xx+, > PRACK+", "INVITE", "agreed", True),
    (AGAIN + "> INVITE+, < 1xx+, > PRACK, < PRACK 2xx, > UPDATE+, < UPDATE 2xx+", "INVITE", "agreed", True),
    (AGAIN + "> INVITE+, < 1xx+, > PRACK, < PRACK 2xx, > UPDATE+", "INVITE", "local-offer", True),
    (AGAIN + "> INVITE+, < 1xx+, > PRACK, < PRACK 2xx, > UPDATE+", "UPDATE", "agreed", False),
    (AGAIN + "> UPDATE+", "UPDATE", "agreed", False),
    (AGAIN + "< UPDATE+", "UPDATE", "agreed", False),
    (AGAIN + "> UPDATE+", "PRACK", "local-offer", False),
    (AGAIN + "> UPDATE+", "", "agreed", False),
    (AGAIN, "INVITE", "agreed", False),
    (AGAIN, "", "agreed", False),
    ("> INVITE, < 2xx, > ACK, > UPDATE+", "UPDATE", "nothing-yet", False),
    # A PRACK that fails takes its offer with it, or its answer; an answer that it only acknowledged stands.
    ("> INVITE+, < 1xx+, > PRACK+", "PRACK", "agreed", False),
    ("> INVITE+, < 1xx+, > PRACK", "PRACK", "agreed", False),
    ("> INVITE, < 1xx+, > PRACK+", "PRACK", "failed", False),
    (AGAIN + "> INVITE, < 1xx+, > PRACK+", "PRACK", "agreed", False),
    ("> INVITE, < 1xx+, > PRACK+, < PRACK 2xx", "PRACK", "agreed", False),
]


def step(machine: OfferAnswer, words: str) -> Role | int:
    """Let one message go (``> INVITE+``) or come (``< 2xx``); with a plus it carries a description."""
    way, name = words.split(" ", 1)
    place, has_body = PLACES[name.removesuffix("+")], name.endswith("+")
    return machine.sending(place, has_body) if way == ">" else machine.received(place, has_body)


def after(road: str) -> OfferAnswer:
    """A machine that has seen the messages of *road*, none of which was refused."""
    machine = OfferAnswer()
    for words in filter(None, (part.strip() for part in road.split(","))):
        outcome = step(machine, words)
        assert isinstance(outcome, Role), (road, words, outcome)
    return machine


def state_word(machine: OfferAnswer) -> str:
    """The state as the tables write it."""
    return machine.state.name.lower().replace("_", "-")


def follows(machine: OfferAnswer, words: str) -> str:
    """What becomes of one message, as the tables write it, but for the next state."""
    faults = machine.faults
    try:
        role = step(machine, words)
    except InvalidOperation as error:
        return " !later" if error.retryable else " !InvalidOperation"
    if isinstance(role, Role):
        said = "" if role is Role.NOTHING else f" {role.name.lower()}"
        return said + (" counted:faults" if machine.faults > faults else "")
    assert machine.faults > faults, "a refusal is counted"
    return f" >{role}"


def surface(machine: OfferAnswer) -> object:
    """Where a description of ours may stand, and where it has to; in which of several 2xx to PRACK is no state's."""
    may = [(machine.may_offer(place), machine.may_stand(place)) for place in Place]
    return may, [machine.must_stand(place) for place in Place if place is not Place.PRACK_2XX], machine.holds_2xx


def look(machine: OfferAnswer) -> object:
    """All that can be seen of a machine, now and after what may follow: two that look alike are in one state."""
    seen = [
        machine.state,
        machine.offer_place,
        machine.is_previewed,
        surface(machine),
        follows(copy.copy(machine), "< INVITE"),
    ]
    # Several PRACKs may be open: the last of their responses says what they were about.
    for words in (["> PRACK 2xx", "< PRACK 2xx"] * 3, [] if machine.owes_answer else ["< 2xx+"], []):
        copied = copy.copy(machine)
        for each in words:
            follows(copied, each)
        if not words:
            copied.rollback()
        seen += [surface(copied), follows(copied, "< UPDATE+")]
    return seen


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """Both tables have every pair once."""
        self.assertEqual([row[:2] for row in TABLE], [(state, what) for state in STATES for what in INPUTS])
        messages = [name + plus for name in PLACES for plus in ("+", "")]
        self.assertEqual([row[:2] for row in MESSAGES], [(state, words) for state in ROADS for words in messages])

    def test_every_pair(self) -> None:
        """RFC 3264 section 4: who may offer and who has to answer, in each state. row:H22"""
        for state, what, expected in TABLE:
            machine = after(BEGINNINGS[state])
            self.assertEqual(state_word(machine), state)
            if what == "we decline":
                said = f" >{status}" if (status := machine.decline()) else ""
            elif what == "the request failed":
                said = "" if not machine.rollback(Place.INVITE) else " changed"
            else:
                said = follows(machine, STEPS[what])
                said = said.replace(" offer", f" {STEPS[what][0]}offer").replace(" answer", f" {STEPS[what][0]}answer")
            outcome = state_word(machine) + said.replace("!later", "!InvalidOperation")
            self.assertEqual(outcome, expected, (state, what))

    def test_every_message(self) -> None:
        """RFC 6337 section 2: what each message does in each state when it is sent, and when it is received. row:H10"""
        states = {str(look(after(road))): state for state, road in ROADS.items()}
        self.assertEqual(len(states), len(ROADS), "two states look alike")
        for state, words, *expected in MESSAGES:
            for way, outcome in zip("><", expected, strict=True):
                machine = after(ROADS[state])
                said = follows(machine, f"{way} {words}")
                self.assertEqual(states[str(look(machine))] + said, outcome, (state, way, words))

    def test_refusals_change_nothing(self) -> None:
        """What is refused, here or to the peer, leaves the exchange that is under way as it was."""
        for state, words, *outcomes in MESSAGES:
            for way, outcome in zip("><", outcomes, strict=True):
                if "!" in outcome or ">491" in outcome or ">500" in outcome:
                    self.assertEqual(outcome.split()[0], state, (way, words))


class StandardTests(SynchronousTestCase):
    """The tables and the sentences of the standards."""

    def test_patterns(self) -> None:
        """RFC 6337 Table 1: the six ways in which an exchange can be made, first, later and in an early dialog."""
        for offer, answer, *verdicts in PATTERNS:
            for road, verdict in zip(OCCASIONS[offer], verdicts, strict=True):
                self.assertEqual(self._is_exchange(road, offer, answer), verdict == "Y", (offer, answer, road))

    def _is_exchange(self, road: str, offer: str, answer: str) -> bool:
        machine = after(road)
        try:
            if step(machine, f"> {offer}+") is not Role.OFFER:
                return False
        except InvalidOperation:
            return False
        self.assertEqual(follows(machine, f"< {answer}+"), " answer")
        return True

    def test_rejections(self) -> None:
        """RFC 6337 Table 2: what is offered in a request can be refused, but not in a response and not in a PRACK."""
        for road, status, state in REJECTIONS:
            machine = after(road)
            self.assertTrue(machine.owes_answer)
            self.assertEqual((machine.decline(), state_word(machine)), (status, state), road)

    def test_fallbacks(self) -> None:
        """RFC 6141 section 3, 14.1: what fails leaves what was agreed before, or tells that nobody can know. row:H19"""
        for road, failed, state, is_doubtful in FALLBACKS:
            machine = after(road)
            changed = machine.rollback(PLACES[failed] if failed else None)
            self.assertEqual((state_word(machine), changed), (state, is_doubtful), (road, failed))

    def test_nothing_is_stuck_after_a_failure(self) -> None:
        """14.1: whatever failed, the next offer can be made by either side."""
        for road, failed, state, _ in FALLBACKS:
            for words in ("> INVITE+", "< INVITE+"):
                machine = after(road)
                machine.rollback(PLACES[failed] if failed else None)
                if failed == "INVITE" and state != "local-offer":
                    self.assertEqual(follows(machine, words), " offer", (road, words))

    def test_previews(self) -> None:
        """13.2.1: SDP in 180, 183 or any other 1xx is the answer that the 2xx will repeat. row:H10 limit:L14"""
        machine = after("> INVITE+")
        self.assertIs(step(machine, "< lost 1xx"), Role.NOTHING)
        self.assertIs(step(machine, "< lost 1xx+"), Role.PREVIEW)
        self.assertTrue(machine.is_previewed and machine.awaits_answer)
        self.assertIs(step(machine, "< lost 1xx+"), Role.NOTHING)
        self.assertEqual(machine.faults, 0)
        # RFC 6337 section 3.1.1: a preview completes nothing, so there can be no further offer yet.
        self.assertFalse(machine.may_offer(Place.UPDATE))
        self.assertEqual(follows(machine, "< UPDATE+"), " >491")
        self.assertIs(step(machine, "< 2xx+"), Role.ANSWER)
        self.assertFalse(machine.is_previewed)

    def test_previews_of_the_callee(self) -> None:
        """13.2.1: the callee may show its answer in any number of provisional responses; the 2xx has to repeat it."""
        machine = after("< INVITE+, > lost 1xx+, > lost 1xx, > lost 1xx+")
        self.assertTrue(machine.must_stand(Place.INVITE_2XX))
        self.assertEqual(follows(machine, "> 2xx"), " !InvalidOperation")
        self.assertIs(step(machine, "> 2xx+"), Role.ANSWER)

    def test_2xx_without_what_was_shown(self) -> None:
        """13.2.1: where the 2xx forgets the answer that an unreliable response showed, that one is the answer."""
        machine = after("> INVITE+, < lost 1xx+")
        self.assertEqual(follows(machine, "< 2xx"), " counted:faults")
        self.assertIs(machine.state, OfferAnswerState.AGREED)
        self.assertFalse(machine.has_failed)

    def test_nothing_is_offered_unreliably(self) -> None:
        """13.2.1: who is asked for an offer makes it in a reliable response; one that may be lost is ignored."""
        machine = after("< INVITE")
        self.assertFalse(machine.may_stand(Place.UNRELIABLE))
        self.assertTrue(machine.must_stand(Place.RELIABLE) and machine.must_stand(Place.INVITE_2XX))
        machine = after("> INVITE")
        self.assertEqual(follows(machine, "< lost 1xx+"), " counted:faults")
        self.assertIs(step(machine, "< 2xx+"), Role.OFFER)

    def test_after_the_answer(self) -> None:
        """13.2.1: after the answer no response to this INVITE describes anything; who repeats it does no harm."""
        machine = after("> INVITE+, < 1xx+, > PRACK, < PRACK 2xx")
        for words in ("< lost 1xx+", "< 1xx+", "< 2xx+"):
            self.assertEqual(follows(machine, words), "", words)
        machine = after("< INVITE+, > 1xx+, < PRACK, > PRACK 2xx")
        for place in (Place.UNRELIABLE, Place.RELIABLE, Place.INVITE_2XX):
            self.assertFalse(machine.may_stand(place) or machine.must_stand(place))

    def test_2xx_waits_for_prack(self) -> None:
        """RFC 3262 section 3: no 2xx before the PRACK for a description; other responses hold nothing."""
        for road, plus in (("< INVITE+, > 1xx+", ""), ("< INVITE, > 1xx+", "+")):
            machine = after(road)
            self.assertTrue(machine.holds_2xx)
            self.assertEqual(follows(machine, "> 2xx"), " !later")
            step(machine, f"< PRACK{plus}")
            self.assertFalse(machine.holds_2xx)
            self.assertEqual(follows(machine, "> 2xx"), "")
        self.assertFalse(after("< INVITE+, > 1xx").holds_2xx)

    def test_2xx_that_did_not_wait(self) -> None:
        """RFC 3262 section 3: with a 2xx that did not wait for our answer to a reliable offer nothing is agreed."""
        for beginning, state in (("", "failed"), (AGAIN, "agreed")):
            for words in ("< 2xx", "< 2xx+"):
                machine = after(beginning + "> INVITE, < 1xx+")
                self.assertEqual(follows(machine, words), " counted:faults")
                self.assertEqual(state_word(machine), state)
                self.assertEqual(follows(machine, "> ACK"), "")

    def test_pracks_are_counted(self) -> None:
        """RFC 3262 section 4: of several responses the PRACK for the one with the description carries the answer."""
        machine = after("< INVITE, > 1xx+, > 1xx, > 1xx")
        self.assertEqual(follows(machine, "< PRACK+"), " answer")
        machine = after("< INVITE+, > 1xx, > 1xx, > 1xx+")
        for _ in range(2):
            self.assertEqual(follows(machine, "< PRACK"), "")
            self.assertEqual(follows(machine, "> PRACK 2xx"), "")
            self.assertFalse(machine.may_offer(Place.UPDATE))
            self.assertTrue(machine.holds_2xx)
        step(machine, "< PRACK")
        self.assertFalse(machine.holds_2xx or machine.may_offer(Place.UPDATE))
        step(machine, "> PRACK 2xx")
        self.assertTrue(machine.may_offer(Place.UPDATE))

    def test_offer_in_an_early_prack(self) -> None:
        """RFC 3262 section 5: a PRACK makes no offer before the response with the answer is acknowledged."""
        machine = after("< INVITE+, > 1xx, > 1xx+")
        self.assertEqual(follows(machine, "< PRACK+"), " >500")
        self.assertEqual(follows(machine, "< PRACK+"), " offer")
        self.assertEqual(follows(machine, "> PRACK 2xx+"), " answer")

    def test_update_by_caller(self) -> None:
        """RFC 3311 section 5.1: the caller offers in UPDATE after the answer, its PRACK and what that offered."""
        machine = after("> INVITE+, < 1xx+")
        self.assertFalse(machine.may_offer(Place.UPDATE))
        step(machine, "> PRACK+")
        self.assertFalse(machine.may_offer(Place.UPDATE))
        step(machine, "< PRACK 2xx+")
        self.assertIs(step(machine, "> UPDATE+"), Role.OFFER)
        self.assertEqual(follows(machine, "> UPDATE+"), " !later")
        self.assertIs(step(machine, "< UPDATE 2xx+"), Role.ANSWER)

    def test_update_by_callee(self) -> None:
        """RFC 3311 section 5.1: the callee offers in UPDATE after the PRACK for its answer, or with the answer."""
        for road in (THEIR_EARLY, "< INVITE, > 1xx+, < PRACK+, > PRACK 2xx"):
            steps = road.split(", ")
            for length in range(len(steps)):
                self.assertFalse(after(", ".join(steps[:length])).may_offer(Place.UPDATE), steps[:length])
            self.assertTrue(after(road).may_offer(Place.UPDATE), road)

    def test_update_without_an_offer(self) -> None:
        """RFC 3311 section 5.1: an UPDATE that offers nothing can go and come at any time."""
        for road in ROADS.values():
            for words in ("> UPDATE", "< UPDATE", "> UPDATE 2xx", "< UPDATE 2xx"):
                if "UPDATE" not in road:
                    self.assertEqual(follows(after(road), words), "", (road, words))

    def test_invites_that_cross(self) -> None:
        """14.2: an INVITE that meets ours is 491, a second one of the peer's 500, whoever owes the answer."""
        for road, status in (
            ("> INVITE, < 1xx+", 491),
            ("< INVITE, > 1xx+", 500),
            ("> INVITE", 491),
            ("< INVITE", 500),
        ):
            for words in ("< INVITE", "< INVITE+"):
                self.assertEqual(follows(after(AGAIN + road), words), f" >{status}", (road, words))

    def test_updates_that_cross(self) -> None:
        """RFC 3311 section 5.2: 491 for an offer that meets our own, 500 for one before we answered the last."""
        self.assertEqual(follows(after(AGAIN + "> UPDATE+"), "< UPDATE+"), " >491")
        self.assertEqual(follows(after(AGAIN + "< UPDATE+"), "< UPDATE+"), " >500")
        # RFC 6337 section 4.3: for an offer in a response to an INVITE it counts who sent the INVITE.
        self.assertEqual(follows(after(AGAIN + "< INVITE, > 1xx+"), "< UPDATE+"), " >500")
        self.assertEqual(follows(after(AGAIN + "> INVITE, < 1xx+"), "< UPDATE+"), " >491")
        self.assertEqual(follows(after(AGAIN + "< INVITE, > 2xx+"), "< UPDATE+"), " >500")
        self.assertEqual(follows(after(AGAIN + "> INVITE, < 2xx+"), "< UPDATE+"), " >491")
        # RFC 6337 section 4.3: an INVITE that asks for an offer is an exchange under way, and so is an open PRACK.
        self.assertEqual(follows(after(AGAIN + "> INVITE"), "< UPDATE+"), " >491")
        self.assertEqual(follows(after(AGAIN + "< INVITE"), "< UPDATE+"), " >500")
        self.assertEqual(follows(after("> INVITE+, < 1xx+, > PRACK"), "< UPDATE+"), " >491")
        self.assertEqual(follows(after("< INVITE+, > 1xx+, < PRACK"), "< UPDATE+"), " >500")

    def test_missing_answers(self) -> None:
        """RFC 6337 section 2: without the answer that is due a first session fails, a later one stays as it was."""
        for road, words, said in (
            ("> INVITE+", "< 2xx", " counted:faults"),
            ("< INVITE, > 2xx+", "< ACK", " counted:faults"),
            ("< INVITE, > 1xx+", "< PRACK", " >400"),
        ):
            for beginning, state in (("", "failed"), (AGAIN, "agreed")):
                machine = after(beginning + road)
                self.assertEqual((follows(machine, words), state_word(machine)), (said, state), (beginning, road))
                self.assertEqual(machine.has_failed, state == "failed")
                self.assertFalse(machine.awaits_answer)

    def test_a_session_without_description(self) -> None:
        """13.2.1: who asks for an offer and gets none has a session without one, and can make one later."""
        machine = after("> INVITE")
        self.assertEqual(follows(machine, "< 2xx"), " counted:faults")
        self.assertEqual(follows(machine, "> ACK"), "")
        self.assertIs(machine.state, OfferAnswerState.NOTHING_YET)
        self.assertIs(step(machine, "> INVITE+"), Role.OFFER)

    def test_taken_up_again(self) -> None:
        """RFC 3264 section 8: a session that was agreed on before a restart can be changed by either side."""
        for words in ("> UPDATE+", "< UPDATE+", "> INVITE+", "< INVITE+"):
            machine = OfferAnswer(is_agreed=True)
            self.assertIs(machine.state, OfferAnswerState.AGREED)
            self.assertIs(step(machine, words), Role.OFFER)
            machine.rollback()
            self.assertIs(machine.state, OfferAnswerState.AGREED)

    def test_forks(self) -> None:
        """12.1, RFC 6337 section 3.1: each early dialog of one INVITE has answers of its own."""
        first, second = after("> INVITE+"), after("> INVITE+")
        step(first, "< 1xx+")
        self.assertTrue(second.awaits_answer)
        self.assertIs(step(second, "< 2xx+"), Role.ANSWER)
