"""Programs that look for SIP and try what it puts up with do no harm."""

from __future__ import annotations

from sip_p2p import Timers
from tests.interop.namespace import PrivateNetwork
from tests.interop.peers.program import until
from tests.interop.peers.sipsak import Sipsak
from tests.interop.peers.svmap import Svmap
from tests.interop.support import TEXT, InteropTestCase, Party, reactor

LISTEN = ("udp:5060:interface=127.0.0.1", "tcp:5060:interface=127.0.0.1")


class ScanTests(InteropTestCase):
    """One party at the usual port of a network of its own."""

    needs = (Svmap, Sipsak, PrivateNetwork)

    async def begin(self) -> Party:
        """The party, which somebody else uses meanwhile."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()
        # Who asks with INVITE and takes no notice of the answer is waited for no longer than this test can wait.
        party = await self.clear_text_party(*LISTEN, manager_options={"timers": Timers(t1=0.1)})
        self.good = await self.clear_text_party()
        await self.canary()
        return party

    async def canary(self) -> None:
        """A good peer is answered at once, over both transports."""
        for transport in ("udp", "tcp"):
            began = reactor.seconds()
            uri = f"sip:alice@127.0.0.1;transport={transport}"
            self.assertEqual((await self.good.endpoint.request("OPTIONS", uri)).status, 200)
            self.assertEqual((await self.good.endpoint.send_message(uri, TEXT)).status, 200)
            self.assertLess(reactor.seconds() - began, 1)

    async def unharmed(self, party: Party) -> None:
        """Only what the good peer said was heard, nothing was logged as an error, and nothing waits for anybody."""
        self.assertEqual({event.text for event in party.received}, {TEXT})

        def waiting() -> int:
            live: dict[str, int] = party.manager.inventory()
            return live["unanswered"] + live["servers"] + live["clients"]

        await until(reactor, lambda: waiting() == 0, 15, "no transaction under way")
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_svmap(self) -> None:
        """svmap finds us by OPTIONS and is told no more than anybody; whatever other method it tries gets a refusal
        (fault:D4, fault:E6)."""
        party = await self.begin()
        svmap = self.peer(Svmap)
        found = await svmap.scan("5055-5070")
        self.assertIn("127.0.0.1:5060", found.text)
        for method in ("REGISTER", "INVITE", "SUBSCRIBE"):
            await svmap.scan("5060", method)
            await self.canary()
        await self.unharmed(party)

    async def test_sipsak_random(self) -> None:
        """sipsak cuts a request and replaces its octets at random, ten thousand octets of it, and everybody else is
        answered as before (fault:A12, fault:I7, fault:A17)."""
        party = await self.begin()
        for trashed in (5, 40):
            await self.peer(Sipsak).trash("sip:alice@127.0.0.1", trashed)
            await self.canary()
        await self.unharmed(party)

    async def test_sipsak_flood(self) -> None:
        """A thousand OPTIONS as fast as sipsak can send them are each answered or dropped, and the canary is answered
        within a second (fault:H5, fault:G8)."""
        party = await self.begin()
        await self.peer(Sipsak).flood("sip:alice@127.0.0.1", 1000)
        await self.canary()
        await self.unharmed(party)
