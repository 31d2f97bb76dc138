"""Which connection a request takes, what becomes of it when that ends, and what the application is told."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol

from sip_p2p import (
    ConnectionFailure,
    RealTimeServerTcpConnectionManager,
    RequestFailed,
    SipPeerToPeerEndpoint,
    Target,
    TlsFailure,
    TlsFailureReason,
    TrustPolicy,
)
from sip_p2p.sip.message import Response
from sip_p2p.sip.parse import parse_message
from sip_p2p.testing import Network
from sip_p2p.transport.trust.credential import Credential
from tests.support import SynchronousTestCase, TestCase

if TYPE_CHECKING:
    from twisted.internet.interfaces import ITransport

reactor: Any = _reactor


class ReuseTestCase(SynchronousTestCase):
    """A network with a way of 20 ms, and parties that are told of every MESSAGE."""

    def setUp(self) -> None:
        self.network = Network(delay=0.02)
        self.heard: list[tuple[str, str]] = []
        self.addCleanup(self.network.finish)

    def party(self, uri: str, **options: Any) -> SipPeerToPeerEndpoint:
        """A party that answers every MESSAGE with 200."""
        party = self.network.party(uri, **options)
        user = party.owner_uri.user or ""
        party.message_received.subscribe(lambda event: self.heard.append((user, event.text)))
        return party

    def send(self, sender: SipPeerToPeerEndpoint, to: str, text: str = "x", **options: Any) -> Any:
        """A MESSAGE, to its end."""
        return self.network.run_until(sender.send_message(to, text, **options))

    def dialled(self) -> int:
        """How many connections were asked for."""
        return sum(line.endswith(" connect") for line in self.network.log)


class BackwardsTests(ReuseTestCase):
    """Requests to a peer go by the connection that it opened (row E16)."""

    def test_peer_without_a_listener(self) -> None:
        """A peer that cannot be dialled is reached over the connection that it opened, by its domain and by the
        Contact that it gave (row:E16)."""
        alice = self.party("sip:alice@a.example", listen=())
        bob = self.party("sip:bob@b.example")
        contacts: list[str] = []
        bob.handle("INFO", lambda event: contacts.append(event.request.headers["Contact"]))
        bob.handle("SUBSCRIBE", lambda event: contacts.append(event.request.headers["Contact"]))
        self.network.run_until(alice.request("SUBSCRIBE", "sip:bob@b.example", headers=[("Event", "x")]))
        self.send(bob, "sip:alice@a.example", "to the domain")
        contact = contacts[0].partition(">")[0].strip("<").replace(";ob", "")
        self.send(bob, contact, "to the contact")
        self.assertEqual(self.heard, [("alice", "to the domain"), ("alice", "to the contact")])
        self.assertEqual(self.dialled(), 1)

    def test_gone_with_the_connection(self) -> None:
        """When that connection is gone there is no way to it any more (row:E16)."""
        alice, bob = self.party("sip:alice@a.example", listen=()), self.party("sip:bob@b.example")
        self.send(alice, "sip:bob@b.example")
        self.network.cut("a.example", "b.example")
        self.network.advance(0.1)
        with self.assertRaises(ConnectionFailure):
            self.send(bob, "sip:alice@a.example")

    def test_alias(self) -> None:
        """A peer that listens says ``alias``, and requests to the very port where it listens come by its connection
        (RFC 5923, row:E16)."""
        vias: list[str] = []
        alice, bob = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        bob.message_received.subscribe(lambda event: vias.append(event.request.headers["Via"]))
        self.send(alice, "sip:bob@b.example")
        self.assertIn("a.example:5061", vias[0])
        self.assertIn(";alias", vias[0])
        self.send(bob, "sip:alice@a.example:5061")
        self.assertEqual((self.heard, self.dialled()), ([("bob", "x"), ("alice", "x")], 1))
        with self.assertRaises(ConnectionFailure):
            self.send(bob, "sip:alice@a.example:5062")

    def test_alias_in_options(self) -> None:
        """A peer that asks only what we can do, which no application sees, is known by its place as well (RFC 5923,
        row:E16)."""
        alice, bob = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        self.network.run_until(alice.request("OPTIONS", "sip:bob@b.example"))
        self.send(bob, "sip:alice@a.example:5061")
        self.assertEqual((self.heard, self.dialled()), ([("alice", "x")], 1))

    def test_no_alias_where_it_has_no_place(self) -> None:
        """``alias`` is said neither on clear text, nor without a listener, nor where the peer may ask us nothing, nor
        for a host that our certificate does not prove (RFC 5923 section 8, fault:G2)."""
        vias: list[str] = []
        bob = self.party("sip:bob@b.example", listen=["tls:port=5061", "tcp:port=5060"])
        bob.message_received.subscribe(lambda event: vias.append(event.request.headers["Via"]))
        self.send(self.party("sip:clear@clear.example"), "sip:bob@b.example;transport=tcp")
        self.send(self.party("sip:mute@mute.example", listen=()), "sip:bob@b.example")
        strict = self.party("sip:strict@strict.example", manager={"allow": ["c.example"]})
        self.send(strict, "sip:bob@b.example")
        named = self.party("sip:named@named.example", manager={"advertise": "elsewhere.example"})
        self.send(named, "sip:bob@b.example")
        self.assertEqual((len(vias), [";alias" in via for via in vias]), (4, [False] * 4))

    def test_hijack(self) -> None:
        """A peer that calls itself by its victim's name gets nothing of what is for the victim: that is dialled, and
        proved there (fault:G2, fault:G3)."""
        victim, bob = self.party("sip:victim@victim.example"), self.party("sip:bob@b.example")
        evil = self.party("sip:evil@evil.example", manager={"advertise": "victim.example"})
        sniffed: list[str] = []
        evil.connection_manager.fallback_endpoint = evil
        evil.message_received.subscribe(lambda event: sniffed.append(event.text))
        self.send(evil, "sip:bob@b.example", "hello from the victim")
        (flow,) = bob.connection_manager.pool
        self.assertEqual(flow.aliases, set())
        for uri in ("sip:victim@victim.example:5061", "sip:victim@victim.example"):
            self.send(bob, uri, "secret")
        self.assertEqual((sniffed, self.heard[1:]), ([], [("victim", "secret")] * 2))
        self.assertTrue(victim.connection_manager.pool)

    def test_contact_host(self) -> None:
        """Nor does a connection serve the host of a Contact that it did not prove: that is dialled, and what is there
        has to prove itself (fault:G3)."""
        evil, bob = self.party("sip:evil@evil.example"), self.party("sip:bob@b.example")
        self.network.name("victim.example", *self.network.addresses_of("evil.example"))
        self.send(evil, "sip:bob@b.example")
        with self.assertRaises(TlsFailure) as caught:
            self.send(bob, "sip:victim@victim.example")
        self.assertIs(caught.exception.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.assertEqual(self.heard, [("bob", "x")])

    def test_never_less(self) -> None:
        """A peer that came by clear text is not reached by it where TLS is asked for (row:A5, row:E16)."""
        alice = self.party("sip:alice@a.example", listen=())
        bob = self.party("sip:bob@b.example", listen=["tls:port=5061", "tcp:port=5060"])
        self.send(alice, "sip:bob@b.example;transport=tcp")
        for uri in ("sip:alice@a.example", "sips:alice@a.example"):
            with self.assertRaises(ConnectionFailure):
                self.send(bob, uri)
        self.assertEqual(self.heard, [("bob", "x")])

    def test_two_names_at_one_address(self) -> None:
        """Two domains at one address, and a certificate for one of them only: the other is refused, whatever
        connection there is already (fault:G1)."""
        alice, _ = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        self.network.name("c.example", *self.network.addresses_of("b.example"))
        self.send(alice, "sip:bob@b.example", "for b")
        with self.assertRaises(TlsFailure) as caught:
            self.send(alice, "sip:bob@c.example", "for c")
        self.assertIs(caught.exception.reason, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.send(alice, "sip:bob@b.example", "for b again")
        self.assertEqual(self.heard, [("bob", "for b"), ("bob", "for b again")])

    def test_two_connections_of_one_peer(self) -> None:
        """Two connections that proved the same name are both used: the first, and the second when that has gone
        (fault:G4)."""
        bob = self.party("sip:bob@b.example")
        pem = self.network.authority.issue("a.example").pem
        alices = []
        for host in ("one.example", "two.example"):
            options = {"certificate": Credential.from_pem(pem)}
            alice = self.party(f"sip:alice@{host}", listen=(), manager=options, may_impersonate=lambda uri: True)
            self.send(alice, "sip:bob@b.example", from_="sip:alice@a.example")
            alices.append(alice)
        first, second = bob.connection_manager.pool
        self.assertIs(bob.connection_manager.pool.find(Target("tls", "a.example")), first)
        first.abort()
        self.assertIs(bob.connection_manager.pool.find(Target("tls", "a.example")), second)


class ViaTests(ReuseTestCase):
    """``via=``, for one request (row E22)."""

    def test_there(self) -> None:
        """The request goes where the application says, and not where its URI leads; what is there has to prove its own
        name (row:E22)."""
        alice = self.party("sip:alice@a.example")
        relay = self.party("sip:relay@relay.example")
        self.party("sip:bob@b.example")
        relay.connection_manager.fallback_endpoint = relay
        self.send(alice, "sip:bob@b.example", "by the relay", via=Target("tls", "relay.example"))
        self.send(alice, "sip:bob@b.example", "by itself")
        self.assertEqual(self.heard, [("relay", "by the relay"), ("bob", "by itself")])

    def test_address_and_name(self) -> None:
        """An address may be given with the name that is to be proved there, and nothing else is taken for proof
        (row:E22, row:D14)."""
        alice, _ = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        (address,) = self.network.addresses_of("b.example")
        self.send(alice, "sip:bob@b.example", via=Target("tls", address, 5061, "b.example"))
        with self.assertRaises(TlsFailure):
            self.send(alice, "sip:bob@b.example", via=Target("tls", address, 5061))
        with self.assertRaises(TlsFailure):
            self.send(alice, "sip:bob@b.example", via=Target("tls", address, 5061, "relay.example"))
        self.assertEqual(len(self.heard), 1)

    def test_connection_is_kept(self) -> None:
        """The connection serves whatever goes there next (row:E22, row:E1)."""
        alice, _ = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        (address,) = self.network.addresses_of("b.example")
        for _ in range(3):
            self.send(alice, "sip:bob@b.example", via=Target("tls", address, 5061, "b.example"))
        self.assertEqual(self.dialled(), 1)


class Answering(Protocol):
    """A peer of few words: 200 to everything that comes whole."""

    def connectionMade(self) -> None:
        self.factory.connections.append(self)  # type: ignore[union-attr]
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        request: Any = parse_message(data)
        fields = [(name, request.headers[name]) for name in ("Via", "From", "To", "Call-ID", "CSeq")]
        answer = Response(200, None, [*fields, ("Content-Length", "0")])
        cast("ITransport", self.transport).write(answer.serialise())


class SocketTests(TestCase):
    """The same over real sockets."""

    async def test_closed_and_not_yet_noticed(self) -> None:
        """When the goodbye of the peer has arrived and nobody has looked at it yet, nothing is written to that
        connection: the request takes a new one (row:E13)."""
        factory: Any = Factory.forProtocol(Answering)
        factory.noisy, factory.connections = False, []
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        manager = RealTimeServerTcpConnectionManager(reactor)
        self.addCleanup(manager.terminate)
        alice = SipPeerToPeerEndpoint("sip:alice@a.example", manager)
        uri = f"sip:bob@127.0.0.1:{port.getHost().port}"
        await alice.send_message(uri, "first")
        (first,) = factory.connections
        (flow,) = manager.pool
        self.assertGreater(flow.round_trip, 0)
        first.received = b""
        first.transport.getHandle().shutdown(socket.SHUT_RDWR)
        # In the same turn: the reactor has had no occasion to read.
        self.assertTrue(flow.is_open)
        await alice.send_message(uri, "second")
        (_, second) = factory.connections
        self.assertEqual((first.received, b"second" in second.received, flow.is_open), (b"", True, False))


class ManyTests(ReuseTestCase):
    """Very much at once."""

    def test_a_thousand_at_once(self) -> None:
        """A thousand messages that are sent at once over one TLS connection arrive whole and in their order
        (fault:G7)."""
        self.network.change(chunk=(1, 5000))
        alice, _ = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        for warm in (False, True):
            texts = [f"{number} " + chr(97 + number % 26) * (number % 700) for number in range(1000)]
            answers = self.network.run_until(
                gatherResults([alice.send_message("sip:bob@b.example", text) for text in texts])
            )
            self.assertEqual({answer.status for answer in answers}, {200}, warm)
            self.assertEqual([text for _, text in self.heard], texts, warm)
            self.heard.clear()
        self.assertEqual(self.dialled(), 1)

    def test_a_thousand_to_the_dead(self) -> None:
        """A thousand messages for a dead peer make one dial and fail with its reason; a canary passes meanwhile
        (fault:G6)."""
        alice, bob = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        self.network.host(names=["dead.example"])
        sendings = [alice.send_message("sip:x@dead.example", "x") for _ in range(1000)]
        self.send(alice, "sip:bob@b.example", "canary")
        self.network.advance(0.1)
        for sending in sendings:
            self.assertIn("refused", str(self.failureResultOf(sending, ConnectionFailure).value))
        self.assertEqual((self.dialled(), self.heard), (2, [("bob", "canary")]))
        late = alice.send_message("sip:x@dead.example", "x")
        self.network.advance(0.01)
        failure = self.failureResultOf(late, ConnectionFailure)
        self.assertTrue(0 < failure.value.retry_after <= 0.5)
        self.assertEqual(self.dialled(), 2)
        inventory = alice.connection_manager.inventory()
        self.assertEqual((inventory["clients"], inventory["dialling"], inventory["resting"]), (0, 0, 1))
        self.assertTrue(bob.connection_manager.pool)


class SizeTests(ReuseTestCase):
    """``pool_size=``, for a whole manager and for one destination."""

    def load(self, rounds: int, **manager: Any) -> SipPeerToPeerEndpoint:
        """Alice sends three messages at a time, which Bob takes a second to answer."""
        alice, bob = self.party("sip:alice@a.example", manager=manager), self.network.party("sip:bob@b.example")

        def slowly(event: Any) -> Deferred[None]:
            self.heard.append(("bob", event.text))
            answer: Deferred[None] = Deferred()
            self.network.later(1.0, answer.callback, None)
            return answer

        bob.message_received.subscribe(slowly)
        for _ in range(rounds):
            sendings = [alice.send_message("sip:bob@b.example", "x") for _ in range(3)]
            self.network.run_until(gatherResults(sendings))
        self.assertEqual(len(self.heard), 3 * rounds)
        return alice

    def test_one(self) -> None:
        """By default one connection carries them all (row:E2)."""
        self.load(3)
        self.assertEqual(self.dialled(), 1)

    def test_several(self) -> None:
        """With a size of two there are two in the end, and never more (row:E2)."""
        alice = self.load(4, pool_size=2)
        self.assertEqual((self.dialled(), len(alice.connection_manager.pool)), (2, 2))

    def test_none_shared(self) -> None:
        """Without sharing each request has a connection to itself, and takes one that has become free before it has
        one made (row:E3)."""
        alice = self.load(4, pool_size=None)
        self.assertEqual((self.dialled(), len(alice.connection_manager.pool)), (3, 3))

    def test_for_one_destination(self) -> None:
        """A destination may have a size of its own (row:E2)."""
        alice = self.party("sip:alice@a.example")
        self.party("sip:bob@b.example")
        alice.connection_manager.pool.set_size("b.example", None)
        sendings = [alice.send_message("sip:bob@b.example", "x") for _ in range(3)]
        self.network.run_until(gatherResults(sendings))
        self.assertEqual(self.dialled(), 3)
        with self.assertRaises(ValueError):
            self.party("sip:carol@c.example", manager={"pool_size": 0})


class TellingTests(ReuseTestCase):
    """What the application is told of its connections (row E4)."""

    def test_opened_and_lost(self) -> None:
        """Both sides are told of a connection that opens and of one that is lost (row:E4)."""
        alice, bob = self.party("sip:alice@a.example"), self.party("sip:bob@b.example")
        told: list[tuple[str, str, bool]] = []
        for name, party in (("alice", alice), ("bob", bob)):
            manager = party.connection_manager
            manager.flow_opened.subscribe(
                lambda event, name=name: told.append((name, "opened", event.flow.is_incoming))
            )
            manager.flow_lost.subscribe(lambda event, name=name: told.append((name, "lost", event.flow.is_incoming)))
        self.send(alice, "sip:bob@b.example")
        self.assertEqual(sorted(told), [("alice", "opened", False), ("bob", "opened", True)])
        told.clear()
        self.network.cut("a.example", "b.example")
        self.network.advance(0.1)
        self.assertEqual(sorted(told), [("alice", "lost", False), ("bob", "lost", True)])


class PolicyTests(ReuseTestCase):
    """Reuse, and who may ask us anything."""

    def test_connection_of_a_peer_that_we_may_not_ask(self) -> None:
        """A peer that has dialled us and does not list us is asked by its own connection, and refuses as it would by
        any other (row:D9, row:E16)."""
        alice = self.party("sip:alice@a.example", listen=(), manager={"allow": TrustPolicy(["c.example"])})
        bob = self.party("sip:bob@b.example")
        self.send(alice, "sip:bob@b.example")
        with self.assertRaises(RequestFailed) as caught:
            self.send(bob, "sip:alice@a.example")
        self.assertEqual(caught.exception.status, 403)
