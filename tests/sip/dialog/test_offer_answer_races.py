"""The offers and answers of two parties against each other: messages that cross, get lost and come again.

A :class:`Line` carries messages between two :class:`Party`, each with a machine and with what its transactions, its
dialog and :mod:`~sip_p2p.sip.dialog.reliable` do beside it: a message that comes again is absorbed, a request that was
overtaken is refused (12.2.2), one reliable response goes out at a time.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.offer_answer import OfferAnswer, OfferAnswerState, Role
from tests.sip.dialog.offer_answer_table import PLACES

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = ("INVITE", "PRACK", "UPDATE")


class Message:
    """A message between two parties.

    :ivar name: as in the tables, or ``refusal``.
    :ivar body: the description: ``alice 1`` is an offer, ``re alice 1`` the answer to it; empty for none.
    :ivar about: the request that it answers, or the response that it acknowledges.
    """

    def __init__(self, name: str, body: str = "", about: Message | None = None) -> None:
        self.name = name
        self.body = body
        self.about = about

    def __repr__(self) -> str:
        return f"{self.name} {self.body}".rstrip()


class Party:
    """One side: its machine, its transactions, and the session as it sees it.

    :ivar session: the offer that was answered last.
    :ivar open: requests of the peer that wait for an answer, and responses that wait for their PRACK or ACK.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.machine = OfferAnswer()
        self.session = ""
        self.offer = ""
        self.is_doubtful = False
        self.is_established = False
        self.open: list[Message] = []
        self.sent: list[Message] = []
        self.accepted: Message | None = None
        self.unacknowledged: Message | None = None
        self.overtaken: set[Message] = set()
        self.seen: set[Message] = set()
        self._count = 0

    def possible(self) -> Iterator[tuple[str, Message | None]]:
        """What could be sent now, as far as transactions and dialog allow it."""
        waits = [message.name for message in self.sent]
        if self.is_established and "INVITE" not in waits and not {"INVITE", "2xx"} & {one.name for one in self.open}:
            yield "INVITE", None
            yield "INVITE+", None
        if "UPDATE" not in waits:
            yield "UPDATE+", None
        for message in self.open:
            if message.name == "INVITE":
                yield "lost 1xx+", message
                yield "lost 1xx", message
                if self.unacknowledged is None:
                    yield "1xx+", message
                    yield "1xx", message
                yield "2xx+", message
                yield "2xx", message
                if self.is_established:
                    yield "refusal", message
            elif message.name == "UPDATE":
                yield "UPDATE 2xx+", message
                yield "refusal", message
            elif message.name == "PRACK":
                yield "PRACK 2xx+", message
                yield "PRACK 2xx", message
            else:
                acknowledgement = "ACK" if message.name == "2xx" else "PRACK"
                yield f"{acknowledgement}+", message
                yield acknowledgement, message

    def send(self, words: str, about: Message | None) -> Message | None:
        """Send it, if the machine agrees."""
        name = words.removesuffix("+")
        if name == "refusal":
            return self._refuse(about)
        try:
            role = self.machine.sending(PLACES[name], words.endswith("+"))
        except InvalidOperation:
            return None
        body = ""
        if role is Role.OFFER:
            self._count += 1
            body = self.offer = f"{self.name} {self._count}"
        elif role is not Role.NOTHING:
            body = f"re {self.offer}"
            self.session = self.offer if role is Role.ANSWER else self.session
        message = Message(name, body, about)
        self._follow(message)
        return message

    def _follow(self, message: Message) -> None:
        if message.name in REQUESTS:
            self.sent.append(message)
        if message.name == "1xx":
            self.unacknowledged = message
        elif message.name != "lost 1xx" and message.about in self.open:
            self.open.remove(message.about)
        if message.name == "2xx":
            self.is_established = True
            self.accepted = message

    def _refuse(self, about: Message | None) -> Message:
        assert about is not None
        self.is_doubtful |= self.machine.rollback(PLACES[about.name])
        self.open.remove(about)
        if about.name == "INVITE":
            self.unacknowledged = None
        return Message("refusal", "", about)

    def receive(self, message: Message) -> Message | None:
        """A message came; the refusal that it gets at once, if it gets one."""
        if message in self.seen:
            return None
        self.seen.add(message)
        about = message.about
        if message.name in ("refusal", "PRACK 2xx", "UPDATE 2xx", "2xx"):
            assert about is not None
            self.sent.remove(about)
        if message.name == "refusal":
            assert about is not None
            self.is_doubtful |= self.machine.rollback(PLACES[about.name])
            if about.name == "INVITE":
                self.open = [one for one in self.open if one.name != "1xx"]
            return None
        if message.name in ("1xx", "lost 1xx") and about not in self.sent:
            # What comes after the final response is not looked at.
            return None
        if message.name == "ACK" and about is not self.accepted:
            # 13.2.2.4: its CSeq is that of an INVITE before; it tells nothing any more.
            return None
        if message in self.overtaken:
            return Message("refusal", "", message)
        if message.name == "PRACK":
            if about is not self.unacknowledged:
                return Message("refusal", "", message)
            self.unacknowledged = None
        return self._take(message)

    def _take(self, message: Message) -> Message | None:
        role = self.machine.received(PLACES[message.name], bool(message.body))
        if isinstance(role, int):
            assert message.name in REQUESTS, message
            return Message("refusal", str(role), message)
        if role is Role.OFFER:
            self.offer = message.body
        elif role is not Role.NOTHING:
            assert message.body == f"re {self.offer}", (message, self.offer)
            self.session = self.offer if role is Role.ANSWER else self.session
        if message.name in (*REQUESTS, "1xx", "2xx"):
            self.open.append(message)
        if message.name == "2xx":
            self.is_established = True
            # Whoever has accepted has all PRACKs that matter.
            self.open = [one for one in self.open if one.name != "1xx" or one.body]
        return None


