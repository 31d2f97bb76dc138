"""HTTPS by our own rule of identity: a policy for Twisted's HTTP clients (``Agent``, treq) that fails closed.

RFC 9110 section 4.3.4 and RFC 9525 (who an HTTPS server is), RFC 5280 (what OpenSSL checks), RFC 9325 (strength). The
rules are those by which SIP peers are known, with the names that HTTPS has:

* a host name is proved by a ``DNS`` entry that is exactly it, an IP address by an ``IP`` entry that is exactly it;
* wildcards, the common name and SIP domains (``URI:sip:``) prove nothing;
* the certificate must be a party's, meant for servers, strong, valid now, and lead to an authority that is trusted;
* an exception anywhere is a refusal, in the verify callback as well as when the handshake is complete.

Left out: revocation, resumed sessions, pinned keys, HTTP/2, proxies.
"""

from __future__ import annotations

import ssl
import warnings
from typing import TYPE_CHECKING, cast, final
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from sip_p2p.errors import InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.transport.tls.contexts import use_credential
from sip_p2p.transport.tls.settings import HTTP_PROTOCOL, RECOMMENDED_CIPHERS
from sip_p2p.transport.trust.credential import Credential, TrustAnchors
from sip_p2p.transport.trust.identity import PeerIdentities, TrustPolicy, is_ip_address, normalise_name
from sip_p2p.transport.trust.judgement import PeerCheck
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.stack import Doubt, Grant, Shown, Trust, TrustedBy, TrustStack

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

__all__ = ["HttpsAuthorities", "HttpsPolicy", "system_authorities"]

_log = Logger()

_FOR_SERVERS = frozenset(
    [ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string]
)
_LONGEST_CHAIN = 8
# How many servers' contexts and refusals are kept.
_MOST_SERVERS = 64


def system_authorities() -> TrustAnchors:
    """The public authorities that this machine trusts, where OpenSSL looks for them.

    :raises ValueError: there are none; the message says what to do.
    """
    paths = ssl.get_default_verify_paths()
    for path in (paths.cafile, paths.capath):
        if path is not None:
            try:
                with warnings.catch_warnings():
                    # Some authorities have certificates that are older than today's rules; that is nobody's concern.
                    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
                    return TrustAnchors.from_files(path)
            except ValueError:
                continue
    raise ValueError("this machine has no list of public authorities: install ca-certificates, or name a file")


@final
class HttpsAuthorities(Trust):
    """Trust in authorities that vouch for HTTPS servers."""

    def __init__(self, anchors: TrustAnchors) -> None:
        """
        :param anchors: their certificates.
        """
        self.anchors = anchors
        self.certificates = anchors.certificates

    def consider(self, shown: Shown) -> Grant | Doubt:
        """A chain without flaw, a server's certificate, and among its hosts the one that was dialled."""
        if shown.trouble is not None:
            return Doubt(shown.trouble.reason, shown.trouble.detail)
        facts = shown.facts
        if facts.is_authority:
            return Doubt(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, "it is an authority's certificate, not a party's")
        if facts.purposes is not None and not facts.purposes & _FOR_SERVERS:
            return Doubt(TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE, "it is not meant for servers (serverAuth)")
        hosts = PeerIdentities.hosts_from_certificate(x509.load_der_x509_certificate(facts.der))
        if shown.expected is None or hosts.matches(shown.expected) is None:
            proved = ", ".join(hosts.identities) or "no host"
            words = f"it proves {proved}, not {shown.expected}"
            return Doubt(TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE, words)
        return Grant(hosts, TrustedBy.AUTHORITY, self)

    def __repr__(self) -> str:
        return f"<HttpsAuthorities: {len(self.certificates)}>"


