"""What every connection manager does: bounds, failures that are told, and that it leaves no garbage behind."""

from __future__ import annotations

import gc
from collections import Counter, deque
from typing import Any, ClassVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from sip_p2p import (
    ConnectionFailure,
    InvalidOperation,
    Limits,
    OperationTimeout,
    RealTimeServerTcpConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
    Target,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.endpoint.incoming import IncomingRequest
from sip_p2p.endpoint.outgoing import Outgoing
from sip_p2p.sip.message import Message
from sip_p2p.sip.transaction.base import Transaction
from sip_p2p.testing import Network
from tests.endpoint.support import ManagerTestCase, Stranger
from tests.endpoint.test_server_managers import logged_warnings
from tests.support import MemoryTestCase


class BasicTests(ManagerTestCase):
    """What a manager is, before anything happens."""

    def test_defaults(self) -> None:
        """Each manager has its own limits, core and pool, and knows its endpoints."""
        one, two = (RealTimeServerTcpConnectionManager(self.network.host()) for _ in range(2))
        for name in ("limits", "core", "pool", "driver", "tokens", "tls_failed"):
            self.assertIsNot(getattr(one, name), getattr(two, name), name)
        self.assertEqual((one.endpoints, one.listeners, one.is_terminated), ((), (), False))
        self.assertIsNone(one.fallback_endpoint)
        endpoint = SipPeerToPeerEndpoint("sip:p@p.example", one)
        self.assertEqual((one.endpoints, one.fallback_endpoint), ((endpoint,), endpoint))
        for manager in (one, two):
            self.network.run_until(manager.terminate())

    def test_answer_timeout_is_the_cores(self) -> None:
        """The time for an answer is a limit of the manager's, unless it is given timers of its own."""
        manager = RealTimeServerTcpConnectionManager(self.network.host(), limits=Limits(answer_timeout=7))
        self.assertEqual(manager.core.layer.timers.answer_deadline, 7)
        self.network.run_until(manager.terminate())

    def test_taps(self) -> None:
        """A tap sees each message in both directions until it is taken away; one that raises is logged and harms
        nobody (fault:K1)."""
        seen: list[tuple[str, bytes]] = []

        class Tap:
            def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
                seen.append((direction, data[:7]))

        class Broken:
            def message(self, direction: str, flow: object, data: bytes, now: float) -> None:
                raise ValueError(direction)

        tap, broken, alice = Tap(), Broken(), self.party("a.example")
        self.manager.add_tap(broken)
        self.manager.add_tap(tap)
        self.assertEqual(self.send(alice), 200)
        self.assertEqual(seen, [("in", b"MESSAGE"), ("out", b"SIP/2.0")])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.manager.remove_tap(broken)
        self.manager.remove_tap(tap)
        self.manager.remove_tap(tap)
        self.assertEqual((self.send(alice), len(seen)), (200, 2))

    def test_large_answer_over_udp(self) -> None:
        """What comes by UDP is not cut off, also while nothing listens on UDP (fault:I5)."""
        carol = self.network.party("sip:carol@c.example", default_transport="udp")
        carol.handle("PING", lambda event: event.response(200, body=b"x" * 20_000, content_type="text/plain"))
        pinging = self.bob.request("PING", "sip:carol@c.example;transport=udp")
        self.assertEqual(len(self.network.run_until(pinging).body), 20_000)


class TlsFailedTests(ManagerTestCase):
    """The event for TLS connections that came to nothing."""

    def setUp(self) -> None:
        """Bob notes the failures that he is told of."""
        super().setUp()
        self.failures: list[TlsFailure] = []
        self.manager.tls_failed.subscribe(self.failures.append)

    def test_told_and_counted(self) -> None:
        """Every TLS connection that came to nothing is told with its reason and peer, and counted by reason
        (row:D22, row:D19, row:M10)."""
        host = self.network.host()
        self.stranger(host=host).say(b"OPTIONS sip:bob@b.example SIP/2.0\r\n\r\n")
        self.network.advance(1)
        self.stranger(host=host).hang_up()
        self.network.advance(1)
        silent = self.stranger(host=host)
        self.network.advance(6)
        self.assertFalse(silent.is_open)
        reasons = [failure.reason for failure in self.failures]
        self.assertEqual(
            reasons,
            [
                TlsFailureReason.TLS_NEGOTIATION_FAILURE,
                TlsFailureReason.REMOTE_DISCONNECTED,
                TlsFailureReason.HANDSHAKE_TIMEOUT,
            ],
        )
        for failure in self.failures:
            self.assertTrue(failure.peer.startswith(f"{host.addresses[0]}:"))
            self.assertIn(failure.peer, str(failure))
        metrics = self.manager.metrics()
        for reason in TlsFailureReason:
            self.assertEqual(metrics[f"tls_failures_{reason.name.lower()}"], reasons.count(reason))

    def test_log_is_throttled(self) -> None:
        """However many fail, the log gets ten at once and then one a second, with the number of those left out; the
        event and the counter get all of them (row:D22, fault:H6)."""
        lines = logged_warnings(self)
        host = self.network.host()
        for _ in range(30):
            self.stranger(host=host).say(b"x" * 64)
        self.network.advance(0.1)
        self.assertEqual((len(self.failures), len(lines)), (30, 10))
        self.assertFalse(any("not logged" in line for line in lines))
        self.network.advance(5)
        self.stranger(host=host).say(b"x" * 64)
        self.network.advance(0.1)
        self.assertEqual(len(self.failures), 31)
        self.assertIn("20 more were not logged", lines[-1])
        self.assertEqual(self.manager.metrics()["tls_failures_tls_negotiation_failure"], 31)

    def test_a_handler_that_raises(self) -> None:
        """A handler of this event that raises is logged, and the next peer is served (row:D22, fault:K1)."""
        self.manager.tls_failed.subscribe(lambda failure: 1 / 0)
        self.stranger().say(b"x" * 64)
        self.network.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.send(self.party("a.example")), 200)

    def test_whom_we_dial(self) -> None:
        """What fails on our own dialling fails the request, and is not told here."""
        self.network.name("c.example", *self.network.addresses_of("b.example"))
        with self.assertRaises(TlsFailure):
            self.send(self.bob, "sip:x@c.example")
        self.assertNotIn(
            TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, [failure.reason for failure in self.failures]
        )


