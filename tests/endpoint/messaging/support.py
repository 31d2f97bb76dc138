"""Two parties with messengers, for the tests of texts."""

from __future__ import annotations

from typing import Any, ClassVar

from sip_p2p import IncomingText, Messenger, OutgoingText
from tests.endpoint.support import PartyTestCase

__all__ = ["BOB", "MessengerTestCase"]

BOB = "sip:bob@b.example"


class MessengerTestCase(PartyTestCase):
    """Alice and Bob, each with a messenger; Bob notes what he reads.

    :cvar options: how Bob's messenger is made.
    """

    options: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        """They know how to answer."""
        super().setUp()
        self.hers, self.his = Messenger(self.alice), Messenger(self.bob, **self.options)
        self.texts: list[IncomingText] = []
        self.his.text_received.subscribe(self.texts.append)

    def sent(self, text: str = "x", **options: Any) -> OutgoingText:
        """A text of Alice's to Bob, with enough time for it and its reports."""
        message = self.hers.send(text, BOB, **options)
        self.network.advance(2)
        return message

    @property
    def read(self) -> list[str]:
        """What Bob has read."""
        return [text.text for text in self.texts]
