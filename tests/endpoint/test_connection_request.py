"""What an application is asked about a connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from sip_p2p.endpoint.connection_request import ConnectionRequest, asking
from tests.support import SynchronousTestCase
from tests.transport.flow_bench import StreamBench


class RequestTests(SynchronousTestCase):
    """Values."""

    def test_facts(self) -> None:
        """It tells the way, the transport and both addresses (row:D23)."""
        bench = StreamBench()
        protocol, _ = bench.connect()
        flow: Any = protocol.flow
        request = ConnectionRequest(flow)
        self.assertEqual((request.transport, request.is_incoming, request.origin), ("TCP", True, ""))
        self.assertEqual(request.address, (flow.remote_host, flow.remote_port))
        self.assertEqual(request.local_address, (flow.local_host, flow.local_port))
        self.assertEqual((request.peer.identity, request.peer.is_verified), ("", False))

    def test_asking(self) -> None:
        """Nobody asks where there is nobody to ask, and what cannot be called is refused."""
        clock: Any = Clock()
        self.assertIsNone(asking(clock, None))
        self.assertIsNotNone(asking(clock, lambda request: True))
        self.assertRaises(TypeError, asking, clock, 5)
