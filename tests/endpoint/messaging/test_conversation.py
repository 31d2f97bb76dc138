"""Tests of :mod:`sip_p2p.endpoint.messaging.conversation`: one after the other, and who is writing."""

from __future__ import annotations

from typing import Any

from sip_p2p import EndpointTerminated, InvalidOperation, Messenger, RequestFailed
from sip_p2p.endpoint.messaging.conversation import MOST_WAITING
from tests.endpoint.messaging.support import BOB, MessengerTestCase


class OrderTests(MessengerTestCase):
    """Texts to one party."""

    def test_one_at_a_time(self) -> None:
        """They go out in order, the next when the one before is answered, however that is; others do not wait."""
        held: list[Any] = []
        carol = self.network.party("sip:carol@c.example")
        carol.message_received.subscribe(lambda event: held.append(event.text))

        def keep(text: Any) -> None:
            text.incoming.defer()
            held.append(text.text)

        self.his.text_received.unsubscribe(self.texts.append)
        self.his.text_received.subscribe(keep)
        self.his.text_received.subscribe(self.texts.append)
        messages = [self.hers.send(each, BOB) for each in "abc"]
        self.hers.send("hers", "sip:carol@c.example")
        self.network.advance(1)
        self.assertEqual(sorted(held), ["a", "hers"])
        self.assertEqual([each.status.value for each in messages], ["sending", "waiting", "waiting"])
        self.texts[0].incoming.respond(486)
        self.network.advance(1)
        self.texts[1].incoming.respond(200)
        self.network.advance(1)
        self.assertEqual(self.read, ["a", "b", "c"])
        self.failureResultOf(messages[0].sent, RequestFailed)
        self.assertEqual([each.status.value for each in messages], ["failed", "sent", "sending"])
        self.texts[2].incoming.respond(200)
        self.network.advance(1)

    def test_too_many(self) -> None:
        """So many may wait, and no more; and those that fail at once do so without end of the stack."""
        self.network.partition(*self.network.hosts[:2])
        for _ in range(MOST_WAITING + 1):
            self.hers.send("x", BOB)
        with self.assertRaises(InvalidOperation) as caught:
            self.hers.send("x", BOB)
        self.assertTrue(caught.exception.retryable)
        self.run_until(self.alice.terminate())

    def test_closed(self) -> None:
        """What waits when the messenger is closed fails, and nothing more is sent; what has gone out is answered."""
        first, second = self.hers.send("a", BOB), self.hers.send("b", BOB)
        waiting = second.sent
        self.hers.close()
        self.failureResultOf(waiting, EndpointTerminated)
        self.network.advance(1)
        self.assertEqual((self.successResultOf(first.sent).status, self.read), (200, ["a"]))
        for call in (lambda: self.hers.send("x", BOB), lambda: self.hers.conversation(BOB)):
            self.assertRaises(EndpointTerminated, call)


class ComposingTests(MessengerTestCase):
    """Who is writing."""

    def setUp(self) -> None:
        """Bob notes it."""
        super().setUp()
        self.told: list[bool] = []
        self.his.composing_changed.subscribe(lambda one: self.told.append(one.is_peer_composing))
        self.conversation = self.hers.conversation(BOB)

    def test_while_it_lasts(self) -> None:
        """However long somebody writes, it is told once, refreshed, and ends 15 seconds after the last key."""
        for _ in range(40):
            self.conversation.composing()
            self.network.advance(10)
        self.assertEqual(self.told, [True])
        self.network.advance(10)
        self.assertEqual(self.told, [True, False])
        self.assertTrue(self.conversation.is_quiet)

    def test_given_up(self) -> None:
        """Who gives it up can say so."""
        self.conversation.composing()
        self.network.advance(1)
        self.conversation.given_up()
        self.conversation.given_up()
        self.network.advance(1)
        self.assertEqual(self.told, [True, False])

    def test_lost(self) -> None:
        """Where nothing is heard any more it ends by itself (RFC 3994 section 3.3)."""
        self.conversation.composing()
        self.network.advance(1)
        self.hers.close()
        self.network.advance(88)
        self.assertEqual(self.told, [True])
        self.network.advance(5)
        self.assertEqual(self.told, [True, False])

    def test_not_wanted(self) -> None:
        """Who answers 415 is told no more, and texts go on (RFC 3994 section 4)."""
        self.his.close()
        seen: list[str] = []

        def plain(event: Any) -> int:
            seen.append(str(event.content_type.essence))
            return 200 if event.content_type.essence == "text/plain" else 415

        self.bob.message_received.subscribe(plain)
        for _ in range(3):
            self.conversation.composing()
            self.network.advance(20)
        self.run_until(self.conversation.send("x").sent)
        self.assertEqual(seen, ["application/im-iscomposing+xml", "text/plain"])

    def test_the_text_comes_first(self) -> None:
        """What tells that somebody writes does not go out behind the text that was written, and does not pile up."""
        for _ in range(3):
            self.conversation.composing()
            self.conversation.given_up()
        self.conversation.composing()
        self.conversation.send("done")
        self.network.advance(1)
        self.assertEqual((self.told, self.read), ([True, False], ["done"]))

    def test_refresh(self) -> None:
        """A refresh that is too short is refused when the messenger is made, and nothing is left of it."""
        with self.assertRaises(ValueError):
            Messenger(self.alice, refresh=10)
        self.assertEqual(len(self.alice.connection_manager.lives.of(self.alice, "messengers")), 1)
