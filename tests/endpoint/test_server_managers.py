"""The two connection managers: with TLS, which is the rule, and without."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from OpenSSL.crypto import X509, PKey
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.logger import globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory

from sip_p2p import (
    ConnectionFailure,
    Credential,
    InvalidOperation,
    ListenFailed,
    RealTimeServerTcpConnectionManager,
    RealTimeServerTlsConnectionManager,
    SipPeerToPeerEndpoint,
    TlsFailure,
    TlsFailureReason,
    TrustAnchors,
    TrustPolicy,
)
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def logged_warnings(case: SynchronousTestCase) -> list[str]:
    """What is logged from now on until the test ends, in words."""
    lines: list[str] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_format") and event["log_level"].name == "warn":
            lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return lines


class ConstructionTests(SynchronousTestCase):
    """What a TLS manager is made of, and what is wrong with what it is given."""

    def setUp(self) -> None:
        """An authority and a certificate, in files."""
        self.authority = CertificateAuthority.create()
        self.issued = self.authority.issue("a.example")
        self.folder = Path(self.mktemp())
        self.authority.write(self.folder)
        self.certificate = self.issued.write(self.folder)
        self.trust = self.folder / "ca.pem"

    def manager(self, **options: Any) -> RealTimeServerTlsConnectionManager:
        """A manager from these options, and from what else it needs."""
        options.setdefault("certificate", self.certificate)
        options.setdefault("trust", self.trust)
        return RealTimeServerTlsConnectionManager(Network().host(), **options)

    def test_from_files(self) -> None:
        """Paths of PEM files are enough, as text or as paths, with the key in the same file or in another
        (row:D1)."""
        apart = self.folder / "apart.pem"
        apart.write_bytes(self.issued.certificate_pem)
        key = self.folder / "apart-key.pem"
        key.write_bytes(self.issued.key_pem)
        key.chmod(0o600)
        for certificate, private_key in ((str(self.certificate), None), (self.certificate, None), (apart, str(key))):
            manager = self.manager(certificate=certificate, private_key=private_key)
            assert manager.credential is not None
            self.assertEqual(manager.credential.certificate, self.issued.certificate)

    def test_from_objects(self) -> None:
        """Objects that exist already serve as well (row:D1)."""
        credential = Credential.from_pem(self.issued.pem)
        policy = TrustPolicy.any_authenticated()
        anchors = TrustAnchors.from_pem(self.authority.pem)
        manager = self.manager(certificate=credential, trust=anchors, allow=policy)
        self.assertIs(manager.credential, credential)
        self.assertIs(manager.policy, policy)

    def test_what_weakens_is_logged_at_every_start(self) -> None:
        """Letting everybody in whom an authority vouches for, and doing without certificates, are warned of
        (row:D7)."""
        warnings = logged_warnings(self)
        self.manager(allow=TrustPolicy.any_authenticated())
        self.assertIn("any_authenticated", warnings[-1])
        self.manager(need_mutual_tls=False)
        self.assertIn("need_mutual_tls", warnings[-1])

    def test_several_authorities(self) -> None:
        """trust is one file, a folder, or several of either."""
        for trust in (str(self.trust), self.folder, [self.trust], (str(self.trust), self.folder)):
            self.assertIsNotNone(self.manager(trust=trust).credential)

    def test_local_certificate_not_found(self) -> None:
        """A certificate or key that is missing, or is none, is a TlsFailure when the manager is made; it names the file
        (row:D1)."""
        other = self.authority.issue("b.example")
        wrong_key = self.folder / "wrong-key.pem"
        wrong_key.write_bytes(other.key_pem)
        wrong_key.chmod(0o600)
        empty = self.folder / "empty.pem"
        empty.touch(0o600)
        missing = self.folder / "missing.pem"
        for options, named in (
            ({"certificate": missing}, missing),
            ({"certificate": self.folder}, self.folder),
            ({"certificate": empty}, empty),
            ({"private_key": missing}, missing),
            ({"private_key": wrong_key}, self.certificate),
        ):
            with self.assertRaises(TlsFailure) as caught:
                self.manager(**options)
            self.assertIs(caught.exception.reason, TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND)
            self.assertIn(str(named), str(caught.exception))

    def test_expired(self) -> None:
        """A certificate of our own that has expired, or is not valid yet, is refused when the manager is made
        (row:D16)."""
        for start, end in ((NOW - 2 * DAY, NOW - DAY), (NOW + DAY, NOW + 2 * DAY)):
            path = self.authority.issue("x.example", not_before=start, not_after=end).write(self.folder, replace=True)
            with self.assertRaises(TlsFailure) as caught:
                self.manager(certificate=path)
            self.assertIs(caught.exception.reason, TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED)

    def test_mutual_tls_needs_a_certificate(self) -> None:
        """Without a certificate there is no mutual TLS, listening or not (row:D5)."""
        for need_mutual_tls in (True, False):
            with self.assertRaises(InvalidOperation) as caught:
                self.manager(certificate=None, private_key=self.certificate, need_mutual_tls=need_mutual_tls)
            self.assertIn("certificate=", str(caught.exception))
        with self.assertRaises(InvalidOperation):
            self.manager(certificate=None)
        dials_only = self.manager(certificate=None, need_mutual_tls=False)
        self.assertIsNone(dials_only.credential)
        with self.assertRaises(ValueError):
            dials_only.start_listening("tls:port=0")

    def test_trust_is_needed(self) -> None:
        """A manager that trusts nobody could verify nobody: that is said, with the remedy (row:D7)."""
        for trust in ((), [], self.folder / "missing", [self.certificate.with_name("missing")]):
            with self.assertRaises(ValueError):
                self.manager(trust=trust)
        with self.assertRaises(ValueError) as caught:
            self.manager(trust=())
        self.assertIn("trust=", str(caught.exception))

    def test_allow(self) -> None:
        """allow is a name, several with commas, a list or a policy; by default localhost, and an empty list is nobody
        (row:D6, row:D7, row:D8)."""
        for allow, expected in (
            (None, TrustPolicy(["localhost"])),
            ([], TrustPolicy([])),
            ("b.example", TrustPolicy(["b.example"])),
            ("b.example, .c.example", TrustPolicy(["b.example"], [".c.example"])),
            (("B.example", ".c.example"), TrustPolicy(["b.example"], [".c.example"])),
        ):
            self.assertEqual(self.manager(allow=allow).policy, expected)
        for wrong in ("*", "*.example", ["sip:b.example"], "b.example:5061"):
            with self.assertRaises(ValueError):
                self.manager(allow=wrong)

    def test_weakening_is_said_aloud(self) -> None:
        """Leaving mutual TLS off is logged at each start; with it nothing needs to be said (row:D4)."""
        lines = logged_warnings(self)
        self.assertTrue(self.manager().need_mutual_tls)
        self.assertEqual(lines, [])
        manager = self.manager(need_mutual_tls=False)
        self.assertFalse(manager.need_mutual_tls)
        self.assertEqual(len(lines), 1)
        self.assertIn("need_mutual_tls", lines[0])


class TlsTestCase(SynchronousTestCase):
    """Parties on a network in memory."""

    def setUp(self) -> None:
        """Bob, who listens."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)

    def party(self, name: str, *, listen: Any = None, **manager: Any) -> SipPeerToPeerEndpoint:
        """A party called by its domain, which answers everything."""
        party = self.network.party(f"sip:{name}@{name}", listen=listen, manager=manager)
        party.message_received.subscribe(lambda event: None)
        return party

    def send(self, sender: SipPeerToPeerEndpoint, name: str) -> int:
        """The status that *sender* gets from the party *name*."""
        return self.network.run_until(sender.send_message(f"sip:{name}@{name}", "x")).status

    def refusal(self, sender: SipPeerToPeerEndpoint, name: str) -> TlsFailureReason:
        """Why TLS did not come about between the two."""
        with self.assertRaises(TlsFailure) as caught:
            self.send(sender, name)
        return caught.exception.reason

    def manager_of(self, party: SipPeerToPeerEndpoint) -> RealTimeServerTlsConnectionManager:
        """Its connection manager."""
        manager = party.connection_manager
        assert isinstance(manager, RealTimeServerTlsConnectionManager)
        return manager


