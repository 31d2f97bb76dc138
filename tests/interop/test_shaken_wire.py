"""Over a wire that loses packets, delivers them twice and out of their order, everything completes."""

from __future__ import annotations

from twisted.internet.defer import gatherResults

from sip_p2p import Timers
from tests.interop.namespaces import HERE, THERE, ShakenHosts
from tests.interop.peers.sipp import Sipp
from tests.interop.support import OUR_DOMAIN, TEXT
from tests.interop.wires import PEER, WireTestCase

EAGER = 1.0
"""The longest time between two tries: with the usual four seconds chance alone would fail one run in fifty."""


class ShakenTestCase(WireTestCase):
    """On such a wire."""

    needs = (ShakenHosts,)
    timeout = 180

    async def shaken(self, loss: float) -> None:
        """See that the wire did what it is here for."""
        counts = await self.hosts.report()
        for what in ("doubled", "late", *(["lost"] if loss else [])):
            self.assertGreater(counts[what], 0, counts)


class ShakenWireTests(ShakenTestCase):
    """A part is lost, a fifth comes twice, a third comes late."""

    async def test_udp(self) -> None:
        """Messages by UDP both ways are each answered, and each arrives once (fault:I1, row:C14, fault:C8)."""
        await self.enter(ShakenHosts)
        await self.there.start(f"udp:5060:interface={THERE}", default_transport="udp", timers={"t2": EAGER})
        manager = {"timers": Timers(t2=EAGER)}
        party = await self.clear_text_party(f"udp:5060:interface={HERE}", manager_options=manager)
        await self.hosts.shake(0.3, 0.2, 0.33)
        numbers = [self.there.send(f"sip:alice@{HERE}", f"there {number}") for number in range(30)]
        texts = [f"here {number}" for number in range(30)]
        answers = await gatherResults([party.endpoint.send_message(f"sip:peer@{THERE}", text) for text in texts])
        self.assertEqual({answer.status for answer in answers}, {200})
        for _ in numbers:
            await self.there.event("answered", 40)
        self.assertEqual(self.there.events("failed"), [])
        self.assertEqual(sorted(event["text"] for event in self.there.events("heard")), sorted(texts))
        heard = [event.text for event in party.received]
        self.assertEqual(sorted(heard), sorted(f"there {number}" for number in range(30)))
        await self.shaken(0.3)

    async def test_large_by_udp(self) -> None:
        """A text that is too large for a datagram goes by TCP through the same wire (row:E30, row:F13)."""
        await self.enter(ShakenHosts)
        await self.there.start(f"udp:5060:interface={THERE}", f"tcp:5060:interface={THERE}")
        party = await self.clear_text_party()
        await self.hosts.shake(0.1, 0.2, 0.33)
        for number in range(5):
            text = f"{number}" * 9000
            answer = await party.endpoint.send_message(f"sip:peer@{THERE}:5060;transport=udp", text)
            self.assertEqual(answer.status, 200)
            heard = await self.there.event("heard")
            self.assertEqual((heard["text"], heard["transport"]), (text, "TCP"))

    async def test_tls(self) -> None:
        """Over TLS nothing of it is noticed but that it takes longer: two hundred messages arrive once and in their
        order (fault:G7)."""
        await self.enter(ShakenHosts)
        listen = f"tls:5061:interface={THERE}"
        await self.there.start(listen, uri=f"sip:peer@{PEER}", manager=self.identity(PEER, OUR_DOMAIN))
        party = self.watch(await self.tls_party(manager_options=self.usual(**self.identity(OUR_DOMAIN, PEER))))
        await self.hosts.shake(0.03, 0.2, 0.33)
        texts = [f"{TEXT} {number}" for number in range(200)]
        uri = f"sip:peer@{THERE}:5061;transport=tls"
        answers = await gatherResults([party.endpoint.send_message(uri, text) for text in texts])
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual([event["text"] for event in self.there.events("heard")], texts)
        self.assertEqual((len(self.opened), self.lost), (1, []))
        await self.shaken(0)


class SippTests(ShakenTestCase):
    """SIPp, which repeats what it sends as RFC 3261 has it, at the other end of the wire."""

    needs = (ShakenHosts, Sipp)

    async def test_it_asks(self) -> None:
        """Fifty requests of SIPp by UDP are answered, and the application hears each once (fault:I1, fault:C7)."""
        await self.enter(ShakenHosts)
        party = await self.clear_text_party(f"udp:5060:interface={HERE}")
        await self.hosts.shake(0.1, 0.2, 0.33)
        sipp = self.peer(Sipp)
        sipp.interface, sipp.port, sipp.wrapper = THERE, 5060, self.hosts.there.inside()
        await sipp.request("MESSAGE", f"sip:alice@{HERE}", (HERE, 5060), "udp", TEXT, calls=50)
        self.assertEqual(len({event.request.call_id for event in party.received}), 50)
        self.assertEqual(len(party.received), 50)
        await self.shaken(0.1)
