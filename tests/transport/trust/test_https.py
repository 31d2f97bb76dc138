"""HTTPS by our own rule: real certificates, real handshakes on the loopback, and not an octet before the judgement."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from treq.client import HTTPClient
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import URI, Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer
from zope.interface.verify import verifyObject

from sip_p2p.errors import TlsFailureReason
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsAuthorities, HttpsPolicy, system_authorities
from sip_p2p.transport.trust.stack import Doubt, Trust
from tests.support import SynchronousTestCase, TestCase, reactor

NAME = "hook.example"
DAY = datetime.timedelta(days=1)


@implementer(IOpenSSLServerConnectionCreator)
class Server:
    """Shows one certificate.

    :ivar names: the server names that were asked for.
    """

    def __init__(self, issued: IssuedCertificate, maximum: int = 0) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.set_max_proto_version(maximum)
        self._context.use_certificate(X509.from_cryptography(issued.certificate))
        for each in issued.chain:
            self._context.add_extra_chain_cert(X509.from_cryptography(each))
        self._context.use_privatekey(PKey.from_cryptography_key(issued.key))
        self._context.set_tlsext_servername_callback(lambda connection: self.names.append(connection.get_servername()))
        self.names: list[bytes | None] = []

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection with that certificate."""
        return SSL.Connection(self._context, None)


class Greeting(Resource):
    """Says hello to every path."""

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """Hello."""
        return b"hello"


@implementer(IAgentEndpointFactory)
class OnLoopback:
    """Every host is at one port of this machine."""

    def __init__(self, policy: HttpsPolicy, port: int) -> None:
        self._policy = policy
        self._port = port

    def endpointForURI(self, uri: URI) -> Any:
        """That port, with TLS for the host of the URI."""
        creator = self._policy.creatorForNetloc(uri.host, uri.port)
        return wrapClientTLS(creator, TCP4ClientEndpoint(reactor, "127.0.0.1", self._port))


class CountedSite(Site):
    """A site that keeps every octet that it is sent."""

    def __init__(self) -> None:
        super().__init__(Greeting())
        self.heard: list[bytes] = []

    def buildProtocol(self, addr: Any) -> Any:
        """One that is listened to."""
        protocol = super().buildProtocol(addr)
        received = protocol.dataReceived

        def data_received(data: bytes) -> Any:
            self.heard.append(data)
            return received(data)

        protocol.dataReceived = data_received
        return protocol


