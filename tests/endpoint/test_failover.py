"""From one server to the next: what makes a request go on, what does not, and to whom it never goes."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

from sip_p2p import (
    AddressResolver,
    AlreadyResponded,
    ConnectionFailure,
    DnsResolver,
    InvalidOperation,
    OperationTimeout,
    RealTimeServerTlsConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
    Target,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.endpoint.failover import Candidates
from sip_p2p.pki import CertificateAuthority
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.dns.dead_targets import DeadTargets
from sip_p2p.transport.dns.family import AddressFamilyHint
from sip_p2p.transport.dns.name_servers import HostsFile
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.support import SynchronousTestCase, TestCase
from tests.transport.name_servers import NameServer, reactor


class ServersTestCase(SynchronousTestCase):
    """Alice, and several servers of one domain."""

    def setUp(self) -> None:
        """A network where DNS knows the servers in their order."""
        self.network = Network(delay=0.01)
        self.alice = self.network.party("sip:alice@a.example")
        self.managers: list[RealTimeServerTlsConnectionManager] = []
        self.served: list[str] = []
        self.branches: list[str] = []
        self.answers: dict[str, Any] = {}
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Everything ends, and nothing is left."""
        for manager in self.managers:
            self.network.run_until(manager.terminate())
        self.network.finish()

    def server(self, name: str, listen: str = "tls:port=5061", proves: str = "b.example", **options: Any) -> Any:
        """One more server of b.example, on a host of its own."""
        host = self.network.host(names=[f"{name}.b.example"])
        manager = RealTimeServerTlsConnectionManager(
            host,
            Credential.from_pem(self.network.authority.issue(proves).pem),
            trust=TrustAnchors.from_pem(self.network.authority.pem),
            allow=TrustPolicy.any_authenticated(),
            **options,
        )
        self.managers.append(manager)
        party = SipPeerToPeerEndpoint("sip:bob@b.example", manager)

        def arrived(event: Any) -> None:
            self.served.append(name)
            self.branches.append(str(event.request.via))
            answer = self.answers.get(name)
            if answer is not None:
                answer(event)

        party.message_received.subscribe(arrived)
        self.network.run_until(manager.start_listening(listen))
        return manager

    def in_dns(self, *names: str, service: str = "_sips._tcp", port: int = 5061) -> None:
        """SRV records, each of the next priority."""
        for priority, name in enumerate(names):
            self.network.dns.add(f"{service}.b.example SRV {priority} 0 {port} {name}.b.example")

    def send(self, uri: str = "sip:bob@b.example", **options: Any) -> int:
        """The status that a MESSAGE gets."""
        try:
            return self.network.run_until(self.alice.send_message(uri, "x", **options)).status
        except RequestFailed as failure:
            return failure.status

    def failure(self, **options: Any) -> BaseException:
        """Why a MESSAGE gets no answer."""
        with self.assertRaises((ConnectionFailure, OperationTimeout)) as caught:
            self.network.run_until(self.alice.send_message("sip:bob@b.example", "x", **options))
        return caught.exception


