"""In which order an outbox sends, when it tries again, and what it finds after a crash."""

from __future__ import annotations

from sip_p2p import EndpointTerminated, OutboxFailed, OutboxLimits, OutboxState
from tests.endpoint.messaging.outboxes import OutboxTestCase


class SendingTests(OutboxTestCase):
    """From the call to the outcome."""

    def test_delivered(self) -> None:
        """A message is on the disk before the caller knows that it was accepted, is sent with what is left of its time,
        and is delivered; its body is kept no longer than that (row:F13)."""
        self.hear()
        entry = self.accepted("grüß", headers=[("X-Night", "1")], subject="hello", expires=60)
        self.assertEqual((entry.state, entry.attempts, entry.body), (OutboxState.QUEUED, 0, "grüß".encode()))
        self.network.advance(1)
        [done] = self.settled
        self.assertEqual((done.id, done.state, done.status, done.attempts), (entry.id, OutboxState.DELIVERED, 200, 1))
        self.assertEqual((done.body, self.outbox.waiting, self.outbox.octets), (b"", 0, 0))
        [(text, call_id, number, request)] = self.seen
        headers = request.headers
        self.assertEqual((text, call_id, number), ("grüß", entry.call_id, 1))
        self.assertEqual((headers["X-Night"], headers["Subject"], headers["Expires"]), ("1", "hello", "60"))
        self.assertIn("told", self.database.done)

    def test_one_after_the_other(self) -> None:
        """Messages to one party go out in the order in which they were accepted, one at a time; one that is tried again
        holds up those after it, and nobody else's (row:F8)."""
        carol = self.network.party("sip:carol@c.example")
        carols: list[str] = []
        carol.message_received.subscribe(lambda event: carols.append(event.text))
        self.hear(480)
        for number in range(3):
            self.accepted(str(number))
        self.accepted("hers", "sip:carol@c.example")
        self.network.advance(1)
        self.assertEqual((self.texts, carols), (["0"], ["hers"]))
        self.network.advance(10)
        self.assertEqual(self.texts, ["0", "0", "1", "2"])
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"] * 4)

    def test_again_under_the_same_names(self) -> None:
        """Each attempt has the Call-ID of the first one and a higher sequence number (RFC 3261 section 8.1.3.5)."""
        self.hear(500, 503, 486)
        self.accepted()
        self.network.advance(120)
        self.assertEqual(len({call_id for _, call_id, _, _ in self.seen}), 1)
        self.assertEqual([number for _, _, number, _ in self.seen], [1, 17, 33, 49])
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"])

    def test_refused(self) -> None:
        """What will be refused again is not sent again: the application is told why (row:F2)."""
        self.hear(403)
        self.accepted()
        self.network.advance(100)
        self.assertEqual(
            [(entry.state.value, entry.status, entry.reason) for entry in self.settled],
            [("failed", 403, "403 Forbidden")],
        )
        self.assertEqual((self.settled[0].body, self.outbox.waiting), (b"x", 0))

    def test_retry_after(self) -> None:
        """A peer that says when is asked then, and not before (RFC 3261 section 20.33, row:F8)."""
        self.hear(lambda event: event.response(480, headers=[("Retry-After", "100")]))
        self.accepted()
        self.network.advance(99)
        self.assertEqual(len(self.seen), 1)
        self.network.advance(15)
        self.assertEqual(len(self.seen), 2)

    def test_nobody_there(self) -> None:
        """While nobody is there it is tried at longer and longer intervals, and delivered when somebody is."""
        self.run_until(self.bob.connection_manager.stop_listening())
        self.accepted()
        self.network.advance(600)
        entry = self.successResultOf(self.outbox.entries())[0]
        self.assertGreater(entry.attempts, 5)
        self.assertLess(entry.attempts, 12)
        self.hear()
        self.run_until(self.bob.connection_manager.start_listening("tls:port=5061"))
        self.network.advance(1000)
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"])

    def test_expired(self) -> None:
        """What is not delivered in its time is told to have expired, also behind another one that waits longer."""
        self.run_until(self.bob.connection_manager.stop_listening())
        first = self.accepted("a", expires=600)
        second = self.accepted("b", expires=30)
        self.network.advance(29)
        self.assertEqual(self.settled, [])
        self.network.advance(2)
        self.assertEqual([(entry.id, entry.state.value) for entry in self.settled], [(second.id, "expired")])
        self.network.advance(600)
        self.assertEqual([entry.id for entry in self.settled], [second.id, first.id])
        self.assertEqual(self.outbox.waiting, 0)

    def test_edited(self) -> None:
        """A row that somebody has edited until nothing can be made of it fails or expires, says why, and harms no
        other."""
        self.run_until(self.bob.connection_manager.stop_listening())
        expiring, failing, odd = (self.accepted(to=f"sip:u{number}@b.example", expires=60) for number in range(3))
        other = self.accepted("a", expires=90)
        self.network.advance(1)
        edit = self.database.connection.execute
        edit("UPDATE messages SET target = 'no address' WHERE id IN (?, ?)", (expiring.id, failing.id))
        edit("UPDATE messages SET headers = '[[1, null]]', due_at = 0 WHERE id = ?", (odd.id,))
        edit("UPDATE messages SET due_at = expires_at + 5 WHERE id = ?", (expiring.id,))
        self.network.advance(100)
        states = {entry.id: entry.state.value for entry in self.settled}
        expected = {failing.id: "failed", odd.id: "failed", expiring.id: "expired", other.id: "expired"}
        self.assertEqual(states, expected)
        reasons = {entry.id: entry.reason for entry in self.settled}
        self.assertIn("no address", reasons[failing.id])
        self.assertTrue(reasons[odd.id])
        self.assertEqual(self.successResultOf(self.outbox.forget(failing.id)).state.value, "failed")
        self.assertIsNotNone(self.successResultOf(self.outbox.try_again(expiring.id, expires=60)))
        self.network.advance(100)
        self.assertEqual((self.state_of(expiring), self.outbox.waiting), ("failed", 0))

    def test_edited_and_forgotten(self) -> None:
        """What cannot be made sense of can be forgotten before it is tried."""
        self.run_until(self.bob.connection_manager.stop_listening())
        entry = self.accepted()
        self.network.advance(1)
        self.database.connection.execute("UPDATE messages SET target = ''")
        self.successResultOf(self.outbox.forget(entry.id))
        self.assertEqual(self.outbox.waiting, 0)

    def test_at_a_time(self) -> None:
        """Only so many are on their way at a time, and the others follow."""
        self.run_until(self.outbox.close())
        self.outbox = self.reopened(limits=OutboxLimits(concurrency=2))
        self.bob.message_received.subscribe(lambda event: event.defer())
        for number in range(5):
            self.accepted("x", f"sip:u{number}@b.example")
        self.network.advance(1)
        self.assertEqual(len(self.successResultOf(self.outbox.entries("sending"))), 2)


