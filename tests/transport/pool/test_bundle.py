"""Whose turn it is among the flows that lead to one place."""

from __future__ import annotations

from typing import Any

from sip_p2p.transport.pool.bundle import Bundle
from sip_p2p.transport.target import Target
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import CountedFlow


class BundleTests(SynchronousTestCase):
    """Choosing, with flows that do nothing."""

    def setUp(self) -> None:
        self.busy: set[Any] = set()

    def bundle(self, size: int | None, flows: int) -> tuple[Bundle, list[Any]]:
        """A bundle of so many flows."""
        made: list[Any] = [CountedFlow(port) for port in range(flows)]
        bundle = Bundle("key", Target("tls", "b.example"), "server", size)
        for flow in made:
            bundle.add(flow)
        return bundle, made

    def choose(self, bundle: Bundle) -> Any:
        """The next one."""
        return bundle.choose(lambda flow: flow in self.busy)

    def test_round_robin(self) -> None:
        """Idle flows are used in turn (row:E2)."""
        bundle, flows = self.bundle(3, 3)
        self.assertEqual([self.choose(bundle) for _ in range(7)], [*flows, *flows, flows[0]])
        self.assertFalse(bundle.is_short)

    def test_idle_before_busy(self) -> None:
        """One that is not busy comes before one whose turn it is; one that is held counts as busy (row:E2, row:E5)."""
        bundle, flows = self.bundle(3, 3)
        self.busy = {flows[0]}
        lease = flows[1].lease()
        self.assertEqual([self.choose(bundle) for _ in range(3)], [flows[2]] * 3)
        lease.release()
        self.assertEqual([self.choose(bundle) for _ in range(3)], [flows[1], flows[2], flows[1]])

    def test_all_busy(self) -> None:
        """Where all are busy they take turns all the same, and more are wanted if there may be more (row:E2)."""
        bundle, flows = self.bundle(2, 2)
        self.busy = set(flows)
        self.assertEqual([self.choose(bundle) for _ in range(3)], [flows[0], flows[1], flows[0]])
        self.assertFalse(bundle.is_short)
        bundle.resize(3)
        self.choose(bundle)
        self.assertTrue(bundle.is_short)

    def test_not_shared(self) -> None:
        """Without sharing a busy flow is nobody else's, and an idle one is used again (row:E3)."""
        bundle, flows = self.bundle(None, 2)
        self.busy = {flows[0]}
        self.assertIs(self.choose(bundle), flows[1])
        flows[1].lease()
        self.assertIsNone(self.choose(bundle))
        self.assertEqual((bundle.only, bundle.is_short), (None, False))

    def test_only(self) -> None:
        """The one that serves every request is known without choosing, as long as there may be one only."""
        bundle, flows = self.bundle(1, 1)
        self.assertIs(bundle.only, flows[0])
        bundle.resize(2)
        self.assertIsNone(bundle.only)
        bundle.resize(1)
        bundle.remove(flows[0])
        bundle.remove(flows[0])
        self.assertEqual((bundle.only, len(bundle)), (None, 0))

    def test_closing(self) -> None:
        """One that is being closed is not used any more (row:E11)."""
        bundle, flows = self.bundle(2, 2)
        flows[0].close()
        self.assertEqual([self.choose(bundle) for _ in range(2)], [flows[1], flows[1]])
        flows[1].close()
        self.assertIsNone(self.choose(bundle))

    def test_fewer(self) -> None:
        """After its size was made smaller the ones that are too many are not used (row:E2)."""
        bundle, flows = self.bundle(3, 3)
        bundle.resize(1)
        self.assertEqual([self.choose(bundle) for _ in range(3)], [flows[0]] * 3)
