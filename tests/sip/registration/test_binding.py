"""A binding at a registrar: every pair of a state and an input, and what its REGISTERs say (RFC 3261 section 10.2, RFC
5626 section 4)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import ConnectionFailure, OperationTimeout
from sip_p2p.sip.registration.binding import Binding, BindingState, refresh_after
from sip_p2p.sip.registration.recovery import FlowRecovery
from tests.sip.registration.bench import CONTACT, OTHER, Bench, make_flow
from tests.support import SynchronousTestCase, nothing_left

STATES = ("idle", "registering", "registered", "refreshing", "waiting", "ending", "removing", "over")
INPUTS = (
    *("start", "refresh", "2xx", "2xx, not ours", "423", "439", "403", "503", "no answer"),
    *("timer", "flow lost", "end", "abandon"),
)

TABLE = [
    # state, input, what follows; ">REGISTER 0" asks for the binding to be removed, and each change of state is told
    ("idle", "start", "registering >REGISTER"),
    ("idle", "refresh", "idle"),
    ("idle", "2xx", "idle"),
    ("idle", "2xx, not ours", "idle"),
    ("idle", "423", "idle"),
    ("idle", "439", "idle"),
    ("idle", "403", "idle"),
    ("idle", "503", "idle"),
    ("idle", "no answer", "idle"),
    ("idle", "timer", "idle"),
    ("idle", "flow lost", "idle"),
    ("idle", "end", "over"),
    ("idle", "abandon", "over"),
    ("registering", "start", "registering"),
    ("registering", "refresh", "registering"),
    ("registering", "2xx", "registered"),
    ("registering", "2xx, not ours", "waiting"),
    ("registering", "423", "registering >REGISTER"),
    ("registering", "439", "registering >REGISTER"),
    ("registering", "403", "over"),
    ("registering", "503", "waiting"),
    ("registering", "no answer", "waiting"),
    ("registering", "timer", "registering"),
    ("registering", "flow lost", "registering"),
    ("registering", "end", "ending"),
    ("registering", "abandon", "over"),
    ("registered", "start", "registered"),
    ("registered", "refresh", "refreshing >REGISTER"),
    ("registered", "2xx", "registered"),
    ("registered", "2xx, not ours", "registered"),
    ("registered", "423", "registered"),
    ("registered", "439", "registered"),
    ("registered", "403", "registered"),
    ("registered", "503", "registered"),
    ("registered", "no answer", "registered"),
    ("registered", "timer", "refreshing >REGISTER"),
    ("registered", "flow lost", "waiting"),
    ("registered", "end", "removing >REGISTER 0"),
    ("registered", "abandon", "over"),
    ("refreshing", "start", "refreshing"),
    ("refreshing", "refresh", "refreshing"),
    ("refreshing", "2xx", "registered"),
    ("refreshing", "2xx, not ours", "waiting"),
    ("refreshing", "423", "refreshing >REGISTER"),
    ("refreshing", "439", "refreshing >REGISTER"),
    ("refreshing", "403", "over"),
    ("refreshing", "503", "waiting"),
    ("refreshing", "no answer", "waiting"),
    ("refreshing", "timer", "refreshing"),
    ("refreshing", "flow lost", "refreshing"),
    ("refreshing", "end", "ending"),
    ("refreshing", "abandon", "over"),
    ("waiting", "start", "waiting"),
    ("waiting", "refresh", "registering >REGISTER"),
    ("waiting", "2xx", "waiting"),
    ("waiting", "2xx, not ours", "waiting"),
    ("waiting", "423", "waiting"),
    ("waiting", "439", "waiting"),
    ("waiting", "403", "waiting"),
    ("waiting", "503", "waiting"),
    ("waiting", "no answer", "waiting"),
    ("waiting", "timer", "registering >REGISTER"),
    ("waiting", "flow lost", "waiting"),
    ("waiting", "end", "over"),
    ("waiting", "abandon", "over"),
    ("ending", "start", "ending"),
    ("ending", "refresh", "ending"),
    ("ending", "2xx", "removing >REGISTER 0"),
    ("ending", "2xx, not ours", "removing >REGISTER 0"),
    ("ending", "423", "over"),
    ("ending", "439", "over"),
    ("ending", "403", "over"),
    ("ending", "503", "over"),
    ("ending", "no answer", "over"),
    ("ending", "timer", "ending"),
    ("ending", "flow lost", "ending"),
    ("ending", "end", "ending"),
    ("ending", "abandon", "over"),
    ("removing", "start", "removing"),
    ("removing", "refresh", "removing"),
    ("removing", "2xx", "over"),
    ("removing", "2xx, not ours", "over"),
    ("removing", "423", "over"),
    ("removing", "439", "over"),
    ("removing", "403", "over"),
    ("removing", "503", "over"),
    ("removing", "no answer", "over"),
    ("removing", "timer", "removing"),
    ("removing", "flow lost", "removing"),
    ("removing", "end", "removing"),
    ("removing", "abandon", "over"),
    ("over", "start", "over"),
    ("over", "refresh", "over"),
    ("over", "2xx", "over"),
    ("over", "2xx, not ours", "over"),
    ("over", "423", "over"),
    ("over", "439", "over"),
    ("over", "403", "over"),
    ("over", "503", "over"),
    ("over", "no answer", "over"),
    ("over", "timer", "over"),
    ("over", "flow lost", "over"),
    ("over", "end", "over"),
    ("over", "abandon", "over"),
]


def bring(state: str) -> Bench:
    """A bench with a binding in *state*."""
    bench = Bench()
    binding = bench.binding
    if state != "idle":
        binding.start(bench.now)
        bench.said()
    if state in ("registered", "refreshing", "removing"):
        bench.grant()
    if state == "refreshing":
        binding.refresh(bench.now)
    elif state == "waiting":
        bench.fail()
    elif state in ("ending", "removing"):
        binding.end(bench.now)
    elif state == "over":
        binding.abandon(None, bench.now)
    bench.said()
    return bench


def apply(bench: Bench, what: str) -> None:
    """Give the binding the input *what*; an answer where nothing was asked is one that comes too late."""
    binding, now = bench.binding, bench.now
    if what == "start":
        binding.start(now)
    elif what == "refresh":
        binding.refresh(now)
    elif what == "timer":
        binding.handle_timer(now)
    elif what == "flow lost":
        binding.flow_lost(binding.flow or make_flow(), ConnectionFailure("lost"), now)
    elif what == "end":
        binding.end(now)
    elif what == "abandon":
        binding.abandon(None, now)
    elif bench.errand is not None:
        answer_with(bench, what)


def answer_with(bench: Bench, what: str) -> None:
    """The registrar says *what*."""
    if what == "2xx":
        bench.grant()
    elif what == "2xx, not ours":
        bench.reply(200, ("Contact", OTHER))
    elif what == "423":
        bench.reply(423, ("Min-Expires", "7200"))
    elif what == "no answer":
        bench.fail()
    else:
        bench.reply(int(what))


class TableTests(SynchronousTestCase):
    """Every pair."""

    def test_pairs(self) -> None:
        """Each input does in each state what the table says."""
        for state, what, expected in TABLE:
            with self.subTest(state=state, what=what):
                bench = bring(state)
                apply(bench, what)
                said = bench.said()
                now = bench.binding.state.name.lower()
                self.assertEqual(" ".join(word for word in (now, *_sent(said)) if word), expected)
                self.assertEqual("user:" in said, now != state)

    def test_complete(self) -> None:
        """The table has each pair once."""
        self.assertEqual([row[:2] for row in TABLE], [(state, what) for state in STATES for what in INPUTS])


def _sent(said: str) -> list[str]:
    """What was sent, without what was told."""
    return [" ".join(word for word in said.split() if not word.startswith("user:"))]


class RegisterTests(SynchronousTestCase):
    """What is asked, and when."""

    def test_fields(self) -> None:
        """A REGISTER names the domain in its Request-URI and the address of record in To and From (RFC 3261 section
        10.2)."""
        bench = Bench(fields=[("X-Own", "1")])
        bench.binding.start(bench.now)
        bench.said()
        [wanted] = bench.wanted
        request = wanted.errand.plan.build()
        self.assertEqual(request.uri_text, "sip:example.com")
        self.assertEqual(request.to.uri_text, "sip:alice@example.com")
        self.assertEqual(request.headers.get("Supported"), "path, outbound, gruu")
        self.assertEqual((request.headers.get("Expires"), request.headers.get("X-Own")), ("3600", "1"))
        self.assertIsNone(wanted.flow)

    def test_same_flow(self) -> None:
        """A refresh takes the flow that the binding is bound to (RFC 5626 section 4.2.1), and the removal, too."""
        bench = bring("registered")
        flow = bench.binding.flow
        bench.wait(3000)
        self.assertEqual(bench.said(), "user:refreshing >REGISTER")
        self.assertIs(bench.wanted[-1].flow, flow)
        bench.grant()
        bench.binding.end(bench.now)
        bench.said()
        self.assertIs(bench.wanted[-1].flow, flow)

    def test_counts_on(self) -> None:
        """CSeq counts on from what was sent last, credentials and repetitions counted in (RFC 3261 section 10.2)."""
        bench = bring("registering")
        assert bench.errand is not None
        bench.errand.plan.cseq = 3
        bench.grant()
        bench.binding.refresh(bench.now)
        bench.said()
        self.assertEqual((bench.errand.plan.cseq, bench.errand.plan.call_id), (4, bench.wanted[0].errand.plan.call_id))

    def test_when(self) -> None:
        """It is refreshed ten minutes before its end, or when half of it has passed, and never all the time."""
        for expires, after in ((7200, 6600), (3600, 3000), (1000, 500), (60, 30), (1, 5)):
            self.assertEqual(refresh_after(expires), after)

    def test_longer_than_asked(self) -> None:
        """A registrar that grants more than was asked is asked again as though it had not (RFC 3261 section 10.3 item
        7). fault:K8"""
        bench = bring("registering")
        bench.grant(4294967295)
        self.assertEqual(bench.core.appointments.next_deadline(), bench.now + refresh_after(3600))

    def test_too_brief_once(self) -> None:
        """A registrar that asks for ever more is not followed for ever (RFC 3261 section 10.2.8)."""
        bench = bring("registering")
        for least in ("7200", "8000"):
            bench.reply(423, ("Min-Expires", least))
            self.assertEqual(bench.said(), ">REGISTER")
        bench.reply(423, ("Min-Expires", "9000"))
        self.assertEqual(bench.said(), "user:over")

    def test_too_brief_says_nothing(self) -> None:
        """A 423 without a time, or with one that we have asked for, is a refusal."""
        for fields in ((), (("Min-Expires", "60"),), (("Min-Expires", "soon"),)):
            bench = bring("registering")
            bench.reply(423, *fields)
            self.assertEqual(bench.said(), "user:over")

    def test_provisional(self) -> None:
        """A provisional response decides nothing."""
        bench = bring("registering")
        bench.reply(100)
        self.assertEqual((bench.said(), bench.binding.state), ("", BindingState.REGISTERING))

    def test_removed_whatever_comes(self) -> None:
        """A refresh that fails while the binding is no longer wanted leaves the one before, which is removed."""
        bench = bring("refreshing")
        bench.binding.end(bench.now)
        bench.reply(503)
        self.assertEqual(bench.said(), "user:ending user:removing >REGISTER 0")

    def test_ends_while_it_waits(self) -> None:
        """One that could not be refreshed, and still stands, is removed as well."""
        bench = bring("refreshing")
        bench.reply(503)
        bench.binding.end(bench.now)
        self.assertEqual(bench.said(), "user:waiting user:removing >REGISTER 0")

    def test_flow_fails_under_refresh(self) -> None:
        """A flow that fails under a refresh is as one that fails before: the binding is asked for over another one, at
        once where that one had served for two minutes (RFC 5626 section 4.5)."""
        for served, expected, flow in ((200.0, "user:registering >REGISTER", None), (10.0, "user:waiting", None)):
            bench = bring("registered")
            bench.wait(served)
            bench.binding.refresh(bench.now)
            bench.said()
            bench.fail()
            self.assertEqual((bench.said(), bench.binding.flow), (expected, flow))

    def test_runs_out(self) -> None:
        """One that nobody has refreshed stands no longer when its time is over."""
        bench = bring("registered")
        self.assertTrue(bench.binding.stands(bench.now + 3599))
        self.assertFalse(bench.binding.stands(bench.now + 3601))

    def test_lapses(self) -> None:
        """What was granted is kept while a binding that stands is asked for again, and given up when its time is over
        (RFC 5627 section 4.4); the next attempt comes when it was due."""
        bench = bring("registering")
        bench.grant(600)
        bench.wait(300)
        bench.said()
        bench.reply(503, ("Retry-After", "1000"))
        self.assertEqual((bench.said(), bench.due()), ("user:waiting", 300))
        self.assertIsNotNone(bench.binding.granted)
        bench.wait(300)
        self.assertEqual((bench.said(), bench.due()), ("user:waiting", 700))
        self.assertIsNone(bench.binding.granted)
        bench.wait(700)
        self.assertEqual(bench.said(), "user:registering >REGISTER")
        bench.grant(600)
        self.assertIsNotNone(bench.binding.granted)

    def test_lapses_under_way(self) -> None:
        """The same where its time is over when the next attempt comes to nothing."""
        bench = bring("refreshing")
        bench.now += 3600
        bench.reply(503)
        self.assertIsNone(bench.binding.granted)

    def test_refused(self) -> None:
        """A refusal takes the Service-Route (RFC 3608 section 6.1), and not what stands for as long as the binding does
        (RFC 5627 section 4.2); a server that cannot do it now has refused nothing."""
        for status, kept in ((503, ("<sip:a.example;lr>",)), (403, ())):
            bench = Bench(keeps_trying=True)
            bench.binding.start(bench.now)
            bench.said()
            bench.reply(200, ("Service-Route", "<sip:a.example;lr>"), ("Contact", f"{CONTACT};reg-id=1;expires=600"))
            bench.binding.refresh(bench.now)
            bench.said()
            bench.reply(status)
            granted = bench.binding.granted
            assert granted is not None
            self.assertEqual((bench.said(), granted.service_route), ("user:waiting", kept))

    def test_bad_order(self) -> None:
        """A time that is none is refused."""
        for expires in (0, 2**32):
            self.assertRaises(ValueError, Bench, expires=expires)


class RecoveryTests(SynchronousTestCase):
    """Failures, and what follows (RFC 5626 section 4.5)."""

    def test_doubles(self) -> None:
        """The first wait is 30 to 60 seconds, and each further one twice as long, up to half an hour."""
        bench = bring("waiting")
        for upper in (60, 120, 240, 480, 960, 1800, 1800, 1800):
            due = bench.due()
            assert due is not None
            self.assertTrue(upper / 2 <= due <= upper, (upper, due))
            bench.wait(due)
            bench.said()
            bench.fail()

    def test_begins_anew(self) -> None:
        """Once it has served for two minutes, its loss is a first one, and is made good at once."""
        bench = bring("registered")
        bench.wait(120)
        flow = bench.binding.flow
        assert flow is not None
        bench.binding.flow_lost(flow, ConnectionFailure("lost"), bench.now)
        self.assertEqual(bench.said(), "user:registering >REGISTER")
        self.assertIsNone(bench.wanted[-1].flow)

    def test_others_serve(self) -> None:
        """While another flow serves there is more time: 90 to 180 seconds at first."""
        bench = Bench(2)
        one, two = bench.siblings
        two.start(bench.now)
        bench.said()
        bench.binding = two
        bench.grant()
        bench.binding = one
        one.start(bench.now)
        bench.said()
        bench.fail()
        due = bench.due()
        assert due is not None
        self.assertTrue(90 <= due <= 180, due)

    def test_registrar_says_when(self) -> None:
        """A longer Retry-After counts; one that is beyond reason counts for a day."""
        for given_, least, most in (("300", 300, 300), ("1", 30, 60), ("4000000000", 86400, 86400), ("x", 30, 60)):
            bench = bring("registering")
            bench.reply(503, ("Retry-After", given_))
            due = bench.due()
            assert due is not None
            self.assertTrue(least <= due <= most, (given_, due))

    def test_dialled_later(self) -> None:
        """A server that is left alone for a while after a failure is not asked before."""
        bench = bring("registering")
        reason = ConnectionFailure("it rests")
        reason.retry_after = 500.0
        bench.fail(reason)
        self.assertEqual(bench.due(), 500)

    def test_keeps_trying(self) -> None:
        """Who wants it so has even a refusal followed by another attempt."""
        bench = Bench(keeps_trying=True)
        bench.binding.start(bench.now)
        bench.said()
        bench.reply(403)
        self.assertEqual(bench.said(), "user:waiting")

    def test_flow_of_another(self) -> None:
        """What becomes of another flow is nothing to it."""
        bench = bring("registered")
        bench.binding.flow_lost(make_flow(), ConnectionFailure("lost"), bench.now)
        self.assertEqual(bench.said(), "")

    def test_strange_answers(self) -> None:
        """An answer to a REGISTER of before is none."""
        bench = bring("registering")
        before = bench.errand
        bench.fail()
        bench.binding.refresh(bench.now)
        bench.said()
        assert before is not None
        bench.binding.errand_failed(before, OperationTimeout("late"), bench.now)
        self.assertEqual((bench.said(), bench.binding.state), ("", BindingState.REGISTERING))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([*INPUTS, "time passes"]), max_size=40))
    def test_lives(self, inputs: list[str]) -> None:
        """Whatever happens in whatever order: one REGISTER is under way at most, nothing that is over waits for
        anything, and nothing is left behind."""
        bench = Bench(recovery=FlowRecovery(1, 2, 10, 5))
        for what in inputs:
            before = bench.errand
            if what == "time passes":
                bench.wait(7)
            else:
                apply(bench, what)
            said = bench.said()
            self.assertLessEqual(said.count(">REGISTER"), 1)
            state = bench.binding.state
            if state is BindingState.OVER:
                self.assertIsNone(bench.due())
            elif state in (BindingState.WAITING, BindingState.REGISTERED):
                self.assertIsNotNone(bench.due())
            else:
                self.assertIsNone(bench.due())
            if before is not bench.errand:
                self.assertIn(">REGISTER", said)
        bench.binding.abandon(None, bench.now)
        self.assertEqual(len(bench.core.appointments), 0)

    def test_no_cycles(self) -> None:
        """A binding that is over, and whose registration has let go of it, needs no garbage collector."""
        with nothing_left(self, Binding):
            bench = bring("over")
            bench.siblings.clear()
            del bench
