"""TLS for SIP on Twisted: mutual by default, verified by our own rules, not a byte before that (RFC 3261 section 26,
RFC 5922).

:class:`TlsSettings` says who we are, whose signatures we trust and who may call. :func:`server_tls_factory` and
:func:`client_tls_factory` wrap an ordinary Twisted factory: its protocols are connected when TCP is, may write at once
(what they write is held), and see their first byte only when the peer has been verified. A protocol that provides
``IHandshakeListener`` is told of that, with ``self.transport.verified`` set to a :class:`.VerifiedPeer`. If it never
comes to that, ``connectionLost`` gets a :class:`~sip_p2p.errors.TlsFailure`, once, and that is all.

In TLS 1.3 the client is done before the server has judged its certificate. A refusal that comes after
``handshakeCompleted`` therefore reaches ``connectionLost`` as a ``TlsFailure`` as well, with
``LOCAL_CERTIFICATE_REJECTED``.

TLS 1.2 and 1.3 (RFC 8996, RFC 9325), forward secrecy and authenticated encryption only, no renegotiation, no
compression. Sessions are resumed by tickets, whose keys live and die with the settings they were made under
(:meth:`TlsSettings.replace`). The rules on certificates are in :mod:`.tls_verify` and :mod:`.identity`, the reading of
failures in :mod:`.tls_failure`, the moving of bytes in :mod:`.tls_protocol`.

Left out: ALPN, several certificates by server name, revocation, resumption on the dialling side.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, cast, final

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from sip_p2p.errors import InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.transport.credential import Credential, TrustAnchors
from sip_p2p.transport.identity import TrustPolicy, is_ip_address, normalise_name
from sip_p2p.transport.tls_failure import openssl_errors, trouble_of
from sip_p2p.transport.tls_protocol import HoldingTlsProtocol, choose_protocol
from sip_p2p.transport.tls_verify import PeerCheck, VerifiedPeer

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime

__all__ = [
    "RECOMMENDED_CIPHERS",
    "Credential",
    "TlsSettings",
    "TrustAnchors",
    "VerifiedPeer",
    "client_tls_factory",
    "server_tls_factory",
]

_log = Logger()

RECOMMENDED_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What RFC 9325 section 4.2 recommends for TLS 1.2, as OpenSSL writes it; TLS 1.3 has nothing else anyway."""

# Longer chains are not seen outside of attacks.
_LONGEST_CHAIN = 8


@final
class _Contexts:
    """One state of the settings with the OpenSSL contexts made from it; a connection keeps the one it began with."""

    __slots__ = ("anchors", "client", "credential", "policy", "require_certificate", "server")

    def __init__(
        self,
        credential: Credential | None,
        anchors: TrustAnchors,
        policy: TrustPolicy,
        require_certificate: bool,
        ciphers: str,
        maximum_version: int,
    ) -> None:
        self.credential = credential
        self.anchors = anchors
        self.policy = policy
        self.require_certificate = require_certificate
        self.client = _context(credential, anchors, SSL.VERIFY_PEER, ciphers, maximum_version)
        self.server: SSL.Context | None = None
        if credential is not None:
            verify = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if require_certificate else 0)
            self.server = _context(credential, anchors, verify, ciphers, maximum_version)


