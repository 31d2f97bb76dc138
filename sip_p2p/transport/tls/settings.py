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

SIP over TLS is called ``sip/2`` in ALPN (RFC 7301; registered with IANA for RFC 3261). It is offered and selected; a
peer that offers nothing is supposed to speak SIP, and one that offers other protocols only is refused with
``no_application_protocol``.

The OpenSSL contexts are in :mod:`.tls.contexts`, what stands before each protocol in :mod:`.tls.gate`, the rules on
certificates in :mod:`.trust.judgement` and what that names, revocation in :mod:`.trust.revocation` and
:mod:`.trust.ocsp`, certificates by name in :mod:`.tls.server_names`, sessions in :mod:`.tls.resumption`, the reading of
failures in :mod:`.trust.failure`, the moving of bytes in :mod:`.tls.protocol`.

Left out: early data, pre-shared keys of other kinds, renegotiation, compression.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, cast, final

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from sip_p2p.errors import InvalidOperation, TlsFailure
from sip_p2p.transport.tls.contexts import TlsContexts
from sip_p2p.transport.tls.gate import PeerGate, Terms
from sip_p2p.transport.tls.protocol import HoldingTlsProtocol, choose_protocol
from sip_p2p.transport.tls.server_names import ServerNames
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy, is_ip_address, normalise_name
from sip_p2p.transport.trust.key_usage import KeyUsage

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IProtocolFactory, IReactorTime

    from sip_p2p.transport.tls.reload import Reloader
    from sip_p2p.transport.trust.revocation import Revocation
    from sip_p2p.transport.trust.stack import TrustGiven, TrustStack

__all__ = [
    "HTTP_PROTOCOL",
    "RECOMMENDED_CIPHERS",
    "SIP_PROTOCOL",
    "TlsSettings",
    "client_tls_factory",
    "server_tls_factory",
]

