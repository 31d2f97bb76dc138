"""What a connection manager tells of its flows."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from sip_p2p import ConnectionFailure, IncomingRequest
from sip_p2p.endpoint.flow_events import FlowLost, FlowOpened
from tests.endpoint.support import PartyTestCase


class FlowEventTests(PartyTestCase):
    """``flow_opened`` and ``flow_lost``."""

    def setUp(self) -> None:
        super().setUp()
        self.opened: list[FlowOpened] = []
        self.lost: list[FlowLost] = []
        self.asked: list[IncomingRequest] = []
        self.answer: Callable[[], object] = lambda: None
        self.bob.message_received.subscribe(lambda event: self.asked.append(event) or self.answer())
        for party in (self.alice, self.bob):
            party.connection_manager.flow_opened.subscribe(self.opened.append)
            party.connection_manager.flow_lost.subscribe(self.lost.append)

    def test_facts(self) -> None:
        """Both sides are told of a connection that may be used, with its transport, addresses, direction and the
        verified identity of the peer (row:E12, row:E17)."""
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        flows = sorted((event.flow for event in self.opened), key=lambda flow: flow.is_incoming)
        self.assertEqual([flow.peer for flow in flows], ["b.example", "a.example"])
        self.assertEqual([flow.transport for flow in flows], ["TLS", "TLS"])
        self.assertEqual(flows[0].remote_port, 5061)
        self.assertEqual((flows[0].local_host, flows[0].local_port), (flows[1].remote_host, flows[1].remote_port))
        self.assertIn("FlowOpened", repr(self.opened[0]))
        (caller,) = (event.peer for event in self.opened if event.flow.is_incoming)
        self.assertEqual((caller.identity, caller.tls_version, caller.flow), ("a.example", "TLSv1.3", flows[1]))
        self.assertEqual(self.lost, [])

    def test_what_was_on_it(self) -> None:
        """When a connection is lost, what was on it has ended, and the event names it, in order, with the
        reason, the age and how much came and went (row:E17, fault:C4)."""
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.answer = Deferred
        failures: list[object] = []
        for number in range(3):
            self.alice.send_message("sip:bob@b.example", f"m{number}").addErrback(
                lambda failure: failures.append(failure.value)
            )
        self.network.advance(2)
        self.network.cut(*self.network.hosts[:2])
        self.network.settle()
        self.network.advance(30)
        self.assertEqual((len(failures), len(self.asked)), (3, 4))
        ours, theirs = sorted(self.lost, key=lambda event: event.flow.is_incoming)
        self.assertIsInstance(ours.reason, ConnectionFailure)
        self.assertIs(failures[0], ours.reason)
        self.assertEqual([each.method for each in ours.transactions], ["MESSAGE"] * 3)
        self.assertEqual(
            [each.request.call_id for each in ours.transactions], [each.request.call_id for each in theirs.transactions]
        )
        self.assertEqual((ours.messages_in, ours.messages_out), (1, 4))
        self.assertEqual((theirs.messages_in, theirs.messages_out), (4, 1))
        self.assertEqual((ours.peer.identity, theirs.peer.identity), ("b.example", "a.example"))
        self.assertTrue(2 <= ours.age <= 3, ours.age)
        self.assertIn("3 on it", repr(ours))

    def test_closed(self) -> None:
        """A connection that we close ourselves is told of as well, with nothing on it (row:E17)."""
        self.run_until(self.alice.send_message("sip:bob@b.example", "x"))
        self.run_until(self.alice.connection_manager.terminate())
        self.network.advance(1)
        self.assertEqual([event.transactions for event in self.lost], [(), ()])
