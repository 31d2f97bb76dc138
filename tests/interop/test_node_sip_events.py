"""SUBSCRIBE and NOTIFY with the ``sip`` package of npm, both ways over UDP, TCP and mutual TLS."""

from __future__ import annotations

from sip_p2p import PresencePackage
from sip_p2p.documents.pidf import Presence
from tests.interop.events import EventTestCase, Watch
from tests.interop.peers.node_sip import NodeSip
from tests.interop.peers.program import until
from tests.interop.support import Party, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"
PIDF = "application/pidf+xml"


class NodeSipEventTests(EventTestCase):
    """Both directions, transport by transport."""

    needs = (NodeSip,)

    async def subscribes(self, party: Party, transport: str) -> None:
        """Each subscribes to the other, is told, and hears the end."""
        node = self.peer(NodeSip)
        await node.start(self.certificates.right("localhost"), self.certificates.trust)
        watch = Watch(party.endpoint.create_subscription(node.uri(transport), "presence"))
        standing = watch.subscription.start()
        asked = (await node.saw("SUBSCRIBE")).headers
        contact = {"uri": node.uri(transport)}
        for number, (state, note) in enumerate(
            (("active;expires=600", "here"), ("terminated;reason=rejected", "gone"))
        ):
            headers = {
                "to": asked["from"],
                "from": {"uri": asked["to"]["uri"], "params": {"tag": "node"}},
                "call-id": asked["call-id"],
                "cseq": {"method": "NOTIFY", "seq": number + 1},
                "contact": [contact],
                "event": "presence",
                "subscription-state": state,
            }
            body = Presence.of(node.uri(transport), note=note).to_bytes().decode()
            answer = await node.send("NOTIFY", asked["contact"][0]["uri"], body, headers, type=PIDF)
            self.assertEqual(answer["status"], 200)
            await watch.says(note)
        await standing
        await watch.reaches("TERMINATED")
        self.assertEqual(watch.subscription.reason, "rejected")
        package = party.endpoint.packages.add(PresencePackage(may_watch=lambda request: True))
        me = party.uri(transport)
        package.set(me, Presence.of(me, note="desk"))
        asks = {"contact": [contact], "event": "presence", "expires": 600, "accept": PIDF}
        answer = await node.send("SUBSCRIBE", me, "", asks)
        self.assertEqual(answer["status"], 200)
        told = await node.saw("NOTIFY")
        self.assertEqual(Presence.parse(told.body).tuples[0].notes[0].text, "desk")
        self.assertEqual(told.transport, transport)
        [subscriber] = package.subscribers
        subscriber.terminate("noresource")
        self.assertIn("terminated", (await node.saw("NOTIFY")).headers["subscription-state"])
        await until(reactor, lambda: not package.subscribers, 15, "the end")

    async def test_udp(self) -> None:
        """Over UDP (row:J1, row:J9, row:J13)."""
        await self.subscribes(await self.clear_text_party(f"udp:{ON_LOOPBACK}"), "udp")

    async def test_tcp(self) -> None:
        """Over TCP (row:J1, row:J9, row:J13)."""
        await self.subscribes(await self.clear_text_party(f"tcp:{ON_LOOPBACK}"), "tcp")

    async def test_tls(self) -> None:
        """Over mutual TLS (row:J1, row:J9, row:J13)."""
        leaf = self.certificates.right("127.0.0.1")
        await self.subscribes(await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=leaf), "tls")
