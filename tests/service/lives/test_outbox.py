"""The part that opens ``--outbox``."""

from __future__ import annotations

import os

from twisted.internet import reactor

from sip_p2p.errors import OutboxFailed
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.lives.outbox import OutboxPart, described_entry
from sip_p2p.testing.network import Network
from tests.support import TestCase


class PartTests(TestCase):
    """A real file."""

    async def test_file(self) -> None:
        """A message that was accepted is in the file, which no second process can have."""
        network = Network()
        self.addCleanup(network.finish)
        party = network.party("sip:user@a.example")
        path = os.path.join(self.mktemp(), "outbox")
        os.makedirs(os.path.dirname(path))
        part = OutboxPart(reactor, Happenings(), party, path)
        await part.listen()
        entry = await part.outbox.send("hello", "sip:user@nowhere.example", id="a")
        said = described_entry(entry)
        self.assertEqual((said["id"], said["state"], said["text"]), ("a", "queued", "hello"))
        self.assertNotIn("text", described_entry(entry, is_short=True))
        second = OutboxPart(reactor, Happenings(), party, path)
        with self.assertRaises(OutboxFailed):
            await second.listen()
        network.finish()
        await part.outbox.close()
