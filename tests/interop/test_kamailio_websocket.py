"""Kamailio at the other end of a WebSocket that we open (RFC 7118)."""

from __future__ import annotations

from sip_p2p import ConnectionFailure, KeepAlive
from tests.interop.exchanges import ExchangeTestCase
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.program import until
from tests.interop.support import TEXT, Party, reactor


class WebSocketTests(ExchangeTestCase):
    """One WebSocket, used both ways."""

    needs = (Kamailio,)

    async def start(self, *, websocket: bool = True) -> Kamailio:
        """Kamailio, which proves ``localhost``."""
        kamailio = self.peer(Kamailio)
        leaf = self.certificates.right("localhost")
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf, patience=3.0, websocket=websocket)
        return kamailio

    async def exchange(self, kamailio: Kamailio, party: Party, transport: str) -> None:
        """Ours is answered, and Kamailio's comes back over the WebSocket that we opened, where we listen nowhere."""
        uri = kamailio.uri(transport)
        self.assertEqual((await party.endpoint.request("OPTIONS", uri)).status, 200)
        port = (await kamailio.saw("OPTIONS")).port
        self.assertEqual((await party.endpoint.send_message(uri, TEXT)).status, 200)
        seen = await kamailio.saw("MESSAGE")
        self.assertEqual((seen.transport, seen.port, seen.body), (transport, port, TEXT.encode()))
        back = f"{TEXT} and back"
        self.assertEqual(await kamailio.request("MESSAGE", f"sip:alice@127.0.0.1:{port};transport=ws", back), 200)
        (event,) = party.received
        self.assertEqual((event.text, event.peer.transport), (back, transport.upper()))
        self.assertFalse(event.peer.flow.is_incoming)
        self.assertEqual((len(party.manager.pool), party.manager.metrics()["connections_dialled"]), (1, 1))

    async def test_clear_text(self) -> None:
        """Both ways over ``ws`` (row:C15, row:E16)."""
        await self.exchange(await self.start(), await self.clear_text_party(), "ws")

    async def test_tls(self) -> None:
        """Both ways over ``wss``, where both sides have proved who they are (row:C15, row:D9)."""
        kamailio = await self.start()
        party = await self.tls_party()
        await self.exchange(kamailio, party, "wss")
        (event,) = party.received
        self.assertIn("localhost", event.peer.identities)

    async def test_pings(self) -> None:
        """Kamailio answers the pings of the WebSocket itself, and the connection lives (row:E17, RFC 6455 section
        5.5.2)."""
        kamailio = await self.start()
        party = await self.clear_text_party(manager_options={"keep_alive": KeepAlive(5, 3, pong_required=True)})
        await party.endpoint.request("OPTIONS", kamailio.uri("ws"))
        await until(reactor, lambda: party.manager.metrics()["keep_alive_pongs"] > 0, 20, "a pong")
        self.assertEqual((await party.endpoint.send_message(kamailio.uri("ws"), TEXT)).status, 200)
        self.assertEqual(party.manager.metrics()["connections_dialled"], 1)

    async def test_none_there(self) -> None:
        """A Kamailio that knows no WebSocket is a failure that says so, and not one of its time."""
        kamailio = await self.start(websocket=False)
        party = await self.clear_text_party()
        failure = await self.failure_of(party.endpoint.request("OPTIONS", kamailio.uri("ws")), ConnectionFailure)
        self.assertIn(
            f"127.0.0.1:{kamailio.ports['tcp']}: the connection ended before it was a WebSocket", str(failure)
        )
