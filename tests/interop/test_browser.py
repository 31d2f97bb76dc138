"""JsSIP in a headless Chromium asks and is asked over WebSocket, with TLS and without (RFC 7118)."""

from __future__ import annotations

from tests.interop.peers.browser import Browser
from tests.interop.support import TEXT, InteropTestCase, Party

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class BrowserTests(InteropTestCase):
    """A page from a file, which is of the origin ``null``."""

    needs = (Browser,)

    async def exchange(self, party: Party, browser: Browser, transport: str) -> None:
        """The page's MESSAGE reaches us and gets our 200; ours reaches the page over the WebSocket that it opened, and
        gets its 200."""
        connected = await browser.event("connected")
        self.assertEqual((await browser.event("answered"))["status"], 200)
        (event,) = party.received
        self.assertEqual(event.text, TEXT)
        self.assertEqual((event.peer.transport, event.peer.identity), (transport, ""))
        self.assertIn(".invalid", event.request.headers.get("Via"))
        contact = connected["contact"]
        self.assertIn(".invalid;transport=ws", contact)
        answer = await party.endpoint.send_message(contact, f"{TEXT} and back")
        self.assertEqual(answer.status, 200)
        self.assertEqual((await browser.event("message"))["text"], f"{TEXT} and back")
        self.assertEqual(len(party.manager.pool), 1)

    async def test_clear_text(self) -> None:
        """Both ways over ``ws:`` (row:C15, row:E12)."""
        party = await self.clear_text_party(f"ws:{ON_LOOPBACK}:path=/sip:origins=null")
        browser = self.peer(Browser)
        port = party.manager.listening_port
        await browser.start(f"ws://127.0.0.1:{port}/sip", f"sip:alice@127.0.0.1:{port}", TEXT)
        await self.exchange(party, browser, "WS")

    async def test_tls(self) -> None:
        """Both ways over ``wss:``, where the server alone proves who it is (row:C15, row:D12)."""
        party = await self.tls_party(f"wss:{ON_LOOPBACK}:mutual=no:origins=null")
        browser = self.peer(Browser)
        port = party.manager.listening_port
        leaf = self.certificates.right(self.our_domain)
        await browser.start(f"wss://127.0.0.1:{port}/", f"sip:alice@127.0.0.1:{port}", TEXT, leaf)
        await self.exchange(party, browser, "WSS")

    async def test_other_origin(self) -> None:
        """A page of an origin that is not listed does not get in (RFC 6455 section 10.2)."""
        party = await self.clear_text_party(f"ws:{ON_LOOPBACK}")
        browser = self.peer(Browser)
        port = party.manager.listening_port
        await browser.start(f"ws://127.0.0.1:{port}/", f"sip:alice@127.0.0.1:{port}", TEXT)
        await browser.event("disconnected")
        self.assertEqual((party.received, len(party.manager.pool)), ([], 0))

    @property
    def our_domain(self) -> str:
        """The domain that our certificate proves."""
        return "a.example"
