"""A manager under load: its states, what they refuse, and what neighbours are told of them."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from sip_p2p import Limits, OverloadChanged, OverloadState, PeerOverloaded, RequestFailed
from tests.endpoint.support import PartyTestCase, Raw, RawDatagrams, keep, octets

NORMAL, NEW, ALL = OverloadState


class LoadTestCase(PartyTestCase):
    """Bob listens in clear text as well."""

    def setUp(self) -> None:
        """Bob's listeners and a stranger."""
        super().setUp()
        self.manager = self.bob.connection_manager
        self.changes: list[OverloadChanged] = []
        self.manager.overload_changed.subscribe(self.changes.append)
        self.run_until(self.manager.listen_all(["tcp:port=5060", "udp:port=5060"]))
        self.stranger = self.network.host(names=["peer.example"])
        [self.address] = self.network.addresses_of("b.example")

    def dial(self) -> Raw:
        """A connection to Bob's clear-text port."""
        factory = Factory.forProtocol(Raw)
        factory.noisy = False
        raw = cast("Raw", self.run_until(TCP4ClientEndpoint(self.stranger, self.address, 5060).connect(factory)))
        self.addCleanup(self.hang_up, raw)
        return raw

    def hang_up(self, raw: Raw) -> None:
        """End it."""
        cast("Any", raw.transport).abortConnection()
        self.network.advance(1)

    def ask(self, **options: Any) -> int:
        """Alice's OPTIONS, and what becomes of it."""
        return self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example", retry_after="never", **options))


class StateTests(LoadTestCase):
    """The three states."""

    def test_new_work(self) -> None:
        """New work is refused with 503 and Retry-After on connections, and not answered on UDP (row:E20)."""
        self.manager.overload = NEW
        raw = self.dial()
        port = RawDatagrams()
        bound = cast("Any", self.stranger).listenUDP(5060, port)
        self.addCleanup(bound.stopListening)
        for number, method in enumerate(("OPTIONS", "MESSAGE", "SUBSCRIBE", "INVITE")):
            raw.send(octets(method, number))
            cast("Any", port.transport).write(octets(method, number, over="UDP"), (self.address, 5060))
        self.network.advance(1)
        self.assertEqual(raw.received.count(b"SIP/2.0 503"), 4)
        self.assertEqual(raw.received.count(b"\r\nRetry-After: "), 4)
        self.assertEqual(port.received, [])
        metrics = self.manager.metrics()
        self.assertEqual((metrics["core_refused_overloaded"], metrics["core_dropped_overloaded"]), (4, 4))
        self.assertEqual(metrics["overload_state"], 1)

    def test_what_is_under_way(self) -> None:
        """What was begun goes on: requests within dialogs, CANCEL and BYE are dealt with (row:E20)."""
        ringing: Deferred[None] = Deferred()
        ringing.addErrback(lambda _: None)
        self.bob.handle("INVITE", lambda event: ringing)
        raw = self.dial()
        raw.send(octets("INVITE", branch="z9hG4bKx"))
        self.network.advance(0.1)
        self.manager.overload = NEW
        raw.send(octets("CANCEL", branch="z9hG4bKx"))
        raw.send(octets("INFO", 2).replace(b"To: <sip:bob@b.example>", b"To: <sip:bob@b.example>;tag=1"))
        raw.send(octets("BYE", 3).replace(b"To: <sip:bob@b.example>", b"To: <sip:bob@b.example>;tag=1"))
        self.network.advance(0.1)
        lines = [line[8:11] for line in raw.received.split(b"\r\n") if line[:7] == b"SIP/2.0"]
        self.assertNotIn(b"503", lines)
        self.assertIn(b"487", lines)
        self.assertEqual(len([line for line in lines if line != b"100"]), 4)

    def test_non_essential(self) -> None:
        """In the worst state only responses, ACK and BYE are dealt with (row:E20)."""
        raw = self.dial()
        self.manager.overload = ALL
        for number, method in enumerate(("OPTIONS", "CANCEL", "MESSAGE", "BYE")):
            raw.send(octets(method, number))
        self.network.advance(1)
        self.assertEqual([line[8:11] for line in raw.received.split(b"\r\n") if line[:7] == b"SIP/2.0"], [b"405"])
        self.assertEqual(self.manager.metrics()["core_dropped_overloaded"], 3)
        # Its own requests go out, and their responses are heard.
        self.assertEqual(self.status_of(self.bob.request("OPTIONS", "sip:alice@a.example")), 200)

    def test_told(self) -> None:
        """Each change is told with its reason, and it counts at once (row:E20)."""
        for state, status in ((NEW, 503), (NORMAL, 200)):
            self.manager.overload = state
            self.network.advance(10)
            self.assertEqual(self.ask(), status)
        self.manager.overload = NORMAL
        self.assertEqual(
            [(change.previous_state, change.state) for change in self.changes], [(NORMAL, NEW), (NEW, NORMAL)]
        )
        self.assertEqual(self.changes[0].reason, "it was set")
        self.assertIn("reject_new_work", repr(self.changes[0]))

    def test_full_tables(self) -> None:
        """When the transactions are nearly all taken new work is refused until there is room again (row:E20,
        fault:H5)."""
        carol = self.network.party(
            "sip:carol@c.example", manager={"limits": Limits(transactions=100, pending_requests=1000)}
        )
        manager = carol.connection_manager
        manager.overload_changed.subscribe(self.changes.append)
        held: list[Any] = []
        carol.handle("INFO", keep(held))
        outcomes: list[int] = []
        for _ in range(200):
            sending = self.alice.request("INFO", "sip:carol@c.example", retry_after="never")
            sending.addCallbacks(lambda response: outcomes.append(response.status), self.refused(outcomes))
            self.network.advance(0.01)
        self.assertIn(len(held), range(80, 101))
        self.assertGreater(len(outcomes), 0)
        self.assertEqual({*outcomes} - {503, 0}, set())
        self.assertIn("of their limit", self.changes[0].reason)
        for event in held:
            event.respond(200)
        self.network.advance(20)
        self.assertEqual([change.state for change in self.changes][-1], NORMAL)
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:carol@c.example", retry_after="never")), 200)

    def refused(self, outcomes: list[int]) -> Any:
        """What notes a refusal: its status, or 0 for a request that was not even sent."""

        def note(failure: Any) -> None:
            error = failure.value
            outcomes.append(error.response.status if isinstance(error, RequestFailed) else 0)

        return note

    def test_nothing_left(self) -> None:
        """When all of it is over nothing looks at the load any more (fault:J2)."""
        self.ask()
        self.network.advance(5)
        self.assertEqual(self.manager.driver.deadlines, len(self.manager.pool))


