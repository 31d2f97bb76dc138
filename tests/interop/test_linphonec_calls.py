"""Calls with linphonec both ways over UDP and TCP, and from it over TLS."""

from __future__ import annotations

from typing import Any

from sip_p2p import RequestFailed, SessionTerminated
from tests.interop.calls import Called, CallTestCase
from tests.interop.peers.linphone import Linphone
from tests.interop.peers.program import until
from tests.interop.peers.scenario import ANSWER, OFFER
from tests.interop.support import Party, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class LinphoneCallTests(CallTestCase):
    """A softphone without sound."""

    needs = (Linphone,)

    async def phone(self, target: str, **options: Any) -> Linphone:
        """linphonec, which sends everything to *target*."""
        linphone = self.peer(Linphone)
        await linphone.start(target, self.certificates.right("localhost"), self.certificates.trust, **options)
        return linphone

    async def it_calls(self, party: Party, uri: str) -> Linphone:
        """It calls twice: it puts us on hold and goes on, and hangs up; and we do."""
        called = Called(party)
        linphone = await self.phone(uri, answers=True)
        for number in range(2):
            linphone.command(f"call {uri}")
            call = await called.call(number)
            await call.reaches("CONNECTED")
            self.assertIn(b"m=audio", call.session.remote_description.body)
            if number:
                await call.session.terminate()
                await linphone.program.find(r"ended|terminated")
                continue
            offers: list[bytes] = []

            def answer(offer: Any, offers: list[bytes] = offers) -> str:
                offers.append(offer.description.body)
                return ANSWER

            call.session.offer_received.subscribe(answer)
            linphone.command("pause")
            await until(reactor, lambda offers=offers: bool(offers), 10, "hold")  # type: ignore[misc]
            linphone.command("resume")
            await until(reactor, lambda offers=offers: len(offers) == 2, 10, "the end of hold")  # type: ignore[misc]
            linphone.command("terminate")
            self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        return linphone

    async def we_call(self, party: Party, linphone: Linphone, transport: str) -> None:
        """We call, and hang up; and it does."""
        for ours in (True, False):
            call = await self.call(party, linphone.uri(transport), OFFER)
            self.assertIn(b"m=audio", call.session.remote_description.body)
            if ours:
                await call.session.terminate()
            else:
                linphone.command("terminate")
                self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")

    async def test_udp(self) -> None:
        """Calls both ways over UDP (row:H3, row:H4, row:H17, row:H20)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        await self.we_call(party, await self.it_calls(party, party.uri("udp")), "udp")

    async def test_tcp(self) -> None:
        """Calls both ways over TCP (row:H3, row:H4, row:H17, row:H20)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        await self.we_call(party, await self.it_calls(party, party.uri("tcp")), "tcp")

    async def test_tls(self) -> None:
        """It calls over mutual TLS (row:H4, row:H17, row:H20)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=self.certificates.right("localhost"))
        await self.it_calls(party, party.uri("tls", "localhost"))

    async def test_unanswered(self) -> None:
        """It rings and we give up, or it refuses; we ring and it gives up (row:H16, row:H5)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        called = Called(party, accepts=False)
        linphone = await self.phone(party.uri("udp"))
        call = self.begin(party, linphone.uri("udp"))
        standing = call.session.establish(OFFER)
        await call.reaches("ALERTED")
        gone = call.session.terminate()
        await self.failure_of(standing, SessionTerminated)
        await gone
        call = self.begin(party, linphone.uri("udp"))
        standing = call.session.establish(OFFER)
        await call.reaches("ALERTED")
        linphone.command("terminate")
        self.assertGreaterEqual((await self.failure_of(standing, RequestFailed)).response.status, 480)
        linphone.command(f"call {party.uri('udp')}")
        there = await called.call()
        linphone.command("terminate")
        self.assertEqual(await there.reaches("DISCONNECTED"), "CANCELED")
