"""What an outbox accepts, what it tells, and how it ends."""

from __future__ import annotations

from typing import Any

from sip_p2p import InvalidOperation, Messenger, OutboxFailed, OutboxLimits, OutboxState
from sip_p2p.documents.cpim import CpimAddress, CpimMessage
from sip_p2p.documents.imdn import MEDIA_TYPE as REPORT
from sip_p2p.documents.imdn import Disposition, Imdn
from sip_p2p.endpoint.messaging.envelope import enclose_report
from sip_p2p.errors import EndpointTerminated
from sip_p2p.sip.multipart import BodyPart, Multipart
from tests.endpoint.messaging.databases import NowDatabase
from tests.endpoint.messaging.outboxes import BOB, EPOCH, OutboxTestCase


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

    def test_tried_again_within_bounds(self) -> None:
        """What is tried again has a time that is one, and takes the room of a message, however many ask at once."""
        for name in ("one", "two"):
            self.hear(404)
            self.accepted(id=name)
            self.network.advance(1)
        for wrong in (0, -1, float("nan"), float("inf")):
            self.assertRaises(ValueError, self.outbox.try_again, "one", expires=wrong)
        self.assertIsNone(self.successResultOf(self.outbox.try_again("none")))
        self.assertEqual((self.outbox.waiting, self.outbox.octets), (0, 0))
        self.outbox.limits = OutboxLimits(messages=1)
        self.hear(480)
        self.successResultOf(self.outbox.try_again("one"))
        with self.assertRaisesRegex(InvalidOperation, "full"):
            self.outbox.try_again("two")
        self.network.advance(60)
        self.assertEqual((self.outbox.waiting, self.outbox.octets), (0, 0))

    def test_forgotten_while_it_waits(self) -> None:
        """Who forgets the message that holds up others lets them go."""
        self.hear(480)
        self.accepted("a", id="a")
        self.accepted("b")
        self.network.advance(1)
        self.successResultOf(self.outbox.forget("a"))
        self.network.advance(1)
        self.assertEqual(self.texts, ["a", "b"])


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

    def test_reported_together(self) -> None:
        """Of several reports in one message each is written down before that is answered (RFC 5438 section 8.3)."""
        self.his.text_received.subscribe(lambda text: None)
        entries = [self.accepted("hello", want=("displayed",)) for _ in range(2)]
        self.network.advance(1)
        parts = [BodyPart(Imdn(each.id, EPOCH, Disposition.DISPLAYED).to_bytes(), REPORT) for each in entries]
        mime = (("Content-Disposition", "notification"),)
        body = CpimMessage(Multipart(parts).build("imdn"), "multipart/mixed;boundary=imdn", mime=mime).to_bytes()
        for refused, status in (({"report"}, 500), (set(), 200)):
            self.database.refused.update(refused)
            self.assertEqual(self.status_of(self.bob.send_message("sip:alice@a.example", body, "message/cpim")), status)
            self.database.refused.clear()
        self.assertEqual([self.state_of(each) for each in entries], ["reported", "reported"])
        self.assertEqual(len(self.flushLoggedErrors(OutboxFailed)), 1)

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

    def test_same_id_in_an_envelope(self) -> None:
        """The same text under the same id is accepted once, whatever the date in its envelope."""
        self.accepted("hello", id="one", want=("delivered",))
        self.network.advance(5)
        self.accepted("hello", id="one", want=("delivered",))
        self.failureResultOf(self.outbox.send("bye", BOB, id="one", want=("delivered",)), InvalidOperation)

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