@final
class TlsSettings:
    """Who we are on TLS, whose signatures we trust, and who may call us.

    One object serves any number of listeners and dialled connections, which share its OpenSSL contexts.
    """

    __slots__ = ("_ciphers", "_contexts", "_maximum_version", "_need_mutual_tls", "on_failure")

    def __init__(
        self,
        credential: Credential | None,
        anchors: TrustAnchors,
        policy: TrustPolicy | None = None,
        *,
        need_mutual_tls: bool = True,
        on_failure: Callable[[TlsFailure], object] | None = None,
        ciphers: str = RECOMMENDED_CIPHERS,
        maximum_version: int = 0,
    ) -> None:
        """
        :param credential: our certificate and key; None for a party that only dials, and does not prove who it is.
        :param anchors: the authorities that we trust.
        :param policy: who may call us; ``localhost`` alone if it is not given.
        :param need_mutual_tls: refuse callers without a certificate, and show ours when we dial. Without it, a caller
            that does show a certificate must still show one that is trusted and allowed.
        :param on_failure: is called with the :class:`~sip_p2p.errors.TlsFailure` of every accepted connection that does
            not come to be verified (row D22).
        :param ciphers: the cipher suites of TLS 1.2, as OpenSSL writes them.
        :param maximum_version: the highest TLS version, such as ``OpenSSL.SSL.TLS1_2_VERSION``; 0 for no limit.
        :raises InvalidOperation: mutual TLS without a credential.
        :raises TlsFailure: OpenSSL cannot use the credential.
        """
        if need_mutual_tls and credential is None:
            raise InvalidOperation("mutual TLS needs a certificate of our own: give one, or do without mutual TLS")
        self._need_mutual_tls = need_mutual_tls
        self._ciphers = ciphers
        self._maximum_version = maximum_version
        self._contexts = _Contexts(
            credential,
            anchors,
            policy if policy is not None else TrustPolicy(),
            need_mutual_tls,
            ciphers,
            maximum_version,
        )
        self.on_failure = on_failure

    @property
    def credential(self) -> Credential | None:
        """Our certificate and key."""
        return self._contexts.credential

    @property
    def anchors(self) -> TrustAnchors:
        """The authorities that we trust."""
        return self._contexts.anchors

    @property
    def policy(self) -> TrustPolicy:
        """Who may call us."""
        return self._contexts.policy

    @property
    def need_mutual_tls(self) -> bool:
        """Whether both sides must show a certificate."""
        return self._need_mutual_tls

    def replace(
        self,
        *,
        credential: Credential | None = None,
        anchors: TrustAnchors | None = None,
        policy: TrustPolicy | None = None,
    ) -> None:
        """Put something new in the place of what is given (rows D2, D10).

        It holds for handshakes that begin from now on; connections that stand are left alone. Tickets of sessions from
        before are not accepted any more. If it fails, nothing has changed.

        :raises TlsFailure: OpenSSL cannot use the credential.
        """
        now = self._contexts
        self._contexts = _Contexts(
            credential if credential is not None else now.credential,
            anchors if anchors is not None else now.anchors,
            policy if policy is not None else now.policy,
            self._need_mutual_tls,
            self._ciphers,
            self._maximum_version,
        )


def server_tls_factory(
    settings: TlsSettings, wrapped: IProtocolFactory, clock: IReactorTime, handshake_timeout: float
) -> IProtocolFactory:
    """A factory for the connections of a listener.

    :param wrapped: makes the protocols that get what verified peers send.
    :param clock: the reactor, or what a test advances.
    :param handshake_timeout: the seconds from the TCP connection to the verified peer.
    :raises InvalidOperation: the settings have no credential: a TLS server cannot do without.
    """
    if settings.credential is None:
        raise InvalidOperation("a TLS listener needs a certificate of its own")
    return cast("IProtocolFactory", _TlsFactory(settings, None, wrapped, clock, handshake_timeout))


