"""Fetches, forks, and subscriptions that another request than SUBSCRIBE gives rise to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import ConnectionFailure, InvalidOperation, OperationTimeout
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.effects import Errand, Purpose
from sip_p2p.sip.event.subscribing import SubscriberOptions
from sip_p2p.sip.fields import EventValue
from sip_p2p.sip.uri import parse_uri
from tests.sip.dialog.dialogs import ALICE, BOB, callee_dialog
from tests.sip.event.asking import TIMER_N, Bench, options


class FetchTests(SynchronousTestCase):
    """4.4.3: the state is asked for once. row:J4"""

    def test_fetch(self) -> None:
        """Expires is 0, and the NOTIFY is all. row:J4"""
        bench = Bench(options(expires=0)).begin()
        self.assertEqual(bench.sent[0].headers.get("Expires"), "0")
        bench.answer(200, ("Expires", "0"))
        self.assertEqual(bench.notify("terminated;reason=timeout"), ">200 [notified terminated] [over FETCHED]")

    def test_not_terminated(self) -> None:
        """Some notifiers do not say that this was all. row:J4"""
        bench = Bench(options(expires=0)).begin()
        self.assertEqual(bench.notify("active;expires=0"), ">200 [notified active] [unwanted] [over FETCHED]")

    def test_nothing_to_know(self) -> None:
        """4.1.3: some reasons say why there is nothing to know; one that nobody knows is as none, and what never
        changes has been told. row:J4"""
        for reason, ending in (
            ("noresource", "TERMINATED"),
            ("rejected", "TERMINATED"),
            ("giveup", "TERMINATED"),
            ("probation", "TERMINATED"),
            ("deactivated", "TERMINATED"),
            ("invariant", "FETCHED"),
            ("expired", "FETCHED"),
        ):
            bench = Bench(options(expires=0)).begin()
            bench.answer(200)
            said = bench.notify(f"terminated;reason={reason};retry-after=31536000")
            self.assertEqual(said, f">200 [notified terminated] [over {ending}]", reason)

    def test_no_notify(self) -> None:
        """Without a NOTIFY within Timer N it fails."""
        bench = Bench(options(expires=0)).begin()
        bench.answer(200)
        self.assertEqual(bench.wait(TIMER_N + 1), "[over NO_NOTIFY]")


class ForkTests(SynchronousTestCase):
    """4.4.1: several notifiers answer one SUBSCRIBE."""

    def test_first_only(self) -> None:
        """Where one is wanted the others are answered 481. row:J1"""
        bench = Bench().begin()
        bench.notify()
        self.assertEqual(bench.notify(tag="other", cseq=1), ">481")
        self.assertEqual((len(bench.core.dialogs), len(bench.core.awaiting)), (1, 0))

    def test_all(self) -> None:
        """Where all are wanted each is a subscription of its own, up to the bound, until Timer N. row:J1"""
        bench = Bench(options(max_forks=2)).begin()
        bench.answer(200)
        bench.notify()
        self.assertEqual(bench.notify(tag="other", cseq=1), "[forked] >200 [notified active]")
        self.assertEqual(bench.notify(tag="third", cseq=1), ">481")
        [fork] = bench.forks
        fork.refresh(bench.now)
        bench.look()
        self.assertEqual(bench.sent[-1].to.tag, "other")
        bench.answer(200)
        bench.notify(tag="other", cseq=2)
        bench.wait(TIMER_N + 1)
        self.assertEqual(len(bench.core.awaiting), 0)
        self.assertEqual(
            bench.notify("terminated", tag="other", cseq=3), ">200 [notified terminated] [over TERMINATED]"
        )
        self.assertEqual(bench.state, "active")

    def test_unanswered(self) -> None:
        """4.1.2.4: others are waited for no longer than Timer N, where the SUBSCRIBE has no good end as well. row:J1"""
        for reason in (OperationTimeout("no answer"), ConnectionFailure("it is gone")):
            bench = Bench(options(max_forks=3)).begin()
            bench.notify()
            bench.fail(reason)
            self.assertEqual(bench.notify(tag="other", cseq=1), "[forked] >200 [notified active]")
            bench.wait(TIMER_N + 1)
            self.assertEqual(len(bench.core.awaiting), 0)
            self.assertEqual(bench.notify(tag="third", cseq=1), ">481")

    def test_answered_by_another(self) -> None:
        """5.4.9: a 2xx of another notifier than the one whose NOTIFY has made the dialog says nothing of that: neither
        where it is nor for how long. row:J1"""
        bench = Bench(options(expires=3600)).begin()
        bench.notify("active;expires=1800", contact="<sip:bob@192.0.2.77>")
        fields = (("Contact", "<sip:bob@192.0.2.88>"), ("Expires", "60"))
        self.assertEqual(bench.answer(200, *fields, tag="other"), "[answered 200]")
        self.assertEqual(bench.subscriber.expires_at, bench.now + 1800)
        self.assertEqual(bench.wait(901), ">SUBSCRIBE 3600")
        self.assertEqual((bench.sent[-1].uri_text, bench.sent[-1].to.tag), ("sip:bob@192.0.2.77", "bt"))
        bench = Bench(options(expires=3600)).begin()
        bench.notify()
        bench.answer(200, *fields, tag="other")
        self.assertEqual(bench.subscriber.expires_at, bench.now + 3600)

    def test_how_long(self) -> None:
        """4.2.2: a fork whose NOTIFY does not say for how long it holds is refreshed all the same: for what was asked.
        row:J3"""
        bench = Bench(options(expires=600, max_forks=2)).begin()
        bench.answer(200, ("Expires", "600"))
        bench.notify()
        bench.notify(tag="other", cseq=1)
        self.assertEqual([each.expires_at for each in (bench.subscriber, *bench.forks)], [bench.now + 600] * 2)
        self.assertEqual(bench.core.appointments.next_deadline(), bench.now + TIMER_N)
        bench.subscriber.abandon()
        self.assertEqual(bench.wait(301), ">SUBSCRIBE 600")
        self.assertEqual(bench.sent[-1].to.tag, "other")

    def test_fork_that_says_nothing_good(self) -> None:
        """A fork whose first NOTIFY is refused is let go after Timer N."""
        bench = Bench(options(max_forks=2)).begin()
        bench.answer(200)
        bench.notify()
        self.assertEqual(bench.notify(None, tag="other", cseq=1), "[forked] >400")
        self.assertEqual(bench.wait(TIMER_N + 1), "[over NO_NOTIFY]")
        self.assertEqual(len(bench.core.dialogs), 1)


class ImplicitTests(SynchronousTestCase):
    """A subscription that another request gives rise to (RFC 3515 section 2.4.4)."""

    def refer(self, bench: Bench) -> Errand:
        """A REFER that is under way."""
        plan = RequestPlan("REFER", BOB, f"<{ALICE}>", "at", "call")
        errand = Errand(bench.subscriber, plan, Purpose.OTHER)
        bench.subscriber.expect(errand)
        return errand

    def test_outside(self) -> None:
        """Its first NOTIFY makes the dialog, and it can be refreshed and ended as any other."""
        bench = Bench(options("refer", 60))
        errand = self.refer(bench)
        self.assertEqual(bench.notify(event="refer"), ">481", "it was not sent yet")
        errand.transaction = type("Sent", (), {"flow": bench.flow})()  # type: ignore[assignment]
        self.assertEqual(bench.notify("active;expires=60", event="refer"), ">200 [notified active]")
        bench.subscriber.accepted(bench.flow, bench.now)
        self.assertEqual(bench.wait(31), ">SUBSCRIBE 60")
        bench.subscriber.leave(bench.now)
        self.assertEqual(bench.said(), "")
        self.assertEqual(bench.answer(200, ("Expires", "60")), "[answered 200] >SUBSCRIBE 0")

    def test_sent_again(self) -> None:
        """RFC 3515 section 2.4.6: where it went out once more with another number, because the peer had asked for
        credentials, NOTIFYs bear that one, or none; another's are nobody's."""
        for event, said in (("refer;id=8", ">200 [notified active]"), ("refer", ">200 [notified active]"),
                            ("refer;id=9", ">481"), ("presence;id=8", ">481")):  # fmt: skip
            bench = Bench(
                SubscriberOptions(EventValue("refer", {"id": "7"}), 60, is_refreshed=False), alias=EventValue("refer")
            )
            errand = self.refer(bench)
            errand.plan.cseq = 8
            errand.transaction = type("Sent", (), {"flow": bench.flow})()  # type: ignore[assignment]
            self.assertEqual(bench.notify(event=event), said, event)
            bench.subscriber.abandon()

    def test_timer_n(self) -> None:
        """Timer N runs from its 2xx."""
        bench = Bench(options("refer", 60))
        self.refer(bench)
        bench.subscriber.accepted(bench.flow, bench.now)
        self.assertEqual(bench.wait(TIMER_N + 1), "[over NO_NOTIFY]")

    def test_inside(self) -> None:
        """In a dialog its NOTIFYs are known with the id of the REFER and without it."""
        for event in ("refer", "refer;id=7"):
            bench = Bench(options("refer", 60), alias=EventValue("refer", {"id": "7"}))
            dialog = self.dialog(bench)
            bench.subscriber.expect_in(dialog)
            bench.subscriber.accepted(bench.flow, bench.now)
            self.assertEqual(bench.notify(event=event, cseq=50), ">200 [notified active]")
            bench.notify("terminated;reason=noresource", event=event, cseq=51)
            self.assertEqual(dialog.usages, ("invite",))

    def test_twice(self) -> None:
        """4.5.2: a dialog has one subscription of each event and id."""
        bench = Bench()
        dialog = self.dialog(bench)
        bench.subscriber.start_in(dialog, bench.now)
        bench.look()
        second = Bench(options("presence"))
        self.assertRaises(InvalidOperation, second.subscriber.start_in, dialog, bench.now)

    def test_device_with_an_address_of_its_own(self) -> None:
        """4.5.2: no SUBSCRIBE goes in a dialog whose other end is reached outside of it, too, by a GRUU."""
        for target, is_refused in (("sip:bob@b.example;gr=urn:uuid:1", True), ("sip:bob@b.example;gr", True),
                                   ("sip:bob@b.example;x=gr", False), ("tel:+15550100", False)):  # fmt: skip
            bench = Bench()
            dialog = self.dialog(bench)
            dialog.remote_target = parse_uri(target)
            if is_refused:
                self.assertRaises(InvalidOperation, bench.subscriber.start_in, dialog, bench.now)
                self.assertEqual((bench.state, bench.said(), dialog.usages), ("idle", "", ("invite",)))
            else:
                bench.subscriber.start_in(dialog, bench.now)
                self.assertEqual(bench.said(), ">SUBSCRIBE 3600")

    def dialog(self, bench: Bench) -> Dialog:
        """One that a session has made."""
        dialog = callee_dialog()
        dialog.call_id, dialog.local_tag, dialog.remote_tag = "call", "at", "bt"
        dialog.id = "call\nat\nbt"
        dialog.peer, dialog.local, dialog.remote, dialog.remote_cseq = "b.example", f"<{ALICE}>", f"<{BOB}>", None
        bench.core.dialogs.add(dialog)
        dialog.subscriptions = None
        return dialog
