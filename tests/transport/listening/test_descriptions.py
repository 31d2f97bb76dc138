"""Endpoint descriptions: what they mean, and what each mistake in one is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.protocols import wire
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.pki import CertificateAuthority
from sip_p2p.testing import Network
from sip_p2p.transport.listening.descriptions import listening_endpoint
from sip_p2p.transport.listening.endpoints import ListeningEndpoint
from sip_p2p.transport.tls.settings import TlsSettings, client_tls_factory
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from tests import support

AUTHORITY = CertificateAuthority.create()
ISSUED = {name: AUTHORITY.issue(name) for name in ("a.example", "b.example", "c.example")}
ANCHORS = TrustAnchors.from_pem(AUTHORITY.pem)


def credential(name: str) -> Credential:
    """The certificate of one party."""
    return Credential.from_pem(ISSUED[name].pem)


class Client(Protocol):
    """Says hello, keeps the answer and the end."""

    def __init__(self) -> None:
        self.received = b""
        self.reason: Failure | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.reason = reason


class DescriptionTestCase(support.SynchronousTestCase):
    """A listening host, b.example, a host that dials, and files with certificates."""

    def setUp(self) -> None:
        self.network = Network()
        self.alice = self.network.host("10.0.0.1", "fd00::1", names=["a.example"])
        self.bob = self.network.host("10.0.0.2", "fd00::2", names=["b.example"])
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.trust = str(AUTHORITY.write(self.folder))
        self.files = {name: str(issued.write(self.folder)) for name, issued in ISSUED.items()}

    def settings(self, **changes: Any) -> TlsSettings:
        """What a connection manager would have."""
        arguments: dict[str, Any] = {
            "credential": credential("b.example"),
            "anchors": ANCHORS,
            "policy": TrustPolicy(["a.example"]),
        }
        return TlsSettings(**(arguments | changes))

    def listen(self, description: str, tls: TlsSettings | None = None, factory: Any = None) -> Any:
        """Listen on bob's host and give back the port."""
        endpoint = listening_endpoint(self.bob, description, tls)
        return self.network.run_until(endpoint.listen(factory or Factory.forProtocol(wire.Echo)))

    def dial(
        self, port: int, name: str | None = "a.example", host: str = "10.0.0.2", expected: str = "b.example"
    ) -> Client:
        """Dial bob over TLS with the certificate of *name*, and let ten seconds pass."""
        settings = TlsSettings(None if name is None else credential(name), ANCHORS, need_mutual_tls=name is not None)
        client = Client()
        factory = Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
        secured = client_tls_factory(settings, expected, factory, self.alice, 5.0)
        self.network.run_until(HostnameEndpoint(self.alice, host, port).connect(secured))
        self.network.advance(10)
        return client

    def assert_refused(self, client: Client, reason: TlsFailureReason) -> None:
        """Fail unless the connection ended for this reason without a byte of the application's."""
        self.assertEqual(client.received, b"")
        assert client.reason is not None
        self.assertEqual(client.reason.trap(TlsFailure), TlsFailure)
        self.assertIs(client.reason.value.reason, reason)  # type: ignore[attr-defined]

    def mistake(self, description: str, tls: TlsSettings | None = None) -> str:
        """What a wrong description is told."""
        message = str(self.assertRaises(ValueError, listening_endpoint, self.bob, description, tls))
        self.assertNotIn("\n", message)
        return message


