"""An INVITE of ours: every pair of a state and an input, CANCEL and what it crosses in every order, its attempts."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, InvalidOperation
from sip_p2p.sip.dialog.call_options import CallOptions
from sip_p2p.sip.dialog.client_invitation import ClientInvitation
from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
from sip_p2p.sip.uri import SipUri
from tests.sip.dialog.calling import ANSWER, OFFER, CallBench
from tests.sip.dialog.pair import Pair, Wires
from tests.support import MemoryTestCase

STATES = (
    *("idle", "dialling", "calling", "proceeding", "ringing", "unwanted", "cancelling", "redirected"),
    *("accepted", "late", "ended"),
)
INPUTS = (
    *("start", "cancel", "follow", "give up"),
    *("100", "180", "180 elsewhere", "199", "200", "200 elsewhere", "302", "422", "486", "603"),
    *("no response", "flow lost", "time is up"),
)

TABLE = [
    # state, input, what follows; ringing is proceeding with an early dialog, dialling is calling with nothing sent yet
    ("idle", "start", "dialling"),
    ("idle", "cancel", "ended user:ended"),
    ("idle", "follow", "idle !InvalidOperation"),
    ("idle", "give up", "idle !InvalidOperation"),
    ("idle", "100", "idle"),
    ("idle", "180", "idle"),
    ("idle", "180 elsewhere", "idle"),
    ("idle", "199", "idle"),
    ("idle", "200", "idle"),
    ("idle", "200 elsewhere", "idle"),
    ("idle", "302", "idle"),
    ("idle", "422", "idle"),
    ("idle", "486", "idle"),
    ("idle", "603", "idle"),
    ("idle", "no response", "idle"),
    ("idle", "flow lost", "idle"),
    ("idle", "time is up", "idle"),
    ("dialling", "start", "dialling !InvalidOperation"),
    ("dialling", "cancel", "ended user:ended"),
    ("dialling", "follow", "dialling !InvalidOperation"),
    ("dialling", "give up", "dialling !InvalidOperation"),
    ("dialling", "100", "dialling"),
    ("dialling", "180", "dialling"),
    ("dialling", "180 elsewhere", "dialling"),
    ("dialling", "199", "dialling"),
    ("dialling", "200", "dialling"),
    ("dialling", "200 elsewhere", "dialling"),
    ("dialling", "302", "dialling"),
    ("dialling", "422", "dialling"),
    ("dialling", "486", "dialling"),
    ("dialling", "603", "dialling"),
    ("dialling", "no response", "ended user:ended_OperationTimeout"),
    ("dialling", "flow lost", "ended user:ended_ConnectionFailure"),
    ("dialling", "time is up", "ended user:ended_OperationTimeout"),
    ("calling", "start", "calling !InvalidOperation"),
    ("calling", "cancel", "unwanted"),
    ("calling", "follow", "calling !InvalidOperation"),
    ("calling", "give up", "calling !InvalidOperation"),
    ("calling", "100", "proceeding user:progress_100"),
    ("calling", "180", "ringing user:progress_180_new"),
    ("calling", "180 elsewhere", "ringing user:progress_180_new"),
    ("calling", "199", "proceeding user:progress_199"),
    ("calling", "200", "accepted user:Accepted user:answer user:established >ACK"),
    ("calling", "200 elsewhere", "accepted user:Accepted user:answer user:established >ACK"),
    ("calling", "302", "redirected >ACK user:redirected_sip:carol@c.example"),
    ("calling", "422", "calling >ACK >INVITE"),
    ("calling", "486", "ended >ACK user:ended_486"),
    ("calling", "603", "ended >ACK user:ended_603"),
    ("calling", "no response", "ended user:ended_OperationTimeout"),
    ("calling", "flow lost", "ended user:ended_ConnectionFailure"),
    ("calling", "time is up", "unwanted"),
    ("proceeding", "start", "proceeding !InvalidOperation"),
    ("proceeding", "cancel", "cancelling >CANCEL"),
    ("proceeding", "follow", "proceeding !InvalidOperation"),
    ("proceeding", "give up", "proceeding !InvalidOperation"),
    ("proceeding", "100", "proceeding user:progress_100"),
    ("proceeding", "180", "ringing user:progress_180_new"),
    ("proceeding", "180 elsewhere", "ringing user:progress_180_new"),
    ("proceeding", "199", "proceeding user:progress_199"),
    ("proceeding", "200", "accepted user:Accepted user:answer user:established >ACK"),
    ("proceeding", "200 elsewhere", "accepted user:Accepted user:answer user:established >ACK"),
    ("proceeding", "302", "redirected >ACK user:redirected_sip:carol@c.example"),
    ("proceeding", "422", "calling >ACK >INVITE"),
    ("proceeding", "486", "ended >ACK user:ended_486"),
    ("proceeding", "603", "ended >ACK user:ended_603"),
    ("proceeding", "no response", "ended user:ended_OperationTimeout"),
    ("proceeding", "flow lost", "ended user:ended_ConnectionFailure"),
    ("proceeding", "time is up", "cancelling >CANCEL"),
    ("ringing", "start", "ringing !InvalidOperation"),
    ("ringing", "cancel", "cancelling >CANCEL"),
    ("ringing", "follow", "ringing !InvalidOperation"),
    ("ringing", "give up", "ringing !InvalidOperation"),
    ("ringing", "100", "ringing user:progress_100"),
    ("ringing", "180", "ringing user:progress_180"),
    ("ringing", "180 elsewhere", "ringing user:progress_180_new"),
    ("ringing", "199", "proceeding user:progress_199 user:usage_ended_EARLY"),
    ("ringing", "200", "accepted user:Accepted user:answer user:established >ACK"),
    ("ringing", "200 elsewhere", "accepted user:Accepted user:answer user:established user:usage_ended_FORKED >ACK"),
    ("ringing", "302", "redirected >ACK user:usage_ended_EARLY user:redirected_sip:carol@c.example"),
    ("ringing", "422", "calling >ACK user:usage_ended_EARLY >INVITE"),
    ("ringing", "486", "ended >ACK user:usage_ended_EARLY user:ended_486"),
    ("ringing", "603", "ended >ACK user:usage_ended_EARLY user:ended_603"),
    ("ringing", "no response", "ended user:usage_ended_EARLY user:ended_OperationTimeout"),
    ("ringing", "flow lost", "ended user:usage_ended_EARLY user:ended_ConnectionFailure"),
    ("ringing", "time is up", "cancelling >CANCEL"),
    ("unwanted", "start", "unwanted !InvalidOperation"),
    ("unwanted", "cancel", "unwanted"),
    ("unwanted", "follow", "unwanted !InvalidOperation"),
    ("unwanted", "give up", "unwanted !InvalidOperation"),
    ("unwanted", "100", "cancelling >CANCEL user:progress_100"),
    ("unwanted", "180", "cancelling >CANCEL user:progress_180"),
    ("unwanted", "180 elsewhere", "cancelling >CANCEL user:progress_180"),
    ("unwanted", "199", "cancelling >CANCEL user:progress_199"),
    ("unwanted", "200", "late user:ended_200 >ACK >BYE"),
    ("unwanted", "200 elsewhere", "late user:ended_200 >ACK >BYE"),
    ("unwanted", "302", "ended >ACK user:ended_302"),
    ("unwanted", "422", "ended >ACK user:ended_422"),
    ("unwanted", "486", "ended >ACK user:ended_486"),
    ("unwanted", "603", "ended >ACK user:ended_603"),
    ("unwanted", "no response", "ended user:ended_OperationTimeout"),
    ("unwanted", "flow lost", "ended user:ended_ConnectionFailure"),
    ("unwanted", "time is up", "ended user:ended_OperationTimeout"),
    ("cancelling", "start", "cancelling !InvalidOperation"),
    ("cancelling", "cancel", "cancelling"),
    ("cancelling", "follow", "cancelling !InvalidOperation"),
    ("cancelling", "give up", "cancelling !InvalidOperation"),
    ("cancelling", "100", "cancelling user:progress_100"),
    ("cancelling", "180", "cancelling user:progress_180"),
    ("cancelling", "180 elsewhere", "cancelling user:progress_180"),
    ("cancelling", "199", "cancelling user:progress_199"),
    ("cancelling", "200", "late user:ended_200 >ACK >BYE"),
    ("cancelling", "200 elsewhere", "late user:usage_ended_FORKED user:ended_200 >ACK >BYE"),
    ("cancelling", "302", "ended >ACK user:usage_ended_EARLY user:ended_302"),
    ("cancelling", "422", "ended >ACK user:usage_ended_EARLY user:ended_422"),
    ("cancelling", "486", "ended >ACK user:usage_ended_EARLY user:ended_486"),
    ("cancelling", "603", "ended >ACK user:usage_ended_EARLY user:ended_603"),
    ("cancelling", "no response", "ended user:usage_ended_EARLY user:ended_OperationTimeout"),
    ("cancelling", "flow lost", "ended user:usage_ended_EARLY user:ended_ConnectionFailure"),
    ("cancelling", "time is up", "ended user:usage_ended_EARLY user:ended_OperationTimeout"),
    ("redirected", "start", "redirected !InvalidOperation"),
    ("redirected", "cancel", "ended user:ended_302"),
    ("redirected", "follow", "calling >INVITE"),
    ("redirected", "give up", "ended user:ended_302"),
    ("redirected", "100", "redirected"),
    ("redirected", "180", "redirected"),
    ("redirected", "180 elsewhere", "redirected"),
    ("redirected", "199", "redirected"),
    ("redirected", "200", "redirected"),
    ("redirected", "200 elsewhere", "redirected"),
    ("redirected", "302", "redirected"),
    ("redirected", "422", "redirected"),
    ("redirected", "486", "redirected"),
    ("redirected", "603", "redirected"),
    ("redirected", "no response", "redirected"),
    ("redirected", "flow lost", "redirected"),
    ("redirected", "time is up", "ended user:ended_302_OperationTimeout"),
    ("accepted", "start", "accepted !InvalidOperation"),
    ("accepted", "cancel", "accepted"),
    ("accepted", "follow", "accepted !InvalidOperation"),
    ("accepted", "give up", "accepted !InvalidOperation"),
    ("accepted", "100", "accepted"),
    ("accepted", "180", "accepted"),
    ("accepted", "180 elsewhere", "accepted"),
    ("accepted", "199", "accepted"),
    ("accepted", "200", "accepted >ACK"),
    ("accepted", "200 elsewhere", "accepted >ACK >BYE"),
    ("accepted", "302", "accepted"),
    ("accepted", "422", "accepted"),
    ("accepted", "486", "accepted"),
    ("accepted", "603", "accepted"),
    ("accepted", "no response", "accepted"),
    ("accepted", "flow lost", "accepted"),
    ("accepted", "time is up", "ended"),
    ("late", "start", "late !InvalidOperation"),
    ("late", "cancel", "late"),
    ("late", "follow", "late !InvalidOperation"),
    ("late", "give up", "late !InvalidOperation"),
    ("late", "100", "late"),
    ("late", "180", "late"),
    ("late", "180 elsewhere", "late"),
    ("late", "199", "late"),
    ("late", "200", "late >ACK"),
    ("late", "200 elsewhere", "late >ACK >BYE"),
    ("late", "302", "late"),
    ("late", "422", "late"),
    ("late", "486", "late"),
    ("late", "603", "late"),
    ("late", "no response", "late"),
    ("late", "flow lost", "late user:usage_ended_FORKED"),
    ("late", "time is up", "ended"),
    ("ended", "start", "ended !InvalidOperation"),
    ("ended", "cancel", "ended"),
    ("ended", "follow", "ended !InvalidOperation"),
    ("ended", "give up", "ended !InvalidOperation"),
    ("ended", "100", "ended"),
    ("ended", "180", "ended"),
    ("ended", "180 elsewhere", "ended"),
    ("ended", "199", "ended"),
    ("ended", "200", "ended"),
    ("ended", "200 elsewhere", "ended"),
    ("ended", "302", "ended"),
    ("ended", "422", "ended"),
    ("ended", "486", "ended"),
    ("ended", "603", "ended"),
    ("ended", "no response", "ended"),
    ("ended", "flow lost", "ended"),
    ("ended", "time is up", "ended"),
]

MOVED = ("Contact", "<sip:carol@c.example>")


def bring(state: str) -> CallBench:
    """A call in *state*."""
    options = CallOptions(max_ring=120.0, session_timer=SessionTimerSettings(1800))
    bench = CallBench(options, is_dialling=state in ("idle", "dialling"), is_started=state != "idle")
    if state in ("ringing", "cancelling", "late", "accepted", "ended"):
        bench.answer(bench.response(180))
    elif state == "proceeding":
        bench.answer(bench.response(100))
    if state in ("unwanted", "cancelling", "late"):
        bench.cancel()
    if state == "redirected":
        bench.answer(bench.response(302, fields=[MOVED]))
    elif state in ("accepted", "late"):
        bench.answer(bench.response(200, description=ANSWER))
    elif state == "ended":
        bench.answer(bench.response(486))
    bench.said()
    return bench


def apply(bench: CallBench, what: str) -> list[str]:
    """Give the machine the input *what*; return what comes of it."""
    call = bench.call
    if what == "start":
        return bench.do(lambda: call.start(bench.now))
    if what == "cancel":
        return bench.cancel()
    if what == "follow":
        return bench.do(lambda: call.follow(["sip:carol@c.example"], bench.now))
    if what == "give up":
        return bench.do(lambda: call.give_up(bench.now))
    if what == "no response":
        return bench.time_out()
    if what == "flow lost":
        return bench.lose_flow()
    if what == "time is up":
        return bench.time_is_up()
    if not bench.requests("INVITE"):
        # Nothing is out that could be answered.
        return []
    status, _, elsewhere = what.partition(" ")
    fields = {"302": [MOVED], "422": [("Min-SE", "3600")]}.get(status, [])
    description = ANSWER if status == "200" else None
    return bench.answer(bench.response(int(status), "b2" if elsewhere else "b1", description, fields))


def outcome(state: str, what: str) -> str:
    """What follows *state* after *what*."""
    bench = bring(state)
    try:
        said = apply(bench, what)
    except InvalidOperation:
        said = [*bench.said(), "!InvalidOperation"]
    return " ".join([bench.state(), *(entry.replace(" ", "_") for entry in said)])


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        pairs = [(state, what) for state, what, _ in TABLE]
        self.assertEqual(pairs, [(state, what) for state in STATES for what in INPUTS])

    def test_every_pair(self) -> None:
        """13.2.2, 9.1: each input in each state leads where the table says. row:H3 row:H16 fault:C5"""
        for state, what, expected in TABLE:
            self.assertEqual(bring(state).state(), state)
            self.assertEqual(outcome(state, what), expected, (state, what))

    def test_strays(self) -> None:
        """A response to an attempt that is over changes nothing, wherever it comes from. fault:C5"""
        bench = CallBench(CallOptions(session_timer=SessionTimerSettings(1800)))
        first = bench.call.errand
        assert first is not None
        bench.answer(bench.response(422, fields=[("Min-SE", "3600")]))
        for status in (100, 180, 200, 302, 486):
            response = bench.response(status)
            self.assertEqual(
                bench.do(lambda r=response: bench.call.errand_answered(first, r, bench.alice.flow, bench.now)), []
            )
        bench.do(lambda: bench.call.errand_failed(first, ConnectionFailure("late"), bench.now))
        self.assertEqual((bench.state(), bench.alice.core.counters.dropped_responses), ("calling", 5))


class RingingTests(SynchronousTestCase):
    """For how long it may ring."""

    def test_max_ring(self) -> None:
        """13.2: after the time that the caller gives, the call is cancelled and says why. row:H28"""
        bench = CallBench(CallOptions(max_ring=60.0))
        bench.answer(bench.response(180))
        self.assertEqual(bench.pass_by(59.9), [])
        self.assertEqual(bench.pass_by(0.2), [">CANCEL"])
        self.assertEqual(bench.requests("CANCEL")[0].headers["Reason"], 'SIP;cause=408;text="nobody accepted in time"')
        self.assertEqual(
            bench.answer(bench.response(487)), [">ACK", "user:usage ended EARLY", "user:ended 487 OperationTimeout"]
        )

    def test_ten_minutes_by_default(self) -> None:
        """A call that nobody says anything about rings for ten minutes. row:H28"""
        bench = CallBench()
        bench.answer(bench.response(180))
        self.assertEqual(bench.pass_by(599.0), [])
        self.assertEqual(bench.pass_by(2.0), [">CANCEL"])

    def test_for_ever(self) -> None:
        """Where the caller wants it, a call rings for as long as it rings. row:H28"""
        bench = CallBench(CallOptions(max_ring=None))
        bench.answer(bench.response(180))
        self.assertEqual(bench.pass_by(1e6), [])

    def test_accepted_in_time(self) -> None:
        """What was accepted in time is not cancelled later. row:H28"""
        bench = CallBench(CallOptions(max_ring=60.0))
        bench.answer(bench.response(180))
        bench.answer(bench.response(200, description=ANSWER))
        self.assertEqual(bench.pass_by(1e4), [])

    def test_expires(self) -> None:
        """13.2.1: an INVITE that says for how long it is good is cancelled then, if not before. row:H28"""
        for expires, max_ring, seconds in (
            ("30", 60.0, 30.0),
            ("30", None, 30.0),
            ("90", 60.0, 60.0),
            ("9" * 12, 60.0, 60.0),
        ):
            bench = CallBench(CallOptions(max_ring=max_ring), fields=[("Expires", expires)])
            bench.answer(bench.response(180))
            self.assertEqual(bench.pass_by(seconds - 0.1), [])
            self.assertEqual(bench.pass_by(0.2), [">CANCEL"])
        self.assertRaises(ValueError, CallBench, fields=[("Expires", "soon")])

    def test_redirections_count(self) -> None:
        """The time holds for the call as a whole, not for each place that it is sent to. row:H28 row:H7"""
        bench = CallBench(CallOptions(max_ring=60.0))
        bench.pass_by(20.0)
        bench.answer(bench.response(302, fields=[MOVED]))
        bench.pass_by(20.0)
        bench.do(lambda: bench.call.follow(["sip:carol@c.example"], bench.now))
        bench.answer(bench.response(180))
        self.assertEqual(bench.pass_by(19.0), [])
        self.assertEqual(bench.pass_by(2.0), [">CANCEL"])

    def test_nobody_decides(self) -> None:
        """A redirection that the application never decides on ends with the call's time. row:H7 row:H28"""
        bench = CallBench(CallOptions(max_ring=60.0))
        bench.answer(bench.response(302, fields=[MOVED]))
        self.assertEqual(bench.pass_by(61.0), ["user:ended 302 OperationTimeout"])
        self.assertEqual(bench.state(), "ended")


