"""The subscriber's machine (RFC 6665 section 4.1), pair by pair, and what its SUBSCRIBEs say."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, SipError
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.outcomes import end_dialog
from sip_p2p.sip.event.subscribing import SubscribeKind
from tests.sip.event.asking import TIMER_N, Bench, notify, options
from tests.sip.event.subscriber_table import TABLE
from tests.sip.event.table_checks import check_outcomes, check_pairs

STATES = (
    "idle",
    "notify wait, asking",
    "notify wait, owed",
    "pending",
    "active",
    "active, asking",
    "active, owed",
    "ending, waiting",
    "ending, asking",
    "ending, owed",
    "terminated",
)
INPUTS = (
    "start", "refresh", "leave", "abandon", "way lost",
    "200", "204", "423", "481", "404", "403", "500", "no response", "unreachable",
    "NOTIFY pending", "NOTIFY active", "NOTIFY unheard-of", "NOTIFY terminated", "NOTIFY without state",
    "N", "R", "X", "dialog gone",
)  # fmt: skip


def bring(state: str) -> Bench:
    """A subscription in this state."""
    bench = Bench()
    if state != "idle":
        bench.start()
    if state not in ("idle", "notify wait, asking"):
        bench.answer(200, ("Expires", "3600"))
    if state.startswith(("pending", "active", "ending")):
        bench.notify("pending" if state == "pending" else "active")
    if state.startswith("active,") or state == "ending, waiting":
        bench.subscriber.refresh(bench.now)
    if state.startswith("ending"):
        bench.subscriber.leave(bench.now)
    elif state == "terminated":
        bench.subscriber.abandon()
    bench.look()
    if state in ("active, owed", "ending, owed"):
        bench.answer(200, ("Expires", "3600" if state.startswith("active") else "0"))
    bench.said()
    return bench


def apply(bench: Bench, what: str) -> str:
    """Give the machine the input *what*; return what follows in words, or that it cannot be."""
    if what.isdigit() or what in ("no response", "unreachable"):
        return respond(bench, what)
    if what.startswith("NOTIFY"):
        state = what.partition(" ")[2]
        return bench.notify(None if state == "without state" else state, cseq=50)
    if what == "dialog gone" and bench.subscriber.dialog is None:
        return "impossible"
    try:
        act(bench, what)
    except SipError as error:
        return f"!{type(error).__name__}"
    return bench.said()


def act(bench: Bench, what: str) -> None:
    """What the application does, and what time does."""
    subscriber, now = bench.subscriber, bench.now
    if what == "start":
        bench.start()
    elif what == "refresh":
        subscriber.refresh(now, SubscribeKind.UPDATE)
    elif what == "leave":
        subscriber.leave(now)
    elif what == "abandon":
        subscriber.abandon()
    elif what == "way lost":
        subscriber.way_lost(now, 0.0)
        bench.core.handle_timer(now)
    elif what == "dialog gone":
        assert subscriber.dialog is not None
        end_dialog(bench.core, subscriber.dialog, None, now)
    else:
        bench.now += {"N": TIMER_N, "R": 2700.0, "X": 3600.0}[what]
        bench.core.handle_timer(bench.now)


def respond(bench: Bench, what: str) -> str:
    """The outcome of a SUBSCRIBE."""
    if bench.errand is None:
        return "impossible"
    if what == "no response":
        return bench.fail()
    if what == "unreachable":
        return bench.fail(ConnectionFailure("nobody there"))
    fields = {"200": (("Expires", "1800"),), "423": (("Min-Expires", "7200"),)}.get(what, ())
    return bench.answer(int(what), *fields)


class TableTests(SynchronousTestCase):
    """Every pair of a state and an input."""

    def test_complete(self) -> None:
        """The table has every pair once."""
        check_pairs(self, TABLE, STATES, INPUTS)

    def test_every_pair(self) -> None:
        """4.1: each input in each state leads where the table says. row:J2"""
        check_outcomes(self, TABLE, bring, apply)


class LivesTests(SynchronousTestCase):
    """Any sequence of inputs."""

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(INPUTS), max_size=25))
    def test_random_lives(self, inputs: list[str]) -> None:
        """Whatever comes in whatever order: no exception, and nothing left of what is over. row:J2"""
        bench = Bench()
        for number, what in enumerate(inputs):
            if what.startswith("NOTIFY"):
                state = what.partition(" ")[2]
                bench.notify(None if state == "without state" else state, cseq=100 + number)
            else:
                apply(bench, what)
        core = bench.core
        bench.subscriber.leave(bench.now)
        bench.look()
        for _ in range(3):
            if bench.errand is not None:
                bench.answer(500)
            bench.wait(TIMER_N + 1)
        self.assertIn(bench.state, ("terminated",))
        self.assertEqual((len(core.dialogs), len(core.awaiting), len(core.appointments)), (0, 0, 0))
        self.assertIsNone(bench.subscriber.dialog)


class SubscribeTests(SynchronousTestCase):
    """What our SUBSCRIBEs say, and when they go."""

    def test_first(self) -> None:
        """4.1.2.1: it names the event, for how long, and what it takes. row:J1"""
        bench = Bench(options("presence", 600, accept="application/pidf+xml")).begin()
        [request] = bench.sent
        said = [request.headers.get(name) for name in ("Event", "Expires", "Accept", "CSeq", "Call-ID")]
        self.assertEqual(said, ["presence", "600", "application/pidf+xml", "1 SUBSCRIBE", "call"])

    def test_what_we_can_tell(self) -> None:
        """4.4.4: who tells of events itself says of which in the SUBSCRIBE that begins a dialog, and once."""
        bench = Bench()
        bench.profile.event_packages = ("presence", "dialog")
        bench.stand()
        bench.subscriber.refresh(bench.now)
        bench.look()
        self.assertEqual([request.headers.get("Allow-Events") for request in bench.sent], ["presence, dialog", None])
        self.assertNotIn("Allow-Events", Bench().begin().sent[0].headers)

    def test_accepted(self) -> None:
        """8.3.1: a 202, as notifiers of RFC 3265 answer, is a 200: to the first SUBSCRIBE and to a refresh."""
        for status in (200, 202):
            bench = Bench().begin()
            bench.answer(status, ("Expires", "600"))
            self.assertEqual((bench.subscriber.expires_at, bench.state), (bench.now + 600, "notify wait, owed"))
            bench.notify()
            bench.subscriber.refresh(bench.now)
            bench.look()
            bench.answer(status)
            self.assertEqual(bench.state, "active, owed")

    def test_in_the_dialog(self) -> None:
        """4.1.2.2: a refresh goes in the dialog, to the Contact of the last NOTIFY, with the next number. row:J3"""
        bench = Bench().begin()
        bench.answer(200, ("Expires", "3600"))
        bench.notify(fields=(("Record-Route", "<sip:p1.example;lr>, <sip:p2.example;lr>"),))
        bench.notify(contact="<sip:bob@192.0.2.77>")
        bench.subscriber.refresh(bench.now)
        bench.look()
        request = bench.sent[-1]
        self.assertEqual((request.uri_text, request.to.tag, request.from_.tag), ("sip:bob@192.0.2.77", "bt", "at"))
        self.assertEqual(request.headers.get("CSeq"), "2 SUBSCRIBE")
        self.assertEqual(request.headers.get_all("Route"), ["<sip:p1.example;lr>", "<sip:p2.example;lr>"])

    def test_when_refreshed(self) -> None:
        """A refresh is due a quarter of an hour before the end, or half-way through what is shorter. row:J3"""
        for expires, due in ((86400, 85500), (3600, 2700), (1800, 900), (600, 300), (60, 30), (1, 1), (0, 1)):
            bench = Bench(options(expires=86400)).begin()
            bench.answer(200, ("Expires", str(expires)))
            bench.notify()
            self.assertEqual(bench.wait(due - 0.01), "", expires)
            self.assertEqual(bench.wait(0.02), ">SUBSCRIBE 86400", expires)

    def test_what_the_notify_says(self) -> None:
        """4.1.3: what a NOTIFY says of the time that is left counts, before the 2xx and after it. row:J3"""
        for order in ("NOTIFY first", "2xx first"):
            bench = Bench().begin()
            if order == "2xx first":
                bench.answer(200, ("Expires", "3600"))
            bench.notify("active;expires=100")
            if order == "NOTIFY first":
                bench.answer(200, ("Expires", "3600"))
            self.assertEqual(bench.subscriber.expires_at, bench.now + 100, order)
            self.assertEqual(bench.wait(49), "")
            self.assertEqual(bench.wait(2), ">SUBSCRIBE 3600", order)

    def test_no_notify_makes_it_longer(self) -> None:
        """4.2.2: nor does a NOTIFY make it longer than was asked, with the seconds of a 423 where these were more."""
        bench = Bench(options(expires=600)).begin()
        bench.answer(200)
        bench.notify("active;expires=4294967295")
        self.assertEqual(bench.subscriber.expires_at, bench.now + 600)
        self.assertEqual(bench.wait(301), ">SUBSCRIBE 600")
        bench = Bench(options(expires=600)).begin()
        bench.answer(423, ("Min-Expires", "3600"))
        bench.notify("active;expires=3600")
        bench.answer(200, ("Expires", "3600"))
        bench.notify("active;expires=3599")
        self.assertEqual(bench.subscriber.expires_at, bench.now + 3599)

    def test_no_longer_than_asked(self) -> None:
        """4.1.2.1: a 2xx may shorten what was asked, and never makes it longer."""
        bench = Bench(options(expires=600)).begin()
        bench.answer(200, ("Expires", "7200"))
        self.assertEqual(bench.subscriber.expires_at, bench.now + 600)

    def test_too_brief(self) -> None:
        """4.1.2.1: after a 423 it asks once for as long as the notifier wants, by the same Call-ID. row:J10"""
        bench = Bench(options(expires=60)).begin()
        self.assertEqual(bench.answer(423, ("Min-Expires", "600")), ">SUBSCRIBE 600")
        first, second = bench.sent
        self.assertEqual((first.call_id, first.from_.tag), (second.call_id, second.from_.tag))
        self.assertEqual((first.cseq.number, second.cseq.number), (1, 2))
        self.assertEqual(bench.answer(423, ("Min-Expires", "1200")), "[over REFUSED]")
        for least in ("30", "rubbish", "4294967295"):
            bench = Bench(options(expires=60)).begin()
            self.assertEqual(bench.answer(423, ("Min-Expires", least)), "[over REFUSED]", least)
        bench = Bench(options(expires=60)).begin()
        self.assertEqual(bench.answer(423), "[over REFUSED]")

    def test_unknown_event(self) -> None:
        """4.1.2.1: a 489 ends it, and so do the other refusals. row:J10"""
        for status in (400, 403, 405, 489, 603):
            bench = Bench().begin()
            self.assertEqual(bench.answer(status), "[over REFUSED]")
            self.assertEqual((len(bench.core.awaiting), len(bench.core.appointments)), (0, 0))

    def test_refused_refresh(self) -> None:
        """4.1.2.2: some refusals of a refresh end it, the others leave it until it expires, and it is tried again in
        half the time. row:J3"""
        for status in (404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604):
            bench = Bench().stand()
            bench.wait(2700)
            self.assertTrue(bench.answer(status).startswith("[over"), status)
            self.assertEqual(len(bench.core.dialogs), 0)
        for status in (400, 401, 408, 500, 503, 603):
            bench = Bench().stand()
            bench.wait(2700)
            self.assertEqual(bench.answer(status), f"[answered {status}]")
            self.assertEqual(bench.wait(449), "")
            self.assertEqual(bench.wait(2), ">SUBSCRIBE 3600")

    def test_never_refreshed(self) -> None:
        """4.1.2.2: where no refresh succeeds it ends when it expires."""
        bench = Bench().stand()
        while bench.now < 4000 and bench.state != "terminated":
            bench.wait(10)
            if bench.errand is not None:
                bench.answer(500)
        self.assertEqual(bench.state, "terminated")
        self.assertEqual(bench.told[-1].ending.name, "EXPIRED")
        self.assertLess(bench.now, 3720)

    def test_retry_after(self) -> None:
        """RFC 3261 section 20.33: a refusal that names a time is heeded."""
        bench = Bench().stand()
        bench.wait(2700)
        bench.answer(503, ("Retry-After", "600"))
        self.assertEqual(bench.wait(599), "")
        self.assertEqual(bench.wait(2), ">SUBSCRIBE 3600")

    def test_etag(self) -> None:
        """RFC 5839 section 5.6: a refresh says which state we have, and a 204 says that it is the state. row:J3"""
        bench = Bench().begin()
        bench.answer(200)
        bench.notify(fields=(("SIP-ETag", "e17"),))
        bench.wait(2700)
        self.assertEqual(bench.sent[-1].headers.get("Suppress-If-Match"), "e17")
        self.assertEqual(bench.answer(204, ("Expires", "3600")), "[answered 204]")
        self.assertEqual(bench.wait(TIMER_N + 1), "")
        bench.subscriber.refresh(bench.now, SubscribeKind.UPDATE)
        bench.look()
        self.assertNotIn("Suppress-If-Match", bench.sent[-1].headers)

    def test_strange_etag(self) -> None:
        """RFC 5839 sections 6.1 and 7.3: what is no entity-tag, as the one that means any, or one longer than anybody
        needs, is neither kept nor said."""
        for etag in ("e" * 3000, 'a "b"', "a;b", "", "*"):
            bench = Bench().begin()
            bench.answer(200)
            bench.notify(fields=(("SIP-ETag", "e17"),))
            bench.notify(fields=(("SIP-ETag", etag),))
            bench.wait(2700)
            self.assertEqual(bench.subscriber.etag, "")
            self.assertNotIn("Suppress-If-Match", bench.sent[-1].headers)

    def test_way_lost(self) -> None:
        """4.1.2.2: a lost connection brings the refresh forward, and never puts it off. row:J3"""
        bench = Bench().stand()
        bench.subscriber.way_lost(bench.now, 5.0)
        self.assertEqual(bench.wait(4.9), "")
        self.assertEqual(bench.wait(0.2), ">SUBSCRIBE 3600")
        bench = Bench().stand()
        bench.wait(2699)
        bench.subscriber.way_lost(bench.now, 600.0)
        self.assertEqual(bench.wait(2), ">SUBSCRIBE 3600")

    def test_leaving(self) -> None:
        """4.1.2.3: it ends with Expires 0 and the NOTIFY after it; one on its way before that is answered and not
        told. row:J2"""
        bench = Bench().stand()
        bench.subscriber.leave(bench.now)
        self.assertEqual(bench.said(), ">SUBSCRIBE 0")
        self.assertEqual(bench.notify("active"), ">200")
        self.assertEqual(bench.answer(200, ("Expires", "0")), "")
        self.assertEqual(bench.notify("terminated;reason=timeout"), ">200 [notified terminated] [over LEFT]")
        self.assertEqual(bench.notify("terminated"), ">481")

    def test_leaving_without_a_last_one(self) -> None:
        """4.1.2.2, RFC 5839 section 5.7: where our end is answered 204 no NOTIFY follows, and none is waited for.
        row:J2"""
        bench = Bench().stand()
        bench.subscriber.leave(bench.now)
        self.assertEqual(bench.said(), ">SUBSCRIBE 0")
        self.assertEqual(bench.answer(204), "[over LEFT]")
        self.assertEqual((len(bench.core.dialogs), len(bench.core.appointments)), (0, 0))

    def test_leaving_early(self) -> None:
        """4.1.2.3: whoever leaves while a SUBSCRIBE is under way says so after its answer: its NOTIFY may have
        overtaken it, and if it came after the last one it would begin the subscription anew. row:J2"""
        bench = Bench().begin()
        bench.notify("active")
        bench.subscriber.leave(bench.now)
        self.assertEqual(bench.said(), "")
        self.assertEqual(bench.notify("active"), ">200")
        self.assertEqual(bench.wait(TIMER_N - 1), "")
        self.assertEqual(bench.answer(200, ("Expires", "3600")), "[answered 200] >SUBSCRIBE 0")
        self.assertEqual([request.cseq.number for request in bench.sent], [1, 2])
        bench.answer(200, ("Expires", "0"))
        self.assertEqual(bench.notify("terminated;reason=timeout"), ">200 [notified terminated] [over LEFT]")
        for status, words in ((404, "[answered 404] >SUBSCRIBE 0"), (500, "[answered 500] >SUBSCRIBE 0")):
            bench = Bench().begin()
            bench.notify("active")
            bench.subscriber.leave(bench.now)
            self.assertEqual(bench.answer(status), words)

    def test_held_back(self) -> None:
        """4.1.2.3: whoever goes on notifying after we have left keeps the subscription no longer than one who says
        nothing. fault:K8"""
        bench = Bench().stand()
        bench.subscriber.leave(bench.now)
        bench.look()
        bench.answer(200, ("Expires", "0"))
        bench.said()
        bench.wait(TIMER_N / 2)
        self.assertEqual(bench.notify("active"), ">200")
        self.assertEqual(bench.wait(TIMER_N / 2 - 0.1), "")
        self.assertEqual(bench.wait(0.2), "[over LEFT]")

    def test_composer(self) -> None:
        """The composer is asked for each SUBSCRIBE, by what it is for. row:J6"""

        class Composer:
            """Notes the kinds."""

            kinds: list[str] = []  # noqa: RUF012 - one test

            def compose(self, plan: RequestPlan, kind: SubscribeKind) -> None:
                """Says the kind."""
                self.kinds.append(kind.name)
                plan.fields.append(("X-Kind", kind.name))

        bench = Bench(composer=Composer()).stand()
        bench.subscriber.refresh(bench.now)
        bench.look()
        bench.answer(200)
        bench.notify()
        bench.subscriber.refresh(bench.now, SubscribeKind.UPDATE)
        bench.look()
        bench.answer(200)
        bench.subscriber.leave(bench.now)
        bench.look()
        self.assertEqual(Composer.kinds, ["SUBSCRIBE", "REFRESH", "UPDATE", "UNSUBSCRIBE"])
        self.assertEqual([request.headers.get("X-Kind") for request in bench.sent], Composer.kinds)

    def test_brief_and_unheard(self) -> None:
        """A subscription that is so brief that its refresh would be due before it counts as unheard has no dialog to
        refresh it in: it asks to be called when there is something to do, and not without end before that. row:J3"""
        bench = Bench(options(expires=40)).begin()
        bench.answer(200, ("Expires", "40"))
        self.assertEqual(bench.core.appointments.next_deadline(), bench.now + 32.0)
        self.assertEqual(bench.wait(25), "")
        self.assertEqual(bench.notify(), ">200 [notified active]")


class NotifyTests(SynchronousTestCase):
    """The NOTIFYs of the notifier: before the 2xx, instead of it, wrong ones and too many."""

    def test_before_the_2xx(self) -> None:
        """4.1.2.4: a NOTIFY may come before the 2xx, and makes the dialog. row:J1"""
        bench = Bench().begin()
        self.assertEqual(bench.notify(), ">200 [notified active]")
        self.assertEqual(bench.answer(200, ("Expires", "600")), "[answered 200]")
        self.assertEqual(bench.subscriber.expires_at, bench.now + 600)
        self.assertEqual(bench.wait(TIMER_N + 1), "")

    def test_instead_of_the_2xx(self) -> None:
        """4.1.2.4: a NOTIFY makes the subscription though the SUBSCRIBE has no good end. row:J1"""
        for end in ("no response", "unreachable", "500"):
            bench = Bench().begin()
            bench.notify()
            respond(bench, end)
            self.assertEqual(bench.state, "active", end)
            self.assertEqual(bench.wait(2701), ">SUBSCRIBE 3600", end)

    def test_timer_n(self) -> None:
        """4.1.2.4: without a NOTIFY within 64*T1 there is no subscription, a later one is answered 481. limit:L16"""
        bench = Bench().begin()
        bench.answer(200)
        self.assertEqual(bench.wait(TIMER_N - 0.1), "")
        self.assertEqual(bench.wait(0.2), "[over NO_NOTIFY]")
        self.assertEqual(bench.notify(), ">481")

    def test_late(self) -> None:
        """4.1.3: after its end a NOTIFY is answered 481, in the dialog and out of it, and nobody is told. limit:L16"""
        bench = Bench().stand()
        bench.subscriber.abandon()
        self.assertEqual([bench.notify("active"), bench.notify("terminated"), bench.notify(None)], [">481"] * 3)

    def test_checked(self) -> None:
        """8.2.1, 8.2.3: a NOTIFY has a Subscription-State and an Event of ours, and comes in order. row:J10"""
        bench = Bench().begin()
        bench.answer(200)
        self.assertEqual(bench.notify(None), ">400")
        self.assertEqual(bench.notify(";;"), ">400")
        self.assertEqual(bench.notify(event="dialog"), ">481")
        self.assertEqual(bench.notify(event="presence;id=1"), ">481")
        self.assertEqual(bench.notify(event=None), ">481")
        self.assertEqual(bench.notify(event="a b c"), ">400")
        self.assertEqual(bench.notify(contact=None), ">400")
        self.assertEqual(bench.state, "notify wait, owed")
        self.assertEqual(bench.notify(cseq=40), ">200 [notified active]")
        self.assertEqual(bench.notify(cseq=39), ">500")

    def test_body_type(self) -> None:
        """A body of a type that was not asked for is answered 415 with what was, and changes nothing but an end."""
        bench = Bench(options(accept="text/plain")).stand()
        self.assertEqual(bench.notify("pending", body=b"<x/>", content_type="text/xml"), ">415")
        self.assertEqual(bench.answers[-1].headers.get("Accept"), "text/plain")
        self.assertEqual(bench.state, "active")
        self.assertEqual(bench.notify(body=b"open"), ">200 [notified active]")
        self.assertEqual(bench.notify("terminated", body=b"<x/>", content_type="text/xml"), ">415 [over TERMINATED]")

    def test_body_type_of_a_fetch(self) -> None:
        """4.4.3: a fetch whose only answer is of a type that was not asked for has fetched nothing. row:J4"""
        bench = Bench(options(expires=0, accept="text/plain")).begin()
        bench.answer(200)
        words = bench.notify("terminated;reason=timeout", body=b"<x/>", content_type="text/xml")
        self.assertEqual(words, ">415 [over TERMINATED]")

    def test_flood(self) -> None:
        """A second takes so many NOTIFYs and no more: the next are answered 500 with Retry-After, and are counted; the
        last one is always taken. limit:notifications"""
        bench = Bench(options(notify_burst=3)).stand()
        self.assertEqual([bench.notify() for _ in range(4)][2:], [">500", ">500"])
        self.assertEqual(bench.answers[-1].headers.get("Retry-After"), "1")
        self.assertEqual(bench.core.counters.refused_notifications, 2)
        bench.wait(1)
        self.assertEqual(bench.notify(), ">200 [notified active]")
        for _ in range(5):
            bench.notify()
        self.assertEqual(bench.notify("terminated"), ">200 [notified terminated] [over TERMINATED]")

    def test_two_at_once(self) -> None:
        """Two NOTIFYs that come in one delivery, before the dialog of the first is known, are both its own."""
        bench = Bench().begin()
        for number in (1, 2):
            bench.core.receive_message(notify(cseq=number), bench.flow, bench.now)
        self.assertEqual(bench.said(), ">200 [notified active] >200 [notified active]")
        self.assertEqual(len(bench.core.dialogs), 1)
