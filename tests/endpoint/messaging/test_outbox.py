"""The outbox on one clock: what it accepts, in which order it sends, when it tries again, and what it tells."""

from __future__ import annotations

from typing import Any

from sip_p2p import InvalidOperation
from sip_p2p.documents.cpim import CpimAddress
from sip_p2p.documents.imdn import Disposition, Imdn
from sip_p2p.endpoint.messaging.envelope import enclose_report
from sip_p2p.endpoint.messaging.messenger import Messenger
from sip_p2p.endpoint.messaging.outbox import Outbox
from sip_p2p.endpoint.messaging.outbox_entry import OutboxEntry, OutboxLimits, OutboxState
from sip_p2p.errors import EndpointTerminated, OutboxFailed
from tests.endpoint.messaging.databases import NowDatabase
from tests.endpoint.support import PartyTestCase

EPOCH = 1_800_000_000.0
BOB = "sip:bob@b.example"


class OutboxTestCase(PartyTestCase):
    """Alice has an outbox in memory."""

    def setUp(self) -> None:
        """It is open, and what it tells is noted."""
        super().setUp()
        self.path = self.mktemp()
        self.settled: list[OutboxEntry] = []
        self.seen: list[Any] = []
        self.database = NowDatabase(self.path)
        self.outbox = self.opened(self.database)

    def opened(self, database: NowDatabase, **options: Any) -> Outbox:
        """An outbox of Alice's on *database*."""
        outbox = Outbox(
            self.alice.connection_manager.reactor,
            self.path,
            self.alice,
            wall_clock=lambda: EPOCH + self.network.seconds(),
            database=database,
            **options,
        )
        outbox.settled.subscribe(self.settled.append)
        self.successResultOf(outbox.open())
        return outbox

    def reopened(self, **options: Any) -> Outbox:
        """The same file, as another process finds it that comes after the first one was killed."""
        self.database = NowDatabase(self.path)
        return self.opened(self.database, **options)

    def accepted(self, text: str | bytes = "x", to: str = BOB, **options: Any) -> OutboxEntry:
        """A message in the outbox."""
        return self.successResultOf(self.outbox.send(text, to, **options))

    def hear(self, *answers: Any) -> None:
        """Bob notes what comes, and gives these answers, one after the other, and then 200."""
        left = list(answers)

        def heard(event: Any) -> Any:
            self.seen.append((event.text, event.call_id, event.request.cseq.number, event.request))
            answer = left.pop(0) if left else None
            return answer(event) if callable(answer) else answer

        self.bob.message_received.subscribe(heard)

    def state_of(self, entry: OutboxEntry) -> str:
        """What has become of it."""
        found = self.successResultOf(self.outbox.find(entry.id))
        return "" if found is None else found.state.value

    @property
    def texts(self) -> list[str]:
        """What Bob has heard."""
        return [text for text, *_ in self.seen]


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

    def test_at_a_time(self) -> None:
        """Only so many are on their way at a time, and the others follow."""
        self.run_until(self.outbox.close())
        self.outbox = self.reopened(limits=OutboxLimits(concurrency=2))
        self.bob.message_received.subscribe(lambda event: event.defer())
        for number in range(5):
            self.accepted("x", f"sip:u{number}@b.example")
        self.network.advance(1)
        self.assertEqual(len(self.successResultOf(self.outbox.entries("sending"))), 2)


class AcceptingTests(OutboxTestCase):
    """What is accepted, and what is not."""

    def test_same_id(self) -> None:
        """The same message under the same id is accepted once, also when it was delivered meanwhile; another one is
        refused."""
        self.hear()
        first = self.accepted("x", id="one")
        self.network.advance(1)
        again = self.accepted("x", id="one")
        self.assertEqual((again.seq, again.state), (first.seq, OutboxState.DELIVERED))
        self.failureResultOf(self.outbox.send("x", "sip:carol@c.example", id="one"), InvalidOperation)
        self.network.advance(1)
        self.assertEqual((self.texts, self.outbox.waiting), (["x"], 0))

    def test_disk_full(self) -> None:
        """What cannot be kept is refused, and leaves no room taken; the next one is accepted (fault:J10)."""
        self.database.refused.add("accept")
        self.failureResultOf(self.outbox.send("x", BOB), OutboxFailed)
        self.assertEqual((self.outbox.waiting, self.outbox.octets), (0, 0))
        self.database.refused.clear()
        self.hear()
        self.accepted()
        self.network.advance(1)
        self.assertEqual(self.texts, ["x"])

    def test_bounds(self) -> None:
        """A message too many, or one too large, is refused at once."""
        self.run_until(self.outbox.close())
        self.outbox = self.reopened(limits=OutboxLimits(messages=2, octets=10, message_octets=8))
        self.run_until(self.bob.connection_manager.stop_listening())
        with self.assertRaises(ValueError):
            self.outbox.send("123456789", BOB)
        self.accepted("12345678")
        with self.assertRaises(InvalidOperation) as caught:
            self.outbox.send("123", BOB)
        self.assertTrue(caught.exception.retryable)
        self.accepted("1")
        with self.assertRaises(InvalidOperation):
            self.outbox.send("", BOB, content_type="text/plain")
        for wrong in ({"expires": 0}, {"expires": 1e9}, {"id": ""}, {"id": "a\nb"}, {"want": ("applause",)}):
            with self.assertRaises(ValueError):
                self.outbox.send("1", BOB, **wrong)
        with self.assertRaises(InvalidOperation):
            self.outbox.send("1", BOB, want=("delivered",))
        for wrong in ({"messages": 0}, {"keep": -1}):
            with self.assertRaises(ValueError):
                OutboxLimits(**wrong)

    def test_asked_for(self) -> None:
        """Messages can be found, listed, forgotten and tried again."""
        self.hear(404)
        entry = self.accepted(id="one")
        self.network.advance(1)
        self.assertEqual(self.state_of(entry), "failed")
        anew = self.successResultOf(self.outbox.try_again("one"))
        assert anew is not None
        self.network.advance(1)
        self.assertEqual(self.state_of(entry), "delivered")
        self.assertIsNone(self.successResultOf(self.outbox.try_again("one")))
        self.assertEqual([each.id for each in self.successResultOf(self.outbox.entries("delivered"))], ["one"])
        self.assertEqual(self.successResultOf(self.outbox.entries(after=anew.seq)), [])
        self.assertIsNotNone(self.successResultOf(self.outbox.forget("one")))
        self.assertIsNone(self.successResultOf(self.outbox.find("one")))
        self.assertEqual([each.state.value for each in self.settled], ["failed", "delivered"])
        self.assertEqual(self.outbox.waiting, 0)

    def test_forgotten_while_it_waits(self) -> None:
        """Who forgets the message that holds up others lets them go."""
        self.hear(480)
        self.accepted("a", id="a")
        self.accepted("b")
        self.network.advance(1)
        self.successResultOf(self.outbox.forget("a"))
        self.network.advance(1)
        self.assertEqual(self.texts, ["a", "b"])


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