class ConnectionLimitTests(ManagerTestCase):
    """No more than three connections altogether."""

    limits: ClassVar[dict[str, Any]] = {"connections": 3}

    def test_one_too_many(self) -> None:
        """Over the bound a connection is closed at once, logged and counted; those that are there go on, and when one
        ends there is room again (fault:H3)."""
        lines = logged_warnings(self)
        parties = [self.party(f"a{number}.example") for number in range(4)]
        for party in parties[:3]:
            self.assertEqual(self.send(party), 200)
        with self.assertRaises(ConnectionFailure):
            self.send(parties[3])
        self.assertIn("3 connections are open", lines[-1])
        self.assertEqual(self.manager.metrics()["connections_refused"], 1)
        for party in parties[:3]:
            self.assertEqual(self.send(party), 200)
        self.network.cut("a1.example", "b.example")
        self.network.advance(1)
        self.assertEqual(self.send(parties[3]), 200)
        self.assertEqual(self.inventory()["flows"], 3)

    def test_clear_text_counts_as_well(self) -> None:
        """Connections of all listeners count together (fault:H3)."""
        strangers = [self.stranger(5060) for _ in range(3)]
        self.assertTrue(all(stranger.is_open for stranger in strangers))
        with self.assertRaises(ConnectionFailure):
            self.send(self.party("a.example"))

    def test_dialling_does_not_count(self) -> None:
        """Connections that we made ourselves take nobody's place, and can be made when there is none left
        (fault:H3)."""
        for number in range(4):
            carol = self.network.party(f"sip:carol@c{number}.example")
            carol.message_received.subscribe(lambda event: None)
            self.assertEqual(self.send(self.bob, f"sip:carol@c{number}.example"), 200)
        for number in range(3):
            self.assertEqual(self.send(self.party(f"a{number}.example")), 200)


class AddressLimitTests(ManagerTestCase):
    """No more than two connections from one address."""

    limits: ClassVar[dict[str, Any]] = {"connections_per_address": 2}

    def test_one_address(self) -> None:
        """Over the bound a connection from the same address is closed at once; others get through (fault:H3)."""
        host = self.network.host()
        first, second, third = (self.stranger(5060, host) for _ in range(3))
        self.network.advance(1)
        self.assertEqual((first.is_open, second.is_open, third.is_open), (True, True, False))
        self.assertEqual(self.send(self.party("a.example")), 200)
        first.hang_up()
        self.network.advance(1)
        fourth = self.stranger(5060, host)
        self.network.advance(1)
        self.assertTrue(fourth.is_open)

    def test_not_for_loopback(self) -> None:
        """The machine's own programs are not counted (fault:H3)."""
        host = self.network.find("b.example")
        assert host is not None
        strangers = [self.stranger(5060, host) for _ in range(4)]
        self.network.advance(1)
        self.assertEqual([stranger.is_open for stranger in strangers].count(True), 2)
        factory = Factory.forProtocol(Stranger)
        factory.noisy = False
        for _ in range(4):
            endpoint = TCP4ClientEndpoint(host, "127.0.0.1", 5060)
            self.strangers.append(cast("Stranger", self.network.run_until(endpoint.connect(factory))))
        self.network.advance(1)
        self.assertTrue(all(stranger.is_open for stranger in self.strangers[4:]))