def client_tls_factory(
    settings: TlsSettings, expected_name: str, wrapped: IProtocolFactory, clock: IReactorTime, handshake_timeout: float
) -> IProtocolFactory:
    """A factory for connections that we dial.

    :param expected_name: the domain, host or IP address that the peer must prove: what the user asked for, not what DNS
        made of it (RFC 5922 section 4).
    :raises ValueError: *expected_name* is no name.
    """
    return cast(
        "IProtocolFactory", _TlsFactory(settings, normalise_name(expected_name), wrapped, clock, handshake_timeout)
    )


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _ConnectionCreator:
    """Makes the OpenSSL connection for a TLS protocol, from the contexts that its gate began with."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that will dial."""
        gate = _gate_of(tlsProtocol)
        connection = SSL.Connection(gate.contexts.client, None)
        # RFC 6066 section 3: literal addresses are not permitted in the server name.
        if gate.check.is_client and not is_ip_address(gate.check.peer):
            connection.set_tlsext_host_name(gate.check.peer.encode("ascii"))
        return connection

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that will answer."""
        context = _gate_of(tlsProtocol).contexts.server
        if context is None:
            raise InvalidOperation("a TLS listener needs a certificate of its own")
        return SSL.Connection(context, None)


class _TlsFactory(TLSMemoryBIOFactory):
    """Wraps each protocol in a gate, and that in TLS."""

    def __init__(
        self,
        settings: TlsSettings,
        expected: str | None,
        wrapped: IProtocolFactory,
        clock: IReactorTime,
        handshake_timeout: float,
    ) -> None:
        super().__init__(_ConnectionCreator(), expected is not None, wrapped, clock)
        self.protocol = choose_protocol()
        self.settings = settings
        self.expected = expected
        self.clock = clock
        self.handshake_timeout = handshake_timeout

    def buildProtocol(self, addr: IAddress | None) -> HoldingTlsProtocol | None:  # type: ignore[override]
        """The TLS protocol for one connection; None if the wrapped factory does not want it."""
        inner = self.wrappedFactory.buildProtocol(addr)
        if inner is None:
            return None
        return cast("HoldingTlsProtocol", self.protocol(self, PeerGate(self, inner)))


@implementer(IHandshakeListener)
@final
class PeerGate(Protocol):
    """Stands between TLS and the wrapped protocol until the peer is verified, and reports the end in our terms.

    To TLS it is the protocol, and only what Twisted promises of its protocols is used; the wrapped protocol talks to
    the TLS layer directly from the beginning. With the first bytes from the verified peer the gate steps out of the
    way.
    """

    def __init__(self, factory: _TlsFactory, inner: IProtocol) -> None:
        settings = factory.settings
        self.contexts = settings._contexts
        self.check = PeerCheck(
            self.contexts.anchors,
            self.contexts.policy,
            expected=factory.expected,
            require_certificate=factory.expected is not None or self.contexts.require_certificate,
        )
        self._factory = factory
        self._inner = inner
        self._failure: TlsFailure | None = None
        self._timeout: IDelayedCall | None = None
        self._is_verified = False
        self._has_received = False

    def makeConnection(self, transport: HoldingTlsProtocol) -> None:
        """TCP is connected: hold what is written, and wait for the handshake, but not for ever."""
        self._tls = transport
        self.connected = 1
        transport.hold_writes()
        if not self.check.is_client:
            self.check.peer = _address_in_words(transport.getPeer())  # type: ignore[no-untyped-call]
        self._timeout = self._factory.clock.callLater(self._factory.handshake_timeout, self._timed_out)
        self._inner.makeConnection(transport)

    def handshakeCompleted(self) -> None:
        """OpenSSL is content; now our own judgement decides."""
        tls = self._tls
        verified = self.check.conclude(tls.getHandle())  # type: ignore[no-untyped-call]
        if verified is None:
            tls.abortConnection()
            return
        self._stop_timeout()
        self._is_verified = True
        tls.verified = verified
        tls.release_writes()
        if IHandshakeListener.providedBy(self._inner):
            self._inner.handshakeCompleted()

    def dataReceived(self, data: bytes) -> None:
        """The first bytes of the peer: from now on they go to the wrapped protocol directly."""
        if not self._is_verified:
            self._failure = TlsFailure(TlsFailureReason.OTHER, self.check.peer, detail="data came before verification")
            self._tls.abortConnection()
            return
        self._has_received = True
        self._tls.hand_over(self._inner)
        self._inner.dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is over: say why, once."""
        self._stop_timeout()
        failure = self.check.refusal or self._failure
        if failure is None:
            reason = self._in_our_terms(reason)
        else:
            reason = Failure(failure)
        if not self._is_verified and not self.check.is_client and isinstance(reason.value, TlsFailure):
            self._report(reason.value)
        self._inner.connectionLost(reason)

    def _in_our_terms(self, reason: Failure) -> Failure:
        """What the TLS layer or TCP reports, as a :class:`TlsFailure` where TLS is what failed."""
        error = reason.value
        peer = self.check.peer
        if isinstance(error, SSL.Error):
            trouble = trouble_of(
                error,
                # What a server hears in the handshake, and a client after it has found the server good, answers the
                # flight with the certificate; so does the first that a client hears after the handshake in TLS 1.3.
                certificate_sent=not self._has_received and (not self.check.is_client or self.check.has_approved),
                have_certificate=self.contexts.credential is not None,
                verified=self._is_verified,
            )
            if self._is_verified and trouble.reason is TlsFailureReason.REMOTE_DISCONNECTED:
                return Failure(ConnectionLost())
            certificate = self._tls.verified.certificate if self._tls.verified is not None else None
            return Failure(
                TlsFailure(
                    trouble.reason,
                    peer,
                    certificate,
                    detail=trouble.detail,
                    alert=trouble.alert,
                    errors=openssl_errors(error),
                )
            )
        if self._is_verified or self._tls.disconnecting:
            return reason
        return Failure(TlsFailure(TlsFailureReason.REMOTE_DISCONNECTED, peer, detail=reason.getErrorMessage()))

    def _timed_out(self) -> None:
        self._timeout = None
        seconds = self._factory.handshake_timeout
        self._failure = TlsFailure(TlsFailureReason.HANDSHAKE_TIMEOUT, self.check.peer, detail=f"after {seconds:g} s")
        self._tls.abortConnection()

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _report(self, failure: TlsFailure) -> None:
        report = self._factory.settings.on_failure
        if report is None:
            return
        try:
            report(failure)
        except Exception:
            _log.failure("reporting a refused connection failed")


