"""Requests that applications have not answered: what is read from their peers meanwhile."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from sip_p2p import IncomingRequest, Limits, ThrottlingStateChanged
from tests.endpoint.support import PartyTestCase, Raw, keep, octets


class ThrottleTests(PartyTestCase):
    """Bob's application is slow, and a stranger sends more than it can answer."""

    def setUp(self) -> None:
        """Bob listens in clear text and keeps every request."""
        super().setUp()
        self.manager = self.bob.connection_manager
        self.manager.limits = self.manager.limits.replace(pending_requests=8)
        self.run_until(self.manager.start_listening("tcp:port=5060"))
        self.stranger = self.network.host(names=["peer.example"])
        [self.address] = self.network.addresses_of("b.example")
        self.held: list[IncomingRequest] = []
        self.told: list[ThrottlingStateChanged] = []
        self.bob.handle("INFO", self.hold)
        self.bob.handle("INVITE", self.hold)
        self.manager.throttling_changed.subscribe(self.told.append)
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        endpoint = TCP4ClientEndpoint(self.stranger, self.address, 5060)
        self.raw = cast("Raw", self.run_until(endpoint.connect(factory)))
        self.addCleanup(self.hang_up)

    def hang_up(self) -> None:
        """End what the stranger has opened."""
        cast("Any", self.raw.transport).abortConnection()
        self.network.advance(1)

    def hold(self, incoming: IncomingRequest) -> None:
        """Answer later."""
        incoming.defer()
        self.held.append(incoming)

    def send(self, *numbers: int, method: str = "INFO") -> None:
        """Say it, each in a delivery of its own."""
        for number in numbers:
            self.raw.send(octets(method, number))
            self.network.advance(0.05)

    def statuses(self) -> list[bytes]:
        """The final statuses that the stranger has been told."""
        lines = [line for line in self.raw.received.split(b"\r\n") if line.startswith(b"SIP/2.0 ")]
        return [line[8:11] for line in lines if line[8:9] != b"1"]

    def test_pause_and_resume(self) -> None:
        """With more requests unanswered than the mark nothing more is read from that peer, until half of them are
        answered; the application is told both times (row:E18, row:E19)."""
        self.send(*range(30))
        self.assertEqual(len(self.held), 9)
        [change] = self.told
        self.assertEqual((change.is_throttled, change.peer.is_throttled), (True, True))
        self.assertTrue(self.held[0].peer.is_throttled)
        self.assertEqual(self.manager.inventory()["throttled"], 1)
        for incoming in self.held[:4]:
            incoming.respond(200)
        self.network.advance(1)
        self.assertEqual(len(self.held), 9)
        self.held[4].respond(200)
        self.network.advance(1)
        self.assertEqual([change.is_throttled for change in self.told[:2]], [True, False])
        while len(self.held) < 30 or any(not incoming.is_answered for incoming in self.held):
            for incoming in [each for each in self.held if not each.is_answered]:
                incoming.respond(200)
            self.network.advance(0.1)
        self.assertEqual(self.statuses(), [b"200"] * 30)
        self.assertFalse(self.held[0].peer.is_throttled)
        metrics = self.manager.metrics()
        self.assertEqual(metrics["throttled"], metrics["limit_pending_requests"])
        self.assertGreaterEqual(metrics["throttled"], 2)

    def test_nobody_else(self) -> None:
        """Another peer is served as ever while one is not read from (row:E18)."""
        self.send(*range(20))
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)

    def test_invites_do_not_count(self) -> None:
        """Any number of calls may ring, and their CANCELs are heard (row:E18, fault:C5)."""
        self.send(*range(20), method="INVITE")
        self.assertEqual((len(self.held), self.told), (20, []))
        self.raw.send(octets("CANCEL", 3, branch="z9hG4bKINVITE3"))
        self.network.advance(1)
        self.assertIn(b"487", self.statuses())

    def test_at_the_deadline(self) -> None:
        """Requests that the application never answers are answered for it, and the peer is read from again (row:E18,
        fault:K2)."""
        self.send(*range(20))
        self.network.advance(100)
        self.assertEqual((len(self.held), len(self.statuses())), (20, 20))
        self.assertEqual(self.manager.inventory()["throttled"], 0)

    def test_peer_that_hangs_up(self) -> None:
        """A peer that goes while it is not read from leaves nothing behind (row:E18, fault:J2)."""
        self.send(*range(20))
        cast("Any", self.raw.transport).abortConnection()
        # It is not read from: that it has gone shows when something is written to it.
        for incoming in self.held:
            if not incoming.is_answered:
                incoming.respond(200)
        self.network.advance(200)
        for incoming in self.held:
            if not incoming.is_answered:
                incoming.respond(200)
        self.network.advance(200)
        inventory = self.manager.inventory()
        self.assertEqual((inventory["flows"], inventory["throttled"], inventory["unanswered"]), (0, 0, 0))

    def test_we_ask_the_same_peer(self) -> None:
        """A peer from whom we want answers is read from, and has what is far too much refused instead (row:E18)."""
        carol = self.network.party("sip:carol@c.example")
        carol.connection_manager.limits = carol.connection_manager.limits.replace(pending_requests=8)
        kept: list[IncomingRequest] = []
        asked: list[Deferred[Any]] = []

        def ask_back(incoming: IncomingRequest) -> None:
            incoming.defer()
            kept.append(incoming)
            if len(kept) == 9:
                asked.append(carol.request("OPTIONS", "sip:alice@a.example"))

        carol.handle("INFO", ask_back)
        self.alice.handle("OPTIONS", lambda incoming: Deferred(lambda _: None))
        sending = [
            self.alice.request("INFO", "sip:carol@c.example", retry_after="never").addErrback(lambda _: None)
            for _ in range(50)
        ]
        self.network.advance(1)
        refused = carol.connection_manager.metrics()["responses_out_503"]
        self.assertEqual(len(kept) + refused, 50)
        self.assertEqual(len(kept), 32)
        self.assertEqual(carol.connection_manager.inventory()["throttled"], 0)
        for incoming in kept:
            incoming.respond(200)
        self.network.advance(40)
        self.assertTrue(all(each.called for each in sending))
        self.flushLoggedErrors()
        for each in asked:
            each.addErrback(lambda _: None)

    def test_we_ask_a_peer_that_is_paused(self) -> None:
        """A request of ours to a peer that is not read from makes us read its answer (row:E18)."""
        carol = self.network.party("sip:carol@c.example", manager={"limits": Limits(pending_requests=4)})
        kept: list[IncomingRequest] = []
        carol.handle("INFO", keep(kept))
        for _ in range(20):
            self.alice.request("INFO", "sip:carol@c.example").addErrback(lambda _: None)
            self.network.advance(0.05)
        self.assertEqual(len(kept), 5)
        self.assertEqual(self.status_of(carol.request("OPTIONS", "sip:alice@a.example")), 200)
