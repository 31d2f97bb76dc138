"""RFC 7339 as values: what stands in the Via, whose wish counts, and who is spared."""

from __future__ import annotations

from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.overload import OFFER, Feedback, LossControl, answer_offer, is_offer, is_spared, read_feedback
from sip_p2p.sip.via import parse_via
from tests.support import SynchronousTestCase

VIA = "SIP/2.0/TLS a.example:5061;rport;branch=z9hG4bKx"


class ViaTests(SynchronousTestCase):
    """The four parameters."""

    def test_offer(self) -> None:
        """Who takes part says so without a value and names the algorithms that it knows, or means the default (row:E20,
        RFC 7339 sections 4.1 and 4.2)."""
        for text in (VIA + OFFER, VIA + ";oc", VIA + ';oc-algo="rate,loss";oc', VIA + ";OC;oc-algo=LOSS"):
            self.assertTrue(is_offer(text), text)
        for text in (VIA, VIA + ";oc=5", VIA + ';oc;oc-algo="rate"', VIA + ";ocean", "nonsense;oc", VIA + ';x=";oc"'):
            self.assertFalse(is_offer(text), text)

    def test_answer(self) -> None:
        """The server fills in its wish, and leaves the rest of the Via as it came (row:E20, RFC 7339 section 5.2)."""
        offered = VIA.replace(";rport", ";rport=4000;received=192.0.2.1") + OFFER + ";alias"
        answered = answer_offer(offered, 30, 2.0, 1282321615.78204)
        before, after = parse_via(offered), parse_via(answered)
        self.assertEqual((after.sent_by, after.branch), (before.sent_by, before.branch))
        rest = {name: value for name, value in after.params.items() if not name.startswith("oc")}
        self.assertEqual(rest, {name: value for name, value in before.params.items() if not name.startswith("oc")})
        self.assertIn(';oc=30;oc-algo="loss";oc-validity=2000;oc-seq=1282321615.78204', answered)

    def test_no_overload(self) -> None:
        """Without overload the answer ends what may have been agreed: a validity of nought (RFC 7339 section 5.7)."""
        feedback = read_feedback(answer_offer(VIA + OFFER, 0, 2.0, 5.0))
        assert feedback is not None
        self.assertEqual((feedback.loss, feedback.validity), (0, 0))

    def test_nothing_offered(self) -> None:
        """Who offers nothing is told nothing (row:E20)."""
        for text in (VIA, VIA + ";oc=3", VIA + ';oc;oc-algo="rate"', "nonsense"):
            self.assertEqual(answer_offer(text, 30, 2.0, 1.0), text)

    def test_round_trip(self) -> None:
        """What one side says, the other reads."""
        feedback = read_feedback(answer_offer(VIA + OFFER, 41, 0.75, 99.00042))
        assert feedback is not None
        self.assertEqual((feedback.loss, feedback.validity, feedback.sequence), (41, 0.75, (99, 42)))
        self.assertEqual(repr(feedback), "<Feedback 41 % for 0.75 s>")

    def test_default_validity(self) -> None:
        """A wish without a validity holds for half a second (RFC 7339 section 4.3)."""
        feedback = read_feedback(VIA + ";oc=10;oc-seq=1.5")
        assert feedback is not None
        self.assertEqual((feedback.validity, feedback.sequence), (0.5, (1, 50000)))

    def test_useless(self) -> None:
        """What no server may say is no wish (RFC 7339 section 5.4)."""
        for params in (
            "",
            ";oc",
            ";oc=101",
            ";oc=-1",
            ";oc=x",
            ";oc=1000000000000",
            ';oc=5;oc-algo="rate"',
            ";oc=5;oc-validity=x",
            ";oc=5;oc-validity=99999999999",
            ";oc=5;oc-seq=7",
            ";oc=5;oc-seq=1.123456",
            ";oc=5;oc-seq=x.y",
        ):
            self.assertIsNone(read_feedback(VIA + params), params)
        self.assertIsNone(read_feedback("nonsense;oc=5"))


