"""The messages of a session, for whoever wants to see them."""

from __future__ import annotations

from sip_p2p.endpoint.session.watching import TracedMessage
from tests.endpoint.session.calls import CallTestCase


class WatchingTests(CallTestCase):
    """Who watches, and what."""

    def test_own_messages(self) -> None:
        """A session sees its own messages, with who is at the other end and when, and nobody else's (row:H29)."""
        session, _ = self.call()
        other, _ = self.call()
        seen: list[TracedMessage] = []
        session.traced.subscribe(seen.append)
        self.run_until(other.terminate())
        self.assertEqual(seen, [])
        self.run_until(session.terminate())
        self.assertEqual([message.direction for message in seen], ["out", "in"])
        self.assertTrue(seen[0].start_line.startswith("BYE sip:bob-"))
        self.assertIn(b"\r\nCall-ID: " + session.call_id.encode(), seen[0].data)
        self.assertEqual(seen[0].peer.identity, "b.example")
        self.assertGreater(seen[0].time, 1_000_000_000)
        self.assertEqual(repr(seen[1]), "<TracedMessage in SIP/2.0 200 OK>")

    def test_after_the_end(self) -> None:
        """Whoever begins to watch a session of which nothing is left has nothing looked at for it (row:H29)."""
        session, _ = self.call()
        self.run_until(session.terminate())
        session.traced.subscribe(lambda message: None)
        self.assertEqual(len(self.alice.connection_manager.sessions.watching), 0)
        self.assertFalse(self.alice.connection_manager.driver.is_tapped)

    def test_nothing_is_spent(self) -> None:
        """There is a tap only while somebody watches: until the last one goes, or the session does (row:H29)."""
        session, _ = self.call()
        driver = self.alice.connection_manager.driver
        watching = self.alice.connection_manager.sessions.watching
        self.assertFalse(driver.is_tapped)
        seen: list[TracedMessage] = []
        session.traced.subscribe(seen.append)
        self.assertTrue(driver.is_tapped)
        session.traced.unsubscribe(seen.append)
        self.assertFalse(driver.is_tapped)
        session.traced.subscribe(seen.append)
        self.assertEqual(len(watching), 1)
        self.run_until(session.terminate())
        self.assertEqual((len(watching), driver.is_tapped), (0, False))
        watching.forget(session)
