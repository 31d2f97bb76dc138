"""From options to a connection manager and an endpoint."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.python import usage

from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager, RealTimeServerTlsConnectionManager
from sip_p2p.service.party import Party, make_party
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.target import Target
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.service.support import keys, parsed
from tests.support import SynchronousTestCase

URI = ("--uri", "sip:alice@a.example")


class PartyTests(SynchronousTestCase):
    """:func:`make_party`."""

    def party(self, *arguments: str, clear: bool = False, policy: TrustPolicy | None = None) -> Party:
        """A party on a clock."""
        return make_party(Clock(), parsed(*URI, *arguments), is_clear_text=clear, policy=policy)

    def identity(self, name: str = "a.example.pem", trust: str = "ca.pem") -> tuple[str, ...]:
        """The options for a certificate and an authority."""
        return ("--certificate", str(keys() / name), "--trust", str(keys() / trust))

    def test_tls_is_the_rule(self) -> None:
        """row:A3 row:A4: a certificate means TLS; only localhost may talk to the party unless others are named."""
        party = self.party(*self.identity())
        manager = party.manager
        assert isinstance(manager, RealTimeServerTlsConnectionManager)
        self.assertEqual((str(party.endpoint.aor), manager.need_mutual_tls), ("sip:alice@a.example", True))
        self.assertEqual(str(manager.policy), "localhost")
        manager = self.party(*self.identity(), policy=TrustPolicy.parse("b.example")).manager
        assert isinstance(manager, RealTimeServerTlsConnectionManager)
        self.assertEqual(str(manager.policy), "b.example")

    def test_clear_text_where_it_is_asked_for(self) -> None:
        """Without a certificate, clear text is what remains, if all places say so."""
        self.assertIsInstance(self.party(clear=True).manager, RealTimeServerTcpConnectionManager)
        self.assertIsInstance(self.party(*self.identity(), clear=True).manager, RealTimeServerTlsConnectionManager)

    def test_proxy_and_addresses(self) -> None:
        """row:A1 row:A6: the proxy and the addresses of the options reach the endpoint and the manager."""
        party = self.party(*self.identity(), "--proxy", "tls:p.example:5071", "--resolve", "p.example=127.0.0.1:9")
        assert party.endpoint.proxy is not None
        self.assertEqual(party.endpoint.proxy.target, Target("tls", "p.example", 5071))
        self.assertIsInstance(party.manager.resolver, StaticResolver)
        found = self.successResultOf(party.manager.resolver.resolve(party.endpoint.proxy.target))
        self.assertEqual([(target.host, target.port, target.name) for target in found], [("127.0.0.1", 9, "p.example")])

    def test_what_cannot_be(self) -> None:
        """row:D1: each missing, damaged or mismatched file is one line that names it and the remedy."""
        folder = keys()
        cases = (
            ((), "--certificate is missing"),
            (("--certificate", str(folder / "a.example.pem")), "--trust is missing"),
            (self.identity("none.pem"), f"the certificate {folder}/none.pem cannot be read: No such file"),
            (self.identity("ca.pem"), f"{folder}/ca.pem holds no PEM private key"),
            (self.identity(trust="ca-key.pem"), f"{folder}/ca-key.pem holds no certificate of an authority"),
            (
                (*self.identity(), "--private-key", str(folder / "b.example.pem")),
                f"the private key of {folder}/a.example.pem is not that of its certificate",
            ),
        )
        for arguments, expected in cases:
            with self.subTest(expected):
                error = self.assertRaises(usage.UsageError, self.party, *arguments)
                self.assertTrue(str(error).startswith(expected), str(error))
                self.assertTrue(str(error).isprintable())
