"""One manager in figures."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from sip_p2p import (
    ConnectionFailure,
    Limits,
    OperationTimeout,
    RequestFailed,
    SipPeerToPeerEndpoint,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.endpoint.accounts import COUNTED_LIMITS, OTHER_FIGURES
from sip_p2p.endpoint.lives import KINDS
from tests.endpoint.support import ManagerTestCase, PartyTestCase


class AccountsTests(PartyTestCase):
    """Counters that a dashboard can rely on."""

    def test_traffic(self) -> None:
        """Messages are counted by method and status, on both sides, and so are connections (row:M10)."""
        self.bob.message_received.subscribe(lambda event: None)
        self.bob.handle("INFO", lambda event: 486)
        for number in range(3):
            self.assertEqual(self.status_of(self.alice.send_message("sip:bob@b.example", f"{number}")), 200)
        with self.assertRaises(RequestFailed):
            self.run_until(self.alice.request("INFO", "sip:bob@b.example"))
        ours, theirs = self.alice.connection_manager.metrics(), self.bob.connection_manager.metrics()
        for name, here, there in (
            ("requests_{}_message", "out", "in"),
            ("responses_{}_200", "in", "out"),
        ):
            self.assertEqual((ours[name.format(here)], theirs[name.format(there)]), (3, 3))
        self.assertEqual((ours["responses_in_486"], theirs["responses_out_486"], theirs["requests_in_info"]), (1, 1, 1))
        self.assertEqual((ours["connections_out"], ours["connections_in"]), (1, 0))
        self.assertEqual((theirs["connections_out"], theirs["connections_in"]), (0, 1))

    def test_every_limit(self) -> None:
        """For each limit there is a figure that tells how often it was reached, its own or another (row:M10)."""
        metrics = self.bob.connection_manager.metrics()
        self.assertEqual(
            {name.removeprefix("limit_") for name in metrics if name.startswith("limit_")},
            set(COUNTED_LIMITS),
        )
        self.assertEqual({*COUNTED_LIMITS, *OTHER_FIGURES, "message"}, set(Limits.__slots__))
        self.assertEqual(set(COUNTED_LIMITS) & set(OTHER_FIGURES), set())
        self.assertEqual(set(OTHER_FIGURES.values()) - set(metrics), set())

    def reached(self, party: SipPeerToPeerEndpoint) -> dict[str, int]:
        """The limits that were reached, and how often."""
        metrics = party.connection_manager.metrics()
        return {name[6:]: count for name, count in metrics.items() if name.startswith("limit_") and count}

    def test_dialling(self) -> None:
        """What bounds our dialling is counted: the time for it, the addresses, and how soon it is done again
        (row:M10, fault:G6)."""
        limits = Limits(connect_timeout=3, attempts=2, failures_remembered=1)
        carol = self.network.party("sip:carol@c.example", manager={"limits": limits})
        names = [f"10.77.0.{number}" for number in (1, 2, 3)]
        self.network.dns.add(*(f"silent.example A {name}" for name in names), "mute.example A 10.78.0.1")
        self.network.partition(self.network.host(*names))
        self.network.partition(self.network.host("10.78.0.1"))
        for uri in ("sip:x@silent.example", "sip:x@silent.example", "sip:x@mute.example"):
            with self.assertRaises(ConnectionFailure):
                self.run_until(carol.request("OPTIONS", uri))
        self.assertEqual(
            self.reached(carol), {"attempts": 1, "connect_timeout": 2, "failures_remembered": 1, "redial_delay": 1}
        )
        self.assertEqual(carol.connection_manager.metrics()["dead_targets"], 4)

    def test_too_many_servers(self) -> None:
        """So are the servers that were not tried for one request, and those that were forgotten (row:M10, row:E24)."""
        limits = Limits(failover_attempts=2, dead_targets=1)
        carol = self.network.party("sip:carol@c.example", manager={"limits": limits})
        for number in range(3):
            self.network.dns.add(f"_sips._tcp.many.example SRV {number} 0 5061 n{number}.example")
            self.network.dns.add(f"n{number}.example A 10.79.0.{number + 1}")
        with self.assertRaises(ConnectionFailure):
            self.run_until(carol.request("OPTIONS", "sip:x@many.example"))
        self.assertEqual(self.reached(carol), {"dead_targets": 1, "failover_attempts": 1})

    def test_too_late_for_another(self) -> None:
        """And that the time for trying others was over (row:M10)."""
        limits = Limits(failover_timeout=1, connect_timeout=2)
        carol = self.network.party("sip:carol@c.example", manager={"limits": limits})
        for number in range(2):
            self.network.dns.add(f"_sips._tcp.many.example SRV {number} 0 5061 n{number}.example")
            self.network.dns.add(f"n{number}.example A 10.79.0.{number + 1}")
            self.network.partition(self.network.host(f"10.79.0.{number + 1}"))
        with self.assertRaises(ConnectionFailure):
            self.run_until(carol.request("OPTIONS", "sip:x@many.example"))
        self.assertEqual(self.reached(carol), {"connect_timeout": 1, "failover_timeout": 1})

    def test_what_is_under_way(self) -> None:
        """Look-ups and connections of which nothing is decided are in the inventory, and go with the manager
        (row:M10, fault:J2)."""
        waits: Deferred[bool] = Deferred()
        carol = self.network.party("sip:carol@c.example", manager={"authorize": lambda connection: waits})
        manager = carol.connection_manager
        self.network.dns.fail("silent.example", "SILENCE")
        asking = carol.request("OPTIONS", "sip:x@silent.example")
        held = self.alice.request("OPTIONS", "sip:carol@c.example")
        self.network.advance(1)
        inventory = manager.inventory()
        self.assertEqual((inventory["looking_up"] > 0, inventory["undecided"], inventory["handshakes"]), (True, 1, 1))
        self.run_until(manager.terminate())
        self.assertEqual({name for name, count in manager.inventory().items() if count}, set())
        self.failureResultOf(asking)
        self.network.advance(60)
        self.failureResultOf(held)

    def test_connections_lost(self) -> None:
        """Connections that ended without a goodbye are counted, and those that ended in order are not (row:M10)."""
        for end in (lambda flow: flow.close(), lambda flow: self.network.cut("a.example")):
            self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)
            [flow] = self.alice.connection_manager.pool
            end(flow)
            self.network.advance(1)
        lost = [party.connection_manager.metrics()["connections_lost"] for party in (self.alice, self.bob)]
        self.assertEqual(lost, [1, 1])

    def test_logs(self) -> None:
        """Other bounds for the log hold for all that peers can cause to be said, at once, and what was left out is
        counted (row:M10, row:E10, fault:H6)."""
        manager = self.bob.connection_manager
        manager.limits = manager.limits.replace(log_burst=2, log_rate=0.001)
        said: list[str] = []

        def observe(event: dict[str, object]) -> None:
            said.append(str(event.get("log_namespace")))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for number in range(5):
            manager.tls_failure(TlsFailure(TlsFailureReason.OTHER, f"peer {number}"))
            manager.keeper.connection_denied(ConnectionFailure(f"peer {number}"))
        manager.overload_changed.subscribe(lambda event: 1 // 0)
        for _ in range(5):
            manager.overload_changed.tell(None)  # type: ignore[arg-type]
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(said.count("sip_p2p.endpoint.connection_manager"), 2)
        self.assertEqual(said.count("sip_p2p.transport.keeper"), 2)
        self.assertEqual(manager.metrics()["log_lines_withheld"], 9)

    def test_limits_reached(self) -> None:
        """A limit that was reached is counted under its name (row:M10, row:E8)."""
        carol = self.network.party("sip:carol@c.example", manager={"limits": Limits(idle_timeout=8)})
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:carol@c.example")), 200)
        self.network.advance(20)
        self.assertEqual(carol.connection_manager.metrics()["limit_idle_timeout"], 1)

    def test_nothing_is_left(self) -> None:
        """After a manager has ended its inventory is empty (row:M10, fault:J2)."""
        self.assertEqual(self.status_of(self.alice.request("OPTIONS", "sip:bob@b.example")), 200)
        for party in (self.alice, self.bob):
            self.run_until(party.connection_manager.terminate())
            self.assertEqual({name for name, count in party.connection_manager.inventory().items() if count}, set())


class CounterTests(ManagerTestCase):
    """Names that a dashboard can rely on."""

    INVENTORY = frozenset(
        "ack_keys appointments busy_flows clients connections deadlines dialling dialogs errands finished flows"
        " handshakes invitations leases listeners looking_up partial_octets queued_octets recovering requests resting"
        " servers sessions standing throttled timers unanswered undecided".split()
    ).union(KINDS)
    TOTALS = frozenset(
        "accepting_pauses connections_dialled connections_in connections_lost connections_out connections_refused"
        " core_dropped_overloaded core_dropped_requests core_dropped_responses core_foreign_requests"
        " core_merged_requests core_pings"
        " core_refused_dialogs core_refused_forks core_refused_full core_refused_notifications"
        " core_refused_overloaded core_refused_requests core_requests"
        " core_responses core_unparsable datagrams_forged datagrams_ignored dead_targets held_back"
        " keep_alive_agreed keep_alive_missed keep_alive_pings keep_alive_pongs log_lines_withheld overload_changes"
        " overload_state senders_refused sessions_established sessions_in sessions_out throttled".split()
    ).union(KINDS)

    CERTIFICATES = frozenset(
        "certificate_days_left certificate_reloads certificate_troubles tls_handshakes tls_resumptions tls_sessions"
        " trust_days_left".split()
    )

    def test_names(self) -> None:
        """Every name is there from the start, with 0, and stays; all values are whole numbers (row:M10)."""
        before = self.manager.metrics()
        self.assertEqual(set(self.manager.inventory()), self.INVENTORY)
        self.assertEqual(
            {name for name in before if not name.startswith(("transactions_", "limit_", "requests_", "responses_"))},
            self.TOTALS
            | self.CERTIFICATES
            | {f"live_{name}" for name in self.INVENTORY}
            | {f"tls_failures_{reason.name.lower()}" for reason in TlsFailureReason},
        )
        counted = {name: count for name, count in before.items() if count and not name.endswith("_days_left")}
        self.assertEqual(counted, {"live_listeners": 2})
        self.send(self.party("a.example"))
        self.stranger().say(b"x" * 64)
        self.network.advance(1)
        after = self.manager.metrics()
        self.assertEqual(list(after), list(before))
        self.assertTrue(all(type(value) is int for value in after.values()))

    def test_what_lives(self) -> None:
        """The inventory follows what is there, and is empty again afterwards (row:M10, fault:J2)."""
        answer: Deferred[int] = Deferred()
        self.bob.handle("PING", lambda event: answer)
        alice = self.party("a.example")
        pinging = alice.request("PING", "sip:bob@b.example")
        self.network.advance(0.1)
        live = self.inventory()
        self.assertGreater(live.pop("timers"), 0)
        self.assertGreater(live.pop("deadlines"), 0)
        self.assertEqual(
            live, {"listeners": 2, "connections": 1, "flows": 1, "busy_flows": 1, "servers": 1, "unanswered": 1}
        )
        mine = alice.connection_manager.inventory()
        self.assertEqual((mine["clients"], mine["flows"], mine["dialling"]), (1, 1, 0))
        answer.callback(200)
        self.network.run_until(pinging)
        live = self.inventory()
        self.assertGreater(live.pop("deadlines"), 0)
        self.assertEqual(live, {"listeners": 2, "connections": 1, "flows": 1})
        self.network.run_until(self.manager.terminate())
        self.assertEqual(self.inventory(), {})

    def test_dialling(self) -> None:
        """Connections that are being made are counted, once for each target."""
        self.network.host(names=["c.example"])
        self.network.partition("b.example", "c.example")
        sendings = [self.bob.send_message("sip:x@c.example", "x", timeout=1) for _ in range(3)]
        self.network.advance(0.5)
        self.assertEqual(self.inventory()["dialling"], 1)
        self.network.advance(1)
        for sending in sendings:
            self.failureResultOf(sending, OperationTimeout)
        self.network.heal()
        self.network.advance(10)
        self.assertNotIn("dialling", self.inventory())