class HttpsCase(TestCase):
    """A server on the loopback, and clients by our policy."""

    authority = CertificateAuthority.create()

    def serve(self, issued: IssuedCertificate, maximum: int = 0) -> tuple[int, CountedSite, Server]:
        """A server that shows *issued*: its port, and what it hears."""
        site, server = CountedSite(), Server(issued, maximum)
        port = reactor.listenTCP(0, TLSMemoryBIOFactory(server, False, site), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return port.getHost().port, site, server

    async def visit(self, issued: IssuedCertificate, name: str = NAME, **options: Any) -> TlsFailureReason | None:
        """Ask that server as *name*: None where it was believed, else why not."""
        maximum = options.pop("maximum", 0)
        policy = HttpsPolicy(options.pop("trust", TrustAnchors.from_pem(self.authority.pem)))
        port, site, server = self.serve(issued, maximum)
        agent = Agent.usingEndpointFactory(reactor, OnLoopback(policy, port))
        self.served = server
        try:
            response = await agent.request(b"GET", f"https://{name}:8443/".encode(), Headers({"X-Secret": ["s"]}))
        except Exception:
            refusal = policy.refusal_of(name.strip("[]"), 8443)
            self.assertIsNotNone(refusal, "it failed and was not refused")
            self.assertEqual(site.heard, [], "octets were sent to a server that was refused")
            return refusal.reason  # type: ignore[union-attr]
        self.assertEqual(await readBody(response), b"hello")
        self.assertIsNone(policy.refusal_of(name.strip("[]"), 8443))
        return None

    async def assert_refused(self, reason: TlsFailureReason, issued: IssuedCertificate, **options: Any) -> None:
        """Both versions of TLS refuse it, for that reason."""
        for maximum in (SSL.TLS1_2_VERSION, 0):
            self.assertEqual(await self.visit(issued, maximum=maximum, **options), reason)


class BelievedTests(HttpsCase):
    """Servers that are who they should be."""

    async def test_the_right_name(self) -> None:
        """A DNS entry that is exactly the name is believed, by either version of TLS, and asked for by name."""
        for maximum in (SSL.TLS1_2_VERSION, 0):
            self.assertIsNone(await self.visit(self.authority.issue(NAME), maximum=maximum))
            self.assertEqual(self.served.names, [NAME.encode()])

    async def test_spellings_of_a_name(self) -> None:
        """Case and a final dot make no difference (RFC 9525)."""
        for name in ("HOOK.Example", "hook.example."):
            self.assertIsNone(await self.visit(self.authority.issue(NAME), name))

    async def test_an_address(self) -> None:
        """An address is proved by an IP entry, IPv6 too, and no server name is asked for (RFC 6066 section 3)."""
        for address, text in (("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")):
            self.assertIsNone(await self.visit(self.authority.issue(address), text))
            self.assertEqual(self.served.names, [None])

    async def test_a_chain(self) -> None:
        """An authority below the trusted one may vouch, when the server shows its certificate."""
        self.assertIsNone(await self.visit(self.authority.intermediate("below").issue(NAME)))

    async def test_an_ordinary_agent(self) -> None:
        """treq over Twisted's own Agent takes the policy as it is."""
        port, _, _ = self.serve(self.authority.issue("localhost"))
        agent = Agent(reactor, HttpsPolicy(TrustAnchors.from_pem(self.authority.pem)))
        response = await HTTPClient(agent).get(f"https://localhost:{port}/")
        self.assertEqual(await response.content(), b"hello")


class RefusedTests(HttpsCase):
    """Servers that are not."""

    async def test_another_name(self) -> None:
        """A certificate for another name is refused, and so are parents and children of the name."""
        for other in ("other.example", "example", "a.hook.example", "hook.example.evil.example"):
            await self.assert_refused(
                TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, self.authority.issue(other)
            )

    async def test_a_common_name(self) -> None:
        """The common name proves nothing, with other alternative names or without any (RFC 9525)."""
        for names in ([], [x509.DNSName("other.example")]):
            issued = self.authority.issue(common_name=NAME, alternative_names=names)
            await self.assert_refused(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, issued)

    async def test_a_wildcard(self) -> None:
        """A wildcard proves nothing, wherever it stands."""
        for wildcard in ("*.example", "*", "hook.*", "h*.example"):
            issued = self.authority.issue(common_name="c", alternative_names=[x509.DNSName(wildcard)])
            await self.assert_refused(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, issued)

    async def test_a_sip_domain(self) -> None:
        """Who takes calls for a domain does not answer for its web site."""
        names = [x509.UniformResourceIdentifier(f"sip:{NAME}")]
        issued = self.authority.issue(common_name="c", alternative_names=names)
        await self.assert_refused(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, issued)

    async def test_addresses(self) -> None:
        """An address is proved by no DNS entry, by no other address, and by no network."""
        wrong: list[list[x509.GeneralName]] = [
            [x509.DNSName("127.0.0.1")],
            [x509.IPAddress(ipaddress.ip_address("127.0.0.2"))],
            [x509.UniformResourceIdentifier("https://127.0.0.1")],
        ]
        for names in wrong:
            issued = self.authority.issue(common_name="127.0.0.1", alternative_names=names)
            found = await self.visit(issued, "127.0.0.1")
            self.assertEqual(found, TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE)

    async def test_time(self) -> None:
        """A certificate that has run out, or does not count yet, is refused."""
        now = datetime.datetime.now(datetime.UTC)
        past = self.authority.issue(NAME, not_before=now - 2 * DAY, not_after=now - DAY)
        await self.assert_refused(TlsFailureReason.CERTIFICATE_EXPIRED, past)
        future = self.authority.issue(NAME, not_before=now + DAY, not_after=now + 2 * DAY)
        await self.assert_refused(TlsFailureReason.CERTIFICATE_NOT_YET_VALID, future)

    async def test_other_authorities(self) -> None:
        """One by an authority that is not trusted, by itself, or by a name that is only the same, is refused."""
        for issued in (
            CertificateAuthority.create("elsewhere").issue(NAME),
            CertificateAuthority.create().issue(NAME),
            self.authority.issue(NAME, self_signed=True),
        ):
            await self.assert_refused(TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE, issued)

    async def test_purposes(self) -> None:
        """A certificate that is meant for clients, or for SIP alone, is none of an HTTPS server."""
        for purpose in (ExtendedKeyUsageOID.CLIENT_AUTH, x509.ObjectIdentifier("1.3.6.1.5.5.7.3.20")):
            issued = self.authority.issue(NAME, key_purposes=[purpose])
            await self.assert_refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE, issued)

    async def test_an_authority(self) -> None:
        """The certificate of an authority is no server's."""
        issued = self.authority.issue(NAME, is_authority=True)
        await self.assert_refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, issued)

    async def test_a_weak_key(self) -> None:
        """RSA of 1024 bits is refused (RFC 9325 section 4.5)."""
        issued = self.authority.issue(NAME, key=rsa.generate_private_key(65537, 1024))
        self.assertRaises(SSL.Error, Server, issued)

    async def test_a_malformed_name(self) -> None:
        """A name with a zero octet in it makes the certificate unusable, whatever else stands in it."""
        entry = bytes([0x82, len(b"hook.example\0.x")]) + b"hook.example\0.x"
        raw = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes([0x30, len(entry)]) + entry)
        issued = self.authority.issue(NAME, alternative_names=[], extensions=[(raw, False)])
        await self.assert_refused(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, issued)

    async def test_old_versions(self) -> None:
        """A server that speaks nothing newer than TLS 1.1 is not spoken to."""
        port, site, _ = self.serve(self.authority.issue(NAME), SSL.TLS1_1_VERSION)
        policy = HttpsPolicy(TrustAnchors.from_pem(self.authority.pem))
        agent = Agent.usingEndpointFactory(reactor, OnLoopback(policy, port))
        with self.assertRaises(Exception):  # noqa: B017 - of the HTTP client's own kinds
            await HTTPClient(agent).get(f"https://{NAME}/")
        self.assertEqual(site.heard, [])


