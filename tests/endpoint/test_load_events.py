"""What is told about load."""

from __future__ import annotations

from sip_p2p import OverloadChanged, OverloadState, ThrottlingStateChanged
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import CountedFlow


class LoadEventTests(SynchronousTestCase):
    """:mod:`sip_p2p.endpoint.load_events`."""

    def test_throttling(self) -> None:
        """An event keeps what was so when it was told, whatever comes after (row:E19)."""
        flow = CountedFlow()
        flow.is_throttled = True
        change = ThrottlingStateChanged(flow)
        flow.is_throttled = False
        self.assertEqual((change.is_throttled, change.peer.address), (True, ("192.0.2.9", 40000)))
        self.assertIn("paused", repr(change))
        self.assertIn("read again", repr(ThrottlingStateChanged(flow)))

    def test_overload(self) -> None:
        """A change of state names both states and the reason (row:E20)."""
        change = OverloadChanged(OverloadState.NORMAL, OverloadState.REJECT_NEW_WORK, "a test")
        self.assertEqual(repr(change), "<OverloadChanged normal -> reject_new_work: a test>")
