"""Who may open a connection: how many, how fast, and when nothing is accepted at all."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from sip_p2p.transport.limits import Limits
from sip_p2p.transport.load.admission import Admission, descriptors_left
from sip_p2p.transport.throttle import ThrottledLog
from tests.support import SynchronousTestCase, open_descriptors


class Port:
    """A listening port, as far as it can be paused."""

    numberAccepts = 1

    def __init__(self) -> None:
        self.accepts = True

    def stopReading(self) -> None:
        """Accept nothing."""
        self.accepts = False

    def startReading(self) -> None:
        """Accept."""
        self.accepts = True


class Opened:
    """A flow that came in."""

    def __init__(self, address: str = "192.0.2.1", peer: str = "") -> None:
        self.remote_host = address
        self.peer = peer


class AdmissionTests(SynchronousTestCase):
    """:class:`sip_p2p.transport.load.admission.Admission`."""

    def admission(self, **limits: Any) -> Admission:
        """One with these limits, and a port."""
        self.clock = Clock()
        self.hits: list[str] = []
        self.left = 1000
        log = ThrottledLog("tests.admission", self.clock.seconds)
        usual: dict[str, Any] = {"handshake_rate": 0, "connection_rate_per_address": 0}
        found = Admission(
            self.clock, Limits(**usual | limits), self.clock.seconds, log, self.hits.append, lambda: self.left
        )
        self.port = Port()
        found.listens_on(self.port)
        return found

    def test_handshakes(self) -> None:
        """So many are in their handshake altogether, and each that ends makes room (fault:H1)."""
        admission = self.admission(handshakes=2)
        self.assertEqual([admission.begin_handshake("") for _ in range(3)], [True, True, False])
        for _ in range(2):
            admission.end_handshake("")
        self.assertTrue(admission.begin_handshake(""))
        self.assertEqual((admission.handshakes, admission.refused, self.hits), (2, 1, ["handshakes"]))

    def test_handshakes_of_one_address(self) -> None:
        """One address has a share of the handshakes and no more; the machine itself, and what a proxy brings, may have
        all (fault:H1, row:D28)."""
        admission = self.admission(handshakes_per_address=2)
        self.assertEqual([admission.begin_handshake("192.0.2.1") for _ in range(3)], [True, True, False])
        self.assertTrue(admission.begin_handshake("192.0.2.2"))
        for address in ("127.0.0.1", "::1", "unix", ""):
            self.assertEqual([admission.begin_handshake(address) for _ in range(4)], [True] * 4)
        for _ in range(2):
            admission.end_handshake("192.0.2.1")
        self.assertTrue(admission.begin_handshake("192.0.2.1"))
        self.assertEqual(self.hits, ["handshakes_per_address"])

    def test_one_network_of_ipv6(self) -> None:
        """Whoever has IPv6 has 2**64 addresses to call from: a network of /64 counts as one address in every bound
        (fault:H1, fault:H3, fault:H4)."""
        admission = self.admission(handshakes_per_address=2, connections_per_address=2)
        own = [f"2001:db8::{number:x}:1" for number in range(3)]
        self.assertEqual([admission.begin_handshake(address) for address in own], [True, True, False])
        self.assertTrue(admission.begin_handshake("2001:db8:0:1::1"))
        for address in (*own, "2001:db8:0:1::1"):
            admission.end_handshake(address)
        flows: list[Any] = [Opened(address) for address in own]
        for flow in flows[:2]:
            self.assertEqual(admission.refusal(flow, 0), "")
            admission.enter(flow)
        self.assertEqual(admission.refusal(flows[2], 0), "2 connections from 2001:db8::/64 are open")
        for flow in flows[:2]:
            admission.leave(flow)
        self.assertEqual((admission.refusal(flows[2], 0), len(admission)), ("", 0))
        admission = self.admission(connection_rate_per_address=5)
        self.assertEqual(sum(admission.begin_handshake(f"2001:db8::{number:x}") for number in range(50)), 10)
        self.assertEqual(len(admission), 1)

    def test_rate_of_one_address(self) -> None:
        """One address may open so many a second, twice as many at once, and hinders no other (fault:H4)."""
        admission = self.admission(connection_rate_per_address=5)

        def served(address: str) -> int:
            count = 0
            for _ in range(50):
                count += admission.begin_handshake(address)
                admission.end_handshake(address)
            return count

        self.assertEqual((served("192.0.2.1"), served("192.0.2.2"), served("127.0.0.1")), (10, 10, 50))
        self.clock.advance(1)
        self.assertEqual(served("192.0.2.1"), 5)
        self.assertEqual(self.hits.count("connection_rate_per_address"), 40 + 40 + 45)

    def test_rates_are_forgotten(self) -> None:
        """However many addresses come, few are remembered (fault:H7)."""
        admission = self.admission(connection_rate_per_address=5)
        for number in range(10_000):
            admission.begin_handshake(f"2001:db8:{number:x}::1")
            admission.end_handshake(f"2001:db8:{number:x}::1")
        self.assertLessEqual(len(admission), 4096)

    def test_pace(self) -> None:
        """Faster than handshakes can be paid for, nothing is accepted for a moment, and nobody is refused
        (fault:H4)."""
        admission = self.admission(handshake_rate=100)
        accepted = 0
        for _ in range(1000):
            self.clock.advance(0.001)
            for _ in range(5):
                if self.port.accepts:
                    self.assertTrue(admission.begin_handshake(""))
                    admission.end_handshake("")
                    accepted += 1
        self.assertIn(accepted, range(90, 125))
        self.assertGreater(admission.pauses, 5)
        self.assertIn("handshake_rate", self.hits)
        self.clock.advance(1)
        self.assertEqual((self.port.accepts, self.clock.getDelayedCalls()), (True, []))

    def test_few_at_once(self) -> None:
        """A port that would accept a hundred connections before anything else is done accepts as few as the pace is
        (fault:H4)."""
        admission = self.admission(handshake_rate=400)
        port = Port()
        port.numberAccepts = 100
        admission.listens_on(port)
        self.assertEqual(port.numberAccepts, 10)
        while port.accepts:
            admission.begin_handshake("")
        port.numberAccepts = 120
        self.clock.advance(1)
        self.assertEqual((port.accepts, port.numberAccepts), (True, 10))

    def test_pace_of_the_refused(self) -> None:
        """Who is refused at once costs no handshake: a flood from one address does not take the others' turn
        (fault:H4)."""
        admission = self.admission(handshake_rate=100, connection_rate_per_address=5)
        welcome = accepting = waiting = 0
        for number in range(1000):
            self.clock.advance(0.001)
            accepting += self.port.accepts
            if self.port.accepts and number % 2:
                admission.begin_handshake("192.0.2.1")
                admission.end_handshake("192.0.2.1")
            waiting += number % 50 == 0
            if self.port.accepts and waiting:
                waiting -= 1
                welcome += admission.begin_handshake(f"198.51.100.{number // 50}")
                admission.end_handshake(f"198.51.100.{number // 50}")
        self.assertEqual((welcome, waiting), (20, 0))
        self.assertGreater(accepting, 750)

    def test_altogether(self) -> None:
        """With enough of them nothing more is accepted until some have gone; what came in the same moment is closed
        (fault:H3)."""
        admission = self.admission(connections=40)
        flows: list[Any] = []
        for _ in range(40):
            self.assertTrue(self.port.accepts)
            self.assertTrue(admission.begin_handshake(""))
            admission.end_handshake("")
            admission.enter(flow := Opened())
            flows.append(flow)
        self.assertFalse(self.port.accepts)
        self.assertFalse(admission.begin_handshake(""))
        self.assertFalse(self.port.accepts)
        admission.end_handshake("")
        self.assertFalse(self.port.accepts)
        admission.leave(flows.pop())
        self.assertFalse(self.port.accepts)
        admission.leave(flows.pop())
        self.assertTrue(self.port.accepts)

    def test_descriptors(self) -> None:
        """Where few descriptors are left, those are for dialling: nothing is accepted for a second (fault:H3)."""
        admission = self.admission(reserved_descriptors=16)
        self.left = 15
        self.assertFalse(admission.has_room())
        self.assertFalse(self.port.accepts)
        self.left = 100
        self.clock.advance(1)
        self.assertTrue(self.port.accepts)
        self.assertEqual((admission.has_room(), self.hits), (True, ["reserved_descriptors"]))

    def test_ports(self) -> None:
        """A port that comes while nothing is accepted waits as well, one that has gone is left alone, and one that
        cannot be paused is let be (fault:H3)."""
        admission = self.admission()
        self.left = 0
        admission.listens_on(object())
        admission.has_room()
        late = Port()
        admission.listens_on(late)
        self.assertFalse(late.accepts)
        admission.stops_on(self.port)
        self.clock.advance(2)
        self.assertEqual((late.accepts, self.port.accepts), (True, False))

    def test_close(self) -> None:
        """Afterwards no delayed call is left and no port is touched (fault:J6)."""
        admission = self.admission()
        admission.begin_handshake("")
        self.left = 0
        admission.has_room()
        admission.close()
        admission.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        admission.end_handshake("")
        self.assertFalse(self.port.accepts)

    def test_whose(self) -> None:
        """Flows are counted by address and by identity, and a refusal says which it was (fault:H3)."""
        admission = self.admission(connections_per_address=1, connections_per_identity=2)
        one: Any = Opened("192.0.2.1")
        self.assertEqual(admission.refusal(one, 0), "")
        admission.enter(one)
        self.assertEqual(admission.refusal(one, 0), "1 connections from 192.0.2.1 are open")
        other: Any = Opened("192.0.2.2", "a.example")
        self.assertEqual(admission.refusal(other, 1), "")
        self.assertEqual(admission.refusal(other, 2), "2 connections of a.example are open")
        admission.leave(one)
        self.assertEqual(admission.refusal(one, 0), "")
        self.assertEqual(self.hits, ["connections_per_address", "connections_per_identity"])


class DescriptorTests(SynchronousTestCase):
    """How many are left."""

    def test_left(self) -> None:
        """Each descriptor that is taken leaves less, and asking takes none (fault:H3)."""
        before = descriptors_left()
        with open("/dev/null", "rb"):
            # By more than one where the next number is taken already.
            self.assertLess(descriptors_left(), before)
        self.assertEqual((descriptors_left(), bool(open_descriptors())), (before, True))
