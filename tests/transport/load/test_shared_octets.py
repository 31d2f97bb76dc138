"""One bound for what many flows hold."""

from __future__ import annotations

from typing import Any

from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.shared_octets import SharedOctets
from tests.support import SynchronousTestCase


class Holder:
    """A flow, as far as it can be aborted."""

    def __init__(self) -> None:
        self.octets: Any = None
        self.is_aborted = False

    def abort(self) -> None:
        """It holds nothing any more, and says so, as a flow does."""
        self.is_aborted = True
        if self.octets is not None:
            self.octets.holds(self, 0)


class SharedOctetsTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.load.shared_octets.SharedOctets`."""

    def setUp(self) -> None:
        """A bound of a hundred, and three flows."""
        self.hits: list[str] = []
        self.octets: Any = SharedOctets("write_buffer_total", Limits(write_buffer_total=100), self.hits.append)
        self.flows = [Holder() for _ in range(3)]

    def test_counts(self) -> None:
        """What is held comes and goes, and nothing is left (fault:G8)."""
        one, two, _ = self.flows
        self.octets.holds(one, 30)
        self.octets.holds(two, 40)
        self.octets.holds(one, 50)
        self.assertEqual((self.octets.total, len(self.octets)), (90, 2))
        for flow in (one, two, two):
            self.octets.holds(flow, 0)
        self.assertEqual((self.octets.total, len(self.octets), self.hits), (0, 0, []))

    def test_worst_goes_first(self) -> None:
        """Over the bound the flow that holds most goes, not the one that came last, and no more than need be
        (fault:G8)."""
        one, two, three = self.flows
        for flow in self.flows:
            flow.octets = self.octets
        self.octets.holds(one, 60)
        self.octets.holds(two, 30)
        self.octets.holds(three, 20)
        self.assertEqual([flow.is_aborted for flow in self.flows], [True, False, False])
        self.assertEqual((self.octets.total, self.hits), (50, ["write_buffer_total"]))

    def test_one_that_says_nothing(self) -> None:
        """A flow that does not report its end keeps nobody waiting (fault:G8)."""
        self.octets.holds(self.flows[0], 500)
        self.assertTrue(self.flows[0].is_aborted)
        self.assertEqual((self.octets.total, len(self.octets)), (0, 0))

    def test_breadth(self) -> None:
        """What a few hold counts less than what many hold (fault:G8, row:E20)."""
        for flow, octets in zip(self.flows, (50, 5, 8), strict=True):
            self.octets.holds(flow, octets)
        self.assertEqual(self.octets.breadth(10), 23)

    def test_another_bound(self) -> None:
        """Another bound counts from the next octet on (row:E10)."""
        self.octets.limits = Limits(write_buffer_total=1000)
        self.octets.holds(self.flows[0], 500)
        self.assertEqual(self.octets.total, 500)
