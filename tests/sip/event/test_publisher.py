"""The machine of a publication (RFC 3903 sections 4 and 5), pair by pair, and what its PUBLISHes say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import OperationTimeout, SipError
from sip_p2p.sip.event.publisher import PublicationOver, PublicationState, PublishEnded, Publisher, refresh_after
from sip_p2p.sip.message import Response
from tests.sip.event.publishing import Bench, kind_of
from tests.support import nothing_left

STATES = (
    "idle",
    "asking",
    "asking, leaving",
    "asking again",
    "asking again, leaving",
    "stands",
    "waiting",
    "removing",
    "over",
)
INPUTS = ("publish", "refresh", "remove", "200", "412", "423", "403", "500", "no response", "its turn", "abandon")

TABLE = [
    # state, input, what follows; asking again is asking where the compositor has it already, leaving is asking while
    # the removal waits for the answer, and [unwanted] takes a PUBLISH back
    ("idle", "publish", "asking >initial"),
    ("idle", "refresh", "idle !InvalidOperation"),
    ("idle", "remove", "over [removed]"),
    ("idle", "200", "impossible"),
    ("idle", "412", "impossible"),
    ("idle", "423", "impossible"),
    ("idle", "403", "impossible"),
    ("idle", "500", "impossible"),
    ("idle", "no response", "impossible"),
    ("idle", "its turn", "idle"),
    ("idle", "abandon", "over"),
    ("asking", "publish", "asking"),
    ("asking", "refresh", "asking"),
    ("asking", "remove", "asking, leaving"),
    ("asking", "200", "stands [told 200]"),
    ("asking", "412", "over [ended]"),
    ("asking", "423", "asking >initial"),
    ("asking", "403", "over [ended]"),
    ("asking", "500", "over [ended]"),
    ("asking", "no response", "over [ended]"),
    ("asking", "its turn", "asking"),
    ("asking", "abandon", "over [unwanted]"),
    ("asking, leaving", "publish", "asking, leaving !InvalidOperation"),
    ("asking, leaving", "refresh", "asking, leaving !InvalidOperation"),
    ("asking, leaving", "remove", "asking, leaving"),
    ("asking, leaving", "200", "removing [told 200] >remove"),
    ("asking, leaving", "412", "over [removed]"),
    ("asking, leaving", "423", "over [removed]"),
    ("asking, leaving", "403", "over [removed]"),
    ("asking, leaving", "500", "over [removed]"),
    ("asking, leaving", "no response", "over [removed]"),
    ("asking, leaving", "its turn", "asking, leaving"),
    ("asking, leaving", "abandon", "over [unwanted]"),
    ("asking again", "publish", "asking again"),
    ("asking again", "refresh", "asking again"),
    ("asking again", "remove", "asking again, leaving"),
    ("asking again", "200", "stands [told 200]"),
    ("asking again", "412", "asking >initial"),
    ("asking again", "423", "asking again >modify"),
    ("asking again", "403", "over [ended]"),
    ("asking again", "500", "waiting [told 500]"),
    ("asking again", "no response", "waiting [told nothing]"),
    ("asking again", "its turn", "asking again"),
    ("asking again", "abandon", "over [unwanted]"),
    ("asking again, leaving", "publish", "asking again, leaving !InvalidOperation"),
    ("asking again, leaving", "refresh", "asking again, leaving !InvalidOperation"),
    ("asking again, leaving", "remove", "asking again, leaving"),
    ("asking again, leaving", "200", "removing [told 200] >remove"),
    ("asking again, leaving", "412", "over [removed]"),
    ("asking again, leaving", "423", "removing >remove"),
    ("asking again, leaving", "403", "removing >remove"),
    ("asking again, leaving", "500", "removing >remove"),
    ("asking again, leaving", "no response", "removing >remove"),
    ("asking again, leaving", "its turn", "asking again, leaving"),
    ("asking again, leaving", "abandon", "over [unwanted]"),
    ("stands", "publish", "asking again >modify"),
    ("stands", "refresh", "asking again >refresh"),
    ("stands", "remove", "removing >remove"),
    ("stands", "200", "impossible"),
    ("stands", "412", "impossible"),
    ("stands", "423", "impossible"),
    ("stands", "403", "impossible"),
    ("stands", "500", "impossible"),
    ("stands", "no response", "impossible"),
    ("stands", "its turn", "asking again >refresh"),
    ("stands", "abandon", "over"),
    ("waiting", "publish", "asking again >modify"),
    ("waiting", "refresh", "asking again >modify"),
    ("waiting", "remove", "removing >remove"),
    ("waiting", "200", "impossible"),
    ("waiting", "412", "impossible"),
    ("waiting", "423", "impossible"),
    ("waiting", "403", "impossible"),
    ("waiting", "500", "impossible"),
    ("waiting", "no response", "impossible"),
    ("waiting", "its turn", "asking again >modify"),
    ("waiting", "abandon", "over"),
    ("removing", "publish", "removing !InvalidOperation"),
    ("removing", "refresh", "removing !InvalidOperation"),
    ("removing", "remove", "removing"),
    ("removing", "200", "over [removed]"),
    ("removing", "412", "over [removed]"),
    ("removing", "423", "over [removed]"),
    ("removing", "403", "over [removed]"),
    ("removing", "500", "over [removed]"),
    ("removing", "no response", "over [removed]"),
    ("removing", "its turn", "removing"),
    ("removing", "abandon", "over [unwanted]"),
    ("over", "publish", "over !InvalidOperation"),
    ("over", "refresh", "over !InvalidOperation"),
    ("over", "remove", "over"),
    ("over", "200", "impossible"),
    ("over", "412", "impossible"),
    ("over", "423", "impossible"),
    ("over", "403", "impossible"),
    ("over", "500", "impossible"),
    ("over", "no response", "impossible"),
    ("over", "its turn", "over"),
    ("over", "abandon", "over"),
]


def bench_in(state: str) -> Bench:
    """A publication in *state*."""
    bench = Bench()
    if state != "idle":
        bench.publish()
    if state.startswith("asking again") or state in ("stands", "waiting", "removing"):
        bench.answer(200)
    if state.startswith("asking again") or state == "waiting":
        bench.publish(b"closed")
    if state == "waiting":
        bench.answer(500)
    if state == "removing" or state.endswith("leaving"):
        bench.publisher.remove(bench.now)
    if state == "over":
        bench.answer(403)
    bench.said()
    assert bench.state == state, bench.state
    return bench


def give(bench: Bench, what: str) -> str:
    """Give *bench* an input, and return what follows in the words of the table."""
    publisher = bench.publisher
    if bench.errand is None and (what.isdigit() or what == "no response"):
        return "impossible"
    try:
        if what == "publish":
            bench.publish(b"away")
        elif what == "refresh":
            publisher.refresh(bench.now)
        elif what == "remove":
            publisher.remove(bench.now)
        elif what == "423":
            bench.answer(423, ("Min-Expires", "7200"))
        elif what == "no response":
            bench.fail()
        elif what == "its turn":
            publisher.handle_timer(bench.now)
        elif what == "abandon":
            publisher.abandon()
        else:
            bench.answer(int(what))
    except SipError as error:
        return f"{bench.state} !{type(error).__name__}"
    said = bench.said()
    return f"{bench.state} {said}".strip()


class TableTests(SynchronousTestCase):
    """Every pair of state and input."""

    def test_table(self) -> None:
        """Each input in each state leads where the table says (row:J11)."""
        self.assertEqual([(state, what) for state, what, _ in TABLE], [(a, b) for a in STATES for b in INPUTS])
        for state, what, follows in TABLE:
            self.assertEqual(give(bench_in(state), what), follows, (state, what))


class RequestTests(SynchronousTestCase):
    """What the PUBLISHes say (sections 4.1 to 4.5)."""

    def test_operations(self) -> None:
        """An initial PUBLISH has a body, a refresh the entity-tag, a change both, a removal no time (Table 1)
        (row:J11)."""
        bench = Bench()
        bench.publish(b"open")
        bench.answer(200)
        bench.publisher.refresh(bench.now)
        bench.look()
        bench.answer(200)
        bench.publish(b"closed")
        bench.answer(200)
        bench.publisher.remove(bench.now)
        bench.look()
        bench.answer(200)
        self.assertEqual([kind_of(each) for each in bench.sent], ["initial", "refresh", "modify", "remove"])
        self.assertEqual([each.headers.get("SIP-If-Match") for each in bench.sent], [None, "tag1", "tag2", "tag3"])
        self.assertEqual([each.body for each in bench.sent], [b"open", b"", b"closed", b""])
        self.assertEqual([each.headers.get("Content-Type") for each in bench.sent], ["text/plain", None] * 2)
        self.assertEqual([each.headers["Expires"] for each in bench.sent], ["3600"] * 3 + ["0"])
        self.assertEqual([each.cseq.number for each in bench.sent], [1, 2, 3, 4])
        for request in bench.sent:
            self.assertEqual(
                (request.method, request.headers["Event"], request.headers["X-A"]), ("PUBLISH", "presence", "b")
            )
            self.assertNotIn("Contact", request.headers)

    def test_one_at_a_time(self) -> None:
        """What is published while a PUBLISH is under way goes out after it, of several only the last (section 4)."""
        bench = Bench()
        for body in (b"1", b"2", b"3"):
            bench.publish(body)
        self.assertEqual(len(bench.sent), 1)
        bench.answer(200)
        self.assertEqual([each.body for each in bench.sent], [b"1", b"3"])
        bench.answer(200)
        told = [each.serial for each in bench.told if isinstance(each, PublishEnded)]
        self.assertEqual((told, bench.state), ([1, 3], "stands"))

    def test_resent(self) -> None:
        """CSeq goes on from the request that was answered, which may have been sent more than once on the way."""
        bench = Bench()
        bench.publish()
        assert bench.errand is not None
        bench.errand.plan.cseq = 3
        bench.answer(200)
        bench.publisher.refresh(bench.now)
        bench.look()
        self.assertEqual(bench.sent[-1].cseq.number, 4)


class ResponseTests(SynchronousTestCase):
    """What the responses mean (section 5)."""

    def test_refreshed_in_time(self) -> None:
        """It is refreshed a quarter of an hour before it expires, or half-way through what is shorter."""
        self.assertEqual([refresh_after(each) for each in (7200, 1800, 60, 0)], [6300, 900, 30, 5])
        bench = Bench()
        bench.publish()
        bench.answer(200, ("Expires", "1000"))
        bench.wait(499)
        self.assertEqual(len(bench.sent), 1)
        bench.wait(1)
        self.assertEqual(kind_of(bench.sent[-1]), "refresh")

    def test_forgotten(self) -> None:
        """What the compositor has forgotten (412) is published anew, with all of it and without the entity-tag
        (row:J11)."""
        bench = Bench()
        bench.publish(b"open")
        bench.answer(200)
        bench.wait(2700)
        bench.answer(412)
        self.assertEqual([kind_of(each) for each in bench.sent], ["initial", "refresh", "initial"])
        self.assertEqual(bench.sent[-1].body, b"open")
        bench.answer(200)
        self.assertEqual((bench.state, bench.publisher.etag), ("stands", "tag2"))

    def test_too_brief(self) -> None:
        """A 423 is asked again with its Min-Expires, once, and not where that is no more than was asked for."""
        bench = Bench(60)
        bench.publish()
        bench.answer(423, ("Min-Expires", "600"))
        self.assertEqual(bench.sent[-1].headers["Expires"], "600")
        bench.answer(423, ("Min-Expires", "1200"))
        self.assertEqual((len(bench.sent), bench.state), (2, "over"))
        for value in ("60", "none", "99999999999"):
            bench = Bench(60)
            bench.publish()
            bench.answer(423, ("Min-Expires", value))
            self.assertEqual((len(bench.sent), bench.state), (1, "over"), value)

    def test_tags_that_are_none(self) -> None:
        """A 2xx whose entity-tag is missing, or is none, is followed by all of it again."""
        for tag in ("", "a b", "x" * 257):
            bench = Bench()
            bench.publish()
            bench.answer(200, ("SIP-ETag", tag))
            bench.wait(3600)
            self.assertEqual(kind_of(bench.sent[-1]), "initial", tag)

    def test_failures(self) -> None:
        """After a failure it is tried again, later each time, after a Retry-After at least, and anew once it has
        expired."""
        bench = Bench(600)
        bench.publish()
        bench.answer(200)
        bench.wait(300)
        gaps, last = [], bench.now
        for status in (500, 0, 0, 0, 503):
            if status:
                bench.answer(status)
            else:
                bench.fail()
            while bench.errand is None:
                bench.wait(1)
            gaps.append(round(bench.now - last))
            last = bench.now
        for gap, longest in zip(gaps, (30, 60, 120, 240, 480), strict=True):
            # Not the same for all who were sent away at once.
            self.assertTrue(longest / 2 <= gap <= longest, gaps)
        self.assertNotEqual([2 * gap for gap in gaps[:-1]], gaps[1:])
        self.assertEqual([kind_of(each) for each in bench.sent[1:]], ["refresh"] * 4 + ["initial"] * 2)
        bench.answer(500, ("Retry-After", "4000"))
        bench.wait(4000 + 480)
        self.assertIsNone(bench.errand)
        bench.wait(480)
        bench.answer(200)
        self.assertEqual(bench.state, "stands")

    def test_told(self) -> None:
        """A failure of the first PUBLISH, and what will never be otherwise, ends it; the response or the reason is
        told."""
        bench = Bench()
        bench.publish()
        bench.fail()
        over = bench.told[-1]
        assert isinstance(over, PublicationOver)
        self.assertIsInstance(over.reason, OperationTimeout)
        self.assertIsNone(over.response)
        bench = Bench()
        bench.publish()
        bench.answer(200)
        bench.publisher.refresh(bench.now)
        bench.look()
        bench.answer(489)
        over = bench.told[-1]
        assert isinstance(over, PublicationOver)
        assert over.response is not None
        self.assertEqual((over.response.status, over.is_removed), (489, False))
        self.assertIn("OVER", repr(bench.publisher))

    def test_strangers(self) -> None:
        """A provisional response, and one to a PUBLISH that nobody waits for, change nothing."""
        bench = Bench()
        bench.publish()
        errand = bench.errand
        assert errand is not None
        bench.publisher.errand_answered(errand, Response(100), bench.flow, bench.now)
        self.assertEqual((bench.said(), bench.state), (">initial", "asking"))
        bench.answer(200)
        bench.said()
        bench.publisher.errand_answered(errand, Response(412), bench.flow, bench.now)
        bench.publisher.errand_failed(errand, OperationTimeout("late"), bench.now)
        self.assertEqual((bench.said(), bench.state), ("", "stands"))


class LifeTests(SynchronousTestCase):
    """Whole lives."""

    @given(st.lists(st.sampled_from([*INPUTS, "wait"]), max_size=30))
    def test_any_life(self, inputs: list[str]) -> None:
        """Whatever happens in whatever order, one PUBLISH is under way at most, what stands is refreshed in time, and
        in the end nothing is left (row:J11)."""
        bench = Bench()
        for what in inputs:
            if what == "wait":
                bench.wait(1000)
            else:
                give(bench, what)
            publisher = bench.publisher
            self.assertEqual(
                bench.errand is not None, publisher.state in (PublicationState.ASKING, PublicationState.REMOVING)
            )
            is_due = bench.core.appointments.due_of(publisher) is not None
            self.assertEqual(is_due, publisher.state in (PublicationState.STANDS, PublicationState.WAITING))
        bench.publisher.remove(bench.now)
        for _ in range(3):
            bench.look()
            if bench.errand is not None:
                bench.answer(200)
        self.assertEqual(bench.state, "over")
        self.assertIsNone(bench.core.appointments.next_deadline())

    def test_nothing_is_left(self) -> None:
        """A publication that is over is freed without the collector."""
        with nothing_left(self, Publisher):
            bench = Bench()
            bench.publish()
            bench.answer(200)
            bench.publisher.remove(bench.now)
            bench.look()
            bench.answer(200)
            bench.told.clear()
            self.assertIsNone(bench.core.appointments.next_deadline())
            del bench