RECOMMENDED_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What RFC 9325 section 4.2 recommends for TLS 1.2, as OpenSSL writes it; TLS 1.3 has nothing else anyway."""

SIP_PROTOCOL = b"sip/2"
"""SIP 2.0 over TLS in the registry of ALPN protocol identifiers."""

HTTP_PROTOCOL = b"http/1.1"
"""The same of that with which a WebSocket begins."""


_LONGEST_USE = 24 * 3600.0


@final
class TlsSettings:
    """Who we are on TLS, whose signatures we trust, and who may call us.

    One object serves any number of listeners and dialled connections, which share its OpenSSL contexts.

    :ivar on_failure: is called with the failure of every accepted connection that does not come to be verified.
    :ivar reloader: what looks whether files have changed; the owner of the settings sets it.
    :ivar protocol: what moves the bytes of connections that begin from now on.
    :ivar is_for_callers: whether they believe others than those who are believed when we dial.
    :ivar handshakes: completed handshakes in full, with a peer that showed a certificate.
    :ivar resumptions: completed handshakes that resumed a session, in either direction.
    """

    __slots__ = (
        "_contexts", "_need_mutual_tls", "_resumes",
        "handshakes", "is_for_callers", "on_failure", "protocol", "reloader", "resumptions",
    )  # fmt: skip

    def __init__(
        self,
        credential: Credential | None,
        anchors: TrustGiven | TrustStack,
        policy: TrustPolicy | None = None,
        *,
        need_mutual_tls: bool = True,
        on_failure: Callable[[TlsFailure], object] | None = None,
        usage: KeyUsage | None = None,
        revocation: Revocation | None = None,
        server_certificates: Mapping[str, Credential] | None = None,
        resumes: bool = True,
        protocol: type[HoldingTlsProtocol] | None = None,
        ciphers: str = RECOMMENDED_CIPHERS,
        maximum_version: int = 0,
        key_log: Callable[[bytes], None] | None = None,
    ) -> None:
        """
        :param credential: our certificate and key; None for a party that only dials, and does not prove who it is.
        :param anchors: the authorities that we trust, or whatever else makes us know a peer.
        :param policy: who may call us; ``localhost`` alone if it is not given.
        :param need_mutual_tls: refuse callers without a certificate, and show ours when we dial. Without it, a caller
            that does show a certificate must still show one that is trusted and allowed.
        :param on_failure: is called with the :class:`~sip_p2p.errors.TlsFailure` of every accepted connection that does
            not come to be verified (row D22).
        :param usage: what a peer's certificate must be meant for.
        :param revocation: what is known of revoked certificates, and what becomes of peers where nothing is (row D17);
            None does not look.
        :param server_certificates: what callers are shown that ask for one of these names (row D26); all others see
            *credential*.
        :param resumes: whether sessions are resumed, in either direction.
        :param protocol: what moves the bytes: :class:`~sip_p2p.transport.tls.protocol.CorkedTlsProtocol`, or
            :class:`~sip_p2p.transport.tls.protocol.HoldingTlsProtocol`, which is Twisted's own code. By default the
            first, if the installed Twisted has what it leans on.
        :param ciphers: the cipher suites of TLS 1.2, as OpenSSL writes them.
        :param maximum_version: the highest TLS version, such as ``OpenSSL.SSL.TLS1_2_VERSION``; 0 for no limit.
        :param key_log: is told the keys of every connection, as lines of the format of RFC 9850. Whoever sees them and
            the packets reads everything.
        :raises InvalidOperation: mutual TLS without a credential.
        :raises TlsFailure: OpenSSL cannot use a credential.
        :raises ValueError: a name of *server_certificates* is none.
        """
        if need_mutual_tls and credential is None:
            raise InvalidOperation("mutual TLS needs a certificate of our own: give one, or do without mutual TLS")
        self._need_mutual_tls = need_mutual_tls
        self._resumes = resumes
        self._contexts = TlsContexts(
            credential,
            anchors,
            policy if policy is not None else TrustPolicy(),
            require_certificate=need_mutual_tls,
            usage=usage if usage is not None else KeyUsage(),
            revocation=revocation,
            server_names=_server_names(server_certificates),
            ciphers=ciphers,
            maximum_version=maximum_version,
            resumes=resumes,
            key_log=key_log,
        )
        self.on_failure = on_failure
        self.protocol = choose_protocol() if protocol is None else protocol
        self.reloader: Reloader | None = None
        self.is_for_callers = False
        self.handshakes = 0
        self.resumptions = 0

    @property
    def credential(self) -> Credential | None:
        """Our certificate and key."""
        return self._contexts.credential

    @property
    def anchors(self) -> TrustGiven | TrustStack:
        """By what we know peers, as it was given."""
        return self._contexts.anchors

    @property
    def trust(self) -> TrustStack:
        """By what we know peers."""
        return self._contexts.trust

    @property
    def policy(self) -> TrustPolicy:
        """Who may call us."""
        return self._contexts.policy

    @property
    def usage(self) -> KeyUsage:
        """What a peer's certificate must be meant for."""
        return self._contexts.usage

    @property
    def revocation(self) -> Revocation | None:
        """What is known of revoked certificates."""
        return self._contexts.revocation

    @property
    def server_certificates(self) -> ServerNames:
        """What callers are shown that ask for one of these names."""
        return self._contexts.server_names

    @property
    def key_log(self) -> Callable[[bytes], None] | None:
        """What is told the keys of every connection; None where nobody may know them."""
        return self._contexts.key_log

    @property
    def need_mutual_tls(self) -> bool:
        """Whether both sides must show a certificate."""
        return self._need_mutual_tls

    @property
    def sessions(self) -> int:
        """How many sessions are kept for connections that we may dial."""
        return len(self._contexts.sessions)

    def replace(
        self,
        *,
        credential: Credential | None = None,
        anchors: TrustGiven | TrustStack | None = None,
        policy: TrustPolicy | None = None,
        usage: KeyUsage | None = None,
        revocation: Revocation | None = None,
        server_certificates: Mapping[str, Credential] | None = None,
    ) -> None:
        """Put something new in the place of what is given (rows D2, D10).

        It holds for handshakes that begin from now on; connections that stand are left alone. No session from before is
        resumed any more, in either direction (fault F9). If it fails, nothing has changed.

        :raises TlsFailure: OpenSSL cannot use a credential.
        :raises ValueError: a name of *server_certificates* is none.
        """
        now = self._contexts
        self._contexts = TlsContexts(
            credential if credential is not None else now.credential,
            anchors if anchors is not None else now.anchors,
            policy if policy is not None else now.policy,
            require_certificate=self._need_mutual_tls,
            usage=usage if usage is not None else now.usage,
            revocation=revocation if revocation is not None else now.revocation,
            server_names=now.server_names if server_certificates is None else _server_names(server_certificates),
            ciphers=now.ciphers,
            maximum_version=now.maximum_version,
            resumes=self._resumes,
            key_log=now.key_log,
        )

    def contexts(self, now: float) -> TlsContexts:
        """The OpenSSL contexts for a handshake that begins at *now*, in seconds on the scale of the connection's clock.

        Once a day they are made anew: the keys of the tickets change (RFC 9325 section 3.4), and nobody resumes for
        ever what it once had the private key for.
        """
        contexts = self._contexts
        if contexts.began is None:
            contexts.began = now
        elif not 0 <= now - contexts.began < _LONGEST_USE:
            self.replace()
            contexts = self._contexts
            contexts.began = now
        return contexts

    def count_handshake(self, was_resumed: bool) -> None:
        """A handshake is complete, and the peer verified by its certificate."""
        if was_resumed:
            self.resumptions += 1
        else:
            self.handshakes += 1


