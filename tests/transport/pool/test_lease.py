"""Holding a flow."""

from __future__ import annotations

from sip_p2p.transport.pool.lease import Lease
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import CountedFlow


class LeaseTests(SynchronousTestCase):
    """Leases of one flow."""

    def test_counted(self) -> None:
        """A flow knows how many hold it, and each lets it go once (row:E5)."""
        flow = CountedFlow()
        first, second = flow.lease(), flow.lease()
        self.assertEqual((flow.leases, first.is_held, first.flow is flow), (2, True, True))
        first.release()
        first.release()
        self.assertEqual((flow.leases, first.is_held, second.is_held), (1, False, True))
        second.release()
        self.assertEqual(flow.leases, 0)

    def test_context(self) -> None:
        """A lease is held for a block, also for one that raises (row:E5)."""
        flow = CountedFlow()
        with self.assertRaises(ZeroDivisionError), Lease(flow):
            self.assertEqual(flow.leases, 1)
            raise ZeroDivisionError
        self.assertEqual(flow.leases, 0)
