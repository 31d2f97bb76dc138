"""A request on its flow: sent again where nobody can have read it, and never where somebody may have."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import ConnectionFailure
from tests.endpoint.test_reuse import ReuseTestCase


class JustClosedTests(ReuseTestCase):
    """A request for a connection that the peer has closed."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.party("sip:alice@a.example", listen=()), self.party("sip:bob@b.example")
        self.lost: list[Any] = []
        self.alice.connection_manager.flow_lost.subscribe(self.lost.append)
        self.send(self.alice, "sip:bob@b.example", "first")
        self.heard.clear()
        self.network.advance(1)

    def hang_up(self) -> None:
        """Bob closes his connections."""
        for flow in self.bob.connection_manager.pool:
            flow.close()

    def test_goodbye_under_way(self) -> None:
        """A request that is written while the peer's goodbye is under way is sent again on a new connection, and
        delivered once (row:E13, row:E4)."""
        for passed in (0.0, 0.01, 0.019):
            self.hang_up()
            self.network.advance(passed)
            sending = self.alice.send_message("sip:bob@b.example", "after the goodbye")
            self.assertEqual(self.network.run_until(sending).status, 200)
            self.network.advance(1)
        self.assertEqual(self.heard, [("bob", "after the goodbye")] * 3)
        self.assertEqual([len(event.transactions) for event in self.lost], [1, 1, 1])

    def test_another_branch(self) -> None:
        """The second one is another transaction with another branch, and the same request otherwise (RFC 3261 section
        8.1.1.7, row:E13)."""
        seen: list[Any] = []

        class Tap:
            def message(self, direction: str, flow: Any, data: bytes, now: float) -> None:
                if direction == "out" and data.startswith(b"MESSAGE"):
                    seen.append(dict(line.split(b": ", 1) for line in data.split(b"\r\n\r\n")[0].split(b"\r\n")[1:]))

        self.alice.connection_manager.add_tap(Tap())
        self.hang_up()
        self.send(self.alice, "sip:bob@b.example")
        first, second = seen
        self.assertNotEqual(first.pop(b"Via"), second.pop(b"Via"))
        self.assertEqual(first, second)

    def test_may_have_been_read(self) -> None:
        """A request that the peer may have read is not sent again: the application is told that its connection was
        lost (row:E13)."""
        self.bob.handle("MESSAGE", self.vanish)
        with self.assertRaises(ConnectionFailure):
            self.send(self.alice, "sip:bob@b.example", "poison")
        self.assertEqual(self.heard, [("bob", "poison")])

    def test_way_that_was_slow_at_first(self) -> None:
        """How fast the way is counts as it is known when a request is written, not as its first packets had it
        (row:E13)."""
        self.bob.handle("MESSAGE", self.vanish)
        self.network.change(delay=0.002)
        with self.assertRaises(ConnectionFailure):
            self.send(self.alice, "sip:bob@b.example", "poison")
        self.assertEqual(self.heard, [("bob", "poison")])

    def vanish(self, event: Any) -> Deferred[None]:
        """Read a request, hang up and never answer."""
        self.heard.append(("bob", event.text))
        event.peer.flow.close()
        return Deferred()

    def test_reset(self) -> None:
        """A reset proves nothing, however soon it comes (row:E13)."""
        sending = self.alice.send_message("sip:bob@b.example", "x")
        self.network.advance(0.001)
        self.network.cut("a.example", "b.example")
        self.network.advance(0.5)
        self.failureResultOf(sending, ConnectionFailure)

    def test_harmless_method(self) -> None:
        """OPTIONS may be delivered twice, and is sent again in either case, once (row:E13)."""
        self.bob.handle("OPTIONS", self.vanish)
        with self.assertRaises(ConnectionFailure):
            self.network.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(len(self.heard), 2)

    def test_provisional(self) -> None:
        """After a provisional response a request is never sent again: the peer has read it (row:E13)."""
        self.bob.handle("OPTIONS", self.vanish_later)
        with self.assertRaises(ConnectionFailure):
            self.network.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(len(self.heard), 1)

    def vanish_later(self, event: Any) -> Deferred[None]:
        """Read a request, say so, hang up and never answer."""
        self.heard.append(("bob", ""))
        self.network.later(6.0, event.peer.flow.close)
        return Deferred()

    def test_new_connection(self) -> None:
        """A request whose own connection ends is not sent again: a peer that hangs up on us does so twice
        (row:E13)."""
        self.hang_up()
        self.network.advance(1)
        self.bob.handle("OPTIONS", self.vanish)
        with self.assertRaises(ConnectionFailure):
            self.network.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(len(self.heard), 1)

    def test_second_one_fails(self) -> None:
        """When there is no new connection, the failure of that is told (row:E13)."""
        self.network.run_until(self.bob.connection_manager.stop_listening())
        self.hang_up()
        with self.assertRaises(ConnectionFailure) as caught:
            self.send(self.alice, "sip:bob@b.example")
        self.assertIn("refused", str(caught.exception))