class FailClosedTests(HttpsCase):
    """What goes wrong in the judgement itself."""

    async def test_an_exception_is_a_refusal(self) -> None:
        """A judgement that raises is a no, in the verify callback, and no octet is sent."""

        class Raising(Trust):
            """A trust that cannot judge."""

            certificates = TrustAnchors.from_pem(self.authority.pem).certificates

            def consider(self, shown: Any) -> Any:
                """Raise."""
                raise RuntimeError("no judgement")

        policy = HttpsPolicy(TrustAnchors.from_pem(self.authority.pem), judges=lambda _: Raising())
        port, site, _ = self.serve(self.authority.issue(NAME))
        agent = Agent.usingEndpointFactory(reactor, OnLoopback(policy, port))
        with self.assertRaises(Exception):  # noqa: B017 - of the HTTP client's own kinds
            await HTTPClient(agent).get(f"https://{NAME}/")
        self.assertEqual(site.heard, [])
        refusal = policy.refusal_of(NAME, 443)
        assert refusal is not None
        self.assertIs(refusal.reason, TlsFailureReason.OTHER)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_the_end_of_the_handshake_is_judged_too(self) -> None:
        """A server that is found wanting only when the handshake is complete is sent nothing either."""

        class Late(Trust):
            """A trust that takes its word back."""

            certificates = TrustAnchors.from_pem(self.authority.pem).certificates

            def __init__(self, inner: HttpsAuthorities) -> None:
                self._inner = inner
                self.asked = 0

            def consider(self, shown: Any) -> Any:
                """A yes at first, then a no."""
                self.asked += 1
                if self.asked > 1:
                    return Doubt(TlsFailureReason.OTHER, "not any more")
                return self._inner.consider(shown)

        policy = HttpsPolicy(TrustAnchors.from_pem(self.authority.pem), judges=lambda known: Late(known))
        port, site, _ = self.serve(self.authority.issue(NAME))
        agent = Agent.usingEndpointFactory(reactor, OnLoopback(policy, port))
        with self.assertRaises(Exception):  # noqa: B017 - of the HTTP client's own kinds
            await HTTPClient(agent).get(f"https://{NAME}/")
        self.assertEqual((site.heard, str(policy.refusal_of(NAME, 443).detail)), ([], "not any more"))  # type: ignore[union-attr]


class PolicyTests(SynchronousTestCase):
    """:class:`HttpsPolicy` itself."""

    def policy(self) -> HttpsPolicy:
        """One that trusts one authority."""
        return HttpsPolicy(TrustAnchors.from_pem(HttpsCase.authority.pem))

    def test_the_interface(self) -> None:
        """It is what Twisted's Agent asks for."""
        self.assertTrue(verifyObject(IPolicyForHTTPS, self.policy()))

    def test_what_is_no_name(self) -> None:
        """What is no name is nobody to connect to."""
        for wrong in (b"", b"*.example", b"a b", b"a\0b"):
            self.assertRaises(ValueError, self.policy().creatorForNetloc, wrong, 443)

    def test_one_context_a_server(self) -> None:
        """The context of a server is made once, until other authorities are trusted; those of many are not kept."""
        policy = self.policy()
        first = policy.creatorForNetloc(b"a.example", 443)
        self.assertIs(policy.creatorForNetloc(b"A.example", 443), first)
        self.assertIsNot(policy.creatorForNetloc(b"a.example", 444), first)
        policy.replace_trust(TrustAnchors.from_pem(HttpsCase.authority.pem))
        self.assertIsNot(policy.creatorForNetloc(b"a.example", 443), first)
        again = policy.creatorForNetloc(b"a.example", 444)
        for number in range(100):
            policy.creatorForNetloc(f"h{number}.example".encode(), 443)
        self.assertIsNot(policy.creatorForNetloc(b"a.example", 444), again)

    def test_files(self) -> None:
        """A file that cannot be used is named, and what was trusted before stays so."""
        policy = self.policy()
        missing = Path(self.mktemp())
        self.assertIn(str(missing), str(self.assertRaises(ValueError, policy.replace_trust, str(missing))))
        self.assertIsNotNone(policy.creatorForNetloc(b"a.example", 443))

    def test_the_machines_own(self) -> None:
        """The authorities of the machine are those that OpenSSL would find."""
        try:
            found = system_authorities()
        except ValueError as error:
            self.assertIn("ca-certificates", str(error))
        else:
            self.assertGreater(len(HttpsAuthorities(found).certificates), 10)
