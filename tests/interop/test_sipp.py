"""SIPp's scenarios against ours: UDP and TCP, and mutual TLS with socat in front of it."""

from __future__ import annotations

from tests.interop.peers.sipp import Sipp, TlsBefore
from tests.interop.support import TEXT, InteropTestCase, Party

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class ClearTextTests(InteropTestCase):
    """SIPp by itself."""

    needs = (Sipp,)

    async def it_asks(self, transport: str) -> None:
        """SIPp sends OPTIONS and MESSAGE and is content with our answers."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        address = ("127.0.0.1", party.manager.listening_port)
        uri = party.uri(transport)
        await self.peer(Sipp).request("OPTIONS", uri, address, transport)
        await self.peer(Sipp).request("MESSAGE", uri, address, transport, TEXT)
        self.assertEqual([event.text.strip() for event in party.received], [TEXT])

    async def we_ask(self, transport: str) -> None:
        """SIPp gets the request that it waits for, and we its answer."""
        party = await self.clear_text_party()
        for method in ("OPTIONS", "MESSAGE"):
            sipp = self.peer(Sipp)
            await sipp.start_answering(method, transport)
            if method == "OPTIONS":
                answer = await party.endpoint.request(method, sipp.uri(transport))
            else:
                answer = await party.endpoint.send_message(sipp.uri(transport), TEXT)
            self.assertEqual((answer.status, answer.reason), (200, "SIPp says yes"))
            self.assertIn(TEXT if method == "MESSAGE" else "OPTIONS sip:", await sipp.answered())

    async def test_it_asks_over_udp(self) -> None:
        """Its OPTIONS and MESSAGE over UDP are answered (row:C14, row:B6, row:F12)."""
        await self.it_asks("udp")

    async def test_it_asks_over_tcp(self) -> None:
        """Its OPTIONS and MESSAGE over TCP are answered (row:B6, row:E15)."""
        await self.it_asks("tcp")

    async def test_we_ask_over_udp(self) -> None:
        """It answers our OPTIONS and MESSAGE over UDP (row:F1)."""
        await self.we_ask("udp")

    async def test_we_ask_over_tcp(self) -> None:
        """It answers our OPTIONS and MESSAGE over TCP (row:F1)."""
        await self.we_ask("tcp")

    async def test_many_at_once(self) -> None:
        """Three hundred texts, fifty at a time over one socket, are each answered and told once (row:B6, row:G9)."""
        for transport in ("udp", "tcp"):
            party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
            address = ("127.0.0.1", party.manager.listening_port)
            await self.peer(Sipp).request("MESSAGE", party.uri(transport), address, transport, TEXT, calls=300)
            self.assertEqual(len({event.request.call_id for event in party.received}), 300)
            self.assertEqual(len(party.received), 300)

    async def test_unknown_method(self) -> None:
        """A method that nobody has registered gets 405, not silence (row:B9)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        address = ("127.0.0.1", party.manager.listening_port)
        sipp = self.peer(Sipp)
        await sipp.request("PUBLISH", party.uri("tcp"), address, "tcp", status=405)
        self.assertIn("\nAllow: ", sipp.messages)


class TlsTests(InteropTestCase):
    """SIPp behind socat, whose TLS is not Twisted's."""

    needs = (Sipp, TlsBefore)

    async def dialled_through(self, party: Party) -> tuple[TlsBefore, Sipp]:
        """socat, through which what SIPp sends over TCP reaches *party* over TLS."""
        tls = self.peer(TlsBefore)
        await tls.dial(party.manager.listening_port, self.certificates.right("localhost"), self.certificates.trust)
        return tls, self.peer(Sipp)

    async def test_it_asks(self) -> None:
        """A MESSAGE over mutual TLS whose Via says TCP is answered on its connection (row:D4, row:E15)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        tls, sipp = await self.dialled_through(party)
        await sipp.request("MESSAGE", party.uri("tls"), ("127.0.0.1", tls.port), "tcp", TEXT)
        (event,) = party.received
        self.assertEqual((event.text.strip(), event.peer.identity), (TEXT, "localhost"))

    async def test_we_ask(self) -> None:
        """A MESSAGE of ours over mutual TLS is answered (row:D4, row:F1)."""
        party = await self.tls_party()
        sipp, tls = self.peer(Sipp), self.peer(TlsBefore)
        await sipp.start_answering("MESSAGE", "tcp")
        await tls.accept(sipp.port, self.certificates.right("localhost"), self.certificates.trust)
        answer = await party.endpoint.send_message(f"sip:sipp@127.0.0.1:{tls.port};transport=tls", TEXT)
        self.assertEqual(answer.status, 200)
        self.assertIn(TEXT, await sipp.answered())
