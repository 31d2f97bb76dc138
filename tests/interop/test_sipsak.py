"""sipsak asks over UDP and TCP: ``;alias`` in its Via, a Request-URI whose port has lost a digit, and what we write."""

from __future__ import annotations

from tests.interop.peers.sipsak import Sipsak
from tests.interop.support import TEXT, InteropTestCase

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class SipsakTests(InteropTestCase):
    """Requests that are valid and yet not what one would write."""

    needs = (Sipsak,)

    async def options(self, transport: str) -> None:
        """OPTIONS for a URI that is nearly ours gets 200 from the only endpoint there is."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        text = await self.peer(Sipsak).options(party.uri("udp"), transport)
        self.assertIn("SIP/2.0 200", text)
        self.assertIn("\nAllow: ", text)

    async def odd_message(self, transport: str) -> None:
        """A MESSAGE with long white space, no brackets and compact forms is answered and understood."""
        party = await self.clear_text_party(f"{transport}:{ON_LOOPBACK}")
        uri = party.uri("udp")
        message = "\r\n".join(
            (
                f"MESSAGE {uri} SIP/2.0",
                "f: sip:127.0.0.1;tag=odd",
                f"To:  {uri}",
                "i: odd",
                "cseq:   7    MESSAGE",
                "Max-Forwards: 70",
                "c: text/plain;charset=utf-8",
                f"Content-Length:   {len(TEXT.encode())}",
                "",
                TEXT,
            )
        )
        text = await self.peer(Sipsak).send(uri, transport, message)
        self.assertIn("SIP/2.0 200", text)
        self.assertEqual([event.text for event in party.received], [TEXT])

    async def test_options_over_udp(self) -> None:
        """OPTIONS over UDP (row:F12, row:G3)."""
        await self.options("udp")

    async def test_options_over_tcp(self) -> None:
        """OPTIONS over TCP (row:F12, row:G3)."""
        await self.options("tcp")

    async def test_odd_message_over_udp(self) -> None:
        """An odd MESSAGE over UDP (row:B6, row:B7)."""
        await self.odd_message("udp")

    async def test_odd_message_over_tcp(self) -> None:
        """An odd MESSAGE over TCP (row:B6, row:B7)."""
        await self.odd_message("tcp")