class Line:
    """Two parties, and what is on its way between them."""

    def __init__(self, has_offer: bool) -> None:
        self.alice = Party("alice")
        self.bob = Party("bob")
        self.flying: list[tuple[Party, Message]] = []
        self.said: list[str] = []
        self.was_doubtful = False
        self.send(self.alice, "INVITE+" if has_offer else "INVITE", None)

    def send(self, party: Party, words: str, about: Message | None) -> bool:
        """Let *party* send it, if its machine agrees."""
        message = party.send(words, about)
        if message is not None:
            self._put(party, message)
        return message is not None

    def _put(self, sender: Party, message: Message) -> None:
        self.said.append(f"{sender.name}: {message!r}")
        self.flying.append((self.bob if sender is self.alice else self.alice, message))

    def deliver(self, number: int, *, again: bool = False) -> None:
        """Let one message arrive, and arrive again later if *again*.

        A request that it overtakes is refused when it comes. Only UPDATE is overtaken: for a PRACK or an INVITE whose
        refusal is nobody's decision a real party would begin anew.
        """
        receiver, message = self.flying[number]
        if message.name in REQUESTS:
            before = [one for to, one in self.flying[:number] if to is receiver and one.name in REQUESTS]
            firm = [one for one in before if one.name != "UPDATE"]
            if firm:
                message = firm[0]
                before = before[: before.index(message)]
            receiver.overtaken.update(one for one in before if one not in receiver.seen)
        if not again:
            self.flying.remove((receiver, message))
        self.said.append(f"{receiver.name} gets {message!r}")
        refusal = receiver.receive(message)
        if refusal is not None:
            self._put(receiver, refusal)

    def lose(self, number: int) -> None:
        """Lose a message for good if nobody repeats it; what is repeated only comes later."""
        if self.flying[number][1].name == "lost 1xx":
            del self.flying[number]
        else:
            self.flying.append(self.flying.pop(number))

    def finish(self) -> None:
        """Let everything arrive that flies, and both do what they owe, until nothing is left to do."""
        while True:
            if self.flying:
                self.deliver(0)
            elif not any(self._owed(party) for party in (self.alice, self.bob)):
                return

    def _owed(self, party: Party) -> bool:
        for words, about in list(party.possible()):
            # What cannot carry a description goes without one.
            is_owed = words.removesuffix("+") in ("2xx", "PRACK 2xx", "UPDATE 2xx", "ACK", "PRACK")
            if about is not None and is_owed and self.send(party, words, about):
                return True
        return False

    def play(self, choices: list[int]) -> None:
        """Let *choices* decide what happens, one after the other."""
        for choice in choices:
            party = self.alice if choice % 2 else self.bob
            choice //= 2
            actions = list(party.possible())
            where = choice % (len(actions) + 4 * len(self.flying) or 1)
            if where < len(actions):
                self.send(party, *actions[where])
            elif self.flying:
                number, what = divmod(where - len(actions), 4)
                if what == 3:
                    self.lose(number)
                else:
                    self.deliver(number, again=what == 2)


def play(has_offer: bool, choices: list[int]) -> Line:
    """Two parties do what *choices* says, then what they owe; in the end they have to agree."""
    line = Line(has_offer)
    line.play(choices)
    line.finish()
    for party in (line.alice, line.bob):
        assert party.machine.state is OfferAnswerState.AGREED, line.said
        assert not party.sent and not party.open, line.said
    line.was_doubtful = line.alice.is_doubtful or line.bob.is_doubtful
    for party in (line.alice, line.bob):
        if party.is_doubtful:
            # RFC 6141 section 3.4: who cannot know what the other one sees offers anew.
            assert line.send(party, "UPDATE+", None), line.said
            line.finish()
    assert line.alice.session == line.bob.session, line.said
    return line