class StreamTests(ServersTestCase):
    """Servers over TLS."""

    def test_connection_failure(self) -> None:
        """A server that cannot be connected to is passed over, then, and for ten minutes (row:E24, fault:J4)."""
        self.network.host(names=["one.b.example"])
        self.server("two")
        self.in_dns("one", "two")
        self.assertEqual((self.send(), self.served), (200, ["two"]))
        manager = self.alice.connection_manager
        self.assertEqual(len(manager.dead_targets), 1)
        self.assertIn("failed lately", "\n".join(self.explained()))

    def explained(self) -> list[str]:
        """Why b.example leads where it does."""
        resolver: Any = self.alice.connection_manager.resolver
        return self.network.run_until(resolver.explain(Target("tls", "b.example")))

    def test_servers_that_go_one_after_the_other(self) -> None:
        """As servers die the next one serves; when the last is gone that is the failure; one that comes back is found
        (row:E24, fault:J4)."""
        for name in ("one", "two", "three"):
            self.server(name)
        self.in_dns("one", "two", "three")
        for name, manager in zip(("one", "two", "three"), self.managers, strict=True):
            self.assertEqual(self.send(), 200)
            self.assertEqual(self.served[-1], name)
            self.network.run_until(manager.terminate())
            self.network.advance(1)
        self.assertIsInstance(self.failure(), ConnectionFailure)
        self.network.advance(60)
        again = self.server("four")
        self.in_dns("four")
        self.alice.connection_manager.resolver.forget()  # type: ignore[attr-defined]
        self.assertEqual((self.send(), self.served[-1]), (200, "four"))
        self.assertIsNotNone(again)

    def test_wrong_name(self) -> None:
        """A server that proves another name is passed over; all servers are held to the one name that the user gave
        (row:D14, row:E24, fault:F12)."""
        self.server("one", proves="one.b.example")
        self.server("two")
        self.in_dns("one", "two")
        self.assertEqual((self.send(), self.served), (200, ["two"]))

    def test_nobody_proves_it(self) -> None:
        """Where no server proves the name the failure says so, though the last one was merely not there (row:D14,
        fault:J3)."""
        self.server("one", proves="one.b.example")
        self.network.host(names=["two.b.example"])
        self.in_dns("one", "two")
        failure = self.failure()
        assert isinstance(failure, TlsFailure)
        self.assertIs(failure.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.assertEqual(self.served, [])

    def test_overloaded(self) -> None:
        """503 leads on to the next server, with another branch; where all say so that is the outcome (row:E24,
        RFC 3263 section 4.3)."""
        for name in ("one", "two"):
            self.server(name)
        self.in_dns("one", "two")
        self.answers["one"] = lambda event: event.respond(503, headers=[("Retry-After", "100")])
        self.assertEqual((self.send(), self.served), (200, ["one", "two"]))
        self.assertNotEqual(*self.branches)
        self.answers["two"] = lambda event: event.respond(503)
        self.served.clear()
        self.assertEqual(self.send(retry_after="never"), 503)
        self.assertIn("two", self.served)

    def test_died_of_it(self) -> None:
        """A request that a server may have read before its connection was lost is not given to the next server: it
        fails, and is delivered once, while OPTIONS goes on (row:E13, row:E24)."""
        first = self.server("one")
        self.server("two")
        self.in_dns("one", "two")

        def hang_up(abruptly: bool) -> None:
            for flow in first.pool:
                flow.abort() if abruptly else flow.close()

        for abruptly in (True, False):
            self.answers["one"] = lambda event, abruptly=abruptly: hang_up(abruptly)
            for _ in range(2):
                self.served.clear()
                self.failure()
                self.network.advance(1)
                self.assertEqual(self.served, ["one"])
                # The second time the connection is an old one.
                del self.answers["one"]
                self.assertEqual(self.send(), 200)
                self.answers["one"] = lambda event, abruptly=abruptly: hang_up(abruptly)
            self.network.advance(1)
        (bob,) = first.endpoints
        bob.handle("OPTIONS", lambda event: hang_up(True))
        response = self.network.run_until(self.alice.request("OPTIONS", "sip:bob@b.example"))
        self.assertEqual(response.status, 200)

    def test_other_answers(self) -> None:
        """Any other final response is an answer, and nobody else is asked (RFC 3263 section 4.3)."""
        for name in ("one", "two"):
            self.server(name)
        self.in_dns("one", "two")
        for status in (404, 486, 500, 504, 600):
            self.served.clear()
            self.answers["one"] = lambda event, status=status: event.respond(status)
            self.assertEqual((self.send(retry_after="never"), self.served), (status, ["one"]))

    def test_silent(self) -> None:
        """A server that takes the request and never answers gives way to the next one when its time is over
        (row:E24, fault:J4)."""
        silent = self.network.host(names=["one.b.example"])
        taken: list[bytes] = []

        class Taking(Protocol):
            def dataReceived(self, data: bytes) -> None:
                taken.append(data)

        factory = Factory.forProtocol(Taking)
        factory.noisy = False
        port = silent.listenTCP(5060, factory)
        self.server("two", "tcp:5060:interface=0.0.0.0")
        asked: list[Any] = []
        self.answers["two"] = lambda event: asked.append(event.request)
        self.in_dns("one", "two", service="_sip._tcp", port=5060)
        self.assertEqual((self.send("sip:bob@b.example;transport=tcp"), self.served), (200, ["two"]))
        self.assertEqual(self.network.seconds() // 32, 1)
        first, (second,) = parse_message(b"".join(taken)), asked
        # Whoever compares what both were asked knows it for the same.
        for name in ("Call-ID", "CSeq", "From"):
            self.assertEqual(first.headers[name], second.headers[name])
        self.assertNotEqual(first.via.branch, second.via.branch)
        port.stopListening()
        self.network.cut("one.b.example")

    def test_at_work(self) -> None:
        """Whoever has answered provisionally is at work: nobody else is asked to do the same."""
        for name in ("one", "two"):
            self.server(name)
        self.in_dns("one", "two")

        def vanish(event: Any) -> None:
            event.respond(100)
            self.network.advance(0.1)
            self.network.cut("one.b.example")

        self.answers["one"] = lambda event: self.network.later(0, vanish, event) or event.defer()
        self.alice.connection_manager.resolver.forget()  # type: ignore[attr-defined]
        failure = self.failure(timeout=20)
        self.assertIsInstance(failure, (ConnectionFailure, OperationTimeout))
        self.assertEqual(self.served, ["one"])

    def test_explanation(self) -> None:
        """An endpoint says where a request would go and why: by DNS, over a connection that is open, or through its
        proxy (row:E25)."""
        self.server("one")
        self.in_dns("one")
        said = self.network.run_until(self.alice.explain("sip:bob@b.example"))
        self.assertIn("<Target TLS b.example:5061>", said[0])
        self.assertIn("whoever answers with TLS must prove b.example", said[-1])
        self.send()
        self.assertIn("a connection is open", self.network.run_until(self.alice.explain("sip:bob@b.example"))[1])
        manager = self.alice.connection_manager
        behind = SipPeerToPeerEndpoint("sip:z@a.example", manager, proxy="tls:one.b.example:5061")
        self.assertIn("outbound proxy", self.network.run_until(behind.explain("sip:bob@b.example"))[1])
        manager.resolver = AddressResolver(manager.reactor)
        self.assertIn("AddressResolver does not say", self.network.run_until(self.alice.explain("sip:x@c.example"))[-1])

    def test_bounds(self) -> None:
        """Only so many servers are tried for one request (fault:J4)."""
        manager = self.alice.connection_manager
        manager.limits = manager.limits.replace(failover_attempts=3)
        for number in range(10):
            self.network.host(names=[f"s{number}.b.example"])
        self.server("last")
        self.in_dns(*(f"s{number}" for number in range(10)), "last")
        self.assertIsInstance(self.failure(), ConnectionFailure)
        self.assertEqual((len(manager.dead_targets), self.served), (3, []))

    def test_via(self) -> None:
        """via= sends a request there, found through DNS and proved by its own name, with failover as ever (row:E22)."""
        self.server("one")
        self.network.dns.add("_sips._tcp.gate.example SRV 0 0 5099 one.b.example")
        self.network.dns.add("_sips._tcp.gate.example SRV 1 0 5061 one.b.example")
        self.assertEqual(self.send("sip:bob@b.example", via=Target("tls", "gate.example", None, "b.example")), 200)
        with self.assertRaises(ValueError):
            self.alice.send_message("sips:bob@b.example", "x", via=Target("tcp", "gate.example"))


class DatagramTests(ServersTestCase):
    """Servers over UDP."""

    def test_timeout(self) -> None:
        """A server that does not answer gives way to the next one after Timer F, and comes last from then on
        (row:E24, fault:J4)."""
        self.network.host(names=["one.b.example"])
        self.network.partition("a.example", "one.b.example")
        self.server("two", "udp:5060")
        self.in_dns("one", "two", service="_sip._udp", port=5060)
        self.assertEqual((self.send("sip:bob@b.example;transport=udp"), self.served), (200, ["two"]))
        self.assertEqual(self.network.seconds() // 32, 1)
        before = self.network.seconds()
        self.assertEqual(self.send("sip:bob@b.example;transport=udp"), 200)
        self.assertLess(self.network.seconds() - before, 1)

    def test_no_time_left(self) -> None:
        """No server is begun with after a minute (fault:J4)."""
        for name in ("one", "two", "three", "four"):
            self.network.host(names=[f"{name}.b.example"])
            self.network.partition("a.example", f"{name}.b.example")
        self.in_dns("one", "two", "three", "four", service="_sip._udp", port=5060)
        with self.assertRaises(OperationTimeout):
            self.send("sip:bob@b.example;transport=udp")
        self.assertLess(self.network.seconds(), 97)

    def test_large(self) -> None:
        """What is too large for UDP goes by TCP, also where DNS has chosen UDP (RFC 3261 section 18.1.1)."""
        carol = SipPeerToPeerEndpoint("sip:carol@a.example", self.alice.connection_manager, default_transport="tcp")
        self.server("one", "tcp:5060:interface=0.0.0.0")
        self.network.dns.add('b.example NAPTR 0 0 "s" "SIP+D2U" "" _sip._udp.b.example')
        self.in_dns("one", service="_sip._udp", port=5060)
        self.assertEqual(self.network.run_until(carol.send_message("sip:bob@b.example", "x" * 2000)).status, 200)


class FamilyTests(ServersTestCase):
    """Which addresses are used."""

    def setUp(self) -> None:
        """A server with an address of each family."""
        super().setUp()
        self.network.name("b.example", "10.9.9.9")
        self.dual = self.network.host("10.9.9.9", "fd00::9")
        self.caller = self.network.host("10.8.8.8", "fd00::8", names=["c.example"])
        self.bob = self.network.party("sip:bob@b.example", listen="tls:port=5061:interface=\\:\\:")
        self.network.name("b.example", "10.9.9.9", "fd00::9")
        self.carol = self.network.party("sip:carol@c.example", manager={"family": "v4"})
        self.heard: list[str] = []
        self.bob.message_received.subscribe(lambda event: self.heard.append(event.peer.address[0]))

    def test_hints(self) -> None:
        """The manager's hint counts unless the endpoint has one, and that unless the request has one (row:E23)."""
        carol = self.carol
        dave = SipPeerToPeerEndpoint("sip:dave@c.example", carol.connection_manager, family="prefer-v4")
        for party, options in ((carol, {}), (dave, {}), (carol, {"family": "v4"})):
            self.network.run_until(party.send_message("sip:bob@b.example", "x", **options))  # type: ignore[arg-type]
        self.assertEqual(set(self.heard), {"10.8.8.8"})
        with self.assertRaises(ConnectionFailure) as caught:
            self.network.run_until(carol.send_message("sip:bob@b.example", "x", family="v6"))
        self.assertIn("family v6", str(caught.exception))
        with self.assertRaises(ValueError):
            carol.send_message("sip:bob@b.example", "x", family="ipx")

    def test_which_comes_first(self) -> None:
        """The preferred family is connected to first, and the other is there when it fails (row:E23, RFC 8305)."""
        for number, (family, peer) in enumerate((("prefer-v4", "10.8.7.0"), ("prefer-v6", "fd00::71"))):
            self.network.host(f"10.8.7.{number}", f"fd00::7{number}", names=[f"f{number}.example"])
            party = self.network.party(f"sip:f@f{number}.example", listen=())
            self.network.run_until(party.send_message("sip:bob@b.example", "x", family=family))
            self.assertEqual(self.heard[-1], peer)
        self.network.host("10.8.7.9", names=["f9.example"])
        party = self.network.party("sip:f@f9.example", listen=())
        self.network.run_until(party.send_message("sip:bob@b.example", "x", family="prefer-v6"))
        self.assertEqual(self.heard[-1], "10.8.7.9")

    def test_one_family(self) -> None:
        """A request for IPv6 alone does not take an open connection over IPv4 (row:E23)."""
        erin = self.network.host("10.8.8.7", "fd00::7", names=["e.example"])
        self.assertIsNotNone(erin)
        party = self.network.party("sip:erin@e.example", listen=())
        for family in ("v4", "v6"):
            self.network.run_until(party.send_message("sip:bob@b.example", "x", family=family))
        self.assertEqual(self.heard, ["10.8.8.7", "fd00::7"])


class NoDowngradeTests(ServersTestCase):
    """Whatever a resolver or a peer says: no other name, nothing less than TLS, and nobody whom a header names."""

    def test_table(self) -> None:
        """Every way down from TLS that a call could take is refused (row:D27, row:A5)."""
        self.server("one", "tcp:5060:interface=0.0.0.0")
        self.network.name("b.example", *self.network.addresses_of("one.b.example"))
        clear = Target("tcp", "one.b.example", 5060)
        for uri, options in (
            ("sips:bob@b.example", {"via": clear}),
            ("sips:bob@b.example;transport=udp", {}),
            ("sips:bob@b.example", {"via": Target("udp", "one.b.example")}),
        ):
            with self.assertRaises(ValueError, msg=uri):
                self.alice.send_message(uri, "x", **options)  # type: ignore[arg-type]
        with self.assertRaises(InvalidOperation):
            behind = SipPeerToPeerEndpoint("sip:z@a.example", self.alice.connection_manager, proxy="udp:one.b.example")
            behind.send_message("sips:bob@b.example", "x")
        for uri in ("sips:bob@b.example", "sips:bob@b.example;transport=tcp", "sip:bob@b.example;transport=tls"):
            with self.assertRaises(ConnectionFailure, msg=uri):
                self.send(uri)
        self.network.dns.add('b.example NAPTR 0 0 "s" "SIP+D2T" "" _sip._tcp.b.example')
        self.in_dns("one", service="_sip._tcp", port=5060)
        with self.assertRaises(ConnectionFailure):
            self.send("sip:bob@b.example")
        self.assertEqual(self.served, [])

    def test_resolver_that_lies(self) -> None:
        """A resolver of the application's own cannot lead to clear text or to another name either (row:D27,
        row:D14)."""
        dead = DeadTargets(lambda: 0.0)
        asked = Target("tls", "b.example")
        for wrong in (Target("tcp", "10.0.0.1", 5061, "b.example"), Target("tls", "10.0.0.1", 5061, "c.example")):
            candidates = Candidates(asked, AddressFamilyHint.ALL, dead, 8, 60.0)
            with self.assertRaises(ConnectionFailure):
                candidates.located([wrong])
            candidates.located([wrong, asked.at("10.0.0.2")])
            self.assertEqual(candidates.next(0.0), [asked.at("10.0.0.2")])
            self.assertIsNone(candidates.next(0.0))

    def test_redirection(self) -> None:
        """A redirection is the application's to follow: whom it names is neither looked up nor contacted (row:M13,
        row:D27, fault:D8)."""
        self.server("one")
        self.in_dns("one")
        hosts = ("evil.example", "worse.example")
        for name in hosts:
            self.network.dns.add(f"{name} A 10.66.66.66")
        listener = self.network.host("10.66.66.66")
        reached: list[object] = []

        class Reached(Protocol):
            def connectionMade(self) -> None:
                reached.append(self)

        factory = Factory.forProtocol(Reached)
        factory.noisy = False
        ports = [listener.listenTCP(port, factory) for port in (5060, 5061)]
        fields = [
            ("Warning", '399 worse.example "look there"'),
            ("Alert-Info", "<http://evil.example/x>"),
            ("Error-Info", "<sip:evil.example>"),
        ]
        for status in (300, 301, 302, 305, 380, 404, 503, 200):
            self.answers["one"] = lambda event, status=status: event.respond(status, headers=fields)
            self.send("sips:bob@b.example", retry_after="never")
        self.network.advance(120)
        self.assertEqual([each for each in self.network.dns.asked if any(name in each for name in hosts)], [])
        self.assertEqual(reached, [])
        for port in ports:
            port.stopListening()

    def test_requests_of_others(self) -> None:
        """Nobody whom a request names, in Via, Contact, Route or Record-Route, is looked up or contacted to answer it
        (row:M13, row:D27, fault:D8)."""
        bob = self.network.party("sip:bob@p.example", listen=("udp:5060", "tcp:5060:interface=0.0.0.0"))
        bob.message_received.subscribe(lambda event: None)
        host = self.network.host("10.0.9.9")
        heard: list[bytes] = []
        victim: list[bytes] = []

        bystander = self.network.host("10.66.66.66").listenUDP(5060, _Collecting(victim))
        text = (
            "MESSAGE sip:bob@p.example SIP/2.0\r\n"
            "Via: SIP/2.0/UDP evil.example:5060;branch=z9hG4bK1;maddr=10.66.66.66;received=10.66.66.66;rport=5060\r\n"
            "Record-Route: <sip:evil.example;lr>\r\nContact: <sip:x@evil.example>\r\n"
            "From: <sip:x@evil.example>;tag=1\r\n"
            "To: <sip:bob@p.example>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        port = host.listenUDP(5077, _Collecting(heard))
        (address,) = self.network.addresses_of("p.example")
        port.write(text.encode(), (address, 5060))
        self.network.advance(40)
        self.assertTrue(heard[0].startswith(b"SIP/2.0 200"))
        self.assertEqual(victim, [])
        self.assertEqual([each for each in self.network.dns.asked if "evil" in each], [])
        for each in (port, bystander):
            each.stopListening()

    def test_answers_to_closed_connections(self) -> None:
        """An answer whose connection is gone goes nowhere: no connection is made to what Via names (row:M13,
        RFC 3263 section 5)."""
        bob = self.network.party("sip:bob@p.example", listen="tcp:5060:interface=0.0.0.0")
        waiting: list[Any] = []

        def arrived(event: Any) -> None:
            event.defer()
            waiting.append(event)

        bob.message_received.subscribe(arrived)
        host = self.network.host("10.0.9.9", names=["evil.example"])
        reached: list[bytes] = []

        class Keeping(Protocol):
            def dataReceived(self, data: bytes) -> None:
                reached.append(data)

        factory = Factory.forProtocol(Keeping)
        factory.noisy = False
        port = host.listenTCP(5060, factory)
        connecting = HostnameEndpoint(host, "p.example", 5060).connect(factory)
        stranger = self.network.run_until(connecting)
        stranger.transport.write(
            b"MESSAGE sip:bob@p.example SIP/2.0\r\nVia: SIP/2.0/TCP evil.example:5060;branch=z9hG4bK1\r\n"
            b"From: <sip:x@evil.example>;tag=1\r\nTo: <sip:bob@p.example>\r\nCall-ID: 1\r\nCSeq: 1 MESSAGE\r\n"
            b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
        self.network.advance(1)
        stranger.transport.abortConnection()
        self.network.advance(1)
        self.assertTrue(waiting)
        with self.assertRaises(AlreadyResponded):
            waiting[0].respond(200)
        self.network.advance(40)
        self.assertEqual((reached, [each for each in self.network.dns.asked if "evil" in each]), ([], []))
        port.stopListening()


class _Collecting(Protocol):
    """A datagram protocol that keeps what comes."""

    def __init__(self, kept: list[bytes]) -> None:
        self.kept = kept

    def doStart(self) -> None:
        """Nothing to do."""

    def doStop(self) -> None:
        """Nothing to do."""

    def makeConnection(self, transport: Any) -> None:
        """The port is open."""
        self.transport = transport

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Keep it."""
        self.kept.append(datagram)

    def connectionRefused(self) -> None:
        """Nobody listens."""


class RealServersTests(TestCase):
    """Three servers of one domain on the loopback interface, with real sockets, and their DNS served by a real name
    server."""

    def setUp(self) -> None:
        """A caller that asks that name server; no server yet."""
        self.authority = CertificateAuthority.create()
        self.names = NameServer("here.b.example A 127.0.0.1")
        resolver = DnsResolver(reactor, name_servers=[self.names.address], hosts=HostsFile("/nonexistent"))
        self.managers: list[RealTimeServerTlsConnectionManager] = []
        self.caller = self.manager("a.example", resolver=resolver)
        self.alice = SipPeerToPeerEndpoint("sip:alice@a.example", self.caller)
        self.served: list[str] = []

    def manager(self, name: str, **options: Any) -> RealTimeServerTlsConnectionManager:
        """A manager that proves *name*."""
        manager = RealTimeServerTlsConnectionManager(
            reactor,
            Credential.from_pem(self.authority.issue(name).pem),
            trust=TrustAnchors.from_pem(self.authority.pem),
            allow=TrustPolicy.any_authenticated(),
            **options,
        )
        self.managers.append(manager)
        return manager

    async def server(self, priority: int) -> RealTimeServerTlsConnectionManager:
        """One more server of b.example, in DNS with this priority."""
        manager = self.manager("b.example")
        bob = SipPeerToPeerEndpoint("sip:bob@b.example", manager)
        bob.message_received.subscribe(lambda event: self.served.append(f"s{priority}"))
        listener = await manager.start_listening("tls:port=0:interface=127.0.0.1")
        self.names.zones.add(f"_sips._tcp.b.example 60 SRV {priority} 0 {listener.port} here.b.example")
        return manager

    async def tearDown(self) -> None:
        """Everything ends."""
        for manager in self.managers:
            await manager.terminate()
        await self.names.stop()
        await super().tearDown()

    async def test_killed_one_at_a_time(self) -> None:
        """As servers are killed one at a time the next one serves, and when the last is gone the failure says so
        (row:E24, row:E25, fault:J4)."""
        servers = [await self.server(priority) for priority in range(3)]
        for priority, server in enumerate(servers):
            response = await self.alice.send_message("sip:bob@b.example", "x")
            self.assertEqual((response.status, self.served[-1]), (200, f"s{priority}"))
            await server.terminate()
        with self.assertRaises(ConnectionFailure):
            await self.alice.send_message("sip:bob@b.example", "x")
        self.assertEqual(self.served, ["s0", "s1", "s2"])
        resolver = self.caller.resolver
        assert isinstance(resolver, DnsResolver)
        said = "\n".join(await resolver.explain(Target("tls", "b.example")))
        self.assertIn("all of them failed lately", said)
        self.assertIn("must prove b.example", said)
