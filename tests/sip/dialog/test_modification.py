"""Who may change a session, and when: every pair of a state and an input, what overlaps, and both sides at once."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.dialog.modification import Modification
from sip_p2p.sip.tokens import CountingTokens, TokenSource
from tests.support import vectors

STATES = ("idle", "waits", "our-INVITE", "our-UPDATE", "our-refresh", "their-INVITE", "their-UPDATE", "their-refresh")
INPUTS = (
    *("begin INVITE", "begin UPDATE", "begin refresh", "INVITE", "UPDATE", "refresh"),
    *("ended", "491", "answered", "gave up"),
)

TABLE = [
    # state, input, what follows; a refresh is an UPDATE without an offer, waits is to send again after a 491
    ("idle", "begin INVITE", "our-INVITE"),
    ("idle", "begin UPDATE", "our-UPDATE"),
    ("idle", "begin refresh", "our-refresh"),
    ("idle", "INVITE", "their-INVITE"),
    ("idle", "UPDATE", "their-UPDATE"),
    ("idle", "refresh", "their-refresh"),
    ("idle", "ended", "idle"),
    ("idle", "491", "idle"),
    ("idle", "answered", "idle"),
    ("idle", "gave up", "idle"),
    ("waits", "begin INVITE", "our-INVITE"),
    ("waits", "begin UPDATE", "our-UPDATE"),
    ("waits", "begin refresh", "our-refresh+waits"),
    ("waits", "INVITE", "their-INVITE+waits"),
    ("waits", "UPDATE", "their-UPDATE+waits"),
    ("waits", "refresh", "their-refresh+waits"),
    ("waits", "ended", "waits"),
    ("waits", "491", "waits"),
    ("waits", "answered", "waits"),
    ("waits", "gave up", "idle"),
    ("our-INVITE", "begin INVITE", "our-INVITE !InvalidOperation"),
    ("our-INVITE", "begin UPDATE", "our-INVITE+our-UPDATE"),
    ("our-INVITE", "begin refresh", "our-INVITE+our-refresh"),
    ("our-INVITE", "INVITE", "our-INVITE >491"),
    ("our-INVITE", "UPDATE", "our-INVITE+their-UPDATE"),
    ("our-INVITE", "refresh", "our-INVITE+their-refresh"),
    ("our-INVITE", "ended", "idle"),
    ("our-INVITE", "491", "waits"),
    ("our-INVITE", "answered", "our-INVITE"),
    ("our-INVITE", "gave up", "our-INVITE"),
    ("our-UPDATE", "begin INVITE", "our-UPDATE !InvalidOperation"),
    ("our-UPDATE", "begin UPDATE", "our-UPDATE !InvalidOperation"),
    ("our-UPDATE", "begin refresh", "our-UPDATE !InvalidOperation"),
    ("our-UPDATE", "INVITE", "our-UPDATE >491"),
    ("our-UPDATE", "UPDATE", "our-UPDATE >491"),
    ("our-UPDATE", "refresh", "our-UPDATE+their-refresh"),
    ("our-UPDATE", "ended", "idle"),
    ("our-UPDATE", "491", "waits"),
    ("our-UPDATE", "answered", "our-UPDATE"),
    ("our-UPDATE", "gave up", "our-UPDATE"),
    ("our-refresh", "begin INVITE", "our-refresh !InvalidOperation"),
    ("our-refresh", "begin UPDATE", "our-refresh !InvalidOperation"),
    ("our-refresh", "begin refresh", "our-refresh !InvalidOperation"),
    ("our-refresh", "INVITE", "our-refresh+their-INVITE"),
    ("our-refresh", "UPDATE", "our-refresh+their-UPDATE"),
    ("our-refresh", "refresh", "our-refresh+their-refresh"),
    ("our-refresh", "ended", "idle"),
    ("our-refresh", "491", "waits"),
    ("our-refresh", "answered", "our-refresh"),
    ("our-refresh", "gave up", "our-refresh"),
    ("their-INVITE", "begin INVITE", "their-INVITE !InvalidOperation"),
    ("their-INVITE", "begin UPDATE", "our-UPDATE+their-INVITE"),
    ("their-INVITE", "begin refresh", "our-refresh+their-INVITE"),
    ("their-INVITE", "INVITE", "their-INVITE >500"),
    ("their-INVITE", "UPDATE", "their-INVITE+their-UPDATE"),
    ("their-INVITE", "refresh", "their-INVITE+their-refresh"),
    ("their-INVITE", "ended", "their-INVITE"),
    ("their-INVITE", "491", "their-INVITE"),
    ("their-INVITE", "answered", "idle"),
    ("their-INVITE", "gave up", "their-INVITE"),
    ("their-UPDATE", "begin INVITE", "their-UPDATE !InvalidOperation"),
    ("their-UPDATE", "begin UPDATE", "their-UPDATE !InvalidOperation"),
    ("their-UPDATE", "begin refresh", "our-refresh+their-UPDATE"),
    ("their-UPDATE", "INVITE", "their-UPDATE >500"),
    ("their-UPDATE", "UPDATE", "their-UPDATE >500"),
    ("their-UPDATE", "refresh", "their-UPDATE >500"),
    ("their-UPDATE", "ended", "their-UPDATE"),
    ("their-UPDATE", "491", "their-UPDATE"),
    ("their-UPDATE", "answered", "idle"),
    ("their-UPDATE", "gave up", "their-UPDATE"),
    ("their-refresh", "begin INVITE", "their-refresh !InvalidOperation"),
    ("their-refresh", "begin UPDATE", "their-refresh !InvalidOperation"),
    ("their-refresh", "begin refresh", "our-refresh+their-refresh"),
    ("their-refresh", "INVITE", "their-INVITE+their-refresh"),
    ("their-refresh", "UPDATE", "their-refresh >500"),
    ("their-refresh", "refresh", "their-refresh >500"),
    ("their-refresh", "ended", "their-refresh"),
    ("their-refresh", "491", "their-refresh"),
    ("their-refresh", "answered", "idle"),
    ("their-refresh", "gave up", "their-refresh"),
]

REQUESTS = ("our-INVITE", "our-UPDATE", "our-refresh", "their-INVITE", "their-UPDATE", "their-refresh")


class Numbers(TokenSource):
    """A source whose numbers are the ones given, in turn."""

    def __init__(self, *numbers: int) -> None:
        self._numbers = list(numbers)
        self.bounds: list[int] = []

    def number(self, below: int) -> int:
        """The next one."""
        self.bounds.append(below)
        return self._numbers.pop(0)


def method_of(request: str) -> str:
    """INVITE or UPDATE; a refresh is an UPDATE without an offer."""
    return "INVITE" if request.endswith("INVITE") else "UPDATE"


def start(machine: Modification, request: str) -> str:
    """Let *request* begin; what came of it."""
    method, has_offer = method_of(request), not request.endswith("refresh")
    if request.startswith("our"):
        try:
            machine.begin(method, has_offer=has_offer)
        except InvalidOperation as error:
            return "!InvalidOperation" if error.retryable else "!"
        return ""
    status = machine.incoming(method, has_offer=has_offer)
    return f">{status}" if status else ""


def bring(state: str) -> Modification:
    """A machine in *state*."""
    machine = Modification()
    if state == "waits":
        machine.begin("INVITE")
        machine.refused_491("INVITE", 0.0, owns_call_id=True, tokens=CountingTokens())
    elif state != "idle":
        assert start(machine, state) == ""
    return machine


def state_of(machine: Modification) -> str:
    """The requests that are under way, or whether one waits."""
    words = [request.replace(" ", "-") for request in machine.under_way]
    return "+".join([*words, *(["waits"] if machine.waits else [])]) or "idle"


def apply(machine: Modification, what: str) -> str:
    """Give the machine the input *what*; what came of it."""
    if what.startswith("begin "):
        return start(machine, f"our-{what.removeprefix('begin ')}")
    if what == "ended":
        machine.ended(machine.local or "INVITE")
    elif what == "answered":
        machine.answered(machine.remote or "INVITE")
    elif what == "gave up":
        machine.gave_up()
    elif what == "491":
        if machine.local:
            machine.refused_491(machine.local, 0.0, owns_call_id=False, tokens=CountingTokens())
    else:
        return start(machine, f"their-{what}")
    return ""


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        self.assertEqual([row[:2] for row in TABLE], [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """14.1, 14.2, RFC 3311 section 5: each input in each state leads where the table says. row:H19 fault:D3"""
        for state, what, expected in TABLE:
            machine = bring(state)
            self.assertEqual(state_of(machine), state)
            said = apply(machine, what)
            self.assertEqual(f"{state_of(machine)} {said}".rstrip(), expected, (state, what))


class OverlapTests(SynchronousTestCase):
    """Two requests under way, and a third."""

    def test_pairs(self) -> None:
        """What may begin while two others are under way is what each of the two alone would let begin."""
        for first, second, third in itertools.product(REQUESTS, repeat=3):
            if first == second or start(bring(first), second):
                continue
            alone = [start(bring(first), third), start(bring(second), third)]
            machine = bring(first)
            start(machine, second)
            said = start(machine, third)
            if not any(alone):
                self.assertEqual(said, "", (first, second, third))
            else:
                # 500 comes before 491: the peer's own mistake before the meeting of two.
                self.assertEqual(said, ">500" if ">500" in alone else next(filter(None, alone)), (first, second, third))

    def test_ends_are_apart(self) -> None:
        """The end of one of two requests leaves the other as it was."""
        for first, second in itertools.permutations(REQUESTS, 2):
            machine = bring(first)
            if start(machine, second):
                continue
            ended = second
            (machine.ended if ended.startswith("our") else machine.answered)(method_of(ended))
            self.assertEqual(state_of(machine), first, (first, second))


class GlareTests(SynchronousTestCase):
    """Two that meet."""

    def test_times(self) -> None:
        """14.1: after a 491 the Call-ID's owner waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms. fault:D3"""
        words = vectors("timers")["reinvite_glare"]
        self.assertEqual(words, {"after_491_owner_of_callid": "2.1-4.0 s step 10 ms", "other": "0-2.0 s step 10 ms"})
        for owns, count, least, most in ((True, 191, 2.1, 4.0), (False, 201, 0.0, 2.0)):
            source = Numbers(*range(count))
            times = []
            for _ in range(count):
                machine = bring("our-INVITE")
                times.append(machine.refused_491("INVITE", 0.0, owns_call_id=owns, tokens=source))
            self.assertEqual(set(source.bounds), {count})
            self.assertEqual((times[0], times[-1]), (least, most))
            self.assertEqual(times, [round(least + step / 100, 2) for step in range(count)])

    def test_retry_after(self) -> None:
        """14.2: the Retry-After of a 500 lies between 0 and 10 seconds."""
        self.assertEqual([Modification.retry_after(Numbers(number)) for number in (0, 10)], [0, 10])
        source = Numbers(3)
        Modification.retry_after(source)
        self.assertEqual(source.bounds, [11])

    def test_bounded(self) -> None:
        """A peer that answers 491 for ever is asked a few times, and a success starts the count anew. fault:D3"""
        machine = Modification()
        for _ in range(2):
            answers = 0
            while True:
                machine.begin("UPDATE")
                answers += 1
                if machine.refused_491("UPDATE", 0.0, owns_call_id=True, tokens=CountingTokens()) is None:
                    break
            self.assertEqual(answers, 8)
            self.assertFalse(machine.waits)
        machine.begin("UPDATE")
        machine.refused_491("UPDATE", 0.0, owns_call_id=True, tokens=CountingTokens())
        self.assertEqual(machine.attempts, 1)
        machine.begin("UPDATE")
        machine.ended("UPDATE")
        self.assertEqual(machine.attempts, 0)

    def test_refresh_leaves_what_waits(self) -> None:
        """A session refresh that goes while a change waits for its time does not count as that change."""
        machine = bring("waits")
        machine.begin("UPDATE", has_offer=False)
        machine.ended("UPDATE")
        self.assertEqual((machine.waits, machine.attempts), (True, 1))

    def test_why(self) -> None:
        """Whoever has to wait is told what for, and that the same call can succeed later."""
        machine = bring("their-INVITE")
        error = self.assertRaises(InvalidOperation, machine.begin, "INVITE")
        self.assertIn("their INVITE", str(error))
        self.assertTrue(error.retryable)

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from((0, 1)), st.floats(0, 3), st.sampled_from(("INVITE", "UPDATE"))), max_size=6
        ),
        st.floats(0.001, 0.045),
        st.integers(0, 200),
    )
    def test_both_get_through(self, wishes: list[tuple[int, float, str]], delay: float, seed: int) -> None:
        """RFC 5407 section 3.3: whenever both sides begin, each change gets through, one at a time. fault:D3"""
        parties = (Modification(), Modification())
        sources = (CountingTokens(f"a{seed}"), CountingTokens(f"b{seed}"))
        done = refusals = 0
        # What happens when: (time, serial, kind, who began, method)
        queue = [(when, number, "begin", who, method) for number, (who, when, method) in enumerate(wishes)]
        serial = len(queue)
        while queue:
            queue.sort()
            now, _, kind, who, method = queue.pop(0)
            serial += 1
            mine, other = parties[who], parties[1 - who]
            if kind == "begin":
                if not mine.may_begin(method):
                    queue.append((now + 0.5, serial, "begin", who, method))
                    continue
                mine.begin(method)
                queue.append((now + delay, serial, "arrive", who, method))
            elif kind == "arrive":
                # RFC 3311 section 5.2: an offer of ours in an INVITE counts too; that is for offer and answer to say.
                status = 491 if method == "UPDATE" and other.local == "INVITE" else other.incoming(method)
                if not status:
                    # Nobody else's offer is being answered while this one is.
                    self.assertEqual(len(other.under_way), 1)
                    other.answered(method)
                self.assertNotEqual(status, 500)
                queue.append((now + delay, serial, str(status or 200), who, method))
            elif kind == "491":
                refusals += 1
                again = mine.refused_491(method, now, owns_call_id=who == 0, tokens=sources[who])
                assert again is not None, "given up, though the peer was there"
                queue.append((again, serial, "begin", who, method))
            else:
                mine.ended(method)
                done += 1
        self.assertEqual(done, len(wishes))
        self.assertLessEqual(refusals, 4 * len(wishes))
        self.assertEqual([party.under_way for party in parties], [[], []])
