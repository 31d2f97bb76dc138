"""node-sip and linphonec: pings of their own, and requests back over the connections that they opened."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import gatherResults

from sip_p2p import KeepAlive
from tests.interop.exchanges import ExchangeTestCase
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.node_sip import NodeSip
from tests.interop.peers.program import until
from tests.interop.support import TEXT, Party, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"


def pings(party: Party) -> int:
    """How many pings its peers have sent."""
    return int(party.manager.metrics()["core_pings"])


class NodeSipTests(ExchangeTestCase):
    """It proves ``localhost``, listens, and opens a connection for each destination."""

    needs = (NodeSip,)

    async def start(self) -> NodeSip:
        """node-sip with mutual TLS."""
        node = self.peer(NodeSip)
        await node.start(self.certificates.right("localhost"), self.certificates.trust)
        return node

    async def test_back_over_its_connection(self) -> None:
        """Texts to the name that it has proved go back over the connection that it opened, and none is opened by us
        (row:E16, row:E12, row:D4)."""
        node = await self.start()
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        self.assertEqual(await node.request("MESSAGE", party.uri("tls"), TEXT), 200)
        answers = [party.endpoint.send_message("sip:node@localhost", f"{TEXT} {number}") for number in range(20)]
        self.assertEqual({answer.status for answer in await gatherResults(answers)}, {200})
        self.assertEqual([(await node.saw("MESSAGE")).transport for _ in answers], ["tls"] * 20)
        self.assertEqual(party.manager.metrics()["connections_out"], 0)
        self.assertEqual(len(party.manager.pool), 1)

    async def test_port_is_dialled(self) -> None:
        """A request to a port that it has not claimed on its connection goes to that port (row:E16, fault:G3)."""
        node = await self.start()
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        self.assertEqual(await node.request("MESSAGE", party.uri("tls"), TEXT), 200)
        answer = await party.endpoint.send_message(node.uri("tls", host="localhost"), TEXT)
        self.assertEqual(answer.status, 200)
        self.assertEqual(party.manager.metrics()["connections_out"], 1)

    async def test_no_pong(self) -> None:
        """It answers no ping and has never said that it would, so that says nothing: the connection lives (row:E17)."""
        node = await self.start()
        party = await self.tls_party(manager_options={"keep_alive": KeepAlive(5, pong_timeout=1)})
        lost: list[Any] = []
        party.manager.flow_lost.subscribe(lost.append)
        await party.endpoint.request("OPTIONS", node.uri("tls"))
        await until(reactor, lambda: party.manager.metrics()["keep_alive_missed"] > 0, 15, "a ping without answer")
        self.assertEqual((await party.endpoint.send_message(node.uri("tls"), TEXT)).status, 200)
        self.assertEqual((lost, len(party.manager.pool)), ([], 1))


class LinphoneTests(ExchangeTestCase):
    """It pings over every connection, and cannot be dialled over TLS."""

    needs = (Linphone,)

    async def start(self, party: Party, uri: str) -> Linphone:
        """linphonec, which has sent us a text."""
        linphone = self.peer(Linphone)
        await linphone.start(uri, self.certificates.right("localhost"), self.certificates.trust)
        linphone.message(uri, "hello")
        await until(reactor, lambda: any(event.text == "hello" for event in party.received), 15, "its text")
        return linphone

    async def test_back_over_its_connection(self) -> None:
        """It is reached over the TLS connection that it opened, its own TLS port being of no use, and goes on pinging
        there (row:E16, row:E12, row:E17)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=self.certificates.right("localhost"))
        linphone = await self.start(party, party.uri("tls", "localhost"))
        answer = await party.endpoint.send_message("sip:linphone@localhost", "hello yourself")
        self.assertEqual(answer.status, 200)
        await linphone.program.find("hello yourself")
        self.assertEqual(party.manager.metrics()["connections_out"], 0)
        before = pings(party)
        await until(reactor, lambda: pings(party) > before, 30, f"a ping\n{linphone.log[-3000:]}")
        self.assertEqual((await party.endpoint.send_message("sip:linphone@localhost", "still there?")).status, 200)
        self.assertEqual(len(party.manager.pool), 1)

    async def test_pings_in_clear_text(self) -> None:
        """Its pings over TCP and UDP are answered or passed over, and none is taken for a message (row:E17, fault:A10,
        row:C14)."""
        for transport in ("tcp", "udp"):
            party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
            linphone = await self.start(party, party.uri(transport))
            if transport == "tcp":
                await until(reactor, lambda party=party: pings(party) > 0, 30, f"a ping\n{linphone.log[-3000:]}")  # type: ignore[misc]
            figures = party.manager.metrics()
            self.assertEqual(figures["core_unparsable"], 0)
            self.assertEqual((await party.endpoint.send_message(linphone.uri(transport), "and you?")).status, 200)
            await linphone.stop()
