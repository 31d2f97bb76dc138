"""Calls with the ``sip`` package of npm both ways over UDP, TCP and mutual TLS."""

from __future__ import annotations

from tests.interop.calls import Called, CallTestCase
from tests.interop.peers.node_sip import NodeSip
from tests.interop.peers.scenario import OFFER, session_description
from tests.interop.support import Party

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class NodeSipCallTests(CallTestCase):
    """Both directions, transport by transport."""

    needs = (NodeSip,)

    async def calls(self, party: Party, transport: str) -> None:
        """Each calls the other twice; the call is changed and used, and each hangs up once."""
        node = self.peer(NodeSip)
        await node.start(self.certificates.right("localhost"), self.certificates.trust)
        for ours in (True, False):
            call = await self.call(party, node.uri(transport), OFFER)
            self.assertIn(b"o=node", call.session.remote_description.body)
            self.assertEqual((await node.saw("ACK")).transport, transport)
            await call.session.renegotiate(session_description(40000, "sendonly", 2))
            await node.saw("ACK")
            self.assertEqual((await call.session.send_message("within")).status, 200)
            if ours:
                await call.session.terminate()
            else:
                answer = await node.send("BYE", node.uri(transport), dialog=call.session.call_id)
                self.assertEqual(answer["status"], 200)
                self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        called = Called(party)
        for number in range(2):
            uri = party.uri(transport)
            answer = await node.send("INVITE", uri, OFFER, type="application/sdp")
            self.assertEqual(answer["status"], 200)
            self.assertIn("m=audio 50000", answer["content"])
            call = await called.call(number)
            await call.reaches("CONNECTED")
            if number:
                await call.session.terminate()
                await node.saw("BYE")
            else:
                answer = await node.send("BYE", uri, dialog=call.session.call_id)
                self.assertEqual(answer["status"], 200)
                self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_udp(self) -> None:
        """Calls both ways over UDP (row:H3, row:H4, row:H17, row:H19, row:H25)."""
        await self.calls(await self.clear_text_party(f"udp:{ON_LOOPBACK}"), "udp")

    async def test_tcp(self) -> None:
        """Calls both ways over TCP (row:H3, row:H4, row:H17, row:H19, row:H25)."""
        await self.calls(await self.clear_text_party(f"tcp:{ON_LOOPBACK}"), "tcp")

    async def test_tls(self) -> None:
        """Calls both ways over mutual TLS, where it looks for our name in our certificate (row:H3, row:H4, row:H17,
        row:H19, row:H25)."""
        leaf = self.certificates.right("127.0.0.1")
        await self.calls(await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=leaf), "tls")
