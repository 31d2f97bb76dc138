"""What the tests of signed identities share: a signer, a server of its certificate in memory, a verifier."""

from __future__ import annotations

import time
from typing import Any, cast

from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from sip_p2p import Credential, FetchRules, HttpsPolicy, Limits, PassportSigner, PassportVerifier, Request, TrustAnchors
from sip_p2p.endpoint.identity.certificates import Around
from sip_p2p.pki import CertificateAuthority, IssuedCertificate
from sip_p2p.sip.uri import SipUri
from sip_p2p.testing import Network
from tests.support import SynchronousTestCase

__all__ = [
    "AUTHORITY",
    "BOB",
    "ISSUED",
    "OPEN",
    "START",
    "URL",
    "Answer",
    "WebCase",
    "ok",
    "request",
    "signer",
    "verifier",
    "web_policy",
]

AUTHORITY = CertificateAuthority.create("for signers")
WEB = CertificateAuthority.create("for servers")
ISSUED = AUTHORITY.issue("a.example")
URL = "https://certs.example/a.pem"
BOB = SipUri.parse("sip:bob@b.example")
START = float(int(time.time()))
OPEN = FetchRules(private_addresses=True)


def signer(issued: IssuedCertificate = ISSUED, **options: Any) -> PassportSigner:
    """Signs as *issued*."""
    options.setdefault("clock", lambda: START)
    return PassportSigner(Credential.from_pem(issued.pem), options.pop("x5u", URL), **options)


def verifier(**options: Any) -> PassportVerifier:
    """Believes :data:`AUTHORITY`."""
    options.setdefault("clock", lambda: START)
    options.setdefault("rules", OPEN)
    options.setdefault("https", web_policy())
    return PassportVerifier(options.pop("trust", TrustAnchors.from_pem(AUTHORITY.pem)), **options)


def web_policy() -> HttpsPolicy:
    """Believes :data:`WEB`."""
    return HttpsPolicy(TrustAnchors.from_pem(WEB.pem))


def request(
    method: str = "INVITE",
    from_: str = "<sip:alice@a.example>;tag=1",
    to: str = "<sip:bob@b.example>",
    *,
    call_id: str = "c1",
    cseq: int = 1,
    body: bytes = b"",
) -> Request:
    """A request of Alice's to Bob."""
    fields = [("From", from_), ("To", to), ("Call-ID", call_id), ("CSeq", f"{cseq} {method}")]
    if body:
        fields.append(("Content-Type", "application/sdp"))
    return Request(method, "sip:bob@b.example", fields, body)


def ok(body: bytes = ISSUED.certificate_pem, fields: str = "") -> bytes:
    """An answer of a server that holds *body*."""
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode() + body


@implementer(IOpenSSLServerConnectionCreator)
class _Tls:
    """Shows one certificate."""

    def __init__(self, issued: IssuedCertificate) -> None:
        self._context = SSL.Context(SSL.TLS_METHOD)
        self._context.use_certificate(X509.from_cryptography(issued.certificate))
        self._context.use_privatekey(PKey.from_cryptography_key(cast("Any", issued.key)))

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection with that certificate."""
        return SSL.Connection(self._context, None)


class Answer(Protocol):
    """Answers each request with what its factory says; nothing where that is empty."""

    said = b""

    def dataReceived(self, data: bytes) -> None:
        """What the client says."""
        self.said += data
        if self.said.endswith(b"\r\n\r\n"):
            web = cast("Any", self.factory)
            web.asked.append(self.said.decode())
            self.said = b""
            cast("Any", self.transport).write(web.answer)

    def connectionLost(self, reason: Any = None) -> None:
        """It is over."""
        cast("Any", self.factory).open -= 1

    def connectionMade(self) -> None:
        """It stands."""
        cast("Any", self.factory).open += 1


class WebCase(SynchronousTestCase):
    """A server of certificates on a network in memory, at ``certs.example``, and somebody who asks it.

    :ivar web: the server: ``answer`` is what it says, ``asked`` what it was asked, ``open`` its connections.
    """

    def setUp(self) -> None:
        """The network."""
        self.network = Network(delay=0.01)
        self.addCleanup(self.network.finish)
        self.addCleanup(self.network.advance, 1)
        self.asker = self.network.host(names=["asker.example"])
        self.hits: list[str] = []
        self.web = self.serve(WEB.issue("certs.example"))

    def serve(self, issued: IssuedCertificate, name: str = "certs.example", port: int = 443) -> Any:
        """A server that shows *issued*."""
        factory: Any = Factory.forProtocol(Answer)
        factory.noisy = False
        factory.answer, factory.asked, factory.open = ok(), [], 0
        host = self.network.find(name) or self.network.host(names=[name])
        listening = host.listenTCP(port, TLSMemoryBIOFactory(_Tls(issued), False, factory, host))
        self.addCleanup(listening.stopListening)
        return factory

    def around(self, **limits: Any) -> Around:
        """The world of one connection manager."""
        return Around(self.asker, Limits(**limits), self.hits.append)
