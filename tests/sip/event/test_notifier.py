"""The notifier's machine (RFC 6665 section 4.2), pair by pair, and what its NOTIFYs say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, InvalidOperation, SipError
from sip_p2p.sip.event.notifier import Notifier
from sip_p2p.sip.event.terms import Terms
from sip_p2p.sip.fields import EventValue
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Response
from tests.sip.dialog.dialogs import tls
from tests.sip.event.notifier_table import TABLE
from tests.sip.event.notifying import RETRY_AFTER, Bench, subscribe
from tests.sip.event.table_checks import check_outcomes, check_pairs

STATES = (
    "waiting",
    "pending",
    "pending, telling",
    "active",
    "active, telling",
    "active, telling and owing",
    "active, held",
    "active, resting",
    "ending, NOTIFY first",
    "ending",
    "terminated",
)
INPUTS = (
    "accept", "accept pending", "refuse", "approve", "changed", "terminate",
    "SUBSCRIBE", "SUBSCRIBE 0", "SUBSCRIBE too short",
    "200", "481", "500", "500 Retry-After", "404", "no response", "overload",
    "its turn", "time is up", "dialog gone", "abandon",
)  # fmt: skip

RATED = Terms(default=600, minimum=60, maximum=7200, interval=5.0)


def bring(state: str) -> Bench:
    """A subscription in *state*."""
    bench = Bench(RATED)
    notifier = bench.ask()
    if state == "waiting":
        return bench
    notifier.accept(bench.now, is_active=not state.startswith("pending"))
    bench.look()
    if state in ("pending", "active", "active, held", "active, resting"):
        bench.answer(200)
    if state in ("active, telling and owing", "active, held"):
        notifier.changed(bench.now)
    elif state == "active, resting":
        bench.wait(10.0)
        notifier.changed(bench.now)
        bench.look()
        bench.overload()
    elif state in ("ending, NOTIFY first", "ending"):
        notifier.terminate(bench.now, "deactivated")
        bench.look()
        if state == "ending":
            bench.answer(200)
    elif state == "terminated":
        notifier.dialog_gone(None, bench.now)
    bench.said()
    return bench


def apply(bench: Bench, what: str) -> str:
    """Give the machine the input *what*; return the mistake that it is, if any, or that it cannot be."""
    notifier, now = bench.notifier, bench.now
    assert notifier is not None
    answers = ("200", "481", "500", "500 Retry-After", "404", "no response", "overload")
    if what in answers and not notifier.is_busy:
        return "impossible"
    if what in ("dialog gone", "SUBSCRIBE", "SUBSCRIBE 0", "SUBSCRIBE too short") and bench.state == "waiting":
        return "impossible"
    try:
        if what.startswith("accept"):
            notifier.accept(now, is_active=what == "accept")
        elif what == "refuse":
            notifier.refuse(403, now)
        elif what == "approve":
            notifier.approve(now)
        elif what == "changed":
            notifier.changed(now)
        elif what == "terminate":
            notifier.terminate(now, "noresource")
        elif what == "dialog gone":
            notifier.dialog_gone(None, now)
        elif what == "abandon":
            notifier.abandon()
        else:
            hear(bench, what)
    except SipError as error:
        return f"!{type(error).__name__}"
    return ""


def hear(bench: Bench, what: str) -> None:
    """What comes from outside."""
    if what.startswith("SUBSCRIBE"):
        bench.again({"SUBSCRIBE": 600, "SUBSCRIBE 0": 0, "SUBSCRIBE too short": 5}[what])
    elif what == "500 Retry-After":
        bench.answer(500, (("Retry-After", str(RETRY_AFTER)),))
    elif what == "no response":
        bench.fail()
    elif what == "overload":
        bench.overload()
    elif what == "its turn":
        bench.wait(RETRY_AFTER + 1.0)
    elif what == "time is up":
        bench.now += 601.0
        bench.core.handle_timer(bench.now)
    else:
        bench.answer(int(what))


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        check_pairs(self, TABLE, STATES, INPUTS)

    def test_every_pair(self) -> None:
        """4.2: each input in each state leads where the table says. row:J9 fault:D6"""

        def follows(bench: Bench, what: str) -> str:
            mistake = apply(bench, what)
            return mistake if mistake == "impossible" else " ".join(filter(None, (bench.said(), mistake)))

        check_outcomes(self, TABLE, bring, follows)


class NotifyTests(SynchronousTestCase):
    """What is said, and to whom."""

    def active(self, **fields: object) -> Bench:
        """A subscription that has been told once."""
        bench = Bench()
        bench.ask(subscribe(**fields)).accept(bench.now)  # type: ignore[arg-type]
        bench.look()
        bench.answer(200)
        return bench

    def test_first(self) -> None:
        """4.2.1.2: a SUBSCRIBE is answered 200 with Expires and Contact, and the state follows in its dialog."""
        bench = Bench()
        bench.ask().accept(bench.now, fields=(("Allow-Events", "presence"),))
        bench.look()
        [answer], [notify] = bench.answers, bench.sent
        fields = [answer.headers.get(name) for name in ("Expires", "Contact", "Allow-Events", "To")]
        self.assertEqual(fields, ["600", "<sip:bob@192.0.2.2>", "presence", "<sip:bob@b.example>;tag=bt"])
        self.assertEqual((notify.uri_text, notify.from_.tag, notify.to.tag), ("sip:alice@192.0.2.1", "bt", "at"))
        fields = [notify.headers.get(name) for name in ("Event", "Subscription-State", "Content-Type", "CSeq")]
        self.assertEqual(fields, ["presence", "active;expires=600", "text/plain", "1 NOTIFY"])
        self.assertEqual(notify.body, b"open")

    def test_record_route(self) -> None:
        """RFC 3261 section 12.1.1: the 200 that makes the dialog repeats each Record-Route, as it was written, and the
        NOTIFY goes that way; that of a refresh repeats none."""
        recorded = ("<sip:p2.example;lr;x=Y>", "<sip:p1.example;lr>,<sip:p0.example;lr>")
        bench = self.active(fields=tuple(("Record-Route", value) for value in recorded))
        self.assertEqual(tuple(bench.answers[0].headers.get_all("Record-Route")), recorded)
        self.assertEqual(
            bench.sent[0].headers.get_all("Route"),
            ["<sip:p2.example;lr;x=Y>", "<sip:p1.example;lr>", "<sip:p0.example;lr>"],
        )
        bench.again()
        self.assertEqual(bench.answers[1].headers.get_all("Record-Route"), [])

    def test_what_expires_says(self) -> None:
        """4.2.2: each NOTIFY says the seconds that are left, and each refresh begins them anew."""
        bench = self.active()
        bench.wait(100)
        self.changed(bench)
        bench.again(1200)
        bench.answer(200)
        states = [notify.headers.get("Subscription-State") for notify in bench.sent]
        self.assertEqual(states, ["active;expires=600", "active;expires=500", "active;expires=1200"])
        bench.wait(1199)
        self.assertEqual(len(bench.sent), 3)
        bench.wait(1)
        self.assertEqual(bench.sent[-1].headers.get("Subscription-State"), "terminated;reason=timeout")

    def changed(self, bench: Bench) -> None:
        """The state changes, and the subscriber hears it."""
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        bench.answer(200)

    def test_id(self) -> None:
        """3.2.1 and 4.5.2: a NOTIFY repeats the package and the id of the subscription, and nothing else of Event."""
        bench = self.active(event="presence;id=7;max-rate=1")
        self.assertEqual(bench.sent[0].headers.get("Event"), "presence;id=7")
        assert bench.notifier is not None
        self.assertEqual(list(bench.notifier.dialog.subscriptions or ()), ["notifier:presence;id=7"])

    def test_newest_state_wins(self) -> None:
        """Of what changes while a NOTIFY is under way only the newest is told, as it is when it can be."""
        bench = Bench()
        notifier = bench.ask()
        notifier.accept(bench.now)
        bench.look()
        for state in (b"1", b"2", b"3"):
            bench.content = ("text/plain", state)
            notifier.changed(bench.now)
            bench.look()
        bench.answer(200)
        bench.answer(200)
        self.assertEqual([notify.body for notify in bench.sent], [b"open", b"3"])
        self.assertEqual((bench.asked, bench.state), (2, "active"))

    def test_pushed_state(self) -> None:
        """What the application says to one subscriber goes as it was said, the last one of several, and is not asked
        for; a change after it is."""
        bench = Bench()
        notifier = bench.ask()
        notifier.accept(bench.now)
        bench.look()
        notifier.changed(bench.now, ("text/plain", b"1"))
        notifier.changed(bench.now, ("text/plain", b"2"))
        bench.answer(200)
        notifier.changed(bench.now, ("text/plain", b"3"))
        notifier.changed(bench.now)
        bench.answer(200)
        self.assertEqual([notify.body for notify in bench.sent], [b"open", b"2", b"open"])

    def test_pushed_while_asked(self) -> None:
        """What the application says between the question for the state and its answer is newer than the answer."""
        bench = self.active()
        notifier = bench.notifier
        assert notifier is not None
        notifier.changed(bench.now)
        notifier.changed(bench.now, ("text/plain", b"newer"))
        bench.look()
        self.assertEqual(bench.sent[-1].body, b"newer")

    def test_pending_learns_nothing(self) -> None:
        """4.2.1.2: who waits for authorisation is told that, and not the state, also at the end."""
        bench = Bench()
        notifier = bench.ask()
        notifier.accept(bench.now, is_active=False)
        bench.look()
        bench.answer(200)
        notifier.changed(bench.now, ("text/plain", b"secret"))
        bench.again()
        bench.answer(200)
        bench.wait(600)
        bench.answer(200)
        self.assertEqual([notify.body for notify in bench.sent], [b"", b"", b""])
        states = [str(notify.headers.get("Subscription-State")) for notify in bench.sent]
        self.assertEqual(states, ["pending;expires=600", "pending;expires=600", "terminated;reason=timeout"])
        self.assertEqual((bench.asked, bench.state), (0, "terminated"))

    def test_approved(self) -> None:
        """A pending subscriber that is approved is told the state at once, whatever the rate."""
        bench = Bench(RATED)
        notifier = bench.ask()
        notifier.accept(bench.now, is_active=False)
        bench.look()
        bench.answer(200)
        notifier.approve(bench.now)
        bench.look()
        self.assertEqual([notify.body for notify in bench.sent], [b"", b"open"])

    def test_fetch(self) -> None:
        """4.4.3: Expires 0 fetches the state once, in a NOTIFY that is the last. row:J4 fault:D6"""
        bench = Bench()
        bench.ask(subscribe(expires=0)).accept(bench.now)
        self.assertEqual(bench.said(), ">200 >NOTIFY terminated")
        self.assertEqual((bench.answers[0].headers.get("Expires"), bench.sent[0].body), ("0", b"open"))
        bench.answer(200)
        self.assertEqual((bench.said(), len(bench.core.dialogs)), ("[ended timeout]", 0))

    def test_fetch_unapproved(self) -> None:
        """4.4.3: the one NOTIFY of a fetch ends it with timeout, also where nobody has approved it; that has no body
        then."""
        bench = Bench()
        bench.ask(subscribe(expires=0)).accept(bench.now, is_active=False)
        bench.look()
        self.assertEqual(bench.sent[0].headers.get("Subscription-State"), "terminated;reason=timeout")
        self.assertEqual((bench.sent[0].body, bench.asked), (b"", 0))

    def test_end_with_reason(self) -> None:
        """4.1.3: the last NOTIFY says why, and when to come again; the state does not go with it unless it is given."""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.terminate(bench.now, "probation", 30)
        bench.look()
        last = bench.sent[-1]
        self.assertEqual(last.headers.get("Subscription-State"), "terminated;reason=probation;retry-after=30")
        self.assertEqual(last.body, b"")
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.terminate(bench.now, "noresource", content=("text/plain", b"bye"))
        bench.look()
        self.assertEqual(bench.sent[-1].body, b"bye")
        for retry_after, said in ((None, 31536000), (60, 60)):
            # A year, for those who know no invariant.
            bench = self.active()
            assert bench.notifier is not None
            bench.notifier.terminate(bench.now, "invariant", retry_after)
            bench.look()
            last = bench.sent[-1]
            expected = f"terminated;reason=invariant;retry-after={said}"
            self.assertEqual(last.headers.get("Subscription-State"), expected)
        self.assertRaises(ValueError, self.active().notifier.terminate, 0.0, "no token")  # type: ignore[union-attr]

    def test_unsubscribed(self) -> None:
        """4.1.2.3: who unsubscribes is told the state a last time, and the dialog goes with the answer."""
        bench = self.active()
        bench.again(0)
        self.assertEqual(bench.said(), ">200 >NOTIFY active >200 [refreshed] >NOTIFY terminated")
        self.assertEqual(bench.sent[-1].body, b"open")
        bench.answer(481)
        self.assertEqual((bench.state, len(bench.core.dialogs), len(bench.core.appointments)), ("terminated", 0, 0))

    def test_failure_of_the_dialog(self) -> None:
        """RFC 5057 section 5.1: a 404 to a NOTIFY ends the dialog and every other subscription in it."""
        bench = self.active()
        first = bench.notifier
        assert first is not None
        bench.core.dialogs.add_subscription(first.dialog, "notifier:other", first)
        first.changed(bench.now)
        bench.look()
        bench.answer(404)
        self.assertEqual((len(bench.core.dialogs), first.dialog.usages), (0, ()))

    def test_failures(self) -> None:
        """4.2.2 and RFC 5057 section 5.1: what says that nobody is told any more ends the subscription, whatever its
        Retry-After; what complains of one NOTIFY does not, and the next change is told."""
        for status in (404, 405, 408, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 502, 604):
            bench = self.active()
            assert bench.notifier is not None
            bench.notifier.changed(bench.now)
            bench.look()
            bench.answer(status, (("Retry-After", "20"),))
            self.assertEqual((bench.state, len(bench.core.dialogs)), ("terminated", 0), status)
        for status in (400, 403, 406, 413, 415, 420, 486, 488, 500, 503, 504, 600, 603, 606, 699):
            bench = self.active()
            assert bench.notifier is not None
            bench.notifier.changed(bench.now)
            bench.look()
            bench.answer(status)
            self.assertEqual((bench.state, len(bench.sent)), ("active", 2), status)
            bench.notifier.changed(bench.now)
            bench.look()
            self.assertEqual(len(bench.sent), 3)

    def test_retry_after(self) -> None:
        """RFC 5057 section 5.1: a NOTIFY that fails with a Retry-After is sent again by then, as the state is then; one
        that cannot be read counts as missing."""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        bench.answer(503, (("Retry-After", "20"),))
        bench.content = ("text/plain", b"later")
        bench.wait(19)
        self.assertEqual(len(bench.sent), 2)
        bench.wait(1)
        self.assertEqual(bench.sent[-1].body, b"later")
        bench.answer(503, (("Retry-After", "soon"),))
        self.assertEqual(bench.state, "active")

    def test_shortest_retry_after(self) -> None:
        """Who wants each NOTIFY again at once gets one a second, and not as many as the way there carries.
        fault:K8"""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        for number in range(2, 5):
            bench.answer(500, (("Retry-After", "0"),))
            bench.wait(0.9)
            self.assertEqual(len(bench.sent), number)
            bench.wait(0.2)
            self.assertEqual(len(bench.sent), number + 1)

    def test_longest_retry_after(self) -> None:
        """A Retry-After of years keeps no NOTIFY back for longer than the subscription lasts."""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        bench.answer(500, (("Retry-After", "4294967295"),))
        bench.wait(600)
        self.assertEqual(bench.sent[-1].headers.get("Subscription-State"), "terminated;reason=timeout")

    def test_refresh_lifts_retry_after(self) -> None:
        """A subscriber that asked to be left alone and then refreshes is told at once."""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        bench.answer(500, (("Retry-After", "300"),))
        bench.again()
        self.assertEqual(len(bench.sent), 3)

    def test_refused_refresh(self) -> None:
        """4.1.2.2: a refresh that is refused leaves the subscription as it was, and says what would do. row:J10"""
        bench = self.active()
        bench.wait(100)
        bench.again(30)
        self.assertEqual(bench.answers[-1].headers.get("Min-Expires"), "60")
        bench.again("soon")
        bench.again(600, cseq=1)
        self.assertEqual([answer.status for answer in bench.answers], [200, 423, 400, 500])
        assert bench.notifier is not None
        self.assertEqual(bench.notifier.expires_at, 700.0)

    def test_target_refresh(self) -> None:
        """3.1 and 3.2: the Contact of a SUBSCRIBE and of a 2xx to NOTIFY is where the next NOTIFY goes."""
        bench = self.active()
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.look()
        bench.answer(200, (("Contact", "<sip:alice@192.0.2.77>"),))
        bench.notifier.changed(bench.now)
        bench.look()
        self.assertEqual(bench.sent[-1].uri_text, "sip:alice@192.0.2.77")

    def test_strangers(self) -> None:
        """A NOTIFY to somebody who has proved nothing goes to where the SUBSCRIBE came from, whatever its Contact says;
        to a verified party it goes to its Contact. fault:D4"""
        for flow, goes_back in ((Flow("UDP", False, "here.example", "192.0.2.9", 5060), True), (None, False)):
            bench = Bench(flow=flow)
            transport = "UDP" if goes_back else "TLS"
            bench.ask(subscribe(contact="<sip:victim@192.0.2.200>", transport=transport)).accept(bench.now)
            bench.look()
            assert bench.errand is not None
            self.assertEqual(bench.errand.plan.goes_back, goes_back)

    def test_foreign_party(self) -> None:
        """A SUBSCRIBE of another party that knows the dialog's tags is answered as if there were none, and changes
        nothing. fault:D4"""
        bench = self.active()
        mallory = tls("m.example")
        bench.core.receive_message(subscribe(expires=0, cseq=9, to_tag="bt"), mallory, bench.now)
        bench.look()
        self.assertEqual((bench.answers[-1].status, bench.state, len(bench.sent)), (481, "active", 1))

    def test_rates(self) -> None:
        """RFC 6446 sections 5.2 and 6.2: no more often than max-rate, no more seldom than min-rate, and said so in
        Subscription-State."""
        bench = self.active(event="presence;max-rate=0.1;min-rate=0.02")
        self.assertEqual(
            bench.sent[0].headers.get("Subscription-State"), "active;expires=600;max-rate=0.1;min-rate=0.02"
        )
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.wait(9.9)
        self.assertEqual(len(bench.sent), 1)
        bench.wait(0.1)
        self.assertEqual(len(bench.sent), 2)
        bench.answer(200)
        bench.wait(49.9)
        self.assertEqual(len(bench.sent), 2)
        bench.wait(0.1)
        self.assertEqual(len(bench.sent), 3)

    def test_forced_rate_is_bounded(self) -> None:
        """RFC 6446 section 6.3: nobody can make us send more than one NOTIFY a second of which nothing is new, and the
        NOTIFYs say the rate that is kept. fault:D6"""
        bench = self.active(event="presence;min-rate=99")
        self.assertIn("min-rate=1", str(bench.sent[0].headers.get("Subscription-State")))
        for _ in range(5):
            bench.wait(1.0)
            bench.answer(200)
        self.assertEqual(len(bench.sent), 6)

    def test_rates_end_with_a_refresh(self) -> None:
        """RFC 6446 section 5.1: a refresh that names no rate takes back the one before."""
        bench = self.active(event="presence;max-rate=0.1")
        bench.again(600)
        self.assertEqual(bench.sent[-1].headers.get("Subscription-State"), "active;expires=600")
        bench.answer(200)
        self.changed(bench)
        self.assertEqual(len(bench.sent), 3)

    def test_rates_in_an_answer(self) -> None:
        """RFC 6446 sections 4.2 and 9.3: the Event of a 2xx to a NOTIFY says anew how often, all of it; one of another
        package, or that cannot be read, says nothing."""
        bench = Bench()
        notifier = bench.ask(subscribe(event="presence;max-rate=0.1"))
        notifier.accept(bench.now)
        bench.look()
        for said, rates in (
            ("presence;max-rate=0.2;min-rate=0.02;id=9", ";max-rate=0.2;min-rate=0.02"),
            ("dialog;max-rate=0.5", ";max-rate=0.2;min-rate=0.02"),
            ("no token", ";max-rate=0.2;min-rate=0.02"),
            ("presence;min-rate=0.05", ";min-rate=0.05"),
            ("presence", ""),
        ):
            bench.answer(200, (("Event", said),))
            notifier.changed(bench.now)
            bench.wait(10)
            bench.look()
            state = str(bench.sent[-1].headers.get("Subscription-State"))
            self.assertEqual(state.partition(";expires=")[2].lstrip("0123456789"), rates, said)

    def test_rate_of_another_attempt(self) -> None:
        """RFC 6446 section 5.2: a change that is told a second time keeps the distance, too; what a SUBSCRIBE asked for
        does not."""
        bench = Bench()
        bench.ask(subscribe(event="presence;max-rate=0.01")).accept(bench.now)
        bench.look()
        bench.answer(500, (("Retry-After", "5"),))
        bench.wait(5)
        self.assertEqual(len(bench.sent), 2)
        bench.answer(200)
        assert bench.notifier is not None
        bench.notifier.changed(bench.now)
        bench.wait(100)
        bench.answer(500, (("Retry-After", "5"),))
        bench.wait(99)
        self.assertEqual(len(bench.sent), 3)
        bench.wait(1)
        self.assertEqual(len(bench.sent), 4)

    def test_rate_that_tells_nothing(self) -> None:
        """RFC 6446 section 5.3: a max-rate under which nothing would be told before the end is raised, and said so."""
        bench = self.active(event="presence;max-rate=0.0001", expires=100)
        self.assertEqual(bench.sent[0].headers.get("Subscription-State"), "active;expires=100;max-rate=0.01")
        bench.again(1000, "presence;max-rate=0.0001")
        self.assertIn(";max-rate=0.001", str(bench.sent[-1].headers.get("Subscription-State")))

    def test_gone_meanwhile(self) -> None:
        """A subscriber that has gone before anybody decided makes no dialog."""
        bench = Bench()
        notifier = bench.ask()
        bench.core.flow_failed(bench.flow, ConnectionFailure("lost"), bench.now)
        bench.core.take_outputs()
        self.assertFalse(notifier.accept(bench.now))
        self.assertEqual((bench.state, len(bench.core.dialogs)), ("terminated", 0))

    def test_refused_when_gone(self) -> None:
        """To refuse somebody who has gone says nothing."""
        bench = Bench()
        notifier = bench.ask()
        bench.core.flow_failed(bench.flow, ConnectionFailure("lost"), bench.now)
        bench.core.take_outputs()
        notifier.refuse(403, bench.now)
        self.assertEqual(bench.said(), "")

    def test_implicit(self) -> None:
        """A subscription that no SUBSCRIBE made begins by itself, and is told at once (RFC 3515 section 2.4.4)."""
        bench = Bench()
        template = bench.ask()
        notifier = bench.notifier = Notifier(
            bench.core, bench.profile, template.dialog, EventValue("refer"), bench.terms, bench
        )
        notifier.begin(bench.now, 60)
        self.assertEqual(bench.said(), ">NOTIFY active")
        self.assertRaises(InvalidOperation, notifier.begin, bench.now, 60)

    def test_no_sequence_number_left(self) -> None:
        """A dialog without sequence numbers ends the subscription rather than anything else."""
        bench = self.active()
        notifier = bench.notifier
        assert notifier is not None
        notifier.dialog.local_cseq = 2**31 - 1
        bench.said()
        notifier.changed(bench.now)
        self.assertEqual((bench.said(), bench.state), ("[ended without a word]", "terminated"))

    def test_foreign_answers(self) -> None:
        """The answer to a NOTIFY that is not under way any more, and a provisional one, move nothing."""
        bench = Bench()
        notifier = bench.ask()
        notifier.accept(bench.now)
        bench.look()
        errand = bench.errand
        assert errand is not None
        notifier.errand_answered(errand, Response(100), bench.flow, bench.now)
        self.assertEqual(bench.state, "active, telling")
        bench.answer(200)
        notifier.errand_answered(errand, Response(481), bench.flow, bench.now)
        notifier.errand_failed(errand, ConnectionFailure("late"), bench.now)
        self.assertEqual(bench.state, "active")


class LifeTests(SynchronousTestCase):
    """Random lives."""

    @given(st.lists(st.sampled_from((*INPUTS, "wait", "push")), max_size=40), st.sampled_from([0.0, 5.0]))
    @settings(max_examples=200, deadline=None)
    def test_any_life(self, inputs: list[str], interval: float) -> None:
        """Whatever comes in whatever order: no exception, one NOTIFY at a time, nothing told after the end, and nothing
        left of it. fault:D6"""
        bench = Bench(Terms(default=600, minimum=60, maximum=7200, interval=interval))
        bench.ask()
        for what in inputs:
            if what == "wait":
                bench.wait(3.0)
            elif what == "push":
                assert bench.notifier is not None
                bench.notifier.changed(bench.now, ("text/plain", b"pushed"))
            else:
                apply(bench, what)
            bench.look()
        notifier = bench.notifier
        assert notifier is not None
        if bench.state == "waiting":
            notifier.refuse(603, bench.now)
        elif bench.errand is None:
            notifier.terminate(bench.now, "deactivated")
        bench.look()
        while bench.errand is not None:
            bench.answer(200)
            if not notifier.is_over:
                notifier.terminate(bench.now, "deactivated")
                bench.look()
        self.assertEqual(bench.state, "terminated")
        self.assertEqual((len(bench.core.dialogs), len(bench.core.appointments)), (0, 0))
        told = bench.said()
        self.assertLessEqual(told.count("[ended"), 1)
        last = [notify.headers.get("Subscription-State") or "" for notify in bench.sent]
        self.assertFalse([each for each in last[:-1] if each.startswith("terminated")])
        numbers = [notify.cseq.number for notify in bench.sent]
        self.assertEqual(numbers, sorted(set(numbers)))
