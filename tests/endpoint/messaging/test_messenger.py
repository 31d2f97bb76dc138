"""Texts between parties, with reports and with who is writing."""

from __future__ import annotations

from sip_p2p.endpoint.messaging.messenger import Messenger
from tests.endpoint.support import PartyTestCase


class MessengerTests(PartyTestCase):
    """Alice and Bob, each with a messenger."""

    def setUp(self) -> None:
        """They know how to answer."""
        super().setUp()
        self.hers, self.his = Messenger(self.alice), Messenger(self.bob)

    def test_reports(self) -> None:
        """A text that wants to be told is told that it was delivered, and that it was shown (RFC 5438)."""
        texts: list = []
        self.his.text_received.subscribe(texts.append)
        message = self.hers.send("grüß", "sip:bob@b.example", want=("delivered", "displayed"))
        self.assertEqual(self.run_until(message.sent).status, 200)  # type: ignore[attr-defined]
        report = self.run_until(message.delivered)
        self.assertEqual(report.message_id, message.id)  # type: ignore[attr-defined]
        [text] = texts
        self.assertEqual((text.text, text.id, text.peer.identity), ("grüß", message.id, "a.example"))
        text.displayed()
        self.run_until(message.displayed)
        self.assertEqual(message.status.value, "displayed")

    def test_composing(self) -> None:
        """It is told when somebody begins to write, and when that ends (RFC 3994)."""
        told: list = []
        self.his.text_received.subscribe(lambda text: None)
        self.his.composing_changed.subscribe(lambda one: told.append((str(one.peer), one.is_peer_composing)))
        conversation = self.hers.conversation("sip:bob@b.example")
        conversation.composing()
        self.network.advance(14)
        conversation.composing()
        self.network.advance(14)
        self.assertEqual(told, [("sip:alice@a.example", True)])
        self.network.advance(2)
        self.assertEqual(told, [("sip:alice@a.example", True), ("sip:alice@a.example", False)])
        conversation.composing()
        self.network.advance(1)
        self.run_until(conversation.send("done").sent)
        self.assertEqual([state for _, state in told], [True, False, True, False])
