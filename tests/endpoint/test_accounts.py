"""One manager in figures."""

from __future__ import annotations

from sip_p2p import Limits, RequestFailed
from sip_p2p.endpoint.accounts import COUNTED_LIMITS
from tests.endpoint.support import PartyTestCase


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
        """For each limit that a peer can reach there is a figure that tells how often it was (row:M10)."""
        metrics = self.bob.connection_manager.metrics()
        self.assertEqual(
            {name.removeprefix("limit_") for name in metrics if name.startswith("limit_")},
            set(COUNTED_LIMITS),
        )
        self.assertEqual(set(COUNTED_LIMITS) - set(Limits.__slots__), set())

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
