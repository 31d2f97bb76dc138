"""Where what is sent goes: who proves the name, who is nobody, and what is too large."""

from __future__ import annotations

from sip_p2p import ConnectionFailure, TlsFailure, TlsFailureReason
from tests.endpoint.support import PartyTestCase


class FlowSearchTests(PartyTestCase):
    """From a URI to the connection that carries a request."""

    def test_connection_failures(self) -> None:
        """Nobody there is ConnectionFailure, somebody else there is TlsFailure, which is one, too (row:F4, row:D14)."""
        with self.assertRaises(ConnectionFailure) as caught:
            self.run_until(self.alice.send_message("sip:bob@b.example:9", "x"))
        self.assertNotIsInstance(caught.exception, TlsFailure)
        self.assertIn("b.example:9", str(caught.exception))
        self.network.name("c.example", *self.network.addresses_of("b.example"))
        with self.assertRaises(TlsFailure) as tls:
            self.run_until(self.alice.send_message("sip:carol@c.example", "x"))
        self.assertIs(tls.exception.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.assertIsInstance(tls.exception, ConnectionFailure)

    def test_nobody_is_called_so(self) -> None:
        """A name under .invalid that is no connected browser's is refused at once, without DNS (RFC 6761, fault:J3)."""
        for uri in ("sip:x@a1b2c3.invalid", "sip:x@a1b2c3.invalid;transport=ws", "sips:x@a1b2c3.invalid"):
            failure = self.failureResultOf(self.alice.request("OPTIONS", uri), ConnectionFailure).value
            self.assertIn("no", str(failure))
            self.assertIn("a1b2c3.invalid leads nowhere", str(failure))
        self.assertEqual(list(self.network.dns.asked), [])

    def test_large_message_over_udp(self) -> None:
        """A MESSAGE over 1300 octets does not go over UDP (row:F13, fault:I3)."""
        plain = self.network.party("sip:p@p.example", listen=("udp:5060", "tcp:5060"), default_transport="udp")
        seen: list[str] = []
        plain.message_received.subscribe(lambda event: seen.append(event.peer.transport))
        other = self.network.party("sip:o@o.example", listen="udp:5060", default_transport="udp")
        self.run_until(other.send_message("sip:p@p.example", "short"))
        self.run_until(other.send_message("sip:p@p.example", "long" * 400))
        self.assertEqual(seen, ["UDP", "TCP"])
