"""Targets found through DNS: in memory with a clock, and over a real name server."""

from __future__ import annotations

import contextlib
import io
import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.names import dns

from sip_p2p.endpoint.server_managers import RealTimeServerTcpConnectionManager
from sip_p2p.errors import ConnectionFailure
from sip_p2p.sip.uri import SipUri
from sip_p2p.testing import Network, Zones
from sip_p2p.transport.dns.dead_targets import DeadTargets
from sip_p2p.transport.dns.dns_resolver import DnsResolver, dns_beneath
from sip_p2p.transport.dns.name_servers import HostsFile
from sip_p2p.transport.dns.resolver import AddressResolver, StaticResolver
from sip_p2p.transport.limits import Limits
from sip_p2p.transport.target import Target, Transport, target_of
from tests.manual import ROOT, blocks
from tests.support import SynchronousTestCase, TestCase, vectors
from tests.transport.name_servers import BrokenNameServer, NameServer, reactor


def soa(zone: str, minimum: int) -> Any:
    """The SOA of a zone."""
    return dns.RRHeader(zone.encode(), dns.SOA, dns.IN, 900, dns.Record_SOA(minimum=minimum))


class MemoryTestCase(SynchronousTestCase):
    """A resolver on a host of the network in memory."""

    limits = Limits()

    def setUp(self) -> None:
        """A host whose DNS takes a tenth of a second."""
        self.network = Network()
        self.network.name_delay = 0.1
        self.host = self.network.host()
        self.zones = self.network.dns
        self.resolver = DnsResolver(self.host, limits=self.limits, randomness=random.Random(1))
        self.addCleanup(self.network.assert_quiet)

    def find(self, target: Target) -> list[str]:
        """The addresses of a target."""
        return [each.host for each in self.network.run_until(self.resolver.resolve(target))]

    def asked(self) -> list[str]:
        """What has been asked since the last time."""
        asked = list(self.zones.asked)
        self.zones.asked.clear()
        return asked

    def failure_of(self, target: Target) -> str:
        """Why a target is not found."""
        with self.assertRaises(ConnectionFailure) as caught:
            self.find(target)
        return str(caught.exception)


class CacheTests(MemoryTestCase):
    """What is remembered, and for how long."""

    def test_time_to_live(self) -> None:
        """An answer is asked for again when its time is over, and not before (row:E25)."""
        self.zones.add("b.example 60 A 10.0.0.1")
        target = Target("tls", "b.example", 5061)
        self.assertEqual(self.find(target), ["10.0.0.1"])
        self.asked()
        self.network.advance(58)
        self.find(target)
        self.assertNotIn("A b.example", self.asked())
        self.network.advance(3)
        self.find(target)
        self.assertIn("A b.example", self.asked())

    def test_absence(self) -> None:
        """That there is nothing is remembered for as long as the SOA says (row:E25, RFC 2308)."""

        class Absent:
            """Says that there is no such name, and how long that holds."""

            def __init__(self) -> None:
                self.asked = 0

            def query(self, query: Any, timeout: Any = None) -> Deferred[Any]:
                self.asked += 1
                answer: Deferred[Any] = Deferred()
                answer.callback(([], [soa("example", 30)], []))
                return answer

        absent = Absent()
        self.resolver = DnsResolver(self.host, dns=absent)
        for wait, asked in ((0, 2), (29, 2), (2, 4)):
            self.network.advance(wait)
            self.failure_of(Target("tls", "b.example", 5061))
            self.assertEqual(absent.asked, asked)

    def test_failure(self) -> None:
        """A failure is not tried again for some seconds, however many ask (fault:J3)."""
        self.zones.fail("b.example", "SERVFAIL")
        for _ in range(50):
            self.assertIn("SERVFAIL", self.failure_of(Target("tls", "b.example", 5061)))
        self.assertEqual(len(self.asked()), 2)
        self.network.advance(6)
        self.zones.fail("b.example", None)
        self.zones.add("b.example A 10.0.0.1")
        self.assertEqual(self.find(Target("tls", "b.example", 5061)), ["10.0.0.1"])

    def test_one_question(self) -> None:
        """However many wait for one answer, it is asked for once (fault:J3)."""
        self.zones.add("b.example A 10.0.0.1")
        waiting = [self.resolver.resolve(Target("tls", "b.example", 5061)) for _ in range(1000)]
        self.network.advance(1)
        self.assertEqual(len(self.asked()), 2)
        for each in waiting:
            self.assertEqual(len(self.successResultOf(each)), 1)

    def test_forgetting(self) -> None:
        """What is remembered can be forgotten."""
        self.zones.add("b.example A 10.0.0.1")
        self.find(Target("tls", "b.example", 5061))
        self.assertEqual(self.resolver.remembered, 1)
        self.resolver.forget()
        self.assertEqual(self.resolver.remembered, 0)