class TlsTests(DescriptionTestCase):
    """``tls:``."""

    def test_everything_in_the_description(self) -> None:
        """A description alone gives a port with mutual TLS and its own certificate. row:C1 row:C12"""
        port = self.listen(f"tls:port=5061:certKey={self.files['b.example']}:trustRoots={self.trust}:mutual=yes")
        self.assertEqual(port.getHost().port, 5061)
        self.assertEqual(self.dial(5061).received, b"hello")
        self.assert_refused(self.dial(5061, None), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)

    def test_free_port(self) -> None:
        """Port 0 takes a free port, which the listening port then tells; each listener gets its own. row:C2"""
        ports = [self.listen("tls:port=0", self.settings()).getHost().port for _ in range(2)]
        self.assertNotIn(0, ports)
        self.assertNotEqual(ports[0], ports[1])
        for port in ports:
            self.assertEqual(self.dial(port).received, b"hello")

    def test_all_addresses(self) -> None:
        """Without an interface all IPv4 addresses are listened on, with ``::`` those of both families. row:C3"""
        self.assertEqual(self.listen("tls:5061", self.settings()).getHost().host, "0.0.0.0")
        self.listen("tls:5062:interface=\\:\\:", self.settings())
        for port, host in ((5061, "10.0.0.2"), (5062, "10.0.0.2"), (5062, "fd00::2")):
            self.assertEqual(self.dial(port, host=host).received, b"hello")
        self.listen("tls:5063:interface=127.0.0.1", self.settings())
        connecting = HostnameEndpoint(self.alice, "10.0.0.2", 5063).connect(Factory.forProtocol(Client))
        self.assertRaises(error.ConnectionRefusedError, self.network.run_until, connecting)

    def test_fallback(self) -> None:
        """What the description does not say comes from the settings: certificate, trust and policy."""
        self.listen("tls:5061", self.settings())
        self.assertEqual(self.dial(5061).received, b"hello")
        self.assert_refused(self.dial(5061, "c.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)

    def test_override(self) -> None:
        """What the description does say goes before the settings, for this listener alone."""
        self.listen(f"tls:5061:certKey={self.files['c.example']}:allow=c.example,.d.example", self.settings())
        self.listen("tls:5062", self.settings())
        self.assertEqual(self.dial(5061, "c.example", expected="c.example").received, b"hello")
        self.assert_refused(
            self.dial(5061, "a.example", expected="c.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED
        )
        self.assertEqual(self.dial(5062).received, b"hello")

    def test_follows_the_settings(self) -> None:
        """A new certificate or policy of the manager holds for the next connection of its listeners, too. row:D2"""
        settings = self.settings()
        self.listen("tls:5061", settings)
        self.listen("tls:5062:allow=a.example", settings)
        settings.replace(credential=credential("c.example"), policy=TrustPolicy(["b.example"]))
        for port in (5061, 5062):
            self.assert_refused(self.dial(port), TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)
        self.assertEqual(self.dial(5061, "b.example", expected="c.example").received, b"hello")
        self.assertEqual(self.dial(5062, "a.example", expected="c.example").received, b"hello")

    def test_refusals_are_reported(self) -> None:
        """A refused connection is told to the settings' ``on_failure`` for a listener with its own policy as well."""
        failures: list[TlsFailure] = []
        self.listen("tls:5061:allow=c.example", self.settings(on_failure=failures.append))
        self.dial(5061)
        self.assertEqual([failure.reason for failure in failures], [TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED])

    def test_without_mutual_tls(self) -> None:
        """``mutual=no`` lets in who shows no certificate, though the settings do not, and says so in the log."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        self.listen("tls:5061:mutual=no", self.settings())
        self.assertEqual(self.dial(5061, None).received, b"hello")
        warnings = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), 1)
        self.assertIn("tls:5061:mutual=no: peers without a certificate are accepted", warnings[0])

    def test_mutual_again(self) -> None:
        """``mutual=yes`` asks for certificates where the settings do not."""
        lax = self.settings(need_mutual_tls=False)
        self.listen("tls:5061", lax)
        self.listen("tls:5062:mutual=yes", lax)
        self.assertEqual(self.dial(5061, None).received, b"hello")
        self.assert_refused(self.dial(5062, None), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)

    def test_key_and_chain_apart(self) -> None:
        """Key and intermediate certificates may stand in files of their own."""
        middle = AUTHORITY.intermediate("middle")
        issued = middle.issue("b.example")
        names = {"certKey": b"", "privateKey": issued.key_pem, "extraCertChain": middle.pem}
        names["certKey"] = (
            issued.certificate_pem.split(b"-----END CERTIFICATE-----\n")[0] + b"-----END CERTIFICATE-----\n"
        )
        for name, content in names.items():
            path = self.folder / f"{name}=with:odd\\characters.pem"
            path.write_bytes(content)
            path.chmod(0o600)
        folder = str(self.folder)
        values = [f"{name}={folder}/{name}\\=with\\:odd\\\\characters.pem" for name in names]
        self.listen(":".join(["tls:5061", *values]), self.settings())
        self.assertEqual(self.dial(5061).received, b"hello")

    def test_handshake_deadline(self) -> None:
        """A peer that connects and says nothing is cut off after the time that was given for the handshake."""
        endpoint = listening_endpoint(self.bob, "tls:5061", self.settings(), handshake_timeout=2.0)
        self.network.run_until(endpoint.listen(Factory.forProtocol(wire.Echo)))
        silent = Client()
        silent.connectionMade = lambda: None  # type: ignore[method-assign]
        factory = Factory.forProtocol(lambda: silent)  # type: ignore[arg-type]
        self.network.run_until(HostnameEndpoint(self.alice, "10.0.0.2", 5061).connect(factory))
        self.network.advance(1.9)
        self.assertIsNone(silent.reason)
        self.network.advance(0.2)
        self.assertIsNotNone(silent.reason)

    def test_taken_port(self) -> None:
        """A port that is taken fails the Deferred, not the call."""
        self.listen("tls:5061", self.settings())
        endpoint = listening_endpoint(self.bob, "tls:5061", self.settings())
        self.failureResultOf(endpoint.listen(Factory.forProtocol(wire.Echo)), error.CannotListenError)

    def test_endpoint(self) -> None:
        """The result is a stream server endpoint that knows its transport and description."""
        for description, transport in (
            ("tls:5061", "TLS"),
            ("sips:5061", "TLS"),
            ("tcp:5060", "TCP"),
            ("sip:0", "TCP"),
        ):
            endpoint = listening_endpoint(self.bob, description, self.settings())
            self.assertTrue(verifyObject(IStreamServerEndpoint, endpoint))
            self.assertEqual((endpoint.transport, endpoint.description), (transport, description))
            self.assertIn(description, repr(endpoint))
        self.assertRaises(TypeError, ListeningEndpoint(self.bob, "", "TLS").listen, None)


class ClearTextTests(DescriptionTestCase):
    """``udp:``, ``tcp:`` and what is Twisted's."""

    def test_udp(self) -> None:
        """A UDP description listens for datagrams of any length, on one address or all of them."""
        received: list[tuple[int, str]] = []

        class Counting(DatagramProtocol):
            def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                received.append((len(datagram), addr[0]))

        endpoint = listening_endpoint(self.bob, "udp:5060:interface=\\:\\:")
        self.assertEqual(endpoint.transport, "UDP")
        port = self.network.run_until(endpoint.listen(Counting()))
        self.assertEqual((port.getHost().port, port.getHost().type), (5060, "UDP"))
        sender = DatagramProtocol()
        self.alice.listenUDP(0, sender)
        assert sender.transport is not None
        sender.transport.write(b"x" * 60_000, ("10.0.0.2", 5060))
        self.network.settle()
        self.assertEqual(received, [(60_000, "::ffff:10.0.0.1")])

    def test_tcp(self) -> None:
        """A TCP description listens as Twisted's own does, with the same keys."""
        port = self.listen("tcp:port=0:interface=10.0.0.2:backlog=5")
        client = Client()
        factory = Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
        self.network.run_until(HostnameEndpoint(self.alice, "b.example", port.getHost().port).connect(factory))
        self.network.settle()
        self.assertEqual(client.received, b"hello")

    def test_twisted(self) -> None:
        """Every other description is Twisted's."""
        for description in ("tcp6:5060", "unix:/var/run/sip", "haproxy:tcp:5060", "haproxy:tcp:5060:interface=\\:\\:"):
            endpoint = listening_endpoint(self.bob, description)
            self.assertTrue(verifyObject(IStreamServerEndpoint, endpoint))
            self.assertEqual(endpoint.transport, "TCP")
        self.network.run_until(listening_endpoint(self.bob, "tcp6:5060").listen(Factory.forProtocol(wire.Echo)))
        self.network.run_until(HostnameEndpoint(self.alice, "fd00::2", 5060).connect(Factory.forProtocol(Client)))


class MistakeTests(DescriptionTestCase):
    """Each mistake is one line that names the key, what is wrong, and the remedy."""

    def test_shape(self) -> None:
        """A description without a prefix, with an unknown one, or ending in a backslash."""
        for description, expected in [
            ("", "no prefix"),
            (":5061", "no prefix"),
            ("port=5061", "no prefix"),
            ("quic:5061", "tls, tcp, udp"),
            ("5061", "tls, tcp, udp"),
            ("tls:5061\\", "backslash"),
        ]:
            self.assertIn(expected, self.mistake(description, self.settings()))

    def test_not_there(self) -> None:
        """What cannot be listened on says what can be."""
        self.assertIn("use tls:", self.mistake("ssl:5061"))
        for description, expected in [
            ("haproxy:ssl:5061", "use tls:"),
            ("haproxy:udp:5060", "not udp:"),
            ("haproxy:haproxy:tcp:5060", "not haproxy:"),
            ("haproxy:", "haproxy"),
            ("haproxy:tls:5061:proxies=lb.example", "proxies= takes IP addresses and networks"),
            ("haproxy:tls:5061:proxies=10.0.0.1,", "empty place"),
            ("systemd:domain=INET", "wants index= or name="),
            ("systemd:index=0:name=x", "one of them only"),
            ("systemd:index=0", "no socket '0' was passed to this process"),
            ("tls:systemd=sips", "no socket 'sips' was passed to this process"),
            ("tls:5061:systemd=0", "leave port, interface and backlog out"),
            ("ws:8080:path=sip", "path=sip is no path"),
            ("ws:8080:origins=a.example", "is no origin"),
            ("ws:8080:certKey=x", "no key 'certKey'"),
        ]:
            self.assertIn(expected, self.mistake(description, self.settings()))

    def test_keys(self) -> None:
        """A key that is unknown, repeated, or given by name and by place."""
        for description, expected in [
            ("tls:5061:certkey=x", "no key 'certkey': it has port, interface, backlog, systemd, certKey"),
            ("tls:5061:crlFile=x", "no key 'crlFile'"),
            ("udp:5060:backlog=5", "no key 'backlog'"),
            ("tcp:5060:certKey=x", "no key 'certKey'"),
            ("tls:port=1:port=2", "port stands twice"),
            ("tls:1:port=2", "port stands twice"),
            ("tls:5061:10.0.0.1", "what is '10.0.0.1' for?"),
            ("tcp6:5060:no=1", "Twisted does not know"),
        ]:
            self.assertIn(expected, self.mistake(description, self.settings()))

    def test_values(self) -> None:
        """A port, backlog, address or choice that is none."""
        for value in ("-1", "65536", "sip", "", "5061 ", "\uff15", "99999999999999999999", "1e3", "0x10"):
            for description in (f"tls:port={value}", f"udp:port={value}", f"tcp:{value}"):
                self.assertIn("is not a number from 0 to 65535", self.mistake(description, self.settings()))
        for description, expected in [
            ("tls:interface=10.0.0.2", "port is missing: write tls:port=5061"),
            ("udp:", "port= is not a number"),
            ("tls:5061:backlog=0", "backlog=0 is not a number from 1"),
            ("tls:5061:interface=b.example", "interface=b.example is not an IP address"),
            ("tls:5061:interface=\\:\\:g", "is not an IP address"),
            ("tls:5061:interface=::", "a colon inside a value has a backslash before it"),
            ("tls:5061:mutual=maybe", "mutual=maybe is neither yes nor no"),
            ("tls:5061:allow=", "empty name"),
            ("tls:5061:allow=*.example", "allow=*.example:"),
        ]:
            self.assertIn(expected, self.mistake(description, self.settings()))

    def test_contradictions(self) -> None:
        """Keys that make no sense without, or with, each other."""
        own = self.files["b.example"]
        for description, settings, expected in [
            (f"tls:5061:privateKey={own}", self.settings(), "privateKey is given without certKey"),
            (f"tls:5061:extraCertChain={own}", self.settings(), "extraCertChain is given without certKey"),
            ("tls:5061:allow=c.example:mutual=no", self.settings(), "mutual is no"),
            ("tls:5061:allow=c.example", self.settings(need_mutual_tls=False), "mutual is no"),
            ("tls:5061", None, "certKey is missing"),
            ("tls:5061", self.settings(credential=None, need_mutual_tls=False), "certKey is missing"),
            (f"tls:5061:certKey={own}", None, "trustRoots is missing"),
        ]:
            self.assertIn(expected, self.mistake(description, settings))

    def test_files(self) -> None:
        """A file that is missing, empty, or holds something else is named with its key."""
        empty = self.folder / "empty.pem"
        empty.write_bytes(b"")
        own, other = self.files["b.example"], self.files["c.example"]
        os.chmod(empty, 0o600)
        for description, expected in [
            ("tls:5061:certKey=/no/such.pem", "certKey=/no/such.pem: the certificate /no/such.pem cannot be read"),
            (f"tls:5061:certKey={empty}", "holds no PEM certificate"),
            (f"tls:5061:certKey={self.trust}", "holds no PEM private key"),
            (f"tls:5061:certKey={own}:privateKey={other}", f"privateKey={other}"),
            (f"tls:5061:certKey={own}:privateKey=/no/such.pem", "the private key /no/such.pem cannot be read"),
            (f"tls:5061:certKey={own}:extraCertChain={empty}", f"extraCertChain={empty}"),
            ("tls:5061:trustRoots=/no/such.pem", "trustRoots=/no/such.pem:"),
            (f"tls:5061:trustRoots={empty}", f"trustRoots={empty}:"),
            ("tls:5061:certKey=", "certKey is not the name of a file"),
            ("tls:5061:trustRoots=a\0b", "trustRoots is not the name of a file"),
        ]:
            self.assertIn(expected, self.mistake(description, self.settings()))

    def test_nothing_is_bound(self) -> None:
        """A wrong description leaves nothing open."""
        self.mistake("tls:5061:certKey=/no/such.pem", self.settings())
        self.network.assert_quiet()


class PluginTests(DescriptionTestCase):
    """The same for other Twisted programs: ``serverFromString`` finds ``sips`` and ``sip``."""

    def test_sips(self) -> None:
        """``sips:`` is mutual TLS for any factory: who is certified is served, who shows nothing is not. row:C12"""
        description = f"sips:port=0:certKey={self.files['b.example']}:trustRoots={self.trust}:mutual=yes"
        endpoint = serverFromString(self.bob, description)
        port = self.network.run_until(endpoint.listen(Factory.forProtocol(wire.Echo))).getHost().port
        self.assertEqual(self.dial(port).received, b"hello")
        self.assert_refused(self.dial(port, None), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)

    def test_allow(self) -> None:
        """``allow`` narrows down whom ``sips:`` serves."""
        description = f"sips:0:certKey={self.files['b.example']}:trustRoots={self.trust}:allow=c.example"
        endpoint = serverFromString(self.bob, description)
        port = self.network.run_until(endpoint.listen(Factory.forProtocol(wire.Echo))).getHost().port
        self.assertEqual(self.dial(port, "c.example").received, b"hello")
        self.assert_refused(self.dial(port, "a.example"), TlsFailureReason.LOCAL_CERTIFICATE_REJECTED)

    def test_sip(self) -> None:
        """``sip:`` is TCP."""
        endpoint = serverFromString(self.bob, "sip:port=0:interface=10.0.0.2")
        port = self.network.run_until(endpoint.listen(Factory.forProtocol(wire.Echo))).getHost()
        self.assertEqual((port.type, port.host), ("TCP", "10.0.0.2"))

    def test_mistakes(self) -> None:
        """A mistake is told as it is elsewhere."""
        for description, expected in [
            ("sips:5061", "certKey is missing"),
            ("sips:5061:no=1", "has no key 'no'"),
            ("sip:no", "port=no is not a number"),
        ]:
            message = str(self.assertRaises(ValueError, serverFromString, self.bob, description))
            self.assertIn(expected, message)


class SocketTests(support.TestCase):
    """The same over real sockets."""

    async def test_sips_on_a_socket(self) -> None:
        """A ``sips:`` description works on Twisted's own reactor, which tells the port that it took. row:C1 row:C2"""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        trust, own = AUTHORITY.write(folder), ISSUED["b.example"].write(folder)
        endpoint = serverFromString(
            support.reactor, f"sips:port=0:interface=127.0.0.1:certKey={own}:trustRoots={trust}:mutual=yes"
        )
        port = await endpoint.listen(Factory.forProtocol(wire.Echo))
        self.addCleanup(port.stopListening)
        client = Client()
        done = self._echoed(client)
        settings = TlsSettings(credential("a.example"), ANCHORS)
        factory = Factory.forProtocol(lambda: client)  # type: ignore[arg-type]
        secured = client_tls_factory(settings, "b.example", factory, support.reactor, 5.0)
        await HostnameEndpoint(support.reactor, "127.0.0.1", port.getHost().port).connect(secured)
        self.assertEqual(await done, b"hello")

    def _echoed(self, client: Client) -> Any:
        done: Deferred[bytes] = Deferred()

        def received(data: bytes) -> None:
            assert client.transport is not None
            client.transport.loseConnection()
            done.callback(data)

        client.dataReceived = received  # type: ignore[method-assign]
        return done