class IdentityLimitTests(ManagerTestCase):
    """No more than two connections of one verified identity."""

    limits: ClassVar[dict[str, Any]] = {"connections_per_identity": 2}

    def test_one_identity(self) -> None:
        """Over the bound a connection of the same party is closed after its handshake, wherever it comes from; other
        parties get through (fault:H3)."""
        self.network.run_until(self.manager.listen_all(["tls:port=5071", "tls:port=5081"]))
        alice = self.party("a.example")
        for port in (5061, 5071):
            self.assertEqual(self.send(alice, f"sip:bob@b.example:{port}"), 200)
        with self.assertRaises(ConnectionFailure):
            self.send(alice, "sip:bob@b.example:5081")
        self.assertEqual(self.send(alice, "sip:bob@b.example:5071"), 200)
        self.assertEqual(self.send(self.party("c.example"), "sip:bob@b.example:5081"), 200)

    def test_nobody_in_particular(self) -> None:
        """Who has proved nothing is no party: clear text has no such bound."""
        strangers = [self.stranger(5060) for _ in range(4)]
        self.network.advance(1)
        self.assertTrue(all(stranger.is_open for stranger in strangers))


class HandshakeLimitTests(ManagerTestCase):
    """No more than three connections that have not finished their handshake."""

    limits: ClassVar[dict[str, Any]] = {"handshakes": 3}

    def test_silent_strangers(self) -> None:
        """Over the bound a connection is dropped at once; when the silent ones have been dropped, peers get through
        (fault:H1, fault:H4)."""
        strangers = [self.stranger() for _ in range(4)]
        self.network.advance(0.1)
        self.assertEqual([stranger.is_open for stranger in strangers], [True, True, True, False])
        self.assertEqual((self.inventory()["handshakes"], self.manager.metrics()["connections_refused"]), (3, 1))
        with self.assertRaises(ConnectionFailure):
            self.send(self.party("a.example"))
        self.network.advance(6)
        self.assertNotIn("handshakes", self.inventory())
        self.assertEqual(self.send(self.party("c.example")), 200)

    def test_finished_ones_do_not_count(self) -> None:
        """Who has finished makes room for the next (fault:H4)."""
        for number in range(6):
            self.assertEqual(self.send(self.party(f"a{number}.example")), 200)
        self.assertEqual(self.inventory()["flows"], 6)
        self.assertNotIn("handshakes", self.inventory())


class IdleTests(ManagerTestCase):
    """How long a connection stays that nobody uses."""

    limits: ClassVar[dict[str, Any]] = {"idle_timeout": 60}

    def test_after_a_page(self) -> None:
        """A connection that carried a page is used for the next, and closed when there is none for a while (row:E6,
        row:E8)."""
        unbound = {"limits": Limits(idle_timeout=0), "keep_alive": None}
        alice = self.network.party("sip:x@a.example", listen=(), manager=unbound)
        self.send(alice)
        self.network.advance(50)
        self.send(alice)
        self.network.advance(50)
        self.assertEqual(self.inventory()["flows"], 1)
        self.network.advance(20)
        self.assertEqual(self.manager.inventory()["flows"], 0)
        self.assertEqual(self.send(alice), 200)

    def test_while_something_needs_it(self) -> None:
        """A connection stays while a request on it waits for its answer, however long that takes (row:E7)."""
        limits = Limits(idle_timeout=3, answer_timeout=20)
        carol = self.network.party("sip:carol@c.example", manager={"limits": limits})
        carol.message_received.subscribe(lambda event: deferLater(self.network.clock, 15, lambda: 202))
        alice = self.network.party("sip:x@a.example", listen=(), manager={"limits": limits})
        self.assertEqual(self.send(alice, "sip:carol@c.example"), 202)
        self.network.advance(8)
        self.assertEqual(carol.connection_manager.inventory()["flows"], 0)

    def test_never(self) -> None:
        """0 means never (row:E8)."""
        parties = [
            self.network.party(f"sip:x@{name}", manager={"limits": Limits(idle_timeout=0)})
            for name in ("c.example", "d.example")
        ]
        parties[1].message_received.subscribe(lambda event: None)
        self.send(parties[0], "sip:x@d.example")
        self.network.advance(86400)
        self.assertEqual([party.connection_manager.inventory()["flows"] for party in parties], [1, 1])


