"""A flow over one connection by itself: what is written waits, leaves in order, and not after the end."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from zope.interface.verify import verifyObject

from sip_p2p.transport.stream.flow import Responses
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import StreamBench


class FlowTests(SynchronousTestCase):
    """Writing and ending."""

    def test_stalled(self) -> None:
        """While the transport has no room what is written waits in order; when there is room it leaves."""
        bench = StreamBench()
        protocol, wire = bench.connect()
        flow = protocol.flow
        assert flow is not None
        producer = Responses(flow)
        self.assertTrue(verifyObject(IPushProducer, producer))
        producer.pauseProducing()
        for part in (b"one ", b"two"):
            flow.cork(part)
            flow.flush()
        self.assertEqual((wire.value(), flow.queued), (b"", 7))
        producer.resumeProducing()
        self.assertEqual((wire.value(), flow.queued), (b"one two", 0))
        producer.stopProducing()
        self.assertFalse(flow.is_open)
