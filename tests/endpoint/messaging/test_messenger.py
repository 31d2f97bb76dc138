"""Texts between parties: told once, answered as their handlers say, and with who has sent them."""

from __future__ import annotations

import gc
import weakref
from time import time
from typing import Any

from twisted.internet.defer import Deferred

from sip_p2p import EndpointTerminated, InvalidOperation, Messenger, RequestFailed
from sip_p2p.documents.cpim import CpimAddress, CpimMessage
from sip_p2p.documents.imdn import Wanted
from sip_p2p.documents.is_composing import MEDIA_TYPE as COMPOSING
from sip_p2p.documents.is_composing import ComposingState, IsComposing
from sip_p2p.endpoint.messaging.envelope import enclose
from tests.endpoint.messaging.support import BOB, MessengerTestCase


def enclosed(text: bytes, identifier: str = "one", *want: str) -> bytes:
    """A text of Alice's in its envelope."""
    alice = CpimAddress("sip:alice@a.example")
    return enclose(alice, CpimAddress(BOB), text, "text/plain", identifier, want, date=1e9)


class TextTests(MessengerTestCase):
    """What is sent, and what is told of it."""

    def test_reports(self) -> None:
        """A text that wants to be told is told that it was delivered, and then that it was shown, also where it was
        shown at once (RFC 5438)."""
        self.his.text_received.subscribe(lambda text: text.displayed())
        told: list[Any] = []
        self.hers.report_received.subscribe(lambda event: told.append(event.report.disposition.name))
        message = self.sent("gr\u00fc\u00df", want=("delivered", "displayed"), subject="hello", expires=60)
        self.assertEqual(self.successResultOf(message.sent).status, 200)
        self.assertEqual((told, message.status.value), (["DELIVERED", "DISPLAYED"], "displayed"))
        [text] = self.texts
        self.assertEqual((text.text, text.id, text.peer.identity), ("gr\u00fc\u00df", message.id, "a.example"))
        self.assertEqual((text.subject, text.expires, str(text.sender)), ("hello", 60, "<sip:alice@a.example>"))
        self.assertEqual(text.wanted, {Wanted.DELIVERED, Wanted.FAILED, Wanted.DISPLAYED})
        assert text.date is not None
        self.assertFalse(text.is_expired(text.date + 59))
        self.assertTrue(text.is_expired(text.date + 60))

    def test_plain(self) -> None:
        """Without a wish a text is a plain MESSAGE, which everybody understands (row:F1)."""
        seen: list[Any] = []
        self.bob.message_received.subscribe(seen.append)
        self.sent("x", subject="s", headers=[("X-Night", "1")])
        headers = seen[0].request.headers
        self.assertEqual((headers["Subject"], headers["X-Night"]), ("s", "1"))
        self.assertEqual(headers["Content-Type"], "text/plain; charset=UTF-8")
        self.assertEqual((self.texts[0].id, self.texts[0].subject, self.texts[0].date), ("", "s", None))

    def test_wrong_arguments(self) -> None:
        """What cannot be sent is refused at once, also while another text is under way (row:M4)."""
        self.hers.send("x", BOB)
        for wrong in ({"want": ("applause",)}, {"headers": [("Via", "x")]}, {"headers": [("X", "a\r\nb")]}):
            with self.assertRaises(ValueError):
                self.hers.send("x", BOB, **wrong)
        with self.assertRaises(ValueError):
            self.hers.send(b"x", BOB)
        with self.assertRaises(ValueError):
            self.hers.send("x", "not an address at all")
        self.network.advance(1)

    def test_twice(self) -> None:
        """A text that comes twice is told once and reported again: its sender may have missed that it arrived; one of
        somebody else with the same id is another one."""
        carol = self.network.party("sip:carol@c.example")
        for _ in range(2):
            self.run_until(self.alice.send_message(BOB, enclosed(b"x", "one", "delivered"), "message/cpim"))
        self.run_until(carol.send_message(BOB, enclosed(b"y"), "message/cpim"))
        self.network.advance(1)
        self.assertEqual((self.read, self.his.duplicates, self.his.reports.sent), (["x", "y"], 1, 2))

    def test_twice_at_once(self) -> None:
        """One that comes again while the first is being looked at gets the same answer."""
        decided: Deferred[int] = Deferred()
        self.his.text_received.subscribe(lambda text: decided)
        first = self.alice.send_message(BOB, enclosed(b"x"), "message/cpim")
        second = self.alice.send_message(BOB, enclosed(b"x"), "message/cpim")
        self.network.advance(1)
        decided.callback(488)
        self.network.advance(1)
        for sending in (first, second):
            self.assertEqual(self.failureResultOf(sending, RequestFailed).value.status, 488)
        self.assertEqual(self.read, ["x"])

    def test_twice_at_once_without_a_word(self) -> None:
        """Where the first is taken by a handler that returns nothing in the end, that is 200 for both."""
        decided: Deferred[None] = Deferred()
        self.his.text_received.subscribe(lambda text: decided)
        sendings = [self.alice.send_message(BOB, enclosed(b"x"), "message/cpim") for _ in range(2)]
        self.network.advance(1)
        decided.callback(None)
        self.network.advance(1)
        self.assertEqual([self.successResultOf(each).status for each in sendings], [200, 200])

    def test_not_taken(self) -> None:
        """A text whose handler has raised is answered 500, and told again when it comes again (fault:K1)."""
        troubles = [ValueError("once")]

        def trouble(text: Any) -> None:
            if troubles:
                raise troubles.pop()

        self.his.text_received.subscribe(trouble)
        self.assertEqual(self.status_of(self.alice.send_message(BOB, enclosed(b"x"), "message/cpim")), 500)
        self.assertEqual(self.status_of(self.alice.send_message(BOB, enclosed(b"x"), "message/cpim")), 200)
        self.assertEqual((self.read, len(self.flushLoggedErrors(ValueError))), (["x", "x"], 1))

    def test_expired(self) -> None:
        """Expires counts from the Date of the MESSAGE, and from when it came where it has none, whatever the envelope
        says (RFC 3428 section 7)."""
        date = [("Date", "Sat, 13 Nov 2010 23:29:00 GMT")]
        for headers, body, kind in (
            (date, "x", None),
            (date, enclosed(b"x", "a"), "message/cpim"),
            ([], "x", None),
            ([], enclosed(b"x", "b"), "message/cpim"),
        ):
            self.run_until(self.alice.send_message(BOB, body, kind, headers=[("Expires", "60"), *headers]))
        now = time()
        dated, came = self.texts[:2], self.texts[2:]
        self.assertEqual([text.is_expired(1289690940.0 + 59) for text in dated], [False, False])
        self.assertEqual([text.is_expired(1289690940.0 + 60) for text in dated], [True, True])
        self.assertEqual([text.is_expired(now) for text in came], [False, False])
        self.assertEqual([text.is_expired(now + 60) for text in came], [True, True])
        self.run_until(self.alice.send_message(BOB, "x"))
        self.assertFalse(self.texts[-1].is_expired(now + 1e9))

    def test_later(self) -> None:
        """A handler may take its time: the answer and the report wait for it (row:B6)."""
        decided: Deferred[None] = Deferred()

        async def handler(text: Any) -> int:
            await decided
            return 200

        self.his.text_received.subscribe(handler)
        message = self.sent("x", want=("delivered",))
        self.assertEqual((message.status.value, self.his.reports.sent), ("sending", 0))
        decided.callback(None)
        self.network.advance(1)
        self.assertEqual((self.successResultOf(message.sent).status, message.status.value), (200, "delivered"))

    def test_passed_on(self) -> None:
        """Who answers 202 does not know whether the text will be delivered: that is reported when it says so, and not
        because the text comes again (RFC 5438 section 12.1.3.1)."""
        self.his.text_received.subscribe(lambda text: 202)
        message = self.sent("x", want=("delivered", "displayed"))
        again = enclosed(b"x", message.id, "delivered")
        self.assertEqual(self.run_until(self.alice.send_message(BOB, again, "message/cpim")).status, 202)
        self.network.advance(1)
        self.assertEqual((message.status.value, len(self.texts), self.his.reports.sent), ("sent", 1, 0))
        for _ in range(2):
            self.texts[0].delivered()
        self.network.advance(1)
        self.assertEqual((message.status.value, self.his.reports.sent), ("delivered", 1))
        self.texts[0].displayed()
        self.network.advance(1)
        self.assertEqual(message.status.value, "displayed")

    def test_known_before_it_is_answered(self) -> None:
        """What is said of a text before its answer has gone out is reported after that."""
        decided: Deferred[int] = Deferred()

        def handler(text: Any) -> Deferred[int]:
            text.displayed()
            text.delivered()
            return decided

        self.his.text_received.subscribe(handler)
        message = self.sent("x", want=("delivered", "displayed"))
        self.assertEqual(self.his.reports.sent, 0)
        decided.callback(202)
        self.network.advance(1)
        self.assertEqual([each.disposition.name for each in message.reports], ["DELIVERED", "DISPLAYED"])

    def test_nobody_is_told(self) -> None:
        """While nobody is told of texts they are refused, unless somebody else hears MESSAGEs (row:B9)."""
        self.his.text_received.unsubscribe(self.texts.append)
        self.assertEqual(self.status_of(self.alice.send_message(BOB, "x")), 480)
        self.bob.message_received.subscribe(lambda event: None)
        self.assertEqual(self.status_of(self.alice.send_message(BOB, "x")), 200)

    def test_what_peers_send(self) -> None:
        """What cannot be read is 400 and harms nobody, a date that cannot be read is none, and an envelope within an
        envelope is a text of another type (fault:A5, fault:D4)."""
        for body, kind in (
            (b"no envelope", "message/cpim"),
            (b"<isComposing/>", COMPOSING),
            (b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", COMPOSING),
            (CpimMessage(b"<imdn/>", "message/imdn+xml").to_bytes(), "message/cpim"),
            (CpimMessage(b"<x/>", COMPOSING).to_bytes(), "message/cpim"),
        ):
            self.assertEqual(self.status_of(self.alice.send_message(BOB, body, kind)), 400, body)
        for date, expires in (("yesterday", "soon"), ("Sat, 13 Nov 2010 23:29:00 GMT", "1")):
            headers = [("Date", date), ("Expires", expires)]
            self.run_until(self.alice.send_message(BOB, "x", headers=headers))
        inner = CpimMessage(enclosed(b"x"), "message/cpim").to_bytes()
        self.run_until(self.alice.send_message(BOB, inner, "message/cpim"))
        self.assertEqual([text.date for text in self.texts], [None, 1289690940.0, None])
        self.assertEqual([text.expires for text in self.texts[:2]], [None, 1])
        self.assertEqual(str(self.texts[2].content_type), "message/cpim")
        composing = IsComposing(ComposingState.ACTIVE).to_bytes()
        self.run_until(self.alice.send_message(BOB, CpimMessage(composing, COMPOSING).to_bytes(), "message/cpim"))
        self.assertTrue(self.his.conversation("sip:alice@a.example").is_peer_composing)


class BoundTests(MessengerTestCase):
    """What peers can make a messenger remember."""

    def test_conversations(self) -> None:
        """The quiet one that was used first is forgotten; where all write, one more is not noticed (fault:D9)."""
        manager = self.bob.connection_manager
        manager.limits = manager.limits.replace(conversations=2)
        body = IsComposing(ComposingState.ACTIVE).to_bytes()
        others = [self.network.party(f"sip:u{number}@u.example") for number in range(3)]
        self.run_until(others[0].send_message(BOB, "x"))
        for other in others[1:]:
            self.run_until(other.send_message(BOB, body, COMPOSING))
        self.assertEqual([one.peer.user for one in self.his.conversations], ["u1", "u2"])
        self.run_until(others[0].send_message(BOB, "x"))
        self.assertEqual((self.read, self.texts[1].conversation), (["x", "x"], None))
        self.assertEqual(len(self.his.conversations), 2)
        self.assertEqual(manager.metrics()["limit_conversations"], 2)
        self.texts[1].displayed()

    def test_ids(self) -> None:
        """So many texts are known again, and the oldest is forgotten."""
        manager = self.bob.connection_manager
        manager.limits = manager.limits.replace(message_ids=2)
        for identifier in ("a", "b", "c", "c", "a"):
            self.run_until(self.alice.send_message(BOB, enclosed(b"x", identifier), "message/cpim"))
        self.assertEqual((len(self.texts), self.his.duplicates), (4, 1))
        self.assertEqual(manager.metrics()["limit_message_ids"], 2)


class LifeTests(MessengerTestCase):
    """How it ends."""

    def test_with_its_endpoint(self) -> None:
        """It ends with its endpoint, whoever waits is told, and nothing is left of it."""
        waiting = self.hers.send("x", BOB, want=("displayed",)).displayed
        self.hers.conversation(BOB).composing()
        self.network.advance(1)
        self.run_until(self.alice.terminate())
        self.failureResultOf(waiting, EndpointTerminated)
        self.assertTrue(self.hers.is_closed)
        self.assertRaises(EndpointTerminated, Messenger, self.alice)
        self.assertRaises(EndpointTerminated, self.hers.conversation, BOB)
        self.hers.close()
        with self.assertRaises(TypeError):
            self.hers.take(None)

    def test_collected(self) -> None:
        """One that was closed goes with its last reference: no circle holds it (fault:K9)."""
        messenger = Messenger(self.alice)
        messenger.conversation(BOB).composing()
        self.network.advance(1)
        messenger.close()
        self.network.advance(1)
        gone = weakref.ref(messenger)
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        del messenger
        self.assertIsNone(gone())

    def test_one_that_only_receives(self) -> None:
        """A party that only receives reads, and cannot send."""
        deaf = self.network.party("sip:d@d.example", outbound=False)
        message = Messenger(deaf).send("x", BOB)
        self.failureResultOf(message.sent, InvalidOperation)