class RaceTests(SynchronousTestCase):
    """Two machines."""

    @settings(max_examples=300, deadline=None)
    @given(st.booleans(), st.lists(st.integers(0, 9999), max_size=60))
    def test_both_agree(self, has_offer: bool, choices: list[int]) -> None:
        """RFC 3264 section 4: whatever is lost, repeated or crosses, in the end both see one session. row:H10"""
        play(has_offer, choices)

    def test_long_sessions(self) -> None:
        """RFC 3264 section 4: the same in sessions of hundreds of messages, in which everything has happened."""
        said = set()
        doubtful = 0
        for seed in range(400):
            source = random.Random(seed)
            line = play(seed % 2 == 0, [source.randrange(10_000) for _ in range(200)])
            said |= {re.sub("^[a-z]+: ", "", re.sub("(alice|bob) [0-9]+$", "+", words)) for words in line.said}
            doubtful += line.was_doubtful
        for words in ("INVITE +", "INVITE", "1xx +", "1xx re +", "PRACK +", "PRACK re +", "PRACK 2xx re +", "UPDATE +"):
            self.assertIn(words, said)
        for words in ("UPDATE 2xx re +", "2xx +", "2xx re +", "ACK re +", "ACK", "lost 1xx re +", "refusal"):
            self.assertIn(words, said)
        self.assertGreater(doubtful, 0)


class CrossingTests(SynchronousTestCase):
    """RFC 6337 section 4.1: messages that cross, one by one."""

    def test_ack_that_comes_late(self) -> None:
        """RFC 6337 section 4.1, Table 3: an UPDATE that overtakes the ACK with the answer is 500; the answer counts."""
        line = Line(has_offer=False)
        line.deliver(0)
        self._send(line.bob, "2xx+", line)
        line.deliver(0)
        self._send(line.alice, "ACK+", line)
        self._send(line.alice, "UPDATE+", line)
        line.deliver(1)
        self.assertEqual(line.said[-1], "bob: refusal 500")
        line.finish()
        self.assertEqual((line.alice.session, line.bob.session), ("bob 1", "bob 1"))

    def test_2xx_that_comes_late(self) -> None:
        """RFC 6337 section 4.1: an offer that overtakes the 2xx with the answer is 491, in UPDATE as in INVITE."""
        for words in ("UPDATE+", "INVITE+", "INVITE"):
            line = Line(has_offer=True)
            line.deliver(0)
            self._send(line.bob, "2xx+", line)
            self._send(line.bob, words, line)
            line.deliver(1)
            self.assertEqual(line.said[-1], "alice: refusal 491", words)
            line.finish()
            self.assertEqual((line.alice.session, line.bob.session), ("alice 1", "alice 1"))

    def test_2xx_to_prack_that_comes_late(self) -> None:
        """RFC 6337 section 4: an UPDATE that overtakes the 2xx to PRACK is 491; the offer in the PRACK stays open."""
        for plus in ("", "+"):
            line = Line(has_offer=True)
            line.deliver(0)
            self._send(line.bob, "1xx+", line)
            line.deliver(0)
            self._send(line.alice, f"PRACK{plus}", line)
            line.deliver(0)
            self._send(line.bob, f"PRACK 2xx{plus}", line)
            self._send(line.bob, "UPDATE+", line)
            line.deliver(1)
            self.assertEqual(line.said[-1], "alice: refusal 491")
            line.finish()
            self.assertEqual(line.alice.session, line.bob.session)

    def test_answers_to_pracks_that_cross(self) -> None:
        """RFC 3262 section 5: the 2xx to a PRACK without an offer, coming first, answers no offer in another one."""
        line = Line(has_offer=True)
        line.deliver(0)
        self._send(line.bob, "1xx+", line)
        line.deliver(0)
        self._send(line.alice, "PRACK", line)
        line.deliver(0)
        self._send(line.bob, "1xx", line)
        line.deliver(0)
        self._send(line.alice, "PRACK+", line)
        line.deliver(0)
        self._send(line.bob, "PRACK 2xx", line)
        line.deliver(0)
        self.assertTrue(line.alice.machine.awaits_answer and line.bob.machine.owes_answer)
        line.finish()
        self.assertEqual((line.alice.session, line.bob.session), ("alice 2", "alice 2"))

    def _send(self, party: Party, words: str, line: Line) -> None:
        """Send the first thing of that name that is possible."""
        about = next(one for possible, one in party.possible() if possible == words)
        self.assertTrue(line.send(party, words, about), (words, line.said))
