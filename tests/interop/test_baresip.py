"""baresip asks and answers over UDP, TCP and TLS, in a network of its own: it refuses to run on loopback addresses."""

from __future__ import annotations

from twisted.internet import reactor

from tests.interop.namespace import ADDRESS, PrivateNetwork
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.program import until
from tests.interop.support import InteropTestCase, Party

TEXT = "three words only"


class BaresipTests(InteropTestCase):
    """Both directions, transport by transport."""

    needs = (Baresip, PrivateNetwork)

    async def enter(self) -> None:
        """Move into a network of the test's own."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()

    async def exchange(self, party: Party, transport: str, identity: str = "") -> None:
        """OPTIONS and MESSAGE, from it and then to it."""
        baresip = self.peer(Baresip, ADDRESS)
        uri = party.uri(transport, ADDRESS)
        await baresip.start(uri, transport, self.certificates.right("localhost"))
        baresip.options(uri)
        # What it makes of an answer to OPTIONS it prints whole.
        shown = await baresip.program.find(r"----- OPTIONS of sip:\S+ -----\s+SIP/2\.0 (\d\d\d)")
        self.assertEqual(shown.group(1), "200")
        baresip.message(TEXT)
        await until(reactor, lambda: bool(party.received), 10.0, f"a message\n{baresip.program.report()}")
        (event,) = party.received
        self.assertEqual((event.text, event.peer.transport, event.peer.identity), (TEXT, transport.upper(), identity))
        answer = await party.endpoint.request("OPTIONS", baresip.uri(transport))
        self.assertEqual(answer.status, 200)
        self.assertIn("baresip", answer.headers["Server"])
        answer = await party.endpoint.send_message(baresip.uri(transport), "grüße")
        self.assertEqual(answer.status, 200)
        await baresip.program.find('sip:alice@a.example: "grüße"')

    async def test_udp(self) -> None:
        """OPTIONS and MESSAGE both ways over UDP (row:B6, row:C14, row:F1, row:F12)."""
        await self.enter()
        await self.exchange(await self.clear_text_party(f"udp:port=0:interface={ADDRESS}"), "udp")

    async def test_tcp(self) -> None:
        """OPTIONS and MESSAGE both ways over TCP, its own with a Route that names us (row:B6, row:F1, row:F12)."""
        await self.enter()
        await self.exchange(await self.clear_text_party(f"tcp:port=0:interface={ADDRESS}"), "tcp")

    async def test_tls(self) -> None:
        """OPTIONS and MESSAGE both ways over TLS: it shows its certificate when we ask for it (row:D4, row:F1)."""
        await self.enter()
        await self.exchange(await self.tls_party(f"tls:port=0:interface={ADDRESS}"), "tls", "localhost")