@implementer(IPolicyForHTTPS)
@final
class HttpsPolicy:
    """Which HTTPS servers are believed; for ``Agent(reactor, HttpsPolicy(...))`` and what is built on that.

    Nothing that the application writes leaves before the server has been found good.
    """

    def __init__(
        self,
        trust: TrustAnchors | str | os.PathLike[str],
        judges: Callable[[HttpsAuthorities], Trust] = lambda authorities: authorities,
        protocol: bytes | None = HTTP_PROTOCOL,
        credential: Credential | None = None,
    ) -> None:
        """
        :param trust: the authorities that may vouch for servers: theirs, or the path of a PEM file or folder;
            :func:`system_authorities` for those of the machine.
        :param judges: makes what judges of these authorities; with it a rule of one's own can stand before theirs.
        :param protocol: what is to be spoken, as ALPN calls it (RFC 7301); None says nothing of that, for servers that
            are known by these rules and speak something else than HTTP.
        :param credential: our certificate and key, for servers that ask for one; None to show none.
        :raises ValueError: the file cannot be used; the message names it.
        """
        self._judges = judges
        self._protocol = protocol
        self._credential = credential
        self._trust = self._stack(trust)
        self._refusals: dict[tuple[str, int], TlsFailure] = {}
        self._creators: dict[tuple[str, int], _ConnectionCreator] = {}

    def replace_trust(self, trust: TrustAnchors | str | os.PathLike[str]) -> None:
        """Believe other authorities, from the next connection on.

        :raises ValueError: the file cannot be used, and nothing has changed.
        """
        self._trust = self._stack(trust)
        self._creators.clear()

    def refusal_of(self, host: str, port: int) -> TlsFailure | None:
        """Why the last server at *host* was refused that was; None where none was since one was found good."""
        return self._refusals.get((normalise_name(host), port))

    def creatorForNetloc(self, hostname: bytes, port: int) -> _ConnectionCreator:
        """What makes the TLS connections to one server.

        :raises ValueError: *hostname* is no name.
        :raises TlsFailure: OpenSSL cannot use our certificate.
        """
        key = normalise_name(hostname.decode("ascii")), port
        creator = self._creators.get(key)
        if creator is None:
            if len(self._creators) >= _MOST_SERVERS:
                # Whoever asks again gets a new one; the refusals are of no use without it.
                self._creators.clear()
                self._refusals.clear()
            creator = self._creators[key] = _ConnectionCreator(
                *key, self._trust, self._refusals, self._protocol, self._credential
            )
        return creator

    def _stack(self, trust: TrustAnchors | str | os.PathLike[str]) -> TrustStack:
        anchors = trust if isinstance(trust, TrustAnchors) else TrustAnchors.from_files(trust)
        return TrustStack((self._judges(HttpsAuthorities(anchors)),))


@implementer(IOpenSSLClientConnectionCreator)
@final
class _ConnectionCreator:
    """Makes the OpenSSL connections to one server, each with a judgement of its own."""

    def __init__(
        self,
        host: str,
        port: int,
        trust: TrustStack,
        refusals: dict[tuple[str, int], TlsFailure],
        protocol: bytes | None,
        credential: Credential | None,
    ) -> None:
        self._credential = credential
        self._host = host
        self._protocol = protocol
        self._port = port
        self._trust = trust
        self._refusals = refusals
        self._checks: WeakKeyDictionary[TLSMemoryBIOProtocol, PeerCheck] = WeakKeyDictionary()
        self._context = self._make_context()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection that will dial."""
        self._checks[tlsProtocol] = PeerCheck(
            self._trust,
            TrustPolicy.any_authenticated(),
            expected=self._host,
            require_certificate=True,
            usage=KeyUsage(KeyUsagePolicy.STRICT),
        )
        connection = SSL.Connection(self._context, None)
        # RFC 6066 section 3: literal addresses are not permitted in the server name.
        if not is_ip_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        if self._protocol is not None:
            connection.set_alpn_protos([self._protocol])
        return connection

    def _make_context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_cipher_list(RECOMMENDED_CIPHERS.encode("ascii"))
        store = context.get_cert_store()
        if store is None:
            raise InvalidOperation("OpenSSL gave no certificate store")
        for certificate in self._trust.certificates:
            store.add_cert(X509.from_cryptography(certificate))
        if self._credential is not None:
            use_credential(context, self._credential, self._credential.chain)
        context.set_verify_depth(_LONGEST_CHAIN)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        context.set_info_callback(self._happened)
        return context

    def _verify(self, connection: SSL.Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """OpenSSL's verify callback: nothing but the judgement's own word is a yes."""
        try:
            check = self._checks[connection.get_app_data()]
            is_good = check.judge(certificate, code, depth)
            if check.refusal is not None:
                self._refusals[self._host, self._port] = check.refusal
        except Exception:
            _log.failure("a certificate could not be judged, so {host} is refused", host=self._host)
            return False
        return is_good

    def _happened(self, connection: SSL.Connection, where: int, value: int) -> None:
        """OpenSSL's account of the handshake; its end is looked at once more, and whatever goes wrong ends it."""
        if not where & SSL.SSL_CB_HANDSHAKE_DONE:
            return
        tls = cast(TLSMemoryBIOProtocol, connection.get_app_data())
        refusal: TlsFailure | None = TlsFailure(TlsFailureReason.OTHER, self._host, detail="it was not verified")
        try:
            check = self._checks[tls]
            if check.conclude(connection) is not None:
                refusal = None
                self._refusals.pop((self._host, self._port), None)
            elif check.refusal is not None:
                refusal = check.refusal
        except Exception:
            _log.failure("a completed handshake could not be judged, so {host} is refused", host=self._host)
        if refusal is not None:
            self._refusals[self._host, self._port] = refusal
            tls.failVerification(Failure(refusal))