def server_tls_factory(
    settings: TlsSettings,
    wrapped: IProtocolFactory,
    clock: IReactorTime,
    handshake_timeout: float | Callable[[], float],
    application_protocol: bytes = SIP_PROTOCOL,
) -> IProtocolFactory:
    """A factory for the connections of a listener.

    :param wrapped: makes the protocols that get what verified peers send.
    :param clock: the reactor, or what a test advances.
    :param handshake_timeout: the seconds from the TCP connection to the verified peer, or what tells them for each.
    :param application_protocol: what ALPN calls that which is spoken here: ``http/1.1`` under WebSocket; empty to leave
        ALPN alone.
    :raises InvalidOperation: the settings have no credential: a TLS server cannot do without.
    """
    if settings.credential is None:
        raise InvalidOperation("a TLS listener needs a certificate of its own")
    terms = Terms(settings, None, clock, handshake_timeout, application_protocol, None)
    return cast("IProtocolFactory", _TlsFactory(terms, wrapped))


def client_tls_factory(
    settings: TlsSettings,
    expected_name: str,
    wrapped: IProtocolFactory,
    clock: IReactorTime,
    handshake_timeout: float,
    application_protocol: bytes = SIP_PROTOCOL,
    session_key: Hashable = (),
) -> IProtocolFactory:
    """A factory for connections that we dial.

    :param expected_name: the domain, host or IP address that the peer must prove: what the user asked for, not what DNS
        made of it (RFC 5922 section 4).
    :param session_key: where the connections lead, if that is not said by the name alone, such as (address, port).
        Sessions are resumed between connections with the same name, protocol and key; None does not resume any.
    :raises ValueError: *expected_name* is no name.
    """
    name = normalise_name(expected_name)
    key = None if session_key is None else (name, application_protocol, session_key)
    terms = Terms(settings, name, clock, handshake_timeout, application_protocol, key)
    return cast("IProtocolFactory", _TlsFactory(terms, wrapped))


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _ConnectionCreator:
    """Makes the OpenSSL connection for a TLS protocol, from the contexts that its gate began with."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that will dial."""
        gate = cast(PeerGate, tlsProtocol.wrappedProtocol)
        contexts, terms = gate.contexts, gate.terms
        connection = SSL.Connection(contexts.client, None)
        # RFC 6066 section 3: literal addresses are not permitted in the server name.
        if terms.expected is not None and not is_ip_address(terms.expected):
            connection.set_tlsext_host_name(terms.expected.encode("ascii"))
        if terms.application_protocol:
            connection.set_alpn_protos([terms.application_protocol])
        if contexts.asks_for_staple:
            connection.request_ocsp()
        gate.resume(connection)
        return connection

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that will answer."""
        gate = cast(PeerGate, tlsProtocol.wrappedProtocol)
        context = gate.contexts.server
        if context is None:
            raise InvalidOperation("a TLS listener needs a certificate of its own")
        connection = SSL.Connection(context, None)
        if gate.terms.application_protocol == HTTP_PROTOCOL and not gate.contexts.require_certificate:
            # A browser gives a WebSocket up when it is asked for a certificate, even where it need not have one.
            connection.set_verify(SSL.VERIFY_NONE)
        return connection


class _TlsFactory(TLSMemoryBIOFactory):
    """Wraps each protocol in a gate, and that in TLS."""

    def __init__(self, terms: Terms, wrapped: IProtocolFactory) -> None:
        super().__init__(_ConnectionCreator(), terms.expected is not None, wrapped, terms.clock)
        self.terms = terms
        self.clock = terms.clock
        self.protocol = terms.settings.protocol

    def buildProtocol(self, addr: IAddress | None) -> HoldingTlsProtocol | None:  # type: ignore[override]
        """The TLS protocol for one connection; None if the wrapped factory does not want it."""
        inner = self.wrappedFactory.buildProtocol(addr)
        if inner is None:
            return None
        gate = PeerGate(self.terms, self.terms.settings.contexts(self.clock.seconds()), inner)
        return cast("HoldingTlsProtocol", self.protocol(self, gate))


def _server_names(given: Mapping[str, Credential] | None) -> ServerNames:
    return given if isinstance(given, ServerNames) else ServerNames(given)