class LossTests(SynchronousTestCase):
    """The default algorithm."""

    def share(self, control: LossControl, spared_every: int = 5, now: float = 0.0) -> tuple[float, float]:
        """Which parts of the two categories are let through, of 10 000 requests drawn evenly."""
        sent = {True: 0, False: 0}
        tried = {True: 0, False: 0}
        for number in range(10_000):
            spared = spared_every > 0 and number % spared_every == 0
            tried[spared] += 1
            # 37 has no factor in common with 100: each category sees every draw equally often.
            sent[spared] += control.lets_through(spared, (number // (spared_every or 1) * 37) % 100, now)
        return sent[False] / tried[False], sent[True] / max(1, tried[True])

    def test_nothing_heard(self) -> None:
        """Without a wish everything is sent."""
        self.assertEqual(self.share(LossControl()), (1.0, 1.0))

    def test_spared_last(self) -> None:
        """What is reduced first bears all of the loss as long as it can, and then all of it goes before the rest is
        touched (row:E20, RFC 7339 section 6)."""
        for loss, ordinary, spared in (
            (20, 0.75, 1.0),
            (40, 0.5, 1.0),
            (80, 0.0, 1.0),
            (90, 0.0, 0.5),
            (100, 0.0, 0.0),
        ):
            control = LossControl()
            control.heard(Feedback(loss, 10, (1, 0)), 0.0)
            got = self.share(control)
            self.assertLess(abs(got[0] - ordinary), 0.03, loss)
            self.assertLess(abs(got[1] - spared), 0.05, loss)

    def test_mix_is_measured(self) -> None:
        """A neighbour that gets ordinary requests only is spared the percentage that it asked for (RFC 7339 section
        6)."""
        control = LossControl()
        control.heard(Feedback(50, 10, None), 0.0)
        self.assertLess(abs(self.share(control, 0)[0] - 0.5), 0.03)

    def test_validity(self) -> None:
        """A wish ends by itself (row:E20, RFC 7339 section 4.3)."""
        control = LossControl()
        control.heard(Feedback(100, 2.0, (1, 0)), 10.0)
        self.assertEqual([control.lets_through(False, 0.0, now) for now in (10.0, 11.9, 12.0)], [False, False, True])
        self.assertEqual((control.loss(11.0), control.loss(12.0)), (100, 0))

    def test_order(self) -> None:
        """An older wish, or the same again, counts for nothing (row:E20, RFC 7339 section 4.4)."""
        control = LossControl()
        control.heard(Feedback(50, 10, (5, 0)), 0.0)
        control.heard(Feedback(100, 10, (4, 99999)), 0.0)
        control.heard(Feedback(90, 10, (5, 0)), 0.0)
        self.assertEqual(control.loss(1.0), 50)
        control.heard(Feedback(30, 10, (5, 1)), 0.0)
        self.assertEqual(control.loss(1.0), 30)
        control.heard(Feedback(70, 10, None), 0.0)
        self.assertEqual(control.loss(1.0), 70)

    def test_numbers_that_begin_anew(self) -> None:
        """What is older than any response that is still under way is no measure: a server whose clock was set back is
        heard (row:E20, RFC 7339 section 4.4)."""
        control = LossControl()
        control.heard(Feedback(50, 0.5, (9000, 0)), 0.0)
        control.heard(Feedback(70, 0.5, (5400, 0)), 63.0)
        self.assertEqual(control.loss(63.1), 0)
        control.heard(Feedback(70, 0.5, (5400, 1)), 65.0)
        self.assertEqual(control.loss(65.1), 70)
        control.heard(Feedback(0, 0.5, (5400, 0)), 65.2)
        self.assertEqual(control.loss(65.3), 70)

    def test_end(self) -> None:
        """A validity of nought ends it at once (RFC 7339 section 4.3)."""
        control = LossControl()
        control.heard(Feedback(100, 10, (1, 0)), 0.0)
        control.heard(Feedback(100, 0, (2, 0)), 0.0)
        self.assertEqual(control.loss(0.0), 0)


class SparedTests(SynchronousTestCase):
    """Emergencies."""

    def plan(self, uri: str = "sip:b@b.example", *fields: tuple[str, str]) -> RequestPlan:
        """A request with these fields."""
        plan = RequestPlan("MESSAGE", uri, "<sip:a@a.example>", "t", "c")
        plan.fields = list(fields)
        return plan

    def test_emergencies(self) -> None:
        """An emergency is reduced last, whichever way it says that it is one (RFC 7339 section 5.10.1)."""
        for plan in (
            self.plan("urn:service:sos.fire"),
            self.plan("sip:b@b.example", ("Resource-Priority", "esnet.0")),
            self.plan("sip:b@b.example", ("priority", " Emergency")),
        ):
            self.assertTrue(is_spared(plan))
        self.assertFalse(is_spared(self.plan("sip:b@b.example", ("Priority", "urgent"), ("Subject", "emergency"))))