class NeighbourTests(LoadTestCase):
    """What one party tells another, and what the other makes of it."""

    def test_retry_after_is_one_peers(self) -> None:
        """After a 503 with Retry-After that peer is asked nothing until then, and others are (row:E20)."""
        self.network.party("sip:carol@c.example")
        self.manager.overload = NEW
        self.assertEqual(self.ask(), 503)
        self.manager.overload = NORMAL
        sending = self.alice.request("OPTIONS", "sip:bob@b.example", retry_after="never")
        with self.assertRaises(PeerOverloaded) as caught:
            self.run_until(sending)
        self.assertIn(round(caught.exception.retry_after), range(1, 9))
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:carol@c.example", retry_after="never")), 200)
        self.network.advance(9)
        self.assertEqual(self.ask(), 200)
        self.assertEqual(self.alice.connection_manager.metrics()["held_back"], 1)

    def test_waited_for(self) -> None:
        """Who may repeat a request waits for the peer's time by itself, and sends it once (row:E20, row:F8)."""
        self.manager.overload = NEW
        self.assertEqual(self.ask(), 503)
        self.manager.overload = NORMAL
        came: list[Any] = []
        self.bob.handle("INFO", came.append)
        began = self.network.seconds()
        self.assertEqual(self.status_of(self.alice.request("INFO", "sip:bob@b.example")), 200)
        self.assertIn(int(self.network.seconds() - began), range(1, 10))
        self.assertEqual(len(came), 1)

    def test_overload_control(self) -> None:
        """Where both sides take part the server's wish is followed without a 503 for each request, until it is
        withdrawn (row:E20, RFC 7339)."""
        carol = self.network.party("sip:carol@c.example", manager={"overload_control": True})
        heard: list[bytes] = []

        class Tap:
            def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
                heard.append(data)

        carol.connection_manager.add_tap(Tap())
        self.assertEqual(self.status_of(carol.request("OPTIONS", "sip:bob@b.example", retry_after="never")), 200)
        self.assertIn(b';oc;oc-algo="loss"', heard[0])
        self.assertIn(b';oc=0;oc-algo="loss";oc-validity=0;oc-seq=', heard[1])
        self.manager.overload = ALL
        self.manager.overload = NEW
        first = carol.request("OPTIONS", "sip:bob@b.example", retry_after="never")
        self.assertEqual(self.status_of(first), 503)
        self.assertIn(b";oc=50;", heard[-1])
        self.assertNotIn(b"Retry-After", heard[-1])
        refused = sent = 0
        for _ in range(200):
            try:
                self.run_until(carol.request("OPTIONS", "sip:bob@b.example", retry_after="never"))
            except PeerOverloaded as error:
                self.assertEqual(error.retry_after, 0)
                refused += 1
            except RequestFailed:
                sent += 1
        self.assertIn(refused, range(60, 150))
        self.manager.overload = NORMAL
        self.network.advance(3)
        for _ in range(20):
            self.assertEqual(self.status_of(carol.request("OPTIONS", "sip:bob@b.example", retry_after="never")), 200)

    def test_nothing_is_offered_by_itself(self) -> None:
        """Neither side says anything of it unless it was asked to (row:E20, RFC 7339)."""
        heard: list[bytes] = []

        class Tap:
            def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
                heard.append(data)

        self.alice.connection_manager.add_tap(Tap())
        self.ask()
        self.assertEqual([data for data in heard if b";oc" in data], [])
