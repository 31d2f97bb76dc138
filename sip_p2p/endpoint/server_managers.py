"""The two connection managers that applications make: with TLS, which is the rule, and without."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
from sip_p2p.endpoint.connection_request import Authorize
from sip_p2p.endpoint.events import Event
from sip_p2p.endpoint.from_policy import FromPolicy
from sip_p2p.endpoint.listener_watch import USUAL_WATCH, ListenerWatch
from sip_p2p.endpoint.renewal import Renewal
from sip_p2p.errors import InvalidOperation, TlsFailure, TlsFailureReason
from sip_p2p.transport.keep_alive import USUAL, KeepAlive
from sip_p2p.transport.stream.websocket import WebSocketOptions
from sip_p2p.transport.target import Transport
from sip_p2p.transport.tls.settings import HTTP_PROTOCOL, SIP_PROTOCOL, TlsSettings, client_tls_factory
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.stack import TrustGiven, TrustStack

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, ObjectIdentifier
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory, IReactorTime

    from sip_p2p.sip.flow import SenderCheck
    from sip_p2p.sip.tokens import TokenSource
    from sip_p2p.sip.transaction.timers import Timers
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.dns.resolver import Resolver
    from sip_p2p.transport.flow import LiveFlow
    from sip_p2p.transport.limits import Limits
    from sip_p2p.transport.target import Target
    from sip_p2p.transport.tls.expiry import CertificateExpiring
    from sip_p2p.transport.tls.server_names import ServerNames
    from sip_p2p.transport.trust.revocation import Revocation

__all__ = ["RealTimeServerTcpConnectionManager", "RealTimeServerTlsConnectionManager"]

_Path: TypeAlias = "str | Path"


class RealTimeServerTlsConnectionManager(RealTimeConnectionManager):
    """Connections that prove who is at both ends: mutual TLS, out and in.

    Whom we dial must prove the name that we dialled. Who dials us must prove a name that ``allow`` lists. By what it is
    proved is for ``trust`` to say. Nothing of this can be switched off in one word.

    :ivar from_policy: what is asked of the From of incoming requests.
    :ivar senders_refused: how many requests were answered 403 for their From.
    :ivar certificate_expiring: told when a certificate that we rely on will expire in 30, 14, 7, 3 and 1 days, and when
        it has.
    :ivar tls_failed: told of every TLS connection that came to nothing, incoming ones above all (row D22).
    """

    default_prefix = "tls"
    transports = (Transport.TLS, Transport.TCP, Transport.UDP)

    def __init__(
        self,
        reactor: IReactorTime,
        certificate: _Path | Credential | None = None,
        private_key: _Path | None = None,
        trust: TrustGiven | Iterable[TrustGiven] = (),
        allow: str | Iterable[str] | TrustPolicy | None = None,
        *,
        key_usage: KeyUsagePolicy | str = KeyUsagePolicy.SIP_EITHER,
        required_eku: str | Iterable[str | ObjectIdentifier] = (),
        revocation: Revocation | None = None,
        server_certificates: Mapping[str, Credential] | None = None,
        reload_interval: float = 10.0,
        need_mutual_tls: bool = True,
        trust_dialed_peers: bool = False,
        from_policy: FromPolicy | None = None,
        trusted_proxies: Iterable[str] = (),
        limits: Limits | None = None,
        timers: Timers | None = None,
        resolver: Resolver | None = None,
        family: AddressFamilyHint | str | None = None,
        advertise: str | None = None,
        tokens: TokenSource | None = None,
        keep_alive: KeepAlive | None = USUAL,
        pool_size: int | None = 1,
        pool_linger: float | None = None,
        reconnect: str = "lazy",
        overload_control: bool = False,
        authorize: Authorize | None = None,
        websocket: WebSocketOptions | None = None,
        listener_watch: ListenerWatch | None = USUAL_WATCH,
        offer_alpn: bool = True,
        key_log: Callable[[bytes], None] | None = None,
    ) -> None:
        """
        :param certificate: a PEM file with our certificate, its chain and perhaps its key; or a :class:`Credential`.
        :param private_key: the PEM file with the key, where it is another one.
        :param trust: by what we know peers: PEM files or folders with the authorities that may vouch for them,
            :class:`TrustAnchors`, or a :class:`.Trust` such as :class:`.PinnedKeys` or :class:`.FirstUse`; or a list of
            these, asked in their order. Any of them may accept, but a refusal such as that of a key that is not the
            pinned one wins.
        :param allow: who may talk to us: names, and ``.suffix`` for everything below a domain. None means ``localhost``
            only (row D8), an empty list nobody; :meth:`TrustPolicy.any_authenticated` everybody whom *trust* vouches
            for.
        :param key_usage: which extended key usages make a certificate good for SIP, in which direction.
        :param required_eku: purposes that a peer's certificate must list besides, each of them: dotted numbers, or
            names such as ``sipDomain`` (row D13).
        :param revocation: what is known of revoked certificates, and what becomes of peers where nothing is (row D17);
            None does not look.
        :param server_certificates: what callers are shown that ask for one of these names (row D26), such as
            :meth:`.ServerNames.from_files`; all others see *certificate*.
        :param reload_interval: after how many seconds files are looked at again: certificates, keys, authorities,
            revocation lists; 0 looks only at :meth:`reload`.
        :param need_mutual_tls: False accepts peers that show no certificate; they are nobody in particular then.
        :param trust_dialed_peers: let a peer that we dialled send us requests on that connection, though *allow* does
            not list it (row D9).
        :param from_policy: what is asked of the From of requests; by default, that its host is one that the connection
            has proved (row A16, fault F14).
        :param trusted_proxies: who may pass on requests of others, by the names that they prove; for the default
            policy. An endpoint's own outbound proxy may always pass them on to it.
        :param keep_alive: how the connections that we open are kept alive (row E17); None sends and offers none.
        :param pool_size: how many connections there may be to one server for one name, used in turn; another is opened
            when all are busy (row E2). None shares none (row E3).
        :param pool_linger: for how many seconds a connection that we opened is kept after its last use; by default 60,
            or as long as any other where that is shorter or for ever (row E6).
        :param overload_control: let those whom we dial tell us to send less (RFC 7339), and send so much less; what
            peers offer of it is taken up in any case.
        :param reconnect: ``lazy`` connects when there is something to send; ``eager`` connects to the outbound proxies
            of the endpoints at once, and again whenever that is lost (row E14).
        :param authorize: is asked about every connection, in and out, before it carries a message: a function of a
            :class:`.ConnectionRequest` that gives a ``bool``, or a ``Deferred`` or coroutine of one. Only ``True`` in
            time is a yes (rows D23, D24).
        :param websocket: how servers are asked for a WebSocket: path and origin.
        :param listener_watch: how listeners are looked after, and whether one that was lost is started again (row C9);
            None does not look.
        :param offer_alpn: say ``sip/2`` in the ALPN of the connections that we dial (row D26). False is for servers
            that end every handshake in which a protocol is offered that they have not been told of.
        :param key_log: is told the keys of every TLS connection, such as a :class:`~sip_p2p.observe.keylog.KeyLog`, so
            that Wireshark can read what was captured. Whoever sees them and the packets reads everything.
        :param resolver: where names lead; by default DNS as RFC 3263 has it, after this machine's hosts file.
        :param family: which addresses are used, and which come first: ``all``, ``v4``, ``v6``, ``prefer-v4`` or
            ``prefer-v6`` (row E23).
        :raises TlsFailure: when the certificate or key is missing, unreadable, expired or does not fit; the message
            names the file and the remedy.
        :raises ValueError: when *trust* is empty or cannot be read, *allow* holds no proper names, or a purpose is
            unknown.
        :raises InvalidOperation: when mutual TLS is asked for without a certificate.
        """
        super().__init__(
            reactor,
            limits=limits,
            timers=timers,
            resolver=resolver,
            family=family,
            advertise=advertise,
            tokens=tokens,
            keep_alive=keep_alive,
            pool_size=pool_size,
            pool_linger=pool_linger,
            reconnect=reconnect,
            overload_control=overload_control,
            authorize=authorize,
            websocket=websocket,
            listener_watch=listener_watch,
        )
        credential = _credential(certificate, private_key)
        if credential is None and need_mutual_tls:
            raise InvalidOperation("mutual TLS needs a certificate of our own: give certificate=")
        stack = TrustStack.of(trust)
        policy = (
            allow if isinstance(allow, TrustPolicy) else TrustPolicy() if allow is None else TrustPolicy.parse(allow)
        )
        self._trust_dialed_peers = trust_dialed_peers
        self._protocol = SIP_PROTOCOL if offer_alpn else b""
        if from_policy is not None and trusted_proxies:
            raise ValueError("give the trusted proxies to from_policy=, or give trusted_proxies= alone")
        self.from_policy = FromPolicy(trusted_proxies) if from_policy is None else from_policy
        self.senders_refused = 0
        # One bound method for all flows.
        self._refused = self._sender_refused
        self._settings = TlsSettings(
            credential,
            stack,
            policy,
            usage=KeyUsage(key_usage, required_eku),
            revocation=revocation,
            server_certificates=server_certificates,
            need_mutual_tls=need_mutual_tls,
            on_failure=self.tls_failure,
            key_log=key_log,
        )
        self.certificate_expiring: Event[CertificateExpiring] = Event(log_bounds=self.driver.log_bounds)
        self._renewal = Renewal(reactor, self._settings, reload_interval, self._certificate_expires)
        self._warn()

    def _warn(self) -> None:
        """Log what weakens the proofs, at every start."""
        for words in self.trust.warnings:
            self._log.warn("{words}", words=words)
        if self.policy.allows_any:
            self._log.warn("everybody whom the trusted authorities vouch for may talk to us: any_authenticated is set")
        if self.from_policy.allows_any:
            self._log.warn("every peer may send under any From, whatever it has proved: FromPolicy.any_from() is set")
        if not self.need_mutual_tls:
            self._log.warn(
                "need_mutual_tls is off: peers without a certificate are accepted, and are nobody in particular"
            )
        if self._settings.key_log is not None:
            self._log.warn("the keys of all TLS connections are written down: who has them reads what is captured")

    @property
    def need_mutual_tls(self) -> bool:
        """Whether peers must show a certificate (row D4)."""
        return self._settings.need_mutual_tls

    @property
    def credential(self) -> Credential | None:
        """Our own certificate and key; see :meth:`set_local_certificate`."""
        return self._settings.credential

    @property
    def policy(self) -> TrustPolicy:
        """Who may talk to us; see :meth:`set_trust_policy`."""
        return self._settings.policy

    def set_local_certificate(self, certificate: _Path | Credential, private_key: _Path | None = None) -> None:
        """Use another certificate from the next handshake on, in both directions; open connections live on (row D2).

        :raises TlsFailure: as for the constructor; the old certificate stays in use then.
        """
        self._settings.replace(credential=_credential(certificate, private_key))

    def set_trust_policy(self, allow: str | Iterable[str] | TrustPolicy) -> None:
        """Allow others from the next handshake on (row D10).

        :raises ValueError: when *allow* does not hold proper names.
        """
        self._settings.replace(policy=allow if isinstance(allow, TrustPolicy) else TrustPolicy.parse(allow))

    @property
    def trust(self) -> TrustStack:
        """By what we know peers; see :meth:`set_trust`."""
        return self._settings.trust

    def set_trust(self, trust: TrustGiven | Iterable[TrustGiven]) -> None:
        """Know peers by something else from the next handshake on, in both directions; open connections live on.

        :raises ValueError: as for the constructor; what was trusted stays trusted then.
        """
        self._settings.replace(anchors=TrustStack.of(trust))
        self.pool.forget_failures()

    def revoke(self, name: str) -> int:
        """Have nothing more to do with a peer: allow it no more, dial it no more, and drop its connections (row D10).

        What is in flight to it fails with :class:`~sip_p2p.errors.TlsFailure`. Handshakes that are under way come to
        nothing. :meth:`set_trust_policy` with a new policy makes it welcome again.

        :param name: a host or domain that it proves; with a leading dot, every name below one.
        :returns: how many connections were dropped.
        :raises ValueError: *name* is neither.
        """
        self._settings.replace(policy=self.policy.excluding(name))
        flows = [connection.flow for connection in tuple(self.keeper.connections)]
        return sum(flow is not None and self._dropped_if_revoked(flow) for flow in flows)

    def tell_opened(self, flow: LiveFlow) -> None:
        """A flow has opened; one whose handshake was under way when its peer was revoked ends at once."""
        super().tell_opened(flow)
        self._dropped_if_revoked(flow)

    def _dropped_if_revoked(self, flow: LiveFlow) -> bool:
        identities = None if flow.verified is None else flow.verified.identities
        excluded = None if identities is None else self.policy.excludes(identities)
        if excluded is None:
            return False
        words = f"{excluded} was revoked"
        failure = TlsFailure(TlsFailureReason.CONNECTION_AUTHORIZATION_FAILED, excluded, detail=words)
        self.keeper.give_up(flow, failure)
        return True

    @property
    def revocation(self) -> Revocation | None:
        """What is known of revoked certificates; see :meth:`set_revocation`."""
        return self._settings.revocation

    def set_revocation(self, revocation: Revocation) -> None:
        """Judge revocation by something else from the next handshake on; a ``Revocation(mode="off")`` does not look."""
        self._settings.replace(revocation=revocation)

    @property
    def server_certificates(self) -> ServerNames:
        """What callers are shown that ask for a name; see :meth:`set_server_certificates`."""
        return self._settings.server_certificates

    def set_server_certificates(self, server_certificates: Mapping[str, Credential]) -> None:
        """Have other certificates for callers that ask for a name, from the next handshake on; empty for none.

        :raises TlsFailure: OpenSSL cannot use one; the old ones stay in use then.
        :raises ValueError: a name is none.
        """
        self._settings.replace(server_certificates=server_certificates)

    def reload(self) -> list[str]:
        """Read certificates, keys, authorities and revocation lists again from their files, now (fault F13).

        What has changed is used from the next handshake on, in both directions; open connections live on. What cannot
        be used changes nothing, and the log says why.

        :returns: what has changed, in words; empty if nothing has.
        """
        return self._renewal.reload()

    def certificates(self) -> Iterator[tuple[str, Certificate]]:
        """Every certificate that this manager and its listeners rely on, each with what it is to us, in words."""
        return self._renewal.certificates()

    def _certificate_expires(self, notice: CertificateExpiring) -> None:
        self._log.warn("{notice}", notice=str(notice))
        self.certificate_expiring.tell(notice)

    def metrics(self) -> dict[str, int]:
        """Everything that is counted, by name, and how many days our certificates are still valid (row M10)."""
        return super().metrics() | self._renewal.metrics()

    def _end(self) -> Deferred[None]:
        self._renewal.stop()
        return super()._end()

    def tls_settings(self) -> TlsSettings:
        """What TLS listeners are made with."""
        return self._settings

    def secure(self, target: Target, factory: IProtocolFactory) -> IProtocolFactory:
        """Wrap *factory* so that its connections are TLS and prove the target's name."""
        return client_tls_factory(
            self._settings,
            target.name,
            factory,
            self.reactor,
            self.limits.handshake_timeout,
            HTTP_PROTOCOL if target.transport is Transport.WSS else self._protocol,
            session_key=(target.host, target.port),
        )

    def local_credential(self) -> object:
        """Our own certificate: a flow made with another one is not shared."""
        return self._settings.credential

    def may_request(self, flow: LiveFlow) -> bool:
        """Whether the peer is listed, or dialled us and was let in, or may ask because we dialled it (row D9).

        Clear text that we dialled proves nobody: that an application sends by it invites no requests, and where we send
        by UDP only the addresses that we have written to are asked about here at all. Whoever wants them listens, by an
        explicit description.
        """
        if flow.is_incoming or self._trust_dialed_peers:
            return True
        verified = flow.verified
        identities = None if verified is None else verified.identities
        return identities is not None and self.policy.allows(identities) is not None

    def sender_check(self, flow: LiveFlow) -> SenderCheck | None:
        """What judges the From of requests on *flow*, by :attr:`from_policy`."""
        return self.from_policy.check_for(flow, self._refused)

    def _sender_refused(self, words: str) -> None:
        self.senders_refused += 1
        self._tls_log.warn("{why}", why=words)

    def offers_alias(self, flow: LiveFlow) -> bool:
        """Whether requests to the place where we listen may come by *flow* (RFC 5923): the peer may ask us at all, we
        do listen, and our certificate proves that we may name that host."""
        credential = self.credential
        if credential is None or flow.transport != "TLS" or not flow.may_request or not self.listens_on("TLS"):
            return False
        host, _ = self.contact_address("TLS", (flow.local_host, flow.local_port))
        return credential.identities.matches(host.strip("[]")) is not None

    def _certified_host(self, transport: str) -> str:
        credential = self.credential
        if transport not in ("TLS", "WSS") or credential is None:
            return ""
        identities = credential.identities.identities
        return identities[0] if identities else ""


class RealTimeServerTcpConnectionManager(RealTimeConnectionManager):
    """Clear text: TCP and UDP. Nobody is verified, nothing is secret; ``sips:`` targets and TLS are refused.

    For networks that are trusted for other reasons, and for laboratories. Listening beyond loopback logs a warning.
    """

    default_prefix = "tcp"


def _credential(certificate: _Path | Credential | None, private_key: _Path | None) -> Credential | None:
    if certificate is None:
        if private_key is not None:
            raise InvalidOperation("a private key without a certificate proves nothing: give certificate=, too")
        return None
    if isinstance(certificate, Credential):
        return certificate
    return Credential.from_files(certificate, private_key)
