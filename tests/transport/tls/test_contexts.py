"""The OpenSSL contexts: what no peer can talk us down to, by real ``openssl s_client`` where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater

from sip_p2p.errors import TlsFailure, TlsFailureReason
from sip_p2p.transport.tls.contexts import TlsContexts
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.tls.settings import RECOMMENDED_CIPHERS, TlsSettings, server_tls_factory
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage
from tests.support import SynchronousTestCase, TestCase
from tests.transport.tls_pairs import ANY, RawClient, anchors, authority, party_credential, rsa_key, settings

reactor: Any = _reactor
Reason = TlsFailureReason


def contexts(credential: Credential | None, **options: Any) -> TlsContexts:
    """One state of the settings."""
    usual: dict[str, Any] = {
        "require_certificate": True,
        "usage": KeyUsage(),
        "revocation": None,
        "server_names": ServerNames(),
        "ciphers": RECOMMENDED_CIPHERS,
        "maximum_version": 0,
        "resumes": True,
    }
    return TlsContexts(credential, anchors(), TrustPolicy(), **usual | options)


class ContextTests(SynchronousTestCase):
    """What is made of the settings."""

    def test_by_name(self) -> None:
        """There is one context for each certificate, found by each of its names. row:D26"""
        own, other = party_credential("b.example"), party_credential("c.example")
        names = ServerNames({"c.example": other, "d.example": other})
        made = contexts(own, server_names=names)
        self.assertIsNone(made.context_for(b"b.example"))
        self.assertIsNone(made.context_for(None))
        self.assertIs(made.context_for(b"c.example"), made.context_for(b"d.example"))
        self.assertIsNotNone(made.context_for(b"c.example"))

    def test_demands_a_certificate(self) -> None:
        """Every context of a listener demands a certificate, or none does. fault:F8"""
        names = ServerNames({"c.example": party_credential("c.example")})
        for demanded in (True, False):
            made = contexts(party_credential("b.example"), server_names=names, require_certificate=demanded)
            for context in (made.server, made.context_for(b"c.example")):
                assert context is not None
                mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if demanded else 0)
                self.assertEqual(context.get_verify_mode(), mode)

    def test_shown_chain(self) -> None:
        """We show the intermediate authorities, also those that only our trust has, and never a root."""
        middle = authority().intermediate("middle")
        issued = middle.issue("b.example")
        trust = TrustAnchors([authority().certificate, middle.certificate])
        for chain in ((), issued.chain):
            listener = TlsSettings(Credential(issued.certificate, issued.key, chain), trust, ANY)
            raw = RawClient(listener, shows=party_credential("a.example")).run()
            self.assertEqual(raw.server.events, ["made", "verified"])
            shown = raw.connection.get_peer_cert_chain(as_cryptography=True)
            self.assertEqual(shown, [issued.certificate, middle.certificate])

    def test_dials_only(self) -> None:
        """Without a credential there is nothing to listen with."""
        self.assertIsNone(contexts(None, require_certificate=False).server)

    def test_useless(self) -> None:
        """A certificate by name that OpenSSL will not use is refused at once."""
        weak = authority().issue("c.example", key=rsa_key(1024))
        names = ServerNames({"c.example": Credential(weak.certificate, weak.key)})
        error = self.assertRaises(TlsFailure, contexts, party_credential("b.example"), server_names=names)
        self.assertIs(error.reason, Reason.LOCAL_CERTIFICATE_NOT_FOUND)

    def test_no_choice_of_versions(self) -> None:
        """There is no way to ask for less than TLS 1.2. fault:F10"""
        self.assertRaises(TypeError, lambda: settings("a.example", minimum_version=SSL.TLS1_VERSION))
        self.assertRaises(TypeError, lambda: settings("a.example", sslmethod=SSL.TLS_METHOD))

    def test_old_versions(self) -> None:
        """A client that speaks nothing newer than TLS 1.1 is refused. fault:F10"""
        for version in (SSL.TLS1_VERSION, SSL.TLS1_1_VERSION):
            context = SSL.Context(SSL.TLS_METHOD)
            context.set_min_proto_version(SSL.TLS1_VERSION)
            context.set_max_proto_version(version)
            context.set_cipher_list(b"ALL:@SECLEVEL=0")
            own = party_credential("a.example")
            context.use_certificate(own.certificate)
            context.use_privatekey(own.key)
            raw = RawClient(settings("b.example"), context=context).run()
            self.assertEqual(raw.server.events, ["made", "lost"])
            self.assertIn(raw.server.failure.reason, (Reason.TLS_NEGOTIATION_FAILURE, Reason.REMOTE_DISCONNECTED))

    def test_weak_ciphers(self) -> None:
        """A client without forward secrecy or authenticated encryption finds nothing to agree on. fault:F10"""
        for ciphers in (b"AES128-SHA", b"AES256-GCM-SHA384", b"ECDHE+AES+SHA1:@SECLEVEL=0", b"DHE+AESGCM", b"eNULL"):
            context = SSL.Context(SSL.TLS_METHOD)
            context.set_max_proto_version(SSL.TLS1_2_VERSION)
            try:
                context.set_cipher_list(ciphers)
            except SSL.Error:
                # This OpenSSL does not know it itself.
                continue
            own = party_credential("a.example")
            context.use_certificate(own.certificate)
            context.use_privatekey(own.key)
            raw = RawClient(settings("b.example"), context=context).run()
            self.assertIs(raw.server.failure.reason, Reason.TLS_NEGOTIATION_FAILURE, ciphers)

    def test_no_renegotiation(self) -> None:
        """A client that asks to negotiate anew is told no, and nothing else happens. fault:F10"""
        raw = RawClient(settings("b.example"), shows=party_credential("a.example"), version=SSL.TLS1_2_VERSION).run()
        self.assertEqual(raw.server.events, ["made", "verified"])
        try:
            raw.connection.renegotiate()
            raw.connection.do_handshake()
        except SSL.Error:
            pass
        raw.party.transport.write(b"still here")
        raw.run()
        self.assertEqual(raw.server.events.count("verified"), 1)


class _Conversation(ProcessProtocol):
    """A program that has its standard input closed after it has said something."""

    def __init__(self) -> None:
        self.said = b""
        self.ended: Deferred[str] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.said += data

    errReceived = outReceived

    def processEnded(self, reason: Any) -> None:
        self.ended.callback(self.said.decode("utf-8", "replace"))


class _Greets(Protocol):
    def connectionMade(self) -> None:
        self.transport.write(b"WELCOME\n")


class ClientProgramTests(TestCase):
    """``openssl s_client`` against a listener of ours."""

    if shutil.which("openssl") is None:
        skip = "the program openssl is not installed"

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.certificate = authority().issue("a.example").write(folder)
        listener = TlsSettings(party_credential("b.example"), anchors(), ANY)
        factory = server_tls_factory(listener, Factory.forProtocol(_Greets), reactor, 5.0)
        self.port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)

    async def run_client(self, *options: str, say: bytes = b"") -> str:
        """What s_client says when it connects with these options."""
        program = _Conversation()
        arguments = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port.getHost().port}"]
        arguments += ["-cert", str(self.certificate), "-key", str(self.certificate), *options]
        process: Any = reactor.spawnProcess(program, shutil.which("openssl"), arguments, env={})
        for _ in range(400):
            if b"WELCOME" in program.said or program.ended.called:
                break
            await deferLater(reactor, 0.01)
        if not program.ended.called and say:
            process.write(say)
            await deferLater(reactor, 0.2)
        if not program.ended.called:
            process.signalProcess("KILL")
        return await program.ended

    async def test_matrix(self) -> None:
        """TLS 1.2 and 1.3 with forward secrecy get in; older versions, other ciphers and compression do not. fault:F10
        row:D26"""
        weakest = ("-cipher", "ALL:@SECLEVEL=0")
        for options, gets_in in (
            (("-tls1_2",), True),
            (("-tls1_3",), True),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), True),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"), True),
            (("-tls1", *weakest), False),
            (("-tls1_1", *weakest), False),
            (("-tls1_2", "-cipher", "AES128-SHA"), False),
            (("-tls1_2", "-cipher", "AES128-GCM-SHA256"), False),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0"), False),
            (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"), False),
            (("-tls1_2", "-cipher", "aNULL:@SECLEVEL=0"), False),
            (("-tls1_2", "-cipher", "NULL:@SECLEVEL=0"), False),
            (("-alpn", "sip/2"), True),
            (("-alpn", "h2,http/1.1"), False),
            (("-servername", "192.0.2.1"), True),
        ):
            said = await self.run_client(*options)
            self.assertEqual("WELCOME" in said, gets_in, (options, said))

    async def test_compression(self) -> None:
        """Nothing is compressed, even if the client offers it. fault:F10"""
        said = await self.run_client("-tls1_2", "-comp")
        self.assertIn("WELCOME", said)
        self.assertIn("Compression: NONE", said)

    async def test_renegotiation(self) -> None:
        """A client that asks to renegotiate is told no. fault:F10"""
        said = await self.run_client("-tls1_2", say=b"R\n")
        self.assertIn("WELCOME", said)
        self.assertIn("RENEGOTIATING", said)
        self.assertRegex(said.lower(), "no renegotiation|no_renegotiation")
