"""DNS records in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IResolver
from twisted.names import dns
from twisted.names.error import AuthoritativeDomainError, DNSServerError

from sip_p2p.testing import Network, Zones
from tests.support import SynchronousTestCase


class ZonesTests(SynchronousTestCase):
    """:class:`sip_p2p.testing.Zones`."""

    def setUp(self) -> None:
        """A zone."""
        self.zones = Zones("b.example 60 A 10.0.0.1", "www.b.example CNAME b.example")

    def ask(self, name: str, kind: int = dns.A) -> Any:
        """Ask a question."""
        return self.zones.query(dns.Query(name.encode(), kind))

    def test_answers(self) -> None:
        """A question is answered with the records of its type, aliases with what they lead to."""
        answers, _, _ = self.successResultOf(self.ask("B.Example"))
        self.assertEqual([(each.ttl, each.payload.dottedQuad()) for each in answers], [(60, "10.0.0.1")])
        answers, _, _ = self.successResultOf(self.ask("www.b.example"))
        self.assertEqual([each.type for each in answers], [dns.CNAME, dns.A])
        self.assertEqual(list(self.zones.asked), ["A b.example", "A www.b.example"])
        self.assertEqual(self.successResultOf(self.ask("b.example", dns.AAAA)), ([], [], []))
        self.assertTrue(IResolver.providedBy(self.zones))

    def test_absence(self) -> None:
        """What is not there is no such name; what has only names below it is (RFC 8020)."""
        self.failureResultOf(self.ask("c.example"), AuthoritativeDomainError)
        self.assertEqual(self.successResultOf(self.ask("example")), ([], [], []))
        self.zones.remove("b.example", "AAAA")
        self.successResultOf(self.ask("b.example"))
        self.zones.remove("b.example")
        self.assertEqual(self.successResultOf(self.ask("b.example")), ([], [], []))
        self.zones.remove("www.b.example")
        self.failureResultOf(self.ask("b.example"), AuthoritativeDomainError)

    def test_failures(self) -> None:
        """A name can be made to fail, and to answer again."""
        for how, error in (
            ("NXDOMAIN", AuthoritativeDomainError),
            ("SERVFAIL", DNSServerError),
            ("TIMEOUT", DeferredTimeout),
        ):
            self.zones.fail("b.example", how)
            self.failureResultOf(self.ask("b.example"), error)
        self.zones.fail("b.example", "SILENCE")
        self.assertNoResult(self.ask("b.example"))
        self.zones.fail("b.example", None)
        self.successResultOf(self.ask("b.example"))
        self.assertRaises(ValueError, self.zones.fail, "b.example", "a cold")

    def test_mistakes(self) -> None:
        """A record that cannot be read is refused, with how to write one."""
        for text in ("", "b.example", "b.example A", "b.example TXT x", "b.example SRV 0 0 b.example"):
            self.assertIn("name [ttl] type data", str(self.assertRaises(ValueError, Zones, text)))

    def test_of_a_network(self) -> None:
        """Every host of a network in memory has its DNS, with the addresses of its names."""
        network = Network()
        host = network.host("10.0.0.5", names=["c.example"])
        network.name_delay = 2
        asking = IResolver(host).query(dns.Query(b"c.example", dns.A))
        network.advance(1)
        self.assertNoResult(asking)
        network.advance(1)
        answers, _, _ = self.successResultOf(asking)
        self.assertEqual(answers[0].payload.dottedQuad(), "10.0.0.5")