def _gate_of(tls: TLSMemoryBIOProtocol) -> PeerGate:
    return cast(PeerGate, tls.wrappedProtocol)


def _context(
    credential: Credential | None, anchors: TrustAnchors, verify: int, ciphers: str, maximum_version: int
) -> SSL.Context:
    """An OpenSSL context with our rules."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_max_proto_version(maximum_version)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_cipher_list(ciphers.encode("ascii"))
    # Sessions live in tickets only: a table of them in this process would hold each peer's certificate for nothing.
    # The identifier is what OpenSSL demands before it resumes sessions with client certificates; it is of this context
    # alone.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(secrets.token_bytes(32))
    if credential is not None:
        _use_credential(context, credential)
    store = context.get_cert_store()
    if store is None:
        raise InvalidOperation("OpenSSL gave no certificate store")
    for certificate in anchors.certificates:
        store.add_cert(X509.from_cryptography(certificate))
    context.set_verify_depth(_LONGEST_CHAIN)
    context.set_verify(verify, _verify)
    return context


def _use_credential(context: SSL.Context, credential: Credential) -> None:
    try:
        context.use_certificate(credential.certificate)
        for certificate in credential.chain:
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


def _verify(connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """OpenSSL's verify callback, for every connection of every context.

    Nothing may be raised from here, and nothing but a judgement of the connection's own gate is a yes.
    """
    try:
        gate = cast(HoldingTlsProtocol, connection.get_app_data()).wrappedProtocol
        return isinstance(gate, PeerGate) and gate.check.judge(certificate, code, depth)
    except Exception:
        _log.failure("a certificate could not be judged, so its owner is refused")
        return False


def _address_in_words(address: IAddress) -> str:
    host = getattr(address, "host", None)
    if host is None:
        return str(address)
    return f"[{host}]:{address.port}" if ":" in host else f"{host}:{address.port}"  # type: ignore[attr-defined]