class AttemptTests(SynchronousTestCase):
    """More than one INVITE for one call."""

    def test_followed(self) -> None:
        """8.1.3.4: a redirected call is the same call: one more in CSeq, another Request-URI and branch. row:H7"""
        bench = CallBench(fields=[("Subject", "x")])
        contact = "<sip:carol@c.example?Subject=y&Priority=urgent>;q=0.5, <sip:dave@d.example>;q=0.7"
        self.assertEqual(
            bench.answer(bench.response(302, fields=[("Contact", contact)])),
            [">ACK", "user:redirected sip:dave@d.example sip:carol@c.example?Subject=y&Priority=urgent"],
        )
        targets = ["sip:carol@c.example?Subject=y&Priority=urgent"]
        self.assertEqual(
            bench.do(lambda: bench.call.follow(targets, bench.now, [("X-Hop", "1")])),
            [">INVITE"],
        )
        first, second = bench.requests("INVITE")
        self.assertEqual(second.uri_text, "sip:carol@c.example")
        for name in ("From", "To", "Call-ID"):
            self.assertEqual(second.headers[name], first.headers[name])
        self.assertEqual(str(second.cseq), "2 INVITE")
        self.assertNotEqual(second.via.branch, first.via.branch)
        self.assertEqual(second.headers.get_all("Subject"), ["x"])
        self.assertEqual((second.headers["Priority"], second.headers["X-Hop"]), ("urgent", "1"))
        self.assertEqual(second.body, first.body)
        self.assertIn("user:established", bench.answer(bench.response(200, description=ANSWER)))
        self.assertEqual(str(bench.requests("ACK")[-1].cseq), "2 ACK")

    def test_one_after_the_other(self) -> None:
        """8.1.3.4: the targets are called one after the other, until one accepts. row:H7"""
        bench = CallBench()
        bench.answer(
            bench.response(300, fields=[("Contact", "<sip:c@c.example>, <sip:d@d.example>, <sip:e@e.example>")])
        )
        targets = ["sip:c@c.example", "sip:d@d.example", "sip:e@e.example"]
        self.assertEqual(bench.do(lambda: bench.call.follow(targets, bench.now)), [">INVITE"])
        self.assertEqual(bench.answer(bench.response(486)), [">ACK", ">INVITE"])
        self.assertEqual(bench.time_out(), [">INVITE"])
        self.assertIn("user:established", bench.answer(bench.response(200, description=ANSWER)))
        self.assertEqual(
            [request.uri_text for request in bench.requests("INVITE")],
            ["sip:bob@b.example", "sip:c@c.example", "sip:d@d.example", "sip:e@e.example"],
        )

    def test_nobody_left(self) -> None:
        """8.1.3.4: when every target has failed, so has the call; how is what the last one said. row:H7"""
        for last, outcome in ((486, "user:ended 486"), (None, "user:ended OperationTimeout")):
            bench = CallBench()
            bench.answer(bench.response(302, fields=[MOVED]))
            bench.do(lambda call=bench.call, now=bench.now: call.follow(["sip:carol@c.example"], now))
            said = bench.time_out() if last is None else bench.answer(bench.response(last))
            self.assertEqual(said[-1], outcome)
            self.assertEqual(bench.state(), "ended")

    def test_global_failure(self) -> None:
        """21.6: after a 6xx nobody else is called. row:H7"""
        bench = CallBench()
        bench.answer(bench.response(302, fields=[MOVED]))
        bench.do(lambda: bench.call.follow(["sip:carol@c.example", "sip:dave@d.example"], bench.now))
        self.assertEqual(bench.answer(bench.response(603)), [">ACK", "user:ended 603"])

    def test_bounded(self) -> None:
        """A chain of redirections ends where the bound says, also if each names somebody new. row:H7"""
        bench = CallBench(CallOptions(max_redirects=3))
        for number in range(3):
            bench.answer(bench.response(302, fields=[("Contact", f"<sip:n{number}@x.example>")]))
            bench.do(lambda n=number, b=bench: b.call.follow([f"sip:n{n}@x.example"], b.now))
        self.assertEqual(
            bench.answer(bench.response(302, fields=[("Contact", "<sip:n9@x.example>")])), [">ACK", "user:ended 302"]
        )
        self.assertEqual(len(bench.requests("INVITE")), 4)

    def test_loop(self) -> None:
        """Whoever sends the call back to where it was ends it. row:H7"""
        bench = CallBench()
        bench.answer(bench.response(302, fields=[MOVED]))
        bench.do(lambda: bench.call.follow(["sip:carol@c.example"], bench.now))
        self.assertEqual(
            bench.answer(bench.response(302, fields=[("Contact", "<sip:bob@b.example>")])), [">ACK", "user:ended 302"]
        )

    def test_not_followed(self) -> None:
        """A 3xx is the outcome where redirections are not wanted, or where it names nobody. row:H7"""
        for options, fields in (
            (CallOptions(max_redirects=0), [MOVED]),
            (CallOptions(), []),
            (CallOptions(), [("Contact", "<mailto:bob@b.example>")]),
        ):
            bench = CallBench(options)
            self.assertEqual(bench.answer(bench.response(302, fields=fields)), [">ACK", "user:ended 302"])

    def test_proxy_to_be_used(self) -> None:
        """21.3.4: the Contact of a 305 is a proxy, not the callee: nobody is called there. row:H7"""
        bench = CallBench()
        self.assertEqual(bench.answer(bench.response(305, fields=[MOVED])), [">ACK", "user:ended 305"])

    def test_sips_stays_sips(self) -> None:
        """RFC 5630 section 4: a call to a sips URI is not redirected out of TLS, not even by its caller. row:H7"""
        bench = CallBench(uri="sips:bob@b.example")
        contact = ("Contact", "<sip:carol@c.example>, <sips:dave@d.example>")
        self.assertEqual(
            bench.answer(bench.response(302, fields=[contact])), [">ACK", "user:redirected sips:dave@d.example"]
        )
        self.assertRaises(ValueError, bench.call.follow, ["sip:carol@c.example"], bench.now)
        self.assertEqual(bench.state(), "redirected")

    def test_out_of_tls(self) -> None:
        """Over TLS a 3xx leads to no transport in clear, unless the caller says so; by UDP it does. row:H7 fault:D8"""
        contact = ("Contact", "<sip:carol@c.example;transport=udp>")
        bench = CallBench()
        self.assertEqual(bench.answer(bench.response(302, fields=[contact])), [">ACK", "user:ended 302"])
        bench = CallBench(reliable=False)
        said = bench.answer(bench.response(302, fields=[contact]))
        self.assertEqual(said, [">ACK", "user:redirected sip:carol@c.example;transport=udp"])

    def test_back_to_the_caller(self) -> None:
        """A 3xx to who calls, by address or by Contact, is not followed: what it begins may end there again. row:H7"""
        for bench in (CallBench(), CallBench(reliable=False)):
            profile = bench.alice.profile
            contact = ("Contact", f"<{bench.alice.uri}>, <sip:alice-token@198.51.100.7>")
            self.assertIs(bench.alice.core.directory.serves(SipUri.parse("sip:alice-token@198.51.100.7")), profile)
            self.assertEqual(bench.answer(bench.response(302, fields=[contact])), [">ACK", "user:ended 302"])

    def test_nothing_that_can_be_followed(self) -> None:
        """A decision for targets that were all tried already ends the call with its 3xx. row:H7"""
        bench = CallBench()
        bench.answer(bench.response(302, fields=[MOVED]))
        self.assertEqual(bench.do(lambda: bench.call.follow(["sip:bob@b.example"], bench.now)), ["user:ended 302"])

    def test_unwritable_fields(self) -> None:
        """Fields that could not be written are refused with the decision, and it can be made again. row:H7"""
        bench = CallBench()
        bench.answer(bench.response(302, fields=[MOVED]))
        for fields in ([("Via", "x")], [("Subject", "a\r\nb")], [("Supported", "a b")]):
            self.assertRaises(ValueError, bench.call.follow, ["sip:carol@c.example"], bench.now, fields)
        self.assertEqual(bench.do(lambda: bench.call.follow(["sip:carol@c.example"], bench.now)), [">INVITE"])

    def test_longer_interval(self) -> None:
        """RFC 4028 section 7.3: after a 422 the call asks again for a session as long as that says. row:H26"""
        bench = CallBench(CallOptions(session_timer=SessionTimerSettings(100)))
        self.assertEqual(bench.answer(bench.response(422, fields=[("Min-SE", "1000")])), [">ACK", ">INVITE"])
        first, second = bench.requests("INVITE")
        self.assertEqual(first.headers["Session-Expires"], "100")
        self.assertEqual((second.headers["Session-Expires"], second.headers["Min-SE"]), ("1000", "1000"))
        self.assertEqual(second.uri_text, first.uri_text)
        self.assertEqual(str(second.cseq), "2 INVITE")

    def test_longer_interval_elsewhere(self) -> None:
        """RFC 4028 section 7.4: what a 422 wanted is said wherever the call goes on, for it has the same Call-ID.
        row:H26 row:H7"""
        bench = CallBench(CallOptions(session_timer=SessionTimerSettings(100)))
        bench.answer(bench.response(422, fields=[("Min-SE", "1000")]))
        bench.answer(bench.response(302, fields=[MOVED]))
        bench.do(lambda: bench.call.follow(["sip:carol@c.example"], bench.now))
        third = bench.requests("INVITE")[-1]
        self.assertEqual((third.headers["Session-Expires"], third.headers["Min-SE"]), ("1000", "1000"))

    def test_join_elsewhere(self) -> None:
        """RFC 3911 section 5: an INVITE that joins a session names the same one wherever it goes on. row:I9 row:H7"""
        bench = CallBench(fields=[("Join", "7@c.example.org;to-tag=xyz;from-tag=pdq")])
        bench.answer(bench.response(302, fields=[MOVED]))
        bench.do(lambda: bench.call.follow(["sip:conf456@c.example?Join=x"], bench.now))
        first, second = bench.requests("INVITE")
        self.assertEqual(second.uri_text, "sip:conf456@c.example")
        self.assertEqual(second.headers.get_all("Join"), first.headers.get_all("Join"))

    def test_no_422_for_ever(self) -> None:
        """RFC 4028 section 7.3: a peer that always asks for more, or for nothing, is not asked for ever. row:H26"""
        bench = CallBench(CallOptions(session_timer=SessionTimerSettings(100)))
        for least in range(1000, 1100):
            if ">INVITE" not in bench.answer(bench.response(422, fields=[("Min-SE", str(least))])):
                break
        self.assertEqual(bench.alice.heard, ["ended 422"])
        self.assertLess(len(bench.requests("INVITE")), 10)
        bench = CallBench(CallOptions(session_timer=SessionTimerSettings(100)))
        self.assertEqual(bench.answer(bench.response(422)), [">ACK", "user:ended 422"])
        bench = CallBench()
        self.assertEqual(bench.answer(bench.response(422, fields=[("Min-SE", "1000")])), [">ACK", "user:ended 422"])

    def test_unwritable(self) -> None:
        """What cannot be written is refused when the call is made, not when it is sent."""
        for fields, uri in (([("Supported", "a b")], "sip:bob@b.example"), ([], "sip:@")):
            self.assertRaises(ValueError, CallBench, fields=fields, uri=uri)