class BoundTests(MemoryTestCase):
    """What somebody else's DNS can make us hold."""

    limits = Limits(dns_cache=5, dns_records=3, dns_servers=2)

    def test_memory(self) -> None:
        """Only so many answers are remembered (fault:J3)."""
        for number in range(20):
            self.zones.add(f"n{number}.example A 10.0.0.{number + 1}")
            self.find(Target("tls", f"n{number}.example", 5061))
        self.assertEqual(self.resolver.remembered, 5)
        self.assertEqual(self.resolver.hits, {"dns_cache": 15})

    def test_a_thousand_addresses(self) -> None:
        """Of a thousand addresses a few are tried (fault:J3)."""
        self.zones.add(*(f"b.example A 10.0.{n // 250}.{n % 250 + 1}" for n in range(1000)))
        self.assertEqual(len(self.find(Target("tls", "b.example", 5061))), 3)
        self.assertEqual(self.resolver.hits, {"dns_records": 1})

    def test_beneath_a_table(self) -> None:
        """Other bounds reach the resolver that a table of names falls back to, too, and its figures are the manager's
        (row:E10, row:M10)."""
        resolver = StaticResolver({}, StaticResolver({"x.example": ("10.0.0.9", None)}, self.resolver))
        self.assertIs(dns_beneath(resolver), self.resolver)
        self.assertIsNone(dns_beneath(StaticResolver({}, AddressResolver(self.host))))
        manager = RealTimeServerTcpConnectionManager(self.host, resolver=resolver)
        manager.limits = manager.limits.replace(dns_cache=1)
        for name in "ab":
            self.zones.add(f"{name}.example A 10.0.0.1")
            self.network.run_until(resolver.resolve(Target("tls", f"{name}.example", 5061)))
        self.assertEqual(manager.metrics()["limit_dns_cache"], 1)
        self.network.run_until(manager.terminate())

    def test_many_servers(self) -> None:
        """Of many servers those that would come last are left out, and it is counted (row:M10, fault:J3)."""
        for number in range(3):
            self.zones.add(f"_sips._tcp.b.example SRV {number} 0 5061 n{number}.example")
            self.zones.add(f"n{number}.example A 10.0.0.{number + 1}")
        self.assertEqual(self.find(Target("tls", "b.example")), ["10.0.0.1", "10.0.0.2"])
        self.assertEqual(self.resolver.hits, {"dns_servers": 1})


class ReservedNameTests(MemoryTestCase):
    """Names of which DNS is not asked (RFC 6761)."""

    def test_nobody(self) -> None:
        """A name under .invalid is refused at once, and so is a server whose name is such (fault:J3)."""
        self.zones.add("_sips._tcp.b.example SRV 0 0 5061 x.invalid")
        for name in ("x.invalid", "X.Invalid."):
            resolving = self.resolver.resolve(Target("tls", name.rstrip(".")))
            self.assertIn("NXDOMAIN", str(self.failureResultOf(resolving, ConnectionFailure).value))
        self.assertEqual(self.asked(), [])
        self.assertIn("x.invalid", self.failure_of(Target("tls", "b.example")))
        self.assertEqual([each for each in self.asked() if "invalid" in each], [])

    def test_this_machine(self) -> None:
        """A name under .localhost is this machine, whatever DNS may say (fault:J3)."""
        self.zones.add("sip.localhost A 10.6.6.6")
        self.assertEqual(self.find(Target("tls", "sip.localhost")), ["::1", "127.0.0.1"])
        self.assertEqual(self.find(Target("tls", "localhost", 5061)), ["::1", "127.0.0.1"])
        self.assertEqual(self.asked(), [])


