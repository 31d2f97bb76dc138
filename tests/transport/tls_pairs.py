"""Two TLS parties in memory, and the certificates that a peer should refuse.

:class:`Party` records everything that its connection does. :class:`TlsPair` connects two of them, both sides ours, on
one clock; :class:`RawClient` is a party that is not ours, made of pyOpenSSL alone.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test.iosim import FakeTransport, connect
from zope.interface import implementer

from sip_p2p.errors import TlsFailure
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.transport.tls.settings import SIP_PROTOCOL, TlsSettings, client_tls_factory, server_tls_factory
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

__all__ = [
    "ANY",
    "Party",
    "RawClient",
    "TlsPair",
    "anchors",
    "authority",
    "credential",
    "other_authority",
    "rsa_key",
    "settings",
    "sha1_signed",
]

ANY = TrustPolicy.any_authenticated()
NOWHERE = IPv4Address("TCP", "127.0.0.1", 0)
TIMEOUT = 5.0


@functools.cache
def authority() -> CertificateAuthority:
    """The authority that the parties of the tests trust."""
    return CertificateAuthority.create("trusted authority")


@functools.cache
def other_authority() -> CertificateAuthority:
    """One that they do not trust, under the same name."""
    return CertificateAuthority.create("trusted authority")


@functools.cache
def anchors() -> TrustAnchors:
    """What the parties trust."""
    return TrustAnchors([authority().certificate])


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of this size, the same each time."""
    return rsa.generate_private_key(65537, bits)


def credential(issued: IssuedCertificate) -> Credential:
    """The credential of a party that was issued this, even one that :class:`.Credential` itself would turn down."""
    made = Credential.__new__(Credential)
    made.certificate, made.key, made.chain = issued.certificate, issued.key, issued.chain
    made.source, made.identities, made.staple, made.files = "", PeerIdentities(), b"", ()
    return made


@functools.cache
def party_credential(name: str) -> Credential:
    """A flawless credential for *name*."""
    return credential(authority().issue(name))


def settings(name: str = "a.example", policy: Any = ANY, **options: Any) -> TlsSettings:
    """The settings of a flawless party."""
    return TlsSettings(party_credential(name), options.pop("anchors", anchors()), policy, **options)


@functools.cache
def rsa_authority() -> CertificateAuthority:
    """A trusted authority with an RSA key, which :func:`sha1_signed` needs."""
    return CertificateAuthority.create("trusted RSA authority", key=rsa_key(2048))


def sha1_signed(*names: str) -> IssuedCertificate:
    """A certificate of :func:`rsa_authority` signed with SHA-1, which cryptography itself refuses to make."""
    issued = rsa_authority().issue(*names)
    # sha256WithRSAEncryption and sha1WithRSAEncryption differ in the last octet of their identifiers only.
    with_sha256, with_sha1 = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
    body = issued.certificate.tbs_certificate_bytes.replace(with_sha256, with_sha1)
    key = rsa_authority().key
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    whole = issued.certificate.public_bytes(Encoding.DER)
    start = whole.index(issued.certificate.tbs_certificate_bytes)
    tail = whole[start + len(body) : -len(signature)].replace(with_sha256, with_sha1)
    forged = x509.load_der_x509_certificate(whole[:start] + body + tail + signature)
    return IssuedCertificate(issued.name, forged, issued.key)


