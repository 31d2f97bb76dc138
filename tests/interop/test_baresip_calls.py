"""Calls with baresip, a softphone, both ways over UDP, TCP and TLS, in a network of its own."""

from __future__ import annotations

from typing import Any

from sip_p2p import RequestFailed, SessionTerminated
from sip_p2p.sdp import SessionDescription
from tests.interop.calls import Called, CallTestCase
from tests.interop.namespace import ADDRESS, PrivateNetwork
from tests.interop.peers.baresip import Baresip
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER, session_description
from tests.interop.support import Party, reactor

HELD = session_description(40000, "sendonly", 2)


class BaresipCallTests(CallTestCase):
    """Both directions, transport by transport."""

    needs = (Baresip, PrivateNetwork)

    async def enter(self) -> None:
        """Move into a network of the test's own."""
        network = PrivateNetwork(reactor, self.folder())
        self.stop_later(network.leave)
        await network.enter()

    async def party(self, transport: str) -> Party:
        """Our side, which listens."""
        listen = f"{transport}:port=0:interface={ADDRESS}"
        if transport != "tls":
            return await self.clear_text_party(listen)
        # Its Contact names what its certificate proves first; a name could not be looked up here.
        return await self.tls_party(listen, certificate=self.certificates.right(ADDRESS))

    async def phone(self, party: Party, transport: str, **options: Any) -> Baresip:
        """baresip, which knows us."""
        baresip = self.peer(Baresip, ADDRESS)
        await baresip.start(party.uri(transport, ADDRESS), transport, self.certificates.right("localhost"), **options)
        return baresip

    async def calls(self, transport: str) -> None:
        """Each calls the other twice, each hangs up once, and each puts the other on hold."""
        await self.enter()
        party = await self.party(transport)
        called = Called(party)
        baresip = await self.phone(party, transport)
        for number in range(2):
            start = len(baresip.program.text)
            baresip.dial(party.uri(transport, ADDRESS))
            call = await called.call(number)
            await call.reaches("CONNECTED")
            await baresip.program.find("Call established", start=start)
            offer = SessionDescription.parse(call.session.remote_description.body)
            self.assertEqual(offer.media[0].kind, "audio")
            if number:
                await call.session.terminate()
                await baresip.program.find("terminated|session closed", start=start)
                continue
            offers: list[bytes] = []

            def answer(offer: Any, offers: list[bytes] = offers) -> str:
                offers.append(offer.description.body)
                return ANSWER

            call.session.offer_received.subscribe(answer)
            baresip.hold()
            await until(reactor, lambda offers=offers: bool(offers), 10, "hold")  # type: ignore[misc]
            self.assertRegex(offers[0], b"a=(sendonly|inactive)")
            baresip.resume()
            await until(reactor, lambda offers=offers: len(offers) == 2, 10, "the end of hold")  # type: ignore[misc]
            baresip.hang_up()
            self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        for ours in (True, False):
            call = await self.call(party, baresip.uri(transport), OFFER)
            self.assertIn(b"m=audio", call.session.remote_description.body)
            held = await call.session.renegotiate(HELD)
            self.assertRegex(held.body, b"a=(recvonly|inactive)")
            if ours:
                await call.session.terminate()
            else:
                baresip.hang_up()
                self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_udp(self) -> None:
        """Calls both ways over UDP, with hold from either side (row:H3, row:H4, row:H17, row:H19, row:H20)."""
        await self.calls("udp")

    async def test_tcp(self) -> None:
        """Calls both ways over TCP, with hold from either side (row:H3, row:H4, row:H17, row:H19, row:H20)."""
        await self.calls("tcp")

    async def test_tls(self) -> None:
        """Calls both ways over TLS, with hold from either side (row:H3, row:H4, row:H17, row:H19, row:H20)."""
        await self.calls("tls")

    async def test_unanswered(self) -> None:
        """It rings and we give up, or it does; it refuses, or we do (row:H16, row:H5)."""
        await self.enter()
        party = await self.party("udp")
        called = Called(party, accepts=False)
        baresip = await self.phone(party, "udp", answers=False)
        call = self.begin(party, baresip.uri("udp"))
        standing = call.session.establish(OFFER)
        await call.reaches("ALERTED")
        gone = call.session.terminate()
        await self.failure_of(standing, SessionTerminated)
        await gone
        call = self.begin(party, baresip.uri("udp"))
        standing = call.session.establish(OFFER)
        await call.reaches("ALERTED")
        baresip.hang_up()
        self.assertGreaterEqual((await self.failure_of(standing, RequestFailed)).response.status, 480)
        baresip.dial(party.uri("udp", ADDRESS))
        await baresip.program.find("180 Ringing|is ringing|RINGING")
        baresip.hang_up()
        self.assertEqual(await (await called.call()).reaches("DISCONNECTED"), "CANCELED")
        baresip.dial(party.uri("udp", ADDRESS))
        (await called.call(1)).session.reject(486)
        await baresip.program.find("486")
