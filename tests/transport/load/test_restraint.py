"""What peers have asked for, each for itself."""

from __future__ import annotations

from sip_p2p.errors import PeerOverloaded
from sip_p2p.sip.compose import RequestPlan
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.overload import OFFER
from sip_p2p.sip.uri import parse_uri
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.restraint import Restraint
from tests.support import SynchronousTestCase

DIALOG = Dialog(
    "c", "t", "r", "<sip:a@a.example>", "<sip:b@b.example>", True, False, False, 1, None, (),
    parse_uri("sip:b@b.example"), "",
)  # fmt: skip
VIA = "SIP/2.0/TLS a.example:5061;rport;branch=z9hG4bKx"


def flow(number: int = 1) -> Flow:
    """A flow to one of several peers."""
    return Flow("TLS", True, "us.example", f"192.0.2.{number}", 5061, "b.example")


class RestraintTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.load.restraint.Restraint`."""

    def setUp(self) -> None:
        """One of our own, with a clock and dice in the test's hand."""
        self.now = 0.0
        self.drawn = 0.5
        self.loss = 0
        self.restraint = Restraint(
            lambda: self.now, Limits(remembered_peers=3), lambda: self.loss, 1000.0, lambda: self.drawn
        )
        self.plan = RequestPlan("MESSAGE", "sip:b@b.example", "<sip:a@a.example>", "t", "c")

    def refusal(self, number: int = 1) -> PeerOverloaded | None:
        """What becomes of a request to a peer."""
        return self.restraint.refusal(flow(number), self.plan)

    def test_retry_after(self) -> None:
        """A peer that asks for it is left alone until then, and nobody else, though it be of the same name
        (row:E20, RFC 3261 section 21.5.4)."""
        self.restraint.asked(flow(), 5)
        refused = self.refusal()
        assert refused is not None
        self.assertEqual(refused.retry_after, 5)
        self.assertIn("192.0.2.1:5061", str(refused))
        self.assertIsNone(self.refusal(2))
        self.now = 5.0
        self.assertIsNone(self.refusal())
        self.assertEqual((len(self.restraint), self.restraint.held_back), (0, 1))

    def test_neighbours_at_one_address(self) -> None:
        """Who proves one name speaks for nobody who proves another, though both be at one address and port (row:E20,
        fault:H5)."""
        hosted = Flow("TLS", True, "us.example", "192.0.2.1", 5061, "mallory.example")
        self.restraint.asked(hosted, 50)
        self.restraint.heard_via(hosted, f"{VIA};oc=100;oc-seq=1.1;oc-validity=50000")
        self.drawn = 0.0
        self.assertIsNone(self.refusal())
        self.assertIsNotNone(self.restraint.refusal(hosted, self.plan))

    def test_within_a_dialog(self) -> None:
        """What belongs to a session that stands is not held back by the answer to something new: a peer that drains
        lets its sessions end, and BYE least of all makes it work (row:E20, row:B15, RFC 7339 section 5.10.1)."""
        self.restraint.asked(flow(), 5)
        self.restraint.heard_via(flow(2), f"{VIA};oc=50;oc-seq=1.1;oc-validity=5000")
        self.drawn = 0.0
        self.assertIsNotNone(self.refusal())
        self.assertIsNotNone(self.refusal(2))
        self.plan.dialog = DIALOG
        self.assertIsNone(self.refusal())
        self.assertIsNone(self.refusal(2))

    def test_longest_wish(self) -> None:
        """A shorter wish does not undo a longer one, and none lasts for ever (row:E20, fault:H5)."""
        self.restraint.asked(flow(), 10)
        self.restraint.asked(flow(), 2)
        self.now = 9.0
        self.assertIsNotNone(self.refusal())
        self.restraint.asked(flow(2), 999999)
        self.now = 9.0 + 60
        self.assertIsNone(self.refusal(2))
        self.assertEqual(self.restraint.shortened, 1)

    def test_few_are_remembered(self) -> None:
        """However many peers ask, few are remembered (fault:H7)."""
        for number in range(1, 101):
            self.restraint.asked(flow(number), 50)
            self.restraint.heard_via(flow(number), f"{VIA};oc=50;oc-seq=1.1;oc-validity=50000")
        self.assertEqual(len(self.restraint), 3)
        self.assertIsNone(self.refusal(1))
        self.assertIsNotNone(self.refusal(100))

    def test_loss(self) -> None:
        """What a peer says in our Via counts for that peer, for as long as it says (row:E20, RFC 7339 section 5.5)."""
        self.restraint.heard_via(flow(), f'{VIA};oc=40;oc-algo="loss";oc-validity=2000;oc-seq=1.1')
        self.drawn = 0.4
        refused = self.refusal()
        assert refused is not None
        self.assertEqual(refused.retry_after, 0)
        self.assertIsNone(self.refusal(2))
        self.drawn = 0.6
        self.assertIsNone(self.refusal())
        self.drawn, self.now = 0.0, 2.0
        self.assertIsNone(self.refusal())

    def test_end_of_it(self) -> None:
        """A peer that was never overloaded is not remembered; one that was is, for the number of its wish."""
        self.restraint.heard_via(flow(), f"{VIA};oc=0;oc-validity=0;oc-seq=1.1")
        self.restraint.heard_via(flow(), f"{VIA};oc=nonsense")
        self.assertEqual(len(self.restraint), 0)
        self.restraint.heard_via(flow(), f"{VIA};oc=100;oc-seq=2.1")
        self.restraint.heard_via(flow(), f"{VIA};oc=0;oc-validity=0;oc-seq=3.1")
        self.restraint.heard_via(flow(), f"{VIA};oc=100;oc-seq=2.5")
        self.assertIsNone(self.refusal())

    def test_our_own_wish(self) -> None:
        """Who offers it is told what we want less of, with numbers that rise (row:E20, RFC 7339 section 5.2)."""
        self.assertIn(";oc=0;", self.restraint.answer_via(VIA + OFFER))
        self.loss, self.now = 30, 2.5
        self.assertTrue(
            self.restraint.answer_via(VIA + OFFER).endswith(';oc=30;oc-algo="loss";oc-validity=2000;oc-seq=1002.50000')
        )

    def test_jitter(self) -> None:
        """Who was told the same time comes back at different ones (row:E20)."""
        self.drawn = 0.0
        self.assertEqual(self.restraint.later(5), 5)
        self.drawn = 0.9
        self.assertGreater(self.restraint.later(5), 5.4)