class LifeTests(OutboxTestCase):
    """How it begins and ends."""

    def test_terminate(self) -> None:
        """It ends with its endpoint, and what was under way is in the file."""
        self.bob.message_received.subscribe(lambda event: event.defer())
        entry = self.accepted()
        self.network.advance(1)
        self.run_until(self.alice.terminate())
        self.assertFalse(self.outbox.is_open)
        with self.assertRaises(InvalidOperation):
            self.outbox.send("x", BOB)
        found = NowDatabase(self.path)
        [row] = found.connection.execute("SELECT id, state FROM messages").fetchall()
        self.successResultOf(found.close())
        self.assertEqual(row, (entry.id, "queued"))

    def test_closed_twice(self) -> None:
        """Closing waits for what is under way, and every call hears of it."""
        self.hear()
        self.accepted()
        first, second = self.outbox.close(), self.outbox.close()
        self.assertNoResult(first)
        self.network.advance(1)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual([entry.state.value for entry in self.settled], ["delivered"])
        with self.assertRaises(InvalidOperation):
            self.outbox.open()


class ReportTests(OutboxTestCase):
    """Reports on what was delivered to somebody who passes it on."""

    def setUp(self) -> None:
        """Both have messengers, and Alice's outbox hears hers."""
        super().setUp()
        self.run_until(self.outbox.close())
        self.hers, self.his = Messenger(self.alice), Messenger(self.bob)
        self.outbox = self.reopened(messenger=self.hers)

    def test_reported(self) -> None:
        """A report makes it reported, and the next one says what it says (RFC 5438)."""
        texts: list[Any] = []
        self.his.text_received.subscribe(texts.append)
        entry = self.accepted("hello", want=("delivered", "displayed"))
        self.network.advance(1)
        texts[0].displayed()
        self.network.advance(1)
        told = [(each.state.value, each.report) for each in self.settled]
        self.assertEqual(told, [("delivered", ""), ("reported", "delivered"), ("reported", "displayed")])
        self.assertEqual((texts[0].id, texts[0].text, self.outbox.waiting), (entry.id, "hello", 0))

    def test_report_instead_of_the_answer(self) -> None:
        """What was reported is not sent again, though its answer was never written down."""
        texts: list[Any] = []
        self.his.text_received.subscribe(texts.append)
        self.accepted("hello", want=("delivered",))
        self.database.refused.add("settle")
        self.network.advance(1)
        self.outbox.abandon(EndpointTerminated("killed"))
        self.hers.outbox = None
        self.outbox = self.reopened(messenger=self.hers)
        self.network.advance(1)
        self.assertEqual([each.state.value for each in self.settled][-1], "reported")
        self.assertEqual((len(texts), self.his.duplicates, self.outbox.waiting), (1, 0, 0))

    def test_reports_of_strangers(self) -> None:
        """A report from another domain than the one that it was sent to changes nothing (fault:D4)."""
        self.his.text_received.subscribe(lambda text: None)
        carol = self.network.party("sip:carol@c.example")
        entry = self.accepted("hello", want=("displayed",))
        self.network.advance(1)
        report = Imdn(entry.id, EPOCH, Disposition.DISPLAYED)
        body = enclose_report(CpimAddress(BOB), CpimAddress("sip:alice@a.example"), report, "forged", date=EPOCH)
        self.run_until(carol.send_message("sip:alice@a.example", body, "message/cpim"))
        self.assertEqual(self.state_of(entry), "delivered")
