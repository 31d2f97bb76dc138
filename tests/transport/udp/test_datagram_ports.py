"""The UDP ports of one side: from where we send."""

from __future__ import annotations

import errno
import os

from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from sip_p2p.errors import ConnectionFailure
from sip_p2p.testing import Network
from sip_p2p.transport.target import Target
from sip_p2p.transport.udp.datagram_ports import DatagramPorts
from tests.support import SynchronousTestCase
from tests.transport.sides import Side


class DatagramPortsTests(SynchronousTestCase):
    """What we send by UDP, and from where."""

    def setUp(self) -> None:
        self.network = Network(delay=0.001)
        self.carol = Side(self.network, "c.example", tls=False)
        self.ports = self.carol.keeper.datagrams
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """End everything, and find nothing left."""
        self.carol.close()
        self.network.assert_quiet()

    def test_own_port(self) -> None:
        """Without a listener a port of our own is opened, one for each family, and closed at the end (fault:J2)."""
        flows = [self.ports.flow_to(Target("udp", address)) for address in ("10.0.0.9", "10.0.0.8", "fd00::9")]
        self.assertEqual(flows[0].local_port, flows[1].local_port)
        self.assertNotEqual(flows[0].local_port, flows[2].local_port)
        self.assertNotEqual(flows[0].local_port, 0)

    def test_no_port(self) -> None:
        """Where the system gives no port, that is a failure to connect like any other, and the next request tries again
        (fault:H3)."""

        class Exhausted(Clock):
            def listenUDP(self, *arguments: object, **options: object) -> None:
                raise CannotListenError("", 0, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))

        ports = DatagramPorts(Exhausted(), self.carol.keeper, lambda flow: True)
        for _ in range(2):
            with self.assertRaises(ConnectionFailure) as caught:
                ports.flow_to(Target("udp", "10.0.0.9"))
            self.assertIn("Too many open files", str(caught.exception))
        self.assertEqual(ports.close(), [])

    def test_listener(self) -> None:
        """What listens is what we send from, the last one started; when it stops, the one before (row:C8, row:C14)."""
        first, second = self.carol.listen("UDP", 5060), self.carol.listen("UDP", 5070)
        target = Target("udp", "10.0.0.9")
        self.assertEqual(self.ports.flow_to(target).local_port, 5070)
        self.ports.stops_on(second.protocol)
        self.assertEqual(self.ports.flow_to(target).local_port, 5060)
        first.protocol.datagramReceived(b"\r\n", ("10.0.0.9", 5060))
        self.ports.stops_on(first.protocol)
        self.assertEqual(self.ports.ignored, 1)
        self.assertNotIn(self.ports.flow_to(target).local_port, (5060, 5070))
