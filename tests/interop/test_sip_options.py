"""sofia-sip's ``sip-options`` asks us over UDP, TCP and TLS: no user in From, no brackets around its URIs, no rport."""

from __future__ import annotations

from sip_p2p import TlsFailureReason
from tests.interop.peers.sip_options import SipOptions
from tests.interop.support import InteropTestCase

ON_LOOPBACK = "port=0:interface=127.0.0.1"


class SipOptionsTests(InteropTestCase):
    """One question each."""

    needs = (SipOptions,)

    async def test_udp(self) -> None:
        """Our abilities over UDP (RFC 3261 section 11.2; row:F12, row:C14)."""
        party = await self.clear_text_party(f"udp:{ON_LOOPBACK}")
        status, text = await self.peer(SipOptions).ask(party.uri("udp"))
        self.assertEqual(status, 200, text)
        self.assertIn("\nAllow: ", text)
        self.assertIn("\nAccept: ", text)

    async def test_tcp(self) -> None:
        """Our abilities over TCP (row:F12)."""
        party = await self.clear_text_party(f"tcp:{ON_LOOPBACK}")
        status, text = await self.peer(SipOptions).ask(party.uri("tcp"))
        self.assertEqual(status, 200, text)

    async def test_tls(self) -> None:
        """Our abilities over TLS, with a certificate on both sides (row:D4, row:F12)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        asker = self.peer(SipOptions)
        status, text = await asker.ask(party.uri("tls"), self.certificates.right("localhost"), self.certificates.trust)
        self.assertEqual(status, 200, text)

    async def test_tls_without_certificate(self) -> None:
        """Nothing over TLS without a certificate (row:D4, row:D22)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        status, text = await self.peer(SipOptions).ask(party.uri("tls"), None, self.certificates.trust)
        self.assertEqual(status, 503, text)
        self.assertIs((await party.failed).reason, TlsFailureReason.REMOTE_CERTIFICATE_MISSING)

    async def test_tls_with_another_authority(self) -> None:
        """Nothing over TLS with a certificate from elsewhere, and its log names our alert (row:D15, row:D22)."""
        party = await self.tls_party(f"tls:{ON_LOOPBACK}")
        status, text = await self.peer(SipOptions).ask(
            party.uri("tls"), self.certificates.wrong_authority("localhost"), self.certificates.trust
        )
        self.assertEqual(status, 503, text)
        self.assertIn("unknown ca", text)
        self.assertIs((await party.failed).reason, TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE)
