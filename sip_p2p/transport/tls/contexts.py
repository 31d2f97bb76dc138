"""The OpenSSL contexts that are made from one state of the TLS settings, with everything that lives and dies with it.

RFC 8996 and RFC 9325: TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, no renegotiation, no
compression. Tickets are bound to one state: their keys are those of its contexts, and the sessions that we keep as a
client are in a store of its own, so that nothing is resumed across a change of credential, trust, policy or revocation.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, final

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.logger import Logger

from sip_p2p.errors import InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.transport.tls.gate import choose_certificate, judge_staple, own_staple, select_protocol, verify
from sip_p2p.transport.tls.resumption import LONGEST_LIFE, SessionStore
from sip_p2p.transport.trust.chain_rule import ChainRule
from sip_p2p.transport.trust.failure import openssl_errors
from sip_p2p.transport.trust.revocation import RevocationMode
from sip_p2p.transport.trust.stack import TrustStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography import x509

    from sip_p2p.transport.tls.server_names import ServerNames
    from sip_p2p.transport.trust.credential import Credential
    from sip_p2p.transport.trust.identity import TrustPolicy
    from sip_p2p.transport.trust.key_usage import KeyUsage
    from sip_p2p.transport.trust.revocation import Revocation
    from sip_p2p.transport.trust.stack import TrustGiven

__all__ = ["TlsContexts", "use_credential"]

_log = Logger()

# SSL_MODE_NO_AUTO_CHAIN, which pyOpenSSL has no name for: OpenSSL would add our trusted roots to what we show. Peers
# have them or do not trust them, and each connection would hold one more certificate.
_MODE_NO_AUTO_CHAIN = 0x8
# Longer chains are not seen outside of attacks.
_LONGEST_CHAIN = 8


@final
class TlsContexts:
    """One state of the settings with the OpenSSL contexts made from it; a connection keeps the one it began with.

    :ivar began: when the first handshake began with them, on the scale of the clock of the connections.
    :ivar client: for connections that we dial.
    :ivar asks_for_staple: whether servers that we dial are asked for an OCSP response.
    :ivar key_log: is told the keys of every connection, as lines for Wireshark; None where nobody may know them.
    :ivar server: for those that we accept; None without a credential.
    :ivar rules: what peers must pass besides trust and names.
    :ivar sessions: the sessions that we can resume.
    """

    __slots__ = (
        "_named", "anchors", "asks_for_staple", "began", "ciphers", "client", "credential", "key_log",
        "maximum_version", "policy", "require_certificate", "revocation", "rules", "server", "server_names",
        "sessions", "trust", "usage",
    )  # fmt: skip

    def __init__(
        self,
        credential: Credential | None,
        anchors: TrustGiven | TrustStack,
        policy: TrustPolicy,
        *,
        require_certificate: bool,
        usage: KeyUsage,
        revocation: Revocation | None,
        server_names: ServerNames,
        ciphers: str,
        maximum_version: int,
        resumes: bool,
        key_log: Callable[[bytes], None] | None = None,
    ) -> None:
        """
        :raises TlsFailure: OpenSSL cannot use a credential.
        """
        self.began: float | None = None
        self.credential = credential
        self.anchors = anchors
        self.trust = TrustStack.of(anchors)
        self.policy = policy
        self.require_certificate = require_certificate
        self.usage = usage
        self.revocation = revocation
        self.server_names = server_names
        self.ciphers = ciphers
        self.maximum_version = maximum_version
        self.key_log = key_log
        resumes = resumes and self.trust.may_resume
        self.rules = (ChainRule(self.trust, revocation),)
        self.sessions = SessionStore() if resumes else SessionStore(0)
        # OpenSSL demands an identifier before it resumes sessions with client certificates. It is the same for all
        # names of a listener, whose rules are the same, and of nothing else.
        identifier = secrets.token_bytes(32)
        self.client = self._context(credential, SSL.VERIFY_PEER, identifier, resumes)
        self.asks_for_staple = revocation is not None and revocation.stapling is not RevocationMode.OFF
        if self.asks_for_staple:
            self.client.set_ocsp_client_callback(judge_staple)
        self.server: SSL.Context | None = None
        self._named: dict[Credential, SSL.Context] = {}
        if credential is not None:
            self.server = self._server_context(credential, identifier, resumes)
            if server_names:
                self.server.set_tlsext_servername_callback(choose_certificate)
            for each in dict.fromkeys(server_names.values()):
                self._named[each] = self._server_context(each, identifier, resumes)

    def context_for(self, name: bytes | None) -> SSL.Context | None:
        """The context with the certificate for a name that a client asks for; None for the listener's own one."""
        credential = self.server_names.asked_for(name)
        return None if credential is None else self._named.get(credential)

    def _server_context(self, credential: Credential, identifier: bytes, resumes: bool) -> SSL.Context:
        mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if self.require_certificate else 0)
        context = self._context(credential, mode, identifier, resumes)
        context.set_alpn_select_callback(select_protocol)
        if credential.staple:
            context.set_ocsp_server_callback(own_staple, credential)
        return context

    def _whole_chain(self, credential: Credential) -> list[x509.Certificate]:
        """The intermediate authorities to show: those of the credential, and what is missing above them from trust."""
        chain = list(credential.chain)
        while len(chain) < _LONGEST_CHAIN:
            issuer = (chain[-1] if chain else credential.certificate).issuer
            above = next(
                (each for each in self.trust.certificates if each.subject == issuer and each.issuer != issuer), None
            )
            if above is None:
                break
            chain.append(above)
        return chain

    def _context(
        self, credential: Credential | None, verify_mode: int, identifier: bytes, resumes: bool
    ) -> SSL.Context:
        """An OpenSSL context with our rules."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_max_proto_version(self.maximum_version)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS | _MODE_NO_AUTO_CHAIN)
        context.set_cipher_list(self.ciphers.encode("ascii"))
        # Sessions live in tickets only: a table of them in this process would hold each peer's certificate for nothing.
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(identifier)
        context.set_timeout(int(LONGEST_LIFE))
        if not resumes:
            context.set_options(SSL.OP_NO_TICKET)
        if credential is not None:
            use_credential(context, credential, self._whole_chain(credential))
        store = context.get_cert_store()
        if store is None:
            raise InvalidOperation("OpenSSL gave no certificate store")
        for certificate in self.trust.certificates:
            store.add_cert(X509.from_cryptography(certificate))
        context.set_verify_depth(_LONGEST_CHAIN)
        context.set_verify(verify_mode, verify)
        key_log = self.key_log
        if key_log is not None:
            context.set_keylog_callback(lambda _, line: key_log(line))
        return context


def use_credential(context: SSL.Context, credential: Credential, chain: Iterable[x509.Certificate]) -> None:
    """Have connections of *context* show *credential* with *chain*.

    :raises TlsFailure: OpenSSL cannot use it.
    """
    try:
        context.use_certificate(credential.certificate)
        for certificate in chain:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(credential.key)
        context.check_privatekey()
    except SSL.Error as error:
        words = ", ".join(each[2] for each in openssl_errors(error)) or "no reason given"
        raise TlsFailure(
            TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND,
            certificate=credential.certificate,
            detail=f"OpenSSL cannot use {credential.source or 'the certificate'}: {words}; make one with a P-256 key",
            errors=openssl_errors(error),
        ) from error
