"""Calls with JsSIP in a headless Chromium over WebSocket (RFC 7118), with descriptions as WebRTC wants them."""

from __future__ import annotations

from typing import Any

from tests.interop.calls import Called, CallTestCase
from tests.interop.peers.browser import Browser
from tests.interop.peers.program import until
from tests.interop.support import Party, reactor

ON_LOOPBACK = "port=0:interface=127.0.0.1"

_LINES = """v=0
o=- 1 {version} IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:Abcd
a=ice-pwd:AbcdAbcdAbcdAbcdAbcdAbcd
a=fingerprint:sha-256 {fingerprint}
a=setup:{setup}
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a={direction}
"""


def description(setup: str, direction: str = "sendrecv", version: int = 1) -> str:
    """One stream of speech for a browser, which would be encrypted and never comes."""
    fingerprint = ":".join(["AB"] * 32)
    text = _LINES.format(version=version, setup=setup, direction=direction, fingerprint=fingerprint)
    return text.replace("\n", "\r\n")


class BrowserCallTests(CallTestCase):
    """Both directions, over the one WebSocket that the page opened."""

    needs = (Browser,)

    async def calls(self, party: Party, browser: Browser) -> None:
        """The page calls us, puts us on hold and hangs up; we call the page, change the session and hang up."""
        called = Called(party, description("active"))
        contact = (await browser.event("connected"))["contact"]
        await browser.event("answered")
        await party.endpoint.send_message(contact, "/call")
        call = await called.call()
        await call.reaches("CONNECTED")
        self.assertIn(b"UDP/TLS/RTP/SAVPF", call.session.remote_description.body)
        self.assertEqual((await browser.event("confirmed"))["originator"], "local")
        offers: list[bytes] = []

        def answer(offer: Any) -> str:
            offers.append(offer.description.body)
            return description("active", "recvonly", 2)

        call.session.offer_received.subscribe(answer)
        await party.endpoint.send_message(contact, "/hold")
        await until(reactor, lambda: bool(offers), 10, "hold")
        self.assertIn(b"a=sendonly", offers[0])
        await party.endpoint.send_message(contact, "/hang up")
        self.assertEqual(await call.reaches("DISCONNECTED"), "TERMINATED_REMOTELY")
        await browser.event("ended")
        call = await self.call(party, contact, description("actpass"))
        self.assertIn(b"UDP/TLS/RTP/SAVPF", call.session.remote_description.body)
        answered = await call.session.renegotiate(description("actpass", "sendonly", 2))
        self.assertIn(b"a=recvonly", answered.body)
        await call.session.terminate()
        self.assertEqual((await browser.event("ended"))["originator"], "remote")
        self.assertEqual(len(party.manager.pool), 1)

    async def test_clear_text(self) -> None:
        """Both ways over ``ws:`` (row:C15, row:H3, row:H4, row:H20)."""
        party = await self.clear_text_party(f"ws:{ON_LOOPBACK}:path=/sip:origins=null")
        browser = self.peer(Browser)
        port = party.manager.listening_port
        await browser.start(f"ws://127.0.0.1:{port}/sip", f"sip:alice@127.0.0.1:{port}", "hello")
        await self.calls(party, browser)

    async def test_tls(self) -> None:
        """Both ways over ``wss:`` (row:C15, row:H3, row:H4, row:H20)."""
        party = await self.tls_party(f"wss:{ON_LOOPBACK}:mutual=no:origins=null")
        browser = self.peer(Browser)
        port = party.manager.listening_port
        leaf = self.certificates.right("a.example")
        await browser.start(f"wss://127.0.0.1:{port}/", f"sip:alice@127.0.0.1:{port}", "hello", leaf)
        await self.calls(party, browser)