class CrashTests(OutboxTestCase):
    """What is found after a process has died."""

    def test_sent_and_not_written_down(self) -> None:
        """What was being sent when the process died is sent again under the same Call-ID, and told once."""
        self.hear()
        self.database.refused.add("settle")
        entry = self.accepted()
        self.network.advance(1)
        self.assertEqual((self.texts, self.settled), (["x"], []))
        self.outbox.abandon(EndpointTerminated("killed"))
        self.outbox = self.reopened()
        self.network.advance(1)
        self.assertEqual([call_id for _, call_id, _, _ in self.seen], [entry.call_id] * 2)
        self.assertEqual([number for _, _, number, _ in self.seen], [1, 17])
        self.assertEqual([each.id for each in self.settled], [entry.id])

    def test_settled_and_not_told(self) -> None:
        """What was settled and not told is told when the outbox is opened the next time."""
        self.hear()
        self.database.refused.add("told")
        entry = self.accepted()
        self.network.advance(1)
        self.assertEqual(len(self.settled), 1)
        self.outbox.abandon(EndpointTerminated("killed"))
        self.outbox = self.reopened()
        self.assertEqual([each.id for each in self.settled], [entry.id] * 2)
        self.run_until(self.outbox.close())
        self.reopened()
        self.assertEqual(len(self.settled), 2)

    def test_a_disk_that_takes_nothing(self) -> None:
        """An answer that cannot be written down is offered again until it can, and the message is not sent again; and
        what cannot be marked as being sent is not sent (fault:J10)."""
        self.hear()
        self.database.refused.add("settle")
        self.accepted()
        self.network.advance(12)
        self.assertEqual((self.texts, self.settled), (["x"], []))
        self.database.refused = {"claim"}
        self.network.advance(6)
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"])
        self.accepted("y")
        self.network.advance(20)
        self.assertEqual(self.texts, ["x"])
        self.database.refused = set()
        self.network.advance(6)
        self.assertEqual(self.texts, ["x", "y"])
        self.assertGreater(self.outbox.troubles, 4)
        self.flushLoggedErrors(OutboxFailed)

    def test_the_clock_is_set(self) -> None:
        """A clock on the wall that is set forward or back stops nothing for longer than a minute (fault:J1)."""
        self.hear(480)
        self.accepted()
        self.network.advance(1)
        self.offset = 86_400.0
        self.network.advance(61)
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"])
