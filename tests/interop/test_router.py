"""A peer behind a router that translates its address, and that may forget at any time that it did."""

from __future__ import annotations

from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater

from sip_p2p import ConnectionFailure, KeepAlive
from tests.interop.namespaces import HERE, OUTSIDE, HostsWithRouter
from tests.interop.peers.program import until
from tests.interop.support import OUR_DOMAIN, reactor
from tests.interop.wires import ASKS_FOR, PEER, WireTestCase

MAPPED = range(20000, 20100)
MAPPED_LATER = range(30000, 30100)


class RouterTests(WireTestCase):
    """We are where everybody can call; the other party is behind the router."""

    needs = (HostsWithRouter,)

    async def test_tls(self) -> None:
        """The peer is reached by the connection that it opened. When the router has forgotten that, the peer notices at
        its next ping, connects again as it was told to, and is reached again (row:E14, row:E16, row:E17, fault:G5)."""
        await self.enter(HostsWithRouter)
        given = self.usual(**self.identity(OUR_DOMAIN, PEER))
        party = self.watch(await self.tls_party(f"tls:5061:interface={HERE}", manager_options=given))
        proxy = {"proxy": f"tls:{HERE}:5061", "proxy_tls_name": OUR_DOMAIN}
        peer = {**self.identity(PEER, OUR_DOMAIN), "reconnect": "eager"}
        keep_alive = {"interval": 5, "pong_timeout": 2, "pong_required": True}
        await self.there.start(uri=f"sip:peer@{PEER}", manager=peer, keep_alive=keep_alive, **proxy)
        await until(reactor, lambda: len(self.opened) == 1, 10, "the peer's connection")
        self.assertEqual(self.opened[0].flow.remote_host, OUTSIDE)
        self.assertIn(self.opened[0].flow.remote_port, MAPPED)
        await self.there.sent(f"sip:alice@{OUR_DOMAIN}", "here I am")
        self.assertEqual((await party.endpoint.send_message(f"sip:peer@{PEER}", "there you are")).status, 200)
        self.hosts.forget()
        lost = await self.there.event("lost", 20)
        self.assertEqual(lost["transport"], "TLS")
        await until(reactor, lambda: len(self.opened) == 2, 10, "its next connection")
        self.assertIn(self.opened[1].flow.remote_port, MAPPED_LATER)
        await self.there.sent(f"sip:alice@{OUR_DOMAIN}", "here again")
        answers = [party.endpoint.send_message(f"sip:peer@{PEER}", f"back {number}") for number in range(3)]
        self.assertEqual({answer.status for answer in await gatherResults(answers)}, {200})

    async def test_udp(self) -> None:
        """Answers find their way back through the router (RFC 3581). When it has given the peer another port STUN shows
        that and ends the flow, and the next request goes well (row:E17, fault:I4)."""
        await self.enter(HostsWithRouter)
        ours = KeepAlive(datagram_interval=ASKS_FOR)
        party = await self.clear_text_party(f"udp:5060:interface={HERE}", manager_options={"keep_alive": ours})
        await self.there.start(default_transport="udp")
        await self.there.sent(f"sip:alice@{HERE}", "one")
        self.assertIn(party.received[0].peer.flow.remote_port, MAPPED)
        self.assertEqual(party.received[0].peer.flow.remote_host, OUTSIDE)
        # The first answer tells the peer how we see it.
        while not await self.there.metric("keep_alive_pongs"):
            await deferLater(reactor, 0.2)
        self.hosts.forget()
        lost = await self.there.event("lost", 20)
        self.assertIn("the way back has changed", lost["why"])
        await self.there.sent(f"sip:alice@{HERE}", "two")
        self.assertEqual([event.text for event in party.received], ["one", "two"])
        self.assertIn(party.received[1].peer.flow.remote_port, MAPPED_LATER)

    async def test_nobody_calls_inside(self) -> None:
        """Over UDP and clear-text TCP nothing has been proved, so we do not call back by what a stranger has opened
        (row:E16, fault:G3)."""
        await self.enter(HostsWithRouter)
        party = self.watch(await self.clear_text_party(f"tcp:5060:interface={HERE}"))
        await self.there.start(uri=f"sip:peer@{OUTSIDE}", default_transport="tcp")
        await self.there.sent(f"sip:alice@{HERE}", "one")
        self.assertEqual(self.opened[0].flow.remote_host, OUTSIDE)
        uri = f"sip:peer@{OUTSIDE};transport=tcp"
        failure = await self.failure_of(party.endpoint.send_message(uri, "x", timeout=3), ConnectionFailure)
        self.assertIn(OUTSIDE, str(failure))
        self.assertEqual(self.there.events("heard"), [])