class PatienceTests(MemoryTestCase):
    """DNS that does not answer, or too late."""

    def test_silence(self) -> None:
        """A look-up ends in ten seconds, whatever DNS does, and says what it waited for (fault:J3)."""
        self.zones.fail("_sips._tcp.b.example", "SILENCE")
        resolving = self.resolver.resolve(Target("tls", "b.example"))
        self.network.advance(9.9)
        self.assertNoResult(resolving)
        self.network.advance(0.2)
        words = str(self.failureResultOf(resolving, ConnectionFailure).value)
        self.assertIn("SRV of _sips._tcp.b.example", words)
        self.assertIn("10 s", words)
        self.assertEqual((self.resolver.looking_up, self.resolver.hits), (0, {"dns_timeout": 1}))

    def test_given_up(self) -> None:
        """An answer that comes after the look-up was given up disturbs nobody, and others still get theirs
        (fault:J3)."""
        self.zones.add("b.example A 10.0.0.1")
        target = Target("tls", "b.example", 5061)
        gone, staying = self.resolver.resolve(target), self.resolver.resolve(target)
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.network.advance(1)
        self.assertEqual(len(self.successResultOf(staying)), 1)
        last = self.resolver.resolve(Target("tls", "c.example", 5061))
        last.cancel()
        self.failureResultOf(last, CancelledError)
        self.assertEqual((self.resolver.looking_up, self.host.getDelayedCalls()), (0, []))
        self.network.advance(20)

    def test_words(self) -> None:
        """Each way in which DNS fails has its own words (fault:J3)."""
        self.zones.add("loop.example CNAME pool.example", "pool.example CNAME loop.example")
        self.zones.add("empty.example CNAME nowhere.example", "nothing.example SRV 0 0 1 x.example")
        for name, how, words in (
            ("gone.example", "NXDOMAIN", "NXDOMAIN"),
            ("broken.example", "SERVFAIL", "could not tell: SERVFAIL"),
            ("slow.example", "TIMEOUT", "no name server answered in time"),
            ("loop.example", None, "round in circles"),
            ("empty.example", None, "NXDOMAIN"),
            ("nothing.example", None, "no usable AAAA or A record"),
        ):
            self.zones.fail(name, how)
            self.assertIn(words, self.failure_of(Target("tls", name, 5061)), name)

    def test_aliases_one_by_one(self) -> None:
        """Aliases of which each has to be asked for are followed, eight of them (fault:J3)."""

        class Single(Zones):
            """Gives one record an answer."""

            def query(self, query: Any, timeout: Any = None) -> Deferred[Any]:
                return super().query(query).addCallback(lambda found: (found[0][:1], [], []))

        for length, works in ((8, True), (12, False)):
            zones = Single(*(f"n{n}.example CNAME n{n + 1}.example" for n in range(length)))
            zones.add(f"n{length}.example A 10.0.0.1")
            self.resolver = DnsResolver(self.host, dns=zones, hosts=HostsFile("/nonexistent"))
            if works:
                self.assertEqual(self.find(Target("tls", "n0.example", 5061)), ["10.0.0.1"])
            else:
                self.assertIn("for ever", self.failure_of(Target("tls", "n0.example", 5061)))

    def test_nonsense(self) -> None:
        """A resolver that raises, or answers with what is none, is a failure like any other (fault:J3)."""

        class Nonsense:
            """Answers with what the test says."""

            answer: Any = None

            def query(self, query: Any, timeout: Any = None) -> Any:
                if isinstance(self.answer, BaseException):
                    raise self.answer
                return self.answer

        for answer in (RuntimeError("broken"), None, (1, 2), ([1], [], [])):
            nonsense = Nonsense()
            nonsense.answer = answer
            self.resolver = DnsResolver(self.host, dns=nonsense)
            self.assertIn("could not tell", self.failure_of(Target("tls", "b.example", 5061)))


class ExplainTests(MemoryTestCase):
    """:meth:`sip_p2p.transport.dns.dns_resolver.DnsResolver.explain`."""

    def test_dead(self) -> None:
        """Servers that failed lately are named, with the time that is left (row:E24, row:E25)."""
        dead = self.resolver.dead_targets = DeadTargets(self.network.seconds)
        self.zones.add("b.example A 10.0.0.1", "b.example A 10.0.0.2")
        target = Target("tls", "b.example", 5061)
        (one, two) = self.network.run_until(self.resolver.resolve(target))
        dead.failed(one, 60)
        said = "\n".join(self.network.run_until(self.resolver.explain(target)))
        self.assertIn(f"TLS {one.host}:5061 failed lately and comes last for another 60 s", said)
        self.assertNotIn("all of them", said)
        dead.failed(two)
        self.assertIn("all of them failed lately", "\n".join(self.network.run_until(self.resolver.explain(target))))

    def test_failure(self) -> None:
        """Where nothing is found the reasons end with that."""
        said = self.network.run_until(self.resolver.explain(Target("tls", "b.example")))
        self.assertIn("NXDOMAIN", said[-1])
        self.assertIn("SRV of _sips._tcp.b.example", "\n".join(said))


class DocumentTests(SynchronousTestCase):
    """``docs/locating.rst``."""

    def test_explanation(self) -> None:
        """The explanation in the document is what its program prints (row:E25)."""
        document = ROOT / "docs" / "locating.rst"
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(blocks(document, "python")[0], {})
        self.assertEqual(printed.getvalue(), blocks(document, "text")[0])


