"""Signatures of ours that pass Kamailio, a proxy that puts in what proxies put in, and are verified behind it."""

from __future__ import annotations

from typing import Any

from twisted.internet import ssl
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

from sip_p2p import (
    Credential,
    FetchRules,
    HttpsPolicy,
    PassportSigner,
    PassportVerifier,
    RequestFailed,
    TrustAnchors,
)
from sip_p2p.pki import CertificateAuthority
from tests.interop.calls import Called, CallTestCase
from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.scenario import OFFER
from tests.interop.support import OUR_DOMAIN, TEXT, Party, reactor

PROXY = "kamailio.example"
TARGET = f"sip:bob@{PROXY}"
FINGERPRINT = ":".join(["AB"] * 32)


class PassportTests(CallTestCase):
    """Alice signs, Kamailio passes it on, and Bob requires a signature."""

    needs = (Kamailio,)

    def setUp(self) -> None:
        """Put Alice's certificate on a web server."""
        super().setUp()
        signers, servers = CertificateAuthority.create("for signers"), CertificateAuthority.create("for servers")
        issued = signers.issue(OUR_DOMAIN)
        root = Resource()
        root.putChild(b"a.pem", Data(issued.certificate_pem, "application/pem-certificate-chain"))
        shown = ssl.PrivateCertificate.loadPEM(servers.issue("localhost").pem).options()
        web = reactor.listenSSL(0, Site(root), shown, interface="127.0.0.1")
        self.addCleanup(web.stopListening)
        port = web.getHost().port
        self.signer = PassportSigner(Credential.from_pem(issued.pem), f"https://localhost:{port}/a.pem")
        self.verifier = PassportVerifier(
            TrustAnchors.from_pem(signers.pem),
            policy="require",
            https=HttpsPolicy(TrustAnchors.from_pem(servers.pem)),
            rules=FetchRules(hosts=["localhost"], ports=[port], private_addresses=True),
            is_for_us=lambda identity: str(identity) == TARGET,
        )

    async def between(self, **options: Any) -> tuple[Party, Party]:
        """Alice and Bob, and Kamailio between them."""
        bob = await self.tls_party(
            "tls:port=0:interface=127.0.0.1", allow=[PROXY], trusted_proxies=[PROXY], passport_verifier=self.verifier
        )
        leaf = self.certificates.for_domain_only(PROXY)
        kamailio = self.peer(Kamailio)
        relays = {"bob": bob.uri("tls")}
        await kamailio.start(leaf, self.certificates.trust, client_certificate=leaf, relays=relays, alias=PROXY)
        proxy = {"proxy": f"tls:127.0.0.1:{kamailio.ports['tls']}", "proxy_tls_name": PROXY}
        return await self.tls_party(**proxy, **options), bob

    async def test_message(self) -> None:
        """The signature of a text is whole behind the proxy, and says whom the text is from (RFC 8224 section 6.2)."""
        alice, bob = await self.between(passport_signer=self.signer)
        self.assertEqual((await alice.endpoint.send_message(TARGET, TEXT)).status, 200)
        [event] = bob.received
        self.assertEqual((event.text, len(event.request.vias())), (TEXT, 2))
        self.assertTrue(event.passport.is_valid, event.passport)
        self.assertEqual(str(event.passport.passport.orig), f"sip:alice@{OUR_DOMAIN}")

    async def test_call(self) -> None:
        """So is that of a call and the fingerprint in its offer, and the call goes on through the proxy (RFC 8224
        section 6.2)."""
        alice, bob = await self.between(passport_signer=self.signer)
        called = Called(bob)
        call = await self.call(alice, TARGET, f"{OFFER}a=fingerprint:sha-256 {FINGERPRINT}\r\n")
        there = await called.call()
        verdict = there.session.passport
        self.assertTrue(verdict.is_valid, verdict)
        self.assertEqual(verdict.passport.mky, (("sha-256", FINGERPRINT.replace(":", "")),))
        await call.session.terminate()
        await there.reaches("DISCONNECTED")

    async def test_unsigned(self) -> None:
        """What is not signed is refused behind the proxy (RFC 8224 section 6.2.2)."""
        alice, bob = await self.between()
        failure = await self.failure_of(alice.endpoint.send_message(TARGET, TEXT), RequestFailed)
        self.assertEqual((failure.status, bob.received), (428, []))