class GarbageTests(MemoryTestCase):
    """What a request leaves behind: nothing that needs the collector."""

    KINDS = (Outgoing, IncomingRequest, Transaction, Message)

    def setUp(self) -> None:
        """Two parties, and what Bob is to answer."""
        self.network = Network(delay=0.01)
        self.alice, self.bob = self.network.party("sip:alice@a.example"), self.network.party("sip:bob@b.example")
        self.answer: Any = None
        self.bob.message_received.subscribe(lambda event: self.answer(event))
        self.addCleanup(self.network.finish)

    def send(
        self, target: str = "sip:bob@b.example", by: SipPeerToPeerEndpoint | None = None, **options: Any
    ) -> object:
        """The status or the class of the failure; nothing else of the outcome is kept."""
        outcome: list[object] = []

        def note(result: Any) -> None:
            outcome.append(result.type if isinstance(result, Failure) else result.status)

        (by or self.alice).send_message(target, "x", **options).addBoth(note)
        self.network.advance(40)
        # The hosts of the network in memory forget the calls that were made.
        self.network.inventory()
        return outcome[0]

    def alive(self) -> Counter[str]:
        """Our own objects that are alive, without a collection."""
        return Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, self.KINDS))

    def test_nothing_is_left(self) -> None:
        """After a request that succeeded and after each way in which one fails nothing of it is alive, though the
        collector was off (fault:K9, fault:C4)."""

        def raises(event: IncomingRequest) -> None:
            raise ValueError("on purpose")

        async def coroutine(event: IncomingRequest) -> int:
            await deferLater(self.network.clock, 1)
            return 202

        def by_hand(event: IncomingRequest) -> None:
            event.defer()
            self.network.clock.callLater(1, event.respond, 203)

        for answer, options, expected in (
            (lambda event: None, {}, 200),
            (lambda event: deferLater(self.network.clock, 1, lambda: 201), {}, 201),
            (coroutine, {}, 202),
            (by_hand, {}, 203),
            (lambda event: 486, {}, RequestFailed),
            (raises, {}, RequestFailed),
            (lambda event: fail(ValueError("on purpose")), {}, RequestFailed),
            (lambda event: Deferred(), {}, RequestFailed),
            (lambda event: Deferred(), {"timeout": 3}, OperationTimeout),
            (lambda event: None, {"target": "sip:bob@b.example:9"}, ConnectionFailure),
            (lambda event: None, {"target": "sip:nobody@nowhere.example"}, ConnectionFailure),
            (lambda event: None, {"target": "sip:bob@b.example;transport=udp", "timeout": 1}, ConnectionFailure),
            (lambda event: None, {"via": Target("tls", "b.example", None, "c.example")}, TlsFailure),
        ):
            self.answer = answer
            was_enabled = gc.isenabled()
            gc.collect()
            gc.disable()
            before = self.alive()
            try:
                self.assertEqual(self.send(**options), expected)
                self.flushLoggedErrors(ValueError)
                self.assertEqual(self.alive() - before, Counter(), f"after {expected} with {options}")
            finally:
                if was_enabled:
                    gc.enable()

    def test_nothing_is_left_of_what_could_not_begin(self) -> None:
        """Nor is anything left of a request for which no connection could even be begun (fault:K9)."""
        manager = RealTimeServerTcpConnectionManager(self.network.host())
        plain = SipPeerToPeerEndpoint("sip:p@p.example", manager)
        for _ in range(2):
            gc.collect()
            gc.disable()
            self.addCleanup(gc.enable)
            before = self.alive()
            self.assertIs(self.send("sips:bob@b.example", by=plain), InvalidOperation)
            self.assertEqual(self.alive() - before, Counter())
        self.network.run_until(manager.terminate())

    def test_many_requests(self) -> None:
        """Request after request keeps no memory (fault:C10, fault:K9)."""
        self.answer = lambda event: None

        def one() -> None:
            self.network.run_until(self.alice.send_message("sip:bob@b.example", "x"))
            # The hosts of the network in memory forget the calls that were made.
            self.network.inventory()

        self.network.log = deque(maxlen=1)
        # Python makes an object of a number once it is over 256, and there are a good many counters.
        self.assert_no_growth(one, rounds=500, warm_up=300)

    def test_nobody_looks(self) -> None:
        """A failure that nobody awaits is reported by Twisted, and one that was looked at is not (fault:K9)."""
        self.alice.send_message("sip:bob@b.example:9", "x")
        self.network.advance(1)
        gc.collect()
        (reported,) = self.flushLoggedErrors(ConnectionFailure)
        self.assertIn("b.example:9", reported.getErrorMessage())
        self.assertIs(self.send("sip:bob@b.example:9"), ConnectionFailure)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_terminated_manager(self) -> None:
        """A party and its manager that have ended and are let go of are gone (fault:K9)."""
        manager = RealTimeServerTcpConnectionManager(self.network.host())
        party = SipPeerToPeerEndpoint("sip:p@p.example", manager)
        self.network.run_until(manager.terminate())
        with self.assertRaises(InvalidOperation):
            party.request("INVITE", "sip:bob@b.example")
        del manager, party
        self.network.inventory()
        self.assert_none_alive(RealTimeServerTcpConnectionManager)
