"""The factories, from the first byte on TCP to the last: what passes when, and what each side is told."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from sip_p2p.errors import InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.transport.tls.protocol import CorkedTlsProtocol, HoldingTlsProtocol
from sip_p2p.transport.tls.settings import TlsSettings, client_tls_factory, server_tls_factory
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy
from tests.support import SynchronousTestCase, TestCase
from tests.transport.tls_pairs import (
    ANY,
    TIMEOUT,
    Party,
    RawClient,
    TlsPair,
    anchors,
    authority,
    credential,
    other_authority,
    party_credential,
    rsa_key,
    settings,
)

reactor: Any = _reactor

Reason = TlsFailureReason
VERSIONS = (SSL.TLS1_2_VERSION, 0)


class Deaf(Protocol):
    """A protocol that is no handshake listener."""

    heard = b""

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class LifeTests(SynchronousTestCase):
    """What a connection's protocol goes through."""

    def test_order(self) -> None:
        """Connected, then verified, once each, then data; what was written before comes first and in order."""
        for version, protocol in itertools.product(VERSIONS, (CorkedTlsProtocol, HoldingTlsProtocol)):
            client, server = Party(b"held 1, "), Party(b"held 2, ")
            client.on_verified = lambda client=client: client.transport.write(b"then this")
            pair = TlsPair(
                settings("a.example", maximum_version=version),
                settings("b.example", maximum_version=version),
                client=client,
                server=server,
                protocol=protocol,
            )
            client.transport.write(b"and more, ")
            pair.run()
            self.assertEqual(client.events, ["made", "verified"])
            self.assertEqual(server.events, ["made", "verified"])
            self.assertEqual((server.heard, client.heard), (b"held 1, and more, then this", b"held 2, "))

    def test_nothing_in_the_clear(self) -> None:
        """What is written before the peer is verified is on the wire neither then nor, in the clear, ever. row:D4"""
        pair = TlsPair(settings("a.example"), settings("b.example"), client=Party(b"SECRET"), server=Party(b"SECRET"))
        self.assertNotIn(b"SECRET", pair.from_client)
        pair.run()
        self.assertEqual(pair.server.heard, b"SECRET")
        self.assertNotIn(b"SECRET", pair.from_client + pair.from_server)

    def test_first_request_travels_with_the_handshake(self) -> None:
        """What the client says on being verified leaves in the write that ends its handshake."""
        writes: list[int] = []
        client = Party()
        pair = TlsPair(settings("a.example"), settings("b.example"), client=client)
        client.on_verified = lambda: (writes.append(len(pair.from_client)), client.transport.write(b"x" * 100))
        counted: list[int] = []
        original = pair.client_tls.transport.write
        pair.client_tls.transport.write = lambda data: (counted.append(len(data)), original(data))[1]
        pair.run()
        self.assertEqual(pair.server.heard, b"x" * 100)
        self.assertEqual(len(counted), 1)

    def test_not_a_listener(self) -> None:
        """A protocol that does not ask for handshakeCompleted gets its data all the same, after verification."""
        deaf = Deaf()
        self.assertFalse(IHandshakeListener.providedBy(deaf))
        pair = TlsPair(settings("a.example"), settings("b.example"), client=Party(b"hello"), server=deaf).run()
        self.assertEqual(deaf.heard, b"hello")
        self.assertEqual(deaf.transport.verified.matched, "a.example")
        self.assertEqual(pair.client.events, ["made", "verified"])

    def test_unwanted(self) -> None:
        """A factory that wants no protocol for an address gets no connection."""
        factory = Factory.forProtocol(lambda: None)
        factory.buildProtocol = lambda address: None
        self.assertIsNone(server_tls_factory(settings(), factory, Clock(), TIMEOUT).buildProtocol(None))

    def test_last_words(self) -> None:
        """What is written and then closed at the moment of verification still arrives, and both sides end cleanly."""
        client = Party()

        def verified() -> None:
            client.transport.write(b"bye")
            client.transport.loseConnection()

        client.on_verified = verified
        pair = TlsPair(settings("a.example"), settings("b.example"), client=client).run()
        self.assertEqual(pair.server.heard, b"bye")
        self.assertIsInstance(pair.server.reason, ConnectionDone)
        self.assertEqual((client.events, pair.server.events), (["made", "verified", "lost"],) * 2)

    def test_closed_before_verification(self) -> None:
        """To close before the peer is verified drops what was held, and is no failure of TLS on our side."""
        for close in ("loseConnection", "abortConnection"):
            pair = TlsPair(settings("a.example"), settings("b.example"), client=Party(b"never sent"))
            getattr(pair.client.transport, close)()
            pair.run()
            self.assertEqual(pair.client.events, ["made", "lost"])
            self.assertNotIsInstance(pair.client.reason, TlsFailure)
            self.assertEqual((pair.server.heard, pair.server.failure.reason), (b"", Reason.REMOTE_DISCONNECTED))

    def test_nothing_stays_behind(self) -> None:
        """When a connection ends, verified or refused, no timer runs on and nothing of it is left for the collector."""
        for policy in (ANY, TrustPolicy([])):
            pair = TlsPair(settings("a.example"), settings("b.example", policy)).run()
            pair.client_tls.loseConnection()
            pair.run()
            self.assertEqual(pair.server.events[-1], "lost")
            self.assertEqual(pair.clock.getDelayedCalls(), [])
            left = [weakref.ref(pair.client_tls), weakref.ref(pair.server_tls)]
            # A real socket that is gone knows no protocol; the parties here are known to their factories.
            pair.client_tls.transport.protocol = pair.server_tls.transport.protocol = None
            pair.client.transport = pair.server.transport = None
            gc.collect()
            gc.disable()
            try:
                del pair
                self.assertEqual([each() for each in left], [None, None])
            finally:
                gc.enable()

    def test_lost_later(self) -> None:
        """A verified connection that breaks ends like any TCP connection, not with a failure of TLS."""
        pair = TlsPair(settings("a.example"), settings("b.example"), client=Party(b"x"), server=Party(b"y")).run()
        pair.client_tls.transport.loseConnection()
        pair.run()
        self.assertIsInstance(pair.server.reason, ConnectionLost)

    def test_ended_without_close(self) -> None:
        """An end that OpenSSL reports of a verified connection is a lost connection too."""
        for error in (SSL.SysCallError(-1, "Unexpected EOF"), SSL.Error([])):
            pair = TlsPair(settings("a.example"), settings("b.example")).run()
            pair.client_tls.wrappedProtocol.connectionLost(_failure(error))
            self.assertIsInstance(pair.client.reason, ConnectionLost)

    def test_data_before_verification(self) -> None:
        """Should data ever come out of TLS before the peer is verified, it ends the connection unseen."""
        pair = TlsPair(settings("a.example"), settings("b.example"))
        pair.client_tls.wrappedProtocol.dataReceived(b"from whom?")
        pair.run()
        self.assertEqual((pair.client.heard, pair.client.events), (b"", ["made", "lost"]))
        self.assertEqual(pair.client.failure.reason, Reason.OTHER)

    def test_broken_later(self) -> None:
        """A verified connection on which rubbish comes ends as a failure of TLS, with the errors of OpenSSL. row:D20"""
        pair = TlsPair(settings("a.example"), settings("b.example"), client=Party(b"x"), server=Party(b"y")).run()
        pair.client_tls.transport.write(b"\x17\x03\x03\x00\x20" + b"?" * 32)
        pair.run()
        self.assertEqual(pair.server.failure.reason, Reason.OTHER)
        self.assertEqual(pair.server.failure.certificate, party_credential("a.example").certificate)
        self.assertEqual(pair.server.failure.errors[0][0], "SSL routines")
        self.assertEqual(pair.client.failure.reason, Reason.OTHER)
        self.assertEqual(pair.client.failure.alert, "bad_record_mac")