class WhoMayCallTests(TlsTestCase):
    """Rows D4 to D10."""

    def test_only_localhost_by_default(self) -> None:
        """Without allow= only a peer that proved localhost may call; everybody else is refused, however good the
        certificate (row:D8, row:D7)."""
        bob = self.party("b.example", allow=None)
        self.assertEqual(self.manager_of(bob).policy, TrustPolicy(["localhost"]))
        reasons: list[TlsFailureReason] = []
        self.manager_of(bob).tls_failed.subscribe(lambda failure: reasons.append(failure.reason))
        refused = self.refusal(self.party("a.example"), "b.example")
        self.assertIs(refused, TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        self.assertEqual(reasons, [TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED])
        self.assertEqual(self.send(self.party("localhost"), "b.example"), 200)

    def test_names_and_suffixes(self) -> None:
        """A name allows itself, a suffix everything below its domain, label by label (row:D6)."""
        self.party("b.example", allow=["c.example", ".a.example"])
        for name, welcome in (
            ("c.example", True),
            ("x.a.example", True),
            ("y.x.a.example", True),
            ("a.example", False),
            ("xa.example", False),
            ("x.c.example", False),
        ):
            party = self.party(name, listen=())
            if welcome:
                self.assertEqual(self.send(party, "b.example"), 200, name)
            else:
                self.assertIs(self.refusal(party, "b.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED, name)

    def test_both_sides_show_a_certificate(self) -> None:
        """Mutual TLS asks who calls for a certificate, and presents ours to whom we call (row:D4)."""
        bob = self.party("b.example")
        seen: list[str] = []
        bob.message_received.subscribe(lambda event: seen.append(event.peer.identity))
        self.assertEqual(self.send(self.party("a.example", listen=()), "b.example"), 200)
        self.assertEqual(seen, ["a.example"])
        nobody = RealTimeServerTlsConnectionManager(
            self.network.host(), trust=TrustAnchors.from_pem(self.network.authority.pem), need_mutual_tls=False
        )
        endpoint = SipPeerToPeerEndpoint("sip:nobody@n.example", nobody)
        reasons: list[TlsFailureReason] = []
        self.manager_of(bob).tls_failed.subscribe(lambda failure: reasons.append(failure.reason))
        self.assertIs(self.refusal(endpoint, "b.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        self.assertEqual(reasons, [TlsFailureReason.REMOTE_CERTIFICATE_MISSING])
        self.network.run_until(nobody.terminate())

    def test_another_policy_while_listening(self) -> None:
        """set_trust_policy counts from the next handshake on, both ways; open connections live on (row:D10)."""
        bob = self.party("b.example", allow=["a.example"])
        alice, carol = self.party("a.example", listen=()), self.party("c.example", listen=())
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.manager_of(bob).set_trust_policy("c.example")
        self.assertEqual(self.manager_of(bob).policy, TrustPolicy(["c.example"]))
        self.assertEqual(self.send(carol, "b.example"), 200)
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        self.assertIs(self.refusal(alice, "b.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)
        self.manager_of(bob).set_trust_policy(TrustPolicy.any_authenticated())
        self.network.advance(1)
        self.assertEqual(self.send(alice, "b.example"), 200)

    def test_a_wrong_policy_changes_nothing(self) -> None:
        """A policy that is none is a ValueError, and the old one stays (row:D10)."""
        bob = self.party("b.example", allow=["a.example"])
        with self.assertRaises(ValueError):
            self.manager_of(bob).set_trust_policy(["*.example"])
        self.assertEqual(self.manager_of(bob).policy, TrustPolicy(["a.example"]))
        self.assertEqual(self.send(self.party("a.example", listen=()), "b.example"), 200)


class LocalCertificateTests(TlsTestCase):
    """set_local_certificate."""

    def setUp(self) -> None:
        """Bob, who sees who calls him."""
        super().setUp()
        self.bob = self.party("b.example")
        self.manager = self.manager_of(self.bob)

    def issue(self, *names: str, **options: Any) -> IssuedCertificate:
        """Another certificate."""
        return self.network.authority.issue(*(names or ("b.example",)), **options)

    def shown_to(self, party: SipPeerToPeerEndpoint) -> list[object]:
        """The serial numbers of Bob's certificates on the open flows of *party*."""
        flows = [flow.verified for flow in party.connection_manager.pool]
        return [verified.certificate.serial_number for verified in flows if verified and verified.certificate]

    def test_new_handshakes_in_both_directions(self) -> None:
        """Who dials us and whom we dial sees the new certificate from the next handshake on (row:D2, fault:F13)."""
        alice, carol = self.party("a.example", listen=()), self.party("c.example")
        new = self.issue()
        self.manager.set_local_certificate(Credential.from_pem(new.pem))
        assert self.manager.credential is not None
        self.assertEqual(self.manager.credential.certificate, new.certificate)
        self.assertEqual((self.send(alice, "b.example"), self.send(self.bob, "c.example")), (200, 200))
        for party in (alice, carol):
            self.assertEqual(self.shown_to(party), [new.certificate.serial_number])

    def test_live_flows_stay(self) -> None:
        """Connections from before stay up with what they have; our own next request goes out on a new one (row:D2)."""
        alice, carol = self.party("a.example", listen=()), self.party("c.example")
        old = self.manager.credential
        assert old is not None
        self.send(alice, "b.example")
        self.send(self.bob, "c.example")
        new = self.issue()
        self.manager.set_local_certificate(Credential.from_pem(new.pem))
        self.assertEqual((self.send(alice, "b.example"), self.send(self.bob, "c.example")), (200, 200))
        self.assertEqual(self.shown_to(alice), [old.certificate.serial_number])
        self.assertEqual(self.shown_to(carol), [old.certificate.serial_number, new.certificate.serial_number])

    def test_from_files(self) -> None:
        """The same files, written anew, are read again (row:D2)."""
        folder = Path(self.mktemp())
        new = self.issue()
        path = new.write(folder)
        self.manager.set_local_certificate(path)
        newer = self.issue()
        newer.write(folder, replace=True)
        self.manager.set_local_certificate(str(path))
        alice = self.party("a.example", listen=())
        self.send(alice, "b.example")
        self.assertEqual(self.shown_to(alice), [newer.certificate.serial_number])

    def test_a_broken_one_changes_nothing(self) -> None:
        """A certificate that is missing, expired or not the key's is a TlsFailure, and the old one stays in use
        (row:D2)."""
        folder = Path(self.mktemp())
        expired = self.issue(not_before=NOW - 2 * DAY, not_after=NOW - DAY).write(folder)
        other = self.issue("o.example").write(folder)
        good = self.issue("g.example").write(folder)
        before = self.manager.credential
        assert before is not None
        for certificate, key in ((folder / "missing.pem", None), (expired, None), (good, other), (good, expired)):
            with self.assertRaises(TlsFailure):
                self.manager.set_local_certificate(certificate, key)
            self.assertIs(self.manager.credential, before)
        alice = self.party("a.example", listen=())
        self.assertEqual(self.send(alice, "b.example"), 200)
        self.assertEqual(self.shown_to(alice), [before.certificate.serial_number])

    def test_a_listener_with_its_own(self) -> None:
        """A listener that names its own certificate keeps it when the manager's changes (row:D2, row:C12)."""
        folder = Path(self.mktemp())
        own = self.issue("gate.example")
        path = own.write(folder)
        self.network.name("gate.example", *self.network.addresses_of("b.example"))
        self.network.run_until(self.manager.start_listening(f"tls:port=5071:certKey={path}"))
        self.manager.set_local_certificate(Credential.from_pem(self.issue().pem))
        alice = self.party("a.example", listen=())
        sending = alice.send_message("sip:x@gate.example:5071", "x")
        self.assertEqual(self.network.run_until(sending).status, 200)
        self.assertEqual(self.shown_to(alice), [own.certificate.serial_number])

    def test_our_name_follows(self) -> None:
        """What we call ourselves in Contact and Via follows the certificate (row:D2, row:E28)."""
        self.manager.set_local_certificate(Credential.from_pem(self.issue("new.example", "b.example").pem))
        self.assertEqual(self.bob.contact_uri.host, "new.example")


class OwnNameTests(TlsTestCase):
    """What our Via and Contact call us."""

    def names(self, sender: SipPeerToPeerEndpoint, target: str) -> tuple[str, str]:
        """The hosts in the Via and in the Contact of a request."""
        seen: list[tuple[str, str]] = []

        def look(event: Any) -> None:
            contact = event.request.headers["Contact"]
            seen.append((event.request.via.sent_by, contact.partition("@")[2].partition(";")[0]))

        self.carol.handle("PING", look)
        self.network.run_until(sender.request("PING", target))
        return seen[0]

    def setUp(self) -> None:
        """Carol, who looks at what she is sent."""
        super().setUp()
        self.carol = self.network.party(
            "sip:carol@c.example", listen=("tls:port=5061", "tcp:port=5060", "udp:port=5060")
        )

    def test_certificate_first(self) -> None:
        """On TLS it is the name that our certificate proves, the first one (row:E28)."""
        issued = self.network.authority.issue("one.example", "two.example")
        alice = self.party("two.example", certificate=Credential.from_pem(issued.pem))
        self.assertEqual(self.names(alice, "sip:carol@c.example"), ("one.example:5061", "one.example:5061"))

    def test_advertised(self) -> None:
        """What advertise= says goes before everything, on every transport; IPv6 in brackets (row:E28)."""
        for number, (advertise, expected) in enumerate(
            (("Gate.example", "gate.example"), ("192.0.2.7", "192.0.2.7"), ("2001:DB8::7", "[2001:db8::7]"))
        ):
            alice = self.party(f"a{number}.example", advertise=advertise, listen=("tls:port=5061", "tcp:port=5060"))
            for target, port in (("sip:carol@c.example", 5061), ("sip:carol@c.example;transport=tcp", 5060)):
                self.assertEqual(self.names(alice, target), (f"{expected}:{port}",) * 2)
            self.assertEqual(f"{alice.contact_uri}".partition("@")[2].partition(";")[0], f"{expected}:5061")

    def test_clear_text(self) -> None:
        """Without TLS it is the address that the flow has, and never a wildcard (row:E28, fault:J8)."""
        plain = self.network.party(
            "sip:p@p.example", listen=("udp:port=5060", "tcp:port=5060"), default_transport="udp"
        )
        address = self.network.addresses_of("p.example")[0]
        for transport in ("udp", "tcp"):
            names = self.names(plain, f"sip:carol@c.example;transport={transport}")
            self.assertEqual(names, (f"{address}:5060",) * 2)

    def test_no_wildcard_and_no_flow(self) -> None:
        """Where nothing is known of us, we are localhost, never 0.0.0.0 or :: (row:E28)."""
        manager = RealTimeServerTcpConnectionManager(self.network.host("10.8.0.1", "2001:db8::8"))
        party = SipPeerToPeerEndpoint("sip:p@p.example", manager)
        self.assertEqual((party.contact_uri.host, party.contact_uri.port), ("localhost", None))
        for description in ("tcp:port=5060", "tcp:port=5062:interface=\\:\\:"):
            self.network.run_until(manager.start_listening(description))
            self.assertEqual(party.contact_uri.host, "localhost")
            self.assertNotIn("0.0.0.0", party.contact)
            self.assertNotIn("::", party.contact)
        self.network.run_until(manager.terminate())

    def test_what_cannot_be_advertised(self) -> None:
        """What is no host is refused when it is given, not when the first message leaves (row:E28, row:M4)."""
        host = self.network.host()
        for wrong in ("", "a b", "gate.example:5061", "sip:gate.example", "x\r\nEvil: 1", "*"):
            with self.assertRaises(ValueError, msg=repr(wrong)):
                RealTimeServerTcpConnectionManager(host, advertise=wrong)
        manager = RealTimeServerTcpConnectionManager(host, advertise="gate.example")
        with self.assertRaises(ValueError):
            manager.advertise = "a b"
        self.assertEqual(manager.advertise, "gate.example")
        manager.advertise = None
        self.assertIsNone(manager.advertise)


class OtherServersTests(TlsTestCase):
    """Servers that are not ours."""

    def test_a_server_without_protocols(self) -> None:
        """A server that ends every handshake with a protocol in it that it was not told of, as Twisted's own does, is
        reached by whoever offers none (row:D26)."""
        authority = self.network.authority
        issued = authority.issue("b.example")
        options = CertificateOptions(
            privateKey=PKey.from_cryptography_key(issued.key), certificate=X509.from_cryptography(issued.certificate)
        )
        heard: list[bytes] = []

        class Server(Protocol):
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)
                assert self.transport is not None
                self.transport.abortConnection()

        bob = self.network.host(names=["b.example"])
        port = bob.listenTCP(5061, TLSMemoryBIOFactory(options, False, Factory.forProtocol(Server), bob))
        with self.assertRaises(TlsFailure) as caught:
            self.send(self.party("a.example"), "b.example")
        self.assertEqual((caught.exception.alert, heard), ("internal_error", []))
        with self.assertRaises(ConnectionFailure):
            self.send(self.party("c.example", offer_alpn=False), "b.example")
        self.assertTrue(heard[0].startswith(b"MESSAGE sip:b.example@b.example SIP/2.0\r\n"))
        self.network.run_until(port.stopListening())


class ClearTextTests(TlsTestCase):
    """The manager without TLS."""

    def test_no_tls_without_a_certificate(self) -> None:
        """A manager for clear text refuses what needs TLS, dialling and listening, and says what to use (row:D3)."""
        manager = RealTimeServerTcpConnectionManager(self.network.host())
        party = SipPeerToPeerEndpoint("sip:p@p.example", manager)
        self.network.host(names=["b.example"])
        for target in ("sips:b@b.example", "sip:b@b.example;transport=tls"):
            with self.assertRaises(InvalidOperation) as caught:
                self.network.run_until(party.send_message(target, "x"))
            self.assertIn("TLS manager", str(caught.exception))
        with self.assertRaises(ValueError):
            manager.start_listening("tls:port=5061")
        self.assertIsNone(manager.tls_settings())
        self.network.run_until(manager.terminate())

    def test_clear_text_on_a_tls_manager(self) -> None:
        """A manager with TLS listens in clear text when its description says so, and is not reached that way
        otherwise (row:A3, row:D3)."""
        bob = self.party("b.example", listen=("tls:port=5061", "tcp:port=5060"))
        alice = self.party("a.example", listen=())
        sending = alice.send_message("sip:b.example@b.example;transport=tcp", "x")
        self.assertEqual(self.network.run_until(sending).status, 200)
        (_, tcp) = bob.connection_manager.listeners
        self.network.run_until(tcp.stop())
        self.network.cut("a.example", "b.example")
        self.network.advance(1)
        with self.assertRaises(ConnectionFailure):
            self.network.run_until(alice.send_message("sip:b.example@b.example;transport=tcp", "x"))
        with self.assertRaises(ListenFailed) as caught:
            self.network.run_until(bob.connection_manager.start_listening("tcp:port=5061"))
        self.assertIsInstance(caught.exception.cause, CannotListenError)