@implementer(IHandshakeListener)
class Party(Protocol):
    """Records what happens to it.

    :ivar says: what it writes as soon as it is connected, before it can know who the peer is.
    :ivar heard: what it received.
    :ivar events: ``made``, ``verified``, ``lost``, in their order.
    :ivar reason: why the connection ended.
    """

    def __init__(self, says: bytes = b"") -> None:
        self.says = says
        self.heard = b""
        self.events: list[str] = []
        self.reason: BaseException | None = None
        self.on_verified: Callable[[], object] | None = None
        self.on_data: Callable[[bytes], object] | None = None

    def connectionMade(self) -> None:
        self.events.append("made")
        if self.says:
            assert self.transport is not None
            self.transport.write(self.says)

    def handshakeCompleted(self) -> None:
        self.events.append("verified")
        if self.on_verified is not None:
            self.on_verified()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        if self.on_data is not None:
            self.on_data(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append("lost")
        self.reason = reason.value

    @property
    def failure(self) -> TlsFailure:
        """The failure that ended the connection, which must be TLS's."""
        assert isinstance(self.reason, TlsFailure), self.reason
        return self.reason


class TlsPair:
    """A client and a server in memory, on one clock.

    :ivar from_client: every byte that the client gave to TCP.
    :ivar from_server: likewise.
    """

    def __init__(
        self,
        client_settings: TlsSettings,
        server_settings: TlsSettings,
        expected: str = "b.example",
        *,
        client: Any = None,
        server: Any = None,
        protocol: Any = None,
        application_protocol: bytes = SIP_PROTOCOL,
        client_protocol: bytes | None = None,
        session_key: Any = (),
    ) -> None:
        self.clock = Clock()
        self.client = dialler = client if client is not None else Party()
        self.server = answerer = server if server is not None else Party()
        dialling = client_tls_factory(
            client_settings,
            expected,
            Factory.forProtocol(lambda: dialler),
            self.clock,
            TIMEOUT,
            application_protocol if client_protocol is None else client_protocol,
            session_key,
        )
        answering = server_tls_factory(
            server_settings, Factory.forProtocol(lambda: answerer), self.clock, TIMEOUT, application_protocol
        )
        if protocol is not None:
            dialling.protocol = answering.protocol = protocol  # type: ignore[attr-defined]
        self.client_tls: Any = dialling.buildProtocol(NOWHERE)
        self.server_tls: Any = answering.buildProtocol(NOWHERE)
        self.from_client, self.from_server = bytearray(), bytearray()
        self.pump = connect(
            self.server_tls,
            _Recorded(self.server_tls, True, self.from_server),
            self.client_tls,
            _Recorded(self.client_tls, False, self.from_client),
            greet=False,
        )

    def run(self) -> TlsPair:
        """Let everything happen that can happen without time passing."""
        for _ in range(3):
            self.pump.flush()
            self.clock.advance(0)
        self.pump.flush()
        return self


class _Recorded(FakeTransport):
    """A transport in memory that keeps a copy of what is written."""

    def __init__(self, protocol: Any, is_server: bool, written: bytearray) -> None:
        super().__init__(protocol, is_server)  # type: ignore[no-untyped-call]
        self._written = written

    def write(self, data: bytes) -> None:
        self._written += data
        super().write(data)  # type: ignore[no-untyped-call]


@implementer(IOpenSSLClientConnectionCreator)
class RawClient:
    """A client that is not ours: pyOpenSSL under Twisted's own protocol, without any rule.

    :ivar party: records what happens.
    :ivar connection: its OpenSSL connection.
    """

    def __init__(
        self,
        server_settings: TlsSettings,
        *,
        shows: Credential | None = None,
        version: int = 0,
        session: Any = None,
        server_name: bytes = b"",
        context: SSL.Context | None = None,
        server: Party | None = None,
    ) -> None:
        self.context = context if context is not None else SSL.Context(SSL.TLS_METHOD)
        if context is None:
            self.context.set_max_proto_version(version)
            if shows is not None:
                self.context.use_certificate(shows.certificate)
                self.context.use_privatekey(shows.key)
        self._session = session
        self._server_name = server_name
        self.party = Party()
        self.server = server if server is not None else Party()
        self.clock = Clock()
        answering = server_tls_factory(server_settings, Factory.forProtocol(lambda: self.server), self.clock, TIMEOUT)
        self.server_tls: Any = answering.buildProtocol(NOWHERE)
        tls = TLSMemoryBIOFactory(self, True, Factory.forProtocol(lambda: self.party), self.clock)
        protocol = tls.buildProtocol(None)
        self.pump = connect(
            self.server_tls,
            FakeTransport(self.server_tls, True),
            protocol,
            FakeTransport(protocol, False),
            greet=False,
        )

    def clientConnectionForTLS(self, tls_protocol: Any) -> SSL.Connection:
        """The connection that Twisted is to use."""
        self.connection = SSL.Connection(self.context, None)
        if self._server_name:
            self.connection.set_tlsext_host_name(self._server_name)
        if self._session is not None:
            self.connection.set_session(self._session)
        return self.connection

    def run(self) -> RawClient:
        """Let everything happen that can happen without time passing."""
        for _ in range(3):
            self.pump.flush()
            self.clock.advance(0)
        self.pump.flush()
        return self