class OwnTableTests(SynchronousTestCase):
    """The machine's own table."""

    def test_before_dns(self) -> None:
        """localhost, and what the hosts file knows, is found without a single question to DNS (row:E25)."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write("127.0.0.7 b.example\n")
        zones = Zones("one.b.example A 10.6.6.6", "_sips._tcp.c.example SRV 0 0 5061 b.example")
        resolver = DnsResolver(reactor, dns=zones, hosts=HostsFile(path))
        for name, address in (("b.example", "127.0.0.7"), ("localhost", "127.0.0.1")):
            found = self.successResultOf(resolver.resolve(Target("tls", name)))
            self.assertIn(address, [each.host for each in found])
            self.assertEqual(found[0].name, name)
        self.assertEqual(list(zones.asked), [])
        # A server that DNS names may stand in the table as well.
        (found,) = self.successResultOf(resolver.resolve(Target("tls", "c.example")))
        self.assertEqual((found.host, found.name), ("127.0.0.7", "c.example"))

    def test_addresses_without_a_way(self) -> None:
        """An address to which this machine has no way comes last among those of its server (row:E23, RFC 6724)."""
        resolver = DnsResolver(reactor, dns=Zones(), has_route=lambda address: ":" not in address)
        targets = [Target("tls", "b.example").at(host, 5061, "b.example") for host in ("fd00::1", "10.0.0.1")]
        self.assertEqual(resolver.reachable_first(targets), targets[::-1])
        resolver = DnsResolver(reactor, dns=Zones(), has_route=lambda address: True)
        self.assertEqual(resolver.reachable_first(targets), targets)


class RealServerTests(TestCase):
    """The vectors once more, through a real name server on the loopback interface, by UDP and TCP."""

    def setUp(self) -> None:
        """The zone of the vectors."""
        self.data = vectors("rfc3263")
        zone = [record for record in self.data["pjsip_zone"] if "(" not in record]
        self.server = NameServer(*zone, "_sip._udp.domain.com SRV 1 0 50060 sip06.domain.com")
        self.server.zones.add(*(f"example.org NAPTR {record}" for record in self.data["rfc_example"]["naptr"]))
        self.server.zones.add(*(f"_sip._tcp.example.com SRV {record}" for record in self.data["rfc_example"]["srv"]))
        self.server.zones.add("server1.example.com A 10.0.0.1", "server2.example.com A 10.0.0.2")
        self.server.zones.add(*(f"many.example A 10.1.0.{n}" for n in range(1, 101)))
        self.resolver = self.resolver_with()

    def resolver_with(self, **options: Any) -> DnsResolver:
        """A resolver that asks this server."""
        return DnsResolver(reactor, name_servers=[self.server.address], hosts=HostsFile("/nonexistent"), **options)

    async def tearDown(self) -> None:
        """The server goes."""
        await self.server.stop()
        await super().tearDown()

    async def test_vectors(self) -> None:
        """Every case leads where it should (row:E25, row:E26, fault:J4)."""
        resolver = self.resolver_with(transports=("udp", "tcp"))
        for case in self.data["pjsip_cases"]:
            uri = f"sip:{case['host']}" + (f":{case['port']}" if case["port"] else "")
            uri += f";transport={case['transport'].lower()}" if case["transport"] else ""
            found = await resolver.resolve(target_of(SipUri.parse(uri), Transport.UDP))
            listed = [[each.transport.value, each.host, each.port] for each in found]
            if isinstance(case["result"], str):
                self.assertEqual((listed[-1][1], len(listed)), ("4.4.4.4", 4))
            else:
                self.assertEqual([each for each in listed if each[0] == listed[0][0]], case["result"], uri)

    async def test_example_of_the_rfc(self) -> None:
        """NAPTR chooses TCP where there is no TLS (row:E25)."""
        resolver = self.resolver_with(transports=("tcp", "udp"))
        found = await resolver.resolve(target_of(SipUri.parse("sip:example.org"), Transport.UDP))
        tcp = [each.host for each in found if each.transport is Transport.TCP]
        self.assertEqual((set(tcp), found[0].transport), ({"10.0.0.1", "10.0.0.2"}, Transport.TCP))

    async def test_large_answer(self) -> None:
        """An answer that needs TCP is found as well (row:E25)."""
        self.assertEqual(len(await self.resolver.resolve(Target("tls", "many.example", 5061))), 32)

    async def test_unknown(self) -> None:
        """A name that the server does not know is said to be unknown (fault:J3)."""
        with self.assertRaises(ConnectionFailure) as caught:
            await self.resolver.resolve(Target("tls", "unknown.example"))
        self.assertIn("NXDOMAIN", str(caught.exception))

    async def test_silent_server(self) -> None:
        """A name server that never answers costs as long as the bound says, and leaves nothing behind (fault:J3)."""
        silent = BrokenNameServer(lambda asked: [])
        resolver = DnsResolver(
            reactor, name_servers=[silent.address], hosts=HostsFile("/nonexistent"), limits=Limits(dns_timeout=0.2)
        )
        with self.assertRaises(ConnectionFailure) as caught:
            await resolver.resolve(Target("tls", "b.example"))
        self.assertIn("SRV of _sips._tcp.b.example", str(caught.exception))
        self.assertEqual(resolver.looking_up, 0)
        await silent.stop()