class RefusalTests(SynchronousTestCase):
    """How connections fail that never come to be."""

    def server(self, **options: Any) -> tuple[Party, Any, StringTransport, Clock]:
        """A server's party and its TLS protocol on a transport of which nobody reads."""
        party, clock = Party(b"secret"), Clock()
        factory = server_tls_factory(
            settings("b.example", **options), Factory.forProtocol(lambda: party), clock, TIMEOUT
        )
        protocol: Any = factory.buildProtocol(None)
        transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.7", 40000))
        transport.abortConnection = transport.loseConnection
        protocol.makeConnection(transport)
        return party, protocol, transport, clock

    def test_not_tls(self) -> None:
        """Clear text, HTTP or rubbish on a TLS port is a failed negotiation, answered with an alert at most. row:D18"""
        for said in (
            b"OPTIONS sip:b.example SIP/2.0\r\nVia: SIP/2.0/TCP a.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
            b"\0" * 100,
            b"\x16\x03\x01\xff\xff" + b"x" * 100,
            b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01" * 40,
            b"\x17\x03\x03\x00\x10" + b"x" * 16,
        ):
            party, protocol, transport, _ = self.server()
            protocol.dataReceived(said)
            self.assertTrue(transport.disconnecting, said)
            protocol.connectionLost(_failure(ConnectionDone()))
            self.assertEqual(party.failure.reason, Reason.TLS_NEGOTIATION_FAILURE, said)
            self.assertNotEqual(party.failure.errors, ())
            self.assertEqual(party.events, ["made", "lost"])
            self.assertNotIn(b"secret", transport.value())
            self.assertLess(len(transport.value()), 20)

    def test_old_version(self) -> None:
        """TLS 1.1 and older is refused with an alert that names it. row:D18"""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
        context.set_min_proto_version(SSL.TLS1_VERSION)
        context.set_max_proto_version(SSL.TLS1_1_VERSION)
        raw = RawClient(settings("b.example"), context=context).run()
        self.assertEqual(raw.server.failure.reason, Reason.TLS_NEGOTIATION_FAILURE)
        self.assertIn("version", str(raw.party.reason))

    def test_no_common_cipher(self) -> None:
        """Without a cipher suite in common there is no connection, and the client keeps the alert. row:D18"""
        pair = TlsPair(
            settings("a.example", ciphers="ECDHE-ECDSA-AES256-GCM-SHA384", maximum_version=SSL.TLS1_2_VERSION),
            settings("b.example", ciphers="ECDHE-ECDSA-CHACHA20-POLY1305", maximum_version=SSL.TLS1_2_VERSION),
        ).run()
        self.assertEqual(pair.client.failure.reason, Reason.TLS_NEGOTIATION_FAILURE)
        self.assertEqual(pair.client.failure.alert, "handshake_failure")
        self.assertEqual(pair.server.failure.reason, Reason.TLS_NEGOTIATION_FAILURE)
        self.assertIn("no shared cipher", str(pair.server.failure))

    def test_closed_by_peer(self) -> None:
        """A peer that goes away in the handshake is reported as that, whenever it does. row:D19"""
        hello = bytes(TlsPair(settings("a.example"), settings("b.example")).from_client)
        for sent in (b"", hello[:3], hello[:20], hello):
            party, protocol, _, _ = self.server()
            if sent:
                protocol.dataReceived(sent)
            protocol.connectionLost(_failure(ConnectionDone()))
            self.assertEqual(party.failure.reason, Reason.REMOTE_DISCONNECTED)
            self.assertEqual(party.failure.peer, "192.0.2.7:40000")
            self.assertEqual(party.events, ["made", "lost"])

    def test_timeout(self) -> None:
        """A handshake that is not finished in time is ended, for the one who waits and for the one who trickles."""
        hello = bytes(TlsPair(settings("a.example"), settings("b.example")).from_client)
        party, protocol, transport, clock = self.server()
        for at in range(4):
            clock.advance(1)
            protocol.dataReceived(hello[at : at + 1])
        self.assertFalse(transport.disconnecting)
        clock.advance(1)
        self.assertTrue(transport.disconnecting)
        protocol.connectionLost(_failure(ConnectionDone()))
        self.assertEqual(party.failure.reason, Reason.HANDSHAKE_TIMEOUT)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_timeout_does_not_outlive_the_handshake(self) -> None:
        """Once the peer is verified, the time for that is over."""
        pair = TlsPair(settings("a.example"), settings("b.example")).run()
        pair.clock.advance(10 * TIMEOUT)
        pair.run()
        self.assertEqual((pair.client.events, pair.server.events), (["made", "verified"],) * 2)

    def test_refused_after_our_handshake(self) -> None:
        """In TLS 1.3 the client learns of its refusal when it is done; it ends as a refusal, with the alert. row:D18"""
        stranger = TlsSettings(credential(other_authority().issue("a.example")), anchors(), ANY)
        callers = ((stranger, "unknown_ca"), (_without_certificate(), "certificate_required"))
        for (client, alert), protocol in itertools.product(callers, (CorkedTlsProtocol, HoldingTlsProtocol)):
            pair = TlsPair(client, settings("b.example"), client=Party(b"hello"), protocol=protocol).run()
            self.assertEqual(pair.client.events, ["made", "verified", "lost"])
            self.assertEqual(pair.client.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
            self.assertEqual(pair.client.failure.alert, alert)
            self.assertEqual((pair.server.heard, pair.server.events), (b"", ["made", "lost"]))

    def test_payload(self) -> None:
        """A failure names the peer, carries its certificate and the errors beneath. row:D20 row:D21"""
        pair = TlsPair(settings("a.example"), settings("c.example")).run()
        failure = pair.client.failure
        self.assertEqual(failure.peer, "b.example")
        self.assertEqual(failure.certificate, party_credential("c.example").certificate)
        self.assertEqual(pair.server.failure.errors, (("SSL routines", "", "tlsv1 alert internal error"),))

    def test_addresses_in_words(self) -> None:
        """A caller is named by its address, IPv6 in brackets, and by its path on a Unix socket."""
        for address, words in (
            (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1:1"),
            (IPv6Address("TCP", "2001:db8::1", 2), "[2001:db8::1]:2"),
            (UNIXAddress("/run/sip"), "UNIXAddress('/run/sip')"),
        ):
            party = Party()
            factory = server_tls_factory(settings(), Factory.forProtocol(lambda party=party: party), Clock(), TIMEOUT)
            protocol: Any = factory.buildProtocol(None)
            protocol.makeConnection(StringTransport(peerAddress=address))
            protocol.connectionLost(_failure(ConnectionDone()))
            self.assertEqual(party.failure.peer, words)

    def test_owner_is_told(self) -> None:
        """The owner of a listener learns of each connection that fails, once, and of nothing else. row:D22"""
        told: list[TlsFailure] = []
        judge = settings("b.example", TrustPolicy(["a.example"]), on_failure=told.append)
        TlsPair(settings("a.example"), judge).run()
        self.assertEqual(told, [])
        TlsPair(settings("c.example"), judge).run()
        refused = TlsPair(_without_certificate(), judge).run()
        self.assertEqual(
            [each.reason for each in told],
            [Reason.CONNECTION_AUTHORIZATION_FAILED, Reason.REMOTE_CERTIFICATE_MISSING],
        )
        self.assertIs(told[1], refused.server.reason)
        # A failure that we dialled is told to whoever dialled, and an ordinary end is no failure.
        TlsPair(judge, settings("a.example")).run()
        ended = TlsPair(settings("a.example"), judge).run()
        ended.client_tls.transport.loseConnection()
        ended.run()
        self.assertEqual(len(told), 2)

    def test_owner_fails(self) -> None:
        """An owner that fails to take the news is logged, and the connection ends as it would have."""

        def fail(failure: TlsFailure) -> None:
            raise RuntimeError("no time for that")

        pair = TlsPair(_without_certificate(), settings("b.example", on_failure=fail)).run()
        self.assertEqual(pair.server.failure.reason, Reason.REMOTE_CERTIFICATE_MISSING)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_no_renegotiation(self) -> None:
        """A client that asks for another handshake on TLS 1.2 gets none, and what was verified stays so."""
        raw = RawClient(settings("b.example"), shows=party_credential("a.example"), version=SSL.TLS1_2_VERSION).run()
        raw.party.transport.write(b"one")
        raw.run()
        before = raw.server.transport.verified
        raw.connection.renegotiate()
        raw.party.transport.write(b"two")
        raw.run()
        self.assertEqual(raw.server.events[:2], ["made", "verified"])
        self.assertNotIn("verified", raw.server.events[2:])
        self.assertIs(raw.server.transport.verified, before)
        self.assertEqual(raw.server_tls.getHandle().total_renegotiations(), 0)


class SettingsTests(SynchronousTestCase):
    """What the settings demand, and how they change."""

    def test_mutual_needs_certificate(self) -> None:
        """Mutual TLS without a certificate of our own is misuse, and so is a listener without one. row:D5"""
        self.assertRaises(InvalidOperation, TlsSettings, None, anchors(), ANY)
        alone = _without_certificate()
        self.assertRaises(InvalidOperation, server_tls_factory, alone, Factory(), Clock(), TIMEOUT)

    def test_one_sided(self) -> None:
        """Without mutual TLS a caller may be nobody; what it does show must still be good. row:D4"""
        judge = settings("b.example", TrustPolicy(["a.example"]), need_mutual_tls=False)
        for version in VERSIONS:
            nobody = TlsSettings(None, anchors(), ANY, need_mutual_tls=False, maximum_version=version)
            pair = TlsPair(nobody, judge, client=Party(b"hello")).run()
            self.assertEqual(pair.server.heard, b"hello")
            verified = pair.server.transport.verified
            self.assertEqual(
                (verified.identities, verified.certificate, verified.matched, verified.key), (None, None, "", "")
            )
            self.assertEqual(pair.client.transport.verified.matched, "b.example")
        known = TlsPair(settings("a.example"), judge).run()
        self.assertEqual(known.server.transport.verified.matched, "a.example")
        for odd, reason in (
            (settings("c.example"), Reason.CONNECTION_AUTHORIZATION_FAILED),
            (
                TlsSettings(credential(other_authority().issue("a.example")), anchors()),
                Reason.UNTRUSTED_REMOTE_CERTIFICATE,
            ),
        ):
            self.assertEqual(TlsPair(odd, judge).run().server.failure.reason, reason)

    def test_dialled_peer_always_proves_itself(self) -> None:
        """Doing without mutual TLS never makes the side that dials trust anybody. row:D4"""
        nobody = _without_certificate()
        stranger = TlsSettings(credential(other_authority().issue("b.example")), anchors(), need_mutual_tls=False)
        self.assertEqual(TlsPair(nobody, stranger).run().client.failure.reason, Reason.UNTRUSTED_REMOTE_CERTIFICATE)

    def test_replaced_credential(self) -> None:
        """A new certificate is used by the handshakes that follow; connections that stand live on. row:D2"""
        listener = settings("b.example")
        old = TlsPair(settings("a.example"), listener).run()
        renewed = credential(authority().issue("b.example"))
        listener.replace(credential=renewed)
        new = TlsPair(settings("a.example"), listener).run()
        self.assertEqual(old.client.transport.verified.certificate, party_credential("b.example").certificate)
        self.assertEqual(new.client.transport.verified.certificate, renewed.certificate)
        old.client.transport.write(b"still here")
        old.run()
        self.assertEqual(old.server.heard, b"still here")
        self.assertIs(listener.credential, renewed)
        self.assertIs(listener.anchors, anchors())
        self.assertTrue(listener.need_mutual_tls)

    def test_replacement_reaches_no_handshake_under_way(self) -> None:
        """A handshake is judged by what held when it began. row:D2"""
        listener = settings("b.example")
        pair = TlsPair(settings("a.example"), listener)
        listener.replace(policy=TrustPolicy([]), credential=credential(authority().issue("c.example")))
        pair.run()
        self.assertEqual(pair.server.events, ["made", "verified"])
        self.assertEqual(str(listener.policy), "nobody")

    def test_useless_credential(self) -> None:
        """A certificate that OpenSSL will not use is refused at once; a failed replacement changes nothing. row:D1"""
        weak = authority().issue("b.example", key=rsa_key(1024))
        useless = Credential(weak.certificate, weak.key, source="/etc/sip/b.pem")
        refused = self.assertRaises(TlsFailure, TlsSettings, useless, anchors())
        self.assertEqual(refused.reason, Reason.LOCAL_CERTIFICATE_NOT_FOUND)
        self.assertIn("/etc/sip/b.pem", str(refused))
        listener = settings("b.example")
        self.assertRaises(TlsFailure, listener.replace, credential=useless, policy=TrustPolicy([]))
        self.assertIs(listener.credential, party_credential("b.example"))
        self.assertEqual(listener.policy, ANY)

    def test_chain_is_shown(self) -> None:
        """The intermediates of a credential reach the peer."""
        issued = authority().intermediate("intermediate authority").issue("b.example")
        pair = TlsPair(settings("a.example"), TlsSettings(credential(issued), anchors(), ANY)).run()
        self.assertEqual(pair.client.events, ["made", "verified"])

    def test_expected_name(self) -> None:
        """What is dialled must be a name or an address."""
        for wrong in ("", "sip:b.example", "b.example:5061", "*.example", "b..example", "a@b.example"):
            self.assertRaises(ValueError, client_tls_factory, settings(), wrong, Factory(), Clock(), TIMEOUT)


class ServerNameTests(SynchronousTestCase):
    """The server name indication (RFC 6066 section 3)."""

    def test_sent_for_names_only(self) -> None:
        """A host name is indicated, an IP address never."""
        answering = TlsSettings(credential(authority().issue("b.example", "192.0.2.1", "2001:db8::1")), anchors(), ANY)
        for expected, indicated in (("B.Example.", b"b.example"), ("192.0.2.1", None), ("[2001:db8::1]", None)):
            pair = TlsPair(settings("a.example"), answering, expected).run()
            self.assertEqual(pair.client.events, ["made", "verified"])
            self.assertEqual(pair.server_tls.getHandle().get_servername(), indicated)

    def test_odd_names_are_tolerated(self) -> None:
        """A literal address or a name that nobody knows in it is no reason to refuse a caller. fault:F8"""
        for name in (b"192.0.2.1", b"[::1]", b"nobody.example", b"B.EXAMPLE", b"x" * 255, b"_", b"\xff\xfe"):
            raw = RawClient(settings("b.example"), shows=party_credential("a.example"), server_name=name).run()
            self.assertEqual(raw.server.events, ["made", "verified"], name)
            self.assertEqual(raw.server.transport.verified.matched, "a.example")


class SocketTests(TestCase):
    """The same on real sockets of this host."""

    async def connected(
        self, dialling: TlsSettings, answering: TlsSettings, client: Party, server: Party
    ) -> tuple[Deferred[None], Deferred[None]]:
        """Connect the two and return what fires when either has lost its connection."""
        ends = []
        for party in (client, server):
            end: Deferred[None] = Deferred()
            ends.append(end)
            lost = party.connectionLost
            party.connectionLost = lambda reason, lost=lost, end=end: (lost(reason), end.callback(None))
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            server_tls_factory(answering, Factory.forProtocol(lambda: server), reactor, TIMEOUT)
        )
        self.addCleanup(port.stopListening)
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(
            client_tls_factory(dialling, "localhost", Factory.forProtocol(lambda: client), reactor, TIMEOUT)
        )
        return ends[0], ends[1]

    async def test_conversation(self) -> None:
        """Both sides verify each other, speak, and end with a proper close."""
        client, server = Party(b"ping"), Party()
        server.on_data = lambda data: server.transport.write(b"pong")
        client.on_data = lambda data: client.transport.loseConnection()
        for end in await self.connected(settings("a.example"), settings("localhost"), client, server):
            await end
        self.assertEqual((client.heard, server.heard), (b"pong", b"ping"))
        self.assertIsInstance(client.reason, ConnectionDone)
        self.assertIsInstance(server.reason, ConnectionDone)
        self.assertEqual(client.events, ["made", "verified", "lost"])

    async def test_refusal_reaches_the_client(self) -> None:
        """The alert of a server that refuses is read, although it closes while the client still sends. row:D18"""
        for policy, reason in (
            (TrustPolicy([]), Reason.CONNECTION_AUTHORIZATION_FAILED),
            (TrustPolicy(["a.example"]), None),
        ):
            client, server = Party(b"x" * 100_000), Party()
            if reason is None:
                server.on_data = lambda data, server=server: server.transport.abortConnection()
            for end in await self.connected(settings("a.example"), settings("localhost", policy), client, server):
                await end
            if reason is not None:
                self.assertEqual(server.failure.reason, reason)
                self.assertEqual(client.failure.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
                self.assertEqual(server.heard, b"")
            else:
                self.assertNotIsInstance(client.reason, TlsFailure)

    async def test_not_tls(self) -> None:
        """A client that dials a port without TLS learns that there is none. row:D18"""

        class Greeter(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"220 smtp.example ready\r\n")
                self.transport.loseConnection()

        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(Greeter))
        self.addCleanup(port.stopListening)
        client = Party(b"secret")
        ended: Deferred[None] = Deferred()
        lost = client.connectionLost
        client.connectionLost = lambda reason: (lost(reason), ended.callback(None))
        await TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port).connect(
            client_tls_factory(settings(), "localhost", Factory.forProtocol(lambda: client), reactor, TIMEOUT)
        )
        await ended
        self.assertEqual(client.failure.reason, Reason.TLS_NEGOTIATION_FAILURE)
        self.assertEqual(client.events, ["made", "lost"])


def _without_certificate() -> TlsSettings:
    """A party that only dials, and shows nothing."""
    return TlsSettings(None, anchors(), ANY, need_mutual_tls=False)


def _failure(error: BaseException) -> Any:
    from twisted.python.failure import Failure

    return Failure(error)