class TwoPartiesTests(SynchronousTestCase):
    """A caller and a callee over wires that lose, delay, reorder and repeat."""

    DEEDS = ("ring", "describe", "accept", "cancel", "reject", "hang up")

    def do(self, pair: Pair, call: ClientInvitation, what: str, has_offer: bool) -> None:
        """Let one of the two do something, if it can be done then."""
        description = ANSWER if has_offer else OFFER
        try:
            if what == "cancel":
                call.cancel(pair.now)
            elif what == "hang up":
                hang_up(pair)
            elif pair.bob.calls:
                invitation = pair.bob.calls[0]
                if what == "ring":
                    invitation.ring(pair.now)
                elif what == "describe":
                    invitation.ring(pair.now, 183, None, description)
                elif what == "accept":
                    invitation.accept(pair.now, description)
                else:
                    invitation.reject(486, pair.now)
        except InvalidOperation:
            # Too late, or not in this dialog: the application is told so, and nothing has changed.
            pair.alice.work()
        pair.alice.work()
        pair.bob.work()

    def test_both_agree(self) -> None:
        """Whatever two parties do, whenever, over whatever wires: in the end both have a session or neither has.
        row:H3 row:H16 fault:C5"""
        for seed in range(150):
            chance = random.Random(seed)
            wires = Wires(0.01, chance.choice((0.0, 0.05, 1.0)), chance.choice((0.0, 0.1, 0.3, 0.6)), 0.1)
            pair = Pair(reliable=chance.random() < 0.3, wires=wires, seed=seed)
            for party in (pair.alice, pair.bob):
                party.on_offer = party.say_answer
            deeds = [
                (chance.random() * chance.choice((0.05, 0.5, 5.0, 40.0)), what)
                for what in self.DEEDS
                if chance.random() < 0.6
            ]
            has_offer = chance.random() < 0.5
            options = CallOptions(max_ring=100.0, reliable=chance.choice(("off", "supported")))
            call = pair.alice.call(options, OFFER if has_offer else None)
            for when, what in sorted(deeds):
                pair.wait(max(0.0, when - pair.now))
                self.do(pair, call, what, has_offer)
            pair.wait(800.0)
            self.assertEqual(len(pair.alice.dialogs), len(pair.bob.dialogs), seed)
            hang_up(pair)
            pair.wait(800.0)
            outcomes = [said for said in pair.alice.heard if said.startswith("ended") or said == "established"]
            self.assertEqual(len(outcomes), 1, seed)
            for party in (pair.alice, pair.bob):
                self.assertEqual(set(party.inventory().values()), {0}, seed)


