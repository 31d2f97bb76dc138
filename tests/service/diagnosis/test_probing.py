"""What a look at a port shows."""

from __future__ import annotations

from sip_p2p.service.diagnosis.probing import first_octets, look_at_tls
from tests.service.diagnosis.test_doctor import PatientCase
from tests.support import reactor


class ProbeTests(PatientCase):
    """Ports of this machine."""

    async def test_first_octets(self) -> None:
        """row:M14: what comes first is returned, and nothing where nothing comes."""
        for words in (b"220 hello\r\n", b""):
            port = self.server(words)
            self.assertEqual(await first_octets(reactor, "127.0.0.1", port, b"x", 0.3), words)

    async def test_no_more_than_enough(self) -> None:
        """row:M14: a port that says very much is not listened to for ever."""
        port = self.server(b"x" * 1_000_000)
        self.assertLessEqual(len(await first_octets(reactor, "127.0.0.1", port, b"x", 0.3)), 16384)

    async def test_tls(self) -> None:
        """row:M14: a look at TLS shows the certificate, and whether who has none is let in; clear text shows no TLS."""
        mutual, lenient = await self.alice(), await self.alice(need_mutual_tls=False)
        plain = await self.alice(listen="tcp:0:interface=127.0.0.1")
        seen = [
            await look_at_tls(reactor, "127.0.0.1", self.port_of(party), "a.example", 1.0)
            for party in (mutual, lenient, plain)
        ]
        shown = [(each.is_tls, each.admits_anybody) for each in seen]
        self.assertEqual(shown, [(True, False), (True, True), (False, False)])
        certificate = seen[0].certificate
        assert certificate is not None
        self.assertIn("a.example", certificate.subject.rfc4514_string())
        self.assertEqual((seen[0].version, seen[0].application_protocol), ("TLSv1.3", "sip/2"))
