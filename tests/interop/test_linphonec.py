"""linphonec sends MESSAGE to us over UDP, TCP and TLS, and answers ours over UDP and TCP.

It is the strictest client about TLS, and speaks TLS 1.2. It may announce that somebody types before the text itself:
only text is looked at here.
"""

from __future__ import annotations

from twisted.internet import reactor

from tests.interop.peers.linphone import Linphone
from tests.interop.peers.program import until
from tests.interop.support import InteropTestCase, Party

ON_LOOPBACK = "port=0:interface=127.0.0.1"
TEXT = "three words only"


class LinphoneTests(InteropTestCase):
    """A softphone that we neither register nor call."""

    needs = (Linphone,)

    async def hears(self, party: Party, uri: str) -> Linphone:
        """Its text reaches our subscriber."""
        linphone = self.peer(Linphone)
        await linphone.start(uri, self.certificates.right("localhost"), self.certificates.trust)
        linphone.message(uri, TEXT)
        await until(
            reactor,
            lambda: any(event.text == TEXT for event in party.received),
            15.0,
            f"a text\n{linphone.program.report()}\n{linphone.log[-8000:]}",
        )
        return linphone

    async def test_udp(self) -> None:
        """MESSAGE both ways over UDP (row:B6, row:C14, row:F1)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        linphone = await self.hears(party, party.uri("udp"))
        answer = await party.endpoint.send_message(linphone.uri("udp"), "hello over udp")
        self.assertEqual(answer.status, 200)
        await linphone.program.find("hello over udp")

    async def test_tcp(self) -> None:
        """MESSAGE both ways over TCP (row:B6, row:F1)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        linphone = await self.hears(party, party.uri("tcp"))
        answer = await party.endpoint.send_message(linphone.uri("tcp"), "hello over tcp")
        self.assertEqual(answer.status, 200)
        await linphone.program.find("hello over tcp")

    async def test_tls(self) -> None:
        """It finds ``localhost`` in our certificate, shows its own, and its text arrives over TLS 1.2 (row:D4)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}", certificate=self.certificates.right("localhost"))
        await self.hears(party, party.uri("tls", "localhost"))
        self.assertEqual({event.peer.identity for event in party.received}, {"localhost"})
        self.assertEqual({event.peer.tls_version for event in party.received}, {"TLSv1.2"})