def hang_up(pair: Pair) -> None:
    """Let both end whatever session there is."""
    for party in (pair.alice, pair.bob):
        for dialog in party.dialogs:
            if dialog.user is not None and not (dialog.user.is_early and not dialog.is_caller):
                dialog.user.bye(pair.now)
        party.work()


class MemoryTests(MemoryTestCase):
    """What a call leaves behind."""

    def ways(self, bench: CallBench) -> None:
        """Calls that end in every way, one after the other."""
        for statuses in ((200,), (180, 200), (486,), (180, 302), (180, 487), (200, 200)):
            bench.call_again()
            for number, status in enumerate(statuses):
                if status == 487:
                    bench.cancel()
                bench.answer(bench.response(status, f"b{number}", ANSWER if status == 200 else None, [MOVED]))
            if bench.state() == "redirected":
                bench.do(lambda: bench.call.give_up(bench.now))
            bench.hang_up()
            bench.pass_by(200.0)

    def test_no_cycles(self) -> None:
        """However a call ends, nothing of it waits for the garbage collector. fault:D7"""
        bench = CallBench()
        self.ways(bench)
        self.assert_no_cycles(lambda: self.ways(bench))

    def test_no_growth(self) -> None:
        """Calls, however they end, take no memory that they do not give back. fault:D7"""
        bench = CallBench()
        self.assert_no_growth(lambda: self.ways(bench), rounds=60, warm_up=20, blocks_per_round=1.0)
